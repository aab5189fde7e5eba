//! fuelgauge: will the credits last until the plan resets?
//!
//! A usage monitor and alerting agent for teams on platforms that sell credits. It asks the platforms, on a schedule, how
//! many credits are left, what was charged and what waits in the queue; keeps the answers in a ledger; forecasts when the
//! credits run out, compared with the day the plan refills; shows all of it as Prometheus metrics and on a page; and
//! writes a mail when somebody should act.
//!
//! # The way through the house
//!
//! ```text
//! schedule ──► poller ──► ledger ──► forecast ──► alert ──► notify
//!   when?       ask        keep        predict      decide     tell
//!                                         └──────► metrics (show)
//! ```
//!
//! Facts travel to the right only: a step hands its result on and never reaches back. In the middle is [`domain`], a pure
//! core without clock or I/O; around it are thin edges, one for each thing in the outside world, that do not know one
//! another; between them are a few files that join edges.
//!
//! ```text
//!                  ┌─ poller ───── provider, store, metrics
//!  main ── app ────┼─ assessor ─── store, notify (the words)
//!                  ├─ outbox ───── store, notify, metrics
//!                  ├─ forwarder ── notify (Alertmanagers), metrics
//!                  ├─ reports ──── store, notify (the words), metrics
//!                  ├─ intake ───── http (pushes, announcements, silences, plans), import (folders), assessor
//!                  └─ http ─────── metrics
//!
//!       commands ──┬─ import ───── provider, store
//!                  ├─ export ───── store, metrics
//!                  └─ backtest ─── provider
//!
//!         all of them ─────► domain ─────► nobody
//! ```
//!
//! # Invariants
//!
//! - **The core is arithmetic.** `domain` reads no clock, network, disk or environment, and has no `async`. Time is an
//!   argument; results are values.
//! - **Foreign shapes stay at their edge.** A platform's JSON is known in its mapping file, SQL in `store`, YAML in
//!   `config`, mail in `notify`, the serving of HTTP in `http`.
//! - **Neighbours do not know one another.** `provider`, `store`, `metrics` and `notify` know `domain`, never each other. What
//!   goes out by HTTP, to ask or to tell, goes by [`outgoing`], which knows nobody.
//! - **Assessing takes no hint.** It looks at the ledger and the time. A restart, a late tick and a usual tick run the same
//!   code.
//! - **A failed poll is a fact.** It is recorded, counted with its reason, and shown as age. What was not read recently is
//!   left out, never shown as zero.
//! - **Credits are exact.** Integer millionths in storage and arithmetic; floats only in statistics and at the gauge.
//! - **What is and what is told are two steps.** An alert steps by what its rule finds; what people hear of it follows from
//!   what they last heard. A mute keeps a telling back and never changes the alert.
//! - **A notice is delivered at least once.** It is decided, rendered and stored in one commit, told by a message of its
//!   own or by one that takes the place of several, and marked sent after the relay accepted that.
//! - **A plan is weighed as the present is.** An estimate reads the same ledger, and its job joins the same forecast, as what
//!   raises alerts. A price that nobody knows makes the whole job unknown.
//! - **Only the shell has a clock.** [`clock`] is the one place where time comes from; tests and the demo bring their own.

#![forbid(unsafe_code)]

pub mod app;
pub mod assessor;
pub mod backtest;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod domain;
pub mod export;
pub mod forwarder;
pub mod http;
pub mod import;
pub mod intake;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod outbox;
pub mod outgoing;
pub mod poller;
pub mod provider;
pub mod reports;
pub mod schedule;
pub mod store;
