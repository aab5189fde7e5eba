//! The metrics text, read.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// One answer of `/metrics`.
#[derive(Clone, Debug)]
pub struct Scrape {
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Reads the text format; anything else is a failure.
    pub fn read(text: &str) -> Scrape {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Scrape { samples: lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect() }
    }

    /// The sum of the samples of a family that carry these labels; `None` if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        let found: Vec<f64> = self.samples.iter().filter(fits).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// The samples of the families whose names begin so, for comparing two scrapes.
    pub fn family(&self, prefix: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name.starts_with(prefix)).collect()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (label, after) = inside.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.to_owned(), value);
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inside[1..];
    }
    Some(Sample { name: name.to_owned(), labels, value: rest.trim().parse().ok()? })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[test]
fn samples_are_read_with_their_escapes() {
    let scrape = Scrape::read("# HELP x y\nx{a=\"q\\\"\\\\\\n}\",b=\"\"} 1.5\ny 2\n");
    assert_eq!(scrape.value("x", &[("a", "q\"\\\n}"), ("b", "")]), Some(1.5));
    assert_eq!((scrape.value("y", &[]), scrape.value("z", &[])), (Some(2.0), None));
}
