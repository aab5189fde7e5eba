//! The fields of our records, as a mapping may fill them, and the records as `mapping test` prints them.

use std::fmt;

use super::compile::EndpointKind;
use crate::domain::{BalanceRecord, Basis, PlanRecord, QueueRecord, RetryKind, TaskRecord};

/// What a field holds, and so what its expression must come out as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FieldKind {
    /// A text; a whole number is taken as its digits.
    Text,
    /// A moment, from one of the time filters.
    Time,
    /// Credits of either sign.
    Balance,
    /// Credits, zero or more.
    Amount,
    /// A whole number, zero or more.
    Count,
    /// True or false.
    Flag,
    /// A confidential text of which only the fingerprint is kept.
    Input,
}

/// One field of a record.
#[derive(Debug)]
pub(super) struct FieldRule {
    pub(super) name: &'static str,
    pub(super) kind: FieldKind,
    pub(super) required: bool,
}

const fn required(name: &'static str, kind: FieldKind) -> FieldRule {
    FieldRule { name, kind, required: true }
}

const fn free(name: &'static str, kind: FieldKind) -> FieldRule {
    FieldRule { name, kind, required: false }
}

const ACCOUNT: &[FieldRule] = &[required("id", FieldKind::Text)];

const BALANCE: &[FieldRule] = &[
    required("available", FieldKind::Balance),
    free("plan", FieldKind::Balance),
    free("purchased", FieldKind::Balance),
    free("frozen", FieldKind::Balance),
];

const TASK: &[FieldRule] = &[
    required("id", FieldKind::Text),
    required("created_at", FieldKind::Time),
    required("state", FieldKind::Text),
    required("task_type", FieldKind::Text),
    free("started_at", FieldKind::Time),
    free("finished_at", FieldKind::Time),
    free("quality", FieldKind::Text),
    free("variants", FieldKind::Count),
    free("credits", FieldKind::Amount),
    free("refunded", FieldKind::Amount),
    free("team", FieldKind::Text),
    free("project", FieldKind::Text),
    free("member", FieldKind::Text),
    free("api_key", FieldKind::Text),
    free("input", FieldKind::Input),
    free("asset", FieldKind::Input),
    free("is_step", FieldKind::Flag),
    free("retry", FieldKind::Text),
    free("is_sum", FieldKind::Flag),
    free("is_estimated", FieldKind::Flag),
];

/// As [`TASK`], but what the answer leaves out is known already.
const LOOKUP: &[FieldRule] = &[
    required("state", FieldKind::Text),
    free("id", FieldKind::Text),
    free("created_at", FieldKind::Time),
    free("task_type", FieldKind::Text),
    free("started_at", FieldKind::Time),
    free("finished_at", FieldKind::Time),
    free("quality", FieldKind::Text),
    free("variants", FieldKind::Count),
    free("credits", FieldKind::Amount),
    free("refunded", FieldKind::Amount),
    free("project", FieldKind::Text),
    free("member", FieldKind::Text),
    free("api_key", FieldKind::Text),
    free("input", FieldKind::Input),
    free("asset", FieldKind::Input),
    free("is_step", FieldKind::Flag),
    free("retry", FieldKind::Text),
    free("is_sum", FieldKind::Flag),
    free("is_estimated", FieldKind::Flag),
];

const QUEUE: &[FieldRule] = &[
    required("waiting", FieldKind::Count),
    required("running", FieldKind::Count),
    free("limit", FieldKind::Count),
    free("oldest_waiting_at", FieldKind::Time),
];

const PLAN: &[FieldRule] =
    &[free("name", FieldKind::Text), free("allowance", FieldKind::Amount), free("resets_at", FieldKind::Time)];

/// The fields of an endpoint's records.
pub(super) fn fields_of(kind: EndpointKind) -> &'static [FieldRule] {
    match kind {
        EndpointKind::Account => ACCOUNT,
        EndpointKind::Balance => BALANCE,
        EndpointKind::Charges | EndpointKind::Tasks => TASK,
        EndpointKind::Lookup => LOOKUP,
        EndpointKind::Queue => QUEUE,
        EndpointKind::Plan => PLAN,
    }
}

/// What a response holds, for people: one line each, empty fields left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What the platform calls the account.
    Account(String),
    /// How much is left.
    Balance(BalanceRecord),
    /// A task and its charge.
    Task(Box<TaskRecord>),
    /// The queue.
    Queue(QueueRecord),
    /// How many tasks may wait or run at once, where the tasks themselves are counted.
    QueueLimit(Option<u32>),
    /// The plan.
    Plan(PlanRecord),
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line { formatter: f, first: true };
        match self {
            Record::Account(id) => line.field("id", Some(id)),
            Record::Balance(balance) => {
                line.field("available", Some(balance.available))?;
                line.field("plan", balance.plan)?;
                line.field("purchased", balance.purchased)?;
                line.field("frozen", balance.frozen)
            }
            Record::Task(task) => line.task(task),
            Record::Queue(queue) => {
                line.field("waiting", Some(queue.waiting))?;
                line.field("running", Some(queue.running))?;
                line.field("limit", queue.limit)?;
                line.field("oldest_waiting_at", queue.oldest_waiting_at)
            }
            Record::QueueLimit(limit) => line.field("limit", *limit),
            Record::Plan(plan) => {
                line.field("name", plan.name.as_ref())?;
                line.field("allowance", plan.allowance)?;
                line.field("resets_at", plan.resets_at)
            }
        }
    }
}

struct Line<'a, 'b> {
    formatter: &'a mut fmt::Formatter<'b>,
    first: bool,
}

impl Line<'_, '_> {
    fn field(&mut self, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let gap = if self.first { "" } else { "  " };
        self.first = false;
        write!(self.formatter, "{gap}{name}={value}")
    }

    fn task(&mut self, task: &TaskRecord) -> fmt::Result {
        self.field("id", Some(&task.id))?;
        self.field("created_at", Some(task.created_at))?;
        self.field("started_at", task.started_at)?;
        self.field("finished_at", task.finished_at)?;
        self.field("state", Some(task.state.as_str()))?;
        self.field("task_type", Some(&task.task_type))?;
        self.field("quality", Some(&task.quality).filter(|quality| !quality.is_empty()))?;
        self.field("variants", task.variants)?;
        self.field("credits", task.credits)?;
        self.field("refunded", task.refunded)?;
        self.field("team", task.attribution.team.as_ref())?;
        self.field("project", task.attribution.project.as_ref())?;
        self.field("member", task.attribution.member.as_ref())?;
        self.field("api_key", task.attribution.api_key.as_ref())?;
        self.field("input", task.fingerprint.map(|_| "(fingerprint only)"))?;
        self.field("asset", task.asset.map(|_| "(fingerprint only)"))?;
        self.field("is_step", Some("true").filter(|_| task.is_step))?;
        self.field("retry", task.retry.map(RetryKind::as_str))?;
        self.field("is_sum", Some("true").filter(|_| task.is_sum))?;
        self.field("is_estimated", Some("true").filter(|_| task.basis == Basis::Estimated))
    }
}
