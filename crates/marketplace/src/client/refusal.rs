//! From an answer of Vercel's to a result or a [`ClientError`].

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::error::{ClientError, Refusal};
use super::retry::{asked_delay, retry_after};

/// The longest code or message kept, in characters.
pub const REFUSAL_TEXT_CHARS_MAX: usize = 512;
/// The most bytes of a refusal that are looked at.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// The longest `x-vercel-id` kept, in bytes.
const VERCEL_ID_BYTES_MAX: usize = 256;
/// What stands for a message that may quote a secret.
const WITHHELD: &str = "(withheld: the request carried secrets)";

/// Any 2xx is a success (the documents and the practice differ in which); the rest is an error by its status. A
/// redirect or 4xx is Vercel's word only in Vercel's envelope: gateways answer 404 and 403, too. (The answer to a HEAD
/// has no body, and 304 and 412 need none.)
pub(super) fn classify(
    answer: Response<Bytes>,
    is_secretive: bool,
    is_head: bool,
    now: Timestamp,
) -> Result<Response<Bytes>, ClientError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let body = if body.len() > REFUSAL_BYTES_MAX { &[] } else { body.as_ref() };
    let refusal = || Box::new(refusal(status, &parts.headers, body, is_secretive, now));
    Err(match status {
        StatusCode::GONE => ClientError::Gone,
        StatusCode::TOO_MANY_REQUESTS => {
            ClientError::RateLimited { retry_after: asked_delay(&parts.headers, body, now) }
        }
        StatusCode::REQUEST_TIMEOUT => ClientError::Server(refusal()),
        status if status.is_server_error() => ClientError::Server(refusal()),
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED => ClientError::Rejected(refusal()),
        status if !is_head && !has_envelope(body) => ClientError::Foreign(status.as_u16()),
        _ => ClientError::Rejected(refusal()),
    })
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], is_secretive: bool, now: Timestamp) -> Refusal {
    let (code, message) = words(body);
    let message = if is_secretive && !message.is_empty() { WITHHELD.to_owned() } else { message };
    let retry_after = retry_after(headers, now);
    Refusal { status: status.as_u16(), code, message, vercel_id: vercel_id(headers), retry_after }
}

/// Vercel's id of a request, if it is one: visible ASCII and not too long.
pub(super) fn vercel_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-vercel-id")?.to_str().ok()?;
    (id.len() <= VERCEL_ID_BYTES_MAX).then(|| id.to_owned())
}

/// Code and message of `{error: {code, message}}` (spec G), or of OAuth's `{error, error_description}` (A.20).
fn words(body: &[u8]) -> (String, String) {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return <_>::default() };
    let text = |value: &Value| value.as_str().unwrap_or_default().chars().take(REFUSAL_TEXT_CHARS_MAX).collect();
    match &body["error"] {
        error @ Value::Object(_) => (text(&error["code"]), text(&error["message"])),
        error => (text(error), text(&body["error_description"])),
    }
}

/// Whether it is an error in Vercel's form.
fn has_envelope(body: &[u8]) -> bool {
    let (code, message) = words(body);
    !code.is_empty() || !message.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_error() {
        for status in 100..600_u16 {
            let answer = Response::builder().status(status).header("retry-after", "7").body(Bytes::new()).unwrap();
            let got = classify(answer, false, false, Timestamp::UNIX_EPOCH);
            let retry_after = Some(std::time::Duration::from_secs(7));
            let (code, message, vercel_id) = (String::new(), String::new(), None);
            let refusal = Box::new(Refusal { status, code, message, vercel_id, retry_after });
            match status {
                200..300 => assert_eq!(got.unwrap().status(), status),
                410 => assert_eq!(got.unwrap_err(), ClientError::Gone),
                429 => assert_eq!(got.unwrap_err(), ClientError::RateLimited { retry_after }),
                408 | 500..600 => assert_eq!(got.unwrap_err(), ClientError::Server(refusal)),
                304 | 412 => assert_eq!(got.unwrap_err(), ClientError::Rejected(refusal)),
                _ => assert_eq!(got.unwrap_err(), ClientError::Foreign(status)),
            }
        }
    }

    #[test]
    fn a_refusal_is_vercels_only_in_its_envelope() {
        let got = |status: u16, body: &'static str, is_head| {
            let answer = Response::builder().status(status).body(Bytes::from(body)).unwrap();
            classify(answer, false, is_head, Timestamp::UNIX_EPOCH).unwrap_err()
        };
        for foreign in
            ["", "<html>404</html>", "null", "{}", "[]", r#"{"error":{}}"#, r#"{"error":null}"#, r#"{"message":"m"}"#]
        {
            for status in [301, 308, 400, 401, 403, 404, 409, 422, 451] {
                let error = got(status, foreign, false);
                assert_eq!(error, ClientError::Foreign(status), "{foreign}");
                assert!(error.is_retryable() && error.maybe_done() && error.status().is_none());
            }
            assert_eq!(got(404, foreign, true).status(), Some(404), "to a HEAD");
            // By their status alone.
            assert!(matches!(got(410, foreign, false), ClientError::Gone));
            assert!(matches!(got(500, foreign, false), ClientError::Server(_)));
        }
        for ours in [
            r#"{"error":{"code":"not_found"}}"#,
            r#"{"error":{"message":"Not found."}}"#,
            r#"{"error":"invalid_grant","error_description":"used"}"#,
        ] {
            assert!(matches!(got(404, ours, false), ClientError::Rejected(_)), "{ours}");
        }
    }
}
