//! One condition on the labels of an alert, in the words of Alertmanager's `amtool`: `team=~"env-.*"`.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

use crate::domain::account::is_unprintable;
use crate::domain::rule::RuleName;

/// The longest value or regular expression, in characters.
pub const LONGEST_VALUE: usize = 256;
/// The most that one compiled regular expression may take, in bytes: a few hundred times what the usual ones do, and little
/// enough that a thousand silences of the worst do not fill a machine.
const LARGEST_PATTERN: usize = 64 << 10;
/// Groups within groups of a regular expression.
const DEEPEST_PATTERN: u32 = 16;

/// What every alert carries. A label that an alert does not have is the empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The rule's word.
    Alert,
    /// The rule's name at Alertmanager, so that what was copied from there means the same here.
    AlertName,
    /// The account.
    Account,
    /// The team.
    Team,
    /// `warning` or `critical`.
    Severity,
}

impl Label {
    /// Every one.
    pub const ALL: [Label; 5] = [Label::Alert, Label::AlertName, Label::Account, Label::Team, Label::Severity];

    /// The word used in matchers, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Label::Alert => "alert",
            Label::AlertName => "alertname",
            Label::Account => "account",
            Label::Team => "team",
            Label::Severity => "severity",
        }
    }

    /// The label of that word.
    ///
    /// # Errors
    /// No alert has such a label.
    pub fn parse(word: &str) -> Result<Label, MatcherError> {
        Label::ALL.into_iter().find(|label| label.as_str() == word).ok_or_else(|| {
            let expected = "expected `alert`, `alertname`, `account`, `team` or `severity`";
            MatcherError(format!("no alert has a label `{}`; {expected}", shown(word)))
        })
    }
}

/// The labels of one alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertLabels<'a> {
    /// The rule's word.
    pub alert: &'a str,
    /// The account; empty for an alert of no account.
    pub account: &'a str,
    /// The team; empty for an alert of a whole account.
    pub team: &'a str,
    /// The stage's word.
    pub severity: &'a str,
}

impl<'a> AlertLabels<'a> {
    /// The value of a label.
    pub fn get(&self, label: Label) -> &'a str {
        match label {
            Label::Alert => self.alert,
            Label::AlertName => RuleName::parse(self.alert).map_or("", RuleName::alert_name),
            Label::Account => self.account,
            Label::Team => self.team,
            Label::Severity => self.severity,
        }
    }
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is the value.
    Equal,
    /// The label is not the value.
    NotEqual,
    /// The whole label matches the regular expression.
    Matches,
    /// The whole label does not match it.
    MatchesNot,
}

impl Operator {
    /// Every one, those of two characters first: the others begin like them.
    pub const ALL: [Operator; 4] = [Operator::Matches, Operator::MatchesNot, Operator::NotEqual, Operator::Equal];

    /// As it is written between label and value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Matches => "=~",
            Operator::MatchesNot => "!~",
        }
    }

    /// As Alertmanager's API tells it: `isRegex` and `isEqual`.
    pub const fn of_flags(is_regex: bool, is_equal: bool) -> Operator {
        match (is_regex, is_equal) {
            (false, true) => Operator::Equal,
            (false, false) => Operator::NotEqual,
            (true, true) => Operator::Matches,
            (true, false) => Operator::MatchesNot,
        }
    }

    /// Whether the value is a regular expression.
    pub const fn is_regex(self) -> bool {
        matches!(self, Operator::Matches | Operator::MatchesNot)
    }

    /// Whether it asks for what is like the value, rather than unlike it.
    pub const fn is_equal(self) -> bool {
        matches!(self, Operator::Equal | Operator::Matches)
    }
}

/// One condition on the labels of an alert.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: Label,
    operator: Operator,
    value: String,
    /// The compiled value of an operator that takes a regular expression.
    pattern: Option<Regex>,
}

/// Why a text is no matcher, with a hint if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MatcherError(String);

fn wrong<T>(message: impl Into<String>) -> Result<T, MatcherError> {
    Err(MatcherError(message.into()))
}

impl Matcher {
    /// A matcher of these parts.
    ///
    /// # Errors
    /// The value is longer than [`LONGEST_VALUE`], cannot be printed, is no regular expression where one is asked for, or is
    /// a rule's word where its name at Alertmanager is: that would fit no alert, or with `!=` every one.
    pub fn new(label: Label, operator: Operator, value: &str) -> Result<Matcher, MatcherError> {
        let length = value.chars().count();
        if length > LONGEST_VALUE {
            return wrong(format!("expected a value of at most {LONGEST_VALUE} characters, found {length}"));
        }
        if value.chars().any(is_unprintable) {
            return wrong(format!("expected printable characters, found `{}`", shown(value)));
        }
        if let Some(rule) = RuleName::parse(value).filter(|_| label == Label::AlertName && !operator.is_regex()) {
            let (name, word) = (rule.alert_name(), Label::Alert.as_str());
            let hint = format!("hint: write `{word}{}{rule}`", operator.as_str());
            return wrong(format!("expected a name as Alertmanager has it, such as `{name}`, found `{rule}`\n{hint}"));
        }
        let pattern = operator.is_regex().then(|| compile(value)).transpose()?;
        Ok(Matcher { label, operator, value: value.to_owned(), pattern })
    }

    /// The matcher of an alert's name alone: as it is called here, or at Alertmanager.
    fn named(name: &str) -> Result<Matcher, MatcherError> {
        let label = if RuleName::of_alert_name(name).is_some() { Label::AlertName } else { Label::Alert };
        Matcher::new(label, Operator::Equal, name)
    }

    /// The one matcher that a text holds, such as `team=art`, `team!="concept art"` or `alert=~ex.*`. Within quotes, and
    /// without them too, `\"` and `\\` stand for the second character.
    ///
    /// # Errors
    /// It holds none, or a wrong one.
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        let mut rest = Rest { text, ends_at_gap: false };
        let matcher = rest.matcher()?;
        match rest.text.trim() {
            "" => Ok(matcher),
            more => wrong(format!("expected nothing after the value's last quote, found `{}`", shown(more))),
        }
    }

    /// Those of several texts, one in each; a first one without an operator is the name of an alert, as with `amtool`.
    ///
    /// # Errors
    /// The first text that holds none, or a wrong one.
    pub fn parse_each<T: AsRef<str>>(texts: &[T]) -> Result<Vec<Matcher>, MatcherError> {
        let parse = |(place, text): (usize, &T)| {
            let text = text.as_ref();
            match place == 0 && !text.trim().is_empty() && !text.contains(['=', '!', '~']) {
                true => Matcher::named(&unquoted(text.trim())?),
                false => Matcher::parse(text),
            }
        };
        texts.iter().enumerate().map(parse).collect()
    }

    /// All that one text holds, apart by white space or commas, in braces or not: `alert=exhaustion team=~"env-.*"`. A value
    /// that holds a gap or a comma is quoted. None in an empty text.
    ///
    /// # Errors
    /// The first wrong one.
    pub fn parse_all(text: &str) -> Result<Vec<Matcher>, MatcherError> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let mut rest = Rest { text, ends_at_gap: true };
        let mut matchers = Vec::new();
        while rest.skip_gaps() {
            let is_first = matchers.is_empty();
            matchers.push(match rest.bare_word().filter(|_| is_first) {
                Some(word) => Matcher::named(word)?,
                None => rest.matcher()?,
            });
        }
        Ok(matchers)
    }

    /// The label that it looks at.
    pub const fn label(&self) -> Label {
        self.label
    }

    /// How it compares.
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// With what it compares.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the label's value fits.
    pub fn fits(&self, value: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_match(value) == self.operator.is_equal(),
            None => (self.value == value) == self.operator.is_equal(),
        }
    }

    /// Whether it says anything: an `=` or `=~` that an alert without the label fits too says nothing, as in Alertmanager.
    pub(super) fn says_something(&self) -> bool {
        !self.operator.is_equal() || !self.fits("")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (self.label, self.operator, &self.value) == (other.label, other.operator, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "{}{}\"{escaped}\"", self.label.as_str(), self.operator.as_str())
    }
}

/// Matchers as [`Matcher::parse_all`] reads them.
pub fn matchers_in_words(matchers: &[Matcher]) -> String {
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(" ")
}

fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(LARGEST_PATTERN).nest_limit(DEEPEST_PATTERN).build()
    };
    // By itself first: `a)|(b` would only be one once something is put round it.
    let compiled = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$")));
    compiled.map_err(|error| MatcherError(format!("`{}` is no regular expression: {error}", shown(pattern))))
}

/// What is left to read of a text.
struct Rest<'a> {
    text: &'a str,
    /// Whether a value without quotes ends at white space or a comma, because another matcher may follow.
    ends_at_gap: bool,
}

impl<'a> Rest<'a> {
    /// Whether there is anything after the gap.
    fn skip_gaps(&mut self) -> bool {
        self.text = self.text.trim_start_matches(is_gap);
        !self.text.is_empty()
    }

    /// Takes a word that no operator follows.
    fn bare_word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.text.split_at(self.text.find(is_gap).unwrap_or(self.text.len()));
        let is_bare = !word.contains(['=', '!', '~', '"']) && !rest.trim_start().starts_with(['=', '!']);
        is_bare.then(|| {
            self.text = rest;
            word
        })
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let whole = self.text.trim();
        let no_matcher = || {
            let hint = "hint: such as `team=art`, `severity!=critical` or `alert=~\"ex.*\"`";
            let expected = "expected a label, one of `=`, `!=`, `=~`, `!~`, and a value";
            MatcherError(format!("{expected}; found `{}`\n{hint}", shown(whole)))
        };
        let at = whole.find(['=', '!']).ok_or_else(no_matcher)?;
        let (label, rest) = whole.split_at(at);
        let is_it = |operator: &Operator| rest.starts_with(operator.as_str());
        let operator = Operator::ALL.into_iter().find(is_it).ok_or_else(no_matcher)?;
        let value = &rest[operator.as_str().len()..];
        // `team = art` has a gap in it, `team= alert=exhaustion` one behind it.
        let is_apart = !self.ends_at_gap || label.ends_with(char::is_whitespace);
        let value = if is_apart { value.trim_start() } else { value };
        let label = Label::parse(label.trim())?;
        if value.starts_with('=') {
            return Err(no_matcher());
        }
        let end = self.end_of_value(value);
        let (value, rest) = value.split_at(end);
        self.text = rest;
        if self.ends_at_gap && !rest.is_empty() && !rest.starts_with(is_gap) {
            return wrong(format!("expected a gap after the value's last quote, found `{}`", shown(rest)));
        }
        Matcher::new(label, operator, &unquoted(value)?)
    }

    /// Where the value ends: after its last quote, at a gap, or with the text.
    fn end_of_value(&self, value: &str) -> usize {
        if !value.starts_with('"') {
            let gap = if self.ends_at_gap { value.find(is_gap) } else { None };
            return gap.unwrap_or(value.len());
        }
        let mut is_escaped = false;
        let closing = value.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            closes
        });
        closing.map_or(value.len(), |(at, quote)| at + quote.len_utf8())
    }
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c == ','
}

/// A value as it is meant: without the quotes round it, and with `\"` and `\\` as the character that they stand for. A
/// backslash before anything else is one, so that `\d` needs no second.
fn unquoted(text: &str) -> Result<String, MatcherError> {
    let unescaped =
        || MatcherError(format!("`{}` holds a quote that is not closed, or none that `\\` marks", shown(text)));
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(unescaped)?,
        None => text,
    };
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('\\' | '"')) => value.extend(characters.next()),
            // The last quote was one that a backslash marks.
            ('\\', None) if text.starts_with('"') => return Err(unescaped()),
            ('"', _) => return Err(unescaped()),
            _ => value.push(c),
        }
    }
    Ok(value)
}

/// The beginning of what somebody wrote, fit to be shown.
fn shown(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(60).collect()
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
