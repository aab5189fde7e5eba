//! Cron lines and plan resets as values, correct across clock changes.

use jiff::{Timestamp, tz::TimeZone};

/// A cron line in a zone. Placeholder: see the module's documentation.
#[derive(Clone, Debug)]
pub struct CronSchedule {
    expression: String,
    zone: TimeZone,
}

impl PartialEq for CronSchedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

/// Why a cron line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The line cannot be read.
    #[error("{0}")]
    Expression(String),
}

impl CronSchedule {
    /// Reads five fields, or `@hourly` and its siblings, in an IANA zone.
    ///
    /// # Errors
    /// What is wrong with the line, and what was expected.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<CronSchedule, CalendarError> {
        Ok(CronSchedule { expression: expression.into(), zone })
    }

    /// The first firing strictly later than `after`; `None` if there is none within five years.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        Some(after)
    }

    /// The last firing at or before `at`; `None` if there is none within five years.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        Some(at)
    }

    /// The line as written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone it is read in.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// A day of the month on which a plan resets: 29, 30 and 31 clamp to the month's last day and return afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorDay {
    /// 1 to 31.
    pub day: i8,
    /// Wall-clock time of the reset.
    pub time: jiff::civil::Time,
    /// The zone the day is counted in.
    pub zone: TimeZone,
}

/// When a plan resets.
#[derive(Clone, Debug, PartialEq)]
pub enum ResetRule {
    /// At the firings of a cron line.
    Cron(CronSchedule),
    /// On a day of each month.
    Anchor(AnchorDay),
}

impl ResetRule {
    /// The first reset strictly later than `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let _ = after;
        None
    }

    /// The last reset at or before `at`: the start of the period that `at` lies in.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let _ = at;
        None
    }
}
