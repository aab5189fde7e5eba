//! Balances against entries: what a reported balance says that no charge explains. Pure; `store` keeps what comes out.

use jiff::{SignedDuration, Timestamp};

use super::calendar::ResetRule;
use super::credits::Credits;
use super::ledger::{Basis, Entry, EntryKind};
use super::reading::{BalanceRecord, PlanRecord};

/// The last balance read, and how far it agrees with the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceState {
    /// What the platform said.
    pub record: BalanceRecord,
    /// When.
    pub read_at: Timestamp,
    /// Since when entries are held against balances: the first reading, or the last reset.
    pub baseline_at: Timestamp,
    /// Balance change since then that no entry explains; above zero: more left than charges say. `None` until two
    /// balances were read.
    pub drift: Option<Credits>,
    /// Sum of all grants recognised so far.
    pub granted: Credits,
    /// A plan reset that has passed without showing in the balance yet.
    pub awaited_reset: Option<Timestamp>,
}

/// How long after a plan reset a rise of the balance is still taken for it: platforms refill late.
pub const RESET_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// Holds a balance against the one before it.
///
/// `net_charged` is what the ledger gained since the previous reading: charges less refunds whose time is not before
/// `previous.baseline_at`. `reset_at` is the plan reset that lies between the two readings, if one does.
///
/// - Across a reset, what no charge explains becomes one `reset` entry, and the drift begins anew at 0.
/// - A rise that two readings in a row agree on becomes a `grant` of the smaller of the two; not sooner, because a
///   refund may show in the balance before it shows in the list of charges.
/// - A fall stays as drift: it is what somebody spent where the list of charges does not look.
pub fn reconcile_balance(
    previous: Option<&BalanceState>,
    record: &BalanceRecord,
    now: Timestamp,
    net_charged: Credits,
    reset_at: Option<Timestamp>,
) -> (BalanceState, Option<Entry>) {
    let mut next = BalanceState {
        record: record.clone(),
        read_at: now,
        baseline_at: now,
        drift: None,
        granted: Credits::ZERO,
        awaited_reset: None,
    };
    let Some(previous) = previous else { return (next, None) };
    next.granted = previous.granted;
    let unexplained = change(&previous.record, record) + net_charged;
    let entry = |key: String, kind: EntryKind, at: Timestamp, credits: Credits| Entry {
        key,
        kind,
        at,
        seen_at: now,
        credits,
        task_id: None,
        team: None,
        basis: Basis::Derived,
    };

    let awaited = previous.awaited_reset.filter(|at| now.duration_since(*at) <= RESET_GRACE);
    if let Some(at) = reset_at.or(awaited.filter(|_| unexplained.is_positive())) {
        next.drift = Some(Credits::ZERO);
        let has_shown = unexplained != Credits::ZERO;
        next.awaited_reset = if has_shown { None } else { Some(at) };
        let reset = || entry(format!("reset/{at}"), EntryKind::Reset, at, unexplained);
        return (next, has_shown.then(reset));
    }

    next.baseline_at = previous.baseline_at;
    next.awaited_reset = awaited;
    let drift_before = previous.drift.unwrap_or(Credits::ZERO);
    let drift = drift_before + unexplained;
    if drift_before.is_positive() && drift.is_positive() {
        let amount = drift_before.min(drift);
        next.granted += amount;
        next.drift = Some(drift - amount);
        let key = format!("grant/{}/{now}", next.granted);
        return (next, Some(entry(key, EntryKind::Grant, now, amount)));
    }
    next.drift = Some(drift);
    (next, None)
}

/// The plan reset in `(from, to]`, if there is one: the platform's date if it gave one, else the configured rule's. Of
/// several the latest.
pub fn reset_between(
    reported: Option<&PlanRecord>,
    declared: Option<&ResetRule>,
    from: Timestamp,
    to: Timestamp,
) -> Option<Timestamp> {
    let lies_between = |at: &Timestamp| from < *at && *at <= to;
    match reported.and_then(|plan| plan.resets_at) {
        Some(at) => Some(at).filter(lies_between),
        None => declared.and_then(|rule| rule.last_at_or_before(to)).filter(lies_between),
    }
}

/// How much more is held than before. Credits frozen for running tasks have not been spent, so they count where both
/// readings name them.
fn change(before: &BalanceRecord, now: &BalanceRecord) -> Credits {
    let frozen = match (before.frozen, now.frozen) {
        (Some(before), Some(now)) => now - before,
        _ => Credits::ZERO,
    };
    now.available - before.available + frozen
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_760_000_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(START + minutes * 60).unwrap()
    }

    fn balance(available: i64, frozen: Option<i64>) -> BalanceRecord {
        let frozen = frozen.map(Credits::from_whole);
        BalanceRecord { available: Credits::from_whole(available), plan: None, purchased: None, frozen }
    }

    /// One reading of a series: balance, frozen, net charged since the last, whether a reset lies between.
    type Step = (i64, Option<i64>, i64, bool);

    fn replay(steps: &[Step]) -> (BalanceState, Vec<Entry>) {
        let mut state: Option<BalanceState> = None;
        let mut entries = Vec::new();
        for (minute, (available, frozen, net, reset)) in (0..).step_by(5).zip(steps) {
            let record = balance(*available, *frozen);
            let reset_at = reset.then(|| at(minute - 1));
            let (next, entry) =
                reconcile_balance(state.as_ref(), &record, at(minute), Credits::from_whole(*net), reset_at);
            state = Some(next);
            entries.extend(entry);
        }
        (state.unwrap(), entries)
    }

    #[test]
    fn balances_are_held_against_entries() {
        type Case<'a> = (&'a str, &'a [Step], Option<i64>, &'a [(EntryKind, i64)]);
        let cases: [Case; 12] = [
            ("a first reading", &[(100, None, 40, false)], None, &[]),
            ("a charge explains a fall", &[(100, None, 0, false), (80, None, 20, false)], Some(0), &[]),
            ("spent elsewhere", &[(100, None, 0, false), (80, None, 5, false)], Some(-15), &[]),
            (
                "a charge is listed one poll late",
                &[(100, None, 0, false), (80, None, 0, false), (80, None, 20, false)],
                Some(0),
                &[],
            ),
            (
                "a refund is listed one poll late",
                &[(80, None, 0, false), (100, None, 0, false), (100, None, -20, false)],
                Some(0),
                &[],
            ),
            ("one rise proves nothing yet", &[(80, None, 0, false), (580, None, 0, false)], Some(500), &[]),
            (
                "a rise that stays is a grant",
                &[(80, None, 0, false), (580, None, 0, false), (570, None, 10, false)],
                Some(0),
                &[(EntryKind::Grant, 500)],
            ),
            (
                "the smaller of two drifts is granted",
                &[(80, None, 0, false), (580, None, 0, false), (560, None, 10, false), (560, None, 0, false)],
                Some(0),
                &[(EntryKind::Grant, 490)],
            ),
            (
                "a reset sets anew, and old drift ends with the period",
                &[(100, None, 0, false), (80, None, 5, false), (1000, None, 10, true)],
                Some(0),
                &[(EntryKind::Reset, 930)],
            ),
            (
                "a reset that shows late is still the reset",
                &[(100, None, 0, false), (90, None, 10, true), (1000, None, 0, false)],
                Some(0),
                &[(EntryKind::Reset, 910)],
            ),
            (
                "credits frozen for running tasks are not spent",
                &[(100, Some(0), 0, false), (70, Some(30), 0, false), (70, Some(0), 30, false)],
                Some(0),
                &[],
            ),
            ("a reset may take", &[(100, None, 0, false), (60, None, 0, true)], Some(0), &[(EntryKind::Reset, -40)]),
        ];
        for (name, steps, drift, expected) in cases {
            let (state, entries) = replay(steps);
            let found: Vec<_> = entries.iter().map(|e| (e.kind, e.credits)).collect();
            let expected: Vec<_> = expected.iter().map(|(kind, c)| (*kind, Credits::from_whole(*c))).collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(state.drift, drift.map(Credits::from_whole), "{name}");
        }
    }

    #[test]
    fn a_late_reset_is_awaited_for_a_day() {
        let (waiting, _) = replay(&[(100, None, 0, false), (100, None, 0, true)]);
        let late = waiting.awaited_reset.unwrap() + RESET_GRACE + SignedDuration::from_secs(1);
        let (state, entry) = reconcile_balance(Some(&waiting), &balance(900, None), late, Credits::ZERO, None);
        assert_eq!((entry, state.drift), (None, Some(Credits::from_whole(800))));
    }

    #[test]
    fn the_platforms_reset_date_wins() {
        let plan = |resets_at| PlanRecord { name: None, allowance: None, resets_at };
        for (reported, expected) in [
            (Some(plan(Some(at(3)))), Some(at(3))),
            (Some(plan(Some(at(5)))), Some(at(5))),
            (Some(plan(Some(at(0)))), None),
            (Some(plan(Some(at(6)))), None),
            (Some(plan(None)), None),
            (None, None),
        ] {
            assert_eq!(reset_between(reported.as_ref(), None, at(0), at(5)), expected, "{reported:?}");
        }
    }
}
