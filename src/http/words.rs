//! Numbers and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::Credits;

/// What stands where a value is not known. Never a zero.
pub const NOT_KNOWN: &str = "not known";

/// `1,234`, or `3.5` where a whole number would hide something.
pub fn credits(amount: Credits) -> String {
    let is_small = amount.micros().unsigned_abs() < Credits::from_whole(10).micros().unsigned_abs();
    let text = if is_small { format!("{amount:.1}") } else { format!("{amount:.0}") };
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("\u{2212}", digits));
    format!("{sign}{}", with_separators(digits))
}

/// A statistic as credits; what is not a number is not known.
pub fn about(value: f64) -> String {
    Credits::from_statistic(value).map_or_else(|| NOT_KNOWN.to_string(), credits)
}

/// `1,234` from a count.
pub fn count(value: u64) -> String {
    with_separators(&value.to_string())
}

/// `1 task`, `2 tasks`.
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(value), if value == 1 { singular } else { plural })
}

fn with_separators(digits: &str) -> String {
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::with_capacity(digits.len() + whole.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// A probability in percent. The ends are never reached: a forecast is not a certainty.
pub fn percent(probability: f64) -> String {
    if probability < 0.01 {
        "under 1\u{a0}%".to_string()
    } else if probability > 0.99 {
        "over 99\u{a0}%".to_string()
    } else {
        format!("{:.0}\u{a0}%", probability * 100.0)
    }
}

/// A probability in words.
pub fn likelihood(probability: f64) -> &'static str {
    match probability {
        p if p < 0.01 => "almost certainly not",
        p if p < 0.10 => "very unlikely",
        p if p < 0.33 => "unlikely",
        p if p <= 0.66 => "as likely as not",
        p if p <= 0.90 => "likely",
        p if p <= 0.99 => "very likely",
        _ => "almost certain",
    }
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

/// A date: `Thu 26 Nov`, with the year where it is another than that of `now`.
pub fn date(instant: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let then = instant.to_zoned(zone.clone());
    let is_this_year = then.year() == now.to_zoned(zone.clone()).year();
    then.strftime(if is_this_year { "%a %-d %b" } else { "%a %-d %b %Y" }).to_string()
}

/// A date and a time with its zone: `Thu 26 Nov, 15:00 CET`.
pub fn moment(instant: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    format!("{}, {}", date(instant, zone, now), clock(instant, zone))
}

/// A time of day with its zone: `15:00 CET`.
pub fn clock(instant: Timestamp, zone: &TimeZone) -> String {
    instant.to_zoned(zone.clone()).strftime("%H:%M\u{a0}%Z").to_string()
}

/// A name as one segment of a URL's path.
pub fn path_segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_and_grouped() {
        for (micros, text) in [
            (0, "0"),
            (3_500_000, "3.5"),
            (-3_500_000, "\u{2212}3.5"),
            (-40_000, "0"),
            (9_960_000, "10"),
            (10_400_000, "10"),
            (999_500_000, "1,000"),
            (1_234_567_000_000, "1,234,567"),
            (-12_000_000_000, "\u{2212}12,000"),
        ] {
            assert_eq!(credits(Credits::from_micros(micros)), text, "{micros}");
        }
        assert_eq!(about(f64::NAN), NOT_KNOWN);
        assert_eq!(counted(1, "task", "tasks"), "1 task");
        assert_eq!(counted(1000, "task", "tasks"), "1,000 tasks");
    }

    #[test]
    fn a_probability_is_never_a_certainty() {
        for (probability, text, words) in [
            (0.0, "under 1\u{a0}%", "almost certainly not"),
            (0.094, "9\u{a0}%", "very unlikely"),
            (0.5, "50\u{a0}%", "as likely as not"),
            (0.97, "97\u{a0}%", "very likely"),
            (1.0, "over 99\u{a0}%", "almost certain"),
        ] {
            assert_eq!((percent(probability).as_str(), likelihood(probability)), (text, words));
        }
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

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(path_segment("Käfer & \"x\"/../?#"), "K%C3%A4fer%20%26%20%22x%22%2F..%2F%3F%23");
    }
}
