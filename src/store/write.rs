//! Rows in bulk. Statements come in three fixed sizes, so that each is prepared once and few are kept.

use futures_util::future::{join, lazy};
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::append::{HourDelta, TaskRow, TotalDelta};
use super::retries::RetryDelta;
use super::{NO_TEAM, millis};
use crate::domain::{Entry, RetryKind, TeamName};

/// Rows in one statement. The largest stays well below SQLite's limit of 32,766 values.
const SIZES: [usize; 3] = [256, 16, 1];

/// Writes tasks as they now are.
pub(super) async fn tasks(connection: &mut SqliteConnection, account: i64, rows: &[&TaskRow<'_>]) -> sqlx::Result<()> {
    let insert = "INSERT INTO tasks (account_id, id, team, created_at, started_at, finished_at, state, task_type, quality, \
                  variants, charged, refunded, settled, charged_again, said_refunded, is_sum, named_team, project, member, \
                  api_key, fingerprint, is_step, told_retry) ";
    let conflict = " ON CONFLICT (account_id, id) DO UPDATE SET started_at = excluded.started_at, \
                    finished_at = excluded.finished_at, state = excluded.state, variants = excluded.variants, \
                    charged = excluded.charged, refunded = excluded.refunded, settled = excluded.settled, \
                    charged_again = excluded.charged_again, said_refunded = excluded.said_refunded, \
                    fingerprint = excluded.fingerprint, is_step = excluded.is_step, told_retry = excluded.told_retry";
    insert_all(connection, insert, conflict, rows, |mut values, row| {
        let who = &row.record.attribution;
        values.push_bind(account).push_bind(row.record.id.as_str()).push_bind(row.team.as_ref());
        values.push_bind(row.created_at).push_bind(row.started_at).push_bind(row.finished_at);
        values.push_bind(row.known.state.as_str());
        values.push_bind(row.task_type.as_ref()).push_bind(row.quality.as_ref()).push_bind(row.variants);
        values.push_bind(row.known.charged.micros()).push_bind(row.known.refunded.micros());
        values.push_bind(row.known.settled.map(|credits| credits.micros()));
        values.push_bind(row.known.charged_again.micros()).push_bind(row.known.said_refunded.micros());
        values.push_bind(i64::from(row.is_sum));
        values.push_bind(who.team.as_deref()).push_bind(who.project.as_deref());
        values.push_bind(who.member.as_deref()).push_bind(who.api_key.as_deref());
        values.push_bind(row.fingerprint.clone()).push_bind(i64::from(row.is_step));
        values.push_bind(row.told_retry.map(RetryKind::as_str));
    })
    .await
}

/// Adds entries. One whose key is there already is the same event, and is left alone.
pub(super) async fn entries(connection: &mut SqliteConnection, account: i64, entries: &[Entry]) -> sqlx::Result<()> {
    let insert = "INSERT INTO entries (account_id, key, kind, at, seen_at, credits, task_id, basis) ";
    insert_all(connection, insert, " ON CONFLICT (account_id, key) DO NOTHING", entries, |mut values, entry| {
        values.push_bind(account).push_bind(entry.key.as_str()).push_bind(entry.kind.as_str());
        values.push_bind(millis(entry.at)).push_bind(millis(entry.seen_at)).push_bind(entry.credits.micros());
        values.push_bind(entry.task_id.as_deref()).push_bind(entry.basis.as_str());
    })
    .await
}

/// Adds to the hourly use.
pub(super) async fn hours(
    connection: &mut SqliteConnection,
    account: i64,
    deltas: &[HourDelta<'_>],
) -> sqlx::Result<()> {
    let insert = "INSERT INTO hourly_use (account_id, team, hour, net, charges) ";
    let conflict = " ON CONFLICT (account_id, team, hour) DO UPDATE SET net = hourly_use.net + excluded.net, \
                    charges = hourly_use.charges + excluded.charges";
    insert_all(connection, insert, conflict, deltas, |mut values, (team, hour, use_)| {
        values.push_bind(account).push_bind(*team).push_bind(*hour).push_bind(use_.net).push_bind(use_.charges);
    })
    .await
}

/// Adds to the counters.
pub(super) async fn totals(
    connection: &mut SqliteConnection,
    account: i64,
    deltas: &[TotalDelta<'_>],
) -> sqlx::Result<()> {
    let insert = "INSERT INTO totals (account_id, team, task_type, quality, charged, refunded, finished, failed, \
                  attempts) ";
    let conflict = " ON CONFLICT (account_id, team, task_type, quality) DO UPDATE SET \
                    charged = totals.charged + excluded.charged, refunded = totals.refunded + excluded.refunded, \
                    finished = totals.finished + excluded.finished, failed = totals.failed + excluded.failed, \
                    attempts = totals.attempts + excluded.attempts";
    insert_all(connection, insert, conflict, deltas, |mut values, ((team, task_type, quality), sum)| {
        values.push_bind(account).push_bind(*team).push_bind(*task_type).push_bind(*quality);
        values.push_bind(sum.charged).push_bind(sum.refunded).push_bind(sum.finished).push_bind(sum.failed);
        values.push_bind(sum.attempts);
    })
    .await
}

/// Adds to the retries; the highest values follow.
pub(super) async fn retries(
    connection: &mut SqliteConnection,
    account: i64,
    deltas: &[RetryDelta],
) -> sqlx::Result<()> {
    let insert =
        "INSERT INTO retries (account_id, team, task_type, kind, tasks, credits, highest_tasks, highest_credits) ";
    let conflict = " ON CONFLICT (account_id, team, task_type, kind) DO UPDATE SET \
                    tasks = retries.tasks + excluded.tasks, credits = retries.credits + excluded.credits, \
                    highest_tasks = CASE WHEN retries.tasks + excluded.tasks > retries.highest_tasks \
                        THEN retries.tasks + excluded.tasks ELSE retries.highest_tasks END, \
                    highest_credits = CASE WHEN retries.credits + excluded.credits > retries.highest_credits \
                        THEN retries.credits + excluded.credits ELSE retries.highest_credits END";
    insert_all(connection, insert, conflict, deltas, |mut values, ((team, task_type, kind), sum)| {
        values.push_bind(account).push_bind(team.as_str()).push_bind(task_type.as_str()).push_bind(kind.as_str());
        values.push_bind(sum.tasks).push_bind(sum.credits);
        values.push_bind(sum.tasks.max(0)).push_bind(sum.credits.max(0));
    })
    .await
}

/// The team column of a team.
pub(super) fn team_column(team: Option<&TeamName>) -> &str {
    team.map_or(NO_TEAM, |team| team.as_str())
}

/// Selects an account's rows whose `column` is one of `wanted`. `select` ends before `WHERE`; `order` follows the list.
pub(super) async fn select_in<'q, T, R>(
    connection: &mut SqliteConnection,
    select: &str,
    account: i64,
    (column, wanted): (&str, &[T]),
    order: &str,
) -> sqlx::Result<Vec<R>>
where
    T: Clone + sqlx::Type<Sqlite> + sqlx::Encode<'q, Sqlite>,
    R: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
{
    let mut found = Vec::new();
    for chunk in wanted.chunks(SIZES[0]) {
        // A list may name a value twice, so it is filled up to one of the sizes instead of being cut into several.
        let size = SIZES.into_iter().rev().find(|size| *size >= chunk.len()).unwrap_or(SIZES[0]);
        let filler = chunk.iter().cycle().take(size);
        let mut query = QueryBuilder::<Sqlite>::new(select);
        query.push(" WHERE account_id = ").push_bind(account).push(" AND ").push(column).push(" IN (");
        let mut list = query.separated(", ");
        for value in filler {
            list.push_bind(value.clone());
        }
        query.push(")").push(order);
        found.extend(query.build_query_as::<R>().fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Slices of the fixed sizes, largest first.
fn chunks<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rest.len())?;
        let (chunk, later) = rest.split_at(size);
        rest = later;
        Some(chunk)
    })
}

async fn insert_all<T>(
    connection: &mut SqliteConnection,
    insert: &str,
    conflict: &str,
    rows: &[T],
    mut bind: impl FnMut(Separated<'_, Sqlite, &'static str>, &T),
) -> sqlx::Result<()> {
    let mut statements = chunks(rows).map(|chunk| {
        let mut query = QueryBuilder::<Sqlite>::new(insert);
        query.push_values(chunk, &mut bind);
        query.push(conflict);
        query
    });
    let mut next = statements.next();
    while let Some(mut query) = next {
        // The next statement is made while the connection's thread works on this one.
        let (done, following) = join(query.build().execute(&mut *connection), lazy(|_| statements.next())).await;
        done?;
        next = following;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_few_sizes_and_hold_everything() {
        for (length, expected) in [(0, vec![]), (1, vec![1]), (18, vec![16, 1, 1]), (529, vec![256, 256, 16, 1])] {
            let rows: Vec<usize> = (0..length).collect();
            assert_eq!(chunks(&rows).map(<[usize]>::len).collect::<Vec<_>>(), expected);
            assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        }
    }
}
