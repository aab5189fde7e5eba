//! Charges that look wrong. Indexes hold just the tasks in question, of which there are few.

use jiff::Timestamp;

use super::write::team_column;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::suspect::MISSING_REFUND_AFTER;
use crate::domain::{AccountName, KnownTask, SuspectCharge, Suspects, TaskState, TeamName, suspicions};

/// Two selections, so that each is read from its own index, and no further than is listed. The indexes are named because
/// SQLite would take that of all launches, and read every task of the period.
pub(super) const SUSPECTS: &str = "\
    SELECT * FROM (SELECT id, task_type, created_at, COALESCE(finished_at, created_at), state, charged, refunded, \
        charged_again, said_refunded FROM tasks INDEXED BY tasks_unrefunded \
        WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND state IN ('failed', 'cancelled', 'expired') AND charged > refunded AND state <> 'cancelled' \
        AND COALESCE(finished_at, created_at) <= $4 ORDER BY created_at DESC LIMIT $5) \
    UNION SELECT * FROM (SELECT id, task_type, created_at, COALESCE(finished_at, created_at), state, charged, refunded, \
        charged_again, said_refunded FROM tasks INDEXED BY tasks_suspect \
        WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND (charged_again > 0 OR said_refunded > charged) ORDER BY created_at DESC LIMIT $5) \
    ORDER BY 3 DESC LIMIT $5";

/// By [`Suspicion::ALL`] how many there are and the credits in question, from the same indexes alone. What it says of a task
/// is what [`suspicions`] says.
pub(super) const SUSPECT_TOTALS: &str = "\
    SELECT 0, COUNT(*), COALESCE(SUM(charged - refunded), 0) FROM tasks \
        WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND state IN ('failed', 'cancelled', 'expired') \
        AND charged > refunded AND state <> 'cancelled' AND COALESCE(finished_at, created_at) <= $4 \
    UNION ALL SELECT 1, COUNT(*), COALESCE(SUM(charged_again), 0) FROM tasks \
        WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND (charged_again > 0 OR said_refunded > charged) \
        AND charged_again > 0 \
    UNION ALL SELECT 2, COUNT(*), COALESCE(SUM(said_refunded - charged), 0) FROM tasks \
        WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND (charged_again > 0 OR said_refunded > charged) \
        AND said_refunded > charged";

impl Store {
    /// A team's charges since `since` that look wrong as of `now`: all of them counted, and the newest `limit` listed.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn suspects(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        since: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Suspects, StoreError> {
        type Columns = (String, String, i64, i64, String, i64, i64, i64, i64);
        let id = self.account_id(account)?;
        let ended_by = millis(now.saturating_sub(MISSING_REFUND_AFTER).unwrap_or(Timestamp::MIN));
        let counted: Vec<(i64, i64, i64)> = sqlx::query_as(SUSPECT_TOTALS)
            .bind(id)
            .bind(team_column(team))
            .bind(millis(since))
            .bind(ended_by)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let mut suspects = Suspects::default();
        for (total, (_, count, sum)) in suspects.totals.iter_mut().zip(counted) {
            *total = (count.unsigned_abs(), credits(sum));
        }
        if suspects.count() == 0 {
            return Ok(suspects);
        }
        let found: Vec<Columns> = sqlx::query_as(SUSPECTS)
            .bind(id)
            .bind(team_column(team))
            .bind(millis(since))
            .bind(ended_by)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let of_task = |columns: Columns| {
            let (task_id, task_type, created_at, ended_at, state, charged, refunded, again, said_refunded) = columns;
            let known = KnownTask {
                charged: credits(charged),
                refunded: credits(refunded),
                charged_again: credits(again),
                said_refunded: credits(said_refunded),
                ..KnownTask::new(TaskState::parse(&state))
            };
            let created_at = instant(created_at);
            suspicions(&known, instant(ended_at), now).into_iter().map(move |(suspicion, credits)| SuspectCharge {
                task_id: task_id.clone(),
                task_type: task_type.clone(),
                created_at,
                suspicion,
                credits,
            })
        };
        suspects.newest = found.into_iter().flat_map(of_task).collect();
        Ok(suspects)
    }
}
