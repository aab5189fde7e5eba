//! Samples, rows, and the table of them.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

/// One line of the table.
pub struct Row {
    what: String,
    aim: &'static str,
    measured: String,
    peer: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    NoAim,
}

impl Row {
    /// A figure without an aim.
    pub fn new(what: impl Into<String>, measured: impl Into<String>) -> Row {
        let (what, measured) = (what.into(), measured.into());
        Row { what, aim: "", measured, peer: String::new(), verdict: Verdict::NoAim }
    }

    /// The aim, and whether it was met.
    pub fn aim(self, aim: &'static str, is_met: bool) -> Row {
        Row { aim, verdict: if is_met { Verdict::Met } else { Verdict::Missed }, ..self }
    }

    /// What a peer needed in the same run.
    pub fn peer(self, peer: impl Into<String>) -> Row {
        Row { peer: peer.into(), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::NoAim => "",
        };
        write!(f, "| {} | {} | {} | {} | {} |", self.what, self.aim, self.measured, verdict, self.peer)
    }
}

/// Durations of one thing, in rounds: another program that took the machine for a while spoils a round and not the figure.
#[derive(Default)]
pub struct Samples {
    rounds: Vec<Vec<Duration>>,
}

impl Samples {
    /// Begins the next round.
    pub fn next_round(&mut self) {
        self.rounds.push(Vec::new());
    }

    /// Adds to the round that was begun last.
    pub fn add(&mut self, duration: Duration) {
        if self.rounds.is_empty() {
            self.next_round();
        }
        self.rounds.last_mut().expect("a round was begun").push(duration);
    }

    /// A quantile (0 to 1) of all samples.
    pub fn quantile(&self, quantile: f64) -> Duration {
        quantile_of(self.rounds.iter().flatten().copied().collect(), quantile)
    }

    /// The median of all samples.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The quantile (0 to 1) of the round where it was least.
    pub fn best_round(&self, quantile: f64) -> Duration {
        let of_each = self.rounds.iter().filter(|round| !round.is_empty());
        of_each.map(|round| quantile_of(round.clone(), quantile)).min().unwrap_or_default()
    }

    /// Median and 99th percentile of all samples, and both of the best round.
    pub fn words(&self) -> String {
        format!(
            "median {}, p99 {} (best of {} rounds: {}, {})",
            time(self.median()),
            time(self.quantile(0.99)),
            self.rounds.len(),
            time(self.best_round(0.5)),
            time(self.best_round(0.99)),
        )
    }

    /// Median and least, for things that take long and are done a few times.
    pub fn few(&self) -> String {
        format!("median {}, least {}", time(self.median()), time(self.quantile(0.0)))
    }
}

fn quantile_of(mut samples: Vec<Duration>, quantile: f64) -> Duration {
    samples.sort_unstable();
    let place = (quantile * samples.len().saturating_sub(1) as f64).round() as usize;
    samples.get(place).copied().unwrap_or_default()
}

/// How long something takes, and what it returns.
pub fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let outcome = what();
    (begun.elapsed(), outcome)
}

/// A duration with three digits.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// Kibibytes as megabytes.
pub fn megabytes(kibibytes: u64) -> String {
    format!("{:.1} MB", kibibytes as f64 * 1024.0 / 1e6)
}

/// The table, with where and when it was measured.
pub fn table(rows: &[Row]) -> String {
    let (year, now) = (jiff::Zoned::now().date(), jiff::Timestamp::now());
    let mut text = format!(
        "Measured on {year} ({now:.0}), {}.\n\n| what | aim | measured | | beside it, in the same run |\n|---|---|---|---|---|\n",
        machine()
    );
    for row in rows {
        text += &format!("{row}\n");
    }
    text
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{cores} cores ({model}), load {load} at the end")
}

const BEGIN: &str = "<!-- figures: written by `cargo bench --bench figures -- --write` -->\n";
const END: &str = "<!-- end of figures -->";

/// Puts the table in its place in `benches/README.md`.
pub fn write(table: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/README.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let (before, rest) = text.split_once(BEGIN).context("benches/README.md has no place for figures")?;
    let (_, after) = rest.split_once(END).context("the place for figures in benches/README.md has no end")?;
    std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    Ok(())
}
