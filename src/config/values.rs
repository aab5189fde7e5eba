//! Values that several sections share: durations, credits, files, addresses. Each function returns `None` after noting
//! what is wrong.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::mistakes::{Mistakes, Place, any_of, nearest, shown};
use super::prices::KnownSheets;
use super::secret::{SecretError, SecretFile};
use super::section::Text;
use crate::domain::Credits;

/// What a check needs besides the section it checks.
#[derive(Debug)]
pub(super) struct Context {
    /// The folder of the configuration file: where relative paths begin.
    pub(super) folder: PathBuf,
    pub(super) mistakes: Mistakes,
    /// By cron line and zone: thousands of accounts usually share a few schedules.
    pub(super) usual_intervals: HashMap<(String, String), Duration>,
    /// The price sheets that were read.
    pub(super) price_sheets: KnownSheets,
}

impl Context {
    pub(super) fn new(path: &Path) -> Context {
        let folder = path.parent().unwrap_or(Path::new("")).into();
        let mistakes = Mistakes::new(path);
        Context { folder, mistakes, usual_intervals: HashMap::new(), price_sheets: HashMap::new() }
    }

    pub(super) fn wrong<T>(&mut self, place: &Place, message: impl Display) -> Option<T> {
        self.mistakes.add(place, message);
        None
    }

    /// A path as the operating system understands it: relative ones begin at the configuration's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// The longest duration anywhere: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Shorter ones can be guessed.
const SHORTEST_SECRET: usize = 16;

/// A length of time such as `30m`, `48h` or `1d`, at least `least`.
pub(super) fn duration(text: &Text, least: Duration, context: &mut Context) -> Option<Duration> {
    let found = shown(&text.text);
    match humantime::parse_duration(&text.text) {
        Ok(duration) if duration < least => {
            let least = humantime::format_duration(least);
            context.wrong(&text.place, format!("`{found}` is too short; expected at least `{least}`"))
        }
        Ok(duration) if duration > LONGEST => {
            context.wrong(&text.place, format!("`{found}` is too long; expected at most ten years"))
        }
        Ok(duration) => Some(duration),
        Err(_) if !found.is_empty() && found.bytes().all(|b| b.is_ascii_digit()) => context
            .wrong(&text.place, format!("`{found}` has no unit\nhint: write `{found}s`, `{found}m` or `{found}h`")),
        Err(_) => context.wrong(
            &text.place,
            format!("`{found}` is no length of time\nhint: write a number and a unit, such as `30m`, `48h` or `1d`"),
        ),
    }
}

/// An amount of credits above zero, exactly as written.
pub(super) fn credits(text: &Text, context: &mut Context) -> Option<Credits> {
    match Credits::parse(&text.text) {
        Ok(credits) if credits.is_positive() => Some(credits),
        Ok(_) => context.wrong(&text.place, format!("expected more than 0 credits, found `{}`", shown(&text.text))),
        Err(error) => context.wrong(&text.place, error),
    }
}

/// A share, 0 to 1, of a text such as `20%` or `2.5%`. `None` for anything else, and for a share of nothing or more than all.
pub(super) fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    (number > 0.0 && number <= 100.0).then_some(number / 100.0)
}

/// `true` or `false`.
pub(super) fn flag(text: &Text, context: &mut Context) -> Option<bool> {
    match text.text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        found => context.wrong(&text.place, format!("expected `true` or `false`, found `{}`", shown(found))),
    }
}

/// A whole number that fits.
pub(super) fn whole<T: FromStr>(text: &Text, expected: &str, context: &mut Context) -> Option<T> {
    match text.text.parse() {
        Ok(number) => Some(number),
        Err(_) => context.wrong(&text.place, format!("expected {expected}, found `{}`", shown(&text.text))),
    }
}

/// One of a closed set of words.
pub(super) fn word<T: Copy>(text: &Text, words: &[(&str, T)], context: &mut Context) -> Option<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.text) {
        return Some(*value);
    }
    let all = || words.iter().map(|(word, _)| *word);
    let hint = nearest(&text.text, all()).map(|word| format!("\nhint: did you mean `{word}`?")).unwrap_or_default();
    context.wrong(&text.place, format!("expected {}, found `{}`{hint}", any_of(all()), shown(&text.text)))
}

/// A secret file that can be read now. What it holds is dropped at once: it is read again whenever it is needed.
pub(super) fn secret_file(text: &Text, context: &mut Context) -> Option<SecretFile> {
    let file = SecretFile::new(context.resolve(&text.text));
    match file.read() {
        Ok(_) => Some(file),
        Err(error @ SecretError::Unreadable { .. }) => {
            context.wrong(&text.place, format!("{error}{}", hint_if_relative(&text.text)))
        }
        Err(error) => context.wrong(&text.place, error),
    }
}

/// A path at which there is what is expected.
pub(super) fn existing(
    text: &Text,
    is_there: impl Fn(&Path) -> bool,
    otherwise: &str,
    context: &mut Context,
) -> Option<PathBuf> {
    let path = context.resolve(&text.text);
    if is_there(&path) {
        return Some(path);
    }
    let hint = hint_if_relative(&text.text);
    context.wrong(&text.place, format!("{otherwise} `{}`{hint}", shown(&path.display().to_string())))
}

/// A file with a secret that nobody can guess. `what` it is, in a word.
pub(super) fn long_secret(text: &Text, what: &str, context: &mut Context) -> Option<SecretFile> {
    let file = secret_file(text, context)?;
    let length = file.read().map_or(0, |secret| secret.expose_secret().chars().count());
    if length < SHORTEST_SECRET {
        let message = format!(
            "the {what} in `{}` has {length} characters; expected at least {SHORTEST_SECRET}\n\
             hint: openssl rand -hex 32 makes a good one",
            file.path().display()
        );
        return context.wrong(&text.place, message);
    }
    Some(file)
}

/// Where a file was looked for, should somebody wonder.
pub(super) fn hint_if_relative(path: &str) -> &'static str {
    if Path::new(path).is_relative() { "\nhint: relative paths begin at the configuration's folder" } else { "" }
}

/// A mail address, alone or as `Name <name@host>`. Line breaks cannot occur: no [`Text`] holds one.
pub(super) fn mailbox(text: &Text, context: &mut Context) -> Option<Mailbox> {
    let found = shown(&text.text);
    let wrong = |reason: &str| {
        format!("`{found}` is no mail address{reason}\nhint: write `name@example.org` or `Name <name@example.org>`")
    };
    match text.text.parse::<Mailbox>() {
        // Longer ones do not fit into SMTP.
        Ok(mailbox) if AsRef::<str>::as_ref(&mailbox.email).len() > 254 => {
            context.wrong(&text.place, wrong(": longer than 254 characters"))
        }
        Ok(mailbox) => Some(mailbox),
        Err(_) if text.text.matches('@').count() > 1 => {
            context.wrong(&text.place, wrong(": expected one address in each item of the list"))
        }
        Err(_) => context.wrong(&text.place, wrong("")),
    }
}

/// A URL to talk to: https, or http to this machine, and nothing secret in it. Without a slash at its end.
pub(super) fn secure_url(text: &Text, context: &mut Context) -> Option<String> {
    let url = somebodys_url(text, context)?;
    if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback) {
        let message = "`http` is not encrypted; expected `https`\nhint: plain http is for this machine alone";
        return context.wrong(&text.place, message);
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// As [`secure_url`], and plain http to another machine if `allow_plaintext` says that it is meant.
pub(super) fn url_to_talk_to(text: &Text, allow_plaintext: bool, context: &mut Context) -> Option<String> {
    let url = somebodys_url(text, context)?.as_str().trim_end_matches('/').to_owned();
    if is_plain_to_others(&url) && !allow_plaintext {
        let message = "`http` is not encrypted; expected `https`\nhint: if everybody on the way may read and change what is \
                       sent, write `allow_plaintext: true`";
        return context.wrong(&text.place, message);
    }
    Some(url)
}

/// Whether a URL is plain http to another machine.
pub(super) fn is_plain_to_others(url: &str) -> bool {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http");
    url.is_some_and(|url| !url.host_str().is_some_and(is_loopback))
}

/// A URL that people open. Without a slash at its end.
pub(super) fn page_url(text: &Text, context: &mut Context) -> Option<String> {
    Some(web_url(text, context)?.as_str().trim_end_matches('/').to_owned())
}

/// A URL whose host is no link, where clouds tell machines their secrets.
fn somebodys_url(text: &Text, context: &mut Context) -> Option<Url> {
    let url = web_url(text, context)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_link = match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => v4.is_link_local() || v4.is_unspecified(),
        Ok(IpAddr::V6(v6)) => v6.is_unicast_link_local() || v6.is_unspecified(),
        Err(_) => false,
    };
    if is_link {
        return context.wrong(&text.place, format!("expected the address of a server, found `{host}`, that of a link"));
    }
    Some(url)
}

fn web_url(text: &Text, context: &mut Context) -> Option<Url> {
    // The URL itself is not repeated in messages: it may hold a password.
    let url = match Url::parse(&text.text) {
        Ok(url) => url,
        Err(error) => {
            let hint = "hint: write it in full, such as `https://api.example.org`";
            return context.wrong(&text.place, format!("this is no URL: {error}\n{hint}"));
        }
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return context
            .wrong(&text.place, format!("expected a URL that begins with `https://`, found `{}:`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return context
            .wrong(&text.place, "the URL holds a user or password\nhint: secrets stand in files of their own");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return context.wrong(&text.place, "expected a URL without `?` and `#`");
    }
    Some(url)
}

/// Whether a host is this machine for certain: `localhost` or a loopback address.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
