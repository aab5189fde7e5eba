//! What comes on a schedule: once for each scheduled time, whatever happens to the agent in between.

use fuelgauge::app::Agent;
use fuelgauge::reports::{Report, What};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use crate::support::agent::{STUDIO, Setup, TestAgent, calm_studio};
use crate::support::mail::Mail;
use crate::support::program::promptly;

/// A Monday, before the digest.
fn before() -> Timestamp {
    at("2026-11-23T07:30:00Z")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn stage(now: Timestamp) -> TestAgent {
    let setup = Setup { has_short_pages: true, has_reports: true, ..Setup::watching(STUDIO, calm_studio(now), now) };
    TestAgent::start(setup).await
}

fn is_digest(report: &Report) -> bool {
    matches!(report.what, What::Digest { .. })
}

/// The reports that have arrived, by their kind.
fn of_kind(stage: &TestAgent, kind: &str) -> Vec<Mail> {
    let is_it = |mail: &Mail| mail.raw.contains(&format!("X-Fuelgauge-Report: {kind}\r\n"));
    stage.mails().into_iter().filter(is_it).collect()
}

/// Runs the reports of an agent as it does itself, until the handle is aborted.
fn run(agent: &Agent) -> Vec<JoinHandle<()>> {
    let all = agent.reports.iter().cloned();
    all.map(|(report, reporter)| tokio::spawn(async move { reporter.run(&report).await })).collect()
}

/// Waits until each job has begun: it has said when it runs next.
async fn begun(stage: &TestAgent) {
    for (report, _) in &stage.agent.reports {
        let family = "fuelgauge_scheduler_next_run_timestamp_seconds";
        let job = report.job_name();
        promptly("a job to begin", async || stage.scrape().await.value(family, &[("job_name", &job)])).await;
    }
}

/// How many digests were made, as soon as there are more than `than`.
async fn digests(stage: &TestAgent, than: usize) -> Vec<(String, Timestamp)> {
    promptly("a digest", async || {
        let made = stage.shared.store.reports("digest").await.unwrap();
        (made.len() > than).then_some(made)
    })
    .await
}

#[tokio::test]
async fn a_report_is_made_once_for_its_time() {
    let stage = stage(before()).await;
    let scheduled = at("2026-11-23T08:00:00Z");
    stage.poll_at(scheduled).await;
    let (digest, reporter) = stage.agent.reports.iter().find(|(report, _)| is_digest(report)).unwrap();
    assert_eq!(digest.job_name(), format!("digest {STUDIO}"));
    // Two agents at once, or one that does not know what it did: one digest.
    let (first, second) = tokio::join!(reporter.make(digest, scheduled), reporter.make(digest, scheduled));
    assert_eq!([first.unwrap(), second.unwrap()].iter().filter(|is_new| **is_new).count(), 1);
    stage.deliver().await;
    let [mail] = &of_kind(&stage, "digest")[..] else { panic!("{} digests", of_kind(&stage, "digest").len()) };
    assert_eq!(mail.recipients, ["lead@studio.example"]);
    assert_eq!(mail.shown.subject, "Team studio: credits from 16 to 23 November");
    let id = mail.header("Message-ID");

    // After a restart, and a day late: nothing, and the same name for whoever would send it again.
    let stage = stage.restart().await;
    stage.poll_at(scheduled + SignedDuration::from_hours(24)).await;
    let (digest, reporter) = stage.agent.reports.iter().find(|(report, _)| is_digest(report)).unwrap();
    assert!(!reporter.make(digest, scheduled).await.unwrap());
    stage.deliver().await;
    assert_eq!(of_kind(&stage, "digest").len(), 1);
    let next = scheduled + SignedDuration::from_hours(7 * 24);
    stage.poll_at(next).await;
    assert!(reporter.make(digest, next).await.unwrap());
    stage.deliver().await;
    let mails = of_kind(&stage, "digest");
    assert_eq!(mails.len(), 2);
    assert_ne!(mails[1].header("Message-ID"), id);
    assert_eq!(mails[1].shown.subject, "Team studio: credits from 23 to 30 November");
}

#[tokio::test]
async fn what_was_due_while_the_agent_was_down_comes_once() {
    let stage = stage(before()).await;
    let running = run(&stage.agent);
    // It is the first time: nothing that lies before is made up for.
    begun(&stage).await;
    assert_eq!(stage.shared.store.reports("heartbeat").await.unwrap(), []);

    // The first look after the start, and then the time comes.
    stage.poll_at(before() + SignedDuration::from_secs(1)).await;
    stage.move_to(at("2026-11-23T08:00:00Z"));
    assert_eq!(digests(&stage, 0).await, [(STUDIO.to_owned(), at("2026-11-23T08:00:00Z"))]);
    running.iter().for_each(JoinHandle::abort);

    // Three weeks later somebody starts it again, in the middle of a week.
    let stage = stage.restart().await;
    let now = at("2026-12-16T12:00:00Z");
    stage.move_to(now);
    let running = run(&stage.agent);
    begun(&stage).await;
    stage.poll_at(now + SignedDuration::from_secs(1)).await;
    let made = digests(&stage, 1).await;
    assert_eq!(made[1..], [(STUDIO.to_owned(), at("2026-12-14T08:00:00Z"))], "the last one");
    let heartbeats = promptly("a sign of life", async || {
        let made = stage.shared.store.reports("heartbeat").await.unwrap();
        (!made.is_empty()).then_some(made)
    })
    .await;
    assert_eq!(heartbeats, [(String::new(), at("2026-12-16T07:00:00Z"))]);

    // Each is counted as a run of its job, and those between as missed.
    let scrape = stage.scrape().await;
    let count = |family: &str| scrape.value(family, &[("job_name", "digest studio")]);
    assert_eq!(count("fuelgauge_scheduler_runs_total"), Some(1.0));
    assert_eq!(count("fuelgauge_scheduler_missed_runs_total"), Some(2.0), "of 30 November and 7 December");
    let next = at("2026-12-21T08:00:00Z").as_second() as f64;
    promptly("the next run to be known", async || {
        let value = stage
            .scrape()
            .await
            .value("fuelgauge_scheduler_next_run_timestamp_seconds", &[("job_name", "digest studio")]);
        (value == Some(next)).then_some(())
    })
    .await;

    stage.deliver().await;
    let [life] = &of_kind(&stage, "heartbeat")[..] else { panic!("one sign of life") };
    assert_eq!(life.recipients, ["ops@studio.example"]);
    assert!(life.shown.text.starts_with("All watched: 1 account and 1 team are watched"), "{}", life.shown.text);
    let [_, late] = &of_kind(&stage, "digest")[..] else { panic!("two digests") };
    assert_eq!(late.shown.subject, "Team studio: credits from 7 to 14 December");
    running.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_report_waits_for_the_first_look_after_a_start() {
    let stage = stage(before()).await;
    let digest = stage.agent.reports.iter().find(|(report, _)| is_digest(report)).cloned().unwrap();
    stage.shared.store.begin_job(&digest.0.job_name(), before()).await.unwrap();
    let late = at("2026-11-23T08:00:30Z");
    stage.move_to(late);
    let running = run(&stage.agent);
    begun(&stage).await;
    assert_eq!(stage.shared.store.reports("digest").await.unwrap(), [], "what is known is of the last run");
    stage.poll_at(late + SignedDuration::from_secs(1)).await;
    digests(&stage, 0).await;
    stage.deliver().await;
    let mails = of_kind(&stage, "digest");
    assert!(
        mails[0].shown.text.contains("Charges: read less than a minute before this mail."),
        "{}",
        mails[0].shown.text
    );
    running.iter().for_each(JoinHandle::abort);

    // A platform that does not answer holds nothing up for long.
    let stage = stage.restart().await;
    let late = at("2026-11-30T08:00:30Z");
    stage.move_to(late);
    let running = run(&stage.agent);
    begun(&stage).await;
    stage.move_to(late + SignedDuration::from_mins(5));
    digests(&stage, 1).await;
    running.iter().for_each(JoinHandle::abort);
}
