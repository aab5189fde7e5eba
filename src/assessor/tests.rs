//! From the ledger to the assessment: what people are shown of an account, with a real store.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::domain::{BalanceRecord, FuelLimit, Reading, TaskRecord, TaskState};
use crate::store::CollectorOutcome;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits)
}

/// An account of the configuration, its ledger and its assessor.
struct Watched {
    _folder: TempDir,
    account: Account,
    assessor: Assessor,
}

impl Watched {
    /// An account `studio` with such a plan, drawn on by `teams`, a list of YAML.
    async fn new(plan: &str, teams: &str) -> Watched {
        let text = format!("accounts: [{{name: studio, plan: {plan}}}]\nteams: {teams}\n");
        let config = Config::parse(&text, Path::new("fuelgauge.yml")).unwrap();
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        store.open_account(&config.accounts[0].name, [7; 16]).await.unwrap();
        let draws = config.teams.iter().flat_map(|team| team.draws.clone()).collect();
        let account = Account { config: config.accounts[0].clone(), draws, provider: None, salt: [7; 16] };
        let (published, _) = watch::channel(Arc::default());
        let assessor = Assessor::new(store, &config, None, published, Arc::default());
        Watched { _folder: folder, account, assessor }
    }

    /// Keeps what was read at a moment: charges, each with project and credits, and the balance if one was told.
    async fn read(&self, now: &str, charges: &[(&str, i64)], balance: Option<BalanceRecord>) {
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

    async fn assess(&self, now: &str) -> Arc<AccountAssessment> {
        self.assessor.assess_once(&self.account, at(now), Alerts::Leave).await.unwrap()
    }
}

fn balance(available: i64) -> Option<BalanceRecord> {
    Some(BalanceRecord::of(whole(available)))
}

const ONE_TEAM: &str = "[{name: art, account: studio}]";

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
