//! The trace that a request belongs to, if it belongs to one, and what its calls out carry of it.
//!
//! A host that keeps traces says so with a [`TraceContext`] among the request's extensions; then the request and its
//! calls are spans of ours. Without one, a caller's own `traceparent` is passed on as it came: what the
//! callee does hangs below the caller then.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{Extensions, HeaderMap};
use tradepost_marketplace::trace_context::{SpanId, TRACEPARENT, TraceContext, TraceId};

use crate::digest::digest_of;

/// The trace of one request.
pub(crate) struct Trace {
    context: TraceContext,
    /// The request's own span, where it is kept.
    span: Option<SpanId>,
    calls: AtomicU64,
}

/// A call out.
pub(crate) struct Call {
    /// Its span, where it is kept.
    pub(crate) span: Option<SpanId>,
    /// Its `traceparent`.
    pub(crate) header: String,
}

impl Trace {
    /// The trace of a request whose id is `request_id`: 16 hexadecimal digits, and its span's id as well.
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap, request_id: &str) -> Option<Self> {
        let calls = AtomicU64::new(0);
        if let Some(context) = extensions.get::<TraceContext>() {
            let span = SpanId::parse(request_id)?;
            return Some(Self { context: *context, span: Some(span), calls });
        }
        let mut sent = headers.get_all(TRACEPARENT).iter();
        let context = TraceContext::parse(sent.next()?.as_bytes())?;
        sent.next().is_none().then_some(Self { context, span: None, calls })
    }

    /// Which trace.
    pub(crate) const fn id(&self) -> TraceId {
        self.context.trace
    }

    /// The caller's span.
    pub(crate) const fn parent(&self) -> Option<SpanId> {
        self.context.parent
    }

    /// Whether its spans are kept: a host keeps traces, and this one.
    pub(crate) const fn is_kept(&self) -> bool {
        self.span.is_some() && self.context.sampled
    }

    /// The next call: its id follows from the request's.
    pub(crate) fn call(&self) -> Call {
        let span = self.span.and_then(|span| {
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            let digest = digest_of(&[b"call", &span.0, &number.to_be_bytes()]);
            SpanId::parse(&digest[..16])
        });
        let by = span.or(self.span).or(self.context.parent);
        Call { span, header: by.map(|by| self.context.header(by)).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (TRACEPARENT.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn without_a_host_that_keeps_traces_the_callers_is_passed_on_as_it_came() {
        let trace = Trace::of(&Extensions::new(), &headers(&[SENT]), "00000000000000ff").unwrap();
        assert!(!trace.is_kept());
        let call = trace.call();
        assert_eq!((call.span, call.header.as_str()), (None, SENT));
        for not_one in [&[] as &[_], &["00-junk"], &[SENT, SENT]] {
            assert!(Trace::of(&Extensions::new(), &headers(not_one), "00000000000000ff").is_none(), "{not_one:?}");
        }
    }

    #[test]
    fn with_one_each_call_is_a_span_of_its_own() {
        let mut extensions = Extensions::new();
        extensions.insert(TraceContext::parse(SENT.as_bytes()).unwrap());
        let trace = Trace::of(&extensions, &headers(&[]), "00000000000000ff").unwrap();
        assert!(trace.is_kept());
        let (one, two) = (trace.call(), trace.call());
        assert!(one.span.is_some() && one.span != two.span);
        let header = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", one.span.unwrap());
        assert_eq!(one.header, header);
    }
}
