//! The pages as values: every text that a template shows, ready to be escaped.

use jiff::Timestamp;
use serde::Serialize;

use super::chart::{self, Chart};
use super::gauge::Gauge;
use super::outbox::{GivenUpRow, OutboxCard, given_up};
use super::silencing::Silencing;
use super::verdict::Tone;
use super::words;
use crate::domain::{
    AccountAssessment, AlertLabels, AlertState, Collector, CollectorStatus, Credits, DrawAssessment, PlanPeriod,
    QueueRecord, RetryRow, RuleName, Snapshot, Stage, StandingAnnouncement, SuspectCharge, TotalsRow,
};

/// The front page.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// How many teams there are of each tone, the most urgent first.
    counts: Vec<ToneCount>,
    /// Every draw, the most urgent first.
    gauges: Vec<Gauge>,
    /// How reading each account goes.
    accounts: Vec<Health>,
    /// What waits to be told.
    outbox: OutboxCard,
}

#[derive(Debug, Serialize)]
struct ToneCount {
    tone: Tone,
    teams: usize,
    words: &'static str,
}

/// One team's page: each of its draws.
#[derive(Debug, Serialize)]
pub struct TeamPage {
    team: String,
    team_path: String,
    /// Whether somebody may announce for the team by the page of its announcements.
    can_announce: bool,
    draws: Vec<DrawPage>,
}

/// The list of alerts.
#[derive(Debug, Serialize)]
pub struct AlertsPage {
    /// The worst first.
    firing: Vec<FiringRow>,
    pending: Vec<AlertRow>,
    /// Over in this period.
    resolved: Vec<AlertRow>,
    /// How many have not fired in this period.
    quiet: String,
    /// Messages about alerts that somebody did not get.
    given_up: Vec<GivenUpRow>,
}

/// An alert that fires, and whether anybody is told of it.
#[derive(Debug, Serialize)]
struct FiringRow {
    #[serde(flatten)]
    alert: AlertRow,
    silencing: Silencing,
}

#[derive(Debug, Serialize)]
struct DrawPage {
    gauge: Gauge,
    chart: Option<Chart>,
    /// What drives the forecast, sentence by sentence; empty where nothing is said of the future.
    explanation: Vec<String>,
    charges: Vec<ChargeRow>,
    retries: Vec<RetryLine>,
    unrefunded: Option<String>,
    suspects: Vec<SuspectLine>,
    announced: Vec<AnnouncedLine>,
    /// Tasks that wait to be charged, in a sentence.
    queued: Option<String>,
    /// How many more suspect charges there are than are listed.
    more_suspects: Option<String>,
    queue: Option<Queue>,
    queue_is_shared: bool,
}

#[derive(Debug, Serialize)]
struct ChargeRow {
    task_type: String,
    quality: String,
    finished: String,
    failed: String,
    charged: String,
    refunded: String,
    net: String,
}

#[derive(Debug, Serialize)]
struct RetryLine {
    task_type: String,
    kind: &'static str,
    tasks: String,
    credits: String,
}

#[derive(Debug, Serialize)]
struct SuspectLine {
    what: &'static str,
    task_id: String,
    task_type: String,
    launched: String,
    credits: String,
}

/// One announcement of the present or the future.
#[derive(Debug, Serialize)]
pub(super) struct AnnouncedLine {
    /// Its number in the ledger; `None` if the configuration says it.
    pub(super) id: Option<i64>,
    what: String,
    state: &'static str,
    /// What it does to the expected use; empty while there is no forecast.
    effect: String,
    by: String,
    note: String,
}

#[derive(Debug, Serialize)]
struct Queue {
    waiting: String,
    running: String,
    limit: Option<String>,
    oldest: Option<String>,
    read: String,
    fresh: bool,
}

/// One alert.
#[derive(Clone, Debug, Serialize)]
pub struct AlertRow {
    team: String,
    team_path: String,
    account: String,
    what: &'static str,
    /// The rule's name, for links.
    rule: &'static str,
    /// `pending`, `firing`, `resolved` or `quiet`.
    pub state: &'static str,
    /// The severity's word; empty while quiet.
    pub stage: &'static str,
    /// When it began.
    pub since: Option<String>,
    /// When it ended.
    pub until: Option<String>,
    told: Option<String>,
    /// Why nobody hears of it at the moment.
    mute: Option<String>,
}

#[derive(Debug, Serialize)]
struct Health {
    account: String,
    platform: String,
    plan: String,
    healthy: bool,
    collectors: Vec<CollectorLine>,
    queue: Option<Queue>,
    unexplained: Option<String>,
    unassigned: Option<Unassigned>,
}

/// Charges that match no team.
#[derive(Debug, Serialize)]
struct Unassigned {
    /// Net, since records began.
    net: String,
    /// Net, in the running period, if there is one.
    spent: Option<String>,
    /// The largest kind of task among them.
    most: String,
}

#[derive(Debug, Serialize)]
struct CollectorLine {
    name: &'static str,
    fresh: bool,
    success: String,
    attempt: String,
    failure: Option<(String, String)>,
}

impl Overview {
    /// Everything known at `now`.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Overview {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let mut gauges: Vec<Gauge> = draws.map(|(account, draw)| Gauge::of(account, draw, now)).collect();
        // Stable: within a tone the order of the configuration stays.
        gauges.sort_by_key(|gauge| gauge.verdict.tone);
        let mut counts: Vec<ToneCount> = Vec::new();
        for gauge in &gauges {
            let tone = gauge.verdict.tone;
            match counts.last_mut().filter(|count| count.tone == tone) {
                Some(count) => count.teams += 1,
                None => counts.push(ToneCount { tone, teams: 1, words: tone.in_words() }),
            }
        }
        let accounts = snapshot.accounts.iter().map(|account| Health::of(account, now)).collect();
        Overview { counts, gauges, accounts, outbox: OutboxCard::of(snapshot, now) }
    }
}

impl TeamPage {
    /// Every draw of a team; `None` if no team has that name.
    pub fn of(snapshot: &Snapshot, team: &str, can_announce: bool, now: Timestamp) -> Option<TeamPage> {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let draws = draws.filter(|(_, draw)| draw.key.team.as_str() == team);
        let draws: Vec<DrawPage> = draws.map(|(account, draw)| DrawPage::of(account, draw, now)).collect();
        let team_path = words::path_segment(team);
        (!draws.is_empty()).then(|| TeamPage { team: team.to_string(), team_path, can_announce, draws })
    }
}

impl AlertsPage {
    /// Every alert of the current periods, those that fire apart.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> AlertsPage {
        let draws = snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (account, draw)));
        let mut page = AlertsPage {
            firing: Vec::new(),
            pending: Vec::new(),
            resolved: Vec::new(),
            quiet: String::new(),
            given_up: given_up(snapshot, now),
        };
        let mut quiet = 0;
        for (account, draw) in draws {
            for row in alerts(account, draw, now) {
                match row.state {
                    "firing" => {
                        let labels = AlertLabels {
                            alert: row.rule,
                            account: draw.key.account.as_str(),
                            team: draw.key.team.as_str(),
                            severity: row.stage,
                        };
                        let silencing = Silencing::of(&labels, &snapshot.silences, &account.zone, now);
                        page.firing.push(FiringRow { silencing, alert: row });
                    }
                    "pending" => page.pending.push(row),
                    "resolved" => page.resolved.push(row),
                    _ => quiet += 1,
                }
            }
        }
        // Stable: within a stage the order of the configuration stays.
        page.firing.sort_by_key(|row| std::cmp::Reverse(Stage::parse(row.alert.stage)));
        page.quiet = words::counted(quiet, "alert is", "alerts are");
        page
    }
}

impl DrawPage {
    fn of(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> DrawPage {
        let mut totals: Vec<&TotalsRow> = draw.totals.iter().collect();
        totals.sort_by_key(|row| std::cmp::Reverse(row.charged));
        let mut retries: Vec<&RetryRow> = draw.retries.iter().filter(|row| row.tasks > 0).collect();
        retries.sort_by_key(|row| std::cmp::Reverse(row.credits));
        DrawPage {
            gauge: Gauge::of(account, draw, now),
            chart: chart::burn_down(account, draw, now),
            explanation: draw.explained(account),
            charges: totals.into_iter().map(|row| ChargeRow::of(account, row)).collect(),
            retries: retries.into_iter().map(|row| RetryLine::of(account, row)).collect(),
            unrefunded: draw.unrefunded.is_positive().then(|| words::credits(draw.unrefunded)),
            suspects: draw
                .suspects
                .newest
                .iter()
                .take(LISTED_SUSPECTS)
                .map(|s| SuspectLine::of(s, account, now))
                .collect(),
            announced: draw.announced.iter().map(|announced| AnnouncedLine::of(account, draw, announced)).collect(),
            queued: words::queued(&draw.queued),
            more_suspects: (draw.suspects.count() > LISTED_SUSPECTS as u64)
                .then(|| words::count(draw.suspects.count() - LISTED_SUSPECTS as u64)),
            queue: queue(account, now),
            queue_is_shared: account.draws.len() > 1,
        }
    }
}

impl ChargeRow {
    fn of(account: &AccountAssessment, row: &TotalsRow) -> ChargeRow {
        let told =
            |credits| if account.told(row.charged).is_some() { words::credits(credits) } else { NOT_TOLD.into() };
        ChargeRow {
            task_type: row.task_type.clone(),
            quality: row.quality.clone(),
            finished: words::count(row.finished),
            failed: words::count(row.failed),
            charged: told(row.charged),
            refunded: told(row.refunded),
            net: told(row.charged - row.refunded),
        }
    }
}

/// Stands for an amount of tasks whose price the platform does not tell.
const NOT_TOLD: &str = "not told";

/// So many are listed on the page; the API has more of them.
const LISTED_SUSPECTS: usize = 10;

impl SuspectLine {
    fn of(suspect: &SuspectCharge, account: &AccountAssessment, now: Timestamp) -> SuspectLine {
        SuspectLine {
            what: suspect.suspicion.in_words(),
            task_id: suspect.task_id.clone(),
            task_type: suspect.task_type.clone(),
            launched: words::moment(suspect.created_at, &account.zone, now),
            credits: words::credits(suspect.credits),
        }
    }
}

impl AnnouncedLine {
    /// In the words of the page.
    pub(super) fn of(
        account: &AccountAssessment,
        draw: &DrawAssessment,
        announced: &StandingAnnouncement,
    ) -> AnnouncedLine {
        let announcement = &announced.announcement;
        let until = draw.period.as_ref().map_or("the horizon", PlanPeriod::end_in_words);
        AnnouncedLine {
            id: announcement.id,
            what: announcement.foreseen.in_words(&account.zone),
            state: announcement.standing(account.at).as_str(),
            effect: announced.effect.map(|effect| words::effect(effect, until)).unwrap_or_default(),
            by: announcement.by.clone(),
            note: announcement.note.clone(),
        }
    }
}

impl RetryLine {
    fn of(account: &AccountAssessment, row: &RetryRow) -> RetryLine {
        RetryLine {
            task_type: row.task_type.clone(),
            kind: row.kind.as_str(),
            tasks: words::count(row.tasks),
            credits: account.told(row.credits).map_or_else(|| NOT_TOLD.into(), words::credits),
        }
    }
}

fn queue(account: &AccountAssessment, now: Timestamp) -> Option<Queue> {
    let (QueueRecord { waiting, running, limit, oldest_waiting_at }, read_at) = account.queue.as_ref()?;
    Some(Queue {
        waiting: words::count(u64::from(*waiting)),
        running: words::count(u64::from(*running)),
        limit: limit.map(|limit| words::count(u64::from(limit))),
        oldest: oldest_waiting_at.map(|at| words::span(now.as_second() - at.as_second())),
        read: words::ago(*read_at, now),
        fresh: account.is_current(Collector::Queue, *read_at),
    })
}

/// The alerts of a draw in the current period: one for each rule that is asked.
pub fn alerts(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Vec<AlertRow> {
    let moment = |at: Timestamp| words::moment(at, &account.zone, now);
    let row = |rule: &RuleName| {
        let known = draw.alerts.iter().find(|known| known.rule == *rule);
        let (team, account) = (draw.key.team.to_string(), account.account.to_string());
        let quiet = AlertRow {
            team_path: words::path_segment(&team),
            team,
            account,
            what: rule.in_words(),
            rule: rule.as_str(),
            state: "quiet",
            stage: "",
            since: None,
            until: None,
            told: None,
            mute: known.and_then(|known| known.mute).map(words::mute),
        };
        match known.map(|known| &known.alert.state) {
            None | Some(AlertState::Inactive) => quiet,
            Some(AlertState::Pending { level, since }) => {
                AlertRow { state: "pending", stage: level.stage.as_str(), since: Some(moment(*since)), ..quiet }
            }
            Some(AlertState::Firing { level, since, told, .. }) => AlertRow {
                state: "firing",
                stage: level.stage.as_str(),
                since: Some(moment(*since)),
                told: told.map(|told| moment(told.at)),
                ..quiet
            },
            Some(AlertState::Resolved { level, since, at, .. }) => AlertRow {
                state: "resolved",
                stage: level.stage.as_str(),
                since: Some(moment(*since)),
                until: Some(moment(*at)),
                ..quiet
            },
        }
    };
    account.rules.iter().map(row).collect()
}

impl Health {
    fn of(account: &AccountAssessment, now: Timestamp) -> Health {
        let line = |status: &CollectorStatus| CollectorLine {
            name: status.collector.as_str(),
            fresh: account.is_fresh(status.collector),
            success: status.last_success_at.map_or_else(|| "never".to_string(), |at| words::ago(at, now)),
            attempt: status.last_attempt_at.map_or_else(|| "never".to_string(), |at| words::ago(at, now)),
            failure: status.last_failure.clone(),
        };
        let collectors: Vec<CollectorLine> = account.collectors.iter().map(line).collect();
        Health {
            account: account.account.to_string(),
            platform: account.platform.clone(),
            plan: account.plan_name.clone().unwrap_or_default(),
            healthy: collectors.iter().all(|line| line.fresh && line.failure.is_none()),
            collectors,
            queue: queue(account, now),
            unassigned: Unassigned::of(account),
            unexplained: account.unexplained.filter(|amount| *amount != Credits::ZERO).map(words::credits),
        }
    }
}

impl Unassigned {
    fn of(account: &AccountAssessment) -> Option<Unassigned> {
        let unassigned = &account.unassigned;
        let most = unassigned.totals.iter().max_by_key(|row| row.charged - row.refunded)?;
        let has_period = account.draws.iter().any(|draw| draw.period.is_some());
        Some(Unassigned {
            net: words::credits(unassigned.net()),
            spent: has_period.then(|| words::credits(unassigned.spent)),
            most: most.task_type.clone(),
        })
    }
}

impl Overview {
    /// How many teams need a look, for the page's title.
    pub fn urgent(&self) -> usize {
        self.gauges.iter().filter(|gauge| gauge.verdict.tone <= Tone::Warn).count()
    }
}
