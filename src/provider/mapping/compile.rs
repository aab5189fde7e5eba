//! From the file as written to a mapping that is ready to use; every mistake is collected on the way.

use std::collections::BTreeMap;

use minijinja::Value;
use reqwest::header::HeaderName;
use serde_saphyr::Spanned;

use super::Mistake;
use super::expression::{Formula, Pattern, Refusal, Scope, TIME_FILTERS, named};
use super::file::{EndpointFile, FieldFile, MappingFile, PagingFile};
use super::header::Header;
use super::nearest::nearest;
use super::record::{FieldKind, FieldRule, fields_of};
use crate::domain::TaskState;
use crate::provider::client::check_base_url;

/// A kind of record that a mapping can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointKind {
    /// How much is left.
    Balance,
    /// The charge history.
    Charges,
    /// Task lists.
    Tasks,
    /// Tasks waiting and running.
    Queue,
    /// The plan.
    Plan,
}

impl EndpointKind {
    /// Every kind.
    pub const ALL: [EndpointKind; 5] =
        [EndpointKind::Balance, EndpointKind::Charges, EndpointKind::Tasks, EndpointKind::Queue, EndpointKind::Plan];

    /// The key in a mapping file and the argument of `--endpoint`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Balance => "balance",
            EndpointKind::Charges => "charges",
            EndpointKind::Tasks => "tasks",
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
    pub(super) tables: Value,
    pub(super) lists: Value,
    pub(in crate::provider) balance: Option<Endpoint>,
    pub(in crate::provider) charges: Option<Endpoint>,
    pub(in crate::provider) tasks: Option<Endpoint>,
    pub(in crate::provider) queue: Option<QueueSource>,
    pub(in crate::provider) plan: Option<Endpoint>,
}

/// Where the queue is read.
#[derive(Debug)]
pub(in crate::provider) enum QueueSource {
    /// Counted from the task lists.
    Tasks,
    /// Asked of the platform.
    Endpoint(Box<Endpoint>),
}

/// How one kind of record is read.
#[derive(Debug)]
pub(in crate::provider) struct Endpoint {
    pub(in crate::provider) kind: EndpointKind,
    pub(in crate::provider) paths: Vec<String>,
    pub(in crate::provider) query: Vec<(String, Pattern)>,
    pub(in crate::provider) headers: Vec<Header>,
    pub(in crate::provider) paging: Option<Paging>,
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

/// Pages by number.
#[derive(Debug)]
pub(in crate::provider) struct Paging {
    pub(in crate::provider) page_param: String,
    pub(in crate::provider) size_param: Option<String>,
    pub(in crate::provider) size: u32,
    pub(in crate::provider) first: u32,
    pub(in crate::provider) max_pages: u32,
    pub(super) more: Option<Formula>,
}

impl Mapping {
    /// Whether any header holds the key.
    pub fn needs_key(&self) -> bool {
        let queue = match &self.queue {
            Some(QueueSource::Endpoint(endpoint)) => Some(endpoint.as_ref()),
            _ => None,
        };
        let endpoints = [self.balance.as_ref(), self.charges.as_ref(), self.tasks.as_ref(), queue, self.plan.as_ref()];
        let of_endpoints = endpoints.into_iter().flatten().flat_map(|endpoint| &endpoint.headers);
        self.headers.iter().chain(of_endpoints).any(Header::needs_key)
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
    if file.charges.as_ref().is_some_and(|charges| !charges.fallback_on.is_empty()) && !has_tasks {
        compiler.mistake::<()>(None, "charges.fallback_on", "expected `tasks` to fall back on, found none", None);
    }
    let mut endpoint = |kind, written: &Option<EndpointFile>| written.as_ref().map(|e| compiler.endpoint(kind, e));
    let balance = endpoint(EndpointKind::Balance, &file.balance);
    let charges = endpoint(EndpointKind::Charges, &file.charges);
    let tasks = endpoint(EndpointKind::Tasks, &file.tasks);
    let plan = endpoint(EndpointKind::Plan, &file.plan);
    let queue = file.queue.as_ref().map(|queue| compiler.queue(queue, has_tasks));
    if balance.is_none() && charges.is_none() && tasks.is_none() && plan.is_none() && queue.is_none() {
        let message = "expected at least one of `balance`, `charges`, `tasks`, `queue`, `plan`";
        compiler.mistake::<()>(None, "", message, None);
    }
    if !compiler.mistakes.is_empty() {
        compiler.mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(u64::MAX));
        return Err(compiler.mistakes);
    }
    let lists = file.lists.iter().map(|(name, list)| (name.clone(), Value::from(list.clone()))).collect();
    let name = file.name.value.clone();
    let (tables, lists) = (named(&tables), named::<Value>(&lists));
    Ok(Mapping { name, base_url, headers, tables, lists, balance, charges, tasks, queue, plan })
}

struct Compiler<'a> {
    mistakes: Vec<Mistake>,
    tables: Vec<&'a str>,
    lists: Vec<&'a str>,
}

impl<'f> Compiler<'f> {
    fn mistake<T>(&mut self, at: Option<&Spanned<T>>, place: &str, message: impl Into<String>, hint: Option<String>) {
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

    fn headers(&mut self, prefix: &str, written: &BTreeMap<String, Spanned<String>>) -> Vec<Header> {
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

    fn queue(&mut self, written: &EndpointFile, has_tasks: bool) -> QueueSource {
        let Some(from) = &written.from else {
            return QueueSource::Endpoint(Box::new(self.endpoint(EndpointKind::Queue, written)));
        };
        if from.value != "tasks" {
            self.mistake(Some(from), "queue.from", format!("expected `tasks`, found `{}`", from.value), None);
        } else if !has_tasks {
            self.mistake(Some(from), "queue.from", "expected `tasks` to be mapped, found no such key", None);
        }
        if written.path.is_some() || !written.fields.is_empty() || !written.query.is_empty() {
            self.mistake(Some(from), "queue", "`from: tasks` takes no `path`, `query` or `fields`", None);
        }
        QueueSource::Tasks
    }

    fn endpoint(&mut self, kind: EndpointKind, written: &EndpointFile) -> Endpoint {
        let at = |key: &str| format!("{}.{key}", kind.as_str());
        let is_list = matches!(kind, EndpointKind::Charges | EndpointKind::Tasks);
        if let Some(method) = written.method.as_ref().filter(|method| method.value != "GET") {
            self.mistake(Some(method), &at("method"), format!("expected `GET`, found `{}`", method.value), None);
        }
        if let (Some(from), true) = (&written.from, kind != EndpointKind::Queue) {
            self.mistake(Some(from), &at("from"), "only `queue` takes `from`", None);
        }
        if let (Some(first), true) = (written.fallback_on.first(), kind != EndpointKind::Charges) {
            self.mistake(Some(first), &at("fallback_on"), "only `charges` takes `fallback_on`", None);
        }
        if let (Some(first), true) = (written.skip_on.first(), kind != EndpointKind::Tasks) {
            self.mistake(Some(first), &at("skip_on"), "only `tasks` takes `skip_on`", None);
        }
        if let (Some(paging), false) = (&written.paging, is_list) {
            self.mistake(Some(&paging.by), &at("paging"), "only `charges` and `tasks` come in pages", None);
        }
        for status in written.fallback_on.iter().chain(&written.skip_on) {
            if !(400..500).contains(&status.value) {
                let message = format!("expected statuses from 400 to 499, found {}", status.value);
                self.mistake(Some(status), kind.as_str(), message, None);
            }
        }
        let records = written.records.as_ref().and_then(|text| {
            let scope = self.scope(&["response", "tables", "lists"]);
            self.formula(&at("records"), text, &text.value, &scope)
        });
        Endpoint {
            kind,
            paths: self.paths(kind, written),
            query: self.query(kind, written),
            headers: self.headers(&at(""), &written.headers),
            paging: written.paging.as_ref().and_then(|paging| self.paging(kind, paging)),
            fallback_on: written.fallback_on.iter().map(|status| status.value).collect(),
            skip_on: written.skip_on.iter().map(|status| status.value).collect(),
            records,
            fields: self.fields(kind, written),
        }
    }

    fn paths(&mut self, kind: EndpointKind, written: &EndpointFile) -> Vec<String> {
        let at = |key: &str| format!("{}.{key}", kind.as_str());
        let many = kind == EndpointKind::Tasks;
        match (&written.path, written.paths.first()) {
            (None, None) => self.mistake::<()>(None, &at("path"), "expected a path, found none", None),
            (Some(path), Some(_)) => {
                self.mistake(Some(path), &at("path"), "expected `path` or `paths`, found both", None);
            }
            (None, Some(first)) if !many => self.mistake(Some(first), &at("paths"), "only `tasks` takes `paths`", None),
            _ => {}
        }
        let mut paths: Vec<String> = Vec::new();
        for path in written.path.iter().chain(&written.paths) {
            let text = path.value.as_str();
            let plain = text.starts_with('/') && !text.starts_with("//") && !text.contains(['?', '#', '\\', '{', ' ']);
            if !plain || text.split('/').any(|part| part == "." || part == "..") {
                let message = format!("expected a path such as `/v1/balance`, found `{text}`");
                self.mistake(Some(path), &at("path"), message, None);
            } else if paths.iter().any(|known| known == text) {
                self.mistake(Some(path), &at("paths"), format!("`{text}` stands here twice"), None);
            }
            paths.push(text.to_owned());
        }
        paths
    }

    fn query(&mut self, kind: EndpointKind, written: &EndpointFile) -> Vec<(String, Pattern)> {
        let mut query = Vec::new();
        for (name, text) in &written.query {
            let place = format!("{}.query.{name}", kind.as_str());
            match Pattern::compile(&text.value, &self.scope(&["since", "now"])) {
                Ok(pattern) => query.push((name.clone(), pattern)),
                Err(refusal) => self.refuse(&place, text, refusal),
            }
        }
        query
    }

    fn paging(&mut self, kind: EndpointKind, written: &PagingFile) -> Option<Paging> {
        let at = |key: &str| format!("{}.paging.{key}", kind.as_str());
        if written.by.value != "page" {
            let message = format!("expected `page`, found `{}`", written.by.value);
            self.mistake(Some(&written.by), &at("by"), message, None);
        }
        for (key, number, most) in [("size", &written.size, 10_000), ("max_pages", &written.max_pages, 100_000)] {
            if !(1..=most).contains(&number.value) {
                let message = format!("expected a number from 1 to {most}, found {}", number.value);
                self.mistake(Some(number), &at(key), message, None);
            }
        }
        let scope = self.scope(&["response", "tables", "lists"]);
        let more = written.more.as_ref().and_then(|text| self.formula(&at("more"), text, &text.value, &scope));
        Some(Paging {
            page_param: written.page_param.value.clone(),
            size_param: written.size_param.as_ref().map(|param| param.value.clone()),
            size: written.size.value,
            first: written.first,
            max_pages: written.max_pages.value,
            more,
        })
    }

    fn fields(&mut self, kind: EndpointKind, written: &EndpointFile) -> BTreeMap<&'static str, Field> {
        let rules = fields_of(kind);
        let names: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
        let mut fields = BTreeMap::new();
        for optional in &written.optional {
            if !written.fields.contains_key(&optional.value) {
                let message = format!("`{}` stands in `optional` and not in `fields`", optional.value);
                self.mistake(Some(optional), &format!("{}.optional", kind.as_str()), message, None);
            }
        }
        for (name, text) in &written.fields {
            let place = format!("{}.fields.{name}", kind.as_str());
            let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
                let hint = match nearest(name, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("fields of `{}` are {}", kind.as_str(), quoted(&names)),
                };
                self.mistake(Some(text), &place, format!("unknown field `{name}`"), Some(hint));
                continue;
            };
            let listed = written.optional.iter().any(|optional| optional.value == *name);
            let optional = text.value.optional || listed;
            if let Some(field) = self.field(rule, &place, text, optional) {
                fields.insert(rule.name, field);
            }
        }
        for rule in rules.iter().filter(|rule| rule.required && !written.fields.contains_key(rule.name)) {
            let message = format!("expected the field `{}`, found none", rule.name);
            self.mistake::<()>(None, &format!("{}.fields", kind.as_str()), message, None);
        }
        if written.fields.is_empty() && kind == EndpointKind::Plan {
            let message = format!("expected at least one of {}, found none", quoted(&names));
            self.mistake::<()>(None, "plan.fields", message, None);
        }
        fields
    }

    fn field(&mut self, rule: &FieldRule, place: &str, text: &Spanned<FieldFile>, optional: bool) -> Option<Field> {
        if rule.required && optional {
            let hint = "without it there is no record".to_owned();
            self.mistake(Some(text), place, format!("`{}` cannot be optional", rule.name), Some(hint));
        }
        let expression = text.value.value.as_str();
        let has_time_filter = ["epoch_", "rfc3339"].iter().any(|filter| expression.contains(filter));
        if rule.kind == FieldKind::Time && !has_time_filter {
            let hint = format!("say how the platform writes times: {TIME_FILTERS}");
            self.mistake(Some(text), place, format!("`{expression}` is no time"), Some(hint));
        }
        let scope = self.scope(&["item", "response", "tables", "lists"]);
        let formula = self.formula(place, text, expression, &scope)?;
        Some(Field { formula, optional })
    }

    fn formula<T>(&mut self, place: &str, at: &Spanned<T>, text: &str, scope: &Scope<'_>) -> Option<Formula> {
        match Formula::compile(text, scope) {
            Ok(formula) => Some(formula),
            Err(refusal) => {
                self.refuse(place, at, refusal);
                None
            }
        }
    }

    fn refuse<T>(&mut self, place: &str, at: &Spanned<T>, refusal: Refusal) {
        self.mistake(Some(at), place, refusal.message, refusal.hint);
    }

    fn scope<'v>(&self, variables: &'v [&'v str]) -> Scope<'v>
    where
        'f: 'v,
    {
        Scope { variables, tables: self.tables.clone(), lists: self.lists.clone() }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
