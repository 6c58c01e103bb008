//! JSON that is passed on as it came.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, byte for byte as it came: no number of it was read. Equality is that of the bytes.
///
/// `Debug` says how long it is and not what, since nobody knows what is in it. Works with `serde_json` only.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// Takes a text that is one JSON value.
    pub fn new(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// Writes a value down.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Raw {}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.get().len())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_keeps_every_byte_and_shows_none() {
        let text = r#"{"b":1.50,"a":5e-7,"a":[ 1 ]}"#;
        let raw: Raw = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&raw).unwrap(), text);
        assert_eq!(raw, Raw::new(text).unwrap());
        assert_ne!(raw, Raw::new("{}").unwrap());
        assert_eq!(format!("{raw:?}"), "Raw(29 bytes)");
        assert!(Raw::new("{").is_err());
        assert_eq!((Raw::default().get(), Raw::of(&[1]).unwrap().get()), ("null", "[1]"));
    }
}
