//! Whether the credits still last with a job, and what would keep them if not.

mod words;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::credits::Credits;
use super::estimate::{Effect, Estimate, EstimateRequest, JobAt, Past, Quantiles, estimate};
use super::price::{ComparedPrices, PriceDrift};
use super::reading::QueueRecord;

/// A line of a job, with the moment at which it is to be launched.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedLine {
    /// What is to be launched.
    pub request: EstimateRequest,
    /// When; of the past and `None`: now.
    pub starts_at: Option<Timestamp>,
}

/// What a job costs and does.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanCheck {
    /// What it will cost.
    pub estimate: Estimate,
    /// What it does to the forecast; `None` while its cost is unknown.
    pub effect: Option<Effect>,
    /// Whether the credits would last until the reset with it; `None` while unknown.
    pub would_last: Option<bool>,
    /// How likely (0 to 1) it alone costs more than is left, whatever else is launched; `None` while unknown.
    pub chance_above_left: Option<f64>,
    /// What would keep the credits, where they would not last, in the order of [`Change`].
    pub alternatives: Vec<Alternative>,
    /// How long it would wait and take; `None` where that is not known.
    pub wait: Option<Wait>,
    /// When its parts start and what they cost; empty while its cost is unknown.
    pub jobs: Vec<JobAt>,
    /// Which of its kinds of task are charged at other prices than the sheet lists.
    pub drifts: Vec<PriceDrift>,
}

/// A job that is a little different, with its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// What is different.
    pub change: Change,
    /// What the job costs then.
    pub credits: Quantiles<Credits>,
    /// How likely (0 to 1) the credits run out before the reset then; `None` without a reset.
    pub probability: Option<f64>,
    /// When they run out then (median); `None` if not within what can be foreseen.
    pub run_out: Option<Timestamp>,
    /// Whether they last.
    pub would_last: bool,
}

/// What can be different.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Fewer variants of the line that costs most.
    FewerVariants {
        /// Its place among the lines, from 0; `None` of the only one.
        line: Option<usize>,
        /// As asked.
        from: u32,
        /// Instead.
        to: u32,
    },
    /// Another quality for the line that costs most.
    OtherQuality {
        /// Its place among the lines, from 0; `None` of the only one.
        line: Option<usize>,
        /// As asked; `None`: as usual.
        from: Option<String>,
        /// Instead.
        to: String,
    },
    /// Fewer assets of the only line.
    FewerAssets {
        /// As asked.
        from: u32,
        /// Instead.
        to: u32,
    },
    /// Only the first lines.
    FewerLines {
        /// As asked.
        from: usize,
        /// Instead.
        to: usize,
    },
    /// Launched once the plan is reset.
    AfterReset {
        /// When that is.
        at: Timestamp,
    },
    /// With credits from outside.
    TopUp {
        /// So many.
        credits: Credits,
    },
}

/// How long a job waits and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How many tasks the platform would take at once now; `None` where it says no limit.
    pub room_tasks: Option<u32>,
    /// From a launch to its beginning, in seconds: what was usual lately; `None` where no task tells.
    pub until_first_seconds: Option<u64>,
    /// Until the last task has finished, in seconds; `None` where that is not known.
    pub until_last_seconds: Option<u64>,
}

/// The queue as it is, and how tasks fared in it lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNow {
    /// What waits and runs, and the limit.
    pub record: QueueRecord,
    /// The median time from a launch to its beginning.
    pub usual_wait: Option<SignedDuration>,
    /// The median time from beginning to end.
    pub usual_run: Option<SignedDuration>,
}

/// What a plan is checked against.
pub struct Question<'a> {
    /// What is known of the past and of prices.
    pub past: Past<'a>,
    /// The job.
    pub lines: &'a [PlannedLine],
    /// The moment of the question.
    pub now: Timestamp,
    /// When the plan resets, if it does.
    pub reset: Option<Timestamp>,
    /// What is left; `None` while unknown.
    pub left: Option<Credits>,
    /// What jobs do to the forecast, if so many credits come in before.
    pub weigh: &'a dyn Fn(&[JobAt], Credits) -> Effect,
    /// The credits last if the probability (0 to 1) of running out is below this; see [`USUAL_RISK`].
    pub risk: f64,
    /// The queue; `None` while unknown.
    pub queue: Option<QueueNow>,
    /// What tasks are charged beside what is listed; `None` without a sheet.
    pub prices: Option<&'a ComparedPrices>,
    /// A price is another one if it is off the listed range by more than this share (0 to 1).
    pub price_tolerance: f64,
}

/// Credits are said to last if running out before the reset is less likely than not, with the job at the cost that nine of
/// ten stay within. An alert waits until it is surer: who is woken up wants to be sure, who is about to launch to be safe.
pub const USUAL_RISK: f64 = 0.5;
/// The most attempts for each asset, on average, that can be asked for.
pub const MOST_ATTEMPTS: f64 = 100.0;
/// The most variants of each asset.
pub const MOST_VARIANTS: u32 = 1_000;
/// The most assets of a line.
pub const MOST_ASSETS: u32 = 100_000;
/// The most lines of a job.
pub const MOST_LINES: usize = 200;

/// The largest top-up that is thought of, as a multiple of what the job costs.
const MOST_TOP_UP: f64 = 64.0;

impl Question<'_> {
    /// The answer.
    pub fn check(&self) -> PlanCheck {
        let estimate = self.estimate(self.lines);
        let jobs = self.jobs(self.lines, &estimate);
        let effect = jobs.as_ref().map(|jobs| (self.weigh)(jobs, Credits::ZERO));
        let would_last = effect.as_ref().and_then(|effect| effect.would_last(self.risk));
        let total = estimate.total.as_ref();
        PlanCheck {
            would_last,
            chance_above_left: total.zip(self.left).map(|(total, left)| total.chance_above(left)),
            alternatives: match (would_last, &jobs) {
                (Some(false), Some(jobs)) => self.alternatives(&estimate, jobs),
                _ => Vec::new(),
            },
            wait: total.and_then(|total| self.wait(total.launches.map(|launches| launches.p50))),
            jobs: jobs.unwrap_or_default(),
            drifts: self.drifts(&estimate),
            estimate,
            effect,
        }
    }

    fn drifts(&self, estimate: &Estimate) -> Vec<PriceDrift> {
        let is_asked = |drift: &&PriceDrift| {
            let (task_type, quality) = (&drift.charged.task_type, &drift.charged.quality);
            estimate.lines.iter().any(|line| {
                let is_quality = line.request.quality.as_ref().is_none_or(|asked| asked == quality);
                let parts = line.known.iter().flat_map(|known| &known.parts);
                is_quality && parts.into_iter().any(|part| part.task_type == *task_type)
            })
        };
        let all = self.prices.into_iter().flat_map(|prices| prices.drifts(self.price_tolerance));
        all.filter(is_asked).cloned().collect()
    }

    fn estimate(&self, lines: &[PlannedLine]) -> Estimate {
        let requests: Vec<EstimateRequest> = lines.iter().map(|line| line.request.clone()).collect();
        estimate(&self.past, &requests)
    }

    /// When each line starts and what it costs; `None` if one is unknown. Lines that start together are one job, whose range
    /// is that of their sum.
    fn jobs(&self, lines: &[PlannedLine], estimate: &Estimate) -> Option<Vec<JobAt>> {
        let total = estimate.total.as_ref()?;
        let starts = |line: &PlannedLine| line.starts_at.unwrap_or(self.now).max(self.now);
        let moments: BTreeSet<Timestamp> = lines.iter().map(starts).collect();
        if let (1, Some(at)) = (moments.len(), moments.first()) {
            return Some(vec![(*at, total.credits)]);
        }
        let of_moment = |at: Timestamp| {
            let of_it: Vec<PlannedLine> = lines.iter().filter(|line| starts(line) == at).cloned().collect();
            Some((at, self.estimate(&of_it).total?.credits))
        };
        moments.into_iter().map(of_moment).collect()
    }

    fn alternatives(&self, asked: &Estimate, jobs: &[JobAt]) -> Vec<Alternative> {
        let mut found = Vec::new();
        let most = (0..self.lines.len()).max_by_key(|place| {
            asked.lines[*place].known.as_ref().map_or(Credits::ZERO, |line| line.total.credits.p50)
        });
        let Some(most) = most else { return found };
        found.extend(self.fewer_variants(most));
        found.extend(self.other_quality(most, asked));
        found.extend(self.smaller());
        found.extend(self.after_reset(asked));
        found.extend(self.top_up(asked, jobs));
        found
    }

    /// The job with these lines instead; `None` while unknown.
    fn instead(&self, change: Change, lines: &[PlannedLine]) -> Option<Alternative> {
        let estimate = self.estimate(lines);
        let jobs = self.jobs(lines, &estimate)?;
        self.weighed(change, estimate.total?.credits, &jobs, Credits::ZERO)
    }

    /// What jobs that cost so much do, if so many credits come in before; `None` while unknown.
    fn weighed(
        &self,
        change: Change,
        credits: Quantiles<Credits>,
        jobs: &[JobAt],
        top_up: Credits,
    ) -> Option<Alternative> {
        let effect = (self.weigh)(jobs, top_up);
        let after = effect.after.forecast()?;
        Some(Alternative {
            change,
            credits,
            probability: after.probability,
            run_out: after.run_out.p50,
            would_last: effect.would_last(self.risk)?,
        })
    }

    /// The largest number in `from` to `to` with which the credits last, or the least of them if they never do.
    fn most_that_lasts(&self, from: u32, to: u32, with: impl Fn(u32) -> Option<Alternative>) -> Option<Alternative> {
        (from <= to).then_some(())?;
        let least = with(from)?;
        if !least.would_last {
            return Some(least);
        }
        let (mut best, mut low, mut high) = (least, from, to);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match with(middle)? {
                found if found.would_last => (best, low) = (found, middle),
                _ => high = middle - 1,
            }
        }
        Some(best)
    }

    fn with_line(&self, place: usize, change: impl Fn(&mut EstimateRequest)) -> Vec<PlannedLine> {
        let mut lines = self.lines.to_vec();
        change(&mut lines[place].request);
        lines
    }

    /// The place of a line, if there is more than one.
    fn named(&self, line: usize) -> Option<usize> {
        (self.lines.len() > 1).then_some(line)
    }

    fn fewer_variants(&self, line: usize) -> Option<Alternative> {
        let from = self.lines[line].request.variants;
        self.most_that_lasts(1, from.saturating_sub(1), |to| {
            let lines = self.with_line(line, |request| request.variants = to);
            self.instead(Change::FewerVariants { line: self.named(line), from, to }, &lines)
        })
    }

    /// The dearest of the cheaper qualities with which the credits last, or the cheapest of all.
    fn other_quality(&self, line: usize, asked: &Estimate) -> Option<Alternative> {
        let request = &self.lines[line].request;
        let known = asked.lines[line].known.as_ref().ok()?;
        let types: BTreeSet<&str> = known.parts.iter().map(|part| part.task_type.as_str()).collect();
        let of_past =
            self.past.own.iter().chain(self.past.others).filter(|task| types.contains(task.task_type.as_str()));
        let listed = self.past.sheet.into_iter().flat_map(|sheet| &sheet.lines);
        let listed = listed.filter(|line| types.contains(line.task_type.as_str()));
        let qualities: BTreeSet<&str> = of_past
            .map(|task| task.quality.as_str())
            .chain(listed.filter_map(|line| line.quality.as_deref()))
            .filter(|quality| !quality.is_empty() && Some(*quality) != request.quality.as_deref())
            .collect();
        let with = |quality: &str| {
            let lines = self.with_line(line, |request| request.quality = Some(quality.to_owned()));
            let change =
                Change::OtherQuality { line: self.named(line), from: request.quality.clone(), to: quality.to_owned() };
            self.instead(change, &lines)
        };
        let all = asked.total.as_ref()?.credits.p50;
        let cheaper: Vec<Alternative> =
            qualities.into_iter().filter_map(with).filter(|found| found.credits.p50 < all).collect();
        let lasting = cheaper.iter().filter(|found| found.would_last).max_by_key(|found| found.credits.p50);
        lasting.or_else(|| cheaper.iter().min_by_key(|found| found.credits.p50)).cloned()
    }

    fn smaller(&self) -> Option<Alternative> {
        if let [only] = self.lines {
            let from = only.request.count;
            return self.most_that_lasts(1, from.saturating_sub(1), |to| {
                let lines = self.with_line(0, |request| request.count = to);
                self.instead(Change::FewerAssets { from, to }, &lines)
            });
        }
        let from = self.lines.len();
        let most = u32::try_from(from.saturating_sub(1)).ok()?;
        self.most_that_lasts(1, most, |to| {
            let change = Change::FewerLines { from, to: to as usize };
            self.instead(change, &self.lines[..to as usize])
        })
    }

    /// Launched after the reset the job is paid from the next period's credits, of which nothing is forecast.
    fn after_reset(&self, asked: &Estimate) -> Option<Alternative> {
        let at = self.reset.filter(|reset| *reset > self.now)?;
        let credits = asked.total.as_ref()?.credits;
        self.weighed(Change::AfterReset { at }, credits, &[], Credits::ZERO)
    }

    /// The least top-up, to two digits, with which the credits last.
    fn top_up(&self, asked: &Estimate, jobs: &[JobAt]) -> Option<Alternative> {
        let cost = asked.total.as_ref()?.credits;
        let with = |credits| self.weighed(Change::TopUp { credits }, cost, jobs, credits);
        let most = cost.p90.as_f64().max(1.0) * MOST_TOP_UP;
        let (mut low, mut high) = (0.0, cost.p90.as_f64().max(1.0) / 8.0);
        while !with(Credits::from_statistic(high)?)?.would_last {
            (low, high) = (high, high * 2.0);
            (high <= most).then_some(())?;
        }
        for _ in 0..10 {
            let middle = (low + high) / 2.0;
            if with(Credits::from_statistic(middle)?)?.would_last {
                high = middle;
            } else {
                low = middle;
            }
        }
        with(Credits::from_statistic(super::remedy::round_up(high)?)?)
    }

    /// What was launched before is served first, as many tasks at a time as the limit lets in.
    fn wait(&self, launches: Option<u64>) -> Option<Wait> {
        let QueueNow { record, usual_wait, usual_run } = self.queue.as_ref()?;
        let there = record.waiting.saturating_add(record.running);
        let seconds = |duration: &SignedDuration| duration.as_secs().max(0).unsigned_abs();
        let count: u64 = self.lines.iter().map(|line| u64::from(line.request.count)).sum();
        let until_last = record.limit.filter(|limit| *limit > 0).zip(usual_run.as_ref()).map(|(limit, run)| {
            let rounds = (u64::from(there) + launches.unwrap_or(count)).div_ceil(u64::from(limit));
            usual_wait.as_ref().map_or(0, seconds) + rounds * seconds(run)
        });
        let wait = Wait {
            room_tasks: record.limit.map(|limit| limit.saturating_sub(there)),
            until_first_seconds: usual_wait.as_ref().map(seconds),
            until_last_seconds: until_last,
        };
        (wait != Wait { room_tasks: None, until_first_seconds: None, until_last_seconds: None }).then_some(wait)
    }
}

#[cfg(test)]
mod tests;
