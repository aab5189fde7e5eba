//! The ledger's contract.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::domain::{
    Alert, AlertState, Attribution, BalanceRecord, Collector, Draw, DrawKey, EMAIL_CHANNEL, EntryKind, Fingerprint,
    HourlyUse, Level, Notice, PlanRecord, QueueRecord, Reading, RenderedMail, RetryKind, RuleName, Selector, Stage,
    TaskRecord, TaskState, TeamName, Told, Why,
};

const HOUR: i64 = 3600;
/// A whole hour.
const START: i64 = 1_760_400_000;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

pub(super) fn account() -> AccountName {
    AccountName::parse("studio").unwrap()
}

pub(super) fn team(name: &str) -> TeamName {
    TeamName::parse(name).unwrap()
}

/// `env` has the projects `env-*`, `props` the rest; or each other's, if `swapped`.
pub(super) fn draws(swapped: bool) -> Vec<Draw> {
    let draw = |name: &str, project: Option<&str>| Draw {
        key: DrawKey { account: account(), team: team(name) },
        selector: project.map(|p| Selector { project: vec![p.into()], ..Selector::default() }),
        allowance: None,
    };
    match swapped {
        false => vec![draw("env", Some("env-*")), draw("props", None)],
        true => vec![draw("props", Some("env-*")), draw("env", None)],
    }
}

pub(super) fn task(id: &str, second: i64, state: TaskState, credits: i64) -> TaskRecord {
    TaskRecord {
        finished_at: state.is_final().then(|| at(second + 60)),
        quality: "high".into(),
        variants: Some(4),
        credits: Some(Credits::from_whole(credits)),
        attribution: Attribution { project: Some("env-rocks".into()), ..Attribution::default() },
        ..TaskRecord::new(id, at(second), state, "text-to-3d")
    }
}

/// A mail of a conversation.
pub(super) fn rendered(recipient: &str, id: &str, thread: &str) -> RenderedMail {
    RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: "fuelgauge@studio.example".into(),
        recipient: format!("{recipient}@studio.example"),
        message_id: format!("<{id}@studio.example>"),
        thread: thread.into(),
        subject: format!("Subject of {thread}"),
        summary: format!("Summary of {id}"),
        text: format!("text of {id}"),
        html: format!("<p>{id}</p>"),
        message: format!("Subject: {id}\r\n\r\n").into_bytes(),
    }
}

pub(super) fn tasks(tasks: Vec<TaskRecord>) -> Reading {
    Reading { tasks, ..Reading::default() }
}

pub(super) fn incoming(reading: &Reading, now: i64) -> Incoming<'_> {
    Incoming::of(reading, at(now))
}

pub(super) struct Fixture {
    folder: TempDir,
    pub(super) store: Store,
}

impl Fixture {
    pub(super) async fn new() -> Fixture {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        store.open_account(&account(), [7; 16]).await.unwrap();
        Fixture { folder, store }
    }

    pub(super) async fn append(&self, reading: &Reading, now: i64) -> Appended {
        self.store.append(&account(), &draws(false), incoming(reading, now)).await.unwrap()
    }

    pub(super) async fn facts(&self, period_start: Option<i64>, now: i64) -> AccountFacts {
        self.store.load_account(&account(), &draws(false), period_start.map(at), at(now)).await.unwrap()
    }

    pub(super) async fn env(&self, period_start: Option<i64>, now: i64) -> TeamFacts {
        self.facts(period_start, now).await.teams.remove(&Some(team("env"))).unwrap()
    }

    pub(super) async fn hours(&self, name: &str) -> Vec<(i64, i64, u32)> {
        let found = self.store.hourly_use(&account(), Some(&team(name)), 0).await.unwrap();
        found.iter().map(|h| (h.hour - START / HOUR, h.net.micros() / 1_000_000, h.charges)).collect()
    }

    async fn keys(&self) -> Vec<String> {
        self.store.entries(&account(), 0, 1000).await.unwrap().into_iter().map(|(_, entry)| entry.key).collect()
    }
}

#[tokio::test]
async fn a_poll_read_twice_is_kept_once() {
    let ledger = Fixture::new().await;
    let first = tasks(vec![
        task("a", 10, TaskState::Running, 20),
        task("b", HOUR + 10, TaskState::Succeeded, 5),
        task("a", 10, TaskState::Running, 20),
    ]);
    let appended = ledger.append(&first, 2 * HOUR).await;
    let hour = START / HOUR;
    assert_eq!((appended.new_tasks, appended.known_tasks, appended.new_entries), (2, 1, 2));
    assert_eq!(appended.changed_since.into_iter().collect::<Vec<_>>(), [(Some(team("env")), hour)]);
    assert_eq!(ledger.append(&first, 2 * HOUR + 1).await, Appended { known_tasks: 3, ..Appended::default() });
    assert_eq!(ledger.hours("env").await, [(0, 20, 1), (1, 5, 1)]);
    assert_eq!(ledger.env(None, 2 * HOUR).await.pending, Credits::from_whole(20));

    let failed = ledger.append(&tasks(vec![task("a", 10, TaskState::Failed, 0)]), 3 * HOUR).await;
    assert_eq!(failed.changed_since.get(&Some(team("env"))), Some(&hour));
    assert_eq!(ledger.hours("env").await, [(1, 5, 1)]);
    assert_eq!(ledger.keys().await, ["charge/a/20", "charge/b/5", "refund/a/20"]);
    let facts = ledger.env(None, 3 * HOUR).await;
    let totals = &facts.totals[0];
    assert_eq!((totals.charged, totals.refunded), (Credits::from_whole(25), Credits::from_whole(20)));
    assert_eq!((totals.finished, totals.failed, facts.pending), (2, 1, Credits::ZERO));
    assert_eq!(facts.spent, Credits::from_whole(5));
}

#[tokio::test]
async fn sums_of_a_period_are_exact_within_the_hour() {
    let ledger = Fixture::new().await;
    let reading = tasks(vec![
        task("before", 1799, TaskState::Succeeded, 1),
        task("at the start", 1800, TaskState::Succeeded, 2),
        task("in the piece", HOUR - 1, TaskState::Succeeded, 4),
        task("in a whole hour", HOUR, TaskState::Succeeded, 8),
        task("an hour ago", 3 * HOUR, TaskState::Succeeded, 16),
        task("since then", 3 * HOUR + 1, TaskState::Succeeded, 32),
    ]);
    ledger.append(&reading, 4 * HOUR).await;
    for (period_start, spent) in
        [(None, 63), (Some(1800), 62), (Some(HOUR), 56), (Some(0), 63), (Some(3 * HOUR + 1), 32)]
    {
        let facts = ledger.env(period_start, 4 * HOUR).await;
        assert_eq!(facts.spent, Credits::from_whole(spent), "{period_start:?}");
        assert_eq!(facts.last_hour, Credits::from_whole(32));
    }
}

#[tokio::test]
async fn everything_last_read_is_given_back() {
    let ledger = Fixture::new().await;
    let balance = |available| BalanceRecord {
        available: Credits::from_whole(available),
        plan: Some(Credits::from_whole(7)),
        purchased: None,
        frozen: Some(Credits::ZERO),
    };
    let queue = QueueRecord { waiting: 3, running: 1, limit: Some(10), oldest_waiting_at: Some(at(5)) };
    let plan = PlanRecord {
        name: Some("studio".into()),
        allowance: Some(Credits::from_whole(4000)),
        resets_at: Some(at(9 * HOUR)),
    };
    let reading =
        Reading { balance: Some(balance(100)), tasks: vec![], queue: Some(queue.clone()), plan: Some(plan.clone()) };
    let outcome = |failure: Option<(&str, &str)>| CollectorOutcome {
        collector: Collector::Balance,
        duration_seconds: 0.25,
        failure: failure.map(|(reason, message)| (reason.into(), message.into())),
    };
    let poll =
        Incoming { outcomes: &[outcome(None)], scheduled: Some(("poll/studio", at(0))), ..incoming(&reading, 1) };
    ledger.store.append(&account(), &draws(false), poll).await.unwrap();
    let nothing = Reading::default();
    let failed = [outcome(Some(("timeout", "no answer")))];
    let poll = Incoming { outcomes: &failed, scheduled: Some(("poll/studio", at(300))), ..incoming(&nothing, 301) };
    ledger.store.append(&account(), &draws(false), poll).await.unwrap();

    let facts = ledger.facts(None, 302).await;
    assert_eq!(facts.queue, Some((queue, at(1))));
    assert_eq!(facts.plan, Some(plan.clone()));
    assert_eq!(ledger.store.reported_plan(&account()).await.unwrap(), Some(plan));
    let kept = facts.balance.unwrap();
    assert_eq!((kept.record, kept.read_at, kept.drift), (balance(100), at(1), None));
    let status = &facts.collectors[0];
    assert_eq!((status.last_attempt_at, status.last_success_at), (Some(at(301)), Some(at(1))));
    assert_eq!(status.last_failure, Some(("timeout".into(), "no answer".into())));
    assert_eq!(status.last_duration_seconds, Some(0.25));
    assert_eq!(ledger.store.last_scheduled("poll/studio").await.unwrap(), Some(at(300)));
    assert_eq!(ledger.store.last_scheduled("poll/other").await.unwrap(), None);
}

#[tokio::test]
async fn a_balance_is_held_against_what_came_in_between() {
    let ledger = Fixture::new().await;
    let balance = |available, tasks| Reading {
        balance: Some(BalanceRecord {
            available: Credits::from_whole(available),
            plan: None,
            purchased: None,
            frozen: None,
        }),
        tasks,
        ..Reading::default()
    };
    let drift = async |now| ledger.facts(None, now).await.balance.unwrap().drift.map(|c| c.micros() / 1_000_000);
    ledger.append(&balance(100, vec![]), 100).await;
    assert_eq!(drift(100).await, None);
    // Charges arrive without a balance, and history from before the first balance explains nothing.
    ledger
        .append(&tasks(vec![task("a", 150, TaskState::Running, 20), task("old", 10, TaskState::Succeeded, 50)]), 200)
        .await;
    ledger.append(&balance(75, vec![]), 300).await;
    assert_eq!(drift(300).await, Some(-5));
    ledger.append(&balance(95, vec![task("a", 150, TaskState::Failed, 0)]), 400).await;
    assert_eq!(drift(400).await, Some(-5));
    ledger.append(&balance(600, vec![]), 500).await;
    ledger.append(&balance(600, vec![]), 600).await;
    let granted = ledger.facts(None, 600).await.balance.unwrap().granted;
    assert_eq!(granted, Credits::from_whole(500));
    let (_, last) = ledger.store.entries(&account(), 0, 100).await.unwrap().pop().unwrap();
    assert_eq!((last.kind, last.credits, last.team), (EntryKind::Grant, Credits::from_whole(500), None));
}

#[tokio::test]
async fn a_reset_is_recognised_by_the_date_the_platform_gave() {
    let ledger = Fixture::new().await;
    let reading = |available, resets_at| Reading {
        balance: Some(BalanceRecord {
            available: Credits::from_whole(available),
            plan: None,
            purchased: None,
            frozen: None,
        }),
        plan: Some(PlanRecord { name: None, allowance: None, resets_at: Some(at(resets_at)) }),
        ..Reading::default()
    };
    ledger.append(&reading(10, 200), 100).await;
    ledger.append(&reading(1000, 900), 300).await;
    let (_, entry) = ledger.store.entries(&account(), 0, 100).await.unwrap().pop().unwrap();
    assert_eq!((entry.kind, entry.at, entry.credits), (EntryKind::Reset, at(200), Credits::from_whole(990)));
}

#[tokio::test]
async fn retries_are_counted_whatever_the_order_and_never_uncounted() {
    let same_input = |id: &str, second, state, credits| TaskRecord {
        fingerprint: Some(Fingerprint(42)),
        ..task(id, second, state, credits)
    };
    let first = same_input("1", 0, TaskState::Succeeded, 20);
    let second = same_input("2", 100, TaskState::Failed, 20);
    let third = same_input("3", 200, TaskState::Running, 20);
    let retries = |facts: &TeamFacts| -> Vec<_> {
        facts.retries.iter().map(|r| (r.kind, r.tasks, r.credits.micros() / 1_000_000)).collect()
    };
    let expected = [(RetryKind::Rerun, 1, 20), (RetryKind::Resubmission, 1, 20)];
    let ledger = Fixture::new().await;
    ledger.append(&tasks(vec![third.clone()]), 300).await;
    assert_eq!(retries(&ledger.env(None, 300).await), []);
    ledger.append(&tasks(vec![second.clone(), first.clone()]), 301).await;
    assert_eq!(retries(&ledger.env(None, 301).await), expected);

    // An older page shows a success in between: the third was a re-run after all, and no counter falls.
    ledger.append(&tasks(vec![same_input("2b", 150, TaskState::Succeeded, 5)]), 302).await;
    let expected = [(RetryKind::Rerun, 2, 40), (RetryKind::Resubmission, 1, 20)];
    assert_eq!(retries(&ledger.env(None, 302).await), expected);
}

#[tokio::test]
async fn teams_are_given_anew_when_selectors_change() {
    let ledger = Fixture::new().await;
    let other = Attribution { project: Some("cars".into()), ..Attribution::default() };
    let reading = tasks(vec![
        task("a", 10, TaskState::Running, 20),
        TaskRecord { attribution: other, ..task("b", HOUR, TaskState::Succeeded, 5) },
    ]);
    assert_eq!(ledger.store.reassign(&account(), &draws(false)).await.unwrap(), 0);
    ledger.append(&reading, 2 * HOUR).await;
    assert_eq!(ledger.store.reassign(&account(), &draws(false)).await.unwrap(), 0);
    assert_eq!((ledger.hours("env").await, ledger.hours("props").await), (vec![(0, 20, 1)], vec![(1, 5, 1)]));
    assert_eq!(ledger.store.reassign(&account(), &draws(true)).await.unwrap(), 2);
    assert_eq!((ledger.hours("env").await, ledger.hours("props").await), (vec![(1, 5, 1)], vec![(0, 20, 1)]));
    let (_, entry) = ledger.store.entries(&account(), 0, 1).await.unwrap().remove(0);
    assert_eq!(entry.team, Some(team("props")));
}

#[tokio::test]
async fn an_alert_and_its_mails_are_one_commit() {
    let ledger = Fixture::new().await;
    let key = DrawKey { account: account(), team: team("env") };
    let alert = Alert {
        episode: 1,
        state: AlertState::Firing {
            level: Stage::Warning.into(),
            since: at(0),
            clear_since: Some(at(1)),
            told: Some(Told { level: Level { stage: Stage::Warning, step: 2 }, at: at(2), figure: Some(3) }),
        },
    };
    let change =
        AlertChange { key: key.clone(), rule: RuleName::Exhaustion, period_start: at(0), alert: alert.clone() };
    let notice = |why, second| Notice {
        key: key.clone(),
        rule: RuleName::Exhaustion,
        period_start: at(0),
        period_end: None,
        episode: 1,
        since: at(0),
        stage: Stage::Warning,
        step: 0,
        why,
        at: at(second),
    };
    let mail = |id: &str| rendered("lead", id, "episode");
    let store = &ledger.store;
    let opened = (notice(Why::Opened, 2), vec![mail("1"), mail("2")]);
    assert_eq!(
        store.commit_alerts(std::slice::from_ref(&change), std::slice::from_ref(&opened)).await.unwrap(),
        [true]
    );
    // The same decision again, a later moment: told already. A repetition is something new, each time.
    let again = [
        (notice(Why::Opened, 3), vec![mail("3")]),
        (notice(Why::Repeated, 4), vec![mail("4")]),
        (notice(Why::Repeated, 4), vec![mail("5")]),
        (notice(Why::Repeated, 5), vec![mail("6")]),
    ];
    assert_eq!(store.commit_alerts(&[], &again).await.unwrap(), [false, true, false, true]);
    assert_eq!(store.outbox_depth().await.unwrap().total().waiting, 4);

    let facts = |alert: &Alert| {
        vec![AlertFacts { team: team("env"), rule: RuleName::Exhaustion, period_start: at(0), alert: alert.clone() }]
    };
    assert_eq!(ledger.facts(Some(0), 9).await.alerts, facts(&alert));
    assert_eq!(ledger.facts(Some(HOUR), 9).await.alerts, facts(&alert), "still firing from the period before");
    let resolved = |untold| Alert {
        episode: 1,
        state: AlertState::Resolved { level: Stage::Critical.into(), since: at(0), at: at(8), untold },
    };
    let keep = async |alert: Alert| {
        store.commit_alerts(&[AlertChange { alert, ..change.clone() }], &[]).await.unwrap();
    };
    keep(resolved(Some(Why::PlanReset))).await;
    assert_eq!(ledger.facts(Some(HOUR), 9).await.alerts, facts(&resolved(Some(Why::PlanReset))), "still to be told");
    keep(resolved(None)).await;
    assert_eq!(ledger.facts(Some(0), 9).await.alerts, facts(&resolved(None)));
    assert_eq!(ledger.facts(Some(HOUR), 9).await.alerts, []);
    let pending =
        Alert { episode: 1, state: AlertState::Pending { level: Level { stage: Stage::Info, step: 1 }, since: at(7) } };
    keep(pending.clone()).await;
    assert_eq!(ledger.facts(Some(HOUR), 9).await.alerts, facts(&pending));
    keep(Alert { episode: 1, state: AlertState::Inactive }).await;
    assert_eq!(ledger.facts(Some(HOUR), 9).await.alerts, []);

    // A commit that fails half-way leaves nothing: the second account is not known.
    let stranger = AccountName::parse("stranger").unwrap();
    let mut unknown = notice(Why::Resolved, 9);
    unknown.key.account = stranger;
    let both = [(notice(Why::Resolved, 8), vec![mail("7")]), (unknown, vec![])];
    let error = store.commit_alerts(&[], &both).await.unwrap_err();
    assert_eq!(error.fault, StoreFault::UnknownAccount);
    assert_eq!(store.outbox_depth().await.unwrap().total().waiting, 4);
    assert_eq!(store.commit_alerts(&[], &both[..1]).await.unwrap(), [true]);
}

#[tokio::test]
async fn what_was_not_committed_never_was() {
    let ledger = Fixture::new().await;
    ledger.append(&tasks(vec![task("a", 10, TaskState::Running, 20)]), 20).await;
    let mut transaction = ledger.store.begin().await.unwrap();
    sqlx::query("DELETE FROM entries").execute(&mut *transaction).await.unwrap();
    // As a process that dies would leave it: a copy of the files while a transaction is open.
    let copy = ledger.folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        std::fs::copy(sibling(ledger.store.path(), suffix), sibling(&copy, suffix)).unwrap();
    }
    drop(transaction);
    assert_eq!(ledger.keys().await, ["charge/a/20"]);
    let reopened = Store::open(&copy).await.unwrap();
    assert_eq!(reopened.open_account(&account(), [9; 16]).await.unwrap(), [7; 16], "the salt stays");
    assert_eq!(reopened.entries(&account(), 0, 9).await.unwrap().len(), 1);
    reopened.check_integrity().await.unwrap();
}

#[tokio::test]
async fn files_that_are_no_ledger_say_so() {
    let folder = TempDir::new().unwrap();
    let fault = async |path: &Path| {
        let error = Store::open(path).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()) && text.contains("hint: "), "{text}");
        error.fault
    };
    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "Dear lead, ".repeat(1000)).unwrap();
    assert_eq!(fault(&letter).await, StoreFault::Corrupt);
    assert_eq!(fault(&folder.path().join("no/such/folder.db")).await, StoreFault::CannotOpen);
    assert_eq!(fault(folder.path()).await, StoreFault::CannotOpen);

    let newer = folder.path().join("newer.db");
    let store = Store::open(&newer).await.unwrap();
    let future = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (99, 'later', 1, x'00', 0)";
    sqlx::query(future).execute(&store.writer).await.unwrap();
    store.close().await;
    assert_eq!(fault(&newer).await, StoreFault::NewerSchema);
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let ledger = Fixture::new().await;
    ledger.append(&tasks(vec![task("a", 10, TaskState::Running, 20)]), 20).await;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&ledger.store.writer).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(limit).execute(&ledger.store.writer).await.unwrap();
    let many = tasks((0..5000).map(|n| task(&format!("t{n}"), n, TaskState::Running, 1)).collect());
    let error = ledger.store.append(&account(), &draws(false), incoming(&many, 30)).await.unwrap_err();
    assert_eq!(error.fault, StoreFault::DiskFull);
    assert_eq!(ledger.keys().await, ["charge/a/20"]);
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&ledger.store.writer).await.unwrap();
    assert_eq!(ledger.append(&many, 30).await.new_tasks, 5000);
}

#[tokio::test]
async fn only_one_agent_serves() {
    let ledger = Fixture::new().await;
    let lock = ledger.store.lock_for_serving().unwrap();
    let second = Store::open(ledger.store.path()).await.unwrap();
    assert_eq!(second.lock_for_serving().unwrap_err().fault, StoreFault::Served);
    // An import beside it may write all the same.
    second.open_account(&account(), [1; 16]).await.unwrap();
    second
        .append(&account(), &draws(false), incoming(&tasks(vec![task("a", 1, TaskState::Running, 2)]), 3))
        .await
        .unwrap();
    drop(lock);
    second.lock_for_serving().unwrap();
}

#[tokio::test]
async fn an_assessment_reads_no_more_than_it_needs() {
    let ledger = Fixture::new().await;
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", facts::statement(2)));
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
    let tasks: Vec<_> = plan.iter().map(|row| row.3.as_str()).filter(|step| step.starts_with("SEARCH k")).collect();
    let expected = [
        "SEARCH k USING COVERING INDEX tasks_by_launch (account_id=? AND team=? AND created_at>? AND created_at<?)",
        "SEARCH k USING COVERING INDEX tasks_by_launch (account_id=? AND team=? AND created_at>? AND created_at<?)",
        "SEARCH k USING COVERING INDEX tasks_pending (account_id=? AND team=? AND state=?)",
        "SEARCH k USING COVERING INDEX tasks_unrefunded (account_id=? AND team=? AND created_at>?)",
        "SEARCH k USING COVERING INDEX tasks_suspect (account_id=? AND team=? AND created_at>?)",
        "SEARCH k USING COVERING INDEX tasks_pending (account_id=? AND team=? AND state=? AND created_at>?)",
        "SEARCH k USING COVERING INDEX tasks_retried (account_id=? AND team=? AND created_at>?)",
        "SEARCH k USING COVERING INDEX tasks_retried (account_id=? AND team=? AND created_at>?)",
    ];
    assert_eq!(tasks, expected);
    let alerts: Vec<_> = plan.iter().map(|row| row.3.as_str()).filter(|step| step.contains(" alerts ")).collect();
    let expected = [
        "SEARCH alerts USING INDEX alerts_by_period (account_id=? AND period_start=?)",
        "SEARCH alerts USING INDEX alerts_open (account_id=?)",
    ];
    assert_eq!(alerts, expected);
    let scans: Vec<_> = plan.iter().filter(|row| row.3.starts_with("SCAN ") && row.3 != "SCAN t").collect();
    assert!(scans.iter().all(|row| row.3 == "SCAN CONSTANT ROW"), "{scans:?}");

    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", facts::HOURS_OF_ALL));
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
    let hours = "SEARCH h USING PRIMARY KEY (account_id=? AND team=? AND hour>?)";
    assert!(plan.iter().any(|row| row.3 == hours), "only the hours asked for: {plan:?}");
}

#[tokio::test]
async fn what_is_asked_over_and_over_is_read_from_an_index() {
    let ledger = Fixture::new().await;
    let in_order = "SEARCH entries USING INDEX entries_in_order (account_id=? AND id>?)";
    for (sql, expected) in [
        (watermarks::CHANGES, in_order),
        (facts::ENTRIES, in_order),
        (watermarks::LAST_ENTRY, "SEARCH entries USING COVERING INDEX entries_in_order (account_id=?)"),
        (watermarks::OLDEST_UNFINISHED, "SEARCH tasks USING COVERING INDEX tasks_pending (account_id=?)"),
        (lots::OTHER_ENTRIES, "SEARCH entries USING COVERING INDEX entries_others (account_id=? AND at>?)"),
        (lots::NET_BETWEEN, "CO-ROUTINE t"),
        (silences::SHOWN, "SEARCH silences USING COVERING INDEX silences_by_end (over_at>?)"),
        (silences::STANDING, "SEARCH silences USING COVERING INDEX silences_by_end (over_at>?)"),
        (silences::FIRING, "SCAN alerts USING COVERING INDEX alerts_firing"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        type Step = (i64, i64, i64, String);
        let plan: Vec<Step> = sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
        assert_eq!(steps[0], expected, "{sql}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN tasks") || step.starts_with("SCAN k")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
    }
}

#[tokio::test]
async fn the_store_can_be_used_from_spawned_tasks() {
    let ledger = Fixture::new().await;
    let store = ledger.store.clone();
    let spawned = tokio::spawn(async move {
        let reading = tasks(vec![task("a", 10, TaskState::Running, 20)]);
        store.append(&account(), &draws(false), incoming(&reading, 20)).await?;
        Store::open(store.path()).await?;
        store.load_account(&account(), &draws(false), None, at(20)).await
    });
    assert_eq!(spawned.await.unwrap().unwrap().teams[&Some(team("env"))].pending, Credits::from_whole(20));
}

/// A task of a small world: a few inputs, projects, hours and states.
fn any_task() -> impl Strategy<Value = TaskRecord> {
    let states =
        prop::sample::select(vec![TaskState::Queued, TaskState::Running, TaskState::Succeeded, TaskState::Failed]);
    (0..12_i64, states, prop::option::of(0..30_i64), any::<bool>()).prop_map(|(n, state, credits, is_free)| {
        TaskRecord {
            credits: credits.map(|c| Credits::from_whole(if is_free && state == TaskState::Failed { 0 } else { c })),
            fingerprint: (n % 3 > 0).then_some(Fingerprint(n as u128 % 3)),
            is_step: n == 7,
            attribution: Attribution {
                project: (n % 4 > 0).then(|| if n % 4 == 1 { "env-a".into() } else { "cars".into() }),
                team: (n == 11).then(|| "strangers".into()),
                ..Attribution::default()
            },
            ..task(&format!("t{n}"), n * 1000, state, 0)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    /// However polls are cut into pages: charges less refunds are the sum of the hourly use and of the counters, and
    /// working everything out again from the tasks gives what was kept along the way.
    #[test]
    fn kept_sums_are_what_entries_and_tasks_say(polls in prop::collection::vec(prop::collection::vec(any_task(), 0..8), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ledger = Fixture::new().await;
            for (poll, now) in polls.into_iter().zip(20_000..) {
                ledger.append(&tasks(poll), now).await;
            }
            let entries = ledger.store.entries(&account(), 0, 1000).await.unwrap();
            let sum = |team: &Option<TeamName>| -> Credits {
                let of_team = entries.iter().map(|(_, e)| e).filter(|e| e.team == *team);
                of_team.map(|e| if e.kind == EntryKind::Charge { e.credits } else { -e.credits }).sum()
            };
            let before = ledger.facts(Some(0), 20_000).await;
            let mut hours = Vec::new();
            for (team, facts) in &before.teams {
                let use_ = ledger.store.hourly_use(&account(), team.as_ref(), 0).await.unwrap();
                assert_eq!(sum(team), use_.iter().map(|h: &HourlyUse| h.net).sum());
                assert_eq!(sum(team), facts.spent);
                assert_eq!(sum(team), facts.totals.iter().map(|row| row.charged - row.refunded).sum());
                hours.push(use_);
            }
            let retries_now = "SELECT team, task_type, kind, tasks, credits FROM retries WHERE tasks > 0 ORDER BY 1, 2, 3";
            type Rows = Vec<(String, String, String, i64, i64)>;
            let retries: Rows = sqlx::query_as(retries_now).fetch_all(&ledger.store.readers).await.unwrap();
            // The first time that teams are given everything is worked out anew, and no task moves.
            assert_eq!(ledger.store.reassign(&account(), &draws(false)).await.unwrap(), 0);
            let after = ledger.facts(Some(0), 20_000).await;
            let again: Rows = sqlx::query_as(retries_now).fetch_all(&ledger.store.readers).await.unwrap();
            assert_eq!(retries, again);
            for ((team, facts), hours) in after.teams.iter().zip(hours) {
                let before = &before.teams[team];
                assert_eq!(ledger.store.hourly_use(&account(), team.as_ref(), 0).await.unwrap(), hours);
                let rows = |facts: &TeamFacts| -> Vec<_> {
                    facts.totals.iter().filter(|r| r.charged.is_positive() || r.finished > 0).cloned().collect()
                };
                assert_eq!((rows(facts), facts.spent, facts.pending), (rows(before), before.spent, before.pending));
            }
        });
    }
}

#[test]
fn stored_instants_survive_edited_files() {
    for (stored, expected) in [(i64::MAX, Timestamp::MAX), (i64::MIN, Timestamp::MIN), (0, Timestamp::UNIX_EPOCH)] {
        assert_eq!(instant(stored), expected);
    }
    assert_eq!(instant(millis(at(1))), at(1));
}
