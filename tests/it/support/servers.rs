//! Real servers for the tests: started on free loopback ports with folders of their own, stopped when dropped.

use std::io::{self, Write};
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fuelgauge::demo::catcher::{Handshake, Wire};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// A port of the loopback interface that nobody listens on. It is none of those that a system gives to who asks for any: one
/// of them would be given away again before the server that it is for has begun to listen.
pub fn free_port() -> u16 {
    const PORTS: Range<u32> = 15_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Two runs side by side begin at different places.
    let first = std::process::id().wrapping_mul(97);
    let next = || PORTS.start + first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    PORTS.map(|_| next()).filter_map(|port| u16::try_from(port).ok()).find(is_free).expect("no port is free")
}

/// Waits until `what` yields something, up to half a minute of real time: outside processes have clocks of their own.
pub async fn eventually<T>(name: &str, mut what: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = what().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited half a minute in vain for {name}");
}

/// A child process that ends with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real Prometheus.
pub struct Prometheus {
    pub url: String,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// One that scrapes a target each second and evaluates the shipped rules.
    pub async fn scraping(target: &str) -> Prometheus {
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [{}/dashboards/rules.yml]\n\
             scrape_configs:\n  - job_name: fuelgauge\n    static_configs: [{{targets: ['{target}']}}]\n",
            env!("CARGO_MANIFEST_DIR")
        );
        Prometheus::launch(tempfile::tempdir().unwrap(), &config).await
    }

    /// One that scrapes nothing and knows what is in an OpenMetrics file.
    pub async fn knowing(file: &Path) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let words = ["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h"];
        let output = Command::new("promtool").args(words).arg(file).arg(data).output();
        let output = output.expect("promtool is installed by ./test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Prometheus::launch(folder, "").await
    }

    async fn launch(folder: TempDir, config: &str) -> Prometheus {
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let port = free_port();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--storage.tsdb.retention.time=20y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed by ./test");
        let prometheus =
            Prometheus { url: format!("http://127.0.0.1:{port}"), _process: Process(process), _folder: folder };
        let ready = format!("{}/-/ready", prometheus.url);
        eventually("Prometheus to be ready", async || {
            super::get(&ready).await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
        prometheus
    }

    /// The samples of an instant query: labels and value.
    pub async fn query(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        self.ask(&[("query", expression)]).await
    }

    /// The same as of an instant.
    pub async fn query_at(&self, expression: &str, at: Timestamp) -> Vec<(serde_json::Value, f64)> {
        self.ask(&[("query", expression), ("time", &at.to_string())]).await
    }

    async fn ask(&self, parameters: &[(&str, &str)]) -> Vec<(serde_json::Value, f64)> {
        let url = format!("{}/api/v1/query", self.url);
        let response = super::client().get(url).query(parameters).send().await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&response).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        let samples = answer["data"]["result"].as_array().unwrap();
        samples
            .iter()
            .map(|sample| (sample["metric"].clone(), sample["value"][1].as_str().unwrap().parse().unwrap()))
            .collect()
    }
}

/// A certificate authority and a server certificate for `localhost`, made anew for each test.
pub struct Certificates {
    pub ca_file: PathBuf,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Certificates {
    pub fn for_localhost(folder: &Path) -> Certificates {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, format!("Authority of {}", folder.display()));
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        Certificates {
            ca_file: write("ca.pem", &ca_certificate.pem()),
            certificate_file: write("server.pem", &certificate.pem()),
            key_file: write("server.key", &key.serialize_pem()),
        }
    }
}

/// A real Postfix with a configuration folder of its own, delivering into Maildirs. Only root may start one.
pub struct Postfix {
    /// STARTTLS is offered here.
    pub port: u16,
    /// TLS from the first byte here.
    pub implicit_tls_port: u16,
    pub certificates: Certificates,
    folder: TempDir,
}

/// The server's side of TLS with a certificate for `localhost`.
pub fn handshake(certificates: &Certificates) -> Handshake {
    let chain = vec![CertificateDer::from_pem_file(&certificates.certificate_file).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificates.key_file).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    Arc::new(move |wire: Box<dyn Wire>| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let stream: io::Result<_> = acceptor.accept(wire).await;
            Ok(Box::new(stream?) as Box<dyn Wire>)
        })
    })
}

/// A door of a [`Postfix`]: a port, and what is different there (`-o name=value` for each).
pub struct Door {
    pub port: u16,
    settings: Vec<String>,
}

impl Door {
    /// The usual settings but for these.
    pub fn with(settings: &[String]) -> Door {
        Door { port: free_port(), settings: settings.to_vec() }
    }
}

impl Postfix {
    /// Accepts mail for these local parts at `studio.example`.
    pub async fn delivering_to(local_parts: &[&str]) -> Postfix {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::for_localhost(folder.path());
        Postfix::with_doors(folder, certificates, local_parts, &[]).await
    }

    /// The same with more doors. Files that they name lie in `folder`, which goes away with Postfix.
    pub async fn with_doors(
        folder: TempDir,
        certificates: Certificates,
        local_parts: &[&str],
        doors: &[Door],
    ) -> Postfix {
        let root = folder.path();
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        let (port, implicit_tls_port) = (free_port(), free_port());
        let maps: Vec<String> =
            local_parts.iter().map(|local| format!("{{{local}@studio.example={local}/}}")).collect();
        let path = root.display();
        std::fs::write(
            root.join("etc/main.cf"),
            format!(
                "compatibility_level = 3.6\nqueue_directory = {path}/queue\ndata_directory = {path}/data\n\
                 mail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\n\
                 inet_protocols = ipv4\nmyhostname = mail.studio.example\nmydestination =\n\
                 mynetworks = 127.0.0.0/8\nvirtual_mailbox_domains = studio.example\n\
                 virtual_mailbox_base = {path}/mail\nvirtual_mailbox_maps = inline:{{{}}}\n\
                 virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 1\n\
                 maillog_file = {path}/log\nmaillog_file_prefixes = {path}\n\
                 smtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_tls_security_level = may\n\
                 smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtputf8_enable = no\n",
                maps.join(", "),
                certificates.certificate_file.display(),
                certificates.key_file.display(),
            ),
        )
        .unwrap();
        let mut services = std::fs::File::create(root.join("etc/master.cf")).unwrap();
        writeln!(services, "127.0.0.1:{port} inet n - n - - smtpd").unwrap();
        let wrapped = "smtpd -o smtpd_tls_wrappermode=yes";
        writeln!(services, "127.0.0.1:{implicit_tls_port} inet n - n - - {wrapped}").unwrap();
        for Door { port, settings } in doors {
            let settings: String = settings.iter().map(|setting| format!(" -o {{{setting}}}")).collect();
            writeln!(services, "127.0.0.1:{port} inet n - n - - smtpd{settings}").unwrap();
        }
        for line in [
            "pickup unix n - n 60 1 pickup",
            "cleanup unix n - n - 0 cleanup",
            "qmgr unix n - n 300 1 qmgr",
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "rewrite unix - - n - - trivial-rewrite",
            "bounce unix - - n - 0 bounce",
            "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce",
            "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap",
            "smtp unix - - n - - smtp",
            "error unix - - n - - error",
            "retry unix - - n - - error",
            "discard unix - - n - - discard",
            "virtual unix - n n - - virtual",
            "anvil unix - - n - 1 anvil",
            "scache unix - - n - 1 scache",
            "postlog unix-dgram n - n - 1 postlogd",
        ] {
            writeln!(services, "{line}").unwrap();
        }
        run("chown", &["postfix", &root.join("data").display().to_string()]);
        run("chown", &["nobody", &root.join("mail").display().to_string()]);
        run("postfix", &["-c", &root.join("etc").display().to_string(), "start"]);
        let postfix = Postfix { port, implicit_tls_port, certificates, folder };
        for port in doors.iter().map(|door| door.port).chain([port, implicit_tls_port]) {
            eventually("Postfix to listen", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok())
                .await;
        }
        postfix
    }

    /// Every message delivered to a mailbox so far, oldest first.
    pub fn mailbox(&self, local_part: &str) -> Vec<String> {
        let new = self.folder.path().join("mail").join(local_part).join("new");
        let Ok(files) = std::fs::read_dir(new) else { return Vec::new() };
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| String::from_utf8(std::fs::read(file).unwrap()).unwrap()).collect()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.folder.path().join("etc").display().to_string();
        let _ = Command::new("postfix").args(["-c", &etc, "stop"]).stderr(Stdio::null()).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("installed by ./test");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\nhint: only root may start a Postfix",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A real Alertmanager, alone and with a folder of its own.
pub struct Alertmanager {
    pub url: String,
    /// What `amtool` needs to get in.
    http_config: Option<PathBuf>,
    _process: Process,
    _folder: TempDir,
}

impl Alertmanager {
    /// One with that configuration.
    pub async fn start(config: &str) -> Alertmanager {
        let folder = tempfile::tempdir().unwrap();
        let (process, port) = Alertmanager::spawn(folder.path(), config, &[]);
        let url = format!("http://127.0.0.1:{port}");
        Alertmanager { url, http_config: None, _process: process, _folder: folder }.ready().await
    }

    /// One behind TLS that lets in who knows a password, of which it has the bcrypt hash.
    pub async fn guarded(certificates: &Certificates, user: &str, password: &str, hash: &str) -> Alertmanager {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (certificates.certificate_file.display(), certificates.key_file.display());
        let web = format!(
            "tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\nbasic_auth_users: {{{user}: '{hash}'}}\n"
        );
        let web_file = folder.path().join("web.yml");
        std::fs::write(&web_file, web).unwrap();
        let web_flag = format!("--web.config.file={}", web_file.display());
        let config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        let (process, port) = Alertmanager::spawn(folder.path(), config, &[&web_flag]);
        let http = format!(
            "basic_auth: {{username: {user}, password: {password}}}\ntls_config: {{ca_file: {}}}\n",
            certificates.ca_file.display()
        );
        let http_file = folder.path().join("http.yml");
        std::fs::write(&http_file, http).unwrap();
        let url = format!("https://localhost:{port}");
        Alertmanager { url, http_config: Some(http_file), _process: process, _folder: folder }.ready().await
    }

    fn spawn(folder: &Path, config: &str, flags: &[&str]) -> (Process, u16) {
        let file = folder.join("alertmanager.yml");
        std::fs::write(&file, config).unwrap();
        let port = free_port();
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-alertmanager is installed by ./test");
        (Process(process), port)
    }

    async fn ready(self) -> Alertmanager {
        eventually("Alertmanager to be ready", async || self.ask(&["alert", "query"]).0.then_some(())).await;
        self
    }

    /// What `amtool` says; the command must succeed.
    pub fn amtool(&self, arguments: &[&str]) -> String {
        let (is_well, said) = self.ask(arguments);
        assert!(is_well, "{arguments:?}: {said}");
        said
    }

    /// The alerts that `amtool alert query` finds with these arguments.
    pub fn alerts(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let said = self.amtool(&[&["alert", "query", "--output=json"], arguments].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn ask(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new("amtool");
        command.arg(format!("--alertmanager.url={}", self.url)).arg("--no-version-check");
        if let Some(file) = &self.http_config {
            command.arg(format!("--http.config.file={}", file.display()));
        }
        let output = command.args(arguments).output().expect("amtool is installed by ./test");
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}
