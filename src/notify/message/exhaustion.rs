//! The mail of the rule `exhaustion`: what it says, ready for the templates; every sentence and number as text, foreign
//! words made harmless.

use jiff::Timestamp;
use serde::Serialize;

use self::drivers::Spending;
use super::MessageError;
use super::layout::{Action, Inline, Letter, Number, Shown, lay_out};
use super::view::View;
use super::words;
use crate::domain::{AlertState, Confidence, Outlook, Why};
use crate::notify::chart;

mod drivers;

/// Lays out the mail that tells of a notice.
pub(super) fn letter(view: &View) -> Result<Letter, MessageError> {
    let exhaustion = Exhaustion { view };
    let frame = view.frame("credits", exhaustion.headline(), exhaustion.reasons());
    let (inline, shown) = exhaustion.picture().unzip();
    lay_out("exhaustion", &frame, &exhaustion.facts(shown), inline)
}

/// The content of a mail beside its frame, in the order in which it is read.
#[derive(Clone, Debug, Serialize)]
struct Facts {
    team: String,
    account: String,
    names_account: bool,
    /// The day of the reset, for the subject; empty without one.
    deadline: String,
    how_sure: String,
    /// Pace, largest task type and retries, in a sentence or two; empty where nothing is known.
    drivers: String,
    actions: Vec<Action>,
    /// The burn-down, where there is something to draw.
    picture: Option<Shown>,
    numbers: Vec<Number>,
    /// The drivers in full.
    spending: Option<Spending>,
}

struct Exhaustion<'a> {
    view: &'a View<'a>,
}

impl Exhaustion<'_> {
    fn facts(&self, picture: Option<Shown>) -> Facts {
        let view = self.view;
        let is_over = view.is_over();
        Facts {
            team: view.team(),
            account: view.account(),
            names_account: view.context.names_account,
            deadline: view.deadline(),
            how_sure: self.how_sure(),
            drivers: if is_over { String::new() } else { self.drivers() },
            actions: if is_over { Vec::new() } else { view.actions() },
            picture,
            numbers: view.numbers(),
            spending: if is_over { None } else { self.spending() },
        }
    }

    /// Nothing has been drawn of a period that has only begun.
    fn picture(&self) -> Option<(Inline, Shown)> {
        let view = self.view;
        (view.notice.why != Why::PlanReset).then_some(())?;
        let picture = chart::draw(view.assessment, view.draw, &view.context.zone, view.notice.at)?;
        Some(Inline::of(picture, view.context.from.email.domain()))
    }

    fn headline(&self) -> String {
        let team = self.view.team();
        let reset = self.view.reset();
        let ends = self.view.ends();
        match self.view.notice.why {
            Why::PlanReset => {
                let when = self.view.notice.period_end.map(|end| format!(" on {}", self.view.clock.moment(end)));
                let when = when.unwrap_or_default();
                let begun = match self.view.is_budget() {
                    true => format!("the budget of team {team} began anew{when}"),
                    false => format!("the plan of team {team} was reset{when}"),
                };
                format!("{begun}. The alert of the last period is closed.")
            }
            Why::Resolved => {
                let until = reset.map_or("".into(), |reset| format!(" on {}", self.view.clock.moment(reset)));
                format!("the credits of team {team} are now expected to last until {ends}{until}.")
            }
            Why::Opened | Why::Worsened | Why::Repeated if self.view.is_used_up() => {
                let wait = reset.map(|reset| {
                    let left = words::span(reset.duration_since(self.view.notice.at));
                    let ends = if self.view.is_budget() { "The budget ends" } else { "The plan resets" };
                    format!(" {ends} on {}, in {left}.", self.view.clock.moment(reset))
                });
                format!("team {team} has used up its credits.{}", wait.unwrap_or_default())
            }
            Why::Opened | Why::Worsened | Why::Repeated => self.run_out_sentence(&team, reset),
        }
    }

    fn run_out_sentence(&self, team: &str, reset: Option<Timestamp>) -> String {
        let forecast = self.view.forecast();
        let run_out = forecast.and_then(|f| f.run_out.p50).filter(|run_out| reset.is_none_or(|end| *run_out < end));
        let probability = forecast.and_then(|f| f.probability).unwrap_or(0.5);
        let ends = self.view.ends();
        match (run_out, reset) {
            (Some(run_out), Some(reset)) => format!(
                "the credits of team {team} {} around {}, {} before {ends}.",
                words::run_out_verb(probability),
                self.view.clock.rough_moment(run_out),
                words::span(reset.duration_since(run_out)),
            ),
            (Some(run_out), None) => {
                format!("the credits of team {team} may run out around {}.", self.view.clock.rough_moment(run_out))
            }
            (None, Some(reset)) => {
                format!("the credits of team {team} may run out before {ends} on {}.", self.view.clock.moment(reset))
            }
            (None, None) => format!("the credits of team {team} may run out."),
        }
    }

    fn how_sure(&self) -> String {
        let forecast = match &self.view.draw.outlook {
            Outlook::Forecast(forecast) => forecast,
            Outlook::UnknownBalance => return "How much is left is not known at the moment.".into(),
            Outlook::TooLittleHistory { .. } => return "There is too little history for a forecast.".into(),
        };
        if self.view.is_used_up() && self.view.notice.why != Why::PlanReset {
            return String::new();
        }
        let mut sentences = Vec::new();
        if let Some(probability) = forecast.probability {
            let (chance, percent) = (words::chance(probability), words::percent(probability));
            let end = self.view.end();
            sentences.push(format!("{chance}: {percent} that the credits run out before {end}."));
        }
        if !self.view.is_over() {
            match (forecast.run_out.p10, forecast.run_out.p90) {
                (Some(early), Some(late)) => {
                    sentences.push(format!("In 8 of 10 cases {}.", self.view.clock.between(early, late)));
                }
                (Some(early), None) => {
                    sentences.push(format!("In 9 of 10 cases not before {}.", self.view.clock.short_day(early)));
                }
                (None, _) => {}
            }
        }
        if forecast.confidence == Confidence::Low {
            sentences.push("Less than two plan periods of history stand behind this: take it as rough.".into());
        }
        sentences.join(" ")
    }

    fn reasons(&self) -> Vec<String> {
        let policy = &self.view.context.rules.exhaustion.policy;
        let mut lines = vec![format!(
            "The rule `{}` speaks when the chance of running out before the reset reaches {}, or {} within half a \
             period, or {} within a tenth of one; it is critical when the credits are expected to last less than {}.",
            self.view.notice.rule.as_str(),
            words::threshold(policy.raise_at),
            words::threshold(policy.raise_half_at),
            words::threshold(policy.raise_tenth_at),
            words::span(policy.critical_within),
        )];
        let found =
            self.view.forecast().and_then(|f| Some([f.probability?, f.probability_half?, f.probability_tenth?]));
        if let Some([reset, half, tenth]) = found.map(|found| found.map(words::percent)) {
            lines.push(format!("Found now: {reset}, {half} within half a period, and {tenth} within a tenth."));
        }
        match self.view.draw.alert(self.view.notice.rule).state {
            AlertState::Firing { since, .. } if !self.view.is_over() && since < self.view.notice.at => {
                lines.push(format!("True since {}.", self.view.clock.moment(since)));
            }
            AlertState::Resolved { since, level, .. } => {
                let worst = level.stage;
                lines.push(format!("It was true since {}, and {worst} at its worst.", self.view.clock.moment(since)));
            }
            _ => {}
        }
        if !self.view.is_over() {
            let again = words::span(self.view.context.repeat_interval);
            lines.push(format!(
                "You hear of it again when it gets worse, when the expected date has moved a good deal (at most every \
                 {again}), and when it is over."
            ));
        }
        lines.push(
            "Thresholds are set by `alerts.exhaustion`, and who is told by the team's `roles`, in fuelgauge's \
             configuration."
                .into(),
        );
        lines
    }
}
