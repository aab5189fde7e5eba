//! The section `webhooks`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::SecretFile;
use super::email::check_authorities;
use super::mistakes::{any_of, nearest, shown};
use super::section::{Text, section};
use super::values::{self, Context};
use crate::domain::silence::Label;
use crate::domain::{Matcher, RuleName, Stage};

section! {
    /// A program that is told what people are told.
    struct WebhookFile {
        /// What it is called, in its messages, in metrics and logs. Required; unique.
        name: Text,
        /// Where it listens. Required.
        url: Text,
        /// The file that holds the secret by which it knows us, at least 16 characters. Required.
        secret_file: Text,
        /// Which alerts it is told of: all of these fit. Default: all alerts.
        matchers: Vec<Text>,
        /// Whether it hears that an alert is over. Default: true.
        send_resolved: Text,
        /// The time limit of one request. Default: 10s.
        timeout: Text,
        /// Whether its name may lead into a private network. Default: false.
        allow_private_addresses: Text,
        /// More trusted authorities, PEM. Default: those of the system alone.
        ca_file: Text,
    }
}

/// A program that is told what people are told.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// What it is called: letters, digits, `-` and `_`.
    pub name: String,
    /// Where it listens. Checked: https, or http to this machine.
    pub url: String,
    /// The file that holds the secret by which it knows us, read for each message.
    pub secret_file: SecretFile,
    /// Which alerts it is told of: all of these fit.
    pub matchers: Vec<Matcher>,
    /// Whether it hears that an alert is over.
    pub sends_resolved: bool,
    /// The time limit of one request.
    pub timeout: Duration,
    /// Whether its name may lead into a private network.
    pub allow_private_addresses: bool,
    /// More trusted authorities, PEM.
    pub ca_file: Option<PathBuf>,
}

/// The names that alerts can have.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) accounts: Vec<&'a str>,
    pub(super) teams: Vec<&'a str>,
}

impl WebhookConfig {
    /// The name of its channel, in the outbox and in metrics.
    pub fn channel(&self) -> String {
        format!("webhook:{}", self.name)
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the section. What is wrong has been noted, and is left out.
pub(super) fn check(files: &[WebhookFile], known: &Known, context: &mut Context) -> Vec<WebhookConfig> {
    let mut names = HashSet::new();
    for name in files.iter().filter_map(|file| file.name.as_ref()) {
        if !names.insert(name.text.as_str()) {
            context.mistakes.add(&name.place, format!("another webhook is called `{}` too", shown(&name.text)));
        }
    }
    files.iter().filter_map(|file| check_one(file, known, context)).collect()
}

fn check_one(file: &WebhookFile, known: &Known, context: &mut Context) -> Option<WebhookConfig> {
    let name = match &file.name {
        Some(text) => check_name(text, context),
        None => {
            file.head.missing("name", "write what it is for, such as `pipeline`", &mut context.mistakes);
            None
        }
    };
    let url = match &file.url {
        Some(text) => values::secure_url(text, context),
        None => {
            file.head.missing(
                "url",
                "write where it listens, such as `https://example.org/hook`",
                &mut context.mistakes,
            );
            None
        }
    };
    let secret_file = match &file.secret_file {
        Some(text) => values::long_secret(text, "secret", context),
        None => {
            let hint = "write the path of the file that holds the secret";
            file.head.missing("secret_file", hint, &mut context.mistakes);
            None
        }
    };
    // All of them are looked at, so that each mistake is told.
    let matchers: Vec<Option<Matcher>> =
        file.matchers.iter().flatten().map(|text| check_matcher(text, known, context)).collect();
    let sends_resolved = file.send_resolved.as_ref().map_or(Some(true), |text| values::flag(text, context));
    let timeout = match &file.timeout {
        Some(text) => values::duration(text, Duration::from_secs(1), context),
        None => Some(TIMEOUT),
    };
    let allow_private_addresses =
        file.allow_private_addresses.as_ref().map_or(Some(false), |text| values::flag(text, context));
    let ca_file = match &file.ca_file {
        Some(text) if url.as_ref().is_some_and(|url| url.starts_with("http:")) => {
            context.wrong(&text.place, "has no effect: the URL does not begin with `https://`")
        }
        Some(text) => check_authorities(text, context).map(Some),
        None => Some(None),
    };
    Some(WebhookConfig {
        name: name?,
        url: url?,
        secret_file: secret_file?,
        matchers: matchers.into_iter().collect::<Option<_>>()?,
        sends_resolved: sends_resolved?,
        timeout: timeout?,
        allow_private_addresses: allow_private_addresses?,
        ca_file: ca_file?,
    })
}

/// It becomes a part of the value of a label.
fn check_name(text: &Text, context: &mut Context) -> Option<String> {
    let is_plain = text.text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain && (1..=64).contains(&text.text.len()) {
        return Some(text.text.clone());
    }
    let found = shown(&text.text);
    context.wrong(&text.place, format!("expected 1 to 64 letters, digits, `-` and `_`, found `{found}`"))
}

/// A matcher for a value that no alert has would never fit, which is a slip of the finger.
fn check_matcher(text: &Text, known: &Known, context: &mut Context) -> Option<Matcher> {
    let matcher = match Matcher::parse(&text.text) {
        Ok(matcher) => matcher,
        Err(error) => return context.wrong(&text.place, error),
    };
    let value = matcher.value();
    let (what, words): (_, Vec<&str>) = match matcher.label() {
        Label::Alert => ("rule", RuleName::ALL.into_iter().map(RuleName::as_str).collect()),
        Label::AlertName => ("alert", RuleName::ALL.into_iter().map(RuleName::alert_name).collect()),
        Label::Account => ("account", known.accounts.clone()),
        Label::Team => ("team", known.teams.clone()),
        Label::Severity => ("severity", Stage::ALL.into_iter().map(Stage::as_str).collect()),
    };
    if matcher.operator().is_regex() || words.contains(&value) {
        return Some(matcher);
    }
    let hint = match nearest(value, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("expected {}", any_of(words)),
    };
    context.wrong(&text.place, format!("there is no {what} `{}`\nhint: {hint}", shown(value)))
}
