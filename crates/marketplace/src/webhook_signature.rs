//! The signature of Vercel's webhooks (spec E): `x-vercel-signature`, HMAC-SHA1 in hex over the raw bytes.
//!
//! Check it before anything of the body is parsed, over the bytes as they came: JSON written again is not the
//! same bytes. The scheme has no timestamp and no nonce, so replays are recognised by the event's id alone.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-vercel-signature";

/// The most secrets that are tried: the present one and, while it rotates, the one before.
pub const SECRETS_MAX: usize = 2;

/// The bytes of a SHA-1 digest.
const DIGEST_BYTES: usize = 20;

/// Why a signature is refused. Answer 403, and do not say more than that it is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the request is not signed")]
    Missing,
    /// There are several: a proxy added one, or somebody hopes that another is looked at.
    #[error("the request is signed more than once")]
    Repeated,
    /// It has another length than HMAC-SHA1 in hexadecimal has.
    #[error("the signature has {0} characters; HMAC-SHA1 in hexadecimal has 40")]
    Length(usize),
    /// It has a character that is no hexadecimal digit.
    #[error("the signature is not hexadecimal")]
    NotHex,
    /// There is no secret to check it with; an empty one is none.
    #[error("there is no secret to check the signature with")]
    NoSecret,
    /// It is not of these bytes by one of these secrets.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks a delivery against the integration's client secrets, in constant time each. At most
/// [`SECRETS_MAX`] are tried, empty ones not counted; an empty secret never matches.
///
/// Vercel writes its digits in lower case; upper case is the same bytes, and accepted. Nothing else around the
/// digits is: no spaces, no `sha1=`.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a SecretString>,
    signature: Option<&str>,
    body: &[u8],
) -> Result<(), SignatureError> {
    let digest = from_hex(signature.ok_or(SignatureError::Missing)?.as_bytes())?;
    let mut outcome = Err(SignatureError::NoSecret);
    let usable = secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty());
    for secret in usable.take(SECRETS_MAX) {
        // All are tried, whichever matches, so that the time does not tell which one did.
        let matches = hmac::verify(&key(secret), body, &digest).is_ok();
        outcome = if matches || outcome.is_ok() { Ok(()) } else { Err(SignatureError::Mismatch) };
    }
    outcome
}

/// The same, with the signature taken from a request's headers: exactly one [`SIGNATURE_HEADER`].
pub fn verify_request<'a>(
    secrets: impl IntoIterator<Item = &'a SecretString>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), SignatureError> {
    let mut values = headers.get_all(SIGNATURE_HEADER).iter();
    let value = values.next().ok_or(SignatureError::Missing)?;
    if values.next().is_some() {
        return Err(SignatureError::Repeated);
    }
    // What is not ASCII cannot be hexadecimal, whatever it is.
    let text = value.to_str().map_err(|_| SignatureError::NotHex)?;
    verify(secrets, Some(text), body)
}

/// Signs a body as Vercel does, for tests and simulations.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    to_hex(hmac::sign(&key(secret), body).as_ref())
}

/// Writes bytes in hexadecimal, in lower case.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose_secret().as_bytes())
}

fn from_hex(digits: &[u8]) -> Result<[u8; DIGEST_BYTES], SignatureError> {
    if digits.len() != 2 * DIGEST_BYTES {
        return Err(SignatureError::Length(digits.len()));
    }
    let digit = |byte: u8| {
        let value = char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        value.ok_or(SignatureError::NotHex)
    };
    let mut bytes = [0; DIGEST_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn it_is_hmac_sha1_as_everyone_computes_it() {
        // RFC 2202, test case 2.
        let secret = SecretString::from("Jefe");
        let body = b"what do ya want for nothing?";
        assert_eq!(sign(&secret, body), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        for same in ["effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"] {
            assert_eq!(verify([&secret], Some(same), body), Ok(()));
        }
        // A key longer than a block is hashed first.
        let long = SecretString::from("k".repeat(200));
        assert_eq!(verify([&long], Some(&sign(&long, b"")), b""), Ok(()));
    }

    const BODY: &[u8] = br#"{"id":"wh_1","type":"x","createdAt":1,"payload":{"n":1.0}}"#;

    fn secrets() -> [SecretString; 2] {
        ["present", "previous"].map(SecretString::from)
    }

    fn with_hash(algorithm: hmac::Algorithm, secret: &str, body: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), body);
        to_hex(tag.as_ref())
    }

    #[test]
    fn each_bad_signature_is_refused_for_its_own_reason() {
        let secrets = secrets();
        let good = sign(&secrets[0], BODY);
        let of = |secret: &str, body: &[u8]| sign(&SecretString::from(secret), body);
        let parsed: serde_json::Value = serde_json::from_slice(BODY).unwrap();
        let again = serde_json::to_vec(&parsed).unwrap();
        let pretty = serde_json::to_vec_pretty(&parsed).unwrap();
        let changed = |index: usize| {
            let mut body = BODY.to_vec();
            body[index] ^= 1;
            of("present", &body)
        };
        let digest = digest_alone(BODY);
        let (mismatch, not_hex) = (SignatureError::Mismatch, SignatureError::NotHex);
        let length = SignatureError::Length;
        for (what, bad, why) in [
            ("empty", String::new(), length(0)),
            ("one digit less", good[..39].to_owned(), length(39)),
            ("one digit more", format!("{good}0"), length(41)),
            ("twice", format!("{good}{good}"), length(80)),
            ("two in one header", format!("{good}, {good}"), length(82)),
            ("a space before", format!(" {good}"), length(41)),
            ("a space after", format!("{good} "), length(41)),
            ("a line feed after", format!("{good}\n"), length(41)),
            ("with its algorithm", format!("sha1={good}"), length(45)),
            ("quoted", format!("\"{good}\""), length(42)),
            ("with 0x", format!("0x{good}"), length(42)),
            ("SHA-256", with_hash(hmac::HMAC_SHA256, "present", BODY), length(64)),
            ("SHA-256, cut off", with_hash(hmac::HMAC_SHA256, "present", BODY)[..40].to_owned(), mismatch),
            ("SHA-512", with_hash(hmac::HMAC_SHA512, "present", BODY), length(128)),
            ("base64", "72/N9q5esvotJ0Fta/GE3ywlmnx5".to_owned(), length(28)),
            ("a letter beyond f", format!("g{}", &good[1..]), not_hex),
            ("a sign", format!("+{}", &good[1..]), not_hex),
            ("a sign in the middle", format!("{}-{}", &good[..20], &good[21..]), not_hex),
            ("a space inside", format!("{} {}", &good[..20], &good[21..]), not_hex),
            ("a zero byte at the end", format!("{}\0", &good[..39]), not_hex),
            ("twenty letters of two bytes", "é".repeat(20), not_hex),
            ("the digits of another script", "\u{661}".repeat(20), not_hex),
            ("zeros", "0".repeat(40), mismatch),
            ("another secret", of("other", BODY), mismatch),
            ("a secret cut off", of("presen", BODY), mismatch),
            ("a secret with a line feed", of("present\n", BODY), mismatch),
            ("a secret in upper case", of("PRESENT", BODY), mismatch),
            ("no secret", of("", BODY), mismatch),
            ("both secrets at once", of("presentprevious", BODY), mismatch),
            ("a plain digest without a secret", digest, mismatch),
            ("the first byte changed", changed(0), mismatch),
            ("the last byte changed", changed(BODY.len() - 1), mismatch),
            ("a line feed more", of("present", &[BODY, b"\n"].concat()), mismatch),
            ("a byte less", of("present", &BODY[..BODY.len() - 1]), mismatch),
            ("a byte order mark before", of("present", &[b"\xEF\xBB\xBF", BODY].concat()), mismatch),
            ("written again", of("present", &again), mismatch),
            ("written again with spaces", of("present", &pretty), mismatch),
            ("no body", of("present", b""), mismatch),
            ("the body twice", of("present", &[BODY, BODY].concat()), mismatch),
            ("backwards", good.chars().rev().collect(), mismatch),
            (
                "the last digit changed",
                format!("{}{}", &good[..39], if good.ends_with('0') { '1' } else { '0' }),
                mismatch,
            ),
        ] {
            assert_ne!(again, BODY);
            assert_eq!(verify(&secrets, Some(&bad), BODY), Err(why), "{what}");
        }
        assert_eq!(verify(&secrets, None, BODY), Err(SignatureError::Missing));
        assert_eq!(verify(&secrets, Some(&good), b""), Err(mismatch));
        assert_eq!(verify(&secrets, Some(&good), BODY), Ok(()));
    }

    fn digest_alone(body: &[u8]) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, body);
        to_hex(digest.as_ref())
    }

    #[test]
    fn two_secrets_count_while_they_rotate_and_an_empty_one_never() {
        let [present, previous] = secrets();
        let [other, empty] = ["other", ""].map(SecretString::from);
        for (what, secrets, signer, expected) in [
            ("the present one", vec![&present, &previous], &present, Ok(())),
            ("the one before", vec![&present, &previous], &previous, Ok(())),
            ("in the other order", vec![&previous, &present], &present, Ok(())),
            ("an empty one does not count", vec![&empty, &empty, &present, &previous], &previous, Ok(())),
            ("a third is not tried", vec![&other, &previous, &present], &present, Err(SignatureError::Mismatch)),
            ("the one before, retired", vec![&present], &previous, Err(SignatureError::Mismatch)),
            ("no secret", vec![], &present, Err(SignatureError::NoSecret)),
            ("an empty secret", vec![&empty], &empty, Err(SignatureError::NoSecret)),
            ("an empty secret beside another", vec![&present, &empty], &empty, Err(SignatureError::Mismatch)),
        ] {
            assert_eq!(verify(secrets, Some(&sign(signer, BODY)), BODY), expected, "{what}");
        }
    }

    #[test]
    fn a_request_has_one_signature_in_one_header() {
        let secrets = secrets();
        let good = sign(&secrets[0], BODY);
        let request = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("X-Vercel-Signature", HeaderValue::from_bytes(value).unwrap());
            }
            verify_request(&secrets, &headers, BODY)
        };
        let (good, bad) = (good.as_bytes(), "0".repeat(40));
        for (what, values, expected) in [
            ("one", &[good][..], Ok(())),
            ("none", &[], Err(SignatureError::Missing)),
            ("a good one twice", &[good, good], Err(SignatureError::Repeated)),
            ("a bad one first", &[bad.as_bytes(), good], Err(SignatureError::Repeated)),
            ("a bad one last", &[good, bad.as_bytes()], Err(SignatureError::Repeated)),
            ("an empty one beside it", &[good, b""], Err(SignatureError::Repeated)),
            ("an empty one", &[b""], Err(SignatureError::Length(0))),
            ("beyond ASCII", &["é".repeat(20).as_bytes()], Err(SignatureError::NotHex)),
            ("not UTF-8", &[&[0xff; 40]], Err(SignatureError::NotHex)),
        ] {
            assert_eq!(request(values), expected, "{what}");
        }
    }
}
