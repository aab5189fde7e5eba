//! `send-test-mail`, as people see it.

use std::net::{Ipv4Addr, SocketAddr};

use fuelgauge::demo::catcher::{Act, At, Catcher, Script, Tls};

use crate::support::program::{Ended, Studio};
use crate::support::servers::{Certificates, free_port, handshake};

const PASSWORD: &str = "canary-51c0aa9e7d-open-sesame";

/// A studio and a relay that wants TLS and a login.
struct Desk {
    studio: Studio,
    catcher: Catcher,
    certificates: Certificates,
}

impl Desk {
    async fn new() -> Desk {
        let studio = Studio::new();
        let catcher = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let certificates = Certificates::for_localhost(studio.path());
        studio.write("config/password", PASSWORD);
        Desk { studio, catcher, certificates }
    }

    fn script(&self, faults: Vec<(At, Act)>) {
        let login = Some(("fuelgauge".to_owned(), PASSWORD.to_owned()));
        self.catcher.set_script(Script { faults, login, tls: Tls::Starttls(handshake(&self.certificates)) });
    }

    fn usual_relay(&self) -> String {
        format!(
            "host: localhost, port: {}, ca_file: {}, username: fuelgauge, password_file: password",
            self.catcher.local_addr().port(),
            self.certificates.ca_file.display()
        )
    }

    fn configure(&self, relay: &str) {
        self.studio.configure(&format!(
            "accounts: [{{name: studio}}]\n\
             teams: [{{name: art, account: studio, roles: {{lead: [lead@studio.example]}}}}]\n\
             email: {{from: fuelgauge@studio.example, relay: {{{relay}}}}}\n"
        ));
    }

    async fn send(&self, relay: &str) -> Ended {
        self.configure(relay);
        self.studio.run(&["send-test-mail", "lead@studio.example"]).await
    }

    /// What was said, with words for what differs from run to run.
    fn told(&self, text: &str) -> String {
        let address = self.catcher.local_addr();
        let hello = text.lines().find_map(|line| line.strip_prefix("> EHLO ")).unwrap_or("HELLO");
        let mut told = text.replace(&format!("EHLO {hello}"), "EHLO HELLO").replace(&address.to_string(), "ADDRESS");
        told = told.replace(&format!("localhost:{}", address.port()), "RELAY");
        told = told.replace(&format!(":{}", address.port()), ":PORT");
        match told.split_once(" bytes of mail").and_then(|(before, _)| before.rsplit_once('(')) {
            Some((_, size)) => told.replace(&format!("({size} bytes"), "(SIZE bytes"),
            None => told,
        }
    }
}

/// What the password looks like on the wire, with AUTH PLAIN and with AUTH LOGIN.
const ENCODED: [&str; 2] =
    ["AGZ1ZWxnYXVnZQBjYW5hcnktNTFjMGFhOWU3ZC1vcGVuLXNlc2FtZQ==", "Y2FuYXJ5LTUxYzBhYTllN2Qtb3Blbi1zZXNhbWU="];

/// What is said before AUTH.
const BEGINNING: &str = "\
connecting to ADDRESS
< 220 localhost fuelgauge mail catcher
> EHLO HELLO
< 250-localhost
< 250-8BITMIME
< 250-SIZE 1000000
< 250-STARTTLS
< 250 AUTH PLAIN LOGIN
> STARTTLS
< 220 2.0.0 Go ahead
";

/// What is said from the handshake until the relay knows us.
const LOGGED_IN: &str = "\
(TLS 1.3 with TLS13_AES_256_GCM_SHA384; the certificate is good for `localhost`)
> EHLO HELLO
< 250-localhost
< 250-8BITMIME
< 250-SIZE 1000000
< 250 AUTH PLAIN LOGIN
> AUTH PLAIN (as `fuelgauge`; the password is not shown)
< 235 2.7.0
";

const TAKING_LEAVE: &str = "> QUIT\n< 221 2.0.0 Bye\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_dialogue_is_shown_to_its_end() {
    let desk = Desk::new().await;
    desk.script(Vec::new());
    let sent = desk.send(&desk.usual_relay()).await.expect(0);
    let rest = "\
> MAIL FROM:<fuelgauge@studio.example>
< 250 2.1.0 Sender noted
> RCPT TO:<lead@studio.example>
< 250 2.1.5 Recipient noted
> DATA
< 354 End with a dot on a line of its own
> (SIZE bytes of mail, and a dot)
< 250 2.0.0 Caught
";
    assert_eq!(desk.told(&sent.out), format!("{BEGINNING}{LOGGED_IN}{rest}{TAKING_LEAVE}accepted by RELAY\n"));
    let size = desk.catcher.wait_for(1).await[0].bytes.len();
    assert!(sent.out.contains(&format!("> ({size} bytes of mail")), "{}", sent.out);
    assert_eq!(sent.err, "");
}

/// The class of each failure, how the dialogue ends, what is said, and what can be done.
#[tokio::test(flavor = "multi_thread")]
async fn each_failure_says_what_a_person_can_do() {
    let desk = Desk::new().await;
    let usual = desk.usual_relay();
    let unlike = |from: &str, to: &str| {
        assert!(usual.contains(from));
        usual.replace(from, to)
    };
    desk.studio.write("config/wrong", "canary-that-is-wrong");
    let passing = "`fuelgauge serve` tries an alert again after seconds, then ever more rarely, for 25 hours";
    let mended = "`fuelgauge serve` keeps its alerts for days and tries them every half hour, until this is mended";
    let given_up = "`fuelgauge serve` gives up an alert that is answered like this";
    let maybe =
        "the mail may have arrived all the same: `fuelgauge serve` sends an alert again, with the same Message-ID";
    let fewer = "the relay wants fewer mails: `fuelgauge serve` tries an alert again after minutes, for 25 hours";
    let gone = free_port();
    std::fs::create_dir(desk.studio.path().join("other")).unwrap();
    let other = Certificates::for_localhost(&desk.studio.path().join("other"));
    let reply = |at, text: String| Some((at, Act::Reply(text)));
    let echo = || format!("550-5.1.1 Nobody of that name, {PASSWORD}\r\n550 5.1.1 {}", ENCODED[0]);
    let in_login = |last: &str| format!("{BEGINNING}{LOGGED_IN}{last}");
    let sender = "> MAIL FROM:<fuelgauge@studio.example>\n";
    let to_data = format!(
        "{sender}< 250 2.1.0 Sender noted\n> RCPT TO:<lead@studio.example>\n< 250 2.1.5 Recipient noted\n> DATA\n"
    );
    type Case = (&'static str, String, Option<(At, Act)>, String, String);
    let cases: Vec<Case> = vec![
        (
            "no such host",
            unlike("localhost", "nowhere.invalid"),
            None,
            String::new(),
            format!(
                "transient): failed to look up the relay `nowhere.invalid:PORT`: Name or service not known\n\
                     hint: is `relay.host` right, and does this machine find names?\nhint: {passing}"
            ),
        ),
        (
            "nothing listening",
            format!("host: 127.0.0.1, port: {gone}"),
            None,
            format!("connecting to 127.0.0.1:{gone}\n(no connection: Connection refused (os error 111))\n"),
            format!(
                "transient): failed to reach the relay `127.0.0.1:{gone}`: Connection refused (os error 111)\n\
                     hint: does it run, and are `relay.host` and `relay.port` right?\nhint: {passing}"
            ),
        ),
        (
            "untrusted",
            format!(
                "host: localhost, port: {}, ca_file: {}",
                desk.catcher.local_addr().port(),
                other.ca_file.display()
            ),
            None,
            format!("{BEGINNING}(the TLS handshake failed)\n"),
            format!(
                "configuration): TLS with the relay `RELAY` failed: nobody who is trusted here has signed its certificate\n\
                     hint: a private authority, or a certificate that the relay has signed itself, goes into `relay.ca_file`\n\
                     hint: {mended}"
            ),
        ),
        (
            "wrong name",
            unlike("host: localhost", "host: localhost, server_name: smtp.studio.example"),
            None,
            format!("{BEGINNING}(the TLS handshake failed)\n"),
            format!(
                "configuration): TLS with the relay `RELAY` failed: its certificate is not valid for `smtp.studio.example`; \
                     it is for `localhost`\n\
                     hint: `relay.host`, or `relay.server_name` if that is set, must be a name in the relay's certificate\n\
                     hint: {mended}"
            ),
        ),
        (
            "wrong password",
            unlike("password_file: password", "password_file: wrong"),
            None,
            in_login("").replace("< 235 2.7.0", "< 535 5.7.8") + TAKING_LEAVE,
            format!(
                "configuration): the relay `RELAY` answered AUTH with 535 5.7.8\n\
                     hint: check `relay.username` and the content of `password_file`\nhint: {mended}"
            ),
        ),
        (
            "a relay that repeats the password",
            usual.clone(),
            reply(At::Auth, format!("535 5.7.8 `{PASSWORD}` is wrong")),
            in_login("").replace("< 235 2.7.0", "< 535 5.7.8") + TAKING_LEAVE,
            format!(
                "configuration): the relay `RELAY` answered AUTH with 535 5.7.8\n\
                     hint: check `relay.username` and the content of `password_file`\nhint: {mended}"
            ),
        ),
        (
            "refused, and the password repeated later",
            usual.clone(),
            reply(At::Recipient, echo()),
            in_login(&format!(
                "{sender}< 250 2.1.0 Sender noted\n> RCPT TO:<lead@studio.example>\n\
                 < 550-5.1.1 Nobody of that name, <redacted>\n< 550 5.1.1 <redacted>\n{TAKING_LEAVE}"
            )),
            format!(
                "permanent): the relay `RELAY` answered RCPT with 550 5.1.1 Nobody of that name, <redacted> <redacted>\n\
                     hint: is the address right?\nhint: {given_up}"
            ),
        ),
        (
            "too many",
            usual.clone(),
            reply(At::Mail, "450 4.7.1 Too many mails".into()),
            in_login(&format!("{sender}< 450 4.7.1 Too many mails\n{TAKING_LEAVE}")),
            format!("rate_limited): the relay `RELAY` answered MAIL with 450 4.7.1 Too many mails\nhint: {fewer}"),
        ),
        (
            "no reply to the mail",
            usual.clone(),
            Some((At::EndOfData, Act::Close)),
            in_login(&format!(
                "{to_data}< 354 End with a dot on a line of its own\n> (SIZE bytes of mail, and a dot)\n\
                 (no reply: the relay closed the connection)\n"
            )),
            format!(
                "unknown): the dialogue with the relay `RELAY` broke off at the message: the relay closed the connection\n\
                     hint: {maybe}"
            ),
        ),
        (
            "no SMTP",
            usual.clone(),
            reply(At::Greeting, "SSH-2.0-OpenSSH_9.2".into()),
            "connecting to ADDRESS\n(no reply: expected a reply of SMTP, found `SSH-2.0-OpenSSH_9.2`)\n".into(),
            format!(
                "transient): the dialogue with the relay `RELAY` broke off at the greeting: expected a reply of SMTP, \
                     found `SSH-2.0-OpenSSH_9.2`\n\
                     hint: is `relay.port` right? What answers there speaks something else\nhint: {passing}"
            ),
        ),
    ];
    for (case, relay, fault, dialogue, explanation) in cases {
        desk.script(fault.into_iter().collect());
        let ended = desk.send(&relay).await.expect(1);
        assert_eq!(desk.told(&ended.out), dialogue, "{case}");
        assert_eq!(desk.told(&ended.err), format!("fuelgauge: not accepted ({explanation}\n"), "{case}");
        for secret in [PASSWORD, "canary-that-is-wrong", ENCODED[0], ENCODED[1]] {
            assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "{case}");
        }
    }

    // A relay that offers no TLS at all, or no longer.
    desk.catcher.set_script(Script::default());
    let stripped = desk.send(&usual).await.expect(1);
    assert!(!stripped.out.contains("MAIL FROM") && stripped.out.ends_with(TAKING_LEAVE), "{}", stripped.out);
    stripped.says(&["does not offer STARTTLS, so nothing was sent", "hint: port 465 usually wants"]);
}

/// Plain text that leaves this machine is warned of wherever it is configured.
#[tokio::test(flavor = "multi_thread")]
async fn mail_in_plain_text_is_warned_of() {
    let desk = Desk::new().await;
    // A name that is this machine, but not for certain.
    let relay = format!(
        "host: ip6-localhost, port: {}, security: none, allow_plaintext: true",
        desk.catcher.local_addr().port()
    );
    desk.configure(&relay);
    let warning = format!("mails go to `ip6-localhost:{}` in plain text", desk.catcher.local_addr().port());
    let checked = desk.studio.run(&["check"]).await.expect(0);
    assert!(checked.out.contains(&format!("warning: {warning}, as `relay.allow_plaintext` allows")), "{}", checked.out);
    let agent = desk.studio.serve().await;
    agent.ready().await;
    let ended = agent.running.stop("TERM", std::time::Duration::from_secs(5)).await.expect(0);
    assert!(ended.err.contains(&warning) && ended.err.contains("WARN"), "{}", ended.err);

    desk.configure(&desk.usual_relay());
    let checked = desk.studio.run(&["check"]).await.expect(0).out;
    assert!(checked.contains(" with STARTTLS, as `fuelgauge`\n") && !checked.contains("plain text"), "{checked}");
}
