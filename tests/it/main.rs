//! Everything that crosses a boundary, in one test binary.

mod announcements;
mod bad_days;
mod commands;
mod corpus;
mod crash;
mod daemon;
mod dashboards;
mod docs;
mod export;
mod map;
mod platforms;
mod received;
mod reports;
mod round_trip;
mod secrets;
mod story;
mod support;
mod whole_program;
