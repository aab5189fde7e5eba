//! The outbox's contract.

use super::super::tests::{Fixture, account, at, rendered, team};
use super::records::LONG_OVER;
use super::*;
use crate::domain::outbox::{Hold, Merge};
use crate::domain::{Alert, AlertState, MergeReason, MessageKind, Notice, OutboxMessage, RecipientQueue};
use crate::store::{AlertChange, DueOrder};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn notice(episode: u32, stage: Stage, why: Why, second: i64) -> Notice {
    let key = DrawKey { account: account(), team: team("env") };
    let (rule, period_start) = (RuleName::Exhaustion, at(0));
    Notice {
        key,
        rule,
        period_start,
        period_end: None,
        episode,
        since: at(second),
        stage,
        step: 0,
        why,
        at: at(second),
    }
}

fn firing(episode: u32) -> AlertChange {
    let state = AlertState::Firing { level: Stage::Warning.into(), since: at(0), clear_since: None, told: None };
    AlertChange {
        key: DrawKey { account: account(), team: team("env") },
        rule: RuleName::Exhaustion,
        period_start: at(0),
        alert: Alert { episode, state },
    }
}

fn resolved(episode: u32) -> AlertChange {
    let state = AlertState::Resolved { level: Stage::Warning.into(), since: at(0), at: at(1), untold: None };
    AlertChange { alert: Alert { episode, state }, ..firing(episode) }
}

fn failure(error: &str) -> Failure {
    Failure { reason: "transient".into(), error: error.into() }
}

/// An outbox of mails to one recipient each, decided at the second given.
struct Shelf(Fixture);

impl Shelf {
    async fn with(mails: &[(&str, &str, &str, i64)]) -> Shelf {
        let outbox = Shelf(Fixture::new().await);
        for (recipient, id, thread, second) in mails {
            outbox.keep(recipient, id, thread, *second).await;
        }
        outbox
    }

    async fn keep(&self, recipient: &str, id: &str, thread: &str, second: i64) {
        let mut transaction = self.0.store.begin().await.unwrap();
        keep_mail(&mut transaction, None, false, &rendered(recipient, id, thread), at(second), MessageKind::Notice)
            .await
            .unwrap();
        self.0.store.commit(transaction).await.unwrap();
    }

    async fn round(&self, round: Round, second: i64) -> RoundResult {
        self.0.store.outbox_round(EMAIL_CHANNEL, &round, at(second)).await.unwrap()
    }

    async fn claim(&self, ids: &[i64], second: i64) -> Vec<OutboxMessage> {
        self.round(Round { claims: ids.to_vec(), ..Round::default() }, second).await.claimed
    }

    async fn settle(&self, id: i64, outcome: Outcome, second: i64) -> SettledAs {
        let settled = vec![Settled { id, outcome }];
        self.round(Round { settled, ..Round::default() }, second).await.settled[0]
    }

    async fn merge(&self, messages: &[i64], id: &str, reason: MergeReason, second: i64) -> u64 {
        let merge = Merge { reason, messages: messages.to_vec(), is_urgent: false };
        let merges = vec![Merged { merge, message: rendered("lead", id, "episode") }];
        self.round(Round { merges, ..Round::default() }, second).await.merged[0].1
    }

    /// Recipients of whom something is due, and how many messages wait for each.
    async fn due(&self, second: i64) -> Vec<(String, usize)> {
        let queues = self.queues(DueOrder::UrgentFirst, second).await;
        let name = |recipient: &str| recipient.split('@').next().unwrap().to_owned();
        queues.into_iter().map(|queue| (name(&queue.recipient), queue.waiting.len())).collect()
    }

    async fn queues(&self, order: DueOrder, second: i64) -> Vec<RecipientQueue> {
        let mut queues = Vec::new();
        for (recipient, _) in self.0.store.due_recipients(EMAIL_CHANNEL, order, at(second)).await.unwrap() {
            queues.push(self.0.store.outbox_queue(EMAIL_CHANNEL, recipient, at(second)).await.unwrap());
        }
        queues
    }

    async fn depth(&self) -> ChannelDepth {
        self.0.store.outbox_depth().await.unwrap().total()
    }

    /// Each message: its number, its state, who tells it, and whether it still has its parts.
    async fn rows(&self) -> Vec<(i64, String, Option<i64>, bool)> {
        let select = "SELECT id, state, merged_into, body_text IS NOT NULL FROM outbox ORDER BY id";
        sqlx::query_as(select).fetch_all(&self.0.store.readers).await.unwrap()
    }

    /// What was counted as it happened is what there is.
    async fn assert_counted(&self) {
        let select = "SELECT COUNT(*) FROM outbox WHERE state = $1";
        let depth = self.depth().await;
        for (state, counted) in [
            ("waiting", depth.waiting + depth.held),
            ("sent", depth.sent),
            ("failed", depth.failed),
            ("merged", depth.merged),
        ] {
            let found: i64 = sqlx::query_scalar(select).bind(state).fetch_one(&self.0.store.readers).await.unwrap();
            assert_eq!(found.unsigned_abs(), counted, "{state}");
        }
    }
}

#[tokio::test]
async fn a_claimed_message_comes_back_unless_its_try_is_reported() {
    let outbox = Shelf::with(&[("a", "a", "1", 0), ("b", "b", "2", 0), ("c", "c", "3", 0), ("d", "d", "4", 0)]).await;
    assert_eq!(outbox.due(-1).await, []);
    assert_eq!(outbox.due(0).await.len(), 4);
    let claimed = outbox.claim(&[2, 1, 3, 4], 0).await;
    assert_eq!(claimed.iter().map(|message| message.id).collect::<Vec<_>>(), [2, 1, 3, 4], "in the order asked for");
    assert_eq!((claimed[1].attempts, &claimed[1].message[..]), (0, &b"Subject: a\r\n\r\n"[..]));
    assert_eq!(outbox.claim(&[1], 0).await, [], "claimed by somebody");
    assert_eq!(outbox.due(0).await, []);

    assert_eq!(outbox.settle(1, Outcome::Sent, 1).await, SettledAs::Sent);
    assert_eq!(outbox.settle(2, Outcome::Retry(at(15), failure("450 later")), 1).await, SettledAs::Retrying);
    assert_eq!(outbox.settle(3, Outcome::GiveUp(None, failure("550 never")), 1).await, SettledAs::Failed);
    assert_eq!(outbox.settle(1, Outcome::GiveUp(None, failure("x")), 1).await, SettledAs::Gone, "it was sent");
    assert_eq!(outbox.due(15).await, [("b".to_owned(), 1)]);
    assert_eq!(outbox.due(1800).await, [("b".to_owned(), 1), ("d".to_owned(), 1)], "the lease is over");

    let depth = outbox.depth().await;
    assert_eq!((depth.waiting, depth.sent, depth.failed, depth.oldest_waiting_at), (2, 1, 1, Some(at(0))));
    assert_eq!(depth.last_sent_at, Some(at(1)));
    outbox.assert_counted().await;
    let records = outbox.0.store.outbox_records(&["waiting", "failed"], 9).await.unwrap();
    let told: Vec<_> = records.iter().map(|r| (r.id, r.is_under_way, r.attempts, r.last_error.as_deref())).collect();
    assert_eq!(told, [(4, true, 1, None), (3, false, 1, Some("550 never")), (2, false, 1, Some("450 later"))]);
    assert_eq!((records[0].bytes, records[0].kind, records[1].closed_at), (14, MessageKind::Notice, Some(at(1))));

    let only_one = outbox.0.store.lock_for_serving().unwrap();
    assert_eq!(outbox.0.store.release_claims(&only_one, at(2)).await.unwrap(), 1, "the other waits after a failure");
    assert_eq!(outbox.due(2).await, [("d".to_owned(), 1)]);
}

#[tokio::test]
async fn a_claim_can_be_renewed_for_as_long_as_it_is_held() {
    let outbox = Shelf::with(&[("a", "a", "1", 0), ("b", "b", "2", 0), ("c", "c", "3", 0)]).await;
    outbox.claim(&[1, 2, 3], 0).await;
    outbox.settle(2, Outcome::Retry(at(15), failure("450 later")), 1).await;
    outbox.settle(3, Outcome::Sent, 1).await;
    assert_eq!(outbox.0.store.renew_claims(&[1, 2, 3], at(2 * HOUR)).await.unwrap(), at(2 * HOUR + 1800));
    assert_eq!(outbox.due(15).await, [("b".to_owned(), 1)], "it was let go of");
    assert_eq!(outbox.due(2 * HOUR + 1799).await, [("b".to_owned(), 1)]);
    assert_eq!(outbox.due(2 * HOUR + 1800).await, [("b".to_owned(), 1), ("a".to_owned(), 1)]);
}

#[tokio::test]
async fn messages_become_one_in_one_commit() {
    let outbox = Shelf::with(&[("lead", "a", "1", 0), ("lead", "b", "1", 60), ("lead", "c", "1", 120)]).await;
    outbox.claim(&[3], 200).await;
    assert_eq!(outbox.merge(&[1, 3], "one", MergeReason::Superseded, 200).await, 0, "one of them is under way");
    outbox.claim(&[1], 200).await;
    outbox.settle(1, Outcome::Retry(at(900), failure("450 later")), 200).await;
    assert_eq!(outbox.merge(&[1, 2], "one", MergeReason::Superseded, 201).await, 2);
    let merged = |id, into| (id, "merged".to_owned(), Some(into), false);
    let waiting = |id| (id, "waiting".to_owned(), None, true);
    assert_eq!(outbox.rows().await, [merged(1, 4), merged(2, 4), waiting(3), waiting(4)]);
    let record = outbox.0.store.outbox_records(&["waiting"], 1).await.unwrap().remove(0);
    assert_eq!((record.id, record.kind, record.attempts), (4, MessageKind::Superseding, 1), "its tries go on");
    assert_eq!((record.decided_at, record.next_attempt_at), (at(0), Some(at(60))), "the earliest of both");
    assert_eq!(record.last_error.as_deref(), Some("450 later"));
    assert_eq!(outbox.merge(&[1, 2], "two", MergeReason::Superseded, 201).await, 0, "they are told already");

    // Merged again, with what was under way before: the new one tells all of them.
    outbox.settle(3, Outcome::Retry(at(300), failure("450 later")), 202).await;
    let merge = Merge { reason: MergeReason::Superseded, messages: vec![4, 3], is_urgent: false };
    let parts = outbox.0.store.merge_parts(&merge).await.unwrap();
    let told: Vec<&str> = parts.told.iter().map(|told| told.summary.as_str()).collect();
    assert_eq!(told, ["Summary of a", "Summary of b", "Summary of c"]);
    assert_eq!(parts.message_ids, ["<c@studio.example>", "<one@studio.example>"]);
    assert_eq!((parts.newest.text.as_str(), parts.newest.message.len()), ("text of c", 14));
    assert_eq!(outbox.merge(&[4, 3], "three", MergeReason::Superseded, 203).await, 2);
    assert_eq!(outbox.rows().await, [merged(1, 5), merged(2, 5), merged(3, 5), merged(4, 5), waiting(5)]);
    outbox.assert_counted().await;

    // A collected one has no parts, and remembers what it tells.
    outbox.keep("lead", "d", "2", 300).await;
    assert_eq!(outbox.merge(&[5, 6], "four", MergeReason::Collected, 301).await, 2);
    let queues = outbox.queues(DueOrder::LongestFirst, 301).await;
    let collected = &queues[0].waiting[0];
    assert_eq!(
        (collected.kind, collected.notices, &collected.threads[..]),
        (MessageKind::Collected, 4, &["1".to_owned(), "2".to_owned()][..])
    );
    outbox.claim(&[7], 302).await;
    assert_eq!(outbox.settle(7, Outcome::Sent, 303).await, SettledAs::Sent);
    let depth = outbox.depth().await;
    assert_eq!((depth.waiting, depth.sent, depth.merged, depth.oldest_waiting_at), (0, 1, 6, None));
    outbox.assert_counted().await;
}

#[tokio::test]
async fn a_merged_message_has_the_parts_of_the_newest_notice() {
    let outbox = Shelf::with(&[("lead", "a", "1", 0), ("lead", "b", "1", 60), ("lead", "c", "1", 90)]).await;
    let superseded =
        |messages: &[i64]| Merge { reason: MergeReason::Superseded, messages: messages.to_vec(), is_urgent: true };
    let message = crate::domain::RenderedMail { text: "text of c".into(), ..rendered("lead", "one", "1") };
    let merges = vec![Merged { merge: superseded(&[2, 3]), message }];
    outbox.round(Round { merges, ..Round::default() }, 100).await;
    // The oldest was under way while the others became one, and comes back.
    let parts = outbox.0.store.merge_parts(&superseded(&[1, 4])).await.unwrap();
    let told: Vec<&str> = parts.told.iter().map(|told| told.summary.as_str()).collect();
    assert_eq!(told, ["Summary of a", "Summary of b", "Summary of c"]);
    assert_eq!((parts.newest.text.as_str(), &parts.newest.message[..]), ("text of c", &b"Subject: c\r\n\r\n"[..]));
}

#[tokio::test]
async fn what_is_still_true_is_not_given_up() {
    let outbox = Shelf(Fixture::new().await);
    let store = &outbox.0.store;
    let opened =
        (notice(1, Stage::Critical, Why::Opened, 0), vec![rendered("lead", "a", "1"), rendered("boss", "b", "1")]);
    store.commit_alerts(&[firing(1)], &[opened]).await.unwrap();
    let queues = outbox.queues(DueOrder::UrgentFirst, 0).await;
    assert!(queues.iter().all(|queue| queue.waiting[0].is_urgent));
    let give_up = || Outcome::GiveUp(Some(at(DAY + HOUR)), failure("450 later"));
    assert_eq!(outbox.settle(1, give_up(), DAY).await, SettledAs::Retrying);
    assert_eq!(
        outbox.settle(1, Outcome::GiveUp(None, failure("550 no")), DAY).await,
        SettledAs::Failed,
        "it was refused"
    );
    // A collected one lasts as long as anything in it.
    assert_eq!(outbox.merge(&[2], "collected", MergeReason::Collected, DAY).await, 1);
    assert_eq!(outbox.settle(3, give_up(), DAY).await, SettledAs::Retrying);
    store.commit_alerts(&[resolved(1)], &[]).await.unwrap();
    assert_eq!(outbox.settle(3, give_up(), DAY).await, SettledAs::Failed);
    store.commit_alerts(&[firing(2)], &[]).await.unwrap();
    outbox.assert_counted().await;

    let given_up = store.outbox_depth().await.unwrap().given_up;
    assert_eq!(given_up.len(), 2);
    let told = UntoldNotice {
        key: DrawKey { account: account(), team: team("env") },
        rule: RuleName::Exhaustion,
        stage: Stage::Critical,
        why: Why::Opened,
    };
    assert!(given_up.iter().all(|one| one.notices == [told.clone()] && one.at == at(DAY)), "{given_up:?}");
}

#[tokio::test]
async fn a_pause_begins_once_and_ends_with_a_success() {
    let outbox = Shelf::with(&[("a", "a", "1", 0), ("b", "b", "2", DAY)]).await;
    let store = &outbox.0.store;
    let order = |until: i64, give_up_before: i64| {
        let pause = PauseOrder {
            until: at(until),
            failure: Failure { reason: "configuration".into(), error: "535 who is a@studio.example?".into() },
            give_up_before: at(give_up_before),
        };
        Round { pause: Some(pause), ..Round::default() }
    };
    let known = async || store.channel_pause(EMAIL_CHANNEL).await.unwrap();
    assert_eq!(known().await, None);
    assert_eq!(outbox.round(order(DAY + 60, -1), DAY).await.given_up, 0);
    outbox.round(order(DAY + 90, -1), DAY).await;
    assert_eq!(known().await, Some(KnownPause { until: Some(at(DAY + 60)), strikes: 1 }), "what was under way too");
    let pause = store.outbox_depth().await.unwrap().channels[0].pause.clone().unwrap();
    assert_eq!((pause.until, pause.said.as_str()), (at(DAY + 60), "535 who is …?"));
    assert_eq!(outbox.settle(2, Outcome::Sent, DAY).await, SettledAs::Sent);
    assert_eq!(known().await.map(|pause| pause.strikes), Some(1), "it was under way before");

    store.end_pause(EMAIL_CHANNEL).await.unwrap();
    assert_eq!(known().await, Some(KnownPause { until: None, strikes: 1 }));
    assert_eq!(store.outbox_depth().await.unwrap().channels[0].pause, None);
    let again = outbox.round(order(DAY + 300, HOUR), DAY + 100).await;
    assert_eq!(again.given_up, 1, "the failure is that of what was tried for so long, too");
    assert_eq!(known().await, Some(KnownPause { until: Some(at(DAY + 300)), strikes: 2 }));
    store.end_pause(EMAIL_CHANNEL).await.unwrap();
    outbox.keep("c", "c", "3", DAY).await;
    outbox.settle(3, Outcome::Sent, DAY + 400).await;
    assert_eq!(known().await, None);
    outbox.assert_counted().await;
}

#[tokio::test]
async fn what_was_given_up_can_be_tried_again() {
    let outbox = Shelf::with(&[("a", "a", "1", 0), ("b", "b", "2", 0), ("c", "c", "3", 0)]).await;
    let store = &outbox.0.store;
    let before = outbox.claim(&[1, 2], 1).await;
    for id in [1, 2] {
        outbox.settle(id, Outcome::GiveUp(None, failure("550 no")), 2).await;
    }
    for (ids, refused) in [(vec![1, 3], (3, Some("waiting".to_owned()))), (vec![9], (9, None))] {
        let answer = store.retry_given_up(Some(&ids), at(DAY)).await.unwrap();
        assert_eq!(answer, Retried::Not(refused.0, refused.1));
        assert_eq!(outbox.depth().await.failed, 2, "all or nothing");
    }
    assert_eq!(store.retry_given_up(Some(&[1]), at(DAY)).await.unwrap(), Retried::Waiting(1));
    outbox.assert_counted().await;
    let again = outbox.claim(&[1], DAY).await.remove(0);
    assert_eq!(
        (&again.message, &again.message_id),
        (&before[0].message, &before[0].message_id),
        "the same bytes and id"
    );
    assert_eq!((again.created_at, again.attempts), (at(DAY), 0), "with its whole age before it");
    assert_eq!(store.retry_given_up(None, at(DAY)).await.unwrap(), Retried::Waiting(1));
    assert_eq!(store.retry_given_up(None, at(DAY)).await.unwrap(), Retried::Waiting(0));
    outbox.assert_counted().await;
}

#[tokio::test]
async fn what_is_long_over_is_forgotten_and_still_counted() {
    let outbox = Shelf::with(&[
        ("lead", "a", "1", 0),
        ("lead", "b", "1", 0),
        ("c", "c", "2", 0),
        ("d", "d", "3", 0),
        ("e", "e", "4", 0),
    ])
    .await;
    let store = &outbox.0.store;
    outbox.merge(&[1, 2], "one", MergeReason::Superseded, 10).await;
    outbox.settle(3, Outcome::Sent, 20).await;
    outbox.settle(4, Outcome::GiveUp(None, failure("550 no")), 30).await;
    let before = outbox.depth().await;
    let ids = async || outbox.rows().await.into_iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(store.forget_old_messages(at(30 * DAY)).await.unwrap(), 0);
    assert_eq!(store.forget_old_messages(at(30 * DAY + 25)).await.unwrap(), 1);
    assert_eq!(ids().await, [1, 2, 4, 5, 6], "what a waiting message tells is kept with it");
    outbox.settle(6, Outcome::Sent, 31 * DAY).await;
    assert_eq!(store.forget_old_messages(at(61 * DAY + 1)).await.unwrap(), 4);
    assert_eq!(ids().await, [5], "what waits is not forgotten");
    let after = outbox.depth().await;
    let counts = |depth: &ChannelDepth| (depth.sent, depth.failed, depth.merged);
    assert_eq!((counts(&before), counts(&after)), ((1, 1, 2), (2, 1, 2)));
    assert_eq!(after.last_sent_at, Some(at(31 * DAY)));
}

#[tokio::test]
async fn what_waits_for_a_channel_that_is_gone_is_given_up() {
    let shelf = Shelf::with(&[("a", "1", "t", 1), ("b", "2", "u", 2)]).await;
    let store = &shelf.0.store;
    for (channels, given_up) in [(&["email", "webhook:x"][..], 0), (&["webhook:x"], 2), (&[], 0)] {
        assert_eq!(store.give_up_other_channels(channels, at(9)).await.unwrap(), given_up, "{channels:?}");
    }
    let depth = store.outbox_depth().await.unwrap();
    assert_eq!((depth.channels[0].waiting, depth.channels[0].failed, depth.given_up.len()), (0, 2, 2));
    assert_eq!(depth.given_up[0].said, "the configuration has no such channel any more");
    assert_eq!(store.retry_given_up(None, at(10)).await.unwrap(), Retried::Waiting(2));
    assert_eq!(store.give_up_other_channels(&[], at(11)).await.unwrap(), 2, "none is left at all");
}

#[tokio::test]
async fn what_is_held_waits_and_what_is_sent_is_remembered_for_a_day() {
    let outbox = Shelf::with(&[("lead", "a", "1", 0), ("lead", "b", "2", 0), ("lead", "c", "3", 1)]).await;
    outbox.claim(&[1], 1).await;
    let hold = |messages: &[i64], until| Round {
        holds: vec![Hold { messages: messages.to_vec(), until: at(until) }],
        ..Round::default()
    };
    assert_eq!(outbox.round(hold(&[1, 2], HOUR), 2).await.held, 1, "not what is under way");
    assert_eq!(outbox.round(hold(&[1, 2], HOUR), 2).await.held, 0);
    let depth = outbox.depth().await;
    assert_eq!((depth.waiting, depth.held, depth.oldest_waiting_at), (2, 1, Some(at(0))), "being held is no trouble");
    outbox.settle(1, Outcome::Sent, 3).await;
    outbox.settle(3, Outcome::Sent, 3).await;
    assert_eq!(outbox.due(HOUR - 1).await, []);
    let sent = async |second| outbox.queues(DueOrder::UrgentFirst, second).await[0].sent.clone();
    assert_eq!(sent(HOUR).await, [at(3), at(3)]);
    assert_eq!(sent(DAY + 3).await, []);
    assert_eq!(outbox.0.store.next_message_due_at(EMAIL_CHANNEL).await.unwrap(), Some(at(HOUR)));
    assert_eq!(outbox.0.store.next_message_due_at("webhook:x").await.unwrap(), None);
}

#[tokio::test]
async fn the_outbox_is_read_from_indexes() {
    let outbox = Shelf(Fixture::new().await);
    for (sql, expected) in [
        (queue::DUE, "SEARCH outbox USING INDEX outbox_due (channel=? AND is_urgent=? AND next_attempt_at<?)"),
        (queue::SENT, "SEARCH outbox USING COVERING INDEX outbox_sent (channel=? AND recipient=? AND closed_at>?)"),
        (queue::WAITING, "SEARCH outbox USING INDEX outbox_waiting (channel=? AND recipient=?)"),
        (queue::TOLD, "SEARCH outbox USING INDEX outbox_merged (merged_into=?)"),
        (LONG_OVER, "SEARCH outbox USING INDEX outbox_closed (closed_at<?)"),
        (GIVEN_UP, "SCAN outbox USING INDEX outbox_failed"),
        (DEPTH, "COMPOUND QUERY"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(&outbox.0.store.readers).await.unwrap();
        let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
        assert_eq!(steps[0], expected, "{sql}: {steps:?}");
        let waiting = "SCAN outbox USING COVERING INDEX outbox_waiting";
        assert!(
            steps.iter().all(|step| !step.starts_with("SCAN outbox ") || *step == waiting || sql == GIVEN_UP),
            "{steps:?}"
        );
    }
}
