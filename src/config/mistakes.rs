//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything found wrong with a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One mistake. It prints as `FILE:LINE:COLUMN: accounts.studio.schedule: what is wrong`, with a `hint: …` on a line of
/// its own where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, where the mistake has a place in the file.
    pub position: Option<Position>,
    /// The way to the key, such as `accounts.studio.schedule` or `teams[2]`; empty for the file as a whole.
    pub at: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Counts from 1.
    pub line: u64,
    /// Counts characters from 1.
    pub column: u64,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    /// The way to the key, such as `accounts.studio.schedule`.
    pub(super) at: String,
}

/// Collects mistakes, so that one run shows them all.
#[derive(Debug)]
pub(super) struct Mistakes {
    path: PathBuf,
    found: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl Mistakes {
    pub(super) fn new(path: &Path) -> Mistakes {
        Mistakes { path: path.into(), found: Vec::new() }
    }

    /// Notes a mistake. A last line of the message that begins with `hint: ` becomes the hint, so that the errors of
    /// other modules can be passed on as they are.
    pub(super) fn add(&mut self, place: &Place, message: impl fmt::Display) {
        self.push(Some(place.position), &place.at, message.to_string());
    }

    /// Notes a mistake of the file as a whole, or of its syntax.
    pub(super) fn add_to_file(&mut self, position: Option<Position>, message: impl fmt::Display) {
        self.push(position, "", message.to_string());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether something was noted at or below a key.
    pub(super) fn concern(&self, at: &str) -> bool {
        let below = |error: &ConfigError| {
            error.at.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.found.iter().any(below)
    }

    /// Adds what was found wrong with a file that the configuration names.
    pub(super) fn take_over(&mut self, errors: ConfigErrors) {
        self.found.extend(errors.0);
    }

    /// What was noted, in the order of the file; what is wrong with files that it names comes after.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        let place = |error: &ConfigError| (error.path != self.path, error.path.clone(), error.position);
        self.found.sort_by_cached_key(place);
        ConfigErrors(self.found)
    }

    fn push(&mut self, position: Option<Position>, at: &str, text: String) {
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        self.found.push(ConfigError { path: self.path.clone(), position, at: at.into(), message, hint });
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.at.is_empty() {
            write!(f, " {}:", self.at)?;
        }
        write!(f, " {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl std::error::Error for ConfigErrors {}

/// A text from the file, safe to show on a terminal: shortened, and without characters that could hide something.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut clean: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if crate::domain::account::is_unprintable(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        clean.push('…');
    }
    clean
}

/// The word that somebody probably meant, if one is near.
pub(super) fn nearest<'a>(found: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    let farthest = (found.chars().count() / 3).max(1);
    let cost = |word: &str| {
        // `api_key` for `api_key_file`: a part of the word, not a slip.
        let is_part = found.chars().count() >= 4 && word.contains(&found);
        if is_part { farthest } else { distance(&found, word) }
    };
    let costs = words.into_iter().map(|word| (cost(&word.to_lowercase()), word));
    costs.filter(|(cost, _)| *cost <= farthest).min_by_key(|(cost, _)| *cost).map(|(_, word)| word)
}

/// Lists words as `` `a`, `b` or `c` ``.
pub(super) fn any_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// How many characters to insert, remove, replace or swap with their neighbour to get from one word to the other
/// (optimal string alignment, row by row).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let words = ["name", "platform", "schedule", "timezone", "api_key_file"];
        for (found, expected) in [
            ("shedule", Some("schedule")),
            ("scehdule", Some("schedule")),
            ("Platform", Some("platform")),
            ("time_zone", Some("timezone")),
            ("api_key", Some("api_key_file")),
            ("key", None),
            ("nmae", Some("name")),
            ("", None),
            ("credits", None),
        ] {
            assert_eq!(nearest(found, words), expected, "{found}");
        }
    }

    #[test]
    fn what_is_shown_cannot_play_tricks() {
        assert_eq!(shown("a\u{1b}[31mb\u{202e}"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(shown(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    }
}
