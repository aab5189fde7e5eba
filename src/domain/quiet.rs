//! Quiet hours: when people do not want to be written to.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::alert::Stage;

/// A stretch of the day on some days of the week. It may end on the day after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// From this time of day on.
    pub from: Time,
    /// Up to this time of day; on the next day if it is not later than `from`.
    pub to: Time,
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// This stage, and what is worse, is told all the same; `None`: nothing is.
    pub except: Option<Stage>,
}

impl QuietHours {
    /// Whether people in `zone` are not to hear of an alert of that stage at a moment.
    pub fn cover(&self, stage: Stage, at: Timestamp, zone: &TimeZone) -> bool {
        if self.except.is_some_and(|loudest| stage >= loudest) {
            return false;
        }
        let local = at.to_zoned(zone.clone());
        let (time, today) = (local.time(), local.weekday().to_monday_zero_offset() as usize);
        let yesterday = (today + 6) % 7;
        if self.from < self.to {
            return self.days[today] && self.from <= time && time < self.to;
        }
        (self.days[today] && self.from <= time) || (self.days[yesterday] && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let time = |hour: i8| Time::new(hour, 0, 0, 0).unwrap();
        let night = QuietHours { from: time(20), to: time(7), days: WORKDAYS, except: Some(Stage::Critical) };
        let noon = QuietHours { from: time(12), to: time(13), days: [true; 7], except: None };
        let whole = QuietHours {
            from: time(0),
            to: time(0),
            days: [false, false, false, false, false, true, true],
            ..noon.clone()
        };
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-11-23 is a Monday; Berlin is an hour ahead of UTC.
        for (name, hours, stage, at, expected) in [
            ("Monday evening", &night, Stage::Warning, "2026-11-23T19:00:00Z", true),
            ("a minute before", &night, Stage::Warning, "2026-11-23T18:59:00Z", false),
            ("the morning after", &night, Stage::Warning, "2026-11-24T05:59:00Z", true),
            ("at seven", &night, Stage::Warning, "2026-11-24T06:00:00Z", false),
            ("critical at night", &night, Stage::Critical, "2026-11-23T22:00:00Z", false),
            ("Saturday morning, of Friday's night", &night, Stage::Info, "2026-11-28T03:00:00Z", true),
            ("Sunday evening", &night, Stage::Info, "2026-11-29T20:00:00Z", false),
            ("Monday morning, of Sunday's night", &night, Stage::Info, "2026-11-23T03:00:00Z", false),
            ("noon, critical too", &noon, Stage::Critical, "2026-11-23T11:30:00Z", true),
            ("one o'clock", &noon, Stage::Critical, "2026-11-23T12:00:00Z", false),
            ("the whole weekend", &whole, Stage::Warning, "2026-11-28T12:00:00Z", true),
            ("up to its end", &whole, Stage::Warning, "2026-11-29T22:59:00Z", true),
            ("and no longer", &whole, Stage::Warning, "2026-11-29T23:00:00Z", false),
            // The night that the clock is put back has the hour from two to three twice, both of them quiet.
            ("when the clock is put back", &whole, Stage::Warning, "2026-10-25T01:30:00Z", true),
        ] {
            assert_eq!(hours.cover(stage, at.parse().unwrap(), &berlin), expected, "{name}");
        }
    }
}
