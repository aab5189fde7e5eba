//! From the cells of a row, a line of JSON or a pushed record to a charge: one way for all of them.

use std::borrow::Cow;

use jiff::Timestamp;

use super::columns::{Column, ColumnMap, FLAGS, OUTCOMES, RETRIES, Source, flag, outcome};
use super::field::Field;
use super::formats::ChargeSign;
use super::json::JsonCells;
use crate::domain::{Attribution, Basis, Credits, RetryKind, TaskRecord};
use crate::provider::fingerprint;
use crate::provider::names::{LONGEST_TEXT, clipped, printable, shorten};

/// Something that has texts by column.
pub(super) trait Cells {
    /// The text of a column, without white space at its ends; `None` if there is none.
    ///
    /// # Errors
    /// Something stands there that is no text, number or flag.
    fn cell(&self, column: &Place) -> Result<Option<Cow<'_, str>>, String>;
}

/// A column of a history that was opened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Its name, or a key of JSON.
    pub(super) name: String,
    /// Where it is in a line of cells.
    pub(super) index: usize,
}

/// The columns of a history that was opened, each at its place.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    fields: [Option<Bound>; Field::ALL.len()],
}

/// One field with its column and the places that the column names.
#[derive(Clone, Debug)]
struct Bound {
    column: Column,
    places: Vec<Place>,
}

/// A header that lacks columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingColumns(pub(super) Vec<String>);

impl Columns {
    /// Finds the columns of `map` by their names. `find` answers with the place of a column in a line of cells.
    ///
    /// # Errors
    /// A needed column, or any column that the map names, is not there.
    pub(super) fn bind(map: &ColumnMap, find: impl Fn(&str) -> Option<usize>) -> Result<Columns, MissingColumns> {
        let mut fields = [const { None }; Field::ALL.len()];
        let mut missing = Vec::new();
        for (field, column) in &map.fields {
            let names: Vec<&str> = match &column.source {
                Source::Constant(_) => Vec::new(),
                Source::Named(name) => vec![name],
                Source::HashOf(names) => names.iter().map(String::as_str).collect(),
            };
            let mut places = Vec::with_capacity(names.len());
            for name in names {
                let other = field.other_name().filter(|_| !map.is_written);
                let found = find(name).map(|index| (name, index));
                let found = found.or_else(|| other.and_then(|name| find(name).map(|index| (name, index))));
                match found {
                    Some((name, index)) => places.push(Place { name: name.to_owned(), index }),
                    // Of plain columns only those that are needed must be there; what a person wrote is meant.
                    None if map.is_written || Field::NEEDED.contains(field) => missing.push(name.to_owned()),
                    None => {}
                }
            }
            let is_there = matches!(column.source, Source::Constant(_)) || !places.is_empty();
            fields[field.place()] = is_there.then(|| Bound { column: column.clone(), places });
        }
        if missing.is_empty() { Ok(Columns { fields }) } else { Err(MissingColumns(missing)) }
    }

    /// The columns of JSON: a line may have either name of a field, and need not have all of them.
    pub(super) fn of_keys(map: &ColumnMap) -> Columns {
        let mut fields = [const { None }; Field::ALL.len()];
        for (field, column) in &map.fields {
            let other = field.other_name().filter(|_| !map.is_written);
            let names: Vec<&str> = match &column.source {
                Source::Constant(_) => Vec::new(),
                Source::Named(name) => [name.as_str()].into_iter().chain(other).collect(),
                Source::HashOf(names) => names.iter().map(String::as_str).collect(),
            };
            let places = names.into_iter().map(|name| Place { name: name.to_owned(), index: 0 }).collect();
            fields[field.place()] = Some(Bound { column: column.clone(), places });
        }
        Columns { fields }
    }

    /// Whether a first line has what every line needs.
    ///
    /// # Errors
    /// The keys that it lacks.
    pub(super) fn are_in(&self, cells: &JsonCells) -> Result<(), MissingColumns> {
        let lacks = |field: &Field| {
            let bound = self.fields[field.place()].as_ref()?;
            let is_there = bound.places.is_empty() || bound.places.iter().any(|place| cells.has(&place.name));
            (!is_there).then(|| bound.places[0].name.clone())
        };
        let missing: Vec<String> = Field::NEEDED.iter().filter_map(lacks).collect();
        if missing.is_empty() { Ok(()) } else { Err(MissingColumns(missing)) }
    }

    /// The charge of a row. With a `salt`, what it attempts is remembered as a fingerprint.
    ///
    /// # Errors
    /// The column, what was found there, and what was expected.
    pub(super) fn charge(&self, cells: &impl Cells, salt: Option<&[u8; 16]>) -> Result<TaskRecord, String> {
        let row = Row { columns: self, cells };
        let id = row.id()?;
        let created_at = row.needed(Field::At, row.time(Field::At)?)?;
        let word = row.needed(Field::Outcome, row.text(Field::Outcome)?)?;
        let (state, is_refunded) = outcome(&word)
            .ok_or_else(|| row.wrong(Field::Outcome, format!("expected {OUTCOMES}, found `{}`", shorten(&word))))?;
        let is_sum = row.flag(Field::IsSum)?;
        let (credits, came_back) = row.credits(is_sum)?;
        let refunded = row.amount(Field::RefundedCredits)?.or(came_back);
        if credits.is_none() && refunded.is_none() && (state.is_final() || is_refunded) {
            return Err(row.missing(Field::Credits));
        }
        let task_type = row.needed(Field::TaskType, row.name(Field::TaskType)?)?;
        let attempted = |field: Field| -> Result<_, String> {
            let Some(text) = row.text(field)? else { return Ok(None) };
            Ok(salt.and_then(|salt| fingerprint(salt, &task_type, &text)))
        };
        let (fingerprint, asset) = (attempted(Field::Input)?, attempted(Field::Asset)?);
        Ok(TaskRecord {
            started_at: row.time(Field::StartedAt)?,
            finished_at: row.time(Field::FinishedAt)?,
            quality: row.name(Field::Quality)?.unwrap_or_default(),
            variants: row.count(Field::Variants)?,
            credits,
            refunded: if is_refunded && refunded.is_none() { credits } else { refunded },
            attribution: Attribution {
                team: row.name(Field::Team)?,
                project: row.name(Field::Project)?,
                member: row.name(Field::Member)?,
                api_key: row.name(Field::ApiKey)?,
            },
            fingerprint,
            asset,
            is_step: row.flag(Field::IsStep)?,
            retry: row.word(Field::Retry, RETRIES, RetryKind::parse)?,
            is_sum,
            basis: if row.flag(Field::IsEstimated)? { Basis::Estimated } else { Basis::Reported },
            ..TaskRecord::new(id, created_at, state, task_type)
        })
    }
}

/// One row, read field by field.
struct Row<'a, C> {
    columns: &'a Columns,
    cells: &'a C,
}

impl<'a, C: Cells> Row<'a, C> {
    fn bound(&self, field: Field) -> Option<&'a Bound> {
        self.columns.fields[field.place()].as_ref()
    }

    /// What a person calls the field: the column, with our word for it where that is another.
    fn called(&self, field: Field) -> String {
        match self.bound(field).and_then(|bound| bound.places.first()) {
            Some(place) if place.name != field.name() => format!("`{}` ({})", shorten(&place.name), field.name()),
            _ => format!("`{}`", field.name()),
        }
    }

    fn wrong(&self, field: Field, message: impl std::fmt::Display) -> String {
        format!("{}: {message}", self.called(field))
    }

    fn missing(&self, field: Field) -> String {
        format!("{} is missing", self.called(field))
    }

    fn needed<T>(&self, field: Field, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| self.missing(field))
    }

    /// The text of a field in our words.
    fn text(&self, field: Field) -> Result<Option<Cow<'a, str>>, String> {
        let Some(Bound { column, places }) = self.bound(field) else { return Ok(None) };
        if let Source::Constant(text) = &column.source {
            return Ok(Some(Cow::Borrowed(text)));
        }
        let mut text = None;
        for place in places {
            text = text.or(self.cells.cell(place).map_err(|error| self.wrong(field, error))?);
        }
        let Some(text) = text else { return Ok(None) };
        if column.values.is_empty() {
            return Ok(Some(text));
        }
        let translated = column.values.get(&*text).or(column.otherwise.as_ref());
        Ok(Some(translated.map_or(text, |word| Cow::Borrowed(word.as_str()))))
    }

    fn id(&self) -> Result<String, String> {
        let field = Field::ChargeId;
        let Some(Bound { column, places }) = self.bound(field) else { return Err(self.missing(field)) };
        if matches!(column.source, Source::HashOf(_)) {
            return self.hash_of(places);
        }
        let id = printable(&self.needed(field, self.text(field)?)?);
        match id.chars().count() {
            length if length > LONGEST_TEXT => {
                Err(self.wrong(field, format!("expected at most {LONGEST_TEXT} characters, found {length}")))
            }
            _ => Ok(id),
        }
    }

    /// An id for a row that has none: equal rows are the same charge, however often they are read.
    fn hash_of(&self, places: &[Place]) -> Result<String, String> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for place in places {
            let text = self.cells.cell(place).map_err(|error| self.wrong(Field::ChargeId, error))?;
            let text = text.unwrap_or_default();
            // The length keeps neighbours from running into one another.
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let digest = context.finish();
        let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("row-{hex}"))
    }

    fn name(&self, field: Field) -> Result<Option<String>, String> {
        Ok(self.text(field)?.map(|text| clipped(printable(&text))))
    }

    fn time(&self, field: Field) -> Result<Option<Timestamp>, String> {
        let Some(bound) = self.bound(field) else { return Ok(None) };
        let Some(text) = self.text(field)? else { return Ok(None) };
        bound.column.time.read(&text).map(Some).map_err(|error| self.wrong(field, error))
    }

    /// Credits of either sign.
    fn signed(&self, field: Field) -> Result<Option<(Credits, ChargeSign)>, String> {
        let Some(bound) = self.bound(field) else { return Ok(None) };
        let Some(text) = self.text(field)? else { return Ok(None) };
        let credits = bound.column.amount.read(&text).map_err(|error| self.wrong(field, error))?;
        Ok(Some((credits, bound.column.amount.sign)))
    }

    fn amount(&self, field: Field) -> Result<Option<Credits>, String> {
        let Some((credits, _)) = self.signed(field)? else { return Ok(None) };
        self.not_negative(field, credits).map(Some)
    }

    fn not_negative(&self, field: Field, credits: Credits) -> Result<Credits, String> {
        match credits.is_negative() {
            true => Err(self.wrong(field, format!("expected an amount of 0 or more, found `{credits}`"))),
            false => Ok(credits),
        }
    }

    /// What was taken, and what a signed amount says came back.
    fn credits(&self, is_sum: bool) -> Result<(Option<Credits>, Option<Credits>), String> {
        let Some((credits, sign)) = self.signed(Field::Credits)? else { return Ok((None, None)) };
        let taken = if sign == ChargeSign::Negative { -credits } else { credits };
        match sign {
            // A sum is net of what came back, so it may be below zero in itself.
            _ if is_sum => Ok((Some(taken), None)),
            ChargeSign::Unsigned => self.not_negative(Field::Credits, taken).map(|taken| (Some(taken), None)),
            ChargeSign::Positive | ChargeSign::Negative if taken.is_negative() => Ok((None, Some(-taken))),
            ChargeSign::Positive | ChargeSign::Negative => Ok((Some(taken), None)),
        }
    }

    fn count(&self, field: Field) -> Result<Option<u32>, String> {
        self.word(field, "a whole number", |text| text.parse().ok())
    }

    fn flag(&self, field: Field) -> Result<bool, String> {
        Ok(self.word(field, FLAGS, flag)?.unwrap_or(false))
    }

    fn word<T>(&self, field: Field, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let wrong = || self.wrong(field, format!("expected {expected}, found `{}`", shorten(&text)));
        parse(&text).map(Some).ok_or_else(wrong)
    }
}
