//! The arithmetic of the forecast: what is still to come is log-normal around a pooled pace.
//!
//! Seven paces with half-lives from 12 hours to 12 weeks, and the pace of the last plan periods, are pooled by their
//! geometric mean: one huge day moves it little. The spread has three sources: lumps (single days), drift (weeks that
//! stray from their pace) and thin data (few charges). The result is recalibrated by a logistic curve. The constants
//! were fitted once, by maximum likelihood, on the charge histories of many teams together; nothing is fitted for a
//! team, its state adapts.

use std::f64::consts::SQRT_2;
use std::ops::Range;

use super::PlannedBatch;
use super::state::{LEVELS, Present};

/// Shares of the seven levels and of the plan's pace in the pooled pace, in the order of the half-lives; no unit, together
/// one. Fitted by maximum likelihood with the other constants of this block, on charge histories of many teams together.
pub(super) const SHARES: [f64; LEVELS + 1] = [0.0192, 0.0192, 0.0290, 0.0581, 0.3518, 0.1342, 0.3651, 0.0235];
/// So much of the plan's pace is added to each level, as a share (no unit): a team at rest does not stay at rest for ever.
/// Set by hand.
pub(super) const PLAN_PACE_FLOOR: f64 = 0.05;
/// The logarithm of mean use over pace times exposure, for a horizon of one week; no unit. Fitted.
const MEAN_OFFSET: f64 = -0.084;
/// How that logarithm moves with the logarithm of the horizon in weeks: over a longer time less than the pace comes true.
/// An exponent, no unit. Fitted.
const MEAN_BY_HORIZON: f64 = -0.113;
/// Lumps: how much of the dispersion of days (credits) over the mean (credits) becomes relative variance; no unit. Fitted.
const LUMPS: f64 = 2.293;
/// Drift: relative variance over one week at typical wobble; no unit. Fitted.
const DRIFT: f64 = 0.1371;
/// How drift moves with the horizon: an exponent of the horizon in weeks, no unit. Fitted.
const DRIFT_BY_HORIZON: f64 = -0.162;
/// How drift moves with the wobble: an exponent of wobble over [`TYPICAL_WOBBLE`], no unit. Fitted.
const DRIFT_BY_WOBBLE: f64 = 1.431;
/// Thin data: relative variance of a team without charges, divided by one more than their effective number; no unit. Fitted.
const THIN_DATA: f64 = 1.185;
/// The recalibration's offset at half of the period, in units of the logarithm of odds. Fitted.
const CALIBRATION_OFFSET: f64 = 0.869;
/// Its slope, no unit. Fitted.
const CALIBRATION_SLOPE: f64 = 1.333;
/// How its offset moves from the beginning to the end of a period, in units of the logarithm of odds. Fitted.
const CALIBRATION_BY_ELAPSED: f64 = -0.740;

/// The wobble (squared relative miss of a week, no unit) at which drift is as fitted: what is typical of many teams.
const TYPICAL_WOBBLE: f64 = 0.25;
/// Horizons are counted in weeks of so many hours.
const HOURS_OF_A_WEEK: f64 = 168.0;
/// Raw probabilities are kept this far from 0 and 1, no unit. Set by hand: a forecast is not a certainty.
const CLIP: f64 = 1e-5;
/// The least that a pace counts as, in credits an hour, so that logarithms stay finite. Set by hand, below any real one.
pub(super) const LEAST_PACE: f64 = 1e-9;
/// The least that an exposure counts as, in hours of average weight, for the same reason.
const LEAST_EXPOSURE: f64 = 1e-9;
/// The least that an amount counts as, in credits, for the same reason: the least that the ledger knows.
const LEAST_CREDITS: f64 = 1e-6;

/// A draw at one moment, ready to be asked about any horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Model {
    log_pace: f64,
    lumps: f64,
    drift: f64,
    thin_data: f64,
    calibration_offset: f64,
}

/// How far ahead a question looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ahead {
    /// Hours from now; less than one counts as one.
    pub(super) hours: f64,
    /// The same in hours of average weight.
    pub(super) exposure: f64,
    /// What comes on top of the usual use and is not known exactly.
    pub(super) extra: Extra,
}

/// Mean and variance, in credits, of what planned batches cost beyond what they cost at least.
///
/// It joins the usual use in one log-normal distribution with the sum of the means and of the variances. What they cost at
/// least is no part of it: that is as good as spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extra {
    mean: f64,
    variance: f64,
}

/// The logarithms of a horizon, in weeks and in exposure.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LogAhead {
    weeks: f64,
    exposure: f64,
    extra: Extra,
}

/// The numbers on the way to a probability, see [`Model::steps`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Steps {
    /// By how much the mean differs from pooled pace times exposure.
    pub(super) horizon_factor: f64,
    /// The mean of what is to come, in credits.
    pub(super) mean: f64,
    /// What of that is planned batches, beyond what they cost at least.
    pub(super) extra_mean: f64,
    /// Variance over squared mean of each source of spread: lumps, drift, thin data, planned batches.
    pub(super) sources: [f64; 4],
    /// The probability before recalibration.
    pub(super) raw: f64,
    /// Offset and slope of the recalibration.
    pub(super) calibration: (f64, f64),
}

/// What is to come up to some horizon, as a log-normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ToCome {
    log_mean: f64,
    /// Variance over squared mean.
    variance: f64,
}

impl Model {
    /// `paces` are the levels' in credits per hour of average weight, `plan_pace` that of the last plan periods in
    /// credits per hour, `elapsed` the share of the period that has passed (0 to 1).
    pub(super) fn new(present: &Present, paces: &[f64; LEVELS], plan_pace: f64, elapsed: f64) -> Model {
        let pools = paces.iter().chain([&plan_pace]);
        let log_pace =
            pools.zip(SHARES).map(|(pace, share)| share * libm::log(pace + PLAN_PACE_FLOOR * plan_pace + LEAST_PACE));
        Model {
            log_pace: log_pace.sum(),
            lumps: LUMPS * present.dispersion.max(LEAST_CREDITS),
            drift: DRIFT * libm::pow(present.wobble / TYPICAL_WOBBLE, DRIFT_BY_WOBBLE),
            thin_data: THIN_DATA / (present.charges + 1.0),
            calibration_offset: CALIBRATION_OFFSET + CALIBRATION_BY_ELAPSED * (elapsed - 0.5),
        }
    }

    /// The pooled pace, in credits for an average hour of the week.
    pub(super) fn pace_per_hour(&self) -> f64 {
        libm::exp(self.log_pace)
    }

    /// The probability that use ahead reaches `remaining` credits.
    pub(super) fn probability(&self, ahead: Ahead, remaining: f64) -> f64 {
        if remaining <= 0.0 {
            return 1.0;
        }
        self.calibrated(raw(self.what_comes(LogAhead::new(ahead)).score(log_credits(remaining))))
    }

    /// The numbers on the way to [`Model::probability`], for people.
    pub(super) fn steps(&self, ahead: Ahead, remaining: f64) -> Steps {
        let ahead = LogAhead::new(ahead);
        let to_come = self.what_comes(ahead);
        let (usual_log_mean, extra) = (self.log_mean(ahead.weeks, ahead.exposure), ahead.extra);
        let usual_share = libm::exp(2.0 * (usual_log_mean - to_come.log_mean));
        let [lumps, drift, thin_data] = self.sources(usual_log_mean, ahead.weeks).map(|source| source * usual_share);
        Steps {
            horizon_factor: libm::exp(MEAN_OFFSET + MEAN_BY_HORIZON * ahead.weeks),
            mean: libm::exp(to_come.log_mean),
            extra_mean: extra.mean,
            sources: [lumps, drift, thin_data, extra.variance * libm::exp(-2.0 * to_come.log_mean)],
            raw: raw(to_come.score(log_credits(remaining))),
            calibration: (self.calibration_offset, CALIBRATION_SLOPE),
        }
    }

    /// The amount that use ahead stays below with this probability (between 0 and 1): the inverse of
    /// [`Model::probability`].
    pub(super) fn use_at(&self, ahead: Ahead, quantile: f64) -> f64 {
        let to_come = self.what_comes(LogAhead::new(ahead));
        let spread = libm::log1p(to_come.variance);
        libm::exp(to_come.log_mean - spread / 2.0 - self.score_for(1.0 - quantile) * spread.sqrt())
    }

    /// The first step in `steps` at which the probability reaches `wanted`, if any. `ahead` and `remaining` of a step
    /// say how far ahead it lies and what can be spent until then; from step to step hours and exposure must not fall,
    /// and what can be spent must not rise.
    ///
    /// The probability is not quite monotone in the horizon: over a night the exposure hardly grows while the mean is
    /// drawn down by the longer horizon. So this does not bisect: it halves the range and leaves out each half whose
    /// bound stays short.
    pub(super) fn first_reaching(
        &self,
        wanted: f64,
        steps: Range<u32>,
        step: &impl Fn(u32) -> (Ahead, f64),
    ) -> Option<u32> {
        let last = steps.end.checked_sub(1).filter(|last| *last >= steps.start)?;
        let limit = |number: u32| {
            let (ahead, remaining) = step(number);
            Limit { number, ahead: LogAhead::new(ahead), log_remaining: log_credits(remaining) }
        };
        let (first, last) = (limit(steps.start), limit(last));
        let search = Search { model: self, score: self.score_for(wanted), limit: &limit };
        if search.is_reached_at(&first) { Some(first.number) } else { search.first_between(&first, &last) }
    }

    fn what_comes(&self, ahead: LogAhead) -> ToCome {
        let log_mean = self.log_mean(ahead.weeks, ahead.exposure);
        ToCome { log_mean, variance: self.variance(log_mean, ahead.weeks) }.with(ahead.extra)
    }

    fn log_mean(&self, log_weeks: f64, log_exposure: f64) -> f64 {
        self.log_pace + MEAN_OFFSET + MEAN_BY_HORIZON * log_weeks + log_exposure
    }

    fn variance(&self, log_mean: f64, log_weeks: f64) -> f64 {
        let [lumps, drift, thin_data] = self.sources(log_mean, log_weeks);
        lumps + drift + thin_data
    }

    fn sources(&self, log_mean: f64, log_weeks: f64) -> [f64; 3] {
        let lumps = self.lumps * libm::exp(-log_mean);
        let drift = self.drift * libm::exp(DRIFT_BY_HORIZON * log_weeks);
        [lumps, drift, self.thin_data]
    }

    fn calibrated(&self, raw: f64) -> f64 {
        logistic(self.calibration_offset + CALIBRATION_SLOPE * logit(raw))
    }

    /// The score at which the calibrated probability is `wanted`.
    fn score_for(&self, wanted: f64) -> f64 {
        let raw = logistic((logit(wanted) - self.calibration_offset) / CALIBRATION_SLOPE);
        normal_quantile(raw)
    }
}

/// A search for the first step that reaches a score.
struct Search<'a, F> {
    model: &'a Model,
    score: f64,
    limit: &'a F,
}

/// A step, as the limit of a range of steps.
struct Limit {
    number: u32,
    ahead: LogAhead,
    log_remaining: f64,
}

impl<F: Fn(u32) -> Limit> Search<'_, F> {
    fn is_reached_at(&self, limit: &Limit) -> bool {
        self.model.what_comes(limit.ahead).score(limit.log_remaining) >= self.score
    }

    /// The first step later than `before`, up to and with `last`.
    fn first_between(&self, before: &Limit, last: &Limit) -> Option<u32> {
        match last.number - before.number {
            0 => None,
            1 => self.is_reached_at(last).then_some(last.number),
            _ if self.highest_score(before, last) < self.score => None,
            distance => {
                let middle = (self.limit)(before.number + distance / 2);
                self.first_between(before, &middle).or_else(|| self.first_between(&middle, last))
            }
        }
    }

    /// A bound on the score of every step between two: each part is taken at the limit where it favours running out.
    fn highest_score(&self, before: &Limit, last: &Limit) -> f64 {
        if last.ahead.extra.is_some() {
            // Batches add to a mean and to a variance that both rise; a search among them goes through every step.
            return f64::INFINITY;
        }
        let highest_mean = self.model.log_mean(before.ahead.weeks, last.ahead.exposure);
        let excess = highest_mean - last.log_remaining;
        // The score is `excess / spread - spread / 2`. Above zero excess it falls with the spread, so the smallest
        // counts; else it rises with the spread up to a peak, so the largest counts, or the peak if that comes first.
        let spread = if excess >= 0.0 {
            libm::log1p(self.model.variance(highest_mean, last.ahead.weeks)).sqrt()
        } else {
            let lowest_mean = self.model.log_mean(last.ahead.weeks, before.ahead.exposure);
            let largest = libm::log1p(self.model.variance(lowest_mean, before.ahead.weeks)).sqrt();
            largest.min((-2.0 * excess).sqrt())
        };
        excess / spread - spread / 2.0
    }
}

impl LogAhead {
    fn new(ahead: Ahead) -> LogAhead {
        LogAhead {
            weeks: libm::log(ahead.hours.max(1.0) / HOURS_OF_A_WEEK),
            exposure: libm::log(ahead.exposure.max(LEAST_EXPOSURE)),
            extra: ahead.extra,
        }
    }
}

impl Extra {
    /// With one more batch. The mean of a skewed range is near 0.3, 0.4 and 0.3 of its bounds (Swanson's rule), and the
    /// bounds of a normal one lie 2.563 standard deviations apart.
    pub(super) fn and(self, batch: &PlannedBatch) -> Extra {
        let [low, likely, high] = [batch.low, batch.likely, batch.high].map(|credits| credits.as_f64().max(0.0));
        let (likely, high) = ((likely - low).max(0.0), (high - low).max(0.0));
        let deviation = high / 2.563;
        Extra { mean: self.mean + 0.4 * likely + 0.3 * high, variance: self.variance + deviation * deviation }
    }

    fn is_some(self) -> bool {
        self.mean > 0.0 || self.variance > 0.0
    }
}

impl ToCome {
    fn with(self, extra: Extra) -> ToCome {
        if !extra.is_some() {
            return self;
        }
        let usual = libm::exp(self.log_mean);
        let mean = usual + extra.mean;
        let variance = (self.variance * usual * usual + extra.variance) / (mean * mean);
        ToCome { log_mean: libm::log(mean), variance }
    }

    /// How many standard deviations of the logarithm the median lies above an amount.
    fn score(&self, log_credits: f64) -> f64 {
        let spread = libm::log1p(self.variance);
        (self.log_mean - spread / 2.0 - log_credits) / spread.sqrt()
    }
}

/// The probability that goes with a score, before recalibration.
fn raw(score: f64) -> f64 {
    (libm::erfc(-score / SQRT_2) / 2.0).clamp(CLIP, 1.0 - CLIP)
}

fn log_credits(credits: f64) -> f64 {
    libm::log(credits.max(LEAST_CREDITS))
}

fn logit(probability: f64) -> f64 {
    libm::log(probability / (1.0 - probability))
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-value))
}

/// The inverse of the normal distribution function, by Newton's method from the centre outwards. For probabilities
/// between 1e-5 and 1 - 1e-5 it converges to the last digits in fewer steps than are made.
fn normal_quantile(probability: f64) -> f64 {
    const SQRT_TWO_PI: f64 = 2.506_628_274_631_000_7;
    // The logistic approximation starts within 0.1 of the answer over the whole range.
    let mut score = logit(probability) / 1.702;
    for _ in 0..8 {
        let miss = libm::erfc(-score / SQRT_2) / 2.0 - probability;
        let slope = libm::exp(-score * score / 2.0) / SQRT_TWO_PI;
        let step = miss / slope;
        // Halley's correction keeps the steps short in the tails.
        score -= step / (1.0 + score * step / 2.0);
        if step.abs() < 1e-14 {
            break;
        }
    }
    score
}
