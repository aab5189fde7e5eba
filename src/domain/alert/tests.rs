use super::*;
use Finding::{Clear, Holds, Undecided, Unknown};
use proptest::prelude::*;

const INFO: Level = Level { stage: Stage::Info, step: 0 };
const WARNING: Level = Level { stage: Stage::Warning, step: 0 };
const LOWER: Level = Level { stage: Stage::Warning, step: 1 };
const CRITICAL: Level = Level { stage: Stage::Critical, step: 0 };
const QUIET: Option<Mute> = Some(Mute::QuietHours);
const SILENT: Option<Mute> = Some(Mute::Silenced(1));
const INHIBITED: Option<Mute> = Some(Mute::Inhibited(RuleName::Exhaustion));

const POLICY: AlertPolicy = AlertPolicy {
    hold_for: SignedDuration::ZERO,
    keep_firing_for: SignedDuration::from_hours(24),
    repeat_interval: SignedDuration::from_hours(24),
    repeat_if_moved: Moved::By(72),
    sends_resolved: true,
    sends_plan_reset: true,
};

fn hour(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

/// Hour, finding, figure, what keeps it back.
type Step = (i64, Finding, Option<i64>, Option<Mute>);
type Heard = (i64, Level, Why);

/// Steps through and collects everything told, with the alert as it is at the end.
fn heard(policy: &AlertPolicy, steps: &[Step]) -> (Alert, Vec<Heard>) {
    let mut alert = Alert::default();
    let mut told = Vec::new();
    for (at, finding, figure, mute) in steps {
        let seen = Observation { finding: *finding, figure: *figure, now: hour(*at) };
        let (next, notice) = tell(&step(&alert, seen, policy), seen, policy, *mute);
        told.extend(notice.map(|(level, why)| (*at, level, why)));
        alert = next;
        let again = tell(&step(&alert, seen, policy), seen, policy, *mute);
        assert_eq!(again, (alert.clone(), None), "the same observation again changes nothing");
    }
    (alert, told)
}

#[test]
fn an_alert_lives_as_the_table_says() {
    let at_once = POLICY;
    let patient = AlertPolicy { hold_for: SignedDuration::from_hours(2), ..POLICY };
    let discreet = AlertPolicy { sends_resolved: false, repeat_if_moved: Moved::UpByHalf, ..POLICY };
    let table: &[(&str, &AlertPolicy, &[Step], &[Heard])] = &[
        (
            "nothing happens",
            &at_once,
            &[(0, Clear, None, None), (1, Undecided(WARNING), None, None), (2, Unknown, None, None)],
            &[],
        ),
        (
            "told once while it holds",
            &at_once,
            &[(0, Holds(WARNING), Some(300), None), (1, Holds(WARNING), Some(301), None)],
            &[(0, WARNING, Why::Opened)],
        ),
        (
            "told again at a higher level, never at a lower",
            &at_once,
            &[
                (0, Holds(WARNING), Some(99), None),
                (1, Holds(CRITICAL), Some(9), None),
                (2, Holds(WARNING), Some(99), None),
            ],
            &[(0, WARNING, Why::Opened), (1, CRITICAL, Why::Worsened)],
        ),
        (
            "a further threshold of the same stage is a higher level",
            &at_once,
            &[(0, Holds(WARNING), None, None), (1, Holds(LOWER), None, None), (2, Holds(CRITICAL), None, None)],
            &[(0, WARNING, Why::Opened), (1, LOWER, Why::Worsened), (2, CRITICAL, Why::Worsened)],
        ),
        ("the highest level at once", &at_once, &[(0, Holds(CRITICAL), Some(9), None)], &[(0, CRITICAL, Why::Opened)]),
        (
            "a running episode worsens even between the thresholds",
            &at_once,
            &[(0, Holds(WARNING), Some(99), None), (1, Undecided(CRITICAL), Some(9), None)],
            &[(0, WARNING, Why::Opened), (1, CRITICAL, Why::Worsened)],
        ),
        (
            "clear for a day resolves",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (24, Clear, None, None),
                (25, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened), (25, WARNING, Why::Resolved)],
        ),
        (
            "a break in the clear begins the day anew",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (20, Undecided(WARNING), None, None),
                (26, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened)],
        ),
        (
            "no data neither resolves nor breaks the clear",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (9, Unknown, None, None),
                (25, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened), (25, WARNING, Why::Resolved)],
        ),
        (
            "a second episode after a resolved one",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (25, Clear, None, None),
                (30, Holds(WARNING), None, None),
            ],
            &[(0, WARNING, Why::Opened), (25, WARNING, Why::Resolved), (30, WARNING, Why::Opened)],
        ),
        (
            "repeated when a day has passed and the figure has moved",
            &at_once,
            &[
                (0, Holds(WARNING), Some(300), None),
                (23, Holds(WARNING), Some(200), None),
                (24, Holds(WARNING), Some(290), None),
                (25, Holds(WARNING), Some(200), None),
                (60, Holds(WARNING), Some(201), None),
            ],
            &[(0, WARNING, Why::Opened), (25, WARNING, Why::Repeated)],
        ),
        (
            "repeated when the figure has grown by half, not when it falls",
            &discreet,
            &[
                (0, Holds(WARNING), Some(100), None),
                (24, Holds(WARNING), Some(149), None),
                (48, Holds(WARNING), Some(10), None),
                (49, Holds(WARNING), Some(150), None),
                (80, Clear, None, None),
                (110, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened), (49, WARNING, Why::Repeated)],
        ),
        (
            "it must hold without a break",
            &patient,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (2, Holds(WARNING), None, None),
                (3, Undecided(WARNING), None, None),
                (4, Holds(WARNING), None, None),
                (5, Unknown, None, None),
                (6, Holds(CRITICAL), None, None),
            ],
            &[(6, CRITICAL, Why::Opened)],
        ),
        (
            "what quiet hours keep back is told in the morning, at its highest",
            &at_once,
            &[
                (0, Holds(WARNING), None, QUIET),
                (1, Holds(LOWER), None, QUIET),
                (8, Undecided(WARNING), None, None),
                (9, Holds(WARNING), None, None),
            ],
            &[(8, LOWER, Why::Opened)],
        ),
        (
            "what was over before the morning is not told",
            &at_once,
            &[
                (0, Holds(WARNING), None, QUIET),
                (1, Clear, None, QUIET),
                (25, Clear, None, QUIET),
                (26, Clear, None, None),
            ],
            &[],
        ),
        (
            "nor what seems to be over, nor what is not known",
            &at_once,
            &[
                (0, Holds(WARNING), None, QUIET),
                (8, Clear, None, None),
                (9, Unknown, None, None),
                (10, Holds(WARNING), None, None),
            ],
            &[(10, WARNING, Why::Opened)],
        ),
        (
            "an end in quiet hours is told in the morning",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (25, Clear, None, QUIET),
                (33, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened), (33, WARNING, Why::Resolved)],
        ),
        (
            "an end in a silence is not",
            &at_once,
            &[
                (0, Holds(WARNING), None, None),
                (1, Clear, None, None),
                (25, Clear, None, SILENT),
                (33, Clear, None, None),
            ],
            &[(0, WARNING, Why::Opened)],
        ),
        (
            "an alert that another one muted is told when that is over",
            &at_once,
            &[(0, Holds(WARNING), None, INHIBITED), (5, Holds(WARNING), None, None)],
            &[(5, WARNING, Why::Opened)],
        ),
        (
            "a silence in the middle keeps back what is worse",
            &at_once,
            &[(0, Holds(WARNING), None, None), (1, Holds(CRITICAL), None, SILENT), (9, Holds(CRITICAL), None, None)],
            &[(0, WARNING, Why::Opened), (9, CRITICAL, Why::Worsened)],
        ),
    ];
    for (name, policy, steps, expected) in table {
        assert_eq!(heard(policy, steps).1, *expected, "{name}");
    }
}

#[test]
fn a_reset_ends_what_is_firing_and_nothing_else() {
    let fired = |mute| heard(&POLICY, &[(1, Holds(CRITICAL), None, mute)]).0;
    let pending = Alert { episode: 0, state: AlertState::Pending { level: INFO, since: hour(1) } };
    let resolved = |untold| Alert {
        episode: 1,
        state: AlertState::Resolved { level: CRITICAL, since: hour(1), at: hour(2), untold },
    };
    let silent = AlertPolicy { sends_plan_reset: false, ..POLICY };
    for (name, alert, policy, ended, mute, told) in [
        ("told", fired(None), &POLICY, resolved(Some(Why::PlanReset)), None, Some((CRITICAL, Why::PlanReset))),
        ("at night", fired(None), &POLICY, resolved(Some(Why::PlanReset)), QUIET, None),
        ("never told", fired(QUIET), &POLICY, resolved(None), None, None),
        ("not to be told", fired(None), &silent, resolved(None), None, None),
        ("pending", pending, &POLICY, Alert::default(), None, None),
        ("over", resolved(None), &POLICY, resolved(None), None, None),
        ("never begun", Alert::default(), &POLICY, Alert::default(), None, None),
    ] {
        let after = end_with_period(&alert, hour(2), policy);
        assert_eq!(after, ended, "{name}");
        assert_eq!(end_with_period(&after, hour(3), policy), after, "{name}: twice");
        let seen = Observation { finding: Unknown, figure: None, now: hour(2) };
        assert_eq!(tell(&after, seen, policy, mute).1, told, "{name}");
    }
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let levels = prop_oneof![Just(INFO), Just(WARNING), Just(LOWER), Just(CRITICAL)];
    prop_oneof![levels.clone().prop_map(Holds), levels.prop_map(Undecided), Just(Clear), Just(Unknown)]
}

fn any_mute() -> impl Strategy<Value = Option<Mute>> {
    prop_oneof![3 => Just(None), 1 => Just(QUIET), 1 => Just(SILENT), 1 => Just(INHIBITED)]
}

proptest! {
    /// Whatever is seen and kept back, in whatever order: an episode is opened before it worsens or resolves, no level is
    /// opened or worsened to twice, levels only rise within an episode, and nothing is told while it is muted.
    #[test]
    fn people_hear_a_story_that_makes_sense(
        hold in 0_i64..4,
        seen in proptest::collection::vec((1_i64..40, any_finding(), any_mute()), 0..60),
    ) {
        let mut at = 0;
        let steps: Vec<Step> = seen.iter().map(|(step, finding, mute)| { at += step; (at, *finding, None, *mute) }).collect();
        let policy = AlertPolicy { hold_for: SignedDuration::from_hours(hold), ..POLICY };
        let (last, told) = heard(&policy, &steps);
        let mut open: Option<Level> = None;
        for (at, level, why) in &told {
            let (.., mute) = steps.iter().find(|(step, ..)| step == at).unwrap();
            prop_assert_eq!(*mute, None);
            match why {
                // An end in a silence is not told; the next episode is a new one all the same.
                Why::Opened => open = Some(*level),
                Why::Worsened => { prop_assert!(open.is_some_and(|before| *level > before)); open = Some(*level); }
                Why::Resolved => { prop_assert!(open.is_some()); open = None; }
                Why::Repeated | Why::PlanReset => prop_assert!(false, "nothing moved and no period ended"),
            }
        }
        let opened = told.iter().filter(|(.., why)| *why == Why::Opened).count();
        prop_assert!(opened <= last.episode as usize, "an episode is opened once: {} of {}", opened, last.episode);
    }

    /// What is muted and then not is told as if it had not been, but for what had passed by then.
    #[test]
    fn a_mute_keeps_back_and_loses_nothing_that_is_still_true(
        muted in proptest::collection::vec((1_i64..40, any_finding()), 0..20),
        level in prop_oneof![Just(INFO), Just(WARNING), Just(CRITICAL)],
    ) {
        let mut at = 0;
        let mut steps: Vec<Step> = muted.iter().map(|(step, finding)| { at += step; (at, *finding, None, QUIET) }).collect();
        steps.push((at + 1, Holds(level), None, None));
        let (last, told) = heard(&POLICY, &steps);
        let Some(stage) = last.firing() else { return Err(TestCaseError::fail("it holds and does not fire")) };
        prop_assert_eq!(told.len(), 1);
        prop_assert_eq!((told[0].1.stage, told[0].2), (stage, Why::Opened));
    }
}
