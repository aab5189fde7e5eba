use std::io::Write;

use jiff::tz::TimeZone;

use super::*;
use crate::domain::{Attribution, TaskState};
use crate::provider::history::rejects::RejectsFile;

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The one helper that touches the API.
fn read_by(map: &ColumnMap, bytes: &[u8]) -> Result<FileBatch, FileError> {
    let file = file_of(bytes);
    let mut charges = ChargeFile::open(file.path(), map, Some([7; 16]))?;
    let mut all = FileBatch::default();
    while let Some(batch) = charges.next_batch(2)? {
        assert!(batch.tasks.len() + batch.rejected.len() <= 2);
        all.tasks.extend(batch.tasks);
        all.rejected.extend(batch.rejected);
        all.bytes = batch.bytes;
    }
    assert!(all.bytes <= charges.length());
    Ok(all)
}

fn read(bytes: &[u8]) -> Result<FileBatch, FileError> {
    read_by(&ColumnMap::plain(), bytes)
}

fn map(columns: &str) -> ColumnMap {
    ColumnMap::parse("columns.yml", columns, &TimeZone::get("Europe/Berlin").unwrap()).unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const THREE: &str = "team,charge_id,at,credits,task_type,quality,outcome\n\
    env,c1,2026-01-31T09:30:00Z,20,text-to-3d,high,succeeded\n\
    env,c2,2026-01-31T10:30:00+01:00,2.5,text-to-3d,,failed\n\
    ,c3,2026-01-31T09:30:01Z,7,refine,high,refunded\n";

#[test]
fn rows_become_tasks_packed_or_not() {
    let plain = read(THREE.as_bytes()).unwrap();
    assert_eq!(plain.rejected, []);
    let found: Vec<_> = plain
        .tasks
        .iter()
        .map(|t| (t.id.as_str(), t.state, t.credits.unwrap().to_string(), t.refunded.is_some(), t.quality.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("c1", TaskState::Succeeded, "20".into(), false, "high"),
            ("c2", TaskState::Failed, "2.5".into(), false, ""),
            ("c3", TaskState::Failed, "7".into(), true, "high"),
        ]
    );
    assert_eq!(plain.tasks[0].created_at, plain.tasks[1].created_at);
    assert_eq!((plain.tasks[0].attribution.team.as_deref(), &plain.tasks[2].attribution.team), (Some("env"), &None));
    assert_eq!(read(&gzip(THREE)).unwrap().tasks, plain.tasks);
    let twice = [gzip(THREE), gzip("env,c4,2026-02-01T00:00:00Z,1,refine,high,failed\n")].concat();
    assert_eq!(read(&twice).unwrap().tasks.len(), 4, "members of a gzip file are one text");
}

#[test]
fn lines_of_json_are_rows_too() {
    let text = "\n{\"charge_id\": \"c1\", \"team\": \"env\", \"at\": \"2026-01-31T09:30:00Z\", \"credits\": 20, \
                \"task_type\": \"text-to-3d\", \"quality\": \"high\", \"outcome\": \"succeeded\", \"note\": [1]}\n\
                {\"id\": \"c2\", \"team\": \"env\", \"created_at\": \"2026-01-31T09:30:00Z\", \"credits\": \"2.5\", \
                \"task_type\": \"text-to-3d\", \"state\": \"failed\"}\n\
                {\"charge_id\": \n\
                {\"charge_id\": \"c3\", \"at\": \"2026-01-31T09:30:01Z\", \"credits\": 7, \"task_type\": \"refine\", \
                \"quality\": \"high\", \"outcome\": \"refunded\"}";
    let lines = read(text.as_bytes()).unwrap();
    assert_eq!(lines.tasks, read(THREE.as_bytes()).unwrap().tasks);
    assert_eq!((lines.rejected.len(), lines.rejected[0].line), (1, 4));
    assert!(lines.rejected[0].reason.starts_with("expected an object of JSON: "), "{}", lines.rejected[0].reason);
    assert_eq!(read(&gzip(text)).unwrap().tasks.len(), 3);
}

#[test]
fn columns_come_in_any_order_with_others_between() {
    let text = "\u{feff}Outcome,note,credits, at ,task_type,charge_id,variants,project,member,api_key\r\n\
                failed,\"a, b\",1,2026-01-01T00:00:00Z,rig,x,4,env-1,ada,ci\r\n";
    let batch = read(text.as_bytes()).unwrap();
    assert_eq!(batch.rejected, []);
    let task = &batch.tasks[0];
    assert_eq!((task.id.as_str(), task.task_type.as_str(), task.variants), ("x", "rig", Some(4)));
    let who = Attribution {
        team: None,
        project: Some("env-1".into()),
        member: Some("ada".into()),
        api_key: Some("ci".into()),
    };
    assert_eq!(task.attribution, who);
    let by_other_names = "id,created_at,credits,task_type,state,refunded\nx,2026-01-01T00:00:00Z,9,rig,failed,2\n";
    let task = &read(by_other_names.as_bytes()).unwrap().tasks[0];
    assert_eq!((task.id.as_str(), task.refunded.unwrap().to_string()), ("x", "2".to_owned()));
}

#[test]
fn a_columns_file_says_what_the_columns_mean() {
    let columns = map("delimiter: \";\"\n\
         columns:\n  \
           charge_id: {hash_of: [Date, Tool, Amount]}\n  \
           at: {column: Date, format: \"%d.%m.%Y %H:%M\"}\n  \
           credits: {column: Amount, charges_are: negative, decimal: \",\", thousands: \".\", credits_per_unit: 0.5}\n  \
           task_type: {column: Tool, values: {3D Generator: text-to-3d}}\n  \
           outcome: {column: Status, values: {Done: succeeded, Error: failed}, otherwise: unknown}\n  \
           member: Who\n  \
           quality: {constant: high}\n");
    let text = "Date;Tool;Amount;Status;Who\n\
                31.01.2026 10:30;3D Generator;-1.200,5;Done;Ada\n\
                31.01.2026 10:30;Rigging;80;Error;Ada\n\
                31.01.2026 10:30;Rigging;-3;Odd;\n\
                2026-01-31;Rigging;-3;Odd;\n";
    let batch = read_by(&columns, text.as_bytes()).unwrap();
    let found: Vec<_> = batch
        .tasks
        .iter()
        .map(|task| {
            let credits = |credits: Option<crate::domain::Credits>| credits.map(|credits| credits.to_string());
            (task.task_type.as_str(), task.state, credits(task.credits), credits(task.refunded))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("text-to-3d", TaskState::Succeeded, Some("600.25".to_owned()), None),
            ("Rigging", TaskState::Failed, None, Some("40".to_owned())),
            ("Rigging", TaskState::Unknown, Some("1.5".to_owned()), None),
        ]
    );
    let ids: std::collections::BTreeSet<&str> = batch.tasks.iter().map(|task| task.id.as_str()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.starts_with("row-") && id.len() == 36), "{ids:?}");
    assert_eq!(batch.tasks[0].created_at, "2026-01-31T09:30:00Z".parse().unwrap());
    assert_eq!((batch.tasks[0].quality.as_str(), batch.tasks[0].attribution.member.as_deref()), ("high", Some("Ada")));
    let reason = "`Date` (at): expected a time written as `%d.%m.%Y %H:%M`, found `2026-01-31`";
    assert_eq!((batch.rejected.len(), batch.rejected[0].line, batch.rejected[0].reason.as_str()), (1, 5, reason));
    let again = read_by(&columns, text.as_bytes()).unwrap();
    assert_eq!(again.tasks, batch.tasks, "the same row is the same charge");
}

#[test]
fn keys_within_objects_are_columns_too() {
    let columns = map(
        "columns: {charge_id: task.id, at: {column: task.at, format: epoch_ms}, credits: cost, task_type: task.kind, \
         outcome: {constant: succeeded}}",
    );
    let text = r#"{"task": {"id": 7, "at": 1769851800000, "kind": "rig"}, "cost": 1.25}"#;
    let batch = read_by(&columns, text.as_bytes()).unwrap();
    assert_eq!(batch.rejected, []);
    assert_eq!((batch.tasks[0].id.as_str(), batch.tasks[0].credits.unwrap().micros()), ("7", 1_250_000));
}

#[test]
fn bad_rows_are_named_and_the_rest_is_read() {
    let long = "x".repeat(300);
    for (row, reason) in [
        ("c,2026-01-31,20,rig,failed", "`at`: expected a time such as `2026-01-31T09:30:00Z`, found `2026-01-31`"),
        ("c,1970-01-01T00:00:00Z,20,rig,failed", "`at`: expected a time between 2000 and 2100, found"),
        ("c,2026-01-31T00:00:00Z,many,rig,failed", "`credits`: expected a decimal number of credits, found `many`"),
        ("c,2026-01-31T00:00:00Z,-1,rig,failed", "`credits`: expected an amount of 0 or more, found `-1`"),
        ("c,2026-01-31T00:00:00Z,1,rig,lost", "`outcome`: expected `succeeded`, `failed`, `refunded`"),
        ("c,2026-01-31T00:00:00Z,,rig,failed", "`credits` is missing"),
        (",2026-01-31T00:00:00Z,1,rig,failed", "`charge_id` is missing"),
        (
            &format!("{long},2026-01-31T00:00:00Z,1,rig,failed"),
            "`charge_id`: expected at most 256 characters, found 300",
        ),
        ("c,2026-01-31T00:00:00Z,1", "`outcome` is missing"),
    ] {
        let text = format!("charge_id,at,credits,task_type,outcome\nok,2026-01-31T00:00:00Z,1,rig,failed\n{row}\n");
        let batch = read(text.as_bytes()).unwrap();
        assert_eq!((batch.tasks.len(), batch.rejected.len(), batch.rejected[0].line), (1, 1, 3), "{row}");
        assert!(batch.rejected[0].reason.starts_with(reason), "{row}: {}", batch.rejected[0].reason);
    }
    let latin = b"charge_id,at,credits,task_type,outcome\n\xe4,2026-01-31T00:00:00Z,1,rig,failed\n";
    assert_eq!(read(latin).unwrap().rejected[0].reason, "expected UTF-8 text");
    let names = format!("charge_id,at,credits,task_type,outcome\nc,2026-01-31T00:00:00Z,1,a\u{202e}{long},running\n");
    let task = &read(names.as_bytes()).unwrap().tasks[0];
    assert!(task.task_type.starts_with("a\u{fffd}xx") && task.task_type.chars().count() == 256, "{}", task.task_type);
}

#[test]
fn a_header_that_is_not_understood_is_shown_with_what_is_needed() {
    let columns =
        map("columns: {charge_id: Id, at: When, credits: Cost, task_type: Tool, outcome: {constant: failed}}");
    for (map, text, expected) in [
        (
            ColumnMap::plain(),
            "",
            "found no `charge_id`, `at`, `credits`, `task_type`, `outcome`; the columns are none\nhint: ",
        ),
        (ColumnMap::plain(), "id,when,amount\n1,2,3\n", "the columns are `id`, `when`, `amount`\nhint: needed are"),
        (ColumnMap::plain(), "charge_id,at,credits,task_type\n", "found no `outcome`; the columns are `charge_id`"),
        (
            ColumnMap::plain(),
            "{\"id\": 1, \"at\": 2}\n",
            "found no `credits`, `task_type`, `outcome`; the keys are `at`, `id`\nhint: ",
        ),
        (columns, "Id,When,Cost\n", "found no `Tool`; the columns are `Id`, `When`, `Cost`\nhint: the columns file"),
    ] {
        let error = read_by(&map, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(matches!(read(b"charge_id,at,credits,task_type\n"), Err(FileError::Header { .. })));
}

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    let whole = gzip(&THREE.repeat(50));
    assert!(matches!(read(&whole[..whole.len() - 9]), Err(FileError::Read { .. })));
    let missing = ChargeFile::open(Path::new("/no/such/file.csv"), &ColumnMap::plain(), None);
    assert!(matches!(missing, Err(FileError::Read { .. })));
}

#[test]
fn a_row_without_an_end_does_not_take_the_memory_of_the_machine() {
    let endless = "x".repeat(3 << 20);
    let in_csv = format!("{THREE}env,\"c4,{endless}\n");
    let in_json = format!("{{\"charge_id\": \"{endless}\n");
    for (text, line) in [(&in_csv, 5), (&in_json, 1)] {
        match read(text.as_bytes()) {
            Err(FileError::LongRow { line: found, .. }) => assert_eq!(found, line),
            other => panic!("{:?}", other.map(|batch| batch.tasks.len())),
        }
    }
}

#[test]
fn attempts_at_one_asset_or_input_share_a_fingerprint() {
    let text = "charge_id,at,credits,task_type,outcome,asset,input\n\
                a,2026-01-31T00:00:00Z,1,rig,failed,tree,\n\
                b,2026-01-31T00:00:00Z,1,rig,failed,Tree,an oak\n\
                c,2026-01-31T00:00:00Z,1,texture,failed,tree,\n\
                d,2026-01-31T00:00:00Z,1,rig,failed,,An  Oak\n";
    let tasks = read(text.as_bytes()).unwrap().tasks;
    assert!(tasks[0].asset.is_some() && tasks[0].asset == tasks[1].asset && tasks[0].asset != tasks[2].asset);
    assert!(tasks[1].fingerprint.is_some() && tasks[1].fingerprint == tasks[3].fingerprint);
    assert_eq!((tasks[3].asset, tasks[0].fingerprint), (None, None));
}

#[test]
fn rejected_rows_can_be_mended_and_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "team,charge_id,at,credits,task_type,outcome\nenv,\"c,1\",yesterday,1,rig,failed\nenv,c2,2026-01-31T00:00:00Z\n";
    let json = "{\"charge_id\": \"c1\", \"at\": \"yesterday\", \"credits\": 1, \"task_type\": \"rig\", \"outcome\": \"failed\"}\n[]\n";
    for (text, name, mended) in [(csv, "a.csv", "\"c,1\""), (json, "a.jsonl", "\"c1\"")] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut charges = ChargeFile::open(&path, &ColumnMap::plain(), None).unwrap();
        let rejects = crate::provider::history::rejects::default_path(&path, charges.header().is_some());
        let mut file = RejectsFile::new(rejects.clone(), charges.header());
        while let Some(batch) = charges.next_batch(1).unwrap() {
            file.add(&batch.rejected).unwrap();
        }
        assert_eq!(file.finish().unwrap().as_deref(), Some(&*rejects));
        assert!(crate::provider::history::rejects::is_rejects(&rejects), "{}", rejects.display());
        let written = std::fs::read_to_string(&rejects).unwrap();
        assert!(
            written.contains("rejected_reason") && written.contains("yesterday") && written.contains(mended),
            "{written}"
        );
        std::fs::write(&rejects, written.replacen("yesterday", "2026-01-31T00:00:00Z", 1)).unwrap();
        let mut again = ChargeFile::open(&rejects, &ColumnMap::plain(), None).unwrap();
        let batch = again.next_batch(9).unwrap().unwrap();
        assert_eq!((batch.tasks.len(), batch.rejected.len()), (1, 1), "{name}");
        let header = again.header().cloned();
        let mut file = RejectsFile::new(folder.path().join("again"), header.as_ref());
        file.add(&batch.rejected).unwrap();
        file.finish().unwrap();
        let third = std::fs::read_to_string(folder.path().join("again")).unwrap();
        assert_eq!(third.matches("rejected_line").count(), 1, "{third}");
    }
}
