//! A silence: alerts that match it are not told for a time. It says who wants that, why, and until when; it ends by itself.
//!
//! A silence changes no alert: what fires goes on firing, on the page and in the metrics. [`SilenceForm`] is one as somebody
//! asks for it; checked against the time it becomes a [`NewSilence`], and a [`Silence`] once the ledger has it.

mod matcher;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::account::{DrawKey, TeamName, is_unprintable};
use super::alert::Stage;
use super::announcement::FormError;
use super::rule::RuleName;

pub use matcher::{AlertLabels, LONGEST_VALUE, Label, Matcher, MatcherError, Operator, matchers_in_words};

/// So many matchers has a silence at most.
pub const MOST_MATCHERS: usize = 20;
/// The longest comment, in characters.
pub const LONGEST_COMMENT: usize = 512;
/// The longest name of an author, in characters.
pub const LONGEST_AUTHOR: usize = 64;
/// So many silences may be pending or active.
pub const MOST_SILENCES: usize = 1000;
/// A silence lasts at most so long, and begins at most so far ahead: a year.
pub const LONGEST_SILENCE: SignedDuration = SignedDuration::from_hours(366 * 24);

/// One silence. It never changes but by being expired; to change one is to expire it and to make another.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Its number in the ledger.
    pub id: i64,
    /// What was asked for.
    pub asked: NewSilence,
    /// When.
    pub created_at: Timestamp,
    /// When and by whom it was ended before its time; before its beginning it then never mutes anything.
    pub expired: Option<(Timestamp, String)>,
}

/// A silence that can be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSilence {
    /// All of them fit an alert that is muted: 1 to [`MOST_MATCHERS`].
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who wants it, by their own word.
    pub created_by: String,
    /// The name of the token with which it came; `None` from the command line.
    pub token: Option<String>,
    /// Why.
    pub comment: String,
}

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It mutes.
    Active,
    /// Its time is still to come.
    Pending,
    /// Its time has passed, or somebody ended it.
    Expired,
}

impl SilenceState {
    /// Those of silences that are not over.
    pub const STANDING: [SilenceState; 2] = [SilenceState::Active, SilenceState::Pending];

    /// The word used in JSON, tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            SilenceState::Active => "active",
            SilenceState::Pending => "pending",
            SilenceState::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where it is in its life at `at`.
    pub fn state(&self, at: Timestamp) -> SilenceState {
        match () {
            () if self.ended_at() <= at => SilenceState::Expired,
            () if self.asked.starts_at <= at => SilenceState::Active,
            () => SilenceState::Pending,
        }
    }

    /// Until when it lasts, or lasted.
    pub fn ended_at(&self) -> Timestamp {
        self.expired.as_ref().map_or(self.asked.ends_at, |(at, _)| self.asked.ends_at.min(*at))
    }

    /// Whether an alert of these labels is muted at `at`.
    pub fn mutes(&self, labels: &AlertLabels<'_>, at: Timestamp) -> bool {
        self.state(at) == SilenceState::Active && self.covers(labels)
    }

    /// Whether all its matchers fit these labels, whatever the time.
    pub fn covers(&self, labels: &AlertLabels<'_>) -> bool {
        covers(&self.asked.matchers, labels)
    }

    /// Whether it mutes alerts of these teams alone, because it names one of them.
    pub fn is_within(&self, teams: &[TeamName]) -> bool {
        is_within(&self.asked.matchers, teams)
    }

    /// Whether it is among those that somebody looks for: its own matchers, each taken as a label with its value, fit all of
    /// these, as in Alertmanager. The two names of a rule are one.
    pub fn is_found_by(&self, filter: &[Matcher]) -> bool {
        let own = |label| self.asked.matchers.iter().rev().find(|own| own.label() == label).map(Matcher::value);
        let value = |label| match own(label) {
            Some(value) => value,
            None if label == Label::Alert => {
                own(Label::AlertName).and_then(RuleName::of_alert_name).map_or("", RuleName::as_str)
            }
            None if label == Label::AlertName => {
                own(Label::Alert).and_then(RuleName::parse).map_or("", RuleName::alert_name)
            }
            None => "",
        };
        filter.iter().all(|wanted| wanted.fits(value(wanted.label())))
    }
}

/// Puts silences into the order in which people look for them, as Alertmanager does: those that mute, the next to end first;
/// those to come, the next to begin first; those that are over, the last to end first.
pub fn sort(silences: &mut [Silence], at: Timestamp) {
    silences.sort_by_cached_key(|silence| {
        let place = match silence.state(at) {
            SilenceState::Active => silence.ended_at().as_millisecond(),
            SilenceState::Pending => silence.asked.starts_at.as_millisecond(),
            SilenceState::Expired => -silence.ended_at().as_millisecond(),
        };
        (silence.state(at), place, silence.id)
    });
}

/// Whether all matchers fit these labels.
pub fn covers(matchers: &[Matcher], labels: &AlertLabels<'_>) -> bool {
    let fit = |is_regex| {
        let mut asked = matchers.iter().filter(|matcher| matcher.operator().is_regex() == is_regex);
        asked.all(|matcher| matcher.fits(labels.get(matcher.label())))
    };
    // Regular expressions last: most silences are of another team, which plain values tell at once.
    fit(false) && fit(true)
}

/// Whether matchers fit alerts of these teams alone, because they name one of them with `=`.
pub fn is_within(matchers: &[Matcher], teams: &[TeamName]) -> bool {
    let names_one = |matcher: &Matcher| {
        matcher.label() == Label::Team
            && matcher.operator() == Operator::Equal
            && teams.iter().any(|team| team.as_str() == matcher.value())
    };
    matchers.iter().any(names_one)
}

/// The silences of a moment: every one that is pending or active, and the latest of those that are over. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Silences {
    all: Arc<[Silence]>,
    read_at: Timestamp,
}

impl Silences {
    /// These, in the order in which they are asked for, as they were at `read_at`.
    pub fn new(silences: Vec<Silence>, read_at: Timestamp) -> Silences {
        Silences { all: silences.into(), read_at }
    }

    /// The same, because nothing has changed up to `read_at`.
    pub fn as_of(&self, read_at: Timestamp) -> Silences {
        Silences { all: Arc::clone(&self.all), read_at }
    }

    /// The moment.
    pub const fn read_at(&self) -> Timestamp {
        self.read_at
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Silence> {
        self.all.iter()
    }

    /// The silence that mutes an alert of these labels at `at`, if one does: of several the one that lasts longest.
    pub fn muting(&self, labels: &AlertLabels<'_>, at: Timestamp) -> Option<&Silence> {
        self.iter().filter(|silence| silence.mutes(labels, at)).max_by_key(|silence| silence.ended_at())
    }

    /// How many are in a state at `at`.
    pub fn count(&self, state: SilenceState, at: Timestamp) -> usize {
        self.iter().filter(|silence| silence.state(at) == state).count()
    }

    /// The one of a number.
    pub fn get(&self, id: i64) -> Option<&Silence> {
        self.iter().find(|silence| silence.id == id)
    }
}

/// An alert that fires, as silences see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiringAlert {
    /// The rule's word.
    pub alert: String,
    /// The account.
    pub account: String,
    /// The team; empty for an alert of a whole account.
    pub team: String,
    /// The stage's word.
    pub severity: String,
}

impl FiringAlert {
    /// The alert of a draw.
    pub fn of(key: &DrawKey, rule: RuleName, stage: Stage) -> FiringAlert {
        FiringAlert {
            alert: rule.as_str().to_owned(),
            account: key.account.to_string(),
            team: key.team.to_string(),
            severity: stage.as_str().to_owned(),
        }
    }

    /// Its labels.
    pub fn labels(&self) -> AlertLabels<'_> {
        let FiringAlert { alert, account, team, severity } = self;
        AlertLabels { alert, account, team, severity }
    }
}

/// When a silence shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceEnd {
    /// At this instant.
    At(Timestamp),
    /// So long after its beginning.
    After(SignedDuration),
}

/// A length of time such as `30m`, `48h`, `7d` or `1d 12h`.
///
/// # Errors
/// It is none; the field is `duration`.
pub fn lasting(text: &str) -> Result<SignedDuration, FormError> {
    let length = humantime::parse_duration(text).ok().and_then(|length| SignedDuration::try_from(length).ok());
    length.map_or_else(
        || {
            let found: String = text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(40).collect();
            wrong("duration", format!("expected a length of time, found `{found}`\nhint: such as `8h`, `48h` or `7d`"))
        },
        Ok,
    )
}

/// A silence as somebody asks for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SilenceForm {
    /// Which alerts.
    pub matchers: Vec<Matcher>,
    /// From when on; at once if nothing or the past is said.
    pub start: Option<Timestamp>,
    /// Until when. Needed.
    pub end: Option<SilenceEnd>,
    /// Who wants it.
    pub by: String,
    /// Why. Needed.
    pub comment: String,
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, FormError> {
    Err(FormError { field, message: message.into() })
}

impl SilenceForm {
    /// The silence that is asked for at `now`, with the name of the token with which it came.
    ///
    /// # Errors
    /// The first field that is missing or out of range: `matchers`, `start`, `end`, `duration`, `comment` or `by`.
    pub fn check(self, token: Option<&str>, now: Timestamp) -> Result<NewSilence, FormError> {
        check_matchers(&self.matchers)?;
        let starts_at = self.start.unwrap_or(now).max(now);
        if starts_at.duration_since(now) > LONGEST_SILENCE {
            return wrong("start", format!("expected a time within a year, found `{starts_at}`"));
        }
        let ends_at = end(self.end, starts_at, now)?;
        check_text("comment", &self.comment, LONGEST_COMMENT)?;
        check_text("by", &self.by, LONGEST_AUTHOR)?;
        let (matchers, created_by, comment) = (self.matchers, self.by, self.comment);
        Ok(NewSilence { matchers, starts_at, ends_at, created_by, token: token.map(str::to_owned), comment })
    }
}

fn check_matchers(matchers: &[Matcher]) -> Result<(), FormError> {
    if matchers.is_empty() {
        return wrong("matchers", "expected at least one matcher, found none\nhint: such as `team=art`");
    }
    if matchers.len() > MOST_MATCHERS {
        return wrong("matchers", format!("expected at most {MOST_MATCHERS} matchers, found {}", matchers.len()));
    }
    if !matchers.iter().any(Matcher::says_something) {
        let hint = "hint: name the alert or the team; `alert=~\".+\"` is every alert";
        return wrong("matchers", format!("expected a matcher that an empty label does not fit, found none\n{hint}"));
    }
    Ok(())
}

fn end(end: Option<SilenceEnd>, starts_at: Timestamp, now: Timestamp) -> Result<Timestamp, FormError> {
    let (field, ends_at) = match end {
        None => return wrong("duration", "expected how long it shall last, found nothing\nhint: such as `48h`"),
        Some(SilenceEnd::At(at)) => ("end", at),
        Some(SilenceEnd::After(duration)) if duration <= SignedDuration::ZERO => {
            return wrong("duration", "expected more than 0");
        }
        Some(SilenceEnd::After(duration)) if duration > LONGEST_SILENCE => {
            return wrong("duration", "expected at most a year (366 days)");
        }
        Some(SilenceEnd::After(duration)) => ("duration", starts_at.saturating_add(duration).unwrap_or(Timestamp::MAX)),
    };
    if ends_at <= now {
        return wrong(field, format!("expected a time to come, found `{ends_at}`, which has passed"));
    }
    if ends_at <= starts_at {
        return wrong(field, format!("expected a time after the start, which is `{starts_at}`; found `{ends_at}`"));
    }
    if ends_at.duration_since(starts_at) > LONGEST_SILENCE {
        return wrong(field, "expected at most a year (366 days) after the start");
    }
    Ok(ends_at)
}

fn check_text(field: &'static str, text: &str, longest: usize) -> Result<(), FormError> {
    let length = text.chars().count();
    match () {
        () if text.trim().is_empty() && field == "comment" => {
            wrong(field, "expected why, found nothing\nhint: others see it, and do not ask you")
        }
        () if text.trim().is_empty() => wrong(field, "expected a name, found nothing"),
        () if length > longest => wrong(field, format!("expected at most {longest} characters, found {length}")),
        () if text.chars().any(is_unprintable) => wrong(field, "expected printable characters on one line"),
        () => Ok(()),
    }
}
