//! The digest and the sign of life, as their readers get them.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;

use super::hostile::{HOSTILE, assert_well_formed};
use super::scene::{Scene, at, drivers, whole};
use super::{header, headers};
use crate::demo::catcher::{ShownMail, show};
use crate::domain::*;
use crate::notify::message::{DrawDigest, Occasion, Post, TeamDigest, render_digest, render_heartbeat};

const MONDAY: &str = "2026-11-23T07:00:00Z";

/// A team on Monday morning, after a week with an alert.
struct Week {
    scene: Scene,
    spent_on: Drivers,
    spent_before: Credits,
    unrefunded: (u64, Credits),
    alerts: Vec<PastAlert>,
    estimates: Vec<RecordedEstimate>,
    silences: Silences,
    /// Whether it draws on another account too.
    is_on_two: bool,
    to: Vec<Mailbox>,
}

fn past(rule: RuleName, since: &str, ended_at: Option<&str>, is_firing: bool) -> PastAlert {
    let (stage, ended_at) = (Stage::Warning, ended_at.map(at));
    PastAlert { rule, stage, since: at(since), ended_at, is_firing, is_told: true }
}

impl Week {
    fn new() -> Week {
        let mut scene = Scene::new(Why::Opened, Stage::Warning);
        scene.draw.alerts.push(RuleAlert {
            rule: RuleName::StuckQueue,
            alert: Alert {
                episode: 1,
                state: AlertState::Firing {
                    level: Stage::Warning.into(),
                    since: at("2026-11-22T18:00:00Z"),
                    clear_since: None,
                    told: None,
                },
            },
            mute: Some(Mute::Silenced(7)),
        });
        Week {
            scene,
            spent_on: drivers(),
            spent_before: whole(2_800),
            unrefunded: (3, whole(75)),
            alerts: vec![
                past(RuleName::UnusualSpend, "2026-11-17T10:00:00Z", Some("2026-11-18T11:00:00Z"), false),
                past(RuleName::MissingRefund, "2026-11-18T10:00:00Z", None, false),
                past(RuleName::Exhaustion, "2026-11-20T09:05:00Z", None, true),
                past(RuleName::StuckQueue, "2026-11-22T18:00:00Z", None, true),
            ],
            estimates: Vec::new(),
            silences: Silences::new(
                vec![Silence {
                    id: 7,
                    asked: NewSilence {
                        matchers: Vec::new(),
                        starts_at: at("2026-11-22T19:00:00Z"),
                        ends_at: at("2026-11-24T19:00:00Z"),
                        created_by: "ada".into(),
                        token: None,
                        comment: "known".into(),
                    },
                    created_at: at("2026-11-22T19:00:00Z"),
                    expired: None,
                }],
                at("2026-11-22T19:00:00Z"),
            ),
            is_on_two: false,
            to: vec!["Ada Lead <lead@studio.example>".parse().unwrap()],
        }
    }

    fn mails(&self) -> Vec<RenderedMail> {
        let other =
            AccountAssessment { account: AccountName::parse("meshy-main").unwrap(), ..self.scene.assessment.clone() };
        let of = |assessment| DrawDigest {
            assessment,
            draw: &self.scene.draw,
            spent_on: self.spent_on.clone(),
            spent_before: self.spent_before,
            unrefunded: self.unrefunded,
            alerts: self.alerts.clone(),
            estimates: self.estimates.clone(),
        };
        let mut draws = vec![of(&self.scene.assessment)];
        if self.is_on_two {
            draws.push(of(&other));
        }
        let (team, roles) = (&self.scene.notice.key.team, vec!["lead", "billing"]);
        let scheduled = at(MONDAY);
        let digest = TeamDigest {
            team,
            from: scheduled - SignedDuration::from_hours(7 * 24),
            to: scheduled,
            draws,
            silences: &self.silences,
            roles,
        };
        let at = scheduled + SignedDuration::from_secs(2);
        let occasion = Occasion { kind: "digest", team: Some(team), scheduled, at, schedule: "0 8 * * mon" };
        render_digest(&digest, &occasion, &self.post(), &self.to.iter().collect::<Vec<_>>()).unwrap()
    }

    fn post(&self) -> Post {
        let context = &self.scene.context;
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Post { from: context.from.clone(), zone, external_url: context.external_url.clone() }
    }

    fn shown(&self) -> ShownMail {
        show(&self.mails()[0].message)
    }

    fn told(&self) -> String {
        self.shown().text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn read(shown: &ShownMail) -> String {
    format!("Subject: {}\n\n{}", shown.subject, shown.text)
}

#[test]
fn a_digest_tells_of_the_week() {
    insta::assert_snapshot!("digest", read(&Week::new().shown()));
    let mut two = Week::new();
    two.is_on_two = true;
    insta::assert_snapshot!("digest_of_two_accounts", read(&two.shown()));
}

#[test]
fn a_digest_fits_what_is_known() {
    type Change = fn(&mut Week);
    let cases: [(&str, Change, &[&str], &[&str]); 12] = [
        (
            "all is well",
            |week| {
                let forecast = week.scene.forecast();
                (forecast.probability, forecast.run_out) = (Some(0.03), RunOut::default());
                forecast.unused = Some(whole(310));
                week.scene.draw.alerts.clear();
                week.alerts.clear();
                week.unrefunded = (0, Credits::ZERO);
                week.spent_on.retries.clear();
            },
            &[
                "What is left is expected to last until the reset.",
                "Unlikely: 3%",
                "About 190 credits lapse unused",
                "Alerts ------ None.",
            ],
            &["Wasted", "Estimates", "gone around"],
        ),
        ("as much", |week| week.spent_before = whole(3_200), &["about as much as in the 7 days before (3,200)"], &[]),
        ("less", |week| week.spent_before = whole(6_360), &["3,180 credits, 50% less than in the 7 days before"], &[]),
        ("three times", |week| week.spent_before = whole(1_060), &["3.0 times as much as in the 7 days before"], &[]),
        (
            "nothing at all",
            |week| (week.spent_on, week.spent_before) = (Drivers::default(), Credits::ZERO),
            &["team Art spent 0 credits, as in the 7 days before."],
            &["%  more", "NaN", "inf "],
        ),
        (
            "prepaid, and no forecast",
            |week| {
                week.scene.draw.period = None;
                week.scene.draw.outlook = Outlook::TooLittleHistory { hours: 1, charges: 1, guess: None };
            },
            &["There is no forecast.", "There is too little history for a forecast.", "454 credits a day."],
            &["until the reset", "Plan resets"],
        ),
        (
            "announced",
            |week| {
                let form = AnnouncementForm {
                    factor: Some(2.0),
                    from: Some("2026-11-24".into()),
                    to: Some("2026-11-25".into()),
                    ..AnnouncementForm::default()
                };
                let announcement = Announcement {
                    id: None,
                    key: week.scene.draw.key.clone(),
                    foreseen: form.check(&TimeZone::UTC).unwrap(),
                    note: String::new(),
                    by: "ada".into(),
                    announced_at: None,
                    withdrawn: None,
                };
                week.scene.draw.announced = vec![StandingAnnouncement { announcement, effect: Some(whole(340)) }];
            },
            &[
                "Announced --------- - 2 times the usual pace from 24 Nov 2026 to the end of 25 Nov 2026; about 340 credits more",
            ],
            &[],
        ),
        (
            "an estimate was met, and one lapsed",
            |week| week.estimates = crate::metrics::sample::estimates(&week.scene.draw.key),
            &[
                "Estimates --------- 1 estimate was met: it stayed within what 9 of 10 such jobs cost. 320 credits were expected \
                 and 350 charged. 1 estimate lapsed before all was done. Alerts",
            ],
            &["nothing launched"],
        ),
        (
            "several estimates",
            |week| {
                let mut all = crate::metrics::sample::estimates(&week.scene.draw.key);
                all.push(RecordedEstimate { charged: whole(411), ..all[1].clone() });
                all.push(RecordedEstimate { tasks: 0, ..all[2].clone() });
                week.estimates = all;
            },
            &[
                "2 estimates were met: 1 stayed within what 9 of 10 such jobs cost. 640 credits were expected and 761 charged.",
                "2 estimates lapsed before all was done, 1 of them with nothing launched.",
            ],
            &[],
        ),
        (
            "planned",
            |week| week.scene.draw.estimates = crate::metrics::sample::estimates(&week.scene.draw.key),
            &["Planned ------- - 30 × retexture, about 230 credits to come"],
            &["Estimates"],
        ),
        (
            "an estimate cost more",
            |week| {
                let met = crate::metrics::sample::estimates(&week.scene.draw.key).remove(1);
                week.estimates = vec![RecordedEstimate { charged: whole(411), ..met }];
            },
            &["1 estimate was met: it cost more than 9 of 10 such jobs do. 320 credits were expected and 411 charged."],
            &["lapsed"],
        ),
        (
            "used up",
            |week| week.scene.draw.fuel.as_mut().unwrap().left = Credits::ZERO,
            &["Nothing is left."],
            &["expected to last"],
        ),
    ];
    for (case, change, expected, absent) in cases {
        let mut week = Week::new();
        change(&mut week);
        let told = week.told();
        for words in expected {
            assert!(told.contains(words), "{case}: {words}\n{told}");
        }
        for words in absent {
            assert!(!told.contains(words), "{case}: {words}\n{told}");
        }
    }
}

#[test]
fn a_report_is_known_by_its_scheduled_time_and_the_recipient() {
    let mut week = Week::new();
    week.to.push("ben@studio.example".parse().unwrap());
    let mails = week.mails();
    assert_eq!(mails, week.mails(), "the same each time");
    assert_ne!(mails[0].message_id, mails[1].message_id);
    let names = headers(&mails[0]);
    assert_eq!(header(&names, "X-Fuelgauge-Report"), ["digest"]);
    assert_eq!(header(&names, "X-Fuelgauge-Team"), ["Art"]);
    assert_eq!(header(&names, "Auto-Submitted"), ["auto-generated"]);
    assert_eq!(header(&names, "References"), [""; 0], "it stands alone");
    // What it says is as of now, what it is called is not.
    week.spent_before = whole(1);
    assert_eq!(week.mails()[0].message_id, mails[0].message_id);
    week.scene.notice.key.team = TeamName::parse("Other").unwrap();
    assert_ne!(week.mails()[0].message_id, mails[0].message_id);
}

/// Two accounts, of which the second can be made stale.
fn snapshot(stale: bool) -> Snapshot {
    let mut scene = Scene::new(Why::Opened, Stage::Warning);
    scene.assessment.draws = vec![scene.draw.clone()];
    let first = scene.assessment.clone();
    let mut second = first.clone();
    second.account = AccountName::parse("meshy-main").unwrap();
    second.draws[0].alerts.clear();
    if stale {
        second.collectors[0].last_success_at = Some(at("2026-11-22T03:00:00Z"));
    }
    let mail = ChannelDepth {
        waiting: 1,
        sent: 41,
        oldest_waiting_at: Some(at("2026-11-22T13:04:00Z")),
        last_sent_at: Some(at("2026-11-22T12:00:00Z")),
        ..ChannelDepth::of(EMAIL_CHANNEL)
    };
    let outbox = OutboxDepth { channels: vec![mail], given_up: Vec::new() };
    Snapshot { accounts: vec![Arc::new(first), Arc::new(second)], outbox, silences: Week::new().silences }
}

fn heartbeat(snapshot: &Snapshot) -> RenderedMail {
    let week = Week::new();
    let scheduled = at("2026-11-22T13:05:00Z");
    let occasion = Occasion { kind: "heartbeat", team: None, scheduled, at: scheduled, schedule: "5 14 * * *" };
    render_heartbeat(snapshot, "1.2.3", &occasion, &week.post(), &week.to.iter().collect::<Vec<_>>()).unwrap().remove(0)
}

#[test]
fn a_sign_of_life_says_whether_all_is_watched() {
    insta::assert_snapshot!("heartbeat", read(&show(&heartbeat(&snapshot(false)).message)));
    insta::assert_snapshot!("heartbeat_of_a_stale_account", read(&show(&heartbeat(&snapshot(true)).message)));
    let empty = show(&heartbeat(&Snapshot::default()).message);
    assert!(empty.text.starts_with("All watched: 0 accounts and 0 teams are watched."), "{}", empty.text);
}

#[test]
fn foreign_words_stay_words_in_reports() {
    let tags = |shown: &ShownMail| super::hostile::tags(&shown.html);
    let ours = tags(&Week::new().shown());
    let plain = tags(&show(&heartbeat(&snapshot(true)).message));
    for word in HOSTILE {
        let mut week = Week::new();
        let mut watched = snapshot(true);
        if let Ok(team) = TeamName::parse(word) {
            week.scene.notice.key.team = team.clone();
            Arc::make_mut(&mut watched.accounts[0]).draws[0].key.team = team;
        }
        if let Ok(account) = AccountName::parse(word) {
            week.scene.assessment.account = account.clone();
            Arc::make_mut(&mut watched.accounts[1]).account = account;
        }
        Arc::make_mut(&mut watched.accounts[1]).platform = word.to_owned();
        week.spent_on.totals.iter_mut().for_each(|row| (row.task_type, row.quality) = (word.into(), word.into()));
        let mails = [week.mails().remove(0), heartbeat(&watched)];
        for (mail, ours) in mails.iter().zip([ours, plain]) {
            assert_well_formed(mail, word);
            let shown = show(&mail.message);
            assert!(tags(&shown) <= ours && !shown.subject.contains(['\r', '\n']), "{word:?}");
            for deceptive in ['\u{202e}', '\u{ad}', '\u{e0041}', '\u{200b}', '\u{feff}', '\0', '\u{85}', '\u{2028}'] {
                assert!(!shown.text.contains(deceptive) && !shown.html.contains(deceptive), "{word:?}");
            }
        }
    }
}
