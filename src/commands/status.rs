//! `status`: a line per team.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::table::{COLUMNS, age, credits, is_colourful, moment, percent, table, wrapped};
use super::{Answer, expect_ledger};
use crate::app::{Agent, Shared};
use crate::assessor::{Alerts, is_at_risk};
use crate::cli::{OutputFormat, StatusFlags};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::words::counted;
use crate::domain::{AccountAssessment, Confidence, DrawAssessment, Guess, Outlook, RunOut};
use crate::http::explanation;

pub async fn run(flags: StatusFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config.config_file)?;
    expect_ledger(&config.storage)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let now = flags.at.unwrap_or_else(|| shared.clock.now());
    let mut accounts = Vec::with_capacity(agent.accounts.len());
    for account in &agent.accounts {
        accounts.push(agent.assessor.assess_once(account, now, Alerts::Leave).await?);
    }
    let draws = || accounts.iter().flat_map(|account| account.draws.iter().map(|draw| (&**account, draw)));
    let at_risk = draws().any(|(_, draw)| is_at_risk(draw, &config.alerts));
    match flags.format {
        OutputFormat::Table => {
            let risky = |draw: &DrawAssessment| is_at_risk(draw, &config.alerts);
            print(draws().map(|(account, draw)| (account, draw, risky(draw))));
            if flags.explain {
                draws().for_each(|(account, draw)| explain(account, draw));
            }
        }
        OutputFormat::Json => {
            let line = |(account, draw)| {
                let mut line = as_json(account, draw, is_at_risk(draw, &config.alerts));
                if flags.explain {
                    line["explanation"] = explanation::explanation(account, draw);
                }
                line
            };
            let lines: Vec<Value> = draws().map(line).collect();
            say!("{}", serde_json::to_string_pretty(&lines)?);
        }
    }
    shared.store.close().await;
    Ok(if flags.check && at_risk { Answer::No } else { Answer::Fine })
}

fn print<'a>(draws: impl Iterator<Item = (&'a AccountAssessment, &'a DrawAssessment, bool)>) {
    let header = ["TEAM", "ACCOUNT", "LEFT", "PER DAY", "RUNS OUT", "RESET", "RUNS OUT FIRST?", "DATA AGE"];
    let mut rows = table(&header);
    for (account, draw, is_risky) in draws {
        let line = line(account, draw);
        let style = |text: String| match is_risky && is_colourful() {
            true => format!("\u{1b}[31m{text}\u{1b}[0m"),
            false => text,
        };
        rows.add_row(line.map(style));
    }
    say!("{rows}");
}

/// What drives a forecast: sentences, and the paces that are pooled.
fn explain(account: &AccountAssessment, draw: &DrawAssessment) {
    say!("\nteam {} on {}", draw.key.team, draw.key.account);
    let Some(explanation) = &draw.explanation else {
        say!("Nothing is said of the future, so there is nothing to explain.");
        return;
    };
    for sentence in draw.explained(account) {
        say!("{}", wrapped(&sentence, COLUMNS));
    }
    if explanation.is_guess {
        return;
    }
    let mut rows = table(&["USE COUNTS HALF AFTER", "CREDITS A DAY", "WEIGHT"]);
    let row = |what: String, per_hour: f64, share: f64| {
        [what, format!("{:.1}", per_hour * 24.0), format!("{:.1} %", share * 100.0)]
    };
    for part in &explanation.paces {
        let what = match part.half_life_hours {
            Some(hours) if hours < 72.0 => format!("{hours:.0} h"),
            Some(hours) => format!("{:.0} days", hours / 24.0),
            None => "the plan's pace".to_owned(),
        };
        rows.add_row(row(what, part.per_hour, part.share));
    }
    rows.add_row(row("pooled".to_owned(), explanation.pace_per_hour, 1.0));
    for place in [1, 2] {
        if let Some(column) = rows.column_mut(place) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    say!("\n{rows}");
    let floor = explanation.floor_per_hour * 24.0;
    let note = format!(
        "Pooled is the geometric mean by weight. Before it is taken, {floor:.1} a day are added to each pace: a team at rest \
         does not stay at rest for ever."
    );
    say!("{}", wrapped(&note, COLUMNS));
}

fn line(account: &AccountAssessment, draw: &DrawAssessment) -> [String; 8] {
    let forecast = draw.outlook.forecast();
    let a_day = |pace_per_hour: f64| format!("{:.0}", pace_per_hour * 24.0);
    let per_day = forecast.map(|forecast| match &draw.shared {
        Some(shared) => {
            let own = shared.own_pace_per_hour.map_or_else(|| "?".to_owned(), a_day);
            format!("{own} of {}", a_day(forecast.pace_per_hour))
        }
        None => a_day(forecast.pace_per_hour),
    });
    let runs_out = match (&draw.outlook, forecast.and_then(|forecast| forecast.run_out.p50)) {
        (_, Some(run_out)) => moment(Some(run_out), &account.zone),
        (Outlook::Forecast(forecast), None) => {
            format!("after {}", moment(Some(forecast.horizon), &account.zone).split(' ').next().unwrap_or_default())
        }
        (Outlook::TooLittleHistory { guess: Some(guess), .. }, _) => range(guess, &account.zone),
        _ => "-".to_owned(),
    };
    let probability = match &draw.outlook {
        Outlook::TooLittleHistory { hours, charges, .. } => {
            format!("too little history ({} in {hours} h)", counted(u64::from(*charges), "charge", "charges"))
        }
        Outlook::UnknownBalance => "not known".to_owned(),
        Outlook::Forecast(forecast) => match (forecast.probability, forecast.confidence) {
            (None, _) => "no reset".to_owned(),
            (Some(probability), Confidence::Normal) => percent(probability),
            (Some(probability), Confidence::Low) => format!("{} (little history)", percent(probability)),
        },
    };
    [
        draw.key.team.to_string(),
        draw.key.account.to_string(),
        credits(draw.fuel.as_ref().map(|fuel| fuel.left)),
        per_day.unwrap_or_else(|| "-".to_owned()),
        runs_out,
        moment(draw.period.as_ref().map(|period| period.end), &account.zone),
        probability,
        draw.fuel.as_ref().map_or_else(
            || "never read".to_owned(),
            |fuel| {
                let stale = if fuel.fresh { "" } else { " (stale)" };
                format!("{}{stale}", age(account.at.duration_since(fuel.as_of)))
            },
        ),
    ]
}

/// Between which days eight in ten run out.
fn range(guess: &Guess, zone: &TimeZone) -> String {
    let day = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d").to_string();
    match (guess.run_out.p10, guess.run_out.p90) {
        (Some(early), Some(late)) => format!("{} to {}", day(early), day(late)),
        (Some(early), None) => format!("{} or later", day(early)),
        (None, _) => format!("after {}", day(guess.horizon)),
    }
}

fn as_json(account: &AccountAssessment, draw: &DrawAssessment, is_risky: bool) -> Value {
    let forecast = draw.outlook.forecast();
    let run_out = forecast.map(|forecast| forecast.run_out);
    let parts = account.parts().or_else(|| account.buckets.clone()).unwrap_or_default();
    let dates = |run_out: RunOut| {
        let [p10, p50, p90] = [run_out.p10, run_out.p50, run_out.p90].map(|at| at.map(|at| at.to_string()));
        json!({"p10": p10, "p50": p50, "p90": p90})
    };
    json!({
        "team": draw.key.team.as_str(),
        "account": draw.key.account.as_str(),
        "at": account.at.to_string(),
        "balance_credits": draw.fuel.as_ref().map(|fuel| fuel.left.to_string()),
        "balance_as_of": draw.fuel.as_ref().map(|fuel| fuel.as_of.to_string()),
        "balance_fresh": draw.fuel.as_ref().map(|fuel| fuel.fresh),
        "spent_credits": draw.spent.to_string(),
        "pace_credits_per_day": forecast.map(|forecast| forecast.pace_per_hour * 24.0),
        "own_pace_credits_per_day": draw.shared.as_ref().and_then(|shared| shared.own_pace_per_hour).map(|pace| pace * 24.0),
        "shared": draw.shared.is_some(),
        "shared_left_credits": draw.shared.as_ref().map(|shared| shared.fuel.left.to_string()),
        "run_out": run_out.map(dates),
        "plan_credits": parts.plan.map(|credits| credits.to_string()),
        "purchased_credits": parts.purchased.map(|credits| credits.to_string()),
        "plan_run_out": draw.plan_run_out.map(dates),
        "range": match &draw.outlook {
            Outlook::TooLittleHistory { guess, .. } => guess.map(|guess| dates(guess.run_out)),
            _ => None,
        },
        "reset": draw.period.as_ref().map(|period| period.end.to_string()),
        "probability": forecast.and_then(|forecast| forecast.probability),
        "confidence": match &draw.outlook {
            Outlook::Forecast(forecast) => Some(forecast.confidence),
            Outlook::TooLittleHistory { .. } => Some(Confidence::Low),
            Outlook::UnknownBalance => None,
        }.map(Confidence::as_str),
        "at_risk": is_risky,
    })
}
