//! What each command does. A command returns an [`Answer`], or an error that is printed with its whole chain.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Command, MappingCommand};

/// Prints a line on standard output.
macro_rules! say {
    () => { say!("") };
    ($($words:tt)*) => { $crate::commands::print_line(format_args!($($words)*)) };
}

mod announce;
mod backtest;
mod check;
mod demo;
mod estimate;
mod estimates;
mod export;
mod healthcheck;
mod import;
mod mapping;
mod outbox;
mod output;
mod poll;
mod progress;
mod send_test_mail;
mod serve;
mod silence;
mod status;
mod table;

/// Prints a line on standard output. A reader that has gone away (`| head`) ends the process quietly, as it ends other
/// tools; there is nobody left to tell more.
fn print_line(words: fmt::Arguments) {
    if let Err(error) = writeln!(io::stdout(), "{words}") {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("fuelgauge: failed to write to standard output: {error}");
        std::process::exit(1);
    }
}

/// A reader that has gone away (`| head`) has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// How a command ended: the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0: fine.
    Fine,
    /// 1: failed.
    Failed,
    /// 2: wrong usage or a bad configuration.
    WrongUsage,
    /// 3: the answer is "no".
    No,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> ExitCode {
        ExitCode::from(match answer {
            Answer::Fine => 0,
            Answer::Failed => 1,
            Answer::WrongUsage => 2,
            Answer::No => 3,
        })
    }
}

/// What was asked cannot be done as it was asked: a wrong name, a bad configuration. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

impl WrongUsage {
    /// A name that the configuration does not have; `known` are those that it has.
    fn no_such<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> WrongUsage {
        let mut names: Vec<String> = Vec::new();
        for known in known {
            let quoted = format!("`{known}`");
            if !names.contains(&quoted) {
                names.push(quoted);
            }
        }
        WrongUsage(format!("there is no {kind} `{name}`; expected one of: {}", names.join(", ")))
    }
}

/// Whoever asks about a ledger wants one that is there: a new and empty one in the wrong folder would answer all the same.
fn expect_ledger(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        anyhow::bail!(
            "there is no ledger at `{}`\nhint: `fuelgauge serve`, `poll` or `import` begins one; a relative `storage` \
             begins at the working directory",
            path.display()
        );
    }
    Ok(())
}

/// Does what was asked and says how it ended. Errors are printed here.
pub async fn run(command: Command) -> Answer {
    let result = match command {
        Command::Demo(flags) => demo::run(flags).await,
        Command::Serve(flags) => serve::run(flags).await,
        Command::Check { config } => check::run(&config),
        Command::Poll(flags) => poll::run(flags).await,
        Command::Status(flags) => status::run(flags).await,
        Command::Estimate(arguments) => estimates::run(*arguments).await,
        Command::Announce(command) => announce::run(command).await,
        Command::Silence(command) => silence::run(command).await,
        Command::Backtest(flags) => backtest::run(&flags),
        Command::Import(flags) => import::run(flags).await,
        Command::Export(flags) => export::run(flags).await,
        Command::Outbox(command) => outbox::run(command).await,
        Command::SendTestMail { config, recipient } => send_test_mail::run(&config, &recipient).await,
        Command::Mapping(MappingCommand::Test { mapping, endpoint, response }) => {
            mapping::test(&mapping, &endpoint, &response)
        }
        Command::Healthcheck { url } => healthcheck::run(&url).await,
    };
    match result {
        Ok(answer) => answer,
        Err(error) => {
            // Each mistake in a configuration is a paragraph that names its file; a prefix would only bury that.
            match error.downcast_ref::<crate::config::ConfigErrors>() {
                Some(mistakes) => eprintln!("{mistakes}"),
                None => eprintln!("fuelgauge: {}", explain(&error)),
            }
            let is_usage = error.is::<WrongUsage>() || error.is::<crate::config::ConfigErrors>();
            if is_usage { Answer::WrongUsage } else { Answer::Failed }
        }
    }
}

/// An error with its causes on one line, each said once, and the hints below.
fn explain(error: &anyhow::Error) -> String {
    let (mut text, mut hints) = (String::new(), String::new());
    for cause in error.chain() {
        let cause = cause.to_string();
        let (what, hint) = cause.split_once("\nhint: ").map_or((&*cause, None), |(what, hint)| (what, Some(hint)));
        if !text.contains(what) {
            text += if text.is_empty() { "" } else { ": " };
            text += what;
        }
        if let Some(hint) = hint.filter(|hint| !hints.contains(hint)) {
            hints += "\nhint: ";
            hints += hint;
        }
    }
    text + &hints
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::explain;

    #[test]
    fn hints_come_last_and_nothing_is_said_twice() {
        let inner = anyhow!("the disk is full");
        let error = Err::<(), _>(inner).context("database: the disk is full").context("cannot keep\nhint: make room");
        assert_eq!(explain(&error.unwrap_err()), "cannot keep: database: the disk is full\nhint: make room");
        let error = Err::<(), _>(anyhow!("b\nhint: y\nhint: z")).context("a\nhint: x");
        assert_eq!(explain(&error.unwrap_err()), "a: b\nhint: x\nhint: y\nhint: z");
        assert_eq!(explain(&anyhow!("alone")), "alone");
    }
}
