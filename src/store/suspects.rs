//! Charges that look wrong. Indexes hold just the tasks in question, of which there are few.

use jiff::Timestamp;

use super::write::team_column;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{AccountName, KnownTask, SuspectCharge, TaskState, TeamName, suspicions};

/// Two selections, so that each is read from its own index.
pub(super) const SUSPECTS: &str = "\
    SELECT id, task_type, created_at, COALESCE(finished_at, created_at), state, charged, refunded, charged_again, \
        said_refunded FROM tasks WHERE account_id = $1 AND team = $2 AND created_at >= $3 \
        AND state IN ('failed', 'cancelled', 'expired') AND charged > refunded \
    UNION SELECT id, task_type, created_at, COALESCE(finished_at, created_at), state, charged, refunded, charged_again, \
        said_refunded FROM tasks WHERE account_id = $1 AND team = $2 AND created_at >= $3 \
        AND (charged_again > 0 OR said_refunded > charged) \
    ORDER BY 3 DESC LIMIT $4";

impl Store {
    /// A team's charges since `since` that look wrong as of `now`, newest first, of at most `limit` tasks.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn suspect_charges(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        since: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SuspectCharge>, StoreError> {
        type Columns = (String, String, i64, i64, String, i64, i64, i64, i64);
        let id = self.account_id(account)?;
        let found: Vec<Columns> = sqlx::query_as(SUSPECTS)
            .bind(id)
            .bind(team_column(team))
            .bind(millis(since))
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
        Ok(found.into_iter().flat_map(of_task).collect())
    }
}
