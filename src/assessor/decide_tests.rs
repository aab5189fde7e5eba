//! What people hear of the alerts of an account over days, with a real ledger.

use std::path::Path;

use jiff::SignedDuration;
use tempfile::TempDir;

use super::tests::{at, balance, whole};
use super::*;
use crate::domain::silence::{Matcher, NewSilence};
use crate::domain::{AlertState, Mute, Reading, TaskRecord, TaskState};
use crate::provider::history::ColumnMap;
use crate::store::CollectorOutcome;

/// An account of 1,000 credits each month, drawn on by one team.
struct Stage {
    _folder: TempDir,
    account: Account,
    assessor: Assessor,
}

/// What happens before a look.
enum Event {
    /// So much is charged, and so much is left; both are read.
    Read(i64, i64),
    /// Nothing is read.
    Nothing,
}

use Event::{Nothing, Read};

impl Stage {
    async fn new(alerts: &str) -> Stage {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        let config = Stage::config(alerts);
        store.open_account(&config.accounts[0].name, [7; 16]).await.unwrap();
        let draws = config.teams.iter().flat_map(|team| team.draws.clone()).collect();
        let columns = ColumnMap::plain();
        let account = Account { config: config.accounts[0].clone(), draws, provider: None, columns, salt: [7; 16] };
        let (published, _) = watch::channel(Arc::default());
        let assessor = Assessor::new(store, &config, None, published, Arc::default());
        Stage { _folder: folder, account, assessor }
    }

    fn config(alerts: &str) -> Config {
        let text = format!(
            "accounts: [{{name: studio, stale_after: 6h, plan: {{credits: 1000, reset: \"@monthly\"}}}}]\n\
             teams: [{{name: art, account: studio}}]\nalerts: {{{alerts}}}\n"
        );
        Config::parse(&text, Path::new("fuelgauge.yml")).unwrap()
    }

    /// The same ledger under another configuration.
    fn reload(&mut self, alerts: &str) {
        let (published, _) = watch::channel(Arc::default());
        let store = self.assessor.store.clone();
        self.assessor = Assessor::new(store, &Stage::config(alerts), None, published, Arc::default());
    }

    async fn read(&self, now: Timestamp, charged: i64, left: i64) {
        let mut task = TaskRecord::new(now.to_string(), now, TaskState::Succeeded, "text-to-3d");
        task.credits = Some(whole(charged));
        let tasks = if charged > 0 { vec![task] } else { Vec::new() };
        let reading = Reading { tasks, balance: balance(left), ..Reading::default() };
        let outcome = |collector| CollectorOutcome { collector, duration_seconds: 0.0, failure: None };
        let outcomes = [Collector::Charges, Collector::Balance].map(outcome);
        let incoming = self.account.incoming(&reading, &outcomes, None, now);
        self.assessor.store.append(&self.account.config.name, &self.account.draws, incoming).await.unwrap();
    }

    /// Looks, decides and keeps, as an assessment does. Answers what people are to hear: rule, why and stage.
    async fn look(&self, now: Timestamp) -> Vec<String> {
        let (mut assessment, facts) = self.assessor.look(&self.account, now).await.unwrap();
        let silences = self.assessor.store.silences(now).await.unwrap();
        let decided = self.assessor.decide(&mut assessment, &facts, &silences);
        let words =
            |notice: &crate::domain::Notice| format!("{} {} {}", notice.rule, notice.why.as_str(), notice.stage);
        let told = decided.notices.iter().map(words).collect();
        let notices: Vec<_> = decided.notices.into_iter().map(|notice| (notice, Vec::new())).collect();
        let are_new = self.assessor.store.commit_alerts(&decided.changes, &notices).await.unwrap();
        assert!(are_new.iter().all(|is_new| *is_new), "told before: {told:?}");
        told
    }

    /// Plays a table of moments.
    async fn play(&self, name: &str, steps: &[(&str, Event, &[&str])]) {
        for (time, event, expected) in steps {
            let now = at(time);
            if let Read(charged, left) = event {
                self.read(now, *charged, *left).await;
            }
            assert_eq!(self.look(now).await, *expected, "{name}: {time}");
            assert_eq!(self.look(now).await, [""; 0], "{name}: {time}, looked at twice");
        }
    }

    async fn silence(&self, matchers: &str, from: &str, to: &str) {
        let silence = NewSilence {
            matchers: Matcher::parse_all(matchers).unwrap(),
            starts_at: at(from),
            ends_at: at(to),
            created_by: "ada".into(),
            token: None,
            comment: "we know".into(),
        };
        self.assessor.store.keep_silence(&silence, None, at(from)).await.unwrap().unwrap();
    }

    async fn alert(&self, rule: RuleName, now: &str) -> (AlertState, Option<Mute>) {
        let assessed = self.assessor.assess_once(&self.account, at(now), Alerts::Leave).await.unwrap();
        let known = assessed.draws[0].alerts.iter().find(|known| known.rule == rule);
        known.map(|known| (known.alert.state.clone(), known.mute)).unwrap_or_default()
    }
}

const ONLY_LOW: &str = "exhaustion: {enabled: false}, stale_data: {enabled: false}, plan_reset: {enabled: false}";

#[tokio::test]
async fn the_rule_that_says_more_mutes_the_other() {
    let stage = Stage::new("plan_reset: {enabled: false}").await;
    stage
        .play(
            "used up and topped up",
            &[
                ("2026-11-02T09:00:00Z", Read(500, 500), &[]),
                ("2026-11-03T09:00:00Z", Read(320, 180), &["low_balance opened warning"]),
                // Gone: the forecast's rule says so, and the balance's holds its tongue.
                ("2026-11-03T10:00:00Z", Read(180, 0), &["exhaustion opened critical"]),
                ("2026-11-03T11:00:00Z", Read(0, 900), &[]),
                ("2026-11-03T11:05:00Z", Read(0, 900), &[]),
                // The balance has been well for long; that is told with the other.
                ("2026-11-03T15:00:00Z", Read(0, 900), &[]),
            ],
        )
        .await;
    let (state, mute) = stage.alert(RuleName::LowBalance, "2026-11-03T15:00:00Z").await;
    assert!(matches!(state, AlertState::Resolved { untold: Some(_), .. }), "{state:?}");
    assert_eq!(mute, Some(Mute::Inhibited(RuleName::Exhaustion)));
}

#[tokio::test]
async fn what_comes_up_at_night_is_told_in_the_morning() {
    let quiet = "quiet_hours: [{from: \"20:00\", to: \"07:00\"}]";
    let stage = Stage::new(&format!("{ONLY_LOW}, {quiet}")).await;
    stage
        .play(
            "quiet hours",
            &[
                ("2026-11-02T09:00:00Z", Read(500, 500), &[]),
                ("2026-11-02T21:00:00Z", Read(320, 180), &[]),
                ("2026-11-03T03:00:00Z", Read(0, 180), &[]),
                ("2026-11-03T07:00:00Z", Read(0, 180), &["low_balance opened warning"]),
                // Critical is told at any hour.
                ("2026-11-03T22:00:00Z", Read(140, 40), &["low_balance worsened critical"]),
                // Topped up at night; over at night, and critical in its day.
                ("2026-11-04T01:00:00Z", Read(0, 900), &[]),
                ("2026-11-04T02:00:00Z", Read(0, 900), &["low_balance resolved critical"]),
                // A second episode comes and goes in one night.
                ("2026-11-05T21:00:00Z", Read(720, 180), &[]),
                ("2026-11-05T22:00:00Z", Read(0, 900), &[]),
                ("2026-11-05T23:30:00Z", Read(0, 900), &[]),
                ("2026-11-06T07:30:00Z", Read(0, 900), &[]),
            ],
        )
        .await;
}

#[tokio::test]
async fn the_end_of_a_period_at_night_is_told_in_the_morning() {
    let quiet = "quiet_hours: [{from: \"20:00\", to: \"07:00\", except: none}]";
    let stage = Stage::new(&format!("{ONLY_LOW}, {quiet}")).await;
    stage
        .play(
            "a reset in quiet hours",
            &[
                ("2026-11-29T12:00:00Z", Read(960, 40), &["low_balance opened critical"]),
                ("2026-12-01T00:05:00Z", Read(0, 1000), &[]),
                ("2026-12-01T06:55:00Z", Read(0, 1000), &[]),
                ("2026-12-01T07:00:00Z", Read(0, 1000), &["low_balance plan_reset critical"]),
                // The new period's thresholds are its own.
                ("2026-12-02T12:00:00Z", Read(850, 150), &["low_balance opened warning"]),
            ],
        )
        .await;
}

#[tokio::test]
async fn a_silence_keeps_back_until_it_ends() {
    let stage = Stage::new(ONLY_LOW).await;
    stage.silence("alert=low_balance team=art", "2026-11-02T09:00:00Z", "2026-11-04T09:00:00Z").await;
    stage.silence("team=props", "2026-11-02T09:00:00Z", "2026-11-30T09:00:00Z").await;
    stage
        .play(
            "silenced",
            &[
                ("2026-11-02T10:00:00Z", Read(820, 180), &[]),
                ("2026-11-03T10:00:00Z", Read(140, 40), &[]),
                ("2026-11-04T08:59:59Z", Read(0, 40), &[]),
                ("2026-11-04T09:00:00Z", Read(0, 40), &["low_balance opened critical"]),
            ],
        )
        .await;
    // One that begins later silences the end as well, and for good.
    stage.silence("severity=critical", "2026-11-04T10:00:00Z", "2026-11-04T20:00:00Z").await;
    stage
        .play(
            "the end",
            &[
                ("2026-11-04T11:00:00Z", Read(0, 900), &[]),
                ("2026-11-04T13:00:00Z", Read(0, 900), &[]),
                ("2026-11-04T21:00:00Z", Read(0, 900), &[]),
            ],
        )
        .await;
}

#[tokio::test]
async fn stale_data_goes_on_over_a_reset_and_mutes_what_goes_by_it() {
    let stage = Stage::new("exhaustion: {enabled: false}, plan_reset: {enabled: false}").await;
    stage
        .play(
            "a platform that is away over a reset",
            &[
                ("2026-11-29T12:00:00Z", Read(820, 180), &["low_balance opened warning"]),
                ("2026-11-29T18:00:01Z", Nothing, &[]),
                ("2026-11-29T18:05:01Z", Nothing, &["stale_data opened warning"]),
                ("2026-11-30T12:00:00Z", Nothing, &["stale_data worsened critical"]),
                // The period's alert ends with it, and people hear so when the platform is back.
                ("2026-12-01T00:05:00Z", Nothing, &[]),
                (
                    "2026-12-01T09:00:00Z",
                    Read(0, 1000),
                    &["stale_data resolved critical", "low_balance plan_reset warning"],
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn a_rule_that_is_switched_off_ends_without_a_word_and_begins_afresh() {
    let mut stage = Stage::new(ONLY_LOW).await;
    stage.play("on", &[("2026-11-02T10:00:00Z", Read(820, 180), &["low_balance opened warning"])]).await;
    stage.reload(&format!("{ONLY_LOW}, low_balance: {{enabled: false}}"));
    stage.play("off", &[("2026-11-02T10:05:00Z", Read(0, 180), &[])]).await;
    assert_eq!(stage.alert(RuleName::LowBalance, "2026-11-02T10:05:00Z").await.0, AlertState::Inactive);
    stage.reload(ONLY_LOW);
    stage.play("on again", &[("2026-11-02T10:10:00Z", Read(0, 180), &["low_balance opened warning"])]).await;
}

#[tokio::test]
async fn a_condition_must_hold_for_as_long_as_it_is_told_to() {
    let stage =
        Stage::new(&format!("{ONLY_LOW}, low_balance: {{for: 1h, keep_firing_for: 2h, send_resolved: false}}")).await;
    stage
        .play(
            "an hour",
            &[
                ("2026-11-02T10:00:00Z", Read(820, 180), &[]),
                ("2026-11-02T10:30:00Z", Read(0, 900), &[]),
                ("2026-11-02T10:31:00Z", Read(720, 180), &[]),
                ("2026-11-02T11:30:00Z", Read(0, 180), &[]),
                ("2026-11-02T11:31:00Z", Read(0, 180), &["low_balance opened warning"]),
                ("2026-11-02T12:00:00Z", Read(0, 900), &[]),
                ("2026-11-02T14:00:00Z", Read(0, 900), &[]),
            ],
        )
        .await;
    let (state, _) = stage.alert(RuleName::LowBalance, "2026-11-02T14:00:00Z").await;
    assert!(matches!(state, AlertState::Resolved { untold: None, .. }), "{state:?}");
}

/// Whatever is looked at between: a look that changes nothing tells nothing, and a period that the platform moved keeps its
/// episodes.
#[tokio::test]
async fn a_reset_that_moves_keeps_the_episode() {
    let stage = Stage::new(ONLY_LOW).await;
    stage.play("before", &[("2026-11-10T10:00:00Z", Read(820, 180), &["low_balance opened warning"])]).await;
    // The platform says a later reset: the period now began later, before the episode did.
    let now = at("2026-11-10T11:00:00Z");
    let plan = crate::domain::PlanRecord { name: None, allowance: None, resets_at: Some(at("2026-12-05T00:00:00Z")) };
    let reading = Reading { plan: Some(plan), balance: balance(180), ..Reading::default() };
    let outcome = |collector| CollectorOutcome { collector, duration_seconds: 0.0, failure: None };
    let outcomes = [Collector::Charges, Collector::Balance, Collector::Plan].map(outcome);
    let incoming = stage.account.incoming(&reading, &outcomes, None, now);
    stage.assessor.store.append(&stage.account.config.name, &stage.account.draws, incoming).await.unwrap();
    assert_eq!(stage.look(now).await, [""; 0]);
    let later = now + SignedDuration::from_mins(5);
    stage.read(later, 140, 40).await;
    assert_eq!(stage.look(later).await, ["low_balance worsened critical"]);
}
