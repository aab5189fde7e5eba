//! Reports: digests and signs of life, which come on a schedule whether or not anything is the matter.
//!
//! Each is a job like a poll. What it says is read, written and stored in one step, with the fact that it was made for its
//! scheduled time: a restart, a late tick or a crash never makes a second one and never loses one. What was due while the
//! agent was down comes once when it is back.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::config::{Config, DigestConfig, Role, TeamConfig};
use crate::domain::{AccountName, CronSchedule, RenderedMail, Snapshot};
use crate::metrics::agent::AgentMetrics;
use crate::notify::{DrawDigest, MessageError, Occasion, Post, TeamDigest, render_digest, render_heartbeat};
use crate::schedule::next_tick;
use crate::store::{ReportKey, Store, StoreError};

/// How long a report waits after a start for the first look at its accounts; then it tells what it has.
const FIRST_LOOK: SignedDuration = SignedDuration::from_mins(5);

/// How long after a failure it is tried again.
const TRY_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// A digest that has no time before it reaches back so far.
const A_WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Why a report could not be made. Nothing was stored then.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mail could not be written.
    #[error("failed to write the mail of a report: {0}")]
    Message(#[from] MessageError),
}

/// A report that comes on a schedule.
#[derive(Clone, Debug)]
pub struct Report {
    /// When; its zone is that of the times in the mail too.
    pub schedule: CronSchedule,
    /// To whom.
    pub to: Vec<Mailbox>,
    /// What it is.
    pub what: What,
}

/// What a report is.
#[derive(Clone, Debug)]
pub enum What {
    /// The summary of a team.
    Digest {
        /// The team.
        team: Box<TeamConfig>,
        /// The roles that get it.
        roles: Vec<Role>,
    },
    /// The sign of life.
    Heartbeat,
}

impl Report {
    /// The name under which its runs are scheduled, counted and remembered.
    pub fn job_name(&self) -> String {
        match &self.what {
            What::Digest { team, .. } => format!("digest {}", team.name),
            What::Heartbeat => "heartbeat".to_owned(),
        }
    }

    fn kind(&self) -> &'static str {
        match self.what {
            What::Digest { .. } => "digest",
            What::Heartbeat => "heartbeat",
        }
    }

    /// The accounts that it speaks of; none: all of them.
    fn accounts(&self) -> Vec<&AccountName> {
        match &self.what {
            What::Digest { team, .. } => team.draws.iter().map(|draw| &draw.key.account).collect(),
            What::Heartbeat => Vec::new(),
        }
    }
}

/// The reports that a configuration wants. None without a relay.
pub fn wanted(config: &Config) -> Vec<Report> {
    let Some(email) = &config.email else { return Vec::new() };
    let digests =
        config.alerts.digest.iter().flat_map(|digest| config.teams.iter().map(|team| of_team(digest, team, config)));
    let heartbeat = email.heartbeat.as_ref().map(|heartbeat| Report {
        schedule: heartbeat.schedule.clone(),
        to: heartbeat.to.clone(),
        what: What::Heartbeat,
    });
    digests.chain(heartbeat).collect()
}

fn of_team(digest: &DigestConfig, team: &TeamConfig, config: &Config) -> Report {
    let first = team.draws.first().map(|draw| &draw.key.account);
    let zone = config.accounts.iter().find(|account| Some(&account.name) == first).map(|account| account.zone.clone());
    Report {
        schedule: digest.schedule.in_zone(zone.unwrap_or(TimeZone::UTC)),
        to: team.mailboxes(&digest.to).into_iter().cloned().collect(),
        what: What::Digest { team: Box::new(team.clone()), roles: digest.to.clone() },
    }
}

/// Makes reports.
#[derive(Clone)]
pub struct Reporter {
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: AgentMetrics,
    published: watch::Receiver<Arc<Snapshot>>,
    outbox_filled: Arc<Notify>,
    from: Mailbox,
    external_url: Option<String>,
}

impl Reporter {
    /// A reporter that tells what is `published`, keeps mails in `store` and wakes the outbox by `outbox_filled`.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        metrics: AgentMetrics,
        published: watch::Receiver<Arc<Snapshot>>,
        outbox_filled: Arc<Notify>,
        (from, external_url): (Mailbox, Option<String>),
    ) -> Reporter {
        Reporter { store, clock, metrics, published, outbox_filled, from, external_url }
    }

    /// Makes a report whenever it is due. May be dropped at any time.
    pub async fn run(&self, report: &Report) {
        let job = report.job_name();
        let started = self.clock.now();
        let mut last = loop {
            match self.store.begin_job(&job, started).await {
                Ok(last) => break last,
                Err(error) => self.failed(&job, &error.into()).await,
            }
        };
        let show_next = |last| {
            let next_run = self.metrics.scheduler_next_run.with_label_values(&[&job]);
            next_run.set(report.schedule.next_after(last).map_or(0, Timestamp::as_second));
        };
        show_next(last);
        self.wait_for_first_look(report, started).await;
        loop {
            show_next(last);
            let Some(tick) = next_tick(&*self.clock, &report.schedule, Some(last), Duration::ZERO).await else {
                tracing::error!(job, "the schedule has no further run");
                return;
            };
            self.metrics.scheduler_runs.with_label_values(&[&job]).inc();
            match self.make(report, tick.scheduled).await {
                Ok(_) => {
                    self.metrics.scheduler_missed_runs.with_label_values(&[&job]).inc_by(tick.missed);
                    last = tick.scheduled;
                }
                Err(error) => self.failed(&job, &error).await,
            }
        }
    }

    /// Makes the report of a scheduled time, and answers whether it is new: for a time for which there is one already nothing
    /// happens.
    ///
    /// # Errors
    /// The ledger cannot be read or written, or a mail cannot be written. Nothing was stored then.
    pub async fn make(&self, report: &Report, scheduled: Timestamp) -> Result<bool, ReportError> {
        let now = self.clock.now();
        let snapshot = Arc::clone(&self.published.borrow());
        let mails = self.write(report, &snapshot, scheduled, now).await?;
        let team = match &report.what {
            What::Digest { team, .. } => Some(team.name.clone()),
            What::Heartbeat => None,
        };
        let (job, key) = (report.job_name(), ReportKey { kind: report.kind(), team, scheduled });
        let is_new = self.store.keep_report(&job, &key, &mails, now).await?;
        if is_new {
            tracing::info!(job, %scheduled, mails = mails.len(), "report `{job}` was made");
            self.outbox_filled.notify_one();
        }
        Ok(is_new)
    }

    async fn write(
        &self,
        report: &Report,
        snapshot: &Snapshot,
        scheduled: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<RenderedMail>, ReportError> {
        let zone = report.schedule.zone().clone();
        let post = Post { from: self.from.clone(), zone, external_url: self.external_url.clone() };
        let team = match &report.what {
            What::Digest { team, .. } => Some(&team.name),
            What::Heartbeat => None,
        };
        let schedule = report.schedule.expression();
        let occasion = Occasion { kind: report.kind(), team, scheduled, at, schedule };
        let to: Vec<&Mailbox> = report.to.iter().collect();
        match &report.what {
            What::Heartbeat => Ok(render_heartbeat(snapshot, env!("CARGO_PKG_VERSION"), &occasion, &post, &to)?),
            What::Digest { team, roles } => {
                let digest = self.digest(report, team, roles, snapshot, scheduled).await?;
                Ok(render_digest(&digest, &occasion, &post, &to)?)
            }
        }
    }

    /// What a team's digest tells: since the scheduled time before, beside as long a time before that.
    async fn digest<'a>(
        &self,
        report: &Report,
        team: &'a TeamConfig,
        roles: &[Role],
        snapshot: &'a Snapshot,
        to: Timestamp,
    ) -> Result<TeamDigest<'a>, StoreError> {
        let before = to.checked_sub(SignedDuration::from_nanos(1)).ok();
        let last = before.and_then(|before| report.schedule.last_at_or_before(before));
        let from = last.unwrap_or_else(|| to.saturating_sub(A_WEEK).unwrap_or(Timestamp::MIN));
        let long_before = from.saturating_sub(to.duration_since(from)).unwrap_or(Timestamp::MIN);
        let mut draws = Vec::with_capacity(team.draws.len());
        for key in team.draws.iter().map(|draw| &draw.key) {
            let assessment = snapshot.accounts.iter().find(|account| account.account == key.account);
            let draw = assessment.and_then(|account| account.draws.iter().find(|draw| draw.key == *key));
            let (Some(assessment), Some(draw)) = (assessment, draw) else { continue };
            let (account, team) = (&key.account, &key.team);
            draws.push(DrawDigest {
                assessment,
                draw,
                spent_on: self.store.drivers(account, Some(team), from, to).await?,
                spent_before: self.store.net_use(account, team, long_before, from).await?,
                unrefunded: self.store.unrefunded(account, team, from, to).await?,
                alerts: self.store.past_alerts(account, team, from, to).await?,
                estimates: self.store.closed_estimates(account, team, from, to).await?,
            });
        }
        let roles = roles.iter().map(|role| role.as_str()).collect();
        Ok(TeamDigest { team: &team.name, from, to, draws, silences: &snapshot.silences, roles })
    }

    /// After a start the figures are those of the last run. A report that is due by then waits for what is new.
    async fn wait_for_first_look(&self, report: &Report, started: Timestamp) {
        let mut published = self.published.clone();
        let of = report.accounts();
        let is_meant = |name: &AccountName| of.is_empty() || of.contains(&name);
        let are_new = |snapshot: &Arc<Snapshot>| {
            snapshot.accounts.iter().filter(|account| is_meant(&account.account)).all(|account| account.at > started)
        };
        let until = started.saturating_add(FIRST_LOOK).unwrap_or(Timestamp::MAX);
        tokio::select! {
            _ = published.wait_for(are_new) => {}
            () = self.clock.sleep_until(until) => {}
        }
    }

    async fn failed(&self, job: &str, error: &ReportError) {
        self.metrics.store_failures.with_label_values(&["report"]).inc();
        tracing::error!(job, %error, "report `{job}` could not be made; it is tried again");
        self.clock.sleep_until(self.clock.now() + TRY_AGAIN).await;
    }
}
