//! The page as values: the form with what was typed, what is wrong with it, and the answer.

use std::sync::Arc;

use serde::Serialize;

use super::answer::{Answer, local};
use super::kept::{KeepForm, KeptPart};
use super::kinds::offered;
use super::{moment, zone};
use crate::domain::plan_check::{MOST_ASSETS, MOST_ATTEMPTS, MOST_VARIANTS};
use crate::domain::{PriceSheet, Snapshot};
use crate::http::door::{PlanTold, Refusal};
use crate::http::form::{Choice, Field, Typed, give_back, reason};
use crate::http::job::LONGEST_WORD;

/// The page.
#[derive(Debug, Serialize)]
pub struct PlanPage {
    /// Who launches what.
    fields: Vec<Field>,
    /// The account, where the team draws on several.
    account: Option<Field>,
    /// What is seldom said.
    more: Vec<Field>,
    is_more_open: bool,
    kinds: Vec<Choice>,
    qualities: Vec<Choice>,
    /// What is wrong with the question, by the field that it is about.
    mistakes: Vec<Mistake>,
    /// Why there is no answer, where no field is to blame.
    message: Option<String>,
    answer: Option<Answer>,
    /// The form that keeps it; `None` where nobody may.
    keep: Option<KeepForm>,
    kept: Option<KeptPart>,
}

#[derive(Debug, Serialize)]
struct Mistake {
    id: String,
    label: &'static str,
    words: String,
}

impl PlanPage {
    /// The form for what was typed, with the answer if something was asked.
    pub fn of(
        snapshot: &Snapshot,
        prices: &dyn Fn(&str) -> Option<Arc<PriceSheet>>,
        typed: &Typed,
        told: Option<&Result<PlanTold, Refusal>>,
        keep: Option<KeepForm>,
        kept: Option<KeptPart>,
    ) -> PlanPage {
        let offered = offered(snapshot, prices, typed);
        let mut shown = typed.clone();
        for name in ["variants", "count"] {
            shown.entry(name.to_owned()).or_insert_with(|| "1".to_owned());
        }
        let zone = zone(snapshot, typed);
        if let Some(start) = shown.get_mut("start") {
            // A field of the browser takes no zone.
            *start = moment(start, &zone).map_or_else(|_| start.clone(), |at| local(at, &zone));
        }
        let mut all: Vec<Field> =
            account(snapshot, typed).into_iter().chain(who_and_what(snapshot)).chain(more()).collect();
        all.iter_mut().for_each(|field| field.id = format!("ask-{}", field.name));
        let message = match told {
            Some(Err(refusal)) => match give_back(&mut all, &shown, refusal) {
                _ if !matches!(refusal, Refusal::Malformed(..)) => Some(reason(refusal)),
                message => message,
            },
            _ => {
                for field in &mut all {
                    field.value = shown.get(field.name).cloned().unwrap_or_default();
                }
                None
            }
        };
        let wrong = |field: &Field| {
            let words = field.mistake.clone()?;
            Some(Mistake { id: field.id.clone(), label: field.label, words })
        };
        let mistakes: Vec<Mistake> = all.iter().filter_map(wrong).collect();
        let answer = match told {
            Some(Ok(told)) => Some(Answer::of(told, typed)),
            _ => None,
        };
        if mistakes.is_empty() && answer.is_none() {
            let first = if typed.contains_key("team") { "task" } else { "team" };
            all.iter_mut().filter(|field| field.name == first).for_each(|field| field.has_focus = true);
        }
        let (more, mut fields): (Vec<Field>, Vec<Field>) =
            all.into_iter().partition(|field| matches!(field.name, "attempts" | "start"));
        let account = fields.iter().position(|field| field.name == "account").map(|place| fields.remove(place));
        PlanPage {
            fields,
            account,
            is_more_open: more.iter().any(|field| !field.value.is_empty() || field.mistake.is_some()),
            more,
            kinds: offered.kinds,
            qualities: offered.qualities,
            mistakes,
            message,
            answer,
            keep,
            kept,
        }
    }
}

/// A choice of nothing, which the form does not send on.
fn nothing(label: &str) -> Choice {
    Choice { value: String::new(), label: label.to_owned() }
}

fn who_and_what(snapshot: &Snapshot) -> [Field; 5] {
    let mut teams: Vec<Choice> = vec![nothing("Choose a team")];
    for draw in snapshot.accounts.iter().flat_map(|account| &account.draws) {
        let team = Choice::plain(draw.key.team.as_str());
        if !teams.contains(&team) {
            teams.push(team);
        }
    }
    let text = |name, label, list, help| Field {
        is_wide: true,
        max: Some(LONGEST_WORD.to_string()),
        list: Some(list),
        ..Field::new(name, label, "text", help)
    };
    let whole = |name, label, most: u32| Field {
        min: Some("1".to_owned()),
        max: Some(most.to_string()),
        is_whole: true,
        is_required: true,
        ..Field::new(name, label, "number", "")
    };
    [
        Field { choices: teams, is_required: true, is_wide: true, ..Field::new("team", "Team", "select", "") },
        Field { is_required: true, ..text("task", "Kind of task", "kinds", "") },
        text("quality", "Quality or model", "qualities", ""),
        whole("count", "Assets", MOST_ASSETS),
        whole("variants", "Variants of each", MOST_VARIANTS),
    ]
}

fn more() -> [Field; 2] {
    [
        Field {
            min: Some("1".to_owned()),
            max: Some(MOST_ATTEMPTS.to_string()),
            is_wide: true,
            ..Field::new("attempts", "Attempts each", "number", "On average, where you know better than the history.")
        },
        Field {
            is_wide: true,
            ..Field::new("start", "Start", "datetime-local", "In the account's time zone. Empty: now.")
        },
    ]
}

/// The account, where the team draws on several.
fn account(snapshot: &Snapshot, typed: &Typed) -> Option<Field> {
    let team = typed.get("team")?;
    let is_drawn_on = |account: &&Arc<crate::domain::AccountAssessment>| {
        account.draws.iter().any(|draw| draw.key.team.as_str() == team)
    };
    let accounts: Vec<Choice> =
        snapshot.accounts.iter().filter(is_drawn_on).map(|account| Choice::plain(account.account.as_str())).collect();
    (accounts.len() > 1).then(|| Field {
        choices: std::iter::once(nothing("Choose an account")).chain(accounts).collect(),
        is_required: true,
        is_wide: true,
        ..Field::new("account", "Account", "select", "")
    })
}
