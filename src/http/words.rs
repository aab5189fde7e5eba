//! Numbers and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use crate::domain::words::{count, counted, date, likelihood, other_use, path_segment, percent, short};
use crate::domain::{Credits, Mute, Queued, words};

/// What stands where a value is not known. Never a zero.
pub const NOT_KNOWN: &str = "not known";

/// `1,234`, with a true minus sign.
pub fn credits(amount: Credits) -> String {
    words::amount(amount).replace('-', "\u{2212}")
}

/// A statistic as credits; what is not a number is not known.
pub fn about(value: f64) -> String {
    Credits::from_statistic(value).map_or_else(|| NOT_KNOWN.to_string(), credits)
}

/// What an announcement does to the use expected up to some end.
pub fn effect(effect: Credits, end: &str) -> String {
    if effect == Credits::ZERO {
        return format!("changes nothing before {end}");
    }
    let more = if effect.is_negative() { "less" } else { "more" };
    let magnitude = effect.max(Credits::ZERO - effect);
    format!("about {} credits {more} before {end}", credits(magnitude))
}

/// Tasks that wait to be charged, in a sentence; none if there are none.
pub fn queued(queued: &Queued) -> Option<String> {
    let tasks = |tasks| counted(tasks, "task", "tasks");
    let Queued { tasks: known, credits: cost, unknown_tasks, is_held } = *queued;
    let how = if is_held { "held back by the platform already" } else { "counted as spent" };
    match (known, unknown_tasks) {
        (0, 0) => None,
        (0, unknown) => Some(format!("{} launched and not charged yet, of unknown cost: not counted.", tasks(unknown))),
        (known, 0) => {
            Some(format!("{} launched and not charged yet: about {} credits, {how}.", tasks(known), credits(cost)))
        }
        (known, unknown) => Some(format!(
            "{} launched and not charged yet: about {} credits, {how}; {} more of unknown cost, not counted.",
            tasks(known),
            credits(cost),
            tasks(unknown)
        )),
    }
}

/// A sentence from words that begin small and have no end.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

/// A length of time in one unit: `45 s`, `14 min`, `7 h`, `9 days`. The sign is dropped.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let rounded = |unit: u64| (seconds + unit / 2) / unit;
    match seconds {
        0..90 => format!("{seconds}\u{a0}s"),
        90..5_400 => format!("{}\u{a0}min", rounded(60)),
        5_400..129_600 => format!("{}\u{a0}h", rounded(3_600)),
        _ => format!("{}\u{a0}days", count(rounded(86_400))),
    }
}

/// How long ago something was; a time in the future, which clocks that differ can bring, is `just now`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.as_second() - then.as_second() {
        ..5 => "just now".to_string(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A date and a time with its zone: `Thu 26 Nov, 15:00 CET`.
pub fn moment(instant: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    format!("{}, {}", date(instant, zone, now), clock(instant, zone))
}

/// A time of day with its zone: `15:00 CET`.
pub fn clock(instant: Timestamp, zone: &TimeZone) -> String {
    instant.to_zoned(zone.clone()).strftime("%H:%M\u{a0}%Z").to_string()
}

/// Why nobody hears of an alert at the moment.
pub fn mute(mute: Mute) -> String {
    match mute {
        Mute::Inhibited(by) => format!("not told while \u{201c}{}\u{201d} is firing", by.in_words()),
        Mute::Silenced(id) => format!("silenced ({id})"),
        Mute::QuietHours => "waits for the end of the quiet hours".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_true_minus() {
        assert_eq!(credits(Credits::from_whole(-12_000)), "\u{2212}12,000");
        assert_eq!(about(f64::NAN), NOT_KNOWN);
        assert_eq!((sentence(""), sentence("über `x`")), (".".to_owned(), "Über `x`.".to_owned()));
    }

    #[test]
    fn spans_have_one_unit() {
        for (seconds, text) in [(0, "0 s"), (89, "89 s"), (90, "2 min"), (-840, "14 min"), (25_200, "7 h")] {
            assert_eq!(span(seconds), text.replace(' ', "\u{a0}"));
        }
        assert_eq!(span(734_400), "9\u{a0}days");
    }

    #[test]
    fn times_are_told_in_the_zone_and_named() {
        let now: Timestamp = "2026-11-22T11:00:00Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let reset: Timestamp = "2026-11-30T23:00:00Z".parse().unwrap();
        assert_eq!(moment(reset, &berlin, now), "Tue 1 Dec, 00:00\u{a0}CET");
        assert_eq!(moment(reset, &TimeZone::UTC, now), "Mon 30 Nov, 23:00\u{a0}UTC");
        assert_eq!(date("2027-01-30T12:00:00Z".parse().unwrap(), &berlin, now), "Sat 30 Jan 2027");
        assert_eq!(ago(reset, now), "just now");
    }
}
