//! `import`: a charge history into the ledger.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::progress::Progress;
use super::{Answer, WrongUsage};
use crate::app::{Agent, Shared};
use crate::cli::{ImportFlags, OutputFormat};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::words::counted;
use crate::import::{ImportJob, ImportSummary, import_file};
use crate::provider::history::ColumnMap;

/// How many rejected rows are shown.
const REJECTIONS_SHOWN: usize = 10;

pub async fn run(flags: ImportFlags) -> anyhow::Result<Answer> {
    if flags.rejects.is_some() && flags.files.len() > 1 {
        return Err(WrongUsage("--rejects: expected one FILE to import, found several".to_owned()).into());
    }
    let config = Config::load(&flags.config.config_file)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let Some(account) = agent.accounts.iter().find(|account| account.config.name.as_str() == flags.account) else {
        let known = agent.accounts.iter().map(|account| account.config.name.as_str());
        return Err(WrongUsage::no_such("account", &flags.account, known).into());
    };
    let columns = match &flags.map {
        Some(path) => ColumnMap::load(path, &account.config.zone).map_err(|error| WrongUsage(error.to_string()))?,
        None => account.columns.clone(),
    };
    let mut total = ImportSummary::default();
    for path in &flags.files {
        let job = ImportJob {
            account: &account.config.name,
            draws: &account.draws,
            path,
            columns: &columns,
            salt: account.salt,
            rejects: flags.rejects.as_deref(),
            now: shared.clock.now(),
        };
        let progress = Progress::of_bytes(path);
        let imported = import_file(&shared.store, job, |now| progress.show(now.bytes, now.total_bytes, now.rows)).await;
        progress.end();
        let summary = imported?;
        tell(path, &summary);
        total.read += summary.read;
        total.new += summary.new;
        total.known += summary.known;
        total.rejected += summary.rejected;
        total.without_team += summary.without_team;
        total.rejects_failure = total.rejects_failure.or(summary.rejects_failure);
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
    match total.rejects_failure {
        Some(failure) => Err(anyhow::anyhow!(failure)),
        None => Ok(Answer::Fine),
    }
}

/// What a person should hear of one file.
fn tell(path: &Path, summary: &ImportSummary) {
    for rejected in summary.rejections.iter().take(REJECTIONS_SHOWN) {
        eprintln!("{}:{}: {}", path.display(), rejected.line, rejected.reason);
    }
    if let Some(rejects) = &summary.rejects_file {
        let rows = counted(summary.rejected, "rejected row is", "rejected rows are");
        eprintln!("{}: {rows} in {}", path.display(), rejects.display());
        let them = if summary.rejected == 1 { "it" } else { "them" };
        eprintln!("hint: mend {them} there and import that file");
    }
    if summary.without_team > 0 {
        let rows =
            counted(summary.without_team, "row belongs to no team and counts", "rows belong to no team and count");
        eprint!("{}: {rows} for the account alone", path.display());
        let named: Vec<String> = summary.unknown_teams.iter().map(|team| format!("`{team}`")).collect();
        match named.is_empty() {
            true => eprintln!("\nhint: a team's `match`, or a team without one, decides where a row names no team"),
            false => eprintln!("; not in the configuration: {}", named.join(", ")),
        }
    }
}
