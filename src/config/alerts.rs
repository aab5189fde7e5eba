//! The section `alerts`.

use std::time::Duration;

use jiff::SignedDuration;

use super::quiet::{self, QuietFile};
use super::reports::{self, DigestFile};
use super::rules::{self, RuleFiles};
use super::section::{Text, section};
use super::values::{self, Context};
use super::{AlertsConfig, Role, Routes};
use crate::domain::Stage;

section! {
    /// The rules and their recipients; all of it may be left out.
    struct AlertsFile {
        /// Data that is out of date.
        stale_data: rules::StaleDataFile,
        /// Credits that will run out before the plan resets.
        exhaustion: rules::ExhaustionFile,
        /// Little is left.
        low_balance: rules::LowBalanceFile,
        /// Much more than on a usual day.
        unusual_spend: rules::UnusualSpendFile,
        /// Many re-runs.
        wasteful_retries: rules::WastefulRetriesFile,
        /// A queue that stands still.
        stuck_queue: rules::StuckQueueFile,
        /// A failed task whose credits have not come back.
        missing_refund: rules::MissingRefundFile,
        /// A task that was charged for twice.
        double_charge: rules::DoubleChargeFile,
        /// A balance that fell by more than the charges say.
        unexplained_spend: rules::UnexplainedSpendFile,
        /// Prices that are not the listed ones.
        price_drift: rules::PriceDriftFile,
        /// Plan credits that will lapse unused.
        credits_will_lapse: rules::CreditsWillLapseFile,
        /// A plan that was reset.
        plan_reset: rules::PlanResetFile,
        /// Who hears of what, where neither the rule nor the team says so.
        to: StagesFile,
        /// How often a still-true alert is told again. Default: `24h`.
        repeat_interval: Text,
        /// When people do not want to be written to. Default: never.
        quiet_hours: Vec<QuietFile>,
        /// A summary for each team. Default: none.
        digest: DigestFile,
    }
}

section! {
    /// Which roles hear of which stage. An empty list: nobody does.
    struct StagesFile {
        /// Default: `[lead]`.
        info: Vec<Text>,
        /// Default: `[lead]`.
        warning: Vec<Text>,
        /// Default: `[lead, billing]`.
        critical: Vec<Text>,
    }
}

section! {
    /// As the stages of all rules, for a rule that says nothing for information.
    struct ActStagesFile {
        /// Default: as `alerts.to` says.
        warning: Vec<Text>,
        /// Default: as `alerts.to` says.
        critical: Vec<Text>,
    }
}

const REPEAT_INTERVAL: SignedDuration = SignedDuration::from_hours(24);
const LEAD: &[Role] = &[Role::Lead];
const CRITICAL: &[Role] = &[Role::Lead, Role::Billing];

/// Checks the section. What is wrong has been noted, and the default stands in for it.
pub(super) fn check(file: Option<&AlertsFile>, has_email: bool, context: &mut Context) -> AlertsConfig {
    let files = RuleFiles {
        stale_data: file.and_then(|file| file.stale_data.as_ref()),
        exhaustion: file.and_then(|file| file.exhaustion.as_ref()),
        low_balance: file.and_then(|file| file.low_balance.as_ref()),
        unusual_spend: file.and_then(|file| file.unusual_spend.as_ref()),
        wasteful_retries: file.and_then(|file| file.wasteful_retries.as_ref()),
        stuck_queue: file.and_then(|file| file.stuck_queue.as_ref()),
        missing_refund: file.and_then(|file| file.missing_refund.as_ref()),
        double_charge: file.and_then(|file| file.double_charge.as_ref()),
        unexplained_spend: file.and_then(|file| file.unexplained_spend.as_ref()),
        price_drift: file.and_then(|file| file.price_drift.as_ref()),
        credits_will_lapse: file.and_then(|file| file.credits_will_lapse.as_ref()),
        plan_reset: file.and_then(|file| file.plan_reset.as_ref()),
    };
    let mut to =
        vec![(Stage::Info, LEAD.to_vec()), (Stage::Warning, LEAD.to_vec()), (Stage::Critical, CRITICAL.to_vec())];
    if let Some(written) = file.and_then(|file| file.to.as_ref()) {
        for (stage, roles) in routes(written.listed(), context) {
            to.iter_mut().filter(|(known, _)| *known == stage).for_each(|known| known.1.clone_from(&roles));
        }
    }
    AlertsConfig {
        rules: rules::check(&files, context),
        to,
        to_of_rules: rules::routes_of_rules(&files, context),
        repeat_interval: file
            .and_then(|file| length(file.repeat_interval.as_ref(), Duration::from_secs(60), context))
            .unwrap_or(REPEAT_INTERVAL),
        quiet_hours: quiet::check(file.and_then(|file| file.quiet_hours.as_deref()), context),
        digest: file
            .and_then(|file| file.digest.as_ref())
            .and_then(|digest| reports::check_digest(digest, has_email, context)),
    }
}

/// A length of time, if one is written.
pub(super) fn length(text: Option<&Text>, least: Duration, context: &mut Context) -> Option<SignedDuration> {
    let duration = values::duration(text?, least, context)?;
    // At most ten years, which fits.
    SignedDuration::try_from(duration).ok()
}

/// Stages and the roles that are written for each.
pub(super) type WrittenRoutes<'a> = Vec<(Stage, &'a [Text])>;

impl StagesFile {
    /// The stages that are written.
    pub(super) fn listed(&self) -> WrittenRoutes<'_> {
        written([(Stage::Info, &self.info), (Stage::Warning, &self.warning), (Stage::Critical, &self.critical)])
    }
}

impl ActStagesFile {
    /// The stages that are written.
    pub(super) fn listed(&self) -> WrittenRoutes<'_> {
        written([(Stage::Warning, &self.warning), (Stage::Critical, &self.critical)])
    }
}

fn written<const N: usize>(stages: [(Stage, &Option<Vec<Text>>); N]) -> WrittenRoutes<'_> {
    stages.into_iter().filter_map(|(stage, texts)| Some((stage, texts.as_deref()?))).collect()
}

/// The stages that are written, with the roles that hear of each.
pub(super) fn routes(written: WrittenRoutes<'_>, context: &mut Context) -> Routes {
    written.into_iter().map(|(stage, texts)| (stage, roles(texts, context))).collect()
}

/// Roles, each at most once.
pub(super) fn roles(written: &[Text], context: &mut Context) -> Vec<Role> {
    let words = Role::ALL.map(|role| (role.as_str(), role));
    let mut roles = Vec::new();
    for text in written {
        let Some(role) = values::word(text, &words, context) else { continue };
        if roles.contains(&role) {
            context.mistakes.add(&text.place, format!("`{}` is listed twice", role.as_str()));
        }
        roles.push(role);
    }
    roles
}
