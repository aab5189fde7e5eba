//! Show: the metrics.
pub mod agent;
