//! The one sentence that a lead reads: will the credits last?

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::words;
use crate::domain::{
    AccountAssessment, DrawAssessment, ExhaustionPolicy, Finding, Forecast, Guess, Outlook, PlanPeriod, RuleName, Stage,
};

/// From this share of a period's credits left unused, the page speaks of waste.
const WASTE_SHARE: f64 = 0.25;
/// Below this probability the credits are said to last.
const CALM_BELOW: f64 = 0.10;

/// How a verdict looks, worst first: the order in which the page lists the teams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Dry, or very likely to be before the reset.
    Bad,
    /// More likely than not.
    Warn,
    /// Nothing can be said.
    Unknown,
    /// Possible.
    Watch,
    /// Much will lapse unused.
    Waste,
    /// Fine.
    Good,
}

impl Tone {
    /// What the front page says of the teams of a tone, after their number.
    pub const fn in_words(self) -> &'static str {
        match self {
            Tone::Bad => "running dry",
            Tone::Warn => "at risk",
            Tone::Unknown => "not known",
            Tone::Watch => "to watch",
            Tone::Waste => "letting credits lapse",
            Tone::Good => "fine",
        }
    }
}

/// The sentence and what stands below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its colour.
    pub tone: Tone,
    /// A few words.
    pub headline: String,
    /// One clause more.
    pub detail: String,
}

/// Says whether the credits of a draw will last, in the account's zone.
pub fn verdict(account: &AccountAssessment, draw: &DrawAssessment, now: Timestamp) -> Verdict {
    let zone = &account.zone;
    let told = match &draw.outlook {
        Outlook::UnknownBalance => unknown(draw, now),
        _ if draw.fuel.as_ref().is_some_and(|fuel| !fuel.left.is_positive()) => out_of_credits(draw, zone, now),
        Outlook::TooLittleHistory { hours, charges, guess } => Verdict {
            tone: Tone::Unknown,
            headline: "Too little history for a forecast".to_string(),
            detail: format!(
                "{} in {} so far{}",
                words::counted(u64::from(*charges), "charge", "charges"),
                words::counted(u64::from(*hours), "hour", "hours"),
                guess.as_ref().map_or_else(String::new, |guess| guessed(draw, guess))
            ),
        },
        Outlook::Forecast(forecast) => predicted(account, draw, forecast, now),
    };
    // What is firing about the same question is never shown in a calmer colour than its stage.
    let firing = draw.alert(RuleName::Exhaustion).firing();
    let firing = firing.map(|stage| if stage == Stage::Critical { Tone::Bad } else { Tone::Warn });
    let Some(firing) = firing else { return told };
    if matches!(told.tone, Tone::Waste | Tone::Good) {
        return Verdict {
            tone: firing,
            headline: "Expected to last again".to_string(),
            detail: "the alert resolves once that has held for a while".to_string(),
        };
    }
    Verdict { tone: firing.min(told.tone), ..told }
}

/// What follows if a team uses roughly what it bought.
fn guessed(draw: &DrawAssessment, guess: &Guess) -> String {
    let until = draw.period.as_ref().map_or("the reset", PlanPeriod::end_in_words);
    let [few, many] = [guess.use_ahead.p10, guess.use_ahead.p90].map(|credits| words::about(credits.as_f64().round()));
    format!("; by what was bought {few} to {many} more until {until}, a guess")
}

fn unknown(draw: &DrawAssessment, now: Timestamp) -> Verdict {
    let (headline, detail) = match &draw.fuel {
        Some(fuel) if !fuel.fresh => (
            format!("The last reading is {} old", words::span(now.as_second() - fuel.as_of.as_second())),
            format!("{} credits were left then; no forecast until a poll succeeds", words::credits(fuel.left)),
        ),
        _ => ("How much is left is not known".to_string(), "no forecast until the balance is read".to_string()),
    };
    Verdict { tone: Tone::Unknown, headline, detail }
}

fn out_of_credits(draw: &DrawAssessment, zone: &TimeZone, now: Timestamp) -> Verdict {
    let detail = match &draw.period {
        Some(period) => {
            format!("nothing left until {} on {}", period.end_in_words(), words::moment(period.end, zone, now))
        }
        None => "nothing left until credits are bought".to_string(),
    };
    Verdict { tone: Tone::Bad, headline: "Out of credits".to_string(), detail }
}

fn predicted(account: &AccountAssessment, draw: &DrawAssessment, forecast: &Forecast, now: Timestamp) -> Verdict {
    let zone = &account.zone;
    let (Some(period), Some(probability)) = (&draw.period, forecast.probability) else {
        return without_reset(forecast, zone, now);
    };
    let chance = words::percent(probability);
    let end = period.end_in_words();
    if probability >= 0.5 {
        let finding = ExhaustionPolicy::default().judge(&draw.outlook, Some((period.start, period.end)));
        let tone = if matches!(finding, Finding::Holds(_)) { Tone::Bad } else { Tone::Warn };
        let (headline, detail) = match forecast.run_out.p50.filter(|dry| *dry < period.end) {
            Some(dry) => (
                format!("Runs out {}", words::date(dry, zone, now)),
                format!(
                    "{} before {end}, {} ({chance})",
                    words::span(period.end.as_second() - dry.as_second()),
                    words::likelihood(probability)
                ),
            ),
            None => (format!("May run out before {end}"), format!("the chance is {chance}")),
        };
        return Verdict { tone, headline, detail };
    }
    if probability >= CALM_BELOW {
        let detail = format!("running out before is {} ({chance})", words::likelihood(probability));
        return Verdict { tone: Tone::Watch, headline: format!("Should last until {end}"), detail };
    }
    let granted = draw.allowance.or(period.allowance).filter(|granted| granted.is_positive());
    let wasted = account.lapsing(draw).filter(|lapsing| lapsing.is_positive());
    match (wasted, granted) {
        (Some(wasted), Some(granted)) if wasted.as_f64() >= WASTE_SHARE * granted.as_f64() => Verdict {
            tone: Tone::Waste,
            headline: format!("About {} credits will lapse", words::credits(wasted)),
            detail: format!("lasts until {end}; the chance of running out is {chance}"),
        },
        _ => Verdict {
            tone: Tone::Good,
            headline: format!("Lasts until {end}"),
            detail: match forecast.unused.filter(|unused| unused.is_positive()) {
                Some(spare) => format!("with about {} credits to spare", words::credits(spare)),
                None => format!("the chance of running out before is {chance}"),
            },
        },
    }
}

fn without_reset(forecast: &Forecast, zone: &TimeZone, now: Timestamp) -> Verdict {
    match forecast.run_out.p50 {
        Some(dry) => Verdict {
            tone: if dry.as_second() - now.as_second() < 7 * 86_400 { Tone::Warn } else { Tone::Watch },
            headline: format!("Lasts until about {}", words::date(dry, zone, now)),
            detail: format!("{} from now; prepaid, there is no reset", words::span(dry.as_second() - now.as_second())),
        },
        None => Verdict {
            tone: Tone::Good,
            headline: format!("Lasts beyond {}", words::date(forecast.horizon, zone, now)),
            detail: "prepaid, there is no reset".to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Alert, AlertState, Credits, FuelLimit, RuleName};
    use crate::metrics::sample;

    fn told(outlook: Outlook, left: i64) -> Verdict {
        let draw = sample::draw(sample::key("studio", "art"), 1000, left, FuelLimit::Balance, outlook);
        verdict(&sample::account("studio", "meshy"), &draw, sample::now())
    }

    #[test]
    fn the_sentence_fits_the_forecast() {
        let dry = [Some("2026-11-23T13:00:00Z"), Some("2026-11-24T09:00:00Z"), None];
        let late = [Some("2026-11-29T13:00:00Z"), Some("2026-12-04T09:00:00Z"), None];
        for (outlook, left, tone, headline, detail) in [
            (
                sample::forecast(0.97, 40.0, 0, dry),
                90,
                Tone::Bad,
                "Runs out Tue 24 Nov",
                "7\u{a0}days before the reset, almost certain (97%)",
            ),
            (
                sample::forecast(0.6, 40.0, 0, dry),
                90,
                Tone::Warn,
                "Runs out Tue 24 Nov",
                "7\u{a0}days before the reset, likely (60%)",
            ),
            (
                sample::forecast(0.3, 40.0, 10, late),
                300,
                Tone::Watch,
                "Should last until the reset",
                "running out before is possible (30%)",
            ),
            (
                sample::forecast(0.05, 40.0, 90, late),
                400,
                Tone::Good,
                "Lasts until the reset",
                "with about 90 credits to spare",
            ),
            (
                sample::forecast(0.0, 1.0, 850, [None; 3]),
                860,
                Tone::Waste,
                "About 850 credits will lapse",
                "lasts until the reset; the chance of running out is under 1%",
            ),
            (
                sample::forecast(1.0, 40.0, 0, dry),
                0,
                Tone::Bad,
                "Out of credits",
                "nothing left until the reset on Tue 1 Dec, 00:00\u{a0}CET",
            ),
            (
                Outlook::TooLittleHistory { hours: 5, charges: 1, guess: None },
                90,
                Tone::Unknown,
                "Too little history for a forecast",
                "1 charge in 5 hours so far",
            ),
        ] {
            let expected = Verdict { tone, headline: headline.into(), detail: detail.into() };
            assert_eq!(told(outlook, left), expected);
        }
    }

    #[test]
    fn what_is_unknown_is_said_so() {
        let snapshot = sample::snapshot();
        let of =
            |account: usize| verdict(&snapshot.accounts[account], &snapshot.accounts[account].draws[0], sample::now());
        assert_eq!(of(2).headline, "How much is left is not known");
        assert_eq!(of(3).headline, "The last reading is 7\u{a0}h old");
        assert_eq!(of(3).detail, "1,730 credits were left then; no forecast until a poll succeeds");
    }

    #[test]
    fn only_what_does_not_stay_lapses() {
        let outlook = sample::forecast(0.02, 1.0, 600, [None; 3]);
        let draw = |limit| sample::draw(sample::key("studio", "art"), 1000, 900, limit, outlook.clone());
        let grant = (sample::now(), Credits::from_whole(450));
        for (limit, grants, lapsing, headline) in [
            (FuelLimit::Balance, vec![], 600, "About 600 credits will lapse"),
            (FuelLimit::Balance, vec![grant], 150, "Lasts until the reset"),
            (FuelLimit::Balance, vec![grant, grant], 0, "Lasts until the reset"),
            (FuelLimit::Allowance, vec![grant], 600, "About 600 credits will lapse"),
        ] {
            let account = AccountAssessment { grants, ..sample::account("studio", "meshy") };
            let draw = draw(limit);
            assert_eq!(account.lapsing(&draw), Some(Credits::from_whole(lapsing)));
            assert_eq!(verdict(&account, &draw, sample::now()).headline, headline);
        }
    }

    #[test]
    fn a_firing_alert_is_never_shown_calm() {
        let calm = sample::forecast(0.02, 1.0, 0, [None; 3]);
        let mut draw = sample::draw(sample::key("studio", "art"), 1000, 900, FuelLimit::Balance, calm);
        let firing = |stage| AlertState::Firing {
            level: crate::domain::Level::from(stage),
            since: sample::now(),
            clear_since: None,
            told: None,
        };
        for (stage, tone) in [(Stage::Warning, Tone::Warn), (Stage::Critical, Tone::Bad)] {
            let alert = Alert { episode: 1, state: firing(stage) };
            draw.alerts = vec![crate::domain::RuleAlert { rule: RuleName::Exhaustion, alert, mute: None }];
            assert_eq!(verdict(&sample::account("studio", "meshy"), &draw, sample::now()).tone, tone);
        }
    }
}
