//! `backtest`: which alerts a charge history would have brought.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::table::{COLUMNS, credits, moment, table, wrapped};
use super::{Answer, is_broken_pipe};
use crate::backtest::{
    Asked, TeamHistory, read_histories, replay_estimates, replay_peers, run as replay_all, write_peer,
};
use crate::cli::{BacktestFlags, RuleFlag, SensitivityFlag};
use crate::domain::estimate::hindsight::{BATCH_SIZES, Coverage};
use crate::domain::words::counted;
use crate::domain::{ExhaustionPolicy, Peer, PeriodReplay, Sensitivity};

pub fn run(flags: &BacktestFlags) -> anyhow::Result<Answer> {
    let Some(periods) = &flags.periods else { return estimates(&flags.charges) };
    let histories = read_histories(&flags.charges, periods)?;
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

/// How many batches of past launches would have cost what was said before.
fn estimates(charges: &Path) -> anyhow::Result<Answer> {
    let mut rows =
        table(&["ASKED BY", "LAUNCHES", "BATCHES", "WITHIN 9 OF 10", "BELOW THE MEDIAN", "BELOW 1 OF 10", "WIDTH"]);
    for (name, asked) in [("kind and quality", Asked::KindAndQuality), ("kind", Asked::Kind)] {
        let by_size = replay_estimates(charges, asked)?;
        let all = by_size.iter().fold(Coverage::default(), |sum, found| sum.and(*found));
        let sizes = BATCH_SIZES.map(|size| size.to_string()).into_iter().chain(["all".to_owned()]);
        for (size, found) in sizes.zip(by_size.into_iter().chain([all])) {
            let known = found.batches - found.unknown;
            let part =
                |of: u64| if known == 0 { "-".to_owned() } else { format!("{:.1}%", 100.0 * of as f64 / known as f64) };
            let width =
                if known == 0 { "-".to_owned() } else { format!("{:.2}", (found.log_width_sum / known as f64).exp()) };
            rows.add_row([
                name.to_owned(),
                size,
                found.batches.to_string(),
                part(found.within_p90),
                part(found.below_p50),
                part(found.below_p10),
                width,
            ]);
        }
    }
    say!("{rows}");
    say!();
    for (what, meaning) in [
        (
            "Batches",
            "so many launches of a kind by a team that follow each other, each estimated from what was known before it. \
                     Kinds that always cost the same are left out.",
        ),
        ("Within 9 of 10", "of those, batches that cost no more than the p90 said. 85% to 95% are aimed at."),
        ("Width", "p90 over p50, the geometric mean over all batches."),
    ] {
        say!("{}", wrapped(&format!("{what}: {meaning}"), COLUMNS));
    }
    Ok(Answer::Fine)
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
        "WARNED 1/120",
        "1/30",
        "1/10",
        "1/4 AHEAD",
        "FALSE ALARMS",
        "ACTIVE",
        "MEDIAN LEAD",
        "RAISES",
    ]);
    let mut counts = (0, 0);
    let mut detail = Vec::new();
    for (name, sensitivity) in settings {
        let replays = replay_all(histories, &policy(sensitivity), None)?;
        let tally = Tally::of(replays.iter().flatten());
        comparison.add_row(tally.row(&format!("exhaustion, {name}")));
        if sensitivity == chosen {
            counts = (tally.periods, tally.exhausted);
            detail = replays;
        }
    }
    for peer in Peer::ALL {
        let replays = replay_peers(histories, peer)?;
        comparison.add_row(Tally::of(replays.iter().flatten()).row(peer.as_str()));
    }
    say!("{comparison}");
    say!();
    let (count, exhausted) = counts;
    say!("{}, in {exhausted} of which the credits ran out.", counted(count as u64, "period", "periods"));
    for (what, meaning) in [
        (
            "Warned",
            "of the periods whose credits ran out, those in which the alert had been active for that share of the period by \
             then; of a month 1/120 are 6 hours, 1/30 a day, 1/10 three days and 1/4 a week. Only those with that much time before.",
        ),
        (
            "False alarms",
            "of the periods whose credits lasted, those with an alert. Active: the share of their time with one.",
        ),
        ("Median lead", "from the alert to the end of the credits, as a share of the period."),
        ("Raises", "how often an alert began, in a period that had any."),
    ] {
        say!("{}", wrapped(&format!("{what}: {meaning}"), COLUMNS));
    }
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

/// Warned so far ahead: one period in so many.
const AHEAD: [i32; 4] = [120, 30, 10, 4];

/// What a rule setting would have done to a history.
#[derive(Debug, Default)]
struct Tally {
    periods: usize,
    exhausted: usize,
    /// Warned, of those in which there was time to, by [`AHEAD`].
    warned: [(usize, usize); AHEAD.len()],
    /// Share of the period from the alert to the end of the credits.
    median_lead: Option<f64>,
    /// Of the periods that lasted.
    false_alarms: (usize, usize),
    /// Sum of the shares of those periods with an active alert.
    active: f64,
    raises: usize,
    raised: usize,
}

impl Tally {
    fn of<'a>(replays: impl Iterator<Item = &'a PeriodReplay>) -> Tally {
        let mut tally = Tally::default();
        let mut leads = Vec::new();
        for replayed in replays {
            let (start, end) = (replayed.period.start, replayed.period.end);
            let length = end.duration_since(start);
            let share_of_period = |part: SignedDuration| part.as_secs_f64() / length.as_secs_f64();
            tally.periods += 1;
            tally.raises += replayed.episodes.len();
            tally.raised += usize::from(!replayed.episodes.is_empty());
            let Some(exhausted_at) = replayed.exhausted_at else {
                tally.false_alarms.0 += usize::from(!replayed.episodes.is_empty());
                tally.false_alarms.1 += 1;
                let active = |(raised, cleared): &(Timestamp, Option<Timestamp>)| {
                    share_of_period(cleared.unwrap_or(end).duration_since(*raised))
                };
                tally.active += replayed.episodes.iter().map(active).sum::<f64>();
                continue;
            };
            tally.exhausted += 1;
            let time_before = exhausted_at.duration_since(start);
            let lead = replayed.lead();
            leads.extend(lead.map(share_of_period));
            for (warned, part) in tally.warned.iter_mut().zip(AHEAD) {
                if time_before >= length / part {
                    warned.0 += usize::from(lead.is_some_and(|lead| lead >= length / part));
                    warned.1 += 1;
                }
            }
        }
        leads.sort_unstable_by(f64::total_cmp);
        tally.median_lead = leads.get(leads.len() / 2).copied();
        tally
    }

    fn row(&self, name: &str) -> [String; 9] {
        let [hours, day, days, week] = self.warned.map(share);
        let lasted = self.false_alarms.1;
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        [
            name.to_owned(),
            hours,
            day,
            days,
            week,
            share(self.false_alarms),
            or_none((lasted > 0).then(|| format!("{:.1}%", 100.0 * self.active / lasted as f64))),
            or_none(self.median_lead.map(|lead| format!("{lead:.2}"))),
            or_none((self.raised > 0).then(|| format!("{:.1}", self.raises as f64 / self.raised as f64))),
        ]
    }
}

fn share((part, whole): (usize, usize)) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.0}% of {whole}", 100.0 * part as f64 / whole as f64),
    }
}

fn days(length: SignedDuration) -> String {
    format!("{:.1} days", length.as_secs_f64() / 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Credits, PastPeriod};

    #[test]
    fn a_row_counts_what_it_says() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let day = |number: i64| start + SignedDuration::from_hours(24 * number);
        let replayed = |exhausted: Option<i64>, episodes: &[(i64, Option<i64>)]| PeriodReplay {
            period: PastPeriod { start, end: day(30), granted: Credits::from_whole(100) },
            used: Credits::from_whole(90),
            exhausted_at: exhausted.map(day),
            episodes: episodes.iter().map(|(raised, cleared)| (day(*raised), cleared.map(day))).collect(),
        };
        for (name, replays, row) in [
            ("nothing", vec![], ["-", "-", "-", "-", "-", "-", "-", "-"]),
            ("calm", vec![replayed(None, &[])], ["-", "-", "-", "-", "0% of 1", "0.0%", "-", "-"]),
            (
                "one told five days ahead, one not at all and with no week before",
                vec![replayed(Some(20), &[(15, None)]), replayed(Some(5), &[])],
                ["50% of 2", "50% of 2", "50% of 2", "0% of 1", "-", "-", "0.17", "1.0"],
            ),
            (
                "two false alarms in one of two",
                vec![replayed(None, &[(3, Some(6)), (27, None)]), replayed(None, &[])],
                ["-", "-", "-", "-", "50% of 2", "10.0%", "-", "2.0"],
            ),
        ] {
            assert_eq!(Tally::of(replays.iter()).row("rule")[1..], row, "{name}");
        }
    }
}
