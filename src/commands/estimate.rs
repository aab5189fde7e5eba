//! `estimate`: what a job will cost, and whether the credits still last.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::table::{credits, moment, percent, table};
use super::{Answer, WrongUsage, expect_ledger};
use crate::app::{Agent, Shared};
use crate::cli::{EstimateFlags, OutputFormat};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::{DrawAssessment, Effect, Estimate, EstimateRequest, Outlook, TeamName, estimate};
use crate::poller::Account;

/// How far back past tasks are looked at.
const HISTORY: SignedDuration = SignedDuration::from_hours(180 * 24);

/// How many past tasks are looked at, the newest first.
const MOST_TASKS: u32 = 50_000;

pub async fn run(flags: EstimateFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config.config_file)?;
    expect_ledger(&config.storage)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let (account, team) = draw(&agent, &flags.team, flags.account.as_deref())?;
    let now = flags.at.unwrap_or_else(|| shared.clock.now());
    let history = shared.store.past_tasks(&account.config.name, Some(&team), now - HISTORY, MOST_TASKS).await?;
    let request = EstimateRequest {
        task_type: flags.task.clone(),
        quality: flags.quality.clone(),
        variants: flags.variants,
        count: flags.count,
    };
    let job = match estimate(&history, &request) {
        Ok(job) => job,
        Err(unknown) => {
            let unknown = unknown.to_string();
            match flags.format {
                OutputFormat::Table => say!("cost: unknown\n{unknown}"),
                OutputFormat::Json => {
                    let (what, hint) = unknown.split_once("\nhint: ").unzip();
                    say!("{}", json!({"cost_credits": null, "unknown": what.unwrap_or(&unknown), "hint": hint}));
                }
            }
            // What nobody knows cannot be said to last.
            return Ok(if flags.check { Answer::No } else { Answer::Fine });
        }
    };
    let Some((draw, effect)) = agent.assessor.weigh(account, &team, &job, now).await? else {
        return Err(WrongUsage(format!("team `{team}` does not draw on `{}`", account.config.name)).into());
    };
    let would_last = effect.would_last(config.alerts.rules.exhaustion.policy.raise_at);
    match flags.format {
        OutputFormat::Table => print(account, &draw, &job, &effect, would_last),
        OutputFormat::Json => {
            say!("{}", serde_json::to_string_pretty(&as_json(&draw, &job, &effect, would_last))?);
        }
    }
    shared.store.close().await;
    Ok(if flags.check && would_last != Some(true) { Answer::No } else { Answer::Fine })
}

/// The account and team that were meant.
pub(super) fn draw<'a>(agent: &'a Agent, team: &str, account: Option<&str>) -> anyhow::Result<(&'a Account, TeamName)> {
    let draws = || agent.accounts.iter().flat_map(|account| account.draws.iter().map(|draw| (&**account, draw)));
    let of_team: Vec<_> = draws().filter(|(_, draw)| draw.key.team.as_str() == team).collect();
    if of_team.is_empty() {
        let known = draws().map(|(_, draw)| draw.key.team.as_str());
        return Err(WrongUsage::no_such("team", team, known).into());
    }
    let accounts: Vec<String> = of_team.iter().map(|(account, _)| format!("`{}`", account.config.name)).collect();
    let wanted = |name: &str| account.is_none_or(|account| account == name);
    let mut meant = of_team.iter().filter(|(account, _)| wanted(account.config.name.as_str()));
    match (meant.next(), meant.next()) {
        (Some((account, draw)), None) => Ok((account, draw.key.team.clone())),
        _ => {
            let accounts = accounts.join(", ");
            Err(WrongUsage(match account {
                Some(wrong) => format!("team `{team}` does not draw on `{wrong}`; expected one of: {accounts}"),
                None => format!("team `{team}` draws on {accounts}\nhint: choose one with --account"),
            })
            .into())
        }
    }
}

fn print(account: &Account, draw: &DrawAssessment, job: &Estimate, effect: &Effect, would_last: Option<bool>) {
    let request = &job.request;
    let quality = request.quality.as_ref().map(|quality| format!(" in `{quality}`")).unwrap_or_default();
    let variants = match request.variants {
        1 => String::new(),
        variants => format!(", {variants} variants of each"),
    };
    say!("{} × {}{quality}{variants}\n", request.count, request.task_type);
    let mut rows = table(&["", "MEDIAN", "9 OF 10 WITHIN", "KNOWN FROM"]);
    let total = [credits(Some(job.total_p50)), credits(Some(job.total_p90))];
    let [p50, p90] = total.map(|total| format!("{total} credits"));
    rows.add_row(["the whole job", &p50, &p90, ""]);
    for part in &job.parts {
        let (p50, p90) = (credits(Some(part.per_launch_p50)), credits(Some(part.per_launch_p90)));
        let launches = format!("{} launches", part.tasks);
        rows.add_row([&format!("one {}", part.task_type), &p50, &p90, &launches]);
        if let Some(attempts) = part.attempts_per_asset {
            let (mean, most) = (format!("{:.1} (mean)", attempts.mean), attempts.p90.to_string());
            rows.add_row(["  attempts for each asset", &mean, &most, &format!("{} assets", part.assets)]);
        }
    }
    say!("{rows}");
    if job.parts.iter().any(|part| part.attempts_per_asset.is_none() && !part.is_step) {
        say!("Repeated attempts come on top: the history does not say which launches are for the same asset.");
    }
    say!();
    let zone = &account.config.zone;
    let mut rows = table(&["", "WITHOUT IT", "WITH IT (MEDIAN)", "WITH IT (9 OF 10)"]);
    let outlooks = [&effect.before, &effect.after_p50, &effect.after_p90];
    let row = |name: &str, show: &dyn Fn(&Outlook) -> String| {
        let [before, p50, p90] = outlooks.map(show);
        [name.to_owned(), before, p50, p90]
    };
    rows.add_row(row("runs out first?", &probability));
    rows.add_row(row("runs out", &|outlook| match outlook.forecast() {
        Some(forecast) if forecast.run_out.p50.is_none() => "after the horizon".to_owned(),
        Some(forecast) => moment(forecast.run_out.p50, zone),
        None => "-".to_owned(),
    }));
    say!("{rows}");
    say!("\nleft now: {}", credits(draw.fuel.as_ref().map(|fuel| fuel.left)));
    say!("reset:    {}", moment(draw.period.as_ref().map(|period| period.end), zone));
    say!(
        "{}",
        match would_last {
            Some(true) => "The credits would last.",
            Some(false) => "The credits would not last.",
            None => "Whether the credits would last is not known.",
        }
    );
}

fn probability(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Forecast(forecast) => forecast.probability.map_or_else(|| "no reset".to_owned(), percent),
        Outlook::TooLittleHistory { .. } => "too little history".to_owned(),
        Outlook::UnknownBalance => "not known".to_owned(),
    }
}

fn as_json(draw: &DrawAssessment, job: &Estimate, effect: &Effect, would_last: Option<bool>) -> Value {
    let outlook = |outlook: &Outlook| {
        outlook.forecast().map(|forecast| {
            let run_out: Option<Timestamp> = forecast.run_out.p50;
            json!({"probability": forecast.probability, "run_out_p50": run_out.map(|at| at.to_string())})
        })
    };
    let parts: Vec<Value> = job
        .parts
        .iter()
        .map(|part| {
            json!({
                "task_type": part.task_type,
                "per_launch_credits": {"p50": part.per_launch_p50.to_string(), "p90": part.per_launch_p90.to_string()},
                "attempts_per_asset": part.attempts_per_asset.map(|a| json!({"mean": a.mean, "p90": a.p90})),
                "past_tasks": part.tasks,
                "past_assets": part.assets,
            })
        })
        .collect();
    json!({
        "team": draw.key.team.as_str(),
        "account": draw.key.account.as_str(),
        "cost_credits": {"p50": job.total_p50.to_string(), "p90": job.total_p90.to_string()},
        "parts": parts,
        "basis": job.basis(),
        "balance_credits": draw.fuel.as_ref().map(|fuel| fuel.left.to_string()),
        "reset": draw.period.as_ref().map(|period| period.end.to_string()),
        "before": outlook(&effect.before),
        "after_p50": outlook(&effect.after_p50),
        "after_p90": outlook(&effect.after_p90),
        "would_last": would_last,
    })
}
