//! An outbox on a stage: a real ledger, a clock that moves on request, and a relay that answers as it is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt};
use jiff::{SignedDuration, Timestamp};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Message, MultiPart, SinglePart};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};

use super::super::*;
use crate::clock::{Clock, ManualClock};
use crate::demo::catcher::{ShownMail, show};
use crate::domain::{
    AccountName, Alert, AlertState, DeliveryLimits, DrawKey, Notice, OutboxDepth, OutboxMessage, RenderedMail,
    RuleName, Stage as Severity, TeamName, Why,
};
use crate::notify::{MergedContext, NotifyError, render_merged};
use crate::store::{AlertChange, OutboxRecord, Retried};

/// What the relay says to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Accept,
    Fail(NotifyFailure),
    /// It takes the message, and its answer is lost.
    Lose,
    /// It takes nothing and says nothing, until it is let go: then it answers as it is told to by then.
    Hang,
}

type Answer = Box<dyn FnMut(&OutboxMessage) -> Reply + Send>;

/// The relay.
pub struct Relay {
    answer: Mutex<Answer>,
    accepted: Mutex<Vec<OutboxMessage>>,
    tries: Mutex<u32>,
    unsure: Mutex<Vec<(String, String)>>,
    let_go: Notify,
}

impl Sender for Relay {
    fn send<'a>(&'a self, message: &'a OutboxMessage) -> BoxFuture<'a, Result<(), NotifyError>> {
        async {
            *self.tries.lock().unwrap() += 1;
            let mut reply = (self.answer.lock().unwrap())(message);
            // Until the answer is known nobody knows.
            let mail = Mail::read(message.clone());
            let unsure = mail.tells().into_iter().map(|notice| (mail.recipient.clone(), notice));
            self.unsure.lock().unwrap().extend(unsure.clone());
            while reply == Reply::Hang {
                self.let_go.notified().await;
                reply = (self.answer.lock().unwrap())(message);
            }
            if matches!(reply, Reply::Accept | Reply::Lose) {
                self.accepted.lock().unwrap().push(message.clone());
            }
            // The answer takes its time.
            tokio::task::yield_now().await;
            if !matches!(reply, Reply::Lose | Reply::Fail(NotifyFailure::Unknown)) {
                let known: Vec<_> = unsure.collect();
                self.unsure.lock().unwrap().retain(|one| !known.contains(one));
            }
            let kind = match reply {
                Reply::Accept => return Ok(()),
                Reply::Lose => NotifyFailure::Unknown,
                Reply::Fail(kind) => kind,
                Reply::Hang => unreachable!("it was waited for"),
            };
            let message = format!("the relay said {} to <{}>", kind.as_str(), message.recipient);
            Err(NotifyError::new(kind, message))
        }
        .boxed()
    }
}

impl Relay {
    pub fn new() -> Arc<Relay> {
        let answer: Mutex<Answer> = Mutex::new(Box::new(|_| Reply::Accept));
        Arc::new(Relay {
            answer,
            accepted: Mutex::default(),
            tries: Mutex::default(),
            unsure: Mutex::default(),
            let_go: Notify::new(),
        })
    }

    /// From now on every message is answered so.
    pub fn say(&self, reply: Reply) {
        self.answer_by(move |_| reply);
    }

    pub fn answer_by(&self, answer: impl FnMut(&OutboxMessage) -> Reply + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// One that hangs does so no longer.
    pub fn let_go(&self) {
        self.let_go.notify_one();
    }

    /// What has been taken since the last look.
    pub fn take(&self) -> Vec<Mail> {
        self.accepted.lock().unwrap().drain(..).map(Mail::read).collect()
    }

    /// The notices, by recipient, of which nobody knows whether they arrived, since the last look.
    pub fn take_unsure(&self) -> Vec<(String, String)> {
        self.unsure.lock().unwrap().drain(..).collect()
    }

    /// How many tries have begun since the last look.
    pub fn tries(&self) -> u32 {
        std::mem::take(&mut self.tries.lock().unwrap())
    }

    /// The same, and the look goes on.
    pub fn tries_so_far(&self) -> u32 {
        *self.tries.lock().unwrap()
    }
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    pub recipient: String,
    pub id: String,
    pub raw: String,
    pub shown: ShownMail,
}

impl Mail {
    fn read(message: OutboxMessage) -> Mail {
        let shown = show(&message.message);
        let recipient = message.recipient.split('@').next().unwrap().to_owned();
        let raw = String::from_utf8(message.message).unwrap();
        assert!(raw.contains(&format!("Message-ID: {}\r\n", message.message_id)));
        Mail { recipient, id: message.message_id, raw, shown }
    }

    /// The notices that it tells, such as `art-1-opened`, in the order of the text.
    pub fn tells(&self) -> Vec<String> {
        let text = self.shown.text.replace(['\r', '\n'], " ");
        text.split("[[").skip(1).filter_map(|rest| rest.split("]]").next()).map(str::to_owned).collect()
    }
}

/// The mail of a notice, as far as an outbox cares: its text begins with what it tells.
pub fn mail_of(notice: &Notice, recipient: &str) -> RenderedMail {
    let (team, episode, why) = (notice.key.team.as_str(), notice.episode, notice.why.as_str());
    let name = match notice.why {
        Why::Repeated => format!("{team}-{episode}-{why}-{}", notice.at.as_second()),
        Why::Worsened => format!("{team}-{episode}-{why}-{}", notice.stage.as_str()),
        _ => format!("{team}-{episode}-{why}"),
    };
    let (sender, recipient) = ("fuelgauge@studio.example", format!("{recipient}@studio.example"));
    let (text, html) = (format!("[[{name}]]\n\n--\nfuelgauge\n"), format!("<html><body><p>{name}</p></body></html>"));
    let thread = format!("<{team}.{episode}@studio.example>");
    let message_id = format!("<{name}.{recipient}>");
    let part = |kind, text: &str| {
        let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable).unwrap();
        SinglePart::builder().header(kind).body(body)
    };
    let parts = MultiPart::alternative()
        .singlepart(part(ContentType::TEXT_PLAIN, &text))
        .singlepart(part(ContentType::TEXT_HTML, &html));
    let message = Message::builder()
        .from(sender.parse().unwrap())
        .to(recipient.parse().unwrap())
        .subject(format!("Credits of team {team}"))
        .date(std::time::SystemTime::from(notice.at))
        .message_id(Some(message_id.clone()))
        .references(thread.clone())
        .multipart(parts)
        .unwrap()
        .formatted();
    RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: sender.into(),
        recipient,
        message_id,
        thread,
        subject: format!("Credits of team {team}"),
        summary: format!("[[{name}]]"),
        text,
        html,
        message,
    }
}

/// Roomy enough for a test that is about something else.
pub const WIDE: DeliveryLimits =
    DeliveryLimits { per_recipient_per_hour: 100_000, per_recipient_per_day: 1_000_000, per_minute: 1_000_000 };

pub struct Stage {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub relay: Arc<Relay>,
    pub metrics: AgentMetrics,
    pub registry: Registry,
    pub published: watch::Sender<Arc<Snapshot>>,
    pub filled: Arc<Notify>,
    pub outbox: Outbox,
    leases: Arc<Leases>,
    limits: DeliveryLimits,
    folder: TempDir,
}

pub fn noon() -> Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

pub fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Mail by this relay, with mails of several.
pub fn channel(name: &str, relay: &Arc<Relay>, limits: DeliveryLimits) -> Channel {
    let context = MergedContext { external_url: Some("https://fuelgauge.studio.example".into()), limits };
    let merger = Arc::new(move |parts: &crate::domain::outbox::MergeParts| render_merged(parts, &context));
    Channel {
        name: name.into(),
        sender: Arc::clone(relay) as Arc<dyn Sender>,
        merger: Some(merger),
        limits,
        max_age: SignedDuration::from_hours(25),
    }
}

impl Stage {
    pub async fn new(limits: DeliveryLimits) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        store.open_account(&account(), [7; 16]).await.unwrap();
        let (clock, relay, registry) = (Arc::new(ManualClock::new(noon())), Relay::new(), Registry::new());
        let metrics = AgentMetrics::register(&registry).unwrap();
        initialize_metrics(&metrics, &[channel(EMAIL_CHANNEL, &relay, limits)]);
        let published = watch::Sender::new(Arc::new(Snapshot::default()));
        let (filled, leases) = (Arc::<Notify>::default(), Arc::default());
        let channels = vec![channel(EMAIL_CHANNEL, &relay, limits)];
        let (time, shown) = (Arc::clone(&clock) as Arc<dyn Clock>, published.clone());
        let outbox = Outbox::new(store.clone(), channels, time, metrics.clone(), shown, Arc::clone(&filled), &leases);
        Stage { store, clock, relay, metrics, registry, published, filled, outbox, leases, limits, folder }
    }

    /// As after a power cut: nothing in memory is left, and nobody else is at work.
    pub async fn restart(&mut self) {
        self.store.close().await;
        self.store = Store::open(&self.folder.path().join("ledger.db")).await.unwrap();
        self.store.open_account(&account(), [7; 16]).await.unwrap();
        // What came of those that were under way nobody knows.
        let unsure = self.notices_told_by(|record| record.is_under_way).await;
        self.relay.unsure.lock().unwrap().extend(unsure);
        let only_one = self.store.lock_for_serving().unwrap();
        self.store.release_claims(&only_one, self.clock.now()).await.unwrap();
        drop(only_one);
        self.leases = Arc::default();
        self.outbox = self.reloaded_outbox();
    }

    /// The outbox of another process on the same ledger: it knows nothing of what this one has under way.
    pub fn another_outbox(&self) -> Outbox {
        self.outbox_with(&Arc::default())
    }

    /// The outbox of the same process after a reload of its configuration.
    pub fn reloaded_outbox(&self) -> Outbox {
        self.outbox_with(&self.leases)
    }

    fn outbox_with(&self, leases: &Arc<Leases>) -> Outbox {
        let (time, shown) = (Arc::clone(&self.clock) as Arc<dyn Clock>, self.published.clone());
        let (metrics, filled) = (self.metrics.clone(), Arc::clone(&self.filled));
        let channels = vec![channel(EMAIL_CHANNEL, &self.relay, self.limits)];
        Outbox::new(self.store.clone(), channels, time, metrics, shown, filled, leases)
    }

    /// Decides a notice, and keeps the state of its alert and a mail for each recipient, as an assessment does.
    pub async fn tell(&self, team: &str, episode: u32, severity: Severity, why: Why, recipients: &[&str]) -> Notice {
        let at = self.clock.now();
        let key = DrawKey { account: account(), team: TeamName::parse(team).unwrap() };
        let (rule, period_start) = (RuleName::Exhaustion, "2026-11-01T00:00:00Z".parse().unwrap());
        let state = match why {
            Why::Resolved | Why::PlanReset => {
                AlertState::Resolved { level: severity.into(), since: at, at, untold: None }
            }
            _ => AlertState::Firing { level: severity.into(), since: at, clear_since: None, told: None },
        };
        let change = AlertChange { key: key.clone(), rule, period_start, alert: Alert { episode, state } };
        let notice =
            Notice { key, rule, period_start, period_end: None, episode, since: at, stage: severity, step: 0, why, at };
        let mails = recipients.iter().map(|recipient| mail_of(&notice, recipient)).collect();
        self.store.commit_alerts(&[change], &[(notice.clone(), mails)]).await.unwrap();
        notice
    }

    /// Opens a warning about a team for one recipient.
    pub async fn warn(&self, team: &str, recipient: &str) {
        self.tell(team, 1, Severity::Warning, Why::Opened, &[recipient]).await;
    }

    /// Opens a warning about a team for so many recipients.
    pub async fn warn_all(&self, team: &str, recipients: usize) {
        let recipients: Vec<String> = (0..recipients).map(|number| format!("r{number}")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        self.tell(team, 1, Severity::Warning, Why::Opened, &recipients).await;
    }

    pub async fn deliver(&self) -> Delivered {
        self.outbox.deliver_once().await.unwrap()
    }

    pub async fn deliver_after(&self, more: SignedDuration) -> Delivered {
        self.clock.advance(more);
        self.deliver().await
    }

    pub async fn depth(&self) -> OutboxDepth {
        self.store.outbox_depth().await.unwrap()
    }

    pub async fn records(&self, state: &str) -> Vec<OutboxRecord> {
        self.store.outbox_records(&[state], 10_000).await.unwrap()
    }

    pub async fn retry_all(&self) -> Retried {
        self.store.retry_given_up(None, self.clock.now()).await.unwrap()
    }

    /// A delivery that dies, with all that it has under way, when so many tries have begun, or lives if there are fewer.
    pub async fn die_during_a_delivery(&self, tries: u32) {
        let before = self.relay.tries_so_far();
        let delivering = self.outbox.deliver_once();
        tokio::pin!(delivering);
        while self.relay.tries_so_far() < before + tries {
            if futures_util::poll!(&mut delivering).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The notices that were given up, by recipient.
    pub async fn given_up_notices(&self) -> BTreeSet<(String, String)> {
        self.notices_told_by(|record| record.state == "failed").await
    }

    async fn notices_told_by(&self, which: impl Fn(&OutboxRecord) -> bool) -> BTreeSet<(String, String)> {
        let all = self.store.outbox_records(&["waiting", "failed", "sent", "merged"], 100_000).await.unwrap();
        let tellers: BTreeSet<i64> = all.iter().filter(|record| which(record)).map(|record| record.id).collect();
        let is_told = |record: &&OutboxRecord| {
            tellers.contains(&record.id) || record.merged_into.is_some_and(|teller| tellers.contains(&teller))
        };
        let name = |record: &OutboxRecord| {
            let recipient = record.recipient.split('@').next().unwrap().to_owned();
            (recipient, record.summary.trim_matches(['[', ']']).to_owned())
        };
        all.iter().filter(is_told).map(name).collect()
    }

    /// A counter of the channel, by its other label.
    pub fn counted(&self, family: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|found| found.name() == family).unwrap();
        let has = |metric: &&prometheus::proto::Metric| {
            let mut labels = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
            labels.all(|(name, value)| if name == "channel" { value == EMAIL_CHANNEL } else { value == label })
        };
        family.get_metric().iter().find(has).unwrap().get_counter().get_value()
    }
}

fn account() -> AccountName {
    AccountName::parse("studio").unwrap()
}
