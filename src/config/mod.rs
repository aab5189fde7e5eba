//! The configuration, parsed and checked, ready to build from. `file` holds it as written.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;

use crate::domain::{AccountName, CronSchedule, DeclaredPlan, Draw, ExhaustionPolicy, Stage, TeamName};

pub mod secret;

pub use secret::SecretFile;

/// Everything the agent needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; relative paths inside it are relative to that file's folder.
    pub path: PathBuf,
    /// Where the SQLite ledger lies.
    pub storage: PathBuf,
    /// The accounts, in the order written.
    pub accounts: Vec<AccountConfig>,
    /// The teams, in the order written.
    pub teams: Vec<TeamConfig>,
    /// Rules and their recipients.
    pub alerts: AlertsConfig,
    /// How mail leaves; without it alerts are shown and not mailed.
    pub email: Option<EmailConfig>,
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
    /// After how long without success what was read counts as stale.
    pub stale_after: Duration,
}

/// How an account is polled.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The name of a built-in mapping, or the path of a mapping file.
    pub platform: PlatformRef,
    /// Overrides the mapping's base URL. Checked: https, or http to a loopback address.
    pub base_url: Option<String>,
    /// The file that holds the API key.
    pub api_key_file: Option<SecretFile>,
    /// When to poll.
    pub schedule: CronSchedule,
    /// Time limit of one whole poll.
    pub timeout: Duration,
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

/// Rules and their recipients.
#[derive(Clone, Debug)]
pub struct AlertsConfig {
    /// The exhaustion rule.
    pub exhaustion: ExhaustionPolicy,
    /// Which roles hear of which stage.
    pub to: Vec<(Stage, Vec<Role>)>,
    /// How often a still-true alert is told again.
    pub repeat_interval: SignedDuration,
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// The sender.
    pub from: Mailbox,
    /// The relay.
    pub relay: RelayConfig,
}

/// An SMTP relay.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Host name, also verified against the certificate.
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
}

/// Transport security of the relay. There is no opportunistic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS, required (port 587).
    Starttls,
    /// TLS from the first byte (port 465).
    Implicit,
    /// Plain text; loopback only.
    None,
}

/// What is served.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// Where people reach the page, for links in mails, without a trailing slash.
    pub external_url: Option<String>,
}

impl AlertsConfig {
    /// The roles that hear of a stage.
    pub fn roles_for(&self, stage: Stage) -> &[Role] {
        self.to.iter().find(|(s, _)| *s == stage).map_or(&[], |(_, roles)| roles)
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
