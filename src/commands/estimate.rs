//! `estimate`: what a job will cost, and whether the credits still last.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::estimates::{Keeping, kept_in_words};
use super::table::{credits, moment, percent, table};
use super::{Answer, WrongUsage, expect_ledger};
use crate::app::{Agent, Shared};
use crate::assessor::Planned;
use crate::cli::{EstimateFlags, OutputFormat};
use crate::clock::SystemClock;
use crate::config::{Config, Shot, parse_shots};
use crate::domain::{EstimateRequest, JobAt, LineEstimate, Outlook, PlannedLine, RecordedEstimate, TeamName};
use crate::http;
use crate::poller::Account;

pub async fn run(flags: EstimateFlags) -> anyhow::Result<Answer> {
    let keeping = Keeping::asked(&flags)?;
    let config = Config::load(&flags.config.config_file)?;
    expect_ledger(&config.storage)?;
    let shots = flags.shots.as_deref().map(shot_list).transpose()?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    let now = flags.at.unwrap_or_else(|| shared.clock.now());
    let mut jobs = match shots {
        Some(shots) => by_team(&agent, &shots, &flags)?,
        None => vec![only_job(&agent, &flags)?],
    };
    // What each costs has to be known before it is seen what all of them do to what they share.
    let plan = async |job: &Job<'_>, beside: &[JobAt]| -> anyhow::Result<Planned> {
        let planned = agent.assessor.plan_beside(job.account, &job.team, &job.lines, beside, flags.risk, now).await?;
        let (team, account) = (&job.team, &job.account.config.name);
        planned.ok_or_else(|| WrongUsage(format!("team `{team}` does not draw on `{account}`")).into())
    };
    let mut planned = Vec::with_capacity(jobs.len());
    for job in &jobs {
        planned.push(plan(job, &[]).await?);
    }
    if jobs.len() > 1 {
        for place in 0..jobs.len() {
            let account = &jobs[place].account.config.name;
            let is_beside = |other: &usize| *other != place && jobs[*other].account.config.name == *account;
            let beside: Vec<JobAt> =
                (0..jobs.len()).filter(is_beside).flat_map(|other| planned[other].check.jobs.clone()).collect();
            if !beside.is_empty() {
                planned[place] = plan(&jobs[place], &beside).await?;
            }
        }
    }
    // What nobody knows cannot be said to last.
    let all_last = planned.iter().all(|planned| planned.check.would_last == Some(true));
    let is_refused = flags.check && !all_last;
    let mut answers = Vec::with_capacity(jobs.len());
    for (job, planned) in jobs.drain(..).zip(planned) {
        let kept = match keeping.as_ref().filter(|_| !is_refused) {
            Some(keeping) => Some(keeping.keep(&agent, job.account, &planned, now).await?),
            None => None,
        };
        answers.push(Answered { job, planned, kept });
    }
    match flags.format {
        OutputFormat::Table => print_all(&answers),
        OutputFormat::Json => say!("{}", serde_json::to_string_pretty(&json_of(&answers))?),
    }
    shared.store.close().await;
    Ok(if is_refused { Answer::No } else { Answer::Fine })
}

/// What one team asked, and was told.
struct Answered<'a> {
    job: Job<'a>,
    planned: Planned,
    /// The estimate as it was kept, if it was.
    kept: Option<RecordedEstimate>,
}

/// What one team launches on one account.
struct Job<'a> {
    account: &'a Account,
    team: TeamName,
    lines: Vec<PlannedLine>,
}

fn shot_list(path: &Path) -> anyhow::Result<Vec<Shot>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| WrongUsage(format!("{}: failed to read the shot list: {error}", path.display())))?;
    Ok(parse_shots(&text, path)?)
}

fn only_job<'a>(agent: &'a Agent, flags: &EstimateFlags) -> anyhow::Result<Job<'a>> {
    let (account, team) = draw(agent, flags.team.as_deref().unwrap_or_default(), flags.account.as_deref())?;
    let request = EstimateRequest {
        task_type: flags.task.clone().unwrap_or_default(),
        quality: flags.quality.clone(),
        variants: flags.variants,
        count: flags.count,
        attempts: flags.attempts,
    };
    Ok(Job { account, team, lines: vec![PlannedLine { request, starts_at: flags.start }] })
}

/// The lines of a shot list by who launches them, in the order in which they come first.
fn by_team<'a>(agent: &'a Agent, shots: &[Shot], flags: &EstimateFlags) -> anyhow::Result<Vec<Job<'a>>> {
    let mut jobs: Vec<Job> = Vec::new();
    for (place, shot) in shots.iter().enumerate() {
        let team = shot.team.as_deref().or(flags.team.as_deref()).ok_or_else(|| {
            WrongUsage(format!("shots[{place}] names no team\nhint: write `team` there, or choose one with --team"))
        })?;
        let (account, team) = draw(agent, team, shot.account.as_deref().or(flags.account.as_deref()))?;
        let line = shot.line(&account.config.zone);
        let is_it = |job: &&mut Job| job.team == team && job.account.config.name == account.config.name;
        match jobs.iter_mut().find(is_it) {
            Some(job) => job.lines.push(line),
            None => jobs.push(Job { account, team, lines: vec![line] }),
        }
    }
    Ok(jobs)
}

/// One team's answer as it is; those of several as a list, with what follows for all.
fn json_of(answers: &[Answered]) -> Value {
    let one = |Answered { job, planned, kept }: &Answered| {
        let mut json = http::plan::as_json(&planned.draw, &job.lines, &planned.check);
        json["recorded"] = kept.as_ref().map(http::plan::recorded_as_json).into();
        json
    };
    if let [only] = answers {
        return one(only);
    }
    let lasts: Option<Vec<bool>> = answers.iter().map(|answered| answered.planned.check.would_last).collect();
    let any_ends = answers.iter().any(|answered| answered.planned.check.would_last == Some(false));
    let would_last = if any_ends { Some(false) } else { lasts.map(|_| true) };
    json!({ "would_last": would_last, "teams": answers.iter().map(one).collect::<Vec<_>>() })
}

fn print_all(answers: &[Answered]) {
    for (place, Answered { job, planned, kept }) in answers.iter().enumerate() {
        if answers.len() > 1 {
            let gap = if place == 0 { "" } else { "\n" };
            say!("{gap}== {} on {} ==\n", job.team, job.account.config.name);
        }
        print(planned, &job.lines, &job.account.config.zone);
        if let Some(kept) = kept {
            say!("\n{}", kept_in_words(kept, &job.account.config.zone));
        }
    }
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

fn print(planned: &Planned, lines: &[PlannedLine], zone: &TimeZone) {
    let check = &planned.check;
    for line in &check.estimate.lines {
        print_line(line);
    }
    let Some(total) = &check.estimate.total else {
        say!("cost: unknown");
        return;
    };
    if lines.len() > 1 {
        let mut rows = table(&["", "MEDIAN", "9 OF 10 WITHIN"]);
        let (p50, p90) = (credits(Some(total.credits.p50)), credits(Some(total.credits.p90)));
        rows.add_row(["everything", &format!("{p50} credits"), &format!("{p90} credits")]);
        say!("{rows}\n");
    }
    let Some(effect) = &check.effect else { return };
    let mut rows = table(&["", "WITHOUT IT", "WITH IT", "WITH IT (9 OF 10)"]);
    let outlooks = [&effect.before, &effect.after, &effect.after_p90];
    let row = |name: &str, show: &dyn Fn(&Outlook) -> String| {
        let [before, after, p90] = outlooks.map(show);
        [name.to_owned(), before, after, p90]
    };
    rows.add_row(row("runs out first?", &probability));
    rows.add_row(row("runs out", &|outlook| match outlook.forecast() {
        Some(forecast) if forecast.run_out.p50.is_none() => "after the horizon".to_owned(),
        Some(forecast) => moment(forecast.run_out.p50, zone),
        None => "-".to_owned(),
    }));
    say!("{rows}");
    let draw = &planned.draw;
    say!("\nleft now: {}", credits(draw.fuel.as_ref().map(|fuel| fuel.left)));
    if let Some(period) = &draw.period {
        say!("{:<9} {}", if period.is_budget() { "ends:" } else { "reset:" }, moment(Some(period.end), zone));
    }
    if draw.queued.tasks > 0 {
        say!(
            "queued:   {} tasks for about {} credits are counted",
            draw.queued.tasks,
            credits(Some(draw.queued.credits))
        );
    }
    if let Some(chance) = check.chance_above_left.filter(|chance| *chance > 0.0) {
        say!("alone it costs more than is left: {}", percent(chance));
    }
    if check.jobs.iter().any(|(at, _)| draw.period.as_ref().is_some_and(|period| *at >= period.end)) {
        say!("What starts after the period is paid from the next one's credits, of which nothing is forecast.");
    }
    if let Some(wait) = &check.wait {
        say!("{}", wait.in_words());
    }
    for drift in &check.drifts {
        say!("{}.", drift.in_words());
    }
    say!(
        "{}",
        match check.would_last {
            Some(true) => "The credits would last.",
            Some(false) => "The credits would not last.",
            None => "Whether the credits would last is not known.",
        }
    );
    if !check.alternatives.is_empty() {
        let mut rows = table(&["WHAT COULD BE DIFFERENT", "MEDIAN", "RUNS OUT FIRST?", "LASTS?"]);
        for alternative in &check.alternatives {
            let chance = alternative.probability.map_or_else(|| "-".to_owned(), percent);
            let lasts = if alternative.would_last { "yes" } else { "no" };
            let words = alternative.change.in_words(zone);
            rows.add_row([&words, &credits(Some(alternative.credits.p50)), &chance, lasts]);
        }
        say!("\n{rows}");
    }
}

fn print_line(line: &LineEstimate) {
    let request = &line.request;
    say!("{}\n", request.in_words());
    let known = match &line.known {
        Ok(known) => known,
        Err(unknown) => {
            say!("cost: unknown\n{unknown}\n");
            return;
        }
    };
    let mut rows = table(&["", "MEDIAN", "9 OF 10 WITHIN", "KNOWN FROM"]);
    let [p50, p90] = [known.total.credits.p50, known.total.credits.p90].map(|total| credits(Some(total)));
    rows.add_row(["the whole job", &format!("{p50} credits"), &format!("{p90} credits"), ""]);
    if let Some(launches) = known.total.launches {
        rows.add_row(["  launches", &launches.p50.to_string(), &launches.p90.to_string(), ""]);
    }
    for part in &known.parts {
        let (p50, p90) = (credits(Some(part.per_launch_p50)), credits(Some(part.per_launch_p90)));
        let from = match (part.tasks, part.tasks_of_others) {
            (0, 0) => "the price sheet".to_owned(),
            (0, others) => format!("{others} launches of other teams"),
            (own, _) => format!("{own} launches"),
        };
        rows.add_row([&format!("one {}", part.task_type), &p50, &p90, &from]);
        if let Some(attempts) = part.attempts_per_asset {
            let (mean, most) = (format!("{:.1} (mean)", attempts.mean), attempts.p90.to_string());
            rows.add_row(["  attempts for each asset", &mean, &most, &format!("{} assets", part.assets)]);
        }
    }
    say!("{rows}");
    if known.parts.iter().any(|part| part.attempts_per_asset.is_none() && !part.is_step) && request.attempts.is_none() {
        say!("Repeated attempts come on top: the history does not say which launches are for the same asset.");
    }
    say!();
}

fn probability(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Forecast(forecast) => forecast.probability.map_or_else(|| "no reset".to_owned(), percent),
        Outlook::TooLittleHistory { .. } => "too little history".to_owned(),
        Outlook::UnknownBalance => "not known".to_owned(),
    }
}
