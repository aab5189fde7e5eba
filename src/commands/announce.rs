//! `announce`: what a lead knows and the ledger cannot. An agent that is serving reckons with it at its next assessment.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::estimate::draw;
use super::table::{moment, table};
use super::{Answer, WrongUsage, expect_ledger};
use crate::app::{Agent, Shared};
use crate::assessor::AnnounceError;
use crate::cli::{AddFlags, AnnounceCommand, ConfigFlags, ListFlags, OutputFormat, WithdrawFlags};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::account::is_unprintable;
use crate::domain::{Announcement, AnnouncementForm, Credits, Draw, DrawKey};
use crate::http::announcements::as_json;
use crate::poller::Account;

pub async fn run(command: AnnounceCommand) -> anyhow::Result<Answer> {
    match command {
        AnnounceCommand::Add(flags) => add(*flags).await,
        AnnounceCommand::List(flags) => list(flags).await,
        AnnounceCommand::Withdraw(flags) => withdraw(flags).await,
    }
}

pub(super) async fn open(flags: &ConfigFlags) -> anyhow::Result<(Shared, Agent)> {
    let config = Config::load(&flags.config_file)?;
    expect_ledger(&config.storage)?;
    let shared = Shared::open(&config.storage, Arc::new(SystemClock)).await?;
    let agent = Agent::build(&config, None, &shared).await?;
    Ok((shared, agent))
}

async fn add(flags: AddFlags) -> anyhow::Result<Answer> {
    let form = AnnouncementForm {
        factor: flags.factor,
        from: flags.from,
        to: flags.to,
        credits: credits("credits", flags.credits.as_deref())?,
        low: credits("low", flags.low.as_deref())?,
        high: credits("high", flags.high.as_deref())?,
        at: flags.at,
        note: flags.note,
    };
    let by = who(flags.by)?;
    let (shared, agent) = open(&flags.config).await?;
    let (account, team) = draw(&agent, &flags.team, flags.account.as_deref())?;
    let key = DrawKey { account: account.config.name.clone(), team };
    let now = shared.clock.now();
    let announced = agent.assessor.announce(account, &key, &form, &by, now).await.map_err(|error| match error {
        AnnounceError::Form(error) => WrongUsage(format!("--{}: {}", error.field, in_flags(&error.message))).into(),
        AnnounceError::TooMany => anyhow::Error::from(WrongUsage(error.to_string())),
        AnnounceError::Store(error) => error.into(),
    })?;
    match flags.format {
        OutputFormat::Table => {
            let number = announced.id.unwrap_or_default();
            say!("announced as {number} for team `{}`: {}", key.team, words(&announced, account));
        }
        OutputFormat::Json => {
            say!("{}", serde_json::to_string_pretty(&as_json(&announced, &account.config.zone, now))?)
        }
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

async fn list(flags: ListFlags) -> anyhow::Result<Answer> {
    let (shared, agent) = open(&flags.config).await?;
    let now = shared.clock.now();
    let draws: Vec<(&Account, &Draw)> =
        agent.accounts.iter().flat_map(|account| account.draws.iter().map(|draw| (&**account, draw))).collect();
    let is_meant = |draw: &Draw| flags.team.as_deref().is_none_or(|team| draw.key.team.as_str() == team);
    if let Some(team) = flags.team.as_deref().filter(|_| !draws.iter().any(|(_, draw)| is_meant(draw))) {
        return Err(WrongUsage::no_such("team", team, draws.iter().map(|(_, draw)| draw.key.team.as_str())).into());
    }
    let mut found: Vec<(&Account, Announcement)> = Vec::new();
    for (account, draw) in draws.into_iter().filter(|(_, draw)| is_meant(draw)) {
        let announced = agent.assessor.all_announced(&draw.key).await?;
        found.extend(announced.into_iter().filter(|one| flags.all || one.stands(now)).map(|one| (account, one)));
    }
    match flags.format {
        OutputFormat::Table if found.is_empty() => say!("Nothing is announced."),
        OutputFormat::Table => print(&found, now),
        OutputFormat::Json => {
            let lines: Vec<Value> =
                found.iter().map(|(account, one)| as_json(one, &account.config.zone, now)).collect();
            say!("{}", serde_json::to_string_pretty(&lines)?);
        }
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

fn print(found: &[(&Account, Announcement)], now: Timestamp) {
    let mut rows = table(&["ID", "TEAM", "ACCOUNT", "WHAT", "STATE", "BY", "ANNOUNCED", "NOTE"]);
    for (account, one) in found {
        let zone = &account.config.zone;
        let state = match &one.withdrawn {
            Some((at, by)) => format!("withdrawn by {by}, {}", moment(Some(*at), zone)),
            None => one.standing(now).as_str().to_owned(),
        };
        rows.add_row([
            one.id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            one.key.team.to_string(),
            one.key.account.to_string(),
            words(one, account),
            state,
            one.by.clone(),
            moment(one.announced_at, zone),
            one.note.clone(),
        ]);
    }
    say!("{rows}");
}

async fn withdraw(flags: WithdrawFlags) -> anyhow::Result<Answer> {
    let by = who(flags.by)?;
    let (shared, agent) = open(&flags.config).await?;
    let now = shared.clock.now();
    for account in &agent.accounts {
        let Some(withdrawn) = shared.store.withdraw(&account.config.name, flags.id, &by, now).await? else {
            continue;
        };
        match flags.format {
            OutputFormat::Table => {
                say!("withdrawn {} of team `{}`: {}", flags.id, withdrawn.key.team, words(&withdrawn, account));
            }
            OutputFormat::Json => {
                say!("{}", serde_json::to_string_pretty(&as_json(&withdrawn, &account.config.zone, now))?);
            }
        }
        shared.store.close().await;
        return Ok(Answer::Fine);
    }
    let id = flags.id;
    Err(WrongUsage(format!("there is no announcement `{id}`\nhint: `fuelgauge announce list` shows them")).into())
}

fn words(announcement: &Announcement, account: &Account) -> String {
    announcement.foreseen.in_words(&account.config.zone)
}

fn credits(flag: &str, text: Option<&str>) -> Result<Option<Credits>, WrongUsage> {
    text.map(Credits::parse).transpose().map_err(|error| WrongUsage(format!("--{flag}: {error}")))
}

/// A message of a form, whose fields are flags here.
fn in_flags(message: &str) -> String {
    let fields = ["factor", "from", "to", "credits", "low", "high", "at", "note"];
    fields.iter().fold(message.to_owned(), |text, field| text.replace(&format!("`{field}`"), &format!("`--{field}`")))
}

/// Who types this: as said, or as the system knows.
pub(super) fn who(said: Option<String>) -> Result<String, WrongUsage> {
    let logged_in = || ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let by = said.or_else(logged_in).filter(|by| !by.is_empty()).unwrap_or_else(|| "command line".to_owned());
    if by.chars().count() > 64 || by.chars().any(is_unprintable) {
        return Err(WrongUsage("--by: expected a name of at most 64 printable characters".to_owned()));
    }
    Ok(by)
}
