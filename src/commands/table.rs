//! Tables and figures for people on a terminal.

use std::io::IsTerminal;

use comfy_table::Table;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::Credits;

/// A table with a header, without lines, as the tools of this field print them.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    table
}

/// Whether colour helps: only on a terminal.
pub fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Credits as people read them: whole, with thousands apart; `-` when unknown.
pub fn credits(amount: Option<Credits>) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| group_thousands(&format!("{amount:.0}")))
}

fn group_thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut grouped = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// An instant in a zone, to the minute, with its offset.
pub fn moment(instant: Option<Timestamp>, zone: &TimeZone) -> String {
    instant.map_or_else(
        || "-".to_owned(),
        |instant| instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string(),
    )
}

/// A probability as a whole percentage, never rounded to a certainty that it is not.
pub fn percent(probability: f64) -> String {
    match probability {
        p if p > 0.0 && p < 0.01 => "<1 %".to_owned(),
        p if p > 0.99 && p < 1.0 => ">99 %".to_owned(),
        p => format!("{:.0} %", p * 100.0),
    }
}

/// A length of time in its largest sensible unit, for ages.
pub fn age(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        for (micros, text) in [(0, "0"), (999_600_000, "1 000"), (-12_345_678_900_000, "-12 345 679"), (400_000, "0")] {
            assert_eq!(credits(Some(Credits::from_micros(micros))), text);
        }
        assert_eq!(credits(None), "-");
        for (probability, text) in [(0.0, "0 %"), (0.004, "<1 %"), (0.426, "43 %"), (0.9951, ">99 %"), (1.0, "100 %")] {
            assert_eq!(percent(probability), text);
        }
        for (seconds, text) in [(-5, "0 s"), (59, "59 s"), (600, "10 min"), (86_400, "24 h"), (400_000, "4 days")] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text);
        }
    }
}
