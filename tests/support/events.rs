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

/// The same request as a REST API has it (payload format 1.0), with its stage, as API Gateway's own address gives it.
pub fn rest(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let host = "f6g7h8i9j0.execute-api.eu-central-1.amazonaws.com";
    let all: Vec<_> = [("Host", host), ("X-Forwarded-Proto", "https")].iter().chain(headers).copied().collect();
    let one: serde_json::Map<_, _> = all.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let many: serde_json::Map<_, _> = all.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    json!({
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": one,
        "multiValueHeaders": many,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": { "proxy": path.trim_start_matches('/') },
        "stageVariables": null,
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "f6g7h8i9j0",
            "domainName": host,
            "domainPrefix": "f6g7h8i9j0",
            "httpMethod": method,
            "identity": { "sourceIp": "192.0.2.17", "userAgent": "test", "accessKey": null, "caller": null },
            "path": format!("/prod{path}"),
            "protocol": "HTTP/1.1",
            "requestId": "5f2b3c0e-7d0b-4a51-9a0d-0c9b7e6f3a11",
            "requestTime": "21/Nov/2026:09:00:00 +0000",
            "requestTimeEpoch": 1_795_251_600_000_u64,
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// The same request as a function URL has it: payload format 2.0, another domain, no route.
pub fn function_url(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let mut event = http(method, path, headers, body);
    let id = "q1w2e3r4t5y6u7i8o9p0a1s2d3f4";
    let host = format!("{id}.lambda-url.eu-central-1.on.aws");
    event["headers"]["host"] = json!(host);
    event["requestContext"]["accountId"] = json!("anonymous");
    event["requestContext"]["apiId"] = json!(id);
    event["requestContext"]["domainPrefix"] = json!(id);
    event["requestContext"]["domainName"] = json!(host);
    event["requestContext"]["authentication"] = Value::Null;
    event
}

/// A batch of a queue's messages, with these bodies; ids by their place: `message-0` and so on.
pub fn queue(bodies: &[&str]) -> Value {
    let record = |(n, body): (usize, &&str)| {
        json!({
            "messageId": format!("message-{n}"),
            "receiptHandle": format!("receipt-{n}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795251600000",
                "SenderId": "AROAEXAMPLE:scheduler",
                "ApproximateFirstReceiveTimestamp": "1795251600005",
            },
            "messageAttributes": {},
            "md5OfBody": "00000000000000000000000000000000",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:shards",
            "awsRegion": "eu-central-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}
