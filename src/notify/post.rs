//! One POST, and what its outcome means.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Certificate, RequestBuilder, StatusCode};

use super::{NotifyError, NotifyFailure};
use crate::domain::account::is_unprintable;
use crate::outgoing::{chain, retry_after};

/// So much of a refusal is read: what it says is for a log line.
const LARGEST_REFUSAL: usize = 1024;

/// Sends a request. `Ok` means that it was accepted (2xx); what the answer says then is not read. `whom` says whom it is
/// for: the address itself may be nobody's business. A refusal is quoted only if it `may_be_quoted`: some servers repeat
/// what they were sent, passwords among it. `now` is for a `Retry-After` that is a date.
pub(super) async fn post(
    whom: &str,
    request: RequestBuilder,
    may_be_quoted: bool,
    now: Timestamp,
) -> Result<(), NotifyError> {
    let mut response = request.send().await.map_err(|error| broken(whom, error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let retry_after = retry_after(response.headers(), now).and_then(|pause| SignedDuration::try_from(pause).ok());
    let mut said = Vec::new();
    while may_be_quoted && said.len() < LARGEST_REFUSAL {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        let room = LARGEST_REFUSAL - said.len();
        said.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Err(NotifyError { retry_after, ..refused(whom, status, &printable(&String::from_utf8_lossy(&said))) })
}

/// The authorities in a file of PEM; none without one.
pub(super) fn authorities(file: Option<&Path>) -> Result<Vec<Certificate>, String> {
    let Some(path) = file else { return Ok(Vec::new()) };
    let failed = |error: String| format!("failed to read the authorities in `ca_file` `{}`: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))
}

fn refused(whom: &str, status: StatusCode, said: &str) -> NotifyError {
    let (kind, hint) = meaning(status);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let hint = if hint.is_empty() { String::new() } else { format!("\nhint: {hint}") };
    let message = format!("{whom}: expected a status from 200 to 299, found {}{said}{hint}", status.as_u16());
    NotifyError::new(kind, message)
}

/// The class of a status, and what to do about it.
fn meaning(status: StatusCode) -> (NotifyFailure, &'static str) {
    use NotifyFailure::{Configuration, Permanent, RateLimited, Transient};
    match status.as_u16() {
        300..=399 => (Configuration, "redirects are not followed: write the final address into the configuration"),
        401 | 403 | 407 => (Configuration, "it does not accept who sends: look at the file of the secret"),
        404 | 405 => (Configuration, "nobody takes it at that address: look at the path of the URL"),
        429 => (RateLimited, ""),
        408 | 425 | 500..=599 => (Transient, ""),
        _ => (Permanent, ""),
    }
}

fn broken(whom: &str, error: reqwest::Error) -> NotifyError {
    let error = error.without_url();
    if error.is_builder() {
        let message = format!("{whom}: expected a secret of one line, found what fits into no header");
        return NotifyError::new(NotifyFailure::Configuration, message);
    }
    if error.is_timeout() {
        return NotifyError::new(NotifyFailure::Transient, format!("{whom}: no answer in time"));
    }
    let said = printable(&chain(&error));
    match speaks_of_tls(&error) {
        true => NotifyError::new(
            NotifyFailure::Configuration,
            format!(
                "{whom}: {said}\nhint: the host of the URL must be a name in the certificate; a private authority goes \
                 into `ca_file`"
            ),
        ),
        false => NotifyError::new(NotifyFailure::Transient, format!("{whom}: {said}")),
    }
}

/// Whether it was TLS that failed, and not the way there.
fn speaks_of_tls(error: &(dyn StdError + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // An io::Error hides the error it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|inner| speaks_of_tls(inner)) || error.source().is_some_and(speaks_of_tls)
}

/// What somebody said, fit for a log line: one line, no control characters, shortened.
fn printable(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let mut short: String = clean.trim().chars().take(300).collect();
    if short.len() < clean.trim().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_to_do() {
        use NotifyFailure::*;
        for (status, kind) in [
            (301, Configuration),
            (308, Configuration),
            (400, Permanent),
            (401, Configuration),
            (403, Configuration),
            (404, Configuration),
            (408, Transient),
            (410, Permanent),
            (413, Permanent),
            (422, Permanent),
            (425, Transient),
            (429, RateLimited),
            (500, Transient),
            (502, Transient),
            (503, Transient),
            (504, Transient),
        ] {
            assert_eq!(meaning(StatusCode::from_u16(status).unwrap()).0, kind, "{status}");
        }
        let error = refused("the webhook `pipeline`", StatusCode::GONE, "no such hook");
        assert_eq!(
            error.to_string(),
            "the webhook `pipeline`: expected a status from 200 to 299, found 410: no such hook"
        );
    }
}
