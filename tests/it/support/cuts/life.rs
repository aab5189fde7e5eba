//! One life of the agent, from its start until nothing is left to do, as `serve` leads it; and one that is cut short.

use std::fmt::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::app::{self, Agent, Shared};
use fuelgauge::clock::ManualClock;
use fuelgauge::config::Config;
use fuelgauge::domain::Snapshot;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Names the variable that makes a process live one life: the point at which it stops (0: none), the time on its clock, and
/// its configuration.
pub const LIFE: &str = "FUELGAUGE_TEST_LIFE";

/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lives from the start to the moment when everything that was decided has been told. The clock stands at `now`.
pub async fn live_through(config: &Path, now: Timestamp) {
    let config = Config::load(config).unwrap();
    let shared = Shared::open(&config.storage, Arc::new(ManualClock::new(now))).await.unwrap();
    let only_one = shared.store.lock_for_serving().unwrap();
    shared.store.release_claims(&only_one, now).await.unwrap();
    let stop = CancellationToken::new();
    let (_reloads, receiver) = mpsc::channel(1);
    let mut published = shared.published.subscribe();
    let running = tokio::spawn({
        let (shared, stop) = (shared.clone(), stop.clone());
        async move { app::run(config, None, &shared, receiver, stop).await }
    });
    let is_done = |snapshot: &Arc<Snapshot>| {
        let mut statuses = snapshot.accounts.iter().flat_map(|account| &account.collectors);
        statuses.any(|status| status.last_success_at >= Some(now)) && snapshot.outbox.total().waiting == 0
    };
    let done = tokio::time::timeout(PATIENCE, published.wait_for(is_done)).await;
    assert!(done.is_ok_and(|seen| seen.is_ok()), "there is still something to do: {:?}", shared.published.borrow());
    stop.cancel();
    running.await.unwrap().unwrap();
    shared.store.close().await;
}

/// Polls once and decides what is to be told, and with a relay that is down tries to tell it once. Then everything in memory
/// is gone.
pub async fn live_in_part(config: &Path, now: Timestamp, tries_to_tell: bool) {
    let config = Config::load(config).unwrap();
    let shared = Shared::open(&config.storage, Arc::new(ManualClock::new(now))).await.unwrap();
    let agent = Agent::build(&config, None, &shared).await.unwrap();
    agent.first_look().await.unwrap();
    for account in &agent.accounts {
        agent.step(account, Some(now)).await;
    }
    if tries_to_tell {
        let delivered = agent.outbox.as_ref().unwrap().deliver_once().await.unwrap();
        assert!(delivered.retrying > 0 && delivered.sent == 0, "{delivered:?}");
    }
    shared.store.close().await;
}

/// What came of a life in a process of its own.
pub struct Lived {
    /// Its points, in order.
    pub points: Vec<String>,
    /// Whether it was killed at the last of them.
    pub was_killed: bool,
}

/// Lives in a process of its own and is killed at its `point`th point (0: never). `program` is this program's arguments that
/// lead to [`be_killed`].
pub async fn live_until(program: &[&str], config: &Path, now: Timestamp, point: usize) -> Lived {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(program)
        .env(LIFE, format!("{point} {now} {}", config.display()))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lived = Lived { points: Vec::new(), was_killed: false };
    let living = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            lived.points.extend(line.strip_prefix(POINT).map(str::to_owned));
            if point > 0 && lived.points.len() == point {
                child.kill().await.unwrap();
                lived.was_killed = true;
                return;
            }
        }
        let status = child.wait().await.unwrap();
        assert!(status.success(), "a life ended with {status} at {:?}", lived.points.last());
    };
    tokio::time::timeout(PATIENCE, living).await.expect("a life that does not end");
    lived
}

/// How the line of a point begins.
const POINT: &str = "point: ";

/// In the process that is to be killed: does what the variable says.
pub fn be_killed(life: &str) {
    let mut words = life.splitn(3, ' ');
    let stops_at: usize = words.next().unwrap().parse().unwrap();
    let now: Timestamp = words.next().unwrap().parse().unwrap();
    let config = words.next().unwrap();
    let seen = Targets::new()
        .with_target("sqlx::query", LevelFilter::DEBUG)
        .with_target("fuelgauge::store", LevelFilter::TRACE)
        .with_target("fuelgauge::notify", LevelFilter::TRACE);
    let stop = Stop { at: stops_at, passed: Mutex::new(0) };
    let subscriber = tracing_subscriber::registry().with(stop.with_filter(seen));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live_through(Path::new(config), now));
}

/// Counts the points. At the chosen one its thread stands still, and every other one at its own next point: nothing goes on
/// until the end comes from outside.
struct Stop {
    at: usize,
    passed: Mutex<usize>,
}

impl<S: tracing::Subscriber> Layer<S> for Stop {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let is_read = ["SELECT", "PRAGMA"].iter().any(|verb| words.0.starts_with(verb));
        if words.0.is_empty() || is_read {
            return;
        }
        let mut passed = self.passed.lock().unwrap();
        *passed += 1;
        println!("{POINT}{}", words.0);
        if *passed == self.at {
            loop {
                std::thread::park();
            }
        }
    }
}

/// What an event says: our own message, or the beginning of the driver's statement.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if ["summary", "message"].contains(&field.name()) {
            self.0.push_str(value);
        }
    }
}

/// What a point is, without what differs from life to life: addresses, ports, sizes.
pub fn kind_of_point(point: &str) -> String {
    let is_constant = |word: &&str| !word.contains([':', '@']) && !word.starts_with('(');
    point.split(' ').take_while(is_constant).collect::<Vec<_>>().join(" ")
}
