//! Requests over a real loopback connection to the real server.

use std::io::Read;
use std::net::SocketAddr;

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::clock::ManualClock;
use crate::domain::forecast::{explain, forecast};
use crate::domain::outbox::without_addresses;
use crate::domain::{
    Announced, Buckets, ChannelDepth, ForecastInput, Fuel, FuelLimit, GivenUp, Guess, HourlyUse, Outlook, RunOut,
    SharedTank, UntoldNotice, UsageState, UseAhead, Why,
};
use crate::metrics::sample;

struct TestServer {
    address: SocketAddr,
    snapshot: watch::Sender<Arc<Snapshot>>,
    ready: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The body, with the escapes of slashes undone, for comparing.
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap().replace("&#x2f;", "/")
    }
}

impl TestServer {
    async fn start(sample: Snapshot) -> TestServer {
        TestServer::start_with(sample, None, |state| router(state, "/metrics").unwrap()).await
    }

    async fn start_with(
        sample: Snapshot,
        external_url: Option<&str>,
        router: impl FnOnce(HttpState) -> Router,
    ) -> TestServer {
        let (snapshot, receiver) = watch::channel(Arc::new(sample));
        let (ready, is_ready) = watch::channel(false);
        let metrics = Arc::new(Metrics::new(receiver.clone()).unwrap());
        let state = HttpState {
            snapshot: receiver,
            metrics: Arc::clone(&metrics),
            clock: Arc::new(ManualClock::new(sample::now())),
            ready: is_ready,
            door: watch::channel(None).1,
            external_url: external_url.map(Into::into),
            version: "9.9.9",
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, router(state), stop.clone()));
        TestServer { address, snapshot, ready, metrics, stop, serving }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: gauge\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let body = &bytes[end + 4..];
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunk(body) } else { body.to_vec() };
        Answer { code: head[9..12].parse().unwrap(), head, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
    body
}

/// The words of a page, without its tags and in one line.
fn words_of(html: &str) -> String {
    let without_tags = html.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    let text = without_tags.collect::<Vec<_>>().join(" ").replace('\u{a0}', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_address_answers_as_promised() {
    let server = TestServer::start(sample::snapshot()).await;
    let html = "text/html; charset=utf-8";
    for (method, path, code, content_type) in [
        ("GET", "/", 200, html),
        ("HEAD", "/", 200, html),
        ("GET", "/teams/props", 200, html),
        ("GET", "/teams/Characters%20%26%20%22Creatures%22", 200, html),
        ("GET", "/teams/nobody", 404, html),
        ("GET", "/alerts", 200, html),
        ("GET", "/rules/low_balance", 200, html),
        ("GET", "/plan", 200, html),
        ("GET", "/plan?team=props&task=", 400, html),
        ("GET", "/plan?team=props&task=rig", 503, html),
        ("GET", "/plan.js?v=1", 200, "text/javascript; charset=utf-8"),
        ("GET", "/rules/%3Cscript%3E", 404, html),
        ("GET", "/style.css?v=1", 200, "text/css; charset=utf-8"),
        ("GET", "/icon.svg", 200, "image/svg+xml"),
        ("GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("HEAD", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("GET", "/-/healthy", 200, "text/plain; charset=utf-8"),
        ("HEAD", "/-/healthy", 200, "text/plain; charset=utf-8"),
        ("GET", "/api/v1/status", 200, "application/json"),
        ("GET", "/api/v1/teams/props", 200, "application/json"),
        ("GET", "/api/v1/teams/Characters%20%26%20%22Creatures%22", 200, "application/json"),
        ("GET", "/api/v1/teams/nobody", 404, "application/json"),
        ("GET", "/api/v1/nothing", 404, "application/json"),
        ("GET", "/nothing", 404, html),
    ] {
        let answer = server.ask(method, path, "").await;
        assert_eq!((answer.code, answer.header("content-type")), (code, Some(content_type)), "{method} {path}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
        let csp = answer.header("content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'") && !csp.contains("unsafe"), "{csp}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    let wrong_method = server.ask("POST", "/metrics", "Content-Length: 0\r\n").await;
    assert_eq!((wrong_method.code, wrong_method.header("allow")), (405, Some("GET,HEAD")));
    let too_large = server.ask("GET", "/", "Content-Length: 1048577\r\n").await;
    assert_eq!(too_large.code, 413);
    assert_eq!(server.metrics.agent.web_failures.get(), 0);
}

#[tokio::test]
async fn it_is_ready_when_told_so() {
    let server = TestServer::start(Snapshot::default()).await;
    assert_eq!(server.get("/-/ready").await.code, 503);
    assert_eq!(server.get("/-/healthy").await.code, 200);
    server.ready.send_replace(true);
    assert_eq!(server.get("/-/ready").await.code, 200);
}

#[tokio::test]
async fn the_scrape_travels_compressed() {
    let server = TestServer::start(sample::snapshot()).await;
    let answer = server.ask("GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("content-type"), Some(metrics::CONTENT_TYPE));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    let sample = "fuelgauge_balance_credits{account=\"studio\",team=\"props\",bucket=\"allowance\"} 2090\n";
    assert!(text.contains(sample), "{text}");
}

#[tokio::test]
async fn the_front_page_says_who_is_in_danger_first() {
    let server = TestServer::start(sample::snapshot()).await;
    let page = words_of(&server.get("/").await.text());
    for expected in [
        "(1) fuelgauge",
        "Runs out Tue 24 Nov 7 days before the reset, almost certain (97%)",
        "410 of 4,000 credits left",
        "an even pace would have 1,133 left now",
        "1 running dry 2 not known 1 letting credits lapse 1 fine",
        "Runs out Tue 24 Nov 10:00 CET; 8 in 10: Mon 23 Nov to Thu 26 Nov",
        "Plan resets Tue 1 Dec 00:00 CET, in 9 days",
        "Pace 225 a day 48 a day would last",
        "Dry before reset 97% almost certain",
        "Last 24 hours 310 credits",
        "Alert critical since Thu 19 Nov, 09:05 CET",
        "Retries 53 4,240 credits since records began",
        "Lasts until the reset with about 104 credits to spare",
        "Retries none seen",
        "About 1,930 credits will lapse",
        "Credits left: not known",
        "The last reading is 7 h old",
        "unauthorized GET /v1/balance: 401; hint: the API key is missing, wrong or &lt;revoked&gt;",
        "Queue: 3 waiting, 2 running, at most 10; the oldest waits 14 min",
        "1 waiting, the oldest for 2 min",
        "Unexplained: \u{2212}6 credits",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let place = |text: &str| page.find(text).unwrap();
    assert!(place("Runs out Tue 24 Nov") < place("How much is left is not known"));
    assert!(place("How much is left is not known") < place("About 1,930 credits will lapse"));
    assert!(place("About 1,930 credits will lapse") < place("Lasts until the reset with"));
}

#[tokio::test]
async fn what_belongs_to_no_team_and_what_a_balance_is_made_up_of_is_told() {
    let mut snapshot = sample::snapshot();
    let mut account = (*snapshot.accounts[1]).clone();
    let (plan, purchased) = (Some(sample::credits(110)), Some(sample::credits(300)));
    let next_expiry = Some(("2026-12-24T09:00:00Z".parse().unwrap(), sample::credits(20)));
    account.buckets = Some(Buckets { plan, purchased, next_expiry, carried: Some(sample::credits(7)), unknown: None });
    let run_out = Some("2026-11-23T09:00:00Z".parse().unwrap());
    account.draws[0].plan_run_out = Some(RunOut { p10: run_out, p50: run_out, p90: None });
    snapshot.accounts[1] = Arc::new(account);
    let server = TestServer::start(snapshot).await;
    let page = words_of(&server.get("/").await.text());
    for expected in [
        "No team: 60 credits of this period and 80 since records began went to charges that match no team, most of them to \
         text-to-3d",
        "Made up of 110 of the plan, 300 bought 20 of the bought ones lapse Thu 24 Dec",
        "Plan credits until Mon 23 Nov then 300 bought ones",
        "7 credits of the last period were carried over.",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let status: serde_json::Value = serde_json::from_slice(&server.get("/api/v1/status").await.body).unwrap();
    let (studio, cinematics) = (&status["accounts"][0], &status["accounts"][1]);
    assert_eq!(studio["unassigned"]["spent_credits"], 60.0);
    assert_eq!(studio["unassigned"]["totals"][0]["charged_credits"], 80.0);
    assert_eq!(cinematics["spendable"]["purchased_credits"], 300.0);
    assert_eq!(cinematics["spendable"]["next_expiry"]["credits"], 20.0);
    assert_eq!(cinematics["teams"][0]["plan_run_out_at"]["p50"], "2026-11-23T09:00:00Z");
}

#[tokio::test]
async fn a_shared_balance_is_told_with_whose_use_it_is_forecast() {
    let forecast = sample::forecast(0.9, 240.0, 0, [Some("2026-11-24T09:00:00Z"); 3]);
    let draw = |team: &str, limit, own: f64, left| {
        let mut draw = sample::draw(sample::key("studio", team), 4000, left, limit, forecast.clone());
        let fuel = Fuel { left: sample::credits(500), limit: FuelLimit::Balance, ..draw.fuel.clone().unwrap() };
        let own_pace_per_hour = Some(own / 24.0);
        draw.shared = Some(SharedTank { fuel, spend: sample::pace(0.0, 240.0, 240.0), own_pace_per_hour });
        draw
    };
    let mut account = sample::account("studio", "meshy");
    account.draws = vec![draw("art", FuelLimit::Balance, 15.0, 500), draw("props", FuelLimit::Allowance, 9.0, 450)];
    let server = TestServer::start(Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() }).await;
    let page = words_of(&server.get("/").await.text());
    for expected in [
        "Pace 15 a day 240 a day with the other teams' use; 59 a day would last",
        "Shared by 2 teams: what is left is the whole account's, forecast with the other teams' use.",
        "450 of 4,000 credits left",
        "The 500 that the account has left end sooner than the team's share, with the other teams' use.",
    ] {
        let page = page.replace("&#x27;", "'");
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let status: serde_json::Value = serde_json::from_slice(&server.get("/api/v1/status").await.body).unwrap();
    let props = &status["accounts"][0]["teams"][1];
    assert_eq!(props["fuel"]["left_credits"], 450.0);
    assert_eq!((&props["shared"]["left_credits"], &props["shared"]["limit"]), (&json!(500.0), &json!("balance")));
    assert_eq!(props["shared"]["own_pace_credits_per_day"], 9.0);
    let metrics = server.get("/metrics").await.text();
    // What lasts is 59 a day, and all together spend 240.
    let ratio = "fuelgauge_burn_ratio{account=\"studio\",team=\"props\",window=\"1d\"} 4.08";
    assert!(metrics.contains(ratio), "{metrics}");
}

#[tokio::test]
async fn what_is_guessed_before_there_is_history_is_said_to_be_a_guess() {
    let use_ahead = UseAhead {
        until: sample::at("2026-11-30T23:00:00Z"),
        p10: sample::credits(90),
        p50: sample::credits(260),
        p90: sample::credits(720),
    };
    let run_out = RunOut { p10: Some(sample::at("2026-12-02T09:00:00Z")), p50: None, p90: None };
    let guess = Some(Guess { run_out, horizon: sample::at("2026-12-30T23:00:00Z"), use_ahead });
    let mut account = sample::account("new", "meshy");
    let outlook = Outlook::TooLittleHistory { hours: 5, charges: 1, guess };
    account.draws = vec![sample::draw(sample::key("new", "first"), 1000, 900, FuelLimit::Balance, outlook)];
    let server = TestServer::start(Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() }).await;
    let page = words_of(&server.get("/").await.text());
    for expected in [
        "Too little history for a forecast 1 charge in 5 hours so far; by what was bought 90 to 720 more until the reset, \
         a guess",
        "Runs out too little history 9 in 10: Wed 2 Dec or later; guessed from what the period began with",
        "Dry before reset too little history",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let status: serde_json::Value = serde_json::from_slice(&server.get("/api/v1/status").await.body).unwrap();
    let outlook = &status["accounts"][0]["teams"][0]["outlook"];
    assert_eq!((&outlook["kind"], &outlook["confidence"]), (&json!("too_little_history"), &json!("low")));
    assert_eq!(outlook["range"]["run_out_at"]["p10"], "2026-12-02T09:00:00Z");
    assert_eq!(outlook["range"]["expected_use_credits"]["p90"], 720.0);
    let metrics = server.get("/metrics").await.text();
    assert!(!metrics.contains("fuelgauge_forecast_exhaustion"), "a guess is no forecast: {metrics}");
}

#[tokio::test]
async fn nothing_known_is_no_zero() {
    let mut account = sample::account("new", "meshy");
    account.collectors.clear();
    let mut draw = sample::draw(
        sample::key("new", "first"),
        0,
        0,
        FuelLimit::Balance,
        Outlook::TooLittleHistory { hours: 0, charges: 0, guess: None },
    );
    draw.fuel = None;
    draw.period = None;
    account.draws = vec![draw];
    let server = TestServer::start(Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() }).await;
    let page = words_of(&server.get("/").await.text());
    assert!(page.contains("Credits left: not known"), "{page}");
    assert!(page.contains("Too little history for a forecast 0 charges in 0 hours so far"), "{page}");
    assert!(page.contains("Runs out too little history Plan resets never: prepaid Pace not known"), "{page}");
    let team = words_of(&server.get("/teams/first").await.text());
    assert!(team.contains("How much is left is not known, so there is nothing to draw."), "{team}");
    assert!(team.contains("No charge has been recorded."), "{team}");
    server.snapshot.send_replace(Arc::new(Snapshot::default()));
    let empty = words_of(&server.get("/").await.text());
    assert!(empty.contains("Nothing has been assessed yet."), "{empty}");
}

#[tokio::test]
async fn a_team_page_shows_the_past_the_band_and_the_reset() {
    let server = TestServer::start(sample::snapshot()).await;
    let page = server.get("/teams/Characters%20%26%20%22Creatures%22").await;
    let html = &page.text();
    for class in ["class=\"past\"", "class=\"band\"", "class=\"median\"", "class=\"even-line\"", "class=\"reset\""] {
        assert!(html.contains(class), "{class}");
    }
    let words = words_of(html);
    for expected in [
        "image-to-3d ultra 140 9 11,240 300 10,940",
        "image-to-3d rerun 46 3,680",
        "75 credits of this period went into tasks that failed",
        "Charged twice 018a-77 retexture Thu 19 Nov, 11:20 CET 10",
        "The queue is not known.",
        "24 Nov",
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
    assert!(
        html.contains("410 credits left on Sun 22 Nov, expected to run out on Tue 24 Nov, plan resets on Tue 1 Dec")
    );
}

#[tokio::test]
async fn what_drives_a_forecast_is_told_on_the_page_and_in_json() {
    let rows: Vec<HourlyUse> = (0..40 * 24)
        .filter(|hour| hour % 24 == 9)
        .map(|hour| HourlyUse {
            hour: sample::now().as_second() / 3600 - 960 + hour,
            net: sample::credits(40),
            charges: 4,
        })
        .collect();
    let state = UsageState::rebuild(&rows).unwrap();
    let november = sample::november(1200);
    let input = ForecastInput {
        state: &state,
        now: sample::now(),
        period: Some((november.start, november.end)),
        remaining: Some(sample::credits(350)),
        granted: november.allowance,
        before: None,
        announced: Announced::default(),
    };
    let mut snapshot = sample::snapshot();
    let mut account = (*snapshot.accounts[1]).clone();
    account.draws[0].outlook = forecast(&input);
    account.draws[0].explanation = explain(&input).map(Box::new);
    snapshot.accounts[1] = Arc::new(account);
    let server = TestServer::start(snapshot).await;
    let team = "Characters%20%26%20%22Creatures%22";
    let page = words_of(&server.get(&format!("/teams/{team}")).await.text());
    for expected in [
        "What drives this forecast The pace is about ",
        "In the 8.5 days up to the reset",
        "and 350 are left.",
        "of that uncertainty comes from",
        "Confidence is low: 39 days of history stand behind it, two periods (60 days) would be needed.",
        "Planned: 30 × retexture, about 230 credits to come.",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let calm = words_of(&server.get("/teams/props").await.text());
    assert!(!calm.contains("What drives this forecast"), "nothing is explained that was not made: {calm}");

    let json = |answer: Answer| serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap();
    let status = json(server.get("/api/v1/status").await);
    let told = json(server.get(&format!("/api/v1/teams/{team}")).await);
    assert_eq!(
        (&told["team"], told["draws"].as_array().map(Vec::len)),
        (&json!("Characters & \"Creatures\""), Some(1))
    );
    let draw = &told["draws"][0];
    assert_eq!(draw["explanation"], status["accounts"][1]["teams"][0]["explanation"]);
    assert_eq!(draw["explanation"]["chance"]["calibrated"], draw["outlook"]["exhaustion_probability"]);
    assert_eq!(draw["explanation"]["confidence"]["level"], "low");
    assert_eq!(draw["explanation"]["words"].as_array().map(Vec::len), Some(6));
    let share = |part: &str| draw["explanation"]["relative_variance"][part].as_f64().unwrap();
    assert!((share("lumps") + share("drift") + share("thin_data") - share("total")).abs() < 1e-12);
    // What else the page shows.
    assert_eq!((&draw["account"], &draw["fuel"]["left_credits"]), (&json!("cinematics"), &json!(410.0)));
    assert_eq!(draw["balance"]["available_credits"], 410.0);
    assert_eq!(draw["totals"][0]["charged_credits"], 11_240.0);
    assert_eq!((draw["daily"].as_array().map(Vec::len), &draw["daily"][21]["net_credits"]), (Some(22), &json!(305.0)));
    assert_eq!((&draw["retries"][0]["tasks"], &draw["suspect_charges"][1]["task_id"]), (&json!(46), &json!("018a-77")));
    let props = json(server.get("/api/v1/teams/props").await);
    assert_eq!(
        (&props["draws"][0]["explanation"], &props["draws"][0]["queue"]["waiting_tasks"]),
        (&json!(null), &json!(3))
    );
    let nobody = json(server.get("/api/v1/teams/nobody").await);
    assert_eq!(nobody["error"], "no such team: `nobody`");
}

#[tokio::test]
async fn hostile_names_are_text_and_nothing_else() {
    let hostile = "\"><script>alert(1)</script>&'{{7*7}}/..";
    let mut account = sample::account("<b>a</b>", "<i>p</i>");
    let forecast = sample::forecast(0.9, 3.0, 0, [Some("2026-11-24T09:00:00Z"); 3]);
    let mut draw = sample::draw(sample::key("<b>a</b>", hostile), 100, 40, FuelLimit::Balance, forecast);
    draw.totals = vec![sample::totals("<img src=x onerror=alert(1)>", "<u>", 1, 0, 1, 0)];
    draw.suspects = [sample::suspect("<s>", "<u>", crate::domain::Suspicion::DoubleCharge, 1)].into_iter().collect();
    draw.retries = vec![sample::retries("<s>", crate::domain::RetryKind::Rerun, 1, 1)];
    draw.alerts = sample::snapshot().accounts[1].draws[0].alerts.clone();
    account.collectors[0].last_failure = Some(("<h1>".into(), "<script src=//x>".into()));
    account.draws = vec![draw];
    let server = TestServer::start(Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() }).await;
    let team = format!("/teams/{}", words::path_segment(hostile));
    for path in ["/", "/alerts", &team, "/teams/%3Cscript%3E", "/%3Cscript%3E"] {
        let page = server.get(path).await;
        for forbidden in ["<script", "<img src=x", "<b>a", "<i>p", "<u>", "<s>", "<h1><", "//x>", "onerror=alert(1)>"] {
            assert!(!page.text().contains(forbidden), "{path}: {forbidden}");
        }
        assert!(!page.text().contains(" style="), "{path}: an inline style that the policy would refuse");
    }
    let overview = server.get("/").await;
    assert!(overview.text().contains(&format!("href=\"{team}\"")), "the link leads to the team's page");
    assert_eq!(server.get(&team).await.code, 200);
    assert!(server.get(&team).await.text().contains("{{7*7}}"));
}

#[tokio::test]
async fn the_status_is_the_page_in_numbers() {
    let server = TestServer::start(sample::snapshot()).await;
    let status: serde_json::Value = serde_json::from_slice(&server.get("/api/v1/status").await.body).unwrap();
    let account = |index: usize| &status["accounts"][index];
    assert_eq!(status["version"], "9.9.9");
    assert_eq!(account(0)["balance"]["plan_credits"], 2200.0);
    assert_eq!(account(0)["queue"]["waiting_tasks"], 3);
    assert_eq!(account(0)["timezone"], "Europe/Berlin");
    assert_eq!(account(1)["teams"][0]["team"], "Characters & \"Creatures\"");
    assert_eq!(account(1)["teams"][0]["fuel"]["left_credits"], 410.0);
    assert_eq!(account(1)["teams"][0]["outlook"]["exhaustion_probability"], 0.97);
    assert_eq!(account(1)["teams"][0]["outlook"]["run_out_at"]["p50"], "2026-11-24T09:00:00Z");
    assert_eq!(account(1)["teams"][0]["alerts"][0]["severity"], "critical");
    assert_eq!(account(2)["balance"], serde_json::Value::Null);
    assert_eq!(account(2)["teams"][0]["fuel"], serde_json::Value::Null);
    assert_eq!(account(2)["collectors"][1]["last_failure"]["reason"], "unauthorized");
    assert_eq!(account(3)["balance"]["fresh"], false);
}

/// A mail that the relay refused yesterday, and a collected one that was given up long ago.
fn given_up() -> Vec<GivenUp> {
    let notice = |team: &str, stage, why| UntoldNotice {
        key: sample::key("cinematics", team),
        rule: crate::domain::RuleName::Exhaustion,
        stage,
        why,
    };
    let (warning, critical) = (crate::domain::Stage::Warning, crate::domain::Stage::Critical);
    let day = SignedDuration::from_hours(24);
    let refused = GivenUp {
        id: 12,
        channel: "email".into(),
        notices: vec![notice("<b>Characters</b>", critical, Why::Worsened)],
        decided_at: sample::now() - day - day,
        at: sample::now() - day,
        attempts: 1,
        said: without_addresses("the relay answered RCPT with 550 5.1.1 <lead@studio.example>: no such user"),
    };
    let notices = vec![notice("props", warning, Why::Opened), notice("art", warning, Why::Resolved)];
    let collected = GivenUp { id: 3, notices, at: sample::now() - day * 20, attempts: 60, ..refused.clone() };
    vec![refused, collected]
}

#[tokio::test]
async fn what_was_not_delivered_is_seen_without_addresses() {
    let mut snapshot = sample::snapshot();
    snapshot.outbox.channels[0].failed = 2;
    snapshot.outbox.given_up = given_up();
    let server = TestServer::start(snapshot).await;
    let alerts = server.get("/alerts").await.text();
    for expected in [
        "<h2 class=\"section\" id=\"not-delivered\">Not delivered</h2>",
        "<span class=\"where\">cinematics</span> Runs out before the reset: critical, became worse</p>",
        ">props</a> <span class=\"where\">cinematics</span> Runs out before the reset: warning, began to fire</p>",
        "given up Sat 21 Nov, 12:00\u{a0}CET after 1 try</p>",
        "<code>email</code> the relay answered RCPT with 550 5.1.1 &lt;…&gt;: no such user</p>",
    ] {
        assert!(alerts.contains(expected), "{expected}: {alerts}");
    }
    let overview = server.get("/").await.text();
    for expected in [
        "<article class=\"account troubled\">\n    <h3>Outbox",
        "<b>mail</b> is left alone until Sun 22 Nov, 12:04\u{a0}CET",
        "<code>rate_limited</code> the relay `smtp.studio.example:587` answered MAIL with 450 4.7.1 Message rate exceeded",
        "<b>mail</b> 2 given up, <a href=\"/alerts#not-delivered\">see which</a>",
        "<b>mail</b> 1 waiting, the oldest for 2\u{a0}min; 2 held back by the limits of mail",
        "<b>mail</b> 12 sent, 3 told by another",
    ] {
        assert!(overview.contains(expected), "{expected}: {overview}");
    }
    let status = server.get("/api/v1/status").await.text();
    let outbox = &serde_json::from_str::<serde_json::Value>(&status).unwrap()["outbox"];
    assert_eq!((&outbox["waiting"], &outbox["failed"], &outbox["merged"]), (&json!(1), &json!(2), &json!(3)));
    assert_eq!(outbox["channels"][0]["paused"]["reason"], "rate_limited");
    assert_eq!(outbox["given_up"][1]["notices"][1]["why"], "resolved");
    assert!(!alerts.contains("<b>Characters"), "{alerts}");
    for page in [alerts, overview, status] {
        assert!(!page.contains('@'), "{page}");
    }

    // What was given up weeks ago is no trouble of the day.
    let mut snapshot = sample::snapshot();
    snapshot.outbox.channels[0] = ChannelDepth { failed: 1, ..ChannelDepth::of("email") };
    snapshot.outbox.given_up = given_up().split_off(1);
    let server = TestServer::start(snapshot).await;
    let overview = server.get("/").await.text();
    assert!(overview.contains("<article class=\"account\">\n    <h3>Outbox"), "{overview}");
    assert!(server.get("/alerts").await.text().contains(">props</a>"));
}

#[tokio::test]
async fn links_follow_the_external_address() {
    let url = Some("https://studio.example/fuel/");
    let server = TestServer::start_with(sample::snapshot(), url, |state| router(state, "/prometheus").unwrap()).await;
    let page = server.get("/").await;
    assert!(page.text().contains("href=\"/fuel/teams/props\""));
    assert!(page.text().contains("href=\"/fuel/style.css?v="));
    assert!(page.text().contains("href=\"/fuel/prometheus\""));
    assert!(!page.text().contains("/metrics"));
    assert_eq!((server.get("/prometheus").await.code, server.get("/metrics").await.code), (200, 404));
}

#[tokio::test]
async fn a_panic_is_an_answer_that_tells_nothing() {
    let server = TestServer::start_with(sample::snapshot(), None, |state| {
        let pages = Pages::new(None, "9.9.9", "/metrics").unwrap();
        let panics = |message: &'static str| async move { std::panic::panic_any(message) };
        let in_a_worker = |State(shared): SharedState| blocking(shared, |_| panic!("a secret"));
        let routes = Router::new()
            .route(
                "/panic",
                get(move || -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> { Box::pin(panics("a secret")) }),
            )
            .route("/worker", get(in_a_worker));
        let doorway = Doorway::new(state.door.clone(), state.metrics.agent.clone());
        guarded(routes, Arc::new(Shared { state, pages, doorway }))
    })
    .await;
    for path in ["/panic", "/worker"] {
        let answer = server.get(path).await;
        assert_eq!((answer.code, answer.text().as_str()), (500, "internal error; the log says more\n"), "{path}");
        assert!(answer.header("content-security-policy").is_some());
    }
    assert_eq!(server.metrics.agent.web_failures.get(), 2);
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_and_ends() {
    let server = TestServer::start(sample::snapshot()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.get("/").await.code, 200);
    server.stop.cancel();
    drop(idle);
    server.serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
