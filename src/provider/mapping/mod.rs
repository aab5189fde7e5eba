//! A platform as data: a mapping file, parsed, compiled and checked. Response in, records out; pure.
//!
//! A file names, for each of `account`, `balance`, `charges`, `tasks`, `lookup`, `queue` and `plan`, the path, the query,
//! the paging, where the records are, and one expression for each field of our record. The fields are:
//!
//! | endpoint | required | may be left out |
//! |---|---|---|
//! | `account` | `id` | |
//! | `balance` | `available` | `plan`, `purchased`, `frozen` |
//! | `charges`, `tasks` | `id`, `created_at`, `state`, `task_type` | `started_at`, `finished_at`, `quality`, `variants`, `credits`, `refunded`, `team`, `project`, `member`, `api_key`, `input`, `asset`, `is_step`, `retry`, `is_sum`, `is_estimated` |
//! | `lookup` | `state` | those of `tasks` but `team`; what an answer leaves out stays as known |
//! | `queue` | `waiting`, `running` (or `from: tasks` or `from: lookup`) | `limit`, `oldest_waiting_at` |
//! | `plan` | at least one of the next | `name`, `allowance`, `resets_at` |
//!
//! `account` is asked before the first request whose path, query or body holds `{{ account_id }}`, once in a poll.
//!
//! A field that the response lacks is an error unless the mapping calls it `optional`. An explicit null leaves a field
//! empty that our record may leave empty, and is an error in the others.

use std::fmt;
use std::path::Path;

use crate::domain::Collector;

mod compile;
mod endpoint;
mod evaluate;
mod exact;
mod expression;
mod file;
mod filters;
mod header;
mod lexicon;
mod nearest;
mod pattern;
mod reader;
mod record;
mod words;

pub(super) use compile::{Endpoint, PagingBy, QueueSource};
pub use compile::{EndpointKind, Mapping};
pub(super) use evaluate::{Asked, query_context};
pub use evaluate::{RecordError, Response};
pub use nearest::nearest;
pub use record::Record;

/// The mappings that are compiled in, by name. `keter` is a template: loading it says what is to be filled in.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("3daistudio", include_str!("../../../config/platforms/3daistudio.yml")),
    ("elevenlabs", include_str!("../../../config/platforms/elevenlabs.yml")),
    ("fal", include_str!("../../../config/platforms/fal.yml")),
    ("keter", include_str!("../../../config/platforms/keter.yml")),
    ("leonardo", include_str!("../../../config/platforms/leonardo.yml")),
    ("luma", include_str!("../../../config/platforms/luma.yml")),
    ("meshy", include_str!("../../../config/platforms/meshy.yml")),
    ("openrouter", include_str!("../../../config/platforms/openrouter.yml")),
    ("rodin", include_str!("../../../config/platforms/rodin.yml")),
    ("runway", include_str!("../../../config/platforms/runway.yml")),
    ("stability", include_str!("../../../config/platforms/stability.yml")),
    ("tripo", include_str!("../../../config/platforms/tripo.yml")),
];

/// What stands in a template where a person has to write something.
pub(crate) const PLACEHOLDER: &str = "FILL_IN";

/// Largest mapping file accepted, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Why a mapping cannot be used: every mistake found in it. Prints one mistake after the other, each with file, line,
/// place and hint.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub struct MappingError {
    /// The file, or `built-in mapping` and its name.
    pub file: String,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in a mapping file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1, where known.
    pub line: Option<u64>,
    /// The endpoint and field, such as `charges.fields.credits`; empty for the file as a whole.
    pub place: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Mapping {
    /// Reads and checks a mapping. `file` is how errors name it.
    ///
    /// # Errors
    /// Not YAML, an unknown key, an expression that cannot be right, or a template that is not filled in.
    pub fn parse(file: &str, text: &str) -> Result<Mapping, MappingError> {
        let wrong = |mistakes| MappingError { file: file.to_owned(), mistakes };
        let written = file::read(text).map_err(|mistake| wrong(vec![mistake]))?;
        compile::compile(written).map_err(wrong)
    }

    /// The compiled-in mapping of that name, if there is one.
    ///
    /// # Errors
    /// Within: the mapping is a template that must be filled in.
    pub fn built_in(name: &str) -> Option<Result<Mapping, MappingError>> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(Mapping::parse(&format!("built-in mapping `{name}`"), text))
    }

    /// Reads and checks a file of the user's.
    ///
    /// # Errors
    /// The file cannot be read or is larger than 1 MiB; else as [`Mapping::parse`].
    pub fn load(path: &Path) -> Result<Mapping, MappingError> {
        let file = path.display().to_string();
        let wrong = |message| {
            let mistake = Mistake { line: None, place: String::new(), message, hint: None };
            MappingError { file: file.clone(), mistakes: vec![mistake] }
        };
        let size = std::fs::metadata(path).map_err(|error| wrong(format!("failed to read: {error}")))?.len();
        if size > LARGEST_FILE {
            return Err(wrong(format!("expected at most {LARGEST_FILE} bytes, found {size}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("failed to read: {error}")))?;
        Mapping::parse(&file, &text)
    }

    /// What the mapping can read, in the order in which a poll reads it.
    pub fn collectors(&self) -> Vec<Collector> {
        let has = |collector: &Collector| match collector {
            Collector::Balance => self.balance.is_some(),
            Collector::Charges => !self.charges.is_empty() || self.tasks.is_some() || self.lookup.is_some(),
            Collector::Queue => self.queue.is_some(),
            Collector::Plan => self.plan.is_some(),
        };
        Collector::ALL.into_iter().filter(has).collect()
    }
}

impl MappingError {
    fn text(&self) -> String {
        let lines: Vec<String> =
            self.mistakes.iter().map(|mistake| format!("{}{mistake}", self.place(mistake))).collect();
        lines.join("\n")
    }

    fn place(&self, mistake: &Mistake) -> String {
        match mistake.line {
            Some(line) => format!("{}:{line}: ", self.file),
            None => format!("{}: ", self.file),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
