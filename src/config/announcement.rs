//! The section `teams[].announcements`: what a team tells the forecast in advance.

use jiff::tz::TimeZone;

use super::mistakes::{any_of, shown};
use super::section::{Text, section};
use super::team::TeamFile;
use super::values::{self, Context};
use super::{AccountConfig, TeamConfig};
use crate::domain::{Announcement, AnnouncementForm, Credits, DrawKey, Foreseen, MOST_STANDING};

section! {
    /// A change of pace (`factor`, `from`, `to`) or a planned batch (`credits`, `at`). Leave it in the file for some months
    /// after it is over: what was used meanwhile is understood by it.
    struct AnnouncementFile {
        /// Which of the accounts the team draws on. Default: the only one; for a change of pace, all of them.
        account: Text,
        /// What the usual pace is multiplied by, 0 to 20; 0 for a holiday.
        factor: Text,
        /// The first day (`2026-12-01`, in the account's zone), or an instant (RFC 3339).
        from: Text,
        /// The last day, or an instant.
        to: Text,
        /// How many credits the batch costs.
        credits: Text,
        /// One in ten such batches costs less. Default: `credits`.
        low: Text,
        /// One in ten costs more. Default: `credits`.
        high: Text,
        /// The day of the batch, or an instant.
        at: Text,
        /// Why, at most 256 characters.
        note: Text,
    }
}

/// Who announced what stands in the configuration.
const BY: &str = "configuration";

/// Checks what a team announces. What is wrong has been noted.
pub(super) fn check(
    file: &TeamFile,
    team: &TeamConfig,
    accounts: &[AccountConfig],
    context: &mut Context,
) -> Vec<Announcement> {
    let files = file.announcements.as_deref().unwrap_or_default();
    if let Some(beyond) = files.get(MOST_STANDING) {
        let found = files.len();
        context
            .mistakes
            .add(&beyond.head.place, format!("expected at most {MOST_STANDING} announcements, found {found}"));
    }
    files.iter().flat_map(|file| announcement(file, team, accounts, context)).collect()
}

/// One for each draw that it is about.
fn announcement(
    file: &AnnouncementFile,
    team: &TeamConfig,
    accounts: &[AccountConfig],
    context: &mut Context,
) -> Vec<Announcement> {
    let Some(form) = form(file, context) else { return Vec::new() };
    let meant = |key: &&DrawKey| file.account.as_ref().is_none_or(|account| account.text == key.account.as_str());
    let keys: Vec<&DrawKey> = team.draws.iter().map(|draw| &draw.key).filter(meant).collect();
    let drawn_on = || any_of(team.draws.iter().map(|draw| draw.key.account.as_str()));
    if let (Some(account), true) = (&file.account, keys.is_empty()) {
        let (found, expected) = (shown(&account.text), drawn_on());
        context.mistakes.add(&account.place, format!("the team does not draw on `{found}`; expected {expected}"));
    }
    let mut announced = Vec::new();
    for key in &keys {
        // The zone of an account that was not understood is missed by nobody: the file is refused anyway.
        let zone = accounts.iter().find(|account| account.name == key.account).map(|account| account.zone.clone());
        match form.check(&zone.unwrap_or(TimeZone::UTC)) {
            Ok(Foreseen::Batch { .. }) if keys.len() > 1 => {
                let hint = format!("hint: write `account` and one of {}", drawn_on());
                let message = "credits of different accounts are never added: expected the batch's `account`";
                context.mistakes.add(&file.head.place, format!("{message}\n{hint}"));
                return Vec::new();
            }
            Ok(foreseen) => announced.push(Announcement {
                id: None,
                key: (*key).clone(),
                foreseen,
                note: form.note.clone().unwrap_or_default(),
                by: BY.to_owned(),
                announced_at: None,
                withdrawn: None,
            }),
            Err(error) => {
                let written = [
                    ("factor", &file.factor),
                    ("from", &file.from),
                    ("to", &file.to),
                    ("credits", &file.credits),
                    ("low", &file.low),
                    ("high", &file.high),
                    ("at", &file.at),
                    ("note", &file.note),
                ];
                let place = written.iter().find(|(field, _)| *field == error.field).and_then(|(_, text)| text.as_ref());
                match place {
                    Some(text) => context.mistakes.add(&text.place, error.message),
                    None => context.mistakes.add(&file.head.place, error),
                }
                return Vec::new();
            }
        }
    }
    announced
}

fn form(file: &AnnouncementFile, context: &mut Context) -> Option<AnnouncementForm> {
    let factor = match &file.factor {
        Some(text) => Some(values::whole::<f64>(text, "a number from 0 to 20", context)?),
        None => None,
    };
    let [credits, low, high] = [&file.credits, &file.low, &file.high].map(|text| amount(text.as_ref(), context));
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
    Some(AnnouncementForm {
        factor,
        from: text(&file.from),
        to: text(&file.to),
        credits: credits?,
        low: low?,
        high: high?,
        at: text(&file.at),
        note: text(&file.note),
    })
}

/// An amount, if one is written; the outer `None` for one that is wrong.
fn amount(text: Option<&Text>, context: &mut Context) -> Option<Option<Credits>> {
    let Some(text) = text else { return Some(None) };
    match Credits::parse(&text.text) {
        Ok(credits) => Some(Some(credits)),
        Err(error) => context.wrong(&text.place, error),
    }
}
