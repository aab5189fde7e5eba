//! `/api/v1/estimate`: what a job would cost and do, asked by scripts before they launch it, for who has a token.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::body::{BODY, json, value};
use super::door::{Doorway, Errand, Job, QUESTION_LIMIT, Refusal, json_body};
use super::form::shown;
use super::job::{Whole, check_attempts, check_word};
use super::plan::as_json;
use super::refusal::mistake;
use crate::domain::plan_check::{MOST_LINES, USUAL_RISK};
use crate::domain::{EstimateRequest, PlannedLine};

/// The route.
pub(super) fn routes() -> Router<Doorway> {
    Router::new().route("/api/v1/estimate", post(estimate))
}

async fn estimate(State(doorway): State<Doorway>, request: Request) -> Response {
    let told = async {
        let (head, body) = request.into_parts();
        let guest = doorway.admit(&head.headers, Errand::Estimate)?;
        let job = read(&json_body(&head.headers, body, QUESTION_LIMIT).await?)?;
        guest.plan(job).await
    };
    match told.await {
        Ok(told) => Json(as_json(&told.draw, &told.lines, &told.check)).into_response(),
        Err(refusal) => doorway.refuse(Errand::Estimate, refusal),
    }
}

/// The keys of a line.
const LINE_KEYS: [&str; 6] = ["task", "quality", "variants", "count", "attempts", "starts_at"];
/// The keys of a request besides those of a line.
const KEYS: [&str; 4] = ["team", "account", "lines", "risk"];
/// So many mistakes are told; of more it is said how many there are.
const MOST_MISTAKES: usize = 20;

/// The job that a request asks about: `lines`, or the keys of its only line beside the team.
///
/// # Errors
/// Every mistake, with its place such as `lines[2].count`.
fn read(body: &[u8]) -> Result<Job, Refusal> {
    let value = json(body)?;
    let mut mistakes = Mistakes::default();
    let job = job(&value, &mut mistakes);
    match (job, mistakes.count) {
        (Some(job), 0) => Ok(job),
        (_, count) => Err(Refusal::Malformed(count, mistakes.told)),
    }
}

#[derive(Debug, Default)]
struct Mistakes {
    count: usize,
    told: Vec<(String, String, Option<String>)>,
}

impl Mistakes {
    /// Notes one; what it is about is not there.
    fn note<T>(&mut self, at: impl Into<String>, message: impl Into<String>) -> Option<T> {
        self.count += 1;
        if self.told.len() < MOST_MISTAKES {
            self.told.push(mistake(at, message));
        }
        None
    }
}

fn job(body: &Value, mistakes: &mut Mistakes) -> Option<Job> {
    let Some(fields) = body.as_object() else {
        return mistakes.note(BODY, format!("expected an object, found {}", in_words(body)));
    };
    let has_lines = fields.contains_key("lines");
    let known: Vec<&str> = KEYS.iter().chain(LINE_KEYS.iter().filter(|_| !has_lines)).copied().collect();
    let is_of_line = |key: &str| LINE_KEYS.contains(&key);
    for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
        let hint = if has_lines && is_of_line(key) {
            "with `lines` it belongs into one of them".to_owned()
        } else {
            format!("expected one of {}", known.join(", "))
        };
        mistakes.note::<()>(shown(key), format!("unknown key\nhint: {hint}"));
    }
    let team = required(fields, "team", "", mistakes);
    let account = text(fields, "account", "", mistakes);
    let risk = match value(fields, "risk") {
        None => Some(USUAL_RISK),
        Some(found) => match found.as_f64().filter(|risk| *risk > 0.0 && *risk <= 1.0) {
            Some(risk) => Some(risk),
            None => {
                let hint = "the credits last if running out is less likely than this, 0.5 if you leave it out";
                let found = shown(&found.to_string());
                mistakes.note(
                    "risk",
                    format!("expected a probability above 0 and at most 1, found `{found}`\nhint: {hint}"),
                )
            }
        },
    };
    let lines = match value(fields, "lines") {
        None if has_lines => mistakes.note("lines", "expected a list of lines, found nothing"),
        None => line(fields, "", mistakes).map(|line| vec![line]),
        Some(Value::Array(lines)) if lines.is_empty() => {
            mistakes.note("lines", "expected at least one line, found none")
        }
        Some(Value::Array(lines)) if lines.len() > MOST_LINES => {
            mistakes.note("lines", format!("expected at most {MOST_LINES} lines, found {}", lines.len()))
        }
        Some(Value::Array(lines)) => {
            // Every line is read, so that every mistake is told.
            let read: Vec<Option<PlannedLine>> =
                lines.iter().enumerate().map(|(place, value)| object_line(value, place, mistakes)).collect();
            read.into_iter().collect()
        }
        Some(other) => mistakes.note("lines", format!("expected a list of lines, found {}", in_words(other))),
    };
    Some(Job { team: team?, account: account?, lines: lines?, risk: risk? })
}

fn object_line(value: &Value, place: usize, mistakes: &mut Mistakes) -> Option<PlannedLine> {
    let at = format!("lines[{place}]");
    let Some(fields) = value.as_object() else {
        return mistakes.note(at, format!("expected an object, found {}", in_words(value)));
    };
    for key in fields.keys().filter(|key| !LINE_KEYS.contains(&key.as_str())) {
        let hint = LINE_KEYS.join(", ");
        mistakes.note::<()>(format!("{at}.{}", shown(key)), format!("unknown key\nhint: expected one of {hint}"));
    }
    line(fields, &format!("{at}."), mistakes)
}

/// The line whose keys are these. `at` comes before their names where one is wrong.
fn line(fields: &Map<String, Value>, at: &str, mistakes: &mut Mistakes) -> Option<PlannedLine> {
    let task_type = required(fields, "task", at, mistakes)
        .and_then(|word| check_word(&word).map_err(|error| mistakes.note::<()>(format!("{at}task"), error)).ok());
    let quality =
        text(fields, "quality", at, mistakes).and_then(|quality| match quality.map(|word| check_word(&word)) {
            None => Some(None),
            Some(Ok(word)) => Some(Some(word)),
            Some(Err(error)) => mistakes.note(format!("{at}quality"), error),
        });
    let mut whole = |kind: Whole| match value(fields, kind.as_str()) {
        None => Some(1),
        Some(found) => match kind.check(found.as_u64(), &found.to_string()) {
            Ok(number) => Some(number),
            Err(error) => mistakes.note(format!("{at}{}", kind.as_str()), error),
        },
    };
    let (variants, count) = (whole(Whole::Variants), whole(Whole::Count));
    let attempts = match value(fields, "attempts") {
        None => Some(None),
        Some(found) => match check_attempts(found.as_f64(), &found.to_string()) {
            Ok(attempts) => Some(Some(attempts)),
            Err(error) => mistakes.note(format!("{at}attempts"), error),
        },
    };
    let starts_at = text(fields, "starts_at", at, mistakes).and_then(|text| match text {
        None => Some(None),
        Some(text) => match text.parse::<Timestamp>() {
            Ok(instant) => Some(Some(instant)),
            Err(_) => {
                let expected = "expected an instant as in RFC 3339, such as `2026-12-05T09:00:00Z`";
                mistakes.note(format!("{at}starts_at"), format!("{expected}, found `{}`", shown(&text)))
            }
        },
    });
    let request = EstimateRequest {
        task_type: task_type?,
        quality: quality?,
        variants: variants?,
        count: count?,
        attempts: attempts?,
    };
    Some(PlannedLine { request, starts_at: starts_at? })
}

fn required(fields: &Map<String, Value>, key: &'static str, at: &str, mistakes: &mut Mistakes) -> Option<String> {
    match text(fields, key, at, mistakes)? {
        Some(text) => Some(text),
        None => mistakes.note(format!("{at}{key}"), "expected a text, found nothing"),
    }
}

/// The text of a key, if it has one.
fn text(fields: &Map<String, Value>, key: &str, at: &str, mistakes: &mut Mistakes) -> Option<Option<String>> {
    match value(fields, key) {
        None => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(other) => mistakes.note(format!("{at}{key}"), format!("expected a text, found {}", in_words(other))),
    }
}

/// What a value is.
fn in_words(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(_) => "a text".to_owned(),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(task: &str, variants: u32, count: u32) -> PlannedLine {
        let (quality, attempts) = (None, None);
        PlannedLine {
            request: EstimateRequest { task_type: task.into(), quality, variants, count, attempts },
            starts_at: None,
        }
    }

    #[test]
    fn a_job_is_its_lines_or_one_line_beside_the_team() {
        let whole =
            EstimateRequest { quality: Some("high".into()), attempts: Some(1.4), ..asked("rig", 4, 10).request };
        let at = Some("2026-12-05T09:00:00Z".parse().unwrap());
        for (body, account, lines) in [
            (json!({"team": "props", "task": "rig"}), None, vec![asked("rig", 1, 1)]),
            (
                json!({"team": "props", "account": "studio", "task": "rig", "quality": "high", "variants": 4, "count": 10,
                       "attempts": 1.4, "starts_at": "2026-12-05T10:00:00+01:00"}),
                Some("studio"),
                vec![PlannedLine { request: whole, starts_at: at }],
            ),
            (
                json!({"team": "props", "account": null, "lines": [{"task": "rig"}, {"task": "a", "count": 100_000}]}),
                None,
                vec![asked("rig", 1, 1), asked("a", 1, 100_000)],
            ),
        ] {
            let job = Job { team: "props".into(), account: account.map(str::to_owned), lines, risk: 0.5 };
            assert_eq!(read(body.to_string().as_bytes()), Ok(job), "{body}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let many: Vec<Value> = (0..201).map(|_| json!({"task": "rig"})).collect();
        for (body, expected) in [
            (json!([1]), &["body: expected an object, found a list"][..]),
            (json!({}), &["team: expected a text, found nothing", "task: expected a text, found nothing"]),
            (
                json!({"team": "a", "task": "rig", "risk": 20}),
                &[
                    "risk: expected a probability above 0 and at most 1, found `20`; the credits last if running out is less \
                   likely than this, 0.5 if you leave it out",
                ],
            ),
            (json!({"team": 7, "task": "rig"}), &["team: expected a text, found `7`"]),
            (
                json!({"team": "a", "task": "rig", "lines": [{"task": "rig"}]}),
                &["task: unknown key; with `lines` it belongs into one of them"],
            ),
            (
                json!({"team": "a", "taks": "rig", "task": "rig"}),
                &[
                    "taks: unknown key; expected one of team, account, lines, risk, task, quality, variants, count, attempts, starts_at",
                ],
            ),
            (json!({"team": "a", "lines": []}), &["lines: expected at least one line, found none"]),
            (json!({"team": "a", "lines": null}), &["lines: expected a list of lines, found nothing"]),
            (json!({"team": "a", "lines": {}}), &["lines: expected a list of lines, found an object"]),
            (json!({"team": "a", "lines": many}), &["lines: expected at most 200 lines, found 201"]),
            (
                json!({"team": "a", "lines": [{"task": "rig"}, 5, {"task": " ", "count": 0, "variants": 1.5, "x": 1}]}),
                &[
                    "lines[1]: expected an object, found `5`",
                    "lines[2].x: unknown key; expected one of task, quality, variants, count, attempts, starts_at",
                    "lines[2].task: expected the platform's word, found nothing",
                    "lines[2].variants: expected a whole number from 1 to 1000, found `1.5`; variants of each asset, one if you \
                     leave it out",
                    "lines[2].count: expected a whole number from 1 to 100000, found `0`; assets wanted, one if you leave it \
                     out",
                ],
            ),
            (
                json!({"team": "a", "task": "rig", "attempts": "2", "starts_at": "tomorrow", "quality": [1]}),
                &[
                    "quality: expected a text, found a list",
                    "attempts: expected a number from 1 to 100, found `\"2\"`; leave it out to go by the history",
                    "starts_at: expected an instant as in RFC 3339, such as `2026-12-05T09:00:00Z`, found `tomorrow`",
                ],
            ),
        ] {
            let Err(Refusal::Malformed(count, told)) = read(body.to_string().as_bytes()) else { panic!("{body}") };
            let words = |(at, message, hint): (String, String, Option<String>)| {
                format!("{at}: {message}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())
            };
            let told: Vec<String> = told.into_iter().map(words).collect();
            assert_eq!(
                (count, told),
                (expected.len(), expected.iter().map(|&text| text.to_owned()).collect()),
                "{body}"
            );
        }
        let many: Vec<Value> = (0..150).map(|_| json!({})).collect();
        let body = json!({"team": "a", "lines": many}).to_string();
        let Err(Refusal::Malformed(count, told)) = read(body.as_bytes()) else { panic!("{body}") };
        assert_eq!((count, told.len()), (150, MOST_MISTAKES));
        assert!(read(b"{").is_err());
    }
}
