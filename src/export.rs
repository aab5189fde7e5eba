//! The past of an account out of the ledger: as a file of charges that can be imported again, and as series that
//! Prometheus loads. Both are written as they are read, so that a ledger of any size fits.

use std::collections::BTreeMap;
use std::io::{self, Write};

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};

use self::parts::PartsOverTime;
use crate::domain::{AccountName, Credits, DeclaredPlan, Draw, Held, LotRules, RetryKind, SampleGrid, Samples};
use crate::metrics::{
    BUCKETS, MOST_QUALITIES, MOST_TASK_TYPES, OTHER, PURCHASED, Past, PastSheet, balance_team, buckets, last_kept,
};
use crate::store::{Folding, History, PastCharge, PastCounter, PastKey, PastRise, StoreError};

mod parts;

/// The longest step between samples. Prometheus takes a value for gone five minutes after its last sample.
pub const LONGEST_STEP_SECONDS: u32 = 300;

/// The columns of a file of charges. `import` understands them.
pub const COLUMNS: [&str; 18] = [
    "team",
    "charge_id",
    "at",
    "credits",
    "task_type",
    "quality",
    "variants",
    "outcome",
    "refunded_credits",
    "project",
    "member",
    "api_key",
    "started_at",
    "finished_at",
    "is_step",
    "retry",
    "is_sum",
    "is_estimated",
];

/// After so many rows or samples it is told again how far the export has come.
const TELL_EVERY: u64 = 10_000;

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is written to.
    #[error("failed to write the export")]
    Write(#[from] io::Error),
    /// A label that was asked for is one that the series have already.
    #[error("the label `{0}` is there already: expected each label once, and none that the series have of their own")]
    Label(String),
}

/// What is exported, from its first instant to before its last.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// From then on; `None`: from the beginning.
    pub from: Option<Timestamp>,
    /// Until before then.
    pub to: Timestamp,
}

/// Writes the account's charges as CSV (RFC 4180, but for lines that end as they do everywhere else), a row for each task,
/// oldest first, and answers how many. `progress` is told the rows so far.
///
/// Cells are written as they are. A name that begins with `=`, `+`, `-` or `@` is a formula to a spreadsheet that opens the
/// file without being told that its columns are text; whatever was put before the name to prevent that would be a part of
/// it when the file is imported again, and selectors would no longer match.
///
/// # Errors
/// The ledger cannot be read, or the file cannot be written.
pub async fn export_charges<W: Write>(
    history: &mut History,
    range: &Range,
    out: W,
    mut progress: impl FnMut(u64),
) -> Result<(W, u64), ExportError> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(COLUMNS).map_err(as_io)?;
    let mut count = 0;
    let mut charges = history.charges(range.from.unwrap_or(Timestamp::MIN), range.to);
    while let Some(charge) = charges.try_next().await? {
        rows.write_record(cells(&charge)).map_err(as_io)?;
        count += 1;
        if count % TELL_EVERY == 0 {
            progress(count);
        }
    }
    let out = rows.into_inner().map_err(|error| error.into_error())?;
    Ok((out, count))
}

/// What went wrong in writing, as what it is: whoever reads through a pipe and goes away is no failure.
fn as_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

fn cells(charge: &PastCharge) -> [String; COLUMNS.len()] {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let flag = |is_set: bool| if is_set { "true".to_owned() } else { String::new() };
    let (charged, refunded) = amounts(charge);
    [
        charge.team.clone(),
        charge.id.clone(),
        charge.created_at.to_string(),
        charged,
        charge.task_type.clone(),
        charge.quality.clone(),
        charge.variants.map_or_else(String::new, |variants| variants.to_string()),
        charge.state.as_str().to_owned(),
        refunded,
        text(&charge.project),
        text(&charge.member),
        text(&charge.api_key),
        time(charge.started_at),
        time(charge.finished_at),
        flag(charge.is_step),
        charge.retry.map_or("", RetryKind::as_str).to_owned(),
        flag(charge.is_sum),
        flag(charge.is_estimated),
    ]
}

/// What was charged and what came back, as cells: empty where that is not known, or nothing.
///
/// A sum of many tasks is net of what came back, as platforms tell it and as it is read again; what it lost since it was
/// first told is no refund of anything. Of a task that is not final and was not charged for, nothing was said yet.
fn amounts(charge: &PastCharge) -> (String, String) {
    let net = charge.charged - charge.refunded;
    let (charged, refunded) = match charge.is_sum {
        false => (charge.charged, charge.refunded),
        true => (net.max(Credits::ZERO), (-net).max(Credits::ZERO)),
    };
    let is_unknown = charged == Credits::ZERO && !charge.state.is_final() && !charge.is_sum;
    let unless = |is_empty: bool, credits: Credits| if is_empty { String::new() } else { credits.to_string() };
    (unless(is_unknown, charged), unless(refunded == Credits::ZERO, refunded))
}

/// What of an account's past becomes series.
#[derive(Clone, Copy, Debug)]
pub struct PastSeries<'a> {
    /// Whose.
    pub account: &'a AccountName,
    /// Who draws on it, for the labels of its balance.
    pub draws: &'a [Draw],
    /// What is declared of its plan, by which the parts of its balance are told apart.
    pub plan: &'a DeclaredPlan,
    /// Between which instants.
    pub range: Range,
    /// The time between samples, at most [`LONGEST_STEP_SECONDS`], or Prometheus sees gaps.
    pub step_seconds: u32,
    /// Labels that every series gets beside its own, such as the job and instance that a scrape adds.
    pub labels: &'a [(String, String)],
}

/// Writes the past of the account's series as OpenMetrics text and answers how many samples. `progress` is told the
/// samples so far.
///
/// A counter begins a step before its first launch, at 0, so that its increase over all of the past is all of it, and goes
/// on to the end. A balance has samples from its first reading to its last.
///
/// # Errors
/// The ledger cannot be read, the text cannot be written, or a label is there already.
pub async fn export_series<W: Write>(
    history: &mut History,
    past: &PastSeries<'_>,
    out: W,
    progress: impl FnMut(u64),
) -> Result<(W, u64), ExportError> {
    let sheet = PastSheet::new(out, past.labels).map_err(ExportError::Label)?;
    let Some(began_at) = history.began_at().await? else { return Ok((sheet.finish()?, 0)) };
    let step = SignedDuration::from_secs(i64::from(past.step_seconds));
    let from = past.range.from.unwrap_or_else(|| before(began_at, step));
    let grid = SampleGrid::new(past.step_seconds, from, past.range.to);
    let account = past.account.as_str();
    let mut writer = Writer { sheet, grid, account, samples: 0, told: 0, progress };

    let (task_types, qualities) = history.words().await?;
    let folding = Folding {
        last_task_type: last_kept(&task_types.iter().map(String::as_str).collect(), MOST_TASK_TYPES),
        last_quality: last_kept(&qualities.iter().map(String::as_str).collect(), MOST_QUALITIES),
        other: OTHER,
    };
    let by_quality = history.series(folding).await?;
    let by_task_type = without_quality(&by_quality);
    let by_kind = with_kinds(&by_task_type);
    let bought = [([PURCHASED.to_owned(), String::new(), String::new()], began_at)];
    for (family, counter, series) in [
        (Past::Charged, PastCounter::Charged, &by_quality[..]),
        (Past::Refunded, PastCounter::Refunded, &by_quality),
        (Past::Granted, PastCounter::Granted, &bought),
        (Past::Expired, PastCounter::Expired, &bought),
        (Past::TasksFinished, PastCounter::Finished, &by_task_type),
        (Past::TasksFailed, PastCounter::Failed, &by_task_type),
        (Past::TaskAttempts, PastCounter::Attempts, &by_task_type),
        (Past::TaskRetries, PastCounter::Retries, &by_kind),
        (Past::RetryCredits, PastCounter::RetryCredits, &by_kind),
    ] {
        writer.sheet.begin(family)?;
        writer.counters(counter, history.rises(counter, folding, step), series).await?;
    }
    writer.sheet.begin(Past::Balance)?;
    let team = balance_team(past.draws.iter().map(|draw| (draw.key.team.as_str(), draw.allowance)));
    writer.balances(history, team, past.plan).await?;
    Ok((writer.sheet.finish()?, writer.samples))
}

/// Series of the same team and task type as one, with the first of their launches.
fn without_quality(series: &[(PastKey, Timestamp)]) -> Vec<(PastKey, Timestamp)> {
    let mut joined: BTreeMap<PastKey, Timestamp> = BTreeMap::new();
    for ([team, task_type, _], first) in series {
        let earliest = joined.entry([team.clone(), task_type.clone(), String::new()]).or_insert(*first);
        *earliest = (*earliest).min(*first);
    }
    joined.into_iter().collect()
}

/// Both kinds of retries for every task type that a team ever launched, as in a scrape.
fn with_kinds(series: &[(PastKey, Timestamp)]) -> Vec<(PastKey, Timestamp)> {
    let kinds = |([team, task_type, _], first): &(PastKey, Timestamp)| {
        RetryKind::ALL.map(|kind| ([team.clone(), task_type.clone(), kind.as_str().to_owned()], *first))
    };
    let mut all: Vec<_> = series.iter().flat_map(kinds).collect();
    all.sort();
    all
}

fn before(at: Timestamp, step: SignedDuration) -> Timestamp {
    at.saturating_sub(step).unwrap_or(Timestamp::MIN)
}

/// Series on their way to the text.
struct Writer<'a, W, P> {
    sheet: PastSheet<W>,
    grid: SampleGrid,
    account: &'a str,
    samples: u64,
    told: u64,
    progress: P,
}

impl<W: Write, P: FnMut(u64)> Writer<'_, W, P> {
    /// The series of one counter, each from its rises. Both come in the order of the key.
    async fn counters(
        &mut self,
        counter: PastCounter,
        mut rises: BoxStream<'_, Result<PastRise, StoreError>>,
        series: &[(PastKey, Timestamp)],
    ) -> Result<(), ExportError> {
        let value = |total: i64| match counter.is_credits() {
            true => Credits::from_micros(total).as_f64(),
            false => total as f64,
        };
        let mut next = rises.try_next().await?;
        for (key, first) in series {
            let [team, task_type, third] = key;
            let labels = [self.account, team, task_type, third];
            self.sheet.series(&labels[..1 + counter.depth()]);
            let (mut held, mut total) = (Held::new(&self.grid), 0_i64);
            self.write(held.change(before(*first, self.grid.step()), Some(total)), value)?;
            while let Some(rise) = next.take_if(|rise| rise.key == *key) {
                total = total.saturating_add(rise.amount);
                self.write(held.change(rise.at, Some(total)), value)?;
                next = rises.try_next().await?;
            }
            self.write(held.rest(), value)?;
        }
        Ok(())
    }

    /// The series of the balance, one for each bucket.
    async fn balances(&mut self, history: &mut History, team: &str, plan: &DeclaredPlan) -> Result<(), ExportError> {
        let Some(last_read_at) = history.balance_last_read_at().await? else { return Ok(()) };
        let rules = LotRules::of(history.reported_plan().await?.as_ref(), Some(plan));
        let events = history.lot_events(&rules).await?;
        for (place, bucket) in BUCKETS.into_iter().enumerate() {
            self.sheet.series(&[self.account, team, bucket]);
            let mut held = Held::new(&self.grid);
            let mut parts = PartsOverTime::new(&rules, &events);
            let mut balances = history.balances();
            while let Some((read_at, balance)) = balances.try_next().await? {
                let (_, credits) = buckets(&parts.at(read_at, &balance), balance.frozen)[place];
                self.write(held.change(read_at, credits), Credits::as_f64)?;
            }
            // What it was after the last look at it, nobody knows.
            let end = last_read_at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX);
            self.write(held.change(end, None), Credits::as_f64)?;
        }
        Ok(())
    }

    fn write<V>(&mut self, samples: Samples<V>, value: impl Fn(V) -> f64) -> Result<(), ExportError> {
        let Some((known, instants)) = samples.known() else { return Ok(()) };
        self.samples += self.sheet.samples(value(known), instants)?;
        if self.samples - self.told >= TELL_EVERY {
            self.told = self.samples;
            (self.progress)(self.samples);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
