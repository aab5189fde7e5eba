//! The page of silences as values: those that stand, those that were over not long ago, the form, what was typed and what is
//! wrong with it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::silence::{LONGEST_AUTHOR, LONGEST_COMMENT, LONGEST_VALUE, Label, covers, sort};
use crate::domain::{
    AccountAssessment, AlertLabels, DrawAssessment, FiringAlert, Matcher, RuleName, Silence, SilenceState, Silences,
    Snapshot, Stage,
};
use crate::http::door::Refusal;
use crate::http::form::{Choice, Field, Typed, give_back, reason};
use crate::http::words;

/// The labels that have a field, in the order of the form.
pub const LABELS: [Label; 4] = [Label::Alert, Label::Team, Label::Account, Label::Severity];
/// The choice of a length that ends with the plan's period.
pub const UNTIL_RESET: &str = "reset";

/// The other lengths that can be chosen.
const LENGTHS: [(&str, &str); 5] =
    [("1h", "1 hour"), ("8h", "8 hours"), ("24h", "24 hours"), ("3d", "3 days"), ("7d", "7 days")];
/// The one that is chosen before somebody chooses.
const USUAL_LENGTH: &str = "24h";
/// More names than this are typed instead of chosen.
const MOST_CHOICES: usize = 200;
/// The longest list of matchers that the form takes, in characters.
const LONGEST_MATCHERS: usize = 4 * LONGEST_VALUE;
/// What a token must allow.
const TOKEN_HELP: &str = "One that may silence these alerts. It is sent with this form and not kept.";

/// What was sent and refused.
#[derive(Debug)]
pub enum Sent {
    /// A silence.
    Silence,
    /// That the silence of this number be over; `None` if it is no number.
    Expiry(Option<i64>),
}

/// The page.
#[derive(Debug, Serialize)]
pub struct SilencesPage {
    /// Whether anybody may silence.
    is_open: bool,
    /// What is wrong and belongs to no form.
    message: Option<String>,
    standing: Vec<Row>,
    over: Vec<Row>,
    form: Form,
}

/// One silence.
#[derive(Debug, Serialize)]
struct Row {
    id: i64,
    state: &'static str,
    matchers: Vec<String>,
    comment: String,
    by: String,
    /// The token with which it came, where that says more than the name.
    token_name: Option<String>,
    /// Until when, or from when to when.
    when: String,
    mutes: Vec<Muted>,
    /// The field for the token that expires it.
    token: Field,
}

/// A firing alert that a silence mutes.
#[derive(Debug, Serialize)]
struct Muted {
    alert: String,
    severity: String,
    team: String,
    team_path: String,
    account: String,
}

#[derive(Debug, Serialize)]
struct Form {
    is_open: bool,
    /// What is wrong and belongs to no field.
    message: Option<String>,
    fields: Vec<Field>,
    /// The alerts that fire now and would be muted; `None` while nothing is filled in.
    covers: Option<Vec<Muted>>,
}

impl SilencesPage {
    /// Every silence of a snapshot, and the form with what was typed, what that means and when its plan resets, if it is
    /// one; and with what was refused.
    pub fn of(
        snapshot: &Snapshot,
        is_open: bool,
        typed: (&Typed, &[Matcher], Option<Timestamp>),
        refused: Option<&(Sent, Refusal)>,
        now: Timestamp,
    ) -> SilencesPage {
        let firing = snapshot.firing();
        let mut silences: Vec<Silence> = snapshot.silences.iter().cloned().collect();
        sort(&mut silences, now);
        let is_over = |silence: &&Silence| silence.state(now) == SilenceState::Expired;
        let (over, standing): (Vec<&Silence>, Vec<&Silence>) = silences.iter().partition(is_over);
        let row = |silence: &Silence| Row::of(silence, snapshot, &firing, refused, now);
        let standing: Vec<Row> = standing.into_iter().map(row).collect();
        let message = refused.and_then(|(sent, refusal)| match sent {
            Sent::Expiry(_) if standing.iter().all(|row| row.token.mistake.is_none()) => Some(reason(refusal)),
            _ => None,
        });
        let form = Form::of(snapshot, &firing, typed, refused, now);
        SilencesPage { is_open, message, standing, over: over.into_iter().map(row).collect(), form }
    }
}

impl Row {
    fn of(
        silence: &Silence,
        snapshot: &Snapshot,
        firing: &[FiringAlert],
        refused: Option<&(Sent, Refusal)>,
        now: Timestamp,
    ) -> Row {
        let asked = &silence.asked;
        let refusal = refused.and_then(|(sent, refusal)| match sent {
            Sent::Expiry(Some(id)) if *id == silence.id => Some(refusal),
            _ => None,
        });
        Row {
            id: silence.id,
            state: silence.state(now).as_str(),
            matchers: asked.matchers.iter().map(Matcher::to_string).collect(),
            comment: asked.comment.clone(),
            by: asked.created_by.clone(),
            token_name: asked.token.clone().filter(|token| *token != asked.created_by),
            when: when(silence, &zone(&asked.matchers, snapshot), now),
            mutes: firing.iter().filter(|alert| silence.mutes(&alert.labels(), now)).map(Muted::of).collect(),
            token: Field::lone_token(TOKEN_HELP, format!("expire-{}", silence.id), refusal),
        }
    }
}

impl Muted {
    fn of(alert: &FiringAlert) -> Muted {
        let FiringAlert { alert, account, team, severity } = alert.clone();
        Muted { alert, severity, team_path: words::path_segment(&team), team, account }
    }
}

/// What silences an alert that fires, or the way to silence it.
#[derive(Debug, Serialize)]
pub struct Silencing {
    by: Option<SilencedBy>,
    /// The query of the page of silences that fills its form with the alert's labels.
    query: String,
}

#[derive(Debug, Serialize)]
struct SilencedBy {
    id: i64,
    author: String,
    comment: String,
    when: String,
}

impl Silencing {
    /// Of an alert whose account is in that zone.
    pub fn of(labels: &AlertLabels<'_>, silences: &Silences, zone: &TimeZone, now: Timestamp) -> Silencing {
        let by = silences.muting(labels, now).map(|silence| SilencedBy {
            id: silence.id,
            author: silence.asked.created_by.clone(),
            comment: silence.asked.comment.clone(),
            when: when(silence, zone, now),
        });
        let mut query = form_urlencoded::Serializer::new(String::new());
        for label in [Label::Alert, Label::Team, Label::Account] {
            if !labels.get(label).is_empty() {
                query.append_pair(label.as_str(), labels.get(label));
            }
        }
        Silencing { by, query: query.finish() }
    }
}

/// Until when a silence lasts, or when it did.
fn when(silence: &Silence, zone: &TimeZone, now: Timestamp) -> String {
    let moment = |at| words::moment(at, zone, now);
    let (starts, ends) = (silence.asked.starts_at, silence.ended_at());
    match (silence.state(now), &silence.expired) {
        (SilenceState::Active, _) => {
            format!("for {} more, until {}", words::span(ends.as_second() - now.as_second()), moment(ends))
        }
        (SilenceState::Pending, _) => {
            format!(
                "in {}, from {} to {}",
                words::span(starts.as_second() - now.as_second()),
                moment(starts),
                moment(ends)
            )
        }
        (SilenceState::Expired, Some((at, by))) => format!("by {by} {}, {}", words::ago(*at, now), moment(*at)),
        (SilenceState::Expired, None) => format!("since {}", moment(ends)),
    }
}

/// The zone in which the times of a silence are told: that of the first account that it is about.
fn zone(matchers: &[Matcher], snapshot: &Snapshot) -> TimeZone {
    let account = draws_of(matchers, snapshot).next().map(|(account, _)| account);
    account
        .or(snapshot.accounts.first().map(|account| &**account))
        .map_or(TimeZone::UTC, |account| account.zone.clone())
}

/// The draws whose account and team fit; alert and severity may be any.
pub fn draws_of<'a>(
    matchers: &'a [Matcher],
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (&'a AccountAssessment, &'a DrawAssessment)> {
    let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (&**account, draw)));
    draws.filter(move |(_, draw)| {
        matchers.iter().all(|matcher| match matcher.label() {
            Label::Account => matcher.fits(draw.key.account.as_str()),
            Label::Team => matcher.fits(draw.key.team.as_str()),
            Label::Alert | Label::AlertName | Label::Severity => true,
        })
    })
}

impl Form {
    fn of(
        snapshot: &Snapshot,
        firing: &[FiringAlert],
        (typed, matchers, reset): (&Typed, &[Matcher], Option<Timestamp>),
        refused: Option<&(Sent, Refusal)>,
        now: Timestamp,
    ) -> Form {
        let reset = reset.map(|reset| words::moment(reset, &zone(matchers, snapshot), now));
        let mut fields = fields(snapshot, reset.as_deref());
        let (mut message, mut is_open) = (None, !typed.is_empty());
        match refused {
            Some((Sent::Silence, refusal)) => {
                message = give_back(&mut fields, typed, refusal);
                is_open = true;
            }
            _ => {
                for field in &mut fields {
                    if let Some(value) = typed.get(field.name) {
                        field.value.clone_from(value);
                    }
                }
            }
        }
        for field in fields.iter_mut().filter(|field| field.input == "select" && !field.value.is_empty()) {
            // What an address names and nothing has stays named: to leave it out would be to silence more than was meant.
            if !field.choices.iter().any(|choice| choice.value == field.value) {
                field.choices.push(Choice::plain(&field.value));
            }
        }
        fields.iter_mut().for_each(|field| field.id = format!("silence-{}", field.name));
        let is_covered = |alert: &&FiringAlert| covers(matchers, &alert.labels());
        let covers = || firing.iter().filter(is_covered).map(Muted::of).collect();
        Form { is_open, message, fields, covers: (!matchers.is_empty()).then(covers) }
    }
}

/// The fields, empty. `reset` is when the plan that is meant resets, if it is one.
fn fields(snapshot: &Snapshot, reset: Option<&str>) -> Vec<Field> {
    let rules: Vec<&str> = RuleName::ALL.iter().map(|rule| rule.as_str()).collect();
    let stages: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
    let teams = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(|draw| draw.key.team.as_str()));
    let teams: Vec<&str> = teams.collect::<BTreeSet<_>>().into_iter().collect();
    let accounts: Vec<&str> = snapshot.accounts.iter().map(|account| account.account.as_str()).collect();
    let mut lengths: Vec<Choice> = LENGTHS
        .iter()
        .map(|(value, label)| Choice { value: (*value).to_owned(), label: (*label).to_owned() })
        .collect();
    let until_reset = reset.map(|reset| format!("until the plan resets, {reset}"));
    lengths.push(Choice {
        value: UNTIL_RESET.to_owned(),
        label: until_reset.unwrap_or_else(|| "until the plan resets".to_owned()),
    });
    let text = |name, label, longest: usize, help| Field {
        max: Some(longest.to_string()),
        ..Field::new(name, label, "text", help)
    };
    vec![
        choice("alert", "Alert", "any alert", &rules),
        choice("team", "Team", "any team", &teams),
        choice("account", "Account", "any account", &accounts),
        choice("severity", "Severity", "any severity", &stages),
        Field {
            choices: lengths,
            is_required: true,
            value: USUAL_LENGTH.to_owned(),
            ..Field::new("duration", "For", "select", "From now on. It ends by itself.")
        },
        Field {
            is_wide: true,
            ..text(
                "matchers",
                "More matchers",
                LONGEST_MATCHERS,
                "As amtool takes them, such as team=~\"env-.*\". All must fit, and what is chosen above too.",
            )
        },
        Field {
            is_required: true,
            is_wide: true,
            ..text("comment", "Comment", LONGEST_COMMENT, "Why, for everybody who wonders.")
        },
        text("by", "Your name", LONGEST_AUTHOR, "Left empty, the token's name stands there."),
        Field::token(TOKEN_HELP),
    ]
}

/// A label that one name can be chosen for, or typed where there are very many.
fn choice(name: &'static str, label: &'static str, any: &str, names: &[&str]) -> Field {
    if names.len() > MOST_CHOICES {
        return Field { max: Some(LONGEST_VALUE.to_string()), ..Field::new(name, label, "text", "Left empty: any.") };
    }
    let any = Choice { value: String::new(), label: any.to_owned() };
    let choices = [any].into_iter().chain(names.iter().map(|name| Choice::plain(name))).collect();
    Field { choices, is_required: false, ..Field::new(name, label, "select", "") }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
