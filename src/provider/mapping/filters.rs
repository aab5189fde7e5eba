//! The filters of the mapping language, beside those of the engine itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::value::{Object, ObjectRepr, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::exact::Exact;
use super::words::describe;

/// Every filter of ours.
pub(super) const NAMES: &[&str] = &[
    "epoch_ms",
    "epoch_seconds",
    "rfc3339",
    "epoch_ms_or_rfc3339",
    "utc_datetime",
    "utc_date",
    "date",
    "days_before",
    "days_after",
    "not_zero",
    "lookup",
    "number",
    "plus",
    "minus",
    "times",
    "divided_by",
    "flatten",
    "without",
];

/// The filters that make a time, for hints.
pub(super) const TIME_FILTERS: &str = "epoch_ms, epoch_seconds, rfc3339, epoch_ms_or_rfc3339, utc_datetime or utc_date";

/// Times outside these are a mistake in the mapping (seconds taken for milliseconds, a zero), not a moment.
const EARLIEST_SECOND: i64 = 946_684_800; // 2000-01-01
const LATEST_SECOND: i64 = 4_102_444_800; // 2100-01-01

/// A moment inside the engine. Only the time filters make one, so that a bare number is never taken for a time.
#[derive(Debug)]
pub(super) struct Moment(pub(super) Timestamp);

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A moment as the engine sees it.
pub(super) fn moment(at: Timestamp) -> Value {
    Value::from_object(Moment(at))
}

/// Whether an expression can come out as a time.
pub(super) fn makes_a_time(expression: &str) -> bool {
    ["epoch_", "rfc3339", "utc_date", "known.", "window_", "now"].iter().any(|word| expression.contains(word))
}

pub(super) fn add_to(engine: &mut Environment<'static>) {
    engine.add_filter("epoch_ms", |value: Value| in_or_out(value, epoch_ms, |at| Value::from(at.as_millisecond())));
    engine
        .add_filter("epoch_seconds", |value: Value| in_or_out(value, epoch_seconds, |at| Value::from(at.as_second())));
    engine.add_filter("rfc3339", |value: Value| in_or_out(value, rfc3339, |at| Value::from(at.to_string())));
    engine.add_filter("epoch_ms_or_rfc3339", |value: Value| {
        let read = |value: &Value| if value.is_number() { epoch_ms(value) } else { rfc3339(value) };
        in_or_out(value, read, |at| Value::from(at.to_string()))
    });
    engine.add_filter("utc_datetime", |value: Value| {
        in_or_out(value, utc_datetime, |at| Value::from(at.to_zoned(TimeZone::UTC).datetime().to_string()))
    });
    engine.add_filter("utc_date", |value: Value| in_or_out(value, utc_date, utc_date_text));
    engine.add_filter("date", |value: Value| in_or_out(value, utc_date, utc_date_text));
    engine.add_filter("days_before", |value: Value, days: u32| shifted(&value, -i64::from(days), "days_before"));
    engine.add_filter("days_after", |value: Value, days: u32| shifted(&value, i64::from(days), "days_after"));
    engine.add_filter("not_zero", not_zero);
    engine.add_filter("lookup", lookup);
    engine.add_filter("number", |value: Value| passing_nothing(value, |value| exact(value).map(Exact::into_value)));
    engine.add_filter("plus", |value: Value, other: Value| calculate(value, &other, "plus", Exact::plus));
    engine.add_filter("minus", |value: Value, other: Value| calculate(value, &other, "minus", Exact::minus));
    engine.add_filter("times", |value: Value, other: Value| calculate(value, &other, "times", Exact::times));
    engine.add_filter("divided_by", |value: Value, other: Value| {
        calculate(value, &other, "divided_by", Exact::divided_by)
    });
    engine.add_filter("flatten", flatten);
    engine.add_filter("without", without);
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Leaves undefined and null as they are: whether they may be there is decided by the field.
fn passing_nothing(value: Value, read: impl Fn(&Value) -> Result<Value, Error>) -> Result<Value, Error> {
    if value.is_undefined() || value.is_none() { Ok(value) } else { read(&value) }
}

/// Reads a platform's time; or writes one of ours in the platform's way, for a query or a body.
fn in_or_out(
    value: Value,
    read: impl Fn(&Value) -> Result<Timestamp, Error>,
    write: impl Fn(Timestamp) -> Value,
) -> Result<Value, Error> {
    passing_nothing(value, |value| match value.downcast_object_ref::<Moment>() {
        Some(Moment(at)) => Ok(write(*at)),
        None => read(value).map(moment),
    })
}

fn epoch_ms(value: &Value) -> Result<Timestamp, Error> {
    let milliseconds = value.as_i64().filter(|_| value.is_number());
    let at = milliseconds.and_then(|value| Timestamp::from_millisecond(value).ok());
    plausible(at, value, "a time as milliseconds since 1970")
}

fn epoch_seconds(value: &Value) -> Result<Timestamp, Error> {
    let seconds = value.as_i64().filter(|_| value.is_number());
    let at = seconds.and_then(|value| Timestamp::from_second(value).ok());
    plausible(at, value, "a time as seconds since 1970")
}

fn rfc3339(value: &Value) -> Result<Timestamp, Error> {
    let at = value.as_str().and_then(|text| text.parse().ok());
    plausible(at, value, "a time as text such as `2026-11-20T10:00:00Z`")
}

fn utc_datetime(value: &Value) -> Result<Timestamp, Error> {
    let text = value.as_str().filter(|text| text.len() > "2026-11-20".len());
    // A text that names its zone means it.
    let civil = |text: &str| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    let at = text.and_then(|text| text.parse().ok().or_else(|| civil(text)));
    plausible(at, value, "a time in UTC as text such as `2026-11-20T10:00:00`")
}

fn utc_date(value: &Value) -> Result<Timestamp, Error> {
    let date =
        value.as_str().filter(|text| text.len() == "2026-11-20".len()).and_then(|text| text.parse::<Date>().ok());
    let at = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|at| at.timestamp());
    plausible(at, value, "a day as text such as `2026-11-20`")
}

fn utc_date_text(at: Timestamp) -> Value {
    Value::from(at.to_zoned(TimeZone::UTC).date().to_string())
}

fn plausible(at: Option<Timestamp>, found: &Value, expected: &str) -> Result<Timestamp, Error> {
    let unfit = || wrong(format!("found {}, expected {expected} between 2000 and 2100", describe(found)));
    at.filter(|at| (EARLIEST_SECOND..LATEST_SECOND).contains(&at.as_second())).ok_or_else(unfit)
}

/// A moment so many days of 24 hours later; earlier, if below zero.
fn shifted(value: &Value, days: i64, name: &str) -> Result<Value, Error> {
    let Some(Moment(at)) = value.downcast_object_ref::<Moment>() else {
        return Err(wrong(format!("`{name}` expects a time")));
    };
    let shifted = at.checked_add(SignedDuration::from_hours(24 * days));
    shifted.map(moment).map_err(|_| wrong(format!("`{name}` leaves the calendar")))
}

/// 0, null and an empty text all mean "not yet" and become null.
fn not_zero(value: Value) -> Value {
    let nothing = value.as_i64() == Some(0) || value.as_str() == Some("");
    if nothing && !value.is_undefined() { Value::from(()) } else { value }
}

/// The entry of a table, or the default; without a default an entry that is not there is missing.
fn lookup(key: Value, table: Value, default: Option<Value>) -> Result<Value, Error> {
    if key.is_undefined() || key.is_none() {
        return Ok(key);
    }
    let found = table.get_item(&key)?;
    Ok(if found.is_undefined() { default.unwrap_or(found) } else { found })
}

fn exact(value: &Value) -> Result<Exact, Error> {
    Exact::of(value).ok_or_else(|| wrong(format!("found {}, expected a decimal number", describe(value))))
}

fn calculate(
    value: Value,
    other: &Value,
    name: &str,
    operation: impl Fn(Exact, Exact) -> Option<Exact>,
) -> Result<Value, Error> {
    passing_nothing(value, |value| {
        let result = operation(exact(value)?, exact(other)?).map(Exact::into_value);
        result.ok_or_else(|| wrong(format!("`{name}({})` of {} has no result", describe(other), describe(value))))
    })
}

/// A list of objects that each hold a list under `key`: all the inner objects, each with its outer one as `parent`.
fn flatten(value: Value, key: String) -> Result<Value, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(value);
    }
    let mut records = Vec::new();
    for parent in value.try_iter()? {
        let inner = parent.get_attr(&key)?;
        if inner.is_undefined() || inner.kind() != ValueKind::Seq {
            let found = describe(&inner);
            return Err(wrong(format!("`flatten('{key}')` found {found}, expected a list")));
        }
        for item in inner.try_iter()? {
            let mut record: BTreeMap<String, Value> = BTreeMap::new();
            if item.kind() == ValueKind::Map {
                for name in item.try_iter()? {
                    record.insert(name.to_string(), item.get_item(&name)?);
                }
            } else {
                record.insert("value".to_owned(), item);
            }
            record.insert("parent".to_owned(), parent.clone());
            records.push(Value::from(record));
        }
    }
    Ok(Value::from(records))
}

/// An object without some of its keys, such as the seed of a generator.
fn without(value: Value, names: Rest<String>) -> Result<Value, Error> {
    if value.kind() != ValueKind::Map {
        return Ok(value);
    }
    let mut kept: BTreeMap<String, Value> = BTreeMap::new();
    for key in value.try_iter()? {
        let name = key.to_string();
        if !names.contains(&name) {
            kept.insert(name, value.get_item(&key)?);
        }
    }
    Ok(Value::from(kept))
}

#[cfg(test)]
mod tests {
    use super::super::expression::{Formula, Scope};
    use super::*;

    fn evaluate(text: &str, context: Value) -> Result<Value, Error> {
        let variables = &["item", "response", "tables", "lists"];
        let scope = Scope { variables, tables: vec!["states"], lists: vec!["steps"] };
        Formula::compile(text, &scope).unwrap().evaluate(context)
    }

    /// What an expression makes of JSON.
    fn of(text: &str, json: &str) -> String {
        let item: Value = serde_json::from_str(json).unwrap();
        match evaluate(text, Value::from_pairs([("item", item)])) {
            Ok(value) => serde_json::to_string(&value).map_or_else(
                |_| value.to_string(),
                |json| {
                    if value.kind() == ValueKind::Plain { value.to_string() } else { json }
                },
            ),
            Err(error) => format!("error: {}", error.detail().unwrap_or("missing")),
        }
    }

    #[test]
    fn filters_do_as_the_page_says() {
        for (text, json, expected) in [
            ("item.a | plus(item.b)", r#"{"a":"0.1","b":"0.2"}"#, "0.3"),
            ("item.a | minus(1)", r#"{"a":"1840.50"}"#, "1839.5"),
            ("item | times(100)", "12.34", "1234"),
            ("item | divided_by(1000000000)", "123456789", "0.123456789"),
            ("item | divided_by(0)", "1", "error: `divided_by(`0`)` of `1` has no result"),
            ("item | times(2)", "true", "error: found `true`, expected a decimal number"),
            ("item.gone | times(2)", "{}", "null"),
            ("item | number", "\"12\"", "12"),
            ("item | number", "\"12.50\"", "12.5"),
            ("item | number", "\"many\"", "error: found the text `many`, expected a decimal number"),
            (
                "item | flatten('models')",
                r#"[{"day":1,"models":[{"m":"a"},{"m":"b"}]},{"day":2,"models":[3]}]"#,
                r#"[{"m":"a","parent":{"day":1,"models":[{"m":"a"},{"m":"b"}]}},{"m":"b","parent":{"day":1,"models":[{"m":"a"},{"m":"b"}]}},{"parent":{"day":2,"models":[3]},"value":3}]"#,
            ),
            ("item | flatten('models')", r#"[{"models":7}]"#, "error: `flatten('models')` found `7`, expected a list"),
            ("item | without('seed')", r#"{"z":1,"seed":4,"a":2}"#, r#"{"a":2,"z":1}"#),
            ("item | without('seed')", "\"text\"", "\"text\""),
            ("item | rfc3339 | date", "\"2026-11-20T23:30:00-02:00\"", "\"2026-11-21\""),
            ("item | epoch_ms | epoch_seconds", "1795168885123", "1795168885"),
            ("item | epoch_seconds | epoch_ms", "1795168885", "1795168885000"),
            ("item | epoch_seconds | rfc3339", "1795168885", "\"2026-11-20T10:01:25Z\""),
            ("item | utc_date | days_after(1) | date", "\"2026-02-28\"", "\"2026-03-01\""),
            ("item | utc_date | days_before(1) | date", "\"2026-03-01\"", "\"2026-02-28\""),
            ("item | days_after(1)", "3", "error: `days_after` expects a time"),
        ] {
            assert_eq!(of(text, json), expected, "{text}");
        }
    }

    #[test]
    fn times_read_in_every_encoding() {
        let at = "2026-11-20T10:01:25Z";
        for (text, value) in [
            ("item | epoch_ms", Value::from(1_795_168_885_000_i64)),
            ("item | epoch_seconds", Value::from(1_795_168_885_i64)),
            ("item | rfc3339", Value::from(at)),
            ("item | rfc3339", Value::from("2026-11-20T11:01:25+01:00")),
            ("item | utc_datetime", Value::from("2026-11-20 10:01:25")),
            ("item | utc_datetime", Value::from("2026-11-20T10:01:25")),
            ("item | utc_datetime", Value::from("2026-11-20T11:01:25+01:00")),
            ("item | epoch_ms_or_rfc3339", Value::from(at)),
            ("item | epoch_ms_or_rfc3339", Value::from(1_795_168_885_000_i64)),
        ] {
            let read = evaluate(text, Value::from_pairs([("item", value)]));
            assert_eq!(read.unwrap().to_string(), at, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_no_moment_is_refused() {
        for (text, value) in [
            ("item | epoch_ms", Value::from(1_795_168_885)),
            ("item | epoch_seconds", Value::from(1_795_168_885_000_i64)),
            ("item | epoch_ms", Value::from(0)),
            ("item | epoch_ms", Value::from("2026-11-20T10:01:25Z")),
            ("item | epoch_ms", Value::from(true)),
            ("item | rfc3339", Value::from("2026-11-20 10:01")),
            ("item | rfc3339", Value::from(1)),
            ("item | utc_datetime", Value::from("2026-11-20")),
            ("item | utc_datetime", Value::from("yesterday at noon")),
        ] {
            let result = evaluate(text, Value::from_pairs([("item", value)]));
            assert!(result.unwrap_err().to_string().contains("expected a time "), "{text}");
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        for (text, none) in [
            ("item.zero | not_zero | epoch_ms", true),
            ("item.null | not_zero | epoch_ms", true),
            ("item.empty | not_zero | rfc3339", true),
            ("item.gone | not_zero | epoch_ms", false),
            ("item.gone | lookup(tables.states, 'unknown')", false),
        ] {
            let item = [("zero", Value::from(0)), ("null", Value::from(())), ("empty", Value::from(""))];
            let tables = Value::from_pairs([("states", Value::from_pairs([("A", "queued")]))]);
            let context = Value::from_pairs([("item", Value::from_pairs(item)), ("tables", tables)]);
            let value = evaluate(text, context).unwrap();
            assert_eq!((value.is_none(), value.is_undefined()), (none, !none), "{text}");
        }
    }
}
