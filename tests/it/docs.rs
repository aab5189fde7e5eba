//! What the pages, examples and shipped files say is true: they are read here, and run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory, Parser};
use fuelgauge::cli::Cli;
use fuelgauge::config::Config;
use fuelgauge::domain::{RuleName, Rules, Stage};
use fuelgauge::provider::history::{Field, read_push};
use fuelgauge::provider::mapping::{EndpointKind, Mapping};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A fenced block of a page: the name in a remark above it (`<!-- file: … -->`), its language, its text.
struct Block {
    name: Option<String>,
    language: String,
    text: String,
}

/// The fenced blocks of a page, without the indentation of the list that they may stand in.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut name = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.trim().strip_prefix("<!-- file: ") {
            name = rest.strip_suffix(" -->").map(str::to_owned);
        }
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indentation = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let text = inside.map(|line| line.get(indentation..).unwrap_or_default().to_owned() + "\n").collect();
        found.push(Block { name: name.take(), language: language.to_owned(), text });
    }
    found
}

/// The texts between single backticks, outside fenced blocks.
fn inline_code(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The words of a text that are names of metrics of ours; names of recording rules, which hold a colon, are none.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("fuelgauge_") && !word.contains(':'));
    words.map(str::to_owned).collect()
}

#[test]
fn each_metric_that_is_named_exists_and_each_that_exists_is_explained() {
    let known: BTreeMap<_, _> =
        fuelgauge::metrics::families().into_iter().map(|(name, kind, labels, _)| (name, (kind, labels))).collect();
    for page in ["README.md", "dashboards/README.md", "dashboards/fuel.json", "dashboards/rules.yml"] {
        for name in metric_names(&read(page)) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let exists = known.contains_key(name.as_str()) || family.is_some_and(|family| known.contains_key(family));
            assert!(exists, "{page} names `{name}`");
        }
    }
    let readme = read("README.md");
    for (name, (kind, labels)) in known {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let row = format!("| `{name}` | {} | {labels} | ", kind.as_str());
        assert!(readme.contains(&row), "README.md lacks the row `{row}`");
    }
}

/// Command lines that begin with `fuelgauge`, each up to a remark or to what the shell does next.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("$ ");
        let line = line
            .strip_prefix("cargo run --release -- ")
            .map(|rest| format!("fuelgauge {rest}"))
            .unwrap_or(line.to_owned());
        line.starts_with("fuelgauge ").then_some(line)
    });
    let until_shell = |word: &&str| !matches!(*word, "#" | "&&" | "||");
    lines
        .map(|line| {
            line.split(' ').filter(|word| !word.is_empty()).take_while(until_shell).map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn each_command_line_that_is_shown_is_understood() {
    let pages = PAGES.map(|page| blocks(&read(page)));
    let shells = pages.into_iter().flatten().filter(|block| ["console", "sh"].contains(&block.language.as_str()));
    let mut shown: Vec<Vec<String>> = shells
        .flat_map(|block| match block.language.as_str() {
            // Without the dollar it is what the command answers.
            "console" => {
                command_lines(&block.text.lines().filter(|l| l.starts_with("$ ")).collect::<Vec<_>>().join("\n"))
            }
            _ => command_lines(&block.text),
        })
        .collect();
    assert!(shown.len() >= 10, "{shown:?}");
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        shown.extend(help.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, line)| command_lines(line)));
        commands.extend(command.get_subcommands().cloned());
    }
    let dockerfile = read("Dockerfile");
    for instruction in ["CMD ", "HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD "] {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(instruction)).expect(instruction);
        let mut words: Vec<String> = serde_json::from_str(line).unwrap();
        if words[0] != "fuelgauge" {
            words.insert(0, "fuelgauge".to_owned());
        }
        shown.push(words);
    }
    for line in read("compose.yml").lines().filter_map(|line| line.split_once("command: ")) {
        let words: Vec<String> = serde_json::from_str(line.1).unwrap();
        shown.push([vec!["fuelgauge".to_owned()], words].concat());
    }
    for words in shown {
        if let Err(error) = Cli::try_parse_from(&words) {
            panic!("{}: {error}", words.join(" "));
        }
    }
}

#[test]
fn the_table_of_commands_is_whole_and_names_no_other() {
    let readme = read("README.md");
    let command = Cli::command();
    let visible: BTreeSet<&str> =
        command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name()).collect();
    for name in &visible {
        assert!(readme.contains(&format!("| `fuelgauge {name}` |")), "README.md lacks the row of `fuelgauge {name}`");
    }
    for page in ["README.md", "dashboards/README.md", "CHANGELOG.md", "config/fuelgauge.yml", "config/minimal.yml"] {
        let named = inline_code(&read(page)).into_iter().filter_map(|code| {
            let name = code.strip_prefix("fuelgauge ")?.split(' ').next()?.to_owned();
            name.chars().all(|c| c.is_ascii_lowercase() || c == '-').then_some(name)
        });
        for name in named {
            assert!(visible.contains(name.as_str()), "{page} names `fuelgauge {name}`");
        }
    }
}

/// Every flag of every command, with its dashes.
fn flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::from(["--help".to_owned(), "--version".to_owned()]);
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        flags.extend(command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
        commands.extend(command.get_subcommands().cloned());
    }
    flags
}

#[test]
fn each_flag_that_is_named_exists() {
    let flags = flags();
    let others = ["config/fuelgauge.yml", "config/prometheus.yml", "dashboards/README.md"];
    for page in PAGES.into_iter().chain(others) {
        for code in
            inline_code(&read(page)).iter().filter(|code| code.starts_with("--") || code.starts_with("fuelgauge "))
        {
            for word in code.split(' ').filter(|word| word.starts_with("--")) {
                let name = word.split('=').next().unwrap();
                assert!(flags.contains(name), "{page} names `{name}`");
            }
        }
    }
}

/// The keys of a text of YAML; in `config/fuelgauge.yml` those that are switched off count too.
fn keys(yaml: &str) -> BTreeSet<String> {
    let words = yaml.lines().flat_map(|line| line.split([' ', '{', ',', '#', '-']));
    let keys = words.filter_map(|word| word.strip_suffix(':'));
    keys.filter(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_configuration_key_that_is_named_exists() {
    let known = keys(&read("config/fuelgauge.yml"));
    let readme = read("README.md");
    let is_key = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.is_empty();
    let files = ["yml", "csv", "json", "db", "md", "toml"];
    let mut named: Vec<String> = Vec::new();
    for code in inline_code(&readme) {
        let parts: Vec<&str> = code.split('.').collect();
        let is_file = parts.last().is_some_and(|last| files.contains(last));
        if parts.len() > 1 && !is_file && parts.iter().all(|part| is_key(part)) {
            named.extend(parts.iter().map(|part| part.to_string()));
        }
    }
    assert!(named.len() > 8, "{named:?}");
    for block in blocks(&readme).iter().filter(|b| b.language == "yaml" && b.text.contains("accounts:")) {
        named.extend(keys(&block.text));
    }
    for key in named {
        assert!(known.contains(&key), "README.md names the key `{key}`, which config/fuelgauge.yml does not explain");
    }
}

/// A page's table of two columns: what stands behind a word at the beginning of a row.
fn told_of(page: &str, word: &str) -> Option<String> {
    let prefix = format!("| {word} | ");
    page.lines().find_map(|line| line.strip_prefix(&prefix)).map(|rest| rest.trim_end_matches(" |").to_owned())
}

/// The rules as a configuration with this section sets them.
fn rules_of(alerts: &str, page: &str) -> Rules {
    let base = "accounts: [{name: studio}]\nteams: [{name: art, account: studio}]\n";
    match Config::parse(&format!("{base}{alerts}"), Path::new("fuelgauge.yml")) {
        Ok(config) => config.alerts.rules,
        Err(errors) => panic!("{page}: {errors}"),
    }
}

#[test]
fn each_rule_has_a_page_that_says_what_it_does() {
    let readme = read("README.md");
    for rule in RuleName::ALL {
        let path = format!("src/domain/rule/{rule}.md");
        let page = read(&path);
        assert!(page.starts_with(&format!("# `{rule}`: ")), "{path}");
        assert!(page.contains("**What to do.** "), "{path} says what to do");

        // Linked with its stages, which the page names in the same order.
        let stages: Vec<&str> = rule.stages().iter().map(|stage| stage.as_str()).collect();
        let row = readme.lines().find(|line| line.starts_with(&format!("| [`{rule}`]({path}) | ")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for `{rule}` with a link to {path}"));
        assert!(row.ends_with(&format!(" | {} |", stages.join(", "))), "{row}");
        let told = told_of(&page, "stages").unwrap_or_else(|| panic!("{path} names its stages"));
        let mut rest = told.as_str();
        for stage in &stages {
            let place = rest.find(stage).unwrap_or_else(|| panic!("{path}: `{told}` lacks `{stage}`"));
            rest = &rest[place + stage.len()..];
        }
        let others = Stage::ALL.iter().filter(|stage| !rule.stages().contains(stage));
        assert!(others.into_iter().all(|stage| !told.contains(stage.as_str())), "{path}: {told}");

        // Which rules mute it.
        let muting: BTreeSet<String> = rule.muted_by().iter().map(|by| by.as_str().to_owned()).collect();
        let named = told_of(&page, "muted by").map(|by| inline_code(&by)).unwrap_or_default();
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), muting, "{path}");

        // Its keys are keys, and what it does not call another default is the default.
        let yaml: Vec<Block> = blocks(&page).into_iter().filter(|block| block.language == "yaml").collect();
        let [example] = &yaml[..] else { panic!("{path} has {} examples", yaml.len()) };
        rules_of(&example.text, &path);
        let of_default = example.text.lines().filter(|line| !line.contains("# default:"));
        let of_default: String = of_default.map(|line| format!("{line}\n")).collect();
        assert_eq!(rules_of(&of_default, &path), Rules::default(), "{path} states other defaults");

        // A time that it must hold for is told, and only then.
        let holds = Rules::default().timing(rule).hold_for;
        assert_eq!(page.contains("(`for`)"), !holds.is_zero(), "{path}: {holds:?}");
    }
}

#[test]
fn the_reference_states_when_each_rule_begins_and_ends() {
    let reference = read("config/fuelgauge.yml");
    let begin = reference.lines().position(|line| line == "alerts:").unwrap();
    let section = reference.lines().skip(begin).take_while(|line| !line.starts_with("# How mail leaves"));
    let switched_on = section.map(|line| match line.trim_start().strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => line.replacen('#', "", 1),
        _ => line.to_owned(),
    });
    // A digest wants a relay, which is not what this is about.
    let lines: Vec<String> = switched_on.collect();
    let digest = lines.iter().position(|line| line.starts_with("  digest:")).unwrap();
    let rules = rules_of(&lines[..digest].join("\n"), "config/fuelgauge.yml");
    for rule in RuleName::ALL {
        let (stated, default) = (rules.timing(rule), Rules::default().timing(rule));
        assert_eq!(stated.hold_for, default.hold_for, "{rule}: for");
        assert_eq!(stated.sends_resolved, default.sends_resolved, "{rule}: send_resolved");
        // Without a length it is a thirtieth of the period, a day of a month.
        let of_a_month = Some(jiff::SignedDuration::from_hours(24));
        assert_eq!(stated.keep_firing_for, default.keep_firing_for.or(of_a_month), "{rule}: keep_firing_for");
    }
}

/// Every file of the project with one of these endings, by its path from the root.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path.strip_prefix(ROOT).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The anchor that a heading gets: lower case, spaces to dashes, other signs away.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for file in files(&[".md"]) {
        let page = read(file.to_str().unwrap());
        let folder = file.parent().unwrap();
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) =
                target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
            let linked = if path.is_empty() { file.clone() } else { folder.join(path) };
            assert!(Path::new(ROOT).join(&linked).exists(), "{}: nothing at `{target}`", file.display());
            if let Some(heading) = heading {
                let text = read(linked.to_str().unwrap());
                let headings =
                    text.lines().filter_map(|line| line.strip_prefix('#')).map(|h| anchor(h.trim_start_matches('#')));
                assert!(headings.into_iter().any(|h| h == heading), "{}: no heading `{target}`", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen} links");
}

#[test]
fn the_shipped_configurations_load() {
    for file in ["config/fuelgauge.yml", "config/minimal.yml"] {
        if let Err(error) = Config::load(&Path::new(ROOT).join(file)) {
            panic!("{error:#}");
        }
    }
}

/// The pages whose commands are run, each in a folder of its own with the files that it shows.
const PAGES: [&str; 2] = ["README.md", "config/platforms/README.md"];

/// A page's named examples as files in a folder.
fn examples(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut names = BTreeSet::new();
    for block in blocks(&read(page)) {
        if let Some(name) = block.name {
            std::fs::write(folder.path().join(&name), block.text).unwrap();
            assert!(names.insert(name.clone()), "two examples are called `{name}`");
        }
    }
    folder
}

/// Runs a command line of a page in a folder, and returns what it printed, without what ends a line with blanks.
fn run(line: &str, folder: &Path) -> String {
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_fuelgauge")).args(words).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn the_commands_of_the_pages_answer_what_these_show() {
    let answered = PAGES.map(answered);
    assert_eq!(answered, [3, 6]);
}

/// Runs the commands of a page, and counts those that answered as it says.
fn answered(page: &str) -> usize {
    let folder = examples(page);
    let mut answered = 0;
    for block in blocks(&read(page)).iter().filter(|block| block.language == "console") {
        let mut shown: Vec<(&str, String)> = Vec::new();
        for line in block.text.lines() {
            match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push((command, String::new())),
                (None, Some((_, answer))) => *answer += &format!("{}\n", line.trim_end()),
                (None, None) => panic!("an answer without a question: {line}"),
            }
        }
        for (command, expected) in shown {
            let answer = match command.split(' ').nth(1) {
                Some("mapping" | "import") => run(command, folder.path()),
                // Its answer depends on the day: what was left and the names of the columns do not.
                Some("status") => {
                    let answer = run(command, folder.path());
                    let columns = |text: &str| -> Vec<String> {
                        let words = text.lines().next().unwrap().split("  ").map(|word| word.trim().to_owned());
                        words.filter(|word| !word.is_empty()).collect()
                    };
                    assert_eq!(columns(&answer), columns(&expected), "{command}");
                    assert!(answer.contains("  keter    3,5") || answer.contains("  keter    4,000"), "{answer}");
                    continue;
                }
                _ => continue,
            };
            assert_eq!(answer, expected, "{command}");
            answered += 1;
        }
    }
    answered
}

#[test]
fn the_reading_that_is_shown_can_be_pushed() {
    let folder = examples("README.md");
    let body = std::fs::read(folder.path().join("reading.json")).unwrap();
    let pushed = read_push(&body, &[0; 16]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((pushed.told.len(), pushed.reading.tasks.len()), (4, 1));
    let readme = read("README.md");
    for field in Field::ALL {
        assert!(readme.contains(&format!("`{}`", field.name())), "README.md does not explain `{}`", field.name());
    }
}

#[test]
fn the_page_on_mappings_is_right_and_knows_every_key() {
    let page = read("config/platforms/README.md");
    let mut loaded = 0;
    for block in blocks(&page).iter().filter(|block| block.language == "yaml") {
        // A section that stands alone is made a whole file.
        let text = match block.name {
            Some(_) => block.text.clone(),
            None => format!("name: x\nbase_url: https://api.example.com\n{}", block.text),
        };
        Mapping::parse(block.name.as_deref().unwrap_or("a block"), &text).unwrap_or_else(|error| panic!("{error}"));
        loaded += 1;
    }
    assert_eq!(loaded, 4);
    let template = read("config/platforms/keter.yml");
    let without_remarks: Vec<&str> = template.lines().filter_map(|line| line.split('#').next()).collect();
    for key in keys(&without_remarks.join("\n")) {
        let is_known = page.contains(&format!("`{key}`")) || keys(&page).contains(&key);
        assert!(is_known, "the page does not explain the key `{key}`");
    }
    let mut kinds = EndpointKind::ALL.map(EndpointKind::as_str).into_iter();
    assert!(kinds.all(|kind| page.contains(&format!("`{kind}`"))));
}

#[test]
fn no_file_names_a_machine() {
    // Put together here, so that this file does not name them itself.
    let folders = ["home", "root", "tmp", "work", "Users"].map(|folder| format!("/{folder}/"));
    let endings =
        [".md", ".rs", ".yml", ".toml", ".json", ".html", ".css", ".txt", ".sql", "Dockerfile", "test", "run"];
    for file in files(&endings) {
        let Ok(text) = std::fs::read_to_string(Path::new(ROOT).join(&file)) else { continue };
        for folder in &folders {
            let line = text.lines().find(|line| line.contains(folder.as_str()));
            assert!(line.is_none(), "{} names a path of one machine: {}", file.display(), line.unwrap());
        }
    }
}

#[test]
fn the_changelog_knows_this_version() {
    let heading = format!("## {} / ", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md lacks `{heading}…`");
}

#[test]
fn the_image_is_built_from_files_that_exist() {
    let dockerfile = read("Dockerfile");
    let mut copied = BTreeSet::new();
    for line in
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"))
    {
        let words: Vec<&str> = line.split(' ').collect();
        for source in &words[..words.len() - 1] {
            assert!(Path::new(ROOT).join(source).exists(), "Dockerfile copies `{source}`");
            copied.insert(source.to_string());
        }
    }
    for needed in ["Cargo.toml", "Cargo.lock", "src", "config"] {
        assert!(copied.contains(needed), "Dockerfile does not copy `{needed}`");
    }
    // What the sources take in at compile time is copied as well.
    for file in files(&[".rs"]).into_iter().filter(|file| file.starts_with("src")) {
        for part in read(file.to_str().unwrap()).split("include_str!(\"").skip(1) {
            let path = Path::new(ROOT).join(file.parent().unwrap()).join(part.split('"').next().unwrap());
            let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let top = path.strip_prefix(Path::new(ROOT).canonicalize().unwrap()).unwrap().iter().next().unwrap();
            assert!(copied.contains(top.to_str().unwrap()), "Dockerfile does not copy `{}`", path.display());
        }
    }
    if read("Cargo.toml").contains("[[bench]]") {
        assert!(dockerfile.contains("touch \"benches/$bench.rs\""), "Cargo refuses a manifest whose bench is missing");
    }
}

#[test]
fn what_compose_mounts_exists_and_is_well_formed() {
    let yaml = |path: &str| -> serde_json::Value {
        serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let compose = yaml("compose.yml");
    let volumes: BTreeSet<&String> = compose["volumes"].as_object().unwrap().keys().collect();
    let mut mounted = 0;
    for (service, settings) in compose["services"].as_object().unwrap() {
        for mount in settings["volumes"].as_array().unwrap() {
            let source = mount.as_str().unwrap().split(':').next().unwrap().to_owned();
            if let Some(path) = source.strip_prefix("./") {
                assert!(Path::new(ROOT).join(path).exists(), "{service} mounts `{source}`");
                mounted += 1;
            } else {
                assert!(volumes.contains(&source), "{service} mounts the volume `{source}`, which is not declared");
            }
        }
    }
    assert!(mounted >= 6, "{mounted}");
    let source = &yaml("dashboards/compose/datasource.yml")["datasources"][0];
    assert_eq!((source["type"].as_str(), source["url"].as_str()), (Some("prometheus"), Some("http://prometheus:9090")));
    let folder =
        yaml("dashboards/compose/dashboards.yml")["providers"][0]["options"]["path"].as_str().unwrap().to_owned();
    let grafana = compose["services"]["grafana"].to_string();
    assert!(grafana.contains(&format!("./dashboards/fuel.json:{folder}/fuel.json")), "{grafana}");
    let scrape = yaml("dashboards/compose/prometheus.yml")["scrape_configs"][0].to_string();
    assert!(scrape.contains("fuelgauge:9780"), "{scrape}");
}
