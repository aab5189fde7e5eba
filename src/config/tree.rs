//! YAML as a tree in which every key and value knows its line. The sections of `file` are read from it.
//!
//! A tree rather than typed deserialization, because serde stops at the first mistake: from a tree all unknown keys, all
//! missing keys and all wrong values can be told in one run, each with the way to it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Spanned};

use super::mistakes::Position;

/// A value and where it begins.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) position: Position,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// `null`, `~`, or nothing at all.
    Nothing,
    /// Any scalar, as written: `4000.50` stays `4000.50`.
    Scalar(String),
    List(Vec<Node>),
    /// In the order written; keys may repeat.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Key {
    pub(super) position: Position,
    pub(super) text: String,
}

/// A file of ten thousand accounts with all their keys stays well below these; what is beyond is no configuration.
pub(super) const MOST_BYTES: u64 = 16 << 20;
const MOST_NODES: usize = 1_000_000;
const DEEPEST: usize = 16;
/// Aliases save typing in a few places; what needs more is a bomb.
const MOST_ALIASES: usize = 1_000;
const MOST_ALIASED_NODES: usize = 20_000;
/// What is wrong with a file of remarks alone.
pub(super) const EMPTY: &str = "the file is empty";

/// Reads one YAML document.
///
/// # Errors
/// What is wrong with its syntax, and where.
pub(super) fn parse(text: &str) -> Result<Node, (Option<Position>, String)> {
    if text.len() as u64 > MOST_BYTES {
        return Err((None, format!("the file is larger than {} MiB", MOST_BYTES >> 20)));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 2 * MOST_NODES,
            max_nodes: MOST_NODES,
            max_depth: DEEPEST,
            max_aliases: MOST_ALIASES,
            max_anchors: MOST_ALIASES,
            max_recorded_anchor_events: MOST_ALIASED_NODES,
            max_recorded_anchor_bytes: MOST_BYTES as usize,
            max_documents: 2,
            max_total_scalar_bytes: MOST_BYTES as usize,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_ALIASED_NODES,
            max_replay_stack_depth: DEEPEST,
        },
        // Repeated keys are told together with all other mistakes, by `section`.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // A snippet would show the neighbouring lines, whatever they hold.
        with_snippet: false,
    };
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax_mistake(&error))?;
    match node(raw, text) {
        Node { value: Value::Nothing, .. } => Err((None, EMPTY.to_owned())),
        tree => Ok(tree),
    }
}

/// A value as the YAML library hands it over.
enum Raw {
    Nothing,
    /// A scalar that is no text, in the library's spelling.
    Plain(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let value = match raw.value {
        Raw::Nothing => Value::Nothing,
        Raw::Text(text) => Value::Scalar(text),
        Raw::Plain(text) => Value::Scalar(as_written(&text, raw.defined, source).map_or(text.clone(), str::to_owned)),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, item)| (entry_key(key), node(item, source))).collect())
        }
    };
    Node { position: position(raw.referenced).unwrap_or(Position { line: 1, column: 1 }), value }
}

fn entry_key(key: Spanned<String>) -> Key {
    Key { position: position(key.referenced).unwrap_or(Position { line: 1, column: 1 }), text: key.value }
}

/// The number as it stands in the file: `1.10` is not `1.1`, should it be a name. `None` where the file has another
/// notation, such as `0x10`.
fn as_written<'a>(text: &str, at: Location, source: &'a str) -> Option<&'a str> {
    let from = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let written = source.get(from..from.checked_add(length)?)?.trim();
    let is_same = written.parse::<f64>().ok()? == text.parse::<f64>().ok()?;
    is_same.then_some(written)
}

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

fn syntax_mistake(error: &serde_saphyr::Error) -> (Option<Position>, String) {
    use serde_saphyr::Error;
    let mut cause = error.without_snippet();
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let message = match cause {
        Error::MultipleDocuments { .. } => "a second document begins; expected one\nhint: remove the `---`".to_owned(),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            format!(
                "too much for a configuration; expected at most {MOST_NODES} values, {DEEPEST} levels deep, and \
                 {MOST_ALIASED_NODES} values by aliases"
            )
        }
        Error::InvalidUtf8Input => "the file is not UTF-8 text".to_owned(),
        other => {
            // The position stands in front of the message already.
            let text = other.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            format!("this is no YAML: {}", text.trim_start_matches("error: "))
        }
    };
    (error.location().and_then(position), message)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Value {
        Value::Scalar(text.into())
    }

    fn entry(text: &str) -> Result<Value, String> {
        let tree = parse(&format!("ü: 1\nkey: {text}\n")).map_err(|(_, message)| message)?;
        let Value::Map(mut entries) = tree.value else { return Err("no mapping".into()) };
        assert_eq!(entries[1].0.position, Position { line: 2, column: 1 });
        Ok(entries.remove(1).1.value)
    }

    #[test]
    fn scalars_stay_as_written() {
        for (text, expected) in [
            ("4000", scalar("4000")),
            ("4000.50", scalar("4000.50")),
            ("0.1000000000000000055", scalar("0.1000000000000000055")),
            ("007", scalar("007")),
            ("1_000", scalar("1_000")),
            ("00:00", scalar("00:00")),
            ("yes", scalar("yes")),
            ("true", scalar("true")),
            ("\"12\"", scalar("12")),
            ("0x10", scalar("16")),
            ("", Value::Nothing),
            ("~", Value::Nothing),
            ("[]", Value::List(vec![])),
            ("{}", Value::Map(vec![])),
        ] {
            assert_eq!(entry(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn aliases_are_followed_and_bombs_are_not() {
        let tree = parse("a: &x 1.50\nb: *x\n").unwrap();
        let Value::Map(entries) = tree.value else { panic!("a mapping") };
        assert_eq!(entries[1].1.value, scalar("1.50"));
        assert_eq!(entries[1].1.position, Position { line: 2, column: 4 });

        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert!(parse(&bomb).unwrap_err().1.starts_with("too much for a configuration"), "{:?}", parse(&bomb));
    }
}
