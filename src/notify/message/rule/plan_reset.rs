//! A new period: what the one before was spent on, what was wasted and what lapsed, and whether it had been foreseen.

use super::{Said, number, passage, titled};
use crate::domain::remedy::{LEAST_SHARE, share};
use crate::domain::{Credits, RetryKind};
use crate::notify::message::evidence::EndedPeriod;
use crate::notify::message::layout::Number;
use crate::notify::message::spending::{by_asset, by_kind, by_spender, retries_of, spent};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = PlanReset { view, ended: view.context.evidence.ended.as_ref() };
    let began = view.clock.deadline(view.notice.period_start, view.period_length());
    let begun = if view.is_budget() { "the budget began anew" } else { "the plan was reset" };
    let tables = rule.ended.map(|ended| {
        let spent_on = &ended.spent_on;
        [
            titled("What it went to", by_kind(spent_on)),
            titled("Who launched it", by_spender(spent_on)),
            titled("Assets that took more than one attempt", by_asset(spent_on, &view.clock)),
        ]
    });
    Said {
        about: format!("{begun} on {began}"),
        headline: rule.headline(),
        passages: vec![
            passage("The period before", rule.spent()),
            passage("What was wasted", rule.wasted()),
            passage("What was foreseen", rule.foreseen()),
        ],
        numbers: rule.numbers(),
        tables: tables.into_iter().flatten().flatten().collect(),
        speaks_when: format!(
            "a period of at least {} has begun and something was used before it",
            words::span(view.context.rules.plan_reset.policy.minimum_period)
        ),
        ..Said::default()
    }
}

struct PlanReset<'a> {
    view: &'a View<'a>,
    ended: Option<&'a EndedPeriod>,
}

impl PlanReset<'_> {
    fn headline(&self) -> String {
        let view = self.view;
        let left = view.draw.tank().map(|fuel| {
            let until = view.reset().map(|reset| format!(" until {}", view.clock.moment(reset)));
            format!(" There are {}{}.", words::credits(fuel.left), until.unwrap_or_default())
        });
        format!("{}{}", view.begun_anew(), left.unwrap_or_default())
    }

    fn spent(&self) -> String {
        let Some(ended) = self.ended else { return "Nothing is known of it.".into() };
        let clock = &self.view.clock;
        let between = clock.days_between(ended.period.start, ended.period.end);
        let spent = spent(&ended.spent_on);
        let whole = self.view.draw.tank_capacity();
        let of = match whole.zip(whole.and_then(|whole| share(spent, whole))) {
            Some((whole, share)) => format!(" of {} ({})", words::amount(whole), words::part(share)),
            None => String::new(),
        };
        let attempts: u64 = ended.spent_on.totals.iter().map(|row| row.finished).sum();
        let tasks = match attempts {
            0 => String::new(),
            tasks => format!(" on {}", words::counted(&words::count(tasks), "task")),
        };
        let lapsed = match ended.lapsed {
            Some(lapsed) if lapsed.is_positive() => format!(" {} lapsed unused.", words::credits(lapsed)),
            Some(_) => " Nothing lapsed.".into(),
            None => String::new(),
        };
        format!("From {between} team {} spent {}{of}{tasks}.{lapsed}", self.view.team(), words::credits(spent))
    }

    fn wasted(&self) -> String {
        let Some(ended) = self.ended else { return String::new() };
        let charged: Credits = ended.spent_on.totals.iter().map(|row| row.charged).sum();
        let refunded: Credits = ended.spent_on.totals.iter().map(|row| row.refunded).sum();
        let failed: u64 = ended.spent_on.totals.iter().map(|row| row.failed).sum();
        let mut sentences = Vec::new();
        let (tasks, credits) = retries_of(&ended.spent_on.retries, RetryKind::Rerun);
        if tasks > 0 {
            let tasks = words::counted(&words::count(tasks), "re-run");
            let cost = self.view.assessment.told(credits).map(|credits| format!(" cost {}", words::credits(credits)));
            let of = share(credits, charged).filter(|share| *share >= LEAST_SHARE);
            let of = of.map(|share| format!(" ({})", words::part(share))).unwrap_or_default();
            sentences.push(format!("{tasks}{}{of}.", cost.unwrap_or_default()));
        }
        if failed > 0 {
            sentences.push(format!("{} failed.", words::counted(&words::count(failed), "task")));
        }
        if refunded.is_positive() {
            sentences.push(format!("{} came back.", words::credits(refunded)));
        }
        sentences.join(" ")
    }

    fn foreseen(&self) -> String {
        let Some(ended) = self.ended else { return String::new() };
        let clock = &self.view.clock;
        let Some(first) = ended.raised.first() else {
            return format!("It was never said that the credits would run out before {}.", self.view.end());
        };
        let before = words::span(ended.period.end.duration_since(first.since));
        let ended_at = match ended.raised.last().and_then(|last| last.ended_at).filter(|at| *at < ended.period.end) {
            Some(at) => format!(", and on {} that they would last after all", clock.short_day(at)),
            None => String::new(),
        };
        let told = if ended.raised.iter().any(|raised| raised.is_told) { "" } else { " Nobody was told of it." };
        format!(
            "On {}, {before} before {}, it was said that the credits would run out{ended_at}.{told}",
            clock.short_day(first.since),
            self.view.end()
        )
    }

    fn numbers(&self) -> Vec<Number> {
        let view = self.view;
        let mut numbers = view.left_and_reset();
        let granted = view.draw.tank_capacity().map(words::credits);
        numbers.extend(granted.map(|granted| number("A period begins with", granted)));
        let carried = Some(view.assessment.carried()).filter(|carried| carried.is_positive());
        numbers.extend(carried.map(|carried| number("Carried over", words::credits(carried))));
        let spent_before = self.ended.map(|ended| words::credits(spent(&ended.spent_on)));
        numbers.extend(spent_before.map(|before| number("Spent, period before", before)));
        numbers
    }
}
