//! The HTTP client that all providers share: limits on time and size, no redirects, and status codes as reasons.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use super::pace::{Gate, Gates, Pace, Refused};
use super::{FailureReason, ProviderError};
use crate::outgoing::{ClientOptions, chain, is_public, retry_after};

/// Limits on one request. The poller limits the whole poll besides.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence while an answer arrives.
    pub read_timeout: Duration,
    /// Longest time from sending to the last byte.
    pub total_timeout: Duration,
    /// Largest answer, in bytes after decompression.
    pub largest_body: usize,
    /// How often a passing failure is tried again within one poll.
    pub retries: u32,
    /// Longest pause before the first of these; it doubles each time. The pause is drawn evenly from zero up to it.
    pub backoff: Duration,
    /// Longest `Retry-After` that is waited for within a poll; after a longer one the collector gives up.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(20),
            total_timeout: Duration::from_secs(30),
            largest_body: 16 * 1024 * 1024,
            retries: 2,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// One pool of connections for every account. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SharedClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    https: OnceLock<Result<Client, String>>,
    /// One that may also be led into private networks.
    private: OnceLock<Result<Client, String>>,
    loopback: OnceLock<Result<Client, String>>,
    gates: Gates,
}

/// The answer to one call that could not be used.
#[derive(Debug)]
pub(super) struct CallError {
    /// The status, if there was an answer.
    pub(super) status: Option<u16>,
    /// What the platform said beside a status that was refused; its beginning, if it said much.
    pub(super) body: Vec<u8>,
    pub(super) error: ProviderError,
}

impl From<ProviderError> for CallError {
    fn from(error: ProviderError) -> CallError {
        CallError { status: None, body: Vec::new(), error }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) url: Url,
    /// What is posted, as JSON; `None` for a GET.
    pub(super) body: Option<String>,
    /// What it has to pass before it is sent.
    pub(super) gate: Arc<Gate>,
    /// The platform's limit, if its mapping names one.
    pub(super) pace: Option<Pace>,
    /// Values that hold a key are marked as sensitive.
    pub(super) headers: HeaderMap,
    /// The present moment, against which a date in `Retry-After` is read where the answer has none of its own.
    pub(super) now: Timestamp,
}

impl Call {
    /// `GET` or `POST`, and the path.
    fn name(&self) -> String {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        format!("{method} {}", self.url.path())
    }
}

/// So much of the body of a refused answer is looked at.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// Checks an address before anything is sent there: `https`, or `http` to this machine; no user, query or fragment.
///
/// # Errors
/// What was found and what was expected. A password in the address is not shown.
pub fn check_base_url(text: &str) -> Result<(), String> {
    let expected = "expected an address such as `https://api.example.com`";
    let url = Url::parse(text).map_err(|error| format!("{expected}, found one that cannot be read: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{expected}, found one with a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}, found one with `?` or `#`"));
    }
    match url.scheme() {
        "https" if is_link(&url) => {
            Err(format!("{expected}, found an address that belongs to a link, not to a platform"))
        }
        "https" if url.host().is_some() => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err(format!(
            "expected `https`, found `http` to `{}`; plain HTTP would show the key to the network and is for this \
             machine only (127.0.0.1, [::1], localhost)",
            url.host_str().unwrap_or_default()
        )),
        scheme => Err(format!("{expected}, found the scheme `{scheme}`")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether the host is the address of a link, where clouds keep the secrets of their machines, or of nothing.
fn is_link(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.is_ok_and(|address| {
        let is_in_private_network = match address {
            std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
            std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.segments()[0] & 0xfe00 == 0xfc00,
        };
        !is_public(address) && !is_in_private_network
    })
}

impl SharedClient {
    /// Connects to nothing yet.
    pub fn new(limits: Limits) -> SharedClient {
        let (https, private, loopback) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        SharedClient(Arc::new(Inner { limits, https, private, loopback, gates: Gates::default() }))
    }

    /// What requests to a platform with a key have to pass.
    pub(super) fn gate(&self, base_url: &str, key: &str) -> Arc<Gate> {
        self.0.gates.gate(base_url, key)
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The client for a base URL, which is checked. A name may lead to public addresses only, unless `may_be_private`.
    pub(super) fn for_base_url(&self, base_url: &str, may_be_private: bool) -> Result<Client, ProviderError> {
        let wrong = |message| ProviderError { reason: FailureReason::Configuration, message, retry_after: None };
        check_base_url(base_url).map_err(|message| wrong(format!("`base_url`: {message}")))?;
        let limits = &self.0.limits;
        let client = match (base_url.starts_with("https"), may_be_private) {
            (true, false) => self.0.https.get_or_init(|| build(limits, true, false)),
            (true, true) => self.0.private.get_or_init(|| build(limits, true, true)),
            (false, _) => self.0.loopback.get_or_init(|| build(limits, false, true)),
        };
        client.clone().map_err(|error| wrong(format!("failed to prepare the HTTP client: {error}")))
    }

    /// Sends a request and gets a body, trying again after passing failures. Each try adds one to `requests`.
    pub(super) async fn send(&self, client: &Client, call: &Call, requests: &mut u64) -> Result<Vec<u8>, CallError> {
        let limits = &self.0.limits;
        call.gate.check(call.now).map_err(|refused| too_soon(call, refused))?;
        let mut tried = 0;
        loop {
            if let Some(pace) = call.pace {
                call.gate.pass(pace, pace.period).await.map_err(|refused| too_soon(call, refused))?;
            }
            *requests += 1;
            let failure = match self.send_once(client, call).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let asked_for = failure.error.retry_after.unwrap_or_default();
            if tried >= limits.retries || !failure.error.reason.is_passing() || asked_for > limits.longest_wait {
                // The polls to come keep away for as long as the platform asked.
                call.gate.close_for(asked_for, call.now);
                return Err(failure);
            }
            let pause = asked_for + limits.backoff.mul_f64(2_f64.powi(tried as i32) * random_share());
            tokio::time::sleep(pause).await;
            tried += 1;
        }
    }

    async fn send_once(&self, client: &Client, call: &Call) -> Result<Vec<u8>, CallError> {
        let broken = |error| CallError::from(self.broken(call, error));
        let request = match &call.body {
            None => client.get(call.url.clone()),
            Some(json) => {
                let is_json = HeaderValue::from_static("application/json");
                client.post(call.url.clone()).header(CONTENT_TYPE, is_json).body(json.clone())
            }
        };
        let mut response = request.headers(call.headers.clone()).send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            let error = refused(call, status, response.headers());
            let mut body = Vec::new();
            // What cannot be read any more is not missed.
            while let Ok(Some(chunk)) = response.chunk().await {
                let room = LARGEST_REFUSAL - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == LARGEST_REFUSAL {
                    break;
                }
            }
            return Err(CallError { status: Some(status.as_u16()), body, error });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > self.0.limits.largest_body {
                let (status, error) = (Some(status.as_u16()), self.too_large(call));
                return Err(CallError { status, body: Vec::new(), error });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn broken(&self, call: &Call, error: reqwest::Error) -> ProviderError {
        let name = call.name();
        let (reason, message) = if error.is_timeout() {
            let limits = &self.0.limits;
            let hint = "hint: the platform is slow or out of reach; the next poll tries again";
            let (total, read) = (limits.total_timeout, limits.read_timeout);
            let text = format!("{name}: no full answer within {total:?}, or silence of {read:?}\n{hint}");
            (FailureReason::Timeout, text)
        } else {
            (FailureReason::Connection, format!("{name}: {}", chain(&error.without_url())))
        };
        ProviderError { reason, message, retry_after: None }
    }

    fn too_large(&self, call: &Call) -> ProviderError {
        let (name, most) = (call.name(), self.0.limits.largest_body);
        let hint = "hint: ask for smaller pages in the mapping (`paging.size`)";
        let message = format!("{name}: expected an answer of at most {most} bytes, found a larger one\n{hint}");
        ProviderError { reason: FailureReason::TooLarge, message, retry_after: None }
    }
}

fn build(limits: &Limits, is_encrypted: bool, may_be_private: bool) -> Result<Client, String> {
    let options = ClientOptions {
        is_encrypted,
        may_be_private,
        // What is on this machine is not behind a proxy.
        uses_proxy: is_encrypted,
        authorities: Vec::new(),
        connect_timeout: limits.connect_timeout,
        read_timeout: limits.read_timeout,
        total_timeout: limits.total_timeout,
    };
    options.build()
}

/// The reason that a status stands for.
fn reason_of(status: StatusCode) -> FailureReason {
    match status.as_u16() {
        401 => FailureReason::Unauthorized,
        402 => FailureReason::PaymentRequired,
        403 => FailureReason::Forbidden,
        404 | 405 | 410 => FailureReason::NotFound,
        429 => FailureReason::RateLimited,
        500..=599 => FailureReason::ServerError,
        _ => FailureReason::UnexpectedStatus,
    }
}

fn refused(call: &Call, status: StatusCode, headers: &HeaderMap) -> ProviderError {
    let reason = reason_of(status);
    let hint = match reason {
        FailureReason::Unauthorized => "the key is missing, wrong or revoked: look at `api_key_file`",
        FailureReason::PaymentRequired => "the platform says that the credits are gone",
        FailureReason::Forbidden => "the key may not do this, often because of the plan",
        FailureReason::NotFound if status == StatusCode::GONE => {
            "the platform has switched this off: is there a newer version of its API, and of the mapping?"
        }
        FailureReason::NotFound => "look at `base_url` and at the mapping's path",
        FailureReason::RateLimited => "poll less often, or find out who else uses this account's limit",
        FailureReason::ServerError => "the platform has trouble; the next poll tries again",
        _ if status.is_redirection() => "redirects are not followed: put the final address into `base_url`",
        _ => "the platform answers otherwise than the mapping expects",
    };
    let (name, code) = (call.name(), status.as_u16());
    let message = format!("{name}: expected a status from 200 to 299, found {code}\nhint: {hint}");
    ProviderError { reason, message, retry_after: retry_after(headers, call.now) }
}

/// A request that was not sent, because the platform would not have it yet.
fn too_soon(call: &Call, refused: Refused) -> CallError {
    let name = call.name();
    let (wait, message) = match refused {
        Refused::LeftAlone(wait) => {
            let hint = "hint: nothing is lost; a later poll tries again";
            (wait, format!("{name}: not sent: the platform asked to be left alone for another {wait:.0?}\n{hint}"))
        }
        Refused::UsedUp(wait) => {
            let hint = "hint: poll less often, or read fewer accounts with this key";
            let allowed = call.pace.map_or(0, |pace| pace.requests);
            (wait, format!("{name}: not sent: the limit of {allowed} is used up for another {wait:.0?}\n{hint}"))
        }
    };
    let error = ProviderError { reason: FailureReason::RateLimited, message, retry_after: Some(wait) };
    CallError::from(error)
}

/// A share from 0 to 1, so that many agents do not come back at the same instant.
fn random_share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is the longest one, which is safe.
    match ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_travels_encrypted_or_not_at_all() {
        for (url, expected) in [
            ("https://api.example.com", ""),
            ("https://api.example.com/base/", ""),
            ("http://127.0.0.1:8080", ""),
            ("http://127.9.9.9", ""),
            ("http://[::1]:8080", ""),
            ("http://localhost:8080", ""),
            ("http://api.example.com", "expected `https`, found `http` to `api.example.com`"),
            ("http://localhost.example.com", "expected `https`"),
            ("http://10.0.0.1", "expected `https`"),
            ("http://0.0.0.0", "expected `https`"),
            ("https://user:hunter2@api.example.com", "user name or password"),
            ("http://127.0.0.1@api.example.com", "user name or password"),
            ("https://api.example.com?key=1", "`?` or `#`"),
            ("https://api.example.com#a", "`?` or `#`"),
            ("file:///etc/passwd", "the scheme `file`"),
            ("api.example.com", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let result = check_base_url(url);
            match expected {
                "" => assert_eq!(result, Ok(()), "{url}"),
                words => assert!(result.clone().is_err_and(|m| m.contains(words)), "{url}: {result:?}"),
            }
            assert!(!result.is_err_and(|message| message.contains("hunter2")));
        }
    }
}
