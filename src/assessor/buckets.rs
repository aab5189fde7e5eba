//! What is left in each part of an account's credits, and what was carried over.

use std::collections::HashMap;
use std::iter::successors;

use jiff::{SignedDuration, Timestamp};

use super::Assessor;
use crate::domain::bucket::{Buckets, LotKind, LotRules};
use crate::domain::{AccountName, BalanceRecord, CarryOver, DeclaredPlan, Lots, PlanPeriod, PlanRecord, Provenance};
use crate::poller::Account;
use crate::store::{KeptLots, StoreError};

/// What is kept of each account's lots, so that a long history is read once.
pub type LotsCache = HashMap<AccountName, KeptLots>;

/// So many periods are looked back for what was carried over.
const MOST_PERIODS: usize = 120;

impl Assessor {
    /// The parts of what an account can spend. What the platform says of them wins; the rest follows from the ledger.
    /// `None` where neither a balance nor the plan's credits are known.
    pub(super) async fn buckets(
        &self,
        account: &Account,
        balance: Option<&BalanceRecord>,
        reported: Option<&PlanRecord>,
        period: Option<&PlanPeriod>,
        now: Timestamp,
    ) -> Result<Option<Buckets>, StoreError> {
        let plan = period.filter(|period| !period.is_budget());
        let rules = LotRules::of(reported, Some(&account.config.plan));
        match (balance, plan) {
            (Some(balance), _) => self.by_balance(account, balance, rules, now).await.map(Some),
            (None, Some(plan)) => self.by_plan(account, plan, rules, now).await,
            (None, None) => Ok(None),
        }
    }

    async fn by_balance(
        &self,
        account: &Account,
        balance: &BalanceRecord,
        rules: LotRules,
        now: Timestamp,
    ) -> Result<Buckets, StoreError> {
        if let Some(told) = Buckets::told(balance, &rules) {
            return Ok(told);
        }
        let lots = self.lots(account, &rules, &[], now).await?;
        let by_lots = lots.map(|lots| Buckets::of_lots(balance, &lots, !rules.is_prepaid, now));
        Ok(by_lots.unwrap_or_else(|| Buckets::of_parts(balance.available, balance.plan, balance.purchased)))
    }

    /// Where no balance is reported there is nothing but the plan's credits, those that were carried over among them.
    async fn by_plan(
        &self,
        account: &Account,
        period: &PlanPeriod,
        rules: LotRules,
        now: Timestamp,
    ) -> Result<Option<Buckets>, StoreError> {
        if rules.refill.carry_over == CarryOver::Nothing || rules.refill.allowance.is_none() {
            return Ok(None);
        }
        let Some(first_use) = self.store.first_use(&account.config.name).await? else { return Ok(None) };
        let starts = period_starts(&account.config.plan, period, first_use);
        let Some(lots) = self.lots(account, &rules, &starts, now).await? else { return Ok(None) };
        let plan = lots.left(LotKind::Plan) - lots.owed();
        Ok(Some(Buckets { plan: Some(plan), carried: lots.carried, ..Buckets::default() }))
    }

    async fn lots(
        &self,
        account: &Account,
        rules: &LotRules,
        periods: &[Timestamp],
        now: Timestamp,
    ) -> Result<Option<Lots>, StoreError> {
        let name = &account.config.name;
        let kept = self.lots.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
        let Some((lots, kept)) = self.store.lots(name, rules, periods, kept, now).await? else { return Ok(None) };
        self.lots.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(name.clone(), kept);
        Ok(Some(lots))
    }
}

/// The starts of the declared plan's periods from that of the first use on, up to the running one.
fn period_starts(declared: &DeclaredPlan, period: &PlanPeriod, first_use: Timestamp) -> Vec<Timestamp> {
    let rule = declared.reset.as_ref().filter(|_| period.provenance == Provenance::Declared);
    let before = |start: &Timestamp| {
        let moment = start.checked_sub(SignedDuration::from_nanos(1)).ok()?;
        rule.filter(|_| *start > first_use)?.last_at_or_before(moment)
    };
    let mut starts: Vec<Timestamp> = successors(Some(period.start), before).take(MOST_PERIODS).collect();
    starts.reverse();
    starts
}
