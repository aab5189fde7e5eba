//! The section `alerts`.

use std::time::Duration;

use jiff::SignedDuration;

use super::section::{NotYet, Text, section};
use super::values::{self, Context};
use super::{AlertsConfig, Role};
use crate::domain::{ExhaustionPolicy, Sensitivity, Stage};

section! {
    /// The rules and their recipients; all of it may be left out.
    struct AlertsFile {
        /// Credits that will run out before the plan resets.
        exhaustion: ExhaustionFile,
        /// How often a still-true alert is told again. Default: `24h`.
        repeat_interval: Text,
        /// Not supported yet.
        quiet_hours: NotYet,
    }
}

section! {
    /// The exhaustion rule.
    struct ExhaustionFile {
        /// `early`, `balanced` or `quiet`. Default: `balanced`.
        sensitivity: Text,
        /// Critical: expected to run dry this soon. Default: `48h`.
        critical_within: Text,
        /// Who hears of it.
        to: ToFile,
    }
}

section! {
    /// Which roles hear of which stage. An empty list: nobody does.
    struct ToFile {
        /// Default: `[lead]`.
        warning: Vec<Text>,
        /// Default: `[lead, billing]`.
        critical: Vec<Text>,
    }
}

const REPEAT_INTERVAL: SignedDuration = SignedDuration::from_hours(24);
const WARNING: &[Role] = &[Role::Lead];
const CRITICAL: &[Role] = &[Role::Lead, Role::Billing];

/// Checks the section. What is wrong has been noted, and the default stands in for it.
pub(super) fn check(file: Option<&AlertsFile>, context: &mut Context) -> AlertsConfig {
    let exhaustion = file.and_then(|file| file.exhaustion.as_ref());
    let to = exhaustion.and_then(|exhaustion| exhaustion.to.as_ref());
    AlertsConfig {
        exhaustion: policy(exhaustion, context),
        to: vec![
            (Stage::Warning, roles(to.and_then(|to| to.warning.as_deref()), WARNING, context)),
            (Stage::Critical, roles(to.and_then(|to| to.critical.as_deref()), CRITICAL, context)),
        ],
        repeat_interval: file
            .and_then(|file| length(file.repeat_interval.as_ref(), context))
            .unwrap_or(REPEAT_INTERVAL),
    }
}

fn policy(file: Option<&ExhaustionFile>, context: &mut Context) -> ExhaustionPolicy {
    let words = [("early", Sensitivity::Early), ("balanced", Sensitivity::Balanced), ("quiet", Sensitivity::Quiet)];
    let written = file.and_then(|file| file.sensitivity.as_ref());
    let sensitivity = written.and_then(|text| values::word(text, &words, context)).unwrap_or_default();
    let critical_within = file.and_then(|file| length(file.critical_within.as_ref(), context));
    ExhaustionPolicy::new(sensitivity, critical_within.unwrap_or(ExhaustionPolicy::default().critical_within))
}

fn length(text: Option<&Text>, context: &mut Context) -> Option<SignedDuration> {
    let duration = values::duration(text?, Duration::from_secs(60), context)?;
    // At most ten years, which fits.
    SignedDuration::try_from(duration).ok()
}

fn roles(written: Option<&[Text]>, default: &[Role], context: &mut Context) -> Vec<Role> {
    let Some(written) = written else { return default.to_vec() };
    let words = Role::ALL.map(|role| (role.as_str(), role));
    let mut roles = Vec::new();
    for text in written {
        let Some(role) = values::word(text, &words, context) else { continue };
        if roles.contains(&role) {
            context.mistakes.add(&text.place, format!("`{}` is listed twice", role.as_str()));
        }
        roles.push(role);
    }
    roles
}
