//! One account on the simulated platform: its credits, its tasks, and what will happen to them next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::behaviour::{Behaviour, Launch};
use super::catalog::TaskType;
use super::task::{Fate, Prompt, Task, TaskId};
use crate::domain::{AnchorDay, Credits, TaskState};

/// What an account begins with.
#[derive(Clone)]
pub struct AccountSetup {
    /// The account's name; unique in a world.
    pub name: String,
    /// The keys that open it, at least one. The first launches what the behaviour launches.
    pub keys: Vec<ApiKey>,
    /// The plan, which decides on the usage records and the length of the queue.
    pub plan: PlanTier,
    /// Credits that each period begins with, and the account too.
    pub monthly_grant: Credits,
    /// Bought credits that the account begins with.
    pub permanent: Credits,
    /// When the monthly credits lapse and come anew; `None` for never.
    pub reset: Option<AnchorDay>,
    /// What its people do by themselves; `None` for nothing.
    pub behaviour: Option<Behaviour>,
    /// Whether the balance names its parts and its next reset, which is not confirmed for the real platform.
    pub shows_balance_parts: bool,
    /// How usage records write times, which is not published.
    pub usage_times: TimeEncoding,
}

impl AccountSetup {
    /// An account of one key on the enterprise plan, with so many monthly credits and nothing else.
    pub fn new(name: &str, secret: &str, monthly_grant: Credits) -> AccountSetup {
        AccountSetup {
            name: name.to_owned(),
            keys: vec![ApiKey { name: name.to_owned(), secret: secret.to_owned() }],
            plan: PlanTier::Enterprise,
            monthly_grant,
            permanent: Credits::ZERO,
            reset: None,
            behaviour: None,
            shows_balance_parts: false,
            usage_times: TimeEncoding::Rfc3339,
        }
    }
}

/// A key of an account. It opens nothing but the simulation, and yet it has no `Debug`.
#[derive(Clone)]
pub struct ApiKey {
    /// The name that usage records give it.
    pub name: String,
    /// What the client sends.
    pub secret: String,
}

/// What was bought from the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanTier {
    /// Up to 10 queue tasks, no usage records.
    Pro,
    /// Up to 20 queue tasks.
    Studio,
    /// Up to 50 queue tasks.
    Enterprise,
}

impl PlanTier {
    /// How many tasks may wait and run at once.
    pub const fn queue_limit(self) -> usize {
        match self {
            PlanTier::Pro => 10,
            PlanTier::Studio => 20,
            PlanTier::Enterprise => 50,
        }
    }

    /// Whether the usage records may be read.
    pub const fn has_usage_records(self) -> bool {
        !matches!(self, PlanTier::Pro)
    }
}

/// How a moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeEncoding {
    /// `2026-11-20T10:01:25Z`.
    Rfc3339,
    /// Milliseconds since the Unix epoch.
    EpochMilliseconds,
}

/// Every credit that ever came or went. `granted + bought - lapsed - charged + refunded + adjusted` is the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Given at the beginning of periods.
    pub granted: Credits,
    /// Bought, the first permanent credits included.
    pub bought: Credits,
    /// Monthly credits that were left at resets.
    pub lapsed: Credits,
    /// Taken at launches.
    pub charged: Credits,
    /// Given back.
    pub refunded: Credits,
    /// Changed by hand, of either sign.
    pub adjusted: Credits,
}

/// An account and its future.
#[derive(Clone)]
pub struct Account {
    pub(super) setup: AccountSetup,
    pub(super) number: usize,
    pub(super) monthly: Credits,
    pub(super) permanent: Credits,
    pub(super) totals: Totals,
    pub(super) tasks: Vec<Task>,
    pub(super) refused_launches: u64,
    pub(super) next_reset: Option<Timestamp>,
    pub(super) now: Timestamp,
    waiting: VecDeque<usize>,
    running: usize,
    agenda: BinaryHeap<Reverse<Appointment>>,
    appointments_made: u64,
}

/// How many tasks of one account the platform works on at once. The others wait.
const WORKERS: usize = 2;

/// Something that will happen. Ordered by time, then by when it was decided, so that every run is the same run.
#[derive(Clone)]
struct Appointment {
    at: Timestamp,
    sequence: u64,
    event: Event,
}

#[derive(Clone, Copy)]
enum Event {
    DayBegins(Date),
    Launch(Launch),
    Finish(usize),
    Cancel(usize),
    Reset,
    TopUp(Credits),
}

impl Account {
    pub(super) fn new(number: usize, setup: AccountSetup, now: Timestamp) -> Account {
        let mut account = Account {
            number,
            monthly: setup.monthly_grant,
            permanent: setup.permanent,
            totals: Totals { granted: setup.monthly_grant, bought: setup.permanent, ..Totals::default() },
            tasks: Vec::new(),
            refused_launches: 0,
            next_reset: None,
            now,
            waiting: VecDeque::new(),
            running: 0,
            agenda: BinaryHeap::new(),
            appointments_made: 0,
            setup,
        };
        account.await_next_reset(now);
        if let Some(behaviour) = &account.setup.behaviour {
            let today = behaviour.date_of(now);
            account.appoint(now, Event::DayBegins(today));
        }
        account
    }

    /// Lets happen what happens up to `now`. A `now` in the past changes nothing.
    pub(super) fn advance_to(&mut self, now: Timestamp) {
        while self.agenda.peek().is_some_and(|Reverse(next)| next.at <= now) {
            if let Some(Reverse(next)) = self.agenda.pop() {
                self.now = self.now.max(next.at);
                self.happen(next.at, next.event);
            }
        }
        self.now = self.now.max(now);
    }

    pub(super) fn plan_top_up(&mut self, at: Timestamp, credits: Credits) {
        self.appoint(at, Event::TopUp(credits));
    }

    pub(super) fn forget_planned_top_ups(&mut self) {
        self.agenda.retain(|Reverse(appointment)| !matches!(appointment.event, Event::TopUp(_)));
    }

    pub(super) fn top_up(&mut self, credits: Credits) {
        self.permanent += credits;
        self.totals.bought += credits;
    }

    pub(super) fn balance(&self) -> Credits {
        self.monthly + self.permanent
    }

    /// Takes the credits, monthly ones first, and records the task. `None` if the balance is too low.
    pub(super) fn submit(&mut self, at: Timestamp, request: Submission) -> Option<usize> {
        if self.balance() < request.credits {
            self.refused_launches += 1;
            return None;
        }
        let charged_monthly = request.credits.min(self.monthly);
        self.monthly -= charged_monthly;
        self.permanent -= request.credits - charged_monthly;
        self.totals.charged += request.credits;
        let number = self.tasks.len();
        self.tasks.push(Task {
            id: TaskId::new(self.number, number, at),
            kind: request.kind,
            key: request.key,
            state: TaskState::Queued,
            charged: request.credits,
            charged_monthly,
            is_refunded: false,
            prompt: request.prompt,
            created_at: at,
            started_at: None,
            finished_at: None,
            work_seconds: request.work_seconds,
            fate: request.fate,
        });
        Some(number)
    }

    /// Ends a task. A failure, and a withdrawal from the queue, give the credits back to where they came from.
    pub(super) fn end(&mut self, number: usize, at: Timestamp, state: TaskState) {
        let task = &mut self.tasks[number];
        let gives_back =
            state == TaskState::Failed || (state == TaskState::Cancelled && task.state == TaskState::Queued);
        task.state = state;
        task.finished_at = Some(at);
        if gives_back && !task.is_refunded {
            task.is_refunded = true;
            self.monthly += task.charged_monthly;
            self.permanent += task.charged - task.charged_monthly;
            self.totals.refunded += task.charged;
        }
    }

    /// How many tasks were launched before this one and still wait.
    pub(super) fn waiting_before(&self, task: &Task) -> u32 {
        // Only the last few tasks can be waiting; a queue is never longer than its limit.
        self.tasks
            .iter()
            .rev()
            .take(4 * PlanTier::Enterprise.queue_limit())
            .filter(|other| {
                other.state == TaskState::Queued && (other.created_at, other.id) < (task.created_at, task.id)
            })
            .count() as u32
    }

    fn appoint(&mut self, at: Timestamp, event: Event) {
        self.appointments_made += 1;
        self.agenda.push(Reverse(Appointment { at, sequence: self.appointments_made, event }));
    }

    fn await_next_reset(&mut self, after: Timestamp) {
        self.next_reset = self.setup.reset.as_ref().and_then(|anchor| next_reset(anchor, after));
        if let Some(at) = self.next_reset {
            self.appoint(at, Event::Reset);
        }
    }

    fn happen(&mut self, at: Timestamp, event: Event) {
        match event {
            Event::DayBegins(date) => self.plan_day(date, at),
            Event::Launch(launch) => self.launch(at, launch),
            Event::Finish(number) => self.finish(number, at),
            Event::Cancel(number) => self.cancel(number, at),
            Event::Reset => self.reset(at),
            Event::TopUp(credits) => self.top_up(credits),
        }
    }

    fn plan_day(&mut self, date: Date, at: Timestamp) {
        let Some(behaviour) = self.setup.behaviour.take() else { return };
        for launch in behaviour.launches_on(date) {
            // A world that begins in the middle of a day leaves out what would have been earlier.
            if launch.at >= at {
                self.appoint(launch.at, Event::Launch(launch));
            }
        }
        if let Some((tomorrow, begins_at)) = behaviour.day_after(date) {
            self.appoint(begins_at, Event::DayBegins(tomorrow));
        }
        self.setup.behaviour = Some(behaviour);
    }

    fn launch(&mut self, at: Timestamp, launch: Launch) {
        if self.waiting.len() + self.running >= self.setup.plan.queue_limit() {
            return self.appoint(at + SignedDuration::from_mins(1), Event::Launch(launch));
        }
        let prompt = if launch.kind.shows_prompt { Prompt::Asset(launch.asset) } else { Prompt::None };
        let credits = launch.kind.price;
        let Launch { kind, work_seconds, fate, .. } = launch;
        let Some(number) = self.submit(at, Submission { kind, credits, key: 0, prompt, work_seconds, fate }) else {
            return;
        };
        if let Fate::Cancel { after_seconds } = fate {
            self.appoint(at + SignedDuration::from_secs(i64::from(after_seconds)), Event::Cancel(number));
        }
        self.waiting.push_back(number);
        self.start_waiting(at);
    }

    fn start_waiting(&mut self, at: Timestamp) {
        while self.running < WORKERS {
            let Some(number) = self.waiting.pop_front() else { return };
            let task = &mut self.tasks[number];
            task.state = TaskState::Running;
            task.started_at = Some(at);
            self.running += 1;
            let done_at = at + SignedDuration::from_secs(i64::from(task.work_seconds));
            self.appoint(done_at, Event::Finish(number));
        }
    }

    fn finish(&mut self, number: usize, at: Timestamp) {
        let task = &self.tasks[number];
        if task.state != TaskState::Running {
            return;
        }
        let state = if task.fate == Fate::Fail { TaskState::Failed } else { TaskState::Succeeded };
        self.running -= 1;
        self.end(number, at, state);
        self.start_waiting(at);
    }

    fn cancel(&mut self, number: usize, at: Timestamp) {
        match self.tasks[number].state {
            TaskState::Queued => self.waiting.retain(|waiting| *waiting != number),
            TaskState::Running => self.running -= 1,
            _ => return,
        }
        self.end(number, at, TaskState::Cancelled);
        self.start_waiting(at);
    }

    fn reset(&mut self, at: Timestamp) {
        self.totals.lapsed += self.monthly;
        self.totals.granted += self.setup.monthly_grant;
        self.monthly = self.setup.monthly_grant;
        self.await_next_reset(at);
    }
}

/// A request for a task.
pub(super) struct Submission {
    pub kind: &'static TaskType,
    pub credits: Credits,
    pub key: u8,
    pub prompt: Prompt,
    pub work_seconds: u32,
    pub fate: Fate,
}

/// The first reset strictly after `after`. The simulation counts for itself, so that it does not share a mistake with
/// the product it tests.
pub(super) fn next_reset(anchor: &AnchorDay, after: Timestamp) -> Option<Timestamp> {
    let mut month = after.to_zoned(anchor.zone.clone()).date().first_of_month();
    for _ in 0..3 {
        let date = month.with().day(anchor.day.clamp(1, month.days_in_month())).build().ok()?;
        let at = date.to_datetime(anchor.time).to_zoned(anchor.zone.clone()).ok()?.timestamp();
        if at > after {
            return Some(at);
        }
        month = month.last_of_month().tomorrow().ok()?;
    }
    None
}

impl PartialEq for Appointment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Appointment {}

impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
