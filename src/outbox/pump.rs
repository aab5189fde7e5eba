//! The loop of one channel.
//!
//! Messages are claimed only when there is a hand free to send them, in the transaction that records what came of those
//! before: a process that dies leaves at most [`CONCURRENT_SENDS`] messages of which nobody knows whether they arrived.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::leases::{Lease, Leases};
use super::pace::Pace;
use super::{Delivered, lock};
use crate::clock::Clock;
use crate::domain::outbox::{Merge, plan};
use crate::domain::{OutboxMessage, Snapshot};
use crate::metrics::agent::AgentMetrics;
use crate::notify::delivery::MAX_AGE_CONFIGURATION;
use crate::notify::{NextStep, NotifyError, NotifyFailure, after_failure};
use crate::store::{
    CLAIM_LEASE, DueOrder, Failure, KnownPause, Merged, Outcome, PauseOrder, Round, RoundResult, Settled, SettledAs,
    Store, StoreError,
};

/// How many messages are under way at once: a relay that hangs on one does not hold up the others. Beyond eight a relay on
/// loopback takes no more in a second than with eight, and relays elsewhere begin to refuse connections.
pub const CONCURRENT_SENDS: usize = 8;

/// The longest the loop rests without looking into the outbox, so that messages stored by another process are found.
const LONGEST_REST: SignedDuration = SignedDuration::from_mins(1);

/// No pause is longer.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// After so many closed messages the new depth is shown, though there is more to do.
const SHOWN_AFTER: u32 = 64;

/// One channel with everything that it needs.
pub struct Pump {
    channel: Channel,
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: AgentMetrics,
    published: watch::Sender<Arc<Snapshot>>,
    wake: Notify,
    pace: Mutex<Pace>,
    leases: Arc<Leases>,
    /// What came of messages and is not recorded yet.
    unrecorded: Mutex<Vec<Report>>,
}

/// What came of a try.
#[derive(Debug)]
struct Report {
    id: i64,
    message_id: String,
    /// Tries, this one among them.
    attempts: u32,
    /// From when its age counts.
    since: Timestamp,
    result: Result<(), NotifyError>,
    /// Until this is recorded, nobody else may try.
    _lease: Lease,
}

impl Report {
    fn concerns_the_relay(&self) -> bool {
        self.result.as_ref().is_err_and(|error| error.kind.concerns_the_relay())
    }
}

impl Pump {
    /// A pump at rest.
    pub fn new(
        channel: Channel,
        store: Store,
        clock: Arc<dyn Clock>,
        metrics: AgentMetrics,
        published: watch::Sender<Arc<Snapshot>>,
        leases: Arc<Leases>,
    ) -> Pump {
        let pace = Mutex::new(Pace::of(channel.limits.per_minute));
        let (wake, unrecorded) = (Notify::new(), Mutex::default());
        Pump { channel, store, clock, metrics, published, wake, pace, leases, unrecorded }
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.channel.name
    }

    /// There may be something to do.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Delivers until asked to stop; dialogues in progress are finished first.
    pub async fn run(&self, stop: &CancellationToken) {
        // Whoever starts the agent, or loads its configuration again, may have mended what was wrong.
        if let Err(error) = self.lift_pause().await {
            self.note(&error);
        }
        while !stop.is_cancelled() {
            if let Err(error) = self.work(stop).await {
                self.note(&error);
            }
            if let Err(error) = self.store.forget_old_messages(self.clock.now()).await {
                self.note(&error);
            }
            let now = self.clock.now();
            let next = self.next_look(now).await.unwrap_or(now + LONGEST_REST);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Sends what may be sent, until there is nothing left to do or, after being asked to stop, nothing under way.
    pub async fn work(&self, stop: &CancellationToken) -> Result<Delivered, StoreError> {
        let mut under_way = JoinSet::new();
        let mut total = Delivered::default();
        let mut shown = total;
        let mut failure = None;
        loop {
            let may_begin = !stop.is_cancelled() && failure.is_none();
            match self.round(&mut under_way, may_begin, &mut total).await {
                Ok(true) => {
                    if total.sent + total.failed - shown.sent - shown.failed >= SHOWN_AFTER {
                        shown = total;
                        self.try_to_show().await;
                    }
                    continue;
                }
                Ok(false) => {}
                // What is under way is still waited for, and recorded if that is possible again.
                Err(error) => failure = Some(error),
            }
            if shown != total && failure.is_none() {
                shown = total;
                self.try_to_show().await;
            }
            if under_way.is_empty() {
                break;
            }
            self.wait(&mut under_way, may_begin && failure.is_none()).await;
        }
        failure.map_or(Ok(total), Err)
    }

    /// Waits until something is finished, and if more may begin also until there is something to do.
    async fn wait(&self, under_way: &mut JoinSet<Report>, may_begin: bool) {
        let now = self.clock.now();
        let next = self.next_look(now).await.ok().filter(|_| may_begin);
        let next_look = async {
            match next {
                Some(next) => self.clock.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(finished) = under_way.join_next() => {
                let mut reports = lock(&self.unrecorded);
                reports.extend(finished.ok());
                while let Some(finished) = under_way.try_join_next() {
                    reports.extend(finished.ok());
                }
            }
            () = self.wake.notified(), if may_begin => {}
            () = next_look => {}
        }
    }

    /// Records what came of messages, and begins what may begin. Whether there was anything to do.
    async fn round(
        &self,
        under_way: &mut JoinSet<Report>,
        may_begin: bool,
        total: &mut Delivered,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.renew_leases(now).await?;
        let pause = self.store.channel_pause(&self.channel.name).await?;
        let is_barred = lock(&self.unrecorded).iter().any(Report::concerns_the_relay);
        let mut round = match may_begin && !is_barred {
            true => self.look(pause, under_way.len(), now).await?,
            false => Round::default(),
        };
        let reports = std::mem::take(&mut *lock(&self.unrecorded));
        self.settle(&reports, pause, now, &mut round);
        if round.is_empty() {
            return Ok(false);
        }
        let done = match self.store.outbox_round(&self.channel.name, &round, now).await {
            Ok(done) => done,
            Err(error) => {
                lock(&self.unrecorded).extend(reports);
                return Err(error);
            }
        };
        self.tell(&reports, &round, &done, total);
        let has_progressed = !reports.is_empty() || done.has_done_something();
        lock(&self.pace).begin(done.claimed.len(), now);
        for message in done.claimed {
            self.metrics.notifications.with_label_values(&[&self.channel.name]).inc();
            let sender = Arc::clone(&self.channel.sender);
            let lease_end = now.saturating_add(CLAIM_LEASE).unwrap_or(Timestamp::MAX);
            let lease = self.leases.hold(message.id, lease_end);
            under_way.spawn(async move {
                let result = sender.send(&message).await;
                let OutboxMessage { id, message_id, attempts, created_at, .. } = message;
                Report { id, message_id, attempts: attempts + 1, since: created_at, result, _lease: lease }
            });
        }
        Ok(has_progressed)
    }

    /// What is under way stays ours, though its lease is over.
    async fn renew_leases(&self, now: Timestamp) -> Result<(), StoreError> {
        let over = self.leases.over(now);
        if !over.is_empty() {
            let end = self.store.renew_claims(&over, now).await?;
            self.leases.renew(&over, end);
        }
        Ok(())
    }

    /// What may begin at `now`, with so many messages under way.
    async fn look(&self, pause: Option<KnownPause>, under_way: usize, now: Timestamp) -> Result<Round, StoreError> {
        let is_tried_out = match pause {
            Some(KnownPause { until: Some(until), .. }) if lasts(until, now) => return Ok(Round::default()),
            Some(KnownPause { until: Some(_), .. }) => {
                self.lift_pause().await?;
                true
            }
            Some(KnownPause { until: None, .. }) => true,
            None => false,
        };
        let hands = if is_tried_out { 1 } else { CONCURRENT_SENDS };
        let most = hands.saturating_sub(under_way).min(lock(&self.pace).room(now));
        if most == 0 {
            return Ok(Round::default());
        }
        let order = if is_tried_out { DueOrder::LongestFirst } else { DueOrder::UrgentFirst };
        let due = self.store.due_recipients(&self.channel.name, order, now).await?;
        let mut round = Round::default();
        let mut sends: Vec<(bool, Timestamp, i64)> = Vec::new();
        for (recipient, has_urgent) in due {
            // Enough to do; but what is urgent goes before what is not, whoever it is for.
            if sends.len() >= most && !has_urgent {
                break;
            }
            let queue = self.store.outbox_queue(&self.channel.name, recipient, now).await?;
            let plan = plan(&queue, &self.channel.limits, self.channel.merger.is_some(), now);
            let messages = queue.waiting.iter().filter(|message| plan.sends.contains(&message.id));
            sends.extend(messages.map(|message| {
                let is_calm = !message.is_urgent && !is_tried_out;
                (is_calm, message.next_attempt_at, message.id)
            }));
            round.holds.extend(plan.holds);
            for merge in plan.merges {
                match self.merged(&merge).await? {
                    Some(merged) => round.merges.push(merged),
                    None => sends.extend(merge.messages.iter().map(|id| (!merge.is_urgent, now, *id))),
                }
            }
        }
        sends.sort();
        round.claims = sends.into_iter().take(most).map(|(_, _, id)| id).collect();
        Ok(round)
    }

    /// The message that a merge makes; `None` if it cannot be written, which is a mistake of ours: then each goes by
    /// itself.
    async fn merged(&self, merge: &Merge) -> Result<Option<Merged>, StoreError> {
        let Some(merger) = &self.channel.merger else { return Ok(None) };
        let parts = self.store.merge_parts(merge).await?;
        match merger(&parts) {
            Ok(message) => Ok(Some(Merged { merge: merge.clone(), message })),
            Err(error) => {
                self.metrics.store_failures.with_label_values(&["outbox"]).inc();
                tracing::error!(%error, "messages cannot be merged; each is sent by itself");
                Ok(None)
            }
        }
    }

    /// What is to be recorded of messages that were under way.
    fn settle(&self, reports: &[Report], pause: Option<KnownPause>, now: Timestamp, round: &mut Round) {
        let max_age = self.channel.max_age;
        for report in reports {
            let Err(error) = &report.result else {
                round.settled.push(Settled { id: report.id, outcome: Outcome::Sent });
                continue;
            };
            let failure = Failure { reason: error.kind.as_str().to_owned(), error: error.to_string() };
            let chance = jitter(&report.message_id, report.attempts);
            let next = after_failure(error.kind, report.attempts, report.since, max_age, now, chance);
            // Whoever asks to be left alone for longer is.
            let not_before = error.retry_after.and_then(|pause| now.checked_add(pause).ok()).unwrap_or(now);
            let is_paused = pause.and_then(|pause| pause.until).is_some_and(|until| lasts(until, now));
            if error.kind.concerns_the_relay() && round.pause.is_none() && !is_paused {
                round.pause = self.pause_order(error.kind, failure.clone(), pause, now);
                if let Some(order) = &mut round.pause {
                    order.until = order.until.max(not_before);
                }
            }
            let outcome = match (next, error.kind) {
                // The pause is what it waits for: should it be lifted, the message is due.
                (NextStep::RetryAt(_), kind) if kind.concerns_the_relay() => Outcome::Retry(now, failure),
                (NextStep::RetryAt(at), _) => Outcome::Retry(at.max(not_before), failure),
                (NextStep::GiveUp, NotifyFailure::Permanent | NotifyFailure::Unknown) => Outcome::GiveUp(None, failure),
                // As if it had been decided now: nobody is left untold of what still is so.
                (NextStep::GiveUp, kind) => match after_failure(kind, report.attempts, now, max_age, now, chance) {
                    NextStep::RetryAt(at) => Outcome::GiveUp(Some(at), failure),
                    NextStep::GiveUp => Outcome::GiveUp(None, failure),
                },
            };
            round.settled.push(Settled { id: report.id, outcome });
        }
    }

    fn pause_order(
        &self,
        kind: NotifyFailure,
        failure: Failure,
        pause: Option<KnownPause>,
        now: Timestamp,
    ) -> Option<PauseOrder> {
        let max_age = self.channel.max_age;
        let strikes = pause.map_or(0, |pause| pause.strikes) + 1;
        let chance = jitter(&self.channel.name, strikes);
        let NextStep::RetryAt(until) = after_failure(kind, strikes, now, max_age, now, chance) else { return None };
        let age = if kind == NotifyFailure::Configuration { max_age.max(MAX_AGE_CONFIGURATION) } else { max_age };
        Some(PauseOrder { until, failure, give_up_before: now.saturating_sub(age).unwrap_or(Timestamp::MIN) })
    }

    /// Logs and counts what a round did.
    fn tell(&self, reports: &[Report], round: &Round, done: &RoundResult, total: &mut Delivered) {
        let channel = self.channel.name.as_str();
        for ((report, settled), became) in reports.iter().zip(&round.settled).zip(&done.settled) {
            let (message_id, attempt) = (&report.message_id, report.attempts);
            if let Err(error) = &report.result {
                let reason = error.kind.as_str();
                self.metrics.notification_failures.with_label_values(&[channel, reason]).inc();
                match (became, &settled.outcome) {
                    (SettledAs::Failed, _) => {
                        tracing::error!(channel, %message_id, reason, %error, attempt, "message given up");
                    }
                    (_, Outcome::Retry(next, _) | Outcome::GiveUp(Some(next), _)) => tracing::warn!(
                        channel, %message_id, reason, %error, attempt, next_attempt = %next,
                        "message not delivered; it will be tried again"
                    ),
                    _ => {}
                }
            }
            match became {
                SettledAs::Sent => {
                    tracing::info!(channel, %message_id, attempt, "message accepted");
                    total.sent += 1;
                }
                SettledAs::Retrying => total.retrying += 1,
                SettledAs::Failed => total.failed += 1,
                SettledAs::Gone => {}
            }
        }
        if let Some(order) = &round.pause {
            let (reason, until) = (&order.failure.reason, order.until);
            tracing::warn!(channel, %reason, %until, "the channel is left alone: what failed concerns every message");
        }
        if done.given_up > 0 {
            total.failed += u32::try_from(done.given_up).unwrap_or(u32::MAX);
            tracing::error!(
                channel,
                messages = done.given_up,
                "messages given up: the channel has failed for too long"
            );
        }
        for (reason, messages) in done.merged.iter().filter(|(_, messages)| *messages > 0) {
            total.merged += u32::try_from(*messages).unwrap_or(u32::MAX);
            self.metrics.notifications_merged.with_label_values(&[channel, reason.as_str()]).inc_by(*messages);
            tracing::info!(channel, reason = reason.as_str(), messages, "{messages} messages became one");
        }
        if done.held > 0 {
            let until = round.holds.iter().map(|hold| hold.until).min();
            let until = until.map(|until| until.to_string());
            tracing::info!(channel, messages = done.held, until, "messages held back by the caps of their recipients");
        }
    }

    /// When there may be something to do.
    async fn next_look(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let longest = now + LONGEST_REST;
        let next = match self.store.channel_pause(&self.channel.name).await? {
            Some(KnownPause { until: Some(until), .. }) if lasts(until, now) => until,
            _ => {
                let due = self.store.next_message_due_at(&self.channel.name).await?;
                due.map_or(longest, |due| due.max(lock(&self.pace).next(now)))
            }
        };
        // What is due and was left alone is no reason to look at once again.
        Ok(if next > now { next.min(longest) } else { longest })
    }

    async fn lift_pause(&self) -> Result<(), StoreError> {
        if self.store.channel_pause(&self.channel.name).await?.is_some_and(|pause| pause.until.is_some()) {
            self.store.end_pause(&self.channel.name).await?;
            self.show().await?;
        }
        Ok(())
    }

    /// Shows the new depth without waiting for the next assessment.
    async fn show(&self) -> Result<(), StoreError> {
        let outbox = self.store.outbox_depth().await?;
        self.published.send_modify(|snapshot| {
            *snapshot = Arc::new(Snapshot { outbox, ..Snapshot::clone(snapshot) });
        });
        Ok(())
    }

    /// As [`Pump::show`]; what is under way goes on if that fails.
    async fn try_to_show(&self) {
        if let Err(error) = self.show().await {
            self.note(&error);
        }
    }

    fn note(&self, error: &StoreError) {
        self.metrics.store_failures.with_label_values(&["outbox"]).inc();
        let (channel, unrecorded) = (&self.channel.name, lock(&self.unrecorded).len());
        tracing::error!(channel, %error, unrecorded, "failed to work through the outbox; what came of tries is kept until \
            it can be recorded");
    }
}

/// Whether a pause is not over. One that would last for longer than any does was begun by a clock that was ahead.
fn lasts(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.duration_since(now) <= LONGEST_PAUSE
}

/// Where in its range the next try falls (0 to 1), from the message's identity: spread over messages, the same at each
/// start.
fn jitter(identity: &str, attempts: u32) -> f64 {
    let hash = identity
        .bytes()
        .chain(attempts.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
