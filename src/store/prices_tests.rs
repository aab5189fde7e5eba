//! What launches cost: which of them count, how many are read, and by which index.

use jiff::SignedDuration;

use super::prices::{LAUNCHES_OF_KIND, NEWEST_CHARGED};
use super::tests::{Fixture, account, at, task, tasks, team};
use crate::domain::price::READ_TASKS;
use crate::domain::{Attribution, ChargedPrice, Credits, TaskRecord, TaskState};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[tokio::test]
async fn only_what_tells_a_price_is_read() {
    let ledger = Fixture::new().await;
    let refunded = |id: &str, back: i64| TaskRecord {
        refunded: Some(Credits::from_whole(back)),
        ..task(id, 5 * HOUR, TaskState::Succeeded, 20)
    };
    let reading = tasks(vec![
        task("old", -40 * DAY, TaskState::Succeeded, 10),
        task("fine", HOUR, TaskState::Succeeded, 20),
        TaskRecord { variants: None, quality: String::new(), ..task("plain", 2 * HOUR, TaskState::Succeeded, 5) },
        TaskRecord {
            attribution: Attribution { project: Some("props".into()), ..Attribution::default() },
            ..task("of others", 3 * HOUR, TaskState::Succeeded, 25)
        },
        task("free", 4 * HOUR, TaskState::Succeeded, 0),
        task("failed", 4 * HOUR, TaskState::Failed, 20),
        task("runs", 4 * HOUR, TaskState::Running, 20),
        refunded("partly given back", 5),
        refunded("given back", 20),
        TaskRecord { is_sum: true, ..task("a sum", 6 * HOUR, TaskState::Succeeded, 900) },
        task("twice", 7 * HOUR, TaskState::Succeeded, 20),
        task("later", 3 * DAY, TaskState::Succeeded, 20),
    ]);
    ledger.append(&reading, 8 * HOUR).await;
    ledger.append(&tasks(vec![task("twice", 7 * HOUR, TaskState::Succeeded, 40)]), 9 * HOUR).await;

    let now = at(DAY);
    let since = now - SignedDuration::from_hours(30 * 24);
    let found = ledger.store.newest_charged(&account(), since, now).await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|task| (task.quality.as_str(), task.variants, task.credits.micros() / 1_000_000, task.created_at))
        .collect();
    assert_eq!(told, [("", 1, 5, at(2 * HOUR)), ("high", 4, 25, at(3 * HOUR)), ("high", 4, 20, at(HOUR))]);

    let kind = |quality: &str, variants| ChargedPrice {
        task_type: "text-to-3d".into(),
        quality: quality.into(),
        variants,
        observed: Credits::from_whole(20),
        tasks: 5,
    };
    for (kind, expected) in [
        (kind("high", 4), vec![(Some(team("env")), 1), (Some(team("props")), 1)]),
        (kind("high", 3), vec![]),
        (kind("", 1), vec![(Some(team("env")), 1)]),
    ] {
        let launches = ledger.store.launches_of_kind(&account(), &kind, since, now).await.unwrap();
        assert_eq!(launches.into_iter().collect::<Vec<_>>(), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn of_each_kind_the_newest_are_read() {
    let ledger = Fixture::new().await;
    let of = |kind: &str, count: u32, price: i64| -> Vec<TaskRecord> {
        let one = |n| TaskRecord {
            task_type: kind.into(),
            ..task(&format!("{kind}-{n}"), HOUR * i64::from(n), TaskState::Succeeded, price)
        };
        (0..count).map(one).collect()
    };
    let reading = tasks([of("often", 3 * READ_TASKS, 20), of("seldom", 7, 5)].concat());
    ledger.append(&reading, 20 * DAY).await;
    let found = ledger.store.newest_charged(&account(), at(-DAY), at(20 * DAY)).await.unwrap();
    let often: Vec<_> = found.iter().filter(|task| task.task_type == "often").collect();
    assert_eq!((often.len(), found.len()), (READ_TASKS as usize, READ_TASKS as usize + 7));
    assert_eq!(often.last().unwrap().created_at, at(HOUR * i64::from(2 * READ_TASKS)));
}

#[tokio::test]
async fn prices_are_read_from_their_own_index() {
    let ledger = Fixture::new().await;
    for (sql, expected) in [(NEWEST_CHARGED, vec!["t USING", "n USING"]), (LAUNCHES_OF_KIND, vec!["tasks USING"])] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|row| &row.3[..]).filter(|step| step.contains("tasks_priced")).collect();
        assert_eq!(steps.len(), expected.len(), "{plan:?}");
        for (step, who) in steps.iter().zip(expected) {
            let index = "COVERING INDEX tasks_priced (account_id=? AND task_type=? AND quality=? AND created_at>?";
            assert!(step.starts_with(&format!("SEARCH {who} {index}")), "{step}");
        }
    }
}
