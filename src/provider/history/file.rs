//! Charge histories from files: CSV or JSON lines, gzipped or not, read a batch at a time so that a file of any size fits.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::StringRecord;
use flate2::bufread::MultiGzDecoder;

use super::columns::ColumnMap;
use super::field::Field;
use super::json::JsonCells;
use super::row::{Cells, Columns, MissingColumns, Place};
use crate::domain::TaskRecord;
use crate::provider::names::shorten;

/// Longest row, in bytes. A quote that is not closed makes one row of the rest of a file.
pub const LONGEST_ROW: u64 = 1 << 20;

/// How much is read from a file at once, in bytes.
const BUFFER: usize = 1 << 16;

/// So much may be read before a row ends: the row, and what the reader holds of those behind it.
const LONGEST_BETWEEN_ROWS: u64 = LONGEST_ROW + BUFFER as u64;

/// Why a file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened, or reading it failed part of the way.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The columns are not those that are needed.
    #[error(
        "cannot import `{}`: found no {missing}; the {kind} are {found}\nhint: {}",
        path.display(),
        header_hint(*is_mapped)
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The columns that are not there.
        missing: String,
        /// `columns`, or `keys` of JSON.
        kind: &'static str,
        /// The columns that are there.
        found: String,
        /// Whether a columns file said what to look for.
        is_mapped: bool,
    },
    /// A row is longer than [`LONGEST_ROW`].
    #[error(
        "cannot read `{}` beyond line {line}: the row there is longer than {LONGEST_ROW} bytes\n\
         hint: is a quote not closed?",
        path.display()
    )]
    LongRow {
        /// The file.
        path: PathBuf,
        /// Where the row begins, from 1.
        line: u64,
    },
}

fn header_hint(is_mapped: bool) -> String {
    let names = |fields: &[Field]| fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
    if is_mapped {
        return "the columns file names columns that this file does not have; the order does not matter".to_owned();
    }
    let others: Vec<Field> = Field::ALL.into_iter().filter(|field| !Field::NEEDED.contains(field)).collect();
    format!(
        "needed are {}; understood as well: {}. `--map columns.yml` says what they are called in your file",
        names(&Field::NEEDED),
        names(&others)
    )
}

/// A row that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Its line in the (unpacked) file, from 1.
    pub line: u64,
    /// What was found and what was expected.
    pub reason: String,
    /// The row as it stands in the file.
    pub row: RawRow,
}

/// A row as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawRow {
    /// Cells of a line of CSV.
    Cells(StringRecord),
    /// A line of JSON, or what stands in its place.
    Line(String),
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
    rows: Rows,
    columns: Columns,
    consumed: Arc<AtomicU64>,
    salt: Option<[u8; 16]>,
}

/// A file's content, unpacked.
type Content = Box<dyn BufRead + Send>;

enum Rows {
    Csv {
        reader: csv::Reader<Bounded>,
        header: StringRecord,
        record: StringRecord,
    },
    /// `is_read`: the buffer holds a line that nobody has looked at.
    Json {
        reader: Content,
        line: u64,
        buffer: Vec<u8>,
        is_read: bool,
    },
}

impl ChargeFile {
    /// Opens a file and finds its columns. Gzip is recognised by its first bytes and JSON lines by a brace at the beginning,
    /// whatever the file is called.
    ///
    /// With a `salt`, what rows say of their assets and inputs is remembered as fingerprints; without, it is passed over.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a needed column.
    pub fn open(path: &Path, map: &ColumnMap, salt: Option<[u8; 16]>) -> Result<ChargeFile, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        ChargeFile::from_content(path, Box::new(file), length, map, salt)
    }

    /// As [`ChargeFile::open`], of content that comes from elsewhere: `length` bytes, which errors call `path`.
    ///
    /// # Errors
    /// As [`ChargeFile::open`].
    pub fn from_content(
        path: &Path,
        content: Box<dyn Read + Send>,
        length: u64,
        map: &ColumnMap,
        salt: Option<[u8; 16]>,
    ) -> Result<ChargeFile, FileError> {
        let unreadable = |source| FileError::Read { path: path.to_path_buf(), source };
        let consumed: Arc<AtomicU64> = Arc::default();
        let counted = Counted { content, bytes: Arc::clone(&consumed) };
        let mut content = unpacked(counted).map_err(unreadable)?;
        let is_json = begins_with_a_brace(&mut content).map_err(unreadable)?;
        let opened = if is_json { open_json(path, content, map) } else { open_csv(path, content, map) };
        let (rows, columns) = opened?;
        Ok(ChargeFile { path: path.to_path_buf(), length, rows, columns, consumed, salt })
    }

    /// The size of the file as it lies on disk, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The columns of a CSV file as they are called there; `None` for JSON lines.
    pub fn header(&self) -> Option<&StringRecord> {
        match &self.rows {
            Rows::Csv { header, .. } => Some(header),
            Rows::Json { .. } => None,
        }
    }

    /// The next rows, at most `limit`; `None` at the end.
    ///
    /// # Errors
    /// Reading failed, for example because a gzip file is cut short; or a row has no end.
    pub fn next_batch(&mut self, limit: usize) -> Result<Option<FileBatch>, FileError> {
        let mut batch = FileBatch::default();
        let salt = self.salt.as_ref();
        while batch.tasks.len() + batch.rejected.len() < limit {
            let read = match &mut self.rows {
                Rows::Csv { reader, record, .. } => {
                    let read = next_record(&self.path, reader, record)?;
                    read.map(|(line, read)| {
                        let task = read.and_then(|()| self.columns.charge(&CsvCells(record), salt));
                        task.map_err(|reason| RejectedRow { line, reason, row: RawRow::Cells(record.clone()) })
                    })
                }
                Rows::Json { reader, line, buffer, is_read } => {
                    let text = match std::mem::take(is_read) {
                        true => Some(buffer.trim_ascii()),
                        false => next_line(&self.path, reader, line, buffer)?,
                    };
                    text.map(|text| json_charge(&self.columns, text, *line, salt))
                }
            };
            match read {
                None => break,
                Some(Ok(task)) => batch.tasks.push(task),
                Some(Err(rejected)) => batch.rejected.push(rejected),
            }
        }
        batch.bytes = self.consumed.load(Ordering::Relaxed);
        let is_end = batch.tasks.is_empty() && batch.rejected.is_empty();
        Ok((!is_end).then_some(batch))
    }
}

fn open_csv(path: &Path, content: Content, map: &ColumnMap) -> Result<(Rows, Columns), FileError> {
    let bounded = Bounded { content, left: LONGEST_BETWEEN_ROWS };
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.flexible(true).delimiter(map.delimiter).buffer_capacity(BUFFER).from_reader(bounded);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) if is_long_row(&error) => {
                return Err(FileError::LongRow { path: path.to_path_buf(), line: 1 });
            }
            csv::ErrorKind::Io(source) => return Err(FileError::Read { path: path.to_path_buf(), source }),
            _ => StringRecord::new(),
        },
    };
    // Spreadsheets put a byte order mark before the first name.
    let find = |name: &str| {
        header.iter().position(|column| column.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name))
    };
    let columns = Columns::bind(map, find);
    let columns = columns.map_err(|missing| header_error(path, missing, "columns", header.iter(), map))?;
    Ok((Rows::Csv { reader, header, record: StringRecord::new() }, columns))
}

/// JSON has no header: the keys of the first line stand for it.
fn open_json(path: &Path, mut content: Content, map: &ColumnMap) -> Result<(Rows, Columns), FileError> {
    let (mut line, mut buffer) = (0, Vec::new());
    let first = next_line(path, &mut content, &mut line, &mut buffer)?.map(JsonCells::parse);
    let columns = Columns::of_keys(map);
    // A first line that is no JSON is a row like any other that cannot be read.
    if let Some(Ok(cells)) = first
        && let Err(missing) = columns.are_in(&cells)
    {
        return Err(header_error(path, missing, "keys", cells.keys(), map));
    }
    Ok((Rows::Json { reader: content, line, buffer, is_read: true }, columns))
}

fn header_error<'a>(
    path: &Path,
    MissingColumns(missing): MissingColumns,
    kind: &'static str,
    found: impl Iterator<Item = &'a str>,
    map: &ColumnMap,
) -> FileError {
    let quoted =
        |names: Vec<&str>| names.iter().map(|name| format!("`{}`", shorten(name))).collect::<Vec<_>>().join(", ");
    let found = quoted(found.take(40).collect());
    FileError::Header {
        path: path.to_path_buf(),
        missing: quoted(missing.iter().map(String::as_str).collect()),
        kind,
        found: if found.is_empty() { "none".to_owned() } else { found },
        is_mapped: map.is_written,
    }
}

/// The next record, with the line it begins on; the inner error is about that record alone.
#[expect(clippy::type_complexity, reason = "the end of the file, a record, and why a record cannot be read")]
fn next_record(
    path: &Path,
    reader: &mut csv::Reader<Bounded>,
    record: &mut StringRecord,
) -> Result<Option<(u64, Result<(), String>)>, FileError> {
    reader.get_mut().renew();
    let begins_at = reader.position().line();
    let mut bytes = std::mem::take(record).into_byte_record();
    match reader.read_byte_record(&mut bytes) {
        Ok(false) => Ok(None),
        Ok(true) => {
            let line = bytes.position().map_or(begins_at, csv::Position::line);
            let (text, read) = match StringRecord::from_byte_record(bytes) {
                Ok(text) => (text, Ok(())),
                Err(error) => {
                    let lossy = StringRecord::from_byte_record_lossy(error.into_byte_record());
                    (lossy, Err("expected UTF-8 text".to_owned()))
                }
            };
            *record = text;
            Ok(Some((line, read)))
        }
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) if is_long_row(&error) => {
                Err(FileError::LongRow { path: path.to_path_buf(), line: begins_at })
            }
            csv::ErrorKind::Io(source) => Err(FileError::Read { path: path.to_path_buf(), source }),
            // Rows of any length are taken, and bytes are not checked: there is no other kind.
            kind => Ok(Some((begins_at, Err(format!("{kind:?}"))))),
        },
    }
}

/// The next line that is not empty, without its end; `number` is moved to it.
fn next_line<'a>(
    path: &Path,
    reader: &mut Content,
    number: &mut u64,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, FileError> {
    loop {
        buffer.clear();
        let read = reader.take(LONGEST_ROW + 1).read_until(b'\n', buffer);
        let read = read.map_err(|source| FileError::Read { path: path.to_path_buf(), source })?;
        if read == 0 {
            return Ok(None);
        }
        *number += 1;
        if read as u64 > LONGEST_ROW {
            return Err(FileError::LongRow { path: path.to_path_buf(), line: *number });
        }
        if !buffer.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(Some(buffer.trim_ascii()))
}

fn json_charge(
    columns: &Columns,
    line: &[u8],
    number: u64,
    salt: Option<&[u8; 16]>,
) -> Result<TaskRecord, RejectedRow> {
    let charge = JsonCells::parse(line).and_then(|cells| columns.charge(&cells, salt));
    charge.map_err(|reason| RejectedRow {
        line: number,
        reason,
        row: RawRow::Line(String::from_utf8_lossy(line).into_owned()),
    })
}

/// A line of CSV.
struct CsvCells<'a>(&'a StringRecord);

impl Cells for CsvCells<'_> {
    fn cell(&self, column: &Place) -> Result<Option<Cow<'_, str>>, String> {
        Ok(self.0.get(column.index).map(str::trim).filter(|text| !text.is_empty()).map(Cow::Borrowed))
    }
}

fn unpacked(counted: Counted) -> io::Result<Content> {
    let mut buffered = BufReader::with_capacity(BUFFER, counted);
    let is_gzip = buffered.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match is_gzip {
        true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(buffered))),
        false => Box::new(buffered),
    })
}

fn begins_with_a_brace(content: &mut Content) -> io::Result<bool> {
    let start = content.fill_buf()?;
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    Ok(start.trim_ascii_start().first() == Some(&b'{'))
}

/// Counts what was read from the file, for a progress bar that is right for packed files too.
struct Counted {
    content: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Hands on so much until it is renewed: without it a quote that is not closed takes the whole file into memory.
struct Bounded {
    content: Content,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("a row longer than {LONGEST_ROW} bytes")]
struct LongRow;

impl Bounded {
    fn renew(&mut self) {
        self.left = LONGEST_BETWEEN_ROWS;
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(LongRow));
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.content.read(&mut buffer[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}

fn is_long_row(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<LongRow>())
}

#[cfg(test)]
mod tests;
