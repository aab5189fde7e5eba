//! The flags of `announce`.

use clap::{Args, Subcommand};

use super::{ConfigFlags, OutputFormat};

/// Commands on announcements.
#[derive(Debug, Subcommand)]
pub enum AnnounceCommand {
    /// Announce a change of pace (--factor, --from, --to) or a planned batch (--credits, --at).
    #[command(
        after_help = "Example: fuelgauge announce add --team environment-art --credits 800 --low 600 --high 1200 --at 2026-12-05"
    )]
    Add(Box<AddFlags>),
    /// List what is announced.
    #[command(after_help = "Example: fuelgauge announce list --team environment-art --all --format json")]
    List(ListFlags),
    /// Take an announcement back, for the past too. To end one early, withdraw it and add it with its new end.
    #[command(after_help = "Example: fuelgauge announce withdraw 3")]
    Withdraw(WithdrawFlags),
}

/// Flags of `announce add`.
#[derive(Clone, Debug, Args)]
pub struct AddFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// The team.
    #[arg(long)]
    pub team: String,
    /// The account it draws on; needed where the team draws on several.
    #[arg(long)]
    pub account: Option<String>,
    /// What the usual pace is multiplied by, 0 to 20; 0 for a holiday.
    #[arg(long, allow_negative_numbers = true)]
    pub factor: Option<f64>,
    /// The first day (`2026-12-01`, in the account's zone), or an instant (RFC 3339).
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// The last day, or an instant.
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// How many credits a batch will cost.
    #[arg(long, value_name = "CREDITS", allow_negative_numbers = true)]
    pub credits: Option<String>,
    /// One in ten such batches costs less; default: --credits.
    #[arg(long, value_name = "CREDITS", allow_negative_numbers = true)]
    pub low: Option<String>,
    /// One in ten costs more; default: --credits.
    #[arg(long, value_name = "CREDITS", allow_negative_numbers = true)]
    pub high: Option<String>,
    /// The day of the batch, or an instant.
    #[arg(long, value_name = "DAY")]
    pub at: Option<String>,
    /// Why, at most 256 characters.
    #[arg(long, value_name = "WORDS")]
    pub note: Option<String>,
    /// Who announces it; default: the user who is logged in.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `announce list`.
#[derive(Clone, Debug, Args)]
pub struct ListFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Of this team alone.
    #[arg(long)]
    pub team: Option<String>,
    /// Those that are over or withdrawn too.
    #[arg(long)]
    pub all: bool,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `announce withdraw`.
#[derive(Clone, Debug, Args)]
pub struct WithdrawFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Its number, as `announce list` shows it.
    pub id: i64,
    /// Who takes it back; default: the user who is logged in.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}
