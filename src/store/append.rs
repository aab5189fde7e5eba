//! What a poll, an import or a push brought: reconciled, counted and kept in one transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::records::{append_balance, keep_outcome, keep_plan, keep_queue};
use super::retries::classify_inputs;
use super::{NO_TEAM, Store, StoreError, credits, instant, millis, write};
use crate::domain::{
    AccountName, ChargeSource, Collector, DeclaredPlan, Draw, Entry, HourlyUse, KnownTask, Reading, RetryKind,
    TaskRecord, TaskState, TeamName, reconcile_task, team_of,
};

/// What came in, and when.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// What was read.
    pub reading: &'a Reading,
    /// How each collector fared; empty for imports and pushes.
    pub outcomes: &'a [CollectorOutcome],
    /// What is declared of the plan: by it resets and refills are recognised where the platform names none.
    pub plan: Option<&'a DeclaredPlan>,
    /// From what the account's charges are known.
    pub charges: ChargeSource,
    /// The job this run belongs to, and the time it was scheduled for.
    pub scheduled: Option<(&'a str, Timestamp)>,
    /// The moment of the poll.
    pub now: Timestamp,
}

impl<'a> Incoming<'a> {
    /// A reading without anything beside it.
    pub fn of(reading: &'a Reading, now: Timestamp) -> Incoming<'a> {
        let charges = ChargeSource::History;
        Incoming { reading, outcomes: &[], plan: None, charges, scheduled: None, now }
    }
}

/// How one collector fared in a poll.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorOutcome {
    /// Which.
    pub collector: Collector,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// Reason (as in metrics) and text of the failure; `None` for success.
    pub failure: Option<(String, String)>,
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Tasks seen for the first time.
    pub new_tasks: u64,
    /// Records of tasks seen before, whether or not they brought news.
    pub known_tasks: u64,
    /// Entries added.
    pub new_entries: u64,
    /// For each team (`None`: no team) whose use changed, the earliest hour in which it did, as in [`HourlyUse::hour`].
    pub changed_since: BTreeMap<Option<TeamName>, i64>,
}

/// A task about to be written.
pub(super) struct TaskRow<'a> {
    /// The first record of it in this batch.
    pub(super) record: &'a TaskRecord,
    pub(super) team: Cow<'a, str>,
    pub(super) created_at: i64,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) task_type: Cow<'a, str>,
    pub(super) quality: Cow<'a, str>,
    pub(super) variants: Option<i64>,
    pub(super) told_retry: Option<RetryKind>,
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) is_step: bool,
    pub(super) is_sum: bool,
    pub(super) known: KnownTask,
    /// What the ledger held before this batch; `None` for a new task.
    before: Option<KnownTask>,
    /// Whether it was counted as an attempt before this batch.
    was_attempt: bool,
    is_changed: bool,
}

/// Team and hour, and what to add to them.
pub(super) type HourDelta<'a> = (&'a str, i64, HourSum);
/// Team, task type and quality, and what to add to them.
pub(super) type TotalDelta<'a> = ((&'a str, &'a str, &'a str), TotalSum);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HourSum {
    pub(super) net: i64,
    pub(super) charges: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TotalSum {
    pub(super) charged: i64,
    pub(super) refunded: i64,
    pub(super) finished: i64,
    pub(super) failed: i64,
    pub(super) attempts: i64,
}

impl Store {
    /// Keeps everything that one look at an account brought, in one transaction: all of it or nothing.
    ///
    /// Reading the same again adds nothing; `draws` say which team each new charge belongs to.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be written. The ledger is then as before.
    pub async fn append(
        &self,
        account: &AccountName,
        draws: &[Draw],
        incoming: Incoming<'_>,
    ) -> Result<Appended, StoreError> {
        let id = self.account_id(account)?;
        let mut transaction = self.begin().await?;
        let appended = append_all(&mut transaction, id, draws, incoming).await.map_err(|error| self.explain(error))?;
        self.commit(transaction).await?;
        Ok(appended)
    }
}

async fn append_all(
    connection: &mut SqliteConnection,
    account: i64,
    draws: &[Draw],
    incoming: Incoming<'_>,
) -> sqlx::Result<Appended> {
    let Incoming { reading, outcomes, scheduled, now, .. } = incoming;
    let mut appended = Appended::default();
    let mut entries = append_tasks(connection, account, draws, &reading.tasks, now, &mut appended).await?;
    let (balanced, derived) = append_balance(connection, account, incoming, &entries).await?;
    entries.extend(balanced);
    if !derived.is_empty() {
        // These are charges worked out, not tasks that anybody read.
        let mut uncounted = Appended::default();
        entries.extend(append_tasks(connection, account, draws, &derived, now, &mut uncounted).await?);
        for (team, hour) in uncounted.changed_since {
            let earliest = appended.changed_since.entry(team).or_insert(hour);
            *earliest = (*earliest).min(hour);
        }
    }
    write::entries(connection, account, &entries).await?;
    appended.new_entries = entries.len() as u64;
    if let Some(queue) = &reading.queue {
        keep_queue(connection, account, queue, now).await?;
    }
    if let Some(plan) = &reading.plan {
        keep_plan(connection, account, plan, now).await?;
    }
    for outcome in outcomes {
        keep_outcome(connection, account, outcome, now).await?;
    }
    if let Some((job, at)) = scheduled {
        let upsert = "INSERT INTO schedules (job, scheduled_at) VALUES ($1, $2) \
                      ON CONFLICT (job) DO UPDATE SET scheduled_at = excluded.scheduled_at";
        sqlx::query(upsert).bind(job).bind(millis(at)).execute(connection).await?;
    }
    Ok(appended)
}

async fn append_tasks(
    connection: &mut SqliteConnection,
    account: i64,
    draws: &[Draw],
    records: &[TaskRecord],
    now: Timestamp,
    appended: &mut Appended,
) -> sqlx::Result<Vec<Entry>> {
    let mut rows = load_known(connection, account, records).await?;
    let mut places: HashMap<&str, usize> =
        rows.iter().enumerate().map(|(place, row)| (row.record.id.as_str(), place)).collect();
    let mut entries = Vec::new();
    for record in records {
        let place = *places.entry(&record.id).or_insert(rows.len());
        if place == rows.len() {
            rows.push(TaskRow::new(record, draws));
            appended.new_tasks += 1;
        } else {
            appended.known_tasks += 1;
        }
        let is_first = rows[place].before.is_none() && std::ptr::eq(rows[place].record, record);
        entries.extend(rows[place].read(record, is_first, now));
    }

    let mut changed: Vec<&TaskRow> = rows.iter().filter(|row| row.is_changed).collect();
    // In the order in which they lie on disk: where ids have no order, each page is then written once.
    changed.sort_unstable_by_key(|row| row.record.id.as_str());
    write::tasks(connection, account, &changed).await?;
    let (hours, totals) = deltas(&changed);
    for (team, hour, _) in &hours {
        let earliest = appended.changed_since.entry(team_name(team)).or_insert(*hour);
        *earliest = (*earliest).min(*hour);
    }
    write::hours(connection, account, &hours).await?;
    write::totals(connection, account, &totals).await?;
    let inputs: Vec<Vec<u8>> = changed.iter().filter_map(|row| row.fingerprint.clone()).collect();
    let told = changed.iter().filter(|row| row.fingerprint.is_none() && row.told_retry.is_some());
    let told: Vec<&str> = told.map(|row| row.record.id.as_str()).collect();
    classify_inputs(connection, account, inputs, &told).await?;
    Ok(entries)
}

impl<'a> TaskRow<'a> {
    fn new(record: &'a TaskRecord, draws: &[Draw]) -> TaskRow<'a> {
        TaskRow {
            record,
            team: match team_of(draws, &record.attribution) {
                Some(team) => Cow::Owned(team.as_str().to_owned()),
                None => Cow::Borrowed(NO_TEAM),
            },
            created_at: millis(record.created_at),
            started_at: None,
            finished_at: None,
            task_type: Cow::Borrowed(&record.task_type),
            quality: Cow::Borrowed(&record.quality),
            variants: None,
            told_retry: None,
            fingerprint: None,
            is_step: record.is_step,
            is_sum: record.is_sum,
            known: KnownTask::new(record.state),
            before: None,
            was_attempt: false,
            is_changed: true,
        }
    }

    /// Joins a record with what is known. Facts that were known stay; those that were not are filled in.
    fn read(&mut self, record: &TaskRecord, is_first: bool, now: Timestamp) -> Vec<Entry> {
        let change = reconcile_task((!is_first).then_some(&self.known), record, None, now);
        self.is_changed |= self.known != change.known;
        self.known = change.known;
        self.is_changed |= fill(&mut self.started_at, record.started_at.map(millis));
        self.is_changed |= fill(&mut self.finished_at, record.finished_at.map(millis));
        self.is_changed |= fill(&mut self.variants, record.variants.map(i64::from));
        let attempted = record.asset.or(record.fingerprint);
        self.is_changed |= fill(&mut self.fingerprint, attempted.map(|f| f.0.to_be_bytes().to_vec()));
        self.is_changed |= fill(&mut self.told_retry, record.retry);
        self.is_changed |= record.is_step && !self.is_step;
        self.is_step |= record.is_step;
        change.entries
    }

    fn is_attempt(&self) -> bool {
        is_attempt(self.fingerprint.is_some(), self.told_retry, self.is_step, self.is_sum)
    }
}

/// Whether it is known of a launch what it attempts, so that it is either a first attempt or a retry.
pub(super) fn is_attempt(has_input: bool, told: Option<RetryKind>, is_step: bool, is_sum: bool) -> bool {
    (has_input && !is_step && !is_sum) || told.is_some()
}

fn fill<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let is_news = slot.is_none() && value.is_some();
    if is_news {
        *slot = value;
    }
    is_news
}

/// The tasks of `records` that the ledger holds already.
async fn load_known<'a>(
    connection: &mut SqliteConnection,
    account: i64,
    records: &'a [TaskRecord],
) -> sqlx::Result<Vec<TaskRow<'a>>> {
    let by_id: HashMap<&str, &TaskRecord> = records.iter().rev().map(|record| (record.id.as_str(), record)).collect();
    let mut ids: Vec<&str> = by_id.keys().copied().collect();
    ids.sort_unstable();
    let found: Vec<KnownRow> = write::select_in(connection, KnownRow::SELECT, account, ("id", &ids), "").await?;
    // Only ids that were asked for come back.
    Ok(found.into_iter().filter_map(|row| by_id.get(row.id.as_str()).map(|record| row.into_task(record))).collect())
}

/// A task as the ledger holds it.
struct KnownRow {
    id: String,
    team: String,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    task_type: String,
    quality: String,
    variants: Option<i64>,
    told_retry: Option<RetryKind>,
    fingerprint: Option<Vec<u8>>,
    is_step: bool,
    is_sum: bool,
    known: KnownTask,
}

impl KnownRow {
    const SELECT: &str = "SELECT id, team, created_at, started_at, finished_at, task_type, quality, variants, told_retry, \
                          fingerprint, is_step, is_sum, state, charged, refunded, settled, charged_again, said_refunded \
                          FROM tasks";

    fn into_task(self, record: &TaskRecord) -> TaskRow<'_> {
        TaskRow {
            record,
            team: Cow::Owned(self.team),
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            task_type: Cow::Owned(self.task_type),
            quality: Cow::Owned(self.quality),
            variants: self.variants,
            was_attempt: is_attempt(self.fingerprint.is_some(), self.told_retry, self.is_step, self.is_sum),
            told_retry: self.told_retry,
            fingerprint: self.fingerprint,
            is_step: self.is_step,
            is_sum: self.is_sum,
            before: Some(self.known.clone()),
            known: self.known,
            is_changed: false,
        }
    }
}

impl FromRow<'_, SqliteRow> for KnownRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<KnownRow> {
        Ok(KnownRow {
            id: row.try_get(0)?,
            team: row.try_get(1)?,
            created_at: row.try_get(2)?,
            started_at: row.try_get(3)?,
            finished_at: row.try_get(4)?,
            task_type: row.try_get(5)?,
            quality: row.try_get(6)?,
            variants: row.try_get(7)?,
            told_retry: row.try_get::<Option<&str>, _>(8)?.and_then(RetryKind::parse),
            fingerprint: row.try_get(9)?,
            is_step: row.try_get(10)?,
            is_sum: row.try_get(11)?,
            known: KnownTask {
                state: TaskState::parse(row.try_get(12)?),
                charged: credits(row.try_get(13)?),
                refunded: credits(row.try_get(14)?),
                settled: row.try_get::<Option<i64>, _>(15)?.map(credits),
                charged_again: credits(row.try_get(16)?),
                said_refunded: credits(row.try_get(17)?),
            },
        })
    }
}

/// What changed tasks add to hours and counters.
fn deltas<'r>(rows: &[&'r TaskRow<'_>]) -> (Vec<HourDelta<'r>>, Vec<TotalDelta<'r>>) {
    let mut hours: BTreeMap<(&str, i64), HourSum> = BTreeMap::new();
    let mut totals: BTreeMap<(&str, &str, &str), TotalSum> = BTreeMap::new();
    for row in rows {
        let hour = HourlyUse::hour_of(instant(row.created_at));
        let before = row.before.as_ref().map(|known| contribution(known, row.is_sum, row.was_attempt));
        let after = contribution(&row.known, row.is_sum, row.is_attempt());
        let (hour_before, total_before) = before.unwrap_or_default();
        let net = after.0.net - hour_before.net;
        if net != 0 {
            let sum = hours.entry((&row.team, hour)).or_default();
            sum.net += net;
            sum.charges += after.0.charges - hour_before.charges;
        }
        if after.1 != total_before {
            let sum = totals.entry((&row.team, &row.task_type, &row.quality)).or_default();
            sum.charged += after.1.charged - total_before.charged;
            sum.refunded += after.1.refunded - total_before.refunded;
            sum.finished += after.1.finished - total_before.finished;
            sum.failed += after.1.failed - total_before.failed;
            sum.attempts += after.1.attempts - total_before.attempts;
        }
    }
    (hours.into_iter().map(|((team, hour), sum)| (team, hour, sum)).collect(), totals.into_iter().collect())
}

/// What a task as known stands for in hours and counters. A sum of many tasks is none that finished.
pub(super) fn contribution(known: &KnownTask, is_sum: bool, is_attempt: bool) -> (HourSum, TotalSum) {
    let net = known.net();
    let total = TotalSum {
        charged: known.charged.micros(),
        refunded: known.refunded.micros(),
        finished: i64::from(known.state.is_final() && !is_sum),
        failed: i64::from(known.state == TaskState::Failed && !is_sum),
        attempts: i64::from(is_attempt),
    };
    (HourSum { net: net.micros(), charges: i64::from(net.is_positive()) }, total)
}

/// The team of a team column.
pub(super) fn team_name(column: &str) -> Option<TeamName> {
    TeamName::parse(column).ok()
}
