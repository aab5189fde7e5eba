//! The rows that could not be imported, in a file that can be mended and imported in its turn.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use serde_json::{Map, Value, json};

use super::file::{RawRow, RejectedRow};

/// What the file is called beside the history: `history.csv` leaves `history.csv.rejected.csv`.
const ENDING: &str = ".rejected";

/// The column, or key, of the line that a row had.
const LINE: &str = "rejected_line";
/// The column, or key, of why it was passed over.
const REASON: &str = "rejected_reason";

/// A file of rejected rows, begun when the first one comes.
pub struct RejectsFile {
    path: PathBuf,
    header: Option<StringRecord>,
    writer: Option<Writer>,
}

enum Writer {
    Csv(Box<csv::Writer<File>>),
    Json(BufWriter<File>),
}

/// Where the rejected rows of a history go unless told otherwise.
pub fn default_path(history: &Path, is_csv: bool) -> PathBuf {
    let mut name = history.file_name().unwrap_or_default().to_owned();
    name.push(format!("{ENDING}.{}", if is_csv { "csv" } else { "jsonl" }));
    history.with_file_name(name)
}

/// Whether a file of that name holds rejected rows.
pub fn is_rejects(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    [".csv", ".jsonl"].iter().any(|kind| name.ends_with(&format!("{ENDING}{kind}")))
}

impl RejectsFile {
    /// Nothing is written yet. `header` names the columns of CSV; without it the rows are lines of JSON.
    pub fn new(path: PathBuf, header: Option<&StringRecord>) -> RejectsFile {
        RejectsFile { path, header: header.cloned(), writer: None }
    }

    /// Where the rows go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds rows.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn add(&mut self, rows: &[RejectedRow]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(begin(&self.path, self.header.as_ref())?),
        };
        rows.iter().try_for_each(|row| write(writer, self.header.as_ref(), row))
    }

    /// Ends the file. Says whether there is one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> io::Result<Option<PathBuf>> {
        match self.writer {
            None => return Ok(None),
            Some(Writer::Csv(mut writer)) => writer.flush()?,
            Some(Writer::Json(mut writer)) => writer.flush()?,
        }
        Ok(Some(self.path))
    }
}

fn begin(path: &Path, header: Option<&StringRecord>) -> io::Result<Writer> {
    let file = File::create(path)?;
    let Some(header) = header else { return Ok(Writer::Json(BufWriter::new(file))) };
    // A file of rejected rows that is imported again leaves one with the same columns.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
    let own = header.iter().map(|name| name.trim_start_matches('\u{feff}')).filter(|name| !is_ours(name));
    writer.write_record(own.chain([LINE, REASON]))?;
    Ok(Writer::Csv(Box::new(writer)))
}

fn is_ours(name: &str) -> bool {
    [LINE, REASON].contains(&name.trim())
}

fn write(writer: &mut Writer, header: Option<&StringRecord>, rejected: &RejectedRow) -> io::Result<()> {
    let line = rejected.line.to_string();
    match (writer, &rejected.row) {
        (Writer::Csv(writer), RawRow::Cells(cells)) => {
            let names = header.into_iter().flatten();
            // A row may be short: what is said of it must come under its own name all the same.
            let own = names
                .enumerate()
                .filter(|(_, name)| !is_ours(name))
                .map(|(place, _)| cells.get(place).unwrap_or_default());
            writer.write_record(own.chain([&*line, &*rejected.reason]))?;
            Ok(())
        }
        (Writer::Json(writer), RawRow::Line(text)) => {
            let mut object = match serde_json::from_str(text) {
                Ok(Value::Object(object)) => object,
                _ => Map::from_iter([("rejected_text".to_owned(), json!(text))]),
            };
            object.insert(LINE.to_owned(), json!(rejected.line));
            object.insert(REASON.to_owned(), json!(rejected.reason));
            serde_json::to_writer(&mut *writer, &object)?;
            writer.write_all(b"\n")
        }
        _ => Err(io::Error::other("a row of another kind of file")),
    }
}
