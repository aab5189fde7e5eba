//! OpenMetrics text, read by the letter: what a lenient reader would pass over fails here.

use std::collections::{BTreeMap, BTreeSet};

/// One family with its series, in the order of the text.
#[derive(Debug, Default)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: Option<String>,
    pub help: String,
    pub series: Vec<Series>,
}

#[derive(Debug)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// Seconds since the Unix epoch, and value.
    pub samples: Vec<(i64, f64)>,
}

/// Reads an exposition whose samples all have timestamps in whole seconds.
pub fn read(text: &str) -> Vec<Family> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with `# EOF` and a line feed");
    assert!(!body.contains('\r') && !body.contains("# EOF") && (body.is_empty() || body.ends_with('\n')));
    let mut families: Vec<Family> = Vec::new();
    let mut names = BTreeSet::new();
    let mut metadata = Vec::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, what) = rest.split_once(' ').unwrap();
            assert!(is_name(name), "{line}");
            if word == "TYPE" {
                assert!(names.insert(name.to_owned()), "a family comes twice: {line}");
                assert!(["counter", "gauge"].contains(&what), "{line}");
                families.push(Family { name: name.to_owned(), kind: what.to_owned(), ..Family::default() });
                metadata = vec!["TYPE"];
                continue;
            }
            let family = families.last_mut().unwrap();
            assert!(family.name == name && family.series.is_empty(), "metadata out of place: {line}");
            match word {
                "UNIT" => {
                    assert_eq!(metadata, ["TYPE"], "{line}");
                    assert!(name.ends_with(&format!("_{what}")), "a unit that the name does not end with: {line}");
                    family.unit = Some(what.to_owned());
                    metadata.push("UNIT");
                }
                "HELP" => {
                    assert!(!metadata.contains(&"HELP"), "{line}");
                    family.help = unescaped(what).unwrap_or_else(|| panic!("{line}"));
                    metadata.push("HELP");
                }
                _ => panic!("{line}"),
            }
        } else {
            let family = families.last_mut().unwrap_or_else(|| panic!("a sample without a family: {line}"));
            sample(family, line);
        }
    }
    families
}

fn sample(family: &mut Family, line: &str) {
    let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("no labels: {line}"));
    let suffix = if family.kind == "counter" { "_total" } else { "" };
    assert_eq!(name, format!("{}{suffix}", family.name), "{line}");
    let (labels, rest) = labels(rest).unwrap_or_else(|| panic!("labels: {line}"));
    let (value, instant) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(' ')).unwrap();
    let (instant, value): (i64, f64) = (instant.parse().unwrap(), value.parse().unwrap());
    assert!(!value.is_nan(), "{line}");
    if family.series.last().is_none_or(|series| series.labels != labels) {
        assert!(family.series.iter().all(|series| series.labels != labels), "a series in two pieces: {line}");
        family.series.push(Series { labels, samples: Vec::new() });
    }
    let samples = &mut family.series.last_mut().unwrap().samples;
    if let Some((before, least)) = samples.last() {
        assert!(*before < instant, "not in the order of time: {line}");
        assert!(family.kind != "counter" || *least <= value, "a counter fell: {line}");
    } else {
        assert!(family.kind != "counter" || value >= 0.0, "{line}");
    }
    samples.push((instant, value));
}

fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let mut is_escaped = false;
        let end = after.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        })?;
        let value = unescaped(&after[..end])?;
        if !is_name(name) || name.contains(':') || labels.insert(name.to_owned(), value).is_some() {
            return None;
        }
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Some((labels, rest.strip_prefix('}')?)),
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.chars().all(is_good) && text.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

/// A text without its escapes; `None` if it has one that there is not, or a bare quote.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        plain.push(match c {
            '\\' => match characters.next()? {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            },
            '"' => return None,
            c => c,
        });
    }
    Some(plain)
}

#[test]
fn what_is_not_by_the_letter_is_refused() {
    const HEAD: &str = "# TYPE a_credits counter\n# UNIT a_credits credits\n# HELP a_credits Of \\\"a\\\".\n";
    let good = format!(
        "{HEAD}a_credits_total{{x=\"\\\\\\\"\\n\",y=\"\"}} 1 0\na_credits_total{{x=\"\\\\\\\"\\n\",y=\"\"}} 2.5 60\n# EOF\n"
    );
    let families = read(&good);
    assert_eq!((families[0].help.as_str(), families[0].unit.as_deref()), ("Of \"a\".", Some("credits")));
    assert_eq!(families[0].series[0].labels["x"], "\\\"\n");
    assert_eq!(families[0].series[0].samples, [(0, 1.0), (60, 2.5)]);
    let sample = |text: &str| format!("{HEAD}{text}# EOF\n");
    for bad in [
        HEAD.to_owned(),
        sample("a_credits{x=\"\"} 1 0\n"),
        sample("a_credits_total{x=\"\"} 1 0.5\n"),
        sample("a_credits_total{x=\"\"} NaN 0\n"),
        sample("a_credits_total{x=\"\\t\"} 1 0\n"),
        sample("a_credits_total{x=\"\",x=\"\"} 1 0\n"),
        sample("a_credits_total{x=\"\"} 1 60\na_credits_total{x=\"\"} 1 60\n"),
        sample("a_credits_total{x=\"\"} 2 0\na_credits_total{x=\"\"} 1 60\n"),
        sample("a_credits_total{x=\"1\"} 1 0\na_credits_total{x=\"2\"} 1 0\na_credits_total{x=\"1\"} 1 60\n"),
        sample(HEAD),
        "# TYPE a gauge\n# HELP a A.\n# UNIT a a\n# EOF\n".to_owned(),
        "# TYPE a gauge\n# UNIT a credits\n# EOF\n".to_owned(),
        "a{x=\"\"} 1 0\n# EOF\n".to_owned(),
    ] {
        let refused = std::panic::catch_unwind(|| read(&bad));
        assert!(refused.is_err(), "{bad}");
    }
}
