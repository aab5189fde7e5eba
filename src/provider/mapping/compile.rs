//! From the file as written to a mapping that is ready to use; every mistake is collected on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use minijinja::Value;
use reqwest::header::HeaderName;
use serde_saphyr::Spanned;

use super::Mistake;
use super::expression::{Formula, Refusal, Scope, named};
use super::file::{EndpointFile, FailureFile, MappingFile, RequestsFile};
use super::header::Header;
use super::nearest::nearest;
use super::pattern::{Body, Pattern};
use crate::domain::TaskState;
use crate::provider::FailureReason;
use crate::provider::client::check_base_url;
use crate::provider::pace::Pace;

/// A kind of record that a mapping can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointKind {
    /// What the platform calls the account.
    Account,
    /// How much is left.
    Balance,
    /// The charge history.
    Charges,
    /// Task lists.
    Tasks,
    /// Tasks by their ids.
    Lookup,
    /// Tasks waiting and running.
    Queue,
    /// The plan.
    Plan,
}

impl EndpointKind {
    /// Every kind.
    pub const ALL: [EndpointKind; 7] = [
        EndpointKind::Account,
        EndpointKind::Balance,
        EndpointKind::Charges,
        EndpointKind::Tasks,
        EndpointKind::Lookup,
        EndpointKind::Queue,
        EndpointKind::Plan,
    ];

    /// The key in a mapping file and the argument of `--endpoint`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Account => "account",
            EndpointKind::Balance => "balance",
            EndpointKind::Charges => "charges",
            EndpointKind::Tasks => "tasks",
            EndpointKind::Lookup => "lookup",
            EndpointKind::Queue => "queue",
            EndpointKind::Plan => "plan",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<EndpointKind> {
        EndpointKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A platform as data, checked and ready to use. Made by [`Mapping::parse`], [`Mapping::built_in`] or [`Mapping::load`].
#[derive(Debug)]
pub struct Mapping {
    /// The platform's name.
    pub name: String,
    /// Where the platform answers, unless the configuration says otherwise; without a trailing slash.
    pub base_url: Option<String>,
    pub(in crate::provider) headers: Vec<Header>,
    pub(in crate::provider) pace: Option<Pace>,
    pub(super) failure: Option<Failure>,
    pub(super) tables: Value,
    pub(super) lists: Value,
    pub(in crate::provider) account: Option<Endpoint>,
    pub(in crate::provider) balance: Option<Endpoint>,
    pub(in crate::provider) charges: Vec<Endpoint>,
    pub(in crate::provider) tasks: Option<Endpoint>,
    pub(in crate::provider) lookup: Option<Endpoint>,
    pub(in crate::provider) queue: Option<Queue>,
    pub(in crate::provider) plan: Option<Endpoint>,
}

/// How an answer says that it failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) when: Formula,
    pub(super) code: Option<Formula>,
    pub(super) message: Option<Formula>,
    pub(super) reasons: BTreeMap<String, FailureReason>,
}

/// Where the queue is read.
#[derive(Debug)]
pub(in crate::provider) struct Queue {
    pub(in crate::provider) source: QueueSource,
    /// What is asked of the platform: all of it, or, where tasks are counted, at most the limit.
    pub(in crate::provider) endpoint: Option<Endpoint>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum QueueSource {
    /// The task lists.
    Tasks,
    /// The known tasks that are not final.
    Lookup,
    /// Nothing: the platform says.
    Endpoint,
}

/// How one kind of record is read.
#[derive(Debug)]
pub(in crate::provider) struct Endpoint {
    pub(in crate::provider) kind: EndpointKind,
    /// What is sent; `None` for a GET.
    pub(in crate::provider) body: Option<Body>,
    pub(in crate::provider) is_post: bool,
    /// Whether its path, query or body holds the account's id, which is asked for first.
    pub(in crate::provider) names_account: bool,
    pub(in crate::provider) paths: Vec<Pattern>,
    pub(in crate::provider) query: Vec<(String, Pattern)>,
    pub(in crate::provider) headers: Vec<Header>,
    pub(in crate::provider) paging: Option<Paging>,
    pub(in crate::provider) window: Option<Window>,
    pub(in crate::provider) per_request: Option<usize>,
    pub(in crate::provider) most: usize,
    pub(in crate::provider) fallback_on: Vec<u16>,
    pub(in crate::provider) skip_on: Vec<u16>,
    pub(super) records: Option<Formula>,
    pub(super) fields: BTreeMap<&'static str, Field>,
}

/// One field of the record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) formula: Formula,
    pub(super) optional: bool,
}

/// Time in pieces.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Window {
    pub(in crate::provider) days: u32,
    pub(in crate::provider) first: u32,
}

/// How the next page is asked for.
#[derive(Debug)]
pub(in crate::provider) struct Paging {
    pub(in crate::provider) by: PagingBy,
    /// The parameter that takes the page, the offset or the cursor.
    pub(in crate::provider) param: String,
    pub(in crate::provider) size_param: Option<String>,
    pub(in crate::provider) is_in_body: bool,
    pub(in crate::provider) size: Option<u32>,
    pub(in crate::provider) first: u32,
    pub(in crate::provider) max_pages: u32,
    pub(super) more: Option<Formula>,
    pub(super) next: Option<Formula>,
}

/// What names a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum PagingBy {
    /// Its number.
    Page,
    /// How many records stand before it.
    Offset,
    /// What the page before said.
    Cursor,
}

impl Endpoint {
    /// Whether pages are named in the body.
    pub(in crate::provider) fn pages_in_body(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| paging.is_in_body)
    }
}

impl Mapping {
    /// Whether any header holds the key.
    pub fn needs_key(&self) -> bool {
        self.endpoints().flat_map(|endpoint| &endpoint.headers).chain(&self.headers).any(Header::needs_key)
    }

    /// Whether the platform says what tasks cost, one by one or in sums.
    pub fn lists_charges(&self) -> bool {
        let lists = self.charges.iter().chain(&self.tasks).chain(&self.lookup);
        lists.into_iter().any(|endpoint| endpoint.fields.contains_key("credits"))
    }

    /// Whether the queue is counted, and at most its limit asked for.
    pub(super) fn counts_tasks(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.source != QueueSource::Endpoint)
    }

    fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let queue = self.queue.as_ref().and_then(|queue| queue.endpoint.as_ref());
        let single = [self.balance.as_ref(), self.tasks.as_ref(), self.lookup.as_ref(), queue, self.plan.as_ref()];
        single.into_iter().flatten().chain(&self.charges).chain(&self.account)
    }
}

pub(super) fn compile(file: MappingFile) -> Result<Mapping, Vec<Mistake>> {
    let tables = file.tables.iter().map(|(name, table)| {
        let entries = table.iter().map(|(from, to)| (from.clone(), to.value.clone()));
        (name.clone(), Value::from_pairs(entries))
    });
    let tables: BTreeMap<String, Value> = tables.collect();
    let mut compiler = Compiler {
        mistakes: Vec::new(),
        has_account: file.account.is_some(),
        tables: file.tables.keys().map(String::as_str).collect(),
        lists: file.lists.keys().map(String::as_str).collect(),
    };
    if file.name.value.trim().is_empty() {
        compiler.mistake(Some(&file.name), "name", "expected the platform's name, found nothing", None);
    }
    compiler.check_states(file.tables.get("states"));
    let base_url = file.base_url.as_ref().map(|url| {
        if let Err(message) = check_base_url(&url.value) {
            compiler.mistake(Some(url), "base_url", message, None);
        }
        url.value.trim_end_matches('/').to_owned()
    });
    let headers = compiler.headers("", &file.headers);
    let has_tasks = file.tasks.is_some();
    let falls_back = file.charges.0.iter().any(|charges| !charges.fallback_on.is_empty());
    if falls_back && !has_tasks {
        compiler.mistake::<()>(None, "charges.fallback_on", "expected `tasks` to fall back on, found none", None);
    }
    let pace = file.requests.as_ref().and_then(|requests| compiler.pace(requests));
    let failure = file.failure.as_ref().and_then(|failure| compiler.failure(failure));
    let many = file.charges.0.len() > 1;
    let charges = file.charges.0.iter().enumerate().map(|(index, written)| {
        let place = if many { format!("charges.{}", index + 1) } else { "charges".to_owned() };
        compiler.endpoint(EndpointKind::Charges, &place, written)
    });
    let charges: Vec<Endpoint> = charges.collect();
    let mut endpoint = |kind: EndpointKind, written: &Option<EndpointFile>| {
        written.as_ref().map(|written| compiler.endpoint(kind, kind.as_str(), written))
    };
    let account = endpoint(EndpointKind::Account, &file.account);
    let balance = endpoint(EndpointKind::Balance, &file.balance);
    let tasks = endpoint(EndpointKind::Tasks, &file.tasks);
    let lookup = endpoint(EndpointKind::Lookup, &file.lookup);
    let plan = endpoint(EndpointKind::Plan, &file.plan);
    let queue = file.queue.as_ref().map(|queue| compiler.queue(queue, has_tasks, lookup.is_some()));
    let has_none = balance.is_none() && tasks.is_none() && lookup.is_none() && plan.is_none() && queue.is_none();
    if has_none && charges.is_empty() {
        let message = "expected at least one of `balance`, `charges`, `tasks`, `lookup`, `queue`, `plan`";
        compiler.mistake::<()>(None, "", message, None);
    }
    if !compiler.mistakes.is_empty() {
        compiler.mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(u64::MAX));
        return Err(compiler.mistakes);
    }
    let lists = file.lists.iter().map(|(name, list)| (name.clone(), Value::from(list.clone()))).collect();
    let name = file.name.value.clone();
    let (tables, lists) = (named(&tables), named::<Value>(&lists));
    let mapping = Mapping {
        name,
        base_url,
        headers,
        pace,
        failure,
        tables,
        lists,
        account,
        balance,
        charges,
        tasks,
        lookup,
        queue,
        plan,
    };
    if mapping.account.is_some() && !mapping.endpoints().any(|endpoint| endpoint.names_account) {
        let hint = "write `{{ account_id }}` where the id belongs, or take the section out".to_owned();
        compiler.mistake::<()>(None, "account", "no path, query or body holds `account_id`", Some(hint));
        return Err(compiler.mistakes);
    }
    Ok(mapping)
}

/// What collects mistakes while a file is compiled.
pub(super) struct Compiler<'a> {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) has_account: bool,
    tables: Vec<&'a str>,
    lists: Vec<&'a str>,
}

impl<'f> Compiler<'f> {
    pub(super) fn mistake<T>(
        &mut self,
        at: Option<&Spanned<T>>,
        place: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let line = at.map(|at| at.referenced.line()).filter(|line| *line > 0);
        self.mistakes.push(Mistake { line, place: place.to_owned(), message: message.into(), hint });
    }

    fn check_states(&mut self, states: Option<&BTreeMap<String, Spanned<String>>>) {
        let known: Vec<&str> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
        for (word, state) in states.into_iter().flatten().filter(|(_, state)| !known.contains(&state.value.as_str())) {
            let hint = match nearest(&state.value, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("states are {}", quoted(&known)),
            };
            let message = format!("unknown state `{}`", state.value);
            self.mistake(Some(state), &format!("tables.states.{word}"), message, Some(hint));
        }
    }

    fn pace(&mut self, written: &Spanned<RequestsFile>) -> Option<Pace> {
        let RequestsFile { per_minute, per_second } = written.value;
        let (requests, period) = match (per_minute, per_second) {
            (Some(requests), None) => (requests, Duration::from_secs(60)),
            (None, Some(requests)) => (requests, Duration::from_secs(1)),
            _ => {
                self.mistake(Some(written), "requests", "expected `per_minute` or `per_second`, and not both", None);
                return None;
            }
        };
        if !(1..=10_000).contains(&requests) {
            let message = format!("expected a number from 1 to 10000, found {requests}");
            self.mistake(Some(written), "requests", message, None);
        }
        Some(Pace { requests, period })
    }

    fn failure(&mut self, written: &FailureFile) -> Option<Failure> {
        let scope = self.scope(&["response", "tables", "lists"]);
        let when = self.formula("failure.when", &written.when, &written.when.value, &scope);
        let mut optional = |key: &str, text: &Option<Spanned<String>>| {
            text.as_ref().and_then(|text| self.formula(&format!("failure.{key}"), text, &text.value, &scope))
        };
        let code = optional("code", &written.code);
        let message = optional("message", &written.message);
        if let (Some((_, first)), None) = (written.reasons.first_key_value(), &written.code) {
            self.mistake(Some(first), "failure.reasons", "expected `code`, by which reasons are chosen", None);
        }
        let known: Vec<&str> = FailureReason::ALL.iter().map(|reason| reason.as_str()).collect();
        let mut reasons = BTreeMap::new();
        for (word, reason) in &written.reasons {
            match FailureReason::ALL.into_iter().find(|known| known.as_str() == reason.value) {
                Some(found) => drop(reasons.insert(word.clone(), found)),
                None => {
                    let hint = match nearest(&reason.value, &known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("reasons are {}", quoted(&known)),
                    };
                    let message = format!("unknown reason `{}`", reason.value);
                    self.mistake(Some(reason), &format!("failure.reasons.{word}"), message, Some(hint));
                }
            }
        }
        Some(Failure { when: when?, code, message, reasons })
    }

    pub(super) fn headers(&mut self, prefix: &str, written: &BTreeMap<String, Spanned<String>>) -> Vec<Header> {
        let mut headers = Vec::new();
        for (name, value) in written {
            let place = format!("{prefix}headers.{name}");
            match (HeaderName::try_from(name), Header::parts_of(&value.value)) {
                (Err(_), _) => {
                    self.mistake(Some(value), &place, format!("`{name}` cannot name a header"), None);
                }
                (_, Err(message)) => {
                    let hint = "a header may hold `{{ api_key }}` and nothing else in braces".to_owned();
                    self.mistake(Some(value), &place, message, Some(hint));
                }
                (Ok(name), Ok(parts)) => headers.push(Header { name, parts }),
            }
        }
        headers
    }

    pub(super) fn formula<T>(
        &mut self,
        place: &str,
        at: &Spanned<T>,
        text: &str,
        scope: &Scope<'_>,
    ) -> Option<Formula> {
        match Formula::compile(text, scope) {
            Ok(formula) => Some(formula),
            Err(refusal) => {
                self.refuse(place, at, refusal);
                None
            }
        }
    }

    pub(super) fn refuse<T>(&mut self, place: &str, at: &Spanned<T>, refusal: Refusal) {
        self.mistake(Some(at), place, refusal.message, refusal.hint);
    }

    pub(super) fn scope<'v>(&self, variables: &'v [&'v str]) -> Scope<'v>
    where
        'f: 'v,
    {
        Scope { variables, tables: self.tables.clone(), lists: self.lists.clone() }
    }
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
