//! From a charge that the platform shows to the relay that has taken the mail about it. `benches/README.md` has the figure;
//! here it is shown that nothing on the way waits for a timer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fuelgauge::app;
use fuelgauge::demo::catcher::{Act, At, Script};
use fuelgauge::demo::platform::NewTask;
use fuelgauge::domain::{RuleName, Snapshot};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::agent::{STUDIO, Setup, TestAgent, calm_studio};
use crate::support::mail::Mail;

/// The promise is a second; a test is built without optimisation, and runs beside others.
const PATIENCE: Duration = Duration::from_secs(5);

/// The mail of the exhaustion alert. Those of other rules leave side by side with it.
async fn of_exhaustion(stage: &TestAgent) -> Mail {
    for count in 1.. {
        stage.catcher.wait_for(count).await;
        if let Some(mail) = stage.mails_of(RuleName::Exhaustion).pop() {
            return mail;
        }
    }
    unreachable!("it is waited for without end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_is_told_of_without_delay() {
    let began: Timestamp = "2026-11-21T12:20:00Z".parse().unwrap();
    let stage = TestAgent::start(Setup::watching(STUDIO, calm_studio(began), began)).await;
    // The relay speaks as large ones do, over several lines.
    let hello = "250-relay.studio.example\r\n250-PIPELINING\r\n250-SIZE 20000000\r\n250 8BITMIME".to_owned();
    stage.catcher.set_script(Script { faults: vec![(At::Hello, Act::Reply(hello))], ..Script::default() });
    let stop = CancellationToken::new();
    let (_reloads, receiver) = mpsc::channel(1);
    let running = tokio::spawn({
        let (config, shared, stop) = (stage.config.clone(), stage.shared.clone(), stop.clone());
        async move { app::run(config, None, &shared, receiver, stop).await }
    });
    let mut published = stage.shared.published.subscribe();
    let is_polled = |snapshot: &Arc<Snapshot>| {
        let mut statuses = snapshot.accounts.iter().flat_map(|account| &account.collectors);
        statuses.any(|status| status.last_success_at >= Some(began))
    };
    tokio::time::timeout(Duration::from_secs(60), published.wait_for(is_polled)).await.expect("no first poll").unwrap();
    assert!(stage.mails().is_empty(), "a calm studio has nothing to tell");

    // Within half an hour the studio spends nearly all that it has.
    let hour: Timestamp = "2026-11-21T13:00:00Z".parse().unwrap();
    let late = fuelgauge::schedule::fixed_jitter("poll studio", Duration::from_secs(15));
    let poll = hour + SignedDuration::try_from(late).unwrap();
    stage.platform_clock.set(poll);
    for number in 0..105 {
        let at = began + SignedDuration::from_mins(5) + SignedDuration::from_secs(15 * number);
        let task = NewTask { kind: "image-to-3d", at, credits: None, prompt: None, key: 0 };
        let mut world = stage.platform.world();
        let id = world.add_task(STUDIO, task).unwrap();
        world.finish_task(id, at + SignedDuration::from_mins(3)).unwrap();
    }

    // The moment of the poll has come. From now on the clock stands still: whatever waited for it would never happen.
    let visible = Instant::now();
    stage.clock.set(poll);
    let told = tokio::time::timeout(Duration::from_secs(60), of_exhaustion(&stage)).await;
    let took = visible.elapsed();
    let mail = told.expect("something on the way waits for the clock");
    assert!(mail.shown.pictures.iter().any(|picture| picture.content_type == "image/png"), "with its chart");
    assert!(took < PATIENCE, "{took:?} from the poll to the relay");
    stop.cancel();
    running.await.unwrap().unwrap();
}
