//! Switches that make the platform misbehave, for tests.

use std::collections::HashMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::server::Endpoint;

/// One way in which an endpoint misbehaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Answers with that status and `{"message": …}`.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header as sent: seconds or an HTTP date.
        retry_after: Option<String>,
    },
    /// Answers 200 with the first half of the JSON.
    TruncatedJson,
    /// Sends half the body and closes the connection.
    BrokenOff,
    /// Answers 200 with a body of at least that many bytes; valid JSON.
    Oversize {
        /// The least length of the body.
        bytes: usize,
    },
    /// Sends half the body and then nothing more.
    Stall,
    /// Leaves a field out, of the object or of each record.
    MissingField(&'static str),
    /// Gives a field a value of another type, in the object or in each record: a list with a word in it.
    WrongType(&'static str),
    /// Answers every page with the first one.
    SamePage,
    /// Every page after the first begins so many records earlier for each page before it, as when new tasks arrive
    /// while somebody pages; negative when tasks vanish.
    ShiftedPages(i64),
    /// The platform's clock is that far ahead, in every time and in the `Date` header.
    ClockSkew(SignedDuration),
}

/// Which endpoints misbehave, how, and for how many requests more.
#[derive(Debug, Default)]
pub(super) struct Faults {
    by_endpoint: HashMap<Endpoint, (Fault, Option<u32>)>,
}

impl Faults {
    pub fn set(&mut self, endpoint: Endpoint, fault: Fault, times: Option<u32>) {
        self.by_endpoint.insert(endpoint, (fault, times));
    }

    pub fn clear(&mut self, endpoint: Endpoint) {
        self.by_endpoint.remove(&endpoint);
    }

    pub fn clear_all(&mut self) {
        self.by_endpoint.clear();
    }

    /// The fault of one request. [`Endpoint::Any`] stands for those that have none of their own.
    pub fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let found = if self.by_endpoint.contains_key(&endpoint) { endpoint } else { Endpoint::Any };
        let (fault, times) = self.by_endpoint.get_mut(&found)?;
        match times {
            None => Some(fault.clone()),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(fault.clone())
            }
        }
    }
}

impl Fault {
    /// The body as this fault leaves it; most leave it alone.
    pub(super) fn spoil(&self, body: Vec<u8>) -> Vec<u8> {
        match self {
            Fault::TruncatedJson => body[..body.len() / 2].to_vec(),
            Fault::Oversize { bytes } => {
                // Blanks before a JSON value mean nothing, so only the length is wrong.
                let mut long = vec![b' '; bytes.saturating_sub(body.len())];
                long.extend(body);
                long
            }
            Fault::MissingField(field) => with_records(body, |record| {
                record.remove(*field);
            }),
            Fault::WrongType(field) => with_records(body, |record| {
                record.insert((*field).to_owned(), json!(["unexpected"]));
            }),
            _ => body,
        }
    }
}

fn with_records(body: Vec<u8>, change: impl Fn(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
    let is_usage_page = value.get("records").is_some();
    let records = if is_usage_page { &mut value["records"] } else { &mut value };
    match records {
        Value::Array(list) => list.iter_mut().filter_map(Value::as_object_mut).for_each(change),
        Value::Object(object) => change(object),
        _ => {}
    }
    value.to_string().into_bytes()
}
