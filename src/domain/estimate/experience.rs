//! What the past says of one kind of task: what its assets cost, and how many launches they took.

use std::collections::HashMap;

use super::spread::{Known, Spread};
use super::variants::VariantPrices;
use super::{Attempts, EstimatePart, EstimateRequest, PastTask, quantile};
use crate::domain::credits::Credits;
use crate::domain::price::{PriceRange, PriceSheet};
use crate::domain::reading::Fingerprint;

/// Everything known of one kind of task.
pub(super) struct Experience {
    pub part: EstimatePart,
    /// What so many assets cost at the variants asked for.
    spread: Spread,
    /// Launches of past assets, of the team or failing that of others; empty where no input is recognised again.
    attempts: Vec<u32>,
}

/// What an experience is made from: finished tasks of one kind, in the order of their launches.
pub(super) struct Sources<'a> {
    pub own: Vec<&'a PastTask>,
    pub others: Vec<&'a PastTask>,
    pub sheet: Option<&'a PriceSheet>,
    /// How many launches the assets of any kind took, newest last: what is assumed of a kind without a past.
    pub usual_attempts: &'a [u32],
}

impl Experience {
    /// `None` if nothing is known of what it costs.
    pub fn of(task_type: &str, request: &EstimateRequest, sources: &Sources) -> Option<Experience> {
        let Sources { own, others, sheet, .. } = sources;
        let all = || own.iter().chain(others).copied();
        let is_listed_step = || sheet.is_some_and(|sheet| sheet.is_step(task_type));
        let is_step = if all().next().is_some() { all().all(|task| task.is_step) } else { is_listed_step() };
        let variants = if is_step && task_type != request.task_type { 1 } else { request.variants };
        let quality = request.quality.clone().or_else(|| usual_quality(own)).or_else(|| usual_quality(others));
        let quality = quality.unwrap_or_default();
        let prices = VariantPrices::learn(all(), *sheet, task_type, &quality);
        let cost = |task: &PastTask| {
            task.credits_net.micros().max(0) as f64 * prices.times(variants, task.variants.filter(|_| !is_step))
        };

        let own_assets = assets_of(own, cost);
        let others_assets = assets_of(others, cost);
        let listed = sheet.and_then(|sheet| sheet.price(task_type, &quality, variants));
        let listed = listed.filter(|price| price.high.is_positive());
        let attempts = match (&own_assets, &others_assets) {
            (Some(assets), _) | (None, Some(assets)) if own.is_empty() || own_assets.is_some() => {
                assets.iter().map(|(attempts, _)| *attempts).collect()
            }
            _ => Vec::new(),
        };
        let usual: &[u32] = if is_step {
            &[]
        } else if attempts.is_empty() {
            sources.usual_attempts
        } else {
            &attempts
        };
        let free = sheet.and_then(|sheet| sheet.free_retries).unwrap_or(0);
        let listed_units = listed.map(|price| listed_units(price, usual, free)).unwrap_or_default();
        let units = |tasks: &[&PastTask], assets: Option<Vec<(u32, f64)>>| match assets {
            Some(assets) => assets.into_iter().map(|(_, cost)| cost).collect(),
            None => tasks.iter().map(|task| cost(task)).filter(|cost| *cost > 0.0).collect::<Vec<f64>>(),
        };
        let (own_units, others_units) = (units(own, own_assets), units(others, others_assets));
        let known = Known { own: &own_units, others: &others_units, listed: &listed_units };
        let spread = Spread::learn(known)?;

        let mut launches: Vec<i64> = all().map(|task| task.credits_net.micros()).filter(|micros| *micros > 0).collect();
        launches.sort_unstable();
        let per_launch = |share: f64, listed_bound: fn(PriceRange) -> Credits| {
            quantile(&launches, share).map(Credits::from_micros).or_else(|| listed.map(listed_bound))
        };
        let part = EstimatePart {
            task_type: task_type.into(),
            is_step,
            per_launch_p50: per_launch(0.5, |price| price.low)?,
            per_launch_p90: per_launch(0.9, |price| price.high)?,
            attempts_per_asset: attempts_in_short(&attempts),
            launches_each: if prices.are_launches() { variants } else { 1 },
            tasks: count(own.len()),
            assets: count(own_units.len()),
            tasks_of_others: count(others.len()),
            listed,
        };
        Some(Experience { part, spread, attempts })
    }

    /// What the job's assets cost, in millionths, in the case that a share of cases (0 to 1) does not exceed.
    pub fn total(&self, request: &EstimateRequest, share: f64) -> f64 {
        let once = self.spread.total(request.count.into(), share);
        match request.attempts {
            // Who knows how often it will be attempted knows better than the past.
            Some(told) => once * told / self.part.attempts_per_asset.map_or(1.0, |attempts| attempts.mean.max(1.0)),
            None => once,
        }
    }

    /// How many launches the job's assets take, in a case that is drawn; `None` where no input is recognised again.
    pub fn launches(&self, request: &EstimateRequest, below: &mut impl FnMut(usize) -> usize) -> Option<u64> {
        let each = u64::from(self.part.launches_each);
        let count = u64::from(request.count);
        if let Some(told) = request.attempts {
            return Some((told * (count * each) as f64).ceil() as u64);
        }
        if self.part.is_step {
            return Some(count * each);
        }
        (!self.attempts.is_empty()).then_some(())?;
        // A Pólya urn: each draw joins the ones it can be drawn from again, so that a short history gives a wide range.
        let simulated = request.count.min(SIMULATED_ASSETS);
        let mut drawn: Vec<u32> = Vec::with_capacity(simulated as usize);
        for _ in 0..simulated {
            let pick = below(self.attempts.len() + drawn.len());
            drawn.push(self.attempts.get(pick).copied().unwrap_or_else(|| drawn[pick - self.attempts.len()]));
        }
        let sum: u64 = drawn.into_iter().map(u64::from).sum();
        Some((sum * count * each).div_ceil(u64::from(simulated)))
    }
}

/// Larger jobs are simulated for so many assets and scaled up: by then the uncertainty is that of the average.
const SIMULATED_ASSETS: u32 = 256;
/// What a sheet lists is imagined for so many assets.
const IMAGINED_ASSETS: usize = 50;

/// What assets would have cost by the price sheet: as many attempts as usual, the free ones last.
fn listed_units(price: PriceRange, usual_attempts: &[u32], free: u32) -> Vec<f64> {
    let newest = &usual_attempts[usual_attempts.len().saturating_sub(IMAGINED_ASSETS)..];
    let attempts: Vec<u32> = if newest.is_empty() { vec![1] } else { newest.to_vec() };
    let (low, high) = (price.low.micros() as f64, price.high.micros() as f64);
    // A range may be anything between its ends.
    let steps = if price.low == price.high { 1 } else { 5 };
    let unit = |attempts: u32| {
        let charged = f64::from(attempts.saturating_sub(free).max(1));
        (0..steps).map(move |step| (low + (high - low) * f64::from(step) / f64::from((steps - 1).max(1))) * charged)
    };
    attempts.into_iter().flat_map(unit).collect()
}

/// Launches and cost of each past asset that cost anything, in the order of their first launch; `None` if no input is
/// known or the tasks are steps.
pub(super) fn assets_of(tasks: &[&PastTask], cost: impl Fn(&PastTask) -> f64) -> Option<Vec<(u32, f64)>> {
    let mut place_of: HashMap<Fingerprint, usize> = HashMap::new();
    let mut assets: Vec<(u32, f64)> = Vec::new();
    for task in tasks.iter().filter(|task| !task.is_step) {
        let Some(fingerprint) = task.fingerprint else { continue };
        let place = *place_of.entry(fingerprint).or_insert(assets.len());
        if place == assets.len() {
            assets.push((0, 0.0));
        }
        let (attempts, sum) = &mut assets[place];
        *attempts += 1;
        *sum += cost(task);
    }
    assets.retain(|(_, cost)| *cost > 0.0);
    (!assets.is_empty()).then_some(assets)
}

fn attempts_in_short(attempts: &[u32]) -> Option<Attempts> {
    let mut sorted = attempts.to_vec();
    sorted.sort_unstable();
    let mean = sorted.iter().map(|n| f64::from(*n)).sum::<f64>() / sorted.len() as f64;
    Some(Attempts { mean, p90: quantile(&sorted, 0.9)? })
}

/// The quality that most tasks name.
fn usual_quality(tasks: &[&PastTask]) -> Option<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for task in tasks {
        *counts.entry(&task.quality).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(quality, count)| (*count, std::cmp::Reverse(*quality)))?;
    Some(most.0.to_owned())
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
