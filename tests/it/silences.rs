//! Silences: by command, by the API and by the form of the page; who may, and what is shown of them.

use fuelgauge::clock::{Clock, SystemClock};
use fuelgauge::commands::Answer;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::desk::{Desk, LEAD, PIPELINE, PROPS};
use crate::support::scrape::Scrape;
use crate::support::{client, get};

/// `environment-art` uses forty credits a day of a share of 200, so that its alert fires; `props` uses nothing.
const CONFIGURATION: &str = "
accounts:
  - name: studio
    timezone: Europe/Berlin
    plan: {credits: 4000, reset: '0 0 DAY * *'}
teams:
  - {name: environment-art, account: studio, match: {project: ['env-*']}, allowance_credits: 200}
  - {name: props, account: studio, match: {project: ['props-*']}, allowance_credits: 500}
web:
  tokens:
    - {name: lead, token_file: lead, can: [push, silence]}
    - {name: props, token_file: props, can: [silence], teams: [props]}
    - {name: pipeline, token_file: pipeline, can: [push, announce]}
";

const PATH: &str = "silences";

impl Desk {
    async fn silence(&self, words: &[&str]) -> Answer {
        self.command(&[&["silence"], words].concat()).await
    }

    /// What a command keeps is shown within a minute; here at once.
    async fn look(&self) {
        // The commands' own clock has gone on.
        self.clock.set(SystemClock.now());
        self.agent.assessor.show_silences(self.clock.now()).await.unwrap();
    }

    /// The silences that a token sees: number, state and how many alerts each mutes.
    async fn seen(&self, token: &str, query: &str) -> Vec<(String, String, usize)> {
        let (status, told) = self.ask(Method::GET, &format!("{PATH}{query}"), token, None).await;
        assert_eq!(status, 200, "{told}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mutes = |one: &Value| one["mutes"].as_array().unwrap().len();
        let line = |one: &Value| (text(&one["id"]), text(&one["status"]["state"]), mutes(one));
        told.as_array().unwrap().iter().map(line).collect()
    }

    async fn gauges(&self) -> [f64; 2] {
        let scrape = Scrape::read(&get(&format!("{}/metrics", self.url)).await.unwrap().1);
        ["active", "pending"].map(|state| scrape.value("fuelgauge_silences", &[("state", state)]).unwrap())
    }

    async fn shown(&self, path: &str) -> String {
        get(&format!("{}{path}", self.url)).await.unwrap().1
    }
}

fn lines(expected: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
    expected.iter().map(|(id, state, mutes)| ((*id).to_owned(), (*state).to_owned(), *mutes)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_goes_from_the_command_to_the_page_and_back() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    assert!(desk.shown("/alerts").await.contains("href=\"/silences?alert=exhaustion&amp;team=environment-art&amp;"));
    assert_eq!(desk.gauges().await, [0.0, 0.0]);

    let add = ["add", "exhaustion", "team=~\"env.*\"", "--duration=48h", "--comment=a <planned> push", "--by=Ada"];
    assert_eq!(desk.silence(&add).await, Answer::Fine);
    let start = format!("--start={}", desk.clock.now() + SignedDuration::from_hours(24));
    let later = ["add", "team=props", &start, "-d", "1d", "-c", "a holiday", "--format=json"];
    assert_eq!(desk.silence(&later).await, Answer::Fine);
    desk.look().await;
    assert_eq!(desk.gauges().await, [1.0, 1.0]);
    assert_eq!(desk.seen(LEAD, "").await, lines(&[("1", "active", 1), ("2", "pending", 0)]));
    let page = desk.shown("/silences").await;
    for part in
        ["a &lt;planned&gt; push", "<code>team=~&quot;env.*&quot;</code>", "by Ada", "Mutes now:", "for 2\u{a0}days"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<planned>"));
    assert!(desk.shown("/alerts").await.contains("<b>Silenced</b> by Ada"));

    // Changed, it is another one, and the old one is over in the same moment.
    assert_eq!(desk.silence(&["update", "1", "--duration=8h", "--by=Grace"]).await, Answer::Fine);
    assert_eq!(desk.silence(&["list"]).await, Answer::Fine);
    assert_eq!(desk.silence(&["query", "exhaustion", "--format=json"]).await, Answer::Fine);
    assert_eq!(desk.silence(&["list", "--expired"]).await, Answer::Fine);
    desk.look().await;
    let (_, third) = desk.ask(Method::GET, "silences/3", LEAD, None).await;
    assert_eq!((&third["comment"], &third["createdBy"]), (&json!("a <planned> push"), &json!("Grace")));
    assert_eq!((&third["token"], &third["status"]["state"]), (&Value::Null, &json!("active")));
    let (_, first) = desk.ask(Method::GET, "silences/1", LEAD, None).await;
    assert_eq!((&first["expiredBy"], &first["endsAt"]), (&json!("Grace"), &third["startsAt"]));

    assert_eq!(desk.silence(&["expire", "2", "3", "--by=Ada"]).await, Answer::Fine);
    assert_eq!(desk.silence(&["expire", "3"]).await, Answer::Fine, "that it was over already is no mistake");
    desk.look().await;
    assert_eq!(desk.gauges().await, [0.0, 0.0]);
    assert!(desk.shown("/silences").await.contains("Over in the last days"));
    for words in [
        &["add", "team=props", "--comment=x"][..],
        &["add", "team=props", "--duration=1h"],
        &["add", "team=props", "--duration=48", "--comment=x"],
        &["add", "team=props", "--duration=367d", "--comment=x"],
        &["add", "teem=props", "--duration=1h", "--comment=x"],
        &["add", "team=~(", "--duration=1h", "--comment=x"],
        &["add", "team=", "--duration=1h", "--comment=x"],
        &["add", "team=props", "--end=2020-01-01T00:00:00Z", "--comment=x"],
        &["add", "team=props", "--duration=1h", "--comment=x", "--by=a\u{202e}b"],
        &["expire", "1", "77"],
        &["update", "77", "--duration=1h"],
        &["update", "3"],
        &["update", "3", "--comment=x"],
        &["list", "teem=props"],
    ] {
        assert_eq!(desk.silence(words).await, Answer::WrongUsage, "{words:?}");
    }
    assert_eq!(desk.seen(LEAD, "").await.len(), 3, "nothing was kept of what was wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_speaks_as_alertmanagers_does() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let now = desk.clock.now();
    let ends = now + SignedDuration::from_hours(8);
    let matcher = |name: &str, value: &str, is_regex: bool, is_equal: bool| json!({"name": name, "value": value, "isRegex": is_regex, "isEqual": is_equal});
    let body = json!({
        "matchers": [matcher("alertname", "FuelgaugeExhaustion", false, true), matcher("severity", "crit.*", true, false)],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": ends.to_string(), "createdBy": "Ada", "comment": "a push",
    });
    let (status, told) = desk.ask(Method::POST, PATH, LEAD, Some(body)).await;
    assert_eq!((status, &told["silenceID"], &told["silence"]["id"]), (201, &json!("1"), &json!("1")), "{told}");
    let silence = &told["silence"];
    let expected =
        json!([matcher("alertname", "FuelgaugeExhaustion", false, true), matcher("severity", "crit.*", true, false)]);
    assert_eq!(silence["matchers"], expected);
    assert_eq!((&silence["createdBy"], &silence["token"]), (&json!("Ada"), &json!("lead")));
    assert_eq!(silence["startsAt"].as_str().unwrap()[..19], now.to_string()[..19], "the past cannot be silenced");
    let known = json!([{"alert": "exhaustion", "account": "studio", "team": "environment-art", "severity": "warning"}]);
    assert!(silence["mutes"] == known || silence["mutes"] == json!([]), "{silence}");
    assert_eq!(desk.gauges().await, [1.0, 0.0], "shown at once");

    // One with its number takes its place.
    let again = json!({
        "id": "1", "matchers": [{"name": "team", "value": "environment-art"}], "duration": "1d 12h", "comment": "longer",
    });
    let (status, told) = desk.ask(Method::POST, PATH, LEAD, Some(again)).await;
    assert_eq!(
        (status, &told["silenceID"], &told["silence"]["createdBy"]),
        (201, &json!("2"), &json!("lead")),
        "{told}"
    );
    let muted: Vec<&str> =
        told["silence"]["mutes"].as_array().unwrap().iter().filter_map(|one| one["alert"].as_str()).collect();
    assert!(muted.contains(&"exhaustion"), "{told}");
    assert_eq!(desk.seen(LEAD, "").await, lines(&[("2", "active", muted.len()), ("1", "expired", 0)]));
    assert_eq!(desk.seen(LEAD, "?filter=team%3Denvironment-art").await, lines(&[("2", "active", muted.len())]));
    assert_eq!(desk.seen(LEAD, "?filter=exhaustion&filter=team%3D").await, lines(&[("1", "expired", 0)]));
    for _ in 0..2 {
        let (status, told) = desk.ask(Method::DELETE, "silences/2", LEAD, None).await;
        assert_eq!((status, &told["status"]["state"], &told["expiredBy"]), (200, &json!("expired"), &json!("lead")));
    }
    assert_eq!(desk.gauges().await, [0.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_silence_or_says_what_cannot_be_meant_is_told_why() {
    let desk = Desk::open(CONFIGURATION).await;
    let of = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let fine = json!({"matchers": of("team", "props"), "duration": "1h", "comment": "x"});
    let with = |key: &str, value: Value| {
        let mut body = fine.clone();
        body[key] = value;
        body
    };
    let pattern = json!([{"name": "team", "value": "props", "isRegex": true}]);
    for (name, token, body, status, at, words) in [
        ("no such token", "let-me-in-let-me-in", fine.clone(), 401, "", "expected `Authorization"),
        ("a token that pushes", PIPELINE, fine.clone(), 403, "", "may not silence"),
        ("another team's", PROPS, with("matchers", of("team", "environment-art")), 403, "", "is for some teams"),
        ("a pattern", PROPS, with("matchers", pattern), 403, "", "a matcher that names one of them"),
        ("no team", PROPS, with("matchers", of("alert", "exhaustion")), 403, "", "is for some teams"),
        ("no object", LEAD, json!([1]), 400, "body", "expected an object"),
        ("an unknown key", LEAD, with("createdby", json!("a")), 400, "createdby", "unknown key"),
        ("no matchers", LEAD, with("matchers", json!([])), 400, "matchers", "at least one matcher"),
        ("no list", LEAD, with("matchers", json!("team=props")), 400, "matchers", "expected a list"),
        (
            "an unknown label",
            LEAD,
            with("matchers", of("teem", "x")),
            400,
            "matchers[0].name",
            "no alert has a label `teem`",
        ),
        ("no value", LEAD, with("matchers", json!([{"name": "team"}])), 400, "matchers[0].value", "expected a text"),
        (
            "no flag",
            LEAD,
            with("matchers", json!([{"name": "team", "value": "a", "isRegex": "no"}])),
            400,
            "matchers[0].isRegex",
            "expected `true` or `false`",
        ),
        (
            "a key of a matcher",
            LEAD,
            with("matchers", json!([{"name": "team", "value": "a", "isregex": true}])),
            400,
            "matchers[0].isregex",
            "unknown key",
        ),
        (
            "no pattern",
            LEAD,
            with("matchers", json!([{"name": "team", "value": "(", "isRegex": true}])),
            400,
            "matchers[0].value",
            "no regular expression",
        ),
        ("no comment", LEAD, with("comment", Value::Null), 400, "comment", "expected why"),
        ("no end", LEAD, with("duration", Value::Null), 400, "duration", "how long"),
        ("two ends", LEAD, with("endsAt", json!("2099-01-01T00:00:00Z")), 400, "duration", "no place beside `endsAt`"),
        ("no length", LEAD, with("duration", json!("soon")), 400, "duration", "expected a length of time"),
        ("too long", LEAD, with("duration", json!("367d")), 400, "duration", "at most a year"),
        ("no time", LEAD, with("startsAt", json!("tomorrow")), 400, "startsAt", "expected a date"),
        ("far ahead", LEAD, with("startsAt", json!("2099-01-01T00:00:00Z")), 400, "startsAt", "within a year"),
        ("an author", LEAD, with("createdBy", json!("a\u{202e}b")), 400, "createdBy", "printable"),
        ("one to replace", LEAD, with("id", json!("7")), 404, "", "no silence `7`"),
        ("no number", LEAD, with("id", json!("x")), 404, "", "no silence `x`"),
        ("fine", PROPS, fine.clone(), 201, "", ""),
        ("of all", LEAD, with("matchers", of("alert", "exhaustion")), 201, "", ""),
    ] {
        let (found, told) = desk.ask(Method::POST, PATH, token, Some(body)).await;
        assert_eq!(found, status, "{name}: {told}");
        if status == 400 {
            let mistake = &told["mistakes"][0];
            let message = mistake["message"].as_str().unwrap();
            assert!(mistake["at"] == json!(at) && message.contains(words), "{name}: {told}");
        } else if status > 400 {
            assert!(told["error"].as_str().is_some_and(|error| error.contains(words)), "{name}: {told}");
        }
    }
    // A token of some teams sees, changes and ends theirs alone, and does not learn of others.
    assert_eq!(desk.seen(PROPS, "").await, lines(&[("1", "active", 0)]));
    let taking = with("id", json!("2"));
    for (method, token, path, body, status) in [
        (Method::GET, PROPS, "silences/2", None, 403),
        (Method::GET, PROPS, "silences/77", None, 403),
        (Method::GET, PROPS, "silences/1", None, 200),
        (Method::POST, PROPS, PATH, Some(taking), 403),
        (Method::DELETE, PROPS, "silences/2", None, 403),
        (Method::DELETE, LEAD, "silences/77", None, 404),
        (Method::DELETE, PROPS, "silences/one", None, 404),
        (Method::DELETE, PIPELINE, "silences/1", None, 403),
        (Method::GET, PIPELINE, PATH, None, 403),
        (Method::GET, LEAD, "silences?active=true", None, 400),
        (Method::GET, LEAD, "silences?filter=teem%3Dx", None, 400),
        (Method::DELETE, PROPS, "silences/1", None, 200),
    ] {
        assert_eq!(desk.ask(method.clone(), path, token, body).await.0, status, "{method} {path}");
    }
    assert_eq!(desk.seen(LEAD, "").await, lines(&[("2", "active", 0), ("1", "expired", 0)]));
    let metrics = get(&format!("{}/metrics", desk.url)).await.unwrap().1;
    let scrape = Scrape::read(&metrics);
    let refused =
        |reason: &str| scrape.value("fuelgauge_received_failures_total", &[("channel", "silence"), ("reason", reason)]);
    let counted = ["unauthorized", "forbidden", "malformed", "not_found", "conflict"].map(refused);
    assert_eq!(counted, [1.0, 10.0, 19.0, 4.0, 0.0].map(Some));
    assert!(!metrics.contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_token_silences_and_expires_by_the_form_of_the_page() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let address = format!("{}/silences?alert=exhaustion&team=environment-art", desk.url);
    let answer = client().get(&address).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").ends_with("form-action 'self'; frame-ancestors 'none'"));
    assert_eq!((header("referrer-policy"), header("cache-control")), ("same-origin".into(), "no-store".into()));
    let page = answer.text().await.unwrap();
    assert!(!page.contains("http-equiv=\"refresh\""), "a page that loads itself again empties its forms");
    for part in ["<option selected>environment-art</option>", "Fires now and matches:", "until the plan resets, "] {
        assert!(page.contains(part), "{part}: {page}");
    }

    let chosen = [("alert", "exhaustion"), ("team", "environment-art"), ("account", ""), ("severity", "")];
    let more = [("matchers", ""), ("duration", "reset"), ("comment", "\"<b>E3\" & more"), ("by", ""), ("token", LEAD)];
    let fields = [&chosen[..], &more].concat();
    let (status, location, page) = desk.submit("/silences", &fields, Some(&desk.url)).await;
    assert_eq!((status, location.as_str()), (303, "/silences#silence-1"), "{page}");
    let page = desk.shown("/silences").await;
    assert!(page.contains("&lt;b&gt;E3") && !page.contains("<b>E3") && page.contains("Mutes now:"), "{page}");
    let (_, told) = desk.ask(Method::GET, "silences/1", LEAD, None).await;
    let status = serde_json::from_str::<Value>(&desk.shown("/api/v1/status").await).unwrap();
    let reset = &status["accounts"][0]["teams"][0]["period"]["end"];
    assert_eq!((&told["endsAt"], &told["createdBy"]), (reset, &json!("lead")), "{status}");

    // A mistake comes back with what was typed, at its field, and without the token.
    let with = |changed: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
        let mut fields = vec![("team", "props"), ("duration", "8h"), ("comment", "\"<i>"), ("token", LEAD)];
        for (name, value) in changed {
            fields.retain(|(known, _)| known != name);
            fields.push((name, value));
        }
        fields
    };
    for (name, fields, origin, status, field, words) in [
        ("no token", with(&[("token", "")]), None, 401, "token", "expected a token that"),
        ("one that pushes", with(&[("token", PIPELINE)]), None, 403, "token", "may not silence"),
        (
            "one of another team",
            with(&[("token", PROPS), ("team", "environment-art")]),
            None,
            403,
            "token",
            "some teams",
        ),
        ("no comment", with(&[("comment", "")]), None, 400, "comment", "expected why"),
        ("no matcher", with(&[("team", "")]), None, 400, "matchers", "at least one matcher"),
        ("a wrong one", with(&[("matchers", "team=~\"<(\"")]), None, 400, "matchers", "no regular expression"),
        ("no length", with(&[("duration", "<script>")]), None, 400, "duration", "found `&lt;script&gt;`"),
        ("nobody's reset", with(&[("duration", "reset"), ("account", "x")]), None, 400, "duration", "no plan of these"),
        ("an author", with(&[("by", "a\u{202e}b")]), None, 400, "by", "printable"),
        ("an unknown field", with(&[("severty", "x")]), None, 400, "", "severty: unknown field"),
        ("from elsewhere", with(&[]), Some("https://evil.example"), 403, "", "another site"),
    ] {
        let (found, _, page) = desk.submit("/silences", &fields, origin).await;
        assert_eq!(found, status, "{name}: {page}");
        let is_escaped = !page.contains("<i>") && !page.contains("<script");
        assert!(page.contains(words) && is_escaped, "{name}: {page}");
        if !field.is_empty() {
            let wrong = format!("id=\"silence-{field}-wrong\" role=\"alert\">");
            let said = page.split(&wrong).nth(1).and_then(|rest| rest.split("</p>").next());
            assert!(said.is_some_and(|said| said.contains(words)), "{name}: {page}");
            assert_eq!((page.matches(" autofocus").count(), page.matches("<details open>").count()), (1, 1), "{name}");
        }
    }

    let (status, _, page) = desk.submit("/silences/1/expire", &[("token", PROPS)], None).await;
    let beside = page.split("id=\"expire-1-wrong\" role=\"alert\">").nth(1).unwrap();
    assert!(status == 403 && beside.starts_with("the token `props` is for some teams"), "{page}");
    let (status, _, page) = desk.submit("/silences/7/expire", &[("token", LEAD)], None).await;
    assert!(status == 404 && page.contains("<p class=\"mistake\" role=\"alert\">there is no silence `7`"), "{page}");
    let (status, _, page) = desk.submit("/silences/1/expire", &[("token", "")], None).await;
    assert!(status == 401 && page.contains("id=\"expire-1-wrong\""), "{page}");
    let (status, location, _) = desk.submit("/silences/1/expire", &[("token", LEAD)], Some(&desk.url)).await;
    assert_eq!((status, location.as_str()), (303, "/silences"));
    assert_eq!(desk.gauges().await, [0.0, 0.0]);
    let page = desk.shown("/silences/1/expire").await;
    assert!(page.contains("<h1>Silences</h1>"), "who loads the address again has the page");
}
