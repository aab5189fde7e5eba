//! The page of a rule: what it means, when it ends and what to do. It is written in a little of Markdown beside the rule, and
//! shown here as links in alerts lead to it.

use serde::Serialize;

use crate::domain::RuleName;

/// What a rule's page says.
#[derive(Debug, Serialize)]
pub struct RulePage {
    parts: Vec<Part>,
}

/// A part of it. One of the three is there.
#[derive(Debug, Default, Serialize)]
struct Part {
    /// A paragraph.
    text: Option<Vec<Run>>,
    /// The rows of a table of two columns.
    rows: Option<Vec<[Vec<Run>; 2]>>,
    /// A piece of configuration.
    code: Option<String>,
}

/// A run of text: plain, code or bold.
#[derive(Debug, PartialEq, Serialize)]
struct Run {
    kind: &'static str,
    text: String,
}

impl RulePage {
    /// The page of a rule, and its title.
    pub fn of(rule: RuleName) -> (String, RulePage) {
        let page = rule.page();
        let (heading, body) = page.split_once('\n').unwrap_or((page, ""));
        let title = heading.trim_start_matches("# ").replace('`', "");
        (
            title,
            RulePage { parts: body.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).map(part).collect() },
        )
    }
}

fn part(text: &str) -> Part {
    if let Some(code) = text.strip_prefix("```yaml\n").and_then(|rest| rest.strip_suffix("```")) {
        return Part { code: Some(code.trim_end().to_owned()), ..Part::default() };
    }
    if text.starts_with('|') {
        // The first two lines are the empty heading and the line below it.
        let row = |line: &str| {
            let (name, what) = line.trim_matches(['|', ' ']).split_once(" | ").unwrap_or((line, ""));
            [runs(name), runs(what)]
        };
        return Part { rows: Some(text.lines().skip(2).map(row).collect()), ..Part::default() };
    }
    Part { text: Some(runs(&text.replace('\n', " "))), ..Part::default() }
}

/// Text with `code` and **bold** in it.
fn runs(text: &str) -> Vec<Run> {
    let mut found = Vec::new();
    for (place, piece) in text.split('`').enumerate() {
        if place % 2 == 1 {
            found.push(Run { kind: "code", text: piece.to_owned() });
            continue;
        }
        for (place, piece) in piece.split("**").enumerate() {
            let kind = if place % 2 == 1 { "bold" } else { "plain" };
            found.push(Run { kind, text: piece.to_owned() });
        }
    }
    found.retain(|run| !run.text.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_of_markdown_is_understood() {
        let in_words = |text| runs(text).iter().map(|run| format!("{}:{}", run.kind, run.text)).collect::<Vec<_>>();
        assert_eq!(in_words("**Do.** Write `a**b` now"), ["bold:Do.", "plain: Write ", "code:a**b", "plain: now"]);
        for rule in RuleName::ALL {
            let (title, page) = RulePage::of(rule);
            assert!(title.starts_with(&format!("{rule}: ")), "{title}");
            let tables = page.parts.iter().filter(|part| part.rows.as_ref().is_some_and(|rows| rows.len() > 2)).count();
            let code = page.parts.iter().filter(|part| part.code.is_some()).count();
            assert_eq!((tables, code), (1, 1), "{rule}");
            // Nothing is left of what stands for looks.
            let texts = page.parts.iter().flat_map(|part| part.text.iter().chain(part.rows.iter().flatten().flatten()));
            for run in texts.flatten().filter(|run| run.kind != "code") {
                assert!(!run.text.contains(['`', '*', '#', '|']), "{rule}: {}", run.text);
            }
        }
    }
}
