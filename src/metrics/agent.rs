//! Series about fuelgauge itself, counted as things happen.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::domain::Collector;
use crate::provider::FailureReason;

/// Counters that this process bumps.
#[derive(Clone, Debug)]
pub struct AgentMetrics {
    /// `fuelgauge_source_requests_total{account,collector}`.
    pub source_requests: IntCounterVec,
    /// `fuelgauge_source_request_failures_total{account,collector,reason}`.
    pub source_request_failures: IntCounterVec,
    /// `fuelgauge_notifications_total{channel}`: tries, failed ones among them.
    pub notifications: IntCounterVec,
    /// `fuelgauge_notification_failures_total{channel,reason}`.
    pub notification_failures: IntCounterVec,
    /// `fuelgauge_scheduler_runs_total{job_name}`.
    pub scheduler_runs: IntCounterVec,
    /// `fuelgauge_scheduler_missed_runs_total{job_name}`.
    pub scheduler_missed_runs: IntCounterVec,
    /// `fuelgauge_store_failures_total{operation}`: reads and writes of the ledger that failed.
    pub store_failures: IntCounterVec,
    /// `fuelgauge_config_last_reload_successful`.
    pub config_last_reload_successful: IntGauge,
    /// `fuelgauge_config_last_reload_success_timestamp_seconds`.
    pub config_last_reload_success_timestamp: IntGauge,
}

impl AgentMetrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// A family of that name is registered already.
    pub fn register(registry: &Registry) -> Result<AgentMetrics, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let family = IntGauge::new(name, help)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        Ok(AgentMetrics {
            source_requests: counter(
                "fuelgauge_source_requests_total",
                "HTTP requests made to the platform, failed ones among them.",
                &["account", "collector"],
            )?,
            source_request_failures: counter(
                "fuelgauge_source_request_failures_total",
                "Collector runs that failed, by reason.",
                &["account", "collector", "reason"],
            )?,
            notifications: counter(
                "fuelgauge_notifications_total",
                "Attempts to deliver a notification, failed ones among them.",
                &["channel"],
            )?,
            notification_failures: counter(
                "fuelgauge_notification_failures_total",
                "Attempts to deliver a notification that failed, by reason.",
                &["channel", "reason"],
            )?,
            scheduler_runs: counter("fuelgauge_scheduler_runs_total", "Runs of a scheduled job.", &["job_name"])?,
            scheduler_missed_runs: counter(
                "fuelgauge_scheduler_missed_runs_total",
                "Scheduled runs that did not happen because the process was down, suspended or still busy.",
                &["job_name"],
            )?,
            store_failures: counter(
                "fuelgauge_store_failures_total",
                "Reads and writes of the ledger that failed.",
                &["operation"],
            )?,
            config_last_reload_successful: gauge(
                "fuelgauge_config_last_reload_successful",
                "Whether the last attempt to load the configuration succeeded.",
            )?,
            config_last_reload_success_timestamp: gauge(
                "fuelgauge_config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded with success.",
            )?,
        })
    }

    /// Exports the series of an account as 0 before its first poll, so that a rate sees the first event.
    pub fn initialize_account(&self, account: &str, collectors: &[Collector]) {
        for collector in collectors {
            let _ = self.source_requests.get_metric_with_label_values(&[account, collector.as_str()]);
            for reason in FailureReason::ALL {
                let labels = [account, collector.as_str(), reason.as_str()];
                let _ = self.source_request_failures.get_metric_with_label_values(&labels);
            }
        }
    }
}
