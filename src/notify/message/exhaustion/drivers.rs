//! Why: what the credits went to. The most telling parts in a few sentences, the parts in tables.

use serde::Serialize;

use super::Exhaustion;
use crate::domain::remedy::{LEAST_SHARE, lasting_pace, own_part, share};
use crate::domain::words::other_use;
use crate::domain::{Credits, Drivers, RetryKind, StandingAnnouncement};
use crate::notify::message::layout::Table;
use crate::notify::message::spending::{self, net, retries_of, spent, who};
use crate::notify::message::words;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Spending {
    /// Over which time.
    title: &'static str,
    tables: Vec<Table>,
    retries: Vec<String>,
}

/// So many announcements are told; the page has all of them.
const MOST_ANNOUNCED: usize = 3;
/// What one asset took of everything to be named in a sentence.
const TELLING_SHARE: f64 = 0.1;
/// And what one member took.
const TELLING_SHARE_OF_ONE: f64 = 0.4;
/// An asset that was launched so often is a story of its own.
const MANY_ATTEMPTS: u64 = 3;

impl Exhaustion<'_> {
    fn spent_on(&self) -> Option<&Drivers> {
        self.view.context.drivers.as_ref()
    }

    /// In which the drivers are what they are.
    fn over(&self) -> &'static str {
        match (self.view.draw.period.is_some(), self.view.is_budget()) {
            (false, _) => "since records began",
            (true, false) => "in this plan period",
            (true, true) => "in this budget period",
        }
    }

    /// A few sentences; empty where nothing is known.
    pub(super) fn drivers(&self) -> String {
        let mut sentences: Vec<String> = self.pace().into_iter().collect();
        if let Some(spent_on) = self.spent_on() {
            sentences.extend(self.shares(spent_on));
            sentences.extend(self.telling_asset(spent_on));
            sentences.extend(telling_spender(spent_on));
        }
        sentences.extend(self.announced());
        sentences.extend(self.planned());
        sentences.extend(self.queued());
        sentences.join(" ")
    }

    /// The largest kind of task, and retries, which are counted within the kinds.
    fn shares(&self, spent_on: &Drivers) -> Option<String> {
        let row = spent_on.totals.iter().max_by_key(|row| net(row))?;
        let largest = words::part(share(net(row), spent(spent_on))?);
        let kind = words::kind_of_task(&row.task_type, &row.quality);
        let charged = spent_on.totals.iter().map(|row| row.charged).sum();
        let retries = RetryKind::ALL.into_iter().filter_map(|kind| {
            let share = share(retries_of(&spent_on.retries, kind).1, charged).filter(|share| *share >= LEAST_SHARE)?;
            Some(format!("; {} took {}", retry_words(kind).0, words::part(share)))
        });
        let whose = if self.view.draw.period.is_some() { "this period's" } else { "all" };
        Some(format!("{largest} of {whose} credits went to {kind}{}.", retries.collect::<String>()))
    }

    /// The asset that was repeated most, or else the one that cost most, where it says something.
    fn telling_asset(&self, spent_on: &Drivers) -> Option<String> {
        let candidates = spent_on.most_repeated.iter().chain(spent_on.assets.first());
        let mut telling = candidates.filter_map(|asset| {
            let share = share(asset.net, spent(spent_on)).filter(|share| *share >= TELLING_SHARE)?;
            (asset.attempts >= MANY_ATTEMPTS).then_some((asset, share))
        });
        let (asset, share) = telling.next()?;
        let project = asset.project.as_ref().map(|project| format!(" of project {}", words::clean(project, 40)));
        Some(format!(
            "One asset{} took {}: {}, last on {}, {}.",
            project.unwrap_or_default(),
            words::part(share),
            words::counted(&words::count(asset.attempts), "attempt"),
            self.view.clock.short_day(asset.last_at),
            words::kind_of_task(&asset.task_type, &asset.quality),
        ))
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

    /// Recorded estimates of which something is to come, the oldest first.
    fn planned(&self) -> Option<String> {
        let planned = self.view.draw.estimates.iter().filter_map(|estimate| estimate.to_come_in_words());
        let parts: Vec<String> = planned.take(MOST_ANNOUNCED).map(|to_come| words::clean(&to_come, 160)).collect();
        (!parts.is_empty()).then(|| format!("Planned: {}.", parts.join("; ")))
    }

    fn queued(&self) -> Option<String> {
        let queued = Some(&self.view.draw.queued).filter(|queued| queued.to_take_off().is_positive())?;
        let tasks = words::counted(&words::count(queued.tasks), "task");
        Some(format!("Launched and not charged yet: {tasks}, about {}.", words::credits(queued.credits)))
    }

    /// The pace against the pace that would last.
    fn pace(&self) -> Option<String> {
        let (forecast, fuel, reset) = (self.view.forecast()?, self.view.draw.tank()?, self.view.reset()?);
        let pace = forecast.pace_per_hour * 24.0;
        let lasting = lasting_pace(fuel, reset.duration_since(forecast.at));
        let pace_text = words::statistic(pace)?;
        let compared =
            lasting.and_then(|lasting| Some((pace / lasting, words::amount(Credits::from_statistic(lasting)?))));
        let whole = match &self.view.draw.shared {
            Some(_) => format!("{} the pace is about", words::capitalised(other_use(self.view.assessment))),
            None => "The pace is about".into(),
        };
        let own = own_part(self.view.draw, forecast).filter(|_| self.view.draw.shared.is_some());
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

    /// The parts in full.
    pub(super) fn spending(&self) -> Option<Spending> {
        let spent_on = self.spent_on()?;
        let clock = &self.view.clock;
        let tables = [spending::by_kind(spent_on), spending::by_spender(spent_on), spending::by_asset(spent_on, clock)];
        let tables: Vec<Table> = tables.into_iter().flatten().collect();
        let retries = RetryKind::ALL.into_iter().filter_map(|kind| {
            let (tasks, credits) = retries_of(&spent_on.retries, kind);
            let tasks = (tasks > 0).then(|| words::counted(&words::count(tasks), "task"))?;
            let cost = self.view.assessment.told(credits).map(|credits| format!(", {}", words::credits(credits)));
            Some(format!("Among them {}: {tasks}{}.", retry_words(kind).1, cost.unwrap_or_default()))
        });
        let title = match self.over() {
            "in this plan period" => "Spent in this plan period",
            "in this budget period" => "Spent in this budget period",
            _ => "Spent since records began",
        };
        (!tables.is_empty()).then(|| Spending { title, tables, retries: retries.collect() })
    }
}

/// Who spent most, where that is much and there are others.
fn telling_spender(spent_on: &Drivers) -> Option<String> {
    let largest = spent_on.spenders.first().filter(|_| spent_on.spenders.len() > 1)?;
    let share = share(largest.net, spent(spent_on)).filter(|share| *share >= TELLING_SHARE_OF_ONE)?;
    Some(format!("{} was launched by {}.", words::part(share), who(largest)))
}

/// What retries of a kind are called, in short and explained.
const fn retry_words(kind: RetryKind) -> (&'static str, &'static str) {
    match kind {
        RetryKind::Rerun => ("re-runs", "re-runs of tasks that had succeeded"),
        RetryKind::Resubmission => ("re-submissions", "re-submissions of tasks that had failed"),
    }
}
