#![doc = include_str!("exhaustion.md")]

use jiff::{SignedDuration, Timestamp};

use super::{Finding, Rule, Seen, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::forecast::{Confidence, Forecast, Outlook};

/// When to speak of credits that will run out before the reset.
#[derive(Clone, Debug, PartialEq)]
pub struct ExhaustionPolicy {
    /// Raise at this probability (0 to 1) of running out before the reset.
    pub raise_at: f64,
    /// Or at this probability (0 to 1) of running out within half a period and before the reset.
    pub raise_half_at: f64,
    /// Or at this probability (0 to 1) of running out within a tenth of a period and before the reset.
    pub raise_tenth_at: f64,
    /// Critical: expected (median) to run dry this soon, and before the reset.
    pub critical_within: SignedDuration,
}

/// Below this probability the danger counts as passed.
pub const CLEAR_BELOW: f64 = 0.05;

/// How long it must stay below [`CLEAR_BELOW`], as a share of the period: a day of a month.
pub const CLEAR_FOR_SHARE: f64 = 1.0 / 30.0;

/// With low confidence nothing is raised in this first share of a period.
pub const QUIET_SHARE: f64 = 0.1;

/// How readily the exhaustion rule speaks: measured sets of thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// More recall and a longer lead, more false alarms.
    Early,
    /// The measured default.
    #[default]
    Balanced,
    /// Fewer false alarms, shorter lead.
    Quiet,
}

impl Sensitivity {
    /// The thresholds: before the reset, within half a period, and within a tenth of one. While there is time it pays to
    /// wait until one is sure; the nearer the end, the less sure one need be. Chosen on the histories of many teams, each
    /// third of the teams judged by what was chosen on the others.
    pub const fn thresholds(self) -> [f64; 3] {
        match self {
            Sensitivity::Early => [0.80, 0.60, 0.30],
            Sensitivity::Balanced => [0.90, 0.66, 0.40],
            Sensitivity::Quiet => [0.90, 0.75, 0.50],
        }
    }
}

impl Default for ExhaustionPolicy {
    fn default() -> ExhaustionPolicy {
        ExhaustionPolicy::new(Sensitivity::default(), SignedDuration::from_hours(48))
    }
}

impl ExhaustionPolicy {
    /// The thresholds of a sensitivity.
    pub fn new(sensitivity: Sensitivity, critical_within: SignedDuration) -> ExhaustionPolicy {
        let [raise_at, raise_half_at, raise_tenth_at] = sensitivity.thresholds();
        ExhaustionPolicy { raise_at, raise_half_at, raise_tenth_at, critical_within }
    }

    /// Will the credits run out before the reset? `period` is the start and the end of the plan period.
    ///
    /// Without a period there is no reset to compare with, and the rule has nothing to say.
    pub fn judge(&self, outlook: &Outlook, period: Option<(Timestamp, Timestamp)>) -> Finding {
        let (Outlook::Forecast(forecast), Some((start, end))) = (outlook, period) else { return Finding::Unknown };
        let within = forecast.probability_half.zip(forecast.probability_tenth);
        let Some((probability, (half, tenth))) = forecast.probability.zip(within) else { return Finding::Unknown };
        if probability < CLEAR_BELOW {
            return Finding::Clear;
        }
        let level = Level::from(self.stage(forecast, end));
        let raised = probability >= self.raise_at || half >= self.raise_half_at || tenth >= self.raise_tenth_at;
        if raised && !is_too_early(forecast, start, end) { Finding::Holds(level) } else { Finding::Undecided(level) }
    }

    fn stage(&self, forecast: &Forecast, end: Timestamp) -> Stage {
        let soonest_critical = forecast.at.saturating_add(self.critical_within).unwrap_or(Timestamp::MAX);
        match forecast.run_out.p50 {
            Some(run_out) if run_out <= soonest_critical && run_out < end => Stage::Critical,
            _ => Stage::Warning,
        }
    }
}

impl Rule for ExhaustionPolicy {
    const TIMING: Timing = Timing { hold_for: SignedDuration::ZERO, keep_firing_for: None, sends_resolved: true };

    fn evaluate(&self, _: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let bounds = draw.period.as_ref().map(|period| (period.start, period.end));
        let run_out = draw.outlook.forecast().and_then(|forecast| forecast.run_out.p50);
        Seen { finding: self.judge(&draw.outlook, bounds), figure: run_out.map(Timestamp::as_millisecond) }
    }
}

/// With little history behind it, and little of the period gone, a high probability is mostly ignorance; credits that
/// are already gone are a fact all the same.
fn is_too_early(forecast: &Forecast, start: Timestamp, end: Timestamp) -> bool {
    let share = share_of_period(forecast.at, start, end);
    let is_gone = forecast.run_out.p90.is_some_and(|run_out| run_out <= forecast.at);
    forecast.confidence == Confidence::Low && share < QUIET_SHARE && !is_gone
}

/// How much of a period has passed, 0 to 1. A period without length counts as over.
pub fn share_of_period(at: Timestamp, start: Timestamp, end: Timestamp) -> f64 {
    let length = end.duration_since(start).as_secs_f64();
    if length <= 0.0 { 1.0 } else { (at.duration_since(start).as_secs_f64() / length).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Credits, RunOut};

    fn day(days: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days)
    }

    fn outlook(at_day: i64, chances: [f64; 3], p50: Option<i64>, confidence: Confidence) -> Outlook {
        let [before_reset, within_half, within_tenth] = chances.map(Some);
        Outlook::Forecast(Forecast {
            at: day(at_day),
            probability: before_reset,
            probability_half: within_half,
            probability_tenth: within_tenth,
            run_out: RunOut { p10: None, p50: p50.map(day), p90: None },
            horizon: day(60),
            expected_use: Credits::ZERO,
            unused: None,
            pace_per_hour: 0.0,
            confidence,
        })
    }

    #[test]
    fn exhaustion_answers_as_the_table_says() {
        use Confidence::{Low, Normal};
        use Finding::{Clear, Holds, Undecided};
        let [warning, critical] = [Stage::Warning, Stage::Critical].map(Level::from);
        for (name, at_day, chances, p50, confidence, expected) in [
            ("well below", 10, [0.04, 0.0, 0.0], None, Normal, Clear),
            ("neither", 10, [0.89, 0.65, 0.39], Some(25), Normal, Undecided(warning)),
            ("almost certain before the reset", 10, [0.90, 0.2, 0.0], Some(25), Normal, Holds(warning)),
            ("likely within half a period", 10, [0.75, 0.66, 0.1], Some(16), Normal, Holds(warning)),
            ("possible within days", 10, [0.60, 0.5, 0.40], Some(16), Normal, Holds(warning)),
            ("expected within 48 h", 10, [0.95, 0.9, 0.6], Some(12), Normal, Holds(critical)),
            ("expected just beyond 48 h", 10, [0.95, 0.9, 0.5], Some(13), Normal, Holds(warning)),
            ("soon, but the reset comes first", 29, [0.5, 0.5, 0.5], Some(30), Normal, Holds(warning)),
            ("little history, early", 2, [0.95, 0.9, 0.8], Some(4), Low, Undecided(critical)),
            ("little history, later", 3, [0.95, 0.9, 0.8], Some(5), Low, Holds(critical)),
        ] {
            let finding =
                ExhaustionPolicy::default().judge(&outlook(at_day, chances, p50, confidence), Some((day(0), day(30))));
            assert_eq!(finding, expected, "{name}");
        }
    }

    #[test]
    fn without_a_forecast_or_a_reset_nothing_is_said() {
        let policy = ExhaustionPolicy::default();
        let period = Some((day(0), day(30)));
        assert_eq!(policy.judge(&Outlook::UnknownBalance, period), Finding::Unknown);
        assert_eq!(
            policy.judge(&Outlook::TooLittleHistory { hours: 1, charges: 1, guess: None }, period),
            Finding::Unknown
        );
        assert_eq!(policy.judge(&outlook(1, [0.9; 3], None, Confidence::Normal), None), Finding::Unknown);
    }
}
