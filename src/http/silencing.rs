//! `/silences`: which alerts are not told and why, with forms that silence and expire, for people who have a token of the
//! API. Mails and the page of alerts lead here, with the labels of theirs in the address.

mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use jiff::Timestamp;

pub use self::page::Silencing;
use self::page::{LABELS, Sent, SilencesPage, UNTIL_RESET, draws_of};
use super::door::{Errand, Refusal};
use super::form::{Typed, check_names, fields, refuse_whole, with_forms};
use super::silences::number;
use super::{Shared, SharedState, blocking};
use crate::domain::silence::{Operator, lasting};
use crate::domain::{Matcher, RuleName, SilenceEnd, SilenceForm, Snapshot};

/// The fields of the form, without the token.
const FIELDS: [&str; 8] = ["alert", "team", "account", "severity", "matchers", "duration", "comment", "by"];

/// The routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/silences", get(show).post(silence))
        // The address stays in the browser after a mistake; who loads it again has the page.
        .route("/silences/{id}/expire", get(back).post(expire))
}

async fn show(State(shared): SharedState, RawQuery(query): RawQuery) -> Response {
    let typed = prefilled(query.as_deref().unwrap_or_default());
    page(shared, StatusCode::OK, typed, None).await
}

async fn back(State(shared): SharedState) -> Response {
    Redirect::to(&shared.pages.address("/silences")).into_response()
}

async fn silence(State(shared): SharedState, request: Request) -> Response {
    let (token, typed) = match fields(&shared, request).await {
        Ok(fields) => fields,
        Err(refusal) => return refuse_whole(&shared, Errand::Silence, &refusal),
    };
    let silenced = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Silence)?;
        let form = read(&typed, &shared.snapshot(), shared.now())?;
        guest.mute(form, None).await
    };
    match silenced.await {
        Ok(told) => {
            let path = format!("/silences#silence-{}", told.silence.id);
            Redirect::to(&shared.pages.address(&path)).into_response()
        }
        Err(refusal) => refuse(shared, Sent::Silence, typed, refusal).await,
    }
}

async fn expire(State(shared): SharedState, Path(id): Path<String>, request: Request) -> Response {
    let token = match fields(&shared, request).await {
        Ok((token, _)) => token,
        Err(refusal) => return refuse_whole(&shared, Errand::Silence, &refusal),
    };
    let expired = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Silence)?;
        guest.expire(number(&id)?).await
    };
    match expired.await {
        Ok(_) => Redirect::to(&shared.pages.address("/silences")).into_response(),
        Err(refusal) => refuse(shared, Sent::Expiry(id.parse().ok()), Typed::new(), refusal).await,
    }
}

/// The fields that an address fills. What it says beside them is not meant for us.
fn prefilled(query: &str) -> Typed {
    let mut typed = Typed::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let (name, value) = (name.as_ref(), value.trim());
        // The form has one field for the two.
        let (name, value) = match RuleName::of_alert_name(value).filter(|_| name == "alertname") {
            Some(rule) => ("alert", rule.as_str()),
            None => (if name == "alertname" { "alert" } else { name }, value),
        };
        if FIELDS.contains(&name) && !value.is_empty() {
            typed.insert(name.to_owned(), value.to_owned());
        }
    }
    typed
}

/// What the fields ask for.
fn read(typed: &Typed, snapshot: &Snapshot, now: Timestamp) -> Result<SilenceForm, Refusal> {
    check_names(typed, &FIELDS)?;
    let text = |name: &str| typed.get(name).cloned();
    let matchers = matchers(typed)?;
    let end = match text("duration") {
        None => None,
        Some(word) if word == UNTIL_RESET => {
            let reset = reset(&matchers, snapshot, now).map_err(|message| Refusal::mistake("duration", message))?;
            Some(SilenceEnd::At(reset))
        }
        Some(length) => {
            let length = lasting(&length).map_err(|error| Refusal::mistake(error.field, error.message))?;
            Some(SilenceEnd::After(length))
        }
    };
    let (by, comment) = (text("by").unwrap_or_default(), text("comment").unwrap_or_default());
    Ok(SilenceForm { matchers, start: None, end, by, comment })
}

/// What is chosen, and what is written beside it.
fn matchers(typed: &Typed) -> Result<Vec<Matcher>, Refusal> {
    let mut matchers = Vec::new();
    for label in LABELS {
        let Some(value) = typed.get(label.as_str()) else { continue };
        let matcher = Matcher::new(label, Operator::Equal, value);
        matchers.push(matcher.map_err(|error| Refusal::mistake(label.as_str(), error.to_string()))?);
    }
    let more = Matcher::parse_all(typed.get("matchers").map_or("", String::as_str));
    matchers.extend(more.map_err(|error| Refusal::mistake("matchers", error.to_string()))?);
    Ok(matchers)
}

/// When the one plan resets on which every draw depends whose account and team fit.
fn reset(matchers: &[Matcher], snapshot: &Snapshot, now: Timestamp) -> Result<Timestamp, &'static str> {
    let ends = draws_of(matchers, snapshot).filter_map(|(_, draw)| draw.period.as_ref().map(|period| period.end));
    let mut ends: Vec<Timestamp> = ends.filter(|end| *end > now).collect();
    ends.sort_unstable();
    ends.dedup();
    match ends[..] {
        [end] => Ok(end),
        [] => Err("no plan of these teams is known to reset\nhint: choose a length of time"),
        _ => {
            Err("the plans of these teams reset at several times\nhint: name an account or a team, or choose a length")
        }
    }
}

/// The page again, with what is wrong beside what was typed.
async fn refuse(shared: Arc<Shared>, sent: Sent, typed: Typed, refusal: Refusal) -> Response {
    shared.doorway.count(Errand::Silence, &refusal);
    let (code, header) = (refusal.code(), refusal.header());
    let mut answer = page(shared, code, typed, Some((sent, refusal))).await;
    answer.headers_mut().extend(header);
    answer
}

async fn page(shared: Arc<Shared>, code: StatusCode, typed: Typed, refused: Option<(Sent, Refusal)>) -> Response {
    blocking(shared, move |shared| {
        let is_open = shared.doorway.opens(Errand::Silence, None);
        let (snapshot, now) = (shared.snapshot(), shared.now());
        // A mistake in them is told where it was made; until then they mute nothing.
        let matchers = matchers(&typed).unwrap_or_default();
        let until = reset(&matchers, &snapshot, now).ok();
        let page = SilencesPage::of(&snapshot, is_open, (&typed, &matchers, until), refused.as_ref(), now);
        with_forms(shared.page(code, "silences.html", "Silences", page))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matchers_in_words;
    use crate::metrics::sample;

    fn typed(pairs: &[(&str, &str)]) -> Typed {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_chosen_and_typed_is_read_or_said_to_be_wrong_at_its_field() {
        let november = SilenceEnd::At(sample::at("2026-11-30T23:00:00Z"));
        let hours = |hours| SilenceEnd::After(jiff::SignedDuration::from_hours(hours));
        type Read<'a> = Result<(&'a str, Option<SilenceEnd>), &'a str>;
        let table: &[(&[(&str, &str)], Read<'_>)] = &[
            (
                &[("alert", "exhaustion"), ("team", "props"), ("duration", "8h")],
                Ok(("alert=\"exhaustion\" team=\"props\"", Some(hours(8)))),
            ),
            (&[("matchers", "team=~\"env-.*\"")], Ok(("team=~\"env-.*\"", None))),
            (
                &[("severity", "warning"), ("matchers", "alert!=stale"), ("duration", "7d")],
                Ok(("severity=\"warning\" alert!=\"stale\"", Some(hours(168)))),
            ),
            (&[("team", "a \"b\"")], Ok(("team=\"a \\\"b\\\"\"", None))),
            (&[("team", "props"), ("duration", "reset")], Ok(("team=\"props\"", Some(november)))),
            (&[("account", "nowhere"), ("duration", "reset")], Err("duration")),
            (&[], Ok(("", None))),
            (&[("matchers", "teem=art")], Err("matchers")),
            (&[("team", "a\u{202e}b")], Err("team")),
            (&[("duration", "soon")], Err("duration")),
            (&[("end", "tomorrow")], Err("end")),
        ];
        for (pairs, expected) in table {
            let found = match read(&typed(pairs), &sample::snapshot(), sample::now()) {
                Ok(form) => Ok((matchers_in_words(&form.matchers), form.end)),
                Err(Refusal::Malformed(1, mistakes)) => Err(mistakes[0].0.clone()),
                Err(other) => panic!("{other:?}"),
            };
            let expected = expected.map(|(words, end)| (words.to_owned(), end)).map_err(str::to_owned);
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    #[test]
    fn an_address_fills_the_fields_that_there_are() {
        for (query, expected) in [
            ("", &[][..]),
            (
                "alert=exhaustion&team=Characters+%26+%22Creatures%22",
                &[("alert", "exhaustion"), ("team", "Characters & \"Creatures\"")],
            ),
            ("alertname=FuelgaugeLowBalance", &[("alert", "low_balance")]),
            ("alertname=x&token=secret&utm_source=mail&comment=+", &[("alert", "x")]),
            ("matchers=team%3D~%22env-.*%22&duration=3d", &[("duration", "3d"), ("matchers", "team=~\"env-.*\"")]),
        ] {
            assert_eq!(prefilled(query), typed(expected), "{query}");
        }
    }

    #[test]
    fn a_reset_is_that_of_the_plans_that_are_meant_if_it_is_one() {
        let mut snapshot = sample::snapshot();
        let mut other = (*snapshot.accounts[1]).clone();
        let period = other.draws[0].period.as_mut().unwrap();
        period.end = sample::at("2026-11-28T09:00:00Z");
        snapshot.accounts[1] = Arc::new(other);
        for (matchers, expected) in [
            ("team=props", Ok("2026-11-30T23:00:00Z")),
            ("account=cinematics alert=exhaustion severity=warning", Ok("2026-11-28T09:00:00Z")),
            ("alert=exhaustion", Err("reset at several times")),
            ("account=~studio|cinematics", Err("reset at several times")),
            ("team=nobody", Err("no plan of these teams")),
        ] {
            let found = reset(&Matcher::parse_all(matchers).unwrap(), &snapshot, sample::now());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, sample::at(expected), "{matchers}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{matchers}: {error}"),
                (found, _) => panic!("{matchers}: {found:?}"),
            }
        }
        assert!(reset(&[], &snapshot, sample::at("2027-01-01T00:00:00Z")).is_err(), "they are over");
    }
}
