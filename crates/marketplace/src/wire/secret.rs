//! Secrets of a resource: what becomes environment variables of the connected projects.
//!
//! A value never shows in `Debug` and has no `Serialize`; the few places that do write it (the answer to
//! Provision Resource, the calls A.10, A.11, A.18 and A.23) wrap it in [`Exposed`], which can be searched for.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One secret (spec A, `Secret`). Closed on Vercel's side.
#[derive(Debug, Clone)]
pub struct Secret {
    name: String,
    value: SecretString,
    prefix: Option<String>,
    environment_overrides: Option<EnvironmentOverrides>,
}

/// A secret without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is named: its name becomes that of an environment variable (spec A, Secret)")]
pub struct UnnamedSecret;

impl Secret {
    /// A secret with one value everywhere. `name` is that of the environment variable, without a prefix.
    pub fn new(name: impl Into<String>, value: impl Into<SecretString>) -> Result<Self, UnnamedSecret> {
        let name = named(name.into())?;
        Ok(Self { name, value: value.into(), prefix: None, environment_overrides: None })
    }

    /// With a prefix, put before the name as `<PREFIX>_`; called deprecated by one page of Vercel's and
    /// described by another.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..self }
    }

    /// With other values in single environments.
    #[must_use]
    pub fn with_overrides(self, overrides: EnvironmentOverrides) -> Self {
        Self { environment_overrides: Some(overrides), ..self }
    }

    /// The name of the environment variable, without a prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub const fn value(&self) -> &SecretString {
        &self.value
    }

    /// What is put before the name.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Other values in single environments.
    pub const fn overrides(&self) -> Option<&EnvironmentOverrides> {
        self.environment_overrides.as_ref()
    }
}

pub(super) fn named(name: String) -> Result<String, UnnamedSecret> {
    if name.is_empty() { Err(UnnamedSecret) } else { Ok(name) }
}

/// Reads a name that is not empty.
pub(super) fn name_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    named(String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// Values for single environments, instead of the secret's own.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentOverrides {
    /// In development.
    pub development: Option<SecretString>,
    /// In previews.
    pub preview: Option<SecretString>,
    /// In production.
    pub production: Option<SecretString>,
    /// In environments that this library does not know, by their names: passed on as they came.
    pub others: BTreeMap<String, SecretString>,
}

pub(crate) fn secret_text<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

pub(crate) fn optional_secret_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

/// Writes what it wraps with its secrets in clear.
#[derive(Debug, Clone, Copy)]
pub struct Exposed<'a, T: ?Sized>(pub &'a T);

/// What can be [`Exposed`].
pub(crate) trait InClear {
    /// Writes it with its secrets in clear.
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
}

impl<T: InClear + ?Sized> Serialize for Exposed<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.in_clear(to)
    }
}

impl InClear for SecretString {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.expose_secret())
    }
}

impl<T: InClear> InClear for [T] {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(Exposed))
    }
}

impl<T: InClear> InClear for Vec<T> {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.as_slice().in_clear(to)
    }
}

impl<T: InClear> InClear for Option<T> {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => to.serialize_some(&Exposed(value)),
            None => to.serialize_none(),
        }
    }
}

/// Writes a field of an exposed body in clear: `#[serde(serialize_with = "clear")]`.
pub(crate) fn clear<T: InClear + ?Sized, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.in_clear(to)
}

/// Reads `$type`, and writes it only when it is [`Exposed`], through `$body`, its twin for serde
/// (`#[serde(remote = "…")]`).
macro_rules! exposed {
    ($type:ident as $body:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $body::deserialize(from)
            }
        }

        impl $crate::wire::secret::InClear for $type {
            fn in_clear<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $body::serialize(self, to)
            }
        }
    };
}

pub(crate) use exposed;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Secret", rename_all = "camelCase")]
struct SecretBody {
    #[serde(deserialize_with = "name_text")]
    name: String,
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    value: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "clear")]
    environment_overrides: Option<EnvironmentOverrides>,
}
exposed!(Secret as SecretBody);

impl<'de> Deserialize<'de> for EnvironmentOverrides {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = BTreeMap::<String, Option<String>>::deserialize(from)?;
        let named = read.into_iter().filter_map(|(name, value)| Some((name, SecretString::from(value?))));
        let mut others: BTreeMap<String, SecretString> = named.collect();
        let (development, preview) = (others.remove("development"), others.remove("preview"));
        let production = others.remove("production");
        Ok(Self { development, preview, production, others })
    }
}

impl InClear for EnvironmentOverrides {
    fn in_clear<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { development, preview, production, others } = self;
        let ours = [("development", development), ("preview", preview), ("production", production)];
        let ours = ours.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let others = others.iter().map(|(name, value)| (name.as_str(), value));
        to.collect_map(ours.chain(others).map(|(name, value)| (name, Exposed(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"name":"KEY","value":"s3cret","prefix":"DB","environmentOverrides":{"preview":"pr3view"}}"#;

    #[test]
    fn a_secret_is_written_only_where_it_is_said_so() {
        let secret: Secret = serde_json::from_str(JSON).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&secret)).unwrap(), JSON);
        let overrides = EnvironmentOverrides { preview: Some("pr3view".into()), ..<_>::default() };
        let built = Secret::new("KEY", "s3cret").unwrap().with_prefix("DB").with_overrides(overrides);
        assert_eq!(serde_json::to_string(&Exposed(&built)).unwrap(), JSON);
        let plain = Secret::new("A", "b").unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&vec![plain])).unwrap(), r#"[{"name":"A","value":"b"}]"#);
    }

    #[test]
    fn overrides_of_other_environments_are_passed_on() {
        let json = JSON.replace(r#""preview":"pr3view""#, r#""production":"p","staging":"st4ging""#);
        let secret: Secret = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&secret)).unwrap(), json);
        assert!(!format!("{secret:?}").contains("st4ging"));
        // A null is none.
        let none = JSON.replace(r#""pr3view""#, "null");
        let secret: Secret = serde_json::from_str(&none).unwrap();
        assert!(serde_json::to_string(&Exposed(&secret)).unwrap().ends_with(r#""environmentOverrides":{}}"#));
    }

    #[test]
    fn a_secret_has_a_name() {
        assert!(Secret::new("", "b").unwrap_err().to_string().contains("(spec A, Secret)"));
        assert!(serde_json::from_str::<Secret>(&JSON.replace("KEY", "")).is_err());
    }

    #[test]
    fn debug_shows_no_value() {
        let secret: Secret = serde_json::from_str(JSON).unwrap();
        for shown in [format!("{secret:?}"), format!("{:?}", Exposed(&secret))] {
            assert!(shown.contains("KEY") && !shown.contains("s3cret") && !shown.contains("pr3view"), "{shown}");
        }
    }
}
