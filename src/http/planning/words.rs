//! The answer in plain words: what it costs, and whether the credits would last.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::{Credits, DrawAssessment, Effect, Forecast, Outlook, PlanPeriod, Quantiles, Total};
use crate::http::door::PlanTold;
use crate::http::verdict::{Tone, Verdict};
use crate::http::words;

/// `About 2,050 credits (1,700 to 2,900), 58 launches.` A cost that is certain is told to the credit.
pub fn cost(total: &Total) -> String {
    let launches = total.launches.map(|launches| {
        let range = match launches.p10 == launches.p90 {
            true => String::new(),
            false => format!(" ({} to {})", words::count(launches.p10), words::count(launches.p90)),
        };
        format!(", {}{range}", words::counted(launches.p50, "launch", "launches"))
    });
    format!("{}{}.", range(&total.credits), launches.unwrap_or_default())
}

/// `About 2,050 credits (1,700 to 2,900)`.
pub fn range(credits: &Quantiles<Credits>) -> String {
    match credits.p10 == credits.p90 {
        true => format!("{} credits", words::credits(credits.p50)),
        false => format!("About {} credits ({} to {})", short(credits.p50), short(credits.p10), short(credits.p90)),
    }
}

/// A statistic to three digits: more would promise too much.
pub fn short(credits: Credits) -> String {
    let value = credits.as_f64();
    let unit = 10_f64.powi(value.abs().max(1.0).log10().floor() as i32 - 2);
    words::about(if unit > 1.0 { (value / unit).round() * unit } else { value })
}

/// A day in full: `Thursday 3 December`, with the year where it is another.
pub fn day(at: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let then = at.to_zoned(zone.clone());
    let is_this_year = then.year() == now.to_zoned(zone.clone()).year();
    then.strftime(if is_this_year { "%A %-d %B" } else { "%A %-d %B %Y" }).to_string()
}

/// Above this probability (0 to 1) of running out the credits are to be watched.
const CALM_BELOW: f64 = 0.10;

/// Whether the credits would last.
pub fn verdict(told: &PlanTold) -> Verdict {
    let Some(effect) = &told.check.effect else {
        let detail = "so whether the credits would last is not known either".to_owned();
        return Verdict { tone: Tone::Unknown, headline: "What it would cost is not known".to_owned(), detail };
    };
    let Some(would_last) = told.check.would_last else {
        let headline = "Whether the credits would last is not known".to_owned();
        return Verdict { tone: Tone::Unknown, headline, detail: why_unknown(effect) };
    };
    let Some(after) = effect.after.forecast() else {
        let headline = "Whether the credits would last is not known".to_owned();
        return Verdict { tone: Tone::Unknown, headline, detail: why_unknown(effect) };
    };
    let words = Words { told, effect, after };
    match &told.draw.period {
        Some(period) if would_last => Verdict {
            tone: if words.is_calm() { Tone::Good } else { Tone::Watch },
            headline: format!("The credits would last until {}", period.end_in_words()),
            detail: words.lasts(period),
        },
        Some(period) => Verdict {
            tone: Tone::Bad,
            headline: "The credits would not last".to_owned(),
            detail: words.runs_out(period),
        },
        None if would_last => Verdict {
            tone: Tone::Good,
            headline: "The credits would cover it".to_owned(),
            detail: format!("with it they last until {} (now: {})", words.until(after), words.now(None)),
        },
        None => Verdict {
            tone: Tone::Bad,
            headline: "The credits would not cover it".to_owned(),
            detail: format!("they would run out before all of it is launched (now: {})", words.now(None)),
        },
    }
}

struct Words<'a> {
    told: &'a PlanTold,
    effect: &'a Effect,
    after: &'a Forecast,
}

impl Words<'_> {
    /// Whether nothing has to be watched, even if the job is dear.
    fn is_calm(&self) -> bool {
        let dear = self.effect.after_p90.forecast().and_then(|dear| dear.probability);
        dear.is_none_or(|probability| probability < CALM_BELOW)
    }

    fn day(&self, at: Timestamp) -> String {
        day(at, &self.told.zone, self.told.now)
    }

    fn until(&self, forecast: &Forecast) -> String {
        match forecast.run_out.p50 {
            Some(at) => format!("about {}", self.day(at)),
            None => format!("after {}", self.day(forecast.horizon)),
        }
    }

    /// When they run out without the job.
    fn now(&self, period: Option<&PlanPeriod>) -> String {
        match (self.effect.before.forecast(), period) {
            (None, _) => words::NOT_KNOWN.to_owned(),
            (Some(before), Some(period)) => match before_end(before, period) {
                Some(at) => format!("on {}", self.day(at)),
                None => format!("not before {}", period.end_in_words()),
            },
            (Some(before), None) => self.until(before),
        }
    }

    fn lasts(&self, period: &PlanPeriod) -> String {
        let end = format!("on {}", self.day(period.end));
        let starts = self.told.lines.iter().filter_map(|line| line.starts_at).min();
        if starts.is_some_and(|start| start >= period.end) {
            let next = "It is launched after that and paid from what comes then, of which nothing is forecast";
            return format!("{end}; the chance of running out before is {}. {next}", self.chance(&self.effect.before));
        }
        let [with, now] = [&self.effect.after, &self.effect.before].map(|outlook| self.chance(outlook));
        format!("{end}; the chance of running out before is {with} (now: {now})")
    }

    fn runs_out(&self, period: &PlanPeriod) -> String {
        let end = period.end_in_words();
        let dear = self.effect.after_p90.forecast();
        let before = |at: Timestamp| {
            format!("{}, {} before {end}", self.day(at), words::span(period.end.as_second() - at.as_second()))
        };
        let now = self.now(Some(period));
        if let Some(at) = before_end(self.after, period) {
            return format!("they would run out on {} (now: {now})", before(at));
        }
        if let Some(at) = dear.and_then(|dear| before_end(dear, period)) {
            return format!(
                "if it costs as much as one in ten such jobs does, they would run out on {} (now: {now})",
                before(at)
            );
        }
        let [with, without] = [&self.effect.after_p90, &self.effect.before].map(|outlook| self.chance(outlook));
        format!("they could run out before {end}: the chance is up to {with} (now: {without})")
    }

    fn chance(&self, outlook: &Outlook) -> String {
        outlook.forecast().and_then(|forecast| forecast.probability).map_or(words::NOT_KNOWN.to_owned(), words::percent)
    }
}

/// The median end of the credits, if it comes before that of the period.
fn before_end(forecast: &Forecast, period: &PlanPeriod) -> Option<Timestamp> {
    forecast.run_out.p50.filter(|at| *at < period.end)
}

fn why_unknown(effect: &Effect) -> String {
    match [&effect.before, &effect.after_p90].into_iter().find(|outlook| outlook.forecast().is_none()) {
        Some(Outlook::TooLittleHistory { hours, charges, .. }) => format!(
            "{} in {} so far: too little history for a forecast",
            words::counted(u64::from(*charges), "charge", "charges"),
            words::counted(u64::from(*hours), "hour", "hours")
        ),
        _ => "how much is left is not known, or was read too long ago: no forecast until a poll succeeds".to_owned(),
    }
}

/// One row of the comparison: a median date, or that it is not reached.
pub fn run_out(outlook: &Outlook, draw: &DrawAssessment, zone: &TimeZone, now: Timestamp) -> String {
    let Some(forecast) = outlook.forecast() else { return "–".to_owned() };
    match (forecast.run_out.p50, &draw.period) {
        (Some(at), Some(period)) if at >= period.end => format!("after {}", period.end_in_words()),
        (Some(at), _) => words::date(at, zone, now),
        (None, _) => format!("after {}", words::date(forecast.horizon, zone, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Estimate, EstimateRequest, FuelLimit, Past, PastTask, PlanCheck, PlannedLine, TaskState, estimate,
    };
    use crate::metrics::sample;

    /// What `count` rigs cost where one costs 12 credits each time, or more each time.
    fn rigs(count: u32, step: i64) -> Estimate {
        let task = |number: i64| PastTask {
            task_type: "rig".into(),
            quality: String::new(),
            credits_net: sample::credits(12 + number % 7 * step),
            variants: None,
            fingerprint: None,
            is_step: false,
            state: TaskState::Succeeded,
        };
        let own: Vec<PastTask> = (0..80).map(task).collect();
        let (task_type, quality, variants, attempts) = ("rig".into(), None, 1, None);
        let request = EstimateRequest { task_type, quality, variants, count, attempts };
        estimate(&Past { own: &own, others: &[], sheet: None }, &[request])
    }

    fn told(outlooks: Option<[Outlook; 3]>, would_last: Option<bool>, has_period: bool) -> PlanTold {
        let outlook = Outlook::UnknownBalance;
        let mut draw = sample::draw(sample::key("studio", "art"), 1000, 900, FuelLimit::Balance, outlook);
        draw.period = draw.period.filter(|_| has_period);
        let estimate = rigs(3, 0);
        let request = estimate.lines[0].request.clone();
        let effect =
            |[before, after, after_p90]: [Outlook; 3]| Effect { before, after, after_p90, launched_by: sample::now() };
        PlanTold {
            draw: Box::new(draw),
            lines: vec![PlannedLine { request, starts_at: None }],
            check: PlanCheck {
                estimate,
                effect: outlooks.map(effect),
                would_last,
                chance_above_left: None,
                alternatives: Vec::new(),
                wait: None,
                jobs: Vec::new(),
                drifts: Vec::new(),
            },
            prices: None,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: sample::now(),
        }
    }

    #[test]
    fn a_cost_is_told_with_its_range_and_no_more_digits_than_it_is_known_to() {
        assert_eq!(cost(rigs(3, 0).total.as_ref().unwrap()), "36 credits.");
        let wide = cost(rigs(90, 9).total.as_ref().unwrap());
        let digits: Vec<&str> =
            wide.split(|c: char| !c.is_ascii_digit() && c != ',').filter(|word| !word.is_empty()).collect();
        assert!(wide.starts_with("About ") && digits.len() >= 3, "{wide}");
        assert!(digits[..3].iter().all(|number| number.ends_with('0') && number.len() == 5), "{wide}");
        for (credits, expected) in [(0, "0"), (999, "999"), (1_234, "1,230"), (98_765, "98,800"), (-1_234, "−1,230")]
        {
            assert_eq!(short(sample::credits(credits)), expected);
        }
    }

    #[test]
    fn the_verdict_says_whether_the_credits_last_and_when_they_would_end() {
        let ends = |probability, at| sample::forecast(probability, 9.0, 0, [None, at, None]);
        let (early, earlier) = (Some("2026-11-26T13:00:00Z"), Some("2026-11-24T09:00:00Z"));
        let (late, never) = (Some("2026-12-04T09:00:00Z"), None);
        let poor = Outlook::TooLittleHistory { hours: 5, charges: 1, guess: None };
        for (outlooks, would_last, has_period, tone, headline, detail) in [
            (None, None, true, Tone::Unknown, "What it would cost is not known", "so whether"),
            (
                Some([poor.clone(), poor.clone(), poor]),
                None,
                true,
                Tone::Unknown,
                "Whether the credits would last is not known",
                "1 charge in 5 hours so far: too little history for a forecast",
            ),
            (
                Some([Outlook::UnknownBalance, Outlook::UnknownBalance, Outlook::UnknownBalance]),
                None,
                true,
                Tone::Unknown,
                "Whether the credits would last is not known",
                "how much is left is not known",
            ),
            (
                Some([ends(0.01, never), ends(0.03, late), ends(0.05, late)]),
                Some(true),
                true,
                Tone::Good,
                "The credits would last until the reset",
                "on Tuesday 1 December; the chance of running out before is 3% (now: 1%)",
            ),
            (
                Some([ends(0.1, never), ends(0.3, late), ends(0.4, late)]),
                Some(true),
                true,
                Tone::Watch,
                "The credits would last until the reset",
                "is 30% (now: 10%)",
            ),
            (
                Some([ends(0.6, early), ends(0.97, earlier), ends(0.98, earlier)]),
                Some(false),
                true,
                Tone::Bad,
                "The credits would not last",
                "they would run out on Tuesday 24 November, 7\u{a0}days before the reset (now: on Thursday 26 November)",
            ),
            (
                Some([ends(0.1, late), ends(0.4, late), ends(0.92, early)]),
                Some(false),
                true,
                Tone::Bad,
                "The credits would not last",
                "if it costs as much as one in ten such jobs does, they would run out on Thursday 26 November",
            ),
            (
                Some([ends(0.1, late), ends(0.4, late), ends(0.92, never)]),
                Some(false),
                true,
                Tone::Bad,
                "The credits would not last",
                "they could run out before the reset: the chance is up to 92% (now: 10%)",
            ),
            (
                Some([ends(0.0, never), ends(0.0, late), ends(0.0, late)]),
                Some(true),
                false,
                Tone::Good,
                "The credits would cover it",
                "with it they last until about Friday 4 December (now: after Sunday 31 January 2027)",
            ),
            (
                Some([ends(0.0, late), ends(0.0, early), ends(0.0, early)]),
                Some(false),
                false,
                Tone::Bad,
                "The credits would not cover it",
                "(now: about Friday 4 December)",
            ),
        ] {
            let found = verdict(&told(outlooks, would_last, has_period));
            assert_eq!((found.tone, found.headline.as_str()), (tone, headline), "{found:?}");
            assert!(found.detail.contains(detail), "{detail}: {}", found.detail);
        }
        let calm = [ends(0.01, never), ends(0.03, late), ends(0.05, late)];
        let mut later = told(Some(calm), Some(true), true);
        later.lines[0].starts_at = Some(sample::at("2026-12-03T00:00:00Z"));
        assert!(verdict(&later).detail.contains("paid from what comes then"));
    }
}
