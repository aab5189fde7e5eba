use super::*;
use crate::domain::{BalanceRecord, Basis, DrawKey, Fingerprint, PlanRecord, Reading, TaskRecord, TaskState, TeamName};
use crate::store::{Incoming, Store};

/// A plan of so many credits: what the first balance was made of, nobody knows.
fn plan() -> DeclaredPlan {
    DeclaredPlan { credits: Some(Credits::from_whole(100)), ..DeclaredPlan::default() }
}

/// A Saturday, at a whole hour.
const START: i64 = 1_790_000_000 - 1_790_000_000 % 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn account() -> AccountName {
    AccountName::parse("studio").unwrap()
}

fn draws() -> Vec<Draw> {
    let key = DrawKey { account: account(), team: TeamName::parse("art").unwrap() };
    vec![Draw { key, selector: None, allowance: None }]
}

/// A task of a type, launched so many seconds after the start.
fn task(id: &str, seconds: i64, state: TaskState, task_type: &str, credits: i64) -> TaskRecord {
    TaskRecord { credits: Some(Credits::from_whole(credits)), ..TaskRecord::new(id, at(seconds), state, task_type) }
}

/// A ledger that holds what was read, each reading at its second.
async fn ledger(readings: Vec<(i64, Reading)>) -> (tempfile::TempDir, Store) {
    let folder = tempfile::TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
    store.open_account(&account(), [7; 16]).await.unwrap();
    for (seconds, reading) in readings {
        store.append(&account(), &draws(), Incoming::of(&reading, at(seconds))).await.unwrap();
    }
    (folder, store)
}

fn tasks(tasks: Vec<TaskRecord>) -> Reading {
    Reading { tasks, ..Reading::default() }
}

fn balance(record: BalanceRecord) -> Reading {
    Reading { balance: Some(record), ..Reading::default() }
}

/// The samples of an export from the start to so many seconds after it, each as family, labels beside the account, value,
/// and seconds after the start.
async fn samples(store: &Store, from: Option<i64>, to: i64) -> Vec<(String, String, String, i64)> {
    let mut history = store.history(&account()).await.unwrap();
    let range = Range { from: from.map(at), to: at(to) };
    let past =
        PastSeries { account: &account(), draws: &draws(), range, plan: &plan(), step_seconds: 300, labels: &[] };
    let (text, count) = export_series(&mut history, &past, Vec::new(), |_| {}).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let sample = |line: &str| {
        let (series, rest) = line.split_once("} ").unwrap();
        let (name, labels) = series.split_once("{account=\"studio\"").unwrap();
        let (value, instant) = rest.split_once(' ').unwrap();
        let family = name.trim_start_matches("fuelgauge_").trim_end_matches("_total");
        let instant: i64 = instant.parse().unwrap();
        (family.to_owned(), labels.trim_start_matches(',').to_owned(), value.to_owned(), instant - START)
    };
    let found: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(sample).collect();
    assert_eq!(found.len() as u64, count);
    found
}

/// Those of one family, with labels and values in one text, such as `team="art" 1@300`.
fn of(samples: &[(String, String, String, i64)], family: &str) -> Vec<String> {
    let found = samples.iter().filter(|sample| sample.0 == family);
    found.map(|(_, labels, value, second)| format!("{labels} {value}@{second}").trim_start().to_owned()).collect()
}

#[tokio::test]
async fn each_counter_rises_when_it_happened() {
    let failed = TaskRecord {
        finished_at: Some(at(900)),
        refunded: Some(Credits::from_whole(5)),
        fingerprint: Some(Fingerprint(1)),
        ..task("a", 10, TaskState::Failed, "rig", 5)
    };
    let again = TaskRecord { fingerprint: Some(Fingerprint(1)), ..task("b", 1200, TaskState::Succeeded, "rig", 5) };
    let (_folder, store) = ledger(vec![(5000, tasks(vec![failed, again]))]).await;
    let found = samples(&store, None, 1201).await;
    let rig =
        |samples: &[&str]| samples.iter().map(|s| format!("team=\"art\",task_type=\"rig\",{s}")).collect::<Vec<_>>();
    for (family, expected) in [
        // A step before the first launch it stands at 0, so that the increase since then is all there was.
        (
            "charged_credits",
            rig(&[
                "quality=\"\" 0@0",
                "quality=\"\" 5@300",
                "quality=\"\" 5@600",
                "quality=\"\" 5@900",
                "quality=\"\" 10@1200",
            ]),
        ),
        (
            "refunded_credits",
            rig(&[
                "quality=\"\" 0@0",
                "quality=\"\" 0@300",
                "quality=\"\" 0@600",
                "quality=\"\" 5@900",
                "quality=\"\" 5@1200",
            ]),
        ),
    ] {
        assert_eq!(of(&found, family), expected, "{family}");
    }
    let ends = |family: &str| -> Vec<String> {
        let all = of(&found, family);
        all.iter()
            .filter(|text| text.ends_with("@1200"))
            .map(|text| text.replace("team=\"art\",task_type=\"rig\"", "rig"))
            .collect()
    };
    for (family, expected) in [
        ("tasks_finished", vec!["rig 2@1200"]),
        ("tasks_failed", vec!["rig 1@1200"]),
        ("task_attempts", vec!["rig 2@1200"]),
        ("task_retries", vec!["rig,kind=\"rerun\" 0@1200", "rig,kind=\"resubmission\" 1@1200"]),
        ("retry_credits", vec!["rig,kind=\"rerun\" 0@1200", "rig,kind=\"resubmission\" 5@1200"]),
        ("granted_credits", vec![r#"bucket="purchased" 0@1200"#]),
        ("expired_credits", vec![r#"bucket="purchased" 0@1200"#]),
        ("balance_credits", vec![]),
    ] {
        let (mut ends, mut expected) = (ends(family), expected);
        ends.sort();
        expected.sort_unstable();
        assert_eq!(ends, expected, "{family}");
    }
    // What a sum of many tasks gained is charged when that was seen.
    let sum = |credits: i64| TaskRecord { is_sum: true, ..task("day", 0, TaskState::Running, "use", credits) };
    let (_folder, grown) = ledger(vec![(300, tasks(vec![sum(2)])), (600, tasks(vec![sum(9)]))]).await;
    let use_ = |end: &str| format!("team=\"art\",task_type=\"use\",quality=\"\" {end}");
    let charged = of(&samples(&grown, None, 901).await, "charged_credits");
    assert_eq!(charged, ["0@-300", "2@0", "2@300", "9@600", "9@900"].map(use_));

    // From a later instant on, what was before is in the value.
    let later = samples(&store, Some(301), 901).await;
    assert_eq!(of(&later, "charged_credits"), rig(&["quality=\"\" 5@600", "quality=\"\" 5@900"]));
    assert_eq!(samples(&store, Some(301), 599).await, []);
}

#[tokio::test]
async fn a_balance_holds_from_its_first_reading_to_its_last() {
    let credits = Credits::from_whole;
    let parts =
        BalanceRecord { plan: Some(credits(70)), purchased: Some(credits(30)), ..BalanceRecord::of(credits(100)) };
    let frozen = BalanceRecord { frozen: Some(credits(4)), ..BalanceRecord::of(credits(90)) };
    let (_folder, store) = ledger(vec![
        (100, balance(parts)),
        (650, balance(frozen.clone())),
        (1000, balance(frozen.clone())),
        (1300, balance(frozen)),
    ])
    .await;
    let found = samples(&store, None, 9000).await;
    assert_eq!(
        of(&found, "balance_credits"),
        [
            r#"team="art",bucket="plan" 70@300"#,
            r#"team="art",bucket="plan" 70@600"#,
            r#"team="art",bucket="purchased" 30@300"#,
            r#"team="art",bucket="purchased" 30@600"#,
            // Which are bought is known from the first reading on; of the rest nobody knows what it is.
            r#"team="art",bucket="purchased" 30@900"#,
            r#"team="art",bucket="purchased" 30@1200"#,
            r#"team="art",bucket="available" 60@900"#,
            r#"team="art",bucket="available" 60@1200"#,
            r#"team="art",bucket="frozen" 4@900"#,
            r#"team="art",bucket="frozen" 4@1200"#,
        ]
    );
    // Counters are known to the end, and those of the whole account are there from the beginning.
    assert_eq!(of(&found, "granted_credits").len(), 30);
}

#[tokio::test]
async fn what_was_bought_counts_from_the_poll_that_saw_it() {
    let of_credits = |credits: i64| balance(BalanceRecord::of(Credits::from_whole(credits)));
    let plan = PlanRecord { resets_at: Some(at(90_000)), ..PlanRecord::default() };
    let first = Reading { plan: Some(plan), ..of_credits(100) };
    let (_folder, store) =
        ledger(vec![(0, first), (300, of_credits(350)), (600, of_credits(350)), (900, of_credits(350))]).await;
    let granted: Vec<i64> = of(&samples(&store, None, 901).await, "granted_credits")
        .iter()
        .map(|sample| sample.split([' ', '@']).nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!((granted.first(), granted.last()), (Some(&0), Some(&250)), "{granted:?}");
    assert!(granted.is_sorted(), "{granted:?}");
}

#[tokio::test]
async fn too_many_words_are_one_series_as_in_a_scrape() {
    let many =
        (0..60).map(|n| task(&format!("t{n}"), 10 * n, TaskState::Succeeded, &format!("type-{n:02}"), 1)).collect();
    let (_folder, store) = ledger(vec![(5000, tasks(many))]).await;
    let ends: Vec<_> =
        of(&samples(&store, None, 901).await, "charged_credits").into_iter().filter(|s| s.ends_with("@900")).collect();
    assert_eq!(ends.len(), 51);
    assert!(ends[0].contains("\"other\"") && ends[0].ends_with(" 10@900"), "{}", ends[0]);
    assert!(ends[50].contains("\"type-49\"") && ends[50].ends_with(" 1@900"), "{}", ends[50]);
}

#[tokio::test]
async fn a_file_has_a_row_for_each_task_between_two_instants() {
    let end = at(2) + SignedDuration::from_millis(500);
    let full = TaskRecord {
        started_at: Some(at(1)),
        finished_at: Some(end),
        quality: "high, \"ultra\"".into(),
        variants: Some(4),
        refunded: Some(Credits::parse("0.000001").unwrap()),
        attribution: crate::domain::Attribution {
            team: Some("strangers".into()),
            project: Some("=cmd|' /C calc'!A0".into()),
            member: Some("@ada\nlovelace".into()),
            api_key: Some("-ci".into()),
        },
        is_step: true,
        retry: Some(RetryKind::Rerun),
        basis: Basis::Estimated,
        ..task("full", 0, TaskState::Failed, "rig", 3)
    };
    let sum = |credits: i64| TaskRecord { is_sum: true, ..task("day", 60, TaskState::Succeeded, "rig", credits) };
    let (_folder, store) = ledger(vec![
        (
            5000,
            tasks(vec![
                task("later", 61, TaskState::Unknown, "rig", 0),
                full,
                sum(9),
                task("same", 60, TaskState::Queued, "a", 1),
            ]),
        ),
        (6000, tasks(vec![sum(7)])),
    ])
    .await;
    let rows = async |from: i64, to: i64| {
        let mut history = store.history(&account()).await.unwrap();
        let range = Range { from: Some(at(from)), to: at(to) };
        let (text, count) = export_charges(&mut history, &range, Vec::new(), |_| {}).await.unwrap();
        (String::from_utf8(text).unwrap(), count)
    };
    let (text, count) = rows(0, 61).await;
    let (first, start) = (at(0), at(1));
    let minute = at(60);
    let expected = format!(
        "{}\nstrangers,full,{first},3,rig,\"high, \"\"ultra\"\"\",4,failed,0.000001,=cmd|' /C calc'!A0,\"@ada\nlovelace\",-ci,\
         {start},{end},true,rerun,,true\nart,day,{minute},7,rig,,,succeeded,,,,,,,,,true,\n\
         art,same,{minute},1,a,,,queued,,,,,,,,,,\n",
        COLUMNS.join(",")
    );
    assert_eq!((text, count), (expected, 3));
    let (text, count) = rows(61, 62).await;
    assert!(text.ends_with(&format!("\nart,later,{},,rig,,,unknown,,,,,,,,,,\n", at(61))), "{text}");
    assert_eq!(count, 1);
    assert_eq!(rows(62, 99).await, (COLUMNS.join(",") + "\n", 0));
}

/// Takes so many bytes, then its reader is gone.
struct Pipe(usize);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_told_from_other_failures() {
    let many = (0..1000).map(|n| task(&format!("t{n}"), n, TaskState::Succeeded, "rig", 1)).collect();
    let (_folder, store) = ledger(vec![(5000, tasks(many))]).await;
    let mut history = store.history(&account()).await.unwrap();
    let range = Range { from: None, to: at(9000) };
    let past = PastSeries { account: &account(), draws: &draws(), range, plan: &plan(), step_seconds: 1, labels: &[] };
    for bytes in [0, 100, 20_000] {
        let charges = export_charges(&mut history, &range, Pipe(bytes), |_| {}).await.err();
        let series = export_series(&mut history, &past, Pipe(bytes), |_| {}).await.err();
        for error in [charges, series] {
            let Some(ExportError::Write(error)) = error else { panic!("{bytes}: {error:?}") };
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{bytes}");
        }
    }
}
