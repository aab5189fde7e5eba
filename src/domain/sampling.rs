//! The past as samples: values that hold until they change, looked at at regular instants.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

/// The instants at which a past is looked at: whole multiples of a step since the Unix epoch, so that looking again with
/// the same step looks at the same instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleGrid {
    step_seconds: u32,
    /// Numbers of the instants, each so many steps after the epoch.
    numbers: Range<i64>,
}

impl SampleGrid {
    /// Instants a step (in seconds; 0 counts as 1) apart, the first at or after `from`, all before `to`.
    pub fn new(step_seconds: u32, from: Timestamp, to: Timestamp) -> SampleGrid {
        let mut grid = SampleGrid { step_seconds: step_seconds.max(1), numbers: 0..0 };
        let first = grid.at_or_after(from);
        grid.numbers = first..grid.at_or_after(to).max(first);
        grid
    }

    /// The time between two instants.
    pub fn step(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.step_seconds))
    }

    /// The number of the first instant at or after a moment, whether or not it is one of these.
    fn at_or_after(&self, at: Timestamp) -> i64 {
        let step_millis = i64::from(self.step_seconds) * 1000;
        let millis = at.as_millisecond();
        millis.div_euclid(step_millis) + i64::from(millis.rem_euclid(step_millis) != 0)
    }
}

/// A value that holds until the next one. At each instant of a grid it is what it was last changed to, at that moment or
/// before; before the first change, and while it is `None`, it is unknown and has no samples.
#[derive(Clone, Debug)]
pub struct Held<V> {
    grid: SampleGrid,
    next: i64,
    value: Option<V>,
}

impl<V> Held<V> {
    /// A value of which nothing is known yet.
    pub fn new(grid: &SampleGrid) -> Held<V> {
        Held { next: grid.numbers.start, grid: grid.clone(), value: None }
    }

    /// Changes the value from `at` on, and answers the samples of the old one before that. Changes come in the order of
    /// time; one that is late changes what has not been looked at yet.
    #[must_use = "samples that are not taken are lost"]
    pub fn change(&mut self, at: Timestamp, value: Option<V>) -> Samples<V> {
        let until = self.grid.at_or_after(at).clamp(self.next, self.grid.numbers.end);
        let old = std::mem::replace(&mut self.value, value);
        let numbers = std::mem::replace(&mut self.next, until)..until;
        Samples { value: old, numbers, step_seconds: self.grid.step_seconds }
    }

    /// The samples from the last change to the end of the grid.
    pub fn rest(self) -> Samples<V> {
        Samples { value: self.value, numbers: self.next..self.grid.numbers.end, step_seconds: self.grid.step_seconds }
    }
}

/// Samples of one value at consecutive instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples<V> {
    value: Option<V>,
    numbers: Range<i64>,
    step_seconds: u32,
}

impl<V> Samples<V> {
    /// The value, and its instants in seconds since the Unix epoch; `None` if there are no samples.
    pub fn known(self) -> Option<(V, impl Iterator<Item = i64>)> {
        let step = i64::from(self.step_seconds);
        let value = self.value.filter(|_| !self.numbers.is_empty())?;
        Some((value, self.numbers.map(move |number| number * step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// All samples of a value that changed so, in milliseconds, on a grid.
    fn samples(grid: &SampleGrid, changes: &[(i64, Option<i64>)]) -> Vec<(i64, i64)> {
        let mut held = Held::new(grid);
        let mut found = Vec::new();
        let mut take = |samples: Samples<i64>| {
            if let Some((value, instants)) = samples.known() {
                found.extend(instants.map(|instant| (instant, value)));
            }
        };
        for (millis, value) in changes {
            take(held.change(at(*millis), *value));
        }
        take(held.rest());
        found
    }

    #[test]
    fn a_grid_has_the_multiples_of_its_step() {
        for (step, from, to, first_and_length) in [
            (300, 0, 900_000, (0, 3)),
            (300, 1, 900_000, (300, 2)),
            (300, 300_000, 900_001, (300, 3)),
            (300, 300_001, 599_999, (600, 0)),
            (300, 900_000, 0, (900, 0)),
            (60, -60_001, 1, (-60, 2)),
            (0, 0, 2_000, (0, 2)),
        ] {
            let grid = SampleGrid::new(step, at(from), at(to));
            let first = grid.numbers.start * i64::from(grid.step_seconds);
            assert_eq!((first, grid.numbers.clone().count()), first_and_length, "{step} s, {from} to {to}");
        }
    }

    #[test]
    fn a_value_holds_until_it_changes() {
        let grid = SampleGrid::new(10, at(0), at(50_000));
        for (what, changes, expected) in [
            ("nothing known", &[][..], &[][..]),
            ("known from between two instants on", &[(11_000, Some(1))], &[(20, 1), (30, 1), (40, 1)]),
            (
                "a change at an instant counts there",
                &[(20_000, Some(1)), (30_000, Some(2))],
                &[(20, 1), (30, 2), (40, 2)],
            ),
            (
                "the last of several between two",
                &[(21_000, Some(1)), (22_000, Some(2)), (29_999, Some(3))],
                &[(30, 3), (40, 3)],
            ),
            (
                "from before the grid",
                &[(-99_000, Some(1)), (-98_000, Some(2))],
                &[(0, 2), (10, 2), (20, 2), (30, 2), (40, 2)],
            ),
            ("after its end", &[(40_001, Some(1)), (50_000, Some(2))], &[]),
            ("a gap", &[(0, Some(1)), (10_001, None), (30_001, Some(2))], &[(0, 1), (10, 1), (40, 2)]),
            (
                "one that is late",
                &[(0, Some(1)), (30_000, Some(2)), (10_000, Some(3))],
                &[(0, 1), (10, 1), (20, 1), (30, 3), (40, 3)],
            ),
        ] {
            assert_eq!(samples(&grid, changes), expected, "{what}");
        }
    }
}
