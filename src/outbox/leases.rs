//! What this process has under way. It is not claimed a second time, whatever the clock says: a clock may jump past the
//! end of a lease, and nobody but its holder knows that a dialogue still goes on. They outlive a reload of the
//! configuration, as a dialogue may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::lock;

/// The messages of all channels that are under way, each with the end of its lease.
#[derive(Debug, Default)]
pub struct Leases {
    ends: Mutex<BTreeMap<i64, Timestamp>>,
}

impl Leases {
    /// A message was claimed until then. It counts as under way for as long as what is returned is kept.
    pub fn hold(self: &Arc<Leases>, id: i64, end: Timestamp) -> Lease {
        lock(&self.ends).insert(id, end);
        Lease { id, all: Arc::clone(self) }
    }

    /// What is still under way though its lease is over.
    pub fn over(&self, now: Timestamp) -> Vec<i64> {
        lock(&self.ends).iter().filter(|(_, end)| **end <= now).map(|(id, _)| *id).collect()
    }

    /// The leases of these messages end then, if they are still held.
    pub fn renew(&self, ids: &[i64], end: Timestamp) {
        let mut ends = lock(&self.ends);
        for id in ids {
            ends.entry(*id).and_modify(|known| *known = end);
        }
    }
}

/// One message under way. It goes with the try, and then with what came of it until that is recorded; a task that is
/// aborted lets go of it.
#[derive(Debug)]
pub struct Lease {
    id: i64,
    all: Arc<Leases>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.all.ends).remove(&self.id);
    }
}
