//! Mails that take the place of several. Pure, like the others: the same mails always make the same bytes and id.
//!
//! - Of one conversation: the newest mail as it is, and below it, in a line each, what came before.
//! - Of several: one that collects them, what is urgent first, a line for each conversation and where to look.
//!
//! Headers and parts of the newest mail are taken over from its bytes as they stand, so that subject and thread stay, and
//! pictures too: only its id and its two texts are exchanged.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, MultiPart, MultiPartKind, SinglePart};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::layout::TEXT_COLUMNS;
use super::{LARGEST_MAIL_BYTES, MessageError, identity, words};
use crate::domain::outbox::{MergeParts, ToldNotice};
use crate::domain::words::{count, counted};
use crate::domain::{DeliveryLimits, EMAIL_CHANNEL, MergeReason, RenderedMail};

/// The subject of what collects several.
const COLLECTED_SUBJECT: &str = "Summary of credit alerts";

/// So many earlier notices are told line by line; of more the first and the last are, and how many lie between.
const MOST_EARLIER: usize = 40;

/// What a mail of several needs besides them.
#[derive(Clone, Debug, Default)]
pub struct MergedContext {
    /// Where people reach the page, without a trailing slash.
    pub external_url: Option<String>,
    /// The caps, to say why they are collected.
    pub limits: DeliveryLimits,
}

/// Writes the mail that takes the place of several.
///
/// # Errors
/// See [`MessageError`]; none is expected for mails of ours.
pub fn render_merged(parts: &MergeParts, context: &MergedContext) -> Result<RenderedMail, MessageError> {
    let domain = parts.sender.rsplit('@').next().unwrap_or_default();
    let message_id = identity::merged_id(parts.reason.as_str(), &parts.message_ids, domain);
    let mail = match parts.reason {
        MergeReason::Superseded => superseding(parts, message_id)?,
        MergeReason::Collected => collected(parts, message_id, context)?,
    };
    match mail.message.len() {
        size if size > LARGEST_MAIL_BYTES => Err(MessageError::TooLarge(size)),
        _ => Ok(mail),
    }
}

/// What came before what is true now.
#[derive(Serialize)]
struct Earlier {
    earlier: Vec<String>,
}

fn superseding(parts: &MergeParts, message_id: String) -> Result<RenderedMail, MessageError> {
    let newest = &parts.newest;
    let earlier = Earlier { earlier: earlier(&parts.told) };
    let section = fill("earlier.txt", &earlier)?;
    let (body, signature) = match newest.text.rfind("\n--\n") {
        Some(at) => newest.text.split_at(at),
        None => (newest.text.trim_end(), "\n"),
    };
    let text = format!(
        "{}\n{}{signature}",
        body.trim_end(),
        words::wrap(&section, TEXT_COLUMNS).trim_end_matches('\n').to_owned() + "\n"
    );
    let end = newest.html.rfind("</body>").unwrap_or(newest.html.len());
    let html = format!("{}{}{}", &newest.html[..end], fill("earlier.html", &earlier)?, &newest.html[end..]);

    let (head, body) = split(&newest.message)?;
    let mut message: Vec<u8> = Vec::with_capacity(newest.message.len() + 4096);
    for field in fields(head) {
        match is_named(field, "Message-ID") {
            true => message.extend_from_slice(format!("Message-ID: {message_id}\r\n").as_bytes()),
            false => message.extend_from_slice(field),
        }
    }
    message.extend_from_slice(b"\r\n");
    let body = exchange(body, &newest.text, &text).ok_or(MessageError::Foreign("text"))?;
    let body = exchange(&body, &newest.html, &html).ok_or(MessageError::Foreign("HTML"))?;
    message.extend_from_slice(&body);
    Ok(RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: parts.sender.clone(),
        recipient: parts.recipient.clone(),
        message_id,
        thread: newest.thread.clone(),
        subject: newest.subject.clone(),
        summary: newest.summary.clone(),
        // Should it be merged again, it begins with the newest mail as it was decided.
        text: newest.text.clone(),
        html: newest.html.clone(),
        message,
    })
}

/// The lines of what came before the newest, the oldest first.
fn earlier(told: &[ToldNotice]) -> Vec<String> {
    let earlier = &told[..told.len().saturating_sub(1)];
    let line = |notice: &ToldNotice| notice.summary.clone();
    if earlier.len() <= MOST_EARLIER {
        return earlier.iter().map(line).collect();
    }
    let (first, rest) = earlier.split_at(1);
    let (between, last) = rest.split_at(rest.len() - (MOST_EARLIER - 2));
    let between = format!("… {} between …", counted(between.len() as u64, "notice", "notices"));
    first.iter().map(line).chain([between]).chain(last.iter().map(line)).collect()
}

/// What a collected mail says.
#[derive(Serialize)]
struct Collected<'a> {
    subject: &'a str,
    headline: &'a str,
    tone: &'a str,
    sections: Vec<Section>,
    reason: String,
    link: Option<String>,
}

/// The conversations of a collected mail under one title.
#[derive(Serialize)]
struct Section {
    title: &'static str,
    entries: Vec<Entry>,
}

/// One conversation of a collected mail.
#[derive(Clone, Serialize)]
struct Entry {
    summary: String,
    /// The same, taken apart: what it says, and when that was decided.
    what: String,
    when: String,
    earlier: Vec<String>,
    team: String,
    link: Option<String>,
}

fn collected(parts: &MergeParts, message_id: String, context: &MergedContext) -> Result<RenderedMail, MessageError> {
    let base = context.external_url.as_deref().map(|url| url.trim_end_matches('/'));
    let mut conversations: BTreeMap<&str, Vec<&ToldNotice>> = BTreeMap::new();
    for notice in &parts.told {
        conversations.entry(&notice.thread).or_default().push(notice);
    }
    // In the order of what is told first of each.
    let mut in_order: Vec<Vec<&ToldNotice>> = conversations.into_values().collect();
    let place = |notice: &ToldNotice| parts.told.iter().position(|told| std::ptr::eq(told, notice));
    in_order.sort_by_key(|notices| place(notices[0]));
    let entry = |notices: &Vec<&ToldNotice>| {
        let (newest, earlier) = notices.split_last()?;
        let team = newest.team.clone().unwrap_or_default();
        let link = base.filter(|_| !team.is_empty());
        let link = link.map(|base| format!("{base}/teams/{}", words::path_segment(&team)));
        let earlier = earlier.iter().map(|notice| notice.summary.clone()).collect();
        let (what, when) = taken_apart(&newest.summary);
        let summary = newest.summary.clone();
        let entry = Entry { summary, what, when, earlier, team: words::clean(&team, 64), link };
        Some((newest.is_urgent, entry))
    };
    let (urgent, others): (Vec<_>, Vec<_>) = in_order.iter().filter_map(entry).partition(|(is_urgent, _)| *is_urgent);
    let alerts = counted((urgent.len() + others.len()) as u64, "alert", "alerts");
    let headline = match urgent.len() {
        0 => format!("{alerts}, none of them critical."),
        critical => format!("{alerts}, {} of them critical: {}.", count(critical as u64), teams(&urgent)),
    };
    let tone = if urgent.is_empty() { "warning" } else { "critical" };
    let section = |title, entries: Vec<(bool, Entry)>| Section {
        title,
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
    };
    let sections: Vec<Section> = [section("Critical", urgent), section("Everything else", others)]
        .into_iter()
        .filter(|section| !section.entries.is_empty())
        .collect();
    let DeliveryLimits { per_recipient_per_hour: hourly, per_recipient_per_day: daily, .. } = context.limits;
    let reason = format!(
        "More was to be told at once than the limits of mail have room for: {} an hour and {} a day for each recipient \
         (`email.limits` in the configuration). What is told here is not told by mails of its own.",
        counted(u64::from(hourly), "mail", "mails"),
        counted(u64::from(daily), "mail", "mails"),
    );
    let link = base.map(|base| format!("{base}/alerts"));
    let values = Collected { subject: COLLECTED_SUBJECT, headline: &headline, tone, sections, reason, link };
    let text = words::wrap(&fill("collected.txt", &values)?, TEXT_COLUMNS);
    let html = fill("collected.html", &values)?;

    let (head, _) = split(&parts.newest.message)?;
    let mut message = Vec::new();
    for field in fields(head).filter(|field| ["From", "To", "Date"].iter().any(|name| is_named(field, name))) {
        message.extend_from_slice(field);
    }
    let own = [
        ("Subject", COLLECTED_SUBJECT),
        ("Message-ID", &message_id),
        ("Auto-Submitted", "auto-generated"),
        ("X-Fuelgauge-State", "collected"),
        ("X-Fuelgauge-Severity", tone),
        ("MIME-Version", "1.0"),
    ];
    own.iter().for_each(|(name, value)| message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes()));
    let boundary = message_id.trim_matches(['<', '>']).split('@').next().unwrap_or_default().to_owned();
    let alternative = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, &text))
        .singlepart(part(ContentType::TEXT_HTML, &html));
    message.extend_from_slice(&alternative.formatted());
    Ok(RenderedMail {
        channel: EMAIL_CHANNEL.into(),
        sender: parts.sender.clone(),
        recipient: parts.recipient.clone(),
        message_id,
        thread: String::new(),
        subject: COLLECTED_SUBJECT.into(),
        summary: format!("Summary: {headline}"),
        text,
        html,
        message,
    })
}

/// A summary begins with its time, which ends with the offset in brackets: what it says, and the time; empty if it has none.
fn taken_apart(summary: &str) -> (String, String) {
    match summary.split_once("): ") {
        Some((when, what)) => (what.to_owned(), format!("{when})")),
        None => (summary.to_owned(), String::new()),
    }
}

/// The teams of some conversations, the first three by name.
fn teams(entries: &[(bool, Entry)]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (_, entry) in entries {
        if !names.contains(&entry.team.as_str()) {
            names.push(&entry.team);
        }
    }
    let (named, others) = names.split_at(names.len().min(3));
    match others.len() {
        0 => named.join(", "),
        others => format!("{} and {}", named.join(", "), counted(others as u64, "team more", "teams more")),
    }
}

fn part(content_type: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(content_type).body(encoded(text))
}

/// A text as mails of ours carry it.
fn encoded(text: &str) -> Body {
    Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable).unwrap_or_else(Body::new)
}

/// A body in which one text is exchanged for another; `None` if it is not in there.
fn exchange(body: &[u8], old: &str, new: &str) -> Option<Vec<u8>> {
    let (old, new) = (encoded(old).into_vec(), encoded(new).into_vec());
    let at = (!old.is_empty()).then(|| body.windows(old.len()).position(|window| window == old)).flatten()?;
    Some([&body[..at], &new, &body[at + old.len()..]].concat())
}

/// The head of a message, its last line end included, and the body.
fn split(message: &[u8]) -> Result<(&[u8], &[u8]), MessageError> {
    let at = message.windows(4).position(|window| window == b"\r\n\r\n").ok_or(MessageError::Foreign("head"))?;
    Ok((&message[..at + 2], &message[at + 4..]))
}

/// The fields of a head, each whole: with the lines that continue it.
fn fields(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let is_end = |at: &usize| rest[..*at].ends_with(b"\r\n") && !matches!(rest.get(*at), Some(b' ' | b'\t'));
        let end = (1..=rest.len()).find(is_end)?;
        let (field, later) = rest.split_at(end);
        rest = later;
        Some(field)
    })
}

fn is_named(field: &[u8], name: &str) -> bool {
    field.split(|byte| *byte == b':').next().is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

fn fill(name: &str, values: &impl Serialize) -> Result<String, minijinja::Error> {
    templates().get_template(name)?.render(Serde(values))
}

/// The compiled-in templates. A name that ends in `.html` escapes what it is given.
fn templates() -> &'static Environment<'static> {
    static TEMPLATES: OnceLock<Environment<'static>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.unwrap_or_default());
        for (name, source) in [
            ("earlier.txt", include_str!("../templates/merged/earlier.txt")),
            ("earlier.html", include_str!("../templates/merged/earlier.html")),
            ("collected.txt", include_str!("../templates/merged/collected.txt")),
            ("collected.html", include_str!("../templates/merged/collected.html")),
        ] {
            // A template that does not parse stays out, and `get_template` says so; every one is rendered by the tests.
            let _ = environment.add_template(name, source);
        }
        environment
    })
}

#[cfg(test)]
mod tests;
