//! AWS Lambda: takes the raw event, tells what it is ([`event`]), and makes requests of it. Used when the
//! Runtime API is there.
//!
//! Who may cause what: an HTTP event comes from anyone, and its request carries no mark whatever its path,
//! headers or body say. The schedule and the queue invoke the function directly, which takes IAM permission;
//! their requests go to `/cron/{function}` and carry [`Marks::scheduled`]. Everything else is an error in the
//! log and in the function's metrics, and never reaches the router.

mod event;
mod http_event;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower::ServiceExt;
use tradepost_marketplace::doors::{Clock, SystemClock};

use crate::{Marks, traces};
use event::{Event, Message};
use http_event::Shape;

/// An HTTP API answers after 30 s, whatever the function may take; one is left for the way back.
const HTTP_SECONDS_MAX: u64 = 29;

/// Why an invocation fails: the event is not for us, or the scheduled work did not succeed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum InvocationError {
    #[error("the event is neither HTTP (API Gateway, function URL), nor the schedule, nor a queue's batch")]
    UnknownEvent,
    #[error("the scheduled run of {function} answered {status}")]
    Run { function: &'static str, status: StatusCode },
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let error_type = match error {
            InvocationError::UnknownEvent => "UnknownEvent",
            InvocationError::Run { .. } => "ScheduledRunFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// Polls the Runtime API until the platform ends the process.
pub(crate) async fn serve(function: &'static str, router: Router, marks: Marks) -> anyhow::Result<()> {
    let bench = Bench { function, router, marks };
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let bench = bench.clone();
        async move { bench.answer(event.payload.get(), &|| remaining(event.context.deadline)).await }
    });
    Runtime::new(handler).run_concurrent().await.map_err(anyhow::Error::from_boxed)
}

/// `deadline` in milliseconds of the wall clock, as Lambda gives it.
fn remaining(deadline: u64) -> Duration {
    let now = u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0);
    Duration::from_millis(deadline.saturating_sub(now))
}

#[derive(Clone)]
struct Bench {
    function: &'static str,
    router: Router,
    marks: Marks,
}

impl Bench {
    async fn answer(&self, raw: &str, remaining: &(dyn Fn() -> Duration + Sync)) -> Result<Value, InvocationError> {
        match event::tell(raw) {
            Ok(Event::Http(shape)) => Ok(self.http(raw, shape, remaining()).await),
            Ok(Event::Schedule) => self.schedule(remaining()).await,
            Ok(Event::Queue(messages)) => Ok(self.queue(messages, remaining).await),
            Err(error) => {
                tracing::error!(function.name = self.function, event.bytes = raw.len(), "event of an unknown kind");
                Err(error)
            }
        }
    }

    async fn http(&self, raw: &str, shape: Shape, remaining: Duration) -> Value {
        let response = match http_event::request(raw, shape) {
            Ok(mut request) => {
                let remaining = remaining.min(Duration::from_secs(HTTP_SECONDS_MAX));
                (self.marks.deadline)(request.extensions_mut(), remaining);
                traces::tell_time(request.extensions_mut(), remaining);
                self.call(request).await
            }
            Err(status) => axum::response::IntoResponse::into_response(status),
        };
        http_event::answer(response, shape).await
    }

    /// A run that did not succeed fails the invocation, so that it shows in the function's metrics and the
    /// scheduler tries again.
    async fn schedule(&self, remaining: Duration) -> Result<Value, InvocationError> {
        let response = self.call(self.marked(Method::GET, Body::empty(), remaining)).await;
        let status = response.status();
        if status.is_success() {
            return Ok(json!({"statusCode": status.as_u16()}));
        }
        let function = self.function;
        tracing::error!(function.name = function, http.status = status.as_u16(), "scheduled run failed");
        Err(InvocationError::Run { function, status })
    }

    /// One request a record, in order; the queue keeps the records that fail.
    async fn queue(&self, messages: Vec<Message>, remaining: &(dyn Fn() -> Duration + Sync)) -> Value {
        let mut failures = Vec::new();
        for message in messages {
            let mut request = self.marked(Method::POST, Body::from(message.body), remaining());
            request.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            let status = self.call(request).await.status();
            if !status.is_success() {
                tracing::warn!(function.name = self.function, http.status = status.as_u16(), "queued message failed");
                failures.push(json!({"itemIdentifier": message.id}));
            }
        }
        json!({"batchItemFailures": failures})
    }

    fn marked(&self, method: Method, body: Body, remaining: Duration) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = cron_path(self.function);
        (self.marks.scheduled)(request.extensions_mut());
        (self.marks.deadline)(request.extensions_mut(), remaining);
        traces::tell_time(request.extensions_mut(), remaining);
        request
    }

    async fn call(&self, request: Request<Body>) -> axum::response::Response {
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }
}

#[allow(clippy::expect_used, reason = "function names are constants of ours: lower-case words")]
fn cron_path(function: &'static str) -> http::Uri {
    format!("/cron/{function}").parse().expect("a function's name stands in a path as it is")
}

#[cfg(test)]
mod tests;
