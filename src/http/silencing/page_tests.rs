use super::*;
use crate::http::pages::Pages;
use crate::http::view::AlertsPage;
use crate::metrics::sample;

fn typed(pairs: &[(&str, &str)]) -> Typed {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn render(template: &str, view: impl Serialize) -> String {
    let pages = Pages::new(Some("https://studio.example/fuel"), "9.9.9", "/metrics").unwrap();
    pages.render(template, "Silences", view).unwrap().replace("&#x2f;", "/")
}

/// The page of the sample, with these matchers filled in.
fn page(is_open: bool, typed: &Typed, matchers: &str, refused: Option<(Sent, Refusal)>) -> String {
    let matchers = Matcher::parse_all(matchers).unwrap();
    let until = (!matchers.is_empty()).then(|| sample::at("2026-11-30T23:00:00Z"));
    let snapshot = sample::snapshot();
    let page = SilencesPage::of(&snapshot, is_open, (typed, &matchers, until), refused.as_ref(), sample::now());
    render("silences.html", page)
}

/// What a page has, and what it must not have.
fn check(name: &str, page: &str, expected: &[&str], forbidden: &[&str]) {
    let missing: Vec<_> = expected.iter().filter(|part| !page.contains(**part)).collect();
    let too_much: Vec<_> = forbidden.iter().filter(|part| page.contains(**part)).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "{name}: missing {missing:?}, too much {too_much:?}\n{page}");
}

#[test]
fn silences_are_listed_with_who_why_how_long_and_what_they_mute() {
    let page = page(true, &Typed::new(), "", None);
    let (standing, over) = page.split_once("Over in the last days").unwrap();
    check(
        "standing",
        standing,
        &[
            "<code>alert=&quot;exhaustion&quot;</code> <code>account=&quot;cinematics&quot;</code>",
            "<p>a planned push: &lt;b&gt;the credits may run dry&lt;/b&gt;</p>",
            "<b>active</b> for 2\u{a0}days more, until Tue 24 Nov, 07:00\u{a0}CET · silence 2, by ada</p>",
            "Mutes now:",
            "<span class=\"pill critical\">critical</span> exhaustion of \
             <a href=\"/fuel/teams/Characters%20%26%20%22Creatures%22\">Characters &amp; &quot;Creatures&quot;</a>",
            "<code>team=~&quot;env.*&quot;</code>",
            "<b>pending</b> in 9\u{a0}h, from Sun 22 Nov, 21:00\u{a0}CET to Mon 30 Nov, 20:00\u{a0}CET · silence 3, by grace</p>",
            "action=\"/fuel/silences/2/expire\"",
            "action=\"/fuel/silences/3/expire\"",
        ],
        &["<b>the credits", "/silences/1/expire", "<details open"],
    );
    assert!(standing.find("silence-2") < standing.find("silence-3"), "what mutes comes first");
    check("over", over, &["<b>expired</b> by pipeline 2\u{a0}h ago, ", "told already"], &["<form"]);
    assert_eq!(page.matches("type=\"password\"").count(), page.matches("<form").count());
}

#[test]
fn the_form_is_filled_by_an_address_and_comes_back_with_what_was_refused() {
    let refused = |refusal| Some((Sent::Silence, refusal));
    let hostile = typed(&[("team", "<i>\"x"), ("comment", "\"><script>"), ("by", "O'Neil & <u>"), ("duration", "3d")]);
    type Case<'a> = (&'a str, bool, Typed, &'a str, Option<(Sent, Refusal)>, &'a [&'a str], &'a [&'a str]);
    let table: Vec<Case<'_>> = vec![
        (
            "closed",
            false,
            typed(&[("team", "props")]),
            "team=props",
            None,
            &["can: [silence]", "Mutes now:"],
            &["<form", "type=\"password\""],
        ),
        (
            "empty",
            true,
            Typed::new(),
            "",
            None,
            &[
                "<option value=\"\" selected>any alert</option><option>stale_data</option><option>exhaustion</option>",
                "<option>Characters &amp; &quot;Creatures&quot;</option>",
                "<option value=\"24h\" selected>24 hours</option>",
                "<option value=\"reset\">until the plan resets</option>",
                "<input id=\"silence-comment\" name=\"comment\" type=\"text\"",
                "maxlength=\"512\" required>",
            ],
            &[
                "<details open",
                "Fires now and matches",
                "No alert that fires now matches.</p>\n      <form",
                "autofocus",
            ],
        ),
        (
            "filled by the link of an alert",
            true,
            typed(&[("alert", "exhaustion"), ("team", "Characters & \"Creatures\"")]),
            "alert=exhaustion team=\"Characters & \\\"Creatures\\\"\"",
            None,
            &[
                "<details open>\n      <summary><h2>Silence alerts",
                "<option selected>exhaustion</option>",
                "<option selected>Characters &amp; &quot;Creatures&quot;</option>",
                "Fires now and matches:",
                "<option value=\"reset\">until the plan resets, Tue 1 Dec, 00:00\u{a0}CET</option>",
            ],
            &[],
        ),
        (
            "filled with what nothing is called",
            true,
            typed(&[("team", "<script>nobody"), ("alert", "<b>")]),
            "team=nobody",
            None,
            &["<option selected>&lt;script&gt;nobody</option>", "No alert that fires now matches."],
            &["<script", "<b>\""],
        ),
        (
            "refused at a field",
            true,
            hostile.clone(),
            "",
            refused(Refusal::mistake("comment", "expected less\nhint: a `comment` of one line")),
            &[
                "id=\"silence-comment-wrong\" role=\"alert\">expected less; a “Comment” of one line<",
                "value=\"&quot;&gt;&lt;script&gt;\"",
                "value=\"O&#x27;Neil &amp; &lt;u&gt;\"",
                "<option selected>&lt;i&gt;&quot;x</option>",
                "<option value=\"3d\" selected>",
                " autofocus",
            ],
            &["<script", "<u>", "<i>"],
        ),
        (
            "refused for its token",
            true,
            hostile,
            "",
            refused(Refusal::Forbidden("the token `<x>` may not silence".to_owned())),
            &["id=\"silence-token-wrong\" role=\"alert\">the token `&lt;x&gt;` may not silence<"],
            &["<x>"],
        ),
        (
            "refused as a whole, with nothing typed",
            true,
            Typed::new(),
            "",
            refused(Refusal::Unavailable),
            &["<details open>\n      <summary><h2>Silence alerts", "role=\"alert\">the ledger cannot"],
            &["autofocus"],
        ),
        (
            "an expiry",
            true,
            Typed::new(),
            "",
            Some((Sent::Expiry(Some(2)), Refusal::Unauthorized)),
            &["id=\"expire-2-wrong\" role=\"alert\">expected a token"],
            &["<h1>Silences</h1>\n<p class=\"mistake\"", "expire-3-wrong"],
        ),
        (
            "an expiry of what is gone",
            true,
            Typed::new(),
            "",
            Some((Sent::Expiry(Some(9)), Refusal::NotFound("there is no silence `9`".to_owned()))),
            &["<h1>Silences</h1>\n<p class=\"mistake\" role=\"alert\">there is no silence `9`<"],
            &["<details open", "-wrong\""],
        ),
    ];
    for (name, is_open, typed, matchers, refused, expected, forbidden) in table {
        let page = page(is_open, &typed, matchers, refused);
        check(name, &page, expected, forbidden);
        let (labels, inputs) = (page.matches("<label for=").count(), page.matches("<input").count());
        assert_eq!(labels, inputs + page.matches("<select").count(), "{name}: each field has its label");
    }
}

#[test]
fn very_many_teams_are_typed_instead_of_chosen() {
    let names: Vec<String> = (0..=MOST_CHOICES).map(|number| format!("team-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(choice("team", "Team", "any", &names).input, "text");
    let few = choice("team", "Team", "any", &names[1..]);
    assert_eq!((few.input, few.choices.len()), ("select", MOST_CHOICES + 1));
}

#[test]
fn an_alert_leads_to_its_silence_or_says_what_silences_it() {
    let mut snapshot = sample::snapshot();
    let silenced = render("alerts.html", AlertsPage::of(&snapshot, sample::now()));
    check(
        "silenced",
        &silenced,
        &[
            "<b>Silenced</b> by ada <a href=\"/fuel/silences#silence-2\">for 2\u{a0}days more",
            "&lt;b&gt;the credits may",
        ],
        &["/silences?", "<b>the"],
    );
    snapshot.silences = Silences::default();
    let page = render("alerts.html", AlertsPage::of(&snapshot, sample::now()));
    let link =
        "href=\"/fuel/silences?alert=exhaustion&amp;team=Characters+%26+%22Creatures%22&amp;account=cinematics\"";
    check("not silenced", &page, &[link], &["<b>Silenced"]);
}
