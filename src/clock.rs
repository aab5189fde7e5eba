//! The only place where time comes from. Everything else is handed the time.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// A source of time. The agent has one; the demo has a fast one; tests have one that they move.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` is at or after `instant`.
    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()>;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

/// The longest sleep before the wall clock is read again, so that a clock that jumps or a machine that was suspended is
/// noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Some(left) = time_left(self.now(), instant) {
                tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// A clock that stands at a chosen instant until it is started, and then runs faster than the machine's; for the demo.
#[derive(Debug)]
pub struct FastClock {
    began: OnceLock<tokio::time::Instant>,
    from: Timestamp,
    speed: f64,
}

impl FastClock {
    /// Stands at `from`. Once it is started, one second of the machine is `speed` seconds of this clock.
    pub fn new(from: Timestamp, speed: f64) -> FastClock {
        FastClock { began: OnceLock::new(), from, speed }
    }

    /// Lets it run; it cannot be stopped again.
    pub fn start(&self) {
        self.began.get_or_init(tokio::time::Instant::now);
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.began.get().map_or(0.0, |began| began.elapsed().as_secs_f64() * self.speed);
        self.from + SignedDuration::from_secs_f64(elapsed)
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Some(left) = time_left(self.now(), instant) {
                // A millisecond at least: the rounding of a fast clock must not turn into a busy loop.
                let real = left.div_f64(self.speed).max(Duration::from_millis(1));
                tokio::time::sleep(real.min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// Stands at `now`.
    pub fn new(now: Timestamp) -> ManualClock {
        ManualClock { now: watch::Sender::new(now) }
    }

    /// Moves to `now`, forward or back, and wakes whoever waits.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// Moves forward by `step` (or back, if it is negative).
    pub fn advance(&self, step: SignedDuration) {
        self.now.send_modify(|now| *now += step);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock, which this future borrows: the wait cannot fail.
            let _ = now.wait_for(|now| *now >= instant).await;
        })
    }
}

fn time_left(now: Timestamp, until: Timestamp) -> Option<Duration> {
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}
