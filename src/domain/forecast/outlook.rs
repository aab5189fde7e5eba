//! What is said of the future.

use jiff::Timestamp;

use crate::domain::credits::Credits;
use crate::domain::rule::CLEAR_BELOW;

/// What can be said of the future.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlook {
    /// A forecast.
    Forecast(Forecast),
    /// Not enough to go by; says what is missing.
    TooLittleHistory {
        /// Hours since the first charge.
        hours: u32,
        /// Charges seen.
        charges: u32,
        /// What can be said all the same; `None` where nobody knows what the period began with.
        guess: Option<Guess>,
    },
    /// How much is left is not known (never read, or too old).
    UnknownBalance,
}

impl Outlook {
    /// The forecast, if there is one.
    pub fn forecast(&self) -> Option<&Forecast> {
        match self {
            Outlook::Forecast(forecast) => Some(forecast),
            Outlook::TooLittleHistory { .. } | Outlook::UnknownBalance => None,
        }
    }

    /// Whether this one speaks of the sooner end, where two limits bind one draw. Where nothing can be said of one of them,
    /// the other is the sooner only if it speaks of danger: that all is well is not known then.
    pub fn is_tighter_than(&self, other: &Outlook) -> bool {
        let end = |forecast: &Forecast| forecast.run_out.p50.unwrap_or(Timestamp::MAX);
        let is_calm = |forecast: &Forecast| match forecast.probability {
            Some(probability) => probability < CLEAR_BELOW,
            None => forecast.run_out.p50.is_none(),
        };
        match (self.forecast(), other.forecast()) {
            (Some(this), Some(other)) if this.probability != other.probability => this.probability > other.probability,
            (Some(this), Some(other)) => end(this) < end(other),
            (Some(this), None) => !is_calm(this),
            (None, Some(other)) => is_calm(other),
            (None, None) => false,
        }
    }
}

/// How much history stands behind a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Less than two plan periods of history: the range holds, the alert waits for a tenth of the period.
    Low,
    /// Two periods or more.
    Normal,
}

impl Confidence {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Normal => "normal",
        }
    }
}

/// A forecast for one draw at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The moment it was made for.
    pub at: Timestamp,
    /// Probability (0 to 1) that the credits run out before the reset; `None` without a reset.
    pub probability: Option<f64>,
    /// Probability (0 to 1) that they run out within half a period and before the reset; `None` without a reset.
    pub probability_half: Option<f64>,
    /// Probability (0 to 1) that they run out within a tenth of a period and before the reset; `None` without a reset.
    pub probability_tenth: Option<f64>,
    /// The run-out date if use simply went on with no reset.
    pub run_out: RunOut,
    /// How far ahead run-out dates are looked for; later is "after that".
    pub horizon: Timestamp,
    /// Net use expected up to the reset (or the horizon without one): the median, as likely exceeded as not.
    pub expected_use: Credits,
    /// Credits expected to be left unused at the reset (median); `None` without a reset.
    pub unused: Option<Credits>,
    /// Pace the model goes by: credits for an average hour of the week.
    pub pace_per_hour: f64,
    /// How much history stands behind it.
    pub confidence: Confidence,
}

/// What can be defended before there is history: a wide range, because people buy roughly what they need. Confidence in it
/// is low, and no alert is raised from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The run-out date if use simply went on with no reset.
    pub run_out: RunOut,
    /// How far ahead run-out dates are looked for; later is "after that".
    pub horizon: Timestamp,
    /// Net use up to the reset.
    pub use_ahead: UseAhead,
}

/// Quantiles of the run-out date. `None` is "not before the horizon".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOut {
    /// One in ten runs out before this.
    pub p10: Option<Timestamp>,
    /// As likely before as after.
    pub p50: Option<Timestamp>,
    /// Nine in ten run out before this.
    pub p90: Option<Timestamp>,
}

/// What net use is likely to come up to a moment: a slice through the band of a burn-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseAhead {
    /// The moment.
    pub until: Timestamp,
    /// One in ten uses less.
    pub p10: Credits,
    /// As likely more as less.
    pub p50: Credits,
    /// Nine in ten use less.
    pub p90: Credits,
}
