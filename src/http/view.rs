//! The pages as values: every text that a template shows, ready to be escaped.

use jiff::Timestamp;
use serde::Serialize;

use super::chart::{self, Chart};
use super::verdict::{Tone, Verdict, verdict};
use super::words::{self, NOT_KNOWN};
use crate::domain::{
    AccountAssessment, AlertState, Collector, CollectorStatus, Confidence, Credits, DrawAssessment, FuelLimit,
    OutboxDepth, Outlook, QueueRecord, RetryRow, RuleName, Snapshot, TotalsRow,
};

/// The front page.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Every draw, the most urgent first.
    gauges: Vec<Gauge>,
    /// How reading each account goes.
    accounts: Vec<Health>,
    /// Mails waiting.
    outbox: Outbox,
}

/// One team's page: each of its draws.
#[derive(Debug, Serialize)]
pub struct TeamPage {
    team: String,
    draws: Vec<DrawPage>,
}

/// The list of alerts.
#[derive(Debug, Serialize)]
pub struct AlertsPage {
    firing: Vec<AlertRow>,
    quiet: Vec<AlertRow>,
}

/// One draw's gauge.
#[derive(Debug, Serialize)]
struct Gauge {
    team: String,
    team_path: String,
    account: String,
    platform: String,
    alert: Option<AlertRow>,
    verdict: Verdict,
    left: Option<String>,
    capacity: Option<String>,
    bar: Option<Bar>,
    facts: Vec<Fact>,
    notes: Vec<String>,
}

/// The tank, in thousandths of its width.
#[derive(Debug, Serialize)]
struct Bar {
    fill: i64,
    marker: Option<Marker>,
}

/// Where the tank should stand now for an even pace.
#[derive(Debug, Serialize)]
struct Marker {
    at: i64,
    amount: String,
}

#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
    more: Option<String>,
}

#[derive(Debug, Serialize)]
struct DrawPage {
    gauge: Gauge,
    chart: Option<Chart>,
    charges: Vec<ChargeRow>,
    retries: Vec<RetryLine>,
    queue: Option<Queue>,
    queue_is_shared: bool,
}

#[derive(Debug, Serialize)]
struct ChargeRow {
    task_type: String,
    quality: String,
    finished: String,
    failed: String,
    charged: String,
    refunded: String,
    net: String,
}

#[derive(Debug, Serialize)]
struct RetryLine {
    task_type: String,
    kind: &'static str,
    tasks: String,
    credits: String,
}

#[derive(Debug, Serialize)]
struct Queue {
    waiting: String,
    running: String,
    limit: Option<String>,
    oldest: Option<String>,
    read: String,
    fresh: bool,
}

#[derive(Debug, Serialize)]
struct AlertRow {
    team: String,
    team_path: String,
    account: String,
    what: &'static str,
    state: &'static str,
    stage: &'static str,
    since: Option<String>,
    until: Option<String>,
    told: Option<String>,
}

#[derive(Debug, Serialize)]
struct Health {
    account: String,
    platform: String,
    plan: String,
    healthy: bool,
    collectors: Vec<CollectorLine>,
    queue: Option<Queue>,
    unexplained: Option<String>,
}

#[derive(Debug, Serialize)]
struct CollectorLine {
    name: &'static str,
    fresh: bool,
    success: String,
    attempt: String,
    failure: Option<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Outbox {
    waiting: String,
    failed: String,
    sent: String,
    oldest: Option<String>,
    troubled: bool,
}

impl Overview {
    /// Everything known at `now`.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Overview {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let mut gauges: Vec<Gauge> = draws.map(|(account, draw)| Gauge::of(account, draw, now)).collect();
        // Stable: within a tone the order of the configuration stays.
        gauges.sort_by_key(|gauge| gauge.verdict.tone);
        let accounts = snapshot.accounts.iter().map(|account| Health::of(account, now)).collect();
        Overview { gauges, accounts, outbox: Outbox::of(&snapshot.outbox, now) }
    }
}

impl TeamPage {
    /// Every draw of a team; `None` if no team has that name.
    pub fn of(snapshot: &Snapshot, team: &str, now: Timestamp) -> Option<TeamPage> {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let draws = draws.filter(|(_, draw)| draw.key.team.as_str() == team);
        let draws: Vec<DrawPage> = draws.map(|(account, draw)| DrawPage::of(account, draw, now)).collect();
        (!draws.is_empty()).then(|| TeamPage { team: team.to_string(), draws })
    }
}

impl AlertsPage {
    /// Every alert of the current periods, those that fire apart.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> AlertsPage {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let rows = draws.flat_map(|(account, draw)| alerts(account, draw, now));
        let (firing, quiet) = rows.partition(|row| row.state == "firing");
        AlertsPage { firing, quiet }
    }
}

impl Gauge {
    fn of(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Gauge {
        let fuel = draw.fuel.as_ref();
        let granted = draw.allowance.or(draw.period.as_ref().and_then(|period| period.allowance));
        let granted = granted.filter(|granted| granted.is_positive());
        Gauge {
            team: draw.key.team.to_string(),
            team_path: words::path_segment(draw.key.team.as_str()),
            account: account.account.to_string(),
            platform: account.platform.clone(),
            alert: alerts(account, draw, now).into_iter().find(|row| row.state == "firing"),
            verdict: verdict(draw, &account.zone, now),
            left: fuel.map(|fuel| words::credits(fuel.left)),
            capacity: granted.map(words::credits),
            bar: fuel.zip(granted).map(|(fuel, granted)| bar(fuel.left, granted, draw, now)),
            facts: facts(account, draw, now),
            notes: notes(account, draw),
        }
    }
}

fn bar(left: Credits, granted: Credits, draw: &DrawAssessment, now: Timestamp) -> Bar {
    let full = granted.max(left).as_f64();
    let thousandths = |amount: f64| ((amount / full).clamp(0.0, 1.0) * 1000.0).round() as i64;
    let marker = draw.period.as_ref().map(|period| {
        let share_left = 1.0 - crate::domain::rule::share_of_period(now, period.start, period.end);
        let even = granted.as_f64() * share_left;
        Marker { at: thousandths(even), amount: words::about(even.round()) }
    });
    Bar { fill: thousandths(left.as_f64()), marker }
}

fn facts(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Vec<Fact> {
    let zone = &account.zone;
    let fact = |name, value: String, more: Option<String>| Fact { name, value, more };
    let reset = match &draw.period {
        Some(period) => {
            let left = words::span(period.end.as_second() - now.as_second());
            fact("Plan resets", words::moment(period.end, zone, now), Some(format!("in {left}")))
        }
        None => fact("Plan resets", "never: prepaid".to_string(), None),
    };
    let read = match &draw.fuel {
        Some(fuel) => fact("Data", words::ago(fuel.as_of, now), (!fuel.fresh).then(|| "stale".to_string())),
        None => fact("Data", NOT_KNOWN.to_string(), None),
    };
    vec![
        pace(draw, now),
        run_out(account, draw, now),
        reset,
        chance(draw),
        fact("Alert", alert_state(account, draw, now), None),
        retries_in_short(&draw.retries),
        read,
    ]
}

fn pace(draw: &DrawAssessment, now: Timestamp) -> Fact {
    let modelled = draw.outlook.forecast().map(|forecast| forecast.pace_per_hour * 24.0);
    let recent = draw.spend.week.or(draw.spend.day).or(draw.spend.hour).map(|per_second| per_second * 86_400.0);
    let value = modelled.or(recent).map(|per_day| format!("{} a day", words::about(per_day)));
    let fuel = draw.fuel.as_ref().filter(|fuel| fuel.fresh && fuel.left.is_positive());
    let lasting = fuel.zip(draw.period.as_ref()).and_then(|(fuel, period)| {
        let days = period.end.duration_since(now).as_secs_f64() / 86_400.0;
        (days > 0.0).then(|| format!("{} a day would last", words::about(fuel.left.as_f64() / days)))
    });
    Fact { name: "Pace", value: value.unwrap_or_else(|| NOT_KNOWN.to_string()), more: lasting }
}

fn run_out(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Fact {
    let name = "Runs out";
    let fact = |value: String, more: Option<String>| Fact { name, value, more };
    let Some(forecast) = draw.outlook.forecast() else {
        let value = match &draw.outlook {
            Outlook::TooLittleHistory { .. } => "too little history",
            _ => NOT_KNOWN,
        };
        return fact(value.to_string(), None);
    };
    let date = |at| words::date(at, &account.zone, now);
    let range = match (forecast.run_out.p10, forecast.run_out.p90) {
        (Some(early), Some(late)) => Some(format!("8 in 10: {} to {}", date(early), date(late))),
        (Some(early), None) => Some(format!("9 in 10: {} or later", date(early))),
        (None, _) => None,
    };
    match forecast.run_out.p50 {
        Some(at) if draw.period.as_ref().is_some_and(|period| at >= period.end) => {
            fact("after the reset".to_string(), Some(format!("{} without one", date(at))))
        }
        Some(at) => fact(words::moment(at, &account.zone, now), range),
        None => fact(format!("not before {}", date(forecast.horizon)), range),
    }
}

fn chance(draw: &DrawAssessment) -> Fact {
    let name = "Dry before reset";
    let fact = |value: &str, more: Option<String>| Fact { name, value: value.to_string(), more };
    match &draw.outlook {
        Outlook::UnknownBalance => fact(NOT_KNOWN, None),
        Outlook::TooLittleHistory { .. } => fact("too little history", None),
        Outlook::Forecast(forecast) => match forecast.probability {
            None => fact("no reset", None),
            Some(probability) => {
                let weak = forecast.confidence == Confidence::Low;
                let more = words::likelihood(probability).to_string() + if weak { ", little history" } else { "" };
                fact(&words::percent(probability), Some(more))
            }
        },
    }
}

fn alert_state(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> String {
    let rows = alerts(account, draw, now);
    match rows.iter().find(|row| row.state == "firing").or(rows.first()) {
        Some(AlertRow { stage, since: Some(since), state: "firing", .. }) => format!("{stage} since {since}"),
        Some(AlertRow { until: Some(until), state: "resolved", .. }) => format!("resolved {until}"),
        _ => "none".to_string(),
    }
}

fn retries_in_short(retries: &[RetryRow]) -> Fact {
    let tasks: u64 = retries.iter().map(|row| row.tasks).sum();
    let credits: Credits = retries.iter().map(|row| row.credits).sum();
    let more = (tasks > 0).then(|| format!("{} credits since records began", words::credits(credits)));
    Fact { name: "Retries", value: words::count(tasks), more }
}

fn notes(account: &AccountAssessment, draw: &DrawAssessment) -> Vec<String> {
    let mut notes = Vec::new();
    match draw.fuel.as_ref().map(|fuel| fuel.limit) {
        Some(FuelLimit::Balance) if draw.allowance.is_some() => {
            notes.push("The account has less left than the team's share: its balance is the limit.".to_string());
        }
        Some(FuelLimit::Balance | FuelLimit::PlanCredits) if account.draws.len() > 1 => {
            notes.push(format!("Shared by {} teams: what is left is the whole account's.", account.draws.len()));
        }
        _ => {}
    }
    if draw.fuel.as_ref().is_some_and(|fuel| fuel.limit == FuelLimit::PlanCredits) {
        notes.push("No balance is reported: worked out from the plan's credits and the charges.".to_string());
    }
    if draw.pending.is_positive() {
        notes.push(format!("{} credits are charged for tasks that still run.", words::credits(draw.pending)));
    }
    notes
}

impl DrawPage {
    fn of(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> DrawPage {
        let mut totals: Vec<&TotalsRow> = draw.totals.iter().collect();
        totals.sort_by_key(|row| std::cmp::Reverse(row.charged));
        let mut retries: Vec<&RetryRow> = draw.retries.iter().filter(|row| row.tasks > 0).collect();
        retries.sort_by_key(|row| std::cmp::Reverse(row.credits));
        DrawPage {
            gauge: Gauge::of(account, draw, now),
            chart: chart::burn_down(account, draw, now),
            charges: totals.into_iter().map(ChargeRow::of).collect(),
            retries: retries.into_iter().map(RetryLine::of).collect(),
            queue: queue(account, now),
            queue_is_shared: account.draws.len() > 1,
        }
    }
}

impl ChargeRow {
    fn of(row: &TotalsRow) -> ChargeRow {
        ChargeRow {
            task_type: row.task_type.clone(),
            quality: row.quality.clone(),
            finished: words::count(row.finished),
            failed: words::count(row.failed),
            charged: words::credits(row.charged),
            refunded: words::credits(row.refunded),
            net: words::credits(row.charged - row.refunded),
        }
    }
}

impl RetryLine {
    fn of(row: &RetryRow) -> RetryLine {
        RetryLine {
            task_type: row.task_type.clone(),
            kind: row.kind.as_str(),
            tasks: words::count(row.tasks),
            credits: words::credits(row.credits),
        }
    }
}

fn queue(account: &AccountAssessment, now: Timestamp) -> Option<Queue> {
    let (QueueRecord { waiting, running, limit, oldest_waiting_at }, read_at) = account.queue.as_ref()?;
    Some(Queue {
        waiting: words::count(u64::from(*waiting)),
        running: words::count(u64::from(*running)),
        limit: limit.map(|limit| words::count(u64::from(limit))),
        oldest: oldest_waiting_at.map(|at| words::span(now.as_second() - at.as_second())),
        read: words::ago(*read_at, now),
        fresh: account.is_fresh(Collector::Queue),
    })
}

fn alerts(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Vec<AlertRow> {
    let moment = |at: Timestamp| words::moment(at, &account.zone, now);
    let row = |rule: RuleName, state: &AlertState| {
        let what = match rule {
            RuleName::Exhaustion => "Runs out before the reset",
        };
        let (team, account) = (draw.key.team.to_string(), account.account.to_string());
        let team_path = words::path_segment(&team);
        let quiet = AlertRow {
            team,
            team_path,
            account,
            what,
            state: "quiet",
            stage: "",
            since: None,
            until: None,
            told: None,
        };
        match state {
            AlertState::Inactive => quiet,
            AlertState::Firing { stage, since, notified_at, .. } => AlertRow {
                state: "firing",
                stage: stage.as_str(),
                since: Some(moment(*since)),
                told: Some(moment(*notified_at)),
                ..quiet
            },
            AlertState::Resolved { stage, since, at } => AlertRow {
                state: "resolved",
                stage: stage.as_str(),
                since: Some(moment(*since)),
                until: Some(moment(*at)),
                ..quiet
            },
        }
    };
    draw.alerts.iter().map(|(rule, alert)| row(*rule, &alert.state)).collect()
}

impl Health {
    fn of(account: &AccountAssessment, now: Timestamp) -> Health {
        let line = |status: &CollectorStatus| CollectorLine {
            name: status.collector.as_str(),
            fresh: account.is_fresh(status.collector),
            success: status.last_success_at.map_or_else(|| "never".to_string(), |at| words::ago(at, now)),
            attempt: status.last_attempt_at.map_or_else(|| "never".to_string(), |at| words::ago(at, now)),
            failure: status.last_failure.clone(),
        };
        let collectors: Vec<CollectorLine> = account.collectors.iter().map(line).collect();
        Health {
            account: account.account.to_string(),
            platform: account.platform.clone(),
            plan: account.plan_name.clone().unwrap_or_default(),
            healthy: collectors.iter().all(|line| line.fresh && line.failure.is_none()),
            collectors,
            queue: queue(account, now),
            unexplained: account.unexplained.filter(|amount| *amount != Credits::ZERO).map(words::credits),
        }
    }
}

impl Outbox {
    fn of(outbox: &OutboxDepth, now: Timestamp) -> Outbox {
        let oldest = outbox.oldest_waiting_at.map(|at| now.as_second() - at.as_second());
        Outbox {
            waiting: words::count(outbox.waiting),
            failed: words::count(outbox.failed),
            sent: words::count(outbox.sent),
            oldest: oldest.map(words::span),
            // Half an hour is the level at which the shipped Prometheus rule speaks up.
            troubled: outbox.failed > 0 || oldest.is_some_and(|seconds| seconds > 1800),
        }
    }
}

impl Overview {
    /// How many teams need a look, for the page's title.
    pub fn urgent(&self) -> usize {
        self.gauges.iter().filter(|gauge| gauge.verdict.tone <= Tone::Warn).count()
    }
}
