//! Faults on Vercel's face, over real sockets.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tradepost_marketplace::http_door::HttpError;

use crate::stage::Stage;

async fn arm(stage: &Stage, faults: Value) -> Value {
    let (status, armed) = stage.control("PUT", "/_sim/faults", faults).await;
    assert_eq!(status, 200, "{armed}");
    armed
}

async fn outcomes(stage: &Stage, suffix: &str) -> Vec<(Value, Value)> {
    let log: Value = serde_json::from_str(&stage.text("/_sim/requests").await).unwrap();
    let rows = log["requests"].as_array().unwrap();
    let ours =
        rows.iter().filter(|row| row["direction"] == "to_vercel" && row["path"].as_str().unwrap().ends_with(suffix));
    ours.map(|row| (row["status"].clone(), row["outcome"].clone())).collect()
}

#[tokio::test]
async fn a_status_comes_instead_of_acting() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let fault = json!({ "kind": "status", "status": 429, "headers": { "retry-after": "7" } });
    arm(&stage, json!([{ "match": { "method": "POST", "path": "*/billing/invoices" }, "fault": fault, "times": 1 }]))
        .await;
    let path = it.path("/billing/invoices");
    let (status, body) = stage.vercel(&it.token, "POST", &path, it.invoice("a")).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("rate_limited")));
    assert!(body["error"]["limit"]["total"].is_number());
    assert_eq!(stage.state().await["invoices"], json!([]));
    it.submit(&stage, "a").await;
    let expected = vec![(json!(429), json!("status")), (json!(200), json!("ok"))];
    assert_eq!(outcomes(&stage, "/billing/invoices").await, expected);
}

#[tokio::test]
async fn a_reset_before_leaves_nothing_and_a_reset_after_leaves_all() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path("/billing/invoices");
    for (fault, invoices) in [("reset_before", 0), ("reset_after", 1)] {
        arm(&stage, json!([{ "fault": fault, "times": 1 }])).await;
        let lost = stage.try_vercel(&it.token, "POST", &path, it.invoice("a")).await;
        let Err(HttpError::NoAnswer(why)) = lost else { panic!("{fault}: {lost:?}") };
        assert!(why.contains("reset") || why.contains("closed"), "{fault}: {why}");
        assert_eq!(stage.state().await["invoices"].as_array().unwrap().len(), invoices, "{fault}");
    }
    let (status, body) = stage.vercel(&it.token, "POST", &path, it.invoice("a")).await;
    assert!(status == 409 && body.to_string().contains("rule 5"), "{body}");
    let expected =
        vec![(Value::Null, json!("reset_before")), (Value::Null, json!("reset_after")), (json!(409), json!("refused"))];
    assert_eq!(outcomes(&stage, "/billing/invoices").await, expected);
}

#[tokio::test]
async fn a_reset_is_a_reset_of_the_connection() {
    let stage = Stage::new().await;
    arm(&stage, json!([{ "fault": "reset_before", "times": 1 }, { "fault": "reset_after", "times": 1 }])).await;
    for _ in 0..2 {
        let mut socket = tokio::net::TcpStream::connect(stage.url.trim_start_matches("http://")).await.unwrap();
        socket.write_all(b"GET /v1/installations/x HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let error = socket.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn every_tenth_call_loses_its_answer() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    arm(&stage, json!([{ "match": { "path": "/v1" }, "fault": "reset_after", "every": 10 }])).await;
    let mut lost = Vec::new();
    for n in 1..=30 {
        if stage.try_vercel(&it.token, "GET", &it.path("/account"), Value::Null).await.is_err() {
            lost.push(n);
        }
    }
    assert_eq!(lost, [10, 20, 30]);
    let armed: Value = serde_json::from_str(&stage.text("/_sim/faults").await).unwrap();
    assert_eq!((&armed[0]["seen"], &armed[0]["fired"]), (&json!(30), &json!(3)));
    assert_eq!(arm(&stage, json!([])).await, json!([]));
    assert_eq!(stage.vercel(&it.token, "GET", &it.path("/account"), Value::Null).await.0, 200);
}

/// What stands between us and Vercel answers for it, in its own words.
#[tokio::test]
async fn a_gateways_answer_has_no_envelope_and_nothing_happened() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    for (fault, status) in [(json!("foreign"), 404), (json!({ "kind": "foreign", "status": 308 }), 308)] {
        arm(&stage, json!([{ "fault": fault, "times": 1 }])).await;
        let (got, body) = stage.vercel(&it.token, "POST", &it.path("/events"), event.clone()).await;
        assert_eq!((got, body), (status, Value::Null));
    }
    assert_eq!(stage.state().await["events"].as_array().unwrap().len(), 0);
    assert_eq!(outcomes(&stage, "/events").await, [(json!(404), json!("foreign")), (json!(308), json!("foreign"))]);
}

#[tokio::test]
async fn garbage_and_delay_act_all_the_same() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    arm(&stage, json!([{ "fault": "garbage", "times": 1 }, { "fault": { "kind": "delay", "ms": 1 }, "times": 1 }]))
        .await;
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    assert_eq!(stage.vercel(&it.token, "POST", &it.path("/events"), event).await, (201, Value::Null));
    assert_eq!(stage.state().await["events"].as_array().unwrap().len(), 1);
    let (status, body) = stage.vercel(&it.token, "GET", &it.path("/account"), Value::Null).await;
    assert!(status == 200 && body["url"].is_string());
    assert_eq!(outcomes(&stage, "/account").await, [(json!(200), json!("delay"))]);
}

#[tokio::test]
async fn the_issuer_and_the_control_face_are_spared() {
    let stage = Stage::new().await;
    arm(&stage, json!([{ "match": { "path": "*" }, "fault": "reset_before" }])).await;
    assert!(stage.text("/.well-known/jwks").await.contains("keys"));
    assert!(stage.text("/_sim/health").await.contains("true"));
    arm(&stage, json!([{ "match": { "path": "/.well-known" }, "fault": { "kind": "status", "status": 500 } }])).await;
    assert!(stage.text("/.well-known/jwks").await.contains("simulated fault"));
    let (status, _) = stage.control("PUT", "/_sim/faults", json!([{ "fault": "explode" }])).await;
    assert_eq!(status, 400);
}
