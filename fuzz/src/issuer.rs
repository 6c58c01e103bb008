//! An issuer of tokens with a key of its own, drawn at start: nothing that is not signed here has a signature of its.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tradepost_marketplace::http_door::{Http, HttpError};

/// What it calls itself.
pub const ISSUER: &str = "https://issuer.test";
/// For whom its tokens are.
pub const AUDIENCE: &str = "oac_fuzz";
/// The id of its key.
pub const KEY_ID: &str = "key-1";
/// The installation that its tokens are about.
pub const INSTALLATION: &str = "icfg_fuzz";

/// The issuer; as a network, it serves its documents.
pub struct Issuer;

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// A token of these texts, signed.
pub fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key().public_modulus_len()];
    key().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The header of a good token.
pub fn header() -> Vec<u8> {
    json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }).to_string().into_bytes()
}

/// A good token about [`INSTALLATION`]: a person's, an administrator, or the system's.
pub fn good(is_person: bool, now: i64) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3600, "sub": "account:61",
        "account_id": "61", "installation_id": INSTALLATION,
    });
    if is_person {
        claims["user_id"] = json!("u1");
        claims["user_role"] = json!("ADMIN");
        claims["sub"] = json!("account:61:user:62");
    }
    sign(&header(), claims.to_string().as_bytes())
}

fn key_set() -> Value {
    let public = key().public_key();
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
    let e = e.big_endian_without_leading_zero();
    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": number(n), "e": number(e) }] })
}

#[async_trait]
impl Http for Issuer {
    async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
        let body = if request.uri().path().ends_with("openid-configuration") {
            json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks") })
        } else {
            key_set()
        };
        Ok(Response::new(body.to_string().into()))
    }
}
