//! What a draw can still spend, and in which plan period it lives.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::account::{DeclaredPlan, PlanPeriod, Provenance};
use super::assessment::{Fuel, FuelLimit};
use super::credits::Credits;
use super::reading::PlanRecord;

/// The plan period that `now` lies in, or `None` for an account without a reset or a budget.
///
/// What the platform reports wins: its next reset is the end, and the start is one step of the declared rule before
/// that, or one calendar month in the account's zone where no rule is declared. A reported reset that has passed says
/// nothing of the next one, so the declared rule takes over until the platform reports again. Where nothing resets, a
/// declared budget gives the period and its limit. `zone` is the account's; a zone of the plan's own comes before it.
pub fn current_period(
    reported: Option<&PlanRecord>,
    declared: &DeclaredPlan,
    zone: &TimeZone,
    now: Timestamp,
) -> Option<PlanPeriod> {
    let allowance = reported.and_then(|plan| plan.allowance).or(declared.credits);
    let zone = declared.zone.as_ref().unwrap_or(zone);
    let reported_end = reported.and_then(|plan| plan.resets_at).map(to_minute).filter(|end| *end > now);
    if let Some(end) = reported_end {
        let before_end = end - SignedDuration::from_nanos(1);
        let by_rule = declared.reset.as_ref().and_then(|rule| rule.last_at_or_before(before_end));
        let by_month = || end.to_zoned(zone.clone()).checked_sub(1.month()).ok().map(|start| start.timestamp());
        let start = by_rule.or_else(by_month)?;
        // A rule that disagrees with the platform must not put the start after the present.
        let start = if start > now { by_month()? } else { start };
        return Some(PlanPeriod { start, end, allowance, provenance: Provenance::Reported });
    }
    let (rule, allowance, provenance) = match (&declared.reset, &declared.budget) {
        (Some(rule), _) => (rule, allowance, Provenance::Declared),
        (None, Some(budget)) => (&budget.period, Some(budget.credits), Provenance::Budget),
        (None, None) => return None,
    };
    let (start, end) = (rule.last_at_or_before(now)?, rule.next_after(now)?);
    Some(PlanPeriod { start, end, allowance, provenance })
}

/// The period that ended when `current` began; `None` where nothing says how long it was. What it was granted is what
/// periods are granted now: nobody keeps what a plan was before.
pub fn period_before(
    current: &PlanPeriod,
    reported: Option<&PlanRecord>,
    declared: &DeclaredPlan,
    zone: &TimeZone,
) -> Option<PlanPeriod> {
    // The platform names the next reset only; the last one is where the current period began.
    let resets_at = Some(current.start).filter(|_| current.provenance == Provenance::Reported);
    let reported = reported.map(|plan| PlanRecord { resets_at, ..plan.clone() });
    let within = current.start.checked_sub(SignedDuration::from_nanos(1)).ok()?;
    current_period(reported.as_ref(), declared, zone, within).filter(|before| before.end == current.start)
}

/// A reported instant to the whole minute: a platform that works out its reset anew at each request must not seem to
/// begin a new period each time.
fn to_minute(instant: Timestamp) -> Timestamp {
    let half_a_minute = 30;
    let minutes = (instant.as_second() + half_a_minute).div_euclid(60);
    Timestamp::from_second(minutes * 60).unwrap_or(instant)
}

/// What is known of a draw's limits.
#[derive(Clone, Debug, Default)]
pub struct FuelFacts {
    /// The account's balance, when it was read, and whether that is recent enough to go by.
    pub balance: Option<(Credits, Timestamp, bool)>,
    /// The team's share of a period.
    pub allowance: Option<Credits>,
    /// Credits that the plan's period began with, what was carried over among them.
    pub plan_credits: Option<Credits>,
    /// What the account may spend in a budget's period.
    pub budget: Option<Credits>,
    /// When charges were last read, and whether that is recent enough to go by.
    pub charges_read: Option<(Timestamp, bool)>,
    /// The draw's net use since the period began.
    pub spent: Credits,
    /// The whole account's net use since the period began.
    pub account_spent: Credits,
}

/// What limits a draw: its own share, and what it shares with everybody who draws on the account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// What the team's allowance leaves; its own use lowers it.
    pub own: Option<Fuel>,
    /// What the account's budget leaves or what the account has left, whichever is less; everybody's use lowers it. The
    /// account's own limit is its balance, or, where none is reported, what the plan's credits leave.
    pub shared: Option<Fuel>,
}

impl Limits {
    /// The limits that are known.
    pub fn of(facts: &FuelFacts) -> Limits {
        let from_ledger = |granted: Credits, spent: Credits, limit: FuelLimit| {
            facts.charges_read.map(|(as_of, fresh)| Fuel { left: granted - spent, limit, as_of, fresh })
        };
        let account = match facts.balance {
            Some((left, as_of, fresh)) => Some(Fuel { left, limit: FuelLimit::Balance, as_of, fresh }),
            None => {
                facts.plan_credits.and_then(|credits| from_ledger(credits, facts.account_spent, FuelLimit::PlanCredits))
            }
        };
        let budget = facts.budget.and_then(|budget| from_ledger(budget, facts.account_spent, FuelLimit::Budget));
        Limits {
            own: facts.allowance.and_then(|allowance| from_ledger(allowance, facts.spent, FuelLimit::Allowance)),
            // Of equal ones the first: the limit that people set themselves.
            shared: [budget, account].into_iter().flatten().min_by_key(|fuel| fuel.left),
        }
    }

    /// What a draw can still spend: the smaller of both. `None` while nothing is known.
    pub fn fuel(&self) -> Option<&Fuel> {
        [&self.own, &self.shared].into_iter().flatten().min_by_key(|fuel| fuel.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Budget, CronSchedule, ResetRule};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn plan(resets_at: Option<&str>) -> PlanRecord {
        PlanRecord { name: None, allowance: Some(Credits::from_whole(4000)), resets_at: resets_at.map(at) }
    }

    #[test]
    fn a_reported_reset_wins_and_is_told_to_the_minute() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-11-22T10:00:00Z");
        let declared = DeclaredPlan::default();
        let period = |reported: &str| current_period(Some(&plan(Some(reported))), &declared, &berlin, now);
        let expected = PlanPeriod {
            start: at("2026-10-31T23:00:00Z"),
            end: at("2026-11-30T23:00:00Z"),
            allowance: Some(Credits::from_whole(4000)),
            provenance: Provenance::Reported,
        };
        assert_eq!(period("2026-11-30T23:00:00Z"), Some(expected.clone()));
        assert_eq!(period("2026-11-30T22:59:48.2Z"), Some(expected.clone()));
        assert_eq!(period("2026-11-30T23:00:21Z"), Some(expected));
        assert_eq!(period("2026-11-22T09:00:00Z"), None, "a reset that has passed says nothing of the next");
        assert_eq!(current_period(None, &declared, &berlin, now), None, "prepaid");
    }

    #[test]
    fn a_budget_gives_a_prepaid_account_its_period() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        let rule = |line: &str, name: &str| ResetRule::Cron(CronSchedule::parse(line, zone(name)).unwrap());
        let budget = |line: &str| DeclaredPlan {
            budget: Some(Budget { credits: Credits::from_whole(500), period: rule(line, "UTC") }),
            ..DeclaredPlan::default()
        };
        let now = at("2026-11-22T10:00:00Z");
        // A Sunday.
        for (line, start, end) in [
            ("@daily", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("0 0 * * mon", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("@weekly", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"),
            ("@monthly", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            let period = current_period(None, &budget(line), &zone("Europe/Berlin"), now).unwrap();
            assert_eq!((period.start, period.end), (at(start), at(end)), "{line}");
            assert_eq!((period.allowance, period.is_budget()), (Some(Credits::from_whole(500)), true));
        }
        let reported = plan(Some("2026-11-30T23:00:00Z"));
        let period = current_period(Some(&reported), &budget("@daily"), &zone("Europe/Berlin"), now).unwrap();
        assert_eq!((period.provenance, period.allowance), (Provenance::Reported, Some(Credits::from_whole(4000))));
        // The month before a reported reset is counted in the plan's own zone, if it has one.
        let declared = DeclaredPlan { zone: Some(TimeZone::UTC), ..DeclaredPlan::default() };
        let period = current_period(Some(&reported), &declared, &zone("Europe/Berlin"), now).unwrap();
        assert_eq!(period.start, at("2026-10-30T23:00:00Z"));
    }

    #[test]
    fn the_period_before_ended_when_this_one_began() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        let berlin = zone("Europe/Berlin");
        let rule = |line: &str| ResetRule::Cron(CronSchedule::parse(line, zone("Europe/Berlin")).unwrap());
        let by_rule = |line: &str| DeclaredPlan { reset: Some(rule(line)), ..DeclaredPlan::default() };
        let budget = Budget { credits: Credits::from_whole(500), period: rule("0 0 * * mon") };
        let budget = DeclaredPlan { budget: Some(budget), ..DeclaredPlan::default() };
        let reported = plan(Some("2026-11-30T23:00:00Z"));
        for (name, now, reported, declared, start, end) in [
            // The months before have 31 days, and the offset changed in one of them.
            (
                "declared",
                "2026-11-22T10:00:00Z",
                None,
                by_rule("@monthly"),
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "reported",
                "2026-11-22T10:00:00Z",
                Some(&reported),
                DeclaredPlan::default(),
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "reported, and a rule",
                "2026-11-22T10:00:00Z",
                Some(&reported),
                by_rule("@monthly"),
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "a reset that has passed",
                "2026-12-05T10:00:00Z",
                Some(&reported),
                by_rule("@monthly"),
                "2026-10-31T23:00:00Z",
                "2026-11-30T23:00:00Z",
            ),
            ("a budget", "2026-11-22T10:00:00Z", None, budget, "2026-11-08T23:00:00Z", "2026-11-15T23:00:00Z"),
        ] {
            let current = current_period(reported, &declared, &berlin, at(now)).unwrap();
            let before = period_before(&current, reported, &declared, &berlin).unwrap();
            assert_eq!((before.start, before.end), (at(start), at(end)), "{name}");
            assert_eq!(before.allowance, current.allowance, "{name}");
        }
    }

    #[test]
    fn the_tightest_limit_is_the_fuel() {
        let read = at("2026-11-22T10:00:00Z");
        let credits = Credits::from_whole;
        let facts = |balance: Option<i64>, allowance: Option<i64>, plan_credits: Option<i64>| FuelFacts {
            balance: balance.map(|left| (credits(left), read, true)),
            allowance: allowance.map(credits),
            plan_credits: plan_credits.map(credits),
            budget: None,
            charges_read: Some((read, true)),
            spent: credits(300),
            account_spent: credits(900),
        };
        let budget = |budget: i64, facts: FuelFacts| FuelFacts { budget: Some(credits(budget)), ..facts };
        for (name, facts, expected) in [
            ("balance alone", facts(Some(700), None, None), Some((700, FuelLimit::Balance))),
            ("a balance of zero is known", facts(Some(0), None, None), Some((0, FuelLimit::Balance))),
            ("allowance below the balance", facts(Some(700), Some(500), None), Some((200, FuelLimit::Allowance))),
            ("balance below the allowance", facts(Some(100), Some(500), None), Some((100, FuelLimit::Balance))),
            ("overspent allowance", facts(Some(100), Some(200), None), Some((-100, FuelLimit::Allowance))),
            (
                "plan credits where no balance is told",
                facts(None, None, Some(1000)),
                Some((100, FuelLimit::PlanCredits)),
            ),
            ("a reported balance beats plan credits", facts(Some(5), None, Some(1000)), Some((5, FuelLimit::Balance))),
            ("nothing known", facts(None, None, None), None),
            ("a budget below the balance", budget(1000, facts(Some(700), None, None)), Some((100, FuelLimit::Budget))),
            ("a balance below the budget", budget(1000, facts(Some(70), None, None)), Some((70, FuelLimit::Balance))),
            ("an overspent budget", budget(800, facts(Some(70), None, None)), Some((-100, FuelLimit::Budget))),
            ("a budget alone", budget(1000, facts(None, None, None)), Some((100, FuelLimit::Budget))),
            (
                "a share of a budget",
                budget(2000, facts(Some(7000), Some(500), None)),
                Some((200, FuelLimit::Allowance)),
            ),
        ] {
            assert_eq!(
                Limits::of(&facts).fuel().map(|fuel| (fuel.left, fuel.limit)),
                expected.map(|(left, l)| (credits(left), l)),
                "{name}"
            );
        }
        let never_read = FuelFacts { charges_read: None, ..facts(None, Some(500), Some(900)) };
        assert_eq!(Limits::of(&never_read), Limits::default(), "an allowance says nothing before charges were read");
    }
}
