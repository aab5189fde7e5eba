//! What would help against credits that run out: only what follows from the ledger. What each would do is forecast in the
//! same way as what happens without it.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::assessment::{DrawAssessment, Fuel, RetryRow, TotalsRow};
use super::credits::Credits;
use super::drivers::{Drivers, Price};
use super::forecast::{Announced, Forecast, ForecastInput, Outlook, PaceChange, forecast, use_ahead};
use super::queued::{Waiting, gives_back_when_cancelled};
use super::retry::RetryKind;

/// One thing that can be done, and what it would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// What to do.
    pub measure: Measure,
    /// Credits that are not spent until the reset, or that come in at once.
    pub credits: Credits,
    /// When the credits would run out then (median); `None` if not within what can be foreseen.
    pub run_out: Option<Timestamp>,
    /// How likely (0 to 1) they would run out before the reset all the same; `None` where nobody forecast it.
    pub probability: Option<f64>,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Everybody who draws on the limit slows down in the same proportion.
    SlowDown {
        /// The pace that just lasts, of all together, in credits a day.
        to: f64,
        /// Their pace now.
        from: f64,
        /// The team's part of that (0 to 1): 1 where it is alone, `None` where it is not known.
        own_part: Option<f64>,
    },
    /// Repeat nothing that succeeded.
    PauseReruns,
    /// Repeat half as often what succeeded.
    HalveReruns,
    /// Launch half as many of the kind of task that most was spent on.
    LaunchHalf {
        /// The platform's word.
        task_type: String,
        /// The platform's word; may be empty.
        quality: String,
    },
    /// Ask for fewer variants of each task of a kind.
    FewerVariants {
        /// The platform's word.
        task_type: String,
        /// The platform's word; may be empty.
        quality: String,
        /// So many are usual.
        from: u32,
        /// So many were enough at other times.
        to: u32,
    },
    /// Launch a kind of task in a quality that costs less.
    OtherQuality {
        /// The platform's word.
        task_type: String,
        /// What is usual.
        from: String,
        /// The next cheaper one that the team uses too.
        to: String,
    },
    /// Cancel what waits in the queue.
    CancelWaiting {
        /// How many tasks.
        tasks: u64,
        /// Whether some of them were not charged yet, so that what they would cost is only the usual.
        is_estimated: bool,
    },
    /// Credits from outside.
    TopUp {
        /// With so many more than `credits` in all it would last in nine of ten cases; `None` if `credits` do that.
        surely: Option<Credits>,
    },
}

impl Remedy {
    /// Whether the credits would be expected to last until `end`.
    pub fn lasts_until(&self, end: Timestamp) -> bool {
        self.run_out.is_none_or(|run_out| run_out >= end)
    }
}

/// A limit on what a team can spend.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// What its forecast is made from.
    pub input: ForecastInput<'a>,
    /// The team's part of the use that lowers it (0 to 1): 1 where it is alone, `None` where it is not known.
    pub own_part: Option<f64>,
}

/// What remedies are worked out from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The limits of the draw; the first is the one that ends soonest, of which `fuel` is left.
    pub limits: &'a [Limit<'a>],
    /// What is left of the first limit.
    pub fuel: &'a Fuel,
    /// When the period ends.
    pub end: Timestamp,
    /// What the team spent on in the period.
    pub drivers: &'a Drivers,
    /// What waits in the queue.
    pub waiting: &'a [Waiting],
    /// The name of the account's mapping.
    pub platform: &'a str,
}

/// So many are told: who reads on a phone decides among few.
pub const MOST_REMEDIES: usize = 5;

/// Less than this share of all use is not worth a line.
pub const LEAST_SHARE: f64 = 0.03;

/// Of a top-up, how much is for use beyond what is expected: the expected use itself is exceeded half of the time.
pub const TOP_UP_MARGIN: f64 = 0.10;

/// A kind of task must have had this share of all that was spent for half of it to be worth a line.
const LARGE_SHARE: f64 = 0.2;
/// What something costs is known from so many tasks.
const FEWEST_TASKS: u64 = 3;
/// A price that is not at least this much lower is the same price.
const CHEAPER: f64 = 0.95;
/// A pace that is not at least this much slower is the same pace.
const SLOWER: f64 = 0.98;

/// What would help, what helps most first, at most [`MOST_REMEDIES`]. Nothing where there is no forecast, and nothing that
/// would not help.
pub fn remedies(question: &Question) -> Vec<Remedy> {
    let mut found = question.candidates();
    // What lasts comes first, and of that what saves something in particular: it costs nothing but one habit.
    let rank = |remedy: &Remedy| match (remedy.lasts_until(question.end), &remedy.measure) {
        (true, Measure::SlowDown { .. }) => 1,
        (true, Measure::TopUp { .. }) => 2,
        (true, _) => 0,
        (false, _) => 3,
    };
    let until = |remedy: &Remedy| remedy.run_out.map_or(question.end, |run_out| run_out.min(question.end));
    let key = |remedy: &Remedy| (rank(remedy), Reverse((until(remedy), remedy.credits)));
    found.sort_by_key(key);
    found.truncate(MOST_REMEDIES);
    found
}

/// What fewer re-runs would do: none of them, and half of them. Nothing where there is no forecast.
pub fn fewer_reruns(question: &Question) -> Vec<Remedy> {
    let Some(now) = question.outlook(Change::None).filter(|now| question.end > now.at) else { return Vec::new() };
    let Some((paused, share)) = without_reruns(question.drivers) else { return Vec::new() };
    let measures = [(paused, share), (Measure::HalveReruns, share / 2.0)];
    measures.into_iter().filter_map(|(measure, share)| question.less(&now, measure, share)).collect()
}

/// What comes back if everything that waits in the queue is cancelled; `None` where that is not known.
pub fn emptier_queue(question: &Question) -> Option<Remedy> {
    question.cancel_waiting()
}

/// What a task of a kind usually costs: the price that half of those that succeeded do not exceed.
pub fn usual_price(prices: &[Price], task_type: &str, quality: &str) -> Option<Credits> {
    let is_it = |price: &&Price| price.task_type == task_type && price.quality == quality;
    median(prices.iter().filter(is_it).map(|price| (price.credits, price.tasks)))
}

/// The pace, in credits a day, at which the fuel lasts for that long; rounded down, so that it truly does. `None` for
/// an empty tank and for a reset that is not ahead.
pub fn lasting_pace(fuel: &Fuel, to_reset: SignedDuration) -> Option<f64> {
    let pace = fuel.left.as_f64() / (to_reset.as_secs_f64() / 86_400.0);
    let steps = if pace >= 10.0 { 1.0 } else { 100.0 };
    let rounded = (pace * steps).floor() / steps;
    (rounded.is_finite() && rounded > 0.0).then_some(rounded)
}

/// The team's part of the use that lowers its tank: 1 where nobody else draws on it, `None` where it is not known.
pub fn own_part(draw: &DrawAssessment, forecast: &Forecast) -> Option<f64> {
    let Some(shared) = &draw.shared else { return Some(1.0) };
    part_of(shared.own_pace_per_hour?, forecast.pace_per_hour)
}

/// A team's part of a pace. Each pace is learned for itself, so that parts need not add up to one.
pub fn part_of(own_pace: f64, pace_of_all: f64) -> Option<f64> {
    let part = own_pace / pace_of_all;
    part.is_finite().then(|| part.clamp(0.0, 1.0))
}

/// What is different.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    /// The team spends this share (0 to 1) less from now on.
    SpendLess(f64),
    /// So many credits come back to every limit.
    Back(Credits),
    /// So many credits come to the limit that ends first.
    TopUp(Credits),
}

impl Question<'_> {
    /// Whatever would help, in no order.
    fn candidates(&self) -> Vec<Remedy> {
        let now = self.outlook(Change::None);
        let Some(now) = now.as_ref().filter(|now| self.end > now.at) else { return Vec::new() };
        let mut found = self.spending_less(now);
        found.extend(self.slow_down(now));
        found.extend(self.cancel_waiting());
        found.extend(self.top_up(now));
        found
    }

    /// The forecast of whichever limit ends first then; `None` where there is none.
    fn outlook(&self, change: Change) -> Option<Forecast> {
        let outlooks = (0..self.limits.len()).map(|place| self.outlook_of(place, change));
        let tightest = outlooks.reduce(|a, b| match (a, b) {
            (Some(a), Some(b)) if b.is_tighter_than(&a) => Some(b),
            (Some(a), Some(_)) => Some(a),
            _ => None,
        });
        tightest.flatten().and_then(|outlook| outlook.forecast().cloned())
    }

    /// `None` where it is not known what the change does to that limit.
    fn outlook_of(&self, place: usize, change: Change) -> Option<Outlook> {
        let limit = self.limits.get(place)?;
        let input = limit.input;
        let more =
            |credits| forecast(&ForecastInput { remaining: input.remaining.map(|left| left + credits), ..input });
        Some(match change {
            Change::SpendLess(share) => {
                let factor = 1.0 - share * limit.own_part?;
                let slower = PaceChange { factor, from: input.now, to: Timestamp::MAX };
                let paces: Vec<PaceChange> = input.announced.paces.iter().copied().chain([slower]).collect();
                forecast(&ForecastInput { announced: Announced { paces: &paces, ..input.announced }, ..input })
            }
            Change::Back(credits) => more(credits),
            Change::TopUp(credits) if place == 0 => more(credits),
            Change::None | Change::TopUp(_) => forecast(&input),
        })
    }

    fn remedy(&self, measure: Measure, credits: Credits, change: Change) -> Option<Remedy> {
        let after = self.outlook(change)?;
        credits.is_positive().then_some(Remedy {
            measure,
            credits,
            run_out: after.run_out.p50,
            probability: after.probability,
        })
    }

    fn slow_down(&self, now: &Forecast) -> Option<Remedy> {
        let from = now.pace_per_hour * 24.0;
        let to = lasting_pace(self.fuel, self.end.duration_since(now.at)).filter(|to| *to < from * SLOWER)?;
        Some(Remedy {
            measure: Measure::SlowDown { to, from, own_part: self.limits.first()?.own_part },
            credits: (now.expected_use - self.fuel.left).max(Credits::ZERO),
            run_out: None,
            probability: None,
        })
    }

    /// Everything that lowers the team's use by a share of it.
    fn spending_less(&self, now: &Forecast) -> Vec<Remedy> {
        if !self.fuel.left.is_positive() {
            return Vec::new();
        }
        let measures = [without_reruns(self.drivers), half_of_the_largest(self.drivers)];
        let measures = measures.into_iter().chain([fewer_variants(self.drivers), other_quality(self.drivers)]);
        measures.flatten().filter_map(|(measure, share)| self.less(now, measure, share)).collect()
    }

    /// A measure that lowers the team's use by a share of it (0 to 1); `None` where that is little.
    fn less(&self, now: &Forecast, measure: Measure, share: f64) -> Option<Remedy> {
        let own_part = self.limits.first().and_then(|limit| limit.own_part).unwrap_or(0.0);
        (share * own_part >= LEAST_SHARE).then_some(())?;
        let change = Change::SpendLess(share.min(1.0));
        let expected = self.outlook_of(0, change)?.forecast()?.expected_use;
        self.remedy(measure, now.expected_use - expected, change)
    }

    /// Only where it is known that the platform gives back what was charged: from what it says, or from what it did.
    fn cancel_waiting(&self) -> Option<Remedy> {
        let Drivers { cancelled, cancelled_and_refunded, prices, .. } = self.drivers;
        let has_done_so = *cancelled > 0 && cancelled == cancelled_and_refunded;
        (gives_back_when_cancelled(self.platform) || has_done_so).then_some(())?;
        let (mut tasks, mut back, mut is_estimated) = (0, Credits::ZERO, false);
        for waiting in self.waiting {
            tasks += waiting.charged_tasks;
            back += waiting.charged;
            let usual = usual_price(prices, &waiting.task_type, &waiting.quality);
            if let (1.., Some(usual)) = (waiting.uncharged_tasks, usual) {
                tasks += waiting.uncharged_tasks;
                let times = i64::try_from(waiting.uncharged_tasks).unwrap_or(i64::MAX);
                back += Credits::from_micros(usual.micros().saturating_mul(times));
                is_estimated = true;
            }
        }
        self.remedy(Measure::CancelWaiting { tasks, is_estimated }, back, Change::Back(back))
    }

    fn top_up(&self, now: &Forecast) -> Option<Remedy> {
        let left = self.fuel.left.as_f64();
        let rounded = |needed: f64| Credits::from_statistic(round_up(needed)?);
        let needed = rounded(now.expected_use.as_f64() * (1.0 + TOP_UP_MARGIN) - left)?;
        let at_end = use_ahead(&self.limits.first()?.input, &[self.end]);
        let surely = at_end.first().and_then(|use_| rounded(use_.p90.as_f64() - left));
        let surely = surely.filter(|surely| *surely > needed);
        self.remedy(Measure::TopUp { surely }, needed, Change::TopUp(needed))
    }
}

/// A measure, and which share of what the team spent (0 to 1) it would have saved.
type Saving = Option<(Measure, f64)>;

fn without_reruns(drivers: &Drivers) -> Saving {
    let is_rerun = |row: &&RetryRow| row.kind == RetryKind::Rerun;
    let reruns: Credits = drivers.retries.iter().filter(is_rerun).map(|row| row.credits).sum();
    let charged: Credits = drivers.totals.iter().map(|row| row.charged).sum();
    Some((Measure::PauseReruns, share(reruns, charged)?))
}

fn half_of_the_largest(drivers: &Drivers) -> Saving {
    let largest = drivers.totals.iter().max_by_key(|row| net(row))?;
    let share = share(net(largest), spent(drivers)).filter(|share| *share >= LARGE_SHARE)?;
    let (task_type, quality) = (largest.task_type.clone(), largest.quality.clone());
    Some((Measure::LaunchHalf { task_type, quality }, share / 2.0))
}

/// The kind of task with which most would be saved by as many variants as were enough at other times: half as many, or
/// else the next number below. What they cost is what they did cost; nobody knows whether a platform charges for each.
fn fewer_variants(drivers: &Drivers) -> Saving {
    let saving = |kind: &[Price]| {
        let of = |variants: u32| kind.iter().filter(move |price| price.variants == Some(variants));
        let price_of = |variants: u32| {
            let tasks: u64 = of(variants).map(|price| price.tasks).sum();
            let usual = median(of(variants).map(|price| (price.credits, price.tasks)));
            usual.filter(|_| tasks >= FEWEST_TASKS)
        };
        let mut counts: Vec<u32> = kind.iter().filter_map(|price| price.variants).collect();
        counts.dedup();
        let from = counts.iter().copied().filter(|n| *n > 1).max_by_key(|n| total(of(*n)))?;
        let costs = price_of(from)?;
        let cheaper = |n: &u32| price_of(*n).is_some_and(|price| price.as_f64() < costs.as_f64() * CHEAPER);
        let fewer: Vec<u32> = counts.into_iter().filter(|n| *n < from).filter(cheaper).collect();
        let to = fewer.iter().copied().filter(|n| *n <= from / 2).max().or(fewer.last().copied())?;
        let saved = total(of(from)).as_f64() * (1.0 - price_of(to)?.as_f64() / costs.as_f64());
        let (task_type, quality) = (kind[0].task_type.clone(), kind[0].quality.clone());
        Some((Measure::FewerVariants { task_type, quality, from, to }, saved))
    };
    let is_one_kind = |a: &Price, b: &Price| a.task_type == b.task_type && a.quality == b.quality;
    let savings = drivers.prices.chunk_by(is_one_kind).filter_map(saving);
    let (measure, saved) = savings.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((measure, share(Credits::from_statistic(saved)?, spent(drivers))?))
}

/// The kind of task with which most would be saved by the next cheaper quality that the team uses too.
fn other_quality(drivers: &Drivers) -> Saving {
    let saving = |of_type: &[Price]| {
        let qualities = of_type.chunk_by(|a, b| a.quality == b.quality);
        // For each quality: what one variant costs, and what all of them came to.
        let known: Vec<(&str, Credits, Credits)> = qualities
            .filter(|prices| !prices[0].quality.is_empty())
            .filter(|prices| prices.iter().map(|price| price.tasks).sum::<u64>() >= FEWEST_TASKS)
            .filter_map(|prices| {
                let each = |price: &Price| {
                    let variants = i64::from(price.variants.unwrap_or(1).max(1));
                    (Credits::from_micros(price.credits.micros() / variants), price.tasks)
                };
                Some((prices[0].quality.as_str(), median(prices.iter().map(each))?, total(prices.iter())))
            })
            .collect();
        let (from, costs, spent) = known.iter().max_by_key(|(_, _, spent)| *spent)?;
        let cheaper = known.iter().filter(|(_, price, _)| price.as_f64() < costs.as_f64() * CHEAPER);
        let (to, price, _) = cheaper.max_by_key(|(_, price, _)| *price)?;
        let saved = spent.as_f64() * (1.0 - price.as_f64() / costs.as_f64());
        let task_type = of_type[0].task_type.clone();
        Some((Measure::OtherQuality { task_type, from: (*from).into(), to: (*to).into() }, saved))
    };
    let savings = drivers.prices.chunk_by(|a, b| a.task_type == b.task_type).filter_map(saving);
    let (measure, saved) = savings.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((measure, share(Credits::from_statistic(saved)?, spent(drivers))?))
}

fn total<'a>(prices: impl Iterator<Item = &'a Price>) -> Credits {
    let sum = |price: &Price| price.credits.micros().saturating_mul(i64::try_from(price.tasks).unwrap_or(i64::MAX));
    Credits::from_micros(prices.map(sum).fold(0, i64::saturating_add))
}

/// The price that half of the tasks do not exceed.
fn median(prices: impl Iterator<Item = (Credits, u64)>) -> Option<Credits> {
    let mut prices: Vec<(Credits, u64)> = prices.collect();
    prices.sort_unstable();
    let half = prices.iter().map(|(_, tasks)| tasks).sum::<u64>().div_ceil(2);
    let mut passed = 0;
    let is_it = |(_, tasks): &&(Credits, u64)| {
        passed += tasks;
        passed >= half
    };
    prices.iter().find(is_it).map(|(price, _)| *price)
}

fn spent(drivers: &Drivers) -> Credits {
    drivers.totals.iter().map(net).sum()
}

fn net(row: &TotalsRow) -> Credits {
    row.charged - row.refunded
}

/// A share (0 to 1); `None` of nothing.
pub fn share(part: Credits, whole: Credits) -> Option<f64> {
    whole.is_positive().then(|| (part.as_f64() / whole.as_f64()).clamp(0.0, 1.0))
}

/// Rounds up to two leading digits: nobody buys 1,387 credits. `None` for nothing.
pub(super) fn round_up(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(())?;
    let unit = 10_f64.powi((value.log10().floor() as i32 - 1).max(0));
    Some((value / unit).ceil() * unit)
}

#[cfg(test)]
mod tests;
