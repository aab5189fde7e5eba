//! What the mails of some rules tell that the assessment does not hold. It is read from the ledger when a notice is
//! written, and not before.

use jiff::Timestamp;

use crate::domain::{Credits, Drivers, PastAlert, PlanPeriod, Waiting};

/// What a mail tells beyond the assessment. What its rule does not need is left empty.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the team spent on in the last 24 hours.
    pub last_day: Option<Drivers>,
    /// The team's tasks that wait in the queue.
    pub waiting: Vec<Waiting>,
    /// When the account is read next; `None` if people and scripts bring what is known of it.
    pub next_poll: Option<Timestamp>,
    /// Since when charges are held against balances: the first balance, or the last reset.
    pub balanced_since: Option<Timestamp>,
    /// The period that has ended.
    pub ended: Option<EndedPeriod>,
}

/// A plan period, or a budget's, looked back at.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedPeriod {
    /// From when to when.
    pub period: PlanPeriod,
    /// What the team spent on.
    pub spent_on: Drivers,
    /// Of the account's plan credits, what lapsed at the end; `None` while not known.
    pub lapsed: Option<Credits>,
    /// When it was said that the credits would run out before the end, oldest first.
    pub raised: Vec<PastAlert>,
}
