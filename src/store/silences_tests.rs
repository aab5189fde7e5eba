//! Silences, from their beginning to long after their end.

use jiff::SignedDuration;

use super::tests::{Fixture, account, at, team};
use super::*;
use crate::domain::silence::MOST_SILENCES;
use crate::domain::{
    Alert, AlertState, DrawKey, FiringAlert, Matcher, NewSilence, RuleName, Silence, SilenceState, Stage, Told, Why,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn new(matchers: &str, starts: i64, ends: i64) -> NewSilence {
    NewSilence {
        matchers: Matcher::parse_all(matchers).unwrap(),
        starts_at: at(starts),
        ends_at: at(ends),
        created_by: "ada".into(),
        token: Some("pipeline".into()),
        comment: "a \"planned\" push; it's fine".into(),
    }
}

async fn add(store: &Store, asked: &NewSilence, now: i64) -> Silence {
    store.keep_silence(asked, None, at(now)).await.unwrap().unwrap()
}

async fn ids(store: &Store, now: i64) -> Vec<i64> {
    store.silences(at(now)).await.unwrap().iter().map(|silence| silence.id).collect()
}

#[tokio::test]
async fn a_silence_is_kept_with_who_wants_it_and_who_ended_it() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    assert_eq!(ids(store, 0).await, [0; 0]);
    let asked = new("alert=exhaustion team=~\"env \\\"x\\\".*\"", 0, DAY);
    let first = add(store, &asked, 0).await;
    assert_eq!(first, Silence { id: 1, asked: asked.clone(), created_at: at(0), expired: None });
    let by_command = NewSilence { token: None, ..new("team=art", HOUR, 2 * DAY) };
    let second = add(store, &by_command, 5).await;
    assert_eq!(second.asked.token, None);
    assert_eq!(store.silences(at(6)).await.unwrap().iter().collect::<Vec<_>>(), [&second, &first]);

    let ended = store.expire_silence(1, "grace", at(HOUR)).await.unwrap().unwrap();
    assert_eq!(ended, Silence { expired: Some((at(HOUR), "grace".into())), ..first });
    assert_eq!(store.expire_silence(1, "ada", at(2 * HOUR)).await.unwrap(), Some(ended.clone()), "it is over already");
    assert_eq!(store.expire_silence(9, "ada", at(2 * HOUR)).await.unwrap(), None);
    assert_eq!(store.silences(at(HOUR)).await.unwrap().get(1), Some(&ended), "though its row was known");
    let over = store.expire_silence(2, "ada", at(2 * DAY)).await.unwrap().unwrap();
    assert_eq!(over, second, "it was over by itself");
    assert_eq!((store.silence(2).await.unwrap(), store.silence(3).await.unwrap()), (Some(second), None));
}

#[tokio::test]
async fn what_replaces_a_silence_begins_when_that_ends() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    let first = add(store, &new("team=art", 0, DAY), 0).await;
    let longer = NewSilence { created_by: "grace".into(), ..new("team=art", HOUR, 3 * DAY) };
    let second = store.keep_silence(&longer, Some(1), at(HOUR)).await.unwrap().unwrap();
    let all = store.all_silences().await.unwrap();
    assert_eq!(all, [second, Silence { expired: Some((at(HOUR), "grace".into())), ..first }]);
    assert_eq!(all.iter().filter(|silence| silence.state(at(HOUR)) == SilenceState::Active).count(), 1);
}

#[tokio::test]
async fn what_is_over_is_shown_for_days_and_kept_for_months() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    add(store, &new("team=art", 0, HOUR), 0).await;
    add(store, &new("team=env", 0, 2 * DAY), 0).await;
    let shown_for = SHOWN_FOR.as_secs();
    for (now, shown) in [
        (HOUR - 1, &[2, 1][..]),
        (HOUR + shown_for - 1, &[2, 1]),
        (HOUR + shown_for, &[2]),
        (2 * DAY + shown_for, &[]),
        (0, &[2, 1]),
    ] {
        assert_eq!(ids(store, now).await, shown, "{now}");
    }
    let ids_of_all = async || store.all_silences().await.unwrap().iter().map(|one| one.id).collect::<Vec<_>>();
    add(store, &new("team=props", 90 * DAY, 99 * DAY), 90 * DAY).await;
    assert_eq!(ids_of_all().await, [3, 2, 1]);
    add(store, &new("team=props", 92 * DAY, 93 * DAY), 92 * DAY).await;
    assert_eq!(ids_of_all().await, [3, 4], "two ended more than 90 days ago");
    // All are of long ago: the newest stays, so that its number is not given again.
    assert_eq!(add(store, &new("team=props", 300 * DAY, 301 * DAY), 300 * DAY).await.id, 5);
    assert_eq!(ids_of_all().await, [5, 4]);
}

#[tokio::test]
async fn another_program_on_the_same_ledger_is_heard_at_once() {
    let ledger = Fixture::new().await;
    let other = Store::open(ledger.store.path()).await.unwrap();
    assert_eq!(ids(&ledger.store, 0).await, [0; 0]);
    add(&other, &new("team=art", 0, DAY), 0).await;
    assert_eq!(ids(&ledger.store, 1).await, [1]);
    other.expire_silence(1, "ada", at(2)).await.unwrap();
    let known = ledger.store.silences(at(2)).await.unwrap();
    assert_eq!(known.get(1).map(|silence| silence.state(at(2))), Some(SilenceState::Expired));
}

#[tokio::test]
async fn a_row_that_somebody_spoilt_mutes_nothing() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    for matchers in ["team=art", "team=env", "team=props"] {
        add(store, &new(matchers, 0, DAY), 0).await;
    }
    for (id, matchers) in [(1, ""), (2, "team=~\"(\"")] {
        let update = sqlx::query("UPDATE silences SET matchers = $1 WHERE id = $2").bind(matchers).bind(id);
        update.execute(&store.writer).await.unwrap();
    }
    assert_eq!(ids(store, 1).await, [3]);
    assert_eq!(store.silence(1).await.unwrap(), None);
}

#[tokio::test]
async fn nobody_silences_without_end() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    let asked = new("team=art", 0, DAY);
    for _ in 0..MOST_SILENCES {
        add(store, &asked, 0).await;
    }
    assert_eq!(store.keep_silence(&asked, None, at(1)).await.unwrap(), None);
    let replaced = store.keep_silence(&asked, Some(7), at(1)).await.unwrap();
    assert!(replaced.is_some(), "one goes, one comes");
    // None of those that stand is left out because of those that are over.
    for id in 20..320 {
        store.expire_silence(id, "ada", at(2)).await.unwrap();
    }
    let shown = store.silences(at(2)).await.unwrap();
    assert_eq!(shown.count(SilenceState::Active, at(2)), MOST_SILENCES - 300);
    assert_eq!(shown.count(SilenceState::Expired, at(2)), 301);
}

#[tokio::test]
async fn what_fires_is_told_with_its_labels() {
    let ledger = Fixture::new().await;
    let key = |name: &str| DrawKey { account: account(), team: team(name) };
    let firing = |stage: Stage| AlertState::Firing { level: stage.into(), since: at(0), clear_since: None, told: None };
    let change = |name: &str, state| AlertChange {
        key: key(name),
        rule: RuleName::Exhaustion,
        period_start: at(0),
        alert: Alert { episode: 1, state },
    };
    let over = AlertState::Resolved { level: Stage::Warning.into(), since: at(0), at: at(1), untold: None };
    let changes =
        [change("props", firing(Stage::Critical)), change("env", firing(Stage::Warning)), change("art", over)];
    ledger.store.commit_alerts(&changes, &[]).await.unwrap();
    let alert = |team: &str, severity: &str| FiringAlert {
        alert: "exhaustion".into(),
        account: "studio".into(),
        team: team.into(),
        severity: severity.into(),
    };
    let found = ledger.store.firing().await.unwrap();
    assert_eq!(found, [alert("env", "warning"), alert("props", "critical")]);
    assert_eq!(SHOWN_FOR, SignedDuration::from_hours(120));
}

#[tokio::test]
async fn what_is_open_of_a_draw_that_is_gone_is_closed() {
    let ledger = Fixture::new().await;
    let store = &ledger.store;
    let key = |name: &str| DrawKey { account: account(), team: team(name) };
    let told = Told { level: Stage::Warning.into(), at: at(1), figure: Some(3) };
    let level = Stage::Warning.into();
    let firing = || AlertState::Firing { level, since: at(0), clear_since: Some(at(2)), told: Some(told) };
    let over = |second, untold| AlertState::Resolved { level, since: at(0), at: at(second), untold };
    let change = |name: &str, rule, state| {
        let alert = Alert { episode: 1, state };
        AlertChange { key: key(name), rule, period_start: at(0), alert }
    };
    let changes = [
        change("env", RuleName::Exhaustion, firing()),
        change("gone", RuleName::Exhaustion, firing()),
        change("gone", RuleName::LowBalance, AlertState::Pending { level, since: at(1) }),
        change("gone", RuleName::StuckQueue, over(3, Some(Why::Resolved))),
        change("gone", RuleName::PlanReset, over(3, None)),
    ];
    store.commit_alerts(&changes, &[]).await.unwrap();
    let closed = |rule: &str, was_firing| ClosedAlert {
        account: "studio".into(),
        team: "gone".into(),
        rule: rule.into(),
        was_firing,
    };
    let found = store.close_alerts_of_others(&[key("env")], at(9)).await.unwrap();
    assert_eq!(found, [closed("exhaustion", true), closed("low_balance", false), closed("stuck_queue", false)]);
    assert_eq!(store.close_alerts_of_others(&[key("env")], at(10)).await.unwrap(), [], "once");
    let kept = ledger.facts(Some(0), 9).await.alerts;
    let state = |name: &str, rule| {
        let of = |known: &&crate::store::AlertFacts| known.team == team(name) && known.rule == rule;
        kept.iter().find(of).map(|known| known.alert.clone())
    };
    let one = |state| Some(Alert { episode: 1, state });
    assert_eq!(state("env", RuleName::Exhaustion), one(firing()));
    assert_eq!(state("gone", RuleName::Exhaustion), one(over(9, None)));
    assert_eq!(state("gone", RuleName::LowBalance), one(AlertState::Inactive));
    assert_eq!(state("gone", RuleName::StuckQueue), one(over(3, None)));
    assert_eq!(store.firing().await.unwrap().len(), 1);
    assert_eq!(store.close_alerts_of_others(&[], at(11)).await.unwrap().len(), 1, "nobody is left");
}
