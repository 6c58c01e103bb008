//! What stands before every router, wherever it runs: the health answer, the limits of path, query, headers and
//! body, the body's also in time, and the wall that no panic passes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::Limited;
use tradepost_marketplace::doors::{Sleeper, SystemSleeper};

use crate::slow::{BODY_TIMEOUT, InTime};

/// The longest body that any function takes (`formats.md`); a flow may take less.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// The longest path, in bytes: two ids of 256 characters, every one of them encoded, fit with room.
pub const PATH_BYTES_MAX: usize = 4 * 1024;
/// The longest query, in bytes; a sign-on has the longest.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The most headers of a request.
pub const HEADERS_MAX: usize = 100;
/// The most bytes of all headers together, names and values: two tokens of 16 KiB fit with room.
pub const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// The router as every place serves it: `GET /health/{function}` answers; a path or query that is too long is 414,
/// headers that are too many or too large 431; bodies are limited to [`BODY_BYTES_MAX`] (413) and to ten seconds
/// (408, and the connection is closed); a panic becomes a bare 500.
pub fn guarded(function: &'static str, router: Router) -> Router {
    guarded_by(function, router, Arc::new(SystemSleeper))
}

fn guarded_by(function: &'static str, router: Router, sleeper: Arc<dyn Sleeper>) -> Router {
    let health = move || async move { Json(Health { function, version: env!("CARGO_PKG_VERSION") }) };
    router.route(&format!("/health/{function}"), get(health)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(
        middleware::from_fn(move |request: Request, next: Next| {
            let sleeper = Arc::clone(&sleeper);
            async move {
                if let Some(status) = too_large(&request) {
                    return status.into_response();
                }
                let (parts, body) = request.into_parts();
                let (body, lateness) = InTime::new(body, BODY_TIMEOUT, sleeper);
                let request = Request::from_parts(parts, Body::new(Limited::new(body, BODY_BYTES_MAX)));
                let response = caught(function, next.run(request)).await;
                if lateness.is_late() { too_slow(function) } else { response }
            }
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

/// What the head alone says is too much.
fn too_large(request: &Request) -> Option<StatusCode> {
    if is_long(request.uri()) {
        return Some(StatusCode::URI_TOO_LONG);
    }
    if request.headers().len() > HEADERS_MAX || bytes_of(request.headers()) > HEADERS_BYTES_MAX {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    declared_bytes(request).is_some_and(|bytes| bytes > BODY_BYTES_MAX).then_some(StatusCode::PAYLOAD_TOO_LARGE)
}

fn is_long(uri: &Uri) -> bool {
    uri.path().len() > PATH_BYTES_MAX || uri.query().is_some_and(|query| query.len() > QUERY_BYTES_MAX)
}

fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// A length that cannot be read is none; what comes is counted all the same.
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::Bytes;
    use axum::routing::{any, post};
    use futures_util::future::BoxFuture;
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    /// Does not wait at all.
    struct AtOnce;

    impl Sleeper for AtOnce {
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    async fn status(request: http::request::Builder) -> u16 {
        let router = guarded("x", Router::new().fallback(any(async || "here")));
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_head_is_limited_to_the_byte() {
        let get = |uri: String| http::Request::get(uri);
        assert_eq!(status(get(format!("/{}", "p".repeat(PATH_BYTES_MAX - 1)))).await, 200);
        assert_eq!(status(get(format!("/{}", "p".repeat(PATH_BYTES_MAX)))).await, 414);
        assert_eq!(status(get(format!("/?{}", "q".repeat(QUERY_BYTES_MAX)))).await, 200);
        assert_eq!(status(get(format!("/?{}", "q".repeat(QUERY_BYTES_MAX + 1)))).await, 414);
        let large = |bytes: usize| get("/".to_owned()).header("x", "v".repeat(bytes - 1));
        assert_eq!(status(large(HEADERS_BYTES_MAX)).await, 200);
        assert_eq!(status(large(HEADERS_BYTES_MAX + 1)).await, 431);
        let many = |count: usize| (0..count).fold(get("/".to_owned()), |request, _| request.header("x", "v"));
        assert_eq!(status(many(HEADERS_MAX)).await, 200);
        assert_eq!(status(many(HEADERS_MAX + 1)).await, 431);
        let declared = |bytes: usize| get("/".to_owned()).header("content-length", bytes);
        assert_eq!(status(declared(BODY_BYTES_MAX)).await, 200);
        assert_eq!(status(declared(BODY_BYTES_MAX + 1)).await, 413);
        assert_eq!(status(get("/".to_owned()).header("content-length", "9".repeat(40))).await, 200);
    }

    /// Whatever the router makes of a body that did not come in time.
    #[tokio::test]
    async fn a_body_that_is_late_is_408_and_the_end_of_its_connection() {
        let echo = Router::new().route("/", post(async |body: Bytes| body)).route("/deaf", post(async || "fine"));
        let router = guarded_by("x", echo, Arc::new(AtOnce));
        let never = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let send =
            async |path: &str| router.clone().oneshot(http::Request::post(path).body(never()).unwrap()).await.unwrap();
        let late = send("/").await;
        assert_eq!((late.status().as_u16(), &late.headers()["connection"]), (408, &"close".parse().unwrap()));
        assert_eq!(send("/deaf").await.status(), 200);
    }
}
