//! What is kept beside tasks and entries, worked out again from them by plain SQL; and pages in any order, cut anyhow and
//! read many times over, which must leave the same ledger.

use proptest::prelude::*;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Row, TypeInfo, ValueRef};

use super::tests::{Fixture, account, at, task, tasks};
use super::*;
use crate::domain::{Attribution, Basis, Fingerprint, RetryKind, TaskRecord, TaskState};

/// The rows that a statement answers, each as one text.
async fn rows(ledger: &Fixture, sql: &str) -> Vec<String> {
    let found = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&ledger.store.readers).await.unwrap();
    let cell = |row: &SqliteRow, place: usize| {
        let value = row.try_get_raw(place).unwrap();
        match value.type_info().name() {
            _ if value.is_null() => "-".to_owned(),
            "INTEGER" => row.get::<i64, _>(place).to_string(),
            "BLOB" => format!("{:?}", row.get::<Vec<u8>, _>(place)),
            _ => row.get::<String, _>(place),
        }
    };
    let line = |row: &SqliteRow| {
        let cells: Vec<String> = row.columns().iter().map(|column| cell(row, column.ordinal())).collect();
        cells.join(" ")
    };
    found.iter().map(line).collect()
}

/// Pairs of statements: what is kept, and the same worked out anew from tasks and entries alone.
const KEPT_AND_RECOMPUTED: &[(&str, &str, &str)] = &[
    (
        "hourly use",
        "SELECT team, hour, net, charges FROM hourly_use WHERE net <> 0 OR charges <> 0 ORDER BY 1, 2",
        "SELECT team, created_at / 3600000, SUM(charged - refunded) AS net, SUM(charged > refunded) AS charges FROM tasks \
         GROUP BY 1, 2 HAVING SUM(charged - refunded) <> 0 OR SUM(charged > refunded) <> 0 ORDER BY 1, 2",
    ),
    (
        "counters",
        "SELECT team, task_type, quality, charged, refunded, finished, failed, attempts FROM totals \
         WHERE charged <> 0 OR refunded <> 0 OR finished <> 0 OR failed <> 0 OR attempts <> 0 ORDER BY 1, 2, 3",
        "SELECT * FROM (SELECT team, task_type, quality, SUM(charged) AS c, SUM(refunded) AS r, \
         SUM(state IN ('succeeded', 'failed', 'cancelled', 'expired') AND is_sum = 0) AS n, \
         SUM(state = 'failed' AND is_sum = 0) AS f, \
         SUM((fingerprint IS NOT NULL AND is_step = 0 AND is_sum = 0) OR told_retry IS NOT NULL) AS a FROM tasks \
         GROUP BY 1, 2, 3) WHERE c <> 0 OR r <> 0 OR n <> 0 OR f <> 0 OR a <> 0 ORDER BY 1, 2, 3",
    ),
    (
        "retries",
        "SELECT team, task_type, kind, tasks, credits FROM retries WHERE tasks <> 0 OR credits <> 0 ORDER BY 1, 2, 3",
        "SELECT team, task_type, retry, COUNT(*), SUM(charged) FROM tasks WHERE retry IS NOT NULL \
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    ),
    (
        "a task's amounts",
        "SELECT id, charged, refunded FROM tasks WHERE charged <> 0 OR refunded <> 0 ORDER BY 1",
        "SELECT task_id, SUM(CASE kind WHEN 'charge' THEN credits ELSE 0 END), \
         SUM(CASE kind WHEN 'refund' THEN credits ELSE 0 END) FROM entries WHERE task_id IS NOT NULL GROUP BY 1 ORDER BY 1",
    ),
    (
        "granted and expired",
        "SELECT granted, expired FROM balances",
        "SELECT COALESCE(SUM(CASE kind WHEN 'grant' THEN credits END), 0), \
         COALESCE(SUM(CASE kind WHEN 'expiry' THEN credits END), 0) FROM entries WHERE EXISTS (SELECT 1 FROM balances)",
    ),
    (
        "charges since the last balance",
        "SELECT net_since, late_since FROM balances",
        "SELECT COALESCE(SUM(CASE WHEN e.at >= b.baseline_at THEN CASE kind WHEN 'charge' THEN credits ELSE -credits END END), 0), \
         COALESCE(SUM(CASE WHEN e.at < b.baseline_at THEN CASE kind WHEN 'charge' THEN credits ELSE -credits END END), 0) \
         FROM balances b LEFT JOIN entries e ON e.account_id = b.account_id AND kind IN ('charge', 'refund') \
         AND e.seen_at > b.read_at AND e.at >= b.opened_at GROUP BY b.account_id",
    ),
];

/// Everything that follows from tasks and entries is what follows from them.
pub(super) async fn assert_kept_is_recomputed(ledger: &Fixture, what: &str) {
    for (name, kept, recomputed) in KEPT_AND_RECOMPUTED {
        // Without a balance there is nothing to sum up.
        let kept = rows(ledger, kept).await;
        let recomputed = rows(ledger, recomputed).await;
        if !(kept.is_empty() && recomputed == ["0 0"]) {
            assert_eq!(kept, recomputed, "{name}, {what}");
        }
    }
    let too_low = rows(ledger, "SELECT * FROM retries WHERE highest_tasks < tasks OR highest_credits < credits").await;
    assert_eq!(too_low, Vec::<String>::new(), "{what}");
}

/// What must not depend on how pages came: every fact of every task but what was charged again, which only one who watched
/// can know, and everything that follows.
const LEDGER: &[&str] = &[
    "SELECT id, team, created_at, finished_at, state, task_type, quality, variants, charged, refunded, settled, is_sum, \
     project, fingerprint, is_step, told_retry, retry, retry_credits FROM tasks ORDER BY id",
    "SELECT team, hour, net, charges FROM hourly_use WHERE net <> 0 OR charges <> 0 ORDER BY 1, 2",
    "SELECT team, task_type, quality, charged, refunded, finished, failed, attempts FROM totals ORDER BY 1, 2, 3",
    "SELECT team, task_type, kind, tasks, credits FROM retries WHERE tasks <> 0 ORDER BY 1, 2, 3",
];

/// Entries as they are told: what, of which task, how much. When they happened too, unless nobody said so.
const ENTRIES: &str = "SELECT key, kind, credits, task_id, basis, at FROM entries ORDER BY key";

async fn ledger_of(ledger: &Fixture) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for sql in LEDGER {
        found.push(rows(ledger, sql).await);
    }
    found
}

/// What a platform says of one task, from its launch to its end: amounts grow, and what it cost in the end only falls.
fn any_life(id: usize) -> impl Strategy<Value = Vec<TaskRecord>> {
    let running = prop::collection::vec(0..30_i64, 0..3);
    let states = prop::sample::select(vec![TaskState::Succeeded, TaskState::Failed, TaskState::Cancelled]);
    let ending = prop::option::of((states, 1..30_i64, prop::option::of(0..30_i64)));
    (running, ending, 0..48_i64, 0..4_u128, 0..12_u8).prop_map(move |(mut amounts, ending, hour, input, traits)| {
        amounts.sort_unstable();
        let project = ["env-a", "cars", "stray"][usize::from(traits) % 3];
        let base = TaskRecord {
            attribution: Attribution {
                project: Some(project.into()),
                team: (traits == 11).then(|| "strangers".into()),
                ..Attribution::default()
            },
            fingerprint: (input > 0).then_some(Fingerprint(input)),
            is_step: traits == 5,
            retry: (traits == 7).then_some(RetryKind::Rerun),
            basis: if traits == 8 { Basis::Estimated } else { Basis::Reported },
            task_type: if traits % 2 == 0 { "text-to-3d".into() } else { "rig".into() },
            ..task(&format!("t{id}"), hour * 1800 + id as i64, TaskState::Running, 0)
        };
        let said = |state: TaskState, credits: i64, back: Option<i64>| TaskRecord {
            state,
            credits: Some(Credits::from_whole(credits)),
            refunded: back.map(Credits::from_whole),
            finished_at: state.is_final().then(|| base.created_at + jiff::SignedDuration::from_secs(90)),
            ..base.clone()
        };
        let mut life: Vec<TaskRecord> =
            amounts.iter().map(|credits| said(TaskState::Running, *credits, None)).collect();
        if let Some((state, more, back)) = ending {
            let cost = amounts.last().copied().unwrap_or_default() + more;
            life.push(said(state, cost, None));
            life.extend(back.map(|back| said(state, cost, Some(back.min(cost)))));
        }
        life
    })
}

/// The same numbers give the same order.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for place in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(place, (seed >> 33) as usize % (place + 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        rng_seed: proptest::test_runner::RngSeed::Fixed(19),
        ..ProptestConfig::default()
    })]

    /// The lists of a platform, read page by page in order, and read in any order, with pages cut anyhow, overlapping and
    /// repeated: the same tasks, hours, counters and retries, once the newest page was read; and where each task's own
    /// records came in order, the same entries, key by key.
    #[test]
    fn pages_in_any_order_leave_the_same_ledger(
        lives in prop::collection::vec(any_life(0), 1..9),
        sizes in prop::collection::vec(1..7_usize, 1..6),
        seed in any::<u64>(),
        is_each_in_order in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lives: Vec<Vec<TaskRecord>> = lives.into_iter().enumerate().map(|(id, life)| {
                life.into_iter().map(|record| TaskRecord { id: format!("t{id}"), ..record }).collect()
            }).collect();
            let newest: Vec<TaskRecord> = lives.iter().filter_map(|life| life.last().cloned()).collect();
            let plain = Fixture::new().await;
            for round in 0..4 {
                let page: Vec<TaskRecord> = lives.iter().filter_map(|life| life.get(round).cloned()).collect();
                plain.append(&tasks(page), 200_000).await;
            }
            plain.append(&tasks(newest.clone()), 200_000).await;

            let mut records: Vec<TaskRecord> = lives.iter().flatten().cloned().collect();
            records.extend(lives.iter().flatten().filter(|record| record.id.len() % 2 == 0).cloned());
            shuffle(&mut records, seed);
            if is_each_in_order {
                // Told again only after what came before it.
                let place = |record: &TaskRecord| {
                    lives.iter().find_map(|life| life.iter().position(|other| other == record))
                };
                let mut by_task: Vec<Vec<TaskRecord>> = vec![Vec::new(); lives.len()];
                for record in &records {
                    let id: usize = record.id[1..].parse().unwrap();
                    by_task[id].push(record.clone());
                }
                by_task.iter_mut().for_each(|life| life.sort_by_key(place));
                by_task.iter_mut().for_each(|life| life.reverse());
                records.iter_mut().for_each(|record| {
                    let id: usize = record.id[1..].parse().unwrap();
                    *record = by_task[id].pop().unwrap();
                });
            }
            let any = Fixture::new().await;
            let mut rest = records.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (page, later) = rest.split_at((*size).min(rest.len()));
                any.append(&tasks(page.to_vec()), 200_000).await;
                // The last record of a page is on the next one again: rows shift.
                if let Some(last) = page.last() {
                    any.append(&tasks(vec![last.clone()]), 200_000).await;
                }
                rest = later;
            }
            any.append(&tasks(newest), 200_000).await;

            assert_eq!(ledger_of(&plain).await, ledger_of(&any).await);
            if is_each_in_order {
                assert_eq!(rows(&plain, ENTRIES).await, rows(&any, ENTRIES).await);
            }
            assert_kept_is_recomputed(&plain, "in order").await;
            assert_kept_is_recomputed(&any, "in any order").await;
            // A restart, and the whole list once more.
            let before = rows(&any, ENTRIES).await;
            let reopened = Store::open(any.store.path()).await.unwrap();
            reopened.open_account(&account(), [9; 16]).await.unwrap();
            let all = tasks(lives.iter().filter_map(|life| life.last().cloned()).collect());
            let appended = reopened.append(&account(), &super::tests::draws(false), Incoming::of(&all, at(300_000))).await;
            assert_eq!(appended.unwrap().new_entries, 0);
            assert_eq!(rows(&any, ENTRIES).await, before);
        });
    }
}
