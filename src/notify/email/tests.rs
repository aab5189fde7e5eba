//! Sending over real sockets to the mail catcher, well behaved and not.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use rustls::pki_types::CertificateDer;

use super::*;
use jiff::Timestamp;

use crate::config::SecretFile;
use crate::demo::catcher::{Act, At, Catcher, Handshake, Script, Tls, Wire};
use crate::notify::{NextStep, NotifyFailure, after_failure};

mod faults;

const PASSWORD: &str = "open sesame";

fn mail() -> OutboxMessage {
    OutboxMessage {
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
        limits: crate::domain::DeliveryLimits::default(),
        from: "fuelgauge@studio.example".parse().unwrap(),
        heartbeat: None,
        relay: RelayConfig::new(host, address.port(), security),
        max_age: SignedDuration::from_hours(25),
    }
}

async fn catcher(script: Script) -> Catcher {
    let catcher = Catcher::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    catcher.set_script(script);
    catcher
}

fn write_password(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
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
    let hello = hello_name(Some(IpAddr::from([127, 0, 0, 1])));
    let expected = format!(
        "connecting to {}\n< 220 localhost fuelgauge mail catcher\n> EHLO {hello}\n< 250-localhost\n< 250-8BITMIME\n\
         < 250 SIZE 1000000\n> MAIL FROM:<fuelgauge@studio.example>\n< 250 2.1.0 Sender noted\n\
         > RCPT TO:<lead@studio.example>\n< 250 2.1.5 Recipient noted\n> DATA\n\
         < 354 End with a dot on a line of its own\n> (44 bytes of mail, and a dot)\n< 250 2.0.0 Caught\n> QUIT\n< 221 2.0.0 Bye",
        catcher.local_addr()
    );
    assert_eq!(dialogue.join("\n"), expected);
}

/// What a person reads of a failure.
#[tokio::test]
async fn a_failure_says_what_was_found_and_what_to_do() {
    let say = |text: &str| Act::Reply(text.into());
    for (at, act, words) in [
        (At::Greeting, say("421 4.3.2 Closing"), "answered the greeting with 421 4.3.2 Closing"),
        (
            At::Greeting,
            say("554 5.7.1 Not you"),
            "answered the greeting with 554 5.7.1 Not you\nhint: the relay does not serve this machine",
        ),
        (
            At::Greeting,
            say("SSH-2.0-OpenSSH_9.2"),
            "broke off at the greeting: expected a reply of SMTP, found `SSH-2.0-OpenSSH_9.2`\n\
             hint: is `relay.port` right? What answers there speaks something else",
        ),
        (At::Hello, say("550 No"), "answered EHLO with 550 No\nhint: the relay does not serve this machine"),
        (
            At::Mail,
            say("530 5.7.0 Authentication required"),
            "answered MAIL with 530 5.7.0 Authentication required\n\
             hint: the relay wants TLS: `relay.security`, and perhaps a login",
        ),
        (
            At::Mail,
            say("553 5.1.8 Sender refused"),
            "answered MAIL with 553 5.1.8 Sender refused\nhint: does the relay know the sender, `email.from`?",
        ),
        (At::Recipient, say("450 4.2.0 Greylisted"), "answered RCPT with 450 4.2.0 Greylisted"),
        (
            At::Recipient,
            say("550-5.1.1 Unknown\u{1b}[31m\r\n550 5.1.1 really"),
            "answered RCPT with 550 5.1.1 Unknown [31m really\nhint: is the address right?",
        ),
        (
            At::Recipient,
            say("554 5.7.1 Relay access denied"),
            "hint: the relay takes no mail for this address from here; it may want `relay.username` and `password_file`",
        ),
        (At::Recipient, Act::Close, "broke off at RCPT: the relay closed the connection"),
        (At::Data, say("250 2.0.0 Thanks"), "answered DATA with 250 2.0.0 Thanks; expected 354"),
        (At::Data, Act::Flood(b"250-\r\n".to_vec()), "broke off at DATA: expected a reply of at most 65536 bytes"),
        (At::EndOfData, say("554 5.7.1 Spam"), "answered the message with 554 5.7.1 Spam"),
        (At::EndOfData, Act::Cut(b"250 2.".to_vec()), "broke off at the message: the relay closed the connection"),
    ] {
        let name = format!("{at:?} {act:?}");
        let catcher = catcher(misbehaving(at, act)).await;
        let mailer = Mailer::new(&relay(catcher.local_addr(), "localhost", Security::None));
        let error = mailer.send(&mail()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
        assert_eq!(words.contains("hint: "), error.contains("hint: "), "{name}: {error}");
    }
}

/// What the relay cannot have, because it never left, is no second copy.
#[tokio::test]
async fn a_message_cut_in_the_middle_has_not_arrived() {
    let catcher = catcher(misbehaving(At::Data, Act::Cut(b"354 Go ahead\r\n".to_vec()))).await;
    let mailer = Mailer::new(&relay(catcher.local_addr(), "127.0.0.1", Security::None));
    // More than any buffer between us takes.
    let large = OutboxMessage { message: b"All that was said.\r\n".repeat(2 << 20), ..mail() };
    for (mail, kind) in [(large, NotifyFailure::Transient), (mail(), NotifyFailure::Unknown)] {
        let error = mailer.send(&mail).await.unwrap_err();
        assert_eq!(error.kind, kind, "{} bytes: {error}", mail.message.len());
    }
    assert!(catcher.caught().is_empty());
}

#[tokio::test]
async fn where_nobody_answers() {
    let gone = catcher(Script::default()).await.local_addr();
    for (host, words) in [
        ("127.0.0.1", "failed to reach the relay `127.0.0.1:"),
        ("nowhere.invalid", "failed to look up the relay `nowhere.invalid:"),
    ] {
        let error = Mailer::new(&relay(gone, host, Security::None)).send(&mail()).await.unwrap_err();
        assert_eq!(error.kind, NotifyFailure::Transient, "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("\nhint: "), "{error}");
    }
}

#[test]
fn a_claim_outlasts_the_longest_try() {
    let longest = TimeLimits::default().longest();
    assert!(longest < Duration::from_secs(15 * 60), "mails are claimed for a quarter of an hour: {longest:?}");
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
        let error =
            Mailer::new(&good).send(&OutboxMessage { recipient: recipient.into(), ..mail() }).await.unwrap_err();
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
        (
            "wrong name",
            authority.handshake(elsewhere()),
            Some("not valid for `localhost`; it is for `mail.elsewhere.example`"),
        ),
        ("expired", authority.handshake(expired()), Some("expired on 2020-02-01")),
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
            "said more in plain text after STARTTLS",
        ),
        ("closed", with_tls(vec![(At::Starttls, Act::Close)]), NotifyFailure::Transient, "broke off at STARTTLS"),
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

    let write = |text: &str| write_password(&password_file, text);
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
    // Nor later, in whatever form it was sent.
    let (encoded, before) = ("AGZ1ZWxnYXVnZQBvcGVuIHNlc2FtZQ==", dialogue.len());
    let said = Act::Reply(format!("550-5.1.1 {encoded}\r\n550 5.1.1 and `{PASSWORD}`"));
    catcher.set_script(script(vec![(At::Recipient, said)]));
    let later = mailer.send_observed(&mail(), &mut |line| dialogue.push(line)).await.unwrap_err().to_string();
    assert!(later.contains("550 5.1.1 <redacted> and `<redacted>`"), "{later}");
    assert!(dialogue[before..].contains(&"< 550-5.1.1 <redacted>".to_owned()), "{dialogue:?}");

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
