//! Texts with expressions in double braces: paths, query parameters, and the bodies of requests.

use minijinja::{Error, ErrorKind, Value};
use serde_json::{Map, Value as Json};

use super::exact::Exact;
use super::expression::{Formula, Refusal, Scope};
use super::filters::Moment;

/// A text with expressions in double braces, such as the value of a query parameter.
#[derive(Debug)]
pub(in crate::provider) struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Literal(String),
    Formula(Formula),
}

/// The JSON body of a request. A text in it that is nothing but one expression keeps the type of what comes out.
#[derive(Debug)]
pub(in crate::provider) enum Body {
    /// As written.
    Plain(Json),
    /// With expressions.
    Text(Pattern),
    /// A list.
    List(Vec<Body>),
    /// An object.
    Object(Vec<(String, Body)>),
}

impl Pattern {
    /// Compiles a text such as `{{ since }}` or `-created_at`.
    pub(super) fn compile(text: &str, scope: &Scope<'_>) -> Result<Pattern, Refusal> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, tail)) = after.split_once("}}") else {
                return Err(Refusal { message: format!("`{text}` opens `{{{{` and does not close it"), hint: None });
            };
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::Formula(Formula::compile(inside.trim(), scope)?));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Pattern(pieces))
    }

    /// Fills in the expressions; null fills in nothing.
    pub(in crate::provider) fn render(&self, context: &Value) -> Result<String, Error> {
        self.render_with(context, |text| text)
    }

    /// The same, with each filled-in text changed, such as encoded for a path.
    pub(in crate::provider) fn render_with(
        &self,
        context: &Value,
        change: impl Fn(String) -> String,
    ) -> Result<String, Error> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Formula(formula) => {
                    let value = known(formula.evaluate(context.clone())?)?;
                    if !value.is_none() {
                        text.push_str(&change(value.to_string()));
                    }
                }
            }
        }
        Ok(text)
    }

    /// Whether an expression names this variable.
    pub(super) fn names(&self, variable: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Formula(formula) if formula.names(variable)))
    }

    /// The text with its expressions left out, by which its shape is checked.
    pub(super) fn without_expressions(&self) -> String {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(literal) => literal.clone(),
            Piece::Formula(_) => "x".to_owned(),
        };
        self.0.iter().map(literal).collect()
    }

    /// Whether anything has to be filled in.
    pub(super) fn has_expressions(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Formula(_)))
    }

    fn json(&self, context: &Value) -> Result<Json, Error> {
        match self.0.as_slice() {
            [Piece::Formula(formula)] => {
                let value = known(formula.evaluate(context.clone())?)?;
                if value.downcast_object_ref::<Moment>().is_some() || value.downcast_object_ref::<Exact>().is_some() {
                    return Ok(Json::String(value.to_string()));
                }
                let unfit = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
                serde_json::to_value(&value).map_err(unfit)
            }
            _ => self.render(context).map(Json::String),
        }
    }
}

impl Body {
    /// Compiles every text in it. Mistakes are told with the way to their text, such as `filter.a[2]`.
    pub(super) fn compile(json: &Json, scope: &Scope<'_>, way: &str) -> Result<Body, (String, Refusal)> {
        match json {
            Json::String(text) => {
                let pattern = Pattern::compile(text, scope).map_err(|refusal| (way.to_owned(), refusal))?;
                Ok(if pattern.has_expressions() { Body::Text(pattern) } else { Body::Plain(json.clone()) })
            }
            Json::Array(items) => {
                let items = items.iter().enumerate();
                let compiled = items.map(|(place, item)| Body::compile(item, scope, &format!("{way}[{place}]")));
                compiled.collect::<Result<_, _>>().map(Body::List)
            }
            Json::Object(entries) => {
                let compiled = entries.iter().map(|(key, value)| {
                    let way = if way.is_empty() { key.clone() } else { format!("{way}.{key}") };
                    Body::compile(value, scope, &way).map(|body| (key.clone(), body))
                });
                compiled.collect::<Result<_, _>>().map(Body::Object)
            }
            plain => Ok(Body::Plain(plain.clone())),
        }
    }

    /// Whether an expression in it names this variable.
    pub(super) fn names(&self, variable: &str) -> bool {
        match self {
            Body::Plain(_) => false,
            Body::Text(pattern) => pattern.names(variable),
            Body::List(items) => items.iter().any(|item| item.names(variable)),
            Body::Object(entries) => entries.iter().any(|(_, body)| body.names(variable)),
        }
    }

    /// The JSON to send. A key whose expression comes out as null is left out.
    pub(in crate::provider) fn render(&self, context: &Value) -> Result<Json, Error> {
        match self {
            Body::Plain(json) => Ok(json.clone()),
            Body::Text(pattern) => pattern.json(context),
            Body::List(items) => {
                items.iter().map(|item| item.render(context)).collect::<Result<_, _>>().map(Json::Array)
            }
            Body::Object(entries) => {
                let mut object = Map::new();
                for (key, body) in entries {
                    let value = body.render(context)?;
                    if !(value.is_null() && matches!(body, Body::Text(_))) {
                        object.insert(key.clone(), value);
                    }
                }
                Ok(Json::Object(object))
            }
        }
    }
}

fn known(value: Value) -> Result<Value, Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_the_types_of_what_is_filled_in() {
        let written = serde_json::json!({
            "limit": 100,
            "filter": {"ids": ["{{ ids }}", "x-{{ n }}"], "gone": "{{ nothing }}", "null": null},
            "n": "{{ n }}",
        });
        let scope = Scope { variables: &["ids", "n", "nothing"], tables: vec![], lists: vec![] };
        let context = Value::from_pairs([
            ("ids", Value::from(vec!["a", "b"])),
            ("n", Value::from(7)),
            ("nothing", Value::from(())),
        ]);
        let rendered = Body::compile(&written, &scope, "").unwrap().render(&context).unwrap();
        let expected = serde_json::json!({
            "limit": 100,
            "filter": {"ids": [["a", "b"], "x-7"], "null": null},
            "n": 7,
        });
        assert_eq!(rendered, expected);
    }

    #[test]
    fn a_mistake_in_a_body_says_where() {
        let written = serde_json::json!({"filter": {"a": [1, "{{ nobody }}"]}});
        let scope = Scope { variables: &["now"], tables: vec![], lists: vec![] };
        let (way, refusal) = Body::compile(&written, &scope, "").unwrap_err();
        assert_eq!((way.as_str(), refusal.message.as_str()), ("filter.a[1]", "unknown name `nobody`"));
    }
}
