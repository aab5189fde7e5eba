//! The server: keys, pages, faults, counts, and stopping.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::*;
use crate::clock::ManualClock;
use crate::domain::Credits;

const TEXT: &str = "/openapi/v2/text-to-3d";
const NOW: i64 = 1_795_176_000_000;

pub(super) fn millis(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

pub(super) async fn start(world: World, now: Timestamp) -> (Platform, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(now));
    let platform = Platform::start(Arc::new(Mutex::new(world)), clock.clone()).await.unwrap();
    (platform, clock)
}

pub(super) struct Client {
    base_url: String,
    authorization: String,
    http: reqwest::Client,
}

impl Client {
    pub fn new(platform: &Platform, key: &str) -> Client {
        // The second installation in a process is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Client { base_url: platform.base_url(), authorization: format!("Bearer {key}"), http }
    }

    pub async fn send(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.http.get(format!("{}{path}", self.base_url)).header("authorization", &self.authorization).send().await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.send(path).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        let body = self.json(path).await;
        body.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Two accounts; the first has seven finished tasks of one collection, a minute apart, newest last.
async fn two_accounts() -> (Platform, Arc<ManualClock>, Vec<String>) {
    let mut world = World::new();
    for (name, key) in [("studio", "msy_one"), ("atelier", "msy_two")] {
        world.add_account(AccountSetup::new(name, key, Credits::from_whole(1_000)), millis(NOW)).unwrap();
    }
    let mut ids = Vec::new();
    for minute in 0..7 {
        let at = millis(NOW + minute * 60_000);
        let task = NewTask { kind: "text-to-3d-preview", at, credits: None, prompt: Some("a bell"), key: 0 };
        let id = world.add_task("studio", task).unwrap();
        world.finish_task(id, at).unwrap();
        ids.push(id.to_string());
    }
    let (platform, clock) = start(world, millis(NOW + 3_600_000)).await;
    (platform, clock, ids)
}

#[tokio::test]
async fn a_key_opens_its_own_account_and_nothing_else() {
    let (platform, _clock, ids) = two_accounts().await;
    let one = Client::new(&platform, "msy_one");
    assert_eq!(one.json("/openapi/v1/balance").await["balance"], 860);
    assert_eq!(one.json(&format!("{TEXT}/{}", ids[3])).await["id"], ids[3].as_str());
    let two = Client::new(&platform, "msy_two");
    assert_eq!(two.json("/openapi/v1/balance").await["balance"], 1_000);
    assert!(two.ids(TEXT).await.is_empty());
    for (client, path, status) in [
        (&two, format!("{TEXT}/{}", ids[3]), 404),
        (&one, format!("/openapi/v1/image-to-3d/{}", ids[3]), 404),
        (&one, format!("{TEXT}/nonsense"), 404),
        (&one, format!("{TEXT}/"), 404),
        (&one, "/openapi/v1/showcases".to_owned(), 404),
        (&one, "/".to_owned(), 404),
        (&Client::new(&platform, "msy_three"), "/openapi/v1/balance".to_owned(), 401),
        (&Client::new(&platform, ""), TEXT.to_owned(), 401),
    ] {
        let (found, body) = client.get(&path).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["message"], "{path}");
    }
    let no_scheme = one.http.get(format!("{}/openapi/v1/balance", platform.base_url()));
    for authorization in [None, Some("msy_one"), Some("Basic msy_one")] {
        let request = no_scheme.try_clone().unwrap();
        let request = authorization.into_iter().fold(request, |request, text| request.header("authorization", text));
        assert_eq!(request.send().await.unwrap().status(), 401, "{authorization:?}");
    }
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let (platform, _clock, ids) = two_accounts().await;
    let client = Client::new(&platform, "msy_one");
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    for (sort, expected) in
        [("", &newest_first), ("&sort_by=-created_at", &newest_first), ("&sort_by=%2Bcreated_at", &ids)]
    {
        for page_size in [1, 2, 3, 6, 7, 8, 50] {
            let mut found = Vec::new();
            for page_num in 1.. {
                let page = client.ids(&format!("{TEXT}?page_num={page_num}&page_size={page_size}{sort}")).await;
                let is_last = page.len() < page_size;
                found.extend(page);
                if is_last {
                    break;
                }
            }
            assert_eq!(&found, expected, "page size {page_size}, {sort}");
        }
    }
    assert!(client.ids(&format!("{TEXT}?page_num=99&page_size=50")).await.is_empty());
    assert!(client.ids(&format!("{TEXT}?page_num={}", usize::MAX)).await.is_empty());
    for query in [
        "page_size=51",
        "page_size=0",
        "page_num=0",
        "page_num=-1",
        "page_num=x",
        "sort_by=created_at",
        "sort_by=-price",
    ] {
        assert_eq!(client.get(&format!("{TEXT}?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_page_has_ten_tasks_unless_said() {
    let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let (platform, _clock) = start(World::demo(1, now), now).await;
    let client = Client::new(&platform, STEADY.api_key);
    let ids = client.ids(TEXT).await;
    assert_eq!(ids.len(), 10);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(client.ids(&format!("{TEXT}?page_size=50")).await.len(), 50);
    assert_eq!(client.json("/openapi/v1/usage/tasks").await["records"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn usage_records_are_filtered() {
    let (platform, _clock, ids) = two_accounts().await;
    {
        let mut world = platform.world();
        for (kind, fails) in [("image-to-3d", true), ("animation", false), ("creative-lab-lamp-build", false)] {
            let task = NewTask { kind, at: millis(NOW), credits: None, prompt: None, key: 0 };
            let id = world.add_task("studio", task).unwrap();
            if fails { world.fail_task(id, millis(NOW)) } else { world.finish_task(id, millis(NOW)) }.unwrap();
        }
        let old = NewTask { kind: "rig", at: millis(NOW - 40 * 86_400_000), credits: None, prompt: None, key: 0 };
        let id = world.add_task("studio", old).unwrap();
        world.finish_task(id, millis(NOW)).unwrap();
    }
    let client = Client::new(&platform, "msy_one");
    for (query, count) in [
        ("page_size=100", 9),
        ("endpoints=text-to-3d", 7),
        ("endpoints=text-to-3d-preview,animate", 8),
        ("endpoints=text-to-3d-refine", 0),
        ("endpoints=animation", 0),
        ("status=FAILED", 1),
        ("status=SUCCEEDED&page_size=100", 8),
        ("start_time=2026-11-20T12:04:00Z", 0),
        ("start_time=2026-11-20T12:03:00%2B00:00&end_time=2026-11-20T12:04:00Z", 2),
        ("start_time=2026-09-01T00:00:00Z&endpoints=rig", 1),
    ] {
        // 2026-11-20T12:00:00Z is `NOW`.
        let body = client.json(&format!("/openapi/v1/usage/tasks?{query}")).await;
        let found = body["records"].as_array().unwrap();
        let expected = if query == "start_time=2026-11-20T12:04:00Z" { 3 } else { count };
        assert_eq!(found.len(), expected, "{query}: {body:#}");
    }
    let newest = client.json("/openapi/v1/usage/tasks?page_size=1").await;
    assert_eq!((&newest["records"][0]["task_id"], &newest["has_more"]), (&Value::from(&*ids[6]), &Value::from(true)));
    for query in ["page_size=101", "status=PENDING", "start_time=yesterday", "start_time=2020-01-01T00:00:00Z"] {
        assert_eq!(client.get(&format!("/openapi/v1/usage/tasks?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn faults_spoil_the_answers_they_are_set_for() {
    let (platform, _clock, ids) = two_accounts().await;
    let client = Client::new(&platform, "msy_one");
    let balance = "/openapi/v1/balance";

    let wait = Fault::Status { status: 429, retry_after: Some("120".into()) };
    platform.set_fault(Endpoint::Balance, wait);
    let response = client.send(balance).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (429, &b"120"[..]));
    assert_eq!(client.get(TEXT).await.0, 200, "only the balance misbehaves");

    platform.set_fault(Endpoint::Balance, Fault::TruncatedJson);
    assert!(client.send(balance).await.unwrap().json::<Value>().await.is_err());

    platform.set_fault(Endpoint::Balance, Fault::BrokenOff);
    let broken = client.send(balance).await.unwrap();
    assert_eq!(broken.status(), 200);
    assert!(broken.bytes().await.is_err());

    platform.set_fault(Endpoint::Balance, Fault::Oversize { bytes: 3_000_000 });
    let long = client.send(balance).await.unwrap().bytes().await.unwrap();
    assert_eq!(long.len(), 3_000_000);
    assert_eq!(serde_json::from_slice::<Value>(&long).unwrap()["balance"], 860);

    platform.set_fault(Endpoint::Balance, Fault::MissingField("balance"));
    assert_eq!(client.json(balance).await, serde_json::json!({}));

    platform.set_fault(Endpoint::Any, Fault::WrongType("created_at"));
    assert!(client.json(TEXT).await[0]["created_at"].is_array());
    assert!(client.json("/openapi/v1/usage/tasks").await["records"][0]["created_at"].is_array());
    platform.clear_fault(Endpoint::Any);

    platform.set_fault_times(Endpoint::Balance, Fault::Status { status: 503, retry_after: None }, 2);
    for status in [503, 503, 200] {
        assert_eq!(client.get(balance).await.0, status);
    }

    let page = |number: usize| format!("{TEXT}?page_size=3&page_num={number}");
    platform.set_fault(Endpoint::List(TEXT), Fault::SamePage);
    assert_eq!(client.ids(&page(1)).await, client.ids(&page(9)).await);
    platform.set_fault(Endpoint::List(TEXT), Fault::ShiftedPages(1));
    assert_eq!(client.ids(&page(2)).await, [&*ids[4], &*ids[3], &*ids[2]], "one task comes twice");
    platform.set_fault(Endpoint::List(TEXT), Fault::ShiftedPages(-1));
    assert_eq!(client.ids(&page(2)).await, [&*ids[2], &*ids[1], &*ids[0]], "one task is never seen");

    platform.clear_faults();
    let right = client.json(TEXT).await[0]["created_at"].as_i64().unwrap();
    platform.set_fault(Endpoint::Any, Fault::ClockSkew(SignedDuration::from_mins(90)));
    let response = client.send(TEXT).await.unwrap();
    assert_eq!(response.headers()["date"].to_str().unwrap(), "Fri, 20 Nov 2026 14:30:00 GMT");
    let wrong = response.json::<Value>().await.unwrap()[0]["created_at"].as_i64().unwrap();
    assert_eq!(wrong - right, 90 * 60_000);
}

#[tokio::test]
async fn the_clock_moves_the_world() {
    let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let (platform, clock) = start(World::demo(1, now), now).await;
    let client = Client::new(&platform, HOT.api_key);
    let before = client.json("/openapi/v1/balance").await["balance"].as_i64().unwrap();
    clock.advance(SignedDuration::from_hours(8));
    let response = client.send("/openapi/v1/balance").await.unwrap();
    assert_eq!(response.headers()["date"].to_str().unwrap(), "Mon, 23 Nov 2026 16:00:00 GMT");
    let after = response.json::<Value>().await.unwrap()["balance"].as_i64().unwrap();
    assert!(after < before - 200, "{before} to {after}");
}

#[tokio::test]
async fn requests_are_counted_by_endpoint() {
    let (platform, _clock, ids) = two_accounts().await;
    let client = Client::new(&platform, "msy_one");
    for path in ["/openapi/v1/balance", TEXT, TEXT, &format!("{TEXT}/{}", ids[0]), "/nowhere"] {
        client.send(path).await.unwrap();
    }
    Client::new(&platform, "msy_wrong").send("/openapi/v1/balance").await.unwrap();
    for (endpoint, count) in [
        (Endpoint::Balance, 2),
        (Endpoint::List(TEXT), 2),
        (Endpoint::Task(TEXT), 1),
        (Endpoint::UsageTasks, 0),
        (Endpoint::Unknown, 1),
        (Endpoint::Any, 6),
    ] {
        assert_eq!(platform.requests(endpoint), count, "{endpoint:?}");
    }
    assert_eq!(platform.requests_by_endpoint().len(), 4);
    platform.reset_requests();
    assert_eq!(platform.requests(Endpoint::Any), 0);
}

#[tokio::test]
async fn a_stalled_answer_does_not_keep_the_platform_alive() {
    let (platform, _clock, _) = two_accounts().await;
    let client = Client::new(&platform, "msy_one");
    platform.set_fault(Endpoint::Balance, Fault::Stall);
    let response = client.send("/openapi/v1/balance").await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.bytes();
    tokio::pin!(body);
    assert!(futures_util::poll!(&mut body).is_pending(), "half an answer is no answer");
    let (stopped, cut) = tokio::join!(tokio::time::timeout(Duration::from_secs(10), platform.stop()), body);
    assert!(stopped.is_ok());
    assert!(cut.is_err());
    assert!(client.send("/openapi/v1/balance").await.is_err());
}

#[tokio::test]
async fn dropping_the_platform_closes_its_port() {
    let (platform, _clock, _) = two_accounts().await;
    let client = Client::new(&platform, "msy_one");
    client.json("/openapi/v1/balance").await;
    drop(platform);
    // The server needs a turn or two of the scheduler to notice.
    for _ in 0..10_000 {
        if client.send("/openapi/v1/balance").await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still listening");
}
