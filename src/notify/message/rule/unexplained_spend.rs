//! A balance that fell by more than the charges say: how much, since when, and what else is known that may explain it.

use super::{Said, action, by_half, in_period, number, passage, since};
use crate::domain::Credits;
use crate::domain::rule::Threshold;
use crate::notify::message::layout::{Action, Number};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = Unexplained { view };
    let is_over = view.is_over();
    let only = |text: String| if is_over { String::new() } else { text };
    let minimum = match view.context.rules.unexplained_spend.policy.minimum {
        Threshold::Share(share) => {
            format!("{} of what the period began with (10 credits where that is not known)", words::threshold(share))
        }
        Threshold::Credits(credits) => words::credits(credits),
    };
    Said {
        about: in_period(view, "spend that no charge explains"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", since(view)),
            passage("What else is known", only(rule.known())),
            passage(
                "What it means",
                only(
                    "Somebody spends where the list of charges does not look, the list leaves something out, or bought \
                     credits lapsed."
                        .into(),
                ),
            ),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: rule.numbers(),
        speaks_when: format!("the balance has fallen by at least {minimum} more than the charges say"),
        told_again: vec![by_half(view, "the credits that are missing have risen")],
        ..Said::default()
    }
}

struct Unexplained<'a> {
    view: &'a View<'a>,
}

impl Unexplained<'_> {
    /// What is missing; `None` while not known, and where nothing is.
    fn missing(&self) -> Option<Credits> {
        self.view.assessment.unexplained.map(|unexplained| -unexplained).filter(|missing| missing.is_positive())
    }

    fn headline(&self) -> String {
        let account = self.view.account();
        let balanced = self.balanced_since().map(|since| format!(" since {since}")).unwrap_or_default();
        match (self.missing(), self.view.is_over()) {
            (Some(missing), false) => {
                let missing = words::credits(missing);
                format!("the balance of {account} has fallen by {missing} more than its charges say{balanced}.")
            }
            (None, false) => format!("the balance of {account} has fallen by more than its charges say{balanced}."),
            (Some(missing), true) => {
                let missing = words::credits(missing);
                format!("the charges of {account} explain its balance again, but for {missing}.")
            }
            (None, true) => format!("the charges of {account} explain its balance again."),
        }
    }

    fn balanced_since(&self) -> Option<String> {
        Some(self.view.clock.moment(self.view.context.evidence.balanced_since?))
    }

    fn known(&self) -> String {
        let (view, account) = (self.view, self.view.assessment);
        let mut sentences = Vec::new();
        let pending = account.draws.iter().map(|draw| draw.pending).sum::<Credits>() + account.unassigned.pending;
        if pending.is_positive() {
            let pending = words::credits(pending);
            sentences
                .push(format!("{pending} are charged for tasks that are not finished, whose price may still change."));
        }
        let queued: u64 = account.draws.iter().map(|draw| draw.queued.tasks + draw.queued.unknown_tasks).sum();
        if queued > 0 {
            let tasks = words::counted(&words::count(queued), "task");
            sentences.push(format!(
                "{} launched and not charged yet.",
                if queued == 1 { format!("{tasks} is") } else { format!("{tasks} are") }
            ));
        }
        if account.unassigned.spent.is_positive() {
            let of_nobody = words::credits(account.unassigned.spent);
            sentences
                .push(format!("{of_nobody} of this period belong to no team; they are charges and not missing here."));
        }
        let held = account.balance.as_ref().and_then(|(balance, _)| balance.frozen).filter(|held| held.is_positive());
        sentences.extend(held.map(|held| format!("The platform holds {} back.", words::credits(held))));
        let next = account.buckets.as_ref().and_then(|buckets| buckets.next_expiry);
        sentences.extend(next.map(|(at, credits)| {
            format!("{} that were bought lapse on {}.", words::credits(credits), view.clock.short_day(at))
        }));
        sentences.join(" ")
    }

    fn actions(&self) -> Vec<Action> {
        let since = match self.view.context.evidence.balanced_since {
            Some(since) => {
                format!("for the time since {}, and look for what is not here", self.view.clock.moment(since))
            }
            None => "and look for what is not here".into(),
        };
        let team = "give its charges a team with `match`, or bring them by import";
        vec![
            action("Open the platform's own list of charges", since),
            action("If another key or member spends there", team),
            action(
                "If bought credits lapsed",
                "set `purchased_expire_after` of the plan: such a fall is then charged to nobody",
            ),
        ]
    }

    fn numbers(&self) -> Vec<Number> {
        let account = self.view.assessment;
        let mut numbers = Vec::new();
        numbers.extend(self.missing().map(|missing| number("Not explained", words::credits(missing))));
        numbers.extend(self.balanced_since().map(|since| number("Compared since", since)));
        numbers.extend(account.balance.as_ref().map(|(balance, read_at)| {
            let at = self.view.clock.moment(*read_at);
            number("Balance", format!("{} on {at}", words::credits(balance.available)))
        }));
        let label = if self.view.draw.period.is_some() { "Charged, this period" } else { "Charged so far" };
        numbers.push(number(label, words::credits(account.spent)));
        numbers.extend(self.view.resets());
        numbers
    }
}
