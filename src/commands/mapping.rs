//! `mapping test`: what a mapping makes of a platform's answer.

use std::path::Path;

use anyhow::Context;

use super::{Answer, WrongUsage};
use crate::provider::mapping::{BUILT_IN, EndpointKind, Mapping};

pub fn test(mapping: &str, endpoint: &str, response: &Path) -> anyhow::Result<Answer> {
    let path = Path::new(mapping);
    let mapping = match Mapping::built_in(mapping) {
        Some(mapping) => mapping,
        None if !path.exists() => {
            let known: Vec<String> = BUILT_IN.iter().map(|(name, _)| format!("`{name}`")).collect();
            let known = known.join(", ");
            let message = format!("there is no mapping file `{mapping}`\nhint: the built-in mappings are {known}");
            return Err(WrongUsage(message).into());
        }
        None => Mapping::load(path),
    };
    let mapping = mapping.map_err(|error| WrongUsage(error.to_string()))?;
    // `charges.2` is the second of several lists of charges.
    let (word, number) = match endpoint.split_once('.') {
        Some((word, number)) => (word, number.parse().unwrap_or(0)),
        None => (endpoint, 1),
    };
    let Some(kind) = EndpointKind::parse(word).filter(|_| number > 0) else {
        return Err(
            WrongUsage::no_such("endpoint", endpoint, EndpointKind::ALL.iter().map(|kind| kind.as_str())).into()
        );
    };
    let json = std::fs::read(response).with_context(|| format!("failed to read `{}`", response.display()))?;
    let records = mapping.records(kind, number, &json).with_context(|| response.display().to_string())?;
    for record in &records {
        let text = record.to_string();
        say!("{}", if text.is_empty() { "(a record of nothing)" } else { &text });
    }
    say!("{} record{}", records.len(), if records.len() == 1 { "" } else { "s" });
    Ok(Answer::Fine)
}
