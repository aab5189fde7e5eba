//! The words and the ways to tell. `message` writes a mail, `chart` draws the picture in it, `email` hands it to a relay,
//! `delivery` says when to try again; none of them keeps anything: the outbox does. `labelled` writes an alert as
//! Prometheus's world knows one: `alertmanager` shows those that fire, over and over, and `webhook` tells programs what
//! people are told.

use jiff::SignedDuration;

pub mod alertmanager;
pub mod chart;
pub mod delivery;
pub mod email;
pub mod labelled;
pub mod message;
mod post;
pub mod webhook;

pub use alertmanager::{Alertmanager, Standing};
pub use delivery::{NextStep, after_failure};
pub use email::{Mailer, TimeLimits};
pub use message::merged::{MergedContext, render_merged};
pub use message::{
    DrawDigest, EndedPeriod, Evidence, MessageContext, MessageError, Occasion, Post, TeamDigest, render, render_digest,
    render_heartbeat,
};
pub use webhook::Webhook;

/// Why a message was not delivered, and by its kind what to do about it. Carries no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    /// The class of the failure: the `reason` label, and what [`after_failure`] goes by.
    pub kind: NotifyFailure,
    /// What happened, for the log and the page: step, what the relay said, and a hint.
    pub message: String,
    /// For how long whoever refused it asks to be left alone, if it says so; at most an hour.
    pub retry_after: Option<SignedDuration>,
}

impl NotifyError {
    /// A failure of a class, in words.
    pub const fn new(kind: NotifyFailure, message: String) -> NotifyError {
        NotifyError { kind, message, retry_after: None }
    }
}

/// Closed list of reasons, used in the log line and as the metric label alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotifyFailure {
    /// No connection, a cut before the whole message was sent, or a 4xx reply: try again.
    Transient,
    /// A 4xx reply that speaks of rates or limits: leave the whole relay alone for a while.
    RateLimited,
    /// A 5xx reply to sender, recipient or message: it will be refused again.
    Permanent,
    /// Authentication, certificate or TLS: nothing will be accepted until a person mends the configuration.
    Configuration,
    /// The whole message was sent and no reply came: it may or may not have been accepted.
    Unknown,
}

impl NotifyFailure {
    /// Every reason, so that each series exists before its first failure.
    pub const ALL: [NotifyFailure; 5] = [
        NotifyFailure::Transient,
        NotifyFailure::RateLimited,
        NotifyFailure::Permanent,
        NotifyFailure::Configuration,
        NotifyFailure::Unknown,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotifyFailure::Transient => "transient",
            NotifyFailure::RateLimited => "rate_limited",
            NotifyFailure::Permanent => "permanent",
            NotifyFailure::Configuration => "configuration",
            NotifyFailure::Unknown => "unknown",
        }
    }

    /// Whether the failure concerns the relay rather than this mail, so that the other mails should wait too.
    pub const fn concerns_the_relay(self) -> bool {
        matches!(self, NotifyFailure::RateLimited | NotifyFailure::Configuration)
    }
}
