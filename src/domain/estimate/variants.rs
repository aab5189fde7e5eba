//! What more variants of a task cost: some platforms sell each, some a launch with as many as it makes.

use std::collections::BTreeMap;

use super::PastTask;
use crate::domain::price::PriceSheet;

/// What a launch with so many variants costs beside one with another number.
#[derive(Clone, Debug)]
pub(super) struct VariantPrices {
    /// Usual price by number of variants, never falling with it; empty where no launch says how many it made.
    known: Vec<(u32, f64)>,
    /// Whether the platform lists one price for a launch, whatever the variants.
    is_per_launch: bool,
}

impl VariantPrices {
    /// What launches of one kind cost by their variants, and what is listed for it.
    pub fn learn<'a>(
        tasks: impl Iterator<Item = &'a PastTask>,
        sheet: Option<&PriceSheet>,
        task_type: &str,
        quality: &str,
    ) -> VariantPrices {
        let mut by_variants: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        for task in tasks.filter(|task| task.credits_net.is_positive()) {
            if let Some(variants) = task.variants.filter(|variants| *variants > 0) {
                by_variants.entry(variants).or_default().push(task.credits_net.micros());
            }
        }
        let mut highest: f64 = 0.0;
        let mut known = Vec::with_capacity(by_variants.len());
        for (variants, mut prices) in by_variants {
            prices.sort_unstable();
            highest = highest.max(prices[(prices.len() - 1) / 2] as f64);
            known.push((variants, highest));
        }
        let listed = |variants| sheet.and_then(|sheet| sheet.price(task_type, quality, variants));
        let is_per_launch = listed(1).is_some_and(|one| listed(2).is_some_and(|two| two == one));
        VariantPrices { known, is_per_launch }
    }

    /// Whether each variant is a launch of its own, as far as is known.
    pub fn are_launches(&self) -> bool {
        self.known.is_empty() && !self.is_per_launch
    }

    /// What `asked` variants cost, as a multiple of what a launch with `of` variants does (`None`: it does not say). Never
    /// falls with `asked`.
    pub fn times(&self, asked: u32, of: Option<u32>) -> f64 {
        let of = of.unwrap_or(1).max(1);
        self.price(asked.max(1)) / self.price(of)
    }

    /// Above what is known each variant more costs its part; between, in proportion; below, its part too.
    fn price(&self, variants: u32) -> f64 {
        let place = self.known.partition_point(|(known, _)| *known < variants);
        let per_variant = |(known, price): (u32, f64)| {
            if self.is_per_launch { price } else { price * f64::from(variants) / f64::from(known) }
        };
        match (place.checked_sub(1).map(|below| self.known[below]), self.known.get(place)) {
            (_, Some((known, price))) if *known == variants => *price,
            (Some((low, low_price)), Some((high, high_price))) => {
                let part = f64::from(variants - low) / f64::from(high - low);
                low_price + (high_price - low_price) * part
            }
            (Some(below), None) => per_variant(below),
            (None, Some(above)) => per_variant(*above),
            (None, None) if self.is_per_launch => 1.0,
            (None, None) => f64::from(variants),
        }
    }
}
