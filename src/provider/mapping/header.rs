//! Headers of a request: the only place where the key goes.

use reqwest::header::{HeaderName, HeaderValue};

/// A header whose value may hold the key.
#[derive(Debug)]
pub(in crate::provider) struct Header {
    pub(in crate::provider) name: HeaderName,
    /// What stands before and after the key; a single part holds no key.
    pub(super) parts: Vec<String>,
}

impl Header {
    /// Whether the value holds the key.
    pub(in crate::provider) fn needs_key(&self) -> bool {
        self.parts.len() > 1
    }

    /// The value with the key filled in; `None` if the key holds what no header may.
    pub(in crate::provider) fn value(&self, api_key: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.parts.join(api_key)).ok()?;
        value.set_sensitive(self.needs_key());
        Some(value)
    }

    /// Splits a value at the key.
    pub(super) fn parts_of(text: &str) -> Result<Vec<String>, String> {
        let mut parts = vec![String::new()];
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, tail) = after.split_once("}}").ok_or("`{{` is not closed")?;
            if inside.trim() != "api_key" {
                return Err(format!("expected `api_key` in braces, found `{}`", inside.trim()));
            }
            let last = parts.len() - 1;
            parts[last].push_str(before);
            parts.push(String::new());
            rest = tail;
        }
        let last = parts.len() - 1;
        parts[last].push_str(rest);
        let printable = parts.iter().all(|part| part.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        if printable { Ok(parts) } else { Err("expected printable ASCII".to_owned()) }
    }
}
