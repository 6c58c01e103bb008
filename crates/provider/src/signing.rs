//! Standard Webhooks signatures: how partner systems sign what they send us, and how we sign what we send
//! the provisioner and the provider's endpoint.
//!
//! What is signed is `{webhook-id}.{webhook-timestamp}.{body}`, by HMAC-SHA-256 with the bytes of a secret
//! `whsec_<base64>`. The path is not signed: routes therefore repeat it in the body's `type`. Up to two
//! secrets hold at once while they rotate, and a sender may send several signatures, space-separated; one
//! that matches is enough. What fails: [`SignatureError`], always answered 401, and [`KeyError`] at start,
//! which names the variable and never shows a secret.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Deserializer};
use tradepost_marketplace::ids::WebhookId;

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
/// The most secrets of one key that hold at once.
pub const SECRETS_MAX: usize = 2;
/// The most partner keys.
pub const KEYS_MAX: usize = 100;
/// The fewest and the most bytes of a secret (Standard Webhooks).
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The environment variable with the keys of partner systems.
pub const KEYS_VARIABLE: &str = "TRADEPOST_PARTNER_KEYS";

const TIMESTAMP_DIGITS_MAX: usize = 12;
const KEY_ID_BYTES_MAX: usize = 64;
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
        if encoded.len() > SECRET_BYTES.end() * 2 {
            return Err(refuse());
        }
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
    if text.is_empty() || text.len() > TIMESTAMP_DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit()) {
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

/// What a partner system may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Report usage.
    Usage,
    /// Send events about resources and installations.
    Events,
    /// Ask for a rotation of secrets.
    Secrets,
    /// Close periods and adjust invoices.
    Invoices,
    /// Refund.
    Refunds,
    /// Ask for what is known: effects, invoices; redeem sign-ins.
    Read,
    /// Report what a provisioner finished late.
    Provisioner,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usage => "usage",
            Self::Events => "events",
            Self::Secrets => "secrets",
            Self::Invoices => "invoices",
            Self::Refunds => "refunds",
            Self::Read => "read",
            Self::Provisioner => "provisioner",
        })
    }
}

/// The key of one partner system.
#[derive(Debug, Clone)]
pub struct PartnerKey {
    id: String,
    secrets: Vec<SigningSecret>,
    scopes: BTreeSet<Scope>,
}

impl PartnerKey {
    /// Its id, as in [`KEY_ID_HEADER`]: letters, digits, `-`, `_` and `.`, at most 64.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secrets that hold; one or two.
    pub fn secrets(&self) -> &[SigningSecret] {
        &self.secrets
    }

    /// Whether its holder may do this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The keys of all partner systems.
#[derive(Debug, Clone, Default)]
pub struct PartnerKeys(Vec<PartnerKey>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyInJson {
    id: String,
    #[serde(deserialize_with = "read_secrets")]
    secrets: Vec<SecretString>,
    scopes: Vec<Scope>,
}

fn read_secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(Vec::<String>::deserialize(from)?.into_iter().map(SecretString::from).collect())
}

impl PartnerKeys {
    /// Reads the value of [`KEYS_VARIABLE`].
    pub fn parse(json: &SecretString) -> Result<Self, KeyError> {
        // The message of a JSON error may quote the text: only its place is kept.
        let read: Vec<KeyInJson> = serde_json::from_str(json.expose_secret())
            .map_err(|error| KeyError::Json { line: error.line(), column: error.column() })?;
        let rule = |rule: String| KeyError::Rule { rule };
        if read.len() > KEYS_MAX {
            return Err(rule(format!("more than {KEYS_MAX} keys")));
        }
        let mut keys = Vec::with_capacity(read.len());
        let mut seen = BTreeSet::new();
        for (index, key) in read.into_iter().enumerate() {
            let form = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if key.id.is_empty() || key.id.len() > KEY_ID_BYTES_MAX || !key.id.chars().all(form) {
                return Err(rule(format!("the id of key {} is not 1 to 64 letters, digits, - _ or .", index + 1)));
            }
            if !seen.insert(key.id.clone()) {
                return Err(rule(format!("the id {:?} is used twice", key.id)));
            }
            if key.secrets.is_empty() || key.secrets.len() > SECRETS_MAX {
                return Err(rule(format!(
                    "key {:?} has {} secrets; one or two hold at once",
                    key.id,
                    key.secrets.len()
                )));
            }
            if key.scopes.is_empty() {
                return Err(rule(format!("key {:?} has no scopes; it could do nothing", key.id)));
            }
            let place = |n: usize| format!("{KEYS_VARIABLE}: secret {} of key {:?}", n + 1, key.id);
            let secrets = key.secrets.iter().enumerate().map(|(n, text)| SigningSecret::parse(&place(n), text));
            let secrets = secrets.collect::<Result<_, _>>()?;
            keys.push(PartnerKey { secrets, scopes: key.scopes.into_iter().collect(), id: key.id });
        }
        Ok(Self(keys))
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&PartnerKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The key that signed this request, named by [`KEY_ID_HEADER`]. Whether it may do what it asks is the
    /// route's to check, by [`PartnerKey::allows`].
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(&PartnerKey, Verified), SignatureError> {
        let key = self.get(header(headers, KEY_ID_HEADER)?).ok_or(SignatureError::UnknownKey)?;
        Ok((key, verify(&key.secrets, headers, body, now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the Standard Webhooks specification, so that foreign libraries agree with ours.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn now() -> Timestamp {
        Timestamp::from_second(1_614_265_330).unwrap()
    }

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse("TEST", &SecretString::from(text)).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn signed(signature: &str) -> HeaderMap {
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

    #[test]
    fn keys_are_found_by_their_id_and_know_their_scopes() {
        let json = format!(r#"[{{"id":"meter","secrets":["{SECRET}"],"scopes":["usage","read"]}}]"#);
        let keys = PartnerKeys::parse(&SecretString::from(json)).unwrap();
        let mut request = signed(SIGNATURE);
        assert_eq!(keys.authenticate(&request, BODY, now()).unwrap_err(), SignatureError::Header(KEY_ID_HEADER));
        request.insert(KEY_ID_HEADER, "other".parse().unwrap());
        assert_eq!(keys.authenticate(&request, BODY, now()).unwrap_err(), SignatureError::UnknownKey);
        request.insert(KEY_ID_HEADER, "meter".parse().unwrap());
        let (key, _) = keys.authenticate(&request, BODY, now()).unwrap();
        assert!(key.allows(Scope::Usage) && key.allows(Scope::Read) && !key.allows(Scope::Refunds));
    }

    #[test]
    fn bad_keys_are_named_and_never_shown() {
        let short = "whsec_c2hvcnQ=";
        let three = format!(r#""{SECRET}","{SECRET}","{SECRET}""#);
        for (json, wanted) in [
            ("{".to_owned(), "line 1, column"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":["root"]}}]"#), "line 1, column"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":[]}}]"#), "no scopes"),
            (format!(r#"[{{"id":"a b","secrets":["{SECRET}"],"scopes":["read"]}}]"#), "the id of key 1"),
            (format!(r#"[{{"id":"a","secrets":[{three}],"scopes":["read"]}}]"#), "has 3 secrets"),
            (r#"[{"id":"a","secrets":[],"scopes":["read"]}]"#.to_owned(), "has 0 secrets"),
            (format!(r#"[{{"id":"a","secrets":["{SECRET}","{short}"],"scopes":["read"]}}]"#), "secret 2 of key \"a\""),
            (
                format!(
                    r#"[{{"id":"a","secrets":["{SECRET}"],"scopes":["read"]}},{{"id":"a","secrets":["{SECRET}"],"scopes":["read"]}}]"#
                ),
                "used twice",
            ),
        ] {
            let message = PartnerKeys::parse(&SecretString::from(json)).unwrap_err().to_string();
            assert!(message.contains(wanted) && message.contains(KEYS_VARIABLE), "{message}");
            assert!(!message.contains("MfKQ9r8") && !message.contains("c2hvcnQ"), "{message}");
        }
        assert!(!format!("{:?}", secret(SECRET)).contains("MfKQ"));
    }
}
