//! A watched folder: charge histories that come to it are imported. Nothing in it is moved or changed; which files were
//! imported stands in the ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{IMPORT, Intake};
use crate::domain::{Collector, Reading};
use crate::import::{ImportError, ImportJob, import_file};
use crate::poller::Account;
use crate::provider::history::rejects::is_rejects;
use crate::store::{CollectorOutcome, ImportedFile, Incoming, StoreError};

/// When a folder is looked at: each minute.
pub const WATCH_SCHEDULE: &str = "* * * * *";

/// So many files of a folder are looked at; more are a mistake of whoever fills it.
const MOST_FILES: usize = 10_000;

/// Endings of the files that are imported, each also with `.gz`.
const ENDINGS: [&str; 4] = [".csv", ".tsv", ".jsonl", ".ndjson"];

/// How a file looked: one that has changed since the last look may still be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    bytes: u64,
    modified_at: Timestamp,
}

/// The folder of one account.
pub struct Folder {
    intake: Intake,
    account: Arc<Account>,
    path: PathBuf,
    waiting: BTreeMap<String, Looks>,
    is_unreadable: bool,
}

impl Folder {
    /// The account's folder, if it has one.
    pub fn of(intake: Intake, account: &Arc<Account>) -> Option<Folder> {
        let path = account.config.import.folder.clone()?;
        Some(Folder { intake, account: Arc::clone(account), path, waiting: BTreeMap::new(), is_unreadable: false })
    }

    /// Imports the files that have not changed since the look before and were not imported as they are. A file that is new
    /// waits for the next look: it may still be written. Says how many were imported.
    pub async fn look(&mut self) -> usize {
        let files = match files_in(&self.path) {
            Ok(files) => files,
            Err(error) => {
                self.tell_unreadable(&error);
                return 0;
            }
        };
        self.is_unreadable = false;
        let imported = match self.intake.store.imported_files(&self.account.config.name).await {
            Ok(imported) => imported,
            Err(error) => {
                self.intake.store_failed(&self.account, "import", &error);
                return 0;
            }
        };
        let is_done = |name: &str, looks: &Looks| {
            imported
                .iter()
                .any(|file| file.name == name && file.bytes == looks.bytes && file.modified_at == looks.modified_at)
        };
        let before = std::mem::take(&mut self.waiting);
        let mut done = 0;
        for (name, looks) in files {
            if is_done(&name, &looks) {
                continue;
            }
            if before.get(&name) != Some(&looks) {
                self.waiting.insert(name, looks);
                continue;
            }
            match self.import(&name, looks).await {
                Ok(()) => done += 1,
                Err(error) => self.intake.store_failed(&self.account, "import", &error),
            }
        }
        if done > 0 {
            self.intake.assess(&self.account).await;
        }
        done
    }

    /// Imports one file and remembers that it was. A file that cannot be read is remembered too, with the reason, and tried
    /// again when it changes.
    async fn import(&self, name: &str, looks: Looks) -> Result<(), StoreError> {
        let account = &self.account;
        let now = self.intake.clock.now();
        let path = self.path.join(name);
        let job = ImportJob {
            account: &account.config.name,
            draws: &account.draws,
            path: &path,
            columns: &account.columns,
            salt: account.salt,
            rejects: None,
            now,
        };
        let failure = match import_file(&self.intake.store, job, |_| ()).await {
            Ok(summary) => {
                self.intake.count(account, IMPORT, summary.new, summary.known, summary.rejected);
                tracing::info!(
                    account = %account.config.name, file = %path.display(), new = summary.new, known = summary.known,
                    rejected = summary.rejected, "imported `{}`", path.display()
                );
                if let Some(failure) = &summary.rejects_failure {
                    self.failed("unreadable", failure);
                }
                None
            }
            Err(ImportError::Store(error)) => return Err(error),
            Err(ImportError::File(error)) => {
                let message = with_cause(&error);
                self.failed("malformed", &message);
                self.keep_failure(&message, now).await?;
                Some(message)
            }
        };
        let file = ImportedFile {
            name: name.to_owned(),
            bytes: looks.bytes,
            modified_at: looks.modified_at,
            imported_at: now,
            failure,
        };
        self.intake.store.remember_imported(&account.config.name, &file).await
    }

    /// Shows the failure where those of polls are shown.
    async fn keep_failure(&self, message: &str, now: Timestamp) -> Result<(), StoreError> {
        let failure = Some(("malformed".to_owned(), message.to_owned()));
        let outcome = CollectorOutcome { collector: Collector::Charges, duration_seconds: 0.0, failure };
        let nothing = Reading::default();
        let incoming = Incoming { outcomes: &[outcome], ..Incoming::of(&nothing, now) };
        self.intake.store.append(&self.account.config.name, &self.account.draws, incoming).await.map(|_| ())
    }

    fn failed(&self, reason: &str, message: &str) {
        let name = &self.account.config.name;
        self.intake.metrics.agent.received_failures.with_label_values(&[IMPORT, reason]).inc();
        tracing::warn!(account = %name, reason, "import for account `{name}`: {message}");
    }

    /// Once, until the folder can be read again.
    fn tell_unreadable(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.is_unreadable, true) {
            self.failed("unreadable", &format!("cannot read the folder `{}`: {error}", self.path.display()));
        }
    }
}

/// Every `reason` label of `fuelgauge_received_failures_total` that imports have.
pub const IMPORT_REASONS: [&str; 2] = ["malformed", "unreadable"];

/// The histories in a folder by their names: neither hidden files nor those of rejected rows.
fn files_in(folder: &Path) -> std::io::Result<BTreeMap<String, Looks>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)?.take(MOST_FILES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let plain = name.strip_suffix(".gz").unwrap_or(&name).to_lowercase();
        let is_history = ENDINGS.iter().any(|ending| plain.ends_with(ending));
        if name.starts_with('.') || !is_history || is_rejects(Path::new(&name)) {
            continue;
        }
        // A file that has gone meanwhile is no mistake.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        let modified_at = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        let millis = modified_at.and_then(|at| Timestamp::from_millisecond(at.as_millisecond()).ok());
        if let (true, Some(modified_at)) = (metadata.is_file(), millis) {
            found.insert(name, Looks { bytes: metadata.len(), modified_at });
        }
    }
    Ok(found)
}

/// An error with its cause, on one line before its hint.
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
