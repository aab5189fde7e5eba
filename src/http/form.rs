//! What pages with forms have in common: who may send one, what came with it, its fields, and what is wrong with them.
//!
//! There is no login: the token comes with each form, through the same door as with the API, and goes into no page and no
//! address.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use super::Shared;
use super::door::{Errand, Refusal, form_body};
use crate::domain::account::is_unprintable;

/// As on every page, but for forms that go to ourselves.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// The field of the token, which no mistake of [`Refusal::Malformed`] names.
const TOKEN: &str = "token";

/// What was typed, by the names of the fields; what was left empty is not there, and neither is the token.
pub type Typed = BTreeMap<String, String>;

/// A field of a form.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Field {
    /// Unique on the page.
    pub id: String,
    /// By which it is sent.
    pub name: &'static str,
    /// Above it.
    pub label: &'static str,
    /// Below it.
    pub help: &'static str,
    /// The type of the input; `select` for a choice.
    pub input: &'static str,
    /// What can be chosen.
    pub choices: Vec<Choice>,
    /// The least number or first day.
    pub min: Option<String>,
    /// The greatest number, last day or, of a text, length.
    pub max: Option<String>,
    /// The id of the list of what it is likely to be.
    pub list: Option<&'static str>,
    /// Whether, of numbers, it takes whole ones alone.
    pub is_whole: bool,
    /// Whether it takes a whole line of the form.
    pub is_wide: bool,
    /// Whether it must not be left empty.
    pub is_required: bool,
    /// What it holds.
    pub value: String,
    /// What is wrong with that.
    pub mistake: Option<String>,
    /// Whether the page opens with the cursor in it.
    pub has_focus: bool,
}

/// One of several values that a field can have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// As it is sent.
    pub value: String,
    /// As it is read.
    pub label: String,
}

impl Choice {
    /// A value that is read as it is sent.
    pub fn plain(value: &str) -> Choice {
        Choice { value: value.to_owned(), label: value.to_owned() }
    }
}

impl Field {
    /// A field that may be left empty.
    pub fn new(name: &'static str, label: &'static str, input: &'static str, help: &'static str) -> Field {
        Field { name, label, input, help, ..Field::default() }
    }

    /// The field for a token, with what it must allow.
    pub fn token(help: &'static str) -> Field {
        Field { is_required: true, ..Field::new(TOKEN, "Token", "password", help) }
    }

    /// The field for the token of a form that has no other, with why the form was refused.
    pub fn lone_token(help: &'static str, id: String, refusal: Option<&Refusal>) -> Field {
        Field { id, has_focus: refusal.is_some(), mistake: refusal.map(reason), ..Field::token(help) }
    }
}

/// Puts what was typed and what is wrong with it into the fields of a form that was refused. Answers what belongs to none of
/// them.
pub fn give_back(fields: &mut [Field], typed: &Typed, refusal: &Refusal) -> Option<String> {
    for field in fields.iter_mut().filter(|field| field.name != TOKEN) {
        field.value = typed.get(field.name).cloned().unwrap_or_default();
    }
    let mut said: Vec<String> = Vec::new();
    for (at, words) in mistakes(refusal) {
        let words = labelled(&words, fields);
        match fields.iter_mut().find(|field| field.name == at) {
            Some(field) => field.mistake = Some(words),
            None if at.is_empty() => said.push(words),
            None => said.push(format!("{at}: {words}")),
        }
    }
    if let Some(wrong) = fields.iter_mut().find(|field| field.mistake.is_some()) {
        wrong.has_focus = true;
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// Why, in one text.
pub fn reason(refusal: &Refusal) -> String {
    mistakes(refusal).into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(" ")
}

/// What is wrong, by the names of fields; without a name what belongs to none.
fn mistakes(refusal: &Refusal) -> Vec<(String, String)> {
    match refusal {
        Refusal::Malformed(_, mistakes) => {
            let words = |(at, message, hint): &(String, String, Option<String>)| {
                let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                (at.clone(), format!("{message}{hint}"))
            };
            mistakes.iter().map(words).collect()
        }
        Refusal::Unauthorized => vec![(TOKEN.to_owned(), "expected a token that `web.tokens` knows".to_owned())],
        Refusal::Forbidden(words) => vec![(TOKEN.to_owned(), words.clone())],
        other => vec![(String::new(), other.in_words())],
    }
}

/// A message that names fields as they are labelled.
fn labelled(message: &str, fields: &[Field]) -> String {
    let name = |text: String, field: &Field| text.replace(&format!("`{}`", field.name), &format!("“{}”", field.label));
    fields.iter().fold(message.to_owned(), name)
}

/// What came with a form: the token, which is kept apart so that no page can show it, and what else was typed.
pub async fn fields(shared: &Shared, request: Request) -> Result<(Option<String>, Typed), Refusal> {
    let (head, body) = request.into_parts();
    check_origin(&head.headers, shared.state.external_url.as_deref())?;
    let (mut token, mut typed) = (None, Typed::new());
    for (name, value) in form_body(&head.headers, body).await? {
        let value = value.trim().to_owned();
        match name.as_str() {
            _ if value.is_empty() => {}
            TOKEN => token = Some(value),
            _ => _ = typed.insert(name, value),
        }
    }
    Ok((token, typed))
}

/// A page that has forms, or the answer to one.
pub fn with_forms(mut page: Response) -> Response {
    let headers = page.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Without it the browser would call the origin of our own form `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    page
}

/// The answer to a form that was not read, which is counted.
pub fn refuse_whole(shared: &Shared, errand: Errand, refusal: &Refusal) -> Response {
    shared.doorway.count(errand, refusal);
    shared.message(refusal.code(), "Nothing was taken", &refusal.in_words())
}

/// Refuses a field of a form that has no such field.
pub fn check_names(typed: &Typed, known: &[&str]) -> Result<(), Refusal> {
    match typed.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Refusal::mistake(shown(unknown), "unknown field")),
        None => Ok(()),
    }
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

/// The beginning of what somebody sent, fit to be shown.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(40).collect()
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
    fn the_page_with_forms_differs_in_its_policy_by_forms_alone() {
        let usual = super::super::CONTENT_SECURITY_POLICY;
        assert_eq!(POLICY, usual.replace("form-action 'none'", "form-action 'self'"));
        assert_ne!(POLICY, usual);
    }
}
