//! The section `email`.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::limits::{self, LimitsFile};
use super::mistakes::{Place, shown};
use super::reports::{self, HeartbeatFile};
use super::section::{Text, section};
use super::values::{self, Context, hint_if_relative, is_loopback};
use super::{EmailConfig, RelayConfig, Security};

/// How long a mail is tried for, unless the file says otherwise: a day, and an hour for what was decided at any moment of
/// a day's outage.
const USUAL_MAX_AGE: Duration = Duration::from_secs(25 * 3600);

/// With less, an alert would be lost for a reboot of the relay.
const LEAST_MAX_AGE: Duration = Duration::from_secs(3600);

section! {
    /// How mail leaves. Default: alerts are shown and not mailed.
    struct EmailFile {
        /// The sender. Required.
        from: Text,
        /// The relay. Required.
        relay: RelayFile,
        /// How many mails are sent at most.
        limits: LimitsFile,
        /// A sign of life. Default: none.
        heartbeat: HeartbeatFile,
        /// A mail that could not be delivered for so long is given up. At least 1h. Default: 25h.
        max_age: Text,
    }
}

section! {
    /// An SMTP relay.
    struct RelayFile {
        /// Its name, also verified against its certificate. Required.
        host: Text,
        /// Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
        port: Text,
        /// `starttls`, `implicit` or `none`; `none` is for a relay on this machine. Default: `starttls`.
        security: Text,
        /// `true` lets `none` leave this machine. Default: `false`.
        allow_plaintext: Text,
        /// Default: no authentication.
        username: Text,
        /// The file that holds the password of `username`. Default: none.
        password_file: Text,
        /// More trusted authorities, PEM. Default: those of the system alone.
        ca_file: Text,
        /// The name that its certificate must be good for. Default: `host`.
        server_name: Text,
    }
}

/// Checks the section. `None` if something in it is wrong, which has been noted then.
pub(super) fn check(file: &EmailFile, context: &mut Context) -> Option<EmailConfig> {
    let from = match &file.from {
        Some(text) => values::mailbox(text, context),
        None => {
            file.head.missing("from", "write the address that mails come from", &mut context.mistakes);
            None
        }
    };
    let limits = limits::check(file.limits.as_ref(), context);
    let Some(relay) = &file.relay else {
        file.head.missing("relay", "write `relay: {host: smtp.example.org}`", &mut context.mistakes);
        return None;
    };
    let relay = check_relay(relay, context);
    let heartbeat = file.heartbeat.as_ref().and_then(|heartbeat| reports::check_heartbeat(heartbeat, context));
    let max_age = match &file.max_age {
        Some(text) => values::duration(text, LEAST_MAX_AGE, context),
        None => Some(USUAL_MAX_AGE),
    };
    let max_age = max_age.and_then(|age| SignedDuration::try_from(age).ok());
    Some(EmailConfig { from: from?, relay: relay?, limits, heartbeat, max_age: max_age? })
}

fn check_relay(file: &RelayFile, context: &mut Context) -> Option<RelayConfig> {
    let host = match &file.host {
        Some(text) => check_host(text, context),
        None => {
            file.head.missing("host", "write the relay's name, such as `smtp.example.org`", &mut context.mistakes);
            None
        }
    };
    let words = [("starttls", Security::Starttls), ("implicit", Security::Implicit), ("none", Security::None)];
    let security = match &file.security {
        Some(text) => values::word(text, &words, context),
        None => Some(Security::Starttls),
    };
    let port = match &file.port {
        Some(text) => check_port(text, context).map(Some),
        None => Some(None),
    };
    let username = check_login(file, context);
    let password_file = match &file.password_file {
        Some(text) => values::secret_file(text, context).map(Some),
        None => Some(None),
    };
    let ca_file = match &file.ca_file {
        Some(text) => check_authorities(text, context).map(Some),
        None => Some(None),
    };
    let server_name = match &file.server_name {
        Some(text) => check_host(text, context).map(Some),
        None => Some(None),
    };
    let allow_plaintext = match &file.allow_plaintext {
        Some(text) => values::flag(text, context),
        None => Some(false),
    };
    let relay = RelayConfig {
        host: host?,
        port: port?.unwrap_or(security?.usual_port()),
        security: security?,
        username: username?,
        password_file: password_file?,
        ca_file: ca_file?,
        server_name: server_name?,
        allow_plaintext: allow_plaintext?,
    };
    check_security(file, &relay, context).then_some(relay)
}

impl Security {
    /// The port that relays usually listen on.
    pub const fn usual_port(self) -> u16 {
        match self {
            Security::Starttls => 587,
            Security::Implicit => 465,
            Security::None => 25,
        }
    }
}

fn check_host(text: &Text, context: &mut Context) -> Option<String> {
    let host = &text.text;
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let is_name = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')) && host.len() <= 253;
    if is_address || (is_name && !host.is_empty() && !host.starts_with(['.', '-'])) {
        return Some(host.clone());
    }
    let hint = if host.contains(':') { "\nhint: the port has a key of its own, `port`" } else { "" };
    context.wrong(&text.place, format!("expected the name of a host, found `{}`{hint}", shown(host)))
}

fn check_port(text: &Text, context: &mut Context) -> Option<u16> {
    let port: std::num::NonZeroU16 = values::whole(text, "a port, 1 to 65535", context)?;
    Some(port.get())
}

/// A user without a password would not be let in, and a password without a user would not be used.
fn check_login(file: &RelayFile, context: &mut Context) -> Option<Option<String>> {
    match (&file.username, &file.password_file) {
        (Some(username), None) => context.wrong(&username.place, "has no effect without `password_file`"),
        (None, Some(password_file)) => context.wrong(&password_file.place, "has no effect without `username`"),
        (username, _) => Some(username.as_ref().map(|username| username.text.clone())),
    }
}

/// A file of authorities, PEM.
pub(super) fn check_authorities(text: &Text, context: &mut Context) -> Option<PathBuf> {
    let path = context.resolve(&text.text);
    let shown_path = path.display();
    match std::fs::read_to_string(&path) {
        Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Some(path),
        Ok(_) => context.wrong(&text.place, format!("the file `{shown_path}` holds no certificate; expected PEM")),
        Err(error) => context.wrong(
            &text.place,
            format!("failed to read the file `{shown_path}`: {error}{}", hint_if_relative(&text.text)),
        ),
    }
}

fn check_security(file: &RelayFile, relay: &RelayConfig, context: &mut Context) -> bool {
    let place = |text: &Option<Text>| text.as_ref().map_or(&file.head.place, |text| &text.place).clone();
    let security = place(&file.security);
    let mut found: Vec<(Place, String)> = Vec::new();
    match relay.security {
        Security::None => {
            if !is_loopback(&relay.host) && !relay.allow_plaintext {
                let host = shown(&relay.host);
                let message = format!(
                    "`none` would send mails to `{host}` in plain text\nhint: write `starttls` or `implicit`; `none` is \
                     for a relay on this machine, such as `localhost`, or with `allow_plaintext: true` for a network \
                     where anybody may read the mails"
                );
                found.push((security.clone(), message));
            }
            if relay.username.is_some() {
                let message =
                    "`none` would send the password in plain text\nhint: remove `username` and `password_file`";
                found.push((security, message.to_owned()));
            }
            for text in [&file.ca_file, &file.server_name] {
                let message = "has no effect with `none`\nhint: remove the key; without TLS there is no certificate";
                if text.is_some() {
                    found.push((place(text), message.to_owned()));
                }
            }
        }
        Security::Starttls if relay.port == Security::Implicit.usual_port() => {
            let message = "relays speak TLS from the first byte on port 465\nhint: write `security: implicit`";
            found.push((security, message.to_owned()));
        }
        Security::Starttls | Security::Implicit => {}
    }
    if relay.allow_plaintext && (relay.security != Security::None || is_loopback(&relay.host)) {
        let message = "has no effect: nothing would leave this machine in plain text\nhint: remove the key";
        found.push((place(&file.allow_plaintext), message.to_owned()));
    }
    for (place, message) in &found {
        context.mistakes.add(place, message);
    }
    found.is_empty()
}
