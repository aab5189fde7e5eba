//! The rules: questions asked of an assessment. Each answer is a [`Finding`].
//!
//! A rule looks at the assessment and nothing else. Each has a file of its own, with a page beside it that says to people
//! what it means and what to do; [`Rules`] has them all, with what the configuration sets.

use jiff::{SignedDuration, Timestamp};

use super::alert::{AlertPolicy, Level, Moved};
use super::assessment::{AccountAssessment, DrawAssessment};
use super::credits::Credits;

mod charges;
mod exhaustion;
mod lapse;
mod low_balance;
mod name;
mod plan_reset;
mod price_drift;
mod stale_data;
mod stuck_queue;
mod unusual_spend;
mod wasteful_retries;

pub use charges::{DoubleChargePolicy, MissingRefundPolicy, UnexplainedSpendPolicy};
pub use exhaustion::{CLEAR_BELOW, CLEAR_FOR_SHARE, ExhaustionPolicy, QUIET_SHARE, Sensitivity, share_of_period};
pub use lapse::CreditsWillLapsePolicy;
pub use low_balance::LowBalancePolicy;
pub use name::{Lifetime, RuleName};
pub use plan_reset::PlanResetPolicy;
pub use price_drift::{PriceDriftPolicy, TeamDrift};
pub use stale_data::{StaleDataPolicy, stalest};
pub use stuck_queue::{StuckQueuePolicy, is_full};
pub use unusual_spend::UnusualSpendPolicy;
pub use wasteful_retries::WastefulRetriesPolicy;

/// The answer of a rule at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The condition holds, this badly.
    Holds(Level),
    /// Neither true enough to begin an episode nor clear enough to end one. The level is what a running episode is at.
    Undecided(Level),
    /// The condition does not hold.
    Clear,
    /// Nothing can be said: neither fires nor resolves.
    Unknown,
}

/// A finding, with the number that its words turn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The answer.
    pub finding: Finding,
    /// The expected run-out date in milliseconds since the Unix epoch (exhaustion), credits in millionths (spend, retries,
    /// charges), or an age in seconds (data, queue). `None` where there is none, and for rules that are told once.
    pub figure: Option<i64>,
}

impl Seen {
    /// A rule that has nothing to go by.
    pub const UNKNOWN: Seen = Seen { finding: Finding::Unknown, figure: None };

    fn with_credits(finding: Finding, credits: Credits) -> Seen {
        Seen { finding, figure: Some(credits.micros()) }
    }

    fn with_age(finding: Finding, age: SignedDuration) -> Seen {
        Seen { finding, figure: Some(age.as_secs()) }
    }
}

/// A limit in credits, or as a share of what the draw's tank began the period with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A share, 0 to 1.
    Share(f64),
    /// Credits.
    Credits(Credits),
}

impl Threshold {
    /// In credits. `None` for a share of what is not known.
    pub fn of(self, capacity: Option<Credits>) -> Option<Credits> {
        match self {
            Threshold::Credits(credits) => Some(credits),
            Threshold::Share(share) => {
                let capacity = capacity.filter(|capacity| capacity.is_positive())?;
                Credits::from_statistic(capacity.as_f64() * share)
            }
        }
    }
}

/// One rule as it is set: whether it is asked, when its alert begins and ends, and its own limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<P> {
    /// Whether it is asked at all.
    pub is_enabled: bool,
    /// When its alert begins and ends.
    pub timing: Timing,
    /// Its own limits.
    pub policy: P,
}

/// When the alert of a rule begins and ends, and whether people hear of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the condition must hold without a break before the alert fires.
    pub hold_for: SignedDuration,
    /// How long it must be clear without a break before the alert resolves; `None`: a thirtieth of the plan period, a day of
    /// a month.
    pub keep_firing_for: Option<SignedDuration>,
    /// Whether people hear that the alert is over.
    pub sends_resolved: bool,
}

/// Every rule, as it is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What the others go by was not read recently.
    pub stale_data: Setting<StaleDataPolicy>,
    /// The credits will run out before the plan resets.
    pub exhaustion: Setting<ExhaustionPolicy>,
    /// Little is left.
    pub low_balance: Setting<LowBalancePolicy>,
    /// Much more was used in the last day than on any usual day.
    pub unusual_spend: Setting<UnusualSpendPolicy>,
    /// Re-runs take a large part of the credits, or one asset many attempts.
    pub wasteful_retries: Setting<WastefulRetriesPolicy>,
    /// The queue stands still, or is full.
    pub stuck_queue: Setting<StuckQueuePolicy>,
    /// A task failed and its credits have not come back.
    pub missing_refund: Setting<MissingRefundPolicy>,
    /// A task was charged for twice.
    pub double_charge: Setting<DoubleChargePolicy>,
    /// The balance fell by more than the charges say.
    pub unexplained_spend: Setting<UnexplainedSpendPolicy>,
    /// Tasks cost other than the price sheet lists.
    pub price_drift: Setting<PriceDriftPolicy>,
    /// Plan credits will lapse unused.
    pub credits_will_lapse: Setting<CreditsWillLapsePolicy>,
    /// The plan was reset.
    pub plan_reset: Setting<PlanResetPolicy>,
}

impl<P: Default + Rule> Default for Setting<P> {
    fn default() -> Setting<P> {
        Setting { is_enabled: true, timing: P::TIMING, policy: P::default() }
    }
}

/// What a rule is made of.
pub trait Rule {
    /// When its alert begins and ends where nobody says otherwise.
    const TIMING: Timing;

    /// The answer for one draw of an account.
    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen;
}

/// Does the same with the setting of whichever rule it is: each has a type of its own.
macro_rules! with_setting {
    ($rules:expr, $rule:expr, $setting:ident => $what:expr) => {
        with_setting!(@ $rules, $rule, $setting, $what, StaleData stale_data, Exhaustion exhaustion, LowBalance low_balance,
            UnusualSpend unusual_spend, WastefulRetries wasteful_retries, StuckQueue stuck_queue,
            MissingRefund missing_refund, DoubleCharge double_charge, UnexplainedSpend unexplained_spend,
            PriceDrift price_drift, CreditsWillLapse credits_will_lapse, PlanReset plan_reset)
    };
    (@ $rules:expr, $rule:expr, $setting:ident, $what:expr, $($name:ident $field:ident),*) => {
        match $rule {
            $(RuleName::$name => { let $setting = &$rules.$field; $what })*
        }
    };
}

impl Rules {
    /// The answer of a rule for one draw of an account; `None` if the rule is switched off.
    pub fn evaluate(&self, rule: RuleName, account: &AccountAssessment, draw: &DrawAssessment) -> Option<Seen> {
        with_setting!(self, rule, setting => setting.is_enabled.then(|| setting.policy.evaluate(account, draw)))
    }

    /// Whether a rule is asked at all.
    pub fn is_enabled(&self, rule: RuleName) -> bool {
        with_setting!(self, rule, setting => setting.is_enabled)
    }

    /// When the alert of a rule begins and ends.
    pub fn timing(&self, rule: RuleName) -> Timing {
        with_setting!(self, rule, setting => setting.timing)
    }

    /// The policy of a rule's alert in a plan period; without one, as in a month.
    pub fn alert_policy(
        &self,
        rule: RuleName,
        period: Option<(Timestamp, Timestamp)>,
        repeat_interval: SignedDuration,
    ) -> AlertPolicy {
        let timing = self.timing(rule);
        let length = period.map_or(SignedDuration::from_hours(30 * 24), |(start, end)| end.duration_since(start));
        let share = || SignedDuration::from_secs_f64(length.as_secs_f64() * CLEAR_FOR_SHARE);
        let tenth = || Moved::By(i64::try_from((length / 10).as_millis()).unwrap_or(i64::MAX));
        AlertPolicy {
            hold_for: timing.hold_for,
            keep_firing_for: timing.keep_firing_for.unwrap_or_else(share),
            repeat_interval,
            repeat_if_moved: rule.repeats_if_moved().unwrap_or_else(tenth),
            sends_resolved: timing.sends_resolved,
            sends_plan_reset: rule.lifetime() == Lifetime::PeriodTold,
        }
    }
}

#[cfg(test)]
mod tests;
