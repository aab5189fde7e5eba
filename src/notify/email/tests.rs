//! Sending over real sockets to the mail catcher, well behaved and not.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::SecretFile;
use crate::demo::catcher::{Act, At, Catcher, Handshake, Script, Tls, Wire};

const PASSWORD: &str = "open sesame";

fn mail() -> OutboxMail {
    OutboxMail {
        id: 1,
        sender: "fuelgauge@studio.example".into(),
        recipient: "lead@studio.example".into(),
        message_id: "<fuelgauge.1@studio.example>".into(),
        message: b"Subject: x\r\n\r\nA line.\r\n.dotted\r\n..\r\n.\r\nend\r\n".to_vec(),
        attempts: 0,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn relay(address: SocketAddr, host: &str, security: Security) -> EmailConfig {
    EmailConfig {
        from: "fuelgauge@studio.example".parse().unwrap(),
        relay: RelayConfig::new(host, address.port(), security),
        max_age: SignedDuration::from_hours(25),
    }
}

/// Short enough for a test that waits for them, long enough for a busy machine that does not.
fn short_limits(step: Step) -> TimeLimits {
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(20));
    TimeLimits {
        connect: long,
        command: if matches!(step, Step::Data | Step::EndOfData) { long } else { short },
        data: if step == Step::Data { short } else { long },
        end_of_data: if step == Step::EndOfData { short } else { long },
    }
}

async fn catcher(script: Script) -> Catcher {
    let catcher = Catcher::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    catcher.set_script(script);
    catcher
}

fn misbehaving(at: At, act: Act) -> Script {
    Script { faults: vec![(at, act)], ..Script::default() }
}

#[tokio::test]
async fn a_mail_arrives_byte_for_byte() {
    let catcher = catcher(Script::default()).await;
    let mut dialogue = Vec::new();
    let mailer = Mailer::new(&relay(catcher.local_addr(), "127.0.0.1", Security::None));
    mailer.send_observed(&mail(), &mut |line| dialogue.push(line)).await.unwrap();

    let caught = catcher.wait_for(1).await;
    assert_eq!(caught.len(), 1);
    assert_eq!(caught[0].sender, "fuelgauge@studio.example");
    assert_eq!(caught[0].recipients, ["lead@studio.example"]);
    assert_eq!(String::from_utf8_lossy(&caught[0].bytes), String::from_utf8_lossy(&mail().message));
    assert!(dialogue.contains(&"> RCPT TO:<lead@studio.example>".to_owned()), "{dialogue:?}");
    assert_eq!(dialogue.last().map(String::as_str), Some("< 250 2.0.0 Caught"));
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    use NotifyFailure::*;
    let say = |text: &str| Act::Reply(text.into());
    for (at, act, kind, words) in [
        (At::Greeting, say("421 4.3.2 Closing"), Transient, "answered the greeting with 421"),
        (At::Greeting, say("554 5.7.1 Not you"), Configuration, "does not serve this machine"),
        (At::Greeting, say("HTTP/1.1 400 Bad Request"), Transient, "broke at the greeting"),
        (At::Greeting, Act::Close, Transient, "broke at the greeting"),
        (At::Hello, say("550 No"), Configuration, "answered the greeting with 550"),
        (At::Mail, say("451 4.3.0 Later"), Transient, "answered MAIL with 451"),
        (At::Mail, say("530 5.7.0 Authentication required"), Configuration, "hint: the relay wants"),
        (At::Mail, say("553 5.1.8 Sender refused"), Permanent, "answered MAIL with 553"),
        (At::Recipient, say("450 4.2.0 Greylisted"), Transient, "answered RCPT with 450 4.2.0 Greylisted"),
        (At::Recipient, say("450 4.7.1 Too many mails"), RateLimited, "answered RCPT with 450"),
        (At::Recipient, say("550 5.1.1 Unknown\u{1b}[31m"), Permanent, "with 550 5.1.1 Unknown [31m"),
        (At::Recipient, Act::Close, Transient, "broke at RCPT"),
        (At::Data, say("554 5.5.1 No"), Permanent, "answered DATA with 554"),
        (At::Data, Act::Close, Transient, "broke at DATA"),
        (At::EndOfData, say("452 4.3.1 Disk full"), Transient, "answered the message with 452"),
        (At::EndOfData, say("554 5.7.1 Spam"), Permanent, "answered the message with 554"),
        (At::EndOfData, Act::Close, Unknown, "broke at the message"),
    ] {
        let name = format!("{at:?} {act:?}");
        let catcher = catcher(misbehaving(at, act)).await;
        let mailer = Mailer::new(&relay(catcher.local_addr(), "localhost", Security::None));
        let error = mailer.send(&mail()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_silent_relay_is_left_in_time() {
    use NotifyFailure::*;
    for (at, step, kind) in [
        (At::Greeting, Step::Greeting, Transient),
        (At::Recipient, Step::Recipient, Transient),
        (At::Data, Step::Data, Transient),
        (At::EndOfData, Step::EndOfData, Unknown),
    ] {
        let catcher = catcher(misbehaving(at, Act::Hang)).await;
        let config = relay(catcher.local_addr(), "127.0.0.1", Security::None);
        let error = Mailer::with_limits(&config, short_limits(step)).send(&mail()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{step:?}: {error}");
        assert!(error.to_string().contains("within 0.3 s"), "{step:?}: {error}");
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_passing() {
    let gone = catcher(Script::default()).await.local_addr();
    let error = Mailer::new(&relay(gone, "127.0.0.1", Security::None)).send(&mail()).await.unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Transient, "{error}");
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_a_word_is_said() {
    let catcher = catcher(Script::default()).await;
    let good = relay(catcher.local_addr(), "127.0.0.1", Security::None);

    // 192.0.2.1 is set aside for documentation; nothing is sent to it, because the check comes first.
    let away = Mailer::new(&relay(catcher.local_addr(), "192.0.2.1", Security::None));
    let error = away.send(&mail()).await.unwrap_err();
    assert_eq!(error.kind, NotifyFailure::Configuration);
    assert!(error.to_string().contains("loopback addresses only"), "{error}");

    for recipient in ["", "nobody", "a@b>\r\nRCPT TO:<c@d", "lead@bücher.example"] {
        let error = Mailer::new(&good).send(&OutboxMail { recipient: recipient.into(), ..mail() }).await.unwrap_err();
        assert_eq!(error.kind, NotifyFailure::Permanent, "{recipient}: {error}");
    }
    assert!(catcher.caught().is_empty());
}

/// A certificate authority, and what it or somebody else signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, folder: tempfile::tempdir().unwrap() }
    }

    fn ca_file(&self) -> std::path::PathBuf {
        let path = self.folder.path().join("ca.pem");
        fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    fn handshake(&self, parameters: CertificateParams) -> Handshake {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        server_side(certificate.der().clone(), &key)
    }
}

fn self_signed() -> Handshake {
    let key = KeyPair::generate().unwrap();
    server_side(for_localhost().self_signed(&key).unwrap().der().clone(), &key)
}

fn for_localhost() -> CertificateParams {
    CertificateParams::new(vec!["localhost".into()]).unwrap()
}

fn expired() -> CertificateParams {
    let mut parameters = for_localhost();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 2, 1);
    parameters
}

fn server_side(certificate: CertificateDer<'static>, key: &KeyPair) -> Handshake {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Arc::new(move |wire: Box<dyn Wire>| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let stream: io::Result<_> = acceptor.accept(wire).await;
            Ok(Box::new(stream?) as Box<dyn Wire>)
        })
    })
}

fn encrypted(address: SocketAddr, security: Security, ca_file: &Path) -> EmailConfig {
    let mut config = relay(address, "localhost", security);
    config.relay.ca_file = Some(ca_file.into());
    config
}

#[tokio::test]
async fn tls_is_verified_in_both_modes() {
    let authority = Authority::new();
    let ca_file = authority.ca_file();
    let elsewhere = || CertificateParams::new(vec!["mail.elsewhere.example".into()]).unwrap();
    for (name, handshake, expected) in [
        ("good", authority.handshake(for_localhost()), None),
        ("wrong name", authority.handshake(elsewhere()), Some("not valid for name")),
        ("expired", authority.handshake(expired()), Some("expired")),
        ("self-signed", self_signed(), Some("certificate")),
        ("other authority", Authority::new().handshake(for_localhost()), Some("certificate")),
    ] {
        let script = |tls| Script { tls, ..Script::default() };
        for (security, script) in [
            (Security::Starttls, script(Tls::Starttls(Arc::clone(&handshake)))),
            (Security::Implicit, script(Tls::Implicit(Arc::clone(&handshake)))),
        ] {
            let catcher = catcher(script).await;
            let sent = Mailer::new(&encrypted(catcher.local_addr(), security, &ca_file)).send(&mail()).await;
            match (sent, expected) {
                (Ok(()), None) => assert_eq!(catcher.wait_for(1).await[0].bytes, mail().message),
                (Err(error), Some(words)) => {
                    assert_eq!(error.kind, NotifyFailure::Configuration, "{name}, {security:?}: {error}");
                    assert!(error.to_string().contains(words), "{name}, {security:?}: {error}");
                    assert!(catcher.caught().is_empty(), "{name}, {security:?}");
                }
                (sent, _) => panic!("{name}, {security:?}: {sent:?}"),
            }
        }
    }
}

#[tokio::test]
async fn starttls_cannot_be_taken_away_or_tampered_with() {
    let authority = Authority::new();
    let ca_file = authority.ca_file();
    let with_tls =
        |faults| Script { faults, tls: Tls::Starttls(authority.handshake(for_localhost())), ..Script::default() };
    let say = |text: &str| vec![(At::Starttls, Act::Reply(text.into()))];
    for (name, script, kind, words) in [
        ("not offered", Script::default(), NotifyFailure::Configuration, "does not offer STARTTLS"),
        ("refused", with_tls(say("502 5.5.1 No")), NotifyFailure::Configuration, "answered STARTTLS with 502"),
        ("not now", with_tls(say("454 4.7.0 Later")), NotifyFailure::Transient, "answered STARTTLS with 454"),
        (
            "lines behind the answer",
            with_tls(say("220 2.0.0 Go\r\n250-localhost\r\n250 8BITMIME")),
            NotifyFailure::Configuration,
            "TLS with the relay",
        ),
        ("closed", with_tls(vec![(At::Starttls, Act::Close)]), NotifyFailure::Transient, "broke at STARTTLS"),
    ] {
        let catcher = catcher(script).await;
        let config = encrypted(catcher.local_addr(), Security::Starttls, &ca_file);
        let error = Mailer::new(&config).send(&mail()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert!(catcher.caught().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_password_comes_from_its_file_and_goes_nowhere_else() {
    let authority = Authority::new();
    let password_file = authority.folder.path().join("password");
    let login = || Some(("fuelgauge".to_owned(), PASSWORD.to_owned()));
    let script = |faults| Script { faults, login: login(), tls: Tls::Starttls(authority.handshake(for_localhost())) };
    let catcher = catcher(script(Vec::new())).await;
    let mut config = encrypted(catcher.local_addr(), Security::Starttls, &authority.ca_file());
    config.relay.username = Some("fuelgauge".into());
    config.relay.password_file = Some(SecretFile::new(&password_file));
    let mailer = Mailer::new(&config);

    let write = |text: &str| {
        fs::write(&password_file, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&password_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    let mut dialogue = Vec::new();

    let missing = mailer.send(&mail()).await.unwrap_err();
    assert_eq!(missing.kind, NotifyFailure::Configuration, "{missing}");

    write("wrong\n");
    let wrong = mailer.send_observed(&mail(), &mut |line| dialogue.push(line)).await.unwrap_err();
    assert_eq!(wrong.kind, NotifyFailure::Configuration, "{wrong}");
    assert!(wrong.to_string().contains("answered AUTH with 535 5.7.8\nhint: check `relay.username`"), "{wrong}");

    write(&format!("{PASSWORD}\n"));
    mailer.send_observed(&mail(), &mut |line| dialogue.push(line)).await.unwrap();
    assert_eq!(catcher.wait_for(1).await.len(), 1, "the file is read at each connection");

    // A server that repeats the password does not get it into our log.
    catcher.set_script(script(vec![(At::Auth, Act::Reply(format!("535 5.7.8 `{PASSWORD}` is wrong")))]));
    let echoed = mailer.send(&mail()).await.unwrap_err();
    assert_eq!(echoed.kind, NotifyFailure::Configuration);
    assert!(!echoed.to_string().contains(PASSWORD), "{echoed}");
    assert!(!format!("{mailer:?} {dialogue:?}").contains(PASSWORD));

    // Without TLS no password is sent at all.
    config.relay.security = Security::None;
    let plain = Mailer::new(&config).send(&mail()).await.unwrap_err();
    assert_eq!(plain.kind, NotifyFailure::Configuration);
    assert!(plain.to_string().contains("over TLS only"), "{plain}");
}

#[tokio::test]
async fn a_ca_file_without_certificates_is_named() {
    let catcher = catcher(Script::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for (content, words) in [
        (None, "failed to read the authorities in `relay.ca_file`"),
        (Some(""), "no certificate in it"),
        (Some("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"), "ca.pem"),
    ] {
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let config = encrypted(catcher.local_addr(), Security::Starttls, &path);
        let error = Mailer::new(&config).send(&mail()).await.unwrap_err();
        assert_eq!(error.kind, NotifyFailure::Configuration, "{content:?}: {error}");
        assert!(error.to_string().contains(words), "{content:?}: {error}");
    }
}

#[test]
fn only_full_names_are_said_in_ehlo() {
    for (name, full) in [
        ("agent.studio.example", true),
        ("agent", false),
        ("agent_1.example", false),
        ("agent..example", false),
        ("a b.example\r\nRSET", false),
    ] {
        assert_eq!(is_full_domain(name), full, "{name}");
    }
}
