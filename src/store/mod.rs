//! The ledger on disk: what was read, what it cost, who was told. SQL is known here and nowhere else.
//!
//! One SQLite file in WAL mode, flushed to disk at each commit, because a mail that was decided must survive a power cut.
//! One connection writes, in transactions that take the write lock at once; a small pool reads beside it and never waits
//! for it. Every poll, every import batch and every alert decision is one transaction: a crash leaves the state before it
//! or the state after it.
//!
//! - `open`: the file, its connections and its schema
//! - `append`: what a poll, an import or a push brought
//! - `records`: the latest of each thing read
//! - `announcements`: what leads told in advance
//! - `estimates`: those that somebody kept, and how they ended
//! - `silences`: which alerts nobody is told of for a time
//! - `retries`: second attempts told from first ones
//! - `write`: rows of those, many to a statement
//! - `reassign`: teams anew, after the configuration changed
//! - `facts`: what an assessment and a page need
//! - `drivers`: what a team spent on, for mails
//! - `episodes`: alerts and resets of the past
//! - `imports`: which files of watched folders were imported
//! - `history`: the past from one end to the other, for exports
//! - `lots`: which credits are left
//! - `prices`: what launches cost lately
//! - `watermarks`: how far the ledger has come
//! - `reports`: what comes on a schedule, and the sums in it
//! - `alerts`, `outbox`: who was told, and how far delivery has come

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use jiff::Timestamp;
use sqlx::SqlitePool;

use crate::domain::{AccountName, Credits};

mod alerts;
mod announcements;
mod append;
mod attempts;
mod drivers;
mod episodes;
mod error;
mod estimates;
mod facts;
mod history;
mod imports;
mod lots;
mod open;
mod outbox;
mod past;
mod prices;
mod reassign;
mod records;
mod reports;
mod retries;
mod silences;
mod suspects;
mod watermarks;
mod write;

pub use alerts::{AlertChange, ClosedAlert};
pub use append::{Appended, CollectorOutcome, Incoming};
#[cfg(test)]
pub use disk_tests::Disk;
pub use error::{StoreError, StoreFault};
pub use facts::{AccountFacts, AlertFacts, TeamFacts};
pub use history::{Folding, History, PastCharge, PastCounter, PastKey, PastRise};
pub use imports::ImportedFile;
pub use lots::KeptLots;
pub use open::ServeLock;
pub use outbox::{
    CLAIM_LEASE, DueOrder, Failure, KnownPause, Merged, OutboxRecord, Outcome, PauseOrder, Retried, Round, RoundResult,
    Settled, SettledAs,
};
pub use past::{Durations, LaunchedBy};
pub use reports::ReportKey;
pub use silences::SHOWN_FOR;
pub use watermarks::Changes;

/// The ledger. Cloning it is cheap; clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    path: Arc<Path>,
    writer: SqlitePool,
    readers: SqlitePool,
    accounts: Arc<RwLock<HashMap<AccountName, i64>>>,
    known_silences: Arc<Mutex<silences::KnownSilences>>,
}

/// A transaction that holds the write lock.
type WriteTransaction = sqlx::Transaction<'static, sqlx::Sqlite>;

impl Store {
    /// The ledger's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an account known to the ledger and returns its salt: `fresh_salt` (16 random bytes) if the account is new,
    /// the one kept from its first time otherwise. Everything else that names an account needs this first.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn open_account(&self, account: &AccountName, fresh_salt: [u8; 16]) -> Result<[u8; 16], StoreError> {
        let mut transaction = self.begin().await?;
        let insert = "INSERT INTO ledger_accounts (name, salt) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let inserted = sqlx::query(insert)
            .bind(account.as_str())
            .bind(&fresh_salt[..])
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        let (id, salt): (i64, Vec<u8>) = sqlx::query_as("SELECT id, salt FROM ledger_accounts WHERE name = $1")
            .bind(account.as_str())
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.explain(error))?;
        if inserted.rows_affected() > 0 {
            self.commit(transaction).await?;
        }
        let mut accounts = self.accounts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        accounts.insert(account.clone(), id);
        <[u8; 16]>::try_from(salt).map_err(|_| {
            StoreError::new(StoreFault::Corrupt, &self.path, format!("the salt of account `{account}` is damaged"))
        })
    }

    /// The last scheduled time at which a job ran.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn last_scheduled(&self, job: &str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT scheduled_at FROM schedules WHERE job = $1")
            .bind(job)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(at.map(instant))
    }

    fn account_id(&self, account: &AccountName) -> Result<i64, StoreError> {
        let accounts = self.accounts.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let unknown = || {
            StoreError::new(
                StoreFault::UnknownAccount,
                &self.path,
                format!("account `{account}` is not in the ledger yet"),
            )
        };
        accounts.get(account).copied().ok_or_else(unknown)
    }

    /// Takes the write lock at once: a transaction that only turned into a writer later would fail without waiting if
    /// another process wrote in between.
    async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let begun = match self.writer.begin_with(TAKE_WRITE_LOCK).await {
            // On a full disk SQLite ends a transaction by itself, and the driver goes on counting it as open. No further
            // one can begin on such a connection; a new one goes on where the last commit left the ledger.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let spoilt = self.writer.acquire().await.map_err(|error| self.explain(error))?;
                spoilt.close().await.map_err(|error| self.explain(error))?;
                self.writer.begin_with(TAKE_WRITE_LOCK).await
            }
            begun => begun,
        };
        // The driver traces each statement, but not where transactions begin and end.
        tracing::trace!("begun");
        begun.map_err(|error| self.explain(error))
    }

    async fn commit(&self, transaction: WriteTransaction) -> Result<(), StoreError> {
        tracing::trace!("committing");
        let committed = transaction.commit().await;
        tracing::trace!("committed");
        committed.map_err(|error| self.explain(error))
    }

    fn explain(&self, error: sqlx::Error) -> StoreError {
        StoreError::from_database(error, &self.path)
    }
}

/// Begins a transaction that may write from its first statement on.
const TAKE_WRITE_LOCK: &str = "BEGIN IMMEDIATE";

/// The team column of a charge that belongs to no team.
const NO_TEAM: &str = "";

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The instant of a stored number. What lies outside the calendar, in a file that somebody edited, becomes its end.
fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn credits(micros: i64) -> Credits {
    Credits::from_micros(micros)
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod announcements_tests;
#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod drivers_tests;
#[cfg(test)]
mod episodes_tests;
#[cfg(test)]
mod estimates_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod prices_tests;
#[cfg(test)]
mod recomputed_tests;
#[cfg(test)]
mod reports_tests;
#[cfg(test)]
mod silences_tests;
#[cfg(test)]
mod tests;
