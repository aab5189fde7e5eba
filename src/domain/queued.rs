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
