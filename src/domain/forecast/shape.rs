//! The weekly shape of a team's use: how much of it falls on each weekday and each hour of the day (UTC).
//!
//! Time is measured in *exposure*, hours weighted by the shape, so that a quiet Sunday is no drop in pace and a busy
//! Monday no burst. An average hour of the week weighs 1.

/// Hours of a day.
pub(super) const DAY: i64 = 24;

/// What a weekday weighs before anything is known of the team, Monday first; no unit, an average day weighs one. Set by
/// hand, for a working week with some work at its end.
const WEEKDAY_PRIOR: [f64; 7] = [1.15, 1.2, 1.2, 1.2, 1.15, 0.6, 0.5];
/// How many days of evidence (of that weekday) the prior of a weekday counts for. Set by hand.
const WEEKDAY_PRIOR_DAYS: f64 = 3.0;
/// How many days of evidence a flat day counts for. Set by hand: working hours show within two weeks.
const FLAT_PRIOR_DAYS: f64 = 10.0;
/// What is kept of the evidence each midnight, no unit: a half-life of eight weeks (1344 hours). Set by hand.
pub(super) const KEPT_EACH_MIDNIGHT: f64 = 0.987_698_659_537_702;

/// The evidence: net use by weekday and by hour of the day, older days counting less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ShapeEvidence {
    weekday_use: [f64; 7],
    weekday_days: [f64; 7],
    hour_use: [f64; 24],
    days: f64,
}

impl ShapeEvidence {
    /// Takes in a day that ended. `weekday` is 0 for Monday; `hours` is the net use of each hour; it counts as `factor`
    /// usual days, above zero.
    pub(super) fn add_day(&mut self, weekday: usize, hours: &[f64; 24], factor: f64) {
        let sums = self.weekday_use.iter_mut().chain(&mut self.weekday_days).chain(&mut self.hour_use);
        sums.for_each(|sum| *sum *= KEPT_EACH_MIDNIGHT);
        self.days *= KEPT_EACH_MIDNIGHT;

        self.weekday_use[weekday] += hours.iter().sum::<f64>();
        self.weekday_days[weekday] += factor;
        self.hour_use.iter_mut().zip(hours).for_each(|(sum, used)| *sum += used);
        self.days += factor;
    }

    /// The shape that the evidence speaks for.
    pub(super) fn shape(&self) -> WeekShape {
        let total_use: f64 = self.weekday_use.iter().sum();
        if total_use <= 0.0 {
            return WeekShape::default();
        }
        let average_day = total_use / self.weekday_days.iter().sum::<f64>();
        let weekday = std::array::from_fn(|day| {
            let seen = self.weekday_use[day] / average_day;
            (seen + WEEKDAY_PRIOR_DAYS * WEEKDAY_PRIOR[day]) / (self.weekday_days[day] + WEEKDAY_PRIOR_DAYS)
        });
        let total_by_hour: f64 = self.hour_use.iter().sum();
        let hour = std::array::from_fn(|hour| {
            let seen = self.days * 24.0 * self.hour_use[hour] / total_by_hour;
            (seen + FLAT_PRIOR_DAYS) / (self.days + FLAT_PRIOR_DAYS)
        });
        WeekShape::new(weekday, hour)
    }
}

/// The weight of every hour of the week, and sums of them in constant time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WeekShape {
    weekday: [f64; 7],
    hour: [f64; 24],
    /// Exposure from Monday's midnight to the midnight of each day; the last is that of the whole week.
    before_day: [f64; 8],
    /// Exposure of an average day from its midnight to each hour.
    before_hour: [f64; 25],
}

impl Default for WeekShape {
    fn default() -> WeekShape {
        WeekShape::new(WEEKDAY_PRIOR, [1.0; 24])
    }
}

impl WeekShape {
    fn new(weekday: [f64; 7], hour: [f64; 24]) -> WeekShape {
        let weekday = scaled_to_mean_one(weekday);
        let hour = scaled_to_mean_one(hour);
        let before_hour = prefix_sums::<24, 25>(&hour);
        let before_day = prefix_sums::<7, 8>(&weekday.map(|day| day * before_hour[24]));
        WeekShape { weekday, hour, before_day, before_hour }
    }

    /// The weight of an hour, counted from the Unix epoch.
    pub(super) fn weight(&self, hour: i64) -> f64 {
        self.weekday[weekday_of(hour.div_euclid(DAY))] * self.hour[hour.rem_euclid(DAY) as usize]
    }

    /// Exposure of a whole day, counted from the Unix epoch.
    pub(super) fn day_weight(&self, day: i64) -> f64 {
        self.weekday[weekday_of(day)] * self.before_hour[24]
    }

    /// Exposure between two moments, in hours since the Unix epoch. Zero if `to` is not later.
    pub(super) fn exposure(&self, from: f64, to: f64) -> f64 {
        if to <= from {
            return 0.0;
        }
        // Counted from the same Monday, so that the difference keeps its digits.
        let monday = monday_before(from.floor() as i64);
        (self.since_monday(monday, to) - self.since_monday(monday, from)).max(0.0)
    }

    fn since_monday(&self, monday: i64, moment: f64) -> f64 {
        let hour = moment.floor() as i64;
        let hours = hour - monday;
        let (week, hour_of_week) = (hours.div_euclid(7 * DAY), hours.rem_euclid(7 * DAY));
        let (day, hour_of_day) = ((hour_of_week / DAY) as usize, (hour_of_week % DAY) as usize);
        let whole_hours = self.before_day[day] + self.weekday[day] * self.before_hour[hour_of_day];
        let rest = (moment - hour as f64) * self.weekday[day] * self.hour[hour_of_day];
        week as f64 * self.before_day[7] + whole_hours + rest
    }
}

/// The weekday, 0 for Monday, of a day counted from the Unix epoch, which was a Thursday.
pub(super) fn weekday_of(day: i64) -> usize {
    (day + 3).rem_euclid(7) as usize
}

fn monday_before(hour: i64) -> i64 {
    let day = hour.div_euclid(DAY);
    (day - weekday_of(day) as i64) * DAY
}

fn scaled_to_mean_one<const N: usize>(values: [f64; N]) -> [f64; N] {
    let mean = values.iter().sum::<f64>() / N as f64;
    values.map(|value| value / mean)
}

fn prefix_sums<const N: usize, const M: usize>(values: &[f64; N]) -> [f64; M] {
    let mut sums = [0.0; M];
    for (index, value) in values.iter().enumerate() {
        sums[index + 1] = sums[index] + value;
    }
    sums
}
