//! Exact amounts of fuel.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// An exact amount of credits, held as integer millionths of a credit.
///
/// Ledger arithmetic never leaves integers. A float appears only in the statistics of a forecast and at the edge of a
/// gauge ([`Credits::as_f64`]). Sums saturate at the ends of `i64` instead of wrapping: a single parsed amount is at most
/// [`Credits::MAX_PARSED`], so some nine thousand of the largest ones fit before that happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(i64);

/// Why a text is not an amount of credits. The `Display` text names what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreditsError {
    /// The text is empty or holds something that is not a decimal number.
    #[error("expected a decimal number of credits, found `{found}`")]
    NotANumber {
        /// What was found, shortened.
        found: String,
    },
    /// More than six digits after the point.
    #[error("expected at most six decimals, found `{found}`")]
    TooPrecise {
        /// What was found, shortened.
        found: String,
    },
    /// The amount is beyond [`Credits::MAX_PARSED`].
    #[error("expected at most 1000000000 credits, found `{found}`")]
    TooLarge {
        /// What was found, shortened.
        found: String,
    },
}

impl Credits {
    /// No credits at all. Never a stand-in for "unknown".
    pub const ZERO: Credits = Credits(0);
    /// The largest amount accepted from outside: a thousand million credits.
    pub const MAX_PARSED: Credits = Credits(1_000_000_000 * MICROS);

    /// An amount from integer millionths.
    pub const fn from_micros(micros: i64) -> Credits {
        Credits(micros)
    }

    /// An amount from whole credits; saturates at the ends of the range.
    pub const fn from_whole(whole: i64) -> Credits {
        Credits(whole.saturating_mul(MICROS))
    }

    /// The amount nearest to a statistic, for showing an estimate as credits. Not a number and infinities become `None`.
    pub fn from_statistic(value: f64) -> Option<Credits> {
        let micros = (value * MICROS as f64).round();
        (micros.is_finite() && micros.abs() < i64::MAX as f64).then_some(Credits(micros as i64))
    }

    /// The amount in integer millionths, as stored.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The amount as a float, for statistics and gauges only. Exact up to nine thousand million credits.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / MICROS as f64
    }

    /// Whether the amount is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether the amount is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The amount times a whole number; saturates.
    pub const fn times(self, factor: i64) -> Credits {
        Credits(self.0.saturating_mul(factor))
    }

    /// Reads a decimal such as `20`, `0.5`, `-3`, `1.25e2` exactly.
    ///
    /// # Errors
    /// See [`CreditsError`]: not a number, more than six decimals, or beyond [`Credits::MAX_PARSED`].
    pub fn parse(text: &str) -> Result<Credits, CreditsError> {
        let found = || shorten(text);
        let not_a_number = || CreditsError::NotANumber { found: found() };
        let trimmed = text.trim();
        let (mantissa, exponent) = match trimmed.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| not_a_number())?),
            None => (trimmed, 0),
        };
        let (negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits().all(|b| b.is_ascii_digit()) {
            return Err(not_a_number());
        }
        // value = all digits x 10^(exponent - decimals); in millionths the power is six higher.
        let power = i64::from(exponent) - fraction.len() as i64 + 6;
        let significant: Vec<u8> = digits().skip_while(|b| *b == b'0').collect();
        let trailing_zeros = significant.iter().rev().take_while(|b| **b == b'0').count() as i64;
        let kept = significant.len() - trailing_zeros as usize;
        if kept == 0 {
            return Ok(Credits::ZERO);
        }
        let power = power + trailing_zeros;
        if power < 0 {
            return Err(CreditsError::TooPrecise { found: found() });
        }
        if kept as i64 + power > 18 {
            return Err(CreditsError::TooLarge { found: found() });
        }
        let value = significant[..kept].iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let micros = value * 10_i64.pow(power as u32);
        if micros > Credits::MAX_PARSED.0 {
            return Err(CreditsError::TooLarge { found: found() });
        }
        Ok(Credits(if negative { -micros } else { micros }))
    }
}

const MICROS: i64 = 1_000_000;

fn shorten(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    if clean.len() < text.len() { format!("{clean}…") } else { clean }
}

impl Add for Credits {
    type Output = Credits;
    fn add(self, other: Credits) -> Credits {
        Credits(self.0.saturating_add(other.0))
    }
}

impl Sub for Credits {
    type Output = Credits;
    fn sub(self, other: Credits) -> Credits {
        Credits(self.0.saturating_sub(other.0))
    }
}

impl Neg for Credits {
    type Output = Credits;
    fn neg(self) -> Credits {
        Credits(self.0.saturating_neg())
    }
}

impl AddAssign for Credits {
    fn add_assign(&mut self, other: Credits) {
        *self = *self + other;
    }
}

impl SubAssign for Credits {
    fn sub_assign(&mut self, other: Credits) {
        *self = *self - other;
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Credits>>(amounts: I) -> Credits {
        amounts.fold(Credits::ZERO, Add::add)
    }
}

/// Prints the shortest exact decimal: `20`, `0.5`, `-3.000001`. [`Credits::parse`] reads it back. With a precision
/// (`{:.0}`) the amount is rounded half away from zero, for people.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(places) = f.precision().filter(|places| *places < 6) {
            let unit = 10_u64.pow(6 - places as u32);
            let rounded = (self.0.unsigned_abs() + unit / 2) / unit * unit;
            return write_decimal(f, self.0 < 0 && rounded > 0, rounded, places);
        }
        let magnitude = self.0.unsigned_abs();
        let mut places = 6;
        let mut fraction = magnitude % MICROS as u64;
        while places > 0 && fraction.is_multiple_of(10) {
            fraction /= 10;
            places -= 1;
        }
        write_decimal(f, self.0 < 0, magnitude, places)
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, negative: bool, magnitude: u64, places: usize) -> fmt::Result {
    let sign = if negative { "-" } else { "" };
    let whole = magnitude / MICROS as u64;
    if places == 0 {
        return write!(f, "{sign}{whole}");
    }
    let fraction = magnitude % MICROS as u64 / 10_u64.pow(6 - places as u32);
    write!(f, "{sign}{whole}.{fraction:0places$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_exactly() {
        for (text, micros) in [
            ("0", 0),
            ("-0", 0),
            ("20", 20_000_000),
            ("0.5", 500_000),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("-3.000001", -3_000_001),
            ("1.25e2", 125_000_000),
            ("1e-6", 1),
            ("10.5000000000", 10_500_000),
            ("1000000000", 1_000_000_000_000_000),
            ("0e999", 0),
        ] {
            assert_eq!(Credits::parse(text), Ok(Credits(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_what_was_found() {
        for (text, message) in [
            ("", "expected a decimal number of credits, found ``"),
            ("many", "expected a decimal number of credits, found `many`"),
            ("1,5", "expected a decimal number of credits, found `1,5`"),
            ("NaN", "expected a decimal number of credits, found `NaN`"),
            ("--1", "expected a decimal number of credits, found `--1`"),
            ("0.0000001", "expected at most six decimals, found `0.0000001`"),
            ("1000000000.000001", "expected at most 1000000000 credits, found `1000000000.000001`"),
            ("9e99", "expected at most 1000000000 credits, found `9e99`"),
        ] {
            assert_eq!(Credits::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn people_read_rounded_amounts() {
        for (micros, places, text) in [
            (1_499_999, 0, "1"),
            (1_500_000, 0, "2"),
            (-1_500_000, 0, "-2"),
            (-400_000, 0, "0"),
            (1_249_999, 1, "1.2"),
            (1_250_000, 1, "1.3"),
        ] {
            assert_eq!(format!("{:.places$}", Credits(micros)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micros in -1_000_000_000_000_000_i64..=1_000_000_000_000_000) {
            let credits = Credits(micros);
            prop_assert_eq!(Credits::parse(&credits.to_string()), Ok(credits));
        }
    }
}
