//! A charge history from a file into the ledger: repeatable, because a charge that is there already is not added again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::domain::{AccountName, Collector, Draw, Reading, TaskRecord, team_of};
use crate::provider::history::rejects::{self, RejectsFile};
use crate::provider::history::{ChargeFile, ColumnMap, FileBatch, FileError, RejectedRow};
use crate::store::{CollectorOutcome, Incoming, Store, StoreError};

/// Rows in one transaction. Enough that the flush at its end is a small part; few enough that an agent that serves from
/// the same ledger waits for a moment only.
const BATCH_ROWS: usize = 16_384;

/// Rejected rows that are kept for the report; the rest is counted.
const KEPT_REJECTIONS: usize = 100;

/// Names of unknown teams that are kept for the report.
const KEPT_TEAMS: usize = 10;

/// What is imported, and into which account.
#[derive(Clone, Copy, Debug)]
pub struct ImportJob<'a> {
    /// An account that the ledger knows.
    pub account: &'a AccountName,
    /// Which team a charge belongs to where the file does not say.
    pub draws: &'a [Draw],
    /// The file.
    pub path: &'a Path,
    /// What its columns are called.
    pub columns: &'a ColumnMap,
    /// The account's salt, by which attempts at the same asset are recognised as retries.
    pub salt: [u8; 16],
    /// Where rejected rows go; `None`: beside the file.
    pub rejects: Option<&'a Path>,
    /// The moment of the import.
    pub now: Timestamp,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Rows read, good and bad.
    pub read: u64,
    /// Charges that the ledger did not have.
    pub new: u64,
    /// Charges that it had.
    pub known: u64,
    /// Rows that were passed over.
    pub rejected: u64,
    /// The first of those, at most a hundred, in the order of the file.
    pub rejections: Vec<RejectedRow>,
    /// The file that all of them went to, if there were any.
    pub rejects_file: Option<PathBuf>,
    /// Why they could not be written there.
    pub rejects_failure: Option<String>,
    /// Rows that were kept and belong to no team of the account: they count for the account alone.
    pub without_team: u64,
    /// Teams that such rows name, at most ten: misspelt, perhaps.
    pub unknown_teams: BTreeSet<String>,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// Rows kept so far.
    pub rows: u64,
    /// Bytes of the file consumed so far.
    pub bytes: u64,
    /// Bytes of the file.
    pub total_bytes: u64,
}

/// Why an import stopped. What was kept before stays, and importing the file again continues it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports a charge history. `progress` is called after each batch.
///
/// # Errors
/// The file cannot be read or its header is not understood, or the ledger cannot be written. Rows that cannot be read are
/// no error: they are counted, and written to a file of their own.
pub async fn import_file(
    store: &Store,
    job: ImportJob<'_>,
    progress: impl FnMut(ImportProgress) + Send,
) -> Result<ImportSummary, ImportError> {
    let file = ChargeFile::open(job.path, job.columns, Some(job.salt))?;
    store.begin_bulk().await?;
    let summary = import_all(store, job, file, progress).await;
    store.end_bulk().await?;
    summary
}

async fn import_all(
    store: &Store,
    job: ImportJob<'_>,
    mut file: ChargeFile,
    mut progress: impl FnMut(ImportProgress) + Send,
) -> Result<ImportSummary, ImportError> {
    let ImportJob { account, draws, now, .. } = job;
    let total_bytes = file.length();
    let rejects_path =
        job.rejects.map_or_else(|| rejects::default_path(job.path, file.header().is_some()), Path::to_path_buf);
    let mut rejects = RejectsFile::new(rejects_path, file.header());
    // Unpacking and parsing run on a thread of their own, two batches ahead of the writer at most.
    let (sender, mut batches) = mpsc::channel::<Result<FileBatch, FileError>>(2);
    let reading = tokio::task::spawn_blocking(move || {
        while let Some(batch) = file.next_batch(BATCH_ROWS).transpose() {
            let is_end = batch.is_err();
            if sender.blocking_send(batch).is_err() || is_end {
                return;
            }
        }
    });
    let mut summary = ImportSummary::default();
    while let Some(batch) = batches.recv().await {
        let FileBatch { tasks, rejected, bytes } = batch?;
        let reading = Reading { tasks, ..Reading::default() };
        summary.note_teams(&reading.tasks, draws);
        let incoming = Incoming::of(&reading, now);
        let appended = store.append(account, draws, incoming).await?;
        summary.read += (reading.tasks.len() + rejected.len()) as u64;
        summary.new += appended.new_tasks;
        summary.known += appended.known_tasks;
        summary.note_rejected(&mut rejects, rejected);
        progress(ImportProgress { rows: summary.read, bytes, total_bytes });
    }
    // The account's charges have been read: that is a fact like that of a poll.
    let outcome = CollectorOutcome { collector: Collector::Charges, duration_seconds: 0.0, failure: None };
    let nothing = Reading::default();
    let incoming = Incoming { outcomes: &[outcome], ..Incoming::of(&nothing, now) };
    store.append(account, draws, incoming).await?;
    // The reader has hung up, so it is over; a panic in it must not look like the end of the file.
    if let Err(error) = reading.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
    summary.end_rejects(rejects);
    Ok(summary)
}

impl ImportSummary {
    fn note_teams(&mut self, tasks: &[TaskRecord], draws: &[Draw]) {
        for task in tasks.iter().filter(|task| team_of(draws, &task.attribution).is_none()) {
            self.without_team += 1;
            let named = task.attribution.team.as_ref().filter(|_| self.unknown_teams.len() < KEPT_TEAMS);
            if let Some(team) = named.filter(|team| !self.unknown_teams.contains(*team)) {
                self.unknown_teams.insert(team.clone());
            }
        }
    }

    /// A file of rejected rows that cannot be written is no reason to lose the good ones.
    fn note_rejected(&mut self, file: &mut RejectsFile, rejected: Vec<RejectedRow>) {
        self.rejected += rejected.len() as u64;
        if self.rejects_failure.is_none()
            && let Err(error) = file.add(&rejected)
        {
            self.rejects_failure = Some(cannot_write(file.path(), &error));
        }
        let room = KEPT_REJECTIONS.saturating_sub(self.rejections.len());
        self.rejections.extend(rejected.into_iter().take(room));
    }

    fn end_rejects(&mut self, file: RejectsFile) {
        let path = file.path().to_path_buf();
        match file.finish() {
            Ok(written) => self.rejects_file = written.filter(|_| self.rejects_failure.is_none()),
            Err(error) => self.rejects_failure = Some(cannot_write(&path, &error)),
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("failed to write rejected rows to `{}`: {error}\nhint: --rejects names another file", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Credits, DrawKey, EntryKind, RetryKind, TeamName};

    const HEADER: &str = "team,charge_id,at,credits,task_type,quality,outcome,asset\n";

    fn draws() -> Vec<Draw> {
        let key = DrawKey { account: AccountName::parse("studio").unwrap(), team: TeamName::parse("env").unwrap() };
        vec![Draw { key, selector: None, allowance: None }]
    }

    async fn import(store: &Store, path: &Path) -> (ImportSummary, Vec<ImportProgress>) {
        let mut seen = Vec::new();
        let (draws, columns) = (draws(), ColumnMap::plain());
        let imported = import_file(store, job(&draws, path, &columns), |progress| seen.push(progress));
        (imported.await.unwrap(), seen)
    }

    fn job<'a>(draws: &'a [Draw], path: &'a Path, columns: &'a ColumnMap) -> ImportJob<'a> {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let account = &draws[0].key.account;
        ImportJob { account, draws, path, columns, salt: [7; 16], rejects: None, now }
    }

    #[tokio::test]
    async fn importing_twice_is_importing_once() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        let account = draws()[0].key.account.clone();
        store.open_account(&account, [0; 16]).await.unwrap();
        let mut text = String::from(HEADER);
        let rows = BATCH_ROWS + 100;
        for n in 0..rows {
            let outcome = ["succeeded", "failed", "refunded"][n % 3];
            let asset = if n < 3 { "tree" } else { "" };
            text += &format!("env,c{n},2026-01-01T{:02}:00:00Z,2,rig,high,{outcome},{asset}\n", n % 24);
        }
        text += "env,bad,yesterday,2,rig,high,failed,\n";
        let path = folder.path().join("history.csv");
        std::fs::write(&path, text).unwrap();

        let (first, seen) = import(&store, &path).await;
        let rows = rows as u64;
        assert_eq!((first.read, first.new, first.known, first.rejected), (rows + 1, rows, 0, 1));
        assert_eq!(first.rejections[0].line, rows + 2);
        assert_eq!(first.rejects_file, Some(folder.path().join("history.csv.rejected.csv")));
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[1].rows, seen[1].bytes), (rows + 1, seen[1].total_bytes));
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let facts = store.load_account(&account, &draws(), None, now).await.unwrap();
        let (second, _) = import(&store, &path).await;
        assert_eq!((second.new, second.known), (0, rows));
        assert_eq!(store.load_account(&account, &draws(), None, now).await.unwrap(), facts);

        let team = &facts.teams[&Some(draws()[0].key.team.clone())];
        let refunded = rows / 3;
        assert_eq!(team.totals[0].charged, Credits::from_whole(2 * rows as i64));
        assert_eq!(team.totals[0].refunded, Credits::from_whole(2 * refunded as i64));
        assert_eq!(team.spent, Credits::from_whole(2 * (rows - refunded) as i64));
        let kinds: Vec<_> = team.retries.iter().map(|row| (row.kind, row.tasks)).collect();
        assert_eq!(kinds, [(RetryKind::Rerun, 1), (RetryKind::Resubmission, 1)]);
        let entries = store.entries(&account, 0, 100_000).await.unwrap();
        let refunds: Vec<_> = entries.iter().filter(|(_, entry)| entry.kind == EntryKind::Refund).collect();
        assert_eq!(refunds.len() as u64, refunded);
        assert!(refunds.iter().all(|(_, entry)| entry.at < now), "a refund belongs to the past it is from");
    }

    #[tokio::test]
    async fn a_file_cut_short_keeps_what_came_before() {
        use std::io::Write;
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        let account = draws()[0].key.account.clone();
        store.open_account(&account, [0; 16]).await.unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(HEADER.as_bytes()).unwrap();
        for n in 0..2 * BATCH_ROWS {
            writeln!(encoder, "env,c{n},2026-01-01T00:00:00Z,2,rig,high,failed,").unwrap();
        }
        let mut bytes = encoder.finish().unwrap();
        bytes.truncate(bytes.len() * 9 / 10);
        let path = folder.path().join("history.csv.gz");
        std::fs::write(&path, bytes).unwrap();
        let (draws, columns) = (draws(), ColumnMap::plain());
        let error = import_file(&store, job(&draws, &path, &columns), |_| ()).await.unwrap_err();
        assert!(matches!(error, ImportError::File(FileError::Read { .. })), "{error}");
        assert!(!store.entries(&account, 0, 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn rejected_rows_that_cannot_be_written_do_not_cost_the_good_ones() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        let draws = draws();
        store.open_account(&draws[0].key.account, [0; 16]).await.unwrap();
        let path = folder.path().join("history.csv");
        let rows = "env,a,2026-01-01T00:00:00Z,2,rig,high,failed,\nenv,b,soon,2,rig,high,failed,\n";
        std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
        let (nowhere, columns) = (folder.path().join("no/such/folder.csv"), ColumnMap::plain());
        let job = ImportJob { rejects: Some(&nowhere), ..job(&draws, &path, &columns) };
        let summary = import_file(&store, job, |_| ()).await.unwrap();
        assert_eq!((summary.new, summary.rejected, summary.rejects_file), (1, 1, None));
        let failure = summary.rejects_failure.unwrap();
        assert!(failure.contains("no/such/folder.csv") && failure.contains("hint: --rejects"), "{failure}");
    }
}
