//! A signed token before its key is known: its parts, and the refusal of every algorithm but one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::{TOKEN_BYTES_MAX, TokenError};

/// A token whose header is acceptable and whose signature is not yet checked.
pub(super) struct Token<'a> {
    pub(super) key_id: String,
    pub(super) payload: Vec<u8>,
    signed: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
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
        let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed(name));
        let header: Header =
            serde_json::from_slice(&decode(header, "header")?).map_err(|_| TokenError::Malformed("header"))?;
        if header.alg != "RS256" {
            return Err(TokenError::Algorithm);
        }
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let key_id = header.kid.filter(|kid| !kid.is_empty()).ok_or(TokenError::NoKeyId)?;
        Ok(Self { key_id, payload: decode(payload, "payload")?, signed, signature })
    }

    pub(super) fn check_signature(&self, key: &DecodingKey) -> Result<(), TokenError> {
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, Algorithm::RS256) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}
