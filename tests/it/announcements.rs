//! What a lead knows: by command and by the API into the ledger, from there into the forecast, the page and the metrics.

use fuelgauge::assessor::Alerts;
use fuelgauge::clock::Clock;
use fuelgauge::commands::Answer;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::desk::{Desk, LEAD, PIPELINE, PROPS};
use crate::support::scrape::Scrape;
use crate::support::{client, get};

const CONFIGURATION: &str = "
accounts:
  - name: studio
    timezone: Europe/Berlin
    plan: {credits: 4000, reset: '0 0 DAY * *'}
teams:
  - name: environment-art
    account: studio
    match: {project: ['env-*']}
    allowance_credits: 2500
    announcements: [{factor: 0.5, from: 2099-01-01, to: 2099-02-01, note: far away}]
  - {name: props, account: studio, match: {project: ['props-*']}, allowance_credits: 500}
web:
  tokens:
    - {name: lead, token_file: lead, can: [push, announce]}
    - {name: props, token_file: props, can: [announce], teams: [props]}
    - {name: pipeline, token_file: pipeline, can: [push]}
";

impl Desk {
    async fn announce(&self, words: &[&str]) -> Answer {
        self.command(&[&["announce"], words].concat()).await
    }

    async fn post(&self, token: &str, team: &str, body: Value) -> (u16, Value) {
        self.ask(reqwest::Method::POST, &format!("teams/{team}/announcements"), token, Some(body)).await
    }

    async fn assess(&self) -> Value {
        self.agent.assessor.assess_once(&self.agent.accounts[0], self.clock.now(), Alerts::Leave).await.unwrap();
        self.status().await
    }

    /// The first team's part of the status.
    async fn status(&self) -> Value {
        let (_, text) = get(&format!("{}/api/v1/status", self.url)).await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["accounts"][0]["teams"][0].take()
    }

    async fn page(&self) -> String {
        get(&format!("{}/teams/environment-art", self.url)).await.unwrap().1
    }

    async fn announcements(&self, kind: &str) -> f64 {
        let scrape = Scrape::read(&get(&format!("{}/metrics", self.url)).await.unwrap().1);
        let labels = [("account", "studio"), ("team", "environment-art"), ("kind", kind)];
        scrape.value("fuelgauge_announcements", &labels).unwrap()
    }

    fn day(&self, days: i64) -> String {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        (self.clock.now() + SignedDuration::from_hours(24 * days)).to_zoned(zone).strftime("%Y-%m-%d").to_string()
    }
}

fn expected_use(status: &Value) -> f64 {
    status["outlook"]["expected_use_credits"].as_f64().unwrap_or_else(|| panic!("{status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lead_says_moves_the_forecast_and_is_shown_until_it_is_taken_back() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let usual = desk.status().await;
    let before = expected_use(&usual);
    assert_eq!(usual["announced"][0]["by"], "configuration");
    assert_eq!((desk.announcements("pace").await, desk.announcements("batch").await), (1.0, 0.0));

    // By command, in another connection to the ledger: the next assessment sees it.
    let (from, to) = (format!("--from={}", desk.clock.now()), format!("--to={}", desk.day(40)));
    let add = ["add", "--team=environment-art", "--factor=3", &from, &to, "--note=three <artists> join", "--by=Ada"];
    assert_eq!(desk.announce(&add).await, Answer::Fine);
    assert_eq!(desk.announce(&["list", "--team=environment-art", "--format=json"]).await, Answer::Fine);
    assert_eq!(expected_use(&desk.status().await), before);
    let busy = desk.assess().await;
    assert!(expected_use(&busy) > 2.0 * before, "{} {before}", expected_use(&busy));
    let told = &busy["announced"][0];
    assert_eq!((&told["id"], &told["by"], &told["state"]), (&json!(1), &json!("Ada"), &json!("in force")));
    let effect = told["effect_credits"].as_f64().unwrap();
    assert!((effect - (expected_use(&busy) - before)).abs() < 1.0, "{effect}");
    let page = desk.page().await;
    let escaped = page.contains("three &lt;artists&gt; join") && !page.contains("<artists>");
    assert!(escaped && page.contains("3 times the usual pace from") && page.contains("credits more before the reset"));
    assert_eq!(desk.announcements("pace").await, 2.0);

    // By the API: assessed at once.
    let batch = json!({"credits": 800, "low": "600.5", "high": 1200, "at": desk.day(0), "note": null});
    let (status, told) = desk.post(LEAD, "environment-art", batch).await;
    assert_eq!((status, &told["by"], &told["low"], &told["id"]), (201, &json!("lead"), &json!(600.5), &json!(2)));
    let with_batch = desk.status().await;
    assert!(expected_use(&with_batch) > expected_use(&busy) + 500.0);
    assert_eq!(desk.announcements("batch").await, 1.0);

    // Taken back, by one way and the other.
    assert_eq!(desk.announce(&["withdraw", "1", "--by=Grace"]).await, Answer::Fine);
    let path = "teams/environment-art/announcements/2";
    let (status, told) = desk.ask(reqwest::Method::DELETE, path, LEAD, None).await;
    assert_eq!((status, &told["state"], &told["withdrawn_by"]), (200, &json!("withdrawn"), &json!("lead")));
    assert_eq!(expected_use(&desk.status().await), before, "as if they had never been said, to the bit");
    let list = "teams/environment-art/announcements";
    let (_, standing) = desk.ask(reqwest::Method::GET, list, LEAD, None).await;
    assert_eq!(standing["announcements"].as_array().unwrap().len(), 1);
    let (_, all) = desk.ask(reqwest::Method::GET, &format!("{list}?all=true"), LEAD, None).await;
    let by: Vec<&Value> = all["announcements"].as_array().unwrap().iter().map(|one| &one["withdrawn_by"]).collect();
    assert_eq!(by, [&Value::Null, &json!("Grace"), &json!("lead")]);
    assert_eq!(desk.announce(&["list", "--all"]).await, Answer::Fine);

    // It lapses by itself.
    let at = (desk.clock.now() + SignedDuration::from_mins(10)).to_string();
    assert_eq!(desk.post(LEAD, "environment-art", json!({"credits": 50, "at": at})).await.0, 201);
    assert_eq!(desk.announcements("batch").await, 1.0);
    desk.clock.set(desk.clock.now() + SignedDuration::from_mins(11));
    desk.assess().await;
    assert_eq!(desk.announcements("batch").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_wait_to_be_charged_count_as_spent() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let before = expected_use(&desk.status().await);
    let waiting = |id: &str, task_type: &str| {
        json!({"charge_id": id, "at": desk.clock.now().to_string(), "credits": 0, "task_type": task_type,
               "outcome": "queued", "project": "env-a"})
    };
    let body = json!({"charges": [waiting("w-1", "text-to-3d"), waiting("w-2", "text-to-3d"), waiting("w-3", "rig")]});
    let (status, told) = desk.ask(reqwest::Method::POST, "accounts/studio/readings", LEAD, Some(body)).await;
    assert_eq!(status, 200, "{told}");
    let after = desk.status().await;
    assert_eq!(after["queued"], json!({"tasks": 2, "credits": 20.0, "unknown_tasks": 1, "held": false}));
    assert!((expected_use(&after) - before - 20.0).abs() < 1.0, "{} {before}", expected_use(&after));
    // What a platform holds back is missing from its balance, and not from a team's allowance.
    let body = json!({"balance": {"available": 90000, "frozen": 20}});
    assert_eq!(desk.ask(reqwest::Method::POST, "accounts/studio/readings", LEAD, Some(body)).await.0, 200);
    assert_eq!(desk.status().await["queued"]["held"], false, "an allowance is what limits this team");
    let page = desk.page().await;
    assert!(page.contains("2 tasks launched and not charged yet: about 20 credits, counted as spent; 1 task more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_or_says_what_cannot_be_meant_is_told_why() {
    let desk = Desk::open(CONFIGURATION).await;
    let day = desk.day(2);
    let fine = json!({"factor": 2, "from": day, "to": day});
    for (name, token, team, body, status, words) in [
        ("no such token", "let-me-in-let-me-in", "props", fine.clone(), 401, "expected `Authorization"),
        ("a token that pushes", PIPELINE, "props", fine.clone(), 403, "may not announce"),
        ("another team's token", PROPS, "environment-art", fine.clone(), 403, "not for a team `environment-art`"),
        ("no such team, by it", PROPS, "nobody", fine.clone(), 403, "not for a team `nobody`"),
        ("no such team", LEAD, "nobody", fine.clone(), 404, "no team `nobody`"),
        ("another account", LEAD, "props", json!({"factor": 2, "account": "other"}), 400, "1 mistake"),
        ("no object", LEAD, "props", json!([1]), 400, "1 mistake"),
        ("an unknown key", LEAD, "props", json!({"faktor": 2}), 400, "1 mistake"),
        ("no number", LEAD, "props", json!({"factor": "2", "from": day, "to": day}), 400, "1 mistake"),
        ("out of range", LEAD, "props", json!({"factor": 21, "from": day, "to": day}), 400, "1 mistake"),
        ("gone by", LEAD, "props", json!({"credits": 2, "at": "2020-01-01"}), 400, "1 mistake"),
        ("fine", PROPS, "props", fine, 201, ""),
    ] {
        let (found, told) = desk.post(token, team, body).await;
        assert_eq!(found, status, "{name}: {told}");
        assert!(status == 201 || told["error"].as_str().is_some_and(|e| e.contains(words)), "{name}: {told}");
        if status == 400 {
            let mistake = &told["mistakes"][0];
            assert!(mistake["at"].is_string() && mistake["message"].is_string(), "{name}: {told}");
        }
    }
    // Nobody takes back what another team announced.
    for (token, path, status) in [
        (PROPS, "teams/environment-art/announcements/1", 403),
        (LEAD, "teams/environment-art/announcements/1", 404),
        (LEAD, "teams/props/announcements/one", 404),
        (LEAD, "teams/props/announcements/9", 404),
        (PROPS, "teams/props/announcements/1", 200),
    ] {
        assert_eq!(desk.ask(reqwest::Method::DELETE, path, token, None).await.0, status, "{path}");
    }
    assert_eq!(desk.ask(reqwest::Method::GET, "teams/props/announcements?all=yes", LEAD, None).await.0, 400);
    let scrape = Scrape::read(&get(&format!("{}/metrics", desk.url)).await.unwrap().1);
    let refused = [("channel", "announce"), ("reason", "forbidden")];
    assert_eq!(scrape.value("fuelgauge_received_failures_total", &refused), Some(4.0));

    let day = format!("--at={}", desk.day(2));
    for words in [
        &["add", "--team=nobody", "--credits=1", &day][..],
        &["add", "--team=props", "--credits=-1", &day],
        &["add", "--team=props", "--credits=1", "--at=soon"],
        &["add", "--team=props", "--credits=1", "--factor=1", &day],
        &["add", "--team=props", "--credits=1", &day, "--by=a\u{202e}b"],
        &["withdraw", "77"],
        &["list", "--team=nobody"],
    ] {
        assert_eq!(desk.announce(words).await, Answer::WrongUsage, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_announces_and_withdraws_by_the_form_of_the_page() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let before = expected_use(&desk.status().await);
    let address = format!("{}/teams/environment-art/announcements", desk.url);
    assert!(desk.page().await.contains("href=\"/teams/environment-art/announcements\""));
    let answer = client().get(&address).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").ends_with("form-action 'self'; frame-ancestors 'none'"));
    assert_eq!((header("referrer-policy"), header("cache-control")), ("same-origin".into(), "no-store".into()));
    let page = answer.text().await.unwrap();
    assert!(!page.contains("http-equiv=\"refresh\""), "a page that loads itself again empties its forms");
    assert!(page.contains("It stands in the configuration") && !page.contains("Withdraw</summary>"), "{page}");

    // Announced: in the forecast, on both pages and in the API, at once.
    let day = desk.day(0);
    let batch = [("kind", "batch"), ("credits", "800.5"), ("low", ""), ("high", "1200"), ("at", day.as_str())];
    let more = [("note", "<b>for</b> \"E3\" & more"), ("token", LEAD)];
    let fields = [&batch[..], &more].concat();
    let (status, location, page) = desk.submit("/teams/environment-art/announcements", &fields, Some(&desk.url)).await;
    assert_eq!((status, location.as_str()), (303, "/teams/environment-art#announced"), "{page}");
    assert!(expected_use(&desk.status().await) > before + 600.0);
    for page in [desk.page().await, get(&address).await.unwrap().1] {
        assert!(page.contains("a batch of 801 credits (801 to 1,200)"), "{page}");
        assert!(page.contains("&lt;b&gt;for") && !page.contains("<b>for"), "{page}");
    }
    let (_, told) = desk.ask(reqwest::Method::GET, "teams/environment-art/announcements", LEAD, None).await;
    let told = &told["announcements"][1];
    assert_eq!((&told["id"], &told["by"], &told["low"]), (&json!(1), &json!("lead"), &json!(800.5)));
    let to = desk.day(20);
    let pace = [("kind", "pace"), ("factor", "0.5"), ("from", &*day), ("to", &*to), ("note", ""), ("token", LEAD)];
    assert_eq!(desk.submit("/teams/environment-art/announcements", &pace, None).await.0, 303);
    assert_eq!((desk.announcements("pace").await, desk.announcements("batch").await), (2.0, 1.0));

    // Withdrawn.
    let path = |id: &str| format!("/teams/environment-art/announcements/{id}/withdraw");
    let (status, _, page) = desk.submit(&path("1"), &[("token", PROPS)], None).await;
    assert_eq!(status, 403);
    let beside = page.split("<details open>").nth(1).unwrap().split("</details>").next().unwrap();
    assert!(beside.contains("not for a team `environment-art`") && beside.contains("id=\"withdraw-1\""), "{page}");
    for id in ["1", "2"] {
        let (status, location, _) = desk.submit(&path(id), &[("token", LEAD)], Some(&desk.url)).await;
        assert_eq!((status, location.as_str()), (303, "/teams/environment-art#announced"), "{id}");
    }
    assert_eq!(expected_use(&desk.status().await), before, "as if they had never been said, to the bit");
    for (id, words) in [("9", "has no announcement `9`"), ("one", "there is no announcement `one`")] {
        let (status, _, page) = desk.submit(&path(id), &[("token", LEAD)], None).await;
        assert!(status == 404 && page.contains(words), "{status} {page}");
    }
    let (status, page) = get(&format!("{}{}", desk.url, path("1"))).await.unwrap();
    assert!(status == 200 && page.contains("<h1>Announcements</h1>"), "who loads the address again has the page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_a_mistake_comes_back_with_what_was_typed_and_without_the_token() {
    let desk = Desk::open(CONFIGURATION).await;
    let (day, past) = (desk.day(2), "2020-01-01");
    let pace = |factor: &'static str, to: &str, token: &'static str| {
        let fields =
            [("kind", "pace"), ("factor", factor), ("from", &*day), ("to", to), ("note", "\"<i>"), ("token", token)];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for (name, team, fields, origin, status, field, words) in [
        ("no token", "props", pace("2", &day, ""), None, 401, "token", "expected a token that"),
        ("a wrong one", "props", pace("2", &day, "canary-let-me-in"), None, 401, "token", "expected a token that"),
        ("one that pushes", "props", pace("2", &day, PIPELINE), None, 403, "token", "may not announce"),
        ("no number", "props", pace("much", &day, LEAD), None, 400, "factor", "expected a number"),
        ("nothing", "props", pace("", &day, LEAD), None, 400, "factor", "found nothing"),
        ("not finite", "props", pace("NaN", &day, LEAD), None, 400, "factor", "from 0 to 20"),
        ("too much", "props", pace("21", &day, LEAD), None, 400, "factor", "from 0 to 20"),
        ("gone by", "props", pace("2", past, LEAD), None, 400, "to", "expected a time after “From”"),
        ("no day", "props", pace("2", "<script>", LEAD), None, 400, "to", "found `&lt;script&gt;`"),
        ("from elsewhere", "props", pace("2", &day, LEAD), Some("https://evil.example"), 403, "", "another site"),
        ("from nowhere", "props", pace("2", &day, LEAD), Some("null"), 403, "", "another site"),
        ("no such team", "nobody", pace("2", &day, LEAD), None, 404, "", "no team `nobody`"),
        ("no such team, to a few", "nobody", pace("2", &day, PROPS), None, 403, "", "not for a team `nobody`"),
    ] {
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (found, _, page) = desk.submit(&format!("/teams/{team}/announcements"), &pairs, origin).await;
        assert_eq!(found, status, "{name}: {page}");
        assert!(page.contains(words) && !page.contains("<i>") && !page.contains("<script"), "{name}: {page}");
        if field.is_empty() {
            continue;
        }
        let wrong = format!("id=\"pace-{field}-wrong\" role=\"alert\">");
        let said = page.split(&wrong).nth(1).and_then(|rest| rest.split("</p>").next());
        assert!(said.is_some_and(|said| said.contains(words)), "{name}: {page}");
        assert!(
            page.contains("value=\"&quot;&lt;i&gt;\"") && page.contains(&format!("value=\"{day}\"")),
            "{name}: {page}"
        );
        assert_eq!((page.matches(" autofocus").count(), page.matches("<details open>").count()), (1, 1), "{name}");
    }
    let large = "x".repeat(fuelgauge::http::door::FORM_LIMIT);
    let (status, _, page) = desk.submit("/teams/props/announcements", &[("note", &large), ("token", LEAD)], None).await;
    assert!(status == 413 && page.contains("at most 65536 bytes"), "{status} {page}");
    let json = client().post(format!("{}/teams/props/announcements", desk.url)).json(&json!({"factor": 2}));
    assert_eq!(json.send().await.unwrap().status().as_u16(), 415);

    let metrics = get(&format!("{}/metrics", desk.url)).await.unwrap().1;
    let scrape = Scrape::read(&metrics);
    let refused = |reason: &str| {
        scrape.value("fuelgauge_received_failures_total", &[("channel", "announce"), ("reason", reason)])
    };
    let counted = ["unauthorized", "forbidden", "malformed", "not_found", "too_large", "wrong_form"].map(refused);
    assert_eq!(counted, [2.0, 4.0, 6.0, 1.0, 1.0, 1.0].map(Some));
    assert!(!metrics.contains("canary"));
    assert_eq!(desk.announcements("pace").await, 1.0, "nothing but what the configuration says");
}
