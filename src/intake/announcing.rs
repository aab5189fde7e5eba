//! Announcements by the API: of which team, into the ledger, and into the forecast at once.

use super::door::{AccountDraw, TokenGuest, draw_of, draws_of};
use crate::assessor::AnnounceError;
use crate::domain::{Announcement, AnnouncementForm};
use crate::http::door::{Refusal, Told};
use crate::poller::Account;
use crate::store::StoreError;

impl TokenGuest {
    /// Everything announced for a team.
    pub(super) async fn list(&self, team: &str) -> Result<Vec<Told>, Refusal> {
        let mut all = Vec::new();
        for (account, draw) in self.draws_of(team)? {
            let found = self.intake.assessor.all_announced(&draw.key).await;
            let found = found.map_err(|error| self.unavailable(account, &error))?;
            let (zone, now) = (&account.config.zone, self.intake.clock.now());
            all.extend(found.into_iter().map(|announcement| Told { announcement, zone: zone.clone(), now }));
        }
        Ok(all)
    }

    /// Keeps an announcement and assesses its account.
    pub(super) async fn add(
        &self,
        team: &str,
        account: Option<&str>,
        form: &AnnouncementForm,
    ) -> Result<Told, Refusal> {
        let (account, draw) = draw_of(&self.draws_of(team)?, account)?;
        let now = self.intake.clock.now();
        let announced = self.intake.assessor.announce(account, &draw.key, form, &self.name, now).await;
        let announcement = announced.map_err(|error| match error {
            AnnounceError::Form(error) => Refusal::mistake(error.field, error.message),
            AnnounceError::TooMany => Refusal::Conflict(error.to_string()),
            AnnounceError::Store(error) => self.unavailable(account, &error),
        })?;
        self.told(account, announcement).await
    }

    /// Takes an announcement back and assesses its account.
    pub(super) async fn take_back(&self, team: &str, id: i64) -> Result<Told, Refusal> {
        let nobodys = || Refusal::NotFound(format!("the team `{team}` has no announcement `{id}`"));
        for (account, draw) in self.draws_of(team)? {
            let known = self.intake.assessor.all_announced(&draw.key).await;
            let known = known.map_err(|error| self.unavailable(account, &error))?;
            if !known.iter().any(|announcement| announcement.id == Some(id)) {
                continue;
            }
            let now = self.intake.clock.now();
            let withdrawn = self.intake.store.withdraw(&account.config.name, id, &self.name, now).await;
            return match withdrawn.map_err(|error| self.unavailable(account, &error))? {
                Some(announcement) => self.told(account, announcement).await,
                None => Err(nobodys()),
            };
        }
        Err(nobodys())
    }

    async fn told(&self, account: &Account, announcement: Announcement) -> Result<Told, Refusal> {
        tracing::info!(
            account = %account.config.name, team = %announcement.key.team, token = self.name, id = announcement.id,
            withdrawn = announcement.withdrawn.is_some(), "announced for team `{}`: {}", announcement.key.team,
            announcement.foreseen.in_words(&account.config.zone)
        );
        self.intake.assess(account).await;
        Ok(Told { announcement, zone: account.config.zone.clone(), now: self.intake.clock.now() })
    }

    /// The draws of a team that the token is for.
    pub(super) fn draws_of(&self, team: &str) -> Result<Vec<AccountDraw<'_>>, Refusal> {
        if self.teams.as_ref().is_some_and(|teams| !teams.iter().any(|known| known.as_str() == team)) {
            // Whether there is such a team is nothing that this token may learn.
            return Err(Refusal::Forbidden(format!("the token `{}` is not for a team `{team}`", self.name)));
        }
        draws_of(&self.accounts, team)
    }

    fn unavailable(&self, account: &Account, error: &StoreError) -> Refusal {
        self.intake.store_failed(account, "announce", error);
        Refusal::Unavailable
    }
}
