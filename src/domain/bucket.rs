//! Which credits are left: those of the plan, which lapse at the reset, and those that were bought or awarded, which stay
//! or lapse at a date of their own. Pure; `store` finds the events.
//!
//! Credits come in lots and burn in a fixed order: the plan's first, then those of which nobody knows what they are, then
//! bought ones by their date of expiry (those without one last), then by the date they came in. Use is net at the launch
//! it belongs to, so that what comes back for a task is back in the lot that paid for it.

use jiff::{SignedDuration, Timestamp};

use super::account::{CarryOver, DeclaredPlan};
use super::credits::Credits;
use super::reading::{BalanceRecord, PlanRecord};

/// What credits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LotKind {
    /// The plan's: they lapse at the reset.
    Plan,
    /// Nobody knows: they were there when the account was first read.
    Unknown,
    /// Bought or awarded: they stay, or lapse at their own date.
    Purchased,
}

/// Credits that came in together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// What they are.
    pub kind: LotKind,
    /// When they came in.
    pub granted_at: Timestamp,
    /// When they lapse by themselves, if they do.
    pub expires_at: Option<Timestamp>,
    /// How many there were.
    pub granted: Credits,
    /// How many are left; never below zero, nor above `granted`.
    pub left: Credits,
}

/// Something that happened to the credits of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When. Net use is that of launches from here up to the next event.
    pub at: Timestamp,
    /// What tells it from another of the same moment; an event told twice counts once.
    pub key: String,
    /// What.
    pub what: Happening,
}

/// What can happen to the credits of an account, in the order in which it counts at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// Nobody knows what: the balance differs by so much, of either sign.
    Adjusted(Credits),
    /// Bought credits lapsed at their own date.
    Expired(Credits),
    /// The plan began anew, by which the balance changed by so much; `None`: by just what the plan grants.
    Reset(Option<Credits>),
    /// Credits were bought or awarded; they lapse at that date, if they do.
    Granted(Credits, Option<Timestamp>),
    /// Net use; below zero where more came back than was charged.
    Used(Credits),
}

/// What a plan grants, and what of it remains at a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refill {
    /// Credits that each period begins with, on top of what is carried over; `None` while unknown.
    pub allowance: Option<Credits>,
    /// What remains of unused ones.
    pub carry_over: CarryOver,
}

/// How the lots of an account come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LotRules {
    /// The plan.
    pub refill: Refill,
    /// Whether there is no plan at all.
    pub is_prepaid: bool,
    /// How long after they came in bought credits lapse; `None`: they stay.
    pub purchased_expire_after: Option<SignedDuration>,
}

impl LotRules {
    /// What the platform says of the plan, and what is declared of it where the platform says nothing.
    pub fn of(reported: Option<&PlanRecord>, declared: Option<&DeclaredPlan>) -> LotRules {
        let declared_credits = declared.and_then(|plan| plan.credits);
        let allowance = reported.and_then(|plan| plan.allowance).or(declared_credits);
        let resets =
            reported.is_some_and(|plan| plan.resets_at.is_some()) || declared.is_some_and(|plan| plan.reset.is_some());
        LotRules {
            refill: Refill { allowance, carry_over: declared.map(|plan| plan.carry_over).unwrap_or_default() },
            is_prepaid: allowance.is_none() && !resets,
            purchased_expire_after: declared.and_then(|plan| plan.purchased_expire_after),
        }
    }
}

/// A bought lot whose own date is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueLot {
    /// What is left of it.
    pub left: Credits,
    /// Whether its date has come since the last reading.
    pub has_come: bool,
}

/// How far from its worked-out date a lot may lapse: a purchase is seen some time after it was made, and platforms tidy up
/// late.
pub const EXPIRY_SLACK: SignedDuration = SignedDuration::from_hours(24);

/// The lots of an account after some events, and the sums of what happened.
///
/// At every moment `opened + purchased + refilled - lapsed - expired - used` is [`Lots::total`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots {
    lots: Vec<Lot>,
    /// Used beyond what there was.
    owed: Credits,
    /// What there was at first.
    pub opened: Credits,
    /// Bought or awarded since.
    pub purchased: Credits,
    /// Brought by resets.
    pub refilled: Credits,
    /// Of the plan's credits, what lapsed at resets.
    pub lapsed: Credits,
    /// Of the bought ones, what lapsed at their own date.
    pub expired: Credits,
    /// Net use, and what nobody knows.
    pub used: Credits,
    /// What was carried over at the last reset; `None` before the first.
    pub carried: Option<Credits>,
}

impl Lots {
    /// The lots of an account that was first read with this balance. Without parts told, credits of a prepaid account are
    /// bought ones, and of any other nobody knows what they are.
    pub fn opened_with(record: &BalanceRecord, at: Timestamp, is_prepaid: bool) -> Lots {
        let mut lots = Lots::default();
        let whole = record.available + record.frozen.unwrap_or_default();
        let purchased = record.purchased.unwrap_or_default();
        let plan = record.plan.unwrap_or_default();
        let rest = whole - plan - purchased;
        let rest_kind = if is_prepaid { LotKind::Purchased } else { LotKind::Unknown };
        for (kind, credits) in [(LotKind::Plan, plan), (LotKind::Purchased, purchased), (rest_kind, rest)] {
            lots.put(kind, credits, at, None);
        }
        // Parts that hold more than can be spent: the excess is held somewhere and burns first.
        lots.agree_with(whole);
        Lots { opened: whole, used: Credits::ZERO, ..lots }
    }

    /// The lots of an account of which only the plan is known, at the beginning of a period.
    pub fn opened_by_plan(allowance: Credits, at: Timestamp) -> Lots {
        let mut lots = Lots { opened: allowance, ..Lots::default() };
        lots.put(LotKind::Plan, allowance, at, None);
        lots
    }

    /// Takes events in, in whatever order they are given and however often each is.
    pub fn take(&mut self, events: &[Event], refill: Refill) {
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by(|a, b| (a.at, &a.what, &a.key).cmp(&(b.at, &b.what, &b.key)));
        sorted.dedup_by(|a, b| a.key == b.key && a.at == b.at);
        for event in sorted {
            self.happen(event, refill);
        }
    }

    /// Makes the lots agree with what is there: what is missing was used where nobody looked.
    pub fn agree_with(&mut self, whole: Credits) {
        self.use_net(self.total() - whole);
    }

    /// What is left in all; below zero if more was used than there was.
    pub fn total(&self) -> Credits {
        self.lots.iter().map(|lot| lot.left).sum::<Credits>() - self.owed
    }

    /// What is left of one kind. What was used beyond all there was is owed by none of them.
    pub fn left(&self, kind: LotKind) -> Credits {
        self.lots.iter().filter(|lot| lot.kind == kind).map(|lot| lot.left).sum()
    }

    /// What was used beyond all there was.
    pub fn owed(&self) -> Credits {
        self.owed
    }

    /// The bought credits that lapse next, and when; lots of one date together.
    pub fn next_expiry(&self, now: Timestamp) -> Option<(Timestamp, Credits)> {
        let with_date = || self.lots.iter().filter(|lot| lot.left.is_positive());
        let next = with_date().filter_map(|lot| lot.expires_at).filter(|at| *at > now).min()?;
        Some((next, with_date().filter(|lot| lot.expires_at == Some(next)).map(|lot| lot.left).sum()))
    }

    /// Bought lots that may lapse about now, the oldest first; `since` is the last reading.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Vec<DueLot> {
        let near = self.lots.iter().filter(|lot| lot.left.is_positive()).filter_map(|lot| {
            let expires_at = lot.expires_at?;
            let is_near = expires_at.duration_since(now).abs() <= EXPIRY_SLACK;
            let has_come = since < expires_at && expires_at <= now;
            (is_near || has_come).then_some(DueLot { left: lot.left, has_come })
        });
        near.collect()
    }

    fn happen(&mut self, event: &Event, refill: Refill) {
        match &event.what {
            Happening::Used(net) => self.use_net(*net),
            Happening::Adjusted(change) => self.use_net(-*change),
            Happening::Granted(credits, expires_at) => {
                self.purchased += *credits;
                self.put(LotKind::Purchased, *credits, event.at, *expires_at);
            }
            Happening::Expired(credits) => self.expire(*credits),
            Happening::Reset(change) => self.reset(event.at, *change, refill),
        }
    }

    fn use_net(&mut self, net: Credits) {
        self.used += net;
        if net.is_negative() { self.give_back(-net) } else { self.burn(net) }
    }

    fn burn(&mut self, mut credits: Credits) {
        for lot in &mut self.lots {
            let taken = credits.min(lot.left);
            lot.left -= taken;
            credits -= taken;
        }
        self.owed += credits;
    }

    /// The other way round: what was burned last comes back first. What never burned is of unknown kind.
    fn give_back(&mut self, mut credits: Credits) {
        let paid = credits.min(self.owed);
        self.owed -= paid;
        credits -= paid;
        for lot in self.lots.iter_mut().rev() {
            let returned = credits.min(lot.granted - lot.left);
            lot.left += returned;
            credits -= returned;
        }
        let at = self.lots.first().map_or(Timestamp::UNIX_EPOCH, |lot| lot.granted_at);
        self.put(LotKind::Unknown, credits, at, None);
    }

    fn expire(&mut self, mut credits: Credits) {
        self.expired += credits;
        for lot in self.lots.iter_mut().filter(|lot| lot.expires_at.is_some()) {
            let taken = credits.min(lot.left);
            lot.left -= taken;
            lot.granted -= taken;
            credits -= taken;
        }
        self.burn(credits);
    }

    fn reset(&mut self, at: Timestamp, change: Option<Credits>, refill: Refill) {
        let before = self.total();
        let unused = self.left(LotKind::Plan);
        let carried = refill.carry_over.remaining(unused);
        let Some(plan) = refill.allowance.map(|allowance| carried + allowance) else {
            // Of what came nobody knows what it is.
            self.refilled += change.unwrap_or_default();
            return match change {
                Some(change) if change.is_negative() => self.burn(-change),
                Some(change) => self.put(LotKind::Unknown, change, at, None),
                None => {}
            };
        };
        let after = match change {
            Some(change) => before + change,
            None => before - unused + self.owed + plan,
        };
        self.lapsed += unused - carried;
        self.refilled += after - before + unused - carried;
        self.carried = Some(carried);
        self.lots.retain(|lot| lot.kind == LotKind::Purchased);
        self.owed = (-after).max(Credits::ZERO);
        let after = after.max(Credits::ZERO);
        // What the plan grants is certain; what is there besides was bought.
        let plan = plan.min(after);
        let bought = self.left(LotKind::Purchased);
        let besides = after - plan;
        if besides < bought {
            self.burn(bought - besides);
        } else {
            self.put(LotKind::Purchased, besides - bought, at, None);
        }
        self.put(LotKind::Plan, plan, at, None);
    }

    /// Puts a lot in its place in the order of burning, after what is owed was paid from it.
    fn put(&mut self, kind: LotKind, credits: Credits, granted_at: Timestamp, expires_at: Option<Timestamp>) {
        if !credits.is_positive() {
            return;
        }
        let paid = credits.min(self.owed);
        self.owed -= paid;
        let lot = Lot { kind, granted_at, expires_at, granted: credits, left: credits - paid };
        let order = |lot: &Lot| (lot.kind, lot.expires_at.unwrap_or(Timestamp::MAX), lot.granted_at);
        let place = self.lots.partition_point(|other| order(other) <= order(&lot));
        self.lots.insert(place, lot);
    }
}

/// What is left in each part of an account's credits; together they are what can be spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The plan's credits; `None` while not known.
    pub plan: Option<Credits>,
    /// Bought or awarded ones; `None` while not known.
    pub purchased: Option<Credits>,
    /// Those of which nobody knows what they are; `None` where there are none.
    pub unknown: Option<Credits>,
    /// The bought credits that lapse next, and when.
    pub next_expiry: Option<(Timestamp, Credits)>,
    /// What of the plan's credits was carried over at the last reset; `None` while not known.
    pub carried: Option<Credits>,
}

impl Buckets {
    /// Parts that add up to what can be spent. What the platform says of parts need not: where they hold more (credits held
    /// for running tasks, or a limit of the member's, among them), the excess is taken off the plan's first, because those
    /// burn first; where they hold less, of the rest nobody knows what it is.
    pub fn of_parts(available: Credits, plan: Option<Credits>, purchased: Option<Credits>) -> Buckets {
        if plan.is_none() && purchased.is_none() {
            return Buckets { unknown: Some(available), ..Buckets::default() };
        }
        let rest = available - plan.unwrap_or_default() - purchased.unwrap_or_default();
        let (plan, purchased) = match (plan, purchased) {
            _ if !rest.is_negative() => (plan, purchased),
            (Some(plan), Some(purchased)) => {
                let from_plan = (-rest).min(plan.max(Credits::ZERO));
                (Some(plan - from_plan), Some(purchased + rest + from_plan))
            }
            (plan, purchased) => (plan.map(|_| available), purchased.map(|_| available)),
        };
        Buckets { plan, purchased, unknown: Some(rest).filter(|rest| rest.is_positive()), ..Buckets::default() }
    }

    /// The parts of what can be spent where they follow from the balance and the rules alone; `None` where lots must be
    /// followed.
    pub fn told(record: &BalanceRecord, rules: &LotRules) -> Option<Buckets> {
        let BalanceRecord { available, plan, purchased, .. } = *record;
        match (plan, purchased) {
            _ if rules.purchased_expire_after.is_some() => None,
            (Some(_), Some(_)) => Some(Buckets::of_parts(available, plan, purchased)),
            (None, purchased) if rules.is_prepaid => {
                Some(Buckets::of_parts(available, None, purchased.or(Some(available))))
            }
            _ => None,
        }
    }

    /// The parts of what can be spent, as worked out: what the platform says of a part wins over what follows from lots.
    /// `has_plan` says whether there is a plan at all.
    pub fn of_lots(record: &BalanceRecord, lots: &Lots, has_plan: bool, now: Timestamp) -> Buckets {
        // A reset shows what the plan brought. Before the first, what was seen to come in is known to be bought, and of what
        // was there nobody knows.
        let is_told_apart = !has_plan || lots.carried.is_some();
        let bought = Some(lots.left(LotKind::Purchased)).filter(|bought| bought.is_positive() || is_told_apart);
        let beside_bought = || record.purchased.map(|purchased| (record.available - purchased).max(Credits::ZERO));
        let by_lots = || lots.carried.map(|_| lots.left(LotKind::Plan));
        let plan = record.plan.or_else(|| beside_bought().or_else(by_lots).filter(|_| has_plan));
        let purchased = record.purchased.or(bought);
        Buckets {
            next_expiry: lots.next_expiry(now),
            carried: lots.carried,
            ..Buckets::of_parts(record.available, plan, purchased)
        }
    }
}

#[cfg(test)]
mod tests;
