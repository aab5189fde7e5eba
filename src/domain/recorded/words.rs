//! The same in words.

use super::RecordedEstimate;
use crate::domain::words::{amount, counted};

/// So many lines are named.
const NAMED_LINES: usize = 3;

impl RecordedEstimate {
    /// The job: its first lines, `40 × text-to-3d in high; 12 × rig and 3 lines more`.
    pub fn in_words(&self) -> String {
        let named = self.lines.iter().take(NAMED_LINES).map(|line| line.request.in_words());
        let named = named.collect::<Vec<_>>().join("; ");
        match self.lines.len().saturating_sub(NAMED_LINES) {
            0 => named,
            more => format!("{named} and {} more", counted(more as u64, "line", "lines")),
        }
    }

    /// What of a plan is still to come: `40 × text-to-3d, about 230 credits to come`; `None` where nothing is.
    pub fn to_come_in_words(&self) -> Option<String> {
        let to_come = Some(self.remaining().p50).filter(|to_come| self.is_planned && to_come.is_positive())?;
        Some(format!("{}, about {} credits to come", self.in_words(), amount(to_come)))
    }
}
