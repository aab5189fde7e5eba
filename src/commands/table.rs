//! Tables and figures for people on a terminal.

use std::io::IsTerminal;

use comfy_table::Table;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::Credits;
use crate::domain::words::amount;
pub use crate::domain::words::percent;

/// Sentences are broken at this width: half a screen, as mails are.
pub const COLUMNS: usize = 72;

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

/// A text in lines of at most so many characters, broken at spaces; a longer word has a line of its own.
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 {
            let is_full = width + 1 + length > columns;
            lines.push(if is_full { '\n' } else { ' ' });
            width = if is_full { 0 } else { width + 1 };
        }
        lines.push_str(word);
        width += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_at_spaces() {
        for (text, lines) in [("", ""), ("a bb ccc", "a bb\nccc"), ("aaaaaaa b", "aaaaaaa\nb"), ("ä ö ü", "ä ö ü")]
        {
            assert_eq!(wrapped(text, 5), lines, "{text}");
        }
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(credits(Some(Credits::from_whole(-12_345))), "-12,345");
        assert_eq!(credits(None), "-");
        for (seconds, text) in [(-5, "0 s"), (59, "59 s"), (600, "10 min"), (86_400, "24 h"), (400_000, "4 days")] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text);
        }
    }
}
