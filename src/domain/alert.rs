//! The life of an alert: inactive, pending, firing at a level, resolved. One alert per rule, draw and plan period.
//!
//! Two questions are kept apart. [`step`] says what is: whether the condition has held long enough to fire, and been clear
//! long enough to be over. [`tell`] says what people are to hear of it now: nothing twice, nothing while the alert is muted,
//! and what was held back as soon as that ends, if it is still true.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::rule::{Finding, RuleName};

/// When an alert begins and ends, and when it is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// How long the condition must hold without a break before the alert fires.
    pub hold_for: SignedDuration,
    /// How long the condition must be clear without a break before the alert resolves.
    pub keep_firing_for: SignedDuration,
    /// The least time between two tellings of the same level.
    pub repeat_interval: SignedDuration,
    /// How far the figure must have moved since the last telling for a repeat to say something new.
    pub repeat_if_moved: Moved,
    /// Whether people hear that the alert is over.
    pub sends_resolved: bool,
    /// Whether people hear that the plan was reset while the alert was firing.
    pub sends_plan_reset: bool,
}

/// When a figure has moved so far that telling it again says something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// By so much, up or down, in the figure's own unit.
    By(i64),
    /// Up, by half of what was told.
    UpByHalf,
}

/// What a rule sees of a draw at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The rule's answer.
    pub finding: Finding,
    /// The number that the words turn on, where there is one: see [`super::rule::Seen`].
    pub figure: Option<i64>,
    /// The moment.
    pub now: Timestamp,
}

/// Why an alert is not told at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mute {
    /// Another rule is firing, which says more.
    Inhibited(RuleName),
    /// By the silence of that number.
    Silenced(i64),
    /// The team's quiet hours.
    QuietHours,
}

/// The next state of an alert.
///
/// The function takes no hint of how it came to be called: the same state and observation give the same answer, so a
/// restart, a late tick and a usual tick are alike. `Unknown` neither fires nor resolves.
#[must_use]
pub fn step(alert: &Alert, seen: Observation, policy: &AlertPolicy) -> Alert {
    let same = || alert.clone();
    let with = |state| Alert { episode: alert.episode, state };
    match (&alert.state, seen.finding) {
        (AlertState::Firing { level, since, clear_since, told }, Finding::Clear) => {
            let clear_since = clear_since.unwrap_or(seen.now);
            if seen.now.duration_since(clear_since) < policy.keep_firing_for {
                return with(AlertState::Firing {
                    level: *level,
                    since: *since,
                    clear_since: Some(clear_since),
                    told: *told,
                });
            }
            // Who was told nothing need not hear that it is over.
            let untold = (policy.sends_resolved && told.is_some()).then_some(Why::Resolved);
            with(AlertState::Resolved { level: *level, since: *since, at: seen.now, untold })
        }
        (AlertState::Firing { level, since, told, .. }, Finding::Holds(found) | Finding::Undecided(found)) => {
            with(AlertState::Firing { level: (*level).max(found), since: *since, clear_since: None, told: *told })
        }
        (AlertState::Pending { .. }, Finding::Clear | Finding::Undecided(_)) => with(AlertState::Inactive),
        (AlertState::Pending { since, .. }, Finding::Holds(level)) => alert.hold(level, *since, seen.now, policy),
        (AlertState::Inactive | AlertState::Resolved { .. }, Finding::Holds(level)) => {
            alert.hold(level, seen.now, seen.now, policy)
        }
        (_, Finding::Unknown) | (AlertState::Inactive | AlertState::Resolved { .. }, _) => same(),
    }
}

/// Ends an alert of a period that is over. What was told of it is told to be over as well; the next period begins with a
/// fresh alert.
#[must_use]
pub fn end_with_period(alert: &Alert, now: Timestamp, policy: &AlertPolicy) -> Alert {
    let state = match alert.state {
        AlertState::Firing { level, since, told, .. } => {
            let untold = (policy.sends_plan_reset && told.is_some()).then_some(Why::PlanReset);
            AlertState::Resolved { level, since, at: now, untold }
        }
        AlertState::Pending { .. } => AlertState::Inactive,
        AlertState::Inactive | AlertState::Resolved { .. } => return alert.clone(),
    };
    Alert { episode: alert.episode, state }
}

/// What people are to hear of an alert now, and the alert as it is when they have heard it. While it is muted they hear
/// nothing, and what they would have heard waits: it is told when the mute ends, if it is still true then. Only a silence
/// asks not to hear of an end at all.
#[must_use]
pub fn tell(
    alert: &Alert,
    seen: Observation,
    policy: &AlertPolicy,
    mute: Option<Mute>,
) -> (Alert, Option<(Level, Why)>) {
    let mut after = alert.clone();
    let notice = match (&mut after.state, mute) {
        (AlertState::Firing { level, told, .. }, None) => {
            let why = why_now(*level, told.as_ref(), seen, policy);
            if why.is_some() {
                *told = Some(Told { level: *level, at: seen.now, figure: seen.figure });
            }
            why.map(|why| (*level, why))
        }
        (AlertState::Resolved { level, untold, .. }, None) => untold.take().map(|why| (*level, why)),
        (AlertState::Resolved { untold, .. }, Some(Mute::Silenced(_))) => {
            *untold = None;
            None
        }
        _ => None,
    };
    (after, notice)
}

/// Why somebody should hear of a firing alert now.
fn why_now(level: Level, told: Option<&Told>, seen: Observation, policy: &AlertPolicy) -> Option<Why> {
    // Only of what is true at this moment: an episode that is about to end, or of which nothing is known, waits.
    let holds = match seen.finding {
        Finding::Holds(_) => true,
        Finding::Undecided(_) => false,
        Finding::Clear | Finding::Unknown => return None,
    };
    match told {
        None => Some(Why::Opened),
        Some(told) if level > told.level => Some(Why::Worsened),
        Some(told) => (holds && is_due_again(told, seen, policy)).then_some(Why::Repeated),
    }
}

fn is_due_again(told: &Told, seen: Observation, policy: &AlertPolicy) -> bool {
    let waited = seen.now.duration_since(told.at) >= policy.repeat_interval;
    let moved = match (told.figure, seen.figure, policy.repeat_if_moved) {
        (Some(told), Some(now), Moved::By(distance)) => now.abs_diff(told) >= distance.unsigned_abs(),
        (Some(told), Some(now), Moved::UpByHalf) => now.saturating_sub(told) >= (told / 2).max(1),
        (told, now, Moved::By(_)) => told.is_some() != now.is_some(),
        (_, _, Moved::UpByHalf) => false,
    };
    waited && moved
}

/// How bad it is. A later stage is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Good to know; nothing needs to be done.
    Info,
    /// Act in working time.
    Warning,
    /// Act now.
    Critical,
}

impl Stage {
    /// Every stage, the mildest first.
    pub const ALL: [Stage; 3] = [Stage::Info, Stage::Warning, Stage::Critical];

    /// The word used in configuration, metrics (`severity`), mail and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Info => "info",
            Stage::Warning => "warning",
            Stage::Critical => "critical",
        }
    }

    /// The stage of that word.
    pub fn parse(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

/// A stage, and which of several thresholds of that stage was passed: a balance may be low at a half, and lower at a
/// quarter, and be a warning each time. A higher level is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level {
    /// The stage.
    pub stage: Stage,
    /// The threshold within it, from 0.
    pub step: u8,
}

impl From<Stage> for Level {
    fn from(stage: Stage) -> Level {
        Level { stage, step: 0 }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One alert: a rule, a draw and a plan period are its identity, kept beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// Counts the episodes of the rule in the period, from 1; 0 before the first.
    pub episode: u32,
    /// Where it is in its life.
    pub state: AlertState,
}

/// Where an alert is in its life; each variant carries its own facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AlertState {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// The condition holds, not long enough yet.
    Pending {
        /// How bad it is.
        level: Level,
        /// Since when it has held without a break.
        since: Timestamp,
    },
    /// The condition has held long enough. People have heard of it, unless the alert was muted all the while.
    Firing {
        /// The highest level of this episode.
        level: Level,
        /// When the episode began.
        since: Timestamp,
        /// Since when the condition has been clear without a break, if it is.
        clear_since: Option<Timestamp>,
        /// What was last told; `None` if nobody has heard of it yet.
        told: Option<Told>,
    },
    /// It is over.
    Resolved {
        /// The highest level it reached.
        level: Level,
        /// When it began.
        since: Timestamp,
        /// When it ended.
        at: Timestamp,
        /// Why people are still to hear that it is over; `None` when they have, or need not.
        untold: Option<Why>,
    },
}

/// What people last heard of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The level that was told.
    pub level: Level,
    /// When.
    pub at: Timestamp,
    /// The figure as it was told, in the rule's own unit.
    pub figure: Option<i64>,
}

/// An episode of an alert, looked back at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastAlert {
    /// Which rule.
    pub rule: RuleName,
    /// The worst stage of it.
    pub stage: Stage,
    /// Since when it was true.
    pub since: Timestamp,
    /// When it ended; `None` if it fires, or if nobody was told of the end and another episode came after it.
    pub ended_at: Option<Timestamp>,
    /// Whether it fires.
    pub is_firing: bool,
    /// Whether anybody was told of it.
    pub is_told: bool,
}

/// Why a person is told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A new episode.
    Opened,
    /// A higher level.
    Worsened,
    /// Still true after the repeat interval, and the figure has moved.
    Repeated,
    /// The condition has passed within the period.
    Resolved,
    /// The plan has been reset while the alert was firing.
    PlanReset,
}

impl Why {
    /// Every reason.
    pub const ALL: [Why; 5] = [Why::Opened, Why::Worsened, Why::Repeated, Why::Resolved, Why::PlanReset];

    /// The word used in the store, logs and mail headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Opened => "opened",
            Why::Worsened => "worsened",
            Why::Repeated => "repeated",
            Why::Resolved => "resolved",
            Why::PlanReset => "plan_reset",
        }
    }

    /// The reason of that word.
    pub fn parse(word: &str) -> Option<Why> {
        Why::ALL.into_iter().find(|why| why.as_str() == word)
    }
}

impl Alert {
    /// The stage that is firing, if the alert is.
    pub fn firing(&self) -> Option<Stage> {
        match self.state {
            AlertState::Firing { level, .. } => Some(level.stage),
            _ => None,
        }
    }

    /// When its episode began, or the condition began to hold; `None` while inactive.
    pub fn since(&self) -> Option<Timestamp> {
        match self.state {
            AlertState::Pending { since, .. }
            | AlertState::Firing { since, .. }
            | AlertState::Resolved { since, .. } => Some(since),
            AlertState::Inactive => None,
        }
    }

    /// The condition holds and has done so since `since`: pending until that is long enough, then a new episode.
    fn hold(&self, level: Level, since: Timestamp, now: Timestamp, policy: &AlertPolicy) -> Alert {
        if now.duration_since(since) < policy.hold_for {
            return Alert { episode: self.episode, state: AlertState::Pending { level, since } };
        }
        let state = AlertState::Firing { level, since, clear_since: None, told: None };
        Alert { episode: self.episode + 1, state }
    }
}

#[cfg(test)]
mod tests;
