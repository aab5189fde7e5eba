//! The past, as it would have looked: every hour of a plan period is forecast and judged with what was known by then.
//!
//! The forecast, the rule and the life of the alert are those that an assessment uses; only the clock is another. Use
//! enters event by event, so nothing that happened later can show.

use jiff::{SignedDuration, Timestamp};

use super::alert::{Alert, AlertPolicy, AlertState, Observation, step};
use super::credits::Credits;
use super::forecast::{Announced, Forecast, ForecastInput, Outlook, PriorUse, UsageState, forecast};
use super::ledger::HourlyUse;
use super::rule::{ExhaustionPolicy, RuleName, Rules};

mod peer;

pub use peer::{Peer, replay_peer};

/// Credits that were used at a moment, net of what came back for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastUse {
    /// When.
    pub at: Timestamp,
    /// How much, not below zero.
    pub net: Credits,
}

/// A plan period of the past and what it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastPeriod {
    /// The first moment.
    pub start: Timestamp,
    /// The reset that ended it, exclusive.
    pub end: Timestamp,
    /// Credits that could be spent in it.
    pub granted: Credits,
}

/// What happened in one period, and what would have been said.
#[derive(Clone, Debug, PartialEq)]
pub struct PeriodReplay {
    /// The period.
    pub period: PastPeriod,
    /// Net use in all of it.
    pub used: Credits,
    /// When use reached the grant, if it did.
    pub exhausted_at: Option<Timestamp>,
    /// Episodes of the alert: raised, and cleared before the end (or before the credits were gone).
    pub episodes: Vec<(Timestamp, Option<Timestamp>)>,
}

/// One thing that would have been said at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said<'a> {
    /// The forecast of a whole hour.
    Forecast(&'a Forecast),
    /// The alert was raised; with the probability then.
    Raise(f64),
    /// The alert was cleared; with the probability then.
    Clear(f64),
}

/// Why a history cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Use must be in the order of time.
    #[error("expected use in the order of time, found {later} before {earlier}")]
    UseOutOfOrder {
        /// What came first.
        later: Timestamp,
        /// What came after it.
        earlier: Timestamp,
    },
    /// Periods must be in order, end after they start, and not overlap.
    #[error("expected a period that ends after it starts and begins after the one before it, found {start} to {end}")]
    Period {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
}

/// How often the past is assessed, whether or not something is charged.
const STEP: SignedDuration = SignedDuration::from_hours(1);

impl PeriodReplay {
    /// How long before the credits were gone the alert had been active without a break; `None` if it was not active then,
    /// or if they lasted.
    pub fn lead(&self) -> Option<SignedDuration> {
        let exhausted_at = self.exhausted_at?;
        let (raised, cleared) = self.episodes.last()?;
        cleared.is_none().then(|| exhausted_at.duration_since(*raised))
    }
}

/// Replays one team: each whole hour of each period, counted from its start, and each charge, until the period ends or its
/// credits are gone. Forecasts are told of whole hours alone.
///
/// `uses` is all that is known of the team, in the order of time, that before the first period included; a use at the very
/// moment of an assessment counts as known. `said` hears everything in the order of time, with the place of its period in
/// `periods` and the moment.
///
/// # Errors
/// The history is not in order.
pub fn replay(
    uses: &[PastUse],
    periods: &[PastPeriod],
    policy: &ExhaustionPolicy,
    mut said: impl FnMut(usize, Timestamp, Said<'_>),
) -> Result<Vec<PeriodReplay>, ReplayError> {
    check(uses, periods)?;
    let mut history = History { uses, next: 0, state: UsageState::default(), rows: Vec::new() };
    let mut replays = Vec::with_capacity(periods.len());
    for (place, period) in periods.iter().enumerate() {
        history.read_until(|at| at < period.start);
        let before = PriorUse::of_rows(&history.rows, (period.start, period.end));
        let first = history.next;
        let mut judge = Judge::new(*period, policy);
        let (mut hour, mut spent, mut counted) = (period.start, Credits::ZERO, first);
        loop {
            // As an agent does that polls often: each charge is judged when it comes, and each hour whatever comes.
            let used_at = uses.get(history.next).map_or(Timestamp::MAX, |used| used.at);
            let now = hour.min(used_at);
            if now >= period.end {
                break;
            }
            history.read_until(|at| at <= now);
            spent += uses[counted..history.next].iter().map(|used| used.net).sum();
            counted = history.next;
            if spent >= period.granted {
                break;
            }
            judge.look(&history.state, before, period.granted - spent, now, |what| {
                if now == hour || !matches!(what, Said::Forecast(_)) {
                    said(place, now, what);
                }
            });
            if now == hour {
                let Ok(next) = hour.checked_add(STEP) else { break };
                hour = next;
            }
        }
        replays.push(judge.close(&uses[first..]));
    }
    Ok(replays)
}

fn check(uses: &[PastUse], periods: &[PastPeriod]) -> Result<(), ReplayError> {
    if let Some(pair) = uses.windows(2).find(|pair| pair[1].at < pair[0].at) {
        return Err(ReplayError::UseOutOfOrder { later: pair[0].at, earlier: pair[1].at });
    }
    let mut free_from = Timestamp::MIN;
    for PastPeriod { start, end, .. } in periods {
        if *start < free_from || end <= start {
            return Err(ReplayError::Period { start: *start, end: *end });
        }
        free_from = *end;
    }
    Ok(())
}

/// What is known so far.
struct History<'a> {
    uses: &'a [PastUse],
    next: usize,
    state: UsageState,
    rows: Vec<HourlyUse>,
}

impl History<'_> {
    fn read_until(&mut self, is_known: impl Fn(Timestamp) -> bool) {
        while let Some(used) = self.uses.get(self.next).filter(|used| is_known(used.at)) {
            self.next += 1;
            let charges = u32::from(used.net.is_positive());
            let row = HourlyUse { hour: HourlyUse::hour_of(used.at), net: used.net, charges };
            // Use comes in order, so its hour is never closed.
            let is_kept = self.state.push(row).is_ok();
            debug_assert!(is_kept, "late use at {}", used.at);
            match self.rows.last_mut().filter(|last| last.hour == row.hour) {
                Some(last) => {
                    last.net += row.net;
                    last.charges += charges;
                }
                None => self.rows.push(row),
            }
        }
    }
}

/// The alert of one period.
struct Judge<'a> {
    period: PastPeriod,
    bounds: (Timestamp, Timestamp),
    rule: &'a ExhaustionPolicy,
    policy: AlertPolicy,
    alert: Alert,
    episodes: Vec<(Timestamp, Option<Timestamp>)>,
}

impl<'a> Judge<'a> {
    fn new(period: PastPeriod, rule: &'a ExhaustionPolicy) -> Judge<'a> {
        let bounds = (period.start, period.end);
        // How often an alert is told again changes neither its beginning nor its end.
        let policy = Rules::default().alert_policy(RuleName::Exhaustion, Some(bounds), SignedDuration::MAX);
        Judge { period, bounds, rule, policy, alert: Alert::default(), episodes: Vec::new() }
    }

    fn look(
        &mut self,
        state: &UsageState,
        before: PriorUse,
        remaining: Credits,
        now: Timestamp,
        mut said: impl FnMut(Said<'_>),
    ) {
        let outlook = forecast(&ForecastInput {
            state,
            now,
            period: Some(self.bounds),
            remaining: Some(remaining),
            granted: Some(self.period.granted),
            before: Some(before),
            announced: Announced::default(),
        });
        let Outlook::Forecast(forecast) = &outlook else { return };
        said(Said::Forecast(forecast));
        let finding = self.rule.judge(&outlook, Some(self.bounds));
        let after = step(&self.alert, Observation { finding, figure: None, now }, &self.policy);
        let probability = forecast.probability.unwrap_or_default();
        let is_firing = |alert: &Alert| matches!(alert.state, AlertState::Firing { .. });
        match (is_firing(&self.alert), is_firing(&after)) {
            (false, true) => {
                self.episodes.push((now, None));
                said(Said::Raise(probability));
            }
            (true, false) => {
                if let Some((_, cleared)) = self.episodes.last_mut() {
                    *cleared = Some(now);
                }
                said(Said::Clear(probability));
            }
            _ => {}
        }
        self.alert = after;
    }

    /// `uses` begins with the first use of the period and may go on beyond it.
    fn close(self, uses: &[PastUse]) -> PeriodReplay {
        let mut used = Credits::ZERO;
        let mut exhausted_at = None;
        for past in uses.iter().take_while(|past| past.at < self.period.end) {
            used += past.net;
            if used >= self.period.granted && exhausted_at.is_none() {
                exhausted_at = Some(past.at);
            }
        }
        PeriodReplay { period: self.period, used, exhausted_at, episodes: self.episodes }
    }
}

#[cfg(test)]
mod tests;
