//! `import`: a charge history into the ledger.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

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
        let known = agent.accounts.iter().map(|account| account.config.name.as_str());
        return Err(WrongUsage::no_such("account", &flags.account, known).into());
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
        .await?;
        end_progress();
        total.read += summary.read;
        total.new += summary.new;
        total.known += summary.known;
        total.rejected += summary.rejected;
        total.without_team += summary.without_team;
        for rejected in summary.rejections.iter().take(REJECTIONS_SHOWN) {
            eprintln!("{}:{}: {}", path.display(), rejected.line, rejected.reason);
        }
        if summary.rejected > REJECTIONS_SHOWN as u64 {
            eprintln!("{}: {} rows were rejected in all", path.display(), summary.rejected);
        }
        if summary.without_team > 0 {
            let rows = summary.without_team;
            eprint!("{}: {rows} rows belong to no team and count for the account alone", path.display());
            let named: Vec<String> = summary.unknown_teams.iter().map(|team| format!("`{team}`")).collect();
            match named.is_empty() {
                true => eprintln!("\nhint: a team's `match`, or a team without one, decides where a row names no team"),
                false => eprintln!("; not in the configuration: {}", named.join(", ")),
            }
        }
    }
    let ImportSummary { read, new, known, rejected, without_team, .. } = total;
    match flags.format {
        OutputFormat::Table => say!("{read} rows read: {new} new, {known} known, {rejected} rejected"),
        OutputFormat::Json => say!(
            "{}",
            json!({"read": read, "new": new, "known": known, "rejected": rejected, "without_team": without_team})
        ),
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
