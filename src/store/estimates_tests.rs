//! Estimates that are kept: once each, with their lines, and final once they are closed.

use super::tests::{Fixture, account, at, task, tasks, team};
use super::*;
use crate::domain::recorded::{MOST_OPEN, SHOWN_CLOSED};
use crate::domain::{
    DrawKey, EstimateAccuracy, EstimateOutcome, EstimateRequest, EstimateState, Quantiles, RecordedEstimate,
    RecordedLine, RecordedPart, TaskState,
};

const DAY: i64 = 86_400;

fn estimate(whose: &str, starts: i64) -> RecordedEstimate {
    let line = |task_type: &str, quality: Option<&str>, attempts, parts: &[&str]| RecordedLine {
        request: EstimateRequest {
            task_type: task_type.into(),
            quality: quality.map(String::from),
            variants: 4,
            count: 10,
            attempts,
        },
        parts: parts.iter().map(|part| RecordedPart { task_type: (*part).into(), launches_each: 2 }).collect(),
    };
    let [p10, p50, p90] = [80, 100, 150].map(Credits::from_whole);
    RecordedEstimate {
        id: 0,
        key: DrawKey { account: account(), team: team(whose) },
        label: "crates".into(),
        by: "ada".into(),
        made_at: at(starts),
        starts_at: at(starts),
        lapses_at: at(starts + 7 * DAY),
        lines: vec![
            line("model", Some("high"), None, &["model-draft", "model-final"]),
            line("rig", None, Some(1.5), &["rig"]),
        ],
        jobs: [starts, starts + DAY].map(|second| (at(second), Quantiles { p10, p50, p90 })).into(),
        credits: Quantiles { p10, p50, p90 },
        launches: Some(Quantiles { p10: 18, p50: 20, p90: 31 }),
        is_planned: false,
        state: EstimateState::Open,
        ends: None,
        charged: Credits::ZERO,
        tasks: 0,
        assets: 0,
    }
}

impl Fixture {
    async fn record(&self, new: &RecordedEstimate) -> RecordedEstimate {
        self.store.record_estimate(new).await.unwrap().unwrap()
    }

    async fn close(&self, estimate: &RecordedEstimate, state: EstimateState) -> RecordedEstimate {
        let charged = Credits::from_whole(120);
        let closed = RecordedEstimate { state, charged, tasks: 22, assets: 20, ..estimate.clone() };
        let launches = vec![format!("task of {}", estimate.id)];
        self.store.close_estimates(&account(), &[(closed.clone(), launches)]).await.unwrap();
        closed
    }
}

#[tokio::test]
async fn an_estimate_is_kept_with_its_lines_and_closed_once() {
    let ledger = Fixture::new().await;
    let nothing = RecordedEstimate { launches: None, is_planned: true, ..estimate("props", 5) };
    let (first, second) = (ledger.record(&estimate("env", 0)).await, ledger.record(&nothing).await);
    assert_eq!((first.id, second.id), (1, 2));
    assert_eq!(ledger.store.estimates(&account()).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(ledger.env(None, 10).await.open_estimates, 1);

    assert!(ledger.store.accept_estimate(&account(), 1, "grace", at(6)).await.unwrap());
    assert!(!ledger.store.accept_estimate(&account(), 1, "ada", at(7)).await.unwrap(), "accepted already");
    assert!(!ledger.store.accept_estimate(&account(), 9, "ada", at(7)).await.unwrap(), "there is none");

    let accepted = RecordedEstimate { is_planned: true, ..first };
    let met = ledger.close(&accepted, EstimateState::Met { at: at(3 * DAY) }).await;
    assert_eq!(ledger.store.estimates(&account()).await.unwrap(), [met.clone(), second.clone()]);
    // What is closed is final.
    ledger.close(&accepted, EstimateState::Withdrawn { at: at(4 * DAY), by: "ada".into() }).await;
    assert!(!ledger.store.accept_estimate(&account(), 1, "ada", at(7)).await.unwrap());
    assert_eq!(ledger.store.estimates(&account()).await.unwrap()[0], met);
    let env = ledger.env(None, 4 * DAY).await;
    assert_eq!((env.open_estimates, env.accuracy), (0, EstimateAccuracy::of([&met])));

    let withdrawn = ledger.close(&second, EstimateState::Withdrawn { at: at(4 * DAY), by: "ada".into() }).await;
    assert_eq!(ledger.store.estimates(&account()).await.unwrap(), [met.clone(), withdrawn.clone()]);
    // In an interval, by when they were closed.
    for (name, from, to, expected) in [
        ("env", 3 * DAY, 4 * DAY, vec![met.clone()]),
        ("env", 3 * DAY + 1, 9 * DAY, vec![]),
        ("env", 0, 3 * DAY, vec![]),
        ("props", 0, 9 * DAY, vec![withdrawn]),
    ] {
        let found = ledger.store.closed_estimates(&account(), &team(name), at(from), at(to)).await.unwrap();
        assert_eq!(found, expected, "{name} {from} {to}");
    }
}

#[tokio::test]
async fn an_assessment_gets_the_open_ones_and_the_newest_closed_ones() {
    let ledger = Fixture::new().await;
    let of_env = async || {
        let found = ledger.store.estimates_of(&account(), &team("env")).await.unwrap();
        found.into_iter().map(|estimate| estimate.id).collect::<Vec<_>>()
    };
    assert_eq!(of_env().await, [0; 0]);
    for day in 0..15 {
        let kept = ledger.record(&estimate("env", day * DAY)).await;
        ledger.close(&kept, EstimateState::Lapsed { at: at((day + 7) * DAY) }).await;
    }
    ledger.record(&estimate("props", 0)).await;
    let newest: Vec<i64> = (6..=15).collect();
    assert_eq!(newest.len(), SHOWN_CLOSED);
    assert_eq!(of_env().await, newest, "with none open");
    ledger.record(&estimate("env", 9 * DAY)).await;
    assert_eq!(of_env().await, (6..=15).chain([17]).collect::<Vec<_>>());
    let env = ledger.env(None, 30 * DAY).await;
    assert_eq!(env.accuracy.closed(EstimateOutcome::LapsedPartly), 15);
    assert_eq!((env.accuracy.met(), env.accuracy.charged, env.open_estimates), (0, Credits::ZERO, 1));
}

#[tokio::test]
async fn nobody_keeps_estimates_without_end() {
    let ledger = Fixture::new().await;
    for _ in 0..MOST_OPEN {
        ledger.record(&estimate("env", 0)).await;
    }
    assert_eq!(ledger.store.record_estimate(&estimate("env", 0)).await.unwrap(), None);
    ledger.record(&estimate("props", 0)).await;
    let first = ledger.store.estimates(&account()).await.unwrap().remove(0);
    ledger.close(&first, EstimateState::Lapsed { at: at(DAY) }).await;
    ledger.record(&estimate("env", 0)).await;
}

#[tokio::test]
async fn launches_are_read_by_their_time_and_nothing_is_read_that_is_not_asked_for() {
    let ledger = Fixture::new().await;
    let reading = tasks(vec![
        task("c", 30, TaskState::Running, 7),
        task("a", 10, TaskState::Succeeded, 5),
        task("b", 10, TaskState::Failed, 6),
        task("late", 40, TaskState::Succeeded, 8),
        task("early", 9, TaskState::Succeeded, 9),
        task("task of 1", 20, TaskState::Succeeded, 3),
    ]);
    ledger.append(&reading, 60).await;
    let launched = async || ledger.store.launched(&account(), &team("env"), at(10), at(40)).await.unwrap();
    assert_eq!(launched().await.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a", "b", "task of 1", "c"]);
    // What counted for an estimate counts for no other.
    let kept = ledger.record(&estimate("env", 0)).await;
    ledger.close(&kept, EstimateState::Lapsed { at: at(50) }).await;
    let launched = launched().await;
    let launched: Vec<_> = launched.into_iter().map(|one| (one.at, one.task.credits_net, one.task.state)).collect();
    let expected = [(10, 5, TaskState::Succeeded), (10, 6, TaskState::Failed), (30, 7, TaskState::Running)];
    assert_eq!(launched, expected.map(|(second, credits, state)| (at(second), Credits::from_whole(credits), state)));

    for (statement, searches) in [
        (
            estimates::launched(),
            ["SEARCH tasks USING INDEX tasks_by_launch", "SEARCH c USING PRIMARY KEY (account_id=? AND task_id=?)"]
                .as_slice(),
        ),
        (
            estimates::current(),
            &[
                "SEARCH estimates USING INDEX estimates_open (account_id=? AND team=?)",
                "SEARCH estimates USING INDEX estimates_closed (account_id=? AND team=?)",
            ],
        ),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let found: Vec<&str> = plan.iter().map(|row| row.3.as_str()).filter(|step| step.contains("SEARCH")).collect();
        let is_right = found.len() == searches.len() && found.iter().zip(searches).all(|(f, s)| f.starts_with(s));
        assert!(is_right, "{plan:#?}");
    }
}
