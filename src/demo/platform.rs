//! A simulated platform that speaks the published Meshy formats over real HTTP, for the demo and for tests.
//!
//! [`World`] is the simulation: accounts, tasks and credits, deterministic, moved by the time it is told. [`Platform`]
//! puts it behind a loopback server. It answers what the real platform's documentation describes, in the same shapes,
//! and nothing else; [`Fault`]s make it misbehave where a test wants that.
//!
//! - `catalog`: the task types, their collections and prices
//! - `task`, `account`, `world`: what is simulated
//! - `behaviour`, `prompt`, `teams`: who launches what, and the three teams of the demo
//! - `wire`, `server`, `faults`: the HTTP side

mod account;
mod behaviour;
mod catalog;
mod faults;
mod prompt;
mod server;
mod task;
mod teams;
mod wire;
mod world;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

pub use account::{Account, AccountSetup, ApiKey, PlanTier, TimeEncoding, Totals};
pub use behaviour::{Behaviour, Habits, Launch, Pace};
pub use catalog::{Output, TASK_TYPES, TaskType};
pub use faults::Fault;
pub use server::Endpoint;
pub use task::{Fate, Prompt, Task, TaskId};
pub use teams::{DEMO_TEAMS, DEMO_ZONE, DemoTeam, HOT, STEADY, WASTEFUL, demo_start};
pub use world::{NewTask, World, WorldError};

/// A [`World`] behind a loopback server. Dropping it stops the server.
pub struct Platform {
    address: SocketAddr,
    shared: Arc<server::Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Platform {
    /// Serves a world on a free port of the loopback interface. Each request brings its account up to the clock's time.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(world: Arc<Mutex<World>>, clock: Arc<dyn Clock>) -> std::io::Result<Platform> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let shared = Arc::new(server::Shared {
            world,
            clock,
            faults: Mutex::default(),
            requests: Mutex::default(),
            stopping: stopping.clone(),
        });
        let app = axum::Router::new().fallback(server::handle).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            let server = axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned());
            if let Err(error) = server.await {
                tracing::error!(%error, "the simulated platform stopped");
            }
        });
        Ok(Platform { address, shared, serving: Some(serving) })
    }

    /// Where it listens, such as `http://127.0.0.1:40123`; no slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The world behind it, for looking and for meddling. Hold the lock shortly: requests wait for it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        server::lock(&self.shared.world)
    }

    /// Makes an endpoint misbehave until the fault is cleared. It replaces the endpoint's earlier fault.
    pub fn set_fault(&self, endpoint: Endpoint, fault: Fault) {
        server::lock(&self.shared.faults).set(endpoint, fault, None);
    }

    /// Makes an endpoint misbehave for so many requests.
    pub fn set_fault_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        server::lock(&self.shared.faults).set(endpoint, fault, Some(times));
    }

    /// Makes an endpoint behave again.
    pub fn clear_fault(&self, endpoint: Endpoint) {
        server::lock(&self.shared.faults).clear(endpoint);
    }

    /// Makes every endpoint behave again.
    pub fn clear_faults(&self) {
        server::lock(&self.shared.faults).clear_all();
    }

    /// Requests to an endpoint so far; for [`Endpoint::Any`], all of them.
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        let requests = server::lock(&self.shared.requests);
        match endpoint {
            Endpoint::Any => requests.values().sum(),
            _ => requests.get(&endpoint).copied().unwrap_or(0),
        }
    }

    /// Requests so far, for every endpoint that had one.
    pub fn requests_by_endpoint(&self) -> HashMap<Endpoint, u64> {
        server::lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn reset_requests(&self) {
        server::lock(&self.shared.requests).clear();
    }

    /// Stops, and waits until the last answer is out.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        if let Some(serving) = self.serving.take() {
            // A panic in the server was reported where it happened.
            let _ = serving.await;
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

#[cfg(test)]
mod tests;
