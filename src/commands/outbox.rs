//! `outbox`: what is told, to whom, and how far it has come; and trying again what was given up.

use comfy_table::CellAlignment;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::table::{COLUMNS, moment, table, wrapped};
use super::{Answer, WrongUsage, expect_ledger};
use crate::cli::{ConfigFlags, OutboxCommand, OutboxListFlags, OutboxRetryFlags, OutboxStateFlag, OutputFormat};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::words::{count, counted};
use crate::store::{OutboxRecord, Retried, Store};

pub async fn run(command: OutboxCommand) -> anyhow::Result<Answer> {
    match command {
        OutboxCommand::List(flags) => list(flags).await,
        OutboxCommand::Retry(flags) => retry(flags).await,
    }
}

/// The ledger, and the zone in which its people think.
async fn open(flags: &ConfigFlags) -> anyhow::Result<(Store, TimeZone)> {
    let config = Config::load(&flags.config_file)?;
    expect_ledger(&config.storage)?;
    let zone = config.accounts.first().map_or(TimeZone::UTC, |account| account.zone.clone());
    Ok((Store::open(&config.storage).await?, zone))
}

async fn list(flags: OutboxListFlags) -> anyhow::Result<Answer> {
    let (store, zone) = open(&flags.config).await?;
    let states = match &flags.states[..] {
        [] => &[OutboxStateFlag::Waiting, OutboxStateFlag::Failed],
        asked => asked,
    };
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let mut records = store.outbox_records(&states, flags.limit).await?;
    // The oldest first, as queues are read.
    records.reverse();
    match flags.format {
        OutputFormat::Table => print(&records, &states, &store, &zone).await?,
        OutputFormat::Json => {
            let records: Vec<Value> = records.iter().map(as_json).collect();
            say!("{}", serde_json::to_string_pretty(&records)?);
        }
    }
    store.close().await;
    Ok(Answer::Fine)
}

async fn print(records: &[OutboxRecord], states: &[&str], store: &Store, zone: &TimeZone) -> anyhow::Result<()> {
    if records.is_empty() {
        say!("No message is {}.", states.join(" or "));
    } else {
        let mut rows = table(&["ID", "CHANNEL", "STATE", "TRIES", "BYTES", "DECIDED", "NEXT OR LAST", "RECIPIENT"]);
        for record in records {
            rows.add_row(row(record, zone));
        }
        for column in [3, 4] {
            if let Some(column) = rows.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        // Under each line stands what it says, as mail servers print their queues: no terminal is wide enough for both.
        let lines = rows.to_string();
        let mut lines = lines.lines().map(str::trim_end);
        say!("{}", lines.next().unwrap_or_default());
        for (line, record) in lines.zip(records) {
            say!("{line}");
            details(record).iter().flat_map(|text| text.lines()).for_each(|text| say!("      {text}"));
        }
        let kilobytes = records.iter().map(|record| record.bytes).sum::<u64>().div_ceil(1_000);
        say!("-- {} kB in {}.", count(kilobytes), counted(records.len() as u64, "message", "messages"));
        if records.iter().any(|record| record.is_under_way) {
            say!("   * is being sent.");
        }
    }
    for depth in store.outbox_depth().await?.channels {
        if let Some(pause) = depth.pause {
            let (until, channel) = (moment(Some(pause.until), zone), depth.channel);
            say!("   The channel `{channel}` is left alone until {until} ({}): {}", pause.reason, pause.said);
        }
    }
    Ok(())
}

/// What a message says, who tells it in its place, and why it failed.
fn details(record: &OutboxRecord) -> Vec<String> {
    let teller = record.merged_into.map(|teller| format!("told by {teller}"));
    let error = record.last_error.as_ref().filter(|_| record.state != "sent").map(|error| format!("({error})"));
    let texts = [Some(record.summary.clone()), teller, error];
    texts.into_iter().flatten().map(|text| wrapped(&text, COLUMNS)).collect()
}

fn row(record: &OutboxRecord, zone: &TimeZone) -> [String; 8] {
    [
        format!("{}{}", record.id, if record.is_under_way { "*" } else { "" }),
        record.channel.clone(),
        if record.is_held { "held".to_owned() } else { record.state.clone() },
        record.attempts.to_string(),
        record.bytes.to_string(),
        moment(Some(record.decided_at), zone),
        moment(record.next_attempt_at.or(record.closed_at), zone),
        record.recipient.clone(),
    ]
}

fn as_json(record: &OutboxRecord) -> Value {
    json!({
        "id": record.id,
        "channel": record.channel,
        "kind": record.kind.as_str(),
        "state": record.state,
        "recipient": record.recipient,
        "subject": record.subject,
        "summary": record.summary,
        "message_id": record.message_id,
        "tries": record.attempts,
        "under_way": record.is_under_way,
        "held": record.is_held,
        "decided_at": record.decided_at.to_string(),
        "next_try_at": record.next_attempt_at.map(|at| at.to_string()),
        "closed_at": record.closed_at.map(|at| at.to_string()),
        "told_by": record.merged_into,
        "failure_reason": record.failure_reason,
        "failure": record.last_error,
        "bytes": record.bytes,
    })
}

async fn retry(flags: OutboxRetryFlags) -> anyhow::Result<Answer> {
    let (store, _) = open(&flags.config).await?;
    let ids = (!flags.all_failed).then_some(&flags.ids[..]);
    let retried = store.retry_given_up(ids, SystemClock.now()).await?;
    store.close().await;
    match retried {
        Retried::Waiting(messages) => {
            let are = if messages == 1 { "waits" } else { "wait" };
            say!(
                "{} {are} again; a running agent finds them within a minute.",
                counted(messages, "message", "messages")
            );
            Ok(Answer::Fine)
        }
        Retried::Not(id, Some(state)) => Err(WrongUsage(format!(
            "expected messages that were given up, found {id}, which is {state}; nothing was changed"
        ))
        .into()),
        Retried::Not(id, None) => {
            let hint = "`fuelgauge outbox list --state failed` shows those that were given up";
            Err(WrongUsage(format!("there is no message {id}; nothing was changed\nhint: {hint}")).into())
        }
    }
}
