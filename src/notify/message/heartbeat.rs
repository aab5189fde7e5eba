//! The sign of life: that all is watched, how old the figures are, and what waits to be sent.

use jiff::Timestamp;
use lettre::message::Mailbox;

use super::MessageError;
use super::layout::{Frame, Link, Number};
use super::report::{Occasion, Part, Post, send};
use super::words::{self, ReaderClock};
use crate::domain::{AccountAssessment, RenderedMail, SilenceState, Snapshot};

/// Writes the sign of life for each of its recipients.
///
/// # Errors
/// See [`MessageError`]; none is expected for checked configuration.
pub fn render_heartbeat(
    snapshot: &Snapshot,
    version: &str,
    occasion: &Occasion,
    post: &Post,
    recipients: &[&Mailbox],
) -> Result<Vec<RenderedMail>, MessageError> {
    let life = Heartbeat { snapshot, clock: ReaderClock::new(&post.zone, occasion.at), at: occasion.at };
    let is_well = life.unwatched().is_empty() && snapshot.outbox.given_up.is_empty();
    let frame = Frame {
        tone: if is_well { "good" } else { "warning" },
        title: "Sign of life of fuelgauge".into(),
        state: if life.unwatched().is_empty() { "All watched".into() } else { "Not all watched".into() },
        headline: life.headline(),
        as_of: String::new(),
        link: post.external_url.as_ref().map(|url| Link { url: url.clone(), words: "See every team's gauge".into() }),
        about: None,
        data_age: Vec::new(),
        reasons: vec![format!(
            "It comes at `{}` ({}), whether or not anything is the matter: if it does not come, look whether fuelgauge runs \
             and mail leaves. It is set by `email.heartbeat`, in fuelgauge's configuration.",
            occasion.schedule,
            life.clock.zone_name()
        )],
        silence: None,
        signature: format!("fuelgauge {version}"),
    };
    let subject = format!("fuelgauge: sign of life of {}", life.clock.short_day(occasion.scheduled));
    send(occasion, post, subject, &frame, life.parts(), recipients)
}

struct Heartbeat<'a> {
    snapshot: &'a Snapshot,
    clock: ReaderClock<'a>,
    at: Timestamp,
}

impl Heartbeat<'_> {
    /// Accounts of which something is out of date, or nothing was ever read.
    fn unwatched(&self) -> Vec<String> {
        let accounts = self.snapshot.accounts.iter().filter(|account| !is_watched(account));
        accounts.map(|account| name(account)).collect()
    }

    fn headline(&self) -> String {
        let accounts = self.snapshot.accounts.len();
        let mut teams: Vec<_> =
            self.snapshot.accounts.iter().flat_map(|account| &account.draws).map(|draw| &draw.key.team).collect();
        teams.sort();
        teams.dedup();
        let counted = |count: usize, noun: &str| words::counted(&words::count(count as u64), noun);
        let unwatched = self.unwatched();
        if !unwatched.is_empty() {
            let of = counted(accounts, "account");
            let verb = if unwatched.len() == 1 { "is" } else { "are" };
            return format!("{} of {of} {verb} out of date: {}.", unwatched.len(), words::listed(&unwatched));
        }
        let oldest = self.snapshot.accounts.iter().filter_map(|account| oldest(account)).min();
        let oldest = oldest.map(|at| format!("; the oldest figures are as of {}", self.clock.moment(at)));
        let (accounts, teams) = (counted(accounts, "account"), counted(teams.len(), "team"));
        format!("{accounts} and {teams} are watched{}.", oldest.unwrap_or_default())
    }

    fn parts(&self) -> Vec<Part> {
        let list = |title: &str, lines: Vec<String>| Part { title: title.into(), lines, ..Part::default() };
        let accounts = self.snapshot.accounts.iter().map(|account| self.account(account)).collect();
        let firing = self.firing();
        let alerts = match firing.is_empty() {
            true => Part { title: "Alerts that fire".into(), text: "None.".into(), ..Part::default() },
            false => list("Alerts that fire", firing),
        };
        let mails = Part { title: "Mails".into(), numbers: self.mails(), ..Part::default() };
        vec![list("Accounts", accounts), alerts, mails]
    }

    fn account(&self, account: &AccountAssessment) -> String {
        let read = account.collectors.iter().map(|status| {
            let word = status.collector.as_str();
            match status.last_success_at {
                Some(at) if account.is_fresh(status.collector) => format!("{word} as of {}", self.clock.time_today(at)),
                Some(at) => format!("{word} out of date, as of {}", self.clock.moment(at)),
                None => format!("{word} never read"),
            }
        });
        let read: Vec<String> = read.collect();
        let read = if read.is_empty() { "nothing was read or brought yet".into() } else { read.join(", ") };
        match words::clean(&account.platform, 40) {
            platform if platform.is_empty() => format!("{}: {read}", name(account)),
            platform => format!("{} ({platform}): {read}", name(account)),
        }
    }

    fn firing(&self) -> Vec<String> {
        let line = |account: &AccountAssessment| -> Vec<String> {
            let of_draws = account.draws.iter().flat_map(|draw| {
                let team = words::clean(draw.key.team.as_str(), 64);
                draw.firing()
                    .map(move |(rule, stage)| format!("{team} on {}: {} ({stage})", name(account), rule.in_words()))
            });
            of_draws.collect()
        };
        self.snapshot.accounts.iter().flat_map(|account| line(account)).collect()
    }

    fn mails(&self) -> Vec<Number> {
        let outbox = self.snapshot.outbox.total();
        let number = |label, value: String| Number { label, value };
        let mut numbers = vec![
            number("Waiting", words::count(outbox.waiting)),
            number("Given up", words::count(outbox.failed)),
            number("Accepted by the relay", words::count(outbox.sent)),
        ];
        let times = [("Oldest waits since", outbox.oldest_waiting_at), ("Last accepted", outbox.last_sent_at)];
        numbers.extend(times.into_iter().filter_map(|(label, at)| Some(number(label, self.clock.moment(at?)))));
        let silences = self.snapshot.silences.count(SilenceState::Active, self.at) as u64;
        numbers.push(number("Silences in force", words::count(silences)));
        numbers
    }
}

/// Whether all that an account has was read recently, and anything was.
fn is_watched(account: &AccountAssessment) -> bool {
    !account.collectors.is_empty() && account.collectors.iter().all(|status| account.is_fresh(status.collector))
}

fn oldest(account: &AccountAssessment) -> Option<Timestamp> {
    account.collectors.iter().filter_map(|status| status.last_success_at).min()
}

fn name(account: &AccountAssessment) -> String {
    words::clean(account.account.as_str(), 64)
}
