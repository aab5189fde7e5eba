//! Estimates that are kept: `estimate --record` and `--plan`, and `estimate list`, `accept` and `withdraw`. An agent that is
//! serving follows them from its next assessment on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::announce::{open, who};
use super::table::{credits, moment, table};
use super::{Answer, WrongUsage, estimate};
use crate::app::Agent;
use crate::assessor::{Planned, RecordError};
use crate::cli::{
    EstimateArguments, EstimateChangeFlags, EstimateCommand, EstimateFlags, EstimateListFlags, OutputFormat,
};
use crate::domain::{Draw, EstimateState, RecordForm, RecordedEstimate};
use crate::http::plan::recorded_as_json;
use crate::poller::Account;

pub async fn run(arguments: EstimateArguments) -> anyhow::Result<Answer> {
    match arguments.command {
        Some(EstimateCommand::List(flags)) => list(flags).await,
        Some(EstimateCommand::Accept(flags)) => change(flags, Change::Accept).await,
        Some(EstimateCommand::Withdraw(flags)) => change(flags, Change::Withdraw).await,
        None => estimate::run(arguments.job).await,
    }
}

/// How somebody wants an estimate to be kept.
pub(super) struct Keeping {
    form: RecordForm,
    by: String,
}

impl Keeping {
    /// `None` if it is not to be kept.
    pub(super) fn asked(flags: &EstimateFlags) -> Result<Option<Keeping>, WrongUsage> {
        let of = &flags.record;
        if of.record || of.plan {
            let form = RecordForm { label: of.label.clone(), until: of.until, is_planned: of.plan };
            return Ok(Some(Keeping { form, by: who(of.by.clone())? }));
        }
        let useless = [("label", of.label.is_some()), ("until", of.until.is_some()), ("by", of.by.is_some())];
        match useless.into_iter().find(|(_, is_written)| *is_written) {
            Some((flag, _)) => {
                let hint = "hint: add --record to keep the estimate, or --plan to have forecasts reckon with it too";
                Err(WrongUsage(format!("--{flag}: expected an estimate that is kept\n{hint}")))
            }
            None => Ok(None),
        }
    }

    pub(super) async fn keep(
        &self,
        agent: &Agent,
        account: &Account,
        planned: &Planned,
        now: Timestamp,
    ) -> anyhow::Result<RecordedEstimate> {
        let kept = agent.assessor.record_estimate(account, planned, &self.form, &self.by, now).await;
        kept.map_err(wrong)
    }
}

fn wrong(error: RecordError) -> anyhow::Error {
    match error {
        RecordError::Form(error) => WrongUsage(format!("--{}: {}", error.field, error.message)).into(),
        RecordError::Store(error) => error.into(),
        error => WrongUsage(error.to_string()).into(),
    }
}

/// `recorded as 3, open until 5 Dec, 10:00; planned`.
pub(super) fn kept_in_words(kept: &RecordedEstimate, zone: &TimeZone) -> String {
    let planned = if kept.is_planned { "; forecasts reckon with it" } else { "" };
    format!("recorded as {}, open until {}{planned}", kept.id, moment(Some(kept.lapses_at), zone))
}

async fn list(flags: EstimateListFlags) -> anyhow::Result<Answer> {
    let (shared, agent) = open(&flags.config).await?;
    let draws: Vec<(&Account, &Draw)> =
        agent.accounts.iter().flat_map(|account| account.draws.iter().map(|draw| (&**account, draw))).collect();
    let is_meant = |draw: &Draw| flags.team.as_deref().is_none_or(|team| draw.key.team.as_str() == team);
    if let Some(team) = flags.team.as_deref().filter(|_| !draws.iter().any(|(_, draw)| is_meant(draw))) {
        return Err(WrongUsage::no_such("team", team, draws.iter().map(|(_, draw)| draw.key.team.as_str())).into());
    }
    let mut found: Vec<(&Account, RecordedEstimate)> = Vec::new();
    for (account, draw) in draws.into_iter().filter(|(_, draw)| is_meant(draw)) {
        let kept = agent.assessor.all_estimates(&draw.key).await?;
        let shown = kept.into_iter().filter(|one| flags.all || one.state == EstimateState::Open);
        found.extend(shown.map(|one| (account, one)));
    }
    match flags.format {
        OutputFormat::Table if found.is_empty() => say!("No estimate is recorded."),
        OutputFormat::Table => print(&found),
        OutputFormat::Json => {
            let lines: Vec<Value> = found.iter().map(|(_, one)| recorded_as_json(one)).collect();
            say!("{}", serde_json::to_string_pretty(&lines)?);
        }
    }
    shared.store.close().await;
    Ok(Answer::Fine)
}

fn print(found: &[(&Account, RecordedEstimate)]) {
    let columns = ["ID", "TEAM", "ACCOUNT", "WHAT", "STATE", "MEDIAN", "9 OF 10", "CHARGED", "ASSETS", "BY", "LABEL"];
    let mut rows = table(&columns);
    for (account, one) in found {
        let zone = &account.config.zone;
        rows.add_row([
            one.id.to_string(),
            one.key.team.to_string(),
            one.key.account.to_string(),
            one.in_words(),
            state(one, zone),
            credits(Some(one.credits.p50)),
            credits(Some(one.credits.p90)),
            credits(Some(one.charged)),
            format!("{} of {}", one.assets, one.assets_asked()),
            one.by.clone(),
            one.label.clone(),
        ]);
    }
    say!("{rows}");
}

/// `planned until 5 Dec, 10:00`.
fn state(one: &RecordedEstimate, zone: &TimeZone) -> String {
    match &one.state {
        EstimateState::Open => {
            let word = if one.is_planned { "planned" } else { "open" };
            format!("{word} until {}", moment(Some(one.lapses_at), zone))
        }
        EstimateState::Withdrawn { at, by } => format!("withdrawn by {by}, {}", moment(Some(*at), zone)),
        closed => format!("{}, {}", closed.as_str(), moment(closed.closed_at(), zone)),
    }
}

/// What is done to an estimate.
#[derive(Clone, Copy)]
enum Change {
    Accept,
    Withdraw,
}

async fn change(flags: EstimateChangeFlags, change: Change) -> anyhow::Result<Answer> {
    let by = who(flags.by)?;
    let (shared, agent) = open(&flags.config).await?;
    let (now, id) = (shared.clock.now(), flags.id);
    for account in &agent.accounts {
        let name = &account.config.name;
        let changed = match change {
            Change::Accept => agent.assessor.accept_estimate(name, id, &by, now).await.map_err(wrong)?,
            Change::Withdraw => agent.assessor.withdraw_estimate(name, id, &by, now).await?,
        };
        let Some(changed) = changed else { continue };
        match flags.format {
            OutputFormat::Table => {
                let state = state(&changed, &account.config.zone);
                say!("{id} of team `{}`: {}: {state}", changed.key.team, changed.in_words());
            }
            OutputFormat::Json => say!("{}", serde_json::to_string_pretty(&recorded_as_json(&changed))?),
        }
        shared.store.close().await;
        return Ok(Answer::Fine);
    }
    Err(WrongUsage(format!("there is no estimate `{id}`\nhint: `fuelgauge estimate list --all` shows them")).into())
}
