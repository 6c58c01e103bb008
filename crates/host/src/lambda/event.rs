//! Tells the kinds of events apart by what only the platform writes: the outermost keys. Nothing that an
//! HTTP caller sends reaches that level; it all lies in strings below (`body`, `headers`, `rawPath` …).
//! An event that looks like two kinds at once is none.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::InvocationError;
use super::http_event::Shape;

/// The schedule's constant input is a handful of bytes; a longer event is not compared.
const SCHEDULE_BYTES_MAX: usize = 256;
const SQS: &str = "aws:sqs";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// From anyone who can reach the API.
    Http(Shape),
    /// The constant input `{"tradepost": "cron"}` of the schedule (`formats.md`).
    Schedule,
    /// A batch from a standard SQS queue.
    Queue(Vec<Message>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline<'a> {
    #[serde(borrow)]
    request_context: Option<&'a RawValue>,
    #[serde(borrow)]
    http_method: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(borrow)]
    http: Option<&'a RawValue>,
    #[serde(borrow)]
    elb: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: String,
    event_source: String,
}

pub(super) fn tell(raw: &str) -> Result<Event, InvocationError> {
    let outline: Outline<'_> = serde_json::from_str(raw).map_err(|_| InvocationError::UnknownEvent)?;
    match (outline.request_context, outline.records) {
        (Some(context), None) => shape(&outline, context).map(Event::Http),
        (None, Some(records)) => messages(records).map(Event::Queue),
        (None, None) if is_schedule(raw) => Some(Event::Schedule),
        _ => None,
    }
    .ok_or(InvocationError::UnknownEvent)
}

fn shape(outline: &Outline<'_>, context: &RawValue) -> Option<Shape> {
    let context: Context<'_> = serde_json::from_str(context.get()).ok()?;
    match (outline.version.map(RawValue::get), context.http, outline.http_method, context.elb) {
        (Some(r#""2.0""#), Some(_), _, None) => Some(Shape::V2),
        (None | Some(r#""1.0""#), None, Some(_), None) => Some(Shape::V1),
        _ => None,
    }
}

fn messages(records: &RawValue) -> Option<Vec<Message>> {
    let records: Vec<Record> = serde_json::from_str(records.get()).ok()?;
    let ours = !records.is_empty() && records.iter().all(|record| record.event_source == SQS);
    ours.then(|| records.into_iter().map(|record| Message { id: record.message_id, body: record.body }).collect())
}

fn is_schedule(raw: &str) -> bool {
    raw.len() <= SCHEDULE_BYTES_MAX
        && serde_json::from_str::<Value>(raw).is_ok_and(|event| event == json!({"tradepost": "cron"}))
}
