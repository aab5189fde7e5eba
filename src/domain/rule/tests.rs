use super::*;
use crate::domain::alert::Stage;

#[test]
fn thresholds_need_a_whole_only_for_shares() {
    let hundred = Credits::from_whole(100);
    for (threshold, capacity, expected) in [
        (Threshold::Share(0.2), Some(hundred), Some(Credits::from_whole(20))),
        (Threshold::Share(0.2), None, None),
        (Threshold::Share(0.2), Some(Credits::ZERO), None),
        (Threshold::Credits(hundred), None, Some(hundred)),
    ] {
        assert_eq!(threshold.of(capacity), expected, "{threshold:?} of {capacity:?}");
    }
}

#[test]
fn every_rule_has_a_policy_for_its_alert() {
    let rules = Rules::default();
    let start = Timestamp::UNIX_EPOCH;
    let month = Some((start, start + SignedDuration::from_hours(30 * 24)));
    for rule in RuleName::ALL {
        assert!(rules.is_enabled(rule), "{rule}");
        let policy = rules.alert_policy(rule, month, SignedDuration::from_hours(24));
        assert_eq!(policy.sends_plan_reset, rule.lifetime() == Lifetime::PeriodTold, "{rule}");
        assert!(policy.hold_for >= SignedDuration::ZERO && policy.keep_firing_for >= SignedDuration::ZERO, "{rule}");
        // Who is told for information does not hear that it is over.
        assert!(!policy.sends_resolved || rule.stages().iter().any(|stage| *stage > Stage::Info), "{rule}");
    }
    let exhaustion = rules.alert_policy(RuleName::Exhaustion, month, SignedDuration::from_hours(24));
    assert_eq!(exhaustion.keep_firing_for, SignedDuration::from_hours(24));
    assert_eq!(exhaustion.repeat_if_moved, Moved::By(72 * 3_600_000));
}

#[test]
fn a_rule_that_is_switched_off_is_not_asked() {
    let mut rules = Rules::default();
    rules.low_balance.is_enabled = false;
    assert!(!rules.is_enabled(RuleName::LowBalance) && rules.is_enabled(RuleName::Exhaustion));
}
