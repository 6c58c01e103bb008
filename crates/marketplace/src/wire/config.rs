//! The config that a resource's experiments and flags are synced to (spec A.22).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::object::RawObject;
use super::open_enum::open_enum;
use super::time;

/// The longest digest, in bytes.
pub const CONFIG_DIGEST_BYTES_MAX: usize = 256;

/// Which version of a config: equal digests, equal contents. It goes into the headers of conditional requests as an
/// entity tag, so it is of visible ASCII without quotes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ConfigDigest(String);

/// Not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a digest has 1 to {CONFIG_DIGEST_BYTES_MAX} visible ASCII characters and no quotes: it is sent as an entity tag"
)]
pub struct InvalidDigest;

impl ConfigDigest {
    /// Checks a text and takes it as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidDigest> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= CONFIG_DIGEST_BYTES_MAX;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if fits && is_plain { Ok(Self(text)) } else { Err(InvalidDigest) }
    }

    /// The digest of an entity tag, weak or strong, quoted or not.
    pub fn of_tag(tag: &str) -> Result<Self, InvalidDigest> {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        Self::new(tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(tag))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as an entity tag.
    pub fn to_tag(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Debug for ConfigDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigDigest({})", self.0)
    }
}

impl<'de> Deserialize<'de> for ConfigDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

open_enum! {
    /// What a config is for.
    ConfigPurpose {
        /// Experiments.
        Experimentation = "experimentation",
        /// Flags.
        Flags = "flags",
    }
}

/// A config (spec A.22).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Its contents, as they are written.
    pub items: RawObject,
    /// When it was last changed; milliseconds since 1970 on the wire.
    #[serde(with = "time::milliseconds")]
    pub updated_at: Timestamp,
    /// Which version this is.
    pub digest: ConfigDigest,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<ConfigPurpose>,
}

/// New contents of a config (spec A.22): they replace the old ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigUpdate {
    /// The contents.
    pub data: RawObject,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_keeps_its_text() {
        let json =
            r#"{"items":{"a":1.50,"b":{"c":[5e-7,null]}},"updatedAt":1801461600000,"digest":"d1","purpose":"flags"}"#;
        let config: Config = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), json);
        assert_eq!(config.purpose, Some(ConfigPurpose::Flags));
        let update = ConfigUpdate { data: config.items };
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"data":{"a":1.50,"b":{"c":[5e-7,null]}}}"#);
    }

    #[test]
    fn a_digest_is_an_entity_tag() {
        for tag in ["\"d/1=\"", "W/\"d/1=\"", "d/1=", " \"d/1=\" "] {
            assert_eq!(ConfigDigest::of_tag(tag), ConfigDigest::new("d/1="), "{tag}");
        }
        assert_eq!(ConfigDigest::new("d1").unwrap().to_tag(), "\"d1\"");
        for bad in ["", "\"", "a b", "a\n", "é", "a\"b", &"x".repeat(257)] {
            assert!(ConfigDigest::new(bad).is_err(), "{bad:?}");
        }
        assert!(ConfigDigest::new("x".repeat(256)).is_ok());
        assert!(serde_json::from_str::<ConfigDigest>("\"a b\"").is_err());
    }
}
