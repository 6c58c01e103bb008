//! An amount that may be below zero, as it is stored.

use serde::{Deserialize, Serialize};
use tradepost_marketplace::money::Money;

/// An amount of US dollars that may be below zero: stored as a number of cents. ([`Money`] is stored as Vercel reads
/// it, a text without a sign, and one below zero is not written.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignedMoney(i64);

impl SignedMoney {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount, to compute with.
    pub const fn money(self) -> Money {
        Money::from_cents(self.0)
    }

    /// The number of cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// Both together; at the end of what can be written it stays there.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<Money> for SignedMoney {
    fn from(amount: Money) -> Self {
        Self(amount.cents())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_as_cents_below_zero_too() {
        for cents in [i64::MIN, -5, 0, 7, i64::MAX] {
            let amount = SignedMoney::from(Money::from_cents(cents));
            assert_eq!(serde_json::to_string(&amount).unwrap(), cents.to_string());
            assert_eq!(serde_json::from_str::<SignedMoney>(&cents.to_string()).unwrap().money().cents(), cents);
        }
        let (most, one) = (SignedMoney(i64::MAX), SignedMoney(1));
        assert_eq!((most.plus(one), SignedMoney(-3).plus(one)), (most, SignedMoney(-2)));
    }
}
