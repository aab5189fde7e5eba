//! How errors name what was found and what was expected.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::record::FieldKind;
use crate::domain::account::is_unprintable;

/// What to do about a field that is not there.
pub(super) const MISSING_HINT: &str =
    "if the platform leaves it out at times, say `{value: …, optional: true}` in the mapping";

/// What a field's expression must come out as.
pub(super) fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "a text of 1 to 256 characters",
        FieldKind::Time => "a time",
        FieldKind::Balance => "a number of credits",
        FieldKind::Amount => "a number of credits, zero or more",
        FieldKind::Count => "a whole number, zero or more",
        FieldKind::Flag => "true or false",
        FieldKind::Input => "a text or an object",
    }
}

/// What was found, short and printable.
pub(super) fn describe(value: &Value) -> String {
    match value.kind() {
        ValueKind::Number => format!("`{}`", shorten(&value.to_string())),
        ValueKind::Bool => format!("`{}`", value.is_true()),
        ValueKind::String => format!("the text `{}`", shorten(&value.to_string())),
        ValueKind::None => "null".to_owned(),
        ValueKind::Undefined => "nothing".to_owned(),
        ValueKind::Seq => format!("a list of {}", value.len().unwrap_or_default()),
        ValueKind::Map => "an object".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// The engine's words about an error. They may quote the response, so they are cut short.
pub(super) fn say(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the expression works too long".to_owned(),
        (ErrorKind::UndefinedError, _) => "missing in the response".to_owned(),
        (_, Some(detail)) => shorten_to(detail, 200),
        (kind, None) => kind.to_string(),
    }
}

fn shorten(text: &str) -> String {
    shorten_to(text, 40)
}

/// The beginning of a text, printable.
pub(super) fn shorten_to(text: &str, longest: usize) -> String {
    let mut clean: String = text.chars().filter(|c| !is_unprintable(*c)).take(longest).collect();
    if text.chars().count() > longest {
        clean.push('…');
    }
    clean
}
