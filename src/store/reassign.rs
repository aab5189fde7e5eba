//! Teams anew: after selectors changed in the configuration, every charge goes to the team it now belongs to, and what
//! follows from that is worked out again from the tasks.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::SqliteConnection;

use super::append::{HourSum, TotalSum, contribution};
use super::retries::RetrySum;
use super::write::{self, team_column};
use super::{Store, StoreError, credits, instant};
use crate::domain::{AccountName, Attribution, Draw, HourlyUse, KnownTask, RetryKind, TaskState, team_of};

/// Tasks read at a time.
const PAGE: u32 = 4096;

/// What follows from tasks.
#[derive(Default)]
struct Sums {
    hours: BTreeMap<(String, i64), HourSum>,
    totals: BTreeMap<(String, String, String), TotalSum>,
    retries: BTreeMap<(String, String, RetryKind), RetrySum>,
}

type Columns = (
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
    String,
    String,
    String,
    i64,
    i64,
    Option<String>,
    i64,
    bool,
    bool,
);

impl Store {
    /// Gives the account's charges to the teams that `draws` name, if those differ from the last time, and answers how
    /// many tasks moved to another team. To be called once for each account when the configuration was loaded, before
    /// anything is appended. Takes a few seconds for a million tasks that move, and no time otherwise.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written. The ledger is then as before.
    pub async fn reassign(&self, account: &AccountName, draws: &[Draw]) -> Result<u64, StoreError> {
        let id = self.account_id(account)?;
        let wanted = describe(draws);
        let mut transaction = self.begin().await?;
        let kept: String = sqlx::query_scalar("SELECT draws FROM ledger_accounts WHERE id = $1")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        if kept == wanted {
            return Ok(0);
        }
        let moved = rebuild(&mut transaction, id, draws).await.map_err(|error| self.explain(error))?;
        sqlx::query("UPDATE ledger_accounts SET draws = $1 WHERE id = $2")
            .bind(wanted)
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(moved)
    }
}

/// What decides which team a charge belongs to, shortened to a number (FNV-1a, 64 bits) that differs when it does.
fn describe(draws: &[Draw]) -> String {
    let mut text = String::new();
    for draw in draws {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:?} {:?};", draw.key.team, draw.selector);
    }
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

async fn rebuild(connection: &mut SqliteConnection, account: i64, draws: &[Draw]) -> sqlx::Result<u64> {
    let select = "SELECT id, team, named_team, project, member, api_key, created_at, state, task_type, quality, charged, \
                  refunded, retry, retry_credits, is_sum, \
                  (fingerprint IS NOT NULL AND is_step = 0 AND is_sum = 0) OR told_retry IS NOT NULL \
                  FROM tasks WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    let mut sums = Sums::default();
    let mut moved = 0;
    let mut after = String::new();
    loop {
        let page: Vec<Columns> =
            sqlx::query_as(select).bind(account).bind(&after).bind(PAGE).fetch_all(&mut *connection).await?;
        let Some(last) = page.last() else { break };
        after = last.0.clone();
        for columns in page {
            let (id, team_before, ..) = &columns;
            let who = Attribution {
                team: columns.2.clone(),
                project: columns.3.clone(),
                member: columns.4.clone(),
                api_key: columns.5.clone(),
            };
            let team = team_column(team_of(draws, &who));
            if team != team_before {
                sqlx::query("UPDATE tasks SET team = $1 WHERE account_id = $2 AND id = $3")
                    .bind(team)
                    .bind(account)
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
                moved += 1;
            }
            sums.add(team, columns);
        }
    }
    sums.replace(connection, account).await?;
    Ok(moved)
}

impl Sums {
    fn add(&mut self, team: &str, columns: Columns) {
        let (_, _, _, _, _, _, created_at, state, task_type, quality, charged, refunded, retry, retry_credits, ..) =
            &columns;
        let (is_sum, is_attempt) = (columns.14, columns.15);
        let known = KnownTask {
            charged: credits(*charged),
            refunded: credits(*refunded),
            ..KnownTask::new(TaskState::parse(state))
        };
        let (hour, total) = contribution(&known, is_sum, is_attempt);
        if hour.net != 0 {
            let sum = self.hours.entry((team.to_owned(), HourlyUse::hour_of(instant(*created_at)))).or_default();
            sum.net += hour.net;
            sum.charges += hour.charges;
        }
        if let Some(kind) = retry.as_deref().and_then(RetryKind::parse) {
            let sum = self.retries.entry((team.to_owned(), task_type.clone(), kind)).or_default();
            sum.tasks += 1;
            sum.credits += *retry_credits;
        }
        if total != TotalSum::default() {
            let sum = self.totals.entry((team.to_owned(), task_type.clone(), quality.clone())).or_default();
            sum.charged += total.charged;
            sum.refunded += total.refunded;
            sum.finished += total.finished;
            sum.failed += total.failed;
            sum.attempts += total.attempts;
        }
    }

    async fn replace(self, connection: &mut SqliteConnection, account: i64) -> sqlx::Result<()> {
        for delete in [
            "DELETE FROM hourly_use WHERE account_id = $1",
            "DELETE FROM totals WHERE account_id = $1",
            "DELETE FROM retries WHERE account_id = $1",
        ] {
            sqlx::query(delete).bind(account).execute(&mut *connection).await?;
        }
        let hours: Vec<_> = self.hours.iter().map(|((team, hour), sum)| (team.as_str(), *hour, *sum)).collect();
        write::hours(connection, account, &hours).await?;
        let totals: Vec<_> = self
            .totals
            .iter()
            .map(|((team, task_type, quality), sum)| ((team.as_str(), task_type.as_str(), quality.as_str()), *sum))
            .collect();
        write::totals(connection, account, &totals).await?;
        let retries: Vec<_> = self.retries.into_iter().collect();
        write::retries(connection, account, &retries).await
    }
}
