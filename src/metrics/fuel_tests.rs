use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::watch;

use super::*;
use crate::domain::{AccountName, Buckets, DrawKey, PlanPeriod, TeamName};
use crate::metrics::families::{Family, Kind};
use crate::metrics::{Metrics, sample};

/// The scrape's text for a snapshot, account families only.
fn scrape(snapshot: Snapshot) -> String {
    let accepted = BTreeMap::from([("alertmanager", sample::now())]);
    families(&snapshot, &accepted).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn of(account: AccountAssessment) -> String {
    scrape(Snapshot { accounts: vec![Arc::new(account)], ..Snapshot::default() })
}

/// The samples of some families, without comments.
fn samples<'a>(text: &'a str, families: &[&str]) -> Vec<&'a str> {
    let name = |line: &'a str| line.split(['{', ' ']).next().unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#') && families.contains(&name(line))).collect()
}

fn series(text: &str) -> Vec<&str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

fn promtool_check(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool, which comes with Prometheus, must be installed to run this test");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}");
}

#[test]
fn a_scrape_of_the_sample() {
    let text = scrape(sample::snapshot());
    let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn promtool_has_nothing_to_complain_of() {
    let (_keep, receiver) = watch::channel(Arc::new(sample::snapshot()));
    let metrics = Metrics::new(receiver).unwrap();
    metrics.agent.initialize_account("studio", &Collector::ALL, &["timeout"]);
    metrics.agent.notifications.get_metric_with_label_values(&["email"]).unwrap().inc();
    promtool_check(&metrics.render().unwrap());
}

#[test]
fn every_family_of_the_table_can_be_seen_and_no_other() {
    let mut account = (*sample::snapshot().accounts[1]).clone();
    account.balance = Some(sample::balance(410));
    account.queue.clone_from(&sample::snapshot().accounts[0].queue);
    account.unexplained = Some(Credits::ZERO);
    let expiring = Buckets { next_expiry: Some((sample::now(), Credits::from_whole(5))), ..Buckets::default() };
    account.buckets = Some(expiring);
    account.prices.clone_from(&sample::snapshot().accounts[0].prices);
    let run_out = account.draws[0].outlook.forecast().map(|forecast| forecast.run_out);
    account.draws[0].plan_run_out = run_out;
    let outbox = sample::snapshot().outbox;
    let text =
        scrape(Snapshot { accounts: vec![Arc::new(account), Arc::new(budgeted())], outbox, ..Snapshot::default() });
    let seen: HashSet<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(seen, FUEL.iter().map(|family| family.name).collect());
}

/// A prepaid account of which 500 credits may be spent in November.
fn budgeted() -> AccountAssessment {
    let november = PlanPeriod { provenance: Provenance::Budget, ..sample::november(500) };
    let draw = sample::draw(sample::key("wallet", "art"), 500, 380, FuelLimit::Budget, no_forecast());
    AccountAssessment {
        balance: Some(sample::balance(2400)),
        spent: Credits::from_whole(120),
        draws: vec![DrawAssessment { period: Some(november), ..draw }],
        ..sample::account("wallet", "3daistudio")
    }
}

#[test]
fn a_budget_is_told_beside_the_balance() {
    let text = scrape(Snapshot { accounts: vec![Arc::new(budgeted())], ..sample::snapshot() });
    assert_eq!(
        samples(
            &text,
            &["fuelgauge_balance_credits", "fuelgauge_budget_left_credits", "fuelgauge_plan_allowance_credits"]
        ),
        [
            r#"fuelgauge_balance_credits{account="wallet",team="art",bucket="available"} 2400"#,
            r#"fuelgauge_budget_left_credits{account="wallet"} 380"#,
            r#"fuelgauge_plan_allowance_credits{account="wallet",team="art"} 500"#,
        ]
    );
}

#[test]
fn names_follow_the_rules_of_the_house() {
    for (name, kind, labels, help) in crate::metrics::families() {
        let family = Family { name, kind, labels, help };
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{family:?}");
        assert!(name.starts_with("fuelgauge_") || name.starts_with("process_"), "{family:?}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{family:?}");
        assert!(help.ends_with('.') && help.len() > 20, "{family:?}");
        let allowed = "account platform plan team bucket task_type quality collector state kind window bound alert \
                       severity channel reason outcome job_name operation version revision as_of";
        assert!(labels.iter().all(|label| allowed.split_whitespace().any(|a| a == *label)), "{family:?}");
    }
    let names: Vec<&str> = crate::metrics::families().iter().map(|family| family.0).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
}

#[test]
fn hostile_names_are_escaped_and_stay_one_line() {
    let mut account = sample::account("a\"b\\c", "x\ny");
    let outlook = crate::domain::Outlook::UnknownBalance;
    let key =
        DrawKey { account: account.account.clone(), team: TeamName::parse("Käfer \\n\" } 1 {team=\"x\"}").unwrap() };
    let mut draw = sample::draw(key, 100, 40, FuelLimit::Balance, outlook);
    draw.totals = vec![sample::totals("a\nb", "q\"\\", 3, 0, 1, 0)];
    account.draws = vec![draw];
    account.balance = Some(sample::balance(40));
    let text = of(account);
    assert_eq!(
        samples(&text, &["fuelgauge_account_info", "fuelgauge_balance_credits", "fuelgauge_charged_credits_total"]),
        [
            r#"fuelgauge_account_info{account="a\"b\\c",platform="x\ny",plan="studio"} 1"#,
            r#"fuelgauge_balance_credits{account="a\"b\\c",team="Käfer \\n\" } 1 {team=\"x\"}",bucket="available"} 40"#,
            concat!(
                r#"fuelgauge_charged_credits_total{account="a\"b\\c",team="Käfer \\n\" } 1 {team=\"x\"}","#,
                r#"task_type="a\nb",quality="q\"\\"} 3"#
            ),
        ]
    );
    promtool_check(&text);
}

#[test]
fn what_is_stale_leaves_a_gap_and_counters_stay() {
    let fresh = (*sample::snapshot().accounts[1]).clone();
    let gauges = [
        "fuelgauge_balance_credits",
        "fuelgauge_queue_tasks",
        "fuelgauge_spend_credits_per_second",
        "fuelgauge_burn_ratio",
        "fuelgauge_runway_seconds",
        "fuelgauge_forecast_exhaustion_timestamp_seconds",
        "fuelgauge_forecast_exhaustion_probability_ratio",
        "fuelgauge_forecast_unused_credits",
        "fuelgauge_pending_credits",
    ];
    let counters =
        ["fuelgauge_charged_credits_total", "fuelgauge_task_retries_total", "fuelgauge_granted_credits_total"];
    let mut stale = AccountAssessment { queue: sample::snapshot().accounts[0].queue.clone(), ..fresh };
    let before = of(stale.clone());
    for gauge in gauges {
        assert!(!samples(&before, &[gauge]).is_empty(), "{gauge}");
    }
    for status in &mut stale.collectors {
        status.last_success_at = Some(sample::now() - SignedDuration::from_secs(901));
    }
    let after = of(stale);
    assert_eq!(samples(&after, &gauges), Vec::<&str>::new());
    assert_eq!(samples(&after, &counters), samples(&before, &counters));
    assert_eq!(samples(&after, &["fuelgauge_alerts_active"]), samples(&before, &["fuelgauge_alerts_active"]));
    assert!(!samples(&after, &["fuelgauge_source_last_success_timestamp_seconds"]).is_empty());
}

#[test]
fn a_stale_balance_takes_its_forecast_along_and_leaves_the_pace() {
    let mut account = (*sample::snapshot().accounts[1]).clone();
    account.collectors.retain(|status| status.collector != Collector::Balance);
    account.collectors.push(sample::collector(Collector::Balance, 16));
    account.draws[0].fuel.as_mut().unwrap().fresh = false;
    let text = of(account);
    let gone = ["fuelgauge_balance_credits", "fuelgauge_runway_seconds", "fuelgauge_forecast_unused_credits"];
    assert_eq!(samples(&text, &gone), Vec::<&str>::new());
    assert_eq!(samples(&text, &["fuelgauge_spend_credits_per_second"]).len(), 3);
}

#[test]
fn what_came_by_push_goes_by_its_age() {
    let pushed = |minutes_ago: i64| {
        let mut account = sample::account("pushed", "");
        account.collectors = Vec::new();
        account.balance = Some((sample::balance(70).0, sample::now() - SignedDuration::from_mins(minutes_ago)));
        of(account)
    };
    assert_eq!(samples(&pushed(15), &["fuelgauge_balance_credits"]).len(), 1);
    assert_eq!(samples(&pushed(16), &["fuelgauge_balance_credits"]).len(), 0);
    assert_eq!(samples(&pushed(15), &["fuelgauge_source_up"]).len(), 0);
}

#[test]
fn an_empty_snapshot_is_a_scrape() {
    let (_keep, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let text = Metrics::new(receiver).unwrap().render().unwrap();
    assert!(text.contains("fuelgauge_build_info{revision="), "{text}");
    assert!(
        text.contains("\nfuelgauge_notification_outbox_messages{channel=\"email\",state=\"waiting\"} 0\n"),
        "{text}"
    );
    assert!(text.ends_with('\n'));
    promtool_check(&text);
}

#[test]
fn no_series_appears_twice_even_if_names_do() {
    let mut snapshot = sample::snapshot();
    let mut doubled = (*snapshot.accounts[0]).clone();
    doubled.draws.push(doubled.draws[0].clone());
    doubled.collectors.push(doubled.collectors[0].clone());
    let again = doubled.draws[0].totals.clone();
    doubled.draws[0].totals.extend(again);
    snapshot.accounts[0] = Arc::new(doubled.clone());
    snapshot.accounts.push(Arc::new(doubled));
    let text = scrape(snapshot);
    let series = series(&text);
    assert_eq!(series.iter().collect::<HashSet<_>>().len(), series.len());
}

#[test]
fn too_many_task_types_and_qualities_are_summed_as_other() {
    let account = |task_types: std::ops::Range<u32>| {
        let mut account = sample::account("studio", "meshy");
        let mut draw = sample::draw(sample::key("studio", "art"), 100, 40, FuelLimit::Balance, no_forecast());
        draw.totals = task_types
            .flat_map(|i| {
                let row = |quality: u32| {
                    sample::totals(&format!("type-{i:03}"), &format!("quality-{quality:02}"), 1, 0, 1, 0)
                };
                (0..21).map(row).collect::<Vec<_>>()
            })
            .collect();
        draw.retries = vec![sample::retries("type-099", RetryKind::Rerun, 4, 8)];
        account.draws = vec![draw];
        of(account)
    };
    let other = |text: &str, family: &str| -> f64 {
        let rows = samples(text, &[family]);
        let rows = rows.iter().filter(|row| row.contains("task_type=\"other\""));
        rows.map(|row| row.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    let text = account(1..61);
    let charged = samples(&text, &["fuelgauge_charged_credits_total"]);
    assert_eq!(charged.len(), 51 * 21, "50 types and other, 20 qualities and other");
    assert_eq!(other(&text, "fuelgauge_charged_credits_total"), 210.0);
    assert_eq!(other(&text, "fuelgauge_tasks_finished_total"), 210.0);
    assert_eq!(other(&text, "fuelgauge_task_retries_total"), 4.0);
    assert_eq!(
        samples(&text, &["fuelgauge_folded_task_types"]),
        ["fuelgauge_folded_task_types{account=\"studio\"} 11"]
    );
    assert_eq!(samples(&text, &["fuelgauge_folded_qualities"]), ["fuelgauge_folded_qualities{account=\"studio\"} 1"]);
    let one_more = account(0..61);
    assert!(other(&one_more, "fuelgauge_charged_credits_total") > 210.0, "a new word never makes the rest fall");
}

#[test]
fn numbers_that_are_none_have_no_sample() {
    let mut account = (*sample::snapshot().accounts[1]).clone();
    account.draws[0].spend.hour = Some(f64::NAN);
    account.draws[0].period = None;
    let text = of(account);
    assert!(!text.contains("NaN"));
    assert_eq!(samples(&text, &["fuelgauge_spend_credits_per_second"]).len(), 2);
    assert_eq!(samples(&text, &["fuelgauge_burn_ratio", "fuelgauge_plan_reset_timestamp_seconds"]).len(), 0);
}

#[test]
fn a_burn_ratio_above_one_means_gone_before_the_reset() {
    let mut account = (*sample::snapshot().accounts[1]).clone();
    let seconds_left = 8.5 * 86_400.0;
    account.draws[0].spend.day = Some(2.0 * 410.0 / seconds_left);
    let text = of(account.clone());
    let ratio = samples(&text, &["fuelgauge_burn_ratio"]).into_iter().find(|row| row.contains("1d")).unwrap();
    assert!(ratio.ends_with("} 2"), "{ratio}");
    account.draws[0].fuel.as_mut().unwrap().left = Credits::ZERO;
    assert_eq!(samples(&of(account), &["fuelgauge_burn_ratio"]).len(), 0);
}

#[test]
fn scrapes_at_the_same_time_see_whole_snapshots() {
    let (sender, receiver) = watch::channel(Arc::new(sample::snapshot()));
    let metrics = Metrics::new(receiver).unwrap();
    let account_lines = |text: &str| text.lines().filter(|line| line.contains("account=")).count();
    let (full, empty) = (account_lines(&metrics.render().unwrap()), 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let lines = account_lines(&metrics.render().unwrap());
                    assert!(lines == full || lines == empty, "{lines}");
                }
            });
        }
        for turn in 0..100 {
            sender.send_replace(Arc::new(if turn % 2 == 0 { Snapshot::default() } else { sample::snapshot() }));
        }
    });
}

#[test]
fn ten_thousand_series_take_no_time_worth_speaking_of() {
    let accounts = (0..100).map(|i| {
        let name = format!("account-{i:03}");
        let mut account = sample::account(&name, "meshy");
        account.account = AccountName::parse(&name).unwrap();
        let mut draw = sample::draw(sample::key(&name, "art"), 100, 40, FuelLimit::Balance, no_forecast());
        draw.totals = (0..20).map(|t| sample::totals(&format!("type-{t}"), "high", 1, 0, 1, 0)).collect();
        account.draws = vec![draw];
        Arc::new(account)
    });
    let (_keep, receiver) = watch::channel(Arc::new(Snapshot { accounts: accounts.collect(), ..Snapshot::default() }));
    let metrics = Metrics::new(receiver).unwrap();
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let text = metrics.render().unwrap();
        took.push(began.elapsed());
        assert!(series(&text).len() > 10_000, "{}", series(&text).len());
    }
    took.sort();
    println!("a scrape of 10,000 series: median {:?}, slowest {:?}", took[5], took[9]);
    // Generous, because this is an unoptimized build on a machine that does other things; the figure is for the bench.
    assert!(took[0] < Duration::from_secs(1), "{took:?}");
}

fn no_forecast() -> crate::domain::Outlook {
    crate::domain::Outlook::TooLittleHistory { hours: 3, charges: 2, guess: None }
}
