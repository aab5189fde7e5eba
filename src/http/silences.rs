//! `/api/v1/silences`: which alerts are not told for a time, for who has a token. The shapes are those of Alertmanager's
//! API, version 2.

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::body::{self, BODY, object, text, value};
use super::door::{Doorway, Errand, PUSH_LIMIT, Refusal, ToldSilence, json_body};
use crate::domain::silence::{Label, Operator, lasting};
use crate::domain::{FiringAlert, Matcher, Silence, SilenceEnd, SilenceForm};

/// The routes.
pub(super) fn routes() -> Router<Doorway> {
    Router::new()
        .route("/api/v1/silences", get(list).post(mute))
        .route("/api/v1/silences/{id}", get(one).delete(expire))
}

async fn list(State(doorway): State<Doorway>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let listed = async {
        let guest = doorway.admit(&headers, Errand::Silence)?;
        let filter = filter(query.as_deref().unwrap_or_default())?;
        let told = guest.silences().await?;
        let found = told.iter().filter(|told| told.silence.is_found_by(&filter)).map(json_of);
        Ok(Value::Array(found.collect()))
    };
    match listed.await {
        Ok(body) => Json(body).into_response(),
        Err(refusal) => doorway.refuse(Errand::Silence, refusal),
    }
}

async fn one(State(doorway): State<Doorway>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let found = async { doorway.admit(&headers, Errand::Silence)?.silence(number(&id)?).await };
    match found.await {
        Ok(told) => Json(json_of(&told)).into_response(),
        Err(refusal) => doorway.refuse(Errand::Silence, refusal),
    }
}

async fn mute(State(doorway): State<Doorway>, request: Request) -> Response {
    let muted = async {
        let (head, body) = request.into_parts();
        let guest = doorway.admit(&head.headers, Errand::Silence)?;
        let (replaces, form) = read(&json_body(&head.headers, body, PUSH_LIMIT).await?)?;
        guest.mute(form, replaces).await.map_err(in_keys)
    };
    match muted.await {
        Ok(told) => {
            let body = json!({"silenceID": told.silence.id.to_string(), "silence": json_of(&told)});
            (StatusCode::CREATED, Json(body)).into_response()
        }
        Err(refusal) => doorway.refuse(Errand::Silence, refusal),
    }
}

async fn expire(State(doorway): State<Doorway>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let expired = async { doorway.admit(&headers, Errand::Silence)?.expire(number(&id)?).await };
    match expired.await {
        Ok(told) => Json(json_of(&told)).into_response(),
        Err(refusal) => doorway.refuse(Errand::Silence, refusal),
    }
}

/// The number of a silence.
pub(super) fn number(id: &str) -> Result<i64, Refusal> {
    id.parse().map_err(|_| Refusal::NotFound(format!("there is no silence `{id}`")))
}

/// The matchers by which somebody looks for silences: `?filter=team%3Dart&filter=alert%3Dexhaustion`.
fn filter(query: &str) -> Result<Vec<Matcher>, Refusal> {
    let mut texts = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "filter" {
            return Err(Refusal::mistake("query", "expected nothing or `filter=MATCHER`"));
        }
        texts.push(value);
    }
    Matcher::parse_each(&texts).map_err(|error| Refusal::mistake("filter", error.to_string()))
}

fn json_of(told: &ToldSilence) -> Value {
    as_json(&told.silence, &told.mutes, told.now)
}

/// A silence as JSON, with those of the firing alerts that it mutes: times are RFC 3339.
pub fn as_json(silence: &Silence, firing: &[FiringAlert], now: Timestamp) -> Value {
    let asked = &silence.asked;
    let matcher = |matcher: &Matcher| {
        json!({
            "name": matcher.label().as_str(),
            "value": matcher.value(),
            "isRegex": matcher.operator().is_regex(),
            "isEqual": matcher.operator().is_equal(),
        })
    };
    let alert = |alert: &FiringAlert| {
        let FiringAlert { alert, account, team, severity } = alert;
        json!({"alert": alert, "account": account, "team": team, "severity": severity})
    };
    let mutes = firing.iter().filter(|alert| silence.mutes(&alert.labels(), now));
    let (expired_at, expired_by) = silence.expired.as_ref().map(|(at, by)| (*at, by)).unzip();
    json!({
        "id": silence.id.to_string(),
        "status": {"state": silence.state(now).as_str()},
        "matchers": asked.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "startsAt": asked.starts_at.to_string(),
        "endsAt": silence.ended_at().to_string(),
        "createdAt": silence.created_at.to_string(),
        "updatedAt": expired_at.unwrap_or(silence.created_at).to_string(),
        "createdBy": asked.created_by,
        "token": asked.token,
        "comment": asked.comment,
        "expiredBy": expired_by,
        "mutes": mutes.map(alert).collect::<Vec<_>>(),
    })
}

/// The keys of a request, and what those of a matcher may be.
const KEYS: [&str; 7] = ["id", "matchers", "startsAt", "endsAt", "duration", "createdBy", "comment"];
const MATCHER_KEYS: [&str; 4] = ["name", "value", "isRegex", "isEqual"];

/// The number of the silence that is replaced, and the silence.
fn read(body: &[u8]) -> Result<(Option<i64>, SilenceForm), Refusal> {
    let value = body::json(body)?;
    let fields = object(&value, BODY, &KEYS)?;
    let end = match (instant(fields, "endsAt")?, text(fields, "duration")?) {
        (Some(_), Some(_)) => return Err(Refusal::mistake("duration", "has no place beside `endsAt`")),
        (Some(at), None) => Some(SilenceEnd::At(at)),
        (None, Some(length)) => {
            Some(SilenceEnd::After(lasting(&length).map_err(|error| Refusal::mistake("duration", error.message))?))
        }
        (None, None) => None,
    };
    let form = SilenceForm {
        matchers: matchers(fields)?,
        start: instant(fields, "startsAt")?,
        end,
        by: text(fields, "createdBy")?.unwrap_or_default(),
        comment: text(fields, "comment")?.unwrap_or_default(),
    };
    // Alertmanager's own clients send an empty one for a new silence.
    let replaces = text(fields, "id")?.filter(|id| !id.is_empty()).map(|id| number(&id)).transpose()?;
    Ok((replaces, form))
}

fn matchers(fields: &Map<String, Value>) -> Result<Vec<Matcher>, Refusal> {
    let list = match value(fields, "matchers") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Refusal::mistake("matchers", "expected a list")),
    };
    list.iter().enumerate().map(|(place, value)| matcher(value, &format!("matchers[{place}]"))).collect()
}

fn matcher(value: &Value, at: &str) -> Result<Matcher, Refusal> {
    let fields = object(value, at, &MATCHER_KEYS)?;
    let text = |key: &str| match fields.get(key) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Refusal::mistake(format!("{at}.{key}"), "expected a text")),
    };
    let flag = |key: &str, otherwise: bool| match fields.get(key) {
        None | Some(Value::Null) => Ok(otherwise),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Refusal::mistake(format!("{at}.{key}"), "expected `true` or `false`")),
    };
    let label =
        Label::parse(text("name")?).map_err(|error| Refusal::mistake(format!("{at}.name"), error.to_string()))?;
    let operator = Operator::of_flags(flag("isRegex", false)?, flag("isEqual", true)?);
    let matcher = Matcher::new(label, operator, text("value")?);
    matcher.map_err(|error| Refusal::mistake(format!("{at}.value"), error.to_string()))
}

fn instant(fields: &Map<String, Value>, key: &str) -> Result<Option<Timestamp>, Refusal> {
    let wrong = |_| Refusal::mistake(key, "expected a date, a time and an offset, such as `2026-11-23T09:00:00Z`");
    text(fields, key)?.map(|text| text.parse().map_err(wrong)).transpose()
}

/// A refusal that names fields as the keys of a request are called.
fn in_keys(refusal: Refusal) -> Refusal {
    let Refusal::Malformed(count, mut mistakes) = refusal else { return refusal };
    for (at, ..) in &mut mistakes {
        let key = match at.as_str() {
            "start" => "startsAt",
            "end" => "endsAt",
            "by" => "createdBy",
            _ => continue,
        };
        *at = key.to_owned();
    }
    Refusal::Malformed(count, mistakes)
}
