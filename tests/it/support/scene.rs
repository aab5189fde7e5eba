//! A studio whose credits are nearly gone, in the present: its first poll raises an alert, which ends as soon as it is not
//! true any more. For what tells outside programs, which have clocks of their own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fuelgauge::app::{Agent, Shared};
use fuelgauge::clock::{Clock, ManualClock, SystemClock};
use fuelgauge::config::Config;
use fuelgauge::demo::platform::Platform;
use fuelgauge::domain::{AlertState, RuleName, Stage};
use fuelgauge::outbox::Delivered;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use super::agent::{STUDIO, Setup, open, thirsty_studio, write_configuration};
use super::get;
use super::scrape::Scrape;

/// Nobody listens there.
const RELAY: &str = "{host: 127.0.0.1, port: 9, security: none}";

/// A name that is meant to break out of whatever it is put into.
pub const TEAM: &str = "Käfer & \"Co\", {{ props }}";

pub struct Scene {
    _folder: TempDir,
    pub platform: Platform,
    /// The agent's; the platform lives in the present.
    pub clock: Arc<ManualClock>,
    /// The configuration's file.
    pub config: PathBuf,
    running: Option<(Shared, Agent, String, DropGuard)>,
}

impl Scene {
    /// With more sections of the configuration. Nothing has been polled yet.
    pub async fn open(sections: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let world = thirsty_studio(now);
        let setup = Setup { team: Some(TEAM.into()), ..Setup::watching(STUDIO, world.clone(), now) };
        let clock = Arc::new(ManualClock::new(now));
        let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap();
        let config = write_configuration(folder.path(), &setup, &platform.base_url(), RELAY);
        let text = std::fs::read_to_string(&config).unwrap();
        let rules = "{exhaustion: {keep_firing_for: 0s, critical_within: 96h}, low_balance: {keep_firing_for: 0s}}";
        std::fs::write(&config, format!("{text}alerts: {rules}\n{sections}\n")).unwrap();
        Scene { _folder: folder, platform, clock, config, running: None }.start().await
    }

    async fn start(mut self) -> Scene {
        self.running = Some(open(&Config::load(&self.config).unwrap(), &self.clock).await);
        self
    }

    /// Lets go of everything in memory, and of the ledger.
    pub async fn stop(mut self) -> Scene {
        if let Some((shared, ..)) = self.running.take() {
            shared.store.close().await;
        }
        self
    }

    /// Begins again on the same ledger, with the configuration as it is written now.
    pub async fn restart(self) -> Scene {
        self.stop().await.start().await
    }

    /// The agent of the present configuration.
    pub fn agent(&self) -> &Agent {
        &self.running.as_ref().unwrap().1
    }

    pub async fn poll(&self) {
        for account in &self.agent().accounts {
            self.agent().step(account, Some(self.clock.now())).await;
        }
    }

    /// Works through the outbox once.
    pub async fn deliver(&self) -> Delivered {
        self.agent().outbox.as_ref().unwrap().deliver_once().await.unwrap()
    }

    /// When the alert of a rule began, as the ledger keeps it.
    pub fn since(&self, rule: RuleName) -> Timestamp {
        let snapshot = Arc::clone(&self.running.as_ref().unwrap().0.published.borrow());
        let alert = snapshot.accounts[0].draws[0].alert(rule);
        match alert.state {
            AlertState::Firing { since, level, .. } => {
                assert!(level.stage >= Stage::Warning);
                millis(since)
            }
            other => panic!("{rule}: {other:?}"),
        }
    }

    /// The body of a page.
    pub async fn page(&self, path: &str) -> String {
        get(&format!("{}{path}", self.running.as_ref().unwrap().2)).await.unwrap().1
    }

    pub async fn scrape(&self) -> Scrape {
        Scrape::read(&self.page("/metrics").await)
    }
}

/// A moment as the ledger keeps it.
pub fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap()
}
