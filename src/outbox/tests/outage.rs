//! A day without the relay, hour by hour: what is still true afterwards is told once, and what ended in one mail that
//! says both.

use std::collections::BTreeMap;

use super::*;
use stage::Mail;

/// What happens to a team's alert during the day: after so many minutes, what is told, and to whom.
type Story = (&'static str, &'static [(i64, u32, Severity, Why, &'static [&'static str])]);

const LEAD: &[&str] = &["lead"];
const BOTH: &[&str] = &["lead", "billing"];

use Severity::{Critical, Warning};
use Why::{Opened, PlanReset, Repeated, Resolved, Worsened};

const STORIES: [Story; 6] = [
    ("steady", &[(10, 1, Warning, Opened, LEAD)]),
    ("worse", &[(20, 1, Warning, Opened, LEAD), (700, 1, Critical, Worsened, BOTH)]),
    (
        "again",
        &[(5, 1, Critical, Opened, BOTH), (600, 1, Critical, Repeated, BOTH), (1300, 1, Critical, Repeated, BOTH)],
    ),
    ("over", &[(30, 1, Warning, Opened, LEAD), (400, 1, Critical, Worsened, BOTH), (900, 1, Critical, Resolved, BOTH)]),
    // It resolved, and began anew: two conversations.
    ("twice", &[(40, 1, Warning, Opened, LEAD), (300, 1, Warning, Resolved, LEAD), (800, 2, Warning, Opened, LEAD)]),
    ("reset", &[(1000, 1, Critical, Opened, BOTH), (1430, 1, Critical, PlanReset, BOTH)]),
];

/// What each recipient finds in each conversation afterwards: what is true now first, then what came before.
const TOLD: [(&str, &[&str]); 11] = [
    ("billing again-1", &["again-1-repeated-#", "again-1-opened", "again-1-repeated-#"]),
    ("billing over-1", &["over-1-resolved", "over-1-worsened-critical"]),
    ("billing reset-1", &["reset-1-plan_reset", "reset-1-opened"]),
    ("billing worse-1", &["worse-1-worsened-critical"]),
    ("lead again-1", &["again-1-repeated-#", "again-1-opened", "again-1-repeated-#"]),
    ("lead over-1", &["over-1-resolved", "over-1-opened", "over-1-worsened-critical"]),
    ("lead reset-1", &["reset-1-plan_reset", "reset-1-opened"]),
    ("lead steady-1", &["steady-1-opened"]),
    ("lead twice-1", &["twice-1-resolved", "twice-1-opened"]),
    ("lead twice-2", &["twice-2-opened"]),
    ("lead worse-1", &["worse-1-worsened-critical", "worse-1-opened"]),
];

/// Plays the day, looking every ten minutes as an agent may, dying at some of them, and then the hours after.
async fn play(limits: DeliveryLimits, failure: Reply, restarts: &[i64]) -> (Stage, Vec<Mail>) {
    let mut stage = Stage::new(limits).await;
    stage.relay.say(failure);
    for minute in 0..24 * 60 {
        stage.clock.set(noon() + minutes(minute));
        for (team, story) in STORIES {
            for (_, episode, severity, why, recipients) in story.iter().filter(|told| told.0 == minute) {
                stage.tell(team, *episode, *severity, *why, recipients).await;
            }
        }
        if restarts.contains(&minute) {
            stage.die_during_a_delivery(5).await;
            stage.restart().await;
        }
        if minute % 10 == 0 {
            stage.deliver().await;
        }
    }
    assert!(stage.relay.take().is_empty());
    assert_eq!(stage.depth().await.total().failed, 0, "nothing is given up in a day");
    stage.relay.say(Reply::Accept);
    for minute in (24 * 60..26 * 60).step_by(5) {
        stage.clock.set(noon() + minutes(minute));
        stage.deliver().await;
    }
    let mails = stage.relay.take();
    (stage, mails)
}

/// What was told to whom, by conversation; moments of repeats do not matter.
fn by_conversation(mails: &[Mail]) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut told: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for mail in mails {
        let tells: Vec<String> = mail.tells().into_iter().map(|name| without_moment(&name)).collect();
        let conversation = tells[0].splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
        told.entry(format!("{} {conversation}", mail.recipient)).or_default().push(tells);
    }
    told
}

fn without_moment(name: &str) -> String {
    match name.split_once("-repeated-") {
        Some((start, _)) => format!("{start}-repeated-#"),
        None => name.to_owned(),
    }
}

#[tokio::test]
async fn a_day_without_the_relay() {
    let roomy = DeliveryLimits { per_recipient_per_hour: 20, ..DeliveryLimits::default() };
    for (failure, restarts) in [
        (Reply::Fail(NotifyFailure::Transient), &[][..]),
        (Reply::Fail(NotifyFailure::Transient), &[333, 702, 901, 1431]),
        (Reply::Fail(NotifyFailure::RateLimited), &[]),
        (Reply::Fail(NotifyFailure::Configuration), &[500]),
    ] {
        let (stage, mails) = play(roomy, failure, restarts).await;
        let expected: BTreeMap<String, Vec<Vec<String>>> = TOLD
            .iter()
            .map(|(conversation, told)| {
                ((*conversation).to_owned(), vec![told.iter().map(|name| (*name).to_owned()).collect()])
            })
            .collect();
        assert_eq!(by_conversation(&mails), expected, "{failure:?} {restarts:?}");
        let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.id.as_str()).collect();
        assert_eq!(ids.len(), 11, "each mail once");
        let total = stage.depth().await.total();
        let decided: usize = STORIES.iter().flat_map(|story| story.1).map(|told| told.4.len()).sum();
        assert_eq!((total.sent, total.waiting, total.failed), (11, 0, 0));
        // What was merged, and merged again, is accounted for.
        let records = stage.records("merged").await;
        let notices = records.iter().filter(|record| record.kind == crate::domain::MessageKind::Notice).count();
        let alone = TOLD.iter().filter(|(_, told)| told.len() == 1).count();
        assert_eq!(notices + alone, decided);
    }
}

#[tokio::test]
async fn a_day_without_the_relay_for_those_who_get_little_mail() {
    let (stage, mails) = play(NARROW, Reply::Fail(NotifyFailure::Transient), &[702]).await;
    let of = |recipient: &str| mails.iter().filter(|mail| mail.recipient == recipient).collect::<Vec<_>>();
    // Four conversations for one, of which two are urgent; seven for the other, three of them not by themselves.
    let told: BTreeSet<(String, String)> =
        mails.iter().flat_map(|mail| mail.tells().into_iter().map(|name| (mail.recipient.clone(), name))).collect();
    let decided: usize = STORIES.iter().flat_map(|story| story.1).map(|told| told.4.len()).sum();
    assert_eq!(told.len(), decided, "everything is told to everybody");
    assert!(of("lead").len() <= 4 && of("billing").len() <= 4, "{:?}", by_conversation(&mails));
    let collected = of("lead").into_iter().find(|mail| mail.raw.contains("X-Fuelgauge-State: collected")).unwrap();
    assert!(collected.tells().len() >= 5, "{}", collected.shown.text);
    let urgent = of("lead").iter().filter(|mail| !mail.raw.contains("X-Fuelgauge-State: collected")).count();
    assert!(urgent >= 2, "what is critical and true comes by itself");
    assert_eq!(stage.depth().await.total().waiting, 0);
}
