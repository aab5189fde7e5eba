//! `kill -9` at every point between a charge and the mail that tells of it.

use crate::support::cuts::{LIFE, STORIES, Stage, be_killed};

/// Leads to [`a_life_that_is_cut_short`] and nowhere else.
const PROGRAM: &[&str] = &["--exact", "power_cuts::a_life_that_is_cut_short", "--ignored", "--nocapture"];

#[test]
#[ignore = "the process that the tests beside it kill"]
fn a_life_that_is_cut_short() {
    if let Ok(life) = std::env::var(LIFE) {
        be_killed(&life);
    }
}

/// At least so many points are between a charge and the record that its mails were accepted: fewer, and they are not seen.
const FEWEST_POINTS: usize = 50;

/// What is written on the way from a charge to its mails, and where the dialogue with the relay stands.
const FROM_A_CHARGE: &[&str] =
    &["committing", "committed", "> DATA", "< 250 2.0.0 Caught", "INSERT INTO notices", "UPDATE outbox SET state"];

/// The same where nothing new is decided, and what was decided before becomes one.
const FROM_THE_OUTBOX: &[&str] = &[
    "committing",
    "committed",
    "> DATA",
    "< 250 2.0.0 Caught",
    "INSERT INTO outbox",
    "UPDATE outbox SET merged_into",
    "UPDATE outbox SET state",
];

async fn nothing_is_lost_or_told_twice(story: &str, kinds: &[&str]) {
    let story = STORIES.into_iter().find(|known| known.name == story).unwrap();
    let cuts = Stage::set(story, 0, PROGRAM).await.cut_everywhere(0).await;
    assert!(cuts.kills >= FEWEST_POINTS, "{}", cuts.kills);
    assert!(cuts.copies > 0, "cut between the relay's answer and its record, a mail has to come again");
    for kind in kinds {
        assert!(cuts.reached.iter().any(|reached| reached.starts_with(kind)), "{kind}: {:?}", cuts.reached);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_alert_opens() {
    nothing_is_lost_or_told_twice("an alert opens", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_alert_worsens() {
    nothing_is_lost_or_told_twice("an alert worsens", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_alert_ends() {
    nothing_is_lost_or_told_twice("an alert is over", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_plan_is_reset() {
    nothing_is_lost_or_told_twice("the plan is reset while an alert fires", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_silence_ends() {
    nothing_is_lost_or_told_twice("a silence ends, and it is still true", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_quiet_hours_end() {
    nothing_is_lost_or_told_twice("quiet hours end, and it has become worse", FROM_A_CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_flood_becomes_one_mail() {
    let both = [FROM_A_CHARGE, FROM_THE_OUTBOX].concat();
    nothing_is_lost_or_told_twice("a flood becomes one mail", &both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_mails_that_waited_become_one() {
    nothing_is_lost_or_told_twice("an outage is over, and two mails become one", FROM_THE_OUTBOX).await;
}
