//! Keeps the number of series in bounds: platforms name task types and qualities as they like.

use std::collections::BTreeSet;

use crate::domain::AccountAssessment;

/// Task types that one account exports.
pub const MOST_TASK_TYPES: usize = 50;
/// Qualities that one account exports.
pub const MOST_QUALITIES: usize = 20;
/// The label that stands for all others.
pub const OTHER: &str = "other";

/// Which of an account's words are exported as they are.
///
/// The first in alphabetical order are kept. That choice needs no memory, so it is the same after a restart; and a new
/// word can only push words into the rest, never take one out, so that the sum of the rest never falls.
pub(super) struct Fold<'a> {
    task_types: BTreeSet<&'a str>,
    qualities: BTreeSet<&'a str>,
    /// How many task types are summed as `other`.
    pub(super) folded_task_types: usize,
    /// How many qualities are summed as `other`.
    pub(super) folded_qualities: usize,
}

impl<'a> Fold<'a> {
    /// Looks through everything the account has been charged for.
    pub(super) fn of(account: &'a AccountAssessment) -> Fold<'a> {
        let rows = || account.unassigned.totals.iter().chain(account.draws.iter().flat_map(|draw| &draw.totals));
        let of_draws = account.draws.iter().flat_map(|draw| &draw.retries);
        let retried = account.unassigned.retries.iter().chain(of_draws).map(|row| row.task_type.as_str());
        let task_types = rows().map(|row| row.task_type.as_str()).chain(retried);
        let (task_types, folded_task_types) = first(task_types.collect(), MOST_TASK_TYPES);
        let (qualities, folded_qualities) = first(rows().map(|row| row.quality.as_str()).collect(), MOST_QUALITIES);
        Fold { task_types, qualities, folded_task_types, folded_qualities }
    }

    /// The label of a task type.
    pub(super) fn task_type<'b>(&self, word: &'b str) -> &'b str {
        if self.task_types.contains(word) { word } else { OTHER }
    }

    /// The label of a quality.
    pub(super) fn quality<'b>(&self, word: &'b str) -> &'b str {
        if self.qualities.contains(word) { word } else { OTHER }
    }
}

/// The last word, in alphabetical order, that is exported as it is, of all the words of an account and the most that are;
/// `None` if every word is.
pub fn last_kept<'a>(words: &BTreeSet<&'a str>, most: usize) -> Option<&'a str> {
    words.iter().nth(most.checked_sub(1)?).copied().filter(|_| words.len() > most)
}

fn first(words: BTreeSet<&str>, most: usize) -> (BTreeSet<&str>, usize) {
    let folded = words.len().saturating_sub(most);
    (words.into_iter().take(most).collect(), folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_up_to_the_last_one_kept_are_those_that_are_kept() {
        let words: BTreeSet<&str> = ["", "a", "b", "ä", "z"].into();
        for most in 0..7 {
            let (kept, folded) = first(words.clone(), most);
            let last = last_kept(&words, most);
            assert_eq!(last.is_none(), folded == 0 || most == 0, "{most}");
            if let Some(last) = last {
                assert!(words.iter().all(|word| kept.contains(word) == (*word <= last)), "{most}: {last}");
            }
        }
    }
}
