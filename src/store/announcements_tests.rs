//! What leads announced, and tasks that wait to be charged.

use super::tests::{Fixture, account, at, draws, task, tasks, team};
use super::*;
use crate::domain::{
    Announcement, DrawKey, Foreseen, MOST_STANDING, PaceChange, PlannedBatch, Standing, TaskRecord, TaskState,
};

const DAY: i64 = 86_400;

fn announced(whose: &str, foreseen: Foreseen) -> Announcement {
    Announcement {
        id: None,
        key: DrawKey { account: account(), team: team(whose) },
        foreseen,
        note: "three artists join".into(),
        by: "ada".into(),
        announced_at: None,
        withdrawn: None,
    }
}

fn pace(from: i64, to: i64) -> Foreseen {
    Foreseen::Pace(PaceChange { factor: 2.5, from: at(from), to: at(to) })
}

fn batch(on: i64) -> Foreseen {
    let [low, likely, high] = [600, 800, 1200].map(Credits::from_whole);
    Foreseen::Batch { batch: PlannedBatch { at: at(on), low, likely, high }, until: at(on + DAY) }
}

#[tokio::test]
async fn what_is_announced_is_kept_with_who_and_when() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    let first = store.announce(&announced("env", pace(DAY, 9 * DAY)), at(5)).await.unwrap().unwrap();
    let second = store.announce(&announced("props", batch(DAY)), at(6)).await.unwrap().unwrap();
    let stranger = store.announce(&announced("gone", batch(DAY)), at(7)).await.unwrap().unwrap();
    assert_eq!((first.id, first.announced_at), (Some(1), Some(at(5))));
    assert_eq!(first.foreseen, pace(DAY, 9 * DAY));
    let all = [first.clone(), second.clone(), stranger.clone()];
    assert_eq!(store.announcements(&account()).await.unwrap(), all);
    assert_eq!(ledger.facts(None, 10).await.announcements, all[..2], "of the teams that draw");

    // What was taken back stays in the book, and counts no longer.
    let withdrawn = store.withdraw(&account(), 2, "grace", at(20)).await.unwrap().unwrap();
    assert_eq!(withdrawn.withdrawn, Some((at(20), "grace".into())));
    assert_eq!(withdrawn.standing(at(20)), Standing::Withdrawn);
    assert_eq!(store.withdraw(&account(), 2, "ada", at(30)).await.unwrap(), Some(withdrawn.clone()));
    assert_eq!(store.withdraw(&account(), 9, "ada", at(30)).await.unwrap(), None);
    assert_eq!(store.announcements(&account()).await.unwrap()[1], withdrawn);
    assert_eq!(ledger.facts(None, 30).await.announcements, all[..1]);
    // What is over still explains the use of its time.
    assert_eq!(ledger.facts(None, 99 * DAY).await.announcements, all[..1]);
}

#[tokio::test]
async fn nobody_announces_without_end() {
    let ledger = Fixture::new().await;
    let add = async |whose: &str, foreseen| ledger.store.announce(&announced(whose, foreseen), at(0)).await.unwrap();
    for _ in 0..MOST_STANDING {
        assert!(add("env", batch(DAY)).await.is_some());
    }
    assert_eq!(add("env", batch(DAY)).await, None);
    assert!(add("props", batch(DAY)).await.is_some(), "another team's");
    ledger.store.withdraw(&account(), 1, "ada", at(1)).await.unwrap();
    assert!(add("env", batch(DAY)).await.is_some(), "one was taken back");
    let later = ledger.store.announce(&announced("env", batch(9 * DAY)), at(3 * DAY)).await.unwrap();
    assert!(later.is_some(), "those of yesterday are over");
}

#[tokio::test]
async fn tasks_that_wait_to_be_charged_are_counted_by_kind() {
    let ledger = Fixture::new().await;
    let waiting = |id: &str, second, state, quality: &str| TaskRecord {
        credits: None,
        quality: quality.into(),
        ..task(id, second, state, 0)
    };
    let reading = tasks(vec![
        waiting("a", 10 * DAY, TaskState::Queued, "high"),
        waiting("b", 10 * DAY, TaskState::Running, "high"),
        waiting("c", 10 * DAY, TaskState::Queued, ""),
        waiting("unknown", 10 * DAY, TaskState::Unknown, ""),
        waiting("done", 10 * DAY, TaskState::Succeeded, ""),
        waiting("forgotten", DAY, TaskState::Queued, ""),
        task("charged", 10 * DAY, TaskState::Running, 20),
    ]);
    assert!(!ledger.env(None, 10 * DAY).await.has_uncharged);
    ledger.append(&reading, 10 * DAY + 60).await;
    assert!(ledger.env(None, 10 * DAY + 60).await.has_uncharged);
    assert!(!ledger.env(None, 30 * DAY).await.has_uncharged, "nobody knows what became of them");
    let found = ledger.store.uncharged(&account(), &draws(false)[0].key.team, at(9 * DAY)).await.unwrap();
    let kind = |quality: &str, tasks| ("text-to-3d".to_owned(), quality.to_owned(), tasks);
    assert_eq!(found, [kind("", 1), kind("high", 2)]);
}
