//! Mails as an independent parser reads them: that of Python's standard library.

use std::process::Command;

use crate::domain::{RenderedMail, RuleName, Stage, Why};

use super::scene::Scene;

const CHECK: &str = include_str!("parsed.py");

/// What the parser says of mails; `Err` with what is wrong.
fn parse(mails: &[(String, RenderedMail)]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for (number, (_, mail)) in mails.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:03}.eml")), &mail.message).unwrap();
    }
    let checked =
        Command::new("python3").arg("-c").arg(CHECK).arg(folder.path()).output().expect("python3 is installed");
    let [told, complaints] = [checked.stdout, checked.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    if checked.status.success() { Ok(told) } else { Err(told + &complaints) }
}

/// Every mail, with a word to tell it by, has the structure it should have.
pub(super) fn assert_parsed(mails: &[(String, RenderedMail)]) {
    let named: Vec<String> =
        mails.iter().enumerate().map(|(number, (what, _))| format!("{number:03}: {what}")).collect();
    let told = parse(mails).unwrap_or_else(|wrong| panic!("{wrong}\n{}", named.join("\n")));
    assert_eq!(told.trim(), format!("{} mails are well-formed", mails.len()));
}

#[test]
fn every_variant_is_read_as_it_was_meant() {
    let mut mails = Vec::new();
    for why in Why::ALL {
        for stage in RuleName::Exhaustion.stages().iter().copied() {
            let scene = Scene::new(why, stage);
            mails.push((format!("{why:?} {stage:?}"), scene.render()));
            let mut without = Scene::new(why, stage).named("Ünïcode & <Söhne> «团队» of the long name");
            without.draw.fuel = None;
            mails.push((format!("{why:?} {stage:?}, without a picture"), without.render()));
        }
    }
    assert_parsed(&mails);
}

#[test]
fn what_is_wrong_is_found() {
    let good = Scene::new(Why::Opened, Stage::Warning).render();
    for (what, from, to) in [
        ("another header", "\r\nSubject:", "\r\nBcc: evil@example.org\r\nSubject:"),
        ("another recipient", "lead@studio.example>", "lead@studio.example>, evil@example.org"),
        ("a lone line feed", "Warning:", "Warning:\n"),
        ("a picture that nobody shows", "Content-ID: <", "Content-ID: <x"),
        ("a part of another kind", "text/plain", "text/calendar"),
        ("a script", "</h1>", "</h1><script></script>"),
        ("no language", "lang=3D\"en\"", "lang=3D\"xx\""),
    ] {
        let text = String::from_utf8(good.message.clone()).unwrap();
        let tampered = text.replacen(from, to, 1);
        assert_ne!(text, tampered, "{what}");
        let mail = RenderedMail { message: tampered.into_bytes(), ..good.clone() };
        assert!(parse(&[(what.into(), mail)]).is_err(), "{what}");
    }
}
