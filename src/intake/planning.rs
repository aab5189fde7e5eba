//! What a job would cost and do: asked with a token by scripts, and without one by whoever reads the page.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Intake;
use super::door::{TokenDoor, TokenGuest, draw_of, draws_of};
use crate::domain::TeamName;
use crate::http::door::{Errand, Job, PlanTold, Refusal};
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

impl Intake {
    async fn plan(
        &self,
        turns: &Arc<Semaphore>,
        account: &Arc<Account>,
        team: &TeamName,
        job: Job,
    ) -> Result<PlanTold, Refusal> {
        let turn = tokio::time::timeout(LONGEST_WAIT, Arc::clone(turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)?;
        let (intake, account, team, runtime) =
            (self.clone(), Arc::clone(account), team.clone(), tokio::runtime::Handle::current());
        // The arithmetic takes its time: other requests should not wait for it. The turn is over when it is, even if nobody
        // waits for the answer any more.
        let told = tokio::task::spawn_blocking(move || {
            let told = runtime.block_on(intake.told(&account, &team, job));
            drop(turn);
            told
        });
        told.await.map_err(|_| Refusal::Unavailable)?
    }

    async fn told(&self, account: &Account, team: &TeamName, job: Job) -> Result<PlanTold, Refusal> {
        let now = self.clock.now();
        let planned = self.assessor.plan(account, team, &job.lines, now).await.map_err(|error| {
            self.store_failed(account, Errand::Estimate.as_str(), &error);
            Refusal::Unavailable
        })?;
        let unknown = || Refusal::NotFound(format!("team `{team}` does not draw on `{}`", account.config.name));
        let planned = planned.ok_or_else(unknown)?;
        Ok(PlanTold {
            draw: Box::new(planned.draw),
            lines: job.lines,
            check: planned.check,
            prices: account.config.prices.clone(),
            zone: account.config.zone.clone(),
            now,
        })
    }
}
