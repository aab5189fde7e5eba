#![doc = include_str!("low_balance.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Threshold, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};

/// When to say that little is left.
#[derive(Clone, Debug, PartialEq)]
pub struct LowBalancePolicy {
    /// A warning at each of these.
    pub warning: Vec<Threshold>,
    /// Critical at each of these.
    pub critical: Vec<Threshold>,
}

/// What is left must be so many times the highest threshold before the alert is over: a refund of one task should not end
/// it. No unit. Set by hand.
const CLEAR_ABOVE: f64 = 1.1;

impl Default for LowBalancePolicy {
    fn default() -> LowBalancePolicy {
        LowBalancePolicy { warning: vec![Threshold::Share(0.2)], critical: vec![Threshold::Share(0.05)] }
    }
}

impl LowBalancePolicy {
    /// The thresholds of both stages in credits, with the level that passing each makes, the highest threshold first.
    /// Shares of an unknown whole are left out.
    pub fn levels(&self, draw: &DrawAssessment) -> Vec<(crate::domain::Credits, Level)> {
        let capacity = draw.tank_capacity();
        let mut levels = Vec::with_capacity(self.warning.len() + self.critical.len());
        for (stage, thresholds) in [(Stage::Warning, &self.warning), (Stage::Critical, &self.critical)] {
            let mut credits: Vec<_> = thresholds.iter().filter_map(|threshold| threshold.of(capacity)).collect();
            credits.sort_unstable_by(|a, b| b.cmp(a));
            // At most a dozen are let in by the configuration.
            levels.extend((0_u8..).zip(credits).map(|(step, credits)| (credits, Level { stage, step })));
        }
        levels.sort_by_key(|(credits, _)| std::cmp::Reverse(*credits));
        levels
    }
}

impl Rule for LowBalancePolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::ZERO,
        keep_firing_for: Some(SignedDuration::from_hours(1)),
        sends_resolved: true,
    };

    fn evaluate(&self, _: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let Some(fuel) = draw.tank().filter(|fuel| fuel.fresh) else { return Seen::UNKNOWN };
        let levels = self.levels(draw);
        let Some((highest, mildest)) = levels.first() else { return Seen::UNKNOWN };
        let passed = levels.iter().filter(|(credits, _)| fuel.left <= *credits).map(|(_, level)| *level).max();
        let finding = match passed {
            Some(level) => Finding::Holds(level),
            None if fuel.left.as_f64() < highest.as_f64() * CLEAR_ABOVE => Finding::Undecided(*mildest),
            None => Finding::Clear,
        };
        Seen { finding, figure: None }
    }
}
