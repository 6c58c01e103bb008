//! A signed token before its key is known: its parts, and the refusal of every algorithm but one.
//!
//! Of the header, `alg`, `kid` and `crit` are read. `jwk`, `jku`, `x5c` and `x5u` are ignored: a token does not
//! choose its own key. `typ` is ignored, too, since Vercel documents none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::members::Members;
use super::{TOKEN_BYTES_MAX, TokenError};

/// A token whose header is acceptable and whose signature is not yet checked.
pub(super) struct Token<'a> {
    pub(super) key_id: String,
    pub(super) payload: Vec<u8>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed("shape"))?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed("shape"))?;
        if payload.contains('.') {
            return Err(TokenError::Malformed("shape"));
        }
        // Strict: no padding, no other alphabet, no stray bits at the end, so one token has one text.
        let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed(name));
        let key_id = key_id(&Members::read(&decode(header, "header")?, "header")?)?;
        let payload = decode(payload, "payload")?;
        decode(signature, "signature")?;
        Ok(Self { key_id, payload, signed, signature })
    }

    pub(super) fn check_signature(&self, key: &DecodingKey) -> Result<(), TokenError> {
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, Algorithm::RS256) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

/// Judges the header and gives the key's id.
fn key_id(header: &Members) -> Result<String, TokenError> {
    let text = |name| header.raw(name).map(serde_json::from_str::<String>).transpose();
    if text("alg").ok().flatten().as_deref() != Some("RS256") {
        return Err(TokenError::Algorithm);
    }
    if header.has("crit") {
        return Err(TokenError::Critical);
    }
    let key_id = text("kid").map_err(|_| TokenError::Malformed("key id"))?;
    key_id.filter(|kid| !kid.is_empty()).ok_or(TokenError::NoKeyId)
}
