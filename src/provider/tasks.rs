//! Tasks gathered from several pages and lists: each once, in its newest state.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::{Attribution, QueueRecord, TaskRecord, TaskState};

/// Tasks by id, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct TaskSet {
    records: Vec<TaskRecord>,
    index: HashMap<String, usize>,
}

impl TaskSet {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<&TaskRecord> {
        self.index.get(id).map(|at| &self.records[*at])
    }

    /// Adds a record, or merges it with the one of the same id: the newer state wins, and what only one of the two knows
    /// (the key's name from the charge history, the prompt's fingerprint from the task list) is kept.
    pub(super) fn add(&mut self, record: TaskRecord) {
        match self.index.get(&record.id) {
            None => {
                self.index.insert(record.id.clone(), self.records.len());
                self.records.push(record);
            }
            Some(&at) => {
                let known = &mut self.records[at];
                if progress(record.state) >= progress(known.state) {
                    let older = std::mem::replace(known, record);
                    fill(known, older);
                } else {
                    fill(known, record);
                }
            }
        }
    }

    /// The queue, counted.
    pub(super) fn queue(&self) -> QueueRecord {
        counted(self.records.iter().map(|task| (task.state, task.created_at)))
    }

    pub(super) fn into_records(self) -> Vec<TaskRecord> {
        self.records
    }
}

/// The queue of tasks, each by its state and launch.
pub(super) fn counted(tasks: impl Iterator<Item = (TaskState, Timestamp)> + Clone) -> QueueRecord {
    let count = |wanted| tasks.clone().filter(|(state, _)| *state == wanted).count();
    let waiting = tasks.clone().filter(|(state, _)| *state == TaskState::Queued);
    QueueRecord {
        waiting: u32::try_from(count(TaskState::Queued)).unwrap_or(u32::MAX),
        running: u32::try_from(count(TaskState::Running)).unwrap_or(u32::MAX),
        limit: None,
        oldest_waiting_at: waiting.map(|(_, created_at)| created_at).min(),
    }
}

/// How far a task has come; a final state never goes back.
fn progress(state: TaskState) -> u8 {
    match state {
        TaskState::Unknown => 0,
        TaskState::Queued => 1,
        TaskState::Running => 2,
        TaskState::Succeeded | TaskState::Failed | TaskState::Cancelled | TaskState::Expired => 3,
    }
}

/// Fills what `into` does not know from `from`.
fn fill(into: &mut TaskRecord, from: TaskRecord) {
    into.started_at = into.started_at.or(from.started_at);
    into.finished_at = into.finished_at.or(from.finished_at);
    if into.quality.is_empty() {
        into.quality = from.quality;
    }
    into.variants = into.variants.or(from.variants);
    into.credits = into.credits.or(from.credits);
    into.refunded = into.refunded.or(from.refunded);
    into.fingerprint = into.fingerprint.or(from.fingerprint);
    into.asset = into.asset.or(from.asset);
    into.retry = into.retry.or(from.retry);
    into.is_step |= from.is_step;
    let Attribution { team, project, member, api_key } = from.attribution;
    let who = &mut into.attribution;
    who.team = who.team.take().or(team);
    who.project = who.project.take().or(project);
    who.member = who.member.take().or(member);
    who.api_key = who.api_key.take().or(api_key);
}
