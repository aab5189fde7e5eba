//! Tasks that cost other than the price sheet lists: what is listed, what is charged, since when, and what that makes in a
//! period.

use super::{Said, Titled, action, by_half, number, passage, since, titled};
use crate::domain::rule::{PriceDriftPolicy, TeamDrift};
use crate::domain::{ChargedPrice, ComparedPrices, Credits};
use crate::notify::message::layout::{Action, Number, Table};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let policy = &view.context.rules.price_drift.policy;
    let drifts = policy.drifts(view.assessment, view.draw);
    let rule = PriceDrifted { view, policy, drifts, prices: view.assessment.prices.as_deref() };
    let is_over = view.is_over();
    let only = |text: String| if is_over { String::new() } else { text };
    Said {
        about: super::in_period(view, "prices are not as listed"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", rule.since()),
            passage("What it means", only(rule.meaning())),
            passage("Not in the price sheet", only(rule.unlisted())),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: rule.numbers(),
        as_of: view.charges_read(),
        tables: if is_over { Vec::new() } else { rule.table().into_iter().collect() },
        speaks_when: format!(
            "the price of a kind of task that the team launches (the median of the newest charges, at least {}) is more \
             than {} off what the account's price sheet lists",
            crate::domain::price::LEAST_TASKS,
            words::threshold(rule.policy.tolerance)
        ),
        told_again: vec![by_half(view, "what it makes in a period has risen")],
        ..Said::default()
    }
}

struct PriceDrifted<'a> {
    view: &'a View<'a>,
    policy: &'a PriceDriftPolicy,
    /// The largest effect first.
    drifts: Vec<TeamDrift<'a>>,
    prices: Option<&'a ComparedPrices>,
}

/// Rows of the table, and kinds that are named in a sentence.
const MOST_LISTED: usize = 8;
/// The longest name of a platform or source that is repeated, in characters.
const LONGEST_NAME: usize = 120;

impl PriceDrifted<'_> {
    fn headline(&self) -> String {
        let team = self.view.team();
        match self.drifts.as_slice() {
            [] => format!("what team {team} is charged is what the price sheet lists."),
            _ if self.view.is_over() => format!("the prices that team {team} is charged are no longer told of."),
            [only] => {
                let (listed, observed) = (only.drift.listed, words::credits(only.drift.charged.observed));
                let kind = kind(&only.drift.charged);
                format!("a launch of {kind} costs team {team} {observed}; the price sheet lists {}.", range(listed))
            }
            [first, ..] => {
                let count = words::count(self.drifts.len() as u64);
                let (listed, observed) = (range(first.drift.listed), words::amount(first.drift.charged.observed));
                let kind = kind(&first.drift.charged);
                format!(
                    "{count} kinds of task cost team {team} other than the price sheet lists: {kind} {observed} instead \
                     of {listed}, and more."
                )
            }
        }
    }

    fn since(&self) -> String {
        let first = self.drifts.iter().filter_map(|drift| drift.drift.since).min();
        let launched = first
            .filter(|_| !self.view.is_over())
            .map(|first| format!(" The first launch that was charged so is of {}.", self.view.clock.moment(first)));
        format!("{}{}", since(self.view), launched.unwrap_or_default())
    }

    /// What it makes in a period; above zero: more.
    fn extra(&self) -> Credits {
        self.drifts.iter().map(|drift| drift.extra).sum()
    }

    fn period(&self) -> &'static str {
        match self.view.draw.period {
            Some(_) if self.view.is_budget() => "a budget period",
            Some(_) => "a plan period",
            None => "30 days",
        }
    }

    fn meaning(&self) -> String {
        let extra = self.extra();
        let makes = match extra {
            extra if extra.is_positive() => format!("{} more", words::credits(extra)),
            extra if extra.is_negative() => format!("{} less", words::credits(-extra)),
            _ => "no more and no less".into(),
        };
        format!(
            "At the usual number of launches that makes about {makes} in {}. The forecast goes by what is charged and knows \
             it already; who reckons with the price sheet does not.",
            self.period()
        )
    }

    /// For information: kinds whose price cannot be compared.
    fn unlisted(&self) -> String {
        let unlisted = self.prices.map(|prices| prices.unlisted.as_slice()).unwrap_or_default();
        let named = |price: &ChargedPrice| format!("{} ({})", kind(price), words::credits(price.observed));
        let mut named: Vec<String> = unlisted.iter().take(MOST_LISTED).map(named).collect();
        if named.is_empty() {
            return String::new();
        }
        let more = unlisted.len().saturating_sub(named.len());
        if more > 0 {
            named.push(format!("{} more", words::count(more as u64)));
        }
        format!("With what a launch cost lately: {}.", words::listed(&named))
    }

    fn actions(&self) -> Vec<Action> {
        let source = self.prices.map(|prices| words::clean(&prices.sheet.source, LONGEST_NAME)).unwrap_or_default();
        vec![
            action("Look at the platform's own prices", format!("the sheet is from {source}")),
            action(
                "If they are what is charged, write them into a sheet and name it as the account's `prices`",
                "then the sheet is right again, and this is over",
            ),
            action("If they are not, ask the platform's support", "the table has what was listed and what was taken"),
        ]
    }

    fn table(&self) -> Option<Titled> {
        let row = |drift: &TeamDrift| {
            let charged = &drift.drift.charged;
            let launches = words::count(u64::from(drift.launches));
            vec![
                kind(charged),
                range(drift.drift.listed),
                words::amount(charged.observed),
                launches,
                signed(drift.extra),
            ]
        };
        let rows = self.drifts.iter().take(MOST_LISTED).map(row).collect();
        let head = ["Task", "Listed", "Charged", "Launches", "More"];
        let mut table = titled("What is listed and what is charged, for a launch", Table::of(head, rows))?;
        let more = self.drifts.len().saturating_sub(MOST_LISTED);
        if more > 0 {
            table.remarks.push(format!("And {} more.", words::count(more as u64)));
        }
        table.remarks.push(format!(
            "Launches are the team's of the last 30 days. More: credits in {} at that number; below zero they are less.",
            self.period()
        ));
        Some(table)
    }

    fn numbers(&self) -> Vec<Number> {
        let mut numbers = Vec::new();
        numbers.extend(self.prices.map(|prices| {
            let (platform, day) = (words::clean(&prices.sheet.platform, LONGEST_NAME), prices.sheet.as_of);
            number("Price sheet", format!("{platform}, as of {}", day.strftime("%-d %B %Y")))
        }));
        let extra = Some(self.extra()).filter(|_| !self.drifts.is_empty() && !self.view.is_over());
        let label = if self.view.draw.period.is_some() { "More, in a period" } else { "More, in 30 days" };
        numbers.extend(extra.map(|extra| number(label, format!("{} credits", signed(extra)))));
        numbers.push(number(self.view.spent_label(), words::credits(self.view.draw.spent)));
        numbers.extend(self.view.left_and_reset());
        numbers
    }
}

/// A kind of task, with its variants where there are several.
fn kind(price: &ChargedPrice) -> String {
    let kind = words::kind_of_task(&price.task_type, &price.quality);
    match price.variants {
        1 => kind,
        variants => format!("{kind} with {variants} variants"),
    }
}

/// `20`, `5 to 10`.
fn range(range: crate::domain::PriceRange) -> String {
    match range.low == range.high {
        true => words::amount(range.low),
        false => format!("{} to {}", words::amount(range.low), words::amount(range.high)),
    }
}

/// `120`, `-40`.
fn signed(credits: Credits) -> String {
    if credits.is_negative() { format!("-{}", words::amount(-credits)) } else { words::amount(credits) }
}
