//! An answer, and short ways to assert it whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

/// Status, headers and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Got {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// JSON; a text where it is none, null where there is nothing.
    pub body: Value,
}

impl Got {
    pub fn of(response: &http::Response<Bytes>) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let bytes = response.body();
        let body = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => json!(String::from_utf8_lossy(bytes)),
        };
        Self { status: response.status().as_u16(), headers, body }
    }

    /// Itself, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Status and body are these.
    #[track_caller]
    pub fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.body), (status, body), "{:?}", self.headers);
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A refusal as Vercel reads it (spec B, "Error response"): the envelope and nothing else.
    #[track_caller]
    pub fn is_envelope(&self, status: u16, code: &str) {
        let message = self.body["error"]["message"].as_str().unwrap_or_default();
        let mut wanted = json!({ "error": { "code": code, "message": message } });
        for optional in ["user", "fields"] {
            if let Some(value) = self.body["error"].get(optional) {
                wanted["error"][optional] = value.clone();
            }
        }
        self.is(status, &wanted);
        assert!(!message.is_empty(), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
    }

    /// A refusal as partner systems read it: RFC 9457 with a code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default().to_owned();
        let (title, detail) = (text("title"), text("detail"));
        let uri = format!("urn:tradepost:error:{code}");
        self.is(status, &json!({ "type": uri, "title": title, "status": status, "code": code, "detail": detail }));
        assert!(!title.is_empty() && !detail.is_empty(), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
    }
}

/// The text at a place of a body.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
