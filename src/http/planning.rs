//! `/plan`: what a job would cost and whether the credits still last, asked before it is launched.
//!
//! The question is the address, so that it can be shared and asked again; the answer is made here. A little script of ours
//! asks again while the form is changed; without it the button does.

mod answer;
mod kinds;
mod page;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use self::page::PlanPage;
use super::door::{Job, PlanTold, Refusal};
use super::form::{Typed, shown};
use super::job::{Whole, check_attempts, check_word};
use super::{Shared, SharedState, blocking};
use crate::domain::{EstimateRequest, PlannedLine, Snapshot};

/// As on every page, but that our own script runs and asks us, and that the form comes to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What an address may say; what it says beside is not meant for us.
const FIELDS: [&str; 8] = ["team", "account", "task", "quality", "variants", "count", "attempts", "start"];

/// The route.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/plan", get(show))
}

async fn show(State(shared): SharedState, RawQuery(query): RawQuery) -> Response {
    let (typed, is_asked) = typed(query.as_deref().unwrap_or_default());
    let answer = if is_asked { Some(ask(&shared, &typed).await) } else { None };
    let (code, header) = match &answer {
        Some(Err(refusal)) => (refusal.code(), refusal.header()),
        _ => (StatusCode::OK, None),
    };
    let mut answer = blocking(shared, move |shared| {
        let door = shared.doorway.door();
        let prices = |account: &str| door.as_ref().and_then(|door| door.prices(account));
        let page = PlanPage::of(&shared.snapshot(), &prices, &typed, answer.as_ref());
        shared.page(code, "plan.html", "Plan a job", page)
    })
    .await;
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer.headers_mut().extend(header);
    answer
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
    let mut note = |at: &str, message: String| {
        let (message, hint) = match message.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (message, None),
        };
        mistakes.push((at.to_owned(), message, hint));
    };
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
