//! The arithmetic alone: one forecast, and a state made from its rows.

use std::hint::black_box;

use fuelgauge::domain::forecast::{Announced, ForecastInput, PriorUse, UsageState, forecast};
use fuelgauge::domain::{Credits, HourlyUse};
use jiff::Timestamp;
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
    Ok(found)
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
