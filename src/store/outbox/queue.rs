//! What waits, as far as a plan needs to know it, and what a message that takes the place of others is made of.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;

use super::places;
use crate::domain::outbox::{Merge, MergeParts, NewestMessage, ToldNotice};
use crate::domain::{MessageKind, RecipientQueue, WaitingMessage};
use crate::store::{Store, StoreError, instant, millis};

/// A channel that was, or is, left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPause {
    /// Left alone until then; `None`: it is tried with one message at a time.
    pub until: Option<Timestamp>,
    /// Pauses without a success in between.
    pub strikes: u32,
}

/// Whose messages are looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueOrder {
    /// Those of whom something urgent is due.
    UrgentFirst,
    /// Those of whom something has been due for longest, so that one message that is refused cannot stand before all.
    LongestFirst,
}

pub(in crate::store) const DUE: &str = "SELECT next_attempt_at, recipient FROM outbox WHERE state = 'waiting' \
                                        AND channel = $1 AND is_urgent = $2 AND next_attempt_at <= $3 \
                                        ORDER BY next_attempt_at LIMIT $4";

pub(in crate::store) const SENT: &str = "SELECT recipient, closed_at FROM outbox WHERE state = 'sent' AND channel = $1 \
                                         AND recipient = $2 AND closed_at > $3 ORDER BY closed_at";

pub(in crate::store) const WAITING: &str = "SELECT id, kind, thread, is_urgent, is_claimed = 1 AND next_attempt_at > $3, attempts, created_at, next_attempt_at \
     FROM outbox WHERE state = 'waiting' AND channel = $1 AND recipient = $2 ORDER BY created_at, id";

pub(in crate::store) const TOLD: &str = "SELECT thread, id FROM outbox WHERE merged_into = $1 AND kind = 'notice'";

/// What a recipient was sent before this counts for no cap.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// So many due rows are looked at to find the recipients of one round.
const ROWS_LOOKED_AT: u32 = 64;

impl Store {
    /// Recipients of whom something is due, each once, and whether something urgent is: not all of them, if there are many.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn due_recipients(
        &self,
        channel: &str,
        order: DueOrder,
        now: Timestamp,
    ) -> Result<Vec<(String, bool)>, StoreError> {
        let mut due: Vec<(i64, String, bool)> = Vec::new();
        for is_urgent in [true, false] {
            let select = sqlx::query_as(DUE).bind(channel).bind(i64::from(is_urgent)).bind(millis(now));
            let found: Vec<(i64, String)> =
                select.bind(ROWS_LOOKED_AT).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
            due.extend(found.into_iter().map(|(at, recipient)| (at, recipient, is_urgent)));
        }
        if order == DueOrder::LongestFirst {
            due.sort();
        }
        let mut seen = BTreeSet::new();
        let is_new = |(_, recipient, _): &(i64, String, bool)| seen.insert(recipient.clone());
        Ok(due.into_iter().filter(is_new).map(|(_, recipient, is_urgent)| (recipient, is_urgent)).collect())
    }

    /// What waits for a recipient, and what was sent within the last day.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn outbox_queue(
        &self,
        channel: &str,
        recipient: String,
        now: Timestamp,
    ) -> Result<RecipientQueue, StoreError> {
        type Columns = (i64, String, String, bool, bool, u32, i64, i64);
        let found: Vec<Columns> = sqlx::query_as(WAITING)
            .bind(channel)
            .bind(&recipient)
            .bind(millis(now))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let mut waiting = Vec::with_capacity(found.len());
        for (id, kind, thread, is_urgent, is_under_way, attempts, created_at, next_attempt_at) in found {
            let kind = MessageKind::parse(&kind).unwrap_or(MessageKind::Notice);
            let (threads, notices) = match kind {
                MessageKind::Notice | MessageKind::Report => (vec![thread], 1),
                MessageKind::Superseding => (vec![thread], self.told(id).await?.len()),
                MessageKind::Collected => {
                    let told = self.told(id).await?;
                    let threads: BTreeSet<&String> = told.iter().collect();
                    (threads.into_iter().cloned().collect(), told.len())
                }
            };
            waiting.push(WaitingMessage {
                id,
                kind,
                threads,
                notices,
                is_urgent,
                is_under_way,
                attempts,
                created_at: instant(created_at),
                next_attempt_at: instant(next_attempt_at),
            });
        }
        let since = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        let sent: Vec<(String, i64)> = sqlx::query_as(SENT)
            .bind(channel)
            .bind(&recipient)
            .bind(millis(since))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let sent = sent.into_iter().map(|(_, at)| instant(at)).collect();
        Ok(RecipientQueue { recipient, waiting, sent })
    }

    /// The conversations of the notices that a message tells in the place of others.
    async fn told(&self, id: i64) -> Result<Vec<String>, StoreError> {
        let found: Vec<(String, i64)> =
            sqlx::query_as(TOLD).bind(id).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        Ok(found.into_iter().map(|(thread, _)| thread).collect())
    }

    /// What the message that a merge makes is made of.
    ///
    /// # Errors
    /// The ledger cannot be read, or a message of the merge is gone.
    pub async fn merge_parts(&self, merge: &Merge) -> Result<MergeParts, StoreError> {
        let list = places(1, merge.messages.len());
        let select = format!("SELECT sender, recipient, message_id FROM outbox WHERE id IN ({list}) ORDER BY id");
        let query = sqlx::query_as(AssertSqlSafe(select));
        let query = merge.messages.iter().fold(query, |query, id| query.bind(id));
        let carriers: Vec<(String, String, String)> =
            query.fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        // A notice is told by the message that was decided for it, or by one that has taken its place.
        let select = format!(
            "SELECT o.thread, n.team, o.is_urgent, o.summary, o.id, COALESCE(o.merged_into, o.id) FROM outbox AS o \
             LEFT JOIN notices AS n ON n.id = o.notice_id WHERE o.kind = 'notice' \
             AND (o.id IN ({list}) OR o.merged_into IN ({list})) ORDER BY o.created_at, o.id"
        );
        let query = sqlx::query_as(AssertSqlSafe(select));
        let query = merge.messages.iter().fold(query, |query, id| query.bind(id));
        type Columns = (String, Option<String>, bool, String, i64, i64);
        let told: Vec<Columns> = query.fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let newest = told.last().map_or((0, 0), |columns| (columns.4, columns.5));
        let (sender, recipient) = carriers.first().map(|(a, b, _)| (a.clone(), b.clone())).unwrap_or_default();
        Ok(MergeParts {
            reason: merge.reason,
            sender,
            recipient,
            message_ids: carriers.into_iter().map(|(_, _, id)| id).collect(),
            newest: self.newest_message(newest.0, newest.1).await?,
            told: told
                .into_iter()
                .map(|(thread, team, is_urgent, summary, ..)| ToldNotice { thread, team, is_urgent, summary })
                .collect(),
        })
    }

    /// The message of a notice; its parts stand with the message that carries it now.
    async fn newest_message(&self, notice: i64, carrier: i64) -> Result<NewestMessage, StoreError> {
        let select = "SELECT o.thread, o.subject, o.summary, COALESCE(c.body_text, ''), COALESCE(c.body_html, ''), o.message \
                      FROM outbox AS o JOIN outbox AS c ON c.id = $2 WHERE o.id = $1";
        let (thread, subject, summary, text, html, message) = sqlx::query_as(select)
            .bind(notice)
            .bind(carrier)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(NewestMessage { thread, subject, summary, text, html, message })
    }

    /// Whether a channel is left alone.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn channel_pause(&self, channel: &str) -> Result<Option<KnownPause>, StoreError> {
        let found: Option<(Option<i64>, u32)> =
            sqlx::query_as("SELECT until, strikes FROM channel_pauses WHERE channel = $1")
                .bind(channel)
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| self.explain(error))?;
        Ok(found.map(|(until, strikes)| KnownPause { until: until.map(instant), strikes }))
    }
}
