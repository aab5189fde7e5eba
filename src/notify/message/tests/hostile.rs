//! What no foreign text may do to a mail: become a header, markup or a part, or deceive the eye.

use super::scene::{Scene, row};
use super::{headers, parsed};
use crate::demo::catcher::show;
use crate::domain::{AccountName, Drivers, Measure, RenderedMail, Stage, TeamName, Why};
use crate::notify::message::LARGEST_MAIL_BYTES;
use crate::notify::message::layout::TEXT_COLUMNS;

/// Names and words that try.
pub(super) const HOSTILE: [&str; 20] = [
    "x\r\nBcc: evil@example.org",
    "x\nBcc: evil@example.org",
    "x\rBcc: evil@example.org",
    "x\r\n\r\n<html>body",
    "x\u{85}y\u{2028}z\u{2029}Bcc: e@e",
    "x\0y",
    "=?utf-8?q?x=0D=0ABcc:_evil=40example.org?=",
    "=?utf-8?b?PHNjcmlwdD4=?=",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><a href=javascript:alert(1)>",
    "</td></table></body><!--",
    "{{ 7 * 7 }}{% for x in y %}",
    "\u{202e}gnp.exe",
    "a\u{ad}b\u{e0041}c",
    "\u{200b}\u{200d}\u{feff}zero",
    "--fuelgauge-0000",
    "$(reboot) `reboot` '; reboot; '",
    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
    "тест 团队 🧊 é",
];

/// Where foreign words come from.
type Place = (&'static str, fn(&mut Scene, &str));

pub(super) const PLACES: [Place; 8] = [
    ("team", |scene, word| {
        // Names that hide something are refused at the door; the rest get as far as the subject.
        if let Ok(team) = TeamName::parse(word) {
            scene.notice.key.team = team;
        }
    }),
    ("account", |scene, word| {
        scene.context.names_account = true;
        if let Ok(account) = AccountName::parse(word) {
            scene.notice.key.account = account;
        }
    }),
    ("member", |scene, word| spent_on(scene).spenders[0].name = word.into()),
    ("key", |scene, word| {
        let spender = &mut spent_on(scene).spenders[0];
        (spender.name, spender.is_api_key) = (word.into(), true);
    }),
    ("project", |scene, word| {
        let drivers = spent_on(scene);
        drivers.assets[0].project = Some(word.into());
        drivers.most_repeated = Some(drivers.assets[0].clone());
    }),
    ("task type", |scene, word| {
        spent_on(scene).totals.push(row(word, "high", 900, 0));
        spent_on(scene).assets[0].task_type = word.into();
        scene.context.remedies[1].measure = Measure::LaunchHalf { task_type: word.into(), quality: String::new() };
    }),
    ("quality", |scene, word| {
        spent_on(scene).totals.push(row("text-to-3d", word, 900, 0));
        spent_on(scene).assets[0].quality = word.into();
        let (task_type, from, to) = ("text-to-3d".into(), word.into(), word.into());
        scene.context.remedies[0].measure = Measure::OtherQuality { task_type, from, to };
    }),
    ("mailboxes", |scene, word| {
        scene.to.name = Some(word.into());
        scene.context.from.name = Some(word.into());
    }),
];

fn spent_on(scene: &mut Scene) -> &mut Drivers {
    scene.context.drivers.as_mut().unwrap()
}

/// Every word in every place: in names that the configuration gives, and in what the ledger knows.
pub(super) fn hostile_scenes() -> impl Iterator<Item = (&'static str, Scene)> {
    let (of_configuration, of_ledger): (Vec<Place>, Vec<Place>) =
        PLACES.into_iter().partition(|(place, _)| ["team", "account", "mailboxes"].contains(place));
    [of_configuration, of_ledger].into_iter().flat_map(|places| {
        HOSTILE.into_iter().map(move |word| {
            let mut scene = Scene::new(Why::Opened, Stage::Warning);
            places.iter().for_each(|(_, put)| put(&mut scene, word));
            (word, scene)
        })
    })
}

const HEADERS: [&str; 14] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Fuelgauge-Alert",
    "X-Fuelgauge-Team",
    "X-Fuelgauge-State",
    "X-Fuelgauge-Severity",
    "MIME-Version",
    "Content-Type",
];

/// How many tags there are, without those that say where a command and an address break: a name may have several of them.
pub(super) fn tags(html: &str) -> usize {
    html.replace("@<wbr>", "@").matches('<').count() - 2 * html.matches("<span style=\"white-space:nowrap\">").count()
}

#[test]
fn foreign_words_stay_words() {
    let plain = Scene::new(Why::Opened, Stage::Warning).render();
    let most_tags = tags(&show(&plain.message).html) + tags("<tr><th></th><td></td><td></td></tr>");
    let mut mails = vec![("nothing".to_owned(), plain)];
    for (word, scene) in hostile_scenes() {
        let what = format!("{word:?}");
        let mail = scene.render();
        assert_well_formed(&mail, &what);
        let headers = headers(&mail);
        let names = headers.lines().filter(|line| !line.starts_with([' ', '\t']));
        let names: Vec<&str> = names.map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(names, HEADERS, "{what}");
        let shown = show(&mail.message);
        assert!(!shown.subject.contains(['\r', '\n']), "{what}: {}", shown.subject);
        assert!(tags(&shown.html) <= most_tags, "{what}: only ours are tags");
        assert_eq!(shown.html.matches("<img").count(), 1, "{what}: the burn-down");
        assert!(!shown.text.contains("49") || !word.contains("7 * 7"), "{what}");
        for deceptive in ['\u{202e}', '\u{ad}', '\u{e0041}', '\u{200b}', '\u{feff}', '\0', '\u{85}', '\u{2028}'] {
            assert!(!shown.text.contains(deceptive) && !shown.html.contains(deceptive), "{what}");
        }
        mails.push((what, mail));
    }
    parsed::assert_parsed(&mails);
}

#[test]
fn a_name_in_any_script_arrives_whole() {
    for name in ["Ünïcode & <Söhne>", "тест", "团队 三", "O'Neill \"Art\"", "=?utf-8?q?x?="] {
        let scene = Scene::new(Why::Opened, Stage::Warning).named(name);
        let shown = scene.shown();
        let in_header = name.replace("=?", "= ?");
        assert_eq!(shown.subject, format!("Credits of team {in_header} may run out before 1 December"));
        assert!(shown.text.contains(&format!("for team {name} on studio")), "{}", shown.text);
        assert!(scene.render().message.is_ascii());
    }
    let link = Scene::new(Why::Opened, Stage::Warning).named("Ü & <S>").shown().text;
    assert!(link.contains("https://fuelgauge.studio.example/teams/%C3%9C%20%26%20%3CS%3E\n"), "{link}");
}

pub(super) fn assert_well_formed(mail: &RenderedMail, what: &str) {
    let text = std::str::from_utf8(&mail.message).unwrap();
    assert!(text.is_ascii(), "{what:?}");
    assert!(text.ends_with("\r\n") && text.len() < LARGEST_MAIL_BYTES, "{what:?}: {} bytes", text.len());
    for line in text.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{what:?}: {line:?}");
    }
}

#[test]
fn the_longest_names_still_fit() {
    let long = "w".repeat(64);
    let mut scene = Scene::new(Why::Opened, Stage::Warning).named(&long);
    let row_of = |i| row(&format!("{i}{}", "t".repeat(5000)), &"q".repeat(5000), 9, 0);
    spent_on(&mut scene).totals = (0..1000).map(row_of).collect();
    for (_, put) in &PLACES[1..] {
        put(&mut scene, &"n".repeat(5000));
    }
    let mail = scene.render();
    assert_well_formed(&mail, "long");
    for line in scene.shown().text.lines() {
        let words = line.trim().trim_start_matches("- ").trim_end_matches(" \\");
        let is_one_word = words.split(' ').count() == 1;
        assert!(line.chars().count() <= TEXT_COLUMNS || is_one_word, "{line}");
    }
}
