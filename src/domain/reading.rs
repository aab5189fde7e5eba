//! What a poll, an import or a push saw, in our words. Records have a fixed shape; a mapping fills them field by field.

use jiff::Timestamp;

use super::account::Attribution;
use super::credits::Credits;
use super::ledger::Basis;
use super::retry::RetryKind;

/// One kind of thing that is read from a platform. Each is polled, fails and goes stale by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collector {
    /// How much is left.
    Balance,
    /// Charge history, or the task lists it is derived from.
    Charges,
    /// Tasks waiting and running.
    Queue,
    /// Allowance and reset.
    Plan,
}

impl Collector {
    /// Every collector, in the order in which a poll reads them.
    pub const ALL: [Collector; 4] = [Collector::Plan, Collector::Charges, Collector::Queue, Collector::Balance];

    /// The word used in metrics, logs and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Collector::Balance => "balance",
            Collector::Charges => "charges",
            Collector::Queue => "queue",
            Collector::Plan => "plan",
        }
    }

    /// The collector of that word.
    pub fn parse(word: &str) -> Option<Collector> {
        Collector::ALL.into_iter().find(|collector| collector.as_str() == word)
    }
}

/// Everything that one look at an account brought. What was not read is absent, never zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Credits left.
    pub balance: Option<BalanceRecord>,
    /// Tasks with their charges, in any order; the same task may appear more than once.
    pub tasks: Vec<TaskRecord>,
    /// The queue.
    pub queue: Option<QueueRecord>,
    /// The plan.
    pub plan: Option<PlanRecord>,
}

/// How much is left, as the platform says. The parts need not add up to `available`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceRecord {
    /// Credits that can be spent now.
    pub available: Credits,
    /// Credits of the plan, which lapse at the reset.
    pub plan: Option<Credits>,
    /// Bought or awarded credits, which stay.
    pub purchased: Option<Credits>,
    /// Credits held for running tasks; not part of `available`.
    pub frozen: Option<Credits>,
}

impl BalanceRecord {
    /// A balance without parts.
    pub fn of(available: Credits) -> BalanceRecord {
        BalanceRecord { available, plan: None, purchased: None, frozen: None }
    }
}

/// The state of a task, as every platform's states map onto ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Accepted, waiting.
    Queued,
    /// Being worked on.
    Running,
    /// Finished well.
    Succeeded,
    /// Finished badly.
    Failed,
    /// Withdrawn by someone.
    Cancelled,
    /// The platform gave up on it.
    Expired,
    /// A state that the mapping does not know. Not final; never stops a poll.
    Unknown,
}

impl TaskState {
    /// Every state.
    pub const ALL: [TaskState; 7] = [
        TaskState::Queued,
        TaskState::Running,
        TaskState::Succeeded,
        TaskState::Failed,
        TaskState::Cancelled,
        TaskState::Expired,
        TaskState::Unknown,
    ];

    /// The word used in mappings, imports, metrics and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskState::Queued => "queued",
            TaskState::Running => "running",
            TaskState::Succeeded => "succeeded",
            TaskState::Failed => "failed",
            TaskState::Cancelled => "cancelled",
            TaskState::Expired => "expired",
            TaskState::Unknown => "unknown",
        }
    }

    /// The state of that word; anything else is [`TaskState::Unknown`].
    pub fn parse(word: &str) -> TaskState {
        TaskState::ALL.into_iter().find(|state| state.as_str() == word).unwrap_or(TaskState::Unknown)
    }

    /// Whether nothing further is expected of the task.
    pub const fn is_final(self) -> bool {
        matches!(self, TaskState::Succeeded | TaskState::Failed | TaskState::Cancelled | TaskState::Expired)
    }
}

/// A salted hash of a task's input (128 bits), by which a second attempt at the same thing is recognised. The input
/// itself, which may be confidential, is never kept. Made at the edge, see `provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// One launch on the platform and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// The platform's id: what makes a charge the same charge however often it is read.
    pub id: String,
    /// When it was launched; credits leave at this instant.
    pub created_at: Timestamp,
    /// When work on it began.
    pub started_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// Its state.
    pub state: TaskState,
    /// The platform's word for the kind of task, such as `text-to-3d-preview`.
    pub task_type: String,
    /// The platform's word for its quality or model; empty where it says nothing.
    pub quality: String,
    /// How many variants it makes, where said.
    pub variants: Option<u32>,
    /// Credits taken for it so far, before what came back; `None` while the platform does not say.
    pub credits: Option<Credits>,
    /// Credits that came back for it, where the platform says so. Where it only lowers `credits`, this is `None`.
    pub refunded: Option<Credits>,
    /// Who launched it.
    pub attribution: Attribution,
    /// The fingerprint of its input, where the platform shows one.
    pub fingerprint: Option<Fingerprint>,
    /// The fingerprint of its kind and the name of the asset that it works on, where the record tells one. Attempts at one
    /// asset are counted together, whatever their inputs; without it, one input counts as one asset.
    pub asset: Option<Fingerprint>,
    /// Whether the task continues an earlier one (refine, texture, rig): progress, never a retry.
    pub is_step: bool,
    /// What kind of retry it is, where the record says so itself; otherwise that follows from fingerprints.
    pub retry: Option<RetryKind>,
    /// Whether this is no single task but a sum of many, such as a day's use of one model, net of what came back. Such a
    /// sum is told anew until its time is over, and the last word holds in either direction; it may be below zero.
    pub is_sum: bool,
    /// How the credits are known.
    pub basis: Basis,
}

impl TaskRecord {
    /// A task of which no more than this is said.
    pub fn new(
        id: impl Into<String>,
        created_at: Timestamp,
        state: TaskState,
        task_type: impl Into<String>,
    ) -> TaskRecord {
        TaskRecord {
            id: id.into(),
            created_at,
            started_at: None,
            finished_at: None,
            state,
            task_type: task_type.into(),
            quality: String::new(),
            variants: None,
            credits: None,
            refunded: None,
            attribution: Attribution::default(),
            fingerprint: None,
            asset: None,
            is_step: false,
            retry: None,
            is_sum: false,
            basis: Basis::Reported,
        }
    }
}

/// A task that was not final when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedTask {
    /// The platform's id.
    pub id: String,
    /// When it was launched.
    pub created_at: Timestamp,
    /// Its kind.
    pub task_type: String,
    /// Its state.
    pub state: TaskState,
}

/// Tasks waiting and running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Tasks accepted and waiting.
    pub waiting: u32,
    /// Tasks being worked on.
    pub running: u32,
    /// How many tasks may wait or run at once, where known.
    pub limit: Option<u32>,
    /// When the oldest waiting task was launched.
    pub oldest_waiting_at: Option<Timestamp>,
}

/// What the platform says of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanRecord {
    /// The plan's name.
    pub name: Option<String>,
    /// Credits that a period begins with.
    pub allowance: Option<Credits>,
    /// The next reset.
    pub resets_at: Option<Timestamp>,
}
