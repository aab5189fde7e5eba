//! A team in trouble, from which each test makes its own.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;

use crate::demo::catcher::{ShownMail, show};
use crate::domain::*;
use crate::notify::message::{Evidence, MessageContext, render};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

pub(super) fn row(task_type: &str, quality: &str, charged: i64, refunded: i64) -> TotalsRow {
    TotalsRow {
        task_type: task_type.into(),
        quality: quality.into(),
        charged: whole(charged),
        refunded: whole(refunded),
        finished: 40,
        failed: 2,
        attempts: 40,
    }
}

pub(super) fn retry(task_type: &str, kind: RetryKind, tasks: u64, credits: i64) -> RetryRow {
    RetryRow { task_type: task_type.into(), kind, tasks, credits: whole(credits) }
}

/// A team in the last days of November whose credits end on the 27th.
pub(super) struct Scene {
    pub(super) notice: Notice,
    pub(super) assessment: AccountAssessment,
    pub(super) draw: DrawAssessment,
    pub(super) context: MessageContext,
    pub(super) to: Mailbox,
}

impl Scene {
    pub(super) fn new(why: Why, stage: Stage) -> Scene {
        let now = at("2026-11-22T13:05:00Z");
        let key = DrawKey { account: AccountName::parse("studio").unwrap(), team: TeamName::parse("Art").unwrap() };
        let (start, end) = (at("2026-10-31T23:00:00Z"), at("2026-11-30T23:00:00Z"));
        let notice = Notice {
            key: key.clone(),
            rule: RuleName::Exhaustion,
            period_start: start,
            period_end: Some(end),
            episode: 1,
            since: at("2026-11-20T09:05:00Z"),
            stage,
            step: 0,
            why,
            at: now,
        };
        let firing = AlertState::Firing {
            level: stage.into(),
            since: at("2026-11-20T09:05:00Z"),
            clear_since: None,
            told: None,
        };
        let draw = DrawAssessment {
            key,
            period: Some(PlanPeriod { start, end, allowance: Some(whole(4000)), provenance: Provenance::Declared }),
            fuel: Some(Fuel {
                left: whole(820),
                limit: FuelLimit::Balance,
                as_of: at("2026-11-22T13:00:00Z"),
                fresh: true,
            }),
            shared: None,
            allowance: None,
            spent: whole(3180),
            unrefunded: Credits::ZERO,
            announced: Vec::new(),
            estimates: Vec::new(),
            accuracy: EstimateAccuracy::default(),
            queued: Queued::default(),
            suspects: crate::domain::Suspects::default(),
            pending: whole(36),
            spend: SpendRates { hour: None, day: Some(180.0 / 86_400.0), week: Some(162.5 / 86_400.0) },
            outlook: Outlook::Forecast(Forecast {
                at: now,
                probability: Some(0.93),
                probability_half: Some(0.93),
                probability_tenth: Some(0.27),
                run_out: RunOut {
                    p10: Some(at("2026-11-25T14:00:00Z")),
                    p50: Some(at("2026-11-27T10:20:00Z")),
                    p90: Some(at("2026-11-29T16:00:00Z")),
                },
                horizon: at("2027-02-01T00:00:00Z"),
                expected_use: whole(1390),
                unused: Some(Credits::ZERO),
                pace_per_hour: 7.0,
                confidence: Confidence::Normal,
            }),
            explanation: None,
            plan_run_out: None,
            totals: vec![
                row("text-to-3d-preview", "meshy-5", 900, 20),
                row("text-to-3d-refine", "", 1500, 30),
                row("retexture", "hd", 400, 0),
                row("rigging", "", 300, 0),
                row("animation", "", 130, 0),
            ],
            retries: vec![
                retry("text-to-3d-preview", RetryKind::Rerun, 31, 620),
                retry("text-to-3d-refine", RetryKind::Resubmission, 1, 30),
            ],
            alerts: vec![RuleAlert {
                rule: RuleName::Exhaustion,
                alert: Alert { episode: 1, state: firing },
                mute: None,
            }],
            recent: None,
            reruns: Reruns::default(),
            daily: daily(start),
        };
        let assessment = AccountAssessment {
            rules: RuleName::ALL.into(),
            account: draw.key.account.clone(),
            at: now,
            zone: jiff::tz::TimeZone::UTC,
            platform: "meshy".into(),
            plan_name: Some("studio".into()),
            stale_after_seconds: 3600,
            charges: crate::domain::ChargeSource::History,
            expired: Credits::ZERO,
            collectors: vec![CollectorStatus {
                collector: Collector::Charges,
                last_attempt_at: Some(now),
                last_success_at: Some(at("2026-11-22T13:04:30Z")),
                last_duration_seconds: Some(0.4),
                last_failure: None,
            }],
            balance: Some((
                BalanceRecord {
                    available: whole(820),
                    plan: Some(whole(700)),
                    purchased: Some(whole(120)),
                    frozen: None,
                },
                at("2026-11-22T13:00:00Z"),
            )),
            queue: None,
            queued: Queued::default(),
            unexplained: None,
            granted: Credits::ZERO,
            grants: Vec::new(),
            spent: Credits::ZERO,
            buckets: None,
            carry_over: CarryOver::Nothing,
            unassigned: Unassigned::default(),
            prices: None,
            draws: vec![draw.clone()],
        };
        let context = MessageContext {
            from: "fuelgauge <fuelgauge@studio.example>".parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            external_url: Some("https://fuelgauge.studio.example".into()),
            rules: Rules::default(),
            repeat_interval: SignedDuration::from_hours(24),
            names_account: false,
            drivers: Some(drivers()),
            remedies: remedies(),
            evidence: Evidence::default(),
        };
        let to = "Ada Lead <lead@studio.example>".parse().unwrap();
        Scene { notice, assessment, draw, context, to }
    }

    pub(super) fn forecast(&mut self) -> &mut Forecast {
        match &mut self.draw.outlook {
            Outlook::Forecast(forecast) => forecast,
            other => panic!("{other:?}"),
        }
    }

    /// Credits that will last after all.
    pub(super) fn calm(mut self) -> Scene {
        let forecast = self.forecast();
        forecast.probability = Some(0.04);
        forecast.probability_half = Some(0.04);
        forecast.probability_tenth = Some(0.001);
        forecast.run_out = RunOut::default();
        forecast.expected_use = whole(500);
        forecast.unused = Some(whole(310));
        self
    }

    pub(super) fn named(mut self, team: &str) -> Scene {
        self.notice.key.team = TeamName::parse(team).unwrap();
        self.draw.key.team = self.notice.key.team.clone();
        self
    }

    pub(super) fn render(&self) -> RenderedMail {
        let mut mails = render(&self.notice, &self.assessment, &self.draw, &self.context, &[&self.to]).unwrap();
        assert_eq!(mails.len(), 1);
        mails.remove(0)
    }

    /// The text part without its line breaks.
    pub(super) fn told(&self) -> String {
        self.shown().text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn shown(&self) -> ShownMail {
        show(&self.render().message)
    }
}

/// What the team spent on in November: 3,180 credits.
pub(super) fn drivers() -> Drivers {
    let totals = vec![
        row("animation", "", 130, 0),
        row("image-to-3d", "high", 1000, 20),
        row("retexture", "hd", 400, 0),
        row("text-to-3d-refine", "", 1700, 30),
    ];
    let spender = |name: &str, net, reruns| Spender {
        name: name.into(),
        is_api_key: false,
        net: whole(net),
        reruns: whole(reruns),
    };
    let asset = AssetUse {
        attempts: 14,
        reruns: 11,
        net: whole(420),
        rerun_credits: whole(330),
        last_at: at("2026-11-22T08:40:00Z"),
        task_type: "image-to-3d".into(),
        quality: "high".into(),
        project: Some("harbor".into()),
    };
    let other = AssetUse {
        attempts: 5,
        reruns: 3,
        net: whole(150),
        rerun_credits: whole(90),
        last_at: at("2026-11-12T15:00:00Z"),
        project: None,
        ..asset.clone()
    };
    Drivers {
        totals,
        retries: vec![
            retry("image-to-3d", RetryKind::Rerun, 31, 620),
            retry("text-to-3d-refine", RetryKind::Resubmission, 1, 30),
        ],
        spenders: vec![
            spender("ada.lovelace@studio.example", 1900, 450),
            spender("ben", 900, 170),
            Spender { is_api_key: true, ..spender("render-farm", 380, 0) },
        ],
        assets: vec![asset.clone(), other],
        most_repeated: Some(asset),
        prices: Vec::new(),
        cancelled: 0,
        cancelled_and_refunded: 0,
    }
}

/// One of each kind that is told at once.
pub(super) fn remedies() -> Vec<Remedy> {
    let remedy = |measure, credits, run_out: Option<&str>, probability| Remedy {
        measure,
        credits: whole(credits),
        run_out: run_out.map(at),
        probability,
    };
    let image = || ("image-to-3d".to_owned(), "high".to_owned());
    let (task_type, quality) = image();
    vec![
        remedy(Measure::FewerVariants { task_type, quality, from: 4, to: 2 }, 590, None, Some(0.31)),
        remedy(Measure::SlowDown { to: 97.0, from: 168.0, own_part: Some(1.0) }, 570, None, None),
        remedy(Measure::TopUp { surely: Some(whole(1300)) }, 710, None, Some(0.38)),
        remedy(Measure::PauseReruns, 256, Some("2026-11-28T12:00:00Z"), Some(0.8)),
        remedy(Measure::CancelWaiting { tasks: 3, is_estimated: false }, 60, Some("2026-11-27T19:00:00Z"), Some(0.9)),
    ]
}

/// A burn-down from 4,000 credits to the 820 that are left.
fn daily(start: Timestamp) -> Vec<DailyUse> {
    let midnight = |day: i64| start + SignedDuration::from_hours(24 * day + 1);
    let weekend = |day: i64| matches!(day % 7, 0 | 6);
    let used = |day: i64| if weekend(day) { 40 } else { 186 };
    (0..22).map(|day| DailyUse { day: midnight(day), net: whole(used(day)) }).collect()
}
