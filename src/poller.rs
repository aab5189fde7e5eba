//! Ask, then keep: one look at an account goes into the ledger in one transaction, with how each collector fared.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::domain::{ChargeSource, Collector, Draw, Reading};
use crate::metrics::agent::AgentMetrics;
use crate::provider::history::ColumnMap;
use crate::provider::http::HttpProvider;
use crate::provider::{CollectorReport, FailureReason, PollResult, ProviderError, ReadRequest};
use crate::store::{Appended, CollectorOutcome, Incoming, Store, StoreError};

/// How far a walk through task lists reaches back beyond the last success: lists shift, and entries come late.
const OVERLAP: SignedDuration = SignedDuration::from_hours(6);

/// How long an unfinished task is looked for again. Platforms keep tasks in their lists for days, not for ever.
const UNFINISHED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// So many unfinished tasks are handed to a provider; it asks for no more of them than its mapping says.
const MOST_UNFINISHED: u32 = 10_000;

/// How much longer than its own limit a poll is waited for: the plan and the balance are read even when the walk through
/// the task lists has used the limit up.
const BEYOND_LIMIT: Duration = Duration::from_secs(60);

/// One account of the configuration, ready to be polled and assessed.
#[derive(Debug)]
pub struct Account {
    /// As configured.
    pub config: AccountConfig,
    /// What is drawn on it, in the order of the configuration.
    pub draws: Vec<Draw>,
    /// How it is read; `None` for import and push alone.
    pub provider: Option<HttpProvider>,
    /// What the columns of its imports are called.
    pub columns: ColumnMap,
    /// The ledger's salt for fingerprints of this account's inputs.
    pub salt: [u8; 16],
}

impl Account {
    /// The name under which its runs are scheduled, counted and remembered.
    pub fn job_name(&self) -> String {
        format!("poll {}", self.config.name)
    }

    /// The collectors that a poll of it reads. Charges that are known from balances count as read with them.
    pub fn collectors(&self) -> Vec<Collector> {
        let mut collectors = self.provider.as_ref().map_or_else(Vec::new, HttpProvider::collectors);
        let lists_none = collectors.contains(&Collector::Balance) && !collectors.contains(&Collector::Charges);
        if lists_none && self.charge_source() == ChargeSource::Balance {
            collectors.push(Collector::Charges);
        }
        collectors
    }

    /// What was read of it, with what the configuration says of its plan and charges.
    pub fn incoming<'a>(
        &'a self,
        reading: &'a Reading,
        outcomes: &'a [CollectorOutcome],
        scheduled: Option<(&'a str, Timestamp)>,
        now: Timestamp,
    ) -> Incoming<'a> {
        let (plan, charges) = (Some(&self.config.plan), self.charge_source());
        Incoming { reading, outcomes, plan, charges, scheduled, now }
    }

    /// From what its charges are known: as configured, or else from balances where the platform has nothing better.
    pub fn charge_source(&self) -> ChargeSource {
        let by_platform = || match &self.provider {
            Some(provider) if provider.collectors().contains(&Collector::Balance) && !provider.lists_charges() => {
                ChargeSource::Balance
            }
            _ => ChargeSource::History,
        };
        self.config.charges_from.unwrap_or_else(by_platform)
    }
}

/// Asks the platforms and keeps the answers.
#[derive(Clone)]
pub struct Poller {
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: AgentMetrics,
}

/// What one poll came to.
#[derive(Debug)]
pub struct Polled {
    /// What was read.
    pub reading: Reading,
    /// How each collector fared.
    pub reports: Vec<CollectorReport>,
    /// What the ledger made of it; `None` for a dry run.
    pub appended: Option<Appended>,
}

impl Poller {
    /// A poller that keeps what it reads in `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, metrics: AgentMetrics) -> Poller {
        Poller { store, clock, metrics }
    }

    /// Looks at an account once and keeps what it saw. A collector that fails is a fact that is kept like any other; what
    /// the others read is kept all the same. `None` for an account that is not polled.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub async fn poll_once(
        &self,
        account: &Account,
        scheduled: Option<Timestamp>,
    ) -> Result<Option<Polled>, StoreError> {
        let Some(result) = self.read(account).await? else { return Ok(None) };
        let job = account.job_name();
        let outcomes: Vec<CollectorOutcome> = result.reports.iter().map(outcome).collect();
        let scheduled = scheduled.map(|at| (job.as_str(), at));
        let incoming = account.incoming(&result.reading, &outcomes, scheduled, self.clock.now());
        let appended = self.store.append(&account.config.name, &account.draws, incoming).await?;
        Ok(Some(Polled { reading: result.reading, reports: result.reports, appended: Some(appended) }))
    }

    /// Looks at an account once and keeps nothing. `None` for an account that is not polled.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn look_once(&self, account: &Account) -> Result<Option<Polled>, StoreError> {
        let result = self.read(account).await?;
        Ok(result.map(|result| Polled { reading: result.reading, reports: result.reports, appended: None }))
    }

    async fn read(&self, account: &Account) -> Result<Option<PollResult>, StoreError> {
        let (Some(provider), Some(source)) = (&account.provider, &account.config.source) else { return Ok(None) };
        let now = self.clock.now();
        let unfinished = match provider.looks_up() {
            true => self.store.unfinished(&account.config.name, now - UNFINISHED_FOR, MOST_UNFINISHED).await?,
            false => Vec::new(),
        };
        let request =
            ReadRequest { now, tasks_since: self.tasks_since(account, source.backfill, now).await?, unfinished };
        // The provider keeps to the limit by itself and hands over what it had read by then; this one is the backstop.
        let backstop = source.timeout + BEYOND_LIMIT;
        let mut result = match tokio::time::timeout(backstop, provider.read(&request)).await {
            Ok(result) => result,
            Err(_) => timed_out(&account.collectors(), backstop),
        };
        for report in &result.reports {
            self.count(account, report);
        }
        result.reports.extend(derived_report(account, &result.reports));
        Ok(Some(result))
    }

    /// From where on task lists are read again: some hours before the last success, and back to the oldest task that was
    /// not final then. The first time, as far back as configured: a history of years would not end in time, and a first
    /// poll that never succeeds begins anew each time.
    async fn tasks_since(
        &self,
        account: &Account,
        backfill: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let name = &account.config.name;
        let Some(success) = self.store.last_success(name, Collector::Charges).await? else {
            return Ok(now.checked_sub(backfill).ok());
        };
        let overlapped = success - OVERLAP;
        if account.provider.as_ref().is_some_and(HttpProvider::looks_up) {
            // Tasks that were not final are asked for by their ids.
            return Ok(Some(overlapped));
        }
        let oldest_unfinished = self.store.oldest_unfinished(name, now - UNFINISHED_FOR).await?;
        Ok(Some(oldest_unfinished.map_or(overlapped, |oldest| oldest.min(overlapped))))
    }

    fn count(&self, account: &Account, report: &CollectorReport) {
        let (name, collector) = (account.config.name.as_str(), report.collector.as_str());
        self.metrics.source_requests.with_label_values(&[name, collector]).inc_by(report.requests);
        if let Err(error) = &report.outcome {
            let labels = [name, collector, error.reason.as_str()];
            self.metrics.source_request_failures.with_label_values(&labels).inc();
            tracing::warn!(
                account = name, collector, reason = error.reason.as_str(), %error,
                "could not read {collector} of account `{name}`"
            );
        }
    }
}

/// How the charges fared where they are known from balances: as the balance did.
fn derived_report(account: &Account, reports: &[CollectorReport]) -> Option<CollectorReport> {
    let is_reported = reports.iter().any(|report| report.collector == Collector::Charges);
    let balance = reports.iter().find(|report| report.collector == Collector::Balance)?;
    let is_derived = account.collectors().contains(&Collector::Charges) && !is_reported;
    is_derived.then(|| CollectorReport { collector: Collector::Charges, requests: 0, ..balance.clone() })
}

fn outcome(report: &CollectorReport) -> CollectorOutcome {
    let failure = report.outcome.as_ref().err();
    CollectorOutcome {
        collector: report.collector,
        duration_seconds: report.duration.as_secs_f64(),
        failure: failure.map(|error| (error.reason.as_str().to_owned(), error.to_string())),
    }
}

/// The whole poll ran out of time: nothing of it is known to be whole, so nothing of it is kept but the fact.
fn timed_out(collectors: &[Collector], limit: Duration) -> PollResult {
    let message = format!(
        "the poll took longer than {}\nhint: raise the account's `timeout`, or ask why the platform is slow",
        humantime::format_duration(limit)
    );
    let report = |collector| CollectorReport {
        collector,
        requests: 0,
        duration: limit,
        outcome: Err(ProviderError { reason: FailureReason::Timeout, message: message.clone(), retry_after: None }),
    };
    PollResult { reading: Reading::default(), reports: collectors.iter().copied().map(report).collect() }
}
