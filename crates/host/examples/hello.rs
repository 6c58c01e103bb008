//! The smallest function, and what the host's own tests run: it tells what the host hands to a router.
//!
//! `GET /hello`, `POST /echo`, `GET /remaining` (the deadline's mark, in milliseconds), `GET|POST /cron/hello`
//! (200 with the scheduled mark, 401 without), `GET /panic`, `GET /traced` (a request's span with a call in it, as the
//! provider opens them, where the host keeps traces; else 404). Refuses to start without `GREETING`.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use http::{Extensions, StatusCode};
use tradepost_host::{Marks, Place};
use tradepost_marketplace::doors::{Environment, ProcessEnvironment};
use tradepost_marketplace::trace_context::{TARGET, TraceContext};

/// Spans are kept of our own crates only, by their names.
const OURS: &str = "tradepost_hello";

#[derive(Clone)]
struct Scheduled;

#[derive(Clone)]
struct Remaining(Duration);

fn mark_scheduled(extensions: &mut Extensions) {
    extensions.insert(Scheduled);
}

fn mark_deadline(extensions: &mut Extensions, remaining: Duration) {
    extensions.insert(Remaining(remaining));
}

fn main() -> ExitCode {
    tradepost_host::main("hello", Marks { scheduled: mark_scheduled, deadline: mark_deadline }, &[], router)
}

fn router(place: Place) -> Result<Router, String> {
    let greeting = ProcessEnvironment.var("GREETING").ok_or("GREETING is not set; hello cannot start without it")?;
    let place = place.name();
    Ok(Router::new()
        .route("/hello", get(move || async move { format!("{greeting} from {place}") }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/remaining", get(remaining))
        .route("/cron/hello", get(cron).post(cron))
        .route("/traced", get(traced))
        .route("/panic", get(panic)))
}

async fn traced(request: Request) -> StatusCode {
    let Some(context) = request.extensions().get::<TraceContext>() else { return StatusCode::NOT_FOUND };
    let served = tracing::info_span!(
        target: OURS,
        "request",
        request.id = "00000000000000ff",
        trace.id = %context.trace,
        otel.kind = "server",
        otel.span_id = "00000000000000ff",
        otel.parent_id = context.parent.map(tracing::field::display),
        otel.is_kept = context.sampled,
    );
    served.in_scope(|| {
        let call = tracing::info_span!(target: TARGET, "call", otel.name = "vercel", otel.kind = "client");
        call.in_scope(|| tracing::warn!(target: OURS, tries = 1, "call to Vercel will be tried again"));
        drop(call);
        tracing::info!(target: OURS, { http.method = "GET", http.route = "/traced", http.status = 200 }, "request");
    });
    StatusCode::OK
}

async fn remaining(request: Request) -> String {
    let remaining = request.extensions().get::<Remaining>();
    remaining.map_or_else(|| "unknown".to_owned(), |remaining| remaining.0.as_millis().to_string())
}

async fn cron(request: Request) -> StatusCode {
    if request.extensions().get::<Scheduled>().is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn panic() {
    let secret = "hunter2";
    panic!("held {secret}");
}
