//! One record of an answer, read field by field.

use jiff::Timestamp;
use minijinja::value::ValueKind;
use minijinja::{ErrorKind, Value};

use super::compile::{Endpoint, Field, Mapping};
use super::evaluate::{RecordError, Response};
use super::exact::Exact;
use super::filters::{Moment, TIME_FILTERS};
use super::record::{FieldKind, fields_of};
use super::words::{MISSING_HINT, describe, expected, say};
use crate::domain::Credits;
use crate::provider::names::{LONGEST_TEXT, clipped, printable};

/// What an expression looks at.
pub(super) struct Item<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) endpoint: &'a Endpoint,
    pub(super) response: &'a Response,
    pub(super) item: Value,
    pub(super) number: Option<usize>,
}

/// An item with the context of its expressions built once.
pub(super) struct RecordReader<'a> {
    item: &'a Item<'a>,
    context: Value,
}

impl<'a> Item<'a> {
    /// The item with the context of its expressions; `known` is what the ledger knows of it.
    pub(super) fn record(&'a self, known: Option<&Value>) -> RecordReader<'a> {
        RecordReader { item: self, context: self.mapping.context_with(self.response, Some(&self.item), known) }
    }

    /// A mistake about the item as a whole.
    pub(super) fn whole(&self, message: String, hint: Option<String>) -> RecordError {
        RecordError { endpoint: self.endpoint.kind, path: None, record: self.number, field: None, message, hint }
    }
}

impl RecordReader<'_> {
    fn wrong(&self, field: &'static str, message: String, hint: Option<&str>) -> RecordError {
        RecordError { field: Some(field), ..self.item.whole(message, hint.map(str::to_owned)) }
    }

    pub(super) fn needed<T>(&self, field: &'static str, value: Option<T>) -> Result<T, RecordError> {
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

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let text = match value.as_str() {
            Some(text) => text.trim().to_owned(),
            None if value.is_integer() => value.to_string(),
            None => return Err(self.unfit(name, &value)),
        };
        // Long names are no reason to lose what they belong to.
        let text = if name == "id" { text } else { clipped(text) };
        if text.chars().count() > LONGEST_TEXT {
            return Err(self.unfit(name, &value));
        }
        let clean = printable(&text);
        match clean.is_empty() {
            false => Ok(Some(clean)),
            true if self.is_required(name) => Err(self.unfit(name, &value)),
            true => Ok(None),
        }
    }

    /// The id, which is not cut short: two ids could become one.
    pub(super) fn id(&self) -> Result<Option<String>, RecordError> {
        self.text("id")
    }

    /// One of a few words of ours.
    pub(super) fn word<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || self.wrong(name, format!("found the text `{text}`, expected {expected}"), None);
        parse(&text).map(Some).ok_or_else(wrong)
    }

    fn is_required(&self, name: &'static str) -> bool {
        fields_of(self.item.endpoint.kind).iter().any(|rule| rule.name == name && rule.required)
    }

    /// A confidential text; of an object, its JSON in the order of its keys.
    pub(super) fn input(&self, name: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let text = match value.kind() {
            ValueKind::String => value.as_str().map(str::to_owned),
            ValueKind::Map | ValueKind::Seq => serde_json::to_string(&value).ok(),
            _ => None,
        };
        text.map(Some).ok_or_else(|| self.unfit(name, &value))
    }

    pub(super) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let at = value.downcast_object_ref::<Moment>().map(|moment| moment.0);
        at.map(Some).ok_or_else(|| self.unfit(name, &value))
    }

    /// Credits of either sign.
    pub(super) fn credits(&self, name: &'static str) -> Result<Option<Credits>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        if let Some(exact) = value.downcast_object_ref::<Exact>() {
            return exact.credits().map(Some).ok_or_else(|| self.unfit(name, &value));
        }
        if !value.is_number() && value.as_str().is_none() {
            return Err(self.unfit(name, &value));
        }
        Credits::parse(&value.to_string()).map(Some).map_err(|error| self.wrong(name, error.to_string(), None))
    }

    /// Credits, zero or more.
    pub(super) fn amount(&self, name: &'static str) -> Result<Option<Credits>, RecordError> {
        let credits = self.credits(name)?;
        match credits.filter(|credits| credits.is_negative()) {
            Some(found) => {
                let hint = "a sum of many tasks may be below zero: then map `is_sum: \"true\"`";
                let message = format!("found `{found}`, expected {}", expected(FieldKind::Amount));
                Err(self.wrong(name, message, Some(hint)))
            }
            None => Ok(credits),
        }
    }

    pub(super) fn count(&self, name: &'static str) -> Result<Option<u32>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let count = value.as_i64().filter(|_| value.is_integer()).and_then(|count| u32::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.unfit(name, &value))
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, RecordError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        match value.kind() {
            ValueKind::Bool => Ok(Some(value.is_true())),
            _ => Err(self.unfit(name, &value)),
        }
    }
}
