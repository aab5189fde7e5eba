//! Accounts, teams, plans: who shares which credits, and when they refill.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::calendar::ResetRule;
use super::credits::Credits;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name from the configuration or the store.
            ///
            /// # Errors
            /// A [`NameError`] if the name is empty, longer than 64 characters, begins or ends with white space, or
            /// holds control or bidirectional formatting characters.
            pub fn parse(text: &str) -> Result<$name, NameError> {
                check_name($what, text).map(|()| $name(text.into()))
            }

            /// The name as written in the configuration.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The configuration's name of one account on one platform: the thing with a balance.
    AccountName,
    "account"
);
name_type!(
    /// The configuration's name of a team: the people who share credits.
    TeamName,
    "team"
);

/// Why a text cannot name an account or a team.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of {what}: {expected}; found `{found}`")]
pub struct NameError {
    what: &'static str,
    expected: &'static str,
    found: String,
}

fn check_name(what: &'static str, text: &str) -> Result<(), NameError> {
    let wrong = |expected| {
        let found = text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).take(80).collect();
        Err(NameError { what: if what == "account" { "an account" } else { "a team" }, expected, found })
    };
    if text.is_empty() {
        wrong("at least one character")
    } else if text.chars().count() > 64 {
        wrong("at most 64 characters")
    } else if text.trim() != text {
        wrong("no white space at either end")
    } else if text.chars().any(is_unprintable) {
        wrong("printable characters only")
    } else {
        Ok(())
    }
}

/// Whether a character could hide or turn round what a person reads: control characters and the Unicode bidirectional
/// and zero-width formatting characters.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One team's draw on one account: the pair that a forecast, its alerts and its metrics belong to. A team that draws on
/// two accounts has two, because credits of different accounts are never added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawKey {
    /// The account drawn on.
    pub account: AccountName,
    /// The team that draws.
    pub team: TeamName,
}

impl fmt::Display for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.team)
    }
}

/// A team's share in one account, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// Account and team.
    pub key: DrawKey,
    /// Which of the account's charges are this team's. Without a selector the team owns the whole account.
    pub selector: Option<Selector>,
    /// The team's share of the account's credits for one plan period; without one its fuel is the account's balance.
    pub allowance: Option<Credits>,
}

/// Which charges belong to a team. A field that is present must match; within a field any pattern may. `*` stands for
/// any run of characters, everything else for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Patterns for the charge's project.
    pub project: Vec<String>,
    /// Patterns for the member who launched it.
    pub member: Vec<String>,
    /// Patterns for the name of the API key that launched it.
    pub api_key: Vec<String>,
}

/// Who launched a task, as far as the platform says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The team named by the record itself (import and push only).
    pub team: Option<String>,
    /// The project the task belongs to.
    pub project: Option<String>,
    /// The member who launched it.
    pub member: Option<String>,
    /// The name of the API key, never the key.
    pub api_key: Option<String>,
}

/// The team that a charge belongs to: the one the record names, if it draws on the account; else the first whose
/// selector matches; else the team without a selector; else none, and the charge shows as belonging to no team.
pub fn team_of<'a>(draws: &'a [Draw], who: &Attribution) -> Option<&'a TeamName> {
    let named = who.team.as_deref().and_then(|name| draws.iter().find(|draw| draw.key.team.as_str() == name));
    if who.team.is_some() {
        return named.map(|draw| &draw.key.team);
    }
    let matching = draws.iter().find(|draw| draw.selector.as_ref().is_some_and(|selector| selector.matches(who)));
    matching.or_else(|| draws.iter().find(|draw| draw.selector.is_none())).map(|draw| &draw.key.team)
}

impl Selector {
    /// Whether every field that is present matches.
    pub fn matches(&self, who: &Attribution) -> bool {
        let fields = [(&self.project, &who.project), (&self.member, &who.member), (&self.api_key, &who.api_key)];
        fields.iter().all(|(patterns, value)| {
            patterns.is_empty()
                || value.as_deref().is_some_and(|value| patterns.iter().any(|pattern| matches_pattern(pattern, value)))
        })
    }
}

fn matches_pattern(pattern: &str, value: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = value.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What the configuration says of a plan, where the platform says nothing. What the platform reports wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredPlan {
    /// The plan's name, for people and for `fuelgauge_account_info`.
    pub name: Option<String>,
    /// Credits that each period begins with.
    pub credits: Option<Credits>,
    /// When the plan resets; without a rule the account is prepaid.
    pub reset: Option<ResetRule>,
    /// The zone in which the plan's months are counted; `None`: the account's.
    pub zone: Option<TimeZone>,
    /// What may be spent of a prepaid account, and over which periods.
    pub budget: Option<Budget>,
    /// What remains of the plan's credits at a reset.
    pub carry_over: CarryOver,
    /// How long after they came in bought or awarded credits lapse; `None`: they stay.
    pub purchased_expire_after: Option<SignedDuration>,
}

/// What the people of a prepaid account want to spend at most in one period. It is theirs and not the platform's: nothing
/// lapses and nothing refills at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// At most so much net use in each period.
    pub credits: Credits,
    /// When a period ends and the next begins.
    pub period: ResetRule,
}

/// What remains of the plan's unused credits at a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CarryOver {
    /// Nothing: they lapse.
    #[default]
    Nothing,
    /// All of them; the period's credits come on top.
    All,
    /// At most so many; the period's credits come on top, and the rest lapses.
    AtMost(Credits),
}

impl CarryOver {
    /// How much of what is left unused remains; never below zero.
    pub fn remaining(self, unused: Credits) -> Credits {
        let unused = unused.max(Credits::ZERO);
        match self {
            CarryOver::Nothing => Credits::ZERO,
            CarryOver::All => unused,
            CarryOver::AtMost(most) => unused.min(most),
        }
    }
}

/// Who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The platform reported it.
    Reported,
    /// The configuration declares it.
    Declared,
    /// It is a budget that the configuration declares: its end is no reset.
    Budget,
}

impl Provenance {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Provenance::Reported => "reported",
            Provenance::Declared => "declared",
            Provenance::Budget => "budget",
        }
    }
}

/// From one plan reset to the next, or one period of a budget. The end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanPeriod {
    /// The instant the period began. For a reported reset it is one rule step before the end.
    pub start: Timestamp,
    /// The instant of the next reset.
    pub end: Timestamp,
    /// Credits granted for the period, where known; the budget of a budget's period.
    pub allowance: Option<Credits>,
    /// Who named the end.
    pub provenance: Provenance,
}

impl PlanPeriod {
    /// Whether it is a budget's period, at whose end nothing refills or lapses.
    pub fn is_budget(&self) -> bool {
        self.provenance == Provenance::Budget
    }

    /// What its end is called, as in "before the reset".
    pub fn end_in_words(&self) -> &'static str {
        if self.is_budget() { "the budget's end" } else { "the reset" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_deceive_are_refused() {
        for (text, expected) in [
            ("", "at least one character"),
            (" art", "no white space at either end"),
            ("a\nb", "printable characters only"),
            ("a\u{202e}b", "printable characters only"),
            (&"x".repeat(65), "at most 64 characters"),
        ] {
            let error = TeamName::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(TeamName::parse("Ümwelt & \"Käfer\"").unwrap().as_str(), "Ümwelt & \"Käfer\"");
    }

    #[test]
    fn patterns_match_whole_values() {
        for (pattern, value, expected) in [
            ("env-*", "env-rocks", true),
            ("env-*", "old-env-rocks", false),
            ("*", "", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("**x", "x", true),
        ] {
            assert_eq!(matches_pattern(pattern, value), expected, "{pattern} on {value}");
        }
    }

    #[test]
    fn a_charge_goes_to_the_named_the_matching_or_the_owning_team() {
        let account = AccountName::parse("studio").unwrap();
        let draw = |team: &str, project: Option<&str>| Draw {
            key: DrawKey { account: account.clone(), team: TeamName::parse(team).unwrap() },
            selector: project.map(|p| Selector { project: vec![p.into()], ..Selector::default() }),
            allowance: None,
        };
        let draws = [draw("rest", None), draw("env", Some("env-*"))];
        let who = |team: Option<&str>, project: Option<&str>| Attribution {
            team: team.map(Into::into),
            project: project.map(Into::into),
            ..Attribution::default()
        };
        for (draws, who, expected) in [
            (&draws[..], who(None, Some("env-1")), Some("env")),
            (&draws[..], who(None, Some("props")), Some("rest")),
            (&draws[..], who(Some("rest"), Some("env-1")), Some("rest")),
            (&draws[..], who(Some("strangers"), Some("env-1")), None),
            (&draws[1..], who(None, None), None),
        ] {
            assert_eq!(team_of(draws, &who).map(TeamName::as_str), expected);
        }
    }
}
