//! Quantities as JavaScript writes them: `5e-7` is a number too.
//!
//! Vercel's own serialiser turns what is below 10⁻⁶ into exponent form, so an answer that only repeats our
//! quantity may come back so. What is written stays plain ([`Quantity`]'s own `Serialize`).

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::money::Quantity;

/// The largest exponent, of either sign, that is expanded.
const EXPONENT_MAX: usize = 32;

/// Reads a quantity from a JSON number in any notation, or from a decimal text.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Quantity, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    let text = raw.get();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let plain = expand(text).ok_or_else(|| D::Error::custom("a number out of range"))?;
    plain.parse().map_err(D::Error::custom)
}

/// The same for an `Option<Quantity>`; combine with `default`.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Quantity>, D::Error> {
    struct Read(Quantity);
    impl<'de> Deserialize<'de> for Read {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            deserialize(from).map(Self)
        }
    }
    Ok(Option::<Read>::deserialize(from)?.map(|read| read.0))
}

/// Writes the exponent out, exactly. `None` beyond [`EXPONENT_MAX`].
fn expand(text: &str) -> Option<String> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Some(text.to_owned()) };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: isize = exponent.parse().ok()?;
    let places = exponent.unsigned_abs();
    if places > EXPONENT_MAX {
        return None;
    }
    let zeros = "0".repeat(places);
    Some(if exponent < 0 {
        let digits = format!("{zeros}{whole}");
        let (whole, tail) = digits.split_at_checked(digits.len() - places)?;
        format!("{}.{tail}{fraction}", if whole.is_empty() { "0" } else { whole })
    } else {
        let digits = format!("{fraction}{zeros}");
        let (shifted, tail) = digits.split_at_checked(places)?;
        let tail = if tail.is_empty() { "0" } else { tail };
        format!("{whole}{shifted}.{tail}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<String> {
        let mut from = serde_json::Deserializer::from_str(json);
        deserialize(&mut from).ok().map(|quantity: Quantity| quantity.to_string())
    }

    #[test]
    fn every_notation_of_a_json_number_is_read_exactly() {
        for (json, plain) in [
            ("5e-7", "0.0000005"),
            ("1.25E-7", "0.000000125"),
            ("12.5e-1", "1.25"),
            ("125e-2", "1.25"),
            ("1e3", "1000"),
            ("1.5e+3", "1500"),
            ("1.2345e2", "123.45"),
            ("0e0", "0"),
            ("0.1", "0.1"),
            ("123456789012.123456789", "123456789012.123456789"),
            ("\"1.5\"", "1.5"),
        ] {
            assert_eq!(read(json).as_deref(), Some(plain), "{json}");
        }
        for bad in ["-1", "-1e2", "1e-10", "1e12", "1e33", "1e-33", "1e99999999999999999999", "\"e\"", "\"1e\"", "true"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
