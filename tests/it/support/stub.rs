//! A platform that answers what a test says, for answers that no well-built platform gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;

/// Listens until the runtime of the test ends.
pub struct Stub {
    pub url: String,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query, as on the request line.
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
}

impl Stub {
    /// Answers each path with a status and a body; the function also sees the `Authorization` header.
    pub async fn answering(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Stub {
        Stub::hearing(move |asked| {
            let bytes = asked.headers.get("authorization").map_or(&[][..], |value| value.as_bytes());
            let path = asked.target.split('?').next().unwrap_or_default();
            let (status, body) = answer(path, &String::from_utf8_lossy(bytes));
            Told { status, headers: Vec::new(), body: body.into_bytes() }
        })
        .await
    }

    /// Answers whole requests, bodies included.
    pub async fn hearing(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        let router = axum::Router::new().fallback(move |request: Request<Body>| {
            let answer = Arc::clone(&answer);
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 1024 * 1024).await.unwrap();
                let told = answer(&Asked {
                    method: head.method.to_string(),
                    target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                    headers: head.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
                let mut response = Response::builder().status(told.status);
                for (name, value) in told.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(told.body)).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stub { url }
    }
}
