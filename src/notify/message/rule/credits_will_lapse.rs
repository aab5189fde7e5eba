//! Credits that will lapse: how many, when, and what they would buy at the team's own prices.

use super::{Said, action, number, passage, titled};
use crate::domain::remedy::usual_price;
use crate::domain::rule::Threshold;
use crate::domain::{Credits, TotalsRow};
use crate::notify::message::layout::{Action, Number, Table};
use crate::notify::message::spending::net;
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = WillLapse { view, lapsing: view.assessment.lapsing(view.draw).filter(|lapsing| lapsing.is_positive()) };
    let policy = &view.context.rules.credits_will_lapse.policy;
    let when = match view.deadline() {
        deadline if deadline.is_empty() => String::new(),
        deadline => format!(" on {deadline}"),
    };
    let minimum = match policy.minimum {
        Threshold::Share(share) => format!("{} of what the period began with", words::threshold(share)),
        Threshold::Credits(credits) => words::credits(credits),
    };
    let buys = rule.buys();
    let rows = buys.iter().map(|buy| {
        let kind = words::kind_of_task(&buy.row.task_type, &buy.row.quality);
        vec![kind, words::amount(buy.price), words::count(buy.tasks)]
    });
    let table = Table::of(["Task", "Price", "Tasks"], rows.collect());
    let is_over = view.is_over();
    Said {
        about: format!("credits will lapse unused{when}"),
        headline: rule.headline(),
        passages: vec![
            passage("How sure", rule.how_sure()),
            passage("What it means", if is_over { String::new() } else { rule.meaning(&buys) }),
        ],
        actions: if is_over { Vec::new() } else { rule.actions(&buys) },
        numbers: rule.numbers(),
        tables: if is_over { Vec::new() } else { titled("What they would buy", table).into_iter().collect() },
        speaks_when: format!(
            "at least {minimum} is expected to lapse, within {} of the reset and in the last quarter of the period",
            words::span(policy.within)
        ),
        ..Said::default()
    }
}

struct WillLapse<'a> {
    view: &'a View<'a>,
    lapsing: Option<Credits>,
}

/// How many tasks of a kind the credits would buy.
struct Buy<'a> {
    row: &'a TotalsRow,
    price: Credits,
    tasks: u64,
}

/// So many kinds of task are named.
const MOST_KINDS: usize = 3;

impl WillLapse<'_> {
    fn headline(&self) -> String {
        let team = self.view.team();
        let when = match self.view.reset() {
            Some(reset) => {
                let left = words::span(reset.duration_since(self.view.notice.at));
                format!(" when {} on {}, in {left}", self.view.ends(), self.view.clock.moment(reset))
            }
            None => String::new(),
        };
        let Some(lapsing) = self.lapsing.map(words::credits) else {
            return format!("no credits of team {team} are expected to lapse any more.");
        };
        if self.view.is_over() {
            return format!("only about {lapsing} of team {team} are still expected to lapse{when}.");
        }
        format!("at the usual pace about {lapsing} of team {team} lapse unused{when}.")
    }

    fn how_sure(&self) -> String {
        let Some(forecast) = self.view.forecast() else { return String::new() };
        let risk = forecast.probability.map(|risk| {
            let risk = words::percent(risk);
            format!("That they run out before {} has a chance of {risk}.", self.view.end())
        });
        let stays = self.view.assessment.parts().and_then(|parts| parts.purchased).filter(|left| left.is_positive());
        let stays = stays.map(|left| format!("Bought credits ({}) stay and are not counted.", words::amount(left)));
        let expected = words::credits(forecast.expected_use);
        let middle = format!("As likely more as less: {expected} are expected to be used until then.");
        [Some(middle), risk, stays].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// By what the team spent most on, at the price that was usual for it.
    fn buys(&self) -> Vec<Buy<'_>> {
        let (Some(drivers), Some(lapsing)) = (&self.view.context.drivers, self.lapsing) else { return Vec::new() };
        let mut rows: Vec<&TotalsRow> = drivers.totals.iter().filter(|row| net(row).is_positive()).collect();
        rows.sort_by_key(|row| (-net(row), &row.task_type, &row.quality));
        let buy = |row: &'_ TotalsRow| {
            let price = usual_price(&drivers.prices, &row.task_type, &row.quality)?;
            let tasks = (lapsing.as_f64() / price.as_f64()).floor();
            // A float of whole tasks below the largest amount of credits.
            (tasks >= 1.0).then_some((price, tasks as u64))
        };
        let buys = rows.into_iter().filter_map(|row| buy(row).map(|(price, tasks)| Buy { row, price, tasks }));
        buys.take(MOST_KINDS).collect()
    }

    fn meaning(&self, buys: &[Buy<'_>]) -> String {
        let Some(lapsing) = self.lapsing else { return String::new() };
        let kinds: Vec<String> = buys.iter().map(in_words).collect();
        match kinds.is_empty() {
            true => format!("{} are paid for and not used.", words::credits(lapsing)),
            false => format!("At the team's own prices they would buy {}.", words::either(&kinds)),
        }
    }

    fn actions(&self, buys: &[Buy<'_>]) -> Vec<Action> {
        let forward = match buys.first() {
            Some(buy) => format!("about {} fit in", in_words(buy)),
            None => "what is launched now costs nothing that would remain".into(),
        };
        vec![
            action("Bring forward what was planned for the next period", forward),
            action("Take the higher quality or more variants", "where it was saved on"),
            action("If it is so each period", "a smaller plan would do"),
        ]
    }

    fn numbers(&self) -> Vec<Number> {
        let view = self.view;
        let mut numbers = Vec::new();
        numbers.extend(self.lapsing.map(|lapsing| number("Expected to lapse", words::credits(lapsing))));
        let expected = view.forecast().map(|forecast| words::credits(forecast.expected_use));
        numbers.extend(expected.map(|expected| number("Expected use until reset", expected)));
        numbers.push(number(view.spent_label(), words::credits(view.draw.spent)));
        numbers.extend(view.left_and_reset());
        numbers
    }
}

/// `40 × text-to-3d (high)`.
fn in_words(buy: &Buy<'_>) -> String {
    format!("{} × {}", words::count(buy.tasks), words::kind_of_task(&buy.row.task_type, &buy.row.quality))
}
