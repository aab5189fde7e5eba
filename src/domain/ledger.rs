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
    /// The balance was set anew at a plan reset.
    Reset,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [EntryKind; 4] = [EntryKind::Charge, EntryKind::Refund, EntryKind::Grant, EntryKind::Reset];

    /// The word used in the store and in exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            EntryKind::Charge => "charge",
            EntryKind::Refund => "refund",
            EntryKind::Grant => "grant",
            EntryKind::Reset => "reset",
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
    /// How much; above zero for charges, refunds and grants; the change of the balance, of either sign, for resets.
    pub credits: Credits,
    /// The task, for charges and refunds.
    pub task_id: Option<String>,
    /// The team it belongs to, if any.
    pub team: Option<TeamName>,
    /// How the amount is known.
    pub basis: Basis,
}

/// A second attempt at the same thing, of the two kinds that cost credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryKind {
    /// Repeats a task that succeeded.
    Rerun,
    /// Repeats a task that failed.
    Resubmission,
}

impl RetryKind {
    /// Both kinds.
    pub const ALL: [RetryKind; 2] = [RetryKind::Rerun, RetryKind::Resubmission];

    /// The word used in metrics and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            RetryKind::Rerun => "rerun",
            RetryKind::Resubmission => "resubmission",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<RetryKind> {
        RetryKind::ALL.into_iter().find(|kind| kind.as_str() == word)
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
}

impl KnownTask {
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

/// One launch, as far as telling a retry from a first attempt needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was launched.
    pub created_at: Timestamp,
    /// Its state.
    pub state: TaskState,
    /// Whether it continues an earlier task: neither a retry nor what a retry repeats.
    pub is_step: bool,
}

/// How long after a launch the same input still counts as a second attempt at the same thing. A week: long enough for
/// "let us try that again on Monday", short enough that next month's use of a stock prompt is a new piece of work.
pub const RETRY_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

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
pub fn reconcile_task(
    known: Option<&KnownTask>,
    record: &TaskRecord,
    team: Option<&TeamName>,
    seen_at: Timestamp,
) -> TaskChange {
    let nothing = KnownTask { state: record.state, charged: Credits::ZERO, refunded: Credits::ZERO, settled: None };
    let before = known.unwrap_or(&nothing);
    let is_late = before.state.is_final() && !record.state.is_final();

    let charged = before.charged.max(record.credits.unwrap_or(Credits::ZERO));
    let said_refunded = record.refunded.unwrap_or(Credits::ZERO).max(Credits::ZERO).min(charged);
    let mut settled = before.settled;
    let mut refunded = before.refunded.max(said_refunded);
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

    let after = KnownTask { state: later_state(before.state, record.state), charged, refunded, settled };
    // A refund happens when the task ends. One that was read together with its charge, without a time of its own,
    // belongs beside the charge; one that appears on a task long final happened about now.
    let refunded_at = match known {
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
        entries.push(entry(EntryKind::Charge, after.charged, amount, record.created_at));
    }
    if after.refunded > before.refunded {
        let amount = after.refunded - before.refunded;
        entries.push(entry(EntryKind::Refund, after.refunded, amount, refunded_at));
    }
    TaskChange { known: after, entries }
}

/// Which of the attempts at one input repeat an earlier one. `attempts` are all tasks of one fingerprint, by launch
/// (and by id where two were launched together); the answer has one place for each.
///
/// An attempt repeats the one launched before it, if that was within [`RETRY_WINDOW`]: a re-run if that one succeeded, a
/// re-submission if it ended otherwise. While that one is not final nothing is said. Steps are passed over.
pub fn classify_attempts(attempts: &[Attempt]) -> Vec<Option<RetryKind>> {
    let mut previous: Option<&Attempt> = None;
    let mut kinds = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        if attempt.is_step {
            kinds.push(None);
            continue;
        }
        let repeated = previous.filter(|p| attempt.created_at.duration_since(p.created_at) <= RETRY_WINDOW);
        kinds.push(repeated.and_then(|repeated| match repeated.state {
            TaskState::Succeeded => Some(RetryKind::Rerun),
            TaskState::Failed | TaskState::Cancelled | TaskState::Expired => Some(RetryKind::Resubmission),
            TaskState::Queued | TaskState::Running | TaskState::Unknown => None,
        }));
        previous = Some(attempt);
    }
    kinds
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
