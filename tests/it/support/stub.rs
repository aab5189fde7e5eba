//! A platform that answers what a test says, for answers that no well-built platform gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use tokio::net::TcpListener;

/// Listens until the runtime of the test ends.
pub struct Stub {
    pub url: String,
}

impl Stub {
    /// Answers each path with a status and a body; the function also sees the `Authorization` header.
    pub async fn answering(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        let router = axum::Router::new().fallback(move |request: Request<Body>| {
            let answer = Arc::clone(&answer);
            async move {
                let bytes = request.headers().get("authorization").map_or(&[][..], |value| value.as_bytes());
                let authorization = String::from_utf8_lossy(bytes);
                let (status, body) = answer(request.uri().path(), &authorization);
                Response::builder().status(status).body(Body::from(body)).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stub { url }
    }
}
