//! A mapping file as written. What it means is checked in `compile`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_saphyr::Spanned;

use super::nearest::nearest;
use super::{Mistake, PLACEHOLDER};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingFile {
    /// The platform's name, as in `fuelgauge_account_info`.
    pub(super) name: Spanned<String>,
    /// Where the platform answers; the configuration may name another.
    pub(super) base_url: Option<Spanned<String>>,
    /// Sent with every request. `{{ api_key }}` stands for the key; nowhere else.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// Tables for `lookup`. The values of the table `states` must be states of ours.
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, Spanned<String>>>,
    /// Lists for `in`.
    #[serde(default)]
    pub(super) lists: BTreeMap<String, Vec<String>>,
    /// How much is left.
    pub(super) balance: Option<EndpointFile>,
    /// The charge history.
    pub(super) charges: Option<EndpointFile>,
    /// Task lists, from which charges are taken where there is no history.
    pub(super) tasks: Option<EndpointFile>,
    /// Tasks waiting and running.
    pub(super) queue: Option<EndpointFile>,
    /// The plan.
    pub(super) plan: Option<EndpointFile>,
}

/// How one kind of record is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointFile {
    /// `GET`, the default.
    pub(super) method: Option<Spanned<String>>,
    /// Path below the base URL.
    pub(super) path: Option<Spanned<String>>,
    /// Several paths that answer alike.
    #[serde(default)]
    pub(super) paths: Vec<Spanned<String>>,
    /// Query parameters; `{{ since }}` and `{{ now }}` are times. A parameter that comes out empty is left out.
    #[serde(default)]
    pub(super) query: BTreeMap<String, Spanned<String>>,
    /// Headers for this endpoint, beside those of the file.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// Where the records are: an expression on `response`.
    pub(super) records: Option<Spanned<String>>,
    /// An expression for each field of the record.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Spanned<FieldFile>>,
    /// Names of fields that may be missing.
    #[serde(default)]
    pub(super) optional: Vec<Spanned<String>>,
    /// How to get the next page.
    pub(super) paging: Option<PagingFile>,
    /// Of `charges`: statuses at which the task lists are read instead.
    #[serde(default)]
    pub(super) fallback_on: Vec<Spanned<u16>>,
    /// With `paths`: statuses at which one path counts as not there.
    #[serde(default)]
    pub(super) skip_on: Vec<Spanned<u16>>,
    /// Of `queue`: `tasks`, to count the task lists.
    pub(super) from: Option<Spanned<String>>,
}

/// The expression of one field: a text, or a text with `optional`.
#[derive(Debug)]
pub(super) struct FieldFile {
    pub(super) value: String,
    pub(super) optional: bool,
}

/// How to get the next page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PagingFile {
    /// `page`: by page number.
    pub(super) by: Spanned<String>,
    /// The query parameter that takes the page number.
    pub(super) page_param: Spanned<String>,
    /// The query parameter that takes the page's size.
    pub(super) size_param: Option<Spanned<String>>,
    /// Records on a full page; a shorter page is the last.
    pub(super) size: Spanned<u32>,
    /// The first page's number.
    #[serde(default = "one")]
    pub(super) first: u32,
    /// Reaching this many pages is an error, not the end.
    pub(super) max_pages: Spanned<u32>,
    /// Whether there are more pages: an expression on `response`. Where the answer does not say, the size decides.
    pub(super) more: Option<Spanned<String>>,
}

fn one() -> u32 {
    1
}

/// Reads the YAML, and refuses a template that nobody filled in.
pub(super) fn read(text: &str) -> Result<MappingFile, Mistake> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 20_000, max_depth: 32, max_documents: 1 },
        strict_booleans: true,
        with_snippet: false,
    };
    let read: Result<MappingFile, _> = serde_saphyr::from_str_with_options(text, options);
    let first_unfilled =
        || text.lines().enumerate().find_map(|(index, line)| unfilled_key(line).map(|key| (index, key)));
    if let Some((index, key)) = first_unfilled() {
        return Err(Mistake {
            line: Some(index as u64 + 1),
            place: String::new(),
            message: format!("this template must be filled in: `{key}` still says `{PLACEHOLDER}`"),
            hint: Some("copy the file, fill in every key from the platform's own description of its API".to_owned()),
        });
    }
    read.map_err(|error| {
        let error = error.without_snippet();
        let text = error.to_string();
        // The line stands before the message already.
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Mistake {
            line: error.location().map(|location| location.line()).filter(|line| *line > 0),
            place: String::new(),
            hint: nearest_key(&message),
            message,
        }
    })
}

/// The key on a line of YAML whose value, or which itself, is still the placeholder.
fn unfilled_key(line: &str) -> Option<String> {
    let code = line.split_once('#').map_or(line, |(code, _)| code);
    let key = code.split(':').next().unwrap_or(code).trim_matches([' ', '-', '{', '"', '\'']);
    code.contains(PLACEHOLDER).then(|| key.to_owned())
}

/// The key that was probably meant, from the words of "unknown field `a`, expected one of b, c".
fn nearest_key(message: &str) -> Option<String> {
    let (_, tail) = message.split_once("unknown field `")?;
    let (found, tail) = tail.split_once('`')?;
    let known = tail.trim_start_matches(", expected ").trim_start_matches("one of ");
    let known: Vec<&str> = known.split([',', ' ', '`']).filter(|word| !word.is_empty()).collect();
    nearest(found, &known).map(|near| format!("did you mean `{near}`?"))
}

impl<'de> Deserialize<'de> for FieldFile {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<FieldFile, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// A derived untagged enum would lose the line of a mistake.
struct FieldVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldMap {
    value: String,
    #[serde(default)]
    optional: bool,
}

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expression, or `{value: expression, optional: true}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FieldFile, E> {
        Ok(FieldFile { value: text.to_owned(), optional: false })
    }

    // A bare word that YAML takes for a number or a boolean is an expression like any other.
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<FieldFile, E> {
        Ok(FieldFile { value: value.to_string(), optional: false })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<FieldFile, E> {
        Ok(FieldFile { value: value.to_string(), optional: false })
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<FieldFile, E> {
        Ok(FieldFile { value: value.to_string(), optional: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldFile, A::Error> {
        let FieldMap { value, optional } = FieldMap::deserialize(MapAccessDeserializer::new(map))?;
        Ok(FieldFile { value, optional })
    }
}
