//! The past of an account, read from one end to the other: what exports are made of.
//!
//! A ledger may be larger than memory. So everything comes as a stream of rows, sorted by the database, which puts what
//! does not fit into its cache into a temporary file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::lots::load_events;
use super::records::load_plan;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::bucket::Event;
use crate::domain::{AccountName, BalanceRecord, Credits, LotRules, PlanRecord, RetryKind, TaskState};

/// An account's past as of one moment: what is written after the first look at it does not show.
#[derive(Debug)]
pub struct History {
    account: i64,
    path: Arc<Path>,
    connection: SqliteConnection,
}

/// What a counter of the past counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastCounter {
    /// Millionths of credits charged, by task type and quality.
    Charged,
    /// Millionths of credits that came back for tasks, by task type and quality.
    Refunded,
    /// Tasks that became final, by task type.
    Finished,
    /// Tasks that failed, by task type.
    Failed,
    /// Launches of which it is known what they attempt, by task type.
    Attempts,
    /// Second attempts of teams, by task type and kind.
    Retries,
    /// Millionths of credits charged for those, by task type and kind.
    RetryCredits,
    /// Millionths of credits bought or awarded, of the whole account.
    Granted,
    /// Millionths of credits that lapsed at their own date, of the whole account.
    Expired,
}

/// Which words stay as they are. Those after the last one in alphabetical order are summed under one other word.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folding<'a> {
    /// The last task type that stays; `None` if all do.
    pub last_task_type: Option<&'a str>,
    /// The last quality that stays; `None` if all do.
    pub last_quality: Option<&'a str>,
    /// The word for the others.
    pub other: &'a str,
}

/// What tells the series of a counter apart: team (empty: none), task type, and quality or kind; empty where it has none.
pub type PastKey = [String; 3];

/// By how much a counter rose at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRise {
    /// Of which series.
    pub key: PastKey,
    /// When; rounded up to the step that was asked for.
    pub at: Timestamp,
    /// By how much.
    pub amount: i64,
}

/// A task as the ledger knows it, for a file of charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCharge {
    /// The platform's id.
    pub id: String,
    /// The team that the record itself named, else the one that the charge was given to; empty: none.
    pub team: String,
    /// When it was launched.
    pub created_at: Timestamp,
    /// When work on it began, where known.
    pub started_at: Option<Timestamp>,
    /// When it became final, where known.
    pub finished_at: Option<Timestamp>,
    /// Its state.
    pub state: TaskState,
    /// The platform's word for its kind.
    pub task_type: String,
    /// The platform's word for its quality; empty where it says nothing.
    pub quality: String,
    /// How many variants it makes, where known.
    pub variants: Option<u32>,
    /// What was charged for it.
    pub charged: Credits,
    /// What came back.
    pub refunded: Credits,
    /// The project, where known.
    pub project: Option<String>,
    /// The member who launched it, where known.
    pub member: Option<String>,
    /// The name of the API key, where known.
    pub api_key: Option<String>,
    /// Whether it continues an earlier task.
    pub is_step: bool,
    /// What kind of retry it is, told or inferred.
    pub retry: Option<RetryKind>,
    /// Whether it is a sum of many tasks.
    pub is_sum: bool,
    /// Whether what was charged is, at least in part, taken from a table of prices.
    pub is_estimated: bool,
}

impl Store {
    /// The past of an account as of its first look at it, on a connection of its own.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn history(&self, account: &AccountName) -> Result<History, StoreError> {
        let account = self.account_id(account)?;
        let mut connection = self.open_reader().await?;
        // One transaction, which ends with the connection: every statement sees the same ledger.
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(|error| self.explain(error))?;
        Ok(History { account, path: Arc::clone(&self.path), connection })
    }
}

impl History {
    /// The earliest instant that anything is known of; `None` if nothing is.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn began_at(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let select = "SELECT MIN(at) FROM (SELECT MIN(created_at) AS at FROM tasks WHERE account_id = $1 \
                      UNION ALL SELECT MIN(at) FROM entries WHERE account_id = $1 \
                      UNION ALL SELECT MIN(read_at) FROM balance_readings WHERE account_id = $1)";
        let found: Option<i64> = sqlx::query_scalar(select)
            .bind(self.account)
            .fetch_one(&mut self.connection)
            .await
            .map_err(explain_at(&self.path))?;
        Ok(found.map(instant))
    }

    /// Every task type and every quality that the account's counters have.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn words(&mut self) -> Result<(BTreeSet<String>, BTreeSet<String>), StoreError> {
        let found: Vec<(String, String)> =
            sqlx::query_as("SELECT DISTINCT task_type, quality FROM totals WHERE account_id = $1")
                .bind(self.account)
                .fetch_all(&mut self.connection)
                .await
                .map_err(explain_at(&self.path))?;
        Ok(found.into_iter().unzip())
    }

    /// The series that the account's tasks belong to, by team, task type and quality, each with its first launch, in the
    /// order of the key. There are as many as on `/metrics`, however many tasks there are.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn series(&mut self, folding: Folding<'_>) -> Result<Vec<(PastKey, Timestamp)>, StoreError> {
        let (task_type, quality) = (folded("task_type", 2), folded("quality", 3));
        // Safe: the text is made of constants and numbers of places.
        let select = sqlx::AssertSqlSafe(format!(
            "SELECT team, {task_type}, {quality}, MIN(created_at) FROM tasks WHERE account_id = $1 \
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ));
        let found: Vec<(String, String, String, i64)> = sqlx::query_as(select)
            .bind(self.account)
            .bind(folding.last_task_type)
            .bind(folding.last_quality)
            .bind(folding.other)
            .fetch_all(&mut self.connection)
            .await
            .map_err(explain_at(&self.path))?;
        Ok(found.into_iter().map(|(a, b, c, first)| ([a, b, c], instant(first))).collect())
    }

    /// Every rise of a counter, in the order of the key and, within it, of time. Instants are rounded up to whole
    /// multiples of `step` (at least a millisecond), and what falls on the same is one rise.
    pub fn rises(
        &mut self,
        counter: PastCounter,
        folding: Folding<'_>,
        step: SignedDuration,
    ) -> BoxStream<'_, Result<PastRise, StoreError>> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let path = Arc::clone(&self.path);
        let statement = sqlx::AssertSqlSafe(counter.statement());
        let rises = sqlx::query_as::<_, (String, String, String, i64, i64)>(statement)
            .bind(self.account)
            .bind(folding.last_task_type.map(str::to_owned))
            .bind(folding.last_quality.map(str::to_owned))
            .bind(folding.other.to_owned())
            .bind(step)
            .fetch(&mut self.connection);
        let rise = |(a, b, c, at, amount)| PastRise { key: [a, b, c], at: instant(at), amount };
        rises.map_ok(rise).map_err(move |error| explain_at(&path)(error)).boxed()
    }

    /// Every balance that differed from the one read before it, oldest first, with when it was read.
    pub fn balances(&mut self) -> BoxStream<'_, Result<(Timestamp, BalanceRecord), StoreError>> {
        type Columns = (i64, i64, Option<i64>, Option<i64>, Option<i64>);
        let path = Arc::clone(&self.path);
        let select = "SELECT read_at, available, plan, purchased, frozen FROM balance_readings WHERE account_id = $1 \
                      ORDER BY read_at";
        let balance = |(read_at, available, plan, purchased, frozen): Columns| {
            let record = BalanceRecord {
                available: credits(available),
                plan: plan.map(credits),
                purchased: purchased.map(credits),
                frozen: frozen.map(credits),
            };
            (instant(read_at), record)
        };
        let found = sqlx::query_as::<_, Columns>(select).bind(self.account).fetch(&mut self.connection);
        found.map_ok(balance).map_err(move |error| explain_at(&path)(error)).boxed()
    }

    /// What the platform last said of the plan.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn reported_plan(&mut self) -> Result<Option<PlanRecord>, StoreError> {
        load_plan(&mut self.connection, self.account).await.map_err(explain_at(&self.path))
    }

    /// What happened to the account's lots beside use, oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn lot_events(&mut self, rules: &LotRules) -> Result<Vec<Event>, StoreError> {
        let expire_after = rules.purchased_expire_after;
        let events = load_events(&mut self.connection, self.account, Timestamp::MIN, expire_after).await;
        events.map_err(explain_at(&self.path))
    }

    /// When the balance was last read, whether or not it differed.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn balance_last_read_at(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT read_at FROM balances WHERE account_id = $1")
            .bind(self.account)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(explain_at(&self.path))?;
        Ok(found.map(instant))
    }

    /// The tasks launched in `[from, to)`, oldest first; those of one instant in the order of their ids.
    pub fn charges(&mut self, from: Timestamp, to: Timestamp) -> BoxStream<'_, Result<PastCharge, StoreError>> {
        let path = Arc::clone(&self.path);
        let found = sqlx::query_as::<_, PastCharge>(CHARGES)
            .bind(self.account)
            .bind(millis(from))
            .bind(millis(to))
            .fetch(&mut self.connection);
        found.map_err(move |error| explain_at(&path)(error)).boxed()
    }
}

/// No index has all tasks of an account by launch. One sort of a million rows, in a file, takes seconds; such an index, or
/// pages that each look for their rows anew, would cost every import or every export more than that.
const CHARGES: &str = "\
    SELECT id, COALESCE(named_team, team), created_at, started_at, finished_at, state, task_type, quality, variants, \
        charged, refunded, project, member, api_key, is_step, COALESCE(retry, told_retry), is_sum, \
        id IN (SELECT task_id FROM entries WHERE account_id = $1 AND basis = 'estimated' AND task_id IS NOT NULL) \
    FROM tasks WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 ORDER BY created_at, id";

impl PastCounter {
    /// Whether the amounts are millionths of credits.
    pub const fn is_credits(self) -> bool {
        use PastCounter::{Charged, Expired, Granted, Refunded, RetryCredits};
        matches!(self, Charged | Refunded | RetryCredits | Granted | Expired)
    }

    /// How many parts of its key tell its series apart.
    pub const fn depth(self) -> usize {
        match self {
            PastCounter::Charged | PastCounter::Refunded | PastCounter::Retries | PastCounter::RetryCredits => 3,
            PastCounter::Finished | PastCounter::Failed | PastCounter::Attempts => 2,
            PastCounter::Granted | PastCounter::Expired => 1,
        }
    }

    /// The statement of [`History::rises`]. Its values: account, last task type, last quality, the other word, step.
    fn statement(self) -> String {
        let (task_type, quality) = (folded("task_type", 2), folded("quality", 3));
        let none = "''".to_owned();
        // What comes in and what expires was bought or awarded: the bucket of their series.
        let bought = "'purchased'";
        let of_entries = |kind: &str| format!("entries WHERE account_id = $1 AND kind = '{kind}'");
        let of_tasks_entries = |kind: &str| {
            format!(
                "entries JOIN tasks ON tasks.account_id = entries.account_id AND tasks.id = entries.task_id \
                 WHERE entries.account_id = $1 AND kind = '{kind}'"
            )
        };
        let of_tasks = |which: &str| format!("tasks WHERE account_id = $1 AND {which}");
        let ended = "COALESCE(finished_at, created_at)";
        let [team, task_type, third, at, amount, rows] = match self {
            PastCounter::Charged => ["team", &task_type, &quality, "at", "credits", &of_tasks_entries("charge")],
            PastCounter::Refunded => ["team", &task_type, &quality, "at", "credits", &of_tasks_entries("refund")],
            PastCounter::Finished => [
                "team",
                &task_type,
                &none,
                ended,
                "1",
                &of_tasks("is_sum = 0 AND state IN ('succeeded', 'failed', 'cancelled', 'expired')"),
            ],
            PastCounter::Failed => {
                ["team", &task_type, &none, ended, "1", &of_tasks("is_sum = 0 AND state = 'failed'")]
            }
            PastCounter::Attempts => [
                "team",
                &task_type,
                &none,
                "created_at",
                "1",
                &of_tasks("((fingerprint IS NOT NULL AND is_step = 0 AND is_sum = 0) OR told_retry IS NOT NULL)"),
            ],
            PastCounter::Retries => ["team", &task_type, "retry", "created_at", "1", &of_tasks("retry IS NOT NULL")],
            PastCounter::RetryCredits => {
                ["team", &task_type, "retry", "created_at", "retry_credits", &of_tasks("retry IS NOT NULL")]
            }
            PastCounter::Granted => [bought, &none, &none, "at", "credits", &of_entries("grant")],
            PastCounter::Expired => [bought, &none, &none, "at", "credits", &of_entries("expiry")],
        };
        format!(
            "SELECT {team}, {task_type}, {third}, ({at} + $5 - 1) / $5 * $5, SUM({amount}) FROM {rows} \
             GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
    }
}

/// A word, or the other one in its place; `place` is that of the last one that stays, and the fourth that of the other.
fn folded(column: &str, place: u32) -> String {
    format!("CASE WHEN ${place} IS NULL OR {column} <= ${place} THEN {column} ELSE $4 END")
}

fn explain_at(path: &Path) -> impl Fn(sqlx::Error) -> StoreError + '_ {
    |error| StoreError::from_database(error, path)
}

impl FromRow<'_, SqliteRow> for PastCharge {
    fn from_row(row: &SqliteRow) -> sqlx::Result<PastCharge> {
        let time = |column: usize| row.try_get::<Option<i64>, _>(column).map(|at| at.map(instant));
        Ok(PastCharge {
            id: row.try_get(0)?,
            team: row.try_get(1)?,
            created_at: instant(row.try_get(2)?),
            started_at: time(3)?,
            finished_at: time(4)?,
            state: TaskState::parse(row.try_get(5)?),
            task_type: row.try_get(6)?,
            quality: row.try_get(7)?,
            variants: row.try_get(8)?,
            charged: credits(row.try_get(9)?),
            refunded: credits(row.try_get(10)?),
            project: row.try_get(11)?,
            member: row.try_get(12)?,
            api_key: row.try_get(13)?,
            is_step: row.try_get(14)?,
            retry: row.try_get::<Option<&str>, _>(15)?.and_then(RetryKind::parse),
            is_sum: row.try_get(16)?,
            is_estimated: row.try_get(17)?,
        })
    }
}
