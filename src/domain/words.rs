//! Figures as people read them, the same on the page, in mails and on the terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::assessment::AccountAssessment;
use super::credits::Credits;

/// Credits without the unit: whole from ten up, fewer digits than the ledger has below; thousands apart.
pub fn amount(credits: Credits) -> String {
    let magnitude = credits.micros().unsigned_abs();
    let text = match magnitude {
        _ if magnitude.is_multiple_of(1_000_000) => format!("{credits:.0}"),
        10_000_000.. => format!("{credits:.0}"),
        1_000_000.. => format!("{credits:.1}"),
        _ => format!("{credits:.2}"),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = with_separators(digits);
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// Credits short enough to stand beside a picture on a phone: `4,000`, `15k`, `2.5M`. Not below zero.
pub fn short(credits: f64) -> String {
    let (value, unit) = match credits {
        c if c >= 1e6 => (c / 1e6, "M"),
        c if c >= 1e4 => (c / 1e3, "k"),
        c => (c, ""),
    };
    Credits::from_statistic(value).map_or_else(String::new, |value| amount(value) + unit)
}

/// A date: `Thu 26 Nov`, with the year where it is another than that of `now`.
pub fn date(instant: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let then = instant.to_zoned(zone.clone());
    let is_this_year = then.year() == now.to_zoned(zone.clone()).year();
    then.strftime(if is_this_year { "%a %-d %b" } else { "%a %-d %b %Y" }).to_string()
}

/// `1,234` from a count.
pub fn count(value: u64) -> String {
    with_separators(&value.to_string())
}

/// `1 task`, `1,234 tasks`.
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(value), if value == 1 { singular } else { plural })
}

fn with_separators(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A probability (0 to 1) in percent. The ends are never reached: a forecast is not a certainty.
pub fn percent(probability: f64) -> String {
    match probability * 100.0 {
        percent if percent >= 99.5 => "over 99%".into(),
        percent if percent < 0.5 => "under 1%".into(),
        percent => format!("{percent:.0}%"),
    }
}

/// A probability (0 to 1) in words.
pub fn likelihood(probability: f64) -> &'static str {
    match probability {
        0.95.. => "almost certain",
        0.8.. => "very likely",
        0.6.. => "likely",
        0.4.. => "as likely as not",
        0.1.. => "possible",
        0.01.. => "unlikely",
        _ => "almost certainly not",
    }
}

/// Whose use comes on top of a team's where an account's limit is shared.
pub fn other_use(account: &AccountAssessment) -> &'static str {
    match account.draws.len() {
        ..2 => "with the use that belongs to no team",
        _ => "with the other teams' use",
    }
}

/// A name as one segment of a URL's path (RFC 3986, section 3.3).
pub fn path_segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(char::from(byte)),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_no_more_digits_than_people_want() {
        for (credits, text) in [
            ("0", "0"),
            ("1240", "1,240"),
            ("1234567", "1,234,567"),
            ("-1234", "-1,234"),
            ("999.6", "1,000"),
            ("12.34", "12"),
            ("9.96", "10"),
            ("3.5", "3.5"),
            ("0.125", "0.13"),
            ("0.5", "0.5"),
            ("96.04", "96"),
            ("0.001", "0"),
            ("100.4", "100"),
        ] {
            assert_eq!(amount(Credits::parse(credits).unwrap()), text, "{credits}");
        }
        for (credits, label) in [(0.0, "0"), (0.5, "0.5"), (4000.0, "4,000"), (15_000.0, "15k"), (2.5e6, "2.5M")] {
            assert_eq!(short(credits), label);
        }
        assert_eq!(counted(1, "task", "tasks"), "1 task");
        assert_eq!(counted(1000, "task", "tasks"), "1,000 tasks");
    }

    #[test]
    fn a_probability_is_never_a_certainty() {
        for (probability, text, words) in [
            (0.0, "under 1%", "almost certainly not"),
            (0.004, "under 1%", "almost certainly not"),
            (0.094, "9%", "unlikely"),
            (0.5, "50%", "as likely as not"),
            (0.84, "84%", "very likely"),
            (0.9949, "99%", "almost certain"),
            (1.0, "over 99%", "almost certain"),
        ] {
            assert_eq!((percent(probability).as_str(), likelihood(probability)), (text, words));
        }
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(path_segment("Käfer & \"x\"/../?#"), "K%C3%A4fer%20%26%20%22x%22%2F..%2F%3F%23");
    }
}
