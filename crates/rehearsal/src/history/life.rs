//! The life of one process of the provider: it can die at any of its calls, before or after it was carried out. What it
//! was doing is dropped, as when a function is killed or frozen for good.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// Whether a process lives. Clones share it.
#[derive(Clone)]
pub(super) struct Life(watch::Sender<bool>);

impl Life {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    pub(super) fn is_over(&self) -> bool {
        !*self.0.borrow()
    }

    /// Ends it: every request that it serves is dropped, and no call of it comes back.
    pub(super) fn end(&self) {
        self.0.send_replace(false);
    }

    async fn ended(&self) {
        let _ = self.0.subscribe().wait_for(|lives| !lives).await;
    }

    /// A call to the outside. If the process dies before or after it, it never comes back.
    pub(super) async fn pass<T>(&self, death: Option<Side>, call: impl Future<Output = T>) -> T {
        if death == Some(Side::Before) {
            self.end();
        }
        self.stop_if_over().await;
        let answer = call.await;
        if death == Some(Side::After) {
            self.end();
        }
        self.stop_if_over().await;
        answer
    }

    async fn stop_if_over(&self) {
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Serves a request, for as long as it lives; 502 as a platform answers for it otherwise.
    pub(super) async fn serve(&self, router: Router, request: Request<Body>) -> Response {
        tokio::select! {
            biased;
            () = self.ended() => StatusCode::BAD_GATEWAY.into_response(),
            answered = router.oneshot(request) => match answered {
                Ok(response) => response,
                Err(never) => match never {},
            },
        }
    }
}

/// On which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The call is not made.
    Before,
    /// It is carried out, and its answer not seen.
    After,
}
