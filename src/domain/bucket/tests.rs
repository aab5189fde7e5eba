use proptest::prelude::*;

use super::*;

const START: i64 = 1_760_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

fn event(seconds: i64, what: Happening) -> Event {
    Event { at: at(seconds), key: format!("{seconds} {what:?}"), what }
}

fn used(seconds: i64, credits: i64) -> Event {
    event(seconds, Happening::Used(whole(credits)))
}

fn bought(seconds: i64, credits: i64, expires_after: Option<i64>) -> Event {
    event(seconds, Happening::Granted(whole(credits), expires_after.map(|after| at(seconds + after))))
}

fn reset(seconds: i64, change: i64) -> Event {
    event(seconds, Happening::Reset(Some(whole(change))))
}

fn monthly(carry_over: CarryOver) -> Refill {
    Refill { allowance: Some(whole(1000)), carry_over }
}

/// Plan, unknown, purchased and owed.
fn parts(lots: &Lots) -> [i64; 4] {
    let kinds = [LotKind::Plan, LotKind::Unknown, LotKind::Purchased].map(|kind| lots.left(kind));
    [kinds[0], kinds[1], kinds[2], lots.owed()].map(|credits| credits.micros() / 1_000_000)
}

#[test]
fn credits_burn_in_order_and_lapse_when_they_must() {
    use CarryOver::{All, AtMost, Nothing};
    let opened = |available| Lots::opened_with(&BalanceRecord::of(whole(available)), at(0), false);
    let by_plan = || Lots::opened_by_plan(whole(1000), at(0));
    let expiring = Happening::Expired(whole(30));
    // What is left in each part, what lapsed at resets, what was carried over at the last.
    type Case<'a> = (&'a str, Lots, Refill, Vec<Event>, [i64; 4], i64, Option<i64>);
    let cases: Vec<Case> = vec![
        ("nobody knows what was there at first", opened(500), monthly(Nothing), vec![], [0, 500, 0, 0], 0, None),
        (
            "what was there burns before what was bought since",
            opened(500),
            monthly(Nothing),
            vec![bought(1, 100, None), used(2, 450)],
            [0, 50, 100, 0],
            0,
            None,
        ),
        (
            "a reset shows what the plan brought",
            opened(500),
            monthly(Nothing),
            vec![bought(1, 100, None), used(2, 450), reset(3, 950), used(4, 1020)],
            [0, 0, 80, 0],
            0,
            Some(0),
        ),
        (
            "what is there beside the plan was bought",
            opened(500),
            monthly(Nothing),
            vec![reset(3, 700)],
            [1000, 0, 200, 0],
            0,
            Some(0),
        ),
        (
            "the plan's lapse at the reset, bought ones stay",
            opened(1000),
            monthly(Nothing),
            vec![reset(1, 0), bought(2, 50, None), used(3, 400), reset(4, 400)],
            [1000, 0, 50, 0],
            600,
            Some(0),
        ),
        (
            "all are carried over",
            opened(1000),
            monthly(All),
            vec![reset(1, 0), bought(2, 50, None), used(3, 400), reset(4, 1000)],
            [1600, 0, 50, 0],
            0,
            Some(600),
        ),
        (
            "some are carried over",
            opened(1000),
            monthly(AtMost(whole(200))),
            vec![reset(1, 0), used(3, 400), reset(4, 600)],
            [1200, 0, 0, 0],
            400,
            Some(200),
        ),
        (
            "by the plan alone",
            by_plan(),
            monthly(Nothing),
            vec![used(1, 300), event(2, Happening::Reset(None)), used(3, 100)],
            [900, 0, 0, 0],
            700,
            Some(0),
        ),
        (
            "by the plan alone, carried over twice",
            by_plan(),
            monthly(AtMost(whole(1200))),
            vec![used(1, 300), event(2, Happening::Reset(None)), used(3, 100), event(4, Happening::Reset(None))],
            [2200, 0, 0, 0],
            400,
            Some(1200),
        ),
        (
            "by the plan alone, what was overspent is forgiven",
            by_plan(),
            monthly(All),
            vec![used(1, 1300), event(2, Happening::Reset(None))],
            [1000, 0, 0, 0],
            0,
            Some(0),
        ),
        ("more than there was", by_plan(), monthly(Nothing), vec![used(1, 1300)], [0, 0, 0, 300], 0, None),
        (
            "what is owed is paid from what comes next",
            by_plan(),
            monthly(Nothing),
            vec![used(1, 1300), bought(2, 500, None), used(3, -50)],
            [0, 0, 250, 0],
            0,
            None,
        ),
        (
            "the lot that lapses first burns first, and lapses alone",
            by_plan(),
            monthly(Nothing),
            vec![bought(1, 100, None), bought(2, 100, Some(9)), used(3, 1070), event(11, expiring)],
            [0, 0, 100, 0],
            0,
            None,
        ),
    ];
    for (name, mut lots, refill, events, expected, lapsed, carried) in cases {
        lots.take(&events, refill);
        assert_eq!(parts(&lots), expected, "{name}");
        assert_eq!((lots.lapsed, lots.carried), (whole(lapsed), carried.map(whole)), "{name}");
    }
}

#[test]
fn a_lot_is_due_round_its_own_date() {
    let mut lots = Lots::opened_with(&BalanceRecord::of(whole(5)), at(0), true);
    lots.take(&[bought(0, 100, Some(10 * DAY)), bought(DAY, 50, Some(10 * DAY)), used(2 * DAY, 30)], Refill::default());
    let due = |now: i64| lots.due(at(now - 300), at(now));
    let lot = |left, has_come| DueLot { left: whole(left), has_come };
    assert_eq!(due(8 * DAY), []);
    assert_eq!(due(9 * DAY + 1), [lot(70, false)]);
    assert_eq!(due(10 * DAY), [lot(70, true), lot(50, false)]);
    assert_eq!(due(11 * DAY + 301), [lot(50, false)]);
    assert_eq!(due(13 * DAY), []);
    assert_eq!(lots.next_expiry(at(0)), Some((at(10 * DAY), whole(70))));
    assert_eq!(lots.next_expiry(at(10 * DAY)), Some((at(11 * DAY), whole(50))));
}

#[test]
fn parts_add_up_to_what_can_be_spent() {
    for (name, available, plan, purchased, expected) in [
        ("one number", 410, None, None, [None, None, Some(410)]),
        ("parts that add up", 300, Some(200), Some(100), [Some(200), Some(100), None]),
        ("a limit of the member's", 150, Some(200), Some(100), [Some(50), Some(100), None]),
        ("a limit below what was bought", 60, Some(200), Some(100), [Some(0), Some(60), None]),
        ("a part nobody speaks of", 350, Some(200), Some(100), [Some(200), Some(100), Some(50)]),
        ("the plan alone, more than can be spent", 150, Some(200), None, [Some(150), None, None]),
        ("more was bought than can be spent", 100, Some(10), Some(150), [Some(0), Some(100), None]),
        ("the plan alone", 100, Some(60), None, [Some(60), None, Some(40)]),
        ("overdrawn", -20, Some(0), Some(0), [Some(0), Some(-20), None]),
    ] {
        let parts = Buckets::of_parts(whole(available), plan.map(whole), purchased.map(whole));
        let parts = [parts.plan, parts.purchased, parts.unknown];
        assert_eq!(parts, expected.map(|part| part.map(whole)), "{name}");
        assert_eq!(parts.into_iter().flatten().sum::<Credits>(), whole(available), "{name}");
    }
}

#[test]
fn what_the_platform_says_of_a_part_wins() {
    let mut lots = Lots::opened_with(&BalanceRecord::of(whole(500)), at(0), false);
    lots.take(&[bought(1, 100, None), used(2, 450), reset(3, 950), used(4, 300)], monthly(CarryOver::Nothing));
    let record = |plan: Option<i64>, purchased: Option<i64>| BalanceRecord {
        plan: plan.map(whole),
        purchased: purchased.map(whole),
        ..BalanceRecord::of(whole(800))
    };
    for (plan, purchased, expected) in [
        (None, None, [700, 100]),
        (Some(650), None, [650, 100]),
        (Some(650), Some(150), [650, 150]),
        (None, Some(50), [750, 50]),
    ] {
        let buckets = Buckets::of_lots(&record(plan, purchased), &lots, true, at(9));
        assert_eq!([buckets.plan, buckets.purchased], expected.map(|part| Some(whole(part))), "{plan:?} {purchased:?}");
    }
}

/// What may happen, by kind, credits and how long bought ones last.
fn any_event() -> impl Strategy<Value = (u8, i64, i64)> {
    (0..8_u8, 0..600_i64, 1..40_i64)
}

fn history(choices: &[(u8, i64, i64)]) -> Vec<Event> {
    let happen = |(place, (kind, credits, days)): (usize, &(u8, i64, i64))| {
        let seconds = place as i64 * DAY;
        match kind {
            0..=3 => used(seconds, *credits),
            // Less came back than was charged at most launches; at this one, more.
            4 => used(seconds, -credits / 4),
            5 => bought(seconds, *credits, (days % 3 != 0).then_some(days * DAY)),
            6 => reset(seconds, *credits),
            _ => event(seconds, Happening::Expired(whole(credits / 8))),
        }
    };
    choices.iter().enumerate().map(happen).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: proptest::test_runner::RngSeed::Fixed(17),
        ..ProptestConfig::default()
    })]

    /// No credit appears or vanishes; no bucket is below zero; what is owed is owed by an empty account alone; and neither
    /// order nor repetition of what is told matters, nor whether it is told in one go.
    #[test]
    fn every_credit_is_accounted_for(
        choices in prop::collection::vec(any_event(), 0..60),
        opening in 0..2000_i64,
        carry in prop_oneof![Just(CarryOver::Nothing), Just(CarryOver::All), (0..900_i64).prop_map(|c| CarryOver::AtMost(whole(c)))],
        cut in 0..60_usize,
        seed in any::<u64>(),
    ) {
        let refill = monthly(carry);
        let events = history(&choices);
        let first = Lots::opened_with(&BalanceRecord::of(whole(opening)), at(0), seed % 2 == 0);
        let mut lots = first.clone();
        for event in &events {
            lots.take(std::slice::from_ref(event), refill);
            let came = lots.opened + lots.purchased + lots.refilled;
            prop_assert_eq!(came - lots.lapsed - lots.expired - lots.used, lots.total(), "after {:?}", event);
            prop_assert!(lots.lots.iter().all(|lot| !lot.left.is_negative() && lot.left <= lot.granted));
            let left: Credits = lots.lots.iter().map(|lot| lot.left).sum();
            prop_assert!(lots.owed() == Credits::ZERO || left == Credits::ZERO, "{:?}", lots);
        }
        let mut shuffled = events.clone();
        shuffled.extend(events.iter().take(cut).cloned());
        let length = shuffled.len();
        for place in 0..length {
            shuffled.swap(place, (seed as usize).wrapping_mul(place + 7) % length);
        }
        let mut again = first.clone();
        again.take(&shuffled, refill);
        prop_assert_eq!(&again, &lots);
        let mut in_two = first;
        let (early, late) = events.split_at(cut.min(events.len()));
        in_two.take(early, refill);
        in_two.take(late, refill);
        prop_assert_eq!(&in_two, &lots);
    }
}
