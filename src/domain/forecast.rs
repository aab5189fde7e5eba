//! When the credits run out, how surely, and compared with the next reset.

use jiff::Timestamp;

use super::credits::Credits;

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
}

/// How much history stands behind a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Less than two plan periods of history: the range holds, the alert waits for a tenth of the period.
    Low,
    /// Two periods or more.
    Normal,
}

/// A forecast for one draw at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The moment it was made for.
    pub at: Timestamp,
    /// Probability (0 to 1) that the credits run out before the reset; `None` without a reset.
    pub probability: Option<f64>,
    /// Probability (0 to 1) that they run out within a third of the period and before the reset; `None` without a reset.
    pub probability_soon: Option<f64>,
    /// The run-out date if use simply went on with no reset.
    pub run_out: RunOut,
    /// How far ahead run-out dates are looked for; later is "after that".
    pub horizon: Timestamp,
    /// Net use expected up to the reset (or the horizon without one), in credits.
    pub expected_use: Credits,
    /// Credits expected to be left unused at the reset (median); `None` without a reset.
    pub unused: Option<Credits>,
    /// Pace the model goes by: credits for an average hour of the week.
    pub pace_per_hour: f64,
    /// How much history stands behind it.
    pub confidence: Confidence,
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
