//! The one error of the edge, and its two renderings.
//!
//! [`ApiError`] keeps the outside and the inside apart: `code` and `message` are for the caller and part of
//! the contract (`docs/errors.md`), `cause` is for the log. A 5xx says nothing outside but its code; the
//! request id is in the `x-request-id` header of every response.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tradepost_marketplace::client::ClientError;
use tradepost_store::{CommitError, StoreError};

use super::said::{FieldError, Unfit, UserText};
use super::wide::{Field, note};

/// Every code an error of ours can carry. Contract: `docs/errors.md` lists each, a test compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the body or query is not what the route takes.
    ValidationError,
    /// 401: no token, or one that is not valid.
    Unauthorized,
    /// 401: a partner's or provisioner's signature is not valid.
    InvalidSignature,
    /// 401: the scheduler's secret is not valid.
    InvalidCronSecret,
    /// 403: valid, but not allowed: another installation, role, auth style or scope.
    Forbidden,
    /// 404: nothing there.
    NotFound,
    /// 409: the state does not allow it.
    Conflict,
    /// 409: Vercel says that the installation is gone, and nobody has settled that.
    InstallationHeld,
    /// 409: another command holds the resource; try again after Retry-After.
    OperationInProgress,
    /// 409: the idempotency key came before with another body.
    IdempotencyKeyReused,
    /// 413: the body is too large.
    TooLarge,
    /// 422: understood, but impossible.
    Unprocessable,
    /// 503: a service we depend on does not answer; try again.
    Unavailable,
    /// 500: our fault.
    Internal,
}

impl Code {
    /// All codes, for the test that compares them with the documentation.
    pub const ALL: [Self; 14] = [
        Self::ValidationError,
        Self::Unauthorized,
        Self::InvalidSignature,
        Self::InvalidCronSecret,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::InstallationHeld,
        Self::OperationInProgress,
        Self::IdempotencyKeyReused,
        Self::TooLarge,
        Self::Unprocessable,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it goes over the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "validation_error",
            Self::Unauthorized => "unauthorized",
            Self::InvalidSignature => "invalid_signature",
            Self::InvalidCronSecret => "invalid_cron_secret",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::InstallationHeld => "installation_held",
            Self::OperationInProgress => "operation_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::TooLarge => "too_large",
            Self::Unprocessable => "unprocessable",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The status it is answered with.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ValidationError => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::InvalidSignature | Self::InvalidCronSecret => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict | Self::InstallationHeld | Self::OperationInProgress | Self::IdempotencyKeyReused => {
                StatusCode::CONFLICT
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a flow answers when it cannot do what was asked.
#[derive(Debug)]
pub struct ApiError {
    /// The contract's code.
    pub code: Code,
    /// For the outside. Never names a secret; for a 5xx it is not sent.
    pub message: String,
    /// Shown to the customer by Vercel, where it helps.
    pub user: Option<Box<UserText>>,
    /// Which fields are wrong (400 only).
    pub fields: Vec<FieldError>,
    /// When to come back, in seconds.
    pub retry_after_seconds: Option<u32>,
    /// For the log only.
    pub cause: Option<String>,
}

impl ApiError {
    /// An error with its code and outside message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), user: None, fields: Vec::new(), retry_after_seconds: None, cause: None }
    }

    /// 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationError, message)
    }

    /// 401.
    pub fn unauthorized(cause: impl fmt::Display) -> Self {
        Self::new(Code::Unauthorized, "the bearer token is missing or not valid").because(cause)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// 409 by state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// 409 because another command is at work.
    pub fn busy(retry_after_seconds: u32) -> Self {
        let mut error = Self::new(Code::OperationInProgress, "another command on this is in progress");
        error.retry_after_seconds = Some(retry_after_seconds);
        error
    }

    /// 500.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "something went wrong on our side").because(cause)
    }

    /// 503.
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        let mut error = Self::new(Code::Unavailable, "a service this depends on does not answer; try again");
        error.retry_after_seconds = Some(5);
        error.because(cause)
    }

    /// Adds what the log should know.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Logs it where no response carries it: work on one thing that must not stop work on the others.
    pub fn log_as(&self, message: &'static str) {
        let cause = self.cause.as_deref().unwrap_or(&self.message);
        if self.code == Code::Internal {
            tracing::error!(error.code = self.code.as_str(), error.cause = cause, "{message}");
        } else {
            tracing::warn!(error.code = self.code.as_str(), error.cause = cause, "{message}");
        }
    }

    /// The body of Vercel's error envelope (spec B, "Error response").
    pub fn envelope(&self) -> serde_json::Value {
        let mut inner = serde_json::json!({ "code": self.code.as_str(), "message": self.message });
        if let Some(user) = &self.user {
            inner["user"] = serde_json::json!(user);
        }
        if !self.fields.is_empty() {
            inner["fields"] = serde_json::json!(self.fields);
        }
        serde_json::json!({ "error": inner })
    }

    /// The body of RFC 9457 problem details.
    pub fn problem(&self) -> serde_json::Value {
        let status = self.code.status();
        serde_json::json!({
            "type": format!("urn:tradepost:error:{}", self.code.as_str()),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.message,
        })
    }

    /// Says in the request's wide event what is answered. What is not the caller's fault has a line of its own, at
    /// its own level.
    pub(crate) fn log(&self) {
        let code = self.code.as_str();
        note(Field::ErrorCode, code);
        if let Some(cause) = &self.cause {
            note(Field::ErrorCause, cause.as_str());
        }
        let cause = self.cause.as_deref().unwrap_or("");
        match self.code {
            Code::Internal => tracing::error!(error.code = code, error.cause = cause, "request failed"),
            Code::Unavailable => tracing::warn!(error.code = code, error.cause = cause, "request failed"),
            _ => {}
        }
    }

    fn finish(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Time arithmetic out of range: dates beyond the year 9999.
impl From<jiff::Error> for ApiError {
    fn from(error: jiff::Error) -> Self {
        Self::internal(error)
    }
}

impl From<Unfit> for ApiError {
    fn from(error: Unfit) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } => {
                Self::new(Code::TooLarge, "this is more than can be kept at once").because(error)
            }
            // Who we are at AWS is the operator's to mend; the caller can only come back.
            error @ (StoreError::Identity(_) | StoreError::Unwrap(_)) => Self::unavailable(error),
            error if error.is_retryable() => Self::unavailable(error),
            error => Self::internal(error),
        }
    }
}

/// A guard failed where the flow has no better answer: somebody else changed the same thing just now.
impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Condition { .. } => Self::busy(1).because("a guarded write lost a race"),
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        if error.is_retryable() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

/// Renders as Vercel's error envelope (spec B, "Error response"): the Partner API.
#[derive(Debug)]
pub struct Envelope(pub ApiError);

/// Renders as RFC 9457 problem details: our own API.
#[derive(Debug)]
pub struct Problem(pub ApiError);

impl<E: Into<ApiError>> From<E> for Envelope {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<E: Into<ApiError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Envelope {
    fn into_response(self) -> Response {
        let error = self.0;
        error.log();
        let response = (error.code.status(), axum::Json(error.envelope())).into_response();
        error.finish(response)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = self.0;
        error.log();
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let response = (error.code.status(), content_type, error.problem().to_string()).into_response();
        error.finish(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_name_of_a_code_is_its_serde_name() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        }
    }

    #[test]
    fn every_code_is_documented_with_its_status() {
        let page = include_str!("../../../../docs/errors.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(page.contains(&row), "docs/errors.md lacks the row {row}");
        }
        assert_eq!(page.matches("\n| `").count(), Code::ALL.len(), "docs/errors.md has a code too many");
    }

    #[test]
    fn a_busy_resource_says_when_to_come_back() {
        let response = Envelope(ApiError::busy(7)).into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }
}
