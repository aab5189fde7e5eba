//! What a lead tells the forecast in advance: a change of pace, or a planned batch. Each expires by itself.
//!
//! [`AnnouncementForm`] is one as somebody writes it, in a configuration, a command or a request; checked against a zone it
//! becomes a [`Foreseen`]. An [`Announcement`] is that with whose it is and who said so when.

#[cfg(test)]
mod tests;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::account::{DrawKey, is_unprintable};
use super::credits::Credits;
use super::forecast::{PaceChange, PlannedBatch};
use super::words::amount;

/// The largest factor.
pub const MOST_FACTOR: f64 = 20.0;
/// The longest note, in characters.
pub const LONGEST_NOTE: usize = 256;
/// So many announcements of a team on one account may be ahead or in force.
pub const MOST_STANDING: usize = 100;
/// An announcement reaches at most so far ahead, and a change of pace lasts at most so long.
const FURTHEST: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// One announcement.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// Its number in the ledger; `None` if the configuration says it.
    pub id: Option<i64>,
    /// Whose use it is about.
    pub key: DrawKey,
    /// What will happen.
    pub foreseen: Foreseen,
    /// Why, in the words of whoever announced it; may be empty.
    pub note: String,
    /// Who announced it: a person of the command line, or a token's name; `configuration`.
    pub by: String,
    /// When; `None` if the configuration says it.
    pub announced_at: Option<Timestamp>,
    /// When and by whom it was taken back. Then it holds for no moment, not even one before.
    pub withdrawn: Option<(Timestamp, String)>,
}

/// What will happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Foreseen {
    /// The pace is another one for a time.
    Pace(PaceChange),
    /// Credits will be spent on top of the usual use.
    Batch {
        /// How many, and from when on they are reckoned with.
        batch: PlannedBatch,
        /// From this moment on they are in the ledger, or were not spent: the end of the day named, or the instant.
        until: Timestamp,
    },
}

/// Where an announcement is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its time is still to come.
    Ahead,
    /// Its time has begun.
    InForce,
    /// Its time has passed.
    Over,
    /// It was taken back.
    Withdrawn,
}

impl Standing {
    /// The word used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Ahead => "ahead",
            Standing::InForce => "in force",
            Standing::Over => "over",
            Standing::Withdrawn => "withdrawn",
        }
    }
}

/// What an announcement of the present or the future does to the forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingAnnouncement {
    /// The announcement.
    pub announcement: Announcement,
    /// How many credits more, or less, are expected to be used up to the reset because of it (median); `None` without a
    /// forecast.
    pub effect: Option<Credits>,
}

impl StandingAnnouncement {
    /// What is announced and what that does to the expected use, in a sentence.
    pub fn in_words(&self, zone: &TimeZone, end: &str) -> String {
        let what = self.announcement.foreseen.in_words(zone);
        match self.effect {
            Some(effect) if effect.is_positive() => {
                format!("Announced: {what}; about {} credits more are expected before {end}.", amount(effect))
            }
            Some(effect) if effect.is_negative() => {
                let less = Credits::ZERO - effect;
                format!("Announced: {what}; about {} credits fewer are expected before {end}.", amount(less))
            }
            Some(_) => format!("Announced: {what}; that changes nothing before {end}."),
            None => format!("Announced: {what}."),
        }
    }
}

/// An announcement as somebody writes it. Days are written `2026-12-01` and count in the account's zone, instants as in
/// RFC 3339.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnnouncementForm {
    /// What the usual pace is multiplied by.
    pub factor: Option<f64>,
    /// The first day, or an instant.
    pub from: Option<String>,
    /// The last day, or the instant at which it ends.
    pub to: Option<String>,
    /// How many credits a batch costs.
    pub credits: Option<Credits>,
    /// One in ten such batches costs less.
    pub low: Option<Credits>,
    /// One in ten costs more.
    pub high: Option<Credits>,
    /// The day of the batch, or the instant.
    pub at: Option<String>,
    /// Why.
    pub note: Option<String>,
}

/// What is wrong with a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct FormError {
    /// The field's name.
    pub field: &'static str,
    /// What was expected and what was found, and a hint if there is one.
    pub message: String,
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, FormError> {
    Err(FormError { field, message: message.into() })
}

impl AnnouncementForm {
    /// What it says.
    ///
    /// # Errors
    /// The first field that is missing, out of range, or has no place beside another.
    pub fn check(&self, zone: &TimeZone) -> Result<Foreseen, FormError> {
        check_note(self.note.as_deref().unwrap_or_default())?;
        match (self.factor, self.credits) {
            (Some(factor), None) => self.pace(factor, zone).map(Foreseen::Pace),
            (None, Some(credits)) => self.batch(credits, zone),
            (Some(_), Some(_)) => wrong("credits", "has no place beside `factor`\nhint: announce the two one by one"),
            (None, None) => {
                let hint = "hint: write `factor` for a change of pace, or `credits` for a planned batch";
                wrong("factor", format!("expected what will happen, found neither `factor` nor `credits`\n{hint}"))
            }
        }
    }

    fn pace(&self, factor: f64, zone: &TimeZone) -> Result<PaceChange, FormError> {
        if !(0.0..=MOST_FACTOR).contains(&factor) {
            return wrong("factor", format!("expected a number from 0 to {MOST_FACTOR}, found `{factor}`"));
        }
        let others = [("low", self.low.is_some()), ("high", self.high.is_some()), ("at", self.at.is_some())];
        if let Some((field, _)) = others.into_iter().find(|(_, is_written)| *is_written) {
            return wrong(field, "has no place beside `factor`\nhint: a change of pace has `from` and `to`");
        }
        let (from, _) = moment("from", self.from.as_deref(), zone)?;
        let (_, to) = moment("to", self.to.as_deref(), zone)?;
        if from >= to {
            let (from, to) = (self.from.as_deref().unwrap_or_default(), self.to.as_deref().unwrap_or_default());
            return wrong("to", format!("expected a time after `from`, which is `{from}`; found `{to}`"));
        }
        if to.duration_since(from) > FURTHEST {
            return wrong("to", "expected at most two years after `from`");
        }
        Ok(PaceChange { factor, from, to })
    }

    fn batch(&self, likely: Credits, zone: &TimeZone) -> Result<Foreseen, FormError> {
        for (field, is_written) in [("from", self.from.is_some()), ("to", self.to.is_some())] {
            if is_written {
                return wrong(field, "has no place beside `credits`\nhint: a planned batch has `at`");
            }
        }
        let (low, high) = (self.low.unwrap_or(likely), self.high.unwrap_or(likely));
        for (field, credits) in [("credits", likely), ("low", low), ("high", high)] {
            if credits.is_negative() || credits > Credits::MAX_PARSED {
                return wrong(field, format!("expected 0 credits or more, found `{credits}`"));
            }
        }
        if low > likely {
            return wrong("low", format!("expected at most `credits`, which is {likely}; found {low}"));
        }
        if high < likely {
            return wrong("high", format!("expected at least `credits`, which is {likely}; found {high}"));
        }
        let (at, until) = moment("at", self.at.as_deref(), zone)?;
        Ok(Foreseen::Batch { batch: PlannedBatch { at, low, likely, high }, until })
    }
}

/// When a day begins and ends in a zone; of an instant both are the instant.
fn moment(field: &'static str, text: Option<&str>, zone: &TimeZone) -> Result<(Timestamp, Timestamp), FormError> {
    const HINT: &str = "hint: write a day such as `2026-12-01`, or an instant such as `2026-12-01T09:00:00Z`";
    let Some(text) = text else { return wrong(field, format!("expected a day or an instant, found nothing\n{HINT}")) };
    let found: String = text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(40).collect();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok((instant, instant));
    }
    let Some(day) = text.parse::<Date>().ok().filter(|_| text.len() == 10) else {
        return wrong(field, format!("expected a day or an instant, found `{found}`\n{HINT}"));
    };
    let midnight = |day: Date| day.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp());
    match (midnight(day), day.checked_add(1.day()).ok().and_then(midnight)) {
        (Some(begins), Some(ends)) => Ok((begins, ends)),
        _ => wrong(field, format!("expected a day of the calendar, found `{found}`")),
    }
}

fn check_note(note: &str) -> Result<(), FormError> {
    let length = note.chars().count();
    if length > LONGEST_NOTE {
        return wrong("note", format!("expected at most {LONGEST_NOTE} characters, found {length}"));
    }
    if note.chars().any(is_unprintable) {
        return wrong("note", "expected printable characters on one line");
    }
    Ok(())
}

impl Foreseen {
    /// From when on it changes what is used.
    pub fn begins(&self) -> Timestamp {
        match self {
            Foreseen::Pace(pace) => pace.from,
            Foreseen::Batch { batch, .. } => batch.at,
        }
    }

    /// From when on it has passed.
    pub fn ends(&self) -> Timestamp {
        match self {
            Foreseen::Pace(pace) => pace.to,
            Foreseen::Batch { until, .. } => *until,
        }
    }

    /// The word used in JSON and in metrics: `pace` or `batch`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Foreseen::Pace(_) => "pace",
            Foreseen::Batch { .. } => "batch",
        }
    }

    /// Checks it against the moment at which it is announced.
    ///
    /// # Errors
    /// It has passed already, or reaches further ahead than two years.
    pub fn check_at(&self, now: Timestamp) -> Result<(), FormError> {
        let field = if matches!(self, Foreseen::Pace(_)) { "to" } else { "at" };
        let ends = self.ends();
        if ends <= now {
            return wrong(field, format!("expected a time to come, found `{ends}`, which has passed"));
        }
        if ends.duration_since(now) > FURTHEST {
            return wrong(field, format!("expected a time within two years, found `{ends}`"));
        }
        Ok(())
    }

    /// What will happen and when, as people read it: `2 times the usual pace from 1 Dec 2026 to the end of 20 Dec 2026`.
    pub fn in_words(&self, zone: &TimeZone) -> String {
        match self {
            Foreseen::Pace(PaceChange { factor, from, to }) => {
                let what = if *factor == 0.0 { "no use".into() } else { format!("{factor} times the usual pace") };
                format!("{what} from {} to {}", day(*from, zone), end_of_day(*to, zone))
            }
            Foreseen::Batch { batch, .. } => {
                let range = match batch.low == batch.high {
                    true => String::new(),
                    false => format!(" ({} to {})", amount(batch.low), amount(batch.high)),
                };
                format!("a batch of {} credits{range} on {}", amount(batch.likely), day(batch.at, zone))
            }
        }
    }
}

/// `1 Dec 2026`, with the time unless the day begins then.
fn day(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    let is_midnight = at.start_of_day().is_ok_and(|midnight| midnight == at);
    at.strftime(if is_midnight { "%-d %b %Y" } else { "%-d %b %Y, %H:%M %Z" }).to_string()
}

/// `the end of 20 Dec 2026`, or the time itself.
fn end_of_day(at: Timestamp, zone: &TimeZone) -> String {
    let end = at.to_zoned(zone.clone());
    let is_midnight = end.start_of_day().is_ok_and(|midnight| midnight == end);
    match end.yesterday() {
        Ok(last) if is_midnight => format!("the end of {}", last.strftime("%-d %b %Y")),
        _ => day(at, zone),
    }
}

impl Announcement {
    /// Where it is in its life at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match () {
            () if self.withdrawn.is_some() => Standing::Withdrawn,
            () if self.foreseen.ends() <= now => Standing::Over,
            () if self.foreseen.begins() <= now => Standing::InForce,
            () => Standing::Ahead,
        }
    }

    /// Whether it says something of `now` or of later.
    pub fn stands(&self, now: Timestamp) -> bool {
        matches!(self.standing(now), Standing::Ahead | Standing::InForce)
    }
}

/// The changes of pace among announcements, those that are over too: use of their time is understood by them. Always in the
/// same order, whatever that of the announcements.
pub fn paces(announcements: &[Announcement]) -> Vec<PaceChange> {
    let pace = |announcement: &Announcement| match announcement.foreseen {
        Foreseen::Pace(pace) if announcement.withdrawn.is_none() => Some(pace),
        _ => None,
    };
    let mut paces: Vec<PaceChange> = announcements.iter().filter_map(pace).collect();
    paces.sort_by(|a, b| (a.from, a.to).cmp(&(b.from, b.to)).then(a.factor.total_cmp(&b.factor)));
    paces
}

/// The planned batches among announcements that a forecast at `now` reckons with. One whose day has begun may come at any
/// moment, so it counts as the next thing that happens.
pub fn batches(announcements: &[Announcement], now: Timestamp) -> Vec<PlannedBatch> {
    let next = now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(now);
    let batch = |announcement: &Announcement| match announcement.foreseen {
        Foreseen::Batch { batch, .. } if announcement.stands(now) => {
            Some(PlannedBatch { at: batch.at.max(next), ..batch })
        }
        _ => None,
    };
    announcements.iter().filter_map(batch).collect()
}
