//! Mails as their readers get them, and what no foreign text may do to one.

use self::scene::{Scene, at, whole};
use super::*;
use crate::domain::{
    AccountName, Announcement, AnnouncementForm, Confidence, Credits, Fuel, FuelLimit, Measure, Outlook, Provenance,
    Queued, RunOut, SharedTank, SpendRates, Stage, StandingAnnouncement, TeamName, Why,
};

mod hostile;
mod parsed;
mod reports;
mod rules;
mod scene;

#[test]
fn what_was_announced_and_moves_the_forecast_is_a_driver() {
    let form = |factor: f64, from: &str, to: &str| AnnouncementForm {
        factor: Some(factor),
        from: Some(from.into()),
        to: Some(to.into()),
        ..AnnouncementForm::default()
    };
    let scene = || Scene::new(Why::Opened, Stage::Warning);
    let announced = |form: AnnouncementForm, effect: Option<i64>| {
        let announcement = Announcement {
            id: None,
            key: scene().draw.key,
            foreseen: form.check(&scene().context.zone).unwrap(),
            note: "<b>secret</b>".into(),
            by: "ada".into(),
            announced_at: None,
            withdrawn: None,
        };
        StandingAnnouncement { announcement, effect: effect.map(whole) }
    };
    let mut with = scene();
    with.draw.announced = vec![
        announced(form(0.0, "2026-11-25", "2026-11-26"), Some(-90)),
        announced(form(2.0, "2026-11-24", "2026-11-24"), Some(340)),
        announced(form(3.0, "2027-11-24", "2027-11-24"), Some(0)),
        announced(form(4.0, "2026-11-29", "2026-11-29"), None),
    ];
    with.draw.estimates = crate::metrics::sample::estimates(&with.draw.key);
    with.draw.queued = Queued { tasks: 2, credits: whole(60), unknown_tasks: 1, is_held: false };
    let text = String::from_utf8(with.render().message).unwrap().replace("=\r\n", "").replace("\r\n", " ");
    let text = text.replace("=C3=97", "×");
    let words = "Announced: 2 times the usual pace from 24 Nov 2026 to the end of 24 Nov 2026 (about 340 credits more); no use \
                 from 25 Nov 2026 to the end of 26 Nov 2026 (about 90 credits less). Planned: 30 × retexture, about 230 credits to \
                 come. Launched and not charged yet: 2 tasks, about 60 credits.";
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{text}");
    assert!(!text.contains("secret") && !text.contains("4 times"), "{text}");
    assert!(!String::from_utf8(scene().render().message).unwrap().contains("Announced"));
}

fn headers(mail: &RenderedMail) -> String {
    let text = String::from_utf8(mail.message.clone()).unwrap();
    text.split_once("\r\n\r\n").unwrap().0.replace("\r\n", "\n")
}

fn header<'a>(headers: &'a str, name: &str) -> Vec<&'a str> {
    headers.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect()
}

#[test]
fn a_share_of_what_was_spent_may_be_all_of_it() {
    let mut scene = Scene::new(Why::Opened, Stage::Warning);
    let drivers = scene.context.drivers.as_mut().unwrap();
    drivers.totals = vec![scene::row("rigging", "", 3180, 0)];
    drivers.retries.clear();
    let text = scene.told();
    assert!(text.contains("100% of this period's credits went to rigging."), "{text}");
    scene.forecast().probability = Some(1.0);
    assert!(scene.told().contains("over 99% that the credits run out"), "a chance never is");
}

#[test]
fn a_budget_is_called_by_its_name() {
    let mut budget = Scene::new(Why::Opened, Stage::Warning);
    budget.draw.fuel.as_mut().unwrap().limit = FuelLimit::Budget;
    budget.draw.period.as_mut().unwrap().provenance = Provenance::Budget;
    let text = budget.shown().text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in
        ["before the budget ends.", "run out before the budget's end.", "of the budget of 4,000", "Raise the budget by"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("the plan resets") && !text.contains("Expected to lapse"), "{text}");
}

#[test]
fn a_shared_balance_is_forecast_with_everybodys_use_and_each_is_asked_for_a_part() {
    let text_of = |own_part: Option<f64>, teams: usize| {
        let mut scene = Scene::new(Why::Opened, Stage::Warning);
        let fuel = scene.draw.fuel.clone().unwrap();
        let own_pace_per_hour = own_part.map(|part| 7.0 * part);
        scene.draw.shared = Some(SharedTank { fuel, spend: SpendRates::default(), own_pace_per_hour });
        scene.assessment.draws = vec![scene.draw.clone(); teams];
        scene.context.remedies[1].measure = Measure::SlowDown { to: 97.0, from: 168.0, own_part };
        scene.told()
    };
    for (own_part, teams, expected) in [
        (
            Some(0.25),
            2,
            &[
                "With the other teams' use the pace is about 168 credits a day, 1.7 times the 97 that would last. The team's \
                 own part is about 42 credits.",
                "Slow down to 24 credits a day (now about 42), all together to 97 credits a day (now about 168): then the credits last until \
                 the reset",
                "820 credits, shared with the other teams (plan 700, bought 120)",
            ][..],
        ),
        (
            None,
            2,
            &["Slow down, all together to 97 credits a day (now about 168): then the credits last until the reset"],
        ),
        (Some(0.25), 1, &["With the use that belongs to no team the pace is", "lowered by charges of no team too"]),
    ] {
        let text = text_of(own_part, teams);
        for expected in expected {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    let mut sooner = Scene::new(Why::Opened, Stage::Warning);
    let fuel = Fuel { left: whole(900), limit: FuelLimit::Balance, ..sooner.draw.fuel.clone().unwrap() };
    sooner.draw.fuel.as_mut().unwrap().limit = FuelLimit::Allowance;
    sooner.draw.shared = Some(SharedTank { fuel, spend: SpendRates::default(), own_pace_per_hour: Some(1.0) });
    let text = sooner.shown().text;
    assert!(text.contains("Left to all teams         900 credits, which end sooner"), "{text}");
}

#[test]
fn the_mails_of_an_episode() {
    let opened = Scene::new(Why::Opened, Stage::Warning);
    insta::assert_snapshot!("opened_headers", headers(&opened.render()));
    insta::assert_snapshot!("opened_text", opened.shown().text);
    insta::assert_snapshot!("opened_html", opened.shown().html);

    let worsened = Scene::new(Why::Worsened, Stage::Critical);
    insta::assert_snapshot!("worsened_text", worsened.shown().text);

    let mut allowance = Scene::new(Why::Repeated, Stage::Warning);
    allowance.draw.fuel.as_mut().unwrap().limit = FuelLimit::Allowance;
    allowance.draw.allowance = Some(whole(1500));
    allowance.context.names_account = true;
    allowance.forecast().confidence = Confidence::Low;
    insta::assert_snapshot!("repeated_allowance_text", allowance.shown().text);
    assert_eq!(allowance.shown().subject, "Credits of team Art on studio may run out before 1 December");

    let mut used_up = Scene::new(Why::Worsened, Stage::Critical);
    used_up.draw.fuel.as_mut().unwrap().left = Credits::ZERO;
    let now = used_up.notice.at;
    used_up.forecast().run_out = RunOut { p10: Some(now), p50: Some(now), p90: Some(now) };
    insta::assert_snapshot!("used_up_text", used_up.shown().text);

    let resolved = Scene::new(Why::Resolved, Stage::Warning).calm();
    insta::assert_snapshot!("resolved_text", resolved.shown().text);

    let mut reset = Scene::new(Why::PlanReset, Stage::Critical).calm();
    reset.notice.at = at("2026-11-30T23:10:00Z");
    reset.draw.period.as_mut().unwrap().end = at("2026-12-31T23:00:00Z");
    reset.draw.fuel.as_mut().unwrap().as_of = at("2026-11-30T23:09:00Z");
    reset.assessment.collectors[0].last_success_at = Some(at("2026-11-30T23:09:00Z"));
    reset.draw.alerts.clear();
    insta::assert_snapshot!("plan_reset_text", reset.shown().text);
}

#[test]
fn all_mails_of_an_episode_share_subject_and_thread() {
    let mails: Vec<(Why, Scene)> = Why::ALL.into_iter().map(|why| (why, Scene::new(why, Stage::Critical))).collect();
    let first = mails[0].1.render();
    let first_headers = headers(&first);
    assert_eq!(header(&first_headers, "Subject"), ["Credits of team Art may run out before 1 December"]);
    assert_eq!(header(&first_headers, "Date"), ["Sun, 22 Nov 2026 13:05:00 +0000"]);
    let mut ids = vec![first.message_id.clone()];
    for (why, scene) in &mails[1..] {
        let mail = scene.render();
        let headers = headers(&mail);
        for name in ["Subject", "References", "In-Reply-To"] {
            assert_eq!(header(&headers, name), header(&first_headers, name), "{why:?} {name}");
        }
        assert_eq!(header(&headers, "X-Fuelgauge-State"), [why.as_str()]);
        assert_eq!(header(&headers, "Message-ID"), [mail.message_id.as_str()]);
        ids.push(mail.message_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), Why::ALL.len(), "each mail has its own id");
}

#[test]
fn a_mail_is_known_by_the_alert_and_the_recipient() {
    let id_of = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new(Why::Opened, Stage::Warning);
        change(&mut scene);
        let mail = scene.render();
        let thread = header(&headers(&mail), "References")[0].to_owned();
        (mail.message_id, thread)
    };
    let (id, thread) = id_of(&|_| ());
    assert!(id.starts_with("<fuelgauge.") && id.ends_with("@studio.example>"), "{id}");
    assert_ne!(id, thread);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Scene), bool, bool);
    let changes: [Change; 8] = [
        ("time", &|s| s.notice.at = at("2026-11-22T14:00:00Z"), true, true),
        ("numbers", &|s| s.draw.spent = whole(1), true, true),
        ("recipient", &|s| s.to = "x@studio.example".parse().unwrap(), false, true),
        ("stage", &|s| s.notice.stage = Stage::Critical, false, true),
        ("episode", &|s| s.notice.episode = 2, false, false),
        ("period", &|s| s.notice.period_start = at("2026-11-01T00:00:00Z"), false, false),
        ("account", &|s| s.notice.key.account = AccountName::parse("other").unwrap(), false, false),
        ("team", &|s| s.notice.key.team = TeamName::parse("Other").unwrap(), false, false),
    ];
    for (what, change, same_mail, same_thread) in changes {
        let (other_id, other_thread) = id_of(change);
        assert_eq!((other_id == id, other_thread == thread), (same_mail, same_thread), "{what}");
    }

    let mut repeat = Scene::new(Why::Repeated, Stage::Warning);
    let once = repeat.render().message_id;
    repeat.notice.at = at("2026-11-23T13:05:00Z");
    assert_ne!(repeat.render().message_id, once, "a repeat is a new mail");
}

#[test]
fn the_same_notice_makes_the_same_bytes() {
    for why in Why::ALL {
        assert_eq!(Scene::new(why, Stage::Critical).render(), Scene::new(why, Stage::Critical).render(), "{why:?}");
    }
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut scene = Scene::new(Why::Repeated, Stage::Warning);
    scene.draw.outlook = Outlook::UnknownBalance;
    scene.draw.fuel = None;
    scene.draw.daily.clear();
    scene.context.drivers = Some(Drivers::default());
    scene.context.remedies.clear();
    scene.draw.spend = SpendRates::default();
    scene.assessment.balance = None;
    scene.assessment.collectors.clear();
    scene.context.external_url = None;
    let text = scene.shown().text;
    assert!(text.contains("How much is left is not known at the moment."), "{text}");
    assert!(text.contains("Left                      not known"), "{text}");
    for absent in ["What you can do", "What drives it", "Spent since", "Pace", "NaN", "inf", "https://", " 0 credits"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }

    scene.notice.period_end = None;
    scene.draw.period = None;
    assert_eq!(scene.shown().subject, "Credits of team Art may run out");
    assert!(scene.shown().text.starts_with("Still true: the credits of team Art may run out.\n"));
}
