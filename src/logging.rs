//! How the program speaks to its operator: one line an event, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{LogFlags, LogFormat};

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `--log.level` cannot be read.
    #[error(
        "--log.level: `{found}` is no filter: {source}\n\
         hint: error, warn, info, debug or trace; or per module, such as `info,fuelgauge::poller=debug`"
    )]
    Level {
        /// What was found.
        found: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else logs already.
    #[error("failed to start logging: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging as the flags say, at `usual_level` if they do not. To be called once.
///
/// # Errors
/// See [`LoggingError`].
pub fn start(flags: &LogFlags, usual_level: &str) -> Result<(), LoggingError> {
    let level = flags.level.as_deref().unwrap_or(usual_level);
    let wrong = |source| LoggingError::Level { found: level.to_owned(), source };
    let targets: Targets = level.parse().map_err(wrong)?;
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match flags.format {
        LogFormat::Logfmt => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
