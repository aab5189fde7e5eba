//! One team's gauge: the verdict, the tank, and the facts below it, as texts.

use jiff::Timestamp;
use serde::Serialize;

use super::verdict::{Verdict, verdict};
use super::view::{AlertRow, alerts};
use super::words::{self, NOT_KNOWN};
use crate::domain::{
    AccountAssessment, BalanceRecord, Confidence, Credits, DrawAssessment, FuelLimit, Outlook, PlanPeriod, RetryRow,
    RunOut, Stage,
};

/// One draw's gauge.
#[derive(Debug, Serialize)]
pub struct Gauge {
    team: String,
    team_path: String,
    account: String,
    platform: String,
    alert: Option<AlertRow>,
    /// Will the credits last?
    pub verdict: Verdict,
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

impl Gauge {
    /// What is known of a draw at `now`.
    pub fn of(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Gauge {
        let fuel = draw.fuel.as_ref();
        let granted = draw.allowance.or(draw.period.as_ref().and_then(|period| period.allowance));
        let granted = granted.filter(|granted| granted.is_positive());
        Gauge {
            team: draw.key.team.to_string(),
            team_path: words::path_segment(draw.key.team.as_str()),
            account: account.account.to_string(),
            platform: account.platform.clone(),
            alert: worst(&alerts(account, draw, now)).cloned(),
            verdict: verdict(account, draw, now),
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
            let more = format!("{}, in {left}", words::clock(period.end, zone));
            let name = if period.is_budget() { "Budget ends" } else { "Plan resets" };
            fact(name, words::date(period.end, zone, now), Some(more))
        }
        None => fact("Plan resets", "never: prepaid".to_string(), None),
    };
    let read = match &draw.fuel {
        Some(fuel) => fact("Data", words::ago(fuel.as_of, now), (!fuel.fresh).then(|| "stale".to_string())),
        None => fact("Data", NOT_KNOWN.to_string(), None),
    };
    let mut facts = vec![run_out(account, draw, now)];
    facts.extend(parts(account, draw, now));
    facts.extend(plan_run_out(account, draw, now));
    facts.extend([
        reset,
        pace(account, draw, now),
        chance(draw),
        last_day(draw),
        retries_in_short(account, &draw.retries),
    ]);
    facts.extend([alert_state(account, draw, now), read]);
    facts
}

/// What the balance is made up of, where that is known and it is more than one kind.
fn parts(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Option<Fact> {
    draw.fuel.as_ref().filter(|fuel| fuel.limit == FuelLimit::Balance)?;
    let parts = account.parts()?;
    let named = [("of the plan", parts.plan), ("bought", parts.purchased), ("of unknown kind", parts.unknown)];
    let known = named.into_iter().filter_map(|(name, part)| Some((name, part?)));
    let known: Vec<String> = known.map(|(name, part)| format!("{} {name}", words::credits(part))).collect();
    let lapse = parts.next_expiry.map(|(at, credits)| {
        format!("{} of the bought ones lapse {}", words::credits(credits), words::date(at, &account.zone, now))
    });
    let is_worth_it = known.len() > 1 || lapse.is_some();
    is_worth_it.then(|| Fact { name: "Made up of", value: known.join(", "), more: lapse })
}

fn pace(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Fact {
    let modelled = draw.outlook.forecast().map(|forecast| forecast.pace_per_hour * 24.0);
    let recent = draw.spend.week.or(draw.spend.day).or(draw.spend.hour).map(|per_second| per_second * 86_400.0);
    let fuel = draw.tank().filter(|fuel| fuel.fresh && fuel.left.is_positive());
    let lasting = fuel.zip(draw.period.as_ref()).and_then(|(fuel, period)| {
        let days = period.end.duration_since(now).as_secs_f64() / 86_400.0;
        (days > 0.0).then(|| format!("{} a day would last", words::about(fuel.left.as_f64() / days)))
    });
    let per_day = |pace: f64| format!("{} a day", words::about(pace));
    let Some((shared, all)) = draw.shared.as_ref().zip(modelled) else {
        let value = modelled.or(recent).map_or_else(|| NOT_KNOWN.to_string(), per_day);
        return Fact { name: "Pace", value, more: lasting };
    };
    let own = shared.own_pace_per_hour.map(|pace| pace * 24.0).or(recent);
    let lasting = lasting.map_or_else(String::new, |lasting| format!("; {lasting}"));
    let more = format!("{} {}{lasting}", per_day(all), words::other_use(account));
    Fact { name: "Pace", value: own.map_or_else(|| NOT_KNOWN.to_string(), per_day), more: Some(more) }
}

fn run_out(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Fact {
    let name = "Runs out";
    let fact = |value: String, more: Option<String>| Fact { name, value, more };
    let date = |at| words::date(at, &account.zone, now);
    let range = |run_out: &RunOut| match (run_out.p10, run_out.p90) {
        (Some(early), Some(late)) => Some(format!("8 in 10: {} to {}", date(early), date(late))),
        (Some(early), None) => Some(format!("9 in 10: {} or later", date(early))),
        (None, _) => None,
    };
    let forecast = match &draw.outlook {
        Outlook::Forecast(forecast) => forecast,
        Outlook::TooLittleHistory { guess, .. } => {
            let guessed = guess.as_ref().and_then(|guess| range(&guess.run_out));
            let more = guessed.map(|range| format!("{range}; guessed from what the period began with"));
            return fact("too little history".to_string(), more);
        }
        Outlook::UnknownBalance => return fact(NOT_KNOWN.to_string(), None),
    };
    let range = range(&forecast.run_out);
    let reset = draw.period.as_ref().map(|period| period.end);
    let after = draw.period.as_ref().map_or("the reset", PlanPeriod::end_in_words);
    match forecast.run_out.p50 {
        Some(at) if reset.is_some_and(|reset| at >= reset) => {
            fact(format!("after {after}"), Some(format!("{} without one", date(at))))
        }
        Some(at) => {
            let clock = words::clock(at, &account.zone);
            fact(date(at), Some(range.map_or(clock.clone(), |range| format!("{clock}; {range}"))))
        }
        None if reset.is_some_and(|reset| reset <= forecast.horizon) => {
            fact(format!("after {after}"), Some(format!("not before {} without one", date(forecast.horizon))))
        }
        None => fact(format!("not before {}", date(forecast.horizon)), range),
    }
}

fn last_day(draw: &DrawAssessment) -> Fact {
    let used = draw.spend.day.map(|per_second| format!("{} credits", words::about(per_second * 86_400.0)));
    Fact { name: "Last 24 hours", value: used.unwrap_or_else(|| NOT_KNOWN.to_string()), more: None }
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

/// The firing alert of the worst stage; of several the first.
fn worst(rows: &[AlertRow]) -> Option<&AlertRow> {
    let firing = rows.iter().filter(|row| row.state == "firing").rev();
    firing.max_by_key(|row| Stage::parse(row.stage))
}

fn alert_state(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Fact {
    let rows = alerts(account, draw, now);
    let firing = rows.iter().filter(|row| row.state == "firing").count();
    let (value, more) = match worst(&rows).or(rows.iter().find(|row| row.state == "resolved")) {
        Some(AlertRow { stage, since: Some(since), state: "firing", .. }) if firing < 2 => {
            (*stage, Some(format!("since {since}")))
        }
        Some(AlertRow { stage, state: "firing", .. }) => (*stage, Some(format!("{firing} alerts are firing"))),
        Some(AlertRow { until: Some(until), .. }) => ("resolved", Some(until.clone())),
        _ => ("none", None),
    };
    Fact { name: "Alert", value: value.to_string(), more }
}

fn retries_in_short(account: &AccountAssessment, retries: &[RetryRow]) -> Fact {
    let tasks: u64 = retries.iter().map(|row| row.tasks).sum();
    let credits: Credits = retries.iter().map(|row| row.credits).sum();
    let more = (tasks > 0).then(|| match account.told(credits) {
        Some(credits) => format!("{} credits since records began", words::credits(credits)),
        None => "since records began; what they cost is not told".to_string(),
    });
    let value = if tasks > 0 { words::count(tasks) } else { "none seen".to_string() };
    Fact { name: "Retries", value, more }
}

/// When the plan's credits are used up, where bought ones follow.
fn plan_run_out(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Option<Fact> {
    let (run_out, period) = (draw.plan_run_out.as_ref()?, draw.period.as_ref()?);
    let bought = account.parts()?.purchased.filter(|bought| bought.is_positive())?;
    let value = match run_out.p50 {
        Some(at) if at <= now => "used up".to_string(),
        Some(at) if at < period.end => format!("until {}", words::date(at, &account.zone, now)),
        _ => "until the reset".to_string(),
    };
    let more = format!("then {} bought ones", words::credits(bought));
    Some(Fact { name: "Plan credits", value, more: Some(more) })
}

/// What the platform's parts hold beyond what it lets people spend.
fn more_in_parts(balance: &BalanceRecord) -> Option<String> {
    let parts = balance.plan? + balance.purchased?;
    (parts > balance.available).then(|| {
        let [parts, available] = [parts, balance.available].map(words::credits);
        format!("The platform counts {parts} credits and lets {available} be spent: some are held, or a limit applies.")
    })
}

fn notes(account: &AccountAssessment, draw: &DrawAssessment) -> Vec<String> {
    let mut notes = Vec::new();
    let limit = draw.fuel.as_ref().map(|fuel| fuel.limit);
    if draw.allowance.is_some() && limit == Some(FuelLimit::Balance) {
        notes.push("The account has less left than the team's share: its balance is the limit.".to_string());
    }
    match (&draw.shared, limit) {
        (Some(shared), Some(FuelLimit::Allowance)) => notes.push(format!(
            "The {} that the account has left end sooner than the team's share, {}.",
            words::credits(shared.fuel.left),
            words::other_use(account)
        )),
        (Some(_), _) if account.draws.len() > 1 => notes.push(format!(
            "Shared by {} teams: what is left is the whole account's, forecast {}.",
            account.draws.len(),
            words::other_use(account)
        )),
        (Some(_), _) => notes.push(format!("What is left is forecast {}.", words::other_use(account))),
        (None, _) => {}
    }
    if draw.fuel.as_ref().is_some_and(|fuel| fuel.limit == FuelLimit::Budget) {
        let balance = account.balance.as_ref().map(|(balance, _)| words::credits(balance.available));
        let whole = balance.map_or_else(String::new, |left| format!(" The account has {left} left."));
        notes.push(format!("The budget is the limit: what it leaves for its period.{whole}"));
    }
    if draw.fuel.as_ref().is_some_and(|fuel| fuel.limit == FuelLimit::PlanCredits) {
        notes.push("No balance is reported: worked out from the plan's credits and the charges.".to_string());
    }
    if account.carried().is_positive() && draw.allowance.is_none() {
        notes.push(format!("{} credits of the last period were carried over.", words::credits(account.carried())));
    }
    notes.extend(account.balance.as_ref().and_then(|(balance, _)| more_in_parts(balance)));
    if draw.pending.is_positive() {
        notes.push(format!("{} credits are charged for tasks that still run.", words::credits(draw.pending)));
    }
    notes
}
