//! What drove a forecast: the numbers on its way, made by the same model from the same state, and in words.

use jiff::Timestamp;

use super::model::{LEAST_PACE, PLAN_PACE_FLOOR, SHARES, Steps};
use super::state::{HALF_LIFE_HOURS, LEVELS, hours_since_epoch};
use super::{Confidence, ForecastInput, View, horizon, is_too_little, long_history_hours};
use crate::domain::credits::Credits;
use crate::domain::words::{amount, counted, percent};

/// Half-lives up to so many hours are recent use, longer ones long memory: three days.
const RECENT_HOURS: f64 = 72.0;
/// Exposure that differs from the hours by less than this share is not worth a word.
const LEAST_DIFFERENCE: f64 = 0.03;

/// What drove a forecast. The probability can be worked out from it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The paces that are pooled, the most nervous first; the last is that of the last plan periods, or the guess at it.
    pub paces: [PacePart; LEVELS + 1],
    /// Added to each of them before they are pooled, in credits per hour of average weight.
    pub floor_per_hour: f64,
    /// Their geometric mean, in credits per hour of average weight: the pace that the forecast goes by.
    pub pace_per_hour: f64,
    /// Up to when it looks: the reset, or the horizon where nothing resets.
    pub until: Timestamp,
    /// Hours up to then.
    pub hours: f64,
    /// The same in hours of average weight: nights and weekends weigh less, announced changes of pace count.
    pub exposure_hours: f64,
    /// Mean use, without planned batches, is pace times exposure times this.
    pub horizon_factor: f64,
    /// Mean of what is to come up to then, in credits, without what planned batches cost at least.
    pub mean_use: f64,
    /// What of that is planned batches whose cost is a range.
    pub planned_mean: f64,
    /// How uncertain that is, and why.
    pub spread: Spread,
    /// Dispersion of daily use, in credits: variance over mean.
    pub dispersion: f64,
    /// Squared relative miss of a week, no unit; 0.25 is usual.
    pub wobble: f64,
    /// Effective number of charges: older ones count less, with a half-life of 28 days.
    pub effective_charges: f64,
    /// Credits that can be spent up to then, less planned batches and queued tasks.
    pub remaining: Credits,
    /// What planned batches up to then cost at least.
    pub planned: Credits,
    /// What tasks cost that are launched and not charged yet.
    pub queued: Credits,
    /// Share of the period that has passed (0 to 1); a half where nothing resets.
    pub elapsed_share: f64,
    /// The probability of running out before the reset; `None` without a reset, for credits that are gone, and for a guess.
    pub chance: Option<Chance>,
    /// How much history stands behind it.
    pub confidence: Confidence,
    /// Hours since the first charge.
    pub history_hours: f64,
    /// Confidence is normal from so many on: two plan periods.
    pub long_history_hours: f64,
    /// Charges seen so far.
    pub charges: u64,
    /// Whether there is too little history for a forecast, so that this explains a guess.
    pub is_guess: bool,
}

/// A pace, and what it weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacePart {
    /// After so many hours use counts for half; `None` for the pace of the last plan periods.
    pub half_life_hours: Option<f64>,
    /// Credits per hour of average weight.
    pub per_hour: f64,
    /// Share in the pooled pace (0 to 1).
    pub share: f64,
}

/// Sources of uncertainty, each as variance over squared mean; they add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Single days with large charges.
    pub lumps: f64,
    /// Weeks that stray from their pace.
    pub drift: f64,
    /// Few charges seen.
    pub thin_data: f64,
    /// Planned batches whose cost is a range; 0 without any.
    pub batches: f64,
}

/// A probability before and after recalibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// As the model's distribution has it.
    pub raw: f64,
    /// Offset of the recalibration, in units of the logarithm of odds.
    pub offset: f64,
    /// Slope of the recalibration.
    pub slope: f64,
    /// What is shown and alarmed on.
    pub calibrated: f64,
}

impl Spread {
    /// All sources together.
    pub fn total(&self) -> f64 {
        self.lumps + self.drift + self.thin_data + self.batches
    }

    /// In two of three cases use is between the median divided by this and times this.
    pub fn factor(&self) -> f64 {
        libm::exp(libm::log1p(self.total()).sqrt())
    }

    /// The sources with their share of the variance, the largest first; planned batches only where there are any.
    pub fn by_share(&self) -> Vec<(&'static str, f64)> {
        let total = self.total();
        let mut sources = vec![
            ("single days with large charges", self.lumps / total),
            ("weeks that stray from their pace", self.drift / total),
            ("having seen few charges", self.thin_data / total),
        ];
        if self.batches > 0.0 {
            sources.push(("what planned batches may cost", self.batches / total));
        }
        sources.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        sources
    }
}

/// What drives the forecast of the same input, or the guess where there is too little history; `None` where nothing is said.
pub fn explain(input: &ForecastInput) -> Option<Explanation> {
    let remaining = input.remaining?;
    let memory = &input.state.memory;
    let history_hours = memory.hours_of_history(input.now).unwrap_or(0.0);
    let charges = input.state.charges();
    let is_guess = remaining.is_positive() && is_too_little(history_hours, charges);
    let view = if is_guess {
        View::guessed(input, memory).filter(|_| input.period.is_some_and(|(_, end)| end > input.now))?
    } else {
        View::new(input, memory, history_hours)
    };
    Some(view.explain(remaining, history_hours, charges, is_guess))
}

impl View<'_> {
    fn explain(&self, remaining: Credits, history_hours: f64, charges: u64, is_guess: bool) -> Explanation {
        let (now, period) = (self.input.now, self.input.period);
        let until = period.map_or_else(|| horizon(now, None), |(_, end)| end.max(now));
        let until_hours = hours_since_epoch(until);
        let ahead = self.ahead(until_hours);
        let left = self.left_at(remaining, until_hours);
        let steps = self.model.steps(ahead, left.as_f64());
        let Steps { horizon_factor, mean, extra_mean, sources, raw, calibration } = steps;
        let [lumps, drift, thin_data, batches] = sources;
        let queued = self.input.announced.queued.max(Credits::ZERO);
        // What is gone is a fact and no probability.
        let has_chance = period.is_some() && left.is_positive() && !is_guess;
        let calibrated = self.model.probability(ahead, left.as_f64());
        let half_lives = HALF_LIFE_HOURS.map(Some).into_iter().chain([None]);
        let mut paces = half_lives.zip(self.paces.into_iter().chain([self.plan_pace])).zip(SHARES);
        let part = |((half_life_hours, per_hour), share)| PacePart { half_life_hours, per_hour, share };
        let nothing = PacePart { half_life_hours: None, per_hour: 0.0, share: 0.0 };
        Explanation {
            paces: std::array::from_fn(|_| paces.next().map_or(nothing, part)),
            floor_per_hour: PLAN_PACE_FLOOR * self.plan_pace + LEAST_PACE,
            pace_per_hour: self.model.pace_per_hour(),
            until,
            hours: ahead.hours,
            exposure_hours: ahead.exposure,
            horizon_factor,
            mean_use: mean,
            planned_mean: extra_mean,
            spread: Spread { lumps, drift, thin_data, batches },
            dispersion: self.present.dispersion,
            wobble: self.present.wobble,
            effective_charges: self.present.charges,
            remaining: left,
            planned: remaining - left - queued,
            queued,
            elapsed_share: self.elapsed,
            chance: has_chance.then_some(Chance { raw, offset: calibration.0, slope: calibration.1, calibrated }),
            confidence: self.confidence,
            history_hours,
            long_history_hours: long_history_hours(period),
            charges,
            is_guess,
        }
    }
}

impl Explanation {
    /// Share (0 to 1) of half-lives up to three days in the pooled pace, and the pace that they alone would give, in credits
    /// per hour of average weight.
    pub fn recent(&self) -> (f64, f64) {
        self.pooled(|half_life| half_life.is_some_and(|hours| hours <= RECENT_HOURS))
    }

    /// Share (0 to 1) of longer half-lives and of the plan in the pooled pace, and the pace that they alone would give.
    pub fn long_memory(&self) -> (f64, f64) {
        self.pooled(|half_life| half_life.is_none_or(|hours| hours > RECENT_HOURS))
    }

    fn pooled(&self, is_wanted: impl Fn(Option<f64>) -> bool) -> (f64, f64) {
        let parts = || self.paces.iter().filter(|part| is_wanted(part.half_life_hours));
        let share: f64 = parts().map(|part| part.share).sum();
        let log_pace: f64 = parts().map(|part| part.share * libm::log(part.per_hour + self.floor_per_hour)).sum();
        (share, libm::exp(log_pace / share))
    }

    /// What drove the forecast, in three to five sentences. `end` is what the end of the period is called, where
    /// there is one; `others` says whose use counts besides the team's own, where it does.
    pub fn in_words(&self, end: Option<&str>, others: Option<&str>) -> Vec<String> {
        let mut sentences = vec![self.pace_in_words(others), self.mean_in_words(end)];
        if self.remaining.is_positive() {
            sentences.push(self.spread_in_words());
        }
        sentences.extend(self.chance.zip(end).map(|(chance, end)| self.chance_in_words(chance, end)));
        sentences.push(self.confidence_in_words());
        sentences
    }

    fn pace_in_words(&self, others: Option<&str>) -> String {
        if self.is_guess {
            let [.., guess] = self.paces;
            let pace = a_day(guess.per_hour);
            return format!(
                "There is too little history for a pace ({} in {}), so it is guessed: if most of what the period began \
                 with is used, evenly, that is {pace} credits a day.",
                counted(self.charges, "charge", "charges"),
                counted(self.history_hours as u64, "hour", "hours")
            );
        }
        let pace = a_day(self.pace_per_hour);
        let others = others.map(|others| format!(", {others}")).unwrap_or_default();
        let ((recent_share, recent), (long_share, long)) = (self.recent(), self.long_memory());
        format!(
            "The pace is about {pace} credits for an average day of the week{others}: recent use (half-lives up to 3 days, \
             {} a day) has {} of the weight, longer memory ({} a day) {}.",
            a_day(recent),
            share(recent_share),
            a_day(long),
            share(long_share)
        )
    }

    fn mean_in_words(&self, end: Option<&str>) -> String {
        let days = |hours: f64| format!("{:.1}", hours / 24.0);
        let is_worth_it = (self.exposure_hours / self.hours.max(1.0) - 1.0).abs() >= LEAST_DIFFERENCE;
        let weighed = match is_worth_it {
            true => format!(", which weigh as much as {} average ones,", days(self.exposure_hours)),
            false => String::new(),
        };
        let planned = match (self.planned.is_positive(), self.queued.is_positive()) {
            (true, true) => {
                format!(
                    " after planned batches of {} and queued tasks of {}",
                    amount(self.planned),
                    amount(self.queued)
                )
            }
            (true, false) => format!(" after planned batches of {}", amount(self.planned)),
            (false, true) => format!(" after queued tasks of {}", amount(self.queued)),
            (false, false) => String::new(),
        };
        let left = match self.remaining.is_positive() {
            true => format!("{} are left{planned}", amount(self.remaining)),
            false => format!("nothing is left{planned}"),
        };
        let ahead = match end {
            Some(end) => format!("In the {} days up to {end}{weighed}", days(self.hours)),
            None => format!("In the {} days that are looked at{weighed}", days(self.hours)),
        };
        format!("{ahead} about {} credits are expected to be used (mean), and {left}.", about(self.mean_use))
    }

    fn spread_in_words(&self) -> String {
        let sources = self.spread.by_share();
        let source = |(place, (name, part)): (usize, &(&str, f64))| {
            let of = if place == 0 { " of that uncertainty comes" } else { "" };
            format!("{}{of} from {name}", share(*part))
        };
        let sources: Vec<String> = sources.iter().enumerate().map(source).collect();
        format!("It may well be {:.1} times as much or as little: {}.", self.spread.factor(), sources.join(", "))
    }

    fn chance_in_words(&self, chance: Chance, end: &str) -> String {
        let (raw, calibrated) = (percent(chance.raw), percent(chance.calibrated));
        if raw == calibrated {
            return format!("By that the chance of running out before {end} is {calibrated}.");
        }
        format!(
            "By that the chance of running out before {end} would be {raw}; corrected by how such forecasts came out for many \
             teams, with {} of the period gone, it is {calibrated}.",
            share(self.elapsed_share),
        )
    }

    fn confidence_in_words(&self) -> String {
        let days = |hours: f64| counted((hours / 24.0) as u64, "day", "days");
        match self.confidence {
            Confidence::Low if self.is_guess => "Confidence is low, and no alert is raised from a guess.".to_owned(),
            Confidence::Low => format!(
                "Confidence is low: {} of history stand behind it, two periods ({}) would be needed.",
                days(self.history_hours),
                days(self.long_history_hours)
            ),
            Confidence::Normal => format!(
                "Confidence is normal: {} of history, and charges with the weight of {:.0} recent ones.",
                days(self.history_hours),
                self.effective_charges
            ),
        }
    }
}

fn a_day(per_hour: f64) -> String {
    about(per_hour * 24.0)
}

/// A statistic as credits; beyond what an amount can hold the largest stands.
fn about(value: f64) -> String {
    amount(Credits::from_statistic(value).unwrap_or(Credits::MAX_PARSED))
}

/// A share (0 to 1) in percent: unlike a probability it may be all or nothing.
fn share(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}
