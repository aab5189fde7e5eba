//! Tables of clock changes, of mistakes and of anchors.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::*;

pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

pub(super) fn moment(text: &str) -> Timestamp {
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
        // The month begins, and then the clock goes back into the month before.
        ("America/St_Johns", "0 0 1 * *", "2009-10-31T23:30-02:30", &["2009-11-01 00:00 -02:30", "2009-12-01 00:00 -03:30"]),
        ("America/St_Johns", "30 23 * * *", "2009-10-31T23:00-02:30", &["2009-10-31 23:30 -02:30", "2009-11-01 23:30 -03:30"]),
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
        ("America/St_Johns", 1, "00:00", "2009-10-31T23:30-02:30", &["2009-11-01 00:00 -02:30", "2009-12-01 00:00 -03:30"]),
        ("America/St_Johns", 1, "00:00", "2009-10-31T23:30-03:30", &["2009-12-01 00:00 -03:30"]),
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
    let epoch = moment("1970-01-01T00:00Z");
    let just_before = epoch - 1.nanosecond();
    assert_eq!(cron("* * * * *", "UTC").next_after(just_before), Some(epoch), "a part of a second before the epoch");
    assert_eq!(cron("* * * * *", "UTC").last_at_or_before(just_before), None, "a part of a second before the epoch");
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
