//! The agent as a value: built from a configuration, started under a token, and stepped by hand in tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SecureRandom;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::assessor::{Alerts, Assessor};
use crate::clock::Clock;
use crate::config::{AccountConfig, Config, PlatformRef, TeamConfig, TokenConfig};
use crate::domain::{CronSchedule, DrawKey, Snapshot};
use crate::forwarder::{self, Forwarder};
use crate::http::door::Door;
use crate::intake::{Folder, Intake, TokenDoor, WATCH_SCHEDULE};
use crate::lifecycle::Tasks;
use crate::metrics::Metrics;
use crate::notify::{Alertmanager, Mailer};
use crate::outbox::{self, Channel, Leases, Outbox};
use crate::poller::{Account, Poller};
use crate::provider::FailureReason;
use crate::provider::client::{Limits, SharedClient};
use crate::provider::history::ColumnMap;
use crate::provider::http::HttpProvider;
use crate::provider::mapping::Mapping;
use crate::reports::{self, Report, Reporter};
use crate::schedule::{fixed_jitter, next_tick};
use crate::store::{ClosedAlert, Store};

/// The longest fixed delay of an account behind its schedule, so that accounts with one schedule do not march in step.
const LARGEST_JITTER: Duration = Duration::from_secs(15);

/// What outlives a reload of the configuration.
#[derive(Clone)]
pub struct Shared {
    /// The ledger.
    pub store: Store,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The latest assessment of every account.
    pub published: watch::Sender<Arc<Snapshot>>,
    /// Whether configuration and ledger are loaded.
    pub ready: watch::Sender<bool>,
    /// What all accounts ask platforms through.
    pub client: SharedClient,
    /// Wakes the outbox.
    pub outbox_filled: Arc<Notify>,
    /// The messages that are under way.
    pub outbox_leases: Arc<Leases>,
    /// Where pushes and announcements come in; nowhere before the first configuration is loaded.
    pub door: watch::Sender<Option<Arc<dyn Door>>>,
}

impl Shared {
    /// Opens the ledger and makes the metrics.
    ///
    /// # Errors
    /// The ledger cannot be opened, or a metric is registered twice.
    pub async fn open(storage: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Shared> {
        let store = Store::open(storage).await?;
        let published = watch::Sender::new(Arc::new(Snapshot::default()));
        let metrics = Arc::new(Metrics::new(published.subscribe())?);
        let client = SharedClient::new(Limits::default());
        let ready = watch::Sender::new(false);
        let door = watch::Sender::new(None);
        let (outbox_filled, outbox_leases) = Default::default();
        Ok(Shared { store, clock, metrics, published, ready, client, outbox_filled, outbox_leases, door })
    }
}

/// The agent of one configuration.
pub struct Agent {
    /// The accounts, in the order of the configuration.
    pub accounts: Vec<Arc<Account>>,
    /// Asks and keeps.
    pub poller: Poller,
    /// Predicts and decides.
    pub assessor: Arc<Assessor>,
    /// Delivers; `None` without a relay.
    pub outbox: Option<Outbox>,
    /// Show what fires, one for each Alertmanager.
    pub forwarders: Vec<Arc<Forwarder>>,
    /// What comes on a schedule, and who makes it; none without a relay.
    pub reports: Vec<(Report, Reporter)>,
    /// What people and scripts bring.
    pub intake: Intake,
    tokens: Vec<TokenConfig>,
    shared: Shared,
}

impl Agent {
    /// Makes everything ready and starts nothing: accounts are made known to the ledger, mappings are compiled.
    ///
    /// # Errors
    /// A mapping cannot be loaded, or the ledger cannot be written.
    pub async fn build(config: &Config, external_url: Option<String>, shared: &Shared) -> anyhow::Result<Agent> {
        let external_url = external_url.or_else(|| config.web.external_url.clone());
        let mut accounts = Vec::with_capacity(config.accounts.len());
        for account in &config.accounts {
            accounts.push(Arc::new(build_account(account, &config.teams, shared).await?));
        }
        // Jobs of an earlier configuration have no next run.
        shared.metrics.agent.scheduler_next_run.reset();
        let reasons = FailureReason::ALL.map(FailureReason::as_str);
        for account in &accounts {
            shared.metrics.agent.initialize_account(account.config.name.as_str(), &account.collectors(), &reasons);
        }
        let agent_metrics = shared.metrics.agent.clone();
        let email = config.email.as_ref();
        let email = email.map(|email| Channel::email(Mailer::new(email), email.limits, external_url.clone()));
        let webhook = |webhook| Channel::webhook(webhook, Arc::clone(&shared.clock));
        let channels: Vec<Channel> = email.into_iter().chain(config.webhooks.iter().map(webhook)).collect();
        outbox::initialize_metrics(&agent_metrics, &channels);
        let poller = Poller::new(shared.store.clone(), Arc::clone(&shared.clock), agent_metrics.clone());
        let forwarders = build_forwarders(config, external_url.as_ref(), shared);
        let reports = build_reports(config, external_url.as_ref(), shared);
        let assessor = Assessor::new(
            shared.store.clone(),
            config,
            external_url,
            shared.published.clone(),
            Arc::clone(&shared.outbox_filled),
        );
        if let Some(warning) = config.email.as_ref().and_then(|email| email.relay.plaintext_warning()) {
            tracing::warn!("{warning}");
        }
        let outbox = (!channels.is_empty()).then(|| {
            let (clock, filled) = (Arc::clone(&shared.clock), Arc::clone(&shared.outbox_filled));
            let (store, published, leases) = (shared.store.clone(), shared.published.clone(), &shared.outbox_leases);
            Outbox::new(store, channels, clock, agent_metrics, published, filled, leases)
        });
        let assessor = Arc::new(assessor);
        let (store, clock, metrics) = (shared.store.clone(), Arc::clone(&shared.clock), Arc::clone(&shared.metrics));
        let intake = Intake::new(store, clock, metrics, Arc::clone(&assessor));
        let tokens = config.web.tokens.clone();
        intake.initialize_metrics(&accounts, &tokens);
        Ok(Agent { accounts, poller, assessor, outbox, forwarders, reports, intake, tokens, shared: shared.clone() })
    }

    /// Lets pushes and announcements in, by this configuration's tokens.
    pub fn open_door(&self) {
        let door = TokenDoor::new(self.intake.clone(), self.accounts.clone(), self.tokens.clone());
        self.shared.door.send_replace(Some(Arc::new(door)));
    }

    /// Publishes what the ledger already knows. Nothing is decided and nothing is sent because of a start alone.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn first_look(&self) -> anyhow::Result<()> {
        for account in &self.accounts {
            self.assessor.assess_once(account, self.shared.clock.now(), Alerts::Leave).await?;
        }
        self.give_up_lost_channels().await?;
        self.close_lost_alerts().await?;
        self.shared.ready.send_replace(true);
        Ok(())
    }

    /// What waits for a channel that is not configured any more would wait for ever, and look like an outage.
    async fn give_up_lost_channels(&self) -> anyhow::Result<()> {
        let channels = self.outbox.as_ref().map(Outbox::channels).unwrap_or_default();
        let messages = self.shared.store.give_up_other_channels(&channels, self.shared.clock.now()).await?;
        if messages > 0 {
            tracing::warn!(messages, "messages given up: the configuration has no such channel any more");
        }
        Ok(())
    }

    /// Alerts of teams and accounts that are not configured any more would fire for ever. Nobody hears of their end: somebody
    /// wanted it so.
    async fn close_lost_alerts(&self) -> anyhow::Result<()> {
        let draws: Vec<DrawKey> =
            self.accounts.iter().flat_map(|account| &account.draws).map(|draw| draw.key.clone()).collect();
        for alert in self.shared.store.close_alerts_of_others(&draws, self.shared.clock.now()).await? {
            let ClosedAlert { account, team, rule, was_firing } = alert;
            tracing::info!(
                account,
                team,
                rule,
                was_firing,
                "alert `{rule}` of team `{team}` ended without a word: the configuration has no such team on account \
                 `{account}` any more"
            );
        }
        Ok(())
    }

    /// One whole step of an account: look at it, keep what was seen, assess it. What fails is logged and counted, and the
    /// next step tries again.
    pub async fn step(&self, account: &Account, scheduled: Option<Timestamp>) {
        step(&self.poller, &self.assessor, &self.shared, account, scheduled).await;
    }

    /// Runs every account, the outbox and the forwarders until the tasks are asked to stop.
    pub fn start(&self, tasks: &Tasks) {
        for account in &self.accounts {
            let (poller, assessor) = (self.poller.clone(), Arc::clone(&self.assessor));
            let (shared, account, stop) = (self.shared.clone(), Arc::clone(account), tasks.stop_token().clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = run_account(&poller, &assessor, &shared, &account) => {}
                }
            });
        }
        for folder in self.accounts.iter().filter_map(|account| Folder::of(self.intake.clone(), account)) {
            let (shared, stop) = (self.shared.clone(), tasks.stop_token().clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = run_folder(folder, &shared) => {}
                }
            });
        }
        let (assessor, shared, stop) = (Arc::clone(&self.assessor), self.shared.clone(), tasks.stop_token().clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch_silences(&assessor, &shared) => {}
            }
        });
        for both in &self.reports {
            let ((report, reporter), stop) = (both.clone(), tasks.stop_token().clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = reporter.run(&report) => {}
                }
            });
        }
        if let Some(outbox) = &self.outbox {
            tasks.spawn(outbox.clone().run(tasks.stop_token().clone()));
        }
        for forwarder in &self.forwarders {
            let (forwarder, stop) = (Arc::clone(forwarder), tasks.stop_token().clone());
            tasks.spawn(async move { forwarder.run(stop).await });
        }
    }
}

fn build_forwarders(config: &Config, external_url: Option<&String>, shared: &Shared) -> Vec<Arc<Forwarder>> {
    let Some(section) = &config.alertmanager else { return Vec::new() };
    forwarder::initialize_metrics(&shared.metrics.agent);
    let forwarder = |manager| {
        let (published, clock) = (shared.published.subscribe(), Arc::clone(&shared.clock));
        let metrics = shared.metrics.agent.clone();
        Arc::new(Forwarder::new(manager, external_url.cloned(), published, clock, metrics))
    };
    Alertmanager::of(section).into_iter().map(forwarder).collect()
}

async fn build_account(config: &AccountConfig, teams: &[TeamConfig], shared: &Shared) -> anyhow::Result<Account> {
    let store = &shared.store;
    let salt = store.open_account(&config.name, fresh_salt()?).await?;
    let draws: Vec<_> =
        teams.iter().flat_map(|team| &team.draws).filter(|draw| draw.key.account == config.name).cloned().collect();
    store.reassign(&config.name, &draws).await?;
    let provider = match &config.source {
        None => None,
        Some(source) => {
            let mapping = load_mapping(&source.platform)?;
            let (base_url, key) = (source.base_url.as_deref(), source.api_key_file.clone());
            let provider = HttpProvider::new(Arc::new(mapping), base_url, key, salt, shared.client.clone())
                .with_context(|| format!("account `{}`", config.name))?;
            let provider = match source.allow_private_addresses {
                true => provider.with_private_addresses().with_context(|| format!("account `{}`", config.name))?,
                false => provider,
            };
            Some(provider.with_time_limit(source.timeout))
        }
    };
    Ok(Account { config: config.clone(), draws, provider, columns: load_columns(config)?, salt })
}

/// The reports that a configuration wants, each with who makes it.
fn build_reports(config: &Config, external_url: Option<&String>, shared: &Shared) -> Vec<(Report, Reporter)> {
    let Some(email) = &config.email else { return Vec::new() };
    let (clock, filled) = (Arc::clone(&shared.clock), Arc::clone(&shared.outbox_filled));
    let (metrics, published) = (shared.metrics.agent.clone(), shared.published.subscribe());
    let sender = (email.from.clone(), external_url.cloned());
    let reporter = Reporter::new(shared.store.clone(), clock, metrics, published, filled, sender);
    reports::wanted(config).into_iter().map(|report| (report, reporter.clone())).collect()
}

/// What the columns of an account's imports are called.
///
/// # Errors
/// The columns file cannot be read, or says what cannot be right.
pub fn load_columns(config: &AccountConfig) -> anyhow::Result<ColumnMap> {
    match &config.import.columns {
        Some(path) => Ok(ColumnMap::load(path, &config.zone)?),
        None => Ok(ColumnMap::plain()),
    }
}

/// The mapping that an account names.
///
/// # Errors
/// There is none of that name, or the file cannot be read or does not compile.
pub fn load_mapping(platform: &PlatformRef) -> anyhow::Result<Mapping> {
    match platform {
        PlatformRef::File(path) => Ok(Mapping::load(path)?),
        PlatformRef::BuiltIn(name) => match Mapping::built_in(name) {
            Some(mapping) => Ok(mapping?),
            None => anyhow::bail!("there is no built-in mapping `{name}`"),
        },
    }
}

/// 16 random bytes from the operating system: what makes fingerprints of inputs useless to anyone else.
fn fresh_salt() -> anyhow::Result<[u8; 16]> {
    let mut salt = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| anyhow::anyhow!("the operating system has no random numbers"))?;
    Ok(salt)
}

/// How often an account that lives on import and push is assessed.
const ASSESS_EVERY: &str = "*/5 * * * *";

async fn run_account(poller: &Poller, assessor: &Assessor, shared: &Shared, account: &Account) {
    let schedule = match (&account.config.source, CronSchedule::parse(ASSESS_EVERY, jiff::tz::TimeZone::UTC)) {
        (Some(source), _) => source.schedule.clone(),
        (None, Ok(schedule)) => schedule,
        (None, Err(error)) => {
            tracing::error!(%error, "the assessment schedule cannot be read");
            return;
        }
    };
    let job = account.job_name();
    let jitter = fixed_jitter(&job, LARGEST_JITTER);
    let remembered = shared.store.last_scheduled(&job).await.ok().flatten();
    let missed_while_down = remembered.map_or(0, |last| missed_since(&schedule, last, shared.clock.now()));
    shared.metrics.agent.scheduler_missed_runs.with_label_values(&[&job]).inc_by(missed_while_down);
    // The first look is at the start, whatever the schedule says.
    let mut last = shared.clock.now();
    loop {
        shared.metrics.agent.scheduler_runs.with_label_values(&[&job]).inc();
        step(poller, assessor, shared, account, Some(last)).await;
        if let Some(next) = schedule.next_after(last) {
            let next_run = shared.metrics.agent.scheduler_next_run.with_label_values(&[&job]);
            next_run.set((next + jitter).as_second());
        }
        let Some(tick) = next_tick(&*shared.clock, &schedule, Some(last), jitter).await else {
            tracing::error!(job, "the schedule has no further run");
            return;
        };
        shared.metrics.agent.scheduler_missed_runs.with_label_values(&[&job]).inc_by(tick.missed);
        last = tick.scheduled;
    }
}

async fn run_folder(mut folder: Folder, shared: &Shared) {
    let Ok(schedule) = CronSchedule::parse(WATCH_SCHEDULE, jiff::tz::TimeZone::UTC) else {
        tracing::error!("the schedule of watched folders cannot be read");
        return;
    };
    let mut last = None;
    while let Some(tick) = next_tick(&*shared.clock, &schedule, last, Duration::ZERO).await {
        last = Some(tick.scheduled);
        folder.look().await;
    }
}

/// How often the pages hear of silences that a command made or ended.
const SILENCES_EVERY: SignedDuration = SignedDuration::from_mins(1);

async fn watch_silences(assessor: &Assessor, shared: &Shared) {
    loop {
        shared.clock.sleep_until(shared.clock.now() + SILENCES_EVERY).await;
        if let Err(error) = assessor.show_silences(shared.clock.now()).await {
            shared.metrics.agent.store_failures.with_label_values(&["silence"]).inc();
            tracing::error!(%error, "failed to read the silences");
        }
    }
}

fn missed_since(schedule: &CronSchedule, last: Timestamp, now: Timestamp) -> u64 {
    use crate::schedule::{Decision, decide};
    match decide(schedule, Some(last), Duration::ZERO, now) {
        Decision::Due { missed, .. } => missed + 1,
        Decision::Wait { .. } | Decision::Never => 0,
    }
}

async fn step(poller: &Poller, assessor: &Assessor, shared: &Shared, account: &Account, scheduled: Option<Timestamp>) {
    let name = &account.config.name;
    let failed = |operation: &str, error: &dyn std::fmt::Display| {
        shared.metrics.agent.store_failures.with_label_values(&[operation]).inc();
        tracing::error!(account = %name, operation, %error, "account `{name}`: {operation} failed");
    };
    // On the heap while it runs: an account spends its life waiting, and its task is as large as its largest state.
    if let Err(error) = Box::pin(poller.poll_once(account, scheduled)).await {
        failed("append", &error);
    }
    if let Err(error) = assessor.assess_once(account, shared.clock.now(), Alerts::Step).await {
        failed("assess", &error);
    }
}

/// A request to load the configuration again, and where the answer goes: nothing, or why it was refused.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Where reloads are asked for.
pub type ReloadSender = mpsc::Sender<ReloadRequest>;

/// Runs the agent of `config` until `stop`, building it anew at each reload. A configuration that is refused leaves the
/// old one running.
///
/// # Errors
/// The agent of the first configuration cannot be built.
pub async fn run(
    mut config: Config,
    external_url: Option<String>,
    shared: &Shared,
    mut reloads: mpsc::Receiver<ReloadRequest>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut agent = Agent::build(&config, external_url.clone(), shared).await?;
    agent.first_look().await?;
    agent.open_door();
    mark_reload(shared, true);
    loop {
        let tasks = Tasks::under(&stop);
        agent.start(&tasks);
        let next = loop {
            tokio::select! {
                () = stop.cancelled() => break None,
                Some(answer) = reloads.recv() => {
                    let built = reload(&config, external_url.clone(), shared).await;
                    mark_reload(shared, built.is_ok());
                    match built {
                        Ok(next) => break Some((next, answer)),
                        Err(error) => {
                            tracing::error!("the configuration was not reloaded, the old one stays: {error:#}");
                            let _ = answer.send(Err(format!("{error:#}")));
                        }
                    }
                }
            }
        };
        if !tasks.drain().await {
            tracing::warn!("some work did not end in time and was left; what it had claimed comes back by itself");
        }
        match next {
            None => return Ok(()),
            Some(((next_config, next_agent), answer)) => {
                (config, agent) = (next_config, next_agent);
                agent.first_look().await?;
                agent.open_door();
                tracing::info!(file = %config.path.display(), "configuration reloaded");
                let _ = answer.send(Ok(()));
            }
        }
    }
}

async fn reload(running: &Config, external_url: Option<String>, shared: &Shared) -> anyhow::Result<(Config, Agent)> {
    let config = Config::load(&running.path)?;
    if config.storage != running.storage {
        anyhow::bail!(
            "{}: storage: expected `sqlite:{}` as at the start, found `sqlite:{}`\nhint: restart to change it",
            config.path.display(),
            running.storage.display(),
            config.storage.display()
        );
    }
    let agent = Agent::build(&config, external_url, shared).await?;
    Ok((config, agent))
}

fn mark_reload(shared: &Shared, succeeded: bool) {
    let metrics = &shared.metrics.agent;
    metrics.config_last_reload_successful.set(i64::from(succeeded));
    if succeeded {
        metrics.config_last_reload_success_timestamp.set(shared.clock.now().as_second());
    }
}
