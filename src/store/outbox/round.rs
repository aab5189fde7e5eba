//! One round of delivery, in one transaction: what came of messages that were under way, which ones become one, which
//! wait for the caps, and which are claimed next.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{CLAIM_LEASE, count_closed, places, still_true};
use crate::domain::outbox::{Hold, Merge};
use crate::domain::{MergeReason, OutboxMessage, RenderedMail};
use crate::store::{Store, StoreError, instant, millis};

/// What a round changes.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// What came of messages.
    pub settled: Vec<Settled>,
    /// Leaves the channel alone.
    pub pause: Option<PauseOrder>,
    /// Messages that become one.
    pub merges: Vec<Merged>,
    /// Messages that wait.
    pub holds: Vec<Hold>,
    /// Messages to be sent now.
    pub claims: Vec<i64>,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub id: i64,
    /// What.
    pub outcome: Outcome,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Sent,
    /// It failed in a passing way; the next try is at this moment.
    Retry(Timestamp, Failure),
    /// It failed for good, or for too long. With a moment: not while the alert that it tells of still fires; then it is
    /// tried again at that moment.
    GiveUp(Option<Timestamp>, Failure),
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As in metrics.
    pub reason: String,
    /// What was said.
    pub error: String,
}

/// Leaves a channel alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseOrder {
    /// Until then.
    pub until: Timestamp,
    /// Why.
    pub failure: Failure,
    /// What has been tried since before this moment is given up too: the failure is theirs as well. Not so what is
    /// still true.
    pub give_up_before: Timestamp,
}

/// A merge, with the message that it makes.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Which messages become one.
    pub merge: Merge,
    /// The one.
    pub message: RenderedMail,
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundResult {
    /// What became of the settled messages, in their order.
    pub settled: Vec<SettledAs>,
    /// Messages given up because the channel has failed for as long as they are tried for.
    pub given_up: u64,
    /// How many messages became one, merge by merge; 0 for one that could not be made.
    pub merged: Vec<(MergeReason, u64)>,
    /// How many messages have to wait for longer than before.
    pub held: u64,
    /// What was claimed.
    pub claimed: Vec<OutboxMessage>,
}

impl Round {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Round { settled, pause, merges, holds, claims } = self;
        settled.is_empty() && pause.is_none() && merges.is_empty() && holds.is_empty() && claims.is_empty()
    }
}

impl RoundResult {
    /// Whether anything changed.
    pub fn has_done_something(&self) -> bool {
        let merged: u64 = self.merged.iter().map(|(_, messages)| messages).sum();
        !self.settled.is_empty() || !self.claimed.is_empty() || merged + self.given_up + self.held > 0
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledAs {
    /// Delivered.
    Sent,
    /// To be tried again.
    Retrying,
    /// Given up.
    Failed,
    /// It was closed before.
    Gone,
}

/// So many ids stand in one statement at most.
const MOST_IN_A_LIST: usize = 256;

impl Store {
    /// Does a round of a channel. Claimed messages count as tried from now on, and are due again after half an hour unless
    /// what came of them is reported before.
    ///
    /// # Errors
    /// The ledger cannot be written; nothing of the round is done then.
    pub async fn outbox_round(&self, channel: &str, round: &Round, now: Timestamp) -> Result<RoundResult, StoreError> {
        let mut transaction = self.begin().await?;
        let result = in_one(&mut transaction, channel, round, now).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(result)
    }

    /// Claimed messages stay with their sender for another lease, whose end is returned. What was closed or let go of since
    /// then is left alone.
    ///
    /// # Errors
    /// The ledger cannot be written; they may be claimed by others then.
    pub async fn renew_claims(&self, ids: &[i64], now: Timestamp) -> Result<Timestamp, StoreError> {
        let lease_end = now.saturating_add(CLAIM_LEASE).unwrap_or(Timestamp::MAX);
        let update = format!(
            "UPDATE outbox SET next_attempt_at = $1 WHERE state = 'waiting' AND is_claimed = 1 AND id IN ({})",
            places(2, ids.len())
        );
        let mut transaction = self.begin().await?;
        let query = sqlx::query(AssertSqlSafe(update)).bind(millis(lease_end));
        let query = ids.iter().fold(query, |query, id| query.bind(id));
        query.execute(&mut *transaction).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(lease_end)
    }

    /// Ends a pause: one message at a time is tried until one is accepted.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn end_pause(&self, channel: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE channel_pauses SET until = NULL WHERE channel = $1")
            .bind(channel)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        self.commit(transaction).await
    }
}

async fn in_one(
    connection: &mut SqliteConnection,
    channel: &str,
    round: &Round,
    now: Timestamp,
) -> sqlx::Result<RoundResult> {
    let mut result = RoundResult::default();
    for settled in &round.settled {
        result.settled.push(settle(connection, settled, now).await?);
    }
    let count = |wanted| result.settled.iter().filter(|settled| **settled == wanted).count() as i64;
    let (sent, failed) = (count(SettledAs::Sent), count(SettledAs::Failed));
    if sent > 0 {
        // What was under way when a pause began does not end it.
        sqlx::query("DELETE FROM channel_pauses WHERE channel = $1 AND until IS NULL")
            .bind(channel)
            .execute(&mut *connection)
            .await?;
    }
    if let Some(order) = &round.pause {
        result.given_up = pause(connection, channel, order, now).await?;
    }
    let mut merged = 0;
    for one in &round.merges {
        let closed = merge(connection, channel, one, now).await?;
        result.merged.push((one.merge.reason, closed));
        merged += closed as i64;
    }
    count_closed(connection, channel, "sent", sent, now).await?;
    count_closed(connection, channel, "failed", failed + result.given_up as i64, now).await?;
    count_closed(connection, channel, "merged", merged, now).await?;
    for hold in &round.holds {
        result.held += keep_back(connection, hold, now).await?;
    }
    result.claimed = claim(connection, &round.claims, now).await?;
    Ok(result)
}

async fn settle(connection: &mut SqliteConnection, settled: &Settled, now: Timestamp) -> sqlx::Result<SettledAs> {
    let later = "UPDATE outbox SET next_attempt_at = $2, failure_reason = $3, last_error = $4, is_claimed = 0 \
                 WHERE id = $1 AND state = 'waiting'";
    let later_if_true = concat!(
        "UPDATE outbox SET next_attempt_at = $2, failure_reason = $3, last_error = $4, is_claimed = 0 \
         WHERE id = $1 AND state = 'waiting' AND ",
        still_true!()
    );
    // What was given up may be tried again by a person, and then take the place of others: its parts stay.
    let given_up = "UPDATE outbox SET state = 'failed', closed_at = $2, failure_reason = $3, last_error = $4, \
                    is_claimed = 0 WHERE id = $1 AND state = 'waiting'";
    let mut mark = async |update: &'static str, at: Timestamp, failure: &Failure| {
        let query = sqlx::query(update).bind(settled.id).bind(millis(at)).bind(&failure.reason).bind(&failure.error);
        query.execute(&mut *connection).await.map(|done| done.rows_affected() > 0)
    };
    let became = match &settled.outcome {
        Outcome::Sent => {
            let sent = "UPDATE outbox SET state = 'sent', closed_at = $2, failure_reason = NULL, last_error = NULL, \
                        is_claimed = 0, body_text = NULL, body_html = NULL WHERE id = $1 AND state = 'waiting'";
            let query = sqlx::query(sent).bind(settled.id).bind(millis(now));
            (query.execute(&mut *connection).await?.rows_affected() > 0, SettledAs::Sent)
        }
        Outcome::Retry(at, failure) => (mark(later, *at, failure).await?, SettledAs::Retrying),
        Outcome::GiveUp(Some(at), failure) if mark(later_if_true, *at, failure).await? => (true, SettledAs::Retrying),
        Outcome::GiveUp(_, failure) => (mark(given_up, now, failure).await?, SettledAs::Failed),
    };
    Ok(if became.0 { became.1 } else { SettledAs::Gone })
}

/// Leaves a channel alone, unless it is already, and gives up what has been tried for long enough.
async fn pause(
    connection: &mut SqliteConnection,
    channel: &str,
    order: &PauseOrder,
    now: Timestamp,
) -> sqlx::Result<u64> {
    let upsert = "INSERT INTO channel_pauses (channel, until, strikes, reason, error) VALUES ($1, $2, 1, $3, $4) \
                  ON CONFLICT (channel) DO UPDATE SET until = excluded.until, strikes = channel_pauses.strikes + 1, \
                  reason = excluded.reason, error = excluded.error \
                  WHERE channel_pauses.until IS NULL OR channel_pauses.until <= $5";
    sqlx::query(upsert)
        .bind(channel)
        .bind(millis(order.until))
        .bind(&order.failure.reason)
        .bind(&order.failure.error)
        .bind(millis(now))
        .execute(&mut *connection)
        .await?;
    let give_up = concat!(
        "UPDATE outbox SET state = 'failed', closed_at = $2, failure_reason = $3, last_error = $4 \
         WHERE state = 'waiting' AND channel = $1 AND is_claimed = 0 AND tried_from <= $5 AND NOT ",
        still_true!()
    );
    let given_up = sqlx::query(give_up)
        .bind(channel)
        .bind(millis(now))
        .bind(&order.failure.reason)
        .bind(&order.failure.error)
        .bind(millis(order.give_up_before))
        .execute(&mut *connection)
        .await?;
    Ok(given_up.rows_affected())
}

/// Makes one message of several; answers how many, or 0 if one of them is no longer waiting.
async fn merge(connection: &mut SqliteConnection, channel: &str, merged: &Merged, now: Timestamp) -> sqlx::Result<u64> {
    let Merged { merge, message } = merged;
    let free = format!(
        "SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND (is_claimed = 0 OR next_attempt_at <= $1) AND id IN ({})",
        places(2, merge.messages.len())
    );
    let query = sqlx::query_scalar(AssertSqlSafe(free)).bind(millis(now));
    let free: i64 = merge.messages.iter().fold(query, |query, id| query.bind(id)).fetch_one(&mut *connection).await?;
    if free.unsigned_abs() != merge.messages.len() as u64 {
        return Ok(0);
    }
    // Its age, its tries, its last failure and its next try are those of what it takes the place of.
    let list = places(13, merge.messages.len());
    let insert = format!(
        "INSERT INTO outbox (notice_id, channel, kind, sender, recipient, message_id, thread, subject, summary, is_urgent, \
         state, attempts, created_at, oldest_at, tried_from, next_attempt_at, failure_reason, last_error, body_text, \
         body_html, message) \
         SELECT (SELECT newest.notice_id FROM outbox AS newest WHERE newest.id IN ({list}) AND $2 <> 'collected' \
         ORDER BY newest.created_at DESC, newest.id DESC LIMIT 1), $1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', \
         MAX(attempts), MAX(created_at), MIN(oldest_at), MAX(tried_from), MIN(next_attempt_at), \
         (SELECT tried.failure_reason FROM outbox AS tried WHERE tried.id IN ({list}) ORDER BY tried.attempts DESC LIMIT 1), \
         (SELECT tried.last_error FROM outbox AS tried WHERE tried.id IN ({list}) ORDER BY tried.attempts DESC LIMIT 1), \
         $10, $11, $12 FROM outbox WHERE id IN ({list}) HAVING COUNT(*) > 0 \
         ON CONFLICT (message_id) DO NOTHING RETURNING id"
    );
    let part = |text: &String| (merge.reason == MergeReason::Superseded).then(|| text.clone());
    let query = sqlx::query_scalar(AssertSqlSafe(insert))
        .bind(channel)
        .bind(merge.reason.kind().as_str())
        .bind(&message.sender)
        .bind(&message.recipient)
        .bind(&message.message_id)
        .bind(&message.thread)
        .bind(&message.subject)
        .bind(&message.summary)
        .bind(i64::from(merge.is_urgent))
        .bind(part(&message.text))
        .bind(part(&message.html))
        .bind(&message.message[..]);
    let one: Option<i64> =
        merge.messages.iter().fold(query, |query, id| query.bind(id)).fetch_optional(&mut *connection).await?;
    let Some(one) = one else { return Ok(0) };
    let close = format!(
        "UPDATE outbox SET merged_into = $1, state = 'merged', closed_at = $2, is_claimed = 0, body_text = NULL, \
         body_html = NULL WHERE id IN ({})",
        places(3, merge.messages.len())
    );
    let query = sqlx::query(AssertSqlSafe(close)).bind(one).bind(millis(now));
    merge.messages.iter().fold(query, |query, id| query.bind(id)).execute(&mut *connection).await?;
    // What they had told in the place of others is told by the one now.
    let hand_on =
        format!("UPDATE outbox SET merged_into = $1 WHERE merged_into IN ({})", places(2, merge.messages.len()));
    let query = sqlx::query(AssertSqlSafe(hand_on)).bind(one);
    merge.messages.iter().fold(query, |query, id| query.bind(id)).execute(&mut *connection).await?;
    Ok(merge.messages.len() as u64)
}

async fn keep_back(connection: &mut SqliteConnection, hold: &Hold, now: Timestamp) -> sqlx::Result<u64> {
    let mut held = 0;
    for some in hold.messages.chunks(MOST_IN_A_LIST) {
        let update = format!(
            "UPDATE outbox SET next_attempt_at = $1, is_claimed = 0, is_held = 1 WHERE state = 'waiting' AND next_attempt_at < $1 \
             AND (is_claimed = 0 OR next_attempt_at <= $2) AND id IN ({})",
            places(3, some.len())
        );
        let query = sqlx::query(AssertSqlSafe(update)).bind(millis(hold.until)).bind(millis(now));
        held += some.iter().fold(query, |query, id| query.bind(id)).execute(&mut *connection).await?.rows_affected();
    }
    Ok(held)
}

async fn claim(connection: &mut SqliteConnection, ids: &[i64], now: Timestamp) -> sqlx::Result<Vec<OutboxMessage>> {
    type Columns = (i64, String, String, String, u32, i64, Vec<u8>);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list = places(3, ids.len());
    let update = format!(
        "UPDATE outbox SET next_attempt_at = $1, attempts = attempts + 1, is_claimed = 1, is_held = 0 \
         WHERE state = 'waiting' \
         AND next_attempt_at <= $2 AND id IN ({list}) \
         RETURNING id, sender, recipient, message_id, attempts - 1, tried_from, message"
    );
    let lease_end = now.saturating_add(CLAIM_LEASE).unwrap_or(Timestamp::MAX);
    let query = sqlx::query_as(AssertSqlSafe(update)).bind(millis(lease_end)).bind(millis(now));
    let mut found: Vec<Columns> = ids.iter().fold(query, |query, id| query.bind(id)).fetch_all(connection).await?;
    // As they were asked for: the urgent ones first.
    found.sort_by_key(|columns| ids.iter().position(|id| *id == columns.0));
    let message = |(id, sender, recipient, message_id, attempts, tried_from, message): Columns| OutboxMessage {
        id,
        sender,
        recipient,
        message_id,
        message,
        attempts,
        created_at: instant(tried_from),
    };
    Ok(found.into_iter().map(message).collect())
}
