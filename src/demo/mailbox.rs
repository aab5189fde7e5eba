//! The caught mails in the browser.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use minijinja::{Environment, context};

use super::catcher::{Catcher, CaughtMail, show};

/// The page's own parts; a mail's HTML stands in a frame that runs nothing and loads nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; frame-src 'self'";
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; sandbox";

/// The routes: `/demo/mails`, each mail's HTML part for the frame, and the pictures that it shows.
pub fn router(catcher: Arc<Catcher>) -> Router {
    Router::new()
        .route("/demo/mails", get(list))
        .route("/demo/mails/{order}", get(one))
        .route("/demo/mails/{order}/html", get(html))
        .route("/demo/mails/{order}/pictures/{place}", get(picture))
        .with_state(catcher)
}

async fn list(State(catcher): State<Arc<Catcher>>) -> Response {
    let mails: Vec<_> = catcher
        .caught()
        .iter()
        .rev()
        .map(|mail| {
            let shown = show(&mail.bytes);
            let first = shown.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
            context! {
                order => mail.received_at_order, subject => shown.subject, to => shown.to, date => shown.date, first
            }
        })
        .collect();
    page(context! { mails })
}

async fn one(State(catcher): State<Arc<Catcher>>, Path(order): Path<u64>) -> Response {
    match find(&catcher, order) {
        Some(mail) => {
            let shown = show(&mail.bytes);
            let mail = context! {
                order, subject => shown.subject, from => shown.from, to => shown.to, date => shown.date, text => shown.text
            };
            page(context! { mail })
        }
        None => (StatusCode::NOT_FOUND, "there is no such mail\n").into_response(),
    }
}

async fn html(State(catcher): State<Arc<Catcher>>, Path(order): Path<u64>) -> Response {
    match find(&catcher, order) {
        Some(mail) => {
            let headers = [(header::CONTENT_SECURITY_POLICY, MAIL_POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            let shown = show(&mail.bytes);
            // Beside this document a mail program finds them by their content ids, and a browser by their places.
            let with_pictures = shown.pictures.iter().enumerate().fold(shown.html, |html, (place, picture)| {
                html.replace(&format!("\"cid:{}\"", picture.content_id), &format!("\"pictures/{place}\""))
            });
            (headers, Html(with_pictures)).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such mail\n").into_response(),
    }
}

async fn picture(State(catcher): State<Arc<Catcher>>, Path((order, place)): Path<(u64, usize)>) -> Response {
    let found = find(&catcher, order).and_then(|mail| show(&mail.bytes).pictures.into_iter().nth(place));
    match found.filter(|picture| picture.content_type == "image/png") {
        Some(picture) => {
            let headers = [(header::CONTENT_TYPE, "image/png"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (headers, picture.bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such picture\n").into_response(),
    }
}

fn find(catcher: &Catcher, order: u64) -> Option<Arc<CaughtMail>> {
    catcher.caught().into_iter().find(|mail| mail.received_at_order == order)
}

fn page(values: minijinja::Value) -> Response {
    let mut templates = Environment::new();
    let rendered = templates
        .add_template("mailbox.html", include_str!("mailbox.html"))
        .and_then(|()| templates.get_template("mailbox.html")?.render(values));
    match rendered {
        Ok(body) => ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(body)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of caught mails cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
