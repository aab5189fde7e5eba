//! Little is left: of what, whether it lasts until the reset, and what would help.

use super::{Said, action, passage};
use crate::domain::rule::Threshold;
use crate::domain::{Credits, FuelLimit, Level, Outlook, Why};
use crate::notify::message::layout::Action;
use crate::notify::message::view::View;
use crate::notify::message::words;

pub(super) fn say(view: &View) -> Said {
    let rule = LowBalance { view };
    let is_over = view.is_over();
    let until = match view.deadline() {
        deadline if deadline.is_empty() => String::new(),
        deadline => format!(" until {deadline}"),
    };
    Said {
        about: format!("little is left of the credits{until}"),
        headline: rule.headline(),
        passages: vec![
            passage("Does it last?", rule.does_it_last()),
            passage("What it means", if is_over { String::new() } else { rule.meaning() }),
        ],
        actions: if is_over { Vec::new() } else { rule.actions() },
        numbers: view.numbers(),
        speaks_when: format!("no more is left than {}", rule.thresholds()),
        told_again: vec!["a further threshold is passed".into()],
        ..Said::default()
    }
}

struct LowBalance<'a> {
    view: &'a View<'a>,
}

impl LowBalance<'_> {
    fn headline(&self) -> String {
        let (view, team) = (self.view, self.view.team());
        let policy = &view.context.rules.low_balance.policy;
        if view.notice.why == Why::PlanReset {
            return format!("{} The alert of the last period is closed.", view.begun_anew());
        }
        let Some(fuel) = view.draw.tank() else { return format!("it is not known what is left to team {team}.") };
        if !fuel.left.is_positive() {
            return format!("team {team} has no credits left{}.", self.of_what(fuel.limit));
        }
        let (left, of_what) = (words::credits(fuel.left), self.of_what(fuel.limit));
        if view.notice.why == Why::Resolved {
            let highest = policy.levels(view.draw).into_iter().next().map(|(credits, _)| self.written(credits));
            let more = highest.map(|highest| format!(": more than {highest}")).unwrap_or_default();
            return format!("team {team} has {left} left again{of_what}{more}.");
        }
        let than = match self.threshold() {
            Some(threshold) => format!("; that is no more than {threshold}"),
            None => String::new(),
        };
        format!("team {team} has {left} left{of_what}{than}.")
    }

    /// Of what it is the rest, where that is not all that the team has.
    fn of_what(&self, limit: FuelLimit) -> String {
        let capacity = self.view.draw.tank_capacity().map(words::amount);
        match (limit, capacity) {
            (FuelLimit::Allowance, Some(capacity)) => format!(" of its share of {capacity}"),
            (FuelLimit::Budget, Some(capacity)) => format!(" of the budget of {capacity}"),
            (_, Some(capacity)) => format!(" of {capacity}"),
            (_, None) => String::new(),
        }
    }

    /// The threshold that was passed.
    fn threshold(&self) -> Option<String> {
        let notice = self.view.notice;
        let passed = Level { stage: notice.stage, step: notice.step };
        let policy = &self.view.context.rules.low_balance.policy;
        let (credits, _) = policy.levels(self.view.draw).into_iter().find(|(_, level)| *level == passed)?;
        Some(self.written(credits))
    }

    /// A threshold as it is written in the configuration.
    fn written(&self, credits: Credits) -> String {
        let policy = &self.view.context.rules.low_balance.policy;
        let capacity = self.view.draw.tank_capacity();
        let mut all = policy.warning.iter().chain(&policy.critical);
        let written = all.find(|threshold| threshold.of(capacity) == Some(credits));
        in_words(written.copied().unwrap_or(Threshold::Credits(credits)), Some(credits))
    }

    /// Every threshold, for who wonders why.
    fn thresholds(&self) -> String {
        let policy = &self.view.context.rules.low_balance.policy;
        let capacity = self.view.draw.tank_capacity();
        let all = policy.warning.iter().chain(&policy.critical);
        let all: Vec<String> = all.map(|threshold| in_words(*threshold, threshold.of(capacity))).collect();
        words::either(&all)
    }

    fn does_it_last(&self) -> String {
        let view = self.view;
        let Outlook::Forecast(forecast) = &view.draw.outlook else { return self.without_forecast() };
        let run_out = forecast.run_out.p50.map(|run_out| view.clock.rough_moment(run_out));
        let (Some(reset), Some(probability)) = (view.reset(), forecast.probability) else {
            return match run_out {
                Some(run_out) => format!("At the expected use it is gone around {run_out}. Nothing refills it."),
                None => "At the expected use it lasts for longer than can be foreseen.".into(),
            };
        };
        let risk = format!("{} that it is gone before {}", words::percent(probability), view.end());
        match forecast.run_out.p50.filter(|run_out| *run_out < reset).zip(run_out) {
            Some((at, run_out)) if at > view.notice.at => format!(
                "Not at the expected use: it is gone around {run_out}, {} before {}. {}: {risk}.",
                words::span(reset.duration_since(at)),
                view.ends(),
                words::chance(probability)
            ),
            Some(_) => format!("{} on {}.", words::capitalised(view.ends()), view.clock.moment(reset)),
            None => format!("At the expected use, until {} on {}: {risk}.", view.end(), view.clock.moment(reset)),
        }
    }

    /// The pace beside the pace that would last, where nothing more can be said.
    fn without_forecast(&self) -> String {
        let view = self.view;
        let why = match view.draw.outlook {
            Outlook::TooLittleHistory { .. } => "There is too little history for a forecast.",
            _ => "There is no forecast at the moment.",
        };
        let pace = view.draw.tank_spend().week.and_then(|rate| words::statistic(rate * 86_400.0));
        let pace = pace.map(|pace| format!(" In the last 7 days it was about {pace} a day"));
        let lasting = view.lasting().map(|lasting| format!("{lasting} a day would last until {}", view.end()));
        match (pace, lasting) {
            (Some(pace), Some(lasting)) => format!("{why}{pace}; {lasting}."),
            (Some(pace), None) => format!("{why}{pace}."),
            (None, Some(lasting)) => format!("{why} {}.", words::capitalised(&lasting)),
            (None, None) => why.into(),
        }
    }

    fn meaning(&self) -> String {
        let whose = self.view.draw.others(self.view.assessment);
        let shared = match whose {
            Some(_) => " Others draw on the same credits, and their use counts here too.",
            None => "",
        };
        let what = match self.view.draw.tank().map(|fuel| fuel.limit) {
            Some(FuelLimit::Allowance) => {
                "When it is used up, the team spends what the others on the account were to have."
            }
            Some(FuelLimit::Budget) => "When it is used up, more is spent than was planned; the platform goes on.",
            _ => "When it is used up, the platform takes no new tasks until credits come in.",
        };
        format!("{what}{shared}")
    }

    fn actions(&self) -> Vec<Action> {
        let view = self.view;
        let forecast = view.forecast();
        let lasts = |run_out| view.reset().is_some_and(|reset| run_out >= reset);
        let is_enough = forecast.is_some_and(|forecast| {
            view.reset().is_some() && forecast.run_out.p50.is_none_or(lasts) && !view.is_used_up()
        });
        let found = view.actions();
        if is_enough {
            let calm = action("Nothing for now", format!("it is expected to last until {}", view.end()));
            // What makes it surer may be worth the little that it takes.
            return [calm].into_iter().chain(found.into_iter().take(2)).collect();
        }
        if !found.is_empty() {
            return found;
        }
        let pace = view.lasting().map(|lasting| {
            action(format!("Use at most {lasting} a day"), format!("then it lasts until {}", view.end()))
        });
        let page = action("Compare", "the days that are left with what was used a day lately, on the team's page");
        pace.into_iter().chain([page]).collect()
    }
}

/// `20% (800 credits)`, or credits alone.
fn in_words(threshold: Threshold, credits: Option<Credits>) -> String {
    match (threshold, credits) {
        (Threshold::Share(share), Some(credits)) => {
            format!("{} ({})", words::threshold(share), words::credits(credits))
        }
        (Threshold::Share(share), None) => words::threshold(share),
        (Threshold::Credits(credits), _) => words::credits(credits),
    }
}
