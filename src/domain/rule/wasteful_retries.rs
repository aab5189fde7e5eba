#![doc = include_str!("wasteful_retries.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::reading::Collector;

/// When to say that re-runs take too much.
#[derive(Clone, Debug, PartialEq)]
pub struct WastefulRetriesPolicy {
    /// At this share (0 to 1) of the period's net use.
    pub share: f64,
    /// With at least so many re-runs.
    pub minimum_reruns: u64,
    /// Or at so many attempts at one asset, the first among them.
    pub attempts: u64,
}

impl Default for WastefulRetriesPolicy {
    fn default() -> WastefulRetriesPolicy {
        WastefulRetriesPolicy { share: 0.4, minimum_reruns: 10, attempts: 12 }
    }
}

impl Rule for WastefulRetriesPolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::ZERO,
        keep_firing_for: Some(SignedDuration::from_hours(24)),
        sends_resolved: false,
    };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        if !account.is_fresh(Collector::Charges) {
            return Seen::UNKNOWN;
        }
        let reruns = draw.reruns;
        let share = |limit: f64| reruns.credits.is_positive() && reruns.credits.as_f64() >= draw.spent.as_f64() * limit;
        let level = Level::from(Stage::Warning);
        let is_many = reruns.tasks >= self.minimum_reruns;
        let finding = if (is_many && share(self.share)) || reruns.most_attempts >= self.attempts {
            Finding::Holds(level)
        } else if is_many && share(self.share * 0.8) {
            Finding::Undecided(level)
        } else {
            Finding::Clear
        };
        Seen::with_credits(finding, reruns.credits)
    }
}
