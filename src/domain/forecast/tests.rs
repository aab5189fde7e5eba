use proptest::prelude::*;

use super::model::{Ahead, Extra, Model};
use super::shape::WeekShape;
use super::state::{LEVELS, Present};
use super::*;

/// A Monday midnight.
pub(super) const MONDAY: &str = "2026-03-02T00:00:00Z";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

pub(super) fn hour_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(3600)
}

pub(super) fn used(moment: Timestamp, credits: i64) -> HourlyUse {
    HourlyUse { hour: hour_of(moment), net: Credits::from_whole(credits), charges: 1 }
}

/// Working hours of so many days from a Monday on: five credits each hour from nine to five, nothing at weekends.
pub(super) fn working_days(days: i64) -> Vec<HourlyUse> {
    let monday = at(MONDAY);
    let is_working = |hour: &i64| (9..17).contains(&(hour % 24)) && hour / 24 % 7 < 5;
    (0..days * 24).filter(is_working).map(|hour| used(monday + hours(hour), 5)).collect()
}

fn present() -> Present {
    Present {
        used: [0.0; LEVELS],
        exposure: [1.0; LEVELS],
        charges: 28.301,
        dispersion: 43.236,
        wobble: 0.4903,
        shape: WeekShape::default(),
    }
}

#[test]
fn the_model_gives_the_figures_worked_out_by_hand() {
    let paces = [0.1824, 0.3367, 0.3362, 0.3990, 0.4465, 0.4726, 0.5302];
    let model = Model::new(&present(), &paces, 0.5175, 0.2688);
    let ahead = Ahead { hours: 544.0, exposure: 565.407, extra: Extra::default() };
    assert!((model.probability(ahead, 470.0) - 0.1090).abs() < 5e-5, "{}", model.probability(ahead, 470.0));
    assert_eq!(model.probability(ahead, 0.0), 1.0);
    assert_eq!(model.probability(ahead, -3.0), 1.0);
}

#[test]
fn the_inverse_of_the_model_agrees_with_it() {
    let model = Model::new(&present(), &[0.2, 0.3, 0.3, 0.4, 0.5, 0.5, 0.5], 0.5, 0.3);
    for hours in [1.0, 24.0, 700.0] {
        let ahead = Ahead { hours, exposure: hours * 1.1, extra: Extra::default() };
        for quantile in [0.05, 0.1, 0.5, 0.9, 0.95] {
            let credits = model.use_at(ahead, quantile);
            let reached = model.probability(ahead, credits);
            assert!((reached - (1.0 - quantile)).abs() < 1e-9, "{hours} h, {quantile}: {reached}");
        }
    }
}

#[test]
fn exposure_is_the_sum_of_the_weights() {
    let shape = UsageState::rebuild(&working_days(40)).unwrap().memory.at(at(MONDAY) + hours(40 * 24), &[]).shape;
    let start = hour_of(at(MONDAY)) + 40 * 24;
    for (from, to) in [(0, 1), (5, 5), (7, 6), (13, 200), (100, 2000)] {
        let by_hand: f64 = (start + from..start + to).map(|hour| shape.weight(hour)).sum();
        let exposure = shape.exposure((start + from) as f64, (start + to) as f64);
        assert!((exposure - by_hand).abs() < 1e-9, "{from}..{to}: {exposure} {by_hand}");
    }
    let week = shape.exposure(start as f64, (start + 168) as f64);
    assert!((week - 168.0).abs() < 1e-9, "an average hour of the week weighs 1");
    let part = shape.exposure(start as f64 + 0.25, start as f64 + 1.5);
    let by_hand = 0.75 * shape.weight(start) + 0.5 * shape.weight(start + 1);
    assert!((part - by_hand).abs() < 1e-9);
    let (tuesday_noon, sunday_noon) = (hour_of(at("2026-05-05T12:00:00Z")), hour_of(at("2026-05-10T12:00:00Z")));
    assert!(shape.weight(tuesday_noon) > 4.0 * shape.weight(sunday_noon));
}

/// A draw with forty working days of history before a period of thirty days.
pub(super) struct Case {
    pub(super) rows: Vec<HourlyUse>,
    pub(super) period: Option<(Timestamp, Timestamp)>,
    pub(super) now: Timestamp,
    pub(super) remaining: Option<i64>,
    pub(super) granted: Option<i64>,
}

impl Case {
    pub(super) fn new() -> Case {
        let start = at(MONDAY) + hours(63 * 24);
        let now = start + hours(10 * 24);
        let rows = working_days(73);
        Case { rows, period: Some((start, start + hours(30 * 24))), now, remaining: Some(550), granted: Some(1000) }
    }

    pub(super) fn outlook(&self) -> Outlook {
        let known: Vec<HourlyUse> = self.rows.iter().filter(|row| row.hour <= hour_of(self.now)).copied().collect();
        let state = UsageState::rebuild(&known).unwrap();
        forecast(&ForecastInput {
            state: &state,
            now: self.now,
            period: self.period,
            remaining: self.remaining.map(Credits::from_whole),
            granted: self.granted.map(Credits::from_whole),
            before: self.period.map(|period| PriorUse::of_rows(&known, period)),
            announced: Announced::default(),
        })
    }

    pub(super) fn forecast(&self) -> Forecast {
        self.outlook().forecast().cloned().unwrap()
    }
}

/// Probabilities are probabilities, quantiles are in order, and the parts of a forecast do not contradict one another.
pub(super) fn assert_sound(name: &str, case: &Case, forecast: &Forecast) {
    assert_eq!(forecast.probability.is_some(), case.period.is_some(), "{name}");
    assert_eq!(forecast.unused.is_some(), case.period.is_some(), "{name}");
    for probability in
        [forecast.probability, forecast.probability_half, forecast.probability_tenth].into_iter().flatten()
    {
        assert!((0.0..=1.0).contains(&probability), "{name}: {forecast:?}");
    }
    assert!(forecast.probability_half <= forecast.probability.map(|p| p + 1e-9), "{name}: {forecast:?}");
    assert!(forecast.probability_tenth <= forecast.probability_half.map(|p| p + 1e-9), "{name}: {forecast:?}");
    let never = Timestamp::MAX;
    let RunOut { p10, p50, p90 } = forecast.run_out;
    assert!(p10.unwrap_or(never) <= p50.unwrap_or(never) && p50.unwrap_or(never) <= p90.unwrap_or(never), "{name}");
    for date in [p10, p50, p90].into_iter().flatten() {
        assert!(date >= forecast.at && date <= forecast.horizon, "{name}: {forecast:?}");
    }
    assert!(forecast.pace_per_hour.is_finite() && forecast.pace_per_hour >= 0.0, "{name}: {forecast:?}");
    assert!(!forecast.expected_use.is_negative(), "{name}: {forecast:?}");
    if let (Some(probability), Some(unused)) = (forecast.probability, forecast.unused) {
        assert_eq!(unused.is_positive(), probability < 0.5, "{name}: {forecast:?}");
    }
}

#[test]
fn edge_cases() {
    let usual = Case::new();
    let (start, end) = usual.period.unwrap();
    let second = SignedDuration::from_secs(1);
    let usual_probability = usual.forecast().probability.unwrap();
    assert!((0.2..0.8).contains(&usual_probability), "{usual_probability}");
    let december = at("2026-12-01T00:00:00Z");
    let leap_day = at("2028-02-29T00:00:00Z");
    let next_year = start + hours(360 * 24);
    let pause = Case { period: Some((next_year, next_year + hours(720))), ..Case::new() };
    let in_period = |start: Timestamp, end: Timestamp, now: Timestamp| {
        let weeks_later = (hour_of(start) - hour_of(at(MONDAY)) - 60 * 24) / 168 * 168;
        let later = |row: HourlyUse| HourlyUse { hour: row.hour + weeks_later, ..row };
        let rows = working_days(200).into_iter().map(later).collect();
        Case { rows, period: Some((start, end)), now, ..Case::new() }
    };
    for (name, case, lowest, highest) in [
        ("the period begins", Case { now: start, remaining: Some(850), ..Case::new() }, 0.05, 0.5),
        ("the last second of the period", Case { now: end - second, rows: working_days(93), ..Case::new() }, 0.0, 1e-4),
        ("the period is over", Case { now: end + second, rows: working_days(93), ..Case::new() }, 0.0, 1e-4),
        ("nothing left", Case { remaining: Some(0), ..Case::new() }, 1.0, 1.0),
        ("less than nothing left", Case { remaining: Some(-5), ..Case::new() }, 1.0, 1.0),
        ("almost nothing left", Case { remaining: Some(1), ..Case::new() }, 0.999, 1.0),
        ("far more left than anyone uses", Case { remaining: Some(1_000_000), ..Case::new() }, 0.0, 1e-4),
        ("the reset moved earlier", Case { period: Some((start, end - hours(240))), ..Case::new() }, 0.0, 0.1),
        ("the reset moved later", Case { period: Some((start, end + hours(240))), ..Case::new() }, 0.8, 1.0),
        ("a top-up", Case { remaining: Some(1600), ..Case::new() }, 0.0, 0.01),
        ("a larger plan from now on", Case { remaining: Some(1400), granted: Some(1800), ..Case::new() }, 0.0, 0.02),
        ("a period without length", Case { period: Some((start, start)), ..Case::new() }, 0.0, 1e-4),
        ("a period that ends before it starts", Case { period: Some((end, start)), ..Case::new() }, 0.0, 1e-4),
        ("December", in_period(december, at("2027-01-01T00:00:00Z"), december + hours(240)), 0.2, 0.9),
        ("29 February", in_period(leap_day, leap_day + hours(29 * 24), leap_day + hours(12)), 0.5, 1.0),
        ("a year's pause", Case { now: next_year + hours(120), ..pause }, 0.0, 1e-4),
    ] {
        let forecast = case.forecast();
        assert_sound(name, &case, &forecast);
        let probability = forecast.probability.unwrap();
        assert!((lowest..=highest).contains(&probability), "{name}: {probability}");
    }

    let gone = Case { remaining: Some(0), ..Case::new() }.forecast();
    assert_eq!(gone.run_out, RunOut { p10: Some(gone.at), p50: Some(gone.at), p90: Some(gone.at) });
    let prepaid = Case { period: None, granted: None, ..Case::new() };
    assert_sound("prepaid", &prepaid, &prepaid.forecast());
    assert!(prepaid.forecast().run_out.p50.is_some());
    assert_eq!(prepaid.forecast().horizon, prepaid.now + hours(60 * 24));
}

#[test]
fn too_little_to_go_by() {
    let start = at(MONDAY);
    let refund = HourlyUse { hour: hour_of(start), net: Credits::from_whole(-5), charges: 0 };
    let three = vec![used(start, 5), used(start + hours(5), 5), used(start + hours(6), 5)];
    let after = |rows: &[HourlyUse], passed: i64, remaining: i64| {
        let now = start + hours(passed);
        let period = Some((start, start + hours(720)));
        Case { rows: rows.to_vec(), period, now, remaining: Some(remaining), granted: Some(100) }
    };
    for (name, case, expected) in [
        ("no charges", after(&[], 48, 100), Some((0, 0))),
        ("only refunds", after(&[refund], 48, 100), Some((0, 0))),
        ("one charge", after(&three[..1], 48, 95), Some((48, 1))),
        ("two charges", after(&three[..2], 48, 90), Some((48, 2))),
        ("not a day yet", after(&three, 23, 85), Some((23, 3))),
        ("a day and three charges", after(&three, 24, 85), None),
        ("gone, whatever the history", after(&[], 1, 0), None),
    ] {
        let outlook = case.outlook();
        match expected {
            Some(expected) => {
                let Outlook::TooLittleHistory { hours, charges, guess } = outlook else {
                    panic!("{name}: {outlook:?}")
                };
                assert_eq!((hours, charges), expected, "{name}");
                // What was bought is known, so a wide range is.
                let guess = guess.expect(name);
                let [p10, p50, p90] = [guess.use_ahead.p10, guess.use_ahead.p50, guess.use_ahead.p90];
                assert!(p10.as_f64() * 2.0 < p50.as_f64() && p50.as_f64() * 2.0 < p90.as_f64(), "{name}: {guess:?}");
                assert!(
                    guess.run_out.p10 > Some(case.now) && guess.run_out.p50 > guess.run_out.p10,
                    "{name}: {guess:?}"
                );
            }
            None => {
                let forecast = outlook.forecast().expect(name);
                assert_sound(name, &case, forecast);
                assert_eq!(forecast.confidence, Confidence::Low, "{name}");
            }
        }
    }
    assert_eq!(Case { remaining: None, ..Case::new() }.outlook(), Outlook::UnknownBalance);
}

#[test]
fn a_short_history_leans_on_what_was_bought() {
    let start = at(MONDAY);
    let burst: Vec<HourlyUse> = (9..12).map(|hour| used(start + hours(hour), 40)).collect();
    let case = |granted| Case {
        rows: burst.clone(),
        period: Some((start, start + hours(720))),
        now: start + hours(36),
        remaining: Some(880),
        granted,
    };
    let (with, without) = (case(Some(1000)).forecast(), case(None).forecast());
    assert!(with.pace_per_hour < without.pace_per_hour, "{} {}", with.pace_per_hour, without.pace_per_hour);
    assert!(with.probability < without.probability);
    assert_eq!((with.confidence, without.confidence), (Confidence::Low, Confidence::Low));
    assert_eq!(Case::new().forecast().confidence, Confidence::Normal);
}

#[test]
fn the_first_crossing_is_that_of_a_plain_scan() {
    let case = Case::new();
    let known: Vec<HourlyUse> = case.rows.iter().filter(|row| row.hour < hour_of(case.now)).copied().collect();
    let state = UsageState::rebuild(&known).unwrap();
    for minutes in [0, 17, 600, 1440, 3000] {
        for remaining in [3, 30, 100, 250, 600, 1200, 2500] {
            let third = Credits::from_whole(remaining / 3);
            let batches = [PlannedBatch::exactly(case.now + hours(200), third)];
            let input = ForecastInput {
                state: &state,
                now: case.now + SignedDuration::from_mins(minutes),
                period: case.period,
                remaining: Some(Credits::from_whole(remaining)),
                granted: None,
                before: None,
                announced: Announced { batches: &batches, ..Announced::default() },
            };
            let run_out = forecast(&input).forecast().unwrap().run_out;
            let view = View::new(&input, &state.memory, 1e4);
            let scan = |wanted: f64| {
                let first = hour_of(input.now) + 1;
                let last = hour_of(horizon(input.now, input.period));
                (first..=last).map(|hour| Timestamp::from_second(hour * 3600).unwrap()).find(|moment| {
                    let until = hours_since_epoch(*moment);
                    let left = view.left_at(Credits::from_whole(remaining), until);
                    view.model.probability(view.ahead(until), left.as_f64()) >= wanted
                })
            };
            let expected = RunOut { p10: scan(0.1), p50: scan(0.5), p90: scan(0.9) };
            assert_eq!(run_out, expected, "{remaining} credits, {minutes} min");
        }
    }
}

#[test]
fn announcements_move_the_forecast() {
    let case = Case::new();
    let state = UsageState::rebuild(&case.rows).unwrap();
    let (now, (_, end)) = (case.now, case.period.unwrap());
    let change = |factor| [PaceChange { factor, from: now - hours(48), to: end }];
    let batch = |credits, after| [PlannedBatch::exactly(now + hours(after), Credits::from_whole(credits))];
    let with = |paces: &[PaceChange], batches: &[PlannedBatch]| {
        let input = ForecastInput {
            state: &state,
            now,
            period: case.period,
            remaining: Some(Credits::from_whole(600)),
            granted: None,
            before: None,
            announced: Announced { paces, batches, queued: Credits::ZERO },
        };
        forecast(&input).forecast().cloned().unwrap()
    };
    let usual = with(&[], &[]);
    assert!(with(&change(2.0), &[]).probability > usual.probability.map(|p| p + 0.2));
    assert!(with(&change(0.0), &[]).probability < Some(1e-4), "a holiday until the reset");
    assert_eq!(with(&change(1.0), &[]).probability, usual.probability);
    assert!(with(&[], &batch(300, 100)).probability > usual.probability.map(|p| p + 0.2));
    assert_eq!(with(&[], &batch(600, 100)).run_out.p90, Some(now + hours(100)), "a batch that empties the tank");
    assert_eq!(with(&[], &batch(300, -1)).probability, usual.probability, "a batch that has been is in the ledger");
    assert_eq!(with(&[], &batch(300, 24 * 25)).probability, usual.probability, "a batch after the reset");
}

#[test]
fn a_single_job_a_night_and_a_weekend_do_not_alarm() {
    let mut calm = Case::new();
    calm.remaining = Some(900);
    let before = calm.forecast().probability.unwrap();
    let mut with_job = Case::new();
    with_job.rows.push(used(calm.now, 60));
    with_job.remaining = Some(840);
    let after = with_job.forecast().probability.unwrap();
    assert!(after < 0.3 && before < after, "{before} {after}");

    let mut weekend = Case::new();
    weekend.rows = working_days(75);
    weekend.now = at(MONDAY) + hours(74 * 24 + 23);
    let quiet = weekend.forecast().pace_per_hour;
    weekend.now = at(MONDAY) + hours(73 * 24);
    let busy = weekend.forecast().pace_per_hour;
    assert!((quiet / busy - 1.0).abs() < 0.15, "{quiet} {busy}");
}

#[test]
fn the_running_hour_counts_without_being_closed() {
    let case = Case::new();
    let state = UsageState::rebuild(&case.rows).unwrap();
    let now = case.now + SignedDuration::from_mins(30);
    let ask = |state: &UsageState, now: Timestamp| {
        let remaining = Some(Credits::from_whole(600));
        let (period, granted) = (case.period, None);
        let input =
            ForecastInput { state, now, period, remaining, granted, before: None, announced: Announced::default() };
        forecast(&input).forecast().cloned().unwrap()
    };
    let before = state.clone();
    let quiet = ask(&state, now);
    assert_eq!(state, before, "asking changes nothing");

    let mut charged = state.clone();
    charged.push(used(now, 20)).unwrap();
    charged.push(used(now, 20)).unwrap();
    assert!(ask(&charged, now).pace_per_hour > quiet.pace_per_hour);

    let mut at_once = state.clone();
    at_once.push(HourlyUse { hour: hour_of(now), net: Credits::from_whole(40), charges: 2 }).unwrap();
    assert_eq!(ask(&charged, now), ask(&at_once, now), "one row or several, the same hour");

    // The last moment of the hour and the first of the next see nearly the same.
    let last = ask(&charged, case.now + hours(1) - SignedDuration::from_millis(1));
    let next = ask(&charged, case.now + hours(1));
    assert!((last.pace_per_hour / next.pace_per_hour - 1.0).abs() < 1e-6);
}

#[test]
fn recent_use_is_kept_exactly() {
    let monday = at(MONDAY);
    let mut rows = working_days(30);
    rows.last_mut().unwrap().net = Credits::parse("5.000001").unwrap();
    let state = UsageState::rebuild(&rows).unwrap();
    // The last charge is on a Tuesday, from four to five in the afternoon.
    let five = monday + hours(29 * 24 + 17);
    let per_hour = |rate: Option<f64>| (rate.unwrap() * 3600.0 * 1e6).round() / 1e6;
    for (name, now, hour, day, week) in [
        ("at five", five, 5.000001, 40.000001, 200.000001),
        ("half past", five + SignedDuration::from_mins(30), 2.5, 40.000001, 200.000001),
        ("next morning at ten", five + hours(17), 0.0, 35.000001, 195.000001),
        ("a week later", five + hours(168), 0.0, 0.0, 0.0),
    ] {
        let rates = state.spend_rates(now);
        let sums = (per_hour(rates.hour), per_hour(rates.day) * 24.0, per_hour(rates.week) * 168.0);
        assert!((sums.0 - hour).abs() < 1e-5, "{name}: {sums:?}");
        assert!((sums.1 - day).abs() < 1e-4 && (sums.2 - week).abs() < 1e-3, "{name}: {sums:?}");
    }
    assert_eq!(UsageState::default().spend_rates(five).day, None);
    assert_eq!(state.spend_rates(monday).day, None, "the past is not remembered");

    let daily = state.daily(five + hours(24));
    assert_eq!((daily.len(), daily[0].day, daily[30].net), (31, monday, Credits::ZERO));
    assert_eq!(daily[29].net, Credits::parse("40.000001").unwrap());
    assert_eq!(daily[27].net, Credits::ZERO, "a Sunday");
    assert_eq!(UsageState::rebuild(&working_days(200)).unwrap().daily(monday + hours(200 * 24)).len(), 62);
    assert!(UsageState::default().daily(five).is_empty());
}

#[test]
fn prior_use_is_that_of_three_periods() {
    let rows = working_days(70);
    let monday = at(MONDAY);
    let week = |from: i64| (monday + hours(from * 168), monday + hours((from + 1) * 168));
    for (name, rows, period, net, hours) in [
        ("three weeks", &rows[..], week(5), 600, 504.0),
        ("what history there is", &rows[..], week(2), 400, 336.0 - 9.0),
        ("the history begins in the period", &rows[..], week(0), 0, 0.0),
        ("no history", &[], week(5), 0, 0.0),
    ] {
        let prior = PriorUse::of_rows(rows, period);
        assert_eq!(prior, PriorUse { net: Credits::from_whole(net), hours }, "{name}");
    }
}

#[test]
fn late_rows_are_refused() {
    let mut state = UsageState::rebuild(&working_days(3)).unwrap();
    let before = state.clone();
    let late = used(at(MONDAY) + hours(9), 5);
    let error = state.push(late).unwrap_err();
    assert_eq!(state, before);
    assert_eq!((error.found, error.running), (late.hour, late.hour + 2 * 24 + 7));
}

#[test]
fn the_kept_shares_are_those_of_the_half_lives() {
    for (half_life, kept) in state::HALF_LIFE_HOURS.iter().zip(state::KEPT_EACH_HOUR) {
        assert!((libm::exp2(-1.0 / half_life) - kept).abs() < 1e-15, "{half_life}");
    }
    assert!((libm::exp2(-24.0 / 2016.0) - state::KEPT_EACH_DAY).abs() < 1e-15);
    assert!((libm::exp2(-24.0 / 1344.0) - shape::KEPT_EACH_MIDNIGHT).abs() < 1e-15);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_a_sound_forecast(
        gaps in prop::collection::vec((0..200_i64, -20..500_i64, 0..4_u32), 0..120),
        passed in 0..1500_i64,
        remaining in -10..5000_i64,
        minutes in 0..60_i64,
    ) {
        let mut hour = hour_of(at(MONDAY));
        let rows: Vec<HourlyUse> = gaps.iter().map(|(gap, net, charges)| {
            hour += gap;
            HourlyUse { hour, net: Credits::from_whole(*net), charges: *charges }
        }).collect();
        let start = at(MONDAY) + hours(1000);
        let now = Timestamp::from_second(hour * 3600).unwrap() + hours(passed) + SignedDuration::from_mins(minutes);
        let period = Some((start, start + hours(720)));
        let case = Case { rows: rows.clone(), period, now, remaining: Some(remaining), granted: Some(1000) };
        let outlook = case.outlook();
        if let Some(forecast) = outlook.forecast() {
            assert_sound("any history", &case, forecast);
        }
        prop_assert_eq!(case.outlook(), outlook, "the same again");

        // Hour by hour, with time passing in between, is the same as all at once.
        let mut stepped = UsageState::default();
        for row in &rows {
            for hour in row.hour - 3..=row.hour {
                stepped.advance_to(hour);
            }
            stepped.push(*row).unwrap();
        }
        prop_assert_eq!(stepped, UsageState::rebuild(&rows).unwrap());
    }

    #[test]
    fn a_state_rebuilt_from_hours_is_that_fed_charge_by_charge(
        events in prop::collection::vec((0..40_i64, 1..90_000_000_i64, prop::bool::ANY), 1..300),
    ) {
        let mut hour = hour_of(at(MONDAY));
        let mut fed = UsageState::default();
        let mut hours: Vec<HourlyUse> = Vec::new();
        for (gap, micros, is_refunded) in events {
            // Most charges share their hour with others.
            hour += (gap - 30).max(0);
            let net = Credits::from_micros(micros);
            let mut feed = |row: HourlyUse| {
                fed.push(row).unwrap();
                match hours.last_mut().filter(|last| last.hour == row.hour) {
                    Some(last) => (last.net, last.charges) = (last.net + row.net, last.charges + row.charges),
                    None => hours.push(row),
                }
            };
            feed(HourlyUse { hour, net, charges: 1 });
            if is_refunded {
                feed(HourlyUse { hour, net: -net, charges: 0 });
            }
        }
        let rebuilt = UsageState::rebuild(&hours).unwrap();
        // Every digit: what is printed reads back as the same number.
        prop_assert_eq!(format!("{fed:?}"), format!("{rebuilt:?}"));
        prop_assert_eq!(fed, rebuilt);
    }

    #[test]
    fn more_left_is_never_riskier(remaining in 1..3000_i64, more in 1..1000_i64) {
        let with = |remaining| Case { remaining: Some(remaining), ..Case::new() }.forecast();
        let (less, more) = (with(remaining), with(remaining + more));
        prop_assert!(less.probability >= more.probability);
        prop_assert!(less.unused <= more.unused);
        prop_assert!(less.run_out.p50.unwrap_or(Timestamp::MAX) <= more.run_out.p50.unwrap_or(Timestamp::MAX));
    }
}
