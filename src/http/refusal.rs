//! Why somebody at the door does not get what they ask for, and how that is answered.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that nobody has.
    Unauthorized,
    /// The token does not allow it; says what.
    Forbidden(String),
    /// There is no such account, team, announcement or silence; says which.
    NotFound(String),
    /// It does not fit what is there already; says why.
    Conflict(String),
    /// The body cannot be understood: how many mistakes, and the first of them (place, message, hint).
    Malformed(usize, Vec<(String, String, Option<String>)>),
    /// The form of the request is not the right one.
    WrongForm(String),
    /// The body is larger than so many bytes.
    TooLarge(usize),
    /// The ledger could not be read or written. Pushing again is safe.
    Unavailable,
    /// Too many ask at once.
    Busy,
}

/// A mistake: its place, the message, and the hint that may follow it on a line of its own.
pub(super) fn mistake(at: impl Into<String>, message: impl Into<String>) -> (String, String, Option<String>) {
    let message = message.into();
    match message.split_once("\nhint: ") {
        Some((message, hint)) => (at.into(), message.to_owned(), Some(hint.to_owned())),
        None => (at.into(), message, None),
    }
}

impl Refusal {
    /// Every `reason` label of `fuelgauge_received_failures_total` there is.
    pub const REASONS: [&str; 9] = [
        "unauthorized",
        "forbidden",
        "not_found",
        "conflict",
        "malformed",
        "wrong_form",
        "too_large",
        "unavailable",
        "busy",
    ];

    /// One mistake of a body.
    pub fn mistake(at: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::Malformed(1, vec![mistake(at, message)])
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Refusal::Unauthorized => "unauthorized",
            Refusal::Forbidden(_) => "forbidden",
            Refusal::NotFound(_) => "not_found",
            Refusal::Conflict(_) => "conflict",
            Refusal::Malformed(..) => "malformed",
            Refusal::WrongForm(_) => "wrong_form",
            Refusal::TooLarge(_) => "too_large",
            Refusal::Unavailable => "unavailable",
            Refusal::Busy => "busy",
        }
    }

    /// The status of the answer.
    pub(super) fn code(&self) -> StatusCode {
        match self {
            Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Malformed(..) => StatusCode::BAD_REQUEST,
            Refusal::WrongForm(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Unavailable | Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Why, in a sentence. Of several mistakes it says how many.
    pub(super) fn in_words(&self) -> String {
        match self {
            Refusal::Unauthorized => "expected `Authorization: Bearer` and a token that `web.tokens` knows".to_owned(),
            Refusal::Forbidden(error)
            | Refusal::NotFound(error)
            | Refusal::Conflict(error)
            | Refusal::WrongForm(error) => error.clone(),
            Refusal::Malformed(count, _) => {
                format!("{count} mistake{}; nothing was taken", if *count == 1 { "" } else { "s" })
            }
            Refusal::TooLarge(limit) => format!("expected at most {limit} bytes; nothing was taken"),
            Refusal::Unavailable => "the ledger cannot be read or written at the moment; nothing was taken".to_owned(),
            Refusal::Busy => "too many ask at the moment; ask again in a few seconds".to_owned(),
        }
    }

    /// The header that goes with the status, if one does.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Refusal::Unauthorized => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fuelgauge\""))),
            Refusal::Unavailable => Some((RETRY_AFTER, HeaderValue::from_static("30"))),
            Refusal::Busy => Some((RETRY_AFTER, HeaderValue::from_static("5"))),
            _ => None,
        }
    }

    pub(super) fn answer(self) -> Response {
        let (code, header) = (self.code(), self.header());
        let mut body = json!({ "error": self.in_words() });
        if let Refusal::Malformed(_, mistakes) = self {
            let mistake = |(at, message, hint): (String, String, Option<String>)| match hint {
                Some(hint) => json!({"at": at, "message": message, "hint": hint}),
                None => json!({"at": at, "message": message}),
            };
            body["mistakes"] = mistakes.into_iter().map(mistake).collect();
        }
        let mut answer = (code, axum::Json(body)).into_response();
        answer.headers_mut().extend(header);
        answer
    }
}
