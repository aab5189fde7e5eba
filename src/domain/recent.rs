//! What rules look at beside the forecast: the use of the last day, and second attempts.

use jiff::{SignedDuration, Timestamp};

use super::announcement::{Announcement, Foreseen};
use super::credits::Credits;

/// The use of the last day beside that of usual days.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentUse {
    /// Net use of the last 24 hours; the oldest hour counts with the share of it that lies inside.
    pub net: Credits,
    /// Charges with net use above zero of the last 24 hours, the oldest hour whole.
    pub charges: u32,
    /// Whole days (UTC) before yesterday that are compared with, at most 28.
    pub days: u32,
    /// Net use of the second busiest of those days: the busiest may have been unusual itself.
    pub busy: Credits,
    /// Net use of the middle one of those days that had any.
    pub usual: Credits,
    /// How many times the usual pace was announced for the last 24 hours, at least once.
    pub announced_factor: f64,
    /// Credits of batches that were announced for the last 24 hours or the day round them: one in ten such costs more.
    pub announced_credits: Credits,
}

impl RecentUse {
    /// With what was announced of the last 24 hours up to `now`.
    #[must_use]
    pub fn beside(mut self, announcements: &[Announcement], now: Timestamp) -> RecentUse {
        let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        for announcement in announcements.iter().filter(|announcement| announcement.withdrawn.is_none()) {
            match announcement.foreseen {
                Foreseen::Pace(change) if change.from <= now && change.to > day_ago => {
                    self.announced_factor = self.announced_factor.max(change.factor);
                }
                Foreseen::Batch { batch, until } if batch.at <= now && until > day_ago => {
                    self.announced_credits += batch.high;
                }
                Foreseen::Pace(_) | Foreseen::Batch { .. } => {}
            }
        }
        self
    }
}

/// Second attempts of the plan period at what had succeeded before (since ever without a period).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reruns {
    /// How many.
    pub tasks: u64,
    /// Their net use.
    pub credits: Credits,
    /// The most attempts at one asset that were launched in the period, the first among them; 0 without re-runs.
    pub most_attempts: u64,
}
