//! The parts of a balance, as its series show them.

use crate::domain::{BalanceRecord, Credits};

/// The values of the bucket label of a reported balance.
pub const BUCKETS: [&str; 4] = ["plan", "purchased", "available", "frozen"];

/// The buckets of a balance with what is in each; `None` where that is not known or not to be shown. All but `frozen` add
/// up to what can be spent.
pub fn buckets(balance: &BalanceRecord) -> [(&'static str, Option<Credits>); BUCKETS.len()] {
    let [plan, purchased, available, frozen] = BUCKETS;
    let parts = spendable_parts(balance.available, balance.plan, balance.purchased);
    [(plan, parts.plan), (purchased, parts.purchased), (available, parts.available), (frozen, balance.frozen)]
}

/// The team label of an account's balance: the only team that draws on it, if that has no allowance, else none. A team
/// with an allowance has a row of its own; the balance is not its.
pub fn balance_team<'a>(draws: impl IntoIterator<Item = (&'a str, Option<Credits>)>) -> &'a str {
    let mut draws = draws.into_iter();
    match (draws.next(), draws.next()) {
        (Some((only, None)), None) => only,
        _ => "",
    }
}

/// Parts of a balance that add up to what can be spent.
#[derive(Debug, PartialEq)]
struct Parts {
    plan: Option<Credits>,
    purchased: Option<Credits>,
    available: Option<Credits>,
}

/// Platforms report parts that need not add up: where the parts hold more than can be spent (credits held for running
/// tasks among them), the excess is taken off the plan credits first, because plan credits burn first; where they hold
/// less, the rest is `available`.
fn spendable_parts(available: Credits, plan: Option<Credits>, purchased: Option<Credits>) -> Parts {
    if plan.is_none() && purchased.is_none() {
        return Parts { plan, purchased, available: Some(available) };
    }
    let known = plan.unwrap_or_default() + purchased.unwrap_or_default();
    let rest = available - known;
    if !rest.is_negative() {
        return Parts { plan, purchased, available: rest.is_positive().then_some(rest) };
    }
    let excess = -rest;
    match (plan, purchased) {
        (Some(plan), Some(purchased)) => {
            let from_plan = excess.min(plan.max(Credits::ZERO));
            let purchased = purchased - (excess - from_plan);
            Parts { plan: Some(plan - from_plan), purchased: Some(purchased), available: None }
        }
        (plan, purchased) => {
            Parts { plan: plan.map(|_| available), purchased: purchased.map(|_| available), available: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_balance_add_up_to_what_can_be_spent() {
        let credits = Credits::from_whole;
        for (available, plan, purchased, expected) in [
            (100, None, None, (None, None, Some(100))),
            (100, Some(70), Some(30), (Some(70), Some(30), None)),
            (100, Some(0), Some(100), (Some(0), Some(100), None)),
            (100, Some(60), None, (Some(60), None, Some(40))),
            (100, Some(80), Some(50), (Some(50), Some(50), None)),
            (100, Some(10), Some(150), (Some(0), Some(100), None)),
            (100, Some(130), None, (Some(100), None, None)),
            (-5, Some(0), Some(0), (Some(0), Some(-5), None)),
        ] {
            let parts = spendable_parts(credits(available), plan.map(credits), purchased.map(credits));
            let (plan, purchased, rest) = expected;
            let expected =
                Parts { plan: plan.map(credits), purchased: purchased.map(credits), available: rest.map(credits) };
            assert_eq!(parts, expected);
            let sum: Credits = [parts.plan, parts.purchased, parts.available].into_iter().flatten().sum();
            assert_eq!(sum, credits(available));
        }
    }

    #[test]
    fn the_balance_is_a_teams_if_that_has_the_account_to_itself() {
        let share = Some(Credits::from_whole(100));
        for (draws, expected) in
            [(&[][..], ""), (&[("art", None)], "art"), (&[("art", share)], ""), (&[("art", None), ("props", None)], "")]
        {
            assert_eq!(balance_team(draws.iter().copied()), expected, "{draws:?}");
        }
    }
}
