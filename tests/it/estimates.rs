//! What a job will cost, asked by scripts with a token and by artists on the page.

use fuelgauge::commands::Answer;
use serde_json::{Value, json};

use crate::support::desk::{Desk, LEAD, PIPELINE, PROPS};
use crate::support::get;
use crate::support::scrape::Scrape;

const CONFIGURATION: &str = "
accounts:
  - name: studio
    timezone: Europe/Berlin
    plan: {credits: 4000, reset: '0 0 DAY * *'}
  - {name: second, plan: {credits: 500, reset: '0 0 DAY * *'}}
teams:
  - {name: environment-art, account: studio, match: {project: ['env-*']}, allowance_credits: 2500}
  - name: props
    draws:
      - {account: studio, match: {project: ['props-*']}, allowance_credits: 500}
      - {account: second}
web:
  tokens:
    - {name: lead, token_file: lead, can: [push, estimate]}
    - {name: props, token_file: props, can: [estimate], teams: [props]}
    - {name: pipeline, token_file: pipeline, can: [push, announce, silence]}
";

impl Desk {
    async fn estimate(&self, token: &str, body: Value) -> (u16, Value) {
        self.ask(reqwest::Method::POST, "estimate", token, Some(body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_answered_as_the_command_line_is() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let at = format!("--at={}", fuelgauge::clock::Clock::now(&*desk.clock));
    for (words, check, body) in [
        (&["--task=text-to-3d"][..], Answer::Fine, json!({"task": "text-to-3d"})),
        (
            &["--task=text-to-3d", "--count=500", "--variants=4", "--attempts=1.5"],
            Answer::No,
            json!({"task": "text-to-3d", "count": 500, "variants": 4, "attempts": 1.5}),
        ),
        (&["--task=rig"], Answer::No, json!({"lines": [{"task": "rig"}]})),
    ] {
        let mut body = body;
        body["team"] = json!("environment-art");
        let (status, told) = desk.estimate(LEAD, body).await;
        assert_eq!(status, 200, "{told}");
        let words = [&["estimate", "--team=environment-art", "--format=json", "--check", &at], words].concat();
        let ended = desk.program(&words).await;
        let printed: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!(told, printed, "{words:?}");
        assert_eq!(ended.code, Some(if check == Answer::Fine { 0 } else { 3 }), "{words:?}");
        assert_eq!(told["would_last"] == true, check == Answer::Fine, "{told}");
    }
    // Several lines are one job.
    let lines = json!([{"task": "text-to-3d", "count": 10}, {"task": "text-to-3d", "count": 5, "starts_at": "2020-01-01T00:00:00Z"}]);
    let (status, told) = desk.estimate(LEAD, json!({"team": "environment-art", "lines": lines})).await;
    assert_eq!(
        (status, &told["cost_credits"]["p50"], &told["lines"][1]["cost_credits"]["p50"]),
        (200, &json!("150"), &json!("50"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_or_asks_what_cannot_be_is_told_why() {
    let desk = Desk::open(CONFIGURATION).await;
    let fine = json!({"team": "props", "account": "second", "task": "rig"});
    for (name, token, body, status, words) in [
        ("no such token", "let-me-in-let-me-in", fine.clone(), 401, "expected `Authorization"),
        ("a token without the scope", PIPELINE, fine.clone(), 403, "may not estimate"),
        (
            "another team",
            PROPS,
            json!({"team": "environment-art", "task": "rig"}),
            403,
            "not for a team `environment-art`",
        ),
        ("no such team, by it", PROPS, json!({"team": "nobody", "task": "rig"}), 403, "not for a team `nobody`"),
        ("no such team", LEAD, json!({"team": "nobody", "task": "rig"}), 404, "no team `nobody`"),
        (
            "one of two accounts",
            PROPS,
            json!({"team": "props", "task": "rig"}),
            400,
            "`studio`, `second`, found nothing",
        ),
        ("another account", LEAD, json!({"team": "props", "account": "x", "task": "rig"}), 400, "found `x`"),
        (
            "a number in a line",
            LEAD,
            json!({"team": "props", "lines": [{"task": "a"}, {"task": "a", "count": -1}]}),
            400,
            "lines[1].count",
        ),
        ("too long", LEAD, json!({"team": "props", "task": "x".repeat(300_000)}), 413, "262144 bytes"),
        ("fine", PROPS, fine, 200, "\"would_last\":null"),
    ] {
        let (found, told) = desk.estimate(token, body).await;
        assert_eq!(found, status, "{name}: {told}");
        assert!(told.to_string().contains(words), "{name}: {told}");
    }
    let scrape = Scrape::read(&get(&format!("{}/metrics", desk.url)).await.unwrap().1);
    for (reason, count) in [("unauthorized", 1.0), ("forbidden", 3.0), ("malformed", 3.0), ("busy", 0.0)] {
        let labels = [("channel", "estimate"), ("reason", reason)];
        assert_eq!(scrape.value("fuelgauge_received_failures_total", &labels), Some(count), "{reason}");
    }
}
