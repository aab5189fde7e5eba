//! From what a mail says to the bytes that go over the wire.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, MultiPartKind, SinglePart};

use super::layout::{Inline, Letter};
use super::{MessageError, identity, words};
use crate::domain::{EMAIL_CHANNEL, Notice, RenderedMail};

/// Largest mail, in bytes as sent: some mail programs cut off what is longer.
pub const LARGEST_MAIL_BYTES: usize = 100_000;

/// Everything on a mail that is not its content.
#[derive(Clone, Debug)]
pub(super) struct Envelope<'a> {
    /// The sender.
    pub(super) from: &'a Mailbox,
    /// The one recipient.
    pub(super) to: &'a Mailbox,
    /// When it was decided.
    pub(super) at: Timestamp,
    /// With angle brackets, and the same on every try.
    pub(super) message_id: String,
    /// The conversation that it belongs to, with angle brackets; `None` for a mail that stands alone.
    pub(super) thread_id: Option<String>,
    /// Headers of our own, in this order. Values are made harmless here.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl<'a> Envelope<'a> {
    /// That of a mail which tells one recipient of one notice.
    pub(super) fn of_notice(notice: &Notice, from: &'a Mailbox, to: &'a Mailbox) -> Envelope<'a> {
        let domain = from.email.domain();
        Envelope {
            from,
            to,
            at: notice.at,
            message_id: identity::message_id(notice, to.email.as_ref(), domain),
            thread_id: Some(identity::thread_id(notice, domain)),
            headers: vec![
                ("X-Fuelgauge-Alert", notice.rule.as_str().into()),
                ("X-Fuelgauge-Team", notice.key.team.as_str().into()),
                ("X-Fuelgauge-State", notice.why.as_str().into()),
                ("X-Fuelgauge-Severity", notice.stage.as_str().into()),
            ],
        }
    }
}

/// Puts a mail together.
///
/// # Errors
/// The headers or parts do not make a mail, or it is larger than [`LARGEST_MAIL_BYTES`].
pub(super) fn assemble(letter: &Letter, envelope: &Envelope) -> Result<RenderedMail, MessageError> {
    let html = text_part(ContentType::TEXT_HTML, &letter.html);
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(identity::boundary(&envelope.message_id, "alternative"))
        .singlepart(text_part(ContentType::TEXT_PLAIN, &letter.text));
    let parts = match &letter.picture {
        Some(picture) => parts.multipart(related(html, picture, &envelope.message_id)?),
        None => parts.singlepart(html),
    };
    let mut message = Message::builder()
        .from(harmless(envelope.from))
        .to(harmless(envelope.to))
        .subject(words::header_text(&letter.subject))
        .date(SystemTime::from(envelope.at))
        .message_id(Some(envelope.message_id.clone()));
    if let Some(thread_id) = &envelope.thread_id {
        message = message.in_reply_to(thread_id.clone()).references(thread_id.clone());
    }
    message = message.raw_header(header("Auto-Submitted", "auto-generated"));
    for (name, value) in &envelope.headers {
        message = message.raw_header(header(name, value));
    }
    let message = message.multipart(parts)?.formatted();
    if message.len() > LARGEST_MAIL_BYTES {
        return Err(MessageError::TooLarge(message.len()));
    }
    Ok(RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: envelope.from.email.to_string(),
        recipient: envelope.to.email.to_string(),
        message_id: envelope.message_id.clone(),
        // One that stands alone is a conversation of its own.
        thread: envelope.thread_id.clone().unwrap_or_else(|| envelope.message_id.clone()),
        subject: letter.subject.clone(),
        summary: letter.summary.clone(),
        text: letter.text.clone(),
        html: letter.html.clone(),
        message,
    })
}

/// A mailbox whose name fits into a header; the address was checked when it was read.
fn harmless(mailbox: &Mailbox) -> Mailbox {
    Mailbox::new(mailbox.name.as_deref().map(words::header_text), mailbox.email.clone())
}

/// HTML with a picture that it shows.
fn related(html: SinglePart, picture: &Inline, message_id: &str) -> Result<MultiPart, MessageError> {
    // RFC 2387 wants the type of the part that holds the others together.
    let boundary = identity::boundary(message_id, "related");
    let kind = format!("multipart/related; boundary=\"{boundary}\"; type=\"text/html\"");
    let attachment = Attachment::new_inline_with_name(picture.content_id.clone(), "burn-down.png".into());
    let png = attachment.body(picture.png.clone(), ContentType::parse("image/png")?);
    Ok(MultiPart::builder().header(ContentType::parse(&kind)?).singlepart(html).singlepart(png))
}

fn text_part(content_type: ContentType, text: &str) -> SinglePart {
    // Quoted-printable takes any text: it keeps lines short and the message ASCII, whatever is in it.
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(text.to_owned(), encoding).unwrap_or_else(Body::new);
    SinglePart::builder().header(content_type).body(body)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), words::header_text(value))
}
