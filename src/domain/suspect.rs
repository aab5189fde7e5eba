//! Charges that look wrong: failed and never given back, charged twice, given back more than was taken. They are shown
//! and counted; whether they are wrong is for a person to ask the platform.

use jiff::{SignedDuration, Timestamp};

use super::credits::Credits;
use super::ledger::KnownTask;
use super::reading::TaskState;

/// How long after its end a failed task may keep its charge before a refund counts as missing: platforms give credits
/// back by themselves, some of them late.
pub const MISSING_REFUND_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Why a charge looks wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suspicion {
    /// The task failed or expired longer ago than [`MISSING_REFUND_AFTER`], and its credits have not come back.
    MissingRefund,
    /// A task that was charged for was charged for again, at least as much as before.
    DoubleCharge,
    /// More came back than had been taken.
    ExcessRefund,
}

impl Suspicion {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Suspicion; 3] = [Suspicion::MissingRefund, Suspicion::DoubleCharge, Suspicion::ExcessRefund];

    /// The word used in metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Suspicion::MissingRefund => "missing_refund",
            Suspicion::DoubleCharge => "double_charge",
            Suspicion::ExcessRefund => "excess_refund",
        }
    }

    /// What a person reads.
    pub const fn in_words(self) -> &'static str {
        match self {
            Suspicion::MissingRefund => "Failed, and not given back",
            Suspicion::DoubleCharge => "Charged twice",
            Suspicion::ExcessRefund => "More given back than taken",
        }
    }
}

/// A task whose charge looks wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspectCharge {
    /// The platform's id.
    pub task_id: String,
    /// The platform's word for its kind.
    pub task_type: String,
    /// When it was launched.
    pub created_at: Timestamp,
    /// Why.
    pub suspicion: Suspicion,
    /// The credits in question: those not given back, those charged again, or those given back in excess.
    pub credits: Credits,
}

/// All charges of a draw that look wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Of each reason how many there are, and the credits in question, in the order of [`Suspicion::ALL`].
    pub totals: [(u64, Credits); Suspicion::ALL.len()],
    /// The newest of them, newest first.
    pub newest: Vec<SuspectCharge>,
}

impl Suspects {
    /// How many there are, and the credits in question.
    pub fn of(&self, reason: Suspicion) -> (u64, Credits) {
        self.totals[reason as usize]
    }

    /// How many there are of all reasons.
    pub fn count(&self) -> u64 {
        self.totals.iter().map(|(count, _)| count).sum()
    }
}

impl FromIterator<SuspectCharge> for Suspects {
    /// Of a list that is complete, newest first.
    fn from_iter<I: IntoIterator<Item = SuspectCharge>>(charges: I) -> Suspects {
        let mut suspects = Suspects::default();
        for charge in charges {
            let (count, credits) = &mut suspects.totals[charge.suspicion as usize];
            *count += 1;
            *credits += charge.credits;
            suspects.newest.push(charge);
        }
        suspects
    }
}

/// What looks wrong about one task, with the credits in question. `ended_at` is its end, or its launch where the end is
/// not known.
pub fn suspicions(known: &KnownTask, ended_at: Timestamp, now: Timestamp) -> Vec<(Suspicion, Credits)> {
    let mut found = Vec::new();
    let has_failed = matches!(known.state, TaskState::Failed | TaskState::Expired);
    if has_failed && known.net().is_positive() && now.duration_since(ended_at) >= MISSING_REFUND_AFTER {
        found.push((Suspicion::MissingRefund, known.net()));
    }
    if known.charged_again.is_positive() {
        found.push((Suspicion::DoubleCharge, known.charged_again));
    }
    if known.said_refunded > known.charged {
        found.push((Suspicion::ExcessRefund, known.said_refunded - known.charged));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_wrong_is_named_with_its_credits() {
        use Suspicion::{DoubleCharge, ExcessRefund, MissingRefund};
        use TaskState::{Cancelled, Expired, Failed, Running, Succeeded};
        // State, charged, refunded, charged again, said to have come back, hours since the end; what looks wrong.
        type Case<'a> = (&'a str, TaskState, [i64; 4], i64, &'a [(Suspicion, i64)]);
        let cases: [Case; 10] = [
            ("paid for and delivered", Succeeded, [20, 0, 0, 0], 99, &[]),
            ("failed a moment ago", Failed, [20, 0, 0, 0], 23, &[]),
            ("failed a day ago", Failed, [20, 0, 0, 0], 24, &[(MissingRefund, 20)]),
            ("expired, and a part came back", Expired, [20, 15, 0, 15], 48, &[(MissingRefund, 5)]),
            ("failed and given back", Failed, [20, 20, 0, 20], 99, &[]),
            ("withdrawn by somebody", Cancelled, [20, 0, 0, 0], 99, &[]),
            ("still running", Running, [20, 0, 0, 0], 99, &[]),
            ("charged twice", Succeeded, [40, 0, 20, 0], 1, &[(DoubleCharge, 20)]),
            ("given back too much", Succeeded, [5, 5, 0, 9], 1, &[(ExcessRefund, 4)]),
            ("twice charged, failed", Failed, [40, 0, 20, 0], 24, &[(MissingRefund, 40), (DoubleCharge, 20)]),
        ];
        let end = Timestamp::from_second(1_760_000_000).unwrap();
        for (name, state, amounts, hours, expected) in cases {
            let [charged, refunded, charged_again, said_refunded] = amounts.map(Credits::from_whole);
            let known = KnownTask { charged, refunded, charged_again, said_refunded, ..KnownTask::new(state) };
            let expected: Vec<_> = expected.iter().map(|(s, c)| (*s, Credits::from_whole(*c))).collect();
            assert_eq!(suspicions(&known, end, end + SignedDuration::from_hours(hours)), expected, "{name}");
        }
    }
}
