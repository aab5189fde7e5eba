//! Life and death of the process in one place: what runs, how it is asked to stop, and how long it may take.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long what runs may take to finish after it was asked to stop: the end of an SMTP dialogue fits, a hung server
/// does not hold the process.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Everything that runs under one token. Spawned tasks are asked to stop by the token and waited for.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    /// Nothing runs yet; stopping `parent` stops these too.
    pub fn under(parent: &CancellationToken) -> Tasks {
        Tasks { stop: parent.child_token(), tracker: TaskTracker::new() }
    }

    /// The token that asks these tasks to stop.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a task that watches the token itself, so that it can finish what it has begun.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Asks all tasks to stop and waits for them, at most [`DRAIN_LIMIT`]. Says whether all of them did.
    pub async fn drain(self) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(DRAIN_LIMIT, self.tracker.wait()).await.is_ok()
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT or SIGTERM: stop.
    Stop,
    /// SIGHUP: load the configuration again.
    Reload,
}

/// The signals of the process.
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> std::io::Result<Signals> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Signals {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Signals {})
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
        #[cfg(not(unix))]
        {
            // Without a handler there is nothing to wait for but the end of the process.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::Stop
        }
    }
}
