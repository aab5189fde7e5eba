//! Cases of the world, each with what is said of it; and that a forecast can be worked out again from its explanation.

use super::tests::{Case, MONDAY, assert_sound, at, hour_of, hours, used, working_days};
use super::*;
use crate::domain::rule::{ExhaustionPolicy, Finding};

/// What a case says: nothing but ignorance, a guess, or a probability between two.
#[derive(Debug)]
enum Says {
    TooLittle,
    Guess,
    Chance(f64, f64),
}

fn input<'a>(case: &Case, state: &'a UsageState, known: &[HourlyUse]) -> ForecastInput<'a> {
    ForecastInput {
        state,
        now: case.now,
        period: case.period,
        remaining: case.remaining.map(Credits::from_whole),
        granted: case.granted.map(Credits::from_whole),
        before: case.period.map(|period| PriorUse::of_rows(known, period)),
        announced: Announced::default(),
    }
}

impl Case {
    fn known(&self) -> Vec<HourlyUse> {
        self.rows.iter().filter(|row| row.hour <= hour_of(self.now)).copied().collect()
    }

    fn explanation(&self) -> Option<Explanation> {
        let known = self.known();
        let state = UsageState::rebuild(&known).unwrap();
        explain(&input(self, &state, &known))
    }
}

/// The probability as the page about the forecast says it is made, from the numbers of an explanation alone.
fn worked_out(told: &Explanation) -> (f64, f64, f64) {
    let log_pace: f64 = told.paces.iter().map(|part| part.share * (part.per_hour + told.floor_per_hour).ln()).sum();
    let mean = log_pace.exp() * told.exposure_hours * told.horizon_factor + told.planned_mean;
    let s2 = (1.0 + told.spread.lumps + told.spread.drift + told.spread.thin_data + told.spread.batches).ln();
    let z = (mean.ln() - s2 / 2.0 - told.remaining.as_f64().ln()) / s2.sqrt();
    let raw = (libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0).clamp(1e-5, 1.0 - 1e-5);
    let chance = told.chance.unwrap();
    let odds = chance.offset + chance.slope * (raw / (1.0 - raw)).ln();
    (mean, raw, 1.0 / (1.0 + (-odds).exp()))
}

#[test]
fn a_forecast_can_be_worked_out_again_from_its_explanation() {
    let start = at(MONDAY);
    let young = Case {
        rows: working_days(9),
        period: Some((start, start + hours(720))),
        now: start + hours(8 * 24 + 11),
        remaining: Some(500),
        granted: Some(800),
    };
    for (name, case) in [
        ("usual", Case::new()),
        ("little left", Case { remaining: Some(40), ..Case::new() }),
        ("much left", Case { remaining: Some(4000), ..Case::new() }),
        (
            "the last hours",
            Case { now: Case::new().period.unwrap().1 - hours(3), rows: working_days(92), ..Case::new() },
        ),
        ("short history", young),
    ] {
        let told = case.explanation().expect(name);
        let forecast = case.forecast();
        let chance = told.chance.expect(name);
        // The same numbers, not other ones that are near.
        assert_eq!(Some(chance.calibrated), forecast.probability, "{name}");
        assert_eq!((told.pace_per_hour, told.confidence), (forecast.pace_per_hour, forecast.confidence), "{name}");
        let (mean, raw, calibrated) = worked_out(&told);
        assert!((mean / told.mean_use - 1.0).abs() < 1e-12, "{name}: {mean} {}", told.mean_use);
        assert!((raw - chance.raw).abs() < 1e-12, "{name}: {raw} {}", chance.raw);
        assert!((calibrated - chance.calibrated).abs() < 1e-12, "{name}: {calibrated} {}", chance.calibrated);
        // Shares are shares of one whole.
        let by_share: f64 = told.spread.by_share().iter().map(|(_, share)| share).sum();
        assert!((by_share - 1.0).abs() < 1e-12, "{name}");
        let ((recent, recent_pace), (long, long_pace)) = (told.recent(), told.long_memory());
        assert!((recent - 0.0674).abs() < 1e-9 && (recent + long - 1.0).abs() < 1e-3, "{name}: {recent} {long}");
        let pooled = recent_pace.powf(recent) * long_pace.powf(long);
        assert!((pooled / told.pace_per_hour - 1.0).abs() < 1e-12, "{name}: {pooled}");
        let words = told.in_words(Some("the reset"), None);
        assert!((3..=5).contains(&words.len()), "{name}: {words:?}");
    }
}

#[test]
fn what_was_announced_is_part_of_the_explanation() {
    let case = Case::new();
    let known = case.known();
    let (period_end, whole) = (case.period.unwrap().1, Credits::from_whole);
    let change = PaceChange { factor: 2.0, from: case.now + hours(24), to: case.now + hours(72) };
    let range = PlannedBatch { at: case.now + hours(48), low: whole(40), likely: whole(60), high: whole(120) };
    let state = UsageState::under(vec![change].into());
    let state = known.iter().fold(state, |mut state, row| {
        state.push(*row).unwrap();
        state
    });
    let announced = Announced { paces: state.paces(), batches: &[range], queued: whole(25) };
    let with = ForecastInput { announced, ..input(&case, &state, &known) };
    let (told, plain) = (explain(&with).unwrap(), case.explanation().unwrap());
    assert_eq!((told.planned, told.queued), (whole(40), whole(25)));
    assert_eq!(told.remaining, plain.remaining - whole(65));
    assert!(told.exposure_hours > plain.exposure_hours + 20.0, "{} {}", told.exposure_hours, plain.exposure_hours);
    assert!(told.planned_mean > 20.0 && told.planned_mean < 50.0, "{}", told.planned_mean);
    let (mean, raw, calibrated) = worked_out(&told);
    let chance = told.chance.unwrap();
    assert!((mean / told.mean_use - 1.0).abs() < 1e-12, "{mean} {}", told.mean_use);
    assert!((raw - chance.raw).abs() < 1e-12, "{raw} {}", chance.raw);
    assert!((calibrated - chance.calibrated).abs() < 1e-12);
    assert_eq!(forecast(&with).forecast().unwrap().probability, Some(chance.calibrated));
    assert!(told.until == period_end && told.spread.by_share().len() == 4, "{:?}", told.spread);
    let words = told.in_words(Some("the reset"), None).join(" ");
    for expected in ["after planned batches of 40 and queued tasks of 25", "from what planned batches may cost"] {
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn an_explanation_says_in_words_what_it_holds() {
    let start = at(MONDAY);
    let usual = Case::new();
    let guess = Case { rows: working_days(1)[..2].to_vec(), now: start + hours(11), ..first_days(2, 11) };
    let prepaid = Case { period: None, granted: None, ..Case::new() };
    for (name, case, others, expected) in [
        (
            "usual",
            &usual,
            None,
            &[
                "The pace is about 30 credits for an average day of the week: recent use",
                "has 7% of the weight, longer memory (",
                "In the 20.0 days up to the reset",
                "and 550 are left.",
                "It may well be 1.",
                "from having seen few charges",
                "with 33% of the period gone, it is ",
                "Confidence is normal: 72 days of history",
            ][..],
        ),
        ("shared", &usual, Some("with the other teams' use"), &["average day of the week, with the other teams' use:"]),
        ("low", &first_days(9, 8 * 24), None, &["Confidence is low: 7 days of history", "two periods (60 days) would"]),
        (
            "guess",
            &guess,
            None,
            &[
                "too little history for a pace (2 charges in 2 hours)",
                "that is 30 credits a day",
                "Confidence is low, and no alert is raised from a guess.",
            ],
        ),
        ("prepaid", &prepaid, None, &["In the 60.0 days that are looked at", "and 550 are left."]),
        ("gone", &Case { remaining: Some(0), ..Case::new() }, None, &["and nothing is left."]),
    ] {
        let told = case.explanation().expect(name);
        let text = told.in_words(case.period.map(|_| "the reset"), others).join(" ");
        for expected in expected {
            assert!(text.contains(expected), "{name}: {expected}\n{text}");
        }
    }
    assert_eq!(Case { remaining: None, ..Case::new() }.explanation(), None);
    assert_eq!(Case { granted: None, ..guess }.explanation(), None, "nothing is guessed of a plan that nobody knows");
}

/// A team in its first period of thirty days and 1,000 credits, so many hours in; five credits each working hour.
fn first_days(days: i64, passed: i64) -> Case {
    let start = at(MONDAY);
    Case {
        rows: working_days(days),
        period: Some((start, start + hours(720))),
        now: start + hours(passed),
        remaining: Some(900),
        granted: Some(1000),
    }
}

#[test]
fn cases_of_the_world() {
    use Says::{Chance, Guess, TooLittle};
    let start = at(MONDAY);
    let (_, end) = Case::new().period.unwrap();
    let refund = |after: i64, credits: i64| HourlyUse {
        hour: hour_of(start + hours(after)),
        net: Credits::from_whole(-credits),
        charges: 0,
    };
    let three = vec![used(start + hours(9), 5), used(start + hours(10), 5), used(start + hours(11), 5)];
    let with_rows = |rows: Vec<HourlyUse>, case: Case| Case { rows, ..case };
    let at_hour = |passed: i64| first_days(0, passed);
    // A whole year of working days, then the two weeks in which nobody works.
    let holidays = Case {
        rows: working_days(73),
        period: Some((end, end + hours(720))),
        now: end + hours(15 * 24),
        remaining: Some(500),
        granted: Some(1000),
    };
    for (name, case, says) in [
        ("the first moment, no charge yet", at_hour(0), Guess),
        ("no charges for twenty days", at_hour(480), Guess),
        ("one charge", with_rows(three[..1].to_vec(), at_hour(48)), Guess),
        (
            "one charge of nearly everything",
            with_rows(vec![used(start, 990)], Case { remaining: Some(10), ..at_hour(5) }),
            Guess,
        ),
        ("the first three charges, the first day", with_rows(three.clone(), at_hour(13)), Guess),
        ("the first three charges, a day later", with_rows(three.clone(), at_hour(33)), Chance(0.02, 0.6)),
        ("nobody knows the plan", with_rows(three.clone(), Case { granted: None, ..at_hour(13) }), TooLittle),
        ("a plan of nothing", Case { granted: Some(0), ..at_hour(13) }, TooLittle),
        ("prepaid, no history", Case { period: None, granted: None, ..at_hour(13) }, TooLittle),
        ("only refunds", with_rows(vec![refund(9, 30)], at_hour(48)), Guess),
        (
            "a refund before the first charge",
            with_rows([vec![refund(0, 30)], three.clone()].concat(), at_hour(48)),
            Chance(0.01, 0.6),
        ),
        ("nothing left, no history", Case { remaining: Some(0), ..at_hour(0) }, Chance(1.0, 1.0)),
        ("below nothing, no history", Case { remaining: Some(-20), ..at_hour(5) }, Chance(1.0, 1.0)),
        ("the first period, ten days in", first_days(10, 240), Chance(0.05, 0.7)),
        ("the first period, and too fast", Case { remaining: Some(300), ..first_days(10, 240) }, Chance(0.9, 1.0)),
        (
            "the first moment of a period",
            Case { now: end - hours(720), remaining: Some(1000), ..Case::new() },
            Chance(0.0, 0.1),
        ),
        (
            "the last second",
            Case { now: end - SignedDuration::from_secs(1), rows: working_days(93), remaining: Some(5), ..Case::new() },
            Chance(0.0, 0.5),
        ),
        ("a period without length", Case { period: Some((start, start)), ..at_hour(0) }, TooLittle),
        ("a period that is over, no history", Case { now: start + hours(721), ..at_hour(0) }, TooLittle),
        (
            "a day's budget",
            Case {
                period: Some((end, end + hours(24))),
                now: end + hours(9),
                rows: working_days(93),
                remaining: Some(30),
                granted: Some(40),
            },
            Chance(0.9, 1.0),
        ),
        ("holidays that everybody shares", holidays, Chance(0.0, 0.2)),
    ] {
        let outlook = case.outlook();
        let rule = ExhaustionPolicy::default().judge(&outlook, case.period);
        match (&outlook, says) {
            (Outlook::TooLittleHistory { guess: None, .. }, TooLittle) => {}
            (Outlook::TooLittleHistory { guess: Some(guess), .. }, Guess) => {
                assert_eq!(rule, Finding::Unknown, "{name}: no alert from a guess");
                let ahead = guess.use_ahead;
                assert!(ahead.p10 < ahead.p50 && ahead.p50 < ahead.p90, "{name}: {guess:?}");
                let latest = |date: Option<Timestamp>| date.unwrap_or(Timestamp::MAX);
                let run_out = guess.run_out;
                assert!(
                    latest(run_out.p10) <= latest(run_out.p50) && latest(run_out.p50) <= latest(run_out.p90),
                    "{name}"
                );
                assert!(case.explanation().expect(name).is_guess, "{name}");
            }
            (Outlook::Forecast(forecast), Chance(lowest, highest)) => {
                assert_sound(name, &case, forecast);
                let probability = forecast.probability.unwrap();
                assert!((lowest..=highest).contains(&probability), "{name}: {probability}");
                assert!(case.explanation().is_some_and(|told| !told.is_guess), "{name}");
            }
            (outlook, says) => panic!("{name}: expected {says:?}, found {outlook:?}"),
        }
    }
}

#[test]
fn the_sooner_end_is_the_tighter_one() {
    let outlook = |probability: Option<f64>, days: Option<i64>| {
        let mut forecast = Case::new().forecast();
        let date = days.map(|days| forecast.at + hours(24 * days));
        (forecast.probability, forecast.run_out) = (probability, RunOut { p10: date, p50: date, p90: None });
        Outlook::Forecast(forecast)
    };
    let too_little = || Outlook::TooLittleHistory { hours: 1, charges: 1, guess: None };
    for (name, one, other, expected) in [
        ("the likelier", outlook(Some(0.6), Some(20)), outlook(Some(0.3), Some(10)), true),
        ("the less likely", outlook(Some(0.3), Some(10)), outlook(Some(0.6), Some(20)), false),
        ("as likely and sooner", outlook(Some(0.3), Some(10)), outlook(Some(0.3), Some(11)), true),
        ("as likely and as soon", outlook(Some(0.3), Some(10)), outlook(Some(0.3), Some(10)), false),
        ("prepaid, sooner", outlook(None, Some(10)), outlook(None, None), true),
        ("danger beats ignorance", outlook(Some(0.3), Some(10)), too_little(), true),
        ("ignorance beats calm", too_little(), outlook(Some(0.02), None), true),
        ("calm does not beat ignorance", outlook(Some(0.02), None), Outlook::UnknownBalance, false),
        ("ignorance does not beat danger", Outlook::UnknownBalance, outlook(None, Some(3)), false),
        ("both unknown", too_little(), Outlook::UnknownBalance, false),
    ] {
        assert_eq!(one.is_tighter_than(&other), expected, "{name}");
    }
}
