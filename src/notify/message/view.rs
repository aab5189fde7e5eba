//! A notice with all that is known of its draw: what every kind of mail may ask of it, and the parts of a mail that are
//! the same whatever it is about.

use jiff::{SignedDuration, Timestamp};

use super::MessageContext;
use super::layout::{Frame, Link, Number, Silence};
use super::words::{self, ReaderClock};
use crate::domain::remedy::lasting_pace;
use crate::domain::{
    AccountAssessment, Collector, Credits, DrawAssessment, Forecast, Fuel, FuelLimit, Notice, PlanPeriod, Stage, Why,
};

pub(super) struct View<'a> {
    pub(super) notice: &'a Notice,
    pub(super) assessment: &'a AccountAssessment,
    pub(super) draw: &'a DrawAssessment,
    pub(super) context: &'a MessageContext,
    pub(super) clock: ReaderClock<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        notice: &'a Notice,
        assessment: &'a AccountAssessment,
        draw: &'a DrawAssessment,
        context: &'a MessageContext,
    ) -> View<'a> {
        View { notice, assessment, draw, context, clock: ReaderClock::new(&context.zone, notice.at) }
    }
}

impl View<'_> {
    /// The frame of a mail about this notice. The headline goes on after the state; `title` is the mail's subject in few
    /// words; `reasons` say why it was sent.
    pub(super) fn frame(&self, title: &str, headline: String, reasons: Vec<String>) -> Frame {
        let (team, account) = (self.team(), self.account());
        Frame {
            tone: if self.is_over() { "good" } else { self.notice.stage.as_str() },
            title: format!("{}: {title} of team {team}", self.state()),
            state: self.state(),
            headline,
            as_of: self.as_of(),
            link: self.link(),
            data_age: self.data_age(),
            reasons,
            silence: self.silence().filter(|_| !self.is_over()),
            signature: format!("fuelgauge, for team {team} on {account}"),
        }
    }

    pub(super) fn team(&self) -> String {
        words::clean(self.notice.key.team.as_str(), 64)
    }

    pub(super) fn account(&self) -> String {
        words::clean(self.notice.key.account.as_str(), 64)
    }

    /// The day of the reset, for a subject; empty without one.
    pub(super) fn deadline(&self) -> String {
        let Some(end) = self.notice.period_end else { return String::new() };
        self.clock.deadline(end, end.duration_since(self.notice.period_start))
    }

    /// Whether the mail tells of an end.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.notice.why, Why::Resolved | Why::PlanReset)
    }

    pub(super) fn forecast(&self) -> Option<&Forecast> {
        self.draw.outlook.forecast()
    }

    /// The reset that lies ahead.
    pub(super) fn reset(&self) -> Option<Timestamp> {
        match self.notice.why {
            Why::PlanReset => self.draw.period.as_ref().map(|period| period.end),
            _ => self.notice.period_end.or(self.draw.period.as_ref().map(|period| period.end)),
        }
    }

    pub(super) fn is_budget(&self) -> bool {
        self.draw.period.as_ref().is_some_and(PlanPeriod::is_budget)
    }

    /// What happens at the end of the period.
    pub(super) fn ends(&self) -> &'static str {
        if self.is_budget() { "the budget ends" } else { "the plan resets" }
    }

    /// What the end of the period is called.
    pub(super) fn end(&self) -> &'static str {
        self.draw.period.as_ref().map_or("the reset", PlanPeriod::end_in_words)
    }

    /// That a new period has begun, and when, in a sentence.
    pub(super) fn begun_anew(&self) -> String {
        let team = self.team();
        // A notice that closes the last period was decided in the next; that of the reset belongs to the new one.
        let began = match self.notice.why {
            Why::PlanReset => self.notice.period_end,
            _ => Some(self.notice.period_start),
        };
        let when = began.map(|began| format!(" on {}", self.clock.moment(began))).unwrap_or_default();
        match self.is_budget() {
            true => format!("the budget of team {team} began anew{when}."),
            false => format!("the plan of team {team} was reset{when}."),
        }
    }

    /// How long the notice's period is.
    pub(super) fn period_length(&self) -> SignedDuration {
        let end = self.notice.period_end.unwrap_or(self.notice.period_start);
        end.duration_since(self.notice.period_start)
    }

    /// The pace, in credits a day, at which what is left lasts until the reset.
    pub(super) fn lasting(&self) -> Option<String> {
        let (fuel, reset) = (self.draw.tank()?, self.reset()?);
        words::statistic(lasting_pace(fuel, reset.duration_since(self.notice.at))?)
    }

    /// What the use of the period is called.
    pub(super) fn spent_label(&self) -> &'static str {
        if self.draw.period.is_some() { "Spent this period" } else { "Spent so far" }
    }

    /// What is left, and until when.
    pub(super) fn left_and_reset(&self) -> Vec<Number> {
        let left = self.draw.fuel.as_ref().map_or("not known".into(), |fuel| self.left(fuel));
        let left = [("Left", Some(left)), ("Left to all teams", self.left_to_all())];
        let left = left.into_iter().filter_map(|(label, value)| Some(Number { label, value: value? }));
        left.chain(self.resets()).collect()
    }

    /// When the period ends.
    pub(super) fn resets(&self) -> Option<Number> {
        let label = if self.is_budget() { "Budget ends" } else { "Plan resets" };
        self.reset().map(|reset| Number { label, value: self.clock.moment(reset) })
    }

    pub(super) fn is_used_up(&self) -> bool {
        let none_left = self.draw.fuel.as_ref().is_some_and(|fuel| !fuel.left.is_positive());
        none_left || self.forecast().and_then(|f| f.run_out.p50).is_some_and(|run_out| run_out <= self.notice.at)
    }

    pub(super) fn state(&self) -> String {
        let stage = match self.notice.stage {
            Stage::Info => "For information",
            Stage::Warning => "Warning",
            Stage::Critical => "Critical",
        };
        match self.notice.why {
            Why::Opened => stage.into(),
            Why::Worsened => format!("Now {}", stage.to_lowercase()),
            Why::Repeated => {
                format!("Still {}", if self.notice.stage == Stage::Critical { "critical" } else { "true" })
            }
            Why::Resolved => "Resolved".into(),
            Why::PlanReset => "Plan reset".into(),
        }
    }

    pub(super) fn numbers(&self) -> Vec<Number> {
        let a_day = |per_second: Option<f64>| per_second.and_then(|rate| words::statistic(rate * 86_400.0));
        let per_day = |rate: Option<f64>| a_day(rate).map(|credits| format!("{credits} a day"));
        let reset = self.reset();
        let until_reset = |credits: Credits| reset.map(|_| words::credits(credits));
        let lapsing = self.assessment.lapsing(self.draw).filter(|lapsing| lapsing.is_positive());
        let pending = Some(self.draw.pending).filter(|pending| pending.is_positive());
        let resets = if self.is_budget() { "Budget ends" } else { "Plan resets" };
        let spent = if self.draw.period.is_some() { "Spent this period" } else { "Spent so far" };
        [
            ("Left", Some(self.draw.fuel.as_ref().map_or("not known".into(), |fuel| self.left(fuel)))),
            ("Left to all teams", self.left_to_all()),
            (spent, Some(words::credits(self.draw.spent))),
            ("In tasks not finished", pending.map(words::credits)),
            ("Pace, last day", per_day(self.draw.spend.day)),
            ("Pace, last 7 days", per_day(self.draw.spend.week)),
            ("Expected use until reset", self.forecast().and_then(|f| until_reset(f.expected_use))),
            ("Expected to lapse unused", lapsing.map(words::credits)),
            (resets, reset.map(|reset| self.clock.moment(reset))),
        ]
        .into_iter()
        .filter_map(|(label, value)| Some(Number { label, value: value? }))
        .collect()
    }

    /// What is left of a limit that others lower too, where that is another than the team's own.
    fn left_to_all(&self) -> Option<String> {
        let shared = self.draw.shared.as_ref().filter(|shared| Some(&shared.fuel) != self.draw.fuel.as_ref())?;
        Some(format!("{}, which end sooner", words::credits(shared.fuel.left)))
    }

    fn left(&self, fuel: &Fuel) -> String {
        let is_shared = self.draw.shared.is_some() && fuel.limit != FuelLimit::Allowance;
        let shared = match self.assessment.draws.len() {
            _ if !is_shared => "",
            ..2 => ", lowered by charges of no team too",
            _ => ", shared with the other teams",
        };
        let left = words::credits(fuel.left) + shared;
        match (fuel.limit, self.draw.allowance, &self.assessment.balance) {
            (FuelLimit::Allowance, Some(allowance), _) => {
                format!("{left} of the team's {}", words::amount(allowance))
            }
            (FuelLimit::Budget, _, _) => match self.draw.period.as_ref().and_then(|period| period.allowance) {
                Some(budget) => format!("{left} of the budget of {}", words::amount(budget)),
                None => left,
            },
            (FuelLimit::Balance, _, Some((balance, _))) => {
                let is_told = balance.plan.is_some() || balance.purchased.is_some();
                let worked_out = self.assessment.parts().filter(|_| !is_told).unwrap_or_default();
                let (plan, bought) = (balance.plan.or(worked_out.plan), balance.purchased.or(worked_out.purchased));
                let parts = [("plan", plan), ("bought", bought), ("held", balance.frozen)];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|(name, part)| {
                        let part = part.filter(|part| part.is_positive())?;
                        Some(format!("{name} {}", words::amount(part)))
                    })
                    .collect();
                if parts.is_empty() { left } else { format!("{left} ({})", parts.join(", ")) }
            }
            _ => left,
        }
    }

    /// When the amount was read that everything rests on; empty where none was.
    fn as_of(&self) -> String {
        self.draw.fuel.as_ref().map_or_else(String::new, |fuel| self.read_at(fuel.as_of))
    }

    /// When the charges were last read.
    pub(super) fn charges_read(&self) -> Option<Timestamp> {
        let charges = self.assessment.collectors.iter().find(|status| status.collector == Collector::Charges);
        charges.and_then(|status| status.last_success_at)
    }

    /// As of when, in a line.
    pub(super) fn read_at(&self, at: Timestamp) -> String {
        format!("As of {}, {} before this mail.", self.clock.time_today(at), self.age(at))
    }

    fn age(&self, at: Timestamp) -> String {
        let age = self.notice.at.duration_since(at);
        if age < SignedDuration::from_mins(1) { "less than a minute".into() } else { words::span(age) }
    }

    /// The account is named where the team draws on several.
    fn silence(&self) -> Option<Silence> {
        let key = &self.notice.key;
        let account = Some(key.account.as_str()).filter(|_| self.context.names_account);
        let matchers =
            [("alert", Some(self.notice.rule.as_str())), ("account", account), ("team", Some(key.team.as_str()))];
        let matchers: Vec<(&str, &str)> =
            matchers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let words_of = |(name, value): &(&str, &str)| format!("{name}={}", words::shell_word(value));
        // A name that hides something cannot be read off a command; the link carries it whole.
        let is_readable = matchers.iter().all(|(_, value)| words::clean(value, usize::MAX) == **value);
        let first = ["fuelgauge silence add".to_owned()].into_iter().chain(matchers.iter().map(words_of));
        let rest = ["--duration 48h".to_owned(), "--comment \"why\"".to_owned()];
        let in_url = |(name, value): &(&str, &str)| format!("{name}={}", words::path_segment(value));
        let link = self.context.external_url.as_deref().map(|base| Link {
            url: format!(
                "{}/silences?{}",
                base.trim_end_matches('/'),
                matchers.iter().map(in_url).collect::<Vec<_>>().join("&")
            ),
            words: "Silence it on the page".into(),
        });
        let command = if is_readable { words::command(first.chain(rest)) } else { Vec::new() };
        (!command.is_empty() || link.is_some()).then_some(Silence { command, link })
    }

    fn data_age(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(fuel) = &self.draw.fuel {
            let doubt = if fuel.fresh { "" } else { ", which is older than it should be" };
            let moment = self.clock.moment(fuel.as_of);
            lines.push(format!("Credits left: as of {moment}, {} before this mail{doubt}.", self.age(fuel.as_of)));
        }
        if let Some(read) = self.charges_read() {
            lines.push(format!("Charges: read {} before this mail.", self.age(read)));
        }
        lines.push(format!("Times are those of {}.", self.clock.zone_name()));
        lines
    }

    /// The team's page.
    pub(super) fn link(&self) -> Option<Link> {
        let base = self.context.external_url.as_deref()?.trim_end_matches('/');
        let team = self.notice.key.team.as_str();
        Some(Link {
            url: format!("{base}/teams/{}", words::path_segment(team)),
            words: format!("See the burn-down of team {}", self.team()),
        })
    }
}
