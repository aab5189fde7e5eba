//! Forward: shows Alertmanagers what fires, round by round.
//!
//! It looks at the published snapshot and at nothing else, so it holds nothing up; each Alertmanager has a loop of its own,
//! so that one that is down holds up no other. What fails is logged, counted, and sent again in the next round.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Snapshot;
use crate::metrics::agent::AgentMetrics;
use crate::notify::alertmanager::MOST_IN_A_REQUEST;
use crate::notify::{Alertmanager, NotifyError, NotifyFailure, Standing};

/// The channel's name in metrics, of all Alertmanagers together.
pub const ALERTMANAGER_CHANNEL: &str = "alertmanager";

/// How often a snapshot is looked at for news at most: thousands of accounts are published one after another.
const LEAST_REST: SignedDuration = SignedDuration::from_secs(1);

/// Shows one Alertmanager what fires.
pub struct Forwarder {
    manager: Alertmanager,
    external_url: Option<String>,
    published: watch::Receiver<Arc<Snapshot>>,
    clock: Arc<dyn Clock>,
    metrics: AgentMetrics,
    standing: Mutex<Standing>,
    /// Why the last round failed, if it did: said once, and not in every round.
    trouble: Mutex<Option<NotifyFailure>>,
}

impl Forwarder {
    /// A forwarder to one Alertmanager of what is published. `external_url` is where people reach the page.
    pub fn new(
        manager: Alertmanager,
        external_url: Option<String>,
        published: watch::Receiver<Arc<Snapshot>>,
        clock: Arc<dyn Clock>,
        metrics: AgentMetrics,
    ) -> Forwarder {
        let (standing, trouble) = (Mutex::default(), Mutex::default());
        Forwarder { manager, external_url, published, clock, metrics, standing, trouble }
    }

    /// One round: shows everything that fires and what has ended lately. Says how many alerts that were.
    ///
    /// # Errors
    /// The Alertmanager did not take all of it, which has been logged and counted.
    pub async fn forward_once(&self) -> Result<usize, NotifyError> {
        let alerts = {
            let snapshot = Arc::clone(&self.published.borrow());
            let (interval, url) = (self.manager.resend_interval(), self.external_url.as_deref());
            let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            standing.round(&snapshot, interval, url, self.clock.now())
        };
        let mut result = Ok(alerts.len());
        let nothing: &[_] = &[];
        // An empty round is a request too.
        for some in alerts.chunks(MOST_IN_A_REQUEST).chain(alerts.is_empty().then_some(nothing)) {
            self.metrics.notifications.with_label_values(&[ALERTMANAGER_CHANNEL]).inc();
            if let Err(error) = self.manager.show(some, self.clock.now()).await {
                let labels = [ALERTMANAGER_CHANNEL, error.kind.as_str()];
                self.metrics.notification_failures.with_label_values(&labels).inc();
                result = Err(error);
                // One that is down would cost its time limit with each further request.
                break;
            }
            self.metrics.note_accepted(ALERTMANAGER_CHANNEL, self.clock.now());
        }
        self.tell(&result);
        result
    }

    /// Forwards until asked to stop: in every round, and at once when something begins or ends.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.forward() => {}
        }
    }

    async fn forward(&self) {
        let mut published = self.published.clone();
        loop {
            published.borrow_and_update();
            let next_round = self.clock.now() + self.manager.resend_interval();
            // What failed has been told of, and the next round tries again.
            let _ = self.forward_once().await;
            tokio::select! {
                () = self.clock.sleep_until(next_round) => {}
                () = self.news(&mut published) => {}
            }
        }
    }

    /// Waits until the snapshot has something new to show.
    async fn news(&self, published: &mut watch::Receiver<Arc<Snapshot>>) {
        loop {
            self.clock.sleep_until(self.clock.now() + LEAST_REST).await;
            if published.changed().await.is_err() {
                // Nobody publishes any more: the process ends.
                std::future::pending::<()>().await;
            }
            let snapshot = Arc::clone(&published.borrow_and_update());
            let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            if standing.has_news(&snapshot, self.clock.now()) {
                return;
            }
        }
    }

    fn tell(&self, result: &Result<usize, NotifyError>) {
        let url = self.manager.url();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *trouble, result.as_ref().err().map(|error| error.kind));
        match result {
            Ok(alerts) if before.is_some() => tracing::info!(url, alerts, "the Alertmanager takes alerts again"),
            Ok(alerts) => tracing::debug!(url, alerts, "alerts shown to the Alertmanager"),
            Err(error) if before == Some(error.kind) => {
                tracing::debug!(url, reason = error.kind.as_str(), %error, "alerts still not shown to the Alertmanager");
            }
            Err(error) => tracing::warn!(
                url, reason = error.kind.as_str(), %error,
                "alerts not shown to the Alertmanager; every round tries again"
            ),
        }
    }
}

/// Exports the series of the channel as 0 before its first round, so that a rate sees the first event.
pub fn initialize_metrics(metrics: &AgentMetrics) {
    let _ = metrics.notifications.get_metric_with_label_values(&[ALERTMANAGER_CHANNEL]);
    for kind in NotifyFailure::ALL {
        let labels = [ALERTMANAGER_CHANNEL, kind.as_str()];
        let _ = metrics.notification_failures.get_metric_with_label_values(&labels);
    }
}
