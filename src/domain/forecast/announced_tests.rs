//! Teams that announce what they will do are forecast as well as teams that do what they always did. By simulation: the
//! same seeds give the same teams.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::*;

/// A Monday midnight, in hours since the epoch.
const MONDAY: i64 = 492_408;
/// So much history lies before the period.
const HISTORY_DAYS: i64 = 100;
const PERIOD_DAYS: i64 = 30;
/// The day of the period on which an announced change begins.
const CHANGE_DAY: i64 = 12;
const TEAMS: u64 = 60;

const START: i64 = MONDAY + HISTORY_DAYS * 24;
const END: i64 = START + PERIOD_DAYS * 24;
const CHANGE: i64 = START + CHANGE_DAY * 24;

fn moment(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn change(factor: f64, days: i64) -> PaceChange {
    PaceChange { factor, from: moment(CHANGE), to: moment(CHANGE + days * 24) }
}

/// Charges that a team makes on average in an hour of its usual pace: by day, and less at weekends.
fn usual_charges(hour: i64) -> f64 {
    let is_day = (8..20).contains(&hour.rem_euclid(24));
    let is_weekend = (hour - MONDAY).div_euclid(24).rem_euclid(7) >= 5;
    match (is_day, is_weekend) {
        (true, false) => 0.6,
        (true, true) => 0.2,
        (false, _) => 0.02,
    }
}

/// Mean credits of a charge.
const MEAN_CHARGE: f64 = 6.0;

/// Charges in some hours on average, if the pace changes so.
fn mean_charges(hours: std::ops::Range<i64>, paces: &[PaceChange]) -> f64 {
    hours.map(|hour| usual_charges(hour) * pace::factor_at(paces, hour as f64)).sum()
}

fn uniform(random: &mut Pcg64Mcg) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// What a team really uses, hour by hour up to the end of the period: charges come by chance, and so do their sizes.
fn simulated(seed: u64, paces: &[PaceChange]) -> Vec<HourlyUse> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut rows = Vec::new();
    for hour in MONDAY..END {
        let (mut charges, mut net) = (0, 0);
        let mut left = libm::exp(-usual_charges(hour) * pace::factor_at(paces, hour as f64));
        let mut product = uniform(&mut random);
        while product > left {
            charges += 1;
            net += 1 + (-(MEAN_CHARGE - 0.5) * libm::log(1.0 - uniform(&mut random))) as i64;
            product *= uniform(&mut random);
            left = left.max(1e-300);
        }
        if charges > 0 {
            rows.push(HourlyUse { hour, net: Credits::from_whole(net), charges });
        }
    }
    rows
}

/// How well teams are forecast at one hour: the error of the expected use as a share of the true mean, and the Brier score of
/// the probability of running out, at amounts left round what is used on average.
#[derive(Clone, Copy, Debug, Default)]
struct Quality {
    error: f64,
    brier: f64,
}

fn quality(really: &[PaceChange], announced: &[PaceChange], at: i64) -> Quality {
    let mut quality = Quality::default();
    let mean = mean_charges(at..END, really) * MEAN_CHARGE;
    let lefts = [0.8, 0.95, 1.1, 1.3];
    for seed in 0..TEAMS {
        let rows = simulated(seed, really);
        let (known, coming) = rows.split_at(rows.partition_point(|row| row.hour < at));
        let mut state = UsageState::under(announced.into());
        known.iter().try_for_each(|row| state.push(*row)).unwrap();
        let used: Credits = coming.iter().map(|row| row.net).sum();
        let period = (moment(START), moment(END));
        for left in lefts {
            let left = Credits::from_whole((mean * left) as i64);
            let forecast = forecast(&ForecastInput {
                state: &state,
                now: moment(at),
                period: Some(period),
                remaining: Some(left),
                granted: None,
                before: Some(PriorUse::of_rows_under(known, period, announced)),
                announced: Announced { paces: announced, ..Announced::default() },
            });
            let forecast = forecast.forecast().cloned().unwrap();
            let came = f64::from(u8::from(used >= left));
            let share = 1.0 / (TEAMS as f64 * lefts.len() as f64);
            quality.error += share * (forecast.expected_use - used).as_f64().abs() / mean;
            quality.brier += share * (forecast.probability.unwrap() - came).powi(2);
        }
    }
    quality
}

/// A team that always had the pace that this one has, on average, from an hour on: as lumpy, and with nothing to announce.
fn twin(paces: &[PaceChange], at: i64) -> [PaceChange; 1] {
    let factor = mean_charges(at..END, paces) / mean_charges(at..END, &[]);
    [PaceChange { factor, from: moment(MONDAY), to: moment(END) }]
}

#[test]
fn a_team_that_announces_is_forecast_as_well_as_one_that_never_changed() {
    let doubled = [change(2.0, 60)];
    let halved = [change(0.5, 60)];
    let holiday = [change(0.0, 7)];
    let busy_days = [change(3.0, 5)];
    let holiday_in_a_busy_month = [change(2.0, 60), PaceChange { factor: 0.0, ..change(1.0, 4) }];
    for (name, paces, days) in [
        ("twice the pace", &doubled[..], [-8, -2, 1, 4, 9]),
        ("half the pace", &halved, [-8, -2, 1, 4, 9]),
        ("a week's holiday", &holiday, [-8, -2, 1, 4, 9]),
        ("five busy days", &busy_days, [-8, -2, 1, 7, 9]),
        ("a holiday in a busy month", &holiday_in_a_busy_month, [-8, -2, 1, 5, 9]),
    ] {
        for day in days {
            let at = CHANGE + day * 24;
            let never = quality(&twin(paces, at), &[], at);
            let (told, untold) = (quality(paces, paces, at), quality(paces, &[], at));
            let words = format!("{name}, day {day:+}: never changed {never:.3?}, told {told:.3?}, untold {untold:.3?}");
            assert!(told.error < never.error + 0.04 && told.brier < never.brier + 0.03, "{words}");
            assert!(untold.error > told.error + 0.02 && untold.brier > told.brier + 0.02, "{words}");
            // While most of the change is still to be seen, the difference is large.
            assert!(day > 1 || (untold.error > 1.6 * told.error && untold.brier > 1.4 * told.brier), "{words}");
        }
    }
}

#[test]
fn what_is_announced_and_does_not_come_is_corrected_by_what_comes() {
    let announced = [change(2.0, 60)];
    let at = |day: i64| quality(&[], &announced, CHANGE + day * 24).error;
    let (first, later) = (at(1), at(15));
    assert!(first > 0.7 && later < 0.65 * first, "{first} {later}");
}

fn fed(rows: &[HourlyUse], paces: &[PaceChange]) -> UsageState {
    let mut state = UsageState::under(paces.into());
    rows.iter().try_for_each(|row| state.push(*row)).unwrap();
    state
}

#[test]
fn the_state_follows_from_rows_and_announcements_to_the_bit() {
    let half_past = |pace: PaceChange| PaceChange { from: pace.from + SignedDuration::from_mins(30), ..pace };
    let paces = [half_past(change(2.5, 9)), change(0.0, 3), PaceChange { factor: 20.0, ..change(1.0, 1) }];
    let rows = simulated(1, &paces);
    let at_once = fed(&rows, &paces);
    let mut stepped = UsageState::under(paces.as_slice().into());
    for row in &rows {
        (row.hour - 3..=row.hour).for_each(|hour| stepped.advance_to(hour));
        stepped.push(*row).unwrap();
    }
    assert_eq!(stepped, at_once);
    assert_eq!(fed(&rows, &[]), UsageState::rebuild(&rows).unwrap());

    // A factor of 1 says nothing, and neither does what lies outside the history.
    let nothing = [change(1.0, 9), PaceChange { factor: 7.0, from: moment(0), to: moment(MONDAY) }];
    let usual = fed(&rows, &[]);
    assert_eq!(fed(&rows, &nothing).memory, usual.memory);
    let ahead = [PaceChange { factor: 7.0, from: moment(END), to: moment(END + 99) }];
    assert_eq!(fed(&rows, &ahead).memory, usual.memory);
}

#[test]
fn hours_at_rest_teach_nothing_and_those_at_a_factor_count_by_it() {
    let paces = [change(0.0, 7)];
    let mut rows = simulated(3, &paces);
    let before = fed(&rows[..rows.partition_point(|row| row.hour < CHANGE)], &paces);
    let present = |state: &UsageState, hour: i64| state.memory.at(moment(hour), &state.paces);
    let (begins, ends) = (present(&before, CHANGE), present(&before, CHANGE + 7 * 24));
    assert_eq!(begins, ends, "no time passes for the levels");
    // What somebody uses all the same is counted where credits are counted, and nowhere else.
    rows.insert(rows.partition_point(|row| row.hour < CHANGE + 50), HourlyUse { hour: CHANGE + 50, ..rows[0] });
    let after = fed(&rows[..rows.partition_point(|row| row.hour < CHANGE + 7 * 24)], &paces);
    assert_eq!(present(&after, CHANGE + 7 * 24).used, begins.used);
    assert_eq!(after.charges(), before.charges() + u64::from(rows[0].charges));

    let fifty = moment(CHANGE) - hours_of(30);
    for (name, paces, from, to, expected) in [
        ("nothing", vec![], 0, 48, 1.0),
        ("the whole", vec![change(2.0, 9)], 0, 48, 2.0),
        ("half of it", vec![change(2.0, 9)], -24, 24, 1.5),
        ("two together", vec![change(2.0, 9), change(3.0, 1)], 0, 48, 4.0),
        ("a holiday in it", vec![change(2.0, 9), change(0.0, 1)], 0, 48, 1.0),
        ("more than anybody means", vec![change(20.0, 9), change(20.0, 9)], 0, 48, 100.0),
        ("half an hour", vec![PaceChange { from: fifty, ..change(3.0, 9) }], -30, 18, 3.0),
    ] {
        let found = pace::factor_between(&paces, (CHANGE + from) as f64, (CHANGE + to) as f64);
        assert!((found - expected).abs() < 1e-12, "{name}: {found}");
    }
}

fn hours_of(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

#[test]
fn a_batch_with_a_range_adds_its_mean_and_its_spread() {
    let rows = simulated(5, &[]);
    let known = &rows[..rows.partition_point(|row| row.hour < CHANGE)];
    let state = fed(known, &[]);
    let period = (moment(START), moment(END));
    let credits = Credits::from_whole;
    let batch = |low, likely, high| PlannedBatch {
        at: moment(CHANGE + 100),
        low: credits(low),
        likely: credits(likely),
        high: credits(high),
    };
    let ask = |left: i64, batches: &[PlannedBatch], queued: i64| {
        let input = ForecastInput {
            state: &state,
            now: moment(CHANGE),
            period: Some(period),
            remaining: Some(credits(left)),
            granted: None,
            before: Some(PriorUse::of_rows(known, period)),
            announced: Announced { batches, queued: credits(queued), ..Announced::default() },
        };
        let band = use_ahead(&input, &[moment(END)])[0];
        (forecast(&input).forecast().cloned().unwrap(), (band.p90 - band.p10).as_f64())
    };
    let ((usual, usual_band), (exact, exact_band)) = (ask(2000, &[], 0), ask(2000, &[batch(400, 400, 400)], 0));
    let (ranged, ranged_band) = ask(2000, &[batch(100, 400, 1000)], 0);
    assert_eq!(exact.expected_use, usual.expected_use + credits(400));
    assert_eq!(exact_band, usual_band, "what is known exactly makes nothing less sure");
    assert!(ranged_band > usual_band + 100.0, "{ranged_band} {usual_band}");
    let further = (ranged.expected_use - exact.expected_use).as_f64();
    assert!((0.0..200.0).contains(&further), "its mean is above its median: {further}");

    // A team that rests and has one batch ahead runs out if that is dearer than what is left: near the bounds named.
    let rest = [change(0.0, 60)];
    for (left, lowest, highest) in [(395, 0.85, 1.0), (720, 0.15, 0.75), (1500, 0.0, 0.2)] {
        let input = ForecastInput {
            state: &state,
            now: moment(CHANGE + 1),
            period: Some(period),
            remaining: Some(credits(left)),
            granted: None,
            before: None,
            announced: Announced { paces: &rest, batches: &[batch(400, 700, 1000)], queued: Credits::ZERO },
        };
        let probability = forecast(&input).forecast().and_then(|forecast| forecast.probability).unwrap();
        assert!((lowest..=highest).contains(&probability), "{left}: {probability}");
    }

    let (queued, _) = ask(2000, &[], 400);
    assert_eq!(queued.expected_use, exact.expected_use);
    assert_eq!(ask(300, &[], 400).0.probability, Some(1.0), "what waits costs more than is left");
}
