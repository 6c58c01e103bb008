//! Times on the wire: written `YYYY-MM-DDTHH:MM:SS.sssZ`, read tolerantly.
//!
//! Used as `#[serde(with = "time")]` and `#[serde(with = "time::optional")]`. What is finer than a
//! millisecond is cut off when written (never rounded up: a rounded end could leave its period).

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// The text of an instant on the wire: RFC 3339, UTC, exactly three fraction digits.
pub fn text(at: Timestamp) -> String {
    format!("{:.3}", floor_to_millisecond(at))
}

/// The last whole millisecond not after `at`: what is left of an instant that has crossed the wire.
pub fn floor_to_millisecond(at: Timestamp) -> Timestamp {
    let floored = at.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(floored).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(at)
}

/// Writes an instant.
pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*at))
}

/// Reads an RFC 3339 text with any offset, or a number of milliseconds since 1970.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    from.deserialize_any(InstantVisitor)
}

struct InstantVisitor;

impl Visitor<'_> for InstantVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 text or a number of milliseconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(|_| E::custom("not an RFC 3339 time with an offset"))
    }

    fn visit_i64<E: Error>(self, milliseconds: i64) -> Result<Timestamp, E> {
        Timestamp::from_millisecond(milliseconds).map_err(|_| E::custom("a time out of range"))
    }

    fn visit_u64<E: Error>(self, milliseconds: u64) -> Result<Timestamp, E> {
        let milliseconds = i64::try_from(milliseconds).map_err(|_| E::custom("a time out of range"))?;
        self.visit_i64(milliseconds)
    }
}

/// An instant with the wire's own `serde` implementations, for maps and lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl serde::Serialize for Instant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, to)
    }
}

impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize(from).map(Self)
    }
}

/// The same for an `Option<Timestamp>`; combine with `default` and `skip_serializing_if`.
pub mod optional {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Instant;

    /// Writes an instant, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(Instant).serialize(to)
    }

    /// Reads an instant, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Instant>::deserialize(from)?.map(|instant| instant.0))
    }
}

/// The same, written as a number of milliseconds (webhook `createdAt`, spec E).
pub mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserializer, Serializer};

    /// Writes the number of milliseconds since 1970.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millisecond())
    }

    /// Reads what [`super::deserialize`] reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        super::deserialize(from)
    }
}

/// The same for an `Option<Timestamp>`; combine with `default` and `skip_serializing_if`.
pub mod optional_milliseconds {
    use jiff::Timestamp;
    use serde::{Deserializer, Serialize, Serializer};

    /// Writes the number of milliseconds since 1970, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_millisecond).serialize(to)
    }

    /// Reads what [`super::optional::deserialize`] reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        super::optional::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Timestamp, serde_json::Error> {
        serde_json::from_str::<Instant>(json).map(|instant| instant.0)
    }

    #[test]
    fn a_time_is_written_with_three_digits_and_cut_off() {
        for (from, to) in [
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000Z"),
            ("2027-01-31T23:59:59.999999999Z", "2027-01-31T23:59:59.999Z"),
            ("2027-01-01T01:00:00.5+01:00", "2027-01-01T00:00:00.500Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(from.parse().unwrap()), to);
        }
    }

    #[test]
    fn times_are_read_as_text_or_milliseconds_and_nothing_else() {
        let at: Timestamp = "2026-11-21T08:00:00.250Z".parse().unwrap();
        assert_eq!(read("\"2026-11-21T09:00:00.25+01:00\"").unwrap(), at);
        assert_eq!(read(&at.as_millisecond().to_string()).unwrap(), at);
        for bad in ["\"2026-11-21\"", "\"2026-11-21T08:00:00\"", "1.5", "true", "18446744073709551615", "null", "\"\""]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
