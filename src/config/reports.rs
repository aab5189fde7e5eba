//! The sections `alerts.digest` and `email.heartbeat`: mails that come on a schedule, whether or not anything is the matter.

use jiff::tz::TimeZone;

use super::account::{check_cron, zone};
use super::alerts::roles;
use super::section::{Head, Text, section};
use super::values::{self, Context};
use super::{DigestConfig, HeartbeatConfig, Role};
use crate::domain::CronSchedule;

section! {
    /// A summary for each team. Default: none.
    struct DigestFile {
        /// When: a cron line, read in the zone of the team's account. Required.
        schedule: Text,
        /// Which roles get it. Default: `[lead]`.
        to: Vec<Text>,
    }
}

section! {
    /// A sign of life. Default: none.
    struct HeartbeatFile {
        /// When: a cron line. Required.
        schedule: Text,
        /// The zone of `schedule` and of the times in the mail. Default: `UTC`.
        timezone: Text,
        /// Who gets it: mail addresses. Required.
        to: Vec<Text>,
    }
}

/// Checks the section `alerts.digest`. `None` if something in it is wrong, which has been noted then.
pub(super) fn check_digest(file: &DigestFile, has_email: bool, context: &mut Context) -> Option<DigestConfig> {
    if !has_email {
        let hint = "hint: write how mail leaves, or remove `digest`";
        context.mistakes.add(&file.head.place, format!("has no effect without `email`\n{hint}"));
    }
    // Each team reads it in a zone of its own.
    let schedule = schedule(file.schedule.as_ref(), &file.head, "\"0 8 * * mon\"", &TimeZone::UTC, context);
    let to = match &file.to {
        Some(texts) if texts.is_empty() => {
            let hint = "hint: write `to: [lead]`, or remove `digest`";
            context.wrong(&file.head.place, format!("`to` is an empty list: nobody would get it\n{hint}"))
        }
        Some(texts) => Some(roles(texts, context)),
        None => Some(vec![Role::Lead]),
    };
    Some(DigestConfig { schedule: schedule?, to: to? })
}

/// Checks the section `email.heartbeat`. `None` if something in it is wrong, which has been noted then.
pub(super) fn check_heartbeat(file: &HeartbeatFile, context: &mut Context) -> Option<HeartbeatConfig> {
    let zone = zone(file.timezone.as_ref(), &TimeZone::UTC, context);
    let schedule = schedule(file.schedule.as_ref(), &file.head, "\"0 7 * * *\"", &zone, context);
    let to = match file.to.as_deref() {
        None => {
            file.head.missing("to", "write the addresses that get it", &mut context.mistakes);
            None
        }
        Some([]) => {
            let hint = "hint: write an address, or remove `heartbeat`";
            context.wrong(&file.head.place, format!("`to` is an empty list: nobody would get it\n{hint}"))
        }
        Some(texts) => {
            texts.iter().map(|text| values::mailbox(text, context)).collect::<Vec<_>>().into_iter().collect()
        }
    };
    Some(HeartbeatConfig { schedule: schedule?, to: to? })
}

fn schedule(
    text: Option<&Text>,
    head: &Head,
    example: &str,
    zone: &TimeZone,
    context: &mut Context,
) -> Option<CronSchedule> {
    match text {
        Some(text) => check_cron(text, zone, context),
        None => {
            head.missing("schedule", &format!("write when, such as `{example}`"), &mut context.mistakes);
            None
        }
    }
}
