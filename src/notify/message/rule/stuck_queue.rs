//! A queue that stands still: since when, whose tasks wait in it, and what comes back if they are cancelled.

use super::{Said, action, by_half, in_period, number, passage, since};
use crate::domain::queued::gives_back_when_cancelled;
use crate::domain::rule::is_full;
use crate::domain::{Credits, QueueRecord};
use crate::notify::message::layout::{Action, Number};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = StuckQueue { view, queue: view.assessment.queue.as_ref().map(|(queue, _)| queue) };
    let is_over = view.is_over();
    let policy = &view.context.rules.stuck_queue.policy;
    Said {
        about: in_period(view, "the queue is stuck"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", since(view)),
            passage("What it means", if is_over { String::new() } else { rule.meaning() }),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: rule.numbers(),
        as_of: view.assessment.queue.as_ref().map(|(_, read_at)| *read_at),
        speaks_when: format!(
            "the oldest waiting task has waited for {}, or so many wait and run that the platform takes no more",
            words::span(policy.waiting_for)
        ),
        told_again: vec![by_half(view, "the wait of the oldest task has risen")],
        ..Said::default()
    }
}

struct StuckQueue<'a> {
    view: &'a View<'a>,
    queue: Option<&'a QueueRecord>,
}

impl StuckQueue<'_> {
    fn headline(&self) -> String {
        let account = self.view.account();
        let Some(queue) = self.queue else { return format!("the queue of {account} is stuck.") };
        let wait = waiting(queue);
        if self.view.is_over() {
            return format!(
                "the queue of {account} moves again: {wait} and {} run.",
                words::count(queue.running.into())
            );
        }
        let oldest = queue.oldest_waiting_at.map(|since| {
            let waited = words::span(self.view.notice.at.duration_since(since));
            format!(", the oldest for {waited}, since {}", self.view.clock.moment(since))
        });
        let full = match queue.limit {
            Some(limit) if is_full(queue) => {
                format!("; the queue is full, because only {} may wait and run", words::count(limit.into()))
            }
            _ => String::new(),
        };
        format!("{wait} on {account}{}{full}.", oldest.unwrap_or_default())
    }

    /// The team's own tasks among those that wait.
    fn own(&self) -> Option<u64> {
        let waiting = &self.view.context.evidence.waiting;
        let own: u64 = waiting.iter().map(|waiting| waiting.charged_tasks + waiting.uncharged_tasks).sum();
        (own > 0).then_some(own)
    }

    fn meaning(&self) -> String {
        let team = self.view.team();
        let own = match self.own() {
            Some(1) => format!("One of the tasks that wait is team {team}'s."),
            Some(own) => format!("{} of the tasks that wait are team {team}'s.", words::count(own)),
            None => format!("Of team {team} no task is known to wait."),
        };
        let all = match self.view.assessment.draws.len() {
            ..2 => "",
            _ => " The queue belongs to the account: every team that draws on it hears of this.",
        };
        format!("{own} What is launched now waits behind them.{all}")
    }

    fn actions(&self) -> Vec<Action> {
        let platform = words::clean(&self.view.assessment.platform, 40);
        let platform = if platform.is_empty() { "the platform".to_owned() } else { platform };
        let mut actions = vec![action(format!("Look at the status page of {platform}"), "it may be known there")];
        let cancel = self.view.actions();
        if cancel.is_empty() && self.own().is_some() {
            let back: Credits = self.view.context.evidence.waiting.iter().map(|waiting| waiting.charged).sum();
            let effect = match gives_back_when_cancelled(&self.view.assessment.platform) {
                true if back.is_positive() => format!("{} come back", words::credits(back)),
                true => "what was charged for them comes back".into(),
                false => "whether their credits come back is not known of this platform; try one first".into(),
            };
            actions.push(action("Cancel what is no longer needed", effect));
        }
        actions.extend(cancel);
        actions
            .push(action("Launch nothing more for now", "it would only wait, and some platforms charge at the launch"));
        actions
    }

    fn numbers(&self) -> Vec<Number> {
        let Some(queue) = self.queue else { return Vec::new() };
        let count = |count: u32| words::count(count.into());
        let mut numbers = vec![number("Waiting", count(queue.waiting)), number("Running", count(queue.running))];
        numbers.extend(self.own().map(|own| number("Waiting, of this team", words::count(own))));
        numbers.extend(queue.limit.map(|limit| number("May wait and run", count(limit))));
        let oldest = queue.oldest_waiting_at.filter(|_| queue.waiting > 0);
        numbers.extend(oldest.map(|since| number("Oldest waits since", self.view.clock.moment(since))));
        let read = self.view.assessment.queue.as_ref().map(|(_, read_at)| *read_at);
        numbers.extend(read.map(|read_at| number("Queue read", self.view.clock.moment(read_at))));
        numbers
    }
}

fn waiting(queue: &QueueRecord) -> String {
    match queue.waiting {
        0 => "no task waits".into(),
        1 => "1 task waits".into(),
        waiting => format!("{} tasks wait", words::count(waiting.into())),
    }
}
