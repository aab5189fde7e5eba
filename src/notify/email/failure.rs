//! What a failure at a step of the dialogue means for the mail.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;

use super::super::{NotifyError, NotifyFailure};
use crate::domain::account::is_unprintable;

/// A step of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The relay's first line, and EHLO.
    Greeting,
    /// STARTTLS, the handshake, and EHLO again.
    Tls,
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
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Step::Greeting => "the greeting",
            Step::Tls => "STARTTLS",
            Step::Auth => "AUTH",
            Step::Mail => "MAIL",
            Step::Recipient => "RCPT",
            Step::Data => "DATA",
            Step::EndOfData => "the message",
        }
    }
}

pub(super) fn transient(message: String) -> NotifyError {
    NotifyError { kind: NotifyFailure::Transient, message }
}

pub(super) fn permanent(message: String) -> NotifyError {
    NotifyError { kind: NotifyFailure::Permanent, message }
}

pub(super) fn configuration(message: String) -> NotifyError {
    NotifyError { kind: NotifyFailure::Configuration, message }
}

/// The failure of a step that did not end in time.
pub(super) fn too_slow(relay: &str, step: Step, limit: Duration) -> NotifyError {
    let seconds = limit.as_secs_f64();
    NotifyError {
        kind: broken_connection_at(step),
        message: format!("the relay `{relay}` did not answer {} within {seconds} s", step.as_str()),
    }
}

/// The failure of a step that ended in an error.
pub(super) fn describe(relay: &str, step: Step, error: &SmtpError) -> NotifyError {
    let at = step.as_str();
    if let Some(code) = error.status() {
        let code = u16::from(code);
        let text = printable(&error.source().map(ToString::to_string).unwrap_or_default());
        let kind = kind_of_reply(step, code, &text);
        // Some servers repeat what they were sent. Of the answer to a password only the codes are kept.
        let shown = if step == Step::Auth { enhanced_code(&text).unwrap_or_default() } else { &text };
        let mut message = format!("the relay `{relay}` answered {at} with {}", format!("{code} {shown}").trim_end());
        if let Some(hint) = hint(step, kind) {
            message = format!("{message}\nhint: {hint}");
        }
        return NotifyError { kind, message };
    }
    if let Some(tls) = tls_error(error) {
        return configuration(format!(
            "TLS with the relay `{relay}` failed: {tls}\n\
             hint: `relay.host` must be a name in the relay's certificate; a private authority goes into `relay.ca_file`"
        ));
    }
    if error.is_client() {
        // The client's own refusals: the relay does not offer what the configuration asks for.
        let hint = match step {
            Step::Tls => "the relay does not offer STARTTLS; port 465 usually wants `security: implicit`",
            _ => "the relay does not offer AUTH PLAIN or LOGIN",
        };
        return configuration(format!("the relay `{relay}` cannot be used at {at}: {error}\nhint: {hint}"));
    }
    NotifyError {
        kind: broken_connection_at(step),
        message: format!("the connection to the relay `{relay}` broke at {at}: {}", printable(&error.to_string())),
    }
}

/// A connection that breaks, or stays silent, before the message was sent leaves nothing behind; after that nobody knows.
const fn broken_connection_at(step: Step) -> NotifyFailure {
    match step {
        Step::EndOfData => NotifyFailure::Unknown,
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
        _ if matches!(step, Step::Greeting | Step::Tls | Step::Auth) => NotifyFailure::Configuration,
        _ => NotifyFailure::Permanent,
    }
}

const fn hint(step: Step, kind: NotifyFailure) -> Option<&'static str> {
    match (step, kind) {
        (Step::Auth, NotifyFailure::Configuration) => Some("check `relay.username` and the content of `password_file`"),
        (Step::Greeting, NotifyFailure::Configuration) => Some("the relay does not serve this machine"),
        (_, NotifyFailure::Configuration) => Some("the relay wants `relay.username` and `password_file`, or TLS"),
        _ => None,
    }
}

/// Whether a 4xx text speaks of how much is sent, rather than of a mailbox that is full (enhanced code x.2.2).
fn speaks_of_rates(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_full_mailbox = enhanced_code(text).is_some_and(|code| code.ends_with(".2.2"));
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let word = words.any(|word| {
        matches!(word, "rate" | "rates" | "ratelimit" | "ratelimited" | "limit" | "limits" | "limited" | "quota")
            || word.starts_with("throttl")
    });
    !is_full_mailbox && (word || lower.contains("too many") || lower.contains("slow down"))
}

/// The enhanced status code (RFC 3463) that a text begins with, such as `5.7.8`.
fn enhanced_code(text: &str) -> Option<&str> {
    let first = text.split_whitespace().next()?;
    let parts: Vec<&str> = first.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then_some(first)
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
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

    #[test]
    fn a_reply_is_classed_by_its_step_its_code_and_its_words() {
        use NotifyFailure::*;
        for (step, code, text, kind) in [
            (Step::Greeting, 421, "4.3.2 Service shutting down", Transient),
            (Step::Greeting, 421, "4.7.0 Too many connections from your address", RateLimited),
            (Step::Greeting, 554, "5.7.1 No service for you", Configuration),
            (Step::Tls, 454, "4.7.0 TLS not available for now", Transient),
            (Step::Tls, 502, "5.5.1 Not implemented", Configuration),
            (Step::Auth, 454, "4.7.0 Temporary authentication failure", Transient),
            (Step::Auth, 535, "5.7.8 Bad credentials", Configuration),
            (Step::Auth, 500, "Unrecognised", Configuration),
            (Step::Mail, 530, "5.7.0 Authentication required", Configuration),
            (Step::Mail, 550, "5.1.8 Sender refused", Permanent),
            (Step::Mail, 450, "4.7.1 Message rate exceeded", RateLimited),
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
        for (step, kind) in [
            (Step::Greeting, NotifyFailure::Transient),
            (Step::Data, NotifyFailure::Transient),
            (Step::EndOfData, NotifyFailure::Unknown),
        ] {
            assert_eq!(too_slow("relay:25", step, Duration::from_secs(2)).kind, kind);
        }
        let error = too_slow("relay:25", Step::Data, Duration::from_secs(2));
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
