//! What leads announced. Rows are only ever added; one that is taken back says by whom and when.

use jiff::Timestamp;

use super::append::team_name;
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::{
    AccountName, Announcement, Credits, Draw, DrawKey, Foreseen, MOST_STANDING, PaceChange, PlannedBatch,
};

/// A row of the table, as it is selected.
type Columns = (
    i64,
    String,
    Option<f64>,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    String,
    i64,
    Option<String>,
    Option<i64>,
);

/// A row of the table.
struct Row {
    id: i64,
    team: String,
    factor: Option<f64>,
    begins_at: i64,
    ends_at: i64,
    low: Option<i64>,
    likely: Option<i64>,
    high: Option<i64>,
    note: String,
    announced_by: String,
    announced_at: i64,
    withdrawn_by: Option<String>,
    withdrawn_at: Option<i64>,
}

/// As [`super::facts`] reads it: the number, the times, the amounts and when it was announced.
pub(super) struct StandingRow {
    pub(super) team: String,
    pub(super) by: String,
    pub(super) note: String,
    pub(super) factor: Option<f64>,
    pub(super) numbers: [Option<i64>; 7],
}

impl StandingRow {
    /// The announcement of one of these draws; `None` for a team that draws no longer.
    pub(super) fn of_draws(self, draws: &[Draw]) -> Option<Announcement> {
        let key = draws.iter().find(|draw| draw.key.team.as_str() == self.team)?.key.clone();
        let [id, begins_at, ends_at, low, likely, high, announced_at] = self.numbers;
        let row = Row {
            id: id?,
            team: self.team,
            factor: self.factor,
            begins_at: begins_at?,
            ends_at: ends_at?,
            low,
            likely,
            high,
            note: self.note,
            announced_by: self.by,
            announced_at: announced_at?,
            withdrawn_by: None,
            withdrawn_at: None,
        };
        row.into_announcement(&key.account)
    }
}

impl From<Columns> for Row {
    fn from(columns: Columns) -> Row {
        let (id, team, factor, begins_at, ends_at, low, likely, high, note, announced_by, announced_at, by, at) =
            columns;
        Row {
            id,
            team,
            factor,
            begins_at,
            ends_at,
            low,
            likely,
            high,
            note,
            announced_by,
            announced_at,
            withdrawn_by: by,
            withdrawn_at: at,
        }
    }
}

impl Row {
    /// The announcement, unless somebody edited the file and it says neither of both.
    fn into_announcement(self, account: &AccountName) -> Option<Announcement> {
        let (begins, ends) = (instant(self.begins_at), instant(self.ends_at));
        let foreseen = match (self.factor, self.low, self.likely, self.high) {
            (Some(factor), ..) => Foreseen::Pace(PaceChange { factor, from: begins, to: ends }),
            (None, Some(low), Some(likely), Some(high)) => {
                let [low, likely, high] = [low, likely, high].map(credits);
                Foreseen::Batch { batch: PlannedBatch { at: begins, low, likely, high }, until: ends }
            }
            _ => return None,
        };
        Some(Announcement {
            id: Some(self.id),
            key: DrawKey { account: account.clone(), team: team_name(&self.team)? },
            foreseen,
            note: self.note,
            by: self.announced_by,
            announced_at: Some(instant(self.announced_at)),
            withdrawn: self.withdrawn_at.map(|at| (instant(at), self.withdrawn_by.unwrap_or_default())),
        })
    }
}

impl Store {
    /// Keeps an announcement as of `now` and answers it with its number; `None` if the team has too many already that are
    /// not over ([`MOST_STANDING`]).
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn announce(&self, new: &Announcement, now: Timestamp) -> Result<Option<Announcement>, StoreError> {
        let account = self.account_id(&new.key.account)?;
        let (factor, amounts) = match new.foreseen {
            Foreseen::Pace(pace) => (Some(pace.factor), [None; 3]),
            Foreseen::Batch { batch, .. } => (None, [batch.low, batch.likely, batch.high].map(Some)),
        };
        let [low, likely, high] = amounts.map(|amount| amount.map(Credits::micros));
        let mut transaction = self.begin().await?;
        let standing: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM announcements WHERE account_id = $1 AND team = $2 AND withdrawn_at IS NULL \
             AND ends_at > $3",
        )
        .bind(account)
        .bind(new.key.team.as_str())
        .bind(millis(now))
        .fetch_one(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        if usize::try_from(standing).is_ok_and(|standing| standing >= MOST_STANDING) {
            return Ok(None);
        }
        let insert = "INSERT INTO announcements (account_id, team, factor, begins_at, ends_at, low, likely, high, note, \
                      announced_by, announced_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id";
        let id: i64 = sqlx::query_scalar(insert)
            .bind(account)
            .bind(new.key.team.as_str())
            .bind(factor)
            .bind(millis(new.foreseen.begins()))
            .bind(millis(new.foreseen.ends()))
            .bind(low)
            .bind(likely)
            .bind(high)
            .bind(&new.note)
            .bind(&new.by)
            .bind(millis(now))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(Some(Announcement { id: Some(id), announced_at: Some(now), withdrawn: None, ..new.clone() }))
    }

    /// Takes an announcement back, and answers it; `None` if the account has none of that number. One that is taken back
    /// already stays as it is.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written.
    pub async fn withdraw(
        &self,
        account: &AccountName,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Announcement>, StoreError> {
        let account_id = self.account_id(account)?;
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE announcements SET withdrawn_by = $1, withdrawn_at = $2 \
             WHERE account_id = $3 AND id = $4 AND withdrawn_at IS NULL",
        )
        .bind(by)
        .bind(millis(now))
        .bind(account_id)
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(self.announcements(account).await?.into_iter().find(|announcement| announcement.id == Some(id)))
    }

    /// Every announcement of an account in the order in which they were made, those that are over or withdrawn too.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn announcements(&self, account: &AccountName) -> Result<Vec<Announcement>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT id, team, factor, begins_at, ends_at, low, likely, high, note, announced_by, announced_at, \
                      withdrawn_by, withdrawn_at FROM announcements WHERE account_id = $1 ORDER BY id";
        let rows: Vec<Columns> =
            sqlx::query_as(select).bind(id).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        Ok(rows.into_iter().filter_map(|row| Row::from(row).into_announcement(account)).collect())
    }
}
