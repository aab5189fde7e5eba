use jiff::tz::TimeZone;

use super::*;
use crate::domain::estimate::{PastTask, effect};
use crate::domain::forecast::{Announced, ForecastInput, UsageState};
use crate::domain::ledger::HourlyUse;
use crate::domain::price::{ChargedPrice, PriceRange, PriceSheet};
use crate::domain::reading::{Fingerprint, TaskState};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-03-11T00:00:00Z";
const RESET: &str = "2026-03-31T00:00:00Z";

/// Two months of twenty credits a day, at ten in the morning.
fn usage() -> UsageState {
    let first = at("2026-01-05T00:00:00Z").as_second() / 3600;
    let hours = first..at(NOW).as_second() / 3600;
    let row = |hour| HourlyUse { hour, net: Credits::from_whole(20), charges: 2 };
    let rows: Vec<HourlyUse> = hours.filter(|hour| hour % 24 == 10).map(row).collect();
    UsageState::rebuild(&rows).unwrap()
}

/// Forty assets each at forty credits in high and ten in draft quality, by four variants, and rigs at five.
fn history() -> Vec<PastTask> {
    let task = |asset: u128, task_type: &str, quality: &str, credits: i64| PastTask {
        task_type: task_type.into(),
        quality: quality.into(),
        credits_net: Credits::from_whole(credits),
        variants: Some(if task_type == "rig" { 1 } else { 4 }),
        fingerprint: Some(Fingerprint(asset)),
        is_step: false,
        state: TaskState::Succeeded,
    };
    let of_asset = |asset: u128| {
        [task(asset, "model", "high", 40), task(1_000 + asset, "model", "draft", 10), task(2_000 + asset, "rig", "", 5)]
    };
    (0..40).flat_map(of_asset).collect()
}

fn line(task_type: &str, quality: &str, variants: u32, count: u32) -> PlannedLine {
    let quality = (!quality.is_empty()).then(|| quality.to_owned());
    let request = EstimateRequest { task_type: task_type.into(), quality, variants, count, attempts: None };
    PlannedLine { request, starts_at: None }
}

/// Models in high quality are listed at thirty for four variants and charged at forty; rigs cost what is listed.
fn prices() -> ComparedPrices {
    let drift = |task_type: &str, quality: &str, listed: i64, observed: i64, variants| PriceDrift {
        charged: ChargedPrice {
            task_type: task_type.into(),
            quality: quality.into(),
            variants,
            observed: Credits::from_whole(observed),
            tasks: 20,
        },
        listed: PriceRange::fixed(Credits::from_whole(listed)),
        since: None,
        launches: Default::default(),
    };
    let sheet = PriceSheet {
        platform: "example".into(),
        as_of: jiff::civil::date(2026, 3, 1),
        source: "a page".into(),
        lines: Vec::new(),
        free_retries: None,
    };
    let listed = vec![drift("model", "high", 30, 40, 4), drift("rig", "", 5, 5, 1)];
    ComparedPrices { sheet: std::sync::Arc::new(sheet), listed, unlisted: Vec::new() }
}

#[test]
fn a_price_that_is_not_the_listed_one_is_said() {
    let expected = "model in high, 4 variants, costs 40 credits lately; the price sheet lists 30";
    for (lines, expected) in [
        (vec![line("model", "high", 4, 1)], Some(expected)),
        (vec![line("rig", "", 1, 1), line("model", "", 4, 1)], Some(expected)),
        (vec![line("model", "draft", 4, 1)], None),
        (vec![line("rig", "", 1, 1)], None),
        (vec![line("texture", "", 1, 1)], None),
    ] {
        let words: Vec<String> = check(&lines, Some(900)).drifts.iter().map(PriceDrift::in_words).collect();
        assert_eq!(words, expected.into_iter().collect::<Vec<_>>(), "{lines:?}");
    }
}

/// The answer with so many credits left; the usual use until the reset is some four hundred of them.
fn check(lines: &[PlannedLine], left: Option<i64>) -> PlanCheck {
    let (state, past) = (usage(), history());
    let left = left.map(Credits::from_whole);
    let input = ForecastInput {
        state: &state,
        now: at(NOW),
        period: Some((at("2026-03-01T00:00:00Z"), at(RESET))),
        remaining: left,
        granted: None,
        before: None,
        announced: Announced::default(),
    };
    let weigh = |jobs: &[JobAt], more: Credits| {
        effect(&ForecastInput { remaining: input.remaining.map(|left| left + more), ..input }, jobs)
    };
    let record = QueueRecord { waiting: 3, running: 2, limit: Some(10), oldest_waiting_at: None };
    let prices = prices();
    let question = Question {
        past: Past { own: &past, others: &[], sheet: None },
        lines,
        now: at(NOW),
        reset: Some(at(RESET)),
        left,
        weigh: &weigh,
        risk: USUAL_RISK,
        queue: Some(QueueNow {
            record,
            usual_wait: Some(SignedDuration::from_secs(40)),
            usual_run: Some(SignedDuration::from_mins(5)),
        }),
        prices: Some(&prices),
        price_tolerance: 0.01,
    };
    question.check()
}

fn in_words(check: &PlanCheck) -> Vec<(String, i64, bool)> {
    let zone = TimeZone::UTC;
    let found = check.alternatives.iter();
    found.map(|a| (a.change.in_words(&zone), a.credits.p50.as_f64().round() as i64, a.would_last)).collect()
}

#[test]
fn a_job_that_is_covered_needs_no_other() {
    let check = check(&[line("model", "high", 4, 5)], Some(900));
    assert_eq!(check.would_last, Some(true));
    assert_eq!(check.chance_above_left, Some(0.0));
    assert_eq!(check.alternatives, []);
    let effect = check.effect.unwrap();
    let chance = |outlook: &crate::domain::Outlook| outlook.forecast().unwrap().probability.unwrap();
    assert!(chance(&effect.before) < chance(&effect.after));
    assert_eq!(check.jobs, [(at(NOW), check.estimate.total.unwrap().credits)]);
}

#[test]
fn what_would_keep_the_credits_is_found_with_its_figures() {
    let found = check(&[line("model", "high", 4, 20)], Some(700));
    assert_eq!(found.would_last, Some(false));
    assert_eq!(found.chance_above_left, Some(1.0));
    let words = in_words(&found);
    // Some 370 of the 700 go for the usual use, so that 330 are there for the job.
    let expected = [
        ("1 variant instead of 4", 200),
        ("quality draft instead of high", 200),
        ("8 assets instead of 20", 320),
        ("launched after the reset, on 31 March, 00:00", 800),
        ("with 470 credits more", 800),
    ];
    assert_eq!(words, expected.map(|(words, credits)| (words.to_owned(), credits, true)));
    // One asset more, or a little less of a top-up, and it would not.
    let Change::FewerAssets { to, .. } = found.alternatives[2].change else { panic!("{words:?}") };
    assert_eq!(check(&[line("model", "high", 4, to)], Some(700)).would_last, Some(true));
    assert_eq!(check(&[line("model", "high", 4, to + 1)], Some(700)).would_last, Some(false));
    let Change::TopUp { credits } = found.alternatives[4].change else { panic!("{words:?}") };
    let with_less = 700 + (credits.as_f64() * 0.85) as i64;
    assert_eq!(check(&[line("model", "high", 4, 20)], Some(with_less)).would_last, Some(false));
}

#[test]
fn of_several_lines_the_dearest_is_changed_or_the_last_are_left_out() {
    let lines = [line("rig", "", 1, 10), line("model", "high", 4, 20), line("rig", "", 1, 2)];
    let words = in_words(&check(&lines, Some(700)));
    let names: Vec<&str> = words.iter().map(|(words, ..)| words.as_str()).collect();
    assert_eq!(
        names[..3],
        ["1 variant instead of 4 (line 2)", "quality draft instead of high (line 2)", "only the first of 3 lines"]
    );
}

#[test]
fn a_later_start_is_a_later_batch() {
    let later = PlannedLine { starts_at: Some(at("2026-04-02T00:00:00Z")), ..line("model", "high", 4, 20) };
    let check = check(&[line("rig", "", 1, 2), later], Some(700));
    let starts: Vec<String> = check.jobs.iter().map(|(at, _)| at.to_string()).collect();
    assert_eq!(starts, [NOW, "2026-04-02T00:00:00Z"]);
    assert_eq!(check.would_last, Some(true), "it is paid from the next period");
}

#[test]
fn what_is_unknown_stays_unknown() {
    let unpriced = check(&[line("model", "high", 4, 1), line("texture", "", 1, 1)], Some(2_000));
    assert_eq!((unpriced.effect, unpriced.would_last, unpriced.chance_above_left), (None, None, None));
    assert_eq!((unpriced.alternatives.len(), unpriced.jobs.len(), unpriced.wait), (0, 0, None));
    let unread = check(&[line("model", "high", 4, 1)], None);
    assert_eq!((unread.would_last, unread.chance_above_left), (None, None));
    assert!(unread.estimate.total.is_some());
}

#[test]
fn the_wait_follows_from_the_queue() {
    let wait = check(&[line("model", "high", 4, 20)], Some(2_000)).wait.unwrap();
    // Twenty-five tasks, ten at a time, five minutes each, after the usual wait.
    assert_eq!(wait, Wait { room_tasks: Some(5), until_first_seconds: Some(40), until_last_seconds: Some(940) });
    assert_eq!(
        wait.in_words(),
        "The queue takes 5 tasks more at once. Tasks begin within a minute lately. All would be done in about 16 minutes."
    );
}
