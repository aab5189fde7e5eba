#![doc = include_str!("credits_will_lapse.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Threshold, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};

/// When to say that plan credits will lapse unused.
#[derive(Clone, Debug, PartialEq)]
pub struct CreditsWillLapsePolicy {
    /// From so much on.
    pub minimum: Threshold,
    /// So long before the reset, and at most in the last quarter of the period.
    pub within: SignedDuration,
}

impl Default for CreditsWillLapsePolicy {
    fn default() -> CreditsWillLapsePolicy {
        CreditsWillLapsePolicy { minimum: Threshold::Share(0.2), within: SignedDuration::from_hours(7 * 24) }
    }
}

impl Rule for CreditsWillLapsePolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::ZERO,
        keep_firing_for: Some(SignedDuration::from_hours(12)),
        sends_resolved: false,
    };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let lapsing = account.lapsing(draw);
        let (Some(period), Some(lapsing)) = (&draw.period, lapsing) else { return Seen::UNKNOWN };
        let Some(minimum) = self.minimum.of(draw.tank_capacity()) else { return Seen::UNKNOWN };
        let to_reset = period.end.duration_since(account.at);
        let within = self.within.min(period.end.duration_since(period.start) / 4);
        let level = Level::from(Stage::Info);
        let finding = if to_reset > within || lapsing.as_f64() < minimum.as_f64() / 2.0 {
            Finding::Clear
        } else if lapsing >= minimum && lapsing.is_positive() {
            Finding::Holds(level)
        } else {
            Finding::Undecided(level)
        };
        Seen { finding, figure: None }
    }
}
