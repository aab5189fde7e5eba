//! The life of an alert: inactive, firing at a stage, resolved. One alert per rule, draw and plan period.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::rule::{CLEAR_FOR_SHARE, Finding};

/// When an alert ends, and when it is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// How long the condition must be clear without a break before the alert resolves.
    pub clear_for: SignedDuration,
    /// The least time between two tellings of the same stage.
    pub repeat_interval: SignedDuration,
    /// How far the expected run-out date must have moved since the last telling for a repeat to say something new.
    pub repeat_if_moved_by: SignedDuration,
}

impl AlertPolicy {
    /// The policy of an alert that lives in a plan period.
    pub fn of_period((start, end): (Timestamp, Timestamp), repeat_interval: SignedDuration) -> AlertPolicy {
        let length = end.duration_since(start);
        AlertPolicy {
            clear_for: SignedDuration::from_secs_f64(length.as_secs_f64() * CLEAR_FOR_SHARE),
            repeat_interval,
            repeat_if_moved_by: length / 10,
        }
    }
}

/// What a rule sees of a draw at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The rule's answer.
    pub finding: Finding,
    /// The expected (median) run-out date, where there is one.
    pub run_out: Option<Timestamp>,
    /// The moment.
    pub now: Timestamp,
}

/// The next state of an alert, and what a person is to be told of it.
///
/// The function takes no hint of how it came to be called: the same state and observation give the same answer, so a
/// restart, a late tick and a usual tick are alike. `Unknown` neither fires nor resolves.
pub fn step(alert: &Alert, seen: Observation, policy: &AlertPolicy) -> (Alert, Option<(Stage, Why)>) {
    match (&alert.state, seen.finding) {
        (AlertState::Firing { stage, since, clear_since, .. }, Finding::Clear) => {
            let clear_since = clear_since.unwrap_or(seen.now);
            if seen.now.duration_since(clear_since) < policy.clear_for {
                return (alert.with_clear_since(Some(clear_since)), None);
            }
            let resolved = AlertState::Resolved { stage: *stage, since: *since, at: seen.now };
            (Alert { episode: alert.episode, state: resolved }, Some((*stage, Why::Resolved)))
        }
        (AlertState::Firing { stage, .. }, Finding::Holds(found) | Finding::Undecided(found)) => {
            let ongoing = alert.with_clear_since(None);
            let holds = matches!(seen.finding, Finding::Holds(_));
            if found > *stage {
                (ongoing.told(found, seen), Some((found, Why::Worsened)))
            } else if holds && alert.is_due_again(seen, policy) {
                (ongoing.told(*stage, seen), Some((*stage, Why::Repeated)))
            } else {
                (ongoing, None)
            }
        }
        (AlertState::Inactive | AlertState::Resolved { .. }, Finding::Holds(stage)) => {
            let state = AlertState::Firing {
                stage,
                since: seen.now,
                clear_since: None,
                notified_at: seen.now,
                told_run_out: seen.run_out,
            };
            (Alert { episode: alert.episode + 1, state }, Some((stage, Why::Opened)))
        }
        (_, Finding::Unknown) | (AlertState::Inactive | AlertState::Resolved { .. }, _) => (alert.clone(), None),
    }
}

/// Ends an alert of a period that is over. A firing one is told as reset; the next period begins with a fresh alert.
pub fn end_with_period(alert: &Alert, now: Timestamp) -> (Alert, Option<(Stage, Why)>) {
    match alert.state {
        AlertState::Firing { stage, since, .. } => {
            let state = AlertState::Resolved { stage, since, at: now };
            (Alert { episode: alert.episode, state }, Some((stage, Why::PlanReset)))
        }
        AlertState::Inactive | AlertState::Resolved { .. } => (alert.clone(), None),
    }
}

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
        /// The expected run-out date that was told then.
        told_run_out: Option<Timestamp>,
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

impl Why {
    /// The reason of that word.
    pub fn parse(word: &str) -> Option<Why> {
        Why::ALL.into_iter().find(|why| why.as_str() == word)
    }
}

impl Alert {
    fn with_clear_since(&self, new: Option<Timestamp>) -> Alert {
        let mut changed = self.clone();
        if let AlertState::Firing { clear_since, .. } = &mut changed.state {
            *clear_since = new;
        }
        changed
    }

    fn told(mut self, at_stage: Stage, seen: Observation) -> Alert {
        if let AlertState::Firing { stage, notified_at, told_run_out, .. } = &mut self.state {
            *stage = at_stage;
            *notified_at = seen.now;
            *told_run_out = seen.run_out;
        }
        self
    }

    fn is_due_again(&self, seen: Observation, policy: &AlertPolicy) -> bool {
        let AlertState::Firing { notified_at, told_run_out, .. } = self.state else { return false };
        let waited = seen.now.duration_since(notified_at) >= policy.repeat_interval;
        let moved = match (told_run_out, seen.run_out) {
            (Some(told), Some(now)) => now.duration_since(told).abs() >= policy.repeat_if_moved_by,
            (told, now) => told.is_some() != now.is_some(),
        };
        waited && moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Finding::{Clear, Holds, Undecided, Unknown};
    use Stage::{Critical, Warning};
    use proptest::prelude::*;

    const POLICY: AlertPolicy = AlertPolicy {
        clear_for: SignedDuration::from_hours(24),
        repeat_interval: SignedDuration::from_hours(24),
        repeat_if_moved_by: SignedDuration::from_hours(72),
    };

    fn hour(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    /// Steps through `(hour, finding, run-out hour)` and collects `(hour, stage, why)` of everything told.
    fn told(steps: &[(i64, Finding, Option<i64>)]) -> Vec<(i64, Stage, Why)> {
        let mut alert = Alert::default();
        let mut told = Vec::new();
        for (at, finding, run_out) in steps {
            let seen = Observation { finding: *finding, run_out: run_out.map(hour), now: hour(*at) };
            let (next, notice) = step(&alert, seen, &POLICY);
            told.extend(notice.map(|(stage, why)| (*at, stage, why)));
            alert = next;
            assert_eq!(
                step(&alert, seen, &POLICY),
                (alert.clone(), None),
                "the same observation again changes nothing"
            );
        }
        told
    }

    #[test]
    fn an_alert_lives_as_the_table_says() {
        type Steps = &'static [(i64, Finding, Option<i64>)];
        type Told = &'static [(i64, Stage, Why)];
        let table: &[(&str, Steps, Told)] = &[
            ("nothing happens", &[(0, Clear, None), (1, Undecided(Warning), None), (2, Unknown, None)], &[]),
            (
                "told once while it holds",
                &[(0, Holds(Warning), Some(300)), (1, Holds(Warning), Some(301))],
                &[(0, Warning, Why::Opened)],
            ),
            (
                "told again at a higher stage, never at a lower",
                &[(0, Holds(Warning), Some(99)), (1, Holds(Critical), Some(9)), (2, Holds(Warning), Some(99))],
                &[(0, Warning, Why::Opened), (1, Critical, Why::Worsened)],
            ),
            ("the highest stage at once", &[(0, Holds(Critical), Some(9))], &[(0, Critical, Why::Opened)]),
            (
                "a running episode worsens even between the thresholds",
                &[(0, Holds(Warning), Some(99)), (1, Undecided(Critical), Some(9))],
                &[(0, Warning, Why::Opened), (1, Critical, Why::Worsened)],
            ),
            (
                "clear for a day resolves",
                &[(0, Holds(Warning), None), (1, Clear, None), (24, Clear, None), (25, Clear, None)],
                &[(0, Warning, Why::Opened), (25, Warning, Why::Resolved)],
            ),
            (
                "a break in the clear begins the day anew",
                &[(0, Holds(Warning), None), (1, Clear, None), (20, Undecided(Warning), None), (26, Clear, None)],
                &[(0, Warning, Why::Opened)],
            ),
            (
                "no data neither resolves nor breaks the clear",
                &[(0, Holds(Warning), None), (1, Clear, None), (9, Unknown, None), (25, Clear, None)],
                &[(0, Warning, Why::Opened), (25, Warning, Why::Resolved)],
            ),
            (
                "a second episode after a resolved one",
                &[(0, Holds(Warning), None), (1, Clear, None), (25, Clear, None), (30, Holds(Warning), None)],
                &[(0, Warning, Why::Opened), (25, Warning, Why::Resolved), (30, Warning, Why::Opened)],
            ),
            (
                "repeated when a day has passed and the date has moved by three",
                &[
                    (0, Holds(Warning), Some(300)),
                    (23, Holds(Warning), Some(200)),
                    (24, Holds(Warning), Some(290)),
                    (25, Holds(Warning), Some(200)),
                    (60, Holds(Warning), Some(201)),
                ],
                &[(0, Warning, Why::Opened), (25, Warning, Why::Repeated)],
            ),
        ];
        for (name, steps, expected) in table {
            assert_eq!(told(steps), *expected, "{name}");
        }
    }

    #[test]
    fn a_reset_ends_what_is_firing_and_nothing_else() {
        let seen = Observation { finding: Holds(Critical), run_out: None, now: hour(1) };
        let (firing, _) = step(&Alert::default(), seen, &POLICY);
        let (ended, notice) = end_with_period(&firing, hour(2));
        assert_eq!(notice, Some((Critical, Why::PlanReset)));
        assert_eq!(ended.state, AlertState::Resolved { stage: Critical, since: hour(1), at: hour(2) });
        assert_eq!(end_with_period(&ended, hour(3)), (ended.clone(), None));
        assert_eq!(end_with_period(&Alert::default(), hour(3)), (Alert::default(), None));
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        prop_oneof![
            Just(Holds(Warning)),
            Just(Holds(Critical)),
            Just(Undecided(Warning)),
            Just(Undecided(Critical)),
            Just(Clear),
            Just(Unknown)
        ]
    }

    proptest! {
        /// Whatever is seen, in whatever order: an episode opens before it worsens or resolves, no stage is opened or
        /// worsened to twice, and stages only rise within an episode.
        #[test]
        fn stages_only_rise_within_an_episode(seen in proptest::collection::vec((1_i64..40, any_finding()), 0..60)) {
            let mut at = 0;
            let steps: Vec<_> = seen.iter().map(|(step, finding)| { at += step; (at, *finding, None) }).collect();
            let mut open: Option<Stage> = None;
            for (_, stage, why) in told(&steps) {
                match why {
                    Why::Opened => { prop_assert_eq!(open, None); open = Some(stage); }
                    Why::Worsened => { prop_assert!(open.is_some_and(|before| stage > before)); open = Some(stage); }
                    Why::Resolved => { prop_assert_eq!(open, Some(stage)); open = None; }
                    Why::Repeated | Why::PlanReset => prop_assert!(false, "nothing moved and no period ended"),
                }
            }
        }
    }
}
