//! Plans that reset on a day of each month.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::CalendarError;
use super::zone::first_moment;

/// A day of the month on which a plan resets: 29, 30 and 31 clamp to the month's last day and return afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorDay {
    /// 1 to 31.
    pub day: i8,
    /// Wall-clock time of the reset.
    pub time: Time,
    /// The zone the day is counted in.
    pub zone: TimeZone,
}

impl AnchorDay {
    /// A reset on `day` of each month, at `time` on the clocks of `zone`. A time that a clock change leaves out becomes
    /// the first valid moment after the gap; one that occurs twice means the first.
    ///
    /// # Errors
    /// [`CalendarError::AnchorDay`] if `day` is not 1 to 31.
    pub fn new(day: impl Into<i64>, time: Time, zone: TimeZone) -> Result<AnchorDay, CalendarError> {
        let found = day.into();
        match i8::try_from(found) {
            Ok(day @ 1..=31) => Ok(AnchorDay { day, time, zone }),
            _ => Err(CalendarError::AnchorDay { found }),
        }
    }

    /// The first reset strictly later than `after`; `None` only at the end of representable time.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.resets_of_months_near(after).find(|reset| *reset > after)
    }

    /// The last reset at or before `at`; `None` only at the beginning of representable time.
    pub fn last_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.resets_of_months_near(at).take_while(|reset| *reset <= at).last()
    }

    /// The resets of the month before, the month of, and the two months after a moment, in order.
    fn resets_of_months_near(&self, moment: Timestamp) -> impl Iterator<Item = Timestamp> {
        let month = self.zone.to_datetime(moment).date().first_of_month();
        (-1..=2).filter_map(move |months| self.reset_in(month.checked_add(months.months()).ok()?))
    }

    fn reset_in(&self, month: Date) -> Option<Timestamp> {
        let day = self.day.clamp(1, month.days_in_month());
        first_moment(&self.zone, month.with().day(day).build().ok()?.to_datetime(self.time))
    }
}
