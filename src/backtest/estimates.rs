//! Past batches against the estimator of today: how many of them would have stayed within what was said.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::{BATCH_ROWS, BacktestError, net};
use crate::domain::estimate::hindsight::{BATCH_SIZES, Coverage, coverage};
use crate::domain::{PastTask, TaskRecord};
use crate::provider::history::{ChargeFile, ColumnMap};

/// What is asked of each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The kind of task and its quality.
    KindAndQuality,
    /// The kind of task alone: what it costs depends on qualities that nobody names.
    Kind,
}

/// How estimates of batches of past launches would have held, by the sizes of [`BATCH_SIZES`]. Kinds that always cost the same
/// are left out: there nothing can be wrong.
///
/// # Errors
/// The file cannot be read, or a row of it does not fit.
pub fn replay_estimates(charges: &Path, asked: Asked) -> Result<[Coverage; BATCH_SIZES.len()], BacktestError> {
    let mut kinds: BTreeMap<(String, String, String), Vec<(Timestamp, PastTask)>> = BTreeMap::new();
    let mut file = ChargeFile::open(charges, &ColumnMap::plain(), None)?;
    while let Some(batch) = file.next_batch(BATCH_ROWS)? {
        if let Some(rejected) = batch.rejected.into_iter().next() {
            let path = charges.display().to_string();
            return Err(BacktestError::Row { path, line: rejected.line, reason: rejected.reason });
        }
        for task in batch.tasks.into_iter().filter(|task| net(task).is_positive()) {
            let team = task.attribution.team.clone().unwrap_or_default();
            let quality = if asked == Asked::Kind { String::new() } else { task.quality.clone() };
            let kind = (team, task.task_type.clone(), quality);
            kinds.entry(kind).or_default().push((task.created_at, past_task(task)));
        }
    }
    let mut all = [Coverage::default(); BATCH_SIZES.len()];
    for mut launches in kinds.into_values() {
        launches.sort_by_key(|(at, _)| *at);
        let launches: Vec<PastTask> = launches.into_iter().map(|(_, task)| task).collect();
        if launches.windows(2).all(|pair| pair[0].credits_net == pair[1].credits_net) {
            continue;
        }
        let found = coverage(&launches, asked == Asked::KindAndQuality);
        for (sum, found) in all.iter_mut().zip(found) {
            *sum = sum.and(found);
        }
    }
    Ok(all)
}

fn past_task(task: TaskRecord) -> PastTask {
    PastTask {
        credits_net: net(&task),
        task_type: task.task_type,
        quality: task.quality,
        variants: task.variants,
        fingerprint: None,
        is_step: false,
        state: task.state,
    }
}
