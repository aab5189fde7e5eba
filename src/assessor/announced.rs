//! What leads announced and what waits to be charged, as a forecast takes it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Assessor;
use crate::domain::announcement::{batches, paces};
use crate::domain::{
    Announced, Announcement, AnnouncementForm, Credits, DrawKey, ForecastInput, FormError, MOST_STANDING, PastTask,
    PlannedBatch, Queued, StandingAnnouncement, TaskState, forecast, use_ahead,
};
use crate::poller::Account;
use crate::store::{AccountFacts, LaunchedBy, StoreError};

/// A task that has waited for longer is forgotten: the platform no longer says what became of it.
pub(super) const WAITS_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What a task will cost is known from others of its kind among a team's newest launches: so many, and none older.
const NEWEST_TASKS: u32 = 1000;
const KNOWN_FROM: SignedDuration = SignedDuration::from_hours(180 * 24);

/// Why an announcement was not kept.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// It does not say what can be meant.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The team has announced a great deal already.
    #[error("the team has {MOST_STANDING} announcements ahead or in force already; expected fewer\nhint: withdraw one")]
    TooMany,
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Assessor {
    /// Keeps what somebody announces for a draw as of `now`. The next assessment reckons with it.
    ///
    /// # Errors
    /// It does not say what can be meant, there are too many, or the ledger cannot be written.
    pub async fn announce(
        &self,
        account: &Account,
        key: &DrawKey,
        form: &AnnouncementForm,
        by: &str,
        now: Timestamp,
    ) -> Result<Announcement, AnnounceError> {
        let foreseen = form.check(&account.config.zone)?;
        foreseen.check_at(now)?;
        let announcement = Announcement {
            id: None,
            key: key.clone(),
            foreseen,
            note: form.note.clone().unwrap_or_default(),
            by: by.to_owned(),
            announced_at: Some(now),
            withdrawn: None,
        };
        self.store.announce(&announcement, now).await?.ok_or(AnnounceError::TooMany)
    }

    /// Everything ever announced of a draw: what the configuration says, and then what the ledger says in the order in which
    /// it was announced, what is over or withdrawn too.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn all_announced(&self, key: &DrawKey) -> Result<Vec<Announcement>, StoreError> {
        let kept = self.store.announcements(&key.account).await?;
        Ok(self.configured(key).cloned().chain(kept.into_iter().filter(|kept| kept.key == *key)).collect())
    }

    fn configured<'a>(&'a self, key: &'a DrawKey) -> impl Iterator<Item = &'a Announcement> {
        let all = self.teams.iter().flat_map(|team| &team.announcements);
        all.filter(move |announcement| announcement.key == *key)
    }

    /// Everything announced of a draw and not taken back: what the configuration says, and then what the ledger says.
    pub(super) fn announced(&self, key: &DrawKey, facts: &AccountFacts) -> Vec<Announcement> {
        let kept = facts.announcements.iter().filter(|announcement| announcement.key == *key);
        self.configured(key).chain(kept).cloned().collect()
    }

    /// Tasks of a draw that wait to be charged, with what they will cost, and the past tasks by which that is known; none
    /// where nothing waits.
    pub(super) async fn queued(
        &self,
        key: &DrawKey,
        facts: &AccountFacts,
        now: Timestamp,
    ) -> Result<(Queued, Vec<PastTask>), StoreError> {
        let known = facts.teams.get(&Some(key.team.clone()));
        if known.is_none_or(|team| !team.has_uncharged) {
            return Ok((Queued::default(), Vec::new()));
        }
        let waiting = self.store.uncharged(&key.account, &key.team, now - WAITS_FOR).await?;
        let own = LaunchedBy::Team(&key.team);
        let past = self.store.launches(&key.account, own, now - KNOWN_FROM, NEWEST_TASKS).await?;
        Ok((priced(&waiting, &past), past))
    }
}

/// Waiting tasks, by task type and quality, at the median cost of those that succeeded and cost anything.
pub(super) fn priced(waiting: &[(String, String, u64)], past: &[PastTask]) -> Queued {
    let mut costs: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    let is_told = |task: &&PastTask| task.state == TaskState::Succeeded && task.credits_net.is_positive();
    for task in past.iter().filter(is_told) {
        costs.entry((&task.task_type, &task.quality)).or_default().push(task.credits_net.micros());
    }
    costs.values_mut().for_each(|costs| costs.sort_unstable());
    let mut queued = Queued::default();
    for (task_type, quality, tasks) in waiting {
        let costs = costs.get(&(task_type.as_str(), quality.as_str()));
        match costs.and_then(|costs| costs.get((costs.len() - 1) / 2)) {
            Some(median) => {
                queued.tasks += tasks;
                let times = i64::try_from(*tasks).unwrap_or(i64::MAX);
                queued.credits += Credits::from_micros(median.saturating_mul(times));
            }
            None => queued.unknown_tasks += tasks,
        }
    }
    queued
}

/// What was announced of the present and the future, in the order in which it begins, each with how much more is expected
/// to be used because of it, beside all the others and what is planned.
pub(super) fn standing(
    input: &ForecastInput,
    announced: &[Announcement],
    planned: &[PlannedBatch],
) -> Vec<StandingAnnouncement> {
    let stands = |place: &usize| announced[*place].stands(input.now);
    let mut places: Vec<usize> = (0..announced.len()).filter(stands).collect();
    places.sort_by_key(|place| announced[*place].foreseen.begins());
    if places.is_empty() {
        return Vec::new();
    }
    let end = forecast(input).forecast().map(|forecast| input.period.map_or(forecast.horizon, |(_, end)| end));
    let expected = |announced: Announced| {
        let slices = use_ahead(&ForecastInput { announced, ..*input }, &[end?.max(input.now)]);
        slices.first().map(|slice| slice.p50)
    };
    let with_all = expected(input.announced);
    let effect_of = |place: usize| {
        let mut others = announced.to_vec();
        others.remove(place);
        let (paces, batches) = (paces(&others), [&batches(&others, input.now)[..], planned].concat());
        let without = expected(Announced { paces: &paces, batches: &batches, queued: input.announced.queued });
        with_all.zip(without).map(|(with, without)| with - without)
    };
    let standing =
        |place: usize| StandingAnnouncement { announcement: announced[place].clone(), effect: effect_of(place) };
    places.into_iter().map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_waits_costs_the_median_of_its_kind_or_nobody_knows() {
        let past = |task_type: &str, quality: &str, credits: i64, state| PastTask {
            task_type: task_type.into(),
            quality: quality.into(),
            credits_net: Credits::from_whole(credits),
            variants: None,
            fingerprint: None,
            is_step: false,
            state,
        };
        let history = [
            past("text-to-3d", "high", 30, TaskState::Succeeded),
            past("text-to-3d", "high", 10, TaskState::Succeeded),
            past("text-to-3d", "high", 20, TaskState::Succeeded),
            past("text-to-3d", "high", 900, TaskState::Failed),
            past("text-to-3d", "high", 0, TaskState::Succeeded),
            past("rig", "", 0, TaskState::Succeeded),
        ];
        let waiting = |task_type: &str, quality: &str, tasks| (task_type.to_owned(), quality.to_owned(), tasks);
        for (waiting, tasks, credits, unknown_tasks) in [
            (vec![], 0, 0, 0),
            (vec![waiting("text-to-3d", "high", 3)], 3, 60, 0),
            (vec![waiting("text-to-3d", "low", 2), waiting("text-to-3d", "high", 1)], 1, 20, 2),
            (vec![waiting("rig", "", 1)], 0, 0, 1),
        ] {
            let expected = Queued { tasks, credits: Credits::from_whole(credits), unknown_tasks, is_held: false };
            assert_eq!(priced(&waiting, &history), expected, "{waiting:?}");
        }
    }
}
