//! What happens to the demo's teams, whatever the seed and the day.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::*;
use crate::domain::{Credits, TaskState};

/// Moments on all days of the week, in months of all lengths, beside both changes of the clocks.
const CASES: [(u64, &str); 8] = [
    (1, "2026-11-23T08:00:00Z"),
    (2, "2026-12-11T18:00:00Z"),
    (3, "2027-02-14T05:00:00Z"),
    (4, "2027-03-18T12:00:00Z"),
    (5, "2027-04-10T22:30:00Z"),
    (6, "2027-07-13T07:00:00Z"),
    (7, "2027-11-10T10:00:00Z"),
    (u64::MAX, "2028-03-15T00:00:00Z"),
];

fn worlds() -> impl Iterator<Item = (String, World, Timestamp)> {
    CASES.into_iter().map(|(seed, now)| {
        let now: Timestamp = now.parse().unwrap();
        (format!("seed {seed}, now {now}"), World::demo(seed, now), now)
    })
}

fn berlin() -> TimeZone {
    TimeZone::get(DEMO_ZONE).unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn history_of(world: &World) -> Vec<String> {
    world.accounts().iter().flat_map(|account| account.tasks()).map(|task| format!("{task:?}")).collect()
}

#[test]
fn every_credit_is_accounted_for() {
    for (case, mut world, now) in worlds() {
        for step in 0..40 {
            world.advance_to(now + hours(step * 19));
            for account in world.accounts() {
                let charged: Credits = account.tasks().iter().map(|task| task.charged).sum();
                let refunded: Credits =
                    account.tasks().iter().filter(|task| task.is_refunded).map(|task| task.charged).sum();
                let totals = account.totals();
                assert_eq!((totals.charged, totals.refunded), (charged, refunded), "{case}");
                let left = totals.granted + totals.bought - totals.lapsed - charged + refunded;
                assert_eq!(account.available(), left, "{case}");
                assert_eq!(account.available(), account.monthly() + account.permanent());
                assert!(!account.monthly().is_negative() && !account.permanent().is_negative(), "{case}");
            }
        }
    }
}

#[test]
fn credits_come_back_for_failures_and_for_what_never_began() {
    for (case, world, _) in worlds() {
        let mut seen: HashMap<(TaskState, bool), u32> = HashMap::new();
        for task in world.accounts().iter().flat_map(|account| account.tasks()) {
            let comes_back = match task.state {
                TaskState::Failed => true,
                TaskState::Cancelled => task.started_at.is_none(),
                _ => false,
            };
            assert_eq!(task.is_refunded, comes_back, "{case}: {task:?}");
            *seen.entry((task.state, comes_back)).or_default() += 1;
        }
        for kind in [(TaskState::Failed, true), (TaskState::Cancelled, true), (TaskState::Cancelled, false)] {
            assert!(seen.get(&kind).is_some_and(|count| *count > 3), "{case}: {seen:?}");
        }
    }
}

#[test]
fn a_seed_is_a_world_whatever_the_steps() {
    let now: Timestamp = CASES[0].1.parse().unwrap();
    let later = now + hours(24 * 20);
    let mut at_once = World::demo(1, now);
    at_once.advance_to(later);
    let mut in_steps = World::demo(1, now);
    for step in 0..(20 * 24 * 6) {
        in_steps.advance_to(now + SignedDuration::from_mins(step * 10));
    }
    in_steps.advance_to(later);
    assert_eq!(history_of(&at_once), history_of(&in_steps));
    at_once.advance_to(now);
    assert_eq!(history_of(&at_once), history_of(&in_steps), "time does not go back");
    assert_ne!(history_of(&World::demo(1, now)), history_of(&World::demo(2, now)));
}

#[test]
fn people_sleep_and_have_weekends() {
    for (case, world, _) in worlds() {
        for account in world.accounts() {
            let mut by_weekday = [0_u32; 7];
            let mut at_night = 0;
            for task in account.tasks() {
                let local = task.created_at.to_zoned(berlin());
                by_weekday[local.weekday().to_monday_zero_offset() as usize] += 1;
                at_night += u32::from(local.hour() < 7);
            }
            let working_day = by_weekday[..5].iter().sum::<u32>() / 5;
            let weekend_day = by_weekday[5..].iter().sum::<u32>() / 2;
            assert!(by_weekday[..5].iter().all(|count| *count > working_day / 2), "{case}: {by_weekday:?}");
            assert!(weekend_day * 5 < working_day && weekend_day > 0, "{case}: {by_weekday:?}");
            assert_eq!(at_night, 0, "{case}");
        }
    }
}

#[test]
fn there_is_history_and_the_period_is_nearly_half_over() {
    for (case, world, now) in worlds() {
        for account in world.accounts() {
            let reset = account.next_reset().unwrap();
            let first = account.tasks()[0].created_at;
            let elapsed = 13.5 * 24.0;
            let left = reset.duration_since(now).as_secs_f64() / 3600.0;
            let share = elapsed / (elapsed + left);
            assert!((0.41..0.53).contains(&share), "{case}: {share}");
            let before_the_period = now.duration_since(first) - hours(13 * 24 + 12);
            assert!(before_the_period > hours(24 * 7 * 8), "{case}: {before_the_period:?}");
            let working_days = now.duration_since(first).as_hours() as f64 / 24.0 * 5.0 / 7.0;
            let tasks_a_day = account.tasks().len() as f64 / working_days;
            assert!((20.0..80.0).contains(&tasks_a_day), "{case}: {} {tasks_a_day}", account.name());
            assert_eq!(account.refused_launches(), 0, "{case}: {} ran dry in the past", account.name());
        }
    }
}

#[test]
fn the_quiet_teams_last_with_a_margin() {
    for (case, mut world, _) in worlds() {
        for team in [STEADY, WASTEFUL] {
            let reset = world.account(team.name).unwrap().next_reset().unwrap();
            world.advance_to(reset - SignedDuration::from_secs(1));
            let account = world.account(team.name).unwrap();
            let left = account.available().as_f64() / account.setup().monthly_grant.as_f64();
            assert!((0.15..0.4).contains(&left), "{case}: {} has {left} left", team.name);
            assert_eq!(account.refused_launches(), 0, "{case}");
        }
    }
}

#[test]
fn the_hot_team_runs_dry_some_days_before_the_reset() {
    for (case, mut world, now) in worlds() {
        world.forget_planned_top_ups(HOT.name).unwrap();
        let reset = world.account(HOT.name).unwrap().next_reset().unwrap();
        let mut at = now;
        while world.account(HOT.name).unwrap().refused_launches() == 0 && at < reset {
            at += hours(1);
            world.advance_to(at);
        }
        let days_early = reset.duration_since(at).as_hours() as f64 / 24.0;
        assert!((4.0..=6.0).contains(&days_early), "{case}: dry {days_early} days before the reset");
    }
}

#[test]
fn the_hot_teams_top_up_is_enough() {
    for (case, mut world, now) in worlds() {
        let reset = world.account(HOT.name).unwrap().next_reset().unwrap();
        let mut at = now;
        while !world.account(HOT.name).unwrap().totals().bought.is_positive() && at < reset {
            at += hours(1);
            world.advance_to(at);
        }
        let days = at.duration_since(now).as_hours() as f64 / 24.0;
        assert!((3.0..7.0).contains(&days), "{case}: top-up after {days} days");
        world.advance_to(reset - SignedDuration::from_secs(1));
        let account = world.account(HOT.name).unwrap();
        assert_eq!(account.refused_launches(), 0, "{case}");
        assert!(account.permanent().is_positive(), "{case}");
        let permanent = account.permanent();
        world.advance_to(reset);
        let account = world.account(HOT.name).unwrap();
        assert_eq!(account.permanent(), permanent, "{case}: bought credits stay");
        assert_eq!(account.monthly(), account.setup().monthly_grant, "{case}: the monthly ones are new");
    }
}

#[test]
fn one_team_launches_the_same_prompts_again_and_again() {
    for (case, world, _) in worlds() {
        let rerun_share = |team: DemoTeam| {
            let mut succeeded_before = std::collections::HashSet::new();
            let (mut spent, mut spent_again) = (0.0, 0.0);
            for task in world.account(team.name).unwrap().tasks() {
                let Prompt::Asset(asset) = task.prompt else { continue };
                spent += task.consumed().as_f64();
                let is_first_stage = task.kind.name == "text-to-3d-preview";
                if is_first_stage && succeeded_before.contains(&asset) {
                    spent_again += task.consumed().as_f64();
                }
                if is_first_stage && task.state == TaskState::Succeeded {
                    succeeded_before.insert(asset);
                }
            }
            spent_again / spent
        };
        let [steady, hot, wasteful] = DEMO_TEAMS.map(rerun_share);
        assert!(wasteful >= 0.4, "{case}: {wasteful}");
        assert!(steady < 0.15 && hot < 0.3, "{case}: {steady} {hot}");
    }
}

#[test]
fn working_hours_have_a_queue() {
    for (case, mut world, now) in worlds() {
        let (mut looks, mut with_queue, mut with_waiting) = (0, 0, 0);
        for step in 0..(14 * 24 * 4) {
            let at = now + SignedDuration::from_mins(step * 15);
            world.advance_to(at);
            let local = at.to_zoned(berlin());
            if !(10..17).contains(&local.hour()) || local.weekday().to_monday_zero_offset() > 4 {
                continue;
            }
            looks += 1;
            let open = |account: &Account| account.tasks().iter().filter(|task| !task.state.is_final()).count();
            let waiting = |account: &Account| {
                account.tasks().iter().any(|task| task.state == TaskState::Queued && task.started_at.is_none())
            };
            assert!(world.accounts().iter().all(|account| open(account) <= account.setup().plan.queue_limit()));
            with_queue += u32::from(world.accounts().iter().any(|account| open(account) > 0));
            with_waiting += u32::from(world.accounts().iter().any(waiting));
        }
        assert!(with_queue * 5 > looks * 3, "{case}: {with_queue} of {looks}");
        assert!(with_waiting * 10 > looks, "{case}: {with_waiting} of {looks}");
    }
}

#[test]
fn months_of_history_stay_small() {
    for (case, world, _) in worlds() {
        let tasks: usize = world.accounts().iter().map(|account| account.tasks().len()).sum();
        let bytes = tasks * std::mem::size_of::<Task>();
        assert!(bytes < 3_000_000, "{case}: {tasks} tasks in {bytes} bytes");
    }
}

#[test]
fn the_demo_begins_on_a_monday_morning() {
    for (today, start) in [
        ("2026-11-23T05:00:00Z", "2026-11-23T08:00:00Z"),
        ("2026-11-22T22:59:59Z", "2026-11-16T08:00:00Z"),
        ("2026-11-29T12:00:00Z", "2026-11-23T08:00:00Z"),
        ("2027-04-01T12:00:00Z", "2027-03-29T07:00:00Z"),
    ] {
        assert_eq!(demo_start(today.parse().unwrap()).to_string(), start);
    }
}
