//! What is read of a request's JSON: objects of known keys, and their values.

use serde_json::{Map, Value};

use super::door::Refusal;

/// Where a body itself is wrong.
pub(super) const BODY: &str = "body";

/// The whole of a body.
pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::mistake(BODY, error.to_string()))
}

/// The object at a place, which has no other keys than these.
pub(super) fn object<'a>(value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Map<String, Value>, Refusal> {
    let Value::Object(fields) = value else {
        return Err(Refusal::mistake(at, "expected an object"));
    };
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        let unknown: String = unknown.chars().take(40).collect();
        let at = if at == BODY { unknown } else { format!("{at}.{unknown}") };
        return Err(Refusal::mistake(at, format!("unknown key\nhint: expected one of {}", known.join(", "))));
    }
    Ok(fields)
}

/// The value of a key; `null` is as good as none.
pub(super) fn value<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    fields.get(key).filter(|value| !value.is_null())
}

/// The text of a key.
pub(super) fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, Refusal> {
    match value(fields, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::mistake(key, "expected a text")),
    }
}
