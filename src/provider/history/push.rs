//! A reading that somebody pushes: the same records as everywhere, as JSON.
//!
//! ```json
//! {
//!   "balance": {"available": 1840, "plan": 1500, "purchased": 340},
//!   "plan": {"name": "studio", "allowance": 4000, "resets_at": "2026-12-01T00:00:00Z"},
//!   "queue": {"waiting": 3, "running": 2, "limit": 10},
//!   "charges": [
//!     {"charge_id": "c-1", "at": "2026-11-20T08:05:00Z", "credits": 60, "task_type": "text-to-3d", "outcome": "succeeded"}
//!   ]
//! }
//! ```
//!
//! Every part may be left out, and at least one is there. A key that is not known is a mistake: a misspelt one would be
//! silently lost.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::columns::ColumnMap;
use super::field::Field;
use super::json::{JsonCells, kind_of};
use super::row::{Cells, Columns, Place};
use crate::domain::{BalanceRecord, Collector, Credits, PlanRecord, QueueRecord, Reading};
use crate::provider::mapping::nearest;
use crate::provider::names::{clipped, printable, shorten};

/// Most charges in one push.
pub const MOST_CHARGES: usize = 10_000;

/// So many mistakes are told; the rest is counted.
const MOST_MISTAKES: usize = 20;

/// What was pushed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// The records.
    pub reading: Reading,
    /// What was told, be it that there is nothing new: an empty list of charges says that they were looked at.
    pub told: BTreeSet<Collector>,
}

/// Why nothing of a push was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} mistakes, the first: {}", self.count, self.mistakes.first().map_or(String::new(), ToString::to_string))]
pub struct PushError {
    /// The first mistakes, at least one.
    pub mistakes: Vec<PushMistake>,
    /// How many there are.
    pub count: usize,
}

/// One mistake in a push.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}{}", self.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}")))]
pub struct PushMistake {
    /// Where it is, such as `charges[3]`; `body` for the whole.
    pub at: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Reads the body of a push: all of it or nothing. What charges say of their assets and inputs is remembered as
/// fingerprints under `salt`.
///
/// # Errors
/// Every mistake in it, each with its place.
pub fn read_push(body: &[u8], salt: &[u8; 16]) -> Result<Pushed, PushError> {
    let mut mistakes = Mistakes::default();
    let mut pushed = Pushed::default();
    match serde_json::from_slice(body) {
        Ok(Value::Object(parts)) if !parts.is_empty() => {
            for (name, value) in parts {
                read_part(&name, value, salt, &mut pushed, &mut mistakes);
            }
        }
        Ok(Value::Object(_)) => mistakes.add("body", format!("found nothing, expected {PARTS}"), None),
        Ok(other) => {
            mistakes.add("body", format!("found {}, expected an object with {PARTS}", kind_of(&other)), None);
        }
        Err(error) => mistakes.add("body", format!("expected JSON: {error}"), None),
    }
    match mistakes.count {
        0 => Ok(pushed),
        count => Err(PushError { mistakes: mistakes.first, count }),
    }
}

const PARTS: &str = "`balance`, `plan`, `queue` or `charges`";

#[derive(Default)]
struct Mistakes {
    first: Vec<PushMistake>,
    count: usize,
}

impl Mistakes {
    fn add(&mut self, at: &str, message: impl Into<String>, hint: Option<String>) {
        self.count += 1;
        if self.first.len() < MOST_MISTAKES {
            self.first.push(PushMistake { at: at.to_owned(), message: message.into(), hint });
        }
    }

    fn unknown_key(&mut self, at: &str, key: &str, known: &[&str]) {
        let hint = match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected {}", known.join(", ")),
        };
        self.add(at, format!("unknown key `{}`", shorten(key)), Some(hint));
    }
}

fn read_part(name: &str, value: Value, salt: &[u8; 16], pushed: &mut Pushed, mistakes: &mut Mistakes) {
    let reading = &mut pushed.reading;
    let told = match name {
        "balance" => {
            reading.balance = Part::open(name, value, &["available", "plan", "purchased", "frozen"], mistakes)
                .and_then(|mut part| part.balance());
            Collector::Balance
        }
        "plan" => {
            reading.plan =
                Part::open(name, value, &["name", "allowance", "resets_at"], mistakes).and_then(|mut part| part.plan());
            Collector::Plan
        }
        "queue" => {
            reading.queue = Part::open(name, value, &["waiting", "running", "limit", "oldest_waiting_at"], mistakes)
                .and_then(|mut part| part.queue());
            Collector::Queue
        }
        "charges" => {
            read_charges(value, salt, reading, mistakes);
            Collector::Charges
        }
        _ => return mistakes.unknown_key("body", name, &["balance", "plan", "queue", "charges"]),
    };
    pushed.told.insert(told);
}

fn read_charges(value: Value, salt: &[u8; 16], reading: &mut Reading, mistakes: &mut Mistakes) {
    let Value::Array(items) = value else {
        return mistakes.add("charges", format!("found {}, expected a list", kind_of(&value)), None);
    };
    if items.len() > MOST_CHARGES {
        let hint = "send the rest in further requests, or use `fuelgauge import`".to_owned();
        let message = format!("found {} charges, expected at most {MOST_CHARGES}", items.len());
        return mistakes.add("charges", message, Some(hint));
    }
    let columns = Columns::of_keys(&ColumnMap::plain());
    let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    for (number, item) in items.into_iter().enumerate() {
        let at = format!("charges[{number}]");
        let Value::Object(object) = item else {
            mistakes.add(&at, format!("found {}, expected an object", kind_of(&item)), None);
            continue;
        };
        let cells = JsonCells(object);
        for key in cells.keys().filter(|key| Field::parse(key).is_none()) {
            mistakes.unknown_key(&at, key, &known);
        }
        match columns.charge(&cells, Some(salt)) {
            Ok(task) => reading.tasks.push(task),
            Err(message) => mistakes.add(&at, message, None),
        }
    }
}

/// One of the parts that are a single object.
struct Part<'a> {
    at: &'a str,
    cells: JsonCells,
    mistakes: &'a mut Mistakes,
    is_wrong: bool,
}

impl<'a> Part<'a> {
    fn open(at: &'a str, value: Value, known: &[&str], mistakes: &'a mut Mistakes) -> Option<Part<'a>> {
        let Value::Object(object) = value else {
            mistakes.add(at, format!("found {}, expected an object", kind_of(&value)), None);
            return None;
        };
        let cells = JsonCells(object);
        for key in cells.keys().filter(|key| !known.contains(key)) {
            mistakes.unknown_key(at, key, known);
        }
        Some(Part { at, cells, mistakes, is_wrong: false })
    }

    fn wrong(&mut self, message: String) {
        self.is_wrong = true;
        self.mistakes.add(self.at, message, None);
    }

    fn field<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let place = Place { name: name.to_owned(), index: 0 };
        let read = self.cells.cell(&place).and_then(|text| text.map(|text| read(&text)).transpose());
        read.unwrap_or_else(|message| {
            self.wrong(format!("`{name}`: {message}"));
            None
        })
    }

    fn needed<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let before = self.is_wrong;
        let value = self.field(name, read);
        if value.is_none() && self.is_wrong == before {
            self.wrong(format!("`{name}` is missing"));
        }
        value
    }

    fn balance(&mut self) -> Option<BalanceRecord> {
        let available = self.needed("available", credits);
        let (plan, purchased) = (self.field("plan", credits), self.field("purchased", credits));
        let frozen = self.field("frozen", amount);
        (!self.is_wrong).then_some(BalanceRecord { available: available?, plan, purchased, frozen })
    }

    fn plan(&mut self) -> Option<PlanRecord> {
        let name = self.field("name", |text| Ok(clipped(printable(text))));
        let (allowance, resets_at) = (self.field("allowance", amount), self.field("resets_at", time));
        if !self.is_wrong && name.is_none() && allowance.is_none() && resets_at.is_none() {
            self.wrong("found nothing, expected `name`, `allowance` or `resets_at`".to_owned());
        }
        (!self.is_wrong).then_some(PlanRecord { name, allowance, resets_at })
    }

    fn queue(&mut self) -> Option<QueueRecord> {
        let (waiting, running) = (self.needed("waiting", count), self.needed("running", count));
        let (limit, oldest_waiting_at) = (self.field("limit", count), self.field("oldest_waiting_at", time));
        (!self.is_wrong).then_some(QueueRecord { waiting: waiting?, running: running?, limit, oldest_waiting_at })
    }
}

fn credits(text: &str) -> Result<Credits, String> {
    Credits::parse(text).map_err(|error| error.to_string())
}

fn amount(text: &str) -> Result<Credits, String> {
    match credits(text)? {
        credits if credits.is_negative() => Err(format!("expected an amount of 0 or more, found `{credits}`")),
        credits => Ok(credits),
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expected a whole number, found `{}`", shorten(text)))
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("expected a time such as `2026-01-31T09:30:00Z`, found `{}`", shorten(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Pushed, String> {
        read_push(body.as_bytes(), &[7; 16]).map_err(|error| {
            let told: Vec<String> = error.mistakes.iter().map(ToString::to_string).collect();
            told.join("\n")
        })
    }

    #[test]
    fn a_whole_reading_is_taken() {
        let pushed = read(
            r#"{"balance": {"available": 1840.5, "plan": "1500", "purchased": 340.5, "frozen": null},
                "plan": {"allowance": 4000, "resets_at": "2026-12-01T00:00:00Z"},
                "queue": {"waiting": 3, "running": 2, "oldest_waiting_at": "2026-11-20T08:00:00Z"},
                "charges": [
                    {"charge_id": "c-1", "at": "2026-11-20T08:05:00Z", "credits": 0.1, "task_type": "rig",
                     "outcome": "succeeded", "asset": "tree", "is_step": true, "variants": 4},
                    {"id": "c-2", "created_at": "2026-11-20T08:05:00Z", "task_type": "rig", "state": "running",
                     "team": "env"}
                ]}"#,
        )
        .unwrap();
        let balance = pushed.reading.balance.unwrap();
        assert_eq!((balance.available.micros(), balance.plan), (1_840_500_000, Some(Credits::from_whole(1500))));
        assert_eq!((balance.purchased.map(Credits::micros), balance.frozen), (Some(340_500_000), None));
        let queue = pushed.reading.queue.unwrap();
        assert_eq!((queue.waiting, queue.running, queue.limit), (3, 2, None));
        assert_eq!(pushed.reading.plan.unwrap().allowance, Some(Credits::from_whole(4000)));
        let [first, second] = &pushed.reading.tasks[..] else { panic!("{:?}", pushed.reading.tasks) };
        assert_eq!((first.credits.map(Credits::micros), first.variants), (Some(100_000), Some(4)));
        assert!(first.is_step && first.asset.is_some() && first.fingerprint.is_none());
        assert_eq!(
            (second.id.as_str(), second.credits, second.attribution.team.as_deref()),
            ("c-2", None, Some("env"))
        );
        assert_eq!(pushed.told.len(), 4);
        let nothing_new = read(r#"{"charges": []}"#).unwrap();
        assert_eq!(nothing_new.told, BTreeSet::from([Collector::Charges]));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let charge = |fields: &str| {
            format!(
                r#"{{"charges": [{{"charge_id": "a", "at": "2026-11-20T08:05:00Z", "task_type": "rig", {fields}}}]}}"#
            )
        };
        for (body, expected) in [
            ("", "body: expected JSON: "),
            ("[]", "body: found a list of 0, expected an object with `balance`"),
            ("{}", "body: found nothing, expected `balance`"),
            (r#"{"balances": {}}"#, "body: unknown key `balances`\nhint: did you mean `balance`?"),
            (r#"{"balance": 5}"#, "balance: found `5`, expected an object"),
            (r#"{"balance": {}}"#, "balance: `available` is missing"),
            (r#"{"balance": {"available": "much"}}"#, "balance: `available`: expected a decimal number of credits"),
            (r#"{"balance": {"available": 1, "left": 2}}"#, "balance: unknown key `left`\nhint: expected available"),
            (r#"{"balance": {"available": 1, "frozen": -2}}"#, "balance: `frozen`: expected an amount of 0 or more"),
            (r#"{"plan": {}}"#, "plan: found nothing, expected `name`"),
            (r#"{"plan": {"resets_at": 1796113800}}"#, "plan: `resets_at`: expected a time such as"),
            (r#"{"queue": {"waiting": 1.5, "running": 1}}"#, "queue: `waiting`: expected a whole number, found `1.5`"),
            (r#"{"charges": {}}"#, "charges: found an object, expected a list"),
            (r#"{"charges": [1]}"#, "charges[0]: found `1`, expected an object"),
            (&charge(r#""outcome": "done", "credits": 1"#), "charges[0]: `outcome`: expected `succeeded`"),
            (&charge(r#""outcome": "failed""#), "charges[0]: `credits` is missing"),
            (&charge(r#""outcome": "failed", "credits": [1]"#), "charges[0]: `credits`: expected a text or a number"),
            (&charge(r#""outcome": "failed", "credits": 1, "credit": 1"#), "charges[0]: unknown key `credit`"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
    }

    #[test]
    fn a_push_has_an_end() {
        let charge = r#"{"charge_id": "a"}"#;
        let many = |count: usize| format!(r#"{{"charges": [{}]}}"#, vec![charge; count].join(","));
        assert!(read(&many(MOST_CHARGES + 1)).unwrap_err().contains("found 10001 charges, expected at most 10000"));
        let error = read_push(many(500).as_bytes(), &[7; 16]).unwrap_err();
        assert_eq!((error.count, error.mistakes.len()), (500, MOST_MISTAKES));
        let deep = "[".repeat(200_000);
        assert!(read(&deep).unwrap_err().contains("recursion limit"));
    }
}
