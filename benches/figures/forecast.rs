//! The arithmetic alone: one forecast, and a state made from its rows.

use std::hint::black_box;
use std::time::Duration;

use fuelgauge::backtest::{TeamHistory, run};
use fuelgauge::domain::forecast::{Announced, ForecastInput, PriorUse, UsageState, forecast};
use fuelgauge::domain::{Credits, ExhaustionPolicy, HourlyUse, PastPeriod, PastUse};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::Bench;
use crate::report::{Row, Samples, timed};

/// Calls in one sample: the clock must not be what is measured.
const CALLS: u32 = 1000;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (rounds, samples_each) = (bench.count(5, 2), bench.count(200, 10));
    let now: Timestamp = "2026-06-16T12:30:00Z".parse()?;
    let period = ("2026-06-01T00:00:00Z".parse()?, "2026-07-01T00:00:00Z".parse()?);
    let rows = hours(now, 365 * 24);
    let state = UsageState::rebuild(&rows)?;
    let input = ForecastInput {
        state: &state,
        now,
        period: Some(period),
        remaining: Some(Credits::from_whole(2000)),
        granted: Some(Credits::from_whole(4000)),
        before: Some(PriorUse::of_rows(&rows, period)),
        announced: Announced::default(),
    };
    anyhow::ensure!(forecast(&input).forecast().is_some(), "expected a forecast");
    let mut found = Vec::new();
    let forecasts = repeat(rounds, samples_each, CALLS, || {
        black_box(forecast(black_box(&input)));
    });
    found.push(Row::new("one forecast from a state of a year", forecasts.words()));
    for (days, words) in [(30, "a month"), (365, "a year")] {
        let rows = hours(now, days * 24);
        let rebuilt = repeat(rounds, samples_each, 10, || {
            let _ = black_box(UsageState::rebuild(black_box(&rows)));
        });
        found.push(Row::new(format!("a state rebuilt from {words} of hours"), rebuilt.words()));
    }
    found.push(backtest(bench)?);
    Ok(found)
}

/// A year of twelve periods, every hour and every charge of it, for many teams at once, every line written.
fn backtest(bench: &Bench) -> anyhow::Result<Row> {
    let teams = bench.count(1000, 20);
    let start: Timestamp = "2025-01-01T00:00:00Z".parse()?;
    let hours_later = |hours: i64| start + SignedDuration::from_hours(hours);
    let month = 730;
    let history = |number: usize| {
        let mut random = Pcg64Mcg::seed_from_u64(number as u64);
        // Some four charges a day, a quarter of a year before the first period.
        let mut minutes = 0;
        let uses = std::iter::from_fn(|| {
            minutes += random.random_range(1..720);
            let at = start + SignedDuration::from_mins(minutes - 90 * 24 * 60);
            Some(PastUse { at, net: Credits::from_whole(random.random_range(1..=10)) })
        });
        let uses = uses.take_while(|used| used.at < hours_later(12 * month)).collect();
        // Of the months one in four is too tight.
        let periods = (0..12).map(|number: i64| PastPeriod {
            start: hours_later(number * month),
            end: hours_later((number + 1) * month),
            granted: Credits::from_whole(if number % 4 == 0 { 500 } else { 900 }),
        });
        TeamHistory { team: format!("team-{number}"), uses, periods: periods.collect() }
    };
    let histories: Vec<TeamHistory> = (0..teams).map(history).collect();
    let charges: usize = histories.iter().map(|history| history.uses.len()).sum();
    let (took, replays) = timed(|| run(&histories, &ExhaustionPolicy::default(), Some(&mut std::io::sink())));
    let periods: usize = replays?.iter().map(Vec::len).sum();
    anyhow::ensure!(periods == 12 * teams, "expected {} periods, found {periods}", 12 * teams);
    let cores = std::thread::available_parallelism()?;
    let words = format!("{:.1} s on {cores} cores, {charges} charges", took.as_secs_f64());
    let row = Row::new(format!("backtest: a year of hourly assessments of {teams} teams"), words);
    Ok(row.aim("< 60 s", took < Duration::from_secs(60)))
}

fn repeat(rounds: usize, samples_each: usize, calls: u32, mut call: impl FnMut()) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..rounds {
        samples.next_round();
        for _ in 0..samples_each {
            let (took, ()) = timed(|| (0..calls).for_each(|_| call()));
            samples.add(took / calls);
        }
    }
    samples
}

/// Hours with use by day and little by night.
fn hours(now: Timestamp, count: i64) -> Vec<HourlyUse> {
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let last = HourlyUse::hour_of(now);
    let mut row = |hour: i64| {
        let most = if (8..20).contains(&hour.rem_euclid(24)) { 4 } else { 1 };
        let charges = random.random_range(0..=most);
        HourlyUse { hour, net: Credits::from_whole(i64::from(charges) * 5), charges }
    };
    (last - count + 1..=last).map(&mut row).collect()
}
