//! What would help, and how much: only what follows from the forecast and the ledger.

use jiff::SignedDuration;
use serde::Serialize;

use crate::domain::{
    AccountAssessment, Credits, DrawAssessment, Forecast, Fuel, FuelLimit, RetryKind, RetryRow, TotalsRow,
};
use crate::notify::message::words;

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Action {
    /// What to do.
    pub(super) what: String,
    /// What it brings, in credits and days.
    pub(super) effect: String,
}

/// Of a top-up, how much is for use beyond what is expected: the expected use itself is exceeded half of the time.
const TOP_UP_MARGIN: f64 = 0.10;

/// Less than this share of all use is not worth a line.
pub(super) const LEAST_SHARE: f64 = 0.03;

/// Works out what would help. Nothing is said where fuel, pace or reset are unknown, or where it would not help.
pub(super) fn actions(
    assessment: &AccountAssessment,
    draw: &DrawAssessment,
    forecast: &Forecast,
    totals: &[TotalsRow],
    retries: &[RetryRow],
) -> Vec<Action> {
    let (Some(fuel), Some(period)) = (draw.tank(), &draw.period) else { return Vec::new() };
    let to_reset = period.end.duration_since(forecast.at);
    if to_reset <= SignedDuration::ZERO {
        return Vec::new();
    }
    let own_part = own_part(draw, forecast);
    let outlook = Remaining { fuel, forecast, to_reset, end: period.end_in_words(), own_part };
    let mut actions = Vec::new();
    actions.extend(outlook.slow_down());
    actions.extend(outlook.without_reruns(totals, retries));
    actions.extend(outlook.half_of_the_largest(totals));
    actions.extend(outlook.top_up(assessment));
    actions
}

struct Remaining<'a> {
    fuel: &'a Fuel,
    forecast: &'a Forecast,
    to_reset: SignedDuration,
    /// What the end of the period is called.
    end: &'static str,
    /// The team's part of the use (0 to 1); `None` where that is not known.
    own_part: Option<f64>,
}

/// The team's part of the use that lowers its tank: 1 where nobody else draws on it, `None` where it is not known.
pub(super) fn own_part(draw: &DrawAssessment, forecast: &Forecast) -> Option<f64> {
    let Some(shared) = &draw.shared else { return Some(1.0) };
    let part = shared.own_pace_per_hour? / forecast.pace_per_hour;
    // The paces are pooled each for itself, so that parts need not add up to one.
    part.is_finite().then(|| part.clamp(0.0, 1.0))
}

impl Remaining<'_> {
    fn slow_down(&self) -> Option<Action> {
        let pace = self.forecast.pace_per_hour * 24.0;
        let lasting = lasting_pace(self.fuel, self.to_reset).filter(|lasting| *lasting < pace * 0.98)?;
        let run_out = self.forecast.run_out.p50.map(|run_out| run_out.duration_since(self.forecast.at));
        let longer = run_out.filter(|lasts| *lasts < self.to_reset).map(|lasts| words::span(self.to_reset - lasts));
        let longer = longer.map(|longer| format!(", {longer} longer")).unwrap_or_default();
        let amount = |value: f64| Credits::from_statistic(value).map(words::amount);
        let (lasting_text, now) = (words::statistic(lasting)?, amount(pace)?);
        if self.own_part == Some(1.0) {
            return Some(Action {
                what: format!("Slow down to {lasting_text} a day (now about {now})"),
                effect: format!("lasts until {}{longer}", self.end),
            });
        }
        // Others draw on it too: everybody slows down in the same proportion.
        let all = format!("all together to {lasting_text} a day (now about {now})");
        Some(match self.own_part.map(|part| (lasting * part, pace * part)) {
            Some((own_lasting, own)) => Action {
                what: format!(
                    "Slow down to {} a day (now about {}), {all}",
                    words::statistic(own_lasting)?,
                    amount(own)?
                ),
                effect: format!("lasts until {}{longer}", self.end),
            },
            None => Action { what: format!("Slow down, {all}"), effect: format!("lasts until {}{longer}", self.end) },
        })
    }

    fn without_reruns(&self, totals: &[TotalsRow], retries: &[RetryRow]) -> Option<Action> {
        let reruns: Credits = retries.iter().filter(|row| row.kind == RetryKind::Rerun).map(|row| row.credits).sum();
        let charged: Credits = totals.iter().map(|row| row.charged).sum();
        self.spending_less("Pause re-runs".into(), words::share(reruns, charged)?)
    }

    fn half_of_the_largest(&self, totals: &[TotalsRow]) -> Option<Action> {
        let net = |row: &TotalsRow| row.charged - row.refunded;
        let largest = totals.iter().max_by_key(|row| net(row))?;
        let share = words::share(net(largest), totals.iter().map(net).sum())?;
        let what = format!("Launch half as many {} tasks", words::kind_of_task(largest));
        (share >= 0.2).then(|| self.spending_less(what, share / 2.0)).flatten()
    }

    /// The team spending a share less from now on: credits saved until the reset, and how much longer the fuel lasts.
    fn spending_less(&self, what: String, own_share: f64) -> Option<Action> {
        let share = own_share * self.own_part?;
        (share >= LEAST_SHARE && self.fuel.left.is_positive()).then_some(())?;
        let saved = words::statistic(self.forecast.expected_use.as_f64() * share)?;
        let effect = match self.forecast.run_out.p50 {
            Some(run_out) => {
                let lasts = run_out.duration_since(self.forecast.at);
                let would_last = lasts.as_secs_f64() / (1.0 - share).max(f64::EPSILON);
                if would_last >= self.to_reset.as_secs_f64() {
                    format!("saves about {saved}; would last until {}", self.end)
                } else {
                    let longer = SignedDuration::from_secs_f64(would_last - lasts.as_secs_f64());
                    format!("saves about {saved}; lasts about {} longer", words::span(longer))
                }
            }
            None => format!("saves about {saved} until {}", self.end),
        };
        Some(Action { what, effect })
    }

    fn top_up(&self, assessment: &AccountAssessment) -> Option<Action> {
        let needed = self.forecast.expected_use.as_f64() * (1.0 + TOP_UP_MARGIN) - self.fuel.left.as_f64();
        let needed = words::statistic(round_up(needed)?)?;
        let margin = words::threshold(TOP_UP_MARGIN);
        let effect = format!("lasts until {} at the expected use and {margin} more", self.end);
        let what = match self.fuel.limit {
            FuelLimit::Balance | FuelLimit::PlanCredits => format!("Top up by {needed}"),
            FuelLimit::Budget => format!("Raise the budget by {needed}"),
            FuelLimit::Allowance => match &assessment.balance {
                Some((balance, _)) => format!(
                    "Raise the team's allowance by {needed} (the whole account has {} left)",
                    words::amount(balance.available)
                ),
                None => format!("Raise the team's allowance by {needed}"),
            },
        };
        Some(Action { what, effect })
    }
}

/// The pace, in credits a day, at which the fuel lasts for that long; rounded down, so that it truly does. `None` for
/// an empty tank and for a reset that is not ahead.
pub(super) fn lasting_pace(fuel: &Fuel, to_reset: SignedDuration) -> Option<f64> {
    let pace = fuel.left.as_f64() / (to_reset.as_secs_f64() / 86_400.0);
    let steps = if pace >= 10.0 { 1.0 } else { 100.0 };
    let rounded = (pace * steps).floor() / steps;
    (rounded.is_finite() && rounded > 0.0).then_some(rounded)
}

/// Rounds up to two leading digits: nobody buys 1,387 credits. `None` for nothing.
fn round_up(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(())?;
    let unit = 10_f64.powi((value.log10().floor() as i32 - 1).max(0));
    Some((value / unit).ceil() * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_ups_are_round() {
        for (value, rounded) in
            [(1387.2, Some(1400.0)), (0.3, Some(1.0)), (12.1, Some(13.0)), (990.5, Some(1000.0)), (0.0, None)]
        {
            assert_eq!(round_up(value), rounded, "{value}");
        }
        assert_eq!(round_up(-5.0).or(round_up(f64::NAN)), None);
    }
}
