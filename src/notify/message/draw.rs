//! A draw as its reader sees it, whatever the mail is about: what is left, how old that is, and what lies ahead.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::layout::Link;
use super::words::{self, ReaderClock};
use crate::domain::remedy::lasting_pace;
use crate::domain::{AccountAssessment, Collector, DrawAssessment, Forecast, FuelLimit, PlanPeriod};

/// A draw with its account, for a reader at a moment.
pub(super) struct DrawView<'a> {
    pub(super) assessment: &'a AccountAssessment,
    pub(super) draw: &'a DrawAssessment,
    pub(super) clock: ReaderClock<'a>,
    /// When it is read.
    pub(super) at: Timestamp,
}

impl<'a> DrawView<'a> {
    pub(super) fn new(
        assessment: &'a AccountAssessment,
        draw: &'a DrawAssessment,
        zone: &'a TimeZone,
        at: Timestamp,
    ) -> DrawView<'a> {
        DrawView { assessment, draw, clock: ReaderClock::new(zone, at), at }
    }
}

impl DrawView<'_> {
    pub(super) fn forecast(&self) -> Option<&Forecast> {
        self.draw.outlook.forecast()
    }

    pub(super) fn is_budget(&self) -> bool {
        self.draw.period.as_ref().is_some_and(PlanPeriod::is_budget)
    }

    /// What happens at the end of the period.
    pub(super) fn ends(&self) -> &'static str {
        if self.is_budget() { "the budget ends" } else { "the plan resets" }
    }

    /// What the end of the period is called.
    pub(super) fn end(&self) -> &'static str {
        self.draw.period.as_ref().map_or("the reset", PlanPeriod::end_in_words)
    }

    /// Whether nothing is left.
    pub(super) fn is_used_up(&self) -> bool {
        let none_left = self.draw.fuel.as_ref().is_some_and(|fuel| !fuel.left.is_positive());
        none_left || self.forecast().and_then(|f| f.run_out.p50).is_some_and(|run_out| run_out <= self.at)
    }

    /// The pace, in credits a day, at which what is left lasts until then.
    pub(super) fn lasting_until(&self, end: Timestamp) -> Option<f64> {
        lasting_pace(self.draw.tank()?, end.duration_since(self.at))
    }

    /// What the use of the period is called.
    pub(super) fn spent_label(&self) -> &'static str {
        if self.draw.period.is_some() { "Spent this period" } else { "Spent so far" }
    }

    /// What is left of a limit that others lower too, where that is another than the team's own.
    pub(super) fn left_to_all(&self) -> Option<String> {
        let shared = self.draw.shared.as_ref().filter(|shared| Some(&shared.fuel) != self.draw.fuel.as_ref())?;
        Some(format!("{}, which end sooner", words::credits(shared.fuel.left)))
    }

    /// What is left to the team, of what, and in which parts.
    pub(super) fn left(&self) -> String {
        let Some(fuel) = &self.draw.fuel else { return "not known".into() };
        let is_shared = self.draw.shared.is_some() && fuel.limit != FuelLimit::Allowance;
        let shared = match self.assessment.draws.len() {
            _ if !is_shared => "",
            ..2 => ", lowered by charges of no team too",
            _ => ", shared with the other teams",
        };
        let left = words::credits(fuel.left) + shared;
        match (fuel.limit, self.draw.allowance, &self.assessment.balance) {
            (FuelLimit::Allowance, Some(allowance), _) => {
                format!("{left} of the team's {}", words::amount(allowance))
            }
            (FuelLimit::Budget, _, _) => match self.draw.period.as_ref().and_then(|period| period.allowance) {
                Some(budget) => format!("{left} of the budget of {}", words::amount(budget)),
                None => left,
            },
            (FuelLimit::Balance, _, Some((balance, _))) => {
                let is_told = balance.plan.is_some() || balance.purchased.is_some();
                let worked_out = self.assessment.parts().filter(|_| !is_told).unwrap_or_default();
                let (plan, bought) = (balance.plan.or(worked_out.plan), balance.purchased.or(worked_out.purchased));
                let parts = [("plan", plan), ("bought", bought), ("held", balance.frozen)];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|(name, part)| {
                        let part = part.filter(|part| part.is_positive())?;
                        Some(format!("{name} {}", words::amount(part)))
                    })
                    .collect();
                if parts.is_empty() { left } else { format!("{left} ({})", parts.join(", ")) }
            }
            _ => left,
        }
    }

    /// When the amount was read that everything rests on; empty where none was.
    pub(super) fn as_of(&self) -> String {
        self.draw.fuel.as_ref().map_or_else(String::new, |fuel| self.read_at(fuel.as_of))
    }

    /// When the charges were last read.
    pub(super) fn charges_read(&self) -> Option<Timestamp> {
        let charges = self.assessment.collectors.iter().find(|status| status.collector == Collector::Charges);
        charges.and_then(|status| status.last_success_at)
    }

    /// As of when, in a line.
    pub(super) fn read_at(&self, at: Timestamp) -> String {
        format!("As of {}, {} before this mail.", self.clock.time_today(at), self.age(at))
    }

    pub(super) fn age(&self, at: Timestamp) -> String {
        let age = self.at.duration_since(at);
        if age < SignedDuration::from_mins(1) { "less than a minute".into() } else { words::span(age) }
    }

    /// How old what everything rests on is.
    pub(super) fn data_age(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(fuel) = &self.draw.fuel {
            let doubt = if fuel.fresh { "" } else { ", which is older than it should be" };
            let moment = self.clock.moment(fuel.as_of);
            lines.push(format!("Credits left: as of {moment}, {} before this mail{doubt}.", self.age(fuel.as_of)));
        }
        if let Some(read) = self.charges_read() {
            lines.push(format!("Charges: read {} before this mail.", self.age(read)));
        }
        lines.push(format!("Times are those of {}.", self.clock.zone_name()));
        lines
    }
}

/// The page of a team.
pub(super) fn team_page(external_url: Option<&str>, team: &str) -> Option<Link> {
    let base = external_url?.trim_end_matches('/');
    Some(Link {
        url: format!("{base}/teams/{}", words::path_segment(team)),
        words: format!("See the burn-down of team {}", words::clean(team, 64)),
    })
}
