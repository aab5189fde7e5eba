//! Mails that come on a schedule: that one was made for a scheduled time, and the mails, are one commit.

use jiff::Timestamp;

use super::outbox::keep_mail;
use super::write::team_column;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{AccountName, Credits, MessageKind, RenderedMail, TeamName};

/// What a report is: a kind, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportKey {
    /// `digest` or `heartbeat`.
    pub kind: &'static str,
    /// The team that it is for; `None` for one that is for none.
    pub team: Option<TeamName>,
    /// The time it was scheduled for.
    pub scheduled: Timestamp,
}

/// Net use of a team's launches in an interval.
pub(super) const NET_USE: &str = "\
    SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks \
    WHERE account_id = $1 AND team = $2 AND created_at >= $3 AND created_at < $4";

/// Of the launches of an interval, those that ended badly and were charged for.
pub(super) const UNREFUNDED: &str = "\
    SELECT COUNT(*), COALESCE(SUM(charged - refunded), 0) FROM tasks INDEXED BY tasks_unrefunded \
    WHERE account_id = $1 AND team = $2 AND state IN ('failed', 'cancelled', 'expired') AND charged > refunded \
        AND created_at >= $3 AND created_at < $4";

impl Store {
    /// The time for which a job last ran; for one that is new, `now`, which is kept: what was due before it was there is not
    /// made up for.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn begin_job(&self, job: &str, now: Timestamp) -> Result<Timestamp, StoreError> {
        if let Some(last) = self.last_scheduled(job).await? {
            return Ok(last);
        }
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO schedules (job, scheduled_at) VALUES ($1, $2) ON CONFLICT (job) DO NOTHING")
            .bind(job)
            .bind(millis(now))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(now)
    }

    /// Keeps a report's mails, and that the job has run for its time, in one transaction. Answers whether it is new: for a
    /// time for which one was made before nothing is sent.
    ///
    /// # Errors
    /// The ledger cannot be written. It is then as before.
    pub async fn keep_report(
        &self,
        job: &str,
        report: &ReportKey,
        mails: &[RenderedMail],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let insert = "INSERT INTO reports (kind, team, scheduled_at, made_at) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT DO NOTHING";
        let inserted = sqlx::query(insert)
            .bind(report.kind)
            .bind(team_column(report.team.as_ref()))
            .bind(millis(report.scheduled))
            .bind(millis(now))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let is_new = inserted.rows_affected() > 0;
        for mail in mails.iter().filter(|_| is_new) {
            keep_mail(&mut transaction, None, false, mail, now, MessageKind::Report)
                .await
                .map_err(|error| self.explain(error))?;
        }
        let upsert = "INSERT INTO schedules (job, scheduled_at) VALUES ($1, $2) \
                      ON CONFLICT (job) DO UPDATE SET scheduled_at = excluded.scheduled_at";
        sqlx::query(upsert)
            .bind(job)
            .bind(millis(report.scheduled))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(is_new)
    }

    /// A team's net use in `[from, to)`.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn net_use(
        &self,
        account: &AccountName,
        team: &TeamName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Credits, StoreError> {
        let net: i64 = sqlx::query_scalar(NET_USE)
            .bind(self.account_id(account)?)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(credits(net))
    }

    /// How many of a team's tasks of `[from, to)` ended badly and were charged for, and what has not come back.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn unrefunded(
        &self,
        account: &AccountName,
        team: &TeamName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(u64, Credits), StoreError> {
        let (count, sum): (i64, i64) = sqlx::query_as(UNREFUNDED)
            .bind(self.account_id(account)?)
            .bind(team.as_str())
            .bind(millis(from))
            .bind(millis(to))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok((count.unsigned_abs(), credits(sum)))
    }

    /// The reports of a kind that were made, with the times they were made for, oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn reports(&self, kind: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let select = "SELECT team, scheduled_at FROM reports WHERE kind = $1 ORDER BY scheduled_at, team";
        let found: Vec<(String, i64)> =
            sqlx::query_as(select).bind(kind).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        Ok(found.into_iter().map(|(team, scheduled)| (team, instant(scheduled))).collect())
    }
}
