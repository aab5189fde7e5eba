//! The life of an alert. Filled in together with the rules.
use std::fmt;

use jiff::Timestamp;

/// How bad it is. A later stage is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Act in working time.
    Warning,
    /// Act now.
    Critical,
}

impl Stage {
    /// Both stages.
    pub const ALL: [Stage; 2] = [Stage::Warning, Stage::Critical];

    /// The word used in configuration, metrics (`severity`), mail and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Warning => "warning",
            Stage::Critical => "critical",
        }
    }

    /// The stage of that word.
    pub fn parse(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

/// The rules. Each asks one question of an assessment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleName {
    /// Will the credits run out before the plan resets?
    Exhaustion,
}

impl RuleName {
    /// Every rule.
    pub const ALL: [RuleName; 1] = [RuleName::Exhaustion];

    /// The word used in configuration, metrics (`alert`), mail and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            RuleName::Exhaustion => "exhaustion",
        }
    }

    /// The rule of that word.
    pub fn parse(word: &str) -> Option<RuleName> {
        RuleName::ALL.into_iter().find(|rule| rule.as_str() == word)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One alert: a rule, a draw and a plan period are its identity, kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Counts the episodes of the rule in the period, from 1; 0 before the first.
    pub episode: u32,
    /// Where it is in its life.
    pub state: AlertState,
}

/// Where an alert is in its life; each variant carries its own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// Somebody was told.
    Firing {
        /// The highest stage of this episode.
        stage: Stage,
        /// When the episode began.
        since: Timestamp,
        /// Since when the condition has been clear without a break, if it is.
        clear_since: Option<Timestamp>,
        /// When somebody was last told.
        notified_at: Timestamp,
    },
    /// It is over.
    Resolved {
        /// The highest stage it reached.
        stage: Stage,
        /// When it began.
        since: Timestamp,
        /// When it ended.
        at: Timestamp,
    },
}

/// Why a person is told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A new episode.
    Opened,
    /// A higher stage.
    Worsened,
    /// Still true after the repeat interval.
    Repeated,
    /// The danger has passed within the period.
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
}
