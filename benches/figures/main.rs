//! The figures that fuelgauge promises, measured on the machine at hand. `benches/README.md` says how to run this and what
//! it showed.

mod assessment;
mod crash;
mod forecast;
mod history;
mod import;
mod latency;
mod mail;
mod memory;
mod metrics;
mod process;
mod report;
mod showcase;
mod start;

use std::path::Path;
use std::process::ExitCode;

use report::Row;

/// A figure: the word that asks for it, and how it is measured.
type Figure = (&'static str, fn(&Bench) -> anyhow::Result<Vec<Row>>);

const FIGURES: [Figure; 10] = [
    ("memory", memory::measure),
    ("start", start::measure),
    ("assessment", assessment::measure),
    ("metrics", metrics::measure),
    ("import", import::measure),
    ("latency", latency::measure),
    ("mail", mail::measure),
    ("forecast", forecast::measure),
    ("demo", showcase::measure),
    ("crash", crash::measure),
];

/// What every figure needs.
struct Bench {
    /// Everything that is written lies here and goes away at the end.
    folder: tempfile::TempDir,
    /// Shorter: smaller histories, fewer rounds. For trying the bench out.
    is_quick: bool,
}

impl Bench {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `usual`, or `quick` in a quick run.
    fn count(&self, usual: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { usual }
    }
}

fn main() -> ExitCode {
    if let Ok(life) = std::env::var(crash::LIFE) {
        crash::be_killed(&life);
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    // Cargo adds `--bench`; under `cargo test --benches` it does not, and then nothing is measured.
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    if !has("--bench") {
        return Ok(());
    }
    if let Some(unknown) = flags.iter().find(|flag| !["--bench", "--quick", "--write"].contains(&flag.as_str())) {
        anyhow::bail!("expected `--quick` or `--write`, found `{unknown}`");
    }
    if let Some(unknown) = words.iter().find(|word| !FIGURES.iter().any(|(name, _)| name == word)) {
        let names: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("expected figures out of {}, found `{unknown}`", names.join(", "));
    }
    if has("--write") && (!words.is_empty() || has("--quick")) {
        anyhow::bail!("`--write` wants the whole run: the table is of one machine at one time");
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bench = Bench { folder: tempfile::tempdir()?, is_quick: has("--quick") };
    let mut rows = Vec::new();
    for (name, measure) in FIGURES {
        if words.is_empty() || words.iter().any(|word| word == name) {
            eprintln!("{name} …");
            let found = measure(&bench)?;
            found.iter().for_each(|row| eprintln!("  {row}"));
            rows.extend(found);
        }
    }
    let table = report::table(&rows);
    println!("{table}");
    if has("--write") {
        report::write(&table)?;
    }
    Ok(())
}
