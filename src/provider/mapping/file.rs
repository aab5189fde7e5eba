//! A mapping file as written. What it means is checked in `compile`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
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
    /// How many requests the platform allows, for all accounts with one key together.
    pub(super) requests: Option<Spanned<RequestsFile>>,
    /// What an answer with a good status looks like that is none.
    pub(super) failure: Option<FailureFile>,
    /// What the platform calls this account, where paths want to know it.
    pub(super) account: Option<EndpointFile>,
    /// How much is left.
    pub(super) balance: Option<EndpointFile>,
    /// The charge history: one endpoint, or several that are all read.
    #[serde(default)]
    pub(super) charges: OneOrMany,
    /// Task lists, from which charges are taken where there is no history.
    pub(super) tasks: Option<EndpointFile>,
    /// Tasks that were not final, asked for by their ids.
    pub(super) lookup: Option<EndpointFile>,
    /// Tasks waiting and running.
    pub(super) queue: Option<EndpointFile>,
    /// The plan.
    pub(super) plan: Option<EndpointFile>,
}

/// The platform's limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestsFile {
    /// Requests in any minute.
    pub(super) per_minute: Option<u32>,
    /// Requests in any second.
    pub(super) per_second: Option<u32>,
}

/// An answer that says that it failed, whatever its status.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailureFile {
    /// Whether an answer is one: an expression on `response`.
    pub(super) when: Spanned<String>,
    /// The platform's code for what went wrong.
    pub(super) code: Option<Spanned<String>>,
    /// The platform's words for it.
    pub(super) message: Option<Spanned<String>>,
    /// Reasons of ours, by the platform's code.
    #[serde(default)]
    pub(super) reasons: BTreeMap<String, Spanned<String>>,
}

/// An endpoint, or a list of them.
#[derive(Debug, Default)]
pub(super) struct OneOrMany(pub(super) Vec<EndpointFile>);

/// How one kind of record is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointFile {
    /// `GET`, the default, or `POST`.
    pub(super) method: Option<Spanned<String>>,
    /// Of `POST`: what is sent, as JSON.
    pub(super) body: Option<Spanned<serde_json::Value>>,
    /// Of `charges`: the time is asked for in pieces.
    pub(super) window: Option<WindowFile>,
    /// Of `lookup`: how many ids one request takes. Without it each task is asked for by itself.
    pub(super) per_request: Option<Spanned<u32>>,
    /// Of `lookup`: how many tasks are asked for in one poll.
    pub(super) most: Option<Spanned<u32>>,
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
    /// Of `queue`: `tasks`, to count the task lists; `lookup`, to count the known tasks that are not final.
    pub(super) from: Option<Spanned<String>>,
}

/// The expression of one field: a text, or a text with `optional`.
#[derive(Debug)]
pub(super) struct FieldFile {
    pub(super) value: String,
    pub(super) optional: bool,
}

/// Pieces of time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowFile {
    /// How many days one piece has at most.
    pub(super) days: Spanned<u32>,
    /// How many days back the first poll begins.
    pub(super) first: Spanned<u32>,
}

/// How to get the next page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PagingFile {
    /// `page`: by page number; `offset`: by the number of records before; `cursor`: by what the page before said.
    pub(super) by: Spanned<String>,
    /// The parameter that takes the page's number.
    pub(super) page_param: Option<Spanned<String>>,
    /// The parameter that takes the number of records before the page.
    pub(super) offset_param: Option<Spanned<String>>,
    /// The parameter that takes the cursor; the first page is asked for without it.
    pub(super) cursor_param: Option<Spanned<String>>,
    /// The parameter that takes the page's size.
    pub(super) size_param: Option<Spanned<String>>,
    /// Where the parameters go: `query`, the default, or `body`.
    #[serde(rename = "in")]
    pub(super) place: Option<Spanned<String>>,
    /// Records on a full page; a shorter page is the last.
    pub(super) size: Option<Spanned<u32>>,
    /// The next page's cursor: an expression on `response`. Null, an empty text or nothing is the end.
    pub(super) next: Option<Spanned<String>>,
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

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<OneOrMany, D::Error> {
        deserializer.deserialize_any(EndpointsVisitor)
    }
}

struct EndpointsVisitor;

impl<'de> Visitor<'de> for EndpointsVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an endpoint, or a list of endpoints")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
        EndpointFile::deserialize(MapAccessDeserializer::new(map)).map(|endpoint| OneOrMany(vec![endpoint]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
        let mut endpoints = Vec::new();
        while let Some(endpoint) = list.next_element()? {
            endpoints.push(endpoint);
        }
        Ok(OneOrMany(endpoints))
    }
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
