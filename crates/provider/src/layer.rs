//! What wraps every flow: a request id, one wide event a request ([`crate::edge::wide`]), the trace it belongs to, and
//! the deadline.
//!
//! The wide event is written whatever comes of the request: an answer, a panic, a caller that went away.

use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::SignedDuration;
use secrecy::SecretString;
use tracing::{Instrument, Span};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_store::connect::identity::{TOKEN_BYTES_MAX, TOKEN_HEADER, with_request_token};

use crate::deadline::Deadline;
use crate::edge::error::Code;
use crate::edge::trace::Trace;
use crate::edge::wide::{Field, Wide};
use crate::provider::Provider;

/// The longest that a caller is kept waiting: the HTTP API of AWS cuts at 30 s.
const ANSWER_MAX: Duration = Duration::from_secs(29);

/// The header that every response carries.
pub const REQUEST_ID: &str = "x-request-id";

/// How much of a request's time a host may say is left (`Marks::deadline` of the host puts it here).
#[derive(Debug, Clone, Copy)]
pub struct HostDeadline(pub Duration);

/// Marks a request with the time its platform leaves it.
pub fn mark_deadline(extensions: &mut http::Extensions, remaining: Duration) {
    extensions.insert(HostDeadline(remaining));
}

/// Wraps a flow's routes. `MatchedPath` is only there inside the router, so the layer goes on last.
pub fn wrap(provider: &Provider, routes: Router<Provider>) -> Router {
    let layer = middleware::from_fn_with_state(provider.clone(), serve);
    routes.layer(layer).with_state(provider.clone())
}

/// What a request gets: a scheduled run all that the platform leaves it, where the platform says how much, and what
/// is configured elsewhere; a caller of ours no more than is configured, and less than the HTTP API of AWS waits.
fn allowed(host: Option<Duration>, configured: Duration, is_scheduled: bool) -> Duration {
    match host {
        Some(remaining) if is_scheduled => remaining,
        None if is_scheduled => configured,
        _ => host.unwrap_or(configured).min(configured).min(ANSWER_MAX),
    }
}

async fn serve(State(provider): State<Provider>, mut request: Request, next: Next) -> Response {
    let started = provider.lease.now();
    let host = request.extensions().get::<HostDeadline>().map(|host| host.0);
    let is_scheduled = request.uri().path().starts_with("/cron/");
    let allowed = allowed(host, provider.deadline, is_scheduled);
    let allowed = SignedDuration::try_from(allowed).unwrap_or(SignedDuration::from_secs(25));
    let deadline = started.after(allowed);
    request.extensions_mut().insert(Deadline::at(deadline));
    let request_id = format!("{:016x}", provider.entropy.draw());
    let trace = Trace::of(request.extensions(), request.headers(), &request_id);
    let span = span(&request_id, trace.as_ref());
    let wide = Wide::new(trace);
    wide.note(Field::HttpMethod, request.method().as_str());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    wide.note(Field::HttpRoute, route);
    let open = Open { provider, wide: wide.clone(), span: span.clone(), started, deadline, status: None };
    let token = take_token(request.headers_mut());
    let serving = with_request_token(token, next.run(request));
    let mut response = wide.scope(serving).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    open.answered(response.status());
    response
}

/// The token by which Vercel says which project the request is for. It is for the store's credentials alone: no
/// flow, and no log of headers, shall see it.
fn take_token(headers: &mut HeaderMap) -> Option<SecretString> {
    let token = headers.remove(TOKEN_HEADER)?;
    let text = token.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES_MAX)?;
    Some(SecretString::from(text))
}

/// The span of a request. What begins with `otel.` is for traces only: logs leave it out.
fn span(request_id: &str, trace: Option<&Trace>) -> Span {
    tracing::info_span!(
        "request",
        request.id = request_id,
        trace.id = trace.map(|trace| tracing::field::display(trace.id())),
        otel.kind = "server",
        otel.span_id = request_id,
        otel.parent_id = trace.and_then(Trace::parent).map(tracing::field::display),
        otel.is_kept = trace.is_some_and(Trace::is_kept),
    )
}

/// A request that is being served. Its wide event is written when it ends, however it ends.
struct Open {
    provider: Provider,
    wide: Wide,
    span: Span,
    started: LeaseTime,
    deadline: LeaseTime,
    status: Option<StatusCode>,
}

impl Open {
    fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let wide = &self.wide;
        match self.status {
            Some(status) => wide.note(Field::HttpStatus, status.as_u16()),
            // The host answers for us; what panicked is in the log already.
            None if std::thread::panicking() => {
                wide.note(Field::HttpStatus, StatusCode::INTERNAL_SERVER_ERROR.as_u16());
                wide.note(Field::ErrorCode, Code::Internal.as_str());
                wide.note(Field::ErrorCause, "panicked");
            }
            None => wide.note(Field::RequestCancelled, true),
        }
        let now = self.provider.lease.now();
        let milliseconds = |duration: SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        wide.note(Field::DurationMs, milliseconds(now.since(self.started)));
        wide.note(Field::DeadlineLeftMs, milliseconds(self.deadline.since(now)));
        self.span.in_scope(|| wide.emit());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduled_run_gets_what_the_platform_leaves_and_a_caller_is_not_kept_waiting() {
        let seconds = Duration::from_secs;
        for (host, configured, is_scheduled, wanted) in [
            (Some(60), 25, true, 60),
            (Some(10), 25, true, 10),
            (None, 25, true, 25),
            (None, 300, true, 300),
            (Some(60), 25, false, 25),
            (Some(60), 300, false, 29),
            (Some(10), 25, false, 10),
            (None, 300, false, 29),
            (None, 25, false, 25),
        ] {
            let allowed = allowed(host.map(seconds), seconds(configured), is_scheduled);
            assert_eq!(allowed, seconds(wanted), "{host:?} {configured} {is_scheduled}");
        }
    }
}
