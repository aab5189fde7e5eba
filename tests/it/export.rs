//! The past, exported: by the letter, the same series as in a scrape, and answered for by a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use fuelgauge::demo::platform::{HOT, World};
use fuelgauge::domain::{AccountName, Credits, Entry, EntryKind};
use jiff::{SignedDuration, Timestamp};

use crate::support::agent::{Setup, TestAgent};
use crate::support::openmetrics::{self, Family};
use crate::support::program::Studio;
use crate::support::servers::Prometheus;

/// A team that tries to end its label, its line and its series.
const TEAM: &str = r#"Käfer "art" \n} 1 {team="x"}"#;

/// A word of a platform that means harm.
const TASK_TYPE: &str = r#"=rig "a\b"#;

/// Charges of the weeks that the platform's lists do not reach back to, one each night; every fourth was refunded.
fn earlier_charges(until: Timestamp) -> String {
    let task_type = TASK_TYPE.replace('"', "\"\"");
    let row = |night: i64| {
        let (at, outcome) = (until - hours(24 * night), if night % 4 == 0 { "refunded" } else { "succeeded" });
        format!("h{night},{at},2.5,\"{task_type}\",\"\"\"}}\",{outcome}\n")
    };
    "charge_id,at,credits,task_type,quality,outcome\n".to_owned() + &(1..=40).map(row).collect::<String>()
}

const LABELS: [(&str, &str); 2] = [("job", "fuelgauge"), ("instance", "gauge.studio.example:9780")];

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

async fn entries(stage: &TestAgent) -> Vec<Entry> {
    let account = AccountName::parse(HOT.name).unwrap();
    let entries = stage.shared.store.entries(&account, 0, 100_000).await.unwrap();
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn sum(entries: &[Entry], kind: EntryKind, since: Timestamp) -> f64 {
    let of_kind = entries.iter().filter(|entry| entry.kind == kind && entry.at > since);
    of_kind.map(|entry| entry.credits).sum::<Credits>().as_f64()
}

/// A value of each series, by name and labels as a scrape has them.
type Values = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// The last value of each exported series, and the first and last instant of all.
fn ends(families: &[Family]) -> (Values, Timestamp, Timestamp) {
    let (mut ends, mut first, mut last) = (BTreeMap::new(), i64::MAX, i64::MIN);
    for family in families {
        let name = if family.kind == "counter" { format!("{}_total", family.name) } else { family.name.clone() };
        for series in &family.series {
            let mut labels = series.labels.clone();
            for (label, value) in LABELS {
                assert_eq!(labels.remove(label).as_deref(), Some(value), "{name}");
            }
            let steps = series.samples.windows(2).map(|pair| pair[1].0 - pair[0].0);
            assert_eq!(steps.collect::<BTreeSet<_>>(), [300].into(), "{name} {labels:?}");
            let (end, value) = *series.samples.last().unwrap();
            (first, last) = (first.min(series.samples[0].0), last.max(end));
            ends.insert((name.clone(), labels), value);
        }
    }
    (ends, Timestamp::from_second(first).unwrap(), Timestamp::from_second(last).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_shows_the_past_from_day_one() {
    let began: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let mut world = World::demo(1, began);
    world.forget_planned_top_ups(HOT.name).unwrap();
    let setup = Setup { team: Some(TEAM.to_owned()), has_short_pages: true, ..Setup::watching(HOT.name, world, began) };
    let stage = TestAgent::start(setup).await;
    let studio = Studio::new();
    let config = format!("--config.file={}", stage.config.path.display());
    let charges = studio.write("earlier.csv", earlier_charges(began)).display().to_string();
    studio.run(&["import", &charges, "--account", HOT.name, &config]).await.expect(0);

    // Four days of polls, with a top-up in the middle.
    let balance = [("account", HOT.name)];
    let mut balances = Vec::new();
    for poll in 0..17 {
        let now = began + hours(6 * poll);
        if poll == 8 {
            stage.platform.world().top_up(HOT.name, Credits::from_whole(6_000)).unwrap();
        }
        stage.poll_at(now).await;
        balances.push((now, stage.scrape().await.value("fuelgauge_balance_credits", &balance).unwrap()));
    }
    let now = stage.shared.clock.now();
    let scrape = stage.scrape().await;
    let entries = entries(&stage).await;

    let (to, file) = (format!("--to={}", now + SignedDuration::from_secs(301)), studio.path().join("past.om"));
    let [job, instance] = LABELS.map(|(name, value)| format!("--label={name}={value}"));
    let export = ["export", "--account", HOT.name, "--format=openmetrics", &config, &to, &job, &instance];
    let text = studio.run(&export).await.expect(0).out;
    studio.run(&[&export[..], &["--output=past.om"]].concat()).await.expect(0);
    assert!(std::fs::read_to_string(&file).unwrap() == text, "a file holds what standard output does");

    // By the letter, and the same series with the same values as in the scrape of that moment.
    let families = openmetrics::read(&text);
    let (exported, first, last) = ends(&families);
    assert!(last >= now && last < now + SignedDuration::from_mins(10), "{last}");
    let names: BTreeSet<&str> = exported.keys().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    let scraped: Values = scrape
        .samples
        .iter()
        .filter(|sample| names.contains(sample.name.as_str()))
        .map(|sample| ((sample.name.clone(), sample.labels.clone()), sample.value))
        .collect();
    assert_eq!(exported, scraped);

    // The charges as a file, into a ledger that knows no platform, and out again.
    let charges = studio.run(&["export", "--account", HOT.name, &config]).await.expect(0).out;
    let other = Studio::new();
    let team = serde_json::to_string(TEAM).unwrap();
    let roles = "{lead: [lead@studio.example]}";
    other.configure(&format!(
        "accounts: [{{name: {0}}}]\nteams: [{{name: {team}, account: {0}, roles: {roles}}}]\n",
        HOT.name
    ));
    other.write("charges.csv", &charges);
    let imported = other.run(&["import", "charges.csv", "--account", HOT.name]).await.expect(0);
    assert!(imported.out.contains("0 known, 0 rejected"), "{imported:?}");
    let again = other.run(&["export", "--account", HOT.name]).await.expect(0).out;
    assert!(charges.lines().count() > 100 && again == charges, "charges came back otherwise");

    let prometheus = Prometheus::knowing(&file).await;
    let one = async |query: &str, at: Timestamp| {
        let found = prometheus.query_at(query, at).await;
        assert_eq!(found.len(), 1, "{query} at {at}: {found:?}");
        found[0].1
    };
    // What was charged since ever, and what in thirty days, whose first step Prometheus leaves to the one before.
    let team = format!("team={}", serde_json::to_string(TEAM).unwrap());
    let charged = format!("sum(increase(fuelgauge_charged_credits_total{{{team},job=\"fuelgauge\"}}[200d]))");
    let all = sum(&entries, EntryKind::Charge, Timestamp::MIN);
    let found = one(&charged, last).await;
    assert!(all > 3_000.0 && (found - all).abs() < 1e-6, "{found}, expected {all}");
    let month = last - hours(30 * 24);
    assert!(first < month, "the history is shorter than a month: {first}");
    for (query, kind) in
        [("charged", EntryKind::Charge), ("refunded", EntryKind::Refund), ("granted", EntryKind::Grant)]
    {
        let expected = sum(&entries, kind, month);
        let found = one(&format!("sum(increase(fuelgauge_{query}_credits_total[30d]))"), last).await;
        assert!(expected > 0.0 && (found - expected).abs() <= expected * 1e-3, "{query}: {found}, expected {expected}");
    }
    let hostile = format!("{{{team},task_type={},quality=\"\\\"}}\"}}", serde_json::to_string(TASK_TYPE).unwrap());
    for (family, expected) in [("charged", 100.0), ("refunded", 25.0)] {
        let query = format!("increase(fuelgauge_{family}_credits_total{hostile}[200d])");
        assert!((one(&query, last).await - expected).abs() < 1e-6, "{query}");
    }

    // The balance as it was read, also between polls, and unknown before the first.
    for (at, left) in &balances {
        let found = one("sum(fuelgauge_balance_credits)", *at + SignedDuration::from_mins(2)).await;
        assert_eq!(found, *left, "{at}");
    }
    let unread = prometheus.query_at("fuelgauge_balance_credits", began - hours(1)).await;
    assert_eq!(unread, []);

    // No gap: something at each of the minutes.
    for (query, days, least) in
        [("fuelgauge_granted_credits_total", 30, 30 * 24 * 60), ("fuelgauge_balance_credits", 4, 4 * 24 * 60)]
    {
        let minutes = one(&format!("sum(count_over_time(({query})[{days}d:1m]))"), now).await;
        assert!(minutes >= f64::from(least), "{query}: {minutes} of {least}");
    }
}
