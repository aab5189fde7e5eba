//! Charges that look wrong: three rules, each with a page of its own.

use jiff::SignedDuration;

use super::{Finding, Rule, Seen, Threshold, Timing};
use crate::domain::alert::{Level, Stage};
use crate::domain::assessment::{AccountAssessment, DrawAssessment};
use crate::domain::credits::Credits;
use crate::domain::reading::Collector;
use crate::domain::suspect::Suspicion;

#[doc = include_str!("missing_refund.md")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MissingRefundPolicy {
    /// From so many credits on; none: from the first.
    pub minimum: Credits,
}

#[doc = include_str!("double_charge.md")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DoubleChargePolicy {
    /// From so many credits on; none: from the first.
    pub minimum: Credits,
}

#[doc = include_str!("unexplained_spend.md")]
#[derive(Clone, Debug, PartialEq)]
pub struct UnexplainedSpendPolicy {
    /// From so much on.
    pub minimum: Threshold,
}

/// What counts without a known whole, and so may be a share of nothing known: from so many credits on. Set by hand.
const MINIMUM_WITHOUT_A_WHOLE: Credits = Credits::from_whole(10);

impl Default for UnexplainedSpendPolicy {
    fn default() -> UnexplainedSpendPolicy {
        UnexplainedSpendPolicy { minimum: Threshold::Share(0.01) }
    }
}

impl Rule for MissingRefundPolicy {
    const TIMING: Timing =
        Timing { hold_for: SignedDuration::ZERO, keep_firing_for: Some(SignedDuration::ZERO), sends_resolved: true };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        suspects(account, draw, Suspicion::MissingRefund, self.minimum)
    }
}

impl Rule for DoubleChargePolicy {
    const TIMING: Timing = MissingRefundPolicy::TIMING;

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        suspects(account, draw, Suspicion::DoubleCharge, self.minimum)
    }
}

impl Rule for UnexplainedSpendPolicy {
    // Platforms take from the balance first and write the charge a moment later: two usual polls are waited for, and more.
    const TIMING: Timing = Timing {
        hold_for: SignedDuration::from_mins(30),
        keep_firing_for: Some(SignedDuration::from_hours(1)),
        sends_resolved: true,
    };

    fn evaluate(&self, account: &AccountAssessment, draw: &DrawAssessment) -> Seen {
        let is_fresh = account.is_fresh(Collector::Balance) && account.is_fresh(Collector::Charges);
        let Some(unexplained) = account.unexplained.filter(|_| is_fresh) else { return Seen::UNKNOWN };
        let whole = draw.period.as_ref().and_then(|period| period.allowance);
        let minimum = self.minimum.of(whole).unwrap_or(MINIMUM_WITHOUT_A_WHOLE);
        // Below zero less is left than the charges say. More than they say is a gift, and no spend. What runs is taken before
        // it is charged, and what that costs may not be known.
        let spend = (-unexplained - account.queued.credits).max(Credits::ZERO);
        let level = Level::from(Stage::Warning);
        let finding = match spend {
            spend if spend.is_positive() && spend >= minimum && account.queued.unknown_tasks > 0 => {
                Finding::Undecided(level)
            }
            spend if spend.is_positive() && spend >= minimum => Finding::Holds(level),
            spend if spend.is_positive() && spend.as_f64() >= minimum.as_f64() / 2.0 => Finding::Undecided(level),
            _ => Finding::Clear,
        };
        Seen::with_credits(finding, spend)
    }
}

fn suspects(account: &AccountAssessment, draw: &DrawAssessment, reason: Suspicion, minimum: Credits) -> Seen {
    if !account.is_fresh(Collector::Charges) {
        return Seen::UNKNOWN;
    }
    let (count, credits) = draw.suspects.of(reason);
    let holds = count > 0 && credits >= minimum;
    Seen::with_credits(if holds { Finding::Holds(Stage::Warning.into()) } else { Finding::Clear }, credits)
}
