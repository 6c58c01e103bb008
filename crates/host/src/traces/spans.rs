//! Collects the spans of requests. A span is kept if it says which trace it belongs to (`trace.id`, and `otel.is_kept`)
//! or lies within one that is kept. What it says of itself are its attributes; so are the fields of an event inside it
//! that has its name, which is how a request's wide event is on its span. Warnings and errors inside it are its events.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tradepost_marketplace::doors::{Clock, Entropy, SystemClock, SystemEntropy};
use tradepost_marketplace::trace_context::{SpanId, TraceId};

/// The most spans that wait to be sent. A request's own is always kept: it ends last.
pub(super) const SPANS_MAX: usize = 1_000;
/// The most events of one span.
const EVENTS_MAX: usize = 32;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// What happened inside a span.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) at: Timestamp,
    pub(super) name: String,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

/// A span.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) is_server: bool,
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
    /// Whether an error was logged in it.
    pub(super) failed: bool,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) events: Vec<Happened>,
}

/// Spans that wait to be sent.
#[derive(Clone, Default)]
pub(super) struct Buffer(Arc<Mutex<Taken>>);

/// What was waiting.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) spans: Vec<Kept>,
    pub(super) dropped: u32,
}

impl Buffer {
    pub(super) fn take(&self) -> Taken {
        std::mem::take(&mut *self.lock())
    }

    fn put(&self, span: Kept) {
        let mut waiting = self.lock();
        if waiting.spans.len() < SPANS_MAX || span.is_server {
            waiting.spans.push(span);
        } else {
            waiting.dropped = waiting.dropped.saturating_add(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects spans into a buffer.
pub(super) struct Spans(Buffer);

impl Spans {
    pub(super) fn new(buffer: Buffer) -> Self {
        Self(buffer)
    }
}

impl<S> Layer<S> for Spans
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        let above = span.scope().skip(1).find_map(|above| {
            let extensions = above.extensions();
            extensions.get::<Kept>().map(|kept| (kept.trace, kept.id))
        });
        let (trace, parent) = match (said.trace, above) {
            (Some(trace), _) if said.is_kept => (trace, said.parent),
            (None, Some((trace, id))) => (trace, Some(id)),
            _ => return,
        };
        let began = SystemClock.now();
        span.extensions_mut().insert(Kept {
            trace,
            id: said.id.unwrap_or_else(drawn),
            parent,
            name: said.name.unwrap_or_else(|| span.name().to_owned()),
            is_server: said.is_server,
            began,
            ended: began,
            failed: false,
            attributes: said.attributes,
            events: Vec::new(),
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(kept) = span.extensions_mut().get_mut::<Kept>() {
            let mut said = Said::default();
            values.record(&mut said);
            kept.say(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(kept) = extensions.get_mut::<Kept>() else { return };
        let mut said = Said::default();
        event.record(&mut said);
        if said.message == span.name() {
            kept.say(said);
        } else if *event.metadata().level() <= Level::WARN {
            kept.failed |= *event.metadata().level() == Level::ERROR;
            if kept.events.len() < EVENTS_MAX {
                kept.events.push(Happened { at: SystemClock.now(), name: said.message, attributes: said.attributes });
            }
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        let kept = span.extensions_mut().remove::<Kept>();
        if let Some(mut kept) = kept {
            kept.ended = SystemClock.now();
            self.0.put(kept);
        }
    }
}

fn drawn() -> SpanId {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    // Never all zero.
    bytes[0] |= 1;
    SpanId(bytes)
}

impl Kept {
    fn say(&mut self, said: Said) {
        self.attributes.extend(said.attributes);
    }

    /// An attribute's value.
    pub(super) fn get(&self, wanted: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }
}

/// What a span or an event says, its names as OpenTelemetry has them.
#[derive(Default)]
struct Said {
    message: String,
    trace: Option<TraceId>,
    parent: Option<SpanId>,
    id: Option<SpanId>,
    name: Option<String>,
    is_server: bool,
    is_kept: bool,
    attributes: Vec<(&'static str, Value)>,
}

/// Our name of a field, where OpenTelemetry's conventions have another.
fn conventional(name: &'static str) -> &'static str {
    match name {
        "http.method" => "http.request.method",
        "http.status" => "http.response.status_code",
        "error.code" => "error.type",
        "error.cause" => "error.message",
        other => other,
    }
}

impl Said {
    fn attribute(&mut self, field: &Field, value: Value) {
        self.attributes.push((conventional(field.name()), value));
    }
}

impl Visit for Said {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attribute(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "otel.is_kept" {
            self.is_kept = value;
        } else {
            self.attribute(field, Value::Flag(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "trace.id" => self.trace = TraceId::parse(value),
            "otel.parent_id" => self.parent = SpanId::parse(value),
            "otel.span_id" => self.id = SpanId::parse(value),
            "otel.name" => self.name = Some(value.to_owned()),
            "otel.kind" => self.is_server = value == "server",
            _ => self.attribute(field, Value::Text(value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
