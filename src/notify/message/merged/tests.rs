//! Mails of several, as their readers get them.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::demo::catcher::{ShownMail, show};
use crate::domain::outbox::{NewestMessage, is_urgent};
use crate::domain::{Notice, RuleName, Rules, Stage, TeamName, Why};
use crate::metrics::sample;
use crate::notify::{Evidence, MessageContext, render};

fn at(hours: i64) -> Timestamp {
    sample::now() + SignedDuration::from_hours(hours)
}

/// The mail of a notice about a team, so many hours after the usual moment.
fn mail(team: &str, stage: Stage, why: Why, hours: i64) -> (Notice, RenderedMail) {
    let snapshot = sample::snapshot();
    let (assessment, draw) = (&snapshot.accounts[1], &snapshot.accounts[1].draws[0]);
    let mut key = draw.key.clone();
    key.team = TeamName::parse(team).unwrap();
    let period = sample::november(4000);
    let notice = Notice {
        key,
        rule: RuleName::Exhaustion,
        period_start: period.start,
        period_end: Some(period.end),
        episode: 1,
        since: period.start,
        stage,
        step: 0,
        why,
        at: at(hours),
    };
    let context = MessageContext {
        from: "fuelgauge <fuelgauge@studio.example>".parse().unwrap(),
        zone: assessment.zone.clone(),
        external_url: Some("https://fuelgauge.studio.example".into()),
        rules: Rules::default(),
        repeat_interval: SignedDuration::from_hours(24),
        names_account: false,
        drivers: None,
        remedies: Vec::new(),
        evidence: Evidence::default(),
    };
    let to = "Ada Lead <lead@studio.example>".parse().unwrap();
    let mail = render(&notice, assessment, draw, &context, &[&to]).unwrap().remove(0);
    (notice, mail)
}

/// What a merge of these mails is made of, as the outbox keeps it.
fn parts(reason: MergeReason, mails: &[(Notice, RenderedMail)]) -> MergeParts {
    let told = |(notice, mail): &(Notice, RenderedMail)| ToldNotice {
        thread: mail.thread.clone(),
        team: Some(notice.key.team.to_string()),
        is_urgent: is_urgent(notice.stage, notice.why),
        summary: mail.summary.clone(),
    };
    let (_, newest) = mails.last().unwrap().clone();
    MergeParts {
        reason,
        sender: newest.sender,
        recipient: newest.recipient,
        message_ids: mails.iter().map(|(_, mail)| mail.message_id.clone()).collect(),
        told: mails.iter().map(told).collect(),
        newest: NewestMessage {
            thread: newest.thread,
            subject: newest.subject,
            summary: newest.summary,
            text: newest.text,
            html: newest.html,
            message: newest.message,
        },
    }
}

fn context() -> MergedContext {
    let external_url = Some("https://fuelgauge.studio.example/".into());
    MergedContext { external_url, limits: DeliveryLimits::default() }
}

fn merged(reason: MergeReason, mails: &[(Notice, RenderedMail)]) -> (RenderedMail, ShownMail) {
    let mail = render_merged(&parts(reason, mails), &context()).unwrap();
    let text = String::from_utf8(mail.message.clone()).unwrap();
    assert!(text.is_ascii() && text.split("\r\n").all(|line| line.len() < 998 && !line.contains('\n')), "{text}");
    let shown = show(&mail.message);
    (mail, shown)
}

/// The head's fields that are not the mail's own.
fn head(message: &[u8]) -> Vec<String> {
    let (head, _) = split(message).unwrap();
    let own = |field: &&[u8]| !is_named(field, "Message-ID") && !is_named(field, "Date");
    fields(head).filter(own).map(|field| String::from_utf8(field.to_vec()).unwrap()).collect()
}

fn came_and_went() -> Vec<(Notice, RenderedMail)> {
    vec![
        mail("art", Stage::Warning, Why::Opened, 0),
        mail("art", Stage::Critical, Why::Worsened, 5),
        mail("art", Stage::Critical, Why::Resolved, 20),
    ]
}

#[test]
fn what_is_true_now_comes_first_and_whole() {
    let mails = came_and_went();
    let (one, shown) = merged(MergeReason::Superseded, &mails);
    let newest = &mails[2].1;
    insta::assert_snapshot!("superseding_text", shown.text);
    let unchanged = show(&newest.message);
    let signature = unchanged.text.rfind("\n--\n").unwrap();
    assert!(shown.text.starts_with(unchanged.text[..signature].trim_end()), "the newest mail, whole");
    assert!(shown.text.ends_with(&unchanged.text[signature..]));
    let html = unchanged.html.trim_end().trim_end_matches("</html>").trim_end().trim_end_matches("</body>").to_owned();
    assert!(shown.html.starts_with(&html) && shown.html.trim_end().ends_with("</body>\n</html>"));
    assert!(shown.html.contains("What came before") && shown.html.matches("</body>").count() == 1);
    for (_, mail) in &mails[..2] {
        assert!(shown.html.contains(&mail.summary), "{}", mail.summary);
    }
    assert_eq!(head(&one.message), head(&newest.message), "the same conversation");
    assert_eq!(
        (one.subject, one.thread, one.summary),
        (newest.subject.clone(), newest.thread.clone(), newest.summary.clone())
    );
    assert_eq!((one.text, one.html), (newest.text.clone(), newest.html.clone()), "to be told anew, should more come");
}

#[test]
fn the_id_follows_from_what_was_merged() {
    let mails = came_and_went();
    let id = |reason, mails: &[(Notice, RenderedMail)]| merged(reason, mails).0.message_id;
    let all = id(MergeReason::Superseded, &mails);
    assert_eq!(all, id(MergeReason::Superseded, &mails), "the same mails, the same id");
    assert!(all.starts_with("<fuelgauge.") && all.ends_with("@studio.example>"), "{all}");
    let others =
        [id(MergeReason::Superseded, &mails[1..]), id(MergeReason::Collected, &mails), mails[2].1.message_id.clone()];
    assert!(others.iter().all(|other| *other != all), "{others:?} {all}");
    let one = merged(MergeReason::Superseded, &mails).0;
    assert_eq!(one, merged(MergeReason::Superseded, &mails).0, "and the same bytes");
}

#[test]
fn a_collected_mail_tells_each_alert_in_a_line() {
    let mails = vec![
        mail("props", Stage::Warning, Why::Opened, 0),
        mail("art", Stage::Warning, Why::Opened, 1),
        mail("cars & vans", Stage::Critical, Why::Opened, 2),
        mail("art", Stage::Warning, Why::Resolved, 3),
    ];
    let (one, shown) = merged(MergeReason::Collected, &mails);
    insta::assert_snapshot!("collected_text", shown.text);
    let text = String::from_utf8(one.message.clone()).unwrap();
    insta::assert_snapshot!("collected_headers", text.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n"));
    let places: Vec<usize> =
        [2, 0, 3, 1].map(|index| shown.html.find(&escaped(&taken_apart(&mails[index].1.summary).0)).unwrap()).to_vec();
    assert!(places.is_sorted(), "what is urgent first, and what came before below what is: {places:?}");
    assert!(
        shown.html.contains("href=\"https:&#x2f;&#x2f;fuelgauge.studio.example&#x2f;teams&#x2f;cars%20%26%20vans\"")
    );
    assert!(!shown.html.contains("cars & vans"));
    assert_eq!(shown.to, "\"Ada Lead\" <lead@studio.example>");
    let without = MergedContext { external_url: None, ..context() };
    let plain = show(&render_merged(&parts(MergeReason::Collected, &mails), &without).unwrap().message);
    assert!(!plain.text.contains("http") && !plain.html.contains("href"));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('/', "&#x2f;")
}

#[test]
fn the_longest_mails_stay_below_what_is_cut_off() {
    let long = "Ünter ".repeat(10);
    let name = |number: i64| format!("{number} {}", long.trim());
    let mails: Vec<_> = (0..60).map(|number| mail(&name(number), Stage::Critical, Why::Opened, number)).collect();
    let (one, shown) = merged(MergeReason::Collected, &mails);
    assert!(one.message.len() < LARGEST_MAIL_BYTES, "{}", one.message.len());
    assert!(one.summary.ends_with("Ünter and 57 teams more."), "{}", one.summary);
    assert!(mails.iter().all(|(notice, _)| shown.text.contains(notice.key.team.as_str().split(' ').next().unwrap())));

    let repeated: Vec<_> = (0..300).map(|number| mail("art", Stage::Critical, Why::Repeated, number)).collect();
    let (one, shown) = merged(MergeReason::Superseded, &repeated);
    assert!(one.message.len() < LARGEST_MAIL_BYTES, "{}", one.message.len());
    assert!(shown.text.contains("- … 260 notices between …\n"), "{}", shown.text);
    assert_eq!(shown.html.matches("Still critical: ").count(), 40, "39 lines and a title");
}

#[test]
fn foreign_words_stay_text() {
    let hostile = "<b>x</b>\r\nBcc: y@example.org";
    let Ok(team) = TeamName::parse("<b>x</b> & {{ y }}") else { panic!("{hostile}") };
    let mails = vec![
        mail(team.as_str(), Stage::Warning, Why::Opened, 0),
        mail(team.as_str(), Stage::Critical, Why::Worsened, 1),
        mail("art", Stage::Warning, Why::Opened, 2),
    ];
    let mut parts = parts(MergeReason::Collected, &mails);
    parts.told[0].summary = hostile.replace("\r\n", " ");
    let shown = show(&render_merged(&parts, &context()).unwrap().message);
    assert!(!shown.html.contains("<b>") && shown.html.contains("&lt;b&gt;x"), "{}", shown.html);
    assert!(shown.text.contains("{{ y }}"));
    let (_, shown) = merged(MergeReason::Superseded, &mails[..2]);
    assert!(!shown.html.contains("<b>"), "{}", shown.html);
}

#[test]
fn a_mail_that_is_not_ours_is_not_taken_apart() {
    let mails = came_and_went();
    let known = parts(MergeReason::Superseded, &mails);
    for (what, newest) in [
        ("head", NewestMessage { message: b"no head".to_vec(), ..known.newest.clone() }),
        ("text", NewestMessage { text: "another text".into(), ..known.newest.clone() }),
        ("HTML", NewestMessage { html: String::new(), ..known.newest.clone() }),
    ] {
        let error = render_merged(&MergeParts { newest, ..known.clone() }, &context()).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to find the {what} of a mail in its bytes"));
    }
}
