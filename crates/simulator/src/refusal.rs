//! How the simulator says no: Vercel's error envelope, with the rule in the message (spec G).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// A refused call. The message names the rule it comes from: `spec A.13: eod is older than 24 h`.
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

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_unknown", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_request", message)
    }

    /// A limit of the simulator, not a rule of Vercel's.
    pub(crate) fn limit(rows: &str, most: usize) -> Self {
        let why = format!("the simulator keeps at most {most} {rows} of an installation");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", why)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    }

    pub(crate) fn partner(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "partner_failed", message)
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", format!("the simulator does not have {what} yet"))
    }

    /// The envelope `{"error": {"code", "message"}}`.
    pub(crate) fn response(&self) -> Response<Bytes> {
        json_response(self.status, &json!({ "error": { "code": self.code, "message": self.message } }))
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
