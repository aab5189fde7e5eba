//! The section `quiet_hours`, of all teams or of one.

use jiff::civil::Time;

use super::mistakes::shown;
use super::section::{Text, section};
use super::values::{self, Context};
use crate::domain::{QuietHours, Stage};

section! {
    /// When people do not want to be written to.
    struct QuietFile {
        /// From this time of day on, in the account's zone. Required.
        from: Text,
        /// Up to this time of day; on the next day if it is not later than `from`. Required.
        to: Text,
        /// The days on which it begins: `mon`, `sat-sun`. Default: every day.
        days: Vec<Text>,
        /// This stage, and what is worse, is told all the same; `none`: nothing is. Default: `critical`.
        except: Text,
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Checks the items. Those with a mistake, which has been noted, are left out.
pub(super) fn check(files: Option<&[QuietFile]>, context: &mut Context) -> Vec<QuietHours> {
    files.unwrap_or_default().iter().filter_map(|file| check_one(file, context)).collect()
}

fn check_one(file: &QuietFile, context: &mut Context) -> Option<QuietHours> {
    for (key, written) in [("from", &file.from), ("to", &file.to)] {
        if written.is_none() {
            file.head.missing(key, "write a time of day, such as \"20:00\"", &mut context.mistakes);
        }
    }
    let from = file.from.as_ref().and_then(|text| time(text, context));
    let to = file.to.as_ref().and_then(|text| time(text, context));
    let days = match &file.days {
        Some(texts) => days(texts, file, context),
        None => Some([true; 7]),
    };
    let stages = Stage::ALL.map(|stage| (stage.as_str(), Some(stage)));
    let words: Vec<_> = stages.into_iter().chain([("none", None)]).collect();
    let except = match &file.except {
        Some(text) => values::word(text, &words, context),
        None => Some(Some(Stage::Critical)),
    };
    if except == Some(Some(Stage::Info)) {
        let place = file.except.as_ref().map_or(&file.head.place, |text| &text.place);
        context.mistakes.add(place, "nothing would be quiet\nhint: write `critical`, or remove the item");
    }
    Some(QuietHours { from: from?, to: to?, days: days?, except: except? })
}

fn time(text: &Text, context: &mut Context) -> Option<Time> {
    match Time::strptime("%H:%M", &text.text) {
        Ok(time) => Some(time),
        Err(_) => {
            let found = shown(&text.text);
            context.wrong(&text.place, format!("expected a time of day such as \"20:00\", found `{found}`"))
        }
    }
}

/// Days and stretches of them, such as `fri-mon`.
fn days(texts: &[Text], file: &QuietFile, context: &mut Context) -> Option<[bool; 7]> {
    if texts.is_empty() {
        return context.wrong(&file.head.place, "`days` is an empty list: no day would be quiet\nhint: remove it");
    }
    let mut days = Some([false; 7]);
    for text in texts {
        let (first, last) = text.text.split_once('-').unwrap_or((&text.text, &text.text));
        let number = |day: &str| DAYS.iter().position(|known| *known == day.trim().to_lowercase());
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            let found = shown(&text.text);
            let hint = "hint: write `mon`, or a stretch such as `sat-sun`";
            days = context.wrong(&text.place, format!("expected days of the week, found `{found}`\n{hint}"));
            continue;
        };
        let length = (last + 7 - first) % 7;
        days.iter_mut().for_each(|days| (0..=length).for_each(|step| days[(first + step) % 7] = true));
    }
    days
}
