//! Data that is out of date: what was not read, since when, why, and which rules are silent meanwhile.

use super::{Said, action, by_half, in_period, passage, since};
use crate::domain::rule::stalest;
use crate::domain::{Collector, CollectorStatus, RuleName};
use crate::notify::message::layout::{Action, Number};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let account = view.assessment;
    let is_stale = |status: &&CollectorStatus| status.last_attempt_at.is_some() && !account.is_fresh(status.collector);
    let rule = StaleData { view, stale: account.collectors.iter().filter(is_stale).collect() };
    let is_over = view.is_over();
    let only = |text: String| if is_over { String::new() } else { text };
    Said {
        about: in_period(view, "data is out of date"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", only(since(view))),
            passage("Why", only(rule.why())),
            passage("What it means", only(rule.meaning())),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: rule.numbers(),
        speaks_when: "something of the account was last read longer ago than its `stale_after`".into(),
        critical_when: format!(
            "the last reading is older than {}",
            words::span(view.context.rules.stale_data.policy.critical_after)
        ),
        told_again: vec!["it becomes critical".into(), by_half(view, "the age has risen")],
        ..Said::default()
    }
}

struct StaleData<'a> {
    view: &'a View<'a>,
    /// What is out of date.
    stale: Vec<&'a CollectorStatus>,
}

/// The longest message of a failure that is repeated, in characters.
const LONGEST_FAILURE: usize = 400;

impl StaleData<'_> {
    fn headline(&self) -> String {
        let (account, clock) = (self.view.account(), &self.view.clock);
        if self.view.is_over() {
            return format!("{account} is read again: {}.", self.names(self.view.assessment.collectors.iter()));
        }
        let what = self.names(self.stale.iter().copied());
        let verb = if self.stale.len() == 1 { is_or_are(self.stale[0].collector) } else { "are" };
        match stalest(self.view.assessment).and_then(|status| status.last_success_at) {
            Some(read_at) => {
                let age = words::span(self.view.notice.at.duration_since(read_at));
                format!("{what} of {account} {verb} as of {}, {age} ago.", clock.moment(read_at))
            }
            None => {
                let verb = if verb == "is" { "was" } else { "were" };
                format!("{what} of {account} {verb} never read.")
            }
        }
    }

    fn names<'b>(&self, of: impl Iterator<Item = &'b CollectorStatus>) -> String {
        let names: Vec<String> = of.map(|status| name(status.collector).to_owned()).collect();
        if names.is_empty() { "the data".into() } else { words::listed(&names) }
    }

    /// What the last try failed at, once for each reason. Messages of failures carry no secret.
    fn why(&self) -> String {
        let mut told: Vec<String> = Vec::new();
        for (reason, message) in self.stale.iter().filter_map(|status| status.last_failure.as_ref()) {
            let first = message.lines().next().unwrap_or_default();
            let told_now = format!("{}: {}.", because(reason), words::clean(first.trim(), LONGEST_FAILURE));
            if !told.contains(&told_now) {
                told.push(told_now);
            }
        }
        let next = self
            .view
            .context
            .evidence
            .next_poll
            .map(|next| format!("The next try is at {}.", self.view.clock.time_today(next)));
        if told.is_empty() && next.is_none() {
            return "Nothing was imported or pushed since.".into();
        }
        told.into_iter().chain(next).collect::<Vec<_>>().join(" ")
    }

    fn meaning(&self) -> String {
        let asked = &self.view.assessment.rules;
        let is_silent = |rule: &RuleName| {
            rule.muted_by().contains(&RuleName::StaleData)
                || self.stale.iter().any(|status| goes_by(*rule).contains(&status.collector))
        };
        let silent: Vec<String> = asked
            .iter()
            .filter(|rule| is_silent(rule))
            .map(|rule| format!("\u{201c}{}\u{201d}", rule.in_words()))
            .collect();
        match silent.is_empty() {
            true => "Figures on the page grow old meanwhile.".into(),
            false => format!(
                "Until it is read again nobody is warned. {} neither fire nor resolve. Afterwards everything is looked at \
                 once before anything is told.",
                words::listed(&silent)
            ),
        }
    }

    fn actions(&self) -> Vec<Action> {
        let account = words::shell_word(&self.view.account());
        if self.view.assessment.platform.is_empty() {
            return vec![
                action("Look at the script that brings it", "whether it still runs, and what it answers"),
                action("Bring it by hand", format!("`fuelgauge import FILE --account {account}`, or a push")),
            ];
        }
        let reason = self.stale.iter().find_map(|status| status.last_failure.as_ref()).map(|(reason, _)| &reason[..]);
        let first = match reason {
            Some("unauthorized" | "configuration") => {
                action("Put a valid key into the file of `api_key_file`", "it is read again at each try")
            }
            Some("forbidden" | "payment_required") => {
                action("Look at the plan on the platform", "whether it still allows this key to read")
            }
            Some("not_found" | "malformed" | "unexpected_status" | "refused" | "too_large" | "page_limit") => {
                action("Mend the account's mapping", "`fuelgauge mapping test` tells whether it fits an answer")
            }
            _ => action("Look at the platform's status page", "it is tried again at each tick by itself"),
        };
        let look =
            action("See what comes back", format!("`fuelgauge poll {account} --dry-run` asks once and keeps nothing"));
        vec![first, look]
    }

    fn numbers(&self) -> Vec<Number> {
        let mut numbers: Vec<Number> = Vec::new();
        for status in &self.view.assessment.collectors {
            let label = match status.collector {
                Collector::Balance => "Balance read",
                Collector::Charges => "Charges read",
                Collector::Queue => "Queue read",
                Collector::Plan => "Plan read",
            };
            let read = status.last_success_at.map_or("never".into(), |read_at| self.view.clock.moment(read_at));
            numbers.push(Number { label, value: read });
        }
        let tried = self.view.assessment.collectors.iter().filter_map(|status| status.last_attempt_at).max();
        numbers.extend(tried.map(|at| Number { label: "Last try", value: self.view.clock.moment(at) }));
        numbers
    }
}

const fn name(collector: Collector) -> &'static str {
    match collector {
        Collector::Balance => "the balance",
        Collector::Charges => "the charges",
        Collector::Queue => "the queue",
        Collector::Plan => "the plan",
    }
}

const fn is_or_are(collector: Collector) -> &'static str {
    match collector {
        Collector::Charges => "are",
        Collector::Balance | Collector::Queue | Collector::Plan => "is",
    }
}

/// What a rule must have read recently to say anything.
const fn goes_by(rule: RuleName) -> &'static [Collector] {
    match rule {
        RuleName::WastefulRetries | RuleName::MissingRefund | RuleName::DoubleCharge | RuleName::PriceDrift => {
            &[Collector::Charges]
        }
        RuleName::UnexplainedSpend => &[Collector::Balance, Collector::Charges],
        RuleName::StuckQueue => &[Collector::Queue],
        // Muted by this rule in any case, or speaking all the same.
        _ => &[],
    }
}

/// A reason of a failure, as its label has it, in words.
fn because(reason: &str) -> String {
    let words = match reason {
        "unauthorized" => "The platform refuses the key",
        "payment_required" => "The platform wants to be paid",
        "forbidden" => "The key may not read this",
        "not_found" => "There is nothing at the address",
        "rate_limited" => "The platform was asked too often",
        "server_error" => "The platform has a fault",
        "unexpected_status" => "The platform answers with another status",
        "timeout" => "The platform did not answer in time",
        "connection" => "There is no connection",
        "too_large" => "The answer is larger than allowed",
        "malformed" => "The answer is not what the mapping expects",
        "refused" => "The answer says that it failed",
        "page_limit" => "There are more pages than the mapping allows",
        "configuration" => "The key's file cannot be read",
        _ => return format!("The last try failed ({})", words::clean(reason, 40)),
    };
    words.into()
}
