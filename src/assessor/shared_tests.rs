//! Teams that share a balance, with a real store: whose use counts against what.

use super::tests::{Watched, at, balance, whole};
use super::*;
use crate::domain::{BalanceRecord, EstimateRequest, FuelLimit, PlannedLine, RunOut, TaskState};

const TWO_TEAMS: &str = "[{name: heavy, account: studio, match: {project: [h]}}, \
                         {name: light, account: studio, match: {project: [l]}}]";
const PLAN: &str = "{credits: 1000, reset: \"@monthly\"}";

/// Each day of November up to the twelfth the given charges at nine, then a balance.
async fn twelve_days(plan: &str, teams: &str, charges: &[(&str, i64)], available: Option<i64>) -> Watched {
    let watched = Watched::new(plan, teams).await;
    for day in 1..=11 {
        watched.read(&format!("2026-11-{day:02}T09:00:00Z"), charges, None).await;
    }
    watched.read("2026-11-12T09:00:00Z", charges, available.and_then(balance)).await;
    watched
}

const NOW: &str = "2026-11-12T09:00:00Z";

fn run_out(draw: &DrawAssessment) -> RunOut {
    draw.outlook.forecast().unwrap().run_out
}

#[tokio::test]
async fn two_teams_on_one_balance_see_the_same_end() {
    let (heavy, light) = (("h", 40), ("l", 2));
    let watched = twelve_days(PLAN, TWO_TEAMS, &[heavy, light], Some(300)).await;
    let together = watched.assess(NOW).await;
    let [first, second] = &together.draws[..] else { panic!("{together:?}") };
    assert_eq!(first.outlook, second.outlook);
    assert!(run_out(first).p50.is_some_and(|dry| dry < at("2026-11-24T00:00:00Z")), "{:?}", run_out(first));
    assert!(first.outlook.forecast().unwrap().probability > Some(0.9));

    // One team alone with all the charges sees it too: a team is not safer for having company.
    let one_team = "[{name: art, account: studio}]";
    let alone = twelve_days(PLAN, one_team, &[heavy, light], Some(300)).await.assess(NOW).await;
    assert_eq!(alone.draws[0].outlook, first.outlook);
    assert_eq!(alone.draws[0].shared, None);

    // Each keeps its own pace, and both know that of all.
    let shared = |draw: &DrawAssessment| draw.shared.clone().unwrap();
    let own = |draw: &DrawAssessment| shared(draw).own_pace_per_hour.unwrap() * 24.0;
    assert!(own(first) > 10.0 * own(second), "{} {}", own(first), own(second));
    assert_eq!(shared(first).fuel, *first.fuel.as_ref().unwrap());
    assert_eq!(shared(first).spend, shared(second).spend);
    let (all, parts) = (shared(first).spend.week.unwrap(), first.spend.week.unwrap() + second.spend.week.unwrap());
    assert!((all - parts).abs() < 1e-12, "{all} {parts}");
}

#[tokio::test]
async fn whose_use_counts_follows_from_what_is_the_limit() {
    let shares = |heavy: i64, light: i64| {
        format!(
            "[{{name: heavy, account: studio, match: {{project: [h]}}, allowance_credits: {heavy}}}, \
             {{name: light, account: studio, match: {{project: [l]}}, allowance_credits: {light}}}]"
        )
    };
    let one = "[{name: light, account: studio, match: {project: [l]}}]";
    let budget = "{budget: {credits: 800, period: \"@monthly\"}}";
    let prepaid = "{}";
    let by = |limit, is_shared| (limit, is_shared);
    use FuelLimit::{Allowance, Balance, Budget, PlanCredits};
    // The light team uses 3 a day, somebody else 40. What the light team has left, and what ends first for it.
    for (name, plan, teams, other, available, left, ends) in [
        ("a balance of both", PLAN, TWO_TEAMS.to_owned(), "h", Some(300), 300, by(Balance, true)),
        ("nobody's charges count too", PLAN, one.to_owned(), "stray", Some(300), 300, by(Balance, true)),
        ("no balance is told", PLAN, TWO_TEAMS.to_owned(), "h", None, 484, by(PlanCredits, true)),
        ("a budget of both", budget, TWO_TEAMS.to_owned(), "h", Some(5000), 284, by(Budget, true)),
        ("prepaid", prepaid, TWO_TEAMS.to_owned(), "h", Some(300), 300, by(Balance, true)),
        ("an allowance of its own", PLAN, shares(900, 60), "h", Some(5000), 24, by(Allowance, false)),
        ("more left of the account, and a sooner end", PLAN, shares(900, 300), "h", Some(290), 264, by(Balance, true)),
        ("less left of the account than the share", PLAN, shares(900, 300), "h", Some(100), 100, by(Balance, true)),
    ] {
        let watched = twelve_days(plan, &teams, &[(other, 40), ("l", 3)], available).await;
        let assessment = watched.assess(NOW).await;
        let draw = assessment.draws.iter().find(|draw| draw.key.team.as_str() == "light").unwrap();
        assert_eq!(draw.fuel.as_ref().map(|fuel| fuel.left), Some(whole(left)), "{name}");
        let tank = draw.tank().unwrap();
        assert_eq!((tank.limit, draw.shared.is_some()), ends, "{name}");
        let dry = run_out(draw).p50.unwrap_or(Timestamp::MAX);
        let days = dry.duration_since(at(NOW)).as_secs_f64() / 86_400.0;
        let others = if draw.shared.is_some() { 43.0 } else { 3.0 };
        let expected = tank.left.as_f64() / others;
        assert!((0.4 * expected..2.0 * expected).contains(&days), "{name}: {days} days, expected about {expected}");
    }
}

#[tokio::test]
async fn the_plans_part_of_a_shared_balance_ends_for_all_at_once() {
    let watched = twelve_days(PLAN, TWO_TEAMS, &[("h", 40), ("l", 2)], None).await;
    let (plan, purchased) = (Some(whole(100)), Some(whole(2000)));
    watched.read(NOW, &[], Some(BalanceRecord { plan, purchased, ..BalanceRecord::of(whole(2100)) })).await;
    let assessment = watched.assess(NOW).await;
    let plan_ends: Vec<_> = assessment.draws.iter().map(|draw| draw.plan_run_out.unwrap().p50.unwrap()).collect();
    assert_eq!(plan_ends[0], plan_ends[1]);
    let days = plan_ends[0].duration_since(at(NOW)).as_secs_f64() / 86_400.0;
    assert!((1.0..5.0).contains(&days), "100 credits at 42 a day: {days} days");
    assert!(assessment.draws.iter().all(|draw| draw.outlook.forecast().unwrap().probability < Some(0.1)));
}

#[tokio::test]
async fn what_is_kept_of_a_shared_account_follows_its_ledger() {
    let teams = "[{name: light, account: studio, match: {project: [l]}}]";
    let watched = Watched::new(PLAN, teams).await;
    let mut last = None;
    for day in 1..=14 {
        let now = format!("2026-11-{day:02}T09:00:00Z");
        // Charges of no team begin on the sixth, and one of long ago arrives on the tenth.
        let charges: &[(&str, i64)] = if day < 6 { &[("l", 3)] } else { &[("l", 3), ("stray", 40)] };
        watched.read(&now, charges, balance(600)).await;
        if day == 10 {
            let mut late =
                crate::domain::TaskRecord::new("late", at("2026-11-02T09:00:00Z"), TaskState::Succeeded, "rig");
            late.credits = Some(whole(90));
            let reading = crate::domain::Reading { tasks: vec![late], ..crate::domain::Reading::default() };
            let incoming = watched.account.incoming(&reading, &[], None, at(&now));
            let name = &watched.account.config.name;
            watched.assessor.store.append(name, &watched.account.draws, incoming).await.unwrap();
        }
        let kept = watched.assess(&now).await;
        watched.assessor.cache.lock().unwrap().clear();
        let anew = watched.assess(&now).await;
        assert_eq!(kept.draws[0].outlook, anew.draws[0].outlook, "{now}");
        assert_eq!(kept.draws[0].shared, anew.draws[0].shared, "{now}");
        assert_eq!(anew.draws[0].shared.is_some(), day >= 6, "{now}");
        last = Some(anew);
    }
    let draw = &last.unwrap().draws[0];
    assert!(
        draw.outlook.forecast().unwrap().pace_per_hour > 5.0 * draw.shared.clone().unwrap().own_pace_per_hour.unwrap()
    );
}

#[tokio::test]
async fn a_job_is_taken_off_every_limit() {
    let teams = "[{name: heavy, account: studio, match: {project: [h]}}, \
                 {name: light, account: studio, match: {project: [l]}, allowance_credits: 400}]";
    let watched = twelve_days("{credits: 1200, reset: \"@monthly\"}", teams, &[("h", 20), ("l", 10)], Some(520)).await;
    let light = &watched.account.draws[1].key.team;
    let plan = async |count| {
        let request =
            EstimateRequest { task_type: "text-to-3d".into(), quality: None, variants: 1, count, attempts: None };
        let lines = [PlannedLine { request, starts_at: None }];
        watched.assessor.plan(&watched.account, light, &lines, at(NOW)).await.unwrap().unwrap()
    };
    let planned = plan(3).await;
    assert_eq!(planned.check.effect.unwrap().before, planned.draw.outlook);
    // With 300 credits the share is gone at once, while the account has 220 left.
    let check = plan(30).await.check;
    assert_eq!(check.effect.unwrap().after_p90.forecast().unwrap().run_out.p90, Some(at(NOW)));
    assert_eq!(check.would_last, Some(false));
}

#[tokio::test]
async fn what_one_team_announces_moves_its_part_of_what_all_share() {
    let heavy_says = |announced: &str| {
        format!(
            "[{{name: heavy, account: studio, match: {{project: [h]}}, announcements: [{announced}]}}, \
             {{name: light, account: studio, match: {{project: [l]}}}}]"
        )
    };
    let expected_use = async |teams: &str| {
        let watched = twelve_days(PLAN, teams, &[("h", 40), ("l", 10)], Some(900)).await;
        let assessment = watched.assess(NOW).await;
        let [heavy, light] = &assessment.draws[..] else { panic!("{assessment:?}") };
        assert_eq!(heavy.outlook, light.outlook, "one tank");
        let own = |draw: &DrawAssessment| draw.shared.as_ref().unwrap().own_pace_per_hour.unwrap() * 24.0;
        let use_ = heavy.outlook.forecast().unwrap().expected_use.as_f64();
        let effects: Vec<f64> = heavy.announced.iter().map(|told| told.effect.unwrap().as_f64()).collect();
        assert!(light.announced.is_empty(), "it is the other team's");
        (use_, effects, own(light))
    };
    let (plain, _, light) = expected_use(TWO_TEAMS).await;
    // From the thirteenth to the end of the month the heavy team rests: four fifths of what is to come do not come.
    let (rests, effects, light_then) = expected_use(&heavy_says("{factor: 0, from: 2026-11-13, to: 2026-11-30}")).await;
    assert!((0.15..0.35).contains(&(rests / plain)), "{rests} of {plain}");
    assert!((-1.0..-0.5).contains(&(effects[0] / plain)), "{effects:?} of {plain}");
    assert_eq!(light_then, light, "a team's own pace is its own");
    // A batch of one is a batch of all.
    let (batch, effects, _) = expected_use(&heavy_says("{credits: 200, at: 2026-11-20}")).await;
    assert_eq!((batch - plain).round(), 200.0, "{batch} {plain}");
    assert_eq!(effects, [200.0]);
}
