//! The section `alertmanager`.

use std::path::PathBuf;
use std::time::Duration;

use super::SecretFile;
use super::email::check_authorities;
use super::mistakes::Place;
use super::section::{Text, section};
use super::values::{self, Context};

section! {
    /// Which Alertmanagers are shown what fires. Default: none.
    struct AlertmanagerFile {
        /// Where they are: each gets everything. Required.
        urls: Vec<Text>,
        /// Whether plain http to another machine is meant. Default: false.
        allow_plaintext: Text,
        /// How often what still fires is sent again. Default: 1m.
        resend_interval: Text,
        /// The time limit of one request. Default: 10s.
        timeout: Text,
        /// The user whose password `credentials_file` holds. Default: none; it holds a bearer token.
        username: Text,
        /// The file that holds the password or the token. Default: none.
        credentials_file: Text,
        /// More trusted authorities, PEM. Default: those of the system alone.
        ca_file: Text,
    }
}

/// Which Alertmanagers are shown what fires, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertmanagerConfig {
    /// Where they are, at least one, without a trailing slash. Checked: https, or http to this machine, or http that is
    /// meant.
    pub urls: Vec<String>,
    /// How often what still fires is sent again.
    pub resend_interval: Duration,
    /// The time limit of one request; at most `resend_interval`.
    pub timeout: Duration,
    /// Who sends.
    pub auth: Option<HttpAuth>,
    /// More trusted authorities, PEM.
    pub ca_file: Option<PathBuf>,
}

/// By what a request says who sends it. The files are read for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAuth {
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The file that holds the password.
        password_file: SecretFile,
    },
    /// A token.
    Bearer(SecretFile),
}

const RESEND_INTERVAL: Duration = Duration::from_secs(60);
/// What fires runs out after four intervals without news of it: shorter ones would not outlast one lost request.
const SHORTEST_RESEND_INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the section. `None` if something in it is wrong, which has been noted then.
pub(super) fn check(file: &AlertmanagerFile, context: &mut Context) -> Option<AlertmanagerConfig> {
    let allow_plaintext = match &file.allow_plaintext {
        Some(text) => values::flag(text, context),
        None => Some(false),
    };
    let urls = check_urls(file, allow_plaintext.unwrap_or(true), context);
    let resend_interval = match &file.resend_interval {
        Some(text) => values::duration(text, SHORTEST_RESEND_INTERVAL, context),
        None => Some(RESEND_INTERVAL),
    };
    let timeout = match &file.timeout {
        Some(text) => check_timeout(text, resend_interval, context),
        None => Some(resend_interval.map_or(TIMEOUT, |interval| interval.min(TIMEOUT))),
    };
    let auth = check_auth(file, context);
    let ca_file = match &file.ca_file {
        Some(text) => check_authorities(text, context).map(Some),
        None => Some(None),
    };
    let config = AlertmanagerConfig {
        urls: urls?,
        resend_interval: resend_interval?,
        timeout: timeout?,
        auth: auth?,
        ca_file: ca_file?,
    };
    check_together(file, &config, context).then_some(config)
}

fn check_urls(file: &AlertmanagerFile, allow_plaintext: bool, context: &mut Context) -> Option<Vec<String>> {
    let hint = "write `urls: [\"http://localhost:9093\"]`";
    let Some(texts) = &file.urls else {
        file.head.missing("urls", hint, &mut context.mistakes);
        return None;
    };
    let place = Place { at: format!("{}.urls", file.head.place.at), ..file.head.place.clone() };
    let mut urls: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        let Some(url) = values::url_to_talk_to(text, allow_plaintext, context) else { continue };
        let wrong = match () {
            () if url.contains("/api/v") => Some(
                "expected where Alertmanager is, found an address within its API\nhint: write it without `/api/v2/alerts`",
            ),
            () if urls.contains(&url) => Some("this URL is listed twice"),
            () => None,
        };
        if let Some(message) = wrong {
            context.mistakes.add(&text.place, message);
        }
        urls.push(url);
    }
    let are_wrong = context.mistakes.concern(&place.at);
    if urls.is_empty() && !are_wrong {
        return context.wrong(&place, format!("the list is empty\nhint: {hint}"));
    }
    (!are_wrong).then_some(urls)
}

fn check_timeout(text: &Text, resend_interval: Option<Duration>, context: &mut Context) -> Option<Duration> {
    let timeout = values::duration(text, Duration::from_secs(1), context)?;
    match resend_interval {
        Some(interval) if timeout > interval => {
            let interval = humantime::format_duration(interval);
            context.wrong(&text.place, format!("expected at most `resend_interval`, which is `{interval}`"))
        }
        _ => Some(timeout),
    }
}

/// By what requests say who sends them; `Some(None)` if they need not.
fn check_auth(file: &AlertmanagerFile, context: &mut Context) -> Option<Option<HttpAuth>> {
    let credentials = file.credentials_file.as_ref().map(|text| values::secret_file(text, context));
    let auth = match (&file.username, credentials) {
        (Some(username), None) => return context.wrong(&username.place, "has no effect without `credentials_file`"),
        (Some(username), _) if username.text.contains(':') => {
            return context.wrong(&username.place, "expected a name without `:`");
        }
        (Some(username), Some(password_file)) => {
            Some(HttpAuth::Basic { username: username.text.clone(), password_file: password_file? })
        }
        (None, Some(token_file)) => Some(HttpAuth::Bearer(token_file?)),
        (None, None) => None,
    };
    Some(auth)
}

fn check_together(file: &AlertmanagerFile, config: &AlertmanagerConfig, context: &mut Context) -> bool {
    let is_plain = |url: &String| url.starts_with("http:");
    let is_exposed = |url: &String| values::is_plain_to_others(url);
    let flag = file.allow_plaintext.as_ref().filter(|text| text.text == "true");
    let found = match (&file.credentials_file, &file.ca_file, flag) {
        (Some(text), _, _) if config.urls.iter().any(is_exposed) => {
            let message = "what it holds would be sent in plain text\nhint: write `https` in `urls`, or remove it";
            Some((&text.place, message))
        }
        (_, Some(text), _) if config.urls.iter().all(is_plain) => {
            Some((&text.place, "has no effect without a URL that begins with `https://`"))
        }
        (_, _, Some(text)) if !config.urls.iter().any(is_exposed) => {
            Some((&text.place, "has no effect: no URL is plain http to another machine\nhint: remove it"))
        }
        _ => None,
    };
    if let Some((place, message)) = found {
        context.mistakes.add(place, message);
    }
    found.is_none()
}
