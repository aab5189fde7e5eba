//! From the ledger to the letters of the rules: what they tell beyond the assessment is read with a real store.

use super::tests::{Watched, at, balance};
use super::*;
use crate::demo::catcher::show;
use crate::domain::{EMAIL_CHANNEL, QueueRecord, Reading, TaskRecord, TaskState};
use crate::store::{Outcome, Round, Settled};

const TEAM: &str =
    "[{name: art, account: studio, roles: {lead: [lead@studio.example], billing: [billing@studio.example]}}]";
const PLAN: &str = "{credits: 4000, reset: \"@monthly\"}";

impl Watched {
    /// Steps the alerts, and reads what leads are told of it: subject and text without line breaks, by rule.
    async fn told(&self, now: &str) -> Vec<(String, String)> {
        let assessed = self.assessor.assess_once(&self.account, at(now), crate::assessor::Alerts::Step).await;
        assessed.unwrap();
        let store = &self.assessor.store;
        let waiting = store.outbox_records(&["waiting"], 100).await.unwrap();
        let claims = waiting.iter().rev().map(|record| record.id).collect();
        let round = Round { claims, ..Round::default() };
        let mails = store.outbox_round(EMAIL_CHANNEL, &round, at(now)).await.unwrap().claimed;
        let settled = mails.iter().map(|mail| Settled { id: mail.id, outcome: Outcome::Sent }).collect();
        store.outbox_round(EMAIL_CHANNEL, &Round { settled, ..Round::default() }, at(now)).await.unwrap();
        let mut told = Vec::new();
        for mail in mails {
            let shown = show(&mail.message);
            let text = shown.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if mail.recipient == "lead@studio.example" {
                told.push((shown.subject, text));
            }
        }
        told
    }

    async fn keep(&self, now: &str, reading: &Reading) {
        let incoming = self.account.incoming(reading, &[], None, at(now));
        self.assessor.store.append(&self.account.config.name, &self.account.draws, incoming).await.unwrap();
    }

    /// A month in which sixty credits were spent each day, up to its last evening.
    async fn october() -> Watched {
        let watched = Watched::mailing(PLAN, TEAM).await;
        watched.read("2026-10-01T00:00:00Z", &[], balance(4000)).await;
        for day in 1..=31 {
            let now = format!("2026-10-{day:02}T18:00:00Z");
            watched.read(&now, &[("harbor", 40), ("harbor", 20)], balance(4000 - 60 * day)).await;
        }
        watched
    }
}

fn assert_told(told: &[(String, String)], subject: &str, expected: &[&str]) {
    let found = told.iter().find(|(found, _)| found.contains(subject));
    let Some((_, text)) = found else {
        panic!("no mail `{subject}` among {:?}", told.iter().map(|t| &t.0).collect::<Vec<_>>())
    };
    for words in expected {
        assert!(text.contains(words), "{subject}: {words}\n{text}");
    }
}

#[tokio::test]
async fn a_new_period_sums_up_the_last_one() {
    let watched = Watched::october().await;
    watched.read("2026-11-01T00:05:00Z", &[], balance(4000)).await;
    let told = watched.told("2026-11-01T00:06:00Z").await;
    assert_told(
        &told,
        "the plan was reset on 1 November",
        &[
            "the plan of team art was reset on Sunday 1 November, 00:00 (UTC). There are 4,000 credits until Tuesday 1 December",
            "From 1 October to 1 November team art spent 1,860 credits of 4,000 (46%) on 62 tasks. 2,140 credits lapsed unused.",
            "It was never said that the credits would run out before the reset.",
        ],
    );
    assert!(watched.told("2026-11-01T00:11:00Z").await.is_empty(), "once");
}

#[tokio::test]
async fn a_day_unlike_others_names_what_made_it() {
    let watched = Watched::october().await;
    watched.read("2026-11-01T00:05:00Z", &[], balance(4000)).await;
    watched.told("2026-11-01T00:06:00Z").await;
    watched.read("2026-11-02T10:00:00Z", &[("harbor", 40); 12], balance(3520)).await;
    let told = watched.told("2026-11-02T10:01:00Z").await;
    assert_told(
        &told,
        "unusual spend",
        &[
            "team art used 480 credits in the last 24 hours, compared with 60 on a usual day",
            "100% went to text-to-3d",
            "fuelgauge announce add --team art --factor 8 --from 2026-11-02 \\ --to 2026-11-08",
            "Last 24 hours 480 credits, 12 charges",
        ],
    );
}

#[tokio::test]
async fn what_is_not_read_says_so_and_what_is_missing_says_since_when() {
    let watched = Watched::october().await;
    watched.read("2026-11-01T00:05:00Z", &[], balance(4000)).await;
    watched.told("2026-11-01T00:06:00Z").await;
    watched.read("2026-11-01T10:00:00Z", &[], balance(3800)).await;
    watched.told("2026-11-01T10:00:00Z").await;
    let told = watched.told("2026-11-01T10:31:00Z").await;
    assert_told(
        &told,
        "spend that no charge explains",
        &[
            "the balance of studio has fallen by 200 credits more than its charges say since Sunday 1 November, 00:05 (UTC).",
            "for the time since Sunday 1 November, 00:05 (UTC)",
        ],
    );

    watched.told("2026-11-03T11:00:00Z").await;
    let told = watched.told("2026-11-03T11:06:00Z").await;
    assert_told(
        &told,
        "data is out of date",
        &[
            "the balance and the charges of studio are as of Sunday 1 November, 10:00 (UTC), 2 days ago.",
            "Nothing was imported",
        ],
    );
}

#[tokio::test]
async fn a_stuck_queue_and_a_lost_refund_name_the_teams_tasks() {
    let watched = Watched::october().await;
    let task = |id: &str, at_text: &str, state| {
        let mut task = TaskRecord::new(id, at(at_text), state, "rig");
        task.credits = Some(Credits::from_whole(30));
        task
    };
    let now = "2026-10-31T20:00:00Z";
    let oldest_waiting_at = Some(at("2026-10-31T17:00:00Z"));
    let reading = Reading {
        tasks: vec![
            task("waits-1", "2026-10-31T17:00:00Z", TaskState::Queued),
            task("waits-2", "2026-10-31T17:01:00Z", TaskState::Queued),
            task("lost-1", "2026-10-29T17:00:00Z", TaskState::Failed),
        ],
        queue: Some(QueueRecord { waiting: 9, running: 1, limit: None, oldest_waiting_at }),
        ..Reading::default()
    };
    watched.keep(now, &reading).await;
    let told = watched.told(now).await;
    assert_told(
        &told,
        "credits of failed tasks did not come back",
        &["1 task of team art failed or expired, and 30 credits have not come back.", "(30 credits in all): lost-1."],
    );
    let told = watched.told("2026-10-31T20:31:00Z").await;
    assert_told(
        &told,
        "the queue is stuck",
        &[
            "9 tasks wait on studio, the oldest for 4 hours",
            "2 of the tasks that wait are team art's.",
            "Waiting, of this team 2",
        ],
    );
}
