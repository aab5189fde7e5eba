//! When to try a mail again. Pure: the outbox hands in the time and the chance.
//!
//! | failure | first wait | then | gives up |
//! |---|---|---|---|
//! | transient | 15 s | doubles up to 30 min | after `email.max_age` |
//! | rate limited | 5 min | doubles up to 30 min | after `email.max_age` |
//! | unknown | 5 min | doubles up to 6 h | after `email.max_age` |
//! | configuration | 30 min | 30 min | after 72 h, or `email.max_age` if that is longer |
//! | permanent | - | - | at once |
//!
//! Waits are upper bounds: half of each is left to chance, so that many mails do not come back in step. The usual
//! `email.max_age` of a day and an hour is longer than an outage of a whole day, and the last try falls on the deadline
//! itself, so a mail decided at any moment of such an outage is tried once more after it. A configuration is mended by a
//! person, perhaps after a weekend. An unknown mail may have arrived: every try can be a second copy, so there are few.

use jiff::{SignedDuration, Timestamp};

use super::NotifyFailure;

/// How long a mail is tried for, at least, while the configuration is at fault.
pub const MAX_AGE_CONFIGURATION: SignedDuration = SignedDuration::from_hours(72);

/// What becomes of a mail after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Try again at this moment, not before.
    RetryAt(Timestamp),
    /// Close it, visibly.
    GiveUp,
}

/// What to do after a try failed at `now`. `attempts` counts the tries so far with this one, `created_at` is when the
/// mail was decided, `max_age` is how long mails are tried for, and `jitter` is a random number, 0 to 1.
pub fn after_failure(
    kind: NotifyFailure,
    attempts: u32,
    created_at: Timestamp,
    max_age: SignedDuration,
    now: Timestamp,
    jitter: f64,
) -> NextStep {
    let (first, longest, max_age) = match kind {
        NotifyFailure::Permanent => return NextStep::GiveUp,
        NotifyFailure::Transient => (seconds(15), minutes(30), max_age),
        NotifyFailure::RateLimited => (minutes(5), minutes(30), max_age),
        NotifyFailure::Unknown => (minutes(5), SignedDuration::from_hours(6), max_age),
        NotifyFailure::Configuration => (minutes(30), minutes(30), max_age.max(MAX_AGE_CONFIGURATION)),
    };
    let deadline = created_at.saturating_add(max_age).unwrap_or(Timestamp::MAX);
    if now >= deadline {
        return NextStep::GiveUp;
    }
    // Sixteen doublings are past every longest wait; more would overflow.
    let doublings = attempts.saturating_sub(1).min(16);
    let wait = first.saturating_mul(1 << doublings).min(longest);
    let chance = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    let at = now.saturating_add(wait.mul_f64(0.5 + chance / 2.0)).unwrap_or(Timestamp::MAX);
    NextStep::RetryAt(at.min(deadline))
}

const fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

const fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_AGE: SignedDuration = SignedDuration::from_hours(25);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn waits_grow_and_stay_within_their_bounds() {
        use NotifyFailure::*;
        for (kind, attempts, jitter, wait_seconds) in [
            (Transient, 0, 1.0, 15),
            (Transient, 1, 1.0, 15),
            (Transient, 1, 0.0, 7),
            (Transient, 2, 1.0, 30),
            (Transient, 7, 1.0, 960),
            (Transient, 8, 1.0, 1800),
            (Transient, 8, 0.0, 900),
            (Transient, u32::MAX, 1.0, 1800),
            (Transient, 1, f64::NAN, 15),
            (Transient, 1, 7.0, 15),
            (RateLimited, 1, 1.0, 300),
            (RateLimited, 9, 1.0, 1800),
            (Unknown, 1, 1.0, 300),
            (Unknown, 5, 1.0, 4800),
            (Unknown, 30, 1.0, 21_600),
            (Configuration, 1, 1.0, 1800),
            (Configuration, 50, 0.0, 900),
        ] {
            let NextStep::RetryAt(next) = after_failure(kind, attempts, at(0), MAX_AGE, at(0), jitter) else {
                panic!("{kind:?} gave up")
            };
            assert_eq!(next.as_second() - at(0).as_second(), wait_seconds, "{kind:?} {attempts} {jitter}");
        }
    }

    #[test]
    fn each_kind_ends_at_its_age() {
        use NotifyFailure::*;
        for (kind, max_age_hours, last_hour) in [
            (Transient, 25, 25),
            (RateLimited, 25, 25),
            (Unknown, 25, 25),
            (Configuration, 25, 72),
            (Transient, 1, 1),
            (Unknown, 100, 100),
            (Configuration, 1, 72),
            (Configuration, 100, 100),
        ] {
            let case = format!("{kind:?}, {max_age_hours} h");
            let next = |now| after_failure(kind, 40, at(0), SignedDuration::from_hours(max_age_hours), now, 0.5);
            let last_second = last_hour * 3600;
            let just_before = next(at(last_second - 1));
            assert_eq!(just_before, NextStep::RetryAt(at(last_second)), "{case}: the last try is at the deadline");
            assert_eq!(next(at(last_second)), NextStep::GiveUp, "{case}");
        }
        assert_eq!(after_failure(Permanent, 1, at(0), MAX_AGE, at(0), 0.5), NextStep::GiveUp);
    }

    /// Plays one mail against a relay that fails in one way, and counts the tries.
    fn tries(kind: NotifyFailure, jitter: f64, relay_is_back_at: Timestamp) -> (u32, bool) {
        let (mut now, mut attempts) = (at(0), 0);
        loop {
            attempts += 1;
            if now >= relay_is_back_at {
                return (attempts, true);
            }
            match after_failure(kind, attempts, at(0), MAX_AGE, now, jitter) {
                NextStep::RetryAt(next) => now = next,
                NextStep::GiveUp => return (attempts, false),
            }
        }
    }

    #[test]
    fn an_outage_of_a_day_loses_nothing() {
        for jitter in [0.0, 0.3, 1.0] {
            for kind in [NotifyFailure::Transient, NotifyFailure::RateLimited, NotifyFailure::Configuration] {
                let (attempts, delivered) = tries(kind, jitter, at(24 * 3600));
                assert!(delivered && attempts < 150, "{kind:?}: {attempts} tries, delivered: {delivered}");
            }
        }
    }

    #[test]
    fn a_relay_that_never_confirms_gets_few_copies() {
        for jitter in [0.0, 1.0] {
            let (attempts, delivered) = tries(NotifyFailure::Unknown, jitter, Timestamp::MAX);
            assert!(!delivered && attempts <= 15, "{attempts} copies");
        }
    }
}
