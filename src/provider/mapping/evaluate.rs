//! From a response to records, field by field. Pure.

use std::fmt;

use jiff::Timestamp;
use minijinja::value::ValueKind;
use minijinja::{ErrorKind, Value};

use super::compile::{Endpoint, EndpointKind, Field, Mapping, QueueSource};
use super::expression::{Moment, TIME_FILTERS, moment};
use super::record::{FieldKind, Record, fields_of};
use super::words::{MISSING_HINT, describe, expected, say};
use crate::domain::account::is_unprintable;
use crate::domain::{Attribution, BalanceRecord, Basis, Credits, PlanRecord, QueueRecord, TaskRecord, TaskState};
use crate::provider::fingerprint::fingerprint;

/// Longest text taken from a platform, in characters.
const LONGEST_TEXT: usize = 256;

/// Why a response does not fit the mapping. Names endpoint, record, field, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RecordError {
    /// The endpoint.
    pub endpoint: EndpointKind,
    /// The path that was asked, if one was.
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
        self.path.iter().try_for_each(|path| write!(f, " (GET {path})"))?;
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
    /// The first record that did not fit.
    pub(in crate::provider) error: Option<RecordError>,
}

/// What a query pattern sees.
pub(in crate::provider) fn query_context(since: Option<Timestamp>, now: Timestamp) -> Value {
    Value::from_pairs([("since", since.map_or(Value::from(()), moment)), ("now", moment(now))])
}

impl Mapping {
    /// The records in one response, as a poll would read them; for `mapping test`. Inputs are hashed without a salt.
    ///
    /// # Errors
    /// The mapping has no such endpoint, the text is not JSON, or a record does not fit.
    pub fn records(&self, kind: EndpointKind, json: &[u8]) -> Result<Vec<Record>, RecordError> {
        let whole =
            |message, hint| RecordError { endpoint: kind, path: None, record: None, field: None, message, hint };
        let endpoint = match kind {
            EndpointKind::Balance => self.balance.as_ref(),
            EndpointKind::Charges => self.charges.as_ref(),
            EndpointKind::Tasks => self.tasks.as_ref(),
            EndpointKind::Plan => self.plan.as_ref(),
            EndpointKind::Queue => match &self.queue {
                Some(QueueSource::Endpoint(endpoint)) => Some(endpoint.as_ref()),
                Some(QueueSource::Tasks) => {
                    let hint = Some("test `tasks` instead".to_owned());
                    return Err(whole("the queue is counted from the task lists".to_owned(), hint));
                }
                None => None,
            },
        };
        let Some(endpoint) = endpoint else {
            return Err(whole(format!("the mapping `{}` has no such endpoint", self.name), None));
        };
        let response = Response::parse(json).map_err(|message| whole(message, None))?;
        match kind {
            EndpointKind::Balance => self.balance_of(endpoint, &response).map(|record| vec![Record::Balance(record)]),
            EndpointKind::Queue => self.queue_of(endpoint, &response).map(|record| vec![Record::Queue(record)]),
            EndpointKind::Plan => self.plan_of(endpoint, &response).map(|record| vec![Record::Plan(record)]),
            EndpointKind::Charges | EndpointKind::Tasks => {
                let page = self.task_page(endpoint, &response, &[0; 16])?;
                let tasks = page.tasks.into_iter().map(|task| Record::Task(Box::new(task))).collect();
                page.error.map_or(Ok(tasks), Err)
            }
        }
    }

    pub(in crate::provider) fn balance_of(
        &self,
        endpoint: &Endpoint,
        r: &Response,
    ) -> Result<BalanceRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record();
        Ok(BalanceRecord {
            available: record.needed("available", record.credits("available")?)?,
            plan: record.credits("plan")?,
            purchased: record.credits("purchased")?,
            frozen: record.credits("frozen")?,
        })
    }

    pub(in crate::provider) fn queue_of(&self, endpoint: &Endpoint, r: &Response) -> Result<QueueRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record();
        Ok(QueueRecord {
            waiting: record.needed("waiting", record.count("waiting")?)?,
            running: record.needed("running", record.count("running")?)?,
            limit: record.count("limit")?,
            oldest_waiting_at: record.time("oldest_waiting_at")?,
        })
    }

    pub(in crate::provider) fn plan_of(&self, endpoint: &Endpoint, r: &Response) -> Result<PlanRecord, RecordError> {
        let item = self.item(endpoint, r)?;
        let record = item.record();
        Ok(PlanRecord {
            name: record.text("name")?,
            allowance: record.credits("allowance")?,
            resets_at: record.time("resets_at")?,
        })
    }

    /// The tasks on one page. A record that does not fit does not hide the others.
    pub(in crate::provider) fn task_page(
        &self,
        endpoint: &Endpoint,
        response: &Response,
        salt: &[u8; 16],
    ) -> Result<TaskPage, RecordError> {
        let list = self.item(endpoint, response)?;
        let found = &list.item;
        if found.kind() != ValueKind::Seq {
            let hint = "`records` must lead to the list of records".to_owned();
            return Err(list.whole(format!("found {}, expected a list of records", describe(found)), Some(hint)));
        }
        let more = self.more(endpoint, response).map_err(|message| list.whole(message, None))?;
        let mut page = TaskPage { tasks: Vec::new(), count: 0, more, error: None };
        for item in found.try_iter().map_err(|error| list.whole(say(&error), None))? {
            page.count += 1;
            let item = Item { mapping: self, endpoint, response, item, number: Some(page.count) };
            match task_of(&item.record(), salt) {
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

    fn context(&self, response: &Response, item: Option<&Value>) -> Value {
        let shared = [("response", &response.0), ("tables", &self.tables), ("lists", &self.lists)];
        Value::from_pairs(shared.into_iter().chain(item.map(|item| ("item", item))).map(|(n, v)| (n, v.clone())))
    }
}

fn task_of(record: &RecordReader<'_>, salt: &[u8; 16]) -> Result<TaskRecord, RecordError> {
    let task_type = record.needed("task_type", record.text("task_type")?)?;
    let state = record.needed("state", record.text("state")?)?;
    let input = record.input()?;
    Ok(TaskRecord {
        id: record.needed("id", record.text("id")?)?,
        created_at: record.needed("created_at", record.time("created_at")?)?,
        started_at: record.time("started_at")?,
        finished_at: record.time("finished_at")?,
        state: TaskState::parse(&state),
        quality: record.text("quality")?.unwrap_or_default(),
        variants: record.count("variants")?,
        credits: record.credits("credits")?,
        refunded: record.credits("refunded")?,
        attribution: Attribution {
            team: record.text("team")?,
            project: record.text("project")?,
            member: record.text("member")?,
            api_key: record.text("api_key")?,
        },
        fingerprint: input.and_then(|input| fingerprint(salt, &task_type, &input)),
        asset: None,
        is_step: record.flag("is_step")?.unwrap_or(false),
        retry: None,
        is_sum: false,
        basis: Basis::Reported,
        task_type,
    })
}

/// What an expression looks at.
struct Item<'a> {
    mapping: &'a Mapping,
    endpoint: &'a Endpoint,
    response: &'a Response,
    item: Value,
    number: Option<usize>,
}

/// An item with the context of its expressions built once.
struct RecordReader<'a> {
    item: &'a Item<'a>,
    context: Value,
}

impl<'a> Item<'a> {
    fn record(&'a self) -> RecordReader<'a> {
        RecordReader { item: self, context: self.mapping.context(self.response, Some(&self.item)) }
    }

    fn whole(&self, message: String, hint: Option<String>) -> RecordError {
        RecordError { endpoint: self.endpoint.kind, path: None, record: self.number, field: None, message, hint }
    }
}

impl RecordReader<'_> {
    fn wrong(&self, field: &'static str, message: String, hint: Option<&str>) -> RecordError {
        RecordError { field: Some(field), ..self.item.whole(message, hint.map(str::to_owned)) }
    }

    fn needed<T>(&self, field: &'static str, value: Option<T>) -> Result<T, RecordError> {
        value.ok_or_else(|| self.wrong(field, format!("found null, expected {}", expected(self.kind(field))), None))
    }

    /// The value of a field's expression; `None` if the mapping has no such field, or if there is nothing and the field
    /// may be empty.
    fn value(&self, name: &'static str) -> Result<Option<Value>, RecordError> {
        let Some(Field { formula, optional }) = self.item.endpoint.fields.get(name) else { return Ok(None) };
        let missing = || self.wrong(name, "missing in the response".to_owned(), Some(MISSING_HINT));
        match formula.evaluate(self.context.clone()) {
            Ok(value) if value.is_none() => Ok(None),
            Ok(value) if !value.is_undefined() => Ok(Some(value)),
            Ok(_) if *optional => Ok(None),
            Ok(_) => Err(missing()),
            Err(error) if error.kind() == ErrorKind::UndefinedError && *optional => Ok(None),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Err(missing()),
            // An error about a confidential text could quote it.
            Err(error) if self.kind(name) == FieldKind::Input => Err(self.wrong(name, error.kind().to_string(), None)),
            Err(error) => Err(self.wrong(name, say(&error), None)),
        }
    }

    fn kind(&self, name: &'static str) -> FieldKind {
        let rules = fields_of(self.item.endpoint.kind);
        rules.iter().find(|rule| rule.name == name).map_or(FieldKind::Text, |rule| rule.kind)
    }

    fn unfit(&self, name: &'static str, found: &Value) -> RecordError {
        let kind = self.kind(name);
        let found = if kind == FieldKind::Input { found.kind().to_string() } else { describe(found) };
        let hint = (kind == FieldKind::Time).then(|| format!("end the expression with {TIME_FILTERS}"));
        self.wrong(name, format!("found {found}, expected {}", expected(kind)), hint.as_deref())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let text = match value.as_str() {
            Some(text) => text.trim().to_owned(),
            None if value.is_integer() => value.to_string(),
            None => return Err(self.unfit(name, &value)),
        };
        if text.chars().count() > LONGEST_TEXT {
            return Err(self.unfit(name, &value));
        }
        let clean: String =
            text.chars().map(|c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
        match self.item.endpoint.fields.get(name) {
            _ if !clean.is_empty() => Ok(Some(clean)),
            _ if self.is_required(name) => Err(self.unfit(name, &value)),
            _ => Ok(None),
        }
    }

    fn is_required(&self, name: &'static str) -> bool {
        fields_of(self.item.endpoint.kind).iter().any(|rule| rule.name == name && rule.required)
    }

    fn input(&self) -> Result<Option<String>, RecordError> {
        let Some(value) = self.value("input")? else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.unfit("input", &value))?;
        Ok(Some(text.to_owned()))
    }

    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let at = value.downcast_object_ref::<Moment>().map(|moment| moment.0);
        at.map(Some).ok_or_else(|| self.unfit(name, &value))
    }

    fn credits(&self, name: &'static str) -> Result<Option<Credits>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        if !value.is_number() && value.as_str().is_none() {
            return Err(self.unfit(name, &value));
        }
        let credits = Credits::parse(&value.to_string()).map_err(|error| self.wrong(name, error.to_string(), None))?;
        if credits.is_negative() && self.kind(name) == FieldKind::Amount {
            return Err(self.unfit(name, &value));
        }
        Ok(Some(credits))
    }

    fn count(&self, name: &'static str) -> Result<Option<u32>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let count = value.as_i64().filter(|_| value.is_integer()).and_then(|count| u32::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.unfit(name, &value))
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        match value.kind() {
            ValueKind::Bool => Ok(Some(value.is_true())),
            _ => Err(self.unfit(name, &value)),
        }
    }
}
