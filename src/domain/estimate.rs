//! What a job will cost before it is launched, from the draw's own past tasks, and what that does to the forecast.
//!
//! The unit of experience is a past *asset*: all launches that repeat the same input, the failed ones included, with
//! what they cost together. A job of so many assets is simulated by drawing from past assets, each draw joining the
//! ones it can be drawn from again (a Pólya urn), so that a short history gives a wide range. The generator and its
//! seed are fixed: the same history and the same question give the same answer.

use std::collections::HashMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::credits::Credits;
use super::forecast::{ForecastInput, Outlook, forecast};
use super::reading::{Fingerprint, TaskState};

/// A task that the draw launched before.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTask {
    /// The platform's word for the kind of task.
    pub task_type: String,
    /// The platform's word for its quality; empty where it says nothing.
    pub quality: String,
    /// Credits charged less what came back.
    pub credits_net: Credits,
    /// How many variants it made, where said; else it counts as one.
    pub variants: Option<u32>,
    /// The fingerprint of its input, by which repeated attempts are recognised.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it continues an earlier task: progress, never a repeated attempt.
    pub is_step: bool,
    /// Its state; tasks that are not final say nothing yet and are left out.
    pub state: TaskState,
}

/// A job that someone thinks of launching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateRequest {
    /// The platform's word, or the beginning of several: where no task type is called `text-to-3d`, it stands for all
    /// that begin with `text-to-3d-`, one of each per asset.
    pub task_type: String,
    /// The platform's word; `None` for whatever was usual.
    pub quality: Option<String>,
    /// Variants of each asset, at least 1.
    pub variants: u32,
    /// Assets wanted, at least 1.
    pub count: u32,
}

/// What a job will probably cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// What was asked.
    pub request: EstimateRequest,
    /// The task types that make up the job, in alphabetical order; at least one.
    pub parts: Vec<EstimatePart>,
    /// Total of the job: as likely more as less.
    pub total_p50: Credits,
    /// Total of the job that is not exceeded in nine of ten cases.
    pub total_p90: Credits,
}

/// What past tasks of one type say.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimatePart {
    /// The platform's word.
    pub task_type: String,
    /// Whether it continues another part's task: then it is launched once for each asset, whatever the variants.
    pub is_step: bool,
    /// Median cost of a launch that was charged: of one variant, or for a step of the whole launch.
    pub per_launch_p50: Credits,
    /// Cost of such a launch that nine of ten stay within.
    pub per_launch_p90: Credits,
    /// Launches per asset; `None` where no input is recognised again, and one launch each is assumed.
    pub attempts_per_asset: Option<Attempts>,
    /// Final tasks behind these figures.
    pub tasks: u32,
    /// Assets behind these figures.
    pub assets: u32,
}

/// How many launches an asset took, the failed ones included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempts {
    /// On average, at least 1.
    pub mean: f64,
    /// Nine of ten assets took no more.
    pub p90: u32,
}

/// Why nothing can be said of a job's cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCost {
    /// Nothing would be launched.
    #[error("expected at least one variant and one asset, found {variants} and {count}")]
    NothingAsked {
        /// Variants asked for.
        variants: u32,
        /// Assets asked for.
        count: u32,
    },
    /// No final task of that type.
    #[error("no finished task of type `{asked}` in the history\n{}", hint("known types", nearest))]
    TaskType {
        /// What was asked.
        asked: String,
        /// Known task types, the most similar first, at most three.
        nearest: Vec<String>,
    },
    /// Tasks of that type, but none of that quality.
    #[error(
        "no finished task of type `{task_type}` with quality `{asked}` in the history\n{}",
        hint("known qualities", known)
    )]
    Quality {
        /// The task type.
        task_type: String,
        /// What was asked.
        asked: String,
        /// Qualities of its tasks, the most similar first, at most three.
        known: Vec<String>,
    },
    /// Such tasks, but none with a charge.
    #[error("{} of type `{task_type}` in the history, none charged\nhint: wait for a charge", finished(*tasks))]
    Price {
        /// The task type.
        task_type: String,
        /// Final tasks seen.
        tasks: u32,
    },
}

/// The forecast without a job, and with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Without it.
    pub before: Outlook,
    /// With the job at its median cost.
    pub after_p50: Outlook,
    /// With the job at the cost that nine of ten stay within.
    pub after_p90: Outlook,
}

/// How often a job is simulated.
const SIMULATIONS: usize = 2_000;
/// Larger jobs are simulated for so many assets and scaled up: by then the uncertainty is that of the average.
const SIMULATED_ASSETS: u32 = 256;
/// Where the generator starts. Any number does, as long as it stays.
const SEED: u64 = 0x6675_656c;

/// What a job will cost, from past tasks of the same draw.
///
/// A task type counts if it is exactly the one asked for; failing that, every type that continues it after a `-`. With
/// a quality, tasks of that quality count; a type whose tasks name no quality at all counts whole. Types that are steps
/// are launched once for each asset unless asked for by name.
///
/// # Errors
/// [`UnknownCost`] with what is missing and what is known. An unknown cost is never zero.
pub fn estimate(history: &[PastTask], request: &EstimateRequest) -> Result<Estimate, UnknownCost> {
    if request.variants == 0 || request.count == 0 {
        return Err(UnknownCost::NothingAsked { variants: request.variants, count: request.count });
    }
    let finished: Vec<&PastTask> = history.iter().filter(|task| task.state.is_final()).collect();
    let matching = matching_types(&finished, &request.task_type)?;
    let experiences: Vec<Experience> = matching
        .iter()
        .map(|task_type| {
            let tasks = tasks_of(&finished, task_type, request.quality.as_deref())?;
            Experience::new(task_type, &tasks)
        })
        .collect::<Result<_, _>>()?;

    let mut totals: Vec<Credits> = (0..SIMULATIONS)
        .map(|simulation| {
            let mut random = Pcg64Mcg::seed_from_u64(SEED + simulation as u64);
            experiences.iter().map(|experience| experience.simulated_total(request, &mut random)).sum()
        })
        .collect();
    totals.sort_unstable();
    Ok(Estimate {
        request: request.clone(),
        parts: experiences.into_iter().map(|experience| experience.part).collect(),
        total_p50: quantile(&totals, 0.5).unwrap_or_default(),
        total_p90: quantile(&totals, 0.9).unwrap_or_default(),
    })
}

/// The forecast before and after a job, launched now and on top of the usual use. What is unknown before is unknown
/// after.
pub fn effect(input: &ForecastInput, estimate: &Estimate) -> Effect {
    let without = |cost: Credits| {
        let remaining = input.remaining.map(|remaining| remaining - cost);
        forecast(&ForecastInput { remaining, ..*input })
    };
    Effect {
        before: without(Credits::ZERO),
        after_p50: without(estimate.total_p50),
        after_p90: without(estimate.total_p90),
    }
}

impl Effect {
    /// The effect on a draw that two limits bind: of each outlook the one that ends sooner.
    pub fn tighter_of(self, other: Effect) -> Effect {
        let tighter = |this: Outlook, other: Outlook| if other.is_tighter_than(&this) { other } else { this };
        Effect {
            before: tighter(self.before, other.before),
            after_p50: tighter(self.after_p50, other.after_p50),
            after_p90: tighter(self.after_p90, other.after_p90),
        }
    }

    /// Whether the credits would last with the job: the probability of running out before the reset, with the job at
    /// its p90, stays below `threshold` (0 to 1). Without a reset: whether the job itself is covered. `None` while
    /// unknown.
    pub fn would_last(&self, threshold: f64) -> Option<bool> {
        let after = self.after_p90.forecast()?;
        let is_gone = after.run_out.p90.is_some_and(|run_out| run_out <= after.at);
        Some(!is_gone && after.probability.is_none_or(|probability| probability < threshold))
    }
}

impl Estimate {
    /// What the figures rest on, in words: `from 42 past launches of 30 assets`, with the type where there are several.
    pub fn basis(&self) -> String {
        let words = |part: &EstimatePart| {
            let of_type = if self.parts.len() > 1 { format!(" (`{}`)", part.task_type) } else { String::new() };
            let launches = counted(part.tasks, "past launch", "past launches");
            match part.attempts_per_asset {
                Some(_) => format!("{launches} of {}{of_type}", counted(part.assets, "asset", "assets")),
                None if part.is_step => format!("{launches}{of_type}, one for each asset"),
                None => format!("{launches}{of_type}, repeated attempts not recognisable"),
            }
        };
        format!("from {}", self.parts.iter().map(words).collect::<Vec<_>>().join(" and "))
    }
}

/// What past tasks of one type say, with the cost of each past asset.
struct Experience {
    part: EstimatePart,
    /// Cost of each past asset in millionths of a credit: for one variant, or for a step of the whole launch.
    asset_micros: Vec<i64>,
}

impl Experience {
    fn new(task_type: &str, tasks: &[&PastTask]) -> Result<Experience, UnknownCost> {
        let is_step = tasks.iter().all(|task| task.is_step);
        let cost = |task: &PastTask| {
            let variants = if is_step { 1 } else { i64::from(task.variants.unwrap_or(1).max(1)) };
            task.credits_net.micros().max(0) / variants
        };
        let mut launches: Vec<i64> = tasks.iter().map(|task| cost(task)).filter(|micros| *micros > 0).collect();
        launches.sort_unstable();
        let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        let unknown = || UnknownCost::Price { task_type: task_type.into(), tasks: count };
        let per_launch = |share| quantile(&launches, share).map(Credits::from_micros).ok_or_else(unknown);

        let assets = assets_of(tasks, cost);
        let attempts_per_asset = assets.as_ref().map(|assets| {
            let mut attempts: Vec<u32> = assets.iter().map(|(attempts, _)| *attempts).collect();
            attempts.sort_unstable();
            let mean = attempts.iter().map(|n| f64::from(*n)).sum::<f64>() / attempts.len() as f64;
            Attempts { mean, p90: quantile(&attempts, 0.9).unwrap_or(1) }
        });
        let asset_micros =
            assets.map_or_else(|| launches.clone(), |assets| assets.iter().map(|asset| asset.1).collect());
        let part = EstimatePart {
            task_type: task_type.into(),
            is_step,
            per_launch_p50: per_launch(0.5)?,
            per_launch_p90: per_launch(0.9)?,
            attempts_per_asset,
            tasks: count,
            assets: u32::try_from(asset_micros.len()).unwrap_or(u32::MAX),
        };
        Ok(Experience { part, asset_micros })
    }

    fn simulated_total(&self, request: &EstimateRequest, random: &mut Pcg64Mcg) -> Credits {
        let seen = self.asset_micros.len();
        let simulated = request.count.min(SIMULATED_ASSETS);
        let mut drawn: Vec<i64> = Vec::with_capacity(simulated as usize);
        for _ in 0..simulated {
            let pick = below(random, seen + drawn.len());
            drawn.push(self.asset_micros.get(pick).copied().unwrap_or_else(|| drawn[pick - seen]));
        }
        let is_by_name = self.part.task_type == request.task_type;
        let variants = if self.part.is_step && !is_by_name { 1 } else { request.variants };
        let sum: i128 = drawn.iter().map(|micros| i128::from(*micros)).sum();
        let total = sum * i128::from(variants) * i128::from(request.count) / i128::from(simulated);
        Credits::from_micros(i64::try_from(total).unwrap_or(i64::MAX))
    }
}

/// Launches and cost of each past asset that cost anything, in the order of their first launch; `None` if no input is
/// known or the tasks are steps.
fn assets_of(tasks: &[&PastTask], cost: impl Fn(&PastTask) -> i64) -> Option<Vec<(u32, i64)>> {
    let mut place_of: HashMap<Fingerprint, usize> = HashMap::new();
    let mut assets: Vec<(u32, i64)> = Vec::new();
    for task in tasks.iter().filter(|task| !task.is_step) {
        let Some(fingerprint) = task.fingerprint else { continue };
        let place = *place_of.entry(fingerprint).or_insert(assets.len());
        if place == assets.len() {
            assets.push((0, 0));
        }
        let (attempts, micros) = &mut assets[place];
        *attempts += 1;
        *micros = micros.saturating_add(cost(task));
    }
    assets.retain(|(_, micros)| *micros > 0);
    (!assets.is_empty()).then_some(assets)
}

fn matching_types<'a>(finished: &[&'a PastTask], asked: &str) -> Result<Vec<&'a str>, UnknownCost> {
    let known = distinct(finished.iter().map(|task| task.task_type.as_str()));
    if let Some(exact) = known.iter().find(|known| **known == asked) {
        return Ok(vec![exact]);
    }
    let continues = |known: &&str| known.strip_prefix(asked).is_some_and(|rest| rest.starts_with('-'));
    let matching: Vec<&str> = known.iter().copied().filter(continues).collect();
    if matching.is_empty() || asked.is_empty() {
        return Err(UnknownCost::TaskType { asked: asked.into(), nearest: nearest(asked, &known) });
    }
    Ok(matching)
}

fn tasks_of<'a>(
    finished: &[&'a PastTask],
    task_type: &str,
    quality: Option<&str>,
) -> Result<Vec<&'a PastTask>, UnknownCost> {
    let tasks: Vec<&PastTask> = finished.iter().copied().filter(|task| task.task_type == task_type).collect();
    let names_quality = tasks.iter().any(|task| !task.quality.is_empty());
    let Some(asked) = quality.filter(|_| names_quality) else { return Ok(tasks) };
    let known = distinct(tasks.iter().map(|task| task.quality.as_str()).filter(|quality| !quality.is_empty()));
    let of_quality: Vec<&PastTask> = tasks.into_iter().filter(|task| task.quality == asked).collect();
    if of_quality.is_empty() {
        let known = nearest(asked, &known);
        return Err(UnknownCost::Quality { task_type: task_type.into(), asked: asked.into(), known });
    }
    Ok(of_quality)
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The three most similar words, the most similar first.
fn nearest(asked: &str, known: &[&str]) -> Vec<String> {
    let mut known: Vec<&str> = known.to_vec();
    known.sort_by_key(|word| edits_between(asked, word));
    known.into_iter().take(3).map(String::from).collect()
}

/// How many letters to add, drop or change to make one word the other.
fn edits_between(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

fn hint(what: &str, words: &[String]) -> String {
    if words.is_empty() {
        return "hint: import or poll a charge history first".into();
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("hint: {what} are {}", quoted.join(", "))
}

fn finished(tasks: u32) -> String {
    counted(tasks, "finished task", "finished tasks")
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The smallest value that a share of the sorted values does not exceed.
fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// A number below `bound`, which is above zero. The bias of the multiplication is below 2^-32 here.
fn below(random: &mut Pcg64Mcg, bound: usize) -> usize {
    ((u128::from(random.next_u64()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
