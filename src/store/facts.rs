//! What an assessment and a page need, in few and cheap queries.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::append::team_name;
use super::records::{load_balance, load_plan};
use super::write::team_column;
use super::{NO_TEAM, Store, StoreError, alerts, credits, instant, millis};
use crate::domain::{
    AccountName, Alert, BalanceState, Basis, Collector, CollectorStatus, Credits, Draw, Entry, EntryKind, Fingerprint,
    HourlyUse, PastTask, PlanRecord, QueueRecord, RetryKind, RetryRow, RuleName, TaskState, TeamName, TotalsRow,
};

/// Everything that an assessment of one account starts from, as of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountFacts {
    /// The last balance read, with drift and grants.
    pub balance: Option<BalanceState>,
    /// The last queue read, and when.
    pub queue: Option<(QueueRecord, Timestamp)>,
    /// What the platform last said of the plan.
    pub plan: Option<PlanRecord>,
    /// How reading goes: one for each collector ever tried.
    pub collectors: Vec<CollectorStatus>,
    /// One for each team that was asked for, and `None` for charges that match no team.
    pub teams: BTreeMap<Option<TeamName>, TeamFacts>,
    /// Alerts of the period asked for, and those of earlier periods that are still firing.
    pub alerts: Vec<AlertFacts>,
}

/// What the ledger says of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamFacts {
    /// Counters by task type and quality.
    pub totals: Vec<TotalsRow>,
    /// Retries by task type and kind.
    pub retries: Vec<RetryRow>,
    /// Charged for tasks that are not final yet.
    pub pending: Credits,
    /// Net use of charges since the period's start; since ever without one.
    pub spent: Credits,
    /// Net use of charges within the last hour, to the millisecond.
    pub last_hour: Credits,
}

/// An alert as it was last left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFacts {
    /// Whose.
    pub team: TeamName,
    /// Which rule.
    pub rule: RuleName,
    /// The period it belongs to (the Unix epoch for a prepaid account).
    pub period_start: Timestamp,
    /// Where it is in its life.
    pub alert: Alert,
}

impl Store {
    /// What the platform last said of the plan. The period follows from it, and [`Store::load_account`] wants that.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn reported_plan(&self, account: &AccountName) -> Result<Option<PlanRecord>, StoreError> {
        let id = self.account_id(account)?;
        let mut connection = self.readers.acquire().await.map_err(|error| self.explain(error))?;
        load_plan(&mut connection, id).await.map_err(|error| self.explain(error))
    }

    /// What an assessment needs: the last of each thing read, and each team's sums since `period_start` (since ever
    /// without one). Cheap however long the ledger is: sums are kept, not made.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn load_account(
        &self,
        account: &AccountName,
        draws: &[Draw],
        period_start: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<AccountFacts, StoreError> {
        let id = self.account_id(account)?;
        // One transaction, so that all of it is as of one moment.
        let mut transaction = self.readers.begin().await.map_err(|error| self.explain(error))?;
        load(&mut transaction, id, draws, period_start, now).await.map_err(|error| self.explain(error))
    }

    /// A team's net use by hour from `since_hour` on, oldest first; hours without any are left out. `None` asks for
    /// charges that match no team.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn hourly_use(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        since_hour: i64,
    ) -> Result<Vec<HourlyUse>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT hour, net, charges FROM hourly_use WHERE account_id = $1 AND team = $2 AND hour >= $3 \
                      AND (net <> 0 OR charges <> 0) ORDER BY hour";
        let found: Vec<(i64, i64, u32)> = sqlx::query_as(select)
            .bind(id)
            .bind(team_column(team))
            .bind(since_hour)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let use_ = |(hour, net, charges)| HourlyUse { hour, net: credits(net), charges };
        Ok(found.into_iter().map(use_).collect())
    }

    /// A team's launches from `since` on, newest first, at most `limit`.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn past_tasks(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<PastTask>, StoreError> {
        type Columns = (String, String, String, Option<u32>, i64, Option<Vec<u8>>, bool);
        let id = self.account_id(account)?;
        let select = "SELECT state, task_type, quality, variants, charged - refunded, fingerprint, is_step FROM tasks \
                      WHERE account_id = $1 AND team = $2 AND created_at >= $3 ORDER BY created_at DESC LIMIT $4";
        let found: Vec<Columns> = sqlx::query_as(select)
            .bind(id)
            .bind(team_column(team))
            .bind(millis(since))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let task = |(state, task_type, quality, variants, net, fingerprint, is_step): Columns| PastTask {
            state: TaskState::parse(&state),
            task_type,
            quality,
            variants,
            credits_net: credits(net),
            fingerprint: fingerprint
                .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                .map(|bytes| Fingerprint(u128::from_be_bytes(bytes))),
            is_step,
        };
        Ok(found.into_iter().map(task).collect())
    }

    /// Entries in the order in which they were recorded, after row `after` (0 for the first page), at most `limit`, each
    /// with its row.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn entries(
        &self,
        account: &AccountName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Entry)>, StoreError> {
        type Columns = (i64, String, String, i64, i64, i64, Option<String>, String, Option<String>);
        let id = self.account_id(account)?;
        let select = "SELECT entries.id, key, kind, at, seen_at, credits, task_id, basis, tasks.team FROM entries \
                      LEFT JOIN tasks ON tasks.account_id = entries.account_id AND tasks.id = entries.task_id \
                      WHERE entries.account_id = $1 AND entries.id > $2 ORDER BY entries.id LIMIT $3";
        let found: Vec<Columns> = sqlx::query_as(select)
            .bind(id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let entry = |columns: Columns| {
            let (row, key, kind, at, seen_at, amount, task_id, basis, team) = columns;
            let entry = Entry {
                key,
                kind: EntryKind::parse(&kind)?,
                at: instant(at),
                seen_at: instant(seen_at),
                credits: credits(amount),
                task_id,
                team: team.as_deref().and_then(team_name),
                basis: if basis == "derived" { Basis::Derived } else { Basis::Reported },
            };
            Some((row, entry))
        };
        Ok(found.into_iter().filter_map(entry).collect())
    }
}

async fn load(
    connection: &mut SqliteConnection,
    account: i64,
    draws: &[Draw],
    period_start: Option<Timestamp>,
    now: Timestamp,
) -> sqlx::Result<AccountFacts> {
    let mut teams: BTreeMap<Option<TeamName>, TeamFacts> =
        draws.iter().map(|draw| (Some(draw.key.team.clone()), TeamFacts::default())).collect();
    teams.entry(None).or_default();
    load_totals(connection, account, &mut teams).await?;
    load_retries(connection, account, &mut teams).await?;
    for (team, facts) in &mut teams {
        let [spent, last_hour, pending] = load_sums(connection, account, team.as_ref(), period_start, now).await?;
        (facts.last_hour, facts.pending) = (last_hour, pending);
        // Without a period every charge counts, and the counters know their sum.
        let ever = || facts.totals.iter().map(|row| row.charged - row.refunded).sum();
        facts.spent = if period_start.is_some() { spent } else { ever() };
    }
    Ok(AccountFacts {
        balance: load_balance(connection, account).await?.map(|(state, _)| state),
        queue: load_queue(connection, account).await?,
        plan: load_plan(connection, account).await?,
        collectors: load_collectors(connection, account).await?,
        teams,
        alerts: alerts::load(connection, account, period_start.unwrap_or(Timestamp::UNIX_EPOCH)).await?,
    })
}

async fn load_totals(
    connection: &mut SqliteConnection,
    account: i64,
    teams: &mut BTreeMap<Option<TeamName>, TeamFacts>,
) -> sqlx::Result<()> {
    let select =
        "SELECT team, task_type, quality, charged, refunded, finished, failed FROM totals WHERE account_id = $1";
    let found: Vec<(String, String, String, i64, i64, i64, i64)> =
        sqlx::query_as(select).bind(account).fetch_all(connection).await?;
    for (team, task_type, quality, charged, refunded, finished, failed) in found {
        if let Some(facts) = teams.get_mut(&team_name(&team)) {
            facts.totals.push(TotalsRow {
                task_type,
                quality,
                charged: credits(charged),
                refunded: credits(refunded),
                finished: finished.unsigned_abs(),
                failed: failed.unsigned_abs(),
            });
        }
    }
    Ok(())
}

async fn load_retries(
    connection: &mut SqliteConnection,
    account: i64,
    teams: &mut BTreeMap<Option<TeamName>, TeamFacts>,
) -> sqlx::Result<()> {
    let select = "SELECT team, task_type, kind, highest_tasks, highest_credits FROM retries WHERE account_id = $1";
    let found: Vec<(String, String, String, i64, i64)> =
        sqlx::query_as(select).bind(account).fetch_all(connection).await?;
    for (team, task_type, kind, tasks, amount) in found {
        if let (Some(facts), Some(kind)) = (teams.get_mut(&team_name(&team)), RetryKind::parse(&kind)) {
            facts.retries.push(RetryRow { task_type, kind, tasks: tasks.unsigned_abs(), credits: credits(amount) });
        }
    }
    Ok(())
}

/// A team's net use since the period's start, its net use of the last hour, and what is pending.
async fn load_sums(
    connection: &mut SqliteConnection,
    account: i64,
    team: Option<&TeamName>,
    period_start: Option<Timestamp>,
    now: Timestamp,
) -> sqlx::Result<[Credits; 3]> {
    // Whole hours come from the kept sums, the piece of an hour before the first of them from the tasks themselves.
    let start = millis(period_start.unwrap_or(Timestamp::MAX));
    let first_whole_hour = start.div_euclid(HOUR_MILLIS) + i64::from(start.rem_euclid(HOUR_MILLIS) != 0);
    let hour_ago = millis(now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN));
    let select = "SELECT \
        (SELECT COALESCE(SUM(net), 0) FROM hourly_use WHERE account_id = $1 AND team = $2 AND hour >= $3), \
        (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks \
            WHERE account_id = $1 AND team = $2 AND created_at >= $4 AND created_at < $5), \
        (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks \
            WHERE account_id = $1 AND team = $2 AND created_at > $6), \
        (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks \
            WHERE account_id = $1 AND team = $2 AND state IN ('queued', 'running', 'unknown'))";
    let (whole, piece, last_hour, pending): (i64, i64, i64, i64) = sqlx::query_as(select)
        .bind(account)
        .bind(team.map_or(NO_TEAM, TeamName::as_str))
        .bind(first_whole_hour)
        .bind(start)
        .bind(first_whole_hour * HOUR_MILLIS)
        .bind(hour_ago)
        .fetch_one(connection)
        .await?;
    Ok([credits(whole) + credits(piece), credits(last_hour), credits(pending)])
}

async fn load_queue(connection: &mut SqliteConnection, account: i64) -> sqlx::Result<Option<(QueueRecord, Timestamp)>> {
    let select =
        "SELECT read_at, waiting, running, task_limit, oldest_waiting_at FROM queue_states WHERE account_id = $1";
    let found: Option<(i64, u32, u32, Option<u32>, Option<i64>)> =
        sqlx::query_as(select).bind(account).fetch_optional(connection).await?;
    Ok(found.map(|(read_at, waiting, running, limit, oldest)| {
        (QueueRecord { waiting, running, limit, oldest_waiting_at: oldest.map(instant) }, instant(read_at))
    }))
}

async fn load_collectors(connection: &mut SqliteConnection, account: i64) -> sqlx::Result<Vec<CollectorStatus>> {
    type Columns = (String, i64, Option<i64>, Option<f64>, Option<String>, Option<String>);
    let select = "SELECT collector, last_attempt_at, last_success_at, last_duration_seconds, failure_reason, \
                  failure_message FROM collector_states WHERE account_id = $1 ORDER BY collector";
    let found: Vec<Columns> = sqlx::query_as(select).bind(account).fetch_all(connection).await?;
    let status = |(collector, attempt, success, duration, reason, message): Columns| {
        Some(CollectorStatus {
            collector: Collector::parse(&collector)?,
            last_attempt_at: Some(instant(attempt)),
            last_success_at: success.map(instant),
            last_duration_seconds: duration,
            last_failure: reason.zip(message),
        })
    };
    Ok(found.into_iter().filter_map(status).collect())
}

pub(super) const HOUR_MILLIS: i64 = 3_600_000;
