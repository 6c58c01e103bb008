//! HTTP by event: API Gateway's two payload formats (function URLs use the second) to requests, and
//! responses back. Used by the Lambda side only.
//!
//! The events' types are `lambda_http`'s; the conversion is ours, because that crate's panics on a host, a
//! path or a body that it cannot parse, and glues the stage's name to the path. What cannot be made a
//! request is answered 400 or 413 here.

use axum::body::{Body, Bytes};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use serde_json::{Map, Value, json};

use crate::guard::BODY_BYTES_MAX;

/// The payload format of an event, and so of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// REST APIs.
    V1,
    /// HTTP APIs and function URLs.
    V2,
}

/// The request in the event. 400 when it cannot be one, 413 when the body is longer than any function takes.
pub(super) fn request(raw: &str, shape: Shape) -> Result<Request<Body>, StatusCode> {
    match shape {
        Shape::V1 => from_v1(serde_json::from_str(raw).map_err(|_| StatusCode::BAD_REQUEST)?),
        Shape::V2 => from_v2(serde_json::from_str(raw).map_err(|_| StatusCode::BAD_REQUEST)?),
    }
}

fn from_v1(event: ApiGatewayProxyRequest) -> Result<Request<Body>, StatusCode> {
    let query = if event.multi_value_query_string_parameters.is_empty() {
        event.query_string_parameters
    } else {
        event.multi_value_query_string_parameters
    };
    let query: Vec<_> = query.iter().map(|(k, v)| format!("{}={}", encoded(k, &[]), encoded(v, &[]))).collect();
    let mut request = Request::new(body(event.body, event.is_base64_encoded)?);
    *request.uri_mut() = uri(event.path.as_deref().unwrap_or("/"), &query.join("&"))?;
    *request.method_mut() = event.http_method;
    let many = event.multi_value_headers;
    *request.headers_mut() = if many.is_empty() { event.headers } else { many };
    Ok(request)
}

fn from_v2(event: ApiGatewayV2httpRequest) -> Result<Request<Body>, StatusCode> {
    let path = event.raw_path.as_deref().unwrap_or("/");
    let stage = event.request_context.stage.as_deref().filter(|stage| *stage != "$default");
    let named = event.request_context.domain_name.as_deref().is_some_and(|name| name.contains(".execute-api."));
    // Without a domain of its own, a named stage is the first part of the path.
    let path = match stage.filter(|_| named) {
        Some(stage) => without_stage(path, stage).unwrap_or(path),
        None => path,
    };
    let mut request = Request::new(body(event.body, event.is_base64_encoded)?);
    *request.uri_mut() = uri(path, event.raw_query_string.as_deref().unwrap_or_default())?;
    *request.method_mut() = event.request_context.http.method;
    *request.headers_mut() = event.headers;
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty()) {
        let cookies = HeaderValue::from_str(&cookies.join("; ")).map_err(|_| StatusCode::BAD_REQUEST)?;
        request.headers_mut().insert(header::COOKIE, cookies);
    }
    Ok(request)
}

fn without_stage<'a>(path: &'a str, stage: &str) -> Option<&'a str> {
    let rest = path.strip_prefix('/')?.strip_prefix(stage)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn uri(path: &str, query: &str) -> Result<Uri, StatusCode> {
    let path = encoded(path, b"/%:@!$&'()*+,;=");
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let uri = if query.is_empty() { path } else { format!("{path}?{query}") };
    uri.parse().map_err(|_| StatusCode::BAD_REQUEST)
}

/// Percent-encodes all but the unreserved characters and `kept`.
fn encoded(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}

fn body(text: Option<String>, base64: bool) -> Result<Body, StatusCode> {
    let text = text.unwrap_or_default();
    let bytes = if base64 { text.len() / 4 * 3 } else { text.len() };
    // Base64 ends in up to two bytes of padding; the guard counts the decoded bytes exactly.
    if bytes > BODY_BYTES_MAX + 2 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let bytes = if base64 { STANDARD.decode(text).map_err(|_| StatusCode::BAD_REQUEST)? } else { text.into_bytes() };
    if bytes.len() > BODY_BYTES_MAX {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(Body::from(bytes))
}

/// The response as the API expects it from a function.
pub(super) async fn answer(response: Response, shape: Shape) -> Value {
    let (mut parts, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::error!(error.message = %error, "response body failed");
            parts.status = StatusCode::INTERNAL_SERVER_ERROR;
            parts.headers = HeaderMap::new();
            Bytes::new()
        }
    };
    let (body, base64) = match std::str::from_utf8(&bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(&bytes), true),
    };
    let mut answer = json!({"statusCode": parts.status.as_u16(), "body": body, "isBase64Encoded": base64});
    match shape {
        Shape::V1 => answer["multiValueHeaders"] = by_name(&parts.headers, |values| json!(values)),
        Shape::V2 => {
            answer["cookies"] = json!(texts(&parts.headers, &header::SET_COOKIE));
            parts.headers.remove(header::SET_COOKIE);
            answer["headers"] = by_name(&parts.headers, |values| json!(values.join(", ")));
        }
    }
    answer
}

fn by_name(headers: &HeaderMap, value: impl Fn(Vec<String>) -> Value) -> Value {
    headers.keys().map(|name| (name.to_string(), value(texts(headers, name)))).collect::<Map<_, _>>().into()
}

fn texts(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}
