//! `POST /-/reload`: loads the configuration again, if the lifecycle API is enabled.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::{mpsc, oneshot};

/// Where a reload is asked for; the answer is nothing, or why it was refused.
pub type ReloadSender = mpsc::Sender<oneshot::Sender<Result<(), String>>>;

/// The route.
pub fn router(reloads: ReloadSender) -> Router {
    Router::new().route("/-/reload", post(reload).put(reload)).with_state(reloads)
}

async fn reload(State(reloads): State<ReloadSender>) -> (StatusCode, String) {
    let (answer, answered) = oneshot::channel();
    if reloads.send(answer).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping\n".to_owned());
    }
    match answered.await {
        Ok(Ok(())) => (StatusCode::OK, String::new()),
        Ok(Err(reason)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload the configuration: {reason}\n"))
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping\n".to_owned()),
    }
}
