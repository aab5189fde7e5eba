//! Alert states and notices. What was decided and the mails that tell of it are one commit.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::append::team_name;
use super::facts::AlertFacts;
use super::{Store, StoreError, instant, millis};
use crate::domain::outbox::is_urgent;
use crate::domain::{Alert, AlertState, DrawKey, Notice, RenderedMail, RuleName, Stage, Why};

/// An alert as an assessment left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertChange {
    /// Account and team.
    pub key: DrawKey,
    /// Which rule.
    pub rule: RuleName,
    /// The period it belongs to (the Unix epoch for a prepaid account).
    pub period_start: Timestamp,
    /// Its new state.
    pub alert: Alert,
}

impl Store {
    /// Keeps alert states, notices and their mails in one transaction. Answers for each notice whether it is new; one
    /// that was decided before adds no mail.
    ///
    /// # Errors
    /// An account was not opened, or the ledger cannot be written. The ledger is then as before.
    pub async fn commit_alerts(
        &self,
        changes: &[AlertChange],
        notices: &[(Notice, Vec<RenderedMail>)],
    ) -> Result<Vec<bool>, StoreError> {
        if changes.is_empty() && notices.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        for change in changes {
            let account = self.account_id(&change.key.account)?;
            keep_alert(&mut transaction, account, change).await.map_err(|error| self.explain(error))?;
        }
        let mut are_new = Vec::with_capacity(notices.len());
        for (notice, mails) in notices {
            let account = self.account_id(&notice.key.account)?;
            let kept = keep_notice(&mut transaction, account, notice, mails).await;
            are_new.push(kept.map_err(|error| self.explain(error))?);
        }
        self.commit(transaction).await?;
        Ok(are_new)
    }
}

async fn keep_alert(connection: &mut SqliteConnection, account: i64, change: &AlertChange) -> sqlx::Result<()> {
    let (state, stage, since, clear_since, notified_at, told_run_out, ended_at) = match &change.alert.state {
        AlertState::Inactive => ("inactive", None, None, None, None, None, None),
        AlertState::Firing { stage, since, clear_since, notified_at, told_run_out } => {
            ("firing", Some(*stage), Some(*since), *clear_since, Some(*notified_at), *told_run_out, None)
        }
        AlertState::Resolved { stage, since, at } => {
            ("resolved", Some(*stage), Some(*since), None, None, None, Some(*at))
        }
    };
    let upsert = "INSERT INTO alerts (account_id, team, rule, period_start, episode, state, stage, since, clear_since, \
                  notified_at, told_run_out, ended_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                  ON CONFLICT (account_id, team, rule, period_start) DO UPDATE SET episode = excluded.episode, \
                  state = excluded.state, stage = excluded.stage, since = excluded.since, \
                  clear_since = excluded.clear_since, notified_at = excluded.notified_at, \
                  told_run_out = excluded.told_run_out, ended_at = excluded.ended_at";
    sqlx::query(upsert)
        .bind(account)
        .bind(change.key.team.as_str())
        .bind(change.rule.as_str())
        .bind(millis(change.period_start))
        .bind(i64::from(change.alert.episode))
        .bind(state)
        .bind(stage.map(Stage::as_str))
        .bind(since.map(millis))
        .bind(clear_since.map(millis))
        .bind(notified_at.map(millis))
        .bind(told_run_out.map(millis))
        .bind(ended_at.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

async fn keep_notice(
    connection: &mut SqliteConnection,
    account: i64,
    notice: &Notice,
    mails: &[RenderedMail],
) -> sqlx::Result<bool> {
    let insert = "INSERT INTO notices (account_id, team, rule, period_start, episode, stage, why, repeated_at, \
                  period_end, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id";
    let repeated_at = if notice.why == Why::Repeated { millis(notice.at) } else { 0 };
    let id: Option<i64> = sqlx::query_scalar(insert)
        .bind(account)
        .bind(notice.key.team.as_str())
        .bind(notice.rule.as_str())
        .bind(millis(notice.period_start))
        .bind(i64::from(notice.episode))
        .bind(notice.stage.as_str())
        .bind(notice.why.as_str())
        .bind(repeated_at)
        .bind(notice.period_end.map(millis))
        .bind(millis(notice.at))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(id) = id else { return Ok(false) };
    let is_urgent = is_urgent(notice.stage, notice.why);
    for mail in mails {
        super::outbox::keep_mail(connection, Some(id), is_urgent, mail, notice.at).await?;
    }
    Ok(true)
}

/// A row of the alerts table.
pub(super) struct StoredAlert {
    pub(super) team: String,
    pub(super) rule: String,
    pub(super) state: String,
    pub(super) stage: Option<String>,
    pub(super) period_start: i64,
    pub(super) episode: u32,
    pub(super) since: Option<i64>,
    pub(super) clear_since: Option<i64>,
    pub(super) notified_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) told_run_out: Option<i64>,
}

impl StoredAlert {
    /// The alert, unless a later version wrote something that this one does not know.
    pub(super) fn into_facts(self) -> Option<AlertFacts> {
        let stage = self.stage.as_deref().and_then(Stage::parse);
        let since = self.since.map(instant);
        let state = match self.state.as_str() {
            "firing" => AlertState::Firing {
                stage: stage?,
                since: since?,
                clear_since: self.clear_since.map(instant),
                notified_at: instant(self.notified_at?),
                told_run_out: self.told_run_out.map(instant),
            },
            "resolved" => AlertState::Resolved { stage: stage?, since: since?, at: instant(self.ended_at?) },
            _ => AlertState::Inactive,
        };
        Some(AlertFacts {
            team: team_name(&self.team)?,
            rule: RuleName::parse(&self.rule)?,
            period_start: instant(self.period_start),
            alert: Alert { episode: self.episode, state },
        })
    }
}
