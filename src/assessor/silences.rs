//! Silences: kept and ended by who asks, shown at once.

use std::sync::Arc;

use jiff::Timestamp;

use super::Assessor;
use crate::domain::silence::MOST_SILENCES;
use crate::domain::{FiringAlert, FormError, Silence, SilenceForm, Snapshot};
use crate::store::StoreError;

/// Why a silence was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    /// It does not say what can be meant.
    #[error(transparent)]
    Form(#[from] FormError),
    /// There are a great many already.
    #[error("there are {MOST_SILENCES} silences that are not over already; expected fewer\nhint: expire some")]
    TooMany,
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Assessor {
    /// Keeps the silence that somebody asks for at `now`, by the command line or with a token of that name. The one that it
    /// replaces, if any, ends in the same moment.
    ///
    /// # Errors
    /// It does not say what can be meant, there are too many, or the ledger cannot be written.
    pub async fn silence(
        &self,
        form: SilenceForm,
        token: Option<&str>,
        replaces: Option<i64>,
        now: Timestamp,
    ) -> Result<Silence, SilenceError> {
        let asked = form.check(token, now)?;
        let silence = self.store.keep_silence(&asked, replaces, now).await?.ok_or(SilenceError::TooMany)?;
        self.show_silences(now).await?;
        Ok(silence)
    }

    /// Ends a silence at `now`; `None` if there is none of that number.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn expire_silence(&self, id: i64, by: &str, now: Timestamp) -> Result<Option<Silence>, StoreError> {
        let expired = self.store.expire_silence(id, by, now).await?;
        self.show_silences(now).await?;
        Ok(expired)
    }

    /// The alerts that fire of the configuration's accounts and teams, as the ledger has them.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn firing(&self) -> Result<Vec<FiringAlert>, StoreError> {
        let mut firing = self.store.firing().await?;
        // What was taken out of the configuration fires in the ledger for ever.
        firing.retain(|alert| {
            let is_team = alert.team.is_empty() || self.teams.iter().any(|team| team.name.as_str() == alert.team);
            is_team && self.order.iter().any(|account| account.as_str() == alert.account)
        });
        Ok(firing)
    }

    /// Publishes the silences of `now` with what is known of the accounts already.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn show_silences(&self, now: Timestamp) -> Result<(), StoreError> {
        let silences = self.store.silences(now).await?;
        self.published.send_modify(|snapshot| {
            *snapshot = Arc::new(Snapshot { silences, ..Snapshot::clone(snapshot) });
        });
        Ok(())
    }
}
