#![doc = include_str!("stale_data.md")]

use jiff::{SignedDuration, Timestamp};

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::Stage;
use crate::domain::assessment::{AccountAssessment, CollectorStatus, DrawAssessment};

/// When to say that data is out of date. From when on it counts as stale is the account's own `stale_after`.
#[derive(Clone, Debug, PartialEq)]
pub struct StaleDataPolicy {
    /// Critical when it was last read so long ago.
    pub critical_after: SignedDuration,
}

impl Default for StaleDataPolicy {
    fn default() -> StaleDataPolicy {
        StaleDataPolicy { critical_after: SignedDuration::from_hours(24) }
    }
}

/// The collector that was read the longest ago, of those that are out of date: since when its data stands, if it was ever
/// read.
pub fn stalest(account: &AccountAssessment) -> Option<&CollectorStatus> {
    let is_stale = |status: &&CollectorStatus| status.last_attempt_at.is_some() && !account.is_fresh(status.collector);
    account.collectors.iter().filter(is_stale).min_by_key(|status| status.last_success_at)
}

impl Rule for StaleDataPolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::from_mins(5),
        keep_firing_for: Some(SignedDuration::ZERO),
        sends_resolved: true,
    };

    fn evaluate(&self, account: &AccountAssessment, _: &DrawAssessment) -> Seen {
        if account.collectors.is_empty() {
            return Seen::UNKNOWN;
        }
        let Some(status) = stalest(account) else { return Seen::with_age(Finding::Clear, SignedDuration::ZERO) };
        let age = |since: Timestamp| account.at.duration_since(since);
        // What was never read may be an account that was added a minute ago: a warning, until somebody looks.
        let stage = match status.last_success_at {
            Some(read_at) if age(read_at) >= self.critical_after => Stage::Critical,
            _ => Stage::Warning,
        };
        Seen { finding: Finding::Holds(stage.into()), figure: status.last_success_at.map(|at| age(at).as_secs()) }
    }
}
