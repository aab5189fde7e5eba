//! Scrapes of `/metrics` over loopback HTTP.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::app::{Agent, Shared};
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::Config;
use fuelgauge::demo::platform::{Platform, World};
use fuelgauge::domain::{AccountAssessment, AccountName, Snapshot};
use fuelgauge::http::{self, HttpState};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Bench;
use crate::history::{History, Imported, configure, import_into};
use crate::memory::polled;
use crate::process::Client;
use crate::report::{Row, Samples, time, timed};

const AIM: Duration = Duration::from_millis(50);
const AIM_OF_A_MILLION: Duration = Duration::from_secs(1);
const SERIES: usize = 10_000;

/// An agent of many accounts in this process, and its server.
struct Bed {
    shared: Shared,
    agent: Arc<Agent>,
    clock: Arc<ManualClock>,
    platform: Platform,
    address: SocketAddr,
}

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let bed = runtime.block_on(Bed::new(bench))?;
    let (rounds, scrapes) = (bench.count(5, 2), bench.count(400, 40));
    let series = bed.series()?;
    anyhow::ensure!(bench.is_quick || series >= SERIES, "expected {SERIES} series, found {series}");
    let mut rows = Vec::new();

    for (is_packed, words) in [(false, "not packed"), (true, "gzip, as Prometheus asks for")] {
        let samples = scrape(bed.address, rounds, scrapes, is_packed)?;
        let what = format!("`/metrics`, {series} series, {words}");
        rows.push(Row::new(what, samples.words()).aim("p99 < 50 ms", samples.quantile(0.99) < AIM));
    }

    let polls = Arc::new(AtomicU64::new(0));
    let polling = runtime.spawn(poll_on_and_on(Arc::clone(&bed.agent), Arc::clone(&bed.clock), Arc::clone(&polls)));
    let samples = scrape(bed.address, rounds, scrapes, true)?;
    polling.abort();
    let what = format!("… while an account is polled over and over ({} polls)", polls.load(Ordering::Relaxed));
    rows.push(Row::new(what, samples.words()).aim("p99 < 50 ms", samples.quantile(0.99) < AIM));

    let copies = 1_000_000 / series + 1;
    bed.publish_copies(copies)?;
    let many = series * copies;
    for (is_packed, words) in [(false, "not packed"), (true, "gzip")] {
        let what = format!("`/metrics`, {many} series, {words}");
        rows.push(match scrape(bed.address, 1, bench.count(15, 2), is_packed) {
            Ok(samples) => Row::new(what, samples.few()).aim("< 1 s", samples.median() < AIM_OF_A_MILLION),
            // A request has a time limit.
            Err(error) => Row::new(what, error.to_string()).aim("< 1 s", false),
        });
    }
    runtime.block_on(bed.platform.stop());
    Ok(rows)
}

impl Bed {
    async fn new(bench: &Bench) -> anyhow::Result<Bed> {
        let folder = bench.path().join("metrics");
        std::fs::create_dir_all(&folder)?;
        let now: Timestamp = "2026-06-16T12:00:00Z".parse()?;
        let clock = Arc::new(ManualClock::new(now));
        let world = Arc::new(Mutex::new(World::demo(7, now)));
        let platform = Platform::start(world, Arc::<ManualClock>::clone(&clock)).await?;
        let (polled_account, polled_team) = polled(&folder, &platform.base_url())?;
        let names: Vec<String> = (0..bench.count(40, 4)).map(|n| format!("studio-{n}")).collect();
        let accounts: Vec<_> = names.iter().map(|name| Imported { name, teams: 3, plan_credits: 5000 }).collect();
        let config = Config::load(&configure(&folder, &accounts, &polled_account, &polled_team)?)?;
        let shared = Shared::open(&config.storage, Arc::<ManualClock>::clone(&clock)).await?;
        let agent = Agent::build(&config, None, &shared).await?;
        let csv = folder.join("history.csv");
        let from = now - SignedDuration::from_hours(60 * 24);
        History { seed: 7, charges: 1000, from, to: now, teams: 3, has_ordered_ids: true }.write(&csv)?;
        for account in &agent.accounts[1..] {
            import_into(&shared, account, &csv, now).await?;
        }
        for account in &agent.accounts {
            agent.step(account, None).await;
        }
        agent.first_look().await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = HttpState {
            snapshot: shared.published.subscribe(),
            metrics: Arc::clone(&shared.metrics),
            clock: Arc::clone(&shared.clock),
            ready: shared.ready.subscribe(),
            door: shared.door.subscribe(),
            external_url: None,
            version: env!("CARGO_PKG_VERSION"),
        };
        let router = http::router(state, "/metrics")?;
        tokio::spawn(http::serve(listener, router, CancellationToken::new()));
        Ok(Bed { shared, agent: Arc::new(agent), clock, platform, address })
    }

    fn series(&self) -> anyhow::Result<usize> {
        let answer = Client::connect(self.address)?.get("/metrics", false)?;
        Ok(answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count())
    }

    /// Publishes the same accounts so many times over, under other names.
    fn publish_copies(&self, times: usize) -> anyhow::Result<()> {
        let snapshot = Arc::clone(&self.shared.published.borrow());
        let mut accounts = Vec::with_capacity(snapshot.accounts.len() * times);
        for copy in 0..times {
            for assessed in &snapshot.accounts {
                let mut account = AccountAssessment::clone(assessed);
                account.account = AccountName::parse(&format!("{}-{copy}", assessed.account))?;
                account.draws.iter_mut().for_each(|draw| draw.key.account = account.account.clone());
                accounts.push(Arc::new(account));
            }
        }
        self.shared.published.send_replace(Arc::new(Snapshot {
            accounts,
            outbox: snapshot.outbox.clone(),
            ..Snapshot::default()
        }));
        Ok(())
    }
}

async fn poll_on_and_on(agent: Arc<Agent>, clock: Arc<ManualClock>, polls: Arc<AtomicU64>) {
    loop {
        clock.advance(SignedDuration::from_secs(10));
        agent.step(&agent.accounts[0], Some(clock.now())).await;
        polls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Scrapes on one connection, one after the other, as Prometheus does.
fn scrape(address: SocketAddr, rounds: usize, scrapes: usize, is_packed: bool) -> anyhow::Result<Samples> {
    let mut client = Client::connect(address)?;
    let mut samples = Samples::default();
    for _ in 0..rounds {
        samples.next_round();
        for _ in 0..scrapes {
            let (took, answer) = timed(|| client.get("/metrics", is_packed));
            let status = answer?.status;
            anyhow::ensure!(status == 200, "answered with {status} after {}", time(took));
            samples.add(took);
        }
    }
    Ok(samples)
}
