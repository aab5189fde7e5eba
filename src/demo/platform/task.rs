//! One task on the simulated platform.

use std::fmt;

use jiff::Timestamp;

use super::catalog::TaskType;
use crate::domain::{Credits, TaskState};

/// The id of a task: a sortable UUID that begins with the moment of its launch.
///
/// The account and the task's number in it are part of the id, so that a look-up needs no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u128);

impl TaskId {
    /// The id of the task with that number (from 0) in an account, launched at that moment.
    pub fn new(account: usize, number: usize, created_at: Timestamp) -> TaskId {
        let milliseconds = created_at.as_millisecond().max(0) as u128 & 0xffff_ffff_ffff;
        let (account, number) = (account as u128 & 0xff_ffff, number as u128 & 0xffff_ffff);
        // Version 7, variant 2: twelve free bits after the version and sixty-two after the variant.
        let account_high = account >> 12;
        let account_low = account & 0xfff;
        TaskId(milliseconds << 80 | 7 << 76 | account_high << 64 | 2 << 62 | account_low << 48 | number)
    }

    /// The task's number in its account.
    pub fn number(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// The account's number.
    pub fn account(self) -> usize {
        ((self.0 >> 64 & 0xfff) << 12 | self.0 >> 48 & 0xfff) as usize
    }

    /// Reads what [`TaskId`] prints; anything else is `None`.
    pub fn parse(text: &str) -> Option<TaskId> {
        let digits: String = text.split('-').collect();
        let id = TaskId(u128::from_str_radix(&digits, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing that the task object repeats.
    None,
    /// The asset with that number of a simulated team; its words are made when they are asked for.
    Asset(u32),
    /// These words.
    Text(Box<str>),
}

/// A task as the platform keeps it.
#[derive(Clone, Debug)]
pub struct Task {
    /// The task's id.
    pub id: TaskId,
    /// What kind of task.
    pub kind: &'static TaskType,
    /// The number of the account's key that launched it.
    pub key: u8,
    /// The state. The simulation uses all but `Expired` and `Unknown`.
    pub state: TaskState,
    /// Credits taken at the launch.
    pub charged: Credits,
    /// The part of `charged` that came out of the monthly credits.
    pub charged_monthly: Credits,
    /// Whether `charged` was given back.
    pub is_refunded: bool,
    /// What was asked for.
    pub prompt: Prompt,
    /// The launch.
    pub created_at: Timestamp,
    /// When work on it began.
    pub started_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// How long work on it takes; 0 when a test decides.
    pub work_seconds: u32,
    /// What will become of it.
    pub fate: Fate,
}

/// What will become of a simulated task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ends well.
    Succeed,
    /// It ends badly and the credits come back.
    Fail,
    /// Somebody withdraws it that many seconds after the launch, if it has not ended by then.
    Cancel {
        /// Seconds after the launch.
        after_seconds: u32,
    },
    /// A test decides.
    Manual,
}

impl Task {
    /// What the task cost in the end: nothing once it was refunded.
    pub fn consumed(&self) -> Credits {
        if self.is_refunded { Credits::ZERO } else { self.charged }
    }

    /// The share of the work that is done at `now`, in per cent.
    pub fn progress_percent(&self, now: Timestamp) -> u32 {
        match (self.state, self.started_at) {
            (TaskState::Succeeded, _) => 100,
            (TaskState::Running, Some(_)) if self.work_seconds == 0 => 50,
            (TaskState::Running, Some(started_at)) => {
                let worked = now.duration_since(started_at).as_secs().max(0);
                (worked * 100 / i64::from(self.work_seconds)).clamp(0, 99) as u32
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_its_account_and_number() {
        let at: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
        for (account, number) in [(0, 0), (2, 5_000), (9_999, 1), (0xff_ffff, 0xffff_ffff)] {
            let id = TaskId::new(account, number, at);
            assert_eq!((id.account(), id.number()), (account, number));
            let text = id.to_string();
            assert_eq!(TaskId::parse(&text), Some(id));
            assert_eq!((text.len(), &text[14..15], &text[19..20]), (36, "7", "8"), "{text}");
        }
        assert!(TaskId::new(1, 0, at) < TaskId::new(0, 0, at + jiff::SignedDuration::from_millis(1)));
        for text in ["", "x", "019a9c10-0001-7000-8000", "019A9C10-0001-7000-8000-000000000001", "é-1"] {
            assert_eq!(TaskId::parse(text), None, "{text}");
        }
    }
}
