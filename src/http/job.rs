//! What a job may be, however somebody asks for it: the bounds of its lines, and what is said of what lies outside.

use super::form::shown;
use crate::domain::plan_check::{MOST_ASSETS, MOST_ATTEMPTS, MOST_VARIANTS};

/// Longer words are no platform's, in characters.
pub(super) const LONGEST_WORD: usize = 200;

/// A whole number of a line that is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Variants,
    Count,
}

impl Whole {
    /// Its key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Whole::Variants => "variants",
            Whole::Count => "count",
        }
    }

    /// The largest.
    pub const fn most(self) -> u32 {
        match self {
            Whole::Variants => MOST_VARIANTS,
            Whole::Count => MOST_ASSETS,
        }
    }

    /// The number, within its bounds. `found` is how it was written.
    pub fn check(self, number: Option<u64>, found: &str) -> Result<u32, String> {
        let most = self.most();
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.filter(|number| (1..=most).contains(number)).ok_or_else(|| {
            let hint = match self {
                Whole::Variants => "variants of each asset, one if you leave it out",
                Whole::Count => "assets wanted, one if you leave it out",
            };
            format!("expected a whole number from 1 to {most}, found `{}`\nhint: {hint}", shown(found))
        })
    }
}

/// How often each asset is launched, within its bounds. `found` is how it was written.
pub(super) fn check_attempts(number: Option<f64>, found: &str) -> Result<f64, String> {
    number.filter(|number| (1.0..=MOST_ATTEMPTS).contains(number)).ok_or_else(|| {
        format!(
            "expected a number from 1 to {MOST_ATTEMPTS}, found `{}`\nhint: leave it out to go by the history",
            shown(found)
        )
    })
}

/// A platform's word for a kind of task or a quality: not empty, and not longer than any is.
pub(super) fn check_word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected the platform's word, found nothing".to_owned()),
        word if word.chars().count() > LONGEST_WORD => {
            Err(format!("expected at most {LONGEST_WORD} characters, found {}", word.chars().count()))
        }
        word => Ok(word.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_the_bounds_is_said_with_them() {
        for (kind, number, expected) in [
            (Whole::Variants, Some(1), Ok(1)),
            (Whole::Variants, Some(1_000), Ok(1_000)),
            (Whole::Variants, Some(1_001), Err("from 1 to 1000, found `x`")),
            (Whole::Count, Some(100_000), Ok(100_000)),
            (Whole::Count, Some(0), Err("from 1 to 100000")),
            (Whole::Count, Some(u64::MAX), Err("from 1 to 100000")),
            (Whole::Count, None, Err("hint: assets wanted")),
        ] {
            match (kind.check(number, "x"), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (found, _) => panic!("{kind:?} {number:?}: {found:?}"),
            }
        }
        for (number, is_fine) in
            [(Some(1.0), true), (Some(100.0), true), (Some(0.99), false), (Some(f64::NAN), false), (None, false)]
        {
            assert_eq!(check_attempts(number, "x").is_ok(), is_fine, "{number:?}");
        }
        assert_eq!(check_word(" rig ").as_deref(), Ok("rig"));
        assert!(
            check_word(" ").is_err() && check_word(&"ä".repeat(201)).is_err() && check_word(&"ä".repeat(200)).is_ok()
        );
    }
}
