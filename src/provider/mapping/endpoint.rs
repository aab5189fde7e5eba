//! One endpoint of a mapping file, checked: where it is asked, how it is paged, and what its fields are.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::compile::{Compiler, Endpoint, EndpointKind, Field, Paging, PagingBy, Queue, QueueSource, Window, quoted};
use super::file::{EndpointFile, FieldFile, PagingFile, WindowFile};
use super::filters::{TIME_FILTERS, makes_a_time};
use super::nearest::nearest;
use super::pattern::{Body, Pattern};
use super::record::{FieldKind, FieldRule, fields_of};

/// Tasks asked for by their ids in one poll, unless the mapping says otherwise.
const MOST_LOOKUPS: u32 = 100;

impl Compiler<'_> {
    pub(super) fn queue(&mut self, written: &EndpointFile, has_tasks: bool, has_lookup: bool) -> Queue {
        let Some(from) = &written.from else {
            let endpoint = Some(self.endpoint(EndpointKind::Queue, "queue", written));
            return Queue { source: QueueSource::Endpoint, endpoint };
        };
        let (source, is_there) = match from.value.as_str() {
            "lookup" => (QueueSource::Lookup, has_lookup),
            _ => (QueueSource::Tasks, has_tasks),
        };
        let word = from.value.as_str();
        if !matches!(word, "tasks" | "lookup") {
            self.mistake(Some(from), "queue.from", format!("expected `tasks` or `lookup`, found `{word}`"), None);
        } else if !is_there {
            let message = format!("expected `{word}` to be mapped, found no such key");
            self.mistake(Some(from), "queue.from", message, None);
        }
        if written.path.is_none() && written.fields.is_empty() && written.query.is_empty() {
            return Queue { source, endpoint: None };
        }
        if let Some((name, text)) = written.fields.iter().find(|(name, _)| *name != "limit") {
            let message = format!("`from: {word}` counts; only `limit` can be asked for, found `{name}`");
            self.mistake(Some(text), "queue.fields", message, None);
        }
        Queue { source, endpoint: Some(self.endpoint(EndpointKind::Queue, "queue", written)) }
    }

    /// Checks an endpoint. `place` is how mistakes name it.
    pub(super) fn endpoint(&mut self, kind: EndpointKind, place: &str, written: &EndpointFile) -> Endpoint {
        self.check_keys(kind, place, written);
        let at = |key: &str| format!("{place}.{key}");
        let is_post = match written.method.as_ref() {
            None => false,
            Some(method) if method.value == "GET" => false,
            Some(method) if method.value == "POST" => true,
            Some(method) => {
                let message = format!("expected `GET` or `POST`, found `{}`", method.value);
                self.mistake(Some(method), &at("method"), message, None);
                true
            }
        };
        if let (Some(body), false) = (&written.body, is_post) {
            let hint = Some("write `method: POST`".to_owned());
            self.mistake(Some(body), &at("body"), "only a POST has a body", hint);
        }
        let variables = self.variables_of(kind, written);
        let body = written.body.as_ref().and_then(|body| {
            let compiled = Body::compile(&body.value, &self.scope(&variables), "");
            compiled.map_err(|(way, refusal)| self.refuse(&at(&format!("body.{way}")), body, refusal)).ok()
        });
        let records = written.records.as_ref().and_then(|text| {
            let scope = self.scope(&["response", "tables", "lists"]);
            self.formula(&at("records"), text, &text.value, &scope)
        });
        let paging = written.paging.as_ref().and_then(|paging| self.paging(place, paging, is_post));
        let paths = self.paths(kind, place, written);
        let query = self.query(place, &variables, written);
        let patterns = paths.iter().chain(query.iter().map(|(_, pattern)| pattern));
        let names_account = patterns.into_iter().any(|pattern| pattern.names("account_id"))
            || body.as_ref().is_some_and(|body| body.names("account_id"));
        Endpoint {
            kind,
            body,
            is_post,
            names_account,
            paths,
            query,
            headers: self.headers(&at(""), &written.headers),
            paging,
            window: written.window.as_ref().and_then(|window| self.window(place, window)),
            per_request: written.per_request.as_ref().map(|number| self.count(&at("per_request"), number, 1000)),
            most: written.most.as_ref().map_or(MOST_LOOKUPS as usize, |most| self.count(&at("most"), most, 10_000)),
            fallback_on: written.fallback_on.iter().map(|status| status.value).collect(),
            skip_on: written.skip_on.iter().map(|status| status.value).collect(),
            records,
            fields: self.fields(kind, place, written),
        }
    }

    /// Keys that only some endpoints take.
    fn check_keys(&mut self, kind: EndpointKind, place: &str, written: &EndpointFile) {
        let at = |key: &str| format!("{place}.{key}");
        let is_list = matches!(kind, EndpointKind::Charges | EndpointKind::Tasks);
        if let (Some(from), true) = (&written.from, kind != EndpointKind::Queue) {
            self.mistake(Some(from), &at("from"), "only `queue` takes `from`", None);
        }
        if let (Some(first), true) = (written.fallback_on.first(), kind != EndpointKind::Charges) {
            self.mistake(Some(first), &at("fallback_on"), "only `charges` takes `fallback_on`", None);
        }
        let may_skip = matches!(kind, EndpointKind::Tasks | EndpointKind::Lookup);
        if let (Some(first), false) = (written.skip_on.first(), may_skip) {
            self.mistake(Some(first), &at("skip_on"), "only `tasks` and `lookup` take `skip_on`", None);
        }
        if let (Some(paging), false) = (&written.paging, is_list) {
            self.mistake(Some(&paging.by), &at("paging"), "only `charges` and `tasks` come in pages", None);
        }
        if let (Some(window), true) = (&written.window, kind != EndpointKind::Charges) {
            self.mistake(Some(&window.days), &at("window"), "only `charges` takes `window`", None);
        }
        for (key, number) in [("per_request", &written.per_request), ("most", &written.most)] {
            if let (Some(number), true) = (number, kind != EndpointKind::Lookup) {
                self.mistake(Some(number), &at(key), format!("only `lookup` takes `{key}`"), None);
            }
        }
        for status in written.fallback_on.iter().chain(&written.skip_on) {
            if !(400..500).contains(&status.value) {
                let message = format!("expected statuses from 400 to 499, found {}", status.value);
                self.mistake(Some(status), place, message, None);
            }
        }
    }

    fn count(&mut self, place: &str, number: &Spanned<u32>, most: u32) -> usize {
        if !(1..=most).contains(&number.value) {
            let message = format!("expected a number from 1 to {most}, found {}", number.value);
            self.mistake(Some(number), place, message, None);
        }
        number.value as usize
    }

    fn window(&mut self, place: &str, written: &WindowFile) -> Option<Window> {
        let days = self.count(&format!("{place}.window.days"), &written.days, 3660);
        let first = self.count(&format!("{place}.window.first"), &written.first, 3660);
        Some(Window { days: u32::try_from(days).ok()?, first: u32::try_from(first).ok()? })
    }

    fn paths(&mut self, kind: EndpointKind, place: &str, written: &EndpointFile) -> Vec<Pattern> {
        let at = |key: &str| format!("{place}.{key}");
        let many = kind == EndpointKind::Tasks;
        match (&written.path, written.paths.first()) {
            (None, None) => self.mistake::<()>(None, &at("path"), "expected a path, found none", None),
            (Some(path), Some(_)) => {
                self.mistake(Some(path), &at("path"), "expected `path` or `paths`, found both", None);
            }
            (None, Some(first)) if !many => self.mistake(Some(first), &at("paths"), "only `tasks` takes `paths`", None),
            _ => {}
        }
        let mut scope = if kind == EndpointKind::Lookup { vec!["id", "known"] } else { Vec::new() };
        scope.extend(self.account_id(kind));
        let mut texts: Vec<&str> = Vec::new();
        let mut paths = Vec::new();
        for path in written.path.iter().chain(&written.paths) {
            let text = path.value.as_str();
            let pattern = match Pattern::compile(text, &self.scope(&scope)) {
                Ok(pattern) => pattern,
                Err(refusal) => {
                    self.refuse(&at("path"), path, refusal);
                    continue;
                }
            };
            let shape = pattern.without_expressions();
            let plain =
                shape.starts_with('/') && !shape.starts_with("//") && !shape.contains(['?', '#', '\\', '{', ' ']);
            if !plain || shape.split('/').any(|part| part == "." || part == "..") {
                let message = format!("expected a path such as `/v1/balance`, found `{text}`");
                self.mistake(Some(path), &at("path"), message, None);
            } else if texts.contains(&text) {
                self.mistake(Some(path), &at("paths"), format!("`{text}` stands here twice"), None);
            }
            texts.push(text);
            paths.push(pattern);
        }
        paths
    }

    fn query(&mut self, place: &str, variables: &[&str], written: &EndpointFile) -> Vec<(String, Pattern)> {
        let mut query = Vec::new();
        for (name, text) in &written.query {
            match Pattern::compile(&text.value, &self.scope(variables)) {
                Ok(pattern) => query.push((name.clone(), pattern)),
                Err(refusal) => self.refuse(&format!("{place}.query.{name}"), text, refusal),
            }
        }
        query
    }

    fn paging(&mut self, place: &str, written: &PagingFile, is_post: bool) -> Option<Paging> {
        let at = |key: &str| format!("{place}.paging.{key}");
        let (by, key, param) = match written.by.value.as_str() {
            "page" => (PagingBy::Page, "page_param", &written.page_param),
            "offset" => (PagingBy::Offset, "offset_param", &written.offset_param),
            "cursor" => (PagingBy::Cursor, "cursor_param", &written.cursor_param),
            found => {
                let message = format!("expected `page`, `offset` or `cursor`, found `{found}`");
                self.mistake(Some(&written.by), &at("by"), message, None);
                return None;
            }
        };
        let word = written.by.value.as_str();
        let needed = [
            (key, param.is_some()),
            ("size", written.size.is_some() || by == PagingBy::Cursor),
            ("next", written.next.is_some() || by != PagingBy::Cursor),
        ];
        for (key, is_there) in needed {
            if !is_there {
                let message = format!("`by: {word}` needs `{key}`, found none");
                self.mistake(Some(&written.by), &at(key), message, None);
            }
        }
        let others = [
            ("page_param", &written.page_param),
            ("offset_param", &written.offset_param),
            ("cursor_param", &written.cursor_param),
            ("next", &written.next),
        ];
        for (other, text) in others {
            let is_wanted = other == key || (other == "next" && by == PagingBy::Cursor);
            if let (Some(text), false) = (text, is_wanted) {
                self.mistake(Some(text), &at(other), format!("has no effect with `by: {word}`"), None);
            }
        }
        let is_in_body = match written.place.as_ref().map(|place| place.value.as_str()) {
            None | Some("query") => false,
            Some("body") if is_post => true,
            Some(found) => {
                let message = format!("expected `query`, or `body` with `method: POST`, found `{found}`");
                self.mistake(written.place.as_ref(), &at("in"), message, None);
                false
            }
        };
        if let Some(size) = &written.size {
            self.count(&at("size"), size, 10_000);
        }
        self.count(&at("max_pages"), &written.max_pages, 100_000);
        let scope = self.scope(&["response", "tables", "lists"]);
        let more = written.more.as_ref().and_then(|text| self.formula(&at("more"), text, &text.value, &scope));
        let next = written.next.as_ref().and_then(|text| self.formula(&at("next"), text, &text.value, &scope));
        Some(Paging {
            by,
            param: param.as_ref().map(|param| param.value.clone()).unwrap_or_default(),
            size_param: written.size_param.as_ref().map(|param| param.value.clone()),
            is_in_body,
            size: written.size.as_ref().map(|size| size.value),
            first: written.first,
            max_pages: written.max_pages.value,
            more,
            next,
        })
    }

    fn fields(&mut self, kind: EndpointKind, place: &str, written: &EndpointFile) -> BTreeMap<&'static str, Field> {
        let rules = fields_of(kind);
        let names: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
        let mut fields = BTreeMap::new();
        for optional in &written.optional {
            if !written.fields.contains_key(&optional.value) {
                let message = format!("`{}` stands in `optional` and not in `fields`", optional.value);
                self.mistake(Some(optional), &format!("{place}.optional"), message, None);
            }
        }
        for (name, text) in &written.fields {
            let field_place = format!("{place}.fields.{name}");
            let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
                let hint = match nearest(name, &names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("fields of `{}` are {}", kind.as_str(), quoted(&names)),
                };
                self.mistake(Some(text), &field_place, format!("unknown field `{name}`"), Some(hint));
                continue;
            };
            let listed = written.optional.iter().any(|optional| optional.value == *name);
            let optional = text.value.optional || listed;
            if let Some(field) = self.field(kind, rule, &field_place, text, optional) {
                fields.insert(rule.name, field);
            }
        }
        // Where tasks are counted, at most the limit is asked for.
        let required = rules.iter().filter(|rule| rule.required && written.from.is_none());
        for rule in required.filter(|rule| !written.fields.contains_key(rule.name)) {
            let message = format!("expected the field `{}`, found none", rule.name);
            self.mistake::<()>(None, &format!("{place}.fields"), message, None);
        }
        if written.fields.is_empty() && kind == EndpointKind::Plan {
            let message = format!("expected at least one of {}, found none", quoted(&names));
            self.mistake::<()>(None, "plan.fields", message, None);
        }
        if kind == EndpointKind::Lookup && written.per_request.is_some() && !written.fields.contains_key("id") {
            let hint = Some("with `per_request` an answer holds several tasks".to_owned());
            self.mistake::<()>(None, "lookup.fields", "expected the field `id`, found none", hint);
        }
        fields
    }

    fn field(
        &mut self,
        kind: EndpointKind,
        rule: &FieldRule,
        place: &str,
        text: &Spanned<FieldFile>,
        optional: bool,
    ) -> Option<Field> {
        if rule.required && optional {
            let hint = "without it there is no record".to_owned();
            self.mistake(Some(text), place, format!("`{}` cannot be optional", rule.name), Some(hint));
        }
        let expression = text.value.value.as_str();
        if rule.kind == FieldKind::Time && !makes_a_time(expression) {
            let hint = format!("say how the platform writes times: {TIME_FILTERS}");
            self.mistake(Some(text), place, format!("`{expression}` is no time"), Some(hint));
        }
        let all = ["item", "response", "tables", "lists", "known"];
        let variables = if kind == EndpointKind::Lookup { &all[..] } else { &all[..4] };
        let scope = self.scope(variables);
        let formula = self.formula(place, text, expression, &scope)?;
        Some(Field { formula, optional })
    }

    /// What the query and the body of an endpoint may name.
    fn variables_of(&self, kind: EndpointKind, written: &EndpointFile) -> Vec<&'static str> {
        let mut variables = vec!["since", "now"];
        if written.window.is_some() {
            variables.extend(["window_start", "window_end"]);
        }
        if kind == EndpointKind::Lookup {
            variables.extend(if written.per_request.is_some() { &["ids"][..] } else { &["id", "known"][..] });
        }
        variables.extend(self.account_id(kind));
        variables
    }

    /// The account's id may be named where the mapping says how to ask for it, but for that question itself.
    fn account_id(&self, kind: EndpointKind) -> Option<&'static str> {
        (self.has_account && kind != EndpointKind::Account).then_some("account_id")
    }
}
