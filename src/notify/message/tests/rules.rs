//! The mails of the rules beside `exhaustion`, each for every reason for which it can be told.

use jiff::SignedDuration;

use super::hostile::{HOSTILE, assert_well_formed};
use super::parsed::assert_parsed;
use super::scene::{Scene, at, drivers, retry, row, whole};
use crate::domain::*;
use crate::notify::message::EndedPeriod;

/// The reasons for which each rule can be told where nobody set it otherwise.
const TOLD: [(RuleName, &[Why]); 11] = [
    (RuleName::StaleData, &[Why::Opened, Why::Worsened, Why::Repeated, Why::Resolved]),
    (RuleName::LowBalance, &[Why::Opened, Why::Worsened, Why::Resolved, Why::PlanReset]),
    (RuleName::UnusualSpend, &[Why::Opened, Why::Repeated]),
    (RuleName::WastefulRetries, &[Why::Opened, Why::Repeated]),
    (RuleName::StuckQueue, &[Why::Opened, Why::Repeated, Why::Resolved]),
    (RuleName::MissingRefund, &[Why::Opened, Why::Repeated, Why::Resolved]),
    (RuleName::DoubleCharge, &[Why::Opened, Why::Repeated, Why::Resolved]),
    (RuleName::UnexplainedSpend, &[Why::Opened, Why::Repeated, Why::Resolved]),
    (RuleName::PriceDrift, &[Why::Opened, Why::Repeated, Why::Resolved]),
    (RuleName::CreditsWillLapse, &[Why::Opened]),
    (RuleName::PlanReset, &[Why::Opened]),
];

/// What a rule tells of the team of the scene.
pub(super) fn of_rule(rule: RuleName, why: Why) -> Scene {
    let stage = match (rule, why) {
        (RuleName::CreditsWillLapse | RuleName::PlanReset, _) => Stage::Info,
        (_, Why::Worsened) => Stage::Critical,
        _ => Stage::Warning,
    };
    let mut scene = Scene::new(why, stage);
    scene.notice.rule = rule;
    scene.context.remedies.clear();
    let is_over = matches!(why, Why::Resolved | Why::PlanReset);
    let level = Level::from(stage);
    let since = match rule {
        RuleName::StaleData if why != Why::Worsened => at("2026-11-22T09:05:00Z"),
        RuleName::StaleData => at("2026-11-21T13:05:00Z"),
        RuleName::StuckQueue => at("2026-11-22T12:04:00Z"),
        _ => at("2026-11-20T09:05:00Z"),
    };
    let state = if is_over {
        AlertState::Resolved { level, since, at: scene.notice.at, untold: None }
    } else {
        AlertState::Firing { level, since, clear_since: None, told: None }
    };
    scene.draw.alerts = vec![RuleAlert { rule, alert: Alert { episode: 1, state }, mute: None }];
    match rule {
        RuleName::StaleData => stale(&mut scene, why),
        RuleName::LowBalance => low(&mut scene, why),
        RuleName::UnusualSpend => unusual(&mut scene, why),
        RuleName::WastefulRetries => wasteful(&mut scene, why),
        RuleName::StuckQueue => stuck(&mut scene, why),
        RuleName::MissingRefund | RuleName::DoubleCharge => suspect(&mut scene, why),
        RuleName::UnexplainedSpend => unexplained(&mut scene, why),
        RuleName::PriceDrift => drifted(&mut scene, why),
        RuleName::CreditsWillLapse => lapsing(&mut scene),
        RuleName::PlanReset => reset(&mut scene),
        RuleName::Exhaustion => {}
    }
    if is_over {
        scene.context.drivers = None;
        scene.context.remedies.clear();
    }
    scene
}

fn stale(scene: &mut Scene, why: Why) {
    let read_at = match why {
        Why::Worsened => at("2026-11-21T12:00:00Z"),
        Why::Resolved => at("2026-11-22T13:04:30Z"),
        _ => at("2026-11-22T08:00:00Z"),
    };
    let failure =
        ("unauthorized".to_owned(), "balance: GET /openapi/v1/balance answered 401 Unauthorized\nhint: …".to_owned());
    let last_failure = (why != Why::Resolved).then_some(failure);
    let status = |collector| CollectorStatus {
        collector,
        last_attempt_at: Some(scene.notice.at),
        last_success_at: Some(read_at),
        last_duration_seconds: Some(0.4),
        last_failure: last_failure.clone(),
    };
    scene.assessment.collectors = vec![status(Collector::Charges), status(Collector::Balance)];
    scene.context.evidence.next_poll = Some(at("2026-11-22T13:10:00Z"));
    scene.draw.fuel.as_mut().unwrap().as_of = read_at;
    scene.draw.fuel.as_mut().unwrap().fresh = why == Why::Resolved;
}

fn low(scene: &mut Scene, why: Why) {
    let left = match why {
        Why::Worsened => 190,
        Why::Resolved => 2820,
        Why::PlanReset => 4000,
        _ => 780,
    };
    scene.draw.fuel.as_mut().unwrap().left = whole(left);
    let (balance, _) = scene.assessment.balance.as_mut().unwrap();
    *balance = BalanceRecord { available: whole(left), plan: None, purchased: None, frozen: None };
    if matches!(why, Why::Resolved | Why::PlanReset) {
        calm(scene);
    } else {
        scene.context.remedies = super::scene::remedies();
    }
    if why == Why::PlanReset {
        scene.notice.at = at("2026-11-30T23:10:00Z");
        scene.draw.period.as_mut().unwrap().end = at("2026-12-31T23:00:00Z");
        scene.draw.fuel.as_mut().unwrap().as_of = at("2026-11-30T23:09:00Z");
        scene.assessment.collectors[0].last_success_at = Some(at("2026-11-30T23:09:00Z"));
        scene.draw.alerts.clear();
    }
}

fn calm(scene: &mut Scene) {
    let forecast = scene.forecast();
    forecast.probability = Some(0.04);
    forecast.run_out = RunOut::default();
    forecast.expected_use = whole(500);
    forecast.unused = Some(whole(310));
}

fn unusual(scene: &mut Scene, why: Why) {
    let net = if why == Why::Repeated { 1100 } else { 640 };
    scene.draw.recent = Some(RecentUse {
        net: whole(net),
        charges: 27,
        days: 28,
        busy: whole(210),
        usual: whole(160),
        announced_factor: 1.0,
        announced_credits: Credits::ZERO,
    });
    scene.draw.daily[12].net = whole(260);
    let spender =
        |name: &str, is_api_key, net| Spender { name: name.into(), is_api_key, net: whole(net), reruns: Credits::ZERO };
    scene.context.evidence.last_day = Some(Drivers {
        totals: vec![row("image-to-3d", "high", net - 40, 0), row("rigging", "", 40, 0)],
        spenders: vec![spender("render-farm", true, net - 100), spender("ben", false, 100)],
        ..Drivers::default()
    });
}

fn wasteful(scene: &mut Scene, why: Why) {
    let credits = if why == Why::Repeated { 1980 } else { 1320 };
    scene.draw.reruns = Reruns { tasks: 66, credits: whole(credits), most_attempts: 14 };
    scene.context.drivers.as_mut().unwrap().retries = vec![
        retry("image-to-3d", RetryKind::Rerun, 51, credits - 300),
        retry("text-to-3d-refine", RetryKind::Rerun, 15, 300),
    ];
    let remedy = |measure, credits, run_out: Option<&str>, probability| Remedy {
        measure,
        credits: whole(credits),
        run_out: run_out.map(at),
        probability: Some(probability),
    };
    scene.context.remedies = vec![
        remedy(Measure::PauseReruns, 570, None, 0.31),
        remedy(Measure::HalveReruns, 285, Some("2026-11-29T06:00:00Z"), 0.7),
    ];
}

fn stuck(scene: &mut Scene, why: Why) {
    let queue = match why {
        Why::Resolved => QueueRecord { waiting: 2, running: 4, limit: Some(20), oldest_waiting_at: None },
        _ => QueueRecord {
            waiting: 12,
            running: 4,
            limit: Some(20),
            oldest_waiting_at: Some(at("2026-11-22T10:00:00Z")),
        },
    };
    scene.assessment.queue = Some((queue, at("2026-11-22T13:04:00Z")));
    scene.context.evidence.waiting = vec![Waiting {
        task_type: "image-to-3d".into(),
        quality: "high".into(),
        charged_tasks: 5,
        charged: whole(150),
        uncharged_tasks: 0,
    }];
    let measure = Measure::CancelWaiting { tasks: 5, is_estimated: false };
    let run_out = Some(at("2026-11-28T08:00:00Z"));
    scene.context.remedies = vec![Remedy { measure, credits: whole(150), run_out, probability: Some(0.9) }];
}

fn suspect(scene: &mut Scene, why: Why) {
    let suspicion = match scene.notice.rule {
        RuleName::DoubleCharge => Suspicion::DoubleCharge,
        _ => Suspicion::MissingRefund,
    };
    let charge = |n: usize| SuspectCharge {
        task_id: format!("0193a7c1-5b3f-7c20-9f04-{n:012x}"),
        task_type: "image-to-3d".into(),
        created_at: at("2026-11-20T10:00:00Z") - SignedDuration::from_hours(9 * n as i64),
        suspicion,
        credits: whole(30),
    };
    let count = match why {
        Why::Opened => 1,
        Why::Resolved => 0,
        _ => 12,
    };
    scene.draw.suspects = (0..count).map(charge).collect();
    scene.draw.unrefunded = whole(30 * count as i64 + 25);
}

fn drifted(scene: &mut Scene, why: Why) {
    let preview = ("text-to-3d-preview", "meshy-6", 1, [20, 20], if why == Why::Resolved { 20 } else { 25 }, 64);
    let others = [("image-to-3d", "high", 1, [20, 30], 33, 40), ("remesh", "", 1, [5, 5], 4, 12)];
    let kinds = match why {
        Why::Repeated => [&[preview][..], &others].concat(),
        _ => vec![preview],
    };
    let prices = crate::metrics::sample::prices("Art", &kinds);
    let unlisted = |task_type: &str, observed| ChargedPrice {
        task_type: task_type.into(),
        quality: String::new(),
        variants: 1,
        observed: whole(observed),
        tasks: 9,
    };
    let unlisted = if why == Why::Repeated { vec![unlisted("video", 40), unlisted("voice", 1)] } else { Vec::new() };
    scene.assessment.prices = Some(std::sync::Arc::new(ComparedPrices { unlisted, ..(*prices).clone() }));
}

fn unexplained(scene: &mut Scene, why: Why) {
    let missing = if why == Why::Resolved { 0 } else { 145 };
    scene.assessment.unexplained = Some(whole(-missing));
    scene.assessment.spent = whole(3180);
    scene.assessment.unassigned.spent = whole(220);
    scene.assessment.draws[0].queued = Queued { tasks: 2, credits: whole(60), unknown_tasks: 0, is_held: false };
    scene.context.evidence.balanced_since = Some(at("2026-10-31T23:00:00Z"));
}

fn lapsing(scene: &mut Scene) {
    calm(scene);
    scene.forecast().unused = Some(whole(1320));
    scene.draw.fuel.as_mut().unwrap().left = whole(1820);
    let price = |task_type: &str, quality: &str, credits, tasks| Price {
        task_type: task_type.into(),
        quality: quality.into(),
        variants: None,
        credits: whole(credits),
        tasks,
    };
    scene.context.drivers.as_mut().unwrap().prices = vec![
        price("image-to-3d", "high", 30, 40),
        price("retexture", "hd", 10, 30),
        price("text-to-3d-refine", "", 15, 12),
        price("text-to-3d-refine", "", 20, 90),
    ];
}

fn reset(scene: &mut Scene) {
    scene.notice.at = at("2026-11-30T23:10:00Z");
    let period = PlanPeriod { start: at("2026-10-31T23:00:00Z"), ..scene.draw.period.clone().unwrap() };
    let next = PlanPeriod { start: period.end, end: at("2026-12-31T23:00:00Z"), ..period.clone() };
    (scene.notice.period_start, scene.notice.period_end) = (next.start, Some(next.end));
    scene.draw.period = Some(next);
    scene.draw.fuel.as_mut().unwrap().left = whole(4120);
    scene.draw.fuel.as_mut().unwrap().as_of = at("2026-11-30T23:09:00Z");
    scene.draw.spent = Credits::ZERO;
    let (balance, _) = scene.assessment.balance.as_mut().unwrap();
    *balance =
        BalanceRecord { available: whole(4120), plan: Some(whole(4000)), purchased: Some(whole(120)), frozen: None };
    let raised = vec![PastAlert {
        rule: RuleName::Exhaustion,
        stage: Stage::Warning,
        since: at("2026-11-20T09:05:00Z"),
        ended_at: Some(at("2026-11-24T09:05:00Z")),
        is_firing: false,
        is_told: true,
    }];
    scene.context.drivers = None;
    scene.context.evidence.ended = Some(EndedPeriod { period, spent_on: drivers(), lapsed: Some(whole(310)), raised });
}

#[test]
fn each_rule_says_what_is_the_matter_for_every_reason() {
    for (rule, reasons) in TOLD {
        for why in reasons {
            let shown = of_rule(rule, *why).shown();
            let read = format!("Subject: {}\n\n{}", shown.subject, shown.text);
            insta::assert_snapshot!(format!("{rule}_{}", why.as_str()), read);
        }
    }
}

#[test]
fn each_letter_is_read_as_it_was_meant() {
    let named = |rule: RuleName, why: &Why| (format!("{rule} {why:?}"), of_rule(rule, *why).render());
    let mails = TOLD.iter().flat_map(|(rule, reasons)| reasons.iter().map(|why| named(*rule, why)));
    assert_parsed(&mails.collect::<Vec<_>>());
}

#[test]
fn every_mail_of_an_episode_has_one_subject_and_another_period_another() {
    for rule in RuleName::ALL {
        let subject = |why, end: &str| {
            let mut scene = of_rule(rule, why);
            scene.notice.period_end = Some(at(end));
            scene.shown().subject
        };
        let first = subject(Why::Opened, "2026-11-30T23:00:00Z");
        for why in Why::ALL.into_iter().filter(|_| rule != RuleName::PlanReset) {
            assert_eq!(subject(why, "2026-11-30T23:00:00Z"), first, "{rule} {why:?}");
            assert_ne!(subject(why, "2026-12-31T23:00:00Z"), first, "{rule} {why:?}");
        }
        assert!(first.contains("Art") && !first.contains('['), "{first}");
        let mut several = of_rule(rule, Why::Opened);
        several.context.names_account = true;
        assert!(several.shown().subject.contains("on studio"), "{rule}");
        // A prepaid account has no period to name.
        let mut prepaid = of_rule(rule, Why::Opened);
        prepaid.notice.period_end = None;
        prepaid.draw.period = None;
        let shown = prepaid.shown();
        assert!(!shown.subject.contains("until") && !shown.text.contains("the plan resets on"), "{}", shown.text);
    }
}

#[test]
fn every_rule_can_say_that_it_is_over() {
    // What is not told where nobody set it so reads well all the same.
    for (rule, words) in [
        (
            RuleName::UnusualSpend,
            "Resolved: the use of team Art is no longer unusual: 640 credits in the last 24 hours.",
        ),
        (
            RuleName::WastefulRetries,
            "Resolved: re-runs are no longer a large part of what team Art spends: 66 re-runs cost",
        ),
        (RuleName::CreditsWillLapse, "Resolved: only about 1,200 credits of team Art are still expected to lapse when"),
        (RuleName::PlanReset, "Resolved: the plan of team Art was reset on Tuesday 1 December, 00:00 (UTC+01:00)."),
    ] {
        let told = of_rule(rule, Why::Resolved).told();
        assert!(told.starts_with(words), "{told}");
        assert!(!told.contains("What you can do") && !told.contains("How to silence it"), "{told}");
    }
}

/// What it is about, the rule, why it is told, what is otherwise, what is said then, and what is not.
type Case<'a> = (&'a str, RuleName, Why, fn(&mut Scene), &'a [&'a str], &'a [&'a str]);

#[test]
fn each_letter_fits_what_is_known() {
    let cases: [Case; 24] = [
        (
            "it lasts",
            RuleName::LowBalance,
            Why::Opened,
            calm,
            &["until the reset on Tuesday 1 December", "Nothing for now: it is expected to last until the reset."],
            &["Not at the expected use"],
        ),
        (
            "too little history",
            RuleName::LowBalance,
            Why::Opened,
            |scene| {
                scene.draw.outlook = Outlook::TooLittleHistory { hours: 3, charges: 2, guess: None };
                scene.context.remedies.clear();
            },
            &[
                "There is too little history for a forecast. In the last 7 days it was about 163 credits a day; 92 credits a \
                 day would last until the reset.",
                "Use at most 92 credits a day: then it lasts until the reset.",
            ],
            &["gone around"],
        ),
        (
            "nothing left",
            RuleName::LowBalance,
            Why::Worsened,
            |scene| scene.draw.fuel.as_mut().unwrap().left = Credits::ZERO,
            &["team Art has no credits left of 4,000."],
            &["that is no more than"],
        ),
        (
            "a share of its own",
            RuleName::LowBalance,
            Why::Opened,
            |scene| {
                scene.draw.allowance = Some(whole(1500));
                let fuel = scene.draw.fuel.as_mut().unwrap();
                (fuel.limit, fuel.left) = (FuelLimit::Allowance, whole(280));
            },
            &[
                "has 280 credits left of its share of 1,500; that is no more than 20% (300 credits)",
                "the others on the account",
            ],
            &[],
        ),
        (
            "a budget",
            RuleName::LowBalance,
            Why::Opened,
            |scene| {
                scene.draw.fuel.as_mut().unwrap().limit = FuelLimit::Budget;
                scene.draw.period.as_mut().unwrap().provenance = Provenance::Budget;
            },
            &["of the budget of 4,000", "the platform goes on", "before the budget ends"],
            &["the plan resets"],
        ),
        (
            "a threshold in credits, prepaid",
            RuleName::LowBalance,
            Why::Opened,
            |scene| {
                scene.context.rules.low_balance.policy.warning =
                    vec![crate::domain::rule::Threshold::Credits(whole(900))];
                (scene.draw.period, scene.notice.period_end) = (None, None);
            },
            &["has 780 credits left; that is no more than 900 credits.", "Nothing refills it."],
            &["reset"],
        ),
        (
            "nothing like it before",
            RuleName::UnusualSpend,
            Why::Opened,
            |scene| {
                let recent = scene.draw.recent.as_mut().unwrap();
                (recent.usual, recent.busy) = (Credits::ZERO, Credits::ZERO);
                scene.draw.daily.clear();
            },
            &["compared with none on a usual day of the last four weeks", "with `fuelgauge announce`"],
            &["announce add"],
        ),
        (
            "announced, and more than that",
            RuleName::UnusualSpend,
            Why::Opened,
            |scene| scene.draw.recent.as_mut().unwrap().announced_factor = 1.5,
            &["3 times the second busiest of the last 28 days (times 1.5, which was announced)"],
            &[],
        ),
        (
            "on one of several accounts, of a team with a difficult name",
            RuleName::UnusualSpend,
            Why::Opened,
            |scene| {
                scene.context.names_account = true;
                scene.notice.key.team = TeamName::parse("O'Neill & co").unwrap();
            },
            &["fuelgauge announce add --team 'O'\\''Neill & co' --account studio \\ --factor 4 --from 2026-11-22"],
            &[],
        ),
        (
            "the period ends before a week is over",
            RuleName::UnusualSpend,
            Why::Opened,
            |scene| scene.notice.period_end = Some(at("2026-11-24T23:00:00Z")),
            &["--to 2026-11-24"],
            &[],
        ),
        (
            "few re-runs, all of one asset",
            RuleName::WastefulRetries,
            Why::Opened,
            |scene| scene.draw.reruns = Reruns { tasks: 13, credits: whole(300), most_attempts: 14 },
            &[
                "one asset of team Art took 14 attempts in this period. In all, 13 re-runs cost 300 credits (9% of what was spent).",
            ],
            &["second attempts"],
        ),
        (
            "tasks without a price",
            RuleName::WastefulRetries,
            Why::Opened,
            |scene| {
                scene.assessment.charges = ChargeSource::Balance;
                scene.draw.reruns = Reruns { tasks: 13, credits: Credits::ZERO, most_attempts: 14 };
            },
            &["In all, 13 re-runs."],
            &["They cost", "cost 0"],
        ),
        (
            "a full queue, nobody of the team in it",
            RuleName::StuckQueue,
            Why::Opened,
            |scene| {
                let (queue, _) = scene.assessment.queue.as_mut().unwrap();
                *queue = QueueRecord { waiting: 1, running: 9, limit: Some(10), oldest_waiting_at: None };
                scene.context.evidence.waiting.clear();
                scene.context.remedies.clear();
            },
            &[
                "1 task waits on studio; the queue is full, because only 10 may wait and run.",
                "no task is known to wait",
            ],
            &["Cancel"],
        ),
        (
            "a platform that does not say what comes back",
            RuleName::StuckQueue,
            Why::Opened,
            |scene| {
                scene.context.remedies.clear();
                scene.assessment.platform = "rodin".into();
            },
            &["status page of rodin", "whether their credits come back is not known of this platform"],
            &[],
        ),
        (
            "no forecast, and a platform that gives back",
            RuleName::StuckQueue,
            Why::Opened,
            |scene| scene.context.remedies.clear(),
            &["Cancel what is no longer needed: 150 credits come back."],
            &[],
        ),
        (
            "never read",
            RuleName::StaleData,
            Why::Opened,
            |scene| {
                for status in &mut scene.assessment.collectors {
                    status.last_success_at = None;
                }
            },
            &["the charges and the balance of studio were never read.", "Charges read never"],
            &["ago."],
        ),
        (
            "the queue alone",
            RuleName::StaleData,
            Why::Opened,
            |scene| {
                scene.assessment.collectors[0].collector = Collector::Queue;
                scene.assessment.collectors[1].last_success_at = Some(at("2026-11-22T13:00:00Z"));
            },
            &["the queue of studio is as of Sunday 22 November, 09:00", "\u{201c}Queue is stuck\u{201d}"],
            &["the balance of studio"],
        ),
        (
            "brought by people and scripts",
            RuleName::StaleData,
            Why::Opened,
            |scene| {
                scene.assessment.platform = String::new();
                scene.context.evidence.next_poll = None;
                scene.assessment.collectors.iter_mut().for_each(|status| status.last_failure = None);
            },
            &["Nothing was imported or pushed since.", "`fuelgauge import FILE --account studio`"],
            &["The next try"],
        ),
        (
            "a limit in credits, and some remain",
            RuleName::MissingRefund,
            Why::Resolved,
            |scene| {
                suspect(scene, Why::Opened);
                scene.context.rules.missing_refund.policy.minimum = whole(100);
            },
            &[
                "Resolved: 1 task of team Art with 30 credits in question remain, below the limit.",
                "from 100 credits on",
            ],
            &["For the platform's support"],
        ),
        (
            "without a page",
            RuleName::DoubleCharge,
            Why::Opened,
            |scene| scene.context.external_url = None,
            &["`fuelgauge export` has every task", "This task of ours was charged for twice (30 credits in all)"],
            &["https://"],
        ),
        (
            "nothing else known",
            RuleName::UnexplainedSpend,
            Why::Opened,
            |scene| {
                scene.assessment.unassigned.spent = Credits::ZERO;
                let draw = &mut scene.assessment.draws[0];
                (draw.queued, draw.pending) = (Queued::default(), Credits::ZERO);
                scene.context.evidence.balanced_since = None;
            },
            &["fallen by 145 credits more than its charges say."],
            &["What else is known"],
        ),
        (
            "no prices",
            RuleName::CreditsWillLapse,
            Why::Opened,
            |scene| scene.context.drivers.as_mut().unwrap().prices.clear(),
            &["1,200 credits are paid for and not used."],
            &["What they would buy", "×"],
        ),
        (
            "nothing known of the period before",
            RuleName::PlanReset,
            Why::Opened,
            |scene| scene.context.evidence.ended = None,
            &["The period before", "Nothing is known of it."],
            &["What was wasted", "Spent, period before"],
        ),
        (
            "a budget that was never in danger",
            RuleName::PlanReset,
            Why::Opened,
            |scene| {
                scene.draw.period.as_mut().unwrap().provenance = Provenance::Budget;
                let ended = scene.context.evidence.ended.as_mut().unwrap();
                ended.lapsed = None;
                ended.raised.clear();
            },
            &[
                "the budget of team Art began anew",
                "It was never said that the credits would run out before the budget's end.",
            ],
            &["lapsed", "the plan"],
        ),
    ];
    for (case, rule, why, change, expected, absent) in cases {
        let mut scene = of_rule(rule, why);
        change(&mut scene);
        let told = scene.told();
        for words in expected {
            assert!(told.contains(words), "{case}: {words}\n{told}");
        }
        for words in absent {
            assert!(!told.contains(words), "{case}: {words}\n{told}");
        }
        for never in ["NaN", "inf ", "..", " ,", "?."] {
            assert!(!told.replace("https://", "").contains(never), "{case}: {never}\n{told}");
        }
    }
}

/// Puts a word wherever one that others wrote can stand.
fn spoil(scene: &mut Scene, word: &str) {
    let text = || word.to_owned();
    if let Ok(team) = TeamName::parse(word) {
        scene.notice.key.team = team;
    }
    if let Ok(account) = AccountName::parse(word) {
        scene.notice.key.account = account;
        scene.context.names_account = true;
    }
    scene.assessment.platform = text();
    for status in &mut scene.assessment.collectors {
        status.last_failure = status.last_failure.as_ref().map(|_| (text(), text()));
    }
    let evidence = &mut scene.context.evidence;
    let drivers = [scene.context.drivers.as_mut(), evidence.last_day.as_mut()].into_iter().flatten();
    for drivers in drivers.chain(evidence.ended.as_mut().map(|ended| &mut ended.spent_on)) {
        drivers.totals.iter_mut().for_each(|row| (row.task_type, row.quality) = (text(), text()));
        drivers.retries.iter_mut().for_each(|row| row.task_type = text());
        drivers.spenders.iter_mut().for_each(|spender| spender.name = text());
        for asset in drivers.assets.iter_mut().chain(&mut drivers.most_repeated) {
            (asset.task_type, asset.quality, asset.project) = (text(), text(), Some(text()));
        }
        drivers.prices.iter_mut().for_each(|price| (price.task_type, price.quality) = (text(), text()));
    }
    if let Some(prices) = &mut scene.assessment.prices {
        let prices = std::sync::Arc::make_mut(prices);
        let sheet = std::sync::Arc::make_mut(&mut prices.sheet);
        (sheet.platform, sheet.source) = (text(), text());
        for drift in &mut prices.listed {
            (drift.charged.task_type, drift.charged.quality) = (text(), text());
        }
        prices.unlisted.iter_mut().for_each(|price| (price.task_type, price.quality) = (text(), text()));
    }
    for suspect in &mut scene.draw.suspects.newest {
        (suspect.task_id, suspect.task_type) = (text(), text());
    }
}

#[test]
fn foreign_words_stay_words_in_every_letter() {
    for (rule, reasons) in TOLD {
        let why = if reasons.contains(&Why::Repeated) { Why::Repeated } else { Why::Opened };
        let tags = |scene: &Scene| super::hostile::tags(&scene.shown().html);
        let ours = tags(&of_rule(rule, why));
        for word in HOSTILE {
            let what = format!("{rule}: {word:?}");
            let mut scene = of_rule(rule, why);
            spoil(&mut scene, word);
            assert_well_formed(&scene.render(), &what);
            let shown = scene.shown();
            assert!(!shown.subject.contains(['\r', '\n']), "{what}: {}", shown.subject);
            assert!(tags(&scene) <= ours, "{what}: only ours are tags");
            assert!(!shown.text.contains("49") || !word.contains("7 * 7"), "{what}");
            for deceptive in ['\u{202e}', '\u{ad}', '\u{e0041}', '\u{200b}', '\u{feff}', '\0', '\u{85}', '\u{2028}'] {
                assert!(!shown.text.contains(deceptive) && !shown.html.contains(deceptive), "{what}");
            }
        }
    }
}

#[test]
fn endless_words_still_fit() {
    for (rule, _) in TOLD {
        let mut scene = of_rule(rule, Why::Opened);
        spoil(&mut scene, &"endless ".repeat(2000));
        assert_well_formed(&scene.render(), rule.as_str());
    }
}
