//! Each command as a person runs it: what it prints where, and the exit code.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuelgauge::clock::SystemClock;
use fuelgauge::demo::catcher::{Act, At, Catcher, Script};
use fuelgauge::demo::platform::{Endpoint, Fault, HOT, Platform, STEADY, World};
use fuelgauge::domain::Credits;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::support::get;
use crate::support::program::Studio;
use crate::support::servers::eventually;
use crate::support::write_secret;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn each_command_explains_itself_with_an_example() {
    let studio = Studio::new();
    for command in [
        "demo",
        "serve",
        "check",
        "poll",
        "status",
        "estimate",
        "import",
        "export",
        "outbox",
        "outbox list",
        "outbox retry",
        "send-test-mail",
        "mapping",
        "mapping test",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = studio.run(&words).await.expect(0).out;
        assert!(help.contains(&format!("\nExample: fuelgauge {command}")), "{help}");
    }
    let help = studio.run(&["--help"]).await.expect(0).out;
    assert!(help.contains("fuelgauge demo"), "{help}");
    assert!(studio.run(&["--version"]).await.expect(0).out.starts_with("fuelgauge 0."));
    studio.run(&[]).await.expect(2).says(&["Usage: fuelgauge"]);
    studio.run(&["stauts"]).await.expect(2).says(&["stauts", "status"]);
    studio.run(&["status", "--at", "yesterday"]).await.expect(2).says(&["yesterday", "such as `2026-11-23T09:00:00Z`"]);
    studio.run(&["serve", "--web.listen-address=here"]).await.expect(2).says(&["such as `127.0.0.1:9780`"]);
    studio.run(&["serve", "--web.telemetry-path=/"]).await.expect(2).says(&["such as `/metrics`"]);
    studio.run(&["status", "--log.level=loud"]).await.expect(2).says(&["loud", "hint: "]);
}

#[tokio::test]
async fn check_says_what_will_happen_or_what_is_wrong() {
    let studio = Studio::new();
    let check = async |file: &str| studio.run(&["check", &format!("--config.file={ROOT}/{file}")]).await;
    for file in ["config/fuelgauge.yml", "config/minimal.yml"] {
        let ended = check(file).await.expect(0);
        assert!(ended.out.contains("next reset of the plan: 2") && ended.out.contains("fine"), "{}", ended.out);
        assert_eq!(ended.err, "");
    }
    for (file, parts) in [
        ("many_mistakes.yml", ["many_mistakes.yml:2:1: unknown key `acounts`", "hint: did you mean `accounts`?"]),
        ("cron_with_four_fields.yml", ["cron_with_four_fields.yml:4:15", "hint: minute hour day-of-month"]),
        ("unreadable_secret.yml", ["unreadable_secret.yml:4:19", "hint: relative paths begin"]),
        ("unknown_platform.yml", ["unknown_platform.yml:3:15", "hint: did you mean `meshy`?"]),
        ("not_yaml.yml", ["not_yaml.yml:1:11", "no YAML"]),
    ] {
        let ended = check(&format!("tests/fixtures/config/{file}")).await.expect(2).says(&parts);
        assert_eq!(ended.out, "", "{file}");
    }
    studio.run(&["check"]).await.expect(2).says(&["config/fuelgauge.yml", "hint: ", "fuelgauge demo"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports.yml");
    let text = "accounts: [{name: studio, timezone: Europe/Berlin}]\n\
                teams: [{name: art, account: studio, roles: {lead: [ada@studio.example], billing: [ben@studio.example]}}]\n\
                alerts: {digest: {schedule: \"0 8 * * mon\", to: [lead, billing]}}\n\
                email:\n  from: fuelgauge@studio.example\n  relay: {host: localhost, security: none}\n  \
                heartbeat: {schedule: \"0 7 * * *\", to: [ops@studio.example]}\n";
    std::fs::write(&file, text).unwrap();
    let ended = studio.run(&["check", &format!("--config.file={}", file.display())]).await.expect(0);
    for line in [
        "  prices: no sheet; only what was charged before is known",
        "`digest art` goes to ada@studio.example, ben@studio.example at `0 8 * * mon`; next runs:",
        "`heartbeat` goes to ops@studio.example at `0 7 * * *`; next runs:",
    ] {
        assert!(ended.out.contains(line), "{}", ended.out);
    }
    let runs = |time: &str| ended.out.lines().filter(|line| line.contains(time)).count();
    assert_eq!((runs(" 08:00 +0"), runs(" 07:00 +00:00 UTC")), (5, 5), "{}", ended.out);
    assert!(!studio.ledger().exists(), "a check makes no ledger");

    write_secret(&folder.path().join("key"), "a key");
    let keter = format!("{ROOT}/config/prices/keter.yml");
    let text = format!(
        "accounts: [{{name: models, platform: tripo, api_key_file: key}}, {{name: studio, prices: {keter}}}]\n\
         teams: [{{name: props, account: models}}, {{name: art, account: studio}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let ended = studio.run(&["check", &format!("--config.file={}", file.display())]).await.expect(0);
    for line in [
        "  prices: 8 of `tripo`, as of 2026-10-08, from https://developers.tripo3d.ai/en/pricing\n",
        "  prices: the sheet of `keter` lists none\n",
    ] {
        assert!(ended.out.contains(line), "{}", ended.out);
    }
}

/// Two teams on a simulated platform: one that is fine, and one with `hot_credits` left.
async fn platform(hot_credits: i64) -> Platform {
    let mut world = World::demo(1, Timestamp::now());
    world.forget_planned_top_ups(HOT.name).unwrap();
    world.set_balance(HOT.name, Credits::from_whole(hot_credits), Credits::ZERO).unwrap();
    Platform::start(Arc::new(Mutex::new(world)), Arc::new(SystemClock)).await.unwrap()
}

fn on_platform(studio: &Studio, platform: &Platform, teams: &[fuelgauge::demo::platform::DemoTeam]) {
    let (mut accounts, mut people) = (String::from("accounts:\n"), String::from("teams:\n"));
    for team in teams {
        studio.write(&format!("config/secrets/{}", team.name), team.api_key);
        let world = platform.world();
        let reset = world.account(team.name).unwrap().setup().reset.clone().unwrap();
        accounts += &format!(
            "  - {{name: {name}, platform: meshy, base_url: \"{url}\", api_key_file: secrets/{name}, \
             timezone: Europe/Berlin, plan: {{anchor: {{day: {day}}}}}}}\n",
            name = team.name,
            url = platform.base_url(),
            day = reset.day,
        );
        people += &format!("  - {{name: {0}, account: {0}, roles: {{lead: [lead@studio.example]}}}}\n", team.name);
    }
    studio.configure(&(accounts + &people));
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_asking_and_estimating_by_hand() {
    let platform = platform(300).await;
    let studio = Studio::new();
    on_platform(&studio, &platform, &[STEADY, HOT]);
    for command in [vec!["status"], vec!["estimate", "--team", HOT.name, "--task", "text-to-3d"]] {
        studio.run(&command).await.expect(1).says(&["there is no ledger at `fuelgauge.db`", "hint: "]);
    }

    let dry = studio.run(&["poll", HOT.name, "--dry-run"]).await.expect(0);
    assert!(dry.out.contains("300 credits left") && dry.out.contains("kept nothing"), "{}", dry.out);
    assert!(!dry.out.contains(STEADY.name), "{}", dry.out);
    let nothing = studio.run(&["status", "--format=json"]).await.expect(0).json();
    assert_eq!(nothing[0]["balance_credits"], serde_json::Value::Null, "a dry run keeps nothing: {nothing}");
    assert_eq!(studio.run(&["status", "--check"]).await.expect(0).out.matches("never read").count(), 2);

    let first = studio.run(&["poll"]).await.expect(0);
    assert!(first.out.contains("kept: ") && first.out.contains(STEADY.name), "{}", first.out);
    let again = studio.run(&["poll", HOT.name, "--format=json", "--log.level=debug"]).await.expect(0);
    assert!(again.err.contains("DEBUG"), "logs go to standard error: {}", again.err);
    let again = again.json();
    assert_eq!((again[0]["account"].as_str(), again[0]["new_tasks"].as_u64()), (Some(HOT.name), Some(0)), "{again}");

    let table = studio.run(&["status"]).await.expect(0).out;
    assert!(table.starts_with(" TEAM") && table.lines().count() == 3 && !table.contains('\u{1b}'), "{table}");
    studio.run(&["status", "--check"]).await.expect(3);
    let lines = studio.run(&["status", "--format=json", "--check"]).await.expect(3).json();
    let risks: Vec<_> = lines.as_array().unwrap().iter().map(|line| line["at_risk"].as_bool().unwrap()).collect();
    assert_eq!(risks, [false, true], "{lines}");
    let told = studio.run(&["status", "--explain"]).await.expect(0).out;
    for part in [
        &format!("\nteam {} on {}\nThe pace is about ", HOT.name, HOT.name),
        "the chance of running out before the reset",
        "USE COUNTS HALF AFTER CREDITS A DAY WEIGHT",
        "12 h",
        "84 days",
        "the plan's pace",
    ] {
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(part) || words.contains(part), "{part}:\n{told}");
    }
    let explained = told.split_once("\nteam ").unwrap().1;
    assert!(explained.lines().all(|line| line.chars().count() <= 72), "{told}");
    let lines = studio.run(&["status", "--explain", "--format=json"]).await.expect(0).json();
    let told = &lines[1]["explanation"];
    assert_eq!(told["chance"]["calibrated"], lines[1]["probability"], "{told}");
    assert_eq!(told["paces"].as_array().map(Vec::len), Some(8), "{told}");
    on_platform(&studio, &platform, &[STEADY]);
    studio.run(&["status", "--check"]).await.expect(0);

    estimates(&studio).await;
    kept_estimates(&studio).await;

    studio
        .run(&["poll", "nobody"])
        .await
        .expect(2)
        .says(&["no account `nobody`", "expected one of: `environment-art`"]);
    platform.set_fault(Endpoint::Balance, Fault::Status { status: 503, retry_after: None });
    let failed = studio.run(&["poll"]).await.expect(1);
    assert!(failed.out.contains("failed (server_error)") && failed.out.contains("kept: "), "{}", failed.out);
    platform.clear_faults();
    studio.write(&format!("config/secrets/{}", STEADY.name), "msy_wrong_key_9876543210");
    let failed = studio.run(&["poll"]).await.expect(1);
    assert!(failed.out.contains("failed (unauthorized)"), "{}", failed.out);
    assert!(!(failed.out + &failed.err).contains("9876543210"), "a key is never shown");
}

async fn estimates(studio: &Studio) {
    let ask = ["estimate", "--team", STEADY.name, "--task", "text-to-3d", "--count", "10"];
    let table = studio.run(&ask).await.expect(0).out;
    for part in ["10 × text-to-3d", "the whole job", "one text-to-3d-preview", "attempts for each asset", "would last."]
    {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let mut before = 0.0;
    for variants in ["1", "2", "4", "8"] {
        let words: Vec<&str> = ask.iter().copied().chain(["--format=json", "--variants", variants]).collect();
        let answer = studio.run(&words).await.expect(0).json();
        let cost: f64 = answer["cost_credits"]["p90"].as_str().unwrap().parse().unwrap();
        assert!(cost > before, "{variants} variants: {cost} after {before}");
        before = cost;
    }
    let too_much = ["--count", "2000", "--check"];
    let words: Vec<&str> = ask[..5].iter().copied().chain(too_much).collect();
    assert!(studio.run(&words).await.expect(3).out.contains("would not last"));

    let unknown = ["estimate", "--team", STEADY.name, "--task", "text-to-4d"];
    let ended = studio.run(&unknown).await.expect(0);
    assert!(ended.out.contains("cost: unknown") && ended.out.contains("hint: known types are `"), "{}", ended.out);
    let words: Vec<&str> = unknown.iter().copied().chain(["--check", "--format=json"]).collect();
    assert!(studio.run(&words).await.expect(3).json()["cost_credits"].is_null());
    let wrong_team = ["estimate", "--team", "environment", "--task", "text-to-3d"];
    studio.run(&wrong_team).await.expect(2).says(&["no team `environment`", "expected one of: `environment-art`"]);
    let words: Vec<&str> = unknown.iter().copied().chain(["--account", "elsewhere"]).collect();
    studio.run(&words).await.expect(2).says(&["does not draw on `elsewhere`", "`environment-art`"]);
}

/// Kept, accepted, taken back; and what is refused.
async fn kept_estimates(studio: &Studio) {
    let ask = ["estimate", "--team", STEADY.name, "--task", "text-to-3d", "--count", "2"];
    let with = |words: &[&'static str]| [&ask[..], words].concat();
    assert!(studio.run(&ask).await.expect(0).out.contains("The credits would last."));
    let nothing = studio.run(&["estimate", "list"]).await.expect(0).out;
    assert_eq!(nothing.trim(), "No estimate is recorded.");

    let kept = studio.run(&with(&["--record", "--label", "two crates", "--by=Ada"])).await.expect(0).out;
    assert!(kept.contains("\nrecorded as 1, open until ") && !kept.contains("forecasts reckon"), "{kept}");
    let plan = studio.run(&with(&["--plan", "--check", "--until=2099-01-01T00:00:00Z"])).await.expect(2);
    plan.says(&["--until: expected at most 92 days after the start"]);
    let plan = studio.run(&with(&["--plan", "--check", "--format=json"])).await.expect(0).json();
    let told = &plan["recorded"];
    assert_eq!((&told["id"], &told["is_planned"], &told["state"]), (&2.into(), &true.into(), &"open".into()), "{told}");
    assert_eq!((&told["cost_credits"], &told["remaining_credits"]), (&plan["cost_credits"], &plan["cost_credits"]));
    let too_much = ["estimate", "--team", STEADY.name, "--task", "text-to-3d", "--count=2000", "--check", "--plan"];
    let refused = studio.run(&too_much).await.expect(3).out;
    assert!(!refused.contains("recorded as"), "what would not last is not kept: {refused}");

    let table = studio.run(&["estimate", "list", "--team", STEADY.name]).await.expect(0).out;
    for part in ["2 × text-to-3d", "two crates", "Ada", "open until ", "planned until ", "0 of 2"] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let accepted = studio.run(&["estimate", "accept", "1", "--format=json"]).await.expect(0).json();
    assert_eq!(accepted["is_planned"], true, "{accepted}");
    let withdrawn = studio.run(&["estimate", "withdraw", "1", "--by=Grace"]).await.expect(0).out;
    assert!(withdrawn.contains("2 × text-to-3d: withdrawn by Grace, "), "{withdrawn}");
    let open = studio.run(&["estimate", "list", "--format=json"]).await.expect(0).json();
    assert_eq!(open.as_array().map(Vec::len), Some(1), "{open}");
    let all = studio.run(&["estimate", "list", "--all", "--format=json"]).await.expect(0).json();
    assert_eq!((&all[0]["outcome"], &all[0]["withdrawn_by"]), (&"withdrawn".into(), &"Grace".into()), "{all}");

    for (words, says) in [
        (vec!["estimate", "accept", "1"], ["estimate `1` is withdrawn; expected an open one", "hint: record it anew"]),
        (vec!["estimate", "withdraw", "9"], ["there is no estimate `9`", "hint: `fuelgauge estimate list --all`"]),
        (vec!["estimate", "list", "--team=nobody"], ["no team `nobody`", "expected one of"]),
        (with(&["--label=x"]), ["--label: expected an estimate that is kept", "hint: add --record"]),
        (with(&["--record", "--at=2026-01-01T00:00:00Z"]), ["cannot be used with", "--at"]),
        (vec!["estimate", "--team=x", "list"], ["list", "cannot be used with"]),
        (vec!["estimate"], ["required", "--team"]),
    ] {
        studio.run(&words).await.expect(2).says(&says);
    }
    let unknown = ["estimate", "--team", STEADY.name, "--task", "text-to-4d", "--record"];
    studio.run(&unknown).await.expect(2).says(&["an unknown cost cannot be recorded", "hint: known types are `"]);
}

/// Ten weeks of charges of three teams up to a noon in November, as a platform's export has them.
fn history() -> String {
    let mut chance = Pcg64::seed_from_u64(4);
    let noon: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let mut rows = Vec::new();
    for (team, per_day) in [("environment-art", 16.0), ("props", 5.0), ("vehicles", 3.0)] {
        let mut at = noon - SignedDuration::from_hours(24 * 70);
        for number in 1.. {
            at += SignedDuration::from_secs_f64(-(1.0 - chance.random::<f64>()).ln() * 86_400.0 / per_day);
            if at >= noon {
                break;
            }
            let (task_type, credits) = [("text-to-3d-preview", 20), ("image-to-3d", 30)][chance.random_range(0..2)];
            let outcome = ["succeeded", "succeeded", "succeeded", "failed", "refunded"][chance.random_range(0..5)];
            let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
            rows.push(format!("{team},{team}-{number},{at},{credits},{task_type},high,{outcome}\n"));
        }
    }
    format!("team,charge_id,at,credits,task_type,quality,outcome\n{}", rows.concat())
}

const WITHOUT_PLATFORM: &str = "\
accounts:
  - {name: studio, timezone: Europe/Berlin, plan: {credits: 14000, reset: \"0 0 1 * *\"}}
teams:
  - {name: environment-art, account: studio, allowance_credits: 7000, match: {project: [env]}, roles: {lead: [a@studio.example]}}
  - {name: props, account: studio, allowance_credits: 5000, match: {project: [props]}, roles: {lead: [b@studio.example]}}
";

#[tokio::test]
async fn importing_a_history_and_looking_at_it() {
    let studio = Studio::new();
    studio.configure(WITHOUT_PLATFORM);
    let text = history();
    let rows = text.lines().count() - 1;
    studio.write("charges.csv", &text);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    studio.write("charges.csv.gz", gzip.finish().unwrap());

    let first = studio.run(&["import", "charges.csv", "--account", "studio"]).await.expect(0);
    assert_eq!(first.out, format!("{rows} rows read: {rows} new, 0 known, 0 rejected\n"));
    // A team that is misspelt in one of the two places is found at once.
    let first = first.says(&["belong to no team", "not in the configuration: `vehicles`"]);
    assert!(!first.err.contains("props"), "{}", first.err);
    let second = ["import", "charges.csv.gz", "--account=studio", "--format=json"];
    let second = studio.run(&second).await.expect(0).json();
    assert_eq!((second["new"].as_u64(), second["known"].as_u64()), (Some(0), Some(rows as u64)));

    let at = "--at=2026-11-20T12:00:00Z";
    let lines = studio.run(&["status", at, "--format=json"]).await.expect(0).json();
    let of = |team: &str| lines.as_array().unwrap().iter().find(|line| line["team"] == team).unwrap().clone();
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    for (team, allowance, at_risk, pace) in
        [("environment-art", 7000.0, true, 250.0..420.0), ("props", 5000.0, false, 60.0..160.0)]
    {
        let line = of(team);
        assert_eq!(line["at_risk"], at_risk, "{line}");
        assert_eq!(number(&line["balance_credits"]), allowance - number(&line["spent_credits"]), "{line}");
        // Where what the account has left ends sooner than the share, the pace is that of all teams.
        let own = if line["shared"] == true { "own_pace_credits_per_day" } else { "pace_credits_per_day" };
        assert!(pace.contains(&line[own].as_f64().unwrap()), "{line}");
        assert_eq!(line["reset"], "2026-11-30T23:00:00Z");
    }
    let run_out: Timestamp = of("environment-art")["run_out"]["p50"].as_str().unwrap().parse().unwrap();
    assert!(run_out < "2026-11-30T23:00:00Z".parse().unwrap());
    studio.run(&["status", at, "--check"]).await.expect(3);
    let table = studio.run(&["status", at]).await.expect(0).out;
    assert!(table.contains("2026-12-01 00:00 +01:00"), "{table}");
}

#[tokio::test]
async fn an_import_that_cannot_be_says_why() {
    let studio = Studio::new();
    studio.configure(WITHOUT_PLATFORM);
    studio.write(
        "rows.csv",
        "team,charge_id,at,credits,task_type,quality,outcome\n\
         props,x1,2026-11-19T00:00:00Z,5,rig,,succeeded\n\
         props,x2,yesterday,5,rig,,succeeded\n\
         props,x3,2026-11-19T00:00:00Z,five,rig,,succeeded\n\
         props,x4,2026-11-19T00:00:00Z,5,rig,,done\n",
    );
    let ended = studio.run(&["import", "rows.csv", "--account=studio"]).await.expect(0);
    assert_eq!(ended.out, "4 rows read: 1 new, 0 known, 3 rejected\n");
    ended.says(&[
        "rows.csv:3: `at`",
        "found `yesterday`",
        "rows.csv:4: `credits`",
        "rows.csv:5: `outcome`",
        "`refunded`",
        "rows.csv: 3 rejected rows are in rows.csv.rejected.csv",
        "hint: mend them there",
    ]);
    let rejects = std::fs::read_to_string(studio.path().join("rows.csv.rejected.csv")).unwrap();
    assert!(rejects.starts_with("team,charge_id,at,credits,task_type,quality,outcome,rejected_line,rejected_reason\n"));
    let mended =
        rejects.replace("yesterday", "2026-11-19T00:00:00Z").replace(",five,", ",5,").replace(",done,", ",failed,");
    studio.write("mended.csv", mended);
    let again = studio.run(&["import", "mended.csv", "--account=studio", "--format=json"]).await.expect(0).json();
    assert_eq!(again, serde_json::json!({"read": 3, "new": 3, "known": 0, "rejected": 0, "without_team": 0}));

    studio.write(
        "columns.yml",
        "columns:\n  charge_id: Id\n  at: {column: Day, format: \"%d.%m.%Y\"}\n  credits: Cost\n  task_type: Tool\n  \
         outcome: {column: Status, values: {Done: succeeded}}\n",
    );
    studio.write("theirs.csv", "Id,Day,Cost,Tool,Status\nx5,19.11.2026,5,rig,Done\nx6,19.11.2026,5,rig,Lost\n");
    let mapped = ["import", "theirs.csv", "--account=studio", "--map=columns.yml", "--rejects=lost.csv"];
    let mapped = studio.run(&mapped).await.expect(0).says(&["theirs.csv:3: `Status` (outcome): expected", "`Lost`"]);
    assert_eq!(mapped.out, "2 rows read: 1 new, 0 known, 1 rejected\n");
    assert!(studio.path().join("lost.csv").exists() && !studio.path().join("theirs.csv.rejected.csv").exists());
    studio.write("columns.yml", "columns: {charge_id: Id, att: Day}\n");
    studio.run(&["import", "theirs.csv", "--account=studio", "--map=columns.yml"]).await.expect(2).says(&[
        "columns.yml:1: columns: unknown field `att`",
        "hint: did you mean `at`?",
        "nothing is said of `at`",
    ]);

    studio.write("header.csv", "when,what\n2026-11-19T00:00:00Z,rig\n");
    let header = studio.run(&["import", "header.csv", "--account=studio"]).await.expect(1);
    header.says(&[
        "header.csv",
        "found no `charge_id`, `at`, `credits`, `task_type`, `outcome`; the columns are `when`, `what`",
        "hint: needed are charge_id, at",
        "--map columns.yml",
    ]);
    let absent = studio.run(&["import", "absent.csv", "--account=studio"]).await.expect(1).says(&["`absent.csv`"]);
    assert_eq!(absent.err.matches("No such file").count(), 1, "{}", absent.err);
    studio
        .run(&["import", "rows.csv", "--account=stduio"])
        .await
        .expect(2)
        .says(&["`stduio`", "expected one of: `studio`"]);
    studio.run(&["import", "rows.csv"]).await.expect(2).says(&["--account"]);
    studio.write("plain.db", "Dear lead, ".repeat(1000));
    studio.write("elsewhere.yml", format!("storage: sqlite:plain.db\n{WITHOUT_PLATFORM}"));
    let no_ledger = studio.run(&["status", "--config.file=elsewhere.yml"]).await.expect(1);
    assert!(no_ledger.err.lines().next().unwrap().contains("not a ledger"), "{}", no_ledger.err);
    assert!(no_ledger.err.lines().last().unwrap().starts_with("hint: "), "{}", no_ledger.err);

    let nothing = studio.run(&["poll"]).await.expect(0).says(&["no account is polled"]);
    assert_eq!(nothing.out, "");
    let json = studio.run(&["poll", "studio", "--format=json"]).await.expect(0).says(&["not polled"]);
    assert_eq!(json.json(), serde_json::json!([]));
}

#[tokio::test]
async fn shot_lists_are_planned_as_a_whole() {
    let studio = Studio::new();
    studio.configure(WITHOUT_PLATFORM);
    studio.write("charges.csv", history());
    studio.run(&["import", "charges.csv", "--account=studio"]).await.expect(0);
    let list = "task,count,variants,team\ntext-to-3d,10,2,\nimage-to-3d,4,,\ntext-to-3d,10,2,props\n";
    studio.write("shots.csv", list);
    let at = "--at=2026-11-20T12:00:00Z";
    let shots = ["estimate", "--team=environment-art", "--shots=shots.csv", at];
    let table = studio.run(&shots).await.expect(0).out;
    for part in ["== environment-art on studio ==", "== props on studio ==", "4 × image-to-3d", "everything"] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let all = studio.run(&[&shots[..], &["--format=json"]].concat()).await.expect(0).json();
    let teams = all["teams"].as_array().unwrap();
    assert_eq!((teams.len(), teams[0]["lines"].as_array().unwrap().len()), (2, 2));
    // A line of a list costs what it does alone.
    let job = ["estimate", "--team=props", "--task=text-to-3d", "--count=10", "--variants=2", at];
    let alone = studio.run(&[&job[..], &["--format=json"]].concat()).await.expect(0).json();
    assert_eq!(teams[1]["cost_credits"], alone["cost_credits"]);
    assert!(teams[1]["cost_credits"]["p50"].is_string(), "{all}");

    // Whoever takes no risk at all is never sure.
    studio.run(&[&shots[..], &["--check", "--risk=0.0001%"]].concat()).await.expect(3);
    for (text, words, expected) in [
        ("task,count\nrig,none\n", &shots[..], "shots.csv:2:2: shots[0].count: expected a whole number"),
        ("task\nrig\n", &["estimate", "--shots=shots.csv"], "shots[0] names no team\nhint: write `team` there"),
        ("task,team\nrig,nobody\n", &shots[..], "no team `nobody`"),
        ("task\nrig\n", &["estimate", "--shots=none.csv"], "none.csv: failed to read the shot list"),
        ("task\nrig\n", &[&shots[..], &["--task=rig"]].concat(), "cannot be used with"),
        ("task\nrig\n", &[&shots[..], &["--risk=2"]].concat(), "expected a percentage such as `20%`"),
    ] {
        studio.write("shots.csv", text);
        studio.run(words).await.expect(2).says(&[expected]);
    }
}

#[tokio::test]
async fn an_export_that_cannot_be_says_why() {
    let studio = Studio::new();
    studio.configure(WITHOUT_PLATFORM);
    let export = async |flags: &[&str]| {
        let words = [&["export", "--account=studio"], flags].concat();
        let ended = studio.run(&words).await;
        assert_eq!(ended.out, "", "{flags:?}");
        ended
    };
    export(&[]).await.expect(1).says(&["there is no ledger at `fuelgauge.db`", "hint: "]);
    assert!(!studio.ledger().exists(), "an export makes no ledger");
    studio.write("none.csv", "charge_id,at,credits,task_type,outcome\n");
    studio.run(&["import", "none.csv", "--account=studio"]).await.expect(0);
    export(&[]).await.expect(1).says(&["knows nothing of account `studio` yet", "hint: "]);
    export(&["--format=openmetrics"]).await.expect(1).says(&["knows nothing of account `studio` yet"]);

    studio.write("charges.csv", history());
    studio.run(&["import", "charges.csv", "--account=studio"]).await.expect(0);
    let stranger = studio.run(&["export", "--account=stduio"]).await.expect(2);
    stranger.says(&["no account `stduio`", "expected one of: `studio`"]);
    for (flags, code, parts) in [
        (&["--format=json"][..], 2, &["json", "csv, openmetrics"][..]),
        (&["--step=1m"], 2, &["`--step` and `--label` are for `--format openmetrics`"]),
        (&["--format=openmetrics", "--step=10m"], 2, &["10m", "from `1s` to `5m`", "gaps"]),
        (&["--format=openmetrics", "--label=job"], 2, &["such as `job=fuelgauge`"]),
        (&["--format=openmetrics", "--label=team=x"], 2, &["the label `team` is there already"]),
        (&["--from=yesterday"], 2, &["yesterday", "such as `2026-11-23T09:00:00Z`"]),
        (&["--from=2026-11-02T00:00:00Z", "--to=2026-11-01T00:00:00Z"], 2, &["expected `--from` before `--to`"]),
        (&["--output=tmp"], 1, &["`tmp` is a folder, expected a file"]),
        (&["--output=absent/charges.csv"], 1, &["cannot make `absent/charges.csv`", "No such file"]),
    ] {
        export(flags).await.expect(code).says(parts);
    }

    // A file is there once it is whole; nothing else stays behind.
    export(&["--output=tmp/charges.csv"]).await.expect(0);
    export(&["--output=tmp/past.gz", "--format=openmetrics", "--from=2026-11-19T00:00:00Z"]).await.expect(0);
    let mut left = studio.left_in_temporary_folder();
    left.sort();
    assert_eq!(left, ["charges.csv", "past.gz"]);
    let rows = std::fs::read_to_string(studio.path().join("tmp/charges.csv")).unwrap();
    assert_eq!(rows.lines().count(), history().lines().count());
    assert!(std::fs::read(studio.path().join("tmp/past.gz")).unwrap().starts_with(&[0x1f, 0x8b]));
    let nothing = studio.run(&["export", "--account=studio", "--to=2020-01-01T00:00:00Z"]).await.expect(0);
    assert_eq!(nothing.out.lines().count(), 1, "the names of the columns: {}", nothing.out);
}

#[tokio::test]
async fn a_mapping_is_tried_on_an_answer() {
    let studio = Studio::new();
    let fixture = |name: &str| format!("--response={ROOT}/tests/fixtures/platforms/meshy/{name}");
    let test = async |mapping: &str, endpoint: &str, response: &str| {
        studio.run(&["mapping", "test", mapping, &format!("--endpoint={endpoint}"), response]).await
    };
    let good = test("meshy", "balance", &fixture("balance.json")).await.expect(0);
    assert_eq!(good.out, "available=1840\n1 record\n");
    let (file, tasks) = (format!("{ROOT}/config/platforms/meshy.yml"), fixture("list.text-to-3d.page1.json"));
    let by_path = test(&file, "tasks", &tasks).await.expect(0).out;
    assert!(by_path.contains("state=running") && by_path.ends_with("3 records\n"), "{by_path}");

    studio.write("lots.json", r#"{"balance": "lots"}"#);
    studio.write("short.json", r#"{"balance": "#);
    let bad = test("meshy", "balance", "--response=lots.json").await.expect(1);
    assert_eq!(bad.says(&["lots.json", "`balance`", "field `available`", "found `lots`"]).out, "");
    test("meshy", "balance", "--response=short.json").await.expect(1).says(&["short.json", "the end came too early"]);
    test("meshy", "balance", "--response=absent.json").await.expect(1).says(&["absent.json"]);
    test("meshy", "balnce", "--response=lots.json").await.expect(2).says(&["`balnce`", "`balance`, `charges`"]);
    test("meshi", "balance", "--response=lots.json").await.expect(2).says(&["`meshi`", "hint: ", "`meshy`"]);
    test("keter", "balance", "--response=lots.json").await.expect(2).says(&["must be filled in", "hint: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_shows_its_dialogue() {
    let studio = Studio::new();
    let catcher = Catcher::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let port = catcher.local_addr().port();
    let with_relay = |port: u16| {
        let relay = format!("{{host: 127.0.0.1, port: {port}, security: none}}");
        studio.configure(&format!("{WITHOUT_PLATFORM}email: {{from: fuelgauge@studio.example, relay: {relay}}}\n"));
    };
    with_relay(port);
    let sent = studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(0);
    for part in ["EHLO", "MAIL FROM:<fuelgauge@studio.example>", "RCPT TO:<lead@studio.example>", "250", "accepted by"]
    {
        assert!(sent.out.contains(part), "{part}:\n{}", sent.out);
    }
    assert_eq!(catcher.wait_for(1).await[0].recipients, ["lead@studio.example"]);
    let refuse = (At::Recipient, Act::Reply("550 5.1.1 nobody of that name".to_owned()));
    catcher.set_script(Script { faults: vec![refuse], ..Script::default() });
    let refused = studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(1);
    let end = "> RCPT TO:<lead@studio.example>\n< 550 5.1.1 nobody of that name\n> QUIT\n< 221 2.0.0 Bye\n";
    assert!(refused.out.ends_with(end), "{}", refused.out);
    refused.says(&["not accepted (permanent)", "550", "nobody of that name"]);
    studio.run(&["send-test-mail", "lead"]).await.expect(2).says(&["`lead` is no mail address"]);
    with_relay(1);
    studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(1).says(&["127.0.0.1:1", "hint: "]);
    studio.configure(WITHOUT_PLATFORM);
    studio.run(&["send-test-mail", "lead@studio.example"]).await.expect(2).says(&["no `email`", "hint: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let studio = Studio::new();
    let flags = ["demo", "--web.listen-address=127.0.0.1:0", "--speed=6"];
    let mut demo = studio.start(&flags);
    let page = eventually("the demo to say where to look", async || {
        demo.expect_alive();
        let out = demo.stdout();
        let (_, rest) = out.split_once("every team's gauge")?;
        out.contains("Ctrl-C ends it").then(|| rest.split_whitespace().next().unwrap().trim_end_matches('/').to_owned())
    })
    .await;
    eventually("the alert and its mail", async || {
        let out = demo.stdout();
        (out.contains("alert fires") && out.contains("mail to lead.character-art@studio.example")).then_some(())
    })
    .await;
    for (path, part) in [
        ("/", HOT.name),
        ("/teams/character-art", "credits"),
        ("/demo/mails", "character-art"),
        ("/demo/mails/1", "Warning"),
        ("/metrics", "fuelgauge_balance_credits{"),
        ("/plan?team=character-art&task=text-to-3d&count=20", "The credits would"),
    ] {
        let (status, text) = get(&format!("{page}{path}")).await.unwrap();
        assert!(status == 200 && text.contains(part), "{path}: {status} {text}");
    }
    // The token that it prints opens the API too.
    let out = demo.stdout();
    let token = out.lines().find_map(|line| line.trim().strip_prefix("token ")).unwrap().trim();
    let asked = reqwest::Client::new()
        .post(format!("{page}/api/v1/estimate"))
        .bearer_auth(token)
        .json(&serde_json::json!({"team": "character-art", "task": "text-to-3d", "count": 20}))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 200);
    assert_eq!(studio.left_in_temporary_folder().len(), 1);
    let ended = demo.stop("INT", Duration::from_secs(10)).await.expect(0);
    assert!(ended.out.contains("\nstopping\n"), "{}", ended.out);
    assert_eq!(ended.err, "", "nothing that looks like trouble");
    assert_eq!(studio.left_in_temporary_folder(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_keeps_what_it_is_told_to() {
    let studio = Studio::new();
    let flags = ["demo", "--web.listen-address=127.0.0.1:0", "--speed=6", "--keep=kept"];
    let mut demo = studio.start(&flags);
    let mail = studio.path().join("kept/mails/001.eml");
    eventually("a kept mail", async || {
        demo.expect_alive();
        mail.exists().then_some(())
    })
    .await;
    demo.stop("TERM", Duration::from_secs(10)).await.expect(0);
    let text = std::fs::read_to_string(mail).unwrap();
    assert!(text.contains("Message-ID: <") && text.contains("\r\n"), "{text}");
    assert!(studio.path().join("kept/fuelgauge.db").exists());

    // What was kept can be looked at with the other commands, and is not written over.
    let status = studio.run(&["status", "--config.file=kept/fuelgauge.yml"]).await.expect(0);
    assert!(status.out.contains(HOT.name), "{}", status.out);
    studio.run(&flags).await.expect(1).says(&["kept/fuelgauge.db", "is there already", "hint: "]);
    studio.run(&["demo", "--speed=0"]).await.expect(2).says(&["--speed"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    studio.run(&["demo", &address]).await.expect(1).says(&["failed to listen", "hint: "]);
}
