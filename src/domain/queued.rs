//! What is launched and not charged yet.

use super::credits::Credits;

/// Tasks that are launched and whose charge is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Tasks whose cost is known from others like them.
    pub tasks: u64,
    /// What those will cost: for each the median cost of its task type and quality.
    pub credits: Credits,
    /// Tasks of which nobody knows what they will cost; they are not counted.
    pub unknown_tasks: u64,
    /// Whether the platform holds credits back for running tasks: then what is left is without them already, and nothing
    /// more is taken off.
    pub is_held: bool,
}

impl Queued {
    /// Together with those of another team.
    #[must_use]
    pub fn and(self, other: Queued) -> Queued {
        Queued {
            tasks: self.tasks + other.tasks,
            credits: self.credits + other.credits,
            unknown_tasks: self.unknown_tasks + other.unknown_tasks,
            is_held: self.is_held || other.is_held,
        }
    }

    /// What is taken off what is left.
    pub fn to_take_off(&self) -> Credits {
        if self.is_held { Credits::ZERO } else { self.credits }
    }
}

/// Tasks of one kind that wait in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The platform's word.
    pub task_type: String,
    /// The platform's word; may be empty.
    pub quality: String,
    /// Those that were charged when they were launched.
    pub charged_tasks: u64,
    /// What for.
    pub charged: Credits,
    /// Those that were not charged yet.
    pub uncharged_tasks: u64,
}

/// Whether a platform is known to give back what was charged for a task that is cancelled while it waits, by the name of its
/// mapping. Meshy documents it for tasks that were not begun, Tripo for all of them (the price is only held back until a
/// task succeeds). The others say nothing.
pub fn gives_back_when_cancelled(platform: &str) -> bool {
    matches!(platform, "meshy" | "tripo")
}
