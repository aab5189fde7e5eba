//! The three teams of the demo, and the months they have behind them.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::account::{AccountSetup, next_reset};
use super::behaviour::{Behaviour, Habits, Pace, is_working_day};
use super::world::{World, WorldError};
use crate::domain::{AnchorDay, Credits};

/// A team of the demo; it has an account of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoTeam {
    /// The name of the team and of its account.
    pub name: &'static str,
    /// The key of its account, which opens nothing but the simulation.
    pub api_key: &'static str,
}

/// Works steadily; about a quarter of its credits is left at the reset.
pub const STEADY: DemoTeam = DemoTeam { name: "environment-art", api_key: "msy_demo_environment_art_0001" };
/// Works faster from today on; would run dry some five days before the reset. Somebody buys credits before that.
pub const HOT: DemoTeam = DemoTeam { name: "character-art", api_key: "msy_demo_character_art_0002" };
/// Launches the same prompts again and again, and still has enough.
pub const WASTEFUL: DemoTeam = DemoTeam { name: "props", api_key: "msy_demo_props_0003" };

/// The teams of the demo, in the order of their accounts.
pub const DEMO_TEAMS: [DemoTeam; 3] = [STEADY, HOT, WASTEFUL];

/// Where the teams of the demo live.
pub const DEMO_ZONE: &str = "Europe/Berlin";

/// How far into the running period the demo begins.
const ELAPSED: SignedDuration = SignedDuration::from_hours(24 * 27 / 2);
/// Whole periods before the running one that the teams have behind them.
const PERIODS_OF_HISTORY: usize = 2;
/// How long before the reset the hot team runs dry if nobody buys credits.
const DRY_BEFORE_RESET: SignedDuration = SignedDuration::from_hours(24 * 5 - 6);
/// What the hot team has left at the beginning, as a multiple of what its old pace would still use: a coin toss.
const HOT_FUEL: f64 = 0.92;
/// What the hot team can still spend after its top-up, as a multiple of what its new pace will still use.
const HOT_FUEL_AFTER_TOP_UP: f64 = 1.6;
/// The top-up comes in the morning of the working day of that number after the beginning.
const TOP_UP_WORKING_DAY: usize = 4;
/// The credits of a whole period as a multiple of what the two quiet teams use in it.
const QUIET_FUEL: f64 = 1.33;

impl World {
    /// The platform of the demo at `now`: three teams, two whole plan periods of history, and the running period to a
    /// little less than its half. The same seed and `now` give the same world.
    ///
    /// The grants are fitted to what the teams are going to use, so that every seed tells the same story: see
    /// [`STEADY`], [`HOT`] and [`WASTEFUL`].
    pub fn demo(seed: u64, now: Timestamp) -> World {
        // Only names and keys that come twice can be refused, and these are constants that a test builds from.
        DemoBuilder::new(seed, now).and_then(DemoBuilder::build).expect("the demo's own teams fit together")
    }
}

/// A good moment to begin the demo: the Monday of that week, nine in the morning where the teams live. The hot
/// team's alert then comes within some three days and its credits at the end of the same week.
pub fn demo_start(today: Timestamp) -> Timestamp {
    let local = today.to_zoned(demo_zone()).date();
    // Counted from tomorrow, so that a Monday is its own.
    let monday = local.tomorrow().and_then(|tomorrow| tomorrow.nth_weekday(-1, Weekday::Monday));
    let at_nine = monday.and_then(|monday| monday.at(9, 0, 0, 0).to_zoned(demo_zone()));
    at_nine.map_or(today, |zoned| zoned.timestamp())
}

struct DemoBuilder {
    now: Timestamp,
    zone: TimeZone,
    anchor: AnchorDay,
    seed: u64,
    began: Timestamp,
    period_start: Timestamp,
    reset: Timestamp,
}

impl DemoBuilder {
    fn new(seed: u64, now: Timestamp) -> Result<DemoBuilder, WorldError> {
        let zone = demo_zone();
        let first_day = (now - ELAPSED).to_zoned(zone.clone()).date();
        let anchor = AnchorDay { day: first_day.day(), time: jiff::civil::Time::midnight(), zone: zone.clone() };
        let reset = next_reset(&anchor, now).unwrap_or(now);
        let period_start = last_reset_before(&anchor, reset);
        let began = (0..PERIODS_OF_HISTORY).fold(period_start, |at, _| last_reset_before(&anchor, at));
        Ok(DemoBuilder { now, zone, anchor, seed, began, period_start, reset })
    }

    fn build(self) -> Result<World, WorldError> {
        let mut world = World::new();

        let steady = self.behaviour(1, steady_habits());
        let steady_grant = self.quiet_grant(&steady);
        world.add_account(self.setup(STEADY, steady, steady_grant), self.began)?;

        let (hot, hot_grant) = self.hot_team();
        let top_up_at = self.top_up_at(&hot);
        let left_then = hot_grant - hot.net_use(self.period_start, top_up_at);
        let needed_then = hot.net_use(top_up_at, self.reset).as_f64() * HOT_FUEL_AFTER_TOP_UP;
        let pack = round_up(needed_then - left_then.as_f64(), 500);
        world.add_account(self.setup(HOT, hot, hot_grant), self.began)?;
        world.plan_top_up(HOT.name, top_up_at, pack)?;

        let wasteful = self.behaviour(3, wasteful_habits());
        let wasteful_grant = self.quiet_grant(&wasteful);
        world.add_account(self.setup(WASTEFUL, wasteful, wasteful_grant), self.began)?;

        world.advance_to(self.now);
        Ok(world)
    }

    /// The hot team: its pace from now on is such that what is left lasts until some days before the reset.
    fn hot_team(&self) -> (Behaviour, Credits) {
        let mut hot = self.behaviour(2, hot_habits());
        let hurries_from = hot.date_of(self.now + SignedDuration::from_hours(12));
        let history: Vec<Timestamp> = self.past_periods();

        // Earlier periods were calmer, and calm enough for the grant that the running one leads to.
        let grant = self.hot_grant(&hot).as_f64();
        let mut calm: Vec<Pace> = Vec::new();
        for (from, until) in history.iter().zip(&history[1..]) {
            let factor = 0.95 * grant / hot.net_use(*from, *until).as_f64();
            calm.push(Pace { from: hot.date_of(*from), factor: factor.min(0.92) });
        }
        calm.push(Pace { from: hot.date_of(self.period_start), factor: 1.0 });
        hot.paces = calm.clone();
        let grant = self.hot_grant(&hot);

        // The least haste that uses up the grant in time.
        let hurries_at = hurries_from.to_zoned(self.zone.clone()).map_or(self.now, |zoned| zoned.timestamp());
        let left = grant - hot.net_use(self.period_start, hurries_at);
        for step in 0..=120 {
            hot.paces = calm.clone();
            hot.paces.push(Pace { from: hurries_from, factor: 0.7 + 0.02 * f64::from(step) });
            hot.paces.push(Pace { from: hot.date_of(self.reset), factor: 1.0 });
            if hot.net_use(hurries_at, self.reset - DRY_BEFORE_RESET) >= left {
                break;
            }
        }
        (hot, grant)
    }

    /// Enough for the running period at the old pace, or not quite.
    fn hot_grant(&self, hot: &Behaviour) -> Credits {
        let four_weeks_ago = self.now - SignedDuration::from_hours(24 * 28);
        let recent = hot.net_use(four_weeks_ago, self.now).as_f64() / weight_between(hot, four_weeks_ago, self.now);
        let left = HOT_FUEL * recent * weight_between(hot, self.now, self.reset);
        round_up(hot.net_use(self.period_start, self.now).as_f64() + left, 100)
    }

    /// The beginnings of the past periods and of the running one.
    fn past_periods(&self) -> Vec<Timestamp> {
        let mut starts = vec![self.began];
        while let Some(next) = starts.last().and_then(|last| next_reset(&self.anchor, *last)) {
            if next > self.period_start {
                break;
            }
            starts.push(next);
        }
        starts
    }

    /// Half past ten, some working days after the beginning.
    fn top_up_at(&self, hot: &Behaviour) -> Timestamp {
        let mut day = Some((hot.date_of(self.now), self.now));
        let later_days = std::iter::from_fn(|| {
            day = day.and_then(|(date, _)| hot.day_after(date));
            day
        });
        let top_up_day = later_days.filter(|(date, _)| is_working_day(*date)).nth(TOP_UP_WORKING_DAY - 1);
        top_up_day.map_or(self.reset, |(_, begins_at)| begins_at + SignedDuration::from_mins(10 * 60 + 30))
    }

    fn quiet_grant(&self, behaviour: &Behaviour) -> Credits {
        round_up(behaviour.net_use(self.period_start, self.reset).as_f64() * QUIET_FUEL, 500)
    }

    fn behaviour(&self, team: u64, habits: Habits) -> Behaviour {
        let seed = self.seed.wrapping_mul(3).wrapping_add(team);
        Behaviour { seed, zone: self.zone.clone(), habits, paces: Vec::new() }
    }

    fn setup(&self, team: DemoTeam, behaviour: Behaviour, grant: Credits) -> AccountSetup {
        AccountSetup {
            reset: Some(self.anchor.clone()),
            behaviour: Some(behaviour),
            ..AccountSetup::new(team.name, team.api_key, grant)
        }
    }
}

fn steady_habits() -> Habits {
    Habits {
        assets_per_day: 15.0,
        text_share: 0.65,
        attempts: &[0.86, 0.12, 0.02],
        refine_share: 0.85,
        retexture_share: 0.2,
        remesh_share: 0.35,
        rig_share: 0.05,
        failure_share: 0.02,
        cancel_share: 0.01,
    }
}

fn hot_habits() -> Habits {
    Habits {
        assets_per_day: 13.0,
        text_share: 0.5,
        attempts: &[0.7, 0.22, 0.08],
        refine_share: 0.9,
        retexture_share: 0.3,
        remesh_share: 0.2,
        rig_share: 0.6,
        failure_share: 0.03,
        cancel_share: 0.015,
    }
}

fn wasteful_habits() -> Habits {
    Habits {
        assets_per_day: 8.0,
        text_share: 0.9,
        attempts: &[0.0, 0.0, 0.3, 0.3, 0.25, 0.15],
        refine_share: 0.7,
        retexture_share: 0.3,
        remesh_share: 0.2,
        rig_share: 0.0,
        failure_share: 0.08,
        cancel_share: 0.02,
    }
}

fn weight_between(behaviour: &Behaviour, from: Timestamp, until: Timestamp) -> f64 {
    let mut weight = 0.0;
    let mut date = behaviour.date_of(from);
    let mut begins_at = from;
    while let Some((tomorrow, ends_at)) = behaviour.day_after(date) {
        let hours = ends_at.min(until).duration_since(begins_at).as_secs_f64() / 3600.0;
        weight += behaviour.weight_of(date) * hours / 24.0;
        if ends_at >= until {
            break;
        }
        (date, begins_at) = (tomorrow, ends_at);
    }
    weight
}

fn last_reset_before(anchor: &AnchorDay, reset: Timestamp) -> Timestamp {
    // No month is longer than 31 days, and no two resets are nearer than 27.
    let mut at = reset - SignedDuration::from_hours(24 * 33);
    while let Some(next) = next_reset(anchor, at).filter(|next| *next < reset) {
        at = next;
    }
    at
}

fn demo_zone() -> TimeZone {
    // The zone is in the time-zone data that is compiled in; the story is the same one in any zone.
    TimeZone::get(DEMO_ZONE).unwrap_or(TimeZone::UTC)
}

fn round_up(credits: f64, step: i64) -> Credits {
    Credits::from_whole((credits / step as f64).ceil() as i64 * step)
}
