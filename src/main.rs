//! The program: read the arguments, start logging, do what was asked, answer with an exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

use fuelgauge::cli::{Cli, Command};
use fuelgauge::commands::{self, Answer};
use fuelgauge::logging;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let usual_level = match cli.command {
        Command::Serve(_) => "info",
        // What a poll could not read stands in its answer.
        Command::Demo(_) | Command::Poll(_) => "error",
        _ => "warn",
    };
    if let Err(error) = logging::start(&cli.log, usual_level) {
        eprintln!("fuelgauge: {error}");
        return Answer::WrongUsage.into();
    }
    // One provider of TLS for platforms and relays alike; nobody else has installed one this early.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("fuelgauge: failed to start: {error}");
            return Answer::Failed.into();
        }
    };
    runtime.block_on(commands::run(cli.command)).into()
}
