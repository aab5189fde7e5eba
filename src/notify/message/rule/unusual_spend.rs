//! Much more than usual in the last day: how much beside what is usual, who and what it was, and the two answers to it:
//! announce it, or stop it.

use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Command, Said, action, by_half, in_period, number, passage, since, titled};
use crate::domain::rule::UnusualSpendPolicy;
use crate::domain::{Credits, DailyUse, Drivers, RecentUse};
use crate::notify::message::layout::{Action, Number};
use crate::notify::message::spending::{self, by_kind, by_spender, net, spent};
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = UnusualSpend { view, policy: &view.context.rules.unusual_spend.policy };
    let is_over = view.is_over();
    let last_day = view.context.evidence.last_day.as_ref().filter(|_| !is_over);
    let tables = last_day.map(|last_day| {
        [titled("What it went to, last 24 hours", by_kind(last_day)), titled("Who launched it", by_spender(last_day))]
    });
    Said {
        about: in_period(view, "unusual spend"),
        headline: rule.headline(),
        passages: vec![
            passage("Since when", since(view)),
            passage("What it means", if is_over { String::new() } else { rule.meaning() }),
        ],
        actions: if is_over { Vec::new() } else { rule.actions(last_day) },
        command: rule.announce().filter(|_| !is_over),
        numbers: rule.numbers(),
        as_of: view.charges_read(),
        tables: tables.into_iter().flatten().flatten().collect(),
        speaks_when: rule.speaks_when(),
        told_again: vec![by_half(view, "the credits of the last 24 hours have risen")],
        ..Said::default()
    }
}

struct UnusualSpend<'a> {
    view: &'a View<'a>,
    policy: &'a UnusualSpendPolicy,
}

/// How many days ahead the command announces the pace, at most: who knows better changes the date.
const ANNOUNCED_DAYS: i64 = 7;
/// The least factor that is worth announcing, and the largest that can be.
const FACTORS: std::ops::RangeInclusive<f64> = 1.1..=crate::domain::announcement::MOST_FACTOR;

impl UnusualSpend<'_> {
    fn recent(&self) -> Option<&RecentUse> {
        self.view.draw.recent.as_ref()
    }

    fn headline(&self) -> String {
        let team = self.view.team();
        let Some(recent) = self.recent() else { return format!("the use of team {team} is unusual.") };
        let net = words::credits(recent.net);
        if self.view.is_over() {
            return format!("the use of team {team} is no longer unusual: {net} in the last 24 hours.");
        }
        let usual = match recent.usual {
            usual if usual.is_positive() => format!("{} on a usual day", words::amount(usual)),
            _ => "none on a usual day".into(),
        };
        let busiest = self.busiest().map(|day| format!(" and {} on the busiest", words::amount(day.net)));
        format!(
            "team {team} used {net} in the last 24 hours, compared with {usual}{} of the last four weeks.",
            busiest.unwrap_or_default()
        )
    }

    /// Of the days that are compared with.
    fn busiest(&self) -> Option<DailyUse> {
        let recent = self.recent()?;
        let today = self.view.assessment.at.as_second().div_euclid(86_400);
        let compared = today - 1 - i64::from(recent.days)..today - 1;
        let number = |day: &DailyUse| day.day.as_second().div_euclid(86_400);
        let days = self.view.draw.daily.iter().filter(|day| compared.contains(&number(day)));
        days.copied().max_by_key(|day| day.net).filter(|day| day.net.is_positive())
    }

    fn meaning(&self) -> String {
        let Some(recent) = self.recent().filter(|recent| recent.net.is_positive()) else { return String::new() };
        let Some(fuel) = self.view.draw.tank().filter(|fuel| fuel.left.is_positive()) else { return String::new() };
        let lasts = SignedDuration::from_secs_f64(fuel.left.as_f64() / recent.net.as_f64() * 86_400.0);
        let left = words::credits(fuel.left);
        let gone = self.view.notice.at.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        match self.view.reset() {
            Some(reset) if gone < reset => format!(
                "If it goes on like this, the {left} that are left are gone in {}, {} before {}.",
                words::span(lasts),
                words::span(reset.duration_since(gone)),
                self.view.ends()
            ),
            Some(_) => format!("The {left} that are left last until {} even so.", self.view.end()),
            None => format!("If it goes on like this, the {left} that are left are gone in {}.", words::span(lasts)),
        }
    }

    fn actions(&self, last_day: Option<&Drivers>) -> Vec<Action> {
        let mut asked = Vec::new();
        if let Some(last_day) = last_day {
            let whole = spent(last_day);
            let largest = last_day.totals.iter().max_by_key(|row| net(row)).filter(|row| net(row).is_positive());
            asked.extend(largest.map(|row| {
                let kind = words::kind_of_task(&row.task_type, &row.quality);
                format!("{} went to {kind}", spending::share_of(net(row), whole))
            }));
            let first = last_day.spenders.first();
            asked.extend(first.map(|first| {
                let how = if first.is_api_key { "with" } else { "by" };
                format!("{} was launched {how} {}", spending::share_of(first.net, whole), spending::who(first))
            }));
        }
        let asked = if asked.is_empty() { "the team's page lists the tasks".into() } else { words::listed(&asked) };
        let announce = match self.announce() {
            Some(_) => "with the command below, and the forecast reckons with it",
            None => "with `fuelgauge announce`, and the forecast reckons with it",
        };
        vec![
            action("Ask who launched what", asked),
            action("If it was meant, announce it", announce),
            action("If it was not, stop it", "revoke the API key on the platform, or end the script that launches"),
        ]
    }

    /// Announces the pace of the last day for the days to come.
    fn announce(&self) -> Option<Command> {
        let recent = self.recent()?;
        let factor = (recent.net.as_f64() / recent.usual.as_f64() * 10.0).round() / 10.0;
        let key = &self.view.notice.key;
        let is_readable = [key.team.as_str(), key.account.as_str()].into_iter().all(words::is_readable);
        (is_readable && FACTORS.contains(&factor)).then_some(())?;
        let today = self.view.notice.at.to_zoned(self.view.assessment.zone.clone());
        let last = today.checked_add((ANNOUNCED_DAYS - 1).days()).ok()?;
        // What is announced beyond the period's end would not be about these credits.
        let end = self.view.reset().map(|reset| reset - SignedDuration::from_secs(1));
        let end = end.map(|end| end.to_zoned(self.view.assessment.zone.clone()));
        let last = end.filter(|end| *end < last).map_or(last.date(), |end| end.date());
        let account =
            self.view.context.names_account.then(|| format!("--account {}", words::shell_word(key.account.as_str())));
        let parts = ["fuelgauge announce add".into(), format!("--team {}", words::shell_word(key.team.as_str()))];
        let dates = [format!("--factor {factor}"), format!("--from {}", today.date()), format!("--to {last}")];
        Some(Command {
            words: format!("If it was meant, and goes on until {}:", self.view.clock.date(last)),
            lines: words::command(parts.into_iter().chain(account).chain(dates)),
        })
    }

    fn numbers(&self) -> Vec<Number> {
        let mut numbers = Vec::new();
        if let Some(recent) = self.recent() {
            let charges = words::counted(&words::count(recent.charges.into()), "charge");
            numbers.push(number("Last 24 hours", format!("{}, {charges}", words::credits(recent.net))));
            numbers.push(number("On a usual day", words::credits(recent.usual)));
            numbers.push(number("On the second busiest", words::credits(recent.busy)));
            numbers.extend(self.busiest().map(|day| {
                number("On the busiest", format!("{}, {}", words::credits(day.net), self.view.clock.short_day(day.day)))
            }));
            numbers.push(number("Days compared with", words::count(recent.days.into())));
            numbers.extend(self.limit().map(|limit| number("Unusual from", words::credits(limit))));
        }
        numbers.extend(self.view.left_and_reset());
        numbers
    }

    fn limit(&self) -> Option<Credits> {
        Credits::from_statistic(self.policy.limit(self.view.draw)?)
    }

    fn speaks_when(&self) -> String {
        let announced = match self.recent() {
            Some(recent) if recent.announced_factor > 1.0 => {
                format!(" (times {}, which was announced)", recent.announced_factor)
            }
            _ => String::new(),
        };
        format!(
            "the last 24 hours reach {} times the second busiest of the last 28 days{announced}, with at least {} charges \
             and {} of what the period began with",
            self.policy.factor,
            self.policy.minimum_charges,
            words::threshold(self.policy.minimum_share)
        )
    }
}
