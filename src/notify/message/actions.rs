//! What would help, in words: what to do, what it brings, and until when the credits would last then.

use jiff::{SignedDuration, Timestamp};

use super::layout::Action;
use super::view::View;
use super::words;
use crate::domain::{Credits, FuelLimit, Measure, Remedy};

/// A new date that is later by less is the same date.
const LEAST_GAIN: SignedDuration = SignedDuration::from_hours(1);

impl View<'_> {
    /// What would help, the most helpful first.
    pub(super) fn actions(&self) -> Vec<Action> {
        self.context.remedies.iter().filter_map(|remedy| self.action(remedy)).collect()
    }

    /// `None` where nothing can be said of what it brings.
    fn action(&self, remedy: &Remedy) -> Option<Action> {
        let surely = match remedy.measure {
            Measure::TopUp { surely: Some(surely) } => {
                Some(format!("{} would last in 9 of 10 cases", words::amount(surely)))
            }
            _ => None,
        };
        let parts: Vec<String> = [brings(remedy), self.until(remedy), surely].into_iter().flatten().collect();
        (!parts.is_empty()).then_some(())?;
        Some(Action { what: self.what(remedy)?, effect: parts.join("; ") })
    }

    fn what(&self, remedy: &Remedy) -> Option<String> {
        Some(match &remedy.measure {
            Measure::SlowDown { to, from, own_part } => slow_down(*to, *from, *own_part)?,
            Measure::PauseReruns => "Pause re-runs".into(),
            Measure::HalveReruns => "Make half as many re-runs".into(),
            Measure::LaunchHalf { task_type, quality } => {
                format!("Launch half as many {} tasks", words::kind_of_task(task_type, quality))
            }
            Measure::FewerVariants { task_type, quality, from, to } => {
                let variants = words::counted(&to.to_string(), "variant");
                format!("Make {variants} instead of {from} with {}", words::kind_of_task(task_type, quality))
            }
            Measure::OtherQuality { task_type, from, to } => {
                let [from, to] = [from, to].map(|quality| words::clean(quality, 40));
                format!("Launch {} as {to} instead of {from}", words::kind_of_task(task_type, ""))
            }
            Measure::CancelWaiting { tasks: 1, .. } => "Cancel the task that waits".into(),
            Measure::CancelWaiting { tasks, .. } => format!("Cancel the {} tasks that wait", words::count(*tasks)),
            Measure::TopUp { .. } => self.top_up(&words::credits(remedy.credits)),
        })
    }

    fn top_up(&self, credits: &str) -> String {
        match (self.draw.tank().map(|fuel| fuel.limit), &self.assessment.balance) {
            (Some(FuelLimit::Budget), _) => format!("Raise the budget by {credits}"),
            (Some(FuelLimit::Allowance), Some((balance, _))) => format!(
                "Raise the team's allowance by {credits} (the whole account has {} left)",
                words::amount(balance.available)
            ),
            (Some(FuelLimit::Allowance), None) => format!("Raise the team's allowance by {credits}"),
            _ => format!("Top up by {credits}"),
        }
    }

    /// Until when the credits would last, and how much longer that is.
    fn until(&self, remedy: &Remedy) -> Option<String> {
        let end = self.reset()?;
        let now = self.forecast()?.run_out.p50.filter(|now| *now < end);
        let then = remedy.run_out.unwrap_or(Timestamp::MAX).min(end);
        let gain = now.map(|now| then.duration_since(now)).filter(|gain| *gain >= LEAST_GAIN);
        let longer = gain.map(|gain| format!(", {} longer", words::span(gain)));
        if !remedy.lasts_until(end) {
            return Some(format!("then the credits last until {}{}", self.clock.later_day(then, now?), longer?));
        }
        let risk = remedy.probability.map(words::percent);
        Some(match (longer, risk) {
            (Some(longer), Some(risk)) => format!("then the credits last until {}{longer}, risk {risk}", self.end()),
            (Some(longer), None) => format!("then the credits last until {}{longer}", self.end()),
            (None, risk) => format!("then the risk is {}", risk?),
        })
    }
}

/// What it brings beside time.
fn brings(remedy: &Remedy) -> Option<String> {
    let credits = words::credits(remedy.credits);
    match remedy.measure {
        Measure::SlowDown { .. } | Measure::TopUp { .. } => None,
        Measure::CancelWaiting { is_estimated: true, .. } => Some(format!("about {credits} come back")),
        Measure::CancelWaiting { .. } => Some(format!("{credits} come back")),
        Measure::PauseReruns
        | Measure::HalveReruns
        | Measure::LaunchHalf { .. }
        | Measure::FewerVariants { .. }
        | Measure::OtherQuality { .. } => Some(format!("saves about {credits}")),
    }
}

/// Everybody in the same proportion, where others draw on it too.
fn slow_down(to: f64, from: f64, own_part: Option<f64>) -> Option<String> {
    let amount = |value: f64| Credits::from_statistic(value).map(words::amount);
    let all = format!("{} a day (now about {})", words::statistic(to)?, amount(from)?);
    Some(match own_part {
        Some(1.0) => format!("Slow down to {all}"),
        Some(part) => {
            let (own_to, own_from) = (words::statistic(to * part)?, amount(from * part)?);
            format!("Slow down to {own_to} a day (now about {own_from}), all together to {all}")
        }
        None => format!("Slow down, all together to {all}"),
    })
}
