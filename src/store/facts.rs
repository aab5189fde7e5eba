//! What an assessment and a page need, in few and cheap queries.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use sqlx::SqlitePool;

use super::announcements::StandingRow;
use super::append::team_name;
use super::records::load_plan;
use super::write::team_column;
use super::{Store, StoreError, alerts, credits, instant, millis};
use crate::domain::{
    AccountName, Alert, Announcement, BalanceRecord, BalanceState, Basis, Collector, CollectorStatus, Credits, Draw,
    Entry, EntryKind, EstimateAccuracy, EstimateOutcome, HourlyUse, PlanRecord, QueueRecord, Reruns, RetryKind,
    RetryRow, RuleName, TeamName, TotalsRow,
};

/// Everything that an assessment of one account starts from, as of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountFacts {
    /// The last balance read, with drift and grants.
    pub balance: Option<BalanceState>,
    /// The last queue read, and when.
    pub queue: Option<(QueueRecord, Timestamp)>,
    /// What the platform last said of the plan.
    pub plan: Option<PlanRecord>,
    /// How reading goes: one for each collector ever tried.
    pub collectors: Vec<CollectorStatus>,
    /// One for each team that was asked for, and `None` for charges that match no team.
    pub teams: BTreeMap<Option<TeamName>, TeamFacts>,
    /// Alerts of the period asked for, and those of other periods that are not over, or of whose end people are still to
    /// hear.
    pub alerts: Vec<AlertFacts>,
    /// What was announced for the teams that were asked for and not taken back, in the order in which it was.
    pub announcements: Vec<Announcement>,
}

/// What the ledger says of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamFacts {
    /// Counters by task type and quality.
    pub totals: Vec<TotalsRow>,
    /// Retries by task type and kind.
    pub retries: Vec<RetryRow>,
    /// Charged for tasks that are not final yet.
    pub pending: Credits,
    /// Net use of charges since the period's start; since ever without one.
    pub spent: Credits,
    /// Net use of charges within the last hour, to the millisecond.
    pub last_hour: Credits,
    /// Charged since the period's start for tasks that ended badly, and not given back.
    pub unrefunded: Credits,
    /// Second attempts of the period at what had succeeded, without the most attempts at one asset, which
    /// [`Store::most_attempts`] finds.
    pub reruns: Reruns,
    /// Whether a look at [`Store::suspects`] can find any.
    pub has_suspects: bool,
    /// Whether a look at [`Store::uncharged`] finds any of the last week.
    pub has_uncharged: bool,
    /// How many recorded estimates are open.
    pub open_estimates: u64,
    /// How those that are closed did.
    pub accuracy: EstimateAccuracy,
}

/// An alert as it was last left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFacts {
    /// Whose.
    pub team: TeamName,
    /// Which rule.
    pub rule: RuleName,
    /// The period it belongs to (the Unix epoch for a prepaid account).
    pub period_start: Timestamp,
    /// Where it is in its life.
    pub alert: Alert,
}

impl Store {
    /// What the platform last said of the plan. The period follows from it, and [`Store::load_account`] wants that.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn reported_plan(&self, account: &AccountName) -> Result<Option<PlanRecord>, StoreError> {
        let id = self.account_id(account)?;
        let mut connection = self.readers.acquire().await.map_err(|error| self.explain(error))?;
        load_plan(&mut connection, id).await.map_err(|error| self.explain(error))
    }

    /// What an assessment needs: the last of each thing read, and each team's sums since `period_start` (since ever
    /// without one). Cheap however long the ledger is: sums are kept, not made.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn load_account(
        &self,
        account: &AccountName,
        draws: &[Draw],
        period_start: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<AccountFacts, StoreError> {
        let id = self.account_id(account)?;
        load(&self.readers, id, draws, period_start, now).await.map_err(|error| self.explain(error))
    }

    /// A team's net use by hour from `since_hour` on, oldest first; hours without any are left out. `None` asks for
    /// charges that match no team.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn hourly_use(
        &self,
        account: &AccountName,
        team: Option<&TeamName>,
        since_hour: i64,
    ) -> Result<Vec<HourlyUse>, StoreError> {
        let id = self.account_id(account)?;
        let select = "SELECT hour, net, charges FROM hourly_use WHERE account_id = $1 AND team = $2 AND hour >= $3 \
                      AND (net <> 0 OR charges <> 0) ORDER BY hour";
        let found: Vec<(i64, i64, u32)> = sqlx::query_as(select)
            .bind(id)
            .bind(team_column(team))
            .bind(since_hour)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let use_ = |(hour, net, charges)| HourlyUse { hour, net: credits(net), charges };
        Ok(found.into_iter().map(use_).collect())
    }

    /// The whole account's net use by hour from `since_hour` on, charges of no team among it, oldest first; hours without
    /// any are left out.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn hourly_use_of_all(
        &self,
        account: &AccountName,
        since_hour: i64,
    ) -> Result<Vec<HourlyUse>, StoreError> {
        let id = self.account_id(account)?;
        let found: Vec<(i64, i64, u32)> = sqlx::query_as(HOURS_OF_ALL)
            .bind(id)
            .bind(since_hour)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let use_ = |(hour, net, charges)| HourlyUse { hour, net: credits(net), charges };
        Ok(found.into_iter().map(use_).collect())
    }

    /// Entries in the order in which they were recorded, after row `after` (0 for the first page), at most `limit`, each
    /// with its row.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn entries(
        &self,
        account: &AccountName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Entry)>, StoreError> {
        type Columns = (i64, String, String, i64, i64, i64, Option<String>, String, Option<String>);
        let id = self.account_id(account)?;
        let found: Vec<Columns> = sqlx::query_as(ENTRIES)
            .bind(id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        let entry = |columns: Columns| {
            let (row, key, kind, at, seen_at, amount, task_id, basis, team) = columns;
            let entry = Entry {
                key,
                kind: EntryKind::parse(&kind)?,
                at: instant(at),
                seen_at: instant(seen_at),
                credits: credits(amount),
                task_id,
                team: team.as_deref().and_then(team_name),
                basis: Basis::parse(&basis)?,
            };
            Some((row, entry))
        };
        Ok(found.into_iter().filter_map(entry).collect())
    }
}

/// Team by team, so that only the hours asked for are looked at.
pub(super) const HOURS_OF_ALL: &str = "\
    SELECT hour, SUM(net), SUM(charges) FROM (SELECT DISTINCT team FROM totals WHERE account_id = $1) t \
    CROSS JOIN hourly_use h ON h.account_id = $1 AND h.team = t.team AND hour >= $2 \
    GROUP BY hour HAVING SUM(net) <> 0 OR SUM(charges) <> 0 ORDER BY hour";

pub(super) const ENTRIES: &str = "\
    SELECT entries.id, key, kind, at, seen_at, credits, task_id, basis, tasks.team FROM entries \
    LEFT JOIN tasks ON tasks.account_id = entries.account_id AND tasks.id = entries.task_id \
    WHERE entries.account_id = $1 AND entries.id > $2 ORDER BY entries.id LIMIT $3";

/// One row of [`load`]: what it is about, up to four words, a duration, and up to ten numbers.
type Section = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<f64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// Alerts are read by indexes that are named: SQLite would go through all that the account ever had.
///
/// Everything in one statement, whose parts say what they are in their first column: as of one moment, and one trip to
/// the database's thread. A dozen small queries take most of their time in waking that thread up.
const SECTIONS: &str = "\
    SELECT 'totals', team, task_type, quality, NULL, NULL, charged, refunded, finished, failed, \
        attempts, NULL, NULL, NULL, NULL FROM totals WHERE account_id = $1 \
    UNION ALL SELECT 'retries', team, task_type, kind, NULL, NULL, highest_tasks, highest_credits, NULL, NULL, \
        NULL, NULL, NULL, NULL, NULL FROM retries WHERE account_id = $1 \
    UNION ALL SELECT 'collector', collector, failure_reason, failure_message, NULL, last_duration_seconds, \
        last_attempt_at, last_success_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
        FROM collector_states WHERE account_id = $1 \
    UNION ALL SELECT 'balance', NULL, NULL, NULL, NULL, NULL, read_at, available, plan, purchased, frozen, \
        baseline_at, drift, granted, awaited_reset FROM balances WHERE account_id = $1 \
    UNION ALL SELECT 'balance began', NULL, NULL, NULL, NULL, NULL, opened_at, expired, NULL, NULL, NULL, \
        NULL, NULL, NULL, NULL FROM balances WHERE account_id = $1 \
    UNION ALL SELECT 'queue', NULL, NULL, NULL, NULL, NULL, read_at, waiting, running, task_limit, \
        oldest_waiting_at, NULL, NULL, NULL, NULL FROM queue_states WHERE account_id = $1 \
    UNION ALL SELECT 'plan', name, NULL, NULL, NULL, NULL, allowance, resets_at, NULL, NULL, \
        NULL, NULL, NULL, NULL, NULL FROM plans WHERE account_id = $1 \
    UNION ALL SELECT 'alert', team, rule, state || ' ' || COALESCE(untold, ''), \
        COALESCE(stage || ' ' || step, '') || ',' || COALESCE(told_stage || ' ' || told_step, ''), NULL, period_start, \
        episode, since, clear_since, told_at, ended_at, told_figure, NULL, NULL \
        FROM alerts INDEXED BY alerts_by_period WHERE account_id = $1 AND period_start = $2 \
    UNION ALL SELECT 'alert', team, rule, state || ' ' || COALESCE(untold, ''), \
        COALESCE(stage || ' ' || step, '') || ',' || COALESCE(told_stage || ' ' || told_step, ''), NULL, period_start, \
        episode, since, clear_since, told_at, ended_at, told_figure, NULL, NULL \
        FROM alerts INDEXED BY alerts_open WHERE account_id = $1 AND (state IN ('firing', 'pending') OR untold IS NOT NULL) \
        AND period_start <> $2 \
    UNION ALL SELECT 'open estimates', team, NULL, NULL, NULL, NULL, COUNT(*), NULL, NULL, \
        NULL, NULL, NULL, NULL, NULL, NULL FROM estimates WHERE account_id = $1 AND state = 'open' GROUP BY team \
    UNION ALL SELECT 'estimates', team, outcome, NULL, NULL, NULL, estimates, expected, charged, \
        NULL, NULL, NULL, NULL, NULL, NULL FROM estimate_totals WHERE account_id = $1 \
    UNION ALL SELECT 'announcement', team, NULL, announced_by, note, factor, id, begins_at, ends_at, low, \
        likely, high, announced_at, NULL, NULL FROM announcements WHERE account_id = $1 AND withdrawn_at IS NULL";

/// A team's sums, appended to [`SECTIONS`] once for each team: net use of whole hours, of the piece of an hour before
/// them, of the last hour, and what is pending, and more.
const TEAM_SECTION: &str = " UNION ALL SELECT 'sums', team, NULL, NULL, NULL, NULL, \
    (SELECT COALESCE(SUM(net), 0) FROM hourly_use h WHERE h.account_id = $1 AND h.team = t.team AND hour >= $3 \
        AND hour <= $7), \
    (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k \
        WHERE k.account_id = $1 AND k.team = t.team AND created_at >= $4 AND created_at < $5), \
    (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k \
        WHERE k.account_id = $1 AND k.team = t.team AND created_at > $6 \
        AND created_at < ($7 + 1) * 3600000), \
    (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k \
        WHERE k.account_id = $1 AND k.team = t.team AND state IN ('queued', 'running', 'unknown')), \
    (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k \
        WHERE k.account_id = $1 AND k.team = t.team AND state IN ('failed', 'cancelled', 'expired') \
        AND charged > refunded AND created_at >= $2), \
    (SELECT COUNT(*) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team \
        AND (charged_again > 0 OR said_refunded > charged) AND created_at >= $2), \
    (SELECT COUNT(*) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team \
        AND state IN ('queued', 'running', 'unknown') AND state <> 'unknown' AND charged = 0 \
        AND created_at >= ($7 - 168) * 3600000), \
    (SELECT COUNT(*) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team AND retry IS NOT NULL \
        AND retry = 'rerun' AND created_at >= $2), \
    (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team \
        AND retry IS NOT NULL AND retry = 'rerun' AND created_at >= $2) FROM (";

async fn load(
    readers: &SqlitePool,
    account: i64,
    draws: &[Draw],
    period_start: Option<Timestamp>,
    now: Timestamp,
) -> sqlx::Result<AccountFacts> {
    // Whole hours come from the kept sums, the piece of an hour before the first of them from the tasks themselves.
    let start = millis(period_start.unwrap_or(Timestamp::MAX));
    let first_whole_hour = start.div_euclid(HOUR_MILLIS) + i64::from(start.rem_euclid(HOUR_MILLIS) != 0);
    let hour_ago = millis(now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN));

    // Safe: the text is made of constants and numbers of places.
    let mut query = sqlx::query_as::<_, Section>(sqlx::AssertSqlSafe(statement(draws.len())))
        .bind(account)
        .bind(millis(period_start.unwrap_or(Timestamp::UNIX_EPOCH)))
        .bind(first_whole_hour)
        .bind(start)
        .bind(first_whole_hour.saturating_mul(HOUR_MILLIS))
        .bind(hour_ago)
        .bind(millis(now).div_euclid(HOUR_MILLIS));
    for draw in draws {
        query = query.bind(draw.key.team.as_str());
    }

    let mut facts = AccountFacts::default();
    facts.teams.insert(None, TeamFacts::default());
    facts.teams.extend(draws.iter().map(|draw| (Some(draw.key.team.clone()), TeamFacts::default())));
    for section in query.fetch_all(readers).await? {
        match section.0.as_str() {
            "announcement" => facts.announcements.extend(announcement(section).of_draws(draws)),
            _ => facts.take(section),
        }
    }
    facts.announcements.sort_by_key(|announcement| announcement.id);
    if period_start.is_none() {
        // Without a period every charge counts, and the counters know their sum.
        for team in facts.teams.values_mut() {
            team.spent = team.totals.iter().map(|row| row.charged - row.refunded).sum();
        }
    }
    facts.alerts.sort_by(|a, b| (&a.team, a.rule, a.period_start).cmp(&(&b.team, b.rule, b.period_start)));
    Ok(facts)
}

/// The statement of [`load`] for a number of teams, whose names are its seventh value and those after it.
pub(super) fn statement(teams: usize) -> String {
    let mut sql = format!("{SECTIONS}{TEAM_SECTION}SELECT '' AS team");
    for place in 0..teams {
        // Writing to a string cannot fail.
        let _ = write!(sql, " UNION ALL SELECT ${}", place + 8);
    }
    sql.push_str(") t");
    sql
}

fn announcement(section: Section) -> StandingRow {
    let (_, team, _, by, note, factor, n1, n2, n3, n4, n5, n6, n7, _, _) = section;
    let [team, by, note] = [team, by, note].map(Option::unwrap_or_default);
    StandingRow { team, by, note, factor, numbers: [n1, n2, n3, n4, n5, n6, n7] }
}

impl AccountFacts {
    /// Puts one row of [`load`] in its place. A row that a later version wrote and this one cannot read is left out.
    fn take(&mut self, section: Section) {
        let (what, a, b, c, d, seconds, n1, n2, n3, n4, n5, n6, n7, n8, n9) = section;
        let word = |word: Option<String>| word.unwrap_or_default();
        let number = |number: Option<i64>| number.unwrap_or_default();
        let count = |number: Option<i64>| number.unwrap_or_default().unsigned_abs();
        let small = |number: Option<i64>| u32::try_from(number.unwrap_or_default()).unwrap_or(u32::MAX);
        let amount = |micros: Option<i64>| credits(micros.unwrap_or_default());
        match what.as_str() {
            "balance" => {
                self.balance = Some(BalanceState {
                    record: BalanceRecord {
                        available: amount(n2),
                        plan: n3.map(credits),
                        purchased: n4.map(credits),
                        frozen: n5.map(credits),
                    },
                    read_at: instant(number(n1)),
                    // Said by the row that follows this one.
                    opened_at: instant(number(n6)),
                    baseline_at: instant(number(n6)),
                    drift: n7.map(credits),
                    granted: amount(n8),
                    expired: Credits::ZERO,
                    awaited_reset: n9.map(instant),
                });
            }
            "balance began" => {
                if let Some(state) = &mut self.balance {
                    (state.opened_at, state.expired) = (instant(number(n1)), amount(n2));
                }
            }
            "queue" => {
                let limit = n4.map(|limit| small(Some(limit)));
                let oldest_waiting_at = n5.map(instant);
                let queue = QueueRecord { waiting: small(n2), running: small(n3), limit, oldest_waiting_at };
                self.queue = Some((queue, instant(number(n1))));
            }
            "plan" => {
                self.plan = Some(PlanRecord { name: a, allowance: n1.map(credits), resets_at: n2.map(instant) });
            }
            "collector" => {
                let status = Collector::parse(&word(a)).map(|collector| CollectorStatus {
                    collector,
                    last_attempt_at: n1.map(instant),
                    last_success_at: n2.map(instant),
                    last_duration_seconds: seconds,
                    last_failure: b.zip(c),
                });
                self.collectors.extend(status);
            }
            "alert" => {
                let stored = alerts::StoredAlert {
                    team: word(a),
                    rule: word(b),
                    state: word(c),
                    levels: word(d),
                    period_start: number(n1),
                    episode: small(n2),
                    since: n3,
                    clear_since: n4,
                    told_at: n5,
                    ended_at: n6,
                    told_figure: n7,
                };
                self.alerts.extend(stored.into_facts());
            }
            _ => {
                let Some(team) = self.teams.get_mut(&team_name(&word(a))) else { return };
                match (what.as_str(), c) {
                    ("totals", quality) => team.totals.push(TotalsRow {
                        task_type: word(b),
                        quality: word(quality),
                        charged: amount(n1),
                        refunded: amount(n2),
                        finished: count(n3),
                        failed: count(n4),
                        attempts: count(n5),
                    }),
                    ("retries", kind) => team.retries.extend(RetryKind::parse(&word(kind)).map(|kind| RetryRow {
                        task_type: word(b),
                        kind,
                        tasks: count(n1),
                        credits: amount(n2),
                    })),
                    ("open estimates", _) => team.open_estimates = count(n1),
                    ("estimates", _) => {
                        if let Some(outcome) = EstimateOutcome::parse(&word(b)) {
                            team.accuracy.add(outcome, count(n1), amount(n2), amount(n3));
                        }
                    }
                    _ => {
                        team.spent = amount(n1) + amount(n2);
                        team.last_hour = amount(n3);
                        team.pending = amount(n4);
                        team.unrefunded = amount(n5);
                        team.has_suspects = team.unrefunded.is_positive() || number(n6) > 0;
                        team.has_uncharged = number(n7) > 0;
                        team.reruns = Reruns { tasks: count(n8), credits: amount(n9), most_attempts: 0 };
                    }
                }
            }
        }
    }
}

pub(super) const HOUR_MILLIS: i64 = 3_600_000;
