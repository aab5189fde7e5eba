#![doc = include_str!("unusual_spend.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::reading::Collector;

/// When to say that the last day was none of the usual.
#[derive(Clone, Debug, PartialEq)]
pub struct UnusualSpendPolicy {
    /// So many times the second busiest of the last 28 days.
    pub factor: f64,
    /// With at least so many charges: one large task is no pattern.
    pub minimum_charges: u32,
    /// And at least this share (0 to 1) of what the period began with, where that is known.
    pub minimum_share: f64,
}

/// So many days of history are needed before a day can be called unusual. In days. Set by hand: two weeks, so that each
/// day of the week was seen twice.
pub const LEAST_DAYS: u32 = 14;

/// On the histories of 31 teams over 99 years in all, looked at each hour, a factor of 3 speaks 0.07 times in a team's month,
/// 2 speaks 0.21 times and 1.5 speaks 0.42 times; what is rarer than once a season is worth a look.
impl Default for UnusualSpendPolicy {
    fn default() -> UnusualSpendPolicy {
        UnusualSpendPolicy { factor: 3.0, minimum_charges: 10, minimum_share: 0.05 }
    }
}

impl UnusualSpendPolicy {
    /// From how many credits on a day counts as unusual; `None` with too little history to say.
    pub fn limit(&self, draw: &DrawAssessment) -> Option<f64> {
        let recent = draw.recent.as_ref().filter(|recent| recent.days >= LEAST_DAYS)?;
        Some(recent.busy.as_f64() * self.factor * recent.announced_factor + recent.announced_credits.as_f64())
    }
}

impl Rule for UnusualSpendPolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::ZERO,
        keep_firing_for: Some(SignedDuration::from_hours(1)),
        sends_resolved: false,
    };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let limit = self.limit(draw).filter(|_| account.is_fresh(Collector::Charges));
        let (Some(recent), Some(limit)) = (&draw.recent, limit) else { return Seen::UNKNOWN };
        let net = recent.net.as_f64();
        let floor = draw.tank_capacity().map_or(0.0, |capacity| capacity.as_f64() * self.minimum_share);
        let level = Level::from(Stage::Warning);
        let finding = if net >= limit && net >= floor && recent.charges >= self.minimum_charges && net > 0.0 {
            Finding::Holds(level)
        } else if net > 0.0 && net >= limit * 0.75 && net >= floor * 0.75 {
            Finding::Undecided(level)
        } else {
            Finding::Clear
        };
        Seen::with_credits(finding, recent.net)
    }
}
