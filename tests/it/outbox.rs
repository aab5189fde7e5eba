//! The outbox by hand: what a mail server's keeper expects of its queue.

use std::net::SocketAddr;
use std::time::Duration;

use fuelgauge::demo::catcher::{Act, At, Catcher, Script, show};
use fuelgauge::domain::{AccountName, DrawKey, EMAIL_CHANNEL, Notice, RenderedMail, RuleName, Stage, TeamName, Why};
use fuelgauge::store::Store;
use jiff::Timestamp;

use crate::support::program::Studio;
use crate::support::servers::eventually;

/// A ledger in which an alert of team art was decided, for three people.
async fn decide(studio: &Studio) {
    let store = Store::open(&studio.ledger()).await.unwrap();
    let account = AccountName::parse("studio").unwrap();
    store.open_account(&account, [7; 16]).await.unwrap();
    let notice = Notice {
        key: DrawKey { account, team: TeamName::parse("art").unwrap() },
        rule: RuleName::Exhaustion,
        period_start: "2026-11-01T00:00:00Z".parse().unwrap(),
        period_end: None,
        episode: 1,
        stage: Stage::Warning,
        step: 0,
        why: Why::Opened,
        since: Timestamp::now(),
        at: Timestamp::now(),
    };
    let mail = |name: &str| RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: "fuelgauge@studio.example".into(),
        recipient: format!("{name}@studio.example"),
        message_id: format!("<{name}.1@studio.example>"),
        thread: "<art.1@studio.example>".into(),
        subject: "Credits of team art may run out".into(),
        summary: "Thursday 26 November, 14:00 (UTC+01:00): Warning: the credits of team art may run out.".into(),
        text: "Warning: the credits of team art may run out.\n".into(),
        html: "<p>Warning</p>".into(),
        message: format!(
            "From: fuelgauge@studio.example\r\nTo: {name}@studio.example\r\nSubject: Credits of team art may run \
             out\r\nMessage-ID: <{name}.1@studio.example>\r\n\r\nWarning.\r\n"
        )
        .into_bytes(),
    };
    let mails = ["lead", "gone", "billing"].map(mail).to_vec();
    store.commit_alerts(&[], &[(notice, mails)]).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_and_tried_again() {
    let catcher = Catcher::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let refuse =
        (At::RecipientIs("gone@studio.example".into()), Act::Reply("550 5.1.1 <gone@studio.example>: who?".into()));
    catcher.set_script(Script { faults: vec![refuse], ..Script::default() });
    let studio = Studio::new();
    studio.configure(&format!(
        "accounts:\n  - {{name: studio, timezone: Europe/Berlin}}\nteams:\n  - {{name: art, account: studio, roles: {{lead: \
         [lead@studio.example, gone@studio.example], billing: [billing@studio.example]}}}}\nemail: {{from: \
         fuelgauge@studio.example, relay: {{host: 127.0.0.1, port: {}, security: none}}}}\n",
        catcher.local_addr().port()
    ));
    studio.run(&["outbox", "list"]).await.expect(1).says(&["there is no ledger", "hint: "]);
    decide(&studio).await;
    let list = studio.run(&["outbox", "list"]).await.expect(0).out;
    assert!(list.lines().next().unwrap().starts_with(" ID "), "{list}");
    assert_eq!(list.matches(" waiting ").count(), 3, "{list}");
    assert!(list.contains("lead@studio.example") && list.contains("-- 1 kB in 3 messages."), "{list}");

    let agent = studio.serve().await;
    agent.ready().await;
    let is_done = async || (agent.sum("fuelgauge_notification_failures_total").await == 1.0).then_some(());
    eventually("the refusal", is_done).await;
    catcher.wait_for(2).await;
    let gone = async || (agent.status().await["outbox"]["given_up"].as_array().unwrap().len() == 1).then_some(());
    eventually("the refusal to be shown", gone).await;
    let address = agent.target();
    for path in ["/alerts", "/", "/metrics", "/api/v1/status"] {
        let (_, page) = crate::support::get(&format!("http://{address}{path}")).await.unwrap();
        assert!(!page.contains("@studio.example"), "{path}: {page}");
        assert_eq!(page.contains("550 5.1.1"), matches!(path, "/alerts" | "/api/v1/status"), "{path}: {page}");
    }
    agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);

    let list = studio.run(&["outbox", "list"]).await.expect(0).out;
    assert!(list.contains("gone@studio.example") && !list.contains("lead@studio.example"), "{list}");
    let words = list.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("answered RCPT with 550 5.1.1 <gone@studio.example>: who?"), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 110), "{list}");
    let json =
        studio.run(&["outbox", "list", "--state=failed", "--state=sent", "--format=json"]).await.expect(0).json();
    let states: Vec<&str> = json.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["sent", "failed", "sent"], "the oldest first");
    let id = json[1]["id"].to_string();
    assert_eq!((json[1]["failure_reason"].as_str(), json[1]["tries"].as_u64()), (Some("permanent"), Some(1)));
    assert_eq!(json[0]["failure"], serde_json::Value::Null);

    let sent = json[0]["id"].to_string();
    studio.run(&["outbox", "retry"]).await.expect(2).says(&["--all-failed"]);
    studio.run(&["outbox", "retry", &id, &sent]).await.expect(2).says(&[
        "given up",
        &sent,
        "sent",
        "nothing was changed",
    ]);
    studio.run(&["outbox", "retry", "99"]).await.expect(2).says(&["no message 99", "hint: ", "--state failed"]);
    let answer = studio.run(&["outbox", "retry", &id]).await.expect(0).out;
    assert_eq!(answer, "1 message waits again; a running agent finds them within a minute.\n");
    assert!(studio.run(&["outbox", "retry", "--all-failed"]).await.expect(0).out.starts_with("0 messages wait again"));

    catcher.set_script(Script::default());
    let agent = studio.serve().await;
    let mails = tokio::time::timeout(Duration::from_secs(30), catcher.wait_for(3)).await.unwrap();
    let last = mails.last().unwrap();
    assert_eq!(last.recipients, ["gone@studio.example"]);
    assert!(String::from_utf8_lossy(&last.bytes).contains("Message-ID: <gone.1@studio.example>\r\n"), "the same bytes");
    assert_eq!(show(&last.bytes).subject, "Credits of team art may run out");
    agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);
    assert_eq!(studio.run(&["outbox", "list"]).await.expect(0).out, "No message is waiting or failed.\n");
}
