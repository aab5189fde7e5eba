//! The outbox on the pages and in JSON. No address is shown: whoever reaches the port can read this.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::words;
use crate::domain::{ChannelDepth, EMAIL_CHANNEL, GivenUp, Snapshot, UntoldNotice, Why};

/// Half an hour is the level at which the shipped Prometheus rule speaks up.
const LONG_WAIT_SECONDS: i64 = 1_800;

/// For so long a message that was given up is trouble of the day; then it is history.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The outbox on the front page.
#[derive(Debug, Serialize)]
pub struct OutboxCard {
    channels: Vec<ChannelCard>,
    troubled: bool,
}

#[derive(Debug, Serialize)]
struct ChannelCard {
    name: String,
    waiting: String,
    oldest: Option<String>,
    held: Option<String>,
    waits_long: bool,
    failed: String,
    /// Whether some were given up lately.
    fails: bool,
    sent: String,
    merged: Option<String>,
    paused: Option<Paused>,
}

#[derive(Debug, Serialize)]
struct Paused {
    until: String,
    reason: String,
    said: String,
}

/// A message that somebody did not get.
#[derive(Debug, Serialize)]
pub struct GivenUpRow {
    channel: String,
    notices: Vec<UntoldRow>,
    decided: String,
    given_up: String,
    tries: String,
    said: String,
}

#[derive(Debug, Serialize)]
struct UntoldRow {
    team: String,
    team_path: String,
    account: String,
    what: &'static str,
    stage: &'static str,
    why: &'static str,
}

impl OutboxCard {
    /// The outbox at `now`.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> OutboxCard {
        let zone = zone_of(snapshot);
        let is_recent = |one: &GivenUp| now.duration_since(one.at) < RECENT;
        let card = |depth: &ChannelDepth| {
            let oldest = depth.oldest_waiting_at.map(|at| now.as_second() - at.as_second());
            ChannelCard {
                name: if depth.channel == EMAIL_CHANNEL { "mail".to_owned() } else { depth.channel.clone() },
                waiting: words::count(depth.waiting),
                oldest: oldest.map(words::span),
                held: (depth.held > 0).then(|| words::count(depth.held)),
                waits_long: oldest.is_some_and(|seconds| seconds > LONG_WAIT_SECONDS),
                failed: words::count(depth.failed),
                fails: snapshot.outbox.given_up.iter().any(|one| one.channel == depth.channel && is_recent(one)),
                sent: words::count(depth.sent),
                merged: (depth.merged > 0).then(|| words::count(depth.merged)),
                paused: depth.pause.as_ref().map(|pause| Paused {
                    until: words::moment(pause.until, &zone, now),
                    reason: pause.reason.clone(),
                    said: pause.said.clone(),
                }),
            }
        };
        let channels: Vec<ChannelCard> = snapshot.outbox.channels.iter().map(card).collect();
        let troubled = channels.iter().any(|card| card.waits_long || card.fails || card.paused.is_some());
        OutboxCard { channels, troubled }
    }
}

/// The messages given up last, newest first.
pub fn given_up(snapshot: &Snapshot, now: Timestamp) -> Vec<GivenUpRow> {
    let zone = |one: &GivenUp| {
        let account = one.notices.first().map(|notice| &notice.key.account);
        let known = snapshot.accounts.iter().find(|known| Some(&known.account) == account);
        known.map_or_else(|| zone_of(snapshot), |known| known.zone.clone())
    };
    let row = |one: &GivenUp| GivenUpRow {
        channel: one.channel.clone(),
        notices: one.notices.iter().map(UntoldRow::of).collect(),
        decided: words::moment(one.decided_at, &zone(one), now),
        given_up: words::moment(one.at, &zone(one), now),
        tries: words::counted(u64::from(one.attempts), "try", "tries"),
        said: one.said.clone(),
    };
    snapshot.outbox.given_up.iter().map(row).collect()
}

impl UntoldRow {
    fn of(notice: &UntoldNotice) -> UntoldRow {
        let why = match notice.why {
            Why::Opened => "began to fire",
            Why::Worsened => "became worse",
            Why::Repeated => "is still true",
            Why::Resolved => "was over",
            Why::PlanReset => "ended with the plan period",
        };
        UntoldRow {
            team: notice.key.team.to_string(),
            team_path: words::path_segment(notice.key.team.as_str()),
            account: notice.key.account.to_string(),
            what: notice.rule.in_words(),
            stage: notice.stage.as_str(),
            why,
        }
    }
}

/// The outbox as JSON.
pub fn as_json(snapshot: &Snapshot) -> Value {
    let outbox = &snapshot.outbox;
    let total = outbox.total();
    json!({
        "waiting": total.waiting,
        "held": total.held,
        "failed": total.failed,
        "sent": total.sent,
        "merged": total.merged,
        "oldest_waiting_at": time(total.oldest_waiting_at),
        "channels": outbox.channels.iter().map(channel_as_json).collect::<Vec<_>>(),
        "given_up": outbox.given_up.iter().map(given_up_as_json).collect::<Vec<_>>(),
    })
}

fn channel_as_json(depth: &ChannelDepth) -> Value {
    json!({
        "channel": depth.channel,
        "waiting": depth.waiting,
        "held": depth.held,
        "failed": depth.failed,
        "sent": depth.sent,
        "merged": depth.merged,
        "oldest_waiting_at": time(depth.oldest_waiting_at),
        "last_sent_at": time(depth.last_sent_at),
        "paused": depth.pause.as_ref().map(|pause| {
            json!({"until": pause.until.to_string(), "reason": pause.reason, "said": pause.said})
        }),
    })
}

fn given_up_as_json(one: &GivenUp) -> Value {
    let notice = |notice: &UntoldNotice| {
        json!({
            "account": notice.key.account.as_str(),
            "team": notice.key.team.as_str(),
            "rule": notice.rule.as_str(),
            "severity": notice.stage.as_str(),
            "why": notice.why.as_str(),
        })
    };
    json!({
        "id": one.id,
        "channel": one.channel,
        "notices": one.notices.iter().map(notice).collect::<Vec<_>>(),
        "decided_at": one.decided_at.to_string(),
        "given_up_at": one.at.to_string(),
        "tries": one.attempts,
        "said": one.said,
    })
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// The zone of the first account, where nothing else says which one people think in.
fn zone_of(snapshot: &Snapshot) -> TimeZone {
    snapshot.accounts.first().map_or(TimeZone::UTC, |account| account.zone.clone())
}
