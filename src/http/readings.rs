//! `POST /api/v1/accounts/{account}/readings`: what scripts push, for who has a token.
//!
//! Here is the manner of HTTP only: who asks, in what form, how much. What a push means is behind the [`Door`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::metrics::agent::AgentMetrics;

/// The largest body of a push, in bytes: ten thousand charges fit.
pub const PUSH_LIMIT: usize = 8 << 20;

/// So much of a body that is too large is still read.
const MOST_DROPPED: usize = 8 * PUSH_LIMIT;

/// How long a push may take, from its first byte to the answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Who guards the ledger against pushes.
pub trait Door: Send + Sync {
    /// Lets somebody in who has a token that may push.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] without a token that is known, [`Refusal::Forbidden`] with one that may not push.
    fn admit(&self, token: Option<&str>) -> Result<Arc<dyn Guest>, Refusal>;
}

/// Somebody who may push.
pub trait Guest: Send + Sync {
    /// Takes a whole push into the ledger, or nothing of it.
    fn push(self: Arc<Self>, account: String, body: Vec<u8>) -> BoxFuture<'static, Result<Taken, Refusal>>;
}

/// What became of the charges of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Charges in it.
    pub read: u64,
    /// Charges that the ledger did not have.
    pub new: u64,
    /// Charges that it had.
    pub known: u64,
    /// Charges that belong to no team of the account.
    pub without_team: u64,
}

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that nobody has.
    Unauthorized,
    /// The token does not allow it; says what.
    Forbidden(String),
    /// There is no such account.
    NoSuchAccount(String),
    /// The body cannot be understood: how many mistakes, and the first of them (place, message, hint).
    Malformed(usize, Vec<(String, String, Option<String>)>),
    /// The form of the request is not the right one.
    WrongForm(String),
    /// The body is larger than [`PUSH_LIMIT`].
    TooLarge,
    /// The ledger could not be written. Pushing again is safe.
    Unavailable,
}

impl Refusal {
    /// Every `reason` label of `fuelgauge_received_failures_total` that pushes have.
    pub const REASONS: [&str; 7] =
        ["unauthorized", "forbidden", "not_found", "malformed", "wrong_form", "too_large", "unavailable"];

    fn reason(&self) -> &'static str {
        match self {
            Refusal::Unauthorized => "unauthorized",
            Refusal::Forbidden(_) => "forbidden",
            Refusal::NoSuchAccount(_) => "not_found",
            Refusal::Malformed(..) => "malformed",
            Refusal::WrongForm(_) => "wrong_form",
            Refusal::TooLarge => "too_large",
            Refusal::Unavailable => "unavailable",
        }
    }

    fn answer(self) -> Response {
        let said = |code: StatusCode, error: String| (code, axum::Json(json!({ "error": error }))).into_response();
        let with = |mut answer: Response, name: HeaderName, value: &'static str| {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
            answer
        };
        match self {
            Refusal::Unauthorized => {
                let error = "expected `Authorization: Bearer` and a token that `web.tokens` knows";
                with(said(StatusCode::UNAUTHORIZED, error.to_owned()), WWW_AUTHENTICATE, "Bearer realm=\"fuelgauge\"")
            }
            Refusal::Forbidden(error) => said(StatusCode::FORBIDDEN, error),
            Refusal::NoSuchAccount(account) => {
                said(StatusCode::NOT_FOUND, format!("the configuration has no account `{account}`"))
            }
            Refusal::WrongForm(error) => said(StatusCode::UNSUPPORTED_MEDIA_TYPE, error),
            Refusal::TooLarge => {
                said(StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {PUSH_LIMIT} bytes; nothing was taken"))
            }
            Refusal::Unavailable => {
                let error = "the ledger cannot be written at the moment; nothing was taken";
                with(said(StatusCode::SERVICE_UNAVAILABLE, error.to_owned()), RETRY_AFTER, "30")
            }
            Refusal::Malformed(count, mistakes) => {
                let mistake = |(at, message, hint): (String, String, Option<String>)| match hint {
                    Some(hint) => json!({"at": at, "message": message, "hint": hint}),
                    None => json!({"at": at, "message": message}),
                };
                let mistakes: Vec<Value> = mistakes.into_iter().map(mistake).collect();
                let error = format!("{count} mistake{}; nothing was taken", if count == 1 { "" } else { "s" });
                let body = json!({"error": error, "mistakes": mistakes});
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
        }
    }
}

/// The door as it is at the moment; there is none before the first configuration is loaded.
pub type DoorReceiver = watch::Receiver<Option<Arc<dyn Door>>>;

#[derive(Clone)]
struct Shared {
    door: DoorReceiver,
    metrics: AgentMetrics,
}

/// The route.
pub fn router(door: DoorReceiver, metrics: AgentMetrics) -> Router {
    let always = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .route("/api/v1/accounts/{account}/readings", post(push))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIME_LIMIT))
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(CACHE_CONTROL, "no-store"))
        .with_state(Shared { door, metrics })
}

async fn push(State(shared): State<Shared>, Path(account): Path<String>, request: Request) -> Response {
    match take(&shared, account, request).await {
        Ok(Taken { read, new, known, without_team }) => {
            let body = json!({"read": read, "new": new, "known": known, "without_team": without_team});
            axum::Json(body).into_response()
        }
        Err(refusal) => {
            shared.metrics.received_failures.with_label_values(&["push", refusal.reason()]).inc();
            refusal.answer()
        }
    }
}

async fn take(shared: &Shared, account: String, request: Request) -> Result<Taken, Refusal> {
    let (head, body) = request.into_parts();
    let door = shared.door.borrow().clone().ok_or(Refusal::Unavailable)?;
    // Who may not push is not listened to.
    let guest = door.admit(bearer(&head.headers))?;
    check_form(&head.headers)?;
    let body = whole(body).await?;
    guest.push(account, body).await
}

/// The token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// JSON, said to be JSON: no form of a web page can send that to another site without being asked.
fn check_form(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::WrongForm("expected `Content-Type: application/json`".to_owned()));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Refusal::WrongForm("expected a body that is not packed".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The whole body. Of one that is too large the rest is read and dropped, within reason: who is cut off in the middle of
/// sending does not hear why.
async fn whole(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut taken, mut read) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        // A connection that breaks ends here; nobody is left to read the answer.
        let chunk = chunk.map_err(|error| Refusal::WrongForm(format!("the body ended too early: {error}")))?;
        read += chunk.len();
        if read <= PUSH_LIMIT {
            taken.extend_from_slice(&chunk);
        } else if read <= MOST_DROPPED {
            taken = Vec::new();
        } else {
            break;
        }
    }
    if read > PUSH_LIMIT { Err(Refusal::TooLarge) } else { Ok(taken) }
}
