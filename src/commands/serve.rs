//! `serve`: the agent.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Answer;
use crate::app::{self, Shared};
use crate::cli::ServeFlags;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::http::{self, HttpState};
use crate::lifecycle::{Signal, Signals, Tasks};

/// What the server shows of the running agent.
pub fn http_state(shared: &Shared, external_url: Option<String>) -> HttpState {
    HttpState {
        snapshot: shared.published.subscribe(),
        metrics: Arc::clone(&shared.metrics),
        clock: Arc::clone(&shared.clock),
        ready: shared.ready.subscribe(),
        door: shared.door.subscribe(),
        external_url,
        version: env!("CARGO_PKG_VERSION"),
    }
}

pub async fn run(flags: ServeFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config.config_file)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut signals = Signals::listen().context("failed to listen for signals")?;
    let shared = Shared::open(&config.storage, clock).await?;
    // Held until the end: a second agent on the same ledger would send everything twice.
    let only_one = shared.store.lock_for_serving()?;
    let released = shared.store.release_claims(&only_one, shared.clock.now()).await?;
    if released > 0 {
        tracing::warn!(mails = released, "the last run ended while mails were being sent: they are sent again");
    }
    let external_url = flags.external_url.clone().or_else(|| config.web.external_url.clone());
    let (reload_sender, reloads) = mpsc::channel(1);
    let stop = CancellationToken::new();

    let mut router = http::router(http_state(&shared, external_url), &flags.telemetry_path)?;
    router = router.merge(http::door::router(shared.door.subscribe(), shared.metrics.agent.clone()));
    if flags.enable_lifecycle {
        router = router.merge(http::reload::router(reload_sender.clone()));
    }
    let servers = Tasks::under(&CancellationToken::new());
    for address in &flags.listen {
        let listener = TcpListener::bind(address).with_context(|| {
            format!("failed to listen on `{address}`\nhint: --web.listen-address names another address and port")
        })?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "listening on http://{address}/");
        let (router, until) = (router.clone(), servers.stop_token().clone());
        servers.spawn(async move {
            if let Err(error) = http::serve(listener, router, until).await {
                tracing::error!(%address, %error, "stopped serving on {address}");
            }
        });
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        file = %config.path.display(),
        accounts = config.accounts.len(),
        teams = config.teams.len(),
        "fuelgauge started"
    );

    let agent = tokio::spawn({
        let (stop, shared) = (stop.clone(), shared.clone());
        async move { app::run(config, flags.external_url, &shared, reloads, stop).await }
    });
    tokio::pin!(agent);
    let outcome = loop {
        tokio::select! {
            ended = &mut agent => break ended.context("the agent fell over")?,
            signal = signals.next() => match signal {
                Signal::Stop if stop.is_cancelled() => anyhow::bail!("stopped at once by a second signal"),
                Signal::Stop => {
                    tracing::info!("stopping: what is under way is finished first");
                    stop.cancel();
                }
                Signal::Reload => {
                    let (answer, _) = oneshot::channel();
                    // A reload that is under way already reads the file as it is now.
                    let _ = reload_sender.try_send(answer);
                }
            }
        }
    };
    servers.drain().await;
    shared.store.close().await;
    drop(only_one);
    outcome.map(|()| Answer::Fine)
}
