//! What a job does to the forecast of the credits that it is paid from.

use jiff::{SignedDuration, Timestamp};

use super::Quantiles;
use crate::domain::credits::Credits;
use crate::domain::forecast::{Announced, ForecastInput, Outlook, PlannedBatch, forecast};

/// The forecast without a job, and with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Without it.
    pub before: Outlook,
    /// With the job and the whole range of its cost.
    pub after: Outlook,
    /// With the job at the cost that nine of ten stay within.
    pub after_p90: Outlook,
    /// By this moment all of it is launched.
    pub launched_by: Timestamp,
}

/// When a job starts, and what it costs.
pub type JobAt = (Timestamp, Quantiles<Credits>);

/// The forecast before and after jobs that are launched at their moments (those of the past: now), on top of the usual use,
/// of what was announced and of what is queued. What is unknown before is unknown after.
pub fn effect(input: &ForecastInput, jobs: &[JobAt]) -> Effect {
    let next = input.now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(input.now);
    let with = |remaining, batches: &mut dyn Iterator<Item = PlannedBatch>| {
        let batches: Vec<PlannedBatch> = input.announced.batches.iter().copied().chain(batches).collect();
        forecast(&ForecastInput { remaining, announced: Announced { batches: &batches, ..input.announced }, ..*input })
    };
    let is_later = |job: &&JobAt| job.0 > input.now;
    let at_once: Credits = jobs.iter().filter(|job| !is_later(job)).map(|(_, cost)| cost.p90).sum();
    let remaining = input.remaining.map(|remaining| remaining - at_once);
    let exactly = |(at, cost): &JobAt| PlannedBatch::exactly(*at, cost.p90);
    let likely =
        |(at, cost): &JobAt| PlannedBatch { at: (*at).max(next), low: cost.p10, likely: cost.p50, high: cost.p90 };
    // Run-out dates fall on whole hours.
    let launched = |(at, _): &JobAt| at.saturating_add(SignedDuration::from_hours(1)).unwrap_or(*at);
    Effect {
        before: forecast(input),
        after: with(input.remaining, &mut jobs.iter().map(likely)),
        after_p90: with(remaining, &mut jobs.iter().filter(is_later).map(exactly)),
        launched_by: jobs.iter().filter(is_later).map(launched).max().unwrap_or(input.now),
    }
}

impl Effect {
    /// The effect on a draw that two limits bind: of each outlook the one that ends sooner.
    pub fn tighter_of(self, other: Effect) -> Effect {
        let tighter = |this: Outlook, other: Outlook| if other.is_tighter_than(&this) { other } else { this };
        Effect {
            before: tighter(self.before, other.before),
            after: tighter(self.after, other.after),
            after_p90: tighter(self.after_p90, other.after_p90),
            launched_by: self.launched_by,
        }
    }

    /// Whether the credits would last with the job: the probability of running out before the reset, with the job at
    /// its p90, stays below `threshold` (0 to 1). Without a reset: whether the job itself is covered. `None` while
    /// unknown.
    pub fn would_last(&self, threshold: f64) -> Option<bool> {
        let after = self.after_p90.forecast()?;
        let is_gone = || after.run_out.p90.is_some_and(|run_out| run_out <= self.launched_by);
        Some(after.probability.map_or_else(|| !is_gone(), |probability| probability < threshold))
    }
}
