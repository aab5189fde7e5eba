//! The past of alerts, as it is looked back at.

use super::tests::{Fixture, account, at, draws, team};
use super::*;
use crate::domain::{
    Alert, AlertState, BalanceRecord, ChargeSource, DeclaredPlan, DrawKey, Level, Notice, PastAlert, Reading, RuleName,
    Stage, Why,
};

const DAY: i64 = 86_400;

fn key() -> DrawKey {
    DrawKey { account: account(), team: team("env") }
}

fn notice(rule: RuleName, episode: u32, stage: Stage, why: Why, second: i64) -> Notice {
    let period_start = at(0);
    Notice {
        key: key(),
        rule,
        period_start,
        period_end: None,
        episode,
        stage,
        step: 0,
        why,
        since: at(second),
        at: at(second),
    }
}

fn change(rule: RuleName, episode: u32, state: AlertState) -> AlertChange {
    AlertChange { key: key(), rule, period_start: at(0), alert: Alert { episode, state } }
}

#[tokio::test]
async fn episodes_are_known_by_what_they_are_and_before_that_by_what_was_told() {
    let ledger = Fixture::new().await;
    let critical = Level::from(Stage::Critical);
    let changes = [
        // The second episode of the period is over; nobody needed to hear of its end yet.
        change(
            RuleName::Exhaustion,
            2,
            AlertState::Resolved { level: critical, since: at(8 * DAY), at: at(9 * DAY), untold: Some(Why::Resolved) },
        ),
        // Silenced: it fires and nobody was told.
        change(
            RuleName::StuckQueue,
            1,
            AlertState::Firing { level: Stage::Warning.into(), since: at(7 * DAY), clear_since: None, told: None },
        ),
        change(RuleName::LowBalance, 0, AlertState::Pending { level: critical, since: at(7 * DAY) }),
    ];
    let told = [
        notice(RuleName::Exhaustion, 1, Stage::Warning, Why::Opened, 2 * DAY),
        notice(RuleName::Exhaustion, 1, Stage::Critical, Why::Worsened, 3 * DAY),
        notice(RuleName::Exhaustion, 1, Stage::Critical, Why::Resolved, 5 * DAY),
        notice(RuleName::Exhaustion, 2, Stage::Critical, Why::Opened, 8 * DAY),
        // Of its end nobody is told.
        notice(RuleName::UnusualSpend, 1, Stage::Warning, Why::Opened, 4 * DAY),
    ];
    ledger.store.commit_alerts(&changes, &told.map(|notice| (notice, Vec::new()))).await.unwrap();

    let past = |rule, stage, since, ended_at: Option<i64>, is_firing, is_told| PastAlert {
        rule,
        stage,
        since: at(since * DAY),
        ended_at: ended_at.map(|day| at(day * DAY)),
        is_firing,
        is_told,
    };
    let first = past(RuleName::Exhaustion, Stage::Critical, 2, Some(5), false, true);
    let unusual = past(RuleName::UnusualSpend, Stage::Warning, 4, None, false, true);
    let stuck = past(RuleName::StuckQueue, Stage::Warning, 7, None, true, false);
    let second = past(RuleName::Exhaustion, Stage::Critical, 8, Some(9), false, true);
    for (from, to, expected) in [
        (0, 10, vec![first, unusual, stuck, second]),
        // Told within the interval, or under way in it.
        (5, 7, vec![first]),
        (6, 8, vec![stuck]),
        (9, 10, vec![stuck, second]),
        (20, 30, vec![stuck]),
        (0, 2, vec![]),
    ] {
        let found = ledger.store.past_alerts(&account(), &team("env"), at(from * DAY), at(to * DAY)).await.unwrap();
        assert_eq!(found, expected, "{from} to {to}");
    }
    assert_eq!(ledger.store.past_alerts(&account(), &team("props"), at(0), at(10 * DAY)).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_reset_brought_is_found() {
    let ledger = Fixture::new().await;
    let plan = DeclaredPlan {
        credits: Some(Credits::from_whole(100)),
        reset: Some(crate::domain::ResetRule::Cron(
            crate::domain::CronSchedule::parse("@daily", jiff::tz::TimeZone::UTC).unwrap(),
        )),
        ..DeclaredPlan::default()
    };
    for (second, available) in [(0, 40), (DAY, 100)] {
        let available = Credits::from_whole(available);
        let balance = Some(BalanceRecord { available, plan: None, purchased: None, frozen: None });
        let reading = Reading { balance, ..Reading::default() };
        let charges = ChargeSource::History;
        let incoming = Incoming { plan: Some(&plan), charges, ..Incoming::of(&reading, at(second)) };
        ledger.store.append(&account(), &draws(false), incoming).await.unwrap();
    }
    // 60 came where the plan grants 100: 40 lapsed.
    let change = async |from, to| ledger.store.reset_change(&account(), at(from), at(to)).await.unwrap();
    assert_eq!(change(DAY, 2 * DAY).await, Some(Credits::from_whole(60)));
    assert_eq!(change(0, DAY).await, None);
    assert_eq!(change(DAY + 1, 2 * DAY).await, None);
}

#[tokio::test]
async fn the_past_is_read_from_indexes() {
    let ledger = Fixture::new().await;
    for (sql, expected) in [
        (episodes::LAST_EPISODES, "SEARCH a USING PRIMARY KEY (account_id=? AND team=?)"),
        (episodes::TOLD_EPISODES, "SEARCH notices USING INDEX sqlite_autoindex_notices_1 (account_id=? AND team=?)"),
        (episodes::RESETS, "SEARCH entries USING COVERING INDEX entries_others (account_id=? AND at>? AND at<?)"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
        assert!(steps.contains(&expected), "{sql}: {steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{sql}: {steps:?}");
    }
}
