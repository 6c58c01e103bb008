//! Spans as OTLP has them in JSON (opentelemetry-proto, `ExportTraceServiceRequest`): ids in hexadecimal, instants in
//! nanoseconds as texts, enumerations as numbers. One document, one POST, no second try: the next request's spans
//! matter more than the last's.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tradepost_marketplace::http_door::{HttpDoor, HttpError};

use super::settings::Settings;
use super::spans::{Happened, Kept, Value};

const KIND_SERVER: u8 = 2;
const KIND_CLIENT: u8 = 3;
const STATUS_ERROR: u8 = 2;

/// Why spans did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the collector's address is not one")]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the collector answered {0}")]
    Refused(u16),
    #[error("the collector rejected {0} of the spans")]
    Rejected(u64),
}

/// Sends them.
pub(super) async fn send(
    http: &HttpDoor,
    settings: &Settings,
    spans: &[Kept],
    within: Duration,
) -> Result<(), SendError> {
    let body = document(&settings.resource, spans).to_string();
    let mut request =
        Request::builder().method(Method::POST).uri(settings.url.clone()).body(Bytes::from(body.into_bytes()))?;
    request.headers_mut().extend(settings.headers.clone());
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = http.send(request, within).await?;
    if !answer.status().is_success() {
        return Err(SendError::Refused(answer.status().as_u16()));
    }
    match rejected(answer.body()) {
        0 => Ok(()),
        some => Err(SendError::Rejected(some)),
    }
}

/// A success may be one in part. 64-bit numbers are texts in this JSON, and are taken as numbers, too.
fn rejected(body: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0)
}

fn document(resource: &[(String, String)], spans: &[Kept]) -> Json {
    let resource = resource.iter().map(|(name, value)| attribute(name, &Value::Text(value.clone())));
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource.collect::<Vec<_>>() },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }],
    })
}

fn span(kept: &Kept) -> Json {
    let mut span = json!({
        "traceId": kept.trace.to_string(),
        "spanId": kept.id.to_string(),
        "name": name(kept),
        "kind": if kept.is_server { KIND_SERVER } else { KIND_CLIENT },
        "startTimeUnixNano": nanoseconds(kept.began),
        "endTimeUnixNano": nanoseconds(kept.ended),
        "attributes": attributes(&kept.attributes),
        "events": kept.events.iter().map(event).collect::<Vec<_>>(),
        "flags": 1,
    });
    if let Some(parent) = kept.parent {
        span["parentSpanId"] = json!(parent.to_string());
    }
    if failed(kept) {
        span["status"] = json!({ "code": STATUS_ERROR });
    }
    span
}

/// A request is called by its method and route, which it tells at its end.
fn name(kept: &Kept) -> String {
    match (kept.is_server, kept.get("http.request.method"), kept.get("http.route")) {
        (true, Some(Value::Text(method)), Some(Value::Text(route))) => format!("{method} {route}"),
        _ => kept.name.clone(),
    }
}

/// A refusal is the caller's failure, not the server's.
fn failed(kept: &Kept) -> bool {
    let least = if kept.is_server { 500 } else { 400 };
    let refused = matches!(kept.get("http.response.status_code"), Some(Value::Number(status)) if *status >= least);
    kept.failed || refused || (!kept.is_server && kept.get("error.type").is_some())
}

fn event(happened: &Happened) -> Json {
    json!({
        "timeUnixNano": nanoseconds(happened.at),
        "name": happened.name,
        "attributes": attributes(&happened.attributes),
    })
}

fn nanoseconds(at: Timestamp) -> String {
    at.as_nanosecond().to_string()
}

fn attributes(attributes: &[(&'static str, Value)]) -> Vec<Json> {
    attributes.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Flag(flag) => json!({ "boolValue": flag }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_in_part_is_seen() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":"3"}}"#), 3);
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":4,"errorMessage":"no"}}"#), 4);
        for all in [&b"{}"[..], b"", b"{\"partialSuccess\":{}}", b"\x0a\x00"] {
            assert_eq!(rejected(all), 0);
        }
    }
}
