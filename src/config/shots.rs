//! A shot list: several lines of a job in a file of their own, YAML or CSV.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::ConfigErrors;
use super::mistakes::{Mistakes, Position, shown};
use super::section::{Read as _, Text, section};
use super::tree::{self, Key, Node, Value};
use super::values::{self, Context};
use crate::domain::plan_check::{MOST_ASSETS, MOST_ATTEMPTS, MOST_LINES, MOST_VARIANTS};
use crate::domain::{EstimateRequest, PlannedLine};

section! {
    /// A whole shot list.
    struct ShotsFile {
        /// One item for each line. Required.
        shots: Vec<ShotFile>,
    }
}

section! {
    /// One line.
    struct ShotFile {
        /// The platform's word for the kind of task. Required.
        task: Text,
        /// The platform's word for its quality. Default: whatever was usual.
        quality: Text,
        /// Variants of each asset. Default: 1.
        variants: Text,
        /// How many assets. Default: 1.
        count: Text,
        /// How often each asset will be launched. Default: as the history says.
        attempts: Text,
        /// When it will be launched: a day, or an instant. Default: now.
        start: Text,
        /// Who launches it. Default: the team that is asked for.
        team: Text,
        /// From which account. Default: the one that is asked for.
        account: Text,
    }
}

/// One line of a shot list.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// Who launches it, if it says so.
    pub team: Option<String>,
    /// From which account, if it says so.
    pub account: Option<String>,
    request: EstimateRequest,
    start: Option<Start>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Instant(Timestamp),
    Day(Date),
}

impl Shot {
    /// The line, with days as they begin in the account's zone.
    pub fn line(&self, zone: &TimeZone) -> PlannedLine {
        let starts_at = self.start.and_then(|start| match start {
            Start::Instant(instant) => Some(instant),
            Start::Day(day) => day.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp()),
        });
        PlannedLine { request: self.request.clone(), starts_at }
    }
}

/// The columns of a list that is CSV; the order is free and all but `task` may be left out.
const COLUMNS: [&str; 8] = ["task", "quality", "variants", "count", "attempts", "start", "team", "account"];

/// Reads a shot list: CSV if the file's name ends so, else YAML. `text` is what is in it.
///
/// # Errors
/// Every mistake that can be found in one run.
pub fn parse_shots(text: &str, path: &Path) -> Result<Vec<Shot>, ConfigErrors> {
    let mut context = Context::new(path);
    let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let tree = if is_csv { rows(text, &mut context.mistakes) } else { document(text, &mut context.mistakes) };
    let file = tree.and_then(|tree| ShotsFile::read(&tree, "", &mut context.mistakes));
    let Some(file) = file else { return Err(context.mistakes.into_errors()) };
    match &file.shots {
        None => file.head.missing(
            "shots",
            "write `shots:` and a line for each, such as `- {task: rig, count: 3}`",
            &mut context.mistakes,
        ),
        Some(shots) if shots.is_empty() && context.mistakes.is_empty() => {
            context.mistakes.add_to_file(None, "expected at least one shot, found none");
        }
        Some(shots) if shots.len() > MOST_LINES => {
            let message =
                format!("expected at most {MOST_LINES} shots, found {}\nhint: plan them in parts", shots.len());
            context.mistakes.add_to_file(None, message);
        }
        Some(_) => {}
    }
    let shots: Vec<Shot> = file.shots.iter().flatten().filter_map(|shot| check(shot, &mut context)).collect();
    if context.mistakes.is_empty() { Ok(shots) } else { Err(context.mistakes.into_errors()) }
}

fn check(file: &ShotFile, context: &mut Context) -> Option<Shot> {
    if file.task.is_none() {
        file.head.missing("task", "write the kind of task as the platform calls it", &mut context.mistakes);
    }
    let variants = number(file.variants.as_ref(), MOST_VARIANTS, context);
    let count = number(file.count.as_ref(), MOST_ASSETS, context);
    let attempts = match &file.attempts {
        Some(text) => {
            let attempts = text.text.parse().ok().filter(|attempts: &f64| (1.0..=MOST_ATTEMPTS).contains(attempts));
            let found = shown(&text.text);
            let wrong = |context: &mut Context| {
                context.wrong(&text.place, format!("expected a number from 1 to {MOST_ATTEMPTS}, found `{found}`"))
            };
            attempts.map(Some).or_else(|| wrong(context))
        }
        None => Some(None),
    };
    let start = match &file.start {
        Some(text) => start(text, context).map(Some),
        None => Some(None),
    };
    let words = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone()).filter(|text| !text.is_empty());
    Some(Shot {
        team: words(&file.team),
        account: words(&file.account),
        request: EstimateRequest {
            task_type: words(&file.task)?,
            quality: words(&file.quality),
            variants: variants?,
            count: count?,
            attempts: attempts?,
        },
        start: start?,
    })
}

fn number(text: Option<&Text>, most: u32, context: &mut Context) -> Option<u32> {
    let Some(text) = text else { return Some(1) };
    let expected = format!("a whole number from 1 to {most}");
    let number: u32 = values::whole(text, &expected, context)?;
    if (1..=most).contains(&number) {
        return Some(number);
    }
    context.wrong(&text.place, format!("expected {expected}, found `{number}`"))
}

fn start(text: &Text, context: &mut Context) -> Option<Start> {
    if let Ok(instant) = text.text.parse() {
        return Some(Start::Instant(instant));
    }
    match text.text.parse().ok().filter(|_| text.text.len() == 10) {
        Some(day) => Some(Start::Day(day)),
        None => context.wrong(
            &text.place,
            format!(
                "expected a day or an instant, found `{}`\nhint: write a day such as `2026-12-01`, or an instant such as \
                 `2026-12-01T09:00:00Z`",
                shown(&text.text)
            ),
        ),
    }
}

fn document(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    tree::parse(text).map_err(|(position, message)| mistakes.add_to_file(position, message)).ok()
}

/// The rows of a CSV file as the tree that the same list in YAML would be. Empty cells are left out.
fn rows(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            mistakes.add_to_file(None, format!("failed to read the header: {error}"));
            return None;
        }
    };
    if !header.iter().any(|column| column == "task") {
        let at = Position { line: 1, column: 1 };
        let known = COLUMNS.map(|column| format!("`{column}`")).join(", ");
        mistakes.add_to_file(Some(at), format!("the column `task` is missing\nhint: the columns are {known}"));
        return None;
    }
    let mut shots = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                mistakes.add_to_file(Some(Position { line, column: 1 }), format!("failed to read the row: {error}"));
                continue;
            }
        };
        let line = record.position().map_or(1, csv::Position::line);
        let cell = |(place, (column, value)): (usize, (&str, &str))| {
            let position = Position { line, column: place as u64 + 1 };
            let key = Key { position, text: column.to_owned() };
            (key, Node { position, value: Value::Scalar(value.to_owned()) })
        };
        let cells = header.iter().zip(&record).enumerate().filter(|(_, (_, value))| !value.is_empty()).map(cell);
        shots.push(Node { position: Position { line, column: 1 }, value: Value::Map(cells.collect()) });
    }
    let position = Position { line: 1, column: 1 };
    let list = Node { position, value: Value::List(shots) };
    Some(Node { position, value: Value::Map(vec![(Key { position, text: "shots".to_owned() }, list)]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "shots:\n  - {task: text-to-3d, quality: high, variants: 4, count: 10, attempts: 1.5, start: 2026-12-01}\n  - {task: rig, team: props, account: studio, start: \"2026-12-01T09:00:00Z\"}\n";
    const CSV: &str = "\u{feff}count, task,quality,variants,attempts,start,team,account\n10,text-to-3d,high,4,1.5,2026-12-01,,\n,rig,,,,2026-12-01T09:00:00Z,props,studio\n";

    #[test]
    fn a_list_is_the_same_in_both_notations() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let expected = [
            ("10 × text-to-3d in high, 4 variants of each, 1.5 attempts for each", "2026-11-30T23:00:00Z", None, None),
            ("1 × rig", "2026-12-01T09:00:00Z", Some("props"), Some("studio")),
        ];
        for (name, text) in [("list.yml", YAML), ("list.CSV", CSV)] {
            let shots = parse_shots(text, Path::new(name)).unwrap();
            assert_eq!(shots.len(), expected.len(), "{name}");
            for (shot, (words, starts_at, team, account)) in shots.iter().zip(expected) {
                let line = shot.line(&berlin);
                assert_eq!(line.request.in_words(), words, "{name}");
                assert_eq!(line.starts_at, Some(starts_at.parse().unwrap()), "{name}");
                assert_eq!((shot.team.as_deref(), shot.account.as_deref()), (team, account), "{name}");
            }
        }
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_was_expected() {
        let many = format!("shots:\n{}", "  - {task: rig}\n".repeat(MOST_LINES + 1));
        for (name, text, expected) in [
            ("a.yml", "", "a.yml: the file is empty"),
            ("a.yml", "shots: []\n", "a.yml: expected at least one shot, found none"),
            (
                "a.yml",
                "shots:\n  - {count: 3}\n",
                "a.yml:2:5: shots[0]: the key `task` is missing\nhint: write the kind of task as the platform calls it",
            ),
            (
                "a.yml",
                "shots:\n  - {task: rig, counts: 3}\n",
                "a.yml:2:17: shots[0]: unknown key `counts`\nhint: did you mean `count`?",
            ),
            (
                "a.yml",
                "shots:\n  - {task: rig, count: 0}\n",
                "a.yml:2:24: shots[0].count: expected a whole number from 1 to 100000, found `0`",
            ),
            (
                "a.yml",
                "shots:\n  - {task: rig, attempts: 0.5}\n",
                "a.yml:2:27: shots[0].attempts: expected a number from 1 to 100, found `0.5`",
            ),
            ("a.yml", many.as_str(), "a.yml: expected at most 200 shots, found 201\nhint: plan them in parts"),
            (
                "a.csv",
                "kind,count\nrig,3\n",
                "a.csv:1:1: the column `task` is missing\nhint: the columns are `task`, `quality`, `variants`, `count`, `attempts`, `start`, `team`, `account`",
            ),
            (
                "a.csv",
                "task,count\nrig,three\n",
                "a.csv:2:2: shots[0].count: expected a whole number from 1 to 100000, found `three`",
            ),
            (
                "a.csv",
                "task,count\nrig,3,4\n",
                "a.csv:2:1: failed to read the row: CSV error: record 1 (line: 2, byte: 11): found record with 3 fields, but the previous record has 2 fields",
            ),
            (
                "a.csv",
                "task,start\nrig,tomorrow\n",
                "a.csv:2:2: shots[0].start: expected a day or an instant, found `tomorrow`\nhint: write a day such as `2026-12-01`, or an instant such as `2026-12-01T09:00:00Z`",
            ),
        ] {
            let errors = parse_shots(text, Path::new(name)).unwrap_err();
            assert_eq!(errors.iter().next().unwrap().to_string(), expected, "{text}");
        }
    }
}
