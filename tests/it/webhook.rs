//! Webhooks, as a program in another language receives them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::clock::{Clock, SystemClock};
use fuelgauge::config::{SecretFile, WebhookConfig};
use fuelgauge::domain::{Credits, RuleName};
use fuelgauge::notify::{NotifyFailure, Webhook};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::STUDIO;
use crate::support::readme::example;
use crate::support::scene::{Scene, TEAM, millis};
use crate::support::servers::{Certificates, Process};
use crate::support::stub::{Asked, Stub, Told};
use crate::support::write_secret;

const SECRET: &str = "canary-c0ffee-0123456789abcdef";

/// A server of Python's standard library that lets in whom the README's recipe lets in, and notes what it hears.
struct Receiver {
    url: String,
    folder: TempDir,
    _process: Process,
}

const RECEIVER: &str = r#"
import http.server, json, ssl, sys
from verify import is_ours

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        verdict = is_ours(open("secret", "rb").read().strip(), self.headers, body)
        heard = {"verdict": verdict, "headers": dict(self.headers), "body": body.decode(), "path": self.path}
        with open("heard", "a") as file:
            file.write(json.dumps(heard) + "\n")
        self.send_response(204 if verdict else 401)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

impl Receiver {
    fn start(certificates: Option<&Certificates>) -> Receiver {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("verify.py"), example("verify.py")).unwrap();
        std::fs::write(folder.path().join("receiver.py"), RECEIVER).unwrap();
        write_secret(&folder.path().join("secret"), SECRET);
        let mut command = Command::new("python3");
        command.arg("receiver.py").current_dir(folder.path()).stdout(Stdio::piped());
        if let Some(certificates) = certificates {
            command.arg(&certificates.certificate_file).arg(&certificates.key_file);
        }
        let mut child = command.spawn().expect("python3 is installed by ./test");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let scheme = if certificates.is_some() { "https" } else { "http" };
        Receiver { url: format!("{scheme}://localhost:{}/hook", port.trim()), folder, _process: Process(child) }
    }

    fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    fn heard(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("heard")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn webhook(url: &str, secret: &Path) -> WebhookConfig {
    WebhookConfig {
        name: "pipeline".into(),
        url: url.to_owned(),
        secret_file: SecretFile::new(secret),
        matchers: Vec::new(),
        sends_resolved: true,
        timeout: Duration::from_secs(5),
        allow_private_addresses: false,
        ca_file: None,
    }
}

#[tokio::test]
async fn the_recipe_of_the_readme_knows_who_sent_it_and_when() {
    let receiver = Receiver::start(None);
    let config = webhook(&receiver.url, &receiver.secret_file());
    let hook = Webhook::new(&config);
    let body = "{\"team\":\"Käfer & \\\"Co\\\"\"}".as_bytes();
    let now = SystemClock.now();
    assert_eq!(hook.send("0123abc", body, now).await, Ok(()));

    let stranger = receiver.folder.path().join("another");
    write_secret(&stranger, "another secret of more than sixteen");
    let others = Webhook::new(&webhook(&receiver.url, &stranger));
    for (hook, at) in [(&others, now), (&hook, now - SignedDuration::from_mins(6))] {
        let error = hook.send("0123abc", body, at).await.unwrap_err();
        assert_eq!(error.kind, NotifyFailure::Configuration, "{error}");
        assert!(error.to_string().starts_with("the webhook `pipeline`: ") && !error.to_string().contains("canary"));
    }
    // The secret changes on both sides: it is read for each message.
    write_secret(&receiver.secret_file(), "a new secret of sixteen");
    assert_eq!(hook.send("0123abc", body, now).await, Ok(()));

    let heard = receiver.heard();
    let verdicts: Vec<bool> = heard.iter().map(|one| one["verdict"].as_bool().unwrap()).collect();
    assert_eq!(verdicts, [true, false, false, true]);
    assert!(heard.iter().all(|one| one["body"].as_str().unwrap().as_bytes() == body && one["path"] == "/hook"));
    let header = |wanted: &str| header(&heard[0]["headers"], wanted);
    assert_eq!(header("X-Fuelgauge-Timestamp"), now.as_second().to_string());
    assert_eq!((header("X-Fuelgauge-Delivery"), header("Idempotency-Key")), ("0123abc".into(), "0123abc".into()));
    assert_eq!(header("Content-Type"), "application/json");
    assert!(header("User-Agent").starts_with("fuelgauge/"));
}

#[tokio::test]
async fn a_certificate_has_to_be_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::for_localhost(folder.path());
    let receiver = Receiver::start(Some(&certificates));
    let config = webhook(&receiver.url, &receiver.secret_file());
    let error = Webhook::new(&config).send("1", b"{}", SystemClock.now()).await.unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Configuration, "{error}");
    assert!(receiver.heard().is_empty());
    let trusting = WebhookConfig { ca_file: Some(certificates.ca_file.clone()), ..config };
    assert_eq!(Webhook::new(&trusting).send("1", b"{}", SystemClock.now()).await, Ok(()));
    let elsewhere = WebhookConfig { url: trusting.url.replace("localhost", "127.0.0.1"), ..trusting };
    let error = Webhook::new(&elsewhere).send("1", b"{}", SystemClock.now()).await.unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Configuration, "the certificate is of another name: {error}");
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn what_a_receiver_answers_decides_what_becomes_of_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    write_secret(&secret, SECRET);
    for (status, kind) in [
        (200, None),
        (202, None),
        (204, None),
        (302, Some(NotifyFailure::Configuration)),
        (400, Some(NotifyFailure::Permanent)),
        (404, Some(NotifyFailure::Configuration)),
        (408, Some(NotifyFailure::Transient)),
        (410, Some(NotifyFailure::Permanent)),
        (425, Some(NotifyFailure::Transient)),
        (429, Some(NotifyFailure::RateLimited)),
        (500, Some(NotifyFailure::Transient)),
        (503, Some(NotifyFailure::Transient)),
    ] {
        let stub = Stub::hearing(move |_| Told {
            status,
            headers: vec![("location", "http://127.0.0.1:9/")],
            body: b"x".repeat(if status == 204 { 0 } else { 100_000 }),
        })
        .await;
        let result = Webhook::new(&webhook(&stub.url, &secret)).send("1", b"{}", SystemClock.now()).await;
        assert_eq!(result.clone().err().map(|error| error.kind), kind, "{status}");
        assert!(result.err().is_none_or(|error| error.to_string().len() < 600), "{status}");
    }
    // One that does not answer, and one that is not there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    let impatient = WebhookConfig { timeout: Duration::from_millis(200), ..webhook(&silent, &secret) };
    let error = Webhook::new(&impatient).send("1", b"{}", SystemClock.now()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (NotifyFailure::Transient, "the webhook `pipeline`: no answer in time")
    );
    drop(listener);
    let error = Webhook::new(&webhook(&silent, &secret)).send("1", b"{}", SystemClock.now()).await.unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Transient);
    assert!(!error.to_string().contains("127.0.0.1:"), "the address is nobody's business: {error}");
}

/// The messages to one webhook, in the order of their arrival, each with its delivery id; every signature was right.
fn told_to(receiver: &Receiver, name: &str) -> Vec<Value> {
    let read = |one: Value| {
        assert_eq!(one["verdict"], true);
        let mut message: Value = serde_json::from_str(one["body"].as_str().unwrap()).unwrap();
        message["delivery"] = header(&one["headers"], "X-Fuelgauge-Delivery").into();
        message
    };
    let messages = receiver.heard().into_iter().map(read);
    messages.filter(|message| message["receiver"] == name).collect()
}

fn header(headers: &Value, wanted: &str) -> String {
    let found = headers.as_object().unwrap().iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.unwrap_or_else(|| panic!("{wanted} in {headers}")).1.as_str().unwrap().to_owned()
}

fn severities(message: &Value) -> Vec<&str> {
    let alerts = message["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| alert["labels"]["severity"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_program_is_told_what_people_are_told() {
    let receiver = Receiver::start(None);
    let secret = receiver.secret_file();
    let hook = |name: &str, more: &str| {
        format!("{{name: {name}, url: \"{}\", secret_file: {}, {more}}}", receiver.url, secret.display())
    };
    let hooks = [
        hook("pipeline", ""),
        hook("criticals", "matchers: [severity=critical], send_resolved: false"),
        hook("elsewhere", "matchers: [severity=info]"),
    ];
    let scene = Scene::open(&format!("webhooks: [{}]", hooks.join(", "))).await;
    scene.poll().await;
    let since = scene.since(RuleName::Exhaustion);
    // The mails find no relay.
    assert_eq!((scene.deliver().await.sent, scene.deliver().await.sent), (2, 0));
    let told = told_to(&receiver, "pipeline");
    assert_eq!(told.len(), 1, "low balance is muted by exhaustion: {told:#?}");
    let message = &told[0];
    assert_eq!((&message["version"], &message["status"]), (&"4".into(), &"firing".into()));
    assert_eq!(message["groupLabels"]["team"], TEAM);
    assert_eq!(severities(message), ["critical", "warning"]);
    let alert = &message["alerts"][0];
    assert_eq!(alert["startsAt"].as_str().unwrap().parse::<Timestamp>().unwrap(), since);
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["annotations"]["summary"], "A team is on pace to use up its credits before the plan resets.");
    assert_eq!(severities(&told_to(&receiver, "criticals")[0]), ["critical"]);

    scene.platform.world().top_up(STUDIO, Credits::from_whole(50_000)).unwrap();
    scene.clock.set(SystemClock.now());
    scene.poll().await;
    assert_eq!(scene.deliver().await.sent, 1, "one does not want to hear of the end");
    let told = told_to(&receiver, "pipeline");
    let over = &told[1];
    assert_eq!((&over["status"], &over["groupKey"]), (&"resolved".into(), &message["groupKey"]));
    assert_eq!(severities(over), ["critical", "warning"]);
    for (began, ended) in message["alerts"].as_array().unwrap().iter().zip(over["alerts"].as_array().unwrap()) {
        assert_eq!((&began["fingerprint"], &began["startsAt"]), (&ended["fingerprint"], &ended["startsAt"]));
        assert_eq!(ended["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap(), millis(scene.clock.now()));
    }
    assert_ne!(message["delivery"], over["delivery"]);
    assert!(told_to(&receiver, "elsewhere").is_empty());

    let scrape = scene.scrape().await;
    let channel = |name: &'static str| [("channel", name)];
    let tries = "fuelgauge_notifications_total";
    assert_eq!(scrape.value(tries, &channel("webhook:pipeline")), Some(2.0));
    assert_eq!(scrape.value(tries, &channel("webhook:elsewhere")), Some(0.0), "there from the start");
    let failures = "fuelgauge_notification_failures_total";
    let labels = [("channel", "webhook:elsewhere"), ("reason", "permanent")];
    assert_eq!(scrape.value(failures, &labels), Some(0.0));
}

/// One whose answers a test chooses, and which notes every try.
struct Moody {
    stub: Stub,
    says: Arc<AtomicU16>,
    heard: Arc<Mutex<Vec<Asked>>>,
}

impl Moody {
    async fn start() -> Moody {
        let (says, heard): (Arc<AtomicU16>, Arc<Mutex<Vec<Asked>>>) = (Arc::new(AtomicU16::new(204)), Arc::default());
        let (status, noted) = (Arc::clone(&says), Arc::clone(&heard));
        let stub = Stub::hearing(move |asked| {
            noted.lock().unwrap().push(asked.clone());
            let status = status.load(Ordering::Relaxed);
            let headers = if status == 429 { vec![("retry-after", "1200")] } else { Vec::new() };
            Told { status, headers, body: if status == 410 { b"no such <b>hook</b>".to_vec() } else { Vec::new() } }
        })
        .await;
        Moody { stub, says, heard }
    }

    fn say(&self, status: u16) {
        self.says.store(status, Ordering::Relaxed);
    }

    /// The tries since the last look: status of the alert, delivery id, body, and the moment that was signed.
    fn take(&self) -> Vec<(String, String, String, i64)> {
        let read = |asked: Asked| {
            let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
            let (timestamp, id) = (header("x-fuelgauge-timestamp"), header("x-fuelgauge-delivery"));
            assert_eq!(header("idempotency-key"), id);
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
            let tag = ring::hmac::sign(&key, format!("{timestamp}.{}", asked.body).as_bytes());
            let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(header("x-fuelgauge-signature"), format!("sha256={digits}"));
            let json: Value = serde_json::from_str(&asked.body).unwrap();
            (json["status"].as_str().unwrap().to_owned(), id, asked.body.clone(), timestamp.parse().unwrap())
        };
        self.heard.lock().unwrap().drain(..).map(read).collect()
    }
}

/// A scene with one webhook, and its configuration.
async fn scene_with(moody: &Moody, folder: &Path) -> Scene {
    let secret = folder.join("hook");
    write_secret(&secret, SECRET);
    let hook = format!("{{name: pipeline, url: \"{}/hook\", secret_file: {}}}", moody.stub.url, secret.display());
    Scene::open(&format!("webhooks: [{hook}]")).await
}

#[tokio::test]
async fn an_outage_keeps_bytes_ids_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let moody = Moody::start().await;
    let scene = scene_with(&moody, folder.path()).await;
    moody.say(503);
    scene.poll().await;
    assert_eq!(scene.deliver().await.sent, 0);
    let first = moody.take();
    assert_eq!(first.len(), 1);
    let (status, id, body, signed_at) = first[0].clone();
    assert_eq!((status.as_str(), signed_at), ("firing", scene.clock.now().as_second()));
    assert_eq!(scene.deliver().await.sent, 0);
    assert!(moody.take().is_empty(), "not before its time");

    // It is over while nobody has heard that it began; and the agent begins anew.
    scene.clock.advance(SignedDuration::from_mins(1));
    scene.platform.world().top_up(STUDIO, Credits::from_whole(50_000)).unwrap();
    scene.poll().await;
    let scene = scene.restart().await;
    scene.deliver().await;
    let again = moody.take();
    assert_eq!(again.len(), 1, "one after the other: {again:#?}");
    assert_eq!(
        again[0],
        ("firing".into(), id.clone(), body.clone(), signed_at + 60),
        "signed anew and otherwise the same"
    );

    // It asks to be left alone for twenty minutes, and is.
    moody.say(429);
    scene.clock.advance(SignedDuration::from_mins(5));
    scene.deliver().await;
    assert_eq!(moody.take().len(), 1);
    moody.say(204);
    scene.clock.advance(SignedDuration::from_mins(19));
    scene.deliver().await;
    assert!(moody.take().is_empty(), "it said when");
    scene.clock.advance(SignedDuration::from_mins(2));
    scene.deliver().await;
    scene.deliver().await;
    let at_last = moody.take();
    let statuses: Vec<&str> = at_last.iter().map(|(status, ..)| status.as_str()).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    assert_eq!((&at_last[0].1, &at_last[0].2), (&id, &body));
    assert_ne!(at_last[1].1, id);
    assert_eq!(scene.deliver().await.sent, 0, "once");
}

#[tokio::test]
async fn who_hangs_up_for_good_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let moody = Moody::start().await;
    let scene = scene_with(&moody, folder.path()).await;
    moody.say(410);
    scene.poll().await;
    assert_eq!(scene.deliver().await.failed, 1);
    moody.say(204);
    scene.clock.advance(SignedDuration::from_hours(1));
    scene.deliver().await;
    assert_eq!(moody.take().len(), 1, "it is not asked again");
    let scrape = scene.scrape().await;
    let of_hook = ("channel", "webhook:pipeline");
    assert_eq!(scrape.value("fuelgauge_notification_failures_total", &[of_hook, ("reason", "permanent")]), Some(1.0));
    assert_eq!(scrape.value("fuelgauge_notification_outbox_messages", &[of_hook, ("state", "failed")]), Some(1.0));
    let page = scene.page("/alerts").await;
    assert!(page.contains("webhook:pipeline") && page.contains("no such &lt;b&gt;hook"), "{page}");
    let status: Value = serde_json::from_str(&scene.page("/api/v1/status").await).unwrap();
    let given_up = &status["outbox"]["given_up"][0];
    assert_eq!((&given_up["channel"], &given_up["notices"][0]["team"]), (&"webhook:pipeline".into(), &TEAM.into()));

    // A person can have it tried again.
    let id = given_up["id"].to_string();
    let scene = scene.stop().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuelgauge"));
    let output = command.args(["outbox", "retry", &id, "--config.file"]).arg(&scene.config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scene = scene.restart().await;
    scene.clock.set(SystemClock.now() + SignedDuration::from_hours(1));
    assert_eq!(scene.deliver().await.sent, 1);
    assert_eq!(moody.take().len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_gone_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let moody = Moody::start().await;
    let scene = scene_with(&moody, folder.path()).await;
    moody.say(503);
    scene.poll().await;
    scene.deliver().await;
    let waiting = |scrape: &crate::support::scrape::Scrape, state| {
        let labels = [("channel", "webhook:pipeline"), ("state", state)];
        scrape.value("fuelgauge_notification_outbox_messages", &labels)
    };
    assert_eq!(waiting(&scene.scrape().await, "waiting"), Some(1.0));
    let text = std::fs::read_to_string(&scene.config).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("webhooks:")).collect();
    std::fs::write(&scene.config, without.join("\n")).unwrap();
    let scene = scene.restart().await;
    scene.poll().await;
    let scrape = scene.scrape().await;
    assert_eq!((waiting(&scrape, "waiting"), waiting(&scrape, "failed")), (Some(0.0), Some(1.0)));
    let email = [("channel", "email"), ("state", "failed")];
    let failed_mails = scrape.value("fuelgauge_notification_outbox_messages", &email);
    assert_eq!(failed_mails, Some(0.0), "mail is configured still, and waits for its relay");
    let page = scene.page("/alerts").await;
    assert!(page.contains("the configuration has no such channel any more"), "{page}");
}
