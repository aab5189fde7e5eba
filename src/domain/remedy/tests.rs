use super::*;
use crate::domain::assessment::FuelLimit;
use crate::domain::forecast::UsageState;
use crate::domain::ledger::HourlyUse;

const DAY: i64 = 86_400;

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

fn day(days: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_400 / DAY * DAY + days * DAY).unwrap()
}

/// A team that uses `a_day` credits each day, evenly over its hours, for ninety days up to day 0.
fn steady(a_day: i64) -> UsageState {
    let first = day(-90).as_second() / 3600;
    let net = Credits::from_micros(a_day * 1_000_000 / 24);
    let rows = (0..90 * 24).map(|hour| HourlyUse { hour: first + hour, net, charges: 2 });
    let mut state = UsageState::default();
    rows.for_each(|row| state.push(row).unwrap());
    state.advance_to(day(0).as_second() / 3600);
    state
}

fn price(task_type: &str, quality: &str, variants: Option<u32>, credits: i64, tasks: u64) -> Price {
    Price { task_type: task_type.into(), quality: quality.into(), variants, credits: whole(credits), tasks }
}

fn spent_row(task_type: &str, quality: &str, charged: i64) -> TotalsRow {
    TotalsRow { task_type: task_type.into(), quality: quality.into(), charged: whole(charged), ..TotalsRow::default() }
}

/// Spent on image-to-3d in two qualities, with four variants most of the time.
fn drivers() -> Drivers {
    let rerun = |credits| RetryRow {
        task_type: "image-to-3d".into(),
        kind: RetryKind::Rerun,
        tasks: 9,
        credits: whole(credits),
    };
    Drivers {
        totals: vec![
            spent_row("image-to-3d", "high", 1600),
            spent_row("image-to-3d", "low", 200),
            spent_row("rig", "", 200),
        ],
        retries: vec![rerun(300)],
        prices: vec![
            price("image-to-3d", "high", Some(2), 40, 5),
            price("image-to-3d", "high", Some(4), 80, 17),
            price("image-to-3d", "high", Some(4), 90, 1),
            price("image-to-3d", "low", Some(4), 40, 5),
            price("rig", "", None, 5, 40),
        ],
        ..Drivers::default()
    }
}

/// Twenty days before the reset, with `left` credits for a team that uses a hundred a day.
struct Case {
    state: UsageState,
    fuel: Fuel,
    drivers: Drivers,
    waiting: Vec<Waiting>,
    platform: &'static str,
    own_part: Option<f64>,
}

impl Case {
    fn with(left: i64) -> Case {
        Case {
            state: steady(100),
            fuel: Fuel { left: whole(left), limit: FuelLimit::Balance, as_of: day(0), fresh: true },
            drivers: drivers(),
            waiting: Vec::new(),
            platform: "meshy",
            own_part: Some(1.0),
        }
    }

    fn input(&self) -> ForecastInput<'_> {
        ForecastInput {
            state: &self.state,
            now: day(0),
            period: Some((day(-10), day(20))),
            remaining: Some(self.fuel.left),
            granted: None,
            before: None,
            announced: Announced::default(),
        }
    }

    fn question<'a>(&'a self, limits: &'a [Limit<'a>]) -> Question<'a> {
        Question {
            limits,
            fuel: &self.fuel,
            end: day(20),
            drivers: &self.drivers,
            waiting: &self.waiting,
            platform: self.platform,
        }
    }

    fn remedies(&self) -> Vec<Remedy> {
        remedies(&self.question(&[Limit { input: self.input(), own_part: self.own_part }]))
    }

    /// One of all that would help, whether or not it is among those that are told.
    fn candidate(&self, is_it: impl Fn(&Measure) -> bool) -> Option<Remedy> {
        let limits = [Limit { input: self.input(), own_part: self.own_part }];
        self.question(&limits).candidates().into_iter().find(|remedy| is_it(&remedy.measure))
    }

    fn before(&self) -> Forecast {
        forecast(&self.input()).forecast().unwrap().clone()
    }
}

/// Within some parts in a hundred.
fn is_about(found: Credits, expected: f64, percent: f64) -> bool {
    (found.as_f64() - expected).abs() <= expected * percent / 100.0
}

fn days_until(at: Timestamp) -> f64 {
    at.duration_since(day(0)).as_secs_f64() / DAY as f64
}

#[test]
fn a_share_less_lasts_longer_by_as_much() {
    let mut case = Case::with(1200);
    let before = case.before();
    let reruns = case.candidate(|measure| *measure == Measure::PauseReruns).unwrap();
    // 300 of 2,000 credits were re-runs: 15 % of what is expected, and so many days become that many divided by 0.85.
    assert!(is_about(reruns.credits, before.expected_use.as_f64() * 0.15, 3.0), "{reruns:?} {before:?}");
    let [lasted, lasts] = [before.run_out.p50, reruns.run_out].map(|run_out| days_until(run_out.unwrap()));
    assert!((lasts - lasted / 0.85).abs() < 0.5, "{lasted} {lasts}");
    assert!(reruns.probability < before.probability, "{reruns:?} {before:?}");

    case.own_part = Some(0.5);
    let part = case.candidate(|measure| *measure == Measure::PauseReruns).unwrap();
    let half = reruns.credits.as_f64() / 2.0;
    assert!(is_about(part.credits, half, 3.0), "half of the use is others': {part:?}");
    case.own_part = None;
    let is_of_all = |measure: &Measure| matches!(measure, Measure::SlowDown { .. } | Measure::TopUp { .. });
    assert_eq!(case.candidate(|measure| !is_of_all(measure)), None);
    assert!(case.candidate(is_of_all).is_some());
}

#[test]
fn half_as_many_reruns_save_half() {
    let case = Case::with(1200);
    let limits = [Limit { input: case.input(), own_part: Some(1.0) }];
    let [paused, halved] = &fewer_reruns(&case.question(&limits))[..] else { panic!("two measures") };
    assert_eq!((&paused.measure, &halved.measure), (&Measure::PauseReruns, &Measure::HalveReruns));
    assert!(is_about(halved.credits, paused.credits.as_f64() / 2.0, 5.0), "{paused:?} {halved:?}");
    assert!(halved.run_out < paused.run_out && halved.run_out > case.before().run_out.p50, "{paused:?} {halved:?}");
    let none = Case { drivers: Drivers { retries: Vec::new(), ..drivers() }, ..Case::with(1200) };
    assert_eq!(fewer_reruns(&none.question(&limits)), []);
}

#[test]
fn what_lasts_comes_first_and_costs_nothing_if_it_can() {
    let kinds = |remedies: Vec<Remedy>| -> Vec<&'static str> {
        let kind = |remedy: &Remedy| match remedy.measure {
            Measure::SlowDown { .. } => "slow down",
            Measure::PauseReruns => "no re-runs",
            Measure::HalveReruns => "fewer re-runs",
            Measure::LaunchHalf { .. } => "half",
            Measure::FewerVariants { .. } => "variants",
            Measure::OtherQuality { .. } => "quality",
            Measure::CancelWaiting { .. } => "cancel",
            Measure::TopUp { .. } => "top up",
        };
        remedies.iter().map(kind).collect()
    };
    // Two fifths less last on their own, three twentieths do not.
    assert_eq!(kinds(Case::with(1200).remedies()), ["quality", "half", "variants", "slow down", "top up"]);
    assert_eq!(kinds(Case::with(700).remedies()), ["slow down", "top up", "quality", "half", "variants"]);
    let mut calm = Case::with(1200);
    calm.drivers = Drivers::default();
    assert_eq!(kinds(calm.remedies()), ["slow down", "top up"]);
    assert_eq!(
        kinds(Case::with(9000).remedies()),
        ["quality", "half", "variants", "no re-runs"],
        "nothing that is not needed"
    );
    let mut empty = Case::with(0);
    assert_eq!(kinds(empty.remedies()), ["top up"]);
    empty.waiting = vec![waiting(2, 60, 0)];
    assert_eq!(kinds(empty.remedies()), ["top up", "cancel"]);
}

#[test]
fn fewer_variants_cost_what_they_did_cost() {
    let case = Case::with(1500);
    let fewer = case.candidate(|measure| matches!(measure, Measure::FewerVariants { .. })).unwrap();
    let (task_type, quality) = ("image-to-3d".to_owned(), "high".to_owned());
    assert_eq!(fewer.measure, Measure::FewerVariants { task_type, quality, from: 4, to: 2 });
    // 1,450 credits with four variants at 80, half of it at 40: 725 of 2,000.
    let expected = case.before().expected_use.as_f64() * 725.0 / 2000.0;
    assert!(is_about(fewer.credits, expected, 3.0), "{fewer:?}, {expected}");

    for (name, prices) in [
        ("never with fewer", vec![price("a", "", Some(4), 80, 20)]),
        ("too seldom with fewer", vec![price("a", "", Some(2), 40, 2), price("a", "", Some(4), 80, 20)]),
        ("at the same price", vec![price("a", "", Some(2), 80, 9), price("a", "", Some(4), 80, 20)]),
        ("variants are not told", vec![price("a", "", None, 40, 9), price("a", "", None, 80, 20)]),
    ] {
        assert_eq!(fewer_variants(&Drivers { prices, ..drivers() }), None, "{name}");
    }
    let prices = vec![price("a", "", Some(3), 60, 9), price("a", "", Some(4), 80, 20)];
    let found = fewer_variants(&Drivers { prices, ..drivers() }).unwrap().0;
    assert!(matches!(found, Measure::FewerVariants { from: 4, to: 3, .. }), "not half, but fewer: {found:?}");
}

#[test]
fn another_quality_costs_what_it_did_cost() {
    let found = other_quality(&drivers()).unwrap();
    let words = |word: &str| word.to_owned();
    let expected = Measure::OtherQuality { task_type: words("image-to-3d"), from: words("high"), to: words("low") };
    // A variant in high quality is 20, in low 10: half of the 1,650 credits in high.
    assert_eq!(found.0, expected);
    assert!((found.1 - 825.0 / 2000.0).abs() < 1e-9, "{}", found.1);
    for (name, prices) in [
        ("one quality", vec![price("a", "x", None, 80, 20)]),
        ("of two types", vec![price("a", "x", None, 80, 20), price("b", "y", None, 10, 20)]),
        ("the usual one is the cheaper", vec![price("a", "x", None, 80, 3), price("a", "y", None, 20, 90)]),
        ("too seldom", vec![price("a", "x", None, 80, 20), price("a", "y", None, 20, 2)]),
        ("nobody says which", vec![price("a", "", None, 80, 20), price("a", "y", None, 20, 2)]),
    ] {
        assert_eq!(other_quality(&Drivers { prices, ..drivers() }), None, "{name}");
    }
    let three = vec![price("a", "x", None, 80, 20), price("a", "y", None, 20, 9), price("a", "z", None, 50, 9)];
    let found = other_quality(&Drivers { prices: three, ..drivers() }).unwrap().0;
    assert!(matches!(&found, Measure::OtherQuality { to, .. } if to == "z"), "the next cheaper: {found:?}");
}

fn waiting(charged_tasks: u64, charged: i64, uncharged_tasks: u64) -> Waiting {
    Waiting { task_type: "rig".into(), quality: String::new(), charged_tasks, charged: whole(charged), uncharged_tasks }
}

#[test]
fn what_waits_comes_back_where_that_is_known() {
    let history = |cancelled, cancelled_and_refunded| Drivers { cancelled, cancelled_and_refunded, ..drivers() };
    for (name, platform, drivers, queue, expected) in [
        ("charged", "meshy", drivers(), waiting(3, 60, 0), Some((3, whole(60), false))),
        ("not charged yet: the usual price", "tripo", drivers(), waiting(0, 0, 4), Some((4, whole(20), true))),
        ("both", "meshy", drivers(), waiting(3, 60, 4), Some((7, whole(80), true))),
        ("nothing waits", "meshy", drivers(), waiting(0, 0, 0), None),
        ("the platform says nothing", "runway", drivers(), waiting(3, 60, 0), None),
        ("but did so every time", "runway", history(2, 2), waiting(3, 60, 0), Some((3, whole(60), false))),
        ("not every time", "runway", history(2, 1), waiting(3, 60, 0), None),
        ("imported", "", drivers(), waiting(3, 60, 0), None),
    ] {
        let mut case = Case::with(1200);
        (case.platform, case.waiting, case.drivers) = (platform, vec![queue], drivers);
        let found = case.candidate(|measure| matches!(measure, Measure::CancelWaiting { .. })).map(|remedy| {
            let Measure::CancelWaiting { tasks, is_estimated } = remedy.measure else { unreachable!() };
            (tasks, remedy.credits, is_estimated)
        });
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_top_up_is_round_and_says_what_would_be_sure() {
    let found = Case::with(1200).candidate(|measure| matches!(measure, Measure::TopUp { .. })).unwrap();
    let Measure::TopUp { surely } = found.measure else { panic!("{found:?}") };
    let needed = Case::with(1200).before().expected_use.as_f64() * 1.1 - 1200.0;
    assert!(is_about(found.credits, needed, 2.0) && found.credits.as_f64() >= needed, "{found:?} {needed}");
    assert!(found.lasts_until(day(20)) && found.probability.unwrap() < 0.5, "{found:?}");
    assert!(surely.is_none_or(|surely| surely > found.credits), "{surely:?}");
    for (value, rounded) in
        [(1387.2, Some(1400.0)), (0.3, Some(1.0)), (12.1, Some(13.0)), (990.5, Some(1000.0)), (0.0, None)]
    {
        assert_eq!(round_up(value), rounded, "{value}");
    }
    assert_eq!(round_up(-5.0).or(round_up(f64::NAN)), None);
}

#[test]
fn a_second_limit_may_end_first_then() {
    // A balance that everybody lowers ends first, and soon after it the team's allowance, which it lowers alone.
    let case = Case::with(1200);
    let own_state = steady(100);
    let own = ForecastInput { state: &own_state, remaining: Some(whole(1300)), ..case.input() };
    let limits = [Limit { input: case.input(), own_part: Some(1.0) }, Limit { input: own, own_part: Some(1.0) }];
    let top_up =
        case.question(&limits).candidates().into_iter().find(|remedy| matches!(remedy.measure, Measure::TopUp { .. }));
    let of_allowance = Case::with(1300).before().run_out.p50;
    assert_eq!(top_up.unwrap().run_out, of_allowance, "credits on the account do not raise the allowance");
}

#[test]
fn nothing_is_said_without_a_forecast_or_a_reset_ahead() {
    let mut case = Case::with(1500);
    let mut over = case.input();
    over.now = day(21);
    assert_eq!(remedies(&case.question(&[Limit { input: over, own_part: Some(1.0) }])), []);
    let unknown = ForecastInput { remaining: None, ..case.input() };
    assert_eq!(remedies(&case.question(&[Limit { input: unknown, own_part: Some(1.0) }])), []);
    assert_eq!(remedies(&case.question(&[])), []);
    case.state = UsageState::default();
    assert_eq!(case.remedies(), []);
}
