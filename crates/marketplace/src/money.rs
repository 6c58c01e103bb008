//! Exact decimals: quantities, prices and amounts of money. No float anywhere.
//!
//! Three scaled integers, each with its own range, so that the product of a price and a quantity always
//! fits an `i128` and nothing ever rounds except where [`line_total`] says so, once, half to even:
//!
//! | type | unit | range | on the wire |
//! | --- | --- | --- | --- |
//! | [`Money`] | 1 cent (USD) | `i64` | string, two decimals, `"3.09"` |
//! | [`Price`] | 10⁻⁹ USD | 6 integer digits, 9 fraction digits, not negative | string, `"0.000025"` |
//! | [`Quantity`] | 10⁻⁹ units | 12 integer digits, 9 fraction digits, not negative | JSON number, written from its own text |
//!
//! Vercel's decimal is `^[0-9]+(\.[0-9]+)?$` (spec A, `Decimal`): no sign, no exponent. A negative
//! [`Money`] can be computed with but not serialised: that is an error, not a wrong invoice.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Why a text is not a decimal of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `digits[.digits]`.
    #[error("{0:?} is not a decimal: digits, and at most one point between digits (spec A, Decimal)")]
    Syntax(String),
    /// More digits than the type holds; nothing is rounded silently.
    #[error("{text:?} has more than {integer_digits} digits before or {fraction_digits} after the point")]
    Range {
        /// The text as it came, cut to 64 characters.
        text: String,
        /// Digits allowed before the point.
        integer_digits: usize,
        /// Digits allowed after the point.
        fraction_digits: usize,
    },
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Reads `digits[.digits]` into an integer scaled by `10^fraction_digits`. Trailing zeros beyond the
/// scale are exact and accepted; any other digit beyond it is refused.
fn parse_scaled(text: &str, integer_digits: usize, fraction_digits: usize) -> Result<i128, DecimalError> {
    let syntax = || DecimalError::Syntax(shorten(text));
    let range = || DecimalError::Range { text: shorten(text), integer_digits, fraction_digits };
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(syntax()),
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(syntax());
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > integer_digits || fraction.len() > fraction_digits {
        return Err(range());
    }
    let padding = std::iter::repeat_n(b'0', fraction_digits - fraction.len());
    let scaled = whole.bytes().chain(fraction.bytes()).chain(padding);
    Ok(scaled.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0')))
}

/// Writes a non-negative scaled integer with between `least` and `scale` fraction digits.
fn write_scaled(f: &mut fmt::Formatter<'_>, value: i128, scale: usize, least: usize) -> fmt::Result {
    let digits = format!("{value:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let trimmed = fraction.trim_end_matches('0');
    let fraction = if trimmed.len() < least { &fraction[..least] } else { trimmed };
    if fraction.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{fraction}") }
}

/// Divides, rounding half to even. `divisor` is positive.
fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend.div_euclid(divisor);
    let twice = dividend.rem_euclid(divisor) * 2;
    let up = twice > divisor || (twice == divisor && quotient % 2 != 0);
    quotient + i128::from(up)
}

/// An amount of US dollars, in cents. May be negative while computing; never on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// From a number of cents.
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    /// The number of cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Adds, or `None` beyond the range of `i64` cents.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(cents) => Some(Self(cents)),
            None => None,
        }
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl FromStr for Money {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let cents = parse_scaled(text, 14, 2)?;
        // 14 digits and 2 decimals are below 10^16, well inside i64.
        Ok(Self(i64::try_from(cents).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write_scaled(f, i128::from(self.0).abs(), 2, 2)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Money({self})")
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.is_negative() {
            return Err(serde::ser::Error::custom(format!(
                "{self} is negative: Vercel's decimals have no sign, use a discount or a refund (spec A, Decimal)"
            )));
        }
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! nano_decimal {
    ($(#[$doc:meta])* $name:ident, $integer_digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i128);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(10_i128.pow($integer_digits + 9) - 1);

            /// From billionths, if inside the range.
            pub const fn from_nano(nano: i128) -> Option<Self> {
                if nano < 0 || nano > Self::MAX.0 { None } else { Some(Self(nano)) }
            }

            /// The value in billionths.
            pub const fn nano(self) -> i128 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                parse_scaled(text, $integer_digits, 9).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_scaled(f, self.0, 9, 0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

nano_decimal! {
    /// A price of one unit in US dollars: 6 integer and 9 fraction digits.
    Price, 6
}

nano_decimal! {
    /// A measured or billed quantity: 12 integer and 9 fraction digits.
    Quantity, 12
}

impl Price {
    /// A whole amount as the price of one unit, if it is in range.
    pub fn from_money(amount: Money) -> Option<Self> {
        Self::from_nano(i128::from(amount.cents()) * 10_i128.pow(7))
    }
}

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(10_i128.pow(9));

    /// Adds, or `None` beyond the range.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::from_nano(self.0 + other.0)
    }

    /// What is left above `other`; zero if nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        if self.0 > other.0 { Self(self.0 - other.0) } else { Self::ZERO }
    }

    /// The fraction `part / whole`, rounded half-even to nine places: the proration quantity, rounded
    /// *before* pricing so that price × quantity = total on the face of the line.
    pub fn ratio(part: i64, whole: i64) -> Option<Self> {
        if whole <= 0 || part < 0 {
            return None;
        }
        Self::from_nano(divide_half_even(i128::from(part) * 10_i128.pow(9), i128::from(whole)))
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// As a JSON number, digit for digit. Works with `serde_json` only, straight from text: a value that
/// went through `serde_json::Value`, `flatten` or an untagged enum has lost its text already.
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

/// Accepts a JSON number in plain notation, or a decimal string.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let text = raw.get();
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `price × quantity`, rounded half-even to cents: the one rounding rule of every line.
///
/// The product is below 10³⁶, inside `i128`; the result is below 10²⁰ cents, so it is `None` only where
/// a line would be worth more than `i64` cents.
pub fn line_total(price: Price, quantity: Quantity) -> Option<Money> {
    let cents = divide_half_even(price.nano() * quantity.nano(), 10_i128.pow(16));
    i64::try_from(cents).ok().map(Money::from_cents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_rounds_half_to_even_and_only_there() {
        for (unit_price, amount, total) in [
            ("0.000025", "123600", "3.09"),
            ("0.005", "1", "0.00"),
            ("0.015", "1", "0.02"),
            ("0.025", "1", "0.02"),
            ("0.0250001", "1", "0.03"),
            ("19.99", "1", "19.99"),
            ("20", "0.483870968", "9.68"),
            ("999999.999999999", "1000", "1000000000.00"),
        ] {
            assert_eq!(line_total(price(unit_price), quantity(amount)).unwrap().to_string(), total);
        }
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "1 ", "0x1", "NaN", "١"] {
            assert!(matches!(bad.parse::<Money>(), Err(DecimalError::Syntax(_))), "{bad:?}");
            assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
        }
        for (bad, good) in [("0.001", "0.0100"), ("1.999", "1.990")] {
            assert!(matches!(bad.parse::<Money>(), Err(DecimalError::Range { .. })));
            assert!(good.parse::<Money>().is_ok());
        }
        assert!("1000000".parse::<Price>().is_err());
        assert!("1000000000000".parse::<Quantity>().is_err());
        assert!("0.0000000001".parse::<Quantity>().is_err());
    }

    #[test]
    fn a_negative_amount_cannot_be_sent() {
        assert!(serde_json::to_string(&Money::from_cents(-1)).is_err());
        assert_eq!(serde_json::to_string(&Money::from_cents(5)).unwrap(), "\"0.05\"");
    }

    #[test]
    fn a_quantity_is_a_json_number_with_its_own_digits() {
        let text = "123456789012.123456789";
        let read: Quantity = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(serde_json::from_str::<Quantity>("\"1.50\"").unwrap().to_string(), "1.5");
        assert!(serde_json::from_str::<Quantity>("1e3").is_err());
        assert!(serde_json::from_str::<Quantity>("-1").is_err());
    }

    #[test]
    fn a_ratio_is_rounded_to_nine_places() {
        assert_eq!(Quantity::ratio(15, 31).unwrap().to_string(), "0.483870968");
        assert_eq!(Quantity::ratio(31, 31).unwrap(), Quantity::ONE);
        assert_eq!(Quantity::ratio(1, 0), None);
    }

    proptest! {
        #[test]
        fn money_survives_its_text(cents in 0_i64..10_i64.pow(16)) {
            let money = Money::from_cents(cents);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }

        #[test]
        fn quantities_survive_their_text(nano in 0_i128..10_i128.pow(21)) {
            let amount = Quantity::from_nano(nano).unwrap();
            prop_assert_eq!(amount.to_string().parse::<Quantity>().unwrap(), amount);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Quantity>(&json).unwrap(), amount);
        }

        #[test]
        fn a_line_is_within_half_a_cent_of_its_product(p in 0_i128..10_i128.pow(13), q in 0_i128..10_i128.pow(18)) {
            let total = line_total(Price::from_nano(p).unwrap(), Quantity::from_nano(q).unwrap()).unwrap();
            let error = p * q - i128::from(total.cents()) * 10_i128.pow(16);
            prop_assert!(error.abs() * 2 <= 10_i128.pow(16));
        }
    }
}
