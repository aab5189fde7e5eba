//! How the program speaks to its operator: one line an event, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{LogFlags, LogFormat};

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `--log.level` cannot be read.
    #[error(
        "--log.level: `{found}` is no level\n\
         hint: error, warn, info, debug, trace or off; or per module, such as `info,fuelgauge::poller=debug`"
    )]
    Level {
        /// What was found.
        found: String,
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
    let targets = parse_filter(level)?;
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match flags.format {
        LogFormat::Logfmt => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

/// Reads a filter. A word by itself has to be a level: taken as the name of a module, a misspelt level would silence
/// everything.
fn parse_filter(text: &str) -> Result<Targets, LoggingError> {
    let wrong = |found: &str| LoggingError::Level { found: found.to_owned() };
    let words = text.split(',').filter(|word| !word.contains('='));
    for word in words.map(str::trim) {
        // An empty word would pass as "error".
        if word.is_empty() || word.parse::<LevelFilter>().is_err() {
            return Err(wrong(word));
        }
    }
    text.parse().map_err(|_| wrong(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_module() {
        for good in ["info", "WARN", "off", "info,fuelgauge::poller=debug", "fuelgauge::poller=trace"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for (bad, found) in [("inof", "inof"), ("", ""), ("info,loud", "loud"), ("fuelgauge=loud", "fuelgauge=loud")] {
            let error = parse_filter(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{found}` is no level\nhint: ")), "{error}");
        }
    }
}
