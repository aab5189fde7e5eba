//! How far each message has come, for people; trying again what was given up; forgetting what is long over.

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, Row, SqliteConnection};

use super::{count_closed, places};
use crate::domain::MessageKind;
use crate::store::{ServeLock, Store, StoreError, instant, millis};

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The outbox's row.
    pub id: i64,
    /// By which way it leaves.
    pub channel: String,
    /// What it is.
    pub kind: MessageKind,
    /// Envelope recipient.
    pub recipient: String,
    /// With angle brackets.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// What it says in one line, with its time.
    pub summary: String,
    /// `waiting`, `sent`, `failed` or `merged`.
    pub state: String,
    /// The message that tells it in its place.
    pub merged_into: Option<i64>,
    /// Tries so far.
    pub attempts: u32,
    /// Whether it is being sent just now.
    pub is_under_way: bool,
    /// Whether it waits because its recipient has had enough for now.
    pub is_held: bool,
    /// When the oldest of what it tells was decided.
    pub decided_at: Timestamp,
    /// When it is tried next, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was sent, given up or merged.
    pub closed_at: Option<Timestamp>,
    /// Why the last try failed, as in metrics.
    pub failure_reason: Option<String>,
    /// Why the last try failed, as it was said.
    pub last_error: Option<String>,
    /// How long the message is.
    pub bytes: u64,
}

impl FromRow<'_, SqliteRow> for OutboxRecord {
    fn from_row(row: &SqliteRow) -> sqlx::Result<OutboxRecord> {
        let state: String = row.try_get("state")?;
        let is_waiting = state == "waiting";
        Ok(OutboxRecord {
            id: row.try_get("id")?,
            channel: row.try_get("channel")?,
            kind: MessageKind::parse(row.try_get("kind")?).unwrap_or(MessageKind::Notice),
            recipient: row.try_get("recipient")?,
            message_id: row.try_get("message_id")?,
            subject: row.try_get("subject")?,
            summary: row.try_get("summary")?,
            state,
            merged_into: row.try_get("merged_into")?,
            attempts: row.try_get("attempts")?,
            is_under_way: is_waiting && row.try_get("is_claimed")?,
            is_held: is_waiting && row.try_get("is_held")?,
            decided_at: instant(row.try_get("oldest_at")?),
            next_attempt_at: is_waiting.then(|| row.try_get("next_attempt_at").map(instant)).transpose()?,
            closed_at: row.try_get::<Option<i64>, _>("closed_at")?.map(instant),
            failure_reason: row.try_get("failure_reason")?,
            last_error: row.try_get("last_error")?,
            bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        })
    }
}

/// What became of a wish to try messages again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// They wait again: so many.
    Waiting(u64),
    /// One of them was not given up, or there is none of that number: nothing was changed. Its number, and its state.
    Not(i64, Option<String>),
}

/// How long closed messages are kept.
pub(in crate::store) const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// So many are forgotten at a time: the write lock is held for milliseconds.
const FORGOTTEN_AT_ONCE: u32 = 200;

pub(in crate::store) const LONG_OVER: &str = "SELECT id FROM outbox WHERE state <> 'waiting' AND closed_at < $1 AND NOT EXISTS (SELECT 1 FROM outbox AS teller \
     WHERE teller.id = outbox.merged_into AND teller.state = 'waiting') ORDER BY closed_at LIMIT $2";

impl Store {
    /// The messages in one of these states, newest first, at most `limit`.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn outbox_records(&self, states: &[&str], limit: u32) -> Result<Vec<OutboxRecord>, StoreError> {
        let select = format!(
            "SELECT id, channel, kind, recipient, message_id, subject, summary, state, merged_into, attempts, is_claimed, is_held, \
             oldest_at, next_attempt_at, closed_at, failure_reason, last_error, LENGTH(message) AS bytes FROM outbox \
             WHERE state IN ({}) ORDER BY id DESC LIMIT $1",
            places(2, states.len())
        );
        let query = sqlx::query_as(AssertSqlSafe(select)).bind(limit);
        let query = states.iter().fold(query, |query, state| query.bind(*state));
        query.fetch_all(&self.readers).await.map_err(|error| self.explain(error))
    }

    /// Has messages that were given up tried again, with the same bytes and ids: these, or all of them.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn retry_given_up(&self, ids: Option<&[i64]>, now: Timestamp) -> Result<Retried, StoreError> {
        let mut transaction = self.begin().await?;
        let retried = retry(&mut transaction, ids, now).await.map_err(|error| self.explain(error))?;
        if matches!(retried, Retried::Waiting(_)) {
            self.commit(transaction).await?;
        }
        Ok(retried)
    }

    /// Makes messages due that a sender had claimed when it died, and says how many. Whoever holds the lock knows that no
    /// other sender is at work; without this they would wait for the end of their lease. Waiting times after a failure
    /// stay.
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

    /// Deletes messages that were closed more than thirty days ago, some of them, and says how many. What they told was
    /// told or counted long since; nobody's address stays for ever.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub async fn forget_old_messages(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = millis(now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN));
        let old: Vec<i64> = sqlx::query_scalar(LONG_OVER)
            .bind(before)
            .bind(FORGOTTEN_AT_ONCE)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        // Most of the time there is nothing; a look does not need the write lock.
        if old.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        let delete = format!("DELETE FROM outbox WHERE id IN ({})", places(1, old.len()));
        let query = old.iter().fold(sqlx::query(AssertSqlSafe(delete)), |query, id| query.bind(id));
        query.execute(&mut *transaction).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(old.len() as u64)
    }

    /// Gives up what waits for other channels than these, which nobody would ever try, and says how many messages that
    /// were. A person can have them tried again once the channel is there.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub async fn give_up_other_channels(&self, channels: &[&str], now: Timestamp) -> Result<u64, StoreError> {
        let others = |first: usize| match channels {
            [] => String::new(),
            some => format!(" AND channel NOT IN ({})", places(first, some.len())),
        };
        let select =
            format!("SELECT channel, COUNT(*) FROM outbox WHERE state = 'waiting'{} GROUP BY channel", others(1));
        let query = channels.iter().fold(sqlx::query_as(AssertSqlSafe(select)), |query, channel| query.bind(*channel));
        let waiting: Vec<(String, i64)> = query.fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        // Nearly always there is nothing; a look does not need the write lock.
        if waiting.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        let given_up = give_up_channels(&mut transaction, &waiting, now).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(given_up)
    }
}

async fn give_up_channels(
    connection: &mut SqliteConnection,
    waiting: &[(String, i64)],
    now: Timestamp,
) -> sqlx::Result<u64> {
    let mut given_up = 0;
    for (channel, _) in waiting {
        let update = "UPDATE outbox SET state = 'failed', closed_at = $2, is_claimed = 0, failure_reason = 'configuration', \
                      last_error = 'the configuration has no such channel any more' \
                      WHERE state = 'waiting' AND channel = $1";
        let query = sqlx::query(update).bind(channel).bind(millis(now));
        let messages = query.execute(&mut *connection).await?.rows_affected();
        count_closed(connection, channel, "failed", i64::try_from(messages).unwrap_or(i64::MAX), now).await?;
        sqlx::query("DELETE FROM channel_pauses WHERE channel = $1").bind(channel).execute(&mut *connection).await?;
        given_up += messages;
    }
    Ok(given_up)
}

async fn retry(connection: &mut SqliteConnection, ids: Option<&[i64]>, now: Timestamp) -> sqlx::Result<Retried> {
    for id in ids.into_iter().flatten() {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM outbox WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        if state.as_deref() != Some("failed") {
            return Ok(Retried::Not(*id, state));
        }
    }
    let listed = |first| ids.map_or_else(String::new, |ids| format!(" AND id IN ({})", places(first, ids.len())));
    let counts = format!("SELECT channel, COUNT(*) FROM outbox WHERE state = 'failed'{} GROUP BY channel", listed(1));
    let query = sqlx::query_as(AssertSqlSafe(counts));
    let query = ids.into_iter().flatten().fold(query, |query, id| query.bind(id));
    let counts: Vec<(String, i64)> = query.fetch_all(&mut *connection).await?;
    // They have their whole age before them, and the tries begin anew.
    let update = format!(
        "UPDATE outbox SET state = 'waiting', closed_at = NULL, attempts = 0, tried_from = $1, next_attempt_at = $1 \
         WHERE state = 'failed'{}",
        listed(2)
    );
    let query = sqlx::query(AssertSqlSafe(update)).bind(millis(now));
    let query = ids.into_iter().flatten().fold(query, |query, id| query.bind(id));
    let retried = query.execute(&mut *connection).await?.rows_affected();
    for (channel, messages) in counts {
        count_closed(connection, &channel, "failed", -messages, now).await?;
    }
    Ok(Retried::Waiting(retried))
}
