//! fuelgauge: will the credits last until the plan resets?
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod lifecycle;
pub mod metrics;
pub mod notify;
pub mod provider;
pub mod store;
