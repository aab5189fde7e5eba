//! Attempts at one asset.

use jiff::Timestamp;

use super::write::team_column;
use super::{Store, StoreError, millis};
use crate::domain::{AccountName, TeamName};

/// From the index of second attempts alone. It is named because SQLite would take that of all launches.
pub(super) const MOST_ATTEMPTS: &str = "\
    SELECT COUNT(*) FROM tasks INDEXED BY tasks_retried WHERE account_id = $1 AND team = $2 AND created_at >= $3 \
    AND retry IS NOT NULL AND fingerprint IS NOT NULL GROUP BY fingerprint ORDER BY 1 DESC LIMIT 1";

impl Store {
    /// The most attempts that a team launched at one asset since `since`: the second ones and all after them, and the first,
    /// which may lie before. 0 without any second one.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn most_attempts(
        &self,
        account: &AccountName,
        team: &TeamName,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let id = self.account_id(account)?;
        let again: Option<i64> = sqlx::query_scalar(MOST_ATTEMPTS)
            .bind(id)
            .bind(team_column(Some(team)))
            .bind(millis(since))
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(again.map_or(0, |again| again.unsigned_abs() + 1))
    }
}
