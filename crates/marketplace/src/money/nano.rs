//! Prices and quantities: billionths, not negative.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{DecimalError, Money, scaled};

/// How many digits a [`Quantity`] has before its point.
pub(super) const QUANTITY_INTEGER_DIGITS: usize = 12;

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
                scaled::parse(text, $integer_digits, 9).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                scaled::write(f, self.0, 9, 0)
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
        let left = self.0 - other.0;
        if left.is_positive() { Self(left) } else { Self::ZERO }
    }

    /// The fraction `part / whole`, rounded half-even to nine places: the proration quantity, rounded
    /// *before* pricing so that price × quantity = total on the face of the line.
    pub fn ratio(part: i64, whole: i64) -> Option<Self> {
        if whole <= 0 || part < 0 {
            return None;
        }
        Self::from_nano(scaled::divide_half_even(i128::from(part) * 10_i128.pow(9), i128::from(whole)))
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
