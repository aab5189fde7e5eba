//! The door: who asks, in what form, how much. What is asked for is behind the [`Door`], which the whole program puts there.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::domain::{Announcement, AnnouncementForm};
use crate::metrics::agent::AgentMetrics;

/// The largest body, in bytes: ten thousand charges fit.
pub const PUSH_LIMIT: usize = 8 << 20;

/// So much of a body that is too large is still read.
const MOST_DROPPED: usize = 8 * PUSH_LIMIT;

/// How long a request may take, from its first byte to the answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Who guards the ledger against what comes in from outside.
pub trait Door: Send + Sync {
    /// Lets somebody in who has a token that may do this.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] without a token that is known, [`Refusal::Forbidden`] with one that may not do it.
    fn admit(&self, token: Option<&str>, errand: Errand) -> Result<Arc<dyn Guest>, Refusal>;
}

/// What somebody comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To push readings.
    Push,
    /// To announce, or to see what is announced.
    Announce,
}

impl Errand {
    /// Every one.
    pub const ALL: [Errand; 2] = [Errand::Push, Errand::Announce];

    /// The `channel` label of what comes in, and the scope that a token needs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Errand::Push => "push",
            Errand::Announce => "announce",
        }
    }
}

/// Somebody who was let in, for what they came for.
pub trait Guest: Send + Sync {
    /// Takes a whole push into the ledger, or nothing of it.
    fn push(self: Arc<Self>, account: String, body: Vec<u8>) -> Answered<Taken>;

    /// Everything announced for a team, what is over or withdrawn too.
    fn announcements(self: Arc<Self>, team: String) -> Answered<Vec<Told>>;

    /// Keeps an announcement of a team, which names its account if it draws on several.
    fn announce(self: Arc<Self>, team: String, account: Option<String>, form: AnnouncementForm) -> Answered<Told>;

    /// Takes an announcement of a team back.
    fn withdraw(self: Arc<Self>, team: String, id: i64) -> Answered<Told>;
}

/// What a guest is answered.
pub type Answered<T> = BoxFuture<'static, Result<T, Refusal>>;

/// An announcement, with what its words need.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The announcement.
    pub announcement: Announcement,
    /// The account's zone.
    pub zone: TimeZone,
    /// The moment of the answer.
    pub now: Timestamp,
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
    /// There is no such account, team or announcement; says which.
    NotFound(String),
    /// It does not fit what is there already; says why.
    Conflict(String),
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
    /// Every `reason` label of `fuelgauge_received_failures_total` there is.
    pub const REASONS: [&str; 8] =
        ["unauthorized", "forbidden", "not_found", "conflict", "malformed", "wrong_form", "too_large", "unavailable"];

    /// One mistake of a body.
    pub fn mistake(at: impl Into<String>, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let (message, hint) = match message.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (message, None),
        };
        Refusal::Malformed(1, vec![(at.into(), message, hint)])
    }

    fn reason(&self) -> &'static str {
        match self {
            Refusal::Unauthorized => "unauthorized",
            Refusal::Forbidden(_) => "forbidden",
            Refusal::NotFound(_) => "not_found",
            Refusal::Conflict(_) => "conflict",
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
            Refusal::NotFound(error) => said(StatusCode::NOT_FOUND, error),
            Refusal::Conflict(error) => said(StatusCode::CONFLICT, error),
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

/// What every request of the door needs.
#[derive(Clone)]
pub(super) struct Doorway {
    door: DoorReceiver,
    metrics: AgentMetrics,
}

/// The routes behind the door, each with its limits.
pub fn router(door: DoorReceiver, metrics: AgentMetrics) -> Router {
    let always = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    super::readings::routes()
        .merge(super::announcements::routes())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIME_LIMIT))
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(CACHE_CONTROL, "no-store"))
        .with_state(Doorway { door, metrics })
}

impl Doorway {
    /// Lets the sender of a request in, or answers why not.
    pub(super) fn admit(&self, headers: &HeaderMap, errand: Errand) -> Result<Arc<dyn Guest>, Refusal> {
        let door = self.door.borrow().clone().ok_or(Refusal::Unavailable)?;
        door.admit(bearer(headers), errand)
    }

    /// The answer to a refused request, which is counted.
    pub(super) fn refuse(&self, errand: Errand, refusal: Refusal) -> Response {
        self.metrics.received_failures.with_label_values(&[errand.as_str(), refusal.reason()]).inc();
        refusal.answer()
    }
}

/// The whole body of a request that says it is JSON.
pub(super) async fn json_body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    check_form(headers)?;
    whole(body).await
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
