//! Announced changes of pace, as arithmetic on exposure.
//!
//! An hour at an announced factor counts as that many hours of the usual pace: behind, when the state learns from it, and
//! ahead, when a forecast looks over it. So the levels are always those of the usual pace, no change is learned and
//! multiplied too, and what a change turns out to be worth is corrected by the use that follows: if half of what was
//! announced comes, the levels fall until they fit.
//!
//! An hour at rest (a holiday) says nothing of the usual pace: it is left out of what is learned, with its use, and no
//! time passes for the levels.

use jiff::Timestamp;

use super::PaceChange;
use super::state::hours_since_epoch;
use crate::domain::credits::Credits;
use crate::domain::ledger::HourlyUse;

/// Below this factor an hour is one of rest. Divided by less, the use of an hour would be mostly noise.
pub(super) const REST_BELOW: f64 = 0.05;
/// Changes that overlap multiply up to here.
const MOST_TOGETHER: f64 = 100.0;

/// What the usual pace is multiplied by at a moment, in hours since the Unix epoch: the product of all changes that hold,
/// so that a holiday in a busy month is a holiday.
pub(super) fn factor_at(paces: &[PaceChange], moment: f64) -> f64 {
    let holds = |pace: &&PaceChange| hours_since_epoch(pace.from) <= moment && moment < hours_since_epoch(pace.to);
    paces.iter().filter(holds).map(|pace| pace.factor.max(0.0)).product::<f64>().min(MOST_TOGETHER)
}

/// The average of what the pace is multiplied by from one moment to a later one, in hours since the Unix epoch; 1 exactly
/// where nothing was announced.
pub(super) fn factor_between(paces: &[PaceChange], from: f64, to: f64) -> f64 {
    let is_touched = paces.iter().any(|pace| overlaps(pace, from, to));
    if !is_touched || to <= from {
        return if is_touched { factor_at(paces, from) } else { 1.0 };
    }
    scaled(paces, from, to, |from, to| to - from) / (to - from)
}

/// A measure of the time between two moments, each piece of it multiplied by the factor that holds there. Without changes
/// it is the measure of the whole.
pub(super) fn scaled(paces: &[PaceChange], from: f64, to: f64, measure: impl Fn(f64, f64) -> f64) -> f64 {
    if !paces.iter().any(|pace| overlaps(pace, from, to)) {
        return measure(from, to);
    }
    let (mut sum, mut at) = (0.0, from);
    while at < to {
        let limits = paces.iter().flat_map(|pace| [hours_since_epoch(pace.from), hours_since_epoch(pace.to)]);
        let next = limits.filter(|limit| *limit > at).fold(to, f64::min);
        sum += factor_at(paces, at) * measure(at, next);
        at = next;
    }
    sum
}

/// A team's share in the use of all is measured over so many hours: four weeks.
pub const SHARE_HOURS: i64 = 28 * 24;

/// One of the teams whose use makes up that of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartOfAll {
    /// Its announced changes of pace.
    pub paces: Vec<PaceChange>,
    /// Its use, in the order of the hours.
    pub rows: Vec<HourlyUse>,
}

/// What the announced changes of pace of single teams come to for the use of all: each changes the part of it that is the
/// team's. How large that part is follows from the four weeks before the change begins, or before `today` (in hours since
/// the Unix epoch) while it is ahead; the rows reach back that far. Teams that announced nothing need not be listed.
pub fn paces_of_all(teams: &[PartOfAll], all: &[HourlyUse], today: i64) -> Vec<PaceChange> {
    let changes = || teams.iter().flat_map(|team| &team.paces);
    let mut limits: Vec<Timestamp> = changes().flat_map(|pace| [pace.from, pace.to]).collect();
    limits.sort_unstable();
    limits.dedup();
    let segment = |bounds: &[Timestamp]| {
        let (from, to) = (bounds[0], bounds[1]);
        let moment = hours_since_epoch(from);
        let until = (moment.floor() as i64).min(today);
        let used = |rows: &[HourlyUse]| {
            let is_in = |row: &&HourlyUse| (until - SHARE_HOURS..until).contains(&row.hour);
            let net: Credits = rows.iter().filter(is_in).map(|row| row.net).sum();
            net.as_f64().max(0.0)
        };
        let of_all = used(all);
        let changed = |team: &PartOfAll| {
            let share = if of_all > 0.0 { (used(&team.rows) / of_all).min(1.0) } else { 0.0 };
            share * (factor_at(&team.paces, moment) - 1.0)
        };
        let factor = (1.0 + teams.iter().map(changed).sum::<f64>()).max(0.0);
        PaceChange { factor, from, to }
    };
    limits.windows(2).map(segment).filter(|pace| pace.factor != 1.0).collect()
}

fn overlaps(pace: &PaceChange, from: f64, to: f64) -> bool {
    hours_since_epoch(pace.from) < to && hours_since_epoch(pace.to) > from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    /// One credit count each hour of the 28 days before hour 0, and none after.
    fn rows(each_hour: i64) -> Vec<HourlyUse> {
        (-SHARE_HOURS..0).map(|hour| HourlyUse { hour, net: Credits::from_whole(each_hour), charges: 1 }).collect()
    }

    #[test]
    fn a_teams_change_of_pace_changes_its_part_of_the_use_of_all() {
        let rests = |from, to| (0.0, from, to);
        let all = rows(10);
        // Two teams use 6 and 3 of 10; nobody's charges are the rest. Factors that come out, with their hours.
        for (name, heavy, light, expected) in [
            ("nothing announced", vec![], vec![], vec![]),
            ("one rests", vec![rests(0, 48)], vec![], vec![(0.4, 0, 48)]),
            ("the other doubles", vec![], vec![(2.0, 24, 48)], vec![(1.3, 24, 48)]),
            ("both rest", vec![rests(0, 48)], vec![rests(0, 48)], vec![(0.1, 0, 48)]),
            ("they overlap", vec![rests(0, 48)], vec![(2.0, 24, 72)], vec![(0.4, 0, 24), (0.7, 24, 48), (1.3, 48, 72)]),
            ("a pause between", vec![rests(0, 24), rests(48, 72)], vec![], vec![(0.4, 0, 24), (0.4, 48, 72)]),
            ("rest wins within a team", vec![(3.0, 0, 48), rests(0, 48)], vec![], vec![(0.4, 0, 48)]),
        ] {
            let part = |changes: Vec<(f64, i64, i64)>, each_hour| PartOfAll {
                paces: changes
                    .into_iter()
                    .map(|(factor, from, to)| PaceChange { factor, from: moment(from), to: moment(to) })
                    .collect(),
                rows: rows(each_hour),
            };
            let found = paces_of_all(&[part(heavy, 6), part(light, 3)], &all, 0);
            let bounds: Vec<_> = found.iter().map(|pace| (pace.from, pace.to)).collect();
            let wanted: Vec<_> = expected.iter().map(|(_, from, to)| (moment(*from), moment(*to))).collect();
            assert_eq!(bounds, wanted, "{name}");
            for (pace, (factor, ..)) in found.iter().zip(expected) {
                assert!((pace.factor - factor).abs() < 1e-12, "{name}: {found:?}");
            }
        }
    }

    #[test]
    fn a_part_is_measured_before_the_change_and_not_after_today() {
        let far = |from: i64| PartOfAll {
            paces: vec![PaceChange { factor: 0.0, from: moment(from), to: moment(from + 24) }],
            rows: rows(5),
        };
        let factor = |from, today| paces_of_all(&[far(from)], &rows(10), today)[0].factor;
        assert_eq!(factor(24 * 200, 0), 0.5, "ahead: as of today");
        assert_eq!(factor(-24, 24 * 200), 0.5, "long ago: as of then");
        // A team of which no use is known has no part that could change.
        assert_eq!(paces_of_all(&[far(24 * 200)], &rows(10), 24 * 100), []);
    }
}
