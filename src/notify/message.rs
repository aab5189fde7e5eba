//! From a notice to the mail about it. Pure: the same notice, assessment and context always make the same bytes, so that
//! a retry sends what the first try sent.
//!
//! ```text
//! notice, assessment ──► a kind of mail ──► layout ──► assemble ──► outbox
//!                        what it says       letter      bytes
//! ```
//!
//! - `view`: what every kind may ask of a notice and its assessment, and the parts of a mail that are the same in all; of
//!   that `draw` is what can be asked without a notice
//! - `exhaustion`: what the mail of that rule says; `rule`: what those of the others say, with `evidence` of what the
//!   assessment does not hold
//! - `digest`, `heartbeat`: what comes on a schedule, each a `report`
//! - `actions`, `spending`: what would help, and what credits went to, in the words of all
//! - `layout`: the templates, of which `base` gives every mail its looks; makes a `Letter`
//! - `assemble`: headers, parts and limits; makes bytes of a `Letter`
//! - `sentence`: an alert in one sentence, for what is no mail
//! - `identity`: message ids; `words`: amounts and times as people read them, and foreign text made harmless
//!
//! The state of the alert is in the first line of the body and never in the subject: mail programs gather a conversation
//! by its subject, so all mails of one plan period share it.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;

use self::assemble::{Envelope, assemble};
use self::view::View;
use crate::domain::{AccountAssessment, DrawAssessment, Drivers, Notice, Remedy, RenderedMail, RuleName, Rules};

mod actions;
mod assemble;
mod digest;
mod draw;
mod evidence;
mod exhaustion;
mod heartbeat;
mod identity;
mod layout;
pub mod merged;
mod report;
mod rule;
mod sentence;
mod spending;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use assemble::LARGEST_MAIL_BYTES;
pub use digest::{DrawDigest, TeamDigest, render_digest};
pub use evidence::{EndedPeriod, Evidence};
pub use heartbeat::render_heartbeat;
pub use identity::{delivery_id, episode_id};
pub use report::{Occasion, Post};
pub use sentence::{description, summary};

/// What a mail needs besides the notice and the assessment.
#[derive(Clone, Debug)]
pub struct MessageContext {
    /// The sender. Its domain becomes the domain of the message ids.
    pub from: Mailbox,
    /// The reader's zone: every time in the mail is in it, with its offset.
    pub zone: TimeZone,
    /// Where people reach the page, without a trailing slash.
    pub external_url: Option<String>,
    /// How the rules are set, to say why this mail was sent.
    pub rules: Rules,
    /// How often a still-true alert is told again.
    pub repeat_interval: SignedDuration,
    /// Whether the team draws on more than one account, so that the subject must name which.
    pub names_account: bool,
    /// What the team spent on in the alert's period; `None` where the mail is not about that.
    pub drivers: Option<Drivers>,
    /// What would help, the most helpful first.
    pub remedies: Vec<Remedy>,
    /// What else the rule's mail tells.
    pub evidence: Evidence,
}

/// Why a mail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A template failed.
    #[error("failed to fill in the mail template")]
    Template(#[from] minijinja::Error),
    /// The headers or parts do not make a mail.
    #[error("failed to put the mail together")]
    Assembly(#[from] lettre::error::Error),
    /// A header of a part does not make sense.
    #[error("failed to name the kind of a part")]
    Part(#[from] lettre::message::header::ContentTypeErr),
    /// A mail that others are to be told in is not laid out as expected.
    #[error("failed to find the {0} of a mail in its bytes")]
    Foreign(&'static str),
    /// The mail is larger than mail programs show in full.
    #[error("expected a mail of at most {LARGEST_MAIL_BYTES} bytes, found {0}")]
    TooLarge(usize),
}

/// Characters of a summary: a headline with its time is well below.
const LONGEST_SUMMARY: usize = 400;

/// Writes the mails that tell each of the recipients of a notice. `draw` is the notice's draw within `assessment`.
///
/// # Errors
/// See [`MessageError`]; none is expected for checked configuration.
pub fn render(
    notice: &Notice,
    assessment: &AccountAssessment,
    draw: &DrawAssessment,
    context: &MessageContext,
    recipients: &[&Mailbox],
) -> Result<Vec<RenderedMail>, MessageError> {
    let view = View::new(notice, assessment, draw, context);
    let mut letter = match notice.rule {
        RuleName::Exhaustion => exhaustion::letter(&view)?,
        _ => rule::letter(&view)?,
    };
    let decided = view.clock.moment(notice.at);
    letter.summary = words::clean(&format!("{decided}: {}", letter.summary), LONGEST_SUMMARY);
    let mail = |to: &&Mailbox| assemble(&letter, &Envelope::of_notice(notice, &context.from, to));
    recipients.iter().map(mail).collect()
}
