//! Which limit a draw runs into first, and whose use lowers it.
//!
//! An allowance is lowered by its team alone; a balance, a plan's credits without one and a budget by everybody who draws
//! on the account. Where a draw has both, each is forecast from the use that lowers it, and the sooner end counts.

use super::usage::Usage;
use super::{KnownOfDraw, forecast_input};
use crate::domain::forecast::{Announced, ForecastInput, Outlook, forecast, pace_per_hour};
use crate::domain::fuel::Limits;
use crate::domain::remedy::{Limit, part_of};
use crate::domain::{AccountAssessment, Credits, Effect, Fuel, FuelLimit, JobAt, PlanPeriod, SharedTank, effect};

/// A limit with what a forecast of it is made from.
pub(super) struct Tank<'a> {
    fuel: Option<Fuel>,
    pub(super) input: ForecastInput<'a>,
    /// The use that lowers it, where that is not the team's alone.
    shared_use: Option<&'a Usage>,
}

/// The limits of one draw: that with the least left, and another if there is one that other use lowers.
pub(super) struct Tanks<'a> {
    first: Tank<'a>,
    second: Option<Tank<'a>>,
    own: &'a Usage,
}

impl<'a> Tanks<'a> {
    pub(super) fn of(known: &KnownOfDraw<'a>, account: &AccountAssessment, limits: &Limits) -> Tanks<'a> {
        let (period, allowance) = (known.period, known.draw.allowance);
        let of_period = period.and_then(|period| period.allowance);
        let tank = |fuel: Option<&Fuel>, granted, usage: &'a Usage, shared_use| Tank {
            fuel: fuel.cloned(),
            input: forecast_input(account, period, fuel, granted, usage),
            shared_use,
        };
        let Some(all) = known.usage_of_all else {
            let first = tank(limits.fuel(), allowance.or(of_period), known.usage, None);
            return Tanks { first, second: None, own: known.usage };
        };
        let own = limits.own.as_ref().map(|fuel| tank(Some(fuel), allowance, known.usage, None));
        let shared = limits.shared.as_ref().map(|fuel| tank(Some(fuel), of_period, all, Some(all)));
        let left = |tank: &Tank| tank.fuel.as_ref().map(|fuel| fuel.left);
        let (first, second) = match (own, shared) {
            (Some(own), Some(shared)) if left(&shared) < left(&own) => (shared, Some(own)),
            (Some(own), shared) => (own, shared),
            (None, Some(shared)) => (shared, None),
            (None, None) => (tank(None, allowance, known.usage, None), None),
        };
        Tanks { first, second, own: known.usage }
    }

    /// The limit that ends first, and what lies ahead of it.
    pub(super) fn outlook(&self) -> (&Tank<'a>, Outlook) {
        let first = forecast(&self.first.input);
        match self.second.as_ref().map(|tank| (tank, forecast(&tank.input))) {
            Some((tank, second)) if second.is_tighter_than(&first) => (tank, second),
            _ => (&self.first, first),
        }
    }

    /// What jobs would do, if so many credits came in: they are paid from every limit. Those of other teams are paid from
    /// what is shared with them.
    pub(super) fn effect(&self, jobs: &[JobAt], of_others: &[JobAt], top_up: Credits) -> Effect {
        let with = |tank: &Tank, more: Credits| {
            let remaining = tank.input.remaining.map(|left| left + more);
            let of_others = if tank.shared_use.is_some() { of_others } else { &[] };
            effect(&ForecastInput { remaining, ..tank.input }, &[jobs, of_others].concat())
        };
        let first = with(&self.first, top_up);
        match &self.second {
            // Credits from outside fill the account; who has an allowance is given more of it too.
            Some(second) => first.tighter_of(with(second, top_up)),
            None => first,
        }
    }

    /// The limits as remedies are worked out from them, the one that ends first in front.
    pub(super) fn limits(&self) -> Vec<Limit<'a>> {
        let (first, _) = self.outlook();
        let others = [Some(&self.first), self.second.as_ref()].into_iter().flatten();
        let others = others.filter(|tank| !std::ptr::eq(*tank, first));
        let limit = |tank: &Tank<'a>| Limit { input: tank.input, own_part: self.own_part(tank) };
        std::iter::once(first).chain(others).map(limit).collect()
    }

    fn own_part(&self, tank: &Tank<'a>) -> Option<f64> {
        if tank.shared_use.is_none() {
            return Some(1.0);
        }
        part_of(pace_per_hour(&self.own_input(tank))?, pace_per_hour(&tank.input)?)
    }

    /// What is told of a limit that others lower too.
    pub(super) fn shared(&self, tank: &Tank<'a>) -> Option<SharedTank> {
        let all = tank.shared_use?;
        Some(SharedTank {
            fuel: tank.fuel.clone()?,
            spend: all.state.spend_rates(tank.input.now),
            own_pace_per_hour: pace_per_hour(&self.own_input(tank)),
        })
    }

    /// What a forecast of the team's own use is made from, whoever else lowers the limit.
    pub(super) fn own_input(&self, tank: &Tank<'a>) -> ForecastInput<'a> {
        if tank.shared_use.is_none() {
            return tank.input;
        }
        let announced = Announced { paces: self.own.state.paces(), batches: &self.own.batches, ..tank.input.announced };
        ForecastInput { state: &self.own.state, before: self.own.before, granted: None, announced, ..tank.input }
    }
}

impl Tank<'_> {
    /// What is left of it; `None` while unknown.
    pub(super) fn fuel(&self) -> Option<&Fuel> {
        self.fuel.as_ref()
    }
}

/// What is left of the plan's part of a balance that is a draw's limit.
pub(super) fn plan_left(account: &AccountAssessment, period: Option<&PlanPeriod>, tank: &Tank) -> Option<Credits> {
    period.filter(|period| !period.is_budget())?;
    tank.fuel.as_ref().filter(|fuel| fuel.limit == FuelLimit::Balance)?;
    account.buckets.as_ref()?.plan
}
