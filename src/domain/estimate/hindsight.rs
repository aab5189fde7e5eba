//! How well estimates would have held: past batches, each estimated from what was known before it.

use super::{EstimateRequest, Past, PastTask, estimate};
use crate::domain::credits::Credits;

/// Batches of so many launches are tried.
pub const BATCH_SIZES: [u32; 3] = [5, 20, 60];
/// So many launches of a kind must have been charged before the first batch.
const LEAST_BEFORE: usize = 5;
/// Of one kind and size at most so many batches are tried, spread evenly over the history.
const MOST_BATCHES: usize = 25;
/// An estimate looks at so many of the newest launches of a kind.
const NEWEST: usize = 1_000;

/// How batches of one size went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Batches tried.
    pub batches: u64,
    /// Of those, batches that cost no more than the p90 said.
    pub within_p90: u64,
    /// Batches that cost less than the p10 said.
    pub below_p10: u64,
    /// Batches that cost less than the p50 said.
    pub below_p50: u64,
    /// Batches of which nothing could be said.
    pub unknown: u64,
    /// Sum over batches of the logarithm of p90 over p50: how wide the range is.
    pub log_width_sum: f64,
}

impl Coverage {
    /// Together with others.
    #[must_use]
    pub fn and(self, other: Coverage) -> Coverage {
        Coverage {
            batches: self.batches + other.batches,
            within_p90: self.within_p90 + other.within_p90,
            below_p10: self.below_p10 + other.below_p10,
            below_p50: self.below_p50 + other.below_p50,
            unknown: self.unknown + other.unknown,
            log_width_sum: self.log_width_sum + other.log_width_sum,
        }
    }

    fn note(&mut self, request: &EstimateRequest, past: &Past, actual: Credits) {
        self.batches += 1;
        let Some(total) = estimate(past, std::slice::from_ref(request)).total else {
            self.unknown += 1;
            return;
        };
        let credits = total.credits;
        self.within_p90 += u64::from(actual <= credits.p90);
        self.below_p10 += u64::from(actual < credits.p10);
        self.below_p50 += u64::from(actual < credits.p50);
        self.log_width_sum += (credits.p90.as_f64() / credits.p50.as_f64().max(f64::MIN_POSITIVE)).ln();
    }
}

/// Tries batches of each of [`BATCH_SIZES`] on the charged launches of one kind of one team, in the order of time. Where
/// `by_quality` is false, the quality is not asked for. The answer has a place for each size.
pub fn coverage(launches: &[PastTask], by_quality: bool) -> [Coverage; BATCH_SIZES.len()] {
    BATCH_SIZES.map(|size| {
        let mut coverage = Coverage::default();
        let places: Vec<usize> =
            (LEAST_BEFORE..launches.len().saturating_sub(size as usize)).step_by(size as usize).collect();
        let step = places.len().div_ceil(MOST_BATCHES).max(1);
        for place in places.into_iter().step_by(step) {
            let (before, after) = launches.split_at(place);
            let past = Past { own: &before[before.len().saturating_sub(NEWEST)..], others: &[], sheet: None };
            let first = &after[0];
            let request = EstimateRequest {
                task_type: first.task_type.clone(),
                quality: (by_quality && !first.quality.is_empty()).then(|| first.quality.clone()),
                variants: 1,
                count: size,
                attempts: None,
            };
            coverage.note(&request, &past, after[..size as usize].iter().map(|task| task.credits_net).sum());
        }
        coverage
    })
}
