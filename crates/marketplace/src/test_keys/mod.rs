//! Tokens and webhooks for the tests of a provider: the feature `test-keys`.
//!
//! **The private key is published with this crate.** Whoever trusts it trusts everyone: turn the feature on under
//! `[dev-dependencies]` only, and never point a deployed verifier at a [`TestIssuer`].
//!
//! A [`TestIssuer`] signs what Vercel would sign, serves the two documents that a verifier asks for, without a
//! socket, and can be made to sign what Vercel never would, to see it refused. Nothing here fails but by a panic:
//! it is for tests.
//!
//! ```
//! use std::sync::Arc;
//! use tradepost_marketplace::endpoint::{VERCEL_ISSUER, checked};
//! use tradepost_marketplace::ids::{ClientId, InstallationId, UserId, WebhookId};
//! use tradepost_marketplace::oidc::{AuthHeader, Role, TokenError, Verifier};
//! use tradepost_marketplace::doors::LeaseTime;
//! use tradepost_marketplace::test_keys::{TestIssuer, sign_webhook};
//! use tradepost_marketplace::webhook::{Event, EventPayload};
//! use tradepost_marketplace::webhook_signature;
//! use tradepost_marketplace::wire::Raw;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (issuer, client) = (checked(VERCEL_ISSUER)?, ClientId::new("oac_1")?);
//! let test = TestIssuer::new(issuer.clone(), client.clone());
//! let verifier = Verifier::new(Arc::new(test.clone()), issuer, client);
//! let now = "2027-01-15T12:00:00Z".parse()?;
//!
//! // A person's token, as a bearer.
//! let (installation, person) = (InstallationId::new("icfg_1")?, UserId::new("u1")?);
//! let token = test.user(&installation, &person, &Role::Admin, now);
//! let lease = LeaseTime::of(now);
//! let claims = verifier.verify(&token.sign(), AuthHeader::User, now, lease).await?;
//! assert_eq!(claims.require_installation("icfg_1")?, &installation);
//! assert_eq!(claims.require_admin()?.user_id, person);
//!
//! // The same, for somebody else's integration.
//! let foreign = token.claim("aud", "oac_2").sign();
//! assert_eq!(verifier.verify(&foreign, AuthHeader::User, now, lease).await, Err(TokenError::Audience));
//!
//! // A webhook.
//! let payload = Raw::new(r#"{"configuration":{"id":"icfg_1"},"memberId":"u1","role":"NONE"}"#)?;
//! let payload = EventPayload::from_raw("marketplace.member.changed", payload)?;
//! let secret = "the integration's client secret".into();
//! let (body, signature) = sign_webhook(&secret, &Event::new(WebhookId::new("wh_1")?, now, payload));
//! webhook_signature::verify([&secret], Some(&signature), &body)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::http_door::{Http, HttpError};
use crate::ids::{ClientId, InstallationId, UserId};
use crate::oidc::Role;
use crate::webhook::Event;
use crate::webhook_signature;

/// The id of the one key.
pub const TEST_KEY_ID: &str = "tradepost-test-key-1";
/// How long a token lives, in seconds.
pub const TEST_TOKEN_SECONDS: i64 = 600;

/// Not a secret: it is in the crate's package.
const PRIVATE_KEY: &[u8] = include_bytes!("public_knowledge.pem");
/// The modulus of the key, base64url.
const MODULUS: &str = concat!(
    "3s9PJpyEwqqQQF8913g-9zlUkNoPtExh1GQLEHNwis1np6MuZtSz-S9BGx9bK46vFoVcY2TAXMPlbB5Xsz9VoocI9O3sEZf-_5BQ",
    "RkRSNZUmlroWDedFcReWpceNUg6rw0Kdam70UvA0-BmIoVT61iD-UNwtaxlGhd3264LCVHpiobWGrXrtG33H5lK6ZzDO0NsLnoq_",
    "PCg5LBdPCCFbKURW0Ep7aTdLNFpn5ZUsbHvlgUhQdJ4aX8RNj918RQz6kTOeSZ1HOjXiMN4wG3mpdWfMRNNKhc-H0MMlZx_G7Onp",
    "hnMJfwdnCWVjSYUn-MJyzUbwrm9bB6Q1Vfu4NpjDUQ",
);
const EXPONENT: &str = "AQAB";

/// An issuer of tokens for one integration, with a key that everybody has.
///
/// It is a network, too ([`Http`]): give it to a [`Verifier`](crate::oidc::Verifier), and the verifier's requests
/// for the discovery document and the key set are answered in memory; anything else is 404.
#[derive(Debug, Clone)]
pub struct TestIssuer {
    issuer: Endpoint,
    audience: ClientId,
}

impl TestIssuer {
    /// An issuer that calls itself so, for this integration. The address need not exist; Vercel's own will do.
    pub const fn new(issuer: Endpoint, audience: ClientId) -> Self {
        Self { issuer, audience }
    }

    /// A person's token, good from `now` on. Made for a bearer; see [`TestToken::for_sign_on`].
    pub fn user(&self, installation: &InstallationId, user: &UserId, role: &Role, now: Timestamp) -> TestToken {
        let sub = format!("{}:user:{}", account_of(installation), hex(user.as_str()));
        let account = hex(installation.as_str());
        self.token(now, &sub)
            .claim("account_id", account)
            .claim("installation_id", installation.as_str())
            .claim("user_id", user.as_str())
            .claim("user_role", role.as_str())
            .claim("user_email", "ann@example.com")
            .claim("user_name", "Ann Example")
    }

    /// The system's token, good from `now` on; without an installation, as before there is one (spec B.5).
    pub fn system(&self, installation: Option<&InstallationId>, now: Timestamp) -> TestToken {
        match installation {
            Some(installation) => self
                .token(now, &account_of(installation))
                .claim("account_id", hex(installation.as_str()))
                .claim("installation_id", installation.as_str()),
            None => self.token(now, "").claim("sub", Value::Null).claim("installation_id", Value::Null),
        }
    }

    fn token(&self, now: Timestamp, sub: &str) -> TestToken {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": TEST_KEY_ID });
        let now = now.as_second();
        let claims = json!({
            "iss": self.issuer.as_str(),
            "aud": self.audience.as_str(),
            "iat": now,
            "nbf": now,
            "exp": now + TEST_TOKEN_SECONDS,
            "sub": sub,
            "type": "access_token",
        });
        TestToken { header: object(header), claims: object(claims) }
    }

    /// The discovery document, for `/.well-known/openid-configuration`.
    pub fn discovery(&self) -> String {
        let keys = self.issuer.join([".well-known", "jwks"]);
        json!({ "issuer": self.issuer.as_str(), "jwks_uri": keys.as_str() }).to_string()
    }

    /// The key set, for `/.well-known/jwks`.
    pub fn key_set(&self) -> String {
        let key = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": TEST_KEY_ID, "n": MODULUS, "e": EXPONENT,
        });
        json!({ "keys": [key] }).to_string()
    }
}

#[async_trait]
impl Http for TestIssuer {
    async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        let asked = request.uri().to_string();
        let is = |segment| asked == self.issuer.join([".well-known", segment]).as_str();
        let mut response = Response::new(Bytes::new());
        if is("openid-configuration") {
            *response.body_mut() = self.discovery().into();
        } else if is("jwks") {
            *response.body_mut() = self.key_set().into();
        } else {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        Ok(response)
    }
}

/// A token to be: change it, then sign it.
#[derive(Debug, Clone)]
pub struct TestToken {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TestToken {
    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a field of the header. The signature stays RS256, whatever `alg` says.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Makes it the `id_token` of a sign-on, which is no bearer.
    #[must_use]
    pub fn for_sign_on(self) -> Self {
        self.claim("type", "id_token")
    }

    /// Signs it, RS256 under [`TEST_KEY_ID`].
    ///
    /// # Panics
    ///
    /// Only if the key of this crate is broken.
    #[allow(clippy::expect_used, reason = "the key is a constant of this crate, and a test may panic")]
    pub fn sign(&self) -> String {
        let part = |map: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(map.clone()).to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let key = EncodingKey::from_rsa_pem(PRIVATE_KEY).expect("the test key is a key");
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::RS256);
        format!("{signed}.{}", signature.expect("the test key signs"))
    }
}

/// The bytes of a delivery and the value of its `x-vercel-signature`.
///
/// # Panics
///
/// If the event cannot be written, which none that was read or made by this crate's types is known to do.
#[allow(clippy::expect_used, reason = "a test may panic")]
pub fn sign_webhook(secret: &SecretString, event: &Event) -> (Vec<u8>, String) {
    let body = event.compose().expect("an event can be written");
    let signature = webhook_signature::sign(secret, &body);
    (body, signature)
}

fn account_of(installation: &InstallationId) -> String {
    format!("account:{}", hex(installation.as_str()))
}

/// Accounts and subjects are hexadecimal (spec C).
fn hex(text: &str) -> String {
    webhook_signature::to_hex(text.as_bytes())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::doors::LeaseTime;
    use crate::endpoint::checked;
    use crate::oidc::{AuthHeader, Claims, Forbidden, TokenError, Verifier};

    fn issuer() -> TestIssuer {
        TestIssuer::new(checked("https://issuer.test/base").unwrap(), ClientId::new("oac_1").unwrap())
    }

    fn verifier() -> Verifier {
        Verifier::new(Arc::new(issuer()), issuer().issuer, issuer().audience)
    }

    fn now() -> Timestamp {
        "2027-01-15T12:00:00Z".parse().unwrap()
    }

    fn lease() -> LeaseTime {
        LeaseTime::of(now())
    }

    fn user() -> TestToken {
        issuer().user(&InstallationId::new("icfg_1").unwrap(), &UserId::new("u1").unwrap(), &Role::User, now())
    }

    #[tokio::test]
    async fn what_it_signs_is_verified_and_says_what_it_was_told() {
        let verifier = verifier();
        let verify = async |token: TestToken| verifier.verify(&token.sign(), AuthHeader::Missing, now(), lease()).await;
        let claims = verify(user()).await.unwrap();
        assert_eq!(
            (claims.installation_id().unwrap().as_str(), claims.require_admin()),
            ("icfg_1", Err(Forbidden::NotAdmin))
        );
        let installation = InstallationId::new("icfg_2").unwrap();
        let system = verify(issuer().system(Some(&installation), now())).await.unwrap();
        assert_eq!(system.require_installation("icfg_2"), Ok(&installation));
        let nowhere = verify(issuer().system(None, now())).await.unwrap();
        assert!(matches!(nowhere, Claims::System(it) if it.installation_id.is_none() && it.account_id.is_none()));
        let sign_on = user().for_sign_on().sign().into();
        assert_eq!(verifier.verify_sign_on(&sign_on, now(), lease()).await.unwrap().user_id.as_str(), "u1");
    }

    #[tokio::test]
    async fn what_it_is_told_to_spoil_is_refused() {
        let verifier = verifier();
        for (token, why) in [
            (user().claim("exp", 0), TokenError::Expired),
            (user().without("exp"), TokenError::ClaimMissing("exp")),
            (user().header("alg", "none"), TokenError::Algorithm),
            (user().header("kid", "other"), TokenError::UnknownKey),
            (user().for_sign_on(), TokenError::TokenUse),
        ] {
            assert_eq!(verifier.verify(&token.sign(), AuthHeader::User, now(), lease()).await, Err(why));
        }
        // Its documents are served at its own address and nowhere else.
        for (address, status) in [
            ("https://issuer.test/base/.well-known/openid-configuration", 200),
            ("https://issuer.test/base/.well-known/jwks", 200),
            ("https://issuer.test/.well-known/openid-configuration", 404),
            ("https://issuer.test/.well-known/jwks", 404),
            ("https://other.test/base/.well-known/jwks", 404),
            ("https://issuer.test/base/.well-known/jwks.json", 404),
        ] {
            let request = Request::get(address).body(Bytes::new()).unwrap();
            let answer = issuer().send(request, Duration::ZERO).await.unwrap();
            assert_eq!(answer.status(), status, "{address}");
        }
        let good = user().sign();
        let other = checked("https://issuer.test").unwrap();
        let elsewhere = Verifier::new(Arc::new(issuer()), other, issuer().audience);
        let refused = elsewhere.verify(&good, AuthHeader::User, now(), lease()).await;
        assert!(matches!(refused, Err(TokenError::KeysUnavailable(_))), "{refused:?}");
    }
}
