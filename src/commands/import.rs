//! `import`: a charge history into the ledger.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::{Answer, WrongUsage};
use crate::app::{Agent, Shared};
use crate::cli::{ImportFlags, OutputFormat};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::import::{ImportProgress, ImportSummary, import_file};
use crate::provider::fingerprint::fingerprint;

/// How many rejected rows are shown.
const REJECTIONS_SHOWN: usize = 10;

pub async fn run(flags: ImportFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config.config_file)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let Some(account) = agent.accounts.iter().find(|account| account.config.name.as_str() == flags.account) else {
        let names: Vec<&str> = agent.accounts.iter().map(|account| account.config.name.as_str()).collect();
        let message = format!("there is no account `{}`; expected one of: {}", flags.account, names.join(", "));
        return Err(WrongUsage(message).into());
    };
    let mut total = ImportSummary::default();
    for path in &flags.files {
        let salt = account.salt;
        // Attempts at one asset are told by all that names it; a unit separator keeps the parts apart.
        let by_asset = move |parts: &[&str]| fingerprint(&salt, "", &parts.join("\u{1f}"));
        let summary = import_file(
            &shared.store,
            &account.config.name,
            &account.draws,
            path,
            Some(Box::new(by_asset)),
            shared.clock.now(),
            show_progress,
        )
        .await
        .with_context(|| format!("failed to import `{}`", path.display()))?;
        end_progress();
        total.read += summary.read;
        total.new += summary.new;
        total.known += summary.known;
        total.rejected += summary.rejected;
        for rejected in summary.rejections.iter().take(REJECTIONS_SHOWN) {
            eprintln!("{}:{}: {}", path.display(), rejected.line, rejected.reason);
        }
        if summary.rejected > REJECTIONS_SHOWN as u64 {
            eprintln!("{}: {} rows were rejected in all", path.display(), summary.rejected);
        }
    }
    let ImportSummary { read, new, known, rejected, .. } = total;
    match flags.format {
        OutputFormat::Table => println!("{read} rows read: {new} new, {known} known, {rejected} rejected"),
        OutputFormat::Json => println!("{}", json!({"read": read, "new": new, "known": known, "rejected": rejected})),
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

fn show_progress(progress: ImportProgress) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let share = progress.bytes as f64 / progress.total_bytes.max(1) as f64;
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(out, "\r{:3.0} %  {} rows", share * 100.0, progress.rows);
    }
}

fn end_progress() {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = write!(out, "\r\u{1b}[K");
    }
}
