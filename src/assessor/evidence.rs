//! What the mails of some rules tell that the assessment does not hold: read when a notice is written, and not before.

use jiff::{SignedDuration, Timestamp};

use super::Assessor;
use super::announced::WAITS_FOR;
use crate::domain::fuel::period_before;
use crate::domain::{AccountAssessment, Credits, DrawAssessment, FuelLimit, Notice, PlanPeriod, RuleName};
use crate::notify::{EndedPeriod, Evidence};
use crate::poller::Account;
use crate::store::{AccountFacts, StoreError};

/// Around the start of a period its reset is looked for among the entries: platforms name it to the second or not.
const RESET_SLACK: SignedDuration = SignedDuration::from_mins(2);

impl Assessor {
    /// What the mail of a notice tells beyond the assessment.
    pub(super) async fn evidence(
        &self,
        account: &Account,
        facts: &AccountFacts,
        notice: &Notice,
        assessment: &AccountAssessment,
        draw: &DrawAssessment,
    ) -> Result<Evidence, StoreError> {
        let (key, now) = (&notice.key, notice.at);
        let mut evidence = Evidence::default();
        match notice.rule {
            RuleName::UnusualSpend => {
                let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
                evidence.last_day = Some(self.store.drivers(&key.account, Some(&key.team), day_ago, now).await?);
            }
            RuleName::StuckQueue => {
                evidence.waiting = self.store.waiting(&key.account, &key.team, now - WAITS_FOR).await?;
            }
            RuleName::StaleData => {
                let source = account.config.source.as_ref();
                evidence.next_poll = source.and_then(|source| source.schedule.next_after(now));
            }
            RuleName::UnexplainedSpend => {
                evidence.balanced_since = facts.balance.as_ref().map(|balance| balance.baseline_at);
            }
            RuleName::PlanReset => evidence.ended = self.ended(account, facts, assessment, draw).await?,
            _ => {}
        }
        Ok(evidence)
    }

    /// The period before the current one; `None` where nothing says when it began.
    async fn ended(
        &self,
        account: &Account,
        facts: &AccountFacts,
        assessment: &AccountAssessment,
        draw: &DrawAssessment,
    ) -> Result<Option<EndedPeriod>, StoreError> {
        let config = &account.config;
        let Some(current) = &draw.period else { return Ok(None) };
        let before = period_before(current, facts.plan.as_ref(), &config.plan, &config.zone);
        let Some(period) = before else { return Ok(None) };
        let key = &draw.key;
        let spent_on = self.store.drivers(&key.account, Some(&key.team), period.start, period.end).await?;
        let raised = self.store.past_alerts(&key.account, &key.team, period.start, period.end).await?;
        let raised = raised.into_iter().filter(|past| past.rule == RuleName::Exhaustion).collect();
        let lapsed = self.lapsed(current, assessment, draw).await?;
        Ok(Some(EndedPeriod { period, spent_on, lapsed, raised }))
    }

    /// What of the plan's credits lapsed when a period began: what it grants, less what came. Of a budget nothing lapses, and
    /// what a team's own share left is nobody's loss.
    async fn lapsed(
        &self,
        current: &PlanPeriod,
        assessment: &AccountAssessment,
        draw: &DrawAssessment,
    ) -> Result<Option<Credits>, StoreError> {
        let is_balance = draw.fuel.as_ref().is_some_and(|fuel| fuel.limit == FuelLimit::Balance);
        let Some(granted) = current.allowance.filter(|_| is_balance && !current.is_budget()) else { return Ok(None) };
        let from = current.start - RESET_SLACK;
        let came = self.store.reset_change(&assessment.account, from, current.start + RESET_SLACK).await?;
        Ok(came.map(|came| (granted - came).max(Credits::ZERO)))
    }
}
