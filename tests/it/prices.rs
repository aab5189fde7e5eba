//! The price sheets that are shipped, against the mappings whose tasks they price.

use std::collections::BTreeSet;
use std::path::Path;

use fuelgauge::config::{BUILT_IN_PRICES, parse_prices};
use fuelgauge::provider::mapping::BUILT_IN;

/// What a mapping calls its tasks, as far as its text and the stored answers of its platform show it: the steps that it lists,
/// what its paths are called, and the kinds of task in the answers.
struct Known {
    steps: BTreeSet<String>,
    task_types: BTreeSet<String>,
    tells_quality: bool,
}

fn known_to(platform: &str) -> Known {
    let (_, mapping) = BUILT_IN.iter().find(|(name, _)| *name == platform).expect("a mapping of that platform");
    let items = |line: &str| line.trim().strip_prefix("- ").map(str::to_owned);
    let steps: BTreeSet<String> =
        mapping.lines().skip_while(|line| *line != "  steps:").skip(1).map_while(items).collect();
    assert!(!steps.is_empty(), "{platform}: no steps are listed");
    let mut task_types = steps.clone();
    // `/openapi/creative-lab/lamp/v1/build` lists tasks of the type `creative-lab-lamp-build`.
    let paths = mapping.lines().filter_map(items).filter(|item| item.starts_with("/openapi/"));
    let named = |path: String| {
        let is_version = |part: &&str| part.strip_prefix('v').is_some_and(|rest| rest.parse::<u8>().is_ok());
        let parts: Vec<&str> = path.split('/').skip(2).filter(|part| !is_version(part)).collect();
        parts.join("-")
    };
    task_types.extend(paths.map(named));
    task_types.extend(told_in_answers(platform));
    Known { steps, task_types, tells_quality: mapping.lines().any(|line| line.trim().starts_with("quality:")) }
}

/// The values of `type` and `endpoint` in stored answers.
fn told_in_answers(platform: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms").join(platform);
    let mut told = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for key in ["\"type\":", "\"endpoint\":"] {
            let values = text.split(key).skip(1).filter_map(|rest| rest.split('"').nth(1));
            told.extend(values.map(str::to_owned));
        }
    }
    told
}

#[test]
fn every_price_is_of_a_task_that_the_mapping_can_tell() {
    for (platform, text) in BUILT_IN_PRICES {
        let sheet = parse_prices(text, Path::new(platform)).unwrap_or_else(|errors| panic!("{errors}"));
        let known = known_to(platform);
        for line in &sheet.lines {
            let name = &line.task_type;
            assert!(known.task_types.contains(name), "{platform}: no task is called `{name}`: {:?}", known.task_types);
            assert_eq!(
                line.is_step,
                known.steps.contains(name),
                "{platform}: `{name}` is a step in the mapping or here"
            );
            assert!(line.quality.is_none() || known.tells_quality, "{platform}: tasks tell no quality");
        }
    }
}

#[test]
fn every_sheet_says_where_its_prices_are_known_from() {
    for (platform, text) in BUILT_IN_PRICES {
        let sheet = parse_prices(text, Path::new(platform)).unwrap();
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let header = header.join("\n");
        let day = sheet.as_of.strftime("%-d %B %Y").to_string();
        assert!(header.contains(&day), "{platform}: the comment at the top does not say what was seen until {day}");
    }
}
