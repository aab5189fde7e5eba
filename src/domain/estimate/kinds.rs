//! Which kinds of task are meant, and which words somebody may have meant.

use super::{EstimateRequest, PastTask, UnknownCost};
use crate::domain::price::PriceSheet;

/// Whether a task type continues a word after a `-`, as `text-to-3d-refine` does `text-to-3d`. Nothing continues no word.
pub fn continues(word: &str, task_type: &str) -> bool {
    !word.is_empty() && task_type.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'))
}

/// The task types that a request means: the one that is called so, or failing that every one that continues its word after
/// a `-`. In alphabetical order.
///
/// # Errors
/// [`UnknownCost::TaskType`] if neither the past nor the price sheet knows any.
pub(super) fn matching_types(
    own: &[&PastTask],
    others: &[&PastTask],
    sheet: Option<&PriceSheet>,
    asked: &str,
) -> Result<Vec<String>, UnknownCost> {
    let of_past = |tasks: &[&PastTask]| distinct(tasks.iter().map(|task| task.task_type.as_str()));
    let listed: Vec<String> =
        sheet.map(|sheet| distinct(sheet.lines.iter().map(|line| line.task_type.as_str()))).unwrap_or_default();
    // What the team itself has launched is what it means; only then what others have, and what could be launched.
    let circles = [of_past(own), of_past(others), listed];
    for known in &circles {
        if known.iter().any(|known| known == asked) {
            return Ok(vec![asked.to_owned()]);
        }
    }
    for known in &circles {
        let matching: Vec<String> = known.iter().filter(|known| continues(asked, known)).cloned().collect();
        if !matching.is_empty() {
            return Ok(matching);
        }
    }
    let known = distinct(circles.iter().flatten().map(String::as_str));
    Err(UnknownCost::TaskType { asked: asked.into(), nearest: nearest(asked, &known) })
}

/// Tasks of one type, and of one quality if one is asked for; a type whose tasks name no quality counts whole.
pub(super) fn tasks_of<'a>(tasks: &[&'a PastTask], task_type: &str, quality: Option<&str>) -> Vec<&'a PastTask> {
    let of_type = || tasks.iter().copied().filter(|task| task.task_type == task_type);
    let names_quality = of_type().any(|task| !task.quality.is_empty());
    let is_it = |task: &&PastTask| !names_quality || quality.is_none_or(|asked| task.quality == asked);
    of_type().filter(is_it).collect()
}

/// Why nothing is known of a type in that quality, which is known in others or not at all.
pub(super) fn unknown_price(
    own: &[&PastTask],
    others: &[&PastTask],
    task_type: &str,
    request: &EstimateRequest,
) -> UnknownCost {
    let all = || own.iter().chain(others).filter(|task| task.task_type == task_type);
    let known = distinct(all().map(|task| task.quality.as_str()).filter(|quality| !quality.is_empty()));
    match &request.quality {
        Some(asked) if !known.is_empty() && !known.contains(asked) => {
            UnknownCost::Quality { task_type: task_type.into(), asked: asked.clone(), known: nearest(asked, &known) }
        }
        _ => {
            UnknownCost::Price { task_type: task_type.into(), tasks: u32::try_from(all().count()).unwrap_or(u32::MAX) }
        }
    }
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    words.into_iter().map(String::from).collect()
}

/// The three most similar words, the most similar first.
fn nearest(asked: &str, known: &[String]) -> Vec<String> {
    let mut known: Vec<&String> = known.iter().collect();
    known.sort_by_key(|word| edits_between(asked, word));
    known.into_iter().take(3).cloned().collect()
}

/// How many letters to add, drop or change to make one word the other.
fn edits_between(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
