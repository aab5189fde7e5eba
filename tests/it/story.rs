//! A month in the life: the product's promise, told on clocks that move on request.

use std::sync::Arc;

use fuelgauge::app;
use fuelgauge::demo::platform::{Endpoint, Fault, HOT, NewTask, World};
use fuelgauge::domain::{AlertState, Credits, RuleName, TeamName};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::support::agent::{STUDIO, Setup, TestAgent, thirsty_studio};
use crate::support::mail::Mail;
use crate::support::scrape::Scrape;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn news(mails: &[Mail]) -> Vec<String> {
    mails.iter().map(Mail::news).collect()
}

/// What takes longer than a minute of real time never comes.
async fn within_a_minute<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("no {what}"))
}

/// The counters that come from the ledger, and so must not notice a restart.
fn counters(scrape: &Scrape) -> String {
    let families =
        ["charged", "refunded", "granted", "tasks_finished", "tasks_failed", "task_retries", "retry_credits"];
    families.map(|family| format!("{:?}\n", scrape.family(&format!("fuelgauge_{family}")))).concat()
}

/// Whether no task of an account waits or runs.
fn is_quiet(stage: &TestAgent, account: &str) -> bool {
    stage.platform.world().account(account).unwrap().tasks().iter().all(|task| task.state.is_final())
}

/// What the ledger says of an account is what the platform took, to the millionth.
fn assert_exact(stage: &TestAgent, scrape: &Scrape, account: &str) {
    let labels = [("account", account)];
    let totals = stage.platform.world().account(account).unwrap().totals();
    let ours = |family: &str| scrape.value(family, &labels).unwrap_or(0.0);
    let now = stage.clock_text();
    let net = ours("fuelgauge_charged_credits_total") - ours("fuelgauge_refunded_credits_total");
    assert_eq!(net, (totals.charged - totals.refunded).as_f64(), "{now}: net use");
    assert_eq!(ours("fuelgauge_granted_credits_total"), totals.bought.as_f64(), "{now}: bought");
    assert_eq!(stage.assessment(account).unexplained, Some(Credits::ZERO), "{now}: drift");
    let left = stage.platform.world().account(account).unwrap().available().as_f64();
    assert_eq!(scrape.value("fuelgauge_balance_credits", &labels), Some(left), "{now}: balance");
}

/// Every three hours while people work, and once at night.
fn next_look(now: Timestamp) -> Timestamp {
    let local = now.to_zoned(jiff::tz::TimeZone::UTC);
    let is_weekend = local.weekday().to_monday_zero_offset() > 4;
    now + hours(match local.hour() {
        23 => 9,
        _ if is_weekend => 15,
        17 => 6,
        _ => 3,
    })
}

/// The hurried team of the demo has two plan periods behind it and works faster from the second day on. Its credits would
/// be gone five days before the reset; here somebody buys more only when the alert is critical.
#[tokio::test]
async fn a_month_with_a_top_up() {
    let began = at("2026-11-23T08:00:00Z");
    let mut world = World::demo(1, began);
    world.forget_planned_top_ups(HOT.name).unwrap();
    let reset = world.account(HOT.name).unwrap().next_reset().unwrap();
    let setup = Setup { has_short_pages: true, ..Setup::watching(HOT.name, world, began) };
    let mut stage = TestAgent::start(setup).await;

    let mut topped_up_at = None;
    let mut audits = 0;
    let mut now = began;
    for step in 0.. {
        if now > reset + hours(3 * 24) {
            break;
        }
        stage.poll_at(now).await;
        let is_critical = || news(&stage.mails()).iter().any(|news| news == "worsened critical");
        if topped_up_at.is_none() && is_critical() {
            stage.platform.world().top_up(HOT.name, Credits::from_whole(6_000)).unwrap();
            topped_up_at = Some(now);
            // The next poll sees it.
            stage.step().await;
        }
        // Meshy says what a task cost when it is final, so the books balance whenever nothing runs. Whether they do is
        // known from the second balance on.
        // A rise is taken for a purchase once two readings agree on it.
        let is_agreed = topped_up_at != Some(now);
        if step > 0 && is_agreed && is_quiet(&stage, HOT.name) {
            assert_exact(&stage, &stage.scrape().await, HOT.name);
            audits += 1;
        }
        // A restart, at any time of day and in every state of the alert, changes nothing and tells nobody anything.
        if step % 7 == 6 {
            let (mails, before) = (stage.mails().len(), counters(&stage.scrape().await));
            let assessed = stage.assessment(HOT.name);
            stage = stage.restart().await;
            assert_eq!(counters(&stage.scrape().await), before, "{now}");
            assert_eq!(stage.assessment(HOT.name).draws[0].alerts, assessed.draws[0].alerts, "{now}");
            assert_eq!(stage.assessment(HOT.name).unexplained, assessed.unexplained, "{now}");
            stage.poll_at(now).await;
            assert_eq!(counters(&stage.scrape().await), before, "{now}: polled twice at one moment");
            assert_eq!(stage.mails().len(), mails, "{now}: a restart wrote a mail");
        }
        now = next_look(now);
    }

    assert!(audits > 15, "{audits}");

    let mails = stage.mails_of(RuleName::Exhaustion);
    let (repeats, turns): (Vec<Mail>, Vec<Mail>) =
        mails.iter().cloned().partition(|mail| mail.news() == "repeated warning");
    assert!(repeats.len() <= 2, "{:?}", news(&mails));
    // The warning goes to the lead; both hear of the critical stage, and then that it is over.
    let heard = |recipient: &str| {
        let is_theirs = |mail: &&Mail| mail.recipients == [recipient.to_owned()];
        turns.iter().filter(is_theirs).map(Mail::news).collect::<Vec<_>>()
    };
    assert_eq!(heard("lead@studio.example"), ["opened warning", "worsened critical", "resolved critical"]);
    assert_eq!(heard("billing@studio.example"), ["worsened critical", "resolved critical"]);
    assert_eq!(turns.len(), 5);

    // One conversation: mail programs gather it by subject and references. Each mail is one of its own.
    for name in ["Subject", "References", "In-Reply-To"] {
        let values: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header(name)).collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
    }
    let ids: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), mails.len());
    assert!(mails[0].shown.subject.contains("before 9 December"), "{}", mails[0].shown.subject);

    // Told in good time: the warning days before the critical stage, that one before the credits were gone.
    let told_at = |news: &str| {
        let mail = mails.iter().find(|mail| mail.news() == news).unwrap();
        let date = jiff::fmt::rfc2822::parse(&mail.header("Date")).unwrap();
        date.timestamp()
    };
    assert!(told_at("worsened critical").duration_since(told_at("opened warning")) > hours(48));
    assert!(reset.duration_since(told_at("opened warning")) > hours(7 * 24));
    assert_eq!(
        stage.platform.world().account(HOT.name).unwrap().refused_launches(),
        0,
        "warned before it was too late"
    );
    assert!(told_at("resolved critical") < reset);

    // A new period: the old alert is history, nobody wrote because of the reset.
    let draw = &stage.assessment(HOT.name).draws[0];
    assert_eq!(draw.period.as_ref().map(|period| period.start), Some(reset));
    assert_eq!(draw.alert(RuleName::Exhaustion).state, AlertState::Inactive);
    let scrape = stage.scrape().await;
    assert_eq!(scrape.value("fuelgauge_alerts_active", &[("account", HOT.name)]), Some(0.0));
    assert_exact(&stage, &scrape, HOT.name);
}

/// Launches what the studio launches in six hours, as far as its credits allow.
fn work_on(stage: &TestAgent, now: Timestamp) {
    for minutes in [10, 130] {
        let at = now - SignedDuration::from_mins(minutes);
        let task = NewTask { kind: "image-to-3d", at, credits: None, prompt: None, key: 0 };
        let mut world = stage.platform.world();
        if let Ok(id) = world.add_task(STUDIO, task) {
            world.finish_task(id, at + SignedDuration::from_mins(3)).unwrap();
        }
    }
}

#[tokio::test]
async fn the_plan_resets_while_the_alert_fires() {
    let began = at("2026-11-21T12:00:00Z");
    let mut world = thirsty_studio(began);
    let reset = world.account(STUDIO).unwrap().next_reset().unwrap();
    world.advance_to(began);
    let setup = Setup { has_short_pages: true, ..Setup::watching(STUDIO, world, began) };
    let mut stage = TestAgent::start(setup).await;
    let mut now = began;
    while now < reset {
        work_on(&stage, now);
        stage.poll_at(now).await;
        now += hours(6);
    }
    let of_exhaustion = |stage: &TestAgent| stage.mails_of(RuleName::Exhaustion);
    let (before, of_all) = (news(&of_exhaustion(&stage)), stage.mails().len());
    assert_eq!(&before[..3], ["opened warning", "worsened critical", "worsened critical"], "{before:?}");
    assert!(before[3..].iter().all(|news| news == "repeated critical"), "{before:?}");

    // Nobody looks while the plan resets: the machine was off for half a day.
    stage.move_to(reset + hours(12));
    stage = stage.restart().await;
    stage.deliver().await;
    assert_eq!(stage.mails().len(), of_all, "a start tells nothing by itself");
    let now = reset + hours(12);
    stage.poll_at(now).await;
    // The lead hears of the reset by the summary of the period; who does not get that hears that the alert is closed.
    let after = of_exhaustion(&stage);
    let closed = &after[before.len()..];
    assert_eq!(news(closed), ["plan_reset critical"]);
    assert_eq!(closed[0].recipients, ["billing@studio.example"]);
    assert_eq!(closed[0].header("References"), after[0].header("References"), "the same conversation");
    let summary = stage.mails_of(RuleName::PlanReset);
    assert_eq!(news(&summary), ["opened info"]);
    assert_eq!(summary[0].recipients, ["lead@studio.example"]);
    assert_eq!(stage.mails().len(), of_all + 2);
    let alert = |stage: &TestAgent| stage.assessment(STUDIO).draws[0].alert(RuleName::Exhaustion);
    assert_eq!(alert(&stage).state, AlertState::Inactive);

    // The same pace uses up the new period's credits too: a fresh alert, in a conversation of its own.
    let mut now = now;
    while matches!(alert(&stage).state, AlertState::Inactive) {
        assert!(now < reset + hours(20 * 24), "no fresh alert: {:?}", stage.assessment(STUDIO).draws[0].outlook);
        now += hours(6);
        work_on(&stage, now);
        stage.poll_at(now).await;
    }
    let fresh = &of_exhaustion(&stage)[after.len()..];
    assert!(fresh.iter().all(|mail| mail.news().starts_with("opened")), "{:?}", news(fresh));
    assert_eq!(alert(&stage).episode, 1);
    assert_ne!(fresh[0].header("References"), after[0].header("References"));
    assert_ne!(fresh[0].shown.subject, after[0].shown.subject);
    assert_exact(&stage, &stage.scrape().await, STUDIO);
}

/// The running agent: its tasks, its schedule, its outbox and its end.
#[tokio::test]
async fn the_agent_runs_by_itself() {
    let began = at("2026-11-21T12:20:00Z");
    let stage = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(began), began)).await;
    let stop = CancellationToken::new();
    let (reloads, receiver) = mpsc::channel(1);
    let running = tokio::spawn({
        let (config, shared, stop) = (stage.config.clone(), stage.shared.clone(), stop.clone());
        async move { app::run(config, None, &shared, receiver, stop).await }
    });
    let mut published = stage.shared.published.subscribe();
    let mut seen = async |what: &str, moment: Timestamp| {
        let is_there = |snapshot: &Arc<fuelgauge::domain::Snapshot>| {
            let tried = |status: &fuelgauge::domain::CollectorStatus| status.last_attempt_at >= Some(moment);
            snapshot.accounts.iter().any(|account| account.at >= moment && account.collectors.iter().any(tried))
        };
        within_a_minute(what, published.wait_for(is_there)).await.unwrap();
    };

    // The first look is at the start, whatever the schedule says; its alert is delivered by itself.
    seen("the first poll", began).await;
    within_a_minute("the first mail", stage.catcher.wait_for(1)).await;
    assert_eq!(news(&stage.mails()), ["opened warning"]);

    // The next at the hour, a few seconds late so that accounts do not march in step.
    let late = fuelgauge::schedule::fixed_jitter("poll studio", std::time::Duration::from_secs(15));
    let hour = at("2026-11-21T13:00:00Z");
    stage.move_to(hour + SignedDuration::try_from(late).unwrap());
    seen("the second poll", hour).await;

    // Three hours asleep: one poll, and two are counted as missed.
    let later = at("2026-11-21T16:30:00Z");
    stage.move_to(later);
    seen("the poll after the sleep", later).await;
    let scrape = stage.scrape().await;
    assert_eq!(scrape.value("fuelgauge_scheduler_runs_total", &[("job_name", "poll studio")]), Some(3.0));
    assert_eq!(scrape.value("fuelgauge_scheduler_missed_runs_total", &[("job_name", "poll studio")]), Some(2.0));

    // A new configuration starts the accounts anew, and tells nothing twice.
    let (answer, answered) = oneshot::channel();
    reloads.send(answer).await.unwrap();
    assert_eq!(within_a_minute("the reload", answered).await.unwrap(), Ok(()));
    stage.move_to(later + SignedDuration::from_mins(1));
    seen("the poll after the reload", later).await;

    // The platform hangs in the middle of a poll: the agent stops all the same.
    stage.platform.set_fault(Endpoint::Any, Fault::Stall);
    let asked = stage.platform.requests(Endpoint::Any);
    stage.move_to(at("2026-11-21T17:01:00Z"));
    crate::support::servers::eventually("the poll that hangs", async || {
        (stage.platform.requests(Endpoint::Any) > asked).then_some(())
    })
    .await;
    stop.cancel();
    within_a_minute("the end", running).await.unwrap().unwrap();
    stage.deliver().await;
    let told: Vec<String> =
        stage.mails().iter().map(|mail| format!("{} {}", mail.header("X-Fuelgauge-Alert"), mail.news())).collect();
    assert_eq!(told, ["exhaustion opened warning"]);
}

#[tokio::test]
async fn a_team_that_leaves_the_configuration_leaves_no_alert_behind() {
    let now = at("2026-11-20T12:00:00Z");
    let mut stage = TestAgent::start(Setup::watching(STUDIO, thirsty_studio(now), now)).await;
    let fires = async |stage: &TestAgent| {
        let firing = stage.shared.store.firing().await.unwrap();
        firing.iter().any(|alert| alert.alert == "exhaustion" && alert.team == STUDIO)
    };
    let told_of_it = |stage: &TestAgent| {
        let mails = stage.mails_of(RuleName::Exhaustion);
        mails.iter().filter(|mail| mail.header("X-Fuelgauge-Team") == STUDIO).count()
    };
    for minutes in [0, 60, 60] {
        stage.poll_after_minutes(minutes).await;
    }
    assert!(fires(&stage).await);
    let told = told_of_it(&stage);
    assert!(told > 0);

    // Its draw bears another name now; of the old one nobody hears again.
    let name_team = |stage: &mut TestAgent, name: &str| {
        let team = &mut stage.config.teams[0];
        team.name = TeamName::parse(name).unwrap();
        team.draws[0].key.team = team.name.clone();
    };
    name_team(&mut stage, "renamed");
    stage.clock.advance(hours(1));
    let mut stage = stage.restart().await;
    assert_eq!(stage.shared.store.firing().await.unwrap(), [], "the old one's has ended, the new one's has not begun");
    stage.poll_after_minutes(60).await;
    assert_eq!(told_of_it(&stage), told);

    // Back again, it is a new episode, which is told.
    name_team(&mut stage, STUDIO);
    stage.clock.advance(hours(1));
    let stage = stage.restart().await;
    for minutes in [60, 60] {
        stage.poll_after_minutes(minutes).await;
    }
    assert!(fires(&stage).await);
    assert!(told_of_it(&stage) > told);
}
