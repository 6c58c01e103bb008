//! The exchange of a sign-on code for tokens (spec A.20).

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::ClientError;
use super::retry::RetryClass;
use super::send::Operation;
use crate::ids::ClientId;
use crate::wire::{optional_secret_text, secret_text};

/// A code and what proves the right to exchange it.
#[derive(Debug, Clone)]
pub struct SsoExchange<'a> {
    /// The single-use code of the redirect.
    pub code: &'a SecretString,
    /// The redirect's `state`.
    pub state: Option<&'a str>,
    /// The integration.
    pub client_id: &'a ClientId,
    /// Its secret.
    pub client_secret: &'a SecretString,
    /// Where the redirect went, if Vercel is to compare it.
    pub redirect_uri: Option<&'a str>,
}

/// What a code was exchanged for.
#[derive(Debug, Clone, Deserialize)]
pub struct SsoTokens {
    /// Who signed on: verify it as any token, then forget it. It expires.
    #[serde(deserialize_with = "secret_text")]
    pub id_token: SecretString,
    /// A token for calls on behalf of the person, if there is one.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pub access_token: Option<SecretString>,
    /// For a new `id_token` without the browser, if there is one.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pub refresh_token: Option<SecretString>,
    /// How long they hold, in seconds.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

impl SsoTokens {
    /// How long they hold.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }
}

#[derive(Serialize)]
struct ExchangeBody<'a> {
    code: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    grant_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<&'a str>,
}

impl Client {
    /// SSO Token Exchange (spec A.20). No bearer. [`RetryClass::Never`]: a code works once, so once it may have
    /// been sent a repeat can only fail; the person signs on again.
    pub async fn exchange_code(
        &self,
        exchange: &SsoExchange<'_>,
        deadline: Timestamp,
    ) -> Result<SsoTokens, ClientError> {
        let operation = Operation {
            name: "exchange_code",
            class: RetryClass::Never,
            secretive: true,
            method: Method::POST,
            url: self.base.join(["v1", "integrations", "sso", "token"]),
            token: None,
            installation: None,
            body: None,
            deadline,
        };
        let body = ExchangeBody {
            code: exchange.code.expose_secret(),
            client_id: exchange.client_id.as_str(),
            client_secret: exchange.client_secret.expose_secret(),
            grant_type: "authorization_code",
            state: exchange.state,
            redirect_uri: exchange.redirect_uri,
        };
        self.fetch(operation.with_body(&body)?).await
    }
}
