//! Mails through the outbox: one refused among five, one that hangs, a relay that is gone for a day, and a great many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fuelgauge::app::Shared;
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::{EmailConfig, RelayConfig, Security};
use fuelgauge::demo::catcher::{Act, At, Catcher, Script};
use fuelgauge::domain::{
    AccountName, DeliveryLimits, DrawKey, EMAIL_CHANNEL, Notice, RenderedMail, RuleName, Stage, TeamName, Why,
};
use fuelgauge::notify::{Mailer, TimeLimits};
use fuelgauge::outbox::{Channel, Delivered, Outbox};
use fuelgauge::store::{OutboxRecord, Store};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::agent::{STUDIO, Setup, TestAgent, thirsty_studio};
use crate::support::servers::{eventually, free_port};

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// An outbox on a clock that stands, and a relay.
struct Bed {
    shared: Shared,
    clock: Arc<ManualClock>,
    catcher: Catcher,
    config: EmailConfig,
    limits: TimeLimits,
    _folder: TempDir,
}

impl Bed {
    async fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(noon()));
        let shared = Shared::open(&folder.path().join("ledger.db"), Arc::<ManualClock>::clone(&clock)).await.unwrap();
        shared.store.open_account(&AccountName::parse("studio").unwrap(), [0; 16]).await.unwrap();
        let catcher = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let config = EmailConfig {
            from: "fuelgauge@studio.example".parse().unwrap(),
            relay: RelayConfig::new("127.0.0.1", catcher.local_addr().port(), Security::None),
            max_age: SignedDuration::from_hours(25),
            heartbeat: None,
            // What is tested here is the relay, and not how much it is asked for.
            limits: DeliveryLimits {
                per_recipient_per_hour: 100_000,
                per_recipient_per_day: 100_000,
                per_minute: 100_000,
            },
        };
        Bed { shared, clock, catcher, config, limits: TimeLimits::default(), _folder: folder }
    }

    fn outbox(&self) -> Outbox {
        outbox(&self.shared, Mailer::with_limits(&self.config, self.limits), self.config.limits)
    }

    async fn deliver(&self) -> Delivered {
        self.outbox().deliver_once().await.unwrap()
    }

    /// Tries whatever is due until `until`, each at its time.
    async fn deliver_until(&self, until: Timestamp) {
        while let Some(due) = self.next_try_at().await.filter(|due| *due <= until) {
            self.clock.set(due.max(self.clock.now()));
            self.deliver().await;
        }
        self.clock.set(until);
    }

    /// When something waits and the relay is not left alone.
    async fn next_try_at(&self) -> Option<Timestamp> {
        let store = &self.shared.store;
        let due = store.next_message_due_at(EMAIL_CHANNEL).await.unwrap()?;
        let pause = store.channel_pause(EMAIL_CHANNEL).await.unwrap().and_then(|pause| pause.until);
        Some(pause.map_or(due, |until| due.max(until)))
    }

    async fn mails(&self) -> Vec<OutboxRecord> {
        let states = ["waiting", "sent", "failed", "merged"];
        self.shared.store.outbox_records(&states, 100_000).await.unwrap()
    }

    /// How many mails the relay has by `Message-ID`, all copies of one alike.
    fn copies(&self) -> BTreeMap<String, usize> {
        let mut found: BTreeMap<String, (usize, Vec<u8>)> = BTreeMap::new();
        for mail in self.catcher.caught() {
            let text = String::from_utf8(mail.bytes.clone()).unwrap();
            let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
            let entry = found.entry(id).or_insert((0, mail.bytes.clone()));
            entry.0 += 1;
            assert_eq!(entry.1, mail.bytes, "a second try sends the same bytes");
        }
        found.into_iter().map(|(id, (count, _))| (id, count)).collect()
    }
}

fn outbox(shared: &Shared, mailer: Mailer, limits: DeliveryLimits) -> Outbox {
    let (clock, metrics) = (Arc::clone(&shared.clock), shared.metrics.agent.clone());
    Outbox::new(
        shared.store.clone(),
        vec![Channel::email(mailer, limits, None)],
        clock,
        metrics,
        shared.published.clone(),
        Arc::clone(&shared.outbox_filled),
        &Arc::default(),
    )
}

/// Decides one alert of a team of its own for each recipient, and stores its mail.
async fn decide(store: &Store, recipients: &[String], at: Timestamp) {
    let notices: Vec<(Notice, Vec<RenderedMail>)> =
        recipients.iter().map(|to| (notice(to, at), vec![mail(to)])).collect();
    let are_new = store.commit_alerts(&[], &notices).await.unwrap();
    assert!(are_new.iter().all(|is_new| *is_new));
}

fn notice(recipient: &str, at: Timestamp) -> Notice {
    let team = TeamName::parse(recipient.split('@').next().unwrap()).unwrap();
    Notice {
        key: DrawKey { account: AccountName::parse("studio").unwrap(), team },
        rule: RuleName::Exhaustion,
        period_start: Timestamp::UNIX_EPOCH,
        period_end: None,
        episode: 1,
        stage: Stage::Warning,
        step: 0,
        why: Why::Opened,
        since: at,
        at,
    }
}

fn mail(recipient: &str) -> RenderedMail {
    let message_id = format!("<{}.1@fuelgauge.example>", recipient.replace('@', "."));
    let head = format!("From: fuelgauge@studio.example\r\nTo: {recipient}\r\nMessage-ID: {message_id}\r\n");
    let message = format!("{head}Subject: Credits of {recipient}\r\n\r\n{}", "Soon there will be none.\r\n".repeat(40));
    RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: "fuelgauge@studio.example".into(),
        recipient: recipient.into(),
        thread: message_id.clone(),
        message_id,
        subject: format!("Credits of {recipient}"),
        summary: "Soon there will be none.".into(),
        text: "Soon there will be none.".into(),
        html: "<p>Soon there will be none.</p>".into(),
        message: message.into_bytes(),
    }
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("lead-{number:05}@studio.example")).collect()
}

fn misbehaving(at: At, act: Act) -> Script {
    Script { faults: vec![(at, act)], ..Script::default() }
}

#[tokio::test]
async fn one_bad_address_among_five() {
    let bed = Bed::new().await;
    let people = people(5);
    decide(&bed.shared.store, &people, noon()).await;
    let refusal = Act::Reply("550 5.1.1 Nobody of that name here".into());
    bed.catcher.set_script(misbehaving(At::RecipientIs(people[2].clone()), refusal));
    assert_eq!(bed.deliver().await, Delivered { sent: 4, failed: 1, ..Delivered::default() });

    let mut arrived: Vec<String> = bed.catcher.caught().iter().flat_map(|mail| mail.recipients.clone()).collect();
    arrived.sort();
    let others: Vec<String> = people.iter().filter(|person| **person != people[2]).cloned().collect();
    assert_eq!(arrived, others);
    for record in bed.mails().await {
        let is_bad = record.recipient == people[2];
        assert_eq!(record.state, if is_bad { "failed" } else { "sent" });
        assert_eq!(record.attempts, 1);
        let told = record.last_error.as_ref().is_some_and(|error| {
            error.contains("answered RCPT with 550 5.1.1 Nobody of that name here\nhint: is the address right?")
        });
        assert_eq!(told, is_bad, "{record:?}");
    }
    let failures = &bed.shared.metrics.agent.notification_failures;
    assert_eq!(failures.with_label_values(&["email", "permanent"]).get(), 1);
    // Nothing is left to do, however long one waits.
    bed.clock.advance(SignedDuration::from_hours(100));
    assert_eq!(bed.deliver().await, Delivered::default());
}

#[tokio::test]
async fn a_relay_that_hangs_on_one_mail_holds_up_nothing_else() {
    let agent = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(noon()), noon())).await;
    let people = people(6);
    decide(&agent.shared.store, &people, noon()).await;
    agent.catcher.set_script(misbehaving(At::EndOfDataFor(people[0].clone()), Act::Hang));
    let stop = CancellationToken::new();
    // With the time limits of every day: ten minutes for the relay to say what became of that mail.
    let mailer = Mailer::new(agent.config.email.as_ref().unwrap());
    let running = tokio::spawn(outbox(&agent.shared, mailer, DeliveryLimits::default()).run(stop.clone()));
    let depth = async || {
        let depth = agent.shared.store.outbox_depth().await.unwrap();
        (depth.total().waiting, depth.total().sent)
    };
    eventually("every mail but the one", async || (depth().await == (1, 5)).then_some(())).await;
    assert_eq!(agent.catcher.caught().len(), 6, "the one is there too, and nobody knows");

    // Meanwhile the platform is asked and the metrics are read.
    agent.move_to(noon() + SignedDuration::from_mins(5));
    agent.step().await;
    let scrape = agent.scrape().await;
    assert_eq!(scrape.value("fuelgauge_charged_credits_total", &[("account", STUDIO)]), Some(3_600.0));
    // The studio's own alert may be among them by now.
    let sent = scrape.value("fuelgauge_notification_outbox_messages", &[("state", "sent")]);
    assert!(sent >= Some(5.0), "{sent:?}");
    assert!(!running.is_finished() && depth().await.0 >= 1, "the one still hangs");
    running.abort();
}

/// How a relay fails for a whole day.
struct Outage {
    way: &'static str,
    /// `None`: nobody listens.
    script: Option<Script>,
    /// Tries of one mail in that day.
    most_tries: u32,
    /// Until each mail has arrived when it is back.
    longest_wait_minutes: i64,
    /// Whether the relay keeps what it does not confirm.
    leaves_copies: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_a_day() {
    let outage =
        |way, script, most_tries| Outage { way, script, most_tries, longest_wait_minutes: 30, leaves_copies: false };
    let reply = |at, text: &str| Some(misbehaving(at, Act::Reply(text.into())));
    let outages = [
        outage("nobody listens", None, 110),
        outage("it hangs", Some(misbehaving(At::Greeting, Act::Hang)), 110),
        outage("not now", reply(At::Recipient, "451 4.3.0 Later"), 110),
        outage("too many", reply(At::Mail, "450 4.7.1 Too many mails"), 110),
        outage("not for you", reply(At::Greeting, "554 5.7.1 No"), 100),
        Outage {
            longest_wait_minutes: 6 * 60,
            leaves_copies: true,
            ..outage("it swallows them", Some(misbehaving(At::EndOfData, Act::Close)), 15)
        },
    ];
    let survived = outages.map(|outage| tokio::spawn(survive(outage)));
    for outage in survived {
        outage.await.unwrap();
    }
}

async fn survive(outage: Outage) {
    let Outage { way, script, most_tries, longest_wait_minutes, leaves_copies } = outage;
    let hours = SignedDuration::from_hours;
    let mut bed = Bed::new().await;
    let port = bed.config.relay.port;
    match script {
        Some(script) => bed.catcher.set_script(script),
        None => bed.config.relay.port = free_port(),
    }
    if way == "it hangs" {
        bed.limits.command = Duration::from_millis(25);
    }
    // Four alerts in the course of the day.
    let people = people(4);
    for (number, person) in people.iter().enumerate() {
        decide(&bed.shared.store, std::slice::from_ref(person), bed.clock.now()).await;
        bed.deliver_until(noon() + hours(6 * (number as i64 + 1))).await;
    }
    let after_a_day = bed.mails().await;
    assert!(after_a_day.iter().all(|mail| mail.state == "waiting"), "{way}: {after_a_day:?}");
    let tries: u32 = after_a_day.iter().map(|mail| mail.attempts).max().unwrap();
    assert!(tries <= most_tries && tries >= 4, "{way}: {tries} tries");

    // It is back, and within the first round each mail has arrived.
    (bed.config.relay.port, bed.limits) = (port, TimeLimits::default());
    bed.catcher.set_script(Script::default());
    bed.deliver_until(noon() + hours(24) + SignedDuration::from_mins(longest_wait_minutes)).await;
    let afterwards = bed.mails().await;
    assert!(afterwards.iter().all(|mail| mail.state == "sent"), "{way}: {afterwards:?}");
    let copies = bed.copies();
    assert_eq!(copies.len(), people.len(), "{way}");
    let most_copies = *copies.values().max().unwrap();
    assert_eq!(most_copies > 1, leaves_copies, "{way}: {copies:?}");
    assert!(most_copies <= most_tries as usize + 1, "{way}: {copies:?}");
}

#[tokio::test]
async fn a_mail_is_given_up_when_it_is_as_old_as_the_configuration_says() {
    let mut bed = Bed::new().await;
    bed.config.max_age = SignedDuration::from_hours(2);
    bed.catcher.set_script(misbehaving(At::Data, Act::Reply("451 4.3.0 Later".into())));
    decide(&bed.shared.store, &people(1), noon()).await;
    for (minutes, state) in [(119, "waiting"), (120, "failed")] {
        bed.deliver_until(noon() + SignedDuration::from_mins(minutes)).await;
        let mails = bed.mails().await;
        assert_eq!(mails[0].state, state, "after {minutes} minutes: {mails:?}");
    }
    let mails = bed.mails().await;
    assert_eq!(mails[0].closed_at, Some(noon() + SignedDuration::from_hours(2)), "the last try is at the very end");
    assert!(mails[0].last_error.as_ref().unwrap().contains("answered DATA with 451 4.3.0 Later"), "{mails:?}");
}

/// As many as the relay remembers; `cargo bench --bench figures -- mail` takes twenty times as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_great_many_waiting_mails_arrive_once_each() {
    let bed = Bed::new().await;
    let people = people(500);
    decide(&bed.shared.store, &people, noon()).await;
    let outbox = bed.outbox();
    let mut sent = 0;
    while sent < 500 {
        let delivered = outbox.deliver_once().await.unwrap();
        assert!(delivered.sent > 0 && delivered.retrying + delivered.failed == 0, "{delivered:?} after {sent}");
        sent += delivered.sent;
    }
    assert_eq!(outbox.deliver_once().await.unwrap(), Delivered::default());
    let copies = bed.copies();
    assert!(copies.len() == 500 && copies.values().all(|count| *count == 1), "{} ids", copies.len());
    let arrived: BTreeSet<String> = bed.catcher.caught().iter().flat_map(|mail| mail.recipients.clone()).collect();
    assert_eq!(arrived, people.into_iter().collect());
    assert!(bed.mails().await.iter().all(|mail| mail.state == "sent" && mail.attempts == 1));
}
