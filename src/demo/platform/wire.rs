//! The JSON that the platform speaks. Field for field as published; what is not published is not sent.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Number;

use super::account::{Account, TimeEncoding};
use super::catalog::Output;
use super::prompt::prompt_of;
use super::task::{Prompt, Task};
use crate::domain::{Credits, TaskState};

/// How long the files of a finished task are kept.
const ASSETS_LIVE: SignedDuration = SignedDuration::from_hours(72);

/// How an account looks at one moment, seen through a clock that may be wrong.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub account: &'a Account,
    pub now: Timestamp,
    /// How far the platform's clock is ahead of everybody else's.
    pub skew: SignedDuration,
}

/// An error: the only field of its body.
#[derive(Serialize)]
pub(super) struct Message {
    pub message: &'static str,
}

/// `GET /openapi/v1/balance`. Only `balance` is confirmed; the rest is shown where the account says so.
#[derive(Serialize)]
pub(super) struct Balance {
    balance: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_credits: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permanent_credits: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_resets_at: Option<String>,
}

/// A task, in a list or by itself.
#[derive(Serialize)]
pub(super) struct TaskObject {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    progress: u32,
    preceding_tasks: Option<u32>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ai_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_urls: Option<ModelUrls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texture_urls: Option<Vec<TextureUrls>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_credits: Option<Amount>,
    task_error: Option<TaskError>,
}

#[derive(Serialize)]
struct ModelUrls {
    glb: String,
    fbx: String,
    obj: String,
    usdz: String,
}

#[derive(Serialize)]
struct TextureUrls {
    base_color: String,
    metallic: String,
    normal: String,
    roughness: String,
}

#[derive(Serialize)]
struct TaskError {
    message: &'static str,
}

/// `GET /openapi/v1/usage/tasks`.
#[derive(Serialize)]
pub(super) struct UsagePage {
    pub records: Vec<UsageRecord>,
    pub page_num: usize,
    pub page_size: usize,
    pub has_more: bool,
}

/// One charge.
#[derive(Serialize)]
pub(super) struct UsageRecord {
    task_id: String,
    endpoint: &'static str,
    status: &'static str,
    created_at: Moment,
    finished_at: Option<Moment>,
    consumed_credits: Amount,
    api_key_name: String,
    api_key_suffix: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Milliseconds(i64),
}

/// Credits as a JSON number: whole ones without a point.
type Amount = Number;

impl View<'_> {
    pub fn balance(self) -> Balance {
        let shown = self.account.setup().shows_balance_parts;
        Balance {
            balance: amount(self.account.available()),
            monthly_credits: shown.then(|| amount(self.account.monthly())),
            permanent_credits: shown.then(|| amount(self.account.permanent())),
            monthly_resets_at: self.account.next_reset().filter(|_| shown).map(|at| (at + self.skew).to_string()),
        }
    }

    pub fn task(self, task: &Task) -> TaskObject {
        let id = task.id.to_string();
        let is_done = task.state == TaskState::Succeeded;
        let writes_null = task.kind.writes_null_for_unset();
        let moment = |at: Option<Timestamp>| match at {
            Some(at) => Some(self.milliseconds(at)),
            None if writes_null => None,
            None => Some(0),
        };
        let has_consumed = match task.state {
            TaskState::Succeeded | TaskState::Failed => true,
            // Withdrawn from the queue: the published example has no such field.
            TaskState::Cancelled => !task.is_refunded,
            _ => false,
        };
        let message = if task.state == TaskState::Failed { "The server is busy. Please try again later." } else { "" };
        let preceding = if task.state == TaskState::Queued { self.account.waiting_before(task) } else { 0 };
        let output = if is_done { task.kind.output } else { Output::Other };
        TaskObject {
            kind: task.kind.name,
            status: status_word(task.state),
            progress: task.progress_percent(self.now),
            preceding_tasks: (!writes_null || task.state == TaskState::Queued).then_some(preceding),
            created_at: self.milliseconds(task.created_at),
            started_at: moment(task.started_at),
            finished_at: moment(task.finished_at),
            expires_at: task.finished_at.filter(|_| is_done).map(|at| self.milliseconds(at + ASSETS_LIVE)),
            prompt: match &task.prompt {
                Prompt::None => None,
                Prompt::Asset(asset) => Some(prompt_of(*asset)),
                Prompt::Text(words) => Some(words.to_string()),
            },
            ai_model: (is_done || task.state == TaskState::Running).then_some("meshy-6").filter(|_| !writes_null),
            model_urls: (output != Output::Other).then(|| model_urls(&id)),
            texture_urls: match output {
                Output::TexturedModel => Some(vec![texture_urls(&id)]),
                Output::Model => Some(Vec::new()),
                Output::Other => None,
            },
            thumbnail_url: (output != Output::Other).then(|| file_url(&id, "preview.png")),
            consumed_credits: has_consumed.then(|| amount(task.consumed())),
            task_error: (!writes_null || !message.is_empty()).then_some(TaskError { message }),
            id,
        }
    }

    /// `None` where the usage records have no word for the task's type, or do not list it yet.
    pub fn usage_record(self, task: &Task) -> Option<UsageRecord> {
        let endpoint = task.kind.usage_name.filter(|_| is_usage(task))?;
        let key = self.account.setup().keys.get(usize::from(task.key));
        let secret = key.map_or("", |key| &key.secret);
        Some(UsageRecord {
            task_id: task.id.to_string(),
            endpoint,
            status: status_word(task.state),
            created_at: self.moment(task.created_at),
            finished_at: task.finished_at.map(|at| self.moment(at)),
            consumed_credits: amount(task.consumed()),
            api_key_name: key.map_or_else(String::new, |key| key.name.clone()),
            api_key_suffix: secret.chars().skip(secret.chars().count().saturating_sub(4)).collect(),
        })
    }

    fn milliseconds(self, at: Timestamp) -> i64 {
        (at + self.skew).as_millisecond()
    }

    fn moment(self, at: Timestamp) -> Moment {
        match self.account.setup().usage_times {
            TimeEncoding::Rfc3339 => Moment::Text((at + self.skew).to_string()),
            TimeEncoding::EpochMilliseconds => Moment::Milliseconds(self.milliseconds(at)),
        }
    }
}

/// Whether the usage records list the task: only what succeeded or failed.
pub(super) fn is_usage(task: &Task) -> bool {
    task.kind.usage_name.is_some() && matches!(task.state, TaskState::Succeeded | TaskState::Failed)
}

/// The platform's word for a state.
pub(super) fn status_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Queued | TaskState::Unknown => "PENDING",
        TaskState::Running => "IN_PROGRESS",
        TaskState::Succeeded => "SUCCEEDED",
        TaskState::Failed => "FAILED",
        TaskState::Cancelled => "CANCELED",
        TaskState::Expired => "EXPIRED",
    }
}

fn model_urls(id: &str) -> ModelUrls {
    let url = |extension: &str| file_url(id, &format!("model.{extension}"));
    ModelUrls { glb: url("glb"), fbx: url("fbx"), obj: url("obj"), usdz: url("usdz") }
}

fn texture_urls(id: &str) -> TextureUrls {
    let url = |map: &str| file_url(id, &format!("texture_0{map}.png"));
    TextureUrls {
        base_color: url(""),
        metallic: url("_metallic"),
        normal: url("_normal"),
        roughness: url("_roughness"),
    }
}

fn file_url(id: &str, file: &str) -> String {
    // The top-level domain `invalid` is reserved: nobody can be reached by following such a link.
    format!("https://assets.example.invalid/demo/{id}/{file}")
}

fn amount(credits: Credits) -> Amount {
    const MICROS: i64 = 1_000_000;
    if credits.micros() % MICROS == 0 {
        return Number::from(credits.micros() / MICROS);
    }
    // Finite by construction; the shortest decimal of the float has the credits' own digits.
    Number::from_f64(credits.as_f64()).unwrap_or_else(|| Number::from(0))
}
