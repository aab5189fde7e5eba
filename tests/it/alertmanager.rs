//! What fires, as a real Alertmanager has it.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use fuelgauge::clock::{Clock, SystemClock};
use fuelgauge::domain::{Credits, RuleName};
use fuelgauge::notify::{NotifyError, NotifyFailure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::agent::STUDIO;
use crate::support::daemon::Daemon;
use crate::support::scene::{Scene, TEAM};
use crate::support::servers::{Alertmanager, Certificates, eventually, free_port};
use crate::support::stub::{Stub, Told};
use crate::support::write_secret;

const TO_NOBODY: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
const PASSWORD: &str = "canary-5e02c7d9b1-knock-knock";
/// Of [`PASSWORD`], at the lowest cost.
const PASSWORD_HASH: &str = "$2b$04$/7gQIoKNAeHolXr3KY3R7OuX/f8ZWg9pYjWVM/iiHypy1m29l7x.O";

/// A round to each Alertmanager, in the order of the configuration.
async fn forward(scene: &Scene) -> Vec<Result<usize, NotifyError>> {
    let mut rounds = Vec::new();
    for forwarder in &scene.agent().forwarders {
        rounds.push(forwarder.forward_once().await);
    }
    rounds
}

async fn open(section: &str) -> Scene {
    Scene::open(&format!("alertmanager: {section}")).await
}

/// `alertname severity`, in the order of their names.
fn names(alerts: &[Value]) -> Vec<String> {
    let name = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap().to_owned();
        format!("{} {}", label("alertname"), label("severity"))
    };
    let mut names: Vec<String> = alerts.iter().map(name).collect();
    names.sort();
    names
}

const FIRING: [&str; 3] =
    ["FuelgaugeExhaustion critical", "FuelgaugeExhaustion warning", "FuelgaugeLowBalance warning"];

#[tokio::test]
async fn what_fires_is_there_with_its_labels_and_goes_when_it_is_over() {
    let manager = Alertmanager::start(TO_NOBODY).await;
    let dead = format!("http://127.0.0.1:{}", free_port());
    let scene = open(&format!("{{urls: [\"{dead}\", \"{}\"]}}", manager.url)).await;
    assert_eq!(forward(&scene).await[1], Ok(0), "nothing fires, and the way is open");
    scene.poll().await;

    // One that is down does not keep it from the other.
    let rounds = forward(&scene).await;
    assert_eq!(rounds[0].clone().unwrap_err().kind, NotifyFailure::Transient);
    assert_eq!(rounds[1], Ok(3));
    let shown = manager.alerts(&[]);
    assert_eq!(names(&shown), FIRING, "what is muted here among it: {shown:#?}");
    let critical = shown.iter().find(|alert| alert["labels"]["severity"] == "critical").unwrap();
    let labels = &critical["labels"];
    assert_eq!((&labels["alert"], &labels["account"]), (&Value::from("exhaustion"), &Value::from(STUDIO)));
    assert_eq!(labels["team"], TEAM);
    let annotations = &critical["annotations"];
    assert_eq!(annotations["summary"], "A team is on pace to use up its credits before the plan resets.");
    let description = annotations["description"].as_str().unwrap();
    assert!(description.starts_with(&format!("Team {TEAM} on studio: the credits run out before")), "{description}");
    let base = "https://fuelgauge.studio.example";
    assert_eq!(annotations["runbook_url"], format!("{base}/rules/exhaustion"));
    let path = "teams/K%C3%A4fer%20%26%20%22Co%22%2C%20%7B%7B%20props%20%7D%7D";
    assert_eq!(annotations["dashboard_url"], format!("{base}/{path}"));
    assert_eq!(critical["generatorURL"], format!("{base}/alerts"));
    let since = scene.since(RuleName::Exhaustion);
    let at = |alert: &Value, when: &str| alert[when].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!((at(critical, "startsAt"), at(critical, "endsAt")), (since, since + SignedDuration::from_mins(4)));

    // A silence there works by our labels.
    let team = format!("team={}", serde_json::to_string(TEAM).unwrap());
    manager.amtool(&["silence", "add", "--comment=told", "--duration=1h", "alert=exhaustion", &team]);
    eventually("the silence to work", async || (manager.alerts(&[]).len() == 1).then_some(())).await;
    assert_eq!(names(&manager.alerts(&["--silenced"])), FIRING[..2]);

    // After a restart nothing has been polled, and the same is said of the same beginning.
    scene.clock.advance(SignedDuration::from_millis(1));
    let scene = scene.restart().await;
    assert_eq!(forward(&scene).await[1], Ok(3));
    let again = manager.alerts(&["--active", "--silenced"]);
    assert_eq!(names(&again), FIRING);
    assert!(again.iter().all(|alert| at(alert, "startsAt") == since), "{again:#?}");

    // Credits come, the alerts are over, and they go.
    scene.platform.world().top_up(STUDIO, Credits::from_whole(50_000)).unwrap();
    scene.clock.set(SystemClock.now());
    scene.poll().await;
    assert_eq!(forward(&scene).await[1], Ok(3), "told with their end");
    eventually("the alerts to go", async || manager.alerts(&["--active", "--silenced"]).is_empty().then_some(())).await;
    scene.clock.advance(SignedDuration::from_mins(15));
    assert_eq!(forward(&scene).await[1], Ok(0), "long enough");

    let scrape = scene.scrape().await;
    let labels = [("channel", "alertmanager")];
    assert_eq!(
        scrape.value("fuelgauge_notifications_total", &labels),
        Some(6.0),
        "three rounds since the restart, to two"
    );
    let accepted_at = scrape.value("fuelgauge_notification_last_success_timestamp_seconds", &labels);
    assert_eq!(accepted_at, Some(scene.clock.now().as_millisecond() as f64 / 1000.0));
    let failures = "fuelgauge_notification_failures_total";
    assert_eq!(scrape.value(failures, &[labels[0], ("reason", "transient")]), Some(3.0));
    assert_eq!(scrape.value(failures, &[labels[0], ("reason", "permanent")]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_holds_nothing_up() {
    let manager = Alertmanager::start(&shipped_routes()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = format!("http://{}", listener.local_addr().unwrap());
    let section = format!("{{urls: [\"{hangs}\", \"{}\"], timeout: 2s}}", manager.url);
    let scene = open(&section).await.stop().await;
    let daemon = Daemon::serve(&scene.config).await;
    // Long before the next round, because it is news. By the shipped routes the critical alert holds back the warnings, as fuelgauge itself does.
    eventually("the alerts", async || (names(&manager.alerts(&["--active"])) == FIRING[..1]).then_some(())).await;
    assert_eq!(names(&manager.alerts(&["--inhibited"])), FIRING[1..]);
    let labels = [("channel", "alertmanager"), ("reason", "transient")];
    daemon.wait_for("fuelgauge_notification_failures_total", &labels, |failures| failures >= 1.0).await;
    assert_eq!(daemon.page("/-/healthy").await, "fuelgauge is healthy.\n");
    let log = daemon.log();
    assert!(log.contains("alerts not shown to the Alertmanager") && log.contains("no answer in time"), "{log}");
}

#[tokio::test]
async fn a_password_opens_the_door_and_a_private_authority_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::for_localhost(folder.path());
    let manager = Alertmanager::guarded(&certificates, "fuelgauge", PASSWORD, PASSWORD_HASH).await;
    let secret = folder.path().join("alertmanager");
    write_secret(&secret, PASSWORD);
    let credentials = format!("username: fuelgauge, credentials_file: {}", secret.display());
    let section = |more: String| format!("{{urls: [\"{}\"], {more}}}", manager.url);
    let authority = format!("ca_file: {}", certificates.ca_file.display());
    let scene = open(&section(format!("{credentials}, {authority}"))).await;
    scene.poll().await;
    assert_eq!(forward(&scene).await[0], Ok(3));
    assert_eq!(names(&manager.alerts(&[])), FIRING);

    // The password changes, and changes back: it is read for each round.
    write_secret(&secret, "another");
    let refused = forward(&scene).await[0].clone().unwrap_err();
    assert_eq!(refused.kind, NotifyFailure::Configuration, "{refused}");
    assert!(refused.to_string().contains("found 401\nhint: "), "{refused}");
    write_secret(&secret, PASSWORD);
    assert_eq!(forward(&scene).await[0], Ok(3));

    let stranger = open(&section(credentials)).await;
    let distrusted = forward(&stranger).await[0].clone().unwrap_err();
    assert_eq!(distrusted.kind, NotifyFailure::Configuration, "{distrusted}");
    assert!(distrusted.to_string().contains("certificate"), "{distrusted}");
}

#[tokio::test]
async fn what_an_alertmanager_answers_is_understood_and_not_believed() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let elsewhere = Arc::clone(&heard);
    let trap = Stub::hearing(move |asked| {
        elsewhere.lock().unwrap().push(asked.target.clone());
        Told { status: 200, headers: Vec::new(), body: Vec::new() }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    write_secret(&secret, PASSWORD);
    let location: &'static str = trap.url.clone().leak();
    for (status, says, with_token, kind, expected) in [
        (
            400,
            "\"start time\u{1b}[31m must be before end time\"",
            false,
            NotifyFailure::Permanent,
            "start time [31m must",
        ),
        (401, "Bearer {token}", true, NotifyFailure::Configuration, "found 401\nhint: it does not accept who sends"),
        (404, "", false, NotifyFailure::Configuration, "nobody takes it at that address"),
        (302, "", true, NotifyFailure::Configuration, "redirects are not followed"),
        (429, "slow down", false, NotifyFailure::RateLimited, "found 429: slow down"),
        (500, "{token} {token}", true, NotifyFailure::Transient, "found 500"),
        (503, "x", false, NotifyFailure::Transient, "found 503: x"),
    ] {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (noted, answer) = (Arc::clone(&seen), says.replace("{token}", PASSWORD));
        let stub = Stub::hearing(move |asked| {
            let token = asked.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
            noted.lock().unwrap().push(format!("{} {} {token}", asked.method, asked.target));
            let huge = answer.clone() + &"x".repeat(100_000);
            Told { status, headers: vec![("location", location)], body: huge.into_bytes() }
        })
        .await;
        let auth = if with_token { format!(", credentials_file: {}", secret.display()) } else { String::new() };
        let scene = open(&format!("{{urls: [\"{}/prefix/\"]{auth}}}", stub.url)).await;
        let error = forward(&scene).await[0].clone().unwrap_err();
        assert_eq!(error.kind, kind, "{status}: {error}");
        let said = error.to_string();
        assert!(said.contains(expected) && !said.contains("canary") && said.len() < 800, "{status}: {said}");
        let token = if with_token { format!("Bearer {PASSWORD}") } else { String::new() };
        assert_eq!(*seen.lock().unwrap(), [format!("POST /prefix/api/v2/alerts {token}")], "once, and not again");
    }
    assert!(heard.lock().unwrap().is_empty(), "nothing goes where a redirect leads");
    // A token that fits into no header.
    write_secret(&secret, "two\nlines-canary");
    let scene = open(&format!("{{urls: [\"{}\"], credentials_file: {}}}", trap.url, secret.display())).await;
    let error = forward(&scene).await[0].clone().unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Configuration);
    assert!(error.to_string().contains("expected a secret of one line") && !error.to_string().contains("canary"));
}

fn shipped_routes() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/alertmanager.yml")).unwrap()
}

#[test]
fn the_shipped_routes_are_right_and_inhibit_what_fuelgauge_does() {
    let amtool = |arguments: &[&str]| {
        let output = Command::new("amtool").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("amtool is installed by ./test");
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    amtool(&["check-config", "config/alertmanager.yml"]);
    for (labels, receivers) in [
        (["alertname=FuelgaugeExhaustion", "team=props", "severity=critical"], "on-call,leads"),
        (["alertname=FuelgaugeExhaustion", "team=environment-art", "severity=critical"], "on-call,environment-art"),
        (["alertname=FuelgaugeLowBalance", "team=props", "severity=warning"], "leads"),
        (["alertname=FuelgaugePlanReset", "team=environment-art", "severity=info"], "leads"),
        (["alertname=FuelgaugeAbsent", "job=fuelgauge", "severity=critical"], "operators"),
    ] {
        let test = ["config", "routes", "test", "--config.file=config/alertmanager.yml"];
        let said = amtool(&[&test[..], &labels].concat());
        assert_eq!(said.lines().next(), Some(receivers), "{labels:?}");
    }

    let routes: Value = serde_saphyr::from_str(&shipped_routes()).unwrap();
    let mut inhibited: Vec<(String, String)> = Vec::new();
    for rule in routes["inhibit_rules"].as_array().unwrap() {
        let matcher = |side: &str| rule[side][0].as_str().unwrap().to_owned();
        let (source, targets) = (matcher("source_matchers"), matcher("target_matchers"));
        let value = |text: &str| text.split(['=', '~']).next_back().unwrap().trim().trim_matches('"').to_owned();
        if source.starts_with("alert =") {
            inhibited.extend(value(&targets).split('|').map(|target| (target.to_owned(), value(&source))));
        }
    }
    let muted = RuleName::ALL
        .into_iter()
        .flat_map(|rule| rule.muted_by().iter().map(move |by| (rule.as_str().to_owned(), by.as_str().to_owned())));
    let mut expected: Vec<(String, String)> = muted.collect();
    expected.sort();
    inhibited.sort();
    assert_eq!(inhibited, expected);
}
