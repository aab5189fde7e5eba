//! Everything known of every account at one moment: what metrics, pages and mails are made from.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::account::{AccountName, CarryOver, DrawKey, PlanPeriod};
use super::alert::{Alert, Mute, Stage, Why};
use super::announcement::StandingAnnouncement;
use super::balance::ChargeSource;
use super::bucket::Buckets;
use super::credits::Credits;
use super::forecast::{Explanation, Outlook, RunOut};
use super::outbox::OutboxDepth;
use super::price::ComparedPrices;
use super::queued::Queued;
use super::reading::{BalanceRecord, Collector, QueueRecord};
use super::recent::{RecentUse, Reruns};
use super::recorded::{EstimateAccuracy, RecordedEstimate};
use super::retry::RetryKind;
use super::rule::RuleName;
use super::silence::{FiringAlert, Silences};
use super::suspect::Suspects;
use super::words::other_use;

/// The latest assessment of every account. Published whole; readers never see half of one.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One per account, in the order of the configuration.
    pub accounts: Vec<Arc<AccountAssessment>>,
    /// The state of the outbox.
    pub outbox: OutboxDepth,
    /// Which alerts nobody is told of, and for how long.
    pub silences: Silences,
}

impl Snapshot {
    /// The alerts that fire, as silences see them.
    pub fn firing(&self) -> Vec<FiringAlert> {
        let draws = self.accounts.iter().flat_map(|account| &account.draws);
        draws.flat_map(|draw| draw.firing().map(|(rule, stage)| FiringAlert::of(&draw.key, rule, stage))).collect()
    }
}

/// One account at one moment.
#[derive(Clone, Debug)]
pub struct AccountAssessment {
    /// The account.
    pub account: AccountName,
    /// The moment.
    pub at: Timestamp,
    /// The account's zone, in which people are told times.
    pub zone: TimeZone,
    /// The mapping's name; empty for an account that lives on import and push.
    pub platform: String,
    /// The plan's name, where known.
    pub plan_name: Option<String>,
    /// How long after its last success a collector counts as stale, in seconds.
    pub stale_after_seconds: i64,
    /// From what its charges are known.
    pub charges: ChargeSource,
    /// The state of each collector that this account has.
    pub collectors: Vec<CollectorStatus>,
    /// The last balance read and when.
    pub balance: Option<(BalanceRecord, Timestamp)>,
    /// The parts of what can be spent, as told or as worked out; `None` where nothing is known of them.
    pub buckets: Option<Buckets>,
    /// What remains of the plan's unused credits at a reset.
    pub carry_over: CarryOver,
    /// The last queue read and when.
    pub queue: Option<(QueueRecord, Timestamp)>,
    /// Balance change that no entry explains; above zero: more left than charges say, below: less. `None` until two
    /// balances were read.
    pub unexplained: Option<Credits>,
    /// Every team's tasks that are launched and not charged yet. Platforms take their credits first and tell the charge later,
    /// so that they are among what is unexplained.
    pub queued: Queued,
    /// Credits that lapsed at their own date so far, as recognised from falls of the balance.
    pub expired: Credits,
    /// Credits bought or awarded so far, as recognised from rises of the balance.
    pub granted: Credits,
    /// What of that came since the plan period began (since ever without one), with when it was seen, oldest first.
    pub grants: Vec<(Timestamp, Credits)>,
    /// The whole account's net use since the period began (since ever without one), charges of no team among it.
    pub spent: Credits,
    /// Charges that match no team.
    pub unassigned: Unassigned,
    /// What was charged lately beside the account's price sheet; `None` without a sheet.
    pub prices: Option<Arc<ComparedPrices>>,
    /// The rules that are asked, in the order of [`RuleName::ALL`].
    pub rules: Arc<[RuleName]>,
    /// One per draw, in the order of the configuration.
    pub draws: Vec<DrawAssessment>,
}

impl AccountAssessment {
    /// A sum of what single tasks cost. `None` for a sum of nothing where charges are known from balances: no task told its
    /// price then, and zero would say that they were free.
    pub fn told(&self, credits: Credits) -> Option<Credits> {
        (self.charges == ChargeSource::History || credits != Credits::ZERO).then_some(credits)
    }

    /// The parts of the balance that add up to what can be spent; `None` while no balance was read.
    pub fn parts(&self) -> Option<Buckets> {
        let (balance, _) = self.balance.as_ref()?;
        let told = || Buckets::of_parts(balance.available, balance.plan, balance.purchased);
        Some(self.buckets.clone().unwrap_or_else(told))
    }

    /// What was carried over into the period, as far as it is known.
    pub fn carried(&self) -> Credits {
        self.buckets.as_ref().and_then(|buckets| buckets.carried).unwrap_or_default()
    }

    /// Credits of a draw that are expected to lapse at the reset: those left unused, less what stays because it was bought
    /// or awarded, less what is carried over. Plan credits burn first. `None` while unknown; zero if nothing will lapse.
    pub fn lapsing(&self, draw: &DrawAssessment) -> Option<Credits> {
        let unused = draw.outlook.forecast()?.unused?;
        let limit = draw.tank()?.limit;
        let stays = match (limit, self.parts().and_then(|parts| parts.purchased)) {
            _ if draw.period.as_ref().is_some_and(PlanPeriod::is_budget) => return Some(Credits::ZERO),
            (FuelLimit::Allowance | FuelLimit::PlanCredits | FuelLimit::Budget, _) => Credits::ZERO,
            (FuelLimit::Balance, Some(purchased)) => purchased,
            // Without parts told, what was seen to come in is known to stay.
            (FuelLimit::Balance, None) => self.grants.iter().map(|(_, credits)| *credits).sum(),
        };
        let of_plan = (unused - stays).max(Credits::ZERO);
        Some(of_plan - self.carry_over.remaining(of_plan))
    }

    /// Whether what a collector read is recent enough to go by: its last success is within `stale_after_seconds`.
    pub fn is_fresh(&self, collector: Collector) -> bool {
        let success = self.collectors.iter().find(|s| s.collector == collector).and_then(|s| s.last_success_at);
        success.is_some_and(|success| self.is_recent(success))
    }

    /// Whether what was read at `read_at` may still be shown: by its collector's last success, or, for what came by
    /// import or push and has no collector, by its own age.
    pub fn is_current(&self, collector: Collector, read_at: Timestamp) -> bool {
        if self.has(collector) { self.is_fresh(collector) } else { self.is_recent(read_at) }
    }

    /// Whether the account has this collector.
    pub fn has(&self, collector: Collector) -> bool {
        self.collectors.iter().any(|status| status.collector == collector)
    }

    fn is_recent(&self, instant: Timestamp) -> bool {
        self.at.as_second() - instant.as_second() <= self.stale_after_seconds
    }
}

/// Charges of an account that match no team. They count for the account and for nobody's allowance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unassigned {
    /// Net use since the period began (since ever without one).
    pub spent: Credits,
    /// Charged for tasks that are not final yet.
    pub pending: Credits,
    /// Charged in the period for tasks that ended badly, and not given back.
    pub unrefunded: Credits,
    /// Counters by task type and quality, over the whole ledger.
    pub totals: Vec<TotalsRow>,
    /// Retries by task type and kind, over the whole ledger.
    pub retries: Vec<RetryRow>,
    /// Net use by UTC day, newest last, at most 62 days.
    pub daily: Vec<DailyUse>,
}

impl Unassigned {
    /// Net use since records began.
    pub fn net(&self) -> Credits {
        self.totals.iter().map(|row| row.charged - row.refunded).sum()
    }
}

/// How reading one kind of thing goes.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorStatus {
    /// Which.
    pub collector: Collector,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it last succeeded.
    pub last_success_at: Option<Timestamp>,
    /// How long the last try took, in seconds.
    pub last_duration_seconds: Option<f64>,
    /// Reason and text of the last try's failure; `None` if it succeeded.
    pub last_failure: Option<(String, String)>,
}

/// So many suspect charges of a draw are listed; all of them are counted.
pub const MOST_SUSPECTS: u32 = 20;

/// One team's draw on one account at one moment.
#[derive(Clone, Debug)]
pub struct DrawAssessment {
    /// Account and team.
    pub key: DrawKey,
    /// The plan period, or the budget's, that `at` lies in; `None` for prepaid accounts without a budget.
    pub period: Option<PlanPeriod>,
    /// What is left, and how that is known.
    pub fuel: Option<Fuel>,
    /// Where the outlook is of a limit that others use up too: that limit, and their use. It can be another than `fuel`
    /// where more is left of it and it ends sooner. `None` where the outlook is of `fuel` and of the team's own use.
    pub shared: Option<SharedTank>,
    /// The team's configured share of a period, if any.
    pub allowance: Option<Credits>,
    /// Net use since the period began (since ever without a period).
    pub spent: Credits,
    /// Charged for tasks that are not final yet.
    pub pending: Credits,
    /// Charged in the period (since ever without one) for tasks that failed, expired or were cancelled, and not given back.
    pub unrefunded: Credits,
    /// Charges of the period that look wrong; of the newest at most [`MOST_SUSPECTS`].
    pub suspects: Suspects,
    /// Recent pace.
    pub spend: SpendRates,
    /// The use of the last day beside that of usual days; `None` before the first charge.
    pub recent: Option<RecentUse>,
    /// Second attempts of the period at what had succeeded before.
    pub reruns: Reruns,
    /// What lies ahead.
    pub outlook: Outlook,
    /// What drove that; `None` where nothing is said of the future.
    pub explanation: Option<Box<Explanation>>,
    /// When the plan's part of the balance is used up, which is no outage while bought credits are left: the same forecast
    /// made for that part alone. `None` where the balance is not the limit, or its parts are not known.
    pub plan_run_out: Option<RunOut>,
    /// What was announced of the present and the future, in the order in which it begins.
    pub announced: Vec<StandingAnnouncement>,
    /// Recorded estimates: the open ones in the order in which they were kept, and then the newest closed ones, at most
    /// [`super::recorded::SHOWN_CLOSED`].
    pub estimates: Vec<RecordedEstimate>,
    /// How those that are closed did, over the whole ledger.
    pub accuracy: EstimateAccuracy,
    /// Tasks launched and not charged yet; what they will cost is taken off in the outlook, unless the platform did.
    pub queued: Queued,
    /// Counters by task type and quality, over the whole ledger.
    pub totals: Vec<TotalsRow>,
    /// Retries by task type and kind, over the whole ledger.
    pub retries: Vec<RetryRow>,
    /// The alerts of the current period that are more than inactive, in the order of [`RuleName::ALL`].
    pub alerts: Vec<RuleAlert>,
    /// Net use by day (local midnight of the plan's zone is not assumed: UTC days), newest last, at most 62 days.
    pub daily: Vec<DailyUse>,
}

impl DrawAssessment {
    /// What the outlook is of; `None` while nothing is known.
    pub fn tank(&self) -> Option<&Fuel> {
        self.shared.as_ref().map(|shared| &shared.fuel).or(self.fuel.as_ref())
    }

    /// What the tank began the period with, where that is known.
    pub fn tank_capacity(&self) -> Option<Credits> {
        let of_period = self.period.as_ref().and_then(|period| period.allowance);
        let is_shared = self.shared.is_some();
        of_period.filter(|_| is_shared).or(self.allowance).or(of_period)
    }

    /// What the end of the period is called; `None` without one.
    pub fn end_in_words(&self) -> Option<&'static str> {
        self.period.as_ref().map(PlanPeriod::end_in_words)
    }

    /// Whose use lowers the tank besides the team's own, in words; `None` where nobody's does.
    pub fn others(&self, account: &AccountAssessment) -> Option<&'static str> {
        self.shared.as_ref().map(|_| other_use(account))
    }

    /// What drives the outlook, in sentences, what was announced and what is planned among it; none where nothing is said of the future.
    pub fn explained(&self, account: &AccountAssessment) -> Vec<String> {
        let Some(told) = &self.explanation else { return Vec::new() };
        let end = self.end_in_words();
        let mut sentences = told.in_words(end, self.others(account));
        let announced = self.announced.iter().map(|told| told.in_words(&account.zone, end.unwrap_or("the horizon")));
        sentences.extend(announced);
        let planned = self.estimates.iter().filter_map(|estimate| estimate.to_come_in_words());
        sentences.extend(planned.map(|to_come| format!("Planned: {to_come}.")));
        sentences
    }

    /// Recent pace of all that lowers the tank.
    pub fn tank_spend(&self) -> SpendRates {
        self.shared.as_ref().map_or(self.spend, |shared| shared.spend)
    }

    /// The rules firing now, with their stages.
    pub fn firing(&self) -> impl Iterator<Item = (RuleName, Stage)> {
        self.alerts.iter().filter_map(|known| Some((known.rule, known.alert.firing()?)))
    }

    /// A rule's alert of the current period; an inactive one where there is no other.
    pub fn alert(&self, rule: RuleName) -> Alert {
        self.alerts.iter().find(|known| known.rule == rule).map(|known| known.alert.clone()).unwrap_or_default()
    }
}

/// What a draw can still spend.
#[derive(Clone, Debug, PartialEq)]
pub struct Fuel {
    /// Credits left to this draw.
    pub left: Credits,
    /// What sets the limit.
    pub limit: FuelLimit,
    /// As of when.
    pub as_of: Timestamp,
    /// Whether that is recent enough to go by.
    pub fresh: bool,
}

/// A limit that others use up too: other teams on the account, or charges of no team.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedTank {
    /// What is left in it.
    pub fuel: Fuel,
    /// Recent pace of all of them together.
    pub spend: SpendRates,
    /// The pace the model goes by for the team alone, in credits for an average hour of the week; `None` with too little
    /// history of its own.
    pub own_pace_per_hour: Option<f64>,
}

/// What sets the limit on a draw's fuel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuelLimit {
    /// The account's reported balance.
    Balance,
    /// The team's allowance less its net use of the period.
    Allowance,
    /// The plan's credits less the net use of the period, where no balance is reported.
    PlanCredits,
    /// The declared budget less the account's net use of its period.
    Budget,
}

impl FuelLimit {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            FuelLimit::Balance => "balance",
            FuelLimit::Allowance => "allowance",
            FuelLimit::PlanCredits => "plan_credits",
            FuelLimit::Budget => "budget",
        }
    }
}

/// Net spend over the recent past, in credits per second, by charge time. `None` while unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpendRates {
    /// Over the last hour.
    pub hour: Option<f64>,
    /// Over the last day.
    pub day: Option<f64>,
    /// Over the last seven days.
    pub week: Option<f64>,
}

/// One rule's alert on a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAlert {
    /// The rule.
    pub rule: RuleName,
    /// Where it is in its life.
    pub alert: Alert,
    /// Why nobody hears of it at the moment; `None` where nothing keeps it back.
    pub mute: Option<Mute>,
}

/// Counters over the whole ledger for one task type and quality. They never fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalsRow {
    /// The platform's word.
    pub task_type: String,
    /// The platform's word; empty where it says nothing.
    pub quality: String,
    /// Credits charged.
    pub charged: Credits,
    /// Credits that came back.
    pub refunded: Credits,
    /// Tasks that became final.
    pub finished: u64,
    /// Of those, tasks that failed.
    pub failed: u64,
    /// Launches of which it is known what they attempt: first attempts and retries, without steps.
    pub attempts: u64,
}

/// Retries over the whole ledger for one task type and kind. They never fall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRow {
    /// The platform's word.
    pub task_type: String,
    /// Re-run or re-submission.
    pub kind: RetryKind,
    /// How many.
    pub tasks: u64,
    /// Credits charged for them.
    pub credits: Credits,
}

/// Net use of one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyUse {
    /// The midnight the day began.
    pub day: Timestamp,
    /// Net credits used.
    pub net: Credits,
}

/// Something worth telling a person, with the reason it is told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Account and team.
    pub key: DrawKey,
    /// Which rule.
    pub rule: RuleName,
    /// The plan period's start (the Unix epoch for a prepaid account): with rule, draw and episode the alert's identity.
    pub period_start: Timestamp,
    /// The plan period's end, for the subject.
    pub period_end: Option<Timestamp>,
    /// Episode of the rule in the period, from 1.
    pub episode: u32,
    /// When the episode began.
    pub since: Timestamp,
    /// The stage told.
    pub stage: Stage,
    /// The threshold within the stage, from 0: see [`super::alert::Level`].
    pub step: u8,
    /// Why now.
    pub why: Why,
    /// When it was decided.
    pub at: Timestamp,
}
