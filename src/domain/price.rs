//! What a platform says that its tasks cost: a price sheet, dated and with its source.
//!
//! A sheet is what somebody published and somebody else wrote down; what was charged stands in the ledger. What a sheet does
//! not list is not known, and never free.

use std::fmt;

use jiff::civil::Date;

use super::credits::Credits;

mod drift;

pub use drift::{
    ChargedPrice, ChargedTask, ComparedPrices, LEAST_TASKS, LOOK_BACK, MOST_TASKS, PriceDrift, READ_TASKS,
    compare_prices,
};

/// The prices of a platform, as they were published on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceSheet {
    /// Whose prices they are, such as `meshy`.
    pub platform: String,
    /// The day on which they were seen.
    pub as_of: Date,
    /// Where: a URL or the name of a document.
    pub source: String,
    /// The prices. No two are for the same task type and quality.
    pub lines: Vec<PriceLine>,
    /// How many repeated attempts at an asset, after one that succeeded, cost nothing. `None` where nobody documents it.
    pub free_retries: Option<u32>,
}

/// One price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceLine {
    /// The platform's word for the kind of task.
    pub task_type: String,
    /// The platform's word for its quality, not empty; `None`: any that has no line of its own.
    pub quality: Option<String>,
    /// What it costs.
    pub price: ListedPrice,
    /// Whether it continues an earlier task: then it is launched once for each asset, whatever the variants.
    pub is_step: bool,
}

/// What a launch costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedPrice {
    /// Credits of one launch or of one variant, not below zero.
    pub credits: PriceRange,
    /// Of which of the two.
    pub per: PriceUnit,
}

/// What a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceUnit {
    /// A launch, whatever it makes.
    Launch,
    /// Each variant of a launch.
    Variant,
}

/// From the least to the most that is listed; the same for a fixed price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// At least so much.
    pub low: Credits,
    /// At most so much, and not less than the least.
    pub high: Credits,
}

impl PriceSheet {
    /// What a launch is listed at. `None`: it is not listed, so its price is not known.
    ///
    /// The line of that quality comes before the one for any quality. An empty quality means that nobody said which: without
    /// a line for any, it may be each that is listed, from the cheapest to the dearest. A launch makes at least one variant.
    pub fn price(&self, task_type: &str, quality: &str, variants: u32) -> Option<PriceRange> {
        let of_type = || self.lines.iter().filter(|line| line.task_type == task_type);
        let of_quality = of_type().find(|line| line.quality.as_deref() == Some(quality));
        let line = of_quality.or_else(|| of_type().find(|line| line.quality.is_none()));
        if line.is_some() || !quality.is_empty() {
            return line.map(|line| line.price.of(variants));
        }
        of_type().map(|line| line.price.of(variants)).reduce(PriceRange::or)
    }

    /// Whether a kind of task is listed as a step. The lines of a kind agree on what it is.
    pub fn is_step(&self, task_type: &str) -> bool {
        self.lines.iter().any(|line| line.task_type == task_type && line.is_step)
    }
}

impl ListedPrice {
    fn of(self, variants: u32) -> PriceRange {
        match self.per {
            PriceUnit::Launch => self.credits,
            PriceUnit::Variant => self.credits.times(variants.max(1)),
        }
    }
}

impl PriceRange {
    /// A fixed price.
    pub const fn fixed(credits: Credits) -> PriceRange {
        PriceRange { low: credits, high: credits }
    }

    /// So many times.
    pub fn times(self, factor: u32) -> PriceRange {
        PriceRange { low: self.low.times(factor.into()), high: self.high.times(factor.into()) }
    }

    /// From the lower to the higher of two.
    fn or(self, other: PriceRange) -> PriceRange {
        PriceRange { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// `20`, or `5 to 10`.
impl fmt::Display for PriceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low == self.high {
            true => write!(f, "{}", self.low),
            false => write!(f, "{} to {}", self.low, self.high),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Task type, quality (`*`: any), from, to, per, step.
    fn sheet(lines: &[(&str, &str, i64, i64, PriceUnit, bool)]) -> PriceSheet {
        let line =
            |(task_type, quality, low, high, per, is_step): &(&str, &str, i64, i64, PriceUnit, bool)| PriceLine {
                task_type: (*task_type).into(),
                quality: (*quality != "*").then(|| (*quality).into()),
                price: ListedPrice {
                    credits: PriceRange { low: Credits::from_whole(*low), high: Credits::from_whole(*high) },
                    per: *per,
                },
                is_step: *is_step,
            };
        PriceSheet {
            platform: "x".into(),
            as_of: jiff::civil::date(2026, 9, 8),
            source: "a page".into(),
            lines: lines.iter().map(line).collect(),
            free_retries: None,
        }
    }

    fn example() -> PriceSheet {
        use PriceUnit::{Launch, Variant};
        sheet(&[
            ("text-to-3d-refine", "*", 10, 10, Launch, true),
            ("text-to-3d-preview", "new", 20, 20, Variant, false),
            ("text-to-3d-preview", "old", 5, 10, Variant, false),
            ("image-to-3d", "*", 30, 30, Launch, false),
            ("image-to-3d", "high", 60, 60, Launch, false),
            ("analyze", "*", 0, 0, Launch, true),
            ("text", "*", 1, 1, Launch, false),
            ("text-to-3d2", "*", 7, 7, Launch, false),
        ])
    }

    #[test]
    fn a_launch_costs_what_the_sheet_lists_for_it() {
        for (task_type, quality, variants, expected) in [
            ("text-to-3d-refine", "", 1, Some("10")),
            ("text-to-3d-refine", "new", 4, Some("10")),
            ("text-to-3d-preview", "new", 1, Some("20")),
            ("text-to-3d-preview", "new", 4, Some("80")),
            ("text-to-3d-preview", "new", 0, Some("20")),
            ("text-to-3d-preview", "old", 2, Some("10 to 20")),
            // Nobody said which: any of those that are listed. Another one than those is not known.
            ("text-to-3d-preview", "", 1, Some("5 to 20")),
            ("text-to-3d-preview", "", 2, Some("10 to 40")),
            ("text-to-3d-preview", "newest", 1, None),
            // What is named wins over what stands for any.
            ("image-to-3d", "high", 1, Some("60")),
            ("image-to-3d", "low", 1, Some("30")),
            ("image-to-3d", "", 1, Some("30")),
            // Listed as free is known; not listed is not.
            ("analyze", "", 1, Some("0")),
            ("text-to-3d", "", 1, None),
            ("", "", 1, None),
        ] {
            let found = example().price(task_type, quality, variants).map(|range| range.to_string());
            assert_eq!(found.as_deref(), expected, "{task_type} {quality} {variants}");
        }
    }

    #[test]
    fn a_kind_is_a_step_if_it_is_listed_so() {
        for (task_type, expected) in [
            ("text-to-3d-refine", true),
            ("analyze", true),
            ("text-to-3d-preview", false),
            ("text", false),
            ("image-to-3d", false),
            ("text-to-3d", false),
            ("", false),
        ] {
            assert_eq!(example().is_step(task_type), expected, "{task_type}");
        }
    }
}
