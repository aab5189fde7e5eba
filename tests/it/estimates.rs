//! What a job will cost, asked by scripts with a token and by artists on the page.

use fuelgauge::commands::Answer;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::desk::{Desk, LEAD, PIPELINE, PROPS};
use crate::support::scrape::Scrape;
use crate::support::{client, get};

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
        (
            &["--task=text-to-3d", "--count=125", "--risk=0.0001%"],
            Answer::No,
            json!({"task": "text-to-3d", "count": 125, "risk": 0.000001}),
        ),
        (&["--task=rig"], Answer::No, json!({"lines": [{"task": "rig"}]})),
    ] {
        let mut body = body;
        body["team"] = json!("environment-art");
        let (status, told) = desk.estimate(LEAD, body).await;
        assert_eq!(status, 200, "{told}");
        let words = [&["estimate", "--team=environment-art", "--format=json", "--check", &at], words].concat();
        let ended = desk.program(&words).await;
        let mut printed: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        // The API keeps nothing.
        assert_eq!(printed.as_object_mut().unwrap().remove("recorded"), Some(Value::Null));
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

#[tokio::test(flavor = "multi_thread")]
async fn the_page_answers_the_question_of_its_address() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let page = async |query: &str| {
        let (status, page) = get(&format!("{}/plan?{query}", desk.url)).await.unwrap();
        (status, page.replace("&#x2f;", "/").replace("&#x27;", "'"))
    };
    for (query, status, expected, forbidden) in [
        (
            "",
            200,
            &["<option value=\"\" selected>Choose a team", "<option>props", "Nothing is launched"][..],
            &["<article", "mistake"][..],
        ),
        (
            "team=environment-art",
            200,
            &["<option selected>environment-art", "<option value=\"text-to-3d\">240 finished tasks"],
            &["<article", "ask-account"],
        ),
        (
            "team=props",
            200,
            &["<option>second</option>", "<option value=\"text-to-3d\">launched by others"],
            &["<article"],
        ),
        (
            "team=environment-art&task=text-to-3d&count=3&variants=2",
            200,
            &[
                "3 × text-to-3d, 2 variants of each",
                "60 credits",
                "The credits would last until the reset",
                "240 launches",
            ],
            &["Instead</th>", "Did you mean", "class=\"mistake\""],
        ),
        (
            "team=environment-art&task=text-to-3d&count=500",
            200,
            &[
                "The credits would not last",
                "days before the reset (now: not before the reset)",
                "href=\"/plan?count=",
                "&amp;start=20",
                "credits more",
                "Repeated attempts come on top",
            ],
            &[],
        ),
        (
            "team=environment-art&task=text-to-3",
            200,
            &["What it would cost is not known", "task=text-to-3d&amp;team=environment-art\">text-to-3d</a>?"],
            &["About"],
        ),
        ("team=props&account=second&task=text-to-3d", 200, &["No finished task", "on second"], &["would last until"]),
        (
            "team=props&task=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&quality=%22%3E%3Cb%3E&account=studio",
            200,
            &["&lt;img src=x onerror=alert(1)&gt;", "value=\"&quot;&gt;&lt;b&gt;\""],
            &["<img src=x", "<b>\""],
        ),
        (
            "team=environment-art&task=&count=0&variants=x&attempts=0&start=soon",
            400,
            &[
                "<a href=\"#ask-task\">Kind of task</a>: expected the platform's word, found nothing",
                "id=\"ask-count-wrong\" role=\"alert\">expected a whole number from 1 to 100000, found `0`",
                "aria-invalid=\"true\" autofocus",
                "<details class=\"wide\" open>",
            ],
            &["<article"],
        ),
        ("team=props&task=rig", 400, &["expected one of `studio`, `second`, found nothing"], &["<article"]),
        (
            "team=%3Cnobody%3E&task=rig",
            404,
            &["the configuration has no team `&lt;nobody&gt;`"],
            &["<nobody", "<article"],
        ),
    ] {
        let (found, page) = page(query).await;
        assert_eq!(found, status, "{query}: {page}");
        let missing: Vec<_> = expected.iter().filter(|part| !page.contains(**part)).collect();
        let too_much: Vec<_> = forbidden.iter().filter(|part| page.contains(**part)).collect();
        assert!(missing.is_empty() && too_much.is_empty(), "{query}: {missing:?} {too_much:?}\n{page}");
        assert!(page.matches(" autofocus").count() <= 1, "{query}");
    }
    // What would keep the credits is a question that can be asked, and keeps them.
    let (_, dear) = page("team=environment-art&task=text-to-3d&count=500&variants=3").await;
    let links: Vec<&str> = dear.split("href=\"/plan?").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        let (status, page) = page(&link.replace("&amp;", "&")).await;
        assert!(status == 200 && page.contains("<article") && !page.contains("class=\"mistake\""), "{link}: {page}");
    }
    // The page alone runs a script, which is ours.
    let answer = client().get(format!("{}/plan", desk.url)).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'; connect-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for path in ["/", "/teams/props", "/alerts", "/silences"] {
        let answer = client().get(format!("{}{path}", desk.url)).send().await.unwrap();
        assert!(!answer.headers()["content-security-policy"].to_str().unwrap().contains("script"), "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("href=\"/plan\">Plan</a>") && !page.contains("<script"), "{path}");
    }
    assert!(get(&format!("{}/teams/props", desk.url)).await.unwrap().1.contains("href=\"/plan?team=props\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_the_answer_follows_what_is_typed() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let mut browser = Browser::open(390, 844).await;
    browser.go(&format!("{}/plan?team=environment-art", desk.url)).await;
    let focus = "document.activeElement.name";
    browser.until("document.activeElement.name === 'task'").await;
    browser.write("text-to-3d").await;
    browser.until("document.querySelector('#answer strong')?.textContent.includes('would last')").await;
    for expected in ["quality", "count"] {
        browser.press("Tab").await;
        assert_eq!(browser.value(focus).await, expected);
    }
    // What has the focus is selected, so that typing replaces it.
    browser.write("500").await;
    browser.until("document.querySelector('#answer strong')?.textContent.includes('would not last')").await;
    assert_eq!(browser.value(focus).await, "count", "whoever types goes on typing");
    let address = browser.value("location.search").await;
    assert_eq!(address, "?team=environment-art&task=text-to-3d&count=500&variants=1", "an address to be shared");
    assert_eq!(browser.value("document.documentElement.scrollWidth").await, 390, "nothing is wider than a phone");
    let tables = "[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth)";
    assert_eq!(browser.value(tables).await, true, "no table has to be pushed aside");
    // Its place is announced by screen readers, so it stays the same element.
    assert_eq!(browser.value("document.getElementById('answer').getAttribute('aria-live')").await, "polite");

    // A link that changes the question; then another team, whose account has to be chosen.
    browser.value("document.querySelector('#answer a[href*=\"count=\"]').click()").await;
    browser.until("document.readyState === 'complete' && !location.search.includes('count=500')").await;
    browser.until("document.querySelector('article') !== null").await;
    let choose = "{ const team = document.getElementById('ask-team'); team.value = 'props'; \
                  team.dispatchEvent(new Event('input', {bubbles: true})) }";
    browser.value(choose).await;
    browser.until("document.getElementById('ask-account') !== null").await;
    browser.until("document.getElementById('answer').textContent.includes('expected one of')").await;
    browser.value("document.getElementById('ask-account').value = 'studio'").await;
    browser.value("document.getElementById('ask-count').focus()").await;
    browser.press("Enter").await;
    browser.until("location.search.includes('account=studio') && document.querySelector('article') !== null").await;
    // A question that is refused is what the browser itself notes.
    browser.complaints.retain(|complaint| !complaint.contains("status of 400"));
    assert_eq!(browser.complaints, Vec::<String>::new());

    // Without the agent it says so, and keeps what was typed.
    drop(desk);
    browser.value("document.getElementById('ask-count').focus()").await;
    browser.value("document.getElementById('ask-count').select()").await;
    browser.write("7").await;
    browser.until("document.getElementById('answer').textContent.includes('could not be loaded')").await;
    assert_eq!(browser.value("document.getElementById('ask-count').value").await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_without_scripts_the_form_does_the_same() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let mut browser = Browser::open(1200, 900).await;
    browser.without_scripts().await;
    browser.go(&format!("{}/plan?team=environment-art", desk.url)).await;
    browser.until("document.activeElement.name === 'task'").await;
    browser.write("text-to-3d").await;
    browser.press("Enter").await;
    browser.until("document.querySelector('#answer strong')?.textContent.includes('would last')").await;
    let address = "?team=environment-art&task=text-to-3d&quality=&count=1&variants=1&attempts=&start=";
    assert_eq!(browser.value("location.search").await, address);
    assert_eq!(browser.value("document.getElementById('ask-task').value").await, "text-to-3d");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_token_keeps_an_estimate_and_changes_it_by_the_page() {
    let desk = Desk::open(CONFIGURATION).await;
    desk.push_history().await;
    let page = async |query: &str| get(&format!("{}/plan?{query}", desk.url)).await.unwrap().1;
    let expected_use = async || {
        let status: Value =
            serde_json::from_str(&get(&format!("{}/api/v1/status", desk.url)).await.unwrap().1).unwrap();
        status["accounts"][0]["teams"][0]["outlook"]["expected_use_credits"].as_f64().unwrap()
    };
    let usual = expected_use().await;
    let asked = "team=environment-art&task=text-to-3d&count=50";
    let before = page(asked).await;
    assert!(before.contains("action=\"&#x2f;plan&#x2f;keep\"") || before.contains("action=\"/plan/keep\""), "{before}");
    assert!(
        before.contains("<input type=\"hidden\" name=\"count\" value=\"50\">") && !before.contains("Kept estimates of")
    );
    let question = [("team", "environment-art"), ("task", "text-to-3d"), ("count", "50"), ("variants", "1")];
    let keep =
        async |more: &[(&str, &str)]| desk.submit("/plan/keep", &[&question[..], more].concat(), Some(&desk.url)).await;

    // Who may not is told so beside what was typed, and nothing is kept.
    let long = "x".repeat(400);
    for (more, status, words) in [
        (&[("keep", "plan"), ("label", "shot 7")][..], 401, "id=\"keep-token-wrong\""),
        (&[("keep", "plan"), ("label", "shot 7"), ("token", PROPS)], 403, "may not announce"),
        (&[("keep", "plan"), ("label", &long), ("token", PIPELINE)], 400, "id=\"keep-label-wrong\""),
        (&[("keep", "plan"), ("colour", "red"), ("token", PIPELINE)], 400, "colour: unknown field"),
    ] {
        let (found, _, page) = keep(more).await;
        assert!(found == status && page.contains(words) && page.contains("<details open>"), "{status} {found} {page}");
        assert!(page.contains("50 × text-to-3d") && page.contains("value=\"50\""), "{page}");
    }
    let (status, _, answer) = desk.submit("/plan/keep", &question, Some("http://evil.example")).await;
    assert!(status == 403 && answer.contains("another site"), "{answer}");
    assert_eq!(expected_use().await, usual);

    // A plan: forecasts reckon with it at once, on every page.
    let (status, location, _) = keep(&[("keep", "plan"), ("label", "shot <7>"), ("token", PIPELINE)]).await;
    assert_eq!((status, location.as_str()), (303, "/plan?team=environment-art#kept"));
    assert!(expected_use().await > usual + 400.0, "{} {usual}", expected_use().await);
    let planned = page(asked).await;
    for part in [
        "shot &lt;7&gt;",
        "<b>planned</b> by pipeline",
        "500 credits; nothing is launched of it yet, 0 of 50 assets done",
        "Planned already",
    ] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
    assert!(!planned.contains("<7>") && !planned.contains("accept-1"));

    // A note changes nothing until it is accepted.
    let with_plan = expected_use().await;
    let (status, ..) = keep(&[("keep", "record"), ("label", ""), ("token", PIPELINE)]).await;
    assert_eq!((status, expected_use().await), (303, with_plan));
    assert!(page("team=environment-art").await.contains("<b>noted</b> by pipeline"));
    let change = async |path: &str, token: &str| {
        let fields = [("team", "environment-art"), ("token", token)];
        desk.submit(path, &fields, Some(&desk.url)).await
    };
    for (path, token, status, words) in [
        ("/plan/2/accept", PROPS, 403, "id=\"accept-2-wrong\""),
        ("/plan/9/withdraw", PIPELINE, 404, "has no estimate `9`"),
        ("/plan/two/withdraw", PIPELINE, 404, "there is no estimate `two`"),
        ("/plan/2/accept", PIPELINE, 303, ""),
        ("/plan/1/withdraw", PIPELINE, 303, ""),
        ("/plan/1/accept", PIPELINE, 409, "estimate `1` is withdrawn"),
        ("/plan/2/withdraw", PIPELINE, 303, ""),
    ] {
        let (found, _, page) = change(path, token).await;
        assert!(found == status && page.contains(words), "{path} {found}: {page}");
    }
    assert_eq!(expected_use().await, usual, "as if nothing had been planned, to the bit");
    assert!(!page("team=environment-art").await.contains("Kept estimates of"));
    // Nobody may announce for a team whose tokens only ask.
    let closed = CONFIGURATION.replace("[push, announce, silence]", "[push]");
    let desk = Desk::open(&closed).await;
    desk.push_history().await;
    let (_, closed) = get(&format!("{}/plan?{asked}", desk.url)).await.unwrap();
    assert!(closed.contains("can: [announce]") && !closed.contains("type=\"password\""), "{closed}");
}
