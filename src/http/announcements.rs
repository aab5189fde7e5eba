//! `/api/v1/teams/{team}/announcements`: what a lead tells the forecast in advance, for who has a token.

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::body::{self, BODY, object, text, value};
use super::door::{Doorway, Errand, PUSH_LIMIT, Refusal, Told, json_body};
use crate::domain::{Announcement, AnnouncementForm, Credits, Foreseen};

/// The routes.
pub(super) fn routes() -> Router<Doorway> {
    Router::new()
        .route("/api/v1/teams/{team}/announcements", get(list).post(announce))
        .route("/api/v1/teams/{team}/announcements/{id}", delete(withdraw))
}

async fn list(
    State(doorway): State<Doorway>,
    Path(team): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let listed = async {
        let all = match query.as_deref() {
            None | Some("" | "all=false") => false,
            Some("all=true") => true,
            Some(_) => return Err(Refusal::mistake("query", "expected nothing or `all=true`")),
        };
        let guest = doorway.admit(&headers, Errand::Announce)?;
        let told = guest.announcements(team.clone()).await?;
        let shown = told.iter().filter(|told| all || told.announcement.stands(told.now)).map(json_of);
        Ok(json!({"team": team, "announcements": shown.collect::<Vec<_>>()}))
    };
    match listed.await {
        Ok(body) => Json(body).into_response(),
        Err(refusal) => doorway.refuse(Errand::Announce, refusal),
    }
}

async fn announce(State(doorway): State<Doorway>, Path(team): Path<String>, request: Request) -> Response {
    let announced = async {
        let (head, body) = request.into_parts();
        let guest = doorway.admit(&head.headers, Errand::Announce)?;
        let (account, form) = read(&json_body(&head.headers, body, PUSH_LIMIT).await?)?;
        guest.announce(team, account, form).await
    };
    match announced.await {
        Ok(told) => (StatusCode::CREATED, Json(json_of(&told))).into_response(),
        Err(refusal) => doorway.refuse(Errand::Announce, refusal),
    }
}

async fn withdraw(
    State(doorway): State<Doorway>,
    Path((team, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let withdrawn = async {
        let guest = doorway.admit(&headers, Errand::Announce)?;
        let number = id.parse().map_err(|_| Refusal::NotFound(format!("there is no announcement `{id}`")))?;
        guest.withdraw(team, number).await
    };
    match withdrawn.await {
        Ok(told) => Json(json_of(&told)).into_response(),
        Err(refusal) => doorway.refuse(Errand::Announce, refusal),
    }
}

fn json_of(told: &Told) -> Value {
    as_json(&told.announcement, &told.zone, told.now)
}

/// An announcement as JSON: times are RFC 3339, amounts are credits, unknown is `null`.
pub fn as_json(announcement: &Announcement, zone: &TimeZone, now: Timestamp) -> Value {
    let foreseen = &announcement.foreseen;
    let mut said = json!({
        "id": announcement.id,
        "team": announcement.key.team.as_str(),
        "account": announcement.key.account.as_str(),
        "kind": foreseen.kind(),
        "words": foreseen.in_words(zone),
        "state": announcement.standing(now).as_str(),
        "note": announcement.note,
        "by": announcement.by,
        "announced_at": announcement.announced_at.map(|at| at.to_string()),
        "withdrawn_at": announcement.withdrawn.as_ref().map(|(at, _)| at.to_string()),
        "withdrawn_by": announcement.withdrawn.as_ref().map(|(_, by)| by),
    });
    match foreseen {
        Foreseen::Pace(pace) => {
            said["factor"] = json!(pace.factor);
            said["from"] = json!(pace.from.to_string());
            said["to"] = json!(pace.to.to_string());
        }
        Foreseen::Batch { batch, until } => {
            let [low, likely, high] = [batch.low, batch.likely, batch.high].map(Credits::as_f64);
            said["credits"] = json!(likely);
            said["low"] = json!(low);
            said["high"] = json!(high);
            said["at"] = json!(batch.at.to_string());
            said["until"] = json!(until.to_string());
        }
    }
    said
}

/// The keys of a request.
const KEYS: [&str; 9] = ["account", "factor", "from", "to", "credits", "low", "high", "at", "note"];

/// The account that is named, and the announcement.
fn read(body: &[u8]) -> Result<(Option<String>, AnnouncementForm), Refusal> {
    let value = body::json(body)?;
    let fields = object(&value, BODY, &KEYS)?;
    let form = AnnouncementForm {
        factor: number(fields, "factor")?,
        from: text(fields, "from")?,
        to: text(fields, "to")?,
        credits: credits(fields, "credits")?,
        low: credits(fields, "low")?,
        high: credits(fields, "high")?,
        at: text(fields, "at")?,
        note: text(fields, "note")?,
    };
    Ok((text(fields, "account")?, form))
}

fn number(fields: &Map<String, Value>, key: &str) -> Result<Option<f64>, Refusal> {
    match value(fields, key).map(Value::as_f64) {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(Refusal::mistake(key, "expected a number")),
    }
}

/// An amount, as a number or as a text with all its digits.
fn credits(fields: &Map<String, Value>, key: &str) -> Result<Option<Credits>, Refusal> {
    let text = match value(fields, key) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(Refusal::mistake(key, "expected a number of credits")),
    };
    Credits::parse(&text).map(Some).map_err(|error| Refusal::mistake(key, error.to_string()))
}
