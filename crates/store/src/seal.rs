//! Field encryption: AES-256-GCM under a key ring, for what must not lie in the table in clear.
//!
//! Associated data are the table, the owner (installation or resource) and the field, each with its length
//! before it; not the item's key, so that a resource can move. A nonce is drawn for each value; a key is good
//! for 2³² values, then the ring needs a new first key.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tradepost_marketplace::doors::Entropy;
use zeroize::Zeroizing;

/// The variable that holds the ring.
pub const KEY_RING_VARIABLE: &str = "TRADEPOST_KEY_RING";
/// The most keys in a ring.
pub const KEYS_MAX: usize = 16;
/// The longest key id, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 32;
/// The largest value that is sealed, in bytes; an item holds 400 KB.
pub const PLAINTEXT_BYTES_MAX: usize = 256 * 1024;

const KEY_BYTES: usize = 32;
const STANDARD_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    /// The value is larger than [`PLAINTEXT_BYTES_MAX`].
    #[error("a value of {size} bytes is too large to seal, the limit is {PLAINTEXT_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
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

struct RingKey {
    kid: String,
    key: LessSafeKey,
}

/// The keys that open, the first of which seals.
pub struct KeyRing {
    first: RingKey,
    others: Vec<RingKey>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys().map(|key| &key.kid)).finish()
    }
}

impl KeyRing {
    /// Reads `kid:base64,kid2:base64`: each key 32 bytes, the first one seals, every one opens.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let wrong = |why: String| SealError::Ring { why };
        let mut keys: Vec<RingKey> = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let place = format!("key {}", index + 1);
            if index == KEYS_MAX {
                return Err(wrong(format!("more than {KEYS_MAX} keys")));
            }
            let (kid, key) =
                entry.trim().split_once(':').ok_or_else(|| wrong(format!("{place} has no colon after its id")))?;
            if !is_kid(kid) {
                let allowed = "1 to 32 of the characters A-Z a-z 0-9 _ -";
                return Err(wrong(format!("the id of {place} is not {allowed}")));
            }
            if keys.iter().any(|key| key.kid == kid) {
                return Err(wrong(format!("{place} has the same id as another")));
            }
            let key = STANDARD_ANY_PADDING.decode(key).map(Zeroizing::new);
            let key = key.map_err(|_| wrong(format!("{place} is not base64")))?;
            if key.len() != KEY_BYTES {
                return Err(wrong(format!("{place} has {} bytes instead of {KEY_BYTES}", key.len())));
            }
            let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| wrong(format!("{place} was refused")))?;
            keys.push(RingKey { kid: kid.to_owned(), key: LessSafeKey::new(key) });
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| wrong("it is empty".to_owned()))?;
        Ok(Self { first, others: keys.collect() })
    }

    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.first).chain(&self.others)
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
        let tag = self.first.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body);
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
        let unknown = || SealError::UnknownKey { kid: sealed.kid.clone() };
        let key = self.keys().find(|key| key.kid == sealed.kid).ok_or_else(unknown)?;
        let (nonce, body) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = key.key.open_in_place(nonce, Aad::from(associated(table, owner, field)), &mut body);
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

fn is_kid(kid: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=KEY_ID_BYTES_MAX).contains(&kid.len()) && kid.bytes().all(allowed)
}

fn associated(table: &str, owner: &str, field: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [table, owner, field] {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tradepost_marketplace::doors::SystemEntropy;

    use super::*;

    const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    fn sealed(ring: &KeyRing, plaintext: &[u8]) -> Sealed {
        ring.seal("table", "icfg_1", "token", plaintext, &SystemEntropy).unwrap()
    }

    #[test]
    fn opens_only_where_it_belongs() {
        let ring = ring(OLD);
        let value = sealed(&ring, b"secret");
        assert_eq!(*ring.open("table", "icfg_1", "token", &value).unwrap(), b"secret");
        for (table, owner, field) in [
            ("other", "icfg_1", "token"),
            ("table", "icfg_2", "token"),
            ("table", "icfg_1", "secret"),
            ("tablei", "cfg_1", "token"),
        ] {
            let refused = ring.open(table, owner, field, &value).unwrap_err();
            assert_eq!(refused, SealError::Tampered { field: field.to_owned() }, "{table} {owner} {field}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let ring = ring(OLD);
        let value = sealed(&ring, b"secret");
        for index in 0..value.bytes.len() {
            let mut changed = value.clone();
            changed.bytes[index] ^= 1;
            assert!(matches!(ring.open("table", "icfg_1", "token", &changed), Err(SealError::Tampered { .. })));
        }
    }

    #[test]
    fn a_new_first_key_seals_and_the_old_one_still_opens() {
        let before = sealed(&ring(OLD), b"secret");
        let both = ring(&format!("{NEW},{OLD}"));
        assert_eq!(*both.open("table", "icfg_1", "token", &before).unwrap(), b"secret");
        let after = sealed(&both, b"secret");
        assert_eq!((before.kid(), after.kid(), both.first_kid()), ("old", "new", "new"));
        let gone = ring(NEW).open("table", "icfg_1", "token", &before).unwrap_err();
        assert_eq!(gone, SealError::UnknownKey { kid: "old".to_owned() });
        // The id is no way around: another key under the same id does not open it.
        let impostor = ring(&NEW.replace("new:", "old:"));
        assert!(matches!(impostor.open("table", "icfg_1", "token", &before), Err(SealError::Tampered { .. })));
    }

    #[test]
    fn a_bad_ring_is_refused_without_showing_it() {
        let key = OLD.split_once(':').unwrap().1;
        let short = "AAAAAAAAAAAAAAAAAAAAAA==";
        let duplicate = format!("{OLD},{OLD}");
        let many = (0..=KEYS_MAX).map(|n| format!("k{n}:{key}")).collect::<Vec<_>>().join(",");
        let bad = [
            "",
            key,
            &format!(":{key}"),
            &format!("a b:{key}"),
            &format!("{}:{key}", "k".repeat(33)),
            &format!("kid:{short}"),
            "kid:not base64!",
            &duplicate,
            &format!("{OLD},"),
            &many,
        ];
        for text in bad {
            let error = KeyRing::parse(text).unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(message.contains("TRADEPOST_KEY_RING"), "{message}");
            assert!(!message.contains("AAAA") && !message.contains("not base64!"), "{message}");
        }
        assert!(!format!("{:?}", ring(OLD)).contains("AAAA"));
        assert!(KeyRing::parse(&format!(" {} , {NEW} ", OLD.trim_end_matches('='))).is_ok());
    }

    #[test]
    fn malformed_text_is_no_sealed_value() {
        for text in ["", "kid", "kid:", "kid:AAAA", ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "kid:%%%"] {
            assert_eq!(Sealed::from_text(text).unwrap_err(), SealError::Malformed, "{text}");
        }
        let large = vec![0; PLAINTEXT_BYTES_MAX + 1];
        let refused = ring(OLD).seal("t", "o", "f", &large, &SystemEntropy).unwrap_err();
        assert_eq!(refused, SealError::TooLarge { size: large.len() });
    }

    #[test]
    fn a_secret_text_comes_back_and_bytes_that_are_none_do_not() {
        let ring = ring(OLD);
        let secret = SecretString::from("tökén");
        let value = ring.seal_secret("t", "o", "f", &secret, &SystemEntropy).unwrap();
        assert_eq!(ring.open_secret("t", "o", "f", &value).unwrap().expose_secret(), "tökén");
        let value = ring.seal("t", "o", "f", &[0xff], &SystemEntropy).unwrap();
        assert_eq!(ring.open_secret("t", "o", "f", &value).unwrap_err(), SealError::Malformed);
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens_after_serialising(
            plaintext in prop::collection::vec(any::<u8>(), 0..600),
            owner in "\\PC{0,20}",
            field in "\\PC{0,20}",
        ) {
            let ring = ring(NEW);
            let value = ring.seal("table", &owner, &field, &plaintext, &SystemEntropy).unwrap();
            let text = serde_json::to_string(&value).unwrap();
            let read: Sealed = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &value);
            let opened = ring.open("table", &owner, &field, &read).unwrap();
            prop_assert_eq!(&*opened, &plaintext);
            let again = ring.seal("table", &owner, &field, &plaintext, &SystemEntropy).unwrap();
            prop_assert_ne!(again, value, "a nonce was used twice");
        }
    }
}
