//! Charges that look wrong: which tasks, how many credits, and the words with which to ask the platform about them.

use super::{Passage, Said, action, by_half, in_period, number, passage, since, titled};
use crate::domain::{Credits, RuleName, SuspectCharge, Suspicion};
use crate::notify::message::layout::{Action, Number, Table};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rules = &view.context.rules;
    let (reason, minimum) = match view.notice.rule {
        RuleName::DoubleCharge => (Suspicion::DoubleCharge, rules.double_charge.policy.minimum),
        _ => (Suspicion::MissingRefund, rules.missing_refund.policy.minimum),
    };
    let suspects = &view.draw.suspects;
    let (count, credits) = suspects.of(reason);
    let newest = suspects.newest.iter().filter(|suspect| suspect.suspicion == reason).collect();
    let rule = Suspected { view, reason, count, credits, newest };
    let is_over = view.is_over();
    let only = |text: String| if is_over { String::new() } else { text };
    let from = match minimum.is_positive() {
        true => format!(", from {} on", words::credits(minimum)),
        false => String::new(),
    };
    Said {
        about: in_period(view, rule.about()),
        headline: rule.headline(),
        passages: vec![passage("Since when", since(view)), passage("What it means", only(rule.meaning()))],
        actions: if is_over { Vec::new() } else { rule.actions() },
        to_send: rule.to_send().filter(|_| !is_over),
        numbers: rule.numbers(),
        as_of: view.charges_read(),
        tables: if is_over { Vec::new() } else { rule.table().into_iter().collect() },
        speaks_when: format!("{}{from}", rule.speaks_when()),
        told_again: vec![by_half(view, "the credits in question have risen")],
        ..Said::default()
    }
}

struct Suspected<'a> {
    view: &'a View<'a>,
    reason: Suspicion,
    /// All of the period.
    count: u64,
    credits: Credits,
    /// The newest of them.
    newest: Vec<&'a SuspectCharge>,
}

/// So many tasks are listed; the page has more.
const MOST_LISTED: usize = 10;
/// The longest id of a task that is repeated, in characters.
const LONGEST_ID: usize = 64;

impl Suspected<'_> {
    fn is_double(&self) -> bool {
        self.reason == Suspicion::DoubleCharge
    }

    fn about(&self) -> &'static str {
        if self.is_double() { "tasks were charged for twice" } else { "credits of failed tasks did not come back" }
    }

    fn headline(&self) -> String {
        let (team, credits) = (self.view.team(), words::credits(self.credits));
        let tasks = words::counted(&words::count(self.count), "task");
        match (self.is_double(), self.view.is_over()) {
            (false, false) => {
                let have = if self.count == 1 { "has" } else { "have" };
                format!("{tasks} of team {team} failed or expired, and {credits} {} not come back.", self.have(have))
            }
            (true, false) => {
                let were = if self.count == 1 { "was" } else { "were" };
                format!("{tasks} of team {team} {were} charged for twice: {credits} too much.")
            }
            (false, true) if self.count == 0 => {
                format!("no credits of failed tasks of team {team} are missing any more.")
            }
            (true, true) if self.count == 0 => format!("no task of team {team} is charged for twice any more."),
            (_, true) => format!("{tasks} of team {team} with {credits} in question remain, below the limit."),
        }
    }

    /// One credit has, two have.
    fn have(&self, of_task: &'static str) -> &'static str {
        let is_one = self.credits == Credits::from_whole(1);
        if is_one {
            "has"
        } else if of_task == "has" && self.credits.is_positive() {
            "have"
        } else {
            of_task
        }
    }

    fn meaning(&self) -> String {
        let subject = if self.count == 1 { "It" } else { "They" };
        if self.is_double() {
            let were = if self.count == 1 { "was" } else { "were" };
            format!(
                "{subject} {were} charged for again, at least as much as before. Where that is how the platform settles a \
                 task, its mapping should say so."
            )
        } else {
            format!(
                "{subject} ended more than a day ago. Most platforms give the credits of failed tasks back by themselves; \
                 when one does not, they help a customer who names the task."
            )
        }
    }

    fn actions(&self) -> Vec<Action> {
        let page = match self.view.link() {
            Some(_) => "the team's page has the list",
            None => "`fuelgauge export` has every task with what came back",
        };
        vec![
            action("Send the words below to the platform's support", "they name what it needs to look"),
            action("Look whether there is a pattern, such as one kind of task", page),
        ]
    }

    /// A message to the platform's support, complete by itself.
    fn to_send(&self) -> Option<Passage> {
        let ids: Vec<String> = self.newest.iter().take(MOST_LISTED).map(|suspect| id(suspect)).collect();
        (!ids.is_empty()).then_some(())?;
        let in_all = match self.count > ids.len() as u64 {
            true => format!(
                " (the newest {} of {}; {} in all)",
                words::count(ids.len() as u64),
                words::count(self.count),
                words::credits(self.credits)
            ),
            false => format!(" ({} in all)", words::credits(self.credits)),
        };
        let what = match (self.is_double(), self.count == 1) {
            (true, true) => "This task of ours was charged for twice",
            (true, false) => "These tasks of ours were charged for twice",
            (false, true) => "This task of ours failed or expired and its credits were not given back",
            (false, false) => "These tasks of ours failed or expired and their credits were not given back",
        };
        let text = format!("{what}{in_all}: {}. Please look into it and give the credits back.", ids.join(", "));
        Some(passage("For the platform's support", text))
    }

    fn table(&self) -> Option<super::Titled> {
        let clock = &self.view.clock;
        let row = |suspect: &&&SuspectCharge| {
            let kind = words::kind_of_task(&suspect.task_type, "");
            let what = format!("{} ({kind})", id(suspect));
            vec![what, clock.brief_day(suspect.created_at), words::amount(suspect.credits)]
        };
        let rows: Vec<Vec<String>> = self.newest.iter().take(MOST_LISTED).map(|suspect| row(&suspect)).collect();
        let more = self.count.saturating_sub(rows.len() as u64);
        let mut table = titled("The newest", Table::of(["Task", "Launched", "Credits"], rows))?;
        if more > 0 {
            table.remarks.push(format!("And {} more.", words::count(more)));
        }
        Some(table)
    }

    fn numbers(&self) -> Vec<Number> {
        let mut numbers = Vec::new();
        if self.count > 0 {
            numbers.push(number("Tasks", words::count(self.count)));
            numbers.push(number("Credits in question", words::credits(self.credits)));
        }
        let failed = Some(self.view.draw.unrefunded).filter(|failed| failed.is_positive() && !self.is_double());
        numbers.extend(failed.map(|failed| number("Not given back, in all", words::credits(failed))));
        numbers.push(number(self.view.spent_label(), words::credits(self.view.draw.spent)));
        numbers
    }

    fn speaks_when(&self) -> &'static str {
        if self.is_double() {
            "a task that had been charged for is charged for again"
        } else {
            "a task failed or expired more than a day ago and its credits have not come back"
        }
    }
}

fn id(suspect: &SuspectCharge) -> String {
    words::clean(&suspect.task_id, LONGEST_ID)
}
