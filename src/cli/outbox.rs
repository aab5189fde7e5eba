//! The flags of `outbox`.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::{ConfigFlags, OutputFormat};

/// Commands on what is told.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List messages with their recipients, as a mail server lists its queue: what waits and what was given up.
    #[command(after_help = "Example: fuelgauge outbox list --state failed --format json")]
    List(OutboxListFlags),
    /// Have messages that were given up tried again, with the same bytes and ids.
    #[command(after_help = "Example: fuelgauge outbox retry --all-failed")]
    Retry(OutboxRetryFlags),
}

/// Flags of `outbox list`.
#[derive(Clone, Debug, Args)]
pub struct OutboxListFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Only messages in this state; repeatable. Default: waiting and failed.
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<OutboxStateFlag>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub limit: u32,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutboxStateFlag {
    /// For its first or next try.
    Waiting,
    /// Accepted.
    Sent,
    /// Given up.
    Failed,
    /// Told by another message.
    Merged,
}

impl OutboxStateFlag {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutboxStateFlag::Waiting => "waiting",
            OutboxStateFlag::Sent => "sent",
            OutboxStateFlag::Failed => "failed",
            OutboxStateFlag::Merged => "merged",
        }
    }
}

/// Flags of `outbox retry`.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all_failed"])))]
pub struct OutboxRetryFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Their numbers, as `outbox list` shows them.
    #[arg(value_name = "ID")]
    pub ids: Vec<i64>,
    /// All that were given up.
    #[arg(long)]
    pub all_failed: bool,
}
