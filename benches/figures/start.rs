//! From the start of the process to the first `/-/ready` that says yes, on a ledger that is there already.

use std::path::Path;

use jiff::Timestamp;

use crate::Bench;
use crate::history::{History, Imported, configure, import_by_command};
use crate::memory::start_prometheus;
use crate::process::{Running, free_address, installed, serve};
use crate::report::{Row, Samples, time, timed};

const AIM_MILLIS: u128 = 100;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let rounds = bench.count(15, 3);
    let mut rows = Vec::new();
    for charges in [10_000, bench.count(1_000_000, 100_000)] {
        let folder = bench.path().join(format!("start-{charges}"));
        let account = Imported { name: "studio", teams: 1, plan_credits: charges as u64 };
        let config = configure(&folder, &[account], "", "")?;
        let csv = folder.join("history.csv");
        History::of_a_year(charges, Timestamp::now()).write(&csv)?;
        import_by_command(&config, "studio", &csv)?;
        let mut usual = Samples::default();
        for _ in 0..rounds {
            let (agent, took) = ready(&config, &folder)?;
            usual.add(took);
            agent.stop()?;
        }
        let mut after_kill = Samples::default();
        for _ in 0..rounds {
            let (agent, took) = ready(&config, &folder)?;
            after_kill.add(took);
            drop(agent); // kills it
        }
        let peer = if rows.is_empty() { prometheus(bench, rounds)? } else { String::new() };
        let is_met = usual.median().as_millis() < AIM_MILLIS;
        rows.push(
            Row::new(format!("start to ready, a ledger of {charges} charges"), usual.few())
                .aim("< 100 ms", is_met)
                .peer(peer),
        );
        rows.push(
            Row::new("… after `kill -9`", after_kill.few())
                .aim("< 100 ms", after_kill.median().as_millis() < AIM_MILLIS),
        );
    }
    Ok(rows)
}

fn ready(config: &Path, folder: &Path) -> anyhow::Result<(Running, std::time::Duration)> {
    let address = free_address()?;
    let (took, agent) = timed(|| -> anyhow::Result<Running> {
        let mut agent = Running::start(serve(config, address), folder)?;
        agent.wait_for(address, "/-/ready")?;
        Ok(agent)
    });
    Ok((agent?, took))
}

fn prometheus(bench: &Bench, rounds: usize) -> anyhow::Result<String> {
    let Some(program) = installed(&["prometheus"]) else { return Ok("Prometheus is not installed".to_owned()) };
    let mut samples = Samples::default();
    for round in 0..rounds.min(5) {
        let folder = bench.path().join(format!("prometheus-{round}"));
        let (took, peer) = timed(|| -> anyhow::Result<Running> {
            let (mut peer, address) = start_prometheus(program, &folder)?;
            peer.wait_for(address, "/-/ready")?;
            Ok(peer)
        });
        peer?.stop()?;
        samples.add(took);
    }
    Ok(format!("Prometheus, with nothing stored: median {}", time(samples.median())))
}
