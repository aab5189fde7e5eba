#![doc = include_str!("estimate/README.md")]

mod effect;
mod experience;
pub mod hindsight;
mod kinds;
mod spread;
mod variants;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use self::experience::{Experience, Sources, assets_of};
use super::credits::Credits;
use super::price::{PriceRange, PriceSheet};
use super::reading::{Fingerprint, TaskState};

pub use self::effect::{Effect, JobAt, effect};
pub use self::kinds::continues;

/// A task that was launched before.
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

/// One line of a job that someone thinks of launching.
#[derive(Clone, Debug, PartialEq)]
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
    /// How often each asset will be launched on average, where somebody knows better than the past; at least 1.
    pub attempts: Option<f64>,
}

/// What is known of the past and of prices.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Tasks of the draw, in the order of their launches.
    pub own: &'a [PastTask],
    /// Tasks of other teams on the same account, in the order of their launches.
    pub others: &'a [PastTask],
    /// What the platform says that tasks cost.
    pub sheet: Option<&'a PriceSheet>,
}

/// What a job will probably cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The lines, as asked.
    pub lines: Vec<LineEstimate>,
    /// All lines together; `None` if one of them is unknown.
    pub total: Option<Total>,
}

/// What one line will probably cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LineEstimate {
    /// What was asked.
    pub request: EstimateRequest,
    /// What is known of it.
    pub known: Result<KnownLine, UnknownCost>,
}

/// What is known of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownLine {
    /// The task types that make it up, in alphabetical order; at least one.
    pub parts: Vec<EstimatePart>,
    /// The line alone.
    pub total: Total,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// Credits.
    pub credits: Quantiles<Credits>,
    /// Launches, repeated attempts included; `None` where the history does not say which launches are for the same asset.
    pub launches: Option<Quantiles<u64>>,
    /// The credits of every simulated case, in rising order.
    cases: Vec<Credits>,
}

/// A range in three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles<T> {
    /// One case in ten is below.
    pub p10: T,
    /// As likely more as less.
    pub p50: T,
    /// Nine cases in ten are not above.
    pub p90: T,
}

/// What past tasks of one type say.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimatePart {
    /// The platform's word.
    pub task_type: String,
    /// Whether it continues another part's task: then it is launched once for each asset, whatever the variants.
    pub is_step: bool,
    /// Median cost of a launch that was charged, with as many variants as it had; without a past, what is listed.
    pub per_launch_p50: Credits,
    /// Cost of such a launch that nine of ten stay within; without a past, what is listed at most.
    pub per_launch_p90: Credits,
    /// Launches per asset; `None` where no input is recognised again, and one launch each is assumed.
    pub attempts_per_asset: Option<Attempts>,
    /// Launches of an asset beside its repeated attempts: one for each variant where a launch makes one.
    pub launches_each: u32,
    /// Final tasks of the draw behind these figures.
    pub tasks: u32,
    /// Assets (or charged launches) of the draw behind these figures.
    pub assets: u32,
    /// Final tasks of other teams behind these figures.
    pub tasks_of_others: u32,
    /// What the price sheet lists for a launch as asked.
    pub listed: Option<PriceRange>,
}

/// How many launches an asset took, the failed ones included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempts {
    /// On average, at least 1.
    pub mean: f64,
    /// Nine of ten assets took no more.
    pub p90: u32,
}

/// Why nothing can be said of a line's cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCost {
    /// Nothing would be launched.
    #[error("expected at least one variant, one asset and one attempt, found {variants} variants of {count} assets")]
    NothingAsked {
        /// Variants asked for.
        variants: u32,
        /// Assets asked for.
        count: u32,
    },
    /// No final task of that type, and no listed price.
    #[error("no finished task of type `{asked}` in the history, and no listed price\n{}", hint("known types", nearest))]
    TaskType {
        /// What was asked.
        asked: String,
        /// Known task types, the most similar first, at most three.
        nearest: Vec<String>,
    },
    /// Tasks of that type, but none of that quality.
    #[error(
        "no finished task of type `{task_type}` with quality `{asked}` in the history, and no listed price\n{}",
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
    #[error(
        "{} of type `{task_type}` in the history, none charged, and no listed price\nhint: wait for a charge",
        finished(*tasks)
    )]
    Price {
        /// The task type.
        task_type: String,
        /// Final tasks seen.
        tasks: u32,
    },
}

/// How often a job is simulated.
const SIMULATIONS: usize = 2_000;
/// Where the generators start. Any number does, as long as it stays.
const SEED: u64 = 0x6675_656c;

/// What a job will cost.
///
/// A task type counts if it is exactly the one asked for; failing that, every type that continues it after a `-`. With
/// a quality, tasks of that quality count; a type whose tasks name no quality at all counts whole. Types that are steps
/// are launched once for each asset unless asked for by name. An unknown cost is never zero: a line without a price makes
/// the whole job unknown.
pub fn estimate(past: &Past, requests: &[EstimateRequest]) -> Estimate {
    let [own, others] = [past.own, past.others].map(finished_of);
    let usual_attempts = usual_attempts(&own).or_else(|| usual_attempts(&others)).unwrap_or_default();
    let learned: Vec<_> = requests
        .iter()
        .map(|request| learn(&own, &others, past.sheet, &usual_attempts, request).map(|parts| (request, parts)))
        .collect();

    let lines: Vec<LineEstimate> = requests
        .iter()
        .zip(&learned)
        .map(|(request, learned)| LineEstimate {
            request: request.clone(),
            known: learned.as_ref().map_err(Clone::clone).map(|(_, experiences)| KnownLine {
                parts: experiences.iter().map(|experience| experience.part.clone()).collect(),
                total: total(experiences.iter().map(|experience| (request, experience))),
            }),
        })
        .collect();
    let total = match lines.as_slice() {
        [] => None,
        // The only line is the whole.
        [only] => only.known.as_ref().ok().map(|known| known.total.clone()),
        _ => learned.iter().all(Result::is_ok).then(|| {
            let known = learned.iter().flatten();
            total(known.flat_map(|(request, experiences)| experiences.iter().map(|experience| (*request, experience))))
        }),
    };
    Estimate { total, lines }
}

impl Estimate {
    /// The first reason why the whole is unknown.
    pub fn unknown(&self) -> Option<&UnknownCost> {
        self.lines.iter().find_map(|line| line.known.as_ref().err())
    }
}

impl Total {
    /// How likely (0 to 1) it costs more than so many credits.
    pub fn chance_above(&self, budget: Credits) -> f64 {
        let within = self.cases.partition_point(|case| *case <= budget);
        (self.cases.len() - within) as f64 / self.cases.len().max(1) as f64
    }
}

impl KnownLine {
    /// What the figures rest on, in words: `from 42 past launches of 30 assets`, with the type where there are several.
    pub fn basis(&self) -> String {
        let words = |part: &EstimatePart| {
            let of_type = if self.parts.len() > 1 { format!(" (`{}`)", part.task_type) } else { String::new() };
            let launches = counted(part.tasks, "past launch", "past launches");
            let own = match part.attempts_per_asset {
                _ if part.tasks == 0 => String::new(),
                _ if part.is_step => format!("{launches}{of_type}, one for each asset"),
                Some(_) => format!("{launches} of {}{of_type}", counted(part.assets, "asset", "assets")),
                None => format!("{launches}{of_type}, repeated attempts not recognisable"),
            };
            let others = match part.tasks_of_others {
                0 => String::new(),
                of_others if part.tasks == 0 => {
                    format!("{} of other teams{of_type}", counted(of_others, "past launch", "past launches"))
                }
                of_others => format!("{of_others} of other teams"),
            };
            let listed = match part.listed {
                Some(_) if part.tasks + part.tasks_of_others == 0 => format!("the price sheet alone{of_type}"),
                Some(_) => "the price sheet".to_owned(),
                None => String::new(),
            };
            let known = [own, others, listed].into_iter().filter(|words| !words.is_empty());
            known.collect::<Vec<_>>().join(", ")
        };
        format!("from {}", self.parts.iter().map(words).collect::<Vec<_>>().join(" and "))
    }
}

fn learn(
    own: &[&PastTask],
    others: &[&PastTask],
    sheet: Option<&PriceSheet>,
    usual_attempts: &[u32],
    request: &EstimateRequest,
) -> Result<Vec<Experience>, UnknownCost> {
    let is_attempted = request.attempts.is_none_or(|attempts| attempts >= 1.0 && attempts.is_finite());
    if request.variants == 0 || request.count == 0 || !is_attempted {
        return Err(UnknownCost::NothingAsked { variants: request.variants, count: request.count });
    }
    let quality = request.quality.as_deref();
    let experience = |task_type: String| {
        let (own_kind, others_kind) =
            (kinds::tasks_of(own, &task_type, quality), kinds::tasks_of(others, &task_type, quality));
        let sources = Sources { own: own_kind, others: others_kind, sheet, usual_attempts };
        let unknown = || kinds::unknown_price(own, others, &task_type, request);
        Experience::of(&task_type, request, &sources).ok_or_else(unknown)
    };
    kinds::matching_types(own, others, sheet, &request.task_type)?.into_iter().map(experience).collect()
}

/// Those of which it is known how they ended.
fn finished_of(tasks: &[PastTask]) -> Vec<&PastTask> {
    tasks.iter().filter(|task| task.state.is_final()).collect()
}

/// Adds parts up, each as far from its usual as its own past was, one independent of the other.
fn total<'a>(parts: impl Iterator<Item = (&'a EstimateRequest, &'a Experience)>) -> Total {
    let mut cases = vec![0.0; SIMULATIONS];
    let mut launches = Some(vec![0_u64; SIMULATIONS]);
    for (place, (request, experience)) in parts.enumerate() {
        let mut random = Pcg64Mcg::seed_from_u64(SEED + place as u64);
        // Every part has the same shares of cases in an order of its own: then a part alone has its quantiles exactly.
        let mut order: Vec<usize> = (0..SIMULATIONS).collect();
        for last in (1..SIMULATIONS).rev() {
            order.swap(last, below(&mut random, last + 1));
        }
        for (case, share) in cases.iter_mut().zip(order) {
            *case += experience.total(request, (share as f64 + 0.5) / SIMULATIONS as f64);
        }
        let drawn =
            |sum: &u64| Some(sum.saturating_add(experience.launches(request, &mut |bound| below(&mut random, bound))?));
        launches = launches.and_then(|sums| sums.iter().map(drawn).collect());
    }
    let mut cases: Vec<Credits> = cases.into_iter().map(rounded).collect();
    cases.sort_unstable();
    let launches = launches.map(|mut launches| {
        launches.sort_unstable();
        quantiles(&launches)
    });
    Total { credits: quantiles(&cases), launches, cases }
}

fn quantiles<T: Copy + Default>(sorted: &[T]) -> Quantiles<T> {
    let at = |share| quantile(sorted, share).unwrap_or_default();
    Quantiles { p10: at(0.1), p50: at(0.5), p90: at(0.9) }
}

/// Millionths as credits, to six digits: a statistic is no more exact than that.
fn rounded(micros: f64) -> Credits {
    let unit = 10_f64.powi(micros.abs().max(1.0).log10().floor() as i32 - 5).max(1.0);
    Credits::from_statistic((micros / unit).round() * unit / 1e6).unwrap_or(Credits::MAX_PARSED)
}

/// How many launches each asset of any kind took; `None` where no input is recognised again.
fn usual_attempts(tasks: &[&PastTask]) -> Option<Vec<u32>> {
    let cost = |task: &PastTask| task.credits_net.micros().max(0) as f64;
    Some(assets_of(tasks, cost)?.into_iter().map(|(attempts, _)| attempts).collect())
}

fn hint(what: &str, words: &[String]) -> String {
    if words.is_empty() {
        return "hint: import or poll a charge history first, or write a price sheet".into();
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
