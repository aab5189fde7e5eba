//! `/plan`: what a job would cost and whether the credits still last, asked before it is launched.
//!
//! The question is the address, so that it can be shared and asked again; the answer is made here. A little script of ours
//! asks again while the form is changed; without it the button does. Who has a token that announces keeps the estimate: as a
//! plan, with which forecasts reckon, or to compare it with what will be charged.

mod answer;
mod kept;
mod kinds;
mod page;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use self::kept::{KeepForm, KeptPart, PLAN, Sent};
use self::page::PlanPage;
use super::door::{Errand, Job, KeptChange, PlanTold, Refusal};
use super::form::{Typed, check_names, fields, refuse_whole, shown};
use super::job::{Whole, check_attempts, check_word};
use super::refusal::mistake;
use super::{Shared, SharedState, blocking, words as http_words};
use crate::domain::plan_check::USUAL_RISK;
use crate::domain::{EstimateRequest, PlannedLine, RecordForm, Snapshot};

/// As on every page, but that our own script runs and asks us, and that the form comes to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What an address may say; what it says beside is not meant for us.
const FIELDS: [&str; 8] = ["team", "account", "task", "quality", "variants", "count", "attempts", "start"];

/// The fields of the form that keeps an estimate, beside those of the question and the token.
const KEEP_FIELDS: [&str; 2] = ["keep", "label"];

/// The page, which reads alone.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/plan", get(show))
        // The address stays in the browser after a mistake; who loads it again has the page.
        .route("/plan/keep", get(back))
        .route("/plan/{id}/accept", get(back))
        .route("/plan/{id}/withdraw", get(back))
}

/// What its forms bring.
pub(super) fn forms() -> Router<Arc<Shared>> {
    Router::new()
        .route("/plan/keep", post(keep))
        .route("/plan/{id}/accept", post(|shared, id, request| change(shared, id, request, KeptChange::Accept)))
        .route("/plan/{id}/withdraw", post(|shared, id, request| change(shared, id, request, KeptChange::Withdraw)))
}

async fn show(State(shared): SharedState, RawQuery(query): RawQuery) -> Response {
    let (typed, is_asked) = typed(query.as_deref().unwrap_or_default());
    let answer = if is_asked { Some(ask(&shared, &typed).await) } else { None };
    let (code, header) = match &answer {
        Some(Err(refusal)) => (refusal.code(), refusal.header()),
        _ => (StatusCode::OK, None),
    };
    let mut page = page(shared, code, typed, answer, Typed::new(), None).await;
    page.headers_mut().extend(header);
    page
}

async fn back(State(shared): SharedState) -> Response {
    Redirect::to(&shared.pages.address("/plan")).into_response()
}

/// Keeps the estimate of the job that was asked about.
async fn keep(State(shared): SharedState, request: Request) -> Response {
    let (token, sent) = match fields(&shared, request).await {
        Ok(fields) => fields,
        Err(refusal) => return refuse_whole(&shared, Errand::Announce, &refusal),
    };
    let (keep, question): (Typed, Typed) = sent.into_iter().partition(|(name, _)| !FIELDS.contains(&name.as_str()));
    let kept = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Announce)?;
        check_names(&keep, &KEEP_FIELDS)?;
        let job = read(&question, &zone(&shared.snapshot(), &question))?;
        let is_planned = keep.get("keep").is_some_and(|word| word == PLAN);
        guest.keep(job, RecordForm { label: keep.get("label").cloned(), until: None, is_planned }).await
    };
    match kept.await {
        Ok(estimate) => done(&shared, estimate.key.team.as_str()),
        Err(refusal) => {
            let answer = ask(&shared, &question).await;
            refuse(shared, question, Some(answer), keep, (Sent::Keep, refusal)).await
        }
    }
}

/// Accepts an estimate as a plan, or takes it back.
async fn change(State(shared): SharedState, Path(id): Path<String>, request: Request, change: KeptChange) -> Response {
    let (token, mut sent) = match fields(&shared, request).await {
        Ok(fields) => fields,
        Err(refusal) => return refuse_whole(&shared, Errand::Announce, &refusal),
    };
    let team = sent.remove("team").unwrap_or_default();
    let number = id.parse().ok();
    let changed = async {
        let guest = shared.doorway.admit_with(token.as_deref(), Errand::Announce)?;
        check_names(&sent, &[])?;
        let number = number.ok_or_else(|| Refusal::NotFound(format!("there is no estimate `{}`", shown(&id))))?;
        guest.change_kept(team.clone(), number, change).await
    };
    match changed.await {
        Ok(_) => done(&shared, &team),
        Err(refusal) => {
            let question = Typed::from([("team".to_owned(), team)]);
            refuse(shared, question, None, Typed::new(), (Sent::Change(change, number), refusal)).await
        }
    }
}

/// To the team's estimates, as they are now.
fn done(shared: &Shared, team: &str) -> Response {
    let path = format!("/plan?team={}#kept", http_words::path_segment(team));
    Redirect::to(&shared.pages.address(&path)).into_response()
}

/// The page again, with what is wrong beside what was typed.
async fn refuse(
    shared: Arc<Shared>,
    question: Typed,
    answer: Option<Result<PlanTold, Refusal>>,
    keep: Typed,
    refused: (Sent, Refusal),
) -> Response {
    shared.doorway.count(Errand::Announce, &refused.1);
    let (code, header) = (refused.1.code(), refused.1.header());
    let mut page = page(shared, code, question, answer, keep, Some(refused)).await;
    page.headers_mut().extend(header);
    page
}

async fn page(
    shared: Arc<Shared>,
    code: StatusCode,
    typed: Typed,
    answer: Option<Result<PlanTold, Refusal>>,
    keep: Typed,
    refused: Option<(Sent, Refusal)>,
) -> Response {
    blocking(shared, move |shared| {
        let door = shared.doorway.door();
        let prices = |account: &str| door.as_ref().and_then(|door| door.prices(account));
        let (snapshot, now) = (shared.snapshot(), shared.now());
        let team = typed.get("team").map(String::as_str);
        let is_open = team.is_some() && shared.doorway.opens(Errand::Announce, team);
        let refused = refused.as_ref().map(|(sent, refusal)| (sent, refusal));
        let kept = team.and_then(|team| KeptPart::of(&snapshot, team, is_open, refused, now));
        let form = is_open.then(|| KeepForm::of(&typed, &keep, refused));
        let page = PlanPage::of(&snapshot, &prices, &typed, answer.as_ref(), form, kept);
        let mut page = shared.page(code, "plan.html", "Plan a job", page);
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        if is_open {
            // Without it the browser would call the origin of our own forms that keep an estimate `null`.
            page.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
        page
    })
    .await
}

async fn ask(shared: &Shared, typed: &Typed) -> Result<PlanTold, Refusal> {
    let job = read(typed, &zone(&shared.snapshot(), typed))?;
    let door = shared.doorway.door().ok_or(Refusal::Unavailable)?;
    door.plan(job).await
}

/// What an address says, and whether it asks: one that names a team alone leads to the form.
fn typed(query: &str) -> (Typed, bool) {
    let mut typed = Typed::new();
    let mut is_asked = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !FIELDS.contains(&name.as_ref()) {
            continue;
        }
        is_asked |= !matches!(name.as_ref(), "team" | "account");
        match value.trim() {
            "" => typed.remove(name.as_ref()),
            value => typed.insert(name.into_owned(), value.to_owned()),
        };
    }
    (typed, is_asked)
}

/// The zone in which a start is meant: that of the account that is named, or the team's first.
fn zone(snapshot: &Snapshot, typed: &Typed) -> TimeZone {
    let is_named = |name: &str, found: &str| typed.get(name).is_none_or(|named| named == found);
    let drawn = snapshot.accounts.iter().find(|account| {
        is_named("account", account.account.as_str())
            && account.draws.iter().any(|draw| is_named("team", draw.key.team.as_str()))
    });
    drawn.map_or(TimeZone::UTC, |account| account.zone.clone())
}

/// The job that is asked about.
///
/// # Errors
/// Every mistake, by the name of its field.
fn read(typed: &Typed, zone: &TimeZone) -> Result<Job, Refusal> {
    let mut mistakes = Vec::new();
    let mut note = |at: &str, message: String| mistakes.push(mistake(at, message));
    let text = |name: &str| typed.get(name).map(String::as_str);
    if text("team").is_none() {
        note("team", "choose the team that would launch it".to_owned());
    }
    let task_type = check_word(text("task").unwrap_or_default());
    let task_type = task_type.map_err(|error| note("task", error)).unwrap_or_default();
    let quality = text("quality").map(check_word).transpose();
    let quality = quality.map_err(|error| note("quality", error)).unwrap_or_default();
    let mut whole = |kind: Whole| match text(kind.as_str()) {
        None => 1,
        Some(text) => kind.check(text.parse().ok(), text).map_err(|error| note(kind.as_str(), error)).unwrap_or(1),
    };
    let (variants, count) = (whole(Whole::Variants), whole(Whole::Count));
    let attempts = text("attempts").map(|text| check_attempts(text.parse().ok(), text)).transpose();
    let attempts = attempts.map_err(|error| note("attempts", error)).unwrap_or_default();
    let starts_at = text("start").map(|text| moment(text, zone)).transpose();
    let starts_at = starts_at.map_err(|error| note("start", error)).unwrap_or_default();
    if !mistakes.is_empty() {
        return Err(Refusal::Malformed(mistakes.len(), mistakes));
    }
    Ok(Job {
        team: text("team").unwrap_or_default().to_owned(),
        account: text("account").map(str::to_owned),
        lines: vec![PlannedLine {
            request: EstimateRequest { task_type, quality, variants, count, attempts },
            starts_at,
        }],
        risk: USUAL_RISK,
    })
}

/// A day, a time in a zone as browsers write it, or an instant.
fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let local = text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(zone.clone()).ok());
    local.map(|zoned| zoned.timestamp()).ok_or_else(|| {
        format!(
            "expected a day or a time such as `2026-12-05T09:00`, found `{}`\nhint: leave it empty for now",
            shown(text)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

    #[test]
    fn an_address_is_a_question_once_it_says_more_than_who_asks() {
        for (query, expected, is_asked) in [
            ("", &[][..], false),
            ("team=props&account=studio&utm_source=x", &[("team", "props"), ("account", "studio")], false),
            ("team=props&task=", &[("team", "props")], true),
            ("task=rig&count=+3+&token=secret", &[("task", "rig"), ("count", "3")], true),
            ("task=a&task=b%22%3C", &[("task", "b\"<")], true),
        ] {
            let expected: Typed = expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(typed(query), (expected, is_asked), "{query}");
        }
    }

    #[test]
    fn a_question_is_read_or_every_mistake_is_told_at_its_field() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (query, expected) in [
            ("team=a&task=rig", Ok((1, 1, None, None))),
            (
                "team=a&task=rig&variants=4&count=10&attempts=1.5&start=2026-12-05T09:00",
                Ok((4, 10, Some(1.5), Some("2026-12-05T08:00:00Z"))),
            ),
            ("team=a&task=rig&start=2026-12-05", Ok((1, 1, None, Some("2026-12-04T23:00:00Z")))),
            ("team=a&task=rig&start=2026-12-05T09:00:00Z", Ok((1, 1, None, Some("2026-12-05T09:00:00Z")))),
            ("task=", Err(&["team", "task"][..])),
            (
                "team=a&task=rig&variants=0&count=1.5&attempts=0.5&start=soon",
                Err(&["variants", "count", "attempts", "start"]),
            ),
            ("team=a&task=rig&count=99999999999999999999&variants=-1", Err(&["variants", "count"])),
        ] {
            let found = match read(&typed(query).0, &berlin) {
                Ok(job) => {
                    let line = &job.lines[0];
                    let EstimateRequest { variants, count, attempts, .. } = line.request;
                    Ok((variants, count, attempts, line.starts_at))
                }
                Err(Refusal::Malformed(count, mistakes)) => {
                    assert_eq!(count, mistakes.len());
                    Err(mistakes.into_iter().map(|(at, ..)| at).collect::<Vec<_>>())
                }
                Err(other) => panic!("{other:?}"),
            };
            let expected = expected
                .map(|(variants, count, attempts, at)| (variants, count, attempts, at.map(sample::at)))
                .map_err(|fields| fields.iter().map(|field| (*field).to_owned()).collect());
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn the_policy_of_the_page_differs_by_our_own_script_and_form_alone() {
        let usual = super::super::CONTENT_SECURITY_POLICY;
        let with_script =
            usual.replace("'none'; style-src", "'none'; script-src 'self'; connect-src 'self'; style-src");
        assert_eq!(POLICY, with_script.replace("form-action 'none'", "form-action 'self'"));
    }
}
