//! Estimates that somebody keeps: followed from one assessment to the next, closed when they end, and reckoned with while
//! they are a plan.

use jiff::{SignedDuration, Timestamp};

use super::announced::priced;
use super::{Assessor, Planned};
use crate::domain::recorded::{MOST_OPEN, SHOWN_CLOSED};
use crate::domain::{
    AccountAssessment, AccountName, ChargeSource, Collector, Credits, DrawAssessment, DrawKey, EstimateAccuracy,
    EstimateState, Followed, FormError, PastTask, PlannedBatch, RecordForm, RecordedEstimate, RecordedLine,
    UnknownCost, recorded,
};
use crate::poller::Account;
use crate::store::{AccountFacts, StoreError};

/// Why an estimate was not kept, or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It does not say what can be meant.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Nothing can be compared with a cost that nobody knows.
    #[error("an unknown cost cannot be recorded: {0}")]
    Unknown(UnknownCost),
    /// No single launch is ever told.
    #[error(
        "the charges of account `{0}` are worked out from its balance, so that nobody knows which are of this job; \
         expected an account whose charges are listed\nhint: plan it with `fuelgauge announce add --credits`"
    )]
    NotListed(AccountName),
    /// It is closed.
    #[error("estimate `{id}` is {state}; expected an open one\nhint: record it anew")]
    Closed {
        /// Its number.
        id: i64,
        /// Its state.
        state: &'static str,
    },
    /// The team has a great many already.
    #[error("the team has {MOST_OPEN} open estimates already; expected fewer\nhint: withdraw one")]
    TooMany,
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a draw's assessment knows of its estimates.
#[derive(Clone, Debug, Default)]
pub struct KnownEstimates {
    /// The open ones in the order in which they were kept.
    pub open: Vec<Followed>,
    /// The newest closed ones, the newest first.
    pub closed: Vec<RecordedEstimate>,
}

impl KnownEstimates {
    /// The open ones, and then the closed ones.
    pub(super) fn shown(&self) -> Vec<RecordedEstimate> {
        self.open.iter().map(|open| &open.estimate).chain(&self.closed).cloned().collect()
    }

    /// What forecasts reckon with. What waits to be charged is taken off by itself, at the usual price of `past` tasks.
    pub(super) fn batches(&self, past: &[PastTask], now: Timestamp) -> Vec<PlannedBatch> {
        let batches = |open: &Followed| open.estimate.batches(now, priced(&open.waiting, past).credits);
        self.open.iter().flat_map(batches).collect()
    }
}

impl Assessor {
    /// Keeps an estimate that was made as of `now`. The next assessment follows it, and reckons with it if it is planned.
    ///
    /// # Errors
    /// Its cost is unknown, it can never be compared, the form does not say what can be meant, there are too many, or the
    /// ledger cannot be written.
    pub async fn record_estimate(
        &self,
        account: &Account,
        planned: &Planned,
        form: &RecordForm,
        by: &str,
        now: Timestamp,
    ) -> Result<RecordedEstimate, RecordError> {
        if account.charge_source() == ChargeSource::Balance {
            return Err(RecordError::NotListed(account.config.name.clone()));
        }
        let estimate = &planned.check.estimate;
        if let Some(unknown) = estimate.unknown() {
            return Err(RecordError::Unknown(unknown.clone()));
        }
        let nothing = || RecordError::Unknown(UnknownCost::NothingAsked { variants: 0, count: 0 });
        let (total, recorded) = estimate.total.as_ref().zip(RecordedLine::of(estimate)).ok_or_else(nothing)?;
        let jobs = planned.check.jobs.clone();
        let (first, last) = jobs.first().zip(jobs.last()).map(|(first, last)| (first.0, last.0)).ok_or_else(nothing)?;
        let (label, lapses_at) = form.check(last, now)?;
        let new = RecordedEstimate {
            id: 0,
            key: planned.draw.key.clone(),
            label,
            by: by.to_owned(),
            made_at: now,
            starts_at: first,
            lapses_at,
            lines: recorded,
            jobs,
            credits: total.credits,
            launches: total.launches,
            is_planned: form.is_planned,
            state: EstimateState::Open,
            ends: None,
            charged: Credits::ZERO,
            tasks: 0,
            assets: 0,
        };
        self.store.record_estimate(&new).await?.ok_or(RecordError::TooMany)
    }

    /// Accepts an open estimate of an account as a plan; one that is accepted already stays as it is. `None` if the account
    /// has none of that number.
    ///
    /// # Errors
    /// It is closed, or the ledger cannot be written.
    pub async fn accept_estimate(
        &self,
        account: &AccountName,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<RecordedEstimate>, RecordError> {
        let Some(found) = self.estimate(account, id).await? else { return Ok(None) };
        if found.state != EstimateState::Open {
            return Err(RecordError::Closed { id, state: found.state.as_str() });
        }
        self.store.accept_estimate(account, id, by, now).await?;
        Ok(self.estimate(account, id).await?)
    }

    /// Takes an open estimate of an account back: nothing is compared with it, what it covered counts for others, and no
    /// forecast reckons with it. A closed one stays as it is. `None` if the account has none of that number.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn withdraw_estimate(
        &self,
        account: &AccountName,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<RecordedEstimate>, StoreError> {
        let Some(mut found) = self.estimate(account, id).await? else { return Ok(None) };
        if found.state == EstimateState::Open {
            found.state = EstimateState::Withdrawn { at: now, by: by.to_owned() };
            // What it covered counts for others.
            self.store.close_estimates(account, &[(found, Vec::new())]).await?;
        }
        self.estimate(account, id).await
    }

    /// Every estimate that was ever kept of a draw, in that order, the open ones with what they cover so far.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn all_estimates(&self, key: &DrawKey) -> Result<Vec<RecordedEstimate>, StoreError> {
        let mut all = self.store.estimates(&key.account).await?;
        all.retain(|estimate| estimate.key == *key);
        // Nothing is asked of how they end.
        let followed = self.follow(key, &all, Timestamp::MIN, Timestamp::MAX).await?;
        for open in followed {
            if let Some(known) = all.iter_mut().find(|known| known.id == open.estimate.id) {
                *known = open.estimate;
            }
        }
        Ok(all)
    }

    async fn estimate(&self, account: &AccountName, id: i64) -> Result<Option<RecordedEstimate>, StoreError> {
        let found = self.store.estimates(account).await?.into_iter().find(|estimate| estimate.id == id);
        let Some(found) = found else { return Ok(None) };
        Ok(self.all_estimates(&found.key).await?.into_iter().find(|estimate| estimate.id == id))
    }

    /// What an assessment at `now` knows of a draw's estimates. Without any, which is usual, nothing is read.
    pub(super) async fn known_estimates(
        &self,
        key: &DrawKey,
        facts: &AccountFacts,
        now: Timestamp,
    ) -> Result<KnownEstimates, StoreError> {
        let team = facts.teams.get(&Some(key.team.clone()));
        if team.is_none_or(|team| team.open_estimates == 0 && team.accuracy == EstimateAccuracy::default()) {
            return Ok(KnownEstimates::default());
        }
        let known = self.store.estimates_of(&key.account, &key.team).await?;
        // What was launched since charges were last read is not known yet, and nothing ends by what is not known.
        let status = facts.collectors.iter().find(|status| status.collector == Collector::Charges);
        let known_until = status.map_or(now, |status| status.last_success_at.unwrap_or(Timestamp::MIN).min(now));
        let open = self.follow(key, &known, known_until, now).await?;
        let mut closed: Vec<RecordedEstimate> =
            known.into_iter().filter(|estimate| estimate.state != EstimateState::Open).collect();
        closed.sort_by_key(|estimate| std::cmp::Reverse((estimate.state.closed_at(), estimate.id)));
        closed.truncate(SHOWN_CLOSED);
        Ok(KnownEstimates { open, closed })
    }

    /// The open ones among a draw's estimates, with what they cover of the launches up to a moment.
    async fn follow(
        &self,
        key: &DrawKey,
        estimates: &[RecordedEstimate],
        known_until: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Followed>, StoreError> {
        let open = || estimates.iter().filter(|estimate| estimate.state == EstimateState::Open);
        let from = open().map(|estimate| estimate.starts_at).min();
        let to = open().map(|estimate| estimate.lapses_at).max();
        let Some((from, to)) = from.zip(to) else { return Ok(Vec::new()) };
        let next = until.saturating_add(SignedDuration::from_millis(1)).unwrap_or(until);
        let launched = self.store.launched(&key.account, &key.team, from, to.min(next)).await?;
        Ok(recorded::follow(estimates, &launched, known_until))
    }

    /// Writes down which estimates have ended by what an assessment knows. Answers whether there are any; then it is to be
    /// made anew.
    pub(super) async fn close_estimates(
        &self,
        assessment: &AccountAssessment,
        facts: &AccountFacts,
    ) -> Result<bool, StoreError> {
        let mut closed: Vec<(RecordedEstimate, Vec<String>)> = Vec::new();
        let has_ended = |draw: &&DrawAssessment| draw.estimates.iter().any(|estimate| estimate.ends.is_some());
        for draw in assessment.draws.iter().filter(has_ended) {
            let known = self.known_estimates(&draw.key, facts, assessment.at).await?;
            closed.extend(known.open.into_iter().filter_map(|Followed { mut estimate, covered, .. }| {
                estimate.state = estimate.ends.take()?;
                Some((estimate, covered))
            }));
        }
        if closed.is_empty() {
            return Ok(false);
        }
        self.store.close_estimates(&assessment.account, &closed).await?;
        for (estimate, _) in &closed {
            let outcome = estimate.outcome().map_or("", |outcome| outcome.as_str());
            tracing::info!(
                account = %estimate.key.account, team = %estimate.key.team, id = estimate.id, outcome,
                "estimate {} of team `{}` is {}: {} credits of about {}",
                estimate.id, estimate.key.team, estimate.state.as_str(), estimate.charged, estimate.credits.p50
            );
        }
        Ok(true)
    }
}
