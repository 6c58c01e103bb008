//! What partner systems and the provisioner say of a resource, held to what Vercel takes and to what can be kept.
//!
//! Used where it comes in (events, reports, the provisioner's answers): what passes here can be stored, and told to
//! Vercel. What fails: [`Unfit`], whose message names the limit and never a value.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tradepost_marketplace::wire::{Exposed, Metadata, Notification, ResourceStatus, Secret};

use super::error::ApiError;

/// The most secrets a resource has.
pub const SECRETS_MAX: usize = 50;
/// The most bytes of a resource's secrets together, as JSON text: what Vercel takes of environment variables.
pub const SECRETS_BYTES_MAX: usize = 64 * 1024;
/// The longest message of a notification, in characters.
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// The longest link of a notification, in bytes.
pub const LINK_BYTES_MAX: usize = 2_048;
/// The longest name of a resource, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// The largest metadata of a resource, as JSON text.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

/// One field of the request that is wrong, by its metadata name (spec B, "Error response").
#[derive(Debug, Clone, Serialize)]
pub struct FieldError {
    /// The metadata field.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

/// What the customer reads (spec B, "Error response": `user`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserText {
    /// What to read.
    pub message: String,
    /// Where more is to be read, an https link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Why something said is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// A status that Vercel knows: it would refuse any other, whenever it reads the resource.
pub fn status(said: Option<&ResourceStatus>) -> Result<(), Unfit> {
    match said {
        Some(ResourceStatus::Other(_)) => {
            let known = "ready, pending, onboarding, suspended, resumed, uninstalled or error";
            Err(Unfit(format!("status must be one that Vercel knows: {known}")))
        }
        _ => Ok(()),
    }
}

/// A notification that Vercel takes, of a size that can be kept.
pub fn notification(said: Option<&Notification>) -> Result<(), Unfit> {
    let Some(notification) = said else { return Ok(()) };
    notification.check().map_err(|error| Unfit(error.to_string()))?;
    if notification.message().is_some_and(|message| message.chars().count() > MESSAGE_CHARS_MAX) {
        return Err(Unfit(format!("a notification's message has at most {MESSAGE_CHARS_MAX} characters")));
    }
    if notification.href().is_some_and(|href| href.as_str().len() > LINK_BYTES_MAX) {
        return Err(Unfit(format!("a notification's link has at most {LINK_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Secrets that can be sealed, and that Vercel has room for.
pub fn secrets(said: Option<&[Secret]>) -> Result<(), Unfit> {
    let Some(secrets) = said else { return Ok(()) };
    if secrets.len() > SECRETS_MAX {
        return Err(Unfit(format!("at most {SECRETS_MAX} secrets")));
    }
    let mut variables = BTreeSet::new();
    for secret in secrets {
        let variable = variable(secret);
        if !is_variable(&variable) {
            return Err(Unfit(
                "a secret's name must be one of an environment variable: letters, digits and _, no digit first"
                    .to_owned(),
            ));
        }
        if !variables.insert(variable) {
            return Err(Unfit("two secrets have one name".to_owned()));
        }
    }
    let text = secrets_to_text(secrets).map_err(|_| Unfit("the secrets cannot be written".to_owned()))?;
    if text.expose_secret().len() > SECRETS_BYTES_MAX {
        return Err(Unfit(format!("secrets have at most {SECRETS_BYTES_MAX} bytes together")));
    }
    Ok(())
}

/// The environment variable that a secret becomes: `-` and space become `_`, and the prefix goes in front unless it is
/// there already (spec A, Secret).
fn variable(secret: &Secret) -> String {
    let plain = |text: &str| text.replace(['-', ' '], "_");
    let name = plain(secret.name());
    match secret.prefix().map(plain).filter(|prefix| !prefix.is_empty()) {
        Some(prefix) if !name.starts_with(&format!("{prefix}_")) => format!("{prefix}_{name}"),
        _ => name,
    }
}

fn is_variable(name: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    name.chars().all(is_part) && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Checks a name as customers give it.
pub fn name(name: &str) -> Result<(), ApiError> {
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(ApiError::invalid(format!("name must have 1 to {NAME_CHARS_MAX} characters")));
    }
    Ok(())
}

/// The metadata as the text that is kept.
pub fn metadata_text(metadata: &Metadata) -> Result<String, ApiError> {
    let text = serde_json::to_string(metadata).map_err(ApiError::internal)?;
    if text.len() > METADATA_BYTES_MAX {
        return Err(ApiError::invalid(format!("metadata is larger than {METADATA_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Secrets as the one JSON text that is sealed.
pub fn secrets_to_text(secrets: &[Secret]) -> Result<SecretString, serde_json::Error> {
    Ok(SecretString::from(serde_json::to_string(&Exposed(secrets))?))
}

/// The secrets in a sealed text.
pub fn secrets_from_text(text: &SecretString) -> Result<Vec<Secret>, serde_json::Error> {
    serde_json::from_str(text.expose_secret())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(value: &serde_json::Value) -> Notification {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn secrets_are_environment_variables_each_of_its_own_name() {
        let read = |value: serde_json::Value| serde_json::from_value::<Vec<Secret>>(value).unwrap();
        let named = |names: &[(&str, Option<&str>)]| {
            let secret =
                |(name, prefix): &(&str, Option<&str>)| json!({ "name": name, "prefix": prefix, "value": "hunter2" });
            secrets(Some(&read(names.iter().map(secret).collect())))
        };
        for fit in [
            &[("DATABASE_URL", None), ("_x1", None), ("database_url", None)][..],
            &[("with-dash", None), ("with space", None)],
            &[("URL", Some("DB")), ("URL", Some("REDIS")), ("URL", None)],
            &[],
        ] {
            assert_eq!(named(fit), Ok(()), "{fit:?}");
        }
        for unfit in [
            &[("A", None), ("A", None)][..],
            // The same variable, written otherwise.
            &[("a-b", None), ("a_b", None)],
            &[("DB_URL", None), ("URL", Some("DB"))],
            &[("DB_URL", Some("DB")), ("URL", Some("DB"))],
            &[("1A", None)],
            &[("A.B", None)],
            &[("\u{dc}BER", None)],
            &[("A=B", None)],
            &[("A\n", None)],
        ] {
            let told = named(unfit).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{unfit:?} {told}");
        }
    }

    #[test]
    fn only_a_status_that_vercel_knows_is_taken() {
        let read = |text: &str| serde_json::from_value::<ResourceStatus>(json!(text)).unwrap();
        for known in ["ready", "pending", "onboarding", "suspended", "resumed", "uninstalled", "error"] {
            assert_eq!(status(Some(&read(known))), Ok(()), "{known}");
        }
        let told = status(Some(&read("hunter2"))).unwrap_err().to_string();
        assert!(told.contains("suspended") && !told.contains("hunter2"), "{told}");
        assert_eq!(status(None), Ok(()));
    }

    #[test]
    fn a_notification_is_what_vercel_takes_and_not_too_long() {
        let link = |bytes: usize| format!("https://a.example/{}", "x".repeat(bytes - 18));
        for (value, is_fit) in [
            (json!({ "level": "info", "title": "T" }), true),
            (json!({ "level": "odd", "title": "T" }), false),
            (json!({ "level": "info", "title": "" }), false),
            (json!({ "level": "info", "title": "T", "message": "ä".repeat(MESSAGE_CHARS_MAX) }), true),
            (json!({ "level": "info", "title": "T", "message": "ä".repeat(MESSAGE_CHARS_MAX + 1) }), false),
            (json!({ "level": "info", "title": "T", "href": link(LINK_BYTES_MAX) }), true),
            (json!({ "level": "info", "title": "T", "href": link(LINK_BYTES_MAX + 1) }), false),
            (json!({ "level": "info", "title": "T", "href": "javascript:x" }), false),
        ] {
            assert_eq!(notification(Some(&note(&value))).is_ok(), is_fit, "{value:.80}");
        }
        assert_eq!(notification(None), Ok(()));
    }

    #[test]
    fn secrets_are_limited_in_number_and_together() {
        let many = |count: usize| (0..count).map(|n| Secret::new(format!("S{n}"), "v").unwrap()).collect::<Vec<_>>();
        assert_eq!(secrets(Some(&many(SECRETS_MAX))), Ok(()));
        assert!(secrets(Some(&many(SECRETS_MAX + 1))).is_err());
        // [{"name":"S","value":""}] has 25 bytes.
        let large = |bytes: usize| vec![Secret::new("S", "v".repeat(bytes - 25)).unwrap()];
        assert_eq!(secrets(Some(&large(SECRETS_BYTES_MAX))), Ok(()));
        let told = secrets(Some(&large(SECRETS_BYTES_MAX + 1))).unwrap_err().to_string();
        assert!(told.contains("65536") && !told.contains("vv"), "{told}");
        assert_eq!(secrets(None), Ok(()));
        assert_eq!(secrets(Some(&[])), Ok(()));
    }
}
