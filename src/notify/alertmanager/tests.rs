//! What is shown to an Alertmanager, round by round. The way there is tested with a real one.

use std::sync::Arc;

use super::*;
use crate::domain::{AccountAssessment, Alert, FuelLimit, Level, Mute, Outlook, RuleAlert, TeamName};
use crate::metrics::sample;

const URL: &str = "https://fuelgauge.studio.example";

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn firing(stage: Stage, minutes_ago: i64) -> AlertState {
    let since = sample::now() - minutes(minutes_ago);
    AlertState::Firing { level: Level::from(stage), since, clear_since: None, told: None }
}

fn resolved(stage: Stage, minutes_ago: i64) -> AlertState {
    let at = sample::now() - minutes(minutes_ago);
    AlertState::Resolved { level: Level::from(stage), since: at - minutes(60), at, untold: None }
}

/// One team with some alerts.
fn snapshot(alerts: &[(RuleName, AlertState)]) -> Snapshot {
    let alert = |(rule, state): &(RuleName, AlertState)| RuleAlert {
        rule: *rule,
        alert: Alert { episode: 1, state: state.clone() },
        mute: Some(Mute::QuietHours),
    };
    let draw = crate::domain::DrawAssessment {
        alerts: alerts.iter().map(alert).collect(),
        ..sample::draw(sample::key("studio", "art"), 4000, 410, FuelLimit::Balance, Outlook::UnknownBalance)
    };
    let account = AccountAssessment { draws: vec![draw], ..sample::account("studio", "meshy") };
    Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() }
}

/// A round, as `rule severity since until`: minutes before and after now.
fn round(standing: &mut Standing, snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let distance = |at: Timestamp| at.duration_since(sample::now()).as_mins();
    let told = standing.round(snapshot, minutes(1), Some(URL), now);
    let line = |alert: &LabelledAlert| {
        let (rule, severity) = (&alert.labels["alert"], &alert.labels["severity"]);
        format!("{rule} {severity} {} {}", distance(alert.starts_at), distance(alert.ends_at))
    };
    told.iter().map(line).collect()
}

#[test]
fn what_fires_is_shown_whatever_mutes_it_here_and_what_is_over_for_a_quarter_of_an_hour() {
    use RuleName::{DoubleCharge, Exhaustion, LowBalance, StuckQueue};
    let pending = AlertState::Pending { level: Stage::Warning.into(), since: sample::now() };
    for (alerts, expected) in [
        (vec![], vec![]),
        (vec![(LowBalance, firing(Stage::Warning, 30))], vec!["low_balance warning -30 4"]),
        (vec![(LowBalance, pending)], vec![]),
        (vec![(LowBalance, AlertState::Inactive)], vec![]),
        // What got worse is still what it was.
        (
            vec![(Exhaustion, firing(Stage::Critical, 30)), (DoubleCharge, firing(Stage::Warning, 5))],
            vec!["exhaustion warning -30 4", "exhaustion critical -30 4", "double_charge warning -5 4"],
        ),
        (
            vec![(Exhaustion, resolved(Stage::Critical, 14))],
            vec!["exhaustion warning -74 -14", "exhaustion critical -74 -14"],
        ),
        (vec![(StuckQueue, resolved(Stage::Warning, 15))], vec![]),
    ] {
        let snapshot = snapshot(&alerts);
        let mut standing = Standing::default();
        assert_eq!(standing.has_news(&snapshot, sample::now()), !expected.is_empty());
        assert_eq!(round(&mut standing, &snapshot, sample::now()), expected, "{alerts:?}");
        assert!(!standing.has_news(&snapshot, sample::now()), "{alerts:?}");
        // A restart knows nothing of that round, and says the same.
        assert_eq!(round(&mut Standing::default(), &snapshot, sample::now()), expected, "{alerts:?}");
    }
}

#[test]
fn rounds_go_on_and_news_are_noticed() {
    use RuleName::{Exhaustion, LowBalance};
    let mut standing = Standing::default();
    let warned = snapshot(&[(Exhaustion, firing(Stage::Warning, 30))]);
    assert_eq!(round(&mut standing, &warned, sample::now()), ["exhaustion warning -30 4"]);
    let later = sample::now() + minutes(1);
    assert!(!standing.has_news(&warned, later));
    assert_eq!(round(&mut standing, &warned, later), ["exhaustion warning -30 5"]);

    let worse = snapshot(&[(Exhaustion, firing(Stage::Critical, 30))]);
    assert!(standing.has_news(&worse, later));
    assert_eq!(round(&mut standing, &worse, later), ["exhaustion warning -30 5", "exhaustion critical -30 5"]);

    // A new period knows nothing of the old one's alert: it has ended, and is told for a quarter of an hour.
    let fresh = snapshot(&[(LowBalance, firing(Stage::Warning, -1))]);
    assert!(standing.has_news(&fresh, later));
    let ended = ["exhaustion warning -30 1", "exhaustion critical -30 1", "low_balance warning 1 5"];
    assert_eq!(round(&mut standing, &fresh, later), ended);
    assert!(!standing.has_news(&fresh, later + minutes(1)));
    assert_eq!(round(&mut standing, &fresh, later + minutes(14))[..2], ended[..2]);
    assert_eq!(round(&mut standing, &fresh, later + minutes(15)), ["low_balance warning 1 20"]);

    // It comes back while the end of the one before is still told.
    round(&mut standing, &snapshot(&[]), later + minutes(16));
    assert_eq!(round(&mut standing, &fresh, later + minutes(17)), ["low_balance warning 1 22"]);
    // A team that is gone, with its account.
    let gone = Snapshot::default();
    assert_eq!(round(&mut standing, &gone, later + minutes(18)), ["low_balance warning 1 19"]);
}

#[test]
fn an_alert_says_which_it_is_and_what_to_do() {
    let mut snapshot = snapshot(&[(RuleName::LowBalance, firing(Stage::Warning, 30))]);
    let account = Arc::make_mut(&mut snapshot.accounts[0]);
    account.draws[0].key.team = TeamName::parse("Käfer & \"x\"/..").unwrap();
    let told = Standing::default().round(&snapshot, minutes(1), Some(URL), sample::now());
    let json = serde_json::to_value(&told).unwrap();
    let expected = serde_json::json!([{
        "labels": {
            "alertname": "FuelgaugeLowBalance",
            "alert": "low_balance",
            "account": "studio",
            "team": "Käfer & \"x\"/..",
            "severity": "warning",
        },
        "annotations": {
            "summary": "A team has few credits left.",
            "description": "Team Käfer & \"x\"/.. on studio: left: 410 credits, 10% of 4,000.",
            "dashboard_url": "https://fuelgauge.studio.example/teams/K%C3%A4fer%20%26%20%22x%22%2F..",
            "runbook_url": "https://fuelgauge.studio.example/rules/low_balance",
        },
        "startsAt": "2026-11-22T10:30:00Z",
        "endsAt": "2026-11-22T11:04:00Z",
        "generatorURL": "https://fuelgauge.studio.example/alerts",
    }]);
    assert_eq!(json, expected);
    // Without an address there are no links.
    let told = Standing::default().round(&snapshot, minutes(1), None, sample::now());
    assert_eq!((told[0].annotations.len(), &told[0].generator_url), (2, &None));
}

#[test]
fn names_of_alerts_are_camel_case_with_a_common_first_word() {
    for rule in RuleName::ALL {
        let capitalised = |part: &str| part[..1].to_uppercase() + &part[1..];
        let camel_case: String = rule.as_str().split('_').map(capitalised).collect();
        assert_eq!(rule.alert_name(), format!("Fuelgauge{camel_case}"));
        assert_eq!(RuleName::of_alert_name(rule.alert_name()), Some(rule));
    }
}
