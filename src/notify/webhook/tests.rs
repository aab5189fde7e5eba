//! What a webhook is told, and what it is not. The way there is tested with real receivers.

use std::time::Duration;

use super::*;
use crate::config::SecretFile;
use crate::domain::{FuelLimit, Matcher, Outlook, RuleName, TeamName};
use crate::metrics::sample;

fn webhook(matchers: &str, sends_resolved: bool) -> WebhookConfig {
    WebhookConfig {
        name: "pipeline".into(),
        url: "https://pipeline.studio.example/hook".into(),
        secret_file: SecretFile::new("secret"),
        matchers: Matcher::parse_all(matchers).unwrap(),
        sends_resolved,
        timeout: Duration::from_secs(10),
        allow_private_addresses: false,
        ca_file: None,
    }
}

fn notice(why: Why, stage: Stage) -> Notice {
    Notice {
        key: sample::key("studio", "art"),
        rule: RuleName::Exhaustion,
        period_start: sample::november(1).start,
        period_end: Some(sample::november(1).end),
        episode: 1,
        since: sample::at("2026-11-20T09:05:00Z"),
        stage,
        step: 0,
        why,
        at: sample::now(),
    }
}

fn told(webhook: &WebhookConfig, notice: &Notice) -> Option<RenderedMail> {
    let (fuel, outlook) = (FuelLimit::Balance, Outlook::UnknownBalance);
    let draw = sample::draw(notice.key.clone(), 4000, 410, fuel, outlook);
    let account = sample::account("studio", "meshy");
    write(webhook, notice, (&account, &draw), Some("https://fuelgauge.studio.example"))
}

fn json(message: &RenderedMail) -> serde_json::Value {
    serde_json::from_slice(&message.message).unwrap()
}

#[test]
fn a_message_is_the_one_that_alertmanager_sends() {
    let mut notice = notice(Why::Opened, Stage::Warning);
    notice.key.team = TeamName::parse("Käfer & \"x\", {{y}}").unwrap();
    let message = told(&webhook("", true), &notice).unwrap();
    let labels = serde_json::json!({
        "alertname": "FuelgaugeExhaustion",
        "alert": "exhaustion",
        "account": "studio",
        "team": "Käfer & \"x\", {{y}}",
        "severity": "warning",
    });
    let annotations = serde_json::json!({
        "summary": "A team is on pace to use up its credits before the plan resets.",
        "description": "Team Käfer & \"x\", {{y}} on studio: the figures are not known at the moment.",
        "dashboard_url": "https://fuelgauge.studio.example/teams/K%C3%A4fer%20%26%20%22x%22%2C%20%7B%7By%7D%7D",
        "runbook_url": "https://fuelgauge.studio.example/rules/exhaustion",
    });
    let mut group_labels = labels.clone();
    group_labels.as_object_mut().unwrap().remove("severity");
    let expected = serde_json::json!({
        "version": "4",
        "groupKey": "{}:{account=\"studio\", alert=\"exhaustion\", alertname=\"FuelgaugeExhaustion\", \
                     team=\"Käfer & \\\"x\\\", {{y}}\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "pipeline",
        "groupLabels": group_labels,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://fuelgauge.studio.example",
        "alerts": [{
            "status": "firing",
            "labels": labels,
            "annotations": annotations,
            "startsAt": "2026-11-20T09:05:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://fuelgauge.studio.example/alerts",
            "fingerprint": json(&message)["alerts"][0]["fingerprint"],
        }],
    });
    assert_eq!(json(&message), expected);
    // Without an address the keys are there all the same.
    let account = sample::account("studio", "meshy");
    let draw = sample::draw(notice.key.clone(), 4000, 410, FuelLimit::Balance, Outlook::UnknownBalance);
    let message = write(&webhook("", true), &notice, (&account, &draw), None).unwrap();
    let json = json(&message);
    assert_eq!((&json["externalURL"], &json["alerts"][0]["generatorURL"]), (&"".into(), &"".into()));
}

#[test]
fn who_keeps_a_list_of_what_fires_has_it_right() {
    use Stage::{Critical, Warning};
    for (matchers, why, stage, expected) in [
        ("", Why::Opened, Warning, "firing warning"),
        ("", Why::Worsened, Critical, "firing critical warning"),
        ("", Why::Repeated, Critical, "firing critical warning"),
        ("", Why::Resolved, Critical, "resolved critical warning"),
        ("", Why::PlanReset, Warning, "resolved warning"),
        // One who does not hear of criticals still hears of the end.
        ("severity=warning", Why::Opened, Critical, "firing warning"),
        ("severity=warning", Why::Worsened, Critical, ""),
        ("severity=warning", Why::Resolved, Critical, "resolved warning"),
        ("severity=critical", Why::Opened, Warning, ""),
        ("severity=critical", Why::Worsened, Critical, "firing critical"),
        ("severity=critical", Why::Resolved, Critical, "resolved critical"),
        ("team=art alert=~\"exh.*\"", Why::Opened, Warning, "firing warning"),
        ("team=props", Why::Opened, Warning, ""),
        ("account!=studio", Why::Opened, Warning, ""),
    ] {
        let notice = notice(why, stage);
        let line = |message: RenderedMail| {
            let json = json(&message);
            let alerts = json["alerts"].as_array().unwrap();
            let is_same = alerts.iter().all(|alert| alert["status"] == json["status"]);
            assert!(is_same && json["commonLabels"]["team"] == "art");
            let ends = if json["status"] == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T11:00:00Z" };
            assert!(alerts.iter().all(|alert| alert["endsAt"] == ends), "{json}");
            let severities = alerts.iter().map(|alert| alert["labels"]["severity"].as_str().unwrap());
            std::iter::once(json["status"].as_str().unwrap()).chain(severities).collect::<Vec<_>>().join(" ")
        };
        let found = told(&webhook(matchers, true), &notice).map(line).unwrap_or_default();
        assert_eq!(found, expected, "{matchers} {why:?} {stage}");
        let is_over = matches!(why, Why::Resolved | Why::PlanReset);
        let without_ends = told(&webhook(matchers, false), &notice);
        assert_eq!(without_ends.is_some(), !expected.is_empty() && !is_over, "{matchers} {why:?} {stage}");
    }
}

#[test]
fn an_id_is_that_of_what_is_told_to_one_webhook() {
    let opened = notice(Why::Opened, Stage::Warning);
    let id = |notice: &Notice, name: &str| {
        told(&WebhookConfig { name: name.into(), ..webhook("", true) }, notice).unwrap().message_id
    };
    let other = |change: fn(&mut Notice)| {
        let mut other = opened.clone();
        change(&mut other);
        id(&other, "pipeline")
    };
    let first = id(&opened, "pipeline");
    assert!(first.len() == 40 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(other(|notice| notice.at += jiff::SignedDuration::from_mins(1)), first, "whenever it is decided");
    for another in [
        id(&opened, "other"),
        other(|notice| notice.stage = Stage::Critical),
        other(|notice| notice.step = 1),
        other(|notice| notice.episode = 2),
        other(|notice| notice.why = Why::Resolved),
        other(|notice| notice.rule = RuleName::LowBalance),
    ] {
        assert_ne!(another, first);
    }
}

#[test]
fn signatures_and_fingerprints_are_those_of_others() {
    // By Python's `hmac`.
    let expected = "sha256=04767498d5361d151dba43f85a512b8366d39c8cbf2116fb27b8d2dac651e6ed";
    assert_eq!(signature("a secret of sixteen", "1795345200", "{\"status\":\"ü\"}".as_bytes()), expected);
    // As Alertmanager itself tells it of these labels.
    let message = told(&webhook("", true), &notice(Why::Opened, Stage::Critical)).unwrap();
    assert_eq!(json(&message)["alerts"][0]["fingerprint"], "0664c19f9ae1f5e0");
}
