//! Decimals and numbers of the wire, kept as the text that crossed it.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::nano::QUANTITY_INTEGER_DIGITS;
use super::scaled::{self, Digits, shorten};
use super::{DecimalError, MONEY_INTEGER_DIGITS, Money, Price, Quantity};
use crate::http_door::RESPONSE_BYTES_MAX;

/// The longest decimal or number, in bytes: no body that is read is longer, so none is cut or refused for this.
pub const DECIMAL_BYTES_MAX: usize = RESPONSE_BYTES_MAX;

/// How many digits the largest [`Money`] has in cents.
const CENTS_INTEGER_DIGITS: usize = 19;

/// A decimal string (spec A, `Decimal`), `^[0-9]+(\.[0-9]+)?$`, kept to the byte: `"1.50"` stays `"1.50"`.
///
/// Equality is that of the text; compare amounts ([`Decimal::money`]) where `1.5` and `1.50` are the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(String);

impl Decimal {
    /// Checks a text and takes it as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, DecimalError> {
        let text = text.into();
        if text.len() > DECIMAL_BYTES_MAX {
            return Err(DecimalError::TooLong { bytes: text.len() });
        }
        if Digits::of_decimal(&text).is_none() {
            return Err(DecimalError::Syntax(shorten(&text)));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The amount in dollars, or [`DecimalError::Range`] where it is finer than a cent or beyond [`Money`].
    pub fn money(&self) -> Result<Money, DecimalError> {
        self.0.parse()
    }

    /// The price of one unit, or [`DecimalError::Range`] beyond [`Price`].
    pub fn price(&self) -> Result<Price, DecimalError> {
        self.0.parse()
    }
}

/// With two decimals. [`DecimalError::Negative`] below zero.
impl TryFrom<Money> for Decimal {
    type Error = DecimalError;
    fn try_from(amount: Money) -> Result<Self, DecimalError> {
        if amount.is_negative() {
            return Err(DecimalError::Negative(amount.to_string()));
        }
        Ok(Self(amount.to_string()))
    }
}

impl From<Price> for Decimal {
    fn from(price: Price) -> Self {
        Self(price.to_string())
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::new(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({})", self.0)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A JSON number, kept to the byte: `5e-7`, `1.50` and sixty digits stay what they are.
///
/// Works with `serde_json` only, straight from text: a number that went through `serde_json::Value`, `flatten`
/// or an untagged enum has lost its text already. It may have a sign, as any number of Vercel's schema may;
/// [`Number::quantity`] refuses one. Equality is that of the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(String);

impl Number {
    /// Checks a text and takes it as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, DecimalError> {
        let text = text.into();
        if text.len() > DECIMAL_BYTES_MAX {
            return Err(DecimalError::TooLong { bytes: text.len() });
        }
        if Digits::of_number(&text).is_none() {
            return Err(DecimalError::NotANumber(shorten(&text)));
        }
        Ok(Self(text))
    }

    /// A whole number of cents (`currencyValueInCents`, spec A.17); the only number of money that may be negative.
    pub fn from_cents(amount: Money) -> Self {
        Self(amount.cents().to_string())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The quantity, or [`DecimalError::Negative`], or [`DecimalError::Range`] beyond [`Quantity`].
    pub fn quantity(&self) -> Result<Quantity, DecimalError> {
        let nano = self.scaled(QUANTITY_INTEGER_DIGITS, 9)?;
        let out_of_range = || scaled::out_of_range(&self.0, QUANTITY_INTEGER_DIGITS, 9);
        if nano < 0 { Err(self.negative()) } else { Quantity::from_nano(nano).ok_or_else(out_of_range) }
    }

    /// The number as an amount of dollars, or [`DecimalError::Range`] where it is finer than a cent or beyond
    /// [`Money`].
    pub fn dollars(&self) -> Result<Money, DecimalError> {
        self.money(MONEY_INTEGER_DIGITS, 2)
    }

    /// The number as a whole number of cents, or [`DecimalError::Range`] where it is finer or beyond [`Money`].
    pub fn cents(&self) -> Result<Money, DecimalError> {
        self.money(CENTS_INTEGER_DIGITS, 0)
    }

    fn money(&self, integer_digits: usize, fraction_digits: usize) -> Result<Money, DecimalError> {
        let cents = self.scaled(integer_digits, fraction_digits)?;
        let out_of_range = |_| scaled::out_of_range(&self.0, integer_digits, fraction_digits);
        i64::try_from(cents).map(Money::from_cents).map_err(out_of_range)
    }

    fn scaled(&self, integer_digits: usize, fraction_digits: usize) -> Result<i128, DecimalError> {
        let digits = Digits::of_number(&self.0).ok_or_else(|| DecimalError::NotANumber(shorten(&self.0)))?;
        let value = digits.scaled(integer_digits, fraction_digits);
        let value = value.ok_or_else(|| scaled::out_of_range(&self.0, integer_digits, fraction_digits))?;
        Ok(if digits.is_negative { -value } else { value })
    }

    fn negative(&self) -> DecimalError {
        DecimalError::Negative(shorten(&self.0))
    }
}

impl From<Quantity> for Number {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

/// A number of dollars (`preauthorizationAmount`, spec B). [`DecimalError::Negative`] below zero.
impl TryFrom<Money> for Number {
    type Error = DecimalError;
    fn try_from(dollars: Money) -> Result<Self, DecimalError> {
        Decimal::try_from(dollars).map(|Decimal(text)| Self(text))
    }
}

impl FromStr for Number {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::new(text)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

/// Accepts a text that holds a number, too, and writes it as a number.
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let text = raw.get();
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        Self::new(text).map_err(D::Error::custom)
    }
}
