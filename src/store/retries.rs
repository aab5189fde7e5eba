//! Retries told from first attempts, and their counters.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{instant, write};
use crate::domain::{Attempt, RetryKind, TaskState, classify_attempts};

/// Team, task type and kind, and what to add to them.
pub(super) type RetryDelta = ((String, String, RetryKind), RetrySum);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RetrySum {
    pub(super) tasks: i64,
    pub(super) credits: i64,
}

/// Tells retries from first attempts anew, for inputs of which a task changed, and for the tasks of which no input is
/// known but what they are was told.
pub(super) async fn classify_inputs(
    connection: &mut SqliteConnection,
    account: i64,
    mut inputs: Vec<Vec<u8>>,
    told: &[&str],
) -> sqlx::Result<()> {
    type Columns =
        (Option<Vec<u8>>, String, String, String, i64, String, bool, i64, Option<String>, i64, Option<String>);
    inputs.sort_unstable();
    inputs.dedup();
    let select = "SELECT fingerprint, id, team, task_type, created_at, state, is_step <> 0 OR is_sum <> 0, charged, retry, \
         retry_credits, told_retry FROM tasks";
    let order = " ORDER BY fingerprint, created_at, id";
    let mut found: Vec<Columns> =
        write::select_in(connection, select, account, ("fingerprint", &inputs), order).await?;
    found.extend(write::select_in::<_, Columns>(connection, select, account, ("id", told), "").await?);
    let mut sums: BTreeMap<(String, String, RetryKind), RetrySum> = BTreeMap::new();
    let mut add = |columns: &Columns, kind: Option<RetryKind>, tasks: i64, credits: i64| {
        if let Some(kind) = kind {
            let sum = sums.entry((columns.2.clone(), columns.3.clone(), kind)).or_default();
            sum.tasks += tasks;
            sum.credits += credits;
        }
    };
    for attempts in found.chunk_by(|a, b| a.0.is_some() && a.0 == b.0) {
        let kinds = classify_attempts(&attempts.iter().map(attempt).collect::<Vec<_>>());
        for (columns, kind) in attempts.iter().zip(kinds) {
            let kind_before = columns.8.as_deref().and_then(RetryKind::parse);
            let counted = if kind.is_some() { columns.7 } else { 0 };
            if (kind_before, columns.9) == (kind, counted) {
                continue;
            }
            add(columns, kind_before, -1, -columns.9);
            add(columns, kind, 1, counted);
            sqlx::query("UPDATE tasks SET retry = $1, retry_credits = $2 WHERE account_id = $3 AND id = $4")
                .bind(kind.map(RetryKind::as_str))
                .bind(counted)
                .bind(account)
                .bind(&columns.1)
                .execute(&mut *connection)
                .await?;
        }
    }
    return write::retries(connection, account, &sums.into_iter().collect::<Vec<_>>()).await;

    fn attempt(columns: &Columns) -> Attempt {
        Attempt {
            created_at: instant(columns.4),
            state: TaskState::parse(&columns.5),
            is_step: columns.6,
            told: columns.10.as_deref().and_then(RetryKind::parse),
        }
    }
}
