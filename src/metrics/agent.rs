//! Series about fuelgauge itself, counted as things happen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::families::Agent;
use crate::domain::Collector;

/// The values of `operation` in `fuelgauge_store_failures_total`: exported as 0 before the first failure, so that a rate
/// sees it.
pub const STORE_OPERATIONS: [&str; 7] = ["announce", "append", "assess", "import", "outbox", "report", "silence"];

/// Counters that this process bumps.
#[derive(Clone, Debug)]
pub struct AgentMetrics {
    /// `fuelgauge_source_requests_total{account,collector}`.
    pub source_requests: IntCounterVec,
    /// `fuelgauge_source_request_failures_total{account,collector,reason}`.
    pub source_request_failures: IntCounterVec,
    /// `fuelgauge_received_records_total{account,channel,outcome}`.
    pub received_records: IntCounterVec,
    /// `fuelgauge_received_failures_total{channel,reason}`.
    pub received_failures: IntCounterVec,
    /// `fuelgauge_notifications_total{channel}`: tries, failed ones among them.
    pub notifications: IntCounterVec,
    /// `fuelgauge_notification_failures_total{channel,reason}`.
    pub notification_failures: IntCounterVec,
    /// `fuelgauge_notifications_merged_total{channel,reason}`.
    pub notifications_merged: IntCounterVec,
    /// `fuelgauge_scheduler_runs_total{job_name}`.
    pub scheduler_runs: IntCounterVec,
    /// `fuelgauge_scheduler_missed_runs_total{job_name}`.
    pub scheduler_missed_runs: IntCounterVec,
    /// `fuelgauge_scheduler_next_run_timestamp_seconds{job_name}`.
    pub scheduler_next_run: IntGaugeVec,
    /// `fuelgauge_store_failures_total{operation}`: reads and writes of the ledger that failed.
    pub store_failures: IntCounterVec,
    /// `fuelgauge_config_last_reload_successful`.
    pub config_last_reload_successful: IntGauge,
    /// `fuelgauge_config_last_reload_success_timestamp_seconds`.
    pub config_last_reload_success_timestamp: IntGauge,
    /// `fuelgauge_web_failures_total`: pages and scrapes that could not be made.
    pub web_failures: IntCounter,
    /// Of channels that keep nothing in the outbox: when one last took something.
    accepted: Arc<Mutex<BTreeMap<&'static str, Timestamp>>>,
}

impl AgentMetrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// A family of that name is registered already.
    pub fn register(registry: &Registry) -> Result<AgentMetrics, prometheus::Error> {
        let counter = |family: Agent| -> Result<IntCounterVec, prometheus::Error> {
            let family = family.family();
            let counter = IntCounterVec::new(Opts::new(family.name, family.help), family.labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |family: Agent| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(family.family().name, family.family().help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let next_run = Agent::SchedulerNextRun.family();
        let scheduler_next_run = IntGaugeVec::new(Opts::new(next_run.name, next_run.help), next_run.labels)?;
        registry.register(Box::new(scheduler_next_run.clone()))?;
        let store_failures = counter(Agent::StoreFailures)?;
        for operation in STORE_OPERATIONS {
            let _ = store_failures.get_metric_with_label_values(&[operation]);
        }
        let web_failures = IntCounter::new(Agent::WebFailures.family().name, Agent::WebFailures.family().help)?;
        registry.register(Box::new(web_failures.clone()))?;
        Ok(AgentMetrics {
            source_requests: counter(Agent::SourceRequests)?,
            source_request_failures: counter(Agent::SourceRequestFailures)?,
            received_records: counter(Agent::ReceivedRecords)?,
            received_failures: counter(Agent::ReceivedFailures)?,
            notifications: counter(Agent::Notifications)?,
            notification_failures: counter(Agent::NotificationFailures)?,
            notifications_merged: counter(Agent::NotificationsMerged)?,
            scheduler_runs: counter(Agent::SchedulerRuns)?,
            scheduler_missed_runs: counter(Agent::SchedulerMissedRuns)?,
            scheduler_next_run,
            store_failures,
            config_last_reload_successful: gauge(Agent::ConfigLastReloadSuccessful)?,
            config_last_reload_success_timestamp: gauge(Agent::ConfigLastReloadSuccessTime)?,
            web_failures,
            accepted: Arc::default(),
        })
    }

    /// Notes that a channel took something at `at`, for `fuelgauge_notification_last_success_timestamp_seconds{channel}`.
    /// Those of the outbox have it from the ledger.
    pub fn note_accepted(&self, channel: &'static str, at: Timestamp) {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(channel, at);
    }

    /// When channels that keep nothing in the outbox last took something.
    pub(super) fn accepted(&self) -> BTreeMap<&'static str, Timestamp> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exports the series of a way in as 0 before something comes that way. `accounts` have it; `reasons` are the values of
    /// the `reason` label.
    pub fn initialize_channel<'a>(&self, channel: &str, accounts: impl Iterator<Item = &'a str>, reasons: &[&str]) {
        for account in accounts {
            for outcome in ["new", "known", "rejected"] {
                let _ = self.received_records.get_metric_with_label_values(&[account, channel, outcome]);
            }
        }
        for reason in reasons {
            let _ = self.received_failures.get_metric_with_label_values(&[channel, reason]);
        }
    }

    /// Exports the series of an account as 0 before its first poll, so that a rate sees the first event. `reasons` are the
    /// values that the `reason` label can have.
    pub fn initialize_account(&self, account: &str, collectors: &[Collector], reasons: &[&str]) {
        for collector in collectors {
            let _ = self.source_requests.get_metric_with_label_values(&[account, collector.as_str()]);
            for reason in reasons {
                let labels = [account, collector.as_str(), reason];
                let _ = self.source_request_failures.get_metric_with_label_values(&labels);
            }
        }
    }
}
