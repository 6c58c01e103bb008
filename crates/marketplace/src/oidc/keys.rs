//! The issuer's keys: found by discovery, fetched rarely, kept while the issuer is down.
//!
//! Whoever can send a token can name any key, so what a token names must not decide how often the issuer is
//! asked: at most one round of fetching in [`FETCH_WAIT`], shared by all callers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use url::Url;

use super::TokenError;
use crate::endpoint::{Endpoint, is_loopback, is_safe};
use crate::http_door::HttpDoor;

/// How long one fetch may take.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// The least time between two rounds of fetching, in lease time.
pub const FETCH_WAIT: Duration = Duration::from_mins(1);
/// The same while no key at all is known, because the round before failed.
pub const FETCH_WAIT_COLD: Duration = Duration::from_secs(2);
/// How long keys are used before they are fetched again, so that a withdrawn key goes.
pub const KEYS_FRESH: Duration = Duration::from_hours(1);

/// How often one document is tried in a round.
const FETCH_TRIES: u32 = 2;
/// The most bytes of a document.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// The most keys taken from one document.
const KEYS_MAX: usize = 32;

/// The issuer's keys by their ids.
pub(super) struct KeyStore {
    http: HttpDoor,
    issuer: Endpoint,
    known: RwLock<Arc<KeySet>>,
    round: Mutex<Round>,
}

#[derive(Default)]
struct KeySet {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched_at: Option<Timestamp>,
}

/// What the last round of fetching was like. Held locked during a round.
#[derive(Default)]
struct Round {
    started_at: Option<Timestamp>,
    failed: bool,
    jwks_uri: Option<Url>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

impl KeyStore {
    pub(super) fn new(http: HttpDoor, issuer: Endpoint) -> Self {
        Self { http, issuer, known: RwLock::default(), round: Mutex::default() }
    }

    /// The key of this id. A known key never waits for somebody else's fetch.
    pub(super) async fn find(&self, id: &str, now: Timestamp) -> Result<Arc<DecodingKey>, TokenError> {
        let known = self.known();
        if let Some(key) = known.keys.get(id) {
            let fresh = known.fetched_at.is_some_and(|at| within(at, KEYS_FRESH, now));
            if !fresh && let Ok(mut round) = self.round.try_lock() {
                self.refresh(&mut round, now).await;
                return self.known().keys.get(id).cloned().ok_or(TokenError::UnknownKey);
            }
            return Ok(Arc::clone(key));
        }
        let mut round = self.round.lock().await;
        if !self.known().keys.contains_key(id) {
            self.refresh(&mut round, now).await;
        }
        let unknown = if round.failed { TokenError::KeysUnavailable } else { TokenError::UnknownKey };
        self.known().keys.get(id).cloned().ok_or(unknown)
    }

    fn known(&self) -> Arc<KeySet> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One round of fetching, unless the last one was too recent. A failed round changes no key.
    async fn refresh(&self, round: &mut Round, now: Timestamp) {
        let cold = round.failed && self.known().keys.is_empty();
        let wait = if cold { FETCH_WAIT_COLD } else { FETCH_WAIT };
        if round.started_at.is_some_and(|at| within(at, wait, now)) {
            return;
        }
        // Noted before the first await: a caller who goes away must not make the next one fetch again.
        round.started_at = Some(now);
        round.failed = true;
        match self.fetch_keys(round).await {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "fetched the issuer's keys");
                round.failed = false;
                let set = Arc::new(KeySet { keys, fetched_at: Some(now) });
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = set;
            }
            Err(reason) => {
                round.jwks_uri = None;
                tracing::warn!(reason, "could not fetch the issuer's keys");
            }
        }
    }

    async fn fetch_keys(&self, round: &mut Round) -> Result<HashMap<String, Arc<DecodingKey>>, &'static str> {
        let address = match round.jwks_uri.take() {
            Some(address) => address,
            None => self.discover().await?,
        };
        let jwks: Jwks = self.fetch(&address).await?;
        round.jwks_uri = Some(address);
        let keys = read_keys(jwks);
        if keys.is_empty() { Err("the key set has no usable key") } else { Ok(keys) }
    }

    async fn discover(&self) -> Result<Url, &'static str> {
        let address = self.issuer.join([".well-known", "openid-configuration"]);
        let discovery: Discovery = self.fetch(&address).await?;
        if discovery.issuer != self.issuer.as_str() {
            return Err("the discovery document is of another issuer");
        }
        let jwks = Url::parse(&discovery.jwks_uri).map_err(|_| "jwks_uri is not an address")?;
        // A real issuer must not send us to this machine.
        if !is_safe(&jwks) || (is_loopback(&jwks) && !self.issuer.is_loopback()) {
            return Err("jwks_uri is neither https nor on the issuer's own machine");
        }
        Ok(jwks)
    }

    async fn fetch<T: DeserializeOwned>(&self, address: &Url) -> Result<T, &'static str> {
        let mut reason = "the issuer does not answer";
        for _ in 0..FETCH_TRIES {
            let request = Request::get(address.as_str()).header(ACCEPT, "application/json").body(Bytes::new());
            let request = request.map_err(|_| "the address is not one")?;
            let Ok(answer) = self.http.send(request, FETCH_TIMEOUT).await else { continue };
            if answer.status() != StatusCode::OK {
                reason = "the issuer answers with an error";
                continue;
            }
            if answer.body().len() > DOCUMENT_BYTES_MAX {
                return Err("the issuer's document is too long");
            }
            match serde_json::from_slice(answer.body()) {
                Ok(document) => return Ok(document),
                Err(_) => reason = "the issuer's document cannot be read",
            }
        }
        Err(reason)
    }
}

/// The usable keys: RSA, to sign with, RS256 or unsaid. What cannot be read is left out; of two keys of one
/// id the first counts.
fn read_keys(jwks: Jwks) -> HashMap<String, Arc<DecodingKey>> {
    let mut keys = HashMap::new();
    for value in jwks.keys.into_iter().take(KEYS_MAX) {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        if jwk.kty != "RSA" || !signs || jwk.alg.as_deref().is_some_and(|alg| alg != "RS256") {
            continue;
        }
        if let Ok(key) = DecodingKey::from_rsa_components(&jwk.n, &jwk.e) {
            keys.entry(jwk.kid).or_insert_with(|| Arc::new(key));
        }
    }
    keys
}

/// Whether less than `length` lies between the two instants, whichever is first: a clock set back must not
/// silence the fetching.
fn within(at: Timestamp, length: Duration, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < length
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
