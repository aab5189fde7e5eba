//! The past of one account as estimates read it.

use jiff::{SignedDuration, Timestamp};

use super::write::team_column;
use super::{Store, StoreError, credits, millis};
use crate::domain::{AccountName, Fingerprint, PastTask, TaskState, TeamName};

/// Whose launches are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchedBy<'a> {
    /// A team.
    Team(&'a TeamName),
    /// Everybody else on the account.
    OthersThan(&'a TeamName),
}

/// How long tasks waited and ran: medians of those that began lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// From launch to beginning.
    pub wait: Option<SignedDuration>,
    /// From beginning to end.
    pub run: Option<SignedDuration>,
}

/// The columns of a [`PastTask`].
pub(super) type TaskColumns = (String, String, String, Option<u32>, i64, Option<Vec<u8>>, bool);
pub(super) const TASK_COLUMNS: &str = "state, task_type, quality, variants, charged - refunded, fingerprint, is_step";

pub(super) fn past_task(columns: TaskColumns) -> PastTask {
    let (state, task_type, quality, variants, net, fingerprint, is_step) = columns;
    PastTask {
        state: TaskState::parse(&state),
        task_type,
        quality,
        variants,
        credits_net: credits(net),
        fingerprint: fingerprint
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(|bytes| Fingerprint(u128::from_be_bytes(bytes))),
        is_step,
    }
}

/// A duration is known from at least so many tasks.
const FEWEST_TASKS: usize = 5;

impl Store {
    /// Launches since a moment, the newest `limit` of them, in the order in which they were made. Sums of many tasks are
    /// left out.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn launches(
        &self,
        account: &AccountName,
        by: LaunchedBy<'_>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<PastTask>, StoreError> {
        let id = self.account_id(account)?;
        let (team, comparison) = match by {
            LaunchedBy::Team(team) => (team, "="),
            LaunchedBy::OthersThan(team) => (team, "<>"),
        };
        let select = format!(
            "SELECT {TASK_COLUMNS} FROM tasks \
             WHERE account_id = $1 AND team {comparison} $2 AND created_at >= $3 AND is_sum = 0 \
             ORDER BY created_at DESC, id DESC LIMIT $4"
        );
        let found: Vec<TaskColumns> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(id)
            .bind(team_column(Some(team)))
            .bind(millis(since))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.into_iter().rev().map(past_task).collect())
    }

    /// How long an account's tasks waited and ran, of the newest `limit` that were launched since a moment and began.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn durations(
        &self,
        account: &AccountName,
        since: Timestamp,
        limit: u32,
    ) -> Result<Durations, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT created_at, started_at, finished_at FROM tasks \
                      WHERE account_id = $1 AND created_at >= $2 AND started_at IS NOT NULL AND is_sum = 0 \
                      ORDER BY created_at DESC LIMIT $3";
        let found: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(select)
            .bind(id)
            .bind(millis(since))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let waits = found.iter().map(|(created, started, _)| started - created);
        let runs = found.iter().filter_map(|(_, started, finished)| finished.map(|finished| finished - started));
        Ok(Durations { wait: median(waits), run: median(runs) })
    }
}

fn median(millis: impl Iterator<Item = i64>) -> Option<SignedDuration> {
    let mut known: Vec<i64> = millis.filter(|millis| *millis >= 0).collect();
    known.sort_unstable();
    (known.len() >= FEWEST_TASKS).then(|| SignedDuration::from_millis(known[(known.len() - 1) / 2]))
}
