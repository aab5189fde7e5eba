//! Polls an account as its mapping says.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::client::{Call, CallError, SharedClient};
use super::mapping::{Endpoint, Mapping, Paging, QueueSource, RecordError, Response, query_context};
use super::tasks::TaskSet;
use super::{CollectorReport, FailureReason, PollResult, ProviderError, ReadRequest};
use crate::config::SecretFile;
use crate::domain::{BalanceRecord, Collector, PlanRecord, QueueRecord, Reading};

/// Reads one account of a platform that speaks JSON over HTTP.
#[derive(Debug)]
pub struct HttpProvider {
    mapping: Arc<Mapping>,
    base_url: String,
    api_key: Option<SecretFile>,
    salt: [u8; 16],
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
        let client = shared.for_base_url(&base_url)?;
        Ok(HttpProvider { mapping, base_url, api_key, salt, shared, client, time_limit: None })
    }

    /// Limits how long lists are walked in one poll, counted from its beginning. What was read by then is in the reading.
    /// Plan and balance are one request each, with the limits of the client, and are read in any case; whoever limits the
    /// poll from outside must leave them that time, or loses the whole reading.
    pub fn with_time_limit(self, time_limit: Duration) -> HttpProvider {
        HttpProvider { time_limit: Some(time_limit), ..self }
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
            tasks: TaskSet::default(),
            lists: None,
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
struct Poll<'a> {
    provider: &'a HttpProvider,
    request: &'a ReadRequest,
    key: Option<&'a SecretString>,
    /// When walking lists ends.
    deadline: Option<Instant>,
    /// Made by the collector that is running.
    requests: u64,
    tasks: TaskSet,
    /// How walking the task lists ended, once it was done: charges and queue share it.
    lists: Option<Result<(), ProviderError>>,
}

impl Poll<'_> {
    async fn plan(&mut self) -> Result<Option<PlanRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.plan else { return Ok(None) };
        let plan = self.single(endpoint, |response| mapping.plan_of(endpoint, response)).await?;
        let says_something = plan.name.is_some() || plan.allowance.is_some() || plan.resets_at.is_some();
        Ok(says_something.then_some(plan))
    }

    async fn balance(&mut self) -> Result<Option<BalanceRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.balance else { return Ok(None) };
        self.single(endpoint, |response| mapping.balance_of(endpoint, response)).await.map(Some)
    }

    async fn queue(&mut self) -> Result<Option<QueueRecord>, ProviderError> {
        let mapping = &self.provider.mapping;
        match &mapping.queue {
            None => Ok(None),
            Some(QueueSource::Endpoint(endpoint)) => {
                self.single(endpoint, |response| mapping.queue_of(endpoint, response)).await.map(Some)
            }
            // A list that is missing would make the count too low: unknown, then.
            Some(QueueSource::Tasks) => self.task_lists().await.map(|()| Some(self.tasks.queue())),
        }
    }

    async fn charges(&mut self) -> Result<(), ProviderError> {
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.charges else { return self.task_lists().await };
        let Some(path) = endpoint.paths.first() else { return Ok(()) };
        match self.walk(endpoint, path).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.status.is_some_and(|status| endpoint.fallback_on.contains(&status)) => {
                self.task_lists().await
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Walks every task list, once in a poll. A list that fails does not keep the others from being read, unless what
    /// failed concerns them all.
    async fn task_lists(&mut self) -> Result<(), ProviderError> {
        if let Some(known) = &self.lists {
            return known.clone();
        }
        let mapping = &self.provider.mapping;
        let Some(endpoint) = &mapping.tasks else { return Ok(()) };
        let mut first_failure = None;
        for path in &endpoint.paths {
            let Err(failure) = self.walk(endpoint, path).await else { continue };
            if failure.status.is_some_and(|status| endpoint.skip_on.contains(&status)) {
                continue;
            }
            let concerns_all = !matches!(
                failure.error.reason,
                FailureReason::ServerError
                    | FailureReason::NotFound
                    | FailureReason::Forbidden
                    | FailureReason::TooLarge
                    | FailureReason::Malformed
                    | FailureReason::PageLimit
            );
            first_failure = first_failure.or(Some(failure.error));
            if concerns_all {
                break;
            }
        }
        let outcome = first_failure.map_or(Ok(()), Err);
        self.lists = Some(outcome.clone());
        outcome
    }

    /// Reads a list page by page, newest first, until a short page or one that holds only tasks older than asked for.
    async fn walk(&mut self, endpoint: &Endpoint, path: &str) -> Result<(), CallError> {
        let mapping = &self.provider.mapping;
        let most = endpoint.paging.as_ref().map_or(1, |paging| paging.max_pages);
        let mut seen = TaskSet::default();
        let mut pages_without_news = 0;
        for index in 0..most {
            let response = self.get_in_time(endpoint, path, index).await?;
            let page = mapping.task_page(endpoint, &response, &self.provider.salt);
            let page = page.map_err(|error| malformed(path, error))?;
            let known_before = seen.len();
            let is_old = |created_at| self.request.tasks_since.is_some_and(|since| created_at < since);
            let all_old = !page.tasks.is_empty() && page.tasks.iter().all(|task| is_old(task.created_at));
            for task in page.tasks {
                seen.add(task.clone());
                self.tasks.add(task);
            }
            if let Some(error) = page.error {
                return Err(malformed(path, error));
            }
            let Some(paging) = &endpoint.paging else { return Ok(()) };
            let is_last = match page.more {
                Some(more) => !more || page.count == 0,
                None => page.count < paging.size as usize,
            };
            if is_last || all_old {
                return Ok(());
            }
            // One such page happens when tasks are launched while we read; two mean that the page number has no effect.
            pages_without_news = if seen.len() == known_before { pages_without_news + 1 } else { 0 };
            if pages_without_news == 2 {
                let param = &paging.page_param;
                return Err(page_limit(
                    endpoint,
                    path,
                    &format!(
                        "the last two pages brought nothing new\nhint: does the platform know the parameter `{param}`?"
                    ),
                ));
            }
        }
        let hint = "hint: raise `paging.max_pages` in the mapping, or poll more often";
        Err(page_limit(endpoint, path, &format!("expected the end within {most} pages, found more\n{hint}")))
    }

    async fn single<T>(
        &mut self,
        endpoint: &Endpoint,
        read: impl FnOnce(&Response) -> Result<T, RecordError>,
    ) -> Result<T, ProviderError> {
        let path = endpoint.paths.first().map_or("", String::as_str);
        let response = self.get(endpoint, path, 0).await.map_err(|failure| failure.error)?;
        read(&response).map_err(|error| malformed(path, error).error)
    }

    async fn get_in_time(&mut self, endpoint: &Endpoint, path: &str, page: u32) -> Result<Response, CallError> {
        let Some(deadline) = self.deadline else { return self.get(endpoint, path, page).await };
        let limit = self.provider.time_limit.unwrap_or_default();
        let late = || {
            let hint = "hint: give the account a longer `timeout`, or poll more often";
            let kind = endpoint.kind.as_str();
            let message = format!("`{kind}`: GET {path}: the poll's time limit of {limit:?} is over\n{hint}");
            let error = ProviderError { reason: FailureReason::Timeout, message, retry_after: None };
            CallError { status: None, error }
        };
        tokio::time::timeout_at(deadline, self.get(endpoint, path, page)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn get(&mut self, endpoint: &Endpoint, path: &str, page: u32) -> Result<Response, CallError> {
        let call = self.call(endpoint, path, page).map_err(|error| CallError { status: None, error })?;
        let HttpProvider { shared, client, .. } = self.provider;
        let body = shared.get(client, &call, &mut self.requests).await.map_err(|mut failure| {
            failure.error.message = format!("`{}`: {}", endpoint.kind.as_str(), failure.error.message);
            failure
        })?;
        Response::parse(&body).map_err(|message| {
            let error =
                RecordError { endpoint: endpoint.kind, path: None, record: None, field: None, message, hint: None };
            malformed(path, error)
        })
    }

    fn call(&self, endpoint: &Endpoint, path: &str, page: u32) -> Result<Call, ProviderError> {
        let wrong = |what: String| configuration(format!("`{}`: {what}", endpoint.kind.as_str()));
        let address = format!("{}{path}", self.provider.base_url);
        let mut url = Url::parse(&address).map_err(|error| wrong(format!("`{path}` makes no address: {error}")))?;
        let context = query_context(self.request.tasks_since, self.request.now);
        for (name, pattern) in &endpoint.query {
            let value = pattern.render(&context).map_err(|error| wrong(format!("query `{name}`: {}", error.kind())))?;
            if !value.is_empty() {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        if let Some(Paging { page_param, size_param, size, first, .. }) = &endpoint.paging {
            url.query_pairs_mut().append_pair(page_param, &(first + page).to_string());
            size_param.iter().for_each(|param| {
                url.query_pairs_mut().append_pair(param, &size.to_string());
            });
        }
        let key = self.key.map_or("", |key| key.expose_secret());
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        for header in self.provider.mapping.headers.iter().chain(&endpoint.headers) {
            let text = || wrong(format!("the key makes no valid header `{}`: expected one line of ASCII", header.name));
            headers.insert(header.name.clone(), header.value(key).ok_or_else(text)?);
        }
        Ok(Call { url, headers, now: self.request.now })
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

fn malformed(path: &str, error: RecordError) -> CallError {
    let message = RecordError { path: Some(path.to_owned()), ..error }.to_string();
    CallError { status: None, error: ProviderError { reason: FailureReason::Malformed, message, retry_after: None } }
}

fn page_limit(endpoint: &Endpoint, path: &str, what: &str) -> CallError {
    let message = format!("`{}`: GET {path}: {what}", endpoint.kind.as_str());
    CallError { status: None, error: ProviderError { reason: FailureReason::PageLimit, message, retry_after: None } }
}

#[cfg(test)]
mod tests;
