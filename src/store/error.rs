//! What can go wrong with the ledger's file, in words for the person who has to mend it.

use std::path::{Path, PathBuf};

/// Why the ledger could not be opened, read or written. The text says what happened, to which file, and what helps.
#[derive(Debug, thiserror::Error)]
#[error("{problem}: `{}`\nhint: {hint}", path.display())]
pub struct StoreError {
    /// What callers treat differently.
    pub fault: StoreFault,
    /// The ledger's file.
    pub path: PathBuf,
    /// What happened.
    problem: String,
    /// What helps.
    hint: &'static str,
    /// What the database said, if it said anything.
    #[source]
    source: Option<sqlx::Error>,
}

/// Classes of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The file or its folder cannot be opened or made.
    CannotOpen,
    /// The file or its folder cannot be written.
    ReadOnly,
    /// The disk is full.
    DiskFull,
    /// The file is no ledger, or it is damaged.
    Corrupt,
    /// A later version of the program has written it.
    NewerSchema,
    /// The built-in SQLite is too old to be trusted with it.
    OldSqlite,
    /// Another process is serving from it.
    Served,
    /// Another process has been writing for longer than we wait.
    Busy,
    /// The account was not opened before it was used.
    UnknownAccount,
    /// Anything else.
    Other,
}

impl StoreError {
    pub(super) fn new(fault: StoreFault, path: &Path, problem: impl Into<String>) -> StoreError {
        let problem = problem.into();
        StoreError { fault, path: path.to_path_buf(), problem, hint: hint_for(fault), source: None }
    }

    /// Puts a database error in the words of its class.
    pub(super) fn from_database(error: sqlx::Error, path: &Path) -> StoreError {
        let fault = classify(&error);
        let problem = match fault {
            StoreFault::CannotOpen => "cannot open the ledger".to_owned(),
            StoreFault::ReadOnly => "cannot write to the ledger: it is read-only".to_owned(),
            StoreFault::DiskFull => "cannot write to the ledger: the disk is full".to_owned(),
            StoreFault::Corrupt => "the file is not a ledger, or it is damaged".to_owned(),
            StoreFault::Busy => "another process has kept the ledger locked".to_owned(),
            _ => format!("the ledger's database failed ({error})"),
        };
        StoreError { source: Some(error), ..StoreError::new(fault, path, problem) }
    }
}

fn hint_for(fault: StoreFault) -> &'static str {
    match fault {
        StoreFault::CannotOpen => "the folder must exist, and the user that runs fuelgauge must be able to write to it",
        StoreFault::ReadOnly => {
            "file and folder must be writable for the user that runs fuelgauge, and the disk mounted so"
        }
        StoreFault::DiskFull => "free some space; nothing that was committed is lost, and the next poll catches up",
        StoreFault::Corrupt => {
            "check the path under `storage:`; move the file and its `-wal` away, then restore a backup or start anew and \
             import the charge history"
        }
        StoreFault::NewerSchema => "run the version of fuelgauge that wrote it, or a later one; or restore a backup",
        StoreFault::OldSqlite => "build fuelgauge with its own SQLite, as the released binaries are",
        StoreFault::Served => "stop the other `fuelgauge serve`, or give this one another file under `storage:`",
        StoreFault::Busy => "see which other process uses the file; a long import finishes by itself",
        StoreFault::UnknownAccount => "open the account in the ledger before it is used",
        StoreFault::Other => "the log has the details; if it happens again, please report it",
    }
}

/// SQLite's primary result codes, see <https://www.sqlite.org/rescode.html>.
fn classify(error: &sqlx::Error) -> StoreFault {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Migrate(error) => match error.as_ref() {
                sqlx::migrate::MigrateError::Execute(error)
                | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => classify(error),
                _ => StoreFault::Other,
            },
            sqlx::Error::PoolTimedOut => StoreFault::Busy,
            _ => StoreFault::Other,
        };
    };
    let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
    match code & 0xff {
        5 | 6 => StoreFault::Busy,
        8 => StoreFault::ReadOnly,
        11 | 26 => StoreFault::Corrupt,
        13 => StoreFault::DiskFull,
        14 => StoreFault::CannotOpen,
        _ => StoreFault::Other,
    }
}
