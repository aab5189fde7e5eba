//! The ledger against a small platform whose books are known: whatever is read when, entries and balances agree.

use super::suspects::{SUSPECT_TOTALS, SUSPECTS};
use proptest::prelude::*;

use super::recomputed_tests::assert_kept_is_recomputed;
use super::tests::{Fixture, account, at, draws, incoming, task, tasks, team};
use super::*;
use crate::domain::{
    BalanceRecord, BalanceState, Basis, CarryOver, ChargeSource, CronSchedule, DeclaredPlan, Entry, EntryKind,
    HourlyUse, LotRules, PlanRecord, Reading, Refill, ResetRule, RetryKind, SuspectCharge, Suspicion, TaskRecord,
    TaskState,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

fn balance(available: i64) -> Reading {
    Reading { balance: Some(BalanceRecord::of(whole(available))), ..Reading::default() }
}

/// A day's use of one model, as told so far.
fn sum(net: i64) -> TaskRecord {
    TaskRecord { is_sum: true, credits: Some(whole(net)), ..task("day/model", 0, TaskState::Succeeded, 0) }
}

async fn entries(ledger: &Fixture) -> Vec<Entry> {
    ledger.store.entries(&account(), 0, 10_000).await.unwrap().into_iter().map(|(_, entry)| entry).collect()
}

async fn balance_state(ledger: &Fixture) -> BalanceState {
    ledger.facts(None, 0).await.balance.unwrap()
}

#[tokio::test]
async fn a_sum_follows_the_last_word_in_either_direction() {
    let ledger = Fixture::new().await;
    for (now, told, charged, refunded) in
        [(10, 30, 30, 0), (20, 30, 30, 0), (30, 50, 50, 0), (40, 35, 50, 15), (50, -5, 50, 55), (60, 5, 60, 55)]
    {
        ledger.append(&tasks(vec![sum(told)]), now).await;
        let facts = ledger.env(None, now).await;
        let row = &facts.totals[0];
        assert_eq!((row.charged, row.refunded), (whole(charged), whole(refunded)), "after {told} was told");
        assert_eq!((row.finished, row.failed, row.attempts), (0, 0, 0), "a sum is no task");
        assert_eq!(ledger.hours("env").await, [(0, told, u32::from(told > 0))]);
    }
    assert!(ledger.store.launches(&account(), LaunchedBy::Team(&team("env")), at(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_record_says_of_itself_is_kept() {
    let ledger = Fixture::new().await;
    let told = |id: &str, retry| TaskRecord { retry: Some(retry), ..task(id, 0, TaskState::Succeeded, 7) };
    let estimated = TaskRecord { basis: Basis::Estimated, ..task("c", 0, TaskState::Succeeded, 9) };
    let reading = tasks(vec![told("a", RetryKind::Rerun), told("b", RetryKind::Resubmission), estimated]);
    for now in [10, 20] {
        ledger.append(&reading, now).await;
        let facts = ledger.env(None, now).await;
        let mut retries: Vec<_> = facts.retries.iter().map(|row| (row.kind, row.tasks, row.credits)).collect();
        retries.sort();
        assert_eq!(retries, [(RetryKind::Rerun, 1, whole(7)), (RetryKind::Resubmission, 1, whole(7))]);
        assert_eq!(facts.totals[0].attempts, 2, "of the third nobody knows what it attempts");
    }
    let basis: Vec<_> = entries(&ledger).await.into_iter().map(|entry| entry.basis).collect();
    assert_eq!(basis, [Basis::Reported, Basis::Reported, Basis::Estimated]);
}

#[tokio::test]
async fn without_a_list_of_charges_the_balance_tells_them() {
    let ledger = Fixture::new().await;
    let steps = [(0, 100), (300, 70), (600, 70), (900, 100), (1200, 90), (1500, 590), (1800, 1000)];
    for (now, available) in steps {
        let reading = balance(available);
        let plan = DeclaredPlan { credits: Some(whole(1000)), ..DeclaredPlan::default() };
        let derived = Incoming { charges: ChargeSource::Balance, plan: Some(&plan), ..incoming(&reading, now) };
        ledger.store.append(&account(), &draws(false), derived).await.unwrap();
        // The same answer again, at once, is no news.
        ledger.store.append(&account(), &draws(false), derived).await.unwrap();
    }
    let found: Vec<_> = entries(&ledger).await.iter().map(|e| (e.kind, e.credits, e.team.clone())).collect();
    let props = Some(team("props"));
    assert_eq!(
        found,
        [
            (EntryKind::Charge, whole(30), props.clone()),
            (EntryKind::Refund, whole(30), props.clone()),
            (EntryKind::Charge, whole(10), props),
            (EntryKind::Grant, whole(500), None),
            (EntryKind::Reset, whole(410), None),
        ]
    );
    assert!(entries(&ledger).await.iter().all(|entry| entry.basis == Basis::Derived));
    assert_eq!(ledger.hours("props").await, [(0, 10, 1)]);
    assert_eq!(balance_state(&ledger).await.drift, Some(Credits::ZERO));
}

/// A poll: hour, balance, what the platform says of the plan (allowance and hour of the reset), and credits of a task
/// that was launched just before it.
type Poll = (i64, i64, Option<(i64, i64)>, i64);

/// What polls of one account leave in its ledger beside charges and refunds.
async fn entries_of(charges: ChargeSource, polls: &[Poll]) -> (BalanceState, Vec<(EntryKind, i64, i64)>) {
    let ledger = Fixture::new().await;
    for (hour, available, plan, spent) in polls {
        let plan = plan.map(|(allowance, hour)| PlanRecord {
            name: None,
            allowance: Some(whole(allowance)),
            resets_at: Some(at(hour * HOUR)),
        });
        let launched = task(&format!("t{hour}"), hour * HOUR - 60, TaskState::Succeeded, *spent);
        let tasks = if *spent > 0 { vec![launched] } else { Vec::new() };
        let reading = Reading { plan, tasks, ..balance(*available) };
        let poll = Incoming { charges, ..incoming(&reading, hour * HOUR) };
        ledger.store.append(&account(), &draws(false), poll).await.unwrap();
    }
    let state = balance_state(&ledger).await;
    let (entries, drift) = (entries(&ledger).await, state.drift.unwrap_or_default());
    let (first, last) = (polls[0].1, polls[polls.len() - 1].1);
    let counted = entries.iter().filter(|entry| entry.at >= state.opened_at);
    assert_eq!(whole(first) + counted.map(Entry::change).sum() + drift, whole(last), "{polls:?}");
    let others = entries.iter().filter(|e| !matches!(e.kind, EntryKind::Charge | EntryKind::Refund));
    let hour = |entry: &Entry| entry.at.duration_since(at(0)).as_hours();
    (state, others.map(|e| (e.kind, hour(e), e.credits.micros() / 1_000_000)).collect())
}

#[tokio::test]
async fn plans_change_and_resets_come_early_late_and_in_the_middle() {
    use EntryKind::Reset;
    let plan = |allowance, hour| Some((allowance, hour));
    // Charges and resets as they fall; what the ledger has besides charges, by listed charges and by balances alone.
    type Case<'a> = (&'a str, &'a [Poll], &'a [(EntryKind, i64, i64)]);
    let cases: [Case; 8] = [
        (
            "on its day",
            &[
                (0, 400, plan(1000, 10), 0),
                (9, 300, plan(1000, 10), 100),
                (11, 1000, plan(1000, 20), 0),
                (12, 1000, None, 0),
            ],
            &[(Reset, 10, 700)],
        ),
        (
            "on its day, with a charge between",
            &[(0, 400, plan(1000, 10), 0), (11, 950, plan(1000, 20), 50), (12, 950, None, 0)],
            &[(Reset, 10, 600)],
        ),
        (
            "a day early: the rise says so",
            &[(0, 400, plan(1000, 40), 0), (11, 1000, plan(1000, 40), 0), (12, 1000, plan(1000, 40), 0)],
            &[(Reset, 12, 600)],
        ),
        (
            "brought forward: the date is moved, and holds",
            &[
                (0, 400, plan(1000, 40), 0),
                (5, 400, plan(1000, 10), 0),
                (11, 1000, plan(1000, 50), 0),
                (41, 1000, None, 0),
            ],
            &[(Reset, 10, 600)],
        ),
        (
            "put off: the old date passes without a rise",
            &[
                (0, 400, plan(1000, 10), 0),
                (11, 400, plan(1000, 40), 0),
                (41, 1000, plan(1000, 80), 0),
                (42, 1000, None, 0),
            ],
            &[(Reset, 40, 600)],
        ),
        (
            "late by an hour",
            &[
                (0, 400, plan(1000, 10), 0),
                (11, 400, plan(1000, 40), 0),
                (12, 1000, plan(1000, 40), 0),
                (13, 1000, None, 0),
            ],
            &[(Reset, 10, 600)],
        ),
        (
            "a larger plan in the middle: filled at once, and the reset stays where it was",
            &[
                (0, 400, plan(1000, 40), 0),
                (11, 3000, plan(3000, 40), 0),
                (12, 3000, None, 0),
                (41, 3000, plan(3000, 80), 0),
            ],
            &[(Reset, 12, 2600)],
        ),
        (
            "a smaller plan from the next reset on",
            &[(0, 900, plan(1000, 10), 0), (11, 500, plan(500, 20), 0), (12, 500, None, 0)],
            &[(Reset, 10, -400)],
        ),
    ];
    for (name, polls, expected) in cases {
        for charges in ChargeSource::ALL {
            let (_, found) = entries_of(charges, polls).await;
            // What a list of charges must not explain too soon, balances alone explain at once.
            let at_once = |(kind, hour, credits)| {
                if hour == 12 && charges == ChargeSource::Balance { (kind, 11, credits) } else { (kind, hour, credits) }
            };
            let expected: Vec<_> = expected.iter().copied().map(at_once).collect();
            assert_eq!(found, expected, "{name}, {charges:?}");
        }
    }
}

#[tokio::test]
async fn charges_that_look_wrong_are_found() {
    let ledger = Fixture::new().await;
    let refunded = |id: &str, state, charged, back: i64| TaskRecord {
        refunded: Some(whole(back)),
        ..task(id, HOUR, state, charged)
    };
    ledger.append(&tasks(vec![task("twice", HOUR, TaskState::Succeeded, 20)]), 1).await;
    let reading = tasks(vec![
        task("fine", 0, TaskState::Succeeded, 20),
        task("lost", HOUR, TaskState::Failed, 20),
        refunded("partly", TaskState::Failed, 20, 15),
        refunded("back", TaskState::Failed, 20, 20),
        task("twice", HOUR, TaskState::Succeeded, 40),
        refunded("gift", TaskState::Succeeded, 5, 9),
        task("withdrawn", HOUR, TaskState::Cancelled, 3),
        task("earlier", -HOUR, TaskState::Failed, 20),
    ]);
    ledger.append(&reading, 2).await;
    let names = |suspects: Vec<SuspectCharge>| -> Vec<(String, Suspicion, Credits)> {
        let mut names: Vec<_> = suspects.into_iter().map(|s| (s.task_id, s.suspicion, s.credits)).collect();
        names.sort();
        names
    };
    let soon = [("gift", Suspicion::ExcessRefund, 4), ("twice", Suspicion::DoubleCharge, 20)];
    let later = [soon[0], ("lost", Suspicion::MissingRefund, 20), ("partly", Suspicion::MissingRefund, 5), soon[1]];
    for (now, expected) in [(2 * HOUR, &soon[..]), (2 * DAY, &later[..])] {
        let expected: Vec<_> = expected.iter().map(|(id, s, c)| ((*id).to_owned(), *s, whole(*c))).collect();
        let found = ledger.store.suspects(&account(), Some(&team("env")), at(0), at(now), 100).await.unwrap();
        assert_eq!(found, found.newest.iter().cloned().collect(), "counted as listed, at {now}");
        assert_eq!(names(found.newest), expected, "at {now}");
        let newest = ledger.store.suspects(&account(), Some(&team("env")), at(0), at(now), 1).await.unwrap();
        assert_eq!((newest.totals, newest.newest.len()), (found.totals, 1), "all are counted, at {now}");
    }
    let facts = ledger.env(Some(0), 2 * DAY).await;
    assert_eq!((facts.unrefunded, facts.has_suspects), (whole(28), true));
}

#[tokio::test]
async fn charges_that_look_wrong_are_read_from_their_own_indexes() {
    let ledger = Fixture::new().await;
    let (wrong, failed) = ("tasks_suspect", "tasks_unrefunded");
    for (sql, how, expected) in
        [(SUSPECTS, "INDEX", &[failed, wrong][..]), (SUSPECT_TOTALS, "COVERING INDEX", &[failed, wrong, wrong])]
    {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&ledger.store.readers).await.unwrap();
        let searches: Vec<&str> = plan.iter().map(|row| &row.3[..]).filter(|step| step.contains(" tasks ")).collect();
        let search =
            |index: &&str| format!("SEARCH tasks USING {how} {index} (account_id=? AND team=? AND created_at>?)");
        assert_eq!(searches, expected.iter().map(search).collect::<Vec<_>>(), "{plan:?}");
    }
}

/// What happens on the platform, one thing after another.
#[derive(Clone, Debug)]
enum Event {
    /// A task is launched and charged for.
    Launch(i64),
    /// A task ends, well or not; if not, so much comes back.
    End(usize, bool, i64),
    /// Somebody spends where no list looks.
    SpendElsewhere(i64),
    /// Credits are bought.
    TopUp(i64),
    /// The plan resets.
    Reset,
    /// The agent reads the balance, and the tasks from a sixth of the list on, in that direction.
    Poll(usize, bool),
    /// The agent reads tasks alone.
    PollTasks(usize),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..40_i64).prop_map(Event::Launch),
        3 => (0..4_usize, any::<bool>(), 0..40_i64).prop_map(|(which, is_well, back)| Event::End(which, is_well, back)),
        1 => (1..30_i64).prop_map(Event::SpendElsewhere),
        1 => (50..500_i64).prop_map(Event::TopUp),
        1 => Just(Event::Reset),
        5 => (0..6_usize, any::<bool>()).prop_map(|(from, is_turned)| Event::Poll(from, is_turned)),
        1 => (0..6_usize).prop_map(Event::PollTasks),
    ]
}

/// The platform's own books.
struct Platform {
    available: i64,
    tasks: Vec<TaskRecord>,
    spent_listed: i64,
    reset_at: Option<i64>,
}

impl Platform {
    fn happen(&mut self, event: &Event, now: i64) {
        match event {
            Event::Launch(cost) => {
                self.available -= cost;
                self.spent_listed += cost;
                self.tasks.push(task(&format!("t{}", self.tasks.len()), now, TaskState::Running, *cost));
            }
            Event::End(which, is_well, back) => {
                let Some(task) = self.tasks.iter_mut().filter(|task| !task.state.is_final()).nth(*which) else {
                    return;
                };
                let cost = task.credits.unwrap().micros() / 1_000_000;
                let back = if *is_well { 0 } else { *back.min(&cost) };
                task.state = if *is_well { TaskState::Succeeded } else { TaskState::Failed };
                task.finished_at = Some(at(now));
                task.refunded = Some(whole(back));
                self.available += back;
                self.spent_listed -= back;
            }
            Event::SpendElsewhere(cost) => self.available -= cost,
            Event::TopUp(credits) => self.available += credits,
            Event::Reset => {
                self.available = 1000;
                self.reset_at = Some(now);
            }
            Event::Poll(..) | Event::PollTasks(_) => {}
        }
    }

    fn reading(&self, from: usize, is_turned: bool, has_balance: bool) -> Reading {
        let mut tasks: Vec<TaskRecord> = self.tasks.iter().skip(from * self.tasks.len() / 6).cloned().collect();
        if is_turned {
            tasks.reverse();
        }
        let balance = has_balance.then(|| BalanceRecord::of(whole(self.available)));
        Reading { tasks, balance, ..Reading::default() }
    }
}

const RULES: LotRules = LotRules {
    refill: Refill { allowance: Some(Credits::from_whole(1000)), carry_over: CarryOver::Nothing },
    is_prepaid: false,
    purchased_expire_after: Some(jiff::SignedDuration::from_mins(90)),
};

/// What the balance must be by the entries since it was first read, and the drift.
fn by_the_books(first: i64, state: &BalanceState, entries: &[Entry]) -> Credits {
    let counted = entries.iter().filter(|entry| entry.at >= state.opened_at);
    let change: Credits = counted.map(Entry::change).sum();
    whole(first) + change + state.drift.unwrap_or_default()
}

/// A rule that fires at that very time.
fn reset_rule(second: i64) -> ResetRule {
    let at = at(second).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("{} {} {} {} *", at.minute(), at.hour(), at.day(), at.month());
    ResetRule::Cron(CronSchedule::parse(&line, jiff::tz::TimeZone::UTC).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: proptest::test_runner::RngSeed::Fixed(13),
        ..ProptestConfig::default()
    })]

    /// Whatever happens on the platform, and whatever of it is read when and in which order: the first balance, the entries
    /// since and the drift are the balance; nothing is charged twice; what is kept is what can be worked out again.
    #[test]
    fn entries_and_balances_conserve_every_credit(
        events in prop::collection::vec(any_event(), 1..40),
        is_listed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ledger = Fixture::new().await;
            let mut platform = Platform { available: 500, tasks: Vec::new(), spent_listed: 0, reset_at: None };
            ledger.append(&balance(500), 0).await;
            let (mut kept, account) = (None, account());
            let charges = if is_listed { ChargeSource::History } else { ChargeSource::Balance };
            let last = [Event::Poll(0, false)];
            for (event, now) in events.iter().chain(&last).zip((1..).map(|n| n * 300)) {
                platform.happen(event, now);
                let reading = match event {
                    Event::Poll(from, is_turned) => platform.reading(*from, *is_turned, true),
                    Event::PollTasks(from) => platform.reading(*from, false, false),
                    _ => continue,
                };
                // Where nobody lists charges, tasks are not seen at all.
                let reading = if is_listed { reading } else { Reading { tasks: Vec::new(), ..reading } };
                let reset = platform.reset_at.take_if(|_| reading.balance.is_some());
                let plan = DeclaredPlan {
                    reset: reset.map(reset_rule),
                    purchased_expire_after: RULES.purchased_expire_after,
                    ..DeclaredPlan::default()
                };
                let poll = Incoming { charges, plan: Some(&plan), ..incoming(&reading, now) };
                ledger.store.append(&account, &draws(false), poll).await.unwrap();
                assert_kept_is_recomputed(&ledger, &format!("after {event:?} at {now}")).await;
                if reading.balance.is_some() {
                    // The lots are the same from what is kept of them and anew, and add up to what is there.
                    let lots = |kept| ledger.store.lots(&account, &RULES, &[], kept, at(now));
                    let (by_kept, keep) = lots(kept.take()).await.unwrap().unwrap();
                    let (anew, _) = lots(None).await.unwrap().unwrap();
                    assert_eq!(by_kept, anew, "after {event:?} at {now}");
                    assert_eq!(anew.total(), whole(platform.available), "after {event:?} at {now}");
                    assert!(platform.available < 0 || anew.owed() == Credits::ZERO, "after {event:?} at {now}");
                    kept = Some(keep);
                    let books = by_the_books(500, &balance_state(&ledger).await, &entries(&ledger).await);
                    assert_eq!(books, whole(platform.available), "after {event:?} at {now}");
                }
            }
            let entries = entries(&ledger).await;
            let net = |basis: Basis| -> Credits {
                let spent = entries.iter().filter(|e| matches!(e.kind, EntryKind::Charge | EntryKind::Refund));
                spent.filter(|e| e.basis == basis).map(|e| -e.change()).sum()
            };
            if is_listed {
                assert_eq!(net(Basis::Reported), whole(platform.spent_listed));
            }
            let mut used = Credits::ZERO;
            for (team, _) in ledger.facts(None, 100_000).await.teams {
                let hours = ledger.store.hourly_use(&account, team.as_ref(), 0).await.unwrap();
                used += hours.iter().map(|hour: &HourlyUse| hour.net).sum();
            }
            assert_eq!(used, net(Basis::Reported) + net(Basis::Derived));
        });
    }
}
