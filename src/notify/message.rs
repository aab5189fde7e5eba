//! From a notice to the mail about it. Pure: the same notice, assessment and context always make the same bytes, so that
//! a retry sends what the first try sent.
//!
//! The words are made in `facts` (what will happen, how surely, why) and `actions` (what would help, worked out from the
//! forecast), and laid out by the templates of the rule. The state of the alert is in the first line of the body and
//! never in the subject: mail programs gather a conversation by its subject, so all mails of one plan period share it.

use std::sync::OnceLock;
use std::time::SystemTime;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use self::facts::Facts;
use self::words::ReaderClock;
use crate::domain::{
    AccountAssessment, DrawAssessment, EMAIL_CHANNEL, ExhaustionPolicy, Notice, RenderedMail, RetryRow, TotalsRow,
};

mod actions;
mod facts;
mod identity;
pub mod merged;
#[cfg(test)]
mod tests;
mod words;

/// What a mail needs besides the notice and the assessment.
#[derive(Clone, Debug)]
pub struct MessageContext {
    /// The sender. Its domain becomes the domain of the message ids.
    pub from: Mailbox,
    /// The one recipient.
    pub to: Mailbox,
    /// The reader's zone: every time in the mail is in it, with its offset.
    pub zone: TimeZone,
    /// Where people reach the page, without a trailing slash.
    pub external_url: Option<String>,
    /// The thresholds, to say why this mail was sent.
    pub policy: ExhaustionPolicy,
    /// How often a still-true alert is told again.
    pub repeat_interval: SignedDuration,
    /// Whether the team draws on more than one account, so that the subject must name which.
    pub names_account: bool,
    /// What the team spent on in the alert's period. Without it the mail speaks of all charges on record.
    pub drivers: Option<Drivers>,
}

/// What the team spent on within one plan period: counters as in [`DrawAssessment`], for that period only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers {
    /// By task type and quality.
    pub totals: Vec<TotalsRow>,
    /// By task type and kind of retry.
    pub retries: Vec<RetryRow>,
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
    /// A mail that others are to be told in is not laid out as expected.
    #[error("failed to find the {0} of a mail in its bytes")]
    Foreign(&'static str),
    /// The mail is larger than mail programs show in full.
    #[error("expected a mail of at most {LARGEST_MAIL_BYTES} bytes, found {0}")]
    TooLarge(usize),
}

/// Largest mail, in bytes as sent: some mail programs cut off what is longer.
pub const LARGEST_MAIL_BYTES: usize = 100_000;

/// Characters of a summary: a headline with its time is well below.
const LONGEST_SUMMARY: usize = 400;

/// Columns of the text part.
const TEXT_COLUMNS: usize = 72;

/// Writes the mail that tells one recipient of a notice. `draw` is the notice's draw within `assessment`.
///
/// # Errors
/// See [`MessageError`]; none is expected for checked configuration.
pub fn render(
    notice: &Notice,
    assessment: &AccountAssessment,
    draw: &DrawAssessment,
    context: &MessageContext,
) -> Result<RenderedMail, MessageError> {
    let facts = Facts::new(notice, assessment, draw, context);
    let fill = |name: &str| templates().get_template(name)?.render(Serde(&facts));
    let subject = words::header_text(&fill("exhaustion/subject.txt")?);
    let text = words::wrap(&fill("exhaustion/body.txt")?, TEXT_COLUMNS);
    let html = fill("exhaustion/body.html")?;

    let domain = context.from.email.domain();
    let recipient = context.to.email.to_string();
    let message_id = identity::message_id(notice, &recipient, domain);
    let thread_id = identity::thread_id(notice, domain);
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(identity::boundary(&message_id))
        .singlepart(part(ContentType::TEXT_PLAIN, text.clone()))
        .singlepart(part(ContentType::TEXT_HTML, html.clone()));
    let message = Message::builder()
        .from(context.from.clone())
        .to(context.to.clone())
        .subject(subject.clone())
        .date(SystemTime::from(notice.at))
        .message_id(Some(message_id.clone()))
        .in_reply_to(thread_id.clone())
        .references(thread_id.clone())
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Fuelgauge-Alert", notice.rule.as_str()))
        .raw_header(header("X-Fuelgauge-Team", notice.key.team.as_str()))
        .raw_header(header("X-Fuelgauge-State", notice.why.as_str()))
        .raw_header(header("X-Fuelgauge-Severity", notice.stage.as_str()))
        .multipart(parts)?
        .formatted();
    if message.len() > LARGEST_MAIL_BYTES {
        return Err(MessageError::TooLarge(message.len()));
    }
    let decided = ReaderClock::new(&context.zone, notice.at).moment(notice.at);
    Ok(RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: context.from.email.to_string(),
        recipient,
        message_id,
        thread: thread_id,
        subject,
        summary: words::clean(&format!("{decided}: {}: {}", facts.state, facts.headline), LONGEST_SUMMARY),
        text,
        html,
        message,
    })
}

fn part(content_type: ContentType, text: String) -> SinglePart {
    // Quoted-printable takes any text: it keeps lines short and the message ASCII, whatever is in it.
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable).unwrap_or_else(Body::new);
    SinglePart::builder().header(content_type).body(body)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), words::header_text(value))
}

/// The compiled-in templates. A name that ends in `.html` escapes what it is given.
fn templates() -> &'static Environment<'static> {
    static TEMPLATES: OnceLock<Environment<'static>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Tags on lines of their own leave nothing behind. The builder refuses clashing delimiters only; ours are its own.
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.unwrap_or_default());
        environment
            .add_filter("left", |text: String, columns: usize| format!("{:<columns$}", words::clean(&text, columns)));
        environment.add_filter("right", |text: String, columns: usize| format!("{text:>columns$}"));
        for (name, source) in [
            ("exhaustion/subject.txt", include_str!("templates/exhaustion/subject.txt")),
            ("exhaustion/body.txt", include_str!("templates/exhaustion/body.txt")),
            ("exhaustion/body.html", include_str!("templates/exhaustion/body.html")),
        ] {
            // A template that does not parse stays out, and `get_template` says so; every one is rendered by the tests.
            let _ = environment.add_template(name, source);
        }
        environment
    })
}
