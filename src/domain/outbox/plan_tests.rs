//! What becomes of waiting messages, case by case, and what holds for any of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const LIMITS: DeliveryLimits = DeliveryLimits { per_recipient_per_hour: 3, per_recipient_per_day: 10, per_minute: 60 };

/// Every case is looked at at this minute.
const NOW: i64 = 10_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

/// Decided now, of a conversation of that name, never tried.
fn fresh(id: i64, thread: &str) -> WaitingMessage {
    WaitingMessage {
        id,
        kind: MessageKind::Notice,
        threads: vec![thread.into()],
        notices: 1,
        is_urgent: false,
        is_under_way: false,
        attempts: 0,
        created_at: at(NOW),
        next_attempt_at: at(NOW),
    }
}

fn urgent(id: i64, thread: &str) -> WaitingMessage {
    WaitingMessage { is_urgent: true, ..fresh(id, thread) }
}

/// Failed some minutes ago, and due in so many.
fn failed(id: i64, thread: &str, due_in: i64) -> WaitingMessage {
    let (created_at, next_attempt_at) = (at(NOW - 5), at(NOW + due_in));
    WaitingMessage { attempts: 2, created_at, next_attempt_at, ..fresh(id, thread) }
}

fn under_way(message: WaitingMessage) -> WaitingMessage {
    WaitingMessage { is_under_way: true, next_attempt_at: at(NOW + 30), attempts: 1, ..message }
}

fn collected(id: i64, threads: &[&str]) -> WaitingMessage {
    let threads: Vec<String> = threads.iter().map(|thread| (*thread).into()).collect();
    WaitingMessage { kind: MessageKind::Collected, notices: threads.len(), threads, ..failed(id, "", 0) }
}

fn planned(waiting: Vec<WaitingMessage>, sent_minutes_ago: &[i64]) -> Plan {
    let sent = sent_minutes_ago.iter().map(|minutes| at(NOW - minutes)).collect();
    plan(&RecipientQueue { recipient: "lead@studio.example".into(), waiting, sent }, &LIMITS, true, at(NOW))
}

/// A week's or a period's, which tells of no alert.
fn report(id: i64) -> WaitingMessage {
    WaitingMessage { kind: MessageKind::Report, ..fresh(id, &format!("report {id}")) }
}

/// A plan in words: `send 1 2; superseded 3 4; collected! 5 6; hold 7 until +60`, an exclamation mark for what is urgent.
fn in_words(plan: &Plan) -> String {
    let list = |ids: &[i64]| ids.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
    let mut parts = Vec::new();
    if !plan.sends.is_empty() {
        parts.push(format!("send {}", list(&plan.sends)));
    }
    for merge in &plan.merges {
        let mark = if merge.is_urgent { "!" } else { "" };
        parts.push(format!("{}{mark} {}", merge.reason.as_str(), list(&merge.messages)));
    }
    for hold in &plan.holds {
        let minutes = hold.until.duration_since(at(NOW)).as_mins();
        parts.push(format!("hold {} until +{minutes}", list(&hold.messages)));
    }
    parts.join("; ")
}

#[test]
fn what_becomes_of_waiting_messages() {
    let old = |id, thread: &str| WaitingMessage { created_at: at(NOW - 10), ..fresh(id, thread) };
    let held = |id, thread: &str| WaitingMessage { next_attempt_at: at(NOW + 20), ..fresh(id, thread) };
    let hours_old = |message| WaitingMessage { created_at: at(NOW - 120), ..message };
    let later = |message: WaitingMessage| WaitingMessage { created_at: at(NOW + 1), ..message };
    let cases: Vec<(&str, Vec<WaitingMessage>, &[i64], &str)> = vec![
        ("nothing waits", vec![], &[], ""),
        ("what is due leaves", vec![fresh(1, "a"), fresh(2, "b")], &[], "send 1 2"),
        ("what failed waits for its time", vec![failed(1, "a", 3)], &[], ""),
        ("and then leaves", vec![failed(1, "a", 0)], &[], "send 1"),
        ("urgent ones first", vec![fresh(1, "a"), urgent(2, "b")], &[], "send 2 1"),
        ("a quick sequence stays, one at a time", vec![fresh(1, "a"), later(fresh(2, "a"))], &[], "send 1"),
        (
            "one that failed is superseded",
            vec![failed(1, "a", 9), fresh(2, "a"), fresh(3, "b")],
            &[],
            "send 3; superseded 1 2",
        ),
        ("one that has waited for long too", vec![old(1, "a"), fresh(2, "a")], &[], "superseded 1 2"),
        ("what is true now decides", vec![failed(1, "a", 9), urgent(2, "a")], &[], "superseded! 1 2"),
        ("one under way is left alone", vec![under_way(fresh(1, "a")), fresh(2, "a"), fresh(3, "b")], &[], "send 3"),
        (
            "and the others become one",
            vec![under_way(fresh(1, "a")), failed(2, "a", 9), fresh(3, "a")],
            &[],
            "superseded 2 3",
        ),
        (
            "more than an hour has room for",
            (1..6).map(|id| fresh(id, &id.to_string())).collect(),
            &[],
            "collected 1 2 3 4 5",
        ),
        ("room for two of them", vec![fresh(1, "a"), fresh(2, "b")], &[30], "send 1 2"),
        ("room for one of them", vec![fresh(1, "a"), fresh(2, "b")], &[30, 20], "collected 1 2"),
        ("no room", vec![fresh(1, "a"), fresh(2, "b")], &[50, 40, 30], "hold 1 2 until +10"),
        ("a clock that was ahead is forgotten", vec![fresh(1, "a"), fresh(2, "b")], &[40, -10, -20], "send 1 2"),
        ("an hour later there is", vec![fresh(1, "a"), fresh(2, "b")], &[60, 40, 30], "collected 1 2"),
        (
            "those under way take room",
            vec![under_way(fresh(1, "a")), fresh(2, "b"), fresh(3, "c")],
            &[40],
            "collected 2 3",
        ),
        (
            "the last fifth of a day is kept",
            vec![fresh(1, "a")],
            &[1000, 900, 800, 700, 600, 500, 400, 300],
            "hold 1 until +440",
        ),
        (
            "for what is urgent, which passes the hourly cap too",
            vec![fresh(1, "a"), urgent(2, "b")],
            &[900, 800, 700, 600, 500, 50, 40, 30],
            "send 2; hold 1 until +540",
        ),
        (
            "which takes the last room of a day",
            vec![urgent(1, "a"), urgent(2, "b"), urgent(3, "c"), fresh(4, "d")],
            &[1000, 900, 800, 700, 600, 500, 400],
            "send 1 2 3; hold 4 until +0",
        ),
        (
            "up to the daily one",
            vec![urgent(1, "a")],
            &[900, 800, 700, 600, 500, 400, 300, 50, 40, 30],
            "hold 1 until +540",
        ),
        (
            "more urgent ones at once than an hour has room for",
            vec![fresh(1, "a"), urgent(2, "b"), urgent(3, "c"), urgent(4, "d"), urgent(5, "e")],
            &[],
            "collected! 2 3 4 5 1",
        ),
        (
            "what failed is gathered before its time",
            vec![failed(1, "a", 9), failed(2, "b", 9), failed(3, "c", 0), failed(4, "d", 9)],
            &[],
            "collected 1 2 3 4",
        ),
        (
            "a stuck conversation counts once",
            vec![failed(1, "a", 9), fresh(2, "a"), fresh(3, "b"), fresh(4, "c")],
            &[],
            "send 3 4; superseded 1 2",
        ),
        ("what is held is superseded", vec![held(1, "a"), urgent(2, "a")], &[50, 40, 30], "superseded! 1 2"),
        ("a collected one leaves like any other", vec![collected(1, &["a", "b"]), fresh(2, "c")], &[], "send 1 2"),
        (
            "it takes in what is new of what it tells",
            vec![collected(1, &["a", "b"]), fresh(2, "b"), fresh(3, "c")],
            &[],
            "send 3; collected 1 2",
        ),
        ("but not what is urgent", vec![collected(1, &["a", "b"]), urgent(2, "b")], &[], "send 2 1"),
        (
            "two collected ones become one",
            vec![collected(1, &["a", "b"]), collected(2, &["c", "d"])],
            &[],
            "collected 1 2",
        ),
        (
            "a collected one has so much room",
            vec![WaitingMessage { notices: 59, ..collected(1, &["a", "b"]) }, fresh(2, "a"), fresh(3, "b")],
            &[],
            "send 3; collected 1 2",
        ),
        ("a report leaves like any other", vec![report(1), fresh(2, "b")], &[], "send 1 2"),
        (
            "in a flood it is a message of its own",
            vec![report(1), fresh(2, "a"), fresh(3, "b"), fresh(4, "c"), report(5)],
            &[],
            "send 1 5; collected 2 3 4",
        ),
        (
            "and waits for room",
            vec![report(1), fresh(2, "a"), fresh(3, "b")],
            &[30, 20],
            "collected 2 3; hold 1 until +30",
        ),
        (
            "not for ever",
            vec![hours_old(report(1)), fresh(2, "a"), fresh(3, "b")],
            &[30, 20],
            "send 1; hold 2 3 until +30",
        ),
        (
            "unless it is not its turn",
            vec![WaitingMessage { next_attempt_at: at(NOW + 9), ..hours_old(report(1)) }, fresh(2, "a"), fresh(3, "b")],
            &[30, 20],
            "collected 2 3; hold 1 until +30",
        ),
        (
            "what is kept for the urgent is not for it",
            vec![urgent(1, "a"), urgent(2, "b"), urgent(3, "c"), urgent(4, "d"), report(5)],
            &[50, 40, 30],
            "collected! 1 2 3 4; hold 5 until +20",
        ),
        (
            "none takes the place of another",
            vec![hours_old(report(1)), WaitingMessage { threads: report(1).threads, ..hours_old(report(2)) }],
            &[],
            "send 1 2",
        ),
    ];
    for (case, waiting, sent, expected) in cases {
        assert_eq!(in_words(&planned(waiting, sent)), expected, "{case}");
    }
}

#[test]
fn a_flood_becomes_as_many_messages_as_there_is_room_for() {
    let flood: Vec<WaitingMessage> = (0..250).map(|id| fresh(id, &id.to_string())).collect();
    let plan = planned(flood, &[]);
    assert!(plan.sends.is_empty());
    assert_eq!(plan.merges.iter().map(|merge| merge.messages.len()).collect::<Vec<_>>(), [60, 60, 60]);
    let hold = &plan.holds[0];
    assert_eq!((hold.messages.len(), hold.until), (70, at(NOW + 60)), "when the first of them is an hour old");
}

#[test]
fn a_channel_that_merges_nothing_holds_and_sends() {
    let waiting = vec![failed(1, "a", 9), fresh(2, "a"), fresh(3, "b"), fresh(4, "c"), fresh(5, "d")];
    let queue = |waiting| RecipientQueue { recipient: "hook".into(), waiting, sent: Vec::new() };
    let plan_of = |waiting| in_words(&plan(&queue(waiting), &LIMITS, false, at(NOW)));
    let order = "an end is not told before its beginning";
    assert_eq!(plan_of(waiting[..3].to_vec()), "send 3", "{order}");
    assert_eq!(plan_of(vec![failed(1, "a", 0), fresh(2, "a"), fresh(3, "b")]), "send 1 3", "{order}");
    assert_eq!(plan_of(waiting), "send 3; hold 4 5 until +60");
}

/// A waiting message of a small world.
fn any_message() -> impl Strategy<Value = WaitingMessage> {
    let (age, due, threads) = (0..40_i64, -20..20_i64, prop::collection::btree_set(0..4_u8, 1..4));
    let (is_urgent, is_under_way, kind) = (any::<bool>(), prop::bool::weighted(0.2), 0..6_u8);
    (age, due, threads, is_urgent, is_under_way, kind, 0..3_u32).prop_map(
        |(age, due, threads, is_urgent, is_under_way, kind, attempts)| {
            let threads: Vec<String> = threads.iter().map(u8::to_string).collect();
            let kind = match kind {
                0 => MessageKind::Collected,
                1 => MessageKind::Superseding,
                2 => MessageKind::Report,
                _ => MessageKind::Notice,
            };
            WaitingMessage {
                kind,
                threads: if kind == MessageKind::Collected { threads } else { threads[..1].to_vec() },
                is_urgent: is_urgent && kind != MessageKind::Report,
                is_under_way,
                attempts,
                created_at: at(NOW - age),
                next_attempt_at: at(if is_under_way { NOW + 30 } else { NOW + due }),
                ..fresh(0, "")
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: proptest::test_runner::RngSeed::Fixed(8),
        ..ProptestConfig::default()
    })]

    /// Whatever waits: each message has one fate, nothing under way is touched, the caps are kept, and what is held is
    /// held for a while.
    #[test]
    fn plans_keep_their_promises(
        mut waiting in prop::collection::vec(any_message(), 0..12),
        mut ago in prop::collection::vec(0..1500_i64, 0..14),
        hourly in 1..5_u32,
        more in 0..8_u32,
    ) {
        waiting.sort_by_key(|message| message.created_at);
        waiting.iter_mut().zip(1..).for_each(|(message, id)| message.id = id);
        ago.sort_by_key(|minutes| -minutes);
        let sent: Vec<Timestamp> = ago.iter().map(|minutes| at(NOW - minutes)).collect();
        let limits = DeliveryLimits { per_recipient_per_hour: hourly, per_recipient_per_day: hourly + more, per_minute: 1 };
        let queue = RecipientQueue { recipient: "lead".into(), waiting: waiting.clone(), sent: sent.clone() };
        let plan = plan(&queue, &limits, true, at(NOW));

        let by_id: BTreeMap<i64, &WaitingMessage> = waiting.iter().map(|message| (message.id, message)).collect();
        let merged: Vec<i64> = plan.merges.iter().flat_map(|merge| merge.messages.clone()).collect();
        let held: Vec<i64> = plan.holds.iter().flat_map(|hold| hold.messages.clone()).collect();
        let named: Vec<i64> = plan.sends.iter().chain(&merged).chain(&held).copied().collect();
        prop_assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "one fate: {:?}", plan);
        prop_assert!(named.iter().all(|id| !by_id[id].is_under_way));
        prop_assert!(plan.merges.iter().all(|merge| merge.messages.len() > 1));
        prop_assert!(merged.iter().all(|id| by_id[id].kind != MessageKind::Report), "its tables would be lost: {:?}", plan);
        prop_assert!(plan.sends.iter().all(|id| by_id[id].next_attempt_at <= at(NOW)));
        prop_assert!(plan.holds.iter().all(|hold| hold.until > at(NOW)));

        let busy = waiting.iter().filter(|message| message.is_under_way).count();
        let within = |minutes: i64| ago.iter().filter(|ago| **ago < minutes).count() + busy;
        let (hour, day) = (within(60), within(24 * 60));
        let calm = plan.sends.iter().filter(|id| !by_id[id].is_urgent).count();
        prop_assert!(plan.sends.is_empty() || plan.sends.len() + day <= (hourly + more) as usize);
        prop_assert!(calm == 0 || calm + hour <= hourly as usize);
        prop_assert!(calm == 0 || calm + day <= (hourly + more - limits.reserve()) as usize);

        // Nobody is kept waiting without a reason: what is due and not named has another of its conversation before it.
        for message in waiting.iter().filter(|message| !message.is_under_way && message.next_attempt_at <= at(NOW)) {
            let is_before = |other: &&WaitingMessage| other.id != message.id && other.threads == message.threads;
            let has_reason = waiting.iter().filter(is_before).any(|other| other.is_under_way || plan.sends.contains(&other.id));
            prop_assert!(named.contains(&message.id) || has_reason, "{:?} of {:?}", message, plan);
        }
    }
}
