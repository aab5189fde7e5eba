//! A minute-by-minute reading of the rules, made apart from the code, and compared with it on random lines.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::tests::{moment, zone};
use super::*;

/// A field as text, and independently of any parser the values it names.
#[derive(Clone, Debug)]
struct FieldCase {
    text: String,
    values: BTreeSet<u8>,
    star: bool,
}

fn star(least: u8, most: u8, step: u8) -> FieldCase {
    let text = if step == 1 { "*".to_owned() } else { format!("*/{step}") };
    FieldCase { text, values: (least..=most).step_by(step.into()).collect(), star: true }
}

fn list(values: BTreeSet<u8>) -> FieldCase {
    let text = values.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    FieldCase { text, values, star: false }
}

fn any_field(least: u8, most: u8) -> impl Strategy<Value = FieldCase> {
    prop_oneof![
        (1..=most - least).prop_map(move |step| star(least, most, step)),
        proptest::collection::btree_set(least..=most, 1..4).prop_map(list),
        (least..=most, least..=most, 1..4_u8).prop_map(move |(first, last, step)| {
            let round = (first..=most).chain(least..=last);
            let values = if first <= last { (first..=last).collect::<Vec<_>>() } else { round.collect() };
            let values = values.into_iter().step_by(step.into()).collect();
            FieldCase { text: format!("{first}-{last}/{step}"), values, star: false }
        }),
    ]
}

/// A field that is `*` more often than not, so that lines fire often enough to be compared.
fn mostly_star(least: u8, most: u8) -> impl Strategy<Value = FieldCase> {
    prop_oneof![3 => Just(star(least, most, 1)), 1 => any_field(least, most)]
}

fn any_line() -> impl Strategy<Value = [FieldCase; 5]> {
    // Clocks change in the first hours of a day.
    let small_hours = proptest::collection::btree_set(0..4_u8, 1..4).prop_map(list);
    let hour = prop_oneof![Just(star(0, 23, 1)), any_field(0, 23), small_hours];
    (any_field(0, 59), hour, mostly_star(1, 31), mostly_star(1, 12), mostly_star(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| [minute, hour, day, month, weekday])
}

/// A zone, and a moment that as often as not lies within two days of a change of its clocks.
fn any_place_and_time() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    #[rustfmt::skip]
    let zones = [
        "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Santiago", "Asia/Gaza",
        "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Chatham", "Pacific/Apia", "Africa/Casablanca",
        "Asia/Kathmandu", "UTC",
    ];
    let two_days_in_seconds = 2 * 24 * 3600;
    let between = moment("2011-06-01T00:00Z").as_second()..moment("2045-01-01T00:00Z").as_second();
    (proptest::sample::select(zones.to_vec()), between, -two_days_in_seconds..0_i64, any::<bool>()).prop_map(
        |(name, second, seconds_before_change, near_change)| {
            let zone = zone(name);
            let moment = Timestamp::from_second(second).unwrap();
            let change = zone.following(moment).next().filter(|_| near_change);
            let moment =
                change.map_or(moment, |change| change.timestamp() + SignedDuration::from_secs(seconds_before_change));
            (zone, moment)
        },
    )
}

fn line([minute, hour, day, month, weekday]: &[FieldCase; 5]) -> String {
    [minute, hour, day, month, weekday].map(|field| field.text.as_str()).join(" ")
}

fn matches([minute, hour, day, month, weekday]: &[FieldCase; 5], wall: DateTime) -> bool {
    let names = |field: &FieldCase, value: i8| field.values.contains(&u8::try_from(value).unwrap());
    let on_day = names(day, wall.day());
    let on_weekday = names(weekday, wall.weekday().to_sunday_zero_offset());
    let on_date = if day.star || weekday.star { on_day && on_weekday } else { on_day || on_weekday };
    names(minute, wall.minute()) && names(hour, wall.hour()) && names(month, wall.month()) && on_date
}

/// The firings of a line in `from..to` by watching a clock minute by minute: a `*` hour fires when the clock shows a
/// matching time; a fixed hour fires when the clock shows a matching time, or has jumped over one, for the first time.
fn watch_the_clock(line: &[FieldCase; 5], zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let hour_is_fixed = !line[1].star;
    let mut minute = Timestamp::from_second(from.as_second().div_euclid(60) * 60).unwrap() - 26.hours();
    let mut latest_shown = zone.to_datetime(minute);
    let mut firings = Vec::new();
    while minute < to {
        minute += 1.minute();
        let wall = zone.to_datetime(minute);
        let fires = if hour_is_fixed {
            let mut fires = false;
            while latest_shown < wall {
                latest_shown += 1.minute();
                fires |= matches(line, latest_shown);
            }
            fires
        } else {
            matches(line, wall)
        };
        if fires && from < minute && minute < to {
            firings.push(minute);
        }
    }
    firings
}

fn config() -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(9);
    ProptestConfig { cases: 192, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn firings_are_those_that_a_watched_clock_shows(
        fields in any_line(),
        (zone, from) in any_place_and_time(),
        starts in proptest::collection::vec(0..3 * 24 * 3600_i64, 12),
    ) {
        let line = line(&fields);
        let schedule = match CronSchedule::parse(&line, zone.clone()) {
            Ok(schedule) => schedule,
            Err(CalendarError::NeverFires { .. }) => return Err(TestCaseError::reject("names no date")),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let to = from + SignedDuration::from_hours(3 * 24);
        let watched = watch_the_clock(&fields, &zone, from, to);

        let found = schedule.upcoming(from, 100);
        prop_assert!(found.is_sorted_by(|earlier, later| earlier < later), "`{line}` is out of order");
        let found: Vec<_> = found.into_iter().filter(|at| *at < to).collect();
        prop_assert_eq!(&found[..], &watched[..watched.len().min(100)], "`{}`", &line);

        for start in starts {
            let start = from + SignedDuration::from_secs(start);
            if let Some(expected) = watched.iter().find(|at| **at > start) {
                prop_assert_eq!(schedule.next_after(start), Some(*expected), "`{}` after {}", &line, start);
            }
            if let Some(expected) = watched.iter().rfind(|at| **at <= start) {
                prop_assert_eq!(schedule.last_at_or_before(start), Some(*expected), "`{}` before {}", &line, start);
            }
        }
    }

    #[test]
    fn forward_and_backward_agree_however_rare_the_firings(fields in any_line(), (zone, from) in any_place_and_time()) {
        let Ok(schedule) = CronSchedule::parse(&line(&fields), zone) else {
            return Err(TestCaseError::reject("names no date"));
        };
        let Some(next) = schedule.next_after(from) else {
            return Err(TestCaseError::reject("rarer than every five years"));
        };
        prop_assert!(next > from);
        prop_assert_eq!(schedule.last_at_or_before(next), Some(next));
        let previous = schedule.last_at_or_before(next - 1.nanosecond());
        prop_assert!(previous.is_none_or(|previous| previous <= from));
        if let Some(previous) = previous {
            prop_assert_eq!(schedule.next_after(previous), Some(next));
        }
    }

    #[test]
    fn anchors_come_once_a_month_in_both_directions(
        day in 1..=31_i64,
        (hour, minute) in (0..24_i8, 0..60_i8),
        (zone, from) in any_place_and_time(),
    ) {
        let time = jiff::civil::time(hour, minute, 0, 0);
        let anchor = AnchorDay::new(day, time, zone.clone()).unwrap();
        let next = anchor.next_after(from).unwrap();
        prop_assert!(next > from);
        prop_assert!(next.duration_since(from) <= SignedDuration::from_hours(32 * 24));
        prop_assert_eq!(anchor.last_at_or_before(next), Some(next));
        let previous = anchor.last_at_or_before(next - 1.nanosecond()).unwrap();
        prop_assert!(previous <= from);
        prop_assert_eq!(anchor.next_after(previous), Some(next));

        let shown = zone.to_datetime(next);
        let wanted = shown.date().with().day(i8::try_from(day).unwrap().min(shown.days_in_month())).build().unwrap();
        // A clock shows the wanted time, unless a change left it out: then it has just jumped over it. Apia left out a day.
        let jumped_over = zone.to_datetime(next - 1.second()) < wanted.to_datetime(time) && wanted.to_datetime(time) < shown;
        prop_assert!(shown == wanted.to_datetime(time) || jumped_over || shown.date() == jiff::civil::date(2011, 12, 31));
    }
}
