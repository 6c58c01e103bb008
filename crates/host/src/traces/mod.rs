//! Traces: spans of requests and of their calls out, sent as OTLP over HTTP. Behind the cargo feature `otel`.
//!
//! [`Traces`] stands before the router. It reads the caller's `traceparent` from whoever sends one (it is an id and
//! lets nobody in) or begins a trace, decides whether the trace is kept ([`sampler`]), and tells the router with a
//! [`TraceContext`] among the request's extensions. [`spans`] collects the spans that the router then opens, and
//! before the answer leaves they are sent ([`otlp`]): a function freezes once it has answered. That takes at most
//! [`FLUSH_MAX`], and no more than Lambda says is left of the request's time; what cannot be sent is dropped and
//! logged, and fails no request.
//!
//! Written by hand instead of taken from `opentelemetry-otlp`: its SDK exports on a thread of its own and flushes by
//! blocking the caller, which on our single-threaded runtime, before every answer, is a thread more and a deadlock
//! with an async client; and it would come to time, chance, environment and network by ways that are not our doors.
//! What is needed of OTLP is one JSON document.

mod otlp;
mod sampler;
mod settings;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{Extensions, HeaderMap};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use tradepost_marketplace::doors::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
use tradepost_marketplace::http_door::{HttpDoor, Network};
use tradepost_marketplace::trace_context::{TRACEPARENT, TraceContext, TraceId};

use crate::PlaceError;
use settings::Settings;
use spans::{Buffer, Spans};

/// The longest that sending spans may hold an answer back.
pub const FLUSH_MAX: Duration = Duration::from_secs(2);
/// With less time than this it is not tried; the spans wait for the next request.
const FLUSH_MIN: Duration = Duration::from_millis(50);
/// What sending leaves of the request's time for the way back.
const MARGIN: Duration = Duration::from_millis(500);

const USER_AGENT: &str = concat!("tradepost-host/", env!("CARGO_PKG_VERSION"));

/// How long the platform leaves for a request, counted from its arrival. For this module; flows have the mark.
#[derive(Debug, Clone, Copy)]
struct Left(Duration);

/// Tells how long a request may take.
pub(crate) fn tell_time(extensions: &mut Extensions, remaining: Duration) {
    extensions.insert(Left(remaining));
}

/// Keeps traces and sends them. Cheap to clone.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    settings: Settings,
    http: HttpDoor,
    buffer: Buffer,
}

impl Traces {
    /// What is wrong with the variables.
    pub(crate) fn problem(environment: &dyn Environment) -> Option<PlaceError> {
        Settings::of("any", environment).err()
    }

    /// By the environment (`docs/logging.md`); none where it names no collector.
    pub fn of(function: &str, environment: &dyn Environment) -> anyhow::Result<Option<Self>> {
        let Some(settings) = Settings::of(function, environment)? else { return Ok(None) };
        let http = Arc::new(Network::new(USER_AGENT)?);
        Ok(Some(Self(Arc::new(Inner { settings, http, buffer: Buffer::default() }))))
    }

    /// What collects the spans. Sees our own code's alone: a span of a library below would be a span of every trace.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        Spans::new(self.0.buffer.clone()).with_filter(Targets::new().with_target("tradepost", LevelFilter::INFO))
    }

    /// The router with its requests' spans kept and sent.
    pub fn around(&self, router: Router) -> Router {
        let traces = self.clone();
        router.layer(middleware::from_fn(move |request, next| traces.clone().serve(request, next)))
    }

    async fn serve(self, mut request: Request, next: Next) -> Response {
        let began = SystemClock.now();
        let left = request.extensions().get::<Left>().map_or(Duration::MAX, |left| left.0);
        let context = self.context(request.headers());
        request.extensions_mut().insert(context);
        let response = next.run(request).await;
        let spent = Duration::try_from(SystemClock.now().duration_since(began)).unwrap_or_default();
        self.flush(left.saturating_sub(spent + MARGIN).min(FLUSH_MAX)).await;
        response
    }

    /// The caller's trace, or a new one.
    fn context(&self, headers: &HeaderMap) -> TraceContext {
        let mut sent = headers.get_all(TRACEPARENT).iter();
        let only = sent.next().filter(|_| sent.next().is_none());
        let context = only.and_then(|header| TraceContext::parse(header.as_bytes())).unwrap_or_else(|| {
            let mut bytes = [0; 16];
            SystemEntropy.fill(&mut bytes);
            // Never all zero.
            bytes[0] |= 1;
            TraceContext { trace: TraceId(bytes), parent: None, sampled: false }
        });
        TraceContext { sampled: self.0.settings.sampler.keeps(&context), ..context }
    }

    /// Sends what there is, within the time.
    async fn flush(&self, within: Duration) {
        if within < FLUSH_MIN {
            return;
        }
        let taken = self.0.buffer.take();
        if taken.dropped > 0 {
            tracing::warn!(spans.dropped = taken.dropped, "a request had more spans than are kept");
        }
        if taken.spans.is_empty() {
            return;
        }
        let count = taken.spans.len();
        let settings = &self.0.settings;
        let sent = otlp::send(&self.0.http, settings, &taken.spans, within.min(settings.timeout)).await;
        if let Err(error) = sent {
            tracing::warn!(spans.count = count, error.cause = %error, "spans were not sent");
        }
    }
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
