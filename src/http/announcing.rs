//! `/teams/{team}/announcements`: a page with forms that announce and withdraw, for people who have a token of the API.
//!
//! It is a page of its own, because the team's page loads itself again every minute, which would empty a form. There is no
//! login: the token comes with each form, through the same door as with the API, and goes into no page and no address.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::door::{Errand, Refusal, form_body};
use super::form::{DeskPage, Kind, Sent, Typed};
use super::{Shared, SharedState, blocking, words};
use crate::domain::account::is_unprintable;
use crate::domain::{AnnouncementForm, Credits};

/// As on every page, but for forms that go to ourselves.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// The fields of the forms, without the token.
const FIELDS: [&str; 10] = ["kind", "account", "factor", "from", "to", "credits", "low", "high", "at", "note"];

/// The routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/teams/{team}/announcements", get(show).post(announce))
        // The address stays in the browser after a mistake; who loads it again has the page.
        .route("/teams/{team}/announcements/{id}/withdraw", get(back).post(withdraw))
}

async fn show(State(shared): SharedState, Path(team): Path<String>) -> Response {
    page(shared, team, StatusCode::OK, None).await
}

async fn back(State(shared): SharedState, Path((team, _)): Path<(String, String)>) -> Response {
    Redirect::to(&shared.pages.address(&format!("/teams/{}/announcements", words::path_segment(&team)))).into_response()
}

async fn announce(State(shared): SharedState, Path(team): Path<String>, request: Request) -> Response {
    let (token, typed) = match fields(&shared, request).await {
        Ok(fields) => fields,
        Err(refusal) => return refuse_whole(&shared, &refusal),
    };
    let kind = Kind::of(&typed);
    let announced = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Announce)?;
        let (account, form) = read(kind, &typed)?;
        guest.announce(team.clone(), account, form).await
    };
    match announced.await {
        Ok(_) => done(&shared, &team),
        Err(refusal) => refuse(shared, team, Sent::Announcement(kind, typed), refusal).await,
    }
}

async fn withdraw(State(shared): SharedState, Path((team, id)): Path<(String, String)>, request: Request) -> Response {
    let token = match fields(&shared, request).await {
        Ok((token, _)) => token,
        Err(refusal) => return refuse_whole(&shared, &refusal),
    };
    let number = id.parse().ok();
    let withdrawn = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Announce)?;
        let number = number.ok_or_else(|| Refusal::NotFound(format!("there is no announcement `{id}`")))?;
        guest.withdraw(team.clone(), number).await
    };
    match withdrawn.await {
        Ok(_) => done(&shared, &team),
        Err(refusal) => refuse(shared, team, Sent::Withdrawal(number), refusal).await,
    }
}

/// What came with a form: the token, which is kept apart so that no page can show it, and what else was typed.
async fn fields(shared: &Shared, request: Request) -> Result<(Option<String>, Typed), Refusal> {
    let (head, body) = request.into_parts();
    check_origin(&head.headers, shared.state.external_url.as_deref())?;
    let (mut token, mut typed) = (None, BTreeMap::new());
    for (name, value) in form_body(&head.headers, body).await? {
        let value = value.trim().to_owned();
        match name.as_str() {
            _ if value.is_empty() => {}
            "token" => token = Some(value),
            _ => _ = typed.insert(name, value),
        }
    }
    Ok((token, typed))
}

/// Refuses a form of another site. Such a site does not have the token; this is for whoever types it there.
fn check_origin(headers: &HeaderMap, external_url: Option<&str>) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(without_usual_port);
    // A proxy may put another `Host` in.
    let ours = [host, external_url.and_then(authority)];
    let is_ours = |origin: &HeaderValue| {
        let from = origin.to_str().ok().and_then(authority);
        from.is_some_and(|from| ours.iter().flatten().any(|ours| ours.eq_ignore_ascii_case(from)))
    };
    match headers.get_all(ORIGIN).iter().all(is_ours) {
        true => Ok(()),
        false => Err(Refusal::Forbidden(
            "The form was sent from another site than `Host` and `web.external_url` say; nothing was taken.".to_owned(),
        )),
    }
}

/// Host and port of a URL, without a port that goes without saying.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().map(without_usual_port)
}

fn without_usual_port(authority: &str) -> &str {
    authority.strip_suffix(":80").or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

/// The account that is named, and the announcement.
fn read(kind: Kind, typed: &Typed) -> Result<(Option<String>, AnnouncementForm), Refusal> {
    if let Some(unknown) = typed.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Refusal::mistake(shown(unknown), "unknown field"));
    }
    let text = |name: &str| typed.get(name).cloned();
    if !typed.contains_key(kind.main_field()) {
        return Err(Refusal::mistake(kind.main_field(), "expected a number, found nothing"));
    }
    let form = AnnouncementForm {
        factor: number(typed, "factor")?,
        from: text("from"),
        to: text("to"),
        credits: credits(typed, "credits")?,
        low: credits(typed, "low")?,
        high: credits(typed, "high")?,
        at: text("at"),
        note: text("note"),
    };
    Ok((text("account"), form))
}

fn number(typed: &Typed, name: &str) -> Result<Option<f64>, Refusal> {
    let wrong =
        |text: &str| Refusal::mistake(name, format!("expected a number such as `1.5`, found `{}`", shown(text)));
    typed.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn credits(typed: &Typed, name: &str) -> Result<Option<Credits>, Refusal> {
    let read = typed.get(name).map(|text| Credits::parse(text));
    read.transpose().map_err(|error| Refusal::mistake(name, error.to_string()))
}

/// The beginning of what somebody sent, fit to be shown.
fn shown(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(40).collect()
}

/// Back to the team's page, which shows the forecast with what was announced.
fn done(shared: &Shared, team: &str) -> Response {
    let path = format!("/teams/{}#announced", words::path_segment(team));
    Redirect::to(&shared.pages.address(&path)).into_response()
}

/// The answer to a form that was not read.
fn refuse_whole(shared: &Shared, refusal: &Refusal) -> Response {
    shared.doorway.count(Errand::Announce, refusal);
    shared.message(refusal.code(), "Nothing was taken", &refusal.in_words())
}

/// The page again, with what is wrong beside what was typed.
async fn refuse(shared: Arc<Shared>, team: String, sent: Sent, refusal: Refusal) -> Response {
    shared.doorway.count(Errand::Announce, &refusal);
    let (code, header) = (refusal.code(), refusal.header());
    let mut answer = page(shared, team, code, Some((sent, refusal))).await;
    answer.headers_mut().extend(header);
    answer
}

async fn page(shared: Arc<Shared>, team: String, code: StatusCode, refused: Option<(Sent, Refusal)>) -> Response {
    blocking(shared, move |shared| {
        let is_open = shared.doorway.opens(Errand::Announce, &team);
        let snapshot = shared.snapshot();
        let Some(page) = DeskPage::of(&snapshot, &team, is_open, refused.as_ref(), shared.now()) else {
            return match refused {
                // Who has no token for a team hears the same as with the API, whether there is the team or not.
                Some((_, refusal)) => shared.message(code, "Nothing was taken", &refusal.in_words()),
                None => shared.no_such_team(&team),
            };
        };
        let mut answer = shared.page(code, "announcements.html", &format!("Announce for {team}"), page);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Without it the browser would call the origin of our own form `null`.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        answer
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_from_our_own_page_or_from_no_page() {
        let external = Some("https://studio.example:443/fuel");
        for (origins, host, external_url, is_taken) in [
            (&[][..], Some("gauge:9780"), None, true),
            (&["http://gauge:9780"], Some("gauge:9780"), None, true),
            (&["http://GAUGE"], Some("gauge:80"), None, true),
            (&["https://gauge"], Some("gauge"), None, true),
            (&["http://gauge:9781"], Some("gauge:9780"), None, false),
            (&["http://gauge.evil.example"], Some("gauge"), None, false),
            (&["http://evil.example/gauge"], Some("gauge"), None, false),
            (&["http://gauge@evil.example"], Some("gauge"), None, false),
            (&["https://studio.example"], Some("10.0.0.7:9780"), external, true),
            (&["https://evil.example"], Some("10.0.0.7:9780"), external, false),
            (&["null"], Some("gauge"), external, false),
            (&[""], Some(""), None, false),
            (&["http://gauge"], None, None, false),
            (&["http://gauge", "http://evil.example"], Some("gauge"), None, false),
        ] {
            let mut headers = HeaderMap::new();
            origins.iter().for_each(|origin| _ = headers.append(ORIGIN, HeaderValue::from_static(origin)));
            host.into_iter().for_each(|host| _ = headers.append(HOST, HeaderValue::from_static(host)));
            assert_eq!(check_origin(&headers, external_url).is_ok(), is_taken, "{origins:?} {host:?}");
        }
    }

    #[test]
    fn what_is_typed_is_read_or_said_to_be_wrong_at_its_field() {
        let typed = |pairs: &[(&str, &str)]| -> Typed {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (pairs, wrong) in [
            (&[("factor", "1.5"), ("from", "2026-12-01"), ("to", "2026-12-02"), ("account", "studio")][..], None),
            (&[("kind", "batch"), ("credits", "800.25"), ("low", "1"), ("at", "2026-12-01")], None),
            (&[], Some("factor")),
            (&[("kind", "batch"), ("factor", "2")], Some("credits")),
            (&[("factor", "two")], Some("factor")),
            (&[("factor", "0,5")], Some("factor")),
            (&[("kind", "batch"), ("credits", "8e2x")], Some("credits")),
            (&[("kind", "batch"), ("credits", "8"), ("high", "\u{202e}")], Some("high")),
            (&[("factor", "2"), ("faktor", "2")], Some("faktor")),
        ] {
            let typed = typed(pairs);
            let found = match read(Kind::of(&typed), &typed) {
                Ok(_) => None,
                Err(Refusal::Malformed(1, mistakes)) => Some(mistakes[0].0.clone()),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(found.as_deref(), wrong, "{pairs:?}");
        }
    }

    #[test]
    fn the_page_with_forms_differs_in_its_policy_by_forms_alone() {
        let usual = super::super::CONTENT_SECURITY_POLICY;
        assert_eq!(POLICY, usual.replace("form-action 'none'", "form-action 'self'"));
        assert_ne!(POLICY, usual);
    }
}
