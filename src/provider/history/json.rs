//! Texts by key from a line of JSON, or from one pushed record.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::row::{Cells, Place};
use crate::provider::names::shorten;

/// An object of JSON whose values are texts, numbers and flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JsonCells(pub(super) Map<String, Value>);

impl JsonCells {
    /// Reads one object.
    ///
    /// # Errors
    /// It is no JSON, or something else than an object.
    pub(super) fn parse(text: &[u8]) -> Result<JsonCells, String> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Ok(JsonCells(object)),
            Ok(other) => Err(format!("expected an object of JSON, found {}", kind_of(&other))),
            Err(error) => Err(format!("expected an object of JSON: {error}")),
        }
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is such a key, or a way to a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value of a key; `task.id` also leads into an object.
    fn value(&self, name: &str) -> Option<&Value> {
        let inner = || {
            let (outer, inner) = name.split_once('.')?;
            inner.split('.').try_fold(self.0.get(outer)?, |value, key| value.get(key))
        };
        self.0.get(name).or_else(inner)
    }
}

impl Cells for JsonCells {
    fn cell(&self, column: &Place) -> Result<Option<Cow<'_, str>>, String> {
        match self.value(&column.name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed)),
            // The shortest text that is this number: exact to fifteen digits.
            Some(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Some(Value::Bool(flag)) => Ok(Some(Cow::Borrowed(if *flag { "true" } else { "false" }))),
            Some(other) => Err(format!("expected a text or a number, found {}", kind_of(other))),
        }
    }
}

/// What a value is, for a message.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Number(number) => format!("`{}`", shorten(&number.to_string())),
        Value::String(text) => format!("the text `{}`", shorten(text)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
