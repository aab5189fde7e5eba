//! `export`: an account's past as a file of charges, or as series that Prometheus loads.

use std::sync::Arc;

use super::output::Output;
use super::progress::Progress;
use super::{Answer, WrongUsage, expect_ledger, is_broken_pipe};
use crate::app::{Agent, Shared};
use crate::cli::{ExportFlags, ExportFormat};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::export::{ExportError, LONGEST_STEP_SECONDS, PastSeries, Range, export_charges, export_series};

pub async fn run(flags: ExportFlags) -> anyhow::Result<Answer> {
    check(&flags)?;
    let config = Config::load(&flags.config.config_file)?;
    expect_ledger(&config.storage)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let Some(account) = agent.accounts.iter().find(|account| account.config.name.as_str() == flags.account) else {
        let known = agent.accounts.iter().map(|account| account.config.name.as_str());
        return Err(WrongUsage::no_such("account", &flags.account, known).into());
    };
    let mut history = shared.store.history(&account.config.name).await?;
    if history.began_at().await?.is_none() {
        let name = &account.config.name;
        anyhow::bail!(
            "the ledger at `{}` knows nothing of account `{name}` yet\nhint: `fuelgauge serve`, `poll` or `import` fills it",
            config.storage.display()
        );
    }
    let output = Output::open(flags.output.as_deref())?;
    let progress = Progress::of_count(output.is_terminal());
    let range = Range { from: flags.from, to: flags.to.unwrap_or_else(|| shared.clock.now()) };
    let written = match flags.format {
        ExportFormat::Csv => export_charges(&mut history, &range, output, |rows| progress.count(rows, "rows")).await,
        ExportFormat::Openmetrics => {
            let past = PastSeries {
                account: &account.config.name,
                draws: &account.draws,
                plan: &account.config.plan,
                range,
                step_seconds: flags.step.unwrap_or(LONGEST_STEP_SECONDS),
                labels: &flags.labels,
            };
            export_series(&mut history, &past, output, |samples| progress.count(samples, "samples")).await
        }
    };
    progress.end();
    let finished = written.and_then(|(output, _)| Ok(output.finish()?));
    drop(history);
    shared.store.close().await;
    match finished {
        Ok(()) => Ok(Answer::Fine),
        Err(ExportError::Label(name)) => Err(WrongUsage(ExportError::Label(name).to_string()).into()),
        Err(error) => match anyhow::Error::from(error) {
            error if is_broken_pipe(&error) => Ok(Answer::Fine),
            error => Err(error),
        },
    }
}

/// What the flags alone show to be wrong.
fn check(flags: &ExportFlags) -> Result<(), WrongUsage> {
    if flags.format == ExportFormat::Csv && (flags.step.is_some() || !flags.labels.is_empty()) {
        return Err(WrongUsage(
            "`--step` and `--label` are for `--format openmetrics`: a file of charges has no samples".into(),
        ));
    }
    match (flags.from, flags.to) {
        (Some(from), Some(to)) if from >= to => {
            Err(WrongUsage(format!("expected `--from` before `--to`; found {from} and {to}")))
        }
        _ => Ok(()),
    }
}
