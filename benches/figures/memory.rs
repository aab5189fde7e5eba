//! Resident memory of an idle agent, beside Prometheus and Alertmanager idling on the same machine.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::clock::SystemClock;
use fuelgauge::demo::platform::{DEMO_TEAMS, Platform, World};
use jiff::Timestamp;

use crate::Bench;
use crate::history::{Imported, configure};
use crate::process::{Client, Running, free_address, installed, serve};
use crate::report::{Row, megabytes};

const AIM_KIB: u64 = 30_000_000 / 1024;

/// Accounts, for what each one more costs.
const MANY: usize = 1000;

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    if !Path::new("/proc/self/status").exists() {
        return Ok(vec![Row::new("memory", "not measured: there is no `/proc` here")]);
    }
    let idle = Duration::from_secs(bench.count(30, 3) as u64);
    let prometheus = idle_prometheus(bench, idle)?;
    let alertmanager = idle_alertmanager(bench, idle)?;
    let against = |kib: u64| {
        let ratio = |(name, peer): (&str, Option<u64>)| match peer {
            Some(peer) => format!("{name} {} ({:.2} of it)", megabytes(peer), kib as f64 / peer as f64),
            None => format!("{name} is not installed"),
        };
        [("Prometheus, idle:", prometheus), ("Alertmanager, idle:", alertmanager)].map(ratio).join("; ")
    };

    let runtime = tokio::runtime::Runtime::new()?;
    let (folder, now) = (bench.path().join("memory"), Timestamp::now());
    std::fs::create_dir_all(&folder)?;
    let world = Arc::new(Mutex::new(World::demo(7, now)));
    let platform = runtime.block_on(Platform::start(world, Arc::new(SystemClock)))?;
    let (accounts, teams) = polled(&folder, &platform.base_url())?;
    let config = configure(&folder, &[], &accounts, &teams)?;
    let address = free_address()?;
    let mut agent = Running::start(serve(&config, address), &folder)?;
    agent.wait_for(address, "/-/ready")?;
    std::thread::sleep(idle);
    let (resident, most) = agent.resident_kib()?;
    let mut client = Client::connect(address)?;
    for _ in 0..200 {
        for path in ["/metrics", "/", &format!("/teams/{}", DEMO_TEAMS[0].name), "/alerts"] {
            anyhow::ensure!(client.get(path, true)?.status == 200, "`{path}` is not served");
        }
    }
    let (after, _) = agent.resident_kib()?;
    agent.stop()?;
    runtime.block_on(platform.stop());

    let mut rows = vec![
        Row::new(
            "resident memory of `serve`, idle, one polled account with a month of history",
            format!("{} (most ever: {})", megabytes(resident), megabytes(most)),
        )
        .aim("< 30 MB", resident < AIM_KIB)
        .peer(against(resident)),
        Row::new("… after 200 scrapes and 600 pages", megabytes(after)).aim("< 30 MB", after < AIM_KIB),
    ];
    rows.push(each_account_more(bench, idle)?);
    Ok(rows)
}

/// The first account and team of the simulated platform, as they are configured.
pub fn polled(folder: &Path, base_url: &str) -> anyhow::Result<(String, String)> {
    let team = DEMO_TEAMS[0];
    let key = folder.join("platform.key");
    std::fs::write(&key, team.api_key)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    }
    let account = format!(
        "  - name: {name}\n    platform: meshy\n    base_url: {base_url}\n    api_key_file: {key}\n    \
         plan: {{credits: 4000, reset: \"0 0 1 * *\"}}\n",
        name = team.name,
        key = key.display()
    );
    let team = format!("  - name: {0}\n    account: {0}\n    roles: {{lead: [lead@studio.example]}}\n", team.name);
    Ok((account, team))
}

fn each_account_more(bench: &Bench, idle: Duration) -> anyhow::Result<Row> {
    let mut resident = [0, 0];
    for (kib, count) in resident.iter_mut().zip([1, 1 + MANY]) {
        let folder = bench.path().join(format!("memory-{count}"));
        let names: Vec<String> = (0..count).map(|n| format!("studio-{n}")).collect();
        let accounts: Vec<_> = names.iter().map(|name| Imported { name, teams: 1, plan_credits: 4000 }).collect();
        let config = configure(&folder, &accounts, "", "")?;
        let address = free_address()?;
        let mut agent = Running::start(serve(&config, address), &folder)?;
        agent.wait_for(address, "/-/ready")?;
        std::thread::sleep(idle / 3);
        *kib = agent.resident_kib()?.0;
        agent.stop()?;
    }
    let [one, many] = resident;
    let each = many.saturating_sub(one) as f64 * 1.024 / MANY as f64;
    let measured = format!("{each:.1} kB ({} with {} accounts)", megabytes(many), MANY + 1);
    Ok(Row::new("… for each account more", measured).aim("< 20 kB", each < 20.0))
}

fn idle_prometheus(bench: &Bench, idle: Duration) -> anyhow::Result<Option<u64>> {
    let Some(program) = installed(&["prometheus"]) else { return Ok(None) };
    let (mut peer, address) = start_prometheus(program, &bench.path().join("prometheus"))?;
    peer.wait_for(address, "/-/ready")?;
    std::thread::sleep(idle);
    Ok(Some(peer.resident_kib()?.0))
}

/// A Prometheus with nothing to do but to scrape itself.
pub fn start_prometheus(program: &str, folder: &Path) -> anyhow::Result<(Running, std::net::SocketAddr)> {
    let address = free_address()?;
    std::fs::create_dir_all(folder)?;
    let config = folder.join("prometheus.yml");
    let text = format!("scrape_configs: [{{job_name: self, static_configs: [{{targets: [\"{address}\"]}}]}}]\n");
    std::fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    Ok((Running::start(command, folder)?, address))
}

fn idle_alertmanager(bench: &Bench, idle: Duration) -> anyhow::Result<Option<u64>> {
    let Some(program) = installed(&["alertmanager", "prometheus-alertmanager"]) else { return Ok(None) };
    let (folder, address) = (bench.path().join("alertmanager"), free_address()?);
    std::fs::create_dir_all(&folder)?;
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")?;
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
    let mut peer = Running::start(command, &folder)?;
    peer.wait_for(address, "/-/ready")?;
    std::thread::sleep(idle);
    Ok(Some(peer.resident_kib()?.0))
}
