//! The section `plan` of an account.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::account::{self, check_cron};
use super::mistakes::{Mistakes, shown};
use super::section::{Read, Text, section};
use super::tree::{Node, Value};
use super::values::{self, Context};
use crate::domain::{AnchorDay, Budget, CarryOver, DeclaredPlan, ResetRule};

section! {
    /// What is declared about a plan.
    struct PlanFile {
        /// The plan's name. Default: none.
        name: Text,
        /// Credits that each period begins with. Default: unknown.
        credits: Text,
        /// Zone of the plan: of its reset, its anchor and its budget. Default: the account's.
        timezone: Text,
        /// When the plan resets, a cron line in the plan's zone. Default: never; the account is prepaid.
        reset: Text,
        /// Or a day of each month. Default: none.
        anchor: AnchorFile,
        /// What remains at a reset: `none`, `all`, or at most so many. Default: `none`; it lapses.
        carry_over: CarryOverFile,
        /// How long after they came in bought credits lapse. Default: never.
        purchased_expire_after: Text,
        /// What may be spent of a prepaid account. Default: all of it.
        budget: BudgetFile,
    }
}

section! {
    /// What may be spent of a prepaid account.
    struct BudgetFile {
        /// At most so much in each period. Required.
        credits: Text,
        /// When a period ends and the next begins, a cron line in the plan's zone. Required.
        period: Text,
    }
}

section! {
    /// What remains at a reset, if that is neither nothing nor all.
    struct AtMostFile {
        /// At most so much remains. Required.
        at_most_credits: Text,
    }
}

/// What remains at a reset: a word, or a section.
#[derive(Debug)]
pub(super) enum CarryOverFile {
    Word(Text),
    AtMost(AtMostFile),
}

impl Read for CarryOverFile {
    fn read(node: &Node, at: &str, mistakes: &mut Mistakes) -> Option<CarryOverFile> {
        match &node.value {
            Value::Map(_) => AtMostFile::read(node, at, mistakes).map(CarryOverFile::AtMost),
            _ => Text::read(node, at, mistakes).map(CarryOverFile::Word),
        }
    }

    #[cfg(test)]
    fn keys(at: &str, found: &mut Vec<String>) {
        Text::keys(at, found);
        AtMostFile::keys(at, found);
    }
}

section! {
    /// The day of the month on which a plan resets.
    struct AnchorFile {
        /// 1 to 31; shorter months reset on their last day. Required.
        day: Text,
        /// Time of day. Default: `00:00`.
        time: Text,
    }
}

/// Credits that lapse sooner are none that anybody buys.
const LEAST_EXPIRY: Duration = Duration::from_secs(86_400);
const PERIOD_HINT: &str = "write when a period ends, such as `\"@monthly\"` or `\"0 0 * * mon\"`";

/// Checks what is declared about a plan. `None` if something in it is wrong, which has been noted then.
pub(super) fn check(file: &PlanFile, account_zone: &TimeZone, context: &mut Context) -> Option<DeclaredPlan> {
    let zone = &account::zone(file.timezone.as_ref(), account_zone, context);
    let reset = match (&file.reset, &file.anchor) {
        (Some(_), Some(anchor)) => {
            context.wrong(&anchor.head.place, "the plan has a `reset` already\nhint: keep `reset` or `anchor`")
        }
        (Some(text), None) => check_cron(text, zone, context).map(|schedule| Some(ResetRule::Cron(schedule))),
        (None, Some(anchor)) => check_anchor(anchor, zone, context).map(|anchor| Some(ResetRule::Anchor(anchor))),
        (None, None) => Some(None),
    };
    let credits = match &file.credits {
        Some(text) => values::credits(text, context).map(Some),
        None => Some(None),
    };
    let carry_over = match &file.carry_over {
        Some(file) => check_carry_over(file, context),
        None => Some(CarryOver::Nothing),
    };
    let purchased_expire_after = match &file.purchased_expire_after {
        Some(text) => check_expiry(text, context).map(Some),
        None => Some(None),
    };
    let budget = match &file.budget {
        Some(budget) => check_budget(budget, file, zone, context).map(Some),
        None => Some(None),
    };
    Some(DeclaredPlan {
        name: file.name.as_ref().map(|name| name.text.clone()),
        credits: credits?,
        reset: reset?,
        zone: file.timezone.as_ref().map(|_| zone.clone()),
        budget: budget?,
        carry_over: carry_over?,
        purchased_expire_after: purchased_expire_after?,
    })
}

fn check_carry_over(file: &CarryOverFile, context: &mut Context) -> Option<CarryOver> {
    match file {
        CarryOverFile::Word(text) => match text.text.as_str() {
            "none" => Some(CarryOver::Nothing),
            "all" => Some(CarryOver::All),
            found => {
                let message = format!(
                    "expected `none`, `all` or `{{at_most_credits: …}}`, found `{}`\n\
                     hint: write `{{at_most_credits: 12000}}` if at most so many credits remain at a reset",
                    shown(found)
                );
                context.wrong(&text.place, message)
            }
        },
        CarryOverFile::AtMost(file) => match &file.at_most_credits {
            Some(text) => values::credits(text, context).map(CarryOver::AtMost),
            None => {
                let hint = "write how many credits remain at most, or `none` or `all`";
                file.head.missing("at_most_credits", hint, &mut context.mistakes);
                None
            }
        },
    }
}

fn check_expiry(text: &Text, context: &mut Context) -> Option<SignedDuration> {
    let after = values::duration(text, LEAST_EXPIRY, context)?;
    SignedDuration::try_from(after).map_err(|error| context.mistakes.add(&text.place, error)).ok()
}

/// A budget is what people want to spend of an account that has no plan: beside a plan it would have no effect.
fn check_budget(file: &BudgetFile, plan: &PlanFile, zone: &TimeZone, context: &mut Context) -> Option<Budget> {
    let reset = plan.reset.as_ref().map(|text| ("reset", &text.place));
    let anchor = plan.anchor.as_ref().map(|anchor| ("anchor", &anchor.head.place));
    if let Some((key, _)) = reset.or(anchor) {
        let hint = format!("a budget is for a prepaid account; keep `{key}` or `budget`");
        return context.wrong(&file.head.place, format!("the plan has a `{key}` already\nhint: {hint}"));
    }
    if let Some(text) = &plan.credits {
        let hint = "hint: the limit of a budget stands in `budget.credits`";
        return context.wrong(&text.place, format!("has no effect beside `budget`\n{hint}"));
    }
    if plan.carry_over.is_some() {
        let message = "the plan has a `carry_over`\nhint: nothing lapses at the end of a budget; remove `carry_over`";
        return context.wrong(&file.head.place, message);
    }
    let hints = [("credits", "write at most how many credits may be spent in a period"), ("period", PERIOD_HINT)];
    for ((key, hint), text) in hints.into_iter().zip([&file.credits, &file.period]) {
        if text.is_none() {
            file.head.missing(key, hint, &mut context.mistakes);
        }
    }
    let credits = values::credits(file.credits.as_ref()?, context);
    let period = check_cron(file.period.as_ref()?, zone, context).map(ResetRule::Cron);
    Some(Budget { credits: credits?, period: period? })
}

fn check_anchor(file: &AnchorFile, zone: &TimeZone, context: &mut Context) -> Option<AnchorDay> {
    let time = match &file.time {
        Some(text) => check_time(text, context),
        None => Some(Time::midnight()),
    };
    let Some(day) = &file.day else {
        file.head.missing("day", "write the day of the month on which the plan resets", &mut context.mistakes);
        return None;
    };
    let number: i8 = values::whole(day, "a day of the month, 1 to 31", context)?;
    AnchorDay::new(number, time?, zone.clone()).map_err(|error| context.mistakes.add(&day.place, error)).ok()
}

fn check_time(text: &Text, context: &mut Context) -> Option<Time> {
    let time = text.text.split_once(':').and_then(|(hour, minute)| {
        let is_short = |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
        let (hour, minute) = (is_short(hour).then_some(hour)?, is_short(minute).then_some(minute)?);
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    });
    if time.is_none() {
        let found = shown(&text.text);
        context.mistakes.add(&text.place, format!("`{found}` is no time of day; expected `00:00` to `23:59`"));
    }
    time
}
