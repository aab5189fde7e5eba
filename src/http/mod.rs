//! Serve: the page, the metrics, the health checks and the status as JSON.
//!
//! Everything shown is made from the latest snapshot and the present moment; no request waits for a platform, and none for
//! the ledger but what is brought through the door (by the API or a form) and what a job would cost, of which few are asked
//! at once.
//! Whoever reaches the port may read all of it, so nothing here holds a secret or a mail address.

use std::any::Any;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::clock::Clock;
use crate::domain::{RuleName, Snapshot};
use crate::metrics::{self, Metrics};

pub mod announcements;
mod announcing;
mod body;
mod chart;
pub mod door;
mod estimates;
pub mod explanation;
mod form;
mod gauge;
mod job;
mod outbox;
mod pages;
pub mod plan;
mod planning;
mod readings;
mod refusal;
pub mod reload;
mod rules;
pub mod silences;
mod silencing;
mod status;
mod verdict;
mod view;
mod words;

use door::{Doorway, Errand};
use pages::Pages;

/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to send its request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long running requests may take once the server is asked to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The largest request body.
const BODY_LIMIT: usize = 1 << 20;

/// Nothing but our own style sheet and icon is loaded, nothing runs, nobody frames the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

/// What the server shows.
#[derive(Clone)]
pub struct HttpState {
    /// The latest assessment of every account.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What `/metrics` renders.
    pub metrics: Arc<Metrics>,
    /// The present moment, for ages and for the place in the period.
    pub clock: Arc<dyn Clock>,
    /// Whether configuration, ledger and first assessment are loaded.
    pub ready: watch::Receiver<bool>,
    /// Who guards the ledger against what the forms of the page bring.
    pub door: door::DoorReceiver,
    /// Where people reach the page; links begin with its path.
    pub external_url: Option<String>,
    /// The version shown.
    pub version: &'static str,
}

/// The routes, with everything round them. The metrics are at `telemetry_path`, which begins with a slash and is none of
/// the other addresses.
///
/// # Errors
/// A page template that does not compile: a mistake found by the first test that runs.
pub fn router(state: HttpState, telemetry_path: &str) -> Result<Router, minijinja::Error> {
    let pages = Pages::new(state.external_url.as_deref(), state.version, telemetry_path)?;
    let doorway = Doorway::new(state.door.clone(), state.metrics.agent.clone());
    let shared = Arc::new(Shared { state, pages, doorway });
    let routes = Router::new()
        .route("/", get(overview))
        .route("/teams/{team}", get(team))
        .route("/alerts", get(alerts))
        .route("/rules/{rule}", get(rule))
        .route("/style.css", get(|| async { asset("text/css; charset=utf-8", pages::STYLE) }))
        .route("/plan.js", get(|| async { asset("text/javascript; charset=utf-8", pages::PLAN_SCRIPT) }))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", pages::ICON) }))
        .route(telemetry_path, get(scrape))
        .route("/-/healthy", get(|| async { "fuelgauge is healthy.\n" }))
        .route("/-/ready", get(ready))
        .route("/api/v1/status", get(status_json))
        .route("/api/v1/teams/{team}", get(team_json))
        .merge(planning::routes())
        .fallback(not_found);
    Ok(guarded(routes, shared))
}

/// Puts round the routes what every answer needs: limits, compression, headers, and an answer for a panic.
fn guarded(routes: Router<Arc<Shared>>, shared: Arc<Shared>) -> Router {
    let failures = Arc::clone(&shared);
    let always = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // A layer added later is further out.
    routes
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_LIMIT))
        // What a form brings has the limits of the door.
        .merge(announcing::routes().merge(silencing::routes()).merge(planning::forms()).layer(door::time_limit()))
        // The quickest: packing takes longer than everything else about a large scrape, on a thread that others wait for.
        .layer(CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            // The panic hook has printed the message; a reader of the page must not learn it.
            drop(panic);
            failures.fail("a request panicked", "")
        }))
        .layer(always(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(header::X_FRAME_OPTIONS, "DENY"))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        .layer(always(header::CACHE_CONTROL, "no-store"))
        .with_state(shared)
}

/// Serves until `shutdown` is asked for, then lets running requests finish, at most a few seconds.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let handle = axum_server::Handle::new();
    let mut server =
        axum_server::from_tcp(listener)?.handle(handle.clone()).http1_only().first_request_timeout(HEAD_LIMIT);
    server.http_builder().http1().header_read_timeout(HEAD_LIMIT);
    let serving = server.serve(router.into_make_service());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended,
        () = shutdown.cancelled() => {
            handle.graceful_shutdown(Some(DRAIN_LIMIT));
            serving.await
        }
    }
}

struct Shared {
    state: HttpState,
    pages: Pages,
    doorway: Doorway,
}

type SharedState = State<Arc<Shared>>;

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.snapshot.borrow())
    }

    fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    fn page(&self, code: StatusCode, template: &str, title: &str, view: impl serde::Serialize) -> Response {
        match self.pages.render(template, title, view) {
            Ok(page) => (code, Html(page)).into_response(),
            Err(error) => self.fail("a page could not be made", &format!("{error:#}")),
        }
    }

    fn message(&self, code: StatusCode, title: &str, text: &str) -> Response {
        self.page(code, "message.html", title, json!({ "text": text }))
    }

    fn no_such_team(&self, team: &str) -> Response {
        self.message(StatusCode::NOT_FOUND, "No such team", &format!("No team is named `{team}`."))
    }

    fn fail(&self, what: &str, error: &str) -> Response {
        self.state.metrics.agent.web_failures.inc();
        tracing::error!(error, "{what}");
        (StatusCode::INTERNAL_SERVER_ERROR, "internal error; the log says more\n").into_response()
    }
}

/// Works where blocking is allowed: a large installation's page takes milliseconds that other requests should not wait.
async fn blocking(shared: Arc<Shared>, work: impl FnOnce(&Shared) -> Response + Send + 'static) -> Response {
    let on_failure = Arc::clone(&shared);
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.unwrap_or_else(|error| on_failure.fail("a request panicked", &error.to_string()))
}

async fn overview(State(shared): SharedState) -> Response {
    blocking(shared, |shared| {
        let overview = view::Overview::of(&shared.snapshot(), shared.now());
        let title = match overview.urgent() {
            0 => "fuelgauge".to_string(),
            urgent => format!("({urgent}) fuelgauge"),
        };
        shared.page(StatusCode::OK, "overview.html", &title, overview)
    })
    .await
}

async fn team(State(shared): SharedState, Path(team): Path<String>) -> Response {
    blocking(shared, move |shared| {
        let can_announce = shared.doorway.opens(Errand::Announce, Some(&team));
        match view::TeamPage::of(&shared.snapshot(), &team, can_announce, shared.now()) {
            Some(page) => shared.page(StatusCode::OK, "team.html", &team, page),
            None => shared.no_such_team(&team),
        }
    })
    .await
}

async fn alerts(State(shared): SharedState) -> Response {
    blocking(shared, |shared| {
        let page = view::AlertsPage::of(&shared.snapshot(), shared.now());
        shared.page(StatusCode::OK, "alerts.html", "Alerts", page)
    })
    .await
}

/// What a rule means and what to do: what links in alerts lead to.
async fn rule(State(shared): SharedState, Path(rule): Path<String>) -> Response {
    match RuleName::parse(&rule) {
        Some(rule) => {
            let (title, page) = rules::RulePage::of(rule);
            shared.page(StatusCode::OK, "rule.html", &title, page)
        }
        None => shared.message(StatusCode::NOT_FOUND, "No such rule", &format!("No rule is named `{rule}`.")),
    }
}

async fn scrape(State(shared): SharedState) -> Response {
    blocking(shared, |shared| match shared.state.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => shared.fail("the metrics could not be rendered", &error.to_string()),
    })
    .await
}

async fn status_json(State(shared): SharedState) -> Response {
    blocking(shared, |shared| {
        let status = status::status(&shared.snapshot(), shared.state.version, shared.now());
        axum::Json(status).into_response()
    })
    .await
}

async fn team_json(State(shared): SharedState, Path(team): Path<String>) -> Response {
    blocking(shared, move |shared| match status::team(&shared.snapshot(), &team, shared.now()) {
        Some(team) => axum::Json(team).into_response(),
        None => {
            (StatusCode::NOT_FOUND, axum::Json(json!({ "error": format!("no such team: `{team}`") }))).into_response()
        }
    })
    .await
}

async fn ready(State(shared): SharedState) -> Response {
    if *shared.state.ready.borrow() {
        "fuelgauge is ready.\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "fuelgauge is not ready: the first assessment is not done.\n").into_response()
    }
}

async fn not_found(State(shared): SharedState, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return (StatusCode::NOT_FOUND, axum::Json(json!({ "error": "no such endpoint" }))).into_response();
    }
    shared.message(StatusCode::NOT_FOUND, "Not found", "There is no page at this address.")
}

/// A file of ours; its address changes with its content.
fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests;
