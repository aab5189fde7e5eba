//! Messages that are decided and not yet delivered: what they are, how many there are, and the plan of what becomes of
//! those that wait. Whoever keeps and sends them is elsewhere.

use jiff::{SignedDuration, Timestamp};

use super::account::DrawKey;
use super::alert::{Stage, Why};
use super::rule::RuleName;

mod plan;
#[cfg(test)]
mod plan_tests;

pub use plan::{Hold, MERGE_AFTER, MOST_COLLECTED, Merge, Plan, RecipientQueue, WaitingMessage, plan};

/// The name of the channel that is mail, in the outbox and in metrics.
pub const EMAIL_CHANNEL: &str = "email";

/// A rendered mail, about to enter the outbox in the commit that decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMail {
    /// By which way it leaves, such as [`EMAIL_CHANNEL`].
    pub channel: String,
    /// Envelope sender, an address only.
    pub sender: String,
    /// Envelope recipient, an address only.
    pub recipient: String,
    /// With angle brackets, as in the header.
    pub message_id: String,
    /// The conversation: the same for all that tell of one episode.
    pub thread: String,
    /// The subject, which all of a conversation share.
    pub subject: String,
    /// What it says in one line, in the reader's words and zone, with its time: for a mail that tells it among others.
    pub summary: String,
    /// The text part, as it is read.
    pub text: String,
    /// The HTML part, as it is read.
    pub html: String,
    /// The whole message as it goes over the wire.
    pub message: Vec<u8>,
}

/// A message of the outbox: one recipient, the rendered bytes, and how far its delivery has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The outbox's row.
    pub id: i64,
    /// Envelope sender, an address only.
    pub sender: String,
    /// Envelope recipient, an address only.
    pub recipient: String,
    /// Derived from notice and recipient: the same on every try.
    pub message_id: String,
    /// The whole message as it goes over the wire (headers, CRLF line ends).
    pub message: Vec<u8>,
    /// Tries so far.
    pub attempts: u32,
    /// From when its age counts: when it was decided, or when a person had it tried anew.
    pub created_at: Timestamp,
}

/// What a message of the outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// It tells one notice.
    Notice,
    /// It tells several notices of one conversation: what is true now, and what came before.
    Superseding,
    /// It tells notices of several conversations, a line for each.
    Collected,
    /// It sums up a week, a plan period or the agent itself, in tables: always a message of its own.
    Report,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [MessageKind; 4] =
        [MessageKind::Notice, MessageKind::Superseding, MessageKind::Collected, MessageKind::Report];

    /// The word used in the store and for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            MessageKind::Notice => "notice",
            MessageKind::Superseding => "superseding",
            MessageKind::Collected => "collected",
            MessageKind::Report => "report",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<MessageKind> {
        MessageKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Why several messages became one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeReason {
    /// A newer one of the same conversation says what is true now.
    Superseded,
    /// There was more to tell at once than a recipient wants to get.
    Collected,
}

impl MergeReason {
    /// Every reason, so that each series exists before its first merge.
    pub const ALL: [MergeReason; 2] = [MergeReason::Superseded, MergeReason::Collected];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            MergeReason::Superseded => "superseded",
            MergeReason::Collected => "collected",
        }
    }

    /// What comes of it.
    pub const fn kind(self) -> MessageKind {
        match self {
            MergeReason::Superseded => MessageKind::Superseding,
            MergeReason::Collected => MessageKind::Collected,
        }
    }
}

/// What a message that takes the place of several is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeParts {
    /// Why there is one.
    pub reason: MergeReason,
    /// Envelope sender, an address only.
    pub sender: String,
    /// Envelope recipient, an address only.
    pub recipient: String,
    /// The ids of the messages whose place it takes, in the order of their rows.
    pub message_ids: Vec<String>,
    /// Every notice that it tells, the newest last; at least one.
    pub told: Vec<ToldNotice>,
    /// The message of the newest notice, as it was decided.
    pub newest: NewestMessage,
}

/// A notice among several that one message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldNotice {
    /// Its conversation.
    pub thread: String,
    /// Its team, where that is known.
    pub team: Option<String>,
    /// See [`is_urgent`].
    pub is_urgent: bool,
    /// What it says in one line, with its time.
    pub summary: String,
}

/// The message of one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestMessage {
    /// Its conversation.
    pub thread: String,
    /// Its subject.
    pub subject: String,
    /// What it says in one line, with its time.
    pub summary: String,
    /// The text part, as it is read.
    pub text: String,
    /// The HTML part, as it is read.
    pub html: String,
    /// The whole message as it would go over the wire.
    pub message: Vec<u8>,
}

/// How much is sent at most.
///
/// What is urgent passes the hourly cap, and the last fifth of the daily one is kept for it: nothing else can use up a
/// recipient's day. A cap looks back from the moment: an hour is the sixty minutes before it, a day the 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// To one recipient within an hour; at least 1.
    pub per_recipient_per_hour: u32,
    /// To one recipient within a day; at least 1.
    pub per_recipient_per_day: u32,
    /// To all recipients within a minute, failed tries among them; at least 1.
    pub per_minute: u32,
}

impl Default for DeliveryLimits {
    fn default() -> DeliveryLimits {
        DeliveryLimits { per_recipient_per_hour: 10, per_recipient_per_day: 50, per_minute: 60 }
    }
}

impl DeliveryLimits {
    /// How many of a day's messages are for what is urgent alone.
    pub const fn reserve(&self) -> u32 {
        self.per_recipient_per_day / 5
    }
}

/// Whether a notice is urgent: it passes the hourly cap, and goes first. That a critical alert is over can wait.
pub fn is_urgent(stage: Stage, why: Why) -> bool {
    stage == Stage::Critical && matches!(why, Why::Opened | Why::Worsened | Why::Repeated)
}

/// The state of the outbox, each channel by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxDepth {
    /// By name. Mail is always among them.
    pub channels: Vec<ChannelDepth>,
    /// The messages given up last, newest first; not all of them.
    pub given_up: Vec<GivenUp>,
}

/// How much there is of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelDepth {
    /// The channel's name.
    pub channel: String,
    /// Waiting for their first or next try.
    pub waiting: u64,
    /// Held back, because their recipients have had enough for now.
    pub held: u64,
    /// Given up.
    pub failed: u64,
    /// Delivered.
    pub sent: u64,
    /// Told by another message.
    pub merged: u64,
    /// When the oldest of what waits for a try was decided.
    pub oldest_waiting_at: Option<Timestamp>,
    /// When the last one was accepted.
    pub last_sent_at: Option<Timestamp>,
    /// Whether all of it is left alone for a while.
    pub pause: Option<ChannelPause>,
}

/// A channel that is left alone, because what failed concerns every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPause {
    /// When it is tried again.
    pub until: Timestamp,
    /// Why, as in the `reason` label.
    pub reason: String,
    /// What was said, without addresses.
    pub said: String,
}

/// A message that was given up: somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The outbox's row.
    pub id: i64,
    /// Its channel.
    pub channel: String,
    /// What was to be told.
    pub notices: Vec<UntoldNotice>,
    /// When the oldest of it was decided.
    pub decided_at: Timestamp,
    /// When it was given up.
    pub at: Timestamp,
    /// Tries.
    pub attempts: u32,
    /// Why, in the words of who refused it, without addresses.
    pub said: String,
}

/// What somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntoldNotice {
    /// Account and team.
    pub key: DrawKey,
    /// Which rule.
    pub rule: RuleName,
    /// The stage.
    pub stage: Stage,
    /// What had happened.
    pub why: Why,
}

impl Default for OutboxDepth {
    fn default() -> OutboxDepth {
        OutboxDepth { channels: vec![ChannelDepth::of(EMAIL_CHANNEL)], given_up: Vec::new() }
    }
}

impl OutboxDepth {
    /// Those of every channel, as one.
    pub fn total(&self) -> ChannelDepth {
        let mut total = ChannelDepth::default();
        for depth in &self.channels {
            total.waiting += depth.waiting;
            total.held += depth.held;
            total.failed += depth.failed;
            total.sent += depth.sent;
            total.merged += depth.merged;
            let oldest = [total.oldest_waiting_at, depth.oldest_waiting_at];
            total.oldest_waiting_at = oldest.into_iter().flatten().min();
            total.last_sent_at = total.last_sent_at.max(depth.last_sent_at);
        }
        total
    }
}

impl ChannelDepth {
    /// A channel without messages.
    pub fn of(channel: &str) -> ChannelDepth {
        ChannelDepth { channel: channel.to_owned(), ..ChannelDepth::default() }
    }
}

/// A text without mail addresses: what a relay says often repeats them, and what everybody can read must not.
pub fn without_addresses(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if !word.contains('@') {
            clean.push_str(piece);
            continue;
        }
        let is_around = |c: char| c.is_ascii_punctuation() && c != '@';
        let start = word.len() - word.trim_start_matches(is_around).len();
        let end = word.trim_end_matches(is_around).len().max(start);
        clean.push_str(&word[..start]);
        clean.push('…');
        clean.push_str(&piece[end..]);
    }
    clean
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_left_out() {
        for (text, clean) in [
            ("550 5.1.1 <lead@studio.example>: no such user", "550 5.1.1 <…>: no such user"),
            ("the recipient `a@b` cannot be used", "the recipient `…` cannot be used"),
            ("lead@studio.example rejected, a@b.", "… rejected, …."),
            ("@", "…"),
            ("nothing  to hide\nhere", "nothing  to hide\nhere"),
            ("550 no a@b\nhint: ask a@b\n", "550 no …\nhint: ask …\n"),
        ] {
            assert_eq!(without_addresses(text), clean);
        }
    }

    #[test]
    fn channels_add_up() {
        let at = |second| Timestamp::from_second(second).ok();
        let channel = |name: &str, waiting, second| ChannelDepth {
            waiting,
            oldest_waiting_at: at(second),
            last_sent_at: at(second),
            ..ChannelDepth::of(name)
        };
        let depth = OutboxDepth { channels: vec![channel("a", 2, 5), channel("b", 3, 4)], given_up: Vec::new() };
        let total = depth.total();
        assert_eq!((total.waiting, total.oldest_waiting_at, total.last_sent_at), (5, at(4), at(5)));
        assert_eq!(OutboxDepth::default().channels[0].channel, EMAIL_CHANNEL);
    }

    #[test]
    fn words_are_their_own_inverse() {
        assert!(MessageKind::ALL.into_iter().all(|kind| MessageKind::parse(kind.as_str()) == Some(kind)));
        assert!(MergeReason::ALL.into_iter().all(|reason| MessageKind::parse("x") != Some(reason.kind())));
    }
}
