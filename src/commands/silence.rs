//! `silence`: alerts that nobody is told of for a time. An agent that is serving heeds it from its next assessment on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::announce::{open, who};
use super::table::{moment, table};
use super::{Answer, WrongUsage};
use crate::app::{Agent, Shared};
use crate::assessor::SilenceError;
use crate::cli::{ExpireFlags, OutputFormat, SilenceCommand, SilenceFlags, SilenceListFlags, SilenceTime, UpdateFlags};
use crate::domain::silence::{Label, Operator, lasting, sort};
use crate::domain::words::counted;
use crate::domain::{
    FiringAlert, Matcher, RuleName, Silence, SilenceEnd, SilenceForm, SilenceState, Stage, matchers_in_words,
};
use crate::http::silences::as_json;

pub async fn run(command: SilenceCommand) -> anyhow::Result<Answer> {
    match command {
        SilenceCommand::Add(flags) => add(*flags).await,
        SilenceCommand::List(flags) => list(flags).await,
        SilenceCommand::Expire(flags) => expire(flags).await,
        SilenceCommand::Update(flags) => update(*flags).await,
    }
}

async fn add(flags: SilenceFlags) -> anyhow::Result<Answer> {
    let form = SilenceForm {
        matchers: matchers(&flags.matchers)?,
        start: flags.time.start,
        end: end(&flags.time)?,
        by: who(flags.by)?,
        comment: flags.comment.unwrap_or_default(),
    };
    let (shared, agent) = open(&flags.config).await?;
    let now = shared.clock.now();
    let silence = agent.assessor.silence(form, None, None, now).await.map_err(in_flags)?;
    tell("silenced", &silence, flags.format, now, &agent).await?;
    shared.store.close().await;
    Ok(Answer::Fine)
}

async fn update(flags: UpdateFlags) -> anyhow::Result<Answer> {
    let (end, by) = (end(&flags.time)?, who(flags.by)?);
    if end.is_none() && flags.time.start.is_none() && flags.comment.is_none() {
        let expected = "expected what shall change: `--duration`, `--start`, `--end` or `--comment`";
        return Err(WrongUsage(expected.to_owned()).into());
    }
    let (shared, agent) = open(&flags.config).await?;
    let old = find(&shared, flags.id).await?;
    // One that is over needs a new end: it has had its own.
    let (ends_at, old) = (old.ended_at(), old.asked);
    let form = SilenceForm {
        matchers: old.matchers,
        start: Some(flags.time.start.unwrap_or(old.starts_at)),
        end: Some(end.unwrap_or(SilenceEnd::At(ends_at))),
        by,
        comment: flags.comment.unwrap_or(old.comment),
    };
    let now = shared.clock.now();
    let silence = agent.assessor.silence(form, None, Some(flags.id), now).await.map_err(in_flags)?;
    tell(&format!("instead of {}, silenced", flags.id), &silence, flags.format, now, &agent).await?;
    shared.store.close().await;
    Ok(Answer::Fine)
}

async fn list(flags: SilenceListFlags) -> anyhow::Result<Answer> {
    let wanted = matchers(&flags.matchers)?;
    let (shared, agent) = open(&flags.config).await?;
    let now = shared.clock.now();
    let mut found = shared.store.all_silences().await?;
    found.retain(|silence| (silence.state(now) == SilenceState::Expired) == flags.expired);
    found.retain(|silence| silence.is_found_by(&wanted));
    sort(&mut found, now);
    let firing = agent.assessor.firing().await?;
    match flags.format {
        OutputFormat::Table if found.is_empty() => say!("No alert is silenced."),
        OutputFormat::Table => print(&found, &firing, &zone(&agent), now),
        OutputFormat::Json => {
            let lines: Vec<Value> = found.iter().map(|silence| as_json(silence, &firing, now)).collect();
            say!("{}", serde_json::to_string_pretty(&lines)?);
        }
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

async fn expire(flags: ExpireFlags) -> anyhow::Result<Answer> {
    let by = who(flags.by)?;
    let (shared, agent) = open(&flags.config).await?;
    let now = shared.clock.now();
    // All of them or none: with a number mistyped nobody knows which were meant.
    let mut silences = Vec::with_capacity(flags.ids.len());
    for id in &flags.ids {
        silences.push(find(&shared, *id).await?);
    }
    for silence in silences {
        let words = matchers_in_words(&silence.asked.matchers);
        if silence.state(now) == SilenceState::Expired {
            say!("{} was over already: {words}", silence.id);
            continue;
        }
        agent.assessor.expire_silence(silence.id, &by, now).await?;
        say!("expired {}: {words}", silence.id);
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

async fn find(shared: &Shared, id: i64) -> anyhow::Result<Silence> {
    let nothing = || WrongUsage(format!("there is no silence `{id}`\nhint: `fuelgauge silence list` shows them"));
    Ok(shared.store.silence(id).await?.ok_or_else(nothing)?)
}

/// Says what was kept and what that mutes now.
async fn tell(
    what: &str,
    silence: &Silence,
    format: OutputFormat,
    now: Timestamp,
    agent: &Agent,
) -> anyhow::Result<()> {
    let firing = agent.assessor.firing().await?;
    if format == OutputFormat::Json {
        say!("{}", serde_json::to_string_pretty(&as_json(silence, &firing, now))?);
        return Ok(());
    }
    let zone = zone(agent);
    let (asked, until) = (&silence.asked, moment(Some(silence.asked.ends_at), &zone));
    let from = match silence.state(now) {
        SilenceState::Pending => format!("from {} ", moment(Some(asked.starts_at), &zone)),
        SilenceState::Active | SilenceState::Expired => String::new(),
    };
    say!("{what} as {}, {from}until {until}: {}", silence.id, matchers_in_words(&asked.matchers));
    let covered: Vec<&FiringAlert> = firing.iter().filter(|alert| silence.covers(&alert.labels())).collect();
    say!("{}", if covered.is_empty() { "no alert that fires now matches" } else { "alerts that fire now and match:" });
    for alert in covered {
        say!("  {}", in_words(alert));
    }
    for nobody in unknown(&asked.matchers, agent) {
        say!("{nobody}");
    }
    Ok(())
}

fn print(found: &[Silence], firing: &[FiringAlert], zone: &TimeZone, now: Timestamp) {
    let mut rows = table(&["ID", "STATE", "MATCHERS", "STARTS", "ENDS", "BY", "COMMENT", "MUTES NOW"]);
    for silence in found {
        let mutes = firing.iter().filter(|alert| silence.mutes(&alert.labels(), now)).count();
        let state = match &silence.expired {
            Some((_, by)) => format!("expired by {by}"),
            None => silence.state(now).as_str().to_owned(),
        };
        rows.add_row([
            silence.id.to_string(),
            state,
            matchers_in_words(&silence.asked.matchers),
            moment(Some(silence.asked.starts_at), zone),
            moment(Some(silence.ended_at()), zone),
            silence.asked.created_by.clone(),
            silence.asked.comment.clone(),
            if mutes == 0 { "-".to_owned() } else { counted(mutes as u64, "alert", "alerts") },
        ]);
    }
    say!("{rows}");
}

/// The zone in which times are told: the first account's.
fn zone(agent: &Agent) -> TimeZone {
    agent.accounts.first().map_or(TimeZone::UTC, |account| account.config.zone.clone())
}

fn in_words(alert: &FiringAlert) -> String {
    let FiringAlert { alert, account, team, severity } = alert;
    let team = if team.is_empty() { String::new() } else { format!(" of team `{team}`") };
    format!("`{alert}` ({severity}){team} on account `{account}`")
}

/// Names in matchers that nothing has: more often a slip than meant.
fn unknown(matchers: &[Matcher], agent: &Agent) -> Vec<String> {
    let draws = || agent.accounts.iter().flat_map(|account| &account.draws);
    let is_known = |label: Label, value: &str| match label {
        Label::Alert => RuleName::parse(value).is_some(),
        Label::AlertName => RuleName::of_alert_name(value).is_some(),
        Label::Account => agent.accounts.iter().any(|account| account.config.name.as_str() == value),
        Label::Team => draws().any(|draw| draw.key.team.as_str() == value),
        Label::Severity => Stage::parse(value).is_some(),
    };
    let is_literal = |matcher: &&Matcher| matcher.operator() == Operator::Equal && !matcher.value().is_empty();
    let strange = |matcher: &&Matcher| !is_known(matcher.label(), matcher.value());
    let words = |matcher: &Matcher| format!("hint: there is no {} `{}`", matcher.label().as_str(), matcher.value());
    matchers.iter().filter(is_literal).filter(strange).map(words).collect()
}

fn matchers(texts: &[String]) -> Result<Vec<Matcher>, WrongUsage> {
    Matcher::parse_each(texts).map_err(|error| WrongUsage(error.to_string()))
}

fn end(time: &SilenceTime) -> Result<Option<SilenceEnd>, WrongUsage> {
    let length = time.duration.as_deref().map(lasting).transpose();
    let length = length.map_err(|error| WrongUsage(format!("--duration: {}", error.message)))?;
    Ok(time.end.map(SilenceEnd::At).or(length.map(SilenceEnd::After)))
}

fn in_flags(error: SilenceError) -> anyhow::Error {
    match error {
        SilenceError::Form(error) if error.field == "matchers" => WrongUsage(error.message).into(),
        SilenceError::Form(error) => WrongUsage(format!("--{}: {}", error.field, error.message)).into(),
        SilenceError::TooMany => WrongUsage(error.to_string()).into(),
        SilenceError::Store(error) => error.into(),
    }
}
