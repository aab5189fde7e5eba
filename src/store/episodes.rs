//! Looked back at: episodes of alerts, and what a reset brought.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{AccountName, Credits, PastAlert, RuleName, Stage, TeamName};

/// A team's alerts as they were left: one episode of each rule and period, the last.
pub(super) const LAST_EPISODES: &str = "\
    SELECT rule, period_start, episode, state = 'firing', stage, since, ended_at, \
        EXISTS (SELECT 1 FROM notices n WHERE n.account_id = a.account_id AND n.team = a.team AND n.rule = a.rule \
            AND n.period_start = a.period_start AND n.episode = a.episode) \
    FROM alerts a WHERE account_id = $1 AND team = $2 AND state IN ('firing', 'resolved') AND since < $4 \
        AND (ended_at IS NULL OR ended_at >= $3)";

/// Episodes that people were told of in the interval, with when they first heard and when they heard of the end.
pub(super) const TOLD_EPISODES: &str = "\
    SELECT rule, period_start, episode, MAX(CASE stage WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END), MIN(at), \
        MAX(CASE WHEN why IN ('resolved', 'plan_reset') THEN at END) \
    FROM notices WHERE account_id = $1 AND team = $2 \
    GROUP BY rule, period_start, episode HAVING MAX(at) >= $3 AND MIN(at) < $4";

/// By how much resets changed a balance.
pub(super) const RESETS: &str = "\
    SELECT credits FROM entries WHERE account_id = $1 AND kind IN ('grant', 'expiry', 'reset', 'adjustment') \
        AND kind = 'reset' AND at >= $2 AND at < $3 ORDER BY at DESC LIMIT 1";

impl Store {
    /// The episodes of a team's alerts that were under way in `[from, to)`, by when they began. Of those before the last of a
    /// rule and period it is known what people were told.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn past_alerts(
        &self,
        account: &AccountName,
        team: &TeamName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<PastAlert>, StoreError> {
        type Last = (String, i64, i64, bool, String, i64, Option<i64>, bool);
        type Told = (String, i64, i64, u8, i64, Option<i64>);
        let id = self.account_id(account)?;
        let told: Vec<Told> = sqlx::query_as(TOLD_EPISODES)
            .bind(id)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let last: Vec<Last> = sqlx::query_as(LAST_EPISODES)
            .bind(id)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let mut episodes: BTreeMap<(String, i64, i64), PastAlert> = BTreeMap::new();
        for (rule, period, episode, stage, since, ended_at) in told {
            let (Some(name), Some(stage)) = (RuleName::parse(&rule), Stage::ALL.get(usize::from(stage))) else {
                continue;
            };
            let (since, ended_at) = (instant(since), ended_at.map(instant));
            let past = PastAlert { rule: name, stage: *stage, since, ended_at, is_firing: false, is_told: true };
            episodes.insert((rule, period, episode), past);
        }
        for (rule, period, episode, is_firing, stage, since, ended_at, is_told) in last {
            let (Some(name), Some(stage)) = (RuleName::parse(&rule), Stage::parse(&stage)) else { continue };
            let (since, ended_at) = (instant(since), ended_at.map(instant));
            let past = PastAlert { rule: name, stage, since, ended_at, is_firing, is_told };
            episodes.insert((rule, period, episode), past);
        }
        let mut found: Vec<PastAlert> = episodes.into_values().collect();
        found.sort_by_key(|past| (past.since, past.rule));
        Ok(found)
    }

    /// By how much the last reset in `[from, to)` changed the account's balance, beside what was charged meanwhile; `None` if
    /// none was seen in it.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn reset_change(
        &self,
        account: &AccountName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Credits>, StoreError> {
        let id = self.account_id(account)?;
        let found: Option<i64> = sqlx::query_scalar(RESETS)
            .bind(id)
            .bind(millis(from))
            .bind(millis(to))
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.map(credits))
    }
}
