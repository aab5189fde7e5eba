//! The flags of `silence`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{ConfigFlags, OutputFormat, values};

/// Commands on silences.
#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Have the alerts that match not told for a time. A first word without an operator is the name of an alert.
    #[command(
        after_help = "Example: fuelgauge silence add alert=exhaustion 'team=~\"env-.*\"' --duration 48h --comment \"a planned push\""
    )]
    Add(Box<SilenceFlags>),
    /// List silences.
    #[command(alias = "query", after_help = "Example: fuelgauge silence list team=environment-art --format json")]
    List(SilenceListFlags),
    /// End silences before their time.
    #[command(after_help = "Example: fuelgauge silence expire 3 5")]
    Expire(ExpireFlags),
    /// Change how long a silence lasts, or why: it is expired and a new one with the rest of it begins.
    #[command(after_help = "Example: fuelgauge silence update 3 --duration 48h")]
    Update(Box<UpdateFlags>),
}

/// Flags of `silence add`.
#[derive(Clone, Debug, Args)]
pub struct SilenceFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Which alerts: conditions on `alert`, `account`, `team` and `severity` that all hold, with `=`, `!=`, or `=~` and `!~`
    /// for a regular expression that fits the whole value.
    #[arg(required = true, value_name = "MATCHER")]
    pub matchers: Vec<String>,
    /// When it shall begin and end.
    #[command(flatten)]
    pub time: SilenceTime,
    /// Why, at most 512 characters. Required.
    #[arg(long, short, value_name = "WORDS")]
    pub comment: Option<String>,
    /// Who asks for it; default: the user who is logged in.
    #[arg(long, short = 'a', alias = "author", value_name = "NAME")]
    pub by: Option<String>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// When a silence shall begin and end.
#[derive(Clone, Debug, Args)]
pub struct SilenceTime {
    /// How long after its beginning it ends: `30m`, `48h`, `7d`. At most a year.
    #[arg(long, short, value_name = "TIME", conflicts_with = "end")]
    pub duration: Option<String>,
    /// When it begins (RFC 3339); default: at once.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub start: Option<Timestamp>,
    /// When it ends (RFC 3339).
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub end: Option<Timestamp>,
}

/// Flags of `silence list`.
#[derive(Clone, Debug, Args)]
pub struct SilenceListFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Those alone whose own matchers fit these, a matcher taken as a label with its value.
    #[arg(value_name = "MATCHER")]
    pub matchers: Vec<String>,
    /// Those of the last 90 days that are over, instead of those that are not.
    #[arg(long)]
    pub expired: bool,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `silence expire`.
#[derive(Clone, Debug, Args)]
pub struct ExpireFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Their numbers, as `silence list` shows them.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<i64>,
    /// Who ends them; default: the user who is logged in.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Flags of `silence update`.
#[derive(Clone, Debug, Args)]
pub struct UpdateFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Its number, as `silence list` shows it.
    pub id: i64,
    /// When it shall begin and end. A duration counts from now on, or from a beginning that is still to come.
    #[command(flatten)]
    pub time: SilenceTime,
    /// Why, at most 512 characters.
    #[arg(long, short, value_name = "WORDS")]
    pub comment: Option<String>,
    /// Who changes it; default: the user who is logged in.
    #[arg(long, short = 'a', alias = "author", value_name = "NAME")]
    pub by: Option<String>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}
