//! How a history writes moments and amounts.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::domain::Credits;
use crate::provider::names::shorten;

/// Times outside these are a slip of the format (seconds taken for milliseconds, a zero), not a moment.
const EARLIEST_SECOND: i64 = 946_684_800; // 2000-01-01
const LATEST_SECOND: i64 = 4_102_444_800; // 2100-01-01

/// How moments are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum TimeFormat {
    /// `2026-01-31T09:30:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMs,
    /// By a pattern of strftime, read in a zone where the text names none.
    Pattern { pattern: String, zone: TimeZone },
}

impl TimeFormat {
    /// The format of a word or a pattern; `zone` is where a time without an offset is read.
    ///
    /// # Errors
    /// Neither a word nor a pattern that gives a day.
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<TimeFormat, String> {
        match text {
            "rfc3339" => return Ok(TimeFormat::Rfc3339),
            "epoch_seconds" => return Ok(TimeFormat::EpochSeconds),
            "epoch_ms" => return Ok(TimeFormat::EpochMs),
            _ => {}
        }
        let expected = "expected `rfc3339`, `epoch_seconds`, `epoch_ms` or a pattern such as `%d.%m.%Y %H:%M`";
        if !text.contains('%') {
            return Err(format!("{expected}, found `{}`", shorten(text)));
        }
        let format = TimeFormat::Pattern { pattern: text.to_owned(), zone: zone.clone() };
        // A moment written by the pattern must be read by it: a pattern without a year, say, is not.
        let example = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_790_000_000);
        let written = strtime::format(text, &example.to_zoned(zone.clone()));
        let written = written.map_err(|error| format!("{expected}: `{}`: {error}", shorten(text)))?;
        format.read(&written).map_err(|_| format!("the pattern `{}` says no day and year", shorten(text)))?;
        Ok(format)
    }

    /// The moment that a text says.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(super) fn read(&self, text: &str) -> Result<Timestamp, String> {
        let at = match self {
            TimeFormat::Rfc3339 => text.parse().ok(),
            TimeFormat::EpochSeconds => text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()),
            TimeFormat::EpochMs => text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            TimeFormat::Pattern { pattern, zone } => by_pattern(text, pattern, zone),
        };
        let at = at.ok_or_else(|| format!("expected {}, found `{}`", self.example(), shorten(text)))?;
        if !(EARLIEST_SECOND..LATEST_SECOND).contains(&at.as_second()) {
            return Err(format!("expected a time between 2000 and 2100, found `{}`", shorten(text)));
        }
        Ok(at)
    }

    fn example(&self) -> String {
        match self {
            TimeFormat::Rfc3339 => "a time such as `2026-01-31T09:30:00Z`".to_owned(),
            TimeFormat::EpochSeconds => "a time as seconds since 1970".to_owned(),
            TimeFormat::EpochMs => "a time as milliseconds since 1970".to_owned(),
            TimeFormat::Pattern { pattern, .. } => format!("a time written as `{pattern}`"),
        }
    }
}

/// A time that the clocks skipped is taken as far behind the gap as it lies in it; of two that they repeated, the first.
fn by_pattern(text: &str, pattern: &str, zone: &TimeZone) -> Option<Timestamp> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if parsed.offset().is_some()
        && let Ok(at) = parsed.to_timestamp()
    {
        return Some(at);
    }
    let local =
        parsed.to_datetime().ok().or_else(|| Some(parsed.to_date().ok()?.to_datetime(jiff::civil::Time::MIN)))?;
    zone.to_ambiguous_zoned(local).compatible().ok().map(|zoned| zoned.timestamp())
}

/// Which sign a charge has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ChargeSign {
    /// Charges are zero or more; nothing else may stand there.
    #[default]
    Unsigned,
    /// Charges are above zero, and an amount below zero came back.
    Positive,
    /// Charges are below zero, as in an account's statement, and an amount above zero came back.
    Negative,
}

/// How amounts are written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AmountFormat {
    /// How many credits one of what stands there is; `None`: credits stand there.
    pub(super) credits_per_unit: Option<Credits>,
    /// Between the whole and its parts.
    pub(super) decimal: char,
    /// Between thousands.
    pub(super) thousands: Option<char>,
    pub(super) sign: ChargeSign,
}

impl Default for AmountFormat {
    fn default() -> AmountFormat {
        AmountFormat { credits_per_unit: None, decimal: '.', thousands: None, sign: ChargeSign::Unsigned }
    }
}

impl AmountFormat {
    /// The credits that a text says, of either sign.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(super) fn read(&self, text: &str) -> Result<Credits, String> {
        let is_plain = self.decimal == '.' && self.thousands.is_none();
        let amount = match is_plain {
            true => Credits::parse(text),
            false => Credits::parse(&self.in_plain_digits(text)?),
        };
        let amount = amount.map_err(|error| error.to_string())?;
        let Some(unit) = self.credits_per_unit else { return Ok(amount) };
        let product = i128::from(amount.micros()) * i128::from(unit.micros());
        let credits = i64::try_from(product / 1_000_000).ok().map(Credits::from_micros);
        match credits.filter(|credits| *credits <= Credits::MAX_PARSED && *credits >= -Credits::MAX_PARSED) {
            Some(credits) if product % 1_000_000 == 0 => Ok(credits),
            Some(_) => Err(format!("`{}` times {unit} has more than six decimals", shorten(text))),
            None => Err(format!("`{}` times {unit} is more than {} credits", shorten(text), Credits::MAX_PARSED)),
        }
    }

    /// The text with a point before the decimals and nothing between thousands.
    fn in_plain_digits(&self, text: &str) -> Result<String, String> {
        let mut plain = String::with_capacity(text.len());
        for c in text.trim().chars() {
            match c {
                c if Some(c) == self.thousands => {}
                c if c == self.decimal => plain.push('.'),
                '.' => {
                    return Err(format!("expected `{}` before the decimals, found `{}`", self.decimal, shorten(text)));
                }
                c => plain.push(c),
            }
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        for (format, text, expected) in [
            ("rfc3339", "2026-01-31T10:30:00+01:00", Ok("2026-01-31T09:30:00Z")),
            ("epoch_seconds", "1769851800", Ok("2026-01-31T09:30:00Z")),
            ("epoch_ms", "1769851800000", Ok("2026-01-31T09:30:00Z")),
            ("%d.%m.%Y %H:%M", "31.01.2026 10:30", Ok("2026-01-31T09:30:00Z")),
            ("%m/%d/%Y %I:%M %p", "01/31/2026 10:30 am", Ok("2026-01-31T09:30:00Z")),
            ("%Y-%m-%d", "2026-01-31", Ok("2026-01-30T23:00:00Z")),
            ("%Y-%m-%d %H:%M:%S %z", "2026-01-31 10:30:00 +0200", Ok("2026-01-31T08:30:00Z")),
            // The clocks go forward from 2 to 3, and back from 3 to 2.
            ("%Y-%m-%d %H:%M", "2026-03-29 02:30", Ok("2026-03-29T01:30:00Z")),
            ("%Y-%m-%d %H:%M", "2026-10-25 02:30", Ok("2026-10-25T00:30:00Z")),
            ("rfc3339", "31.01.2026", Err("expected a time such as `2026-01-31T09:30:00Z`, found `31.01.2026`")),
            ("epoch_seconds", "1769851800000", Err("expected a time as seconds since 1970, found `1769851800000`")),
            ("epoch_ms", "1769851800", Err("expected a time between 2000 and 2100, found `1769851800`")),
            ("epoch_ms", "0", Err("expected a time between 2000 and 2100, found `0`")),
            ("%Y-%m-%d", "31.01.2026", Err("expected a time written as `%Y-%m-%d`, found `31.01.2026`")),
        ] {
            let read = TimeFormat::parse(format, &berlin()).unwrap().read(text);
            let expected = expected.map(|at| at.parse::<Timestamp>().unwrap()).map_err(str::to_owned);
            assert_eq!(read, expected, "{format} {text}");
        }
    }

    #[test]
    fn a_format_that_gives_no_moment_is_refused() {
        for (format, expected) in [
            ("iso", "expected `rfc3339`, `epoch_seconds`, `epoch_ms` or a pattern"),
            ("%H:%M", "the pattern `%H:%M` says no day and year"),
            ("%d.%m. %H:%M", "says no day and year"),
            ("%Q7", "the pattern `%Q7` says no day and year"),
            ("%!", "expected `rfc3339`"),
        ] {
            let error = TimeFormat::parse(format, &berlin()).unwrap_err();
            assert!(error.contains(expected), "{format}: {error}");
        }
    }

    #[test]
    fn amounts_are_exact_in_any_unit_and_spelling() {
        let format = |unit: &str, decimal: char, thousands: Option<char>| AmountFormat {
            credits_per_unit: Some(unit).filter(|unit| !unit.is_empty()).map(|unit| Credits::parse(unit).unwrap()),
            decimal,
            thousands,
            sign: ChargeSign::Unsigned,
        };
        for (unit, decimal, thousands, text, expected) in [
            ("", '.', None, "2.5", Ok("2.5")),
            ("0.01", '.', None, "250", Ok("2.5")),
            ("100", '.', None, "0.25", Ok("25")),
            ("", ',', Some('.'), "1.234,50", Ok("1234.5")),
            ("", '.', Some(','), "-1,234.5", Ok("-1234.5")),
            ("", ',', None, "1.5", Err("expected `,` before the decimals, found `1.5`")),
            ("0.01", '.', None, "0.00001", Err("`0.00001` times 0.01 has more than six decimals")),
            ("1000", '.', None, "999999999", Err("`999999999` times 1000 is more than 1000000000 credits")),
            ("", '.', None, "many", Err("expected a decimal number of credits, found `many`")),
        ] {
            let read = format(unit, decimal, thousands).read(text).map(|credits| credits.to_string());
            assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned), "{unit} {text}");
        }
    }
}
