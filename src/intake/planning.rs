//! What a job would cost and do: asked with a token by scripts, and without one by whoever reads the
//! page. With a token the estimate is kept, as a plan or to be compared.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Intake;
use super::door::{TokenDoor, TokenGuest, draw_of, draws_of};
use crate::assessor::{Planned, RecordError};
use crate::domain::{PlannedLine, RecordForm, RecordedEstimate, TeamName};
use crate::http::door::{Errand, Job, KeptChange, PlanTold, Refusal};
use crate::poller::Account;

/// So many are answered at once, of readers of the page and of tokens each: an answer is a look at the ledger and much
/// arithmetic, which polls and scrapes should not wait for.
const AT_ONCE: usize = 2;
/// So long somebody waits for their turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Whose turn it is to be answered.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    readers: Arc<Semaphore>,
    guests: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns { readers: Arc::new(Semaphore::new(AT_ONCE)), guests: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// A turn, which lasts as long as the permit.
async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    let turn = tokio::time::timeout(LONGEST_WAIT, Arc::clone(turns).acquire_owned()).await;
    turn.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)
}

impl TokenGuest {
    /// The answer for a team that the token is for.
    pub(super) async fn estimate(&self, job: Job) -> Result<PlanTold, Refusal> {
        let draws = self.draws_of(&job.team)?;
        let (account, draw) = draw_of(&draws, job.account.as_deref())?;
        self.intake.plan(&self.intake.turns.guests, account, &draw.key.team, job).await
    }
}

impl TokenDoor {
    /// The answer for a reader of the page.
    pub(super) async fn estimate(intake: Intake, accounts: Vec<Arc<Account>>, job: Job) -> Result<PlanTold, Refusal> {
        let draws = draws_of(&accounts, &job.team)?;
        let (account, draw) = draw_of(&draws, job.account.as_deref())?;
        intake.plan(&intake.turns.readers, account, &draw.key.team, job).await
    }
}

impl TokenGuest {
    /// Keeps the estimate of a job, and assesses its account: forecasts reckon with a plan at once.
    pub(super) async fn keep_estimate(&self, job: Job, form: &RecordForm) -> Result<RecordedEstimate, Refusal> {
        let draws = self.draws_of(&job.team)?;
        let (account, draw) = draw_of(&draws, job.account.as_deref())?;
        let turns = &self.intake.turns.guests;
        let (planned, _, now) = self.intake.planned(turns, account, &draw.key.team, job).await?;
        let assessor = &self.intake.assessor;
        let kept = assessor.record_estimate(account, &planned, form, &self.name, now).await;
        let kept = kept.map_err(|error| self.not_kept(account, error))?;
        self.told_kept(account, &kept).await;
        Ok(kept)
    }

    /// Changes a kept estimate, and assesses its account.
    pub(super) async fn change_estimate(
        &self,
        team: &str,
        id: i64,
        change: KeptChange,
    ) -> Result<RecordedEstimate, Refusal> {
        let now = self.intake.clock.now();
        for (account, draw) in self.draws_of(team)? {
            let known = self.intake.assessor.all_estimates(&draw.key).await;
            let known = known.map_err(|error| self.not_kept(account, error.into()))?;
            if !known.iter().any(|estimate| estimate.id == id) {
                continue;
            }
            let (assessor, name) = (&self.intake.assessor, &account.config.name);
            let changed = match change {
                KeptChange::Accept => assessor.accept_estimate(name, id, &self.name, now).await,
                KeptChange::Withdraw => {
                    assessor.withdraw_estimate(name, id, &self.name, now).await.map_err(RecordError::from)
                }
            };
            if let Some(estimate) = changed.map_err(|error| self.not_kept(account, error))? {
                self.told_kept(account, &estimate).await;
                return Ok(estimate);
            }
        }
        Err(Refusal::NotFound(format!("the team `{team}` has no estimate `{id}`")))
    }

    async fn told_kept(&self, account: &Account, estimate: &RecordedEstimate) {
        tracing::info!(
            account = %account.config.name, team = %estimate.key.team, token = self.name, id = estimate.id,
            planned = estimate.is_planned, state = estimate.state.as_str(), "estimate {} of team `{}`: {}", estimate.id,
            estimate.key.team, estimate.in_words()
        );
        self.intake.assess(account).await;
    }

    fn not_kept(&self, account: &Account, error: RecordError) -> Refusal {
        match error {
            RecordError::Form(error) => Refusal::mistake(error.field, error.message),
            RecordError::Store(error) => {
                self.intake.store_failed(account, Errand::Estimate.as_str(), &error);
                Refusal::Unavailable
            }
            other => Refusal::Conflict(other.to_string()),
        }
    }
}

impl Intake {
    async fn plan(
        &self,
        turns: &Arc<Semaphore>,
        account: &Arc<Account>,
        team: &TeamName,
        job: Job,
    ) -> Result<PlanTold, Refusal> {
        let (planned, lines, now) = self.planned(turns, account, team, job).await?;
        Ok(PlanTold {
            draw: Box::new(planned.draw),
            lines,
            check: planned.check,
            prices: account.config.prices.clone(),
            zone: account.config.zone.clone(),
            now,
        })
    }

    /// The answer for the lines of a job, which are given back, and its moment.
    async fn planned(
        &self,
        turns: &Arc<Semaphore>,
        account: &Arc<Account>,
        team: &TeamName,
        job: Job,
    ) -> Result<(Planned, Vec<PlannedLine>, Timestamp), Refusal> {
        let turn = turn(turns).await?;
        let now = self.clock.now();
        let (assessor, asked, team_asked) = (Arc::clone(&self.assessor), Arc::clone(account), team.clone());
        let Job { lines, risk, .. } = job;
        let runtime = tokio::runtime::Handle::current();
        // The arithmetic takes its time: other requests should not wait for it. The turn is over when it is, even if nobody
        // waits for the answer any more.
        let planned = tokio::task::spawn_blocking(move || {
            let planned = runtime.block_on(assessor.plan_beside(&asked, &team_asked, &lines, &[], risk, now));
            drop(turn);
            (planned, lines)
        });
        let (planned, lines) = planned.await.map_err(|_| Refusal::Unavailable)?;
        let planned = planned.map_err(|error| {
            self.store_failed(account, Errand::Estimate.as_str(), &error);
            Refusal::Unavailable
        })?;
        let unknown = || Refusal::NotFound(format!("team `{team}` does not draw on `{}`", account.config.name));
        Ok((planned.ok_or_else(unknown)?, lines, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_is_told_so_and_readers_do_not_wait_for_scripts() {
        let turns = Turns::new();
        let held = [turn(&turns.guests).await.unwrap(), turn(&turns.guests).await.unwrap()];
        assert_eq!(turn(&turns.guests).await.err(), Some(Refusal::Busy));
        assert!(turn(&turns.readers).await.is_ok());
        let (next, ()) = tokio::join!(turn(&turns.guests), async { drop(held) });
        assert!(next.is_ok(), "a turn that ends is the next one's");
    }
}
