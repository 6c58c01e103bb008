//! Secrets of a resource: what becomes environment variables of the connected projects.
//!
//! A value never shows in `Debug` and has no `Serialize`; the few places that do write it (the answer to
//! Provision Resource, the calls A.11 and A.18) wrap it in [`Exposed`], which can be searched for.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One secret (spec A, `Secret`). Closed on Vercel's side.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// The name of the environment variable, without a prefix.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "secret_text")]
    pub value: SecretString,
    /// Put before the name as `<PREFIX>_`; called deprecated by one page and described by another.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Other values in single environments.
    #[serde(default)]
    pub environment_overrides: Option<EnvironmentOverrides>,
}

impl Secret {
    /// A secret with one value everywhere.
    pub fn new(name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        Self { name: name.into(), value: value.into(), prefix: None, environment_overrides: None }
    }
}

/// Values for single environments, instead of the secret's own.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct EnvironmentOverrides {
    /// In development.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pub development: Option<SecretString>,
    /// In previews.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pub preview: Option<SecretString>,
    /// In production.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pub production: Option<SecretString>,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClearSecret<'a> {
    name: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_overrides: Option<ClearOverrides<'a>>,
}

#[derive(Serialize)]
struct ClearOverrides<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    development: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    production: Option<&'a str>,
}

impl<'a> From<&'a EnvironmentOverrides> for ClearOverrides<'a> {
    fn from(overrides: &'a EnvironmentOverrides) -> Self {
        let clear = |value: &'a Option<SecretString>| value.as_ref().map(ExposeSecret::expose_secret);
        Self {
            development: clear(&overrides.development),
            preview: clear(&overrides.preview),
            production: clear(&overrides.production),
        }
    }
}

impl Serialize for Exposed<'_, Secret> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Secret { name, value, prefix, environment_overrides } = self.0;
        ClearSecret {
            name,
            value: value.expose_secret(),
            prefix: prefix.as_deref(),
            environment_overrides: environment_overrides.as_ref().map(ClearOverrides::from),
        }
        .serialize(to)
    }
}

impl Serialize for Exposed<'_, [Secret]> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Exposed))
    }
}

impl Serialize for Exposed<'_, Vec<Secret>> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Exposed(self.0.as_slice()).serialize(to)
    }
}

impl Serialize for Exposed<'_, SecretString> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose_secret())
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
        let plain = Secret::new("A", "b");
        assert_eq!(serde_json::to_string(&Exposed(&vec![plain])).unwrap(), r#"[{"name":"A","value":"b"}]"#);
    }

    #[test]
    fn debug_shows_no_value() {
        let secret: Secret = serde_json::from_str(JSON).unwrap();
        for shown in [format!("{secret:?}"), format!("{:?}", Exposed(&secret))] {
            assert!(shown.contains("KEY") && !shown.contains("s3cret") && !shown.contains("pr3view"), "{shown}");
        }
    }
}
