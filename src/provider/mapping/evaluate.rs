//! From a response to records, field by field. Pure.

use std::fmt;

use jiff::Timestamp;
use minijinja::value::ValueKind;
use minijinja::{ErrorKind, Value};

use super::compile::{Endpoint, EndpointKind, Mapping};
use super::filters::moment;
use super::reader::{Item, RecordReader};
use super::record::Record;
use super::words::{describe, say, shorten_to};
use crate::domain::{
    Attribution, BalanceRecord, Basis, PlanRecord, QueueRecord, RetryKind, TaskRecord, TaskState, UnfinishedTask,
};
use crate::provider::FailureReason;
use crate::provider::fingerprint::fingerprint;

/// Longest part of a platform's own words about a failure that is shown, in characters.
const LONGEST_WORDS: usize = 200;

/// Why a response does not fit the mapping. Names endpoint, record, field, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RecordError {
    /// The endpoint.
    pub endpoint: EndpointKind,
    /// The method and path that were asked, if any were.
    pub path: Option<String>,
    /// The record's number in the response, counted from 1; `None` for the response as a whole.
    pub record: Option<usize>,
    /// The field, where it is one field's mistake.
    pub field: Option<&'static str>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.endpoint.as_str())?;
        self.path.iter().try_for_each(|path| write!(f, " ({path})"))?;
        self.record.iter().try_for_each(|number| write!(f, ", record {number}"))?;
        self.field.iter().try_for_each(|field| write!(f, ", field `{field}`"))?;
        write!(f, ": {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

/// One answer of a platform, parsed.
#[derive(Clone, Debug)]
pub struct Response(Value);

impl Response {
    /// Parses JSON. Depth is bounded (128).
    ///
    /// # Errors
    /// What is wrong with the text, and where, without showing any of it.
    pub fn parse(json: &[u8]) -> Result<Response, String> {
        let wrong = |error: serde_json::Error| {
            let what = match error.classify() {
                serde_json::error::Category::Eof => "the end came too early".to_owned(),
                _ => format!("wrong at line {} column {}", error.line(), error.column()),
            };
            format!("expected JSON, found {} bytes that are none: {what}", json.len())
        };
        serde_json::from_slice(json).map(Response).map_err(wrong)
    }
}

/// What one page of a list held.
#[derive(Debug)]
pub(in crate::provider) struct TaskPage {
    /// The records that fit.
    pub(in crate::provider) tasks: Vec<TaskRecord>,
    /// How many there were.
    pub(in crate::provider) count: usize,
    /// Whether the response says that there are more.
    pub(in crate::provider) more: Option<bool>,
    /// The next page's cursor, if the response names one.
    pub(in crate::provider) next: Option<String>,
    /// The first record that did not fit.
    pub(in crate::provider) error: Option<RecordError>,
}

/// An answer that says that it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provider) struct FailedAnswer {
    /// What it means to us.
    pub(in crate::provider) reason: FailureReason,
    /// The platform's code and words, short and printable.
    pub(in crate::provider) said: String,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Asked<'a> {
    /// From where on lists are read again.
    pub(in crate::provider) since: Option<Timestamp>,
    /// The moment of the poll.
    pub(in crate::provider) now: Timestamp,
    /// The piece of time asked for.
    pub(in crate::provider) window: Option<(Timestamp, Timestamp)>,
    /// Of a lookup: the tasks asked for.
    pub(in crate::provider) tasks: &'a [UnfinishedTask],
}

/// What the patterns of a path, a query and a body see. `account` is the platform's id of the account, where known.
pub(in crate::provider) fn query_context(asked: &Asked<'_>, account: Option<&str>) -> Value {
    let mut names = vec![
        ("since", asked.since.map_or(Value::from(()), moment)),
        ("now", moment(asked.now)),
        ("ids", asked.tasks.iter().map(|task| Value::from(task.id.as_str())).collect()),
    ];
    if let Some((start, end)) = asked.window {
        names.extend([("window_start", moment(start)), ("window_end", moment(end))]);
    }
    names.extend(account.map(|id| ("account_id", Value::from(id))));
    if let [task] = asked.tasks {
        names.extend([("id", Value::from(task.id.as_str())), ("known", known_value(task))]);
    }
    Value::from_pairs(names)
}

fn known_value(task: &UnfinishedTask) -> Value {
    Value::from_pairs([
        ("id", Value::from(task.id.as_str())),
        ("created_at", moment(task.created_at)),
        ("task_type", Value::from(task.task_type.as_str())),
        ("state", Value::from(task.state.as_str())),
    ])
}

impl Mapping {
    /// The records in one response, as a poll would read them; for `mapping test`. `number` counts the endpoints of a kind
    /// from 1. Inputs are hashed without a salt.
    ///
    /// # Errors
    /// The mapping has no such endpoint, the text is not JSON, the answer says that it failed, or a record does not fit.
    pub fn records(&self, kind: EndpointKind, number: usize, json: &[u8]) -> Result<Vec<Record>, RecordError> {
        let whole =
            |message, hint| RecordError { endpoint: kind, path: None, record: None, field: None, message, hint };
        let endpoint = match kind {
            EndpointKind::Account => self.account.as_ref(),
            EndpointKind::Balance => self.balance.as_ref(),
            EndpointKind::Charges => self.charges.get(number.saturating_sub(1)),
            EndpointKind::Tasks => self.tasks.as_ref(),
            EndpointKind::Lookup => self.lookup.as_ref(),
            EndpointKind::Plan => self.plan.as_ref(),
            EndpointKind::Queue => match &self.queue {
                Some(queue) if queue.endpoint.is_none() => {
                    let hint = Some("test `tasks` or `lookup` instead".to_owned());
                    return Err(whole("the queue is counted from the tasks".to_owned(), hint));
                }
                queue => queue.as_ref().and_then(|queue| queue.endpoint.as_ref()),
            },
        };
        let Some(endpoint) = endpoint else {
            let message = match (kind, self.charges.len()) {
                (EndpointKind::Charges, many @ 1..) => format!("the mapping `{}` has {many} of them", self.name),
                _ => format!("the mapping `{}` has no such endpoint", self.name),
            };
            return Err(whole(message, None));
        };
        let response = Response::parse(json).map_err(|message| whole(message, None))?;
        if let Some(failed) = self.failure_of(&response).map_err(|message| whole(message, None))? {
            let message = format!("the answer says that it failed (`{}`): {}", failed.reason.as_str(), failed.said);
            return Err(whole(message, None));
        }
        match kind {
            EndpointKind::Account => self.account_of(endpoint, &response).map(|id| vec![Record::Account(id)]),
            EndpointKind::Balance => self.balance_of(endpoint, &response).map(|record| vec![Record::Balance(record)]),
            EndpointKind::Queue if self.counts_tasks() => {
                self.queue_limit_of(endpoint, &response).map(|limit| vec![Record::QueueLimit(limit)])
            }
            EndpointKind::Queue => self.queue_of(endpoint, &response).map(|record| vec![Record::Queue(record)]),
            EndpointKind::Plan => self.plan_of(endpoint, &response).map(|record| vec![Record::Plan(record)]),
            EndpointKind::Charges | EndpointKind::Tasks | EndpointKind::Lookup => {
                let page = self.task_page(endpoint, &response, &[0; 16], None)?;
                let tasks = page.tasks.into_iter().map(|task| Record::Task(Box::new(task))).collect();
                page.error.map_or(Ok(tasks), Err)
            }
        }
    }

    /// Whether an answer says that it failed, and why.
    ///
    /// # Errors
    /// What the mapping asks for is not there, or is neither true nor false.
    pub(in crate::provider) fn failure_of(&self, response: &Response) -> Result<Option<FailedAnswer>, String> {
        let Some(failure) = &self.failure else { return Ok(None) };
        let context = || self.context(response, None);
        match failure.when.evaluate(context()) {
            Ok(value) if value.kind() == ValueKind::Bool && !value.is_true() => return Ok(None),
            Ok(value) if value.kind() == ValueKind::Bool => {}
            Ok(value) => return Err(format!("`failure.when`: found {}, expected true or false", describe(&value))),
            Err(error) => return Err(format!("`failure.when`: {}", say(&error))),
        }
        // What the platform leaves out of a failure is not another failure.
        let said = |formula: &Option<super::expression::Formula>| {
            let value = formula.as_ref().and_then(|formula| formula.evaluate(context()).ok());
            let value = value.filter(|value| !value.is_undefined() && !value.is_none());
            value.map(|value| shorten_to(&value.to_string(), LONGEST_WORDS))
        };
        let (code, message) = (said(&failure.code), said(&failure.message));
        let reason = code.as_ref().and_then(|code| failure.reasons.get(code));
        let words: Vec<String> = code.map(|code| format!("code {code}")).into_iter().chain(message).collect();
        let said = if words.is_empty() { "without a word why".to_owned() } else { words.join(": ") };
        Ok(Some(FailedAnswer { reason: reason.copied().unwrap_or(FailureReason::Refused), said }))
    }

    /// What the platform calls the account.
    pub(in crate::provider) fn account_of(&self, endpoint: &Endpoint, r: &Response) -> Result<String, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record(None);
        let id = record.needed("id", record.id()?)?;
        // In a path such a name would lead elsewhere on the platform.
        if matches!(id.as_str(), "." | "..") {
            return Err(item.whole(format!("found the id `{id}`, expected one that names an account"), None));
        }
        Ok(id)
    }

    pub(in crate::provider) fn balance_of(
        &self,
        endpoint: &Endpoint,
        r: &Response,
    ) -> Result<BalanceRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record(None);
        Ok(BalanceRecord {
            available: record.needed("available", record.credits("available")?)?,
            plan: record.credits("plan")?,
            purchased: record.credits("purchased")?,
            frozen: record.credits("frozen")?,
        })
    }

    pub(in crate::provider) fn queue_of(&self, endpoint: &Endpoint, r: &Response) -> Result<QueueRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record(None);
        Ok(QueueRecord {
            waiting: record.needed("waiting", record.count("waiting")?)?,
            running: record.needed("running", record.count("running")?)?,
            limit: record.count("limit")?,
            oldest_waiting_at: record.time("oldest_waiting_at")?,
        })
    }

    /// The limit alone, where tasks are counted.
    pub(in crate::provider) fn queue_limit_of(
        &self,
        endpoint: &Endpoint,
        r: &Response,
    ) -> Result<Option<u32>, RecordError> {
        self.item(endpoint, r)?.record(None).count("limit")
    }

    pub(in crate::provider) fn plan_of(&self, endpoint: &Endpoint, r: &Response) -> Result<PlanRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record(None);
        Ok(PlanRecord {
            name: record.text("name")?,
            allowance: record.credits("allowance")?,
            resets_at: record.time("resets_at")?,
        })
    }

    /// The tasks on one page. A record that does not fit does not hide the others. `asked` are the tasks of a lookup;
    /// `None`, in a test of a mapping, stands for any.
    pub(in crate::provider) fn task_page(
        &self,
        endpoint: &Endpoint,
        response: &Response,
        salt: &[u8; 16],
        asked: Option<&[UnfinishedTask]>,
    ) -> Result<TaskPage, RecordError> {
        let list = self.item(endpoint, response)?;
        let found = &list.item;
        let is_lookup = endpoint.kind == EndpointKind::Lookup;
        let items: Vec<Value> = match found.kind() {
            ValueKind::Seq => found.try_iter().map_err(|error| list.whole(say(&error), None))?.collect(),
            _ if is_lookup && endpoint.per_request.is_none() => vec![found.clone()],
            _ => {
                let hint = "`records` must lead to the list of records".to_owned();
                return Err(list.whole(format!("found {}, expected a list of records", describe(found)), Some(hint)));
            }
        };
        let more = self.more(endpoint, response).map_err(|message| list.whole(message, None))?;
        let next = self.next(endpoint, response).map_err(|message| list.whole(message, None))?;
        let mut page = TaskPage { tasks: Vec::new(), count: items.len(), more, next, error: None };
        for (item, number) in items.into_iter().zip(1..) {
            let item = Item { mapping: self, endpoint, response, item, number: Some(number) };
            let task = if is_lookup { looked_up(&item, asked, salt) } else { task_of(&item.record(None), salt, None) };
            match task {
                Ok(task) => page.tasks.push(task),
                Err(error) => page.error = page.error.or(Some(error)),
            }
        }
        Ok(page)
    }

    /// The record, or the list of records, of a response.
    fn item<'a>(&'a self, endpoint: &'a Endpoint, response: &'a Response) -> Result<Item<'a>, RecordError> {
        let mut item = Item { mapping: self, endpoint, response, item: response.0.clone(), number: None };
        let Some(formula) = &endpoint.records else { return Ok(item) };
        match formula.evaluate(self.context(response, None)) {
            Ok(found) if !found.is_undefined() => item.item = found,
            Ok(_) => return Err(item.whole("`records` leads to nothing in this response".to_owned(), None)),
            Err(error) => return Err(item.whole(format!("`records`: {}", say(&error)), None)),
        }
        Ok(item)
    }

    fn next(&self, endpoint: &Endpoint, response: &Response) -> Result<Option<String>, String> {
        let Some(formula) = endpoint.paging.as_ref().and_then(|paging| paging.next.as_ref()) else { return Ok(None) };
        match formula.evaluate(self.context(response, None)) {
            Ok(value) if value.is_undefined() || value.is_none() || value.as_str() == Some("") => Ok(None),
            Ok(value) if value.as_str().is_some() || value.is_integer() => Ok(Some(value.to_string())),
            Ok(value) => Err(format!("`paging.next`: found {}, expected a text or a number", describe(&value))),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            Err(error) => Err(format!("`paging.next`: {}", say(&error))),
        }
    }

    fn more(&self, endpoint: &Endpoint, response: &Response) -> Result<Option<bool>, String> {
        let Some(formula) = endpoint.paging.as_ref().and_then(|paging| paging.more.as_ref()) else { return Ok(None) };
        match formula.evaluate(self.context(response, None)) {
            Ok(value) if value.kind() == ValueKind::Bool => Ok(Some(value.is_true())),
            Ok(value) if value.is_undefined() || value.is_none() => Ok(None),
            Ok(value) => Err(format!("`paging.more`: found {}, expected true or false", describe(&value))),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(None),
            Err(error) => Err(format!("`paging.more`: {}", say(&error))),
        }
    }

    pub(super) fn context(&self, response: &Response, item: Option<&Value>) -> Value {
        self.context_with(response, item, None)
    }

    pub(super) fn context_with(&self, response: &Response, item: Option<&Value>, known: Option<&Value>) -> Value {
        let shared = [("response", &response.0), ("tables", &self.tables), ("lists", &self.lists)];
        let more = item.map(|item| ("item", item)).into_iter().chain(known.map(|known| ("known", known)));
        Value::from_pairs(shared.into_iter().chain(more).map(|(name, value)| (name, value.clone())))
    }
}

/// A task that was asked for by its id. Answers to such requests are thinner than lists, so that what is known of the task
/// stands in for what the answer leaves out.
fn looked_up(item: &Item<'_>, asked: Option<&[UnfinishedTask]>, salt: &[u8; 16]) -> Result<TaskRecord, RecordError> {
    // In a test of a mapping any task was asked for.
    let anyone = |id: Option<String>| UnfinishedTask {
        id: id.unwrap_or_else(|| "(asked for)".to_owned()),
        created_at: Timestamp::UNIX_EPOCH,
        task_type: "(as known)".to_owned(),
        state: TaskState::Running,
    };
    let known = match asked {
        Some([only]) => only.clone(),
        asked => {
            let id = item.record(None).text("id")?;
            let is_it = |task: &&UnfinishedTask| Some(&task.id) == id.as_ref();
            match asked.map(|asked| asked.iter().find(is_it)) {
                None => anyone(id),
                Some(Some(task)) => task.clone(),
                Some(None) => {
                    let id = id.unwrap_or_default();
                    return Err(item.whole(format!("the answer is about `{id}`, which was not asked for"), None));
                }
            }
        }
    };
    let value = known_value(&known);
    task_of(&item.record(Some(&value)), salt, Some(&known))
}

fn task_of(
    record: &RecordReader<'_>,
    salt: &[u8; 16],
    known: Option<&UnfinishedTask>,
) -> Result<TaskRecord, RecordError> {
    let told_or =
        |name, told: Option<String>, known: Option<&String>| record.needed(name, told.or_else(|| known.cloned()));
    let task_type = told_or("task_type", record.text("task_type")?, known.map(|known| &known.task_type))?;
    let state = record.needed("state", record.text("state")?)?;
    let created_at = record.time("created_at")?.or(known.map(|known| known.created_at));
    let (input, asset) = (record.input("input")?, record.input("asset")?);
    let is_sum = record.flag("is_sum")?.unwrap_or(false);
    let is_estimated = record.flag("is_estimated")?.unwrap_or(false);
    Ok(TaskRecord {
        id: told_or("id", record.id()?, known.map(|known| &known.id))?,
        created_at: record.needed("created_at", created_at)?,
        started_at: record.time("started_at")?,
        finished_at: record.time("finished_at")?,
        state: TaskState::parse(&state),
        quality: record.text("quality")?.unwrap_or_default(),
        variants: record.count("variants")?,
        credits: if is_sum { record.credits("credits")? } else { record.amount("credits")? },
        refunded: record.amount("refunded")?,
        attribution: Attribution {
            team: record.text("team")?,
            project: record.text("project")?,
            member: record.text("member")?,
            api_key: record.text("api_key")?,
        },
        fingerprint: input.and_then(|input| fingerprint(salt, &task_type, &input)),
        asset: asset.and_then(|asset| fingerprint(salt, &task_type, &asset)),
        is_step: record.flag("is_step")?.unwrap_or(false),
        retry: record.word("retry", "`rerun` or `resubmission`", RetryKind::parse)?,
        is_sum,
        basis: if is_estimated { Basis::Estimated } else { Basis::Reported },
        task_type,
    })
}
