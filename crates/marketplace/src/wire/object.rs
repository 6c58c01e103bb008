//! JSON objects that are passed on as they are: their text is kept.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::raw::Raw;
use super::resource::Metadata;

/// Not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a JSON object is expected here: {0}")]
pub struct NotAnObject(String);

/// A JSON object, kept to the byte: numbers in it keep their digits and their notation. For what the provider or
/// the customer defines: `metadata`, `extras`, the items of a config (spec A.10, A.22).
///
/// `Debug` does not show it. Equality is that of the text.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RawObject(Raw);

impl RawObject {
    /// The object that a value is written as.
    pub fn of(value: &impl Serialize) -> Result<Self, NotAnObject> {
        Self::checked(Raw::of(value))
    }

    /// Checks a text and takes it as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, NotAnObject> {
        Self::checked(Raw::new(text))
    }

    fn checked(raw: serde_json::Result<Raw>) -> Result<Self, NotAnObject> {
        let raw = raw.map_err(|error| NotAnObject(error.to_string()))?;
        let is_object = raw.get().starts_with('{');
        if is_object { Ok(Self(raw)) } else { Err(NotAnObject("it is another kind of value".to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it. Amounts in it keep their digits if they are read into [`crate::money::Number`].
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }
}

impl TryFrom<Metadata> for RawObject {
    type Error = NotAnObject;
    fn try_from(map: Metadata) -> Result<Self, NotAnObject> {
        Self::of(&map)
    }
}

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawObject({} bytes)", self.as_str().len())
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::checked(Ok(Raw::deserialize(from)?)).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Number;

    #[test]
    fn an_object_keeps_its_text() {
        let text = r#"{ "rate": 1.50,"tiny":5e-7 , "big":123456789012345678901234567890, "b":[1,{"c":null}]}"#;
        let read: RawObject = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let fields: std::collections::BTreeMap<String, Raw> = read.read().unwrap();
        assert_eq!(serde_json::from_str::<Number>(fields["rate"].get()).unwrap().as_str(), "1.50");
        assert!(!format!("{read:?}").contains("tiny"));
        assert_eq!(RawObject::new(" {} ").unwrap().as_str(), "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["", "[]", "null", "1", "\"{}\"", "{", "{}{}"] {
            assert!(RawObject::new(bad).is_err(), "{bad}");
        }
        assert!(RawObject::of(&vec![1]).is_err());
        let map = Metadata::from_iter([("region".to_owned(), serde_json::json!(["fra1"]))]);
        assert_eq!(RawObject::try_from(map).unwrap().as_str(), r#"{"region":["fra1"]}"#);
    }
}
