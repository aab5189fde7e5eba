//! The latest balance, plan, queue and collector states: one row each, replaced by what was read last.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::append::CollectorOutcome;
use super::{credits, instant, millis};
use crate::domain::{
    BalanceRecord, BalanceState, Credits, Entry, EntryKind, PlanRecord, QueueRecord, Reading, ResetRule,
    reconcile_balance, reset_between,
};

/// Holds a balance, if one was read, against the entries; without one, remembers what the entries explain.
pub(super) async fn append_balance(
    connection: &mut SqliteConnection,
    account: i64,
    reading: &Reading,
    entries: &[Entry],
    reset: Option<&ResetRule>,
    now: Timestamp,
) -> sqlx::Result<Option<Entry>> {
    if reading.balance.is_none() && entries.is_empty() {
        return Ok(None);
    }
    let previous = load_balance(connection, account).await?;
    let explained = |state: &BalanceState| -> Credits {
        let counted = entries.iter().filter(|entry| entry.at >= state.baseline_at);
        counted.map(|entry| if entry.kind == EntryKind::Charge { entry.credits } else { -entry.credits }).sum()
    };
    let net = previous.as_ref().map_or(Credits::ZERO, |(state, net_since)| *net_since + explained(state));
    let previous = previous.map(|(state, _)| state);
    let Some(record) = &reading.balance else {
        sqlx::query("UPDATE balances SET net_since = $1 WHERE account_id = $2")
            .bind(net.micros())
            .bind(account)
            .execute(connection)
            .await?;
        return Ok(None);
    };
    let plan = load_plan(connection, account).await?;
    let reset_at = previous.as_ref().and_then(|p| reset_between(plan.as_ref(), reset, p.read_at, now));
    let (state, entry) = reconcile_balance(previous.as_ref(), record, now, net, reset_at);
    if previous.is_none_or(|previous| previous.record != state.record) {
        keep_reading(connection, account, record, now).await?;
    }
    keep_balance(connection, account, &state).await?;
    Ok(entry)
}

async fn keep_reading(
    connection: &mut SqliteConnection,
    account: i64,
    record: &BalanceRecord,
    now: Timestamp,
) -> sqlx::Result<()> {
    let upsert = "INSERT INTO balance_readings (account_id, read_at, available, plan, purchased, frozen) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, read_at) DO UPDATE SET \
                  available = excluded.available, plan = excluded.plan, purchased = excluded.purchased, \
                  frozen = excluded.frozen";
    sqlx::query(upsert)
        .bind(account)
        .bind(millis(now))
        .bind(record.available.micros())
        .bind(record.plan.map(Credits::micros))
        .bind(record.purchased.map(Credits::micros))
        .bind(record.frozen.map(Credits::micros))
        .execute(connection)
        .await?;
    Ok(())
}

/// The last balance, and what entries since then explain.
pub(super) async fn load_balance(
    connection: &mut SqliteConnection,
    account: i64,
) -> sqlx::Result<Option<(BalanceState, Credits)>> {
    type Columns = (i64, i64, Option<i64>, Option<i64>, Option<i64>, i64, Option<i64>, i64, Option<i64>, i64);
    let select = "SELECT read_at, available, plan, purchased, frozen, baseline_at, drift, granted, awaited_reset, \
                  net_since FROM balances WHERE account_id = $1";
    let found: Option<Columns> = sqlx::query_as(select).bind(account).fetch_optional(connection).await?;
    Ok(found.map(|columns| {
        let (read_at, available, plan, purchased, frozen, baseline_at, drift, granted, awaited_reset, net) = columns;
        let state = BalanceState {
            record: BalanceRecord {
                available: credits(available),
                plan: plan.map(credits),
                purchased: purchased.map(credits),
                frozen: frozen.map(credits),
            },
            read_at: instant(read_at),
            baseline_at: instant(baseline_at),
            drift: drift.map(credits),
            granted: credits(granted),
            awaited_reset: awaited_reset.map(instant),
        };
        (state, credits(net))
    }))
}

async fn keep_balance(connection: &mut SqliteConnection, account: i64, state: &BalanceState) -> sqlx::Result<()> {
    let upsert = "INSERT INTO balances (account_id, read_at, available, plan, purchased, frozen, baseline_at, drift, \
                  granted, awaited_reset, net_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) \
                  ON CONFLICT (account_id) DO UPDATE SET read_at = excluded.read_at, available = excluded.available, \
                  plan = excluded.plan, purchased = excluded.purchased, frozen = excluded.frozen, \
                  baseline_at = excluded.baseline_at, drift = excluded.drift, granted = excluded.granted, \
                  awaited_reset = excluded.awaited_reset, net_since = 0";
    sqlx::query(upsert)
        .bind(account)
        .bind(millis(state.read_at))
        .bind(state.record.available.micros())
        .bind(state.record.plan.map(Credits::micros))
        .bind(state.record.purchased.map(Credits::micros))
        .bind(state.record.frozen.map(Credits::micros))
        .bind(millis(state.baseline_at))
        .bind(state.drift.map(Credits::micros))
        .bind(state.granted.micros())
        .bind(state.awaited_reset.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

/// What the platform last said of the plan.
pub(super) async fn load_plan(connection: &mut SqliteConnection, account: i64) -> sqlx::Result<Option<PlanRecord>> {
    let found: Option<(Option<String>, Option<i64>, Option<i64>)> =
        sqlx::query_as("SELECT name, allowance, resets_at FROM plans WHERE account_id = $1")
            .bind(account)
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|(name, allowance, resets_at)| PlanRecord {
        name,
        allowance: allowance.map(credits),
        resets_at: resets_at.map(instant),
    }))
}

pub(super) async fn keep_plan(
    connection: &mut SqliteConnection,
    account: i64,
    plan: &PlanRecord,
    now: Timestamp,
) -> sqlx::Result<()> {
    let upsert = "INSERT INTO plans (account_id, read_at, name, allowance, resets_at) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT (account_id) DO UPDATE SET read_at = excluded.read_at, name = excluded.name, \
                  allowance = excluded.allowance, resets_at = excluded.resets_at";
    sqlx::query(upsert)
        .bind(account)
        .bind(millis(now))
        .bind(plan.name.as_deref())
        .bind(plan.allowance.map(Credits::micros))
        .bind(plan.resets_at.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn keep_queue(
    connection: &mut SqliteConnection,
    account: i64,
    queue: &QueueRecord,
    now: Timestamp,
) -> sqlx::Result<()> {
    let upsert = "INSERT INTO queue_states (account_id, read_at, waiting, running, task_limit, oldest_waiting_at) \
                  VALUES ($1, $2, $3, $4, $5, $6) \
                  ON CONFLICT (account_id) DO UPDATE SET read_at = excluded.read_at, waiting = excluded.waiting, \
                  running = excluded.running, task_limit = excluded.task_limit, \
                  oldest_waiting_at = excluded.oldest_waiting_at";
    sqlx::query(upsert)
        .bind(account)
        .bind(millis(now))
        .bind(i64::from(queue.waiting))
        .bind(i64::from(queue.running))
        .bind(queue.limit.map(i64::from))
        .bind(queue.oldest_waiting_at.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn keep_outcome(
    connection: &mut SqliteConnection,
    account: i64,
    outcome: &CollectorOutcome,
    now: Timestamp,
) -> sqlx::Result<()> {
    let upsert = "INSERT INTO collector_states (account_id, collector, last_attempt_at, last_success_at, \
                  last_duration_seconds, failure_reason, failure_message) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                  ON CONFLICT (account_id, collector) DO UPDATE SET last_attempt_at = excluded.last_attempt_at, \
                  last_success_at = COALESCE(excluded.last_success_at, collector_states.last_success_at), \
                  last_duration_seconds = excluded.last_duration_seconds, \
                  failure_reason = excluded.failure_reason, failure_message = excluded.failure_message";
    let failure = outcome.failure.as_ref();
    sqlx::query(upsert)
        .bind(account)
        .bind(outcome.collector.as_str())
        .bind(millis(now))
        .bind(failure.is_none().then(|| millis(now)))
        .bind(outcome.duration_seconds)
        .bind(failure.map(|(reason, _)| reason.as_str()))
        .bind(failure.map(|(_, message)| message.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}
