//! Whether what is charged agrees with what is listed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{PriceRange, PriceSheet};
use crate::domain::account::TeamName;
use crate::domain::credits::Credits;

/// What a task cost that succeeded, was charged for once, and of which nothing came back. Free repeats, failures and refunds
/// say nothing of a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedTask {
    /// The platform's word for the kind of task.
    pub task_type: String,
    /// The platform's word for its quality; empty where it says nothing.
    pub quality: String,
    /// Variants it made; 1 where it is not said.
    pub variants: u32,
    /// What was charged, above zero.
    pub credits: Credits,
    /// When it was launched.
    pub created_at: Timestamp,
}

/// What launches of one kind cost lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargedPrice {
    /// The platform's word for the kind of task.
    pub task_type: String,
    /// The platform's word for its quality; empty where it says nothing.
    pub quality: String,
    /// Variants of each launch.
    pub variants: u32,
    /// The median of what the newest launches cost.
    pub observed: Credits,
    /// How many launches that is, at least [`LEAST_TASKS`] and at most [`MOST_TASKS`].
    pub tasks: u32,
}

/// The price of a kind that the sheet lists, beside what is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceDrift {
    /// The kind, and what it cost lately.
    pub charged: ChargedPrice,
    /// What a launch is listed at.
    pub listed: PriceRange,
    /// The first launch of those that cost more than listed, or less, if the median does: of the newest in a row, or of all
    /// that were looked at where the newest does not.
    pub since: Option<Timestamp>,
    /// How often each team launched it within [`LOOK_BACK`] and was charged for it, and nobody's launches; read where the price
    /// is not the listed one, and empty elsewhere.
    pub launches: BTreeMap<Option<TeamName>, u32>,
}

/// What was charged on an account beside its price sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedPrices {
    /// The sheet.
    pub sheet: Arc<PriceSheet>,
    /// Kinds that it lists, whether they agree with it or not; in alphabetical order.
    pub listed: Vec<PriceDrift>,
    /// Kinds that it does not list; in alphabetical order.
    pub unlisted: Vec<ChargedPrice>,
}

/// A price of a season ago may be an old one: only launches of the last month are looked at.
pub const LOOK_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So many of a kind are read, the newest: enough for [`MOST_TASKS`] of several numbers of variants.
pub const READ_TASKS: u32 = 50;
/// So many of one kind and number of variants are compared, the newest. When a price changes, eleven launches are enough to be
/// told, which a team that is at work makes in a day. Something that is paid for on top and of which no record tells, chosen at
/// one launch in four, moves the median of twenty in 4 of 1,000 looks (binomial tail); of five it would in 104.
pub const MOST_TASKS: usize = 20;
/// Fewer could be five odd ones out of one hand: with an extra at one launch in four, three of five have it in 104 of 1,000
/// looks, and two of three in 156.
pub const LEAST_TASKS: usize = 5;

/// Compares what was charged with what is listed.
///
/// `charged` in any order. Kinds with less than [`LEAST_TASKS`] launches are in neither list: their price is not known well.
pub fn compare_prices(sheet: &Arc<PriceSheet>, charged: &[ChargedTask]) -> ComparedPrices {
    let mut kinds: BTreeMap<(&str, &str, u32), Vec<&ChargedTask>> = BTreeMap::new();
    for task in charged {
        kinds.entry((&task.task_type, &task.quality, task.variants.max(1))).or_default().push(task);
    }
    let mut compared = ComparedPrices { sheet: Arc::clone(sheet), listed: Vec::new(), unlisted: Vec::new() };
    for ((task_type, quality, variants), mut tasks) in kinds {
        tasks.sort_by_key(|task| std::cmp::Reverse(task.created_at));
        tasks.truncate(MOST_TASKS);
        if tasks.len() < LEAST_TASKS {
            continue;
        }
        let charged = ChargedPrice {
            task_type: task_type.into(),
            quality: quality.into(),
            variants,
            observed: median(&tasks),
            tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        };
        match sheet.price(task_type, quality, variants) {
            Some(listed) => {
                let since = since(&tasks, listed, charged.observed);
                compared.listed.push(PriceDrift { charged, listed, since, launches: BTreeMap::new() });
            }
            None => compared.unlisted.push(charged),
        }
    }
    compared
}

impl PriceDrift {
    /// What is charged, divided by the end of the listed range that is nearest; 1 within the range. `None` for what is listed
    /// as free and is not.
    pub fn ratio(&self) -> Option<f64> {
        let (observed, nearest) = (self.charged.observed, self.nearest());
        if observed == nearest {
            return Some(1.0);
        }
        nearest.is_positive().then(|| observed.as_f64() / nearest.as_f64())
    }

    /// Whether what is charged is off the listed range by more than a share (0 to 1) of its nearest end.
    pub fn is_beyond(&self, tolerance: f64) -> bool {
        let (observed, nearest) = (self.charged.observed.as_f64(), self.nearest().as_f64());
        (observed - nearest).abs() > nearest * tolerance
    }

    /// What a launch costs more than is listed; below zero if it costs less.
    pub fn difference(&self) -> Credits {
        self.charged.observed - self.nearest()
    }

    /// How often a team launched it within [`LOOK_BACK`].
    pub fn launches_of(&self, team: &TeamName) -> u32 {
        self.launches.get(&Some(team.clone())).copied().unwrap_or(0)
    }

    fn nearest(&self) -> Credits {
        self.charged.observed.clamp(self.listed.low, self.listed.high)
    }
}

impl ComparedPrices {
    /// Kinds whose price is off the listed one by more than a share.
    pub fn drifts(&self, tolerance: f64) -> impl Iterator<Item = &PriceDrift> {
        self.listed.iter().filter(move |drift| drift.is_beyond(tolerance))
    }
}

/// The middle one, of an even number the lower: so that a price counts as changed once most launches have it.
fn median(tasks: &[&ChargedTask]) -> Credits {
    let mut credits: Vec<Credits> = tasks.iter().map(|task| task.credits).collect();
    credits.sort_unstable();
    credits.get(credits.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// `tasks` from the newest on.
fn since(tasks: &[&ChargedTask], listed: PriceRange, observed: Credits) -> Option<Timestamp> {
    let is_off = |task: &&&ChargedTask| match observed {
        observed if observed > listed.high => task.credits > listed.high,
        observed if observed < listed.low => task.credits < listed.low,
        _ => false,
    };
    let in_a_row = tasks.iter().take_while(is_off).last();
    in_a_row.or_else(|| tasks.iter().rfind(is_off)).map(|task| task.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ListedPrice, PriceLine, PriceUnit};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + 3600 * hour).unwrap()
    }

    /// `a` costs 20 for a variant, `b` from 10 to 30, `c` nothing.
    fn sheet() -> Arc<PriceSheet> {
        let line = |task_type: &str, low, high| PriceLine {
            task_type: task_type.into(),
            quality: None,
            price: ListedPrice {
                credits: PriceRange { low: Credits::from_whole(low), high: Credits::from_whole(high) },
                per: PriceUnit::Variant,
            },
            is_step: false,
        };
        Arc::new(PriceSheet {
            platform: "x".into(),
            as_of: jiff::civil::date(2026, 9, 8),
            source: "a page".into(),
            lines: vec![line("a", 20, 20), line("b", 10, 30), line("c", 0, 0)],
            free_retries: None,
        })
    }

    /// One launch each hour, the oldest first; prices in hundredths of a credit.
    fn charged(task_type: &str, variants: u32, hundredths: &[i64]) -> Vec<ChargedTask> {
        let task = |(hour, price): (usize, &i64)| ChargedTask {
            task_type: task_type.into(),
            quality: String::new(),
            variants,
            credits: Credits::from_micros(price * 10_000),
            created_at: at(hour as i64),
        };
        hundredths.iter().enumerate().map(task).collect()
    }

    #[test]
    fn what_is_charged_is_held_against_what_is_listed() {
        let twenty = |old: i64, changed: usize, new: i64| [vec![old; 20], vec![new; changed]].concat();
        // Kind, variants, prices; observed, ratio, whether 1% is exceeded, the hour since when.
        for (task_type, variants, prices, expected) in [
            ("a", 1, vec![2000; 5], Some((2000, Some(1.0), false, None))),
            ("a", 1, vec![2000; 4], None),
            ("a", 1, vec![2500; 5], Some((2500, Some(1.25), true, Some(0)))),
            ("a", 1, vec![1000; 5], Some((1000, Some(0.5), true, Some(0)))),
            // Of two variants 40 are listed.
            ("a", 2, vec![4000; 5], Some((4000, Some(1.0), false, None))),
            ("a", 0, vec![2000; 5], Some((2000, Some(1.0), false, None))),
            // A hundredth is let pass, more is not.
            ("a", 1, vec![2020; 5], Some((2020, Some(1.01), false, Some(0)))),
            ("a", 1, vec![2021; 5], Some((2021, Some(1.0105), true, Some(0)))),
            ("a", 1, vec![1980; 5], Some((1980, Some(0.99), false, Some(0)))),
            ("a", 1, vec![1979; 5], Some((1979, Some(0.9895), true, Some(0)))),
            // Ten launches at a new price are half of those that are looked at, eleven are most of them.
            ("a", 1, twenty(2000, 10, 2500), Some((2000, Some(1.0), false, None))),
            ("a", 1, twenty(2000, 11, 2500), Some((2500, Some(1.25), true, Some(20)))),
            ("a", 1, twenty(2500, 20, 2000), Some((2000, Some(1.0), false, None))),
            // Odd ones out do not count.
            ("a", 1, vec![2000, 9000, 2000, 1, 2000], Some((2000, Some(1.0), false, None))),
            // The newest is as listed: since the first that was not.
            ("a", 1, vec![2000, 2500, 2500, 2500, 2000], Some((2500, Some(1.25), true, Some(1)))),
            // Anywhere within a range is as listed.
            ("b", 1, vec![1000; 5], Some((1000, Some(1.0), false, None))),
            ("b", 1, vec![3000; 5], Some((3000, Some(1.0), false, None))),
            ("b", 1, vec![1700; 5], Some((1700, Some(1.0), false, None))),
            ("b", 1, vec![3300; 5], Some((3300, Some(1.1), true, Some(0)))),
            ("b", 1, vec![500; 5], Some((500, Some(0.5), true, Some(0)))),
            // Listed as free.
            ("c", 1, vec![100; 5], Some((100, None, true, Some(0)))),
        ] {
            let compared = compare_prices(&sheet(), &charged(task_type, variants, &prices));
            let found = compared.listed.first().map(|drift| {
                let hundredths = drift.charged.observed.micros() / 10_000;
                let ratio = drift.ratio().map(|ratio| (ratio * 1e6).round() / 1e6);
                (hundredths, ratio, drift.is_beyond(0.01), drift.since)
            });
            let expected = expected.map(|(price, ratio, is_beyond, hour)| (price, ratio, is_beyond, hour.map(at)));
            assert_eq!(found, expected, "{task_type} {variants} {prices:?}");
            assert!(compared.unlisted.is_empty());
        }
    }

    #[test]
    fn kinds_stand_alone_and_those_not_listed_beside_them() {
        let mut tasks = charged("a", 1, &[2500; 7]);
        tasks.extend(charged("a", 3, &[6000; 30]));
        tasks.extend(charged("z", 1, &[700; 6]));
        tasks.extend(charged("y", 1, &[700; 4]));
        tasks.reverse();
        let compared = compare_prices(&sheet(), &tasks);
        let told = |price: &ChargedPrice| {
            (price.task_type.clone(), price.variants, price.observed.micros() / 1_000_000, price.tasks)
        };
        let listed: Vec<_> = compared.listed.iter().map(|drift| told(&drift.charged)).collect();
        assert_eq!(listed, [("a".into(), 1, 25, 7), ("a".into(), 3, 60, 20)]);
        assert_eq!(compared.unlisted.iter().map(told).collect::<Vec<_>>(), [("z".into(), 1, 7, 6)]);
        let drifts: Vec<_> = compared.drifts(0.01).map(|drift| drift.difference()).collect();
        assert_eq!(drifts, [Credits::from_whole(5)]);
    }
}
