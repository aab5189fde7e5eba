//! A disk that fails while a mail is under way: it is accepted, and that cannot be recorded.

use super::*;
use crate::store::{Disk, StoreFault};

/// Goes on when it is so. What is waited for happens in this process, on its own clock.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

async fn play(disk: Disk, fault: StoreFault, words: &str, dies: bool) {
    let case = format!("{disk:?}, {}", if dies { "and the process ends" } else { "and is mended" });
    let mut stage = Stage::new(WIDE).await;
    let failures = |stage: &Stage| stage.counted("fuelgauge_store_failures_total", "outbox");
    stage.relay.say(Reply::Hang);
    stage.warn("art", "lead").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(stage.outbox.clone().run(stop.clone()));
    until(|| stage.relay.tries_so_far() == 1).await;
    stage.store.put_on(disk).await;
    assert_eq!(failures(&stage), 0.0, "{case}");
    stage.relay.say(Reply::Accept);
    stage.relay.let_go();
    until(|| failures(&stage) > 0.0).await;

    // However long it lasts, also beyond the end of the lease: it is said each time, and nothing is sent again.
    for jump in [1, 5, 31, 31, 24 * 60] {
        let before = failures(&stage);
        stage.clock.advance(minutes(jump));
        stage.filled.notify_one();
        until(|| failures(&stage) > before).await;
    }
    let error = stage.outbox.deliver_once().await.unwrap_err();
    let said = error.to_string();
    assert_eq!(error.fault, fault, "{case}: {said}");
    assert!(said.contains(words) && said.contains("ledger.db") && said.contains("\nhint: "), "{case}: {said}");
    assert_eq!(stage.relay.tries(), 1, "{case}");
    let waiting = stage.records("waiting").await;
    assert!(waiting.len() == 1 && waiting[0].is_under_way, "{case}: what is not recorded is not shown: {waiting:?}");

    stage.store.put_on(Disk::Well).await;
    let copies = match dies {
        false => {
            stage.filled.notify_one();
            let mut shown = stage.published.subscribe();
            shown.wait_for(|snapshot| snapshot.outbox.total().sent == 1).await.unwrap();
            stop.cancel();
            running.await.unwrap();
            1
        }
        // Nobody knows any more that it was accepted.
        true => {
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
            stage.restart().await;
            assert_eq!(stage.deliver().await.sent, 1, "{case}");
            2
        }
    };
    assert_eq!(stage.deliver_after(hours(2)).await, Delivered::default(), "{case}");
    let mails = stage.relay.take();
    assert_eq!(mails.len(), copies, "{case}");
    assert!(mails.iter().all(|mail| mail.id == mails[0].id && mail.raw == mails[0].raw), "{case}: a copy that is none");
    let total = stage.depth().await.total();
    assert_eq!((total.waiting, total.sent), (0, 1), "{case}");
}

#[tokio::test]
async fn what_was_accepted_and_could_not_be_recorded_is_recorded_later() {
    for (disk, fault, words) in [
        (Disk::Full, StoreFault::DiskFull, "cannot write to the ledger: the disk is full"),
        (Disk::ReadOnly, StoreFault::ReadOnly, "cannot write to the ledger: it is read-only"),
    ] {
        for dies in [false, true] {
            play(disk, fault, words, dies).await;
        }
    }
}
