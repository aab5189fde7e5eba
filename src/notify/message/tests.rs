//! Mails as their readers get them, and what no foreign text may do to one.

use jiff::Timestamp;

use super::layout::TEXT_COLUMNS;
use super::*;
use crate::demo::catcher::{ShownMail, show};
use crate::domain::{
    AccountName, Alert, AlertState, Announcement, AnnouncementForm, BalanceRecord, CarryOver, Collector,
    CollectorStatus, Confidence, Credits, DrawKey, Forecast, Fuel, FuelLimit, Outlook, PlanPeriod, Provenance, Queued,
    Reruns, RetryKind, RuleAlert, RuleName, RunOut, SharedTank, SpendRates, Stage, StandingAnnouncement, TeamName,
    Unassigned, Why,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

fn row(task_type: &str, quality: &str, charged: i64, refunded: i64) -> TotalsRow {
    TotalsRow {
        task_type: task_type.into(),
        quality: quality.into(),
        charged: whole(charged),
        refunded: whole(refunded),
        finished: 40,
        failed: 2,
        attempts: 40,
    }
}

fn retry(task_type: &str, kind: RetryKind, tasks: u64, credits: i64) -> RetryRow {
    RetryRow { task_type: task_type.into(), kind, tasks, credits: whole(credits) }
}

/// A team in the last days of November whose credits end on the 27th.
struct Scene {
    notice: Notice,
    assessment: AccountAssessment,
    draw: DrawAssessment,
    context: MessageContext,
}

impl Scene {
    fn new(why: Why, stage: Stage) -> Scene {
        let now = at("2026-11-22T13:05:00Z");
        let key = DrawKey { account: AccountName::parse("studio").unwrap(), team: TeamName::parse("Art").unwrap() };
        let (start, end) = (at("2026-10-31T23:00:00Z"), at("2026-11-30T23:00:00Z"));
        let notice = Notice {
            key: key.clone(),
            rule: RuleName::Exhaustion,
            period_start: start,
            period_end: Some(end),
            episode: 1,
            stage,
            step: 0,
            why,
            at: now,
        };
        let firing = AlertState::Firing {
            level: stage.into(),
            since: at("2026-11-20T09:05:00Z"),
            clear_since: None,
            told: None,
        };
        let draw = DrawAssessment {
            key,
            period: Some(PlanPeriod { start, end, allowance: Some(whole(4000)), provenance: Provenance::Declared }),
            fuel: Some(Fuel {
                left: whole(820),
                limit: FuelLimit::Balance,
                as_of: at("2026-11-22T13:00:00Z"),
                fresh: true,
            }),
            shared: None,
            allowance: None,
            spent: whole(3180),
            unrefunded: Credits::ZERO,
            announced: Vec::new(),
            queued: Queued::default(),
            suspects: crate::domain::Suspects::default(),
            pending: whole(36),
            spend: SpendRates { hour: None, day: Some(180.0 / 86_400.0), week: Some(162.5 / 86_400.0) },
            outlook: Outlook::Forecast(Forecast {
                at: now,
                probability: Some(0.93),
                probability_half: Some(0.93),
                probability_tenth: Some(0.27),
                run_out: RunOut {
                    p10: Some(at("2026-11-25T14:00:00Z")),
                    p50: Some(at("2026-11-27T10:20:00Z")),
                    p90: Some(at("2026-11-29T16:00:00Z")),
                },
                horizon: at("2027-02-01T00:00:00Z"),
                expected_use: whole(1390),
                unused: Some(Credits::ZERO),
                pace_per_hour: 7.0,
                confidence: Confidence::Normal,
            }),
            explanation: None,
            plan_run_out: None,
            totals: vec![
                row("text-to-3d-preview", "meshy-5", 900, 20),
                row("text-to-3d-refine", "", 1500, 30),
                row("retexture", "hd", 400, 0),
                row("rigging", "", 300, 0),
                row("animation", "", 130, 0),
            ],
            retries: vec![
                retry("text-to-3d-preview", RetryKind::Rerun, 31, 620),
                retry("text-to-3d-refine", RetryKind::Resubmission, 1, 30),
            ],
            alerts: vec![RuleAlert {
                rule: RuleName::Exhaustion,
                alert: Alert { episode: 1, state: firing },
                mute: None,
            }],
            recent: None,
            reruns: Reruns::default(),
            daily: Vec::new(),
        };
        let assessment = AccountAssessment {
            rules: RuleName::ALL.into(),
            account: draw.key.account.clone(),
            at: now,
            zone: jiff::tz::TimeZone::UTC,
            platform: "meshy".into(),
            plan_name: Some("studio".into()),
            stale_after_seconds: 3600,
            charges: crate::domain::ChargeSource::History,
            expired: Credits::ZERO,
            collectors: vec![CollectorStatus {
                collector: Collector::Charges,
                last_attempt_at: Some(now),
                last_success_at: Some(at("2026-11-22T13:04:30Z")),
                last_duration_seconds: Some(0.4),
                last_failure: None,
            }],
            balance: Some((
                BalanceRecord {
                    available: whole(820),
                    plan: Some(whole(700)),
                    purchased: Some(whole(120)),
                    frozen: None,
                },
                at("2026-11-22T13:00:00Z"),
            )),
            queue: None,
            queued: Queued::default(),
            unexplained: None,
            granted: Credits::ZERO,
            grants: Vec::new(),
            spent: Credits::ZERO,
            buckets: None,
            carry_over: CarryOver::Nothing,
            unassigned: Unassigned::default(),
            draws: vec![draw.clone()],
        };
        let context = MessageContext {
            from: "fuelgauge <fuelgauge@studio.example>".parse().unwrap(),
            to: "Ada Lead <lead@studio.example>".parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            external_url: Some("https://fuelgauge.studio.example".into()),
            policy: ExhaustionPolicy::default(),
            repeat_interval: SignedDuration::from_hours(24),
            names_account: false,
            drivers: None,
        };
        Scene { notice, assessment, draw, context }
    }

    fn forecast(&mut self) -> &mut Forecast {
        match &mut self.draw.outlook {
            Outlook::Forecast(forecast) => forecast,
            other => panic!("{other:?}"),
        }
    }

    /// Credits that will last after all.
    fn calm(mut self) -> Scene {
        let forecast = self.forecast();
        forecast.probability = Some(0.04);
        forecast.probability_half = Some(0.04);
        forecast.probability_tenth = Some(0.001);
        forecast.run_out = RunOut::default();
        forecast.expected_use = whole(500);
        forecast.unused = Some(whole(310));
        self
    }

    fn named(mut self, team: &str) -> Scene {
        self.notice.key.team = TeamName::parse(team).unwrap();
        self.draw.key.team = self.notice.key.team.clone();
        self
    }

    fn render(&self) -> RenderedMail {
        render(&self.notice, &self.assessment, &self.draw, &self.context).unwrap()
    }

    fn shown(&self) -> ShownMail {
        show(&self.render().message)
    }
}

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
    with.draw.queued = Queued { tasks: 2, credits: whole(60), unknown_tasks: 1, is_held: false };
    let text = String::from_utf8(with.render().message).unwrap().replace("=\r\n", "").replace("\r\n", " ");
    let words = "Announced: 2 times the usual pace from 24 Nov 2026 to the end of 24 Nov 2026 (about 340 credits more); no use \
                 from 25 Nov 2026 to the end of 26 Nov 2026 (about 90 credits less). Launched and not charged yet: 2 tasks, \
                 about 60 credits.";
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
    let text_of = |own_pace_per_hour, teams: usize| {
        let mut scene = Scene::new(Why::Opened, Stage::Warning);
        let fuel = scene.draw.fuel.clone().unwrap();
        scene.draw.shared = Some(SharedTank { fuel, spend: SpendRates::default(), own_pace_per_hour });
        scene.assessment.draws = vec![scene.draw.clone(); teams];
        scene.shown().text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (own_pace_per_hour, teams, expected) in [
        (
            Some(1.75),
            2,
            &[
                "With the other teams' use the pace is about 168 credits a day, 1.7 times the 97 that would last. The team's \
                 own part is about 42 credits.",
                "Slow down to 24 credits a day (now about 42), all together to 97 credits a day (now about 168): lasts until \
                 the reset",
                // A quarter of what a team alone would save.
                "Launch half as many text-to-3d-refine tasks: saves about 80 credits;",
                "Top up by 710 credits",
                "820 credits, shared with the other teams (plan 700, bought 120)",
            ][..],
        ),
        (None, 2, &["Slow down, all together to 97 credits a day (now about 168): lasts until the reset"]),
        (Some(1.75), 1, &["With the use that belongs to no team the pace is", "lowered by charges of no team too"]),
    ] {
        let text = text_of(own_pace_per_hour, teams);
        for expected in expected {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
    assert!(!text_of(None, 2).contains("half as many"), "what an unknown part would save is not known");

    let mut sooner = Scene::new(Why::Opened, Stage::Warning);
    let fuel = Fuel { left: whole(900), limit: FuelLimit::Balance, ..sooner.draw.fuel.clone().unwrap() };
    sooner.draw.fuel.as_mut().unwrap().limit = FuelLimit::Allowance;
    sooner.draw.shared = Some(SharedTank { fuel, spend: SpendRates::default(), own_pace_per_hour: Some(1.0) });
    let text = sooner.shown().text;
    assert!(text.contains("Left to all teams         900 credits, which end sooner"), "{text}");
}

#[test]
fn the_mails_of_an_episode() {
    let mut opened = Scene::new(Why::Opened, Stage::Warning);
    opened.context.drivers = Some(Drivers {
        totals: vec![row("text-to-3d-preview", "meshy-5", 620, 20), row("text-to-3d-refine", "", 900, 0)],
        retries: vec![retry("text-to-3d-preview", RetryKind::Rerun, 14, 280)],
    });
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
        ("recipient", &|s| s.context.to = "x@studio.example".parse().unwrap(), false, true),
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

/// Names and words that try to become headers, markup or parts, or to deceive the eye.
const HOSTILE: [&str; 14] = [
    "x\r\nBcc: evil@example.org",
    "x\nBcc: evil@example.org",
    "x\rBcc: evil@example.org",
    "x\r\n\r\n<html>body",
    "x\u{85}y\u{2028}z\u{2029}Bcc: e@e",
    "x\0y",
    "=?utf-8?q?x=0D=0ABcc:_evil=40example.org?=",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% for x in y %}",
    "\u{202e}gnp.exe",
    "a\u{ad}b\u{e0041}c",
    "--fuelgauge-0000",
    "тест 团队 🧊 é",
];

#[test]
fn foreign_words_stay_words() {
    for word in HOSTILE {
        let mut scene = Scene::new(Why::Opened, Stage::Warning);
        // Team names that hide something are refused at the door; the rest get as far as the subject.
        if let Ok(team) = TeamName::parse(word) {
            scene = Scene::new(Why::Opened, Stage::Warning).named(team.as_str());
        }
        scene.draw.totals = vec![row(word, word, 900, 0)];
        scene.draw.key.account = AccountName::parse("studio").unwrap();
        let mail = scene.render();
        let headers = headers(&mail);
        assert_well_formed(&mail, word);
        let names: Vec<&str> = headers
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let expected = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "Auto-Submitted",
            "X-Fuelgauge-Alert",
            "X-Fuelgauge-Team",
            "X-Fuelgauge-State",
            "X-Fuelgauge-Severity",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expected, "{word:?}");
        let shown = show(&mail.message);
        assert!(!shown.subject.contains(['\r', '\n']), "{word:?}: {}", shown.subject);
        assert!(!shown.html.contains("<script") && !shown.html.contains("<img"), "{word:?}");
        assert!(!shown.text.contains("49") || !word.contains("7 * 7"), "{word:?}");
        for deceptive in ['\u{202e}', '\u{ad}', '\u{e0041}', '\0', '\u{85}', '\u{2028}'] {
            assert!(!shown.text.contains(deceptive) && !shown.html.contains(deceptive), "{word:?}");
        }
    }
}

#[test]
fn a_name_in_any_script_arrives_whole() {
    for name in ["Ünïcode & <Söhne>", "тест", "团队 三", "O'Neill \"Art\"", "=?utf-8?q?x?="] {
        let scene = Scene::new(Why::Opened, Stage::Warning).named(name);
        let shown = scene.shown();
        let in_header = name.replace("=?", "= ?");
        assert_eq!(shown.subject, format!("Credits of team {in_header} may run out before 1 December"));
        assert!(shown.text.contains(&format!("for team {name} on studio")), "{}", shown.text);
        assert!(scene.render().message.is_ascii());
    }
    let link = Scene::new(Why::Opened, Stage::Warning).named("Ü & <S>").shown().text;
    assert!(link.contains("https://fuelgauge.studio.example/teams/%C3%9C%20%26%20%3CS%3E\n"), "{link}");
}

fn assert_well_formed(mail: &RenderedMail, what: &str) {
    let text = std::str::from_utf8(&mail.message).unwrap();
    assert!(text.is_ascii(), "{what:?}");
    assert!(text.ends_with("\r\n") && text.len() < LARGEST_MAIL_BYTES, "{what:?}: {} bytes", text.len());
    for line in text.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{what:?}: {line:?}");
    }
}

#[test]
fn the_longest_names_still_fit() {
    let long = "w".repeat(64);
    let mut scene = Scene::new(Why::Opened, Stage::Warning).named(&long);
    scene.draw.totals = (0..1000).map(|i| row(&format!("{i}{}", "t".repeat(5000)), &"q".repeat(5000), 9, 0)).collect();
    let mail = scene.render();
    assert_well_formed(&mail, "long");
    for line in scene.shown().text.lines() {
        let is_one_word = line.trim().trim_start_matches("- ").split(' ').count() == 1;
        assert!(line.chars().count() <= TEXT_COLUMNS || is_one_word, "{line}");
    }
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut scene = Scene::new(Why::Repeated, Stage::Warning);
    scene.draw.outlook = Outlook::UnknownBalance;
    scene.draw.fuel = None;
    scene.draw.totals.clear();
    scene.draw.retries.clear();
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

#[test]
fn what_would_help_is_worked_out() {
    let effects = |scene: &Scene| {
        let text = scene.shown().text;
        let list =
            text.split("What you can do\n---------------\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap());
        list.unwrap_or_default().replace("\n  ", " ")
    };
    let mut scene = Scene::new(Why::Opened, Stage::Warning);
    // 820 credits for 8.41 days are 97.5 a day; re-runs are 620 of 3,230 charged; 1.1 x 1,390 - 820 = 709.
    assert_eq!(
        effects(&scene),
        "- Slow down to 97 credits a day (now about 168): lasts until the reset, 4 days longer.\n\
         - Pause re-runs: saves about 267 credits; lasts about 28 hours longer.\n\
         - Launch half as many text-to-3d-refine tasks: saves about 321 credits; lasts about 35 hours longer.\n\
         - Top up by 710 credits: lasts until the reset at the expected use and 10% more."
    );
    scene.draw.retries.clear();
    scene.draw.totals = (0..9).map(|i| row(&format!("type-{i}"), "", 10, 0)).collect();
    scene.forecast().expected_use = whole(700);
    assert_eq!(
        effects(&scene),
        "- Slow down to 97 credits a day (now about 168): lasts until the reset, 4 days longer.",
        "nothing that is small, and nothing that is not needed"
    );
}
