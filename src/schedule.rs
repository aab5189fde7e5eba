//! When a job is due: a decision made from a schedule, the last run and the time, and a thin loop that waits for it.
//!
//! The decision looks only at its arguments, so a restart, a machine that slept and a usual tick run the same code. A job
//! that missed runs runs once. A clock that goes back does not make a job repeat itself, unless it goes back by more than
//! [`SMALLEST_CORRECTION`]: then the clock was wrong before, and the new time is taken at once.

use std::iter::successors;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::domain::CronSchedule;

/// How far a clock has to go back behind the last run to count as corrected, rather than as adjusted.
pub const SMALLEST_CORRECTION: SignedDuration = SignedDuration::from_hours(3);

/// How many skipped runs are counted at most, so that a decision takes bounded time after any downtime.
pub const MOST_MISSED_COUNTED: usize = 1_000;

/// The longest wait before everything is decided again. A clock that goes back is noticed after this time, whatever the
/// moment that was being waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What to do about a job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Due {
        /// The firing that this run is for, without jitter: what to store as the last scheduled run. The first run of
        /// all is for no firing and has the present moment.
        scheduled: Timestamp,
        /// Earlier firings since the last run that are skipped; at most [`MOST_MISSED_COUNTED`].
        missed: u64,
    },
    /// Nothing is due before this moment.
    Wait {
        /// The next firing plus the jitter.
        until: Timestamp,
    },
    /// The schedule has no firing within the next five years.
    Never,
}

/// A job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// See [`Decision::Due`].
    pub scheduled: Timestamp,
    /// See [`Decision::Due`].
    pub missed: u64,
}

/// Decides whether a job is due.
///
/// `last_scheduled` is the `scheduled` of the job's last run, kept across restarts; a job that has never run is due now.
/// `jitter` delays every firing by the same time: see [`fixed_jitter`].
pub fn decide(
    schedule: &CronSchedule,
    last_scheduled: Option<Timestamp>,
    jitter: Duration,
    now: Timestamp,
) -> Decision {
    let Some(last) = last_scheduled else {
        return Decision::Due { scheduled: now, missed: 0 };
    };
    // A job with jitter lives a little in the past.
    let jobs_now = now.checked_sub(jitter).unwrap_or(Timestamp::MIN);
    let latest = schedule.last_at_or_before(jobs_now);
    if clock_was_corrected(last, now) {
        return Decision::Due { scheduled: latest.unwrap_or(now), missed: 0 };
    }
    if let Some(latest) = latest.filter(|latest| *latest > last) {
        return Decision::Due { scheduled: latest, missed: count_between(schedule, last, latest) };
    }
    match schedule.next_after(jobs_now.max(last)) {
        Some(next) => Decision::Wait { until: next.checked_add(jitter).unwrap_or(Timestamp::MAX) },
        None => Decision::Never,
    }
}

/// Waits until a job is due; `None` if its schedule has no firing within the next five years. May be dropped and called
/// again at any time.
pub async fn next_tick(
    clock: &dyn Clock,
    schedule: &CronSchedule,
    last_scheduled: Option<Timestamp>,
    jitter: Duration,
) -> Option<Tick> {
    loop {
        let now = clock.now();
        match decide(schedule, last_scheduled, jitter, now) {
            Decision::Due { scheduled, missed } => {
                if let Some(last) = last_scheduled.filter(|last| clock_was_corrected(*last, now)) {
                    tracing::warn!(
                        schedule.last_scheduled = %last,
                        schedule.now = %now,
                        "the clock went back behind the last run by more than {SMALLEST_CORRECTION:#}; \
                         the new time is taken as right"
                    );
                }
                return Some(Tick { scheduled, missed });
            }
            Decision::Wait { until } => {
                tokio::select! {
                    () = clock.sleep_until(until) => {}
                    // A clock that has gone back by hours would sleep for hours.
                    () = tokio::time::sleep(LONGEST_WAIT) => {}
                }
            }
            Decision::Never => return None,
        }
    }
}

/// A delay between nothing and `at_most`, in whole milliseconds, that depends on the job's name alone.
///
/// It spreads jobs that share a schedule, and it is the same after every restart, on every platform and in every
/// release: a delay drawn anew would starve rare jobs on a machine that restarts often. A name that holds the host's
/// name also spreads the hosts.
pub fn fixed_jitter(job_name: &str, at_most: Duration) -> Duration {
    let steps = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
    let scaled = u128::from(stable_hash(job_name)) * (u128::from(steps) + 1);
    // The hash is below 2^64, so the quotient is at most `steps`.
    Duration::from_millis(u64::try_from(scaled >> 64).unwrap_or(steps))
}

fn clock_was_corrected(last: Timestamp, now: Timestamp) -> bool {
    last.duration_since(now) > SMALLEST_CORRECTION
}

fn count_between(schedule: &CronSchedule, last: Timestamp, latest: Timestamp) -> u64 {
    let skipped = successors(schedule.next_after(last), |firing| schedule.next_after(*firing))
        .take_while(|firing| *firing < latest)
        .take(MOST_MISSED_COUNTED);
    // A `usize` of at most `MOST_MISSED_COUNTED`.
    skipped.count() as u64
}

/// FNV-1a in 64 bits, followed by the last steps of MurmurHash3: FNV alone leaves the upper bits of short names nearly
/// equal, and those are the ones that [`fixed_jitter`] uses.
fn stable_hash(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn schedule(expression: &str) -> CronSchedule {
        CronSchedule::parse(expression, TimeZone::get("Europe/Berlin").unwrap()).unwrap()
    }

    fn due(scheduled: &str, missed: u64) -> Decision {
        Decision::Due { scheduled: moment(scheduled), missed }
    }

    fn wait(until: &str) -> Decision {
        Decision::Wait { until: moment(until) }
    }

    #[test]
    fn jobs_run_once_for_what_they_missed_and_never_twice() {
        #[rustfmt::skip]
        let table = [
            ("the first poll is at the start", "*/5 * * * *", None, 40, "2026-06-01T12:02:13Z", due("2026-06-01T12:02:13Z", 0)),
            ("a schedule that is over still has a first poll", "0 0 29 2 *", None, 0, "2099-06-01T00:00Z", due("2099-06-01T00:00Z", 0)),
            ("after the first poll the schedule goes on", "*/5 * * * *", Some("2026-06-01T12:02:13Z"), 0, "2026-06-01T12:02:14Z", wait("2026-06-01T12:05Z")),
            ("before the firing", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T12:04:59.999Z", wait("2026-06-01T12:05Z")),
            ("at the firing", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T12:05Z", due("2026-06-01T12:05Z", 0)),
            ("late by less than a period", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T12:09:59Z", due("2026-06-01T12:05Z", 0)),
            ("jitter delays", "*/5 * * * *", Some("2026-06-01T12:00Z"), 40, "2026-06-01T12:05:39Z", wait("2026-06-01T12:05:40Z")),
            ("jitter delays the run and not its name", "*/5 * * * *", Some("2026-06-01T12:00Z"), 40, "2026-06-01T12:05:40Z", due("2026-06-01T12:05Z", 0)),
            ("a jitter longer than the period", "* * * * *", Some("2026-06-01T12:00Z"), 90, "2026-06-01T12:02:30Z", due("2026-06-01T12:01Z", 0)),
            ("already run, and still within the jitter", "*/5 * * * *", Some("2026-06-01T12:05Z"), 40, "2026-06-01T12:05:40Z", wait("2026-06-01T12:10:40Z")),

            ("a forward jump of two hours", "0 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T14:30Z", due("2026-06-01T14:00Z", 1)),
            ("a forward jump of a day", "0 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-02T12:30Z", due("2026-06-02T12:00Z", 23)),
            ("a restart after a short stop", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T12:03Z", wait("2026-06-01T12:05Z")),
            ("a restart after a weekend", "*/5 * * * *", Some("2026-06-05T17:00Z"), 0, "2026-06-08T07:01Z", due("2026-06-08T07:00Z", 743)),
            ("a restart after years counts to a bound", "* * * * *", Some("2020-06-05T17:00Z"), 0, "2026-06-08T07:00:30Z", due("2026-06-08T07:00Z", 1000)),
            ("a daily job that was missed runs when the machine is back", "0 6 * * *", Some("2026-06-01T04:00Z"), 0, "2026-06-02T09:00Z", due("2026-06-02T04:00Z", 0)),
            ("a stored time far in the past", "0 * * * *", Some("1970-01-01T00:00Z"), 0, "2026-06-01T12:30Z", due("2026-06-01T12:00Z", 1000)),

            ("a backward jump of a second", "*/5 * * * *", Some("2026-06-01T12:05Z"), 0, "2026-06-01T12:04:59Z", wait("2026-06-01T12:10Z")),
            ("a backward jump of an hour", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T11:00Z", wait("2026-06-01T12:05Z")),
            ("a backward jump of an hour, with jitter", "*/5 * * * *", Some("2026-06-01T12:00Z"), 40, "2026-06-01T11:00Z", wait("2026-06-01T12:05:40Z")),
            ("a backward jump of an hour, caught up with", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T12:05Z", due("2026-06-01T12:05Z", 0)),
            ("a backward jump of exactly three hours", "0 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T09:00Z", wait("2026-06-01T13:00Z")),
            ("a correction by more than three hours", "0 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T08:59:59Z", due("2026-06-01T08:00Z", 0)),
            ("a correction by five hours", "*/5 * * * *", Some("2026-06-01T12:00Z"), 0, "2026-06-01T07:02Z", due("2026-06-01T07:00Z", 0)),
            ("a correction by years", "0 0 1 * *", Some("2041-01-01T00:00Z"), 0, "2026-06-10T12:00Z", due("2026-05-31T22:00Z", 0)),
            ("after the correction the schedule goes on", "*/5 * * * *", Some("2026-06-01T07:00Z"), 0, "2026-06-01T07:02Z", wait("2026-06-01T07:05Z")),

            ("the hour that a clock change leaves out", "30 2 * * *", Some("2026-03-28T01:30Z"), 0, "2026-03-29T00:59Z", wait("2026-03-29T01:00Z")),
            ("the hour that a clock change repeats", "30 2 * * *", Some("2026-10-25T00:30Z"), 0, "2026-10-25T01:30Z", wait("2026-10-26T01:30Z")),
            ("a stored time long before the first firing", "0 0 29 2 *", Some("1960-01-01T00:00Z"), 0, "1970-06-01T00:00Z", wait("1972-02-28T23:00Z")),
            ("no firing within five years", "0 0 29 2 *", Some("2096-02-28T23:00Z"), 0, "2096-06-01T00:00Z", Decision::Never),
            ("the end of time", "* * * * *", Some("9999-12-01T00:00Z"), 0, "9999-12-30T00:00Z", Decision::Never),
        ];
        for (case, expression, last, jitter_seconds, now, expected) in table {
            let jitter = Duration::from_secs(jitter_seconds);
            let decision = decide(&schedule(expression), last.map(moment), jitter, moment(now));
            assert_eq!(decision, expected, "{case}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(5),
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_firing_is_run_or_counted_as_missed(
            steps_in_seconds in proptest::collection::vec(prop_oneof![4 => 1..400_i64, 1 => 1..20_000_i64], 1..60),
            jitter_seconds in 0..400_u64,
        ) {
            let schedule = schedule("*/5 * * * *");
            let jitter = Duration::from_secs(jitter_seconds);
            let began = moment("2026-03-28T22:00Z");
            let (mut now, mut last, mut accounted_for) = (began, began, 0);
            for step in steps_in_seconds {
                now += SignedDuration::from_secs(step);
                if let Decision::Due { scheduled, missed } = decide(&schedule, Some(last), jitter, now) {
                    prop_assert!(last < scheduled && scheduled + jitter <= now);
                    last = scheduled;
                    accounted_for += 1 + missed;
                }
                let Decision::Wait { until } = decide(&schedule, Some(last), jitter, now) else {
                    return Err(TestCaseError::fail("due twice"));
                };
                prop_assert!(until > now);
                let then = decide(&schedule, Some(last), jitter, until);
                prop_assert_eq!(then, Decision::Due { scheduled: until - jitter, missed: 0 });
            }
            // The periods of this schedule are equal, also across the clock change of that night.
            let firings = last.duration_since(began).as_secs() / 300;
            prop_assert_eq!(i64::try_from(accounted_for).unwrap(), firings);
        }
    }

    /// Waits for a tick while the clock is set to other times, one after another, five minutes of waiting apart. `None`
    /// if there is no tick within an hour of waiting after that.
    async fn tick_while(expression: &str, last: &str, now: &str, times: &[&str]) -> Option<Tick> {
        let clock = ManualClock::new(moment(now));
        let schedule = schedule(expression);
        let move_clock = async {
            for time in times {
                tokio::time::sleep(Duration::from_secs(300)).await;
                clock.set(moment(time));
            }
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        };
        tokio::select! {
            tick = next_tick(&clock, &schedule, Some(moment(last)), Duration::from_secs(40)) => tick,
            () = move_clock => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_loop_notices_whatever_the_clock_does() {
        let (last, now) = ("2026-06-01T12:00Z", "2026-06-01T12:01Z");
        let tick = |scheduled, missed| Some(Tick { scheduled: moment(scheduled), missed });
        #[rustfmt::skip]
        let table: &[(&str, &[&str], Option<Tick>)] = &[
            ("time stands still", &[], None),
            ("just before the jittered firing", &["2026-06-01T13:00:39.999Z"], None),
            ("at the jittered firing", &["2026-06-01T13:00:39Z", "2026-06-01T13:00:40Z"], tick("2026-06-01T13:00Z", 0)),
            ("the machine was suspended for eight hours", &["2026-06-01T20:10Z"], tick("2026-06-01T20:00Z", 7)),
            ("back an hour", &["2026-06-01T11:01Z", "2026-06-01T12:01Z"], None),
            ("back an hour, and then on", &["2026-06-01T11:01Z", "2026-06-01T13:01Z"], tick("2026-06-01T13:00Z", 0)),
            ("back five hours, while it waits", &["2026-06-01T07:01Z"], tick("2026-06-01T07:00Z", 0)),
        ];
        for (case, times, expected) in table {
            assert_eq!(tick_while("0 * * * *", last, now, times).await, *expected, "{case}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_loop_starts_with_a_tick_and_ends_with_the_schedule() {
        let clock = ManualClock::new(moment("2096-06-01T00:00Z"));
        let leap_days = schedule("0 0 29 2 *");
        let first = next_tick(&clock, &leap_days, None, Duration::ZERO).await.unwrap();
        assert_eq!(first, Tick { scheduled: clock.now(), missed: 0 });
        assert_eq!(next_tick(&clock, &leap_days, Some(first.scheduled), Duration::ZERO).await, None);
    }

    #[test]
    fn jitter_is_the_same_forever() {
        for (name, at_most_millis, expected_millis) in [
            ("", 60_000, 56_207),
            ("studio", 60_000, 16_837),
            ("render-01/studio", 60_000, 22_883),
            ("render-01/studio", 1, 0),
            ("render-01/studio", 0, 0),
        ] {
            let jitter = fixed_jitter(name, Duration::from_millis(at_most_millis));
            assert_eq!(jitter, Duration::from_millis(expected_millis), "{name}");
        }
        assert!(fixed_jitter("studio", Duration::MAX) <= Duration::MAX);
    }

    #[test]
    fn jitter_spreads_jobs_evenly() {
        let at_most = Duration::from_millis(9_999);
        let mut jobs_per_tenth = [0; 10];
        for job in 0..1_000 {
            let jitter = fixed_jitter(&job.to_string(), at_most);
            assert!(jitter <= at_most);
            jobs_per_tenth[usize::try_from(jitter.as_millis() / 1_000).unwrap()] += 1;
        }
        assert!(jobs_per_tenth.iter().all(|jobs| (70..=130).contains(jobs)), "{jobs_per_tenth:?}");
    }
}
