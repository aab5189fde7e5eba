//! The latest balance, plan, queue and collector states: one row each, replaced by what was read last.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::append::{CollectorOutcome, Incoming};
use super::lots::load_due;
use super::{credits, instant, millis};
use crate::domain::balance::{DERIVED_PREFIX, REFUND_WINDOW};
use crate::domain::{
    BalanceRecord, BalanceState, Basis, ChargeSource, Credits, Entry, LotRules, PlanRecord, QueueRecord, Refundable,
    Since, TaskRecord, TaskState, reconcile_balance, reset_between,
};

/// Holds a balance, if one was read, against the entries; without one, remembers what the entries explain. Answers the
/// entries that follow, and records of derived charges that are still to be appended.
pub(super) async fn append_balance(
    connection: &mut SqliteConnection,
    account: i64,
    incoming: Incoming<'_>,
    entries: &[Entry],
) -> sqlx::Result<(Vec<Entry>, Vec<TaskRecord>)> {
    let now = incoming.now;
    if incoming.reading.balance.is_none() && entries.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (previous, mut explained) = match load_balance(connection, account).await? {
        Some((state, explained)) => (Some(state), explained),
        None => (None, Explained::default()),
    };
    if let Some(state) = &previous {
        explained.add(state, entries);
    }
    let Some(record) = &incoming.reading.balance else {
        let update = "UPDATE balances SET net_since = $1, estimated_since = $2, late_since = $3 WHERE account_id = $4";
        sqlx::query(update)
            .bind(explained.net.micros())
            .bind(explained.estimated.micros())
            .bind(explained.late.micros())
            .bind(account)
            .execute(connection)
            .await?;
        return Ok((Vec::new(), Vec::new()));
    };
    let plan = load_plan(connection, account).await?;
    let declared_reset = incoming.plan.and_then(|declared| declared.reset.as_ref());
    // A plan that changed is refilled to what it now grants, at the dates it had before.
    let rules = LotRules::of(incoming.reading.plan.as_ref().or(plan.as_ref()), incoming.plan);
    let due = match &previous {
        Some(previous) => load_due(connection, account, &rules, previous.read_at, now).await?,
        None => Vec::new(),
    };
    let refundable = match incoming.charges {
        ChargeSource::Balance => load_refundable(connection, account, now - REFUND_WINDOW).await?,
        ChargeSource::History => Vec::new(),
    };
    let since = Since {
        now,
        net_charged: explained.net,
        net_late: explained.late,
        net_estimated: explained.estimated,
        reset_at: previous.as_ref().and_then(|p| reset_between(plan.as_ref(), declared_reset, p.read_at, now)),
        allowance: rules.refill.allowance,
        carry_over: rules.refill.carry_over,
        due: &due,
        charges: incoming.charges,
        refundable: &refundable,
    };
    let reconciled = reconcile_balance(previous.as_ref(), record, &since);
    if previous.is_none_or(|previous| previous.record != reconciled.state.record) {
        keep_reading(connection, account, record, now).await?;
    }
    keep_balance(connection, account, &reconciled.state).await?;
    Ok((reconciled.entries, reconciled.records))
}

/// What came into the ledger since the last balance, as sums of charges less refunds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explained {
    /// Since the baseline.
    pub(super) net: Credits,
    /// Of that, what was estimated.
    pub(super) estimated: Credits,
    /// Between the first balance and the baseline.
    pub(super) late: Credits,
}

impl Explained {
    fn add(&mut self, state: &BalanceState, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| entry.at >= state.opened_at) {
            let net = -entry.change();
            if entry.at < state.baseline_at {
                self.late += net;
                continue;
            }
            self.net += net;
            if entry.basis == Basis::Estimated {
                self.estimated += net;
            }
        }
    }
}

/// What may yet come back where nobody lists charges: derived charges, and tasks that ended badly, since an instant.
async fn load_refundable(
    connection: &mut SqliteConnection,
    account: i64,
    since: Timestamp,
) -> sqlx::Result<Vec<Refundable>> {
    type Columns = (String, i64, String, String, bool, i64);
    // The ids of derived charges hold their instants, in the order of time.
    let select = "SELECT id, created_at, state, task_type, is_sum, charged - refunded FROM tasks \
                  WHERE account_id = $1 AND id >= $2 AND id < $3 AND is_sum <> 0 AND charged > refunded \
                  UNION ALL SELECT id, created_at, state, task_type, is_sum, charged - refunded FROM tasks \
                  WHERE account_id = $1 AND state IN ('failed', 'cancelled', 'expired') AND charged > refunded \
                  AND created_at >= $4";
    let found: Vec<Columns> = sqlx::query_as(select)
        .bind(account)
        .bind(format!("{DERIVED_PREFIX}{since}"))
        .bind(format!("{DERIVED_PREFIX}~"))
        .bind(millis(since))
        .fetch_all(connection)
        .await?;
    let refundable = |(id, created_at, state, task_type, is_derived, net): Columns| Refundable {
        id,
        created_at: instant(created_at),
        state: TaskState::parse(&state),
        task_type,
        is_derived,
        net: credits(net),
    };
    Ok(found.into_iter().map(refundable).collect())
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

/// The last balance, and what came into the ledger since.
pub(super) async fn load_balance(
    connection: &mut SqliteConnection,
    account: i64,
) -> sqlx::Result<Option<(BalanceState, Explained)>> {
    type Columns = (i64, i64, Option<i64>, Option<i64>, Option<i64>, i64, i64, Option<i64>, i64, i64, Option<i64>);
    let select = "SELECT read_at, available, plan, purchased, frozen, opened_at, baseline_at, drift, granted, expired, \
                  awaited_reset FROM balances WHERE account_id = $1";
    let found: Option<Columns> = sqlx::query_as(select).bind(account).fetch_optional(&mut *connection).await?;
    let Some(columns) = found else { return Ok(None) };
    let (read_at, available, plan, purchased, frozen, opened_at, baseline_at, drift, granted, expired, awaited) =
        columns;
    let state = BalanceState {
        record: BalanceRecord {
            available: credits(available),
            plan: plan.map(credits),
            purchased: purchased.map(credits),
            frozen: frozen.map(credits),
        },
        read_at: instant(read_at),
        opened_at: instant(opened_at),
        baseline_at: instant(baseline_at),
        drift: drift.map(credits),
        granted: credits(granted),
        expired: credits(expired),
        awaited_reset: awaited.map(instant),
    };
    let select = "SELECT net_since, estimated_since, late_since FROM balances WHERE account_id = $1";
    let (net, estimated, late) = sqlx::query_as(select).bind(account).fetch_one(connection).await?;
    Ok(Some((state, Explained { net: credits(net), estimated: credits(estimated), late: credits(late) })))
}

async fn keep_balance(connection: &mut SqliteConnection, account: i64, state: &BalanceState) -> sqlx::Result<()> {
    let upsert = "INSERT INTO balances (account_id, read_at, available, plan, purchased, frozen, opened_at, baseline_at, \
                  drift, granted, expired, awaited_reset, net_since, estimated_since, late_since) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0) \
                  ON CONFLICT (account_id) DO UPDATE SET read_at = excluded.read_at, available = excluded.available, \
                  plan = excluded.plan, purchased = excluded.purchased, frozen = excluded.frozen, \
                  opened_at = excluded.opened_at, baseline_at = excluded.baseline_at, drift = excluded.drift, \
                  granted = excluded.granted, expired = excluded.expired, awaited_reset = excluded.awaited_reset, \
                  net_since = 0, estimated_since = 0, late_since = 0";
    sqlx::query(upsert)
        .bind(account)
        .bind(millis(state.read_at))
        .bind(state.record.available.micros())
        .bind(state.record.plan.map(Credits::micros))
        .bind(state.record.purchased.map(Credits::micros))
        .bind(state.record.frozen.map(Credits::micros))
        .bind(millis(state.opened_at))
        .bind(millis(state.baseline_at))
        .bind(state.drift.map(Credits::micros))
        .bind(state.granted.micros())
        .bind(state.expired.micros())
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
