//! The usual rules, to stand beside the forecast on the same history: what else somebody could have set up.
//!
//! They are as they are commonly configured, with windows that scale with the period where their makers speak of a month.
//! None of them gives a probability.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::{PastPeriod, PastUse, PeriodReplay, ReplayError, STEP, check};
use crate::domain::credits::Credits;

/// A usual rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Four fifths of the credits are used.
    Threshold,
    /// At the period's pace so far the credits run out before the reset.
    Pace,
    /// A straight line through the balance of the last so many hours reaches zero before the reset, as Prometheus's
    /// `predict_linear` draws it, and did so an hour ago (`for: 1h`).
    PredictLinear(u16),
    /// The pace over a long and a short window is a multiple of the one that just lasts: 14.4 times over an hour and five
    /// minutes, 6 times over six hours and thirty minutes, 3 times over a day and two hours, or as fast over three days and
    /// six hours. The windows are those of a period of thirty days and scale with it.
    BurnRate,
}

impl Peer {
    /// Those that stand in the comparison.
    pub const ALL: [Peer; 6] = [
        Peer::Threshold,
        Peer::Pace,
        Peer::PredictLinear(6),
        Peer::PredictLinear(24),
        Peer::PredictLinear(72),
        Peer::BurnRate,
    ];

    /// What people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Peer::Threshold => "80% used",
            Peer::Pace => "pace of the period",
            Peer::PredictLinear(6) => "predict_linear(6h)",
            Peer::PredictLinear(24) => "predict_linear(24h)",
            Peer::PredictLinear(72) => "predict_linear(3d)",
            Peer::PredictLinear(_) => "predict_linear",
            Peer::BurnRate => "burn rate, 4 windows",
        }
    }
}

/// The share of the credits at which [`Peer::Threshold`] speaks.
const USED_SHARE: f64 = 0.8;

/// How long `predict_linear` must foretell the end before it counts, in hours.
const FOR_HOURS: usize = 1;

/// Long window, short window in hours, and the multiple of the lasting pace, for a period of [`BURN_PERIOD_HOURS`].
const BURN_RATES: [(f64, f64, f64); 4] = [(1.0, 1.0 / 12.0, 14.4), (6.0, 0.5, 6.0), (24.0, 2.0, 3.0), (72.0, 6.0, 1.0)];

/// The period that [`BURN_RATES`] are for.
const BURN_PERIOD_HOURS: f64 = 30.0 * 24.0;

/// Replays a usual rule over one team's history, each whole hour of each period; see [`super::replay`].
///
/// # Errors
/// The history is not in order.
pub fn replay_peer(uses: &[PastUse], periods: &[PastPeriod], peer: Peer) -> Result<Vec<PeriodReplay>, ReplayError> {
    check(uses, periods)?;
    let replays = periods.iter().map(|period| {
        let first = uses.partition_point(|used| used.at < period.start);
        let end = uses.partition_point(|used| used.at < period.end);
        Watch::new(*period, &uses[..end], first).run(peer)
    });
    Ok(replays.collect())
}

/// One period under a rule.
struct Watch<'a> {
    period: PastPeriod,
    /// All use up to the period's end.
    uses: &'a [PastUse],
    /// Where the period's use begins.
    first: usize,
    length_hours: f64,
    granted: f64,
}

impl<'a> Watch<'a> {
    fn new(period: PastPeriod, uses: &'a [PastUse], first: usize) -> Watch<'a> {
        let length_hours = hours(period.end.duration_since(period.start));
        Watch { period, uses, first, length_hours, granted: period.granted.as_f64() }
    }

    fn run(&self, peer: Peer) -> PeriodReplay {
        let (used, exhausted_at) = self.outcome();
        let mut episodes: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        let mut balances = VecDeque::new();
        let (mut now, mut next, mut spent, mut held) = (self.period.start, self.first, Credits::ZERO, 0);
        while now < self.period.end {
            while let Some(use_now) = self.uses.get(next).filter(|used| used.at <= now) {
                spent += use_now.net;
                next += 1;
            }
            if spent >= self.period.granted {
                break;
            }
            let left = self.granted - spent.as_f64();
            balances.push_back(left);
            let holds = match peer {
                Peer::Threshold => spent.as_f64() >= USED_SHARE * self.granted,
                Peer::Pace => self.is_too_fast(spent.as_f64(), now),
                Peer::PredictLinear(window) => {
                    let ends = self.ends_by_line(&mut balances, usize::from(window), now);
                    held = if ends { held + 1 } else { 0 };
                    held > FOR_HOURS
                }
                Peer::BurnRate => self.burns(next, now),
            };
            match (episodes.last_mut(), holds) {
                (Some((_, cleared @ None)), false) => *cleared = Some(now),
                (None | Some((_, Some(_))), true) => episodes.push((now, None)),
                _ => {}
            }
            let Ok(later) = now.checked_add(STEP) else { break };
            now = later;
        }
        PeriodReplay { period: self.period, used, exhausted_at, episodes }
    }

    fn outcome(&self) -> (Credits, Option<Timestamp>) {
        let (mut used, mut exhausted_at) = (Credits::ZERO, None);
        for past in &self.uses[self.first..] {
            used += past.net;
            if used >= self.period.granted && exhausted_at.is_none() {
                exhausted_at = Some(past.at);
            }
        }
        (used, exhausted_at)
    }

    fn is_too_fast(&self, spent: f64, now: Timestamp) -> bool {
        let elapsed = hours(now.duration_since(self.period.start));
        elapsed > 0.0 && spent / elapsed * self.length_hours > self.granted
    }

    /// Whether the least-squares line through the last balances, one an hour, is below zero at the reset.
    fn ends_by_line(&self, balances: &mut VecDeque<f64>, window: usize, now: Timestamp) -> bool {
        while balances.len() > window + 1 {
            balances.pop_front();
        }
        if balances.len() < 2 {
            return false;
        }
        let count = balances.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = balances.iter().sum::<f64>() / count;
        let (mut cross, mut square) = (0.0, 0.0);
        for (hour, balance) in balances.iter().enumerate() {
            let distance = hour as f64 - middle;
            cross += distance * (balance - mean);
            square += distance * distance;
        }
        let slope = cross / square;
        let hours_left = hours(self.period.end.duration_since(now));
        mean + slope * (middle + hours_left) < 0.0
    }

    /// `next` is the first use later than `now`.
    fn burns(&self, next: usize, now: Timestamp) -> bool {
        let scale = self.length_hours / BURN_PERIOD_HOURS;
        let lasting_pace = self.granted / self.length_hours;
        let pace = |window: f64| {
            let from = now.saturating_sub(SignedDuration::from_secs_f64(window * 3600.0)).unwrap_or(Timestamp::MIN);
            let first = self.uses[..next].partition_point(|used| used.at <= from);
            self.uses[first..next].iter().map(|used| used.net).sum::<Credits>().as_f64() / window
        };
        BURN_RATES.iter().any(|(long, short, multiple)| {
            let least = multiple * lasting_pace;
            pace(long * scale) > least && pace(short * scale) > least
        })
    }
}

fn hours(span: SignedDuration) -> f64 {
    span.as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_735_516_800 + hour * HOUR).unwrap()
    }

    /// Use of so many credits at each of these hours, in a period of thirty days and a hundred credits.
    fn replayed(peer: Peer, uses: &[(i64, i64)]) -> PeriodReplay {
        let period = PastPeriod { start: at(0), end: at(720), granted: Credits::from_whole(100) };
        let used = |(hour, credits): &(i64, i64)| PastUse { at: at(*hour), net: Credits::from_whole(*credits) };
        let uses: Vec<PastUse> = uses.iter().map(used).collect();
        replay_peer(&uses, &[period], peer).unwrap().remove(0)
    }

    #[test]
    fn each_rule_speaks_when_it_says() {
        let steady: Vec<(i64, i64)> = (0..30).map(|day| (24 * day + 9, 3)).collect();
        let hasty: Vec<(i64, i64)> = (0..30).map(|day| (24 * day + 9, 5)).collect();
        // Raised and cleared at these hours; the hasty team runs out on the twentieth day.
        type Case<'a> = (Peer, &'a [(i64, i64)], &'a [(i64, Option<i64>)]);
        let cases: [Case; 7] = [
            (Peer::Threshold, &steady, &[(24 * 26 + 9, None)]),
            (Peer::Threshold, &hasty, &[(24 * 15 + 9, None)]),
            (Peer::Threshold, &[(5, 79)], &[]),
            (Peer::Pace, &[(5, 1), (20, 2)], &[(5, Some(8)), (20, Some(22))]),
            // Two low hours of seven are steep enough, and were so an hour ago at 102.
            (Peer::PredictLinear(6), &[(100, 1)], &[(102, Some(105))]),
            (Peer::BurnRate, &[(50, 2)], &[]),
            (Peer::BurnRate, &[(50, 3)], &[(50, Some(51))]),
        ];
        for (peer, uses, expected) in cases {
            let episodes = replayed(peer, uses).episodes;
            let hour = |at: Timestamp| (at.as_second() - 1_735_516_800) / HOUR;
            let found: Vec<_> = episodes.iter().map(|(from, to)| (hour(*from), to.map(hour))).collect();
            assert_eq!(found, expected, "{}", peer.as_str());
        }
        assert_eq!(replayed(Peer::Pace, &hasty).exhausted_at, Some(at(24 * 19 + 9)));
    }
}
