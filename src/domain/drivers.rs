//! What a team spent on within an interval: by kind of task, by who launched it, and by asset. What an alert says about
//! why, and what would help, is worked out from this.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;

use super::assessment::{RetryRow, TotalsRow};
use super::credits::Credits;
use super::reading::TaskState;
use super::retry::RetryKind;

/// One launch, as the ledger has it, for the [`Tally`].
#[derive(Clone, Copy, Debug)]
pub struct SpentTask<'a> {
    /// The platform's word.
    pub task_type: &'a str,
    /// The platform's word; empty where it says nothing.
    pub quality: &'a str,
    /// Its state.
    pub state: TaskState,
    /// How many variants it made, where said.
    pub variants: Option<u32>,
    /// Credits charged.
    pub charged: Credits,
    /// Credits that came back.
    pub refunded: Credits,
    /// When it was launched.
    pub created_at: Timestamp,
    /// Whether it ever left the queue, as far as is known.
    pub was_started: bool,
    /// Whether it is a sum of many tasks.
    pub is_sum: bool,
    /// Whether it continues an earlier task.
    pub is_step: bool,
    /// What kind of retry it is, if it is one.
    pub retry: Option<RetryKind>,
    /// Whether it is known what it attempts.
    pub is_attempt: bool,
    /// Who launched it, where known.
    pub who: Option<Who<'a>>,
    /// The project, where known.
    pub project: Option<&'a str>,
    /// The fingerprint of its asset or input, where known.
    pub fingerprint: Option<[u8; 16]>,
}

/// Who launched a task: what a platform tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who<'a> {
    /// A member of the team.
    Member(&'a str),
    /// Somebody with the API key of that name.
    ApiKey(&'a str),
}

/// What a team spent on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers {
    /// By task type and quality, in the order of their names.
    pub totals: Vec<TotalsRow>,
    /// Retries by task type and kind, in the order of their names.
    pub retries: Vec<RetryRow>,
    /// By who launched it, the largest first; at most [`MOST_LISTED`].
    pub spenders: Vec<Spender>,
    /// The assets on which most was spent, the largest first; at most [`MOST_LISTED`].
    pub assets: Vec<AssetUse>,
    /// The asset that was repeated most, by what the re-runs cost; it may be among `assets`.
    pub most_repeated: Option<AssetUse>,
    /// What tasks that succeeded cost, by task type, quality, variants and price, in that order.
    pub prices: Vec<Price>,
    /// Tasks that were charged and then cancelled before they began.
    pub cancelled: u64,
    /// Of those, tasks of which everything came back.
    pub cancelled_and_refunded: u64,
}

/// What one member, or one key, spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The name, as the platform has it.
    pub name: String,
    /// Whether that is the name of an API key.
    pub is_api_key: bool,
    /// Net credits.
    pub net: Credits,
    /// Of what was charged, what went into re-runs.
    pub reruns: Credits,
}

/// What was spent on one asset. The ledger knows it by a salted hash only; this is by what people may recognise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetUse {
    /// Launches, steps left out.
    pub attempts: u64,
    /// Of those, re-runs.
    pub reruns: u64,
    /// Net credits, steps included.
    pub net: Credits,
    /// Credits charged for re-runs.
    pub rerun_credits: Credits,
    /// When it was last launched.
    pub last_at: Timestamp,
    /// What was launched last.
    pub task_type: String,
    /// In which quality; may be empty.
    pub quality: String,
    /// The project, where known.
    pub project: Option<String>,
}

/// How many tasks that succeeded cost the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The platform's word.
    pub task_type: String,
    /// The platform's word; may be empty.
    pub quality: String,
    /// How many variants they made, where said.
    pub variants: Option<u32>,
    /// Net credits of each; above zero.
    pub credits: Credits,
    /// How many there were.
    pub tasks: u64,
}

/// So many members and assets are listed.
pub const MOST_LISTED: usize = 5;

/// Adds up launches in the order in which they were made.
#[derive(Debug, Default)]
pub struct Tally {
    kinds: Vec<Kind>,
    /// By task type and quality, places in `kinds`.
    places: HashMap<String, HashMap<String, usize>>,
    members: ByName,
    api_keys: ByName,
    assets: HashMap<[u8; 16], Asset>,
    cancelled: u64,
    cancelled_and_refunded: u64,
}

#[derive(Debug)]
struct Kind {
    totals: TotalsRow,
    /// By [`RetryKind::ALL`]: tasks and credits.
    retries: [(u64, Credits); 2],
    /// By variants and price.
    prices: HashMap<(Option<u32>, Credits), u64>,
}

#[derive(Debug, Default)]
struct ByName {
    places: HashMap<String, usize>,
    spent: Vec<Spent>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    net: Credits,
    reruns: Credits,
}

#[derive(Debug)]
struct Asset {
    attempts: u64,
    reruns: u64,
    net: Credits,
    rerun_credits: Credits,
    last_at: Timestamp,
    kind: usize,
    project: Option<String>,
}

impl Tally {
    /// Adds one launch.
    pub fn add(&mut self, task: &SpentTask) {
        let place = self.place_of(task.task_type, task.quality);
        let net = task.charged - task.refunded;
        let rerun = if task.retry == Some(RetryKind::Rerun) { task.charged } else { Credits::ZERO };
        let Some(kind) = self.kinds.get_mut(place) else { return };
        kind.add(task, net);
        if task.is_sum {
            return;
        }
        if task.state == TaskState::Cancelled && task.charged.is_positive() && !task.was_started {
            self.cancelled += 1;
            self.cancelled_and_refunded += u64::from(task.refunded >= task.charged);
        }
        if let Some(who) = task.who {
            let (spenders, name) = match who {
                Who::Member(name) => (&mut self.members, name),
                Who::ApiKey(name) => (&mut self.api_keys, name),
            };
            let spent = spenders.of(name);
            spent.net += net;
            spent.reruns += rerun;
        }
        if let Some(fingerprint) = task.fingerprint {
            let asset = self.assets.entry(fingerprint).or_insert(Asset {
                attempts: 0,
                reruns: 0,
                net: Credits::ZERO,
                rerun_credits: Credits::ZERO,
                last_at: task.created_at,
                kind: place,
                project: None,
            });
            asset.net += net;
            asset.rerun_credits += rerun;
            asset.reruns += u64::from(task.retry == Some(RetryKind::Rerun));
            if !task.is_step {
                asset.attempts += 1;
                (asset.last_at, asset.kind) = (task.created_at, place);
            }
            if asset.project.as_deref() != task.project {
                asset.project = task.project.map(String::from).or(asset.project.take());
            }
        }
    }

    /// What it comes to.
    pub fn finish(self) -> Drivers {
        let mut drivers = Drivers {
            cancelled: self.cancelled,
            cancelled_and_refunded: self.cancelled_and_refunded,
            ..Drivers::default()
        };
        drivers.assets = self.largest(MOST_LISTED, |asset| asset.net);
        drivers.most_repeated = self.largest(1, |asset| asset.rerun_credits).pop();
        let all = self.members.spenders(false).chain(self.api_keys.spenders(true));
        drivers.spenders = all.filter(|spender| spender.net.is_positive()).collect();
        drivers.spenders.sort_by(|a, b| (b.net, &a.name, a.is_api_key).cmp(&(a.net, &b.name, b.is_api_key)));
        drivers.spenders.truncate(MOST_LISTED);

        let mut retries: HashMap<(String, RetryKind), (u64, Credits)> = HashMap::new();
        for kind in self.kinds {
            let Kind { totals, retries: of_kind, prices } = kind;
            for (retry, (tasks, credits)) in
                RetryKind::ALL.into_iter().zip(of_kind).filter(|(_, (tasks, _))| *tasks > 0)
            {
                let sum = retries.entry((totals.task_type.clone(), retry)).or_default();
                *sum = (sum.0 + tasks, sum.1 + credits);
            }
            drivers.prices.extend(prices.into_iter().map(|((variants, credits), tasks)| Price {
                task_type: totals.task_type.clone(),
                quality: totals.quality.clone(),
                variants,
                credits,
                tasks,
            }));
            drivers.totals.push(totals);
        }
        drivers.totals.sort_by(|a, b| (&a.task_type, &a.quality).cmp(&(&b.task_type, &b.quality)));
        let by_name = |p: &Price| (p.task_type.clone(), p.quality.clone(), p.variants, p.credits);
        drivers.prices.sort_by_cached_key(by_name);
        let row = |((task_type, kind), (tasks, credits))| RetryRow { task_type, kind, tasks, credits };
        drivers.retries = retries.into_iter().map(row).collect();
        drivers.retries.sort_by(|a, b| (&a.task_type, a.kind).cmp(&(&b.task_type, b.kind)));
        drivers
    }

    /// The assets with most of something, the largest first; of equals the one launched last.
    fn largest(&self, count: usize, amount: impl Fn(&Asset) -> Credits) -> Vec<AssetUse> {
        let mut found: Vec<_> = self.assets.iter().filter(|(_, asset)| amount(asset).is_positive()).collect();
        // The fingerprint decides the rest, so that the same ledger always gives the same answer.
        let key = |(fingerprint, asset): &(&[u8; 16], &Asset)| (amount(asset), asset.last_at, **fingerprint);
        if found.len() > count {
            found.select_nth_unstable_by(count - 1, |a, b| key(b).cmp(&key(a)));
            found.truncate(count);
        }
        found.sort_by_key(|asset| Reverse(key(asset)));
        found.into_iter().map(|(_, asset)| asset.use_of(&self.kinds)).collect()
    }

    fn place_of(&mut self, task_type: &str, quality: &str) -> usize {
        let known = self.places.get(task_type).and_then(|of_type| of_type.get(quality));
        if let Some(place) = known {
            return *place;
        }
        let place = self.kinds.len();
        self.kinds.push(Kind {
            totals: TotalsRow { task_type: task_type.into(), quality: quality.into(), ..TotalsRow::default() },
            retries: Default::default(),
            prices: HashMap::new(),
        });
        self.places.entry(task_type.into()).or_default().insert(quality.into(), place);
        place
    }
}

impl Kind {
    fn add(&mut self, task: &SpentTask, net: Credits) {
        let totals = &mut self.totals;
        totals.charged += task.charged;
        totals.refunded += task.refunded;
        totals.finished += u64::from(task.state.is_final() && !task.is_sum);
        totals.failed += u64::from(task.state == TaskState::Failed && !task.is_sum);
        totals.attempts += u64::from(task.is_attempt);
        if let Some(retry) = task.retry {
            let (tasks, credits) = &mut self.retries[retry as usize];
            *tasks += 1;
            *credits += task.charged;
        }
        if task.state == TaskState::Succeeded && !task.is_sum && net.is_positive() {
            *self.prices.entry((task.variants, net)).or_default() += 1;
        }
    }
}

impl Asset {
    fn use_of(&self, kinds: &[Kind]) -> AssetUse {
        let word = |word: fn(&TotalsRow) -> &String| kinds.get(self.kind).map(|kind| word(&kind.totals).clone());
        AssetUse {
            attempts: self.attempts,
            reruns: self.reruns,
            net: self.net,
            rerun_credits: self.rerun_credits,
            last_at: self.last_at,
            task_type: word(|totals| &totals.task_type).unwrap_or_default(),
            quality: word(|totals| &totals.quality).unwrap_or_default(),
            project: self.project.clone(),
        }
    }
}

impl ByName {
    fn of(&mut self, name: &str) -> &mut Spent {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.into(), self.spent.len());
                self.spent.push(Spent::default());
                self.spent.len() - 1
            }
        };
        &mut self.spent[place]
    }

    fn spenders(&self, is_api_key: bool) -> impl Iterator<Item = Spender> {
        self.places.iter().map(move |(name, place)| {
            let Spent { net, reruns } = self.spent[*place];
            Spender { name: name.clone(), is_api_key, net, reruns }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TaskState::{Cancelled, Failed, Queued, Succeeded};

    fn whole(credits: i64) -> Credits {
        Credits::from_whole(credits)
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap()
    }

    /// A launch of `image-to-3d (high)` at 30 credits by Ada, of an asset of which nobody knows the project.
    fn launch(hour: i64, asset: u8) -> SpentTask<'static> {
        SpentTask {
            task_type: "image-to-3d",
            quality: "high",
            state: Succeeded,
            variants: Some(4),
            charged: whole(30),
            refunded: Credits::ZERO,
            created_at: at(hour),
            was_started: true,
            is_sum: false,
            is_step: false,
            retry: None,
            is_attempt: true,
            who: Some(Who::Member("ada")),
            project: None,
            fingerprint: Some([asset; 16]),
        }
    }

    fn tally(tasks: &[SpentTask]) -> Drivers {
        let mut tally = Tally::default();
        tasks.iter().for_each(|task| tally.add(task));
        tally.finish()
    }

    #[test]
    fn launches_are_added_up_by_kind_by_whom_and_by_asset() {
        let rerun = |hour, asset| SpentTask { retry: Some(RetryKind::Rerun), ..launch(hour, asset) };
        let failed = |hour| SpentTask {
            state: Failed,
            refunded: whole(30),
            retry: Some(RetryKind::Resubmission),
            ..launch(hour, 2)
        };
        let refine = SpentTask {
            task_type: "refine",
            quality: "",
            charged: whole(10),
            is_step: true,
            is_attempt: false,
            variants: None,
            who: Some(Who::ApiKey("farm")),
            project: Some("harbor"),
            ..launch(9, 1)
        };
        let sum = SpentTask {
            is_sum: true,
            is_attempt: false,
            who: None,
            fingerprint: None,
            task_type: "day",
            charged: whole(500),
            ..launch(10, 0)
        };
        let found = tally(&[launch(1, 1), rerun(2, 1), rerun(3, 1), launch(4, 2), failed(5), refine, sum]);

        let totals: Vec<_> = found
            .totals
            .iter()
            .map(|row| (row.task_type.as_str(), row.charged, row.refunded, row.finished, row.failed, row.attempts))
            .collect();
        assert_eq!(
            totals,
            [
                ("day", whole(500), Credits::ZERO, 0, 0, 0),
                ("image-to-3d", whole(150), whole(30), 5, 1, 5),
                ("refine", whole(10), Credits::ZERO, 1, 0, 0),
            ]
        );
        let retries: Vec<_> = found.retries.iter().map(|row| (row.kind, row.tasks, row.credits)).collect();
        assert_eq!(retries, [(RetryKind::Rerun, 2, whole(60)), (RetryKind::Resubmission, 1, whole(30))]);
        let spenders: Vec<_> =
            found.spenders.iter().map(|s| (s.name.as_str(), s.is_api_key, s.net, s.reruns)).collect();
        assert_eq!(spenders, [("ada", false, whole(120), whole(60)), ("farm", true, whole(10), Credits::ZERO)]);
        let barrel = AssetUse {
            attempts: 3,
            reruns: 2,
            net: whole(100),
            rerun_credits: whole(60),
            last_at: at(3),
            task_type: "image-to-3d".into(),
            quality: "high".into(),
            project: Some("harbor".into()),
        };
        assert_eq!(found.assets[0], barrel, "a step adds its cost and is no attempt");
        assert_eq!((found.assets.len(), found.assets[1].net), (2, whole(30)));
        assert_eq!(found.most_repeated, Some(barrel));
        let prices: Vec<_> =
            found.prices.iter().map(|p| (p.task_type.as_str(), p.variants, p.credits, p.tasks)).collect();
        assert_eq!(prices, [("image-to-3d", Some(4), whole(30), 4), ("refine", None, whole(10), 1)]);
    }

    #[test]
    fn what_a_platform_gives_back_for_tasks_that_wait_is_seen() {
        let cancelled = |was_started, refunded| SpentTask {
            state: Cancelled,
            was_started,
            refunded: whole(refunded),
            ..launch(1, 1)
        };
        for (tasks, expected) in [
            (vec![launch(1, 1), SpentTask { state: Queued, ..launch(2, 1) }], (0, 0)),
            (vec![cancelled(false, 30), cancelled(true, 0)], (1, 1)),
            (vec![cancelled(false, 30), cancelled(false, 0)], (2, 1)),
        ] {
            let found = tally(&tasks);
            assert_eq!((found.cancelled, found.cancelled_and_refunded), expected);
        }
    }

    #[test]
    fn the_largest_are_listed_and_equals_in_an_order_of_their_own() {
        let tasks: Vec<SpentTask> = (0..40).map(|asset| launch(i64::from(asset % 4), asset)).collect();
        let found = tally(&tasks);
        assert_eq!(found.assets.len(), MOST_LISTED);
        assert!(found.assets.iter().all(|asset| asset.last_at == at(3)), "the latest of equals: {:?}", found.assets);
        let mut backwards = tasks.clone();
        backwards.reverse();
        assert_eq!(tally(&backwards).assets, found.assets);
        assert_eq!((found.most_repeated, found.spenders.len()), (None, 1));
        assert_eq!(tally(&[]), Drivers::default());
    }
}
