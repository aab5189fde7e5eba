//! Announced changes of pace, as arithmetic on exposure.
//!
//! An hour at an announced factor counts as that many hours of the usual pace: behind, when the state learns from it, and
//! ahead, when a forecast looks over it. So the levels are always those of the usual pace, no change is learned and
//! multiplied too, and what a change turns out to be worth is corrected by the use that follows: if half of what was
//! announced comes, the levels fall until they fit.
//!
//! An hour at rest (a holiday) says nothing of the usual pace: it is left out of what is learned, with its use, and no
//! time passes for the levels.

use super::PaceChange;
use super::state::hours_since_epoch;

/// Below this factor an hour is one of rest. Divided by less, the use of an hour would be mostly noise.
pub(super) const REST_BELOW: f64 = 0.05;
/// Changes that overlap multiply up to here.
const MOST_TOGETHER: f64 = 100.0;

/// What the usual pace is multiplied by at a moment, in hours since the Unix epoch: the product of all changes that hold,
/// so that a holiday in a busy month is a holiday.
pub(super) fn factor_at(paces: &[PaceChange], moment: f64) -> f64 {
    let holds = |pace: &&PaceChange| hours_since_epoch(pace.from) <= moment && moment < hours_since_epoch(pace.to);
    paces.iter().filter(holds).map(|pace| pace.factor.max(0.0)).product::<f64>().min(MOST_TOGETHER)
}

/// The average of what the pace is multiplied by from one moment to a later one, in hours since the Unix epoch; 1 exactly
/// where nothing was announced.
pub(super) fn factor_between(paces: &[PaceChange], from: f64, to: f64) -> f64 {
    let is_touched = paces.iter().any(|pace| overlaps(pace, from, to));
    if !is_touched || to <= from {
        return if is_touched { factor_at(paces, from) } else { 1.0 };
    }
    scaled(paces, from, to, |from, to| to - from) / (to - from)
}

/// A measure of the time between two moments, each piece of it multiplied by the factor that holds there. Without changes
/// it is the measure of the whole.
pub(super) fn scaled(paces: &[PaceChange], from: f64, to: f64, measure: impl Fn(f64, f64) -> f64) -> f64 {
    if !paces.iter().any(|pace| overlaps(pace, from, to)) {
        return measure(from, to);
    }
    let (mut sum, mut at) = (0.0, from);
    while at < to {
        let limits = paces.iter().flat_map(|pace| [hours_since_epoch(pace.from), hours_since_epoch(pace.to)]);
        let next = limits.filter(|limit| *limit > at).fold(to, f64::min);
        sum += factor_at(paces, at) * measure(at, next);
        at = next;
    }
    sum
}

fn overlaps(pace: &PaceChange, from: f64, to: f64) -> bool {
    hours_since_epoch(pace.from) < to && hours_since_epoch(pace.to) > from
}
