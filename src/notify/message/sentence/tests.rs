//! What each rule says in one sentence, with and without figures.

use super::*;
use crate::domain::{CollectorStatus, FuelLimit, QueueRecord, RecentUse, Reruns, SuspectCharge, Suspects, TeamName};
use crate::metrics::sample;

/// A team with something to say of every rule.
fn scene() -> (AccountAssessment, DrawAssessment) {
    let suspect = |suspicion, amount| SuspectCharge { suspicion, ..sample::suspect("018f", "rig", suspicion, amount) };
    let draw = DrawAssessment {
        recent: Some(RecentUse {
            net: sample::credits(820),
            charges: 31,
            days: 21,
            busy: sample::credits(210),
            usual: sample::credits(90),
            announced_factor: 1.0,
            announced_credits: Credits::ZERO,
        }),
        reruns: Reruns { tasks: 12, credits: sample::credits(340), most_attempts: 14 },
        suspects: Suspects::from_iter([suspect(Suspicion::MissingRefund, 90), suspect(Suspicion::DoubleCharge, 60)]),
        ..sample::draw(
            sample::key("studio", "props"),
            4000,
            120,
            FuelLimit::Balance,
            sample::forecast(0.84, 45.0, 700, [None, Some("2026-11-26T12:40:00Z"), None]),
        )
    };
    let queue = QueueRecord {
        waiting: 12,
        running: 8,
        limit: Some(20),
        oldest_waiting_at: Some(sample::now() - jiff::SignedDuration::from_hours(3)),
    };
    let account = AccountAssessment {
        queue: Some((queue, sample::now())),
        unexplained: Some(sample::credits(-45)),
        prices: Some(sample::prices("props", &[("rig", "high", 2, [20, 20], 25, 30), ("remesh", "", 1, [5, 8], 9, 4)])),
        balance: Some(sample::balance(120)),
        collectors: vec![
            sample::collector(Collector::Charges, 3),
            sample::collector(Collector::Balance, 3),
            sample::collector(Collector::Queue, 3),
            sample::collector(Collector::Plan, 420),
        ],
        ..sample::account("studio", "meshy")
    };
    (account, draw)
}

#[test]
fn each_rule_says_what_it_saw() {
    let (account, draw) = scene();
    for (rule, expected) in [
        (RuleName::StaleData, "plan last read 7 hours ago"),
        (
            RuleName::Exhaustion,
            "the credits run out before the reset with a probability of 84%, expected on Thursday 26 November, 14:00 \
             (UTC+01:00); left: 120 credits; the reset: Tuesday 1 December, 00:00 (UTC+01:00)",
        ),
        (RuleName::LowBalance, "left: 120 credits, 3% of 4,000"),
        (RuleName::UnusualSpend, "820 credits in the last 24 hours; the second busiest of the 21 days before had 210"),
        (RuleName::WastefulRetries, "12 re-runs took 340 of 3,880 credits; most attempts at one asset: 14"),
        (RuleName::StuckQueue, "waiting: 12, the oldest for 3 hours; running: 8, of at most 20"),
        (RuleName::MissingRefund, "1 task, 90 credits failed and not given back"),
        (RuleName::DoubleCharge, "1 task, 60 credits charged again"),
        (RuleName::UnexplainedSpend, "45 credits missing that no charge explains"),
        (RuleName::PriceDrift, "a launch of rig (high) with 2 variants costs 25 credits, listed: 20; and 1 kind more"),
        (RuleName::CreditsWillLapse, "about 700 credits will lapse unused on Tuesday 1 December, 00:00 (UTC+01:00)"),
        (
            RuleName::PlanReset,
            "a new plan period began on Sunday 1 November, 00:00 (UTC+01:00); it ends on Tuesday 1 December, 00:00 \
             (UTC+01:00)",
        ),
    ] {
        assert_eq!(description(rule, None, &account, &draw), format!("Team props on studio: {expected}."), "{rule}");
        let over = description(rule, Some(sample::at("2026-11-22T10:30:00Z")), &account, &draw);
        assert_eq!(over, "Team props on studio: over since Sunday 22 November, 11:30 (UTC+01:00).");
        let summary = summary(rule);
        assert!(summary.ends_with('.') && summary.starts_with(char::is_uppercase), "{summary}");
    }
}

#[test]
fn what_is_not_known_is_said_to_be_not_known() {
    let (mut account, mut draw) = scene();
    let stale = |kind| CollectorStatus { ..sample::collector(kind, 60) };
    account.collectors = [Collector::Charges, Collector::Balance, Collector::Queue].map(stale).into();
    if let Some(fuel) = &mut draw.fuel {
        fuel.fresh = false;
    }
    draw.outlook = crate::domain::Outlook::UnknownBalance;
    for rule in RuleName::ALL.into_iter().filter(|rule| *rule != RuleName::StaleData && *rule != RuleName::PlanReset) {
        let told = description(rule, None, &account, &draw);
        assert_eq!(told, "Team props on studio: the figures are not known at the moment.", "{rule}");
    }
    account.collectors[0].last_success_at = None;
    let told = description(RuleName::StaleData, None, &account, &draw);
    assert_eq!(told, "Team props on studio: charges never read.");
}

#[test]
fn an_empty_tank_is_no_chance() {
    let (account, mut draw) = scene();
    draw.fuel.as_mut().unwrap().left = Credits::ZERO;
    let told = description(RuleName::Exhaustion, None, &account, &draw);
    let expected = "no credits are left; the reset is Tuesday 1 December, 00:00 (UTC+01:00)";
    assert_eq!(told, format!("Team props on studio: {expected}."));
}

#[test]
fn names_cannot_play_tricks() {
    let (account, mut draw) = scene();
    draw.key.team = TeamName::parse("a\u{ad}<b>{{x}}").unwrap();
    assert!(description(RuleName::LowBalance, None, &account, &draw).starts_with("Team a\u{fffd}<b>{{x}} on studio: "));
}
