//! Alert states and notices. What was decided and the mails that tell of it are one commit.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::append::team_name;
use super::facts::AlertFacts;
use super::{Store, StoreError, instant, millis};
use crate::domain::outbox::is_urgent;
use crate::domain::{Alert, AlertState, DrawKey, Level, MessageKind, Notice, RenderedMail, RuleName, Stage, Told, Why};

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

/// What is open, of whichever account.
pub(super) const OPEN: &str = "\
    SELECT a.account_id, l.name, a.team, a.rule, a.period_start, a.state FROM alerts AS a \
        JOIN ledger_accounts AS l ON l.id = a.account_id \
    WHERE a.state IN ('firing', 'pending') OR a.untold IS NOT NULL ORDER BY l.name, a.team, a.rule, a.period_start";

/// An alert that was open, and is not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedAlert {
    /// The account's name.
    pub account: String,
    /// The team's name.
    pub team: String,
    /// The rule's word.
    pub rule: String,
    /// Whether it fired.
    pub was_firing: bool,
}

impl Store {
    /// Closes as of `now` what is open of draws that are not among these: nobody would ever look at it again. It is left as
    /// alerts of a rule that was switched off are, and nobody is told. Answers what that was.
    ///
    /// # Errors
    /// The ledger cannot be written. It is then as before.
    pub async fn close_alerts_of_others(
        &self,
        draws: &[DrawKey],
        now: Timestamp,
    ) -> Result<Vec<ClosedAlert>, StoreError> {
        let of_these: HashSet<(&str, &str)> =
            draws.iter().map(|key| (key.account.as_str(), key.team.as_str())).collect();
        let mut transaction = self.begin().await?;
        type Columns = (i64, String, String, String, i64, String);
        let open: Vec<Columns> =
            sqlx::query_as(OPEN).fetch_all(&mut *transaction).await.map_err(|error| self.explain(error))?;
        let mut closed = Vec::new();
        for (id, account, team, rule, period_start, state) in open {
            if of_these.contains(&(account.as_str(), team.as_str())) {
                continue;
            }
            let close = "UPDATE alerts SET state = CASE state WHEN 'pending' THEN 'inactive' ELSE 'resolved' END, \
                         stage = CASE state WHEN 'pending' THEN NULL ELSE stage END, \
                         step = CASE state WHEN 'pending' THEN NULL ELSE step END, \
                         since = CASE state WHEN 'pending' THEN NULL ELSE since END, \
                         ended_at = CASE state WHEN 'firing' THEN $5 ELSE ended_at END, clear_since = NULL, \
                         told_at = NULL, told_stage = NULL, told_step = NULL, told_figure = NULL, untold = NULL \
                         WHERE account_id = $1 AND team = $2 AND rule = $3 AND period_start = $4";
            sqlx::query(close)
                .bind(id)
                .bind(&team)
                .bind(&rule)
                .bind(period_start)
                .bind(millis(now))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.explain(error))?;
            closed.push(ClosedAlert { account, team, rule, was_firing: state == "firing" });
        }
        self.commit(transaction).await?;
        Ok(closed)
    }
}

async fn keep_alert(connection: &mut SqliteConnection, account: i64, change: &AlertChange) -> sqlx::Result<()> {
    let row = AlertColumns::of(&change.alert.state);
    let upsert = "INSERT INTO alerts (account_id, team, rule, period_start, episode, state, stage, step, since, clear_since, \
                  told_at, told_stage, told_step, told_figure, ended_at, untold) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
                  ON CONFLICT (account_id, team, rule, period_start) DO UPDATE SET episode = excluded.episode, \
                  state = excluded.state, stage = excluded.stage, step = excluded.step, since = excluded.since, \
                  clear_since = excluded.clear_since, told_at = excluded.told_at, told_stage = excluded.told_stage, \
                  told_step = excluded.told_step, told_figure = excluded.told_figure, ended_at = excluded.ended_at, \
                  untold = excluded.untold";
    sqlx::query(upsert)
        .bind(account)
        .bind(change.key.team.as_str())
        .bind(change.rule.as_str())
        .bind(millis(change.period_start))
        .bind(i64::from(change.alert.episode))
        .bind(row.state)
        .bind(row.level.map(|level| level.stage.as_str()))
        .bind(row.level.map(|level| level.step))
        .bind(row.since.map(millis))
        .bind(row.clear_since.map(millis))
        .bind(row.told.map(|told| millis(told.at)))
        .bind(row.told.map(|told| told.level.stage.as_str()))
        .bind(row.told.map(|told| told.level.step))
        .bind(row.told.and_then(|told| told.figure))
        .bind(row.ended_at.map(millis))
        .bind(row.untold.map(Why::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

/// The columns of an alert's state.
#[derive(Default)]
struct AlertColumns {
    state: &'static str,
    level: Option<Level>,
    since: Option<Timestamp>,
    clear_since: Option<Timestamp>,
    told: Option<Told>,
    ended_at: Option<Timestamp>,
    untold: Option<Why>,
}

impl AlertColumns {
    fn of(state: &AlertState) -> AlertColumns {
        let nothing = AlertColumns::default();
        match *state {
            AlertState::Inactive => AlertColumns { state: "inactive", ..nothing },
            AlertState::Pending { level, since } => {
                AlertColumns { state: "pending", level: Some(level), since: Some(since), ..nothing }
            }
            AlertState::Firing { level, since, clear_since, told } => {
                AlertColumns { state: "firing", level: Some(level), since: Some(since), clear_since, told, ..nothing }
            }
            AlertState::Resolved { level, since, at, untold } => AlertColumns {
                state: "resolved",
                level: Some(level),
                since: Some(since),
                ended_at: Some(at),
                untold,
                ..nothing
            },
        }
    }
}

async fn keep_notice(
    connection: &mut SqliteConnection,
    account: i64,
    notice: &Notice,
    mails: &[RenderedMail],
) -> sqlx::Result<bool> {
    let insert = "INSERT INTO notices (account_id, team, rule, period_start, episode, stage, step, why, \
                  repeated_at, period_end, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id";
    let repeated_at = if notice.why == Why::Repeated { millis(notice.at) } else { 0 };
    let id: Option<i64> = sqlx::query_scalar(insert)
        .bind(account)
        .bind(notice.key.team.as_str())
        .bind(notice.rule.as_str())
        .bind(millis(notice.period_start))
        .bind(i64::from(notice.episode))
        .bind(notice.stage.as_str())
        .bind(notice.step)
        .bind(notice.why.as_str())
        .bind(repeated_at)
        .bind(notice.period_end.map(millis))
        .bind(millis(notice.at))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(id) = id else { return Ok(false) };
    let is_urgent = is_urgent(notice.stage, notice.why);
    let kind = if notice.rule == RuleName::PlanReset { MessageKind::Report } else { MessageKind::Notice };
    for mail in mails {
        super::outbox::keep_mail(connection, Some(id), is_urgent, mail, notice.at, kind).await?;
    }
    Ok(true)
}

/// A row of the alerts table, as it is read.
pub(super) struct StoredAlert {
    pub(super) team: String,
    pub(super) rule: String,
    /// State and, after a space, what people are still to hear.
    pub(super) state: String,
    /// Stage and step, and behind a comma those that were told.
    pub(super) levels: String,
    pub(super) period_start: i64,
    pub(super) episode: u32,
    pub(super) since: Option<i64>,
    pub(super) clear_since: Option<i64>,
    pub(super) told_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) told_figure: Option<i64>,
}

impl StoredAlert {
    /// The alert, unless a later version wrote something that this one does not know.
    pub(super) fn into_facts(self) -> Option<AlertFacts> {
        let (level, told) = self.levels.split_once(',')?;
        let (level, told_level) = (parse_level(level), parse_level(told));
        let (state, untold) = self.state.split_once(' ')?;
        let since = self.since.map(instant);
        let told = |level| Some(Told { level, at: instant(self.told_at?), figure: self.told_figure });
        let state = match state {
            "pending" => AlertState::Pending { level: level?, since: since? },
            "firing" => AlertState::Firing {
                level: level?,
                since: since?,
                clear_since: self.clear_since.map(instant),
                told: told_level.and_then(told),
            },
            "resolved" => AlertState::Resolved {
                level: level?,
                since: since?,
                at: instant(self.ended_at?),
                untold: Why::parse(untold),
            },
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

fn parse_level(text: &str) -> Option<Level> {
    let (stage, step) = text.split_once(' ')?;
    Some(Level { stage: Stage::parse(stage)?, step: step.parse().ok()? })
}
