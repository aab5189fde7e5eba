//! The platforms: how an account is read. Foreign JSON is known here and in the mapping files, nowhere else.

pub mod history;

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Collector, Reading, UnfinishedTask};

pub mod client;
pub mod fingerprint;
pub mod http;
pub mod mapping;
mod names;
pub mod pace;
pub mod periods;
mod tasks;
mod walk;

pub use client::{Limits, SharedClient, check_base_url};
pub use fingerprint::fingerprint;
pub use http::HttpProvider;
pub use mapping::{EndpointKind, Mapping, MappingError};

/// What a poll asks of a platform.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The moment of the poll.
    pub now: Timestamp,
    /// Task lists are walked, newest first, until a whole page is older than this. `None` reads everything.
    pub tasks_since: Option<Timestamp>,
    /// Tasks that the ledger knows and that were not final when they were last seen, oldest first: those that a mapping's
    /// `lookup` asks for.
    pub unfinished: Vec<UnfinishedTask>,
}

/// What a poll brought, and how each collector fared. A collector that failed leaves its part of the reading empty.
#[derive(Clone, Debug)]
pub struct PollResult {
    /// What was read.
    pub reading: Reading,
    /// One for each collector that the mapping has.
    pub reports: Vec<CollectorReport>,
}

/// How one collector fared.
#[derive(Clone, Debug)]
pub struct CollectorReport {
    /// Which.
    pub collector: Collector,
    /// HTTP requests made.
    pub requests: u64,
    /// How long it took, by the monotonic clock.
    pub duration: Duration,
    /// Success, or why not.
    pub outcome: Result<(), ProviderError>,
}

/// Why a collector could not read. Names what a caller treats differently; carries no secret and no URL query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// The class of the failure: the `reason` label.
    pub reason: FailureReason,
    /// What happened, for the log and the page: endpoint, what was found, what was expected, and a hint.
    pub message: String,
    /// How long the platform asked to be left alone, if it did.
    pub retry_after: Option<Duration>,
}

/// Closed list of reasons, used in the log line and as the metric label alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// 401: the key is missing, wrong or revoked.
    Unauthorized,
    /// 402: the platform says that the credits are gone.
    PaymentRequired,
    /// 403: the key may not do this, often because of the plan.
    Forbidden,
    /// 404, 405 or 410.
    NotFound,
    /// 429.
    RateLimited,
    /// 5xx.
    ServerError,
    /// Another status that was not expected, a redirect among them.
    UnexpectedStatus,
    /// The time limit passed.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// The body is larger than allowed.
    TooLarge,
    /// Not JSON, or not the JSON the mapping expects; a field that is missing or does not fit.
    Malformed,
    /// The answer says that it failed, as the mapping's `failure` recognises it.
    Refused,
    /// More pages than the mapping allows.
    PageLimit,
    /// The key file or another local input cannot be read.
    Configuration,
}

impl FailureReason {
    /// Every reason, so that each series exists before its first failure.
    pub const ALL: [FailureReason; 14] = [
        FailureReason::Unauthorized,
        FailureReason::PaymentRequired,
        FailureReason::Forbidden,
        FailureReason::NotFound,
        FailureReason::RateLimited,
        FailureReason::ServerError,
        FailureReason::UnexpectedStatus,
        FailureReason::Timeout,
        FailureReason::Connection,
        FailureReason::TooLarge,
        FailureReason::Malformed,
        FailureReason::Refused,
        FailureReason::PageLimit,
        FailureReason::Configuration,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            FailureReason::Unauthorized => "unauthorized",
            FailureReason::PaymentRequired => "payment_required",
            FailureReason::Forbidden => "forbidden",
            FailureReason::NotFound => "not_found",
            FailureReason::RateLimited => "rate_limited",
            FailureReason::ServerError => "server_error",
            FailureReason::UnexpectedStatus => "unexpected_status",
            FailureReason::Timeout => "timeout",
            FailureReason::Connection => "connection",
            FailureReason::TooLarge => "too_large",
            FailureReason::Malformed => "malformed",
            FailureReason::Refused => "refused",
            FailureReason::PageLimit => "page_limit",
            FailureReason::Configuration => "configuration",
        }
    }

    /// Whether trying again soon makes sense.
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            FailureReason::RateLimited
                | FailureReason::ServerError
                | FailureReason::Timeout
                | FailureReason::Connection
        )
    }
}
