//! The past of an account as OpenMetrics text with timestamps: the same names and labels as in a scrape, so that what is
//! loaded from it and what is scraped later are one series.
//!
//! OpenMetrics wants each family in one piece, and in it each series in one piece and in the order of time. So samples are
//! written as they come, series by series, and nothing is kept.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::families::{FUEL, Family, Fuel, Kind};
use super::sheet::{escape, push_series};

/// The families whose past the ledger knows. Not among them: spend rates, burn ratios and forecasts, which are worked out
/// from these by a query, or were never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Credits charged.
    Charged,
    /// Credits that came back for tasks.
    Refunded,
    /// Credits bought or awarded.
    Granted,
    /// Credits that lapsed at their own date.
    Expired,
    /// Tasks that became final.
    TasksFinished,
    /// Tasks that failed.
    TasksFailed,
    /// Launches of which it is known what they attempt.
    TaskAttempts,
    /// Second attempts.
    TaskRetries,
    /// Credits charged for second attempts.
    RetryCredits,
    /// Credits left.
    Balance,
}

impl Past {
    /// The family as in a scrape.
    fn family(self) -> &'static Family {
        let fuel = match self {
            Past::Charged => Fuel::Charged,
            Past::Refunded => Fuel::Refunded,
            Past::Granted => Fuel::Granted,
            Past::Expired => Fuel::Expired,
            Past::TasksFinished => Fuel::TasksFinished,
            Past::TasksFailed => Fuel::TasksFailed,
            Past::TaskAttempts => Fuel::TaskAttempts,
            Past::TaskRetries => Fuel::TaskRetries,
            Past::RetryCredits => Fuel::RetryCredits,
            Past::Balance => Fuel::Balance,
        };
        &FUEL[fuel as usize]
    }

    /// What differs from the family in a scrape: when something counts.
    const fn dated(self) -> &'static str {
        match self {
            Past::Charged | Past::RetryCredits => {
                "In this export each counts from the platform's time of the charge on."
            }
            Past::TaskAttempts | Past::TaskRetries => {
                "In this export each counts from the platform's time of the launch on."
            }
            Past::Refunded => "In this export each counts from the time of the refund on, where the platform told one.",
            Past::TasksFinished | Past::TasksFailed => {
                "In this export each counts from the platform's time of the end on, or of the launch where it told none."
            }
            Past::Granted | Past::Expired => "In this export each counts from the poll on that recognised it.",
            Past::Balance => {
                "In this export a balance holds until the next that differed, up to the last that was read."
            }
        }
    }
}

/// An exposition under way.
#[derive(Debug)]
pub struct PastSheet<W> {
    out: W,
    extra: Vec<(String, String)>,
    family: Option<Past>,
    /// The series that samples now belong to, as text.
    series: String,
    value: String,
}

impl<W: Write> PastSheet<W> {
    /// An empty sheet. Every series gets the `extra` labels as well, such as the job and instance that a scrape adds.
    ///
    /// # Errors
    /// The name of an extra label that our own labels have already, or that comes twice.
    pub fn new(out: W, extra: &[(String, String)]) -> Result<PastSheet<W>, String> {
        let is_ours = |name: &str| FUEL.iter().any(|family| family.labels.contains(&name));
        for (place, (name, _)) in extra.iter().enumerate() {
            if is_ours(name) || extra[..place].iter().any(|(before, _)| before == name) {
                return Err(name.clone());
            }
        }
        Ok(PastSheet { out, extra: extra.to_vec(), family: None, series: String::new(), value: String::new() })
    }

    /// Begins a family. Each may come once.
    ///
    /// # Errors
    /// The text cannot be written.
    pub fn begin(&mut self, past: Past) -> io::Result<()> {
        let family = past.family();
        let name = metadata_name(family);
        let mut text = format!("# TYPE {name} {}\n", family.kind.as_str());
        if name.ends_with("_credits") {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# UNIT {name} credits");
        }
        let _ = write!(text, "# HELP {name} ");
        escape(&mut text, family.help, true);
        text.push(' ');
        escape(&mut text, past.dated(), true);
        text.push('\n');
        self.family = Some(past);
        self.out.write_all(text.as_bytes())
    }

    /// Begins a series of the family that was last begun; `labels` are in the order of the family's names.
    pub fn series(&mut self, labels: &[&str]) {
        self.series.clear();
        let Some(family) = self.family.map(Past::family) else { return };
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        let ours = family.labels.iter().copied().zip(labels.iter().copied());
        let extra = self.extra.iter().map(|(name, label)| (name.as_str(), label.as_str()));
        push_series(&mut self.series, family.name, ours.chain(extra));
        self.series.push(' ');
    }

    /// Adds samples of one value to the series that was last begun, in the order of time, and answers how many. The
    /// instants are in seconds since the Unix epoch. What is not a number has no samples.
    ///
    /// # Errors
    /// The text cannot be written.
    pub fn samples(&mut self, value: f64, instants: impl Iterator<Item = i64>) -> io::Result<u64> {
        if value.is_nan() {
            return Ok(0);
        }
        self.value.clear();
        let _ = write!(self.value, "{value} ");
        let mut count = 0;
        for instant in instants {
            self.out.write_all(self.series.as_bytes())?;
            self.out.write_all(self.value.as_bytes())?;
            writeln!(self.out, "{instant}")?;
            count += 1;
        }
        Ok(count)
    }

    /// Ends the exposition and gives back what it was written to.
    ///
    /// # Errors
    /// The text cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"# EOF\n")?;
        Ok(self.out)
    }
}

/// OpenMetrics names a counter without the ending that its samples have.
fn metadata_name(family: &Family) -> &'static str {
    match family.kind {
        Kind::Counter => family.name.strip_suffix("_total").unwrap_or(family.name),
        Kind::Gauge => family.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn families_series_and_samples_become_open_metrics() {
        let extra = labels(&[("job", "fuelgauge"), ("instance", "a\"b")]);
        let mut sheet = PastSheet::new(Vec::new(), &extra).unwrap();
        sheet.begin(Past::Charged).unwrap();
        sheet.series(&["studio", "Käfer \\ \"x\"", "a\nb", ""]);
        assert_eq!(sheet.samples(0.0, [1_789_999_800].into_iter()).unwrap(), 1);
        assert_eq!(sheet.samples(2.5, [1_790_000_100, 1_790_000_400].into_iter()).unwrap(), 2);
        assert_eq!(sheet.samples(f64::NAN, [1_790_000_700].into_iter()).unwrap(), 0);
        sheet.begin(Past::TasksFailed).unwrap();
        sheet.begin(Past::Balance).unwrap();
        let text = String::from_utf8(sheet.finish().unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        let series =
            r#"{account="studio",team="Käfer \\ \"x\"",task_type="a\nb",quality="",job="fuelgauge",instance="a\"b"}"#;
        assert_eq!(
            lines,
            [
                "# TYPE fuelgauge_charged_credits counter",
                "# UNIT fuelgauge_charged_credits credits",
                &format!("fuelgauge_charged_credits_total{series} 0 1789999800"),
                &format!("fuelgauge_charged_credits_total{series} 2.5 1790000100"),
                &format!("fuelgauge_charged_credits_total{series} 2.5 1790000400"),
                "# TYPE fuelgauge_tasks_failed counter",
                "# TYPE fuelgauge_balance_credits gauge",
                "# UNIT fuelgauge_balance_credits credits",
                "# EOF",
            ]
        );
        assert!(text.contains("# HELP fuelgauge_charged_credits Credits charged"), "{text}");
        assert!(text.contains("the platform's time of the charge on."), "{text}");
    }

    #[test]
    fn labels_that_would_clash_are_named() {
        for (extra, expected) in [
            (&[("job", "a"), ("instance", "b")][..], None),
            (&[("team", "a")], Some("team")),
            (&[("job", "a"), ("bucket", "a")], Some("bucket")),
            (&[("job", "a"), ("job", "b")], Some("job")),
        ] {
            let found = PastSheet::new(Vec::new(), &labels(extra)).err();
            assert_eq!(found.as_deref(), expected, "{extra:?}");
        }
    }
}
