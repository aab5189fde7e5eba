//! The burn-down of a plan period as points: what was left, what is likely to be left, the reset. The page and the mails
//! draw the same geometry, each in its own way.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::account::PlanPeriod;
use super::assessment::{AccountAssessment, DrawAssessment, Fuel, FuelLimit};
use super::credits::Credits;
use super::words;

/// How far ahead the picture of an account without a reset looks at most.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 60);
/// So many dates from edge to edge.
const DATES: i32 = 5;

/// A place: to the right, and downwards.
pub type Point = [f64; 2];

/// Where time and amounts are drawn, in whatever unit the picture has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlotArea {
    /// Where the time begins.
    pub left: f64,
    /// Where it ends.
    pub right: f64,
    /// Where the largest amount is.
    pub top: f64,
    /// Where nothing is left.
    pub bottom: f64,
}

/// Everything that a picture of a burn-down shows, as places in its [`PlotArea`], to a tenth of its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnDown {
    /// What was left, up to the last reading; at least one place.
    pub past: Vec<Point>,
    /// From the last reading to the early and the late run-out date.
    pub band: Option<[Point; 3]>,
    /// Whether the late date lies beyond the horizon, so that the band's upper edge is only the least it can be.
    pub band_is_open: bool,
    /// From the last reading to the median.
    pub median: Option<[Point; 2]>,
    /// The pace that just lasts, from the start to the reset.
    pub even: Option<[Point; 2]>,
    /// The moment of the last reading.
    pub reading: Point,
    /// The reset.
    pub reset_x: Option<f64>,
    /// The median run-out date, where it falls into the plot: place and moment.
    pub run_out: Option<(f64, Timestamp)>,
    /// Horizontal lines: place and credits.
    pub amounts: Vec<(f64, f64)>,
    /// Dates below, from edge to edge: place and moment.
    pub dates: Vec<(f64, Timestamp)>,
    left: Credits,
    as_of: Timestamp,
    /// When the period ends, and whether that is a budget's.
    end: Option<(Timestamp, bool)>,
}

impl BurnDown {
    /// The burn-down of a draw as of `now`; `None` while it is not known how much is left, or over which time to draw it.
    pub fn new(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp, area: PlotArea) -> Option<BurnDown> {
        let fuel = draw.tank()?;
        let (start, end) = extent(draw, now)?;
        let past = history(account, draw, fuel, start);
        let granted = draw.tank_capacity();
        let most = past.iter().map(|(_, left)| *left).chain(granted).max()?.as_f64();
        let step = tick_step(most);
        let plot = Plot { area, start, end, most: (most / step).ceil().max(1.0) * step };
        let line: Vec<Point> = past.iter().map(|(at, left)| plot.point(*at, left.as_f64())).collect();
        let reading = *line.last()?;

        let forecast = draw.outlook.forecast().filter(|_| fuel.fresh && fuel.left.is_positive());
        let dry = |at: Timestamp| plot.point(at, 0.0);
        let late = |at: Option<Timestamp>, horizon: Timestamp| dry(at.unwrap_or(horizon));
        let band = forecast
            .filter(|f| f.run_out.p10.is_some())
            .map(|f| [reading, late(f.run_out.p10, f.horizon), late(f.run_out.p90, f.horizon)]);
        let at_reset = forecast.and_then(|f| f.unused).zip(draw.period.as_ref());
        let median = forecast.map(|f| match (f.run_out.p50, at_reset) {
            (Some(at), _) => [reading, dry(at)],
            (None, Some((unused, period))) => [reading, plot.point(period.end, unused.as_f64())],
            (None, None) => [reading, dry(f.horizon)],
        });
        let even = draw
            .period
            .as_ref()
            .zip(granted)
            .map(|(period, granted)| [plot.point(period.start, granted.as_f64()), plot.point(period.end, 0.0)]);
        let run_out = forecast.and_then(|f| f.run_out.p50).filter(|at| *at <= end);
        let ticks = (0..=(plot.most / step).round() as u32).map(|i| f64::from(i) * step);
        Some(BurnDown {
            past: line,
            band,
            band_is_open: forecast.is_some_and(|f| f.run_out.p90.is_none()),
            median,
            even,
            reading,
            reset_x: draw.period.as_ref().map(|period| plot.x(period.end)),
            run_out: run_out.map(|at| (plot.x(at), at)),
            amounts: ticks.map(|amount| (plot.y(amount), amount)).collect(),
            dates: plot.dates(),
            left: fuel.left,
            as_of: fuel.as_of,
            end: draw.period.as_ref().map(|period| (period.end, period.is_budget())),
        })
    }

    /// The area below the past, as a polygon that ends at `bottom`.
    pub fn past_area(&self, bottom: f64) -> Vec<Point> {
        let (first, last) = (self.past.first().unwrap_or(&self.reading), self.reading);
        let mut area = vec![[first[0], bottom]];
        area.extend(&self.past);
        area.push([last[0], bottom]);
        area
    }

    /// The picture in words, for those who do not see it: how much is left, when it runs out, when the period ends.
    pub fn in_words(&self, zone: &TimeZone, now: Timestamp) -> String {
        let date = |at| words::date(at, zone, now);
        let left = words::amount(self.left).replace('-', "\u{2212}");
        let run_out = self.run_out.map(|(_, at)| format!(", expected to run out on {}", date(at))).unwrap_or_default();
        let end = self.end.map(|(at, is_budget)| {
            format!(", {} on {}", if is_budget { "budget ends" } else { "plan resets" }, date(at))
        });
        format!("{left} credits left on {}{run_out}{}", date(self.as_of), end.unwrap_or_default())
    }
}

struct Plot {
    area: PlotArea,
    start: Timestamp,
    end: Timestamp,
    /// The amount at the top.
    most: f64,
}

impl Plot {
    fn x(&self, at: Timestamp) -> f64 {
        let length = self.end.duration_since(self.start).as_secs_f64();
        let share = at.duration_since(self.start).as_secs_f64() / length;
        tenth(self.area.left + share * (self.area.right - self.area.left))
    }

    fn y(&self, amount: f64) -> f64 {
        tenth(self.area.bottom - amount / self.most * (self.area.bottom - self.area.top))
    }

    fn point(&self, at: Timestamp, amount: f64) -> Point {
        [self.x(at), self.y(amount)]
    }

    fn dates(&self) -> Vec<(f64, Timestamp)> {
        let length = self.end.duration_since(self.start);
        let date = |i: i32| self.start + length * i / (DATES - 1);
        (0..DATES).map(|i| (self.x(date(i)), date(i))).collect()
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The time from left to right: the plan period, or, without one, the known past and what the forecast sees.
fn extent(draw: &DrawAssessment, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let (start, end) = match &draw.period {
        Some(PlanPeriod { start, end, .. }) => (*start, *end),
        None => {
            let start = draw.daily.first().map(|use_of_day| use_of_day.day)?;
            let forecast = draw.outlook.forecast();
            let end = forecast.map_or(now, |f| f.run_out.p90.or(f.run_out.p50).unwrap_or(f.horizon));
            (start, end.min(now + FARTHEST).max(now))
        }
    };
    (start < end).then_some((start, end))
}

/// What was left at the midnights since `start`, worked back from what is left now by what was used since.
fn history(
    account: &AccountAssessment,
    draw: &DrawAssessment,
    fuel: &Fuel,
    start: Timestamp,
) -> Vec<(Timestamp, Credits)> {
    let mut used: BTreeMap<Timestamp, Credits> = BTreeMap::new();
    // An allowance is lowered by its team alone, a balance by every team that draws on the account.
    let drawn_by = account.draws.iter().filter(|other| fuel.limit != FuelLimit::Allowance || other.key == draw.key);
    // And by what belongs to no team.
    let unassigned = account.unassigned.daily.iter().filter(|_| fuel.limit != FuelLimit::Allowance);
    for day in drawn_by.flat_map(|draw| &draw.daily).chain(unassigned).filter(|day| day.day <= fuel.as_of) {
        *used.entry(day.day).or_default() += day.net;
    }
    // Credits that came in raised a balance, and no allowance.
    let grants = account.grants.iter().filter(|(at, _)| fuel.limit == FuelLimit::Balance && *at <= fuel.as_of);
    let mut grants = grants.rev().peekable();
    let mut past = vec![(fuel.as_of.max(start), fuel.left)];
    let mut left = fuel.left;
    for (day, net) in used.into_iter().rev() {
        let mut granted = Credits::ZERO;
        while let Some((at, credits)) = grants.next_if(|(at, _)| *at >= day) {
            // A step where it was seen, with the day's use spread evenly round it.
            let share_after = 1.0 - (at.duration_since(day).as_secs_f64() / 86_400.0).min(1.0);
            let used_after = Credits::from_statistic(net.as_f64() * share_after).unwrap_or_default();
            past.push(((*at).max(start), left + used_after - granted));
            granted += *credits;
            past.push(((*at).max(start), left + used_after - granted));
        }
        left += net - granted;
        past.push((day.max(start), left));
        if day <= start {
            break;
        }
    }
    past.reverse();
    past
}

/// A round number that divides the height into three to six parts.
fn tick_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf((most / 4.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.iter().map(|step| step * power).find(|step| most / step <= 5.0).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

    const AREA: PlotArea = PlotArea { left: 84.0, right: 704.0, top: 14.0, bottom: 430.0 };

    #[test]
    fn the_past_is_worked_back_to_what_the_period_began_with() {
        let snapshot = sample::snapshot();
        for (account, draw, began_with) in [(0, 0, 1500), (0, 1, 2500), (1, 0, 4000)] {
            let account = &snapshot.accounts[account];
            let draw = &account.draws[draw];
            let fuel = draw.fuel.as_ref().unwrap();
            let start = draw.period.as_ref().unwrap().start;
            let past = history(account, draw, fuel, start);
            assert_eq!(past.first().unwrap().1, sample::credits(began_with), "{}", draw.key);
            assert_eq!(past.last().unwrap(), &(fuel.as_of, fuel.left));
            assert!(past.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 >= pair[1].1));
        }
    }

    #[test]
    fn a_shared_balance_was_lowered_by_every_team() {
        let snapshot = sample::snapshot();
        let mut account = (*snapshot.accounts[0]).clone();
        let mut draw = account.draws[0].clone();
        draw.fuel.as_mut().unwrap().limit = FuelLimit::Balance;
        account.draws[0] = draw.clone();
        let past = history(&account, &draw, draw.fuel.as_ref().unwrap(), sample::at("2026-10-31T23:00:00Z"));
        assert_eq!(past.first().unwrap().1, sample::credits(486 + 1014 + 410));
    }

    #[test]
    fn places_lie_in_the_plot() {
        let snapshot = sample::snapshot();
        let account = &snapshot.accounts[1];
        let picture = BurnDown::new(account, &account.draws[0], sample::now(), AREA).unwrap();
        assert_eq!(picture.even, Some([[84.0, 14.0], [704.0, 430.0]]));
        assert_eq!(picture.reset_x, Some(704.0));
        assert_eq!(picture.amounts.last(), Some(&(14.0, 4000.0)));
        let dates: Vec<f64> = picture.dates.iter().map(|(x, _)| *x).collect();
        assert_eq!(dates, [84.0, 239.0, 394.0, 549.0, 704.0]);
        assert!(picture.reading[0] > 520.0 && picture.reading[0] < 560.0, "{:?}", picture.reading);
        assert_eq!(picture.past_area(430.0).last(), Some(&[picture.reading[0], 430.0]));
        let zone = &account.zone;
        assert_eq!(
            picture.in_words(zone, sample::now()),
            "410 credits left on Sun 22 Nov, expected to run out on Tue 24 Nov, plan resets on Tue 1 Dec"
        );
    }

    #[test]
    fn there_is_a_picture_for_every_known_amount_and_none_for_the_unknown() {
        let snapshot = sample::snapshot();
        let picture = |account: usize| {
            let account = &snapshot.accounts[account];
            BurnDown::new(account, &account.draws[0], sample::now(), AREA)
        };
        assert_eq!(picture(2), None);
        let stale = picture(3).unwrap();
        assert_eq!((stale.band, stale.median), (None, None), "no forecast from an old reading");
        let mut prepaid = (*snapshot.accounts[1]).clone();
        prepaid.draws[0].period = None;
        let picture = BurnDown::new(&prepaid, &prepaid.draws[0], sample::now(), AREA).unwrap();
        assert_eq!((picture.reset_x, picture.even), (None, None));
        assert!(picture.band.is_some());
        prepaid.draws[0].daily.clear();
        assert_eq!(BurnDown::new(&prepaid, &prepaid.draws[0], sample::now(), AREA), None, "nothing to draw");
    }

    #[test]
    fn the_scale_has_round_steps() {
        for (most, step) in [(0.0, 1.0), (0.4, 0.1), (4000.0, 1000.0), (1500.0, 500.0), (2090.0, 500.0), (9.0, 2.0)] {
            assert_eq!(tick_step(most), step, "{most}");
        }
    }
}
