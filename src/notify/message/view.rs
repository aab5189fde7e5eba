//! A notice with all that is known of its draw: what every kind of mail may ask of it, and the parts of a mail that are
//! the same whatever it is about.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};

use super::MessageContext;
use super::draw::{DrawView, team_page};
use super::layout::{Frame, Link, Number, Silence};
use super::words;
use crate::domain::{AccountAssessment, Credits, DrawAssessment, Notice, Stage, Why};

pub(super) struct View<'a> {
    pub(super) notice: &'a Notice,
    pub(super) context: &'a MessageContext,
    of: DrawView<'a>,
}

impl<'a> Deref for View<'a> {
    type Target = DrawView<'a>;

    fn deref(&self) -> &DrawView<'a> {
        &self.of
    }
}

impl<'a> View<'a> {
    pub(super) fn new(
        notice: &'a Notice,
        assessment: &'a AccountAssessment,
        draw: &'a DrawAssessment,
        context: &'a MessageContext,
    ) -> View<'a> {
        View { notice, context, of: DrawView::new(assessment, draw, &context.zone, notice.at) }
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
            about: self.about(),
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

    /// The reset that lies ahead.
    pub(super) fn reset(&self) -> Option<Timestamp> {
        match self.notice.why {
            Why::PlanReset => self.draw.period.as_ref().map(|period| period.end),
            _ => self.notice.period_end.or(self.draw.period.as_ref().map(|period| period.end)),
        }
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
        self.lasting_until(self.reset()?).and_then(words::statistic)
    }

    /// What is left, and until when.
    pub(super) fn left_and_reset(&self) -> Vec<Number> {
        let left = [("Left", Some(self.left())), ("Left to all teams", self.left_to_all())];
        let left = left.into_iter().filter_map(|(label, value)| Some(Number { label, value: value? }));
        left.chain(self.resets()).collect()
    }

    /// When the period ends.
    pub(super) fn resets(&self) -> Option<Number> {
        let label = if self.is_budget() { "Budget ends" } else { "Plan resets" };
        self.reset().map(|reset| Number { label, value: self.clock.moment(reset) })
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
        let spent = self.spent_label();
        [
            ("Left", Some(self.left())),
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
        let is_readable = matchers.iter().all(|(_, value)| words::is_readable(value));
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

    /// The rule's page.
    fn about(&self) -> Option<Link> {
        let base = self.context.external_url.as_deref()?.trim_end_matches('/');
        Some(Link { url: format!("{base}/rules/{}", self.notice.rule), words: "About this alert".into() })
    }

    /// The team's page.
    pub(super) fn link(&self) -> Option<Link> {
        team_page(self.context.external_url.as_deref(), self.notice.key.team.as_str())
    }
}
