//! The agent in this process, on clocks that move on request: real HTTP to a simulated platform, real SMTP to a mail
//! catcher, a real ledger in a folder of its own, and a configuration that is written as a user would write it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::app::{Agent, Shared};
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::Config;
use fuelgauge::demo::catcher::Catcher;
use fuelgauge::demo::platform::{AccountSetup, NewTask, Platform, World};
use fuelgauge::domain::{AccountAssessment, AnchorDay, Credits, RuleName};
use fuelgauge::http::{self, HttpState};
use fuelgauge::notify::{Mailer, TimeLimits};
use fuelgauge::outbox::{Channel, Delivered, Outbox};
use fuelgauge::provider::client::{Limits, SharedClient};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::mail::Mail;
use super::scrape::Scrape;

/// What a test puts on the stage.
pub struct Setup {
    /// The simulated platform's world; each account's first key is its API key.
    pub world: World,
    /// Where both clocks stand at first.
    pub now: Timestamp,
    /// The accounts of the world that are watched.
    pub accounts: Vec<String>,
    /// The team's name, if it is not the account's.
    pub team: Option<String>,
    /// A platform other than the simulated one.
    pub base_url: Option<String>,
    /// Reads lists in pages of ten: the same requests, a fraction of the work for long stories.
    pub has_short_pages: bool,
    /// Leads get a digest each Monday at eight, and somebody a sign of life each day at seven, in UTC.
    pub has_reports: bool,
}

impl Setup {
    /// Watches one account of a world.
    pub fn watching(account: &str, world: World, now: Timestamp) -> Setup {
        Setup {
            world,
            now,
            accounts: vec![account.to_owned()],
            team: None,
            base_url: None,
            has_short_pages: false,
            has_reports: false,
        }
    }
}

pub struct TestAgent {
    /// The agent's clock.
    pub clock: Arc<ManualClock>,
    /// The platform's clock: [`TestAgent::poll_at`] moves both.
    pub platform_clock: Arc<ManualClock>,
    pub platform: Platform,
    pub catcher: Catcher,
    pub config: Config,
    pub shared: Shared,
    pub agent: Agent,
    /// Where the page and the metrics are.
    pub url: String,
    relay_limits: TimeLimits,
    _server: DropGuard,
    folder: Arc<TempDir>,
}

impl TestAgent {
    /// Builds everything and looks at the ledger once, as a start does.
    pub async fn start(setup: Setup) -> TestAgent {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (clock, platform_clock) = (manual_clock(setup.now), manual_clock(setup.now));
        let catcher = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let world = Arc::new(Mutex::new(setup.world.clone()));
        let platform = Platform::start(world, Arc::clone(&platform_clock) as Arc<dyn Clock>).await.unwrap();
        let base_url = setup.base_url.clone().unwrap_or_else(|| platform.base_url());
        let relay = format!("{{host: 127.0.0.1, port: {}, security: none}}", catcher.local_addr().port());
        let file = write_configuration(folder.path(), &setup, &base_url, &relay);
        let config = Config::load(&file).unwrap();
        let (shared, agent, url, server) = open(&config, &clock).await;
        let relay_limits = TimeLimits::default();
        TestAgent {
            clock,
            platform_clock,
            platform,
            catcher,
            config,
            shared,
            agent,
            url,
            relay_limits,
            _server: server,
            folder,
        }
    }

    /// Lets go of everything in memory and begins again on the same ledger, as after a restart.
    pub async fn restart(self) -> TestAgent {
        let TestAgent { clock, platform_clock, platform, catcher, config, shared, agent, relay_limits, folder, .. } =
            self;
        drop(agent);
        shared.store.close().await;
        drop(shared);
        let (shared, agent, url, server) = open(&config, &clock).await;
        TestAgent {
            clock,
            platform_clock,
            platform,
            catcher,
            config,
            shared,
            agent,
            url,
            relay_limits,
            _server: server,
            folder,
        }
    }

    /// Moves both clocks.
    pub fn move_to(&self, now: Timestamp) {
        self.platform_clock.set(now);
        self.clock.set(now);
    }

    /// Moves both clocks, polls and assesses every account, and delivers what is due.
    pub async fn poll_at(&self, now: Timestamp) -> Delivered {
        self.move_to(now);
        self.step().await;
        self.deliver().await
    }

    /// Moves both clocks by so many minutes, polls and assesses, and delivers what is due.
    pub async fn poll_after_minutes(&self, minutes: i64) -> Delivered {
        self.poll_at(self.clock.now() + SignedDuration::from_mins(minutes)).await
    }

    /// Polls and assesses every account where the clocks stand.
    pub async fn step(&self) {
        for account in &self.agent.accounts {
            self.agent.step(account, Some(self.clock.now())).await;
        }
    }

    /// Works through the outbox once.
    pub async fn deliver(&self) -> Delivered {
        let email = self.config.email.as_ref().unwrap();
        let external_url = self.config.web.external_url.clone();
        let outbox = Outbox::new(
            self.shared.store.clone(),
            vec![Channel::email(Mailer::with_limits(email, self.relay_limits), email.limits, external_url)],
            Arc::clone(&self.shared.clock),
            self.shared.metrics.agent.clone(),
            self.shared.published.clone(),
            Arc::clone(&self.shared.outbox_filled),
            &self.shared.outbox_leases,
        );
        outbox.deliver_once().await.unwrap()
    }

    /// Waits shorter for a relay that hangs: long enough for a busy machine that answers.
    pub fn lose_patience(&mut self, step: impl FnOnce(&mut TimeLimits)) {
        step(&mut self.relay_limits);
    }

    /// The mails caught so far, in the order of arrival.
    pub fn mails(&self) -> Vec<Mail> {
        self.catcher.caught().iter().map(|caught| Mail::read(caught)).collect()
    }

    /// Of those, the mails of one rule.
    pub fn mails_of(&self, rule: RuleName) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.header("X-Fuelgauge-Alert") == rule.as_str()).collect()
    }

    /// The latest assessment of an account.
    pub fn assessment(&self, account: &str) -> Arc<AccountAssessment> {
        let snapshot = Arc::clone(&self.shared.published.borrow());
        snapshot.accounts.iter().find(|found| found.account.as_str() == account).unwrap().clone()
    }

    /// What `/metrics` says over HTTP.
    pub async fn scrape(&self) -> Scrape {
        Scrape::read(&self.page("/metrics").await)
    }

    /// The body of a page that must be there.
    pub async fn page(&self, path: &str) -> String {
        let (status, body) = super::get(&format!("{}{path}", self.url)).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The moment on the agent's clock, for messages.
    pub fn clock_text(&self) -> String {
        self.clock.now().to_string()
    }

    /// The ledger's file.
    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger/fuelgauge.db")
    }
}

/// Opens the ledger of a configuration, looks at it once, and serves page and metrics.
pub async fn open(config: &Config, clock: &Arc<ManualClock>) -> (Shared, Agent, String, DropGuard) {
    let mut shared = Shared::open(&config.storage, Arc::clone(clock) as Arc<dyn Clock>).await.unwrap();
    // As in production, but nothing is waited for: a test's platform is at hand.
    shared.client = SharedClient::new(Limits {
        read_timeout: Duration::from_millis(1_500),
        largest_body: 1 << 20,
        retries: 1,
        backoff: Duration::ZERO,
        ..Limits::default()
    });
    let agent = Agent::build(config, None, &shared).await.unwrap();
    agent.first_look().await.unwrap();
    let (url, server) = serve_pages(&shared);
    (shared, agent, url, server)
}

/// Pages, metrics and the door for pushes on a free port, as `serve` has them.
pub fn serve_pages(shared: &Shared) -> (String, DropGuard) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let state = HttpState {
        snapshot: shared.published.subscribe(),
        metrics: Arc::clone(&shared.metrics),
        clock: Arc::clone(&shared.clock),
        ready: shared.ready.subscribe(),
        door: shared.door.subscribe(),
        external_url: None,
        version: "test",
    };
    let pushes = http::door::router(shared.door.subscribe(), shared.metrics.agent.clone());
    let router = http::router(state, "/metrics").unwrap().merge(pushes);
    tokio::spawn(http::serve(listener, router, stop.clone()));
    (url, stop.drop_guard())
}

fn manual_clock(now: Timestamp) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(now))
}

/// Writes the configuration of the watched accounts with its key files into a folder, and makes `ledger` in it. JSON's
/// strings are YAML's too, whatever is in them.
pub fn write_configuration(folder: &Path, setup: &Setup, base_url: &str, relay: &str) -> PathBuf {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let platform = if setup.has_short_pages { short_pages(folder) } else { "meshy".to_owned() };
    let (mut accounts, mut teams) = (String::new(), String::new());
    for name in &setup.accounts {
        let account = setup.world.account(name).unwrap().setup();
        let key_file = folder.join(format!("{name}.key"));
        super::write_secret(&key_file, &account.keys[0].secret);
        let anchor = account.reset.as_ref().unwrap();
        accounts += &format!(
            "  - name: {}\n    platform: {platform}\n    base_url: {base_url}\n    api_key_file: {}\n    schedule: \"0 * * * *\"\n    \
             timezone: {}\n    plan: {{name: studio, credits: {}, anchor: {{day: {}, time: \"{}\"}}}}\n",
            quoted(name),
            key_file.display(),
            anchor.zone.iana_name().unwrap(),
            account.monthly_grant,
            anchor.day,
            anchor.time.strftime("%H:%M"),
        );
        let team = setup.team.as_deref().unwrap_or(name);
        teams += &format!(
            "  - name: {}\n    account: {}\n    roles: {{lead: [lead@studio.example], billing: [billing@studio.example]}}\n",
            quoted(team),
            quoted(name),
        );
    }
    let (heartbeat, digest) = match setup.has_reports {
        true => (
            "  heartbeat: {schedule: \"0 7 * * *\", to: [ops@studio.example]}\n",
            "alerts: {digest: {schedule: \"0 8 * * mon\"}}\n",
        ),
        false => ("", ""),
    };
    let text = format!(
        "storage: \"sqlite:{}/ledger/fuelgauge.db\"\naccounts:\n{accounts}teams:\n{teams}{digest}email:\n  from: \
         fuelgauge@studio.example\n  relay: {relay}\n{heartbeat}web: {{external_url: \"https://fuelgauge.studio.example\"}}\n",
        folder.display()
    );
    std::fs::create_dir_all(folder.join("ledger")).unwrap();
    let file = folder.join("fuelgauge.yml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A copy of the shipped mapping that reads lists in pages of ten.
fn short_pages(folder: &Path) -> String {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/platforms/meshy.yml");
    let text = std::fs::read_to_string(shipped).unwrap();
    assert!(text.contains("size: 100,") && text.contains("size: 50,"));
    let file = folder.join("meshy.yml");
    std::fs::write(&file, text.replace("size: 100,", "size: 10,").replace("size: 50,", "size: 10,")).unwrap();
    file.display().to_string()
}

/// A studio whose credits are nearly gone: two thirds into a period, six tasks of 30 credits a day, so that its 4,000
/// credits will be gone within two days. The first poll raises an alert.
pub fn thirsty_studio(now: Timestamp) -> World {
    studio(now, 6)
}

/// A studio that spends so little that nothing is ever to be said.
pub fn calm_studio(now: Timestamp) -> World {
    studio(now, 1)
}

/// The name of the account of [`thirsty_studio`] and [`calm_studio`].
pub const STUDIO: &str = "studio";

/// The API key of both, to be found nowhere but in its file and on the wire.
pub const STUDIO_KEY: &str = "msy_canary_7f3c19b2d4e8_never_to_be_seen";

fn studio(now: Timestamp, tasks_a_day: i64) -> World {
    let zone = jiff::tz::TimeZone::UTC;
    let began = now - SignedDuration::from_hours(20 * 24);
    let day = began.to_zoned(zone.clone()).day();
    let anchor = AnchorDay::new(day, jiff::civil::Time::midnight(), zone).unwrap();
    let mut setup = AccountSetup::new(STUDIO, STUDIO_KEY, Credits::from_whole(4_000));
    setup.reset = Some(anchor);
    let mut world = World::new();
    world.add_account(setup, began).unwrap();
    for day in 0..20 {
        for number in 0..tasks_a_day {
            let at = began + SignedDuration::from_hours(24 * day + 8) + SignedDuration::from_mins(40 * number);
            let task = NewTask { kind: "image-to-3d", at, credits: None, prompt: None, key: 0 };
            let id = world.add_task(STUDIO, task).unwrap();
            world.finish_task(id, at + SignedDuration::from_mins(3)).unwrap();
        }
    }
    world.advance_to(now);
    world
}
