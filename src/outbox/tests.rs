//! Deliveries, told as stories on a clock that moves on request.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::domain::{DeliveryLimits, Stage as Severity, Why};
use crate::store::Retried;

mod disk;
mod outage;
mod properties;
mod stage;
mod under_way;

use stage::{Relay, Reply, Stage, WIDE, channel, minutes, noon};

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

const NARROW: DeliveryLimits =
    DeliveryLimits { per_recipient_per_hour: 3, per_recipient_per_day: 10, per_minute: 1_000 };

#[tokio::test]
async fn what_is_due_is_sent_once() {
    let stage = Stage::new(WIDE).await;
    for team in ["art", "cars", "props"] {
        stage.warn(team, "lead").await;
    }
    assert_eq!(stage.deliver().await, Delivered { sent: 3, ..Delivered::default() });
    assert_eq!(stage.deliver().await, Delivered::default());
    assert_eq!(stage.relay.take().len(), 3);
    let shown = stage.published.borrow().outbox.total();
    assert_eq!((shown.sent, shown.waiting, shown.last_sent_at), (3, 0, Some(noon())));
    let records = stage.records("sent").await;
    assert!(records.iter().all(|record| record.attempts == 1 && record.closed_at == Some(noon())));
}

#[tokio::test]
async fn an_episode_that_came_and_went_during_an_outage_is_one_mail() {
    let stage = Stage::new(WIDE).await;
    stage.relay.say(Reply::Fail(NotifyFailure::Transient));
    let (lead, both) = (&["lead"][..], &["lead", "billing"][..]);
    stage.tell("art", 1, Severity::Warning, Why::Opened, lead).await;
    stage.deliver().await;
    stage.clock.advance(hours(1));
    stage.tell("art", 1, Severity::Critical, Why::Worsened, both).await;
    let done = stage.deliver().await;
    assert_eq!((done.merged, done.sent), (2, 0), "for the lead, who has not heard of it yet");
    stage.clock.advance(hours(5));
    stage.tell("art", 1, Severity::Critical, Why::Resolved, both).await;
    stage.deliver().await;
    let waiting = stage.records("waiting").await;
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|record| record.attempts > 0), "the tries go on where they were");
    assert_eq!(waiting.iter().map(|record| record.decided_at).min(), Some(noon()), "and so does the waiting");

    stage.relay.say(Reply::Accept);
    let done = stage.deliver_after(hours(1)).await;
    assert_eq!((done.sent, done.merged), (2, 0));
    let mut mails = stage.relay.take();
    mails.sort_by_key(|mail| mail.recipient.clone());
    let told: Vec<(&str, Vec<String>)> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.tells())).collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (opened, worsened, resolved) = ("art-1-opened", "art-1-worsened-critical", "art-1-resolved");
    assert_eq!(told[0], ("billing", names(&[resolved, worsened])), "what is true now first, then what came before");
    assert_eq!(told[1], ("lead", names(&[resolved, opened, worsened])));
    for mail in &mails {
        assert!(mail.raw.contains("References: <art.1@studio.example>\r\n"), "{}", mail.raw);
        assert_eq!(mail.shown.subject, "Credits of team art");
        assert!(mail.shown.html.contains("<p>art-1-resolved</p>") && mail.shown.html.contains("What came before"));
    }
    let merged = stage.records("merged").await;
    let sent: BTreeSet<i64> = stage.records("sent").await.iter().map(|record| record.id).collect();
    assert_eq!(merged.len(), 6, "three, two, and the first one made of two");
    assert!(
        merged.iter().all(|record| sent.contains(&record.merged_into.unwrap())),
        "each knows who told it: {merged:?}"
    );
    assert_eq!(stage.counted("fuelgauge_notifications_merged_total", "superseded"), 6.0);
}

#[tokio::test]
async fn a_quick_sequence_stays_as_it_is() {
    let stage = Stage::new(WIDE).await;
    stage.tell("art", 1, Severity::Warning, Why::Opened, &["lead"]).await;
    stage.clock.advance(minutes(5));
    stage.tell("art", 1, Severity::Critical, Why::Worsened, &["lead"]).await;
    assert_eq!(stage.deliver().await, Delivered { sent: 2, ..Delivered::default() });
    let told: Vec<String> = stage.relay.take().iter().flat_map(|mail| mail.tells()).collect();
    assert_eq!(told, ["art-1-opened", "art-1-worsened-critical"], "in their order");

    // While the agent was away, nothing was tried, and nothing is fresh any more.
    stage.tell("art", 1, Severity::Critical, Why::Repeated, &["lead"]).await;
    stage.clock.advance(minutes(10));
    stage.tell("art", 1, Severity::Critical, Why::Resolved, &["lead"]).await;
    assert_eq!(stage.deliver().await, Delivered { sent: 1, merged: 2, ..Delivered::default() });
}

#[tokio::test]
async fn a_newer_mail_does_not_overtake_an_older_one_that_is_under_way() {
    let stage = Arc::new(Stage::new(WIDE).await);
    stage.relay.say(Reply::Hang);
    stage.warn("art", "lead").await;
    let hanging = tokio::spawn({
        let outbox = stage.outbox.clone();
        async move { outbox.deliver_once().await }
    });
    while stage.relay.tries() == 0 {
        tokio::task::yield_now().await;
    }
    stage.relay.say(Reply::Accept);
    stage.tell("art", 1, Severity::Warning, Why::Resolved, &["lead"]).await;
    stage.warn("cars", "lead").await;
    // Whoever looks meanwhile: another team's alert leaves, the same team's waits.
    assert_eq!(stage.deliver().await, Delivered { sent: 1, ..Delivered::default() });
    assert_eq!(stage.relay.take()[0].tells(), ["cars-1-opened"]);
    hanging.abort();
    let _ = hanging.await;
    // The lease of the one that died is over, and what came of it nobody knows: both are told as one.
    assert_eq!(stage.deliver_after(hours(1)).await, Delivered { sent: 1, merged: 2, ..Delivered::default() });
    assert_eq!(stage.relay.take()[0].tells(), ["art-1-resolved", "art-1-opened"]);
}

#[tokio::test]
async fn more_than_the_caps_have_room_for_is_collected_in_one() {
    let stage = Stage::new(NARROW).await;
    stage.warn("art", "boss").await;
    for number in 0..5 {
        stage.warn(&format!("team-{number}"), "lead").await;
    }
    stage.tell("cars", 1, Severity::Critical, Why::Opened, &["lead"]).await;
    assert_eq!(stage.deliver().await, Delivered { sent: 3, merged: 5, ..Delivered::default() });
    let mails = stage.relay.take();
    assert_eq!(mails[0].tells(), ["cars-1-opened"], "what is urgent goes by itself, and first");
    let collected = mails.iter().find(|mail| mail.recipient == "lead" && mail.tells().len() == 5).unwrap();
    assert_eq!(collected.shown.subject, "Summary of credit alerts");
    assert!(collected.raw.contains("\r\nX-Fuelgauge-State: collected\r\n") && !collected.raw.contains("References"));
    assert!(
        collected.shown.text.starts_with("Summary: 5 alerts, none of them critical.\n"),
        "{}",
        collected.shown.text
    );
    assert!(collected.shown.text.contains("\n  https://fuelgauge.studio.example/teams/team-3\n"));
    assert_eq!(stage.counted("fuelgauge_notifications_merged_total", "collected"), 5.0);

    // One more leaves; then the hour is full, and the rest waits for it to pass.
    stage.clock.advance(minutes(10));
    for number in 5..9 {
        stage.warn(&format!("team-{number}"), "lead").await;
        stage.deliver().await;
    }
    assert_eq!(stage.relay.take().len(), 1);
    stage.tell("team-8", 1, Severity::Critical, Why::Worsened, &["lead"]).await;
    let done = stage.deliver().await;
    assert_eq!((done.sent, done.merged), (1, 2), "what became urgent leaves with what was held of it");
    assert_eq!(stage.relay.take()[0].tells(), ["team-8-1-worsened-critical", "team-8-1-opened"]);
    assert_eq!(stage.deliver_after(minutes(49)).await, Delivered::default());
    assert_eq!(stage.deliver_after(minutes(1)).await, Delivered { sent: 1, merged: 2, ..Delivered::default() });
    assert_eq!(stage.relay.take()[0].tells(), ["team-6-1-opened", "team-7-1-opened"]);

    // Urgent ones pass the hour, up to the day.
    for number in 0..7 {
        stage.tell(&format!("hot-{number}"), 1, Severity::Critical, Why::Opened, &["lead"]).await;
        stage.deliver().await;
    }
    assert_eq!(stage.relay.take().len(), 5, "five of the day were used before");
    assert_eq!(stage.deliver_after(hours(22)).await, Delivered::default());
    assert_eq!(stage.deliver_after(hours(1)).await.sent, 2, "a day after the first ones");
}

#[tokio::test]
async fn urgent_mails_are_never_held_back_by_others() {
    let stage = Stage::new(DeliveryLimits::default()).await;
    for hour in 0..6 {
        for number in 0..11 {
            stage.tell(&format!("t{hour}-{number}"), 1, Severity::Warning, Why::Opened, &["lead"]).await;
            stage.deliver().await;
        }
        stage.clock.advance(hours(1));
    }
    let used = stage.relay.take().len();
    assert_eq!(used, 40, "four fifths of a day");
    stage.tell("art", 1, Severity::Critical, Why::Opened, &["lead"]).await;
    assert_eq!(stage.deliver().await.sent, 1);
}

#[tokio::test]
async fn no_minute_has_more_tries_than_it_may() {
    let stage = Stage::new(DeliveryLimits { per_minute: 5, ..WIDE }).await;
    stage.warn_all("art", 12).await;
    stage.tell("cars", 1, Severity::Critical, Why::Opened, &["boss"]).await;
    for (after, sent) in [(0, 5), (30, 0), (30, 5), (60, 3)] {
        assert_eq!(stage.deliver_after(SignedDuration::from_secs(after)).await.sent, sent, "after {after} s");
    }
    assert_eq!(stage.relay.take()[0].recipient, "boss");
}

#[tokio::test]
async fn what_concerns_the_relay_pauses_all_of_it() {
    for (kind, first, second) in [
        (NotifyFailure::RateLimited, minutes(5), minutes(10)),
        (NotifyFailure::Configuration, minutes(30), minutes(30)),
    ] {
        let mut stage = Stage::new(WIDE).await;
        stage.warn_all("art", 20).await;
        stage.relay.say(Reply::Fail(kind));
        stage.deliver().await;
        assert!(stage.relay.tries() <= CONCURRENT_SENDS as u32, "the others are not tried");
        let pause = stage.published.borrow().outbox.channels[0].pause.clone().unwrap();
        assert_eq!(pause.reason, kind.as_str());
        assert!(pause.said.ends_with("to <…>"), "{}", pause.said);
        let waits = pause.until.duration_since(noon());
        assert!(waits * 2 >= first && waits <= first, "{waits}");

        // A restart in between changes nothing; then one message is tried, and fails: the next pause is longer.
        stage.clock.set(pause.until - SignedDuration::from_secs(1));
        stage.restart().await;
        assert_eq!(stage.deliver().await, Delivered::default());
        stage.deliver_after(SignedDuration::from_secs(1)).await;
        assert_eq!(stage.relay.tries(), 1, "one is enough to see");
        let again = stage.depth().await.channels[0].pause.clone().unwrap();
        let waits = again.until.duration_since(pause.until);
        assert!(waits * 2 >= second && waits <= second, "{waits}");

        // The relay is well: the first that is accepted opens the way for all.
        stage.relay.say(Reply::Accept);
        stage.clock.set(again.until);
        assert_eq!(stage.deliver().await.sent, 20);
        assert_eq!(stage.published.borrow().outbox.channels[0].pause, None);
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_holds_nothing_up() {
    let stage = Stage::new(NARROW).await;
    stage.clock.advance(hours(36));
    for team in ["a", "b", "c"] {
        stage.warn(team, "lead").await;
        stage.deliver().await;
    }
    stage.relay.say(Reply::Fail(NotifyFailure::Configuration));
    stage.warn("d", "boss").await;
    stage.deliver().await;
    stage.relay.say(Reply::Accept);
    stage.clock.advance(-hours(36));
    stage.warn("e", "lead").await;
    assert_eq!(stage.deliver().await.sent, 1, "neither the pause nor what was sent tomorrow counts");
}

#[tokio::test]
async fn one_message_that_speaks_of_rates_does_not_stand_before_all() {
    let stage = Stage::new(WIDE).await;
    stage.tell("art", 1, Severity::Critical, Why::Opened, &["poison"]).await;
    stage.relay.answer_by(|message| match message.recipient.starts_with("poison") {
        true => Reply::Fail(NotifyFailure::RateLimited),
        false => Reply::Accept,
    });
    stage.deliver().await;
    stage.warn_all("cars", 10).await;
    for _ in 0..3 {
        stage.deliver_after(minutes(30)).await;
    }
    assert_eq!(stage.relay.take().len(), 10);
}

#[tokio::test]
async fn a_start_tries_at_once_what_may_have_been_mended() {
    let stage = Stage::new(WIDE).await;
    stage.relay.say(Reply::Fail(NotifyFailure::Configuration));
    stage.warn("art", "lead").await;
    stage.deliver().await;
    assert!(stage.depth().await.channels[0].pause.is_some());
    stage.relay.say(Reply::Accept);
    let stop = CancellationToken::new();
    let running = tokio::spawn(stage.outbox.clone().run(stop.clone()));
    let mut shown = stage.published.subscribe();
    shown.wait_for(|snapshot| snapshot.outbox.total().sent == 1).await.unwrap();
    assert_eq!(stage.depth().await.channels[0].pause, None);

    // What comes meanwhile is sent when it is told of; after being asked to stop, nothing begins.
    stage.warn("cars", "lead").await;
    stage.filled.notify_one();
    shown.wait_for(|snapshot| snapshot.outbox.total().sent == 2).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_is_given_up_is_seen_and_what_is_still_true_is_not() {
    let stage = Stage::new(WIDE).await;
    stage.relay.say(Reply::Fail(NotifyFailure::Transient));
    stage.warn("art", "lead").await;
    stage.warn("cars", "lead").await;
    stage.deliver().await;
    stage.tell("cars", 1, Severity::Warning, Why::Resolved, &[]).await;
    for _ in 0..60 {
        stage.deliver_after(minutes(30)).await;
    }
    let outbox = stage.depth().await;
    assert_eq!((outbox.total().waiting, outbox.total().failed), (1, 1), "the alert of team art still fires");
    let given_up = &outbox.given_up[0];
    assert_eq!(given_up.notices[0].key.team.as_str(), "cars");
    assert_eq!(given_up.said, "the relay said transient to <…>");
    assert!(given_up.at.duration_since(noon()) >= hours(25) && given_up.attempts > 40, "{given_up:?}");
    assert_eq!(stage.published.borrow().outbox.given_up, outbox.given_up);

    // The relay works again: what is true is told, a day later than a day; what was given up when somebody asks for it.
    stage.relay.say(Reply::Accept);
    assert_eq!(stage.deliver_after(minutes(30)).await.sent, 1);
    assert_eq!(stage.relay.take()[0].tells(), ["art-1-opened"]);
    assert_eq!(stage.retry_all().await, Retried::Waiting(1));
    assert_eq!(stage.deliver().await.sent, 1);
    let mail = stage.relay.take().remove(0);
    assert_eq!(
        (mail.tells(), mail.id.as_str()),
        (vec!["cars-1-opened".to_owned()], "<cars-1-opened.lead@studio.example>")
    );
    assert_eq!(stage.depth().await.total().failed, 0);
}

#[tokio::test]
async fn a_relay_that_stays_misconfigured_takes_what_is_over_with_it() {
    let stage = Stage::new(WIDE).await;
    stage.relay.say(Reply::Fail(NotifyFailure::Configuration));
    for number in 0..30 {
        stage.warn(&format!("t{number}"), "lead").await;
        stage.tell(&format!("t{number}"), 1, Severity::Warning, Why::Resolved, &[]).await;
    }
    stage.warn("art", "lead").await;
    for _ in 0..150 {
        stage.deliver_after(minutes(30)).await;
    }
    let total = stage.depth().await.total();
    assert_eq!((total.waiting, total.failed), (1, 30), "after three days, whether each was tried or not");
}

#[tokio::test]
async fn a_refused_message_is_given_up_at_once_and_alone() {
    let stage = Stage::new(WIDE).await;
    stage.relay.answer_by(|message| match message.recipient.starts_with("gone") {
        true => Reply::Fail(NotifyFailure::Permanent),
        false => Reply::Accept,
    });
    stage.tell("art", 1, Severity::Warning, Why::Opened, &["lead", "gone", "boss"]).await;
    assert_eq!(stage.deliver().await, Delivered { sent: 2, failed: 1, ..Delivered::default() });
    // Its conversation goes on by itself.
    stage.relay.say(Reply::Accept);
    stage.tell("art", 1, Severity::Warning, Why::Resolved, &["gone"]).await;
    assert_eq!(stage.deliver().await, Delivered { sent: 1, ..Delivered::default() });
    assert_eq!(stage.counted("fuelgauge_notification_failures_total", "permanent"), 1.0);
    assert_eq!(stage.counted("fuelgauge_notification_failures_total", "transient"), 0.0);
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other() {
    let stage = Stage::new(WIDE).await;
    let (hung, well) = (Relay::new(), Relay::new());
    hung.say(Reply::Hang);
    let channels = vec![channel("webhook:hung", &hung, WIDE), channel(EMAIL_CHANNEL, &well, WIDE)];
    let (clock, metrics) = (Arc::clone(&stage.clock) as Arc<dyn Clock>, stage.metrics.clone());
    let (published, filled) = (stage.published.clone(), Arc::clone(&stage.filled));
    let outbox = Outbox::new(stage.store.clone(), channels, clock, metrics, published, filled, &Arc::default());
    let mut mails = Vec::new();
    let notice = stage.tell("art", 1, Severity::Warning, Why::Opened, &[]).await;
    for name in ["webhook:hung", EMAIL_CHANNEL] {
        let mail = stage::mail_of(&notice, name.split(':').next_back().unwrap());
        mails.push(crate::domain::RenderedMail { channel: name.into(), ..mail });
    }
    let notice = crate::domain::Notice { episode: 2, ..notice };
    stage.store.commit_alerts(&[], &[(notice, mails)]).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(outbox.run(stop.clone()));
    let sent = |snapshot: &Arc<Snapshot>| {
        snapshot.outbox.channels.iter().any(|depth| depth.channel == "email" && depth.sent == 1)
    };
    stage.published.subscribe().wait_for(sent).await.unwrap();
    let depth = stage.depth().await;
    let waiting: Vec<(&str, u64)> = depth.channels.iter().map(|d| (d.channel.as_str(), d.waiting)).collect();
    assert_eq!(waiting, [("email", 0), ("webhook:hung", 1)]);
    running.abort();
}

/// The process dies while mails leave: whatever moment it is, at most as many arrive twice as were under way.
#[tokio::test]
async fn a_death_doubles_no_more_than_what_was_under_way() {
    for tries in [1, 7, 8, 9, 20, 60] {
        let mut stage = Stage::new(WIDE).await;
        stage.warn_all("art", 60).await;
        stage.die_during_a_delivery(tries).await;
        stage.restart().await;
        stage.deliver().await;
        let mails = stage.relay.take();
        let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.id.as_str()).collect();
        assert_eq!(ids.len(), 60, "each arrives");
        assert!(mails.len() - 60 <= CONCURRENT_SENDS, "{} arrived twice", mails.len() - 60);
        assert_eq!(stage.depth().await.total().sent, 60);
    }
}

/// A thousand mails that waited leave in one go; the bench measures ten thousand.
#[tokio::test]
async fn a_thousand_mails_leave() {
    let stage = Stage::new(WIDE).await;
    for team in ["art", "cars"] {
        stage.warn_all(team, 500).await;
    }
    assert_eq!(stage.deliver().await.sent, 1_000);
    let mails = stage.relay.take();
    assert_eq!(mails.iter().map(|mail| &mail.id).collect::<BTreeSet<_>>().len(), 1_000);
}
