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

/// Parses JSON into a command. The message names the place and never a value: serde's own message quotes
/// values, and a value may be a secret.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    parse_named("the body", bytes)
}

/// Parses a named part of a body.
pub fn parse_named<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, ApiError> {
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let (path, line, column) = match serde_path_to_error::deserialize(&mut from) {
        Ok(value) => match from.end() {
            Ok(()) => return Ok(value),
            Err(error) => (".".to_owned(), error.line(), error.column()),
        },
        Err(error) => {
            let (line, column) = (error.inner().line(), error.inner().column());
            (error.path().to_string(), line, column)
        }
    };
    let place = if path == "." { String::new() } else { format!(" at {path}") };
    Err(ApiError::invalid(format!("{name} is not valid{place} (line {line}, column {column})")))
}

/// Parses a body that may be absent.
pub fn parse_optional<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() { Ok(T::default()) } else { parse(bytes) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only parsed")]
    struct Body {
        list: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only parsed")]
    struct Item {
        count: u8,
        raw: Option<Box<serde_json::value::RawValue>>,
    }

    #[test]
    fn a_refusal_names_the_place_and_quotes_no_value() {
        let error = parse::<Body>(br#"{"list":[{"count":1,"raw":{"a":1.50}},{"count":"hunter2"}]}"#).unwrap_err();
        assert!(error.message.contains("list[1].count"), "{}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
        assert!(parse::<Body>(br#"{"list":[]} x"#).is_err());
        let body = parse::<Body>(br#"{"list":[{"count":1,"raw":1.50}]}"#).unwrap();
        assert_eq!(body.list[0].raw.as_ref().unwrap().get(), "1.50");
    }
}
