//! The flags of `estimate` that concern estimates which are kept.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{ConfigFlags, EstimateFlags, OutputFormat, values};

/// `estimate`: a job, or a command on estimates that were kept.
#[derive(Clone, Debug, Args)]
pub struct EstimateArguments {
    /// What to do with estimates that were kept.
    #[command(subcommand)]
    pub command: Option<EstimateCommand>,
    /// The job.
    #[command(flatten)]
    pub job: EstimateFlags,
}

/// Commands on estimates that were kept.
#[derive(Clone, Debug, Subcommand)]
pub enum EstimateCommand {
    /// List the estimates that are open, with what was charged so far.
    #[command(after_help = "Example: fuelgauge estimate list --team environment-art --all --format json")]
    List(EstimateListFlags),
    /// Accept an estimate as a plan: forecasts reckon with what is still to come of it.
    #[command(after_help = "Example: fuelgauge estimate accept 3")]
    Accept(EstimateChangeFlags),
    /// Take an estimate back: nothing is compared with it, and no forecast reckons with it.
    #[command(after_help = "Example: fuelgauge estimate withdraw 3")]
    Withdraw(EstimateChangeFlags),
}

/// Whether and how an estimate is kept.
#[derive(Clone, Debug, Args)]
pub struct RecordFlags {
    /// Keep the estimate, to be compared with what is charged. With --check only if the credits would last.
    #[arg(long, conflicts_with = "at")]
    pub record: bool,
    /// What it is called, at most 256 characters.
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Launches count for it up to this instant (RFC 3339); by default for seven days after its start, at most 92.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub until: Option<Timestamp>,
    /// Keep it and accept it at once: forecasts reckon with what is still to come of it.
    #[arg(long, conflicts_with = "at")]
    pub plan: bool,
    /// Who keeps it; default: the user who is logged in.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Flags of `estimate list`.
#[derive(Clone, Debug, Args)]
pub struct EstimateListFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Of this team alone.
    #[arg(long)]
    pub team: Option<String>,
    /// Those that were met, lapsed or withdrawn too.
    #[arg(long)]
    pub all: bool,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `estimate accept` and `estimate withdraw`.
#[derive(Clone, Debug, Args)]
pub struct EstimateChangeFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Its number, as `estimate list` shows it.
    pub id: i64,
    /// Who says so; default: the user who is logged in.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}
