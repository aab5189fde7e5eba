//! How far a job's cost may be from the usual: learned from how far the past was from what was usual before it.
//!
//! Costs of consecutive launches resemble each other, and a team's usual cost moves. A bootstrap of single launches knows
//! neither, and its ranges are too narrow: on the histories that this was tried on, a batch of sixty stayed within nine of
//! ten in half of the cases. So the past is asked in hindsight, as in conformal prediction (Vovk, Gammerman and Shafer,
//! "Algorithmic Learning in a Random World", 2005): each stretch of units is compared with what was usual before it, and a
//! job is as far from what is usual now as one of those stretches was. Stretches are as long as the job, or as long as the
//! history allows for. A little is added for what the history has not seen.

/// Units of experience lose half of their weight after so many newer ones. Chosen, as all constants here, by the share of
/// batches within nine of ten on three histories; see `fuelgauge backtest --estimates`.
const HALF_LIFE_UNITS: f64 = 100.0;
/// A stretch is at most this part of the history, so that there are several.
const STRETCHES_AT_LEAST: usize = 8;
/// A stretch is compared with the units before it, of which there must be so many.
const UNITS_BEFORE: usize = 3;
/// What is not seen in the history counts as so many stretches.
const UNSEEN_WEIGHT: f64 = 2.0;
/// And is so many times as far from the usual as what is seen.
const UNSEEN_WIDER: f64 = 1.6;
/// What others paid, or the price sheet says, counts as so many of the team's own units where those vary much, and the less
/// the less they vary: who has always paid the same will pay it again. (Bühlmann, "Experience rating and credibility", 1967:
/// a prior counts as the variance within over the variance between.)
const PRIOR_UNITS: f64 = 3.0;
/// Costs vary much from this squared coefficient of variation (no unit) on.
const VARY_MUCH: f64 = 0.25;
/// Stretches of others count as at most so many of the team's own.
const MOST_OTHERS: f64 = 4.0;
/// The middles of ten equal parts of a normal distribution.
const TENTHS: [f64; 10] = [-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645];
/// A stretch that cost nothing is as far below the usual as one that cost this share (no unit) of it.
const LEAST_RATIO: f64 = 1e-3;

/// What units (assets, or launches) cost in the past, in the order of time and in millionths of a credit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// Of the team itself.
    pub own: &'a [f64],
    /// Of others on the same account.
    pub others: &'a [f64],
    /// What the price sheet would have them cost; empty where it says nothing.
    pub listed: &'a [f64],
}

/// What so many units will cost together.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// By number of units: what a unit costs, sorted, each with the share of cases up to it (0 to 1).
    sizes: Vec<(u64, Vec<(f64, f64)>)>,
    /// The least that a unit ever cost: a job of so many cannot cost less than so many times that.
    least: f64,
}

impl Spread {
    /// Learns from what is known; `None` if nothing is, or nothing ever cost anything.
    pub fn learn(known: Known) -> Option<Spread> {
        let level = level(known).filter(|level| *level > 0.0)?;
        let most = longest(known.own.len()).max(longest(known.others.len()));
        let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2)).take_while(|size| *size <= most);
        let sizes = powers.map(|size| (size as u64, points(known, level, size))).collect();
        let all = [known.own, known.others, known.listed].into_iter().flatten();
        let least = all.copied().filter(|cost| *cost > 0.0).fold(f64::INFINITY, f64::min);
        Some(Spread { sizes, least })
    }

    /// What `units` cost together, in millionths, in the case that a share of cases (0 to 1) does not exceed. It never falls
    /// with the units: where a longer stretch of the past was steadier, the shorter one's cost stays.
    pub fn total(&self, units: u64, share: f64) -> f64 {
        let mut total: f64 = 0.0;
        for (place, (size, points)) in self.sizes.iter().enumerate().take_while(|(_, (size, _))| *size <= units) {
            let last_of_size = self.sizes.get(place + 1).map_or(u64::MAX, |(next, _)| next - 1).min(units).max(*size);
            let at = points.partition_point(|(_, up_to)| *up_to + 1e-9 < share).min(points.len().saturating_sub(1));
            let unit = points.get(at).map_or(0.0, |(unit, _)| unit.max(self.least));
            total = total.max(unit * last_of_size as f64);
        }
        total
    }
}

/// What a unit usually costs now: the team's own, drawn to what others pay, drawn to what is listed.
fn level(known: Known) -> Option<f64> {
    let listed = mean(known.listed);
    let others = drawn(known.others, known.listed, listed);
    let elsewhere = if known.others.is_empty() { known.listed } else { known.others };
    drawn(known.own, elsewhere, others)
}

/// The mean of units, the newer ones counting more, drawn to what is usual elsewhere.
fn drawn(units: &[f64], elsewhere: &[f64], prior: Option<f64>) -> Option<f64> {
    let weight = |place: usize| 0.5_f64.powf((units.len() - 1 - place) as f64 / HALF_LIFE_UNITS);
    let weights: f64 = (0..units.len()).map(weight).sum();
    let sum: f64 = units.iter().enumerate().map(|(place, unit)| unit * weight(place)).sum();
    let Some(prior) = prior else { return (weights > 0.0).then(|| sum / weights) };
    if units.is_empty() {
        return Some(prior);
    }
    let varying = variation(units).or_else(|| variation(elsewhere)).map_or(1.0, |square| (square / VARY_MUCH).min(1.0));
    let prior_units = PRIOR_UNITS * varying;
    Some((sum + prior * prior_units) / (weights + prior_units))
}

/// The squared coefficient of variation; `None` for fewer than two units, or where all cost nothing.
fn variation(units: &[f64]) -> Option<f64> {
    let mean = mean(units).filter(|mean| units.len() > 1 && *mean > 0.0)?;
    let squares: f64 = units.iter().map(|unit| (unit - mean) * (unit - mean)).sum();
    Some(squares / (units.len() - 1) as f64 / (mean * mean))
}

fn mean(units: &[f64]) -> Option<f64> {
    (!units.is_empty()).then(|| units.iter().sum::<f64>() / units.len() as f64)
}

/// The longest stretch that a history of so many units is divided into.
fn longest(units: usize) -> usize {
    (units / STRETCHES_AT_LEAST).max(1)
}

/// What a unit costs in a job of `size` units, with the share of cases up to each.
fn points(known: Known, level: f64, size: usize) -> Vec<(f64, f64)> {
    let own = hindsight(known.own, size);
    let mut others = hindsight(known.others, size);
    others.weight = others.weight.min(MOST_OTHERS);
    let mut weighted: Vec<(f64, f64)> = Vec::new();
    for stretches in [&own, &others] {
        let each = stretches.weight / stretches.logs.len().max(1) as f64;
        weighted.extend(stretches.logs.iter().map(|log| (*log, each)));
    }
    if own.weight + others.weight < UNITS_BEFORE as f64 {
        // Too little to look back on: how units differ among themselves has to do.
        let units = [known.own, known.others, known.listed].into_iter().find(|units| !units.is_empty());
        let units = units.unwrap_or_default();
        if let Some(mean) = mean(units).filter(|mean| *mean > 0.0) {
            let each = (units.len() as f64).min(MOST_OTHERS) / units.len() as f64;
            weighted.extend(units.iter().map(|unit| ((unit / mean).max(LEAST_RATIO).ln(), each)));
        }
    }
    let weight: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let squares: f64 = weighted.iter().map(|(log, weight)| log * log * weight).sum();
    let deviation = if weight > 0.0 { (squares / weight).sqrt() } else { 0.0 };
    // A sheet lists all that there is; what it does not know (repeated attempts) is said, not guessed.
    if !(known.own.is_empty() && known.others.is_empty()) {
        let unseen = TENTHS.map(|tenth| (tenth * deviation * UNSEEN_WIDER, UNSEEN_WEIGHT / TENTHS.len() as f64));
        weighted.extend(unseen);
    }
    weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut passed = 0.0;
    let mut point = |(log, weight): (f64, f64)| {
        passed += weight;
        (level * log.exp(), passed / all)
    };
    weighted.into_iter().map(&mut point).collect()
}

/// How far stretches were from what was usual before them.
#[derive(Debug, Default)]
struct Stretches {
    /// Logarithms of what a stretch cost over what was usual before it.
    logs: Vec<f64>,
    /// How many stretches these count as: those that overlap count half.
    weight: f64,
}

fn hindsight(units: &[f64], size: usize) -> Stretches {
    let size = size.min(longest(units.len()));
    let decay = 0.5_f64.powf(1.0 / HALF_LIFE_UNITS);
    // What was usual before each unit, and what all before it cost.
    let (mut sum, mut weights, mut cost) = (0.0, 0.0, 0.0);
    let mut before: Vec<(f64, f64)> = Vec::with_capacity(units.len() + 1);
    for unit in units {
        before.push((if weights > 0.0 { sum / weights } else { 0.0 }, cost));
        sum = sum * decay + unit;
        weights = weights * decay + 1.0;
        cost += unit;
    }
    before.push((0.0, cost));
    let newest_first = (0..=units.len().saturating_sub(size)).rev().step_by((size / 2).max(1));
    let ratio = |start: usize| {
        let usual = before[start].0;
        let stretch = (before[start + size].1 - before[start].1) / size as f64;
        (usual > 0.0).then(|| (stretch / usual).max(LEAST_RATIO).ln())
    };
    let logs: Vec<f64> =
        newest_first.take_while(|start| *start >= UNITS_BEFORE && units.len() >= size).filter_map(ratio).collect();
    let weight = if size > 1 { logs.len() as f64 / 2.0 } else { logs.len() as f64 };
    Stretches { logs, weight }
}
