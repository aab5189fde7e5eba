//! `POST /api/v1/accounts/{account}/readings`: what scripts push, for who has a token.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use super::door::{Doorway, Errand, PUSH_LIMIT, Refusal, Taken, json_body};

/// The route.
pub(super) fn routes() -> Router<Doorway> {
    Router::new().route("/api/v1/accounts/{account}/readings", post(push))
}

async fn push(State(doorway): State<Doorway>, Path(account): Path<String>, request: Request) -> Response {
    match take(&doorway, account, request).await {
        Ok(Taken { read, new, known, without_team }) => {
            let body = json!({"read": read, "new": new, "known": known, "without_team": without_team});
            axum::Json(body).into_response()
        }
        Err(refusal) => doorway.refuse(Errand::Push, refusal),
    }
}

async fn take(doorway: &Doorway, account: String, request: Request) -> Result<Taken, Refusal> {
    let (head, body) = request.into_parts();
    // Who may not push is not listened to.
    let guest = doorway.admit(&head.headers, Errand::Push)?;
    let body = json_body(&head.headers, body, PUSH_LIMIT).await?;
    guest.push(account, body).await
}
