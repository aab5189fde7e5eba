//! How much a channel may try within a minute.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The tries of the last minute.
#[derive(Debug)]
pub struct Pace {
    most: usize,
    tries: VecDeque<Timestamp>,
}

impl Pace {
    /// At most so many tries within any minute.
    pub fn of(most: u32) -> Pace {
        Pace { most: most as usize, tries: VecDeque::new() }
    }

    /// How many may begin at `now`.
    pub fn room(&mut self, now: Timestamp) -> usize {
        // A clock that was set back must not make them count for longer.
        self.tries.retain(|at| *at <= now && now.duration_since(*at) < MINUTE);
        self.most.saturating_sub(self.tries.len())
    }

    /// So many begin at `now`.
    pub fn begin(&mut self, tries: usize, now: Timestamp) {
        self.tries.extend(std::iter::repeat_n(now, tries));
    }

    /// When the next may begin.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        if self.room(now) > 0 {
            return now;
        }
        let oldest = self.tries.front().copied().unwrap_or(now);
        oldest.saturating_add(MINUTE).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_tries_than_it_may() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut pace = Pace::of(3);
        assert_eq!((pace.room(at(0)), pace.next(at(0))), (3, at(0)));
        pace.begin(2, at(0));
        pace.begin(1, at(20));
        for (second, room, next) in [(20, 0, 60), (59, 0, 60), (60, 2, 60), (80, 3, 80)] {
            assert_eq!((pace.room(at(second)), pace.next(at(second))), (room, at(next)), "{second}");
        }
        pace.begin(3, at(100));
        assert_eq!(pace.room(at(50)), 3, "the clock was set back");
    }
}
