//! From a plan to the forecast, and from the charges that follow to how good the estimate was, with a real store.

use super::tests::{ONE_TEAM, Watched, at, balance, whole};
use super::*;
use crate::domain::{
    ChargeSource, DrawKey, EstimateOutcome, EstimateRequest, EstimateState, PlannedLine, Reading, RecordForm,
    RecordedEstimate, TaskRecord, TaskState,
};
use crate::store::CollectorOutcome;

const PLAN: &str = "{credits: 5000, reset: \"@monthly\"}";
/// A Thursday.
const START: &str = "2026-11-12T09:00:00Z";

/// Tasks: what they are called, when they were launched, their state, and their cost.
type Launches<'a> = &'a [(&'a str, &'a str, TaskState, Option<i64>)];

/// An account with a dozen days of charges of 10 credits a launch.
async fn a_dozen_days(plan: &str) -> Watched {
    let watched = Watched::new(plan, ONE_TEAM).await;
    for day in 1..=11 {
        watched.read(&format!("2026-11-{day:02}T09:00:00Z"), &[("a", 10), ("a", 10)], None).await;
    }
    watched.read(START, &[("a", 10)], balance(4770)).await;
    watched
}

impl Watched {
    fn key(&self) -> DrawKey {
        self.account.draws[0].key.clone()
    }

    /// Keeps an estimate of so many assets as of a moment.
    async fn record(&self, now: &str, count: u32, form: RecordForm) -> Result<RecordedEstimate, RecordError> {
        let request =
            EstimateRequest { task_type: "text-to-3d".into(), quality: None, variants: 1, count, attempts: None };
        self.record_line(now, PlannedLine { request, starts_at: None }, form).await
    }

    async fn record_line(
        &self,
        now: &str,
        line: PlannedLine,
        form: RecordForm,
    ) -> Result<RecordedEstimate, RecordError> {
        let (key, now, lines) = (self.key(), at(now), [line]);
        let planned = self.assessor.plan(&self.account, &key.team, &lines, now).await.unwrap().unwrap();
        self.assessor.record_estimate(&self.account, &planned, &form, "ada", now).await
    }

    /// Reads tasks at a moment.
    async fn launch(&self, now: &str, launches: Launches<'_>) {
        let task = |(id, launched, state, credits): &(&str, &str, TaskState, Option<i64>)| TaskRecord {
            credits: credits.map(whole),
            ..TaskRecord::new(*id, at(launched), *state, "text-to-3d")
        };
        let reading = Reading { tasks: launches.iter().map(task).collect(), ..Reading::default() };
        let outcome = CollectorOutcome { collector: Collector::Charges, duration_seconds: 0.0, failure: None };
        let incoming = self.account.incoming(&reading, std::slice::from_ref(&outcome), None, at(now));
        self.assessor.store.append(&self.account.config.name, &self.account.draws, incoming).await.unwrap();
    }

    async fn step(&self, now: &str) -> DrawAssessment {
        self.assessor.assess_once(&self.account, at(now), Alerts::Step).await.unwrap().draws[0].clone()
    }

    async fn all(&self) -> Vec<RecordedEstimate> {
        self.assessor.all_estimates(&self.key()).await.unwrap()
    }
}

fn planned(label: &str) -> RecordForm {
    RecordForm { label: Some(label.into()), until: None, is_planned: true }
}

fn recorded() -> RecordForm {
    RecordForm::default()
}

fn expected_use(draw: &DrawAssessment) -> f64 {
    draw.outlook.forecast().unwrap().expected_use.as_f64()
}

use TaskState::{Failed, Queued, Running, Succeeded};

#[tokio::test]
async fn a_plan_is_in_the_forecast_until_its_charges_have_come_and_then_it_is_met() {
    let watched = a_dozen_days(PLAN).await;
    let before = expected_use(&watched.step("2026-11-12T09:30:00Z").await);
    let kept = watched.record("2026-11-12T09:30:00Z", 50, planned("crates")).await.unwrap();
    assert_eq!((kept.id, kept.label.as_str(), kept.credits.p50), (1, "crates", whole(500)));
    assert_eq!(kept.lapses_at, at("2026-11-19T09:30:00Z"));
    let with_plan = watched.step("2026-11-12T09:30:00Z").await;
    assert!((expected_use(&with_plan) - before - 500.0).abs() < 1.0, "{} {before}", expected_use(&with_plan));
    assert_eq!(with_plan.estimates, std::slice::from_ref(&kept));

    // Thirty have come, five wait to be charged, ten of the account have failed: the forecast knows that they are of it.
    let name = |place: usize| format!("crate-{place}");
    let names: Vec<String> = (0..70).map(name).collect();
    let launched = "2026-11-12T10:00:00Z";
    let mut launches: Vec<_> = names[..30].iter().map(|id| (id.as_str(), launched, Succeeded, Some(10))).collect();
    launches.extend(names[30..35].iter().map(|id| (id.as_str(), launched, Queued, None)));
    launches.extend(names[35..45].iter().map(|id| (id.as_str(), launched, Failed, Some(0))));
    watched.launch("2026-11-12T10:30:00Z", &launches).await;
    let known = watched.assessor.look(&watched.account, at("2026-11-12T10:30:00Z")).await.unwrap().0;
    let under_way = &known.draws[0].estimates[0];
    assert_eq!((under_way.charged, under_way.tasks, under_way.assets), (whole(300), 45, 30));
    assert_eq!(under_way.remaining().p50, whole(200));
    let (facts, now) = (watched.facts().await, at("2026-11-12T10:30:00Z"));
    let (usages, _) =
        watched.assessor.usages(&watched.account, &facts, known.draws[0].period.as_ref(), now).await.unwrap();
    assert_eq!((usages[0].queued.credits, usages[0].planned[0].likely), (whole(50), whole(150)));
    assert_eq!(usages[0].batches, usages[0].planned);

    // All have succeeded: nothing more is to come, and a day later it is met.
    let launched = "2026-11-12T11:00:00Z";
    let mut launches: Vec<_> =
        names[30..35].iter().map(|id| (id.as_str(), "2026-11-12T10:00:00Z", Succeeded, Some(10))).collect();
    launches.extend(names[45..60].iter().map(|id| (id.as_str(), launched, Succeeded, Some(10))));
    watched.launch("2026-11-12T12:00:00Z", &launches).await;
    let complete = watched.step("2026-11-12T12:00:00Z").await;
    assert_eq!(complete.estimates[0].remaining(), Default::default());
    assert_eq!((&complete.estimates[0].state, complete.accuracy.met()), (&EstimateState::Open, 0));
    watched.launch("2026-11-13T10:59:00Z", &[]).await;
    assert_eq!(watched.step("2026-11-13T11:30:00Z").await.accuracy.met(), 0, "nothing is known of the last minutes");
    watched.launch("2026-11-13T11:00:00Z", &[]).await;
    let looked = watched.assess("2026-11-13T11:30:00Z").await.draws[0].clone();
    assert_eq!((looked.accuracy.met(), looked.estimates[0].ends.is_some()), (0, true), "who looks writes nothing");
    let met = watched.step("2026-11-13T11:30:00Z").await;
    assert_eq!(met.estimates[0].state, EstimateState::Met { at: at("2026-11-13T11:00:00Z") });
    assert_eq!((met.estimates[0].charged, met.estimates[0].tasks), (whole(500), 60));
    assert_eq!((met.accuracy.met(), met.accuracy.within_p90()), (1, 1));
    assert_eq!((met.accuracy.expected, met.accuracy.charged), (whole(500), whole(500)));

    // It is final: what comes late, and what comes back, changes nothing; nor does a restart.
    let late = [("late", launched, Succeeded, Some(700)), ("crate-1", "2026-11-12T10:00:00Z", Succeeded, Some(4))];
    watched.launch("2026-11-13T12:00:00Z", &late).await;
    watched.assessor.cache.lock().unwrap().clear();
    for now in ["2026-11-13T12:00:00Z", "2026-11-14T12:00:00Z"] {
        let after = watched.step(now).await;
        assert_eq!((&after.estimates, &after.accuracy), (&met.estimates, &met.accuracy), "{now}");
    }
    assert_eq!(watched.all().await, met.estimates);
}

impl Watched {
    async fn facts(&self) -> AccountFacts {
        let now = at("2026-11-12T10:30:00Z");
        let start = Some(at("2026-11-01T00:00:00Z"));
        self.assessor.store.load_account(&self.account.config.name, &self.account.draws, start, now).await.unwrap()
    }
}

#[tokio::test]
async fn estimates_end_as_their_launches_say() {
    let day = "2026-11-13T09:00:00Z";
    let (over, later) = ("2026-11-19T10:00:00Z", "2026-11-21T10:00:00Z");
    let late = "2026-11-19T09:00:00Z";
    let table: [(&str, Launches, Launches, EstimateOutcome, i64); 6] = [
        ("nothing was launched", &[], &[], EstimateOutcome::LapsedUnlaunched, 0),
        ("a part was launched", &[("x", day, Succeeded, Some(10))], &[], EstimateOutcome::LapsedPartly, 10),
        (
            "it cost more than nine in ten",
            &[("x", day, Succeeded, Some(90)), ("y", day, Succeeded, Some(90))],
            &[],
            EstimateOutcome::AboveP90,
            180,
        ),
        (
            "what came back is no cost",
            &[("x", day, Succeeded, Some(10)), ("y", day, Failed, Some(50)), ("z", day, Succeeded, Some(10))],
            &[("y", day, Failed, Some(0))],
            EstimateOutcome::P10ToP50,
            20,
        ),
        (
            "the last is under way when the time is over",
            &[("x", day, Succeeded, Some(10)), ("y", late, Running, None)],
            &[("y", late, Succeeded, Some(1))],
            EstimateOutcome::BelowP10,
            11,
        ),
        (
            "launched after its time",
            &[("x", day, Succeeded, Some(10)), ("y", "2026-11-19T09:30:00Z", Succeeded, Some(10))],
            &[],
            EstimateOutcome::LapsedPartly,
            10,
        ),
    ];
    for (name, first, second, outcome, charged) in table {
        let watched = a_dozen_days(PLAN).await;
        let until = Some(at("2026-11-19T09:30:00Z"));
        let kept = watched.record("2026-11-12T09:30:00Z", 2, RecordForm { until, ..recorded() }).await.unwrap();
        assert_eq!(kept.credits.p50, whole(20));
        watched.launch(over, first).await;
        if !second.is_empty() {
            watched.launch(over, second).await;
        }
        watched.step(over).await;
        watched.launch(later, &[]).await;
        let ended = watched.step(later).await;
        assert_eq!(ended.estimates[0].outcome(), Some(outcome), "{name}: {:?}", ended.estimates);
        assert_eq!((ended.estimates[0].charged, ended.accuracy.closed(outcome)), (whole(charged), 1), "{name}");
        assert_eq!(watched.step(later).await.accuracy, ended.accuracy, "{name}: once");
    }
}

#[tokio::test]
async fn of_two_that_overlap_a_launch_counts_for_the_older_until_that_is_taken_back() {
    let watched = a_dozen_days(PLAN).await;
    for label in ["first", "second"] {
        watched.record("2026-11-12T09:30:00Z", 5, planned(label)).await.unwrap();
    }
    let launched = "2026-11-12T10:00:00Z";
    watched.launch(launched, &[("x", launched, Succeeded, Some(10)), ("y", launched, Succeeded, Some(10))]).await;
    let charged = |all: &[RecordedEstimate]| all.iter().map(|one| one.charged).collect::<Vec<_>>();
    let both = watched.step(launched).await;
    assert_eq!(charged(&both.estimates), [whole(20), whole(0)]);
    assert_eq!(charged(&watched.all().await), [whole(20), whole(0)]);

    let name = &watched.account.config.name;
    let taken_back = watched.assessor.withdraw_estimate(name, 1, "grace", at(launched)).await.unwrap().unwrap();
    assert_eq!(taken_back.state, EstimateState::Withdrawn { at: at(launched), by: "grace".into() });
    assert_eq!(taken_back.charged, whole(20));
    let again = watched.assessor.withdraw_estimate(name, 1, "ada", at("2026-11-13T10:00:00Z")).await.unwrap();
    assert_eq!(again, Some(taken_back));
    let one = watched.step(launched).await;
    let shown: Vec<_> = one.estimates.iter().map(|one| (one.id, one.charged)).collect();
    assert_eq!(shown, [(2, whole(20)), (1, whole(20))], "what it covered counts for the other, and it stays as it was");
    assert!((expected_use(&both) - expected_use(&one) - 50.0).abs() < 1.0, "30 and 50 were to come, now 30");
    assert_eq!(watched.assessor.withdraw_estimate(name, 9, "ada", at(launched)).await.unwrap(), None);
}

#[tokio::test]
async fn what_counted_for_an_estimate_that_is_met_counts_for_no_other_and_no_more() {
    let watched = a_dozen_days(PLAN).await;
    watched.record("2026-11-12T09:30:00Z", 2, recorded()).await.unwrap();
    let (first, second) = ("2026-11-12T10:00:00Z", "2026-11-12T11:00:00Z");
    watched.launch(first, &[("x", first, Succeeded, Some(10)), ("y", first, Succeeded, Some(11))]).await;
    watched.record("2026-11-12T09:45:00Z", 3, planned("later")).await.unwrap();
    watched.launch(second, &[("z", second, Succeeded, Some(12))]).await;
    let figures = |draw: &DrawAssessment| {
        let mut all: Vec<_> = draw.estimates.iter().map(|one| (one.id, one.charged, one.tasks, one.assets)).collect();
        all.sort_unstable();
        all
    };
    let both = watched.step(second).await;
    assert_eq!(figures(&both), [(1, whole(21), 2, 2), (2, whole(12), 1, 1)]);
    let next_day = "2026-11-13T12:00:00Z";
    watched.launch(next_day, &[]).await;
    let one_is_met = watched.step(next_day).await;
    assert_eq!(one_is_met.accuracy.met(), 1);
    assert_eq!(figures(&one_is_met), figures(&both));
    // What is told late of the time of the first is wanted by the second.
    watched.launch(next_day, &[("late", first, Succeeded, Some(14)), ("x", first, Succeeded, Some(10))]).await;
    assert_eq!(figures(&watched.step(next_day).await), [(1, whole(21), 2, 2), (2, whole(26), 2, 2)]);
}

#[tokio::test]
async fn an_estimate_is_reckoned_with_once_it_is_accepted() {
    let watched = a_dozen_days(PLAN).await;
    let now = "2026-11-12T09:30:00Z";
    let before = expected_use(&watched.step(now).await);
    watched.record(now, 50, recorded()).await.unwrap();
    assert_eq!(expected_use(&watched.step(now).await), before, "as if nothing had been asked");
    let name = &watched.account.config.name;
    let accepted = watched.assessor.accept_estimate(name, 1, "grace", at(now)).await.unwrap().unwrap();
    assert!(accepted.is_planned);
    let with_plan = expected_use(&watched.step(now).await);
    assert!(with_plan > before + 499.0, "{with_plan} {before}");
    assert_eq!(watched.assessor.accept_estimate(name, 1, "ada", at(now)).await.unwrap(), Some(accepted));
    assert_eq!(watched.assessor.accept_estimate(name, 9, "ada", at(now)).await.unwrap(), None);

    // A further plan is weighed beside it.
    let request =
        EstimateRequest { task_type: "text-to-3d".into(), quality: None, variants: 1, count: 1, attempts: None };
    let line = PlannedLine { request, starts_at: None };
    let check = watched.assessor.plan(&watched.account, &watched.key().team, &[line], at(now)).await.unwrap().unwrap();
    let beside = check.check.effect.unwrap().before.forecast().unwrap().expected_use.as_f64();
    assert_eq!(beside, with_plan);

    watched.assessor.withdraw_estimate(name, 1, "ada", at(now)).await.unwrap();
    assert_eq!(expected_use(&watched.step(now).await), before, "as if it had never been planned");
    let refused = watched.assessor.accept_estimate(name, 1, "ada", at(now)).await.unwrap_err().to_string();
    assert_eq!(refused, "estimate `1` is withdrawn; expected an open one\nhint: record it anew");
}

#[tokio::test]
async fn what_cannot_be_compared_is_not_kept() {
    let mut watched = a_dozen_days(PLAN).await;
    let now = "2026-11-12T09:30:00Z";
    let request = |task_type: &str| EstimateRequest {
        task_type: task_type.into(),
        quality: None,
        variants: 1,
        count: 1,
        attempts: None,
    };
    let line = |task_type: &str, starts_at: Option<&str>| PlannedLine {
        request: request(task_type),
        starts_at: starts_at.map(at),
    };
    let until = |until: &str| RecordForm { until: Some(at(until)), ..recorded() };
    for (name, line, form, words) in [
        (
            "unknown",
            line("sculpt", None),
            recorded(),
            "an unknown cost cannot be recorded: no finished task of type `sculpt`",
        ),
        ("over", line("text-to-3d", None), until("2026-11-12T09:30:00Z"), "`until`: expected a time after the start"),
        (
            "over before it starts",
            line("text-to-3d", Some("2026-11-20T00:00:00Z")),
            until("2026-11-19T00:00:00Z"),
            "`until`: expected a time after the start, which is `2026-11-20T00:00:00Z`",
        ),
    ] {
        let refused = watched.record_line(now, line, form).await.unwrap_err().to_string();
        assert!(refused.starts_with(words), "{name}: {refused}");
    }
    watched.account.config.charges_from = Some(ChargeSource::Balance);
    let refused = watched.record(now, 1, recorded()).await.unwrap_err().to_string();
    assert!(refused.contains("hint: plan it with `fuelgauge announce add"), "{refused}");
    assert_eq!(watched.all().await, []);
}
