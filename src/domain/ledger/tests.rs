use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LAUNCH: i64 = 1_760_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(LAUNCH + seconds).unwrap()
}

fn task(id: &str, state: TaskState, credits: Option<i64>, refunded: Option<i64>) -> TaskRecord {
    TaskRecord {
        finished_at: state.is_final().then(|| at(600)),
        quality: "high".into(),
        credits: credits.map(Credits::from_whole),
        refunded: refunded.map(Credits::from_whole),
        ..TaskRecord::new(id, at(0), state, "text-to-3d")
    }
}

/// Reads records of any tasks one after the other, as `store` would.
fn read<'a>(records: impl IntoIterator<Item = &'a TaskRecord>) -> (BTreeMap<String, KnownTask>, Vec<Entry>) {
    let mut known: BTreeMap<String, KnownTask> = BTreeMap::new();
    let mut entries = Vec::new();
    for (record, second) in records.into_iter().zip(1000..) {
        let change = reconcile_task(known.get(&record.id), record, None, at(second));
        entries.extend(change.entries);
        known.insert(record.id.clone(), change.known);
    }
    (known, entries)
}

#[test]
fn records_become_entries() {
    use TaskState::{Expired, Failed, Queued, Running, Succeeded, Unknown};
    type Record = (TaskState, Option<i64>, Option<i64>);
    type Case<'a> = (&'a str, &'a [Record], &'a [&'a str], TaskState);
    let cases: [Case; 18] = [
        ("charged at the launch", &[(Queued, Some(20), None)], &["charge/t/20 20 0s"], Queued),
        ("nothing said, nothing charged", &[(Running, None, None)], &[], Running),
        ("nothing said at the end", &[(Running, Some(20), None), (Failed, None, None)], &["charge/t/20 20 0s"], Failed),
        ("zero is not yet", &[(Running, Some(0), None), (Succeeded, Some(0), None)], &[], Succeeded),
        (
            "zero at the end, and the amount afterwards",
            &[(Succeeded, Some(0), None), (Succeeded, Some(20), None)],
            &["charge/t/20 20 0s"],
            Succeeded,
        ),
        (
            "the same twice is the same once",
            &[(Queued, Some(20), None), (Queued, Some(20), None), (Succeeded, Some(20), None)],
            &["charge/t/20 20 0s"],
            Succeeded,
        ),
        (
            "more later",
            &[(Running, Some(20), None), (Succeeded, Some(25), None)],
            &["charge/t/20 20 0s", "charge/t/25 5 0s"],
            Succeeded,
        ),
        (
            "a failed task's credits become zero",
            &[(Running, Some(20), None), (Failed, Some(0), None)],
            &["charge/t/20 20 0s", "refund/t/20 20 600s"],
            Failed,
        ),
        (
            "the platform names what came back",
            &[(Running, Some(20), None), (Failed, Some(20), Some(15))],
            &["charge/t/20 20 0s", "refund/t/15 15 600s"],
            Failed,
        ),
        (
            "charged and refunded before we looked",
            &[(Failed, Some(20), Some(20))],
            &["charge/t/20 20 0s", "refund/t/20 20 600s"],
            Failed,
        ),
        (
            "more came back than was taken",
            &[(Expired, Some(5), Some(9))],
            &["charge/t/5 5 0s", "refund/t/5 5 600s"],
            Expired,
        ),
        (
            "a row for the charge and one for what came back",
            &[(Succeeded, Some(20), None), (Failed, None, Some(20))],
            &["charge/t/20 20 0s", "refund/t/20 20 1001s"],
            Failed,
        ),
        (
            "the same two, the refund first",
            &[(Failed, None, Some(20)), (Succeeded, Some(20), None)],
            &["charge/t/20 20 0s", "refund/t/20 20 1001s"],
            Failed,
        ),
        ("failed and free", &[(Failed, Some(0), None)], &[], Failed),
        ("failed and charged for", &[(Failed, Some(20), None)], &["charge/t/20 20 0s"], Failed),
        (
            "a refund long after the end is dated when it is seen",
            &[(Failed, Some(20), None), (Failed, Some(0), None)],
            &["charge/t/20 20 0s", "refund/t/20 20 1001s"],
            Failed,
        ),
        (
            "an older page read late changes no cost",
            &[(Failed, Some(0), None), (Running, Some(20), None)],
            &["charge/t/20 20 0s", "refund/t/20 20 1001s"],
            Failed,
        ),
        (
            "an unknown state is not final",
            &[(Unknown, Some(4), None), (Queued, Some(4), None)],
            &["charge/t/4 4 0s"],
            Queued,
        ),
    ];
    for (name, records, expected, state) in cases {
        let records: Vec<_> = records.iter().map(|(state, c, r)| task("t", *state, *c, *r)).collect();
        let (known, entries) = read(&records);
        let found: Vec<_> =
            entries.iter().map(|e| format!("{} {} {}s", e.key, e.credits, e.at.as_second() - LAUNCH)).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(known["t"].state, state, "{name}");
    }
}

#[test]
fn what_a_sum_gains_happened_since_it_was_told_before() {
    let day = |credits: i64| TaskRecord { is_sum: true, ..task("day", TaskState::Succeeded, Some(credits), None) };
    let hour = 3600;
    for (name, told, expected) in [
        ("first told in the afternoon", vec![(20, 15 * hour)], vec!["charge 20 at 0 h"]),
        ("it grows", vec![(20, 15 * hour), (50, 16 * hour)], vec!["charge 20 at 0 h", "charge 30 at 16 h"]),
        ("it shrinks", vec![(20, 15 * hour), (5, 47 * hour)], vec!["charge 20 at 0 h", "refund 15 at 47 h"]),
        (
            "corrected weeks later",
            vec![(20, 15 * hour), (50, 400 * hour)],
            vec!["charge 20 at 0 h", "charge 30 at 0 h"],
        ),
    ] {
        let (mut known, mut entries) = (None, Vec::new());
        for (credits, seconds) in told {
            let change = reconcile_task(known.as_ref(), &day(credits), None, at(seconds));
            known = Some(change.known);
            entries.extend(change.entries);
        }
        let say = |e: &Entry| format!("{} {} at {} h", e.kind.as_str(), e.credits, (e.at.as_second() - LAUNCH) / hour);
        assert_eq!(entries.iter().map(say).collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn hours_are_floored_on_both_sides_of_the_epoch() {
    for (second, hour) in [(0, 0), (3599, 0), (3600, 1), (-1, -1), (-3600, -1), (-3601, -2)] {
        assert_eq!(HourlyUse::hour_of(Timestamp::from_second(second).unwrap()), hour, "{second}");
    }
}

/// How a history tells what came back: beside the charge, in a row of its own, or by a smaller charge.
#[derive(Clone, Copy, Debug)]
enum Said {
    Beside,
    Alone,
    Less,
}

/// What a platform says of one task from launch to end: amounts grow while it runs, and what it cost in the end only
/// falls (refunds).
fn history(id: usize) -> impl Strategy<Value = Vec<TaskRecord>> {
    let running = prop::collection::vec(prop::option::of(0..40_i64), 0..4);
    let ending = (
        prop::sample::select(vec![TaskState::Succeeded, TaskState::Failed, TaskState::Cancelled]),
        1..40_i64,
        prop::option::of(0..40_i64),
        prop::sample::select(vec![Said::Beside, Said::Alone, Said::Less]),
    );
    (running, prop::option::of(ending)).prop_map(move |(mut amounts, ending)| {
        let id = format!("t{id}");
        amounts.sort();
        let mut records: Vec<_> =
            amounts.into_iter().map(|credits| task(&id, TaskState::Running, credits, None)).collect();
        if let Some((state, cost, back, says_refunded)) = ending {
            // Who tells refunds in rows of their own tells them all there, and no charge that shrinks.
            let most = records.iter().filter_map(|record| record.credits).max().unwrap_or(Credits::ZERO);
            let least = if matches!(says_refunded, Said::Alone) { most.micros() / 1_000_000 } else { 0 };
            let cost = cost.max(least);
            records.push(task(&id, state, Some(cost), None));
            if let Some(back) = back.map(|back| back.min(cost)) {
                records.push(match says_refunded {
                    Said::Beside => task(&id, state, Some(cost), Some(back)),
                    Said::Alone => task(&id, state, None, Some(back)),
                    Said::Less => task(&id, state, Some(cost - back), None),
                });
            }
        }
        records
    })
}

fn totals(known: &BTreeMap<String, KnownTask>) -> Vec<(String, TaskState, Credits, Credits)> {
    known.iter().map(|(id, k)| (id.clone(), k.state, k.charged, k.refunded)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Pages that overlap and repeat, tasks interleaved in any way: the same entries, by key and amount.
    #[test]
    fn repeated_and_interleaved_pages_give_the_same_entries(
        histories in (history(0), history(1), history(2)),
        picks in prop::collection::vec((0..3_usize, any::<bool>()), 0..40),
    ) {
        let histories = [histories.0, histories.1, histories.2];
        let (known, entries) = read(histories.iter().flatten());
        let mut positions = [0; 3];
        let mut mixed: Vec<&TaskRecord> = Vec::new();
        for (which, again) in picks {
            mixed.extend(histories[which].get(positions[which]));
            if !again {
                positions[which] += 1;
            }
        }
        for (history, position) in histories.iter().zip(positions) {
            mixed.extend(history.iter().skip(position));
        }
        let (mixed_known, mixed_entries) = read(mixed);
        let by_key = |entries: &[Entry]| -> BTreeMap<String, Credits> {
            entries.iter().map(|e| (e.key.clone(), e.credits)).collect()
        };
        prop_assert_eq!(by_key(&entries).len(), entries.len(), "keys are unique");
        prop_assert_eq!(by_key(&entries), by_key(&mixed_entries));
        prop_assert_eq!(totals(&known), totals(&mixed_known));
    }

    /// Pages in any order at all: once the newest page has been read again, the totals are the same.
    #[test]
    fn any_order_gives_the_same_totals(history in history(0), order in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let (in_order, _) = read(&history);
        let mut shuffled: Vec<&TaskRecord> = history.iter().collect();
        if !shuffled.is_empty() {
            let turn = order.index(shuffled.len());
            shuffled.rotate_left(turn);
            if seed % 2 == 0 {
                shuffled.reverse();
            }
        }
        shuffled.extend(history.last());
        let (any_order, entries) = read(shuffled);
        prop_assert_eq!(totals(&in_order), totals(&any_order));
        let sum = |kind| -> Credits { entries.iter().filter(|e| e.kind == kind).map(|e| e.credits).sum() };
        let net: Credits = any_order.values().map(KnownTask::net).sum();
        prop_assert_eq!(sum(EntryKind::Charge) - sum(EntryKind::Refund), net);
        prop_assert!(entries.iter().all(|e| e.credits.is_positive()));
    }
}
