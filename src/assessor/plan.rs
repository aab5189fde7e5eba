//! What a job would cost and do, asked before it is launched.

use jiff::{SignedDuration, Timestamp};

use super::tanks::Tanks;
use super::{Assessor, KnownOfDraw};
use crate::domain::plan_check::{Question, USUAL_RISK};
use crate::domain::{DrawAssessment, JobAt, Past, PlanCheck, PlannedLine, QueueNow, TeamName};
use crate::poller::Account;
use crate::store::{LaunchedBy, StoreError};

/// How far back past tasks are looked at.
const KNOWN_FROM: SignedDuration = SignedDuration::from_hours(180 * 24);
/// How many of them, the newest first.
const MOST_TASKS: u32 = 20_000;
/// What other teams launched is looked at not so far back: it only helps out.
const OTHERS_FROM: SignedDuration = SignedDuration::from_hours(60 * 24);
const MOST_TASKS_OF_OTHERS: u32 = 5_000;
/// How long tasks waited and ran is known from this time.
const QUEUE_FROM: SignedDuration = SignedDuration::from_hours(24);
const MOST_TASKS_OF_QUEUE: u32 = 200;

/// The answer, and what it was made from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The draw as it stands.
    pub draw: DrawAssessment,
    /// The answer.
    pub check: PlanCheck,
}

impl Assessor {
    /// What a job of one draw would cost and do as of `now`. `None` if the account has no such draw.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn plan(
        &self,
        account: &Account,
        team: &TeamName,
        lines: &[PlannedLine],
        now: Timestamp,
    ) -> Result<Option<Planned>, StoreError> {
        self.plan_beside(account, team, lines, &[], USUAL_RISK, now).await
    }

    /// The same, where other teams launch these jobs on the same account, and the credits last if running out is less likely
    /// than `risk` (0 to 1).
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn plan_beside(
        &self,
        account: &Account,
        team: &TeamName,
        lines: &[PlannedLine],
        of_others: &[JobAt],
        risk: f64,
        now: Timestamp,
    ) -> Result<Option<Planned>, StoreError> {
        let (mut assessment, facts) = self.look(account, now).await?;
        let Some(place) = account.draws.iter().position(|draw| draw.key.team == *team) else { return Ok(None) };
        let name = &account.config.name;
        let own = self.store.launches(name, LaunchedBy::Team(team), now - KNOWN_FROM, MOST_TASKS).await?;
        let others =
            self.store.launches(name, LaunchedBy::OthersThan(team), now - OTHERS_FROM, MOST_TASKS_OF_OTHERS).await?;
        let queue = match assessment.queue.clone() {
            Some((record, _)) => {
                let durations = self.store.durations(name, now - QUEUE_FROM, MOST_TASKS_OF_QUEUE).await?;
                Some(QueueNow { record, usual_wait: durations.wait, usual_run: durations.run })
            }
            None => None,
        };
        let draw = assessment.draws.swap_remove(place);
        let period = draw.period.as_ref();
        let (usages, of_all) = self.usages(account, &facts, period, now).await?;
        let known = KnownOfDraw {
            draw: &account.draws[place],
            facts: &facts,
            period,
            usage: &usages[place],
            usage_of_all: of_all.as_ref(),
        };
        let tanks = Tanks::of(&known, &assessment, &known.limits(&assessment));
        let question = Question {
            past: Past { own: &own, others: &others, sheet: account.config.prices.as_deref() },
            lines,
            now,
            reset: period.map(|period| period.end),
            left: draw.fuel.as_ref().filter(|fuel| fuel.fresh).map(|fuel| fuel.left),
            weigh: &|jobs, top_up| tanks.effect(jobs, of_others, top_up),
            risk,
            queue,
            prices: assessment.prices.as_deref(),
            price_tolerance: self.alerts.rules.price_drift.policy.tolerance,
        };
        Ok(Some(Planned { check: question.check(), draw }))
    }
}
