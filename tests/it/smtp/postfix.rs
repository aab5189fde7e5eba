//! A real Postfix, with a door for each way to be wrong about TLS, passwords, recipients and sizes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fuelgauge::config::{EmailConfig, RelayConfig, SecretFile, Security};
use fuelgauge::domain::OutboxMessage;
use fuelgauge::notify::{Mailer, NotifyFailure, TimeLimits};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::support::mail::python_reads;
use crate::support::servers::{Certificates, Door, Postfix, eventually};
use crate::support::write_secret;

const PASSWORD: &str = "pass word, ünusual";

/// Certificates of an authority of our own, and others that nobody should take for good.
struct Issued {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Issued {
    fn new(folder: &Path) -> Issued {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "Studio Authority");
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        Issued { issuer, folder: folder.to_owned() }
    }

    /// The usual ones: signed by the authority, for `localhost`.
    fn usual(&self) -> Certificates {
        let [certificate, key] = self.signed("usual", for_name("localhost"));
        let ca_file = self.write("ca.pem", &self.issuer.pem());
        Certificates { ca_file, certificate_file: certificate, key_file: key }
    }

    fn signed(&self, name: &str, parameters: CertificateParams) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        self.keep(name, &certificate.pem(), &key)
    }

    fn self_signed(&self, name: &str, parameters: CertificateParams) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        self.keep(name, &certificate.pem(), &key)
    }

    fn keep(&self, name: &str, certificate: &str, key: &KeyPair) -> [PathBuf; 2] {
        [self.write(&format!("{name}.pem"), certificate), self.write(&format!("{name}.key"), &key.serialize_pem())]
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        write_secret(&path, text);
        path
    }
}

fn for_name(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn expired() -> CertificateParams {
    let mut parameters = for_name("localhost");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 2, 1);
    parameters
}

/// As `openssl req -x509` makes them.
fn authority_for_localhost() -> CertificateParams {
    let mut parameters = for_name("localhost");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

/// Settings of a door that shows this certificate.
fn showing([certificate, key]: &[PathBuf; 2]) -> Vec<String> {
    vec![format!("smtpd_tls_cert_file={}", certificate.display()), format!("smtpd_tls_key_file={}", key.display())]
}

fn settings<const N: usize>(settings: [&str; N]) -> Vec<String> {
    settings.map(str::to_owned).to_vec()
}

/// A Dovecot that knows one user, for Postfix to ask.
struct Dovecot {
    child: Child,
    /// Where Postfix asks.
    socket: String,
}

impl Dovecot {
    async fn knowing(user: &str, password: &str, folder: &Path) -> Dovecot {
        let folder = folder.join("dovecot");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("users"), format!("{user}:{{PLAIN}}{password}\n")).unwrap();
        let path = folder.display();
        let text = format!(
            "base_dir = {path}/run\nstate_dir = {path}/state\nlog_path = {path}/log\nprotocols =\nssl = no\n\
             auth_mechanisms = plain login cram-md5\nauth_failure_delay = 0\n\
             service anvil {{\n unix_listener anvil-auth-penalty {{\n mode = 0\n }}\n}}\n\
             passdb {{\n driver = passwd-file\n args = scheme=PLAIN username_format=%u {path}/users\n}}\n\
             service auth {{\n unix_listener {path}/auth {{\n mode = 0666\n }}\n}}\n"
        );
        std::fs::write(folder.join("dovecot.conf"), text).unwrap();
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(folder.join("dovecot.conf")).stdin(Stdio::null());
        let child = command.spawn().expect("dovecot is installed by ./test");
        let socket = folder.join("auth").display().to_string();
        eventually("Dovecot to listen", async || tokio::net::UnixStream::connect(&socket).await.ok()).await;
        Dovecot { child, socket }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Killed outright it would leave its own children behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A door that takes mail from those alone who have logged in, in one of these ways.
fn for_users(dovecot: &Dovecot, mechanisms: &str) -> Vec<String> {
    let mut found = settings([
        "smtpd_sasl_auth_enable=yes",
        "smtpd_sasl_type=dovecot",
        "smtpd_tls_auth_only=yes",
        "smtpd_relay_restrictions=permit_sasl_authenticated, reject",
    ]);
    found.push(format!("smtpd_sasl_path={}", dovecot.socket));
    found.push(format!("smtpd_sasl_mechanism_filter={mechanisms}"));
    found
}

fn relay(port: u16, security: Security, ca_file: &Path) -> RelayConfig {
    let mut relay = RelayConfig::new("localhost", port, security);
    if security != Security::None {
        relay.ca_file = Some(ca_file.to_owned());
    }
    relay
}

fn mail_of(bytes: usize, recipient: &str) -> OutboxMessage {
    let head = format!(
        "From: fuelgauge <fuelgauge@studio.example>\r\nTo: {recipient}\r\nSubject: =?utf-8?b?w5xiZXJibGljaw==?=\r\n\
         Date: Thu, 26 Nov 2026 12:00:00 +0000\r\nMessage-ID: <one.1@studio.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    );
    let body = ".\r\n..\r\n.dots at the beginning\r\n";
    let filler = "All that was said before.\r\n".repeat(bytes / 27);
    OutboxMessage {
        id: 1,
        sender: "fuelgauge@studio.example".into(),
        recipient: recipient.into(),
        message_id: "<one.1@studio.example>".into(),
        message: format!("{head}{body}{filler}").into_bytes(),
        attempts: 0,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn mail() -> OutboxMessage {
    mail_of(0, "lead@studio.example")
}

/// `Ok`, or the class of the failure and its words.
async fn send(relay: RelayConfig, mail: &OutboxMessage) -> Result<(), (NotifyFailure, String)> {
    send_within(TimeLimits::default(), relay, mail).await
}

async fn send_within(
    limits: TimeLimits,
    relay: RelayConfig,
    mail: &OutboxMessage,
) -> Result<(), (NotifyFailure, String)> {
    let from = "fuelgauge@studio.example".parse().unwrap();
    let config = EmailConfig {
        from,
        relay,
        max_age: SignedDuration::from_hours(25),
        heartbeat: None,
        limits: Default::default(),
    };
    Mailer::with_limits(&config, limits).send(mail).await.map_err(|error| (error.kind, error.to_string()))
}

type Expected = Result<(), (NotifyFailure, &'static str)>;

#[track_caller]
fn check(case: &str, found: &Result<(), (NotifyFailure, String)>, expected: &Expected) {
    match (found, expected) {
        (Ok(()), Ok(())) => {}
        (Err((kind, words)), Err((expected_kind, part))) => {
            assert_eq!(kind, expected_kind, "{case}: {words}");
            assert!(words.contains(part), "{case}: expected `{part}` in: {words}");
        }
        (found, expected) => panic!("{case}: expected {expected:?}, found {found:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_relay_is_believed_when_it_can_show_who_it_is() {
    use NotifyFailure::{Configuration, Transient};
    let folder = tempfile::tempdir().unwrap();
    let issued = Issued::new(folder.path());
    let usual = issued.usual();
    let ca_file = usual.ca_file.clone();
    let own = issued.self_signed("own", for_name("localhost"));
    let own_authority = issued.self_signed("own-authority", authority_for_localhost());
    let wrapped = || settings(["smtpd_tls_wrappermode=yes"]);
    let only = |version: &str| {
        let versions = format!(">={version}, <={version}");
        // "Mandatory" is what counts with TLS from the first byte. Low security levels: what is out of date is out of
        // reach otherwise.
        let mut found = settings(["tls_medium_cipherlist=ALL:@SECLEVEL=0", "smtpd_tls_received_header=yes"]);
        found.push(format!("smtpd_tls_protocols={versions}"));
        found.push(format!("smtpd_tls_mandatory_protocols={versions}"));
        found
    };
    let doors: Vec<Door> = [
        showing(&issued.signed("elsewhere", for_name("mail.elsewhere.example"))),
        showing(&own),
        showing(&own_authority),
        showing(&issued.signed("expired", expired())),
        settings(["smtpd_tls_security_level=none"]),
        only("TLSv1.1"),
        only("TLSv1.2"),
        only("TLSv1.3"),
    ]
    .iter()
    .flat_map(|settings| [Door::with(settings), Door::with(&[settings.clone(), wrapped()].concat())])
    .collect();
    let postfix = Postfix::with_doors(folder, usual, &["lead"], &doors).await;
    let port = |number: usize, security| doors[2 * number + usize::from(security == Security::Implicit)].port;

    let mut accepted = 0;
    for security in [Security::Starttls, Security::Implicit] {
        let usual_port = if security == Security::Implicit { postfix.implicit_tls_port } else { postfix.port };
        let to = |port| relay(port, security, &ca_file);
        let named = |port, name: &str| RelayConfig { server_name: Some(name.to_owned()), ..to(port) };
        let trusting = |port, file: &Path| RelayConfig { ca_file: Some(file.to_owned()), ..to(port) };
        let (elsewhere, own_door, authority_door, expired_door) =
            (port(0, security), port(1, security), port(2, security), port(3, security));
        let unsigned = "nobody who is trusted here has signed its certificate\nhint: a private authority";
        let cases: Vec<(&str, RelayConfig, Expected)> = vec![
            ("good", to(usual_port), Ok(())),
            (
                "by address",
                RelayConfig { host: "127.0.0.1".into(), ..to(usual_port) },
                Err((Configuration, "is not valid for `127.0.0.1`; it is for `localhost`\nhint: `relay.host`")),
            ),
            (
                "by address, with its name",
                RelayConfig { host: "127.0.0.1".into(), ..named(usual_port, "localhost") },
                Ok(()),
            ),
            ("an authority that nobody knows", trusting(usual_port, &own[0]), Err((Configuration, unsigned))),
            (
                "wrong name",
                to(elsewhere),
                Err((Configuration, "is not valid for `localhost`; it is for `mail.elsewhere.example`")),
            ),
            ("wrong name, which is told", named(elsewhere, "mail.elsewhere.example"), Ok(())),
            ("self-signed", to(own_door), Err((Configuration, unsigned))),
            ("self-signed and trusted", trusting(own_door, &own[0]), Ok(())),
            (
                "self-signed, trusted, wrong name",
                RelayConfig { server_name: Some("other.example".into()), ..trusting(own_door, &own[0]) },
                Err((Configuration, "it is for `localhost`")),
            ),
            (
                "an authority's own",
                trusting(authority_door, &own_authority[0]),
                Err((
                    Configuration,
                    "is one for an authority, not for a server\nhint: the relay needs one made with `basicConstraints=CA:FALSE`",
                )),
            ),
            ("expired", to(expired_door), Err((Configuration, "expired on 2020-02-01\nhint: "))),
            ("TLS 1.1", to(port(5, security)), Err((Configuration, "TLS 1.2 or 1.3"))),
            ("TLS 1.2", to(port(6, security)), Ok(())),
            ("TLS 1.3", to(port(7, security)), Ok(())),
        ];
        for (case, relay, expected) in cases {
            let case = format!("{case}, {security:?}");
            check(&case, &send(relay, &mail()).await, &expected);
            accepted += usize::from(expected.is_ok());
        }
    }
    for (case, relay, expected) in [
        (
            "no STARTTLS",
            relay(port(4, Security::Starttls), Security::Starttls, &ca_file),
            (Configuration, "does not offer STARTTLS, so nothing was sent\nhint: "),
        ),
        (
            "TLS at once where it is not",
            relay(postfix.port, Security::Implicit, &ca_file),
            (
                Configuration,
                "it answered something that is not TLS\nhint: ports 587 and 25 usually want `security: starttls`",
            ),
        ),
    ] {
        check(case, &send(relay, &mail()).await, &Err(expected));
    }
    let silent = relay(postfix.implicit_tls_port, Security::Starttls, &ca_file);
    let limits = TimeLimits { command: Duration::from_millis(700), ..TimeLimits::default() };
    let words =
        "did not answer the greeting within 0.7 s\nhint: a relay that wants TLS from the first byte says nothing";
    let found = send_within(limits, silent, &mail()).await;
    check("no TLS at once where it is", &found, &Err((Transient, words)));

    let mails = eventually("every accepted mail in the mailbox, and no other", async || {
        Some(postfix.mailbox("lead")).filter(|mails| mails.len() >= accepted)
    })
    .await;
    assert_eq!(mails.len(), accepted);
    for mail in &mails {
        assert!(mail.contains("ESMTPS"), "{mail}");
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        assert!(mails.iter().any(|mail| mail.contains(&format!("(using {version} with cipher"))), "{version}");
    }
    let envelopes = postfix.log().matches("from=<fuelgauge@studio.example>").count();
    assert_eq!(envelopes, accepted, "whom we do not believe hears of no sender: {}", postfix.log());
    // On disk it is what we sent, with trace headers before.
    let read = python_reads(&mails[0]).await;
    assert_eq!(read["defects"], serde_json::json!([]), "{read}");
    assert_eq!(read["headers"]["Subject"], "Überblick");
    assert_eq!(read["headers"]["Message-ID"], "<one.1@studio.example>");
    assert_eq!(read["text"], serde_json::json!([".\n..\n.dots at the beginning\n"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_relay_says_no_in_its_own_words() {
    use NotifyFailure::{Configuration, Permanent, RateLimited, Transient};
    let folder = tempfile::tempdir().unwrap();
    let usual = Issued::new(folder.path()).usual();
    let ca_file = usual.ca_file.clone();
    let dovecot = Dovecot::knowing("fuelgauge", PASSWORD, folder.path()).await;
    let password_file = folder.path().join("password");
    write_secret(&password_file, &format!("{PASSWORD}\n"));
    let wrong_file = folder.path().join("wrong");
    write_secret(&wrong_file, "pass word\n");
    let doors = [
        for_users(&dovecot, "cram-md5, login, plain"),
        for_users(&dovecot, "login"),
        for_users(&dovecot, "cram-md5"),
        settings(["message_size_limit=4000"]),
        settings(["smtpd_recipient_restrictions=check_recipient_access inline:{lead@studio.example=DEFER} , permit"]),
        settings(["smtpd_client_message_rate_limit=1", "smtpd_client_event_limit_exceptions="]),
        settings(["smtpd_client_restrictions=reject", "smtpd_delay_reject=no"]),
        settings(["smtpd_relay_restrictions=reject_unauth_destination"]),
    ]
    .map(|settings| Door::with(&settings));
    let postfix = Postfix::with_doors(folder, usual, &["lead"], &doors).await;

    let to = |port| relay(port, Security::Starttls, &ca_file);
    let login = |door: usize, file: &Path| RelayConfig {
        username: Some("fuelgauge".into()),
        password_file: Some(SecretFile::new(file)),
        ..to(doors[door].port)
    };
    let plain = |port| relay(port, Security::None, &ca_file);
    let long = || mail_of(8000, "lead@studio.example");
    let cases: Vec<(&str, RelayConfig, OutboxMessage, Expected)> = vec![
        ("PLAIN", login(0, &password_file), mail(), Ok(())),
        (
            "PLAIN, wrong password",
            login(0, &wrong_file),
            mail(),
            Err((
                Configuration,
                "answered AUTH with 535 5.7.8\nhint: check `relay.username` and the content of `password_file`",
            )),
        ),
        ("LOGIN", login(1, &password_file), mail(), Ok(())),
        (
            "LOGIN, wrong password",
            login(1, &wrong_file),
            mail(),
            Err((Configuration, "answered AUTH with 535 5.7.8\nhint: check")),
        ),
        (
            "neither",
            login(2, &password_file),
            mail(),
            Err((Configuration, "expected AUTH with PLAIN or LOGIN, found `CRAM-MD5`")),
        ),
        (
            "no AUTH",
            RelayConfig { port: postfix.port, ..login(0, &password_file) },
            mail(),
            Err((Configuration, "found no AUTH\nhint: if it wants no password")),
        ),
        (
            "nobody logged in",
            to(doors[0].port),
            mail(),
            Err((Permanent, "hint: the relay takes no mail for this address from here; it may want `relay.username`")),
        ),
        (
            "no such mailbox",
            to(postfix.port),
            mail_of(0, "nobody@studio.example"),
            Err((
                Permanent,
                "answered RCPT with 550 5.1.1 <nobody@studio.example>: Recipient address rejected: User unknown in virtual mailbox table\nhint: is the address right?",
            )),
        ),
        (
            "somebody else's domain",
            to(doors[7].port),
            mail_of(0, "lead@elsewhere.example"),
            Err((Permanent, "5.7.1 <lead@elsewhere.example>: Relay access denied")),
        ),
        ("large enough", to(doors[3].port), mail(), Ok(())),
        ("too large", to(doors[3].port), long(), Err((Permanent, "answered the message with 552 5.3.4"))),
        ("not now", to(doors[4].port), mail(), Err((Transient, "answered RCPT with 450 4.7.1"))),
        ("the first of a minute", to(doors[5].port), mail(), Ok(())),
        ("the second of a minute", to(doors[5].port), mail(), Err((RateLimited, "too much mail from"))),
        ("not from here", to(doors[6].port), mail(), Err((Configuration, "answered the greeting with 554 5.7.1"))),
        ("in plain text at home", plain(postfix.port), mail(), Ok(())),
    ];
    let mut accepted = 0;
    for (case, relay, mail, expected) in cases {
        let found = send(relay, &mail).await;
        check(case, &found, &expected);
        accepted += usize::from(expected.is_ok());
        if let Err((_, words)) = found {
            assert!(!words.contains(PASSWORD) && !words.contains("pass word"), "{case}: {words}");
        }
    }
    let mails = eventually("every accepted mail in the mailbox, and no other", async || {
        Some(postfix.mailbox("lead")).filter(|mails| mails.len() >= accepted)
    })
    .await;
    assert_eq!(mails.len(), accepted);
    assert_eq!(mails.iter().filter(|mail| mail.contains("ESMTPSA")).count(), 2, "logged in");
    // But for the looks whether it listens.
    let log = postfix.log().replace("lost connection after CONNECT", "");
    assert!(!log.contains("lost connection after"), "we take leave of whoever says no: {log}");
}
