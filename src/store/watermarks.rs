//! How far the ledger has come: what a poll and an assessment need to know before they begin.

use jiff::Timestamp;

use super::facts::HOUR_MILLIS;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{AccountName, Collector, Credits, TaskState, TeamName, UnfinishedTask};

/// What was added to an account's ledger since an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The last entry there is; 0 in an empty ledger.
    pub last_entry: i64,
    /// The earliest hour (since the Unix epoch) whose use has changed; `None` if none has.
    pub earliest_hour: Option<i64>,
}

pub(super) const CHANGES: &str = "\
    SELECT MAX(entries.id), MIN(tasks.created_at) FROM entries \
    LEFT JOIN tasks ON tasks.account_id = entries.account_id AND tasks.id = entries.task_id \
    WHERE entries.account_id = $1 AND entries.id > $2";

pub(super) const LAST_ENTRY: &str = "SELECT id FROM entries WHERE account_id = $1 ORDER BY id DESC LIMIT 1";

pub(super) const OLDEST_UNFINISHED: &str = "\
    SELECT MIN(created_at) FROM tasks WHERE account_id = $1 AND state IN ('queued', 'running', 'unknown') \
    AND created_at >= $2";

impl Store {
    /// What was added since entry `after`, by whichever process. Cheap as long as that is little.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn changes_since(&self, account: &AccountName, after: i64) -> Result<Changes, StoreError> {
        let id = self.account_id(account)?;
        let (last, earliest): (Option<i64>, Option<i64>) = sqlx::query_as(CHANGES)
            .bind(id)
            .bind(after)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(Changes { last_entry: last.unwrap_or(after), earliest_hour: earliest.map(|at| at.div_euclid(HOUR_MILLIS)) })
    }

    /// The last entry of an account; 0 in an empty ledger.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn last_entry(&self, account: &AccountName) -> Result<i64, StoreError> {
        let id = self.account_id(account)?;
        let found: Option<i64> = sqlx::query_scalar(LAST_ENTRY)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.unwrap_or(0))
    }

    /// When a collector of an account last succeeded.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn last_success(
        &self,
        account: &AccountName,
        collector: Collector,
    ) -> Result<Option<Timestamp>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT last_success_at FROM collector_states WHERE account_id = $1 AND collector = $2";
        let found: Option<Option<i64>> = sqlx::query_scalar(select)
            .bind(id)
            .bind(collector.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.flatten().map(instant))
    }

    /// When the oldest task that is not final was launched, of those launched at or after `since`.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn oldest_unfinished(
        &self,
        account: &AccountName,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let id = self.account_id(account)?;
        let found: Option<i64> = sqlx::query_scalar(OLDEST_UNFINISHED)
            .bind(id)
            .bind(millis(since))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.map(instant))
    }

    /// The tasks that are not final, of those launched at or after `since`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn unfinished(
        &self,
        account: &AccountName,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<UnfinishedTask>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT id, created_at, task_type, state FROM tasks \
                      WHERE account_id = $1 AND state IN ('queued', 'running', 'unknown') AND is_sum = 0 \
                      AND created_at >= $2 ORDER BY created_at, id LIMIT $3";
        let found: Vec<(String, i64, String, String)> = sqlx::query_as(select)
            .bind(id)
            .bind(millis(since))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let task = |(id, created_at, task_type, state): (String, i64, String, String)| UnfinishedTask {
            id,
            created_at: instant(created_at),
            task_type,
            state: TaskState::parse(&state),
        };
        Ok(found.into_iter().map(task).collect())
    }

    /// How many tasks of a team wait or run for which nothing was charged yet, of those launched at or after `since`, by
    /// task type and quality.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn uncharged(
        &self,
        account: &AccountName,
        team: &TeamName,
        since: Timestamp,
    ) -> Result<Vec<(String, String, u64)>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT task_type, quality, COUNT(*) FROM tasks WHERE account_id = $1 AND team = $2 \
                      AND state IN ('queued', 'running', 'unknown') AND state <> 'unknown' AND charged = 0 \
                      AND is_sum = 0 AND created_at >= $3 GROUP BY task_type, quality ORDER BY task_type, quality";
        let found: Vec<(String, String, i64)> = sqlx::query_as(select)
            .bind(id)
            .bind(team.as_str())
            .bind(millis(since))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.into_iter().map(|(task_type, quality, tasks)| (task_type, quality, tasks.unsigned_abs())).collect())
    }

    /// Credits bought or awarded in `[from, to]`, with when that was seen, oldest first.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn grants_between(
        &self,
        account: &AccountName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, Credits)>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT at, credits FROM entries WHERE account_id = $1 \
                      AND kind IN ('grant', 'expiry', 'reset', 'adjustment') AND kind = 'grant' \
                      AND at >= $2 AND at <= $3 ORDER BY at";
        let found: Vec<(i64, i64)> = sqlx::query_as(select)
            .bind(id)
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.into_iter().map(|(at, amount)| (instant(at), credits(amount))).collect())
    }
}
