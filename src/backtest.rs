//! A team's past against the rules of today: reads a charge history and its plan periods, and replays each team.

mod estimates;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use jiff::Timestamp;
use serde_json::json;

use crate::domain::{
    Credits, ExhaustionPolicy, Forecast, PastPeriod, PastUse, Peer, PeriodReplay, ReplayError, Said, TaskRecord,
    replay, replay_peer,
};
use crate::provider::history::{ChargeFile, ColumnMap, FileError};
use crate::provider::periods::{PeriodsError, read_periods};

pub use self::estimates::{Asked, replay_estimates};

/// One team's past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamHistory {
    /// The name that the files give it.
    pub team: String,
    /// What it used, in the order of time.
    pub uses: Vec<PastUse>,
    /// Its plan periods, in the order of time.
    pub periods: Vec<PastPeriod>,
}

/// Why a history cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The file of charges.
    #[error(transparent)]
    Charges(#[from] FileError),
    /// A row of it. A history with holes would be judged wrongly, so one bad row is one too many.
    #[error("{path}:{line}: {reason}")]
    Row {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What was found and what was expected.
        reason: String,
    },
    /// The file of periods.
    #[error(transparent)]
    Periods(#[from] PeriodsError),
    /// A team's periods.
    #[error("team `{team}`: {source}")]
    Team {
        /// The team.
        team: String,
        /// What is wrong.
        source: ReplayError,
    },
    /// The lines cannot be written.
    #[error("failed to write")]
    Write(#[from] io::Error),
}

/// Rows read at a time.
const BATCH_ROWS: usize = 65_536;

/// Reads the histories of all teams that have a period, in the order of their names. Charges may come in any order.
///
/// # Errors
/// A file cannot be read, or a value does not fit.
pub fn read_histories(charges: &Path, periods: &Path) -> Result<Vec<TeamHistory>, BacktestError> {
    let mut teams: BTreeMap<String, TeamHistory> = BTreeMap::new();
    for (team, periods) in read_periods(periods)? {
        teams.insert(team.clone(), TeamHistory { team, uses: Vec::new(), periods });
    }
    let mut file = ChargeFile::open(charges, &ColumnMap::plain(), None)?;
    while let Some(batch) = file.next_batch(BATCH_ROWS)? {
        if let Some(rejected) = batch.rejected.into_iter().next() {
            let path = charges.display().to_string();
            return Err(BacktestError::Row { path, line: rejected.line, reason: rejected.reason });
        }
        for task in batch.tasks {
            let team = task.attribution.team.as_deref().unwrap_or_default();
            if let Some(history) = teams.get_mut(team) {
                history.uses.push(PastUse { at: task.created_at, net: net(&task) });
            }
        }
    }
    let mut histories: Vec<TeamHistory> = teams.into_values().collect();
    // A stable sort: what happened at one moment stays in the order of the file.
    histories.iter_mut().for_each(|history| history.uses.sort_by_key(|used| used.at));
    Ok(histories)
}

fn net(task: &TaskRecord) -> Credits {
    task.credits.unwrap_or(Credits::ZERO) - task.refunded.unwrap_or(Credits::ZERO)
}

/// Replays all teams on every core, and writes one JSON line for each thing that would have been said, team by team and
/// in the order of time: the contract of the benchmark. Without `lines` nothing is written.
///
/// # Errors
/// A team's periods overlap, or the lines cannot be written.
pub fn run(
    histories: &[TeamHistory],
    policy: &ExhaustionPolicy,
    mut lines: Option<&mut dyn Write>,
) -> Result<Vec<Vec<PeriodReplay>>, BacktestError> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(histories.len().max(1));
    let next = AtomicUsize::new(0);
    let is_written = lines.is_some();
    let mut replays: Vec<Vec<PeriodReplay>> = vec![Vec::new(); histories.len()];
    thread::scope(|scope| {
        // Each worker may be one team ahead of the writer.
        let (sender, finished) = mpsc::sync_channel(workers);
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((place, history)) = next_of(histories, next) {
                    if sender.send((place, replay_team(history, policy, is_written))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (place, outcome) in finished {
            waiting.insert(place, outcome?);
            while let Some((replayed, text)) = waiting.remove(&due) {
                if let Some(lines) = &mut lines {
                    lines.write_all(&text)?;
                }
                replays[due] = replayed;
                due += 1;
            }
        }
        Ok(replays)
    })
}

/// Replays a usual rule over all teams.
///
/// # Errors
/// A team's periods overlap.
pub fn replay_peers(histories: &[TeamHistory], peer: Peer) -> Result<Vec<Vec<PeriodReplay>>, BacktestError> {
    let replayed = |history: &TeamHistory| {
        replay_peer(&history.uses, &history.periods, peer)
            .map_err(|source| BacktestError::Team { team: history.team.clone(), source })
    };
    histories.iter().map(replayed).collect()
}

/// Writes what a usual rule would have said, as [`run`] does for fuelgauge's own; it has no probabilities.
///
/// # Errors
/// A team's periods overlap, or the lines cannot be written.
pub fn write_peer(histories: &[TeamHistory], peer: Peer, out: &mut dyn Write) -> Result<(), BacktestError> {
    for (history, replayed) in histories.iter().zip(replay_peers(histories, peer)?) {
        let team = json!(history.team).to_string();
        for PeriodReplay { period, episodes, .. } in replayed {
            for (raised, cleared) in episodes {
                let events = [Some(("raise", raised)), cleared.map(|at| ("clear", at))];
                for (event, at) in events.into_iter().flatten() {
                    let start = period.start;
                    writeln!(out, r#"{{"team":{team},"period_start":"{start}","at":"{at}","event":"{event}"}}"#)?;
                }
            }
        }
    }
    Ok(())
}

fn next_of<'a>(histories: &'a [TeamHistory], next: &AtomicUsize) -> Option<(usize, &'a TeamHistory)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    histories.get(place).map(|history| (place, history))
}

fn replay_team(
    history: &TeamHistory,
    policy: &ExhaustionPolicy,
    is_written: bool,
) -> Result<(Vec<PeriodReplay>, Vec<u8>), BacktestError> {
    let mut text = Vec::new();
    let name = json!(history.team).to_string();
    let write = |place: usize, at: Timestamp, said: Said<'_>| {
        if is_written {
            let start = history.periods[place].start;
            // Writing to memory cannot fail.
            let _ = write_line(&mut text, &name, start, at, said);
        }
    };
    let replayed = replay(&history.uses, &history.periods, policy, write)
        .map_err(|source| BacktestError::Team { team: history.team.clone(), source })?;
    Ok((replayed, text))
}

fn write_line(out: &mut Vec<u8>, team: &str, start: Timestamp, at: Timestamp, said: Said<'_>) -> io::Result<()> {
    write!(out, r#"{{"team":{team},"period_start":"{start}","at":"{at}","event":"#)?;
    match said {
        Said::Raise(p) => writeln!(out, r#""raise","p":{p:.6}}}"#),
        Said::Clear(p) => writeln!(out, r#""clear","p":{p:.6}}}"#),
        Said::Forecast(Forecast { probability, run_out, .. }) => {
            write!(out, r#""forecast","p":{:.6}"#, probability.unwrap_or_default())?;
            for (key, date) in [("t10", run_out.p10), ("t50", run_out.p50), ("t90", run_out.p90)] {
                match date {
                    Some(date) => write!(out, r#","{key}":"{date}""#)?,
                    None => write!(out, r#","{key}":null"#)?,
                }
            }
            out.write_all(b"}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Sensitivity;

    const CHARGES: &str = "team,charge_id,at,credits,task_type,quality,outcome\n\
        a,c3,2026-01-03T10:00:00Z,40,rig,,succeeded\n\
        a,c1,2026-01-01T10:00:00Z,40,rig,,succeeded\n\
        a,c2,2026-01-02T10:00:00Z,40,rig,,refunded\n\
        a,c4,2026-01-05T10:00:00Z,40,rig,,failed\n\
        a,c5,2026-01-04T10:00:00Z,40,rig,,failed\n\
        b\"1,d1,2026-01-03T10:00:00Z,1,rig,,succeeded\n\
        stranger,e1,2026-01-03T10:00:00Z,1,rig,,succeeded\n";
    const PERIODS: &str = "team,period_start,period_end,grant\n\
        a,2026-01-05T00:00:00Z,2026-01-07T00:00:00Z,30\n\
        \"b\"\"1\",2026-01-05T00:00:00Z,2026-01-06T00:00:00Z,9\n";

    fn histories(charges: &str) -> Result<Vec<TeamHistory>, BacktestError> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        read_histories(&path("charges.csv", charges), &path("periods.csv", PERIODS))
    }

    #[test]
    fn files_become_histories_in_order() {
        let found = histories(CHARGES).unwrap();
        assert_eq!(found.iter().map(|team| team.team.as_str()).collect::<Vec<_>>(), ["a", "b\"1"]);
        let net: Vec<_> = found[0].uses.iter().map(|used| used.net.to_string()).collect();
        assert_eq!(net, ["40", "0", "40", "40", "40"], "refunded charges count nothing, failed ones in full");
        let error = histories(&format!("{CHARGES}a,x,yesterday,1,rig,,failed\n")).unwrap_err().to_string();
        assert!(error.contains("charges.csv:9: `at`: expected a time"), "{error}");
    }

    #[test]
    fn each_line_is_json_of_the_contract() {
        let histories = histories(CHARGES).unwrap();
        let mut lines = Vec::new();
        let replays = run(&histories, &ExhaustionPolicy::default(), Some(&mut lines)).unwrap();
        assert_eq!(replays[0][0].exhausted_at, Some("2026-01-05T10:00:00Z".parse().unwrap()));
        let text = String::from_utf8(lines).unwrap();
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let at: Timestamp = line["at"].as_str().unwrap().parse().unwrap();
            assert!(at >= line["period_start"].as_str().unwrap().parse().unwrap());
            assert!((0.0..=1.0).contains(&line["p"].as_f64().unwrap()), "{line}");
            let is_forecast = line["event"] == "forecast";
            assert_eq!(line.get("t10").is_some() && line.get("t90").is_some(), is_forecast, "{line}");
            let key = (line["team"].as_str().unwrap().to_owned(), line["event"].as_str().unwrap().to_owned());
            *counts.entry(key).or_insert(0) += 1;
        }
        // Until the credits are gone, on the hour of which nothing is said any more. The other team has too few charges.
        assert_eq!(counts.get(&("a".into(), "forecast".into())), Some(&10), "{counts:?}");
        assert!(counts.keys().all(|(team, _)| team == "a"), "{counts:?}");
    }

    #[test]
    fn cores_change_nothing() {
        let many: Vec<TeamHistory> = (0..40)
            .map(|number| TeamHistory { team: format!("team-{number}"), ..histories(CHARGES).unwrap().remove(0) })
            .collect();
        let all = |histories: &[TeamHistory]| {
            let mut lines = Vec::new();
            let policy = ExhaustionPolicy::new(Sensitivity::Early, jiff::SignedDuration::from_hours(48));
            run(histories, &policy, Some(&mut lines)).unwrap();
            lines
        };
        let one_by_one: Vec<u8> = many.iter().flat_map(|history| all(std::slice::from_ref(history))).collect();
        assert_eq!(all(&many), one_by_one);
    }
}
