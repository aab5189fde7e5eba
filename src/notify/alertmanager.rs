//! Alertmanager: what fires is shown to it over and over, as Prometheus does, and it decides whom to tell.
//!
//! What it holds is a level and no event, so nothing is kept for it in the outbox: whatever was not accepted is sent again
//! in the next round. What fires runs out there by itself after four rounds without news of it. What is over is sent for a
//! while with the moment at which it was; an Alertmanager that is away for longer lets it run out.
//!
//! An alert that gets worse stays what it was, and the worse one is added: as with two rules of Prometheus, of which
//! Alertmanager lets the worse inhibit the other. Were the milder one taken back, those who hear of warnings alone would
//! be told that all is well at the very moment at which it is not.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;

use super::labelled::{LabelledAlert, Lasting};
use super::post::{authorities, post};
use super::{NotifyError, NotifyFailure};
use crate::config::{AlertmanagerConfig, HttpAuth, SecretFile};
use crate::domain::{AlertState, DrawKey, RuleName, Snapshot, Stage};
use crate::outgoing::ClientOptions;

/// For so long after its end an alert is still sent, so that who was away in between hears of it.
const RESOLVED_FOR: SignedDuration = SignedDuration::from_mins(15);

/// Without news what fires runs out after so many rounds.
const ROUNDS_TO_LIVE: i32 = 4;

/// So many alerts go into one request: a few hundred kB, which any proxy on the way lets through.
pub const MOST_IN_A_REQUEST: usize = 256;

/// One Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    url: String,
    config: AlertmanagerConfig,
    client: OnceCell<Client>,
}

impl Alertmanager {
    /// Those of a configuration. Nothing is connected or read yet.
    pub fn of(config: &AlertmanagerConfig) -> Vec<Alertmanager> {
        let one = |url: &String| Alertmanager { url: url.clone(), config: config.clone(), client: OnceCell::new() };
        config.urls.iter().map(one).collect()
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often what still fires is sent again.
    pub fn resend_interval(&self) -> SignedDuration {
        SignedDuration::try_from(self.config.resend_interval).unwrap_or(SignedDuration::MAX)
    }

    /// Shows some alerts to it at `now`; at most [`MOST_IN_A_REQUEST`] should be shown at once. None are a request too: it says
    /// whether the way is open before something depends on it.
    ///
    /// # Errors
    /// A [`NotifyError`] with its class. Whatever it is, the next round is soon enough.
    pub async fn show(&self, alerts: &[LabelledAlert], now: Timestamp) -> Result<(), NotifyError> {
        let whom = format!("the Alertmanager at `{}`", self.url);
        let wrong = |what: String| NotifyError::new(NotifyFailure::Configuration, format!("{whom}: {what}"));
        let client = self.client.get_or_try_init(async || self.connect()).await.map_err(wrong)?;
        let request = client.post(format!("{}/api/v2/alerts", self.url)).json(alerts);
        // The files are read each time, so that they rotate without a restart.
        let read = |file: &SecretFile| file.read().map_err(|error| wrong(error.to_string()));
        let request = match &self.config.auth {
            None => request,
            Some(HttpAuth::Basic { username, password_file }) => {
                request.basic_auth(username, Some(read(password_file)?.expose_secret()))
            }
            Some(HttpAuth::Bearer(file)) => request.bearer_auth(read(file)?.expose_secret()),
        };
        post(&whom, request, self.config.auth.is_none(), now).await
    }

    fn connect(&self) -> Result<Client, String> {
        let options = ClientOptions {
            is_encrypted: self.url.starts_with("https:"),
            // Alertmanagers live in private networks, and nobody but the configuration says where.
            may_be_private: true,
            uses_proxy: false,
            authorities: authorities(self.config.ca_file.as_deref())?,
            connect_timeout: self.config.timeout,
            read_timeout: self.config.timeout,
            total_timeout: self.config.timeout,
        };
        options.build()
    }
}

/// What of the alerts an Alertmanager is to be shown, as of the last round.
#[derive(Debug, Default)]
pub struct Standing {
    known: BTreeMap<Key, Lasting>,
    /// What fired and is not known of any more, such as of a period that is over, as it was last shown.
    shown: BTreeMap<Key, LabelledAlert>,
}

type Key = (DrawKey, RuleName, Stage);

impl Standing {
    /// Whether a snapshot has something that the last round had not: an alert that began, or one that ended.
    pub fn has_news(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let known = self.known_at(snapshot, now);
        known.iter().any(|(key, lasting)| self.known.get(key) != Some(lasting))
    }

    /// Begins a round at `now`: everything that fires, and what has ended lately. Rounds are `interval` apart.
    /// `external_url` is where people reach the page.
    pub fn round(
        &mut self,
        snapshot: &Snapshot,
        interval: SignedDuration,
        external_url: Option<&str>,
        now: Timestamp,
    ) -> Vec<LabelledAlert> {
        self.known = self.known_at(snapshot, now);
        let runs_out = now.saturating_add(interval.saturating_mul(ROUNDS_TO_LIVE)).unwrap_or(Timestamp::MAX);
        let draws =
            snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (&**account, draw)));
        let draws: HashMap<&DrawKey, _> = draws.map(|(account, draw)| (&draw.key, (account, draw))).collect();
        let mut shown = BTreeMap::new();
        for ((key, rule, stage), lasting) in &self.known {
            let place = (key.clone(), *rule, *stage);
            let alert = match (draws.get(key), self.shown.get(&place), lasting.ended_at) {
                (Some(draw), _, _) => LabelledAlert::of(*lasting, runs_out, *draw, external_url),
                // Of a team that is gone nothing new can be said.
                (None, Some(last), Some(ended_at)) => LabelledAlert { ends_at: ended_at, ..last.clone() },
                (None, _, _) => continue,
            };
            shown.insert(place, alert);
        }
        self.shown = shown;
        self.shown.values().cloned().collect()
    }

    /// What fires at `now`, or has ended lately, by what a snapshot says and what was known before.
    fn known_at(&self, snapshot: &Snapshot, now: Timestamp) -> BTreeMap<Key, Lasting> {
        let mut known = BTreeMap::new();
        for draw in snapshot.accounts.iter().flat_map(|account| &account.draws) {
            for told in &draw.alerts {
                let (level, since, ended_at) = match told.alert.state {
                    AlertState::Firing { level, since, .. } => (level, since, None),
                    AlertState::Resolved { level, since, at, .. } => (level, since, Some(at)),
                    AlertState::Inactive | AlertState::Pending { .. } => continue,
                };
                for stage in told.rule.stages().iter().copied().filter(|stage| *stage <= level.stage) {
                    let lasting = Lasting { rule: told.rule, stage, since, ended_at };
                    known.insert((draw.key.clone(), told.rule, stage), lasting);
                }
            }
        }
        // What is not known of any more has ended without a word, at the latest now.
        for (key, lasting) in self.known.iter().filter(|(key, _)| !known.contains_key(*key)).collect::<Vec<_>>() {
            known.insert(key.clone(), Lasting { ended_at: lasting.ended_at.or(Some(now)), ..*lasting });
        }
        known.retain(|_, lasting| lasting.ended_at.is_none_or(|at| now.duration_since(at) < RESOLVED_FOR));
        known
    }
}

#[cfg(test)]
mod tests;
