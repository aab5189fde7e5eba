//! Mails that are decided and not yet delivered.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::{ServeLock, Store, StoreError, instant, millis};
use crate::domain::{OutboxDepth, OutboxMail, RenderedMail};

/// How long a claimed mail stays with its sender. One that died in between leaves it to be tried again after this: longer
/// than the longest dialogue with a relay, which waits ten minutes after the final dot.
const LEASE: SignedDuration = SignedDuration::from_mins(15);

/// How far a mail has come, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRecord {
    /// The outbox's row.
    pub id: i64,
    /// Envelope recipient.
    pub recipient: String,
    /// `waiting`, `sent` or `failed`.
    pub state: String,
    /// Tries so far.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub closed_at: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

pub(super) const DEPTH: &str = "SELECT state, COUNT(*), MIN(created_at), MAX(closed_at) FROM outbox GROUP BY state";

impl Store {
    /// Claims mails that are due, oldest first, at most `limit`. Each counts as tried from now on, and is due again after
    /// a quarter of an hour unless its try is reported before.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn due_mails(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxMail>, StoreError> {
        type Columns = (i64, String, String, String, Vec<u8>, u32, i64);
        // Most of the time nothing is due; a look does not need the write lock.
        let is_due = "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $1)";
        let is_due: bool = sqlx::query_scalar(is_due)
            .bind(millis(now))
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        if !is_due {
            return Ok(Vec::new());
        }
        let claim = "UPDATE outbox SET next_attempt_at = $1, attempts = attempts + 1, is_claimed = 1 WHERE id IN \
                     (SELECT id FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $2 ORDER BY id LIMIT $3) \
                     RETURNING id, sender, recipient, message_id, message, attempts - 1, created_at";
        let lease_end = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
        let mut transaction = self.begin().await?;
        let mut found: Vec<Columns> = sqlx::query_as(claim)
            .bind(millis(lease_end))
            .bind(millis(now))
            .bind(limit)
            .fetch_all(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        found.sort_unstable_by_key(|columns| columns.0);
        let mail = |(id, sender, recipient, message_id, message, attempts, created_at): Columns| OutboxMail {
            id,
            sender,
            recipient,
            message_id,
            message,
            attempts,
            created_at: instant(created_at),
        };
        Ok(found.into_iter().map(mail).collect())
    }

    /// Makes mails due that a sender had claimed when it died, and says how many. Whoever holds the lock knows that no
    /// other sender is at work; without this they would wait for the end of their lease. Waiting times after a failure stay.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn release_claims(&self, _only_one: &ServeLock, now: Timestamp) -> Result<u64, StoreError> {
        let update =
            "UPDATE outbox SET next_attempt_at = $1, is_claimed = 0 WHERE state = 'waiting' AND is_claimed = 1";
        let mut transaction = self.begin().await?;
        let released = sqlx::query(update)
            .bind(millis(now))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?
            .rows_affected();
        self.commit(transaction).await?;
        Ok(released)
    }

    /// The relay has accepted a mail.
    ///
    /// # Errors
    /// The ledger cannot be written; the mail will be sent again with the same id.
    pub async fn mark_sent(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        let update = "UPDATE outbox SET state = 'sent', closed_at = $2, last_error = $3, is_claimed = 0 WHERE id = $1";
        self.mark(update, id, now, None).await
    }

    /// A try failed in a passing way; the next is at `next_attempt_at`.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn mark_retry(&self, id: i64, next_attempt_at: Timestamp, error: &str) -> Result<(), StoreError> {
        let update = "UPDATE outbox SET next_attempt_at = $2, last_error = $3, is_claimed = 0 \
                      WHERE id = $1 AND state = 'waiting'";
        self.mark(update, id, next_attempt_at, Some(error)).await
    }

    /// A mail is given up.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn mark_failed(&self, id: i64, error: &str, now: Timestamp) -> Result<(), StoreError> {
        let update = "UPDATE outbox SET state = 'failed', closed_at = $2, last_error = $3, is_claimed = 0 \
                      WHERE id = $1 AND state = 'waiting'";
        self.mark(update, id, now, Some(error)).await
    }

    /// Mails by state.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        let found: Vec<(String, i64, i64, Option<i64>)> =
            sqlx::query_as(DEPTH).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let mut depth = OutboxDepth::default();
        for (state, count, oldest, newest) in found {
            match state.as_str() {
                "waiting" => (depth.waiting, depth.oldest_waiting_at) = (count.unsigned_abs(), Some(instant(oldest))),
                "sent" => (depth.sent, depth.last_sent_at) = (count.unsigned_abs(), newest.map(instant)),
                _ => depth.failed += count.unsigned_abs(),
            }
        }
        Ok(depth)
    }

    /// The latest mails, newest first, at most `limit`.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn recent_mails(&self, limit: u32) -> Result<Vec<MailRecord>, StoreError> {
        type Columns = (i64, String, String, u32, i64, Option<i64>, Option<String>);
        let select = "SELECT id, recipient, state, attempts, created_at, closed_at, last_error FROM outbox \
                      ORDER BY id DESC LIMIT $1";
        let found: Vec<Columns> =
            sqlx::query_as(select).bind(limit).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let record = |(id, recipient, state, attempts, created_at, closed_at, last_error): Columns| MailRecord {
            id,
            recipient,
            state,
            attempts,
            created_at: instant(created_at),
            closed_at: closed_at.map(instant),
            last_error,
        };
        Ok(found.into_iter().map(record).collect())
    }

    async fn mark(&self, update: &'static str, id: i64, at: Timestamp, error: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(update)
            .bind(id)
            .bind(millis(at))
            .bind(error)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await
    }
}

/// Puts a mail into the outbox, unless the same one (by its id) is there.
pub(super) async fn keep_mail(
    connection: &mut SqliteConnection,
    notice: Option<i64>,
    mail: &RenderedMail,
    now: Timestamp,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO outbox (notice_id, sender, recipient, message_id, message, state, attempts, created_at, \
                  next_attempt_at) VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $6) \
                  ON CONFLICT (message_id) DO NOTHING";
    sqlx::query(insert)
        .bind(notice)
        .bind(&mail.sender)
        .bind(&mail.recipient)
        .bind(&mail.message_id)
        .bind(&mail.message[..])
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}
