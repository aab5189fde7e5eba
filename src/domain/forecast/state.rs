//! What is remembered of a draw's use: a few hundred numbers, however long the history.
//!
//! An hour costs seven multiplications, a midnight a little more, a charge one addition. The same rows give the same
//! state, bit for bit, whether they come one at a time or all at once.

use std::sync::Arc;

use jiff::Timestamp;

use super::PaceChange;
use super::pace::{REST_BELOW, factor_between};
use super::shape::{DAY, ShapeEvidence, WeekShape, weekday_of};
use crate::domain::assessment::{DailyUse, SpendRates};
use crate::domain::credits::Credits;
use crate::domain::ledger::HourlyUse;
use crate::domain::recent::RecentUse;

/// How many levels of pace are kept, from nervous to placid.
pub(super) const LEVELS: usize = 7;
/// The level with a half-life of 28 days, by which the lumpiness of days and the wobble of weeks are measured.
const STEADY: usize = 5;
/// Half-lives of the levels, in hours: from half a day to twelve weeks, each about twice or three times the one before.
/// Set by hand; more levels gained nothing when the shares were fitted.
pub(super) const HALF_LIFE_HOURS: [f64; LEVELS] = [12.0, 24.0, 72.0, 168.0, 336.0, 672.0, 2016.0];
/// What each level keeps after an hour: 2^(-1 / half-life), no unit. Follows from the half-lives; a test says so.
pub(super) const KEPT_EACH_HOUR: [f64; LEVELS] = [
    0.943_874_312_681_693_5,
    0.971_531_941_153_605_9,
    0.990_419_147_466_826_2,
    0.995_882_623_658_297_4,
    0.997_939_188_356_834_4,
    0.998_969_062_762_623_5,
    0.999_656_236_094_126_1,
];
/// What the measures of lumpiness and wobble keep after a day, no unit: a half-life of twelve weeks (2016 hours), the
/// longest of the levels. Set by hand.
pub(super) const KEPT_EACH_DAY: f64 = 0.991_782_200_104_534_1;
/// Weekly wobble is measured once this many days have been seen, not counting the day of the first charge, which is
/// seldom whole. In days; two whole weeks, so that a week is compared with a pace that has seen one. Set by hand.
const WOBBLE_AFTER_DAYS: u32 = 14;
/// Before days enough have been seen, a day counts as this many times as lumpy as its average charge; no unit. Chosen by
/// hand for teams without history, which no fit has seen.
const LUMPINESS_PRIOR: f64 = 1.5;
/// The sum of squared misses that wobble begins with, in weeks (no unit): ten weeks at 0.25 each, which is typical of many
/// teams. Set by hand with the count that follows.
const WOBBLE_PRIOR_SUM: f64 = 2.5;
/// So many weeks the prior of the wobble counts for.
const WOBBLE_PRIOR_WEEKS: f64 = 10.0;
/// A week's squared relative miss (no unit) counts as this at most: one huge week says no more than a large one. Chosen by
/// hand.
const MOST_WOBBLE: f64 = 9.0;
/// Net use of so many recent hours is kept for the spend rates: seven days and the hour that is running.
const RECENT_HOURS: usize = 169;
/// Net use of so many recent days is kept for the page.
const RECENT_DAYS: usize = 62;
/// Charges of so many recent hours are counted: a day and the hour that is running.
const CHARGE_HOURS: usize = 25;
/// A day is compared with so many whole days: four weeks.
const COMPARED_DAYS: i64 = 28;

/// A row arrived for an hour that is already closed. The state must be rebuilt from the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected use from hour {running} on, found use of hour {found}; hint: rebuild the state from all rows")]
pub struct LateUse {
    /// The hour of the row, since the Unix epoch.
    pub found: i64,
    /// The hour that is running.
    pub running: i64,
}

/// What is remembered of one draw's use.
///
/// It is fed with rows in the order of their hours and closes an hour when a later one begins. The running hour may be
/// pushed to again and again; forecasts look at it without closing it.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageState {
    pub(super) memory: Memory,
    /// The announced changes of pace under which it learns.
    pub(super) paces: Arc<[PaceChange]>,
    /// Net use of recent hours; the hour `h` is at `h` modulo the length. The running hour is kept as it grows.
    recent: [Credits; RECENT_HOURS],
    /// Net use of recent days, in the same manner.
    daily: [Credits; RECENT_DAYS],
    /// Charges of the last day's hours, in the same manner.
    charges: [u32; CHARGE_HOURS],
}

/// The part that forecasts read, copied for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    /// The hour of the first charge; nothing is remembered before it.
    first_hour: Option<i64>,
    /// The hour that is running.
    hour: i64,
    /// Exact, so that a row for each charge and one for the hour lead to the same bits.
    hour_net: Credits,
    hour_charges: u32,
    levels: Levels,
    /// Charges since the first, and the net use of hours that are closed.
    total_charges: u64,
    total_net: f64,
    /// Net use of each hour of the running day.
    day_hours: [f64; 24],
    /// Exposure of the running day so far: by its hours alone, and with what was announced.
    day_exposure: (f64, f64),
    evidence: ShapeEvidence,
    shape: WeekShape,
    days: DayMeasures,
}

/// Decayed sums of net use and of exposure: use over exposure is a pace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Levels {
    used: [f64; LEVELS],
    exposure: [f64; LEVELS],
    /// Charges, with the half-life of the steady level.
    charges: f64,
}

/// What is measured once a day: how lumpy days are, and how far weeks stray from their pace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct DayMeasures {
    seen: u32,
    /// The last seven days, oldest overwritten first; the day number `n` is at `n` modulo 7.
    week: [Day; 7],
    squared_misses: f64,
    expected: f64,
    wobble_sum: f64,
    wobble_count: f64,
}

/// A day that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Day {
    /// Steady pace at the midnight that ended the day, in credits per unit of exposure.
    pace_after: Option<f64>,
    exposure: f64,
    net: f64,
}

/// What a forecast goes by, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Present {
    /// Net use in credits, decayed, by level.
    pub(super) used: [f64; LEVELS],
    /// Exposure in hours of average weight, decayed, by level.
    pub(super) exposure: [f64; LEVELS],
    /// Charges, with a half-life of 28 days.
    pub(super) charges: f64,
    /// Dispersion of daily use, in credits: variance over mean.
    pub(super) dispersion: f64,
    /// Squared relative miss of a week.
    pub(super) wobble: f64,
    /// The weekly shape.
    pub(super) shape: WeekShape,
}

impl Default for UsageState {
    fn default() -> UsageState {
        let memory = Memory {
            first_hour: None,
            hour: 0,
            hour_net: Credits::ZERO,
            hour_charges: 0,
            levels: Levels::default(),
            total_charges: 0,
            total_net: 0.0,
            day_hours: [0.0; 24],
            day_exposure: (0.0, 0.0),
            evidence: ShapeEvidence::default(),
            shape: WeekShape::default(),
            days: DayMeasures::default(),
        };
        let (recent, daily) = ([Credits::ZERO; RECENT_HOURS], [Credits::ZERO; RECENT_DAYS]);
        UsageState { memory, paces: Arc::default(), recent, daily, charges: [0; CHARGE_HOURS] }
    }
}

impl UsageState {
    /// A state that knows of no use yet and learns under announced changes of pace, past and coming: what is used in such a
    /// time says by its factor less, or more, of the usual pace. Other announcements need another state.
    pub fn under(paces: Arc<[PaceChange]>) -> UsageState {
        UsageState { paces, ..UsageState::default() }
    }

    /// The announced changes of pace under which it learns.
    pub fn paces(&self) -> &Arc<[PaceChange]> {
        &self.paces
    }

    /// The state after rows in the order of their hours; hours without use need no row.
    ///
    /// # Errors
    /// [`LateUse`] if a row's hour is earlier than that of the row before it.
    pub fn rebuild(rows: &[HourlyUse]) -> Result<UsageState, LateUse> {
        let mut state = UsageState::default();
        rows.iter().try_for_each(|row| state.push(*row))?;
        Ok(state)
    }

    /// Adds use to the row's hour, closing the hours before it. Rows without a charge do not begin a history. Net use
    /// of an hour below zero, which refunds larger than its charges can leave, counts as none in the statistics.
    ///
    /// # Errors
    /// [`LateUse`] if the hour is already closed; the state is as before.
    pub fn push(&mut self, row: HourlyUse) -> Result<(), LateUse> {
        if self.memory.first_hour.is_none() {
            if row.charges == 0 {
                return Ok(());
            }
            self.memory.first_hour = Some(row.hour);
            self.memory.hour = row.hour;
        }
        if row.hour < self.memory.hour {
            return Err(LateUse { found: row.hour, running: self.memory.hour });
        }
        self.advance_to(row.hour);
        self.memory.add(row.net, row.charges);
        self.recent[slot(row.hour, RECENT_HOURS)] += row.net;
        self.daily[slot(row.hour.div_euclid(DAY), RECENT_DAYS)] += row.net;
        self.charges[slot(row.hour, CHARGE_HOURS)] += row.charges;
        Ok(())
    }

    /// Lets time pass up to the beginning of `hour` (since the Unix epoch), which then is the running one. An hour that
    /// is not later changes nothing.
    pub fn advance_to(&mut self, hour: i64) {
        if self.memory.first_hour.is_none() || hour <= self.memory.hour {
            return;
        }
        let before = self.memory.hour;
        self.memory.advance_to(hour, &self.paces);
        clear_slots(&mut self.recent, before, hour);
        clear_slots(&mut self.daily, before.div_euclid(DAY), hour.div_euclid(DAY));
        clear_slots(&mut self.charges, before, hour);
    }

    /// The hour of the first charge, since the Unix epoch.
    pub fn first_hour(&self) -> Option<i64> {
        self.memory.first_hour
    }

    /// Charges with net use above zero so far.
    pub fn charges(&self) -> u64 {
        self.memory.total_charges
    }

    /// Net spend up to `now` over the last hour, day and week. The oldest hour of a window counts with the share of it
    /// that lies inside. Unknown before the first charge, and for a moment earlier than the running hour.
    pub fn spend_rates(&self, now: Timestamp) -> SpendRates {
        let rate = |hours: i64| self.net_over(now, hours).map(|net| net / (hours as f64 * 3600.0));
        SpendRates { hour: rate(1), day: rate(DAY), week: rate(7 * DAY) }
    }

    /// Net use of recent days (UTC), oldest first, up to and with the day of `now`: at most 62, none before the first
    /// charge. Days without use are listed with zero.
    pub fn daily(&self, now: Timestamp) -> Vec<DailyUse> {
        let Some(first_hour) = self.memory.first_hour else { return Vec::new() };
        let running = self.memory.hour.div_euclid(DAY);
        let today = running.max(hours_since_epoch(now).floor() as i64 / DAY);
        let oldest = first_hour.div_euclid(DAY).max(today - RECENT_DAYS as i64 + 1);
        let net_of = |day: i64| {
            let is_kept = day <= running && day > running - RECENT_DAYS as i64;
            if is_kept { self.daily[slot(day, RECENT_DAYS)] } else { Credits::ZERO }
        };
        (oldest..=today)
            .filter_map(|day| {
                let midnight = Timestamp::from_second(day.checked_mul(DAY * 3600)?).ok()?;
                Some(DailyUse { day: midnight, net: net_of(day) })
            })
            .collect()
    }

    /// The use of the last 24 hours beside that of the four weeks before yesterday, of which nothing falls into those hours.
    /// `None` before the first charge, and for a moment earlier than the running hour.
    pub fn recent_use(&self, now: Timestamp) -> Option<RecentUse> {
        let net = Credits::from_statistic(self.net_over(now, DAY)?)?;
        let (running, current) = (self.memory.hour, hours_since_epoch(now).floor() as i64);
        let kept = (current - DAY).max(running - CHARGE_HOURS as i64 + 1)..=running;
        let charges = kept.map(|hour| self.charges[slot(hour, CHARGE_HOURS)]).sum();
        let last = current.div_euclid(DAY) - 2;
        // The day of the first charge is seldom whole.
        let first = (self.memory.first_hour?.div_euclid(DAY) + 1).max(last - COMPARED_DAYS + 1);
        let net_of = |day: i64| {
            let is_kept = day <= running.div_euclid(DAY);
            if is_kept { self.daily[slot(day, RECENT_DAYS)] } else { Credits::ZERO }
        };
        let mut days: Vec<Credits> = (first..=last).map(net_of).collect();
        days.sort_unstable();
        let active = &days[days.partition_point(|net| !net.is_positive())..];
        Some(RecentUse {
            net,
            charges,
            days: u32::try_from(days.len()).unwrap_or(u32::MAX),
            busy: days.iter().rev().nth(1).copied().unwrap_or_default().max(Credits::ZERO),
            usual: active.get(active.len() / 2).copied().unwrap_or_default(),
            announced_factor: 1.0,
            announced_credits: Credits::ZERO,
        })
    }

    fn net_over(&self, now: Timestamp, hours: i64) -> Option<f64> {
        let running = self.memory.hour;
        let current = hours_since_epoch(now).floor() as i64;
        if self.memory.first_hour.is_none() || current < running {
            return None;
        }
        let net_of = |hour: i64| {
            let is_kept = hour <= running && hour > running - RECENT_HOURS as i64;
            if is_kept { self.recent[slot(hour, RECENT_HOURS)] } else { Credits::ZERO }
        };
        let whole: Credits = (current - hours + 1..=current).map(net_of).sum();
        let share_inside = 1.0 - (hours_since_epoch(now) - current as f64);
        Some(whole.as_f64() + share_inside * net_of(current - hours).as_f64())
    }
}

impl Memory {
    fn add(&mut self, net: Credits, charges: u32) {
        self.hour_net += net;
        self.hour_charges += charges;
        self.total_charges += u64::from(charges);
    }

    /// Use of the running hour as it counts in the statistics.
    fn hour_use(&self) -> f64 {
        self.hour_net.max(Credits::ZERO).as_f64()
    }

    fn advance_to(&mut self, hour: i64, paces: &[PaceChange]) {
        while self.hour < hour {
            self.close_hour(paces);
        }
    }

    fn close_hour(&mut self, paces: &[PaceChange]) {
        let net = self.hour_use();
        let weight = self.shape.weight(self.hour);
        let factor = factor_between(paces, self.hour as f64, (self.hour + 1) as f64);
        self.day_exposure.0 += weight;
        if factor >= REST_BELOW {
            for (level, kept) in KEPT_EACH_HOUR.iter().enumerate() {
                self.levels.used[level] = self.levels.used[level] * kept + net;
                self.levels.exposure[level] = self.levels.exposure[level] * kept + weight * factor;
            }
            self.levels.charges = self.levels.charges * KEPT_EACH_HOUR[STEADY] + f64::from(self.hour_charges);
            self.day_hours[self.hour.rem_euclid(DAY) as usize] = net;
            self.day_exposure.1 += weight * factor;
        }
        self.total_net += net;
        self.hour_net = Credits::ZERO;
        self.hour_charges = 0;
        self.hour += 1;
        if self.hour.rem_euclid(DAY) == 0 {
            self.close_day(self.hour.div_euclid(DAY) - 1);
        }
    }

    fn close_day(&mut self, day: i64) {
        let (by_hours, with_announced) = self.day_exposure;
        let factor = with_announced / by_hours;
        if factor >= REST_BELOW {
            let net = self.day_hours.iter().sum();
            self.days.add(net, self.shape.day_weight(day) * factor, self.levels.pace(STEADY));
            self.evidence.add_day(weekday_of(day), &self.day_hours, factor);
            self.shape = self.evidence.shape();
        }
        self.day_hours = [0.0; 24];
        self.day_exposure = (0.0, 0.0);
    }

    /// What a forecast at `now` goes by. The running hour counts with its use so far and the part of it that has
    /// passed.
    pub(super) fn at(&self, now: Timestamp, paces: &[PaceChange]) -> Present {
        let moment = hours_since_epoch(now);
        let mut memory = *self;
        if memory.first_hour.is_some() {
            memory.advance_to(moment.floor() as i64, paces);
        }
        let begun = memory.hour as f64;
        let factor = factor_between(paces, begun, moment.max(begun));
        let is_rest = factor < REST_BELOW;
        let passed = if is_rest { 0.0 } else { (moment - begun).clamp(0.0, 1.0) };
        let (net, charges) = if is_rest { (0.0, 0) } else { (memory.hour_use(), memory.hour_charges) };
        let weight = passed * memory.shape.weight(memory.hour) * factor;
        let kept = HALF_LIFE_HOURS.map(|half_life| libm::exp2(-passed / half_life));
        Present {
            used: std::array::from_fn(|j| memory.levels.used[j] * kept[j] + net),
            exposure: std::array::from_fn(|j| memory.levels.exposure[j] * kept[j] + weight),
            charges: memory.levels.charges * kept[STEADY] + f64::from(charges),
            dispersion: memory.dispersion(),
            wobble: memory.days.wobble(),
            shape: memory.shape,
        }
    }

    fn dispersion(&self) -> f64 {
        if self.days.expected > 0.0 {
            return self.days.squared_misses / self.days.expected;
        }
        LUMPINESS_PRIOR * (self.total_net + self.hour_use()) / (self.total_charges.max(1) as f64)
    }

    /// Hours from the beginning of the first charge's hour to `now`; `None` before the first charge.
    pub(super) fn hours_of_history(&self, now: Timestamp) -> Option<f64> {
        self.first_hour.map(|first| (hours_since_epoch(now) - first as f64).max(0.0))
    }
}

impl Levels {
    fn pace(&self, level: usize) -> f64 {
        self.used[level] / self.exposure[level]
    }
}

impl DayMeasures {
    fn add(&mut self, net: f64, exposure: f64, pace_after: f64) {
        let today = self.seen as usize % 7;
        let yesterday = self.week[(today + 6) % 7];
        // The slot about to be overwritten holds the day that ended seven days ago.
        let week_ago = self.week[today];

        if let Some(pace) = yesterday.pace_after {
            let expected = pace * exposure;
            self.squared_misses = self.squared_misses * KEPT_EACH_DAY + (net - expected) * (net - expected);
            self.expected = self.expected * KEPT_EACH_DAY + expected;
        }
        self.week[today] = Day { pace_after: Some(pace_after), exposure, net };
        self.seen = self.seen.saturating_add(1);

        if let Some(pace) = week_ago.pace_after.filter(|_| self.seen > WOBBLE_AFTER_DAYS) {
            let expected = pace * self.week.iter().map(|day| day.exposure).sum::<f64>();
            let used: f64 = self.week.iter().map(|day| day.net).sum();
            let miss = used / expected.max(1e-9) - 1.0;
            self.wobble_sum = self.wobble_sum * KEPT_EACH_DAY + (miss * miss).min(MOST_WOBBLE);
            self.wobble_count = self.wobble_count * KEPT_EACH_DAY + 1.0;
        }
    }

    fn wobble(&self) -> f64 {
        (self.wobble_sum + WOBBLE_PRIOR_SUM) / (self.wobble_count + WOBBLE_PRIOR_WEEKS)
    }
}

/// Hours since the Unix epoch, to the millisecond.
pub(super) fn hours_since_epoch(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 3_600_000.0
}

fn slot(number: i64, length: usize) -> usize {
    number.rem_euclid(length as i64) as usize
}

/// Empties the slots of a ring for the numbers after `before` up to and with `now`.
fn clear_slots<T: Default, const N: usize>(ring: &mut [T; N], before: i64, now: i64) {
    for number in (before + 1).max(now - N as i64 + 1)..=now {
        ring[slot(number, N)] = T::default();
    }
}
