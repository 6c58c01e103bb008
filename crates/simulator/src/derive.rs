//! Everything that looks random is derived: ids, tokens, codes, the draw of a fault.
//!
//! A value is HMAC-SHA256 of its name under a key made from the seed, so the same seed and the same calls
//! give the same bytes, and a token never has to be stored: it is derived again. What the journal must
//! keep but not show (a client secret, a stored answer with secrets in it) is sealed with AES-256-GCM
//! under another key made from the seed. That keeps secrets out of the file in clear; it is no vault,
//! and nothing real ever enters the simulator.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The source of every derived value.
pub(crate) struct Seed {
    number: u64,
    key: hmac::Key,
}

impl Seed {
    pub(crate) fn new(number: u64) -> Self {
        let name = format!("tradepost simulator, seed {number}");
        Self { number, key: hmac::Key::new(hmac::HMAC_SHA256, name.as_bytes()) }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hmac::sign(&self.key, name.as_bytes()).as_ref().to_vec()
    }

    /// Letters and digits, at most 32 of them.
    pub(crate) fn letters(&self, name: &str, count: usize) -> String {
        let pick = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
        self.bytes(name).iter().take(count).map(pick).collect()
    }

    /// Lowercase hex digits, at most 64 of them.
    pub(crate) fn hex(&self, name: &str, count: usize) -> String {
        let mut text = hex(&self.bytes(name));
        text.truncate(count);
        text
    }

    /// A number, uniform over `u64`.
    pub(crate) fn draw(&self, name: &str) -> u64 {
        self.bytes(name).iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    fn sealing_key(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes("sealing key")).ok()
    }

    /// Encrypts for the journal. Empty only if the crypto provider fails.
    pub(crate) fn seal(&self, plain: &[u8]) -> String {
        let mut text = plain.to_vec();
        let sealed = self.sealing_key().and_then(|key| {
            let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut text).ok()?;
            Some([nonce.as_ref().as_slice(), &text].concat())
        });
        sealed.map(|bytes| STANDARD_NO_PAD.encode(bytes)).unwrap_or_default()
    }

    /// Decrypts what [`Self::seal`] made under the same seed.
    pub(crate) fn unseal(&self, sealed: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.sealing_key()?.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

/// Lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// SHA-256 in lowercase hex: the only form in which the simulator keeps a secret.
pub(crate) fn digest(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_value() {
        assert_eq!(Seed::new(7).letters("installation/1", 24), Seed::new(7).letters("installation/1", 24));
        assert_ne!(Seed::new(7).letters("installation/1", 24), Seed::new(8).letters("installation/1", 24));
        assert_ne!(Seed::new(7).hex("a", 32), Seed::new(7).hex("b", 32));
        assert_eq!(Seed::new(7).letters("x", 24).len(), 24);
    }

    #[test]
    fn what_is_sealed_opens_under_the_same_seed_only() {
        let sealed = Seed::new(1).seal(b"a secret");
        assert!(!sealed.contains("secret"));
        assert_eq!(Seed::new(1).unseal(&sealed).as_deref(), Some(&b"a secret"[..]));
        assert_eq!(Seed::new(2).unseal(&sealed), None);
        assert_eq!(Seed::new(1).unseal("AAAA"), None);
    }

    #[test]
    fn a_digest_is_sha_256_in_hex() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
