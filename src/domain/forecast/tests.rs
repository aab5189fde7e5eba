use proptest::prelude::*;

use super::model::{Ahead, Model};
use super::shape::WeekShape;
use super::state::{LEVELS, Present};
use super::*;

/// A Monday midnight.
const MONDAY: &str = "2026-03-02T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn hour_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(3600)
}

fn used(moment: Timestamp, credits: i64) -> HourlyUse {
    HourlyUse { hour: hour_of(moment), net: Credits::from_whole(credits), charges: 1 }
}

/// Working hours of so many days from a Monday on: five credits each hour from nine to five, nothing at weekends.
fn working_days(days: i64) -> Vec<HourlyUse> {
    let monday = at(MONDAY);
    let is_working = |hour: &i64| (9..17).contains(&(hour % 24)) && hour / 24 % 7 < 5;
    (0..days * 24).filter(is_working).map(|hour| used(monday + hours(hour), 5)).collect()
}

fn present() -> Present {
    Present {
        used: [0.0; LEVELS],
        exposure: [1.0; LEVELS],
        charges: 28.301,
        dispersion: 43.236,
        wobble: 0.4903,
        shape: WeekShape::default(),
    }
}

#[test]
fn the_model_gives_the_figures_worked_out_by_hand() {
    let paces = [0.1824, 0.3367, 0.3362, 0.3990, 0.4465, 0.4726, 0.5302];
    let model = Model::new(&present(), &paces, 0.5175, 0.2688);
    let ahead = Ahead { hours: 544.0, exposure: 565.407 };
    assert!((model.probability(ahead, 470.0) - 0.1090).abs() < 5e-5, "{}", model.probability(ahead, 470.0));
    assert_eq!(model.probability(ahead, 0.0), 1.0);
    assert_eq!(model.probability(ahead, -3.0), 1.0);
}
