//! `/teams/{team}/announcements`: a page with forms that announce and withdraw, for people who have a token of the API.
//!
//! It is a page of its own, because the team's page loads itself again every minute, which would empty a form.

mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use self::page::{DeskPage, Kind, Sent};
use super::door::{Errand, Refusal};
use super::form::{Typed, check_names, fields, refuse_whole, shown, with_forms};
use super::{Shared, SharedState, blocking, words};
use crate::domain::{AnnouncementForm, Credits};

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
        Err(refusal) => return refuse_whole(&shared, Errand::Announce, &refusal),
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
        Err(refusal) => return refuse_whole(&shared, Errand::Announce, &refusal),
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

/// The account that is named, and the announcement.
fn read(kind: Kind, typed: &Typed) -> Result<(Option<String>, AnnouncementForm), Refusal> {
    check_names(typed, &FIELDS)?;
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

/// Back to the team's page, which shows the forecast with what was announced.
fn done(shared: &Shared, team: &str) -> Response {
    let path = format!("/teams/{}#announced", words::path_segment(team));
    Redirect::to(&shared.pages.address(&path)).into_response()
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
        let is_open = shared.doorway.opens(Errand::Announce, Some(&team));
        let snapshot = shared.snapshot();
        let Some(page) = DeskPage::of(&snapshot, &team, is_open, refused.as_ref(), shared.now()) else {
            return match refused {
                // Who has no token for a team hears the same as with the API, whether there is the team or not.
                Some((_, refusal)) => shared.message(code, "Nothing was taken", &refusal.in_words()),
                None => shared.no_such_team(&team),
            };
        };
        with_forms(shared.page(code, "announcements.html", &format!("Announce for {team}"), page))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
