//! Both faces without a socket: a request is a call of the router, in the caller's own thread.
//!
//! Used by port-level simulations, where everything runs in one thread and the network is a value. A cut connection
//! is what it is to a client: no answer. What no socket is needed for is as it is behind one: faults, the log, the
//! journal, the order of what is due.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use tower::ServiceExt as _;
use tradepost_marketplace::http_door::{Http, HttpError, RESPONSE_BYTES_MAX};

use crate::serve::{Cut, router};
use crate::{Inner, lock};

/// The simulator as a door.
struct Port(Router);

/// Makes `address` the OIDC issuer, and answers what is sent through the door.
pub(crate) fn open(simulator: Arc<Inner>, address: &str) -> impl Http + 'static {
    address.clone_into(&mut lock(&simulator.address));
    Port(router(simulator))
}

#[async_trait]
impl Http for Port {
    async fn send(&self, request: http::Request<Bytes>, _: Duration) -> Result<http::Response<Bytes>, HttpError> {
        let response = match self.0.clone().oneshot(request.map(Body::from)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if response.extensions().get::<Cut>().is_some() {
            return Err(HttpError::NoAnswer("the connection was cut".to_owned()));
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, RESPONSE_BYTES_MAX).await.map_err(|_| HttpError::TooLarge)?;
        Ok(http::Response::from_parts(parts, body))
    }
}
