//! Standard Webhooks signatures: how partner systems sign what they send us, and how we sign what we send
//! the provisioner and the provider's endpoint.
//!
//! What is signed is `{webhook-id}.{webhook-timestamp}.{body}`, by HMAC-SHA-256 with the bytes of a secret
//! `whsec_<base64>`. The path is not signed: routes therefore repeat it in the body's `type`. Up to two
//! secrets hold at once while they rotate, and a sender may send several signatures, space-separated; one
//! that matches is enough. What fails: [`SignatureError`], always answered 401, and [`KeyError`] at start,
//! which names the variable and never shows a secret.

mod keys;

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tradepost_marketplace::ids::WebhookId;

pub use keys::{KEYS_MAX, KEYS_VARIABLE, PartnerKey, PartnerKeys, SECRETS_MAX, Scope};

/// The header with the delivery's id, unique per key: what replays are recognised by.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the second of signing, in Unix time.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, `v1,<base64>`, space-separated.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// The header with the id of the partner system's key.
pub const KEY_ID_HEADER: &str = "tradepost-key-id";
/// How far the sender's clock and ours may lie apart, in seconds of business time, either way.
pub const TOLERANCE_SECONDS: i64 = 300;
/// The longest signature header, in bytes.
pub const SIGNATURE_HEADER_BYTES_MAX: usize = 1_024;
/// The most signatures in one header.
pub const SIGNATURES_MAX: usize = 8;
/// The fewest and the most bytes of a secret (Standard Webhooks).
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

const SECRET_PREFIX: &str = "whsec_";

/// Why a request is not taken for a partner's. Outside, all of them are the same 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is absent, sent twice, too long, or not of its form.
    #[error("the header {0} is missing, doubled, too long or malformed")]
    Header(&'static str),
    /// No key has this id.
    #[error("no partner key has the id in {KEY_ID_HEADER}")]
    UnknownKey,
    /// Signed too long ago, or in the future.
    #[error("{TIMESTAMP_HEADER} is more than {TOLERANCE_SECONDS} s from now")]
    Expired,
    /// No signature matches any secret.
    #[error("no signature in {SIGNATURE_HEADER} is right")]
    Mismatch,
}

/// Why a secret or the list of keys cannot be used. Carries no part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a secret.
    #[error("{place} is not a secret: whsec_ and the base64 of 24 to 64 bytes")]
    Secret {
        /// The variable, and where in it.
        place: String,
    },
    /// The list cannot be read.
    #[error(
        "{KEYS_VARIABLE} is not a JSON list of {{\"id\", \"secrets\": [at most two], \"scopes\": []}} (line {line}, column {column})"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The list breaks a rule.
    #[error("{KEYS_VARIABLE}: {rule}")]
    Rule {
        /// Which.
        rule: String,
    },
}

/// A secret that signs: `whsec_<base64>`.
#[derive(Clone)]
pub struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    /// Reads a secret; `place` is the variable it came from, for the error.
    pub fn parse(place: &str, text: &SecretString) -> Result<Self, KeyError> {
        let refuse = || KeyError::Secret { place: place.to_owned() };
        let encoded = text.expose_secret().strip_prefix(SECRET_PREFIX).ok_or_else(refuse)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| refuse())?;
        // From here on the bytes are wiped when dropped.
        let bytes = SecretSlice::from(bytes);
        if SECRET_BYTES.contains(&bytes.expose_secret().len()) { Ok(Self(bytes)) } else { Err(refuse()) }
    }

    fn tag(&self, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut context = hmac::Context::with_key(&key);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

/// The value of `webhook-signature`. The header `webhook-timestamp` is `timestamp.as_second()`.
pub fn sign(secret: &SigningSecret, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let tag = secret.tag(id, &timestamp.as_second().to_string(), body);
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// A request that a holder of the secret signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The delivery's id.
    pub id: WebhookId,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// Verifies the raw body against the three headers. `now` is business time.
pub fn verify(
    secrets: &[SigningSecret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let id = header(headers, ID_HEADER)?;
    let id = WebhookId::new(id).map_err(|_| SignatureError::Header(ID_HEADER))?;
    let timestamp = header(headers, TIMESTAMP_HEADER)?;
    let signed_at = read_timestamp(timestamp)?;
    let given = read_signatures(header(headers, SIGNATURE_HEADER)?)?;

    // Every pair is compared, so that the time taken does not tell which one matched.
    let mut matches = false;
    for secret in secrets {
        let tag = secret.tag(id.as_str(), timestamp, body);
        for signature in &given {
            matches |= constant_time::verify_slices_are_equal(tag.as_ref(), signature).is_ok();
        }
    }
    if !matches {
        return Err(SignatureError::Mismatch);
    }
    if (now.as_second() - signed_at.as_second()).abs() > TOLERANCE_SECONDS {
        return Err(SignatureError::Expired);
    }
    Ok(Verified { id, signed_at })
}

/// The one value of a header.
fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| SignatureError::Header(name)),
        _ => Err(SignatureError::Header(name)),
    }
}

fn read_timestamp(text: &str) -> Result<Timestamp, SignatureError> {
    let refuse = SignatureError::Header(TIMESTAMP_HEADER);
    // No sign. Nothing, and what is too long for an instant, is no number below.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse);
    }
    let second = text.parse().map_err(|_| refuse)?;
    Timestamp::from_second(second).map_err(|_| refuse)
}

/// The signatures of version 1; other versions are passed over, as the standard asks.
fn read_signatures(text: &str) -> Result<Vec<Vec<u8>>, SignatureError> {
    let refuse = SignatureError::Header(SIGNATURE_HEADER);
    if text.len() > SIGNATURE_HEADER_BYTES_MAX || text.split(' ').count() > SIGNATURES_MAX {
        return Err(refuse);
    }
    let first_version = text.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let decoded: Result<Vec<_>, _> = first_version.map(|encoded| STANDARD.decode(encoded)).collect();
    let decoded = decoded.map_err(|_| refuse)?;
    if decoded.is_empty() { Err(refuse) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the Standard Webhooks specification, so that foreign libraries agree with ours.
    pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    pub(super) const BODY: &[u8] = br#"{"test": 2432232314}"#;
    pub(super) const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    pub(super) fn now() -> Timestamp {
        Timestamp::from_second(1_614_265_330).unwrap()
    }

    pub(super) fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse("TEST", &SecretString::from(text)).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    pub(super) fn signed(signature: &str) -> HeaderMap {
        headers(&[(ID_HEADER, ID), (TIMESTAMP_HEADER, "1614265330"), (SIGNATURE_HEADER, signature)])
    }

    #[test]
    fn the_example_of_the_standard_signs_and_verifies() {
        assert_eq!(sign(&secret(SECRET), ID, now(), BODY), SIGNATURE);
        let verified = verify(&[secret(SECRET)], &signed(SIGNATURE), BODY, now()).unwrap();
        assert_eq!((verified.id.as_str(), verified.signed_at), (ID, now()));
    }

    #[test]
    fn one_right_signature_of_several_and_either_secret_is_enough() {
        let other = secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let several = format!("v1a,bm9wZQ== v1,bm9wZQ== {SIGNATURE}");
        assert!(verify(&[other.clone(), secret(SECRET)], &signed(&several), BODY, now()).is_ok());
        assert_eq!(verify(&[other], &signed(&several), BODY, now()), Err(SignatureError::Mismatch));
        assert_eq!(verify(&[], &signed(&several), BODY, now()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn eight_signatures_and_a_kilobyte_of_them_are_read() {
        let right = [secret(SECRET)];
        let many = |count: usize| format!("{}{SIGNATURE}", "v1,bm9wZQ== ".repeat(count - 1));
        assert!(verify(&right, &signed(&many(SIGNATURES_MAX)), BODY, now()).is_ok());
        let long = |bytes: usize| format!("{SIGNATURE} v2,{}", "x".repeat(bytes - SIGNATURE.len() - 4));
        assert!(verify(&right, &signed(&long(SIGNATURE_HEADER_BYTES_MAX)), BODY, now()).is_ok());
        let refused = Err(SignatureError::Header(SIGNATURE_HEADER));
        assert_eq!(verify(&right, &signed(&many(SIGNATURES_MAX + 1)), BODY, now()), refused);
        assert_eq!(verify(&right, &signed(&long(SIGNATURE_HEADER_BYTES_MAX + 1)), BODY, now()), refused);
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_is_not_shown() {
        let of = |bytes: usize| SecretString::from(format!("{SECRET_PREFIX}{}", STANDARD.encode(vec![7; bytes])));
        for (bytes, is_one) in [(23, false), (24, true), (64, true), (65, false), (5_000, false)] {
            assert_eq!(SigningSecret::parse("TEST", &of(bytes)).is_ok(), is_one, "{bytes}");
        }
        assert_eq!(format!("{:?}", secret(SECRET)), "SigningSecret(..)");
    }

    #[test]
    fn whatever_is_signed_cannot_be_changed() {
        let right = [secret(SECRET)];
        assert_eq!(verify(&right, &signed(SIGNATURE), b"{}", now()), Err(SignatureError::Mismatch));
        for (name, value) in [(ID_HEADER, "msg_other"), (TIMESTAMP_HEADER, "1614265331")] {
            let mut changed = signed(SIGNATURE);
            changed.insert(name, value.parse().unwrap());
            assert_eq!(verify(&right, &changed, BODY, now()), Err(SignatureError::Mismatch), "{name}");
        }
    }

    #[test]
    fn a_signature_holds_for_five_minutes_either_way() {
        let right = [secret(SECRET)];
        for (offset, holds) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let then = Timestamp::from_second(now().as_second() + offset).unwrap();
            let verified = verify(&right, &signed(SIGNATURE), BODY, then);
            assert_eq!(verified.is_ok(), holds, "{offset} s");
            assert!(holds || verified == Err(SignatureError::Expired));
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let right = [secret(SECRET)];
        let long = format!("{SIGNATURE} ").repeat(40);
        let many = [SIGNATURE; 9].join(" ");
        for (name, value) in [
            (ID_HEADER, ""),
            (ID_HEADER, "a b"),
            (TIMESTAMP_HEADER, ""),
            (TIMESTAMP_HEADER, "-1614265330"),
            (TIMESTAMP_HEADER, "1614265330.0"),
            (TIMESTAMP_HEADER, "1614265330000"),
            (TIMESTAMP_HEADER, "+1614265330"),
            (TIMESTAMP_HEADER, "99999999999999999999999999"),
            (SIGNATURE_HEADER, ""),
            (SIGNATURE_HEADER, "v2,bm9wZQ=="),
            (SIGNATURE_HEADER, "v1,***"),
            (SIGNATURE_HEADER, &long),
            (SIGNATURE_HEADER, &many),
        ] {
            let mut changed = signed(SIGNATURE);
            changed.insert(name, value.parse().unwrap());
            assert_eq!(verify(&right, &changed, BODY, now()), Err(SignatureError::Header(name)), "{name}: {value}");
            let mut doubled = signed(SIGNATURE);
            doubled.append(name, signed(SIGNATURE)[name].clone());
            assert_eq!(verify(&right, &doubled, BODY, now()), Err(SignatureError::Header(name)), "two {name}");
            let mut absent = signed(SIGNATURE);
            absent.remove(name);
            assert_eq!(verify(&right, &absent, BODY, now()), Err(SignatureError::Header(name)), "no {name}");
        }
    }
}
