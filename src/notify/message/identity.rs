//! The names by which mail programs know a mail and its conversation. They are derived from the alert's identity and the
//! recipient, never from the time or number of a try: a second copy is recognised as one.

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use crate::domain::{Notice, Why};

/// The id of one mail: who is told what, and why. With angle brackets.
pub(super) fn message_id(notice: &Notice, recipient: &str, domain: &str) -> String {
    let mut hash = of_episode("mail", notice);
    add_telling(&mut hash, notice);
    add(&mut hash, recipient);
    bracketed(hash, domain)
}

/// The id of what a webhook is told of a notice.
pub fn delivery_id(notice: &Notice, webhook: &str) -> String {
    let mut hash = of_episode("webhook", notice);
    add_telling(&mut hash, notice);
    add(&mut hash, webhook);
    hexadecimal(hash)
}

/// The id of the episode of which a webhook is told.
pub fn episode_id(notice: &Notice, webhook: &str) -> String {
    let mut hash = of_episode("webhook thread", notice);
    add(&mut hash, webhook);
    hexadecimal(hash)
}

/// The id that every mail of an episode refers to. No mail has it; that is enough to gather them.
pub(super) fn thread_id(notice: &Notice, domain: &str) -> String {
    bracketed(of_episode("thread", notice), domain)
}

/// The id of a report: of which kind, whose, for which scheduled time, and to whom. With angle brackets.
pub(super) fn report_id(kind: &str, team: &str, scheduled: Timestamp, recipient: &str, domain: &str) -> String {
    let mut hash = Context::new(&SHA256);
    add(&mut hash, "report");
    add(&mut hash, kind);
    add(&mut hash, team);
    add(&mut hash, &scheduled.as_nanosecond().to_string());
    add(&mut hash, recipient);
    bracketed(hash, domain)
}

/// The line between the parts of a mail; `what` tells those of parts within parts apart.
pub(super) fn boundary(message_id: &str, what: &str) -> String {
    let mut hash = Context::new(&SHA256);
    add(&mut hash, "boundary");
    add(&mut hash, what);
    add(&mut hash, message_id);
    format!("fuelgauge-{}", hexadecimal(hash))
}

/// The name of a picture within a mail, without angle brackets.
pub(super) fn content_id(picture: &[u8], domain: &str) -> String {
    let mut hash = Context::new(&SHA256);
    add(&mut hash, "picture");
    hash.update(picture);
    format!("fuelgauge.{}@{domain}", hexadecimal(hash))
}

fn of_episode(what: &str, notice: &Notice) -> Context {
    let mut hash = Context::new(&SHA256);
    add(&mut hash, what);
    add(&mut hash, notice.key.account.as_str());
    add(&mut hash, notice.key.team.as_str());
    add(&mut hash, notice.rule.as_str());
    add(&mut hash, &notice.period_start.as_nanosecond().to_string());
    add(&mut hash, &notice.episode.to_string());
    hash
}

/// Adds what is told of the episode.
fn add_telling(hash: &mut Context, notice: &Notice) {
    add(hash, notice.stage.as_str());
    add(hash, &notice.step.to_string());
    add(hash, notice.why.as_str());
    // Only repeats are told more than once for the same reason at the same stage.
    if notice.why == Why::Repeated {
        add(hash, &notice.at.as_nanosecond().to_string());
    }
}

/// Adds a field with its length, so that no two lists of fields make the same bytes.
fn add(hash: &mut Context, field: &str) {
    hash.update(&(field.len() as u64).to_be_bytes());
    hash.update(field.as_bytes());
}

fn bracketed(hash: Context, domain: &str) -> String {
    format!("<fuelgauge.{}@{domain}>", hexadecimal(hash))
}

/// The first 160 bits: short enough for one header line, far too many to meet by chance.
fn hexadecimal(hash: Context) -> String {
    hash.finish().as_ref().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// The id of a mail that takes the place of others: which ones, and why.
pub(super) fn merged_id(reason: &str, message_ids: &[String], domain: &str) -> String {
    let mut hash = Context::new(&SHA256);
    add(&mut hash, "merged");
    add(&mut hash, reason);
    message_ids.iter().for_each(|id| add(&mut hash, id));
    bracketed(hash, domain)
}
