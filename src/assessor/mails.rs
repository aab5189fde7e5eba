//! Who hears of a notice, and the mails and messages that tell them.

use lettre::message::Mailbox;

use super::announced::WAITS_FOR;
use super::tanks::Tanks;
use super::{AssessError, Assessor, KnownOfDraw};
use crate::domain::remedy::{Question, emptier_queue, fewer_reruns, remedies};
use crate::domain::{AccountAssessment, DrawAssessment, Drivers, Notice, Remedy, RenderedMail, RuleName, Why};
use crate::notify::{self, Evidence, MessageContext};
use crate::poller::Account;
use crate::store::{AccountFacts, StoreError};

/// What every mail has in common.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The sender.
    pub from: Mailbox,
    /// Where people reach the page.
    pub external_url: Option<String>,
}

impl Assessor {
    /// The mails and messages of what was decided of an account, each notice with its own.
    pub(super) async fn write_all(
        &self,
        account: &Account,
        facts: &AccountFacts,
        notices: Vec<Notice>,
        assessment: &AccountAssessment,
    ) -> Result<Vec<(Notice, Vec<RenderedMail>)>, AssessError> {
        let mut written = Vec::with_capacity(notices.len());
        for notice in &notices {
            let mut messages = self.write_mails((account, facts), notice, &notices, assessment).await?;
            messages.extend(self.write_to_webhooks(notice, assessment));
            written.push((notice.clone(), messages));
        }
        Ok(written)
    }

    /// What each webhook is told of a notice, if it wants to hear of it.
    fn write_to_webhooks(&self, notice: &Notice, assessment: &AccountAssessment) -> Vec<RenderedMail> {
        let Some(draw) = assessment.draws.iter().find(|draw| draw.key == notice.key) else { return Vec::new() };
        let url = self.external_url.as_deref();
        let write = |hook| notify::webhook::write(hook, notice, (assessment, draw), url);
        self.webhooks.iter().filter_map(write).collect()
    }

    /// The mails of a notice, one for each recipient; none without a relay.
    async fn write_mails(
        &self,
        (account, facts): (&Account, &AccountFacts),
        notice: &Notice,
        all: &[Notice],
        assessment: &AccountAssessment,
    ) -> Result<Vec<RenderedMail>, AssessError> {
        let Some(sender) = &self.sender else { return Ok(Vec::new()) };
        let draw = assessment.draws.iter().find(|draw| draw.key == notice.key);
        let team = self.teams.iter().find(|team| team.name == notice.key.team);
        let (Some(draw), Some(team)) = (draw, team) else { return Ok(Vec::new()) };
        let recipients = |notice: &Notice| team.mailboxes(self.alerts.roles_for(team, notice.rule, notice.stage));
        let told_of_reset: Vec<&Mailbox> =
            all.iter().filter(|other| tells_better(other, notice)).flat_map(recipients).collect();
        let recipients: Vec<&Mailbox> =
            recipients(notice).into_iter().filter(|to| !told_of_reset.contains(to)).collect();
        if recipients.is_empty() {
            return Ok(Vec::new());
        }
        let is_over = matches!(notice.why, Why::Resolved | Why::PlanReset);
        let (drivers, remedies, evidence) = if is_over {
            (None, Vec::new(), Evidence::default())
        } else {
            let key = &notice.key;
            let drivers = self.store.drivers(&key.account, Some(&key.team), notice.period_start, notice.at).await?;
            let remedies = match helping(notice.rule) {
                Some(helping) => self.remedies(account, facts, assessment, draw, &drivers, helping).await?,
                None => Vec::new(),
            };
            (Some(drivers), remedies, self.evidence(account, facts, notice, assessment, draw).await?)
        };
        let context = MessageContext {
            from: sender.from.clone(),
            zone: assessment.zone.clone(),
            external_url: sender.external_url.clone(),
            rules: self.alerts.rules.clone(),
            repeat_interval: self.alerts.repeat_interval,
            names_account: team.draws.len() > 1,
            drivers,
            remedies,
            evidence,
        };
        Ok(notify::render(notice, assessment, draw, &context, &recipients)?)
    }

    /// What would help a draw, the most helpful first.
    async fn remedies(
        &self,
        account: &Account,
        facts: &AccountFacts,
        assessment: &AccountAssessment,
        assessed: &DrawAssessment,
        drivers: &Drivers,
        helping: fn(&Question) -> Vec<Remedy>,
    ) -> Result<Vec<Remedy>, StoreError> {
        let place = account.draws.iter().position(|draw| draw.key == assessed.key);
        let (Some(place), Some(fuel), Some(period)) = (place, assessed.tank(), &assessed.period) else {
            return Ok(Vec::new());
        };
        let key = &assessed.key;
        let waiting = self.store.waiting(&key.account, &key.team, assessment.at - WAITS_FOR).await?;
        let (usages, of_all) = self.usages(account, facts, Some(period), assessment.at).await?;
        let known = KnownOfDraw {
            draw: &account.draws[place],
            facts,
            period: Some(period),
            usage: &usages[place],
            usage_of_all: of_all.as_ref(),
        };
        let tanks = Tanks::of(&known, assessment, &known.limits(assessment));
        Ok(helping(&Question {
            limits: &tanks.limits(),
            fuel,
            end: period.end,
            drivers,
            waiting: &waiting,
            platform: &assessment.platform,
        }))
    }
}

/// Whether another notice of the same moment tells its reader all that this one would: a plan's reset ends several alerts at
/// once, and one mail about it is enough. The summary of the period says most, then the rule that comes first.
fn tells_better(other: &Notice, notice: &Notice) -> bool {
    if notice.why != Why::PlanReset || other.key != notice.key || other.rule == notice.rule {
        return false;
    }
    match other.why {
        Why::Opened => other.rule == RuleName::PlanReset,
        Why::PlanReset => other.rule < notice.rule,
        _ => false,
    }
}

/// What helps against what a rule tells of; `None` where that is no matter of credits.
fn helping(rule: RuleName) -> Option<fn(&Question) -> Vec<Remedy>> {
    match rule {
        RuleName::Exhaustion | RuleName::LowBalance => Some(remedies),
        RuleName::WastefulRetries => Some(fewer_reruns),
        RuleName::StuckQueue => Some(|question| emptier_queue(question).into_iter().collect()),
        _ => None,
    }
}
