//! The answer as values: every text that the template shows, ready to be escaped.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::words::{cost, run_out, short, verdict};
use crate::domain::{Alternative, Change, EstimatePart, KnownLine, Outlook, PriceSheet, RecordedEstimate, UnknownCost};
use crate::http::door::PlanTold;
use crate::http::form::Typed;
use crate::http::verdict::Verdict;
use crate::http::words;

/// What a job would cost and do.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// What was asked, in a few words.
    asked: String,
    team: String,
    team_path: String,
    account: String,
    verdict: Verdict,
    /// What it costs, in a sentence; `None` while unknown.
    cost: Option<String>,
    unknown: Option<Unknown>,
    /// What is known beside that, a sentence each.
    notes: Vec<String>,
    /// What one in ten such jobs costs more than; `None` where the cost is certain or unknown.
    dear: Option<String>,
    rows: Vec<Row>,
    alternatives: Vec<Instead>,
    /// What they are called together.
    help: &'static str,
    parts: Vec<Part>,
    sheet: Option<Sheet>,
}

/// Why nothing can be said of the cost, and what may have been meant.
#[derive(Debug, Serialize)]
struct Unknown {
    what: String,
    hint: Option<String>,
    nearest: Vec<Link>,
}

/// The question with a word changed.
#[derive(Debug, Serialize)]
struct Link {
    word: String,
    query: String,
}

/// One figure without the job, with it, and with it at its dearest.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    without: String,
    with: String,
    dear: String,
}

#[derive(Debug, Serialize)]
struct Instead {
    what: String,
    /// The question that it is; `None` where it is none, such as a top-up.
    query: Option<String>,
    cost: String,
    chance: String,
    /// `yes` or `no`.
    lasts: &'static str,
}

#[derive(Debug, Serialize)]
struct Part {
    task_type: String,
    launch: String,
    attempts: String,
    from: String,
}

#[derive(Debug, Serialize)]
struct Sheet {
    platform: String,
    as_of: String,
    source: String,
    /// Where the source can be followed.
    url: Option<String>,
}

impl Answer {
    /// In the words of the page; `typed` is the question.
    pub fn of(told: &PlanTold, typed: &Typed) -> Answer {
        let check = &told.check;
        let known = check.estimate.lines.first().and_then(|line| line.known.as_ref().ok());
        let total = check.estimate.total.as_ref();
        let parts = known.map(|known| known.parts.as_slice()).unwrap_or_default();
        let variants = told.lines.first().map_or(1, |line| line.request.variants);
        let is_listed = parts.iter().any(|part| part.listed.is_some());
        let alternatives: Vec<Instead> =
            check.alternatives.iter().map(|found| Instead::of(found, typed, &told.zone)).collect();
        let team = told.draw.key.team.to_string();
        Answer {
            asked: told.lines.iter().map(|line| line.request.in_words()).collect::<Vec<_>>().join(", "),
            team_path: words::path_segment(&team),
            team,
            account: told.draw.key.account.to_string(),
            verdict: verdict(told),
            cost: total.map(cost),
            unknown: check.estimate.unknown().map(|unknown| Unknown::of(unknown, typed)),
            notes: notes(told, known),
            dear: total.filter(|total| total.credits.p50 != total.credits.p90).map(|total| short(total.credits.p90)),
            rows: rows(told),
            help: match alternatives.iter().any(|instead| instead.lasts == "yes") {
                true => "What would keep the credits",
                false => "What would help",
            },
            alternatives,
            parts: parts.iter().map(|part| Part::of(part, variants)).collect(),
            sheet: told.prices.as_deref().filter(|_| is_listed).map(Sheet::of),
        }
    }
}

/// The question with these words instead, as the query of an address.
fn query(typed: &Typed, changes: &[(&str, &str)]) -> String {
    let mut changed = typed.clone();
    changed.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(changed).finish()
}

impl Unknown {
    fn of(unknown: &UnknownCost, typed: &Typed) -> Unknown {
        let words = unknown.to_string();
        let (what, hint) = words.split_once('\n').unwrap_or((&words, ""));
        let (name, nearest): (&str, &[String]) = match unknown {
            UnknownCost::TaskType { nearest, .. } => ("task", nearest),
            UnknownCost::Quality { known, .. } => ("quality", known),
            UnknownCost::NothingAsked { .. } | UnknownCost::Price { .. } => ("", &[]),
        };
        let link = |word: &String| Link { word: word.clone(), query: query(typed, &[(name, word)]) };
        Unknown {
            what: words::sentence(what),
            // What can be chosen is there to be chosen.
            hint: Some(hint.trim_start_matches("hint: "))
                .filter(|hint| !hint.is_empty() && nearest.is_empty())
                .map(words::sentence),
            nearest: nearest.iter().map(link).collect(),
        }
    }
}

fn rows(told: &PlanTold) -> Vec<Row> {
    let Some(effect) = &told.check.effect else { return Vec::new() };
    let outlooks = [&effect.before, &effect.after, &effect.after_p90];
    if outlooks.iter().all(|outlook| outlook.forecast().is_none()) {
        return Vec::new();
    }
    let row = |name: String, show: &dyn Fn(&Outlook) -> String| {
        let [without, with, dear] = outlooks.map(show);
        Row { name, without, with, dear }
    };
    let chance = |outlook: &Outlook| {
        outlook.forecast().and_then(|forecast| forecast.probability).map_or("–".to_owned(), words::percent)
    };
    let mut rows = Vec::new();
    if let Some(end) = told.draw.end_in_words() {
        rows.push(row(format!("Run out before {end}?"), &chance));
    }
    rows.push(row("Run out".to_owned(), &|outlook| run_out(outlook, &told.draw, &told.zone, told.now)));
    rows
}

fn notes(told: &PlanTold, known: Option<&KnownLine>) -> Vec<String> {
    let draw = &told.draw;
    let mut notes = Vec::new();
    let is_counted = known
        .is_none_or(|known| known.parts.iter().all(|part| part.attempts_per_asset.is_some() || part.is_step))
        || told.lines.iter().any(|line| line.request.attempts.is_some());
    if !is_counted {
        let why = "the history does not say which launches are for the same asset";
        notes.push(format!("Repeated attempts come on top: {why}. Say how many you expect if you know."));
    }
    if let Some(fuel) = &draw.fuel {
        let left = words::credits(fuel.left);
        let chance = told.check.chance_above_left.filter(|chance| *chance >= 0.005);
        notes.push(match chance {
            Some(chance) => {
                format!(
                    "{left} credits are left now; the chance that it alone costs more is {}.",
                    words::percent(chance)
                )
            }
            None => format!("{left} credits are left now."),
        });
    }
    if let Some(period) = &draw.period {
        let end = words::moment(period.end, &told.zone, told.now);
        notes.push(format!("{} is on {end}.", words::sentence(period.end_in_words()).trim_end_matches('.')));
    }
    notes.extend(told.check.drifts.iter().map(|drift| format!("{}.", drift.in_words())));
    notes.extend(told.check.wait.as_ref().map(|wait| wait.in_words()));
    notes.extend(words::queued(&draw.queued));
    let announced = draw.announced.iter().map(|standing| standing.announcement.foreseen.in_words(&told.zone));
    let announced: Vec<String> = announced.collect();
    let planned: Vec<String> =
        draw.estimates.iter().filter(|kept| kept.is_open() && kept.is_planned).map(planned_in_words).collect();
    if !planned.is_empty() {
        notes.push(format!("Planned already, and reckoned with in every figure here: {}.", planned.join("; ")));
    }
    if !announced.is_empty() {
        notes.push(format!("Announced, and reckoned with in every figure here: {}.", announced.join("; ")));
    }
    notes
}

/// A plan, with what is still to come of it.
fn planned_in_words(kept: &RecordedEstimate) -> String {
    let name = if kept.label.is_empty() { kept.in_words() } else { kept.label.clone() };
    format!("{name} (about {} credits to come)", short(kept.remaining().p50))
}

impl Instead {
    fn of(found: &Alternative, typed: &Typed, zone: &TimeZone) -> Instead {
        let query = match &found.change {
            Change::FewerVariants { to, .. } => Some(query(typed, &[("variants", &to.to_string())])),
            Change::OtherQuality { to, .. } => Some(query(typed, &[("quality", to)])),
            Change::FewerAssets { to, .. } => Some(query(typed, &[("count", &to.to_string())])),
            Change::AfterReset { at } => Some(query(typed, &[("start", &local(*at, zone))])),
            Change::FewerLines { .. } | Change::TopUp { .. } => None,
        };
        Instead {
            what: found.change.in_words(zone),
            query,
            cost: short(found.credits.p50),
            chance: found.probability.map_or("–".to_owned(), words::percent),
            lasts: if found.would_last { "yes" } else { "no" },
        }
    }
}

/// A moment as the form writes it, to the minute and never before it.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    let minute = -((-at.as_nanosecond()).div_euclid(60_000_000_000));
    let at = i64::try_from(minute * 60).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(at);
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string()
}

impl Part {
    fn of(part: &EstimatePart, variants: u32) -> Part {
        let attempts = match part.attempts_per_asset {
            _ if part.is_step => "one each".to_owned(),
            Some(attempts) if attempts.p90 > 1 => format!("{:.1}, up to {}", attempts.mean, attempts.p90),
            Some(attempts) => format!("{:.1}", attempts.mean),
            None => words::NOT_KNOWN.to_owned(),
        };
        let (p50, p90) = (words::credits(part.per_launch_p50), words::credits(part.per_launch_p90));
        let own = (part.tasks > 0).then(|| words::counted(part.tasks.into(), "launch", "launches"));
        let others = part.tasks_of_others;
        let others = (others > 0).then(|| format!("{} of other teams", words::count(others.into())));
        let each = if part.is_step || variants == 1 { String::new() } else { format!(" for {variants} variants") };
        let sheet = part.listed.map(|listed| format!("price sheet: {listed}{each}"));
        Part {
            task_type: part.task_type.clone(),
            launch: if p50 == p90 { p50 } else { format!("{p50} to {p90}") },
            attempts,
            from: [own, others, sheet].into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

impl Sheet {
    fn of(sheet: &PriceSheet) -> Sheet {
        let is_followed = sheet.source.starts_with("https://") || sheet.source.starts_with("http://");
        Sheet {
            platform: sheet.platform.clone(),
            as_of: sheet.as_of.strftime("%-d %B %Y").to_string(),
            source: sheet.source.clone(),
            url: is_followed.then(|| sheet.source.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::sample;

    #[test]
    fn a_start_is_written_to_the_minute_and_never_before_it() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (at, expected) in [
            ("2026-11-30T23:00:00Z", "2026-12-01T00:00"),
            ("2026-11-30T23:00:00.001Z", "2026-12-01T00:01"),
            ("2026-11-30T22:59:01Z", "2026-12-01T00:00"),
            ("1969-12-31T23:59:30Z", "1970-01-01T01:00"),
        ] {
            assert_eq!(local(sample::at(at), &berlin), expected, "{at}");
        }
    }

    #[test]
    fn a_changed_question_keeps_the_rest_of_it() {
        let typed = |pairs: &[(&str, &str)]| -> Typed {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let asked = typed(&[("team", "a & b"), ("variants", "4"), ("task", "rig")]);
        assert_eq!(query(&asked, &[("variants", "2")]), "task=rig&team=a+%26+b&variants=2");
        let unknown = UnknownCost::Price { task_type: "rig".into(), tasks: 3 };
        let unknown = Unknown::of(&unknown, &asked);
        assert_eq!((unknown.nearest.len(), unknown.hint.as_deref()), (0, Some("Wait for a charge.")));
        let nearest = vec!["rigg".to_owned(), "\"<b>".to_owned()];
        let unknown = Unknown::of(&UnknownCost::TaskType { asked: "rig".into(), nearest }, &asked);
        assert_eq!(unknown.hint, None, "what can be chosen is a link");
        assert_eq!(unknown.nearest[1].query, "task=%22%3Cb%3E&team=a+%26+b&variants=4");
    }
}
