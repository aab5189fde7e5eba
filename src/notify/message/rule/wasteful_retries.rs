//! Many re-runs: what they took, of what, and what less of them would save.

use super::{Said, Titled, action, by_half, in_period, number, passage, since, titled};
use crate::domain::remedy::share;
use crate::domain::rule::WastefulRetriesPolicy;
use crate::domain::{Credits, Drivers, Measure, RetryKind, RetryRow};
use crate::notify::message::layout::{Action, Number, Table};
use crate::notify::message::spending;
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = WastefulRetries { view, policy: &view.context.rules.wasteful_retries.policy };
    let is_over = view.is_over();
    let drivers = view.context.drivers.as_ref().filter(|_| !is_over);
    Said {
        about: in_period(view, "many re-runs"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", since(view)),
            passage("What it means", if is_over { String::new() } else { rule.meaning() }),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: rule.numbers(),
        as_of: view.charges_read(),
        tables: drivers.map(|drivers| rule.tables(drivers)).unwrap_or_default(),
        speaks_when: format!(
            "re-runs took {} of the period's use and there were at least {}, or when one asset had {} attempts",
            words::threshold(rule.policy.share),
            words::count(rule.policy.minimum_reruns),
            words::count(rule.policy.attempts)
        ),
        told_again: vec![by_half(view, "their credits have risen")],
        ..Said::default()
    }
}

struct WastefulRetries<'a> {
    view: &'a View<'a>,
    policy: &'a WastefulRetriesPolicy,
}

/// An episode goes on while the share is so much of the limit.
const STILL: f64 = 0.8;
/// Rows of a table; the rest is summed up on the page.
const MOST_ROWS: usize = 5;

impl WastefulRetries<'_> {
    fn headline(&self) -> String {
        let (team, reruns) = (self.view.team(), &self.view.draw.reruns);
        let tasks = words::counted(&words::count(reruns.tasks), "re-run");
        let cost = match self.cost() {
            Some(cost) => format!("{tasks} cost {cost}"),
            None => tasks,
        };
        if self.view.is_over() {
            return format!("re-runs are no longer a large part of what team {team} spends: {cost}.");
        }
        let attempts = Some(reruns.most_attempts).filter(|attempts| *attempts >= self.policy.attempts);
        let attempts = attempts.map(words::count);
        if self.is_large_share() {
            let asset = attempts.map(|attempts| format!(" One asset took {attempts} attempts.")).unwrap_or_default();
            return format!("in this period {cost} for team {team}: second attempts at what had succeeded.{asset}");
        }
        let attempts = attempts.unwrap_or_else(|| "many".into());
        format!("one asset of team {team} took {attempts} attempts in this period. In all, {cost}.")
    }

    fn is_large_share(&self) -> bool {
        let (reruns, spent) = (&self.view.draw.reruns, self.view.draw.spent);
        // As the rule says it of an episode that goes on.
        let share = share(reruns.credits, spent).unwrap_or(0.0);
        reruns.tasks >= self.policy.minimum_reruns && share >= self.policy.share * STILL
    }

    /// `620 credits, 20% of what was spent`; `None` where tasks have no price.
    fn cost(&self) -> Option<String> {
        let (reruns, spent) = (self.view.assessment.told(self.view.draw.reruns.credits)?, self.view.draw.spent);
        let share = share(reruns, spent).map(|share| format!(" ({} of what was spent)", words::part(share)));
        Some(format!("{}{}", words::credits(reruns), share.unwrap_or_default()))
    }

    fn meaning(&self) -> String {
        let paused = self.view.context.remedies.iter().find(|remedy| remedy.measure == Measure::PauseReruns);
        let ahead = match paused {
            Some(paused) if self.view.reset().is_some() => format!(
                " At the expected use about {} more go into them before {}.",
                words::credits(paused.credits),
                self.view.end()
            ),
            _ => String::new(),
        };
        format!(
            "Some of it is the work. So much of it is worth a talk about prompts, reference images or a cheaper \
             preview.{ahead}"
        )
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = self.view.actions();
        actions.push(action(
            "Compare cheaply",
            "first at a low quality or with one variant, then the chosen one again at the high quality",
        ));
        let asset = self.view.context.drivers.as_ref().and_then(|drivers| drivers.most_repeated.as_ref());
        actions.extend(asset.map(|asset| {
            let what = spending::asset_in_words(asset, &self.view.clock);
            action("Look at the asset that was repeated most", format!("{what}, {}", words::credits(asset.net)))
        }));
        actions
    }

    fn tables(&self, drivers: &Drivers) -> Vec<Titled> {
        let reruns: Credits = self.view.draw.reruns.credits;
        let mut rows: Vec<&RetryRow> = drivers.retries.iter().filter(|row| row.kind == RetryKind::Rerun).collect();
        rows.sort_by_key(|row| (-row.credits, &row.task_type));
        let line = |row: &&RetryRow| {
            let kind = words::kind_of_task(&row.task_type, "");
            let of_all = spending::share_of(row.credits, reruns);
            vec![kind, words::count(row.tasks), words::amount(row.credits), of_all]
        };
        let rows = rows.iter().take(MOST_ROWS).map(line).collect();
        let by_kind = titled("Re-runs by task", Table::of(["Task", "Tasks", "Credits", "Share"], rows));
        let by_spender = titled("Who launched what", spending::by_spender(drivers));
        let by_asset = titled("Assets that took more than one attempt", spending::by_asset(drivers, &self.view.clock));
        [by_kind, by_asset, by_spender].into_iter().flatten().collect()
    }

    fn numbers(&self) -> Vec<Number> {
        let reruns = &self.view.draw.reruns;
        let mut numbers = vec![number("Re-runs", words::counted(&words::count(reruns.tasks), "task"))];
        numbers.extend(self.cost().map(|cost| number("They cost", cost)));
        let attempts = Some(reruns.most_attempts).filter(|attempts| *attempts > 0);
        numbers.extend(attempts.map(|attempts| number("Most attempts at an asset", words::count(attempts))));
        numbers.push(number(self.view.spent_label(), words::credits(self.view.draw.spent)));
        numbers.extend(self.view.left_and_reset());
        numbers
    }
}
