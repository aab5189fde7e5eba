use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn form(matchers: &str, start: Option<i64>, end: SilenceEnd) -> SilenceForm {
    let matchers = Matcher::parse_all(matchers).unwrap();
    SilenceForm { matchers, start: start.map(at), end: Some(end), by: "ada".into(), comment: "a planned push".into() }
}

/// Asked for at hour 10.
fn silence(id: i64, matchers: &str, starts: i64, ends: i64) -> Silence {
    let asked = form(matchers, Some(starts), SilenceEnd::At(at(ends))).check(None, at(10)).unwrap();
    Silence { id, asked, created_at: at(10), expired: None }
}

fn labels<'a>(alert: &'a str, team: &'a str, severity: &'a str) -> AlertLabels<'a> {
    AlertLabels { alert, account: "studio", team, severity }
}

#[test]
fn a_silence_lives_from_its_start_to_its_end_or_until_somebody_ends_it() {
    use SilenceState::{Active, Expired, Pending};
    for (expired_at, states) in [
        (None, [(9, Pending), (19, Pending), (20, Active), (29, Active), (30, Expired), (99, Expired)]),
        (Some(25), [(9, Pending), (19, Pending), (20, Active), (24, Active), (25, Expired), (29, Expired)]),
        // Ended before it began, it never mutes.
        (Some(15), [(9, Pending), (14, Pending), (15, Expired), (20, Expired), (25, Expired), (30, Expired)]),
        // A clock that was set back cannot make it longer.
        (Some(40), [(9, Pending), (19, Pending), (20, Active), (29, Active), (30, Expired), (40, Expired)]),
    ] {
        let expired = expired_at.map(|hour| (at(hour), "grace".to_owned()));
        let silence = Silence { expired, ..silence(1, "team=art", 20, 30) };
        for (hour, state) in states {
            assert_eq!(silence.state(at(hour)), state, "{expired_at:?} at {hour}");
            assert_eq!(silence.mutes(&labels("exhaustion", "art", "warning"), at(hour)), state == Active);
        }
    }
}

#[test]
fn all_matchers_of_a_silence_fit_what_it_mutes() {
    let exhaustion = labels("exhaustion", "art", "warning");
    let of_the_account = labels("stale", "", "warning");
    for (matchers, alert, mutes) in [
        ("alert=exhaustion", exhaustion, true),
        ("alert=exhaustion team=art account=studio severity=warning", exhaustion, true),
        ("alert=exhaustion team=env", exhaustion, false),
        ("alertname=\"FuelgaugeExhaustion\" team=art", exhaustion, true),
        ("alertname=~\"Fuelgauge(Exhaustion|LowBalance)\"", exhaustion, true),
        ("alertname=FuelgaugeLowBalance", exhaustion, false),
        ("alertname!=FuelgaugeExhaustion", exhaustion, false),
        ("alert=exhaustion severity=critical", exhaustion, false),
        ("alert=~ex.* team!~env-.*", exhaustion, true),
        ("alert!=stale", exhaustion, true),
        ("alert!=stale", of_the_account, false),
        ("alert=stale team=", of_the_account, true),
        ("alert=~.+ team=", exhaustion, false),
        ("team=art", of_the_account, false),
        ("team!=art", of_the_account, true),
        ("team=art team=env", exhaustion, false),
    ] {
        assert_eq!(silence(1, matchers, 10, 20).mutes(&alert, at(10)), mutes, "{matchers} {alert:?}");
    }
    let all = vec![
        silence(1, "team=art", 10, 20),
        silence(2, "alert=exhaustion", 10, 30),
        silence(3, "team=art", 15, 40),
        silence(4, "team=env", 10, 99),
    ];
    let all = Silences::new(all, at(10)).as_of(at(11));
    assert_eq!(all.read_at(), at(11));
    for (hour, by) in [(10, Some(2)), (15, Some(3)), (39, Some(3)), (40, None)] {
        assert_eq!(all.muting(&exhaustion, at(hour)).map(|silence| silence.id), by, "{hour}");
    }
    let counts = SilenceState::STANDING.map(|state| all.count(state, at(10)));
    assert_eq!((counts, all.count(SilenceState::Expired, at(20))), ([3, 1], 1));
    assert_eq!((all.get(4).map(|found| found.id), all.get(5)), (Some(4), None));
    assert_eq!(Silences::default().muting(&exhaustion, at(10)), None);
    for (hour, order) in [(10, [1, 2, 4, 3]), (15, [1, 2, 3, 4]), (35, [3, 4, 2, 1])] {
        let mut sorted: Vec<Silence> = all.iter().cloned().collect();
        sort(&mut sorted, at(hour));
        assert_eq!(sorted.iter().map(|silence| silence.id).collect::<Vec<_>>(), order, "{hour}");
    }
}

#[test]
fn a_silence_is_of_a_team_if_it_names_it() {
    let teams = ["art", "env"].map(|name| TeamName::parse(name).unwrap());
    for (matchers, is_within) in [
        ("team=art", true),
        ("alert=~.+ team=env", true),
        ("team=art team=~.*", true),
        ("team=props", false),
        ("team=~art", false),
        ("team!=props", false),
        ("alert=art", false),
        ("alert=exhaustion team=", false),
        ("account=studio", false),
    ] {
        assert_eq!(silence(1, matchers, 10, 20).is_within(&teams), is_within, "{matchers}");
        assert!(!silence(1, matchers, 10, 20).is_within(&[]));
    }
}

#[test]
fn a_silence_is_found_by_its_own_matchers() {
    for (matchers, filter) in [("alert=exhaustion", "FuelgaugeExhaustion"), ("FuelgaugeExhaustion", "exhaustion")] {
        let filter = Matcher::parse_all(filter).unwrap();
        assert!(silence(1, matchers, 10, 20).is_found_by(&filter), "{matchers}: either name finds the other");
    }
    let silence = silence(1, "alert=exhaustion team=~env-.*", 10, 20);
    for (filter, is_found) in [
        ("", true),
        ("exhaustion", true),
        ("alert=exhaustion team=~\"env.*\"", true),
        ("team=env-art", false),
        ("account=", true),
        ("account=studio", false),
        ("account!=studio", true),
        ("alert!=exhaustion", false),
    ] {
        assert_eq!(silence.is_found_by(&Matcher::parse_all(filter).unwrap()), is_found, "{filter}");
    }
}

#[test]
fn what_is_asked_for_is_kept_or_answered_with_what_is_wrong() {
    let (day, year) = (SignedDuration::from_hours(24), LONGEST_SILENCE);
    let usual = || form("team=art", None, SilenceEnd::After(day));
    let kept = usual().check(Some("pipeline"), at(10)).unwrap();
    assert_eq!((kept.starts_at, kept.ends_at, kept.token.as_deref()), (at(10), at(34), Some("pipeline")));
    let from =
        |start, end| form("team=art", Some(start), end).check(None, at(10)).map(|new| (new.starts_at, new.ends_at));
    assert_eq!(from(20, SilenceEnd::After(day)), Ok((at(20), at(44))));
    assert_eq!(from(-5, SilenceEnd::After(day)), Ok((at(10), at(34))), "what has passed was told");
    assert_eq!(from(-5, SilenceEnd::At(at(11))), Ok((at(10), at(11))));
    assert!(from(10 + 366 * 24, SilenceEnd::After(year)).is_ok());

    let with = |change: fn(&mut SilenceForm)| {
        let mut form = usual();
        change(&mut form);
        form
    };
    for (form, field, message) in [
        (with(|form| form.matchers.clear()), "matchers", "expected at least one matcher, found none"),
        (form("team= account=~.*", None, SilenceEnd::After(day)), "matchers", "that an empty label does not fit"),
        (form(&"team=art ".repeat(21), None, SilenceEnd::After(day)), "matchers", "at most 20 matchers, found 21"),
        (with(|form| form.end = None), "duration", "expected how long it shall last, found nothing"),
        (form("team=art", None, SilenceEnd::After(SignedDuration::ZERO)), "duration", "more than 0"),
        (form("team=art", None, SilenceEnd::After(-day)), "duration", "more than 0"),
        (form("team=art", None, SilenceEnd::After(year + day)), "duration", "at most a year"),
        (form("team=art", None, SilenceEnd::After(SignedDuration::MAX)), "duration", "at most a year"),
        (form("team=art", None, SilenceEnd::At(at(10))), "end", "found `1970-01-01T10:00:00Z`, which has passed"),
        (form("team=art", Some(20), SilenceEnd::At(at(20))), "end", "expected a time after the start"),
        (form("team=art", Some(20), SilenceEnd::At(at(21 + 366 * 24))), "end", "at most a year"),
        (form("team=art", Some(11 + 366 * 24), SilenceEnd::After(day)), "start", "within a year"),
        (form("team=art", None, SilenceEnd::At(Timestamp::MAX)), "end", "at most a year"),
        (with(|form| form.comment = " ".into()), "comment", "expected why, found nothing"),
        (with(|form| form.comment = "ä".repeat(513)), "comment", "at most 512 characters, found 513"),
        (with(|form| form.comment = "a\nb".into()), "comment", "printable characters on one line"),
        (with(|form| form.by.clear()), "by", "expected a name"),
        (with(|form| form.by = "ä".repeat(65)), "by", "at most 64 characters"),
        (with(|form| form.by = "\u{202e}ada".into()), "by", "printable"),
    ] {
        let error = form.check(None, at(10)).unwrap_err();
        assert!(error.field == field && error.message.contains(message), "{field} {message}: {error}");
    }
    assert!(form(&"team=art ".repeat(20), None, SilenceEnd::After(day)).check(None, at(10)).is_ok());
    assert!(form("alert!=stale", None, SilenceEnd::After(day)).check(None, at(10)).is_ok(), "as in Alertmanager");
}
