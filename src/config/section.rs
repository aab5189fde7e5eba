//! How the sections of the file are read from the tree: `section!` declares the keys of one, each with its meaning and
//! default, and everything else follows from that declaration: unknown keys with the nearest valid one, keys written
//! twice, and the way to each value.

use std::collections::HashMap;

use super::mistakes::{Mistakes, Place, Position, any_of, nearest, shown};
use super::tree::{Key, Node, Value};

/// Something that can stand behind a key.
pub(super) trait Read: Sized {
    /// Reads a value; `at` is the way to it. `None` if it is wrong, which has been noted then.
    fn read(node: &Node, at: &str, mistakes: &mut Mistakes) -> Option<Self>;

    /// Lists the keys inside that have an effect, each with the way to it.
    #[cfg(test)]
    fn keys(at: &str, found: &mut Vec<String>) {
        found.push(at.into());
    }
}

/// A scalar and where it was written. It holds no control characters.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Where a section begins, and which of its keys were written, rightly, wrongly, or nearly.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) place: Place,
    written: Vec<String>,
}

impl Head {
    /// Whether no key was written at all.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// How many keys were written.
    pub(super) fn count(&self) -> usize {
        self.written.len()
    }

    /// Notes that a key is missing, unless it was written wrongly, which has been noted already.
    pub(super) fn missing(&self, key: &str, hint: &str, mistakes: &mut Mistakes) {
        if !self.written.iter().any(|written| written == key) {
            let hint = if hint.is_empty() { String::new() } else { format!("\nhint: {hint}") };
            mistakes.add(&self.place, format!("the key `{key}` is missing{hint}"));
        }
    }
}

/// Declares a section: a struct with a `head` and one `Option` for each key. Doc comments state the defaults.
macro_rules! section {
    ($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(dead_code, reason = "not every section's place is asked for")]
        pub(super) struct $name {
            /// Where it is written.
            pub(super) head: $crate::config::section::Head,
            $($(#[$field_doc])* pub(super) $field: Option<$type>,)*
        }

        impl $crate::config::section::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                at: &str,
                mistakes: &mut $crate::config::mistakes::Mistakes,
            ) -> Option<Self> {
                use $crate::config::section;
                let keys = [$(section::key_name(stringify!($field))),*];
                let entries = section::entries(node, at, &keys, mistakes)?;
                $(let $field = section::value(entries, section::key_name(stringify!($field)), at, mistakes);)*
                Some($name { head: section::head(node, entries, &keys, at), $($field),* })
            }

            #[cfg(test)]
            fn keys(at: &str, found: &mut Vec<String>) {
                use $crate::config::section;
                $(<$type>::keys(&section::join(at, section::key_name(stringify!($field))), found);)*
            }
        }
    };
}
pub(super) use section;

/// The key of a field: `match` is a keyword of Rust and its field is called `r#match`.
pub(super) fn key_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// The entries of a mapping, after noting unknown and repeated keys. A section with all its keys commented out is an
/// empty one.
pub(super) fn entries<'a>(
    node: &'a Node,
    at: &str,
    keys: &[&str],
    mistakes: &mut Mistakes,
) -> Option<&'a [(Key, Node)]> {
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Nothing => &[],
        Value::Scalar(_) | Value::List(_) => {
            let place = place(node.position, at);
            mistakes.add(
                &place,
                format!("expected keys such as {}, found {}", any_of(keys.iter().copied().take(3)), kind_of(node)),
            );
            return None;
        }
    };
    let mut lines: HashMap<&str, u64> = HashMap::new();
    for (key, _) in entries {
        if !keys.contains(&key.text.as_str()) {
            mistakes.add(&place(key.position, at), unknown_key(&key.text, keys));
        } else if let Some(line) = lines.insert(&key.text, key.position.line) {
            let place = place(key.position, &join(at, &key.text));
            mistakes.add(&place, format!("the key is written twice, also on line {line}"));
        }
    }
    Some(entries)
}

/// The value of a key, if it was written.
pub(super) fn value<T: Read>(entries: &[(Key, Node)], key: &str, at: &str, mistakes: &mut Mistakes) -> Option<T> {
    let (_, node) = entries.iter().find(|(written, _)| written.text == key)?;
    T::read(node, &join(at, key), mistakes)
}

/// A misspelt key counts as written, lest it be told as missing too.
pub(super) fn head(node: &Node, entries: &[(Key, Node)], keys: &[&str], at: &str) -> Head {
    let meant = |found: &str| nearest(found, keys.iter().copied()).unwrap_or(found).to_owned();
    let written = entries.iter().map(|(key, _)| meant(&key.text)).collect();
    Head { place: place(node.position, at), written }
}

impl Read for Text {
    fn read(node: &Node, at: &str, mistakes: &mut Mistakes) -> Option<Text> {
        let place = place(node.position, at);
        let Value::Scalar(text) = &node.value else {
            mistakes.add(&place, format!("expected a value, found {}{}", kind_of(node), hint_if_nothing(node)));
            return None;
        };
        if text.chars().any(crate::domain::account::is_unprintable) {
            mistakes.add(&place, format!("`{}` holds a line break or another invisible character", shown(text)));
            return None;
        }
        if text.contains("${") {
            mistakes.add(
                &place,
                "`${…}` is not replaced by anything here\nhint: write the value; secrets stand in files of their own",
            );
            return None;
        }
        Some(Text { text: text.clone(), place })
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, at: &str, mistakes: &mut Mistakes) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            let hint = match &node.value {
                Value::Scalar(text) => format!("\nhint: write `[{}]`", shown(text)),
                Value::Map(_) => "\nhint: begin each item with `- `".to_owned(),
                Value::Nothing | Value::List(_) => hint_if_nothing(node).to_owned(),
            };
            mistakes.add(&place(node.position, at), format!("expected a list, found {}{hint}", kind_of(node)));
            return None;
        };
        let items = items.iter().enumerate();
        // Wrong items are left out: they have been noted.
        Some(items.filter_map(|(index, item)| T::read(item, &item_path(at, index, item), mistakes)).collect())
    }

    #[cfg(test)]
    fn keys(at: &str, found: &mut Vec<String>) {
        T::keys(at, found);
    }
}

fn unknown_key(found: &str, keys: &[&str]) -> String {
    let hint = match nearest(found, keys.iter().copied()) {
        Some(key) => format!("did you mean `{key}`?"),
        None => format!("expected {}", any_of(keys.iter().copied())),
    };
    format!("unknown key `{}`\nhint: {hint}", shown(found))
}

fn kind_of(node: &Node) -> String {
    match &node.value {
        Value::Nothing => "nothing".to_owned(),
        Value::Scalar(text) => format!("`{}`", shown(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

fn hint_if_nothing(node: &Node) -> &'static str {
    if node.value == Value::Nothing { "\nhint: remove the key, or write a value behind it" } else { "" }
}

fn place(position: Position, at: &str) -> Place {
    Place { position, at: at.into() }
}

pub(super) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.into() } else { format!("{at}.{key}") }
}

/// An item with a plain name is called by it, as in `accounts.studio`; another by its number, as in `accounts[0]`.
fn item_path(at: &str, index: usize, item: &Node) -> String {
    let Value::Map(entries) = &item.value else { return format!("{at}[{index}]") };
    let name = entries.iter().find(|(key, _)| key.text == "name").map(|(_, node)| &node.value);
    match name {
        Some(Value::Scalar(name)) if is_plain(name) => format!("{at}.{name}"),
        _ => format!("{at}[{index}]"),
    }
}

fn is_plain(name: &str) -> bool {
    let is_short = (1..=64).contains(&name.len());
    is_short && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
