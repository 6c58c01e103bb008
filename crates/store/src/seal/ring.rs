//! The key ring: reading it, sealing and opening.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::Entropy;
use zeroize::Zeroizing;

#[cfg(feature = "kms")]
use super::kms::{Kms, Wrapped};
use super::{KEYS_MAX, PLAINTEXT_BYTES_MAX, SealError, Sealed, is_kid};

pub(super) const KEY_BYTES: usize = 32;
/// What stands before the base64 of a key that KMS wrapped.
const KMS_PREFIX: &str = "kms:";
pub(super) const STANDARD_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

struct RingKey {
    kid: String,
    material: Material,
}

enum Material {
    Clear(LessSafeKey),
    #[cfg(feature = "kms")]
    Wrapped(Wrapped),
}

impl RingKey {
    /// Reads one entry; the error says what is wrong with it.
    fn parse(entry: &str) -> Result<Self, String> {
        let (kid, key) = entry.trim().split_once(':').ok_or("has no colon after its id")?;
        if !is_kid(kid) {
            return Err("has an id that is not 1 to 32 of the characters A-Z a-z 0-9 _ -".to_owned());
        }
        let material = if let Some(wrapped) = key.strip_prefix(KMS_PREFIX) {
            wrapped_material(wrapped)?
        } else {
            let key = STANDARD_ANY_PADDING.decode(key).map(Zeroizing::new).map_err(|_| "is not base64")?;
            if key.len() != KEY_BYTES {
                return Err(format!("has {} bytes instead of {KEY_BYTES}", key.len()));
            }
            Material::Clear(aead_key(&key).ok_or("was refused")?)
        };
        Ok(Self { kid: kid.to_owned(), material })
    }

    #[cfg_attr(not(feature = "kms"), allow(clippy::unnecessary_wraps, reason = "a wrapped key may be locked"))]
    fn key(&self) -> Result<&LessSafeKey, SealError> {
        match &self.material {
            Material::Clear(key) => Ok(key),
            #[cfg(feature = "kms")]
            Material::Wrapped(wrapped) => wrapped.key().ok_or_else(|| SealError::Wrapped { kid: self.kid.clone() }),
        }
    }
}

#[cfg(feature = "kms")]
fn wrapped_material(text: &str) -> Result<Material, String> {
    Wrapped::parse(text).map(Material::Wrapped)
}

#[cfg(not(feature = "kms"))]
fn wrapped_material(_: &str) -> Result<Material, String> {
    Err("is wrapped by KMS, which this build cannot open: build it with --features kms".to_owned())
}

pub(super) fn aead_key(bytes: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

/// The keys that open, the first of which seals.
pub struct KeyRing {
    first: RingKey,
    others: Vec<RingKey>,
    #[cfg(feature = "kms")]
    kms: Option<Kms>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| &key.kid)).finish()
    }
}

impl KeyRing {
    /// Reads `kid:base64,kid2:base64`: each key 32 bytes, the first one seals, every one opens. `kid:kms:base64` is
    /// a key that KMS wrapped.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let wrong = |why: String| SealError::Ring { why };
        let mut keys: Vec<RingKey> = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let place = index + 1;
            if index == KEYS_MAX {
                return Err(wrong(format!("more than {KEYS_MAX} keys")));
            }
            let key = RingKey::parse(entry).map_err(|why| wrong(format!("key {place} {why}")))?;
            if keys.iter().any(|known| known.kid == key.kid) {
                return Err(wrong(format!("key {place} has the same id as another")));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| wrong("it is empty".to_owned()))?;
        Ok(Self {
            first,
            others: keys.collect(),
            #[cfg(feature = "kms")]
            kms: None,
        })
    }

    /// The same ring, whose wrapped keys are unwrapped by `kms`.
    #[cfg(feature = "kms")]
    #[must_use]
    pub fn unwrapped_by(mut self, kms: Kms) -> Self {
        self.kms = Some(kms);
        self
    }

    /// Makes a key usable: the one that sealed, or the first. Nothing to do for one in clear; one that is wrapped is
    /// unwrapped at its first use and kept in memory.
    #[cfg_attr(not(feature = "kms"), allow(clippy::unused_async, reason = "KMS is asked over the network"))]
    pub async fn unlock(&self, sealed: Option<&Sealed>) -> Result<(), SealError> {
        let key = sealed.map_or(Ok(&self.first), |sealed| self.named(&sealed.kid))?;
        match &key.material {
            Material::Clear(_) => Ok(()),
            #[cfg(feature = "kms")]
            Material::Wrapped(wrapped) => {
                let kms = self.kms.as_ref().ok_or_else(|| SealError::Wrapped { kid: key.kid.clone() })?;
                let unwrapped = wrapped.unwrap_by(kms, &key.kid).await;
                unwrapped.map_err(|error| SealError::Unwrap { kid: key.kid.clone(), error })
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn named(&self, kid: &str) -> Result<&RingKey, SealError> {
        self.keys().find(|key| key.kid == kid).ok_or_else(|| SealError::UnknownKey { kid: kid.to_owned() })
    }

    /// The id of the key that seals.
    pub fn first_kid(&self) -> &str {
        &self.first.kid
    }

    /// Seals a value for one field of one owner.
    pub fn seal(
        &self,
        table: &str,
        owner: &str,
        field: &str,
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(SealError::TooLarge { size: plaintext.len() });
        }
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        // Sized for the tag too, so that the clear text is not left behind by a move.
        let mut bytes = Vec::with_capacity(NONCE_LEN + plaintext.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(plaintext);
        let (_, body) = bytes.split_at_mut(NONCE_LEN);
        let aad = associated(table, owner, field);
        let key = self.first.key()?;
        let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body);
        let tag = tag.map_err(|_| SealError::Malformed)?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(Sealed { kid: self.first.kid.clone(), bytes })
    }

    /// Opens what was sealed for this field of this owner.
    pub fn open(
        &self,
        table: &str,
        owner: &str,
        field: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.named(&sealed.kid)?.key()?;
        let (nonce, body) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = key.open_in_place(nonce, Aad::from(associated(table, owner, field)), &mut body);
        let length = opened.map_err(|_| SealError::Tampered { field: field.to_owned() })?.len();
        body.truncate(length);
        Ok(body)
    }

    /// Seals a secret text.
    pub fn seal_secret(
        &self,
        table: &str,
        owner: &str,
        field: &str,
        secret: &SecretString,
        entropy: &dyn Entropy,
    ) -> Result<Sealed, SealError> {
        self.seal(table, owner, field, secret.expose_secret().as_bytes(), entropy)
    }

    /// Opens a secret text.
    pub fn open_secret(
        &self,
        table: &str,
        owner: &str,
        field: &str,
        sealed: &Sealed,
    ) -> Result<SecretString, SealError> {
        let opened = self.open(table, owner, field, sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Malformed)?;
        Ok(SecretString::from(text.to_owned()))
    }
}

fn associated(table: &str, owner: &str, field: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [table, owner, field] {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
