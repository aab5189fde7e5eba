//! The burn-down of a plan period as an SVG's coordinates: what was left, what is likely to be left, the reset.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::words;
use crate::domain::{AccountAssessment, Credits, DrawAssessment, Fuel, FuelLimit};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 470.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 704.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 430.0;
/// How far ahead the chart of an account without a reset looks at most.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 60);

/// Everything that the template draws, in the coordinates of its view box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// Size of the view box.
    pub width: f64,
    /// Size of the view box.
    pub height: f64,
    /// The plot's edges: left, right, top, bottom.
    pub edges: [f64; 4],
    /// What was left, up to the last reading.
    pub history: String,
    /// The area below it.
    pub history_area: String,
    /// From the last reading to the early and the late run-out date.
    pub band: Option<String>,
    /// Whether the late date lies beyond the horizon, so that the area's upper edge is only the least it can be.
    pub band_is_open: bool,
    /// From the last reading to the median.
    pub median: Option<String>,
    /// The pace that just lasts, from the start to the reset.
    pub even: Option<String>,
    /// The moment of the last reading.
    pub reading: [f64; 2],
    /// The reset.
    pub reset_x: Option<f64>,
    /// The median run-out date, where it falls into the plot: place and words.
    pub run_out: Option<(f64, String)>,
    /// Horizontal lines: place and words.
    pub amounts: Vec<(f64, String)>,
    /// Dates below: place and words.
    pub dates: Vec<(f64, String)>,
    /// The picture in words, for those who do not see it.
    pub summary: String,
}

/// Draws the burn-down of a draw; `None` while it is not known how much is left.
pub fn burn_down(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Option<Chart> {
    let fuel = draw.tank()?;
    let (start, end) = extent(draw, now)?;
    let past = history(account, draw, fuel, start);
    let granted = draw.tank_capacity();
    let most = past.iter().map(|(_, left)| *left).chain(granted).max()?.as_f64();
    let step = tick_step(most);
    let plot = Plot { start, end, top: (most / step).ceil().max(1.0) * step };
    let line: Vec<[f64; 2]> = past.iter().map(|(at, left)| plot.point(*at, left.as_f64())).collect();
    let reading = *line.last()?;
    let mut area = vec![[line[0][0], BOTTOM]];
    area.extend(&line);
    area.push([reading[0], BOTTOM]);

    let forecast = draw.outlook.forecast().filter(|_| fuel.fresh && fuel.left.is_positive());
    let dry = |at: Timestamp| plot.point(at, 0.0);
    let late = |at: Option<Timestamp>, horizon: Timestamp| dry(at.unwrap_or(horizon));
    let band = forecast
        .filter(|f| f.run_out.p10.is_some())
        .map(|f| points(&[reading, late(f.run_out.p10, f.horizon), late(f.run_out.p90, f.horizon)]));
    let at_reset = forecast.and_then(|f| f.unused).zip(draw.period.as_ref());
    let median = forecast.map(|f| match (f.run_out.p50, at_reset) {
        (Some(at), _) => points(&[reading, dry(at)]),
        (None, Some((unused, period))) => points(&[reading, plot.point(period.end, unused.as_f64())]),
        (None, None) => points(&[reading, dry(f.horizon)]),
    });
    let in_plot = |at: &Timestamp| *at <= end;
    let run_out = forecast.and_then(|f| f.run_out.p50).filter(in_plot);
    let even =
        draw.period.as_ref().zip(granted).map(|(period, granted)| {
            points(&[plot.point(period.start, granted.as_f64()), plot.point(period.end, 0.0)])
        });
    let ticks = (0..=(plot.top / step).round() as u32).map(|i| f64::from(i) * step);
    Some(Chart {
        width: WIDTH,
        height: HEIGHT,
        edges: [LEFT, RIGHT, TOP, BOTTOM],
        history: points(&line),
        history_area: points(&area),
        band,
        band_is_open: forecast.is_some_and(|f| f.run_out.p90.is_none()),
        median,
        even,
        reading,
        reset_x: draw.period.as_ref().map(|period| plot.x(period.end)),
        run_out: run_out.map(|at| (plot.x(at), words::date(at, &account.zone, now))),
        amounts: ticks.map(|amount| (plot.y(amount), tick_label(amount))).collect(),
        dates: dates(account, &plot),
        summary: summary(account, draw, fuel, run_out, now),
    })
}

struct Plot {
    start: Timestamp,
    end: Timestamp,
    top: f64,
}

impl Plot {
    fn x(&self, at: Timestamp) -> f64 {
        let length = self.end.duration_since(self.start).as_secs_f64();
        let share = at.duration_since(self.start).as_secs_f64() / length;
        tenth(LEFT + share * (RIGHT - LEFT))
    }

    fn y(&self, amount: f64) -> f64 {
        tenth(BOTTOM - amount / self.top * (BOTTOM - TOP))
    }

    fn point(&self, at: Timestamp, amount: f64) -> [f64; 2] {
        [self.x(at), self.y(amount)]
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn points(points: &[[f64; 2]]) -> String {
    points.iter().fold(String::new(), |mut text, [x, y]| {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{space}{x},{y}");
        text
    })
}

/// The time from left to right: the plan period, or, without one, the known past and what the forecast sees.
fn extent(draw: &DrawAssessment, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let (start, end) = match &draw.period {
        Some(period) => (period.start, period.end),
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

/// Short enough to stand beside the plot on a phone: `4,000`, `15k`, `2.5M`.
fn tick_label(amount: f64) -> String {
    match amount {
        a if a >= 1e6 => words::about(a / 1e6) + "M",
        a if a >= 1e4 => words::about(a / 1e3) + "k",
        a => words::about(a),
    }
}

/// Five dates from edge to edge.
fn dates(account: &AccountAssessment, plot: &Plot) -> Vec<(f64, String)> {
    let length = plot.end.duration_since(plot.start);
    (0..=4)
        .map(|i| {
            let at = plot.start + length * i / 4;
            let text = at.to_zoned(account.zone.clone()).strftime("%-d %b").to_string();
            (plot.x(at), text)
        })
        .collect()
}

fn summary(
    account: &AccountAssessment,
    draw: &DrawAssessment,
    fuel: &Fuel,
    run_out: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let date = |at| words::date(at, &account.zone, now);
    let mut text = format!("{} credits left on {}", words::credits(fuel.left), date(fuel.as_of));
    if let Some(at) = run_out {
        let _ = write!(text, ", expected to run out on {}", date(at));
    }
    if let Some(period) = &draw.period {
        let what = if period.is_budget() { "budget ends" } else { "plan resets" };
        let _ = write!(text, ", {what} on {}", date(period.end));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

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
        let chart = burn_down(account, &account.draws[0], sample::now()).unwrap();
        assert_eq!(chart.even.as_deref(), Some("84,14 704,430"));
        assert_eq!(chart.reset_x, Some(RIGHT));
        assert_eq!(chart.amounts.last(), Some(&(TOP, "4,000".to_string())));
        assert_eq!(chart.run_out.as_ref().map(|(_, words)| words.as_str()), Some("Tue 24 Nov"));
        assert!(chart.reading[0] > 520.0 && chart.reading[0] < 560.0, "{:?}", chart.reading);
    }

    #[test]
    fn there_is_a_chart_for_every_known_amount_and_none_for_the_unknown() {
        let snapshot = sample::snapshot();
        let chart = |account: usize| {
            let account = &snapshot.accounts[account];
            burn_down(account, &account.draws[0], sample::now())
        };
        assert_eq!(chart(2), None);
        let stale = chart(3).unwrap();
        assert_eq!((stale.band, stale.median), (None, None), "no forecast from an old reading");
        let mut prepaid = (*snapshot.accounts[1]).clone();
        prepaid.draws[0].period = None;
        let chart = burn_down(&prepaid, &prepaid.draws[0], sample::now()).unwrap();
        assert_eq!((chart.reset_x, chart.even), (None, None));
        assert!(chart.band.is_some());
        prepaid.draws[0].daily.clear();
        assert_eq!(burn_down(&prepaid, &prepaid.draws[0], sample::now()), None, "nothing to draw");
    }

    #[test]
    fn the_scale_has_round_steps() {
        for (most, step) in [(0.0, 1.0), (0.4, 0.1), (4000.0, 1000.0), (1500.0, 500.0), (2090.0, 500.0), (9.0, 2.0)] {
            assert_eq!(tick_step(most), step, "{most}");
        }
        for (amount, label) in [(0.0, "0"), (4000.0, "4,000"), (15_000.0, "15k"), (2.5e6, "2.5M")] {
            assert_eq!(tick_label(amount), label);
        }
    }
}
