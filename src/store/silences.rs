//! Silences: which alerts nobody is told of for a time. A row is added, may be ended before its time, and is deleted long
//! after it is over.

use std::sync::{MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::{Store, StoreError, WriteTransaction, instant, millis};
use crate::domain::silence::MOST_SILENCES;
use crate::domain::{FiringAlert, Matcher, NewSilence, Silence, Silences, matchers_in_words};

/// So long after its end a silence is still shown beside those that stand; Alertmanager's are gone then.
pub const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(5 * 24);
/// So long after its end a silence stays in the ledger.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);
/// So many of those that are over are shown at most beside those that stand.
const MOST_OVER: usize = 200;

/// Which silences there are, each with when it was ended: rows change in nothing else.
pub(super) const SHOWN: &str = "SELECT id, expired_at FROM silences WHERE over_at > $1 ORDER BY over_at DESC, id DESC \
                                LIMIT $2";
const COLUMNS: &str = "SELECT id, matchers, starts_at, ends_at, created_by, token, comment, created_at, expired_by, \
                       expired_at FROM silences";
/// How many stand.
pub(super) const STANDING: &str = "SELECT COUNT(*) FROM silences WHERE over_at > $1";
/// What fires.
pub(super) const FIRING: &str = "SELECT name, team, rule, stage FROM alerts JOIN ledger_accounts \
                                 ON ledger_accounts.id = account_id WHERE state = 'firing' ORDER BY account_id, team, rule";

/// What [`Store::silences`] answered last: the rows by number and end, and the silences made of them.
#[derive(Debug, Default)]
pub(super) struct KnownSilences {
    rows: Vec<(i64, Option<i64>)>,
    silences: Silences,
}

impl KnownSilences {
    fn of_rows(&self, rows: &[(i64, Option<i64>)], now: Timestamp) -> Option<Silences> {
        (self.rows == rows).then(|| self.silences.as_of(now))
    }
}

/// A row of the table, as it is selected.
type Row = (i64, String, i64, i64, String, Option<String>, String, i64, Option<String>, Option<i64>);

/// The silence, unless somebody edited the file and its matchers are none.
fn silence_of(row: Row) -> Option<Silence> {
    let (id, matchers, starts_at, ends_at, created_by, token, comment, created_at, expired_by, expired_at) = row;
    let matchers = Matcher::parse_all(&matchers).ok().filter(|matchers| !matchers.is_empty())?;
    let (starts_at, ends_at) = (instant(starts_at), instant(ends_at));
    Some(Silence {
        id,
        asked: NewSilence { matchers, starts_at, ends_at, created_by, token, comment },
        created_at: instant(created_at),
        expired: expired_at.map(|at| (instant(at), expired_by.unwrap_or_default())),
    })
}

impl Store {
    /// Keeps a silence as of `now` and answers it with its number; `None` if there are too many already that are not over
    /// ([`MOST_SILENCES`]). The one that it replaces, if any, ends in the same moment.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn keep_silence(
        &self,
        new: &NewSilence,
        replaces: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<Silence>, StoreError> {
        let mut transaction = self.begin().await?;
        if let Some(old) = replaces {
            self.end_silence(&mut transaction, old, &new.created_by, now).await?;
        }
        let standing: i64 = sqlx::query_scalar(STANDING)
            .bind(millis(now))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        if usize::try_from(standing).is_ok_and(|standing| standing >= MOST_SILENCES) {
            return Ok(None);
        }
        // The newest stays, so that no number is given twice.
        let forget = "DELETE FROM silences WHERE over_at <= $1 AND id < (SELECT MAX(id) FROM silences)";
        sqlx::query(forget)
            .bind(millis(now.saturating_sub(KEPT_FOR).unwrap_or(Timestamp::MIN)))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let insert = "INSERT INTO silences (matchers, starts_at, ends_at, over_at, created_by, token, comment, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
        let id: i64 = sqlx::query_scalar(insert)
            .bind(matchers_in_words(&new.matchers))
            .bind(millis(new.starts_at))
            .bind(millis(new.ends_at))
            .bind(millis(new.ends_at))
            .bind(&new.created_by)
            .bind(&new.token)
            .bind(&new.comment)
            .bind(millis(now))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        self.silence(id).await
    }

    /// Ends a silence at `now`, and answers it; `None` if there is none of that number. One that is over already stays as it
    /// is.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn expire_silence(&self, id: i64, by: &str, now: Timestamp) -> Result<Option<Silence>, StoreError> {
        let mut transaction = self.begin().await?;
        self.end_silence(&mut transaction, id, by, now).await?;
        self.commit(transaction).await?;
        self.silence(id).await
    }

    async fn end_silence(
        &self,
        transaction: &mut WriteTransaction,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update =
            "UPDATE silences SET expired_by = $1, expired_at = $2, over_at = $2 WHERE id = $3 AND over_at > $2";
        let query = sqlx::query(update).bind(by).bind(millis(now)).bind(id);
        query.execute(&mut **transaction).await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// The silence of a number, also one that has been over for long.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn silence(&self, id: i64) -> Result<Option<Silence>, StoreError> {
        let select = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
        let row: Option<Row> =
            sqlx::query_as(select).bind(id).fetch_optional(&self.readers).await.map_err(|error| self.explain(error))?;
        Ok(row.and_then(silence_of))
    }

    /// Every silence that stands at `now`, and those that have been over for less than [`SHOWN_FOR`]; of these the latest
    /// 200. The last to end comes first. Asking often is cheap: what did not change is not read again.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn silences(&self, now: Timestamp) -> Result<Silences, StoreError> {
        let since = millis(now.saturating_sub(SHOWN_FOR).unwrap_or(Timestamp::MIN));
        let most = i64::try_from(MOST_SILENCES + MOST_OVER).unwrap_or(i64::MAX);
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(SHOWN)
            .bind(since)
            .bind(most)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        if let Some(silences) = self.known_silences().of_rows(&rows, now) {
            return Ok(silences);
        }
        let select = format!("{COLUMNS} WHERE over_at > $1 ORDER BY over_at DESC, id DESC LIMIT $2");
        let select = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(since).bind(most);
        let found: Vec<Row> = select.fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let rows = found.iter().map(|row| (row.0, row.9)).collect();
        let silences = Silences::new(found.into_iter().filter_map(silence_of).collect(), now);
        *self.known_silences() = KnownSilences { rows, silences: silences.clone() };
        Ok(silences)
    }

    fn known_silences(&self) -> MutexGuard<'_, KnownSilences> {
        self.known_silences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every silence that the ledger still has, the last to end first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn all_silences(&self) -> Result<Vec<Silence>, StoreError> {
        let select = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY over_at DESC, id DESC"));
        let rows: Vec<Row> =
            sqlx::query_as(select).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        Ok(rows.into_iter().filter_map(silence_of).collect())
    }

    /// The alerts that fire, as the last assessments left them.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn firing(&self) -> Result<Vec<FiringAlert>, StoreError> {
        let rows: Vec<(String, String, String, String)> =
            sqlx::query_as(FIRING).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let alert = |(account, team, alert, severity)| FiringAlert { alert, account, team, severity };
        Ok(rows.into_iter().map(alert).collect())
    }
}
