//! Show: the metrics.
//!
//! Two kinds. Series about accounts are worked out from the latest snapshot at each scrape (`fuel`); series about the
//! process are counted as things happen ([`agent`]) or asked of the operating system (`process`). All of them are
//! declared in one table, see [`families()`]. The past of an account's series is written by [`PastSheet`].

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use tokio::sync::watch;

use crate::domain::Snapshot;

pub mod agent;
mod buckets;
mod families;
mod fold;
mod fuel;
mod past;
mod process;
#[cfg(test)]
pub(crate) mod sample;
mod sheet;

pub use buckets::{BUCKETS, PURCHASED, balance_team, buckets};
pub use families::{Family, Kind};
pub use fold::{MOST_QUALITIES, MOST_TASK_TYPES, OTHER, last_kept};
pub use past::{Past, PastSheet};

use agent::AgentMetrics;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    /// Where further collectors may be registered.
    pub registry: Registry,
    /// Counters that this process bumps.
    pub agent: AgentMetrics,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Metrics {
    /// Registers what this process counts. Account series follow `snapshot`.
    ///
    /// # Errors
    /// A family cannot be registered: a mistake in the table, found by the first test that runs.
    pub fn new(snapshot: watch::Receiver<Arc<Snapshot>>) -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let agent = AgentMetrics::register(&registry)?;
        let build = families::Agent::BuildInfo.family();
        let build_info = IntGaugeVec::new(Opts::new(build.name, build.help), build.labels)?;
        build_info.get_metric_with_label_values(&[version(), revision()])?.set(1);
        registry.register(Box::new(build_info))?;
        Ok(Metrics { registry, agent, snapshot })
    }

    /// The scrape, in the text format 0.0.4. Takes milliseconds with many accounts: call it where blocking is allowed.
    ///
    /// # Errors
    /// A family without a name or samples, which the registry never gathers.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let mut families: BTreeMap<String, String> = BTreeMap::new();
        for family in self.registry.gather() {
            let text = families.entry(family.name().to_owned()).or_default();
            TextEncoder::new().encode_utf8(&[family], text)?;
        }
        let ours = fuel::families(&snapshot, &self.agent.accepted()).chain(process::families());
        families.extend(ours.map(|(name, text)| (name.to_owned(), text)));
        let mut scrape = String::with_capacity(families.values().map(String::len).sum());
        scrape.extend(families.into_values());
        Ok(scrape)
    }
}

/// The version of this binary.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The source revision that this binary was built from, as told to the compiler by `FUELGAUGE_REVISION`.
pub fn revision() -> &'static str {
    option_env!("FUELGAUGE_REVISION").unwrap_or("unknown")
}

/// Every family that can appear in a scrape: name, type, label names, HELP.
pub fn families() -> Vec<(&'static str, Kind, &'static [&'static str], &'static str)> {
    let tables = [families::FUEL, families::AGENT, families::PROCESS];
    tables.iter().flat_map(|table| table.iter()).map(|f| (f.name, f.kind, f.labels, f.help)).collect()
}
