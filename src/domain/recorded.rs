//! Estimates that somebody kept: compared with what was charged afterwards, and reckoned with until then where they are a
//! plan.
//!
//! An estimate covers the launches of its time whose task type and quality are those of one of its lines, for as many assets
//! as it asks for. A launch counts for one estimate only, the oldest that still wants it. It is *met* once all of its assets
//! have succeeded and nothing more was launched for them for a day; otherwise it *lapses* at the end of its time. Then it is
//! closed, and what comes later changes it no more.

mod follow;
#[cfg(test)]
pub(super) mod tests;
mod words;

use jiff::{SignedDuration, Timestamp};

use super::account::{DrawKey, is_unprintable};
use super::announcement::{FormError, LONGEST_NOTE};
use super::credits::Credits;
use super::estimate::{Estimate, EstimateRequest, JobAt, Quantiles};
use super::forecast::PlannedBatch;

pub use self::follow::{Followed, Launched, follow};

/// So many estimates of a team on one account may be open.
pub const MOST_OPEN: usize = 100;
/// So many that are closed are shown beside the open ones, the newest.
pub const SHOWN_CLOSED: usize = 10;
/// Without another word an estimate lapses so long after the last of it starts.
pub const USUAL_TIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest time that an estimate may be open after that.
const LONGEST_TIME: SignedDuration = SignedDuration::from_hours(92 * 24);
/// The furthest start.
const FURTHEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// An estimate that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEstimate {
    /// Its number in the ledger; 0 before it is kept.
    pub id: i64,
    /// Who will launch it, and where.
    pub key: DrawKey,
    /// What it is called, in the words of whoever kept it; may be empty.
    pub label: String,
    /// Who kept it: a person of the command line, or a token's name.
    pub by: String,
    /// When.
    pub made_at: Timestamp,
    /// Launches count from this moment on.
    pub starts_at: Timestamp,
    /// Launches count up to this moment.
    pub lapses_at: Timestamp,
    /// The job.
    pub lines: Vec<RecordedLine>,
    /// When its parts start and what each was to cost, in that order; at least one.
    pub jobs: Vec<JobAt>,
    /// What all of it was to cost.
    pub credits: Quantiles<Credits>,
    /// How many launches it was to take, where the history said.
    pub launches: Option<Quantiles<u64>>,
    /// Whether it will be launched, so that forecasts reckon with it.
    pub is_planned: bool,
    /// Where it is in its life.
    pub state: EstimateState,
    /// How an open one ends by what is known; written down by the next assessment.
    pub ends: Option<EstimateState>,
    /// Net credits of the launches that it covers: so far, or when it was closed.
    pub charged: Credits,
    /// How many launches those are.
    pub tasks: u64,
    /// How many of the assets asked for have succeeded.
    pub assets: u64,
}

/// One line of such a job.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedLine {
    /// What was asked.
    pub request: EstimateRequest,
    /// The task types that it stood for when it was asked; at least one.
    pub parts: Vec<RecordedPart>,
}

/// A task type that every asset of a line needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPart {
    /// The platform's word.
    pub task_type: String,
    /// Launches of an asset that must succeed: one for each variant where a launch makes one.
    pub launches_each: u32,
}

/// Where a recorded estimate is in its life. All but the first are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EstimateState {
    /// Launches still count for it.
    Open,
    /// As many assets as asked have succeeded.
    Met {
        /// When that was known.
        at: Timestamp,
    },
    /// Its time is over, and not all of it was launched or has succeeded.
    Lapsed {
        /// When that was known.
        at: Timestamp,
    },
    /// It was taken back: nothing is compared with it.
    Withdrawn {
        /// When.
        at: Timestamp,
        /// By whom.
        by: String,
    },
}

/// How an estimate ended, by where what was charged lies in its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EstimateOutcome {
    /// Met for less than one case in ten.
    BelowP10,
    /// Met, up to the median.
    P10ToP50,
    /// Met, above the median, and within what nine cases in ten stay within.
    P50ToP90,
    /// Met for more than that.
    AboveP90,
    /// Lapsed with a part of it launched.
    LapsedPartly,
    /// Lapsed with nothing launched.
    LapsedUnlaunched,
    /// Taken back.
    Withdrawn,
}

/// How the estimates of a draw did, over the whole ledger. Nothing of it ever falls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EstimateAccuracy {
    /// Closed estimates, in the order of [`EstimateOutcome::ALL`].
    closed: [u64; EstimateOutcome::ALL.len()],
    /// What those that were met were to cost (median).
    pub expected: Credits,
    /// What was charged for them.
    pub charged: Credits,
}

/// How an estimate is to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordForm {
    /// What it is called.
    pub label: Option<String>,
    /// Launches count up to this moment; `None`: for seven days.
    pub until: Option<Timestamp>,
    /// Whether it will be launched, so that forecasts reckon with it.
    pub is_planned: bool,
}

impl RecordForm {
    /// The label, and when it lapses if the last of it starts at a moment.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn check(&self, last_start: Timestamp, now: Timestamp) -> Result<(String, Timestamp), FormError> {
        let wrong = |field, message: String| Err(FormError { field, message });
        let label = self.label.clone().unwrap_or_default();
        let length = label.chars().count();
        if length > LONGEST_NOTE {
            return wrong("label", format!("expected at most {LONGEST_NOTE} characters, found {length}"));
        }
        if label.chars().any(is_unprintable) {
            return wrong("label", "expected printable characters on one line".to_owned());
        }
        if last_start.duration_since(now) > FURTHEST {
            return wrong("start", format!("expected a time within a year, found `{last_start}`"));
        }
        let usual = last_start.saturating_add(USUAL_TIME).unwrap_or(Timestamp::MAX);
        let until = self.until.unwrap_or(usual);
        if until <= last_start {
            let found = format!("expected a time after the start, which is `{last_start}`; found `{until}`");
            return wrong("until", found);
        }
        if until.duration_since(last_start) > LONGEST_TIME {
            let days = LONGEST_TIME.as_hours() / 24;
            return wrong("until", format!("expected at most {days} days after the start, found `{until}`"));
        }
        Ok((label, until))
    }
}

impl RecordedLine {
    /// The lines of an estimate; `None` if one of them is unknown.
    pub fn of(estimate: &Estimate) -> Option<Vec<RecordedLine>> {
        let line = |line: &super::estimate::LineEstimate| {
            let known = line.known.as_ref().ok()?;
            let part = |part: &super::estimate::EstimatePart| RecordedPart {
                task_type: part.task_type.clone(),
                launches_each: part.launches_each,
            };
            Some(RecordedLine { request: line.request.clone(), parts: known.parts.iter().map(part).collect() })
        };
        estimate.lines.iter().map(line).collect()
    }
}

impl RecordedEstimate {
    /// Whether launches still count for it, and nothing known says that it ends.
    pub fn is_open(&self) -> bool {
        self.state == EstimateState::Open && self.ends.is_none()
    }

    /// How many assets were asked for.
    pub fn assets_asked(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.request.count)).sum()
    }

    /// Whether as many assets as asked have succeeded.
    pub fn is_complete(&self) -> bool {
        self.assets >= self.assets_asked()
    }

    /// What of it is still to be charged; zero once as many assets as asked have succeeded, or it is closed.
    pub fn remaining(&self) -> Quantiles<Credits> {
        if !self.is_open() || self.is_complete() {
            return Quantiles::default();
        }
        let less = |credits: Credits| (credits - self.charged).max(Credits::ZERO);
        Quantiles { p10: less(self.credits.p10), p50: less(self.credits.p50), p90: less(self.credits.p90) }
    }

    /// What a forecast at `now` reckons with: what is still to come of a plan, less what `queued` says of its launches that
    /// wait to be charged, which the forecast takes off by itself. What is launched is of the part that starts first. A part
    /// whose start has passed counts as the next thing that happens.
    pub fn batches(&self, now: Timestamp, queued: Credits) -> Vec<PlannedBatch> {
        if !self.is_planned || self.lapses_at <= now || !self.is_open() || self.is_complete() {
            return Vec::new();
        }
        let next = now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(now);
        let mut launched = [(self.charged + queued).max(Credits::ZERO); 3];
        let mut batches = Vec::with_capacity(self.jobs.len());
        for (at, cost) in &self.jobs {
            let mut left = [cost.p10, cost.p50, cost.p90];
            for (left, launched) in left.iter_mut().zip(&mut launched) {
                let taken = (*left).min(*launched);
                (*left, *launched) = (*left - taken, *launched - taken);
            }
            let [low, likely, high] = left;
            batches.push(PlannedBatch { at: (*at).max(next), low, likely, high });
        }
        batches.retain(|batch| batch.high.is_positive());
        batches
    }

    /// How it ended; `None` while it is open.
    pub fn outcome(&self) -> Option<EstimateOutcome> {
        match &self.state {
            EstimateState::Open => None,
            EstimateState::Withdrawn { .. } => Some(EstimateOutcome::Withdrawn),
            EstimateState::Lapsed { .. } if self.tasks == 0 => Some(EstimateOutcome::LapsedUnlaunched),
            EstimateState::Lapsed { .. } => Some(EstimateOutcome::LapsedPartly),
            EstimateState::Met { .. } => Some(match self.charged {
                charged if charged < self.credits.p10 => EstimateOutcome::BelowP10,
                charged if charged <= self.credits.p50 => EstimateOutcome::P10ToP50,
                charged if charged <= self.credits.p90 => EstimateOutcome::P50ToP90,
                _ => EstimateOutcome::AboveP90,
            }),
        }
    }
}

impl EstimateState {
    /// The word used in JSON, tables and the ledger.
    pub const fn as_str(&self) -> &'static str {
        match self {
            EstimateState::Open => "open",
            EstimateState::Met { .. } => "met",
            EstimateState::Lapsed { .. } => "lapsed",
            EstimateState::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Since when it is closed; `None` while it is open.
    pub const fn closed_at(&self) -> Option<Timestamp> {
        match self {
            EstimateState::Open => None,
            EstimateState::Met { at } | EstimateState::Lapsed { at } | EstimateState::Withdrawn { at, .. } => Some(*at),
        }
    }
}

impl EstimateOutcome {
    /// All of them.
    pub const ALL: [EstimateOutcome; 7] = [
        EstimateOutcome::BelowP10,
        EstimateOutcome::P10ToP50,
        EstimateOutcome::P50ToP90,
        EstimateOutcome::AboveP90,
        EstimateOutcome::LapsedPartly,
        EstimateOutcome::LapsedUnlaunched,
        EstimateOutcome::Withdrawn,
    ];

    /// The word used in metrics, JSON and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            EstimateOutcome::BelowP10 => "below_p10",
            EstimateOutcome::P10ToP50 => "p10_to_p50",
            EstimateOutcome::P50ToP90 => "p50_to_p90",
            EstimateOutcome::AboveP90 => "above_p90",
            EstimateOutcome::LapsedPartly => "lapsed_partly",
            EstimateOutcome::LapsedUnlaunched => "lapsed_unlaunched",
            EstimateOutcome::Withdrawn => "withdrawn",
        }
    }

    /// The outcome of a word.
    pub fn parse(word: &str) -> Option<EstimateOutcome> {
        EstimateOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// Whether as many assets as asked had succeeded.
    pub const fn is_met(self) -> bool {
        self.is_within_p90() || matches!(self, EstimateOutcome::AboveP90)
    }

    /// Whether it was met for no more than nine cases in ten cost.
    pub const fn is_within_p90(self) -> bool {
        matches!(self, EstimateOutcome::BelowP10 | EstimateOutcome::P10ToP50 | EstimateOutcome::P50ToP90)
    }
}

impl EstimateAccuracy {
    /// The accuracy of closed estimates.
    pub fn of<'a>(estimates: impl IntoIterator<Item = &'a RecordedEstimate>) -> EstimateAccuracy {
        let mut accuracy = EstimateAccuracy::default();
        for estimate in estimates {
            let Some(outcome) = estimate.outcome() else { continue };
            accuracy.add(outcome, 1, estimate.credits.p50, estimate.charged);
        }
        accuracy
    }

    /// Counts so many more of an outcome, which were to cost so much together and did cost so much.
    pub fn add(&mut self, outcome: EstimateOutcome, estimates: u64, expected: Credits, charged: Credits) {
        self.closed[outcome as usize] += estimates;
        if outcome.is_met() {
            self.expected += expected;
            self.charged += charged;
        }
    }

    /// How many ended so.
    pub fn closed(&self, outcome: EstimateOutcome) -> u64 {
        self.closed[outcome as usize]
    }

    /// How many were met.
    pub fn met(&self) -> u64 {
        EstimateOutcome::ALL.into_iter().filter(|outcome| outcome.is_met()).map(|outcome| self.closed(outcome)).sum()
    }

    /// How many were met for no more than nine cases in ten cost.
    pub fn within_p90(&self) -> u64 {
        let within = EstimateOutcome::ALL.into_iter().filter(|outcome| outcome.is_within_p90());
        within.map(|outcome| self.closed(outcome)).sum()
    }
}
