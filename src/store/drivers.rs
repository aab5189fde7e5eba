//! What a team spent on, for whom it concerns: read when a notice is written, and not before.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::write::team_column;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{AccountName, Drivers, RetryKind, SpentTask, Tally, TaskState, TeamName, Waiting, Who};

/// One walk over the launches of an interval, in their order. They are added up outside of the database, which would sort
/// them once for each question.
pub(super) const LAUNCHES: &str = "\
    SELECT task_type, quality, state, variants, charged, refunded, created_at, \
        (started_at IS NOT NULL) + 2 * is_sum + 4 * is_step + 8 * (told_retry IS NOT NULL), \
        retry, member, CASE WHEN member IS NULL THEN api_key END, project, fingerprint \
    FROM tasks INDEXED BY tasks_by_launch WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND created_at < $4 \
    ORDER BY created_at";

/// The bits of the eighth column.
const STARTED: i64 = 1;
const SUM: i64 = 2;
const STEP: i64 = 4;
const TOLD: i64 = 8;

/// Tasks that wait, by task type and quality: those that were charged and what for, and the others.
pub(super) const WAITING: &str = "\
    SELECT task_type, quality, SUM(charged > refunded), SUM(charged - refunded), SUM(charged <= refunded) \
    FROM tasks INDEXED BY tasks_pending WHERE account_id = $1 AND team = $2 AND state = 'queued' AND created_at >= $3 \
        AND state IN ('queued', 'running', 'unknown') AND is_sum = 0 \
    GROUP BY task_type, quality ORDER BY task_type, quality";

impl Store {
    /// What a team spent on in `[from, to)`.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn drivers(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Drivers, StoreError> {
        let id = self.account_id(account)?;
        let mut found = sqlx::query(LAUNCHES)
            .bind(id)
            .bind(team_column(team))
            .bind(millis(from))
            .bind(millis(to))
            .fetch(&self.readers);
        let mut tally = Tally::default();
        while let Some(row) = found.try_next().await.map_err(|error| self.explain(error))? {
            tally.add(&launch(&row).map_err(|error| self.explain(error))?);
        }
        Ok(tally.finish())
    }

    /// The tasks of a team that wait in the queue, of those launched at or after `since`, by task type and quality.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn waiting(
        &self,
        account: &AccountName,
        team: &TeamName,
        since: Timestamp,
    ) -> Result<Vec<Waiting>, StoreError> {
        let id = self.account_id(account)?;
        let found: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(WAITING)
            .bind(id)
            .bind(team.as_str())
            .bind(millis(since))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let waiting = |(task_type, quality, charged_tasks, charged, uncharged_tasks): (_, _, i64, _, i64)| Waiting {
            task_type,
            quality,
            charged_tasks: charged_tasks.unsigned_abs(),
            charged: credits(charged),
            uncharged_tasks: uncharged_tasks.unsigned_abs(),
        };
        Ok(found.into_iter().map(waiting).collect())
    }
}

fn launch(row: &SqliteRow) -> sqlx::Result<SpentTask<'_>> {
    let bits: i64 = row.try_get(7)?;
    let has = |bit: i64| bits & bit != 0;
    let fingerprint = row.try_get::<Option<&[u8]>, _>(12)?.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let member = row.try_get::<Option<&str>, _>(9)?.map(Who::Member);
    Ok(SpentTask {
        task_type: row.try_get(0)?,
        quality: row.try_get(1)?,
        state: TaskState::parse(row.try_get(2)?),
        variants: row.try_get(3)?,
        charged: credits(row.try_get(4)?),
        refunded: credits(row.try_get(5)?),
        created_at: instant(row.try_get(6)?),
        was_started: has(STARTED),
        is_sum: has(SUM),
        is_step: has(STEP),
        is_attempt: has(TOLD) || (fingerprint.is_some() && !has(STEP) && !has(SUM)),
        retry: row.try_get::<Option<&str>, _>(8)?.and_then(RetryKind::parse),
        who: member.or(row.try_get::<Option<&str>, _>(10)?.map(Who::ApiKey)),
        project: row.try_get(11)?,
        fingerprint,
    })
}
