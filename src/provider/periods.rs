//! Plan periods of the past from a file: CSV with the columns `team`, `period_start`, `period_end` (RFC 3339; the end is
//! exclusive) and `grant` (credits), in any order; other columns are passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use jiff::Timestamp;

use crate::domain::{Credits, PastPeriod};

/// Why a file of periods cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PeriodsError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: csv::Error,
    },
    /// A column is missing.
    #[error(
        "cannot read `{}`: expected a first line that names the columns `team`, `period_start`, `period_end`, `grant`; \
         found no `{missing}`",
        path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The column.
        missing: &'static str,
    },
    /// A value does not fit.
    #[error("{}:{line}: {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Column, what was found, what was expected.
        message: String,
    },
}

const COLUMNS: [&str; 4] = ["team", "period_start", "period_end", "grant"];

/// Reads a file of periods: by team, in the order of their start.
///
/// # Errors
/// The file cannot be read; a column is missing; a value does not fit.
pub fn read_periods(path: &Path) -> Result<BTreeMap<String, Vec<PastPeriod>>, PeriodsError> {
    let unreadable = |source| PeriodsError::Read { path: path.to_path_buf(), source };
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, missing) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|name| name.trim_start_matches('\u{feff}') == missing);
        *place = found.ok_or_else(|| PeriodsError::Header { path: path.to_path_buf(), missing })?;
    }
    let mut periods: BTreeMap<String, Vec<PastPeriod>> = BTreeMap::new();
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(unreadable)? {
        let line = row.position().map_or(0, csv::Position::line);
        let [team, start, end, grant] = places.map(|place| row.get(place).unwrap_or_default());
        let period = period(start, end, grant).map_err(|message| PeriodsError::Row {
            path: path.to_path_buf(),
            line,
            message,
        })?;
        periods.entry(team.to_owned()).or_default().push(period);
    }
    periods.values_mut().for_each(|periods| periods.sort_by_key(|period| period.start));
    Ok(periods)
}

fn period(start: &str, end: &str, grant: &str) -> Result<PastPeriod, String> {
    let instant = |column: &str, text: &str| -> Result<Timestamp, String> {
        text.parse().map_err(|_| format!("`{column}`: expected a time such as `2026-01-31T09:30:00Z`, found `{text}`"))
    };
    let (start, end) = (instant("period_start", start)?, instant("period_end", end)?);
    if end <= start {
        return Err(format!("`period_end`: expected a time after `period_start`, found {end} after {start}"));
    }
    let granted = Credits::parse(grant).map_err(|error| format!("`grant`: {error}"))?;
    if !granted.is_positive() {
        return Err(format!("`grant`: expected an amount above 0, found `{grant}`"));
    }
    Ok(PastPeriod { start, end, granted })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Vec<PastPeriod>>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read_periods(file.path()).map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn periods_are_sorted_by_team_and_start() {
        let text = "grant,team,period_end,period_start,note\n\
                    50,b,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z,x\n\
                    2.5,a,2026-03-01T00:00:00Z,2026-02-01T00:00:00Z\n\
                    1,a,2026-02-01T00:00:00+01:00,2026-01-01T00:00:00Z,\n";
        let periods = read(text).unwrap();
        let found: Vec<_> = periods.iter().map(|(team, periods)| (team.as_str(), periods.len())).collect();
        assert_eq!(found, [("a", 2), ("b", 1)]);
        assert_eq!(periods["a"][0].end, "2026-01-31T23:00:00Z".parse().unwrap());
        assert_eq!(periods["a"][1].granted, Credits::from_micros(2_500_000));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_line() {
        let header = "team,period_start,period_end,grant\n";
        for (row, expected) in [
            ("a,soon,2026-02-01T00:00:00Z,1", "FILE:2: `period_start`: expected a time such as"),
            ("a,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,1", "FILE:2: `period_end`: expected a time after"),
            ("a,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,many", "FILE:2: `grant`: expected a decimal number"),
            ("a,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,0", "FILE:2: `grant`: expected an amount above 0, found `0`"),
            ("a", "FILE:2: `period_start`: expected a time such as"),
        ] {
            let error = read(&format!("{header}{row}\n")).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(read("team,start,end,grant\n").unwrap_err().ends_with("found no `period_start`"));
        assert!(read_periods(Path::new("/no/such/file.csv")).is_err());
    }
}
