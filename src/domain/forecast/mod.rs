#![doc = include_str!("README.md")]

#[cfg(test)]
mod announced_tests;
#[cfg(test)]
mod case_tests;
mod explain;
mod model;
mod outlook;
mod pace;
mod shape;
mod state;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};

use self::model::{Ahead, Extra, Model};
use self::state::{LEVELS, Memory, Present, hours_since_epoch};
use super::credits::Credits;
use super::ledger::HourlyUse;
use super::rule::share_of_period;

pub use self::explain::{Chance, Explanation, PacePart, Spread, explain};
pub use self::outlook::{Confidence, Forecast, Guess, Outlook, RunOut, UseAhead};
pub use self::pace::{PartOfAll, SHARE_HOURS, paces_of_all};
pub use self::state::{LateUse, UsageState};

/// What a forecast is made from.
#[derive(Clone, Copy, Debug)]
pub struct ForecastInput<'a> {
    /// The draw's use up to `now`, the running hour included.
    pub state: &'a UsageState,
    /// The moment to forecast from. Not earlier than the last use in `state`, else that use counts as of `now`.
    pub now: Timestamp,
    /// Start and end of the plan period, the end exclusive; `None` where nothing resets.
    pub period: Option<(Timestamp, Timestamp)>,
    /// Credits that can be spent before the reset; `None` while unknown.
    pub remaining: Option<Credits>,
    /// Credits that the period began with; the pace of a team without much history is guessed from it.
    pub granted: Option<Credits>,
    /// Net use before the period, see [`PriorUse::of_rows`]; `None` without a period.
    pub before: Option<PriorUse>,
    /// What a lead has announced; empty as a rule.
    pub announced: Announced<'a>,
}

/// Net use of the last three period lengths before a period, or of what history there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PriorUse {
    /// Net credits used.
    pub net: Credits,
    /// Over so many hours; zero without history.
    pub hours: f64,
}

/// What a lead knows and the ledger cannot, and what waits to be charged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announced<'a> {
    /// Changes of pace. Where two overlap their factors multiply. A change that has begun must be one under which the state
    /// has learned, see [`UsageState::under`], or it counts twice.
    pub paces: &'a [PaceChange],
    /// Planned batches, on top of the usual use.
    pub batches: &'a [PlannedBatch],
    /// What tasks that are launched and not charged yet will cost; it comes at once. Not below zero.
    pub queued: Credits,
}

/// An announced change of pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceChange {
    /// What the usual pace is multiplied by; 0 for a holiday. Not below zero.
    pub factor: f64,
    /// From this moment on.
    pub from: Timestamp,
    /// Up to this moment.
    pub to: Timestamp,
}

/// Credits that will be spent at a known moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBatch {
    /// When. A batch whose moment has passed is in the ledger already and no longer counts.
    pub at: Timestamp,
    /// Nine in ten such batches cost more: as good as spent, and taken off what is left. Not below zero.
    pub low: Credits,
    /// Half of them cost more; at least `low`.
    pub likely: Credits,
    /// One in ten costs more; at least `likely`.
    pub high: Credits,
}

impl PlannedBatch {
    /// A batch whose cost is known.
    pub fn exactly(at: Timestamp, credits: Credits) -> PlannedBatch {
        PlannedBatch { at, low: credits, likely: credits, high: credits }
    }
}

/// No forecast with a shorter history, in hours since the first charge. Set by hand: a day shows nights and mornings.
const LEAST_HOURS: f64 = 24.0;
/// No forecast with fewer charges. Set by hand.
const LEAST_CHARGES: u64 = 3;
/// What counts as a period where nothing resets, in days: history is long after two of them, and run-out dates are
/// looked for over two of them. A month, the usual period of plans.
const NOTIONAL_PERIOD_DAYS: i64 = 30;
/// Run-out dates are looked for up to so many period lengths after the period's start. Set by hand: later ones are no
/// better than a guess.
const HORIZON_PERIODS: i32 = 2;
/// History of less than so many periods is short. Set by hand: the shares were fitted on teams with more history.
const SHORT_HISTORY_PERIODS: f64 = 2.0;
/// How far ahead alerts look beside the reset, as shares of a period (no unit). Chosen together with the thresholds of the
/// alert, by recall and false alarms on charge histories of many teams.
const HALF: f64 = 1.0 / 2.0;
const TENTH: f64 = 1.0 / 10.0;
/// People buy roughly what they need: this share (no unit) of the credits a period began with is the first guess at its use.
/// Set by hand, a little below what is bought.
const GUESSED_SHARE_OF_GRANT: f64 = 0.9;
/// For so many hours of average weight the guess counts in each level while history is short. Set by hand: a day.
const GUESS_HOURS: f64 = 24.0;
/// The pace of so many earlier periods is the plan's pace. Set by hand; the share of that pace was fitted with it.
const PRIOR_PERIODS: i32 = 3;

/// Looks ahead from `input.now`.
///
/// Without a known amount left there is [`Outlook::UnknownBalance`]. Credits that are gone are a fact and need no
/// history: the probability is 1 and the run-out date is now. Otherwise fewer than three charges, or less than a day
/// since the first, are [`Outlook::TooLittleHistory`], also where the plan's credits are known: what people bought says
/// roughly what they will use in a period, and nothing about whether they have begun. It gives a [`Guess`] all the same.
pub fn forecast(input: &ForecastInput) -> Outlook {
    let Some(remaining) = input.remaining else { return Outlook::UnknownBalance };
    let memory = &input.state.memory;
    let hours = memory.hours_of_history(input.now).unwrap_or(0.0);
    let charges = input.state.charges();
    let is_gone = !remaining.is_positive();
    if !is_gone && is_too_little(hours, charges) {
        return Outlook::TooLittleHistory {
            hours: hours as u32,
            charges: u32::try_from(charges).unwrap_or(u32::MAX),
            guess: View::guessed(input, memory).and_then(|view| view.guess(remaining)),
        };
    }
    Outlook::Forecast(View::new(input, memory, hours).forecast(remaining))
}

/// The pace that a forecast goes by, in credits for an average hour of the week; `None` with too little history.
pub fn pace_per_hour(input: &ForecastInput) -> Option<f64> {
    let memory = &input.state.memory;
    let hours = memory.hours_of_history(input.now).unwrap_or(0.0);
    (!is_too_little(hours, input.state.charges())).then(|| View::new(input, memory, hours).model.pace_per_hour())
}

fn is_too_little(hours_of_history: f64, charges: u64) -> bool {
    hours_of_history < LEAST_HOURS || charges < LEAST_CHARGES
}

/// What net use is likely to come up to each of some moments, by the same model; empty where [`forecast`] has too
/// little history.
pub fn use_ahead(input: &ForecastInput, moments: &[Timestamp]) -> Vec<UseAhead> {
    let hours = input.state.memory.hours_of_history(input.now).unwrap_or(0.0);
    if is_too_little(hours, input.state.charges()) {
        return Vec::new();
    }
    let view = View::new(input, &input.state.memory, hours);
    moments.iter().map(|until| view.use_ahead(*until)).collect()
}

impl PriorUse {
    /// Adds up the rows of the last three period lengths before a period. `rows` are in the order of their hours and
    /// reach back that far, or to the first charge.
    pub fn of_rows(rows: &[HourlyUse], period: (Timestamp, Timestamp)) -> PriorUse {
        PriorUse::of_rows_under(rows, period, &[])
    }

    /// The same of the usual pace, under announced changes: an hour counts as many times as its factor says, and one at
    /// rest not at all.
    pub fn of_rows_under(rows: &[HourlyUse], (start, end): (Timestamp, Timestamp), paces: &[PaceChange]) -> PriorUse {
        let (start, end) = (hours_since_epoch(start), hours_since_epoch(end));
        let from = start - (end - start).max(0.0) * f64::from(PRIOR_PERIODS);
        let Some(first) = rows.iter().find(|row| row.charges > 0) else { return PriorUse::default() };
        let is_before = |moment: f64| move |row: &HourlyUse| (row.hour as f64) < moment;
        let window = rows.partition_point(is_before(from))..rows.partition_point(is_before(start));
        let counts =
            |row: &&HourlyUse| pace::factor_between(paces, row.hour as f64, (row.hour + 1) as f64) >= pace::REST_BELOW;
        let from = from.max(first.hour as f64);
        let hours = pace::scaled(paces, from, start.max(from), |from, to| to - from);
        PriorUse { net: rows.get(window).unwrap_or_default().iter().filter(counts).map(|row| row.net).sum(), hours }
    }
}

/// One draw at one moment, with the model made.
struct View<'a> {
    input: &'a ForecastInput<'a>,
    now_hours: f64,
    present: Present,
    /// In credits per hour of average weight, by level.
    paces: [f64; LEVELS],
    /// In credits per hour.
    plan_pace: f64,
    elapsed: f64,
    model: Model,
    confidence: Confidence,
}

impl<'a> View<'a> {
    fn new(input: &'a ForecastInput<'a>, memory: &Memory, hours_of_history: f64) -> View<'a> {
        let present = memory.at(input.now, &input.state.paces);
        let is_short = hours_of_history < long_history_hours(input.period);

        let level = |guess_hours: f64, guess: f64| -> [f64; LEVELS] {
            std::array::from_fn(|j| {
                (present.used[j] + guess_hours * guess) / (present.exposure[j] + guess_hours).max(1e-9)
            })
        };
        let paces = level(0.0, 0.0);
        let before = input.before.filter(|before| before.hours >= LEAST_HOURS);
        let measured = before.map_or(paces[LEVELS - 1], |before| before.net.as_f64().max(0.0) / before.hours);
        let (paces, plan_pace) = match guessed_pace(input).filter(|_| is_short) {
            Some(guess) => (level(GUESS_HOURS, guess), guess),
            None => (paces, measured),
        };
        let confidence = if is_short { Confidence::Low } else { Confidence::Normal };
        View::of(input, present, paces, plan_pace, confidence)
    }

    /// Goes by what the period began with and by nothing else: a few charges of one day say less. The spread is that of
    /// a team of which no charge is known.
    fn guessed(input: &'a ForecastInput<'a>, memory: &Memory) -> Option<View<'a>> {
        let guess = guessed_pace(input)?;
        let present = Present { charges: 0.0, ..memory.at(input.now, &input.state.paces) };
        Some(View::of(input, present, [guess; LEVELS], guess, Confidence::Low))
    }

    fn of(
        input: &'a ForecastInput<'a>,
        present: Present,
        paces: [f64; LEVELS],
        plan_pace: f64,
        confidence: Confidence,
    ) -> View<'a> {
        let elapsed = input.period.map_or(0.5, |(start, end)| share_of_period(input.now, start, end));
        let model = Model::new(&present, &paces, plan_pace, elapsed);
        let now_hours = hours_since_epoch(input.now);
        View { input, now_hours, present, paces, plan_pace, elapsed, model, confidence }
    }

    /// Nothing can be guessed of a period that is over.
    fn guess(&self, remaining: Credits) -> Option<Guess> {
        let (_, end) = self.input.period.filter(|(_, end)| *end > self.input.now)?;
        let horizon = horizon(self.input.now, self.input.period);
        Some(Guess { run_out: self.run_out(remaining, horizon), horizon, use_ahead: self.use_ahead(end) })
    }

    fn forecast(&self, remaining: Credits) -> Forecast {
        let now = self.input.now;
        let horizon = horizon(now, self.input.period);
        let probability_until = |until: f64| {
            let left = self.left_at(remaining, until).as_f64();
            self.model.probability(self.ahead(until), left)
        };
        let probability_before_reset = |limit_hours: f64| {
            let (_, end) = self.input.period?;
            let until = hours_since_epoch(end).min(self.now_hours + limit_hours);
            Some(if remaining.is_positive() { probability_until(until) } else { 1.0 })
        };
        let length = self.input.period.map_or(0.0, |(start, end)| hours_since_epoch(end) - hours_since_epoch(start));
        let end = self.input.period.map_or(horizon, |(_, end)| end.max(now));
        let expected_use = self.use_at(end, 0.5);
        let probability = probability_before_reset(f64::INFINITY);
        // Over a night the longer horizon can draw the mean down more than the exposure grows.
        let within = |share: f64| {
            probability_before_reset(length.max(0.0) * share).zip(probability).map(|(soon, all)| soon.min(all))
        };
        Forecast {
            at: now,
            probability,
            probability_half: within(HALF),
            probability_tenth: within(TENTH),
            run_out: self.run_out(remaining, horizon),
            horizon,
            expected_use,
            unused: self.input.period.map(|_| (remaining - expected_use).max(Credits::ZERO)),
            pace_per_hour: self.model.pace_per_hour() * pace::factor_at(self.input.announced.paces, self.now_hours),
            confidence: self.confidence,
        }
    }

    fn run_out(&self, remaining: Credits, horizon: Timestamp) -> RunOut {
        if !remaining.is_positive() {
            let now = Some(self.input.now);
            return RunOut { p10: now, p50: now, p90: now };
        }
        // Dates fall on whole hours of the clock, so that two forecasts a minute apart name the same one.
        let first_hour = self.now_hours.floor() as i64 + 1;
        let hours = hours_since_epoch(horizon).floor() as i64 - first_hour + 1;
        let steps = u32::try_from(hours.max(0)).unwrap_or(u32::MAX);
        let moment = |step: u32| (first_hour + i64::from(step)) as f64;
        let curve = |step: u32| (self.ahead(moment(step)), self.left_at(remaining, moment(step)).as_f64());
        let reaching = |probability: f64, from: Option<u32>| {
            from.and_then(|from| self.model.first_reaching(probability, from..steps, &curve))
        };
        let p10 = reaching(0.1, Some(0));
        let p50 = reaching(0.5, p10);
        let p90 = reaching(0.9, p50);
        let date = |step: Option<u32>| {
            step.and_then(|step| Timestamp::from_second((first_hour + i64::from(step)) * 3600).ok())
        };
        RunOut { p10: date(p10), p50: date(p50), p90: date(p90) }
    }

    /// Net use up to a moment, planned batches included, that is not reached with the probability `quantile`.
    fn use_at(&self, until: Timestamp, quantile: f64) -> Credits {
        let until_hours = hours_since_epoch(until);
        let usual =
            if until_hours <= self.now_hours { 0.0 } else { self.model.use_at(self.ahead(until_hours), quantile) };
        // Beyond what an amount can hold only a history of absurd amounts leads; then the largest amount stands.
        let usual = Credits::from_statistic(usual).unwrap_or(Credits::MAX_PARSED);
        usual + self.known_until(until_hours)
    }

    fn use_ahead(&self, until: Timestamp) -> UseAhead {
        let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|quantile| self.use_at(until, quantile));
        UseAhead { until, p10, p50, p90 }
    }

    fn ahead(&self, until: f64) -> Ahead {
        let shape = &self.present.shape;
        let paces = self.input.announced.paces;
        Ahead {
            hours: until - self.now_hours,
            exposure: pace::scaled(paces, self.now_hours, until, |from, to| shape.exposure(from, to)),
            extra: self.due(until).fold(Extra::default(), |extra, batch| extra.and(batch)),
        }
    }

    fn left_at(&self, remaining: Credits, until: f64) -> Credits {
        remaining - self.known_until(until)
    }

    /// What is as good as spent up to a moment.
    fn known_until(&self, until: f64) -> Credits {
        let planned: Credits = self.due(until).map(|batch| batch.low.max(Credits::ZERO)).sum();
        planned + self.input.announced.queued.max(Credits::ZERO)
    }

    fn due(&self, until: f64) -> impl Iterator<Item = &PlannedBatch> {
        let is_due = move |batch: &&PlannedBatch| batch.at > self.input.now && hours_since_epoch(batch.at) <= until;
        self.input.announced.batches.iter().filter(is_due)
    }
}

/// From so many hours on history is long.
fn long_history_hours(period: Option<(Timestamp, Timestamp)>) -> f64 {
    let length = period.map(|(start, end)| hours_since_epoch(end) - hours_since_epoch(start));
    SHORT_HISTORY_PERIODS * length.unwrap_or((NOTIONAL_PERIOD_DAYS * 24) as f64)
}

/// The pace at which a period's credits would be used as people use what they buy; `None` where it is not known what the
/// period began with.
fn guessed_pace(input: &ForecastInput) -> Option<f64> {
    let (start, end) = input.period?;
    let length = hours_since_epoch(end) - hours_since_epoch(start);
    let granted = input.granted.filter(|granted| granted.is_positive() && length > 0.0)?;
    Some(GUESSED_SHARE_OF_GRANT * granted.as_f64() / length)
}

/// How far ahead run-out dates are looked for.
fn horizon(now: Timestamp, period: Option<(Timestamp, Timestamp)>) -> Timestamp {
    let (start, length) = match period {
        Some((start, end)) => (start, end.duration_since(start)),
        None => (now, SignedDuration::from_hours(NOTIONAL_PERIOD_DAYS * 24)),
    };
    start.saturating_add(length * HORIZON_PERIODS).unwrap_or(Timestamp::MAX).max(now)
}
