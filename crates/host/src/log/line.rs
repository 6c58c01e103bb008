//! One line of the log: a JSON object, flat, with dotted names.
//!
//! First the time, the level and the constant message, then what the event says, then what is known of the request
//! that it belongs to (the fields of the outermost span, less those that only traces are for), last where in the code
//! it is. An event that has numbers for alarms in it is a metric document as well, where the host was told so.

use std::fmt::{self, Write};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tradepost_marketplace::doors::{Clock, SystemClock};

use crate::metrics::Emf;

/// Span fields that begin with this are for traces.
const FOR_TRACES: &str = "otel.";
const MESSAGE: &str = "message";

/// Writes events as lines.
pub(crate) struct Line {
    pub(crate) emf: Option<Emf>,
}

/// Writes the fields of a span as members of an object, each with a comma before it.
pub(crate) struct Members;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut members = Collected::default();
        fields.record(&mut members);
        writer.write_str(&members.text)
    }
}

impl<S> FormatEvent<S, Members> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, Members>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = SystemClock.now();
        let metadata = event.metadata();
        let mut members = Collected { emf: self.emf.as_ref(), ..Collected::default() };
        event.record(&mut members);
        write!(writer, r#"{{"timestamp":"{now:.6}","level":"{}""#, metadata.level())?;
        write!(writer, r#","message":{}{}"#, json(&members.message), members.text)?;
        if let Some(request) = ctx.event_scope().and_then(|scope| scope.from_root().next())
            && let Some(fields) = request.extensions().get::<FormattedFields<Members>>()
        {
            writer.write_str(fields)?;
        }
        write!(writer, r#","target":{}"#, json(metadata.target()))?;
        if let Some(emf) = &self.emf {
            emf.write(&mut writer, &members.metrics, now)?;
        }
        writeln!(writer, "}}")
    }
}

/// What an event or a span says.
#[derive(Default)]
struct Collected<'a> {
    message: String,
    text: String,
    emf: Option<&'a Emf>,
    /// The metrics among the fields, by their place in the list, and their values.
    metrics: Vec<(usize, i64)>,
}

impl Collected<'_> {
    fn member(&mut self, field: &Field, value: impl Serialize) {
        if !field.name().starts_with(FOR_TRACES) {
            // Writing to a string does not fail.
            let _ = write!(self.text, ",{}:{}", json(field.name()), json(value));
        }
    }
}

fn json(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned())
}

impl Visit for Collected<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(place) = self.emf.and_then(|emf| emf.place(field.name())) {
            self.metrics.push((place, value));
        }
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.member(field, value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            value.clone_into(&mut self.message);
        } else {
            self.member(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
