//! A.10: importing a resource, and what being linked means.

use serde_json::{Value, json};

use crate::rules::with;
use crate::stage::Stage;

fn order(name: &str) -> Value {
    json!({ "productId": "product", "name": name, "status": "ready" })
}

#[tokio::test]
async fn an_import_takes_every_optional_field_and_keeps_its_digits() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let path = format!("/v1/installations/{id}/resources/db:1");
    let body = r#"{
        "productId": "product", "name": "orders", "status": "pending", "ownership": "sandbox",
        "metadata": {"size": 1.50, "regions": ["iad1"], "none": [], "deep": {"x": [null, 12345678901234567890.10]}},
        "billingPlan": {"id": "pro", "type": "subscription", "name": "Pro", "details": [{"label": "l"}], "own": {"n": 0.10}},
        "notification": {"level": "info", "title": "t", "message": "m", "href": "sso:https://example.com"},
        "extras": {"a": null, "b": 1e400},
        "secrets": [{"name": "A", "value": "v", "prefix": "P", "environmentOverrides": {"preview": "w"}}]
    }"#;
    let answer = stage.raw(stage.request(&token, "PUT", &path), body).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"name":"orders"}"#[..]));
    let shown = stage.raw(stage.request(&token, "GET", &path.replace(':', "%3A")), "").await;
    let text = String::from_utf8(shown.body().to_vec()).unwrap();
    assert!(text.contains(r#""metadata":{"regions":["iad1"],"size":1.50}"#), "{text}");
    assert!(
        text.contains(r#""billingPlanId":"pro""#) && text.contains(r#""href":"sso:https://example.com""#),
        "{text}"
    );
    let state = stage.text("/_sim/state").await;
    for kept in [
        r#""deep":{"x":[null,12345678901234567890.10]}"#,
        r#""own":{"n":0.10}"#,
        r#""extras":{"a":null,"b":1e400}"#,
        r#""ownership":"sandbox""#,
        r#""prefix":"P""#,
    ] {
        assert!(state.contains(kept), "{kept}");
    }
    assert_eq!(stage.partner.seen_of("POST", "/resources").len(), 0);
}

#[tokio::test]
async fn a_name_that_is_taken_gets_a_number() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let (other, token) = stage.install().await;
    let put = async |id: &str, body: Value| {
        let (status, body) = stage.vercel(&it.token, "PUT", &it.path(&format!("/resources/{id}")), body).await;
        assert_eq!(status, 200, "{body}");
        body["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(put("a", order("database")).await, "database-2");
    assert_eq!(put("b", order("database")).await, "database-3");
    // A repeat keeps its name, and a free name is free again.
    assert_eq!(put("a", order("database-2")).await, "database-2");
    assert_eq!(put("b", order("database-2")).await, "database-2-2");
    stage.vercel(&it.token, "DELETE", &it.path("/resources/a"), Value::Null).await;
    assert_eq!(put("b", order("database-2")).await, "database-2");
    let elsewhere = format!("/v1/installations/{other}/resources/a");
    assert_eq!(stage.vercel(&token, "PUT", &elsewhere, order("database")).await.1, json!({ "name": "database" }));
}

#[tokio::test]
async fn an_import_again_changes_what_it_says() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path(&format!("/resources/{}", it.resource));
    let (status, _) = stage.vercel(&it.token, "PUT", &path, with(&order("renamed"), "/status", json!("error"))).await;
    assert_eq!(status, 200);
    let row = stage.state().await["resources"][0].clone();
    assert_eq!((&row["name"], &row["status"]), (&json!("renamed"), &json!("error")));
    assert_eq!((&row["billingPlan"]["id"], &row["metadata"]), (&json!("pro"), &json!({ "region": "iad1" })));
    assert_eq!(stage.state().await["secrets"].as_array().unwrap().len(), 1);
    let (_, shown) = stage.vercel(&it.token, "GET", &path, Value::Null).await;
    let vercels = with(&order("renamed"), "/productId", shown["productId"].clone());
    assert_eq!(stage.vercel(&it.token, "PUT", &path, vercels).await.0, 200);
}

#[tokio::test]
async fn a_linked_resource_is_not_billed_and_its_removal_is_not_told() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let linked =
        with(&with(&order("mine"), "/ownership", json!("linked")), "/billingPlan", crate::partner::plan("pro"));
    stage.vercel(&it.token, "PUT", &it.path("/resources/linked"), linked.clone()).await;
    let bill = with(&it.invoice("a"), "/items/0/resourceId", json!("linked"));
    let (status, body) = stage.vercel(&it.token, "POST", &it.path("/billing/invoices"), bill).await;
    assert!(status == 400 && body.to_string().contains("spec D.6"), "{body}");
    let removal = format!("/_sim/installations/{}/resources/linked", it.id);
    assert_eq!(stage.control("DELETE", &removal, Value::Null).await, (200, json!({ "partner": null })));
    assert_eq!(stage.partner.seen_of("DELETE", "/linked").len(), 0);
    assert_eq!(stage.vercel(&it.token, "GET", &it.path("/resources/linked"), Value::Null).await.0, 404);
    // It was the customer's all along, and may come back.
    assert_eq!(stage.vercel(&it.token, "PUT", &it.path("/resources/linked"), linked).await.0, 200);
    assert_eq!(stage.vercel(&it.token, "GET", &it.path("/resources/linked"), Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_null_is_not_an_absent_field() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let path = format!("/v1/installations/{id}/resources/r");
    let (status, body) = stage
        .vercel(&token, "PUT", &path, json!({ "productId": "p", "name": "n", "status": "ready", "secrets": null }))
        .await;
    assert!(
        status == 400 && body.to_string().contains("spec A.10: the body is not as documented: `secrets` is null"),
        "{body}"
    );
    let deep = format!(
        "{{\"productId\":\"p\",\"name\":\"n\",\"status\":\"ready\",\"extras\":{{\"x\":{}{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let answer = stage.raw(stage.request(&token, "PUT", &path), &deep).await;
    assert_eq!(answer.status().as_u16(), 400);
}
