//! The mails of the rules that need no forecast to be understood: one layout, and the words of each.

use serde::Serialize;

use super::MessageError;
use super::layout::{Letter, Number, lay_out};
use super::view::View;

/// Lays out the mail that tells of a notice.
pub(super) fn letter(view: &View) -> Result<Letter, MessageError> {
    let rule = view.notice.rule;
    let headline = format!("{} (team {}).", rule.in_words(), view.team());
    let reasons = vec![format!("The rule `{}` is set by `alerts.{}`, in fuelgauge's configuration.", rule, rule)];
    let facts = Facts { subject: format!("{}: team {}", rule.in_words(), view.team()), numbers: view.numbers() };
    lay_out("rule", &view.frame(rule.in_words(), headline, reasons), &facts, None)
}

/// The content of a mail beside its frame.
#[derive(Clone, Debug, Serialize)]
struct Facts {
    subject: String,
    numbers: Vec<Number>,
}
