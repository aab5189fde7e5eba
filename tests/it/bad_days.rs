//! Days on which the platform, the relay or the clock misbehave. What fails is counted with its reason and shown as age;
//! nothing that was kept is lost, and the next good day goes on as if nothing had been.

use std::collections::BTreeSet;
use std::time::Duration;

use fuelgauge::demo::catcher::{Act, At, Catcher, Script};
use fuelgauge::demo::platform::{Endpoint, Fault};
use fuelgauge::domain::{Collector, Credits, RuleName};
use fuelgauge::notify::TimeLimits;
use fuelgauge::provider::FailureReason;
use jiff::{SignedDuration, Timestamp};

use crate::support::agent::{STUDIO, STUDIO_KEY, Setup, TestAgent, calm_studio, thirsty_studio};
use crate::support::mail::Mail;
use crate::support::scrape::Scrape;
use crate::support::stub::Stub;

const BALANCE: &str = "fuelgauge_balance_credits";
const CHARGED: &str = "fuelgauge_charged_credits_total";
const STUDIO_LABELS: [(&str, &str); 1] = [("account", STUDIO)];

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Longer than the account's data counts as fresh: three times its schedule's hour.
const STALE_MINUTES: i64 = 181;

async fn calm_agent() -> TestAgent {
    TestAgent::start(Setup::watching(STUDIO, calm_studio(noon()), noon())).await
}

fn failures(scrape: &Scrape, collector: Collector, reason: FailureReason) -> f64 {
    let labels = [("account", STUDIO), ("collector", collector.as_str()), ("reason", reason.as_str())];
    scrape
        .value("fuelgauge_source_request_failures_total", &labels)
        .expect("every series exists before its first event")
}

fn status(code: u16) -> Fault {
    Fault::Status { status: code, retry_after: None }
}

#[tokio::test]
async fn a_platform_that_answers_wrongly() {
    let agent = calm_agent().await;
    agent.poll_at(noon()).await;
    let good = agent.scrape().await;
    let (left, charged) = (good.value(BALANCE, &STUDIO_LABELS), good.value(CHARGED, &STUDIO_LABELS));
    assert_eq!((left, charged), (Some(3_400.0), Some(600.0)));
    assert_eq!(good.value("fuelgauge_source_up", &STUDIO_LABELS), Some(1.0));

    use FailureReason::*;
    let busy = Fault::Status { status: 429, retry_after: Some("3600".to_owned()) };
    for (fault, reason, words) in [
        (status(401), Unauthorized, "found 401\nhint: the key is missing, wrong or revoked"),
        (status(402), PaymentRequired, "found 402"),
        (status(403), Forbidden, "found 403\nhint: the key may not do this"),
        (status(404), NotFound, "found 404\nhint: look at `base_url`"),
        (busy, RateLimited, "not sent: the platform asked to be left alone for another 3600s"),
        (status(500), ServerError, "found 500"),
        (status(503), ServerError, "found 503"),
        (status(302), UnexpectedStatus, "redirects are not followed"),
        (Fault::TruncatedJson, Malformed, "JSON"),
        (Fault::BrokenOff, Connection, "GET /openapi/v1/balance"),
        (Fault::Oversize { bytes: (1 << 20) + 1 }, TooLarge, "at most 1048576 bytes"),
        (Fault::MissingField("balance"), Malformed, "`available`"),
        (Fault::WrongType("balance"), Malformed, "`available`"),
        (Fault::Stall, Timeout, "silence of 1.5s"),
    ] {
        let case = format!("{fault:?}");
        let count = |scrape: &Scrape| failures(scrape, Collector::Balance, reason);
        let before = count(&agent.scrape().await);
        agent.platform.set_fault(Endpoint::Balance, fault);
        agent.platform.reset_requests();
        agent.poll_after_minutes(60).await;

        // Counted with its reason, and said in words.
        let scrape = agent.scrape().await;
        assert_eq!(count(&scrape), before + 1.0, "{case}");
        assert_eq!(scrape.value("fuelgauge_source_up", &STUDIO_LABELS), Some(0.0), "{case}");
        let assessment = agent.assessment(STUDIO);
        let balance = assessment.collectors.iter().find(|status| status.collector == Collector::Balance).unwrap();
        let (name, message) = balance.last_failure.clone().expect(&case);
        assert_eq!(name, reason.as_str(), "{case}");
        assert!(message.contains(words), "{case}: {message}");
        if reason == RateLimited {
            assert_eq!(agent.platform.requests(Endpoint::Balance), 1, "asked to wait an hour, and left alone");
        }
        // For an hour or two the last balance is good enough; the charges were read all the same.
        assert_eq!(scrape.value(BALANCE, &STUDIO_LABELS), left, "{case}");
        assert_eq!(scrape.value(CHARGED, &STUDIO_LABELS), charged, "{case}");

        // Later it is left out, never zero, and so is what was worked out from it.
        agent.platform.set_fault(Endpoint::Balance, status(500));
        agent.poll_after_minutes(STALE_MINUTES - 60).await;
        let scrape = agent.scrape().await;
        for family in [BALANCE, "fuelgauge_runway_seconds", "fuelgauge_unexplained_credits"] {
            assert_eq!(scrape.value(family, &STUDIO_LABELS), None, "{case}: {family}");
        }
        assert_eq!(scrape.value(CHARGED, &STUDIO_LABELS), charged, "{case}: the ledger forgets nothing");

        agent.platform.clear_faults();
        agent.poll_after_minutes(60).await;
        let scrape = agent.scrape().await;
        assert_eq!(scrape.value(BALANCE, &STUDIO_LABELS), left, "{case}");
        assert_eq!(scrape.value("fuelgauge_source_up", &STUDIO_LABELS), Some(1.0), "{case}");
        assert_eq!(scrape.value("fuelgauge_unexplained_credits", &STUDIO_LABELS), Some(0.0), "{case}");
    }
    assert!(agent.mails().is_empty(), "a platform that fails is no reason for an alert about credits");
}

#[tokio::test]
async fn charges_that_cannot_be_read_are_caught_up_with() {
    let agent = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(noon()), noon())).await;
    for fault in [status(500), Fault::TruncatedJson, Fault::MissingField("task_id"), Fault::WrongType("created_at")] {
        agent.platform.set_fault(Endpoint::UsageTasks, fault);
        agent.poll_after_minutes(60).await;
        let outlook = &agent.assessment(STUDIO).draws[0].outlook;
        assert!(outlook.forecast().is_none(), "half-known charges must not make a forecast: {outlook:?}");
    }
    // Four hours without charges: that much is told, and of credits only what the balance says by itself.
    let news = |rule| agent.mails_of(rule).iter().map(Mail::news).collect::<Vec<_>>();
    assert_eq!(news(RuleName::StaleData), ["opened warning"]);
    assert_eq!(news(RuleName::LowBalance), ["opened warning"]);
    assert_eq!(agent.mails().len(), 2);
    agent.platform.clear_faults();
    agent.poll_after_minutes(60).await;
    let scrape = agent.scrape().await;
    assert_eq!(scrape.value(CHARGED, &STUDIO_LABELS), Some(3_600.0));
    assert_eq!(news(RuleName::StaleData), ["opened warning", "resolved warning"]);
    assert_eq!(news(RuleName::Exhaustion), ["opened warning"], "the alert comes as soon as it can be known");
}

#[tokio::test]
async fn clocks_that_disagree() {
    let agent = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(noon()), noon())).await;
    agent.poll_at(noon()).await;
    let truth = |scrape: &Scrape| (scrape.value(BALANCE, &STUDIO_LABELS), scrape.value(CHARGED, &STUDIO_LABELS));
    let expected = (Some(400.0), Some(3_600.0));
    assert_eq!(truth(&agent.scrape().await), expected);
    let hours = SignedDuration::from_hours;

    // The platform's clock is ahead of ours by hours: its tasks come from the future.
    agent.platform.set_fault(Endpoint::Any, Fault::ClockSkew(hours(9)));
    agent.poll_at(noon() + hours(1)).await;
    assert_eq!(truth(&agent.scrape().await), expected);
    agent.platform.clear_faults();
    agent.poll_at(noon() + hours(2)).await;
    assert_eq!(truth(&agent.scrape().await), expected, "nothing is counted twice when the clocks agree again");

    // Ours jumps back by a day and a half, stays there for a while, and returns.
    for back in [36, 35, 34] {
        agent.clock.set(noon() + hours(2) - hours(back));
        agent.step().await;
        agent.deliver().await;
        let scrape = agent.scrape().await;
        assert_eq!(scrape.value(CHARGED, &STUDIO_LABELS), expected.1, "{back} hours back");
        assert_eq!(scrape.value("fuelgauge_source_up", &STUDIO_LABELS), Some(1.0), "{back} hours back");
    }
    agent.poll_at(noon() + hours(3)).await;
    assert_eq!(truth(&agent.scrape().await), expected);
    assert_eq!(agent.assessment(STUDIO).unexplained, Some(Credits::ZERO));
    assert_eq!(agent.mails().len(), 1, "{:?}", agent.mails().iter().map(|mail| mail.news()).collect::<Vec<_>>());
}

fn misbehaving(at: At, act: Act) -> Script {
    Script { faults: vec![(at, act)], ..Script::default() }
}

fn reply(text: &str) -> Act {
    Act::Reply(text.to_owned())
}

/// What the outbox holds: waiting, sent, given up.
fn outbox(scrape: &Scrape) -> [f64; 3] {
    let count = |state| scrape.value("fuelgauge_notification_outbox_messages", &[("state", state)]).unwrap();
    [count("waiting"), count("sent"), count("failed")]
}

#[tokio::test]
async fn a_relay_that_does_not_take_mail() {
    let quick = Duration::from_millis(700);
    // At which step it fails, how, the reason that is counted, the mails that arrive once it is well again, and how many
    // of them had arrived already without our knowing.
    let table: [(&str, At, Act, &str, usize); 8] = [
        ("defers", At::Recipient, reply("450 4.2.0 Greylisted"), "transient", 1),
        ("is too busy", At::Recipient, reply("450 4.7.1 Too many mails"), "rate_limited", 1),
        ("refuses the address", At::Recipient, reply("550 5.1.1 Unknown"), "permanent", 0),
        ("refuses the message", At::EndOfData, reply("554 5.7.1 Spam"), "permanent", 0),
        ("does not serve us", At::Greeting, reply("554 5.7.1 Not you"), "configuration", 1),
        ("goes away in the middle", At::Data, Act::Close, "transient", 1),
        ("hangs", At::Mail, Act::Hang, "transient", 1),
        ("hangs after the dot", At::EndOfData, Act::Hang, "unknown", 2),
    ];
    for (case, step, act, reason, arrive) in table {
        let mut agent = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(noon()), noon())).await;
        agent.lose_patience(|limits| match step {
            At::Mail => limits.command = quick,
            At::EndOfData => limits.end_of_data = quick,
            _ => *limits = TimeLimits::default(),
        });
        agent.catcher.set_script(misbehaving(step, act));
        let first = agent.poll_at(noon()).await;
        let gives_up = reason == "permanent";
        assert_eq!(
            (first.sent, first.failed, first.retrying),
            (0, u32::from(gives_up), u32::from(!gives_up)),
            "{case}"
        );
        // Nothing is tried before its time.
        assert_eq!(agent.deliver().await, fuelgauge::outbox::Delivered::default(), "{case}");

        agent.step().await;
        let scrape = agent.scrape().await;
        let counted = |scrape: &Scrape| scrape.value("fuelgauge_notification_failures_total", &[("reason", reason)]);
        assert_eq!(counted(&scrape), Some(1.0), "{case}");
        let waiting = f64::from(u8::from(!gives_up));
        assert_eq!(outbox(&scrape), [waiting, 0.0, 1.0 - waiting], "{case}");

        // A restart in between; then the relay is well again.
        agent = agent.restart().await;
        agent.catcher.set_script(Script::default());
        for hours in 1..7 {
            agent.poll_at(noon() + SignedDuration::from_mins(60 * hours)).await;
        }
        let scrape = agent.scrape().await;
        assert_eq!(outbox(&scrape), [0.0, waiting, 1.0 - waiting], "{case}");
        let mails = agent.mails();
        assert_eq!(mails.len(), arrive, "{case}");
        let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!(ids.len(), arrive.min(1), "{case}: a second copy is known by its id");
        assert!(mails.iter().all(|mail| mail.raw == mails[0].raw), "{case}: the same bytes");
    }
}

#[tokio::test]
async fn a_relay_that_is_gone_for_a_day() {
    let mut agent = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(noon()), noon())).await;
    let address = agent.catcher.local_addr();
    let elsewhere = Catcher::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    drop(std::mem::replace(&mut agent.catcher, elsewhere));
    // The catcher closes its door when its task ends, a moment after it was dropped.
    crate::support::servers::eventually("the relay to be gone", async || {
        std::net::TcpStream::connect(address).err().map(|_| ())
    })
    .await;
    for hour in 0..=24 {
        agent.poll_at(noon() + SignedDuration::from_hours(hour)).await;
    }
    let scrape = agent.scrape().await;
    let [waiting, sent, failed] = outbox(&scrape);
    assert_eq!((sent, failed), (0.0, 0.0), "nothing is given up in a day");
    assert!(waiting >= 1.0);
    let tries = scrape.value("fuelgauge_notifications_total", &[("channel", "email")]);
    let refusals = scrape.value("fuelgauge_notification_failures_total", &[("reason", "transient")]);
    assert!(tries == refusals && tries > Some(20.0), "{tries:?} {refusals:?}");

    agent.catcher = Catcher::bind(address).await.unwrap();
    for minutes in (1..=60).step_by(10) {
        agent.poll_at(noon() + SignedDuration::from_mins(24 * 60 + minutes)).await;
    }
    let mails = agent.mails();
    assert_eq!(mails.len() as f64, waiting, "each one once");
    let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), mails.len());
    assert_eq!(mails[0].news(), "opened warning");
    let scrape = agent.scrape().await;
    assert_eq!(outbox(&scrape), [0.0, waiting, 0.0]);
}

/// A usage page with these task types, one task of 30 credits an hour, newest first.
fn usage(task_types: &[String]) -> String {
    let records: Vec<_> = (0..118)
        .map(|number| {
            let at = (noon() - SignedDuration::from_hours(number + 1)).to_string();
            serde_json::json!({
                "task_id": format!("task-{number}\r\nBcc: <b>x</b>"),
                "endpoint": task_types[number as usize % task_types.len()],
                "status": "SUCCEEDED",
                "created_at": at,
                "finished_at": at,
                "consumed_credits": 30,
                "api_key_name": "k\"'<i>\n",
            })
        })
        .collect();
    serde_json::json!({"records": records, "page_num": 1, "page_size": 200, "has_more": false}).to_string()
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let task_types: Vec<String> = [
        "<script>alert(1)</script>".to_owned(),
        "plain\r\nBcc: everybody@elsewhere.example\r\n\r\n<b>bold</b>".to_owned(),
        "quote\"back\\slash{curly}=1\n# HELP x y\nx 1".to_owned(),
        "{{ 7 * 7 }}{% raw %}".to_owned(),
        "right\u{202e}tfel\u{0}\u{1b}[31m".to_owned(),
        "long".repeat(64),
    ]
    .to_vec();
    let body = usage(&task_types);
    let stub = Stub::answering(move |path, _| match path {
        "/openapi/v1/balance" => (200, "{\"balance\": 460}".to_owned()),
        "/openapi/v1/usage/tasks" => (200, body.clone()),
        _ => (200, "[]".to_owned()),
    })
    .await;
    let team = r#"<script>alert("team")</script> & 'co' {{x}} \ %s"#;
    let setup = Setup {
        team: Some(team.to_owned()),
        base_url: Some(stub.url.clone()),
        ..Setup::watching(STUDIO, thirsty_studio(noon()), noon())
    };
    let agent = TestAgent::start(setup).await;
    agent.poll_at(noon()).await;

    // Metrics: every line is one that we meant, and the names come through whole or cut, never broken out of.
    let text = agent.page("/metrics").await;
    let scrape = Scrape::read(&text);
    assert!(scrape.samples.iter().all(|s| s.name.starts_with("fuelgauge_") || s.name.starts_with("process_")));
    assert_eq!(scrape.value(CHARGED, &[("account", STUDIO), ("team", team)]), Some(118.0 * 30.0));
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest < 2_000, "a line of {longest} bytes");

    // Mail: one header block of our own making, one recipient, no markup of theirs.
    let mails = agent.mails();
    assert!(!mails.is_empty(), "{:?}", agent.assessment(STUDIO).draws[0].outlook);
    for mail in &mails {
        assert_eq!(mail.recipients.len(), 1);
        let head = mail.raw.split("\r\n\r\n").next().unwrap();
        assert!(!head.to_lowercase().contains("\r\nbcc"), "{head}");
        assert!(!mail.shown.html.contains("<script") && !mail.shown.html.contains("<b>bold"), "{}", mail.shown.html);
        let shown = format!("{}{}{}", mail.shown.subject, mail.shown.text, mail.shown.html);
        assert!(!shown.contains('\u{202e}') && !shown.contains('\u{1b}') && !shown.contains('\0'));
        assert!(mail.raw.len() < 60_000, "{} bytes", mail.raw.len());
        assert!(mail.raw.lines().all(|line| line.len() < 998), "a line that relays may cut");
    }

    // The page: text, wherever it stands.
    let address = format!("/teams/{}", percent_encoded(team));
    for path in ["/", "/alerts", &address] {
        let page = agent.page(path).await;
        let lower = page.to_lowercase();
        assert!(!lower.contains("<script>alert") && !lower.contains("<b>bold"), "{path}: {page}");
        assert!(page.len() < 300_000, "{path}: {} bytes", page.len());
    }
    assert!(agent.page(&address).await.contains("&lt;script&gt;alert"));
    let status: serde_json::Value = serde_json::from_str(&agent.page("/api/v1/status").await).unwrap();
    assert!(status.to_string().contains("alert"));
}

#[tokio::test]
async fn a_name_of_ten_kilobytes_is_cut_short() {
    let body = usage(&["image-to-3d".to_owned(), "long".repeat(2_560)]);
    let stub = Stub::answering(move |path, _| match path {
        "/openapi/v1/balance" => (200, "{\"balance\": 460}".to_owned()),
        "/openapi/v1/usage/tasks" => (200, body.clone()),
        _ => (200, "[]".to_owned()),
    })
    .await;
    let setup = Setup { base_url: Some(stub.url.clone()), ..Setup::watching(STUDIO, calm_studio(noon()), noon()) };
    let agent = TestAgent::start(setup).await;
    agent.poll_at(noon()).await;
    let scrape = agent.scrape().await;
    let of_kind = |kind: &str| scrape.value(CHARGED, &[STUDIO_LABELS[0], ("task_type", kind)]);
    assert_eq!(of_kind("image-to-3d"), Some(59.0 * 30.0));
    let clipped = format!("{}…", &"long".repeat(2_560)[..255]);
    assert_eq!(of_kind(&clipped), Some(59.0 * 30.0), "a name is cut short, and what belongs to it is kept");
    assert_eq!(failures(&scrape, Collector::Charges, FailureReason::Malformed), 0.0);
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn a_platform_that_repeats_the_key() {
    let stub = Stub::answering(|path, authorization| match path {
        "/openapi/v1/balance" => (200, format!("{{\"balance\": \"{authorization}\"}}")),
        "/openapi/v1/usage/tasks" => (403, format!("no: {authorization}")),
        _ => (200, format!("[{{\"id\": \"{authorization}\", \"created_at\": \"{authorization}\"}}]")),
    })
    .await;
    let setup = Setup { base_url: Some(stub.url.clone()), ..Setup::watching(STUDIO, calm_studio(noon()), noon()) };
    let agent = TestAgent::start(setup).await;
    agent.poll_at(noon()).await;
    let mut said = agent.page("/metrics").await + &agent.page("/").await + &agent.page("/api/v1/status").await;
    // The plan's one field is optional: an answer without it says nothing, and is no failure.
    let assessment = agent.assessment(STUDIO);
    for status in assessment.collectors.iter().filter(|status| status.collector != Collector::Plan) {
        let (reason, message) = status.last_failure.clone().unwrap_or_else(|| panic!("{status:?}"));
        assert_eq!(reason, "malformed", "{message}");
        said += &message;
    }
    assert!(!said.contains(&STUDIO_KEY[..12]), "{said}");
    // Nor does it lie in the ledger.
    agent.shared.store.close().await;
    let ledger = std::fs::read(agent.ledger()).unwrap();
    let key = &STUDIO_KEY.as_bytes()[..12];
    assert!(!ledger.windows(key.len()).any(|window| window == key));
}
