//! The expressions of a mapping: compiled and checked when the file is loaded, bounded when they run.
//!
//! An expression sees `item` (the record), `response` (the whole answer), `tables` and `lists` (of the mapping file) and
//! nothing else: no key, no environment, no file, no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value};

use super::filters;
use super::lexicon::{Use, names_used};
use super::nearest::nearest;

/// How much work one evaluation may do. The shipped mappings use less than a hundredth of it.
const FUEL: u64 = 50_000;

/// Longest expression accepted, in bytes.
const LONGEST: usize = 4096;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    filters::add_to(&mut engine);
    // Its indentation is as wide as it is told, outside the fuel.
    engine.remove_filter("tojson");
    engine
});

/// One compiled expression.
pub(super) struct Formula(Expression<'static, 'static>);

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

    /// Whether it names this variable.
    pub(super) fn names(&self, variable: &str) -> bool {
        self.0.undeclared_variables(false).contains(variable)
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

/// The tables and lists of a mapping as the engine sees them.
pub(super) fn named<T: Clone + Into<Value>>(values: &BTreeMap<String, T>) -> Value {
    Value::from_pairs(values.iter().map(|(name, value)| (name.clone(), value.clone().into())))
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
            let ours = filters::NAMES.iter().copied();
            let engines = ["default", "lower", "upper", "trim", "replace", "first", "last", "length", "int", "float"];
            let known: Vec<&str> = if kind == "filter" {
                ours.chain(engines).collect()
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
}
