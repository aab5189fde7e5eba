//! What launches cost lately, for who compares it with what is listed. An index holds just what is asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::append::team_name;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::price::READ_TASKS;
use crate::domain::{AccountName, ChargedPrice, ChargedTask, TeamName};

/// The newest of each kind, however many there are: the inner selection finds where they begin. The index is named because
/// SQLite would walk all of the account's tasks.
pub(super) const NEWEST_CHARGED: &str = "\
    SELECT t.task_type, t.quality, COALESCE(t.variants, 1), t.charged, t.created_at \
    FROM (SELECT DISTINCT task_type, quality FROM totals WHERE account_id = $1) k \
    CROSS JOIN tasks t INDEXED BY tasks_priced ON t.account_id = $1 AND t.task_type = k.task_type \
        AND t.quality = k.quality AND t.created_at <= $3 AND t.created_at >= COALESCE(( \
            SELECT n.created_at FROM tasks n INDEXED BY tasks_priced WHERE n.account_id = $1 \
            AND n.task_type = k.task_type AND n.quality = k.quality AND n.created_at >= $2 AND n.created_at <= $3 \
            AND n.state = 'succeeded' AND n.is_sum = 0 AND n.charged > 0 AND n.refunded = 0 AND n.charged_again = 0 \
            ORDER BY n.created_at DESC LIMIT 1 OFFSET $4), $2) \
    WHERE t.state = 'succeeded' AND t.is_sum = 0 AND t.charged > 0 AND t.refunded = 0 AND t.charged_again = 0 \
    ORDER BY t.task_type, t.quality, t.created_at DESC";

/// Launches of one kind by team.
pub(super) const LAUNCHES_OF_KIND: &str = "\
    SELECT team, COUNT(*) FROM tasks INDEXED BY tasks_priced WHERE account_id = $1 AND task_type = $2 AND quality = $3 \
    AND created_at >= $4 AND created_at <= $5 AND COALESCE(variants, 1) = $6 \
    AND state = 'succeeded' AND is_sum = 0 AND charged > 0 AND refunded = 0 AND charged_again = 0 GROUP BY team";

impl Store {
    /// The account's launches in `[since, now]` that succeeded, were charged for once and of which nothing came back: of each
    /// task type and quality at least the newest [`READ_TASKS`], if there are so many.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn newest_charged(
        &self,
        account: &AccountName,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<ChargedTask>, StoreError> {
        let id = self.account_id(account)?;
        let found: Vec<(String, String, u32, i64, i64)> = sqlx::query_as(NEWEST_CHARGED)
            .bind(id)
            .bind(millis(since))
            .bind(millis(now))
            .bind(READ_TASKS - 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let task = |(task_type, quality, variants, charged, created_at)| ChargedTask {
            task_type,
            quality,
            variants,
            credits: credits(charged),
            created_at: instant(created_at),
        };
        Ok(found.into_iter().map(task).collect())
    }

    /// How many of the same launches of one kind each team made, and nobody's.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn launches_of_kind(
        &self,
        account: &AccountName,
        kind: &ChargedPrice,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeMap<Option<TeamName>, u32>, StoreError> {
        let id = self.account_id(account)?;
        let found: Vec<(String, u32)> = sqlx::query_as(LAUNCHES_OF_KIND)
            .bind(id)
            .bind(&kind.task_type)
            .bind(&kind.quality)
            .bind(millis(since))
            .bind(millis(now))
            .bind(kind.variants)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.into_iter().map(|(team, launches)| (team_name(&team), launches)).collect())
    }
}
