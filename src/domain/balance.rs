//! Balances against entries: what a reported balance says that no charge explains. Pure; `store` keeps what comes out.
//!
//! From the first balance on, at every reading: the first balance, and every entry since, and the drift, add up to what
//! is held now. Nothing is lost between a list of charges and a balance that disagree, and nothing is counted twice.

use jiff::{SignedDuration, Timestamp};

use super::account::CarryOver;
use super::bucket::DueLot;
use super::calendar::ResetRule;
use super::credits::Credits;
use super::ledger::{Basis, Entry, EntryKind};
use super::reading::{BalanceRecord, PlanRecord, TaskRecord, TaskState};

/// The last balance read, and how far it agrees with the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceState {
    /// What the platform said.
    pub record: BalanceRecord,
    /// When.
    pub read_at: Timestamp,
    /// When the first balance was read. What was charged before that is in it already.
    pub opened_at: Timestamp,
    /// Since when entries are held against balances: the first reading, or the last reset.
    pub baseline_at: Timestamp,
    /// Balance change since then that no entry explains; above zero: more left than charges say. `None` until two
    /// balances were read.
    pub drift: Option<Credits>,
    /// Sum of all grants recognised so far.
    pub granted: Credits,
    /// Sum of all credits that lapsed at their own date so far.
    pub expired: Credits,
    /// A plan reset that has passed without showing in the balance yet.
    pub awaited_reset: Option<Timestamp>,
}

/// From what an account's charges are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChargeSource {
    /// The platform, an import or a push lists them. What else a balance shows stays unexplained.
    #[default]
    History,
    /// Nobody lists them: what a balance lost since the last one is a charge. A reading may hide a charge and a refund of
    /// the same size, so that this is the least that was spent.
    Balance,
}

impl ChargeSource {
    /// Both sources.
    pub const ALL: [ChargeSource; 2] = [ChargeSource::History, ChargeSource::Balance];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChargeSource::History => "history",
            ChargeSource::Balance => "balance",
        }
    }

    /// The source of that word.
    pub fn parse(word: &str) -> Option<ChargeSource> {
        ChargeSource::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

/// What happened since the previous reading, as far as it is known without the balance.
#[derive(Clone, Copy, Debug)]
pub struct Since<'a> {
    /// The moment of the reading.
    pub now: Timestamp,
    /// Charges less refunds that came into the ledger since, whose time is not before the baseline.
    pub net_charged: Credits,
    /// Charges less refunds that came into the ledger since, whose time lies before the baseline and after the first
    /// reading: their effect on the balance was closed as an adjustment when nobody knew of them.
    pub net_late: Credits,
    /// Of `net_charged`, what was estimated from a table of prices and may be wrong.
    pub net_estimated: Credits,
    /// The plan reset that lies between the two readings, if one does.
    pub reset_at: Option<Timestamp>,
    /// Credits that a plan period begins with, where known: a rise to just that is a reset, whatever the date; where unused
    /// ones are carried over, a rise by just that.
    pub allowance: Option<Credits>,
    /// What remains of the plan's unused credits at a reset.
    pub carry_over: CarryOver,
    /// Bought lots whose own date is near, the oldest first: a fall may be theirs.
    pub due: &'a [DueLot],
    /// From what charges are known.
    pub charges: ChargeSource,
    /// What may yet come back: recent charges derived from balances, and tasks that failed and were charged for.
    pub refundable: &'a [Refundable],
}

/// Something charged for that may come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refundable {
    /// The task, or the derived charge.
    pub id: String,
    /// When it was charged.
    pub created_at: Timestamp,
    /// Its state.
    pub state: TaskState,
    /// Its kind.
    pub task_type: String,
    /// Whether it was derived from balances.
    pub is_derived: bool,
    /// What it cost so far.
    pub net: Credits,
}

/// What a balance adds to the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// The state from now on.
    pub state: BalanceState,
    /// Grants, expiries, resets and adjustments.
    pub entries: Vec<Entry>,
    /// Derived charges and what came back for them, to be reconciled like any other record. The state holds them already.
    pub records: Vec<TaskRecord>,
}

/// How long after a plan reset a rise of the balance is still taken for it: platforms refill late.
pub const RESET_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// How old a charge may be for a rise of its size to be its refund.
pub const REFUND_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The kind of a charge that was derived from balances: of which task nobody says.
pub const DERIVED_TASK_TYPE: &str = "unlisted";

/// What the ids of derived charges begin with. The instant of the reading follows.
pub const DERIVED_PREFIX: &str = "balance/";

/// Holds a balance against the one before it.
///
/// - Bought credits whose own date is near explain a fall that is as large as they are, and on the date itself a smaller one
///   too: an `expiry`.
/// - Across a reset, what no charge explains becomes one `reset` entry, and the drift begins anew at 0; the old drift is
///   closed by an `adjustment`. A rise to just the plan's allowance, or by it where unused credits are carried over, is a
///   reset too, at whatever time: plans change.
/// - Where charges are listed, a rise that two readings in a row agree on becomes a `grant` of the smaller of the two; not
///   sooner, because a refund may show in the balance before it shows in the list. A fall stays as drift: it is what
///   somebody spent where the list of charges does not look.
/// - Where they are not, a fall is a charge; a rise is the refund of a recent charge of just that size, or else a grant.
///   Below what was only estimated it corrects the estimate.
pub fn reconcile_balance(previous: Option<&BalanceState>, record: &BalanceRecord, since: &Since<'_>) -> Reconciled {
    let now = since.now;
    let first = BalanceState {
        record: record.clone(),
        read_at: now,
        opened_at: now,
        baseline_at: now,
        drift: None,
        granted: Credits::ZERO,
        expired: Credits::ZERO,
        awaited_reset: None,
    };
    let Some(previous) = previous else {
        return Reconciled { state: first, entries: Vec::new(), records: Vec::new() };
    };
    let state = BalanceState {
        opened_at: previous.opened_at,
        baseline_at: previous.baseline_at,
        granted: previous.granted,
        expired: previous.expired,
        ..first
    };
    let mut reconciled = Reconciled { state, entries: Vec::new(), records: Vec::new() };
    reconciled.explain(previous, change(&previous.record, record) + since.net_charged, since);
    reconciled
}

impl Reconciled {
    fn explain(&mut self, previous: &BalanceState, mut unexplained: Credits, since: &Since<'_>) {
        let now = since.now;
        self.add(format!("adjustment/late/{now}"), EntryKind::Adjustment, now, since.net_late);
        let lapsed = lapsed_of(since.due, -unexplained);
        self.add(format!("expiry/{now}"), EntryKind::Expiry, now, lapsed);
        self.state.expired += lapsed;
        unexplained += lapsed;

        let awaited = previous.awaited_reset.filter(|at| now.duration_since(*at) <= RESET_GRACE);
        let drift_before = previous.drift.unwrap_or(Credits::ZERO);
        if let Some(at) = since.reset_at.or(awaited.filter(|_| unexplained.is_positive())) {
            let has_shown = unexplained != Credits::ZERO;
            self.state.awaited_reset = if has_shown { None } else { Some(at) };
            return self.begin_anew(format!("reset/{at}"), at, unexplained, drift_before);
        }
        self.state.awaited_reset = awaited;
        let refill = RefillSeen { before: &previous.record, now: &self.state.record, since };
        if since.charges == ChargeSource::Balance {
            let amount = unexplained + drift_before;
            let is_refill = refill.is_one(amount);
            return self.derive(amount, is_refill, since);
        }
        let drift = drift_before + unexplained;
        self.state.drift = Some(drift);
        if drift_before.is_positive() && drift.is_positive() {
            let amount = drift_before.min(drift);
            if refill.was_one(amount) && was_raised_by(amount, since.allowance) {
                return self.begin_anew(format!("reset/{now}"), now, drift, Credits::ZERO);
            }
            self.grant(amount, now);
            self.state.drift = Some(drift - amount);
        }
    }

    /// Nobody lists charges, so that everything is explained at once.
    fn derive(&mut self, unexplained: Credits, is_refill: bool, since: &Since<'_>) {
        let now = since.now;
        self.state.drift = Some(Credits::ZERO);
        if unexplained.is_negative() {
            let id = format!("{DERIVED_PREFIX}{now}");
            self.records.push(derived_charge(id, now, DERIVED_TASK_TYPE, -unexplained));
        } else if unexplained.is_positive() {
            let is_recent = |charge: &&Refundable| now.duration_since(charge.created_at) <= REFUND_WINDOW;
            let latest = since.refundable.iter().filter(is_recent).filter(|charge| charge.net == unexplained);
            if let Some(charge) = latest.max_by_key(|charge| charge.created_at) {
                self.records.push(refund_of(charge, now));
            } else if is_refill {
                self.begin_anew(format!("reset/{now}"), now, unexplained, Credits::ZERO);
            } else if unexplained <= since.net_estimated {
                self.add(format!("adjustment/{now}"), EntryKind::Adjustment, now, unexplained);
            } else {
                self.grant(unexplained, now);
            }
        }
    }

    /// A plan reset: what no charge explains is its doing, and what was not explained before it stays so.
    fn begin_anew(&mut self, key: String, at: Timestamp, credits: Credits, drift_before: Credits) {
        let now = self.state.read_at;
        self.add(format!("adjustment/{now}"), EntryKind::Adjustment, at, drift_before);
        self.add(key, EntryKind::Reset, at, credits);
        self.state.drift = Some(Credits::ZERO);
        self.state.baseline_at = now;
    }

    fn grant(&mut self, credits: Credits, now: Timestamp) {
        self.state.granted += credits;
        self.add(format!("grant/{}/{now}", self.state.granted), EntryKind::Grant, now, credits);
    }

    /// Adds an entry, unless it is about nothing.
    fn add(&mut self, key: String, kind: EntryKind, at: Timestamp, credits: Credits) {
        if credits != Credits::ZERO {
            let seen_at = self.state.read_at;
            let basis = Basis::Derived;
            self.entries.push(Entry { key, kind, at, seen_at, credits, task_id: None, team: None, basis });
        }
    }
}

/// A charge that is known from balances alone. It is a sum: of how many tasks nobody says.
fn derived_charge(id: String, at: Timestamp, task_type: &str, credits: Credits) -> TaskRecord {
    TaskRecord {
        credits: Some(credits),
        is_sum: true,
        basis: Basis::Derived,
        ..TaskRecord::new(id, at, TaskState::Succeeded, task_type)
    }
}

/// The record by which a charge comes back as a whole.
fn refund_of(charge: &Refundable, now: Timestamp) -> TaskRecord {
    if charge.is_derived {
        return derived_charge(charge.id.clone(), charge.created_at, &charge.task_type, Credits::ZERO);
    }
    TaskRecord {
        finished_at: Some(now),
        credits: Some(Credits::ZERO),
        basis: Basis::Derived,
        ..TaskRecord::new(charge.id.clone(), charge.created_at, charge.state, charge.task_type.clone())
    }
}

/// A rise between two readings that may be a plan's refill.
struct RefillSeen<'a> {
    before: &'a BalanceRecord,
    now: &'a BalanceRecord,
    since: &'a Since<'a>,
}

impl RefillSeen<'_> {
    /// Whether the balance, or its plan part where it is told, has just risen to what a period begins with: the plan's
    /// allowance, on top of what is carried over. `risen` is what no charge explains.
    fn is_one(&self, risen: Credits) -> bool {
        let Some(allowance) = self.since.allowance else { return false };
        let (before, now) = self.before.plan.zip(self.now.plan).unwrap_or((self.before.available, self.now.available));
        match self.since.carry_over {
            CarryOver::Nothing => before < allowance && now == allowance,
            CarryOver::All => risen == allowance,
            CarryOver::AtMost(most) => risen == allowance || (before < now && now == most + allowance),
        }
    }

    /// The same of a rise that the reading before showed already.
    fn was_one(&self, risen: Credits) -> bool {
        let full = self.since.allowance.map(|allowance| match self.since.carry_over {
            CarryOver::AtMost(most) => most + allowance,
            CarryOver::Nothing | CarryOver::All => allowance,
        });
        let was_full = self.since.carry_over != CarryOver::All && full == Some(self.before.available);
        self.is_one(risen) || was_full
    }
}

/// How much of a fall is that of lots whose own date is near: each as a whole, or on its date as far as the fall goes.
fn lapsed_of(due: &[DueLot], fall: Credits) -> Credits {
    let mut unexplained = fall.max(Credits::ZERO);
    let mut lapsed = Credits::ZERO;
    for lot in due.iter().filter(|lot| lot.left.is_positive()) {
        let taken = lot.left.min(unexplained);
        if taken == lot.left || lot.has_come {
            lapsed += taken;
            unexplained -= taken;
        }
    }
    lapsed
}

/// Whether a rise is large enough to be a plan's refill and not the last missing credits of a full tank: a tenth.
fn was_raised_by(credits: Credits, allowance: Option<Credits>) -> bool {
    allowance.is_some_and(|allowance| credits.micros() >= allowance.micros() / 10)
}

/// The plan reset in `(from, to]`, if there is one: the platform's date if it gave one, else the configured rule's. Of
/// several the latest.
pub fn reset_between(
    reported: Option<&PlanRecord>,
    declared: Option<&ResetRule>,
    from: Timestamp,
    to: Timestamp,
) -> Option<Timestamp> {
    let lies_between = |at: &Timestamp| from < *at && *at <= to;
    match reported.and_then(|plan| plan.resets_at) {
        Some(at) => Some(at).filter(lies_between),
        None => declared.and_then(|rule| rule.last_at_or_before(to)).filter(lies_between),
    }
}

/// How much more is held than before. Credits frozen for running tasks have not been spent, so they count where both
/// readings name them.
fn change(before: &BalanceRecord, now: &BalanceRecord) -> Credits {
    let frozen = match (before.frozen, now.frozen) {
        (Some(before), Some(now)) => now - before,
        _ => Credits::ZERO,
    };
    now.available - before.available + frozen
}

#[cfg(test)]
mod tests;
