//! "Did you mean": the nearest of the names that would have been right.

/// The known name nearest to what was written, if it is near enough to be a slip of the keyboard.
pub fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let allowed = (found.chars().count() / 3).max(1);
    let with_distance = known.iter().map(|name| (distance(found, name), *name));
    with_distance
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: insertions, deletions and replacements of one character.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["created_at", "credits", "state"];
        for (found, expected) in [
            ("credit", Some("credits")),
            ("creatd_at", Some("created_at")),
            ("createdAt", Some("created_at")),
            ("stat", Some("state")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, &known), expected, "{found}");
        }
    }
}
