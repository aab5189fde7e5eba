//! Retries: which launches repeat an earlier one. Told by the platform or an import, or inferred from fingerprints of
//! inputs.

use jiff::{SignedDuration, Timestamp};

use super::reading::TaskState;

/// A second attempt at the same thing, of the two kinds that cost credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryKind {
    /// Repeats a task that succeeded.
    Rerun,
    /// Repeats a task that failed.
    Resubmission,
}

impl RetryKind {
    /// Both kinds.
    pub const ALL: [RetryKind; 2] = [RetryKind::Rerun, RetryKind::Resubmission];

    /// The word used in metrics and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            RetryKind::Rerun => "rerun",
            RetryKind::Resubmission => "resubmission",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<RetryKind> {
        RetryKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One launch, as far as telling a retry from a first attempt needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was launched.
    pub created_at: Timestamp,
    /// Its state.
    pub state: TaskState,
    /// Whether it continues an earlier task: neither a retry nor what a retry repeats.
    pub is_step: bool,
    /// What kind of retry it is, where the platform or an import said so.
    pub told: Option<RetryKind>,
}

/// How long after a launch the same input still counts as a second attempt at the same thing. A week: long enough for
/// "let us try that again on Monday", short enough that next month's use of a stock prompt is a new piece of work.
pub const RETRY_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Which of the attempts at one input repeat an earlier one. `attempts` are all tasks of one fingerprint, by launch
/// (and by id where two were launched together); the answer has one place for each.
///
/// An attempt repeats the one launched before it, if that was within [`RETRY_WINDOW`]: a re-run if that one succeeded, a
/// re-submission if it ended otherwise. While that one is not final nothing is said. Steps are passed over. What was told
/// wins over what is inferred.
pub fn classify_attempts(attempts: &[Attempt]) -> Vec<Option<RetryKind>> {
    let mut previous: Option<&Attempt> = None;
    let mut kinds = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        if attempt.is_step {
            kinds.push(attempt.told);
            continue;
        }
        let repeated = previous.filter(|p| attempt.created_at.duration_since(p.created_at) <= RETRY_WINDOW);
        let inferred = repeated.and_then(|repeated| match repeated.state {
            TaskState::Succeeded => Some(RetryKind::Rerun),
            TaskState::Failed | TaskState::Cancelled | TaskState::Expired => Some(RetryKind::Resubmission),
            TaskState::Queued | TaskState::Running | TaskState::Unknown => None,
        });
        kinds.push(attempt.told.or(inferred));
        previous = Some(attempt);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + seconds).unwrap()
    }

    #[test]
    fn second_attempts_are_told_apart() {
        use TaskState::{Cancelled, Expired, Failed, Queued, Running, Succeeded, Unknown};
        const HOUR: i64 = 3600;
        const WEEK: i64 = 7 * 24 * HOUR;
        let rerun = Some(RetryKind::Rerun);
        let resubmission = Some(RetryKind::Resubmission);
        type Case<'a> = (&'a str, &'a [(i64, TaskState, bool)], &'a [Option<RetryKind>]);
        let cases: [Case; 9] = [
            ("a first attempt", &[(0, Failed, false)], &[None]),
            ("not satisfied", &[(0, Succeeded, false), (HOUR, Queued, false)], &[None, rerun]),
            (
                "failed before",
                &[(0, Failed, false), (9, Failed, false), (99, Succeeded, false)],
                &[None, resubmission, resubmission],
            ),
            (
                "withdrawn or given up before",
                &[(0, Cancelled, false), (1, Expired, false), (2, Running, false)],
                &[None, resubmission, resubmission],
            ),
            (
                "side by side",
                &[(0, Running, false), (1, Queued, false), (2, Unknown, false), (3, Queued, false)],
                &[None; 4],
            ),
            ("a step is progress", &[(0, Succeeded, false), (1, Succeeded, true)], &[None, None]),
            (
                "and hides nothing",
                &[(0, Failed, false), (1, Succeeded, true), (2, Queued, false)],
                &[None, None, resubmission],
            ),
            ("a week later", &[(0, Succeeded, false), (WEEK, Queued, false)], &[None, rerun]),
            ("another month's work", &[(0, Succeeded, false), (WEEK + 1, Queued, false)], &[None, None]),
        ];
        for (name, attempts, expected) in cases {
            let attempts: Vec<_> = attempts
                .iter()
                .map(|(s, state, is_step)| Attempt { created_at: at(*s), state: *state, is_step: *is_step, told: None })
                .collect();
            assert_eq!(classify_attempts(&attempts), expected, "{name}");
        }
    }

    #[test]
    fn what_was_told_wins_over_what_is_inferred() {
        let attempt =
            |second, told| Attempt { created_at: at(second), state: TaskState::Succeeded, is_step: false, told };
        let (rerun, resubmission) = (Some(RetryKind::Rerun), Some(RetryKind::Resubmission));
        let attempts = [attempt(0, resubmission), attempt(1, None), attempt(2, resubmission)];
        assert_eq!(classify_attempts(&attempts), [resubmission, rerun, resubmission]);
    }
}
