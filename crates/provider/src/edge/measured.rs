//! The doors of a [`crate::Provider`] as its requests see them: each call is counted in the request's wide event, and
//! is a span of its request's trace where traces are kept. The flows notice nothing of it.
//!
//! The spans have a target of their own, [`TARGET`], which logs leave out: without somebody who keeps traces they
//! cost a comparison. Calls to the provisioner carry the trace on (`traceparent`); calls to Vercel do not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tradepost_marketplace::http_door::{Http, HttpDoor, HttpError};
use tradepost_marketplace::trace_context::{TARGET, TRACEPARENT};
use tradepost_store::backend::{Backend, BackendError, IndexQuery, Item, Page, SliceQuery};
use tradepost_store::{Key, Write};

use super::wide::{self, Field};

/// The store's door, counted.
pub(crate) fn store(inner: Arc<dyn Backend>) -> Arc<dyn Backend> {
    Arc::new(MeasuredBackend(inner))
}

/// A door to Vercel, counted.
pub(crate) fn vercel(inner: HttpDoor) -> HttpDoor {
    Arc::new(MeasuredHttp { inner, count: Field::VercelCalls, peer: "vercel", carries_trace: false })
}

/// The door to the provisioner, counted; it carries the trace on.
pub(crate) fn provisioner(inner: HttpDoor) -> HttpDoor {
    Arc::new(MeasuredHttp { inner, count: Field::ProvisionerCalls, peer: "provisioner", carries_trace: true })
}

struct MeasuredHttp {
    inner: HttpDoor,
    count: Field,
    peer: &'static str,
    carries_trace: bool,
}

#[async_trait]
impl Http for MeasuredHttp {
    async fn send(&self, mut request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        wide::count(self.count, 1);
        let call = wide::call();
        let span = tracing::info_span!(
            target: TARGET,
            "call",
            otel.name = self.peer,
            otel.kind = "client",
            otel.span_id = call.as_ref().and_then(|call| call.span).map(tracing::field::display),
            peer.service = self.peer,
            http.request.method = request.method().as_str(),
            server.address = request.uri().host(),
            http.response.status_code = Empty,
            error.type = Empty,
        );
        if let Some(call) = call.filter(|_| self.carries_trace)
            && let Ok(value) = HeaderValue::try_from(call.header)
        {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        let answer = self.inner.send(request, timeout).instrument(span.clone()).await;
        match &answer {
            Ok(answer) => {
                span.record("http.response.status_code", answer.status().as_u16());
            }
            Err(error) => {
                let kind = match error {
                    HttpError::NotSent(_) => "not_sent",
                    HttpError::NoAnswer(_) => "no_answer",
                    HttpError::TooLarge => "too_large",
                };
                span.record("error.type", kind);
            }
        }
        answer
    }
}

struct MeasuredBackend(Arc<dyn Backend>);

/// Counts one call, and names it as DynamoDB does.
fn begin(operation: &'static str) -> Span {
    wide::count(Field::StoreCalls, 1);
    tracing::info_span!(
        target: TARGET,
        "store",
        otel.name = operation,
        otel.kind = "client",
        db.system.name = "aws.dynamodb",
        db.operation.name = operation,
        error.type = Empty,
    )
}

async fn measured<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, BackendError>> + Send,
) -> Result<T, BackendError> {
    let span = begin(operation);
    let answer = call.instrument(span.clone()).await;
    if let Err(error) = &answer {
        let kind = match error {
            BackendError::Throttled => "throttled",
            BackendError::Conflict => "conflict",
            BackendError::Timeout { .. } => "timeout",
            // A guard that does not hold is an answer, not a failure.
            BackendError::Condition { .. } | BackendError::TokenMismatch => return answer,
            BackendError::Format(_) => "unknown_format",
            BackendError::Identity(_) => "no_credentials",
            BackendError::Other(_) => "other",
        };
        span.record("error.type", kind);
    }
    answer
}

#[async_trait]
impl Backend for MeasuredBackend {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        measured("GetItem", self.0.get(key)).await
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        measured("Query", self.0.query(query)).await
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        measured("Query", self.0.query_index(query)).await
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        measured("write", self.0.write(write)).await
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        measured("TransactWriteItems", self.0.transact(writes, token)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::{Extensions, HeaderMap};
    use tradepost_marketplace::trace_context::TraceContext;

    use super::*;
    use crate::edge::trace::Trace;
    use crate::edge::wide::Wide;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// Answers nothing, and keeps each request's `traceparent`.
    #[derive(Default)]
    struct Listener(Mutex<Vec<Option<String>>>);

    #[async_trait]
    impl Http for Listener {
        async fn send(&self, request: Request<Bytes>, _: Duration) -> Result<Response<Bytes>, HttpError> {
            let header = request.headers().get(TRACEPARENT).map(|value| value.to_str().unwrap().to_owned());
            self.0.lock().unwrap().push(header);
            Err(HttpError::NoAnswer("silent".to_owned()))
        }
    }

    /// What two calls through a door carry, in a request that belongs to a trace, or to none.
    async fn carried(door: fn(HttpDoor) -> HttpDoor, trace: Option<Trace>) -> Vec<Option<String>> {
        let listener = Arc::new(Listener::default());
        let door = door(listener.clone());
        let calls = async {
            for _ in 0..2 {
                let request = Request::get("https://example.com/").body(Bytes::new()).unwrap();
                door.send(request, Duration::from_secs(1)).await.unwrap_err();
            }
        };
        Wide::new(trace).scope(calls).await;
        listener.0.lock().unwrap().clone()
    }

    fn kept() -> Option<Trace> {
        let mut extensions = Extensions::new();
        extensions.insert(TraceContext::parse(SENT.as_bytes()).unwrap());
        Trace::of(&extensions, &HeaderMap::new(), "00000000000000ff")
    }

    fn passed_on() -> Option<Trace> {
        let headers = [(TRACEPARENT.parse().unwrap(), HeaderValue::from_static(SENT))].into_iter().collect();
        Trace::of(&Extensions::new(), &headers, "00000000000000ff")
    }

    #[tokio::test]
    async fn the_trace_goes_to_the_provisioner_and_never_to_vercel() {
        let [one, two] = &carried(provisioner, kept()).await[..] else { panic!("two calls") };
        let contexts = [one, two].map(|header| TraceContext::parse(header.as_ref().unwrap().as_bytes()).unwrap());
        assert!(contexts.iter().all(|context| context.trace.to_string() == SENT[3..35] && context.sampled));
        assert_ne!(contexts[0].parent, contexts[1].parent, "each call is a span of its own");
        assert_eq!(carried(provisioner, passed_on()).await, [Some(SENT.to_owned()), Some(SENT.to_owned())]);
        assert_eq!(carried(provisioner, None).await, [None, None]);
        for trace in [kept(), passed_on(), None] {
            assert_eq!(carried(vercel, trace).await, [None, None]);
        }
    }
}
