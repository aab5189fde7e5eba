//! Tables of clock changes, mistakes and anchors, and a minute-by-minute reading of the rules to compare with.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn cron(expression: &str, zone_name: &str) -> CronSchedule {
    CronSchedule::parse(expression, zone(zone_name)).unwrap_or_else(|error| panic!("{error}"))
}

/// A moment as the clocks of a zone show it.
fn shown(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

/// Looks forward from `after`, one firing at a time, and then back again.
fn check_resets(rule: &ResetRule, zone: &TimeZone, after: &str, expected: &[&str]) {
    let mut found = Vec::new();
    let mut at = moment(after);
    for _ in expected {
        at = rule.next_after(at).unwrap();
        found.push(at);
    }
    let found_as_shown: Vec<String> = found.iter().map(|at| shown(*at, zone)).collect();
    assert_eq!(found_as_shown, expected, "{rule:?} after {after}");

    let before = |at: &Timestamp| rule.last_at_or_before(*at - 1.nanosecond()).unwrap();
    for (i, at) in found.iter().enumerate() {
        assert_eq!(rule.last_at_or_before(*at), Some(*at), "{rule:?} at {at}");
        assert_eq!(rule.last_at_or_before(*at + 1.nanosecond()), Some(*at), "{rule:?} just after {at}");
        match i.checked_sub(1) {
            Some(previous) => assert_eq!(before(at), found[previous], "{rule:?} before {at}"),
            None => assert!(before(at) <= moment(after), "{rule:?} before {at}"),
        }
    }
}

#[test]
fn cron_lines_keep_their_meaning_when_clocks_change() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str, &[&str])] = &[
        // The usual hour.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00+01:00", &["2026-03-29 03:00 +02:00", "2026-03-30 02:30 +02:00"]),
        ("Europe/Berlin", "*/20 2 * * *", "2026-03-28T12:00+01:00", &["2026-03-29 03:00 +02:00", "2026-03-30 02:00 +02:00"]),
        ("Europe/Berlin", "0 2,3 * * *", "2026-03-28T12:00+01:00", &["2026-03-29 03:00 +02:00", "2026-03-30 02:00 +02:00"]),
        ("Europe/Berlin", "*/30 * * * *", "2026-03-29T01:00+01:00", &["2026-03-29 01:30 +01:00", "2026-03-29 03:00 +02:00", "2026-03-29 03:30 +02:00"]),
        ("Europe/Berlin", "30 */2 * * *", "2026-03-29T00:30+01:00", &["2026-03-29 04:30 +02:00"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00+02:00", &["2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"]),
        ("Europe/Berlin", "*/30 2 * * *", "2026-10-24T12:00+02:00", &["2026-10-25 02:00 +02:00", "2026-10-25 02:30 +02:00", "2026-10-26 02:00 +01:00"]),
        ("Europe/Berlin", "0 1-3 * * *", "2026-10-25T01:00+02:00", &["2026-10-25 02:00 +02:00", "2026-10-25 03:00 +01:00"]),
        ("Europe/Berlin", "*/30 * * * *", "2026-10-25T02:00+02:00", &["2026-10-25 02:30 +02:00", "2026-10-25 02:00 +01:00", "2026-10-25 02:30 +01:00", "2026-10-25 03:00 +01:00"]),
        ("Europe/Paris", "@hourly", "2026-10-25T01:30+02:00", &["2026-10-25 02:00 +02:00", "2026-10-25 02:00 +01:00", "2026-10-25 03:00 +01:00"]),
        ("Europe/Paris", "@daily", "2026-03-28T12:00+01:00", &["2026-03-29 00:00 +01:00", "2026-03-30 00:00 +02:00"]),
        // A gap, and a doubled time.
        ("America/New_York", "30 2 * * *", "2025-03-08T12:00-05:00", &["2025-03-09 03:00 -04:00", "2025-03-10 02:30 -04:00"]),
        ("America/New_York", "*/20 * * * *", "2025-03-09T01:40-05:00", &["2025-03-09 03:00 -04:00", "2025-03-09 03:20 -04:00"]),
        ("America/New_York", "30 1 * * *", "2025-11-01T12:00-04:00", &["2025-11-02 01:30 -04:00", "2025-11-03 01:30 -05:00"]),
        ("America/New_York", "*/20 * * * *", "2025-11-02T01:20-04:00", &["2025-11-02 01:40 -04:00", "2025-11-02 01:00 -05:00", "2025-11-02 01:20 -05:00", "2025-11-02 01:40 -05:00", "2025-11-02 02:00 -05:00"]),
        // From inside the second pass.
        ("America/New_York", "30 1 * * *", "2025-11-02T01:15-05:00", &["2025-11-03 01:30 -05:00"]),
        // A gap at midnight; older zone data had it a week earlier.
        ("America/Santiago", "0 0 * * *", "2022-09-03T12:00-04:00", &["2022-09-04 00:00 -04:00", "2022-09-05 00:00 -04:00"]),
        ("America/Santiago", "0 0 * * *", "2022-09-10T12:00-04:00", &["2022-09-11 01:00 -03:00", "2022-09-12 00:00 -03:00"]),
        ("America/Santiago", "30 * * * *", "2022-09-10T23:00-04:00", &["2022-09-10 23:30 -04:00", "2022-09-11 01:30 -03:00"]),
        // Half an hour.
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00+11:00", &["2026-04-05 01:45 +11:00", "2026-04-06 01:45 +10:30"]),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-04-05T01:30+11:00", &["2026-04-05 01:45 +11:00", "2026-04-05 01:30 +10:30", "2026-04-05 01:45 +10:30", "2026-04-05 02:00 +10:30"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00+10:30", &["2026-10-04 02:30 +11:00", "2026-10-05 02:15 +11:00"]),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-10-04T01:30+10:30", &["2026-10-04 01:45 +10:30", "2026-10-04 02:30 +11:00"]),
        // Offsets of 45 minutes.
        ("Pacific/Chatham", "0 3 * * *", "2026-04-04T12:00+13:45", &["2026-04-05 03:00 +13:45", "2026-04-06 03:00 +12:45"]),
        ("Pacific/Chatham", "0 * * * *", "2026-04-05T02:00+13:45", &["2026-04-05 03:00 +13:45", "2026-04-05 03:00 +12:45", "2026-04-05 04:00 +12:45"]),
        ("Pacific/Chatham", "0 3 * * *", "2026-09-26T12:00+12:45", &["2026-09-27 03:45 +13:45", "2026-09-28 03:00 +13:45"]),
        ("Pacific/Chatham", "0 * * * *", "2026-09-27T02:00+12:45", &["2026-09-27 04:00 +13:45"]),
        // Every four hours, with an offset and through a gap.
        ("Australia/Sydney", "30 2-23/4 * * *", "2019-10-05T20:00+10:00", &["2019-10-05 22:30 +10:00", "2019-10-06 03:00 +11:00", "2019-10-06 06:30 +11:00", "2019-10-06 10:30 +11:00"]),
        // Changes that follow Ramadan.
        ("Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00+01:00", &["2026-02-15 02:30 +01:00", "2026-02-16 02:30 +00:00"]),
        ("Africa/Casablanca", "0,30 * * * *", "2026-02-15T02:00+01:00", &["2026-02-15 02:30 +01:00", "2026-02-15 02:00 +00:00", "2026-02-15 02:30 +00:00"]),
        ("Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00+00:00", &["2026-03-22 03:00 +01:00", "2026-03-23 02:30 +01:00"]),
        // A day that does not exist.
        ("Pacific/Apia", "0 6 * * *", "2011-12-29T12:00-10:00", &["2011-12-31 00:00 +14:00", "2011-12-31 06:00 +14:00"]),
        ("Pacific/Apia", "0 * * * *", "2011-12-29T23:00-10:00", &["2011-12-31 00:00 +14:00", "2011-12-31 01:00 +14:00"]),
        ("Pacific/Apia", "0 0 30 * *", "2011-12-01T00:00-10:00", &["2011-12-31 00:00 +14:00", "2012-01-30 00:00 +14:00"]),
        ("Pacific/Apia", "0 12 * * fri", "2011-12-24T00:00-10:00", &["2011-12-31 00:00 +14:00", "2012-01-06 12:00 +14:00"]),
        // The edges of the calendar.
        ("UTC", "0 0 29 2 *", "2026-01-01T00:00Z", &["2028-02-29 00:00 +00:00", "2032-02-29 00:00 +00:00"]),
        ("UTC", "59 23 31 12 *", "2026-12-31T23:58:59.5Z", &["2026-12-31 23:59 +00:00", "2027-12-31 23:59 +00:00"]),
        ("UTC", "0 0 31 * *", "2026-01-31T00:00Z", &["2026-03-31 00:00 +00:00", "2026-05-31 00:00 +00:00"]),
    ];
    for (zone_name, expression, after, expected) in table {
        check_resets(&ResetRule::Cron(cron(expression, zone_name)), &zone(zone_name), after, expected);
    }
}

#[test]
fn fields_read_as_in_a_crontab() {
    // The first of June 2026 is a Monday.
    #[rustfmt::skip]
    let table: &[(&str, &str, &[&str])] = &[
        ("numbers name weekdays from Sunday", "0 0 * * 1-5", &["06-01 00:00", "06-02 00:00", "06-03 00:00", "06-04 00:00", "06-05 00:00", "06-08 00:00"]),
        ("0 is Sunday", "0 0 * * 0", &["06-07 00:00", "06-14 00:00"]),
        ("7 is Sunday", "0 0 * * 7", &["06-07 00:00", "06-14 00:00"]),
        ("a range up to 7", "0 0 * * 5-7", &["06-05 00:00", "06-06 00:00", "06-07 00:00", "06-12 00:00"]),
        ("a range from 7 wraps", "0 0 * * 7-1", &["06-01 00:00", "06-07 00:00", "06-08 00:00"]),
        ("weekday names wrap", "0 0 * * fri-mon", &["06-01 00:00", "06-05 00:00", "06-06 00:00", "06-07 00:00", "06-08 00:00"]),
        ("hours wrap", "0 22-1 * * *", &["06-01 00:00", "06-01 01:00", "06-01 22:00", "06-01 23:00", "06-02 00:00"]),
        ("hours wrap with a step", "0 22-2/2 * * *", &["06-01 00:00", "06-01 02:00", "06-01 22:00", "06-02 00:00"]),
        ("the step starts where the range does", "5-30/10 6 * * *", &["06-01 06:05", "06-01 06:15", "06-01 06:25", "06-02 06:05"]),
        ("names in any case", "0 0 1 JUL,aug *", &["07-01 00:00", "08-01 00:00"]),
        ("leading zeros", "05 06 07 08 *", &["08-07 06:05"]),
        ("either day field counts", "0 0 13 * fri", &["06-05 00:00", "06-12 00:00", "06-13 00:00", "06-19 00:00"]),
        ("unless the day of month begins with a star", "0 0 */10 * mon", &["06-01 00:00", "08-31 00:00", "09-21 00:00"]),
        ("or the day of week does", "0 0 1-3 * */2", &["06-02 00:00", "07-02 00:00", "08-01 00:00"]),
        ("either may name no date", "0 0 31 6 mon", &["06-01 00:00", "06-08 00:00"]),
        ("a full list is a star, but fixed", "0 0-23 * * *", &["06-01 00:00", "06-01 01:00"]),
        ("white space of any width", "  0\t12  * * *  ", &["06-01 12:00", "06-02 12:00"]),
        ("@hourly", "@hourly", &["06-01 00:00", "06-01 01:00"]),
        ("@daily", "@daily", &["06-01 00:00", "06-02 00:00"]),
        ("@midnight", "@midnight", &["06-01 00:00", "06-02 00:00"]),
        ("@weekly", "@weekly", &["06-07 00:00", "06-14 00:00"]),
        ("@monthly", "@monthly", &["06-01 00:00", "07-01 00:00"]),
    ];
    for (case, expression, expected) in table {
        let found = cron(expression, "UTC").upcoming(moment("2026-05-31T23:59:59Z"), expected.len());
        let found: Vec<String> = found.iter().map(|at| shown(*at, &TimeZone::UTC)[5..16].to_owned()).collect();
        assert_eq!(found, *expected, "{case}: `{expression}`");
    }
    for yearly in ["@yearly", "@annually", "@Yearly"] {
        let found = cron(yearly, "UTC").next_after(moment("2026-05-31T00:00Z"));
        assert_eq!(found, Some(moment("2027-01-01T00:00Z")), "{yearly}");
    }
}

#[test]
fn mistakes_get_their_words() {
    const LAST_DAY: &str =
        "hint: to reset a plan on the last day of each month, use an anchor: `{day: 31, time: \"00:00\"}`";
    let five = "hint: minute hour day-of-month month day-of-week, such as `0 6 * * mon-fri`";
    let words = "expected @hourly, @daily, @weekly, @monthly or @yearly";
    let minutes = "expected 0 to 59\nhint: for example `0` on the hour, `*/5` every five minutes, `0,30` twice an hour";
    let hours = "expected 0 to 23\nhint: for example `0` at midnight, `8-18` from eight to six, `*/6` every six hours";
    let weekdays = "expected 0 to 7 (0 and 7 are Sunday) or sun to sat";
    #[rustfmt::skip]
    let table = [
        ("", format!("`` has 0 fields; expected 5\n{five}")),
        ("5", format!("`5` has 1 field; expected 5\n{five}")),
        ("*/5 * * *", format!("`*/5 * * *` has 4 fields; expected 5\n{five}")),
        ("0 */5 * * * *", "`0 */5 * * * *` has 6 fields; expected 5\nhint: seconds and years have no field here: minute hour day-of-month month day-of-week".to_owned()),
        ("@fortnightly", format!("`@fortnightly` is not known; {words}\n{five}")),
        ("@every 5m", format!("`@every 5m` is not known; {words}\nhint: write `*/5 * * * *` for every five minutes")),
        ("@reboot", format!("`@reboot` is not known; {words}\nhint: the first poll runs at every start; say when the others do, such as `*/5 * * * *`")),
        ("60 * * * *", format!("`60 * * * *` has `60` in the minute field; {minutes}")),
        ("300 * * * *", format!("`300 * * * *` has `300` in the minute field; {minutes}")),
        ("-5 * * * *", format!("`-5 * * * *` has `-5` in the minute field; {minutes}")),
        ("+5 * * * *", format!("`+5 * * * *` has `+5` in the minute field; {minutes}")),
        ("1,,2 * * * *", format!("`1,,2 * * * *` has `` in the minute field; {minutes}")),
        ("**** * * * *", format!("`**** * * * *` has `****` in the minute field; {minutes}")),
        ("*-5 * * * *", format!("`*-5 * * * *` has `*-5` in the minute field; {minutes}")),
        ("1-2-3 * * * *", format!("`1-2-3 * * * *` has `1-2-3` in the minute field; {minutes}")),
        ("*/0 * * * *", "`*/0 * * * *` has `*/0` in the minute field; expected 0 to 59\nhint: a step is 1 to 60, such as `*/2`".to_owned()),
        ("*/90 * * * *", "`*/90 * * * *` has `*/90` in the minute field; expected 0 to 59\nhint: a step is 1 to 60, such as `*/2`".to_owned()),
        ("*/5/2 * * * *", "`*/5/2 * * * *` has `*/5/2` in the minute field; expected 0 to 59\nhint: a step is 1 to 60, such as `*/2`".to_owned()),
        ("5/15 * * * *", "`5/15 * * * *` has `5/15` in the minute field; expected 0 to 59\nhint: a step needs a range: `5-59/15` or `*/15`".to_owned()),
        ("0 24 * * *", format!("`0 24 * * *` has `24` in the hour field; {hours}")),
        ("0 0 0 * *", "`0 0 0 * *` has `0` in the day-of-month field; expected 1 to 31\nhint: for example `1` on the first, `1,15` twice a month, `*` every day".to_owned()),
        ("0 0 L * *", format!("`0 0 L * *` has `L` in the day-of-month field; expected 1 to 31\n{LAST_DAY}")),
        ("0 0 15W * *", "`0 0 15W * *` has `15W` in the day-of-month field; expected 1 to 31\nhint: the nearest weekday cannot be said; list the days".to_owned()),
        ("0 0 ? * mon", "`0 0 ? * mon` has `?` in the day-of-month field; expected 1 to 31\nhint: write `*` for any".to_owned()),
        ("0 0 1 13 *", "`0 0 1 13 *` has `13` in the month field; expected 1 to 12 or jan to dec\nhint: for example `1,4,7,10` or `jan,apr,jul,oct` every quarter, `*` every month".to_owned()),
        ("0 0 * * 8", format!("`0 0 * * 8` has `8` in the day-of-week field; {weekdays}\nhint: for example `1-5` or `mon-fri` on weekdays, `*` every day")),
        ("0 0 * * monday", format!("`0 0 * * monday` has `monday` in the day-of-week field; {weekdays}\nhint: for example `1-5` or `mon-fri` on weekdays, `*` every day")),
        ("0 0 * * mon#2", format!("`0 0 * * mon#2` has `mon#2` in the day-of-week field; {weekdays}\nhint: the n-th weekday of a month cannot be said; `mon` means every Monday")),
        ("0 0 * * 5L", format!("`0 0 * * 5L` has `5L` in the day-of-week field; {weekdays}\nhint: the n-th weekday of a month cannot be said; `mon` means every Monday")),
        ("0 0 31 2 *", format!("`0 0 31 2 *` never fires; expected a day that exists in one of its months\n{LAST_DAY}")),
        ("0 0 30,31 feb *", format!("`0 0 30,31 feb *` never fires; expected a day that exists in one of its months\n{LAST_DAY}")),
        ("\u{1b}[31m * * * *", format!("`\u{fffd}[31m * * * *` has `\u{fffd}[31m` in the minute field; {minutes}")),
    ];
    for (expression, expected) in table {
        let error = CronSchedule::parse(expression, TimeZone::UTC).expect_err(expression);
        assert_eq!(error.to_string(), expected, "{expression}");
    }
    let long = CronSchedule::parse(&"*".repeat(10_000), TimeZone::UTC).expect_err("long");
    assert!(long.to_string().len() < 300, "{long}");
}

#[test]
fn anchors_clamp_and_return() {
    #[rustfmt::skip]
    let table: &[(&str, i64, &str, &str, &[&str])] = &[
        ("Europe/Berlin", 31, "00:00", "2026-01-15T12:00+01:00", &["2026-01-31 00:00 +01:00", "2026-02-28 00:00 +01:00", "2026-03-31 00:00 +02:00", "2026-04-30 00:00 +02:00", "2026-05-31 00:00 +02:00"]),
        ("UTC", 31, "00:00", "2028-01-31T00:00Z", &["2028-02-29 00:00 +00:00", "2028-03-31 00:00 +00:00"]),
        ("UTC", 29, "09:30", "2026-01-31T00:00Z", &["2026-02-28 09:30 +00:00", "2026-03-29 09:30 +00:00"]),
        ("UTC", 30, "00:00", "2027-12-30T00:00Z", &["2028-01-30 00:00 +00:00", "2028-02-29 00:00 +00:00", "2028-03-30 00:00 +00:00"]),
        ("UTC", 1, "00:00", "2026-11-30T23:59:59.999Z", &["2026-12-01 00:00 +00:00", "2027-01-01 00:00 +00:00"]),
        // A time that a clock change leaves out, and one that occurs twice.
        ("Europe/Berlin", 29, "02:30", "2026-03-01T00:00+01:00", &["2026-03-29 03:00 +02:00", "2026-04-29 02:30 +02:00"]),
        ("Europe/Berlin", 25, "02:30", "2026-10-01T00:00+02:00", &["2026-10-25 02:30 +02:00", "2026-11-25 02:30 +01:00"]),
        ("America/Santiago", 11, "00:00", "2022-09-01T00:00-04:00", &["2022-09-11 01:00 -03:00", "2022-10-11 00:00 -03:00"]),
        ("Pacific/Apia", 30, "18:00", "2011-12-01T00:00-10:00", &["2011-12-31 00:00 +14:00", "2012-01-30 18:00 +14:00"]),
        // The first of a month begins earlier in the east than in the month of the moment read as UTC.
        ("Pacific/Auckland", 1, "00:00", "2026-06-30T11:59Z", &["2026-07-01 00:00 +12:00", "2026-08-01 00:00 +12:00"]),
        ("Pacific/Honolulu", 31, "23:59", "2026-09-01T09:58Z", &["2026-08-31 23:59 -10:00", "2026-09-30 23:59 -10:00"]),
    ];
    for (zone_name, day, time, after, expected) in table {
        let anchor = AnchorDay::new(*day, time.parse().unwrap(), zone(zone_name)).unwrap();
        check_resets(&ResetRule::Anchor(anchor), &zone(zone_name), after, expected);
    }
    for found in [0, 32, -1, 256 + 31] {
        let error = AnchorDay::new(found, jiff::civil::Time::midnight(), TimeZone::UTC).unwrap_err();
        assert_eq!(error, CalendarError::AnchorDay { found });
        assert!(
            error.to_string().starts_with(&format!("anchor day `{found}` does not exist; expected 1 to 31\nhint: "))
        );
    }
}

#[test]
fn a_month_with_a_spring_change_has_743_hours() {
    let monthly = cron("0 0 1 * *", "Europe/Berlin");
    let months = monthly.upcoming(moment("2026-02-15T00:00Z"), 2);
    assert_eq!(months[1].duration_since(months[0]), SignedDuration::from_hours(743));
}

#[test]
fn searches_end() {
    let leap = cron("0 0 29 2 *", "Europe/Berlin");
    let every_minute = cron("* * * * *", "Europe/Berlin");
    for (schedule, at, next, last) in [
        (&leap, "2026-01-01T00:00Z", true, true),
        // 2100 is not a leap year, and 2104 is further away than five years.
        (&leap, "2096-03-01T00:00Z", false, true),
        (&every_minute, "2099-01-01T00:00Z", true, true),
        (&every_minute, "2103-01-01T00:00Z", false, true),
        (&every_minute, "2200-01-01T00:00Z", false, false),
        (&every_minute, "1967-01-01T00:00Z", true, false),
        (&every_minute, "1960-01-01T00:00Z", false, false),
    ] {
        let at = moment(at);
        assert_eq!(schedule.next_after(at).is_some_and(|found| found > at), next, "{schedule:?} after {at}");
        assert_eq!(schedule.last_at_or_before(at).is_some_and(|found| found <= at), last, "{schedule:?} before {at}");
    }
    for end_of_time in [Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(every_minute.next_after(end_of_time), None);
        assert_eq!(every_minute.last_at_or_before(end_of_time), None);
        assert_eq!(every_minute.upcoming(end_of_time, 3), []);
    }
}

#[test]
fn printing_a_schedule_shows_its_line_and_zone() {
    let schedule = cron(" */5 * * * * ", "Europe/Berlin");
    assert_eq!(schedule.expression(), "*/5 * * * *");
    assert_eq!(format!("{schedule:?}"), r#"CronSchedule { expression: "*/5 * * * *", zone: "Europe/Berlin" }"#);
    assert_ne!(schedule, cron("*/5 * * * *", "Europe/Paris"));
    assert_eq!(schedule, cron("*/5 * * * *", "Europe/Berlin"));
}

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
        // A clock shows the wanted time, unless a change left it out: then it has just jumped over it.
        let jumped_over = zone.to_datetime(next - 1.second()) < wanted.to_datetime(time) && wanted.to_datetime(time) < shown;
        prop_assert!(shown == wanted.to_datetime(time) || jumped_over || zone.iana_name() == Some("Pacific/Apia"));
    }
}
