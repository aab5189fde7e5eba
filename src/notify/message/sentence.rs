//! An alert in one sentence: for ways of telling that have no room for a letter.

use jiff::Timestamp;

use super::words::{self, ReaderClock};
use crate::domain::remedy::share;
use crate::domain::rule::{PriceDriftPolicy, stalest};
use crate::domain::{AccountAssessment, Collector, Credits, DrawAssessment, PlanPeriod, RuleName, Suspicion};

/// What an alert of a rule means, whoever it is about: the same each time, so that what gathers alerts can go by it.
pub const fn summary(rule: RuleName) -> &'static str {
    match rule {
        RuleName::StaleData => "An account has not been read recently.",
        RuleName::Exhaustion => "A team is on pace to use up its credits before the plan resets.",
        RuleName::LowBalance => "A team has few credits left.",
        RuleName::UnusualSpend => "A team used much more in a day than on any usual day.",
        RuleName::WastefulRetries => "A team repeats a great deal of what had succeeded.",
        RuleName::StuckQueue => "The queue of an account stands still or is full.",
        RuleName::MissingRefund => "Credits of failed tasks were not given back.",
        RuleName::DoubleCharge => "A task was charged for twice.",
        RuleName::UnexplainedSpend => "A balance fell by more than the charges say.",
        RuleName::PriceDrift => "Tasks cost other than the price sheet lists.",
        RuleName::CreditsWillLapse => "Credits of a plan will lapse unused.",
        RuleName::PlanReset => "A plan has been reset.",
    }
}

/// What an alert of a rule says of a draw of an account, with the figures of the assessment. `ended_at` is when it was
/// over, if it is: figures of a moment at which it is not true any more would say nothing of it.
pub fn description(
    rule: RuleName,
    ended_at: Option<Timestamp>,
    account: &AccountAssessment,
    draw: &DrawAssessment,
) -> String {
    let telling = Telling { account, draw, clock: ReaderClock::new(&account.zone, account.at) };
    let team = words::clean(draw.key.team.as_str(), 64);
    let name = words::clean(account.account.as_str(), 64);
    let what = match ended_at {
        Some(at) => format!("over since {}", telling.clock.moment(at)),
        None => telling.facts(rule).unwrap_or_else(|| "the figures are not known at the moment".into()),
    };
    format!("Team {team} on {name}: {what}.")
}

struct Telling<'a> {
    account: &'a AccountAssessment,
    draw: &'a DrawAssessment,
    clock: ReaderClock<'a>,
}

impl Telling<'_> {
    /// `None` where the figures are not known.
    fn facts(&self, rule: RuleName) -> Option<String> {
        match rule {
            RuleName::StaleData => self.stale_data(),
            RuleName::Exhaustion => self.exhaustion(),
            RuleName::LowBalance => self.low_balance(),
            RuleName::UnusualSpend => self.unusual_spend(),
            RuleName::WastefulRetries => self.wasteful_retries(),
            RuleName::StuckQueue => self.stuck_queue(),
            RuleName::MissingRefund => self.suspects(Suspicion::MissingRefund, "failed and not given back"),
            RuleName::DoubleCharge => self.suspects(Suspicion::DoubleCharge, "charged again"),
            RuleName::UnexplainedSpend => self.unexplained_spend(),
            RuleName::PriceDrift => self.price_drift(),
            RuleName::CreditsWillLapse => self.credits_will_lapse(),
            RuleName::PlanReset => self.plan_reset(),
        }
    }

    fn stale_data(&self) -> Option<String> {
        let status = stalest(self.account)?;
        let what = status.collector.as_str();
        Some(match status.last_success_at {
            Some(at) => format!("{what} last read {} ago", words::span(self.account.at.duration_since(at))),
            None => format!("{what} never read"),
        })
    }

    fn exhaustion(&self) -> Option<String> {
        let left = self.draw.tank().filter(|fuel| fuel.fresh)?.left;
        let end = self.draw.end_in_words().unwrap_or("the reset");
        if !left.is_positive() {
            return Some(format!("no credits are left; {end} is {}", self.ends_at()?));
        }
        let forecast = self.draw.outlook.forecast()?;
        let probability = words::percent(forecast.probability?);
        let expected = forecast.run_out.p50.map(|at| format!(", expected on {}", self.clock.rough_moment(at)));
        Some(format!(
            "the credits run out before {end} with a probability of {probability}{}; left: {}; {end}: {}",
            expected.unwrap_or_default(),
            words::credits(left),
            self.ends_at()?
        ))
    }

    fn low_balance(&self) -> Option<String> {
        let left = self.draw.tank().filter(|fuel| fuel.fresh)?.left;
        let capacity = self.draw.tank_capacity().filter(|capacity| capacity.is_positive());
        let whole = capacity.and_then(|capacity| {
            let share = share(left, capacity)?;
            Some(format!(", {:.0}% of {}", share * 100.0, words::amount(capacity)))
        });
        Some(format!("left: {}{}", words::credits(left), whole.unwrap_or_default()))
    }

    fn unusual_spend(&self) -> Option<String> {
        let recent = self.draw.recent.as_ref().filter(|_| self.charges_are_known())?;
        Some(format!(
            "{} in the last 24 hours; the second busiest of the {} before had {}",
            words::credits(recent.net),
            words::counted(&recent.days.to_string(), "day"),
            words::amount(recent.busy)
        ))
    }

    fn wasteful_retries(&self) -> Option<String> {
        let reruns = Some(self.draw.reruns).filter(|_| self.charges_are_known())?;
        let most = match reruns.most_attempts {
            0 => String::new(),
            most => format!("; most attempts at one asset: {most}"),
        };
        let (tasks, credits) = (words::counted(&reruns.tasks.to_string(), "re-run"), words::amount(reruns.credits));
        Some(format!("{tasks} took {credits} of {}{most}", words::credits(self.draw.spent)))
    }

    fn stuck_queue(&self) -> Option<String> {
        let (queue, read_at) = self.account.queue.as_ref()?;
        if !self.account.is_current(Collector::Queue, *read_at) {
            return None;
        }
        let oldest = queue.oldest_waiting_at.filter(|_| queue.waiting > 0);
        let waits = oldest.map(|at| format!(", the oldest for {}", words::span(self.account.at.duration_since(at))));
        let most = queue.limit.map(|limit| format!(", of at most {limit}")).unwrap_or_default();
        Some(format!("waiting: {}{}; running: {}{most}", queue.waiting, waits.unwrap_or_default(), queue.running))
    }

    fn suspects(&self, reason: Suspicion, what: &str) -> Option<String> {
        let (count, credits) = Some(self.draw.suspects.of(reason)).filter(|_| self.charges_are_known())?;
        Some(format!("{}, {} {what}", words::counted(&count.to_string(), "task"), words::credits(credits)))
    }

    fn unexplained_spend(&self) -> Option<String> {
        let is_fresh = self.account.is_fresh(Collector::Balance) && self.charges_are_known();
        let missing = self.account.unexplained.filter(|_| is_fresh).map(|unexplained| -unexplained)?;
        Some(format!("{} missing that no charge explains", words::credits(missing.max(Credits::ZERO))))
    }

    fn price_drift(&self) -> Option<String> {
        // Limits are the rule's; a sentence says how far it is off whatever they are.
        let drifts = PriceDriftPolicy { tolerance: 0.0 }.drifts(self.account, self.draw);
        let first = drifts.first().filter(|_| self.charges_are_known())?.drift;
        let kind = words::kind_of_task(&first.charged.task_type, &first.charged.quality);
        let variants = match first.charged.variants {
            1 => String::new(),
            variants => format!(" with {variants} variants"),
        };
        let more = match drifts.len() {
            1 => String::new(),
            count => format!("; and {} more", words::counted(&(count - 1).to_string(), "kind")),
        };
        let (observed, listed) = (words::credits(first.charged.observed), first.listed);
        Some(format!("a launch of {kind}{variants} costs {observed}, listed: {listed}{more}"))
    }

    fn credits_will_lapse(&self) -> Option<String> {
        let lapsing = self.account.lapsing(self.draw)?;
        Some(format!("about {} will lapse unused on {}", words::credits(lapsing), self.ends_at()?))
    }

    fn plan_reset(&self) -> Option<String> {
        let period = self.draw.period.as_ref()?;
        let what = if period.is_budget() { "a new budget period" } else { "a new plan period" };
        Some(format!("{what} began on {}; it ends on {}", self.clock.moment(period.start), self.ends_at()?))
    }

    fn ends_at(&self) -> Option<String> {
        self.draw.period.as_ref().map(|PlanPeriod { end, .. }| self.clock.moment(*end))
    }

    fn charges_are_known(&self) -> bool {
        self.account.is_fresh(Collector::Charges)
    }
}

#[cfg(test)]
mod tests;
