//! A million charges into the ledger, beside the `sqlite3` shell importing the same rows into the same indexed tables.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;

use crate::Bench;
use crate::history::{History, Imported, configure, import_by_command};
use crate::process;
use crate::report::{Row, Samples};

/// The ledger's tables, as the ledger makes them.
const SCHEMA: &str = include_str!("../../src/store/migrations/sqlite/0001_ledger.sql");

/// How the ledger opens its file for an import.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;";

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let charges = bench.count(1_000_000, 50_000);
    let mut rows = Vec::new();
    for (has_ordered_ids, rounds, words) in
        [(true, bench.count(5, 1), "ids in the order of launch"), (false, bench.count(2, 1), "ids without any order")]
    {
        let folder = bench.path().join(format!("import-{has_ordered_ids}"));
        std::fs::create_dir_all(&folder)?;
        let csv = folder.join("history.csv");
        History { has_ordered_ids, ..History::of_a_year(charges, Timestamp::now()) }.write(&csv)?;
        let (mut ours, mut tasks_alone, mut all_rows) = (Samples::default(), Samples::default(), Samples::default());
        for round in 0..rounds {
            // In turns, so that whatever else runs on the machine meets them alike.
            let ledger = folder.join(format!("round-{round}"));
            let account = Imported { name: "studio", teams: 1, plan_credits: charges as u64 };
            let config = configure(&ledger, &[account], "", "")?;
            ours.add(import_by_command(&config, "studio", &csv)?);
            if process::installed(&["sqlite3"]).is_some() {
                if round == 0 {
                    dump(&ledger.join("ledger.db"), &folder)?;
                }
                tasks_alone.add(by_shell(&folder, &["tasks"], charges)?);
                all_rows.add(by_shell(&folder, &["tasks", "entries"], charges)?);
            }
            std::fs::remove_dir_all(&ledger)?;
        }
        let row = Row::new(format!("import of {charges} charges, {words}"), ours.few());
        let ratio = |peer: &Samples| peer.median().as_secs_f64() / ours.median().as_secs_f64();
        rows.push(match process::installed(&["sqlite3"]) {
            None => row.peer("`sqlite3` is not installed"),
            Some(_) => row.aim("≥ ½ of the speed of the `sqlite3` shell", ratio(&tasks_alone) >= 0.5).peer(format!(
                "`sqlite3`, tasks alone: {} ({:.2} of its speed); tasks and entries, which is what we write: {} ({:.2})",
                tasks_alone.few(),
                ratio(&tasks_alone),
                all_rows.few(),
                ratio(&all_rows)
            )),
        });
    }
    Ok(rows)
}

/// Writes what an import made of the charges as CSV, in the order in which it came.
fn dump(ledger: &Path, folder: &Path) -> anyhow::Result<()> {
    for (table, order) in [("tasks", "created_at"), ("entries", "id")] {
        // A fingerprint is half as long in the ledger as it is here; there is no way to write bytes as CSV.
        let names = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
        let names = Command::new("sqlite3").arg(ledger).arg(names).output()?.stdout;
        let names = String::from_utf8(names)?;
        let columns: Vec<String> = names
            .lines()
            .map(|name| if name == "fingerprint" { "hex(fingerprint)".to_owned() } else { name.to_owned() })
            .collect();
        let script = format!(
            ".mode csv\n.output '{}'\nSELECT {} FROM {table} ORDER BY {order};\n",
            folder.join(table).display(),
            columns.join(", ")
        );
        process::run(Command::new("sqlite3").arg(ledger), &script)?;
    }
    Ok(())
}

fn by_shell(folder: &Path, tables: &[&str], charges: usize) -> anyhow::Result<std::time::Duration> {
    let database = folder.join("shell.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("shell.db{suffix}")));
    }
    // What is NULL in the ledger comes as an empty text: without this the shell would keep index entries for it.
    let schema = SCHEMA.replace("WHERE fingerprint IS NOT NULL", "WHERE fingerprint <> ''");
    process::run(Command::new("sqlite3").arg(&database), &schema)?;
    let mut script = format!("{SETTINGS}\n.mode csv\n");
    for table in tables {
        script += &format!(".import '{}' {table}\n", folder.join(table).display());
    }
    let (took, _) = process::run(Command::new("sqlite3").arg(&database), &script)?;
    for table in tables {
        let count =
            Command::new("sqlite3").arg(&database).arg(format!("SELECT count(*) FROM {table}")).output()?.stdout;
        let count: usize = String::from_utf8(count)?.trim().parse()?;
        anyhow::ensure!(count >= charges, "the shell imported {count} rows of {charges} into `{table}`");
    }
    Ok(took)
}
