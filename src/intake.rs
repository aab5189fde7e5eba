//! What people and scripts bring: pushes, announcements and silences through the door, and files that come to a watched
//! folder. All of it goes into the ledger, and the account is assessed at once. Through the same door it is asked what a job
//! would cost.

use std::sync::Arc;

use crate::assessor::{Alerts, Assessor};
use crate::clock::Clock;
use crate::config::TokenConfig;
use crate::http::door::{Errand, Refusal};
use crate::metrics::Metrics;
use crate::poller::Account;
use crate::store::Store;

mod announcing;
mod door;
mod folder;
mod planning;
mod silencing;

pub use door::TokenDoor;
pub use folder::{Folder, WATCH_SCHEDULE};

/// The `channel` label of what came in by a watched folder.
const IMPORT: &str = "import";

/// What every way in needs.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    assessor: Arc<Assessor>,
    turns: planning::Turns,
}

impl Intake {
    /// For the agent of one configuration.
    pub fn new(store: Store, clock: Arc<dyn Clock>, metrics: Arc<Metrics>, assessor: Arc<Assessor>) -> Intake {
        Intake { store, clock, metrics, assessor, turns: planning::Turns::new() }
    }

    /// Exports the counters of the ways in as 0 before something comes.
    pub fn initialize_metrics(&self, accounts: &[Arc<Account>], tokens: &[TokenConfig]) {
        let names = |accounts: Vec<&Arc<Account>>| -> Vec<String> {
            accounts.into_iter().map(|account| account.config.name.to_string()).collect()
        };
        if !tokens.is_empty() {
            let names = names(accounts.iter().collect());
            let names = names.iter().map(String::as_str);
            self.metrics.agent.initialize_channel(Errand::Push.as_str(), names, &Refusal::REASONS);
            for errand in Errand::ALL.into_iter().filter(|errand| *errand != Errand::Push) {
                self.metrics.agent.initialize_channel(errand.as_str(), std::iter::empty(), &Refusal::REASONS);
            }
        }
        let names = names(accounts.iter().filter(|account| account.config.import.folder.is_some()).collect());
        if !names.is_empty() {
            let names = names.iter().map(String::as_str);
            self.metrics.agent.initialize_channel(IMPORT, names, &folder::IMPORT_REASONS);
        }
    }

    /// Counts the records of an account that came in.
    fn count(&self, account: &Account, channel: &str, new: u64, known: u64, rejected: u64) {
        for (outcome, records) in [("new", new), ("known", known), ("rejected", rejected)] {
            let labels = [account.config.name.as_str(), channel, outcome];
            self.metrics.agent.received_records.with_label_values(&labels).inc_by(records);
        }
    }

    /// Assesses the account with what came in. What fails is told; the next usual assessment tries again.
    async fn assess(&self, account: &Account) {
        if let Err(error) = self.assessor.assess_once(account, self.clock.now(), Alerts::Step).await {
            self.store_failed(account, "assess", &error);
        }
    }

    fn store_failed(&self, account: &Account, operation: &str, error: &dyn std::fmt::Display) {
        let name = &account.config.name;
        self.metrics.agent.store_failures.with_label_values(&[operation]).inc();
        tracing::error!(account = %name, operation, %error, "account `{name}`: {operation} failed");
    }
}
