//! The digest of a team: what was spent since the last one and how that compares, what was wasted, what lies ahead, and which
//! alerts there were.

use jiff::{SignedDuration, Timestamp};
use lettre::message::Mailbox;

use super::MessageError;
use super::draw::{DrawView, team_page};
use super::layout::{Frame, Number};
use super::report::{Occasion, Part, Post, send};
use super::spending::{by_kind, retries_of, spent};
use super::words;
use crate::domain::remedy::share;
use crate::domain::{
    AccountAssessment, Credits, DrawAssessment, Drivers, EstimateAccuracy, EstimateOutcome, Mute, Outlook, PastAlert,
    RecordedEstimate, RenderedMail, RetryKind, RuleAlert, Silences, Stage, TeamName,
};

/// What the digest of a team is made of.
pub struct TeamDigest<'a> {
    /// The team.
    pub team: &'a TeamName,
    /// From when on.
    pub from: Timestamp,
    /// Up to when: the time it was scheduled for.
    pub to: Timestamp,
    /// One for each account that the team draws on, as it is now.
    pub draws: Vec<DrawDigest<'a>>,
    /// Which alerts nobody is told of, and for how long.
    pub silences: &'a Silences,
    /// The roles that get it, to say why.
    pub roles: Vec<&'static str>,
}

/// What a digest says of one account.
pub struct DrawDigest<'a> {
    /// The account, and the draw within it.
    pub assessment: &'a AccountAssessment,
    /// The draw.
    pub draw: &'a DrawAssessment,
    /// What was spent on since the last digest.
    pub spent_on: Drivers,
    /// Net use of as long a time before that.
    pub spent_before: Credits,
    /// Of the tasks since the last digest, those that ended badly and were charged for, and what has not come back.
    pub unrefunded: (u64, Credits),
    /// Alerts that were under way since the last digest.
    pub alerts: Vec<PastAlert>,
    /// Recorded estimates that ended since the last digest.
    pub estimates: Vec<RecordedEstimate>,
}

/// Less than this much more or less is as much (0 to 1).
const AS_MUCH: f64 = 0.02;

/// Writes the digest of a team for each of its recipients.
///
/// # Errors
/// See [`MessageError`]; none is expected for checked configuration.
pub fn render_digest(
    digest: &TeamDigest,
    occasion: &Occasion,
    post: &Post,
    recipients: &[&Mailbox],
) -> Result<Vec<RenderedMail>, MessageError> {
    let views: Vec<Draw> = digest
        .draws
        .iter()
        .map(|of| Draw { view: DrawView::new(of.assessment, of.draw, &post.zone, occasion.at), of, digest })
        .collect();
    let team = words::clean(digest.team.as_str(), 64);
    let dates = dates(digest, &views);
    let state = format!("From {dates}");
    let headline = match &views[..] {
        [one] => format!("team {team} spent {}. {}", one.compared(), one.ahead_in_short()),
        several => {
            let parts: Vec<String> =
                several.iter().map(|one| format!("{} on {}", words::credits(one.spent()), one.account())).collect();
            let ahead = several
                .iter()
                .map(|one| format!("On {} {}", one.account(), words::uncapitalised(&one.ahead_in_short())));
            format!("team {team} spent {}. {}", words::listed(&parts), ahead.collect::<Vec<_>>().join(" "))
        }
    };
    let frame = Frame {
        tone: tone(&views),
        title: format!("Team {team}, {dates}"),
        state,
        headline,
        as_of: String::new(),
        link: team_page(post.external_url.as_deref(), digest.team.as_str()),
        about: None,
        data_age: data_age(&views),
        reasons: reasons(digest, occasion, &post.zone),
        silence: None,
        signature: format!("fuelgauge, for team {team}"),
    };
    let parts = views.iter().flat_map(|view| view.parts(views.len() > 1)).collect();
    send(occasion, post, format!("Team {team}: credits from {dates}"), &frame, parts, recipients)
}

/// `16 to 23 November`.
fn dates(digest: &TeamDigest, views: &[Draw]) -> String {
    views.first().map_or_else(String::new, |one| one.view.clock.days_between(digest.from, digest.to))
}

/// As bad as the worst that fires; good if everything is expected to last.
fn tone(views: &[Draw]) -> &'static str {
    let worst = views.iter().flat_map(|one| one.of.draw.firing().map(|(_, stage)| stage)).max();
    match worst {
        Some(stage) => stage.as_str(),
        None if views.iter().all(|one| one.lasts() == Some(true)) => "good",
        None => Stage::Info.as_str(),
    }
}

fn data_age(views: &[Draw]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for one in views {
        let of_account = one.view.data_age();
        let named = of_account.into_iter().map(|line| match views.len() > 1 && !line.starts_with("Times are") {
            true => format!("{}: {line}", one.account()),
            false => line,
        });
        lines.extend(named);
    }
    // The zone is said once, at the end.
    let (times, mut lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("Times are"));
    lines.extend(times.into_iter().next());
    lines
}

fn reasons(digest: &TeamDigest, occasion: &Occasion, zone: &jiff::tz::TimeZone) -> Vec<String> {
    let roles: Vec<String> = digest.roles.iter().map(|role| format!("`{role}`")).collect();
    let zone = zone.iana_name().unwrap_or("UTC");
    vec![format!(
        "The digest comes at `{}` ({zone}) to {} of the team. It is set by `alerts.digest`, in fuelgauge's configuration.",
        occasion.schedule,
        words::listed(&roles)
    )]
}

/// One account of the team.
struct Draw<'a> {
    view: DrawView<'a>,
    of: &'a DrawDigest<'a>,
    digest: &'a TeamDigest<'a>,
}

impl Draw<'_> {
    fn account(&self) -> String {
        words::clean(self.of.assessment.account.as_str(), 64)
    }

    fn spent(&self) -> Credits {
        spent(&self.of.spent_on)
    }

    fn length(&self) -> SignedDuration {
        self.digest.to.duration_since(self.digest.from)
    }

    fn reset(&self) -> Option<Timestamp> {
        self.of.draw.period.as_ref().map(|period| period.end)
    }

    fn parts(&self, is_one_of_several: bool) -> Vec<Part> {
        let named = |title: &str| match is_one_of_several {
            true => format!("{}: {}", self.account(), title.to_lowercase()),
            false => title.to_owned(),
        };
        let text = |title: &str, text: String| Part { title: named(title), text, ..Part::default() };
        let list = |title: &str, lines: Vec<String>| Part { title: named(title), lines, ..Part::default() };
        let alerts = self.alerts();
        vec![
            text("What lies ahead", self.ahead()),
            Part { table: by_kind(&self.of.spent_on), ..text("Spent", self.pace()) },
            text("Wasted", self.wasted()),
            text("Estimates", self.estimates()),
            match alerts.is_empty() {
                true => text("Alerts", "None.".into()),
                false => list("Alerts", alerts),
            },
            list("Announced", self.announced()),
            list("Planned", self.planned()),
            Part { title: named("Numbers"), numbers: self.numbers(), ..Part::default() },
        ]
    }

    /// `1,140 credits, 12% more than in the 7 days before (1,018)`.
    fn compared(&self) -> String {
        let (now, before) = (self.spent(), self.of.spent_before);
        let length = words::span(self.length());
        let spent = words::credits(now);
        if !before.is_positive() {
            return match now.is_positive() {
                true => format!("{spent}, and none in the {length} before"),
                false => format!("{spent}, as in the {length} before"),
            };
        }
        let change = now.as_f64() / before.as_f64() - 1.0;
        let much = match change {
            change if change.abs() < AS_MUCH => "about as much as".into(),
            change if change >= 1.0 => format!("{:.1} times as much as", change + 1.0),
            change if change > 0.0 => format!("{:.0}% more than", change * 100.0),
            change => format!("{:.0}% less than", -change * 100.0),
        };
        format!("{spent}, {much} in the {length} before ({})", words::amount(before))
    }

    /// The pace since the last digest beside the one that lasts.
    fn pace(&self) -> String {
        let days = self.length().as_secs_f64() / 86_400.0;
        let a_day = self.spent().as_f64() / days.max(f64::EPSILON);
        let Some(pace) = words::statistic(a_day) else { return String::new() };
        let lasting = self.reset().and_then(|reset| self.view.lasting_until(reset));
        let lasting = lasting.and_then(|lasting| Some((lasting, words::statistic(lasting)?)));
        let whose = match self.of.draw.shared {
            Some(_) => ", of all who draw on it",
            None => "",
        };
        match lasting {
            Some((lasting, words)) => {
                let verb = if a_day > lasting { "would last" } else { "can be spent" };
                format!("{pace} a day; {words} a day{whose} {verb} until {}.", self.view.end())
            }
            None => format!("{pace} a day."),
        }
    }

    /// Whether the credits are expected to last; `None` where nobody knows.
    fn lasts(&self) -> Option<bool> {
        let (forecast, reset) = (self.view.forecast()?, self.reset()?);
        Some(!self.view.is_used_up() && forecast.run_out.p50.is_none_or(|run_out| run_out >= reset))
    }

    fn ahead_in_short(&self) -> String {
        if self.view.is_used_up() {
            return "Nothing is left.".into();
        }
        match (self.lasts(), self.view.forecast().and_then(|forecast| forecast.run_out.p50)) {
            (Some(true), _) => format!("What is left is expected to last until {}.", self.view.end()),
            (_, Some(run_out)) => {
                format!("What is left is expected to be gone around {}.", self.view.clock.rough_moment(run_out))
            }
            _ => "There is no forecast.".into(),
        }
    }

    fn ahead(&self) -> String {
        let view = &self.view;
        let forecast = match &self.of.draw.outlook {
            Outlook::Forecast(forecast) => forecast,
            Outlook::UnknownBalance => {
                return "There is no forecast: how much is left is not known at the moment.".into();
            }
            Outlook::TooLittleHistory { .. } => return "There is too little history for a forecast.".into(),
        };
        let mut sentences = Vec::new();
        if let (Some(probability), Some(reset)) = (forecast.probability, self.reset()) {
            let (chance, percent) = (words::chance(probability), words::percent(probability));
            let when = view.clock.moment(reset);
            sentences.push(format!("{chance}: {percent} that it is gone before {} on {when}.", view.end()));
            let expected = words::credits(forecast.expected_use);
            sentences.push(format!("{expected} are expected to be used until then."));
        }
        if let (Some(early), Some(late)) = (forecast.run_out.p10, forecast.run_out.p90) {
            sentences.push(format!("In 8 of 10 cases it is gone {}.", view.clock.between(early, late)));
        }
        let lapsing = self.of.assessment.lapsing(self.of.draw).filter(|lapsing| lapsing.is_positive());
        sentences.extend(lapsing.map(|lapsing| format!("About {} lapse unused then.", words::credits(lapsing))));
        sentences.join(" ")
    }

    fn wasted(&self) -> String {
        let of = self.of;
        let charged: Credits = of.spent_on.totals.iter().map(|row| row.charged).sum();
        let mut sentences = Vec::new();
        let (tasks, credits) = retries_of(&of.spent_on.retries, RetryKind::Rerun);
        if tasks > 0 {
            let tasks = words::counted(&words::count(tasks), "re-run");
            let cost = of.assessment.told(credits).map(|credits| {
                let share = share(credits, charged).map(|share| format!(" ({})", words::part(share)));
                format!(" cost {}{}", words::credits(credits), share.unwrap_or_default())
            });
            sentences.push(format!("{tasks}{}.", cost.unwrap_or_default()));
        }
        let (tasks, credits) = of.unrefunded;
        if tasks > 0 {
            let tasks = words::counted(&words::count(tasks), "task");
            sentences.push(format!(
                "{tasks} failed, expired or were withdrawn, and {} have not come back.",
                words::credits(credits)
            ));
        }
        sentences.join(" ")
    }

    /// How good the estimates were that ended.
    fn estimates(&self) -> String {
        let accuracy = EstimateAccuracy::of(&self.of.estimates);
        let several = |count: u64, noun: &str| {
            let verb = if count == 1 { "was" } else { "were" };
            format!("{} {verb}", words::counted(&words::count(count), noun))
        };
        let mut sentences = Vec::new();
        if accuracy.met() > 0 {
            let within = match (accuracy.within_p90(), accuracy.met()) {
                (1, 1) => "it stayed within what 9 of 10 such jobs cost".to_owned(),
                (0, 1) => "it cost more than 9 of 10 such jobs do".to_owned(),
                (within, _) => format!("{} stayed within what 9 of 10 such jobs cost", words::count(within)),
            };
            let (expected, charged) = (words::credits(accuracy.expected), words::amount(accuracy.charged));
            sentences.push(format!("{} met: {within}.", several(accuracy.met(), "estimate")));
            sentences.push(format!("{expected} were expected and {charged} charged."));
        }
        let partly = accuracy.closed(EstimateOutcome::LapsedPartly);
        let unlaunched = accuracy.closed(EstimateOutcome::LapsedUnlaunched);
        if partly + unlaunched > 0 {
            let lapsed = words::counted(&words::count(partly + unlaunched), "estimate");
            let unlaunched = match unlaunched {
                0 => String::new(),
                some => format!(", {} of them with nothing launched", words::count(some)),
            };
            sentences.push(format!("{lapsed} lapsed before all was done{unlaunched}."));
        }
        sentences.join(" ")
    }

    fn alerts(&self) -> Vec<String> {
        let clock = &self.view.clock;
        let line = |past: &PastAlert| {
            let (what, since) = (past.rule.in_words(), clock.short_day(past.since));
            let stage = past.stage;
            match past.ended_at {
                Some(at) if clock.short_day(at) == since => format!("{what}: {stage} on {since}"),
                Some(at) => format!("{what}: {stage} from {}", clock.days_between(past.since, at)),
                None if !past.is_firing => format!("{what}: {stage} since {since}, over"),
                None => match self.mute(past) {
                    Some(mute) => format!("{what}: {stage} since {since}, still true; {mute}"),
                    None => format!("{what}: {stage} since {since}, still true"),
                },
            }
        };
        self.of.alerts.iter().map(line).collect()
    }

    /// Why nobody hears of an alert that fires.
    fn mute(&self, past: &PastAlert) -> Option<String> {
        let is_it = |known: &&RuleAlert| known.rule == past.rule && known.alert.firing().is_some();
        let mute = self.of.draw.alerts.iter().find(is_it)?.mute?;
        Some(match mute {
            Mute::Silenced(id) => match self.digest.silences.get(id) {
                Some(silence) => format!("silenced until {}", self.view.clock.moment(silence.ended_at())),
                None => "silenced".into(),
            },
            Mute::Inhibited(by) => format!("not told while \u{201c}{}\u{201d} fires", by.in_words()),
            Mute::QuietHours => "told after the quiet hours".into(),
        })
    }

    fn announced(&self) -> Vec<String> {
        let end = self.of.draw.end_in_words().unwrap_or("the horizon");
        let zone = &self.of.assessment.zone;
        let line =
            |sentence: String| words::capitalised(sentence.trim_start_matches("Announced: ").trim_end_matches('.'));
        self.of.draw.announced.iter().map(|announced| line(announced.in_words(zone, end))).collect()
    }

    fn planned(&self) -> Vec<String> {
        let planned = self.of.draw.estimates.iter().filter_map(|estimate| estimate.to_come_in_words());
        planned.map(|to_come| words::clean(&to_come, 160)).collect()
    }

    fn numbers(&self) -> Vec<Number> {
        let view = &self.view;
        let number = |label, value| Number { label, value };
        let mut numbers = vec![number("Left", view.left())];
        numbers.extend(view.left_to_all().map(|left| number("Left to all teams", left)));
        numbers.push(number(view.spent_label(), words::credits(self.of.draw.spent)));
        let resets = if view.is_budget() { "Budget ends" } else { "Plan resets" };
        numbers.extend(self.reset().map(|reset| number(resets, view.clock.moment(reset))));
        numbers
    }
}
