//! The looks of mails: one base for all of them, one folder of templates for each kind.
//!
//! A kind `x` has `x/subject.txt`, `x/body.txt` and `x/body.html`. The bodies extend `base.txt` and `base.html`, which lay
//! out the [`Frame`], and fill their block `body` with the help of the macros in `parts.txt` and `parts.html`. Templates
//! see the frame as `frame`, and the kind's own facts by their names.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::{MessageError, identity, words};
use crate::notify::chart;

/// Columns of the text part.
pub(super) const TEXT_COLUMNS: usize = 72;

/// What a mail says, complete, and not yet addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// One line.
    pub(super) subject: String,
    /// State and headline, in one line.
    pub(super) summary: String,
    /// The text part, complete by itself.
    pub(super) text: String,
    /// The same with looks.
    pub(super) html: String,
    /// What the HTML shows by its content id.
    pub(super) picture: Option<Inline>,
}

/// A picture within a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inline {
    /// What `cid:` addresses in the HTML name, without angle brackets.
    pub(super) content_id: String,
    /// The picture.
    pub(super) png: Vec<u8>,
}

/// What every mail has, whatever it is about: texts ready to be shown. What is empty is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Frame {
    /// `critical`, `warning`, `info` or `good`: how it looks.
    pub(super) tone: &'static str,
    /// What mail programs call the document.
    pub(super) title: String,
    /// The state, first word of the body.
    pub(super) state: String,
    /// What will happen and when; goes on after the state and a colon.
    pub(super) headline: String,
    /// As of when, in a line.
    pub(super) as_of: String,
    /// Where to see more.
    pub(super) link: Option<Link>,
    /// Where it says what such a mail means.
    pub(super) about: Option<Link>,
    /// How old what it rests on is.
    pub(super) data_age: Vec<String>,
    /// Why it was sent.
    pub(super) reasons: Vec<String>,
    /// How to hear no more of it for a while.
    pub(super) silence: Option<Silence>,
    /// The last line: from what, to whom.
    pub(super) signature: String,
}

/// An address with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) words: String,
}

/// How an alert is silenced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Silence {
    /// The lines of a command for a shell.
    pub(super) command: Vec<String>,
    /// A page that does it.
    pub(super) link: Option<Link>,
}

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Action {
    /// What to do.
    pub(super) what: String,
    /// What it brings, in credits and days.
    pub(super) effect: String,
}

/// A line of a table of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Number {
    pub(super) label: &'static str,
    pub(super) value: String,
}

/// A table: the first column says what, the others how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    /// The heads of the columns.
    pub(super) head: Vec<&'static str>,
    /// As many cells in each row.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// `None` without rows.
    pub(super) fn of<const N: usize>(head: [&'static str; N], rows: Vec<Vec<String>>) -> Option<Table> {
        (!rows.is_empty()).then(|| Table { head: head.to_vec(), rows })
    }
}

/// A picture as it stands in the HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    content_id: String,
    alt: String,
    /// What its lines and colours mean.
    caption: String,
    width: u16,
    height: u16,
}

impl Inline {
    /// A picture for a mail, and how it is shown there. Its content id is made of what it shows, so that two mails of one
    /// conversation never show each other's.
    pub(super) fn of(picture: chart::Picture, domain: &str) -> (Inline, Shown) {
        let content_id = identity::content_id(&picture.png, domain);
        let shown = Shown {
            content_id: content_id.clone(),
            alt: picture.alt,
            caption: picture.caption,
            width: chart::WIDTH,
            height: chart::HEIGHT,
        };
        (Inline { content_id, png: picture.png }, shown)
    }
}

/// Lays out a mail of a kind: one of the folders of templates.
///
/// # Errors
/// A template fails.
pub(super) fn lay_out(
    kind: &str,
    frame: &Frame,
    facts: &impl Serialize,
    picture: Option<Inline>,
) -> Result<Letter, MessageError> {
    let values = Values { frame, facts };
    let fill = |part: &str| templates().get_template(&format!("{kind}/{part}"))?.render(Serde(&values));
    Ok(Letter {
        subject: words::header_text(&fill("subject.txt")?),
        summary: format!("{}: {}", frame.state, frame.headline),
        text: words::wrap(&without_gaps(&fill("body.txt")?), TEXT_COLUMNS),
        html: fill("body.html")?,
        picture,
    })
}

#[derive(Serialize)]
struct Values<'a, Facts> {
    frame: &'a Frame,
    #[serde(flatten)]
    facts: &'a Facts,
}

/// Blank lines that come together made one; none at the beginning and at the end.
fn without_gaps(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.trim().lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_some_and(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n")
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
            ("base.txt", include_str!("../templates/base.txt")),
            ("base.html", include_str!("../templates/base.html")),
            ("parts.txt", include_str!("../templates/parts.txt")),
            ("parts.html", include_str!("../templates/parts.html")),
            ("exhaustion/subject.txt", include_str!("../templates/exhaustion/subject.txt")),
            ("exhaustion/body.txt", include_str!("../templates/exhaustion/body.txt")),
            ("exhaustion/body.html", include_str!("../templates/exhaustion/body.html")),
            ("report/subject.txt", include_str!("../templates/report/subject.txt")),
            ("report/body.txt", include_str!("../templates/report/body.txt")),
            ("report/body.html", include_str!("../templates/report/body.html")),
            ("rule/subject.txt", include_str!("../templates/rule/subject.txt")),
            ("rule/body.txt", include_str!("../templates/rule/body.txt")),
            ("rule/body.html", include_str!("../templates/rule/body.html")),
        ] {
            // A template that does not parse stays out, and `get_template` says so; every one is rendered by the tests.
            let _ = environment.add_template(name, source);
        }
        environment
    })
}
