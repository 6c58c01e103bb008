//! How the simulator says no: Vercel's error envelope (spec G). On Vercel's face the message begins with the
//! rule that was broken (`rules`); the control face explains itself freely.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::rules::Rule;

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A rule was broken; the message begins with its id.
    pub(crate) fn by(rule: Rule, message: String) -> Self {
        let status = rule.status();
        Self { status, code: code_of(status), message }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_request", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    }

    pub(crate) fn partner(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "partner_failed", message)
    }

    /// The envelope `{"error": {"code", "message"}}`.
    pub(crate) fn response(&self) -> Response<Bytes> {
        json_response(self.status, &json!({ "error": { "code": self.code, "message": self.message } }))
    }
}

/// The code that goes with a status (spec G; the last four are not documented).
pub(crate) fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_unknown",
        429 => "rate_limited",
        500.. => "internal_server_error",
        409 => "conflict",
        410 => "gone",
        412 => "precondition_failed",
        422 => "unprocessable_entity",
        _ => "bad_request",
    }
}

/// An answer with a JSON body.
pub(crate) fn json_response<T: Serialize>(status: StatusCode, body: &T) -> Response<Bytes> {
    let mut response = match serde_json::to_vec(body) {
        Ok(text) => Response::new(Bytes::from(text)),
        Err(error) => return Refusal::internal(format!("the answer is no JSON: {error}")).response(),
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn empty_response(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
