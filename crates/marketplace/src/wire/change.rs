//! A field of a patch: left alone, cleared, or set.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a patch does to a field that can be null. Left out when it is [`Change::Keep`]; use with
/// `#[serde(default, skip_serializing_if = "Change::is_keep")]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The field is absent: nothing changes.
    #[default]
    Keep,
    /// The field is null: the value goes.
    Clear,
    /// The field has a value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field is left out.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Clear => to.serialize_none(),
            Self::Set(value) => value.serialize(to),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(from)?.map_or(Self::Clear, Self::Set))
    }
}
