//! A canary: the API key and the passwords of the relay and of Alertmanager go where they belong, and nowhere else; the secret
//! that signs goes nowhere at all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fuelgauge::clock::{Clock, SystemClock};
use fuelgauge::demo::catcher::{Act, At, Catcher, Script, Tls};
use fuelgauge::demo::platform::Platform;

use crate::support::agent::{STUDIO, STUDIO_KEY, Setup, calm_studio, thirsty_studio, write_configuration};
use crate::support::daemon::{Daemon, run};
use crate::support::servers::{Certificates, eventually, handshake};
use crate::support::stub::{Stub, Told};
use crate::support::write_secret;

const PASSWORD: &str = "canary-8d1f6a04c7b9-open-sesame";

const ALERTMANAGER_PASSWORD: &str = "canary-91f4e7d2a0c3-sesame-open";

/// Signs what a webhook is told.
const HOOK_SECRET: &str = "canary-27e5b8c1f9d6-never-on-the-wire";

/// Whether a text holds a secret, whole or its beginning, as it is or as SMTP's AUTH encodes it.
fn betrays(text: &[u8]) -> Option<&'static str> {
    let login = format!("\0fuelgauge\0{PASSWORD}");
    // Cut to whole groups, so that a longer text around it encodes alike.
    let encoded = [base64(login.as_bytes()), base64(PASSWORD.as_bytes())];
    let holds = |secret: &[u8]| text.windows(secret.len()).any(|window| window == secret);
    if holds(&STUDIO_KEY.as_bytes()[..10]) {
        return Some("the API key");
    }
    let is_there = |password: &str, encoded: &[String]| {
        holds(&password.as_bytes()[..10]) || encoded.iter().any(|text| holds(&text.as_bytes()[..24]))
    };
    if is_there(PASSWORD, &encoded) {
        return Some("the relay's password");
    }
    if holds(&HOOK_SECRET.as_bytes()[..10]) {
        return Some("the webhook's secret");
    }
    let login = format!("fuelgauge:{ALERTMANAGER_PASSWORD}");
    is_there(ALERTMANAGER_PASSWORD, &[base64(login.as_bytes())]).then_some("Alertmanager's password")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// Looks for the secrets in all that the program says and keeps.
struct Listener {
    heard: Vec<(String, Vec<u8>)>,
}

impl Listener {
    fn hear(&mut self, what: &str, said: impl Into<Vec<u8>>) {
        self.heard.push((what.to_owned(), said.into()));
    }

    /// Says whether it went well.
    fn run(&mut self, config: &Path, arguments: &[&str]) -> bool {
        let output = run(config, arguments);
        self.hear(&format!("{arguments:?} stdout"), output.stdout);
        self.hear(&format!("{arguments:?} stderr"), output.stderr);
        output.status.success()
    }

    async fn serve(&mut self, daemon: &Daemon) {
        let team = format!("/teams/{STUDIO}");
        for path in ["/", &team, "/alerts", "/api/v1/status", "/metrics"] {
            let page = daemon.page(path).await;
            assert!(!page.is_empty());
            self.hear(path, page);
        }
        let log = daemon.log();
        assert!(log.contains("TRACE") && log.contains("DEBUG"), "the log has everything in it");
        self.hear("the log", log);
    }

    fn keep(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder.join("ledger")).unwrap() {
            let path = entry.unwrap().path();
            self.hear(&path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
}

/// One that wants a password, and a webhook, which repeat what they hear.
struct Alertmanager {
    stub: Stub,
    password_file: PathBuf,
    secret_file: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

impl Alertmanager {
    async fn start(folder: &Path) -> Alertmanager {
        let password_file = folder.join("alertmanager");
        write_secret(&password_file, ALERTMANAGER_PASSWORD);
        let secret_file = folder.join("hook");
        write_secret(&secret_file, HOOK_SECRET);
        let (heard, refuses): (Arc<Mutex<Vec<String>>>, Arc<AtomicBool>) = Default::default();
        let (noted, is_refusing) = (Arc::clone(&heard), Arc::clone(&refuses));
        let stub = Stub::hearing(move |asked| {
            let status = if is_refusing.load(Ordering::Relaxed) { 401 } else { 200 };
            if asked.target == "/hook" {
                // It has never seen the secret, and can repeat nothing worse than this.
                let heard = format!("{:?} {}", asked.headers, asked.body);
                noted.lock().unwrap().push(heard.clone());
                return Told { status, headers: Vec::new(), body: heard.into_bytes() };
            }
            let authorization = asked.headers["authorization"].to_str().unwrap().to_owned();
            assert!(betrays(authorization.as_bytes()).is_some(), "{authorization}");
            noted.lock().unwrap().push(asked.body.clone());
            let body = format!("{authorization} {ALERTMANAGER_PASSWORD}").into_bytes();
            Told { status, headers: Vec::new(), body }
        })
        .await;
        Alertmanager { stub, password_file, secret_file, heard, refuses }
    }

    fn add_to(&self, config: &Path) {
        let text = std::fs::read_to_string(config).unwrap();
        let (url, file) = (&self.stub.url, self.password_file.display());
        let section = format!("{{urls: [\"{url}\"], username: fuelgauge, credentials_file: {file}}}");
        let hook = format!("{{name: hook, url: \"{url}/hook\", secret_file: {}}}", self.secret_file.display());
        std::fs::write(config, format!("{text}alertmanager: {section}\nwebhooks: [{hook}]\n")).unwrap();
    }

    fn was_told(&self, what: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|body| body.contains(what))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_go_where_they_belong_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::for_localhost(folder.path());
    let now = SystemClock.now();
    let world = thirsty_studio(now);
    let setup = Setup::watching(STUDIO, world.clone(), now);
    let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap();
    let catcher = Catcher::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let login = Some(("fuelgauge".to_owned(), PASSWORD.to_owned()));
    let encrypted = || Tls::Starttls(handshake(&certificates));
    catcher.set_script(Script { login: login.clone(), tls: encrypted(), ..Script::default() });
    let password_file = folder.path().join("password");
    write_secret(&password_file, PASSWORD);
    let relay = format!(
        "{{host: localhost, port: {}, security: starttls, username: fuelgauge, password_file: {}, ca_file: {}}}",
        catcher.local_addr().port(),
        password_file.display(),
        certificates.ca_file.display()
    );
    let alertmanager = Alertmanager::start(folder.path()).await;
    let config = write_configuration(folder.path(), &setup, &platform.base_url(), &relay);
    alertmanager.add_to(&config);
    let mut listener = Listener { heard: Vec::new() };

    // A good day: both secrets are used, or nothing would come back.
    for arguments in [
        ["check"].as_slice(),
        &["poll", "--dry-run", "--log.level=trace"],
        &["poll", "--format", "json"],
        &["status"],
        &["status", "--format", "json"],
        &["send-test-mail", "lead@studio.example", "--log.level=trace"],
    ] {
        assert!(listener.run(&config, arguments), "{arguments:?}");
    }
    let daemon = Daemon::serve(&config).await;
    daemon.wait_for("fuelgauge_charged_credits_total", &[("account", STUDIO)], |value| value == 3_600.0).await;
    let arrived = tokio::time::timeout(std::time::Duration::from_secs(30), catcher.wait_for(2)).await;
    for mail in arrived.expect("the test mail and the warning") {
        listener.hear("a mail", mail.bytes.clone());
    }
    eventually("the webhook to be told", async || alertmanager.was_told("truncatedAlerts").then_some(())).await;
    eventually("Alertmanager to be told", async || alertmanager.was_told("FuelgaugeExhaustion").then_some(())).await;
    listener.serve(&daemon).await;
    drop(daemon);

    // A bad day: the platform, the relay and Alertmanager repeat what they were given in everything they say.
    let stub = Stub::answering(|path, authorization| match path {
        "/openapi/v1/balance" => (200, format!("{{\"balance\": \"{authorization}\"}}")),
        "/openapi/v1/usage/tasks" => (403, format!("{{\"message\": \"{authorization}\"}}")),
        "/openapi/v2/text-to-3d" => (500, authorization.to_owned()),
        _ => (200, format!("[{{\"id\": \"{authorization}\", \"{authorization}\": 1}}]")),
    })
    .await;
    let echo = Act::Reply(format!("535 5.7.8 `{PASSWORD}` for fuelgauge is wrong"));
    catcher.set_script(Script { faults: vec![(At::Auth, echo)], login, tls: encrypted() });
    let setup = Setup::watching(STUDIO, calm_studio(now), now);
    let config = write_configuration(folder.path(), &setup, &stub.url, &relay);
    alertmanager.add_to(&config);
    alertmanager.refuses.store(true, Ordering::Relaxed);
    for arguments in [
        ["poll", "--log.level=trace"].as_slice(),
        &["poll", "--format", "json"],
        &["send-test-mail", "lead@studio.example", "--log.level=trace"],
    ] {
        assert!(!listener.run(&config, arguments), "{arguments:?}");
    }
    let daemon = Daemon::serve(&config).await;
    daemon.wait_for("fuelgauge_source_up", &[("account", STUDIO)], |value| value == 0.0).await;
    eventually("the failure in the log", async || daemon.log().contains("could not read balance").then_some(())).await;
    let refusal = "it does not accept who sends";
    eventually("the refusal in the log", async || daemon.log().contains(refusal).then_some(())).await;
    listener.serve(&daemon).await;
    drop(daemon);

    for body in alertmanager.heard.lock().unwrap().iter() {
        listener.hear("what Alertmanager is shown", body.clone());
    }

    // A key file with two lines, and a key that fits into no header.
    for key in [format!("{STUDIO_KEY}\nsecond line"), format!("{STUDIO_KEY}\u{e9}")] {
        write_secret(&folder.path().join("studio.key"), &key);
        listener.run(&config, &["check"]);
        assert!(!listener.run(&config, &["poll", "--log.level=trace"]), "{key:?}");
    }
    listener.keep(folder.path());

    assert!(listener.heard.len() > 30, "{}", listener.heard.len());
    for (what, said) in &listener.heard {
        let text = String::from_utf8_lossy(said);
        assert_eq!(betrays(said), None, "{what}: {}", text.chars().take(20_000).collect::<String>());
    }
    let heard = |what: &str| {
        let is_it = |(name, said): &&(String, Vec<u8>)| name.contains(what) && !said.is_empty();
        listener.heard.iter().filter(is_it).count()
    };
    assert!(heard("poll") > 4 && heard("fuelgauge.db") >= 1);
}

#[test]
fn the_canary_would_be_noticed() {
    for (text, expected) in [
        (format!("Bearer {STUDIO_KEY}"), Some("the API key")),
        (STUDIO_KEY[..12].to_owned(), Some("the API key")),
        (format!("AUTH `{PASSWORD}`"), Some("the relay's password")),
        (
            "AUTH PLAIN AGZ1ZWxnYXVnZQBjYW5hcnktOGQxZjZhMDRjN2I5LW9wZW4tc2VzYW1l".to_owned(),
            Some("the relay's password"),
        ),
        (HOOK_SECRET.to_owned(), Some("the webhook's secret")),
        (format!("Bearer {ALERTMANAGER_PASSWORD}"), Some("Alertmanager's password")),
        ("Basic ZnVlbGdhdWdlOmNhbmFyeS05MWY0ZTdkMmEwYzMtc2VzYW1lLW9wZW4=".to_owned(), Some("Alertmanager's password")),
        ("msy_ canary".to_owned(), None),
    ] {
        assert_eq!(betrays(text.as_bytes()), expected, "{text}");
    }
}
