//! The ledger's arithmetic: records in, entries out. Pure; `store` keeps what comes out.

use jiff::Timestamp;

use super::account::TeamName;
use super::credits::Credits;
use super::reading::TaskState;

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
}

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
