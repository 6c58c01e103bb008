//! Exact decimals: quantities, prices and amounts of money. No float anywhere.
//!
//! Two texts carry what crosses the wire, as it came and to the byte:
//!
//! | type | on the wire |
//! | --- | --- |
//! | [`Decimal`] | string of `digits[.digits]`, any length: `"0.000025"` (spec A, `Decimal`) |
//! | [`Number`] | JSON number, any length and notation: `123600`, `5e-7` |
//!
//! Three scaled integers compute, each with its own range, so that the product of a price and a quantity always
//! fits an `i128` and nothing ever rounds except where [`line_total`] says so, once, half to even:
//!
//! | type | unit | range | on the wire |
//! | --- | --- | --- | --- |
//! | [`Money`] | 1 cent (USD) | `i64` | string, two decimals, `"3.09"` |
//! | [`Price`] | 10⁻⁹ USD | 6 integer digits, 9 fraction digits, not negative | string, `"0.000025"` |
//! | [`Quantity`] | 10⁻⁹ units | 12 integer digits, 9 fraction digits, not negative | JSON number, written from its own text |
//!
//! The wire's bodies hold the texts: what we send is made from an amount ([`Decimal::try_from`] a [`Money`]),
//! what we receive is computed with only after a checked conversion ([`Decimal::money`]), which says so where a
//! text is finer or larger than the amount's type. What fails is [`DecimalError`].
//!
//! Vercel's decimal has no sign and no exponent. A negative [`Money`] can be computed with but neither
//! serialised nor made a [`Decimal`]: that is an error, not a wrong invoice.

mod nano;
mod scaled;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use nano::{Price, Quantity};
pub use text::{DECIMAL_BYTES_MAX, Decimal, Number};

/// The most digits before the point of a [`Money`] that is read.
const MONEY_INTEGER_DIGITS: usize = 14;

/// Why a text is not a decimal of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `digits[.digits]`.
    #[error("{0:?} is not a decimal: digits, and at most one point between digits (spec A, Decimal)")]
    Syntax(String),
    /// Not a JSON number.
    #[error("{0:?} is not a JSON number")]
    NotANumber(String),
    /// Below zero.
    #[error("{0} is negative: Vercel's decimals have no sign, use a discount or a refund (spec A, Decimal)")]
    Negative(String),
    /// Longer than [`DECIMAL_BYTES_MAX`].
    #[error("a number of {bytes} bytes is longer than {DECIMAL_BYTES_MAX}, the longest body")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
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
        let cents = scaled::parse(text, MONEY_INTEGER_DIGITS, 2)?;
        // 14 digits and 2 decimals are below 10^16, well inside i64.
        Ok(Self(i64::try_from(cents).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        scaled::write(f, i128::from(self.0).abs(), 2, 2)
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
            return Err(serde::ser::Error::custom(DecimalError::Negative(self.to_string())));
        }
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `price × quantity`, rounded half-even to cents: the one rounding rule of every line.
///
/// The product is below 10³⁶, inside `i128`; the result is below 10²⁰ cents, so it is `None` only where
/// a line would be worth more than `i64` cents.
pub fn line_total(price: Price, quantity: Quantity) -> Option<Money> {
    let cents = scaled::divide_half_even(price.nano() * quantity.nano(), 10_i128.pow(16));
    i64::try_from(cents).ok().map(Money::from_cents)
}
