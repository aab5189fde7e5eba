//! Whatever is seen, and whatever happens between two looks, people hear the story that the pure functions tell, once.
//!
//! Random sequences of findings of all rules go through a real ledger: with restarts, decisions that a crash threw away,
//! rules switched on and off, missed ticks, silences, quiet hours, resets and resets that move. Beside it [`Memory`] keeps the
//! same alerts as values and steps them by the pure functions alone.

use std::path::Path;

use jiff::SignedDuration;
use proptest::prelude::*;
use tempfile::TempDir;

use super::tests::{at, whole};
use super::*;
use crate::domain::alert::{Observation, end_with_period, step, tell};
use crate::domain::forecast::Outlook;
use crate::domain::rule::Lifetime;
use crate::domain::silence::{Matcher, NewSilence};
use crate::domain::{
    Alert, AlertState, CollectorStatus, Confidence, DailyUse, Forecast, Level, Mute, Notice, QueueRecord, RecentUse,
    Reruns, RunOut, Stage, Suspicion, Why,
};
use crate::provider::history::ColumnMap;

/// What can be seen of a draw, each as the number of a choice.
type World = [u8; 12];

/// Between two looks.
#[derive(Clone, Debug)]
enum Between {
    Nothing,
    /// The process ends and begins anew.
    Restart,
    /// The next decision is made and thrown away, by a crash before its commit.
    Crash,
    /// Only these rules are asked from now on, by their places.
    Reload(u16),
    /// Of one rule or of all, for so many hours.
    Silence(Option<usize>, i64),
    /// The silence that ends last is ended now.
    Expire,
    /// The platform's resets come so many hours later than it first said.
    Move(i32),
}

/// Minutes since the last look, what is seen otherwise then, and what happened between.
type Moment = (i64, Vec<(usize, u8)>, Between);

fn any_moment() -> impl Strategy<Value = Moment> {
    let minutes = prop::sample::select(vec![1, 6, 35, 70, 300, 720, 1500, 4000, 13_000, 45_000]);
    let changes = prop::collection::vec((0..World::default().len(), 0..5_u8), 0..5);
    let between = prop_oneof![
        8 => Just(Between::Nothing),
        2 => Just(Between::Restart),
        2 => Just(Between::Crash),
        1 => any::<u16>().prop_map(|rules| Between::Reload(rules | rules >> 3)),
        1 => Just(Between::Reload(u16::MAX)),
        2 => (prop::option::of(0..RuleName::ALL.len()), 1..60_i64).prop_map(|(rule, hours)| Between::Silence(rule, hours)),
        1 => Just(Between::Expire),
        3 => prop::sample::select(vec![-70, 0, 50, 130]).prop_map(Between::Move),
    ];
    (minutes, changes, between)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        ..ProptestConfig::default()
    })]

    #[test]
    fn people_hear_one_story_whatever_happens_between(
        moments in prop::collection::vec(any_moment(), 1..50),
        has_periods in prop::bool::weighted(0.9),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watched = Watched::new(has_periods).await;
            for moment in moments {
                watched.play(&moment).await;
            }
            watched.memory.check_stories();
        });
    }
}

/// A platform that moves its reset to and fro, while a silence keeps back what is new.
#[tokio::test]
async fn an_episode_that_comes_back_to_an_earlier_period_is_told() {
    let mut watched = Watched::new(true).await;
    for (minutes, changes, between) in [
        (4_000, vec![(1, 2)], Between::Move(50)),
        (13_000, vec![], Between::Nothing),
        (4_000, vec![], Between::Silence(None, 3)),
        (60, vec![], Between::Move(130)),
        (60, vec![], Between::Move(50)),
        (120, vec![], Between::Nothing),
    ] {
        watched.play(&(minutes, changes, between)).await;
    }
    let heard = watched.memory.stories.iter().filter(|story| story.first().is_some_and(|told| told.0 == Why::Opened));
    assert_eq!(heard.count(), 3, "{:?}", watched.memory.stories);
}

/// An account, its ledger, and what it would remember if nothing ever ended.
struct Watched {
    folder: TempDir,
    account: Account,
    assessor: Assessor,
    enabled: u16,
    /// An assessment that is filled with what is seen.
    blank: AccountAssessment,
    world: World,
    now: Timestamp,
    has_periods: bool,
    /// By how much later the resets come than at first.
    moved: SignedDuration,
    memory: Memory,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const PERIOD_HOURS: i64 = 30 * 24;

impl Watched {
    async fn new(has_periods: bool) -> Watched {
        // A process that ends loses nothing of what it wrote: there is no disk to wait for.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let now = at("2026-11-02T09:00:00Z");
        let store = Store::open(&folder.path().join("ledger.db")).await.unwrap();
        let config = config(u16::MAX);
        let name = config.accounts[0].name.clone();
        store.open_account(&name, [7; 16]).await.unwrap();
        let draws = config.teams.iter().flat_map(|team| team.draws.clone()).collect();
        let columns = ColumnMap::plain();
        let account = Account { config: config.accounts[0].clone(), draws, provider: None, columns, salt: [7; 16] };
        let assessor = assessor(store, &config);
        let (blank, _) = assessor.look(&account, now).await.unwrap();
        Watched {
            folder,
            account,
            assessor,
            enabled: u16::MAX,
            blank,
            world: World::default(),
            now,
            has_periods,
            moved: SignedDuration::ZERO,
            memory: Memory::default(),
        }
    }

    async fn play(&mut self, (minutes, changes, between): &Moment) {
        self.now += SignedDuration::from_mins(*minutes);
        changes.iter().for_each(|(place, value)| self.world[*place] = *value);
        match between {
            Between::Nothing => {}
            Between::Restart => self.restart().await,
            Between::Crash => {
                let thrown_away = self.decide().await;
                self.restart().await;
                assert_eq!(words(&thrown_away.notices), words(&self.decide().await.notices), "decided anew");
            }
            Between::Reload(rules) => {
                self.enabled = *rules;
                self.restart().await;
            }
            Between::Silence(rule, hours) => self.silence(rule.map(|place| RuleName::ALL[place]), *hours).await,
            Between::Expire => self.expire().await,
            Between::Move(hours) => self.moved = HOUR * *hours,
        }
        self.look().await;
    }

    /// One look, of which people hear what the memory says, and no second time.
    async fn look(&mut self) {
        let seen = self.seen();
        let expected = self.memory.look(&seen, &self.assessor);
        let decided = self.decide().await;
        let told: Vec<Told> = decided.notices.iter().map(Told::of).collect();
        assert_eq!(sorted(told), sorted(expected), "{}", self.now);
        let notices: Vec<_> = decided.notices.into_iter().map(|notice| (notice, Vec::new())).collect();
        let are_new = self.assessor.store.commit_alerts(&decided.changes, &notices).await.unwrap();
        for ((notice, _), is_new) in notices.iter().zip(are_new) {
            assert!(is_new, "{}: a second telling under the key of an earlier one: {notice:?}", self.now);
        }
        let again = self.decide().await;
        assert_eq!((words(&again.notices), again.changes), (Vec::new(), Vec::new()), "{}: looked at twice", self.now);
    }

    async fn decide(&self) -> decide::Decided {
        let mut seen = self.seen();
        let start = seen.draws[0].period.as_ref().map(|period| period.start);
        let name = &self.account.config.name;
        let facts = self.assessor.store.load_account(name, &self.account.draws, start, self.now).await.unwrap();
        let silences = self.assessor.store.silences(self.now).await.unwrap();
        let decided = self.assessor.decide(&mut seen, &facts, &silences);
        for alert in &seen.draws[0].alerts {
            let muted = alert.mute.is_some();
            let tells = decided.notices.iter().any(|notice| {
                notice.rule == alert.rule && notice.episode == alert.alert.episode && Some(notice.period_start) == start
            });
            assert!(!(muted && tells), "{}: told while it is muted: {alert:?}", self.now);
        }
        decided
    }

    async fn restart(&mut self) {
        self.assessor.store.close().await;
        let store = Store::open(&self.folder.path().join("ledger.db")).await.unwrap();
        store.open_account(&self.account.config.name, [7; 16]).await.unwrap();
        self.assessor = assessor(store, &config(self.enabled));
    }

    async fn silence(&mut self, rule: Option<RuleName>, hours: i64) {
        let matchers = rule.map_or("account=studio".to_owned(), |rule| format!("alert={rule}"));
        let (starts_at, ends_at) = (self.now, self.now + SignedDuration::from_hours(hours));
        let (created_by, comment) = ("ada".to_owned(), "we know".to_owned());
        let matchers = Matcher::parse_all(&matchers).unwrap();
        let new = NewSilence { matchers, starts_at, ends_at, created_by, token: None, comment };
        let kept = self.assessor.store.keep_silence(&new, None, self.now).await.unwrap().unwrap();
        self.memory.silences.push((kept.id, rule, ends_at));
    }

    async fn expire(&mut self) {
        let Some(last) = self.memory.silences.iter_mut().max_by_key(|(_, _, until)| *until) else { return };
        last.2 = last.2.min(self.now);
        self.assessor.store.expire_silence(last.0, "ada", self.now).await.unwrap();
    }

    /// The period at this moment; resets are 30 days apart.
    fn period(&self) -> Option<PlanPeriod> {
        let first = at("2026-10-12T00:00:00Z") + self.moved;
        let passed = self.now.duration_since(first).as_hours().div_euclid(PERIOD_HOURS);
        let start = first + SignedDuration::from_hours(passed * PERIOD_HOURS);
        let end = start + SignedDuration::from_hours(PERIOD_HOURS);
        let period = self.blank.draws[0].period.clone().unwrap();
        self.has_periods.then_some(PlanPeriod { start, end, ..period })
    }

    /// What the numbers of the world look like in an assessment.
    fn seen(&self) -> AccountAssessment {
        let [stale, chance, run_out, left, net, reruns, queue, refund, double, unexplained, unused, used] =
            self.world.map(usize::from);
        let now = self.now;
        let ago = |hours: i64| now - SignedDuration::from_hours(hours);
        let amount = |place: usize| whole([0, 10, 16, 40, 90][place]);
        let mut seen = self.blank.clone();
        seen.at = now;
        seen.rules = Arc::clone(&self.assessor.rules);
        let read_at = Some(ago([0, 0, 0, 7, 30][stale]));
        let status = |collector| CollectorStatus {
            collector,
            last_attempt_at: Some(now),
            last_success_at: read_at,
            last_duration_seconds: None,
            last_failure: None,
        };
        seen.collectors = [Collector::Balance, Collector::Charges].map(status).to_vec();
        let oldest = Some(ago([0, 1, 3, 9, 9][queue]));
        let waiting = QueueRecord { waiting: queue as u32, running: 0, limit: None, oldest_waiting_at: oldest };
        seen.queue = Some((waiting, now));
        seen.unexplained = Some(-whole([0, 6, 20, 20, 60][unexplained]));
        let draw = &mut seen.draws[0];
        draw.period = self.period();
        let probability = [Some(0.01), Some(0.5), Some(0.95), Some(0.95), None][chance];
        let run_out = Some(now + SignedDuration::from_hours([10, 60, 200, 210, 400][run_out]));
        draw.outlook = match probability {
            None => Outlook::UnknownBalance,
            Some(probability) => Outlook::Forecast(Forecast {
                at: now,
                probability: Some(probability),
                probability_half: Some(probability / 2.0),
                probability_tenth: Some(0.0),
                run_out: RunOut { p10: None, p50: run_out, p90: None },
                horizon: now + HOUR * 1000,
                expected_use: Credits::ZERO,
                unused: Some(whole([0, 150, 300, 300, 900][unused])),
                pace_per_hour: 1.0,
                confidence: Confidence::Normal,
            }),
        };
        let left = whole([900, 215, 150, 100, 40][left]);
        draw.fuel = Some(Fuel { left, limit: FuelLimit::Balance, as_of: now, fresh: stale < 3 });
        draw.recent = Some(RecentUse {
            net: whole([0, 80, 250, 500, 900][net]),
            charges: 20,
            days: 28,
            busy: whole(100),
            usual: whole(50),
            announced_factor: 1.0,
            announced_credits: Credits::ZERO,
        });
        draw.spent = whole(100);
        draw.reruns = Reruns { tasks: [0, 5, 12, 20, 30][reruns], credits: amount(reruns), most_attempts: 0 };
        for (reason, place) in [(Suspicion::MissingRefund, refund), (Suspicion::DoubleCharge, double)] {
            draw.suspects.totals[reason as usize] = (place as u64, amount(place));
        }
        let since = ago(24 * [0, 1, 40, 90, 90][used]);
        draw.daily = vec![DailyUse { day: since, net: whole(5) }];
        draw.alerts.clear();
        seen
    }
}

fn assessor(store: Store, config: &Config) -> Assessor {
    let (published, _) = watch::channel(Arc::default());
    Assessor::new(store, config, None, published, Arc::default())
}

fn config(enabled: u16) -> Config {
    let is_off = |place: &usize| enabled & (1 << place) == 0;
    let off = (0..RuleName::ALL.len()).filter(is_off).map(|place| RuleName::ALL[place]);
    let mut rules: Vec<String> = off.map(|rule| format!("{rule}: {{enabled: false}}")).collect();
    if !is_off(&(RuleName::LowBalance as usize)) {
        rules.push("low_balance: {warning: [200, 120], critical: [50]}".to_owned());
    }
    let text = format!(
        "accounts: [{{name: studio, stale_after: 6h, plan: {{credits: 1000, reset: \"@monthly\"}}}}]\n\
         teams: [{{name: art, account: studio}}]\n\
         alerts: {{quiet_hours: [{{from: \"20:00\", to: \"07:00\"}}], {}}}\n",
        rules.join(", ")
    );
    Config::parse(&text, Path::new("fuelgauge.yml")).unwrap()
}

/// Something that people hear: rule, period, why and level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told(RuleName, Timestamp, &'static str, Level);

impl Told {
    fn of(notice: &Notice) -> Told {
        let level = Level { stage: notice.stage, step: notice.step };
        Told(notice.rule, notice.period_start, notice.why.as_str(), level)
    }
}

fn sorted(mut told: Vec<Told>) -> Vec<Told> {
    told.sort();
    told
}

fn words(notices: &[Notice]) -> Vec<Told> {
    notices.iter().map(Told::of).collect()
}

/// The alerts as values that never leave memory.
#[derive(Default)]
struct Memory {
    lives: Vec<Life>,
    /// Number, of which rule or all, until when.
    silences: Vec<(i64, Option<RuleName>, Timestamp)>,
    /// What was told of each episode, from its beginning to its end.
    stories: Vec<Vec<(Why, Level)>>,
}

/// The alert of a rule in a period, and the story that it is in.
struct Life {
    rule: RuleName,
    home: Timestamp,
    alert: Alert,
    story: usize,
}

impl Memory {
    fn look(&mut self, seen: &AccountAssessment, assessor: &Assessor) -> Vec<Told> {
        let draw = &seen.draws[0];
        let bounds = draw.period.as_ref().map(|period| (period.start, period.end));
        let home = bounds.map_or(Timestamp::UNIX_EPOCH, |(start, _)| start);
        let rules = &assessor.alerts.rules;
        let (mut told, mut firing) = (Vec::new(), Vec::new());
        for rule in RuleName::ALL {
            let Some(found) = rules.evaluate(rule, seen, draw) else {
                self.lives.iter_mut().filter(|life| life.rule == rule).for_each(|life| close(&mut life.alert, seen.at));
                continue;
            };
            let observation = Observation { finding: found.finding, figure: found.figure, now: seen.at };
            let policy = rules.alert_policy(rule, bounds, assessor.alerts.repeat_interval);
            let mut moved = None;
            for place in 0..self.lives.len() {
                let life = &self.lives[place];
                if life.rule != rule || life.home == home || !is_open(&life.alert) {
                    continue;
                }
                let began = match life.alert.state {
                    AlertState::Firing { since, .. } | AlertState::Pending { since, .. } => Some(since),
                    AlertState::Inactive | AlertState::Resolved { .. } => None,
                };
                if rule.lifetime() == Lifetime::Ongoing || began.is_some_and(|since| since >= home) {
                    moved = Some((life.alert.clone(), life.story));
                    close(&mut self.lives[place].alert, seen.at);
                    continue;
                }
                let (story, was_in) = (life.story, life.home);
                let ended = end_with_period(&life.alert, seen.at, &policy);
                let mute = self.mute(rule, &ended, &firing, seen.at);
                let (after, notice) = tell(&ended, observation, &policy, mute);
                self.lives[place].alert = after;
                self.note(story, rule, was_in, notice, &mut told);
            }
            let place = self.lives.iter().position(|life| life.rule == rule && life.home == home);
            let place = place.unwrap_or_else(|| {
                self.lives.push(Life { rule, home, alert: Alert::default(), story: 0 });
                self.lives.len() - 1
            });
            if let Some((alert, story)) = moved {
                (self.lives[place].alert, self.lives[place].story) = (alert, story);
            }
            let before = self.lives[place].alert.clone();
            let stepped = step(&before, observation, &policy);
            if stepped.firing().is_some() && before.firing().is_none() {
                self.lives[place].story = self.stories.len();
                self.stories.push(Vec::new());
            }
            let mute = self.mute(rule, &stepped, &firing, seen.at);
            let (after, notice) = tell(&stepped, observation, &policy, mute);
            firing.extend(after.firing().map(|_| rule));
            self.lives[place].alert = after;
            self.note(self.lives[place].story, rule, home, notice, &mut told);
        }
        told
    }

    fn note(
        &mut self,
        story: usize,
        rule: RuleName,
        home: Timestamp,
        notice: Option<(Level, Why)>,
        told: &mut Vec<Told>,
    ) {
        if let Some((level, why)) = notice {
            self.stories[story].push((why, level));
            told.push(Told(rule, home, why.as_str(), level));
        }
    }

    fn mute(&self, rule: RuleName, alert: &Alert, firing: &[RuleName], now: Timestamp) -> Option<Mute> {
        let (AlertState::Firing { level, .. } | AlertState::Resolved { level, .. }) = alert.state else { return None };
        let is_silent =
            |(_, of, until): &&(i64, Option<RuleName>, Timestamp)| of.is_none_or(|of| of == rule) && now < *until;
        let hour = now.to_zoned(jiff::tz::TimeZone::UTC).hour();
        let is_night = !(7..20).contains(&hour) && level.stage < Stage::Critical;
        match self.silences.iter().find(is_silent) {
            Some((id, ..)) => Some(Mute::Silenced(*id)),
            None => match rule.muted_by().iter().find(|by| firing.contains(by)) {
                Some(by) => Some(Mute::Inhibited(*by)),
                None => is_night.then_some(Mute::QuietHours),
            },
        }
    }

    /// Each story that people heard begins, gets worse, and ends at most once.
    fn check_stories(&self) {
        for story in &self.stories {
            let mut level = None;
            for (place, (why, told)) in story.iter().enumerate() {
                let is_last = place + 1 == story.len();
                let makes_sense = match why {
                    Why::Opened => level.is_none(),
                    Why::Worsened => level.is_some_and(|level| *told > level),
                    Why::Repeated => level == Some(*told),
                    Why::Resolved | Why::PlanReset => level.is_some() && is_last,
                };
                assert!(makes_sense, "{why:?} in {story:?}");
                level = Some(*told);
            }
        }
    }
}

/// Ends an alert without a word.
fn close(alert: &mut Alert, now: Timestamp) {
    alert.state = match alert.state {
        AlertState::Firing { level, since, .. } => AlertState::Resolved { level, since, at: now, untold: None },
        AlertState::Resolved { level, since, at, .. } => AlertState::Resolved { level, since, at, untold: None },
        AlertState::Pending { .. } | AlertState::Inactive => AlertState::Inactive,
    };
}

/// Whether something of an alert is still to come.
fn is_open(alert: &Alert) -> bool {
    match alert.state {
        AlertState::Firing { .. } | AlertState::Pending { .. } => true,
        AlertState::Resolved { untold, .. } => untold.is_some(),
        AlertState::Inactive => false,
    }
}
