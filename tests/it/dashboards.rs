//! The shipped dashboard and rules: valid, complete, and about metrics that exist.

use std::process::Command;

fn dashboard() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/fuel.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn each_panel_has_a_title_a_description_and_a_unit() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty());
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "$datasource", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(expression.contains(r#"job=~"$job",instance=~"$instance""#), "{title}: {expression}");
        }
    }
}

#[test]
fn the_rules_do_what_their_cases_say() {
    for arguments in [
        ["check", "rules", "--lint=all", "--lint-fatal", "dashboards/rules.yml"].as_slice(),
        &["test", "rules", "tests/fixtures/rules.test.yml"],
        &["check", "config", "config/prometheus.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("promtool is installed by ./test");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
