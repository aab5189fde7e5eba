//! Estimates that somebody kept. An open one may be accepted as a plan or be closed, once; a closed one stays as it is.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::append::team_name;
use super::past::{TASK_COLUMNS, TaskColumns, past_task};
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::recorded::{MOST_OPEN, SHOWN_CLOSED};
use crate::domain::{
    AccountName, Credits, DrawKey, EstimateRequest, EstimateState, Launched, Quantiles, RecordedEstimate, RecordedLine,
    RecordedPart, TeamName,
};

const COLUMNS: &str = "SELECT id, team, label, made_by, made_at, starts_at, lapses_at, low, likely, high, launches_low, \
                       launches_likely, launches_high, is_planned, state, closed_at, closed_by, charged, tasks, assets \
                       FROM estimates";

/// The estimate of a row, without its lines; `None` if somebody edited the file and its state or its team is none.
fn estimate_of(row: &SqliteRow, account: &AccountName) -> sqlx::Result<Option<RecordedEstimate>> {
    let number = |column: &str| row.try_get::<i64, _>(column);
    let known = |column: &str| row.try_get::<Option<i64>, _>(column);
    let text = |column: &str| row.try_get::<String, _>(column);
    let count = |column: &str| Ok::<_, sqlx::Error>(known(column)?.unwrap_or_default().unsigned_abs());
    let at = instant(known("closed_at")?.unwrap_or_default());
    let state = match text("state")?.as_str() {
        "open" => EstimateState::Open,
        "met" => EstimateState::Met { at },
        "lapsed" => EstimateState::Lapsed { at },
        "withdrawn" => {
            EstimateState::Withdrawn { at, by: row.try_get::<Option<String>, _>("closed_by")?.unwrap_or_default() }
        }
        _ => return Ok(None),
    };
    let Some(team) = team_name(&text("team")?) else { return Ok(None) };
    let launches = match (known("launches_low")?, known("launches_likely")?, known("launches_high")?) {
        (Some(low), Some(likely), Some(high)) => {
            let [p10, p50, p90] = [low, likely, high].map(i64::unsigned_abs);
            Some(Quantiles { p10, p50, p90 })
        }
        _ => None,
    };
    Ok(Some(RecordedEstimate {
        id: number("id")?,
        key: DrawKey { account: account.clone(), team },
        label: text("label")?,
        by: text("made_by")?,
        made_at: instant(number("made_at")?),
        starts_at: instant(number("starts_at")?),
        lapses_at: instant(number("lapses_at")?),
        lines: Vec::new(),
        jobs: Vec::new(),
        credits: Quantiles {
            p10: credits(number("low")?),
            p50: credits(number("likely")?),
            p90: credits(number("high")?),
        },
        launches,
        is_planned: number("is_planned")? != 0,
        state,
        ends: None,
        charged: credits(known("charged")?.unwrap_or_default()),
        tasks: count("tasks")?,
        assets: count("assets")?,
    }))
}

/// A row of the lines: whose, its place, the task type, the quality, variants, assets and attempts as asked, and the part.
type LineRow = (i64, i64, String, Option<String>, u32, u32, Option<f64>, String, u32);

impl Store {
    /// Keeps an estimate and answers it with its number; `None` if too many of the team are open already ([`MOST_OPEN`]).
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn record_estimate(&self, new: &RecordedEstimate) -> Result<Option<RecordedEstimate>, StoreError> {
        let account = self.account_id(&new.key.account)?;
        let mut transaction = self.begin().await?;
        let open: i64 = sqlx::query_scalar(OPEN)
            .bind(account)
            .bind(new.key.team.as_str())
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        if usize::try_from(open).is_ok_and(|open| open >= MOST_OPEN) {
            return Ok(None);
        }
        let insert = "INSERT INTO estimates (account_id, team, label, made_by, made_at, starts_at, lapses_at, low, likely, \
                      high, launches_low, launches_likely, launches_high, is_planned, planned_by, planned_at, state) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'open') \
                      RETURNING id";
        let launches = |of: fn(Quantiles<u64>) -> u64| {
            new.launches.map(|launches| i64::try_from(of(launches)).unwrap_or(i64::MAX))
        };
        let id: i64 = sqlx::query_scalar(insert)
            .bind(account)
            .bind(new.key.team.as_str())
            .bind(&new.label)
            .bind(&new.by)
            .bind(millis(new.made_at))
            .bind(millis(new.starts_at))
            .bind(millis(new.lapses_at))
            .bind(new.credits.p10.micros())
            .bind(new.credits.p50.micros())
            .bind(new.credits.p90.micros())
            .bind(launches(|launches| launches.p10))
            .bind(launches(|launches| launches.p50))
            .bind(launches(|launches| launches.p90))
            .bind(new.is_planned)
            .bind(new.is_planned.then_some(&new.by))
            .bind(new.is_planned.then_some(millis(new.made_at)))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let insert = "INSERT INTO estimate_lines (estimate_id, line, part, asked, quality, variants, assets, attempts, \
                      task_type, launches_each) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        for (place, line) in (0_i64..).zip(&new.lines) {
            for (part_place, part) in (0_i64..).zip(&line.parts) {
                sqlx::query(insert)
                    .bind(id)
                    .bind(place)
                    .bind(part_place)
                    .bind(&line.request.task_type)
                    .bind(&line.request.quality)
                    .bind(line.request.variants)
                    .bind(line.request.count)
                    .bind(line.request.attempts)
                    .bind(&part.task_type)
                    .bind(part.launches_each)
                    .execute(&mut *transaction)
                    .await
                    .map_err(|error| self.explain(error))?;
            }
        }
        for (place, (at, cost)) in (0_i64..).zip(&new.jobs) {
            let insert = "INSERT INTO estimate_jobs (estimate_id, job, starts_at, low, likely, high) VALUES ($1, $2, $3, $4, $5, $6)";
            sqlx::query(insert)
                .bind(id)
                .bind(place)
                .bind(millis(*at))
                .bind(cost.p10.micros())
                .bind(cost.p50.micros())
                .bind(cost.p90.micros())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.explain(error))?;
        }
        self.commit(transaction).await?;
        // As it will be read: the ledger keeps milliseconds.
        Ok(self.estimates(&new.key.account).await?.into_iter().find(|estimate| estimate.id == id))
    }

    /// Accepts an open estimate as a plan. Answers whether that is new.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn accept_estimate(
        &self,
        account: &AccountName,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let account = self.account_id(account)?;
        let mut transaction = self.begin().await?;
        let update = "UPDATE estimates SET is_planned = 1, planned_by = $1, planned_at = $2 \
                      WHERE account_id = $3 AND id = $4 AND state = 'open' AND is_planned = 0";
        let query = sqlx::query(update).bind(by).bind(millis(now)).bind(account).bind(id);
        let updated = query.execute(&mut *transaction).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(updated.rows_affected() > 0)
    }

    /// Closes estimates of an account as they are, each with the ids of the launches that counted for it and shall count for no
    /// other, and counts how they ended, in one transaction. One that is closed already stays as it was.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn close_estimates(
        &self,
        account: &AccountName,
        closed: &[(RecordedEstimate, Vec<String>)],
    ) -> Result<(), StoreError> {
        let account = self.account_id(account)?;
        let mut transaction = self.begin().await?;
        for (estimate, launches) in closed {
            let (Some(outcome), Some(at)) = (estimate.outcome(), estimate.state.closed_at()) else { continue };
            let by = match &estimate.state {
                EstimateState::Withdrawn { by, .. } => Some(by),
                _ => None,
            };
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let update = "UPDATE estimates SET state = $1, closed_at = $2, closed_by = $3, charged = $4, tasks = $5, \
                          assets = $6 WHERE account_id = $7 AND id = $8 AND state = 'open'";
            let updated = sqlx::query(update)
                .bind(estimate.state.as_str())
                .bind(millis(at))
                .bind(by)
                .bind(estimate.charged.micros())
                .bind(count(estimate.tasks))
                .bind(count(estimate.assets))
                .bind(account)
                .bind(estimate.id)
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.explain(error))?;
            if updated.rows_affected() == 0 {
                continue;
            }
            let upsert = "INSERT INTO estimate_totals (account_id, team, outcome, estimates, expected, charged) \
                          VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT (account_id, team, outcome) DO UPDATE SET \
                          estimates = estimate_totals.estimates + 1, \
                          expected = estimate_totals.expected + excluded.expected, \
                          charged = estimate_totals.charged + excluded.charged";
            sqlx::query(upsert)
                .bind(account)
                .bind(estimate.key.team.as_str())
                .bind(outcome.as_str())
                .bind(estimate.credits.p50.micros())
                // Counters never fall, whatever came back.
                .bind(estimate.charged.max(Credits::ZERO).micros())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.explain(error))?;
            for task in launches {
                let insert = "INSERT INTO estimate_tasks (account_id, task_id, estimate_id) VALUES ($1, $2, $3) \
                              ON CONFLICT (account_id, task_id) DO NOTHING";
                let query = sqlx::query(insert).bind(account).bind(task).bind(estimate.id);
                query.execute(&mut *transaction).await.map_err(|error| self.explain(error))?;
            }
        }
        self.commit(transaction).await
    }

    /// Every estimate of an account in the order in which they were kept, closed ones too.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn estimates(&self, account: &AccountName) -> Result<Vec<RecordedEstimate>, StoreError> {
        let id = self.account_id(account)?;
        let select = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE account_id = $1 ORDER BY id"));
        let rows = sqlx::query(select).bind(id).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        self.with_lines(account, rows).await
    }

    /// A team's open estimates and the newest closed ones ([`SHOWN_CLOSED`]), in the order in which they were kept.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn estimates_of(
        &self,
        account: &AccountName,
        team: &TeamName,
    ) -> Result<Vec<RecordedEstimate>, StoreError> {
        let id = self.account_id(account)?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(current()))
            .bind(id)
            .bind(team.as_str())
            .bind(i64::try_from(SHOWN_CLOSED).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        self.with_lines(account, rows).await
    }

    /// A team's estimates that were closed in `[from, to)`, in the order in which they were kept.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn closed_estimates(
        &self,
        account: &AccountName,
        team: &TeamName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<RecordedEstimate>, StoreError> {
        let id = self.account_id(account)?;
        let select = format!(
            "{COLUMNS} WHERE account_id = $1 AND team = $2 AND state <> 'open' AND closed_at >= $3 AND closed_at < $4 \
             ORDER BY id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(id)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        self.with_lines(account, rows).await
    }

    /// A team's launches of `[from, to)`, in their order, without those that counted for an estimate which is closed. Sums of many
    /// tasks are left out.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn launched(
        &self,
        account: &AccountName,
        team: &TeamName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Launched>, StoreError> {
        type Columns = (String, i64, String, String, String, Option<u32>, i64, Option<Vec<u8>>, bool);
        let id = self.account_id(account)?;
        let found: Vec<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(launched()))
            .bind(id)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let launched = |(id, at, state, task_type, quality, variants, net, fingerprint, is_step): Columns| {
            let columns: TaskColumns = (state, task_type, quality, variants, net, fingerprint, is_step);
            Launched { id, at: instant(at), task: past_task(columns) }
        };
        Ok(found.into_iter().map(launched).collect())
    }

    async fn with_lines(
        &self,
        account: &AccountName,
        rows: Vec<SqliteRow>,
    ) -> Result<Vec<RecordedEstimate>, StoreError> {
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.extend(estimate_of(row, account).map_err(|error| self.explain(error))?);
        }
        found.sort_by_key(|estimate| estimate.id);
        for some in found.chunks_mut(MOST_AT_ONCE) {
            let ids: Vec<i64> = some.iter().map(|estimate| estimate.id).collect();
            let columns = "line, asked, quality, variants, assets, attempts, task_type, launches_each";
            let mut query = parts("estimate_lines", columns, "line, part", &ids);
            let lines: Vec<LineRow> =
                query.build_query_as().fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
            let mut query = parts("estimate_jobs", "starts_at, low, likely, high", "job", &ids);
            let jobs: Vec<(i64, i64, i64, i64, i64)> =
                query.build_query_as().fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
            for estimate in some {
                let of_it: Vec<&LineRow> = lines.iter().filter(|line| line.0 == estimate.id).collect();
                estimate.lines = of_it.chunk_by(|a, b| a.1 == b.1).map(line_of).collect();
                let of_it = jobs.iter().filter(|job| job.0 == estimate.id);
                estimate.jobs = of_it
                    .map(|(_, at, low, likely, high)| {
                        let [p10, p50, p90] = [*low, *likely, *high].map(credits);
                        (instant(*at), Quantiles { p10, p50, p90 })
                    })
                    .collect();
            }
        }
        Ok(found)
    }
}

/// The statement that reads what belongs to some estimates, by their numbers first.
fn parts(table: &str, columns: &str, order: &str, ids: &[i64]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(format!("SELECT estimate_id, {columns} FROM {table} WHERE estimate_id IN ("));
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    query.push(format!(") ORDER BY estimate_id, {order}"));
    query
}

/// Lines are read for so many estimates with one statement.
const MOST_AT_ONCE: usize = 500;

/// The rows of a line, of which there is one at least.
fn line_of(rows: &[&LineRow]) -> RecordedLine {
    let (_, _, task_type, quality, variants, count, attempts, ..) = rows[0];
    let part = |row: &&LineRow| RecordedPart { task_type: row.7.clone(), launches_each: row.8 };
    RecordedLine {
        request: EstimateRequest {
            task_type: task_type.clone(),
            quality: quality.clone(),
            variants: *variants,
            count: *count,
            attempts: *attempts,
        },
        parts: rows.iter().map(part).collect(),
    }
}

const OPEN: &str = "SELECT COUNT(*) FROM estimates WHERE account_id = $1 AND team = $2 AND state = 'open'";

/// The statement of [`Store::estimates_of`].
pub(super) fn current() -> String {
    let of_team = "WHERE account_id = $1 AND team = $2 AND";
    format!(
        "{COLUMNS} {of_team} state = 'open' \
         UNION ALL SELECT * FROM ({COLUMNS} {of_team} state <> 'open' ORDER BY closed_at DESC, id DESC LIMIT $3) newest"
    )
}

/// The statement of [`Store::launched`].
pub(super) fn launched() -> String {
    format!(
        "SELECT id, created_at, {TASK_COLUMNS} FROM tasks \
         WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND created_at < $4 AND is_sum = 0 \
         AND NOT EXISTS (SELECT 1 FROM estimate_tasks c WHERE c.account_id = $1 AND c.task_id = tasks.id) \
         ORDER BY created_at, id"
    )
}
