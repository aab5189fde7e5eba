//! Series about accounts, made from the latest snapshot at each scrape. Nothing is kept between scrapes, so an account
//! that was removed leaves no ghost, and a scrape never waits for a poll.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::buckets::{PURCHASED, balance_team, buckets};
use super::families::{FUEL, Fuel};
use super::fold::Fold;
use super::sheet::Sheet;
use crate::domain::{
    AccountAssessment, Collector, Credits, DrawAssessment, EstimateOutcome, EstimateState, Forecast, FuelLimit,
    OutboxDepth, Provenance, RetryKind, RetryRow, RunOut, SilenceState, Snapshot, SpendRates, Suspicion, TotalsRow,
};

/// Every account family of a snapshot that has samples: name, and text. `accepted` is when channels that keep nothing in the
/// outbox last took something.
pub(super) fn families(
    snapshot: &Snapshot,
    accepted: &BTreeMap<&'static str, Timestamp>,
) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let mut sheet = Sheet::of(FUEL);
    fill(&mut sheet, snapshot);
    for (channel, at) in accepted {
        sheet.add_time(Fuel::NotificationLastSuccess, &[channel], Some(*at));
    }
    sheet.into_families()
}

fn fill(sheet: &mut Sheet, snapshot: &Snapshot) {
    let mut seen = HashSet::new();
    // A name twice would make two samples of one series, which Prometheus refuses together with the whole scrape.
    for account in snapshot.accounts.iter().filter(|account| seen.insert(&account.account)) {
        account_series(sheet, account);
    }
    outbox(sheet, &snapshot.outbox);
    for state in SilenceState::STANDING {
        let silences = snapshot.silences.count(state, snapshot.silences.read_at());
        sheet.add(Fuel::Silences, &[state.as_str()], silences as f64);
    }
}

impl Sheet {
    fn add(&mut self, family: Fuel, labels: &[&str], value: f64) {
        self.put(family as usize, labels, value);
    }

    fn add_time(&mut self, family: Fuel, labels: &[&str], time: Option<Timestamp>) {
        if let Some(time) = time {
            self.add(family, labels, seconds(time));
        }
    }

    fn add_credits(&mut self, family: Fuel, labels: &[&str], credits: Option<Credits>) {
        if let Some(credits) = credits {
            self.add(family, labels, credits.as_f64());
        }
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn account_series(sheet: &mut Sheet, account: &AccountAssessment) {
    let name = account.account.as_str();
    sheet.add(Fuel::AccountInfo, &[name, &account.platform, account.plan_name.as_deref().unwrap_or_default()], 1.0);
    source(sheet, account);
    balance(sheet, account);
    queue(sheet, account);
    plan(sheet, account);
    if account.balance.as_ref().is_some_and(|(_, read_at)| account.is_current(Collector::Balance, *read_at)) {
        sheet.add_credits(Fuel::Unexplained, &[name], account.unexplained);
    }
    sheet.add_credits(Fuel::Granted, &[name, PURCHASED], Some(account.granted));
    sheet.add_credits(Fuel::Expired, &[name, PURCHASED], Some(account.expired));
    ledger(sheet, account);
    prices(sheet, account);
    for draw in draws(account) {
        draw_series(sheet, account, draw);
    }
}

/// The draws, each team once.
fn draws(account: &AccountAssessment) -> impl Iterator<Item = &DrawAssessment> {
    let mut seen = HashSet::new();
    account.draws.iter().filter(move |draw| seen.insert(&draw.key.team))
}

/// The team that facts about the whole account belong to: the only one that draws on it, else none.
fn only_team(account: &AccountAssessment) -> Option<&DrawAssessment> {
    match account.draws.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// The team label of the account's balance.
fn whole_team(account: &AccountAssessment) -> &str {
    balance_team(account.draws.iter().map(|draw| (draw.key.team.as_str(), draw.allowance)))
}

/// Whether the collector exists and has not succeeded lately.
fn is_stale(account: &AccountAssessment, collector: Collector) -> bool {
    account.has(collector) && !account.is_fresh(collector)
}

fn source(sheet: &mut Sheet, account: &AccountAssessment) {
    let name = account.account.as_str();
    let tried: Vec<_> = account.collectors.iter().filter(|status| status.last_attempt_at.is_some()).collect();
    if !tried.is_empty() {
        let up = tried.iter().all(|status| status.last_failure.is_none());
        sheet.add(Fuel::SourceUp, &[name], f64::from(u8::from(up)));
    }
    for collector in Collector::ALL {
        let Some(status) = account.collectors.iter().find(|status| status.collector == collector) else { continue };
        let labels = [name, collector.as_str()];
        sheet.add_time(Fuel::SourceLastSuccess, &labels, status.last_success_at);
        sheet.add_time(Fuel::SourceLastAttempt, &labels, status.last_attempt_at);
        if let Some(duration) = status.last_duration_seconds {
            sheet.add(Fuel::SourcePollDuration, &labels, duration);
        }
    }
}

fn balance(sheet: &mut Sheet, account: &AccountAssessment) {
    let (name, team) = (account.account.as_str(), whole_team(account));
    let current = account.balance.as_ref().filter(|(_, read_at)| account.is_current(Collector::Balance, *read_at));
    if let Some((balance, _)) = current {
        let parts = account.parts().unwrap_or_default();
        for (bucket, credits) in buckets(&parts, balance.frozen) {
            sheet.add_credits(Fuel::Balance, &[name, team, bucket], credits);
        }
        if let Some((expires_at, credits)) = parts.next_expiry {
            sheet.add_time(Fuel::NextExpiry, &[name], Some(expires_at));
            sheet.add_credits(Fuel::NextExpiryCredits, &[name], Some(credits));
        }
    } else if account.balance.is_none() {
        // Without a reported balance the ledger says what the plan's credits leave; it is the same for every draw.
        let fuels = account.draws.iter().filter_map(|draw| draw.fuel.as_ref());
        let from_plan = fuels.filter(|fuel| fuel.fresh).find(|fuel| fuel.limit == FuelLimit::PlanCredits);
        sheet.add_credits(Fuel::Balance, &[name, team, "plan"], from_plan.map(|fuel| fuel.left));
    }
    for draw in draws(account).filter(|_| !is_stale(account, Collector::Charges)) {
        let left = draw.allowance.map(|allowance| allowance - draw.spent).filter(|_| draw.fuel.is_some());
        sheet.add_credits(Fuel::Balance, &[name, draw.key.team.as_str(), "allowance"], left);
    }
}

fn queue(sheet: &mut Sheet, account: &AccountAssessment) {
    let name = account.account.as_str();
    let Some((queue, read_at)) = &account.queue else { return };
    if !account.is_current(Collector::Queue, *read_at) {
        return;
    }
    let team = only_team(account).map_or("", |draw| draw.key.team.as_str());
    sheet.add(Fuel::QueueTasks, &[name, team, "waiting"], f64::from(queue.waiting));
    sheet.add(Fuel::QueueTasks, &[name, team, "running"], f64::from(queue.running));
    if let Some(limit) = queue.limit {
        sheet.add(Fuel::QueueLimit, &[name], f64::from(limit));
    }
    sheet.add_time(Fuel::QueueOldestWaiting, &[name, team], queue.oldest_waiting_at);
}

fn plan(sheet: &mut Sheet, account: &AccountAssessment) {
    let name = account.account.as_str();
    let known = |draw: &&DrawAssessment| {
        let reported = draw.period.as_ref().is_some_and(|period| period.provenance == Provenance::Reported);
        !(reported && is_stale(account, Collector::Plan))
    };
    let whole_team = whole_team(account);
    let budget = account.draws.iter().filter_map(|draw| draw.period.as_ref()).find(|period| period.is_budget());
    if let Some(budget) = budget.and_then(|period| period.allowance).filter(|_| account.is_fresh(Collector::Charges)) {
        sheet.add_credits(Fuel::BudgetLeft, &[name], Some(budget - account.spent));
    }
    if let Some(period) = account.draws.iter().find(known).and_then(|draw| draw.period.as_ref()) {
        // Beside shares of the plan, the whole would be counted twice in a sum.
        let whole = period.allowance.filter(|_| account.draws.iter().all(|draw| draw.allowance.is_none()));
        sheet.add_credits(Fuel::PlanAllowance, &[name, whole_team], whole);
        if whole_team.is_empty() {
            sheet.add_time(Fuel::PlanPeriodStart, &[name, ""], Some(period.start));
            sheet.add_time(Fuel::PlanReset, &[name, ""], Some(period.end));
        }
    }
    for draw in draws(account) {
        let labels = [name, draw.key.team.as_str()];
        sheet.add_credits(Fuel::PlanAllowance, &labels, draw.allowance);
        if let Some(period) = draw.period.as_ref().filter(|_| known(&draw)) {
            sheet.add_time(Fuel::PlanPeriodStart, &labels, Some(period.start));
            sheet.add_time(Fuel::PlanReset, &labels, Some(period.end));
        }
    }
}

/// Counters: never omitted, whatever the age of the last poll.
fn ledger(sheet: &mut Sheet, account: &AccountAssessment) {
    let name = account.account.as_str();
    let fold = Fold::of(account);
    sheet.add(Fuel::FoldedTaskTypes, &[name], fold.folded_task_types as f64);
    sheet.add(Fuel::FoldedQualities, &[name], fold.folded_qualities as f64);
    let unassigned = &account.unassigned;
    totals(sheet, account, &fold, &[name, ""], &unassigned.totals);
    retries(sheet, account, &fold, &[name, ""], &unassigned.totals, &unassigned.retries);
    if !unassigned.totals.is_empty() && !is_stale(account, Collector::Charges) {
        sheet.add_credits(Fuel::Pending, &[name, ""], Some(unassigned.pending));
        sheet.add_credits(Fuel::Unrefunded, &[name, ""], Some(unassigned.unrefunded));
    }
    for draw in draws(account) {
        let labels = [name, draw.key.team.as_str()];
        totals(sheet, account, &fold, &labels, &draw.totals);
        retries(sheet, account, &fold, &labels, &draw.totals, &draw.retries);
    }
}

/// What the price sheet lists, and how far what is charged is off it.
fn prices(sheet: &mut Sheet, account: &AccountAssessment) {
    let Some(prices) = &account.prices else { return };
    let (name, as_of) = (account.account.as_str(), prices.sheet.as_of.to_string());
    sheet.add(Fuel::PriceSheet, &[name, &prices.sheet.platform, &as_of], 1.0);
    if is_stale(account, Collector::Charges) {
        return;
    }
    let fold = Fold::of(account);
    let mut farthest: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for drift in &prices.listed {
        let Some(ratio) = drift.ratio() else { continue };
        let kind = (fold.task_type(&drift.charged.task_type), fold.quality(&drift.charged.quality));
        let known = farthest.entry(kind).or_insert(ratio);
        if (ratio - 1.0).abs() > (*known - 1.0).abs() {
            *known = ratio;
        }
    }
    for ((task_type, quality), ratio) in farthest {
        sheet.add(Fuel::PriceDrift, &[name, task_type, quality], ratio);
    }
}

fn totals(
    sheet: &mut Sheet,
    assessment: &AccountAssessment,
    fold: &Fold<'_>,
    [account, team]: &[&str; 2],
    rows: &[TotalsRow],
) {
    let mut credits: BTreeMap<(&str, &str), (Credits, Credits)> = BTreeMap::new();
    let mut tasks: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for row in rows {
        let task_type = fold.task_type(&row.task_type);
        let (charged, refunded) = credits.entry((task_type, fold.quality(&row.quality))).or_default();
        *charged += row.charged;
        *refunded += row.refunded;
        let (finished, failed, attempts) = tasks.entry(task_type).or_default();
        *finished += row.finished;
        *failed += row.failed;
        *attempts += row.attempts;
    }
    for ((task_type, quality), (charged, refunded)) in credits {
        let labels = [account, team, task_type, quality];
        let told = assessment.told(charged);
        sheet.add_credits(Fuel::Charged, &labels, told);
        sheet.add_credits(Fuel::Refunded, &labels, told.map(|_| refunded));
    }
    for (task_type, (finished, failed, attempts)) in tasks {
        sheet.add(Fuel::TaskAttempts, &[account, team, task_type], attempts as f64);
        sheet.add(Fuel::TasksFinished, &[account, team, task_type], finished as f64);
        sheet.add(Fuel::TasksFailed, &[account, team, task_type], failed as f64);
    }
}

/// Both kinds for every task type that the team ever launched, so that a rate sees the first retry.
fn retries(
    sheet: &mut Sheet,
    assessment: &AccountAssessment,
    fold: &Fold<'_>,
    [account, team]: &[&str; 2],
    totals: &[TotalsRow],
    rows: &[RetryRow],
) {
    let mut retries: BTreeMap<(&str, RetryKind), (u64, Credits)> = BTreeMap::new();
    for row in totals {
        for kind in RetryKind::ALL {
            retries.entry((fold.task_type(&row.task_type), kind)).or_default();
        }
    }
    for row in rows {
        let task_type = fold.task_type(&row.task_type);
        for kind in RetryKind::ALL {
            let (tasks, credits) = retries.entry((task_type, kind)).or_default();
            if kind == row.kind {
                *tasks += row.tasks;
                *credits += row.credits;
            }
        }
    }
    for ((task_type, kind), (tasks, credits)) in retries {
        let labels = [account, team, task_type, kind.as_str()];
        sheet.add(Fuel::TaskRetries, &labels, tasks as f64);
        sheet.add_credits(Fuel::RetryCredits, &labels, assessment.told(credits));
    }
}

fn draw_series(sheet: &mut Sheet, account: &AccountAssessment, draw: &DrawAssessment) {
    let (name, team) = (draw.key.account.as_str(), draw.key.team.as_str());
    for rule in account.rules.iter() {
        let firing = draw.firing().find(|(firing, _)| firing == rule).map(|(_, stage)| stage);
        for stage in rule.stages() {
            let labels = [name, team, rule.as_str(), stage.as_str()];
            sheet.add(Fuel::AlertsActive, &labels, f64::from(u8::from(firing == Some(*stage))));
        }
    }
    for kind in ["pace", "batch"] {
        let of_kind = draw.announced.iter().filter(|announced| announced.announcement.foreseen.kind() == kind);
        sheet.add(Fuel::Announcements, &[name, team, kind], of_kind.count() as f64);
    }
    estimates(sheet, &[name, team], draw);
    if is_stale(account, Collector::Charges) {
        return;
    }
    let planned = draw.estimates.iter().filter(|estimate| estimate.is_planned);
    let planned = planned.map(|estimate| estimate.remaining().p50).sum();
    sheet.add_credits(Fuel::EstimatesPlanned, &[name, team], Some(planned));
    // Where no task's cost is known there is no sum.
    let queued = Some(draw.queued).filter(|queued| queued.tasks > 0 || queued.unknown_tasks == 0);
    sheet.add_credits(Fuel::QueuedCharges, &[name, team], queued.and_then(|queued| account.told(queued.credits)));
    sheet.add_credits(Fuel::Pending, &[name, team], account.told(draw.pending));
    sheet.add_credits(Fuel::Unrefunded, &[name, team], account.told(draw.unrefunded));
    for reason in Suspicion::ALL {
        let labels = [name, team, reason.as_str()];
        let (count, credits) = draw.suspects.of(reason);
        sheet.add(Fuel::SuspectCharges, &labels, count as f64);
        sheet.add_credits(Fuel::SuspectCredits, &labels, Some(credits));
    }
    let tank = draw.tank().filter(|tank| tank.fresh);
    let lasting_pace = tank.zip(draw.period.as_ref()).and_then(|(fuel, period)| {
        let seconds_left = period.end.duration_since(account.at).as_secs_f64();
        (fuel.left.is_positive() && seconds_left > 0.0).then(|| fuel.left.as_f64() / seconds_left)
    });
    for (window, pace) in windows(draw.spend) {
        let Some(pace) = pace else { continue };
        sheet.add(Fuel::Spend, &[name, team, window], pace);
    }
    for (window, pace) in windows(draw.tank_spend()) {
        let Some((pace, lasting_pace)) = pace.zip(lasting_pace) else { continue };
        sheet.add(Fuel::BurnRatio, &[name, team, window], pace / lasting_pace);
    }
    if let Some(forecast) = draw.outlook.forecast().filter(|_| tank.is_some()) {
        forecast_series(sheet, &[name, team], forecast);
        if let Some(run_out) = &draw.plan_run_out {
            runway(sheet, Fuel::PlanRunway, &[name, team], run_out, forecast.at);
        }
        sheet.add_credits(Fuel::Unused, &[name, team], account.lapsing(draw));
    }
}

/// All outcomes from the first estimate on, so that a rate sees the first that ends.
fn estimates(sheet: &mut Sheet, labels: &[&str; 2], draw: &DrawAssessment) {
    let [account, team] = *labels;
    let open = draw.estimates.iter().filter(|estimate| estimate.state == EstimateState::Open).count();
    sheet.add(Fuel::EstimatesOpen, labels, open as f64);
    if draw.estimates.is_empty() {
        return;
    }
    for outcome in EstimateOutcome::ALL {
        let closed = draw.accuracy.closed(outcome);
        sheet.add(Fuel::EstimatesClosed, &[account, team, outcome.as_str()], closed as f64);
    }
    sheet.add_credits(Fuel::EstimatesExpected, labels, Some(draw.accuracy.expected));
    sheet.add_credits(Fuel::EstimatesCharged, labels, Some(draw.accuracy.charged));
}

fn windows(spend: SpendRates) -> [(&'static str, Option<f64>); 3] {
    [("1h", spend.hour), ("1d", spend.day), ("7d", spend.week)]
}

fn forecast_series(sheet: &mut Sheet, labels: &[&str; 2], forecast: &Forecast) {
    let [account, team] = *labels;
    let run_out = &forecast.run_out;
    runway(sheet, Fuel::Runway, labels, run_out, forecast.at);
    for (bound, time) in bounds(run_out) {
        sheet.add_time(Fuel::Exhaustion, &[account, team, bound], time);
    }
    if let Some(probability) = forecast.probability {
        sheet.add(Fuel::ExhaustionProbability, labels, probability);
    }
}

fn runway(sheet: &mut Sheet, family: Fuel, [account, team]: &[&str; 2], run_out: &RunOut, now: Timestamp) {
    for (bound, time) in bounds(run_out) {
        let Some(time) = time else { continue };
        sheet.add(family, &[account, team, bound], time.duration_since(now).as_secs_f64().max(0.0));
    }
}

fn bounds(run_out: &RunOut) -> [(&'static str, Option<Timestamp>); 3] {
    [("p10", run_out.p10), ("p50", run_out.p50), ("p90", run_out.p90)]
}

fn outbox(sheet: &mut Sheet, outbox: &OutboxDepth) {
    for depth in &outbox.channels {
        let channel = depth.channel.as_str();
        let states = [
            ("waiting", depth.waiting),
            ("held", depth.held),
            ("failed", depth.failed),
            ("sent", depth.sent),
            ("merged", depth.merged),
        ];
        for (state, messages) in states {
            sheet.add(Fuel::OutboxMessages, &[channel, state], messages as f64);
        }
        sheet.add_time(Fuel::OutboxOldest, &[channel], depth.oldest_waiting_at);
        sheet.add_time(Fuel::ChannelPaused, &[channel], depth.pause.as_ref().map(|pause| pause.until));
        sheet.add_time(Fuel::NotificationLastSuccess, &[channel], depth.last_sent_at);
    }
}

#[cfg(test)]
#[path = "fuel_tests.rs"]
mod tests;
