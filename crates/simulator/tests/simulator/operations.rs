//! All operations of A, from a list: who may call them, and what a finalized installation gets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::Stage;

/// Method and path of every operation under an installation's token; `{i}` is the installation.
const OPERATIONS: &[(&str, &str)] = &[
    ("PATCH", "/v1/installations/{i}"),
    ("GET", "/v1/installations/{i}/account"),
    ("GET", "/v1/installations/{i}/member/{m}"),
    ("POST", "/v1/installations/{i}/events"),
    ("GET", "/v1/installations/{i}/resources"),
    ("GET", "/v1/installations/{i}/resources/{r}"),
    ("DELETE", "/v1/installations/{i}/resources/{r}"),
    ("PUT", "/v1/installations/{i}/resources/{r}"),
    ("PATCH", "/v1/installations/{i}/resources/{r}"),
    ("POST", "/v1/installations/{i}/billing"),
    ("POST", "/v1/installations/{i}/billing/invoices"),
    ("GET", "/v1/installations/{i}/billing/invoices/{n}"),
    ("POST", "/v1/installations/{i}/billing/invoices/{n}/actions"),
    ("POST", "/v1/installations/{i}/billing/balance"),
    ("POST", "/v1/installations/{i}/billing/finalize"),
    ("PUT", "/v1/installations/{i}/products/{p}/resources/{r}/secrets"),
    ("PUT", "/v1/installations/{i}/resources/{r}/secrets"),
    ("POST", "/v1/installations/{i}/credentials/rotate"),
    ("POST", "/v1/installations/{i}/credentials/revoke"),
    ("POST", "/v1/installations/{i}/resources/{r}/experimentation/items"),
    ("PATCH", "/v1/installations/{i}/resources/{r}/experimentation/items/{t}"),
    ("DELETE", "/v1/installations/{i}/resources/{r}/experimentation/items/{t}"),
    ("GET", "/v1/installations/{i}/resources/{r}/experimentation/edge-config"),
    ("HEAD", "/v1/installations/{i}/resources/{r}/experimentation/edge-config"),
    ("PUT", "/v1/installations/{i}/resources/{r}/experimentation/edge-config"),
    ("GET", "/v1/installations/{i}/resources/{r}/experimentation/global-config"),
    ("HEAD", "/v1/installations/{i}/resources/{r}/experimentation/global-config"),
    ("PUT", "/v1/installations/{i}/resources/{r}/experimentation/global-config"),
    ("PATCH", "/v1/deployments/{d}/integrations/{i}/resources/{r}/actions/{a}"),
    ("POST", "/v1/integrations/installations/{i}/resources/{r}/connections"),
];

fn path(pattern: &str, installation: &str) -> String {
    pattern.replace("{i}", installation).replace(['{', '}'], "")
}

#[tokio::test]
async fn every_operation_wants_the_installations_own_live_token() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let (_, other) = stage.install().await;
    let (over, dead) = stage.install().await;
    stage.partner.answer_next("DELETE", &over, 200, json!({ "finalized": true }));
    stage.control("DELETE", &format!("/_sim/installations/{over}"), json!({})).await;
    for (method, pattern) in OPERATIONS {
        let own = path(pattern, &id);
        assert_eq!(stage.control(method, &own, Value::Null).await.0, 401, "{method} {own}");
        assert_eq!(stage.vercel("nonsense", method, &own, Value::Null).await.0, 401, "{method} {own}");
        assert_eq!(stage.vercel(&other, method, &own, Value::Null).await.0, 403, "{method} {own}");
        let (status, body) = stage.vercel(&dead, method, &path(pattern, &over), Value::Null).await;
        assert_eq!(status, 410, "{method} {pattern}: {body}");
        let (status, body) = stage.vercel(&token, method, &own, Value::Null).await;
        let is_known = !matches!(status, 401 | 403 | 405 | 410 | 500..);
        assert!(is_known && !body.to_string().contains("no such path"), "{method} {own}: {status} {body}");
        if pattern.starts_with("/v1/installations/") {
            let older =
                format!("/api{}", own.replace("/v1/installations/", "/v1/integrations/marketplace/installations/"));
            assert_eq!(stage.vercel(&token, method, &older, Value::Null).await.0, status, "{method} {older}");
        }
    }
}

#[tokio::test]
async fn every_operation_can_fail_as_a_fault_says() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let fault = json!({ "kind": "status", "status": 503 });
    stage.control("PUT", "/_sim/faults", json!([{ "match": { "path": "/v1" }, "fault": fault }])).await;
    for (method, pattern) in OPERATIONS {
        assert_eq!(stage.vercel(&token, method, &path(pattern, &id), Value::Null).await.0, 503, "{method} {pattern}");
    }
    let armed: Value = serde_json::from_str(&stage.text("/_sim/faults").await).unwrap();
    assert_eq!(armed[0]["fired"], OPERATIONS.len());
}

/// The list above against Vercel's own document.
#[test]
fn the_list_is_whole() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/protocol/marketplace.json");
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let shape = |path: &str| {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
    };
    let ours: BTreeSet<(String, String)> =
        OPERATIONS.iter().map(|(method, path)| ((*method).to_owned(), shape(path))).collect();
    let mut wanted = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let is_ours = path.starts_with("/v1/installations/")
            || path.ends_with("/connections")
            || path.ends_with("/actions/{action}");
        for method in methods.as_object().unwrap().keys().filter(|_| is_ours) {
            wanted.insert((method.to_uppercase(), shape(path)));
        }
    }
    assert_eq!(ours, wanted);
}
