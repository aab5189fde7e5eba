//! The mails of the rules beside `exhaustion`: one layout, and in a file for each what it says.

use jiff::Timestamp;
use serde::Serialize;

use super::MessageError;
use super::layout::{Action, Letter, Number, Table, lay_out};
use super::view::View;
use super::words;
use crate::domain::{AlertState, RuleName};

mod credits_will_lapse;
mod low_balance;
mod plan_reset;
mod price_drift;
mod stale_data;
mod stuck_queue;
mod suspects;
mod unexplained_spend;
mod unusual_spend;
mod wasteful_retries;

/// Lays out the mail that tells of a notice.
pub(super) fn letter(view: &View) -> Result<Letter, MessageError> {
    let rule = view.notice.rule;
    let said = match rule {
        RuleName::LowBalance => low_balance::say(view),
        RuleName::UnusualSpend => unusual_spend::say(view),
        RuleName::WastefulRetries => wasteful_retries::say(view),
        RuleName::StuckQueue => stuck_queue::say(view),
        RuleName::StaleData => stale_data::say(view),
        RuleName::MissingRefund | RuleName::DoubleCharge => suspects::say(view),
        RuleName::UnexplainedSpend => unexplained_spend::say(view),
        RuleName::PriceDrift => price_drift::say(view),
        RuleName::CreditsWillLapse => credits_will_lapse::say(view),
        RuleName::PlanReset => plan_reset::say(view),
        // It has a layout of its own.
        RuleName::Exhaustion => Said::default(),
    };
    let reasons = reasons(view, &said);
    let mut frame = view.frame(rule.in_words(), said.headline, reasons);
    frame.as_of = match rule {
        // That is the whole mail.
        RuleName::StaleData => String::new(),
        _ => said.as_of.map_or(frame.as_of, |read_at| view.read_at(read_at)),
    };
    frame.title = format!("{}: {} (team {})", frame.state, rule.in_words(), view.team());
    let facts = Facts {
        team: view.team(),
        account: view.account(),
        names_account: view.context.names_account,
        about: said.about,
        passages: said.passages.into_iter().filter(|passage| !passage.text.is_empty()).collect(),
        actions: said.actions,
        command: said.command,
        to_send: said.to_send,
        numbers: said.numbers,
        tables: said.tables,
    };
    lay_out("rule", &frame, &facts, None)
}

/// What a rule says.
#[derive(Default)]
struct Said {
    /// The subject behind the team: the same in all mails of an episode, and another one in another period.
    about: String,
    /// What is the matter; goes on after the state and a colon.
    headline: String,
    /// Since when, how sure, what it means; empty ones are left out.
    passages: Vec<Passage>,
    /// The two or three things to do.
    actions: Vec<Action>,
    /// A command that does one of them.
    command: Option<Command>,
    /// Words for somebody else.
    to_send: Option<Passage>,
    numbers: Vec<Number>,
    tables: Vec<Titled>,
    /// When it was read, if not with the balance.
    as_of: Option<Timestamp>,
    /// Goes on after "The rule speaks when".
    speaks_when: String,
    /// Goes on after "It is critical when"; empty where the thresholds say so.
    critical_when: String,
    /// When it is told again, each going on after "when".
    told_again: Vec<String>,
}

/// A paragraph with its title.
#[derive(Clone, Debug, Serialize)]
struct Passage {
    title: &'static str,
    text: String,
}

/// A command for a shell.
#[derive(Clone, Debug, Serialize)]
struct Command {
    /// What it is for.
    words: String,
    lines: Vec<String>,
}

/// A table with its title, and what is said below it.
#[derive(Clone, Debug, Serialize)]
struct Titled {
    title: String,
    table: Table,
    remarks: Vec<String>,
}

/// The content of a mail beside its frame, in the order in which it is read.
#[derive(Clone, Debug, Serialize)]
struct Facts {
    team: String,
    account: String,
    names_account: bool,
    about: String,
    passages: Vec<Passage>,
    actions: Vec<Action>,
    command: Option<Command>,
    to_send: Option<Passage>,
    numbers: Vec<Number>,
    tables: Vec<Titled>,
}

fn passage(title: &'static str, text: impl Into<String>) -> Passage {
    Passage { title, text: text.into() }
}

fn action(what: impl Into<String>, effect: impl Into<String>) -> Action {
    Action { what: what.into(), effect: effect.into() }
}

fn number(label: &'static str, value: impl Into<String>) -> Number {
    Number { label, value: value.into() }
}

/// A table, if it has rows.
fn titled(title: impl Into<String>, table: Option<Table>) -> Option<Titled> {
    Some(Titled { title: title.into(), table: table?, remarks: Vec::new() })
}

/// A subject's words with the period behind them, so that another period is another conversation.
fn in_period(view: &View, about: &str) -> String {
    match view.deadline() {
        deadline if deadline.is_empty() => about.to_owned(),
        deadline => format!("{about} (period until {deadline})"),
    }
}

/// Since when it has been so, or from when to when it was.
fn since(view: &View) -> String {
    match view.draw.alert(view.notice.rule).state {
        AlertState::Firing { since, .. } => format!("True since {}.", view.clock.moment(since)),
        AlertState::Resolved { since, at, .. } => {
            format!("It was true from {} to {}.", view.clock.moment(since), view.clock.moment(at))
        }
        AlertState::Inactive | AlertState::Pending { .. } => String::new(),
    }
}

/// Why the mail was sent, when there will be another, and what to change.
fn reasons(view: &View, said: &Said) -> Vec<String> {
    let rule = view.notice.rule;
    let timing = view.context.rules.timing(rule);
    let mut lines = Vec::new();
    let held = match timing.hold_for {
        hold_for if hold_for.is_positive() => format!(" That must hold for {} without a break.", words::span(hold_for)),
        _ => String::new(),
    };
    let critical = match said.critical_when.is_empty() {
        true => String::new(),
        false => format!(" It is critical when {}.", said.critical_when),
    };
    lines.push(format!("The rule `{rule}` speaks when {}.{held}{critical}", said.speaks_when));
    let over = timing.sends_resolved.then(|| "it is over".to_owned());
    let again: Vec<String> = said.told_again.iter().cloned().chain(over).map(|when| format!("when {when}")).collect();
    if !view.is_over() && !again.is_empty() {
        lines.push(format!("You hear of it again {}.", words::listed(&again)));
    }
    lines.push(format!(
        "Limits are set by `alerts.{rule}`, and who is told by `alerts.to` and the team's `roles`, in fuelgauge's \
         configuration."
    ));
    lines
}

/// A figure of a repeat, which must have risen by half.
fn by_half(view: &View, figure: &str) -> String {
    let at_most = words::span(view.context.repeat_interval);
    format!("{figure} by half (at most every {at_most})")
}
