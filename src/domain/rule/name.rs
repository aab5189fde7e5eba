//! The rules by name, and what is fixed about each.

use std::fmt;

use crate::domain::alert::{Moved, Stage};

/// The rules. Each asks one question of an assessment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleName {
    /// Was what the others go by read recently?
    StaleData,
    /// Will the credits run out before the plan resets?
    Exhaustion,
    /// Is little left?
    LowBalance,
    /// Was much more used in the last day than on any usual day?
    UnusualSpend,
    /// Do re-runs take a large part of the credits, or one asset many attempts?
    WastefulRetries,
    /// Does the queue stand still, or is it full?
    StuckQueue,
    /// Did a task fail whose credits have not come back?
    MissingRefund,
    /// Was a task charged for twice?
    DoubleCharge,
    /// Did the balance fall by more than the charges say?
    UnexplainedSpend,
    /// Do tasks cost other than the price sheet lists?
    PriceDrift,
    /// Will plan credits lapse unused at the reset?
    CreditsWillLapse,
    /// Has the plan been reset?
    PlanReset,
}

/// What becomes of a firing alert when a plan period ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It is about the period and ends with it; people hear so.
    PeriodTold,
    /// It is about the period and ends with it without a word.
    Period,
    /// It has nothing to do with the period, and goes on in the next one.
    Ongoing,
}

impl RuleName {
    /// Every rule. A rule comes after those that can mute it.
    pub const ALL: [RuleName; 12] = [
        RuleName::StaleData,
        RuleName::Exhaustion,
        RuleName::LowBalance,
        RuleName::UnusualSpend,
        RuleName::WastefulRetries,
        RuleName::StuckQueue,
        RuleName::MissingRefund,
        RuleName::DoubleCharge,
        RuleName::UnexplainedSpend,
        RuleName::PriceDrift,
        RuleName::CreditsWillLapse,
        RuleName::PlanReset,
    ];

    /// The word used in configuration, metrics (`alert`), mail, silences and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            RuleName::StaleData => "stale_data",
            RuleName::Exhaustion => "exhaustion",
            RuleName::LowBalance => "low_balance",
            RuleName::UnusualSpend => "unusual_spend",
            RuleName::WastefulRetries => "wasteful_retries",
            RuleName::StuckQueue => "stuck_queue",
            RuleName::MissingRefund => "missing_refund",
            RuleName::DoubleCharge => "double_charge",
            RuleName::UnexplainedSpend => "unexplained_spend",
            RuleName::PriceDrift => "price_drift",
            RuleName::CreditsWillLapse => "credits_will_lapse",
            RuleName::PlanReset => "plan_reset",
        }
    }

    /// As alerts are named in Prometheus's world (`alertname`): [`RuleName::as_str`] in letters of two sizes.
    pub const fn alert_name(self) -> &'static str {
        match self {
            RuleName::StaleData => "FuelgaugeStaleData",
            RuleName::Exhaustion => "FuelgaugeExhaustion",
            RuleName::LowBalance => "FuelgaugeLowBalance",
            RuleName::UnusualSpend => "FuelgaugeUnusualSpend",
            RuleName::WastefulRetries => "FuelgaugeWastefulRetries",
            RuleName::StuckQueue => "FuelgaugeStuckQueue",
            RuleName::MissingRefund => "FuelgaugeMissingRefund",
            RuleName::DoubleCharge => "FuelgaugeDoubleCharge",
            RuleName::UnexplainedSpend => "FuelgaugeUnexplainedSpend",
            RuleName::PriceDrift => "FuelgaugePriceDrift",
            RuleName::CreditsWillLapse => "FuelgaugeCreditsWillLapse",
            RuleName::PlanReset => "FuelgaugePlanReset",
        }
    }

    /// The rule of that name.
    pub fn of_alert_name(name: &str) -> Option<RuleName> {
        RuleName::ALL.into_iter().find(|rule| rule.alert_name() == name)
    }

    /// What it says of a team, in a few words.
    pub const fn in_words(self) -> &'static str {
        match self {
            RuleName::StaleData => "Data is out of date",
            RuleName::Exhaustion => "Runs out before the reset",
            RuleName::LowBalance => "Little is left",
            RuleName::UnusualSpend => "Unusual spend",
            RuleName::WastefulRetries => "Many re-runs",
            RuleName::StuckQueue => "Queue is stuck",
            RuleName::MissingRefund => "Failed, and not given back",
            RuleName::DoubleCharge => "Charged twice",
            RuleName::UnexplainedSpend => "Spend that no charge explains",
            RuleName::PriceDrift => "Other prices than listed",
            RuleName::CreditsWillLapse => "Credits will lapse unused",
            RuleName::PlanReset => "Plan was reset",
        }
    }

    /// The page that says to people what it means, when it ends and what to do: Markdown.
    pub const fn page(self) -> &'static str {
        match self {
            RuleName::StaleData => include_str!("stale_data.md"),
            RuleName::Exhaustion => include_str!("exhaustion.md"),
            RuleName::LowBalance => include_str!("low_balance.md"),
            RuleName::UnusualSpend => include_str!("unusual_spend.md"),
            RuleName::WastefulRetries => include_str!("wasteful_retries.md"),
            RuleName::StuckQueue => include_str!("stuck_queue.md"),
            RuleName::MissingRefund => include_str!("missing_refund.md"),
            RuleName::DoubleCharge => include_str!("double_charge.md"),
            RuleName::UnexplainedSpend => include_str!("unexplained_spend.md"),
            RuleName::PriceDrift => include_str!("price_drift.md"),
            RuleName::CreditsWillLapse => include_str!("credits_will_lapse.md"),
            RuleName::PlanReset => include_str!("plan_reset.md"),
        }
    }

    /// The rule of that word.
    pub fn parse(word: &str) -> Option<RuleName> {
        RuleName::ALL.into_iter().find(|rule| rule.as_str() == word)
    }

    /// The stages that it can reach.
    pub const fn stages(self) -> &'static [Stage] {
        match self {
            RuleName::StaleData | RuleName::Exhaustion | RuleName::LowBalance => &[Stage::Warning, Stage::Critical],
            RuleName::CreditsWillLapse | RuleName::PlanReset => &[Stage::Info],
            RuleName::PriceDrift => &[Stage::Info, Stage::Warning],
            _ => &[Stage::Warning],
        }
    }

    /// What becomes of it when a plan period ends.
    pub const fn lifetime(self) -> Lifetime {
        match self {
            RuleName::Exhaustion | RuleName::LowBalance => Lifetime::PeriodTold,
            RuleName::WastefulRetries
            | RuleName::MissingRefund
            | RuleName::DoubleCharge
            | RuleName::CreditsWillLapse
            | RuleName::PlanReset => Lifetime::Period,
            RuleName::StaleData
            | RuleName::UnusualSpend
            | RuleName::StuckQueue
            | RuleName::UnexplainedSpend
            | RuleName::PriceDrift => Lifetime::Ongoing,
        }
    }

    /// The rules that mute this one while they fire: they say more, or say that it cannot be gone by.
    pub const fn muted_by(self) -> &'static [RuleName] {
        match self {
            RuleName::LowBalance => &[RuleName::StaleData, RuleName::Exhaustion],
            RuleName::Exhaustion | RuleName::UnusualSpend | RuleName::CreditsWillLapse => &[RuleName::StaleData],
            _ => &[],
        }
    }

    /// How far its figure must move for a repeat to say something new; `None` where that depends on the period.
    pub const fn repeats_if_moved(self) -> Option<Moved> {
        match self {
            RuleName::Exhaustion => None,
            _ => Some(Moved::UpByHalf),
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_comes_after_those_that_mute_it() {
        for (place, rule) in RuleName::ALL.into_iter().enumerate() {
            let later = rule.muted_by().iter().find(|by| !RuleName::ALL[..place].contains(by));
            assert_eq!(later, None, "{rule}");
            assert_eq!(RuleName::parse(rule.as_str()), Some(rule));
            assert!(rule.page().starts_with(&format!("# `{rule}`: ")) && rule.page().contains("**What to do.**"));
            assert_eq!(rule as usize, place, "the order of the list is that of the names");
            assert!(!rule.stages().is_empty() && rule.stages().is_sorted());
        }
    }
}
