//! Vercel's face, operation by operation: what a provider may do, and what it may not.

use serde_json::{Value, json};

use crate::stage::Stage;

fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap()
}

#[tokio::test]
async fn tokens_open_their_own_installation_only() {
    let stage = Stage::new().await;
    let (one, token) = stage.install().await;
    let (two, _) = stage.install().await;
    let account = |id: &str| format!("/v1/installations/{id}/account");
    let (status, body) = stage.vercel(&token, "GET", &account(&one), Value::Null).await;
    assert_eq!(status, 200);
    assert!(body["url"].as_str().unwrap().starts_with("https://") && body["contact"]["email"].is_string());
    assert_eq!(stage.vercel(&token, "GET", &account(&two), Value::Null).await.0, 403);
    let (status, body) = stage.vercel("nonsense", "GET", &account(&one), Value::Null).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("unauthorized")));
    assert_eq!(stage.control("GET", &account(&one), Value::Null).await.0, 401);
    assert_eq!(stage.vercel(&token, "GET", &format!("/v1/installations/{one}"), Value::Null).await.0, 200);
    // The older paths are aliases.
    let older = format!("/api/v1/integrations/marketplace/installations/{one}/account");
    assert_eq!(stage.vercel(&token, "GET", &older, Value::Null).await.0, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    for (method, rest, status) in [
        ("DELETE", "account", 405),
        ("GET", "billing/invoices", 405),
        ("PUT", "events", 405),
        ("GET", "nothing", 404),
        ("HEAD", "account", 405),
        ("POST", "resources/r1", 405),
        ("PUT", "resources/r1/experimentation/items", 405),
        ("DELETE", "resources/r1/experimentation/edge-config", 405),
        ("GET", "resources/r1/experimentation", 404),
    ] {
        let got = stage.vercel(&token, method, &format!("/v1/installations/{id}/{rest}"), json!({})).await;
        assert_eq!(got.0, status, "{method} {rest}: {}", got.1);
    }
    for (method, path, status) in [
        ("GET", "/v1/integrations/sso/token".to_owned(), 405),
        ("POST", "/.well-known/jwks".to_owned(), 405),
        ("HEAD", "/.well-known/jwks".to_owned(), 200),
        ("GET", "/.well-known/other".to_owned(), 404),
        ("POST", format!("/v1/deployments/d/integrations/{id}/resources/r/actions/a"), 405),
        ("GET", format!("/v1/integrations/installations/{id}/resources/r/connections"), 405),
        ("POST", format!("/v1/integrations/installations/{id}/resources/r"), 404),
    ] {
        assert_eq!(stage.vercel(&token, method, &path, Value::Null).await.0, status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let stage = Stage::new().await;
    let (id, token) = stage.install().await;
    let body = json!({ "externalId": "x".repeat(1024 * 1024) });
    assert_eq!(stage.vercel(&token, "PATCH", &format!("/v1/installations/{id}"), body).await.0, 413);
}

#[tokio::test]
async fn an_installation_and_a_resource_are_updated() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let notice = json!({ "level": "warn", "title": "Payment", "href": "sso:https://example.com" });
    let update = json!({ "status": "suspended", "externalId": "ext", "notification": notice });
    assert_eq!(stage.vercel(&it.token, "PATCH", &it.path(""), update).await, (204, Value::Null));
    let row = stage.state().await["installations"][0].clone();
    assert_eq!((&row["status"], &row["notification"]), (&json!("suspended"), &notice));
    // An absent notification stays, null clears.
    stage.vercel(&it.token, "PATCH", &it.path(""), json!({ "status": "resumed" })).await;
    assert_eq!(stage.state().await["installations"][0]["notification"], notice);
    stage.vercel(&it.token, "PATCH", &it.path(""), json!({ "notification": null })).await;
    assert_eq!(stage.state().await["installations"][0]["notification"], Value::Null);

    let path = it.path(&format!("/resources/{}", it.resource));
    let update = json!({
        "name": "new", "status": "error", "metadata": { "a": [1] }, "ownership": "linked",
        "secrets": { "secrets": [{ "name": "EXTRA", "value": "v" }], "partial": true },
    });
    assert_eq!(stage.vercel(&it.token, "PATCH", &path, update).await, (200, json!({ "name": "new" })));
    let (_, resource) = stage.vercel(&it.token, "GET", &path, Value::Null).await;
    assert_eq!(
        (&resource["id"], &resource["status"], &resource["billingPlanId"]),
        (&json!(it.resource), &json!("error"), &json!("pro"))
    );
    let (_, list) = stage.vercel(&it.token, "GET", &it.path("/resources"), Value::Null).await;
    assert_eq!(
        (&list["resources"][0]["partnerId"], &list["resources"][0]["name"]),
        (&json!(it.resource), &json!("new"))
    );
    assert_eq!(stage.state().await["secrets"].as_array().unwrap().len(), 2);
    stage.vercel(&it.token, "PATCH", &path, json!({ "secrets": [{ "name": "ONLY", "value": "v" }] })).await;
    assert_eq!(stage.state().await["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(stage.vercel(&it.token, "DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(stage.vercel(&it.token, "DELETE", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn secrets_are_replaced_or_added_to() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path(&format!("/resources/{}/secrets", it.resource));
    let names = |state: Value| {
        let rows = state["secrets"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let overrides = json!({ "production": "p" });
    let one = json!({ "secrets": [{ "name": "B", "value": "1", "environmentOverrides": overrides }], "partial": true });
    assert_eq!(stage.vercel(&it.token, "PUT", &path, one).await, (201, Value::Null));
    let state = stage.state().await;
    assert_eq!(names(state.clone()), ["API_KEY", "B"]);
    assert!(state["secrets"][1]["environmentOverrides"]["production"].as_str().unwrap().len() == 64);
    let (status, _) =
        stage.vercel(&it.token, "PUT", &path, json!({ "secrets": [{ "name": "C", "value": "2" }] })).await;
    assert_eq!((status, names(stage.state().await)), (201, vec!["C".to_owned()]));
    for (bad, wanted, why) in [
        (json!({ "secrets": [{ "name": "C", "value": "2", "note": 1 }] }), 400, "spec A.18"),
        (json!({ "secret": [] }), 400, "spec A.18"),
        (json!({ "secrets": [], "partial": null }), 400, "spec A.18"),
        (json!({ "secrets": [{ "name": "C", "value": "2" }, { "name": "C", "value": "3" }] }), 422, "spec A, Secret"),
    ] {
        let (status, body) = stage.vercel(&it.token, "PUT", &path, bad).await;
        assert!(status == wanted && message(&body).starts_with(why), "{body}");
    }
}

#[tokio::test]
async fn after_an_event_vercel_reads_again() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    stage.partner.set(&it.resource, "name", json!("renamed by the provider"));
    stage.partner.set(&it.resource, "billingPlan", crate::partner::plan("max"));
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    assert_eq!(stage.vercel(&it.token, "POST", &it.path("/events"), event).await, (201, Value::Null));
    // With a frozen clock nothing happens between control calls.
    assert_eq!(stage.partner.seen_of("GET", &it.resource).len(), 0);
    let state = stage.state().await;
    assert_eq!(state["resources"][0]["name"], "renamed by the provider");
    assert_eq!(state["resources"][0]["plans"][1]["planId"], "max");
    assert_eq!(state["events"][0]["type"], "resource.updated");
    let reads = stage.partner.seen_of("GET", &it.resource);
    assert_eq!((reads.len(), reads[0].header("x-vercel-auth"), reads[0].header("idempotency-key")), (1, "system", ""));

    stage.partner.answer_next("GET", &it.id, 200, json!({ "billingPlan": crate::partner::plan("base") }));
    let event = json!({ "event": { "type": "installation.updated", "billingPlanId": "base" } });
    assert_eq!(stage.vercel(&it.token, "POST", &it.path("/events"), event).await.0, 201);
    assert_eq!(stage.state().await["installations"][0]["billingPlan"]["id"], "base");
}

#[tokio::test]
async fn a_failed_re_read_is_tried_again() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    stage.partner.set(&it.resource, "name", json!("later"));
    stage.partner.answer_next("GET", &it.resource, 500, Value::Null);
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    stage.vercel(&it.token, "POST", &it.path("/events"), event).await;
    assert_eq!(stage.state().await["resources"][0]["name"], "database");
    stage.advance("1m").await;
    assert_eq!(stage.state().await["resources"][0]["name"], "later");
}

#[tokio::test]
async fn an_event_during_a_re_read_is_not_lost() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let event = json!({ "event": { "type": "resource.updated", "resourceId": it.resource } });
    let gate = stage.partner.hold_next_read();
    stage.vercel(&it.token, "POST", &it.path("/events"), event.clone()).await;
    let again = async {
        gate.came.notified().await;
        stage.partner.set(&it.resource, "name", json!("changed meanwhile"));
        stage.vercel(&it.token, "POST", &it.path("/events"), event).await;
        gate.go.notify_one();
    };
    let (state, ()) = tokio::join!(stage.state(), again);
    assert_eq!(state["resources"][0]["name"], "changed meanwhile");
    assert_eq!(stage.partner.seen_of("GET", &it.resource).len(), 2);
}

#[tokio::test]
async fn events_that_make_no_sense_are_refused() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    for (event, status) in [
        (json!({ "type": "resource.updated" }), 400),
        (json!({ "type": "resource.updated", "resourceId": "unknown" }), 404),
        (json!({ "type": "resource.created", "resourceId": it.resource }), 400),
        (json!({ "type": "installation.updated", "resourceId": it.resource }), 400),
        (json!({ "type": "installation.updated", "planId": "x" }), 400),
    ] {
        let (got, body) = stage.vercel(&it.token, "POST", &it.path("/events"), json!({ "event": event })).await;
        assert!(got == status && message(&body).starts_with("spec A.7"), "{event}: {body}");
    }
    assert_eq!(stage.state().await["events"], json!([]));
}

#[tokio::test]
async fn balances_keep_the_newest() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-1").await;
    let send = async |at: &str, cents: i64| {
        let balance = json!({ "currencyValueInCents": cents, "resourceId": it.resource, "credit": "some" });
        let body = json!({ "timestamp": at, "balances": [balance] });
        stage.vercel(&it.token, "POST", &it.path("/billing/balance"), body).await.0
    };
    assert_eq!(send("2027-01-01T10:00:00Z", 500).await, 201);
    assert_eq!(send("2027-01-01T09:00:00Z", 900).await, 201);
    assert_eq!(stage.state().await["balances"][0]["balance"]["currencyValueInCents"], 500);
    assert_eq!(send("2027-01-01T11:00:00Z", 100).await, 201);
    assert_eq!(stage.state().await["balances"][0]["balance"]["currencyValueInCents"], 100);
}
