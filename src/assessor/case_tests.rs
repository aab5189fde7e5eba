//! What happens to an account in the middle of a period, with a real store, and what is said then.

use super::tests::{ONE_TEAM, Watched, at, balance, whole};
use super::*;
use crate::domain::{Confidence, Forecast, Outlook, PlanRecord, Reading, TaskRecord, TaskState};

const MONTHLY: &str = "{credits: 1000, reset: \"@monthly\"}";

/// Forty credits a day at nine, from the first of October up to the eleventh of November; then 560 are left of 1,000.
async fn forty_a_day(plan: &str) -> Watched {
    let watched = Watched::new(plan, ONE_TEAM).await;
    let october = (1..=31).map(|day| format!("2026-10-{day:02}T09:00:00Z"));
    let november = (1..=10).map(|day| format!("2026-11-{day:02}T09:00:00Z"));
    for now in october.chain(november) {
        watched.read(&now, &[("a", 15), ("a", 15), ("a", 10)], None).await;
    }
    watched.read(ELEVENTH, &[("a", 15), ("a", 15), ("a", 10)], balance(560)).await;
    watched
}

const ELEVENTH: &str = "2026-11-11T09:00:00Z";
const LATER: &str = "2026-11-11T09:10:00Z";
const STILL_LATER: &str = "2026-11-11T09:20:00Z";

impl Watched {
    /// Keeps a reading as it is.
    async fn take(&self, reading: Reading, now: &str) {
        let incoming = self.account.incoming(&reading, &[], None, at(now));
        self.assessor.store.append(&self.account.config.name, &self.account.draws, incoming).await.unwrap();
    }

    /// The one draw, from what is kept; it must be the same when everything is read anew.
    async fn draw(&self, now: &str) -> DrawAssessment {
        let kept = self.assess(now).await.draws[0].clone();
        self.assessor.cache.lock().unwrap().clear();
        let anew = self.assess(now).await.draws[0].clone();
        assert_eq!((&kept.outlook, &kept.explanation), (&anew.outlook, &anew.explanation), "{now}");
        kept
    }

    async fn forecast(&self, now: &str) -> Forecast {
        self.draw(now).await.outlook.forecast().cloned().expect(now)
    }
}

fn plan(allowance: i64, resets_at: &str) -> Reading {
    let plan = PlanRecord { name: None, allowance: Some(whole(allowance)), resets_at: Some(at(resets_at)) };
    Reading { plan: Some(plan), ..Reading::default() }
}

/// A charge of the fifth of November, which turns out to have failed, with so much of it given back.
fn of_the_fifth(credits: i64, back: i64) -> Reading {
    let state = if back > 0 { TaskState::Failed } else { TaskState::Succeeded };
    let mut task = TaskRecord::new("fifth", at("2026-11-05T10:00:00Z"), state, "text-to-3d");
    task.credits = Some(whole(credits));
    task.refunded = (back > 0).then(|| whole(back));
    Reading { tasks: vec![task], ..Reading::default() }
}

#[tokio::test]
async fn a_top_up_makes_it_last_and_leaves_the_pace() {
    let watched = forty_a_day(MONTHLY).await;
    let before = watched.forecast(ELEVENTH).await;
    assert!(before.probability > Some(0.8), "{before:?}");
    watched.read(LATER, &[], balance(1560)).await;
    watched.read(STILL_LATER, &[], balance(1560)).await;
    let after = watched.forecast(STILL_LATER).await;
    assert!(after.probability < Some(0.1), "{after:?}");
    assert!((after.pace_per_hour / before.pace_per_hour - 1.0).abs() < 0.02, "a purchase is no use");
}

#[tokio::test]
async fn what_comes_back_late_is_taken_off_where_it_was_charged() {
    let mut paces = Vec::new();
    for back in [0, 150, 300] {
        let watched = forty_a_day(MONTHLY).await;
        watched.take(of_the_fifth(300, 0), LATER).await;
        let charged = watched.forecast(STILL_LATER).await;
        watched.take(of_the_fifth(300, back), STILL_LATER).await;
        let after = watched.forecast(STILL_LATER).await;
        assert_eq!(after.pace_per_hour < charged.pace_per_hour * 0.999, back > 0, "{back} of 300");
        paces.push(after.pace_per_hour);
    }
    assert!(paces[0] > paces[1] && paces[1] > paces[2], "{paces:?}");
    // With all of it back the pace is what it was without the charge, but for the count of charges.
    let without = forty_a_day(MONTHLY).await.forecast(STILL_LATER).await;
    assert!((paces[2] / without.pace_per_hour - 1.0).abs() < 0.01, "{paces:?} {}", without.pace_per_hour);
}

#[tokio::test]
async fn a_plan_that_changes_is_forecast_as_it_is_now() {
    let watched = forty_a_day(MONTHLY).await;
    watched.take(plan(1000, "2026-12-01T00:00:00Z"), ELEVENTH).await;
    let usual = watched.forecast(ELEVENTH).await.probability.unwrap();
    for (name, allowance, resets_at, expected) in [
        ("the reset moved earlier", 1000, "2026-11-18T00:00:00Z", 0.0..usual - 0.3),
        ("the reset moved later", 1000, "2026-12-11T00:00:00Z", usual..1.0),
        ("a larger plan, its credits not there yet", 3000, "2026-12-01T00:00:00Z", usual - 0.05..usual + 0.05),
    ] {
        watched.take(plan(allowance, resets_at), LATER).await;
        let draw = watched.draw(LATER).await;
        assert_eq!(draw.period.as_ref().map(|period| period.end), Some(at(resets_at)), "{name}");
        let probability = draw.outlook.forecast().and_then(|forecast| forecast.probability).unwrap();
        assert!(expected.contains(&probability), "{name}: {probability}, usually {usual}");
    }
    watched.take(plan(3000, "2026-12-01T00:00:00Z"), STILL_LATER).await;
    watched.read(STILL_LATER, &[], balance(2560)).await;
    assert!(watched.forecast(STILL_LATER).await.probability < Some(0.01), "its credits are there");
}

#[tokio::test]
async fn the_ends_of_a_period_are_forecast_like_its_middle() {
    let watched = forty_a_day(MONTHLY).await;
    for (now, left, start) in [
        ("2026-11-30T23:59:59Z", 560, "2026-11-01T00:00:00Z"),
        ("2026-12-01T00:00:00Z", 1000, "2026-12-01T00:00:00Z"),
        ("2026-12-01T00:00:01Z", 1000, "2026-12-01T00:00:00Z"),
    ] {
        watched.read(now, &[], balance(left)).await;
        let draw = watched.draw(now).await;
        assert_eq!(draw.period.as_ref().map(|period| period.start), Some(at(start)), "{now}");
        let forecast = draw.outlook.forecast().expect(now);
        assert!(forecast.probability < Some(0.9), "{now}: {forecast:?}");
        let unused = forecast.unused.unwrap();
        assert_eq!(unused + forecast.expected_use, whole(left).max(forecast.expected_use), "{now}");
    }
    // The month with a day more, on that day.
    let leap = Watched::new(MONTHLY, ONE_TEAM).await;
    for day in 1..=28 {
        leap.read(&format!("2028-02-{day:02}T09:00:00Z"), &[("a", 30)], None).await;
    }
    leap.read("2028-02-29T09:00:00Z", &[("a", 30)], balance(130)).await;
    let draw = leap.draw("2028-02-29T09:00:00Z").await;
    assert_eq!(draw.period.map(|period| period.end), Some(at("2028-03-01T00:00:00Z")));
    assert!(draw.outlook.forecast().unwrap().probability < Some(0.2), "{:?}", draw.outlook);
}

#[tokio::test]
async fn prepaid_credits_have_dates_and_no_probability() {
    let watched = forty_a_day("{}").await;
    let draw = watched.draw(ELEVENTH).await;
    let forecast = draw.outlook.forecast().unwrap();
    assert_eq!((forecast.probability, forecast.probability_half, forecast.unused), (None, None, None));
    let days = forecast.run_out.p50.unwrap().duration_since(at(ELEVENTH)).as_hours() / 24;
    assert!((8..20).contains(&days), "{days} days");
    let told = draw.explanation.unwrap();
    assert_eq!((told.chance, told.confidence), (None, Confidence::Low));
    assert_eq!(told.in_words(None, None).len(), 4);
}

#[tokio::test]
async fn a_cold_start_gives_the_range_it_can_defend_and_alarms_nobody() {
    // Day by day: what is charged (a refund is below zero), what is left, and whether a forecast can be made.
    for (name, charges, left, has_forecast) in [
        ("no charge", &[][..], 1000, false),
        ("one charge of nearly everything", &[990], 10, false),
        ("two", &[300, 690], 10, false),
        ("three within a day", &[300, 300, 390], 10, false),
    ] {
        let watched = Watched::new(MONTHLY, ONE_TEAM).await;
        let now = "2026-11-20T18:00:00Z";
        let tasks: Vec<(&str, i64)> = charges.iter().map(|credits| ("a", *credits)).collect();
        watched.read("2026-11-20T09:00:00Z", &tasks, None).await;
        watched.read(now, &[], balance(left)).await;
        let stepped = watched.assessor.assess_once(&watched.account, at(now), Alerts::Step).await.unwrap();
        let draw = &stepped.draws[0];
        assert_eq!(draw.outlook.forecast().is_some(), has_forecast, "{name}");
        let Outlook::TooLittleHistory { guess: Some(guess), charges: seen, .. } = &draw.outlook else {
            panic!("{name}: {:?}", draw.outlook)
        };
        assert_eq!(*seen as usize, charges.len(), "{name}");
        assert!(guess.use_ahead.p10 < guess.use_ahead.p90, "{name}");
        assert!(draw.explanation.as_ref().is_some_and(|told| told.is_guess), "{name}");
        let alert = draw.alert(RuleName::Exhaustion);
        assert!(alert.firing().is_none(), "{name}: nobody is alarmed by a guess");
        assert!(!is_at_risk(draw, &watched.assessor.alerts), "{name}");
    }
    // What is gone is a fact: it needs no history, and is told.
    for left in [0, -25] {
        let watched = Watched::new(MONTHLY, ONE_TEAM).await;
        watched.read("2026-11-02T09:00:00Z", &[("a", 1000)], balance(left)).await;
        let now = at("2026-11-02T09:00:00Z");
        let stepped = watched.assessor.assess_once(&watched.account, now, Alerts::Step).await.unwrap();
        let draw = &stepped.draws[0];
        let forecast = draw.outlook.forecast().unwrap();
        assert_eq!((forecast.probability, forecast.run_out.p90), (Some(1.0), Some(now)), "{left}");
        assert!(draw.alert(RuleName::Exhaustion).firing().is_some(), "{left}");
    }
    // Without a plan nothing can be defended.
    let prepaid = Watched::new("{}", ONE_TEAM).await;
    prepaid.read("2026-11-02T09:00:00Z", &[("a", 10)], balance(90)).await;
    let draw = prepaid.draw("2026-11-02T09:00:00Z").await;
    assert_eq!(draw.outlook, Outlook::TooLittleHistory { hours: 0, charges: 1, guess: None });
    assert_eq!(draw.explanation, None);
}
