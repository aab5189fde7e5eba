//! A columns file: how the columns of somebody's charge history are called, and how they are written.
//!
//! ```yaml
//! delimiter: ";"
//! columns:
//!   charge_id: Transaction
//!   at: {column: Date, format: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}
//!   credits: {column: Amount, charges_are: negative, decimal: ","}
//!   task_type: Tool
//!   outcome: {column: Status, values: {Done: succeeded, Error: failed}, otherwise: unknown}
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_saphyr::Spanned;

use super::field::Field;
use super::formats::{AmountFormat, ChargeSign, TimeFormat};
use crate::domain::{Credits, RetryKind, TaskState};
use crate::provider::mapping::{MappingError, Mistake, nearest};
use crate::provider::names::shorten;

/// Largest columns file accepted, in bytes.
const LARGEST_FILE: u64 = 256 * 1024;

/// Where each field of a charge is found in a history, and how it is written there.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnMap {
    /// Between the cells of a line; one byte.
    pub(super) delimiter: u8,
    pub(super) fields: BTreeMap<Field, Column>,
    /// Whether a person wrote it. Otherwise the columns are called as the fields are, by either name.
    pub(super) is_written: bool,
}

/// Where one field is found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) source: Source,
    /// Words of theirs, and what they are in ours.
    pub(super) values: BTreeMap<String, String>,
    /// What every other word is.
    pub(super) otherwise: Option<String>,
    pub(super) time: TimeFormat,
    pub(super) amount: AmountFormat,
}

/// Where the text of a field comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The column (or key) of that name.
    Named(String),
    /// The same in every row.
    Constant(String),
    /// What several columns say together, for a history whose rows have no ids.
    HashOf(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnsFile {
    /// Between the cells of a line: one character, or `tab`. Default: a comma.
    delimiter: Option<Spanned<String>>,
    columns: BTreeMap<String, Spanned<ColumnFile>>,
}

/// A column as written: its name, or a mapping.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ColumnKeys {
    column: Option<String>,
    constant: Option<String>,
    hash_of: Option<Vec<String>>,
    values: BTreeMap<String, String>,
    otherwise: Option<String>,
    format: Option<String>,
    timezone: Option<String>,
    credits_per_unit: Option<String>,
    decimal: Option<String>,
    thousands: Option<String>,
    charges_are: Option<String>,
}

#[derive(Debug)]
struct ColumnFile(ColumnKeys);

impl ColumnMap {
    /// Columns that are called as the fields are, or as mappings call them; moments as RFC 3339; credits.
    pub fn plain() -> ColumnMap {
        let column = |field: Field| (field, Column::named(field.name()));
        ColumnMap { delimiter: b',', fields: Field::ALL.into_iter().map(column).collect(), is_written: false }
    }

    /// Reads and checks a columns file. `zone` is where times without an offset are read, unless the file says another.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML, names no field of ours, or says what cannot be right.
    pub fn load(path: &Path, zone: &TimeZone) -> Result<ColumnMap, MappingError> {
        let file = path.display().to_string();
        let read = || {
            let size = std::fs::metadata(path)?.len();
            if size > LARGEST_FILE {
                return Err(std::io::Error::other(format!("expected at most {LARGEST_FILE} bytes, found {size}")));
            }
            std::fs::read_to_string(path)
        };
        match read() {
            Ok(text) => ColumnMap::parse(&file, &text, zone),
            Err(error) => {
                Err(MappingError { file, mistakes: vec![mistake(None, "", format!("failed to read: {error}"))] })
            }
        }
    }

    /// Checks a text as if it stood in `file`: see [`ColumnMap::load`].
    ///
    /// # Errors
    /// As [`ColumnMap::load`].
    pub fn parse(file: &str, text: &str, zone: &TimeZone) -> Result<ColumnMap, MappingError> {
        let wrong = |mistakes| MappingError { file: file.to_owned(), mistakes };
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_nodes: 20_000, max_depth: 16, max_documents: 1 },
            strict_booleans: true,
            with_snippet: false,
        };
        let written: ColumnsFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let error = error.without_snippet();
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
            wrong(vec![mistake(line, "", message)])
        })?;
        compile(&written, zone).map_err(wrong)
    }
}

impl Column {
    pub(super) fn named(name: &str) -> Column {
        Column {
            source: Source::Named(name.to_owned()),
            values: BTreeMap::new(),
            otherwise: None,
            time: TimeFormat::default(),
            amount: AmountFormat::default(),
        }
    }
}

fn mistake(line: Option<u64>, place: &str, message: impl Into<String>) -> Mistake {
    Mistake { line, place: place.to_owned(), message: message.into(), hint: None }
}

fn compile(file: &ColumnsFile, zone: &TimeZone) -> Result<ColumnMap, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let delimiter = match file.delimiter.as_ref().map(|text| (text.value.as_str(), text)) {
        None => b',',
        Some(("tab" | "\t", _)) => b'\t',
        Some((text, _)) if text.len() == 1 && !text.chars().any(|c| c.is_alphanumeric() || c == '"') => {
            text.as_bytes()[0]
        }
        Some((text, spanned)) => {
            let message = format!("expected one character or `tab`, found `{}`", shorten(text));
            mistakes.push(mistake(Some(spanned.referenced.line()), "delimiter", message));
            b','
        }
    };
    let mut fields = BTreeMap::new();
    for (name, column) in &file.columns {
        let line = Some(column.referenced.line());
        let place = format!("columns.{name}");
        let Some(field) = Field::parse(name) else {
            let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
            let hint = match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the left side is a field of ours: {}", known.join(", ")),
            };
            let message = format!("unknown field `{}`", shorten(name));
            mistakes.push(Mistake { hint: Some(hint), ..mistake(line, "columns", message) });
            continue;
        };
        match compile_column(field, &column.value.0, zone) {
            Ok(_) if fields.contains_key(&field) => {
                mistakes.push(mistake(line, &place, format!("`{}` is told twice", field.name())));
            }
            Ok(column) => drop(fields.insert(field, column)),
            Err(message) => mistakes.push(mistake(line, &place, message)),
        }
    }
    let told = |field: &Field| file.columns.keys().any(|name| Field::parse(name) == Some(*field));
    let missing: Vec<String> =
        Field::NEEDED.into_iter().filter(|field| !told(field)).map(|field| format!("`{}`", field.name())).collect();
    if !missing.is_empty() {
        let hint = "say where it is, as in `outcome: {column: Status, values: {Done: succeeded}}`, or the same for all \
                    rows, as in `outcome: {constant: succeeded}`";
        let message = format!("nothing is said of {}", missing.join(", "));
        mistakes.push(Mistake { hint: Some(hint.to_owned()), ..mistake(None, "columns", message) });
    }
    if mistakes.is_empty() { Ok(ColumnMap { delimiter, fields, is_written: true }) } else { Err(mistakes) }
}

fn compile_column(field: Field, keys: &ColumnKeys, zone: &TimeZone) -> Result<Column, String> {
    let source = match (&keys.column, &keys.constant, &keys.hash_of) {
        (Some(name), None, None) if !name.trim().is_empty() => Source::Named(name.trim().to_owned()),
        (None, Some(text), None) if !text.trim().is_empty() => Source::Constant(text.trim().to_owned()),
        (None, None, Some(names)) if field == Field::ChargeId && !names.is_empty() => Source::HashOf(names.clone()),
        (None, None, Some(_)) => {
            return Err("`hash_of` is a list of columns, and stands behind `charge_id` alone".to_owned());
        }
        _ => return Err("expected the name of a column, or one of `column`, `constant` and `hash_of`".to_owned()),
    };
    let only = |is_fit: bool, key: &str, written: bool, of: &str| match written && !is_fit {
        true => Err(format!("`{key}` is for {of}, and has no effect here")),
        false => Ok(()),
    };
    only(field.is_time(), "format", keys.format.is_some(), "times")?;
    only(field.is_time(), "timezone", keys.timezone.is_some(), "times")?;
    only(field.is_amount(), "credits_per_unit", keys.credits_per_unit.is_some(), "credits")?;
    only(field.is_amount(), "decimal", keys.decimal.is_some(), "credits")?;
    only(field.is_amount(), "thousands", keys.thousands.is_some(), "credits")?;
    only(field == Field::Credits, "charges_are", keys.charges_are.is_some(), "`credits`")?;
    let has_words = !field.is_time() && !field.is_amount();
    only(has_words, "values", !keys.values.is_empty(), "words")?;
    only(has_words && !keys.values.is_empty(), "otherwise", keys.otherwise.is_some(), "a column with `values`")?;
    for word in keys.values.values().chain(&keys.otherwise) {
        check_word(field, word)?;
    }
    if let Source::Constant(word) = &source {
        check_word(field, word)?;
    }
    let column = Column {
        time: time_format(keys, zone)?,
        amount: amount_format(keys)?,
        values: keys.values.clone(),
        otherwise: keys.otherwise.clone(),
        source,
    };
    Ok(column)
}

/// Whether a word of ours stands where only words of ours may.
fn check_word(field: Field, word: &str) -> Result<(), String> {
    let (is_known, expected) = match field {
        Field::Outcome => (outcome(word).is_some(), OUTCOMES),
        Field::Retry => (RetryKind::parse(word).is_some(), RETRIES),
        Field::IsStep | Field::IsSum | Field::IsEstimated => (flag(word).is_some(), FLAGS),
        _ => return Ok(()),
    };
    if is_known { Ok(()) } else { Err(format!("expected {expected}, found `{}`", shorten(word))) }
}

pub(super) const OUTCOMES: &str =
    "`succeeded`, `failed`, `refunded`, `cancelled`, `expired`, `queued`, `running` or `unknown`";
pub(super) const RETRIES: &str = "`rerun` or `resubmission`";
pub(super) const FLAGS: &str = "`true` or `false`";

/// The state of an outcome, and whether all of its credits came back.
pub(super) fn outcome(word: &str) -> Option<(TaskState, bool)> {
    match word {
        "refunded" => Some((TaskState::Failed, true)),
        _ => TaskState::ALL.into_iter().find(|state| state.as_str() == word).map(|state| (state, false)),
    }
}

pub(super) fn flag(word: &str) -> Option<bool> {
    match word {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn time_format(keys: &ColumnKeys, zone: &TimeZone) -> Result<TimeFormat, String> {
    let zone = match &keys.timezone {
        None => zone.clone(),
        Some(name) => TimeZone::get(name)
            .map_err(|_| format!("`timezone`: `{}` is no time zone of the IANA database", shorten(name)))?,
    };
    match &keys.format {
        Some(format) => TimeFormat::parse(format, &zone).map_err(|error| format!("`format`: {error}")),
        None if keys.timezone.is_some() => Err("`timezone` has no effect without a `format` of a pattern".to_owned()),
        None => Ok(TimeFormat::default()),
    }
}

fn amount_format(keys: &ColumnKeys) -> Result<AmountFormat, String> {
    let character = |name: &str, text: &Option<String>| -> Result<Option<char>, String> {
        let Some(text) = text else { return Ok(None) };
        match text.chars().collect::<Vec<_>>()[..] {
            [c] if !c.is_alphanumeric() && c != '-' && c != '+' => Ok(Some(c)),
            _ => Err(format!("`{name}`: expected one character such as `,`, found `{}`", shorten(text))),
        }
    };
    let (decimal, thousands) =
        (character("decimal", &keys.decimal)?.unwrap_or('.'), character("thousands", &keys.thousands)?);
    if thousands == Some(decimal) {
        return Err(format!("`decimal` and `thousands` cannot both be `{decimal}`"));
    }
    let credits_per_unit = match &keys.credits_per_unit {
        None => None,
        Some(text) => match Credits::parse(text) {
            Ok(unit) if unit.is_positive() => Some(unit),
            _ => return Err(format!("`credits_per_unit`: expected a number above 0, found `{}`", shorten(text))),
        },
    };
    let sign = match keys.charges_are.as_deref() {
        None => ChargeSign::Unsigned,
        Some("positive") => ChargeSign::Positive,
        Some("negative") => ChargeSign::Negative,
        Some(other) => {
            return Err(format!("`charges_are`: expected `positive` or `negative`, found `{}`", shorten(other)));
        }
    };
    Ok(AmountFormat { credits_per_unit, decimal, thousands, sign })
}

impl<'de> Deserialize<'de> for ColumnFile {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<ColumnFile, D::Error> {
        deserializer.deserialize_any(ColumnVisitor)
    }
}

/// A derived untagged enum would lose the line of a mistake.
struct ColumnVisitor;

impl<'de> Visitor<'de> for ColumnVisitor {
    type Value = ColumnFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column, or keys such as `column` and `format`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ColumnFile, E> {
        Ok(ColumnFile(ColumnKeys { column: Some(text.to_owned()), ..ColumnKeys::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ColumnFile, A::Error> {
        ColumnKeys::deserialize(MapAccessDeserializer::new(map)).map(ColumnFile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_line_place_and_hint() {
        let whole = "columns:\n  charge_id: a\n  at: b\n  credits: c\n  task_type: d\n  outcome: e\n";
        assert!(ColumnMap::parse("f.yml", whole, &TimeZone::UTC).unwrap().is_written);
        for (from, to, expected) in [
            ("  at: b", "  creditz: b", "f.yml:3: columns: unknown field `creditz`\nhint: did you mean `credits`?"),
            ("  outcome: e\n", "", "f.yml: columns: nothing is said of `outcome`\nhint: "),
            ("e\n", "{column: e, values: {Ok: fine}}\n", "f.yml:6: columns.outcome: expected `succeeded`, `failed`"),
            ("e\n", "{constant: fine}\n", "columns.outcome: expected `succeeded`"),
            ("e\n", "{values: {Ok: failed}}\n", "expected the name of a column, or one of `column`, `constant`"),
            ("e\n", "{column: e, format: rfc3339}\n", "`format` is for times, and has no effect here"),
            ("e\n", "{column: e, otherwise: failed}\n", "`otherwise` is for a column with `values`"),
            ("b\n", "{column: b, values: {x: y}}\n", "`values` is for words"),
            ("b\n", "{column: b, format: dmy}\n", "columns.at: `format`: expected `rfc3339`"),
            ("b\n", "{column: b, timezone: Mars}\n", "`timezone`: `Mars` is no time zone"),
            ("b\n", "{column: b, timezone: UTC}\n", "`timezone` has no effect without a `format`"),
            ("c\n", "{column: c, credits_per_unit: '0'}\n", "`credits_per_unit`: expected a number above 0, found `0`"),
            ("c\n", "{column: c, charges_are: red}\n", "expected `positive` or `negative`, found `red`"),
            ("c\n", "{column: c, decimal: ',', thousands: ','}\n", "cannot both be `,`"),
            ("c\n", "{column: c, decimals: 2}\n", "f.yml:4: unknown field `decimals`"),
            ("d\n", "{hash_of: [a]}\n", "stands behind `charge_id` alone"),
            (
                "columns:",
                "delimiter: and\ncolumns:",
                "f.yml:1: delimiter: expected one character or `tab`, found `and`",
            ),
            ("  at: b\n", "  at: b\n  created_at: x\n", "`at` is told twice"),
        ] {
            let text = whole.replacen(from, to, 1);
            let error = ColumnMap::parse("f.yml", &text, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
