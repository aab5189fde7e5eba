//! Messages that are decided and not yet delivered.
//!
//! - `queue`: what waits, for the plan of what becomes of it
//! - `round`: one transaction of delivery: what came of messages, which become one, which wait, which are claimed
//! - `records`: how far each has come, for people; trying again what was given up; forgetting what is long over
//!
//! Closed messages are counted in a table of their own, in the transaction that closes them: what is asked over and over
//! counts the waiting ones alone, and deleting old rows changes no number.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::{Store, StoreError, instant, millis};
use crate::domain::outbox::without_addresses;
use crate::domain::{
    AccountName, ChannelDepth, ChannelPause, DrawKey, EMAIL_CHANNEL, GivenUp, MessageKind, OutboxDepth, RenderedMail,
    RuleName, Stage, TeamName, UntoldNotice, Why,
};

mod queue;
mod records;
mod round;
#[cfg(test)]
mod tests;

pub use queue::{DueOrder, KnownPause};
pub use records::{OutboxRecord, Retried};
pub use round::{Failure, Merged, Outcome, PauseOrder, Round, RoundResult, Settled, SettledAs};

/// How long a claimed message stays with its sender, unless that claims it for longer. One that died in between leaves it
/// to be tried again after this: longer than the longest dialogue with a relay, which takes some eighteen minutes if each
/// step takes as long as it may.
pub const CLAIM_LEASE: SignedDuration = SignedDuration::from_mins(30);

/// So many of the messages given up are shown.
const SHOWN_GIVEN_UP: u32 = 20;

/// Whether the alert that a row of `outbox` tells of still fires.
macro_rules! still_true {
    () => {
        "EXISTS (SELECT 1 FROM outbox AS told JOIN notices AS n ON n.id = told.notice_id \
         JOIN alerts AS a ON a.account_id = n.account_id AND a.team = n.team AND a.rule = n.rule \
         AND a.period_start = n.period_start AND a.episode = n.episode AND a.state = 'firing' \
         WHERE told.id = outbox.id OR (outbox.kind = 'collected' AND told.merged_into = outbox.id))"
    };
}
use still_true;

pub(super) const DEPTH: &str = "SELECT channel, CASE WHEN is_held = 1 THEN 'held' ELSE 'waiting' END, COUNT(*), MIN(oldest_at), NULL, NULL \
     FROM outbox WHERE state = 'waiting' GROUP BY channel, is_held \
     UNION ALL SELECT channel, state, messages, last_closed_at, NULL, NULL FROM outbox_totals \
     UNION ALL SELECT channel, 'paused', 0, until, reason, error FROM channel_pauses WHERE until IS NOT NULL";

pub(super) const GIVEN_UP: &str = "SELECT id, channel, kind, oldest_at, closed_at, attempts, last_error FROM outbox \
                                   WHERE state = 'failed' ORDER BY closed_at DESC LIMIT $1";

impl Store {
    /// The messages of each channel by state, and those given up last.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        type Columns = (String, String, i64, Option<i64>, Option<String>, Option<String>);
        let found: Vec<Columns> =
            sqlx::query_as(DEPTH).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        let mut channels = BTreeMap::from([(EMAIL_CHANNEL.to_owned(), ChannelDepth::of(EMAIL_CHANNEL))]);
        for (channel, state, count, at, reason, error) in found {
            let depth = channels.entry(channel).or_insert_with_key(|channel| ChannelDepth::of(channel));
            let (count, at) = (count.unsigned_abs(), at.map(instant));
            match state.as_str() {
                "waiting" => (depth.waiting, depth.oldest_waiting_at) = (count, at),
                "held" => depth.held = count,
                "sent" => (depth.sent, depth.last_sent_at) = (count, at),
                "failed" => depth.failed = count,
                "merged" => depth.merged = count,
                _ => {
                    let said = without_addresses(&error.unwrap_or_default());
                    let reason = reason.unwrap_or_default();
                    depth.pause = at.map(|until| ChannelPause { until, reason, said });
                }
            }
        }
        let channels: Vec<ChannelDepth> = channels.into_values().collect();
        let has_failed = channels.iter().any(|depth| depth.failed > 0);
        let given_up = if has_failed { self.given_up().await? } else { Vec::new() };
        Ok(OutboxDepth { channels, given_up })
    }

    async fn given_up(&self) -> Result<Vec<GivenUp>, StoreError> {
        type Columns = (i64, String, String, i64, i64, u32, Option<String>);
        let found: Vec<Columns> = sqlx::query_as(GIVEN_UP)
            .bind(SHOWN_GIVEN_UP)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let mut given_up = Vec::with_capacity(found.len());
        for (id, channel, kind, decided_at, at, attempts, error) in found {
            given_up.push(GivenUp {
                id,
                channel,
                notices: self.notices_of(id, kind == "collected").await?,
                decided_at: instant(decided_at),
                at: instant(at),
                attempts,
                said: without_addresses(&error.unwrap_or_default()),
            });
        }
        Ok(given_up)
    }

    /// What a message was to tell: of one conversation the newest.
    async fn notices_of(&self, id: i64, is_collected: bool) -> Result<Vec<UntoldNotice>, StoreError> {
        let select = match is_collected {
            true => {
                "SELECT l.name, n.team, n.rule, n.stage, n.why FROM outbox AS o JOIN notices AS n ON n.id = o.notice_id \
                     JOIN ledger_accounts AS l ON l.id = n.account_id WHERE o.merged_into = $1 AND o.kind = 'notice' \
                     ORDER BY o.id"
            }
            false => {
                "SELECT l.name, n.team, n.rule, n.stage, n.why FROM outbox AS o JOIN notices AS n ON n.id = o.notice_id \
                      JOIN ledger_accounts AS l ON l.id = n.account_id WHERE o.id = $1"
            }
        };
        let found: Vec<(String, String, String, String, String)> =
            sqlx::query_as(select).bind(id).fetch_all(&self.readers).await.map_err(|error| self.explain(error))?;
        // What a later version wrote and this one does not know is left out.
        let notice = |(account, team, rule, stage, why): (String, String, String, String, String)| {
            let key = DrawKey { account: AccountName::parse(&account).ok()?, team: TeamName::parse(&team).ok()? };
            let (rule, stage) = (RuleName::parse(&rule)?, Stage::parse(&stage)?);
            Some(UntoldNotice { key, rule, stage, why: Why::parse(&why)? })
        };
        Ok(found.into_iter().filter_map(notice).collect())
    }

    /// When the next waiting message of a channel is due; `None` if none waits.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn next_message_due_at(&self, channel: &str) -> Result<Option<Timestamp>, StoreError> {
        // One look into the index for each half of it.
        let select = "SELECT MIN(at) FROM (SELECT MIN(next_attempt_at) AS at FROM outbox \
                      WHERE state = 'waiting' AND channel = $1 AND is_urgent = 1 UNION ALL \
                      SELECT MIN(next_attempt_at) FROM outbox WHERE state = 'waiting' AND channel = $1 AND is_urgent = 0)";
        let found: Option<i64> = sqlx::query_scalar(select)
            .bind(channel)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(found.map(instant))
    }
}

/// Puts a mail into the outbox, unless the same one (by its id) is there.
pub(super) async fn keep_mail(
    connection: &mut SqliteConnection,
    notice: Option<i64>,
    is_urgent: bool,
    mail: &RenderedMail,
    now: Timestamp,
    kind: MessageKind,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO outbox (notice_id, channel, kind, sender, recipient, message_id, thread, subject, summary, \
                  is_urgent, state, attempts, created_at, oldest_at, tried_from, next_attempt_at, body_text, body_html, \
                  message) VALUES ($1, $2, $14, $3, $4, $5, $6, $7, $8, $9, 'waiting', 0, $10, $10, $10, $10, $11, $12, \
                  $13) ON CONFLICT (message_id) DO NOTHING";
    sqlx::query(insert)
        .bind(notice)
        .bind(&mail.channel)
        .bind(&mail.sender)
        .bind(&mail.recipient)
        .bind(&mail.message_id)
        .bind(&mail.thread)
        .bind(&mail.subject)
        .bind(&mail.summary)
        .bind(i64::from(is_urgent))
        .bind(millis(now))
        .bind(&mail.text)
        .bind(&mail.html)
        .bind(&mail.message[..])
        .bind(kind.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts messages that were closed; a negative number takes back what a person has tried again.
async fn count_closed(
    connection: &mut SqliteConnection,
    channel: &str,
    state: &str,
    messages: i64,
    at: Timestamp,
) -> sqlx::Result<()> {
    if messages == 0 {
        return Ok(());
    }
    let upsert = "INSERT INTO outbox_totals (channel, state, messages, last_closed_at) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (channel, state) DO UPDATE SET messages = outbox_totals.messages + excluded.messages, \
                  last_closed_at = CASE WHEN excluded.messages > 0 AND excluded.last_closed_at > \
                  outbox_totals.last_closed_at THEN excluded.last_closed_at ELSE outbox_totals.last_closed_at END";
    sqlx::query(upsert).bind(channel).bind(state).bind(messages).bind(millis(at)).execute(connection).await?;
    Ok(())
}

/// `$n, $n+1, …` for a list of so many values, from `$first` on.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}
