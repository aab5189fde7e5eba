//! How often a platform may be asked: its own limit, shared by every account with one key, and the time for which it
//! asked to be left alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use tokio::time::Instant;

/// A platform's limit: so many requests in any stretch of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// At most so many.
    pub requests: u32,
    /// In any stretch of this length.
    pub period: Duration,
}

/// One gate for each platform and key.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<PlatformKey, Arc<Gate>>>);

/// A platform's base URL and the hash of a key.
type PlatformKey = (String, [u8; 32]);

/// What a request has to pass before it is sent.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the last requests were let through, oldest first; no more than the pace allows.
    recent: VecDeque<Instant>,
    /// The platform asked to be left alone until then, by the clock of the polls.
    closed_until: Option<Timestamp>,
}

/// The longest time for which a platform is left alone.
const LONGEST_CLOSED: Duration = Duration::from_secs(3600);

/// A request that would have to wait too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The platform asked to be left alone for so long yet.
    LeftAlone(Duration),
    /// The limit is used up for so long yet.
    UsedUp(Duration),
}

impl Gates {
    /// The gate of a platform, by its base URL, and a key. Of the key only a hash is kept.
    pub(super) fn gate(&self, base_url: &str, key: &str) -> Arc<Gate> {
        let hash: [u8; 32] = digest(&SHA256, key.as_bytes()).as_ref().try_into().unwrap_or_default();
        let mut gates = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Arc::clone(gates.entry((base_url.to_owned(), hash)).or_default())
    }
}

impl Gate {
    /// Waits until the platform's limit allows another request, at most `longest`.
    ///
    /// # Errors
    /// It would take longer. Nothing was counted then.
    pub(super) async fn pass(&self, pace: Pace, longest: Duration) -> Result<(), Refused> {
        let give_up_at = Instant::now() + longest;
        loop {
            let now = Instant::now();
            let Some(wait) = self.try_pass(pace, now) else { return Ok(()) };
            if now + wait > give_up_at {
                return Err(Refused::UsedUp(wait));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether a poll of that moment may ask at all.
    ///
    /// # Errors
    /// The platform asked to be left alone for longer.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Refused> {
        let mut state = self.lock();
        let wait = state.closed_until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
        match wait.filter(|wait| !wait.is_zero()) {
            // A clock that was set back must not silence a platform for longer than it asked.
            Some(wait) if wait <= LONGEST_CLOSED => Err(Refused::LeftAlone(wait)),
            _ => {
                state.closed_until = None;
                Ok(())
            }
        }
    }

    /// Lets no poll ask for a while, counted from `now`.
    pub(super) fn close_for(&self, wait: Duration, now: Timestamp) {
        let wait = SignedDuration::try_from(wait.min(LONGEST_CLOSED)).unwrap_or_default();
        let until = now.saturating_add(wait).unwrap_or(now);
        let mut state = self.lock();
        state.closed_until = Some(state.closed_until.map_or(until, |known| known.max(until)));
    }

    /// How long to wait before another try; `None` if the request may be sent, which is counted then.
    fn try_pass(&self, pace: Pace, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        while state.recent.front().is_some_and(|sent| now.duration_since(*sent) >= pace.period) {
            state.recent.pop_front();
        }
        if state.recent.len() >= pace.requests as usize {
            let free_in = state.recent.front().map_or(Duration::ZERO, |sent| pace.period - now.duration_since(*sent));
            return Some(free_in);
        }
        state.recent.push_back(now);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn no_stretch_of_a_minute_sees_more_than_allowed() {
        let gate = Gate::default();
        let pace = Pace { requests: 3, period: MINUTE };
        let began = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..8 {
            gate.pass(pace, MINUTE).await.unwrap();
            passed.push(began.elapsed().as_secs());
        }
        assert_eq!(passed, [0, 0, 0, 60, 60, 60, 120, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_too_long_is_refused_and_not_counted() {
        let gate = Gate::default();
        let pace = Pace { requests: 1, period: MINUTE };
        gate.pass(pace, Duration::ZERO).await.unwrap();
        assert_eq!(gate.pass(pace, Duration::from_secs(59)).await, Err(Refused::UsedUp(MINUTE)));
        assert_eq!(gate.pass(pace, MINUTE).await, Ok(()));
    }

    #[test]
    fn a_platform_is_left_alone_for_as_long_as_it_asks() {
        let at = |second: i64| Timestamp::from_second(1_795_168_885 + second).unwrap();
        let gate = Gate::default();
        assert_eq!(gate.check(at(0)), Ok(()));
        gate.close_for(Duration::from_secs(300), at(0));
        gate.close_for(Duration::from_secs(10), at(0));
        for (second, expected) in [(0, Some(300)), (299, Some(1)), (300, None), (299, None)] {
            let expected = expected.map_or(Ok(()), |wait| Err(Refused::LeftAlone(Duration::from_secs(wait))));
            assert_eq!(gate.check(at(second)), expected, "after {second} s");
        }
        gate.close_for(Duration::from_secs(300), at(0));
        assert_eq!(gate.check(at(-7200)), Ok(()), "the clock was set back by hours");
    }

    #[test]
    fn one_key_has_one_gate() {
        let gates = Gates::default();
        let (a, b) = (gates.gate("https://a", "key"), gates.gate("https://a", "key"));
        assert!(Arc::ptr_eq(&a, &b));
        for other in [gates.gate("https://a", "other"), gates.gate("https://b", "key")] {
            assert!(!Arc::ptr_eq(&a, &other));
        }
        assert!(!format!("{gates:?}").contains("\"key\""), "the key itself is not kept");
    }
}
