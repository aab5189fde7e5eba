#![doc = include_str!("plan_reset.md")]

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::Stage;
use crate::domain::assessment::{AccountAssessment, DrawAssessment};

/// When to say that the plan was reset.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanResetPolicy {
    /// Only for periods at least so long: nobody wants a mail each day.
    pub minimum_period: SignedDuration,
}

/// A reset is news for so long, and at most for a quarter of the period.
const NEWS_FOR: SignedDuration = SignedDuration::from_hours(24);

impl Default for PlanResetPolicy {
    fn default() -> PlanResetPolicy {
        PlanResetPolicy { minimum_period: SignedDuration::from_hours(6 * 24) }
    }
}

impl Rule for PlanResetPolicy {
    const TIMING: Timing =
        Timing { hold_for: SignedDuration::ZERO, keep_firing_for: Some(SignedDuration::ZERO), sends_resolved: false };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let Some(period) = &draw.period else { return Seen::UNKNOWN };
        let length = period.end.duration_since(period.start);
        let is_news = account.at.duration_since(period.start) < NEWS_FOR.min(length / 4);
        // Without use before it there is no period to sum up.
        let had_use = draw.daily.first().is_some_and(|first| first.day < period.start);
        let holds = is_news && had_use && length >= self.minimum_period;
        Seen { finding: if holds { Finding::Holds(Stage::Info.into()) } else { Finding::Clear }, figure: None }
    }
}
