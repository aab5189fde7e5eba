//! Everything that crosses a boundary, in one test binary.

mod bad_days;
mod dashboards;
mod docs;
mod map;
mod story;
mod support;
