//! The parts of a balance, as its series show them.

use crate::domain::Credits;
use crate::domain::bucket::Buckets;

/// The bucket of what was bought or awarded, which is what grants bring and what expires.
pub const PURCHASED: &str = BUCKETS[1];

/// The values of the bucket label of a balance.
pub const BUCKETS: [&str; 4] = ["plan", "purchased", "available", "frozen"];

/// The buckets of a balance with what is in each; `None` where that is not known or not to be shown. All but `frozen` add
/// up to what can be spent.
pub fn buckets(parts: &Buckets, frozen: Option<Credits>) -> [(&'static str, Option<Credits>); BUCKETS.len()] {
    let [plan, purchased, available, frozen_bucket] = BUCKETS;
    [(plan, parts.plan), (purchased, parts.purchased), (available, parts.unknown), (frozen_bucket, frozen)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
