use super::*;

const START: i64 = 1_760_000_000;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(START + minutes * 60).unwrap()
}

fn balance(available: i64, frozen: Option<i64>) -> BalanceRecord {
    let frozen = frozen.map(Credits::from_whole);
    BalanceRecord { frozen, ..BalanceRecord::of(Credits::from_whole(available)) }
}

fn since(now: Timestamp, net_charged: i64) -> Since<'static> {
    Since {
        now,
        net_charged: Credits::from_whole(net_charged),
        net_late: Credits::ZERO,
        net_estimated: Credits::ZERO,
        reset_at: None,
        allowance: None,
        carry_over: CarryOver::Nothing,
        due: &[],
        charges: ChargeSource::History,
        refundable: &[],
    }
}

/// One reading of a series: balance, frozen, net charged since the last, whether a reset lies between.
type Step = (i64, Option<i64>, i64, bool);

fn replay(steps: &[Step]) -> (BalanceState, Vec<Entry>) {
    let mut state: Option<BalanceState> = None;
    let mut entries = Vec::new();
    for (minute, (available, frozen, net, reset)) in (0..).step_by(5).zip(steps) {
        let record = balance(*available, *frozen);
        let reset_at = reset.then(|| at(minute - 1));
        let since = Since { reset_at, ..since(at(minute), *net) };
        let reconciled = reconcile_balance(state.as_ref(), &record, &since);
        assert!(reconciled.records.is_empty(), "charges are listed");
        state = Some(reconciled.state);
        entries.extend(reconciled.entries);
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
            &[(EntryKind::Adjustment, -15), (EntryKind::Reset, 930)],
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
    let reconciled = reconcile_balance(Some(&waiting), &balance(900, None), &since(late, 0));
    assert_eq!((reconciled.entries, reconciled.state.drift), (vec![], Some(Credits::from_whole(800))));
}

#[test]
fn without_a_list_of_charges_every_change_is_explained() {
    use EntryKind::{Adjustment, Expiry, Grant, Reset};
    let charge = |id: &str, minute, net, is_derived| Refundable {
        id: id.into(),
        created_at: at(minute),
        state: if is_derived { TaskState::Succeeded } else { TaskState::Failed },
        task_type: "any".into(),
        is_derived,
        net: Credits::from_whole(net),
    };
    let known = [charge("balance/old", -1500, 7, true), charge("balance/a", 1, 20, true), charge("f", 2, 9, false)];
    // Balance before and after, charged meanwhile, of that estimated, lapsed; entries and records that follow.
    type Case<'a> = (&'a str, [i64; 2], [i64; 3], &'a [(EntryKind, i64)], &'a [(&'a str, i64)]);
    let cases: [Case; 12] = [
        ("nothing happened", [100, 100], [0, 0, 0], &[], &[]),
        ("a fall is a charge", [100, 70], [0, 0, 0], &[], &[("balance/", 30)]),
        ("what is known is not charged again", [100, 70], [20, 0, 0], &[], &[("balance/", 10)]),
        ("a rise of a recent charge's size is its refund", [70, 90], [0, 0, 0], &[], &[("balance/a", 0)]),
        ("or that of a failed task", [70, 79], [0, 0, 0], &[], &[("f", 0)]),
        ("a charge of yesterday comes back no more", [70, 77], [0, 0, 0], &[(Grant, 7)], &[]),
        ("any other rise is a top-up", [70, 570], [0, 0, 0], &[(Grant, 500)], &[]),
        ("a rise to the allowance is a reset", [70, 1000], [0, 0, 0], &[(Reset, 930)], &[]),
        ("an estimate was too high", [100, 95], [8, 8, 0], &[(Adjustment, 3)], &[]),
        ("credits lapsed", [100, 60], [0, 0, 40], &[(Expiry, 40)], &[]),
        ("some lapsed, some were spent", [100, 50], [0, 0, 40], &[(Expiry, 40)], &[("balance/", 10)]),
        ("they had been spent before they could lapse", [100, 90], [0, 0, 40], &[(Expiry, 10)], &[]),
    ];
    for (name, [before, after], [net, estimated, lapsed], entries, records) in cases {
        let first = reconcile_balance(None, &balance(before, None), &since(at(0), 0)).state;
        let since = Since {
            net_estimated: Credits::from_whole(estimated),
            due: &[DueLot { left: Credits::from_whole(lapsed), has_come: true }],
            allowance: Some(Credits::from_whole(1000)),
            charges: ChargeSource::Balance,
            refundable: &known,
            ..since(at(5), net)
        };
        let found = reconcile_balance(Some(&first), &balance(after, None), &since);
        let expected: Vec<_> = entries.iter().map(|(kind, c)| (*kind, Credits::from_whole(*c))).collect();
        assert_eq!(found.entries.iter().map(|e| (e.kind, e.credits)).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(found.records.len(), records.len(), "{name}");
        for (record, (id, credits)) in found.records.iter().zip(records) {
            assert!(record.id.starts_with(id), "{name}: {}", record.id);
            assert_eq!(record.credits, Some(Credits::from_whole(*credits)), "{name}");
        }
        assert_eq!(found.state.drift, Some(Credits::ZERO), "{name}");
    }
}

#[test]
fn a_plan_that_refills_at_an_unexpected_time_is_a_reset() {
    let step = |state: &BalanceState, minute, available| {
        let since = Since { allowance: Some(Credits::from_whole(1000)), ..since(at(minute), 0) };
        reconcile_balance(Some(state), &balance(available, None), &since)
    };
    for (name, before, expected) in [
        ("a refill", 200, vec![(EntryKind::Reset, 800)]),
        ("the last drops of a full tank", 950, vec![(EntryKind::Grant, 50)]),
    ] {
        let first = reconcile_balance(None, &balance(before, None), &since(at(0), 0)).state;
        let risen = step(&first, 5, 1000);
        assert_eq!(risen.entries, [], "{name}: one reading proves nothing");
        let found = step(&risen.state, 10, 1000);
        let entries: Vec<_> = found.entries.iter().map(|e| (e.kind, e.credits)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(kind, c)| (kind, Credits::from_whole(c))).collect();
        assert_eq!(entries, expected, "{name}");
    }
}

#[test]
fn where_credits_are_carried_over_a_refill_is_a_rise_by_the_allowance() {
    use CarryOver::{All, AtMost, Nothing};
    use EntryKind::{Grant, Reset};
    let most = AtMost(Credits::from_whole(300));
    // Balance before, charged meanwhile, balance after; what that is by each way to carry over.
    for (name, carry_over, [before, charged, after], expected) in [
        ("to the allowance", Nothing, [200, 0, 1000], (Reset, 800)),
        ("by the allowance, and nothing is carried over", Nothing, [200, 0, 1200], (Grant, 1000)),
        ("by the allowance", All, [200, 0, 1200], (Reset, 1000)),
        ("by the allowance, with a charge between", All, [200, 50, 1150], (Reset, 1000)),
        ("to the allowance, and all is carried over", All, [200, 0, 1000], (Grant, 800)),
        ("by the allowance, below the cap", most, [200, 0, 1200], (Reset, 1000)),
        ("to the cap and the allowance", most, [700, 0, 1300], (Reset, 600)),
        ("by something else", most, [200, 0, 700], (Grant, 500)),
    ] {
        for charges in ChargeSource::ALL {
            let first = reconcile_balance(None, &balance(before, None), &since(at(0), 0)).state;
            let allowance = Some(Credits::from_whole(1000));
            let since = |minute, net| Since { allowance, carry_over, charges, ..since(at(minute), net) };
            let risen = reconcile_balance(Some(&first), &balance(after, None), &since(5, charged));
            let stays = reconcile_balance(Some(&risen.state), &balance(after, None), &since(10, 0));
            let found: Vec<_> = risen.entries.iter().chain(&stays.entries).map(|e| (e.kind, e.credits)).collect();
            let (kind, credits) = expected;
            assert_eq!(found, [(kind, Credits::from_whole(credits))], "{name}, {charges:?}");
            assert_eq!(stays.state.drift, Some(Credits::ZERO), "{name}, {charges:?}");
        }
    }
}

#[test]
fn a_fall_is_that_of_a_lot_whose_date_is_near_only_as_a_whole() {
    let lot = |left, has_come| DueLot { left: Credits::from_whole(left), has_come };
    for (name, due, fall, lapsed) in [
        ("no lot is near", vec![], 40, 0),
        ("seen early, as a whole", vec![lot(40, false)], 40, 40),
        ("and a charge besides", vec![lot(40, false)], 50, 40),
        ("a charge while a lot is near", vec![lot(40, false)], 30, 0),
        ("on its date, what is left of it", vec![lot(40, true)], 30, 30),
        ("the first of two", vec![lot(40, false), lot(60, false)], 50, 40),
        ("a rise", vec![lot(40, true)], -10, 0),
    ] {
        assert_eq!(lapsed_of(&due, Credits::from_whole(fall)), Credits::from_whole(lapsed), "{name}");
    }
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
