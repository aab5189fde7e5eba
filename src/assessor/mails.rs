//! Who hears of a notice, and the mails that tell them.

use lettre::message::Mailbox;

use super::{AssessError, Assessor};
use crate::domain::{AccountAssessment, Notice, RenderedMail};
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
    /// The mails of a notice, one for each recipient; none without a relay.
    pub(super) async fn write_mails(
        &self,
        notice: &Notice,
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
        for to in team.mailboxes(self.alerts.roles_for(team, notice.rule, notice.stage)) {
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
