//! `/api/v1/status` and `/api/v1/teams/{team}`: what the front page and a team's page show, as JSON. Unknown values are
//! `null`, times are RFC 3339, amounts are credits.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::announcements;
use super::explanation::explanation;
use super::outbox;
use crate::domain::{
    AccountAssessment, AlertState, Collector, Confidence, Credits, DrawAssessment, Guess, Mute, Outlook, RuleName,
    RunOut, Snapshot, SpendRates, SuspectCharge, TotalsRow, UseAhead,
};

/// Everything known at `now`.
pub fn status(snapshot: &Snapshot, version: &str, now: Timestamp) -> Value {
    json!({
        "version": version,
        "at": now.to_string(),
        "accounts": snapshot.accounts.iter().map(|account| account_status(account)).collect::<Vec<_>>(),
        "outbox": outbox::as_json(snapshot),
    })
}

/// Everything known of a team at `now`, each of its draws with what its account tells; `None` if no team has that name.
pub fn team(snapshot: &Snapshot, team: &str, now: Timestamp) -> Option<Value> {
    let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
    let draws = draws.filter(|(_, draw)| draw.key.team.as_str() == team);
    let draws: Vec<Value> = draws.map(|(account, draw)| team_draw(account, draw)).collect();
    (!draws.is_empty()).then(|| json!({"team": team, "at": now.to_string(), "draws": draws}))
}

fn team_draw(account: &AccountAssessment, draw: &DrawAssessment) -> Value {
    let days = draw.daily.iter().map(|day| json!({"day": day.day.to_string(), "net_credits": amount(day.net)}));
    let more = json!({
        "queue_is_shared": account.draws.len() > 1,
        "totals": draw.totals.iter().map(totals).collect::<Vec<_>>(),
        "daily": days.collect::<Vec<_>>(),
    });
    joined(joined(draw_status(account, draw), of_account(account)), more)
}

/// What both an account and a team's draw on it say of the account.
fn of_account(account: &AccountAssessment) -> Value {
    json!({
        "account": account.account.as_str(),
        "platform": account.platform,
        "plan": account.plan_name,
        "timezone": account.zone.iana_name(),
        "assessed_at": account.at.to_string(),
        "balance": balance(account),
        "spendable": spendable(account),
        "queue": queue(account),
    })
}

/// One object with the fields of both.
fn joined(mut told: Value, more: Value) -> Value {
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

fn account_status(account: &AccountAssessment) -> Value {
    let collectors = account.collectors.iter().map(|status| {
        json!({
            "collector": status.collector.as_str(),
            "fresh": account.is_fresh(status.collector),
            "last_attempt_at": time(status.last_attempt_at),
            "last_success_at": time(status.last_success_at),
            "last_duration_seconds": status.last_duration_seconds,
            "last_failure": status.last_failure.as_ref().map(|(reason, text)| json!({"reason": reason, "text": text})),
        })
    });
    let more = json!({
        "spent_credits": amount(account.spent),
        "granted_credits": amount(account.granted),
        "expired_credits": amount(account.expired),
        "unexplained_credits": account.unexplained.map(amount),
        "unassigned": {
            "spent_credits": amount(account.unassigned.spent),
            "pending_credits": amount(account.unassigned.pending),
            "unrefunded_credits": amount(account.unassigned.unrefunded),
            "totals": account.unassigned.totals.iter().map(totals).collect::<Vec<_>>(),
        },
        "collectors": collectors.collect::<Vec<_>>(),
        "teams": account.draws.iter().map(|draw| draw_status(account, draw)).collect::<Vec<_>>(),
    });
    joined(of_account(account), more)
}

fn balance(account: &AccountAssessment) -> Option<Value> {
    let (balance, read_at) = account.balance.as_ref()?;
    Some(json!({
        "available_credits": amount(balance.available),
        "plan_credits": balance.plan.map(amount),
        "purchased_credits": balance.purchased.map(amount),
        "frozen_credits": balance.frozen.map(amount),
        "read_at": read_at.to_string(),
        "fresh": account.is_current(Collector::Balance, *read_at),
    }))
}

fn queue(account: &AccountAssessment) -> Option<Value> {
    let (queue, read_at) = account.queue.as_ref()?;
    Some(json!({
        "waiting_tasks": queue.waiting,
        "running_tasks": queue.running,
        "limit_tasks": queue.limit,
        "oldest_waiting_at": time(queue.oldest_waiting_at),
        "read_at": read_at.to_string(),
        "fresh": account.is_current(Collector::Queue, *read_at),
    }))
}

fn spendable(account: &AccountAssessment) -> Option<Value> {
    let parts = account.parts().or_else(|| account.buckets.clone())?;
    let next_expiry = |(at, credits): (Timestamp, Credits)| json!({"at": at.to_string(), "credits": amount(credits)});
    Some(json!({
        "plan_credits": parts.plan.map(amount),
        "purchased_credits": parts.purchased.map(amount),
        "other_credits": parts.unknown.map(amount),
        "carried_over_credits": parts.carried.map(amount),
        "next_expiry": parts.next_expiry.map(next_expiry),
    }))
}

fn draw_status(account: &AccountAssessment, draw: &DrawAssessment) -> Value {
    let fuel = draw.fuel.as_ref().map(|fuel| {
        let (limit, as_of) = (fuel.limit.as_str(), fuel.as_of.to_string());
        json!({"left_credits": amount(fuel.left), "limit": limit, "as_of": as_of, "fresh": fuel.fresh})
    });
    let shared = draw.shared.as_ref().map(|shared| {
        json!({
            "left_credits": amount(shared.fuel.left),
            "limit": shared.fuel.limit.as_str(),
            "spend_credits_per_day": spend(&shared.spend),
            "own_pace_credits_per_day": shared.own_pace_per_hour.map(|pace| pace * 24.0),
        })
    });
    let period = draw.period.as_ref().map(|period| {
        json!({
            "start": period.start.to_string(),
            "end": period.end.to_string(),
            "allowance_credits": period.allowance.map(amount),
            "provenance": period.provenance.as_str(),
        })
    });
    let retries = draw.retries.iter().map(|row| {
        let credits = account.told(row.credits).map(amount);
        json!({"task_type": row.task_type, "kind": row.kind.as_str(), "tasks": row.tasks, "credits": credits})
    });
    let announced = draw.announced.iter().map(|announced| {
        let mut said = announcements::as_json(&announced.announcement, &account.zone, account.at);
        said["effect_credits"] = json!(announced.effect.map(amount));
        said
    });
    json!({
        "team": draw.key.team.as_str(),
        "announced": announced.collect::<Vec<_>>(),
        "queued": {
            "tasks": draw.queued.tasks,
            "credits": amount(draw.queued.credits),
            "unknown_tasks": draw.queued.unknown_tasks,
            "held": draw.queued.is_held,
        },
        "fuel": fuel,
        "shared": shared,
        "period": period,
        "allowance_credits": draw.allowance.map(amount),
        "spent_credits": amount(draw.spent),
        "pending_credits": account.told(draw.pending).map(amount),
        "unrefunded_credits": account.told(draw.unrefunded).map(amount),
        "suspect_charges": draw.suspects.newest.iter().map(suspect).collect::<Vec<_>>(),
        "spend_credits_per_day": spend(&draw.spend),
        "outlook": outlook(&draw.outlook),
        "explanation": explanation(account, draw),
        "plan_run_out_at": draw.plan_run_out.as_ref().map(run_out),
        "lapsing_credits": account.lapsing(draw).map(amount),
        "retries": retries.collect::<Vec<_>>(),
        "alerts": account.rules.iter().map(|rule| alert_status(draw, *rule)).collect::<Vec<_>>(),
    })
}

fn spend(rates: &SpendRates) -> Value {
    let per_day = |per_second: Option<f64>| per_second.map(|pace| pace * 86_400.0);
    json!({"1h": per_day(rates.hour), "1d": per_day(rates.day), "7d": per_day(rates.week)})
}

/// One of the newest; the metrics count all of them.
fn suspect(suspect: &SuspectCharge) -> Value {
    json!({
        "task_id": suspect.task_id,
        "task_type": suspect.task_type,
        "created_at": suspect.created_at.to_string(),
        "reason": suspect.suspicion.as_str(),
        "credits": amount(suspect.credits),
    })
}

fn totals(row: &TotalsRow) -> Value {
    json!({
        "task_type": row.task_type,
        "quality": row.quality,
        "charged_credits": amount(row.charged),
        "refunded_credits": amount(row.refunded),
        "finished_tasks": row.finished,
        "failed_tasks": row.failed,
    })
}

fn outlook(outlook: &Outlook) -> Value {
    match outlook {
        Outlook::UnknownBalance => json!({"kind": "unknown_balance"}),
        Outlook::TooLittleHistory { hours, charges, guess } => json!({
            "kind": "too_little_history",
            "hours": hours,
            "charges": charges,
            "confidence": Confidence::Low.as_str(),
            "range": guess.as_ref().map(range),
        }),
        Outlook::Forecast(forecast) => json!({
            "kind": "forecast",
            "at": forecast.at.to_string(),
            "exhaustion_probability": forecast.probability,
            "run_out_at": run_out(&forecast.run_out),
            "horizon": forecast.horizon.to_string(),
            "expected_use_credits": amount(forecast.expected_use),
            "unused_credits": forecast.unused.map(amount),
            "pace_credits_per_day": forecast.pace_per_hour * 24.0,
            "confidence": forecast.confidence.as_str(),
        }),
    }
}

fn range(guess: &Guess) -> Value {
    let UseAhead { p10, p50, p90, .. } = guess.use_ahead;
    json!({
        "run_out_at": run_out(&guess.run_out),
        "horizon": guess.horizon.to_string(),
        "expected_use_credits": {"p10": amount(p10), "p50": amount(p50), "p90": amount(p90)},
    })
}

fn run_out(run_out: &RunOut) -> Value {
    json!({"p10": time(run_out.p10), "p50": time(run_out.p50), "p90": time(run_out.p90)})
}

fn alert_status(draw: &DrawAssessment, rule: RuleName) -> Value {
    let known = draw.alerts.iter().find(|known| known.rule == rule);
    let mut status = match known.map(|known| &known.alert.state) {
        None | Some(AlertState::Inactive) => json!({"state": "inactive"}),
        Some(AlertState::Pending { level, since }) => json!({
            "state": "pending",
            "severity": level.stage.as_str(),
            "since": since.to_string(),
        }),
        Some(AlertState::Firing { level, since, told, .. }) => json!({
            "state": "firing",
            "severity": level.stage.as_str(),
            "since": since.to_string(),
            "notified_at": time(told.map(|told| told.at)),
        }),
        Some(AlertState::Resolved { level, since, at, .. }) => json!({
            "state": "resolved",
            "severity": level.stage.as_str(),
            "since": since.to_string(),
            "resolved_at": at.to_string(),
        }),
    };
    status["alert"] = rule.as_str().into();
    let muted = known.and_then(|known| known.mute).map(|mute| match mute {
        Mute::Inhibited(by) => json!({"by": "alert", "alert": by.as_str()}),
        Mute::Silenced(id) => json!({"by": "silence", "silence": id}),
        Mute::QuietHours => json!({"by": "quiet_hours"}),
    });
    if let Some(muted) = muted {
        status["muted"] = muted;
    }
    status
}

/// Exact up to nine thousand million credits: the shortest decimal that reads back as the same number.
fn amount(credits: Credits) -> f64 {
    credits.as_f64()
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
