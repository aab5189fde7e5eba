//! `demo`: the whole product in one process, on the same code as `serve`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::serve::http_state;
use super::table::{credits, percent};
use crate::app::{self, Agent, Shared};
use crate::cli::DemoFlags;
use crate::clock::{Clock, FastClock, SystemClock};
use crate::config::Config;
use crate::demo::catcher::{Catcher, show};
use crate::demo::mailbox;
use crate::demo::platform::{DEMO_TEAMS, HOT, Platform, World, demo_start};
use crate::demo::stage::{Folder, TOKEN, configuration};
use crate::domain::{Credits, DrawAssessment, DrawKey, Snapshot, Stage};
use crate::http;
use crate::lifecycle::Signals;

/// How long a lead takes to react to the mail.
const READING_TIME: SignedDuration = SignedDuration::from_hours(20);

/// Credits are bought in packs of so many.
const PACK: i64 = 500;

/// What is bought lasts for so many times the expected use.
const SAFETY: f64 = 1.4;

pub async fn run(flags: DemoFlags) -> anyhow::Result<Answer> {
    if !(flags.speed > 0.0 && flags.speed <= 24.0) {
        return Err(super::WrongUsage(format!(
            "--speed: expected above 0 and at most 24 hours a second, found {}",
            flags.speed
        ))
        .into());
    }
    let mut signals = Signals::listen().context("failed to listen for signals")?;
    let listener = TcpListener::bind(flags.listen).with_context(|| {
        format!("failed to listen on `{}`\nhint: --web.listen-address=127.0.0.1:0 takes a free port", flags.listen)
    })?;
    let page = page_address(listener.local_addr()?);
    let folder = Folder::new(flags.keep.as_deref()).with_context(|| match &flags.keep {
        Some(path) => format!("failed to make the folder `{}`", path.display()),
        None => "failed to make a folder among the temporary files".to_owned(),
    })?;

    let start = demo_start(SystemClock.now());
    let fast_clock = Arc::new(FastClock::new(start, flags.speed * 3600.0));
    let clock: Arc<dyn Clock> = Arc::clone(&fast_clock) as Arc<dyn Clock>;
    let mut world = World::demo(flags.seed, start);
    // Credits are bought when a lead has heard of it, however fast this machine tells the story.
    world.forget_planned_top_ups(HOT.name)?;
    let catcher = Arc::new(Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?);
    let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::clone(&clock)).await?;
    let text = configuration(&folder, &platform.world(), &platform.base_url(), catcher.local_addr(), &page)?;
    let file = folder.path().join("fuelgauge.yml");
    std::fs::write(&file, &text).with_context(|| format!("failed to write `{}`", file.display()))?;
    let config = Config::load(&file)?;

    let shared = Shared::open(&config.storage, Arc::clone(&clock)).await?;
    let router = http::router(http_state(&shared, Some(page.clone())), "/metrics")?;
    let door = http::door::router(shared.door.subscribe(), shared.metrics.agent.clone());
    let router = router.merge(mailbox::router(Arc::clone(&catcher))).merge(door);
    let stop = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, router, stop.clone()));
    introduce(&page, &flags, &folder);
    tokio::select! {
        read = read_history(&config, &shared) => read?,
        _ = signals.next() => return Ok(Answer::Fine),
    }
    fast_clock.start();

    let (_reloads, receiver) = mpsc::channel(1);
    let agent = tokio::spawn({
        let (shared, stop) = (shared.clone(), stop.clone());
        async move { app::run(config, None, &shared, receiver, stop).await }
    });
    tokio::pin!(agent);
    let mut narrator = Narrator { clock, folder: &folder, platform: &platform, page, seen: BTreeMap::new(), mails: 0 };
    let mut snapshots = shared.published.subscribe();
    let outcome = loop {
        tokio::select! {
            ended = &mut agent => break ended.context("the agent fell over")?,
            // There is nothing to load again here, and a terminal that is closed means the end as well.
            _ = signals.next() => if !stop.is_cancelled() {
                say!("\nstopping");
                stop.cancel();
            },
            _ = catcher.wait_for(narrator.mails + 1) => narrator.tell_mails(&catcher),
            changed = changed(&mut snapshots) => narrator.tell_changes(&changed),
        }
    };
    let _ = server.await;
    shared.store.close().await;
    platform.stop().await;
    if folder.is_kept() {
        say!("kept in {}", folder.path().display());
    }
    outcome.map(|()| Answer::Fine)
}

/// Reads the months that the teams have behind them while time stands still: a slow machine tells the same story.
async fn read_history(config: &Config, shared: &Shared) -> anyhow::Result<()> {
    let agent = Agent::build(config, None, shared).await?;
    for account in &agent.accounts {
        agent.poller.poll_once(account, None).await?;
    }
    Ok(())
}

async fn changed(snapshots: &mut watch::Receiver<Arc<Snapshot>>) -> Arc<Snapshot> {
    if snapshots.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Arc::clone(&snapshots.borrow_and_update())
}

/// What a person types into a browser: an address that listens everywhere is reached on this machine.
fn page_address(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("http://127.0.0.1:{}", address.port()),
        false => format!("http://{address}"),
    }
}

fn introduce(page: &str, flags: &DemoFlags, folder: &Folder) {
    say!("fuelgauge demo: three teams on a simulated platform; one second is {} hours.\n", flags.speed);
    say!("  every team's gauge   {page}/");
    for team in DEMO_TEAMS {
        say!("  {:<20} {page}/teams/{}", team.name, team.name);
    }
    say!("  plan a job           {page}/plan");
    say!("  caught mails         {page}/demo/mails");
    say!("  metrics              {page}/metrics");
    say!("  token                {TOKEN}");
    if folder.is_kept() {
        say!("  ledger and mails     {}", folder.path().display());
    }
    say!("\nCtrl-C ends it. What happens:\n");
}

/// Tells on the terminal what the page shows.
struct Narrator<'a> {
    clock: Arc<dyn Clock>,
    folder: &'a Folder,
    platform: &'a Platform,
    page: String,
    seen: BTreeMap<DrawKey, Seen>,
    mails: u64,
}

/// What was last told of a draw.
struct Seen {
    stage: Option<Stage>,
    left: Option<Credits>,
    day: i64,
}

impl Narrator<'_> {
    fn tell_mails(&mut self, catcher: &Catcher) {
        for mail in catcher.caught() {
            if mail.received_at_order < self.mails + 1 {
                continue;
            }
            self.mails = mail.received_at_order;
            let shown = show(&mail.bytes);
            let first = shown.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
            self.say(&format!("mail to {}: {}", mail.recipients.join(", "), shown.subject));
            self.say(&format!("     {first}"));
            self.say(&format!("     {}/demo/mails/{}", self.page, mail.received_at_order));
            if let Err(error) = self.folder.keep_mail(mail.received_at_order, &mail.bytes) {
                self.say(&format!("     it could not be kept: {error}"));
            }
        }
    }

    fn tell_changes(&mut self, snapshot: &Snapshot) {
        // There is nothing to tell of a team before its first poll.
        let draws = snapshot.accounts.iter().flat_map(|account| &account.draws).filter(|draw| draw.fuel.is_some());
        for draw in draws {
            let now = Seen {
                stage: draw.firing().map(|(_, stage)| stage).max(),
                left: draw.fuel.as_ref().map(|fuel| fuel.left),
                day: self.clock.now().as_second().div_euclid(86_400),
            };
            let before = self.seen.get(&draw.key);
            let rose = match (before.and_then(|seen| seen.left), now.left) {
                (Some(before), Some(left)) => (left - before).as_f64() > 1_000.0,
                _ => false,
            };
            let mut news = Vec::new();
            if rose {
                news.push("credits were added".to_owned());
            }
            match (before.and_then(|seen| seen.stage), now.stage) {
                (None, Some(stage)) => {
                    news.push(format!("alert fires ({stage})"));
                    self.buy_credits(draw);
                }
                (Some(before), Some(stage)) if stage > before => news.push(format!("alert worsens ({stage})")),
                (Some(_), None) => news.push("alert resolves".to_owned()),
                _ => {}
            }
            // Once a simulated day, and whenever something happens.
            if before.is_none_or(|seen| seen.day != now.day) || !news.is_empty() {
                self.say(&format!("{:<16} {}{}", draw.key.team.as_str(), line(draw), join(&news)));
            }
            self.seen.insert(draw.key.clone(), now);
        }
    }

    /// Plays the lead who has read the mail: some hours later credits are bought that last until the reset.
    fn buy_credits(&self, draw: &DrawAssessment) {
        let (Some(forecast), Some(fuel)) = (draw.outlook.forecast(), draw.tank()) else { return };
        let packs = ((forecast.expected_use.as_f64() * SAFETY - fuel.left.as_f64()) / PACK as f64).ceil();
        let credits = Credits::from_whole(PACK * (packs.max(1.0) as i64));
        let at = self.clock.now() + READING_TIME;
        if let Err(error) = self.platform.world().plan_top_up(draw.key.account.as_str(), at, credits) {
            self.say(&format!("no credits could be bought: {error}"));
        }
    }

    fn say(&self, text: &str) {
        let zone = crate::demo::platform::DEMO_ZONE;
        let now: Timestamp = self.clock.now();
        let local = now.in_tz(zone).map_or_else(|_| now.to_string(), |now| now.strftime("%a %d %b %H:%M").to_string());
        say!("{local}  {text}");
    }
}

fn line(draw: &DrawAssessment) -> String {
    let left = credits(draw.fuel.as_ref().map(|fuel| fuel.left));
    match draw.outlook.forecast().and_then(|forecast| forecast.probability) {
        Some(probability) => format!("{left:>7} left, runs out before the reset: {}", percent(probability)),
        None => format!("{left:>7} left"),
    }
}

fn join(news: &[String]) -> String {
    if news.is_empty() { String::new() } else { format!("  ← {}", news.join(", ")) }
}
