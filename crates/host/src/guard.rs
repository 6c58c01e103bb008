//! What stands before every router, wherever it runs: the health answer, the limits of a body in length and in
//! time, and the wall that no panic passes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::FutureExt;
use http::{StatusCode, header};
use http_body_util::Limited;
use tradepost_marketplace::doors::SystemSleeper;

use crate::slow::{BODY_TIMEOUT, InTime};

/// The longest body that any function takes (`formats.md`); a flow may take less.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The router as every place serves it: `GET /health/{function}` answers, bodies are limited to
/// [`BODY_BYTES_MAX`] (413) and to ten seconds (408, and the connection is closed), and a panic becomes a bare 500.
pub fn guarded(function: &'static str, router: Router) -> Router {
    let health = move || async move { Json(Health { function, version: env!("CARGO_PKG_VERSION") }) };
    router.route(&format!("/health/{function}"), get(health)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(
        middleware::from_fn(move |request: Request, next: Next| async move {
            if declared_bytes(&request).is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
                return StatusCode::PAYLOAD_TOO_LARGE.into_response();
            }
            let (parts, body) = request.into_parts();
            let (body, lateness) = InTime::new(body, BODY_TIMEOUT, Arc::new(SystemSleeper));
            let request = Request::from_parts(parts, Body::new(Limited::new(body, BODY_BYTES_MAX)));
            let response = caught(function, next.run(request)).await;
            if lateness.is_late() { too_slow(function) } else { response }
        }),
    )
}

#[derive(serde::Serialize)]
struct Health {
    function: &'static str,
    version: &'static str,
}

/// What is left of the body is not worth waiting for: the connection goes too.
fn too_slow(function: &'static str) -> Response {
    tracing::warn!(function.name = function, "body too slow");
    (StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")]).into_response()
}

fn declared_bytes(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The panic's place and message are in the log already (`log`); the outside learns nothing.
async fn caught(function: &'static str, response: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(response).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(function.name = function, "request panicked");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}
