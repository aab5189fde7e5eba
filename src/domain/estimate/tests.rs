use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::domain::forecast::{Announced, ForecastInput, Outlook, UsageState};
use crate::domain::ledger::HourlyUse;
use crate::domain::price::{ListedPrice, PriceLine, PriceUnit};

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

/// A sheet with one price for a kind of task, of each variant or of a launch, and free attempts.
fn sheet(task_type: &str, low: i64, high: i64, per: PriceUnit, free_retries: Option<u32>) -> PriceSheet {
    let credits = PriceRange { low: Credits::from_whole(low), high: Credits::from_whole(high) };
    PriceSheet {
        platform: "example".into(),
        as_of: jiff::civil::date(2026, 9, 8),
        source: "a page".into(),
        lines: vec![PriceLine {
            task_type: task_type.into(),
            quality: None,
            price: ListedPrice { credits, per },
            is_step: false,
        }],
        free_retries,
    }
}

#[test]
fn a_word_stands_for_what_is_called_so_or_continues_it() {
    let listed = ["text-to-3d-refine", "text-to-3d-preview", "image-to-3d", "image-to-3d", "text", "text-to-3d2"];
    let lines = listed.into_iter().flat_map(|listed| sheet(listed, 10, 10, PriceUnit::Launch, None).lines);
    let sheet = PriceSheet { lines: lines.collect(), ..sheet("text", 10, 10, PriceUnit::Launch, None) };
    for (asked, expected) in [
        ("text-to-3d", &["text-to-3d-preview", "text-to-3d-refine"][..]),
        ("text-to-3d-preview", &["text-to-3d-preview"]),
        ("text", &["text"]),
        ("image", &["image-to-3d"]),
        ("image-to", &["image-to-3d"]),
        ("text-to-3", &[]),
        ("imag", &[]),
        ("", &[]),
    ] {
        let line = from(&Past { own: &[], others: &[], sheet: Some(&sheet) }, &ask(asked, 1, 1));
        let parts = line.map(|line| line.parts).unwrap_or_default();
        let found: Vec<&str> = parts.iter().map(|part| part.task_type.as_str()).collect();
        assert_eq!(found, expected, "{asked}");
    }
}

#[test]
fn who_has_no_past_pays_what_others_paid_or_what_is_listed() {
    let own: Vec<PastTask> = (0..40).map(|asset| preview(asset, 30)).collect();
    let others: Vec<PastTask> = (0..40).map(|asset| preview(asset, 20)).collect();
    let twice: Vec<PastTask> =
        (0..20).flat_map(|asset| [preview(asset, 20), preview(asset, 20)]).map(|task| other_kind(&task)).collect();
    let varying: Vec<PastTask> = (0..4).map(|asset| preview(asset, if asset % 2 == 0 { 10 } else { 40 })).collect();
    let per_variant = sheet("text-to-3d-preview", 10, 10, PriceUnit::Variant, None);
    let per_launch = sheet("text-to-3d-preview", 10, 10, PriceUnit::Launch, None);
    let range = sheet("text-to-3d-preview", 10, 16, PriceUnit::Launch, None);
    let free = sheet("text-to-3d-preview", 10, 10, PriceUnit::Launch, Some(4));
    let nothing: &[PastTask] = &[];
    let (nobody, sheet_alone) = ((nothing, nothing), "the price sheet alone");
    for (name, (own, others), sheet, variants, expected, basis) in [
        (
            "who always paid the same pays it again",
            (&own[..], &others[..]),
            None,
            1,
            (300, 300, 300),
            "40 of other teams",
        ),
        ("also after once", (&own[..1], &others[..]), None, 1, (300, 300, 300), "1 past launch of 1 asset"),
        (
            "what varies is drawn to others",
            (&varying[..], &others[..]),
            None,
            1,
            (189, 229, 457),
            "4 past launches of 4",
        ),
        ("none: what others paid", (nothing, &others[..]), None, 1, (200, 200, 200), "from 40 past launches of other"),
        ("nobody: what is listed", nobody, Some(&per_variant), 2, (200, 200, 200), sheet_alone),
        ("of a launch, whatever it makes", nobody, Some(&per_launch), 2, (100, 100, 100), sheet_alone),
        ("a range is one", nobody, Some(&range), 1, (100, 130, 160), sheet_alone),
        (
            "attempts are those of other kinds",
            (&twice[..], nothing),
            Some(&per_launch),
            1,
            (200, 200, 200),
            sheet_alone,
        ),
        ("but for the free ones", (&twice[..], nothing), Some(&free), 1, (100, 100, 100), sheet_alone),
    ] {
        let line = from(&Past { own, others, sheet }, &ask("text-to-3d-preview", variants, 10)).unwrap();
        let Quantiles { p10: least, p50: middle, p90: most } = line.total.credits;
        let whole = |credits: Credits| (credits.as_f64()).round() as i64;
        assert!(line.basis().contains(basis), "{name}: {}", line.basis());
        assert_eq!((whole(least), whole(middle), whole(most)), expected, "{name}");
    }
}

fn other_kind(task: &PastTask) -> PastTask {
    PastTask { task_type: "image-to-3d".into(), ..task.clone() }
}

#[test]
fn what_more_variants_cost_is_learned_or_in_proportion() {
    let launch = |variants, credits| PastTask { variants: Some(variants), ..preview(variants.into(), credits) };
    let per_launch = sheet("text-to-3d-preview", 20, 20, PriceUnit::Launch, None);
    for (name, history, sheet, variants, expected) in [
        ("as known", vec![launch(1, 20), launch(4, 50)], None, 4, 50),
        ("between", vec![launch(1, 20), launch(4, 50)], None, 2, 30),
        ("above, each its part", vec![launch(1, 20), launch(4, 40)], None, 8, 80),
        ("below, its part", vec![launch(4, 40)], None, 1, 10),
        ("sold by the launch", vec![launch(4, 20)], Some(&per_launch), 8, 20),
    ] {
        // As often as it takes for the own past to count alone.
        let history: Vec<PastTask> =
            (0..20).flat_map(|_| history.clone()).map(|task| PastTask { fingerprint: None, ..task }).collect();
        let past = Past { own: &history, others: &[], sheet };
        let credits = from(&past, &ask("text-to-3d-preview", variants, 1)).unwrap().total.credits;
        assert_eq!(credits.p50.as_f64().round() as i64, expected, "{name}");
    }
}

#[test]
fn who_knows_how_often_it_will_be_attempted_is_believed() {
    let twice: Vec<PastTask> = (0..20).flat_map(|asset| [preview(asset, 20), preview(asset, 20)]).collect();
    for (attempts, credits, launches) in [(None, 400, 20), (Some(1.0), 200, 10), (Some(3.5), 700, 35)] {
        let request = EstimateRequest { attempts, ..ask("text-to-3d-preview", 1, 10) };
        let total = from_own(&twice, &request).unwrap().total;
        assert_eq!(total.credits.p50, Credits::from_whole(credits), "{attempts:?}");
        assert_eq!(total.launches.unwrap().p50, launches, "{attempts:?}");
    }
    for attempts in [0.9, -1.0, f64::NAN, f64::INFINITY] {
        let request = EstimateRequest { attempts: Some(attempts), ..ask("text-to-3d-preview", 1, 10) };
        assert!(matches!(from_own(&twice, &request), Err(UnknownCost::NothingAsked { .. })), "{attempts}");
    }
}

#[test]
fn a_job_of_several_lines_is_their_sum_or_unknown() {
    let history: Vec<PastTask> =
        (0..20).map(|asset| preview(asset, 20)).chain((0..20).map(|asset| other_kind(&preview(asset, 5)))).collect();
    let past = Past { own: &history, others: &[], sheet: None };
    let (one, other, unknown) = (ask("text-to-3d", 1, 10), ask("image-to-3d", 2, 4), ask("rig", 1, 1));
    let known = estimate(&past, &[one.clone(), other]);
    let total = known.total.as_ref().unwrap();
    assert_eq!(total.credits.p50, Credits::from_whole(240));
    for (budget, chance) in [(239, 1.0), (240, 0.0), (1_000, 0.0)] {
        assert!((total.chance_above(Credits::from_whole(budget)) - chance).abs() < 1e-9, "{budget}");
    }
    let partly = estimate(&past, &[one, unknown]);
    assert_eq!(partly.total, None);
    assert!(partly.lines[0].known.is_ok() && partly.unknown().is_some());
    assert_eq!(estimate(&past, &[]).total, None, "nothing asked is not free");
}

#[test]
fn independent_lines_are_surer_together() {
    // Ten or thirty, in no order.
    let wavering = |kind: &str| -> Vec<PastTask> {
        let cost = |asset: u128| if (asset * 7919) % 11 < 5 { 10 } else { 30 };
        let task = |asset| PastTask { task_type: kind.into(), ..preview(asset, cost(asset)) };
        (0..200).map(task).collect()
    };
    let history: Vec<PastTask> = wavering("one").into_iter().chain(wavering("other")).collect();
    let past = Past { own: &history, others: &[], sheet: None };
    let width = |requests: &[EstimateRequest]| {
        let credits = estimate(&past, requests).total.unwrap().credits;
        (credits.p90.as_f64() - credits.p10.as_f64()) / credits.p50.as_f64()
    };
    let alone = width(&[ask("one", 1, 8)]);
    let together = width(&[ask("one", 1, 8), ask("other", 1, 8)]);
    assert!(together < alone, "{together} of {alone}");
}

#[test]
fn absurd_amounts_stay_amounts() {
    let huge = PastTask { credits_net: Credits::MAX_PARSED, ..preview(1, 1) };
    let tiny = PastTask { credits_net: Credits::from_micros(1), ..preview(2, 1) };
    for history in [vec![huge.clone()], vec![tiny.clone()], vec![huge, tiny]] {
        let line = from_own(&history, &ask("text-to-3d", u32::MAX, u32::MAX)).unwrap();
        let Quantiles { p10, p50, p90 } = line.total.credits;
        assert!(p10.is_positive() && p10 <= p50 && p50 <= p90, "{:?}", line.total.credits);
    }
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
        prop_assert!(less.credits.p10 <= less.credits.p50);
        prop_assert!(less.credits.p50 <= less.credits.p90);
        for more in [total(variants + 1, count).unwrap(), total(variants, count + 1).unwrap()] {
            prop_assert!(less.credits.p50 <= more.credits.p50);
            prop_assert!(less.credits.p90 <= more.credits.p90);
        }
        prop_assert_eq!(total(variants, count), Ok(less));
    }
}
