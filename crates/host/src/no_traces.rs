//! Stands in for `traces` where the feature `otel` is off: there are none.

use std::time::Duration;

use axum::Router;
use http::Extensions;
use tracing_subscriber::layer::Identity;
use tradepost_marketplace::doors::Environment;

use crate::PlaceError;

/// Nothing that exists.
#[derive(Debug)]
pub(crate) enum Traces {}

impl Traces {
    #[allow(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
    pub(crate) fn of(_: &str, _: &dyn Environment) -> anyhow::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn problem(_: &dyn Environment) -> Option<PlaceError> {
        None
    }

    pub(crate) fn layer(&self) -> Identity {
        match *self {}
    }

    pub(crate) fn around(&self, _: Router) -> Router {
        match *self {}
    }
}

pub(crate) fn tell_time(_: &mut Extensions, _: Duration) {}
