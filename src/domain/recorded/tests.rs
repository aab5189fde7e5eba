//! Tables of launches, and what they come to.

use super::*;
use crate::domain::account::{AccountName, TeamName};
use crate::domain::estimate::PastTask;
use crate::domain::reading::{Fingerprint, TaskState};

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_760_400_000 + hours * 3600).unwrap()
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

/// So many assets of a kind, each of these parts with so many launches.
fn line(task_type: &str, quality: Option<&str>, count: u32, parts: &[(&str, u32)]) -> RecordedLine {
    let part = |(task_type, launches_each): &(&str, u32)| RecordedPart {
        task_type: (*task_type).into(),
        launches_each: *launches_each,
    };
    RecordedLine {
        request: EstimateRequest {
            task_type: task_type.into(),
            quality: quality.map(String::from),
            variants: 1,
            count,
            attempts: None,
        },
        parts: parts.iter().map(part).collect(),
    }
}

/// From hour 0 on for a week: 80, 100 or 150 credits.
fn estimate(id: i64, lines: Vec<RecordedLine>) -> RecordedEstimate {
    let [p10, p50, p90] = [80, 100, 150].map(whole);
    RecordedEstimate {
        id,
        key: DrawKey { account: AccountName::parse("studio").unwrap(), team: TeamName::parse("env").unwrap() },
        label: "crates".into(),
        by: "ada".into(),
        made_at: at(0),
        starts_at: at(0),
        lapses_at: at(7 * 24),
        lines,
        jobs: vec![(at(0), Quantiles { p10, p50, p90 })],
        credits: Quantiles { p10, p50, p90 },
        launches: None,
        is_planned: true,
        state: EstimateState::Open,
        ends: None,
        charged: Credits::ZERO,
        tasks: 0,
        assets: 0,
    }
}

/// Two assets, planned.
pub(in crate::domain) fn two_models(id: i64) -> RecordedEstimate {
    estimate(id, vec![line("model", None, 2, &[("model", 1)])])
}

use TaskState::{Failed, Queued, Running, Succeeded};

/// A launch: the hour, what, in which quality, of which input, what came of it, and what was charged.
type Row = (i64, &'static str, &'static str, u128, TaskState, i64);

fn launches(rows: &[Row]) -> Vec<Launched> {
    let launched = |(place, row): (usize, &Row)| {
        let (hour, task_type, quality, input, state, credits) = row;
        Launched {
            id: format!("task {place}"),
            at: at(*hour),
            task: PastTask {
                task_type: (*task_type).into(),
                quality: (*quality).into(),
                credits_net: whole(*credits),
                variants: None,
                fingerprint: (*input > 0).then_some(Fingerprint(*input)),
                is_step: false,
                state: *state,
            },
        }
    };
    rows.iter().enumerate().map(launched).collect()
}

fn one(estimate: RecordedEstimate, rows: &[Row], known_until: i64) -> Followed {
    let mut followed = follow(&[estimate], &launches(rows), at(known_until));
    assert_eq!(followed.len(), 1);
    followed.remove(0)
}

#[test]
fn what_an_estimate_covers_follows_from_time_type_and_quality() {
    let named = || vec![line("model", None, 9, &[("model", 1)])];
    let begun = || vec![line("model", None, 9, &[("model-draft", 1), ("model-final", 1)])];
    let high = || vec![line("model", Some("high"), 9, &[("model", 1)])];
    let rows: &[Row] = &[
        (-1, "model", "", 0, Succeeded, 1),
        (0, "model", "", 0, Succeeded, 2),
        (1, "model", "high", 0, Failed, 4),
        (2, "model", "low", 0, Running, 8),
        (3, "model-draft", "high", 0, Succeeded, 16),
        (4, "model-other", "", 0, Succeeded, 32),
        (5, "models", "", 0, Succeeded, 64),
        (7 * 24, "model", "high", 0, Succeeded, 128),
    ];
    for (name, lines, charged, tasks) in [
        ("by its name", named(), 2 + 4 + 8, 3),
        ("by the beginning of several", begun(), 16 + 32, 2),
        ("in a quality, or in none that is told", high(), 2 + 4, 2),
        ("two lines", [begun(), high()].concat(), 2 + 4 + 16 + 32, 4),
    ] {
        let found = one(estimate(1, lines), rows, 8).estimate;
        assert_eq!((found.charged, found.tasks), (whole(charged), tasks), "{name}");
    }
}

#[test]
fn assets_are_inputs_that_succeeded_in_all_their_parts() {
    let model = |count, each| vec![line("model", None, count, &[("model", each)])];
    let two_steps = || vec![line("model", None, 2, &[("model-draft", 1), ("model-final", 1)])];
    let success = |hour, task_type, input| (hour, task_type, "", input, Succeeded, 10);
    let failure = |hour, task_type, input| (hour, task_type, "", input, Failed, 10);
    for (name, lines, rows, assets) in [
        ("a repeated attempt", model(2, 1), vec![failure(1, "model", 7), success(2, "model", 7)], 1),
        ("the same input again", model(2, 1), vec![success(1, "model", 7), success(2, "model", 7)], 1),
        ("no input is known", model(2, 1), vec![success(1, "model", 0), success(2, "model", 0)], 2),
        ("each variant is a launch", model(2, 2), vec![success(1, "model", 7), success(2, "model", 7)], 1),
        ("one of its variants is missing", model(2, 2), vec![success(1, "model", 7), failure(2, "model", 7)], 0),
        (
            "a variant too many is none of another asset",
            model(2, 2),
            vec![success(1, "model", 7), success(2, "model", 7), success(3, "model", 7), success(4, "model", 7)],
            1,
        ),
        ("a draft alone", two_steps(), vec![success(1, "model-draft", 7)], 0),
        ("both steps", two_steps(), vec![success(1, "model-draft", 7), success(2, "model-final", 0)], 1),
        (
            "lines that are alike get theirs one after the other",
            [model(1, 1), model(1, 1)].concat(),
            vec![success(1, "model", 7), success(2, "model", 7), success(3, "model", 8)],
            2,
        ),
    ] {
        let found = one(estimate(1, lines), &rows, 5).estimate;
        assert_eq!(found.assets, assets, "{name}");
        assert_eq!(found.tasks, rows.len() as u64, "{name}");
    }
}

#[test]
fn an_estimate_covers_as_many_assets_as_it_asks_for() {
    let success = |hour, input| (hour, "model", "", input, Succeeded, 10);
    let failure = |hour, input| (hour, "model", "", input, Failed, 1);
    // How many launches count for the first of two estimates of two assets each, how many assets are there, and how many
    // launches count for the second.
    for (name, rows, first, assets, second) in [
        ("what is launched every day", vec![success(1, 7), success(2, 8), success(3, 9), success(4, 5)], 2, 2, 2),
        ("where no input is known", vec![success(1, 0), success(2, 0), success(3, 0)], 2, 2, 1),
        ("attempts at one that is there", vec![success(1, 7), success(2, 8), success(3, 9), failure(4, 7)], 3, 2, 1),
        ("another try with another input", vec![failure(1, 6), success(2, 7), failure(3, 5), success(4, 8)], 4, 2, 0),
        ("after that none", vec![success(1, 7), success(2, 8), failure(3, 5)], 2, 2, 1),
        ("one under way holds a place", vec![(1, "model", "", 7, Running, 0), success(2, 8), success(3, 9)], 2, 1, 1),
        ("launched twice at once", vec![(1, "model", "", 7, Running, 0), success(2, 7), success(3, 8)], 3, 2, 0),
    ] {
        let found = follow(&[two_models(1), two_models(2)], &launches(&rows), at(5));
        let found: Vec<_> = found.into_iter().map(|found| (found.estimate.tasks, found.estimate.assets)).collect();
        assert_eq!((found[0], found[1].0), ((first, assets), second), "{name}");
    }
}

#[test]
fn an_estimate_ends_by_what_is_known() {
    let met = |hour| Some(EstimateState::Met { at: at(hour) });
    let lapsed = |hour| Some(EstimateState::Lapsed { at: at(hour) });
    let model = |hour, input, state| (hour, "model", "", input, state, 30);
    let done: Vec<Row> = vec![model(1, 7, Succeeded), model(10, 8, Succeeded)];
    let week = 7 * 24;
    for (name, rows, known_until, ends) in [
        ("nothing yet", vec![], 100, None),
        ("nothing at all", vec![], week, lapsed(week)),
        ("all, and the day is not over", done.clone(), 33, None),
        ("all, and quiet for a day", done.clone(), 34, met(34)),
        ("one was repeated since", [done.clone(), vec![model(30, 8, Failed)]].concat(), 40, None),
        ("one is under way again", [done.clone(), vec![model(12, 8, Running)]].concat(), 60, None),
        ("another is none of it", [done.clone(), vec![model(30, 9, Running)]].concat(), 34, met(34)),
        ("half of it", done[..1].to_vec(), 100, None),
        ("half of it, and its time is over", done[..1].to_vec(), week, lapsed(week)),
        ("all of it, on its last day", vec![model(1, 7, Succeeded), model(week - 1, 8, Succeeded)], week, met(week)),
        ("under way as its time ends", vec![model(week - 1, 7, Running)], week + 23, None),
        ("under way for a day after", vec![model(week - 1, 7, Queued)], week + 24, lapsed(week + 24)),
    ] {
        assert_eq!(one(two_models(1), &rows, known_until).estimate.ends, ends, "{name}");
    }
}

#[test]
fn a_launch_counts_for_one_estimate_the_oldest_that_covers_it() {
    let rows: &[Row] = &[(1, "model", "", 7, Succeeded, 10), (30, "model", "", 8, Succeeded, 20)];
    let closed = |state| RecordedEstimate { state, ..two_models(1) };
    let later = RecordedEstimate { starts_at: at(20), ..two_models(1) };
    for (name, first, sums) in [
        ("both open", two_models(1), vec![(30, 2), (0, 0)]),
        ("the older begins later", later, vec![(20, 1), (10, 1)]),
        ("the older is closed", closed(EstimateState::Met { at: at(25) }), vec![(30, 2)]),
        ("the older was taken back", closed(EstimateState::Withdrawn { at: at(40), by: "ada".into() }), vec![(30, 2)]),
    ] {
        // Whatever the order in which they are handed over.
        let found = follow(&[two_models(2), first], &launches(rows), at(31));
        let found: Vec<_> = found.iter().map(|found| (found.estimate.charged, found.estimate.tasks)).collect();
        let expected: Vec<_> = sums.into_iter().map(|(charged, tasks)| (whole(charged), tasks)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_plan_is_reckoned_with_until_its_charges_have_come() {
    let batch = |at, low, likely, high| {
        let [low, likely, high] = [low, likely, high].map(whole);
        vec![PlannedBatch { at, low, likely, high }]
    };
    let next = |hours| at(hours) + SignedDuration::from_millis(1);
    let charged = |credits| RecordedEstimate { charged: whole(credits), ..two_models(1) };
    for (name, estimate, now, queued, expected) in [
        ("before it starts", two_models(1), -5, 0, batch(at(0), 80, 100, 150)),
        ("begun", two_models(1), 5, 0, batch(next(5), 80, 100, 150)),
        ("a part is charged", charged(90), 5, 0, batch(next(5), 0, 10, 60)),
        ("a part waits to be charged", charged(30), 5, 20, batch(next(5), 30, 50, 100)),
        ("more is charged than nine in ten cost", charged(151), 5, 0, vec![]),
        ("all assets are there", RecordedEstimate { assets: 2, ..charged(30) }, 5, 0, vec![]),
        ("its time is over", charged(30), 7 * 24, 0, vec![]),
        (
            "it is about to end",
            RecordedEstimate { ends: Some(EstimateState::Met { at: at(9) }), ..charged(9) },
            9,
            0,
            vec![],
        ),
        ("it has ended", RecordedEstimate { state: EstimateState::Lapsed { at: at(9) }, ..charged(9) }, 9, 0, vec![]),
        ("nobody said that it will be launched", RecordedEstimate { is_planned: false, ..charged(0) }, 5, 0, vec![]),
    ] {
        assert_eq!(estimate.batches(at(now), whole(queued)), expected, "{name}");
    }
    // What is launched is of the part that starts first.
    let part = |hour, low, likely, high| {
        let [p10, p50, p90] = [low, likely, high].map(whole);
        (at(hour), Quantiles { p10, p50, p90 })
    };
    let two = RecordedEstimate { jobs: vec![part(0, 30, 40, 60), part(50, 50, 60, 90)], ..charged(45) };
    let expected = [batch(next(5), 0, 0, 15), batch(at(50), 35, 55, 90)].concat();
    assert_eq!(two.batches(at(5), Credits::ZERO), expected);
    let waiting: &[Row] = &[
        (1, "model", "high", 7, Queued, 0),
        (1, "model", "high", 8, Running, 0),
        (1, "model", "", 9, Running, 12),
        (1, "model", "", 9, TaskState::Unknown, 0),
        (1, "rig", "", 9, Queued, 0),
    ];
    let nine = estimate(1, vec![line("model", None, 9, &[("model", 1)])]);
    assert_eq!(one(nine.clone(), waiting, 26).last_day, Credits::ZERO, "launched a day ago and more");
    let covered = one(nine.clone(), waiting, 24);
    assert_eq!(covered.last_day, whole(12));
    assert_eq!(covered.covered, ["task 0", "task 1", "task 2", "task 3"]);
    assert_eq!(one(nine.clone(), waiting, 2).waiting, [("model".into(), "high".into(), 2)]);
}

#[test]
fn outcomes_say_where_the_charge_lies_in_the_range() {
    let ended = |state, charged, tasks| RecordedEstimate { state, charged: whole(charged), tasks, ..two_models(1) };
    let met = |charged| ended(EstimateState::Met { at: at(1) }, charged, 3);
    let lapsed = |tasks| ended(EstimateState::Lapsed { at: at(1) }, 20, tasks);
    let withdrawn = ended(EstimateState::Withdrawn { at: at(1), by: "ada".into() }, 20, 1);
    use EstimateOutcome::{AboveP90, BelowP10, LapsedPartly, LapsedUnlaunched, P10ToP50, P50ToP90, Withdrawn};
    let table = [
        (met(79), Some(BelowP10)),
        (met(80), Some(P10ToP50)),
        (met(100), Some(P10ToP50)),
        (met(101), Some(P50ToP90)),
        (met(150), Some(P50ToP90)),
        (met(151), Some(AboveP90)),
        (lapsed(1), Some(LapsedPartly)),
        (lapsed(0), Some(LapsedUnlaunched)),
        (withdrawn, Some(Withdrawn)),
        (two_models(1), None),
    ];
    for (estimate, expected) in &table {
        assert_eq!(estimate.outcome(), *expected, "{estimate:?}");
    }
    let accuracy = EstimateAccuracy::of(table.iter().map(|(estimate, _)| estimate));
    assert_eq!((accuracy.met(), accuracy.within_p90()), (6, 5));
    assert_eq!((accuracy.expected, accuracy.charged), (whole(600), whole(79 + 80 + 100 + 101 + 150 + 151)));
    assert_eq!(EstimateOutcome::ALL.map(|outcome| accuracy.closed(outcome)), [1, 2, 2, 1, 1, 1, 1]);
    for outcome in EstimateOutcome::ALL {
        assert_eq!(EstimateOutcome::parse(outcome.as_str()), Some(outcome));
    }
}

#[test]
fn a_form_says_how_long_an_estimate_is_open() {
    let form = |label: &str, until: Option<i64>| RecordForm {
        label: Some(label.into()),
        until: until.map(at),
        is_planned: false,
    };
    for (form, start, expected) in [
        (form("crates", None), 5, Ok(at(5 + 7 * 24))),
        (form("crates", Some(6)), 5, Ok(at(6))),
        (form("", Some(92 * 24)), 0, Ok(at(92 * 24))),
        (form("crates", Some(5)), 5, Err("`until`: expected a time after the start")),
        (form("crates", Some(92 * 24 + 1)), 0, Err("`until`: expected at most 92 days after the start, found `")),
        (form("a\nb", None), 5, Err("`label`: expected printable characters on one line")),
        (form(&"x".repeat(257), None), 5, Err("`label`: expected at most 256 characters, found 257")),
        (form("", None), 367 * 24, Err("`start`: expected a time within a year")),
    ] {
        match (form.check(at(start), at(0)), expected) {
            (Ok((label, until)), Ok(lapses_at)) => assert_eq!((Some(label), until), (form.label, lapses_at)),
            (Err(error), Err(words)) => assert!(error.to_string().starts_with(words), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn what_is_to_come_is_said_in_a_few_words() {
    let lines = |count: usize| RecordedEstimate { lines: vec![two_models(1).lines.remove(0); count], ..two_models(1) };
    for (name, estimate, expected) in [
        ("a plan", two_models(1), Some("2 × model, about 100 credits to come")),
        (
            "a part is charged",
            RecordedEstimate { charged: whole(58), ..lines(2) },
            Some("2 × model; 2 × model, about 42 credits to come"),
        ),
        ("many lines", lines(4), Some("2 × model; 2 × model; 2 × model and 1 line more, about 100 credits to come")),
        ("more is charged than the median", RecordedEstimate { charged: whole(120), ..two_models(1) }, None),
        ("all assets are there", RecordedEstimate { assets: 2, ..two_models(1) }, None),
        ("no plan", RecordedEstimate { is_planned: false, ..two_models(1) }, None),
    ] {
        assert_eq!(estimate.to_come_in_words().as_deref(), expected, "{name}");
    }
}
