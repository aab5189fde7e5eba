//! What people and scripts bring to a running agent: pushes, and files that come to a watched folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuelgauge::app::{Agent, Shared};
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::Config;
use fuelgauge::http::door::PUSH_LIMIT;
use fuelgauge::intake::Folder;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::agent::serve_pages;
use crate::support::scrape::Scrape;
use crate::support::{client, get, write_secret};

const PIPELINE: &str = "canary-pipeline-5b1f2c";
const PROPS: &str = "canary-props-9e7d4a00";
const CONFIGURATION: &str = "
accounts:
  - name: studio
    timezone: Europe/Berlin
    plan: {credits: 4000, reset: '0 0 1 * *'}
    import: {folder: histories}
teams:
  - {name: environment-art, account: studio, match: {project: ['env-*']}}
  - {name: props, account: studio, match: {project: ['props-*']}}
web:
  tokens:
    - {name: pipeline, token_file: pipeline, can: [push]}
    - {name: props, token_file: props, can: [push], teams: [props]}
";

/// An agent in this process whose clock stands still, with its configuration in a folder.
struct Desk {
    folder: TempDir,
    clock: Arc<ManualClock>,
    shared: Shared,
    agent: Agent,
    url: String,
    _server: DropGuard,
}

impl Desk {
    async fn open() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_secret(&path("pipeline"), PIPELINE);
        write_secret(&path("props"), PROPS);
        std::fs::create_dir(path("histories")).unwrap();
        let storage = format!("storage: \"sqlite:{}\"", path("ledger.db").display());
        std::fs::write(path("fuelgauge.yml"), storage + CONFIGURATION).unwrap();
        let config = Config::load(&path("fuelgauge.yml")).unwrap_or_else(|error| panic!("{error}"));
        let clock = Arc::new(ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap()));
        let shared = Shared::open(&config.storage, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let agent = Agent::build(&config, None, &shared).await.unwrap();
        agent.first_look().await.unwrap();
        agent.open_door();
        let (url, server) = serve_pages(&shared);
        Desk { folder, clock, shared, agent, url, _server: server }
    }

    fn push_to(&self, account: &str) -> reqwest::RequestBuilder {
        client().post(format!("{}/api/v1/accounts/{account}/readings", self.url))
    }

    async fn push(&self, token: &str, body: &Value) -> (u16, Value) {
        answer(self.push_to("studio").bearer_auth(token).json(body)).await
    }

    async fn scrape(&self) -> Scrape {
        Scrape::read(&get(&format!("{}/metrics", self.url)).await.unwrap().1)
    }

    async fn counted(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        self.scrape().await.value(family, labels).unwrap_or_else(|| panic!("no {family} {labels:?}"))
    }

    async fn status(&self) -> Value {
        let (_, text) = get(&format!("{}/api/v1/status", self.url)).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn watched(&self) -> Folder {
        Folder::of(self.agent.intake.clone(), &self.agent.accounts[0]).unwrap()
    }

    fn histories(&self) -> PathBuf {
        self.folder.path().join("histories")
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert!(!text.contains("canary"), "a token is in an answer: {text}");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn charge(id: &str, project: &str, credits: u32) -> Value {
    json!({"charge_id": id, "at": "2026-11-20T08:05:00Z", "credits": credits, "task_type": "text-to-3d",
           "outcome": "succeeded", "project": project})
}

const NEW: [(&str, &str); 3] = [("account", "studio"), ("channel", "push"), ("outcome", "new")];

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_kept_assessed_and_shown_at_once() {
    let desk = Desk::open().await;
    assert_eq!(desk.counted("fuelgauge_received_records_total", &NEW).await, 0.0);
    let reading = json!({
        "balance": {"available": 1840.5, "plan": 1500, "purchased": 340.5},
        "plan": {"name": "studio", "allowance": 4000, "resets_at": "2026-11-30T23:00:00Z"},
        "queue": {"waiting": 3, "running": 2, "limit": 10},
        "charges": [charge("c-1", "env-harbor", 60), charge("c-2", "props-lamp", 20), charge("c-3", "toys", 5)],
    });
    let first = desk.push(PIPELINE, &reading).await;
    assert_eq!(first, (200, json!({"read": 3, "new": 3, "known": 0, "without_team": 1})));
    let scrape = desk.scrape().await;
    for (family, labels, expected) in [
        ("fuelgauge_balance_credits", [("account", "studio"), ("bucket", "plan")], 1500.0),
        ("fuelgauge_balance_credits", [("account", "studio"), ("bucket", "purchased")], 340.5),
        ("fuelgauge_charged_credits_total", [("account", "studio"), ("team", "environment-art")], 60.0),
        ("fuelgauge_charged_credits_total", [("account", "studio"), ("team", "")], 5.0),
        ("fuelgauge_queue_tasks", [("account", "studio"), ("state", "waiting")], 3.0),
        ("fuelgauge_plan_reset_timestamp_seconds", [("account", "studio"), ("team", "")], 1_796_079_600.0),
    ] {
        assert_eq!(scrape.value(family, &labels), Some(expected), "{family} {labels:?}");
    }
    let again = desk.push(PIPELINE, &reading).await;
    assert_eq!(again, (200, json!({"read": 3, "new": 0, "known": 3, "without_team": 1})));
    assert_eq!(desk.counted("fuelgauge_received_records_total", &NEW).await, 3.0);

    // What is pushed ages like what is polled.
    desk.clock.advance(SignedDuration::from_hours(24 * 3));
    desk.agent.step(&desk.agent.accounts[0], None).await;
    assert_eq!(desk.scrape().await.value("fuelgauge_balance_credits", &[("bucket", "plan")]), None);
    assert_eq!(desk.push(PIPELINE, &json!({"balance": {"available": 1700}})).await.0, 200);
    // Without parts told, what is known to have been bought stays so.
    let left = async |bucket| desk.counted("fuelgauge_balance_credits", &[("bucket", bucket)]).await;
    assert_eq!((left("available").await, left("purchased").await), (1359.5, 340.5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_taken_whole_or_not_at_all() {
    let desk = Desk::open().await;
    let (status, told) = desk
        .push(
            PIPELINE,
            &json!({"charges": [charge("c-1", "env-a", 60), {"charge_id": "c-2", "at": "noon"}, {"charge_idd": "c-3"}],
                    "balance": {"available": 100}, "queues": {}}),
        )
        .await;
    assert_eq!((status, told["error"].as_str()), (400, Some("4 mistakes; nothing was taken")), "{told}");
    let mistakes: Vec<&str> = told["mistakes"].as_array().unwrap().iter().map(|m| m["at"].as_str().unwrap()).collect();
    assert_eq!(mistakes, ["charges[1]", "charges[2]", "charges[2]", "body"]);
    assert_eq!(told["mistakes"][3]["hint"], "did you mean `queue`?");
    assert_eq!(desk.counted("fuelgauge_received_records_total", &NEW).await, 0.0);
    assert_eq!(desk.status().await["accounts"][0]["balance_credits"], Value::Null);
    let failed = [("channel", "push"), ("reason", "malformed")];
    assert_eq!(desk.counted("fuelgauge_received_failures_total", &failed).await, 1.0);

    desk.shared.store.close().await;
    let (status, told) = desk.push(PIPELINE, &json!({"charges": [charge("c-1", "env-a", 60)]})).await;
    assert_eq!(status, 503, "{told}");
    assert!(told["error"].as_str().unwrap().contains("nothing was taken"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_push_is_told_why() {
    let desk = Desk::open().await;
    let plain = |account: &str| desk.push_to(account).json(&json!({"charges": []}));
    let as_text = |kind: &'static str| {
        desk.push_to("studio").bearer_auth(PIPELINE).header("content-type", kind).body("{\"charges\": []}")
    };
    let mut large = format!("{{\"charges\": [], \"x\": \"{}\"}}", "x".repeat(PUSH_LIMIT));
    large.truncate(PUSH_LIMIT + 1);
    let cases = [
        ("no token", plain("studio"), 401, "expected `Authorization: Bearer`"),
        ("another scheme", plain("studio").basic_auth("pipeline", Some(PIPELINE)), 401, "expected `Authorization"),
        ("another token", plain("studio").bearer_auth("let-me-in-let-me-in"), 401, "expected `Authorization"),
        ("the beginning of one", plain("studio").bearer_auth(&PIPELINE[..20]), 401, "expected `Authorization"),
        ("an empty one", plain("studio").header("authorization", "Bearer "), 401, "expected `Authorization"),
        ("another account", plain("studioo").bearer_auth(PIPELINE), 404, "no account `studioo`"),
        ("what a form of a page can send", as_text("text/plain"), 415, "application/json"),
        ("packed", as_text("application/json").header("content-encoding", "gzip"), 415, "not packed"),
        (
            "no JSON",
            desk.push_to("studio").bearer_auth(PIPELINE).header("content-type", "application/json"),
            400,
            "mistake",
        ),
        (
            "too large",
            desk.push_to("studio").bearer_auth(PIPELINE).header("content-type", "application/json").body(large),
            413,
            "expected at most 8388608 bytes",
        ),
    ];
    for (name, request, status, words) in cases {
        let (found, told) = answer(request).await;
        assert_eq!(found, status, "{name}: {told}");
        assert!(told["error"].as_str().is_some_and(|error| error.contains(words)), "{name}: {told}");
    }
    let (status, _) = get(&format!("{}/api/v1/accounts/studio/readings", desk.url)).await.unwrap();
    assert_eq!(status, 405);
    let refused = [("channel", "push"), ("reason", "unauthorized")];
    assert_eq!(desk.counted("fuelgauge_received_failures_total", &refused).await, 5.0);
    let page = get(&format!("{}/", desk.url)).await.unwrap().1 + &desk.status().await.to_string();
    assert!(!page.contains("canary"));

    // A new token holds at once, and the old one no longer.
    write_secret(&desk.folder.path().join("pipeline"), "canary-the-next-one-7c");
    assert_eq!(desk.push(PIPELINE, &json!({"charges": []})).await.0, 401);
    assert_eq!(desk.push("canary-the-next-one-7c", &json!({"charges": []})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_team_brings_what_is_its_own() {
    let desk = Desk::open().await;
    for (body, status, words) in [
        (json!({"charges": [charge("p-1", "props-lamp", 20)]}), 200, ""),
        (json!({"charges": [charge("p-2", "props-lamp", 20), charge("e-1", "env-a", 1)]}), 403, "charges[1]"),
        (json!({"charges": [charge("x-1", "toys", 1)]}), 403, "belongs to no team"),
        (json!({"balance": {"available": 1}}), 403, "`balance` is of the whole account"),
    ] {
        let (found, told) = desk.push(PROPS, &body).await;
        assert_eq!(found, status, "{told}");
        assert!(status == 200 || told["error"].as_str().unwrap().contains(words), "{told}");
    }
    assert_eq!(desk.counted("fuelgauge_received_records_total", &NEW).await, 1.0);
}

const HEADER: &str = "charge_id,at,credits,task_type,outcome,project\n";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_to_a_folder_are_imported_once() {
    let desk = Desk::open().await;
    let (histories, mut folder) = (desk.histories(), desk.watched());
    let imported = [("account", "studio"), ("channel", "import"), ("outcome", "new")];
    assert_eq!(folder.look().await, 0);
    let row = |id: &str| format!("{id},2026-11-20T08:05:00Z,20,text-to-3d,succeeded,env-a\n");
    write(&histories.join("november.csv"), &format!("{HEADER}{}", row("a")));
    write(&histories.join(".november.csv.part"), "half of a fi");
    write(&histories.join("notes.txt"), "not a history");
    assert_eq!(folder.look().await, 0, "it may still be written");
    assert_eq!(folder.look().await, 1);
    assert_eq!(folder.look().await, 0, "it is known");
    assert_eq!(desk.counted("fuelgauge_received_records_total", &imported).await, 1.0);
    assert_eq!(desk.counted("fuelgauge_charged_credits_total", &[("team", "environment-art")]).await, 20.0);
    assert_eq!(desk.watched().look().await, 0, "a restart forgets nothing");

    // It grows, and one row of it cannot be read.
    write(&histories.join("november.csv"), &format!("{HEADER}{}{}b,soon,1,rig,failed,env-a\n", row("a"), row("c")));
    assert_eq!((folder.look().await, folder.look().await), (0, 1));
    assert_eq!(desk.counted("fuelgauge_received_records_total", &imported).await, 2.0);
    let rejects = std::fs::read_to_string(histories.join("november.csv.rejected.csv")).unwrap();
    assert!(rejects.contains("b,soon,1") && rejects.contains("`at`: expected a time"), "{rejects}");
    assert_eq!((folder.look().await, folder.look().await), (0, 0), "rejected rows are no history");

    // One that is no history is told once, where failures of polls are told, and again when it has changed.
    write(&histories.join("december.csv"), "when,what\n1,2\n");
    assert_eq!((folder.look().await, folder.look().await, folder.look().await), (0, 1, 0));
    let malformed = [("channel", "import"), ("reason", "malformed")];
    assert_eq!(desk.counted("fuelgauge_received_failures_total", &malformed).await, 1.0);
    let status = desk.status().await.to_string();
    assert!(status.contains("december.csv") && status.contains("the columns are `when`, `what`"), "{status}");
    write(&histories.join("december.csv"), &format!("{HEADER}{}", row("d")));
    assert_eq!((folder.look().await, folder.look().await), (0, 1));
    let status = desk.status().await.to_string();
    assert!(!status.contains("december.csv"), "{status}");

    // A folder that goes away is told once, and works again when it is back.
    std::fs::rename(&histories, desk.folder.path().join("elsewhere")).unwrap();
    assert_eq!((folder.look().await, folder.look().await), (0, 0));
    let unreadable = [("channel", "import"), ("reason", "unreadable")];
    assert_eq!(desk.counted("fuelgauge_received_failures_total", &unreadable).await, 1.0);
    std::fs::rename(desk.folder.path().join("elsewhere"), &histories).unwrap();
    write(
        &histories.join("january.jsonl"),
        "{\"id\": \"j\", \"at\": \"2026-11-20T08:05:00Z\", \"credits\": 1, \
                                            \"task_type\": \"rig\", \"outcome\": \"failed\", \"project\": \"props-a\"}\n",
    );
    assert_eq!((folder.look().await, folder.look().await), (0, 1));
    assert_eq!(desk.counted("fuelgauge_charged_credits_total", &[("team", "props")]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_folder_is_looked_at_each_minute() {
    let desk = Desk::open().await;
    let row = "a,2026-11-20T08:05:00Z,20,text-to-3d,succeeded,env-a\n";
    write(&desk.histories().join("november.csv"), &format!("{HEADER}{row}"));
    let tasks = fuelgauge::lifecycle::Tasks::under(&CancellationToken::new());
    desk.agent.start(&tasks);
    let family = "fuelgauge_charged_credits_total";
    crate::support::servers::eventually("the import", async || {
        // Time goes by a minute whenever somebody looks.
        desk.clock.set(desk.clock.now() + SignedDuration::from_secs(60));
        desk.scrape().await.value(family, &[("team", "environment-art")]).filter(|credits| *credits == 20.0)
    })
    .await;
    assert!(tasks.drain().await);
}
