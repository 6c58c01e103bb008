//! Field encryption: AES-256-GCM under a key ring, for what must not lie in the table in clear.
//!
//! [`KeyRing`] has the keys, in clear or, with the feature `kms`, wrapped by a key of AWS KMS (the module `kms`); [`Sealed`] is
//! a value under one of them.
//!
//! Associated data are the table, the owner (installation or resource) and the field, each with its length
//! before it; not the item's key, so that a resource can move. A nonce is drawn for each value; a key is good
//! for 2³² values, then the ring needs a new first key.

#[cfg(feature = "kms")]
pub mod kms;
mod ring;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, NONCE_LEN};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::connect::IdentityError;
pub use ring::KeyRing;

/// The variable that holds the ring.
pub const KEY_RING_VARIABLE: &str = "TRADEPOST_KEY_RING";
/// The most keys in a ring.
pub const KEYS_MAX: usize = 16;
/// The longest key id, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 32;
/// The largest value that is sealed, in bytes; an item holds 400 KB.
pub const PLAINTEXT_BYTES_MAX: usize = 256 * 1024;

/// Why a value was not sealed or opened. No message has key material or a value in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The ring itself is not usable.
    #[error(
        "{KEY_RING_VARIABLE} is not usable: {why}; it is kid:base64 of 32 bytes, more after commas, the first encrypts"
    )]
    Ring {
        /// What is wrong with it.
        why: String,
    },
    /// The key that sealed the value is not in the ring.
    #[error("the key {kid} is not in {KEY_RING_VARIABLE}; put it back until nothing is sealed with it")]
    UnknownKey {
        /// The id of the key.
        kid: String,
    },
    /// The value was changed, or belongs to another table, owner or field.
    #[error("a sealed value of field {field} does not open: it was changed or belongs elsewhere")]
    Tampered {
        /// The field that was asked for.
        field: String,
    },
    /// The text is no sealed value, or the opened value no text.
    #[error("a sealed value is malformed")]
    Malformed,
    /// The key is wrapped, and was not unwrapped before it was used.
    #[error("the key {kid} is still wrapped")]
    Wrapped {
        /// The id of the key.
        kid: String,
    },
    /// The key is wrapped, and KMS did not unwrap it.
    #[error("the key {kid} of {KEY_RING_VARIABLE} cannot be unwrapped: {error}")]
    Unwrap {
        /// The id of the key.
        kid: String,
        /// Why.
        #[source]
        error: UnwrapError,
    },
    /// The value is larger than [`PLAINTEXT_BYTES_MAX`].
    #[error("a value of {size} bytes is too large to seal, the limit is {PLAINTEXT_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
}

/// Why KMS did not unwrap a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// There are no credentials to ask with.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It refused: the permission `kms:Decrypt` is missing, or the key's id is not the one that it was wrapped for.
    #[error("AWS KMS refused: {code}; see the permission kms:Decrypt, and that the key's id was not changed")]
    Refused {
        /// The service's code, as far as it is letters and digits.
        code: String,
    },
    /// It did not answer, or asked to come back.
    #[error("AWS KMS does not answer")]
    NoAnswer,
    /// Its answer is not what its documentation says, or not a key of 32 bytes.
    #[error("AWS KMS gave an answer that is no key of 32 bytes")]
    Answer,
}

impl UnwrapError {
    /// Whether the same may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Identity(IdentityError::NoAnswer))
    }
}

/// A sealed value: the key's id, and nonce and ciphertext. Serialises to the one text `kid:base64url`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    kid: String,
    bytes: Vec<u8>,
}

impl Sealed {
    /// The id of the key that opens it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Reads the text form.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let (kid, bytes) = text.split_once(':').ok_or(SealError::Malformed)?;
        if !is_kid(kid) {
            return Err(SealError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(bytes).map_err(|_| SealError::Malformed)?;
        if bytes.len() < NONCE_LEN + AES_256_GCM.tag_len() {
            return Err(SealError::Malformed);
        }
        Ok(Self { kid: kid.to_owned(), bytes })
    }

    /// The text form.
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.kid, URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.kid, self.bytes.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_text(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

fn is_kid(kid: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=KEY_ID_BYTES_MAX).contains(&kid.len()) && kid.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
