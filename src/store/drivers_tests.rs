//! What a team spent on, read from the ledger.

use super::drivers::{LAUNCHES, WAITING};
use super::tests::{Fixture, account, at, task, tasks, team};
use super::*;
use crate::domain::{Attribution, Drivers, Fingerprint, RetryKind, TaskRecord, TaskState, Waiting};

const HOUR: i64 = 3600;

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

async fn drivers(ledger: &Fixture, from: i64, to: i64) -> Drivers {
    ledger.store.drivers(&account(), Some(&team("env")), at(from), at(to)).await.unwrap()
}

fn by(who: &str, record: TaskRecord) -> TaskRecord {
    let attribution = Attribution { member: Some(who.into()), ..record.attribution };
    TaskRecord { attribution, ..record }
}

fn of_asset(asset: u128, record: TaskRecord) -> TaskRecord {
    TaskRecord { fingerprint: Some(Fingerprint(asset)), ..record }
}

#[tokio::test]
async fn drivers_agree_with_the_counters_and_know_whom_and_what() {
    let ledger = Fixture::new().await;
    let succeeded = |id: &str, second| task(id, second, TaskState::Succeeded, 20);
    let key = Attribution { api_key: Some("farm".into()), ..task("x", 0, TaskState::Succeeded, 0).attribution };
    let launched = vec![
        by("ada", of_asset(1, succeeded("a", 10))),
        by("ada", of_asset(1, succeeded("b", HOUR))),
        by("ben", of_asset(1, task("c", 2 * HOUR, TaskState::Failed, 0))),
        by("ben", of_asset(1, succeeded("d", 3 * HOUR))),
        TaskRecord { attribution: key, quality: String::new(), ..succeeded("e", 4 * HOUR) },
        TaskRecord { retry: Some(RetryKind::Rerun), ..succeeded("f", 5 * HOUR) },
        TaskRecord { is_step: true, ..of_asset(2, succeeded("g", 5 * HOUR)) },
        TaskRecord { is_sum: true, ..succeeded("day", 5 * HOUR) },
    ];
    ledger.append(&tasks(launched), 6 * HOUR).await;
    let found = drivers(&ledger, 0, 6 * HOUR).await;
    let counted = ledger.env(None, 6 * HOUR).await;
    assert_eq!((&found.totals, &found.retries), (&counted.totals, &counted.retries));

    let spenders: Vec<_> = found.spenders.iter().map(|s| (s.name.as_str(), s.is_api_key, s.net, s.reruns)).collect();
    let (ada, ben) = (("ada", false, whole(40), whole(20)), ("ben", false, whole(20), Credits::ZERO));
    assert_eq!(spenders, [ada, ben, ("farm", true, whole(20), Credits::ZERO)]);
    let barrel = &found.assets[0];
    assert_eq!((barrel.attempts, barrel.reruns, barrel.net, barrel.last_at), (4, 2, whole(60), at(3 * HOUR)));
    assert_eq!((barrel.task_type.as_str(), barrel.project.as_deref()), ("text-to-3d", Some("env-rocks")));
    assert_eq!(found.most_repeated.as_ref(), Some(barrel));

    let first = drivers(&ledger, 10, HOUR).await;
    assert_eq!(
        (first.totals[0].charged, first.retries.len()),
        (whole(20), 0),
        "from the first second, without the last"
    );
    assert_eq!(drivers(&ledger, 6 * HOUR, 7 * HOUR).await, Drivers::default());
}

#[tokio::test]
async fn what_waits_and_what_came_back_for_it() {
    let ledger = Fixture::new().await;
    let queued = |id: &str, second, credits| TaskRecord {
        credits: (credits > 0).then(|| whole(credits)),
        started_at: None,
        ..task(id, second, TaskState::Queued, 0)
    };
    let waiting = async |since| ledger.store.waiting(&account(), &team("env"), at(since)).await.unwrap();
    let reading = vec![
        queued("old", 10, 20),
        queued("a", HOUR, 20),
        queued("b", HOUR, 30),
        queued("c", HOUR, 0),
        task("runs", HOUR, TaskState::Running, 20),
    ];
    ledger.append(&tasks(reading), 2 * HOUR).await;
    let expected = Waiting {
        task_type: "text-to-3d".into(),
        quality: "high".into(),
        charged_tasks: 2,
        charged: whole(50),
        uncharged_tasks: 1,
    };
    assert_eq!(waiting(20).await, [expected]);

    let cancelled = |id: &str, second, left| TaskRecord {
        credits: Some(whole(left)),
        started_at: None,
        ..task(id, second, TaskState::Cancelled, 0)
    };
    ledger.append(&tasks(vec![cancelled("a", HOUR, 0), cancelled("b", HOUR, 30)]), 3 * HOUR).await;
    let found = drivers(&ledger, 0, 4 * HOUR).await;
    assert_eq!((found.cancelled, found.cancelled_and_refunded), (2, 1));
    assert_eq!(waiting(20).await[0].charged_tasks, 0);
}

#[tokio::test]
async fn drivers_are_read_in_one_walk_along_an_index() {
    let ledger = Fixture::new().await;
    for (sql, expected) in [
        (
            LAUNCHES,
            "SEARCH tasks USING INDEX tasks_by_launch (account_id=? AND team=? AND created_at>? AND created_at<?)",
        ),
        (WAITING, "SEARCH tasks USING INDEX tasks_pending (account_id=? AND team=? AND state=? AND created_at>?)"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let steps: Vec<&str> =
            plan.iter().map(|row| row.3.as_str()).filter(|step| *step != "USE TEMP B-TREE FOR GROUP BY").collect();
        assert_eq!(steps, [expected], "{sql}");
        assert!(sql == WAITING || plan.len() == 1, "nothing is sorted: {plan:?}");
    }
}
