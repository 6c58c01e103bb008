//! Quantities as JavaScript writes them: `5e-7` is a number too.
//!
//! For bodies that hold a [`Quantity`] rather than the [`Number`] that came. What is written stays plain
//! ([`Quantity`]'s own `Serialize`).

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::money::{Number, Quantity};

/// Reads an optional quantity from a JSON number in any notation, or from a text of one; use with `default`.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Quantity>, D::Error> {
    let number = Option::<Number>::deserialize(from)?;
    number.map(|number| number.quantity()).transpose().map_err(D::Error::custom)
}
