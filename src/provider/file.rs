//! Charge histories from files: CSV, gzipped or not, read a batch at a time so that a file of any size fits.
//!
//! The first line names the columns, in any order. Needed: `charge_id`, `at` (RFC 3339), `credits`, `task_type`,
//! `outcome` (`succeeded`, `failed` or `refunded`). Understood: `team`, `quality`, `variants`, `project`, `member`,
//! `api_key`, `asset`. A failed task that was not refunded has cost its credits; a refunded one was charged and got all of
//! it back. Other columns are passed over.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::StringRecord;
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;

use crate::domain::{Attribution, Credits, Fingerprint, TaskRecord, TaskState};

/// Makes the account's salted fingerprint of the texts that say what a task works on.
pub type Fingerprinter = dyn Fn(&[&str]) -> Option<Fingerprint> + Send + Sync;

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened, or reading it failed part of the way.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first line does not name the columns.
    #[error(
        "cannot import `{}`: expected a first line that names the columns {needed}; found {found}\nhint: rename the \
         columns of the file; the order does not matter, and quality, team, project, member, api_key, variants and \
         asset are understood as well",
        path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The columns that are needed.
        needed: String,
        /// The columns that are there.
        found: String,
    },
}

/// A row that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Its line in the (unpacked) file, from 1.
    pub line: u64,
    /// What was found and what was expected.
    pub reason: String,
}

/// The next rows of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileBatch {
    /// Rows that could be read.
    pub tasks: Vec<TaskRecord>,
    /// Rows that could not.
    pub rejected: Vec<RejectedRow>,
    /// Bytes of the file (as it lies on disk) consumed so far.
    pub bytes: u64,
}

/// A charge history being read. An iterator would hide that a read error ends it.
pub struct ChargeFile {
    path: PathBuf,
    length: u64,
    reader: csv::Reader<Box<dyn Read + Send>>,
    columns: Columns,
    consumed: Arc<AtomicU64>,
    record: StringRecord,
    fingerprint: Option<Box<Fingerprinter>>,
}

const NEEDED: [&str; 5] = ["charge_id", "at", "credits", "task_type", "outcome"];

/// Where each column is.
#[derive(Clone, Debug)]
struct Columns {
    charge_id: usize,
    at: usize,
    credits: usize,
    task_type: usize,
    outcome: usize,
    team: Option<usize>,
    quality: Option<usize>,
    variants: Option<usize>,
    project: Option<usize>,
    member: Option<usize>,
    api_key: Option<usize>,
    asset: Option<usize>,
}

impl ChargeFile {
    /// Opens a file and reads its header. Gzip is recognised by its first bytes, whatever the file is called.
    ///
    /// With a `fingerprint`, rows that name an `asset` are recognised as attempts at the same thing when asset, task type
    /// and quality agree.
    ///
    /// # Errors
    /// The file cannot be read, or its header lacks a needed column.
    pub fn open(path: &Path, fingerprint: Option<Box<Fingerprinter>>) -> Result<ChargeFile, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let consumed = Arc::default();
        let mut buffered = BufReader::with_capacity(1 << 16, Counted { file, bytes: Arc::clone(&consumed) });
        let is_gzip = buffered.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
        let unpacked: Box<dyn Read + Send> =
            if is_gzip { Box::new(MultiGzDecoder::new(buffered)) } else { Box::new(buffered) };
        let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(unpacked);
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(source) => return Err(unreadable(source)),
                _ => StringRecord::new(),
            },
        };
        let columns = Columns::find(&header).ok_or_else(|| FileError::Header {
            path: path.to_path_buf(),
            needed: NEEDED.map(|name| format!("`{name}`")).join(", "),
            found: describe_header(&header),
        })?;
        Ok(ChargeFile {
            path: path.to_path_buf(),
            length,
            reader,
            columns,
            consumed,
            record: StringRecord::new(),
            fingerprint,
        })
    }

    /// The size of the file as it lies on disk, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next rows, at most `limit`; `None` at the end.
    ///
    /// # Errors
    /// Reading failed, for example because a gzip file is cut short.
    pub fn next_batch(&mut self, limit: usize) -> Result<Option<FileBatch>, FileError> {
        let mut batch = FileBatch::default();
        while batch.tasks.len() + batch.rejected.len() < limit {
            match self.reader.read_record(&mut self.record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = self.record.position().map_or(0, csv::Position::line);
                    match self.columns.task(&self.record, self.fingerprint.as_deref()) {
                        Ok(task) => batch.tasks.push(task),
                        Err(reason) => batch.rejected.push(RejectedRow { line, reason }),
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    match error.into_kind() {
                        csv::ErrorKind::Io(source) => {
                            return Err(FileError::Read { path: self.path.clone(), source });
                        }
                        csv::ErrorKind::Utf8 { .. } => {
                            batch.rejected.push(RejectedRow { line, reason: "expected UTF-8 text".into() });
                        }
                        kind => batch.rejected.push(RejectedRow { line, reason: format!("{kind:?}") }),
                    }
                }
            }
        }
        batch.bytes = self.consumed.load(Ordering::Relaxed);
        let is_end = batch.tasks.is_empty() && batch.rejected.is_empty();
        Ok((!is_end).then_some(batch))
    }
}

impl Columns {
    fn find(header: &StringRecord) -> Option<Columns> {
        let find = |name: &str| {
            // Spreadsheets put a byte order mark before the first name.
            header.iter().position(|column| column.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name))
        };
        Some(Columns {
            charge_id: find("charge_id")?,
            at: find("at")?,
            credits: find("credits")?,
            task_type: find("task_type")?,
            outcome: find("outcome")?,
            team: find("team"),
            quality: find("quality"),
            variants: find("variants"),
            project: find("project"),
            member: find("member"),
            api_key: find("api_key"),
            asset: find("asset"),
        })
    }

    fn task(&self, row: &StringRecord, fingerprint: Option<&Fingerprinter>) -> Result<TaskRecord, String> {
        let needed = |place: usize, name: &str| match row.get(place).map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("`{name}` is missing")),
        };
        let optional = |place: Option<usize>| {
            place.and_then(|place| row.get(place)).map(str::trim).filter(|text| !text.is_empty())
        };
        let id = needed(self.charge_id, "charge_id")?;
        let at = needed(self.at, "at")?;
        let at: Timestamp = at
            .parse()
            .map_err(|_| format!("`at`: expected a time such as `2026-01-31T09:30:00Z`, found `{}`", shorten(at)))?;
        let credits = needed(self.credits, "credits")?;
        let credits = Credits::parse(credits).map_err(|error| format!("`credits`: {error}"))?;
        if credits.is_negative() {
            return Err(format!("`credits`: expected an amount of 0 or more, found `{credits}`"));
        }
        let (state, refunded) = match needed(self.outcome, "outcome")? {
            "succeeded" => (TaskState::Succeeded, None),
            "failed" => (TaskState::Failed, None),
            "refunded" => (TaskState::Failed, Some(credits)),
            other => {
                let found = shorten(other);
                return Err(format!("`outcome`: expected `succeeded`, `failed` or `refunded`, found `{found}`"));
            }
        };
        let variants = optional(self.variants).map(|text| {
            text.parse::<u32>().map_err(|_| format!("`variants`: expected a whole number, found `{}`", shorten(text)))
        });
        let task_type = needed(self.task_type, "task_type")?;
        let quality = optional(self.quality).unwrap_or_default();
        let input = optional(self.asset).zip(fingerprint);
        Ok(TaskRecord {
            quality: quality.to_owned(),
            variants: variants.transpose()?,
            credits: Some(credits),
            refunded,
            attribution: Attribution {
                team: optional(self.team).map(str::to_owned),
                project: optional(self.project).map(str::to_owned),
                member: optional(self.member).map(str::to_owned),
                api_key: optional(self.api_key).map(str::to_owned),
            },
            fingerprint: input.and_then(|(asset, fingerprint)| fingerprint(&[asset, task_type, quality])),
            ..TaskRecord::new(id, at, state, task_type)
        })
    }
}

/// Counts what was read from the file, for a progress bar that is right for packed files too.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn describe_header(header: &StringRecord) -> String {
    if header.is_empty() {
        return "no text".to_owned();
    }
    header.iter().take(20).map(|name| format!("`{}`", shorten(name))).collect::<Vec<_>>().join(", ")
}

fn shorten(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !crate::domain::account::is_unprintable(*c)).take(40).collect();
    if clean.len() < text.len() { format!("{clean}…") } else { clean }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn read(bytes: &[u8]) -> Result<FileBatch, FileError> {
        let file = file_of(bytes);
        let mut charges = ChargeFile::open(file.path(), None)?;
        let mut all = FileBatch::default();
        while let Some(batch) = charges.next_batch(2)? {
            assert!(batch.tasks.len() + batch.rejected.len() <= 2);
            all.tasks.extend(batch.tasks);
            all.rejected.extend(batch.rejected);
            all.bytes = batch.bytes;
        }
        assert!(all.bytes <= charges.length());
        Ok(all)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    const THREE: &str = "team,charge_id,at,credits,task_type,quality,outcome\n\
        env,c1,2026-01-31T09:30:00Z,20,text-to-3d,high,succeeded\n\
        env,c2,2026-01-31T10:30:00+01:00,2.5,text-to-3d,,failed\n\
        ,c3,2026-01-31T09:30:01Z,7,refine,high,refunded\n";

    #[test]
    fn rows_become_tasks_packed_or_not() {
        let plain = read(THREE.as_bytes()).unwrap();
        assert_eq!(plain.rejected, []);
        let found: Vec<_> = plain
            .tasks
            .iter()
            .map(|t| (t.id.as_str(), t.state, t.credits.unwrap().to_string(), t.refunded.is_some(), t.quality.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("c1", TaskState::Succeeded, "20".into(), false, "high"),
                ("c2", TaskState::Failed, "2.5".into(), false, ""),
                ("c3", TaskState::Failed, "7".into(), true, "high"),
            ]
        );
        assert_eq!(plain.tasks[0].created_at, plain.tasks[1].created_at);
        assert_eq!(
            (plain.tasks[0].attribution.team.as_deref(), &plain.tasks[2].attribution.team),
            (Some("env"), &None)
        );
        assert_eq!(read(&gzip(THREE)).unwrap().tasks, plain.tasks);
        let twice = [gzip(THREE), gzip("env,c4,2026-02-01T00:00:00Z,1,refine,high,failed\n")].concat();
        assert_eq!(read(&twice).unwrap().tasks.len(), 4, "members of a gzip file are one text");
    }

    #[test]
    fn columns_come_in_any_order_with_others_between() {
        let text = "\u{feff}Outcome,note,credits, at ,task_type,charge_id,variants,project,member,api_key\r\n\
                    failed,\"a, b\",1,2026-01-01T00:00:00Z,rig,x,4,env-1,ada,ci\r\n";
        let batch = read(text.as_bytes()).unwrap();
        assert_eq!(batch.rejected, []);
        let task = &batch.tasks[0];
        assert_eq!((task.id.as_str(), task.task_type.as_str(), task.variants), ("x", "rig", Some(4)));
        let who = Attribution {
            team: None,
            project: Some("env-1".into()),
            member: Some("ada".into()),
            api_key: Some("ci".into()),
        };
        assert_eq!(task.attribution, who);
    }

    #[test]
    fn bad_rows_are_named_and_the_rest_is_read() {
        for (row, reason) in [
            ("c,2026-01-31,20,rig,failed", "`at`: expected a time such as `2026-01-31T09:30:00Z`, found `2026-01-31`"),
            ("c,2026-01-31T00:00:00Z,many,rig,failed", "`credits`: expected a decimal number of credits, found `many`"),
            ("c,2026-01-31T00:00:00Z,-1,rig,failed", "`credits`: expected an amount of 0 or more, found `-1`"),
            (
                "c,2026-01-31T00:00:00Z,1,rig,lost",
                "`outcome`: expected `succeeded`, `failed` or `refunded`, found `lost`",
            ),
            (",2026-01-31T00:00:00Z,1,rig,failed", "`charge_id` is missing"),
            ("c,2026-01-31T00:00:00Z,1", "`outcome` is missing"),
        ] {
            let text = format!("charge_id,at,credits,task_type,outcome\nok,2026-01-31T00:00:00Z,1,rig,failed\n{row}\n");
            let batch = read(text.as_bytes()).unwrap();
            assert_eq!(batch.tasks.len(), 1, "{row}");
            assert_eq!(batch.rejected, [RejectedRow { line: 3, reason: reason.into() }]);
        }
        let latin = b"charge_id,at,credits,task_type,outcome\n\xe4,2026-01-31T00:00:00Z,1,rig,failed\n";
        assert_eq!(read(latin).unwrap().rejected[0].reason, "expected UTF-8 text");
    }

    #[test]
    fn a_header_that_is_not_understood_is_shown() {
        for (text, expected) in [
            ("", "found no text"),
            ("id,when,amount\n1,2,3\n", "found `id`, `when`, `amount`"),
            ("charge_id,at,credits,task_type\n", "`task_type`, `outcome`; found `charge_id`"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let whole = gzip(&THREE.repeat(50));
        assert!(matches!(read(&whole[..whole.len() - 9]), Err(FileError::Read { .. })));
        assert!(matches!(ChargeFile::open(Path::new("/no/such/file.csv"), None), Err(FileError::Read { .. })));
    }

    #[test]
    fn attempts_at_one_asset_share_a_fingerprint() {
        let text = "charge_id,at,credits,task_type,outcome,asset\n\
                    a,2026-01-31T00:00:00Z,1,rig,failed,tree\n\
                    b,2026-01-31T00:00:00Z,1,rig,failed,tree\n\
                    c,2026-01-31T00:00:00Z,1,texture,failed,tree\n\
                    d,2026-01-31T00:00:00Z,1,rig,failed,\n";
        let file = file_of(text.as_bytes());
        let lengths = |parts: &[&str]| Some(Fingerprint(parts.iter().map(|part| part.len() as u128).sum()));
        let mut charges = ChargeFile::open(file.path(), Some(Box::new(lengths))).unwrap();
        let tasks = charges.next_batch(9).unwrap().unwrap().tasks;
        let found: Vec<_> = tasks.iter().map(|task| task.fingerprint.map(|f| f.0)).collect();
        assert_eq!(found, [Some(7), Some(7), Some(11), None]);
    }
}
