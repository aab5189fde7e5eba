use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::domain::{Credits, TaskState};
use crate::provider::Limits;

const KEY: &str = "canary-key-7f3a";
const NOW: &str = "2026-11-22T10:00:00Z";

/// A platform on loopback, written out by hand so that it can answer wrongly.
struct Platform {
    base_url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
struct Request {
    target: String,
    head: String,
}

enum Answer {
    Bytes(Vec<u8>),
    /// Sends this and keeps the connection open, silent.
    Stall(Vec<u8>),
    /// Sends this, and then a blank every now and then, for ever.
    Drip(Vec<u8>),
}

impl Platform {
    /// `answer` is given the path, the whole target, and how often that target was asked before.
    async fn start(answer: impl Fn(&str, &str, usize) -> Answer + Send + Sync + 'static) -> Platform {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let requests = seen.clone();
        tokio::spawn(async move {
            let mut asked: HashMap<String, usize> = HashMap::new();
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_head(&mut stream).await;
                let times = asked.entry(request.target.clone()).or_default();
                let path = request.target.split('?').next().unwrap_or_default();
                let answer = answer(path, &request.target, *times);
                *times += 1;
                requests.lock().unwrap().push(request.clone());
                match answer {
                    Answer::Bytes(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                        let _ = stream.shutdown().await;
                    }
                    Answer::Stall(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                        silent.push(stream);
                    }
                    Answer::Drip(bytes) => {
                        tokio::spawn(async move {
                            let mut ticks = tokio::time::interval(Duration::from_millis(50));
                            let mut sent = stream.write_all(&bytes).await;
                            while sent.is_ok() {
                                ticks.tick().await;
                                sent = stream.write_all(b" ").await;
                            }
                        });
                    }
                }
            }
        });
        Platform { base_url, seen }
    }

    fn targets(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.target.clone()).collect()
    }

    fn provider(&self, mapping: Mapping, key: &tempfile::NamedTempFile) -> HttpProvider {
        let limits = Limits {
            read_timeout: Duration::from_millis(400),
            total_timeout: Duration::from_secs(5),
            largest_body: 10_000,
            backoff: Duration::ZERO,
            ..Limits::default()
        };
        let key = Some(SecretFile::new(key.path()));
        HttpProvider::new(Arc::new(mapping), Some(&self.base_url), key, [7; 16], SharedClient::new(limits)).unwrap()
    }
}

async fn read_head(stream: &mut TcpStream) -> Request {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let head = String::from_utf8(head).unwrap();
    Request { target: head.split(' ').nth(1).unwrap_or_default().to_owned(), head }
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    Answer::Bytes([head.as_bytes(), body].concat())
}

fn ok(body: impl AsRef<[u8]>) -> Answer {
    answer(200, "", body.as_ref())
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/platforms/meshy/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn key_file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{KEY}").unwrap();
    file
}

fn meshy() -> Mapping {
    Mapping::built_in("meshy").unwrap().unwrap()
}

fn mapping(sections: &str) -> Mapping {
    let head = "name: example\nheaders: {Authorization: 'Bearer {{ api_key }}'}\n";
    Mapping::parse("test.yml", &format!("{head}{sections}")).unwrap()
}

const BALANCE: &str = "balance: {path: /balance, fields: {available: response.left}}\n";

const LIST: &str = "tasks:
  path: /tasks
  query: {sort: newest}
  paging: {by: page, page_param: page, size_param: size, size: 2, max_pages: 5}
  fields: {id: item.id, created_at: item.at | epoch_seconds, state: item.state, task_type: \"'t'\", credits: {value: item.cost, optional: true}}
";

fn request(since: Option<&str>) -> ReadRequest {
    let tasks_since = since.map(|since| since.parse().unwrap());
    ReadRequest { now: NOW.parse().unwrap(), tasks_since, unfinished: Vec::new() }
}

fn outcome(result: &PollResult, collector: Collector) -> &Result<(), ProviderError> {
    &result.reports.iter().find(|report| report.collector == collector).unwrap().outcome
}

fn ids(result: &PollResult) -> Vec<&str> {
    result.reading.tasks.iter().map(|task| task.id.as_str()).collect()
}

/// A task of the list mapping; `at` is seconds before now.
fn task(id: &str, before_now: i64, state: &str) -> String {
    let at = NOW.parse::<Timestamp>().unwrap().as_second() - before_now;
    format!(r#"{{"id":"{id}","at":{at},"state":"{state}"}}"#)
}

#[tokio::test]
async fn each_way_to_fail_has_its_reason() {
    let gzip = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b' '; 1_000_000]).unwrap();
        encoder.finish().unwrap()
    };
    let hold = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{body}").into_bytes();
    let echo = format!("{{\"left\":\"{KEY}\"}}");
    let date = "retry-after: Sun, 22 Nov 2026 10:02:00 GMT\r\n";
    let far = "retry-after: 86400\r\n";
    let no = |status, headers: &'static str| move || answer(status, headers, br#"{"message":"no"}"#);
    type Maker = Box<dyn Fn() -> Answer + Send + Sync>;
    let cases: Vec<(Maker, FailureReason, u64, Option<u64>, &str)> = vec![
        (Box::new(no(401, "")), FailureReason::Unauthorized, 1, None, "found 401\nhint: the key is missing, wrong"),
        (Box::new(no(402, "")), FailureReason::PaymentRequired, 1, None, "found 402\nhint: the platform says"),
        (Box::new(no(403, "")), FailureReason::Forbidden, 1, None, "found 403\nhint: the key may not do this"),
        (Box::new(no(404, "")), FailureReason::NotFound, 1, None, "`balance`: GET /balance: expected a status from"),
        (Box::new(no(405, "")), FailureReason::NotFound, 1, None, "found 405"),
        (Box::new(no(429, "")), FailureReason::RateLimited, 3, None, "found 429\nhint: poll less often"),
        (Box::new(no(429, "retry-after: 0\r\n")), FailureReason::RateLimited, 3, Some(0), "found 429"),
        (Box::new(no(429, "retry-after: 120\r\n")), FailureReason::RateLimited, 1, Some(120), "found 429"),
        (Box::new(no(429, date)), FailureReason::RateLimited, 1, Some(120), "found 429"),
        (Box::new(no(503, far)), FailureReason::ServerError, 1, Some(3600), "found 503"),
        (Box::new(no(500, "")), FailureReason::ServerError, 3, None, "found 500"),
        (
            Box::new(no(418, "")),
            FailureReason::UnexpectedStatus,
            1,
            None,
            "found 418\nhint: the platform answers otherwise",
        ),
        (
            Box::new(no(302, "location: /elsewhere\r\n")),
            FailureReason::UnexpectedStatus,
            1,
            None,
            "redirects are not followed",
        ),
        (Box::new(|| answer(204, "", b"")), FailureReason::Malformed, 1, None, "expected JSON, found 0 bytes"),
        (Box::new(|| ok(br#"{"left": 12"#)), FailureReason::Malformed, 1, None, "the end came too early"),
        (
            Box::new(|| ok(br#"{"right": 12}"#)),
            FailureReason::Malformed,
            1,
            None,
            "(GET /balance), field `available`: missing",
        ),
        (
            Box::new(|| ok(br#"{"left": [1]}"#)),
            FailureReason::Malformed,
            1,
            None,
            "found a list of 1, expected a number",
        ),
        (Box::new(move || ok(&echo)), FailureReason::Malformed, 1, None, "found `<redacted>`"),
        (Box::new(|| ok(vec![b' '; 10_001])), FailureReason::TooLarge, 1, None, "at most 10000 bytes"),
        (
            Box::new(move || answer(200, "content-encoding: gzip\r\n", &gzip())),
            FailureReason::TooLarge,
            1,
            None,
            "at most 10000 bytes",
        ),
        (Box::new(move || Answer::Stall(hold("{\"left\""))), FailureReason::Timeout, 3, None, "silence of 400ms"),
        (
            Box::new(|| Answer::Stall(Vec::new())),
            FailureReason::Timeout,
            3,
            None,
            "GET /balance: no full answer within 5s",
        ),
        (Box::new(move || Answer::Bytes(hold("{\"left\":1}"))), FailureReason::Connection, 3, None, "GET /balance: "),
        (Box::new(|| Answer::Bytes(Vec::new())), FailureReason::Connection, 3, None, "GET /balance: "),
        (Box::new(|| Answer::Bytes(b"SSH-2.0-x\r\n".into())), FailureReason::Connection, 3, None, "GET /balance: "),
    ];
    let key = key_file();
    for (make, reason, requests, retry_after, words) in cases {
        let platform = Platform::start(move |_, _, _| make()).await;
        let result = platform.provider(mapping(BALANCE), &key).read(&request(None)).await;
        let report = &result.reports[0];
        let error = report.outcome.clone().unwrap_err();
        assert_eq!((error.reason, report.requests), (reason, requests), "{error}");
        assert_eq!(error.retry_after, retry_after.map(Duration::from_secs), "{error}");
        assert!(error.message.contains(words), "expected: {words}\nfound: {error}");
        assert!(!format!("{error:?} {result:?}").contains(KEY), "{error}");
        assert_eq!(result.reading, Reading::default());
        assert!(!platform.targets().contains(&"/elsewhere".to_owned()));
    }
}

#[tokio::test]
async fn an_answer_that_trickles_in_is_cut_off() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"left\": 1}".to_vec();
    let platform = Platform::start(move |_, _, _| Answer::Drip(head.clone())).await;
    let limits = Limits {
        read_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_millis(500),
        retries: 0,
        ..Limits::default()
    };
    let key = key_file();
    let (secret, shared) = (Some(SecretFile::new(key.path())), SharedClient::new(limits));
    let provider =
        HttpProvider::new(Arc::new(mapping(BALANCE)), Some(&platform.base_url), secret, [7; 16], shared).unwrap();
    let began = Instant::now();
    let result = provider.read(&request(None)).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let error = outcome(&result, Collector::Balance).clone().unwrap_err();
    assert_eq!(error.reason, FailureReason::Timeout);
    assert!(error.message.contains("GET /balance: no full answer within 500ms"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_a_connection_that_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let platform = Platform { base_url, seen: Arc::default() };
    let result = platform.provider(mapping(BALANCE), &key_file()).read(&request(None)).await;
    assert_eq!(outcome(&result, Collector::Balance).clone().unwrap_err().reason, FailureReason::Connection);
}

#[tokio::test]
async fn a_passing_failure_passes() {
    for headers in ["", "retry-after: 0\r\n"] {
        let platform = Platform::start(move |_, _, times| match times {
            0 => answer(503, headers, b""),
            1 => answer(429, headers, b""),
            _ => ok(br#"{"left": 12.5}"#),
        });
        let platform = platform.await;
        let result = platform.provider(mapping(BALANCE), &key_file()).read(&request(None)).await;
        assert_eq!(result.reading.balance.unwrap().available, Credits::parse("12.5").unwrap());
        assert_eq!((result.reports[0].requests, &result.reports[0].outcome), (3, &Ok(())));
    }
}

#[tokio::test]
async fn the_key_goes_in_the_header_only_and_rotates() {
    let platform = Platform::start(|_, _, _| ok(br#"{"left": 1}"#)).await;
    let mut key = key_file();
    let provider = platform.provider(mapping(BALANCE), &key);
    provider.read(&request(None)).await;
    key.as_file_mut().set_len(0).unwrap();
    std::fs::write(key.path(), "second-key\n").unwrap();
    provider.read(&request(None)).await;
    let heads: Vec<String> = platform.seen.lock().unwrap().iter().map(|request| request.head.clone()).collect();
    assert!(heads[0].contains(&format!("authorization: Bearer {KEY}\r\n")), "{}", heads[0]);
    assert!(heads[1].contains("authorization: Bearer second-key\r\n"), "{}", heads[1]);
    assert!(!platform.targets().concat().contains(KEY));
    assert!(!format!("{provider:?}").contains("second-key"));
}

#[tokio::test]
async fn a_key_that_cannot_be_used_sends_nothing() {
    let platform = Platform::start(|_, _, _| ok(br#"{"left": 1}"#)).await;
    for (content, words) in [("", "is empty"), ("two\nlines", "the key makes no valid header `authorization`")] {
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), content).unwrap();
        let result = platform.provider(mapping(BALANCE), &key).read(&request(None)).await;
        let error = outcome(&result, Collector::Balance).clone().unwrap_err();
        assert_eq!(error.reason, FailureReason::Configuration);
        assert!(error.message.contains(words), "{error}");
        assert!(!error.message.contains("two"));
    }
    assert!(platform.targets().is_empty());
}

#[test]
fn what_cannot_be_polled_is_refused_at_the_start() {
    let key = key_file();
    let secret = || Some(SecretFile::new(key.path()));
    for (base_url, api_key, words) in [
        (None, secret(), "the mapping `example` has no `base_url`\nhint: give the account a `base_url`"),
        (Some("http://api.example.com"), secret(), "`base_url`: expected `https`, found `http`"),
        (Some("http://127.0.0.1"), None, "the mapping `example` needs a key\nhint: give the account an `api_key_file`"),
    ] {
        let shared = SharedClient::new(Limits::default());
        let error = HttpProvider::new(Arc::new(mapping(BALANCE)), base_url, api_key, [0; 16], shared).unwrap_err();
        assert_eq!(error.reason, FailureReason::Configuration);
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn pages_that_shift_lose_nothing_and_double_nothing() {
    let platform = Platform::start(|_, target, _| {
        // Between the first page and the second a task was launched: `b` is pushed to the second page.
        let page = match target.rsplit("page=").next().and_then(|tail| tail.split('&').next()) {
            Some("1") => [task("a", 10, "queued"), task("b", 20, "running")].join(","),
            Some("2") => [task("b", 20, "succeeded"), task("c", 30, "paused")].join(","),
            _ => task("c", 30, "succeeded"),
        };
        ok(format!("[{page}]"))
    });
    let platform = platform.await;
    let sections = format!("{LIST}queue: {{from: tasks}}\n");
    let result = platform.provider(mapping(&sections), &key_file()).read(&request(None)).await;
    assert_eq!(ids(&result), ["a", "b", "c"]);
    let states: Vec<TaskState> = result.reading.tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [TaskState::Queued, TaskState::Succeeded, TaskState::Succeeded]);
    assert_eq!(platform.targets()[0], "/tasks?sort=newest&page=1&size=2");
    assert_eq!(platform.targets().len(), 3);
    let queue = result.reading.queue.unwrap();
    assert_eq!((queue.waiting, queue.running, queue.limit), (1, 0, None));
    assert_eq!(queue.oldest_waiting_at, Some("2026-11-22T09:59:50Z".parse().unwrap()));
}

#[tokio::test]
async fn a_final_state_never_goes_back() {
    let platform = Platform::start(|_, target, _| {
        let state = if target.contains("page=1") { "succeeded" } else { "running" };
        let second = if target.contains("page=1") { ",".to_owned() + &task("b", 2, "queued") } else { String::new() };
        ok(format!("[{}{second}]", task("a", 1, state)))
    });
    let result = platform.await.provider(mapping(LIST), &key_file()).read(&request(None)).await;
    assert_eq!(result.reading.tasks[0].state, TaskState::Succeeded);
}

#[tokio::test]
async fn a_walk_ends_at_a_page_that_is_all_older() {
    for (since, pages) in [(Some("2026-11-22T09:59:45Z"), 3), (Some("2026-11-22T09:59:59Z"), 2), (None, 5)] {
        let platform = Platform::start(|_, target, _| {
            let page: i64 = target.split("page=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
            let newer = task(&format!("{page}a"), page * 10 - 10, "succeeded");
            ok(format!("[{newer},{}]", task(&format!("{page}b"), page * 10 - 5, "succeeded")))
        });
        let platform = platform.await;
        let result = platform.provider(mapping(LIST), &key_file()).read(&request(since)).await;
        assert_eq!(platform.targets().len(), pages, "{since:?}");
        // Without an end the limit is an error, and what was read stays.
        let error = outcome(&result, Collector::Charges).as_ref().err().map(|error| error.reason);
        assert_eq!(error, since.is_none().then_some(FailureReason::PageLimit));
        assert_eq!(result.reading.tasks.len(), 2 * pages);
    }
}

#[tokio::test]
async fn a_platform_that_ignores_the_page_number_is_found_out() {
    let platform = Platform::start(|_, _, _| ok(format!("[{},{}]", task("a", 1, "queued"), task("b", 2, "queued"))));
    let platform = platform.await;
    let result = platform.provider(mapping(LIST), &key_file()).read(&request(None)).await;
    let error = outcome(&result, Collector::Charges).clone().unwrap_err();
    assert_eq!(error.reason, FailureReason::PageLimit);
    assert!(error.message.ends_with("hint: does the platform know the parameter `page`?"), "{error}");
    assert_eq!((platform.targets().len(), ids(&result).len()), (3, 2));
}

#[tokio::test]
async fn a_record_that_does_not_fit_does_not_hide_the_others() {
    let platform = Platform::start(|_, _, _| ok(format!("[{},{{\"id\":\"x\"}}]", task("a", 1, "queued"))));
    let result = platform.await.provider(mapping(LIST), &key_file()).read(&request(None)).await;
    assert_eq!(ids(&result), ["a"]);
    let error = outcome(&result, Collector::Charges).clone().unwrap_err();
    assert!(error.message.starts_with("`tasks` (GET /tasks), record 2, field `state`: missing"), "{error}");
}

/// Meshy as its fixtures show it; `usage` answers for the usage records, `other` for the lists without a fixture.
async fn meshy_platform(
    usage: impl Fn(&str) -> Answer + Send + Sync + 'static,
    other: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> Platform {
    Platform::start(move |path, target, _| match path {
        "/openapi/v1/balance" => ok(fixture("unconfirmed/balance-with-parts.json")),
        "/openapi/v1/usage/tasks" => usage(target),
        "/openapi/v2/text-to-3d" => {
            let pages = ["list.text-to-3d.page1.json", "list.text-to-3d.page2.json"].map(fixture);
            let [first, second] = pages.map(|page| String::from_utf8(page).unwrap());
            let both = format!("{},{}", first.trim().trim_end_matches(']'), second.trim().trim_start_matches('['));
            ok(both)
        }
        "/openapi/v1/image-to-3d" => ok(fixture("list.image-to-3d.page1.json")),
        path => other(path),
    })
    .await
}

#[tokio::test]
async fn meshy_on_a_lower_plan_is_read_from_its_task_lists() {
    let not_there = |path: &str| match path {
        "/openapi/v1/rigging" => answer(404, "", &fixture("error.404.json")),
        "/openapi/v1/animations" => answer(405, "", b""),
        _ => ok("[]"),
    };
    let platform = meshy_platform(|_| answer(403, "", &fixture("error.403.json")), not_there).await;
    let result = platform.provider(meshy(), &key_file()).read(&request(None)).await;
    let fared: Vec<_> = result.reports.iter().map(|r| (r.collector.as_str(), r.requests, r.outcome.is_ok())).collect();
    assert_eq!(fared, [("plan", 1, true), ("charges", 31, true), ("queue", 0, true), ("balance", 1, true)]);
    let reading = &result.reading;
    assert_eq!(reading.tasks.len(), 8);
    assert_eq!(reading.tasks.iter().filter_map(|task| task.credits).sum::<Credits>(), Credits::from_whole(80));
    assert_eq!(reading.balance.as_ref().unwrap().available, Credits::from_whole(1840));
    assert_eq!(reading.plan.as_ref().unwrap().resets_at, Some("2026-12-03T00:00:00Z".parse().unwrap()));
    let queue = reading.queue.as_ref().unwrap();
    assert_eq!((queue.waiting, queue.running), (1, 1));
    assert_eq!(queue.oldest_waiting_at, Some("2026-11-20T11:30:00Z".parse().unwrap()));
    let targets = platform.targets();
    assert_eq!(targets.first().unwrap(), "/openapi/v1/balance");
    assert_eq!(targets.last().unwrap(), "/openapi/v1/balance");
    // The balance and the plan share a path: 32 paths, and the balance's twice.
    assert_eq!(targets.len(), 33);
    // The preview and its re-run have one fingerprint; the refinement, of the same prompt, has another and is a step.
    let of = |end: &str| reading.tasks.iter().find(|task| task.id.ends_with(end)).unwrap();
    assert!(of("0001").fingerprint.is_some());
    assert_eq!(of("0001").fingerprint, of("0003").fingerprint);
    assert_ne!(of("0001").fingerprint, of("0002").fingerprint);
    assert!(of("0002").is_step && !of("0001").is_step);
    assert_eq!(of("0005").fingerprint, None);
}

#[tokio::test]
async fn meshy_usage_records_add_who_launched_a_task() {
    let usage = |target: &str| {
        let page = if target.contains("page_num=1") { 1 } else { 2 };
        ok(fixture(&format!("unconfirmed/usage-tasks.page{page}.rfc3339.json")))
    };
    let platform = meshy_platform(usage, |_| ok("[]")).await;
    let result = platform.provider(meshy(), &key_file()).read(&request(Some("2026-11-20T00:00:00Z"))).await;
    assert!(result.reports.iter().all(|report| report.outcome.is_ok()), "{:?}", result.reports);
    assert_eq!(result.reports[1].requests, 2);
    assert_eq!(result.reports[2].requests, 30);
    assert_eq!(result.reading.tasks.len(), 8);
    let preview = result.reading.tasks.iter().find(|task| task.id.ends_with("0001")).unwrap();
    assert_eq!(preview.attribution.api_key.as_deref(), Some("env-team"));
    assert!(preview.fingerprint.is_some());
    assert_eq!((preview.quality.as_str(), preview.credits), ("meshy-6", Some(Credits::from_whole(20))));
    let asked = platform.targets().into_iter().find(|target| target.contains("usage")).unwrap();
    assert!(
        asked.contains("sort_by=-created_at&start_time=2026-11-20T00%3A00%3A00Z&page_num=1&page_size=100"),
        "{asked}"
    );
}

#[tokio::test]
async fn without_a_start_meshy_is_asked_for_almost_a_year() {
    let platform = meshy_platform(|_| ok(r#"{"records":[],"has_more":false}"#), |_| ok("[]")).await;
    platform.provider(meshy(), &key_file()).read(&request(None)).await;
    let asked = platform.targets().into_iter().find(|target| target.contains("usage")).unwrap();
    assert!(asked.contains("start_time=2025-11-23T10%3A00%3A00Z"), "{asked}");
}

#[tokio::test]
async fn one_list_that_fails_fails_the_collectors_and_loses_nothing() {
    for (status, reason, lists) in [(500, FailureReason::ServerError, 30 + 2), (401, FailureReason::Unauthorized, 4)] {
        let broken = move |path: &str| if path.ends_with("/retexture") { answer(status, "", b"") } else { ok("[]") };
        let platform = meshy_platform(|_| answer(403, "", b""), broken).await;
        let result = platform.provider(meshy(), &key_file()).read(&request(None)).await;
        for collector in [Collector::Charges, Collector::Queue] {
            let error = outcome(&result, collector).clone().unwrap_err();
            assert_eq!(error.reason, reason);
            assert!(error.message.starts_with("`tasks`: GET /openapi/v1/retexture: "), "{error}");
        }
        assert_eq!(outcome(&result, Collector::Balance), &Ok(()));
        assert_eq!((result.reading.tasks.len(), result.reading.queue), (8, None));
        // The usage records, and the lists up to where it makes sense; a server's trouble is tried three times.
        assert_eq!(result.reports[1].requests, 1 + lists);
    }
}

#[tokio::test]
async fn usage_records_that_fail_otherwise_are_a_failure() {
    let platform = meshy_platform(|_| ok("{}"), |_| ok("[]")).await;
    let result = platform.provider(meshy(), &key_file()).read(&request(None)).await;
    assert_eq!(outcome(&result, Collector::Charges).clone().unwrap_err().reason, FailureReason::Malformed);
    // The queue needs the lists all the same, so what they show is kept.
    assert_eq!((outcome(&result, Collector::Queue), result.reading.tasks.len()), (&Ok(()), 8));
}

#[tokio::test]
async fn a_poll_that_runs_out_of_time_keeps_what_it_has() {
    let platform = Platform::start(|path, target, _| match path {
        "/balance" => ok(br#"{"left": 1}"#),
        _ if target.contains("page=1") => ok(format!("[{},{}]", task("a", 1, "queued"), task("b", 2, "queued"))),
        _ => Answer::Stall(Vec::new()),
    });
    let sections = format!("{LIST}{BALANCE}queue: {{from: tasks}}\n");
    let key = key_file();
    let provider = platform.await.provider(mapping(&sections), &key).with_time_limit(Duration::from_millis(600));
    let result = provider.read(&request(None)).await;
    let error = outcome(&result, Collector::Charges).clone().unwrap_err();
    assert_eq!(error.reason, FailureReason::Timeout);
    assert!(error.message.contains("`tasks`: GET /tasks: the poll's time limit of 600ms is over"), "{error}");
    assert_eq!(ids(&result), ["a", "b"]);
    assert_eq!((&result.reading.queue, result.reading.balance.is_some()), (&None, true));
}

#[tokio::test]
async fn the_accounts_id_is_asked_for_once_by_the_first_that_names_it() {
    let sections = "account: {path: /me, fields: {id: response.id}}
balance: {path: /balance, fields: {available: response.left}}
charges:
  - path: /of/{{ account_id }}/charges
    records: response.list
    fields: &fields {id: item.id, created_at: item.at | epoch_seconds, state: item.state, task_type: \"'t'\"}
  - path: /charges
    query: {owner: \"{{ account_id }}\"}
    records: response.list
    fields: *fields
";
    let key = key_file();
    let platform = Platform::start(|path, _, _| match path {
        "/me" => ok(br#"{"id": "a/../b?c"}"#),
        "/balance" => ok(br#"{"left": 1}"#),
        _ => ok(br#"{"list": []}"#),
    });
    let platform = platform.await;
    let result = platform.provider(mapping(sections), &key).read(&request(None)).await;
    assert_eq!((outcome(&result, Collector::Charges), result.reports[0].requests), (&Ok(()), 3));
    let asked = ["/me", "/of/a%2F..%2Fb%3Fc/charges", "/charges?owner=a%2F..%2Fb%3Fc", "/balance"];
    assert_eq!(platform.targets(), asked);

    // Without it what names it is not asked, and what does not is.
    let platform = Platform::start(|path, _, _| match path {
        "/me" => answer(404, "", b""),
        _ => ok(br#"{"left": 1}"#),
    });
    let platform = platform.await;
    let result = platform.provider(mapping(sections), &key).read(&request(None)).await;
    let error = outcome(&result, Collector::Charges).clone().unwrap_err();
    assert!(error.message.starts_with("`account`: GET /me: expected a status from 200 to 299, found 404"), "{error}");
    assert_eq!(outcome(&result, Collector::Balance), &Ok(()));
    assert_eq!(platform.targets(), ["/me", "/balance"]);
}

#[test]
fn a_key_is_taken_out_even_when_it_was_cut_short() {
    for (text, expected) in [
        ("found `canary-key-7f3a`", "found `<redacted>`"),
        ("found `xxcanary-key-…`", "found `xx<redacted>…`"),
        ("canary-kcanary-key-7f3a canary", "<redacted><redacted> canary"),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(redact(text, KEY), expected);
    }
    assert_eq!(redact("a b", "b"), "a <redacted>");
    assert_eq!(redact("a b", ""), "a b");
}
