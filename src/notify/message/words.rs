//! Amounts, times and chances as people read them, and foreign text made harmless.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit, Zoned};

use crate::domain::Credits;
use crate::domain::account::is_unprintable;
use crate::domain::words::likelihood;
pub(super) use crate::domain::words::{amount, count, path_segment, percent};

/// `1 credit`, `20 credits`.
pub(super) fn credits(amount_of: Credits) -> String {
    counted(&amount(amount_of), "credit")
}

/// A statistic as credits; `None` for what is no number.
pub(super) fn statistic(value: f64) -> Option<String> {
    Credits::from_statistic(value).map(credits)
}

/// `1 task`, `2 tasks`.
pub(super) fn counted(number: &str, noun: &str) -> String {
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A length of time, rounded: `40 minutes`, `7 hours`, `4 days`.
pub(super) fn span(length: SignedDuration) -> String {
    let minutes = (length.as_secs_f64() / 60.0).abs();
    let (number, noun) = match minutes {
        ..90.0 => (minutes, "minute"),
        ..2880.0 => (minutes / 60.0, "hour"),
        _ => (minutes / 1440.0, "day"),
    };
    counted(&format!("{number:.0}"), noun)
}

/// A threshold in percent, exact.
pub(super) fn threshold(probability: f64) -> String {
    format!("{}%", (probability * 1000.0).round() / 10.0)
}

/// A share (0 to 1) in percent: unlike a chance it may be all.
pub(super) fn part(share: f64) -> String {
    if share >= 0.995 { "100%".into() } else { percent(share) }
}

/// A chance in words, for the beginning of a sentence.
pub(super) fn chance(probability: f64) -> String {
    capitalised(likelihood(probability))
}

/// A sentence as it goes on after a few words.
pub(super) fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A chance as what the credits do.
pub(super) fn run_out_verb(probability: f64) -> &'static str {
    match probability {
        0.95.. => "will almost certainly run out",
        0.8.. => "will very likely run out",
        0.6.. => "will probably run out",
        _ => "may well run out",
    }
}

/// What a task is called: its type, with the quality where one is said.
pub(super) fn kind_of_task(task_type: &str, quality: &str) -> String {
    let (task_type, quality) = (clean(task_type, 60), clean(quality, 40));
    match (task_type.is_empty(), quality.is_empty()) {
        (true, _) => "(no task type)".into(),
        (false, true) => task_type,
        (false, false) => format!("{task_type} ({quality})"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(parts: &[String]) -> String {
    joined(parts, "and")
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn either(parts: &[String]) -> String {
    joined(parts, "or")
}

fn joined(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// A text with its first letter made large.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Whether a name reads as it is: one that hides something cannot be read off a command.
pub(super) fn is_readable(name: &str) -> bool {
    clean(name, usize::MAX) == name
}

/// A text as one word of a command for a POSIX shell, whatever is in it.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A command over as many lines as it needs to be narrow: its parts, each of them whole.
pub(super) fn command(parts: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() + 3 <= COMMAND_COLUMNS => {
                line.push(' ');
                line.push_str(&part);
            }
            Some(line) => {
                line.push_str(" \\");
                lines.push(format!("  {part}"));
            }
            None => lines.push(part),
        }
    }
    lines
}

/// How a command is indented in the text part.
const COMMAND_INDENT: &str = "    ";

/// Columns of a command: what the indent of the text part leaves.
const COMMAND_COLUMNS: usize = 68;

/// Times as the reader's clock shows them.
pub(super) struct ReaderClock<'a> {
    zone: &'a TimeZone,
    now: Zoned,
}

impl<'a> ReaderClock<'a> {
    /// The clock of a reader in `zone` who reads at `now`.
    pub(super) fn new(zone: &'a TimeZone, now: Timestamp) -> ReaderClock<'a> {
        ReaderClock { zone, now: now.to_zoned(zone.clone()) }
    }

    /// `Thursday 26 November, 14:00 (UTC+01:00)`.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        format!("{}, {} ({})", self.day_of(&at), at.strftime("%H:%M"), utc_offset(&at))
    }

    /// As [`ReaderClock::moment`], no finer than a forecast is: the hour, or ten minutes within the next six hours.
    pub(super) fn rough_moment(&self, at: Timestamp) -> String {
        let soon = at.duration_since(self.now.timestamp()) < SignedDuration::from_hours(6);
        let step = if soon { (Unit::Minute, 10) } else { (Unit::Hour, 1) };
        let zoned = at.to_zoned(self.zone.clone());
        self.moment(zoned.round(step).map_or(at, |rounded| rounded.timestamp()))
    }

    /// `between 25 and 29 November`; `on 25 November` for two moments of one day.
    pub(super) fn between(&self, early: Timestamp, late: Timestamp) -> String {
        let (first, last) = (early.to_zoned(self.zone.clone()), late.to_zoned(self.zone.clone()));
        if first.date() == last.date() {
            format!("on {}", self.short_day(late))
        } else if (first.year(), first.month()) == (last.year(), last.month()) {
            format!("between {} and {}", first.day(), self.short_day(late))
        } else {
            format!("between {} and {}", self.short_day(early), self.short_day(late))
        }
    }

    /// `26 November`.
    pub(super) fn short_day(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        at.strftime(if at.year() == self.now.year() { "%-d %B" } else { "%-d %B %Y" }).to_string()
    }

    /// `26 Nov`, for a table.
    pub(super) fn brief_day(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        at.strftime(if at.year() == self.now.year() { "%-d %b" } else { "%-d %b %y" }).to_string()
    }

    /// `26 November`, of a day of the calendar.
    pub(super) fn date(&self, day: Date) -> String {
        day.strftime(if day.year() == self.now.year() { "%-d %B" } else { "%-d %B %Y" }).to_string()
    }

    /// `16 to 23 November`, `30 November to 7 December`.
    pub(super) fn days_between(&self, from: Timestamp, to: Timestamp) -> String {
        let (first, last) = (from.to_zoned(self.zone.clone()), to.to_zoned(self.zone.clone()));
        if (first.year(), first.month()) == (last.year(), last.month()) {
            format!("{} to {}", first.day(), self.short_day(to))
        } else {
            format!("{} to {}", self.short_day(from), self.short_day(to))
        }
    }

    /// A day after another moment: `29 November`; with the time where it is the same day.
    pub(super) fn later_day(&self, at: Timestamp, than: Timestamp) -> String {
        let later = at.to_zoned(self.zone.clone());
        let is_same = later.date() == than.to_zoned(self.zone.clone()).date();
        let time = if is_same { later.strftime(", %H:%M").to_string() } else { String::new() };
        format!("{}{time}", self.short_day(at))
    }

    /// `14:00` of the same day; as [`ReaderClock::moment`] of another.
    pub(super) fn time_today(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        if zoned.date() == self.now.date() { zoned.strftime("%H:%M").to_string() } else { self.moment(at) }
    }

    /// `1 December`: the day of a reset, for the subject. With the time where days are too coarse.
    pub(super) fn deadline(&self, at: Timestamp, period: SignedDuration) -> String {
        let at = at.to_zoned(self.zone.clone());
        let is_short = period < SignedDuration::from_hours(48);
        let form = if is_short && at.time() != Time::midnight() { "%-d %B, %H:%M" } else { "%-d %B" };
        at.strftime(form).to_string()
    }

    /// The zone's name.
    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    fn day_of(&self, at: &Zoned) -> String {
        let form = if at.year() == self.now.year() { "%A %-d %B" } else { "%A %-d %B %Y" };
        at.strftime(form).to_string()
    }
}

fn utc_offset(at: &Zoned) -> String {
    let minutes = at.offset().seconds() / 60;
    if minutes == 0 {
        return "UTC".into();
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// Foreign text for a body: one line, nothing that hides or turns round, at most `longest` characters.
pub(super) fn clean(text: &str, longest: usize) -> String {
    let mut clean: String = text.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).take(longest).collect();
    if text.chars().nth(longest).is_some() {
        clean.pop();
        clean.push('…');
    }
    clean
}

/// Text for a header: as [`clean`], and nothing in it can be taken for an encoded word, which a reader would decode.
pub(super) fn header_text(text: &str) -> String {
    clean(text.trim(), 200).replace("=?", "= ?")
}

fn is_deceptive(c: char) -> bool {
    let is_invisible =
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    is_unprintable(c) || is_invisible
}

/// Breaks lines at spaces. What is indented by four is a command, and stays as it is. What continues a line is indented as it is, or as its text is in a list (`- …`). A word
/// longer than a line, such as a link, stays whole.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_end();
        let body = line.trim_start();
        let indent = line.len() - body.len() + if body.starts_with("- ") { 2 } else { 0 };
        let columns = if line.starts_with(COMMAND_INDENT) { usize::MAX } else { columns };
        let mut rest = line;
        let mut width = columns;
        loop {
            let Some(end) = break_before(rest, width) else {
                wrapped.push_str(rest);
                wrapped.push('\n');
                break;
            };
            wrapped.push_str(rest[..end].trim_end());
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            rest = rest[end..].trim_start();
            width = columns.saturating_sub(indent);
        }
    }
    wrapped
}

/// Where to break a line that is wider than `width`: the last space within it, or the first behind it.
fn break_before(line: &str, width: usize) -> Option<usize> {
    let limit = line.char_indices().nth(width).map(|(at, c)| at + c.len_utf8())?;
    let start = line.len() - line.trim_start().trim_start_matches("- ").len();
    let within = line[start..limit.max(start)].rfind(' ').map(|at| start + at);
    let found = within.or_else(|| line[start..].find(' ').map(|at| start + at))?;
    (!line[found..].trim().is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_chances() {
        for (minutes, text) in [
            (0, "0 minutes"),
            (1, "1 minute"),
            (89, "89 minutes"),
            (90, "2 hours"),
            (47 * 60, "47 hours"),
            (48 * 60, "2 days"),
            (-4 * 1440, "4 days"),
        ] {
            assert_eq!(span(SignedDuration::from_mins(minutes)), text);
        }
        assert_eq!((chance(0.84).as_str(), chance(0.5).as_str()), ("Very likely", "As likely as not"));
        assert_eq!(credits(Credits::from_whole(1)), "1 credit");
        assert_eq!((threshold(0.8).as_str(), threshold(0.125).as_str()), ("80%", "12.5%"));
    }

    #[test]
    fn moments_carry_their_own_offset() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-10-20T10:07:00Z".parse().unwrap();
        let clock = ReaderClock::new(&berlin, now);
        for (at, text) in [
            ("2026-10-24T12:00:00Z", "Saturday 24 October, 14:00 (UTC+02:00)"),
            ("2026-11-01T23:00:00Z", "Monday 2 November, 00:00 (UTC+01:00)"),
            ("2027-01-01T12:00:00Z", "Friday 1 January 2027, 13:00 (UTC+01:00)"),
        ] {
            assert_eq!(clock.moment(at.parse().unwrap()), text);
        }
        for (at, text) in [
            ("2026-10-24T12:31:00Z", "Saturday 24 October, 15:00 (UTC+02:00)"),
            ("2026-10-20T12:31:00Z", "Tuesday 20 October, 14:30 (UTC+02:00)"),
        ] {
            assert_eq!(clock.rough_moment(at.parse().unwrap()), text);
        }
        for (early, late, text) in [
            ("2026-10-24T12:00:00Z", "2026-10-29T12:00:00Z", "between 24 and 29 October"),
            ("2026-10-24T12:00:00Z", "2026-11-02T12:00:00Z", "between 24 October and 2 November"),
            ("2026-12-24T12:00:00Z", "2027-01-02T12:00:00Z", "between 24 December and 2 January 2027"),
            ("2026-10-23T22:30:00Z", "2026-10-24T12:00:00Z", "on 24 October"),
        ] {
            assert_eq!(clock.between(early.parse().unwrap(), late.parse().unwrap()), text);
        }
        let zone = TimeZone::UTC;
        let utc = ReaderClock::new(&zone, now);
        assert_eq!(utc.moment(now), "Tuesday 20 October, 10:07 (UTC)");
        assert_eq!(utc.deadline(now, SignedDuration::from_hours(24)), "20 October, 10:07");
        assert_eq!(utc.deadline(now, SignedDuration::from_hours(720)), "20 October");
    }

    #[test]
    fn foreign_text_is_harmless() {
        assert_eq!(clean("a\r\nb\u{202e}c\u{ad}", 80), "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean("abcd", 4), "abcd");
        assert_eq!(header_text(" =?utf-8?b?w6k=?= "), "= ?utf-8?b?w6k= ?=");
        assert_eq!(path_segment("Art & Ünter/.."), "Art%20%26%20%C3%9Cnter%2F..");
    }

    #[test]
    fn lines_break_at_spaces() {
        for (text, wrapped) in [
            ("one two three", "one two\nthree\n"),
            ("- one two three", "- one two\n  three\n"),
            ("  one two three", "  one two\n  three\n"),
            ("exactly 9", "exactly 9\n"),
            ("onelongwordalone", "onelongwordalone\n"),
            ("a onelongwordalone b", "a\nonelongwordalone\nb\n"),
            ("äöü äöü äöü", "äöü äöü\näöü\n"),
            ("", ""),
            ("a\n\nb  ", "a\n\nb\n"),
        ] {
            assert_eq!(wrap(text, 9), wrapped, "{text}");
        }
    }
}
