//! `backtest`: which alerts a charge history would have brought.

use std::io::{self, BufWriter, Write};

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::table::{credits, moment, percent, table};
use super::{Answer, is_broken_pipe};
use crate::backtest::{TeamHistory, read_histories, replay_peers, run as replay_all, write_peer};
use crate::cli::{BacktestFlags, RuleFlag, SensitivityFlag};
use crate::domain::{ExhaustionPolicy, Peer, PeriodReplay, Sensitivity};

pub fn run(flags: &BacktestFlags) -> anyhow::Result<Answer> {
    let histories = read_histories(&flags.charges, &flags.periods)?;
    let chosen = match flags.sensitivity {
        SensitivityFlag::Early => Sensitivity::Early,
        SensitivityFlag::Balanced => Sensitivity::Balanced,
        SensitivityFlag::Quiet => Sensitivity::Quiet,
    };
    if flags.summary {
        summarise(&histories, chosen)?;
        return Ok(Answer::Fine);
    }
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = match peer(flags.rule) {
        None => replay_all(&histories, &policy(chosen), Some(&mut out)).map(drop),
        Some(peer) => write_peer(&histories, peer, &mut out),
    };
    let written = written.map_err(anyhow::Error::from);
    match written.and_then(|_| Ok(out.flush()?)) {
        Ok(()) => Ok(Answer::Fine),
        Err(error) if is_broken_pipe(&error) => Ok(Answer::Fine),
        Err(error) => Err(error),
    }
}

fn peer(rule: RuleFlag) -> Option<Peer> {
    Some(match rule {
        RuleFlag::Exhaustion => return None,
        RuleFlag::Threshold => Peer::Threshold,
        RuleFlag::Pace => Peer::Pace,
        RuleFlag::PredictLinear6h => Peer::PredictLinear(6),
        RuleFlag::PredictLinear24h => Peer::PredictLinear(24),
        RuleFlag::PredictLinear3d => Peer::PredictLinear(72),
        RuleFlag::BurnRate => Peer::BurnRate,
    })
}

fn policy(sensitivity: Sensitivity) -> ExhaustionPolicy {
    ExhaustionPolicy::new(sensitivity, ExhaustionPolicy::default().critical_within)
}

fn summarise(histories: &[TeamHistory], chosen: Sensitivity) -> anyhow::Result<()> {
    let settings = [("early", Sensitivity::Early), ("balanced", Sensitivity::Balanced), ("quiet", Sensitivity::Quiet)];
    let mut comparison = table(&[
        "RULE",
        "PERIODS",
        "RAN OUT",
        "WARNED 1/30 AHEAD",
        "WARNED 1/10 AHEAD",
        "MEDIAN LEAD",
        "FALSE ALARMS",
        "RAISES",
    ]);
    let mut detail = Vec::new();
    for (name, sensitivity) in settings {
        let replays = replay_all(histories, &policy(sensitivity), None)?;
        let tally = Tally::of(replays.iter().flatten());
        comparison.add_row(tally.row(&format!("exhaustion, {name}")));
        if sensitivity == chosen {
            detail = replays;
        }
    }
    for peer in Peer::ALL {
        let replays = replay_peers(histories, peer)?;
        comparison.add_row(Tally::of(replays.iter().flatten()).row(peer.as_str()));
    }
    say!("{comparison}");
    say!();
    say!(
        "Warned 1/30 (1/10) ahead: of the periods whose credits ran out, those in which the alert had been active for"
    );
    say!("that share of the period by then; a day (three days) of a month. False alarms: of the periods that lasted.");
    say!();
    let mut periods = table(&["TEAM", "PERIOD", "GRANTED", "USED", "RAN OUT", "ALERT", "LEAD"]);
    for (history, replayed) in histories.iter().zip(&detail) {
        for period in replayed {
            periods.add_row([
                history.team.clone(),
                moment(Some(period.period.start), &TimeZone::UTC),
                credits(Some(period.period.granted)),
                credits(Some(period.used)),
                moment(period.exhausted_at, &TimeZone::UTC),
                moment(period.episodes.first().map(|(raised, _)| *raised), &TimeZone::UTC),
                period.lead().map_or_else(|| "-".to_owned(), days),
            ]);
        }
    }
    say!("{periods}");
    Ok(())
}

/// What a rule setting would have done to a history.
#[derive(Debug, Default)]
struct Tally {
    periods: usize,
    exhausted: usize,
    /// Warned, of those in which there was time to.
    warned_thirtieth: (usize, usize),
    warned_tenth: (usize, usize),
    median_lead: Option<SignedDuration>,
    /// Of the periods that lasted.
    false_alarms: (usize, usize),
    raises: usize,
}

impl Tally {
    fn of<'a>(replays: impl Iterator<Item = &'a PeriodReplay>) -> Tally {
        let mut tally = Tally::default();
        let mut leads = Vec::new();
        for replayed in replays {
            tally.periods += 1;
            tally.raises += replayed.episodes.len();
            let Some(exhausted_at) = replayed.exhausted_at else {
                tally.false_alarms.0 += usize::from(!replayed.episodes.is_empty());
                tally.false_alarms.1 += 1;
                continue;
            };
            tally.exhausted += 1;
            let (start, end) = (replayed.period.start, replayed.period.end);
            let (time_before, length) = (exhausted_at.duration_since(start), end.duration_since(start));
            let lead = replayed.lead();
            leads.extend(lead);
            for (warned, part) in [(&mut tally.warned_thirtieth, 30), (&mut tally.warned_tenth, 10)] {
                if time_before >= length / part {
                    warned.0 += usize::from(lead.is_some_and(|lead| lead >= length / part));
                    warned.1 += 1;
                }
            }
        }
        leads.sort_unstable();
        tally.median_lead = leads.get(leads.len() / 2).copied();
        tally
    }

    fn row(&self, name: &str) -> [String; 8] {
        [
            name.to_owned(),
            self.periods.to_string(),
            self.exhausted.to_string(),
            share(self.warned_thirtieth),
            share(self.warned_tenth),
            self.median_lead.map_or_else(|| "-".to_owned(), days),
            share(self.false_alarms),
            self.raises.to_string(),
        ]
    }
}

fn share((part, whole): (usize, usize)) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{part} of {whole} ({})", percent(part as f64 / whole as f64)),
    }
}

fn days(length: SignedDuration) -> String {
    format!("{:.1} days", length.as_secs_f64() / 86_400.0)
}
