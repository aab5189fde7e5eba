//! Polls an account as its mapping says.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::client::{Call, CallError, SharedClient};
use super::mapping::{Asked, Endpoint, Mapping, PagingBy, RecordError, Response, query_context};
use super::tasks::TaskSet;
use super::{CollectorReport, FailureReason, PollResult, ProviderError, ReadRequest};
use crate::config::SecretFile;
use crate::domain::{Collector, Reading};

/// Reads one account of a platform that speaks JSON over HTTP.
#[derive(Debug)]
pub struct HttpProvider {
    pub(super) mapping: Arc<Mapping>,
    base_url: String,
    api_key: Option<SecretFile>,
    pub(super) salt: [u8; 16],
    shared: SharedClient,
    client: reqwest::Client,
    time_limit: Option<Duration>,
}

impl HttpProvider {
    /// Prepares to read an account; nothing is sent, and the key is not read yet.
    ///
    /// `base_url` replaces the mapping's own. `salt` is the ledger's: fingerprints of one ledger cannot be compared with
    /// another's.
    ///
    /// # Errors
    /// There is no base URL, or one that the key must not be sent to; the mapping needs a key and there is none; this
    /// machine has no certificate authorities.
    pub fn new(
        mapping: Arc<Mapping>,
        base_url: Option<&str>,
        api_key: Option<SecretFile>,
        salt: [u8; 16],
        shared: SharedClient,
    ) -> Result<HttpProvider, ProviderError> {
        let Some(base_url) = base_url.or(mapping.base_url.as_deref()) else {
            let message =
                format!("the mapping `{}` has no `base_url`\nhint: give the account a `base_url`", mapping.name);
            return Err(configuration(message));
        };
        if api_key.is_none() && mapping.needs_key() {
            let hint = "hint: give the account an `api_key_file`";
            return Err(configuration(format!("the mapping `{}` needs a key\n{hint}", mapping.name)));
        }
        let base_url = base_url.trim_end_matches('/').to_owned();
        let client = shared.for_base_url(&base_url, false)?;
        Ok(HttpProvider { mapping, base_url, api_key, salt, shared, client, time_limit: None })
    }

    /// Limits how long lists are walked in one poll, counted from its beginning. What was read by then is in the reading.
    /// Plan and balance are one request each, with the limits of the client, and are read in any case; whoever limits the
    /// poll from outside must leave them that time, or loses the whole reading.
    pub fn with_time_limit(self, time_limit: Duration) -> HttpProvider {
        HttpProvider { time_limit: Some(time_limit), ..self }
    }

    /// Lets the platform's name lead into a private network, where a gateway of the house stands.
    ///
    /// # Errors
    /// This machine has no certificate authorities.
    pub fn with_private_addresses(self) -> Result<HttpProvider, ProviderError> {
        let client = self.shared.for_base_url(&self.base_url, true)?;
        Ok(HttpProvider { client, ..self })
    }

    /// Whether known tasks are asked for by their ids.
    pub fn looks_up(&self) -> bool {
        self.mapping.lookup.is_some()
    }

    /// Whether the platform says what tasks cost.
    pub fn lists_charges(&self) -> bool {
        self.mapping.lists_charges()
    }

    /// The platform's name, as its mapping says it.
    pub fn platform(&self) -> &str {
        &self.mapping.name
    }

    /// What can be read, in the order in which a poll reads it.
    pub fn collectors(&self) -> Vec<Collector> {
        self.mapping.collectors()
    }

    /// Reads the account once: plan, charges, queue, and the balance last, so that a charge that is seen is never
    /// missing from the balance. Each collector fails by itself.
    ///
    /// A collector of charges that fails half-way still leaves in the reading what it had read by then: a task that was
    /// seen is not lost because a later page, or another list, could not be read.
    pub async fn read(&self, request: &ReadRequest) -> PollResult {
        let key = self.read_key();
        let mut poll = Poll {
            provider: self,
            request,
            key: key.as_ref().ok().and_then(Option::as_ref),
            deadline: self.time_limit.map(|limit| Instant::now() + limit),
            requests: 0,
            asking: String::new(),
            account: None,
            tasks: TaskSet::default(),
            lists: None,
            looked_up: None,
        };
        let mut reading = Reading::default();
        let mut reports = Vec::new();
        for collector in self.collectors() {
            let began = Instant::now();
            poll.requests = 0;
            let outcome = match (&key, collector) {
                (Err(error), _) => Err(error.clone()),
                (Ok(_), Collector::Plan) => poll.plan().await.map(|plan| reading.plan = plan),
                (Ok(_), Collector::Charges) => poll.charges().await,
                (Ok(_), Collector::Queue) => poll.queue().await.map(|queue| reading.queue = queue),
                (Ok(_), Collector::Balance) => poll.balance().await.map(|balance| reading.balance = balance),
            };
            let outcome = outcome.map_err(|error| poll.without_key(error));
            reports.push(CollectorReport { collector, requests: poll.requests, duration: began.elapsed(), outcome });
        }
        reading.tasks = poll.tasks.into_records();
        PollResult { reading, reports }
    }

    /// Read at each poll, so that a key rotates without a restart.
    fn read_key(&self) -> Result<Option<SecretString>, ProviderError> {
        let read = self.api_key.as_ref().map(SecretFile::read).transpose();
        read.map_err(|error| configuration(format!("`api_key_file`: {error}")))
    }
}

/// One poll under way.
pub(super) struct Poll<'a> {
    pub(super) provider: &'a HttpProvider,
    pub(super) request: &'a ReadRequest,
    key: Option<&'a SecretString>,
    /// When walking lists ends.
    deadline: Option<Instant>,
    /// Made by the collector that is running.
    requests: u64,
    /// The method and path of the last request.
    asking: String,
    /// What the platform calls this account, once it was asked.
    account: Option<Result<String, ProviderError>>,
    pub(super) tasks: TaskSet,
    /// How walking the task lists ended, once it was done: charges and queue share it.
    pub(super) lists: Option<Result<(), ProviderError>>,
    /// How asking for known tasks ended, once it was done: charges and queue share it too.
    pub(super) looked_up: Option<Result<(), ProviderError>>,
}

impl Poll<'_> {
    /// Asks for a record that stands alone in its answer.
    pub(super) async fn single<T>(
        &mut self,
        endpoint: &Endpoint,
        read: impl FnOnce(&Response) -> Result<T, RecordError>,
    ) -> Result<T, ProviderError> {
        let page = Page { asked: self.asked(), path: 0, place: Place::First };
        let (response, name) = self.send(endpoint, &page).await.map_err(|failure| failure.error)?;
        read(&response).map_err(|error| malformed(&name, error).error)
    }

    /// The same, within the time that walking lists may take.
    pub(super) async fn send_in_time(
        &mut self,
        endpoint: &Endpoint,
        page: &Page<'_>,
    ) -> Result<(Response, String), CallError> {
        let Some(deadline) = self.deadline else { return self.send(endpoint, page).await };
        if let Ok(answer) = tokio::time::timeout_at(deadline, self.send(endpoint, page)).await {
            return answer;
        }
        let limit = self.provider.time_limit.unwrap_or_default();
        let (kind, asking) = (endpoint.kind.as_str(), &self.asking);
        let hint = "hint: give the account a longer `timeout`, or poll more often";
        let message = format!("`{kind}`: {asking}: the poll's time limit of {limit:?} is over\n{hint}");
        Err(CallError::from(ProviderError { reason: FailureReason::Timeout, message, retry_after: None }))
    }

    /// Sends one request, after the one for the account's id where it holds that. The answer comes with the method and path
    /// by which errors name it.
    pub(super) async fn send(&mut self, endpoint: &Endpoint, page: &Page<'_>) -> Result<(Response, String), CallError> {
        if endpoint.names_account {
            self.know_account().await?;
        }
        self.ask(endpoint, page).await
    }

    /// Asks what the platform calls this account, once in a poll.
    async fn know_account(&mut self) -> Result<(), ProviderError> {
        let mapping = &self.provider.mapping;
        if let (None, Some(endpoint)) = (&self.account, &mapping.account) {
            let page = Page { asked: self.asked(), path: 0, place: Place::First };
            let answered = match self.ask(endpoint, &page).await {
                Ok((response, name)) => {
                    mapping.account_of(endpoint, &response).map_err(|error| malformed(&name, error).error)
                }
                Err(failure) => Err(failure.error),
            };
            self.account = Some(answered);
        }
        match &self.account {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn ask(&mut self, endpoint: &Endpoint, page: &Page<'_>) -> Result<(Response, String), CallError> {
        let call = self.call(endpoint, page)?;
        let name = format!("{} {}", if endpoint.is_post { "POST" } else { "GET" }, call.url.path());
        self.asking.clone_from(&name);
        let HttpProvider { shared, client, mapping, .. } = self.provider;
        let body = shared.send(client, &call, &mut self.requests).await.map_err(|mut failure| {
            self.explain(&mut failure);
            failure.error.message = format!("`{}`: {}", endpoint.kind.as_str(), failure.error.message);
            failure
        })?;
        let whole = |message| {
            let (path, hint) = (None, None);
            let error = RecordError { endpoint: endpoint.kind, path, record: None, field: None, message, hint };
            malformed(&name, error)
        };
        let response = Response::parse(&body).map_err(whole)?;
        match mapping.failure_of(&response).map_err(whole)? {
            None => Ok((response, name)),
            Some(failed) => {
                let kind = endpoint.kind.as_str();
                let message = format!("`{kind}`: {name}: the answer says that it failed: {}", failed.said);
                Err(CallError::from(ProviderError { reason: failed.reason, message, retry_after: None }))
            }
        }
    }

    /// What the platform itself says about a status that was refused often names the reason better.
    fn explain(&self, failure: &mut CallError) {
        let said = Response::parse(&failure.body).ok().and_then(|response| {
            // A refusal may well lack what the mapping looks for.
            self.provider.mapping.failure_of(&response).ok().flatten()
        });
        if let Some(said) = said {
            if said.reason != FailureReason::Refused {
                failure.error.reason = said.reason;
            }
            let (what, hint) = failure.error.message.split_once('\n').unwrap_or((&failure.error.message, ""));
            failure.error.message = format!("{what}; the platform says {}\n{hint}", said.said);
        }
    }

    fn call(&self, endpoint: &Endpoint, page: &Page<'_>) -> Result<Call, ProviderError> {
        let wrong = |what: String| configuration(format!("`{}`: {what}", endpoint.kind.as_str()));
        let context = query_context(&page.asked, self.account.as_ref().and_then(|id| id.as_deref().ok()));
        let path = match endpoint.paths.get(page.path) {
            Some(path) => {
                path.render_with(&context, encoded).map_err(|error| wrong(format!("path: {}", error.kind())))?
            }
            None => String::new(),
        };
        let address = format!("{}{path}", self.provider.base_url);
        let mut url = Url::parse(&address).map_err(|error| wrong(format!("`{path}` makes no address: {error}")))?;
        for (name, pattern) in &endpoint.query {
            let value = pattern.render(&context).map_err(|error| wrong(format!("query `{name}`: {}", error.kind())))?;
            if !value.is_empty() {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let rendered = endpoint.body.as_ref().map(|body| body.render(&context)).transpose();
        let mut body = rendered.map_err(|error| wrong(format!("body: {}", error.kind())))?;
        for (name, value) in paging_parameters(endpoint, &page.place) {
            match &mut body {
                Some(serde_json::Value::Object(object)) if endpoint.pages_in_body() => {
                    object.insert(name, value);
                }
                _ => {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    url.query_pairs_mut().append_pair(&name, &text);
                }
            }
        }
        let key = self.key.map_or("", |key| key.expose_secret());
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        for header in self.provider.mapping.headers.iter().chain(&endpoint.headers) {
            let text = || wrong(format!("the key makes no valid header `{}`: expected one line of ASCII", header.name));
            headers.insert(header.name.clone(), header.value(key).ok_or_else(text)?);
        }
        Ok(Call {
            url,
            body: endpoint.is_post.then(|| body.map_or_else(|| "{}".to_owned(), |body| body.to_string())),
            gate: self.provider.shared.gate(&self.provider.base_url, key),
            pace: self.provider.mapping.pace,
            headers,
            now: self.request.now,
        })
    }

    /// What every request of this poll is about.
    pub(super) fn asked(&self) -> Asked<'static> {
        Asked { since: self.request.tasks_since, now: self.request.now, window: None, tasks: &[] }
    }

    /// A platform that repeats the key in its answer must not bring it into our log.
    fn without_key(&self, mut error: ProviderError) -> ProviderError {
        if let Some(key) = self.key {
            error.message = redact(&error.message, key.expose_secret());
        }
        error
    }
}

/// Takes a key out of a text, also one that was cut short: a beginning of eight bytes gives it away.
fn redact(text: &str, key: &str) -> String {
    let beginning = key.get(..8).unwrap_or(key);
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(beginning).filter(|_| !beginning.is_empty()) {
        let (before, from_key) = rest.split_at(at);
        let length: usize = from_key
            .chars()
            .zip(key.chars())
            .take_while(|(found, secret)| found == secret)
            .map(|(c, _)| c.len_utf8())
            .sum();
        clean.push_str(before);
        clean.push_str("<redacted>");
        rest = &from_key[length..];
    }
    clean + rest
}

fn configuration(message: String) -> ProviderError {
    ProviderError { reason: FailureReason::Configuration, message, retry_after: None }
}

/// Which page is asked for.
#[derive(Clone, Debug)]
pub(super) struct Page<'a> {
    /// What it is about.
    pub(super) asked: Asked<'a>,
    /// Which of the endpoint's paths.
    pub(super) path: usize,
    /// Which page.
    pub(super) place: Place,
}

/// Where a page stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// The first, or the only one.
    First,
    /// So many pages and records after the first.
    After(u32, usize),
    /// What the page before named.
    Cursor(String),
}

/// The parameters by which a page is named.
fn paging_parameters(endpoint: &Endpoint, place: &Place) -> Vec<(String, serde_json::Value)> {
    let Some(paging) = &endpoint.paging else { return Vec::new() };
    let number = match (paging.by, place) {
        (PagingBy::Cursor, Place::Cursor(cursor)) => Some(serde_json::Value::from(cursor.as_str())),
        (PagingBy::Cursor, _) => None,
        (PagingBy::Page, Place::After(pages, _)) => Some((paging.first + pages).into()),
        (PagingBy::Page, _) => Some(paging.first.into()),
        (PagingBy::Offset, Place::After(_, records)) => Some((*records).into()),
        (PagingBy::Offset, _) => Some(0.into()),
    };
    let size = paging.size_param.clone().zip(paging.size).map(|(param, size)| (param, size.into()));
    number.map(|number| (paging.param.clone(), number)).into_iter().chain(size).collect()
}

/// A text as one segment of a path.
fn encoded(text: String) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

pub(super) fn malformed(name: &str, error: RecordError) -> CallError {
    let message = RecordError { path: Some(name.to_owned()), ..error }.to_string();
    CallError::from(ProviderError { reason: FailureReason::Malformed, message, retry_after: None })
}

#[cfg(test)]
mod tests;
