//! From the digits of a text to a scaled integer and back. Exact, or an error: nothing here rounds.

use std::fmt;

use super::DecimalError;

/// The longest part of a text that an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 64;
/// Beyond this, in either direction, an exponent says zero or out of range, whatever the digits.
const EXPONENT_MAX: i128 = 1_000_000_000_000;

pub(super) fn shorten(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// A decimal taken apart: `whole.fraction × 10^exponent`. Digits only; `whole` is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits<'a> {
    pub(super) is_negative: bool,
    pub(super) whole: &'a str,
    pub(super) fraction: &'a str,
    pub(super) exponent: i128,
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'a> Digits<'a> {
    /// Of `digits[.digits]`, Vercel's decimal (spec A, `Decimal`).
    pub(super) fn of_decimal(text: &'a str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if are_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        are_digits(whole).then_some(Self { is_negative: false, whole, fraction, exponent: 0 })
    }

    /// Of a JSON number (RFC 8259, section 6).
    pub(super) fn of_number(text: &'a str) -> Option<Self> {
        let (is_negative, unsigned) = text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (unsigned, 0),
        };
        let digits = Self::of_decimal(mantissa)?;
        let leading_zero = digits.whole.len() > 1 && digits.whole.starts_with('0');
        (!leading_zero).then_some(Self { is_negative, exponent, ..digits })
    }

    /// The absolute value as an integer scaled by `10^fraction_digits`, or `None` where it has more digits than
    /// that before or after its point. Zeros that say nothing do not count.
    pub(super) fn scaled(&self, integer_digits: usize, fraction_digits: usize) -> Option<i128> {
        let zeros = |digits: &mut dyn Iterator<Item = u8>| digits.take_while(|digit| *digit == b'0').count();
        let digits = || self.whole.bytes().chain(self.fraction.bytes());
        let leading = zeros(&mut digits());
        let count = self.whole.len() + self.fraction.len();
        if leading == count {
            return Some(0);
        }
        let significant = count - leading - zeros(&mut digits().rev());
        // How many of the significant digits stand before the point; negative where zeros follow the point.
        let before = wide(self.whole.len())? - wide(leading)? + self.exponent;
        let after = wide(significant)? - before;
        if before > wide(integer_digits)? {
            return None;
        }
        // Negative where there are more digits after the point.
        let padding = u32::try_from(wide(fraction_digits)? - after).ok()?;
        let value = digits().skip(leading).take(significant);
        let value = value.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        Some(value * 10_i128.pow(padding))
    }
}

fn wide(count: usize) -> Option<i128> {
    i128::try_from(count).ok()
}

/// An exponent, held at [`EXPONENT_MAX`] in either direction.
fn exponent_of(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let fold = |sum: i128, digit: u8| (sum * 10 + i128::from(digit - b'0')).min(EXPONENT_MAX);
    are_digits(digits).then(|| sign * digits.bytes().fold(0, fold))
}

/// Reads `digits[.digits]` into an integer scaled by `10^fraction_digits`. Trailing zeros beyond the
/// scale are exact and accepted; any other digit beyond it is refused.
pub(super) fn parse(text: &str, integer_digits: usize, fraction_digits: usize) -> Result<i128, DecimalError> {
    let digits = Digits::of_decimal(text).ok_or_else(|| DecimalError::Syntax(shorten(text)))?;
    digits.scaled(integer_digits, fraction_digits).ok_or_else(|| out_of_range(text, integer_digits, fraction_digits))
}

pub(super) fn out_of_range(text: &str, integer_digits: usize, fraction_digits: usize) -> DecimalError {
    DecimalError::Range { text: shorten(text), integer_digits, fraction_digits }
}

/// Writes a non-negative scaled integer with between `least` and `scale` fraction digits.
pub(super) fn write(f: &mut fmt::Formatter<'_>, value: i128, scale: usize, least: usize) -> fmt::Result {
    let digits = format!("{value:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let trimmed = fraction.trim_end_matches('0');
    let fraction = if trimmed.len() < least { &fraction[..least] } else { trimmed };
    if fraction.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{fraction}") }
}

/// Divides, rounding half to even. `divisor` is positive.
pub(super) fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend.div_euclid(divisor);
    let twice = dividend.rem_euclid(divisor) * 2;
    let up = twice > divisor || (twice == divisor && quotient % 2 != 0);
    quotient + i128::from(up)
}
