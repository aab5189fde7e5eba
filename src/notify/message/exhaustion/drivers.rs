//! What the credits went to: the largest part in a sentence, the parts in a table.

use serde::Serialize;

use super::Exhaustion;
use super::actions::{self, Action, LEAST_SHARE};
use crate::domain::words::other_use;
use crate::domain::{Credits, RetryKind, RetryRow, StandingAnnouncement, TotalsRow};
use crate::notify::message::{Drivers, words};

#[derive(Clone, Debug, Serialize)]
pub(super) struct Spending {
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

/// So many announcements are told; the page has all of them.
const MOST_ANNOUNCED: usize = 3;

/// Task types named one by one; the rest is summed up.
const LARGEST_TYPES: usize = 3;

impl Exhaustion<'_> {
    pub(super) fn drivers(&self) -> String {
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

    pub(super) fn actions(&self) -> Vec<Action> {
        let (totals, retries, _) = self.records();
        self.view
            .forecast()
            .map(|f| actions::actions(self.view.assessment, self.view.draw, f, totals, retries))
            .unwrap_or_default()
    }

    pub(super) fn spending(&self) -> Option<Spending> {
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
            let cost = self.view.assessment.told(credits).map(|credits| format!(", {}", words::credits(credits)));
            Some(format!("Among them {}: {tasks}{}.", retry_words(kind).1, cost.unwrap_or_default()))
        });
        (!rows.is_empty()).then(|| Spending { title: format!("Spent {over}"), rows, retries: retries.collect() })
    }

    /// What was spent on, and over which time: in the period if the caller knows, else since records began.
    fn records(&self) -> (&[TotalsRow], &[RetryRow], &'static str) {
        match &self.view.context.drivers {
            Some(Drivers { totals, retries }) => (totals, retries, "in this plan period"),
            None => (&self.view.draw.totals, &self.view.draw.retries, "since records began"),
        }
    }

    /// What was announced and moves the forecast, the largest effects first.
    fn announced(&self) -> Option<String> {
        let effect =
            |announced: &StandingAnnouncement| Some(announced.effect?.as_f64()).filter(|effect| *effect != 0.0);
        let mut moving: Vec<(&StandingAnnouncement, f64)> =
            self.view.draw.announced.iter().filter_map(|announced| Some((announced, effect(announced)?))).collect();
        moving.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let part = |(announced, effect): &(&StandingAnnouncement, f64)| {
            let what = announced.announcement.foreseen.in_words(&self.view.context.zone);
            let more = if *effect < 0.0 { "less" } else { "more" };
            Some(format!("{what} (about {} {more})", words::statistic(effect.abs())?))
        };
        let parts: Vec<String> = moving.iter().take(MOST_ANNOUNCED).filter_map(part).collect();
        (!parts.is_empty()).then(|| format!("Announced: {}.", parts.join("; ")))
    }

    fn queued(&self) -> Option<String> {
        let queued = Some(&self.view.draw.queued).filter(|queued| queued.to_take_off().is_positive())?;
        let tasks = words::counted(&words::amount(whole_number(queued.tasks)), "task");
        Some(format!("Launched and not charged yet: {tasks}, about {}.", words::credits(queued.credits)))
    }

    /// The pace against the pace that would last.
    fn pace(&self) -> Option<String> {
        let (forecast, fuel, reset) = (self.view.forecast()?, self.view.draw.tank()?, self.view.reset()?);
        let pace = forecast.pace_per_hour * 24.0;
        let lasting = actions::lasting_pace(fuel, reset.duration_since(forecast.at));
        let pace_text = words::statistic(pace)?;
        let compared =
            lasting.and_then(|lasting| Some((pace / lasting, words::amount(Credits::from_statistic(lasting)?))));
        let whole = match &self.view.draw.shared {
            Some(_) => format!("{} the pace is about", capitalised(other_use(self.view.assessment))),
            None => "The pace is about".into(),
        };
        let own = actions::own_part(self.view.draw, forecast).filter(|_| self.view.draw.shared.is_some());
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
