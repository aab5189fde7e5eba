//! Cron lines. The `cron` package names wall-clock times; which moments those are is decided here.

use std::fmt;
use std::iter::successors;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::CalendarError;
use super::expression::{self, Expression};
use super::zone::Stretch;

/// A cron line in a zone.
///
/// Five fields: minute, hour, day of month, month, day of week. Each is `*`, a number, a range, a list, or a range or `*`
/// with a step; months and weekdays have names, Sunday is 0 and 7, and a range may wrap, as in `fri-mon` or `22-4`. If
/// both day fields are restricted (neither begins with `*`), a day that matches either of them counts. `@hourly`, `@daily`
/// (`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand for lines.
///
/// What happens at clock changes is said in the [module's documentation](super). Only years from 1970 to 2100 match.
#[derive(Clone)]
pub struct CronSchedule {
    expression: String,
    zone: TimeZone,
    /// One pattern, or two of which either counts.
    patterns: Vec<::cron::Schedule>,
    /// Whether the hour field says at which hour, instead of every hour or every few.
    hour_is_fixed: bool,
}

/// How far a search looks, in seconds: five years of 365 days, so that a search always ends.
const HORIZON_SECONDS: i64 = 5 * 365 * 24 * 3600;

/// 1 January 2000, from where a line is searched when it is read. Until 2100 the calendar shows every date on every
/// weekday, so a line without a match has none.
const FIRST_WALL_TO_TRY: i64 = 946_684_800;

impl PartialEq for CronSchedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl fmt::Debug for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.iana_name().unwrap_or("fixed offset");
        f.debug_struct("CronSchedule").field("expression", &self.expression).field("zone", &zone).finish()
    }
}

impl CronSchedule {
    /// Reads five fields, or `@hourly` and its siblings, in an IANA zone.
    ///
    /// # Errors
    /// What is wrong with the line, and what was expected: see [`CalendarError`]. A line that never fires is refused.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<CronSchedule, CalendarError> {
        let read = expression::parse(expression)?;
        let schedule = CronSchedule {
            expression: expression.trim().to_owned(),
            zone,
            patterns: patterns(&read),
            hour_is_fixed: !read.hour.begins_with_star,
        };
        match schedule.wall_after(FIRST_WALL_TO_TRY - 1) {
            Some(_) => Ok(schedule),
            None => Err(CalendarError::NeverFires { expression: expression::shorten(expression) }),
        }
    }

    /// The first firing strictly later than `after`; `None` if there is none within five years.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after_second = whole_second(after);
        let mut stretch = Stretch::at(&self.zone, after_second)?;
        let second = loop {
            if let Some(second) = self.first_firing(&stretch, after_second) {
                break second;
            }
            let end = stretch.end.filter(|end| end - after_second <= HORIZON_SECONDS)?;
            stretch = Stretch::at(&self.zone, end)?;
        };
        if second - after_second > HORIZON_SECONDS {
            return None;
        }
        Timestamp::from_second(second).ok().filter(|next| *next > after)
    }

    /// The last firing at or before `at`; `None` if there is none within five years.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let at_second = whole_second(at);
        let mut stretch = Stretch::at(&self.zone, at_second)?;
        let second = loop {
            if let Some(second) = self.last_firing(&stretch, at_second) {
                break second;
            }
            let change = stretch.change.filter(|change| at_second - change.at <= HORIZON_SECONDS)?;
            stretch = Stretch::at(&self.zone, change.at.checked_sub(1)?)?;
        };
        if at_second - second > HORIZON_SECONDS {
            return None;
        }
        Timestamp::from_second(second).ok().filter(|last| *last <= at)
    }

    /// The first `count` firings strictly later than `after`, in order; fewer if there are no more within five years of
    /// one another.
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        successors(self.next_after(after), |last| self.next_after(*last)).take(count).collect()
    }

    /// The line as written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The same line, read in another zone.
    #[must_use]
    pub fn in_zone(&self, zone: TimeZone) -> CronSchedule {
        CronSchedule { zone, ..self.clone() }
    }

    /// The zone it is read in.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first firing of a stretch that is later than `after`.
    fn first_firing(&self, stretch: &Stretch, after: i64) -> Option<i64> {
        if let Some(start) = self.gap_replacement(stretch).filter(|start| *start > after) {
            return Some(start);
        }
        let mut wall_before = after + stretch.offset;
        if let Some(first) = self.first_wall_that_counts(stretch) {
            wall_before = wall_before.max(first - 1);
        }
        let second = self.wall_after(wall_before)? - stretch.offset;
        stretch.end.is_none_or(|end| second < end).then_some(second)
    }

    /// The last firing of a stretch that is not later than `at`.
    fn last_firing(&self, stretch: &Stretch, at: i64) -> Option<i64> {
        let too_late = stretch.end.map_or(at + 1, |end| end.min(at + 1));
        self.wall_before(too_late + stretch.offset)
            .filter(|wall| self.first_wall_that_counts(stretch).is_none_or(|first| *wall >= first))
            .map(|wall| wall - stretch.offset)
            .or_else(|| self.gap_replacement(stretch))
    }

    /// The beginning of a stretch, if a line with a fixed hour names a time that the clock jumped over there.
    fn gap_replacement(&self, stretch: &Stretch) -> Option<i64> {
        let (gap_start, gap_end) = stretch.gap().filter(|_| self.hour_is_fixed)?;
        self.wall_after(gap_start - 1).filter(|wall| *wall < gap_end)?;
        Some(gap_end - stretch.offset)
    }

    /// From where on the wall seconds of a stretch fire: a fixed hour does not fire again when the clock has gone back.
    fn first_wall_that_counts(&self, stretch: &Stretch) -> Option<i64> {
        if self.hour_is_fixed { stretch.first_new_wall() } else { stretch.first_wall() }
    }

    /// The first wall second strictly after another that the line names.
    fn wall_after(&self, wall: i64) -> Option<i64> {
        let start = DateTime::<Utc>::from_timestamp(wall, 0)?;
        self.patterns.iter().filter_map(|pattern| pattern.after(&start).next()).min().map(|found| found.timestamp())
    }

    /// The last wall second strictly before another that the line names.
    fn wall_before(&self, wall: i64) -> Option<i64> {
        let start = DateTime::<Utc>::from_timestamp(wall, 0)?;
        self.patterns
            .iter()
            .filter_map(|pattern| pattern.after(&start).next_back())
            .max()
            .map(|found| found.timestamp())
    }
}

/// The patterns for the `cron` package, which wants seconds first and takes a day only if both day fields match.
fn patterns(read: &Expression) -> Vec<::cron::Schedule> {
    let either_day_counts = !read.day_of_month.begins_with_star && !read.day_of_week.begins_with_star;
    let (days, weekdays) = (read.day_of_month.listed(), read.day_of_week.listed());
    let day_fields = if either_day_counts {
        vec![(days.as_str(), "*"), ("*", weekdays.as_str())]
    } else {
        vec![(days.as_str(), weekdays.as_str())]
    };
    let (minute, hour, month) = (read.minute.listed(), read.hour.listed(), read.month.listed());
    day_fields
        .into_iter()
        .map(|(day, weekday)| {
            let line = format!("0 {minute} {hour} {day} {month} {weekday}");
            // `listed` writes `*` or a list of values in range, weekdays as names, and the package reads all of those.
            line.parse().unwrap_or_else(|error| unreachable!("`{line}` is a pattern: {error}"))
        })
        .collect()
}

/// The second that a moment lies in, rounded towards the past also before 1970.
fn whole_second(moment: Timestamp) -> i64 {
    moment.as_second() - i64::from(moment.subsec_nanosecond() < 0)
}
