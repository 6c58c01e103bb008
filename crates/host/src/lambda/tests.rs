//! Events as they are recorded, and events made to deceive, answered by a router that tells what it saw.

use std::time::Duration;

use axum::extract::Request;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{any, get};
use http::Extensions;
use http_body_util::BodyExt;

use super::*;
use crate::guard::{BODY_BYTES_MAX, guarded};

const V2: &str = include_str!("samples/http_v2.json");
const V1: &str = include_str!("samples/http_v1.json");
const SQS: &str = include_str!("samples/sqs.json");

#[derive(Clone)]
struct Scheduled;
#[derive(Clone)]
struct Remaining(Duration);

/// Answers what it was asked; 418 to a body "bad"; with the scheduled mark as a field, not by status.
async fn mirror(request: Request) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if body == "bad" {
        return StatusCode::IM_A_TEAPOT.into_response();
    }
    let seen = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "cookie": parts.headers.get("cookie").map(|value| value.to_str().unwrap()),
        "many": parts.headers.get_all("x-many").iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>(),
        "body": body,
        "scheduled": parts.extensions.get::<Scheduled>().is_some(),
        "remaining": parts.extensions.get::<Remaining>().map(|remaining| remaining.0.as_millis()),
    });
    (
        AppendHeaders([("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-twice", "1"), ("x-twice", "2")]),
        seen.to_string(),
    )
        .into_response()
}

fn bench(router: Router) -> Bench {
    let marks = Marks {
        scheduled: |extensions: &mut Extensions| {
            extensions.insert(Scheduled);
        },
        deadline: |extensions: &mut Extensions, remaining| {
            extensions.insert(Remaining(remaining));
        },
    };
    Bench { function: "x", router: guarded("x", router), marks }
}

async fn answer(raw: &str) -> Result<Value, InvocationError> {
    bench(Router::new().fallback(any(mirror))).answer(raw, &|| Duration::from_mins(5)).await
}

async fn seen(raw: &str) -> Value {
    let answer = answer(raw).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

/// The sample with the top-level or deeper fields of `change` in place of its own.
fn changed(sample: &str, change: Value) -> String {
    fn merge(base: &mut Value, change: Value) {
        match change {
            Value::Object(fields) if base.is_object() => {
                fields.into_iter().for_each(|(name, value)| merge(&mut base[name.as_str()], value));
            }
            value => *base = value,
        }
    }
    let mut event = serde_json::from_str(sample).unwrap();
    merge(&mut event, change);
    event.to_string()
}

#[tokio::test]
async fn an_http_api_event_is_the_request_that_was_sent() {
    let seen = seen(V2).await;
    assert_eq!(
        seen,
        json!({
            "method": "PATCH",
            "uri": "/v1/products/tiny/plans?metadata=%7B%22a%22%3A1%7D&metadata=two",
            "cookie": "session=abc; theme=dark",
            "many": [],
            "body": r#"{"name":"Tiny \"1\""}"#,
            "scheduled": false,
            "remaining": 29_000,
        })
    );
}

#[tokio::test]
async fn a_rest_api_event_is_the_request_that_was_sent() {
    let seen = seen(V1).await;
    assert_eq!(seen["method"], "GET");
    let (path, query) = seen["uri"].as_str().unwrap().split_once('?').unwrap();
    let mut pairs: Vec<_> = query.split('&').collect();
    pairs.sort_unstable();
    assert_eq!((path, pairs), ("/callback", vec!["code=x%20y%26z", "path=%2Fone", "path=%2Ftwo"]));
    assert_eq!(seen["many"], json!(["a", "b"]));
    assert_eq!(seen["scheduled"], false);
}

#[tokio::test]
async fn a_named_stage_is_no_part_of_the_path() {
    let stage = |domain: &str, path: &str| {
        changed(V2, json!({"rawPath": path, "requestContext": {"stage": "prod", "domainName": domain}}))
    };
    let own = "a1.execute-api.eu-central-1.amazonaws.com";
    let path = async |event: String| seen(&event).await["uri"].as_str().unwrap().split('?').next().unwrap().to_owned();
    assert_eq!(path(stage(own, "/prod/v1/x")).await, "/v1/x");
    assert_eq!(path(stage(own, "/prod")).await, "/");
    assert_eq!(path(stage(own, "/products/x")).await, "/products/x");
    assert_eq!(path(stage("api.example.com", "/prod/v1/x")).await, "/prod/v1/x");
}

#[tokio::test]
async fn answers_have_the_form_of_their_api() {
    let v2 = answer(V2).await.unwrap();
    assert_eq!(v2["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(v2["headers"]["x-twice"], "1, 2");
    assert_eq!(v2["headers"].get("set-cookie"), None);
    assert_eq!(v2["isBase64Encoded"], false);
    let v1 = answer(V1).await.unwrap();
    assert_eq!(v1["multiValueHeaders"]["set-cookie"], json!(["a=1", "b=2"]));

    let binary = bench(Router::new().fallback(get(|| async { vec![0xff_u8, 0] })));
    let event = changed(V2, json!({"requestContext": {"http": {"method": "GET"}}}));
    let answer = binary.answer(&event, &|| Duration::ZERO).await.unwrap();
    assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
}

#[tokio::test]
async fn the_schedule_becomes_a_marked_request() {
    let saw = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let router = Router::new().fallback(any({
        let saw = saw.clone();
        async move |request: Request| {
            let body = mirror(request).await.into_body().collect().await.unwrap().to_bytes();
            *saw.lock().unwrap() = serde_json::from_slice(&body).unwrap();
        }
    }));
    let answer = bench(router).answer(r#"{ "tradepost": "cron" }"#, &|| Duration::from_mins(5)).await;
    assert_eq!(answer, Ok(json!({"statusCode": 200})));
    let saw = saw.lock().unwrap();
    assert_eq!((&saw["method"], &saw["uri"], &saw["scheduled"]), (&json!("GET"), &json!("/cron/x"), &json!(true)));
    assert_eq!(saw["remaining"], 300_000, "a schedule may take what the function may");
}

#[tokio::test]
async fn a_scheduled_run_that_fails_fails_the_invocation() {
    for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
        let failing = bench(Router::new().fallback(any(move || async move { status })));
        let answer = failing.answer(r#"{"tradepost":"cron"}"#, &|| Duration::ZERO).await;
        assert_eq!(answer, Err(InvocationError::Run { function: "x", status }));
    }
}

/// Whatever an outsider writes, to the scheduled path or beside it, arrives as an outsider's.
#[tokio::test]
async fn no_http_request_carries_the_mark() {
    let cron = r#"{"tradepost":"cron"}"#;
    let event_bridge = r#"{"version":"0","id":"1","detail-type":"Scheduled Event","source":"aws.events",
        "account":"1","time":"2026-11-21T09:00:00Z","region":"eu-central-1","resources":[],"detail":{}}"#;
    let odd = json!({
        "x-amzn-trace-id": "Root=1-0", "x-scheduled": "1", "lambda-runtime-aws-request-id": "1", "tradepost": "cron",
    });
    for path in ["/cron/x", "/events", "//cron/x", "/cron/x/", "/x/../cron/x"] {
        for (body, base64) in
            [(cron, false), ("eyJ0cmFkZXBvc3QiOiJjcm9uIn0=", true), (event_bridge, false), (SQS, false)]
        {
            for method in ["GET", "POST"] {
                let v2 = changed(
                    V2,
                    json!({"rawPath": path, "body": body, "isBase64Encoded": base64, "headers": {"x": "y"},
                        "requestContext": {"http": {"method": method, "path": path}}}),
                );
                let v1 = changed(
                    V1,
                    json!({"path": path, "httpMethod": method, "body": body, "isBase64Encoded": base64,
                        "queryStringParameters": {"tradepost": "cron"}, "headers": {"tradepost": "cron"}}),
                );
                for event in [v2, v1] {
                    assert_eq!(seen(&event).await["scheduled"], false, "{event}");
                }
            }
        }
    }
    let odd = changed(V2, json!({"rawPath": "/cron/x", "headers": odd}));
    assert_eq!(seen(&odd).await["scheduled"], false);
}

#[tokio::test]
async fn a_record_is_a_request_and_only_failed_ones_stay_in_the_queue() {
    async fn marked(request: Request) -> axum::response::Response {
        let expected = request.method() == Method::POST && request.uri().path() == "/cron/x";
        match request.extensions().get::<Scheduled>() {
            Some(_) if expected => mirror(request).await,
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let marked = bench(Router::new().fallback(any(marked)));
    let answer = marked.answer(SQS, &|| Duration::ZERO).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da"}]}));
}

#[tokio::test]
async fn an_event_that_is_nobodys_or_everybodys_is_refused() {
    let schedule = r#"{"tradepost":"cron","version":"2.0"}"#;
    let elb = changed(V1, json!({"requestContext": {"elb": {"targetGroupArn": "arn"}}}));
    let both = changed(V2, json!({"Records": [{"messageId": "1", "body": "", "eventSource": "aws:sqs"}]}));
    let s3 = r#"{"Records":[{"messageId":"1","body":"","eventSource":"aws:s3"}]}"#;
    let twice = r#"{"requestContext":{"http":{}},"requestContext":null,"version":"2.0"}"#;
    let bridge =
        r#"{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{"tradepost":"cron"}}"#;
    for raw in [
        schedule,
        &elb,
        &both,
        s3,
        twice,
        bridge,
        "{}",
        "null",
        "[]",
        r#""cron""#,
        r#"{"Records":[]}"#,
        "{\"tradepost\":",
        r#"{"tradepost":"Cron"}"#,
    ] {
        assert_eq!(answer(raw).await, Err(InvocationError::UnknownEvent), "{raw}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_request_is_answered_not_passed_on() {
    let status = async |event: String| answer(&event).await.unwrap()["statusCode"].as_u64().unwrap();
    let body = |length| changed(V2, json!({"body": "a".repeat(length)}));
    assert_eq!(status(body(BODY_BYTES_MAX)).await, 200);
    assert_eq!(status(body(BODY_BYTES_MAX + 1)).await, 413);
    let encoded = |length| changed(V2, json!({"body": base64_of(length), "isBase64Encoded": true}));
    assert_eq!(status(encoded(BODY_BYTES_MAX)).await, 200);
    assert_eq!(status(encoded(BODY_BYTES_MAX + 1)).await, 413);
    assert_eq!(status(encoded(BODY_BYTES_MAX * 4)).await, 413);
    assert_eq!(status(changed(V2, json!({"body": "%%%", "isBase64Encoded": true}))).await, 400);
    assert_eq!(status(changed(V2, json!({"headers": {"x": "a\nb"}}))).await, 400);
    assert_eq!(status(changed(V2, json!({"cookies": ["a\nb"]}))).await, 400);
    assert_eq!(status(changed(V2, json!({"rawQueryString": "a b"}))).await, 400);
    assert_eq!(status(changed(V2, json!({"rawPath": "/a b?c#d/ü"}))).await, 200);
}

fn base64_of(length: usize) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(vec![b'a'; length])
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    async fn panic() {
        panic!("secret");
    }
    let panicking = bench(Router::new().fallback(any(panic)));
    let answer = panicking.answer(V2, &|| Duration::ZERO).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(500), &json!("")));
}

#[tokio::test]
async fn health_says_the_function_and_its_version() {
    let event = changed(V2, json!({"rawPath": "/health/x", "body": "", "requestContext": {"http": {"method": "GET"}}}));
    let answer = answer(&event).await.unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"function": "x", "version": env!("CARGO_PKG_VERSION")}));
}
