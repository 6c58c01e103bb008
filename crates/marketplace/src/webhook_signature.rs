//! The signature of Vercel's webhooks (spec E): `x-vercel-signature`, HMAC-SHA1 in hex over the raw bytes.
//!
//! Check it before anything of the body is parsed, over the bytes as they came: JSON written again is not the
//! same bytes. The scheme has no timestamp and no nonce, so replays are recognised by the event's id alone.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-vercel-signature";

/// The most secrets that are tried: the present one and, while it rotates, the one before.
pub const SECRETS_MAX: usize = 2;

/// The bytes of a SHA-1 digest.
const DIGEST_BYTES: usize = 20;

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the request is not signed")]
    Missing,
    /// It is not 40 hexadecimal digits.
    #[error("the signature is not 40 hexadecimal digits")]
    Malformed,
    /// It is not of these bytes by one of these secrets.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks a delivery against the integration's client secrets, in constant time each. At most
/// [`SECRETS_MAX`] are tried; an empty secret never matches.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a SecretString>,
    signature: Option<&str>,
    body: &[u8],
) -> Result<(), SignatureError> {
    let signature = signature.ok_or(SignatureError::Missing)?;
    let digest = from_hex(signature).ok_or(SignatureError::Malformed)?;
    let matches = secrets
        .into_iter()
        .take(SECRETS_MAX)
        .filter(|secret| !secret.expose_secret().is_empty())
        .filter(|secret| hmac::verify(&key(secret), body, &digest).is_ok())
        .count();
    if matches > 0 { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// Signs a body as Vercel does, for tests and simulations.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let tag = hmac::sign(&key(secret), body);
    tag.as_ref().iter().fold(String::with_capacity(2 * DIGEST_BYTES), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose_secret().as_bytes())
}

fn from_hex(text: &str) -> Option<[u8; DIGEST_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * DIGEST_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = [0; DIGEST_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac_sha1_as_everyone_computes_it() {
        // RFC 2202, test case 2.
        let secret = SecretString::from("Jefe");
        let body = b"what do ya want for nothing?";
        assert_eq!(sign(&secret, body), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(verify([&secret], Some("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"), body), Ok(()));
        assert_eq!(verify([&secret], Some("EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"), body), Ok(()));
    }

    #[test]
    fn each_bad_signature_is_refused_for_its_reason() {
        let [present, previous, other, empty] = ["present", "previous", "other", ""].map(SecretString::from);
        let body = br#"{"id":"wh_1"}"#;
        let both = || [&present, &previous];
        assert_eq!(verify(both(), Some(&sign(&present, body)), body), Ok(()));
        assert_eq!(verify(both(), Some(&sign(&previous, body)), body), Ok(()));

        let good = sign(&present, body);
        for (bad, why) in [
            (None, SignatureError::Missing),
            (Some(String::new()), SignatureError::Malformed),
            (Some(good[..39].to_owned()), SignatureError::Malformed),
            (Some(format!("{good}0")), SignatureError::Malformed),
            (Some(format!("{} ", &good[..39])), SignatureError::Malformed),
            (Some(format!("g{}", &good[1..])), SignatureError::Malformed),
            (Some(format!("sha1={}", &good[..35])), SignatureError::Malformed),
            (Some("é".repeat(20)), SignatureError::Malformed),
            (Some("0".repeat(40)), SignatureError::Mismatch),
            (Some(sign(&other, body)), SignatureError::Mismatch),
            (Some(sign(&empty, body)), SignatureError::Mismatch),
            (Some(sign(&present, br#"{"id": "wh_1"}"#)), SignatureError::Mismatch),
            (Some(sign(&present, b"")), SignatureError::Mismatch),
        ] {
            assert_eq!(verify(both(), bad.as_deref(), body), Err(why), "{bad:?}");
        }
        assert_eq!(verify([&empty], Some(&sign(&empty, body)), body), Err(SignatureError::Mismatch));
        assert_eq!(verify([], Some(&good), body), Err(SignatureError::Mismatch));
        assert_eq!(verify([&other, &other, &present], Some(&good), body), Err(SignatureError::Mismatch));
    }
}
