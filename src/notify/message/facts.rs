//! What a mail says, ready for the templates: every sentence and number as text, foreign words made harmless.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::actions::{self, Action, LEAST_SHARE};
use super::words::{self, ReaderClock};
use super::{Drivers, MessageContext};
use crate::domain::words::other_use;
use crate::domain::{
    AccountAssessment, AlertState, Collector, Confidence, Credits, DrawAssessment, Forecast, Fuel, FuelLimit, Notice,
    Outlook, PlanPeriod, RetryKind, RetryRow, Stage, StandingAnnouncement, TotalsRow, Why,
};

/// The content of a mail, in the order in which it is read.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    team: String,
    account: String,
    names_account: bool,
    /// The day of the reset, for the subject; empty without one.
    deadline: String,
    /// `critical`, `warning` or `good`: how it looks.
    tone: &'static str,
    /// The state, first word of the body.
    pub(super) state: String,
    /// What will happen and when.
    pub(super) headline: String,
    how_sure: String,
    /// Pace, largest task type and retries, in a sentence or two; empty where nothing is known.
    drivers: String,
    actions: Vec<Action>,
    numbers: Vec<Number>,
    /// The drivers in full.
    spending: Option<Spending>,
    data_age: Vec<String>,
    reasons: Vec<String>,
    link: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Spending {
    /// Over which time.
    title: String,
    rows: Vec<SpendingRow>,
    retries: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct SpendingRow {
    what: String,
    credits: String,
    share: String,
}

#[derive(Clone, Debug, Serialize)]
struct Number {
    label: &'static str,
    value: String,
}

/// So many announcements are told; the page has all of them.
const MOST_ANNOUNCED: usize = 3;

/// Task types named one by one; the rest is summed up.
const LARGEST_TYPES: usize = 3;

impl Facts {
    pub(super) fn new(
        notice: &Notice,
        assessment: &AccountAssessment,
        draw: &DrawAssessment,
        context: &MessageContext,
    ) -> Facts {
        let view = View { notice, assessment, draw, context, clock: ReaderClock::new(&context.zone, notice.at) };
        let is_over = view.is_over();
        let deadline = notice.period_end.map(|end| view.clock.deadline(end, end.duration_since(notice.period_start)));
        Facts {
            team: words::clean(notice.key.team.as_str(), 64),
            account: words::clean(notice.key.account.as_str(), 64),
            names_account: context.names_account,
            deadline: deadline.unwrap_or_default(),
            tone: if is_over { "good" } else { notice.stage.as_str() },
            state: view.state(),
            headline: view.headline(),
            how_sure: view.how_sure(),
            drivers: if is_over { String::new() } else { view.drivers() },
            actions: if is_over { Vec::new() } else { view.actions() },
            numbers: view.numbers(),
            spending: if is_over { None } else { view.spending() },
            data_age: view.data_age(),
            reasons: view.reasons(),
            link: view.link(),
        }
    }
}

struct View<'a> {
    notice: &'a Notice,
    assessment: &'a AccountAssessment,
    draw: &'a DrawAssessment,
    context: &'a MessageContext,
    clock: ReaderClock<'a>,
}

impl View<'_> {
    fn is_over(&self) -> bool {
        matches!(self.notice.why, Why::Resolved | Why::PlanReset)
    }

    fn forecast(&self) -> Option<&Forecast> {
        self.draw.outlook.forecast()
    }

    /// The reset that lies ahead.
    fn reset(&self) -> Option<Timestamp> {
        match self.notice.why {
            Why::PlanReset => self.draw.period.as_ref().map(|period| period.end),
            _ => self.notice.period_end.or(self.draw.period.as_ref().map(|period| period.end)),
        }
    }

    fn is_budget(&self) -> bool {
        self.draw.period.as_ref().is_some_and(PlanPeriod::is_budget)
    }

    /// What happens at the end of the period.
    fn ends(&self) -> &'static str {
        if self.is_budget() { "the budget ends" } else { "the plan resets" }
    }

    /// What the end of the period is called.
    fn end(&self) -> &'static str {
        self.draw.period.as_ref().map_or("the reset", PlanPeriod::end_in_words)
    }

    fn is_used_up(&self) -> bool {
        let none_left = self.draw.fuel.as_ref().is_some_and(|fuel| !fuel.left.is_positive());
        none_left || self.forecast().and_then(|f| f.run_out.p50).is_some_and(|run_out| run_out <= self.notice.at)
    }

    fn state(&self) -> String {
        let stage = match self.notice.stage {
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

    fn headline(&self) -> String {
        let team = words::clean(self.notice.key.team.as_str(), 64);
        let reset = self.reset();
        let ends = self.ends();
        match self.notice.why {
            Why::PlanReset => {
                let when = self.notice.period_end.map(|end| format!(" on {}", self.clock.moment(end)));
                let when = when.unwrap_or_default();
                let begun = match self.is_budget() {
                    true => format!("the budget of team {team} began anew{when}"),
                    false => format!("the plan of team {team} was reset{when}"),
                };
                format!("{begun}. The alert of the last period is closed.")
            }
            Why::Resolved => {
                let until = reset.map_or("".into(), |reset| format!(" on {}", self.clock.moment(reset)));
                format!("the credits of team {team} are now expected to last until {ends}{until}.")
            }
            Why::Opened | Why::Worsened | Why::Repeated if self.is_used_up() => {
                let wait = reset.map(|reset| {
                    let left = words::span(reset.duration_since(self.notice.at));
                    let ends = if self.is_budget() { "The budget ends" } else { "The plan resets" };
                    format!(" {ends} on {}, in {left}.", self.clock.moment(reset))
                });
                format!("team {team} has used up its credits.{}", wait.unwrap_or_default())
            }
            Why::Opened | Why::Worsened | Why::Repeated => self.run_out_sentence(&team, reset),
        }
    }

    fn run_out_sentence(&self, team: &str, reset: Option<Timestamp>) -> String {
        let forecast = self.forecast();
        let run_out = forecast.and_then(|f| f.run_out.p50).filter(|run_out| reset.is_none_or(|end| *run_out < end));
        let probability = forecast.and_then(|f| f.probability).unwrap_or(0.5);
        let ends = self.ends();
        match (run_out, reset) {
            (Some(run_out), Some(reset)) => format!(
                "the credits of team {team} {} around {}, {} before {ends}.",
                words::run_out_verb(probability),
                self.clock.rough_moment(run_out),
                words::span(reset.duration_since(run_out)),
            ),
            (Some(run_out), None) => {
                format!("the credits of team {team} may run out around {}.", self.clock.rough_moment(run_out))
            }
            (None, Some(reset)) => {
                format!("the credits of team {team} may run out before {ends} on {}.", self.clock.moment(reset))
            }
            (None, None) => format!("the credits of team {team} may run out."),
        }
    }

    fn how_sure(&self) -> String {
        let forecast = match &self.draw.outlook {
            Outlook::Forecast(forecast) => forecast,
            Outlook::UnknownBalance => return "How much is left is not known at the moment.".into(),
            Outlook::TooLittleHistory { .. } => return "There is too little history for a forecast.".into(),
        };
        if self.is_used_up() && self.notice.why != Why::PlanReset {
            return String::new();
        }
        let mut sentences = Vec::new();
        if let Some(probability) = forecast.probability {
            let (chance, percent) = (words::chance(probability), words::percent(probability));
            let end = self.end();
            sentences.push(format!("{chance}: {percent} that the credits run out before {end}."));
        }
        if !self.is_over() {
            match (forecast.run_out.p10, forecast.run_out.p90) {
                (Some(early), Some(late)) => {
                    sentences.push(format!("In 8 of 10 cases {}.", self.clock.between(early, late)));
                }
                (Some(early), None) => {
                    sentences.push(format!("In 9 of 10 cases not before {}.", self.clock.short_day(early)));
                }
                (None, _) => {}
            }
        }
        if forecast.confidence == Confidence::Low {
            sentences.push("Less than two plan periods of history stand behind this: take it as rough.".into());
        }
        sentences.join(" ")
    }

    /// What was spent on, and over which time: in the period if the caller knows, else since records began.
    fn records(&self) -> (&[TotalsRow], &[RetryRow], &'static str) {
        match &self.context.drivers {
            Some(Drivers { totals, retries }) => (totals, retries, "in this plan period"),
            None => (&self.draw.totals, &self.draw.retries, "since records began"),
        }
    }

    fn drivers(&self) -> String {
        let (totals, retries, over) = self.records();
        let (whole, charged) = (totals.iter().map(net).sum(), totals.iter().map(|row| row.charged).sum());
        let largest = totals.iter().max_by_key(|row| net(row));
        let mut sentences: Vec<String> = self.pace().into_iter().collect();
        if let Some((row, share)) = largest.and_then(|row| Some((row, words::share(net(row), whole)?))) {
            let share = words::percent(share);
            sentences.push(format!("Of the credits spent {over}, {share} went to {}.", words::kind_of_task(row)));
        }
        // Retries are counted within the task types, so their share is a sentence of its own.
        for kind in RetryKind::ALL {
            let share = words::share(retries_of(retries, kind).1, charged).filter(|share| *share >= LEAST_SHARE);
            sentences.extend(share.map(|share| format!("{} took {}.", retry_words(kind).0, words::percent(share))));
        }
        sentences.extend(self.announced());
        sentences.extend(self.queued());
        sentences.join(" ")
    }

    /// What was announced and moves the forecast, the largest effects first.
    fn announced(&self) -> Option<String> {
        let effect =
            |announced: &StandingAnnouncement| Some(announced.effect?.as_f64()).filter(|effect| *effect != 0.0);
        let mut moving: Vec<(&StandingAnnouncement, f64)> =
            self.draw.announced.iter().filter_map(|announced| Some((announced, effect(announced)?))).collect();
        moving.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let part = |(announced, effect): &(&StandingAnnouncement, f64)| {
            let what = announced.announcement.foreseen.in_words(&self.context.zone);
            let more = if *effect < 0.0 { "less" } else { "more" };
            Some(format!("{what} (about {} {more})", words::statistic(effect.abs())?))
        };
        let parts: Vec<String> = moving.iter().take(MOST_ANNOUNCED).filter_map(part).collect();
        (!parts.is_empty()).then(|| format!("Announced: {}.", parts.join("; ")))
    }

    fn queued(&self) -> Option<String> {
        let queued = Some(&self.draw.queued).filter(|queued| queued.to_take_off().is_positive())?;
        let tasks = words::counted(&words::amount(whole_number(queued.tasks)), "task");
        Some(format!("Launched and not charged yet: {tasks}, about {}.", words::credits(queued.credits)))
    }

    fn spending(&self) -> Option<Spending> {
        let (totals, retries, over) = self.records();
        let whole: Credits = totals.iter().map(net).sum();
        let line = |what: String, credits: Credits| {
            let share = words::share(credits, whole).map(words::percent).unwrap_or_default();
            SpendingRow { what, credits: words::amount(credits), share }
        };
        let mut sorted: Vec<&TotalsRow> = totals.iter().filter(|row| net(row).is_positive()).collect();
        sorted.sort_by_key(|row| (-net(row), &row.task_type, &row.quality));
        let (largest, rest) = sorted.split_at(sorted.len().min(LARGEST_TYPES));
        let mut rows: Vec<SpendingRow> = largest.iter().map(|row| line(words::kind_of_task(row), net(row))).collect();
        if !rest.is_empty() {
            rows.push(line("everything else".into(), rest.iter().map(|row| net(row)).sum()));
        }
        let retries = RetryKind::ALL.into_iter().filter_map(|kind| {
            let (tasks, credits) = retries_of(retries, kind);
            let tasks = (tasks > 0).then(|| words::counted(&words::amount(whole_number(tasks)), "task"))?;
            let cost = self.assessment.told(credits).map(|credits| format!(", {}", words::credits(credits)));
            Some(format!("Among them {}: {tasks}{}.", retry_words(kind).1, cost.unwrap_or_default()))
        });
        (!rows.is_empty()).then(|| Spending { title: format!("Spent {over}"), rows, retries: retries.collect() })
    }

    /// The pace against the pace that would last.
    fn pace(&self) -> Option<String> {
        let (forecast, fuel, reset) = (self.forecast()?, self.draw.tank()?, self.reset()?);
        let pace = forecast.pace_per_hour * 24.0;
        let lasting = actions::lasting_pace(fuel, reset.duration_since(forecast.at));
        let pace_text = words::statistic(pace)?;
        let compared =
            lasting.and_then(|lasting| Some((pace / lasting, words::amount(Credits::from_statistic(lasting)?))));
        let whole = match &self.draw.shared {
            Some(_) => format!("{} the pace is about", capitalised(other_use(self.assessment))),
            None => "The pace is about".into(),
        };
        let own = actions::own_part(self.draw, forecast).filter(|_| self.draw.shared.is_some());
        let own = own.and_then(|part| words::statistic(pace * part));
        let own = own.map(|own| format!(" The team's own part is about {own}.")).unwrap_or_default();
        Some(match compared {
            None => format!("{whole} {pace_text} a day.{own}"),
            Some((times, lasting)) if times >= 1.1 => {
                format!("{whole} {pace_text} a day, {times:.1} times the {lasting} that would last.{own}")
            }
            Some((_, lasting)) => format!("{whole} {pace_text} a day; {lasting} would last.{own}"),
        })
    }

    fn actions(&self) -> Vec<Action> {
        let (totals, retries, _) = self.records();
        self.forecast().map(|f| actions::actions(self.assessment, self.draw, f, totals, retries)).unwrap_or_default()
    }

    fn numbers(&self) -> Vec<Number> {
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

    fn data_age(&self) -> Vec<String> {
        let ago = |at: Timestamp| {
            let age = self.notice.at.duration_since(at);
            if age < SignedDuration::from_mins(1) { "less than a minute".into() } else { words::span(age) }
        };
        let mut lines = Vec::new();
        if let Some(fuel) = &self.draw.fuel {
            let doubt = if fuel.fresh { "" } else { ", which is older than it should be" };
            let moment = self.clock.moment(fuel.as_of);
            lines.push(format!("Credits left: as of {moment}, {} before this mail{doubt}.", ago(fuel.as_of)));
        }
        let charges = self.assessment.collectors.iter().find(|status| status.collector == Collector::Charges);
        if let Some(read) = charges.and_then(|status| status.last_success_at) {
            lines.push(format!("Charges: read {} before this mail.", ago(read)));
        }
        lines.push(format!("Times are those of {}.", self.clock.zone_name()));
        lines
    }

    fn reasons(&self) -> Vec<String> {
        let policy = &self.context.policy;
        let mut lines = vec![format!(
            "The rule `{}` speaks when the chance of running out before the reset reaches {}, or {} within half a \
             period, or {} within a tenth of one; it is critical when the credits are expected to last less than {}.",
            self.notice.rule.as_str(),
            words::threshold(policy.raise_at),
            words::threshold(policy.raise_half_at),
            words::threshold(policy.raise_tenth_at),
            words::span(policy.critical_within),
        )];
        let found = self.forecast().and_then(|f| Some([f.probability?, f.probability_half?, f.probability_tenth?]));
        if let Some([reset, half, tenth]) = found.map(|found| found.map(words::percent)) {
            lines.push(format!("Found now: {reset}, {half} within half a period, and {tenth} within a tenth."));
        }
        let alert = self.draw.alerts.iter().find(|(rule, _)| *rule == self.notice.rule).map(|(_, alert)| &alert.state);
        match alert {
            Some(AlertState::Firing { since, .. }) if !self.is_over() && *since < self.notice.at => {
                lines.push(format!("True since {}.", self.clock.moment(*since)));
            }
            Some(AlertState::Resolved { since, stage, .. }) => {
                lines.push(format!("It was true since {}, and {stage} at its worst.", self.clock.moment(*since)));
            }
            _ => {}
        }
        if !self.is_over() {
            let again = words::span(self.context.repeat_interval);
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

    fn link(&self) -> Option<String> {
        let base = self.context.external_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/teams/{}", words::path_segment(self.notice.key.team.as_str())))
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn net(row: &TotalsRow) -> Credits {
    row.charged - row.refunded
}

/// How many retries of a kind there were, and what was charged for them.
fn retries_of(retries: &[RetryRow], kind: RetryKind) -> (u64, Credits) {
    let of_kind = || retries.iter().filter(|row| row.kind == kind);
    (of_kind().map(|row| row.tasks).sum(), of_kind().map(|row| row.credits).sum())
}

/// What retries of a kind are called, in short and explained.
const fn retry_words(kind: RetryKind) -> (&'static str, &'static str) {
    match kind {
        RetryKind::Rerun => ("Re-runs", "re-runs of tasks that had succeeded"),
        RetryKind::Resubmission => ("Re-submissions", "re-submissions of tasks that had failed"),
    }
}

fn whole_number(count: u64) -> Credits {
    Credits::from_whole(i64::try_from(count).unwrap_or(i64::MAX))
}
