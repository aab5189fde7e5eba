//! Mails that come on a schedule, whether or not anything is the matter: what the digest and the sign of life share.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use serde::Serialize;

use super::assemble::{Envelope, assemble};
use super::layout::{Frame, Number, Table, lay_out};
use super::{MessageError, identity};
use crate::domain::{RenderedMail, TeamName};

/// What every report needs beside what it says.
#[derive(Clone, Debug)]
pub struct Post {
    /// The sender. Its domain becomes the domain of the message ids.
    pub from: Mailbox,
    /// The reader's zone: every time in the mail is in it, with its offset.
    pub zone: TimeZone,
    /// Where people reach the page.
    pub external_url: Option<String>,
}

/// Which report it is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// `digest` or `heartbeat`.
    pub kind: &'static str,
    /// The team that it is for, if it is for one.
    pub team: Option<&'a TeamName>,
    /// The time it was scheduled for.
    pub scheduled: Timestamp,
    /// When it is written.
    pub at: Timestamp,
    /// The cron line, to say why it comes.
    pub schedule: &'a str,
}

/// A part of a report; what is empty is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Part {
    pub(super) title: String,
    /// A paragraph.
    pub(super) text: String,
    /// A list.
    pub(super) lines: Vec<String>,
    pub(super) numbers: Vec<Number>,
    pub(super) table: Option<Table>,
}

impl Part {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.lines.is_empty() && self.numbers.is_empty() && self.table.is_none()
    }
}

#[derive(Serialize)]
struct Facts {
    subject: String,
    parts_of_it: Vec<Part>,
}

/// Writes a report for each of its recipients.
pub(super) fn send(
    occasion: &Occasion,
    post: &Post,
    subject: String,
    frame: &Frame,
    parts: Vec<Part>,
    recipients: &[&Mailbox],
) -> Result<Vec<RenderedMail>, MessageError> {
    let parts_of_it = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let letter = lay_out("report", frame, &Facts { subject, parts_of_it }, None)?;
    let team = occasion.team.map_or("", TeamName::as_str);
    let mail = |to: &&Mailbox| {
        let mut headers = vec![("X-Fuelgauge-Report", occasion.kind.to_owned())];
        headers.extend(occasion.team.map(|team| ("X-Fuelgauge-Team", team.as_str().to_owned())));
        let (domain, recipient) = (post.from.email.domain(), to.email.as_ref());
        let message_id = identity::report_id(occasion.kind, team, occasion.scheduled, recipient, domain);
        assemble(&letter, &Envelope { from: &post.from, to, at: occasion.at, message_id, thread_id: None, headers })
    };
    recipients.iter().map(mail).collect()
}
