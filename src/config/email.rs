//! The section `email`.

use std::path::PathBuf;

use super::limits::{self, LimitsFile};
use super::mistakes::shown;
use super::reports::{self, HeartbeatFile};
use super::section::{Text, section};
use super::values::{self, Context, hint_if_relative, is_loopback};
use super::{EmailConfig, RelayConfig, Security};

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
        /// Default: no authentication.
        username: Text,
        /// The file that holds the password of `username`. Default: none.
        password_file: Text,
        /// More trusted authorities, PEM. Default: those of the system alone.
        ca_file: Text,
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
    Some(EmailConfig { from: from?, relay: relay?, limits, heartbeat })
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
    let relay = RelayConfig {
        host: host?,
        port: port?.unwrap_or(security?.usual_port()),
        security: security?,
        username: username?,
        password_file: password_file?,
        ca_file: ca_file?,
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
    let place = file.security.as_ref().map_or(&file.head.place, |text| &text.place);
    let found = match relay.security {
        Security::None if !is_loopback(&relay.host) => Some(format!(
            "`none` would send mails to `{}` in plain text\nhint: write `starttls` or `implicit`; `none` is for a relay on \
             this machine, such as `localhost`",
            shown(&relay.host)
        )),
        Security::None if relay.username.is_some() => {
            Some("`none` would send the password in plain text\nhint: remove `username` and `password_file`".to_owned())
        }
        Security::None if relay.ca_file.is_some() => Some("`ca_file` has no effect with `none`".to_owned()),
        Security::Starttls if relay.port == Security::Implicit.usual_port() => {
            Some("relays speak TLS from the first byte on port 465\nhint: write `security: implicit`".to_owned())
        }
        _ => None,
    };
    if let Some(message) = &found {
        context.mistakes.add(place, message);
    }
    found.is_none()
}
