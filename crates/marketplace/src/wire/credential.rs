//! Rotating and revoking the token of an installation (spec A.5, A.6).
//!
//! The order that leaves no gap: rotate, store the new token, call with the new one, revoke the old one.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secret::{clear, exposed, secret_text};
use crate::ids::ClientId;
use crate::money::Number;

/// What proves the right to a new token (spec A.5). Written through [`Exposed`](super::Exposed).
#[derive(Debug, Clone)]
pub struct RotateCredential {
    /// The integration's secret.
    pub client_secret: SecretString,
    /// The integration.
    pub client_id: Option<ClientId>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RotateCredential")]
struct RotateBody {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    client_secret: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
}
exposed!(RotateCredential as RotateBody);

/// A new token (spec A.5). The old one works until it is revoked. Written through [`Exposed`](super::Exposed).
#[derive(Debug, Clone)]
pub struct RotatedCredential {
    /// The new bearer token of every call in A: store it encrypted, before anything else.
    pub access_token: SecretString,
    /// `oauth2-token`.
    pub token_type: String,
    /// What it may do.
    pub scope: String,
    /// How long it holds, in seconds.
    pub expires_in: Number,
}

impl RotatedCredential {
    /// How long it holds, if Vercel's number is a duration.
    pub fn lifetime(&self) -> Option<Duration> {
        seconds(&self.expires_in)
    }
}

/// A number of seconds as a duration; `None` for what is negative or beyond the range of [`crate::money::Quantity`].
pub(crate) fn seconds(number: &Number) -> Option<Duration> {
    let nanos = number.quantity().ok()?.nano();
    let whole = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(whole, u32::try_from(nanos % 1_000_000_000).ok()?))
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RotatedCredential")]
struct RotatedBody {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    access_token: SecretString,
    token_type: String,
    scope: String,
    expires_in: Number,
}
exposed!(RotatedCredential as RotatedBody);

/// A token to kill, and what proves the right to (spec A.6). Written through [`Exposed`](super::Exposed).
#[derive(Debug, Clone)]
pub struct RevokeCredential {
    /// The token to kill; another one must be alive, and makes the call.
    pub token: SecretString,
    /// The integration's secret.
    pub client_secret: SecretString,
    /// The integration.
    pub client_id: Option<ClientId>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RevokeCredential")]
struct RevokeBody {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    token: SecretString,
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    client_secret: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
}
exposed!(RevokeCredential as RevokeBody);

/// What became of it (spec A.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedCredential {
    /// Whether it is dead now.
    pub revoked: bool,
    /// Whether it was dead before: an earlier try counted. (Vercel's own SDK reads it as `already_revoked`, which is
    /// read too.)
    #[serde(alias = "already_revoked")]
    pub already_revoked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Exposed;

    #[test]
    fn credentials_survive_and_do_not_show() {
        let rotate = r#"{"client_secret":"cl1ent","client_id":"oac_1"}"#;
        let read: RotateCredential = serde_json::from_str(rotate).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), rotate);
        let shown = format!("{read:?}");
        let rotated = r#"{"access_token":"t0ken","token_type":"oauth2-token","scope":"s","expires_in":3600.5}"#;
        let read: RotatedCredential = serde_json::from_str(rotated).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), rotated);
        assert_eq!(read.lifetime(), Some(Duration::from_millis(3_600_500)));
        let shown = format!("{shown}{read:?}");
        let revoke = r#"{"token":"t0ken","client_secret":"cl1ent"}"#;
        let read: RevokeCredential = serde_json::from_str(revoke).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), revoke);
        let shown = format!("{shown}{read:?}");
        assert!(!shown.contains("cl1ent") && !shown.contains("t0ken"), "{shown}");
        let revoked = r#"{"revoked":true,"alreadyRevoked":false}"#;
        let read: RevokedCredential = serde_json::from_str(revoked).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), revoked);
        let sdk: RevokedCredential = serde_json::from_str(&revoked.replace("alreadyR", "already_r")).unwrap();
        assert_eq!(sdk, read);
    }

    #[test]
    fn a_lifetime_is_a_duration_where_it_is_one() {
        let of = |text: &str| seconds(&Number::new(text).unwrap());
        assert_eq!(of("3.6e3"), Some(Duration::from_hours(1)));
        assert_eq!(of("-1"), None);
        assert_eq!(of("1e300"), None);
    }
}
