//! Everything that crosses a boundary, in one test binary.

mod alertmanager;
mod announcements;
mod bad_days;
mod commands;
mod corpus;
mod crash;
mod daemon;
mod dashboards;
mod docs;
mod export;
mod latency;
mod map;
mod outbox;
mod platforms;
mod power_cuts;
mod prices;
mod received;
mod reports;
mod round_trip;
mod secrets;
mod silences;
mod smtp;
mod story;
mod support;
mod webhook;
mod whole_program;
