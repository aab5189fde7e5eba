//! Cron lines and plan resets as values, correct across clock changes.
//!
//! A schedule is a cron line *and* a zone. What happens when the zone's clocks change:
//!
//! | | clocks go forward: a gap | clocks go back: an overlap |
//! |---|---|---|
//! | the hour is fixed, as in `30 2 * * *` | once, at the first valid moment after the gap | once, at the first occurrence |
//! | the hour begins with `*`, as in `*/5 * * * *` | what lies in the gap is skipped | in both passes |
//!
//! `expression` reads the text of a line, `cron` finds the wall-clock times that it names, and `zone` knows where clocks
//! change. No arithmetic here assumes that a day has 24 hours.

mod anchor;
mod cron;
mod expression;
mod zone;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use anchor::AnchorDay;
pub use cron::CronSchedule;

/// When a plan resets.
#[derive(Clone, Debug, PartialEq)]
pub enum ResetRule {
    /// At the firings of a cron line.
    Cron(CronSchedule),
    /// On a day of each month.
    Anchor(AnchorDay),
}

/// Why a cron line or an anchor day is refused. The `Display` text ends with a line that begins with `hint:`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The line has too few or too many fields.
    #[error("`{expression}` has {found} field{}; expected 5\nhint: {hint}", if *.found == 1 { "" } else { "s" })]
    FieldCount {
        /// The line, shortened.
        expression: String,
        /// How many fields it has.
        found: usize,
        /// What to write instead.
        hint: &'static str,
    },
    /// The line begins with `@` and is none of the known words.
    #[error("`{expression}` is not known; expected @hourly, @daily, @weekly, @monthly or @yearly\nhint: {hint}")]
    UnknownWord {
        /// The line, shortened.
        expression: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// One field cannot be read.
    #[error("`{expression}` has `{found}` in the {field} field; expected {expected}\nhint: {hint}")]
    Field {
        /// The line, shortened.
        expression: String,
        /// Which field: `minute`, `hour`, `day-of-month`, `month` or `day-of-week`.
        field: &'static str,
        /// The part of the field that cannot be read, shortened.
        found: String,
        /// What can stand there.
        expected: &'static str,
        /// What to write instead.
        hint: String,
    },
    /// The line can be read, and no date matches it.
    #[error(
        "`{expression}` never fires; expected a day that exists in one of its months\n\
         hint: to reset a plan on the last day of each month, use an anchor: `{{day: 31, time: \"00:00\"}}`"
    )]
    NeverFires {
        /// The line, shortened.
        expression: String,
    },
    /// An anchor day is not a day of a month.
    #[error(
        "anchor day `{found}` does not exist; expected 1 to 31\n\
         hint: 31 means the last day of each month: shorter months end earlier"
    )]
    AnchorDay {
        /// The day as written.
        found: i64,
    },
}

impl ResetRule {
    /// The first reset strictly later than `after`; `None` if there is none within five years.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            ResetRule::Cron(schedule) => schedule.next_after(after),
            ResetRule::Anchor(anchor) => anchor.next_after(after),
        }
    }

    /// The last reset at or before `at`: the start of the period that `at` lies in. Periods contain their start and not
    /// their end.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            ResetRule::Cron(schedule) => schedule.last_at_or_before(at),
            ResetRule::Anchor(anchor) => anchor.last_at_or_before(at),
        }
    }
}
