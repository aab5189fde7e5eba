//! Who hears of a notice, and the mails that tell them.

use lettre::message::Mailbox;

use super::{AssessError, Assessor};
use crate::domain::{AccountAssessment, Notice, RenderedMail, RuleName, Why};
use crate::notify::{self, Drivers, MessageContext};

/// What every mail has in common.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The sender.
    pub from: Mailbox,
    /// Where people reach the page.
    pub external_url: Option<String>,
}

impl Assessor {
    /// The mails of what was decided of an account, each notice with its own.
    pub(super) async fn write_all(
        &self,
        notices: Vec<Notice>,
        assessment: &AccountAssessment,
    ) -> Result<Vec<(Notice, Vec<RenderedMail>)>, AssessError> {
        let mut written = Vec::with_capacity(notices.len());
        for notice in &notices {
            let mails = self.write_mails(notice, &notices, assessment).await?;
            written.push((notice.clone(), mails));
        }
        Ok(written)
    }

    /// The mails of a notice, one for each recipient; none without a relay.
    async fn write_mails(
        &self,
        notice: &Notice,
        all: &[Notice],
        assessment: &AccountAssessment,
    ) -> Result<Vec<RenderedMail>, AssessError> {
        let Some(sender) = &self.sender else { return Ok(Vec::new()) };
        let draw = assessment.draws.iter().find(|draw| draw.key == notice.key);
        let team = self.teams.iter().find(|team| team.name == notice.key.team);
        let (Some(draw), Some(team)) = (draw, team) else { return Ok(Vec::new()) };
        let key = &notice.key;
        let (totals, retries) =
            self.store.period_totals(&key.account, Some(&key.team), notice.period_start, notice.at).await?;
        let drivers = Drivers { totals, retries };
        let mut mails = Vec::new();
        let recipients = |notice: &Notice| team.mailboxes(self.alerts.roles_for(team, notice.rule, notice.stage));
        let told_of_reset: Vec<&Mailbox> =
            all.iter().filter(|other| tells_better(other, notice)).flat_map(recipients).collect();
        for to in recipients(notice).into_iter().filter(|to| !told_of_reset.contains(to)) {
            let context = MessageContext {
                from: sender.from.clone(),
                to: to.clone(),
                zone: assessment.zone.clone(),
                external_url: sender.external_url.clone(),
                policy: self.alerts.rules.exhaustion.policy.clone(),
                repeat_interval: self.alerts.repeat_interval,
                names_account: team.draws.len() > 1,
                drivers: Some(drivers.clone()),
            };
            mails.push(notify::render(notice, assessment, draw, &context)?);
        }
        Ok(mails)
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
