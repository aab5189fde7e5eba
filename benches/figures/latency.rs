//! From a charge that the platform shows to the relay that has taken the mail about it, beside a bare client that asks for
//! the same pages and hands over the same mail.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::{Json, Router};
use fuelgauge::app::{self, Shared};
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::config::Config;
use fuelgauge::demo::catcher::{Catcher, CaughtMail, show};
use fuelgauge::domain::Snapshot;
use fuelgauge::schedule::fixed_jitter;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Bench;
use crate::assessment::flushes;
use crate::mail::send_bare;
use crate::process::Client;
use crate::report::{Row, Samples, time};

/// What the platform shows on a page.
const PAGE: usize = 100;

/// What was charged in the period before: a studio that spends fifty credits a day.
const CHARGES_BEFORE: usize = 1_000;

/// The poll, the alert and the claim are committed one after the other: so often at least the disk is waited for.
const COMMITS: u32 = 3;

/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut ours, mut bare, mut mail_bytes, mut requests) = (Samples::default(), Samples::default(), 0, 0);
    for round in 0..bench.count(5, 1) {
        ours.next_round();
        bare.next_round();
        for number in 0..bench.count(20, 3) {
            let folder = bench.path().join(format!("latency-{round}-{number}"));
            let told = runtime.block_on(one(&folder))?;
            ours.add(told.took);
            bare.add(runtime.block_on(told.again())?);
            (mail_bytes, requests) = (told.mail.bytes.len(), told.platform.asked().len());
        }
    }
    let flush = flushes(bench.path(), 1, 200)?.median();
    let most = ours.quantile(1.0);
    let share = ours.median().as_secs_f64() / (bare.median() + COMMITS * flush).as_secs_f64();
    let what =
        "a charge is visible and its poll is due, until the relay has taken the mail of the alert, with its chart";
    Ok(vec![
        Row::new(what, format!("{}; the longest {}", ours.words(), time(most)))
            .aim("poll interval + 1 s", most < Duration::from_secs(1))
            .peer(format!(
                "a bare client that asks for the same {requests} pages and hands over the same {} kB: median {}; 4 KiB \
                 written and flushed, of which a poll, an alert and a claim need {COMMITS} at least: median {} ({share:.1} times both)",
                mail_bytes / 1_000,
                time(bare.median()),
                time(flush),
            )),
    ])
}

/// An alert that was told, and what it took.
struct Told {
    took: Duration,
    mail: Arc<CaughtMail>,
    platform: Platform,
}

/// Lets an agent read a calm month, shows it a charge that uses up what is left, and waits for the mail.
async fn one(folder: &Path) -> anyhow::Result<Told> {
    let began: Timestamp = "2026-11-21T12:20:00Z".parse()?;
    let platform = Platform::start(began).await?;
    let relay = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let config = Config::load(&configure(folder, &platform, relay.local_addr().port())?)?;
    let clock = Arc::new(ManualClock::new(began));
    let shared = Shared::open(&config.storage, Arc::clone(&clock) as Arc<dyn Clock>).await?;
    let stop = CancellationToken::new();
    let (_reloads, receiver) = tokio::sync::mpsc::channel(1);
    let mut published = shared.published.subscribe();
    let running = tokio::spawn({
        let (shared, stop) = (shared.clone(), stop.clone());
        async move { app::run(config, None, &shared, receiver, stop).await }
    });
    let is_polled = |snapshot: &Arc<Snapshot>| {
        let mut statuses = snapshot.accounts.iter().flat_map(|account| &account.collectors);
        statuses.any(|status| status.last_success_at >= Some(began))
    };
    tokio::time::timeout(PATIENCE, published.wait_for(is_polled)).await.context("no first poll")??;
    ensure!(relay.caught().is_empty(), "a calm studio has something to tell");

    let poll = began + SignedDuration::from_mins(40) + fixed_jitter("poll studio", Duration::from_secs(15));
    platform.charge(poll - SignedDuration::from_mins(1), 2_900);
    platform.forget_what_was_asked();
    let visible = Instant::now();
    clock.set(poll);
    let mail = tokio::time::timeout(PATIENCE, with_chart(&relay)).await.context("no mail with a chart")?;
    let took = visible.elapsed();
    stop.cancel();
    running.await??;
    shared.store.close().await;
    Ok(Told { took, mail, platform })
}

/// The first mail with a picture: alerts of other rules have none, and leave side by side with it.
async fn with_chart(relay: &Catcher) -> Arc<CaughtMail> {
    let mut seen = 0;
    loop {
        for mail in relay.wait_for(seen + 1).await.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX)) {
            seen += 1;
            if !show(&mail.bytes).pictures.is_empty() {
                return Arc::clone(mail);
            }
        }
    }
}

impl Told {
    /// How long a bare client needs for the same requests and the same mail.
    async fn again(&self) -> anyhow::Result<Duration> {
        let relay = Catcher::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let (asked, mail) = (self.platform.asked(), Arc::clone(&self.mail));
        let (platform, relay_at) = (self.platform.address, relay.local_addr());
        let took = tokio::task::spawn_blocking(move || -> anyhow::Result<Duration> {
            let begun = Instant::now();
            let mut client = Client::connect(platform)?;
            for target in &asked {
                ensure!(client.get(target, false)?.status == 200, "{target} is not there");
            }
            let recipient = mail.recipients.first().context("nobody gets it")?;
            send_bare(relay_at, &mail.sender, recipient, &mail.bytes)?;
            Ok(begun.elapsed())
        });
        took.await?
    }
}

/// A platform that shows a balance and pages of charges, the newest first, and remembers what it was asked for.
struct Platform {
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    /// When, and how many credits.
    charges: Vec<(Timestamp, i64)>,
    left: i64,
    asked: Vec<String>,
}

impl Platform {
    async fn start(now: Timestamp) -> anyhow::Result<Platform> {
        let before = |number: usize| (now - SignedDuration::from_mins(28 * (CHARGES_BEFORE - number) as i64), 1);
        let shown = Shown { charges: (0..CHARGES_BEFORE).map(before).collect(), left: 3_000, asked: Vec::new() };
        let shown = Arc::new(Mutex::new(shown));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shown));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Platform { address, shown })
    }

    fn charge(&self, at: Timestamp, credits: i64) {
        let mut shown = lock(&self.shown);
        shown.charges.push((at, credits));
        shown.left -= credits;
    }

    fn forget_what_was_asked(&self) {
        lock(&self.shown).asked.clear();
    }

    /// Path and query of each request.
    fn asked(&self) -> Vec<String> {
        lock(&self.shown).asked.clone()
    }
}

async fn answer(State(shown): State<Arc<Mutex<Shown>>>, request: Request) -> impl IntoResponse {
    let mut shown = lock(&shown);
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let page = target.split(['?', '&']).find_map(|part| part.strip_prefix("page=")?.parse::<usize>().ok()).unwrap_or(1);
    let is_list = target.starts_with("/jobs");
    shown.asked.push(target);
    if !is_list {
        return Json(serde_json::json!({"left": shown.left}));
    }
    let newest_first = shown.charges.iter().enumerate().rev().skip(page.saturating_sub(1) * PAGE).take(PAGE);
    let jobs = newest_first.map(
        |(number, (at, cost))| serde_json::json!({"id": format!("job-{number}"), "at": at.as_second(), "cost": cost}),
    );
    let jobs: Vec<_> = jobs.collect();
    Json(serde_json::json!({"jobs": jobs, "more": shown.charges.len() > page * PAGE}))
}

fn lock(shown: &Mutex<Shown>) -> std::sync::MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAPPING: &str = "
name: workshop
headers: {Authorization: 'Bearer {{ api_key }}'}
balance: {path: /balance, fields: {available: response.left}}
charges:
  path: /jobs
  paging: {by: page, page_param: page, size_param: size, size: 100, max_pages: 20, more: response.more}
  records: response.jobs
  fields: {id: item.id, created_at: item.at | epoch_seconds, state: \"'succeeded'\", task_type: \"'text-to-3d'\", credits: item.cost}
";

fn configure(folder: &Path, platform: &Platform, relay_port: u16) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str| folder.join(name);
    std::fs::write(file("platform.yml"), MAPPING)?;
    std::fs::write(file("key"), "a key of sixteen letters")?;
    std::fs::set_permissions(file("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let text = format!(
        "storage: \"sqlite:{ledger}\"\n\
         accounts: [{{name: studio, platform: ./platform.yml, base_url: \"http://{address}\", api_key_file: key, schedule: \
         \"@hourly\", plan: {{credits: 4000, reset: \"@monthly\"}}}}]\n\
         teams: [{{name: art, account: studio, roles: {{lead: [lead@studio.example]}}}}]\n\
         email: {{from: fuelgauge@studio.example, relay: {{host: 127.0.0.1, port: {relay_port}, security: none}}}}\n",
        ledger = file("ledger.db").display(),
        address = platform.address,
    );
    std::fs::write(file("fuelgauge.yml"), text)?;
    Ok(file("fuelgauge.yml"))
}
