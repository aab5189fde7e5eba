//! Everything that crosses a boundary, in one test binary.

mod dashboards;
mod support;
