use super::*;
use crate::domain::alert::Stage;
use crate::domain::{
    Collector, CollectorStatus, FuelLimit, Outlook, QueueRecord, RecentUse, Reruns, SuspectCharge, Suspects, Suspicion,
};
use crate::metrics::sample;

const CLEAR: Finding = Finding::Clear;
const UNKNOWN: Finding = Finding::Unknown;

fn holds(stage: Stage) -> Finding {
    Finding::Holds(stage.into())
}

fn undecided(stage: Stage) -> Finding {
    Finding::Undecided(stage.into())
}

/// An account with one draw: 1,000 credits of November's plan, 500 of them left, no forecast.
fn scene() -> (AccountAssessment, DrawAssessment) {
    let draw = sample::draw(sample::key("studio", "art"), 1000, 500, FuelLimit::Balance, Outlook::UnknownBalance);
    (sample::account("studio", "meshy"), draw)
}

fn credits(whole: i64) -> Credits {
    Credits::from_whole(whole)
}

/// A name, what is changed about the scene, and the answer.
type Case<'a> = (&'a str, &'a dyn Fn(&mut AccountAssessment, &mut DrawAssessment), Finding);

/// Asks a rule about the scene as each case has changed it.
fn ask<P: Rule>(policy: &P, cases: &[Case<'_>]) {
    for (name, change, expected) in cases {
        let (mut account, mut draw) = scene();
        change(&mut account, &mut draw);
        assert_eq!(policy.evaluate(&account, &draw).finding, *expected, "{name}");
    }
}

fn grow_stale(account: &mut AccountAssessment, collector: Collector, hours: i64) {
    let at = account.at;
    let status = account.collectors.iter_mut().find(|status| status.collector == collector).unwrap();
    status.last_success_at = Some(at - SignedDuration::from_hours(hours));
}

#[test]
fn thresholds_need_a_whole_only_for_shares() {
    let hundred = Credits::from_whole(100);
    for (threshold, capacity, expected) in [
        (Threshold::Share(0.2), Some(hundred), Some(Credits::from_whole(20))),
        (Threshold::Share(0.2), None, None),
        (Threshold::Share(0.2), Some(Credits::ZERO), None),
        (Threshold::Credits(hundred), None, Some(hundred)),
    ] {
        assert_eq!(threshold.of(capacity), expected, "{threshold:?} of {capacity:?}");
    }
}

#[test]
fn every_rule_has_a_policy_for_its_alert() {
    let rules = Rules::default();
    let start = Timestamp::UNIX_EPOCH;
    let month = Some((start, start + SignedDuration::from_hours(30 * 24)));
    for rule in RuleName::ALL {
        assert!(rules.is_enabled(rule), "{rule}");
        let policy = rules.alert_policy(rule, month, SignedDuration::from_hours(24));
        assert_eq!(policy.sends_plan_reset, rule.lifetime() == Lifetime::PeriodTold, "{rule}");
        assert!(policy.hold_for >= SignedDuration::ZERO && policy.keep_firing_for >= SignedDuration::ZERO, "{rule}");
        // Who is told for information does not hear that it is over.
        assert!(!policy.sends_resolved || rule.stages().iter().any(|stage| *stage > Stage::Info), "{rule}");
    }
    let exhaustion = rules.alert_policy(RuleName::Exhaustion, month, SignedDuration::from_hours(24));
    assert_eq!(exhaustion.keep_firing_for, SignedDuration::from_hours(24));
    assert_eq!(exhaustion.repeat_if_moved, Moved::By(72 * 3_600_000));
}

#[test]
fn a_rule_that_is_switched_off_is_not_asked() {
    let mut rules = Rules::default();
    rules.low_balance.is_enabled = false;
    assert!(!rules.is_enabled(RuleName::LowBalance) && rules.is_enabled(RuleName::Exhaustion));
}

#[test]
fn low_balance_answers_as_the_table_says() {
    let several = LowBalancePolicy {
        warning: vec![Threshold::Share(0.2), Threshold::Share(0.5), Threshold::Credits(credits(300))],
        critical: vec![Threshold::Share(0.05)],
    };
    let left = |left: i64| {
        move |_: &mut AccountAssessment, draw: &mut DrawAssessment| {
            draw.fuel.as_mut().unwrap().left = credits(left);
        }
    };
    let step = |stage, step| Finding::Holds(Level { stage, step });
    ask(
        &several,
        &[
            ("plenty", &left(551), CLEAR),
            ("just above the highest threshold", &left(550), CLEAR),
            ("too near to call it over", &left(549), undecided(Stage::Warning)),
            ("at the highest", &left(500), step(Stage::Warning, 0)),
            ("at the credits", &left(300), step(Stage::Warning, 1)),
            ("at the lowest warning", &left(200), step(Stage::Warning, 2)),
            ("critical", &left(50), holds(Stage::Critical)),
            ("none", &left(0), holds(Stage::Critical)),
            ("below none", &left(-5), holds(Stage::Critical)),
            ("an old reading", &|_, draw| draw.fuel.as_mut().unwrap().fresh = false, UNKNOWN),
            ("no reading", &|_, draw| draw.fuel = None, UNKNOWN),
        ],
    );
    let prepaid = |_: &mut AccountAssessment, draw: &mut DrawAssessment| {
        draw.period = None;
        draw.fuel.as_mut().unwrap().left = credits(40);
    };
    ask(&LowBalancePolicy::default(), &[("a share of what nobody knows", &prepaid, UNKNOWN)]);
    let absolute = LowBalancePolicy { warning: vec![Threshold::Credits(credits(50))], critical: Vec::new() };
    ask(&absolute, &[("credits need no whole", &prepaid, holds(Stage::Warning))]);
    ask(&LowBalancePolicy { warning: Vec::new(), critical: Vec::new() }, &[("no threshold", &left(0), UNKNOWN)]);
}

#[test]
fn unusual_spend_answers_as_the_table_says() {
    let usual = RecentUse {
        net: credits(60),
        charges: 12,
        days: 28,
        busy: credits(50),
        usual: credits(30),
        announced_factor: 1.0,
        announced_credits: Credits::ZERO,
    };
    let day = |net: i64, charges: u32, change: fn(&mut RecentUse)| {
        let usual = usual.clone();
        move |_: &mut AccountAssessment, draw: &mut DrawAssessment| {
            let mut recent = RecentUse { net: credits(net), charges, ..usual.clone() };
            change(&mut recent);
            draw.recent = Some(recent);
        }
    };
    let same = |_: &mut RecentUse| ();
    ask(
        &UnusualSpendPolicy::default(),
        &[
            ("a usual day", &day(60, 12, same), CLEAR),
            ("nothing", &day(0, 0, same), CLEAR),
            ("near it", &day(113, 12, same), undecided(Stage::Warning)),
            ("three times the busy day", &day(150, 12, same), holds(Stage::Warning)),
            ("one large task", &day(150, 9, same), undecided(Stage::Warning)),
            ("two weeks of history", &day(150, 12, |recent| recent.days = 14), holds(Stage::Warning)),
            ("less", &day(150, 12, |recent| recent.days = 13), UNKNOWN),
            ("no charge ever", &|_, draw| draw.recent = None, UNKNOWN),
            ("little of the whole", &day(45, 12, |recent| recent.busy = credits(5)), undecided(Stage::Warning)),
            ("enough of the whole", &day(50, 12, |recent| recent.busy = credits(5)), holds(Stage::Warning)),
            ("after weeks of rest", &day(50, 12, |recent| recent.busy = Credits::ZERO), holds(Stage::Warning)),
            (
                "more people were announced",
                &day(299, 40, |recent| recent.announced_factor = 2.0),
                undecided(Stage::Warning),
            ),
            ("and more than that", &day(300, 40, |recent| recent.announced_factor = 2.0), holds(Stage::Warning)),
            (
                "a batch was announced",
                &day(249, 40, |recent| recent.announced_credits = credits(100)),
                undecided(Stage::Warning),
            ),
            (
                "and more than that",
                &day(250, 40, |recent| recent.announced_credits = credits(100)),
                holds(Stage::Warning),
            ),
            (
                "old charges",
                &|account, draw| {
                    day(150, 12, same)(account, draw);
                    grow_stale(account, Collector::Charges, 5);
                },
                UNKNOWN,
            ),
        ],
    );
}

#[test]
fn wasteful_retries_answers_as_the_table_says() {
    let reruns = |tasks: u64, net: i64, most_attempts: u64| {
        move |_: &mut AccountAssessment, draw: &mut DrawAssessment| {
            (draw.spent, draw.reruns) = (credits(500), Reruns { tasks, credits: credits(net), most_attempts });
        }
    };
    ask(
        &WastefulRetriesPolicy::default(),
        &[
            ("none", &reruns(0, 0, 0), CLEAR),
            ("some", &reruns(20, 100, 4), CLEAR),
            ("near it", &reruns(20, 161, 4), undecided(Stage::Warning)),
            ("two fifths", &reruns(20, 200, 4), holds(Stage::Warning)),
            ("few, and dear", &reruns(9, 400, 4), CLEAR),
            ("an asset that does not succeed", &reruns(11, 20, 12), holds(Stage::Warning)),
            ("all given back", &reruns(20, 0, 4), CLEAR),
            ("nothing spent", &|_, draw| (draw.spent, draw.reruns.tasks) = (Credits::ZERO, 30), CLEAR),
            ("old charges", &|account, _| grow_stale(account, Collector::Charges, 5), UNKNOWN),
        ],
    );
}

#[test]
fn stuck_queue_answers_as_the_table_says() {
    let queue = |waiting: u32, running: u32, limit: Option<u32>, minutes: Option<i64>| {
        move |account: &mut AccountAssessment, _: &mut DrawAssessment| {
            let oldest_waiting_at = minutes.map(|minutes| account.at - SignedDuration::from_mins(minutes));
            account.queue = Some((QueueRecord { waiting, running, limit, oldest_waiting_at }, account.at));
        }
    };
    ask(
        &StuckQueuePolicy::default(),
        &[
            ("no queue told", &|_, _| (), UNKNOWN),
            ("empty", &queue(0, 0, Some(10), None), CLEAR),
            ("moving", &queue(5, 3, Some(10), Some(119)), CLEAR),
            ("two hours", &queue(5, 3, Some(10), Some(120)), holds(Stage::Warning)),
            ("full", &queue(7, 3, Some(10), Some(5)), holds(Stage::Warning)),
            ("full of what runs", &queue(0, 10, Some(10), None), CLEAR),
            ("no limit told", &queue(700, 3, None, Some(5)), CLEAR),
            ("the platform's clock is ahead", &queue(5, 3, None, Some(-90)), CLEAR),
            (
                "an old reading",
                &|account, draw| {
                    queue(5, 3, Some(10), Some(300))(account, draw);
                    grow_stale(account, Collector::Queue, 2);
                },
                UNKNOWN,
            ),
        ],
    );
}

#[test]
fn stale_data_answers_as_the_table_says() {
    let never_read = CollectorStatus {
        collector: Collector::Plan,
        last_attempt_at: Some(sample::now()),
        last_success_at: None,
        last_duration_seconds: None,
        last_failure: Some(("server".into(), "status 500".into())),
    };
    ask(
        &StaleDataPolicy::default(),
        &[
            ("all fresh", &|_, _| (), CLEAR),
            ("the queue is an hour old", &|account, _| grow_stale(account, Collector::Queue, 1), holds(Stage::Warning)),
            ("a day old", &|account, _| grow_stale(account, Collector::Charges, 24), holds(Stage::Critical)),
            ("never read", &|account, _| account.collectors.push(never_read.clone()), holds(Stage::Warning)),
            (
                "not tried yet",
                &|account, _| account.collectors.push(CollectorStatus { last_attempt_at: None, ..never_read.clone() }),
                CLEAR,
            ),
            ("nothing to read", &|account, _| account.collectors.clear(), UNKNOWN),
        ],
    );
}

#[test]
fn suspect_charges_answer_as_the_table_says() {
    let suspect = |suspicion, amount: i64| SuspectCharge {
        task_id: "task".into(),
        task_type: "text-to-3d".into(),
        created_at: sample::now(),
        suspicion,
        credits: credits(amount),
    };
    let suspects = |found: &[(Suspicion, i64)]| {
        let suspects = Suspects::from_iter(found.iter().map(|(suspicion, amount)| suspect(*suspicion, *amount)));
        move |_: &mut AccountAssessment, draw: &mut DrawAssessment| draw.suspects = suspects.clone()
    };
    use Suspicion::{DoubleCharge, ExcessRefund, MissingRefund};
    let others = suspects(&[(DoubleCharge, 50), (ExcessRefund, 9)]);
    let both = suspects(&[(MissingRefund, 20), (MissingRefund, 5), (DoubleCharge, 3)]);
    ask(
        &MissingRefundPolicy::default(),
        &[
            ("none", &|_, _| (), CLEAR),
            ("others", &others, CLEAR),
            ("two", &both, holds(Stage::Warning)),
            (
                "old charges",
                &|account, draw| {
                    both(account, draw);
                    grow_stale(account, Collector::Charges, 5);
                },
                UNKNOWN,
            ),
        ],
    );
    ask(&MissingRefundPolicy { minimum: credits(26) }, &[("too little to speak of", &both, CLEAR)]);
    ask(&DoubleChargePolicy::default(), &[("some", &others, holds(Stage::Warning)), ("none", &|_, _| (), CLEAR)]);
    ask(&DoubleChargePolicy { minimum: credits(4) }, &[("too little to speak of", &both, CLEAR)]);
}

#[test]
fn unexplained_spend_answers_as_the_table_says() {
    let drift = |drift: Option<i64>| {
        move |account: &mut AccountAssessment, _: &mut DrawAssessment| account.unexplained = drift.map(credits)
    };
    ask(
        &UnexplainedSpendPolicy::default(),
        &[
            ("one balance read", &drift(None), UNKNOWN),
            ("it fits", &drift(Some(0)), CLEAR),
            ("a little", &drift(Some(-4)), CLEAR),
            ("more", &drift(Some(-5)), undecided(Stage::Warning)),
            ("a hundredth of the plan", &drift(Some(-10)), holds(Stage::Warning)),
            (
                "what runs explains it",
                &|account, draw| {
                    drift(Some(-30))(account, draw);
                    account.queued.credits = credits(26);
                },
                CLEAR,
            ),
            (
                "what runs may explain it",
                &|account, draw| {
                    drift(Some(-30))(account, draw);
                    account.queued.unknown_tasks = 1;
                },
                undecided(Stage::Warning),
            ),
            ("more left than charges say", &drift(Some(300)), CLEAR),
            (
                "an old balance",
                &|account, draw| {
                    drift(Some(-300))(account, draw);
                    grow_stale(account, Collector::Balance, 5);
                },
                UNKNOWN,
            ),
            (
                "an unknown whole",
                &|account, draw| {
                    drift(Some(-10))(account, draw);
                    draw.period = None;
                },
                holds(Stage::Warning),
            ),
        ],
    );
}

#[test]
fn credits_will_lapse_answers_as_the_table_says() {
    let unused = |unused: i64, day: i8| {
        move |account: &mut AccountAssessment, draw: &mut DrawAssessment| {
            account.at = format!("2026-11-{day:02}T12:00:00Z").parse().unwrap();
            draw.outlook = sample::forecast(0.01, 10.0, unused, [None; 3]);
        }
    };
    ask(
        &CreditsWillLapsePolicy::default(),
        &[
            ("no forecast", &|_, _| (), UNKNOWN),
            ("too early", &unused(500, 23), CLEAR),
            ("a fifth, in the last week", &unused(200, 24), holds(Stage::Info)),
            ("less", &unused(199, 24), undecided(Stage::Info)),
            ("little", &unused(99, 24), CLEAR),
            ("nothing", &unused(0, 29), CLEAR),
            (
                "no reset",
                &|account, draw| {
                    unused(500, 29)(account, draw);
                    draw.period = None;
                },
                UNKNOWN,
            ),
        ],
    );
}

#[test]
fn plan_reset_answers_as_the_table_says() {
    let at = |time: &'static str| {
        move |account: &mut AccountAssessment, draw: &mut DrawAssessment| {
            account.at = time.parse().unwrap();
            let day = "2026-10-01T00:00:00Z".parse().unwrap();
            draw.daily = vec![crate::domain::DailyUse { day, net: credits(3) }];
        }
    };
    // November begins at 23:00 UTC of the day before, in Berlin.
    ask(
        &PlanResetPolicy::default(),
        &[
            ("the first second", &at("2026-10-31T23:00:00Z"), holds(Stage::Info)),
            ("the first day", &at("2026-11-01T22:59:59Z"), holds(Stage::Info)),
            ("no news any more", &at("2026-11-01T23:00:00Z"), CLEAR),
            ("nothing before it", &|account, _| account.at = "2026-11-01T00:00:00Z".parse().unwrap(), CLEAR),
            ("no period", &|_, draw| draw.period = None, UNKNOWN),
        ],
    );
    let long = PlanResetPolicy { minimum_period: SignedDuration::from_hours(40 * 24) };
    ask(&long, &[("a short period", &at("2026-11-01T00:00:00Z"), CLEAR)]);
}

#[test]
fn price_drift_answers_as_the_table_says() {
    let prices = |team: &'static str, kinds: &'static [sample::Compared<'static>]| {
        move |account: &mut AccountAssessment, _: &mut DrawAssessment| {
            account.prices = Some(sample::prices(team, kinds))
        }
    };
    let dearer = prices("art", &[("a", "", 1, [20, 20], 25, 12)]);
    ask(
        &PriceDriftPolicy::default(),
        &[
            ("no sheet", &|_, _| (), CLEAR),
            ("as listed", &prices("art", &[("a", "", 1, [20, 20], 20, 12), ("b", "", 1, [5, 10], 10, 9)]), CLEAR),
            ("dearer", &dearer, holds(Stage::Warning)),
            ("cheaper", &prices("art", &[("a", "", 1, [20, 20], 15, 12)]), holds(Stage::Info)),
            (
                "one dearer, one cheaper",
                &prices("art", &[("a", "", 1, [20, 20], 2, 900), ("b", "", 1, [5, 10], 11, 1)]),
                holds(Stage::Warning),
            ),
            ("listed as free", &prices("art", &[("a", "", 1, [0, 0], 1, 12)]), holds(Stage::Warning)),
            ("another team's", &prices("props", &[("a", "", 1, [20, 20], 25, 12)]), CLEAR),
            (
                "old charges",
                &|account, draw| {
                    dearer(account, draw);
                    grow_stale(account, Collector::Charges, 5);
                },
                UNKNOWN,
            ),
        ],
    );
    ask(&PriceDriftPolicy { tolerance: 0.25 }, &[("a quarter is let pass", &dearer, CLEAR)]);
}

#[test]
fn what_a_price_makes_in_a_period_follows_from_the_launches_of_a_month() {
    // November has 30 days; the launches are of as many, or of as long as the team is known.
    for (days, period_days, expected) in
        [(40, Some(30), 60), (15, Some(30), 120), (2, Some(30), 257), (40, None, 60), (40, Some(7), 14)]
    {
        let (mut account, mut draw) = scene();
        account.prices = Some(sample::prices("art", &[("a", "", 1, [20, 20], 25, 12)]));
        let day = account.at - SignedDuration::from_hours(24 * days);
        draw.daily = vec![crate::domain::DailyUse { day, net: credits(3) }];
        match (&mut draw.period, period_days) {
            (Some(period), Some(length)) => period.end = period.start + SignedDuration::from_hours(24 * length),
            (period, _) => *period = None,
        }
        let drifts = PriceDriftPolicy::default().drifts(&account, &draw);
        assert_eq!(
            (drifts[0].extra.as_f64().round(), drifts[0].launches),
            (f64::from(expected), 12),
            "{days} {period_days:?}"
        );
    }
}
