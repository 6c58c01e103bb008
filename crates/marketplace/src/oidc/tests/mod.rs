//! Tokens, good and bad, of an issuer that lives in memory.

mod claims;
mod documents;
mod fetching;
mod forgeries;
mod good;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::endpoint::checked;
use crate::http_door::{Http, HttpError};

const ISSUER: &str = "https://marketplace.test";
const CLIENT: &str = "oac_1";

fn key(index: usize) -> &'static RsaKeyPair {
    static KEYS: [OnceLock<RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    KEYS[index].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn part(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Signs two texts, which need not be JSON.
fn sign_texts(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", part(signature))
}

fn sign_with(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, header: &Value, claims: &Value) -> String {
    sign_texts(key, padding, &header.to_string(), &claims.to_string())
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "k0"})
}

fn sign(claims: &Value) -> String {
    sign_with(key(0), &RSA_PKCS1_SHA256, &header(), claims)
}

/// A modulus of 2,048 bits. The public key's DER is a sequence of a 257-byte and a 3-byte integer.
fn modulus(index: usize) -> &'static [u8] {
    &key(index).public_key().as_ref()[9..265]
}

/// The public key as an entry of a key set.
fn jwk(index: usize, kid: &str) -> Value {
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": part(modulus(index)), "e": "AQAB"})
}

fn now() -> Timestamp {
    "2027-01-15T12:00:00.9Z".parse().unwrap()
}

fn user() -> Value {
    let now = now().as_second();
    json!({
        "iss": ISSUER, "aud": CLIENT, "iat": now, "nbf": now, "exp": now + 600, "sub": "account:0aF:user:9e",
        "account_id": "0aF", "installation_id": "icfg_1", "user_id": "u1", "user_role": "ADMIN",
        "user_email": "ann@example.com", "user_name": "Ann", "type": "access_token", "unknown": [1],
    })
}

fn system() -> Value {
    let now = now().as_second();
    json!({
        "iss": ISSUER, "aud": CLIENT, "exp": now + 600,
        "sub": "account:0aF", "account_id": "0aF", "installation_id": null,
    })
}

/// `claims` with one claim changed.
fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

/// `claims` with one claim gone.
fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// The issuer's two documents, and how often they were asked for.
struct Issuer {
    discovery: Mutex<String>,
    keys: Mutex<String>,
    fault: Mutex<Option<Result<u16, HttpError>>>,
    asked: AtomicUsize,
}

impl Issuer {
    fn new() -> Arc<Self> {
        let discovery = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks")});
        Arc::new(Self {
            discovery: Mutex::new(discovery.to_string()),
            keys: Mutex::new(json!({"keys": [jwk(0, "k0")]}).to_string()),
            fault: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }

    fn verifier(self: &Arc<Self>) -> Verifier {
        let http = Arc::clone(self) as Arc<dyn Http>;
        Verifier::new(http, checked(ISSUER).unwrap(), ClientId::new(CLIENT).unwrap())
    }

    /// How many requests came since this was asked last.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    fn set_keys(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = json!({"keys": keys}).to_string();
    }

    fn break_down(&self) {
        *self.fault.lock().unwrap() = Some(Err(HttpError::NotSent("down".to_owned())));
    }

    fn repair(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

#[async_trait]
impl Http for Issuer {
    async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        assert_eq!((request.method().as_str(), timeout), ("GET", FETCH_TIMEOUT));
        assert_eq!(request.uri().host(), Some("marketplace.test"));
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let fault = self.fault.lock().unwrap().clone();
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => self.discovery.lock().unwrap().clone(),
            "/.well-known/jwks" => self.keys.lock().unwrap().clone(),
            other => panic!("asked for {other}"),
        };
        match fault {
            Some(Err(error)) => Err(error),
            Some(Ok(status)) => {
                let response = Response::builder().status(status).header("location", "https://evil.test/");
                Ok(response.body(Bytes::from(body)).unwrap())
            }
            None => Ok(Response::new(Bytes::from(body))),
        }
    }
}

async fn verify(verifier: &Verifier, token: &str) -> Result<Claims, TokenError> {
    verifier.verify(token, AuthHeader::Missing, now(), later(0)).await
}

/// Later, by so many seconds.
fn later(seconds: i64) -> LeaseTime {
    LeaseTime::of(now()).after(SignedDuration::from_secs(seconds))
}

/// A row of a table of bad tokens: what is wrong, the token, and why it is refused.
type Row = (&'static str, String, TokenError);

/// Every token is refused for its own reason, twice the same, and no two rows are the same.
async fn assert_refused(verifier: &Verifier, table: &[Row]) {
    let names: BTreeSet<&str> = table.iter().map(|(what, ..)| *what).collect();
    let tokens: BTreeSet<&str> = table.iter().map(|(_, token, _)| token.as_str()).collect();
    assert_eq!((names.len(), tokens.len()), (table.len(), table.len()), "a row is there twice");
    for (what, token, reason) in table {
        for _ in 0..2 {
            let refused = verify(verifier, token).await;
            assert_eq!(refused.as_ref(), Err(reason), "{what}");
        }
        let said = reason.to_string();
        assert!(!said.contains("icfg_") && !said.contains("evil"), "{what}: {said}");
    }
}
