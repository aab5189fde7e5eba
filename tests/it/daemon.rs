//! The program as its operator meets it: a broken configuration, a full disk, a disk that cannot be written.

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use fuelgauge::clock::{Clock, SystemClock};
use fuelgauge::demo::platform::{NewTask, Platform};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::support::agent::{STUDIO, Setup, calm_studio, write_configuration};
use crate::support::daemon::{Daemon, run};

const LABELS: [(&str, &str); 1] = [("account", STUDIO)];
const CHARGED: &str = "fuelgauge_charged_credits_total";
const RELAY: &str = "{host: 127.0.0.1, port: 9, security: none}";

/// A calm studio on a platform that lives in the present, and its configuration in a folder.
async fn stage() -> (TempDir, Platform, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let world = calm_studio(now);
    let setup = Setup::watching(STUDIO, world.clone(), now);
    let platform = Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap();
    let config = write_configuration(folder.path(), &setup, &platform.base_url(), RELAY);
    (folder, platform, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_is_refused_while_the_old_one_runs() {
    let (_folder, _platform, config) = stage().await;
    let good = std::fs::read_to_string(&config).unwrap();
    let daemon = Daemon::serve(&config).await;
    let loaded = "fuelgauge_config_last_reload_successful";
    daemon.wait_for(CHARGED, &LABELS, |value| value == 600.0).await;
    let first = daemon.wait_for(loaded, &[], |value| value == 1.0).await;
    let loaded_at = "fuelgauge_config_last_reload_success_timestamp_seconds";

    for (broken, words) in [
        (good.replace("accounts:", "acounts:"), "did you mean `accounts`"),
        (good.replace("schedule: \"0 * * * *\"", "schedule: \"0 * * *\""), "schedule"),
        (good.replace("ledger/fuelgauge.db", "ledger/other.db"), "hint: restart to change it"),
        (good.replace("platform: meshy", "platform: ./nowhere.yml"), "nowhere.yml"),
        (good.replace("lead@studio.example", "nobody"), "nobody"),
        ("{".to_owned(), "fuelgauge.yml"),
        (String::new(), "fuelgauge.yml"),
    ] {
        assert_ne!(broken, good, "{words}");
        std::fs::write(&config, broken).unwrap();
        let (status, answer) = daemon.reload().await;
        assert_eq!(status, 500, "{answer}");
        assert!(answer.contains(words), "expected `{words}`, found: {answer}");
        let scrape = daemon.scrape().await;
        assert_eq!(scrape.value(loaded, &[]), Some(0.0), "{words}");
        assert_eq!(scrape.value(loaded_at, &[]), first.value(loaded_at, &[]), "{words}");
        assert_eq!(scrape.value("fuelgauge_source_up", &LABELS), Some(1.0), "{words}: the old one runs");
        assert_eq!(daemon.page("/-/healthy").await, "fuelgauge is healthy.\n");
    }

    let renamed = good.replace("plan: {name: studio,", "plan: {name: atelier,");
    assert_ne!(renamed, good);
    std::fs::write(&config, renamed).unwrap();
    assert_eq!(daemon.reload().await, (200, String::new()));
    let scrape = daemon.wait_for("fuelgauge_account_info", &[("plan", "atelier")], |value| value == 1.0).await;
    assert_eq!(scrape.value(loaded, &[]), Some(1.0));
    assert_eq!(scrape.value(CHARGED, &LABELS), Some(600.0));
}

/// Needs a disk that can be filled: a small one in a mount namespace of the process's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_nothing_and_loses_nothing() {
    let (folder, platform, config) = stage().await;
    let disk = folder.path().join("ledger");
    let daemon = Daemon::serve_on_small_disk(&config, &disk, 1_500).await;
    daemon.wait_for(CHARGED, &LABELS, |value| value == 600.0).await;

    // Something else fills the disk, and then there is more to keep than fits into what the ledger has already.
    let filler = daemon.inside(&disk).join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    let now = SystemClock.now();
    for number in 0..600 {
        let mut world = platform.world();
        let at = now + SignedDuration::from_millis(number);
        let task = NewTask { kind: "convert", at, credits: None, prompt: None, key: 0 };
        let id = world.add_task(STUDIO, task).unwrap();
        world.finish_task(id, at + SignedDuration::from_millis(1)).unwrap();
    }
    let (status, answer) = daemon.reload().await;
    let failures = "fuelgauge_store_failures_total";
    if status == 200 {
        daemon.wait_for(failures, &[("operation", "append")], |count| count >= 1.0).await;
        assert!(daemon.log().contains("the disk is full"), "{}", daemon.log());
    } else {
        assert!(answer.contains("the disk is full"), "{answer}");
    }
    assert_eq!(daemon.page("/-/healthy").await, "fuelgauge is healthy.\n");
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value(CHARGED, &LABELS), Some(600.0), "what was kept is shown");

    std::fs::remove_file(filler).unwrap();
    drop(file);
    assert_eq!(daemon.reload().await, (200, String::new()));
    let scrape = daemon.wait_for(CHARGED, &LABELS, |value| value == 1_200.0).await;
    assert_eq!(scrape.value("fuelgauge_unexplained_credits", &LABELS), Some(0.0));
}

/// What a command says on a ledger's folder that is mounted read-only.
fn on_read_only_disk(config: &std::path::Path, command: &str) -> (bool, String) {
    let disk = config.with_file_name("ledger");
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(disk)
        .args([env!("CARGO_BIN_EXE_fuelgauge"), command, "--config.file"])
        .arg(config)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_cannot_be_written_is_said_at_once() {
    let (_folder, _platform, config) = stage().await;
    let (went_well, said) = on_read_only_disk(&config, "serve");
    assert!(!went_well && said.contains("ledger/fuelgauge.db") && said.contains("hint:"), "{said}");
    assert!(said.contains("cannot open the ledger"), "{said}");

    let polled = run(&config, &["poll"]);
    assert!(polled.status.success(), "{}", String::from_utf8_lossy(&polled.stderr));
    let (went_well, said) = on_read_only_disk(&config, "serve");
    assert!(!went_well && said.contains("ledger/fuelgauge.db") && said.contains("hint:"), "{said}");
    // Nothing was harmed.
    let output = run(&config, &["status", "--format", "json"]);
    let lines: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(lines[0]["balance_credits"], "3400");
}
