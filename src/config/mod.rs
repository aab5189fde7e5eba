//! The configuration, parsed and checked, ready to build from.
//!
//! [`Config::load`] tells every mistake of a file at once, each with its line, the way to the key and a hint. `tree`
//! turns YAML into a tree with positions, `section` reads declared sections from it, and each section stands in a file
//! of its own, as written, with its checks beside it: `file` (the top level), `account` (with `plan` and `prices`), `team`,
//! `announcement`, `alerts` (with `rules` and `quiet`), `email`, `limits`, `reports` (what comes on a schedule),
//! `alertmanager`, `webhook`, `web`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;

use self::file::ConfigFile;
use self::mistakes::Mistakes;
use self::section::Read as _;
use self::values::Context;
use crate::domain::{
    AccountName, Announcement, ChargeSource, CronSchedule, DeclaredPlan, DeliveryLimits, Draw, PriceSheet, QuietHours,
    RuleName, Rules, Stage, TeamName,
};

mod account;
mod alertmanager;
mod alerts;
mod announcement;
mod email;
mod file;
mod limits;
mod mistakes;
mod plan;
mod prices;
mod quiet;
mod reports;
mod rules;
pub mod secret;
mod section;
mod shots;
mod team;
#[cfg(test)]
mod tests;
mod tree;
mod values;
mod web;
mod webhook;

pub use alertmanager::{AlertmanagerConfig, HttpAuth};
pub use mistakes::{ConfigError, ConfigErrors, Position};
pub use prices::{BUILT_IN_PRICES, parse_prices};
pub use secret::SecretFile;
pub use shots::{Shot, parse_shots};
pub use webhook::WebhookConfig;

/// Everything the agent needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; relative paths of secrets and mappings begin at its folder.
    pub path: PathBuf,
    /// Where the SQLite ledger lies; a relative path begins at the working directory.
    pub storage: PathBuf,
    /// The accounts, in the order written.
    pub accounts: Vec<AccountConfig>,
    /// The teams, in the order written.
    pub teams: Vec<TeamConfig>,
    /// Rules and their recipients.
    pub alerts: AlertsConfig,
    /// How mail leaves; without it alerts are shown and not mailed.
    pub email: Option<EmailConfig>,
    /// Which Alertmanagers are shown what fires.
    pub alertmanager: Option<AlertmanagerConfig>,
    /// Programs that are told what people are told, in the order written.
    pub webhooks: Vec<WebhookConfig>,
    /// What is served.
    pub web: WebConfig,
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Its name: the `account` label.
    pub name: AccountName,
    /// Where it is read from; `None` for import and push alone.
    pub source: Option<SourceConfig>,
    /// Zone of the schedule, the plan and the mails.
    pub zone: TimeZone,
    /// What the platform does not report.
    pub plan: DeclaredPlan,
    /// From what charges are known; `None` leaves it to what the platform lists.
    pub charges_from: Option<ChargeSource>,
    /// Charge histories that people and scripts bring.
    pub import: ImportConfig,
    /// What the platform says that its tasks cost; `None` where no sheet says it.
    pub prices: Option<Arc<PriceSheet>>,
    /// After how long without success what was read counts as stale.
    pub stale_after: Duration,
}

/// How charge histories are imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportConfig {
    /// What their columns are called; `None`: as the fields are.
    pub columns: Option<PathBuf>,
    /// A folder whose files the agent imports as they come.
    pub folder: Option<PathBuf>,
}

/// How an account is polled.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The name of a built-in mapping, or the path of a mapping file.
    pub platform: PlatformRef,
    /// Overrides the mapping's base URL. Checked: https, or http to a loopback address.
    pub base_url: Option<String>,
    /// Whether the platform's name may lead into a private network.
    pub allow_private_addresses: bool,
    /// The file that holds the API key.
    pub api_key_file: Option<SecretFile>,
    /// When to poll.
    pub schedule: CronSchedule,
    /// Time limit of one whole poll.
    pub timeout: Duration,
    /// How far back the first poll reads charges.
    pub backfill: Duration,
}

/// Which mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformRef {
    /// One that is compiled in, such as `meshy`.
    BuiltIn(String),
    /// A file of the user's.
    File(PathBuf),
}

/// One team.
#[derive(Clone, Debug)]
pub struct TeamConfig {
    /// Its name: the `team` label.
    pub name: TeamName,
    /// What it draws on; at least one.
    pub draws: Vec<Draw>,
    /// Who hears what.
    pub roles: Vec<(Role, Vec<Mailbox>)>,
    /// Which roles hear of which stage, where the team says so itself.
    pub to: Routes,
    /// When its people do not want to be written to; `None`: as for all teams.
    pub quiet_hours: Option<Vec<QuietHours>>,
    /// What it announces in advance, those that are over too.
    pub announcements: Vec<Announcement>,
}

/// Who in a team hears what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Leads the team.
    Lead,
    /// Pays.
    Billing,
    /// Works in it.
    Member,
}

/// Which roles hear of which stage.
pub type Routes = Vec<(Stage, Vec<Role>)>;

/// Rules and their recipients.
#[derive(Clone, Debug)]
pub struct AlertsConfig {
    /// The rules, as they are set.
    pub rules: Rules,
    /// Which roles hear of which stage, where neither the rule nor the team says so.
    pub to: Routes,
    /// What a rule says of that itself.
    pub to_of_rules: Vec<(RuleName, Routes)>,
    /// How often a still-true alert is told again.
    pub repeat_interval: SignedDuration,
    /// When people do not want to be written to, where their team does not say so itself.
    pub quiet_hours: Vec<QuietHours>,
    /// A summary for each team, if one is wanted.
    pub digest: Option<DigestConfig>,
}

/// When each team gets a summary, and who of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DigestConfig {
    /// When, in UTC; each team reads it in the zone of its account.
    pub schedule: CronSchedule,
    /// Who.
    pub to: Vec<Role>,
}

/// When a sign of life is sent, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatConfig {
    /// When; its zone is that of the times in the mail too.
    pub schedule: CronSchedule,
    /// To whom.
    pub to: Vec<Mailbox>,
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// The sender.
    pub from: Mailbox,
    /// The relay.
    pub relay: RelayConfig,
    /// How much is sent at most.
    pub limits: DeliveryLimits,
    /// A sign of life, if one is wanted.
    pub heartbeat: Option<HeartbeatConfig>,
    /// How long after it was decided a mail is given up; longer while the configuration is at fault.
    pub max_age: SignedDuration,
}

/// An SMTP relay.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Host name; without `server_name` also verified against the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Transport security.
    pub security: Security,
    /// AUTH user; needs `password_file`.
    pub username: Option<String>,
    /// AUTH password, read at each connection.
    pub password_file: Option<SecretFile>,
    /// More trusted authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must be good for, if it is not `host`.
    pub server_name: Option<String>,
    /// Whether [`Security::None`] may leave this machine.
    pub allow_plaintext: bool,
}

/// Transport security of the relay. There is no opportunistic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS, required (port 587).
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// Plain text; loopback only, unless `allow_plaintext` says otherwise.
    None,
}

/// What is served.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// Where people reach the page, for links in mails, without a trailing slash.
    pub external_url: Option<String>,
    /// Who may do what through the API.
    pub tokens: Vec<TokenConfig>,
}

/// A token of the API.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Its name, for logs and answers; never the token.
    pub name: String,
    /// The file that holds it, read at each use.
    pub file: SecretFile,
    /// What it may do; at least one.
    pub can: Vec<Scope>,
    /// The teams that it is for; `None`: all.
    pub teams: Option<Vec<TeamName>>,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Push readings.
    Push,
    /// Tell the forecast what is known in advance, and see what others told.
    Announce,
    /// Silence alerts, and see who silenced which.
    Silence,
    /// Ask what a job would cost and do.
    Estimate,
}

impl Scope {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Push => "push",
            Scope::Announce => "announce",
            Scope::Silence => "silence",
            Scope::Estimate => "estimate",
        }
    }
}

impl Config {
    /// Reads and checks a file. Nothing is contacted; secret files are opened, so that one that cannot be read is told
    /// now and not at the first poll.
    ///
    /// # Errors
    /// Every mistake that can be found in one run.
    pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
        let text = read(path).map_err(|message| {
            let mut mistakes = Mistakes::new(path);
            mistakes.add_to_file(None, message);
            mistakes.into_errors()
        })?;
        Config::parse(&text, path)
    }

    /// Checks a text as if it stood in the file `path`: see [`Config::load`].
    ///
    /// # Errors
    /// Every mistake that can be found in one run.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigErrors> {
        let mut context = Context::new(path);
        let tree = match tree::parse(text) {
            Ok(tree) => tree,
            Err((position, message)) => {
                let is_empty = message == tree::EMPTY;
                let hint = if is_empty { "\nhint: `config/minimal.yml` is the least that runs" } else { "" };
                context.mistakes.add_to_file(position, format!("{message}{hint}"));
                return Err(context.mistakes.into_errors());
            }
        };
        let Some(file) = ConfigFile::read(&tree, "", &mut context.mistakes) else {
            return Err(context.mistakes.into_errors());
        };
        let config = check(&file, path, &mut context);
        if context.mistakes.is_empty() { Ok(config) } else { Err(context.mistakes.into_errors()) }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| {
        let hint = "hint: `--config.file=PATH` names another; `fuelgauge demo` needs none";
        format!("failed to read the file: {error}\n{hint}")
    };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that there is too much.
    File::open(path).and_then(|file| file.take(tree::MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

/// Checks all sections. Whatever could not be understood has been noted, and is left out.
fn check(file: &ConfigFile, path: &Path, context: &mut Context) -> Config {
    let account_files = file.accounts.as_deref();
    let team_files = file.teams.as_deref();
    file::check_not_empty(account_files, file, "accounts", "write `accounts: [{name: studio}]`", context);
    file::check_not_empty(team_files, file, "teams", "write `teams: [{name: art, account: studio}]`", context);
    let (account_files, team_files) = (account_files.unwrap_or_default(), team_files.unwrap_or_default());

    let alerts = alerts::check(file.alerts.as_ref(), file.email.is_some(), context);
    let email = file.email.as_ref().and_then(|email| email::check(email, context));
    let alertmanager = file.alertmanager.as_ref().and_then(|section| alertmanager::check(section, context));
    let accounts: Vec<_> = account_files.iter().filter_map(|account| account::check(account, context)).collect();
    let team = |file: &team::TeamFile| {
        let team = team::check(file, context)?;
        let announcements = announcement::check(file, &team, &accounts, context);
        Some(TeamConfig { announcements, ..team })
    };
    let teams: Vec<TeamConfig> = team_files.iter().filter_map(team).collect();
    team::check_together(account_files, team_files, &mut context.mistakes);
    if file.email.is_some() {
        let checked: &[TeamConfig] = &teams;
        for file in team_files {
            let is_it = |team: &&TeamConfig| file.name.as_ref().is_some_and(|name| name.text == team.name.as_str());
            if let Some(team) = checked.iter().find(is_it) {
                team::check_recipients(file, team, &alerts, &mut context.mistakes);
            }
        }
    }
    let known = webhook::Known {
        accounts: accounts.iter().map(|account| account.name.as_str()).collect(),
        teams: teams.iter().map(|team| team.name.as_str()).collect(),
    };
    let webhooks = webhook::check(file.webhooks.as_deref().unwrap_or_default(), &known, context);
    Config {
        path: path.into(),
        storage: file::check_storage(file.storage.as_ref(), context),
        accounts,
        teams,
        alerts,
        email,
        alertmanager,
        webhooks,
        web: web::check(file.web.as_ref(), team_files, context),
    }
}

impl RelayConfig {
    /// A relay without a login, verified against the authorities of the system.
    pub fn new(host: impl Into<String>, port: u16, security: Security) -> RelayConfig {
        RelayConfig {
            host: host.into(),
            port,
            security,
            username: None,
            password_file: None,
            ca_file: None,
            server_name: None,
            allow_plaintext: false,
        }
    }

    /// What a person should know who lets mails out in plain text.
    pub fn plaintext_warning(&self) -> Option<String> {
        let warning = || {
            format!(
                "mails go to `{}` in plain text, as `relay.allow_plaintext` allows: anybody on the way can read them",
                self.address()
            )
        };
        self.allow_plaintext.then(warning)
    }

    /// Host and port, as people write them.
    pub fn address(&self) -> String {
        let RelayConfig { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl AlertsConfig {
    /// The roles of a team that hear of a rule's stage: what the team says comes before what the rule says, and that before
    /// what holds for all.
    pub fn roles_for<'a>(&'a self, team: &'a TeamConfig, rule: RuleName, stage: Stage) -> &'a [Role] {
        let of_stage = |routes: &'a Routes| routes.iter().find(|(known, _)| *known == stage);
        let of_rule = self.to_of_rules.iter().find(|(known, _)| *known == rule);
        let found = of_stage(&team.to).or_else(|| of_rule.and_then(|(_, routes)| of_stage(routes)));
        found.or_else(|| of_stage(&self.to)).map_or(&[], |(_, roles)| roles)
    }

    /// Whether a team's people do not want to be written to about a stage at a moment.
    pub fn is_quiet(&self, team: &TeamConfig, stage: Stage, at: Timestamp, zone: &TimeZone) -> bool {
        let hours = team.quiet_hours.as_ref().unwrap_or(&self.quiet_hours);
        hours.iter().any(|hours| hours.cover(stage, at, zone))
    }
}

impl TeamConfig {
    /// The mailboxes of some roles, each address once, in the order written.
    pub fn mailboxes(&self, roles: &[Role]) -> Vec<&Mailbox> {
        let mut found: Vec<&Mailbox> = Vec::new();
        for (role, mailboxes) in &self.roles {
            for mailbox in mailboxes.iter().filter(|_| roles.contains(role)) {
                if !found.iter().any(|known| known.email == mailbox.email) {
                    found.push(mailbox);
                }
            }
        }
        found
    }
}
