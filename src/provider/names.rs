//! Texts from outside, made fit to keep and to show.

use crate::domain::account::is_unprintable;

/// Longest text that is kept, in characters. A longer name is cut; a longer id is refused, for two could become one.
pub(super) const LONGEST_TEXT: usize = 256;

/// A text without characters that hide or turn round what a person reads: each is replaced.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A name, cut where it is too long: that is no reason to lose what it belongs to.
pub(super) fn clipped(text: String) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        None => text,
        Some(_) => text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect(),
    }
}

/// The beginning of a text, for a message.
pub(super) fn shorten(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !is_unprintable(*c)).take(40).collect();
    if clean.len() < text.len() { format!("{clean}…") } else { clean }
}
