//! The exchange of a sign-on code, and the refresh of a sign-on (spec A.20).

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::credential::seconds;
use super::secret::{clear, exposed, optional_secret_text, secret_text};
use crate::ids::ClientId;
use crate::money::Number;

/// A code and what proves the right to exchange it (spec A.20). Written through [`Exposed`](super::Exposed), with
/// `grant_type: authorization_code`.
#[derive(Debug, Clone)]
pub struct SsoExchange {
    /// The single-use code of the redirect.
    pub code: SecretString,
    /// The integration.
    pub client_id: ClientId,
    /// Its secret.
    pub client_secret: SecretString,
    /// The redirect's `state`.
    pub state: Option<String>,
    /// Where the redirect went, if Vercel is to compare it.
    pub redirect_uri: Option<String>,
}

/// A refresh token and what proves the right to use it (spec A.20, since 2026). Written through
/// [`Exposed`](super::Exposed), with `grant_type: refresh_token`.
#[derive(Debug, Clone)]
pub struct SsoRefresh {
    /// The token that an earlier answer gave.
    pub refresh_token: SecretString,
    /// The integration.
    pub client_id: ClientId,
    /// Its secret.
    pub client_secret: SecretString,
}

/// Either request of A.20, as Vercel reads it.
#[derive(Debug, Clone)]
pub enum SsoTokenRequest {
    /// `grant_type: authorization_code`.
    Exchange(SsoExchange),
    /// `grant_type: refresh_token`.
    Refresh(SsoRefresh),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SsoExchange")]
struct ExchangeFields {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    code: SecretString,
    client_id: ClientId,
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    client_secret: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SsoRefresh")]
struct RefreshFields {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    refresh_token: SecretString,
    client_id: ClientId,
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    client_secret: SecretString,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SsoTokenRequest", tag = "grant_type", rename_all = "snake_case")]
enum RequestBody {
    #[serde(rename = "authorization_code", with = "ExchangeFields")]
    Exchange(SsoExchange),
    #[serde(rename = "refresh_token", with = "RefreshFields")]
    Refresh(SsoRefresh),
}
exposed!(SsoTokenRequest as RequestBody);

/// What a code or a refresh token was exchanged for (spec A.20). Written through [`Exposed`](super::Exposed).
#[derive(Debug, Clone)]
pub struct SsoTokens {
    /// Who signed on: verify it as any token, then forget it. It expires.
    pub id_token: SecretString,
    /// A token for calls on behalf of the person, if there is one.
    pub access_token: Option<SecretString>,
    /// Its kind.
    pub token_type: Option<String>,
    /// How long they hold, in seconds.
    pub expires_in: Option<Number>,
    /// For a new `id_token` without the browser, if there is one.
    pub refresh_token: Option<SecretString>,
}

impl SsoTokens {
    /// How long they hold, if Vercel says so and its number is a duration.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_in.as_ref().and_then(seconds)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SsoTokens")]
struct TokensBody {
    #[serde(serialize_with = "clear", deserialize_with = "secret_text")]
    id_token: SecretString,
    #[serde(default, serialize_with = "clear", deserialize_with = "optional_secret_text")]
    access_token: Option<SecretString>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in: Option<Number>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "clear",
        deserialize_with = "optional_secret_text"
    )]
    refresh_token: Option<SecretString>,
}
exposed!(SsoTokens as TokensBody);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Exposed;

    #[test]
    fn both_grants_survive_and_do_not_show() {
        for json in [
            r#"{"grant_type":"authorization_code","code":"c0de","client_id":"oac_1","client_secret":"c1ient","state":"s","redirect_uri":"https://a"}"#,
            r#"{"grant_type":"authorization_code","code":"c0de","client_id":"oac_1","client_secret":"c1ient"}"#,
            r#"{"grant_type":"refresh_token","refresh_token":"r0ll","client_id":"oac_1","client_secret":"c1ient"}"#,
        ] {
            let read: SsoTokenRequest = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), json);
            let shown = format!("{read:?}");
            assert!(!["c0de", "c1ient", "r0ll"].iter().any(|secret| shown.contains(secret)), "{shown}");
        }
        assert!(serde_json::from_str::<SsoTokenRequest>(r#"{"grant_type":"password","client_id":"o"}"#).is_err());
    }

    #[test]
    fn tokens_survive_in_both_forms() {
        let least = r#"{"id_token":"a.b.c","access_token":null,"token_type":null}"#;
        let read: SsoTokens = serde_json::from_str(least).unwrap();
        assert_eq!((serde_json::to_string(&Exposed(&read)).unwrap().as_str(), read.lifetime()), (least, None));
        let full = r#"{"id_token":"a.b.c","access_token":"acc3ss","token_type":"Bearer","expires_in":3600,"refresh_token":"r0ll"}"#;
        let read: SsoTokens = serde_json::from_str(full).unwrap();
        assert_eq!(serde_json::to_string(&Exposed(&read)).unwrap(), full);
        assert_eq!(read.lifetime(), Some(Duration::from_hours(1)));
        let shown = format!("{read:?}");
        assert!(!["a.b.c", "acc3ss", "r0ll"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}
