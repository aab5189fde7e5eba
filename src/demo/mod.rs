//! The whole product in one process, with nothing to configure: its simulated surroundings.

pub mod catcher;
