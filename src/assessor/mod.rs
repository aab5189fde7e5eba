//! Predict and decide: what the ledger holds of an account becomes an assessment, alert steps and notices; states and
//! rendered mails are one commit; the snapshot is published.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::{AlertsConfig, Config, EmailConfig, TeamConfig, WebhookConfig};
use crate::domain::forecast::{Announced, ForecastInput, explain, forecast};
use crate::domain::fuel::{FuelFacts, Limits, current_period};
use crate::domain::{
    AccountAssessment, AccountName, Collector, Credits, Draw, DrawAssessment, Finding, Fuel, FuelLimit, MOST_SUSPECTS,
    PlanPeriod, Queued, RecentUse, RuleName, Snapshot, Suspects,
};
use crate::notify::MessageError;
use crate::poller::Account;
use crate::store::{AccountFacts, Store, StoreError, TeamFacts};

mod announced;
mod buckets;
#[cfg(test)]
mod case_tests;
mod decide;
#[cfg(test)]
mod decide_tests;
mod evidence;
#[cfg(test)]
mod letters_tests;
mod mails;
mod plan;
mod prices;
#[cfg(test)]
mod prices_tests;
mod recorded;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod shared_tests;
mod silences;
mod tanks;
#[cfg(test)]
mod tests;
mod usage;

pub use announced::AnnounceError;
pub use buckets::LotsCache;
pub use mails::Sender;
pub use plan::Planned;
pub use prices::PricesCache;
pub use recorded::{KnownEstimates, RecordError};
pub use silences::SilenceError;
use tanks::{Tanks, plan_left};
pub use usage::{Usage, UsageCache, Whose};

/// How many assessments are under way at once. They share two connections anyway, and those that only wait for their turn
/// then need no room of their own: with thousands of accounts on one schedule that is most of the memory.
const AT_ONCE: usize = 4;

/// Why an account could not be assessed. What was published before stays.
#[derive(Debug, thiserror::Error)]
pub enum AssessError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mail could not be written.
    #[error("failed to write the mail of an alert: {0}")]
    Message(#[from] MessageError),
}

/// Whether an assessment may change alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alerts {
    /// Step the alerts, and store what is to be told.
    Step,
    /// Look only: before the first poll after a start, and for people who ask.
    Leave,
}

/// Assesses accounts and publishes what it found.
pub struct Assessor {
    store: Store,
    alerts: AlertsConfig,
    rules: Arc<[RuleName]>,
    teams: Vec<TeamConfig>,
    sender: Option<Sender>,
    webhooks: Vec<WebhookConfig>,
    external_url: Option<String>,
    cache: Mutex<UsageCache>,
    lots: Mutex<LotsCache>,
    prices: Mutex<PricesCache>,
    latest: Mutex<BTreeMap<AccountName, Arc<AccountAssessment>>>,
    order: Vec<AccountName>,
    published: watch::Sender<Arc<Snapshot>>,
    outbox_filled: Arc<Notify>,
    turns: Semaphore,
}

impl Assessor {
    /// An assessor of the configuration's accounts. It publishes to `published` and wakes the outbox by `outbox_filled`.
    pub fn new(
        store: Store,
        config: &Config,
        external_url: Option<String>,
        published: watch::Sender<Arc<Snapshot>>,
        outbox_filled: Arc<Notify>,
    ) -> Assessor {
        let sender = |email: &EmailConfig| Sender { from: email.from.clone(), external_url: external_url.clone() };
        Assessor {
            store,
            alerts: config.alerts.clone(),
            rules: RuleName::ALL.into_iter().filter(|rule| config.alerts.rules.is_enabled(*rule)).collect(),
            teams: config.teams.clone(),
            sender: config.email.as_ref().map(sender),
            webhooks: config.webhooks.clone(),
            external_url,
            cache: Mutex::default(),
            lots: Mutex::default(),
            prices: Mutex::default(),
            latest: Mutex::default(),
            order: config.accounts.iter().map(|account| account.name.clone()).collect(),
            published,
            outbox_filled,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Assesses one account as of `now` from what the ledger holds, steps its alerts if asked to, and publishes.
    ///
    /// # Errors
    /// The ledger cannot be read or written, or a mail cannot be written; then nothing was stored or published.
    pub async fn assess_once(
        &self,
        account: &Account,
        now: Timestamp,
        alerts: Alerts,
    ) -> Result<Arc<AccountAssessment>, AssessError> {
        // Nobody closes the semaphore, so this is always a turn.
        let _turn = self.turns.acquire().await.ok();
        Box::pin(self.assess(account, now, alerts)).await
    }

    async fn assess(
        &self,
        account: &Account,
        now: Timestamp,
        alerts: Alerts,
    ) -> Result<Arc<AccountAssessment>, AssessError> {
        let (mut assessment, mut facts) = self.look(account, now).await?;
        if alerts == Alerts::Step && self.close_estimates(&assessment, &facts).await? {
            (assessment, facts) = self.look(account, now).await?;
        }
        let silences = self.store.silences(now).await?;
        if alerts == Alerts::Leave {
            self.note_mutes(&mut assessment, &facts, &silences);
        } else {
            let decided = self.decide(&mut assessment, &facts, &silences);
            let notices = self.write_all(account, &facts, decided.notices, &assessment).await?;
            let are_new = self.store.commit_alerts(&decided.changes, &notices).await?;
            for ((notice, mails), _) in notices.iter().zip(are_new).filter(|(_, is_new)| *is_new) {
                tracing::info!(
                    account = %notice.key.account, team = %notice.key.team, rule = notice.rule.as_str(),
                    stage = notice.stage.as_str(), why = notice.why.as_str(), mails = mails.len(),
                    "alert `{}` of team `{}`: {}", notice.rule.as_str(), notice.key.team, notice.why.as_str()
                );
            }
            if !notices.is_empty() {
                self.outbox_filled.notify_one();
            }
        }
        let assessment = Arc::new(assessment);
        self.publish(Arc::clone(&assessment)).await?;
        Ok(assessment)
    }

    async fn look(&self, account: &Account, now: Timestamp) -> Result<(AccountAssessment, AccountFacts), StoreError> {
        let config = &account.config;
        let reported = self.store.reported_plan(&config.name).await?;
        let period = current_period(reported.as_ref(), &config.plan, &config.zone, now);
        let start = period.as_ref().map(|period| period.start);
        let facts = self.store.load_account(&config.name, &account.draws, start, now).await?;
        let stale_after_seconds = i64::try_from(config.stale_after.as_secs()).unwrap_or(i64::MAX);
        let balance = facts.balance.as_ref().map(|state| &state.record);
        let buckets = self.buckets(account, balance, reported.as_ref(), period.as_ref(), now).await?;
        let mut assessment = AccountAssessment {
            account: config.name.clone(),
            at: now,
            zone: config.zone.clone(),
            platform: account.provider.as_ref().map_or_else(String::new, |provider| provider.platform().to_owned()),
            plan_name: reported.and_then(|plan| plan.name).or_else(|| config.plan.name.clone()),
            stale_after_seconds,
            charges: account.charge_source(),
            collectors: facts.collectors.clone(),
            balance: facts.balance.as_ref().map(|state| (state.record.clone(), state.read_at)),
            buckets,
            carry_over: config.plan.carry_over,
            queue: facts.queue.clone(),
            queued: Queued::default(),
            unexplained: facts.balance.as_ref().and_then(|state| state.drift),
            granted: facts.balance.as_ref().map_or(Credits::ZERO, |state| state.granted),
            expired: facts.balance.as_ref().map_or(Credits::ZERO, |state| state.expired),
            grants: self.store.grants_between(&config.name, start.unwrap_or(Timestamp::MIN), now).await?,
            spent: facts.teams.values().map(|team| team.spent).sum(),
            unassigned: self.unassigned(&config.name, &facts, now).await?,
            prices: self.prices(account, now).await?,
            rules: Arc::clone(&self.rules),
            draws: Vec::with_capacity(account.draws.len()),
        };
        let (usages, of_all) = self.usages(account, &facts, period.as_ref(), now).await?;
        assessment.queued = usages.iter().fold(Queued::default(), |queued, usage| queued.and(usage.queued));
        for (draw, usage) in account.draws.iter().zip(&usages) {
            let (period, usage_of_all) = (period.as_ref(), of_all.as_ref());
            let known = KnownOfDraw { draw, facts: &facts, period, usage, usage_of_all };
            let mut assessed = known.assess(&assessment);
            let team = Some(&draw.key.team);
            if assessed.reruns.tasks + 1 >= self.alerts.rules.wasteful_retries.policy.attempts {
                let since = start.unwrap_or(Timestamp::UNIX_EPOCH);
                assessed.reruns.most_attempts = self.store.most_attempts(&config.name, &draw.key.team, since).await?;
            }
            if facts.teams.get(&team.cloned()).is_some_and(|facts| facts.has_suspects) {
                let since = start.unwrap_or(Timestamp::UNIX_EPOCH);
                assessed.suspects = self.store.suspects(&config.name, team, since, now, MOST_SUSPECTS).await?;
            }
            assessment.draws.push(assessed);
        }
        Ok((assessment, facts))
    }

    async fn publish(&self, assessment: Arc<AccountAssessment>) -> Result<(), StoreError> {
        let outbox = self.store.outbox_depth().await?;
        let silences = self.store.silences(assessment.at).await?;
        let mut waits = outbox.total().waiting > 0;
        {
            let mut latest = self.latest.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            latest.insert(assessment.account.clone(), assessment);
            let accounts = self.order.iter().filter_map(|name| latest.get(name).cloned()).collect();
            self.published.send_replace(Arc::new(Snapshot { accounts, outbox, silences }));
        }
        // What was read as waiting may have been delivered, and shown as that, before it was shown as waiting.
        while waits {
            let outbox = self.store.outbox_depth().await?;
            waits = self.published.send_if_modified(|shown| {
                let is_old = shown.outbox != outbox;
                if is_old {
                    *shown = Arc::new(Snapshot { outbox, ..Snapshot::clone(shown) });
                }
                is_old
            });
        }
        Ok(())
    }
}

/// Everything that one draw's assessment is made from.
struct KnownOfDraw<'a> {
    draw: &'a Draw,
    facts: &'a AccountFacts,
    period: Option<&'a PlanPeriod>,
    usage: &'a Usage,
    /// Everybody's use, where it is more than the team's.
    usage_of_all: Option<&'a Usage>,
}

impl KnownOfDraw<'_> {
    fn team(&self) -> Option<&TeamFacts> {
        self.facts.teams.get(&Some(self.draw.key.team.clone()))
    }

    fn limits(&self, account: &AccountAssessment) -> Limits {
        let charges = account.collectors.iter().find(|status| status.collector == Collector::Charges);
        let charges_fresh = account.is_fresh(Collector::Charges);
        let granted = |is_budget| self.period.filter(|period| period.is_budget() == is_budget)?.allowance;
        let balance_fresh = account.is_fresh(Collector::Balance);
        Limits::of(&FuelFacts {
            balance: account.balance.as_ref().map(|(record, at)| (record.available, *at, balance_fresh)),
            allowance: self.draw.allowance,
            plan_credits: granted(false).map(|granted| granted + account.carried()),
            budget: granted(true),
            charges_read: charges.and_then(|status| status.last_success_at).map(|at| (at, charges_fresh)),
            spent: self.team().map_or(Credits::ZERO, |team| team.spent),
            account_spent: account.spent,
        })
    }

    fn assess(&self, account: &AccountAssessment) -> DrawAssessment {
        let now = account.at;
        let nothing = TeamFacts::default();
        let team = self.team().unwrap_or(&nothing);
        let limits = self.limits(account);
        let tanks = Tanks::of(self, account, &limits);
        let (tank, outlook) = tanks.outlook();
        let plan_run_out = plan_left(account, self.period, tank).filter(|_| tank.input.remaining.is_some());
        let plan_run_out = plan_run_out.and_then(|left| {
            forecast(&ForecastInput { remaining: Some(left), ..tank.input }).forecast().map(|f| f.run_out)
        });
        let queued = Queued { is_held: is_held(account, tank.fuel()), ..self.usage.queued };
        let announced = announced::standing(&tanks.own_input(tank), &self.usage.announced, &self.usage.planned);
        let period_start = self.period.map_or(Timestamp::UNIX_EPOCH, |period| period.start);
        let estimates = &self.usage.estimates;
        let beside = |recent: RecentUse| {
            recent.beside(&self.usage.announced, now).beside_plans(&estimates.open, &estimates.closed, now)
        };
        DrawAssessment {
            key: self.draw.key.clone(),
            period: self.period.cloned(),
            fuel: limits.fuel().cloned(),
            shared: tanks.shared(tank),
            allowance: self.draw.allowance,
            spent: team.spent,
            pending: team.pending,
            unrefunded: team.unrefunded,
            suspects: Suspects::default(),
            spend: self.usage.state.spend_rates(now),
            recent: self.usage.state.recent_use(now).map(beside),
            reruns: team.reruns,
            explanation: explain(&tank.input).map(Box::new),
            outlook,
            plan_run_out,
            announced,
            estimates: estimates.shown(),
            accuracy: team.accuracy.clone(),
            queued,
            totals: team.totals.clone(),
            retries: team.retries.clone(),
            alerts: decide::known(account, self.facts, &self.draw.key, period_start),
            daily: self.usage.state.daily(now),
        }
    }
}

/// What the forecast of a limit is made from: `granted` is what it began with, `usage` what lowers it. A forecast needs both what is left and how fast it goes: either one out of date and
/// nothing can be said.
fn forecast_input<'a>(
    account: &AccountAssessment,
    period: Option<&PlanPeriod>,
    fuel: Option<&Fuel>,
    granted: Option<Credits>,
    usage: &'a Usage,
) -> ForecastInput<'a> {
    let is_known = account.is_fresh(Collector::Charges);
    let queued = Queued { is_held: is_held(account, fuel), ..usage.queued };
    ForecastInput {
        state: &usage.state,
        now: account.at,
        period: period.map(|period| (period.start, period.end)),
        remaining: fuel.filter(|fuel| fuel.fresh && is_known).map(|fuel| fuel.left),
        granted,
        before: usage.before,
        announced: Announced { paces: usage.state.paces(), batches: &usage.batches, queued: queued.to_take_off() },
    }
}

/// Whether a draw's fuel is a balance from which the platform holds credits back for running tasks.
fn is_held(account: &AccountAssessment, fuel: Option<&Fuel>) -> bool {
    let held = account.balance.as_ref().and_then(|(balance, _)| balance.frozen);
    fuel.is_some_and(|fuel| fuel.limit == FuelLimit::Balance) && held.is_some_and(Credits::is_positive)
}

/// Whether a draw is at risk: its alert is firing, or its outlook alone would raise one.
pub fn is_at_risk(draw: &DrawAssessment, alerts: &AlertsConfig) -> bool {
    let bounds = draw.period.as_ref().map(|period| (period.start, period.end));
    let finding = alerts.rules.exhaustion.policy.judge(&draw.outlook, bounds);
    draw.alert(RuleName::Exhaustion).firing().is_some() || matches!(finding, Finding::Holds(_))
}
