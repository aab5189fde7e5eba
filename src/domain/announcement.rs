//! What a lead tells the forecast in advance: a change of pace, or a planned batch. Each expires by itself.
//!
//! [`AnnouncementForm`] is one as somebody writes it, in a configuration, a command or a request; checked against a zone it
//! becomes a [`Foreseen`]. An [`Announcement`] is that with whose it is and who said so when.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountName, TeamName};

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn pace(factor: f64, from: &str, to: &str) -> AnnouncementForm {
        let (factor, from, to) = (Some(factor), Some(from.into()), Some(to.into()));
        AnnouncementForm { factor, from, to, ..AnnouncementForm::default() }
    }

    fn batch(low: i64, likely: i64, high: i64, at: &str) -> AnnouncementForm {
        let [low, credits, high] = [low, likely, high].map(|whole| Some(Credits::from_whole(whole)));
        AnnouncementForm { low, credits, high, at: Some(at.into()), ..AnnouncementForm::default() }
    }

    fn announced(form: &AnnouncementForm) -> Announcement {
        let (account, team) = (AccountName::parse("studio").unwrap(), TeamName::parse("art").unwrap());
        Announcement {
            id: Some(1),
            key: DrawKey { account, team },
            foreseen: form.check(&berlin()).unwrap(),
            note: String::new(),
            by: "ada".into(),
            announced_at: Some(at("2026-11-20T00:00:00Z")),
            withdrawn: None,
        }
    }

    #[test]
    fn what_is_written_means_days_of_the_zone() {
        for (form, begins, ends, words) in [
            (
                pace(2.0, "2026-12-01", "2026-12-20"),
                "2026-11-30T23:00:00Z",
                "2026-12-20T23:00:00Z",
                "2 times the usual pace from 1 Dec 2026 to the end of 20 Dec 2026",
            ),
            (
                pace(0.0, "2026-10-25", "2026-10-25"),
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
                "no use from 25 Oct 2026 to the end of 25 Oct 2026",
            ),
            (
                pace(0.5, "2026-12-01T09:00:00Z", "2026-12-01T17:30:00+01:00"),
                "2026-12-01T09:00:00Z",
                "2026-12-01T16:30:00Z",
                "0.5 times the usual pace from 1 Dec 2026, 10:00 CET to 1 Dec 2026, 17:30 CET",
            ),
            (
                batch(800, 800, 800, "2026-12-05"),
                "2026-12-04T23:00:00Z",
                "2026-12-05T23:00:00Z",
                "a batch of 800 credits on 5 Dec 2026",
            ),
            (
                batch(600, 800, 1200, "2026-12-05T12:00:00Z"),
                "2026-12-05T12:00:00Z",
                "2026-12-05T12:00:00Z",
                "a batch of 800 credits (600 to 1,200) on 5 Dec 2026, 13:00 CET",
            ),
        ] {
            let foreseen = form.check(&berlin()).unwrap();
            assert_eq!((foreseen.begins(), foreseen.ends()), (at(begins), at(ends)), "{words}");
            assert_eq!(foreseen.in_words(&berlin()), words);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_was_found() {
        let note = |note: String| AnnouncementForm { note: Some(note), ..pace(1.0, "2026-12-01", "2026-12-02") };
        let beside = AnnouncementForm { at: Some("2026-12-01".into()), ..pace(1.0, "2026-12-01", "2026-12-02") };
        let with_from = AnnouncementForm { from: Some("2026-12-01".into()), ..batch(1, 1, 1, "2026-12-05") };
        let both = AnnouncementForm { factor: Some(1.0), ..batch(1, 1, 1, "2026-12-05") };
        for (form, field, words) in [
            (AnnouncementForm::default(), "factor", "found neither `factor` nor `credits`"),
            (both, "credits", "no place beside `factor`"),
            (beside, "at", "no place beside `factor`"),
            (with_from, "from", "no place beside `credits`"),
            (pace(20.5, "2026-12-01", "2026-12-02"), "factor", "from 0 to 20, found `20.5`"),
            (pace(-1.0, "2026-12-01", "2026-12-02"), "factor", "found `-1`"),
            (pace(f64::NAN, "2026-12-01", "2026-12-02"), "factor", "found `NaN`"),
            (pace(1.0, "2026-12-02", "2026-12-01"), "to", "after `from`, which is `2026-12-02`; found `2026-12-01`"),
            (pace(1.0, "2026-12-01", "2029-12-01"), "to", "two years after `from`"),
            (pace(1.0, "tomorrow", "2026-12-01"), "from", "found `tomorrow`"),
            (pace(1.0, "2026-02-30", "2026-12-01"), "from", "found `2026-02-30`"),
            (AnnouncementForm { to: None, ..pace(1.0, "2026-12-01", "") }, "to", "found nothing"),
            (batch(900, 800, 1000, "2026-12-05"), "low", "at most `credits`, which is 800; found 900"),
            (batch(700, 800, 790, "2026-12-05"), "high", "at least `credits`, which is 800; found 790"),
            (batch(-5, -5, -5, "2026-12-05"), "credits", "0 credits or more, found `-5`"),
            (note("x".repeat(257)), "note", "at most 256 characters, found 257"),
            (note("two\nlines".into()), "note", "printable"),
        ] {
            let error = form.check(&berlin()).unwrap_err();
            assert!(error.field == field && error.message.contains(words), "{form:?}: {error}");
        }
        let now = at("2026-11-26T12:00:00Z");
        for (form, words) in [
            (pace(1.0, "2026-11-01", "2026-11-25"), "has passed"),
            (batch(1, 1, 1, "2026-11-26T12:00:00Z"), "has passed"),
            (pace(1.0, "2028-11-01", "2028-12-25"), "within two years"),
        ] {
            let error = form.check(&berlin()).unwrap().check_at(now).unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
        assert_eq!(batch(1, 1, 1, "2026-11-26").check(&berlin()).unwrap().check_at(now), Ok(()));
    }

    #[test]
    fn an_announcement_lapses_by_itself_and_its_past_is_still_understood() {
        let moments = ["2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z", "2026-12-05T23:00:00Z"].map(at);
        let (busy, job) = (pace(2.0, "2026-12-01", "2026-12-05"), batch(1, 2, 3, "2026-12-01"));
        let all = [announced(&job), announced(&busy)];
        let standings = |announcement: &Announcement| moments.map(|now| announcement.standing(now));
        assert_eq!(standings(&all[1]), [Standing::Ahead, Standing::InForce, Standing::Over]);
        assert_eq!(moments.map(|now| batches(&all, now).len()), [1, 1, 0]);
        assert_eq!(batches(&all, moments[1])[0].at, moments[1] + SignedDuration::from_millis(1));
        assert_eq!(paces(&all).len(), 1);

        let withdrawn = Announcement { withdrawn: Some((moments[0], "ada".into())), ..all[1].clone() };
        assert_eq!(withdrawn.standing(moments[1]), Standing::Withdrawn);
        let earlier = announced(&pace(3.0, "2026-11-01", "2026-11-02"));
        let both = [all[1].clone(), earlier.clone(), withdrawn];
        let turned = [earlier, all[1].clone()];
        assert_eq!(paces(&both), paces(&turned), "in one order, without what was taken back");
    }
}
