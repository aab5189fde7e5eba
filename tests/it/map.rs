//! The invariants at the top of `src/lib.rs`, as far as the source text shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which modules of ours each one may name. A new line here is a new door in a wall: think first.
const KNOWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "commands", "logging"]),
    (
        "commands",
        &[
            "app",
            "assessor",
            "backtest",
            "cli",
            "clock",
            "config",
            "demo",
            "domain",
            "export",
            "http",
            "import",
            "lifecycle",
            "notify",
            "outbox",
            "poller",
            "provider",
            "reports",
            "schedule",
            "store",
        ],
    ),
    (
        "app",
        &[
            "assessor",
            "clock",
            "config",
            "domain",
            "forwarder",
            "http",
            "intake",
            "lifecycle",
            "metrics",
            "notify",
            "outbox",
            "poller",
            "provider",
            "reports",
            "schedule",
            "store",
        ],
    ),
    // What joins two edges.
    ("poller", &["clock", "config", "domain", "metrics", "provider", "store"]),
    ("assessor", &["config", "domain", "notify", "poller", "store"]),
    ("outbox", &["clock", "config", "domain", "metrics", "notify", "store"]),
    ("forwarder", &["clock", "domain", "metrics", "notify"]),
    ("reports", &["clock", "config", "domain", "metrics", "notify", "schedule", "store"]),
    ("import", &["domain", "provider", "store"]),
    ("intake", &["assessor", "clock", "config", "domain", "http", "import", "metrics", "poller", "provider", "store"]),
    ("export", &["domain", "metrics", "store"]),
    ("backtest", &["domain", "provider"]),
    ("http", &["clock", "domain", "metrics"]),
    // The edges, which do not know one another.
    ("provider", &["config", "domain", "outgoing"]),
    ("notify", &["config", "domain", "outgoing"]),
    ("store", &["domain"]),
    ("metrics", &["domain"]),
    ("config", &["domain"]),
    ("demo", &["clock", "domain"]),
    ("schedule", &["clock", "domain"]),
    ("logging", &["cli"]),
    ("lifecycle", &[]),
    ("outgoing", &[]),
    ("cli", &[]),
    ("clock", &[]),
    // The core knows nobody.
    ("domain", &[]),
];

/// What the core must not name: it has no clock, no input or output, no `async`, no foreign shapes.
const NOT_IN_THE_CORE: &[&str] = &[
    "tokio",
    "sqlx",
    "reqwest",
    "axum",
    "lettre",
    "serde",
    "minijinja",
    "prometheus",
    "tracing",
    "async fn",
    "async move",
    ".await",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
];

/// Ways to ask for the time of day.
const CLOCKS: &[&str] = &["Timestamp::now", "SystemTime::now", "Zoned::now", "TimeZone::system"];

/// Where a monotonic clock may be read: to measure how long something took, or how long it may still take.
const STOPWATCHES: &[&str] = &["src/clock.rs", "src/provider/http.rs", "src/provider/pace.rs"];

/// Longer files are two files.
const LONGEST_FILE_LINES: usize = 500;

struct Source {
    /// Such as `src/provider/http.rs`.
    path: String,
    /// Such as `provider`.
    module: String,
    /// The lines that are compiled into the program, without remarks.
    code: Vec<(usize, String)>,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let module = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_owned();
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let code = if is_test { Vec::new() } else { code_of(&text) };
        Source { module, code, lines: text.lines().count(), path }
    };
    let sources: Vec<Source> = files.iter().map(read).collect();
    assert!(sources.len() > 80, "the source tree was not found: {}", sources.len());
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Numbered lines without remarks, up to the tests at the foot.
fn code_of(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_foot = |index: usize| {
        lines[index] == "#[cfg(test)]" && lines.get(index + 1).is_some_and(|next| next.starts_with("mod tests {"))
    };
    let end = (0..lines.len()).find(|index| is_foot(*index)).unwrap_or(lines.len());
    let code = |(index, line): (usize, &&str)| (index + 1, line.split("//").next().unwrap_or_default().to_owned());
    lines[..end].iter().enumerate().map(code).collect()
}

/// The modules named by `crate::module` or `fuelgauge::module`.
fn named_modules(line: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "fuelgauge::"] {
        for (at, _) in line.match_indices(root) {
            let is_whole =
                line[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
            let rest = &line[at + root.len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A group right after `crate::` would hide what it names; the code has none.
            assert!(!rest.starts_with('{'), "one `use` for each module, please: {line}");
            if is_whole && !name.is_empty() && name.chars().all(|c| c.is_lowercase() || c == '_') {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn modules_know_only_whom_the_map_lets_them_know() {
    let known: BTreeMap<&str, &[&str]> = KNOWS.iter().copied().collect();
    let mut strangers = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let Some(allowed) = known.get(source.module.as_str()) else {
            strangers.push(format!("{}: the map has no module `{}`", source.path, source.module));
            continue;
        };
        seen.insert(source.module.clone());
        for (number, line) in &source.code {
            // A log filter in the help of a flag is no use of a module.
            if line.contains("info,fuelgauge::") {
                continue;
            }
            for name in named_modules(line).iter().filter(|name| **name != source.module) {
                if !allowed.contains(&name.as_str()) {
                    strangers.push(format!("{}:{number}: `{}` may not know `{name}`", source.path, source.module));
                }
            }
        }
    }
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
    let gone: Vec<_> = known.keys().filter(|module| !seen.contains(**module)).collect();
    assert!(gone.is_empty(), "the map names modules that are gone: {gone:?}");
}

#[test]
fn the_core_is_arithmetic() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.module == "domain") {
        for (number, line) in &source.code {
            for word in NOT_IN_THE_CORE.iter().filter(|word| names(line, word)) {
                found.push(format!("{}:{number}: `{word}` in {}", source.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_clock_knows_the_time() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in &source.code {
            let asks = CLOCKS.iter().any(|clock| line.contains(clock)) && source.path != "src/clock.rs";
            let measures = line.contains("Instant::now") && !STOPWATCHES.contains(&source.path.as_str());
            if asks || measures {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn sql_stays_in_the_store_and_foreign_json_in_the_provider() {
    let homes: [(&str, &[&str]); 5] = [
        ("sqlx", &["store"]),
        ("reqwest", &["provider", "notify", "outgoing", "commands", "config", "cli"]),
        ("lettre", &["notify", "config", "assessor", "commands", "reports"]),
        ("axum", &["http", "demo"]),
        ("serde_saphyr", &["config", "provider"]),
    ];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in &source.code {
            for (library, modules) in &homes {
                let is_named = line.contains(&format!("{library}::")) || line.contains(&format!("use {library}"));
                if is_named && !modules.contains(&source.module.as_str()) {
                    found.push(format!("{}:{number}: `{library}` in {}", source.path, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_fit_into_a_head() {
    // A file of tests beside its module may be longer: it is read a case at a time.
    let is_tests = |source: &&Source| source.path.ends_with("tests.rs") || source.path.contains("/tests/");
    let too_long: Vec<String> = sources()
        .iter()
        .filter(|source| !is_tests(source) && source.lines > LONGEST_FILE_LINES)
        .map(|source| format!("{}: {} lines", source.path, source.lines))
        .collect();
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn the_map_reads_the_source_as_the_compiler_does() {
    let names = |line: &str| named_modules(line).into_iter().collect::<Vec<_>>();
    for (line, expected) in [
        ("use crate::domain::Credits;", vec!["domain"]),
        ("    let x = crate::store::open(crate::clock::now());", vec!["clock", "store"]),
        ("use fuelgauge::cli::Cli;", vec!["cli"]),
        ("pub(crate) fn f()", vec![]),
        ("use super::Store;", vec![]),
    ] {
        assert_eq!(names(line), expected, "{line}");
    }
    let code =
        code_of("use a;\n// crate::store::x\nf(); // crate::store\n#[cfg(test)]\nmod tests {\nuse crate::store;\n}\n");
    assert_eq!(code.len(), 3);
    assert!(code.iter().all(|(_, line)| named_modules(line).is_empty()), "{code:?}");
}

/// Whether a line names a word: not as a part of a longer one.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_part);
        let after = line[at + word.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}
