//! A hand-made snapshot for tests: a team that is fine, one about to run dry, one that wastes its plan, one whose balance
//! is unknown, one whose data is stale.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::*;

/// Sunday noon in Berlin, 22 of the period's 30 days gone.
pub fn now() -> Timestamp {
    at("2026-11-22T11:00:00Z")
}

/// Reads an instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Whole credits.
pub fn credits(whole: i64) -> Credits {
    Credits::from_whole(whole)
}

/// The key of a draw.
pub fn key(account: &str, team: &str) -> DrawKey {
    DrawKey { account: AccountName::parse(account).unwrap(), team: TeamName::parse(team).unwrap() }
}

/// November in Berlin, with what it began with.
pub fn november(allowance: i64) -> PlanPeriod {
    PlanPeriod {
        start: at("2026-10-31T23:00:00Z"),
        end: at("2026-11-30T23:00:00Z"),
        allowance: Some(credits(allowance)),
        provenance: Provenance::Declared,
    }
}

/// A collector that last succeeded some minutes ago.
pub fn collector(collector: Collector, minutes_ago: i64) -> CollectorStatus {
    let tried = now() - SignedDuration::from_mins(minutes_ago);
    CollectorStatus {
        collector,
        last_attempt_at: Some(tried),
        last_success_at: Some(tried),
        last_duration_seconds: Some(0.25),
        last_failure: None,
    }
}

/// An account read three minutes ago, without draws.
pub fn account(name: &str, platform: &str) -> AccountAssessment {
    AccountAssessment {
        account: AccountName::parse(name).unwrap(),
        at: now(),
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        platform: platform.into(),
        plan_name: Some("studio".into()),
        stale_after_seconds: 900,
        charges: ChargeSource::History,
        collectors: [Collector::Charges, Collector::Queue, Collector::Balance].map(|c| collector(c, 3)).into(),
        balance: None,
        queue: None,
        queued: Queued::default(),
        unexplained: None,
        granted: Credits::ZERO,
        expired: Credits::ZERO,
        grants: Vec::new(),
        spent: Credits::ZERO,
        buckets: None,
        carry_over: CarryOver::Nothing,
        unassigned: Unassigned::default(),
        prices: None,
        rules: [RuleName::Exhaustion, RuleName::LowBalance, RuleName::PlanReset].into(),
        draws: Vec::new(),
    }
}

/// A balance without parts, read three minutes ago.
pub fn balance(available: i64) -> (BalanceRecord, Timestamp) {
    let record = BalanceRecord { available: credits(available), plan: None, purchased: None, frozen: None };
    (record, now() - SignedDuration::from_mins(3))
}

/// A draw in November with some fuel and no past.
pub fn draw(key: DrawKey, plan: i64, left: i64, limit: FuelLimit, outlook: Outlook) -> DrawAssessment {
    DrawAssessment {
        key,
        period: Some(november(plan)),
        fuel: Some(Fuel { left: credits(left), limit, as_of: now() - SignedDuration::from_mins(3), fresh: true }),
        shared: None,
        allowance: None,
        spent: credits(plan - left),
        pending: Credits::ZERO,
        unrefunded: Credits::ZERO,
        announced: Vec::new(),
        estimates: Vec::new(),
        accuracy: EstimateAccuracy::default(),
        queued: Queued::default(),
        suspects: Suspects::default(),
        spend: SpendRates::default(),
        recent: None,
        reruns: Reruns::default(),
        outlook,
        explanation: None,
        plan_run_out: None,
        totals: Vec::new(),
        retries: Vec::new(),
        alerts: Vec::new(),
        daily: Vec::new(),
    }
}

/// A forecast from a probability, a pace and run-out dates.
pub fn forecast(probability: f64, per_day: f64, unused: i64, run_out: [Option<&str>; 3]) -> Outlook {
    let [p10, p50, p90] = run_out.map(|text| text.map(at));
    Outlook::Forecast(Forecast {
        at: now(),
        probability: Some(probability),
        probability_half: Some(probability / 2.0),
        probability_tenth: Some(probability / 4.0),
        run_out: RunOut { p10, p50, p90 },
        horizon: at("2027-01-30T23:00:00Z"),
        expected_use: Credits::from_statistic(per_day * 8.5).unwrap(),
        unused: Some(credits(unused)),
        pace_per_hour: per_day / 24.0,
        confidence: Confidence::Normal,
    })
}

/// Counters of one task type and quality.
pub fn totals(task_type: &str, quality: &str, charged: i64, refunded: i64, finished: u64, failed: u64) -> TotalsRow {
    let (task_type, quality) = (task_type.into(), quality.into());
    let (charged, refunded, attempts) = (credits(charged), credits(refunded), finished);
    TotalsRow { task_type, quality, charged, refunded, finished, failed, attempts }
}

/// A charge of last Thursday that looks wrong.
pub fn suspect(task_id: &str, task_type: &str, suspicion: Suspicion, amount: i64) -> SuspectCharge {
    let created_at = at("2026-11-19T10:20:00Z");
    SuspectCharge {
        task_id: task_id.into(),
        task_type: task_type.into(),
        created_at,
        suspicion,
        credits: credits(amount),
    }
}

/// Retries of one task type and kind.
pub fn retries(task_type: &str, kind: RetryKind, tasks: u64, spent: i64) -> RetryRow {
    RetryRow { task_type: task_type.into(), kind, tasks, credits: credits(spent) }
}

/// A price that is listed and one that is charged: task type, quality, variants, the listed range, the charged price, and
/// the team's launches of the last month.
pub type Compared<'a> = (&'a str, &'a str, u32, [i64; 2], i64, u32);

/// What a team is charged beside what is listed.
pub fn prices(team: &str, kinds: &[Compared<'_>]) -> Arc<ComparedPrices> {
    let sheet = PriceSheet {
        platform: "meshy".into(),
        as_of: jiff::civil::date(2026, 9, 8),
        source: "https://prices.example".into(),
        lines: Vec::new(),
        free_retries: None,
    };
    let drift = |(task_type, quality, variants, [low, high], observed, launches): &Compared<'_>| PriceDrift {
        charged: ChargedPrice {
            task_type: (*task_type).into(),
            quality: (*quality).into(),
            variants: *variants,
            observed: credits(*observed),
            tasks: (*launches).clamp(5, 20),
        },
        listed: PriceRange { low: credits(*low), high: credits(*high) },
        since: (*observed < *low || *observed > *high).then(|| at("2026-11-18T09:30:00Z")),
        launches: [(Some(TeamName::parse(team).unwrap()), *launches)].into(),
    };
    Arc::new(ComparedPrices { sheet: Arc::new(sheet), listed: kinds.iter().map(drift).collect(), unlisted: Vec::new() })
}

/// Daily use that ends at `now`.
pub fn daily(per_day: &[i64]) -> Vec<DailyUse> {
    let today = at("2026-11-22T00:00:00Z");
    let days = per_day.iter().rev().enumerate();
    let mut daily: Vec<_> = days
        .map(|(ago, net)| DailyUse { day: today - SignedDuration::from_hours(24 * ago as i64), net: credits(*net) })
        .collect();
    daily.reverse();
    daily
}

/// A pace in credits per day over each window.
pub fn pace(hour: f64, day: f64, week: f64) -> SpendRates {
    let per_second = |per_day: f64| Some(per_day / 86_400.0);
    SpendRates { hour: per_second(hour), day: per_second(day), week: per_second(week) }
}

/// The three usual teams and the two of which little is known.
pub fn snapshot() -> Snapshot {
    Snapshot {
        accounts: vec![Arc::new(shared()), Arc::new(dry()), Arc::new(unknown()), Arc::new(stale())],
        outbox: OutboxDepth { channels: vec![mail()], given_up: Vec::new() },
        silences: silences(),
    }
}

/// Mail that waits because the relay said that it was too much.
fn mail() -> ChannelDepth {
    let pause = ChannelPause {
        until: now() + SignedDuration::from_mins(4),
        reason: "rate_limited".into(),
        said: "the relay `smtp.studio.example:587` answered MAIL with 450 4.7.1 Message rate exceeded".into(),
    };
    ChannelDepth {
        waiting: 1,
        held: 2,
        sent: 12,
        merged: 3,
        oldest_waiting_at: Some(now() - SignedDuration::from_mins(2)),
        last_sent_at: Some(now() - SignedDuration::from_mins(30)),
        pause: Some(pause),
        ..ChannelDepth::of(EMAIL_CHANNEL)
    }
}

/// Silences: an active one, one that is still to come, and one that somebody ended.
pub fn silences() -> Silences {
    let hours = SignedDuration::from_hours;
    let silence = |id, matchers: &str, starts_in: i64, ends_in: i64, by: &str, comment: &str| Silence {
        id,
        asked: NewSilence {
            matchers: Matcher::parse_all(matchers).expect("matchers"),
            starts_at: now() + hours(starts_in),
            ends_at: now() + hours(ends_in),
            created_by: by.into(),
            token: None,
            comment: comment.into(),
        },
        created_at: now() - hours(30),
        expired: None,
    };
    let silences = vec![
        silence(3, "team=~\"env.*\" severity=warning", 9, 200, "grace", "the turntable week"),
        silence(
            2,
            "alert=exhaustion account=cinematics",
            -5,
            43,
            "ada",
            "a planned push: <b>the credits may run dry</b>",
        ),
        Silence {
            expired: Some((now() - hours(2), "pipeline".into())),
            ..silence(1, "team=look-dev", -30, 18, "ada", "told already")
        },
    ];
    Silences::new(silences, now())
}

fn shared() -> AccountAssessment {
    let fine = DrawAssessment {
        allowance: Some(credits(1500)),
        spent: credits(1014),
        spend: pace(24.0, 41.0, 46.0),
        totals: vec![totals("text-to-3d", "high", 3120, 40, 78, 2), totals("rig", "", 210, 0, 42, 0)],
        retries: vec![retries("text-to-3d", RetryKind::Rerun, 9, 360)],
        daily: daily(&[94, 101, 40, 38, 0, 0, 62, 55, 47, 49, 60, 5, 0, 58, 61, 70, 48, 66, 12, 0, 84, 64]),
        ..draw(
            key("studio", "environment-art"),
            4000,
            486,
            FuelLimit::Allowance,
            forecast(0.04, 45.0, 104, [Some("2026-12-02T09:00:00Z"), Some("2026-12-03T14:00:00Z"), None]),
        )
    };
    let wasteful = DrawAssessment {
        allowance: Some(credits(2500)),
        spent: credits(410),
        spend: pace(0.0, 12.0, 17.5),
        totals: vec![totals("text-to-3d", "draft", 520, 10, 104, 2)],
        daily: daily(&[33, 22, 31, 18, 0, 0, 25, 24, 17, 29, 30, 0, 0, 28, 21, 30, 18, 26, 12, 0, 34, 12]),
        ..draw(key("studio", "props"), 4000, 2090, FuelLimit::Allowance, forecast(0.001, 18.0, 1930, [None; 3]))
    };
    AccountAssessment {
        balance: Some((
            BalanceRecord {
                available: credits(2576),
                plan: Some(credits(2200)),
                purchased: Some(credits(376)),
                frozen: Some(credits(40)),
            },
            now() - SignedDuration::from_mins(3),
        )),
        queue: Some((
            QueueRecord {
                waiting: 3,
                running: 2,
                limit: Some(10),
                oldest_waiting_at: Some(now() - SignedDuration::from_mins(14)),
            },
            now() - SignedDuration::from_mins(3),
        )),
        unexplained: Some(credits(-6)),
        granted: credits(500),
        unassigned: Unassigned {
            spent: credits(60),
            totals: vec![totals("text-to-3d", "high", 80, 0, 2, 0)],
            retries: vec![retries("text-to-3d", RetryKind::Rerun, 1, 40)],
            ..Unassigned::default()
        },
        draws: vec![fine, wasteful],
        prices: Some(prices(
            "props",
            &[
                ("rig", "", 1, [5, 5], 5, 42),
                ("text-to-3d", "high", 1, [40, 40], 40, 60),
                ("text-to-3d", "high", 2, [80, 80], 72, 5),
                ("text-to-3d", "draft", 1, [4, 5], 6, 90),
                ("text-to-3d", "free", 1, [0, 0], 6, 9),
            ],
        )),
        ..account("studio", "meshy")
    }
}

/// A plan of which a part has been charged, one that was met, and one of which only a part was launched.
pub fn estimates(key: &DrawKey) -> Vec<RecordedEstimate> {
    let [p10, p50, p90] = [260, 320, 410].map(credits);
    let request =
        EstimateRequest { task_type: "retexture".into(), quality: None, variants: 1, count: 30, attempts: None };
    let part = RecordedPart { task_type: "retexture".into(), launches_each: 1 };
    let starts_at = now() - SignedDuration::from_hours(20);
    let planned = RecordedEstimate {
        id: 3,
        key: key.clone(),
        label: "<i>the</i> \"herd\"".into(),
        by: "ada".into(),
        made_at: starts_at,
        starts_at,
        lapses_at: starts_at + SignedDuration::from_hours(7 * 24),
        lines: vec![RecordedLine { request, parts: vec![part] }],
        jobs: vec![(starts_at, Quantiles { p10, p50, p90 })],
        credits: Quantiles { p10, p50, p90 },
        launches: Some(Quantiles { p10: 31, p50: 36, p90: 44 }),
        is_planned: true,
        state: EstimateState::Open,
        ends: None,
        charged: credits(90),
        tasks: 9,
        assets: 8,
    };
    let before = |days: i64| now() - SignedDuration::from_hours(24 * days);
    let met = RecordedEstimate {
        id: 2,
        state: EstimateState::Met { at: before(2) },
        charged: credits(350),
        tasks: 38,
        assets: 30,
        ..planned.clone()
    };
    let state = EstimateState::Lapsed { at: before(3) };
    let lapsed = RecordedEstimate { id: 1, is_planned: false, state, ..planned.clone() };
    vec![planned, met, lapsed]
}

fn dry() -> AccountAssessment {
    let firing = AlertState::Firing {
        level: Stage::Critical.into(),
        since: at("2026-11-19T08:05:00Z"),
        clear_since: None,
        told: Some(Told { level: Stage::Critical.into(), at: at("2026-11-21T16:30:00Z"), figure: None }),
    };
    let dry = DrawAssessment {
        spend: pace(420.0, 310.0, 214.0),
        pending: credits(60),
        unrefunded: credits(75),
        announced: Vec::new(),
        estimates: estimates(&key("cinematics", "Characters & \"Creatures\"")),
        accuracy: EstimateAccuracy::of(&estimates(&key("cinematics", "Characters & \"Creatures\""))),
        queued: Queued::default(),
        suspects: Suspects::from_iter([
            suspect("018f-<b>x", "image-to-3d", Suspicion::MissingRefund, 60),
            suspect("018a-77", "retexture", Suspicion::DoubleCharge, 10),
        ]),
        totals: vec![
            totals("image-to-3d", "ultra", 11_240, 300, 140, 9),
            totals("image-to-3d", "standard", 2_100, 0, 105, 1),
            totals("retexture", "high", 640, 20, 64, 2),
        ],
        retries: vec![
            retries("image-to-3d", RetryKind::Rerun, 46, 3_680),
            retries("image-to-3d", RetryKind::Resubmission, 7, 560),
        ],
        alerts: vec![RuleAlert { rule: RuleName::Exhaustion, alert: Alert { episode: 1, state: firing }, mute: None }],
        daily: daily(&[
            160, 180, 170, 110, 40, 50, 200, 210, 170, 190, 185, 60, 55, 170, 180, 200, 230, 250, 80, 60, 335, 305,
        ]),
        ..draw(
            key("cinematics", "Characters & \"Creatures\""),
            4000,
            410,
            FuelLimit::Balance,
            forecast(
                0.97,
                225.0,
                0,
                [Some("2026-11-23T13:00:00Z"), Some("2026-11-24T09:00:00Z"), Some("2026-11-26T15:00:00Z")],
            ),
        )
    };
    AccountAssessment {
        balance: Some(balance(410)),
        draws: vec![dry],
        plan_name: Some("pro".into()),
        ..account("cinematics", "tripo")
    }
}

fn unknown() -> AccountAssessment {
    let failed = CollectorStatus {
        last_success_at: None,
        last_failure: Some((
            "unauthorized".into(),
            "GET /v1/balance: 401; hint: the API key is missing, wrong or <revoked>".into(),
        )),
        ..collector(Collector::Balance, 3)
    };
    let outlook = Outlook::UnknownBalance;
    let unknown =
        DrawAssessment { fuel: None, ..draw(key("outsourcing", "vehicles"), 1000, 0, FuelLimit::Balance, outlook) };
    AccountAssessment {
        collectors: vec![collector(Collector::Charges, 3), failed],
        draws: vec![unknown],
        plan_name: None,
        ..account("outsourcing", "meshy")
    }
}

fn stale() -> AccountAssessment {
    let read_at = now() - SignedDuration::from_hours(7);
    let failure = Some(("timeout".to_string(), "GET /v2/wallet: no answer within 10s".to_string()));
    let stale = |c| CollectorStatus {
        last_attempt_at: Some(now() - SignedDuration::from_mins(3)),
        last_failure: failure.clone(),
        ..collector(c, 7 * 60)
    };
    let fuel = Some(Fuel { left: credits(1730), limit: FuelLimit::Balance, as_of: read_at, fresh: false });
    let draw = DrawAssessment {
        fuel,
        totals: vec![totals("sculpt", "", 270, 0, 27, 0)],
        daily: daily(&[12, 9, 0, 14, 30, 0, 0]),
        ..draw(key("lab", "look-dev"), 2000, 1730, FuelLimit::Balance, Outlook::UnknownBalance)
    };
    AccountAssessment {
        collectors: [Collector::Charges, Collector::Balance].map(stale).into(),
        balance: Some((balance(1730).0, read_at)),
        draws: vec![draw],
        zone: TimeZone::UTC,
        ..account("lab", "tripo")
    }
}
