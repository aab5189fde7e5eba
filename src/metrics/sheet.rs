//! Samples on their way to the registry, family by family.

use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::families::{Family, Kind};

/// The samples of one scrape for one table of families.
pub(super) struct Sheet {
    table: &'static [Family],
    samples: Vec<Vec<Metric>>,
}

impl Sheet {
    /// An empty sheet for a table.
    pub(super) fn of(table: &'static [Family]) -> Sheet {
        Sheet { table, samples: table.iter().map(|_| Vec::new()).collect() }
    }

    /// Adds a sample; `index` is the family's place in the table. What is not a number is left out, because an unknown
    /// value has no sample.
    pub(super) fn put(&mut self, index: usize, labels: &[&str], value: f64) {
        let family = &self.table[index];
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        if value.is_nan() {
            return;
        }
        let pairs = family.labels.iter().zip(labels).map(|(name, value)| label_pair(name, value)).collect();
        let mut metric = Metric::from_label(pairs);
        match family.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.samples[index].push(metric);
    }

    /// The families that have samples.
    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        let filled = self.table.iter().zip(self.samples).filter(|(_, samples)| !samples.is_empty());
        filled
            .map(|(family, samples)| {
                let mut filled = MetricFamily::default();
                filled.set_name(family.name.to_string());
                filled.set_help(family.help.to_string());
                filled.set_field_type(match family.kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                });
                filled.set_metric(samples);
                filled
            })
            .collect()
    }
}

/// The descriptions by which a registry knows the families of a table.
///
/// # Errors
/// A name or a label that Prometheus does not allow.
pub(super) fn describe(table: &[Family]) -> Result<Vec<Desc>, prometheus::Error> {
    table
        .iter()
        .map(|family| {
            let labels = family.labels.iter().map(ToString::to_string).collect();
            Desc::new(family.name.to_string(), family.help.to_string(), labels, Default::default())
        })
        .collect()
}

fn label_pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_string());
    pair.set_value(value.to_string());
    pair
}
