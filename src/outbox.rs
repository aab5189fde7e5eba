//! Deliver: claims due messages, sends them, records what came of it, in that order.
//!
//! The promise is *at least once*: a message is marked sent after it was accepted. A crash in between sends the same bytes
//! with the same id once more, and no more messages than are under way at once.
//!
//! What becomes of waiting messages is planned in `domain::outbox`: which leave, which wait for the caps, and which become
//! one. Each channel works by itself, so that one that fails holds up no other; a channel is added in `channel`. `pump`
//! is the loop of one channel, `leases` what it has under way, `pace` how much it may try within a minute.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{join, join_all};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::outbox::MergeReason;
use crate::domain::{EMAIL_CHANNEL, Snapshot};
use crate::metrics::agent::AgentMetrics;
use crate::notify::NotifyFailure;
use crate::store::{Store, StoreError};

mod channel;
mod leases;
mod pace;
mod pump;
#[cfg(test)]
mod tests;

pub use channel::{Channel, Sender};
pub use leases::Leases;
pub use pump::CONCURRENT_SENDS;
use pump::Pump;

/// The outbox and its ways out.
#[derive(Clone)]
pub struct Outbox {
    pumps: Vec<Arc<Pump>>,
    filled: Arc<Notify>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Messages that were accepted.
    pub sent: u32,
    /// Messages that will be tried again.
    pub retrying: u32,
    /// Messages given up.
    pub failed: u32,
    /// Messages that became part of another.
    pub merged: u32,
}

impl Outbox {
    /// An outbox of some channels. It shows its depth in `published` and is woken by `filled`; all outboxes of a process
    /// share the `leases`.
    pub fn new(
        store: Store,
        channels: Vec<Channel>,
        clock: Arc<dyn Clock>,
        metrics: AgentMetrics,
        published: watch::Sender<Arc<Snapshot>>,
        filled: Arc<Notify>,
        leases: &Arc<Leases>,
    ) -> Outbox {
        let pump = |channel| {
            let (store, clock, metrics) = (store.clone(), Arc::clone(&clock), metrics.clone());
            Arc::new(Pump::new(channel, store, clock, metrics, published.clone(), Arc::clone(leases)))
        };
        Outbox { pumps: channels.into_iter().map(pump).collect(), filled }
    }

    /// The names of its channels.
    pub fn channels(&self) -> Vec<&str> {
        self.pumps.iter().map(|pump| pump.channel()).collect()
    }

    /// Sends what is due, all of it that the caps and the channels allow. Idempotent: what is not due, claimed elsewhere or
    /// done is left alone.
    ///
    /// # Errors
    /// The outbox cannot be read or written; what was claimed comes back after its lease.
    pub async fn deliver_once(&self) -> Result<Delivered, StoreError> {
        let never = CancellationToken::new();
        let mut total = Delivered::default();
        for done in join_all(self.pumps.iter().map(|pump| pump.work(&never))).await {
            total += done?;
        }
        Ok(total)
    }

    /// Delivers until asked to stop; dialogues in progress are finished first.
    pub async fn run(self, stop: CancellationToken) {
        let wake_all = async {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.filled.notified() => self.pumps.iter().for_each(|pump| pump.wake()),
                }
            }
        };
        join(wake_all, join_all(self.pumps.iter().map(|pump| pump.run(&stop)))).await;
    }
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, more: Delivered) {
        self.sent += more.sent;
        self.retrying += more.retrying;
        self.failed += more.failed;
        self.merged += more.merged;
    }
}

/// Exports the series of a channel as 0 before its first message, so that a rate sees the first event. Mail has them even
/// where there is no relay.
pub fn initialize_metrics(metrics: &AgentMetrics, channels: &[Channel]) {
    let known = channels.iter().map(|channel| (channel.name.as_str(), channel.merger.is_some()));
    for (name, can_merge) in known.chain([(EMAIL_CHANNEL, true)]) {
        let _ = metrics.notifications.get_metric_with_label_values(&[name]);
        for kind in NotifyFailure::ALL {
            let _ = metrics.notification_failures.get_metric_with_label_values(&[name, kind.as_str()]);
        }
        for reason in MergeReason::ALL.into_iter().filter(|_| can_merge) {
            let _ = metrics.notifications_merged.get_metric_with_label_values(&[name, reason.as_str()]);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks, so a poisoned one is as good as new.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
