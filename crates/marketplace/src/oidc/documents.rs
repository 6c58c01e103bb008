//! The issuer's two documents: where its keys are, and the keys.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::endpoint::Endpoint;

/// The most bytes of a document.
pub(super) const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// The most keys taken from one document.
const KEYS_MAX: usize = 32;
/// The sizes of a modulus, in bits: below, a key can be broken; above, verifying is a burden.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest public exponent, in bytes.
const EXPONENT_BYTES_MAX: usize = 4;

/// Why the issuer's keys cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It does not answer in time, or at all.
    #[error("the issuer does not answer")]
    NoAnswer,
    /// It answers with another status than 200. Redirects are not followed.
    #[error("the issuer answers with status {0}")]
    Status(u16),
    /// A document is longer than 64 KiB.
    #[error("the issuer's document is longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// A document is not what it should be.
    #[error("the issuer's document cannot be read")]
    Unreadable,
    /// The discovery document is of another issuer.
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    /// The keys are elsewhere than at the issuer's own origin.
    #[error("the keys are not at the issuer's own origin")]
    KeysElsewhere,
    /// The key set has no key to verify RS256 with.
    #[error("the key set has no usable key")]
    NoUsableKey,
}

/// The keys of a set by their ids.
pub(super) type Keys = HashMap<String, Arc<DecodingKey>>;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: String,
    n: String,
    e: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, KeysError> {
    if body.len() > DOCUMENT_BYTES_MAX {
        return Err(KeysError::TooLong);
    }
    serde_json::from_slice(body).map_err(|_| KeysError::Unreadable)
}

/// Where the keys are, by the discovery document.
pub(super) fn keys_address(body: &[u8], issuer: &Endpoint) -> Result<Url, KeysError> {
    let Discovery { issuer: named, jwks_uri } = read(body)?;
    if named != issuer.as_str() {
        return Err(KeysError::OtherIssuer);
    }
    let address = Url::parse(&jwks_uri).map_err(|_| KeysError::KeysElsewhere)?;
    let has_user = !address.username().is_empty() || address.password().is_some();
    if has_user || address.origin() != issuer.join([]).origin() {
        return Err(KeysError::KeysElsewhere);
    }
    Ok(address)
}

/// The usable keys. What cannot be read or used is left out; of two keys of one id the first counts.
pub(super) fn keys(body: &[u8]) -> Result<Keys, KeysError> {
    let KeySet { keys: listed } = read(body)?;
    let mut keys = Keys::new();
    for value in listed.into_iter().take(KEYS_MAX) {
        let Ok(key) = serde_json::from_value::<Key>(value) else { continue };
        if let Some(usable) = usable(&key) {
            keys.entry(key.kid).or_insert_with(|| Arc::new(usable));
        }
    }
    if keys.is_empty() { Err(KeysError::NoUsableKey) } else { Ok(keys) }
}

/// An RSA key of a decent size, to verify signatures with, by RS256 or an algorithm that is not said.
fn usable(key: &Key) -> Option<DecodingKey> {
    let verifies = key.usage.as_deref().is_none_or(|usage| usage == "sig")
        && key.operations.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
        && key.alg.as_deref().is_none_or(|alg| alg == "RS256");
    if key.kty != "RSA" || key.kid.is_empty() || !verifies {
        return None;
    }
    let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
    let leading = modulus.iter().position(|byte| *byte != 0)?;
    let bits = (modulus.len() - leading) * 8 - usize::try_from(modulus[leading].leading_zeros()).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(&key.e).ok()?;
    let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    let more_than_one = exponent.iter().rev().skip(1).any(|byte| *byte != 0) || exponent.last() > Some(&1);
    if !MODULUS_BITS.contains(&bits) || exponent.len() > EXPONENT_BYTES_MAX || !odd || !more_than_one {
        return None;
    }
    DecodingKey::from_rsa_components(&key.n, &key.e).ok()
}
