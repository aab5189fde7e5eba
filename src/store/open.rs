//! The ledger's file: its connections, its schema, and the lock that keeps a second agent away.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, SqlStr, SqliteConnection};

use super::{Store, StoreError, StoreFault, sibling};

/// Up to 3.51.2 SQLite could damage a WAL database when two connections wrote and checkpointed together.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How long a writer waits for another process's transaction: an import commits every few thousand rows.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers beside the writer. Pages and assessments read for well under a millisecond each.
const READERS: u32 = 2;

/// The writer's page cache in KiB (negative: SQLite counts pages otherwise): enough for what polls touch.
const USUAL_CACHE_KIB: &str = "-4096";

/// The same during an import, which touches most pages of the indexes over and over if ids have no order.
const BULK_CACHE_KIB: &str = "-65536";

/// The cache of a connection that reads a whole ledger: what it sorts beyond this goes to a temporary file.
const LONG_READ_CACHE_KIB: &str = "-4096";

const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "ledger", include_str!("migrations/sqlite/0001_ledger.sql"))];

/// Held by the one agent that serves from a ledger; given back when dropped, also by a crash.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl Store {
    /// Opens the ledger at `path`, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// The file cannot be opened or written, is no ledger, is damaged, or was written by a later version.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let explain = |error: sqlx::Error| StoreError::from_database(error, path);
        let base = connection_to(path);
        let writing = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", USUAL_CACHE_KIB);
        let writer = pool(1).connect_with(writing).await.map_err(explain)?;
        let store = Store {
            path: Arc::from(path),
            readers: pool(READERS).connect_lazy_with(base.read_only(true)),
            writer,
            accounts: Arc::default(),
            known_silences: Arc::default(),
        };
        store.check_sqlite_version().await?;
        store.migrate().await?;
        Ok(store)
    }

    /// A connection of its own, for who reads for long: the few that all others share are not held up, and that its
    /// statements take seconds is nothing to warn of.
    pub(super) async fn open_reader(&self) -> Result<SqliteConnection, StoreError> {
        let options = connection_to(&self.path).read_only(true).pragma("cache_size", LONG_READ_CACHE_KIB);
        options.disable_statement_logging().connect().await.map_err(|error| self.explain(error))
    }

    /// Takes the lock that only one serving agent may hold. Imports and status commands do not need it and run beside.
    ///
    /// # Errors
    /// Another process holds it, or the lock file beside the ledger cannot be made.
    pub fn lock_for_serving(&self) -> Result<ServeLock, StoreError> {
        let lock_path = sibling(&self.path, ".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(|error| {
            StoreError::new(StoreFault::CannotOpen, &lock_path, format!("cannot make the lock file ({error})"))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(ServeLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::new(StoreFault::Served, &self.path, "another fuelgauge is serving from this ledger"))
            }
            Err(TryLockError::Error(error)) => {
                Err(StoreError::new(StoreFault::Other, &lock_path, format!("cannot take the lock ({error})")))
            }
        }
    }

    /// Gives every connection back. What was committed is on disk already.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Reads the whole file and checks its structure. Takes seconds for a large ledger.
    ///
    /// # Errors
    /// The first damage found.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(StoreError::new(StoreFault::Corrupt, &self.path, format!("the ledger is damaged ({verdict})")))
    }

    /// Lends the writer more memory for the time of an import.
    ///
    /// # Errors
    /// The ledger cannot be used.
    pub async fn begin_bulk(&self) -> Result<(), StoreError> {
        self.set_cache(BULK_CACHE_KIB).await
    }

    /// Takes back what [`Store::begin_bulk`] lent.
    ///
    /// # Errors
    /// The ledger cannot be used.
    pub async fn end_bulk(&self) -> Result<(), StoreError> {
        self.set_cache(USUAL_CACHE_KIB).await?;
        self.on_writer("PRAGMA shrink_memory").await
    }

    async fn set_cache(&self, kib: &'static str) -> Result<(), StoreError> {
        // A pragma takes no bound values; both that come here are constants.
        self.on_writer(sqlx::AssertSqlSafe(format!("PRAGMA cache_size = {kib}"))).await
    }

    async fn on_writer(&self, sql: impl SqlSafeStr) -> Result<(), StoreError> {
        sqlx::query(sql).execute(&self.writer).await.map(|_| ()).map_err(|error| self.explain(error))
    }

    async fn check_sqlite_version(&self) -> Result<(), StoreError> {
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&self.writer)
            .await
            .map_err(|error| self.explain(error))?;
        if is_trusted(&version) {
            return Ok(());
        }
        let (major, minor, patch) = OLDEST_SQLITE;
        let problem = format!("expected SQLite {major}.{minor}.{patch} or later, found {version}");
        Err(StoreError::new(StoreFault::OldSqlite, &self.path, problem))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match migrator().run(&self.writer).await {
            Ok(()) => Ok(()),
            Err(MigrateError::VersionMissing(found)) => {
                let known = MIGRATIONS.len();
                let problem = format!("expected a ledger of schema {known} or earlier, found schema {found}");
                Err(StoreError::new(StoreFault::NewerSchema, &self.path, problem))
            }
            Err(MigrateError::VersionMismatch(version)) => {
                let problem = format!("step {version} of the ledger's schema is not the one this version knows");
                Err(StoreError::new(StoreFault::NewerSchema, &self.path, problem))
            }
            Err(error) => Err(self.explain(sqlx::Error::Migrate(Box::new(error)))),
        }
    }
}

fn connection_to(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // Rows come from the connection's thread in lots of this many: a month of hours in one.
        .row_buffer_size(1024)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(60))
}

fn migrator() -> Migrator {
    let step = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(step).collect())
}

fn is_trusted(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) >= OLDEST_SQLITE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrusted_sqlite_is_refused() {
        for (version, expected) in
            [("3.51.3", true), ("3.51.2", false), ("3.52.0", true), ("4.0", true), ("3.9.99", false), ("", false)]
        {
            assert_eq!(is_trusted(version), expected, "{version}");
        }
    }
}
