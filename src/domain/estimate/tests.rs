use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::domain::forecast::{Announced, ForecastInput, Outlook, UsageState};
use crate::domain::ledger::HourlyUse;

/// A finished preview of high quality with one variant.
fn preview(fingerprint: u128, credits: i64) -> PastTask {
    PastTask {
        task_type: "text-to-3d-preview".into(),
        quality: "high".into(),
        credits_net: Credits::from_whole(credits),
        variants: Some(1),
        fingerprint: Some(Fingerprint(fingerprint)),
        is_step: false,
        state: TaskState::Succeeded,
    }
}

fn failed(fingerprint: u128, credits: i64) -> PastTask {
    PastTask { state: TaskState::Failed, ..preview(fingerprint, credits) }
}

fn refine(credits: i64) -> PastTask {
    let quality = String::new();
    PastTask { task_type: "text-to-3d-refine".into(), quality, is_step: true, fingerprint: None, ..preview(0, credits) }
}

fn ask(task_type: &str, variants: u32, count: u32) -> EstimateRequest {
    EstimateRequest { task_type: task_type.into(), quality: None, variants, count, attempts: None }
}

/// What one line costs from the draw's own past.
fn from_own(history: &[PastTask], request: &EstimateRequest) -> Result<KnownLine, UnknownCost> {
    from(&Past { own: history, others: &[], sheet: None }, request)
}

fn from(past: &Past, request: &EstimateRequest) -> Result<KnownLine, UnknownCost> {
    estimate(past, std::slice::from_ref(request)).lines.remove(0).known
}

#[test]
fn totals_follow_the_history() {
    let steady = vec![preview(1, 20), preview(2, 20), preview(3, 20)];
    let of_four = vec![PastTask { variants: Some(4), ..preview(1, 80) }];
    let one_in_four_repeated = vec![preview(1, 20), preview(1, 20), preview(2, 20), preview(3, 20), preview(4, 20)];
    let failed_and_returned = vec![failed(1, 0), preview(1, 20)];
    let failed_and_kept = vec![failed(1, 20), preview(1, 20)];
    let with_steps = vec![preview(1, 20), refine(10)];
    let anonymous = vec![PastTask { fingerprint: None, ..preview(0, 20) }];
    let running = vec![preview(1, 20), PastTask { state: TaskState::Running, ..preview(1, 90) }];
    for (name, history, request, p50, p90, attempts) in [
        ("one price", &steady, ask("text-to-3d-preview", 1, 1), 20, 20, Some(1.0)),
        ("variants and count multiply", &steady, ask("text-to-3d-preview", 4, 10), 800, 800, Some(1.0)),
        ("more assets than are simulated", &steady, ask("text-to-3d-preview", 1, 1000), 20_000, 20_000, Some(1.0)),
        (
            "the price of a launch is shared by its variants",
            &of_four,
            ask("text-to-3d-preview", 2, 1),
            40,
            40,
            Some(1.0),
        ),
        ("one in four is launched twice", &one_in_four_repeated, ask("text-to-3d-preview", 1, 1), 20, 39, Some(1.25)),
        (
            "a failure that came back costs nothing",
            &failed_and_returned,
            ask("text-to-3d-preview", 1, 1),
            20,
            20,
            Some(2.0),
        ),
        ("a failure that did not counts", &failed_and_kept, ask("text-to-3d-preview", 1, 1), 40, 40, Some(2.0)),
        ("a prefix covers one step per asset", &with_steps, ask("text-to-3d", 4, 2), 180, 180, Some(1.0)),
        ("a step by its name", &with_steps, ask("text-to-3d-refine", 4, 2), 80, 80, None),
        ("inputs unknown: one launch each", &anonymous, ask("text-to-3d", 2, 2), 80, 80, None),
        ("unfinished tasks say nothing", &running, ask("text-to-3d-preview", 1, 1), 20, 20, Some(1.0)),
    ] {
        let line = from_own(history, &request).unwrap();
        let whole = |credits: Credits| credits.micros() / 1_000_000;
        assert_eq!((whole(line.total.credits.p50), whole(line.total.credits.p90)), (p50, p90), "{name}");
        assert_eq!(line.parts[0].attempts_per_asset.map(|attempts| attempts.mean), attempts, "{name}");
    }
}

#[test]
fn a_short_history_gives_a_wide_range() {
    let spread = |assets: u128| {
        let history: Vec<PastTask> =
            (0..assets).map(|asset| preview(asset, if asset % 2 == 0 { 10 } else { 30 })).collect();
        let credits = from_own(&history, &ask("text-to-3d-preview", 1, 100)).unwrap().total.credits;
        credits.p90.as_f64() / credits.p50.as_f64()
    };
    assert!(spread(4) > 1.2, "{}", spread(4));
    assert!(spread(400) < 1.12, "{}", spread(400));
}

#[test]
fn what_is_not_known_is_said() {
    let history = vec![preview(1, 20), refine(10), failed(2, 0)];
    let free = vec![preview(1, 0)];
    let with_quality =
        |quality: &str| EstimateRequest { quality: Some(quality.into()), ..ask("text-to-3d-preview", 1, 1) };
    for (history, request, expected) in [
        (
            &history,
            ask("text-to-3d-refin", 1, 1),
            "no finished task of type `text-to-3d-refin` in the history, and no listed price\nhint: known types are `text-to-3d-refine`, \
             `text-to-3d-preview`",
        ),
        (
            &vec![],
            ask("text-to-3d", 1, 1),
            "no finished task of type `text-to-3d` in the history, and no listed price\nhint: import or poll a charge history \
             first, or write a price sheet",
        ),
        (
            &history,
            with_quality("ultra"),
            "no finished task of type `text-to-3d-preview` with quality `ultra` in the history, and no \
             listed price\nhint: known qualities are `high`",
        ),
        (
            &free,
            ask("text-to-3d", 1, 1),
            "1 finished task of type `text-to-3d-preview` in the history, none charged, and no listed price\nhint: \
             wait for a charge",
        ),
        (
            &history,
            ask("text-to-3d", 0, 1),
            "expected at least one variant, one asset and one attempt, found 0 variants of 1 assets",
        ),
        (
            &history,
            ask("text-to-3d", 1, 0),
            "expected at least one variant, one asset and one attempt, found 1 variants of 0 assets",
        ),
    ] {
        assert_eq!(from_own(history, &request).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_quality_narrows_the_types_that_name_one() {
    let draft = PastTask { quality: "draft".into(), ..preview(7, 5) };
    let history = vec![preview(1, 20), draft, refine(10)];
    for (quality, p50) in [("high", 30), ("draft", 15)] {
        let request = EstimateRequest { quality: Some(quality.into()), ..ask("text-to-3d", 1, 1) };
        assert_eq!(from_own(&history, &request).unwrap().total.credits.p50, Credits::from_whole(p50), "{quality}");
    }
}

#[test]
fn the_basis_is_said_in_words() {
    let history = vec![preview(1, 20), preview(1, 20), preview(2, 20), refine(10)];
    let basis = |task_type: &str| from_own(&history, &ask(task_type, 1, 1)).unwrap().basis();
    assert_eq!(basis("text-to-3d-preview"), "from 3 past launches of 2 assets");
    assert_eq!(
        basis("text-to-3d"),
        "from 3 past launches of 2 assets (`text-to-3d-preview`) and 1 past launch (`text-to-3d-refine`), \
         one for each asset"
    );
}

#[test]
fn a_job_brings_the_run_out_date_nearer() {
    let first: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
    let first_hour = first.as_second() / 3600;
    let rows: Vec<HourlyUse> = (0..60 * 24)
        .filter(|hour| hour % 24 == 10)
        .map(|hour| HourlyUse { hour: first_hour + hour, net: Credits::from_whole(20), charges: 2 })
        .collect();
    let state = UsageState::rebuild(&rows).unwrap();
    let now = first + SignedDuration::from_hours(60 * 24);
    let input = ForecastInput {
        state: &state,
        now,
        period: Some((now - SignedDuration::from_hours(240), now + SignedDuration::from_hours(480))),
        remaining: Some(Credits::from_whole(700)),
        granted: None,
        before: None,
        announced: Announced::default(),
    };
    let job = |count: i64| {
        let cost = Credits::from_whole(20 * count);
        [(now, Quantiles { p10: cost, p50: cost, p90: cost })]
    };

    let small = effect(&input, &job(10));
    let (before, after) = (small.before.forecast().unwrap(), small.after_p90.forecast().unwrap());
    assert!(after.probability > before.probability);
    assert!(after.run_out.p50 < before.run_out.p50);
    assert_eq!(small.would_last(0.999), Some(true));
    assert_eq!(small.would_last(0.0), Some(false));

    let huge = effect(&input, &job(35));
    assert_eq!(huge.after_p90.forecast().unwrap().run_out.p90, Some(now));
    assert_eq!(huge.would_last(1.0), Some(false));

    let unknown = effect(&ForecastInput { remaining: None, ..input }, &job(1));
    assert_eq!(unknown.after_p90, Outlook::UnknownBalance);
    assert_eq!(unknown.would_last(0.8), None);
}

fn histories() -> impl Strategy<Value = Vec<PastTask>> {
    let task = (0..6_u128, -5..200_i64, prop::option::of(0..5_u32), any::<bool>(), any::<bool>());
    let task = task.prop_map(|(fingerprint, credits, variants, known, is_step)| PastTask {
        variants,
        fingerprint: known.then_some(Fingerprint(fingerprint)),
        is_step,
        ..preview(0, credits)
    });
    prop::collection::vec(task, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn more_never_costs_less(history in histories(), variants in 1..9_u32, count in 1..400_u32) {
        let total = |variants, count| Ok::<_, UnknownCost>(from_own(&history, &ask("text-to-3d", variants, count))?.total);
        let Ok(less) = total(variants, count) else {
            prop_assert!(total(variants + 1, count).is_err() && total(variants, count + 1).is_err());
            return Ok(());
        };
        prop_assert!(less.credits.p50.is_positive());
        prop_assert!(less.credits.p50 <= less.credits.p90);
        for more in [total(variants + 1, count).unwrap(), total(variants, count + 1).unwrap()] {
            prop_assert!(less.credits.p50 <= more.credits.p50);
            prop_assert!(less.credits.p90 <= more.credits.p90);
        }
        prop_assert_eq!(total(variants, count), Ok(less));
    }
}
