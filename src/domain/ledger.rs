//! The ledger's arithmetic: records in, entries out. Pure; `store` keeps what comes out.
//!
//! A platform is read in pages that overlap, repeat and sometimes arrive late. So [`reconcile_task`] joins each record
//! with what is known already instead of trusting the order: what was charged and what came back only grow, a final
//! state stays final, and an entry's key names the amount reached, so that reading the same thing twice adds nothing.

use jiff::{SignedDuration, Timestamp};

use super::account::TeamName;
use super::credits::Credits;
use super::reading::{TaskRecord, TaskState};

/// What a ledger entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// Credits taken for a task.
    Charge,
    /// Credits of a task that came back.
    Refund,
    /// Credits bought or awarded.
    Grant,
    /// Credits that lapsed at their own date.
    Expiry,
    /// The balance was set anew at a plan reset.
    Reset,
    /// What no other entry explains, closed so that entries and balances agree from here on.
    Adjustment,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [EntryKind; 6] = [
        EntryKind::Charge,
        EntryKind::Refund,
        EntryKind::Grant,
        EntryKind::Expiry,
        EntryKind::Reset,
        EntryKind::Adjustment,
    ];

    /// The word used in the store and in exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            EntryKind::Charge => "charge",
            EntryKind::Refund => "refund",
            EntryKind::Grant => "grant",
            EntryKind::Expiry => "expiry",
            EntryKind::Reset => "reset",
            EntryKind::Adjustment => "adjustment",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<EntryKind> {
        EntryKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How an amount is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The platform said it.
    Reported,
    /// Worked out from a difference of balances.
    Derived,
    /// Taken from a table of prices, because the platform does not say what a task cost.
    Estimated,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Basis; 3] = [Basis::Reported, Basis::Derived, Basis::Estimated];

    /// The word used in the store and in exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Reported => "reported",
            Basis::Derived => "derived",
            Basis::Estimated => "estimated",
        }
    }

    /// The basis of that word.
    pub fn parse(word: &str) -> Option<Basis> {
        Basis::ALL.into_iter().find(|basis| basis.as_str() == word)
    }
}

/// One line of the ledger. Entries are only ever added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique within the account: the same event read twice has the same key. `charge/<task>/<credits taken so far>`, …
    pub key: String,
    /// What it is about.
    pub kind: EntryKind,
    /// When it happened, by the platform's clock.
    pub at: Timestamp,
    /// When we saw it, by ours.
    pub seen_at: Timestamp,
    /// How much; above zero for charges, refunds, grants and expiries; the change of the balance, of either sign, for
    /// resets and adjustments.
    pub credits: Credits,
    /// The task, for charges and refunds.
    pub task_id: Option<String>,
    /// The team it belongs to, if any.
    pub team: Option<TeamName>,
    /// How the amount is known.
    pub basis: Basis,
}

impl Entry {
    /// What the entry does to a balance. Frozen credits count as held: only the end of a task spends them.
    pub fn change(&self) -> Credits {
        match self.kind {
            EntryKind::Charge | EntryKind::Expiry => -self.credits,
            EntryKind::Refund | EntryKind::Grant | EntryKind::Reset | EntryKind::Adjustment => self.credits,
        }
    }
}

/// What the ledger already holds of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownTask {
    /// Its state as last seen; a final state never goes back.
    pub state: TaskState,
    /// Sum of its charge entries.
    pub charged: Credits,
    /// Sum of its refund entries.
    pub refunded: Credits,
    /// What it cost in the end, once a final record has said so; then `charged` less `refunded` is this.
    pub settled: Option<Credits>,
    /// Of `charged`, what was taken for a task already charged for, each time at least as much again: it looks as if the
    /// platform charged twice.
    pub charged_again: Credits,
    /// The most that the platform ever said came back; more than `charged` cannot be right.
    pub said_refunded: Credits,
}

impl KnownTask {
    /// A task in this state, for which nothing was charged yet.
    pub fn new(state: TaskState) -> KnownTask {
        KnownTask {
            state,
            charged: Credits::ZERO,
            refunded: Credits::ZERO,
            settled: None,
            charged_again: Credits::ZERO,
            said_refunded: Credits::ZERO,
        }
    }

    /// Charged less refunded.
    pub fn net(&self) -> Credits {
        self.charged - self.refunded
    }
}

/// What one record adds to the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskChange {
    /// What is known of the task from now on.
    pub known: KnownTask,
    /// New entries; none if the record says nothing new.
    pub entries: Vec<Entry>,
}

/// How long after its own time a sum of many tasks, such as a day's use, may still grow because something happens.
pub const SUM_SETTLES: SignedDuration = SignedDuration::from_hours(48);

/// Net use of one team in one hour: charges less what came back for them, at the hour in which the credits left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourlyUse {
    /// Whole hours since the Unix epoch, UTC.
    pub hour: i64,
    /// Net credits used.
    pub net: Credits,
    /// Charges with net use above zero.
    pub charges: u32,
}

impl HourlyUse {
    /// The hour that an instant lies in.
    pub fn hour_of(at: Timestamp) -> i64 {
        at.as_second().div_euclid(3600)
    }
}

/// Joins one record of a task with what is known of it.
///
/// - Credits said for the first time are a charge at the launch; more of them later are a further charge.
/// - A final record that says less than was charged, or credits that the platform says came back, are a refund. Before
///   a task is final an amount only grows: platforms say 0 for "not yet".
/// - A record from before the end, read after it, cannot change what the task cost. If it shows that more had been
///   taken meanwhile, that much was charged and came back.
/// - `credits: None` says nothing, and 0 is no entry.
/// - A sum of many tasks is told anew until its time is over, so its last word holds in either direction: what it gained
///   is a charge, what it lost a refund: of a recent sum when it is seen, of an older one, or when it is first told, at
///   the sum's own time.
pub fn reconcile_task(
    known: Option<&KnownTask>,
    record: &TaskRecord,
    team: Option<&TeamName>,
    seen_at: Timestamp,
) -> TaskChange {
    let nothing = KnownTask::new(record.state);
    let before = known.unwrap_or(&nothing);
    let is_late = before.state.is_final() && !record.state.is_final();
    let after = if record.is_sum { sum_after(before, record) } else { task_after(before, record, is_late) };

    // What a sum gained since it was told before happened between then and now, unless an old one is corrected. What it was
    // when first told did so at its own time, as far as anybody can say.
    let is_running = seen_at.duration_since(record.created_at) <= SUM_SETTLES;
    let charged_at = if record.is_sum && known.is_some() && is_running { seen_at } else { record.created_at };
    // A refund happens when the task ends. One that was read together with its charge, without a time of its own,
    // belongs beside the charge; one that appears on a task long final happened about now.
    let refunded_at = match known {
        _ if record.is_sum => charged_at,
        None => record.finished_at.unwrap_or(record.created_at),
        Some(known) if known.state.is_final() && !is_late => seen_at,
        Some(_) => record.finished_at.unwrap_or(seen_at),
    };
    let entry = |kind: EntryKind, reached: Credits, credits: Credits, at: Timestamp| Entry {
        key: format!("{}/{}/{reached}", kind.as_str(), record.id),
        kind,
        at,
        seen_at,
        credits,
        task_id: Some(record.id.clone()),
        team: team.cloned(),
        basis: record.basis,
    };
    let mut entries = Vec::new();
    if after.charged > before.charged {
        let amount = after.charged - before.charged;
        entries.push(entry(EntryKind::Charge, after.charged, amount, charged_at));
    }
    if after.refunded > before.refunded {
        let amount = after.refunded - before.refunded;
        entries.push(entry(EntryKind::Refund, after.refunded, amount, refunded_at));
    }
    TaskChange { known: after, entries }
}

/// What is known of a single task after a record of it.
fn task_after(before: &KnownTask, record: &TaskRecord, is_late: bool) -> KnownTask {
    let charged = before.charged.max(record.credits.unwrap_or(Credits::ZERO));
    // A refund may be told before its charge: what was said then comes back once there is something to give back.
    let said_refunded = before.said_refunded.max(record.refunded.unwrap_or(Credits::ZERO));
    let mut settled = before.settled;
    let mut refunded = before.refunded.max(said_refunded.min(charged));
    match (record.credits, settled) {
        (Some(said), _) if record.state.is_final() => {
            let cost = (said - record.refunded.unwrap_or(Credits::ZERO)).max(Credits::ZERO);
            // Zero for a task that went well and was never charged is "not said yet" on some platforms.
            let is_said = cost.is_positive() || charged.is_positive() || record.state != TaskState::Succeeded;
            if is_said {
                refunded = refunded.max(charged - cost);
                settled = Some(charged - refunded);
            }
        }
        (_, Some(cost)) if is_late => {
            refunded = refunded.max(charged - cost);
            settled = Some(charged - refunded);
        }
        (_, Some(_)) => settled = Some(charged - refunded),
        (_, None) => {}
    }

    let more = charged - before.charged;
    let is_charged_again = before.charged.is_positive() && more >= before.charged;
    KnownTask {
        state: later_state(before.state, record.state),
        charged,
        refunded,
        settled,
        charged_again: before.charged_again + if is_charged_again { more } else { Credits::ZERO },
        said_refunded,
    }
}

/// What is known of a sum of many tasks after it was told again.
fn sum_after(before: &KnownTask, record: &TaskRecord) -> KnownTask {
    let mut after = KnownTask { state: later_state(before.state, record.state), ..before.clone() };
    if let Some(said) = record.credits {
        let net = said - record.refunded.unwrap_or(Credits::ZERO);
        let gained = net - before.net();
        if gained.is_positive() {
            after.charged += gained;
        } else {
            after.refunded += -gained;
        }
        after.settled = Some(net);
    }
    after
}

/// The state to keep of two. Final states are ranked, so that the order of reading does not matter and a count of failed
/// tasks never falls; among the others the newer reading holds.
fn later_state(before: TaskState, now: TaskState) -> TaskState {
    let rank = |state| match state {
        TaskState::Queued | TaskState::Running | TaskState::Unknown => 0,
        TaskState::Succeeded => 1,
        TaskState::Cancelled => 2,
        TaskState::Expired => 3,
        TaskState::Failed => 4,
    };
    if rank(now) >= rank(before) { now } else { before }
}

#[cfg(test)]
mod tests;
