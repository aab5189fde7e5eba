//! A dialogue that lasts, on a clock that jumps: what one process has under way it does not begin a second time, and what
//! it left behind another takes over.

use super::*;

/// How a dialogue that hung ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The relay accepts.
    Accepted,
    /// The relay fails in a passing way, and is well again.
    Failed,
    /// The process dies.
    Dead,
}

/// By how many minutes the clock jumps, one after the other.
const JUMPS: [&[i64]; 5] = [&[29], &[31], &[31, 31, 31], &[24 * 60, 5, 40 * 24 * 60], &[45, -300, 360]];

/// Plays a dialogue with the relay that hangs while the clock jumps. Answers in how many mails the notice arrived.
async fn play(jumps: &[i64], end: End) {
    let case = format!("{jumps:?} {end:?}");
    let stage = Stage::new(WIDE).await;
    // Should it be begun a second time, that is not held up.
    let mut has_hung = false;
    stage.relay.answer_by(move |message| match message.recipient.starts_with("lead") {
        true if !std::mem::replace(&mut has_hung, true) => Reply::Hang,
        _ => Reply::Accept,
    });
    stage.warn("art", "lead").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(stage.outbox.clone().run(stop.clone()));
    let mut shown = stage.published.subscribe();
    for (sent, jump) in (1..).zip(jumps) {
        // The mail to somebody else shows that the outbox was looked at after the jump.
        stage.clock.advance(minutes(*jump));
        stage.warn(&format!("cars-{sent}"), "boss").await;
        stage.filled.notify_one();
        shown.wait_for(|snapshot| snapshot.outbox.total().sent == sent).await.unwrap();
        // Whoever asks the same process to deliver, also after a reload that did not wait, changes nothing.
        for outbox in [&stage.outbox, &stage.reloaded_outbox()] {
            assert_eq!(outbox.deliver_once().await.unwrap(), Delivered::default(), "{case}");
        }
    }
    let others = u32::try_from(jumps.len()).unwrap();
    assert_eq!(stage.relay.tries(), others + 1, "{case}: it was begun once");
    assert_eq!(stage.relay.take().len(), jumps.len(), "{case}");
    let waiting = stage.records("waiting").await;
    assert!(waiting.len() == 1 && waiting[0].is_under_way && waiting[0].attempts == 1, "{case}: {waiting:?}");
    let lease = waiting[0].next_attempt_at.unwrap();

    let answer = if end == End::Failed { Reply::Fail(NotifyFailure::Transient) } else { Reply::Accept };
    stage.relay.say(answer);
    match end {
        End::Dead => {
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
            // Nobody is told until the lease is over; nobody is left untold then.
            let other = stage.another_outbox();
            stage.clock.set(lease - SignedDuration::from_secs(1));
            assert_eq!(other.deliver_once().await.unwrap(), Delivered::default(), "{case}");
            stage.clock.set(lease);
            assert_eq!(other.deliver_once().await.unwrap().sent, 1, "{case}");
        }
        End::Accepted | End::Failed => {
            stage.relay.let_go();
            stop.cancel();
            running.await.unwrap();
        }
    }
    if end == End::Failed {
        stage.relay.say(Reply::Accept);
        let waiting = stage.records("waiting").await.remove(0);
        assert!(!waiting.is_under_way, "{case}: {waiting:?}");
        stage.clock.set(waiting.next_attempt_at.unwrap());
        assert_eq!(stage.deliver().await.sent, 1, "{case}: it is nobody's any more");
    }
    let mails = stage.relay.take();
    let ids: Vec<&str> = mails.iter().map(|mail| mail.id.as_str()).collect();
    assert_eq!(ids, ["<art-1-opened.lead@studio.example>"], "{case}");
    let total = stage.depth().await.total();
    assert_eq!((total.waiting, total.sent), (0, u64::from(others) + 1), "{case}");
}

#[tokio::test]
async fn what_is_under_way_is_not_begun_again_by_the_same_process() {
    for jumps in JUMPS {
        for end in [End::Accepted, End::Failed, End::Dead] {
            play(jumps, end).await;
        }
    }
}
