//! Which credits are left: what happened to an account's lots, found in the entries, and the use between, summed.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::facts::HOUR_MILLIS;
use super::watermarks::{CHANGES, LAST_ENTRY};
use super::{Store, StoreError, credits, instant, millis};
use crate::domain::bucket::{EXPIRY_SLACK, Event, Happening};
use crate::domain::{AccountName, BalanceRecord, Credits, DueLot, EntryKind, LotRules, Lots};

/// The lots of an account up to the last event that was no use. They follow from the ledger and can be thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLots {
    rules: LotRules,
    start: Timestamp,
    events: Vec<Event>,
    lots: Lots,
    /// Use up to here is in `lots`.
    until: Timestamp,
    /// The last entry of the account's ledger that `lots` knows of.
    last_entry: i64,
}

/// Entries that are no charges and no refunds. There are few of them among many charges.
pub(super) const OTHER_ENTRIES: &str = "\
    SELECT key, kind, at, credits FROM entries \
    WHERE account_id = $1 AND kind IN ('grant', 'expiry', 'reset', 'adjustment') AND at >= $2 ORDER BY at";

/// Net use of all teams in an interval: whole hours from the kept sums, the pieces at both ends from the tasks.
pub(super) const NET_BETWEEN: &str = "\
    SELECT COALESCE(SUM( \
        (SELECT COALESCE(SUM(net), 0) FROM hourly_use h WHERE h.account_id = $1 AND h.team = t.team \
            AND hour >= $2 AND hour < $3) \
        + (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team \
            AND created_at >= $4 AND created_at < $5) \
        + (SELECT COALESCE(SUM(charged - refunded), 0) FROM tasks k WHERE k.account_id = $1 AND k.team = t.team \
            AND created_at >= $6 AND created_at < $7) \
    ), 0) FROM (SELECT DISTINCT team FROM totals WHERE account_id = $1) t";

const FIRST_HOUR: &str = "\
    SELECT MIN((SELECT MIN(hour) FROM hourly_use h WHERE h.account_id = $1 AND h.team = t.team)) \
    FROM (SELECT DISTINCT team FROM totals WHERE account_id = $1) t";

impl Store {
    /// The lots of an account as of `now`, and what to hand in as `kept` the next time so that less is read. Without
    /// `periods` they are followed from the first balance on and agree with the last; `None` if no balance was ever read.
    /// With `periods`, the starts of plan periods in order, they are followed by the plan alone from the first of them on.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn lots(
        &self,
        account: &AccountName,
        rules: &LotRules,
        periods: &[Timestamp],
        kept: Option<KeptLots>,
        now: Timestamp,
    ) -> Result<Option<(Lots, KeptLots)>, StoreError> {
        let id = self.account_id(account)?;
        let mut connection = self.readers.acquire().await.map_err(|error| self.explain(error))?;
        load_lots(&mut connection, id, rules, periods, kept, now).await.map_err(|error| self.explain(error))
    }

    /// The hour in which the account's earliest charge was made; `None` without charges.
    ///
    /// # Errors
    /// The account was not opened, or the ledger cannot be read.
    pub async fn first_use(&self, account: &AccountName) -> Result<Option<Timestamp>, StoreError> {
        let id = self.account_id(account)?;
        let hour: Option<i64> = sqlx::query_scalar(FIRST_HOUR)
            .bind(id)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(hour.map(|hour| instant(hour.saturating_mul(HOUR_MILLIS))))
    }
}

/// Bought lots that may lapse about now. Cheap while none is near its date.
pub(super) async fn load_due(
    connection: &mut SqliteConnection,
    account: i64,
    rules: &LotRules,
    since: Timestamp,
    now: Timestamp,
) -> sqlx::Result<Vec<DueLot>> {
    let Some(after) = rules.purchased_expire_after else { return Ok(Vec::new()) };
    let bought = |expires_at: Timestamp| expires_at.saturating_sub(after).unwrap_or(Timestamp::MIN);
    let is_near: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM entries WHERE account_id = $1 \
         AND kind IN ('grant', 'expiry', 'reset', 'adjustment') AND kind = 'grant' AND at >= $2 AND at <= $3)",
    )
    .bind(account)
    .bind(millis(bought(since.min(now - EXPIRY_SLACK))))
    .bind(millis(bought(now + EXPIRY_SLACK)))
    .fetch_one(&mut *connection)
    .await?;
    if !is_near {
        return Ok(Vec::new());
    }
    let found = load_lots(connection, account, rules, &[], None, now).await?;
    Ok(found.map_or_else(Vec::new, |(lots, _)| lots.due(since, now)))
}

async fn load_lots(
    connection: &mut SqliteConnection,
    account: i64,
    rules: &LotRules,
    periods: &[Timestamp],
    kept: Option<KeptLots>,
    now: Timestamp,
) -> sqlx::Result<Option<(Lots, KeptLots)>> {
    let (start, opened, whole, events) = match (periods, rules.refill.allowance) {
        ([], _) => {
            let Some(Opening { first, opened_at, whole }) = load_opening(connection, account).await? else {
                return Ok(None);
            };
            let opened = Lots::opened_with(&first, opened_at, rules.is_prepaid);
            let events = load_events(connection, account, opened_at, rules.purchased_expire_after).await?;
            (opened_at, opened, Some(whole), events)
        }
        ([first, later @ ..], Some(allowance)) => {
            let reset = |at: &Timestamp| Event { at: *at, key: "reset".into(), what: Happening::Reset(None) };
            (*first, Lots::opened_by_plan(allowance, *first), None, later.iter().map(reset).collect())
        }
        (_, None) => return Ok(None),
    };
    let is_same = |kept: &KeptLots| kept.rules == *rules && kept.start == start && kept.events == events;
    let kept = match kept.filter(is_same) {
        Some(kept) => still_holding(connection, account, kept).await?,
        None => None,
    };
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let last_entry = sqlx::query_scalar(LAST_ENTRY).bind(account).fetch_optional(&mut *connection).await?;
            let last_entry = last_entry.unwrap_or(0);
            let mut lots = opened;
            let mut moments: Vec<Timestamp> = events.iter().map(|event| event.at).collect();
            moments.insert(0, start);
            moments.dedup();
            let mut all = events.clone();
            for pair in moments.windows(2) {
                all.push(used(net_between(connection, account, pair[0], pair[1]).await?, pair[0]));
            }
            lots.take(&all, rules.refill);
            let until = moments.last().copied().unwrap_or(start);
            KeptLots { rules: *rules, start, events, lots, until, last_entry }
        }
    };
    let mut lots = kept.lots.clone();
    let beyond_now = now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(now);
    let net = net_between(connection, account, kept.until, beyond_now).await?;
    lots.take(&[used(net, kept.until)], rules.refill);
    if let Some(whole) = whole {
        lots.agree_with(whole);
    }
    Ok(Some((lots, kept)))
}

fn used(net: Credits, at: Timestamp) -> Event {
    Event { at, key: "used".into(), what: Happening::Used(net) }
}

/// What is kept, unless charges came into the ledger since that belong to it.
async fn still_holding(
    connection: &mut SqliteConnection,
    account: i64,
    kept: KeptLots,
) -> sqlx::Result<Option<KeptLots>> {
    let (last, earliest): (Option<i64>, Option<i64>) =
        sqlx::query_as(CHANGES).bind(account).bind(kept.last_entry).fetch_one(connection).await?;
    let is_changed = earliest.is_some_and(|earliest| earliest < millis(kept.until));
    let last_entry = last.unwrap_or(kept.last_entry);
    Ok((!is_changed).then_some(KeptLots { last_entry, ..kept }))
}

/// The first balance, and what was there at the last.
struct Opening {
    first: BalanceRecord,
    opened_at: Timestamp,
    whole: Credits,
}

async fn load_opening(connection: &mut SqliteConnection, account: i64) -> sqlx::Result<Option<Opening>> {
    type Columns = (i64, i64, Option<i64>, Option<i64>, Option<i64>, i64);
    let select = "SELECT opened_at, r.available, r.plan, r.purchased, r.frozen, \
                  b.available + COALESCE(b.frozen, 0) FROM balances b \
                  JOIN balance_readings r ON r.account_id = b.account_id AND r.read_at = b.opened_at \
                  WHERE b.account_id = $1";
    let found: Option<Columns> = sqlx::query_as(select).bind(account).fetch_optional(connection).await?;
    Ok(found.map(|(opened_at, available, plan, purchased, frozen, whole)| Opening {
        first: BalanceRecord {
            available: credits(available),
            plan: plan.map(credits),
            purchased: purchased.map(credits),
            frozen: frozen.map(credits),
        },
        opened_at: instant(opened_at),
        whole: credits(whole),
    }))
}

pub(super) async fn load_events(
    connection: &mut SqliteConnection,
    account: i64,
    since: Timestamp,
    expire_after: Option<SignedDuration>,
) -> sqlx::Result<Vec<Event>> {
    let found: Vec<(String, String, i64, i64)> =
        sqlx::query_as(OTHER_ENTRIES).bind(account).bind(millis(since)).fetch_all(connection).await?;
    let event = |(key, kind, at, amount): (String, String, i64, i64)| {
        let (at, amount) = (instant(at), credits(amount));
        let what = match EntryKind::parse(&kind)? {
            EntryKind::Grant => Happening::Granted(amount, expire_after.and_then(|after| at.checked_add(after).ok())),
            EntryKind::Expiry => Happening::Expired(amount),
            EntryKind::Reset => Happening::Reset(Some(amount)),
            EntryKind::Adjustment => Happening::Adjusted(amount),
            EntryKind::Charge | EntryKind::Refund => return None,
        };
        Some(Event { at, key, what })
    };
    Ok(found.into_iter().filter_map(event).collect())
}

/// Net use of all teams of launches in `[from, to)`.
async fn net_between(
    connection: &mut SqliteConnection,
    account: i64,
    from: Timestamp,
    to: Timestamp,
) -> sqlx::Result<Credits> {
    let (from, to) = (millis(from), millis(to).max(millis(from)));
    let first_whole = from.div_euclid(HOUR_MILLIS) + i64::from(from.rem_euclid(HOUR_MILLIS) != 0);
    let end_whole = to.div_euclid(HOUR_MILLIS).max(first_whole);
    let before = to.min(first_whole.saturating_mul(HOUR_MILLIS));
    let after = end_whole.saturating_mul(HOUR_MILLIS).max(before);
    let net: i64 = sqlx::query_scalar(NET_BETWEEN)
        .bind(account)
        .bind(first_whole)
        .bind(end_whole)
        .bind(from)
        .bind(before)
        .bind(after)
        .bind(to)
        .fetch_one(connection)
        .await?;
    Ok(credits(net))
}
