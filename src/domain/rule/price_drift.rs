#![doc = include_str!("price_drift.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::credits::Credits;
use crate::domain::price::{LOOK_BACK, PriceDrift};
use crate::domain::reading::Collector;

/// When to say that a price is not the listed one.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceDriftPolicy {
    /// Off by more than this share (0 to 1) of what is listed.
    pub tolerance: f64,
}

/// A hundredth: what sheets and amounts lose by rounding is less, and no platform changes a price by so little.
impl Default for PriceDriftPolicy {
    fn default() -> PriceDriftPolicy {
        PriceDriftPolicy { tolerance: 0.01 }
    }
}

/// A kind of task that a team launches and that costs other than listed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TeamDrift<'a> {
    /// The kind, with both prices.
    pub drift: &'a PriceDrift,
    /// The team's launches within 30 days.
    pub launches: u32,
    /// What it costs the team more in a plan period (without one in 30 days) at the usual number of launches; below zero if
    /// less.
    pub extra: Credits,
}

impl PriceDriftPolicy {
    /// The kinds that a team launches whose price is off, the largest effect first.
    pub fn drifts<'a>(&self, account: &'a AccountAssessment, draw: &DrawAssessment) -> Vec<TeamDrift<'a>> {
        let compared = account.prices.iter().flat_map(|prices| prices.drifts(self.tolerance));
        let of_team = |drift: &'a PriceDrift| {
            let launches = drift.launches_of(&draw.key.team);
            let extra = drift.difference().as_f64() * f64::from(launches) * period_share(account, draw);
            let extra = Credits::from_statistic(extra).unwrap_or_default();
            (launches > 0).then_some(TeamDrift { drift, launches, extra })
        };
        let mut drifts: Vec<TeamDrift<'a>> = compared.filter_map(of_team).collect();
        drifts.sort_by_key(|drift| std::cmp::Reverse(drift.extra.micros().abs()));
        drifts
    }
}

/// How often the time that was looked at fits into a plan period. A team that began a few days ago launches in a month what it
/// launched so far, in proportion; days of a first week count as a whole one, for a first day is none like the others.
fn period_share(account: &AccountAssessment, draw: &DrawAssessment) -> f64 {
    const A_WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
    let length = draw.period.as_ref().map_or(LOOK_BACK, |period| period.end.duration_since(period.start));
    let known = draw.daily.first().map_or(LOOK_BACK, |first| account.at.duration_since(first.day));
    length.as_secs_f64() / known.clamp(A_WEEK, LOOK_BACK).as_secs_f64()
}

impl Rule for PriceDriftPolicy {
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::ZERO,
        keep_firing_for: Some(SignedDuration::from_hours(12)),
        sends_resolved: true,
    };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        if !account.is_fresh(Collector::Charges) {
            return Seen::UNKNOWN;
        }
        let drifts = self.drifts(account, draw);
        let is_dearer = drifts.iter().any(|drift| drift.drift.difference().is_positive());
        let stage = if is_dearer { Stage::Warning } else { Stage::Info };
        let effect = drifts.iter().map(|drift| Credits::from_micros(drift.extra.micros().abs())).sum();
        let holds = !drifts.is_empty();
        Seen::with_credits(if holds { Finding::Holds(Level::from(stage)) } else { Finding::Clear }, effect)
    }
}
