//! Tables and figures for people on a terminal.

use std::io::IsTerminal;

use comfy_table::Table;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::Credits;
use crate::domain::words::amount;
pub use crate::domain::words::percent;

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

/// Credits as people read them; `-` when unknown.
pub fn credits(credits: Option<Credits>) -> String {
    credits.map_or_else(|| "-".to_owned(), amount)
}

/// An instant in a zone, to the minute, with its offset.
pub fn moment(instant: Option<Timestamp>, zone: &TimeZone) -> String {
    instant.map_or_else(
        || "-".to_owned(),
        |instant| instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string(),
    )
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
        assert_eq!(credits(Some(Credits::from_whole(-12_345))), "-12,345");
        assert_eq!(credits(None), "-");
        for (seconds, text) in [(-5, "0 s"), (59, "59 s"), (600, "10 min"), (86_400, "24 h"), (400_000, "4 days")] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text);
        }
    }
}
