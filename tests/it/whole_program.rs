//! The built program among real neighbours: a platform over HTTP, a Prometheus that scrapes it, a Postfix that takes its
//! mail over verified TLS, a browser that shows its page.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::clock::SystemClock;
use fuelgauge::demo::platform::{HOT, NewTask, Platform, STEADY, World};
use fuelgauge::domain::Credits;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::process::Command;

use crate::support::mail::python_reads;
use crate::support::program::Studio;
use crate::support::servers::{Postfix, Prometheus, eventually};
use crate::support::{client, get};

/// A platform where the hot team has next to nothing left of its month, and a studio that watches it.
struct Stage {
    platform: Platform,
    postfix: Postfix,
    studio: Studio,
}

impl Stage {
    async fn set(external_url: &str) -> Stage {
        let now = Timestamp::now();
        let mut world = World::demo(1, now);
        world.forget_planned_top_ups(HOT.name).unwrap();
        world.set_balance(HOT.name, Credits::from_whole(400), Credits::ZERO).unwrap();
        // One task that waits, and one that will be repeated.
        launch(&mut world, now, "a lantern");
        finish_last(&mut world, now);
        let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap();
        let postfix = Postfix::delivering_to(&["lead", "billing"]).await;
        let studio = Studio::new();
        studio.configure(&configuration(&studio, &platform, &postfix, external_url));
        Stage { platform, postfix, studio }
    }

    /// What a team does in a minute: it repeats a task, has one fail, and lets one wait.
    fn work(&self) {
        let now = Timestamp::now();
        let mut world = self.platform.world();
        world.advance_to(now);
        launch(&mut world, now, "a lantern");
        finish_last(&mut world, now);
        let failing = launch(&mut world, now, "a bridge");
        world.fail_task(failing, now).unwrap();
        launch(&mut world, now - SignedDuration::from_mins(4), "a tower");
    }
}

fn launch(world: &mut World, at: Timestamp, prompt: &str) -> fuelgauge::demo::platform::TaskId {
    let task = NewTask { kind: "text-to-3d-preview", at, credits: None, prompt: Some(prompt), key: 0 };
    world.add_task(HOT.name, task).unwrap()
}

fn finish_last(world: &mut World, at: Timestamp) {
    let id = world.account(HOT.name).unwrap().tasks().last().unwrap().id;
    world.finish_task(id, at).unwrap();
}

fn configuration(studio: &Studio, platform: &Platform, postfix: &Postfix, external_url: &str) -> String {
    let mut text = format!("storage: sqlite:{}\naccounts:\n", studio.ledger().display());
    for team in [STEADY, HOT] {
        studio.write(&format!("config/secrets/{}", team.name), team.api_key);
        let world = platform.world();
        let setup = world.account(team.name).unwrap().setup();
        let reset = setup.reset.as_ref().unwrap();
        text += &format!(
            "  - name: {name}\n    platform: meshy\n    base_url: {url}\n    api_key_file: secrets/{name}\n    \
             schedule: \"* * * * *\"\n    timezone: {zone}\n    plan:\n      name: studio\n      credits: {grant}\n      \
             anchor: {{day: {day}, time: \"{time}\"}}\n",
            name = team.name,
            url = platform.base_url(),
            zone = reset.zone.iana_name().unwrap(),
            grant = setup.monthly_grant,
            day = reset.day,
            time = reset.time.strftime("%H:%M"),
        );
    }
    text += "teams:\n";
    for team in [STEADY, HOT] {
        text += &format!(
            "  - name: {name}\n    account: {name}\n    roles: {{lead: [Lead <lead@studio.example>], billing: [billing@studio.example]}}\n",
            name = team.name
        );
    }
    // Whatever the day of the week: dry within two weeks is critical here.
    text += "alerts: {exhaustion: {critical_within: 14d}}\n";
    text += &format!(
        "email:\n  from: fuelgauge <fuelgauge@studio.example>\n  \
         relay: {{host: localhost, port: {}, security: starttls, ca_file: {}}}\n\
         web: {{external_url: \"{external_url}\"}}\n",
        postfix.port,
        postfix.certificates.ca_file.display(),
    );
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_platform_to_the_graph_and_the_letterbox() {
    let stage = Stage::set("https://fuelgauge.studio.example").await;
    let started = Timestamp::now();
    let agent = stage.studio.serve().await;
    let prometheus = Prometheus::scraping(agent.target()).await;
    agent.polled_since(started).await;

    let mail = eventually("the mail in the lead's letterbox", async || stage.postfix.mailbox("lead").pop()).await;
    check_mail(&mail).await;
    eventually("the mail in the other letterbox", async || stage.postfix.mailbox("billing").pop()).await;

    let seen = "fuelgauge_task_retries_total > 0";
    eventually("a scrape of the first poll", async || prometheus.query(seen).await.pop()).await;
    // After that scrape the team goes on. A reload begins with a poll.
    stage.work();
    let worked = Timestamp::now();
    agent.running.signal("HUP").await;
    agent.polled_since(worked).await;
    check_answers(&prometheus).await;
    check_dashboard(&prometheus).await;
    check_rules(&prometheus).await;

    check_pages(&agent.url).await;
    check_browser(&agent.url, stage.studio.path()).await;

    assert_eq!(stage.postfix.mailbox("lead").len(), 1, "a reload tells nothing twice");
    let ended = agent.running.stop("TERM", Duration::from_secs(5)).await.expect(0);
    assert_eq!(ended.out, "", "logs go to standard error");
    assert!(!ended.err.contains("level=error") && !ended.err.contains("ERROR"), "{}", ended.err);
    for secret in [HOT.api_key, STEADY.api_key] {
        assert!(!ended.err.contains(secret), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_goes_through_both_doors_of_a_real_relay() {
    let postfix = Postfix::delivering_to(&["lead"]).await;
    let studio = Studio::new();
    let configure = |relay: String| {
        let minimal =
            "accounts: [{name: studio}]\nteams: [{name: art, account: studio, roles: {lead: [lead@studio.example]}}]\n";
        studio.configure(&format!("{minimal}email: {{from: fuelgauge@studio.example, relay: {{{relay}}}}}\n"));
    };
    let ca_file = postfix.certificates.ca_file.display();
    for (number, (security, port)) in
        [("starttls", postfix.port), ("implicit", postfix.implicit_tls_port)].into_iter().enumerate()
    {
        configure(format!("host: localhost, port: {port}, security: {security}, ca_file: {ca_file}"));
        let ended = studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(0);
        assert!(ended.out.contains("accepted by localhost:"), "{}", ended.out);
        eventually("the test mail", async || (postfix.mailbox("lead").len() == number + 1).then_some(())).await;

        // The same relay without the authority, or under another name, is not believed.
        configure(format!("host: localhost, port: {port}, security: {security}"));
        studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(1).says(&["certificate", "hint: "]);
        configure(format!("host: 127.0.0.1, port: {port}, security: {security}, ca_file: {ca_file}"));
        studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(1).says(&["certificate", "hint: "]);
    }
    let mail = postfix.mailbox("lead").pop().unwrap();
    let read = python_reads(&mail).await;
    assert_eq!(read["defects"], serde_json::json!([]), "{read}");
    assert_eq!(read["headers"]["Subject"], "Test mail of fuelgauge");
}

async fn check_mail(mail: &str) {
    let read = python_reads(mail).await;
    assert_eq!(read["defects"], serde_json::json!([]), "{mail}");
    assert_eq!(
        read["types"],
        serde_json::json!(["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"])
    );
    let header = |name: &str| read["headers"][name].as_str().unwrap_or_else(|| panic!("no {name}:\n{mail}"));
    for (name, part) in [
        ("From", "fuelgauge <fuelgauge@studio.example>"),
        ("To", "lead@studio.example"),
        ("Subject", HOT.name),
        ("Message-ID", "@studio.example>"),
        ("References", "@studio.example>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Fuelgauge-Team", HOT.name),
        ("X-Fuelgauge-Alert", "exhaustion"),
        ("X-Fuelgauge-State", "opened"),
        ("X-Fuelgauge-Severity", "critical"),
        ("Received", "ESMTPS"),
    ] {
        assert!(header(name).contains(part), "{name}: {}", header(name));
    }
    assert_ne!(header("Message-ID"), header("References"));
    for text in read["text"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        for part in [HOT.name, "Critical", "https://fuelgauge.studio.example/teams/character-art"] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
    }
}

async fn check_answers(prometheus: &Prometheus) {
    let one = async |query: &str| {
        eventually(query, async || {
            let samples = prometheus.query(query).await;
            (samples.len() == 1).then(|| samples[0].1)
        })
        .await
    };
    let team = format!(r#"{{team="{}"}}"#, HOT.name);
    let left = one(&format!("sum(fuelgauge_balance_credits{team})")).await;
    assert!(left > 200.0 && left <= 400.0, "{left}");
    let probability = one(&format!("fuelgauge_forecast_exhaustion_probability_ratio{team}")).await;
    assert!(probability > 0.95, "{probability}");
    assert_eq!(one(&format!("fuelgauge_alerts_active{{team=\"{}\",alert=\"exhaustion\"}} == 1", HOT.name)).await, 1.0);
    let others = format!(r#"sum(fuelgauge_alerts_active{{team="{}"}})"#, STEADY.name);
    assert_eq!(one(&others).await, 0.0, "the steady team is left in peace");
    assert_eq!(one("sum(fuelgauge_web_failures_total) + sum(fuelgauge_store_failures_total)").await, 0.0);
}

/// Every query of every panel, and every variable, has an answer.
/// The panel that has nothing to show before an estimate was met, a day after its launches: it is asked for without a mistake.
const AFTER_DAYS: &str = "Estimates within what nine of ten cost";

async fn check_dashboard(prometheus: &Prometheus) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/fuel.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let fill = |expression: &str| {
        let filled = ["$job", "$instance"].iter().fold(expression.to_owned(), |text, name| text.replace(name, ".+"));
        let filled = ["$account", "$team"].iter().fold(filled, |text, name| text.replace(name, ".*"));
        filled.replace("$__rate_interval", "1m")
    };
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            let expression = fill(target["expr"].as_str().unwrap());
            if panel["title"] == AFTER_DAYS {
                prometheus.query(&expression).await;
                continue;
            }
            let name = format!("data of the panel {}: {expression}", panel["title"]);
            eventually(&name, async || (!prometheus.query(&expression).await.is_empty()).then_some(())).await;
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
    // What happened between the scrapes is seen: a rate that is always 0 would have data too.
    for happened in ["fuelgauge_task_retries_total", "fuelgauge_retry_credits_total", "fuelgauge_charged_credits_total"]
    {
        let query = format!(r#"sum(increase({happened}{{team="{}"}}[1m])) > 0"#, HOT.name);
        eventually(&query, async || prometheus.query(&query).await.pop()).await;
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let (selector, label) =
            query.trim_start_matches("label_values(").trim_end_matches(')').rsplit_once(", ").unwrap();
        let grouped = format!("group by ({label}) ({})", fill(selector));
        assert!(!prometheus.query(&grouped).await.is_empty(), "{query}");
    }
}

/// The shipped rules are loaded and evaluated by that Prometheus; the one for a team that runs dry is on its way.
async fn check_rules(prometheus: &Prometheus) {
    let url = format!("{}/api/v1/rules", prometheus.url);
    let rules = async || -> Vec<Value> {
        let answer: Value = serde_json::from_str(&get(&url).await.unwrap().1).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    };
    let rules = eventually("every rule to be evaluated", async || {
        let rules = rules().await;
        (!rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")).then_some(rules)
    })
    .await;
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let state = |name: &str| rules.iter().find(|rule| rule["name"] == name).map(|rule| rule["state"].clone());
    assert_eq!(state("FuelgaugeCreditsExhaustedBeforeReset").unwrap(), "pending");
    assert_eq!(state("FuelgaugeAbsent").unwrap(), "inactive");
}

async fn check_pages(url: &str) {
    for (path, status, part) in [
        ("/", 200, HOT.name),
        ("/teams/character-art", 200, "</svg>"),
        ("/teams/nobody", 404, "No team is named"),
        ("/alerts", 200, HOT.name),
        ("/silences?alert=exhaustion", 200, "No alert is silenced."),
        ("/-/healthy", 200, "healthy"),
        ("/-/ready", 200, "ready"),
        ("/api/v1/status", 200, "\"outbox\""),
        ("/metrics", 200, "# TYPE fuelgauge_balance_credits gauge"),
        ("/nothing/here", 404, "no page"),
    ] {
        let (found, text) = get(&format!("{url}{path}")).await.unwrap();
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
    let reload = client().post(format!("{url}/-/reload")).send().await.unwrap();
    assert_eq!(reload.status().as_u16(), 404, "reloading over HTTP has to be switched on");
    let healthcheck = Command::new(env!("CARGO_BIN_EXE_fuelgauge")).args(["healthcheck", "--url", url]).output();
    assert!(healthcheck.await.unwrap().status.success());
}

async fn check_browser(url: &str, folder: &std::path::Path) {
    let shown = async |address: String| {
        let profile = format!("--user-data-dir={}", folder.join("browser").display());
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --v=0";
        let browser = Command::new("chromium")
            .args(flags.split_whitespace())
            .args([&profile, "--dump-dom", &address])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(60), browser).await.expect("the browser ends by itself");
        let output = output.expect("chromium is installed by ./test");
        let log = String::from_utf8_lossy(&output.stderr);
        let complaints: Vec<String> = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
    };
    for (path, part) in [("/", "</svg>"), ("/teams/character-art", "</svg>"), ("/silences", "No alert is silenced.")] {
        let (page, complaints) = shown(format!("{url}{path}")).await;
        assert!((path == "/silences" || page.contains(HOT.name)) && page.contains(part), "{path}: {page}");
        assert_eq!(complaints, Vec::<String>::new(), "{path}");
    }
    // A page whose own policy blocks its style is complained about: the check above can fail.
    let blocked =
        "data:text/html,<meta http-equiv=Content-Security-Policy content=\"style-src 'none'\"><p style=color:red>";
    let (_, complaints) = shown(blocked.to_owned()).await;
    assert!(!complaints.is_empty());
}
