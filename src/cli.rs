//! Commands and flags as plain data. What they do is in `commands`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

mod announce;
mod estimate;
mod outbox;
mod silence;
mod values;

pub use announce::{AddFlags, AnnounceCommand, ListFlags, WithdrawFlags};
pub use estimate::{EstimateArguments, EstimateChangeFlags, EstimateCommand, EstimateListFlags, RecordFlags};
pub use outbox::{OutboxCommand, OutboxListFlags, OutboxRetryFlags, OutboxStateFlag};
pub use silence::{ExpireFlags, SilenceCommand, SilenceFlags, SilenceListFlags, SilenceTime, UpdateFlags};

/// Will the credits last until the plan resets?
#[derive(Debug, Parser)]
#[command(name = "fuelgauge", version, about, long_about = None, disable_help_subcommand = true)]
#[command(after_help = "Try it with nothing set up: fuelgauge demo")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogFlags,
}

/// How logs are written. They go to standard error.
#[derive(Clone, Debug, Args)]
pub struct LogFlags {
    /// Only log messages with the given severity or above: error, warn, info, debug, trace; or per module, such as
    /// `info,fuelgauge::poller=debug`. Default: info for `serve`, error for `demo` and `poll`, warn elsewhere.
    #[arg(id = "log.level", long = "log.level", global = true, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Output format of log messages.
    // The id differs from that of the commands' own `--format`: one id cannot have two types.
    #[arg(id = "log.format", long = "log.format", global = true, default_value = "logfmt", value_name = "FORMAT")]
    pub format: LogFormat,
}

/// Output format of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Where the configuration lies.
#[derive(Clone, Debug, Args)]
pub struct ConfigFlags {
    /// The configuration file.
    #[arg(long = "config.file", default_value = "config/fuelgauge.yml", value_name = "FILE")]
    pub config_file: PathBuf,
}

/// How a command's answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole product in one process with nothing to configure.
    #[command(after_help = "Example: fuelgauge demo --keep ./demo-data")]
    Demo(DemoFlags),
    /// Run the agent.
    #[command(after_help = "Example: fuelgauge serve --config.file=config/fuelgauge.yml")]
    Serve(ServeFlags),
    /// Check the configuration and its mappings offline; print the next runs and resets.
    #[command(after_help = "Example: fuelgauge check --config.file=config/fuelgauge.yml")]
    Check {
        /// Where the configuration lies.
        #[command(flatten)]
        config: ConfigFlags,
    },
    /// Poll accounts once and print what was read.
    #[command(after_help = "Example: fuelgauge poll studio --dry-run")]
    Poll(PollFlags),
    /// Print a line per team: balance, pace, runs out, reset, probability, data age.
    #[command(after_help = "Example: fuelgauge status --check && ./launch-batch.sh")]
    Status(StatusFlags),
    /// Say what a job will cost and whether the credits still last.
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Example: fuelgauge estimate --team environment-art --task text-to-3d --variants 4 --count 10 --check"
    )]
    Estimate(Box<EstimateArguments>),
    /// Replay a charge history against plan periods: which alerts would have come, and when.
    #[command(after_help = "Example: fuelgauge backtest --charges charges.csv.gz --periods periods.csv --summary")]
    Backtest(BacktestFlags),
    /// Tell the forecast what a lead knows and the ledger cannot: changes of pace, and planned batches.
    #[command(
        subcommand,
        after_help = "Example: fuelgauge announce add --team environment-art --factor 2 --from 2026-12-01 --to 2026-12-20"
    )]
    Announce(AnnounceCommand),
    /// Have alerts not told for a time: who wants that, why, and until when.
    #[command(
        subcommand,
        after_help = "Example: fuelgauge silence add alert=exhaustion team=environment-art --duration 48h --comment \"a planned push\""
    )]
    Silence(SilenceCommand),
    /// Read a charge history (CSV or JSON lines, also gzipped) into the ledger. Repeating it changes nothing.
    #[command(after_help = "Example: fuelgauge import charges.csv.gz --account studio --map columns.yml")]
    Import(ImportFlags),
    /// Write an account's charges (CSV that `import` takes), or its past as series that Prometheus loads.
    #[command(after_help = "Example: fuelgauge export --account studio --format csv --output charges.csv.gz")]
    Export(ExportFlags),
    /// See what waits to be told and what was given up, and have it tried again.
    #[command(subcommand, after_help = "Example: fuelgauge outbox list")]
    Outbox(OutboxCommand),
    /// Send one mail through the configured relay.
    #[command(name = "send-test-mail", after_help = "Example: fuelgauge send-test-mail lead@studio.example")]
    SendTestMail {
        /// Where the configuration lies.
        #[command(flatten)]
        config: ConfigFlags,
        /// Who receives it.
        recipient: String,
    },
    /// Work with mapping files.
    #[command(
        subcommand,
        after_help = "Example: fuelgauge mapping test meshy --endpoint balance --response balance.json"
    )]
    Mapping(MappingCommand),
    /// Ask a running agent whether it is healthy; for container health checks.
    #[command(hide = true)]
    Healthcheck {
        /// The agent's address.
        #[arg(long, default_value = "http://127.0.0.1:9780")]
        url: String,
    },
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Address to listen on for the page, the API and metrics. Repeatable.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:9780", value_name = "ADDRESS", value_parser = values::listen_address)]
    pub listen: Vec<SocketAddr>,
    /// Path under which to expose metrics.
    #[arg(long = "web.telemetry-path", default_value = "/metrics", value_name = "PATH", value_parser = values::telemetry_path)]
    pub telemetry_path: String,
    /// Enable `POST /-/reload`.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Where people reach the page; wins over `web.external_url` of the configuration.
    #[arg(long = "web.external-url", value_name = "URL", value_parser = values::external_url)]
    pub external_url: Option<String>,
}

/// Flags of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoFlags {
    /// Address to listen on for the page and metrics; port 0 takes a free one.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:9780", value_name = "ADDRESS", value_parser = values::listen_address)]
    pub listen: SocketAddr,
    /// Keep the ledger and the caught mails in this folder.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Simulated hours in one second.
    #[arg(long, default_value_t = 3.0, value_name = "HOURS")]
    pub speed: f64,
    /// Seed of the simulated platform: the same seed tells the same story.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Flags of `poll`.
#[derive(Clone, Debug, Args)]
pub struct PollFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// The accounts; all of them if none is named.
    pub accounts: Vec<String>,
    /// Write nothing to the ledger.
    #[arg(long)]
    pub dry_run: bool,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// Exit 3 if any team is at risk of running out before its reset.
    #[arg(long)]
    pub check: bool,
    /// Say what drives each forecast.
    #[arg(long)]
    pub explain: bool,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
    /// Look at the ledger as of this instant (RFC 3339) instead of now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub at: Option<Timestamp>,
}

/// Flags of `estimate`.
#[derive(Clone, Debug, Args)]
pub struct EstimateFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// The team that launches; not needed if every line of a shot list names one.
    #[arg(long, required_unless_present = "shots")]
    pub team: Option<String>,
    /// The account it draws on; needed where the team draws on several.
    #[arg(long)]
    pub account: Option<String>,
    /// The platform's word for the kind of task; a prefix such as `text-to-3d` covers all its steps.
    #[arg(long, required_unless_present = "shots")]
    pub task: Option<String>,
    /// Plan a shot list instead: YAML or CSV with task, quality, variants, count, attempts, start, team and account.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task", "quality", "variants", "count", "attempts", "start"])]
    pub shots: Option<PathBuf>,
    /// The platform's word for the quality or model.
    #[arg(long)]
    pub quality: Option<String>,
    /// Variants of each asset.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub variants: u32,
    /// How many assets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// How often each asset will be launched on average, where you know better than the history.
    #[arg(long, value_parser = values::attempts)]
    pub attempts: Option<f64>,
    /// When it will be launched (RFC 3339); by default now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub start: Option<Timestamp>,
    /// Exit 3 if the credits would not last until the reset.
    #[arg(long)]
    pub check: bool,
    /// The credits last if they run out before the reset with less than this probability, the job at what 9 of 10 cost.
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = values::risk)]
    pub risk: f64,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
    /// Look at the ledger as of this instant (RFC 3339) instead of now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub at: Option<Timestamp>,
    /// Whether and how it is kept.
    #[command(flatten)]
    pub record: RecordFlags,
}

/// Flags of `backtest`.
#[derive(Clone, Debug, Args)]
pub struct BacktestFlags {
    /// The charge history, with the columns that `import` takes; gzipped or not.
    #[arg(long, value_name = "FILE")]
    pub charges: PathBuf,
    /// The plan periods: a CSV file with the columns team, period_start, period_end, grant.
    #[arg(long, value_name = "FILE", required_unless_present = "estimates")]
    pub periods: Option<PathBuf>,
    /// Estimate batches of past launches from what was known before each, and print how many cost what was said.
    #[arg(long, conflicts_with_all = ["periods", "summary", "sensitivity", "rule"])]
    pub estimates: bool,
    /// Print a table of the alerts that would have come, for each sensitivity, instead of JSON lines.
    #[arg(long)]
    pub summary: bool,
    /// How readily alerts are raised, as in `alerts.exhaustion.sensitivity`.
    #[arg(long, default_value = "balanced", value_name = "SENSITIVITY")]
    pub sensitivity: SensitivityFlag,
    /// Which rule: fuelgauge's own, or one of the usual ones to compare it with.
    #[arg(long, default_value = "exhaustion", value_name = "RULE")]
    pub rule: RuleFlag,
}

/// A rule for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuleFlag {
    /// fuelgauge's own.
    Exhaustion,
    /// 80 % used.
    Threshold,
    /// The period's pace so far.
    Pace,
    /// A straight line through the last 6 hours.
    #[value(name = "predict-linear-6h")]
    PredictLinear6h,
    /// A straight line through the last 24 hours.
    #[value(name = "predict-linear-24h")]
    PredictLinear24h,
    /// A straight line through the last 3 days.
    #[value(name = "predict-linear-3d")]
    PredictLinear3d,
    /// Multiples of the lasting pace over four pairs of windows.
    BurnRate,
}

/// How readily alerts are raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SensitivityFlag {
    /// Earlier, and more false alarms.
    Early,
    /// The default.
    Balanced,
    /// Fewer false alarms, and later.
    Quiet,
}

/// Flags of `import`.
#[derive(Clone, Debug, Args)]
pub struct ImportFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// The files, read in the order given.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The account that the charges belong to.
    #[arg(long)]
    pub account: String,
    /// A columns file: what the columns are called and how they are written. Default: the account's `import.columns`, or
    /// else the names of fuelgauge's own.
    #[arg(long, value_name = "COLUMNS.yml")]
    pub map: Option<PathBuf>,
    /// Where rows that cannot be read go, each with its line and the reason. Default: beside FILE, with `.rejected` added.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, default_value = "table")]
    pub format: OutputFormat,
}

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportFlags {
    /// Where the configuration lies.
    #[command(flatten)]
    pub config: ConfigFlags,
    /// The account whose past is written.
    #[arg(long)]
    pub account: String,
    /// What is written.
    #[arg(long, default_value = "csv")]
    pub format: ExportFormat,
    /// From this instant on (RFC 3339); default: from the beginning.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub from: Option<Timestamp>,
    /// Up to and without this instant (RFC 3339); default: now.
    #[arg(long, value_name = "INSTANT", value_parser = values::instant)]
    pub to: Option<Timestamp>,
    /// A file instead of standard output; gzipped if its name ends with `.gz`. It is there once it is whole.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The time between samples, at most 5m; default: 5m. Only with openmetrics.
    #[arg(long, value_name = "DURATION", value_parser = values::step)]
    pub step: Option<u32>,
    /// A label that every series gets beside its own, as a scrape adds them: `job=fuelgauge`. Repeatable. Only with
    /// openmetrics.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = values::label)]
    pub labels: Vec<(String, String)>,
}

/// What an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A row for each task, with the columns that `import` takes.
    Csv,
    /// Series with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
    Openmetrics,
}

/// Commands on mapping files.
#[derive(Debug, Subcommand)]
pub enum MappingCommand {
    /// Print the records that a mapping makes of a response, or the mistake.
    #[command(
        after_help = "Example: fuelgauge mapping test config/platforms/meshy.yml --endpoint balance --response balance.json"
    )]
    Test {
        /// The mapping file, or the name of a built-in mapping.
        mapping: String,
        /// Which endpoint of the mapping: balance, charges, tasks, queue or plan.
        #[arg(long)]
        endpoint: String,
        /// A file with the platform's JSON answer.
        #[arg(long, value_name = "FILE")]
        response: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    fn examples_of(command: &Command) -> Vec<String> {
        let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let mut examples: Vec<String> = visible.flat_map(examples_of).collect();
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let example = after.strip_prefix("Example: ").or_else(|| after.strip_prefix("Try it with nothing set up: "));
        examples.push(example.unwrap_or_else(|| panic!("`{}` has no example", command.get_name())).to_owned());
        examples
    }

    #[test]
    fn each_command_has_an_example_that_it_takes() {
        let examples = examples_of(&Cli::command());
        assert!(examples.len() > 9, "{examples:?}");
        for example in examples {
            let words = example.split(" && ").next().unwrap_or_default().split_whitespace();
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{example}\n{error}");
            }
        }
    }

    #[test]
    fn logs_and_answers_have_formats_of_their_own() {
        let words = ["fuelgauge", "status", "--format", "json", "--log.format=json", "--log.level=debug"];
        let cli = Cli::try_parse_from(words).unwrap();
        assert_eq!((cli.log.format, cli.log.level.as_deref()), (super::LogFormat::Json, Some("debug")));
        let super::Command::Status(flags) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(flags.format, super::OutputFormat::Json);
    }
}
