//! The same request twice is answered once.
//!
//! A record is scoped to (installation, route, key) for Vercel's `Idempotency-Key`, and to (key id,
//! `webhook-id`) for partner systems. It is looked up after authorization and written in the same
//! transaction as what the request changes, so there is no instant in which one is there without the
//! other. The same key with another body is refused (409 `idempotency_key_reused`).
//!
//! A request that has to wait for the provisioner leaves a *running* record at its reservation; a second
//! caller of the same request waits for it until its deadline less 2 s, then gets 409 with Retry-After.
//!
//! No stored answer has secrets in it: an answer that carries them is kept without, and they are added
//! from the resource's current credentials when it is repeated. So nothing has to be scrubbed after a
//! rotation or a delete. Without an Idempotency-Key a request is not deduplicated.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::InstallationId;
use tradepost_store::{Key, Record, Stored, Write};

use crate::answer::Answer;
use crate::deadline::Deadline;
use crate::edge::error::Code;
use crate::edge::wide::{Field, note};
use crate::edge::{ApiError, canonical};
use crate::provider::Provider;
use crate::state::keys;

/// How long a record is kept (decisions: 35 days).
pub const RECORD_DAYS: i64 = 35;
/// The longest idempotency key.
pub const KEY_BYTES_MAX: usize = 256;
/// How often a waiting caller looks again.
const POLL: std::time::Duration = std::time::Duration::from_millis(100);
/// When a caller that waited in vain should come back, in seconds.
const PAUSE_SECONDS: u32 = 2;
/// What a waiting caller keeps of its time for the answer.
const WAIT_MARGIN_SECONDS: i64 = 2;

/// What is remembered of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Remembered {
    /// Where it lies: partition.
    pub home: String,
    /// Where it lies: sort key.
    pub name: String,
    /// SHA-256 of the body.
    pub digest: String,
    /// The answer; none while the request is being worked on.
    pub answer: Option<Answer>,
    /// Which operation works on it.
    pub operation: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

impl Record for Remembered {
    const KIND: &'static str = "idempotency";

    fn key(&self) -> Key {
        Key { pk: self.home.clone(), sk: self.name.clone() }
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.at.checked_add(SignedDuration::from_hours(24 * RECORD_DAYS)).ok()
    }
}

/// What identifies a request, and its body.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where the record lies; none for a request without a key, which is not deduplicated.
    pub key: Option<Key>,
    /// The text that derived ids start from.
    pub seed: String,
    /// SHA-256 of the body.
    pub digest: String,
}

impl Identity {
    /// Of a call from Vercel. `nonce` stands in for a key that did not come.
    pub fn of_vercel(
        installation: &InstallationId,
        route: &str,
        key: Option<&str>,
        body: &[u8],
        nonce: u64,
    ) -> Result<Self, ApiError> {
        let digest = canonical::digest(body);
        let Some(key) = key else {
            return Ok(Self { key: None, seed: format!("{route}#!{nonce:016x}"), digest });
        };
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(ApiError::invalid(format!("Idempotency-Key must have 1 to {KEY_BYTES_MAX} bytes")));
        }
        let name = &keys::digest_of(&[key.as_bytes()])[..40];
        let seed = format!("{route}#{name}");
        Ok(Self { key: Some(keys::within(installation, format!("{}{seed}", keys::RECORDS))), seed, digest })
    }

    /// Of a call from a partner system.
    pub fn of_partner(key_id: &str, webhook_id: &str, body: &[u8]) -> Self {
        let name = &keys::digest_of(&[webhook_id.as_bytes()])[..40];
        let key = Key { pk: format!("{}{key_id}#{name}", keys::RECORDS), sk: keys::PARTNER_RECORD.to_owned() };
        Self { key: Some(key), seed: format!("partner#{key_id}#{name}"), digest: canonical::digest(body) }
    }

    /// The record of this request as finished; `None` where it has no key.
    pub fn finished(&self, answer: &Answer, now: Timestamp) -> Option<Remembered> {
        let key = self.key.clone()?;
        let digest = self.digest.clone();
        Some(Remembered { home: key.pk, name: key.sk, digest, answer: Some(answer.clone()), operation: None, at: now })
    }

    /// The record of this request as being worked on by an operation.
    pub fn running(&self, operation: &str, now: Timestamp) -> Option<Remembered> {
        let key = self.key.clone()?;
        let digest = self.digest.clone();
        let operation = Some(operation.to_owned());
        Some(Remembered { home: key.pk, name: key.sk, digest, answer: None, operation, at: now })
    }

    /// The write that remembers a finished request which left no reservation.
    pub fn remember(&self, answer: &Answer, now: Timestamp) -> Result<Option<Write>, ApiError> {
        Ok(self.finished(answer, now).map(|record| Write::create(&record)).transpose()?)
    }
}

/// What is known of a request.
#[derive(Debug)]
pub enum Known {
    /// Nothing: go ahead.
    No,
    /// It was answered.
    Answered(Answer),
    /// It is being worked on.
    Running(Stored<Remembered>),
}

/// Looks a request up.
pub async fn look_up(provider: &Provider, identity: &Identity) -> Result<Known, ApiError> {
    let Some(key) = &identity.key else { return Ok(Known::No) };
    let Some(record) = provider.store.get::<Remembered>(key).await? else { return Ok(Known::No) };
    if record.digest != identity.digest {
        let text = "this idempotency key was used with another body";
        return Err(ApiError::new(Code::IdempotencyKeyReused, text));
    }
    Ok(match &record.answer {
        Some(answer) => {
            note(Field::RequestRepeated, true);
            Known::Answered(answer.clone())
        }
        None => Known::Running(record),
    })
}

/// Waits a moment for somebody else who works on the same request; 409 with Retry-After once the deadline is
/// near.
pub async fn pause(provider: &Provider, deadline: Deadline) -> Result<(), ApiError> {
    if deadline.less(WAIT_MARGIN_SECONDS).is_over(&provider.lease) {
        return Err(ApiError::busy(PAUSE_SECONDS));
    }
    provider.sleeper.sleep(POLL).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_key_is_limited_to_the_byte_and_one_that_did_not_come_is_none() {
        let installation = InstallationId::new("icfg_1").unwrap();
        let identity = |key: Option<&str>| Identity::of_vercel(&installation, "route", key, b"{}", 7);
        let longest = "k".repeat(KEY_BYTES_MAX);
        let of_longest = identity(Some(&longest)).unwrap();
        assert!(of_longest.key.is_some());
        assert_eq!(of_longest.seed, identity(Some(&longest)).unwrap().seed);
        assert_ne!(of_longest.seed, identity(Some("k")).unwrap().seed);
        for bad in ["", &format!("{longest}k")] {
            assert!(identity(Some(bad)).is_err(), "{} bytes", bad.len());
        }
        assert!(identity(None).unwrap().key.is_none());
    }

    #[test]
    fn a_record_is_kept_for_35_days() {
        let at: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let identity = Identity::of_partner("key", "msg_1", b"{}");
        let record = identity.finished(&Answer::empty(StatusCode::OK), at).unwrap();
        assert_eq!(record.expires_at(), Some("2027-02-05T00:00:00Z".parse().unwrap()));
        assert_eq!(Some(record.key()), identity.key);
    }
}
