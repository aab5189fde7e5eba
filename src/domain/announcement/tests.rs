use super::*;
use crate::domain::{AccountName, TeamName};

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn pace(factor: f64, from: &str, to: &str) -> AnnouncementForm {
    let (factor, from, to) = (Some(factor), Some(from.into()), Some(to.into()));
    AnnouncementForm { factor, from, to, ..AnnouncementForm::default() }
}

fn batch(low: i64, likely: i64, high: i64, at: &str) -> AnnouncementForm {
    let [low, credits, high] = [low, likely, high].map(|whole| Some(Credits::from_whole(whole)));
    AnnouncementForm { low, credits, high, at: Some(at.into()), ..AnnouncementForm::default() }
}

fn announced(form: &AnnouncementForm) -> Announcement {
    let (account, team) = (AccountName::parse("studio").unwrap(), TeamName::parse("art").unwrap());
    Announcement {
        id: Some(1),
        key: DrawKey { account, team },
        foreseen: form.check(&berlin()).unwrap(),
        note: String::new(),
        by: "ada".into(),
        announced_at: Some(at("2026-11-20T00:00:00Z")),
        withdrawn: None,
    }
}

#[test]
fn what_an_announcement_does_is_said_in_a_sentence() {
    let says = |form: AnnouncementForm, effect: Option<i64>| {
        let announcement = announced(&form);
        StandingAnnouncement { announcement, effect: effect.map(Credits::from_whole) }.in_words(&berlin(), "the reset")
    };
    let holiday = || pace(0.0, "2026-12-24", "2026-12-26");
    let rest = "Announced: no use from 24 Dec 2026 to the end of 26 Dec 2026";
    for (effect, expected) in [
        (Some(-300), format!("{rest}; about 300 credits fewer are expected before the reset.")),
        (Some(0), format!("{rest}; that changes nothing before the reset.")),
        (None, format!("{rest}.")),
    ] {
        assert_eq!(says(holiday(), effect), expected);
    }
    assert_eq!(
        says(batch(800, 800, 800, "2026-12-05"), Some(800)),
        "Announced: a batch of 800 credits on 5 Dec 2026; about 800 credits more are expected before the reset."
    );
}

#[test]
fn what_is_written_means_days_of_the_zone() {
    for (form, begins, ends, words) in [
        (
            pace(2.0, "2026-12-01", "2026-12-20"),
            "2026-11-30T23:00:00Z",
            "2026-12-20T23:00:00Z",
            "2 times the usual pace from 1 Dec 2026 to the end of 20 Dec 2026",
        ),
        (
            pace(0.0, "2026-10-25", "2026-10-25"),
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
            "no use from 25 Oct 2026 to the end of 25 Oct 2026",
        ),
        (
            pace(0.5, "2026-12-01T09:00:00Z", "2026-12-01T17:30:00+01:00"),
            "2026-12-01T09:00:00Z",
            "2026-12-01T16:30:00Z",
            "0.5 times the usual pace from 1 Dec 2026, 10:00 CET to 1 Dec 2026, 17:30 CET",
        ),
        (
            batch(800, 800, 800, "2026-12-05"),
            "2026-12-04T23:00:00Z",
            "2026-12-05T23:00:00Z",
            "a batch of 800 credits on 5 Dec 2026",
        ),
        (
            batch(600, 800, 1200, "2026-12-05T12:00:00Z"),
            "2026-12-05T12:00:00Z",
            "2026-12-05T12:00:00Z",
            "a batch of 800 credits (600 to 1,200) on 5 Dec 2026, 13:00 CET",
        ),
    ] {
        let foreseen = form.check(&berlin()).unwrap();
        assert_eq!((foreseen.begins(), foreseen.ends()), (at(begins), at(ends)), "{words}");
        assert_eq!(foreseen.in_words(&berlin()), words);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_was_found() {
    let note = |note: String| AnnouncementForm { note: Some(note), ..pace(1.0, "2026-12-01", "2026-12-02") };
    let beside = AnnouncementForm { at: Some("2026-12-01".into()), ..pace(1.0, "2026-12-01", "2026-12-02") };
    let with_from = AnnouncementForm { from: Some("2026-12-01".into()), ..batch(1, 1, 1, "2026-12-05") };
    let both = AnnouncementForm { factor: Some(1.0), ..batch(1, 1, 1, "2026-12-05") };
    for (form, field, words) in [
        (AnnouncementForm::default(), "factor", "found neither `factor` nor `credits`"),
        (both, "credits", "no place beside `factor`"),
        (beside, "at", "no place beside `factor`"),
        (with_from, "from", "no place beside `credits`"),
        (pace(20.5, "2026-12-01", "2026-12-02"), "factor", "from 0 to 20, found `20.5`"),
        (pace(-1.0, "2026-12-01", "2026-12-02"), "factor", "found `-1`"),
        (pace(f64::NAN, "2026-12-01", "2026-12-02"), "factor", "found `NaN`"),
        (pace(1.0, "2026-12-02", "2026-12-01"), "to", "after `from`, which is `2026-12-02`; found `2026-12-01`"),
        (pace(1.0, "2026-12-01", "2029-12-01"), "to", "two years after `from`"),
        (pace(1.0, "tomorrow", "2026-12-01"), "from", "found `tomorrow`"),
        (pace(1.0, "2026-02-30", "2026-12-01"), "from", "found `2026-02-30`"),
        (AnnouncementForm { to: None, ..pace(1.0, "2026-12-01", "") }, "to", "found nothing"),
        (batch(900, 800, 1000, "2026-12-05"), "low", "at most `credits`, which is 800; found 900"),
        (batch(700, 800, 790, "2026-12-05"), "high", "at least `credits`, which is 800; found 790"),
        (batch(-5, -5, -5, "2026-12-05"), "credits", "0 credits or more, found `-5`"),
        (note("x".repeat(257)), "note", "at most 256 characters, found 257"),
        (note("two\nlines".into()), "note", "printable"),
    ] {
        let error = form.check(&berlin()).unwrap_err();
        assert!(error.field == field && error.message.contains(words), "{form:?}: {error}");
    }
    let now = at("2026-11-26T12:00:00Z");
    for (form, words) in [
        (pace(1.0, "2026-11-01", "2026-11-25"), "has passed"),
        (batch(1, 1, 1, "2026-11-26T12:00:00Z"), "has passed"),
        (pace(1.0, "2028-11-01", "2028-12-25"), "within two years"),
    ] {
        let error = form.check(&berlin()).unwrap().check_at(now).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
    assert_eq!(batch(1, 1, 1, "2026-11-26").check(&berlin()).unwrap().check_at(now), Ok(()));
}

#[test]
fn an_announcement_lapses_by_itself_and_its_past_is_still_understood() {
    let moments = ["2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z", "2026-12-05T23:00:00Z"].map(at);
    let (busy, job) = (pace(2.0, "2026-12-01", "2026-12-05"), batch(1, 2, 3, "2026-12-01"));
    let all = [announced(&job), announced(&busy)];
    let standings = |announcement: &Announcement| moments.map(|now| announcement.standing(now));
    assert_eq!(standings(&all[1]), [Standing::Ahead, Standing::InForce, Standing::Over]);
    assert_eq!(moments.map(|now| batches(&all, now).len()), [1, 1, 0]);
    assert_eq!(batches(&all, moments[1])[0].at, moments[1] + SignedDuration::from_millis(1));
    assert_eq!(paces(&all).len(), 1);

    let withdrawn = Announcement { withdrawn: Some((moments[0], "ada".into())), ..all[1].clone() };
    assert_eq!(withdrawn.standing(moments[1]), Standing::Withdrawn);
    let earlier = announced(&pace(3.0, "2026-11-01", "2026-11-02"));
    let both = [all[1].clone(), earlier.clone(), withdrawn];
    let turned = [earlier, all[1].clone()];
    assert_eq!(paces(&both), paces(&turned), "in one order, without what was taken back");
}
