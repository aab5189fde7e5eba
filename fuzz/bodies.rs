//! What each fuzz target does with its bytes. The test command runs the same on the corpus, without a fuzzer.
#![allow(dead_code, reason = "each target uses one of them")]

use std::io::Cursor;
use std::path::Path;

use fuelgauge::domain::account::is_unprintable;
use fuelgauge::domain::{Credits, TaskRecord};
use fuelgauge::provider::history::{ChargeFile, ColumnMap, FileBatch, read_push};
use fuelgauge::provider::mapping::{BUILT_IN, EndpointKind, Mapping, Record};
use jiff::tz::TimeZone;

/// What a target does with its bytes; it panics if something does not hold.
pub type Body = fn(&[u8]);

/// The bodies by the names of their targets and of their folders of the corpus.
pub const BODIES: &[(&str, Body)] =
    &[("answers", answers), ("histories", histories), ("pushes", pushes), ("columns", columns)];

const SALT: [u8; 16] = [7; 16];

/// A platform's answer, read by a built-in mapping: the first byte chooses which, and which endpoint of it.
pub fn answers(data: &[u8]) {
    let Some((choice, answer)) = data.split_first() else { return };
    let shipped: Vec<_> = BUILT_IN.iter().filter(|(name, _)| *name != "keter").collect();
    let (name, text) = shipped[usize::from(*choice) % shipped.len()];
    let mapping = Mapping::parse(name, text).expect("a built-in mapping");
    let kinds = [
        EndpointKind::Balance,
        EndpointKind::Charges,
        EndpointKind::Tasks,
        EndpointKind::Lookup,
        EndpointKind::Queue,
        EndpointKind::Plan,
    ];
    let kind = kinds[usize::from(*choice) / shipped.len() % kinds.len()];
    match mapping.records(kind, 1, answer) {
        Ok(records) => {
            for record in &records {
                // A task that was asked for by its id may leave out what is known of it.
                if let (Record::Task(task), true) = (record, kind != EndpointKind::Lookup) {
                    check(task);
                }
                assert!(!record.to_string().chars().any(is_unprintable), "{record:?}");
            }
            assert_eq!(mapping.records(kind, 1, answer).as_ref(), Ok(&records), "reading has no memory");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A charge history: CSV or JSON lines, gzipped or not, in fuelgauge's own columns and in those of a columns file.
pub fn histories(data: &[u8]) {
    for map in [ColumnMap::plain(), mapped()] {
        let read = || read(data, &map);
        let first = read();
        if let Some(batch) = &first {
            batch.tasks.iter().for_each(check);
            assert!(batch.rejected.iter().all(|row| row.line > 0 && !row.reason.is_empty()));
        }
        assert_eq!(read(), first, "reading has no memory");
    }
}

/// The body of a push.
pub fn pushes(data: &[u8]) {
    match read_push(data, &SALT) {
        Ok(pushed) => {
            pushed.reading.tasks.iter().for_each(check);
            assert!(!pushed.told.is_empty());
            assert_eq!(read_push(data, &SALT).as_ref(), Ok(&pushed), "reading has no memory");
        }
        Err(error) => assert!(error.count > 0 && !error.mistakes.is_empty()),
    }
}

/// A columns file.
pub fn columns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ColumnMap::parse("columns.yml", text, &TimeZone::UTC) {
        Ok(map) => drop(read(b"a,b\n1,2\n", &map)),
        Err(error) => assert!(!error.mistakes.is_empty()),
    }
}

fn mapped() -> ColumnMap {
    let text = "delimiter: ';'\ncolumns: {charge_id: {hash_of: [a, b]}, at: {column: a, format: '%d.%m.%Y'}, \
                credits: {column: b, charges_are: negative, decimal: ',', credits_per_unit: 0.01}, \
                task_type: {constant: rig}, outcome: {column: c, values: {x: failed}, otherwise: unknown}}";
    ColumnMap::parse("columns.yml", text, &TimeZone::UTC).expect("it is right")
}

/// All that can be read before the file ends or cannot be read further; `None` if it has no columns.
fn read(data: &[u8], map: &ColumnMap) -> Option<FileBatch> {
    let content = Box::new(Cursor::new(data.to_vec()));
    let mut file = ChargeFile::from_content(Path::new("fuzz"), content, data.len() as u64, map, Some(SALT)).ok()?;
    let mut all = FileBatch::default();
    while let Ok(Some(batch)) = file.next_batch(64) {
        assert!(batch.tasks.len() + batch.rejected.len() <= 64);
        all.tasks.extend(batch.tasks);
        all.rejected.extend(batch.rejected);
    }
    Some(all)
}

/// What holds of every charge, whoever told it.
fn check(task: &TaskRecord) {
    let who = &task.attribution;
    let names = [&who.team, &who.project, &who.member, &who.api_key].into_iter().flatten();
    for text in [&task.id, &task.task_type, &task.quality].into_iter().chain(names) {
        assert!(text.chars().count() <= 256 && !text.chars().any(is_unprintable), "{task:?}");
    }
    assert!(!task.id.is_empty() && !task.task_type.is_empty(), "{task:?}");
    let years = 2000..2100;
    assert!(years.contains(&task.created_at.to_zoned(TimeZone::UTC).year()), "{task:?}");
    for credits in [task.credits, task.refunded].into_iter().flatten() {
        assert!(credits <= Credits::MAX_PARSED && credits >= -Credits::MAX_PARSED, "{task:?}");
        assert!(task.is_sum || !credits.is_negative(), "{task:?}");
    }
}
