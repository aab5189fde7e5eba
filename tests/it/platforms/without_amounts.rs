//! Platforms that list tasks and not what they cost, under the whole agent: what nobody told is unknown, and never zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuelgauge::clock::ManualClock;
use fuelgauge::config::Config;
use jiff::{SignedDuration, Timestamp};

use super::{KEY, NOW, Platform, content, leonardo, luma, studio3d};
use crate::support::agent::open;
use crate::support::get;
use crate::support::scrape::Scrape;
use crate::support::stub::{Stub, Told};
use crate::support::write_secret;

/// Two polls of one account, an hour apart, between which the balance fell.
struct Case {
    platform: &'static Platform,
    /// Parts of paths, each with its answer.
    answers: &'static [(&'static str, &'static str)],
    /// What is otherwise in these answers at the second poll.
    then: (&'static str, &'static str),
    /// Kinds of task that were listed.
    task_types: &'static [&'static str],
    /// What the balance lost.
    lost: f64,
    /// Re-runs that were recognised.
    reruns: Option<f64>,
}

const CASES: &[Case] = &[
    Case {
        platform: &leonardo::PLATFORM,
        answers: &[("/me", "me.api-plan.json"), ("/generations/user/", "generations-user.offset0.json")],
        then: ("\"apiSubscriptionTokens\": 8300", "\"apiSubscriptionTokens\": 8260"),
        task_types: &["generation"],
        lost: 40.0,
        reruns: Some(1.0),
    },
    Case {
        platform: &luma::PLATFORM,
        answers: &[("/credits", "credits.json"), ("/generations", "generations.offset0.json")],
        then: ("1834.0", "1801.5"),
        task_types: &["video"],
        lost: 32.5,
        reruns: Some(0.0),
    },
    Case {
        platform: &studio3d::PLATFORM,
        answers: &[("/account/user/wallet/", "wallet.json")],
        then: ("\"150.00\"", "\"149.75\""),
        task_types: &[],
        lost: 0.25,
        reruns: None,
    },
];

#[tokio::test]
async fn what_a_task_cost_is_not_told_and_what_the_balance_lost_is_charged_once() {
    for case in CASES {
        let name = case.platform.name;
        let seen = look_twice(case).await;
        let team = |family: &str, labels: &[(&str, &str)]| {
            seen.value(&format!("fuelgauge_{family}"), &[labels, &[("account", "a"), ("team", "t")]].concat())
        };
        let unlisted = [("task_type", "unlisted"), ("quality", "")];
        assert_eq!(team("charged_credits_total", &unlisted), Some(case.lost), "{name}");
        let charged = seen.family("fuelgauge_charged_credits_total").len();
        assert_eq!(charged, 1, "{name}: a kind of task without a price has no charges, not charges of nothing");
        for task_type in case.task_types {
            let kind = [("task_type", *task_type)];
            let is_seen = team("tasks_finished_total", &kind).is_some_and(|tasks| tasks > 0.0);
            assert!(is_seen, "{name}: {task_type}");
            let reruns = [kind.as_slice(), &[("kind", "rerun")]].concat();
            assert_eq!(team("task_retries_total", &reruns), case.reruns, "{name}");
        }
        for family in ["refunded_credits_total", "retry_credits_total", "pending_credits", "unrefunded_credits"] {
            let of_tasks = seen.family(&format!("fuelgauge_{family}"));
            let told = of_tasks.iter().filter(|sample| !format!("{sample:?}").contains("unlisted")).count();
            assert_eq!(told, 0, "{name}: {family}: {of_tasks:?}");
        }
        assert_eq!(seen.value("fuelgauge_unexplained_credits", &[("account", "a")]), Some(0.0), "{name}");
        assert_eq!(seen.value("fuelgauge_source_up", &[("account", "a")]), Some(1.0), "{name}");
    }
}

/// What the metrics say after the second poll.
async fn look_twice(case: &'static Case) -> Scrape {
    let is_second = Arc::new(AtomicBool::new(false));
    let then = Arc::clone(&is_second);
    let stub = Stub::hearing(move |asked| {
        let Some((_, answer)) = case.answers.iter().find(|(path, _)| asked.target.contains(path)) else {
            return Told { status: 404, headers: Vec::new(), body: Vec::new() };
        };
        let mut text = String::from_utf8(content(case.platform, answer)).unwrap();
        if then.load(Ordering::SeqCst) {
            text = text.replace(case.then.0, case.then.1);
        }
        Told { status: 200, headers: Vec::new(), body: text.into_bytes() }
    });
    let stub = stub.await;
    let folder = tempfile::tempdir().unwrap();
    write_secret(&folder.path().join("key"), KEY);
    let file = folder.path().join("fuelgauge.yml");
    let text = format!(
        "storage: sqlite:{}/ledger.db\n\
         accounts: [{{name: a, platform: {}, base_url: \"{}\", api_key_file: key}}]\n\
         teams: [{{name: t, account: a, roles: {{lead: [lead@studio.example]}}}}]\n",
        folder.path().display(),
        case.platform.name,
        stub.url
    );
    std::fs::write(&file, text).unwrap();
    let began: Timestamp = NOW.parse().unwrap();
    let clock = Arc::new(ManualClock::new(began));
    let (shared, agent, url, _server) = open(&Config::load(&file).unwrap(), &clock).await;
    for hours in 0..2 {
        clock.set(began + SignedDuration::from_hours(hours));
        for account in &agent.accounts {
            agent.step(account, None).await;
        }
        is_second.store(true, Ordering::SeqCst);
    }
    let (status, page) = get(&format!("{url}/teams/t")).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(page.contains("not told"), !case.task_types.is_empty(), "{}", case.platform.name);
    let (_, metrics) = get(&format!("{url}/metrics")).await.unwrap();
    shared.store.close().await;
    Scrape::read(&metrics)
}
