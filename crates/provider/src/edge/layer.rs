//! What wraps every flow: a request id, one wide log event a request, and the deadline.
//!
//! The wide event has the method, the matched route (never the raw path: it may carry what a log must
//! not), the status, the duration, and what the flow recorded of itself through [`note`].

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use jiff::SignedDuration;
use secrecy::SecretString;
use tracing::Instrument;
use tradepost_store::connect::identity::{TOKEN_BYTES_MAX, TOKEN_HEADER, with_request_token};

use crate::provider::{Deadline, Provider};

/// The header that every response carries.
pub const REQUEST_ID: &str = "x-request-id";

/// How much of a request's time a host may say is left (`Marks::deadline` of the host puts it here).
#[derive(Debug, Clone, Copy)]
pub struct HostDeadline(pub std::time::Duration);

/// Marks a request with the time its platform leaves it.
pub fn mark_deadline(extensions: &mut http::Extensions, remaining: std::time::Duration) {
    extensions.insert(HostDeadline(remaining));
}

/// What a flow says of itself in the wide event.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<(&'static str, String)>>>);

tokio::task_local! {
    static NOTES: Notes;
}

/// Records a field for the wide event of the request being served. Never a secret, a body or an e-mail.
pub fn note(field: &'static str, value: impl Display) {
    let _ = NOTES.try_with(|notes| {
        if let Ok(mut list) = notes.0.lock() {
            list.push((field, value.to_string()));
        }
    });
}

/// Wraps a flow's routes. `MatchedPath` is only there inside the router, so the layer goes on last.
pub fn wrap(provider: &Provider, routes: Router<Provider>) -> Router {
    let layer = middleware::from_fn_with_state(provider.clone(), serve);
    routes.layer(layer).with_state(provider.clone())
}

async fn serve(State(provider): State<Provider>, mut request: Request, next: Next) -> Response {
    let started = provider.lease.now();
    let allowed = match request.extensions().get::<HostDeadline>() {
        Some(HostDeadline(remaining)) => (*remaining).min(provider.deadline),
        None => provider.deadline,
    };
    let allowed = SignedDuration::try_from(allowed).unwrap_or(SignedDuration::from_secs(25));
    request.extensions_mut().insert(Deadline(started.saturating_add(allowed).unwrap_or(started)));
    let request_id = format!("{:016x}", provider.entropy.draw());
    let route = request.extensions().get::<MatchedPath>().map_or_else(String::new, |path| path.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!("request", request.id = %request_id);
    let notes = Notes::default();
    let token = take_token(request.headers_mut());
    let answered = with_request_token(token, next.run(request).instrument(span.clone()));
    let mut response = NOTES.scope(notes.clone(), answered).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let fields = notes.0.lock().map(|list| join(&list)).unwrap_or_default();
    span.in_scope(|| {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = response.status().as_u16(),
            duration_ms = u64::try_from(provider.lease.now().duration_since(started).as_millis()).unwrap_or(0),
            notes = fields,
            "request"
        );
    });
    response
}

/// The token by which Vercel says which project the request is for. It is for the store's credentials alone: no
/// flow, and no log of headers, shall see it.
fn take_token(headers: &mut HeaderMap) -> Option<SecretString> {
    let token = headers.remove(TOKEN_HEADER)?;
    let text = token.to_str().ok().filter(|text| text.len() <= TOKEN_BYTES_MAX)?;
    Some(SecretString::from(text))
}

fn join(notes: &[(&'static str, String)]) -> String {
    notes.iter().map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
}
