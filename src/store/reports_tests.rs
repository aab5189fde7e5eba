//! Reports are made once for each scheduled time.

use super::tests::{Fixture, account, at, task, tasks, team};
use super::*;
use crate::domain::{EMAIL_CHANNEL, MessageKind, RenderedMail, TaskState};

const WEEK: i64 = 7 * 86_400;

fn mail(id: &str) -> RenderedMail {
    RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: "fuelgauge@studio.example".into(),
        recipient: "lead@studio.example".into(),
        message_id: format!("<{id}@studio.example>"),
        thread: format!("<{id}@studio.example>"),
        subject: "x".into(),
        summary: "A report.".into(),
        text: String::new(),
        html: String::new(),
        message: b"Subject: x\r\n\r\n".to_vec(),
    }
}

#[tokio::test]
async fn a_report_of_a_scheduled_time_is_kept_once_with_its_mails() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    let key =
        |team_name: &str, second| ReportKey { kind: "digest", team: Some(team(team_name)), scheduled: at(second) };
    let waiting = async || store.outbox_depth().await.unwrap().total().waiting;

    // A job that is new has nothing to make up for, and remembers since when it is there.
    assert_eq!(store.begin_job("digest env", at(5)).await.unwrap(), at(5));
    assert_eq!(store.begin_job("digest env", at(9)).await.unwrap(), at(5));

    let made = store.keep_report("digest env", &key("env", WEEK), &[mail("a"), mail("b")], at(WEEK)).await.unwrap();
    assert_eq!((made, waiting().await), (true, 2));
    let queue = store.outbox_queue(EMAIL_CHANNEL, mail("a").recipient, at(WEEK)).await.unwrap();
    assert!(queue.waiting.iter().all(|message| message.kind == MessageKind::Report), "never merged: {queue:?}");
    assert_eq!(store.last_scheduled("digest env").await.unwrap(), Some(at(WEEK)));
    // The same once more, by whoever: the mails were sent, or wait, under other names.
    let made = store.keep_report("digest env", &key("env", WEEK), &[mail("c")], at(WEEK + 9)).await.unwrap();
    assert_eq!((made, waiting().await), (false, 2));
    for (key, job) in [(key("props", WEEK), "digest props"), (key("env", 2 * WEEK), "digest env")] {
        let id = format!("{job}{}", key.scheduled);
        assert!(store.keep_report(job, &key, &[mail(&id)], at(2 * WEEK)).await.unwrap(), "{job}");
    }
    assert_eq!(waiting().await, 4);
    let made: Vec<(String, Timestamp)> =
        [("env", WEEK), ("props", WEEK), ("env", 2 * WEEK)].map(|(team, second)| (team.into(), at(second))).into();
    assert_eq!(store.reports("digest").await.unwrap(), made);
    assert_eq!(store.reports("heartbeat").await.unwrap(), []);
}

#[tokio::test]
async fn the_use_of_a_week_and_what_did_not_come_back_are_exact() {
    let ledger = Fixture::new().await;
    let reading = tasks(vec![
        task("before", -1, TaskState::Succeeded, 1),
        task("first", 0, TaskState::Succeeded, 2),
        task("failed", 5, TaskState::Failed, 4),
        task("withdrawn", 6, TaskState::Cancelled, 8),
        task("runs", WEEK - 1, TaskState::Running, 16),
        task("after", WEEK, TaskState::Failed, 32),
    ]);
    ledger.append(&reading, WEEK + 1).await;
    let (env, props) = (team("env"), team("props"));
    let net = async |team| ledger.store.net_use(&account(), team, at(0), at(WEEK)).await.unwrap();
    let unrefunded = async |team| ledger.store.unrefunded(&account(), team, at(0), at(WEEK)).await.unwrap();
    assert_eq!(net(&env).await, Credits::from_whole(30));
    assert_eq!(unrefunded(&env).await, (2, Credits::from_whole(12)));
    assert_eq!((net(&props).await, unrefunded(&props).await), (Credits::ZERO, (0, Credits::ZERO)));
}

#[tokio::test]
async fn what_a_report_asks_is_read_from_an_index() {
    let ledger = Fixture::new().await;
    for (sql, expected) in [
        (
            reports::NET_USE,
            "SEARCH tasks USING COVERING INDEX tasks_by_launch (account_id=? AND team=? AND created_at>? AND created_at<?)",
        ),
        (
            reports::UNREFUNDED,
            "SEARCH tasks USING COVERING INDEX tasks_unrefunded (account_id=? AND team=? AND created_at>? AND created_at<?)",
        ),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        assert_eq!(plan.iter().map(|step| step.3.as_str()).collect::<Vec<_>>(), [expected], "{sql}");
    }
}
