//! What becomes of a recipient's waiting messages: which leave, which wait for the caps, and which become one.
//!
//! Messages of one conversation become one when they have got stuck: one of them failed, is held back, or has waited for
//! [`MERGE_AFTER`]. What is true now is then told first, and once. A quick sequence stays as it was decided.
//!
//! More messages than the caps have room for are collected in one, as long as there is room for one; else they are held until
//! there is. What is urgent has the whole of the daily cap for itself and is gathered only when more of it waits at once
//! than the hourly cap names. A collected message that waits takes in what is new of the conversations that it tells.
//!
//! A report is neither collected nor superseded: a line would say nothing of what is in its tables. It waits for room, behind
//! the alerts at first, and by its age once it has waited for an hour.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{DAY, DeliveryLimits, HOUR, MergeReason, MessageKind};

/// After waiting so long a message that was never tried counts as stuck too: the agent was down, or the channel paused.
pub const MERGE_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Most notices in one collected message: what a person still reads, and well below the size at which mails are cut off.
pub const MOST_COLLECTED: usize = 60;

/// What waits for one recipient, and what the recipient was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientQueue {
    /// The recipient.
    pub recipient: String,
    /// Waiting messages, those under way among them, by the moment they were decided.
    pub waiting: Vec<WaitingMessage>,
    /// When messages were accepted within the last day, oldest first.
    pub sent: Vec<Timestamp>,
}

/// A waiting message, as far as a plan needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMessage {
    /// The outbox's row.
    pub id: i64,
    /// What it is.
    pub kind: MessageKind,
    /// The conversations that it tells: one, or all that were collected.
    pub threads: Vec<String>,
    /// How many notices it tells.
    pub notices: usize,
    /// See [`super::is_urgent`].
    pub is_urgent: bool,
    /// Whether it is being sent just now.
    pub is_under_way: bool,
    /// Tries so far.
    pub attempts: u32,
    /// When the newest of what it tells was decided.
    pub created_at: Timestamp,
    /// When it is to be tried.
    pub next_attempt_at: Timestamp,
}

/// What is to be done. Every message is named once at most; what is not named waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Messages that become one.
    pub merges: Vec<Merge>,
    /// Messages that the caps hold back.
    pub holds: Vec<Hold>,
    /// Messages that may leave now, in this order.
    pub sends: Vec<i64>,
}

/// Messages that become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Why.
    pub reason: MergeReason,
    /// Which: for one that supersedes, the newest last.
    pub messages: Vec<i64>,
    /// Whether the one is urgent.
    pub is_urgent: bool,
}

/// Messages that wait for the caps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub messages: Vec<i64>,
    /// When there is room again.
    pub until: Timestamp,
}

/// Plans what becomes of a recipient's messages at `now`. `can_merge` is whether the channel has messages that tell
/// several notices.
pub fn plan(queue: &RecipientQueue, limits: &DeliveryLimits, can_merge: bool, now: Timestamp) -> Plan {
    let (busy, free): (Vec<&WaitingMessage>, Vec<_>) = queue.waiting.iter().partition(|message| message.is_under_way);
    let mut room = Room::of(queue, busy.len(), limits, now);
    let units = units(&free, can_merge, now);
    let (pool, apart) = divide(units, &mut room);
    let mut plan = Plan::default();
    let mut leaving: Vec<Unit> = apart;
    gather(pool, &room, can_merge, &mut plan, &mut leaving);

    // One of a conversation at a time and the oldest first, so that none overtakes another. A collected one, and a report,
    // keeps nobody waiting and waits for nobody: it tells what was, each line with its time.
    let mut spoken_for: BTreeSet<&str> =
        busy.iter().filter(|message| !message.stands_alone()).map(|message| message.thread()).collect();
    let mut may_leave = BTreeSet::new();
    leaving.sort_by_key(|unit| (unit.created_at(), unit.messages[0].id));
    for unit in &leaving {
        let [message] = unit.messages[..] else { continue };
        let is_due = message.next_attempt_at <= now;
        // One that waits for its next try keeps its place.
        let is_first = message.stands_alone() || spoken_for.insert(message.thread());
        if is_due && is_first {
            may_leave.insert(message.id);
        }
    }
    leaving.sort_by_key(|unit| !unit.is_urgent);
    for unit in leaving {
        match unit.messages[..] {
            [message] if may_leave.contains(&message.id) => plan.sends.push(message.id),
            [_] => {}
            _ => plan.merges.push(unit.merge(MergeReason::Superseded)),
        }
    }
    plan
}

/// One message, or those of a stuck conversation, which count as the one that they become.
struct Unit<'a> {
    /// By the moment they were decided.
    messages: Vec<&'a WaitingMessage>,
    is_urgent: bool,
}

impl WaitingMessage {
    fn is_collected(&self) -> bool {
        self.kind == MessageKind::Collected
    }

    fn is_report(&self) -> bool {
        self.kind == MessageKind::Report
    }

    /// Whether it is in no conversation with others.
    fn stands_alone(&self) -> bool {
        self.is_collected() || self.is_report()
    }

    /// The conversation of a message that is not collected.
    fn thread(&self) -> &str {
        self.threads.first().map_or("", String::as_str)
    }

    fn is_stuck(&self, now: Timestamp) -> bool {
        let has_waited = now.duration_since(self.created_at) >= MERGE_AFTER;
        self.attempts > 0 || self.next_attempt_at > now || has_waited
    }
}

impl Unit<'_> {
    fn is_collected(&self) -> bool {
        self.messages.iter().any(|message| message.is_collected())
    }

    fn is_report(&self) -> bool {
        self.messages[0].is_report()
    }

    fn created_at(&self) -> Timestamp {
        self.messages[0].created_at
    }

    fn notices(&self) -> usize {
        self.messages.iter().map(|message| message.notices).sum()
    }

    fn merge(&self, reason: MergeReason) -> Merge {
        Merge { reason, messages: self.messages.iter().map(|message| message.id).collect(), is_urgent: self.is_urgent }
    }
}

fn units<'a>(free: &[&'a WaitingMessage], can_merge: bool, now: Timestamp) -> Vec<Unit<'a>> {
    let single = || free.iter().filter(|message| can_merge && !message.stands_alone());
    let stuck: BTreeSet<&str> =
        single().filter(|message| message.is_stuck(now)).map(|message| message.thread()).collect();
    let mut units: Vec<Unit> = Vec::with_capacity(free.len());
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for message in free {
        let joins = !message.stands_alone() && stuck.contains(message.thread());
        match places.get(message.thread()).filter(|_| joins) {
            Some(place) => {
                let unit = &mut units[*place];
                unit.messages.push(message);
                // What is true now decides.
                unit.is_urgent = message.is_urgent;
            }
            None => {
                if joins {
                    places.insert(message.thread(), units.len());
                }
                units.push(Unit { messages: vec![message], is_urgent: message.is_urgent });
            }
        }
    }
    units
}

/// What is to be collected or held back, and what goes its own way.
fn divide<'a>(units: Vec<Unit<'a>>, room: &mut Room) -> (Vec<Unit<'a>>, Vec<Unit<'a>>) {
    let told: BTreeSet<&str> = units
        .iter()
        .filter(|unit| unit.is_collected())
        .flat_map(|unit| &unit.messages[0].threads)
        .map(String::as_str)
        .collect();
    let is_told = |unit: &Unit| told.contains(unit.messages[0].thread());
    let urgent = units.iter().filter(|unit| unit.is_urgent).count();
    let calm = |unit: &&Unit| !unit.is_urgent && (unit.is_collected() || !is_told(unit));
    let calm = units.iter().filter(calm).count();
    if urgent > room.urgent().min(room.per_hour()) {
        return (units, Vec::new());
    }
    room.taken = urgent;
    if calm > room.calm() {
        units.into_iter().partition(|unit| !unit.is_urgent)
    } else {
        units.into_iter().partition(|unit| unit.is_collected() || (!unit.is_urgent && is_told(unit)))
    }
}

/// Collects what is in a pool in messages, as many as there is room for, and holds the rest.
fn gather<'a>(mut pool: Vec<Unit<'a>>, room: &Room, can_merge: bool, plan: &mut Plan, leaving: &mut Vec<Unit<'a>>) {
    let is_urgent = pool.iter().any(|unit| unit.is_urgent);
    let most = if is_urgent { room.urgent() } else { room.calm() };
    let may_go_first = |message: &WaitingMessage| {
        message.next_attempt_at <= room.now && room.now.duration_since(message.created_at) >= HOUR
    };
    let comes_last = |unit: &Unit| unit.is_report() && !may_go_first(unit.messages[0]);
    pool.sort_by_key(|unit| (!unit.is_urgent, comes_last(unit), unit.created_at(), unit.messages[0].id));
    let mut bundles: Vec<Vec<Unit>> = Vec::new();
    for unit in pool {
        let has_place = |bundle: &&mut Vec<Unit>| {
            can_merge && bundle.iter().map(Unit::notices).sum::<usize>() + unit.notices() <= MOST_COLLECTED
        };
        let last = bundles.iter_mut().rfind(|bundle| !bundle[0].is_report());
        match last.filter(|_| !unit.is_report()).filter(has_place) {
            Some(bundle) => bundle.push(unit),
            None => bundles.push(vec![unit]),
        }
    }
    let held = bundles.split_off(bundles.len().min(most));
    // What is kept for what is urgent is not for reports.
    let late = bundles.split_off(bundles.len().min(room.calm()));
    let (reports, kept): (Vec<_>, Vec<_>) = late.into_iter().partition(|bundle| bundle[0].is_report());
    bundles.extend(kept);
    for (held, is_urgent) in [(held, is_urgent), (reports, false)] {
        let messages: Vec<i64> =
            held.iter().flatten().flat_map(|unit| &unit.messages).map(|message| message.id).collect();
        if !messages.is_empty() {
            plan.holds.push(Hold { messages, until: room.next(is_urgent, bundles.len()) });
        }
    }
    for mut bundle in bundles {
        if bundle.len() == 1 {
            leaving.append(&mut bundle);
            continue;
        }
        let is_urgent = bundle.iter().any(|unit| unit.is_urgent);
        let messages = bundle.into_iter().flat_map(|unit| unit.messages).collect();
        plan.merges.push(Unit { messages, is_urgent }.merge(MergeReason::Collected));
    }
}

/// What the caps leave to a recipient.
struct Room<'a> {
    /// When messages were sent, oldest first; those under way count as sent now.
    sent: Vec<Timestamp>,
    limits: &'a DeliveryLimits,
    now: Timestamp,
    /// So many that are urgent leave now, before anything that is not.
    taken: usize,
}

impl Room<'_> {
    fn of<'a>(queue: &RecipientQueue, under_way: usize, limits: &'a DeliveryLimits, now: Timestamp) -> Room<'a> {
        // What a clock that was ahead has left behind is no reason to wait for it.
        let mut sent: Vec<Timestamp> = queue.sent.iter().copied().filter(|at| *at <= now).collect();
        sent.extend(std::iter::repeat_n(now, under_way));
        Room { sent, limits, now, taken: 0 }
    }

    fn per_hour(&self) -> usize {
        self.limits.per_recipient_per_hour as usize
    }

    fn per_day(&self) -> usize {
        self.limits.per_recipient_per_day as usize
    }

    fn per_day_for_calm(&self) -> usize {
        self.per_day() - self.limits.reserve() as usize
    }

    fn within(&self, window: SignedDuration) -> usize {
        self.sent.iter().filter(|at| self.now.duration_since(**at) < window).count()
    }

    /// For what is not urgent.
    fn calm(&self) -> usize {
        let hourly = self.per_hour().saturating_sub(self.within(HOUR));
        let daily = self.per_day_for_calm().saturating_sub(self.within(DAY));
        hourly.min(daily).min(self.urgent().saturating_sub(self.taken))
    }

    /// For what is urgent.
    fn urgent(&self) -> usize {
        self.per_day().saturating_sub(self.within(DAY))
    }

    /// When there is room again after `more` are sent now.
    fn next(&self, is_urgent: bool, more: usize) -> Timestamp {
        let frees = |most: usize, window| {
            let sent = self.sent.len() + more;
            match sent.checked_sub(most) {
                None => self.now,
                Some(place) => {
                    self.sent.get(place).copied().unwrap_or(self.now).saturating_add(window).unwrap_or(self.now)
                }
            }
        };
        let next = match is_urgent {
            true => frees(self.per_day(), DAY),
            false => frees(self.per_hour(), HOUR).max(frees(self.per_day_for_calm(), DAY)),
        };
        // Not at once again, whatever a clock did.
        next.max(self.now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(self.now))
    }
}
