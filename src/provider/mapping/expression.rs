//! The expressions of a mapping: compiled and checked when the file is loaded, bounded when they run.
//!
//! An expression sees `item` (the record), `response` (the whole answer), `tables` and `lists` (of the mapping file) and
//! nothing else: no key, no environment, no file, no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value};

use super::lexicon::{Use, names_used};
use super::nearest::nearest;

/// Filters of ours, beside the engine's own.
pub(super) const TIME_FILTERS: &str = "epoch_ms, epoch_seconds, rfc3339 or epoch_ms_or_rfc3339";

/// How much work one evaluation may do. The shipped mappings use less than a hundredth of it.
const FUEL: u64 = 50_000;

/// Longest expression accepted, in bytes.
const LONGEST: usize = 4096;

/// Times outside these are a mistake in the mapping (seconds taken for milliseconds, a zero), not a moment.
const EARLIEST_SECOND: i64 = 946_684_800; // 2000-01-01
const LATEST_SECOND: i64 = 4_102_444_800; // 2100-01-01

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

/// One compiled expression.
pub(super) struct Formula(Expression<'static, 'static>);

/// A text with expressions in double braces, such as the value of a query parameter.
#[derive(Debug)]
pub(in crate::provider) struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Literal(String),
    Formula(Formula),
}

/// A moment inside the engine. Only the time filters make one, so that a bare number is never taken for a time.
#[derive(Debug)]
pub(super) struct Moment(pub(super) Timestamp);

/// Why an expression is refused at load.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The names that an expression may use.
pub(super) struct Scope<'a> {
    pub(super) variables: &'a [&'a str],
    pub(super) tables: Vec<&'a str>,
    pub(super) lists: Vec<&'a str>,
}

impl Formula {
    /// Compiles and checks: syntax, variables, filters, tests, tables and lists must exist.
    pub(super) fn compile(text: &str, scope: &Scope<'_>) -> Result<Formula, Refusal> {
        if text.len() > LONGEST {
            let message = format!("expected an expression of at most {LONGEST} bytes, found {}", text.len());
            return Err(Refusal { message, hint: None });
        }
        let compiled = ENGINE.compile_expression_owned(text.to_owned()).map_err(|error| {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            Refusal { message: format!("`{text}` is no expression{detail}"), hint: None }
        })?;
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        for name in names {
            scope.check(&name)?;
        }
        check_filters_and_tests(text)?;
        Ok(Formula(compiled))
    }

    /// Evaluates within the fuel.
    pub(super) fn evaluate(&self, context: Value) -> Result<Value, Error> {
        self.0.eval(context)
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Formula")
    }
}

impl Scope<'_> {
    fn check(&self, name: &str) -> Result<(), Refusal> {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if !self.variables.contains(&first) {
            return Err(unknown("name", first, self.variables));
        }
        let second = rest.split('.').next().unwrap_or_default();
        match first {
            "tables" if !self.tables.contains(&second) => Err(unknown("table", second, &self.tables)),
            "lists" if !self.lists.contains(&second) => Err(unknown("list", second, &self.lists)),
            _ => Ok(()),
        }
    }
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
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Formula(formula) => match formula.evaluate(context.clone())? {
                    value if value.is_undefined() => return Err(Error::from(ErrorKind::UndefinedError)),
                    value if value.is_none() => {}
                    value => text.push_str(&value.to_string()),
                },
            }
        }
        Ok(text)
    }
}

impl Object for Moment {
    fn repr(self: &std::sync::Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &std::sync::Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The tables and lists of a mapping as the engine sees them.
pub(super) fn named<T: Clone + Into<Value>>(values: &BTreeMap<String, T>) -> Value {
    Value::from_pairs(values.iter().map(|(name, value)| (name.clone(), value.clone().into())))
}

/// A moment for a query pattern.
pub(super) fn moment(at: Timestamp) -> Value {
    Value::from_object(Moment(at))
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine.add_filter("epoch_ms", |value: Value| passing_nothing(value, epoch_ms));
    engine.add_filter("epoch_seconds", |value: Value| passing_nothing(value, epoch_seconds));
    engine.add_filter("rfc3339", |value: Value| passing_nothing(value, rfc3339));
    engine.add_filter("epoch_ms_or_rfc3339", |value: Value| {
        passing_nothing(value, |value| if value.is_number() { epoch_ms(value) } else { rfc3339(value) })
    });
    engine.add_filter("not_zero", not_zero);
    engine.add_filter("lookup", lookup);
    engine.add_filter("days_before", days_before);
    engine
}

/// Leaves undefined and null as they are: whether they may be there is decided by the field.
fn passing_nothing(value: Value, read: impl Fn(&Value) -> Result<Timestamp, Error>) -> Result<Value, Error> {
    if value.is_undefined() || value.is_none() { Ok(value) } else { read(&value).map(moment) }
}

fn epoch_ms(value: &Value) -> Result<Timestamp, Error> {
    let milliseconds = value.as_i64().filter(|_| value.is_number());
    let at = milliseconds.and_then(|value| Timestamp::from_millisecond(value).ok());
    plausible(at, value, "a time as milliseconds since 1970")
}

fn epoch_seconds(value: &Value) -> Result<Timestamp, Error> {
    let seconds = value.as_i64().filter(|_| value.is_number());
    let at = seconds.and_then(|value| Timestamp::from_second(value).ok());
    plausible(at, value, "a time as seconds since 1970")
}

fn rfc3339(value: &Value) -> Result<Timestamp, Error> {
    let at = value.as_str().and_then(|text| text.parse().ok());
    plausible(at, value, "a time as text such as `2026-11-20T10:00:00Z`")
}

fn plausible(at: Option<Timestamp>, found: &Value, expected: &str) -> Result<Timestamp, Error> {
    let wrong = || {
        let found = super::words::describe(found);
        Error::new(ErrorKind::InvalidOperation, format!("found {found}, expected {expected} between 2000 and 2100"))
    };
    at.filter(|at| (EARLIEST_SECOND..LATEST_SECOND).contains(&at.as_second())).ok_or_else(wrong)
}

/// 0, null and an empty text all mean "not yet" and become null.
fn not_zero(value: Value) -> Value {
    let nothing = value.as_i64() == Some(0) || value.as_str() == Some("");
    if nothing && !value.is_undefined() { Value::from(()) } else { value }
}

/// The entry of a table, or the default; without a default an entry that is not there is missing.
fn lookup(key: Value, table: Value, default: Option<Value>) -> Result<Value, Error> {
    if key.is_undefined() || key.is_none() {
        return Ok(key);
    }
    let found = table.get_item(&key)?;
    Ok(if found.is_undefined() { default.unwrap_or(found) } else { found })
}

/// The moment so many days earlier.
fn days_before(value: Value, days: u32) -> Result<Value, Error> {
    let Some(Moment(at)) = value.downcast_object_ref::<Moment>() else {
        return Err(Error::new(ErrorKind::InvalidOperation, "`days_before` expects a time"));
    };
    let earlier = at.checked_sub(SignedDuration::from_hours(24 * i64::from(days)));
    earlier.map(moment).map_err(|_| Error::new(ErrorKind::InvalidOperation, "`days_before` leaves the calendar"))
}

fn check_filters_and_tests(text: &str) -> Result<(), Refusal> {
    let mut state = ENGINE.empty_state();
    for used in names_used(text) {
        let (kind, name, missing) = match used {
            Use::Filter(name) => {
                let result = state.apply_filter(name, &[]);
                ("filter", name, result.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter))
            }
            Use::Test(name) => {
                let result = state.perform_test(name, &[]);
                ("test", name, result.is_err_and(|error| error.kind() == ErrorKind::UnknownTest))
            }
        };
        if missing {
            let ours = ["epoch_ms", "epoch_seconds", "rfc3339", "epoch_ms_or_rfc3339", "not_zero", "lookup"];
            let engines = ["default", "lower", "upper", "trim", "replace", "first", "last", "length", "int", "float"];
            let known: Vec<&str> = if kind == "filter" {
                ours.into_iter().chain(engines).collect()
            } else {
                vec!["defined", "undefined", "none", "string", "number", "sequence", "mapping", "startingwith"]
            };
            return Err(unknown(kind, name, &known));
        }
    }
    Ok(())
}

fn unknown(kind: &str, found: &str, known: &[&str]) -> Refusal {
    let hint = match nearest(found, known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known are {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))),
    };
    Refusal { message: format!("unknown {kind} `{found}`"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope<'static> {
        Scope { variables: &["item", "response", "tables", "lists"], tables: vec!["states"], lists: vec!["steps"] }
    }

    #[test]
    fn a_typing_mistake_is_found_when_the_file_is_loaded() {
        for (text, message) in [
            ("itm.id", "unknown name `itm`"),
            ("item.id | epoc_ms", "unknown filter `epoc_ms`"),
            ("item.id is strng", "unknown test `strng`"),
            ("item.id is not strng", "unknown test `strng`"),
            ("item.s | lookup(tables.state)", "unknown table `state`"),
            ("item.s in lists.stps", "unknown list `stps`"),
            ("range(100000000)", "unknown name `range`"),
            ("env('HOME')", "unknown name `env`"),
        ] {
            assert_eq!(Formula::compile(text, &scope()).unwrap_err().message, message, "{text}");
        }
        let refusal = Formula::compile("item.id | epoc_ms", &scope()).unwrap_err();
        assert_eq!(refusal.hint.as_deref(), Some("did you mean `epoch_ms`?"));
        let refusal = Formula::compile("item.", &scope()).unwrap_err();
        assert!(refusal.message.starts_with("`item.` is no expression: "), "{}", refusal.message);
    }

    #[test]
    fn what_stands_in_a_text_is_no_name() {
        for text in ["'a | b'", "item.a == \"x is y\"", "item['| no']", "item.a | default('is | no') | lower"] {
            assert!(Formula::compile(text, &scope()).is_ok(), "{text}");
        }
    }

    #[test]
    fn hostile_work_ends() {
        let context = || Value::from_pairs([("item", Value::from_pairs([("n", Value::from(1_000_000_000))]))]);
        for text in [
            "'x' * 100000000",
            "'x' * item.n",
            "(('x' * 10000) * 10000) * 10000",
            "('a' * 50000) | replace('a', 'b' * 50000)",
        ] {
            let result = Formula::compile(text, &scope()).unwrap().evaluate(context());
            assert_eq!(result.unwrap_err().kind(), ErrorKind::OutOfFuel, "{text}");
        }
        assert!(Formula::compile("[1] * 1000000000", &scope()).unwrap().evaluate(context()).is_err());
        for text in ["(".repeat(4000), "item.a + ".repeat(1000), "[".repeat(2000), "not ".repeat(1000)] {
            assert!(Formula::compile(&text, &scope()).is_err());
        }
    }

    #[test]
    fn times_read_in_every_encoding() {
        let at = "2026-11-20T10:01:25Z";
        for (text, value) in [
            ("item | epoch_ms", Value::from(1_795_168_885_000_i64)),
            ("item | epoch_seconds", Value::from(1_795_168_885_i64)),
            ("item | rfc3339", Value::from(at)),
            ("item | rfc3339", Value::from("2026-11-20T11:01:25+01:00")),
            ("item | epoch_ms_or_rfc3339", Value::from(at)),
            ("item | epoch_ms_or_rfc3339", Value::from(1_795_168_885_000_i64)),
        ] {
            let read = Formula::compile(text, &scope()).unwrap().evaluate(Value::from_pairs([("item", value)]));
            assert_eq!(read.unwrap().to_string(), at, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_no_moment_is_refused() {
        for (text, value) in [
            ("item | epoch_ms", Value::from(1_795_168_885)),
            ("item | epoch_seconds", Value::from(1_795_168_885_000_i64)),
            ("item | epoch_ms", Value::from(0)),
            ("item | epoch_ms", Value::from("2026-11-20T10:01:25Z")),
            ("item | epoch_ms", Value::from(true)),
            ("item | rfc3339", Value::from("2026-11-20 10:01")),
            ("item | rfc3339", Value::from(1)),
        ] {
            let result = Formula::compile(text, &scope()).unwrap().evaluate(Value::from_pairs([("item", value)]));
            assert!(result.unwrap_err().to_string().contains("expected a time as "), "{text}");
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        for (text, none) in [
            ("item.zero | not_zero | epoch_ms", true),
            ("item.null | not_zero | epoch_ms", true),
            ("item.empty | not_zero | rfc3339", true),
            ("item.gone | not_zero | epoch_ms", false),
            ("item.gone | lookup(tables.states, 'unknown')", false),
        ] {
            let item = [("zero", Value::from(0)), ("null", Value::from(())), ("empty", Value::from(""))];
            let tables = Value::from_pairs([("states", Value::from_pairs([("A", "queued")]))]);
            let context = Value::from_pairs([("item", Value::from_pairs(item)), ("tables", tables)]);
            let value = Formula::compile(text, &scope()).unwrap().evaluate(context).unwrap();
            assert_eq!((value.is_none(), value.is_undefined()), (none, !none), "{text}");
        }
    }
}
