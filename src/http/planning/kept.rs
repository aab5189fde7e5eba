//! Estimates that somebody kept, and the forms that keep one, accept one as a plan, and take one back.

use jiff::Timestamp;
use serde::Serialize;

use super::words::{day, range};
use crate::domain::announcement::LONGEST_NOTE;
use crate::domain::{AccountAssessment, RecordedEstimate, Snapshot};
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
        let of_team = draws.filter(|(_, draw)| draw.key.team.as_str() == team);
        let open: Vec<KeptRow> = of_team
            .flat_map(|(account, draw)| draw.estimates.iter().map(move |estimate| (account, estimate)))
            .filter(|(_, estimate)| estimate.is_open())
            .map(|(account, estimate)| KeptRow::of(account, estimate, accounts.len() > 1, refused, now))
            .collect();
        let is_placed = |row: &KeptRow| row.accept.mistake.is_some() || row.withdraw.mistake.is_some();
        let message = match refused {
            Some((Sent::Change(..), refusal)) if !open.iter().any(is_placed) => Some(reason(refusal)),
            _ => None,
        };
        let is_said = !open.is_empty() || message.is_some();
        is_said.then(|| KeptPart { team: team.to_owned(), is_open, message, open })
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
