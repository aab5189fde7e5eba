use super::*;
use Operator::{Equal, Matches, MatchesNot, NotEqual};
use proptest::prelude::*;

/// A matcher by its parts.
type Parts<'a> = (Label, Operator, &'a str);

fn parts(matcher: &Matcher) -> Parts<'_> {
    (matcher.label(), matcher.operator(), matcher.value())
}

#[test]
fn one_matcher_is_read_as_amtool_reads_it_or_answered_with_what_is_wrong() {
    type Read<'a> = Result<Parts<'a>, &'a str>;
    let table: &[(&str, Read<'_>)] = &[
        ("team=art", Ok((Label::Team, Equal, "art"))),
        ("alertname=\"FuelgaugeExhaustion\"", Ok((Label::AlertName, Equal, "FuelgaugeExhaustion"))),
        ("alertname=~exhaustion", Ok((Label::AlertName, Matches, "exhaustion"))),
        (
            "alertname=exhaustion",
            Err("such as `FuelgaugeExhaustion`, found `exhaustion`\nhint: write `alert=exhaustion`"),
        ),
        ("alertname!=low_balance", Err("hint: write `alert!=low_balance`")),
        (" team  !=  \"concept art\" ", Ok((Label::Team, NotEqual, "concept art"))),
        ("team=concept art", Ok((Label::Team, Equal, "concept art"))),
        ("team=~env-.*", Ok((Label::Team, Matches, "env-.*"))),
        ("account!~\"a|b\"", Ok((Label::Account, MatchesNot, "a|b"))),
        ("severity=", Ok((Label::Severity, Equal, ""))),
        ("severity=\"\"", Ok((Label::Severity, Equal, ""))),
        ("team=~\"\"", Ok((Label::Team, Matches, ""))),
        ("team=\"Käfer 🐞\"", Ok((Label::Team, Equal, "Käfer 🐞"))),
        ("team=Käfer", Ok((Label::Team, Equal, "Käfer"))),
        // Both of amtool's quirks: a backslash that stands for itself, and one that does not, without quotes too.
        ("team=~\\d+", Ok((Label::Team, Matches, "\\d+"))),
        ("team=~\"\\\\d\"", Ok((Label::Team, Matches, "\\d"))),
        ("team=a\\\"b", Ok((Label::Team, Equal, "a\"b"))),
        ("team=\"a\\\"b\\\\\"", Ok((Label::Team, Equal, "a\"b\\"))),
        ("team=a\\", Ok((Label::Team, Equal, "a\\"))),
        ("team='art'", Ok((Label::Team, Equal, "'art'"))),
        ("team=a=b", Ok((Label::Team, Equal, "a=b"))),
        ("team=~a,b{1,2}", Ok((Label::Team, Matches, "a,b{1,2}"))),
        ("", Err("expected a label, one of `=`, `!=`, `=~`, `!~`, and a value; found ``\nhint: such as `team=art`")),
        ("art", Err("found `art`")),
        ("=art", Err("no alert has a label ``; expected `alert`, `alertname`, `account`, `team` or `severity`")),
        ("teem=art", Err("no alert has a label `teem`")),
        ("Team=art", Err("no alert has a label `Team`")),
        ("\"team\"=art", Err("no alert has a label `\"team\"`")),
        ("team==art", Err("expected a label")),
        ("team!art", Err("expected a label")),
        ("team~art", Err("expected a label")),
        ("team=\"art", Err("`\"art` holds a quote that is not closed")),
        ("team=\"", Err("holds a quote")),
        ("team=\"a\\\"", Err("holds a quote")),
        ("team=a\"b", Err("holds a quote")),
        ("team=\"a\"b\"", Err("expected nothing after the value's last quote, found `b\"`")),
        ("team=\"a\" severity=\"b\"", Err("expected nothing after")),
        ("team=a\u{202e}b", Err("expected printable characters, found `a\u{fffd}b`")),
        ("team=a\nb", Err("expected printable characters")),
        ("team=~\"(\"", Err("`(` is no regular expression: ")),
        ("team=~a)|(b", Err("`a)|(b` is no regular expression: ")),
        ("team=~(?x)a#", Err("is no regular expression: ")),
        ("team=~(?=a)", Err("is no regular expression: ")),
        ("team=~((a{99}){99}){99}", Err("is no regular expression: ")),
    ];
    for (text, expected) in table {
        match (Matcher::parse(text), expected) {
            (Ok(found), Ok(parts_expected)) => assert_eq!(parts(&found), *parts_expected, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
    let longest = "ä".repeat(LONGEST_VALUE);
    assert!(Matcher::parse(&format!("team={longest}")).is_ok());
    let error = Matcher::parse(&format!("team={longest}ä")).unwrap_err().to_string();
    assert_eq!(error, "expected a value of at most 256 characters, found 257");
    let deep = "(".repeat(40) + "a" + &")".repeat(40);
    assert!(Matcher::new(Label::Team, Matches, &deep).is_err());
    // `.*` and a list of names are the usual ones.
    let usual = format!(".*(env|props|characters)-[0-9]{{1,3}}|{}", ["a-team-of-some-name"; 10].join("|"));
    assert!(Matcher::new(Label::Team, Matches, &usual).is_ok());
}

#[test]
fn several_are_read_from_one_text_or_from_one_each() {
    let table: &[(&str, &[Parts<'_>])] = &[
        ("", &[]),
        (" , \n", &[]),
        ("{}", &[]),
        ("exhaustion", &[(Label::Alert, Equal, "exhaustion")]),
        (
            "FuelgaugeExhaustion, team=art",
            &[(Label::AlertName, Equal, "FuelgaugeExhaustion"), (Label::Team, Equal, "art")],
        ),
        ("exhaustion team=art", &[(Label::Alert, Equal, "exhaustion"), (Label::Team, Equal, "art")]),
        (
            "team = \"concept art\",severity!=critical\n alert=~ex.*",
            &[
                (Label::Team, Equal, "concept art"),
                (Label::Severity, NotEqual, "critical"),
                (Label::Alert, Matches, "ex.*"),
            ],
        ),
        (
            "{alertname=\"FuelgaugeExhaustion\", team=~\"a, b|c\"}",
            &[(Label::AlertName, Equal, "FuelgaugeExhaustion"), (Label::Team, Matches, "a, b|c")],
        ),
        (
            "team= severity=\"\" alert=",
            &[(Label::Team, Equal, ""), (Label::Severity, Equal, ""), (Label::Alert, Equal, "")],
        ),
    ];
    for (text, expected) in table {
        let found = Matcher::parse_all(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found.iter().map(parts).collect::<Vec<_>>(), *expected, "{text}");
    }
    for wrong in
        ["team=art exhaustion", "team=\"a\"b", "a=b", "team=art {", "{team=art", "team=\"a b", "\"exhaustion\""]
    {
        assert!(Matcher::parse_all(wrong).is_err(), "{wrong}");
    }
    for (texts, expected) in [
        (&["exhaustion", "team=a b"][..], Some(vec!["alert=\"exhaustion\"", "team=\"a b\""])),
        (&["FuelgaugePlanReset"], Some(vec!["alertname=\"FuelgaugePlanReset\""])),
        (&["team=a", "exhaustion"], None),
        (&["\"ex\""], Some(vec!["alert=\"ex\""])),
        (&[""], None),
        (&["a\"b"], None),
        (&["teem=a"], None),
        (&[], Some(vec![])),
    ] {
        let found = Matcher::parse_each(texts).ok();
        let found = found.map(|all| all.iter().map(Matcher::to_string).collect::<Vec<_>>());
        assert_eq!(found, expected.map(|all| all.into_iter().map(str::to_owned).collect()), "{texts:?}");
    }
}

#[test]
fn the_whole_value_fits_or_none_of_it() {
    for (operator, value, fitting, unfitting) in [
        (Equal, "art", &["art"][..], &["", "Art", "arts", "art "][..]),
        (NotEqual, "art", &["", "arts"], &["art"]),
        (Equal, "", &[""], &["art"]),
        (NotEqual, "", &["art"], &[""]),
        (Matches, "env-.*", &["env-", "env-a"], &["", "my-env-a", "env"]),
        (Matches, "a|bc", &["a", "bc"], &["ab", "abc", "xa", "bcx"]),
        (Matches, "", &[""], &["a"]),
        (Matches, ".*", &["", "a", "ä🐞"], &[]),
        (Matches, ".+", &["a"], &[""]),
        (Matches, "(?i)ART", &["art", "Art"], &["arts"]),
        (Matches, "(?m)^a$", &["a"], &["a\nb", "b\na"]),
        (Matches, "^a$|b", &["a", "b"], &["ab"]),
        (Matches, "a.c", &["abc", "aäc"], &["a\nc"]),
        (MatchesNot, "env-.*", &["", "my-env-a"], &["env-a"]),
        (MatchesNot, "", &["a"], &[""]),
    ] {
        let matcher = Matcher::new(Label::Team, operator, value).unwrap();
        for (texts, fits) in [(fitting, true), (unfitting, false)] {
            texts.iter().for_each(|text| assert_eq!(matcher.fits(text), fits, "{matcher} {text:?}"));
        }
    }
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let label = prop::sample::select(Label::ALL.to_vec());
    let operator = prop::sample::select(Operator::ALL.to_vec());
    // What the reading turns on, and characters of every other kind.
    let value = prop_oneof!["[\"\\\\ ,{}=!~a-cä|.*]{0,12}", "\\PC{0,20}"];
    (label, operator, value).prop_filter_map("what cannot be a matcher", |(label, operator, value)| {
        Matcher::new(label, operator, &value).ok()
    })
}

proptest! {
    /// What is printed is read as what it was, alone and among others, in braces too.
    #[test]
    fn what_is_printed_is_read_again(matchers in prop::collection::vec(any_matcher(), 0..8)) {
        let text = matchers_in_words(&matchers);
        prop_assert_eq!(Matcher::parse_all(&text).unwrap(), &matchers[..], "{}", text);
        let each: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        prop_assert_eq!(Matcher::parse_all(&format!("{{{}}}", each.join(",\n"))).unwrap(), &matchers[..]);
        prop_assert_eq!(Matcher::parse_each(&each).unwrap(), &matchers[..]);
    }

    /// Whatever is written, there is an answer, and it is one line's or a line with a hint.
    #[test]
    fn anything_is_answered(text in "[\"\\\\ ,{}=!~a-z()?*+\\[\\]]{0,40}|team=~?.{0,40}|\\PC{0,40}") {
        for error in [Matcher::parse(&text).err(), Matcher::parse_all(&text).err()].into_iter().flatten() {
            prop_assert!(error.to_string().lines().count() <= 2);
        }
    }
}
