//! Estimates that somebody kept, and the forms that keep one, accept one as a plan, and take one back.

use jiff::Timestamp;
use serde::Serialize;

use super::words::{day, range, short};
use crate::domain::announcement::LONGEST_NOTE;
use crate::domain::{AccountAssessment, AccountName, DrawAssessment, EstimateOutcome, RecordedEstimate, Snapshot};
use crate::http::door::{KeptChange, Refusal};
use crate::http::form::{Choice, Field, Typed, give_back, reason};
use crate::http::words;

/// What a token must allow.
const TOKEN_HELP: &str = "One that may announce for this team. It is sent with this form and not kept.";

/// How the form says that an estimate is a plan.
pub const PLAN: &str = "plan";
/// And that it is only to be compared.
const RECORD: &str = "record";

/// What was sent and refused.
#[derive(Debug)]
pub enum Sent {
    /// That the job be kept, as it was typed.
    Keep,
    /// That the estimate of this number be changed; `None` if it is no number.
    Change(KeptChange, Option<i64>),
}

/// What was refused, and why.
pub type Refused<'a> = Option<(&'a Sent, &'a Refusal)>;

/// What the page shows of them.
#[derive(Debug, Serialize)]
pub struct KeptPart {
    team: String,
    /// Whether anybody may keep one for the team by this page.
    is_open: bool,
    /// What is wrong and belongs to no form.
    message: Option<String>,
    open: Vec<KeptRow>,
    /// Those that ended lately, the newest first.
    ended: Vec<EndedRow>,
    /// How those that were met did, a sentence for each account.
    accuracy: Vec<String>,
}

#[derive(Debug, Serialize)]
struct KeptRow {
    id: i64,
    label: String,
    job: String,
    /// The account, if the team draws on several.
    account: Option<String>,
    is_planned: bool,
    /// What it was to cost, and what became of that so far.
    figures: String,
    /// Who kept it, when, and until when launches count for it.
    life: String,
    accept: Field,
    withdraw: Field,
}

#[derive(Debug, Serialize)]
struct EndedRow {
    name: String,
    how: String,
}

/// The form that keeps the job that was asked about.
#[derive(Debug, Serialize)]
pub struct KeepForm {
    /// The question, as fields that are not shown.
    question: Vec<(String, String)>,
    fields: [Field; 3],
    message: Option<String>,
    is_used: bool,
}

impl KeptPart {
    /// The open estimates of a team; `None` if nothing is to be said of them.
    pub fn of(snapshot: &Snapshot, team: &str, is_open: bool, refused: Refused, now: Timestamp) -> Option<KeptPart> {
        let accounts: Vec<&AccountAssessment> = snapshot
            .accounts
            .iter()
            .map(|account| &**account)
            .filter(|account| account.draws.iter().any(|draw| draw.key.team.as_str() == team))
            .collect();
        let draws = accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (*account, draw)));
        let of_team: Vec<(&AccountAssessment, &DrawAssessment)> =
            draws.filter(|(_, draw)| draw.key.team.as_str() == team).collect();
        let is_named = accounts.len() > 1;
        let accuracy: Vec<String> =
            of_team.iter().filter_map(|(_, draw)| accuracy(draw, is_named.then_some(&draw.key.account))).collect();
        let ended = of_team.iter().flat_map(|(account, draw)| draw.estimates.iter().map(move |ended| (account, ended)));
        let ended: Vec<EndedRow> = ended.filter_map(|(account, ended)| EndedRow::of(account, ended, now)).collect();
        let open: Vec<KeptRow> = of_team
            .iter()
            .flat_map(|(account, draw)| draw.estimates.iter().map(move |estimate| (account, estimate)))
            .filter(|(_, estimate)| estimate.is_open())
            .map(|(account, estimate)| KeptRow::of(account, estimate, is_named, refused, now))
            .collect();
        let is_placed = |row: &KeptRow| row.accept.mistake.is_some() || row.withdraw.mistake.is_some();
        let message = match refused {
            Some((Sent::Change(..), refusal)) if !open.iter().any(is_placed) => Some(reason(refusal)),
            _ => None,
        };
        let is_said = !(open.is_empty() && ended.is_empty() && accuracy.is_empty() && message.is_none());
        is_said.then(|| KeptPart { team: team.to_owned(), is_open, message, open, ended, accuracy })
    }
}

/// How a draw's estimates did, over the whole ledger; `None` while none was met.
fn accuracy(draw: &DrawAssessment, account: Option<&AccountName>) -> Option<String> {
    let (told, met) = (&draw.accuracy, draw.accuracy.met());
    let on = account.map(|account| format!(" on {account}")).unwrap_or_default();
    (met > 0).then(|| {
        format!(
            "Of {} met{on}, {} cost no more than nine in ten should. Together they cost {} credits where {} were expected.",
            words::counted(met, "estimate that was", "estimates that were"),
            words::count(told.within_p90()),
            words::credits(told.charged),
            short(told.expected)
        )
    })
}

/// A range in the middle of a sentence.
fn in_sentence(range: &str) -> String {
    range.replacen("About", "about", 1)
}

impl EndedRow {
    /// `None` for what is open, or was taken back: nothing is to be learned of that.
    fn of(account: &AccountAssessment, estimate: &RecordedEstimate, now: Timestamp) -> Option<EndedRow> {
        let at = estimate.state.closed_at()?;
        let of = in_sentence(&range(&estimate.credits));
        let charged = words::credits(estimate.charged);
        let how = match estimate.outcome()? {
            EstimateOutcome::BelowP10 => format!("met for {charged} credits: less than the range of {of}"),
            EstimateOutcome::P10ToP50 | EstimateOutcome::P50ToP90 => format!("met for {charged} credits of {of}"),
            EstimateOutcome::AboveP90 => format!("met for {charged} credits: more than the range of {of}"),
            EstimateOutcome::LapsedPartly => format!("lapsed, with {charged} credits charged of {of}"),
            EstimateOutcome::LapsedUnlaunched => format!("lapsed, nothing of {of} was launched"),
            EstimateOutcome::Withdrawn => return None,
        };
        let name = if estimate.label.is_empty() { estimate.in_words() } else { estimate.label.clone() };
        Some(EndedRow { name, how: format!("{how}, {}", day(at, &account.zone, now)) })
    }
}

impl KeptRow {
    fn of(
        account: &AccountAssessment,
        estimate: &RecordedEstimate,
        is_named: bool,
        refused: Refused,
        now: Timestamp,
    ) -> KeptRow {
        let token = |change: KeptChange, name: &str| {
            let refusal = refused.and_then(|(sent, refusal)| match sent {
                Sent::Change(sent, Some(id)) if *sent == change && *id == estimate.id => Some(refusal),
                _ => None,
            });
            Field::lone_token(TOKEN_HELP, format!("{name}-{}", estimate.id), refusal)
        };
        let day = |at| day(at, &account.zone, now);
        let charged = match estimate.tasks {
            0 => "nothing is launched of it yet".to_owned(),
            _ => format!("{} are charged so far", words::credits(estimate.charged)),
        };
        let (done, asked) = (words::count(estimate.assets), words::counted(estimate.assets_asked(), "asset", "assets"));
        KeptRow {
            id: estimate.id,
            label: estimate.label.clone(),
            job: estimate.in_words(),
            account: is_named.then(|| account.account.to_string()),
            is_planned: estimate.is_planned,
            figures: format!("{}; {charged}, {done} of {asked} done", range(&estimate.credits)),
            life: format!("by {}, {}; open until {}", estimate.by, day(estimate.made_at), day(estimate.lapses_at)),
            accept: token(KeptChange::Accept, "accept"),
            withdraw: token(KeptChange::Withdraw, "withdraw"),
        }
    }
}

impl KeepForm {
    /// The form for a question, with what was refused.
    pub fn of(question: &Typed, keep: &Typed, refused: Refused) -> KeepForm {
        let choice = |value: &str, label: &str| Choice { value: value.to_owned(), label: label.to_owned() };
        let mut fields = [
            Field {
                choices: vec![
                    choice(PLAN, "A plan: forecasts reckon with it"),
                    choice(RECORD, "A note: compared with what is charged"),
                ],
                is_wide: true,
                ..Field::new("keep", "As", "select", "")
            },
            Field {
                max: Some(LONGEST_NOTE.to_string()),
                is_wide: true,
                ..Field::new("label", "Name", "text", "What it is for, such as a shot.")
            },
            Field { is_wide: true, ..Field::token(TOKEN_HELP) },
        ];
        fields.iter_mut().for_each(|field| field.id = format!("keep-{}", field.name));
        let refused = refused.filter(|(sent, _)| matches!(sent, Sent::Keep));
        let message = refused.and_then(|(_, refusal)| give_back(&mut fields, keep, refusal));
        let question = question.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        KeepForm { question, fields, message, is_used: refused.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        Credits, EstimateAccuracy, EstimateRequest, EstimateState, FuelLimit, Outlook, Quantiles, RecordedLine,
        RecordedPart,
    };
    use crate::metrics::sample;

    fn estimate(id: i64, label: &str, charged: i64, tasks: u64, state: EstimateState) -> RecordedEstimate {
        let (task_type, quality, variants, count, attempts) = ("rig".to_owned(), None, 1, 4, None);
        let parts = vec![RecordedPart { task_type: task_type.clone(), launches_each: 1 }];
        let line = RecordedLine { request: EstimateRequest { task_type, quality, variants, count, attempts }, parts };
        let [p10, p50, p90] = [40, 60, 90].map(sample::credits);
        RecordedEstimate {
            id,
            key: sample::key("studio", "art"),
            label: label.to_owned(),
            by: "Ada".to_owned(),
            made_at: sample::at("2026-11-20T09:00:00Z"),
            starts_at: sample::at("2026-11-20T09:00:00Z"),
            lapses_at: sample::at("2026-11-27T09:00:00Z"),
            lines: vec![line],
            jobs: Vec::new(),
            credits: Quantiles { p10, p50, p90 },
            launches: None,
            is_planned: id == 1,
            state,
            ends: None,
            charged: sample::credits(charged),
            tasks,
            assets: tasks.min(4),
        }
    }

    fn part(estimates: Vec<RecordedEstimate>, refused: Refused) -> Option<KeptPart> {
        let mut account = sample::account("studio", "meshy");
        let mut draw =
            sample::draw(sample::key("studio", "art"), 1000, 900, FuelLimit::Balance, Outlook::UnknownBalance);
        draw.accuracy = EstimateAccuracy::of(&estimates);
        draw.estimates = estimates;
        account.draws = vec![draw];
        let snapshot = Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() };
        KeptPart::of(&snapshot, "art", true, refused, sample::now())
    }

    #[test]
    fn what_is_open_and_what_ended_is_told_with_its_figures() {
        let at = sample::at("2026-11-21T09:00:00Z");
        let met = || EstimateState::Met { at };
        let withdrawn = EstimateState::Withdrawn { at, by: "Ada".to_owned() };
        let told = part(
            vec![
                estimate(1, "shot 7", 15, 2, EstimateState::Open),
                estimate(2, "", 0, 0, EstimateState::Open),
                estimate(3, "a", 30, 4, met()),
                estimate(4, "", 61, 4, met()),
                estimate(5, "c", 95, 4, met()),
                estimate(6, "d", 15, 1, EstimateState::Lapsed { at }),
                estimate(7, "e", 0, 0, EstimateState::Lapsed { at }),
                estimate(8, "f", 0, 0, withdrawn),
            ],
            None,
        );
        let told = told.unwrap();
        let open: Vec<(bool, &str, &str)> =
            told.open.iter().map(|row| (row.is_planned, row.label.as_str(), row.figures.as_str())).collect();
        assert_eq!(
            open,
            [
                (true, "shot 7", "About 60 credits (40 to 90); 15 are charged so far, 2 of 4 assets done"),
                (false, "", "About 60 credits (40 to 90); nothing is launched of it yet, 0 of 4 assets done"),
            ]
        );
        assert_eq!(told.open[0].life, "by Ada, Friday 20 November; open until Friday 27 November");
        let ended: Vec<String> = told.ended.iter().map(|row| format!("{}: {}", row.name, row.how)).collect();
        assert_eq!(
            ended,
            [
                "a: met for 30 credits: less than the range of about 60 credits (40 to 90), Saturday 21 November",
                "4 × rig: met for 61 credits of about 60 credits (40 to 90), Saturday 21 November",
                "c: met for 95 credits: more than the range of about 60 credits (40 to 90), Saturday 21 November",
                "d: lapsed, with 15 credits charged of about 60 credits (40 to 90), Saturday 21 November",
                "e: lapsed, nothing of about 60 credits (40 to 90) was launched, Saturday 21 November",
            ]
        );
        let accuracy = "Of 3 estimates that were met, 2 cost no more than nine in ten should. Together they cost 186 credits \
                        where 180 were expected.";
        assert_eq!(told.accuracy, [accuracy]);
        assert_eq!(sample::credits(186), [30, 61, 95].map(sample::credits).into_iter().sum::<Credits>());
    }

    #[test]
    fn a_refusal_stands_at_its_estimate_or_above_all() {
        assert!(part(Vec::new(), None).is_none(), "nothing is to be said");
        let open = || vec![estimate(1, "", 0, 0, EstimateState::Open), estimate(2, "", 0, 0, EstimateState::Open)];
        for (sent, accept, withdraw, is_above) in [
            (Sent::Change(KeptChange::Accept, Some(2)), true, false, false),
            (Sent::Change(KeptChange::Withdraw, Some(2)), false, true, false),
            (Sent::Change(KeptChange::Withdraw, Some(9)), false, false, true),
            (Sent::Change(KeptChange::Withdraw, None), false, false, true),
            (Sent::Keep, false, false, false),
        ] {
            let told = part(open(), Some((&sent, &Refusal::Unauthorized))).unwrap();
            let row = &told.open[1];
            let found = (row.accept.mistake.is_some(), row.withdraw.mistake.is_some(), told.message.is_some());
            assert_eq!(found, (accept, withdraw, is_above), "{sent:?}");
            assert!(told.open[0].accept.mistake.is_none() && told.open[0].withdraw.mistake.is_none(), "{sent:?}");
        }
    }
}
