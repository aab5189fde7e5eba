//! Stretches of time in which a zone keeps one offset. Inside a stretch wall clock and time run in step, so every
//! question about gaps and overlaps is a question about where a stretch begins.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A stretch of time with one offset. Moments are whole seconds since the epoch. A *wall second* is a moment plus the
/// offset in force: the local date and time read as if it were UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// The clock change that begins it; `None` if the zone has no earlier one.
    pub(super) change: Option<Change>,
    /// Seconds east of UTC.
    pub(super) offset: i64,
    /// The clock change that ends it, which is not part of it; `None` if the zone has no later one.
    pub(super) end: Option<i64>,
}

/// The moment at which an offset begins to apply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// When.
    pub(super) at: i64,
    /// Seconds east of UTC until then.
    pub(super) offset_before: i64,
}

impl Stretch {
    /// The stretch that holds a moment; `None` beyond the ends of representable time.
    pub(super) fn at(zone: &TimeZone, second: i64) -> Option<Stretch> {
        let moment = Timestamp::from_second(second).ok()?;
        let offset_at = |moment| i64::from(zone.to_offset(moment).seconds());
        // `preceding` looks strictly before, and a change at this very moment begins this stretch.
        let just_after = Timestamp::from_second(second.checked_add(1)?).ok()?;
        let change = zone.preceding(just_after).next().and_then(|transition| {
            let at = transition.timestamp().as_second();
            let before = Timestamp::from_second(at.checked_sub(1)?).ok()?;
            Some(Change { at, offset_before: offset_at(before) })
        });
        let end = zone.following(moment).next().map(|transition| transition.timestamp().as_second());
        Some(Stretch { change, offset: offset_at(moment), end })
    }

    /// The wall seconds that the clock jumped over at the beginning of this stretch: from, and up to but without.
    pub(super) fn gap(&self) -> Option<(i64, i64)> {
        let Change { at, offset_before } = self.change?;
        (self.offset > offset_before).then_some((at + offset_before, at + self.offset))
    }

    /// The first wall second that is new in this stretch: those before it have been seen in the stretch before.
    pub(super) fn first_new_wall(&self) -> Option<i64> {
        let Change { at, offset_before } = self.change?;
        Some(at + self.offset.max(offset_before))
    }

    /// The first wall second of this stretch.
    pub(super) fn first_wall(&self) -> Option<i64> {
        Some(self.change?.at + self.offset)
    }
}

/// The moment a clock on the wall shows a date and time: the first one if it shows it twice, and the first moment after
/// the gap if it never does. `None` beyond the ends of representable time.
pub(super) fn first_moment(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a time inside the gap lies before the change, and no other change is between.
            let before_the_change = after.to_timestamp(wall).ok()?;
            Some(zone.following(before_the_change).next()?.timestamp())
        }
    }
}
