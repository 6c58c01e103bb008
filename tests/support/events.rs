//! Lambda events as the clouds write them.

use serde_json::{Value, json};

/// An HTTP API's event (payload format 2.0).
pub fn http(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let headers: serde_json::Map<_, _> = [("host", "a1b2c3.execute-api.eu-central-1.amazonaws.com")]
        .iter()
        .chain(headers)
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "a1b2c3",
            "domainName": "a1b2c3.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "a1b2c3",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.17", "userAgent": "test",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_251_600_000_u64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// The schedule's constant input (`formats.md`).
pub fn schedule() -> Value {
    json!({"tradepost": "cron"})
}

/// What `EventBridge` sends when nobody gave the rule an input.
pub fn schedule_without_input() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "111122223333",
        "time": "2026-11-21T09:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:111122223333:rule/every-minute"],
        "detail": {},
    })
}
