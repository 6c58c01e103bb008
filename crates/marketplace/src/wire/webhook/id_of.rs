//! `{"team":{"id":"…"}}`: objects that only carry an id. Used as `#[serde(with = "id_of")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Holder<T> {
    id: T,
}

/// Writes `{"id":…}`.
pub(super) fn serialize<T: Serialize, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
    Holder { id }.serialize(to)
}

/// Reads the `id` of an object; what else it holds is ignored.
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Holder::deserialize(from).map(|holder| holder.id)
}

/// The same where the object, or its id, may be null or absent; combine with `default`. Written `{"id":null}`.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Holder;

    #[derive(Deserialize)]
    struct Perhaps<T> {
        id: Option<T>,
    }

    #[allow(clippy::ref_option, reason = "the signature serde asks for")]
    pub(in super::super) fn serialize<T: Serialize, S: Serializer>(id: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        Holder { id: id.as_ref() }.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Perhaps<T>>::deserialize(from)?.and_then(|holder| holder.id))
    }
}
