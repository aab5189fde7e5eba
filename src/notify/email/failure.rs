//! What a failure at a step of the dialogue means for the mail, and what a person can do about it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::super::{NotifyError, NotifyFailure};
use super::dialogue::{Broken, Reply};
use crate::config::{RelayConfig, Security};
use crate::domain::account::is_unprintable;

/// A step of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The relay's first line.
    Greeting,
    /// EHLO, before and after STARTTLS.
    Hello,
    /// STARTTLS.
    Starttls,
    /// The TLS handshake.
    Handshake,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The message, the final dot and the reply to it.
    EndOfData,
    /// QUIT.
    Quit,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Step::Greeting => "the greeting",
            Step::Hello => "EHLO",
            Step::Starttls => "STARTTLS",
            Step::Handshake => "the TLS handshake",
            Step::Auth => "AUTH",
            Step::Mail => "MAIL",
            Step::Recipient => "RCPT",
            Step::Data => "DATA",
            Step::EndOfData => "the message",
            Step::Quit => "QUIT",
        }
    }

    /// Whether a positive reply (below 400) is the one that the step waits for. A "go ahead" where "done" is due, or the
    /// other way round, comes from a relay that has lost the thread.
    pub(super) const fn is_answered_by(self, code: u16) -> bool {
        match self {
            Step::Data => code == 354,
            Step::Auth => code < 300 || code == 334,
            _ => code < 300,
        }
    }
}

pub(super) fn transient(message: String) -> NotifyError {
    NotifyError::new(NotifyFailure::Transient, message)
}

pub(super) fn permanent(message: String) -> NotifyError {
    NotifyError::new(NotifyFailure::Permanent, message)
}

pub(super) fn configuration(message: String) -> NotifyError {
    NotifyError::new(NotifyFailure::Configuration, message)
}

/// Nothing answers at the relay's address.
pub(super) fn unreachable(relay: &RelayConfig, what: &str) -> NotifyError {
    transient(format!(
        "failed to reach the relay `{}`: {what}\nhint: does it run, and are `relay.host` and `relay.port` right?",
        relay.address()
    ))
}

/// The failure of a step that did not end in time; `is_said`: after all that we had to say in it was said.
pub(super) fn too_slow(relay: &RelayConfig, step: Step, is_said: bool, limit: Duration) -> NotifyError {
    let message =
        format!("the relay `{}` did not answer {} within {} s", relay.address(), step.as_str(), limit.as_secs_f64());
    let hint = match step {
        Step::Greeting if relay.security != Security::Implicit => Some(
            "a relay that wants TLS from the first byte says nothing at first: then `relay.security` is `implicit`",
        ),
        _ => None,
    };
    NotifyError::new(broken_connection_at(step, is_said), with_hint(message, hint))
}

/// The failure of a step whose reply did not come, or is none; `is_said` as in [`too_slow`].
pub(super) fn broken(relay: &RelayConfig, step: Step, is_said: bool, broken: &Broken) -> NotifyError {
    if let (Broken::Failed(error), Step::Greeting | Step::Hello) = (broken, step)
        && let Some(error) = tls_error(error)
    {
        // What the relay holds against the handshake may come with its first words.
        return untrusted(relay, error);
    }
    let message = format!("the dialogue with the relay `{}` broke off at {}: {broken}", relay.address(), step.as_str());
    let hint = match (step, broken) {
        (Step::Greeting, Broken::NotSmtp(_)) => Some("is `relay.port` right? What answers there speaks something else"),
        _ => None,
    };
    NotifyError::new(broken_connection_at(step, is_said), with_hint(message, hint))
}

/// A positive reply that does not fit the step.
pub(super) fn unexpected(relay: &RelayConfig, step: Step, reply: &Reply) -> NotifyError {
    let expected = if step == Step::Data { "354" } else { "a code from 200 to 299" };
    let found = format!("{} {}", reply.code, reply.text());
    let message = format!(
        "the relay `{}` answered {} with {}; expected {expected}",
        relay.address(),
        step.as_str(),
        if step == Step::Auth { reply.code.to_string() } else { found.trim_end().to_owned() }
    );
    NotifyError::new(broken_connection_at(step, true), message)
}

/// A reply of 400 and more.
pub(super) fn refused(relay: &RelayConfig, step: Step, reply: &Reply) -> NotifyError {
    let (code, text) = (reply.code, reply.text());
    let kind = kind_of_reply(step, code, &text);
    // Some servers repeat what they were sent. Of the answer to a password only the codes are kept.
    let shown = if step == Step::Auth { enhanced_code(&text).unwrap_or_default() } else { &text };
    let at = step.as_str();
    let message =
        format!("the relay `{}` answered {at} with {}", relay.address(), format!("{code} {shown}").trim_end());
    NotifyError::new(kind, with_hint(message, hint(relay, step, kind, code, &text)))
}

/// The relay's extensions lack what the configuration asks for.
pub(super) fn no_starttls(relay: &RelayConfig) -> NotifyError {
    configuration(format!(
        "the relay `{}` does not offer STARTTLS, so nothing was sent\n\
         hint: port 465 usually wants `security: implicit`; if it did offer STARTTLS before, somebody may be in between",
        relay.address()
    ))
}

/// The relay offers no AUTH that we know.
pub(super) fn no_mechanism(relay: &RelayConfig, offered: Option<&str>) -> NotifyError {
    let found = offered.filter(|offered| !offered.is_empty()).map_or("no AUTH".to_owned(), |o| format!("`{o}`"));
    configuration(format!(
        "the relay `{}` cannot be logged in to: expected AUTH with PLAIN or LOGIN, found {found}\n\
         hint: if it wants no password, remove `relay.username` and `password_file`",
        relay.address()
    ))
}

/// Lines in plain text behind the answer to STARTTLS.
pub(super) fn lines_before_tls(relay: &RelayConfig) -> NotifyError {
    configuration(format!(
        "the relay `{}` said more in plain text after STARTTLS, so nothing was sent\n\
         hint: somebody between here and the relay may be putting words in its mouth",
        relay.address()
    ))
}

/// The failure of a handshake.
pub(super) fn handshake(relay: &RelayConfig, error: &io::Error) -> NotifyError {
    match tls_error(error) {
        Some(error) => untrusted(relay, error),
        None => broken(relay, Step::Handshake, true, &Broken::Failed(io::Error::new(error.kind(), error.to_string()))),
    }
}

fn untrusted(relay: &RelayConfig, error: &TlsError) -> NotifyError {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, InternalError, ProtocolVersion, UserCanceled};
    let (what, hint) = match error {
        TlsError::InvalidCertificate(error) => certificate(error),
        TlsError::InvalidMessage(_) => (
            "it answered something that is not TLS".to_owned(),
            match relay.security {
                Security::Implicit => "ports 587 and 25 usually want `security: starttls`",
                _ => "somebody between here and the relay may be putting words in its mouth",
            },
        ),
        TlsError::AlertReceived(ProtocolVersion) | TlsError::PeerIncompatible(_) => {
            ("it speaks no safe version: expected TLS 1.2 or 1.3".to_owned(), "the relay must be brought up to date")
        }
        TlsError::AlertReceived(HandshakeFailure | InsufficientSecurity) => {
            ("it knows no safe cipher, or no safe version".to_owned(), "the relay must speak TLS 1.2 or 1.3")
        }
        // Its own trouble, which passes.
        TlsError::AlertReceived(InternalError | UserCanceled) => {
            return transient(format!("TLS with the relay `{}` failed: {error}", relay.address()));
        }
        _ => (error.to_string(), "`fuelgauge send-test-mail` shows the dialogue"),
    };
    configuration(format!("TLS with the relay `{}` failed: {what}\nhint: {hint}", relay.address()))
}

fn certificate(error: &CertificateError) -> (String, &'static str) {
    let day = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d").to_string()
    };
    let own_clock = "the relay needs another certificate, if the clock of this machine is right";
    match error {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            let names =
                if names.is_empty() { "no name at all".to_owned() } else { format!("`{}`", names.join("`, `")) };
            (
                printable(&format!("its certificate is not valid for `{}`; it is for {names}", expected.to_str())),
                "`relay.host`, or `relay.server_name` if that is set, must be a name in the relay's certificate",
            )
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("its certificate expired on {}", day(not_after)), own_clock)
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("its certificate is not valid before {}", day(not_before)), own_clock)
        }
        CertificateError::UnknownIssuer => (
            "nobody who is trusted here has signed its certificate".to_owned(),
            "a private authority, or a certificate that the relay has signed itself, goes into `relay.ca_file`",
        ),
        CertificateError::BadSignature => (
            "its certificate was not signed by the authority that it names".to_owned(),
            "is `relay.ca_file` of today? An authority may have a new key under its old name",
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            "its certificate is one for an authority, not for a server".to_owned(),
            "the relay needs one made with `basicConstraints=CA:FALSE`, or signed by an authority",
        ),
        _ => (
            format!("its certificate is no good: {error}"),
            "`relay.host` must be a name in the relay's certificate; a private authority goes into `relay.ca_file`",
        ),
    }
}

fn with_hint(message: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message,
    }
}

/// A connection that breaks, or stays silent, before the whole message was sent leaves nothing behind; after that nobody
/// knows.
const fn broken_connection_at(step: Step, is_said: bool) -> NotifyFailure {
    match step {
        Step::EndOfData if is_said => NotifyFailure::Unknown,
        _ => NotifyFailure::Transient,
    }
}

/// The class of a 4xx or 5xx reply.
fn kind_of_reply(step: Step, code: u16, text: &str) -> NotifyFailure {
    match code {
        // "Authentication required", "mechanism too weak", "credentials invalid", "encryption required": RFC 4954.
        530 | 534 | 535 | 538 => NotifyFailure::Configuration,
        400..=499 if speaks_of_rates(text) => NotifyFailure::RateLimited,
        400..=499 => NotifyFailure::Transient,
        _ if matches!(step, Step::Greeting | Step::Hello | Step::Starttls | Step::Auth) => NotifyFailure::Configuration,
        _ => NotifyFailure::Permanent,
    }
}

fn hint(relay: &RelayConfig, step: Step, kind: NotifyFailure, code: u16, text: &str) -> Option<&'static str> {
    let wants_login = "the relay wants `relay.username` and `password_file`";
    let of_policy = enhanced_code(text).is_some_and(|code| code.starts_with("5.7."));
    match (step, kind) {
        (Step::Auth, NotifyFailure::Configuration) => Some("check `relay.username` and the content of `password_file`"),
        (Step::Greeting | Step::Hello, NotifyFailure::Configuration) => Some("the relay does not serve this machine"),
        (Step::Starttls, NotifyFailure::Configuration) => {
            Some("the relay has no TLS to offer; mail is not sent without")
        }
        (_, NotifyFailure::Configuration) if matches!(code, 530 | 538) && relay.security == Security::None => {
            Some("the relay wants TLS: `relay.security`, and perhaps a login")
        }
        (_, NotifyFailure::Configuration) => Some(wants_login),
        (Step::Mail, NotifyFailure::Permanent) => Some("does the relay know the sender, `email.from`?"),
        (Step::Recipient, NotifyFailure::Permanent) if of_policy && relay.username.is_none() => {
            Some("the relay takes no mail for this address from here; it may want `relay.username` and `password_file`")
        }
        (Step::Recipient, NotifyFailure::Permanent) if !of_policy => Some("is the address right?"),
        _ => None,
    }
}

/// What relays say to one that sends too much: Postfix, Exchange, the large providers.
const TOO_MUCH: [&str; 6] = ["too many", "too much", "too fast", "too quickly", "too frequent", "slow down"];

/// Whether a 4xx text speaks of how much is sent, rather than of a mailbox that is full (enhanced code x.2.2).
fn speaks_of_rates(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_full_mailbox = enhanced_code(text).is_some_and(|code| code.ends_with(".2.2"));
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let word = words.any(|word| {
        matches!(word, "rate" | "rates" | "ratelimit" | "ratelimited" | "limit" | "limits" | "limited" | "quota")
            || word.starts_with("throttl")
    });
    !is_full_mailbox && (word || TOO_MUCH.iter().any(|words| lower.contains(words)))
}

/// The enhanced status code (RFC 3463) that a text begins with, such as `5.7.8`.
pub(super) fn enhanced_code(text: &str) -> Option<&str> {
    let first = text.split_whitespace().next()?;
    let parts: Vec<&str> = first.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then_some(first)
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    if let Some(found) = error.downcast_ref::<TlsError>() {
        return Some(found);
    }
    // An io::Error hides the error it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inside = wrapped.and_then(|inner| tls_error(inner as &(dyn StdError + 'static)));
    inside.or_else(|| error.source().and_then(tls_error))
}

/// What a relay said, fit for a log line: one line, no control characters, shortened.
pub(super) fn printable(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let mut short: String = clean.trim().chars().take(300).collect();
    if short.len() < clean.trim().len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> RelayConfig {
        RelayConfig::new("relay", 25, Security::Implicit)
    }

    #[test]
    fn a_reply_is_classed_by_its_step_its_code_and_its_words() {
        use NotifyFailure::*;
        for (step, code, text, kind) in [
            (Step::Greeting, 421, "4.3.2 Service shutting down", Transient),
            (Step::Greeting, 421, "4.7.0 Too many connections from your address", RateLimited),
            (Step::Greeting, 554, "5.7.1 No service for you", Configuration),
            (Step::Starttls, 454, "4.7.0 TLS not available for now", Transient),
            (Step::Starttls, 502, "5.5.1 Not implemented", Configuration),
            (Step::Auth, 454, "4.7.0 Temporary authentication failure", Transient),
            (Step::Auth, 535, "5.7.8 Bad credentials", Configuration),
            (Step::Auth, 500, "Unrecognised", Configuration),
            (Step::Hello, 550, "5.7.1 Go away", Configuration),
            (Step::Mail, 530, "5.7.0 Authentication required", Configuration),
            (Step::Mail, 550, "5.1.8 Sender refused", Permanent),
            (Step::Mail, 450, "4.7.1 Message rate exceeded", RateLimited),
            (Step::Mail, 450, "4.7.1 Error: too much mail from 192.0.2.1", RateLimited),
            (Step::Mail, 454, "Throttling failure: Maximum sending rate exceeded.", RateLimited),
            (
                Step::Recipient,
                450,
                "4.2.1 The user you are trying to contact is receiving mail too quickly",
                RateLimited,
            ),
            (Step::Recipient, 450, "4.2.0 Greylisted, operated and moderated elsewhere", Transient),
            (Step::Recipient, 451, "4.7.500 Server busy, throttled", RateLimited),
            (Step::Recipient, 452, "4.2.2 Mailbox is over its quota limit", Transient),
            (Step::Recipient, 452, "4.5.3 Too many recipients", RateLimited),
            (Step::Recipient, 550, "5.1.1 No such user", Permanent),
            (Step::Data, 554, "No valid recipients", Permanent),
            (Step::EndOfData, 451, "4.3.0 Try again", Transient),
            (Step::EndOfData, 554, "5.7.1 Looks like spam; sending limit", Permanent),
        ] {
            assert_eq!(kind_of_reply(step, code, text), kind, "{step:?} {code} {text}");
        }
    }

    #[test]
    fn a_silent_relay_is_unknown_only_after_the_message() {
        let relay = relay();
        for (step, is_said, kind) in [
            (Step::Greeting, true, NotifyFailure::Transient),
            (Step::Data, true, NotifyFailure::Transient),
            (Step::EndOfData, false, NotifyFailure::Transient),
            (Step::EndOfData, true, NotifyFailure::Unknown),
        ] {
            assert_eq!(too_slow(&relay, step, is_said, Duration::from_secs(2)).kind, kind);
        }
        let error = too_slow(&relay, Step::Data, true, Duration::from_secs(2));
        assert_eq!(error.to_string(), "the relay `relay:25` did not answer DATA within 2 s");
    }

    #[test]
    fn what_a_relay_says_is_made_fit_for_a_line() {
        assert_eq!(printable("a\r\nb\u{202e}c "), "a  b c");
        assert_eq!(printable(&"x".repeat(400)).chars().count(), 301);
        assert_eq!(enhanced_code("5.7.8 no"), Some("5.7.8"));
        assert_eq!(enhanced_code("5.7 no"), None);
        assert_eq!(enhanced_code("1.2.3.4 no"), None);
    }
}
