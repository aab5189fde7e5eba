//! The parts of a balance at one reading after another: what of it was the plan's and what had been bought.

use jiff::Timestamp;

use crate::domain::bucket::{Buckets, Event};
use crate::domain::{BalanceRecord, LotRules, Lots};

/// Follows the lots of an account through its readings.
pub(super) struct PartsOverTime<'a> {
    rules: &'a LotRules,
    /// What happened to the lots beside use, oldest first.
    events: &'a [Event],
    lots: Option<Lots>,
}

impl<'a> PartsOverTime<'a> {
    /// Before the first reading.
    pub(super) fn new(rules: &'a LotRules, events: &'a [Event]) -> PartsOverTime<'a> {
        PartsOverTime { rules, events, lots: None }
    }

    /// The parts at the next reading. What neither a charge nor anything else explains was used by then.
    pub(super) fn at(&mut self, read_at: Timestamp, record: &BalanceRecord) -> Buckets {
        let rules = self.rules;
        let lots = self.lots.get_or_insert_with(|| Lots::opened_with(record, read_at, rules.is_prepaid));
        let due = self.events.partition_point(|event| event.at <= read_at);
        let (happened, later) = self.events.split_at(due);
        self.events = later;
        lots.take(happened, rules.refill);
        lots.agree_with(record.available + record.frozen.unwrap_or_default());
        Buckets::told(record, rules).unwrap_or_else(|| Buckets::of_lots(record, lots, !rules.is_prepaid, read_at))
    }
}
