//! What tests can do to a world by hand.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::account::next_reset;
use super::super::*;
use crate::domain::{AnchorDay, Credits, TaskState};

const NOW: &str = "2026-11-20T09:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

fn world_of(monthly: i64, permanent: i64) -> World {
    let mut world = World::new();
    let setup = AccountSetup { permanent: whole(permanent), ..AccountSetup::new("studio", "msy_one", whole(monthly)) };
    world.add_account(setup, now()).unwrap();
    world
}

fn launch(world: &mut World, kind: &str, credits: Option<i64>) -> Result<TaskId, WorldError> {
    let task = NewTask { kind, at: now(), credits: credits.map(whole), prompt: Some("a bell"), key: 0 };
    world.add_task("studio", task)
}

#[test]
fn monthly_credits_burn_first_and_come_back_where_they_came_from() {
    let mut world = world_of(50, 100);
    let balance = |world: &World| {
        let account = world.account("studio").unwrap();
        (account.monthly(), account.permanent())
    };
    let first = launch(&mut world, "image-to-3d", Some(80)).unwrap();
    assert_eq!(balance(&world), (whole(0), whole(70)));
    world.fail_task(first, now()).unwrap();
    assert_eq!(balance(&world), (whole(50), whole(100)));

    let list_price = launch(&mut world, "text-to-3d-preview", None).unwrap();
    assert_eq!(balance(&world), (whole(30), whole(100)));
    world.finish_task(list_price, now()).unwrap();
    assert_eq!(balance(&world), (whole(30), whole(100)));

    let waiting = launch(&mut world, "rig", None).unwrap();
    world.cancel_task(waiting, now()).unwrap();
    assert_eq!(balance(&world), (whole(30), whole(100)), "withdrawn before work began");

    let begun = launch(&mut world, "rig", None).unwrap();
    world.start_task(begun, now()).unwrap();
    world.cancel_task(begun, now()).unwrap();
    assert_eq!(balance(&world), (whole(25), whole(100)), "withdrawn too late");

    world.top_up("studio", whole(500)).unwrap();
    assert_eq!(balance(&world), (whole(25), whole(600)));
    world.set_balance("studio", whole(1), whole(2)).unwrap();
    assert_eq!(balance(&world), (whole(1), whole(2)));
    let totals = world.account("studio").unwrap().totals();
    assert_eq!(
        totals.granted + totals.bought - totals.lapsed - totals.charged + totals.refunded + totals.adjusted,
        whole(3)
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut world = world_of(10, 0);
    let done = launch(&mut world, "convert", None).unwrap();
    world.finish_task(done, now()).unwrap();
    let stranger = TaskId::new(7, 0, now());
    let out_of_order = TaskId::new(0, 0, now() + SignedDuration::from_secs(1));
    for (outcome, message) in [
        (world.fail_task(done, now()).unwrap_err(), format!("task `{done}` has ended already")),
        (world.start_task(stranger, now()).unwrap_err(), format!("expected the id of a task, found `{stranger}`")),
        (
            world.start_task(out_of_order, now()).unwrap_err(),
            format!("expected the id of a task, found `{out_of_order}`"),
        ),
        (
            launch(&mut world, "image-to-3d", None).unwrap_err(),
            "account `studio`: expected at least 30 credits, found 9".to_owned(),
        ),
        (
            launch(&mut world, "painting", None).unwrap_err(),
            "expected a task type such as `image-to-3d`, found `painting`".to_owned(),
        ),
        (world.top_up("atelier", whole(1)).unwrap_err(), "expected the name of an account, found `atelier`".to_owned()),
        (
            world.add_account(AccountSetup::new("other", "msy_one", whole(1)), now()).unwrap_err(),
            "account `other`: expected a name and keys that no other account has, and one key at least".to_owned(),
        ),
    ] {
        assert_eq!(outcome.to_string(), message);
    }
    let account = world.account("studio").unwrap();
    assert_eq!((account.available(), account.refused_launches()), (whole(9), 1), "a refusal costs nothing");
}

#[test]
fn a_reset_lapses_monthly_credits_only() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let anchor = AnchorDay { day: 1, time: Time::midnight(), zone };
    let mut world = World::new();
    let setup = AccountSetup {
        reset: Some(anchor),
        permanent: whole(30),
        ..AccountSetup::new("studio", "msy_one", whole(100))
    };
    world.add_account(setup, now()).unwrap();
    let running = launch(&mut world, "text-to-3d-preview", None).unwrap();
    let reset: Timestamp = "2026-11-30T23:00:00Z".parse().unwrap();
    assert_eq!(world.account("studio").unwrap().next_reset(), Some(reset));

    world.advance_to(reset - SignedDuration::from_nanos(1));
    assert_eq!(world.account("studio").unwrap().monthly(), whole(80));
    world.advance_to(reset);
    let account = world.account("studio").unwrap();
    assert_eq!((account.monthly(), account.permanent(), account.totals().lapsed), (whole(100), whole(30), whole(80)));
    assert_eq!(account.tasks()[0].state, TaskState::Queued, "what a test launches waits for the test");
    world.fail_task(running, reset).unwrap();
    assert_eq!(world.account("studio").unwrap().monthly(), whole(120), "a late refund comes on top");
    world.advance_to(reset + SignedDuration::from_hours(24 * 70));
    assert_eq!(world.account("studio").unwrap().totals().granted, whole(400));
}

#[test]
fn planned_top_ups_come_when_planned() {
    let mut world = world_of(0, 0);
    let at = now() + SignedDuration::from_hours(5);
    world.plan_top_up("studio", at, whole(200)).unwrap();
    for (moment, balance) in [(at - SignedDuration::from_secs(1), 0), (at, 200), (at, 200)] {
        world.advance_to(moment);
        assert_eq!(world.account("studio").unwrap().available(), whole(balance));
    }
    world.plan_top_up("studio", at + SignedDuration::from_hours(1), whole(200)).unwrap();
    world.forget_planned_top_ups("studio").unwrap();
    world.advance_to(at + SignedDuration::from_hours(2));
    assert_eq!(world.account("studio").unwrap().available(), whole(200));
}

#[test]
fn anchor_days_clamp_and_return() {
    let anchor = |day, zone: &str| AnchorDay { day, time: Time::midnight(), zone: TimeZone::get(zone).unwrap() };
    for (anchor, after, next) in [
        (anchor(31, "UTC"), "2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z"),
        (anchor(31, "UTC"), "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"),
        (anchor(31, "UTC"), "2027-03-30T23:59:59Z", "2027-03-31T00:00:00Z"),
        (anchor(30, "UTC"), "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        (anchor(1, "Europe/Berlin"), "2026-12-31T22:59:59Z", "2026-12-31T23:00:00Z"),
        (anchor(1, "Europe/Berlin"), "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"),
        (anchor(15, "Europe/Berlin"), "2027-03-20T00:00:00Z", "2027-04-14T22:00:00Z"),
    ] {
        let found = next_reset(&anchor, after.parse().unwrap()).map(|at| at.to_string());
        assert_eq!(found.as_deref(), Some(next), "after {after}");
    }
}
