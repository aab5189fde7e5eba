//! Each draw's usage state, and that of accounts that are shared, kept warm between assessments. It follows from the ledger
//! and what was announced, and can be thrown away.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::{Assessor, KnownEstimates};
use crate::domain::announcement::{batches, paces};
use crate::domain::forecast::{PaceChange, PartOfAll, PlannedBatch, PriorUse, SHARE_HOURS, UsageState, paces_of_all};
use crate::domain::{AccountName, Announcement, DrawKey, HourlyUse, PlanPeriod, Queued, Unassigned};
use crate::poller::Account;
use crate::store::{AccountFacts, Changes, StoreError};

/// So many hours before the present are read anew at each assessment, because charges come late; older ones are read
/// anew only when the ledger says that they changed.
const OPEN_HOURS: i64 = 24;

/// A burn-down reaches back so many hours at most.
const DRAWN_HOURS: i64 = 62 * 24;

/// Use up to a moment.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Up to the running hour.
    pub state: UsageState,
    /// Net use before the period; `None` without a period.
    pub before: Option<PriorUse>,
    /// Everything announced and not taken back.
    pub announced: Vec<Announcement>,
    /// Recorded estimates that are open, and the newest that are closed; none where the use is everybody's.
    pub estimates: KnownEstimates,
    /// What is still to come of those among them that are planned.
    pub planned: Vec<PlannedBatch>,
    /// That, and the planned batches among what was announced that are still to come.
    pub batches: Vec<PlannedBatch>,
    /// Tasks that wait to be charged.
    pub queued: Queued,
}

/// Whose use is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// One team's on an account.
    Team(DrawKey),
    /// All that lowers an account's balance: every team's, and charges of no team.
    Everybody(AccountName),
}

/// What is kept of each, a few kilobytes: boxed, because a table has room for many more than are in it.
pub type UsageCache = HashMap<Whose, Box<Kept>>;

/// One state up to an hour that is unlikely to change any more.
#[derive(Clone, Debug)]
pub struct Kept {
    closed: UsageState,
    /// Every row before this hour (since the Unix epoch) is in `closed`.
    closed_before: i64,
    before: Option<PriorUse>,
    period_start: Option<Timestamp>,
    /// The last entry of the account's ledger that `closed` knows of.
    last_entry: i64,
}

impl Assessor {
    /// What was added to an account's ledger since its draws were last looked at. To be asked before [`Assessor::usage`], so
    /// that what is added in between is found again the next time.
    async fn changes(&self, account: &Account) -> Result<Changes, StoreError> {
        let last_entry = {
            let cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let teams = account.draws.iter().map(|draw| Whose::Team(draw.key.clone()));
            let all = teams.chain([Whose::Everybody(account.config.name.clone())]);
            all.filter_map(|whose| cache.get(&whose).map(|kept| kept.last_entry)).min()
        };
        let name = &account.config.name;
        match last_entry {
            Some(last_entry) => self.store.changes_since(name, last_entry).await,
            // All of it is read anyway.
            None => Ok(Changes { last_entry: self.store.last_entry(name).await?, earliest_hour: None }),
        }
    }

    /// Charges of an account that match no team.
    pub(super) async fn unassigned(
        &self,
        account: &AccountName,
        facts: &AccountFacts,
        now: Timestamp,
    ) -> Result<Unassigned, StoreError> {
        let Some(team) = facts.teams.get(&None).filter(|team| !team.totals.is_empty()) else {
            return Ok(Unassigned::default());
        };
        let running_hour = now.as_second().div_euclid(3600);
        let mut state = UsageState::default();
        let rows = self.store.hourly_use(account, None, running_hour - DRAWN_HOURS).await?;
        let rows: Vec<HourlyUse> = rows.into_iter().filter(|row| row.hour <= running_hour).collect();
        push_all(&mut state, &rows);
        state.advance_to(running_hour);
        Ok(Unassigned {
            spent: team.spent,
            pending: team.pending,
            unrefunded: team.unrefunded,
            totals: team.totals.clone(),
            retries: team.retries.clone(),
            daily: state.daily(now),
        })
    }

    /// The use of each draw, in the order of the draws, and that of all who draw on the account where it is more than that of
    /// its only team.
    pub(super) async fn usages(
        &self,
        account: &Account,
        facts: &AccountFacts,
        period: Option<&PlanPeriod>,
        now: Timestamp,
    ) -> Result<(Vec<Usage>, Option<Usage>), StoreError> {
        let changes = self.changes(account).await?;
        let usages = account.draws.iter().map(|draw| self.usage(&draw.key, period, (changes, facts), now));
        let usages = try_join_all(usages).await?;
        let of_no_team = facts.teams.get(&None).is_some_and(|team| !team.totals.is_empty());
        if account.draws.len() < 2 && !of_no_team {
            return Ok((usages, None));
        }
        let of_all = self.usage_of_all(account, &usages, period, changes, now).await?;
        Ok((usages, Some(of_all)))
    }

    /// The use of all, of whom the teams' are `usages`. A change of pace that one team announced changes its part of it.
    async fn usage_of_all(
        &self,
        account: &Account,
        usages: &[Usage],
        period: Option<&PlanPeriod>,
        changes: Changes,
        now: Timestamp,
    ) -> Result<Usage, StoreError> {
        let announced: Vec<Announcement> = usages.iter().flat_map(|usage| usage.announced.iter().cloned()).collect();
        let queued = usages.iter().fold(Queued::default(), |queued, usage| queued.and(usage.queued));
        let paces = self.paces_of_all(account, usages, now).await?;
        let whose = Whose::Everybody(account.config.name.clone());
        let (state, before) = self.used(&whose, paces, period, changes, now).await?;
        let planned: Vec<PlannedBatch> = usages.iter().flat_map(|usage| usage.planned.iter().copied()).collect();
        let batches = [&batches(&announced, now)[..], &planned].concat();
        Ok(Usage { state, before, batches, planned, estimates: KnownEstimates::default(), announced, queued })
    }

    /// What all teams' announced changes of pace come to for the use of all.
    async fn paces_of_all(
        &self,
        account: &Account,
        usages: &[Usage],
        now: Timestamp,
    ) -> Result<Vec<PaceChange>, StoreError> {
        let today = now.as_second().div_euclid(86_400) * 24;
        let changing = || account.draws.iter().zip(usages).filter(|(_, usage)| !usage.state.paces().is_empty());
        let begins = changing().flat_map(|(_, usage)| usage.state.paces().iter().map(|pace| pace.from)).min();
        let Some(begins) = begins else { return Ok(Vec::new()) };
        let since = begins.as_second().div_euclid(3600).min(today) - SHARE_HOURS;
        let name = &account.config.name;
        let all = self.store.hourly_use_of_all(name, since).await?;
        let mut teams = Vec::new();
        for (draw, usage) in changing() {
            let rows = self.store.hourly_use(name, Some(&draw.key.team), since).await?;
            teams.push(PartOfAll { paces: usage.state.paces().to_vec(), rows });
        }
        Ok(paces_of_all(&teams, &all, today))
    }

    /// A team's use up to `now`, and what is known of its use to come.
    async fn usage(
        &self,
        key: &DrawKey,
        period: Option<&PlanPeriod>,
        (changes, facts): (Changes, &AccountFacts),
        now: Timestamp,
    ) -> Result<Usage, StoreError> {
        let announced = self.announced(key, facts);
        let whose = Whose::Team(key.clone());
        let (state, before) = self.used(&whose, paces(&announced), period, changes, now).await?;
        let (queued, past) = self.queued(key, facts, now).await?;
        let estimates = self.known_estimates(key, facts, now).await?;
        let planned = estimates.batches(&past, now);
        let batches = [&batches(&announced, now)[..], &planned].concat();
        Ok(Usage { state, before, batches, planned, estimates, announced, queued })
    }

    /// Somebody's use up to `now`, from what is kept and the rows since. What was learned under other announced changes of
    /// pace is learned anew.
    async fn used(
        &self,
        whose: &Whose,
        paces: Vec<PaceChange>,
        period: Option<&PlanPeriod>,
        changes: Changes,
        now: Timestamp,
    ) -> Result<(UsageState, Option<PriorUse>), StoreError> {
        let paces: Arc<[PaceChange]> = paces.into();
        let running_hour = now.as_second().div_euclid(3600);
        let kept =
            self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(whose).map(|kept| Kept::clone(kept));
        let still_holds = |kept: &Kept| {
            kept.period_start == period.map(|period| period.start)
                && kept.closed_before <= running_hour
                && *kept.closed.paces() == paces
                && changes.earliest_hour.is_none_or(|hour| hour >= kept.closed_before)
        };
        let mut kept = match kept.filter(still_holds) {
            Some(kept) => kept,
            None => Kept {
                closed: UsageState::under(Arc::clone(&paces)),
                closed_before: i64::MIN,
                before: None,
                period_start: period.map(|period| period.start),
                last_entry: 0,
            },
        };
        let is_new = kept.closed_before == i64::MIN;
        let rows = match whose {
            Whose::Team(key) => self.store.hourly_use(&key.account, Some(&key.team), kept.closed_before).await?,
            Whose::Everybody(account) => self.store.hourly_use_of_all(account, kept.closed_before).await?,
        };
        let rows: Vec<HourlyUse> = rows.into_iter().filter(|row| row.hour <= running_hour).collect();
        if is_new {
            kept.before = period.map(|period| PriorUse::of_rows_under(&rows, (period.start, period.end), &paces));
        }
        let close_before = (running_hour - OPEN_HOURS).max(kept.closed_before);
        let (closing, open) = rows.split_at(rows.partition_point(|row| row.hour < close_before));
        push_all(&mut kept.closed, closing);
        kept.closed_before = close_before;
        kept.last_entry = changes.last_entry;

        let mut state = kept.closed.clone();
        push_all(&mut state, open);
        state.advance_to(running_hour);
        let before = kept.before;
        self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(whose.clone(), Box::new(kept));
        Ok((state, before))
    }
}

/// The store hands rows out in the order of their hours, so none of them is late.
fn push_all(state: &mut UsageState, rows: &[HourlyUse]) {
    for row in rows {
        if let Err(late) = state.push(*row) {
            tracing::error!(%late, "the ledger's hours are out of order");
        }
    }
}
