//! Deliver: claims due mails, sends them, records what came of it, in that order.
//!
//! The promise is *at least once*: a mail is marked sent after the relay accepted it. A crash in between sends the same
//! bytes with the same `Message-ID` once more.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::SignedDuration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::{OutboxMail, Snapshot};
use crate::metrics::agent::AgentMetrics;
use crate::notify::{Mailer, NextStep, NotifyError, NotifyFailure};
use crate::store::{Store, StoreError};

/// How many mails are under way at once: a relay that hangs on one does not hold up the others.
const CONCURRENT_SENDS: usize = 4;

/// How many mails one step claims.
const CLAIM_LIMIT: u32 = 32;

/// The longest the loop rests without looking into the outbox, so that mails stored by another process are found.
const LONGEST_REST: SignedDuration = SignedDuration::from_mins(1);

/// The channel's name in metrics.
pub const EMAIL_CHANNEL: &str = "email";

/// The outbox and its way out.
#[derive(Clone)]
pub struct Outbox {
    store: Store,
    mailer: Arc<Mailer>,
    clock: Arc<dyn Clock>,
    metrics: AgentMetrics,
    published: watch::Sender<Arc<Snapshot>>,
    filled: Arc<Notify>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Mails accepted by the relay.
    pub sent: u32,
    /// Mails that will be tried again.
    pub retrying: u32,
    /// Mails given up.
    pub failed: u32,
}

impl Outbox {
    /// An outbox that sends through `mailer`, shows its depth in `published` and is woken by `filled`.
    pub fn new(
        store: Store,
        mailer: Mailer,
        clock: Arc<dyn Clock>,
        metrics: AgentMetrics,
        published: watch::Sender<Arc<Snapshot>>,
        filled: Arc<Notify>,
    ) -> Outbox {
        Outbox { store, mailer: Arc::new(mailer), clock, metrics, published, filled }
    }

    /// Sends what is due. Idempotent: what is not due, claimed elsewhere or done is left alone.
    ///
    /// # Errors
    /// The outbox cannot be read or written; what was claimed comes back after its lease.
    pub async fn deliver_once(&self) -> Result<Delivered, StoreError> {
        let due = self.store.due_mails(self.clock.now(), CLAIM_LIMIT).await?;
        let outcomes: Vec<Result<Delivered, StoreError>> =
            stream::iter(due).map(|mail| self.deliver(mail)).buffer_unordered(CONCURRENT_SENDS).collect().await;
        let mut total = Delivered::default();
        for outcome in outcomes {
            let one = outcome?;
            total.sent += one.sent;
            total.retrying += one.retrying;
            total.failed += one.failed;
        }
        if total != Delivered::default() {
            self.publish().await?;
        }
        Ok(total)
    }

    /// Shows the new depth without waiting for the next assessment.
    async fn publish(&self) -> Result<(), StoreError> {
        let outbox = self.store.outbox_depth().await?;
        self.published.send_modify(|snapshot| {
            *snapshot = Arc::new(Snapshot { outbox, ..Snapshot::clone(snapshot) });
        });
        Ok(())
    }

    /// Delivers until asked to stop; a dialogue in progress is finished first.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.deliver_once().await {
                self.metrics.store_failures.with_label_values(&["outbox"]).inc();
                tracing::error!(%error, "failed to work through the outbox");
            }
            let until = self.clock.now() + LONGEST_REST;
            let next = self.store.next_mail_due_at().await.ok().flatten().map_or(until, |due| due.min(until));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.filled.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    async fn deliver(&self, mail: OutboxMail) -> Result<Delivered, StoreError> {
        self.metrics.notifications.with_label_values(&[EMAIL_CHANNEL]).inc();
        match self.mailer.send(&mail).await {
            Ok(()) => {
                tracing::info!(message_id = %mail.message_id, attempt = mail.attempts + 1, "mail accepted by the relay");
                self.store.mark_sent(mail.id, self.clock.now()).await?;
                Ok(Delivered { sent: 1, ..Delivered::default() })
            }
            Err(error) => self.record_failure(&mail, &error).await,
        }
    }

    async fn record_failure(&self, mail: &OutboxMail, error: &NotifyError) -> Result<Delivered, StoreError> {
        let labels = [EMAIL_CHANNEL, error.kind.as_str()];
        self.metrics.notification_failures.with_label_values(&labels).inc();
        let now = self.clock.now();
        let attempts = mail.attempts + 1;
        let chance = jitter(&mail.message_id, attempts);
        match self.mailer.after_failure(error.kind, attempts, mail.created_at, now, chance) {
            NextStep::RetryAt(at) => {
                tracing::warn!(
                    message_id = %mail.message_id, reason = error.kind.as_str(), %error, attempt = attempts,
                    next_attempt = %at, "mail not delivered; it will be tried again"
                );
                self.store.mark_retry(mail.id, at, &error.to_string()).await?;
                Ok(Delivered { retrying: 1, ..Delivered::default() })
            }
            NextStep::GiveUp => {
                tracing::error!(
                    message_id = %mail.message_id, reason = error.kind.as_str(), %error, attempt = attempts,
                    "mail given up"
                );
                self.store.mark_failed(mail.id, &error.to_string(), now).await?;
                Ok(Delivered { failed: 1, ..Delivered::default() })
            }
        }
    }
}

/// Where in its range the next try falls (0 to 1), from the mail's identity: spread over mails, the same at each start.
fn jitter(message_id: &str, attempts: u32) -> f64 {
    let hash = message_id
        .bytes()
        .chain(attempts.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Exports the series of the channel as 0 before its first mail, so that a rate sees the first event.
pub fn initialize_metrics(metrics: &AgentMetrics) {
    let _ = metrics.notifications.get_metric_with_label_values(&[EMAIL_CHANNEL]);
    for kind in NotifyFailure::ALL {
        let _ = metrics.notification_failures.get_metric_with_label_values(&[EMAIL_CHANNEL, kind.as_str()]);
    }
}
