//! Which kinds of task and which qualities the form offers: what the team has launched, what others on its accounts have, and
//! what the price sheets list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::estimate::continues;
use crate::domain::{PriceSheet, Snapshot, TotalsRow};
use crate::http::form::{Choice, Typed};
use crate::http::words::counted;

/// So many of each are offered; whoever means another types it.
const MOST_OFFERED: usize = 200;

/// What is offered.
#[derive(Debug, Default, PartialEq)]
pub struct Offered {
    /// Kinds of task, the most usual first.
    pub kinds: Vec<Choice>,
    /// Qualities of the kind that is asked about, or of all.
    pub qualities: Vec<Choice>,
}

/// How a word is known: the smaller, the nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    /// The team finished so many; those of a larger number come first.
    Own(std::cmp::Reverse<u64>),
    /// Others on the account have.
    Others,
    /// The platform lists it.
    Sheet,
}

impl From {
    fn in_words(self) -> String {
        match self {
            From::Own(std::cmp::Reverse(tasks)) => counted(tasks, "finished task", "finished tasks"),
            From::Others => "launched by others".to_owned(),
            From::Sheet => "in the price sheet".to_owned(),
        }
    }
}

/// What the form offers to who has typed this.
pub fn offered(snapshot: &Snapshot, prices: &dyn Fn(&str) -> Option<Arc<PriceSheet>>, typed: &Typed) -> Offered {
    let is_named = |name: &str, found: &str| typed.get(name).is_none_or(|named| named == found);
    let mut words: Vec<(String, String, From)> = Vec::new();
    let row = |row: &TotalsRow, from| (row.task_type.clone(), row.quality.clone(), from);
    for account in &snapshot.accounts {
        let is_drawn_on = account.draws.iter().any(|draw| is_named("team", draw.key.team.as_str()));
        if !is_drawn_on || !is_named("account", account.account.as_str()) {
            continue;
        }
        for draw in &account.draws {
            let is_own = is_named("team", draw.key.team.as_str());
            let from = |row: &TotalsRow| if is_own { From::Own(std::cmp::Reverse(row.finished)) } else { From::Others };
            words.extend(draw.totals.iter().map(|found| row(found, from(found))));
        }
        words.extend(account.unassigned.totals.iter().map(|found| row(found, From::Others)));
        let sheet = prices(account.account.as_str());
        for line in sheet.iter().flat_map(|sheet| &sheet.lines) {
            words.push((line.task_type.clone(), line.quality.clone().unwrap_or_default(), From::Sheet));
        }
    }
    let kinds = nearest(words.iter().map(|(kind, _, from)| (kind.as_str(), *from)));
    let names: BTreeSet<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
    let launched = kinds.iter().filter(|(_, from)| *from != From::Sheet).map(|(kind, _)| *kind).collect();
    let families = families(&launched);
    let asked = typed.get("task").map(String::as_str).unwrap_or_default();
    let is_known = names.contains(asked) || families.iter().any(|family| family == asked);
    let is_asked = |kind: &str| !is_known || kind == asked || continues(asked, kind);
    let of_asked = words.iter().filter(|(kind, ..)| is_asked(kind));
    let qualities = nearest(of_asked.map(|(_, quality, from)| (quality.as_str(), *from)));
    let choice = |(word, from): (&str, From)| Choice { value: word.to_owned(), label: from.in_words() };
    let family = |family: &String| Choice { value: family.clone(), label: "with all its steps".to_owned() };
    Offered {
        kinds: families.iter().map(family).chain(kinds.iter().copied().map(choice)).take(MOST_OFFERED).collect(),
        qualities: qualities.into_iter().map(choice).take(MOST_OFFERED).collect(),
    }
}

/// Every word once, in the order in which it is known; what a team finished of it is added up.
fn nearest<'a>(words: impl Iterator<Item = (&'a str, From)>) -> Vec<(&'a str, From)> {
    let mut known: BTreeMap<&str, From> = BTreeMap::new();
    for (word, from) in words.filter(|(word, _)| !word.is_empty()) {
        let together = match (known.get(word), from) {
            (Some(From::Own(before)), From::Own(more)) => From::Own(std::cmp::Reverse(before.0 + more.0)),
            (Some(before), from) => from.min(*before),
            (None, from) => from,
        };
        known.insert(word, together);
    }
    let mut known: Vec<(&str, From)> = known.into_iter().collect();
    known.sort_by_key(|(_, from)| *from);
    known
}

/// The words that stand for several kinds: `text-to-3d` where there are `text-to-3d-preview` and `text-to-3d-refine`. Of
/// those that hold another one, none.
fn families(kinds: &BTreeSet<&str>) -> Vec<String> {
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in kinds {
        for (dash, _) in kind.match_indices('-').filter(|(dash, _)| *dash > 0) {
            *members.entry(&kind[..dash]).or_default() += 1;
        }
    }
    let several: Vec<&str> = members.iter().filter(|(_, members)| **members > 1).map(|(word, _)| *word).collect();
    let is_deepest = |word: &&&str| !several.iter().any(|other| continues(word, other));
    // A kind that is called so stands for itself alone.
    let families = several.iter().filter(is_deepest).filter(|word| !kinds.contains(**word));
    families.map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_longest_word_that_several_kinds_continue() {
        for (kinds, expected) in [
            (&["text-to-3d-preview", "text-to-3d-refine", "text-to-image", "rig"][..], &["text-to-3d"][..]),
            (&["text-to-3d-preview", "text-to-image"], &["text-to"]),
            (&["text-to-3d", "text-to-3d-refine", "text-to-3d-preview"], &[]),
            (&["-a-b", "-a-c"], &["-a"]),
            (&["rig", "rig2", "ä-b-1", "ä-b-2"], &["ä-b"]),
            (&[], &[]),
        ] {
            assert_eq!(families(&kinds.iter().copied().collect()), expected, "{kinds:?}");
        }
    }

    #[test]
    fn what_the_team_launches_most_comes_first() {
        let own = |tasks| From::Own(std::cmp::Reverse(tasks));
        let words =
            [("c", From::Sheet), ("a", own(3)), ("b", own(2)), ("b", own(2)), ("c", From::Others), ("", own(9))];
        assert_eq!(nearest(words.into_iter()), [("b", own(4)), ("a", own(3)), ("c", From::Others)]);
    }
}
