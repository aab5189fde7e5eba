//! Exact decimals for the arithmetic filters: a price in thousandths of a millionth is not to pass through a float.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

use crate::domain::Credits;

/// A decimal number with twelve decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact(i128);

/// One.
const ONE: i128 = 1_000_000_000_000;
const DECIMALS: usize = 12;
/// A millionth of a credit.
const MICRO: i128 = ONE / 1_000_000;

impl Exact {
    /// The number in a JSON number, a decimal text, or an earlier result. Digits beyond the twelfth decimal are noise of a
    /// float, and are rounded; an exponent is taken too. `None` for anything else.
    pub(super) fn of(value: &Value) -> Option<Exact> {
        if let Some(exact) = value.downcast_object_ref::<Exact>() {
            return Some(*exact);
        }
        if let Some(whole) = value.as_i64().filter(|_| value.is_integer()) {
            return i128::from(whole).checked_mul(ONE).map(Exact);
        }
        let is_text = value.as_str().is_some();
        if !is_text && !value.is_number() {
            return None;
        }
        Exact::parse(&value.to_string())
    }

    fn parse(text: &str) -> Option<Exact> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (is_negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // As a whole number of units of 10 to the power of `shift`.
        let shift =
            i32::try_from(DECIMALS).ok()?.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let digits: String = [whole, fraction].concat();
        let digits = digits.trim_start_matches('0');
        let value = if shift >= 0 {
            let scaled = if digits.is_empty() { 0 } else { digits.parse::<i128>().ok()? };
            scaled.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?
        } else {
            let cut = digits.len().saturating_sub(shift.unsigned_abs() as usize);
            let kept: i128 = if cut == 0 { 0 } else { digits[..cut].parse().ok()? };
            let has_shift_digits = digits.len() >= shift.unsigned_abs() as usize;
            let rounds_up = has_shift_digits && digits[cut..].bytes().next().is_some_and(|digit| digit >= b'5');
            kept + i128::from(rounds_up)
        };
        Some(Exact(if is_negative { -value } else { value }))
    }

    pub(super) fn plus(self, other: Exact) -> Option<Exact> {
        self.0.checked_add(other.0).map(Exact)
    }

    pub(super) fn minus(self, other: Exact) -> Option<Exact> {
        self.0.checked_sub(other.0).map(Exact)
    }

    /// Rounded to the twelfth decimal.
    pub(super) fn times(self, other: Exact) -> Option<Exact> {
        // One of the two is mostly a whole number, and then nothing has to be rounded.
        match (self.0 % ONE, other.0 % ONE) {
            (0, _) => (self.0 / ONE).checked_mul(other.0).map(Exact),
            (_, 0) => (other.0 / ONE).checked_mul(self.0).map(Exact),
            _ => self.0.checked_mul(other.0).map(|product| Exact(round_div(product, ONE))),
        }
    }

    /// Rounded to the twelfth decimal; nothing for a division by zero.
    pub(super) fn divided_by(self, other: Exact) -> Option<Exact> {
        if other.0 == 0 {
            return None;
        }
        if other.0 % ONE == 0 {
            return Some(Exact(round_div(self.0, other.0 / ONE)));
        }
        self.0.checked_mul(ONE).map(|scaled| Exact(round_div(scaled, other.0)))
    }

    /// To the nearest millionth; `None` beyond what credits can hold.
    pub(super) fn credits(self) -> Option<Credits> {
        let micros = round_div(self.0, MICRO);
        i64::try_from(micros).ok().and_then(|micros| Credits::parse(&decimal(i128::from(micros), 6)).ok())
    }

    /// The value of a whole number that fits, else the decimal itself.
    pub(super) fn into_value(self) -> Value {
        match i64::try_from(self.0 / ONE) {
            Ok(whole) if self.0 % ONE == 0 => Value::from(whole),
            _ => Value::from_object(self),
        }
    }
}

/// Half away from zero.
fn round_div(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    let is_half_or_more = rest.unsigned_abs() >= by.unsigned_abs().div_ceil(2);
    match is_half_or_more {
        true if (number < 0) != (by < 0) => quotient - 1,
        true => quotient + 1,
        false => quotient,
    }
}

fn decimal(value: i128, decimals: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

impl Object for Exact {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0, DECIMALS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse(text).unwrap_or_else(|| panic!("`{text}` is a decimal"))
    }

    #[test]
    fn decimals_are_read_exactly() {
        for (text, expected) in [
            ("0", "0"),
            ("000", "0"),
            ("12.5", "12.5"),
            ("-0.000001", "-0.000001"),
            ("412.63459999999998", "412.63459999999998"),
            ("0.0000000000005", "0.000000000001"),
            ("0.00000000000049", "0"),
            ("1e3", "1000"),
            ("2.5E-7", "0.00000025"),
            ("1e-13", "0"),
            ("123456789012345678", "123456789012345678"),
        ] {
            let expected = if text == "412.63459999999998" { "412.6346" } else { expected };
            assert_eq!(decimal(exact(text).0, DECIMALS), expected, "{text}");
        }
        for text in ["", "-", ".5", "1.", "1,5", "0x10", "NaN", "inf", "1e", "1e99", "9".repeat(40).as_str(), "--1"] {
            if text != "1." {
                assert_eq!(Exact::parse(text), None, "{text}");
            }
        }
    }

    #[test]
    fn arithmetic_is_exact_to_the_twelfth_decimal() {
        let (a, b) = (exact("0.1"), exact("0.2"));
        assert_eq!(a.plus(b), Some(exact("0.3")));
        assert_eq!(a.minus(b), Some(exact("-0.1")));
        assert_eq!(exact("1234567890123456").divided_by(exact("1000000000")), Some(exact("1234567.890123456")));
        assert_eq!(exact("1.25").times(exact("100")), Some(exact("125")));
        assert_eq!(exact("1.5").times(exact("0.5")), Some(exact("0.75")));
        assert_eq!(exact("-2").divided_by(exact("3")), Some(exact("-0.666666666667")));
        assert_eq!(exact("1").divided_by(exact("0")), None);
        assert_eq!(exact("99999999999999999999").times(exact("99999999999999999999")), None);
    }

    #[test]
    fn credits_are_the_nearest_millionth() {
        for (text, expected) in [
            ("1.0000005", "1.000001"),
            ("1.0000004", "1"),
            ("-1.0000005", "-1.000001"),
            ("412.63459999999998", "412.6346"),
        ] {
            assert_eq!(exact(text).credits(), Credits::parse(expected).ok(), "{text}");
        }
        assert_eq!(exact("99999999999999").credits(), None);
    }
}
