//! Vercel's runtime: an HTTP server on `127.0.0.1:$VERCEL_DEV_PORT`, told to the platform over the socket
//! of `VERCEL_IPC_PATH` where there is one. The runtime answers `/_vercel/ping` itself.
//!
//! The adapter is ours: the runtime's own (`VercelLayer`) reads a body of any length into memory before the
//! router sees a byte of it, and turns an unreadable one into an error, which the runtime renders. Here the
//! body is passed on as it arrives, under the guard's limit, and no error exists that could escape.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::{Response, StatusCode};
use tower::{Service, ServiceExt};
use vercel_runtime::{AppState, Error, Request, ResponseBody};

pub(crate) async fn serve(router: Router) -> anyhow::Result<()> {
    vercel_runtime::run(Adapter(router)).await.map_err(anyhow::Error::from_boxed)
}

#[derive(Clone)]
struct Adapter(Router);

impl Service<(AppState, Request)> for Adapter {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (_, request): (AppState, Request)) -> Self::Future {
        let router = self.0.clone();
        Box::pin(async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            let (parts, body) = response.into_parts();
            Ok(match body.collect().await {
                Ok(body) => Response::from_parts(parts, ResponseBody::from(body.to_bytes())),
                Err(error) => {
                    tracing::error!(error.message = %error, "response body failed");
                    let mut response = Response::new(ResponseBody::from(()));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            })
        })
    }
}
