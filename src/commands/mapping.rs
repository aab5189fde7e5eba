//! `mapping test`: what a mapping makes of a platform's answer.

use std::path::Path;

use anyhow::Context;

use super::{Answer, WrongUsage};
use crate::provider::mapping::{EndpointKind, Mapping};

pub fn test(mapping: &str, endpoint: &str, response: &Path) -> anyhow::Result<Answer> {
    let mapping = match Mapping::built_in(mapping) {
        Some(mapping) => mapping,
        None => Mapping::load(Path::new(mapping)),
    };
    let mapping = mapping.map_err(|error| WrongUsage(error.to_string()))?;
    let Some(kind) = EndpointKind::parse(endpoint) else {
        let known: Vec<&str> = EndpointKind::ALL.iter().map(|kind| kind.as_str()).collect();
        return Err(WrongUsage(format!("--endpoint: `{endpoint}`; expected one of: {}", known.join(", "))).into());
    };
    let json = std::fs::read(response).with_context(|| format!("failed to read `{}`", response.display()))?;
    let records = mapping.records(kind, &json)?;
    for record in &records {
        println!("{record}");
    }
    println!("{} records", records.len());
    Ok(Answer::Fine)
}
