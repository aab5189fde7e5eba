//! Every way to misbehave at every step of the dialogue: what the failure is, what becomes of the mail, and that the next
//! try sends the same bytes.

use futures_util::StreamExt;
use futures_util::stream;

use super::*;

/// What comes of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Fails(NotifyFailure),
}

const OK: Outcome = Outcome::Accepted;
const TR: Outcome = Outcome::Fails(NotifyFailure::Transient);
const RL: Outcome = Outcome::Fails(NotifyFailure::RateLimited);
const PE: Outcome = Outcome::Fails(NotifyFailure::Permanent);
const CO: Outcome = Outcome::Fails(NotifyFailure::Configuration);
const UN: Outcome = Outcome::Fails(NotifyFailure::Unknown);

/// A step and the code that is due there.
type StepRow = (At, u16, [Outcome; 19]);

/// The steps, and what each fault of [`faults`] is there.
#[rustfmt::skip]
fn table() -> [StepRow; 9] {
    [
        //                       done all the same | refused            | broken                         | silent | cut
        (At::Greeting,  220, [OK, OK, OK, OK,        TR, TR, RL, CO, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Hello,     250, [OK, OK, OK, OK,        TR, TR, RL, CO, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Starttls,  220, [OK, OK, OK, OK,        TR, TR, RL, CO, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Auth,      235, [OK, OK, OK, OK,        TR, TR, RL, CO, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Mail,      250, [OK, OK, OK, OK,        TR, TR, RL, PE, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Recipient, 250, [OK, OK, OK, OK,        TR, TR, RL, PE, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::Data,      354, [OK, OK, OK, OK,        TR, TR, RL, PE, TR,  TR, TR, TR, TR, TR,              TR, TR,  TR, TR, TR]),
        (At::EndOfData, 250, [OK, OK, OK, OK,        TR, TR, RL, PE, TR,  UN, UN, UN, UN, UN,              UN, UN,  UN, UN, UN]),
        (At::Quit,      221, [OK, OK, OK, OK,        OK, OK, OK, OK, OK,  OK, OK, OK, OK, OK,              OK, OK,  OK, OK, OK]),
    ]
}

/// The columns of [`table`]. `code` is the one that is due.
fn faults(code: u16) -> [(&'static str, Act); 19] {
    let say = |text: String| Act::Reply(text);
    let send = |bytes: &[u8]| Act::Bytes(bytes.to_vec());
    let wrong = if code == 354 { 250 } else { 354 };
    [
        ("slow", Act::Dribble(Duration::from_millis(1))),
        ("several lines", say(format!("{code}-one\r\n{code}-\r\n{code} three"))),
        ("a code alone", send(format!("{code}\r\n").as_bytes())),
        ("Latin 1", send(&[format!("{code} ").as_bytes(), b"\xfc\r\n"].concat())),
        ("not now", say("451 4.3.0 Later".into())),
        ("not now, in several lines", say("451-4.3.0 Later\r\n451 4.3.0 much later".into())),
        ("too much", say("450 4.7.1 Too many mails".into())),
        ("no", say("550 5.0.0 No".into())),
        ("no more", Act::Cut(b"421 4.3.2 Closing\r\n".to_vec())),
        ("garbage", send(b"\x00\xff\x16\x03\r\n")),
        ("two codes in one reply", send(format!("{code}-one\r\n550 two\r\n").as_bytes())),
        ("another step's code", say(format!("{wrong} What was it?"))),
        ("a line without end", Act::Flood(vec![b'2'; 512])),
        ("a reply without end", Act::Flood(format!("{code}-and another\r\n").into_bytes())),
        ("silence", Act::Hang),
        ("too slow", Act::Dribble(Duration::from_millis(200))),
        ("cut before the reply", Act::Close),
        ("cut in the line", Act::Cut(format!("{code} 2.0").into_bytes())),
        ("cut between lines", Act::Cut(format!("{code}-2.0.0 one\r\n").into_bytes())),
    ]
}

/// Relays that go through all steps: one that wants TLS and a login, one that wants neither.
struct Relays {
    authority: Authority,
    handshake: Handshake,
    password_file: std::path::PathBuf,
}

impl Relays {
    fn new() -> Relays {
        let authority = Authority::new();
        let password_file = authority.folder.path().join("password");
        write_password(&password_file, PASSWORD);
        authority.ca_file();
        Relays { handshake: authority.handshake(for_localhost()), authority, password_file }
    }

    fn script(&self, at: &At, faults: Vec<(At, Act)>) -> Script {
        if matches!(at, At::Starttls | At::Auth) {
            let login = Some(("fuelgauge".to_owned(), PASSWORD.to_owned()));
            Script { faults, login, tls: Tls::Starttls(Arc::clone(&self.handshake)) }
        } else {
            Script { faults, ..Script::default() }
        }
    }

    fn config(&self, at: &At, address: SocketAddr) -> EmailConfig {
        if !matches!(at, At::Starttls | At::Auth) {
            return relay(address, "127.0.0.1", Security::None);
        }
        let mut config = encrypted(address, Security::Starttls, &self.authority.folder.path().join("ca.pem"));
        config.relay.username = Some("fuelgauge".into());
        config.relay.password_file = Some(SecretFile::new(&self.password_file));
        config
    }
}

/// Short for the step that will be waited for in vain, and long for the others: the machine may be busy.
fn limits(at: &At, is_slow: bool) -> TimeLimits {
    let long = TimeLimits { quit: Duration::from_secs(60), ..TimeLimits::default() };
    let short = Duration::from_millis(900);
    match at {
        _ if !is_slow => long,
        At::Data => TimeLimits { data: short, ..long },
        At::EndOfData => TimeLimits { end_of_data: short, ..long },
        At::Quit => TimeLimits { quit: short, ..long },
        _ => TimeLimits { command: short, ..long },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_at_each_step_has_its_class() {
    let relays = Relays::new();
    let cells = table().into_iter().flat_map(|(at, code, outcomes)| {
        faults(code).into_iter().zip(outcomes).map(move |((name, act), outcome)| (at.clone(), name, act, outcome))
    });
    let tried = stream::iter(cells).map(|cell| try_one(&relays, cell)).buffer_unordered(24).collect::<Vec<()>>().await;
    assert_eq!(tried.len(), 9 * 19);
}

async fn try_one(relays: &Relays, (at, name, act, expected): (At, &str, Act, Outcome)) {
    let case = format!("{name} at {at:?}");
    let is_slow = matches!(name, "silence" | "too slow");
    let catcher = catcher(relays.script(&at, vec![(at.clone(), act)])).await;
    let config = relays.config(&at, catcher.local_addr());
    let mailer = Mailer::with_limits(&config, limits(&at, is_slow));
    let tried = mailer.send(&mail()).await;
    let outcome = match &tried {
        Ok(()) => Outcome::Accepted,
        Err(error) => Outcome::Fails(error.kind),
    };
    assert_eq!(outcome, expected, "{case}: {tried:?}");

    // What becomes of the mail.
    let now = Timestamp::UNIX_EPOCH;
    let first_wait_seconds = match expected {
        OK | PE => None,
        TR => Some(15),
        RL | UN => Some(300),
        Outcome::Fails(_) => Some(1800),
    };
    if let Err(error) = &tried {
        let next = match after_failure(error.kind, 1, now, mailer.max_age(), now, 1.0) {
            NextStep::RetryAt(at) => Some(at.as_second()),
            NextStep::GiveUp => None,
        };
        assert_eq!(next, first_wait_seconds, "{case}");
        let said = error.to_string();
        assert!(said.lines().all(|line| line.len() < 400 && !line.contains(PASSWORD)), "{case}: {said}");
        assert!(!is_slow || said.contains("within 0.9 s"), "{case}: {said}");
    }

    // The relay is well again: the same bytes, and a second copy only where nobody could know of the first.
    if first_wait_seconds.is_some() {
        catcher.set_script(relays.script(&at, Vec::new()));
        mailer.send(&mail()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let copies = match expected {
        PE => 0,
        UN => 2,
        _ => 1,
    };
    let caught = catcher.wait_for(copies).await;
    assert_eq!(caught.len() as u64, copies, "{case}");
    assert!(caught.iter().all(|copy| copy.bytes == mail().message), "{case}");
}
