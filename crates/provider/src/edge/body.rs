//! Reading bodies: raw bytes first (signatures are over bytes), with a limit, then one typed parse whose
//! error names the place.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::{ApiError, Code};

/// The largest body of the Partner API and of partner systems (formats: "Bodies").
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest webhook of Vercel (formats: "Bodies").
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;

/// Reads the whole body, or refuses it as too large (413).
pub async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(ApiError::new(Code::TooLarge, format!("the body is larger than {bytes_max} bytes")))
        }
        Err(error) => Err(ApiError::invalid("the body could not be read").because(error)),
    }
}

/// Parses JSON into a command. The message is serde's: it names the field and the place, never a value
/// of a secret type.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::invalid(format!("the body is not valid: {error}")))
}

/// Parses a body that may be absent.
pub fn parse_optional<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() { Ok(T::default()) } else { parse(bytes) }
}
