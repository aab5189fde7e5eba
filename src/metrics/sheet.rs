//! Samples on their way into the text format, family by family.
//!
//! They are written as text at once. As messages of the metrics library, sorted and copied on the way, a million series
//! would take seconds.

use std::fmt::Write;

use super::families::Family;

/// The samples of one scrape for one table of families.
pub(super) struct Sheet {
    table: &'static [Family],
    texts: Vec<String>,
}

impl Sheet {
    /// An empty sheet for a table.
    pub(super) fn of(table: &'static [Family]) -> Sheet {
        Sheet { table, texts: vec![String::new(); table.len()] }
    }

    /// Adds a sample; `index` is the family's place in the table. What is not a number is left out, because an unknown
    /// value has no sample.
    pub(super) fn put(&mut self, index: usize, labels: &[&str], value: f64) {
        let family = &self.table[index];
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        if value.is_nan() {
            return;
        }
        let text = &mut self.texts[index];
        if text.is_empty() {
            begin(text, family);
        }
        push_series(text, family.name, family.labels.iter().copied().zip(labels.iter().copied()));
        if value.is_infinite() {
            text.push_str(if value > 0.0 { " +Inf\n" } else { " -Inf\n" });
        } else {
            // Writing to a string cannot fail.
            let _ = writeln!(text, " {value}");
        }
    }

    /// The families that have samples: name, and text with its comments.
    pub(super) fn into_families(self) -> impl Iterator<Item = (&'static str, String)> {
        let named = self.table.iter().map(|family| family.name).zip(self.texts);
        named.filter(|(_, text)| !text.is_empty())
    }
}

fn begin(text: &mut String, family: &Family) {
    let _ = write!(text, "# HELP {} ", family.name);
    escape(text, family.help, false);
    let _ = writeln!(text, "\n# TYPE {} {}", family.name, family.kind.as_str());
}

/// A series as both text formats write it: its name, and its labels, if there are any, in braces.
pub(super) fn push_series<'a>(text: &mut String, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    text.push_str(name);
    let mut has_labels = false;
    for (name, label) in labels {
        text.push(if has_labels { ',' } else { '{' });
        has_labels = true;
        text.push_str(name);
        text.push_str("=\"");
        escape(text, label, true);
        text.push('"');
    }
    if has_labels {
        text.push('}');
    }
}

/// Backslashes and line ends are escaped everywhere; quotes in labels, and in OpenMetrics in help texts too.
pub(super) fn escape(text: &mut String, raw: &str, with_quotes: bool) {
    let mut rest = raw;
    while let Some(place) = rest.find(|c| matches!(c, '\\' | '\n') || (with_quotes && c == '"')) {
        text.push_str(&rest[..place]);
        // What was found is ASCII: one byte.
        text.push_str(match rest.as_bytes()[place] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &rest[place + 1..];
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::families::Kind;
    use super::*;

    const TABLE: &[Family] = &[
        Family { name: "a_total", kind: Kind::Counter, labels: &["x", "y"], help: "One \"line\" \\ \n." },
        Family { name: "b", kind: Kind::Gauge, labels: &[], help: "B." },
    ];

    #[test]
    fn samples_become_the_text_format() {
        for (index, labels, value, expected) in [
            (0, &["", "plain"][..], 1.0, Some(r#"a_total{x="",y="plain"} 1"#)),
            (0, &["\\", "\"\n\u{e4}\""], 0.5, Some(r#"a_total{x="\\",y="\"\nä\""} 0.5"#)),
            (1, &[], 1_790_000_000.25, Some("b 1790000000.25")),
            (1, &[], f64::INFINITY, Some("b +Inf")),
            (1, &[], f64::NEG_INFINITY, Some("b -Inf")),
            (1, &[], f64::NAN, None),
        ] {
            let mut sheet = Sheet::of(TABLE);
            sheet.put(index, labels, value);
            let families: Vec<_> = sheet.into_families().collect();
            let line = families.first().and_then(|(_, text)| text.lines().nth(2));
            assert_eq!(line, expected, "{labels:?} {value}");
        }
        let mut sheet = Sheet::of(TABLE);
        sheet.put(0, &["1", "2"], 3.0);
        sheet.put(0, &["1", "3"], 4.0);
        let text = "# HELP a_total One \"line\" \\\\ \\n.\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\n";
        assert_eq!(sheet.into_families().collect::<Vec<_>>(), [("a_total", text.to_owned())]);
    }
}
