//! The page of a team's announcements as values: what is announced, the forms, what was typed and what is wrong with it.

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::domain::announcement::{LONGEST_NOTE, MOST_FACTOR};
use crate::domain::{AccountAssessment, DrawAssessment, Snapshot};
use crate::http::door::Refusal;
use crate::http::form::{Choice, Field, Typed, give_back, reason};
use crate::http::view::AnnouncedLine;
use crate::http::words;

/// What a token must allow.
const TOKEN_HELP: &str = "One that may announce for this team. It is sent with this form and not kept.";

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A change of pace.
    Pace,
    /// A planned batch.
    Batch,
}

/// What was sent and refused.
#[derive(Debug)]
pub enum Sent {
    /// An announcement, as it was typed.
    Announcement(Kind, Typed),
    /// That the announcement of this number be withdrawn; `None` if it is no number.
    Withdrawal(Option<i64>),
}

/// The page.
#[derive(Debug, Serialize)]
pub struct DeskPage {
    team: String,
    team_path: String,
    /// Whether anybody may announce for the team.
    is_open: bool,
    /// What is wrong and belongs to no form.
    message: Option<String>,
    announced: Vec<Row>,
    forms: Vec<Form>,
}

#[derive(Debug, Serialize)]
struct Row {
    line: AnnouncedLine,
    /// The account, if the team draws on several.
    account: Option<String>,
    /// The field for the token that withdraws it.
    token: Field,
}

#[derive(Debug, Serialize)]
struct Form {
    kind: &'static str,
    title: &'static str,
    is_open: bool,
    /// What is wrong and belongs to no field.
    message: Option<String>,
    fields: Vec<Field>,
}

impl Kind {
    /// The form that was sent.
    pub fn of(typed: &Typed) -> Kind {
        if typed.get("kind").is_some_and(|kind| kind == "batch") { Kind::Batch } else { Kind::Pace }
    }

    /// The field that makes it what it is.
    pub const fn main_field(self) -> &'static str {
        match self {
            Kind::Pace => "factor",
            Kind::Batch => "credits",
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Kind::Pace => "pace",
            Kind::Batch => "batch",
        }
    }
}

impl DeskPage {
    /// Everything announced for a team, and the forms with what was refused; `None` if no team has that name.
    pub fn of(
        snapshot: &Snapshot,
        team: &str,
        is_open: bool,
        refused: Option<&(Sent, Refusal)>,
        now: Timestamp,
    ) -> Option<DeskPage> {
        let draws =
            snapshot.accounts.iter().flat_map(|account| account.draws.iter().map(move |draw| (&**account, draw)));
        let draws: Vec<(&AccountAssessment, &DrawAssessment)> =
            draws.filter(|(_, draw)| draw.key.team.as_str() == team).collect();
        let (first, _) = draws.first()?;
        let today = now.to_zoned(first.zone.clone()).date();
        let days = (today.to_string(), today.saturating_add(2.years()).to_string());
        let accounts: Vec<String> = draws.iter().map(|(account, _)| account.account.to_string()).collect();
        let has_several = accounts.len() > 1;
        let announced: Vec<Row> = draws
            .iter()
            .flat_map(|(account, draw)| draw.announced.iter().map(move |one| (*account, *draw, one)))
            .map(|(account, draw, one)| {
                let line = AnnouncedLine::of(account, draw, one);
                let token = withdrawal(line.id, refused);
                Row { line, account: has_several.then(|| account.account.to_string()), token }
            })
            .collect();
        let message = refused.and_then(|(sent, refusal)| match sent {
            Sent::Withdrawal(_) if announced.iter().all(|row| row.token.mistake.is_none()) => Some(reason(refusal)),
            _ => None,
        });
        let forms = if is_open {
            [Kind::Pace, Kind::Batch].map(|kind| Form::of(kind, &accounts, &days, refused)).into()
        } else {
            vec![]
        };
        let team_path = words::path_segment(team);
        Some(DeskPage { team: team.to_owned(), team_path, is_open, message, announced, forms })
    }
}

impl Form {
    fn of(kind: Kind, accounts: &[String], days: &(String, String), refused: Option<&(Sent, Refusal)>) -> Form {
        let mut fields = if accounts.len() > 1 { vec![account(accounts)] } else { Vec::new() };
        fields.extend(match kind {
            Kind::Pace => pace(days).to_vec(),
            Kind::Batch => batch(days).to_vec(),
        });
        let help = "What it is about, for whoever reads the page and the mails.";
        fields.push(Field { max: Some(LONGEST_NOTE.to_string()), ..Field::new("note", "Note", "text", help) });
        fields.push(Field::token(TOKEN_HELP));
        let mut message = None;
        let is_meant = |sent: &&(Sent, Refusal)| matches!(&sent.0, Sent::Announcement(sent, _) if *sent == kind);
        let refused = refused.filter(is_meant);
        if let Some((Sent::Announcement(_, typed), refusal)) = refused {
            message = give_back(&mut fields, typed, refusal);
        }
        fields.iter_mut().for_each(|field| field.id = format!("{}-{}", kind.as_str(), field.name));
        let title = match kind {
            Kind::Pace => "Announce a change of pace",
            Kind::Batch => "Announce a planned batch",
        };
        Form { kind: kind.as_str(), title, is_open: refused.is_some(), message, fields }
    }
}

fn account(accounts: &[String]) -> Field {
    let help = "The account that the credits come from.";
    Field {
        choices: accounts.iter().map(|name| Choice::plain(name)).collect(),
        is_required: true,
        ..Field::new("account", "Account", "select", help)
    }
}

fn pace((today, furthest): &(String, String)) -> [Field; 3] {
    let day = |name, label, help| Field {
        max: Some(furthest.clone()),
        is_required: true,
        ..Field::new(name, label, "date", help)
    };
    [
        Field {
            min: Some("0".to_owned()),
            max: Some(MOST_FACTOR.to_string()),
            is_required: true,
            ..Field::new("factor", "Factor", "number", "2 is twice the usual pace, 0.5 half of it, 0 a holiday.")
        },
        day("from", "From", "The first day."),
        Field { min: Some(today.clone()), ..day("to", "To", "The last day, included.") },
    ]
}

fn batch((today, furthest): &(String, String)) -> [Field; 4] {
    let credits = |name, label, help| Field { min: Some("0".to_owned()), ..Field::new(name, label, "number", help) };
    [
        Field {
            is_required: true,
            ..credits("credits", "Credits", "What the batch will cost on top of the usual use.")
        },
        credits("low", "Low", "One in ten such batches costs less."),
        credits("high", "High", "One in ten such batches costs more."),
        Field {
            min: Some(today.clone()),
            max: Some(furthest.clone()),
            is_required: true,
            ..Field::new("at", "Day", "date", "On which it is made.")
        },
    ]
}

/// The field for the token that withdraws an announcement.
fn withdrawal(id: Option<i64>, refused: Option<&(Sent, Refusal)>) -> Field {
    let refusal = refused.and_then(|(sent, refusal)| match sent {
        Sent::Withdrawal(sent) if sent.is_some() && *sent == id => Some(refusal),
        _ => None,
    });
    Field::lone_token(TOKEN_HELP, format!("withdraw-{}", id.unwrap_or_default()), refusal)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Announcement, Foreseen, PaceChange, StandingAnnouncement};
    use crate::http::pages::Pages;
    use crate::metrics::sample;

    /// The page of the team `props`, which draws on so many accounts, and has announced something.
    fn page(accounts: usize, is_open: bool, refused: Option<&(Sent, Refusal)>) -> String {
        let mut account = (*sample::snapshot().accounts[0]).clone();
        account.draws.retain(|draw| draw.key.team.as_str() == "props");
        let pace = PaceChange { factor: 2.0, from: sample::now(), to: sample::at("2026-12-01T00:00:00Z") };
        let announced = |id| StandingAnnouncement {
            announcement: Announcement {
                id,
                key: sample::key("studio", "props"),
                foreseen: Foreseen::Pace(pace),
                note: "<u>why</u>".to_owned(),
                by: "Ada".to_owned(),
                announced_at: None,
                withdrawn: None,
            },
            effect: None,
        };
        account.draws[0].announced = vec![announced(None), announced(Some(7))];
        let accounts = ["studio", "second"][..accounts].iter().map(|name| {
            let name = sample::key(name, "props").account;
            Arc::new(AccountAssessment { account: name, ..account.clone() })
        });
        let snapshot = Snapshot { accounts: accounts.collect(), ..Snapshot::default() };
        let page = DeskPage::of(&snapshot, "props", is_open, refused, sample::now()).unwrap();
        let pages = Pages::new(Some("https://studio.example/fuel"), "9.9.9", "/metrics").unwrap();
        pages.render("announcements.html", "props", page).unwrap().replace("&#x2f;", "/")
    }

    #[test]
    fn the_page_offers_what_can_be_done_and_shows_what_was_refused_at_its_place() {
        let typed = |pairs: &[(&str, &str)]| -> Typed {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let batch = |refusal| (Sent::Announcement(Kind::Batch, typed(&[("low", "9"), ("account", "second")])), refusal);
        let usual = ["action=\"/fuel/teams/props/announcements\"", "/fuel/teams/props/announcements/7/withdraw\""];
        for (name, accounts, is_open, refused, expected, forbidden) in [
            (
                "open",
                1,
                true,
                None,
                &usual[..],
                &["<details open", "<select", "web.tokens</code>", "<u>", " autofocus"][..],
            ),
            ("closed", 1, false, None, &["can: [announce]", "2 times the usual pace"], &["<form", "type=\"password\""]),
            (
                "two accounts",
                2,
                true,
                None,
                &["<select id=\"pace-account\"", "<option>second</option>"],
                &[" selected"],
            ),
            (
                "days",
                1,
                true,
                None,
                &["id=\"pace-to\" name=\"to\" type=\"date\"", "min=\"2026-11-22\" max=\"2028-11-22\""],
                &[],
            ),
            (
                "at a field",
                2,
                true,
                Some(batch(Refusal::mistake("low", "expected at most `credits`\nhint: less"))),
                &[
                    "<option selected>second",
                    "value=\"9\"",
                    "id=\"batch-low-wrong\" role=\"alert\">expected at most “Credits”; less<",
                ],
                &["pace-low"],
            ),
            (
                "at no field",
                1,
                true,
                Some(batch(Refusal::mistake("x", "no"))),
                &["role=\"alert\">x: no<"],
                &[" autofocus"],
            ),
            ("of the form", 1, true, Some(batch(Refusal::Unavailable)), &["role=\"alert\">the ledger cannot"], &[]),
            (
                "a withdrawal",
                1,
                true,
                Some((Sent::Withdrawal(Some(7)), Refusal::Unauthorized)),
                &["id=\"withdraw-7-wrong\" role=\"alert\">expected a token"],
                &["<h1>Announcements</h1>\n<p"],
            ),
            (
                "a withdrawal of what is gone",
                1,
                true,
                Some((Sent::Withdrawal(Some(8)), Refusal::NotFound("no such".to_owned()))),
                &["<h1>Announcements</h1>\n<p class=\"mistake\" role=\"alert\">no such<"],
                &["<details open", "-wrong\""],
            ),
        ] {
            let page = page(accounts, is_open, refused.as_ref());
            let missing: Vec<_> = expected.iter().filter(|part| !page.contains(**part)).collect();
            let too_much: Vec<_> = forbidden.iter().filter(|part| page.contains(**part)).collect();
            assert!(missing.is_empty() && too_much.is_empty(), "{name}: {missing:?} {too_much:?}\n{page}");
            assert_eq!(page.matches("type=\"password\"").count(), page.matches("<form").count(), "{name}");
        }
        assert!(DeskPage::of(&sample::snapshot(), "nobody", true, None, sample::now()).is_none());
    }
}
