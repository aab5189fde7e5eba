//! What drove a forecast, as JSON: the same under `/api/v1/` and from `status --explain --format json`.

use serde_json::{Value, json};

use crate::domain::{AccountAssessment, DrawAssessment};

/// Paces are in credits an hour of average weight, shares and probabilities between 0 and 1. `null` where nothing is said of
/// the future.
pub fn explanation(account: &AccountAssessment, draw: &DrawAssessment) -> Value {
    let Some(explanation) = &draw.explanation else { return Value::Null };
    let paces = explanation.paces.iter().map(|part| {
        json!({
            "half_life_hours": part.half_life_hours,
            "credits_per_hour": part.per_hour,
            "share": part.share,
        })
    });
    let ((recent, _), (long, _)) = (explanation.recent(), explanation.long_memory());
    let spread = &explanation.spread;
    json!({
        "words": draw.explained(account),
        "is_guess": explanation.is_guess,
        "paces": paces.collect::<Vec<_>>(),
        "floor_credits_per_hour": explanation.floor_per_hour,
        "pace_credits_per_hour": explanation.pace_per_hour,
        "recent_share": recent,
        "long_memory_share": long,
        "until": explanation.until.to_string(),
        "hours": explanation.hours,
        "exposure_hours": explanation.exposure_hours,
        "horizon_factor": explanation.horizon_factor,
        "mean_use_credits": explanation.mean_use,
        "planned_mean_credits": explanation.planned_mean,
        "relative_variance": {
            "total": spread.total(),
            "lumps": spread.lumps,
            "drift": spread.drift,
            "thin_data": spread.thin_data,
            "batches": spread.batches,
        },
        "dispersion_credits": explanation.dispersion,
        "wobble": explanation.wobble,
        "effective_charges": explanation.effective_charges,
        "remaining_credits": explanation.remaining.as_f64(),
        "planned_credits": explanation.planned.as_f64(),
        "queued_credits": explanation.queued.as_f64(),
        "elapsed_share": explanation.elapsed_share,
        "chance": explanation.chance.map(|chance| {
            json!({
                "raw": chance.raw,
                "offset": chance.offset,
                "slope": chance.slope,
                "calibrated": chance.calibrated,
            })
        }),
        "confidence": {
            "level": explanation.confidence.as_str(),
            "history_hours": explanation.history_hours,
            "wanted_history_hours": explanation.long_history_hours,
            "charges": explanation.charges,
        },
    })
}
