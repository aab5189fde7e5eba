//! The door: who may, for which teams; and pushes into the ledger.

use std::sync::Arc;

use ring::hmac;
use secrecy::ExposeSecret;

use super::Intake;
use crate::config::{Scope, TokenConfig};
use crate::domain::{
    AnnouncementForm, Collector, Draw, PriceSheet, RecordForm, RecordedEstimate, SilenceForm, TeamName, team_of,
};
use crate::http::door::{Answered, Door, Errand, Guest, Job, KeptChange, PlanTold, Refusal, Taken, Told, ToldSilence};
use crate::poller::Account;
use crate::provider::history::{Pushed, read_push};
use crate::store::CollectorOutcome;

/// Lets in who has a token of the configuration.
pub struct TokenDoor {
    intake: Intake,
    accounts: Vec<Arc<Account>>,
    tokens: Vec<TokenConfig>,
}

impl TokenDoor {
    /// The door to these accounts.
    pub fn new(intake: Intake, accounts: Vec<Arc<Account>>, tokens: Vec<TokenConfig>) -> TokenDoor {
        TokenDoor { intake, accounts, tokens }
    }

    /// The token of the configuration that this is. Its file is read now, so that a new token holds at once.
    fn token(&self, presented: &str) -> Option<&TokenConfig> {
        let mut found = None;
        // Every token is compared, whichever fits: how long it takes says nothing of them.
        for token in &self.tokens {
            match token.file.read() {
                Ok(secret) if is_same(secret.expose_secret(), presented) => found = Some(token),
                Ok(_) => {}
                Err(error) => tracing::warn!(token = token.name, %error, "the token `{}` cannot be read", token.name),
            }
        }
        found
    }
}

impl Door for TokenDoor {
    fn admit(&self, token: Option<&str>, errand: Errand) -> Result<Arc<dyn Guest>, Refusal> {
        let token = token.and_then(|token| self.token(token)).ok_or(Refusal::Unauthorized)?;
        let scope = scope_of(errand);
        if !token.can.contains(&scope) {
            return Err(Refusal::Forbidden(format!("the token `{}` may not {}", token.name, scope.as_str())));
        }
        let (intake, accounts) = (self.intake.clone(), self.accounts.clone());
        Ok(Arc::new(TokenGuest { intake, accounts, name: token.name.clone(), teams: token.teams.clone() }))
    }

    fn opens(&self, errand: Errand, team: Option<&str>) -> bool {
        let is_for = |token: &TokenConfig| match (&token.teams, team) {
            (Some(teams), Some(team)) => teams.iter().any(|known| known.as_str() == team),
            _ => true,
        };
        self.tokens.iter().any(|token| token.can.contains(&scope_of(errand)) && is_for(token))
    }

    fn plan(&self, job: Job) -> Answered<PlanTold> {
        Box::pin(TokenDoor::estimate(self.intake.clone(), self.accounts.clone(), job))
    }

    fn prices(&self, account: &str) -> Option<Arc<PriceSheet>> {
        self.accounts.iter().find(|known| known.config.name.as_str() == account)?.config.prices.clone()
    }
}

/// The scope that a token needs for an errand.
fn scope_of(errand: Errand) -> Scope {
    match errand {
        Errand::Push => Scope::Push,
        Errand::Announce => Scope::Announce,
        Errand::Silence => Scope::Silence,
        Errand::Estimate => Scope::Estimate,
    }
}

/// Somebody with a token that allows what they came for.
pub(super) struct TokenGuest {
    pub(super) intake: Intake,
    pub(super) accounts: Vec<Arc<Account>>,
    pub(super) name: String,
    pub(super) teams: Option<Vec<TeamName>>,
}

impl Guest for TokenGuest {
    fn push(self: Arc<Self>, account: String, body: Vec<u8>) -> Answered<Taken> {
        Box::pin(async move {
            let known = self.accounts.iter().find(|known| known.config.name.as_str() == account);
            let account = Arc::clone(known.ok_or_else(|| no_such_account(&account))?);
            let salt = account.salt;
            // Ten thousand records take a while: others should not wait for it.
            let read = tokio::task::spawn_blocking(move || read_push(&body, &salt)).await;
            let pushed = read.map_err(|_| Refusal::Unavailable)?.map_err(|error| {
                let mistake =
                    |mistake: crate::provider::history::PushMistake| (mistake.at, mistake.message, mistake.hint);
                Refusal::Malformed(error.count, error.mistakes.into_iter().map(mistake).collect())
            })?;
            self.check_teams(&account, &pushed)?;
            self.keep_push(&account, &pushed).await
        })
    }

    fn announcements(self: Arc<Self>, team: String) -> Answered<Vec<Told>> {
        Box::pin(async move { self.list(&team).await })
    }

    fn announce(self: Arc<Self>, team: String, account: Option<String>, form: AnnouncementForm) -> Answered<Told> {
        Box::pin(async move { self.add(&team, account.as_deref(), &form).await })
    }

    fn withdraw(self: Arc<Self>, team: String, id: i64) -> Answered<Told> {
        Box::pin(async move { self.take_back(&team, id).await })
    }

    fn silences(self: Arc<Self>) -> Answered<Vec<ToldSilence>> {
        Box::pin(async move { self.seen_silences().await })
    }

    fn silence(self: Arc<Self>, id: i64) -> Answered<ToldSilence> {
        Box::pin(async move { self.seen_silence(id).await })
    }

    fn mute(self: Arc<Self>, form: SilenceForm, replaces: Option<i64>) -> Answered<ToldSilence> {
        Box::pin(async move { self.keep_silence(form, replaces).await })
    }

    fn expire(self: Arc<Self>, id: i64) -> Answered<ToldSilence> {
        Box::pin(async move { self.end_silence(id).await })
    }

    fn plan(self: Arc<Self>, job: Job) -> Answered<PlanTold> {
        Box::pin(async move { self.estimate(job).await })
    }

    fn keep(self: Arc<Self>, job: Job, form: RecordForm) -> Answered<RecordedEstimate> {
        Box::pin(async move { self.keep_estimate(job, &form).await })
    }

    fn change_kept(self: Arc<Self>, team: String, id: i64, change: KeptChange) -> Answered<RecordedEstimate> {
        Box::pin(async move { self.change_estimate(&team, id, change).await })
    }
}

/// A draw and the account that it is on.
pub(super) type AccountDraw<'a> = (&'a Arc<Account>, &'a Draw);

/// The draws of a team.
pub(super) fn draws_of<'a>(accounts: &'a [Arc<Account>], team: &str) -> Result<Vec<AccountDraw<'a>>, Refusal> {
    let all = accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
    let draws: Vec<_> = all.filter(|(_, draw)| draw.key.team.as_str() == team).collect();
    match draws.is_empty() {
        true => Err(Refusal::NotFound(format!("the configuration has no team `{team}`"))),
        false => Ok(draws),
    }
}

/// Of a team's draws the one that is meant; a team that draws on one account alone need not name it.
pub(super) fn draw_of<'a>(draws: &[AccountDraw<'a>], account: Option<&str>) -> Result<AccountDraw<'a>, Refusal> {
    let is_meant = |known: &Account| account.is_none_or(|account| account == known.config.name.as_str());
    let mut meant = draws.iter().filter(|(known, _)| is_meant(known));
    match (meant.next(), meant.next()) {
        (Some(draw), None) => Ok(*draw),
        _ => {
            let known: Vec<String> = draws.iter().map(|(account, _)| format!("`{}`", account.config.name)).collect();
            let found = account.map_or_else(|| "nothing".to_owned(), |account| format!("`{account}`"));
            Err(Refusal::mistake("account", format!("expected one of {}, found {found}", known.join(", "))))
        }
    }
}

pub(super) fn no_such_account(account: &str) -> Refusal {
    Refusal::NotFound(format!("the configuration has no account `{account}`"))
}

impl TokenGuest {
    /// A token of a few teams brings charges of theirs, and nothing that all teams of the account share.
    fn check_teams(&self, account: &Account, pushed: &Pushed) -> Result<(), Refusal> {
        let Some(teams) = &self.teams else { return Ok(()) };
        let name = &self.name;
        if let Some(shared) = pushed.told.iter().find(|part| **part != Collector::Charges) {
            let part = shared.as_str();
            let why = format!("the token `{name}` is for some teams; `{part}` is of the whole account");
            return Err(Refusal::Forbidden(why));
        }
        for (number, task) in pushed.reading.tasks.iter().enumerate() {
            let team = team_of(&account.draws, &task.attribution);
            if !team.is_some_and(|team| teams.contains(team)) {
                let whose = team.map_or("no team".to_owned(), |team| format!("team `{team}`"));
                let why =
                    format!("the token `{name}` is not for the team of charges[{number}], which belongs to {whose}");
                return Err(Refusal::Forbidden(why));
            }
        }
        Ok(())
    }

    async fn keep_push(&self, account: &Account, pushed: &Pushed) -> Result<Taken, Refusal> {
        let intake = &self.intake;
        let outcome =
            |collector: &Collector| CollectorOutcome { collector: *collector, duration_seconds: 0.0, failure: None };
        let outcomes: Vec<CollectorOutcome> = pushed.told.iter().map(outcome).collect();
        let incoming = account.incoming(&pushed.reading, &outcomes, None, intake.clock.now());
        let appended = intake.store.append(&account.config.name, &account.draws, incoming).await;
        let appended = appended.map_err(|error| {
            intake.store_failed(account, "append", &error);
            Refusal::Unavailable
        })?;
        intake.count(account, Errand::Push.as_str(), appended.new_tasks, appended.known_tasks, 0);
        tracing::debug!(
            account = %account.config.name, token = self.name, new = appended.new_tasks,
            "took a push for account `{}`", account.config.name
        );
        intake.assess(account).await;
        let tasks = &pushed.reading.tasks;
        let is_nobodys = |task: &&crate::domain::TaskRecord| team_of(&account.draws, &task.attribution).is_none();
        Ok(Taken {
            read: tasks.len() as u64,
            new: appended.new_tasks,
            known: appended.known_tasks,
            without_team: tasks.iter().filter(is_nobodys).count() as u64,
        })
    }
}

/// Whether two texts are the same, in a time that depends on neither.
fn is_same(secret: &str, presented: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    let expected = hmac::sign(&key, secret.as_bytes());
    hmac::verify(&key, presented.as_bytes(), expected.as_ref()).is_ok()
}
