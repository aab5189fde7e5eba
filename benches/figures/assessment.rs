//! One assessment: load, forecast, rules, commit.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuelgauge::app::{Agent, Shared};
use fuelgauge::assessor::Alerts;
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::Config;
use fuelgauge::domain::{
    Alert, AlertState, Attribution, Collector, Credits, DrawAssessment, Reading, RuleName, Stage, TaskRecord,
    TaskState, Told,
};
use fuelgauge::poller::Account;
use fuelgauge::store::{AlertChange, CollectorOutcome, Incoming};
use jiff::{SignedDuration, Timestamp};

use crate::Bench;
use crate::history::{History, Imported, configure, import_into};
use crate::report::{Row, Samples, time};

/// What it takes at most, at the median.
const AIM: Duration = Duration::from_millis(1);

/// Charges in the running period.
const CHARGES: usize = 10_000;

/// An agent whose clock stands still between steps.
struct Bed {
    shared: Shared,
    agent: Agent,
    clock: Arc<ManualClock>,
    polls: usize,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    tokio::runtime::Runtime::new()?.block_on(measure_all(bench))
}

async fn measure_all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (rounds, steps) = (bench.count(5, 2), bench.count(1000, 50));
    let mut rows = Vec::new();
    for (teams, periods, what) in [
        (1, 4, "one assessment, 10,000 charges in the period, three such periods before"),
        (3, 4, "… the account shared by three teams"),
        (1, 60, "… five years of such periods before"),
    ] {
        let mut bed = Bed::new(bench, teams, if bench.is_quick { periods.min(4) } else { periods }).await?;
        let samples = bed.repeated(rounds, steps).await?;
        rows.push(Row::new(what, samples.words()).aim("median < 1 ms", samples.median() < AIM));
        if periods > 4 {
            let cold = bed.first_looks(bench.count(50, 5)).await?;
            rows.push(Row::new("… the first of a process", cold.few()));
        }
        if (teams, periods) == (1, 4) {
            let writing = bed.changing(rounds, steps / 10, Before::AboutToClear).await?;
            let flush = flushes(bench.path(), rounds, steps / 10)?;
            let peer =
                format!("4 KiB written and flushed to a file in the same folder: median {}", time(flush.median()));
            let row = Row::new("… that changes an alert and commits it", writing.words()).peer(peer);
            rows.push(row.aim("median < 1 ms", writing.median() < AIM));
            let telling = bed.changing(rounds, steps / 10, Before::Inactive).await?;
            let row = Row::new("… that opens an alert: state, notice and mail written and committed", telling.words());
            rows.push(row.aim("median < 1 ms", telling.median() < AIM));
            let appended = bed.appends(rounds, steps / 10).await?;
            rows.push(Row::new("the commit of a poll that read one new charge", appended.words()));
        }
    }
    Ok(rows)
}

impl Bed {
    async fn new(bench: &Bench, teams: usize, periods: usize) -> anyhow::Result<Bed> {
        let folder = bench.path().join(format!("assessment-{teams}-{periods}"));
        // Half of what the pace asks for: the forecast has something to say.
        let account = Imported { name: "studio", teams, plan_credits: 70_000 };
        let config = Config::load(&configure(&folder, &[account], "", "")?)?;
        let now: Timestamp = "2026-06-16T12:00:00Z".parse()?;
        let clock = Arc::new(ManualClock::new(now));
        let shared = Shared::open(&config.storage, Arc::<ManualClock>::clone(&clock)).await?;
        let agent = Agent::build(&config, None, &shared).await?;
        // The running period is half over, so its charges are half of those of a whole month.
        let half_month = SignedDuration::from_hours(15 * 24 + 12);
        let halves = 2 * periods - 1;
        let history = History {
            seed: 7,
            charges: CHARGES * halves,
            from: now - half_month * i32::try_from(halves)?,
            to: now,
            teams,
            has_ordered_ids: true,
        };
        let csv = folder.join("history.csv");
        history.write(&csv)?;
        let account = &agent.accounts[0];
        import_into(&shared, account, &csv, now).await?;
        agent.first_look().await?;
        Ok(Bed { shared, agent, clock, polls: 0 })
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.agent.accounts[0])
    }

    /// What a poll every half minute would bring: one more charge, now and then.
    async fn append(&mut self) -> anyhow::Result<Duration> {
        self.clock.advance(SignedDuration::from_secs(30));
        self.polls += 1;
        let (now, account) = (self.clock.now(), self.account());
        let task = TaskRecord {
            credits: Some(Credits::from_whole(5)),
            attribution: Attribution { project: Some("team-0".to_owned()), ..Attribution::default() },
            ..TaskRecord::new(format!("polled-{}", self.polls), now, TaskState::Succeeded, "rig")
        };
        let reading = Reading { tasks: vec![task], ..Reading::default() };
        let outcome = CollectorOutcome { collector: Collector::Charges, duration_seconds: 0.1, failure: None };
        let incoming = Incoming { outcomes: &[outcome], ..Incoming::of(&reading, now) };
        let begun = Instant::now();
        self.shared.store.append(&account.config.name, &account.draws, incoming).await?;
        Ok(begun.elapsed())
    }

    /// Assessments as they are most of the time: new charges, the same alerts.
    async fn repeated(&mut self, rounds: usize, steps: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..rounds {
            samples.next_round();
            for step in 0..steps {
                if step % 10 == 0 {
                    self.append().await?;
                }
                samples.add(self.assess().await?);
            }
        }
        Ok(samples)
    }

    /// Assessments each of which changes an alert: from `before`, which is put in place first and not measured.
    async fn changing(&mut self, rounds: usize, steps: usize, before: Before) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        let mails_before = self.shared.published.borrow().outbox.total().waiting;
        for _ in 0..rounds {
            samples.next_round();
            for _ in 0..steps {
                self.append().await?;
                self.put_in_place(before).await?;
                samples.add(self.assess().await?);
                let assessed = Arc::clone(&self.shared.published.borrow().accounts[0]);
                let state = assessed.draws[0].alert(RuleName::Exhaustion).state;
                let is_changed = matches!(state, AlertState::Firing { clear_since: None, .. });
                anyhow::ensure!(is_changed, "expected an alert that fires, found {state:?}");
            }
        }
        let mails = self.shared.published.borrow().outbox.total().waiting - mails_before;
        let expected = if before == Before::Inactive { rounds * steps } else { 0 };
        anyhow::ensure!(mails == expected as u64, "expected {expected} mails, found {mails}");
        Ok(samples)
    }

    async fn appends(&mut self, rounds: usize, steps: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..rounds {
            samples.next_round();
            for _ in 0..steps {
                samples.add(self.append().await?);
            }
        }
        Ok(samples)
    }

    /// The first assessment after a start, which reads the whole history of hours.
    async fn first_looks(&mut self, times: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        let config = Config::load(&self.shared.store.path().with_file_name("fuelgauge.yml"))?;
        for _ in 0..times {
            let agent = Agent::build(&config, None, &self.shared).await?;
            let begun = Instant::now();
            agent.first_look().await?;
            samples.add(begun.elapsed());
        }
        Ok(samples)
    }

    async fn assess(&self) -> anyhow::Result<Duration> {
        let (account, now) = (self.account(), self.clock.now());
        let begun = Instant::now();
        let assessed = self.agent.assessor.assess_once(&account, now, Alerts::Step).await?;
        let took = begun.elapsed();
        for draw in &assessed.draws {
            anyhow::ensure!(draw.outlook.forecast().is_some(), "expected a forecast, found {:?}", draw.outlook);
        }
        Ok(took)
    }

    async fn put_in_place(&self, before: Before) -> anyhow::Result<()> {
        let assessed = Arc::clone(&self.shared.published.borrow().accounts[0]);
        let now = self.clock.now();
        let change = |draw: &DrawAssessment| AlertChange {
            key: draw.key.clone(),
            rule: RuleName::Exhaustion,
            period_start: draw.period.as_ref().map_or(Timestamp::UNIX_EPOCH, |period| period.start),
            alert: Alert {
                episode: draw.alert(RuleName::Exhaustion).episode,
                state: match before {
                    Before::Inactive => AlertState::Inactive,
                    Before::AboutToClear => AlertState::Firing {
                        level: Stage::Critical.into(),
                        since: now,
                        clear_since: Some(now),
                        told: Some(Told { level: Stage::Critical.into(), at: now, figure: None }),
                    },
                },
            },
        };
        let changes: Vec<AlertChange> = assessed.draws.iter().map(change).collect();
        self.shared.store.commit_alerts(&changes, &[]).await?;
        Ok(())
    }
}

/// How an alert was left before the assessment that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The assessment opens it and writes a mail.
    Inactive,
    /// The assessment finds that it holds on, and tells nobody.
    AboutToClear,
}

/// What the disk needs at least for a commit.
pub fn flushes(folder: &Path, rounds: usize, times: usize) -> anyhow::Result<Samples> {
    let mut file = std::fs::File::create(folder.join("flushed"))?;
    let mut samples = Samples::default();
    for _ in 0..rounds {
        samples.next_round();
        for _ in 0..times {
            let begun = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            samples.add(begun.elapsed());
        }
    }
    Ok(samples)
}
