//! From the ledger to the assessment: what people are shown of an account, with a real store.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::domain::{BalanceRecord, FuelLimit, Reading, TaskRecord, TaskState};
use crate::provider::history::ColumnMap;
use crate::store::CollectorOutcome;

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

/// An account of the configuration, its ledger and its assessor.
pub(super) struct Watched {
    _folder: TempDir,
    pub(super) account: Account,
    pub(super) assessor: Assessor,
}

impl Watched {
    /// An account `studio` with such a plan, drawn on by `teams`, a list of YAML.
    pub(super) async fn new(plan: &str, teams: &str) -> Watched {
        Watched::with(plan, teams, "").await
    }

    /// One whose mails are written.
    pub(super) async fn mailing(plan: &str, teams: &str) -> Watched {
        let email = "email: {from: fuelgauge@studio.example, relay: {host: localhost, security: none}}";
        Watched::with(plan, teams, email).await
    }

    async fn with(plan: &str, teams: &str, email: &str) -> Watched {
        let text = format!("accounts: [{{name: studio, plan: {plan}}}]\nteams: {teams}\n{email}\n");
        let config = Config::parse(&text, Path::new("fuelgauge.yml")).unwrap();
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        store.open_account(&config.accounts[0].name, [7; 16]).await.unwrap();
        let draws = config.teams.iter().flat_map(|team| team.draws.clone()).collect();
        let columns = ColumnMap::plain();
        let account = Account { config: config.accounts[0].clone(), draws, provider: None, columns, salt: [7; 16] };
        let (published, _) = watch::channel(Arc::default());
        let assessor = Assessor::new(store, &config, None, published, Arc::default());
        Watched { _folder: folder, account, assessor }
    }

    /// Keeps what was read at a moment: charges, each with project and credits, and the balance if one was told.
    pub(super) async fn read(&self, now: &str, charges: &[(&str, i64)], balance: Option<BalanceRecord>) {
        let now = at(now);
        let task = |(place, (project, credits)): (usize, &(&str, i64))| {
            let mut task = TaskRecord::new(format!("{now}/{place}"), now, TaskState::Succeeded, "text-to-3d");
            task.credits = Some(whole(*credits));
            task.attribution.project = Some((*project).into());
            task
        };
        let tasks = charges.iter().enumerate().map(task).collect();
        let reading = Reading { tasks, balance, ..Reading::default() };
        let outcome = |collector| CollectorOutcome { collector, duration_seconds: 0.0, failure: None };
        let outcomes = [Collector::Charges, Collector::Balance].map(outcome);
        let seen = if reading.balance.is_some() { &outcomes[..] } else { &outcomes[..1] };
        let incoming = self.account.incoming(&reading, seen, None, now);
        self.assessor.store.append(&self.account.config.name, &self.account.draws, incoming).await.unwrap();
    }

    pub(super) async fn assess(&self, now: &str) -> Arc<AccountAssessment> {
        self.assessor.assess_once(&self.account, at(now), Alerts::Leave).await.unwrap()
    }
}

pub(super) fn balance(available: i64) -> Option<BalanceRecord> {
    Some(BalanceRecord::of(whole(available)))
}

pub(super) const ONE_TEAM: &str = "[{name: art, account: studio}]";

#[tokio::test]
async fn a_budget_limits_a_prepaid_account_and_its_end_changes_no_balance() {
    let watched = Watched::new("{budget: {credits: 500, period: \"@monthly\"}}", ONE_TEAM).await;
    // When, what was charged by then, what the balance is; what is left by which limit, and what was spent.
    for (now, charged, available, left, limit, spent) in [
        ("2026-10-30T09:00:00Z", 0, 2000, 500, FuelLimit::Budget, 0),
        ("2026-10-31T09:00:00Z", 450, 1550, 50, FuelLimit::Budget, 450),
        ("2026-11-01T00:00:00Z", 0, 1550, 500, FuelLimit::Budget, 0),
        ("2026-11-02T09:00:00Z", 100, 1450, 400, FuelLimit::Budget, 100),
        ("2026-11-20T09:00:00Z", 1250, 200, -850, FuelLimit::Budget, 1350),
        ("2026-12-01T00:00:00Z", 0, 200, 200, FuelLimit::Balance, 0),
    ] {
        watched.read(now, &[("a", charged)], balance(available)).await;
        let assessment = watched.assess(now).await;
        let draw = &assessment.draws[0];
        let fuel = draw.fuel.as_ref().unwrap();
        assert_eq!((fuel.left, fuel.limit), (whole(left), limit), "{now}");
        assert_eq!((draw.spent, assessment.spent), (whole(spent), whole(spent)), "{now}");
        assert_eq!(assessment.unexplained.unwrap_or_default(), Credits::ZERO, "{now}");
        assert_eq!((assessment.granted, assessment.grants.len()), (Credits::ZERO, 0), "{now}");
        assert_eq!(assessment.lapsing(draw).unwrap_or_default(), Credits::ZERO, "{now}");
    }
}

/// Plan, bought, and of unknown kind, in whole credits.
fn parts(assessment: &AccountAssessment) -> [Option<i64>; 3] {
    let parts = assessment.parts().unwrap();
    [parts.plan, parts.purchased, parts.unknown].map(|part| part.map(|credits| credits.micros() / 1_000_000))
}

#[tokio::test]
async fn the_parts_of_a_balance_are_worked_out_where_nobody_tells_them() {
    let watched = Watched::new("{credits: 1000, reset: \"@monthly\"}", ONE_TEAM).await;
    // When, what was charged by then, what the balance is; the parts, and what was bought so far.
    for (now, charged, available, expected, granted) in [
        ("2026-10-20T09:00:00Z", 0, 600, [None, None, Some(600)], 0),
        ("2026-10-21T09:00:00Z", 100, 500, [None, None, Some(500)], 0),
        // Bought, which two readings in a row must say.
        ("2026-10-22T09:00:00Z", 0, 800, [None, None, Some(800)], 0),
        ("2026-10-22T09:05:00Z", 0, 800, [None, Some(300), Some(500)], 300),
        // The plan is reset: what was there of the old one has lapsed, and what is there besides was bought.
        ("2026-11-01T09:00:00Z", 100, 1200, [Some(900), Some(300), None], 300),
        ("2026-11-10T09:00:00Z", 800, 400, [Some(100), Some(300), None], 300),
        ("2026-11-11T09:00:00Z", 250, 150, [Some(0), Some(150), None], 300),
        // Spent where no list of charges looks.
        ("2026-11-12T09:00:00Z", 0, 110, [Some(0), Some(110), None], 300),
        ("2026-12-01T09:00:00Z", 0, 1110, [Some(1000), Some(110), None], 300),
    ] {
        watched.read(now, &[("a", charged)], balance(available)).await;
        for round in ["from what is kept", "anew"] {
            let assessment = watched.assess(now).await;
            assert_eq!(parts(&assessment), expected, "{now}, {round}");
            assert_eq!(assessment.granted, whole(granted), "{now}");
            watched.assessor.lots.lock().unwrap().clear();
        }
    }
    // A charge that comes late changes what is kept.
    watched.assess("2026-12-01T09:00:00Z").await;
    let mut late = TaskRecord::new("late", at("2026-11-15T09:00:00Z"), TaskState::Succeeded, "rig");
    late.credits = Some(whole(10));
    let reading = Reading { tasks: vec![late], balance: balance(1110), ..Reading::default() };
    let now = at("2026-12-01T10:00:00Z");
    let incoming = watched.account.incoming(&reading, &[], None, now);
    watched.assessor.store.append(&watched.account.config.name, &watched.account.draws, incoming).await.unwrap();
    let kept = watched.assess("2026-12-01T10:00:00Z").await;
    watched.assessor.lots.lock().unwrap().clear();
    let anew = watched.assess("2026-12-01T10:00:00Z").await;
    assert_eq!(kept.buckets, anew.buckets);
    assert_eq!(parts(&anew).into_iter().flatten().sum::<i64>(), 1110);
}

#[tokio::test]
async fn bought_credits_lapse_at_their_own_date_and_are_charged_to_nobody() {
    let watched = Watched::new("{purchased_expire_after: 365d}", ONE_TEAM).await;
    let expiry = |text: &str, credits: i64| Some((at(text), whole(credits)));
    let (first, second) = ("2027-01-10T09:05:00Z", "2027-02-01T09:05:00Z");
    for (now, charged, available, next, expired) in [
        ("2026-01-01T09:00:00Z", 0, 50, None, 0),
        ("2026-01-10T09:00:00Z", 0, 150, None, 0),
        ("2026-01-10T09:05:00Z", 0, 150, expiry(first, 100), 0),
        ("2026-02-01T09:00:00Z", 0, 350, expiry(first, 100), 0),
        ("2026-02-01T09:05:00Z", 0, 350, expiry(first, 100), 0),
        // The first lot burns before the second, and what was there from the start before neither.
        ("2026-03-01T09:00:00Z", 60, 290, expiry(first, 40), 0),
        // Five minutes before the date as it was seen: the platform knows it better.
        ("2027-01-10T09:00:00Z", 0, 250, expiry(second, 200), 40),
        ("2027-01-10T09:10:00Z", 0, 250, expiry(second, 200), 40),
        ("2027-01-31T09:00:00Z", 180, 70, expiry(second, 20), 40),
        // On the date itself, and a charge in the same reading.
        ("2027-02-01T09:10:00Z", 5, 45, None, 60),
    ] {
        watched.read(now, &[("a", charged)], balance(available)).await;
        let assessment = watched.assess(now).await;
        assert_eq!(assessment.buckets.as_ref().unwrap().next_expiry, next, "{now}");
        assert_eq!(assessment.expired, whole(expired), "{now}");
    }
    let last = watched.assess("2027-02-01T09:10:00Z").await;
    assert_eq!((last.spent, last.granted), (whole(245), whole(300)));
}

#[tokio::test]
async fn without_a_balance_the_plan_begins_with_what_was_carried_over() {
    for (carry_over, november, december) in [
        ("none", (1000, 0), (1000, 0)),
        ("all", (1700, 700), (2600, 1600)),
        ("{at_most_credits: 500}", (1500, 500), (1500, 500)),
    ] {
        let plan = format!("{{credits: 1000, reset: \"@monthly\", carry_over: {carry_over}}}");
        let watched = Watched::new(&plan, ONE_TEAM).await;
        watched.read("2026-10-20T09:30:00Z", &[("a", 300)], None).await;
        let left = |assessment: &AccountAssessment| {
            let fuel = assessment.draws[0].fuel.as_ref().unwrap();
            assert_eq!(fuel.limit, FuelLimit::PlanCredits);
            (fuel.left, assessment.carried())
        };
        let october = watched.assess("2026-10-31T23:59:59Z").await;
        assert_eq!(left(&october), (whole(700), Credits::ZERO), "{carry_over}");
        let begun = watched.assess("2026-11-01T00:00:00Z").await;
        assert_eq!(left(&begun), (whole(november.0), whole(november.1)), "{carry_over}");
        watched.read("2026-11-05T09:30:00Z", &[("a", 100)], None).await;
        let spent = watched.assess("2026-11-05T09:30:00Z").await;
        assert_eq!(left(&spent), (whole(november.0 - 100), whole(november.1)), "{carry_over}");
        let next = watched.assess("2026-12-01T00:00:00Z").await;
        assert_eq!(left(&next), (whole(december.0), whole(december.1)), "{carry_over}");
    }
}

#[tokio::test]
async fn what_is_carried_over_does_not_lapse() {
    for (carry_over, lapses) in [("none", 590), ("all", 0), ("{at_most_credits: 400}", 190)] {
        let plan = format!("{{credits: 1000, reset: \"@monthly\", carry_over: {carry_over}}}");
        let watched = Watched::new(&plan, ONE_TEAM).await;
        for day in 1..=28 {
            watched.read(&format!("2026-11-{day:02}T09:00:00Z"), &[("a", 12)], None).await;
        }
        let assessment = watched.assess("2026-11-28T10:00:00Z").await;
        let draw = &assessment.draws[0];
        let unused = draw.outlook.forecast().unwrap().unused.unwrap();
        let expected = (whole(lapses) + unused - whole(590)).max(Credits::ZERO);
        assert_eq!(assessment.lapsing(draw), Some(if lapses == 0 { Credits::ZERO } else { expected }), "{carry_over}");
        assert!(unused > whole(500), "{unused}");
    }
}

#[tokio::test]
async fn when_the_plan_is_used_up_is_told_beside_the_whole() {
    let record = |plan: i64, purchased: i64| {
        let parts = (Some(whole(plan)), Some(whole(purchased)));
        Some(BalanceRecord { plan: parts.0, purchased: parts.1, ..BalanceRecord::of(whole(plan + purchased)) })
    };
    let shared =
        "[{name: art, account: studio, allowance_credits: 90}, {name: env, account: studio, match: {project: [e]}}]";
    for (name, teams, balance, expected) in [
        ("bought credits follow", ONE_TEAM, record(50, 3000), Some(true)),
        ("used up already", ONE_TEAM, record(0, 3000), Some(true)),
        ("nothing else is there", ONE_TEAM, record(300, 0), Some(false)),
        ("nobody knows the parts", ONE_TEAM, self::balance(300), None),
        ("an allowance is the limit", shared, record(50, 3000), None),
    ] {
        let watched = Watched::new("{credits: 1000, reset: \"@monthly\"}", teams).await;
        for day in 2..=9 {
            watched.read(&format!("2026-11-{day:02}T09:00:00Z"), &[("a", 10)], None).await;
        }
        watched.read("2026-11-10T09:00:00Z", &[("a", 9)], balance).await;
        let assessment = watched.assess("2026-11-10T09:00:00Z").await;
        let draw = &assessment.draws[0];
        let whole = draw.outlook.forecast().unwrap().run_out;
        assert_eq!(draw.plan_run_out.map(|plan| plan.p50 != whole.p50), expected, "{name}");
        if let Some(plan) = draw.plan_run_out {
            let latest = |date: Option<Timestamp>| date.unwrap_or(Timestamp::MAX);
            assert!(latest(plan.p50) <= latest(whole.p50), "{name}");
        }
    }
}

#[tokio::test]
async fn charges_of_no_team_count_for_the_account_and_for_nobodys_allowance() {
    let teams = "[{name: env, account: studio, match: {project: [env-*]}, allowance_credits: 300}, \
                 {name: props, account: studio, match: {project: [props]}, allowance_credits: 200}]";
    let watched = Watched::new("{credits: 1000, reset: \"@monthly\"}", teams).await;
    watched.read("2026-10-30T09:00:00Z", &[("stray", 500), ("env-1", 40)], None).await;
    watched.read("2026-11-02T09:00:00Z", &[("stray", 650), ("env-1", 100), ("props", 30)], None).await;
    let assessment = watched.assess("2026-11-02T09:00:00Z").await;
    let spent: Vec<Credits> = assessment.draws.iter().map(|draw| draw.spent).collect();
    assert_eq!((spent, assessment.unassigned.spent), (vec![whole(100), whole(30)], whole(650)));
    assert_eq!((assessment.spent, assessment.unassigned.net()), (whole(780), whole(1150)));
    assert_eq!(assessment.unassigned.daily.iter().map(|day| day.net).sum::<Credits>(), whole(1150));
    // Of the account's thousand 220 are left: more than either share leaves.
    let fuel: Vec<_> = assessment.draws.iter().map(|draw| draw.fuel.clone().unwrap()).collect();
    assert_eq!((fuel[0].left, fuel[0].limit), (whole(200), FuelLimit::Allowance));
    assert_eq!((fuel[1].left, fuel[1].limit), (whole(170), FuelLimit::Allowance));
    watched.read("2026-11-03T09:00:00Z", &[("stray", 40)], None).await;
    let assessment = watched.assess("2026-11-03T09:00:00Z").await;
    let fuel: Vec<_> = assessment.draws.iter().map(|draw| draw.fuel.clone().unwrap()).collect();
    assert_eq!((fuel[0].left, fuel[0].limit), (whole(180), FuelLimit::PlanCredits));
    assert_eq!((fuel[1].left, fuel[1].limit), (whole(170), FuelLimit::Allowance));
}

#[tokio::test]
async fn what_is_kept_under_other_announcements_is_learned_anew() {
    // Busy in the first ten days of November, by the configuration; over, and still understood.
    let teams = "[{name: art, account: studio, announcements: [{factor: 3, from: 2026-11-01, to: 2026-11-10}]}]";
    let plans = "{credits: 700, reset: \"@monthly\"}";
    let (watched, plain) = (Watched::new(plans, teams).await, Watched::new(plans, ONE_TEAM).await);
    for day in 0..40 {
        let now = at("2026-10-10T09:00:00Z") + jiff::SignedDuration::from_hours(24 * day);
        let is_busy = (at("2026-11-01T00:00:00Z")..at("2026-11-11T00:00:00Z")).contains(&now);
        let charges = [("a", if is_busy { 60 } else { 20 })];
        watched.read(&now.to_string(), &charges, balance(5000)).await;
        plain.read(&now.to_string(), &charges, balance(5000)).await;
    }
    let now = "2026-11-18T10:00:00Z";
    let pace = |assessment: &AccountAssessment| assessment.draws[0].outlook.forecast().unwrap().pace_per_hour * 24.0;
    let (told, untold) = (watched.assess(now).await, plain.assess(now).await);
    assert!((15.0..25.0).contains(&pace(&told)), "{}", pace(&told));
    assert!(pace(&untold) > 1.3 * pace(&told), "{} {}", pace(&untold), pace(&told));
    assert!(told.draws[0].announced.is_empty(), "it is over");

    // The other ledger is told afterwards, in a change that has not ended yet: as much as the configuration said, and more.
    let key = &plain.account.draws[0].key;
    for (factor, from, to) in [(3.0, "2026-11-01", "2026-11-30"), (1.0 / 3.0, "2026-11-11", "2026-11-30")] {
        let (factor, from, to) = (Some(factor), Some(from.into()), Some(to.into()));
        let form = crate::domain::AnnouncementForm { factor, from, to, ..Default::default() };
        plain.assessor.announce(&plain.account, key, &form, "ada", at(now)).await.unwrap();
    }
    let kept = plain.assess(now).await;
    assert!((pace(&kept) / pace(&told) - 1.0).abs() < 1e-9, "{} {}", pace(&kept), pace(&told));
    assert_eq!(kept.draws[0].announced.len(), 2);
    plain.assessor.cache.lock().unwrap().clear();
    assert_eq!(plain.assess(now).await.draws[0].outlook, kept.draws[0].outlook, "anew, to the bit");

    for id in [1, 2] {
        plain.assessor.store.withdraw(&key.account, id, "ada", at(now)).await.unwrap();
    }
    assert_eq!(plain.assess(now).await.draws[0].outlook, untold.draws[0].outlook, "as if it had never been said");
}

#[tokio::test]
async fn what_waits_to_be_charged_is_taken_off_unless_the_platform_holds_it_back() {
    let watched = Watched::new("{credits: 900, reset: \"@monthly\"}", ONE_TEAM).await;
    for day in 1..=20 {
        watched.read(&format!("2026-11-{day:02}T09:00:00Z"), &[("a", 20), ("a", 10)], balance(500)).await;
    }
    let now = "2026-11-20T10:00:00Z";
    let waiting = TaskRecord::new("waits", at("2026-11-20T09:30:00Z"), TaskState::Queued, "text-to-3d");
    let expected = |assessment: &AccountAssessment| assessment.draws[0].outlook.forecast().unwrap().expected_use;
    let before = expected(&*watched.assess(now).await);
    for (frozen, taken_off) in [(None, 10), (Some(0), 10), (Some(10), 0)] {
        let balance = Some(BalanceRecord { frozen: frozen.map(whole), ..BalanceRecord::of(whole(500)) });
        let reading = Reading { tasks: vec![waiting.clone()], balance, ..Reading::default() };
        let incoming = watched.account.incoming(&reading, &[], None, at(now));
        watched.assessor.store.append(&watched.account.config.name, &watched.account.draws, incoming).await.unwrap();
        let assessment = watched.assess(now).await;
        let queued = assessment.draws[0].queued;
        assert_eq!((queued.tasks, queued.credits, queued.is_held), (1, whole(10), taken_off == 0), "{frozen:?}");
        assert_eq!(expected(&assessment), before + whole(taken_off), "{frozen:?}");
    }
}
