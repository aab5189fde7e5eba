//! Which launches count for which estimate, and when one ends.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{EstimateState, RecordedEstimate, RecordedLine, RecordedPart};
use crate::domain::credits::Credits;
use crate::domain::estimate::{PastTask, continues};
use crate::domain::reading::{Fingerprint, TaskState};

/// A complete estimate is met once nothing that it covers was launched for so long. As long it waits after its time for
/// launches that are still under way.
const QUIET: SignedDuration = SignedDuration::from_hours(24);

/// A launch of a draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    /// The platform's id of the task.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub task: PastTask,
}

/// An open estimate as of now.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// With what it covers so far, and how it ends if it does.
    pub estimate: RecordedEstimate,
    /// Net credits of those of its launches that were made in the last day of what is known.
    pub last_day: Credits,
    /// Launches that it covers and that wait to be charged: task type, quality, and how many.
    pub waiting: Vec<(String, String, u64)>,
    /// The ids of all that it covers.
    pub covered: Vec<String>,
}

/// The open ones among a draw's estimates, in the order in which they were kept, with what they cover of `launches`, which
/// are in the order of their time. Launches that counted for an estimate when it was closed are not among them: they are its
/// own for ever.
///
/// An estimate covers as many assets as it asks for and no more, with all that was launched for them: a team that launches
/// such tasks every day anyway meets it with the first of them. A launch counts for the oldest that wants it. An estimate ends
/// by what is known `known_until`: of later launches nothing is known yet.
pub fn follow(estimates: &[RecordedEstimate], launches: &[Launched], known_until: Timestamp) -> Vec<Followed> {
    let mut oldest_first: Vec<&RecordedEstimate> =
        estimates.iter().filter(|estimate| estimate.state == EstimateState::Open).collect();
    oldest_first.sort_by_key(|estimate| estimate.id);
    let day_ago = known_until.saturating_sub(QUIET).unwrap_or(Timestamp::MIN);
    let mut covered: Vec<Covered> = oldest_first.into_iter().map(|estimate| Covered::new(estimate, day_ago)).collect();
    for launched in launches {
        if let Some(covering) = covered.iter_mut().find(|covered| covered.covers(launched)) {
            covering.take(launched);
        }
    }
    covered.into_iter().map(|covered| covered.followed(known_until)).collect()
}

/// An estimate and what it covers.
struct Covered<'a> {
    estimate: &'a RecordedEstimate,
    lines: Vec<CoveredLine<'a>>,
    charged: Credits,
    day_ago: Timestamp,
    last_day: Credits,
    launches: Vec<&'a str>,
    last_launch: Option<Timestamp>,
    is_under_way: bool,
    waiting: BTreeMap<(&'a str, &'a str), u64>,
}

impl<'a> Covered<'a> {
    fn new(estimate: &'a RecordedEstimate, day_ago: Timestamp) -> Covered<'a> {
        Covered {
            estimate,
            lines: estimate.lines.iter().map(CoveredLine::new).collect(),
            charged: Credits::ZERO,
            day_ago,
            last_day: Credits::ZERO,
            launches: Vec::new(),
            last_launch: None,
            is_under_way: false,
            waiting: BTreeMap::new(),
        }
    }

    fn covers(&self, launched: &Launched) -> bool {
        let is_in_time = (self.estimate.starts_at..self.estimate.lapses_at).contains(&launched.at);
        is_in_time && self.lines.iter().any(|line| line.takes(&launched.task))
    }

    fn take(&mut self, launched: &'a Launched) {
        let task = &launched.task;
        self.charged += task.credits_net;
        if launched.at > self.day_ago {
            self.last_day += task.credits_net;
        }
        self.launches.push(&launched.id);
        self.last_launch = self.last_launch.max(Some(launched.at));
        self.is_under_way |= !task.state.is_final();
        if matches!(task.state, TaskState::Queued | TaskState::Running) && !task.credits_net.is_positive() {
            *self.waiting.entry((&task.task_type, &task.quality)).or_default() += 1;
        }
        // Of lines that are alike each gets what it asked for, one after the other; attempts at one asset stay together.
        let knows = |line: &CoveredLine| line.covers(task) && line.knows(task);
        let place = self.lines.iter().position(knows).or_else(|| self.lines.iter().position(|line| line.takes(task)));
        if let Some(place) = place {
            self.lines[place].take(task);
        }
    }

    fn followed(self, known_until: Timestamp) -> Followed {
        let mut estimate = self.estimate.clone();
        (estimate.charged, estimate.tasks) = (self.charged, self.launches.len() as u64);
        estimate.assets = self.lines.iter().map(|line| line.assets().min(line.asked())).sum();
        estimate.ends = self.ends(&estimate, known_until);
        let waiting = self.waiting.into_iter();
        let waiting = waiting.map(|((task_type, quality), count)| (task_type.to_owned(), quality.to_owned(), count));
        let covered = self.launches.into_iter().map(str::to_owned).collect();
        Followed { estimate, last_day: self.last_day, waiting: waiting.collect(), covered }
    }

    fn ends(&self, estimate: &RecordedEstimate, known_until: Timestamp) -> Option<EstimateState> {
        let passed = |since: Timestamp| known_until.duration_since(since);
        let over_for = passed(estimate.lapses_at);
        let is_over = !over_for.is_negative() && (!self.is_under_way || over_for >= QUIET);
        let is_quiet = !self.is_under_way && self.last_launch.is_some_and(|launch| passed(launch) >= QUIET);
        match (estimate.is_complete(), is_over) {
            (true, true) => Some(EstimateState::Met { at: known_until }),
            (true, false) if is_quiet => Some(EstimateState::Met { at: known_until }),
            (false, true) => Some(EstimateState::Lapsed { at: known_until }),
            (_, false) => None,
        }
    }
}

/// A line and how far it has come.
struct CoveredLine<'a> {
    line: &'a RecordedLine,
    /// One for each part.
    done: Vec<Done>,
}

/// How far one task type has come.
#[derive(Clone, Debug, Default)]
struct Done {
    /// By input, of each at most as many as an asset needs.
    by_input: HashMap<Fingerprint, Counted>,
    all: Counted,
}

/// Launches that get somewhere.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Those that have succeeded or are under way.
    promising: u64,
    succeeded: u64,
}

impl<'a> CoveredLine<'a> {
    fn new(line: &'a RecordedLine) -> CoveredLine<'a> {
        CoveredLine { line, done: vec![Done::default(); line.parts.len()] }
    }

    fn asked(&self) -> u64 {
        self.line.request.count.into()
    }

    /// A task type that the line stood for, or, where it named none exactly, one that continues its word. A task whose quality
    /// the platform does not say is of any.
    fn covers(&self, task: &PastTask) -> bool {
        let asked = self.line.request.task_type.as_str();
        let is_named = self.line.parts.iter().any(|part| part.task_type == asked);
        let is_type = if is_named { task.task_type == asked } else { continues(asked, &task.task_type) };
        let quality = self.line.request.quality.as_deref();
        is_type && quality.is_none_or(|quality| task.quality.is_empty() || task.quality == quality)
    }

    fn part(&self, task: &PastTask) -> Option<usize> {
        self.line.parts.iter().position(|part| part.task_type == task.task_type)
    }

    /// Whether a launch is an attempt at an asset of the line.
    fn knows(&self, task: &PastTask) -> bool {
        let known = self.part(task).map(|place| &self.done[place].by_input);
        task.fingerprint.zip(known).is_some_and(|(input, known)| known.contains_key(&input))
    }

    /// Whether a launch is for one of the assets that were asked for: an attempt at one that is known, or at a further one
    /// while fewer are there or under way than were asked for.
    fn takes(&self, task: &PastTask) -> bool {
        let is_wanted = || match self.part(task) {
            Some(place) => self.done[place].all.promising < self.asked() * each(&self.line.parts[place]),
            None => self.assets() < self.asked(),
        };
        self.covers(task) && (self.knows(task) || is_wanted())
    }

    fn take(&mut self, task: &PastTask) {
        let Some(place) = self.part(task) else { return };
        let each = each(&self.line.parts[place]);
        let Done { by_input, all } = &mut self.done[place];
        let has_succeeded = task.state == TaskState::Succeeded;
        let is_promising = has_succeeded || !task.state.is_final();
        // Beyond what an asset needs a further success is none of another asset.
        let most = if task.fingerprint.is_some() { each } else { u64::MAX };
        let mut of_no_input = Counted::default();
        let of_input = task.fingerprint.map_or(&mut of_no_input, |input| by_input.entry(input).or_default());
        if is_promising && of_input.promising < most {
            of_input.promising += 1;
            all.promising += 1;
        }
        if has_succeeded && of_input.succeeded < most {
            of_input.succeeded += 1;
            all.succeeded += 1;
        }
    }

    /// How many assets have all of their parts.
    fn assets(&self) -> u64 {
        self.line.parts.iter().zip(&self.done).map(|(part, done)| done.all.succeeded / each(part)).min().unwrap_or(0)
    }
}

fn each(part: &RecordedPart) -> u64 {
    u64::from(part.launches_each.max(1))
}
