//! Silences by the API and the page: which of them a token may see, make and end.

use super::door::TokenGuest;
use crate::assessor::SilenceError;
use crate::domain::silence::{is_within, sort};
use crate::domain::{FiringAlert, Matcher, Silence, SilenceForm, matchers_in_words};
use crate::http::door::{Errand, Refusal, ToldSilence};
use crate::store::StoreError;

impl TokenGuest {
    /// The silences that the token may see.
    pub(super) async fn seen_silences(&self) -> Result<Vec<ToldSilence>, Refusal> {
        let now = self.intake.clock.now();
        let silences = self.intake.store.silences(now).await.map_err(|error| self.silences_failed(&error))?;
        let firing = self.firing().await?;
        let seen = silences.iter().filter(|silence| self.is_for(&silence.asked.matchers));
        let mut seen: Vec<Silence> = seen.cloned().collect();
        sort(&mut seen, now);
        Ok(seen.into_iter().map(|silence| told(silence, &firing, now)).collect())
    }

    /// One that the token may see.
    pub(super) async fn seen_silence(&self, id: i64) -> Result<ToldSilence, Refusal> {
        let found = self.intake.store.silence(id).await.map_err(|error| self.silences_failed(&error))?;
        // Whether there is one of other teams is nothing that this token may learn.
        let silence =
            found.filter(|silence| self.is_for(&silence.asked.matchers)).ok_or_else(|| self.no_such_silence(id))?;
        Ok(told(silence, &self.firing().await?, self.intake.clock.now()))
    }

    /// Keeps a silence.
    pub(super) async fn keep_silence(&self, form: SilenceForm, replaces: Option<i64>) -> Result<ToldSilence, Refusal> {
        if let Some(old) = replaces {
            self.seen_silence(old).await?;
        }
        if !self.is_for(&form.matchers) {
            let expected = "expected a matcher that names one of them, such as `team=art`";
            return Err(Refusal::Forbidden(format!("the token `{}` is for some teams; {expected}", self.name)));
        }
        let by = if form.by.is_empty() { self.name.clone() } else { form.by.clone() };
        let (form, now) = (SilenceForm { by, ..form }, self.intake.clock.now());
        let kept = self.intake.assessor.silence(form, Some(&self.name), replaces, now).await;
        let silence = kept.map_err(|error| match error {
            SilenceError::Form(error) => Refusal::mistake(error.field, error.message),
            SilenceError::TooMany => Refusal::Conflict(error.to_string()),
            SilenceError::Store(error) => self.silences_failed(&error),
        })?;
        let matchers = matchers_in_words(&silence.asked.matchers);
        tracing::info!(
            silence = silence.id, matchers, until = %silence.asked.ends_at, by = silence.asked.created_by,
            token = self.name, "silence {} begins or will: {matchers}", silence.id
        );
        Ok(told(silence, &self.firing().await?, now))
    }

    /// Ends a silence.
    pub(super) async fn end_silence(&self, id: i64) -> Result<ToldSilence, Refusal> {
        self.seen_silence(id).await?;
        let now = self.intake.clock.now();
        let expired = self.intake.assessor.expire_silence(id, &self.name, now).await;
        let silence = expired.map_err(|error| self.silences_failed(&error))?.ok_or_else(|| self.no_such_silence(id))?;
        tracing::info!(silence = id, token = self.name, "silence {id} is over");
        Ok(told(silence, &[], now))
    }

    /// Whether matchers fit alerts of the token's teams alone.
    fn is_for(&self, matchers: &[Matcher]) -> bool {
        self.teams.as_ref().is_none_or(|teams| is_within(matchers, teams))
    }

    fn no_such_silence(&self, id: i64) -> Refusal {
        match &self.teams {
            None => Refusal::NotFound(format!("there is no silence `{id}`")),
            // Whether others have one is nothing that this token may learn.
            Some(_) => Refusal::Forbidden(format!(
                "the token `{}` is for some teams, and none of theirs has a silence `{id}`",
                self.name
            )),
        }
    }

    async fn firing(&self) -> Result<Vec<FiringAlert>, Refusal> {
        self.intake.assessor.firing().await.map_err(|error| self.silences_failed(&error))
    }

    fn silences_failed(&self, error: &StoreError) -> Refusal {
        let operation = Errand::Silence.as_str();
        self.intake.metrics.agent.store_failures.with_label_values(&[operation]).inc();
        tracing::error!(operation, %error, "{operation} failed");
        Refusal::Unavailable
    }
}

fn told(silence: Silence, firing: &[FiringAlert], now: jiff::Timestamp) -> ToldSilence {
    let mutes = firing.iter().filter(|alert| silence.mutes(&alert.labels(), now)).cloned().collect();
    ToldSilence { silence, mutes, now }
}
