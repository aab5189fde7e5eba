//! What the people of a simulated team do all day: a pure function from a date to that day's launches.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use super::catalog::{ANIMATION, IMAGE, PREVIEW, REFINE, REMESH, RETEXTURE, RIG, TaskType};
use super::task::Fate;
use crate::domain::Credits;

/// The habits of a team. Each day is drawn by itself from the seed and the date.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// What all chance comes from.
    pub seed: u64,
    /// Where the people live.
    pub zone: TimeZone,
    /// How they work.
    pub habits: Habits,
    /// Changes of pace, in order of their dates; before the first the factor is 1.
    pub paces: Vec<Pace>,
}

/// From that date on, so many times the usual number of assets a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The first day.
    pub from: Date,
    /// 1 is the usual pace.
    pub factor: f64,
}

/// How a team works. Shares are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Assets begun on an ordinary Tuesday.
    pub assets_per_day: f64,
    /// Assets that begin with words; the others begin with an image.
    pub text_share: f64,
    /// How likely an asset takes one launch of its first stage, two, and so on: relative weights.
    pub attempts: &'static [f64],
    /// Assets from words that are refined.
    pub refine_share: f64,
    /// Assets that get new textures.
    pub retexture_share: f64,
    /// Assets that get fewer faces.
    pub remesh_share: f64,
    /// Assets that get a skeleton; half of these are animated too.
    pub rig_share: f64,
    /// Launches that fail; nine of ten are submitted again.
    pub failure_share: f64,
    /// Launches that somebody withdraws.
    pub cancel_share: f64,
}

/// One launch that somebody means to make.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: &'static TaskType,
    /// For which asset of the team; the same asset has the same prompt.
    pub asset: u32,
    /// How long the platform will work on it.
    pub work_seconds: u32,
    /// What will become of it.
    pub fate: Fate,
}

/// Monday first: how much of an ordinary day's work is begun.
const WEEKDAYS: [f64; 7] = [0.95, 1.05, 1.05, 1.05, 0.9, 0.1, 0.05];

/// When assets are begun: relative weights of the local hours from 08:00 on. Long rows of attempts run past the last.
const FIRST_HOUR: usize = 8;
const HOURS: [f64; 11] = [3.0, 9.0, 11.0, 10.0, 4.0, 8.0, 10.0, 10.0, 8.0, 4.0, 1.0];

/// How much days differ from one another by chance: the standard deviation of the logarithm.
const DAILY_WOBBLE: f64 = 0.12;
/// The same of weeks.
const WEEKLY_WOBBLE: f64 = 0.05;

impl Behaviour {
    /// The local date.
    pub fn date_of(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    /// The next date and the moment at which it begins; `None` at the end of the calendar.
    pub fn day_after(&self, date: Date) -> Option<(Date, Timestamp)> {
        let tomorrow = date.tomorrow().ok()?;
        Some((tomorrow, tomorrow.to_zoned(self.zone.clone()).ok()?.timestamp()))
    }

    /// The factor of that date.
    pub fn pace_on(&self, date: Date) -> f64 {
        self.paces.iter().rev().find(|pace| pace.from <= date).map_or(1.0, |pace| pace.factor)
    }

    /// How much of an ordinary day's work that date is meant to bring, before chance.
    pub fn weight_of(&self, date: Date) -> f64 {
        WEEKDAYS[date.weekday().to_monday_zero_offset() as usize] * self.pace_on(date)
    }

    /// The launches of that date, in order of time.
    pub fn launches_on(&self, date: Date) -> Vec<Launch> {
        let day = day_number(date);
        let monday = day - i64::from(date.weekday().to_monday_zero_offset());
        let mut week_chance = self.chance(monday, u32::MAX - 1);
        let mut day_chance = self.chance(day, u32::MAX);
        let weekly: f64 = StandardNormal.sample(&mut week_chance);
        let daily: f64 = StandardNormal.sample(&mut day_chance);
        let wobble = (weekly * WEEKLY_WOBBLE + daily * DAILY_WOBBLE).exp();
        let wanted = self.habits.assets_per_day * self.weight_of(date) * wobble;
        // The fraction becomes one asset more or none: a higher pace only ever adds assets to a day.
        let assets = (wanted + day_chance.random::<f64>()).floor() as u32;
        let mut launches = Vec::new();
        for asset in 0..assets.min(ASSETS_A_DAY) {
            self.plan_asset(date, asset, &mut launches);
        }
        launches.sort_by_key(|launch| launch.at);
        launches
    }

    /// What the launches between two moments cost after refunds, if nothing refuses them.
    pub fn net_use(&self, from: Timestamp, until: Timestamp) -> Credits {
        let mut total = Credits::ZERO;
        let mut date = self.date_of(from);
        loop {
            let launches = self.launches_on(date);
            let counted = launches.iter().filter(|launch| (from..until).contains(&launch.at));
            total += counted.filter(|launch| launch.fate != Fate::Fail).map(|launch| launch.kind.price).sum();
            match self.day_after(date) {
                Some((tomorrow, begins_at)) if begins_at < until => date = tomorrow,
                _ => return total,
            }
        }
    }

    fn plan_asset(&self, date: Date, asset: u32, launches: &mut Vec<Launch>) {
        let day = day_number(date);
        let mut chance = self.chance(day, asset);
        // People sit down to several assets at once: every group of three shares its beginning.
        let mut group_chance = self.chance(day, ASSETS_A_DAY + asset / 3);
        let hour = FIRST_HOUR + pick(&mut group_chance, &HOURS);
        let (minute, second) = (group_chance.random_range(0..60_i8), chance.random_range(0..60_i8));
        let Ok(begins) = date.at(hour as i8, minute, second, 0).to_zoned(self.zone.clone()) else { return };

        let number = (day.rem_euclid(DAYS_OF_NUMBERS) as u32) * ASSETS_A_DAY + asset;
        let mut plan = AssetPlan { habits: &self.habits, asset: number, at: begins.timestamp(), chance, launches };
        plan.draw();
    }

    fn chance(&self, day: i64, part: u32) -> Pcg64 {
        let mixed = (day as u64) << 32 | u64::from(part);
        Pcg64::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mixed)
    }
}

/// More than any simulated team begins in a day.
const ASSETS_A_DAY: u32 = 64;
/// After so many days the numbers of assets come again, and with them the prompts.
const DAYS_OF_NUMBERS: i64 = 480;

/// One asset from its first launch to its last.
struct AssetPlan<'a> {
    habits: &'a Habits,
    asset: u32,
    at: Timestamp,
    chance: Pcg64,
    launches: &'a mut Vec<Launch>,
}

impl AssetPlan<'_> {
    fn draw(&mut self) {
        let habits = self.habits;
        let is_text = self.chance.random_bool(habits.text_share);
        let attempts = 1 + pick(&mut self.chance, habits.attempts);
        let mut has_model = false;
        for _ in 0..attempts {
            let (kind, seconds) = if is_text { (PREVIEW, 200..540) } else { (IMAGE, 300..780) };
            has_model |= self.launch(kind, seconds);
        }
        if !has_model {
            return;
        }
        // All dice are thrown whatever they show, so that one step more does not change the rest of the asset.
        let steps = [
            (REFINE, if is_text { habits.refine_share } else { 0.0 }, 240..720),
            (RETEXTURE, habits.retexture_share, 200..520),
            (REMESH, habits.remesh_share, 80..240),
            (RIG, habits.rig_share, 80..220),
        ];
        for (kind, share, seconds) in steps {
            let succeeded = self.chance.random_bool(share) && self.launch(kind, seconds);
            if succeeded && kind.name == RIG.name && self.chance.random_bool(0.5) {
                self.launch(ANIMATION, 60..180);
            }
        }
    }

    /// Launches, and launches again what failed. Gives back whether it ends well.
    fn launch(&mut self, kind: &'static TaskType, seconds: std::ops::Range<u32>) -> bool {
        for _ in 0..3 {
            let work_seconds = self.chance.random_range(seconds.clone());
            let fate = match self.chance.random::<f64>() {
                dice if dice < self.habits.failure_share => Fate::Fail,
                dice if dice < self.habits.failure_share + self.habits.cancel_share => {
                    Fate::Cancel { after_seconds: self.chance.random_range(10..90) }
                }
                _ => Fate::Succeed,
            };
            self.launches.push(Launch { at: self.at, kind, asset: self.asset, work_seconds, fate });
            // Somebody looks at the result before going on; a failure is submitted again at once.
            let pause = if fate == Fate::Fail { 60..240 } else { 150..900 };
            let pause_seconds = self.chance.random_range(pause);
            self.at += SignedDuration::from_secs(i64::from(work_seconds + pause_seconds));
            let gives_up = fate != Fate::Fail || self.chance.random_bool(0.1);
            if gives_up {
                return fate == Fate::Succeed;
            }
        }
        false
    }
}

fn pick(chance: &mut Pcg64, weights: &[f64]) -> usize {
    let mut dice = chance.random::<f64>() * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        dice -= weight;
        if dice < 0.0 {
            return index;
        }
    }
    weights.len().saturating_sub(1)
}

fn day_number(date: Date) -> i64 {
    // Days since a Monday; a civil day has 24 civil hours whatever the zone does.
    const MONDAY: Date = jiff::civil::date(2024, 1, 1);
    date.duration_since(MONDAY).as_hours() / 24
}

/// Whether people work on that day of the week.
pub fn is_working_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}
