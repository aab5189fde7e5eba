//! `poll`: looks at accounts once and prints what it read.

use std::sync::Arc;

use serde_json::json;

use super::table::{credits, table};
use super::{Answer, WrongUsage};
use crate::app::{Agent, Shared};
use crate::cli::{OutputFormat, PollFlags};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::{Collector, TaskState};
use crate::poller::{Account, Polled};

pub async fn run(flags: PollFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config.config_file)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let accounts = chosen(&agent, &flags.accounts)?;
    let mut failed = false;
    let mut answers = Vec::new();
    if flags.accounts.is_empty() && accounts.iter().all(|account| account.provider.is_none()) {
        eprintln!("no account is polled: each lives on import");
    }
    for account in accounts {
        let polled = match flags.dry_run {
            true => agent.poller.look_once(account).await?,
            false => agent.poller.poll_once(account, None).await?,
        };
        match polled {
            None if !flags.accounts.is_empty() => {
                eprintln!("account `{}` is not polled: it lives on import", account.config.name);
            }
            None => {}
            Some(polled) => {
                failed |= polled.reports.iter().any(|report| report.outcome.is_err());
                match flags.format {
                    OutputFormat::Table => print(account, &polled),
                    OutputFormat::Json => answers.push(as_json(account, &polled)),
                }
            }
        }
    }
    if flags.format == OutputFormat::Json {
        say!("{}", serde_json::to_string_pretty(&answers)?);
    }
    shared.store.close().await;
    Ok(if failed { Answer::Failed } else { Answer::Fine })
}

fn chosen<'a>(agent: &'a Agent, names: &[String]) -> anyhow::Result<Vec<&'a Account>> {
    let known = || agent.accounts.iter().map(|account| account.config.name.as_str());
    for name in names {
        if !known().any(|known| known == name) {
            return Err(WrongUsage::no_such("account", name, known()).into());
        }
    }
    let is_chosen = |account: &&Account| names.is_empty() || names.iter().any(|n| n == account.config.name.as_str());
    Ok(agent.accounts.iter().map(|account| &**account).filter(is_chosen).collect())
}

fn print(account: &Account, polled: &Polled) {
    let source = account.config.source.as_ref().and_then(|source| source.base_url.as_deref());
    let place = source.map(|base_url| format!(" at {base_url}")).unwrap_or_default();
    say!("account `{}`{place}", account.config.name);
    let mut rows = table(&["", "COLLECTOR", "READ"]);
    for report in &polled.reports {
        let what = match &report.outcome {
            Ok(()) => summary(polled, report.collector),
            Err(error) => format!("failed ({}): {error}", error.reason.as_str()),
        };
        rows.add_row(["", report.collector.as_str(), &what]);
    }
    say!("{rows}");
    match &polled.appended {
        Some(appended) => say!("  kept: {} new tasks, {} new entries", appended.new_tasks, appended.new_entries),
        None => say!("  kept nothing (dry run)"),
    }
}

fn summary(polled: &Polled, collector: Collector) -> String {
    let reading = &polled.reading;
    match collector {
        Collector::Balance => reading.balance.as_ref().map_or_else(
            || "nothing".to_owned(),
            |balance| format!("{} credits left", credits(Some(balance.available))),
        ),
        Collector::Charges => {
            let count = |state: TaskState| reading.tasks.iter().filter(|task| task.state == state).count();
            format!(
                "{} tasks: {} succeeded, {} failed, {} running, {} queued",
                reading.tasks.len(),
                count(TaskState::Succeeded),
                count(TaskState::Failed),
                count(TaskState::Running),
                count(TaskState::Queued)
            )
        }
        Collector::Queue => reading.queue.as_ref().map_or_else(
            || "nothing".to_owned(),
            |queue| format!("{} waiting, {} running", queue.waiting, queue.running),
        ),
        Collector::Plan => reading.plan.as_ref().map_or_else(
            || "nothing".to_owned(),
            |plan| match plan.resets_at {
                Some(reset) => format!("resets at {reset}"),
                None => "no reset told".to_owned(),
            },
        ),
    }
}

fn as_json(account: &Account, polled: &Polled) -> serde_json::Value {
    let reading = &polled.reading;
    let balance = reading.balance.as_ref().map(|balance| balance.available.to_string());
    let queue = reading.queue.as_ref().map(|queue| json!({"waiting": queue.waiting, "running": queue.running}));
    let collectors: Vec<_> = polled
        .reports
        .iter()
        .map(|report| {
            json!({
                "collector": report.collector.as_str(),
                "requests": report.requests,
                "failure": report.outcome.as_ref().err().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "account": account.config.name.as_str(),
        "balance_credits": balance,
        "queue": queue,
        "tasks": reading.tasks.len(),
        "new_tasks": polled.appended.as_ref().map(|appended| appended.new_tasks),
        "new_entries": polled.appended.as_ref().map(|appended| appended.new_entries),
        "collectors": collectors,
    })
}
