//! What customers are shown, and what they are given: notifications, links and secrets.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::part;
use crate::rules::HREF;

/// `Secret` of spec A, closed. Never stored: only digests are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) environment_overrides: Option<Overrides>,
}

/// Values of a secret that differ by environment.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) development: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) production: Option<String>,
}

/// `Notification` of spec A: the object form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    level: Level,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    href: Option<Href>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warn,
    Error,
}

/// `^https?://|^sso:`
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Href(String);

impl<'de> Deserialize<'de> for Href {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let is_good = ["https://", "http://", "sso:"].iter().any(|scheme| text.starts_with(scheme));
        if is_good { Ok(Self(text)) } else { Err(part(HREF, format!("{text:?} does not"))) }
    }
}

/// `Notification | string | null`: null clears, and so does the string branch, an artefact of null handling.
#[derive(Clone, Debug)]
pub(crate) struct NotificationChange(pub(crate) Option<Notification>);

impl<'de> Deserialize<'de> for NotificationChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        if raw.get() == "null" || raw.get().starts_with('"') {
            return Ok(Self(None));
        }
        serde_json::from_str(raw.get()).map(|it| Self(Some(it))).map_err(de::Error::custom)
    }
}

/// `{ secrets, partial? }` of A.11 and A.18. Without `partial` the set is replaced.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretsBody {
    pub(crate) secrets: Vec<Secret>,
    #[serde(default)]
    pub(crate) partial: bool,
}

/// `Secret[] | { secrets, partial? }`, told apart before the fields are read.
pub(crate) fn secrets_change<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretsBody>, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    let body = if raw.get().starts_with('[') {
        serde_json::from_str(raw.get()).map(|secrets| SecretsBody { secrets, partial: false })
    } else {
        serde_json::from_str(raw.get())
    };
    body.map(Some).map_err(de::Error::custom)
}
