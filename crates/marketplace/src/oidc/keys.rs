//! The issuer's keys: found by discovery, fetched rarely, kept while the issuer is down.
//!
//! Whoever can send a token can name any key, so what a token names must not decide how often the issuer is
//! asked: at most one round of fetching in [`FETCH_WAIT`], shared by all callers. Only while no key at all is
//! known, and the round before failed, [`FETCH_WAIT_COLD`] is enough: then no token can be verified anyway, and a
//! function that starts during a hiccup must not refuse everybody for a minute.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use jsonwebtoken::DecodingKey;
use tokio::sync::Mutex;
use url::Url;

use super::TokenError;
use super::documents::{self, Keys, KeysError};
use crate::doors::LeaseTime;
use crate::endpoint::Endpoint;
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

/// The issuer's keys by their ids.
pub(super) struct KeyStore {
    http: HttpDoor,
    issuer: Endpoint,
    known: RwLock<Arc<Known>>,
    round: Mutex<Round>,
}

#[derive(Default)]
struct Known {
    keys: Keys,
    fetched_at: Option<LeaseTime>,
}

/// What the last round of fetching was like. Held locked during a round.
#[derive(Default)]
struct Round {
    started_at: Option<LeaseTime>,
    failure: Option<KeysError>,
    keys_address: Option<Url>,
}

impl KeyStore {
    pub(super) fn new(http: HttpDoor, issuer: Endpoint) -> Self {
        Self { http, issuer, known: RwLock::default(), round: Mutex::default() }
    }

    pub(super) fn through(self, wrap: impl FnOnce(HttpDoor) -> HttpDoor) -> Self {
        Self { http: wrap(self.http), ..self }
    }

    /// The key of this id. A known key never waits for somebody else's fetch.
    pub(super) async fn find(&self, id: &str, now: LeaseTime) -> Result<Arc<DecodingKey>, TokenError> {
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
        let unknown = round.failure.map_or(TokenError::UnknownKey, TokenError::KeysUnavailable);
        self.known().keys.get(id).cloned().ok_or(unknown)
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One round of fetching, unless the last one was too recent. A failed round changes no key.
    async fn refresh(&self, round: &mut Round, now: LeaseTime) {
        let cold = round.failure.is_some() && self.known().keys.is_empty();
        let wait = if cold { FETCH_WAIT_COLD } else { FETCH_WAIT };
        if round.started_at.is_some_and(|at| within(at, wait, now)) {
            return;
        }
        // Noted before the first await: a caller who goes away must not make the next one fetch again.
        round.started_at = Some(now);
        round.failure = Some(KeysError::NoAnswer);
        match self.fetch_keys(round).await {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "fetched the issuer's keys");
                round.failure = None;
                let known = Arc::new(Known { keys, fetched_at: Some(now) });
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            }
            Err(error) => {
                round.failure = Some(error);
                round.keys_address = None;
                tracing::warn!(error = %error, "could not fetch the issuer's keys");
            }
        }
    }

    async fn fetch_keys(&self, round: &mut Round) -> Result<Keys, KeysError> {
        let address = if let Some(address) = round.keys_address.take() {
            address
        } else {
            let discovery = self.issuer.join([".well-known", "openid-configuration"]);
            self.fetch(&discovery, |body| documents::keys_address(body, &self.issuer)).await?
        };
        let keys = self.fetch(&address, documents::keys).await?;
        round.keys_address = Some(address);
        Ok(keys)
    }

    /// Fetches a document and reads it. What fails is tried once more: a hiccup must not cost a minute.
    async fn fetch<T>(&self, address: &Url, read: impl Fn(&[u8]) -> Result<T, KeysError>) -> Result<T, KeysError> {
        let mut failure = KeysError::NoAnswer;
        for _ in 0..FETCH_TRIES {
            let request = Request::get(address.as_str()).header(ACCEPT, "application/json").body(Bytes::new());
            let request = request.map_err(|_| KeysError::KeysElsewhere)?;
            let document = match self.http.send(request, FETCH_TIMEOUT).await {
                Err(_) => Err(KeysError::NoAnswer),
                Ok(answer) if answer.status() != StatusCode::OK => Err(KeysError::Status(answer.status().as_u16())),
                Ok(answer) => read(answer.body()),
            };
            match document {
                Ok(document) => return Ok(document),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// Whether less than `length` lies between the two instants, whichever is first: a clock set back must not
/// silence the fetching.
fn within(at: LeaseTime, length: Duration, now: LeaseTime) -> bool {
    now.since(at).unsigned_abs() < length
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
