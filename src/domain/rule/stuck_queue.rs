#![doc = include_str!("stuck_queue.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::reading::{Collector, QueueRecord};

/// When to say that the queue stands still.
#[derive(Clone, Debug, PartialEq)]
pub struct StuckQueuePolicy {
    /// The oldest waiting task has waited so long.
    pub waiting_for: SignedDuration,
}

impl Default for StuckQueuePolicy {
    fn default() -> StuckQueuePolicy {
        StuckQueuePolicy { waiting_for: SignedDuration::from_hours(2) }
    }
}

/// Whether so much waits and runs that the platform takes no more.
pub fn is_full(queue: &QueueRecord) -> bool {
    queue.waiting > 0 && queue.limit.is_some_and(|limit| queue.waiting.saturating_add(queue.running) >= limit)
}

impl Rule for StuckQueuePolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::from_mins(30),
        keep_firing_for: Some(SignedDuration::from_mins(15)),
        sends_resolved: true,
    };

    fn evaluate(&self, account: &AccountAssessment, _: &DrawAssessment) -> Seen {
        let current = account.queue.as_ref().filter(|(_, read_at)| account.is_current(Collector::Queue, *read_at));
        let Some((queue, _)) = current else { return Seen::UNKNOWN };
        let waits = queue.oldest_waiting_at.filter(|_| queue.waiting > 0);
        let waited = waits.map_or(SignedDuration::ZERO, |since| account.at.duration_since(since));
        let is_stuck = waited >= self.waiting_for || is_full(queue);
        Seen::with_age(if is_stuck { Finding::Holds(Level::from(Stage::Warning)) } else { Finding::Clear }, waited)
    }
}
