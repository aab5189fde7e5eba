//! Whatever is decided, fails and dies, in whatever order: nobody stays untold without a trace.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// The next thing happens to the alert of a team, and so many are told.
    Decide(u8, u8),
    /// From now on the relay answers so.
    Relay(Reply),
    /// So many minutes pass, and what is due is tried.
    Deliver(i64),
    /// The process dies after so many tries of a delivery have begun, and starts again.
    Die(u32),
    /// A person has everything tried again that was given up.
    Retry,
}

fn any_event() -> impl Strategy<Value = Event> {
    let replies = prop::sample::select(vec![
        Reply::Accept,
        Reply::Accept,
        Reply::Lose,
        Reply::Fail(NotifyFailure::Transient),
        Reply::Fail(NotifyFailure::RateLimited),
        Reply::Fail(NotifyFailure::Permanent),
        Reply::Fail(NotifyFailure::Configuration),
        Reply::Fail(NotifyFailure::Unknown),
    ]);
    prop_oneof![
        6 => (0..4_u8, 1..4_u8).prop_map(|(team, recipients)| Event::Decide(team, recipients)),
        3 => replies.prop_map(Event::Relay),
        6 => prop::sample::select(vec![0, 1, 7, 15, 40, 90, 600, 1500]).prop_map(Event::Deliver),
        1 => (1..6_u32).prop_map(Event::Die),
        1 => Just(Event::Retry),
    ]
}

/// An alert opens, worsens, is repeated and ends, over and over.
const LIFE: [(Severity, Why); 4] = [
    (Severity::Warning, Why::Opened),
    (Severity::Critical, Why::Worsened),
    (Severity::Critical, Why::Repeated),
    (Severity::Critical, Why::Resolved),
];

#[derive(Default)]
struct Told {
    /// Every notice for every recipient.
    decided: BTreeSet<(String, String)>,
    /// The ids of the mails in which it arrived, or was said to have.
    arrived: BTreeMap<(String, String), BTreeSet<String>>,
    /// Notices of which at some time nobody knew whether they had arrived.
    unsure: BTreeSet<(String, String)>,
}

impl Told {
    fn note(&mut self, stage: &Stage) {
        for mail in stage.relay.take() {
            for notice in mail.tells() {
                self.arrived.entry((mail.recipient.clone(), notice)).or_default().insert(mail.id.clone());
            }
        }
        for (recipient, notice) in stage.relay.take_unsure() {
            self.unsure.insert((recipient, notice));
        }
    }
}

async fn play(events: Vec<Event>, limits: DeliveryLimits) {
    let mut stage = Stage::new(limits).await;
    let mut told = Told::default();
    let mut lives = [0_usize; 4];
    for event in events {
        match event {
            Event::Decide(team, recipients) => {
                let life = &mut lives[usize::from(team)];
                let (severity, why) = LIFE[*life % LIFE.len()];
                let episode = u32::try_from(*life / LIFE.len()).unwrap() + 1;
                *life += 1;
                let recipients = &["lead", "billing", "boss"][..usize::from(recipients)];
                let notice = stage.tell(&format!("team-{team}"), episode, severity, why, recipients).await;
                for recipient in recipients {
                    let mail = stage::mail_of(&notice, recipient);
                    let name = mail.summary.trim_matches(['[', ']']).to_owned();
                    told.decided.insert(((*recipient).to_owned(), name));
                }
            }
            Event::Relay(reply) => stage.relay.say(reply),
            Event::Deliver(after) => drop(stage.deliver_after(minutes(after)).await),
            Event::Die(tries) => {
                stage.die_during_a_delivery(tries).await;
                stage.restart().await;
            }
            Event::Retry => drop(stage.retry_all().await),
        }
        told.note(&stage);
    }
    // In the end the relay is well for some days; what was refused for good stays refused.
    stage.relay.say(Reply::Accept);
    for _ in 0..100 {
        stage.deliver_after(minutes(60)).await;
        told.note(&stage);
    }
    let total = stage.depth().await.total();
    assert_eq!(total.waiting + total.held, 0, "everything has come to an end");
    let given_up = stage.given_up_notices().await;
    for notice in &told.decided {
        assert!(told.arrived.contains_key(notice) || given_up.contains(notice), "{notice:?} is lost");
    }
    for (notice, ids) in &told.arrived {
        assert!(told.decided.contains(notice), "{notice:?} was never decided");
        assert!(ids.len() == 1 || told.unsure.contains(notice), "{notice:?} came as {ids:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: proptest::test_runner::RngSeed::Fixed(26),
        ..ProptestConfig::default()
    })]

    /// Every notice reaches each of its recipients in some mail, or is seen to have failed; and no two mails tell the
    /// same, unless nobody knew whether the first had arrived.
    #[test]
    fn nobody_stays_untold_without_a_trace(
        events in prop::collection::vec(any_event(), 1..40),
        hourly in 1..6_u32,
    ) {
        let limits = DeliveryLimits { per_recipient_per_hour: hourly, per_recipient_per_day: 5 * hourly, per_minute: 20 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(events, limits));
    }
}
