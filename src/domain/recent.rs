//! What rules look at beside the forecast: the use of the last day, and second attempts.

use jiff::{SignedDuration, Timestamp};

use super::announcement::{Announcement, Foreseen};
use super::credits::Credits;
use super::recorded::{EstimateState, Followed, RecordedEstimate};

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
    /// Credits of batches that were announced or planned for the last 24 hours or the day round them: one in ten such costs
    /// more.
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

    /// With what was launched for planned estimates in the last day, as far as nine in ten such jobs cost as much: of the open
    /// ones what is known of the day, of those that ended within it all.
    #[must_use]
    pub fn beside_plans(mut self, open: &[Followed], closed: &[RecordedEstimate], now: Timestamp) -> RecentUse {
        let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        let is_recent = |estimate: &&RecordedEstimate| {
            let is_withdrawn = matches!(estimate.state, EstimateState::Withdrawn { .. });
            estimate.state.closed_at().is_some_and(|at| at > day_ago) && !is_withdrawn
        };
        let of_open = open.iter().map(|followed| (&followed.estimate, followed.last_day));
        let of_closed = closed.iter().filter(is_recent).map(|estimate| (estimate, estimate.charged));
        for (estimate, of_the_day) in of_open.chain(of_closed).filter(|(estimate, _)| estimate.is_planned) {
            let planned = estimate.credits.p90 - (estimate.charged - of_the_day);
            self.announced_credits += of_the_day.min(planned).max(Credits::ZERO);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recorded::tests::two_models;
    use crate::domain::{AccountName, DrawKey, Foreseen, HourlyUse, PaceChange, PlannedBatch, TeamName, UsageState};

    /// The hour of a day of the beginning of time.
    fn hour(day: i64, hour: i64) -> Timestamp {
        Timestamp::from_second((day * 24 + hour) * 3600).unwrap()
    }

    fn row(day: i64, hour: i64, net: i64, charges: u32) -> HourlyUse {
        HourlyUse { hour: day * 24 + hour, net: Credits::from_whole(net), charges }
    }

    #[test]
    fn the_last_day_is_compared_with_whole_days_before_it() {
        let working_days = (0..40).filter(|day| day % 7 < 5).map(|day| row(day, 9, 10 + day, 2));
        let mut rows: Vec<HourlyUse> = working_days.collect();
        rows.push(row(40, 8, 300, 6));
        let state = UsageState::rebuild(&rows).unwrap();
        // At noon of day 40, whose day of the week is the sixth: days 11 to 38 are compared with.
        let recent = state.recent_use(hour(40, 12)).unwrap();
        assert_eq!((recent.net, recent.charges), (Credits::from_whole(300), 6));
        assert_eq!((recent.days, recent.busy), (28, Credits::from_whole(47)), "the second busiest, of day 37");
        assert_eq!(recent.usual, Credits::from_whole(35), "the middle of twenty days with use");

        // The hour that the window cuts counts with its part, its charges whole.
        let recent = state.recent_use(hour(41, 8) + SignedDuration::from_mins(30)).unwrap();
        assert_eq!((recent.net, recent.charges), (Credits::from_whole(150), 6));
        let later = state.recent_use(hour(41, 9)).unwrap();
        assert_eq!((later.net, later.charges), (Credits::ZERO, 0));

        // The day of the first charge is seldom whole.
        let young = UsageState::rebuild(&rows[..3]).unwrap();
        let recent = young.recent_use(hour(2, 12)).unwrap();
        assert_eq!((recent.days, recent.busy, recent.usual), (0, Credits::ZERO, Credits::ZERO));
        assert_eq!(young.recent_use(hour(5, 12)).unwrap().days, 3);
        assert_eq!(UsageState::default().recent_use(hour(5, 12)), None);
    }

    #[test]
    fn what_was_planned_stands_beside_what_was_launched_for_it() {
        let now = hour(10, 12);
        let recent = || {
            let mut state = UsageState::default();
            state.push(row(9, 20, 90, 3)).unwrap();
            state.recent_use(now).unwrap()
        };
        let plan = || two_models(1);
        let whole = Credits::from_whole;
        let open = |charged: i64, last_day: i64| {
            let estimate = RecordedEstimate { charged: whole(charged), ..plan() };
            (vec![Followed { estimate, last_day: whole(last_day), waiting: Vec::new(), covered: Vec::new() }], vec![])
        };
        let closed =
            |state, charged: i64| (vec![], vec![RecordedEstimate { state, charged: whole(charged), ..plan() }]);
        let (lately, before) = (hour(10, 1), hour(9, 12));
        let mut unplanned = open(90, 90);
        unplanned.0[0].estimate.is_planned = false;
        // Nine in ten such jobs cost 150 credits at most.
        for (name, (open, closed), credits) in [
            ("of the day", open(90, 90), 90),
            ("and of days before", open(140, 90), 90),
            ("more than such a job costs", open(160, 90), 80),
            ("far more", open(300, 90), 0),
            ("only recorded", unplanned, 0),
            ("met lately", closed(EstimateState::Met { at: lately }, 120), 120),
            ("lapsed lately, for more than such a job costs", closed(EstimateState::Lapsed { at: lately }, 200), 150),
            ("met a day ago", closed(EstimateState::Met { at: before }, 120), 0),
            ("withdrawn", closed(EstimateState::Withdrawn { at: lately, by: "ada".into() }, 90), 0),
        ] {
            assert_eq!(recent().beside_plans(&open, &closed, now).announced_credits, whole(credits), "{name}");
        }
    }

    #[test]
    fn what_was_announced_of_the_last_day_stands_beside_it() {
        let now = hour(10, 12);
        let announced = |foreseen: Foreseen| Announcement {
            id: None,
            key: DrawKey { account: AccountName::parse("a").unwrap(), team: TeamName::parse("t").unwrap() },
            foreseen,
            note: String::new(),
            by: String::new(),
            announced_at: None,
            withdrawn: None,
        };
        let pace =
            |factor: f64, from: Timestamp, to: Timestamp| announced(Foreseen::Pace(PaceChange { factor, from, to }));
        let batch = |at: Timestamp, until: Timestamp| {
            announced(Foreseen::Batch { batch: PlannedBatch::exactly(at, Credits::from_whole(40)), until })
        };
        let withdrawn = Announcement { withdrawn: Some((now, "ada".into())), ..pace(9.0, hour(10, 0), hour(12, 0)) };
        for (name, announcements, factor, credits) in [
            ("nothing", vec![], 1.0, 0),
            ("twice the pace", vec![pace(2.0, hour(10, 0), hour(12, 0))], 2.0, 0),
            ("a holiday lowers nothing", vec![pace(0.0, hour(10, 0), hour(12, 0))], 1.0, 0),
            ("over since yesterday's noon", vec![pace(2.0, hour(1, 0), hour(9, 12))], 1.0, 0),
            ("still to come", vec![pace(2.0, hour(10, 13), hour(12, 0)), batch(hour(10, 13), hour(11, 0))], 1.0, 0),
            ("today's batch", vec![batch(hour(10, 0), hour(11, 0)), batch(hour(10, 9), hour(10, 9))], 1.0, 80),
            ("the batch of the day before yesterday", vec![batch(hour(8, 0), hour(9, 0))], 1.0, 0),
            ("withdrawn", vec![withdrawn], 1.0, 0),
        ] {
            let recent = UsageState::rebuild(&[row(1, 1, 1, 1)]).unwrap().recent_use(now).unwrap();
            let recent = recent.beside(&announcements, now);
            let found = (recent.announced_factor, recent.announced_credits);
            assert_eq!(found, (factor, Credits::from_whole(credits)), "{name}");
        }
    }
}
