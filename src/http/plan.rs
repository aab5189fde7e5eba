//! What a job would cost and do, as JSON: the same for the command line and the API.

use serde_json::{Value, json};

use crate::domain::{
    Alternative, Change, DrawAssessment, EstimateOutcome, EstimatePart, EstimateRequest, EstimateState, LineEstimate,
    Outlook, PlanCheck, PlannedLine, PriceDrift, Quantiles, RecordedEstimate, RecordedLine, Total, UnknownCost, Wait,
};

/// The whole answer. Credits are strings with all their digits, instants as in RFC 3339; what is unknown is `null`.
pub fn as_json(draw: &DrawAssessment, lines: &[PlannedLine], check: &PlanCheck) -> Value {
    let estimate = &check.estimate;
    let unknown = estimate.unknown().map(unknown_json);
    let line = |(line, known): (&PlannedLine, &LineEstimate)| line_json(line, known);
    json!({
        "team": draw.key.team.as_str(),
        "account": draw.key.account.as_str(),
        "cost_credits": estimate.total.as_ref().map(|total| credits_json(&total.credits)),
        "launches": estimate.total.as_ref().and_then(launches_json),
        "unknown": unknown.as_ref().map(|unknown| &unknown["unknown"]),
        "hint": unknown.as_ref().map(|unknown| &unknown["hint"]),
        "lines": lines.iter().zip(&estimate.lines).map(line).collect::<Vec<_>>(),
        "left_credits": draw.fuel.as_ref().map(|fuel| fuel.left.to_string()),
        "chance_above_left": check.chance_above_left,
        "queued_credits": (draw.queued.unknown_tasks == 0).then(|| draw.queued.credits.to_string()),
        "queued_tasks": draw.queued.tasks + draw.queued.unknown_tasks,
        "period_end": draw.period.as_ref().map(|period| period.end.to_string()),
        "before": check.effect.as_ref().map(|effect| outlook_json(&effect.before)),
        "after": check.effect.as_ref().map(|effect| outlook_json(&effect.after)),
        "after_p90": check.effect.as_ref().map(|effect| outlook_json(&effect.after_p90)),
        "would_last": check.would_last,
        "alternatives": check.alternatives.iter().map(alternative_json).collect::<Vec<_>>(),
        "wait": check.wait.as_ref().map(wait_json),
        "price_drifts": check.drifts.iter().map(drift_json).collect::<Vec<_>>(),
    })
}

fn drift_json(drift: &PriceDrift) -> Value {
    let charged = &drift.charged;
    json!({
        "task_type": charged.task_type,
        "quality": charged.quality,
        "variants": charged.variants,
        "charged_credits": charged.observed.to_string(),
        "tasks": charged.tasks,
        "listed_credits": {"low": drift.listed.low.to_string(), "high": drift.listed.high.to_string()},
    })
}

/// An estimate that was kept. Credits are strings with all their digits, instants as in RFC 3339; what is unknown or not yet
/// so is `null`.
pub fn recorded_as_json(estimate: &RecordedEstimate) -> Value {
    let line = |line: &RecordedLine| {
        let EstimateRequest { task_type, quality, variants, count, attempts } = &line.request;
        let parts: Vec<&str> = line.parts.iter().map(|part| part.task_type.as_str()).collect();
        json!({
            "task": task_type,
            "quality": quality,
            "variants": variants,
            "count": count,
            "attempts": attempts,
            "task_types": parts,
        })
    };
    let withdrawn_by = match &estimate.state {
        EstimateState::Withdrawn { by, .. } => Some(by),
        _ => None,
    };
    let is_open = estimate.state == EstimateState::Open;
    json!({
        "id": estimate.id,
        "team": estimate.key.team.as_str(),
        "account": estimate.key.account.as_str(),
        "label": estimate.label,
        "by": estimate.by,
        "made_at": estimate.made_at.to_string(),
        "starts_at": estimate.starts_at.to_string(),
        "lapses_at": estimate.lapses_at.to_string(),
        "lines": estimate.lines.iter().map(line).collect::<Vec<_>>(),
        "cost_credits": credits_json(&estimate.credits),
        "launches": estimate.launches.map(|launches| quantiles_json(&launches)),
        "is_planned": estimate.is_planned,
        "state": estimate.state.as_str(),
        "outcome": estimate.outcome().map(EstimateOutcome::as_str),
        "closed_at": estimate.state.closed_at().map(|at| at.to_string()),
        "withdrawn_by": withdrawn_by,
        "charged_credits": estimate.charged.to_string(),
        "tasks": estimate.tasks,
        "assets": estimate.assets,
        "assets_asked": estimate.assets_asked(),
        "remaining_credits": is_open.then(|| credits_json(&estimate.remaining())),
    })
}

fn line_json(line: &PlannedLine, found: &LineEstimate) -> Value {
    let EstimateRequest { task_type, quality, variants, count, attempts } = &line.request;
    let known = found.known.as_ref();
    let unknown = known.err().map(unknown_json);
    json!({
        "task": task_type,
        "quality": quality,
        "variants": variants,
        "count": count,
        "attempts": attempts,
        "starts_at": line.starts_at.map(|at| at.to_string()),
        "cost_credits": known.ok().map(|known| credits_json(&known.total.credits)),
        "launches": known.ok().and_then(|known| launches_json(&known.total)),
        "parts": known.ok().map(|known| known.parts.iter().map(part_json).collect::<Vec<_>>()),
        "basis": known.ok().map(|known| known.basis()),
        "unknown": unknown.as_ref().map(|unknown| &unknown["unknown"]),
        "hint": unknown.as_ref().map(|unknown| &unknown["hint"]),
    })
}

fn part_json(part: &EstimatePart) -> Value {
    json!({
        "task_type": part.task_type,
        "is_step": part.is_step,
        "per_launch_credits": {"p50": part.per_launch_p50.to_string(), "p90": part.per_launch_p90.to_string()},
        "attempts_per_asset": part.attempts_per_asset.map(|a| json!({"mean": a.mean, "p90": a.p90})),
        "past_tasks": part.tasks,
        "past_assets": part.assets,
        "past_tasks_of_others": part.tasks_of_others,
        "listed_credits": part.listed.map(|listed| json!({"low": listed.low.to_string(), "high": listed.high.to_string()})),
    })
}

fn credits_json(credits: &Quantiles<crate::domain::Credits>) -> Value {
    json!({"p10": credits.p10.to_string(), "p50": credits.p50.to_string(), "p90": credits.p90.to_string()})
}

fn launches_json(total: &Total) -> Option<Value> {
    total.launches.map(|launches| quantiles_json(&launches))
}

fn quantiles_json(launches: &Quantiles<u64>) -> Value {
    json!({"p10": launches.p10, "p50": launches.p50, "p90": launches.p90})
}

fn unknown_json(unknown: &UnknownCost) -> Value {
    let words = unknown.to_string();
    match words.split_once("\nhint: ") {
        Some((what, hint)) => json!({"unknown": what, "hint": hint}),
        None => json!({"unknown": words, "hint": null}),
    }
}

fn outlook_json(outlook: &Outlook) -> Option<Value> {
    outlook.forecast().map(|forecast| {
        json!({
            "probability": forecast.probability,
            "run_out_p50": forecast.run_out.p50.map(|at| at.to_string()),
            "expected_use_credits": forecast.expected_use.to_string(),
        })
    })
}

fn alternative_json(alternative: &Alternative) -> Value {
    let change = match &alternative.change {
        Change::FewerVariants { line, from, to } => {
            json!({"kind": "fewer_variants", "line": line.map(|line| line + 1), "from": from, "to": to})
        }
        Change::OtherQuality { line, from, to } => {
            json!({"kind": "other_quality", "line": line.map(|line| line + 1), "from": from, "to": to})
        }
        Change::FewerAssets { from, to } => json!({"kind": "fewer_assets", "from": from, "to": to}),
        Change::FewerLines { from, to } => json!({"kind": "fewer_lines", "from": from, "to": to}),
        Change::AfterReset { at } => json!({"kind": "after_reset", "at": at.to_string()}),
        Change::TopUp { credits } => json!({"kind": "top_up", "credits": credits.to_string()}),
    };
    json!({
        "change": change,
        "cost_credits": credits_json(&alternative.credits),
        "probability": alternative.probability,
        "run_out_p50": alternative.run_out.map(|at| at.to_string()),
        "would_last": alternative.would_last,
    })
}

fn wait_json(wait: &Wait) -> Value {
    json!({
        "room_tasks": wait.room_tasks,
        "until_first_seconds": wait.until_first_seconds,
        "until_last_seconds": wait.until_last_seconds,
    })
}
